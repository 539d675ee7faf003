/*
 * Version of the plugin ABI.
 *
 * A plugin of another major is refused; so is one whose minor is greater than the host's.
 * While the major is 0 the ABI may change with every release.
 *
 * Changes:
 *   0.1  2026-11  first version
 *   0.2  2026-11  servers, accounts, secret messages, what a page asked for, frames from parts, raw
 *                 values that are checked
 */
#ifndef WSPR_VERSION_H
#define WSPR_VERSION_H

#define WSPR_ABI_MAJOR 0
#define WSPR_ABI_MINOR 2

/* Put before the declaration of a function that the host exports to plugins. */
#if defined(__GNUC__)
#define WSPR_API               __attribute__((visibility("default")))
#define WSPR_MUST_CHECK        __attribute__((warn_unused_result))
#define WSPR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define WSPR_API
#define WSPR_MUST_CHECK
#define WSPR_PRINTF(fmt, args)
#endif

#endif

/*
 * Version of the plugin ABI, and the marks that the other headers use.
 *
 * A plugin of another major is refused; so is one whose minor is greater than the host's. Within a
 * major nothing is taken away, moved or given another meaning. A new minor adds functions, codes,
 * and members at the end of the structs that state their size or whose rows do: struct wspr_plugin,
 * wspr_claim, wspr_option and those with a member `size`. What the host gives and a plugin only
 * reads (struct wspr_fault, struct wspr_invocation_info) may grow, too; all other structs stay as
 * they are.
 *
 * Changes:
 *   1.0  2026-11  the first that stays
 */
#ifndef WSPR_VERSION_H
#define WSPR_VERSION_H

#define WSPR_ABI_MAJOR 1
#define WSPR_ABI_MINOR 0

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

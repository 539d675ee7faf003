/*
 * The roots of names of a process: mount tables from which relative names are resolved. They come
 * from the environment (spec: ipc 15) or from an option; either may be a list with commas.
 */
#ifndef CONFIG_ROOTS_H
#define CONFIG_ROOTS_H

#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

#define CONFIG_ROOTS_MAX 64

/* For rpc_client_set_roots(). The names are rooted, and borrowed from the struct. */
struct config_roots {
    struct buf text;
    const char *names[CONFIG_ROOTS_MAX];
    size_t n;
};

/*
 * Cuts text at commas, in place, and the blanks off each part. Returns how many parts are not
 * empty; those beyond max are left out and counted all the same.
 */
size_t config_split(char *text, const char **parts, size_t max);

/*
 * What the variables say whose names begin with NAMESPACE_ROOT, in their order; if there is none,
 * MOUNTTABLE_ROOT. n is 0 if no variable names a root. WSPR_EINVAL if any of them is not a rooted
 * name or there are too many, WSPR_ENOMEM. To be ended with config_roots_done only if it succeeds.
 */
int config_roots_of_process(struct config_roots *ret, struct err *err);
/* The same for the value of an option: "/host:port,/@2@tcp@…". */
int config_roots_parse(const char *list, struct config_roots *ret, struct err *err);
void config_roots_done(struct config_roots *roots);

#endif

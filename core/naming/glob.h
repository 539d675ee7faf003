/*
 * Glob patterns (spec: naming 10.1). A pattern is a view into the caller's text: copy it freely,
 * keep the text alive.
 */
#ifndef NAMING_GLOB_H
#define NAMING_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"

#define NAMING_GLOB_MAX 4096 /* bytes of a pattern */

struct naming_glob {
    struct span text; /* element patterns, joined with '/', and the final "..." */
    size_t len;       /* their number without the final "..." */
    bool recursive;   /* there was a final "..." */
};

/*
 * Takes the pattern apart. WSPR_EUNKNOWN "syntax error in pattern" for a leading slash only, as in
 * the reference: a malformed element is found when it is matched, or by naming_glob_check.
 * WSPR_ELIMIT for a pattern that is too long.
 */
int naming_glob_parse(struct span pattern, struct naming_glob *ret_glob, struct err *e);
/* The same error if any element is malformed. A server checks before it walks its tree. */
int naming_glob_check(const struct naming_glob *g, struct err *e);

/* Whether nothing more can match. */
bool naming_glob_is_finished(const struct naming_glob *g);
/* The pattern without its first n elements. */
struct naming_glob naming_glob_skip(const struct naming_glob *g, size_t n);
/*
 * Matches one component: 1 and the rest of the pattern, 0 for no match, or the syntax error. Takes
 * time proportional to pattern times component at most.
 */
int naming_glob_match(const struct naming_glob *g, struct span component,
                      struct naming_glob *ret_rest, struct err *e);
/* Appends the text form. */
void naming_glob_format(struct buf *out, const struct naming_glob *g);
/* Number of leading elements without wildcards. */
size_t naming_glob_fixed_count(const struct naming_glob *g);
/* Appends the k-th of them with its escapes removed. */
void naming_glob_fixed_element(struct buf *out, const struct naming_glob *g, size_t k);

#endif

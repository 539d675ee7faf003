/*
 * Object names (spec: naming 1 to 4). Names are byte strings; inputs are borrowed, results are
 * either spans into the input or bytes appended to the caller's buffer, whose sticky error and
 * maximum bound them. An output buffer may not be the one that holds the input.
 */
#ifndef NAMING_NAME_H
#define NAMING_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"
#include "naming/endpoint.h"

/* Starts with exactly one slash. */
bool naming_name_is_rooted(struct span name);
/* May not be resolved further. */
bool naming_name_is_terminal(struct span name);
/* Splits into address and the rest, which keeps its two or more leading slashes. */
void naming_name_split(struct span name, struct span *ret_address, struct span *ret_rest);
/* The name without its leading slashes: the suffix that an object sees. */
struct span naming_name_strip(struct span name);

/* Appends the name of `name` at `address`. */
void naming_name_join_address(struct buf *out, struct span address, struct span name);
/* Appends name and suffix joined without making or losing a "//". */
void naming_name_join(struct buf *out, struct span name, struct span suffix);
/* Appends a terminal form of the name. */
void naming_name_make_terminal(struct buf *out, struct span name);
/* The general form: makes it terminal at the index-th slash, from the end if negative. */
void naming_name_make_terminal_at(struct buf *out, struct span name, int index);
/* Appends the name so that it will be resolved. */
void naming_name_make_resolvable(struct buf *out, struct span name);

/* Where a call to a resolved (terminal) name goes. */
struct naming_target {
    struct naming_endpoint endpoint;
    struct span wire_suffix;   /* as it travels in the request; into the name */
    struct span object_suffix; /* as the server's dispatcher sees it; into the name */
};

/*
 * Splits a resolved name into the endpoint to dial and the suffix to send. Errors: WSPR_EBADARG
 * "ipc: cannot connect to a non-rooted name", those of naming_endpoint_parse and
 * naming_versions_check.
 */
int naming_name_target(struct span name, struct naming_target *ret_target, struct err *e);

/*
 * Components of a mount table's suffix (spec: naming 9.2, leading slashes are stripped first). An
 * iterator, so that nothing is copied: start with the suffix, call next until it returns false.
 */
struct naming_elements {
    struct span left;
    bool more;
};

/* R: split at every slash, empty components kept; an empty suffix has none. */
void naming_elements_init(struct naming_elements *it, struct span suffix);
bool naming_elements_next(struct naming_elements *it, struct span *ret_element);
/*
 * C: appends the cleaned form (no repeated slashes, "." and ".." applied, no slash at either end);
 * iterate over it with naming_elements_init. Nothing is appended only for an empty suffix.
 */
void naming_elements_clean(struct buf *out, struct span suffix);

#endif

/* Types as declarations have them. */
#ifndef TOOLS_WSPR_TYPES_H
#define TOOLS_WSPR_TYPES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct rpc_signature;
struct vom_type;

/*
 * Appends how a type is referred to: "[]KeyValuePair", "map[string]any"; "?" for NULL. Names
 * without their path unless `full`.
 */
void cli_type_text(struct buf *out, const struct vom_type *t, bool full);
/* Appends what a named type stands for: "struct{Key string; Value any}", "uint32". */
void cli_type_definition(struct buf *out, const struct vom_type *t, bool full);

#define CLI_TYPES_MAX   256
#define CLI_TYPES_STEPS 65536 /* types are met again in each that shares them: so often */

/* The named types that a signature uses, each once, in the order in which they are met. */
struct cli_types {
    const struct vom_type *items[CLI_TYPES_MAX];
    size_t n;
    size_t steps;
};

void cli_types_of(struct cli_types *types, const struct rpc_signature *sig);

#endif

/*
 * Runs of numbers in lists, without going through tokens and types for each of them.
 *
 * From JSON: whatever is not an optional minus, digits and perhaps a fraction, with blanks before
 * it and a comma right behind it, ends a run and is left to the general way, errors included; so is
 * the last element, which has no comma. For use inside core/vom.
 */
#ifndef VOM_JSON_RUN_H
#define VOM_JSON_RUN_H

#include "vom/dec.h"
#include "vom/json_conv.h"

/* What stands before a double in an interface: its type. spec: vom A.6 */
#define VOM_JSON_RUN_DOUBLE (VOM_ID_FLOAT64 << 1)

/* Passes numbers and their commas; how many. The lexer stands behind a comma. */
uint32_t vom_json_run_skip(struct vom_json_lex *l);
/*
 * The same, but writes the numbers as elements of the type, at most max; no token is peeked. A
 * number stood before the comma and has become an element in the general way, so numbers do fit.
 * Room in the output that may not be had is left to the general way as well.
 */
uint32_t vom_json_run_put(struct vom_json_conv *c, const struct vom_type *elem, uint32_t max);

/* Whether the element that was read from there, in the general way, is a double. */
static inline bool vom_json_run_is_double(const struct vom_type *elem, const uint8_t *at)
{
    return elem->kind == VOM_KIND_FLOAT64 ||
           (elem->kind == VOM_KIND_ANY && *at == VOM_JSON_RUN_DOUBLE);
}
/*
 * The way back, behind such an element: takes more of them as long as they are finite, at most max,
 * and writes their texts with a comma before each.
 */
size_t vom_json_run_write(struct buf *out, struct vom_reader *r, const struct vom_type *elem,
                          size_t max);

#endif

/* Unsigned decimal numbers with the reference's error texts; private to naming. */
#ifndef NAMING_NUMBER_H
#define NAMING_NUMBER_H

#include <stdint.h>
#include "base/error.h"
#include "base/span.h"

/*
 * Parses digits, at least one, leading zeros allowed. WSPR_EINVAL 'strconv.ParseUint: parsing
 * "...": invalid syntax' or '...: value out of range' for what is above max.
 */
int naming_number_parse(struct span text, uint64_t max, uint64_t *ret_value, struct err *e);

#endif

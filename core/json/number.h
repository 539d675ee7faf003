/* Numbers as text. Independent of the locale. */
#ifndef JSON_NUMBER_H
#define JSON_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/span.h"

#define JSON_NUMBER_SIZE 32

/*
 * The shortest text that reads back as v: plain if its decimal exponent is in -4…5, else
 * d.ddde±XX; "NaN", "+Inf", "-Inf". Ends in a NUL; returns the length. spec: vom B.1.1
 */
size_t json_number_format_double(char out[JSON_NUMBER_SIZE], double v);
/* The same for a single-precision number: fewer digits tell it from its neighbours. */
size_t json_number_format_float(char out[JSON_NUMBER_SIZE], double v);
size_t json_number_format_int(char out[JSON_NUMBER_SIZE], int64_t v);
size_t json_number_format_uint(char out[JSON_NUMBER_SIZE], uint64_t v);

/* Results of parsing, in the words of error texts. */
enum json_parsed { JSON_PARSED, JSON_BAD_SYNTAX, JSON_OUT_OF_RANGE };

/*
 * Decimal digits with an optional sign (int: + or -, uint: none) in min…max or 0…max. Digits that
 * pass the range are reported before a syntax error behind them.
 */
enum json_parsed json_number_parse_int(struct span s, int64_t min, int64_t max, int64_t *ret);
enum json_parsed json_number_parse_uint(struct span s, uint64_t max, uint64_t *ret);
/* Decimal floating point text, rounded to the nearest double; no names, no hexadecimal. */
enum json_parsed json_number_parse_double(struct span s, double *ret);
/* The double nearest to digits / 10^fraction; false if it takes the general way to find it. */
bool json_number_scale(uint64_t digits, unsigned fraction, double *ret);
/* The nearest single-precision number, widened. */
enum json_parsed json_number_parse_float(struct span s, double *ret);

#endif

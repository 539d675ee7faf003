/*
 * Reading JSON text: a strict syntax check, then pulling values out of the checked text.
 *
 * The check (json_scan) is one pass over the first value of the text; it is iterative, so that a
 * peer can spend no stack, and it bounds nesting. Whatever follows the first value is ignored. A
 * reader walks text that was checked: it meets no syntax error any more, only values of another
 * kind than the caller wants, and it may be copied to look ahead. Nothing here keeps state between
 * calls; any thread. spec: websocket 5.1
 *
 * Invalid UTF-8 in a string stands for U+FFFD, one for each bad byte, and so does each \u escape of
 * an unpaired surrogate; with JSON_STRICT the check reports the former instead.
 */
#ifndef JSON_READER_H
#define JSON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"

#define JSON_DEPTH_MAX 10000 /* deepest nesting that can be asked for, and the usual limit */

#define JSON_STRICT 1u /* invalid UTF-8 is an error */

enum json_kind {
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

/*
 * Finds the first value of text. 0 and *ret_value is its text without white space around it, or
 *   WSPR_ETRUNC  the text ends too early: "EOF" if it is blank, else "unexpected EOF"
 *   WSPR_EINVAL  "invalid character 'c' " and where
 *   WSPR_ELIMIT  arrays and objects nest deeper than max_depth (0 means JSON_DEPTH_MAX)
 *   WSPR_EPROTO  JSON_STRICT and a string is not valid UTF-8
 */
int json_scan(struct span text, size_t max_depth, unsigned flags, struct span *ret_value,
              struct err *e);

/* A position in checked text: the next value, member or end. */
struct json_reader {
    const uint8_t *p;
    const uint8_t *end;
};

/* Checks text like json_scan and puts the reader before its first value. */
int json_reader_init(struct json_reader *r, struct span text, size_t max_depth, unsigned flags,
                     struct err *e);
/* Puts the reader before a value that was checked already: what json_scan or json_reader_raw gave.
 */
void json_reader_at(struct json_reader *r, struct span value);

/* Kind of the next value. Legal only where a value stands. */
enum json_kind json_reader_peek(struct json_reader *r);

/*
 * Each of these takes the next value. If it has another kind they return WSPR_ETYPE and leave it
 * there, so that the caller may skip it.
 */
int json_reader_null(struct json_reader *r);
int json_reader_bool(struct json_reader *r, bool *ret);
/* The literal as it was written. */
int json_reader_number(struct json_reader *r, struct span *ret_literal);
/*
 * An integer without fraction and exponent in min…max. Any other number is WSPR_ETYPE too, but it
 * is taken, and its literal is in *ret_literal (may be NULL); ret_literal->len is 0 if the value
 * was no number.
 */
int json_reader_int(struct json_reader *r, int64_t min, int64_t max, int64_t *ret,
                    struct span *ret_literal);
int json_reader_uint(struct json_reader *r, uint64_t max, uint64_t *ret, struct span *ret_literal);
/* A number as the nearest double; one that is too large for any is taken and WSPR_ELIMIT. */
int json_reader_double(struct json_reader *r, double *ret, struct span *ret_literal);
/*
 * The characters of a string: a part of the text if it needs no change, else memory of the arena.
 * WSPR_ENOMEM and WSPR_ELIMIT (the arena's maximum) leave the string there.
 */
int json_reader_string(struct json_reader *r, struct arena *a, struct span *ret);
/* The same, appended to a buffer (which keeps its own error). */
int json_reader_string_buf(struct json_reader *r, struct buf *out);

/*
 * Arrays and objects: enter, then ask for each element or member before reading its value. The
 * answer 0 means that the end was taken.
 *
 *     json_reader_enter_object(&r);
 *     while ((n = json_reader_member(&r, arena, &name)) > 0)
 *         … read or skip one value …
 */
int json_reader_enter_array(struct json_reader *r);
int json_reader_enter_object(struct json_reader *r);
int json_reader_element(struct json_reader *r);
/* Takes the name and the colon; errors as of json_reader_string. */
int json_reader_member(struct json_reader *r, struct arena *a, struct span *ret_name);

/* Takes the next value whatever it is. */
void json_reader_skip(struct json_reader *r);
/* Takes the next value and gives its text. */
struct span json_reader_raw(struct json_reader *r);

/* The characters between the quotes of a checked string literal (quotes included). */
int json_unquote(struct span literal, struct arena *a, struct span *ret);

#endif

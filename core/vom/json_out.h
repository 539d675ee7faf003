/*
 * VOM to JSON text (spec: vom B.1, websocket 14), straight from the decoder's pull reader or from a
 * value; no tree is made.
 *
 * What is written is valid JSON: characters that are not printable as \u escapes, bytes that are no
 * UTF-8 as U+FFFD, NaN and infinities as null. VOM_JSON_REFERENCE writes as the reference did
 * instead (\x01, \a, \U000e0001, NaN): for comparison with recorded texts only.
 *
 * Structs show every field, also those that the wire leaves out. Within one value each pointer may
 * occur once, and nil pointers count as one pointer: otherwise WSPR_EINVAL "can only convert trees
 * to JSON". Other errors: those of reading the message (dec.h); WSPR_EINVAL for complex numbers and
 * what is no VOM type; WSPR_ELIMIT, WSPR_ENOMEM. After an error out is as long as before; an error
 * of the buffer itself stays set in it.
 */
#ifndef VOM_JSON_OUT_H
#define VOM_JSON_OUT_H

#include "base/buf.h"
#include "base/error.h"
#include "vom/dec.h"
#include "vom/value.h"

#define VOM_JSON_REFERENCE 1u

/* Appends the value of a message that vom_dec_next() found; its body must be used up by it. */
int vom_json_write_msg(struct buf *out, struct vom_dec *dec, const struct vom_msg *msg,
                       unsigned flags, struct err *e);
/* Appends the value of the type that the reader is before. */
int vom_json_write_next(struct buf *out, struct vom_reader *r, const struct vom_type *t,
                        unsigned flags);
/* Appends a value; one without type (no value) is null. */
int vom_json_write_value(struct buf *out, const struct vom_value *v, unsigned flags, struct err *e);

/* Appends a field's name as members have it: the first character in lower case, not quoted. */
void vom_json_field_name(struct buf *out, struct span name);

#endif

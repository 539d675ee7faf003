/*
 * JSON text to VOM by the declared type (spec: vom B.2, websocket 14), straight into an encoder.
 *
 * The text may be any JSON and what the reference's own tokenizer took besides: leading zeros, \x
 * and octal escapes, raw control characters, Unicode white space. Only its first value is read.
 * Integers and floats may be strings; byte lists may be strings (their UTF-8 bytes); struct members
 * may come in any order. Where the reference fails on sound input (bytes from 128 on, unregistered
 * structs, nulls in pointer lists) the value is converted.
 */
#ifndef VOM_JSON_IN_H
#define VOM_JSON_IN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "vom/enc.h"
#include "vom/type.h"

enum { VOM_JSON_DONE, VOM_JSON_NIL };

/*
 * Appends the value as one message, with the definitions it needs. An interface type takes the type
 * of its content. scratch is used during the call only; the caller resets it.
 *
 * VOM_JSON_DONE, or
 *   VOM_JSON_NIL  null, or "" for an error, at the top of an interface type: there is no message
 *                 for that and nothing was written ("vom: can't encode untyped nil value")
 *   WSPR_EINVAL   the text is broken or does not fit the type, with the reference's sentence,
 *                 "error transcoding json to object: … (JSON was …)" or "error decoding transcoded
 *                 json: …"
 *   WSPR_ELIMIT   too deep (VOM_DEPTH_MAX), or more than scratch or out may hold
 *   WSPR_ENOMEM
 *
 * After an error no part of the value is in out; definitions may be, and count as sent.
 */
int vom_json_encode(struct vom_enc *enc, struct buf *out, const struct vom_type *t,
                    struct span text, struct arena *scratch, struct err *e);

#endif

/*
 * VOM encoder: one direction of one flow, or one blob (spec: vom A.1 to A.7).
 *
 * It remembers which types its stream has defined; the bytes go to the caller's buffer, which is
 * given per value. Types must outlive the encoder (or its reset), unless a `keep` arena is set. No
 * heap memory is used before the ninth type, the ninth pointer of one value, or an interface with a
 * type that is new to the stream.
 */
#ifndef VOM_ENC_H
#define VOM_ENC_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "vom/preset.h"
#include "vom/ptrmap.h"
#include "vom/value.h"

#define VOM_ENC_INLINE VOM_PTRMAP_FEW

struct vom_enc_type {
    const struct vom_type *type;
    uint32_t hash;
    uint32_t next; /* stack of types to be defined */
};

struct vom_enc {
    struct arena *keep;
    struct vom_enc_type *more; /* once the few are full; entry i has id 65 + i */
    size_t n_types, cap_types;
    struct vom_ptrmap known; /* ids of descriptors that were met: a cache */
    struct vom_ptrmap refs;  /* numbers of pointer targets */
    uint64_t next_ref;
    unsigned unlike;  /* comparisons that were in vain */
    struct buf defs;  /* definitions met inside the value */
    struct buf *out;  /* while a value is being written, else NULL */
    size_t start;     /* lengths of out: before the definitions of the value's type, */
    size_t message;   /* before the message, */
    size_t body;      /* before the value */
    size_t old_types; /* n_types at the start */
    uint64_t id;
    struct vom_enc_type few[VOM_ENC_INLINE];
};

void vom_enc_init(struct vom_enc *enc);
/* A fresh stream; memory is kept. */
void vom_enc_reset(struct vom_enc *enc);
void vom_enc_done(struct vom_enc *enc);
/* From now on types are copied to the arena when they are first met, so the caller's may go. */
void vom_enc_keep(struct vom_enc *enc, struct arena *keep);
/* Starts a fresh stream with the definitions of the preset. */
void vom_enc_prime(struct vom_enc *enc, struct buf *out, const struct vom_preset *preset);

/*
 * Appends the definitions that are needed and one value message. The message id is that of v's own
 * type, so a value of interface type is sent as one.
 *
 * Errors: WSPR_EINVAL, with a text of spec A.7, if the value is nested deeper than VOM_DEPTH_MAX or
 * a part does not have the type that its place demands: new definitions remain written, as in the
 * reference. WSPR_ENOMEM, WSPR_ELIMIT: nothing is written, but out may have its error set. The
 * encoder stays usable.
 */
int vom_enc_value(struct vom_enc *enc, struct buf *out, const struct vom_value *v, struct err *err);

/* A stand-alone blob: the stream of a fresh encoder with one value. */
int vom_encode(struct buf *out, const struct vom_value *v, struct err *err);

/*
 * Writing a value without building it first:
 *
 *     vom_enc_begin(enc, out, type, err)      definitions of the type; the message starts
 *     vom_put_…(out, …)                       the value, by the layout of spec A.6
 *     vom_enc_any(enc, content_type, err)     a non-nil interface: its definitions, its id
 *     vom_enc_end(enc, err)                   or vom_enc_abort(enc): no value after all
 *
 * Between begin and end nobody else may touch `out`. Errors as above; after one call
 * vom_enc_abort(), which takes the value's bytes back but leaves definitions.
 */
int vom_enc_begin(struct vom_enc *enc, struct buf *out, const struct vom_type *t, struct err *err);
int vom_enc_any(struct vom_enc *enc, const struct vom_type *t, struct err *err);
int vom_enc_end(struct vom_enc *enc, struct err *err);
void vom_enc_abort(struct vom_enc *enc);
/* Writes v inside the message (with the definitions of interface contents), without an id. */
int vom_enc_put(struct vom_enc *enc, const struct vom_value *v, struct err *err);
/* The number of the next pointer's first occurrence; write it with vom_put_int(out, -number). */
uint64_t vom_enc_new_ref(struct vom_enc *enc);

/* The primitive encodings (spec: vom A.2). Errors stick to the buffer. */
void vom_put_uint(struct buf *out, uint64_t v);
void vom_put_int(struct buf *out, int64_t v);
void vom_put_float(struct buf *out, double v);
void vom_put_bool(struct buf *out, bool v);
void vom_put_bytes(struct buf *out, struct span s); /* count and bytes: string and bytes */
/*
 * A uint that is known later: reserve one byte with vom_put_uint(out, 0), remember its offset from
 * buf_data, then set it; what stands behind moves if the number needs more bytes.
 */
void vom_put_uint_at(struct buf *out, size_t offset, uint64_t v);

/*
 * Whether the encoding of one value of the type says zero, so that a struct field of it must be
 * left out: for writers that learn only afterwards what they wrote.
 */
bool vom_encoded_is_zero(const struct vom_type *t, struct span encoded);

#endif

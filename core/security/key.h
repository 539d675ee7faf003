/*
 * Keys on NIST P-256 and raw ECDSA signatures (spec: security 2). Messages are not hashed: the
 * leftmost 32 bytes count, whoever signs passes a digest. All objects are immutable once made and
 * may be used by any thread; nothing here has global state.
 */
#ifndef SECURITY_KEY_H
#define SECURITY_KEY_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"

struct vom_value;

#define SECURITY_SCALAR_LEN 32
#define SECURITY_POINT_LEN  65
#define SECURITY_DIGEST_LEN 32

/* A public key that was checked: 04, X, Y, a point of the curve. A plain value, copy it freely. */
struct security_pubkey {
    uint8_t xy[SECURITY_POINT_LEN];
};

/* 65 bytes that are a point of the curve, else WSPR_ECRYPTO (spec: security 2.1). */
int security_pubkey_parse(struct span xy, struct security_pubkey *ret_key, struct err *e);
bool security_pubkey_equal(const struct security_pubkey *a, const struct security_pubkey *b);

/* A private key, counted atomically; its scalar is wiped when the last reference goes. */
struct security_key;

/* The caller owns one reference to the result. WSPR_ECRYPTO if no random bytes can be had. */
int security_key_generate(struct security_key **ret_key, struct err *e);
/*
 * From a big-endian scalar of 1 to 32 significant bytes, leading zeros allowed. WSPR_ECRYPTO unless
 * 1 <= d < N. The error text never holds the scalar.
 */
int security_key_from_scalar(struct span d, struct security_key **ret_key, struct err *e);
struct security_key *security_key_ref(struct security_key *k);
void security_key_unref(struct security_key *k); /* accepts NULL */
const struct security_pubkey *security_key_public(const struct security_key *k);
/* The scalar without leading zero bytes, for encoding; borrowed. Whoever copies it wipes the copy.
 */
struct span security_key_scalar(const struct security_key *k);

/* A signature as it travels: the bytes are kept as they came. Borrowed. */
struct security_signature {
    struct span hash, r, s;
};

bool security_signature_equal(const struct security_signature *a,
                              const struct security_signature *b);

/* A signature that was just made: R and S without leading zeros. */
struct security_signed {
    uint8_t r[SECURITY_SCALAR_LEN], s[SECURITY_SCALAR_LEN];
    uint8_t r_len, s_len;
};

/* Valid as long as the argument stays where it is. */
static inline struct security_signature security_signed_view(const struct security_signed *s)
{
    return (struct security_signature){{NULL, 0}, {s->r, s->r_len}, {s->s, s->s_len}};
}

/* Signs with a random nonce. WSPR_ECRYPTO if no random bytes can be had. Costs about 0.1 ms. */
int security_sign(const struct security_key *k, struct span message,
                  struct security_signed *ret_signed, struct err *e);
/* The hash name of the signature does not matter here (spec: security 2.3). */
bool security_verify(const struct security_pubkey *k, struct span message,
                     const struct security_signature *s);

/*
 * The VOM form of a signature on a stream of its own (spec: stream 8.3). Decoding accepts any legal
 * encoding; the spans of the result point into the input or the arena.
 */
int security_signature_encode(struct buf *out, const struct security_signature *s);
int security_signature_decode(struct span vom, struct arena *a,
                              struct security_signature *ret_signature, struct err *e);
/* The same from a value that was decoded already. */
int security_signature_from_value(struct arena *a, const struct vom_value *v,
                                  struct security_signature *ret_signature, struct err *e);

#endif

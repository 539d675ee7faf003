/*
 * Public and private identities (spec: security 3, 5, 6, 9).
 *
 * An identity that exists is sound: its names are valid, its keys are points of the curve, each
 * certificate is signed by the key before it, a set has at least two members over one key, a scalar
 * belongs to the public key. Whether it is trusted, expired or allowed to do anything is another
 * question (trust.h, caveat.h, acl.h).
 *
 * Identities are immutable and counted atomically: any thread may read, ref and unref them. There
 * is no global state. Functions that return one give the caller a reference.
 */
#ifndef SECURITY_IDENTITY_H
#define SECURITY_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"
#include "security/key.h"

struct security_rule;
struct security_trust;
struct vom_value;

/* Bounds of what is decoded or made (WSPR_ELIMIT). */
#define SECURITY_IDENTITY_MAX 131072u /* bytes of the encoded form */
#define SECURITY_CERTS_MAX    128u    /* certificates, all chains of a set together */
#define SECURITY_CAVEATS_MAX  1024u   /* caveats of an identity or discharge */
#define SECURITY_LISTED_MAX   1024u   /* methods and patterns in these: each call looks at all */
#define SECURITY_SET_DEPTH    8u      /* sets in sets */

/* Decode flag: accept placeholder identities, which anybody can claim. For tests only. */
#define SECURITY_ALLOW_PLACEHOLDERS 1u

/* A caveat in a certificate or discharge: a pattern, and a VOM stream of its own. Borrowed. */
struct security_caveat {
    struct span service, bytes;
};

struct security_certificate {
    struct span name;
    struct security_pubkey key;
    const struct security_caveat *caveats;
    size_t n_caveats;
    struct security_signature signature;
    const struct security_rule *rules; /* what the caveats say; internal */
};

enum security_variant { SECURITY_CHAIN, SECURITY_SET, SECURITY_PLACEHOLDER };

/* Public identities. */

struct security_identity;

/*
 * Decodes and verifies the VOM form, any legal encoding of it. Costs one verification (about a
 * third of a millisecond) per certificate. Bytes after the value are WSPR_EPROTO, a nil identity is
 * WSPR_EINVAL, broken signatures and keys are WSPR_ECRYPTO.
 */
int security_identity_decode(struct span vom, unsigned flags, struct security_identity **ret_id,
                             struct err *e);
/* The same from a value that was decoded already, such as a blessing in a request. */
int security_identity_from_value(const struct vom_value *v, unsigned flags,
                                 struct security_identity **ret_id, struct err *e);
/*
 * Appends the VOM form as a stream of its own. WSPR_ENOMEM, WSPR_ELIMIT (the buffer's maximum); the
 * buffer keeps the error too, as with all writers here.
 */
int security_identity_encode(struct buf *out, const struct security_identity *id);
/* The value to encode, in the arena; it borrows from the identity. */
int security_identity_value(struct arena *a, const struct security_identity *id,
                            struct vom_value *ret_v);
struct security_identity *security_identity_ref(struct security_identity *id);
void security_identity_unref(struct security_identity *id); /* accepts NULL */

enum security_variant security_identity_variant(const struct security_identity *id);
/* The key that the holder must have. */
const struct security_pubkey *security_identity_key(const struct security_identity *id);
/* The certificates of a chain; none for other variants. Borrowed. */
const struct security_certificate *security_identity_certs(const struct security_identity *id,
                                                           size_t *ret_n);
/* The members of a set; none for other variants. Borrowed. */
struct security_identity *const *security_identity_members(const struct security_identity *id,
                                                           size_t *ret_n);
/* Same variant, same certificates with the same bytes and signatures, same order. */
bool security_identity_equal(const struct security_identity *a, const struct security_identity *b);

/*
 * The names of an identity, in order: those of its chains whose root is trusted. Returns how many
 * there are and writes the first `max` of them to names (may be NULL if max is 0). Borrowed from
 * the identity. At most SECURITY_CERTS_MAX.
 */
size_t security_identity_names(const struct security_identity *id, const struct security_trust *t,
                               struct span *names, size_t max);
/* Appends the text for people: "root/alice", "unknown/bob", joined by '#' for a set. */
void security_identity_print(struct buf *out, const struct security_identity *id,
                             const struct security_trust *t);

/*
 * A set of n identities over one key; takes references of its own. None gives NULL without an
 * error, one gives that one. WSPR_EINVAL if the keys differ.
 */
int security_identity_set(struct security_identity *const *ids, size_t n,
                          struct security_identity **ret_id, struct err *e);

/* Private identities. */

struct security_private;

int security_private_decode(struct span vom, unsigned flags, struct security_private **ret_id,
                            struct err *e);
int security_private_from_value(const struct vom_value *v, unsigned flags,
                                struct security_private **ret_id, struct err *e);
/*
 * What is appended is secret: use a buffer of its own, of any maximum, and end it with
 * security_buf_wipe.
 */
int security_private_encode(struct buf *out, const struct security_private *id);
/* The value to encode; the arena gets no copy of the scalar. */
int security_private_value(struct arena *a, const struct security_private *id,
                           struct vom_value *ret_v);
struct security_private *security_private_ref(struct security_private *id);
void security_private_unref(struct security_private *id); /* accepts NULL */

enum security_variant security_private_variant(const struct security_private *id);
/* The public part, borrowed. */
struct security_identity *security_private_public(const struct security_private *id);
/* The key that it signs with (that of a set's first member), borrowed. */
struct security_key *security_private_key(const struct security_private *id);
/* "PrivateID:root/alice", "[PrivateID:alice PrivateID:root/alice]". */
void security_private_print(struct buf *out, const struct security_private *id,
                            const struct security_trust *t);
int security_private_set(struct security_private *const *ids, size_t n,
                         struct security_private **ret_id, struct err *e);

/* A name component that may be used: not empty, without '/'. */
bool security_name_is_valid(struct span name);

/*
 * A self-signed identity over a fresh key. WSPR_EINVAL `invalid blessing name:"…"` also for names
 * that are "*" or not UTF-8.
 */
int security_private_new(struct span name, struct security_private **ret_id, struct err *e);
/* The same over a key of the caller's, which is referenced. */
int security_private_new_with_key(struct span name, struct security_key *key,
                                  struct security_private **ret_id, struct err *e);

/* What a blessing grants. Times in nanoseconds since 1970; a duration may be zero or negative. */
struct security_blessing {
    struct span name;
    int64_t now, duration;
    const struct security_caveat *caveats; /* put before the expiry that is always added */
    size_t n_caveats;
};

/* Extends the blesser's identity by a certificate for the key of `blessee`. */
int security_private_bless(const struct security_private *blesser,
                           const struct security_pubkey *blessee, const struct security_blessing *b,
                           struct security_identity **ret_id, struct err *e);
/* Makes a blessing one's own: id with the private key of `priv`, which must fit. */
int security_private_derive(const struct security_private *priv, struct security_identity *id,
                            struct security_private **ret_id, struct err *e);

/* The same for a key alone, which need not have an identity yet. It is referenced. */
int security_private_attach(struct security_key *key, struct security_identity *id,
                            struct security_private **ret_id, struct err *e);

/* Wipes the memory of a buffer that held a secret, then releases it. */
void security_buf_wipe(struct buf *b);

#endif

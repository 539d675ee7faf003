/*
 * Caveats, discharges, and whether an identity may be used in the context of one request (spec:
 * security 8, 9). Everything here is safe in any thread.
 */
#ifndef SECURITY_CAVEAT_H
#define SECURITY_CAVEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"
#include "security/identity.h"
#include "security/key.h"

struct security_trust;
struct security_discharge;
struct vom_value;

#define SECURITY_CAVEAT_ID_LEN 32
#define SECURITY_NONCE_LEN     16

/* The circumstances of a request. All borrowed; zero where there is nothing to say. */
struct security_context {
    int64_t now;                           /* nanoseconds since 1970 */
    const struct security_trust *trust;    /* for the names of local */
    const struct security_identity *local; /* of the side that checks; may be NULL */
    struct span method;                    /* empty on the client's side */
    struct span suffix;
    uint32_t label;
    struct span network; /* protocol of the remote endpoint, "tcp"; empty: not known, denied */
    struct security_discharge *const *discharges; /* of two with one id the last counts */
    size_t n_discharges;
};

/* Discharges whose signatures are verified for one decision, and how deep they may lead on. */
#define SECURITY_DISCHARGES_CHECKED 64
#define SECURITY_DISCHARGE_DEPTH    8

/*
 * Checks the caveats of an identity. A chain passes or fails, a set loses the members that fail;
 * what survives is *ret_id, a new reference. WSPR_ENOTAUTH with the reason if nothing does. Trust
 * does not enter: an untrusted identity passes, and has no names. A chain without third-party
 * caveats allocates nothing; each discharge that is needed costs a verification.
 */
int security_authorize(struct security_identity *id, const struct security_context *c,
                       struct security_identity **ret_id, struct err *e);
/* Checks one caveat: 0, or WSPR_ENOTAUTH, also for one that applies and cannot be decoded. */
int security_caveat_check(const struct security_caveat *caveat, const struct security_context *c,
                          struct err *e);

/*
 * The earliest expiry among all caveats of the identity, nanoseconds since 1970; INT64_MAX if there
 * is none. Caveats that cannot be decoded do not count.
 */
int64_t security_identity_expires(const struct security_identity *id);

/* Writers of first-party caveats: append a VOM stream, the `bytes` of a security_caveat. */
int security_caveat_expiry(struct buf *out, int64_t issued, int64_t expires);
int security_caveat_methods(struct buf *out, const struct span *methods, size_t n);
int security_caveat_peers(struct buf *out, const struct span *patterns, size_t n);
int security_caveat_network(struct buf *out, struct span network);

/* A third-party caveat: somebody at `location` must be asked for a discharge. */
struct security_third_party {
    struct span service; /* pattern: which verifiers it concerns */
    struct span bytes;   /* the caveat itself, a VOM stream: what the discharger is sent */
    struct span nonce, minting, location;
    struct security_pubkey key;
    bool key_valid; /* false: the key is no point of the curve, no discharge can ever do */
    uint8_t id[SECURITY_CAVEAT_ID_LEN];
};

/*
 * Decodes a caveat if it is a third-party one: 1, or 0 if it is something else, or a negative error
 * if it is garbage. The result lives in the arena; its service is that of the caveat.
 */
int security_third_party_decode(struct arena *a, const struct security_caveat *caveat,
                                struct security_third_party *ret_caveat, struct err *e);

#define SECURITY_THIRD_PARTY_MAX 64 /* that one identity may have */
/*
 * The third-party caveats of an identity, each id once; caveats that cannot be decoded are left
 * out. Calls fn for each until it returns nonzero, and returns that. WSPR_ELIMIT after the first
 * SECURITY_THIRD_PARTY_MAX.
 */
int security_third_party_each(const struct security_identity *id,
                              int (*fn)(void *arg, const struct security_third_party *), void *arg);
/* Appends the VOM stream of a new third-party caveat with a random nonce. */
int security_third_party_make(struct buf *out, const struct security_pubkey *discharger,
                              struct span location, struct span minting, struct err *e);

/* A discharge, counted atomically, immutable. */
int security_discharge_decode(struct span vom, struct security_discharge **ret_discharge,
                              struct err *e);
int security_discharge_from_value(const struct vom_value *v,
                                  struct security_discharge **ret_discharge, struct err *e);
int security_discharge_encode(struct buf *out, const struct security_discharge *d);
int security_discharge_value(struct arena *a, const struct security_discharge *d,
                             struct vom_value *ret_v);
struct security_discharge *security_discharge_ref(struct security_discharge *d);
void security_discharge_unref(struct security_discharge *d); /* accepts NULL */
struct span security_discharge_id(const struct security_discharge *d);
const struct security_caveat *security_discharge_caveats(const struct security_discharge *d,
                                                         size_t *ret_n);
const struct security_signature *security_discharge_signature(const struct security_discharge *d);
/* Bytes of memory that it takes. */
size_t security_discharge_size(const struct security_discharge *d);
/* The earliest expiry among its caveats, as of security_identity_expires. */
int64_t security_discharge_expires(const struct security_discharge *d);

/*
 * Issues a discharge for a caveat, given as a stream of its own: checks its minting caveat in the
 * context, then signs the caveats (copied) followed by an expiry of now + duration.
 */
int security_discharge_mint(const struct security_private *id, struct span caveat,
                            const struct security_context *c, int64_t duration,
                            const struct security_caveat *caveats, size_t n,
                            struct security_discharge **ret_discharge, struct err *e);

#endif

/*
 * The byte strings that are signed: fields with their lengths in front, hashed as they are written
 * (spec: security 5.1). Internal to this folder.
 */
#ifndef SECURITY_DIGEST_H
#define SECURITY_DIGEST_H

#include <nettle/sha2.h>

#include "base/span.h"
#include "security/identity.h"
#include "security/key.h"

struct security_digest {
    struct sha256_ctx sha;
};

void security_digest_init(struct security_digest *d);
void security_digest_u8(struct security_digest *d, uint8_t v);
void security_digest_u32(struct security_digest *d, uint32_t v);
/* Length and bytes. */
void security_digest_span(struct security_digest *d, struct span s);
void security_digest_end(struct security_digest *d, uint8_t out[SECURITY_DIGEST_LEN]);

/* What the signature of c is made over; issuer is the signature before it, NULL for the first. */
void security_digest_certificate(const struct security_certificate *c,
                                 const struct security_signature *issuer,
                                 uint8_t out[SECURITY_DIGEST_LEN]);
void security_digest_discharge(struct span id, const struct security_caveat *caveats, size_t n,
                               uint8_t out[SECURITY_DIGEST_LEN]);

#define SECURITY_HASHED_MAX 64
/*
 * Applies the hash function of that name: "" is none. Returns the length of the result, 0 for an
 * unknown name.
 */
size_t security_digest_apply(struct span hash, const uint8_t digest[SECURITY_DIGEST_LEN],
                             uint8_t out[SECURITY_HASHED_MAX]);

#endif

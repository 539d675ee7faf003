#include "config.h"
#include "security/digest.h"

#include <nettle/sha1.h>

void security_digest_init(struct security_digest *d)
{
    sha256_init(&d->sha);
}

void security_digest_u8(struct security_digest *d, uint8_t v)
{
    sha256_update(&d->sha, 1, &v);
}

void security_digest_u32(struct security_digest *d, uint32_t v)
{
    uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

    sha256_update(&d->sha, sizeof b, b);
}

void security_digest_span(struct security_digest *d, struct span s)
{
    uint64_t v = (uint64_t)s.len * 2; /* lengths are signed varints, in zigzag form */
    uint8_t b[10];
    size_t n = 0;

    while (v >= 0x80) {
        b[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    b[n++] = (uint8_t)v;
    sha256_update(&d->sha, n, b);
    if (s.len > 0)
        sha256_update(&d->sha, s.len, s.p);
}

void security_digest_end(struct security_digest *d, uint8_t out[SECURITY_DIGEST_LEN])
{
    sha256_digest(&d->sha, SECURITY_DIGEST_LEN, out);
}

static void digest_caveats(struct security_digest *d, const struct security_caveat *caveats,
                           size_t n)
{
    for (size_t i = 0; i < n; i++) {
        security_digest_span(d, caveats[i].service);
        security_digest_span(d, caveats[i].bytes);
    }
}

void security_digest_certificate(const struct security_certificate *c,
                                 const struct security_signature *issuer,
                                 uint8_t out[SECURITY_DIGEST_LEN])
{
    static const struct security_signature none = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    struct security_digest d;

    if (issuer == NULL)
        issuer = &none;
    security_digest_init(&d);
    if (issuer->hash.len > 0)
        security_digest_span(&d, issuer->hash);
    security_digest_span(&d, issuer->r);
    security_digest_span(&d, issuer->s);
    security_digest_span(&d, c->name);
    security_digest_u8(&d, 0); /* the only curve there is */
    security_digest_span(&d, span_of(c->key.xy, sizeof c->key.xy));
    security_digest_u32(&d, (uint32_t)c->n_caveats);
    digest_caveats(&d, c->caveats, c->n_caveats);
    security_digest_end(&d, out);
}

void security_digest_discharge(struct span id, const struct security_caveat *caveats, size_t n,
                               uint8_t out[SECURITY_DIGEST_LEN])
{
    struct security_digest d;

    security_digest_init(&d);
    security_digest_span(&d, id);
    digest_caveats(&d, caveats, n);
    security_digest_end(&d, out);
}

size_t security_digest_apply(struct span hash, const uint8_t digest[SECURITY_DIGEST_LEN],
                             uint8_t out[SECURITY_HASHED_MAX])
{
    union {
        struct sha1_ctx sha1;
        struct sha256_ctx sha256;
        struct sha512_ctx sha512;
    } h;

    if (hash.len == 0) {
        memcpy(out, digest, SECURITY_DIGEST_LEN);
        return SECURITY_DIGEST_LEN;
    }
    if (span_equal_str(hash, "SHA1")) {
        sha1_init(&h.sha1);
        sha1_update(&h.sha1, SECURITY_DIGEST_LEN, digest);
        sha1_digest(&h.sha1, SHA1_DIGEST_SIZE, out);
        return SHA1_DIGEST_SIZE;
    }
    if (span_equal_str(hash, "SHA256")) {
        sha256_init(&h.sha256);
        sha256_update(&h.sha256, SECURITY_DIGEST_LEN, digest);
        sha256_digest(&h.sha256, SHA256_DIGEST_SIZE, out);
        return SHA256_DIGEST_SIZE;
    }
    if (span_equal_str(hash, "SHA384")) {
        sha384_init(&h.sha512);
        sha384_update(&h.sha512, SECURITY_DIGEST_LEN, digest);
        sha384_digest(&h.sha512, SHA384_DIGEST_SIZE, out);
        return SHA384_DIGEST_SIZE;
    }
    if (span_equal_str(hash, "SHA512")) {
        sha512_init(&h.sha512);
        sha512_update(&h.sha512, SECURITY_DIGEST_LEN, digest);
        sha512_digest(&h.sha512, SHA512_DIGEST_SIZE, out);
        return SHA512_DIGEST_SIZE;
    }
    return 0;
}

/*
 * P-256 by nettle. Numbers of nettle and GMP live for one operation; what held a secret is wiped
 * before it is released. (GMP ends the process if it cannot have a few hundred bytes: it has no
 * other way.)
 */
#include "config.h"
#include "security/key.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <gnutls/crypto.h>
#include <nettle/dsa.h>
#include <nettle/ecc-curve.h>
#include <nettle/ecc.h>
#include <nettle/ecdsa.h>

#include "base/mem.h"
#include "security/internal.h"
#include "wspr/error.h"

struct security_key {
    atomic_uint refs;
    uint8_t d[SECURITY_SCALAR_LEN]; /* big-endian, padded with zeros */
    struct security_pubkey pub;
};

static const struct ecc_curve *curve(void)
{
    return nettle_get_secp_256r1();
}

/* Numbers and their bytes. */

static void number_import(mpz_t z, struct span bytes)
{
    mpz_import(z, bytes.len, 1, 1, 1, 0, bytes.p);
}

/* Big-endian, padded to the full length. The number fits. */
static void number_export(uint8_t out[SECURITY_SCALAR_LEN], const mpz_t z)
{
    size_t n = mpz_sgn(z) == 0 ? 0 : (mpz_sizeinbase(z, 2) + 7) / 8;

    assert(n <= SECURITY_SCALAR_LEN);
    memset(out, 0, SECURITY_SCALAR_LEN - n);
    mpz_export(out + SECURITY_SCALAR_LEN - n, NULL, 1, 1, 1, 0, z);
}

static void number_wipe(mpz_t z)
{
    size_t n = mpz_size(z);

    if (n > 0)
        mem_wipe(mpz_limbs_modify(z, (mp_size_t)n), n * sizeof(mp_limb_t));
    mpz_clear(z);
}

static void scalar_wipe(struct ecc_scalar *s)
{
    mem_wipe(s->p, (size_t)ecc_size(s->ecc) * sizeof(mp_limb_t));
    ecc_scalar_clear(s);
}

static struct span strip_zeros(struct span s)
{
    while (s.len > 0 && s.p[0] == 0) {
        s.p++;
        s.len--;
    }
    return s;
}

/* Whether the scalar is in 1…N-1; it is initialized in any case. */
static bool scalar_init(struct ecc_scalar *s, struct span d)
{
    mpz_t z;
    int ok;

    ecc_scalar_init(s, curve());
    mpz_init2(z, 8 * SECURITY_SCALAR_LEN);
    number_import(z, d);
    ok = ecc_scalar_set(s, z);
    number_wipe(z);
    return ok != 0;
}

/* Random bytes for nettle, which has no way to be told that there are none. */
struct randomness {
    gnutls_rnd_level_t level;
    bool failed;
};

static void randomness_draw(void *ctx, size_t len, uint8_t *out)
{
    struct randomness *r = ctx;

    if (gnutls_rnd(r->level, out, len) != 0) {
        r->failed = true;
        memset(out, 1, len); /* in range, so that nettle does not ask again; never used */
    }
}

static int no_randomness(struct err *e)
{
    return err_set(e, WSPR_ECRYPTO, "no random bytes");
}

/* Public keys. */

/* Whether the point is on the curve; it is initialized in any case. */
static bool point_init(struct ecc_point *p, const struct security_pubkey *k)
{
    mpz_t x, y;
    int ok;

    ecc_point_init(p, curve());
    mpz_init2(x, 8 * SECURITY_SCALAR_LEN);
    mpz_init2(y, 8 * SECURITY_SCALAR_LEN);
    number_import(x, span_of(k->xy + 1, SECURITY_SCALAR_LEN));
    number_import(y, span_of(k->xy + 1 + SECURITY_SCALAR_LEN, SECURITY_SCALAR_LEN));
    ok = ecc_point_set(p, x, y);
    mpz_clear(x);
    mpz_clear(y);
    return ok != 0;
}

static void point_export(struct security_pubkey *k, const struct ecc_point *p)
{
    mpz_t x, y;

    mpz_init(x);
    mpz_init(y);
    ecc_point_get(p, x, y);
    k->xy[0] = 4;
    number_export(k->xy + 1, x);
    number_export(k->xy + 1 + SECURITY_SCALAR_LEN, y);
    mpz_clear(x);
    mpz_clear(y);
}

int security_pubkey_parse(struct span xy, struct security_pubkey *ret_key, struct err *e)
{
    struct security_pubkey k;
    struct ecc_point p;
    bool ok;

    if (xy.len != SECURITY_POINT_LEN || xy.p[0] != 4)
        return err_set(e, WSPR_ECRYPTO, "public key is not an uncompressed point of P-256");
    memcpy(k.xy, xy.p, sizeof k.xy);
    ok = point_init(&p, &k);
    ecc_point_clear(&p);
    if (!ok)
        return err_set(e, WSPR_ECRYPTO, "public key is not a point of P-256");
    *ret_key = k;
    return 0;
}

bool security_pubkey_equal(const struct security_pubkey *a, const struct security_pubkey *b)
{
    return memcmp(a->xy, b->xy, sizeof a->xy) == 0;
}

/* Private keys. */

static int key_make(const struct ecc_scalar *s, const struct ecc_point *p,
                    struct security_key **ret_key, struct err *e)
{
    struct security_key *k = malloc(sizeof *k);
    mpz_t z;

    if (k == NULL)
        return security_fail(e, WSPR_ENOMEM);
    atomic_init(&k->refs, 1);
    mpz_init2(z, 8 * SECURITY_SCALAR_LEN);
    ecc_scalar_get(s, z);
    number_export(k->d, z);
    number_wipe(z);
    point_export(&k->pub, p);
    *ret_key = k;
    return 0;
}

int security_key_generate(struct security_key **ret_key, struct err *e)
{
    struct randomness r = {.level = GNUTLS_RND_KEY};
    struct ecc_scalar s;
    struct ecc_point p;
    int ret;

    ecc_scalar_init(&s, curve());
    ecc_point_init(&p, curve());
    ecdsa_generate_keypair(&p, &s, &r, randomness_draw);
    ret = r.failed ? no_randomness(e) : key_make(&s, &p, ret_key, e);
    ecc_point_clear(&p);
    scalar_wipe(&s);
    return ret;
}

int security_key_from_scalar(struct span d, struct security_key **ret_key, struct err *e)
{
    struct ecc_scalar s;
    struct ecc_point p;
    int ret;

    d = strip_zeros(d);
    if (d.len > SECURITY_SCALAR_LEN)
        return err_set(e, WSPR_ECRYPTO, "private key is out of range");
    if (!scalar_init(&s, d)) {
        scalar_wipe(&s);
        return err_set(e, WSPR_ECRYPTO, "private key is out of range");
    }
    ecc_point_init(&p, curve());
    ecc_point_mul_g(&p, &s);
    ret = key_make(&s, &p, ret_key, e);
    ecc_point_clear(&p);
    scalar_wipe(&s);
    return ret;
}

struct security_key *security_key_ref(struct security_key *k)
{
    atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    return k;
}

void security_key_unref(struct security_key *k)
{
    if (k == NULL || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1)
        return;
    mem_wipe(k->d, sizeof k->d);
    free(k);
}

const struct security_pubkey *security_key_public(const struct security_key *k)
{
    return &k->pub;
}

struct span security_key_scalar(const struct security_key *k)
{
    return strip_zeros(span_of(k->d, sizeof k->d));
}

bool security_key_has_scalar(const struct security_key *k, struct span d)
{
    struct span own = security_key_scalar(k);

    d = strip_zeros(d);
    return d.len == own.len && mem_equal_secret(d.p, own.p, d.len);
}

/* Signatures. */

bool security_signature_equal(const struct security_signature *a,
                              const struct security_signature *b)
{
    return span_equal(a->hash, b->hash) && span_equal(a->r, b->r) && span_equal(a->s, b->s);
}

static uint8_t number_export_short(uint8_t out[SECURITY_SCALAR_LEN], const mpz_t z)
{
    size_t n = 0;

    mpz_export(out, &n, 1, 1, 1, 0, z);
    return (uint8_t)n;
}

int security_sign(const struct security_key *k, struct span message,
                  struct security_signed *ret_signed, struct err *e)
{
    struct randomness r = {.level = GNUTLS_RND_RANDOM};
    struct dsa_signature sig;
    struct ecc_scalar s;
    bool ok;

    ok = scalar_init(&s, span_of(k->d, sizeof k->d));
    assert(ok);
    (void)ok;
    dsa_signature_init(&sig);
    ecdsa_sign(&s, &r, randomness_draw, message.len, message.p, &sig);
    if (!r.failed) {
        ret_signed->r_len = number_export_short(ret_signed->r, sig.r);
        ret_signed->s_len = number_export_short(ret_signed->s, sig.s);
    } else {
        /* This signature has a known nonce: it would give the key away. */
        mpz_set_ui(sig.r, 0);
        mpz_set_ui(sig.s, 0);
    }
    dsa_signature_clear(&sig);
    scalar_wipe(&s);
    return r.failed ? no_randomness(e) : 0;
}

bool security_verify(const struct security_pubkey *k, struct span message,
                     const struct security_signature *s)
{
    struct span r = strip_zeros(s->r), t = strip_zeros(s->s);
    struct dsa_signature sig;
    struct ecc_point p;
    bool ok;

    /* What does not fit is not below N either. spec: security 2.3 */
    if (r.len == 0 || t.len == 0 || r.len > SECURITY_SCALAR_LEN || t.len > SECURITY_SCALAR_LEN)
        return false;
    ok = point_init(&p, k);
    if (ok) {
        dsa_signature_init(&sig);
        number_import(sig.r, r);
        number_import(sig.s, t);
        ok = ecdsa_verify(&p, message.len, message.p, &sig) != 0;
        dsa_signature_clear(&sig);
    }
    ecc_point_clear(&p);
    return ok;
}

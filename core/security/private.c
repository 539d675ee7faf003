/* Private identities: a public identity and its key, or a set of those (spec: security 9). */
#include "config.h"
#include "security/private.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "security/digest.h"
#include "security/pattern.h"
#include "wspr/error.h"

struct security_private {
    atomic_uint refs;
    struct security_identity *pub;
    struct security_key *key; /* NULL for a placeholder */
    size_t n_members;
    struct security_private *members[]; /* of a set */
};

static struct security_private *create(size_t n_members)
{
    struct security_private *id = calloc(1, sizeof *id + n_members * sizeof id->members[0]);

    if (id != NULL)
        atomic_init(&id->refs, 1);
    return id;
}

int security_private_create(struct security_identity *pub, struct security_key *key,
                            struct security_private **ret_id, struct err *e)
{
    struct security_private *id = create(0);

    if (id == NULL)
        return security_fail(e, WSPR_ENOMEM);
    id->pub = security_identity_ref(pub);
    id->key = key != NULL ? security_key_ref(key) : NULL;
    *ret_id = id;
    return 0;
}

struct security_private *security_private_ref(struct security_private *id)
{
    atomic_fetch_add_explicit(&id->refs, 1, memory_order_relaxed);
    return id;
}

void security_private_unref(struct security_private *id)
{
    if (id == NULL || atomic_fetch_sub_explicit(&id->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < id->n_members; i++)
        security_private_unref(id->members[i]);
    security_identity_unref(id->pub);
    security_key_unref(id->key);
    free(id);
}

/* A set over a public identity that was made of the members' ones; references both. */
static int create_set(struct security_identity *pub, struct security_private *const *members,
                      size_t n, struct security_private **ret_id, struct err *e)
{
    struct security_private *id = create(n);

    if (id == NULL)
        return security_fail(e, WSPR_ENOMEM);
    for (size_t i = 0; i < n; i++)
        id->members[i] = security_private_ref(members[i]);
    id->n_members = n;
    id->pub = security_identity_ref(pub);
    id->key = members[0]->key != NULL ? security_key_ref(members[0]->key) : NULL;
    *ret_id = id;
    return 0;
}

int security_private_set(struct security_private *const *ids, size_t n,
                         struct security_private **ret_id, struct err *e)
{
    struct security_identity *pubs[SECURITY_CERTS_MAX], *pub;
    int ret;

    if (n <= 1) {
        *ret_id = n == 1 ? security_private_ref(ids[0]) : NULL;
        return 0;
    }
    if (n > SECURITY_CERTS_MAX)
        return err_set(e, WSPR_ELIMIT, "identity is too large");
    for (size_t i = 0; i < n; i++)
        pubs[i] = ids[i]->pub;
    ret = security_identity_set(pubs, n, &pub, e);
    if (ret < 0)
        return ret;
    ret = create_set(pub, ids, n, ret_id, e);
    security_identity_unref(pub);
    return ret;
}

enum security_variant security_private_variant(const struct security_private *id)
{
    return security_identity_variant(id->pub);
}

struct security_identity *security_private_public(const struct security_private *id)
{
    return id->pub;
}

struct security_key *security_private_key(const struct security_private *id)
{
    return id->key;
}

struct security_private *const *security_private_members(const struct security_private *id,
                                                         size_t *ret_n)
{
    *ret_n = id->n_members;
    return id->members;
}

void security_private_print(struct buf *out, const struct security_private *id,
                            const struct security_trust *t)
{
    switch (security_private_variant(id)) {
    case SECURITY_CHAIN:
        buf_append_str(out, "PrivateID:");
        break;
    case SECURITY_PLACEHOLDER:
        break;
    case SECURITY_SET:
        buf_u8(out, '[');
        for (size_t i = 0; i < id->n_members; i++) {
            if (i > 0)
                buf_u8(out, ' ');
            security_private_print(out, id->members[i], t);
        }
        buf_u8(out, ']');
        return;
    }
    security_identity_print(out, id->pub, t);
}

/* New names, which are held to more than decoded ones. spec: security 5.3 */

static int check_new_name(struct span name, struct err *e)
{
    if (security_name_is_valid(name) && !security_pattern_is_all(name) &&
        utf8_valid(name.p, name.len))
        return 0;
    return security_fail_quoted(e, WSPR_EINVAL, "invalid blessing name:", name, '"', "");
}

/* Signs the last of n certificates. */
static int sign_last(struct security_key *key, struct security_certificate *certs, size_t n,
                     struct security_signed *made, struct err *e)
{
    const struct security_signature *issuer = n > 1 ? &certs[n - 2].signature : NULL;
    uint8_t digest[SECURITY_DIGEST_LEN], hashed[SECURITY_HASHED_MAX];
    size_t len;
    int ret;

    security_digest_certificate(&certs[n - 1], issuer, digest);
    len = security_digest_apply(issuer != NULL ? issuer->hash : span_of(NULL, 0), digest, hashed);
    if (len == 0)
        return security_fail_integrity(e);
    ret = security_sign(key, span_of(hashed, len), made, e);
    if (ret >= 0)
        certs[n - 1].signature = security_signed_view(made);
    return ret;
}

int security_private_new_with_key(struct span name, struct security_key *key,
                                  struct security_private **ret_id, struct err *e)
{
    struct security_certificate cert = {.name = name, .key = *security_key_public(key)};
    struct security_identity *pub;
    struct security_signed made;
    int ret = check_new_name(name, e);

    if (ret >= 0)
        ret = sign_last(key, &cert, 1, &made, e);
    if (ret >= 0)
        ret = security_chain_create(&cert, 1, &pub, e);
    if (ret < 0)
        return ret;
    ret = security_private_create(pub, key, ret_id, e);
    security_identity_unref(pub);
    return ret;
}

int security_private_new(struct span name, struct security_private **ret_id, struct err *e)
{
    struct security_key *key;
    int ret = check_new_name(name, e);

    if (ret >= 0)
        ret = security_key_generate(&key, e);
    if (ret < 0)
        return ret;
    ret = security_private_new_with_key(name, key, ret_id, e);
    security_key_unref(key);
    return ret;
}

/* Blessings. */

static int bless_chain(struct arena *a, const struct security_private *blesser,
                       const struct security_certificate *blessing,
                       struct security_identity **ret_id, struct err *e)
{
    size_t n;
    const struct security_certificate *before = security_identity_certs(blesser->pub, &n);
    struct security_certificate *certs = arena_calloc(a, n + 1, sizeof *certs);
    struct security_signed made;
    int ret;

    if (certs == NULL)
        return security_fail(e, WSPR_ENOMEM);
    memcpy(certs, before, n * sizeof *certs);
    certs[n] = *blessing;
    ret = sign_last(blesser->key, certs, n + 1, &made, e);
    return ret < 0 ? ret : security_chain_create(certs, n + 1, ret_id, e);
}

static int bless(struct arena *a, const struct security_private *blesser,
                 const struct security_certificate *blessing, struct security_identity **ret_id,
                 struct err *e)
{
    struct security_identity *ids[SECURITY_CERTS_MAX];
    size_t n = 0;
    int ret = 0;

    switch (security_private_variant(blesser)) {
    case SECURITY_CHAIN:
        return bless_chain(a, blesser, blessing, ret_id, e);
    case SECURITY_PLACEHOLDER:
        return err_set(e, WSPR_EINVAL, "placeholder identities cannot bless");
    case SECURITY_SET:
        break;
    }
    while (n < blesser->n_members && ret >= 0) {
        ret = bless(a, blesser->members[n], blessing, &ids[n], e);
        n += ret >= 0;
    }
    if (ret >= 0)
        ret = security_identity_set(ids, n, ret_id, e);
    while (n > 0)
        security_identity_unref(ids[--n]);
    return ret;
}

int security_private_bless(const struct security_private *blesser,
                           const struct security_pubkey *blessee, const struct security_blessing *b,
                           struct security_identity **ret_id, struct err *e)
{
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    struct security_certificate cert = {.name = b->name, .key = *blessee};
    struct security_caveat *caveats;
    int ret = check_new_name(b->name, e);

    if (ret >= 0 && b->n_caveats >= SECURITY_CAVEATS_MAX)
        ret = err_set(e, WSPR_ELIMIT, "too many caveats");
    if (ret >= 0)
        ret = security_caveats_with_expiry(&a, b->caveats, b->n_caveats, b->now, b->duration,
                                           &caveats, e);
    if (ret >= 0) {
        cert.caveats = caveats;
        cert.n_caveats = b->n_caveats + 1;
        ret = bless(&a, blesser, &cert, ret_id, e);
    }
    arena_done(&a);
    return ret;
}

/* Deriving: each chain of the identity with the same key. */

static int attach(struct security_key *key, struct security_identity *id,
                  struct security_private **ret_id, struct err *e)
{
    struct security_private *privs[SECURITY_CERTS_MAX];
    struct security_identity *const *members;
    size_t n_members, n = 0;
    int ret = 0;

    if (security_identity_variant(id) != SECURITY_SET)
        return security_private_create(id, key, ret_id, e);
    members = security_identity_members(id, &n_members);
    while (n < n_members && ret >= 0) {
        ret = attach(key, members[n], &privs[n], e);
        n += ret >= 0;
    }
    if (ret >= 0)
        ret = create_set(id, privs, n, ret_id, e);
    while (n > 0)
        security_private_unref(privs[--n]);
    return ret;
}

int security_private_attach(struct security_key *key, struct security_identity *id,
                            struct security_private **ret_id, struct err *e)
{
    if (security_pubkey_equal(security_key_public(key), security_identity_key(id)))
        return attach(key, id, ret_id, e);
    return err_set(e, WSPR_EINVAL, "public key does not match that of deriving identity");
}

int security_private_derive(const struct security_private *priv, struct security_identity *id,
                            struct security_private **ret_id, struct err *e)
{
    enum security_variant from = security_private_variant(priv);
    enum security_variant to = security_identity_variant(id);
    size_t n;

    if (security_pubkey_equal(security_identity_key(priv->pub), security_identity_key(id)))
        return attach(priv->key, id, ret_id, e);
    if (from != SECURITY_SET || to != SECURITY_SET)
        return err_set(e, WSPR_EINVAL, "public key does not match that of deriving identity");
    security_identity_members(id, &n);
    return err_set(e, WSPR_EINVAL, "Derive failed for 0 of %zu id in set", n);
}

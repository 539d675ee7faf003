/*
 * Identities from VOM values. The concrete type's name selects the variant (spec: security 3), the
 * rest follows the shape, so that any legal encoding is taken. A chain is verified where it lies,
 * and copied only if it is sound.
 */
#include "config.h"
#include "security/identity.h"

#include "security/internal.h"
#include "security/private.h"
#include "security/types.h"
#include "vom/convert.h"
#include "wspr/error.h"

/* One decoding. What it has met so far bounds it: pointers may lead to the same set many times. */
struct decode {
    struct arena *a;
    unsigned flags;
    size_t n_certs, n_caveats, n_listed;
    size_t bytes;             /* that are signed */
    struct security_key *key; /* of the member before, borrowed: most likely the next one's too */
};

static int too_large(struct err *e)
{
    return err_set(e, WSPR_ELIMIT, "identity is too large");
}

/* Chains. */

static size_t signed_bytes(const struct security_certificate *c)
{
    size_t n = c->name.len + c->signature.hash.len + c->signature.r.len + c->signature.s.len;

    for (size_t i = 0; i < c->n_caveats; i++)
        n += c->caveats[i].service.len + c->caveats[i].bytes.len;
    return n;
}

static int get_certificate(struct decode *d, const struct vom_value *v,
                           struct security_certificate *c, struct err *e)
{
    struct vom_value key = vom_value_at(v, SECURITY_CERT_KEY);
    struct vom_value caveats = vom_value_at(v, SECURITY_CERT_CAVEATS);
    struct vom_value signature = vom_value_at(v, SECURITY_CERT_SIGNATURE);
    int ret;

    c->name = vom_value_at(v, SECURITY_CERT_NAME).s;
    /* The first thing that is wrong with a certificate is its name. spec: security 5.2 */
    if (!security_name_is_valid(c->name))
        return security_fail_quoted(e, WSPR_EINVAL, "invalid blessing name:", c->name, '"', "");
    if (security_get_pubkey(&key, &c->key) < 0)
        return security_fail_integrity(e);
    security_get_signature(&signature, &c->signature);
    ret = security_get_caveats(d->a, &caveats, &c->caveats, &c->n_caveats, e);
    if (ret < 0)
        return ret;
    d->n_caveats += c->n_caveats;
    d->bytes += signed_bytes(c);
    if (d->n_caveats > SECURITY_CAVEATS_MAX || d->bytes > SECURITY_IDENTITY_MAX)
        return too_large(e);
    return 0;
}

/* v has the type of a public chain. */
static int decode_certificates(struct decode *d, const struct vom_value *v,
                               struct security_identity **ret_id, struct err *e)
{
    struct vom_value list = vom_value_at(v, SECURITY_CHAIN_CERTS);
    size_t n = vom_value_len(&list);
    struct security_certificate *certs;
    struct security_identity *id;
    int ret = 0;

    if (n == 0)
        return security_fail_integrity(e);
    if (n > SECURITY_CERTS_MAX - d->n_certs)
        return too_large(e);
    d->n_certs += n;
    certs = arena_calloc(d->a, n, sizeof *certs);
    if (certs == NULL)
        return security_fail(e, WSPR_ENOMEM);
    for (size_t i = 0; i < n && ret >= 0; i++) {
        struct vom_value cert = vom_value_at(&list, i);

        ret = get_certificate(d, &cert, &certs[i], e);
    }
    if (ret >= 0)
        ret = security_chain_verify(certs, n, e);
    if (ret >= 0)
        ret = security_chain_create(certs, n, &id, e);
    if (ret < 0)
        return ret;
    d->n_listed += id->n_listed;
    if (d->n_listed > SECURITY_LISTED_MAX) {
        security_identity_unref(id);
        return too_large(e);
    }
    *ret_id = id;
    return 0;
}

static int decode_chain(struct decode *d, const struct vom_value *v,
                        struct security_identity **ret_id, struct err *e)
{
    struct vom_value chain;
    int ret = vom_convert(d->a, v, &security_type_chain, NULL, &chain, e);

    return ret < 0 ? ret : decode_certificates(d, &chain, ret_id, e);
}

/* The private key, which must belong to the public one. spec: security 2.2 */
static int get_key(struct decode *d, struct span scalar, const struct security_identity *pub,
                   struct security_key **ret_key, struct err *e)
{
    struct security_key *key;
    int ret = 0;

    if (d->key != NULL && security_key_has_scalar(d->key, scalar))
        key = security_key_ref(d->key);
    else
        ret = security_key_from_scalar(scalar, &key, e);
    if (ret < 0)
        return ret;
    if (!security_pubkey_equal(security_key_public(key), security_identity_key(pub))) {
        security_key_unref(key);
        return err_set(e, WSPR_ECRYPTO, "private key does not belong to the public key");
    }
    *ret_key = key;
    return 0;
}

static int decode_private_chain(struct decode *d, const struct vom_value *v,
                                struct security_private **ret_id, struct err *e)
{
    struct security_identity *pub;
    struct security_key *key = NULL;
    struct vom_value chain, public;
    int ret = vom_convert(d->a, v, &security_type_chain_private, NULL, &chain, e);

    if (ret < 0)
        return ret;
    public = vom_value_at(&chain, SECURITY_PRIVATE_PUBLIC);
    ret = decode_certificates(d, &public, &pub, e);
    if (ret < 0)
        return ret;
    ret = get_key(d, vom_value_at(&chain, SECURITY_PRIVATE_SECRET).s, pub, &key, e);
    if (ret >= 0) {
        ret = security_private_create(pub, key, ret_id, e);
        if (ret >= 0)
            d->key = key;
        security_key_unref(key);
    }
    security_identity_unref(pub);
    return ret;
}

/* Sets. The order of the checks is that of the reference: members first. spec: security 3.6 */

static int check_members(size_t n, bool nil, struct err *e)
{
    const char *what = n == 0   ? "empty set"
                       : n == 1 ? "single element set"
                       : nil    ? "nil element in set"
                                : NULL;

    if (what == NULL)
        return 0;
    return err_set(e, WSPR_EINVAL, "suspected manipulation of identity: %s", what);
}

/* The list behind a set's value; its members are not looked at. */
static int get_list(const struct vom_value *v, unsigned depth, struct vom_value *ret_list,
                    struct err *e)
{
    int ret = security_deref(*v, ret_list);

    if (ret < 0)
        return security_fail(e, ret);
    if (ret == 0)
        return check_members(0, false, e);
    if (ret_list->type->kind != VOM_KIND_SLICE && ret_list->type->kind != VOM_KIND_ARRAY)
        return security_fail_type(e, ret_list->type, "[]interface");
    if (vom_value_len(ret_list) > SECURITY_CERTS_MAX || depth == SECURITY_SET_DEPTH)
        return too_large(e);
    return 0;
}

static int decode_public(struct decode *d, struct vom_value v, unsigned depth,
                         struct security_identity **ret_id, struct err *e);
static int decode_private(struct decode *d, struct vom_value v, unsigned depth,
                          struct security_private **ret_id, struct err *e);

static int decode_public_set(struct decode *d, const struct vom_value *v, unsigned depth,
                             struct security_identity **ret_id, struct err *e)
{
    struct security_identity *ids[SECURITY_CERTS_MAX];
    struct vom_value list;
    bool nil = false;
    size_t n = 0, len;
    int ret = get_list(v, depth, &list, e);

    if (ret < 0)
        return ret;
    len = vom_value_len(&list);
    for (size_t i = 0; i < len && ret >= 0; i++) {
        ret = decode_public(d, vom_value_at(&list, i), depth + 1, &ids[n], e);
        n += ret == 0;
        nil = nil || ret == 1;
    }
    if (ret >= 0)
        ret = check_members(len, nil, e);
    if (ret >= 0)
        ret = security_identity_set(ids, n, ret_id, e);
    while (n > 0)
        security_identity_unref(ids[--n]);
    return ret;
}

static int decode_private_set(struct decode *d, const struct vom_value *v, unsigned depth,
                              struct security_private **ret_id, struct err *e)
{
    struct security_private *ids[SECURITY_CERTS_MAX];
    struct vom_value list;
    bool nil = false;
    size_t n = 0, len;
    int ret = get_list(v, depth, &list, e);

    if (ret < 0)
        return ret;
    len = vom_value_len(&list);
    for (size_t i = 0; i < len && ret >= 0; i++) {
        ret = decode_private(d, vom_value_at(&list, i), depth + 1, &ids[n], e);
        n += ret == 0;
        nil = nil || ret == 1;
    }
    if (ret >= 0)
        ret = check_members(len, nil, e);
    if (ret >= 0)
        ret = security_private_set(ids, n, ret_id, e);
    while (n > 0)
        security_private_unref(ids[--n]);
    return ret;
}

/* Any identity. */

static bool is_placeholder(const struct decode *d, const struct vom_value *v)
{
    return (d->flags & SECURITY_ALLOW_PLACEHOLDERS) != 0 && v->type->kind == VOM_KIND_STRING &&
           span_equal(v->type->name, security_type_placeholder.name);
}

/* Text of a placeholder. spec: security 14 */
static int decode_placeholder(struct decode *d, const struct vom_value *v,
                              struct security_identity **ret_id, struct err *e)
{
    if (++d->n_certs > SECURITY_CERTS_MAX)
        return too_large(e);
    return security_placeholder_create(v->s, ret_id, e);
}

/* 1 if it is nil. */
static int decode_public(struct decode *d, struct vom_value whole, unsigned depth,
                         struct security_identity **ret_id, struct err *e)
{
    struct vom_value v, end;
    struct span name;
    int ret = security_resolve(whole, &v);

    if (ret > 0)
        ret = security_deref(v, &end);
    if (ret <= 0)
        return ret < 0 ? security_fail(e, ret) : 1;
    name = v.type->name;
    if (span_equal(name, security_type_public_chain.name))
        return decode_chain(d, &v, ret_id, e);
    if (span_equal(name, security_type_public_set.name))
        return decode_public_set(d, &v, depth, ret_id, e);
    if (is_placeholder(d, &v))
        return decode_placeholder(d, &v, ret_id, e);
    return security_fail_type(e, whole.type, "security.PublicID");
}

static int decode_private(struct decode *d, struct vom_value whole, unsigned depth,
                          struct security_private **ret_id, struct err *e)
{
    struct security_identity *pub;
    struct vom_value v, end;
    struct span name;
    int ret = security_resolve(whole, &v);

    if (ret > 0)
        ret = security_deref(v, &end);
    if (ret <= 0)
        return ret < 0 ? security_fail(e, ret) : 1;
    name = v.type->name;
    if (span_equal(name, security_type_private_chain.name))
        return decode_private_chain(d, &v, ret_id, e);
    if (span_equal(name, security_type_private_set.name))
        return decode_private_set(d, &v, depth, ret_id, e);
    if (!is_placeholder(d, &v))
        return security_fail_type(e, whole.type, "security.PrivateID");
    ret = decode_placeholder(d, &v, &pub, e);
    if (ret < 0)
        return ret;
    ret = security_private_create(pub, NULL, ret_id, e);
    security_identity_unref(pub);
    return ret;
}

static int fail_nil(struct err *e)
{
    return err_set(e, WSPR_EINVAL, "identity is nil");
}

/* The same with 1 for a nil identity. */
int security_identity_from_value_or_nil(const struct vom_value *v, unsigned flags,
                                        struct security_identity **ret_id, struct err *e)
{
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    struct decode d = {.a = &a, .flags = flags};
    int ret = decode_public(&d, *v, 0, ret_id, e);

    arena_done(&a);
    return ret;
}

int security_identity_from_value(const struct vom_value *v, unsigned flags,
                                 struct security_identity **ret_id, struct err *e)
{
    int ret = security_identity_from_value_or_nil(v, flags, ret_id, e);

    return ret == 1 ? fail_nil(e) : ret;
}

int security_private_from_value(const struct vom_value *v, unsigned flags,
                                struct security_private **ret_id, struct err *e)
{
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    struct decode d = {.a = &a, .flags = flags};
    int ret = decode_private(&d, *v, 0, ret_id, e);

    arena_wipe(&a);
    return ret == 1 ? fail_nil(e) : ret;
}

int security_identity_decode_or_nil(struct span vom, unsigned flags,
                                    struct security_identity **ret_id, struct err *e)
{
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    struct vom_value v;
    int ret = security_decode_blob(vom, &a, &v, e);

    if (ret >= 0)
        ret = security_identity_from_value_or_nil(&v, flags, ret_id, e);
    arena_done(&a);
    return ret;
}

int security_identity_decode(struct span vom, unsigned flags, struct security_identity **ret_id,
                             struct err *e)
{
    int ret = security_identity_decode_or_nil(vom, flags, ret_id, e);

    return ret == 1 ? fail_nil(e) : ret;
}

int security_private_decode(struct span vom, unsigned flags, struct security_private **ret_id,
                            struct err *e)
{
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    struct vom_value v;
    int ret = security_decode_blob(vom, &a, &v, e);

    if (ret >= 0)
        ret = security_private_from_value(&v, flags, ret_id, e);
    arena_wipe(&a);
    return ret;
}

/* Identities as VOM values, with the types and shapes of spec: security 3. */
#include "config.h"
#include "security/identity.h"

#include "base/arena.h"
#include "security/internal.h"
#include "security/private.h"
#include "security/types.h"
#include "vom/enc.h"
#include "wspr/error.h"

#define ENCODE_GUESS 4096 /* bytes that nearly every private identity fits in */

static int certificate_value(struct arena *a, const struct security_certificate *c,
                             struct vom_value *ret_v)
{
    struct vom_value key, caveats, signature;
    int ret = vom_value_new_struct(a, &security_type_certificate, ret_v);

    if (ret >= 0)
        ret = security_put_pubkey(a, &c->key, &key);
    if (ret >= 0)
        ret = security_put_caveats(a, c->caveats, c->n_caveats, &caveats);
    if (ret >= 0)
        ret = security_put_signature(a, &c->signature, &signature);
    if (ret < 0)
        return ret;
    vom_value_set(ret_v, SECURITY_CERT_NAME, vom_value_span(&vom_type_string, c->name));
    vom_value_set(ret_v, SECURITY_CERT_KEY, key);
    vom_value_set(ret_v, SECURITY_CERT_CAVEATS, caveats);
    vom_value_set(ret_v, SECURITY_CERT_SIGNATURE, signature);
    return 0;
}

static int chain_value(struct arena *a, const struct security_identity *id, struct vom_value *ret_v)
{
    struct vom_value list, cert;
    int ret = vom_value_new_struct(a, &security_type_chain, ret_v);

    if (ret >= 0)
        ret = vom_value_new_list(a, &security_type_certificate_list, id->n_certs, &list);
    for (size_t i = 0; i < id->n_certs && ret >= 0; i++) {
        ret = certificate_value(a, &id->certs[i], &cert);
        if (ret >= 0)
            vom_value_set(&list, i, cert);
    }
    if (ret >= 0)
        vom_value_set(ret_v, SECURITY_CHAIN_CERTS, list);
    return ret;
}

static int set_value(struct arena *a, const struct security_identity *id, struct vom_value *ret_v)
{
    struct vom_value member;
    int ret = vom_value_new_list(a, &security_type_public_set, id->n_members, ret_v);

    for (size_t i = 0; i < id->n_members && ret >= 0; i++) {
        ret = security_identity_value(a, id->members[i], &member);
        if (ret >= 0)
            ret = vom_value_new_to(a, &security_type_public_id, member, &member);
        if (ret >= 0)
            vom_value_set(ret_v, i, member);
    }
    return ret;
}

int security_identity_value(struct arena *a, const struct security_identity *id,
                            struct vom_value *ret_v)
{
    struct vom_value v;
    int ret;

    switch (id->variant) {
    case SECURITY_CHAIN:
        ret = chain_value(a, id, &v);
        if (ret >= 0)
            ret = vom_value_new_to(a, &security_type_public_chain, v, &v);
        return ret < 0 ? ret : vom_value_new_to(a, &security_type_public_chain_ptr, v, ret_v);
    case SECURITY_SET:
        ret = set_value(a, id, &v);
        return ret < 0 ? ret : vom_value_new_to(a, &security_type_public_set_ptr, v, ret_v);
    case SECURITY_PLACEHOLDER:
        break;
    }
    *ret_v = vom_value_span(&security_type_placeholder, id->name);
    return 0;
}

static int private_chain_value(struct arena *a, const struct security_private *id,
                               struct vom_value *ret_v)
{
    struct vom_value v, public;
    int ret = vom_value_new_struct(a, &security_type_chain_private, &v);

    if (ret >= 0)
        ret = chain_value(a, security_private_public(id), &public);
    if (ret < 0)
        return ret;
    vom_value_set(&v, SECURITY_PRIVATE_PUBLIC, public);
    vom_value_set(&v, SECURITY_PRIVATE_SECRET,
                  vom_value_span(&vom_type_bytes, security_key_scalar(security_private_key(id))));
    ret = vom_value_new_to(a, &security_type_private_chain, v, &v);
    return ret < 0 ? ret : vom_value_new_to(a, &security_type_private_chain_ptr, v, ret_v);
}

static int private_set_value(struct arena *a, const struct security_private *id,
                             struct vom_value *ret_v)
{
    size_t n;
    struct security_private *const *members = security_private_members(id, &n);
    struct vom_value member;
    int ret = vom_value_new_list(a, &security_type_private_set, n, ret_v);

    for (size_t i = 0; i < n && ret >= 0; i++) {
        ret = security_private_value(a, members[i], &member);
        if (ret >= 0)
            ret = vom_value_new_to(a, &security_type_private_id, member, &member);
        if (ret >= 0)
            vom_value_set(ret_v, i, member);
    }
    return ret;
}

int security_private_value(struct arena *a, const struct security_private *id,
                           struct vom_value *ret_v)
{
    switch (security_private_variant(id)) {
    case SECURITY_CHAIN:
        return private_chain_value(a, id, ret_v);
    case SECURITY_SET:
        return private_set_value(a, id, ret_v);
    case SECURITY_PLACEHOLDER:
        break;
    }
    return security_identity_value(a, security_private_public(id), ret_v);
}

int security_identity_encode(struct buf *out, const struct security_identity *id)
{
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    struct vom_value v;
    int ret = security_identity_value(&a, id, &v);

    ret = security_put_value(out, ret, &v);
    arena_done(&a);
    return ret;
}

/* Into a buffer of this size, which is not moved. */
static int encode_in(size_t size, struct buf *out, const struct vom_value *v)
{
    struct buf b = BUF_INIT(size);
    int ret = buf_reserve(&b, size) != NULL ? vom_encode(&b, v, NULL) : buf_error(&b);

    if (ret >= 0)
        ret = buf_error(&b);
    if (ret >= 0)
        buf_append_span(out, buf_span(&b));
    security_buf_wipe(&b);
    return ret;
}

/*
 * A buffer that grew would leave pieces of the secret behind; one that has room for the largest
 * identity has more memory to wipe than most others fill.
 */
int security_private_encode(struct buf *out, const struct security_private *id)
{
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    struct vom_value v;
    int ret = security_private_value(&a, id, &v);

    if (ret >= 0) {
        ret = encode_in(ENCODE_GUESS, out, &v);
        if (ret == WSPR_ELIMIT)
            ret = encode_in(2 * SECURITY_IDENTITY_MAX, out, &v);
    }
    if (ret < 0 && out->error == 0)
        out->error = ret;
    arena_done(&a);
    return buf_error(out);
}

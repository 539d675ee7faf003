/* From VOM values to the plain structs of this folder and back. */
#include "config.h"
#include "security/internal.h"

#include "security/types.h"
#include "vom/dec.h"
#include "vom/enc.h"
#include "vom/value.h"
#include "vom/convert.h"

#define RESOLVE_MAX 64 /* pointers and interfaces in a row; cycles of them are possible */

static int step(struct vom_value *v)
{
    if (v->to == NULL)
        return 0;
    *v = *v->to;
    return 1;
}

int security_resolve(struct vom_value v, struct vom_value *ret_v)
{
    for (unsigned i = 0; i < RESOLVE_MAX; i++) {
        if (v.type->kind != VOM_KIND_ANY &&
            (v.type->name.len > 0 || v.type->kind != VOM_KIND_PTR)) {
            *ret_v = v;
            return 1;
        }
        if (!step(&v))
            return 0;
    }
    return WSPR_EPROTO;
}

int security_deref(struct vom_value v, struct vom_value *ret_v)
{
    for (unsigned i = 0; i < RESOLVE_MAX; i++) {
        if (v.type->kind != VOM_KIND_ANY && v.type->kind != VOM_KIND_PTR) {
            *ret_v = v;
            return 1;
        }
        if (!step(&v))
            return 0;
    }
    return WSPR_EPROTO;
}

int security_fail_type(struct err *e, const struct vom_type *t, const char *target)
{
    struct buf b = BUF_INIT(ERR_MSG_MAX);
    const char *name;

    vom_type_print(&b, t, VOM_STYLE_HOST);
    name = buf_cstr(&b);
    err_set(e, WSPR_ETYPE, "vom: can't assign type \"%s\" to value of type \"%s\"",
            name != NULL ? name : "", target);
    buf_done(&b);
    return WSPR_ETYPE;
}

int security_decode_blob(struct span blob, struct arena *a, struct vom_value *ret_v, struct err *e)
{
    const struct vom_limits limits = {
        .message = SECURITY_IDENTITY_MAX,
        .types = 65536,
        .definitions = 256,
        .depth = 64,
    };

    if (blob.len > SECURITY_IDENTITY_MAX)
        return security_fail(e, WSPR_ELIMIT);
    return vom_decode(blob, &limits, a, ret_v, NULL, e);
}

int security_get_caveats(struct arena *a, const struct vom_value *list,
                         const struct security_caveat **ret_caveats, size_t *ret_n, struct err *e)
{
    size_t n = vom_value_len(list);
    struct security_caveat *caveats;

    if (n > SECURITY_CAVEATS_MAX)
        return err_set(e, WSPR_ELIMIT, "too many caveats");
    caveats = arena_calloc(a, n, sizeof *caveats);
    if (caveats == NULL)
        return security_fail(e, WSPR_ENOMEM);
    for (size_t i = 0; i < n; i++) {
        struct vom_value v = vom_value_at(list, i);

        caveats[i].service = vom_value_at(&v, SECURITY_CAVEAT_SERVICE).s;
        caveats[i].bytes = vom_value_at(&v, SECURITY_CAVEAT_BYTES).s;
    }
    *ret_caveats = caveats;
    *ret_n = n;
    return 0;
}

void security_get_signature(const struct vom_value *v, struct security_signature *ret_signature)
{
    ret_signature->hash = vom_value_at(v, SECURITY_SIGNATURE_HASH).s;
    ret_signature->r = vom_value_at(v, SECURITY_SIGNATURE_R).s;
    ret_signature->s = vom_value_at(v, SECURITY_SIGNATURE_S).s;
}

int security_get_pubkey(const struct vom_value *v, struct security_pubkey *ret_key)
{
    if (vom_value_at(v, SECURITY_PUBKEY_CURVE).u != 0)
        return WSPR_ECRYPTO;
    return security_pubkey_parse(vom_value_at(v, SECURITY_PUBKEY_XY).s, ret_key, NULL);
}

int security_put_caveats(struct arena *a, const struct security_caveat *caveats, size_t n,
                         struct vom_value *ret_v)
{
    struct vom_value v;
    int ret = vom_value_new_list(a, &security_type_caveat_list, n, ret_v);

    for (size_t i = 0; i < n && ret >= 0; i++) {
        ret = vom_value_new_struct(a, &security_type_caveat, &v);
        if (ret < 0)
            break;
        vom_value_set(&v, SECURITY_CAVEAT_SERVICE,
                      vom_value_span(&security_type_pattern, caveats[i].service));
        vom_value_set(&v, SECURITY_CAVEAT_BYTES, vom_value_span(&vom_type_bytes, caveats[i].bytes));
        vom_value_set(ret_v, i, v);
    }
    return ret;
}

int security_put_signature(struct arena *a, const struct security_signature *s,
                           struct vom_value *ret_v)
{
    int ret = vom_value_new_struct(a, &security_type_signature, ret_v);

    if (ret < 0)
        return ret;
    vom_value_set(ret_v, SECURITY_SIGNATURE_HASH, vom_value_span(&security_type_hash, s->hash));
    vom_value_set(ret_v, SECURITY_SIGNATURE_R, vom_value_span(&vom_type_bytes, s->r));
    vom_value_set(ret_v, SECURITY_SIGNATURE_S, vom_value_span(&vom_type_bytes, s->s));
    return 0;
}

int security_put_pubkey(struct arena *a, const struct security_pubkey *k, struct vom_value *ret_v)
{
    int ret = vom_value_new_struct(a, &security_type_pubkey, ret_v);

    if (ret >= 0)
        vom_value_set(ret_v, SECURITY_PUBKEY_XY,
                      vom_value_span(&vom_type_bytes, span_of(k->xy, sizeof k->xy)));
    return ret;
}

int security_put_value(struct buf *out, int ret, const struct vom_value *v)
{
    if (ret >= 0)
        ret = vom_encode(out, v, NULL);
    if (ret < 0 && out->error == 0)
        out->error = ret;
    return ret;
}

int security_copy_caveats(struct arena *a, const struct security_caveat *caveats, size_t n,
                          const struct security_caveat **ret_caveats)
{
    struct security_caveat *copy = arena_calloc(a, n, sizeof *copy);

    if (copy == NULL)
        return WSPR_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        copy[i].service = arena_copy(a, caveats[i].service);
        copy[i].bytes = arena_copy(a, caveats[i].bytes);
        if (copy[i].service.p == NULL || copy[i].bytes.p == NULL)
            return WSPR_ENOMEM;
    }
    *ret_caveats = copy;
    return 0;
}

int security_copy_signature(struct arena *a, struct security_signature *s)
{
    s->hash = arena_copy(a, s->hash);
    s->r = arena_copy(a, s->r);
    s->s = arena_copy(a, s->s);
    return s->hash.p != NULL && s->r.p != NULL && s->s.p != NULL ? 0 : WSPR_ENOMEM;
}

/* Signatures on their own. */

int security_signature_decode(struct span vom, struct arena *a,
                              struct security_signature *ret_signature, struct err *e)
{
    struct vom_value v;
    int ret = security_decode_blob(vom, a, &v, e);

    return ret < 0 ? ret : security_signature_from_value(a, &v, ret_signature, e);
}

int security_signature_encode(struct buf *out, const struct security_signature *s)
{
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    struct vom_value v;
    int ret = security_put_signature(&a, s, &v);

    ret = security_put_value(out, ret, &v);
    arena_done(&a);
    return ret;
}

int security_signature_from_value(struct arena *a, const struct vom_value *v,
                                  struct security_signature *ret_signature, struct err *e)
{
    struct vom_value as;
    int ret = vom_convert(a, v, &security_type_signature, NULL, &as, e);

    if (ret >= 0)
        security_get_signature(&as, ret_signature);
    return ret;
}

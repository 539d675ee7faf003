#include "config.h"
#include "security/discharge.h"

#include <stdlib.h>

#include "security/digest.h"
#include "security/types.h"
#include "vom/convert.h"
#include "vom/enc.h"
#include "wspr/error.h"

#define DISCHARGE_MEM_MAX (32 * (size_t)SECURITY_IDENTITY_MAX)

/* A copy of what the arguments say. */
static int discharge_create(struct span id, const struct security_caveat *caveats, size_t n,
                            const struct security_signature *signature,
                            struct security_discharge **ret_discharge, struct err *e)
{
    struct security_discharge *d = calloc(1, sizeof *d);

    if (d == NULL)
        return security_fail(e, WSPR_ENOMEM);
    atomic_init(&d->refs, 1);
    arena_init(&d->mem, DISCHARGE_MEM_MAX);
    d->id = arena_copy(&d->mem, id);
    d->n_caveats = n;
    d->signature = *signature;
    if (d->id.p == NULL || security_copy_signature(&d->mem, &d->signature) < 0 ||
        security_copy_caveats(&d->mem, caveats, n, &d->caveats) < 0 ||
        security_rules_parse(&d->mem, d->caveats, n, &d->rules) < 0) {
        security_discharge_unref(d);
        return security_fail(e, WSPR_ENOMEM);
    }
    if (security_rules_listed(d->rules, n) > SECURITY_LISTED_MAX) {
        security_discharge_unref(d);
        return err_set(e, WSPR_ELIMIT, "too many methods or patterns in the caveats");
    }
    *ret_discharge = d;
    return 0;
}

static int from_value(struct arena *a, const struct vom_value *whole,
                      struct security_discharge **ret_discharge, struct err *e)
{
    const struct security_caveat *caveats;
    struct security_signature signature;
    struct vom_value v, list, sig;
    size_t n;
    int ret = security_resolve(*whole, &v);

    if (ret < 0)
        return security_fail(e, ret);
    if (ret == 0 || !span_equal(v.type->name, security_type_discharge.name))
        return security_fail_type(e, whole->type, "security.ThirdPartyDischarge");
    ret = vom_convert(a, &v, &security_type_discharge, NULL, &v, e);
    if (ret < 0)
        return ret;
    list = vom_value_at(&v, SECURITY_DISCHARGE_CAVEATS);
    sig = vom_value_at(&v, SECURITY_DISCHARGE_SIGNATURE);
    security_get_signature(&sig, &signature);
    ret = security_get_caveats(a, &list, &caveats, &n, e);
    if (ret < 0)
        return ret;
    return discharge_create(vom_value_at(&v, SECURITY_DISCHARGE_ID).s, caveats, n, &signature,
                            ret_discharge, e);
}

int security_discharge_from_value(const struct vom_value *v,
                                  struct security_discharge **ret_discharge, struct err *e)
{
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    int ret = from_value(&a, v, ret_discharge, e);

    arena_done(&a);
    return ret;
}

int security_discharge_decode(struct span vom, struct security_discharge **ret_discharge,
                              struct err *e)
{
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    struct vom_value v;
    int ret = security_decode_blob(vom, &a, &v, e);

    if (ret >= 0)
        ret = from_value(&a, &v, ret_discharge, e);
    arena_done(&a);
    return ret;
}

int security_discharge_value(struct arena *a, const struct security_discharge *d,
                             struct vom_value *ret_v)
{
    struct vom_value v, caveats, signature;
    int ret = vom_value_new_struct(a, &security_type_discharge, &v);

    if (ret >= 0)
        ret = security_put_caveats(a, d->caveats, d->n_caveats, &caveats);
    if (ret >= 0)
        ret = security_put_signature(a, &d->signature, &signature);
    if (ret < 0)
        return ret;
    vom_value_set(&v, SECURITY_DISCHARGE_ID, vom_value_span(&security_type_caveat_id, d->id));
    vom_value_set(&v, SECURITY_DISCHARGE_CAVEATS, caveats);
    vom_value_set(&v, SECURITY_DISCHARGE_SIGNATURE, signature);
    return vom_value_new_to(a, &security_type_discharge_ptr, v, ret_v);
}

int security_discharge_encode(struct buf *out, const struct security_discharge *d)
{
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    struct vom_value v;
    int ret = security_discharge_value(&a, d, &v);

    ret = security_put_value(out, ret, &v);
    arena_done(&a);
    return ret;
}

struct security_discharge *security_discharge_ref(struct security_discharge *d)
{
    atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    return d;
}

void security_discharge_unref(struct security_discharge *d)
{
    if (d == NULL || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_done(&d->mem);
    free(d);
}

struct span security_discharge_id(const struct security_discharge *d)
{
    return d->id;
}

const struct security_caveat *security_discharge_caveats(const struct security_discharge *d,
                                                         size_t *ret_n)
{
    *ret_n = d->n_caveats;
    return d->caveats;
}

const struct security_signature *security_discharge_signature(const struct security_discharge *d)
{
    return &d->signature;
}

size_t security_discharge_size(const struct security_discharge *d)
{
    return sizeof *d + d->mem.used;
}

int64_t security_discharge_expires(const struct security_discharge *d)
{
    return security_rules_expire(d->rules, d->n_caveats);
}

/* Minting. spec: security 8.4 */

static int mint_check(struct arena *a, const struct security_third_party *t,
                      const struct security_context *c, struct err *e)
{
    struct security_caveat minting = {span_str("*"), t->minting};
    const struct security_rule *rule;
    int ret = security_rules_parse(a, &minting, 1, &rule);

    if (ret < 0)
        return security_fail(e, ret);
    if (rule->kind == SECURITY_RULE_BAD)
        return err_set(e, rule->code, "failed to decode DischargeMintingCaveat: %.*s",
                       SPAN_ARG(rule->text));
    ret = security_rules_check(&minting, rule, 1, c, e);
    if (ret < 0)
        err_prefix(e, ret, "failed to validate DischargeMintingCaveat: ");
    return ret;
}

static int mint_sign(struct arena *a, struct security_key *key,
                     const struct security_third_party *t, const struct security_context *c,
                     int64_t duration, const struct security_caveat *caveats, size_t n,
                     struct security_discharge **ret_discharge, struct err *e)
{
    struct security_caveat *all;
    struct security_signed made;
    struct security_signature signature;
    uint8_t digest[SECURITY_DIGEST_LEN];
    int ret = security_caveats_with_expiry(a, caveats, n, c->now, duration, &all, e);

    if (ret < 0)
        return ret;
    security_digest_discharge(span_of(t->id, sizeof t->id), all, n + 1, digest);
    ret = security_sign(key, span_of(digest, sizeof digest), &made, e);
    if (ret < 0)
        return ret;
    signature = security_signed_view(&made);
    return discharge_create(span_of(t->id, sizeof t->id), all, n + 1, &signature, ret_discharge, e);
}

static int mint(struct arena *a, struct security_key *key, struct span caveat,
                const struct security_context *c, int64_t duration,
                const struct security_caveat *caveats, size_t n,
                struct security_discharge **ret_discharge, struct err *e)
{
    struct security_caveat whole = {span_str("*"), caveat};
    struct security_third_party t;
    int ret = security_third_party_decode(a, &whole, &t, e);

    if (ret < 0)
        return ret;
    if (ret == 0)
        return err_set(e, WSPR_EINVAL, "cannot mint discharges for a first-party caveat");
    ret = mint_check(a, &t, c, e);
    return ret < 0 ? ret : mint_sign(a, key, &t, c, duration, caveats, n, ret_discharge, e);
}

int security_discharge_mint(const struct security_private *id, struct span caveat,
                            const struct security_context *c, int64_t duration,
                            const struct security_caveat *caveats, size_t n,
                            struct security_discharge **ret_discharge, struct err *e)
{
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    struct security_key *key = security_private_key(id);
    int ret;

    /* The members of a set sign with one key, in one context: what fails for one fails for all. */
    if (key == NULL)
        ret = err_set(e, WSPR_EINVAL, "identity has no private key");
    else if (n >= SECURITY_CAVEATS_MAX)
        ret = err_set(e, WSPR_ELIMIT, "too many caveats");
    else
        ret = mint(&a, key, caveat, c, duration, caveats, n, ret_discharge, e);
    if (ret < 0 && ret != WSPR_ENOMEM && security_private_variant(id) == SECURITY_SET)
        err_set(e, ret,
                "discharge cannot be constructed for *caveat.publicKeyCaveat from "
                "security.setPrivateID");
    arena_done(&a);
    return ret;
}

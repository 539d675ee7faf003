/* Making caveats, and finding those of third parties. */
#include "config.h"
#include "security/caveat.h"

#include <gnutls/crypto.h>

#include "security/internal.h"
#include "security/types.h"
#include "vom/enc.h"
#include "vom/wiretypes.h"
#include "wspr/error.h"

/* First-party caveats. */

static int expiry_value(struct arena *a, int64_t issued, int64_t expires, struct vom_value *ret_v)
{
    struct security_instant from = security_instant_of_ns(issued);
    struct security_instant to = security_instant_of_ns(expires);
    struct vom_value v, t;
    int ret = vom_value_new_struct(a, &security_type_expiry, &v);

    if (ret >= 0)
        ret = vom_time_new(a, from.sec, from.nsec, &t);
    if (ret >= 0) {
        vom_value_set(&v, SECURITY_EXPIRY_ISSUED, t);
        ret = vom_time_new(a, to.sec, to.nsec, &t);
    }
    if (ret < 0)
        return ret;
    vom_value_set(&v, SECURITY_EXPIRY_EXPIRES, t);
    return vom_value_new_to(a, &security_type_expiry_ptr, v, ret_v);
}

int security_caveat_expiry(struct buf *out, int64_t issued, int64_t expires)
{
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    struct vom_value v;
    int ret = expiry_value(&a, issued, expires, &v);

    ret = security_put_value(out, ret, &v);
    arena_done(&a);
    return ret;
}

static int put_list(struct buf *out, const struct vom_type *type, const struct span *list, size_t n)
{
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    struct vom_value v;
    int ret = vom_value_new_list(&a, type, n, &v);

    for (size_t i = 0; i < n && ret >= 0; i++)
        vom_value_set(&v, i, vom_value_span(type->elem, list[i]));
    ret = security_put_value(out, ret, &v);
    arena_done(&a);
    return ret;
}

int security_caveat_methods(struct buf *out, const struct span *methods, size_t n)
{
    return put_list(out, &security_type_methods, methods, n);
}

int security_caveat_peers(struct buf *out, const struct span *patterns, size_t n)
{
    return put_list(out, &security_type_peers, patterns, n);
}

int security_caveat_network(struct buf *out, struct span network)
{
    struct vom_value v = vom_value_span(&security_type_network, network);

    return vom_encode(out, &v, NULL);
}

static int64_t add_saturated(int64_t a, int64_t b)
{
    int64_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return b < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

int security_caveats_with_expiry(struct arena *a, const struct security_caveat *caveats, size_t n,
                                 int64_t now, int64_t duration,
                                 struct security_caveat **ret_caveats, struct err *e)
{
    struct security_caveat *all = arena_calloc(a, n + 1, sizeof *all);
    struct buf b = BUF_INIT(512);
    int ret =
        all != NULL ? security_caveat_expiry(&b, now, add_saturated(now, duration)) : WSPR_ENOMEM;

    if (ret >= 0) {
        if (n > 0)
            memcpy(all, caveats, n * sizeof *all);
        all[n].service = span_str("*");
        all[n].bytes = arena_copy(a, buf_span(&b));
        ret = all[n].bytes.p != NULL ? 0 : WSPR_ENOMEM;
    }
    buf_done(&b);
    if (ret < 0)
        return security_fail(e, ret);
    *ret_caveats = all;
    return 0;
}

/* Third-party caveats. */

int security_third_party_decode(struct arena *a, const struct security_caveat *caveat,
                                struct security_third_party *ret_caveat, struct err *e)
{
    const struct security_rule *rule;
    int ret = security_rules_parse(a, caveat, 1, &rule);

    if (ret < 0)
        return security_fail(e, ret);
    if (rule->kind == SECURITY_RULE_BAD)
        return err_set_text(e, rule->code, (const char *)rule->text.p, rule->text.len);
    if (rule->kind != SECURITY_RULE_THIRD_PARTY)
        return 0;
    *ret_caveat = *rule->third;
    return 1;
}

/* The caveats that were seen already. */
struct seen {
    const struct security_third_party *list[SECURITY_THIRD_PARTY_MAX];
    size_t n;
    int (*fn)(void *arg, const struct security_third_party *);
    void *arg;
};

static int seen_visit(struct seen *s, const struct security_third_party *t)
{
    for (size_t i = 0; i < s->n; i++) {
        if (memcmp(s->list[i]->id, t->id, sizeof t->id) == 0)
            return 0;
    }
    if (s->n == SECURITY_THIRD_PARTY_MAX)
        return WSPR_ELIMIT;
    s->list[s->n++] = t;
    return s->fn(s->arg, t);
}

static int visit(struct seen *s, const struct security_identity *id)
{
    int ret = 0;

    for (size_t i = 0; i < id->n_members && ret == 0; i++)
        ret = visit(s, id->members[i]);
    for (size_t i = 0; id->certs != NULL && i < id->n_certs; i++) {
        const struct security_certificate *c = &id->certs[i];

        for (size_t k = 0; k < c->n_caveats && ret == 0; k++) {
            if (c->rules[k].kind == SECURITY_RULE_THIRD_PARTY)
                ret = seen_visit(s, c->rules[k].third);
        }
    }
    return ret;
}

int security_third_party_each(const struct security_identity *id,
                              int (*fn)(void *arg, const struct security_third_party *), void *arg)
{
    struct seen s; /* its list is not cleared: most identities have no such caveat */

    s.n = 0;
    s.fn = fn;
    s.arg = arg;
    return visit(&s, id);
}

static int third_party_value(struct arena *a, struct span nonce,
                             const struct security_pubkey *discharger, struct span location,
                             struct span minting, struct vom_value *ret_v)
{
    struct vom_value v, key;
    int ret = vom_value_new_struct(a, &security_type_third_party, &v);

    if (ret >= 0)
        ret = security_put_pubkey(a, discharger, &key);
    if (ret < 0)
        return ret;
    vom_value_set(&v, SECURITY_THIRD_NONCE, vom_value_span(&vom_type_bytes, nonce));
    vom_value_set(&v, SECURITY_THIRD_MINTING, vom_value_span(&vom_type_bytes, minting));
    vom_value_set(&v, SECURITY_THIRD_KEY, key);
    vom_value_set(&v, SECURITY_THIRD_LOCATION, vom_value_span(&vom_type_string, location));
    return vom_value_new_to(a, &security_type_third_party_ptr, v, ret_v);
}

int security_third_party_make(struct buf *out, const struct security_pubkey *discharger,
                              struct span location, struct span minting, struct err *e)
{
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    uint8_t nonce[SECURITY_NONCE_LEN];
    struct vom_value v;
    int ret;

    if (gnutls_rnd(GNUTLS_RND_NONCE, nonce, sizeof nonce) != 0)
        return err_set(e, WSPR_ECRYPTO, "no random bytes");
    ret = third_party_value(&a, span_of(nonce, sizeof nonce), discharger, location, minting, &v);
    ret = security_put_value(out, ret, &v);
    arena_done(&a);
    return ret < 0 ? security_fail(e, ret) : 0;
}

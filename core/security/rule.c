/*
 * Decoding caveats. It is done once, when an identity or a discharge is made, so that checking one
 * at each request costs next to nothing. A caveat that cannot be decoded denies if it applies, and
 * does nothing if it does not (spec: security 8.1): it becomes a rule that tells why.
 */
#include "config.h"
#include "security/internal.h"

#include "security/digest.h"
#include "security/types.h"
#include "vom/convert.h"
#include "vom/wiretypes.h"
#include "wspr/error.h"

static int get_instant(const struct vom_value *v, struct security_instant *ret, struct err *e)
{
    struct vom_time t;
    int r;

    if (v->s.p == NULL) {
        /* A field that is not sent is the first instant of year 1. spec: security 8.2 */
        *ret = (struct security_instant){VOM_TIME_YEAR_1, 0};
        return 0;
    }
    r = vom_time_get(v->s, &t, e);
    if (r < 0)
        return r;
    *ret = (struct security_instant){t.sec, t.nsec};
    return 0;
}

static int get_expiry(struct security_rule *rule, struct arena *a, const struct vom_value *v,
                      struct err *e)
{
    struct vom_value as, issued, expires;
    int r = vom_convert(a, v, &security_type_expiry, NULL, &as, e);

    if (r < 0)
        return r;
    rule->kind = SECURITY_RULE_EXPIRY;
    issued = vom_value_at(&as, SECURITY_EXPIRY_ISSUED);
    expires = vom_value_at(&as, SECURITY_EXPIRY_EXPIRES);
    r = get_instant(&issued, &rule->issued, e);
    return r < 0 ? r : get_instant(&expires, &rule->expires, e);
}

static int get_list(struct security_rule *rule, enum security_rule_kind kind,
                    const struct vom_type *type, struct arena *keep, struct arena *a,
                    const struct vom_value *v, struct err *e)
{
    struct span *list;
    struct vom_value as;
    int r = vom_convert(a, v, type, NULL, &as, e);

    if (r < 0)
        return r;
    rule->kind = kind;
    rule->n = vom_value_len(&as);
    rule->list = list = arena_calloc(keep, rule->n, sizeof *list);
    if (list == NULL)
        return WSPR_ENOMEM;
    for (size_t i = 0; i < rule->n; i++) {
        list[i] = arena_copy(keep, vom_value_at(&as, i).s);
        if (list[i].p == NULL)
            return WSPR_ENOMEM;
    }
    return 0;
}

static int get_network(struct security_rule *rule, struct arena *keep, struct arena *a,
                       const struct vom_value *v, struct err *e)
{
    struct vom_value as;
    int r = vom_convert(a, v, &security_type_network, NULL, &as, e);

    if (r < 0)
        return r;
    rule->kind = SECURITY_RULE_NETWORK;
    rule->text = arena_copy(keep, as.s);
    return rule->text.p != NULL ? 0 : WSPR_ENOMEM;
}

/* spec: security 8.3 */
static void third_party_id(struct security_third_party *t)
{
    struct security_digest d;

    security_digest_init(&d);
    security_digest_span(&d, t->nonce);
    security_digest_span(&d, t->minting);
    security_digest_end(&d, t->id);
}

static int get_third_party(struct security_rule *rule, struct arena *keep, struct arena *a,
                           const struct security_caveat *caveat, const struct vom_value *v,
                           struct err *e)
{
    struct security_third_party *t;
    struct vom_value as, key;
    int r = vom_convert(a, v, &security_type_third_party, NULL, &as, e);

    if (r < 0)
        return r;
    rule->kind = SECURITY_RULE_THIRD_PARTY;
    rule->third = t = arena_calloc(keep, 1, sizeof *t);
    if (t == NULL)
        return WSPR_ENOMEM;
    t->service = caveat->service;
    t->bytes = caveat->bytes;
    t->nonce = arena_copy(keep, vom_value_at(&as, SECURITY_THIRD_NONCE).s);
    t->minting = arena_copy(keep, vom_value_at(&as, SECURITY_THIRD_MINTING).s);
    t->location = arena_copy(keep, vom_value_at(&as, SECURITY_THIRD_LOCATION).s);
    if (t->nonce.p == NULL || t->minting.p == NULL || t->location.p == NULL)
        return WSPR_ENOMEM;
    key = vom_value_at(&as, SECURITY_THIRD_KEY);
    t->key_valid = security_get_pubkey(&key, &t->key) >= 0;
    third_party_id(t);
    return 0;
}

static int get_rule(struct security_rule *rule, struct arena *keep, struct arena *a,
                    const struct security_caveat *caveat, struct err *e)
{
    struct vom_value whole, v;
    struct span name;
    int r = security_decode_blob(caveat->bytes, a, &whole, e);

    if (r < 0)
        return r;
    r = security_resolve(whole, &v);
    if (r < 0)
        return security_fail(e, r);
    if (r == 0)
        return security_fail_type(e, whole.type, "security.Caveat");
    name = v.type->name;
    if (span_equal(name, security_type_expiry.name))
        return get_expiry(rule, a, &v, e);
    if (span_equal(name, security_type_methods.name))
        return get_list(rule, SECURITY_RULE_METHODS, &security_type_methods, keep, a, &v, e);
    if (span_equal(name, security_type_peers.name))
        return get_list(rule, SECURITY_RULE_PEERS, &security_type_peers, keep, a, &v, e);
    if (span_equal(name, security_type_network.name))
        return get_network(rule, keep, a, &v, e);
    if (span_equal(name, security_type_third_party.name))
        return get_third_party(rule, keep, a, caveat, &v, e);
    return security_fail_type(e, whole.type, "security.Caveat");
}

/* One caveat; scratch is empty again afterwards. */
static int parse_rule(struct security_rule *rule, struct arena *keep, struct arena *scratch,
                      const struct security_caveat *caveat)
{
    struct err e = ERR_INIT;
    int r = get_rule(rule, keep, scratch, caveat, &e);

    if (r < 0 && r != WSPR_ENOMEM) {
        rule->kind = SECURITY_RULE_BAD;
        rule->code = r;
        rule->text = arena_copy(keep, span_str(err_text(&e)));
        r = rule->text.p != NULL ? 0 : WSPR_ENOMEM;
    }
    err_done(&e);
    arena_reset(scratch);
    return r < 0 ? WSPR_ENOMEM : 0;
}

int security_rules_parse(struct arena *a, const struct security_caveat *caveats, size_t n,
                         const struct security_rule **ret_rules)
{
    struct arena scratch = ARENA_INIT(SECURITY_SCRATCH_MAX);
    struct security_rule *rules = arena_calloc(a, n, sizeof *rules);
    int r = rules != NULL ? 0 : WSPR_ENOMEM;

    for (size_t i = 0; i < n && r >= 0; i++)
        r = parse_rule(&rules[i], a, &scratch, &caveats[i]);
    arena_done(&scratch);
    if (r >= 0)
        *ret_rules = rules;
    return r;
}

size_t security_rules_listed(const struct security_rule *rules, size_t n)
{
    size_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        if (rules[i].kind == SECURITY_RULE_METHODS || rules[i].kind == SECURITY_RULE_PEERS)
            sum += rules[i].n;
    }
    return sum;
}

struct security_instant security_instant_of_ns(int64_t ns)
{
    struct security_instant t = {ns / 1000000000, (int32_t)(ns % 1000000000)};

    if (t.nsec < 0) {
        t.sec--;
        t.nsec += 1000000000;
    }
    return t;
}

int64_t security_instant_ns(struct security_instant t)
{
    int64_t ns;

    if (__builtin_mul_overflow(t.sec, INT64_C(1000000000), &ns) ||
        __builtin_add_overflow(ns, t.nsec, &ns))
        return t.sec < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}

int64_t security_rules_expire(const struct security_rule *rules, size_t n)
{
    int64_t first = INT64_MAX;

    for (size_t i = 0; i < n; i++) {
        int64_t t;

        if (rules[i].kind != SECURITY_RULE_EXPIRY)
            continue;
        t = security_instant_ns(rules[i].expires);
        if (t < first)
            first = t;
    }
    return first;
}

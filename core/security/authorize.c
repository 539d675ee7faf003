/*
 * Checking caveats (spec: security 8, 9). A discharge may carry caveats that need discharges
 * themselves, in a circle too; depth and the number of signatures that are verified end that.
 */
#include "config.h"
#include "security/caveat.h"

#include <stdlib.h>
#include <time.h>

#include "base/quote.h"
#include "security/digest.h"
#include "security/discharge.h"
#include "security/internal.h"
#include "security/pattern.h"

/* One decision. */
struct check {
    const struct security_context *c;
    unsigned depth;  /* of discharges that led here */
    unsigned budget; /* discharges that may still be verified */
    bool named;      /* the names of local were looked up */
    size_t n_names;
    struct span names[SECURITY_CERTS_MAX];
};

static int check_caveats(struct check *k, const struct security_caveat *caveats,
                         const struct security_rule *rules, size_t n, struct err *e);

static void check_init(struct check *k, const struct security_context *c)
{
    k->c = c;
    k->depth = 0;
    k->budget = SECURITY_DISCHARGES_CHECKED;
    k->named = false;
}

static bool local_matches(struct check *k, struct span pattern)
{
    if (k->c->local == NULL)
        return false;
    if (!k->named) {
        k->n_names =
            security_identity_names(k->c->local, k->c->trust, k->names, SECURITY_CERTS_MAX);
        k->named = true;
    }
    return security_pattern_match_names(pattern, k->names, k->n_names);
}

/* Texts. */

static void put_instant(struct buf *out, struct security_instant t)
{
    time_t sec = (time_t)t.sec;
    char text[64];
    struct tm tm;

    if (gmtime_r(&sec, &tm) == NULL || strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm) == 0) {
        buf_printf(out, "%lld s", (long long)t.sec);
        return;
    }
    buf_append_str(out, text);
    if (t.nsec != 0)
        buf_printf(out, ".%09d", (int)t.nsec);
    buf_append_str(out, " UTC");
}

static void put_list(struct buf *out, const struct security_rule *r)
{
    for (size_t i = 0; i < r->n; i++) {
        if (i > 0)
            buf_append_str(out, ", ");
        quote_append(out, r->list[i], '"');
    }
}

static void put_denial(struct buf *out, const struct check *k, const struct security_rule *r)
{
    switch (r->kind) {
    case SECURITY_RULE_EXPIRY:
        buf_append_str(out, "caveat.Expiry{");
        put_instant(out, r->issued);
        buf_append_str(out, ", ");
        put_instant(out, r->expires);
        buf_append_str(out, "} forbids credential from being used at this time(");
        put_instant(out, security_instant_of_ns(k->c->now));
        buf_u8(out, ')');
        break;
    case SECURITY_RULE_METHODS:
        buf_append_str(out, "caveat.MethodRestriction{");
        put_list(out, r);
        buf_append_str(out, "} forbids invocation of method ");
        buf_append_span(out, k->c->method);
        break;
    case SECURITY_RULE_PEERS:
        buf_append_str(out, "caveat.PeerIdentity{");
        put_list(out, r);
        buf_append_str(out, "} forbids RPCing with peer ");
        if (k->c->local != NULL)
            security_identity_print(out, k->c->local, k->c->trust);
        else
            buf_append_str(out, "<nil>");
        break;
    case SECURITY_RULE_NETWORK:
        buf_append_str(out, "required network type ");
        quote_append(out, r->text, '"');
        buf_append_str(out, ", got ");
        quote_append(out, k->c->network, '"');
        break;
    default:
        buf_append_span(out, r->text);
        break;
    }
}

static int deny(const struct check *k, const struct security_rule *r, struct err *e)
{
    struct buf b = BUF_INIT(ERR_MSG_MAX);

    if (e == NULL)
        return WSPR_ENOTAUTH;
    put_denial(&b, k, r);
    /* What does not fit is cut: the buffer keeps all that came before. */
    err_set_text(e, WSPR_ENOTAUTH, (const char *)buf_span(&b).p, b.len);
    buf_done(&b);
    return WSPR_ENOTAUTH;
}

/* Puts the caveat behind the text of what went wrong with it. */
static int deny_third_party(const struct security_third_party *t, struct err *e)
{
    struct buf b = BUF_INIT(ERR_MSG_MAX);

    if (e == NULL)
        return WSPR_ENOTAUTH;
    buf_append_str(&b, err_text(e));
    buf_append_str(&b, " for publicKeyCaveat{nonce:[");
    for (size_t i = 0; i < t->nonce.len && i < 64; i++)
        buf_printf(&b, "%s%u", i > 0 ? " " : "", t->nonce.p[i]);
    buf_append_str(&b, "] location:");
    quote_append(&b, t->location, '"');
    buf_u8(&b, '}');
    err_set_text(e, WSPR_ENOTAUTH, (const char *)buf_span(&b).p, b.len);
    buf_done(&b);
    return WSPR_ENOTAUTH;
}

/* Rules. */

static int compare_instants(struct security_instant a, struct security_instant b)
{
    if (a.sec != b.sec)
        return a.sec < b.sec ? -1 : 1;
    return (a.nsec > b.nsec) - (a.nsec < b.nsec);
}

static bool expiry_passes(const struct check *k, const struct security_rule *r)
{
    struct security_instant now = security_instant_of_ns(k->c->now);

    return compare_instants(r->issued, now) <= 0 && compare_instants(now, r->expires) <= 0;
}

static bool methods_pass(const struct check *k, const struct security_rule *r)
{
    if (k->c->method.len == 0)
        return true;
    for (size_t i = 0; i < r->n; i++) {
        if (span_equal(r->list[i], k->c->method))
            return true;
    }
    return false;
}

static bool peers_pass(struct check *k, const struct security_rule *r)
{
    for (size_t i = 0; i < r->n; i++) {
        if (local_matches(k, r->list[i]))
            return true;
    }
    return false;
}

static const struct security_discharge *find_discharge(const struct check *k,
                                                       const struct security_third_party *t)
{
    for (size_t i = k->c->n_discharges; i > 0; i--) {
        const struct security_discharge *d = k->c->discharges[i - 1];

        if (span_equal(d->id, span_of(t->id, sizeof t->id)))
            return d;
    }
    return NULL;
}

/* The signature first: caveats that nobody vouches for are not looked at. spec: security 8.4 */
static int check_discharge(struct check *k, const struct security_discharge *d,
                           const struct security_third_party *t, struct err *e)
{
    uint8_t digest[SECURITY_DIGEST_LEN];
    int ret;

    if (k->budget == 0 || k->depth == SECURITY_DISCHARGE_DEPTH)
        return err_set(e, WSPR_ENOTAUTH, "too many discharges");
    k->budget--;
    security_digest_discharge(d->id, d->caveats, d->n_caveats, digest);
    if (!t->key_valid || !security_verify(&t->key, span_of(digest, sizeof digest), &d->signature))
        return err_set(e, WSPR_ENOTAUTH, "discharge has invalid signature");
    k->depth++;
    ret = check_caveats(k, d->caveats, d->rules, d->n_caveats, e);
    k->depth--;
    return ret;
}

static int check_third_party(struct check *k, const struct security_third_party *t, struct err *e)
{
    const struct security_discharge *d = find_discharge(k, t);
    int ret =
        d != NULL ? check_discharge(k, d, t, e) : err_set(e, WSPR_ENOTAUTH, "missing discharge");

    return ret < 0 ? deny_third_party(t, e) : 0;
}

static int check_rule(struct check *k, const struct security_rule *r, struct err *e)
{
    bool passes = false;

    switch (r->kind) {
    case SECURITY_RULE_EXPIRY:
        passes = expiry_passes(k, r);
        break;
    case SECURITY_RULE_METHODS:
        passes = methods_pass(k, r);
        break;
    case SECURITY_RULE_PEERS:
        passes = peers_pass(k, r);
        break;
    case SECURITY_RULE_NETWORK:
        passes = k->c->network.len > 0 && span_equal(k->c->network, r->text);
        break;
    case SECURITY_RULE_THIRD_PARTY:
        return check_third_party(k, r->third, e);
    case SECURITY_RULE_BAD:
        break;
    }
    return passes ? 0 : deny(k, r, e);
}

static int check_caveats(struct check *k, const struct security_caveat *caveats,
                         const struct security_rule *rules, size_t n, struct err *e)
{
    int ret = 0;

    for (size_t i = 0; i < n && ret >= 0; i++) {
        if (security_pattern_is_all(caveats[i].service) || local_matches(k, caveats[i].service))
            ret = check_rule(k, &rules[i], e);
    }
    return ret;
}

int security_rules_check(const struct security_caveat *caveats, const struct security_rule *rules,
                         size_t n, const struct security_context *c, struct err *e)
{
    struct check k;

    check_init(&k, c);
    return check_caveats(&k, caveats, rules, n, e);
}

int security_caveat_check(const struct security_caveat *caveat, const struct security_context *c,
                          struct err *e)
{
    struct arena a = ARENA_INIT(SECURITY_SCRATCH_MAX);
    const struct security_rule *rule;
    int ret = security_rules_parse(&a, caveat, 1, &rule);

    ret = ret < 0 ? security_fail(e, ret) : security_rules_check(caveat, rule, 1, c, e);
    arena_done(&a);
    return ret;
}

/* Identities. */

static int authorize(struct check *k, struct security_identity *id,
                     struct security_identity **ret_id, struct err *e);

static int authorize_chain(struct check *k, struct security_identity *id,
                           struct security_identity **ret_id, struct err *e)
{
    int ret = 0;

    for (size_t i = 0; i < id->n_certs && ret >= 0; i++)
        ret = check_caveats(k, id->certs[i].caveats, id->certs[i].rules, id->certs[i].n_caveats, e);
    if (ret < 0) {
        err_prefix(e, WSPR_ENOTAUTH, "not authorized because ");
        return WSPR_ENOTAUTH;
    }
    *ret_id = security_identity_ref(id);
    return 0;
}

/* Reports what was said about each member. */
static int deny_set(struct buf *texts, size_t n, struct err *e)
{
    err_set_text(e, WSPR_ENOTAUTH, (const char *)buf_span(texts).p, texts->len);
    if (n > 1)
        err_prefix(e, WSPR_ENOTAUTH, "none of the blessings in the set are authorized: ");
    return WSPR_ENOTAUTH;
}

static int authorize_set(struct check *k, struct security_identity *id,
                         struct security_identity **ret_id, struct err *e)
{
    struct security_identity *alive[SECURITY_CERTS_MAX];
    struct buf texts = BUF_INIT(ERR_MSG_MAX);
    struct err one = ERR_INIT;
    bool whole = true;
    size_t n = 0;
    int ret = 0;

    for (size_t i = 0; i < id->n_members && ret != WSPR_ENOMEM; i++) {
        ret = authorize(k, id->members[i], &alive[n], e != NULL ? &one : NULL);
        if (ret >= 0) {
            whole = whole && alive[n] == id->members[i];
            n++;
        } else if (e != NULL) {
            buf_append_str(&texts, i > 0 ? ", " : "");
            buf_append_str(&texts, err_text(&one));
        }
        whole = whole && ret >= 0;
    }
    if (ret == WSPR_ENOMEM) {
        security_fail(e, ret);
    } else if (n == 0) {
        ret = deny_set(&texts, id->n_members, e);
    } else if (whole) {
        *ret_id = security_identity_ref(id);
        ret = 0;
    } else {
        ret = security_identity_set(alive, n, ret_id, e);
    }
    while (n > 0)
        security_identity_unref(alive[--n]);
    buf_done(&texts);
    err_done(&one);
    return ret;
}

static int authorize(struct check *k, struct security_identity *id,
                     struct security_identity **ret_id, struct err *e)
{
    switch (id->variant) {
    case SECURITY_CHAIN:
        return authorize_chain(k, id, ret_id, e);
    case SECURITY_SET:
        return authorize_set(k, id, ret_id, e);
    case SECURITY_PLACEHOLDER:
        break;
    }
    *ret_id = security_identity_ref(id);
    return 0;
}

int security_authorize(struct security_identity *id, const struct security_context *c,
                       struct security_identity **ret_id, struct err *e)
{
    struct check k;

    check_init(&k, c);
    return authorize(&k, id, ret_id, e);
}

int64_t security_identity_expires(const struct security_identity *id)
{
    int64_t first = INT64_MAX, t;

    for (size_t i = 0; id->certs != NULL && i < id->n_certs; i++) {
        t = security_rules_expire(id->certs[i].rules, id->certs[i].n_caveats);
        first = t < first ? t : first;
    }
    for (size_t i = 0; i < id->n_members; i++) {
        t = security_identity_expires(id->members[i]);
        first = t < first ? t : first;
    }
    return first;
}

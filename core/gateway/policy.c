#include "config.h"
#include "gateway/policy.h"

#include "ws/origin.h"

#define POLICY_MEM_MAX ((size_t)1 << 20)
#define POLICY_MAX     1024

enum policy_kind { POLICY_ALL, POLICY_LOCAL, POLICY_SCHEME, POLICY_BELOW, POLICY_ORIGIN };

struct policy_rule {
    enum policy_kind kind;
    struct span text;        /* in mem; the origin's spans point into it */
    struct ws_origin origin; /* host of POLICY_BELOW: with its leading dot */
};

static bool is_scheme(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.p[i] | 0x20;

        if (!(c >= 'a' && c <= 'z') &&
            (i == 0 || !((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '+' || s.p[i] == '-' ||
                         s.p[i] == '.')))
            return false;
    }
    return s.len > 0;
}

/* The forms with a star, which are no origins. */
static bool parse_wild(struct policy *p, struct policy_rule *r)
{
    const uint8_t *star = memmem(r->text.p, r->text.len, "://*", 4);
    struct span scheme = span_of(r->text.p, star != NULL ? (size_t)(star - r->text.p) : 0);
    struct span rest = star != NULL ? span_of(star + 4, r->text.len - scheme.len - 4) : r->text;
    struct buf plain = BUF_INIT(4096);
    bool ok;

    if (star == NULL || !is_scheme(scheme))
        return false;
    if (rest.len == 0) {
        r->kind = POLICY_SCHEME;
        r->origin.scheme = scheme;
        return true;
    }
    if (rest.p[0] != '.')
        return false;
    /* The same as an origin, with the star left out and something before the dot. */
    buf_append_span(&plain, scheme);
    buf_append_str(&plain, "://x");
    buf_append_span(&plain, rest);
    r->kind = POLICY_BELOW;
    r->text = arena_copy(&p->mem, buf_span(&plain));
    ok = buf_error(&plain) == 0 && r->text.p != NULL && ws_origin_parse(r->text, &r->origin) == 0;
    buf_done(&plain);
    if (ok)
        r->origin.host = span_of(r->origin.host.p + 1, r->origin.host.len - 1);
    return ok;
}

static bool parse_rule(struct policy *p, struct policy_rule *r)
{
    if (span_equal_str(r->text, "*"))
        r->kind = POLICY_ALL;
    else if (span_equal_str(r->text, "local"))
        r->kind = POLICY_LOCAL;
    else if (ws_origin_parse(r->text, &r->origin) == 0)
        r->kind = POLICY_ORIGIN;
    else
        return parse_wild(p, r);
    return true;
}

static struct span trim(struct span s)
{
    while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = span_of(s.p + 1, s.len - 1);
    while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* At most; what is between two commas may be nothing. */
static size_t count_rules(const char *text)
{
    size_t n = 1;

    for (; *text != '\0'; text++)
        n += *text == ',';
    return n < POLICY_MAX ? n : POLICY_MAX;
}

static int take_rules(struct policy *p, struct span rest, struct err *err)
{
    while (rest.len > 0) {
        const uint8_t *comma = memchr(rest.p, ',', rest.len);
        size_t len = comma != NULL ? (size_t)(comma - rest.p) : rest.len;
        struct span text = trim(span_of(rest.p, len));
        struct policy_rule *r = &p->rules[p->n];

        len += comma != NULL;
        rest = span_of(rest.p + len, rest.len - len);
        if (text.len == 0)
            continue;
        if (p->n == POLICY_MAX)
            return err_set(err, WSPR_ELIMIT, "more than %d origins", POLICY_MAX);
        r->text = text;
        if (!parse_rule(p, r))
            return err_set(err, WSPR_EINVAL, "\"%.*s\" is no origin", SPAN_ARG(r->text));
        p->n++;
    }
    return 0;
}

int policy_parse(struct policy *p, const char *text, struct err *err)
{
    struct span copy;

    p->n = 0;
    arena_init(&p->mem, POLICY_MEM_MAX);
    p->rules = arena_calloc(&p->mem, count_rules(text), sizeof *p->rules);
    copy = arena_copy(&p->mem, span_str(text));
    if (p->rules == NULL || copy.p == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    return take_rules(p, copy, err);
}

void policy_done(struct policy *p)
{
    arena_done(&p->mem);
    p->rules = NULL;
    p->n = 0;
}

static bool equal_nocase(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        uint8_t x = a.p[i], y = b.p[i];

        x = x >= 'A' && x <= 'Z' ? (uint8_t)(x | 0x20) : x;
        y = y >= 'A' && y <= 'Z' ? (uint8_t)(y | 0x20) : y;
        if (x != y)
            return false;
    }
    return true;
}

static bool is_below(const struct ws_origin *o, const struct ws_origin *rule)
{
    size_t n = rule->host.len;

    return !o->ipv6 && o->host.len > n && o->port == rule->port &&
           equal_nocase(o->scheme, rule->scheme) &&
           equal_nocase(span_of(o->host.p + o->host.len - n, n), rule->host);
}

bool policy_admits(const struct policy *p, struct span origin, bool local)
{
    struct ws_origin o;
    bool parsed = ws_origin_parse(origin, &o) == 0;

    for (size_t i = 0; i < p->n; i++) {
        const struct policy_rule *r = &p->rules[i];

        if (r->kind == POLICY_ALL || (r->kind == POLICY_LOCAL && origin.len == 0 && local))
            return true;
        if (parsed && ((r->kind == POLICY_SCHEME && equal_nocase(o.scheme, r->origin.scheme)) ||
                       (r->kind == POLICY_BELOW && is_below(&o, &r->origin)) ||
                       (r->kind == POLICY_ORIGIN && ws_origin_equal(&o, &r->origin))))
            return true;
    }
    return false;
}

bool policy_serialize(struct span origin, struct buf *out)
{
    struct ws_origin o;

    if (ws_origin_parse(origin, &o) < 0)
        return false;
    ws_origin_format(out, &o);
    return buf_error(out) == 0;
}

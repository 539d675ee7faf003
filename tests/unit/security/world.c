#include "config.h"
#include "world.h"

#include <time.h>

#include "base/hex.h"

static struct json_object *doc;
static struct security_trust *trust;

struct json_object *world(void)
{
    if (doc == NULL)
        doc = vectors_load("identity.json");
    return doc;
}

static struct security_pubkey point(struct json_object *o)
{
    struct buf b = BUF_INIT(65);
    struct security_pubkey k;

    buf_u8(&b, 4);
    if (hex_decode(&b, vec_str(o, "x"), 64) < 0 || hex_decode(&b, vec_str(o, "y"), 64) < 0 ||
        security_pubkey_parse(buf_span(&b), &k, NULL) < 0)
        abort();
    buf_done(&b);
    return k;
}

struct security_trust *world_trust(void)
{
    struct json_object *roots = world_group("trusted_roots");

    if (trust != NULL)
        return trust;
    trust = security_trust_create();
    for (size_t i = 0; i < json_object_array_length(roots); i++) {
        struct json_object *r = json_object_array_get_idx(roots, i);
        struct security_pubkey k = point(r);

        if (security_trust_add(trust, span_str(vec_str(r, "name")), &k) < 0)
            abort();
    }
    return trust;
}

void world_end(void)
{
    security_trust_unref(trust);
    trust = NULL;
    json_object_put(doc);
    doc = NULL;
}

struct json_object *world_group(const char *name)
{
    struct json_object *g = vec_get(world(), name);

    if (g == NULL || json_object_array_length(g) == 0) {
        fprintf(stderr, "no vectors: %s\n", name);
        exit(99);
    }
    return g;
}

struct json_object *world_entry(const char *group, const char *id)
{
    struct json_object *g = world_group(group);

    for (size_t i = 0; i < json_object_array_length(g); i++) {
        struct json_object *o = json_object_array_get_idx(g, i);
        const char *have = vec_str(o, "id");

        if (have != NULL && strcmp(have, id) == 0)
            return o;
    }
    return NULL;
}

struct security_identity *world_identity(const char *id)
{
    struct json_object *o = world_entry("identities", id);
    struct security_identity *ret = NULL;
    struct security_private *priv;
    struct buf b;

    if (id[0] == '\0')
        return NULL;
    if (strcmp(vec_str(o, "kind"), "private") == 0) {
        priv = world_private(id);
        ret = security_identity_ref(security_private_public(priv));
        security_private_unref(priv);
        return ret;
    }
    b = vec_hex(vec_str(o, "vom"));
    if (security_identity_decode(buf_span(&b), SECURITY_ALLOW_PLACEHOLDERS, &ret, NULL) < 0)
        abort();
    buf_done(&b);
    return ret;
}

struct security_private *world_private(const char *id)
{
    struct buf b = vec_hex(vec_str(world_entry("identities", id), "vom"));
    struct security_private *ret;

    if (security_private_decode(buf_span(&b), SECURITY_ALLOW_PLACEHOLDERS, &ret, NULL) < 0)
        abort();
    buf_done(&b);
    return ret;
}

struct security_discharge *world_discharge(const char *id)
{
    struct buf b = vec_hex(vec_str(world_entry("discharges", id), "vom"));
    struct security_discharge *ret;

    if (security_discharge_decode(buf_span(&b), &ret, NULL) < 0)
        abort();
    buf_done(&b);
    return ret;
}

struct security_key *world_key(const char *name)
{
    struct buf b = vec_hex(vec_str(vec_get(vec_get(world(), "keys"), name), "d"));
    struct security_key *k;

    if (security_key_from_scalar(buf_span(&b), &k, NULL) < 0)
        abort();
    buf_done(&b);
    return k;
}

/* n digits at *p, which moves on. */
static int digits(const char **p, int n)
{
    int v = 0;

    while (n-- > 0)
        v = v * 10 + (*(*p)++ - '0');
    return v;
}

int64_t world_time(const char *text)
{
    const char *p = text;
    int64_t nsec = 0, unit = 100000000;
    struct tm tm = {0};

    tm.tm_year = digits(&p, 4) - 1900;
    p++;
    tm.tm_mon = digits(&p, 2) - 1;
    p++;
    tm.tm_mday = digits(&p, 2);
    p++;
    tm.tm_hour = digits(&p, 2);
    p++;
    tm.tm_min = digits(&p, 2);
    p++;
    tm.tm_sec = digits(&p, 2);
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
            nsec += (*p - '0') * unit;
    }
    if (*p != 'Z')
        abort();
    return (int64_t)timegm(&tm) * 1000000000 + nsec;
}

void world_context(struct world_context *w, struct json_object *o)
{
    struct json_object *discharges = vec_get(o, "discharges");

    memset(w, 0, sizeof *w);
    w->local = world_identity(vec_str(o, "local"));
    w->c.now = world_time(vec_str(o, "now"));
    w->c.trust = world_trust();
    w->c.local = w->local;
    w->c.method = span_str(vec_str(o, "method"));
    w->c.network = span_str(vec_str(o, "network"));
    if (discharges != NULL)
        w->c.n_discharges = json_object_array_length(discharges);
    for (size_t i = 0; i < w->c.n_discharges; i++)
        w->discharges[i] =
            world_discharge(json_object_get_string(json_object_array_get_idx(discharges, i)));
    w->c.discharges = w->discharges;
}

void world_context_done(struct world_context *w)
{
    security_identity_unref(w->local);
    for (size_t i = 0; i < w->c.n_discharges; i++)
        security_discharge_unref(w->discharges[i]);
}

bool is_hex(struct span s, const char *hex)
{
    struct buf b = vec_hex(hex);
    bool same = span_equal(s, buf_span(&b));

    buf_done(&b);
    return same;
}

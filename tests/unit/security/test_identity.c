#include "config.h"
#include "world.h"

#include "base/hex.h"
#include "security/digest.h"
#include "security/idfile.h"
#include "security/pattern.h"

/* What the vectors say about decoded identities. */

static void names_are(const struct security_identity *id, struct json_object *want,
                      const char *what)
{
    struct span names[SECURITY_CERTS_MAX];
    size_t n = security_identity_names(id, world_trust(), names, SECURITY_CERTS_MAX);

    TAP_OK(n == json_object_array_length(want), "%s: %zu names", what, n);
    for (size_t i = 0; i < n && i < json_object_array_length(want); i++)
        TAP_OK(span_equal_str(names[i], json_object_get_string(json_object_array_get_idx(want, i))),
               "%s: %.*s", what, SPAN_ARG(names[i]));
}

static void text_is(const struct security_identity *id, const char *want, const char *what)
{
    struct buf b = BUF_INIT(10000);

    security_identity_print(&b, id, world_trust());
    TAP_OK(span_equal_str(buf_span(&b), want), "%s: %s", what, buf_cstr(&b));
    buf_done(&b);
}

static void certificate_is(const struct security_certificate *c,
                           const struct security_signature *issuer, struct json_object *want,
                           const char *what)
{
    struct json_object *caveats = vec_get(want, "caveats"), *sig = vec_get(want, "signature");
    uint8_t digest[SECURITY_DIGEST_LEN];

    TAP_OK(span_equal_str(c->name, vec_str(want, "name")), "%s", what);
    TAP_OK(is_hex(span_of(c->key.xy, sizeof c->key.xy), vec_str(want, "xy")), "%s", what);
    TAP_OK(span_equal_str(c->signature.hash, vec_str(sig, "hash")), "%s", what);
    TAP_OK(is_hex(c->signature.r, vec_str(sig, "r")), "%s", what);
    TAP_OK(is_hex(c->signature.s, vec_str(sig, "s")), "%s", what);
    TAP_OK(c->n_caveats == json_object_array_length(caveats), "%s", what);
    for (size_t i = 0; i < c->n_caveats && i < json_object_array_length(caveats); i++) {
        struct json_object *o = json_object_array_get_idx(caveats, i);

        TAP_OK(span_equal_str(c->caveats[i].service, vec_str(o, "service")), "%s", what);
        TAP_OK(is_hex(c->caveats[i].bytes, vec_str(o, "bytes")), "%s", what);
    }
    security_digest_certificate(c, issuer, digest);
    TAP_OK(is_hex(span_of(digest, sizeof digest), vec_str(want, "digest")), "%s", what);
}

static void decoded_is(const struct security_identity *id, struct json_object *want,
                       const char *what)
{
    struct json_object *certs = vec_get(want, "certificates"), *elems = vec_get(want, "elements");
    const struct security_certificate *c;
    struct security_identity *const *members;
    size_t n;

    names_are(id, vec_get(want, "names"), what);
    text_is(id, vec_str(want, "string"), what);
    c = security_identity_certs(id, &n);
    TAP_OK(n == (certs != NULL ? json_object_array_length(certs) : 0), "%s", what);
    for (size_t i = 0; i < n; i++)
        certificate_is(&c[i], i > 0 ? &c[i - 1].signature : NULL,
                       json_object_array_get_idx(certs, i), what);
    members = security_identity_members(id, &n);
    TAP_OK(n == (elems != NULL ? json_object_array_length(elems) : 0), "%s", what);
    for (size_t i = 0; i < n; i++)
        decoded_is(members[i], json_object_array_get_idx(elems, i), what);
    if (vec_str(want, "x") != NULL) {
        const struct security_pubkey *k = security_identity_key(id);

        TAP_OK(is_hex(span_of(k->xy + 1, 32), vec_str(want, "x")), "%s", what);
        TAP_OK(is_hex(span_of(k->xy + 33, 32), vec_str(want, "y")), "%s", what);
    }
}

static unsigned authorizations(struct security_identity *id, struct json_object *list,
                               const char *what)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        bool allowed = strcmp(vec_str(o, "result"), "ok") == 0;
        struct security_identity *rest = NULL;
        struct world_context w;
        struct err e = ERR_INIT;
        int r;

        world_context(&w, o);
        r = security_authorize(id, &w.c, &rest, &e);
        TAP_OK(r == (allowed ? 0 : WSPR_ENOTAUTH), "%s %zu: %d %s", what, i, r, err_text(&e));
        if (r == 0 && allowed) {
            names_are(rest, vec_get(o, "names"), what);
            text_is(rest, vec_str(o, "string"), what);
        }
        /* Without an error to fill, the same comes out. */
        security_identity_unref(rest);
        rest = NULL;
        TAP_OK(security_authorize(id, &w.c, &rest, NULL) == r, "%s %zu", what, i);
        security_identity_unref(rest);
        world_context_done(&w);
        err_done(&e);
    }
    return (unsigned)json_object_array_length(list);
}

static void scalars_are(struct security_private *priv, struct json_object *o)
{
    struct json_object *secrets = vec_get(o, "secrets");

    TAP_IS(is_hex(security_key_scalar(security_private_key(priv)),
                  json_object_get_string(json_object_array_get_idx(secrets, 0))));
}

/* Decodes the public or private form; the text must give the same. */
static struct security_identity *decode(struct json_object *o, bool private, const char *what)
{
    struct buf vom = vec_hex(vec_str(o, "vom")), out = BUF_INIT(100000);
    struct span text = span_str(vec_str(o, "base64"));
    struct security_private *priv = NULL, *priv2 = NULL;
    struct security_identity *id = NULL, *id2 = NULL;
    struct err e = ERR_INIT;
    unsigned flags = SECURITY_ALLOW_PLACEHOLDERS;
    bool same;

    if (private) {
        TAP_OK(security_private_decode(buf_span(&vom), flags, &priv, &e) == 0, "%s: %s", what,
               err_text(&e));
        TAP_OK(security_idfile_parse_private(text, flags, &priv2, &e) == 0, "%s: %s", what,
               err_text(&e));
        id = security_identity_ref(security_private_public(priv));
        id2 = security_identity_ref(security_private_public(priv2));
        if (vec_get(o, "secrets") != NULL)
            scalars_are(priv, o);
        TAP_OK(security_private_encode(&out, priv) == 0, "%s", what);
    } else {
        TAP_OK(security_identity_decode(buf_span(&vom), flags, &id, &e) == 0, "%s: %s", what,
               err_text(&e));
        TAP_OK(security_idfile_parse_public(text, flags, &id2, &e) == 0, "%s: %s", what,
               err_text(&e));
        TAP_OK(security_identity_encode(&out, id) == 0, "%s", what);
    }
    /* The encoder makes what the reference makes, save that it never refers back to a member. */
    same = strcmp(what, "set-nested-pub") != 0;
    TAP_OK(span_equal(buf_span(&out), buf_span(&vom)) == same, "%s: encoded again", what);
    buf_reset(&out);
    if (private)
        security_idfile_print_private(&out, priv);
    else
        security_idfile_print_public(&out, id);
    TAP_OK(span_equal(buf_span(&out), text) == same, "%s: printed again", what);
    TAP_OK(security_identity_equal(id, id2), "%s", what);
    security_identity_unref(id2);
    security_private_unref(priv);
    security_private_unref(priv2);
    security_buf_wipe(&out);
    security_buf_wipe(&vom);
    err_done(&e);
    return id;
}

static void identities(void)
{
    struct json_object *group = world_group("identities");
    unsigned n = 0, contexts = 0, placeholders = 0;

    for (size_t i = 0; i < json_object_array_length(group); i++) {
        struct json_object *o = json_object_array_get_idx(group, i);
        const char *what = vec_str(o, "id"), *kind = vec_str(o, "kind");
        struct security_identity *id = decode(o, strcmp(kind, "private") == 0, what);
        struct security_identity *none = NULL;
        struct buf vom = vec_hex(vec_str(o, "vom"));

        decoded_is(id, vec_get(o, "decoded"), what);
        contexts += authorizations(id, vec_get(o, "authorize"), what);
        if (strcmp(kind, "fake") == 0) {
            placeholders++;
            security_identity_unref(decode(o, true, what));
            /* Anybody could claim to be one. */
            TAP_OK(security_identity_decode(buf_span(&vom), 0, &none, NULL) == WSPR_ETYPE, "%s",
                   what);
        }
        security_identity_unref(id);
        buf_done(&vom);
        n++;
    }
    tap_note("identity.json identities: %u, authorizations: %u, placeholders: %u", n, contexts,
             placeholders);
    TAP_IS(n == 57 && contexts > 150 && placeholders == 2);
}

/* Invalid ones. */

static int parse(struct json_object *o, struct buf *ret_text, struct err *e)
{
    struct span text = span_str(vec_str(o, "base64"));
    struct security_private *priv = NULL;
    struct security_identity *id = NULL;
    int r;

    if (strcmp(vec_str(o, "decode_as"), "private") == 0) {
        r = security_idfile_parse_private(text, 0, &priv, e);
        if (r == 0)
            security_private_print(ret_text, priv, world_trust());
        security_private_unref(priv);
        return r;
    }
    r = security_idfile_parse_public(text, 0, &id, e);
    if (r == 0)
        security_identity_print(ret_text, id, world_trust());
    security_identity_unref(id);
    return r;
}

static void invalid_identities(void)
{
    struct json_object *group = world_group("invalid_identities");
    unsigned n = 0, rejected = 0, texts = 0;

    for (size_t i = 0; i < json_object_array_length(group); i++) {
        struct json_object *o = json_object_array_get_idx(group, i);
        const char *what = vec_str(o, "id"), *want = vec_str(o, "reference_error");
        bool reject = strncmp(vec_str(o, "required"), "reject", 6) == 0;
        struct buf text = BUF_INIT(10000);
        struct err e = ERR_INIT;
        int r = parse(o, &text, &e);

        TAP_OK(reject ? r < 0 : r == 0, "%s: %d %s", what, r, err_text(&e));
        if (r == 0)
            TAP_OK(span_equal_str(buf_span(&text), vec_str(o, "reference_string")), "%s", what);
        if (r < 0 && want != NULL && strcmp(vec_str(o, "reference_result"), "rejected") == 0) {
            TAP_OK(strcmp(err_text(&e), want) == 0, "%s: \"%s\" instead of \"%s\"", what,
                   err_text(&e), want);
            texts++;
        }
        rejected += r < 0;
        n++;
        buf_done(&text);
        err_done(&e);
    }
    tap_note("identity.json invalid_identities: %u, %u rejected, %u texts compared", n, rejected,
             texts);
    TAP_IS(n == 54 && rejected == 52);
}

/* Every group of the file has its place: here, or with the account store. */
static void groups_of_the_file(void)
{
    static const char *const elsewhere[] = {"id_manager_states", "id_manager_operations",
                                            "assoc_identity"};
    static const char *const here[] = {
        "notes",          "keys",    "trusted_roots",      "builtin_root", "identities",
        "pattern_match",  "acl",     "invalid_identities", "acl_json",     "labels",
        "identity_match", "caveats", "third_party_caveat", "discharges",   "signatures",
    };
    unsigned known = 0;

    for (size_t i = 0; i < sizeof here / sizeof here[0]; i++)
        known += vec_get(world(), here[i]) != NULL;
    TAP_IS(known == sizeof here / sizeof here[0]);
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        known++;
        tap_note("identity.json %s: %zu, not run here: they are of the account store", elsewhere[i],
                 json_object_array_length(world_group(elsewhere[i])));
    }
    TAP_IS(known == (unsigned)json_object_object_length(world()));
}

/* Patterns. */

static void patterns(void)
{
    struct json_object *group = world_group("pattern_match");
    unsigned n = 0;

    for (size_t i = 0; i < json_object_array_length(group); i++) {
        struct json_object *o = json_object_array_get_idx(group, i), *list = vec_get(o, "names");
        size_t n_names = json_object_array_length(list);
        struct span names[16];

        for (size_t k = 0; k < n_names && k < 16; k++)
            names[k] = span_str(json_object_get_string(json_object_array_get_idx(list, k)));
        TAP_OK(security_pattern_match_names(span_str(vec_str(o, "pattern")), names, n_names) ==
                   !!vec_bool(o, "match"),
               "\"%s\" and %s", vec_str(o, "pattern"), json_object_to_json_string(list));
        n++;
    }
    tap_note("identity.json pattern_match: %u", n);
    TAP_IS(n == 53);
}

static void patterns_and_identities(void)
{
    struct json_object *group = world_group("identity_match");
    unsigned n = 0;

    for (size_t i = 0; i < json_object_array_length(group); i++) {
        struct json_object *o = json_object_array_get_idx(group, i);
        struct security_identity *id = world_identity(vec_str(o, "identity"));

        TAP_OK(security_pattern_match(span_str(vec_str(o, "pattern")), id, world_trust()) ==
                   !!vec_bool(o, "match"),
               "\"%s\" and %s", vec_str(o, "pattern"), vec_str(o, "identity"));
        security_identity_unref(id);
        n++;
    }
    tap_note("identity.json identity_match: %u", n);
    TAP_IS(n == 20);
}

/* Trust. */

static void trust_grows_by_copies(void)
{
    struct security_identity *bob = world_identity("self-bob");
    struct security_private *own = world_private("set-3");
    struct security_trust *t = security_trust_create(), *copy;
    struct span name;

    TAP_IS(security_identity_names(bob, t, NULL, 0) == 0);
    TAP_IS(security_trust_level(t, span_str("veyron"), security_identity_key(bob)) ==
           SECURITY_MISTRUSTED);
    TAP_IS(security_trust_level(NULL, span_str("veyron"), security_identity_key(bob)) ==
           SECURITY_UNKNOWN);
    copy = security_trust_copy(t);
    TAP_IS(security_trust_add(copy, span_str("bob"), security_identity_key(bob)) == 0);
    TAP_IS(security_trust_add(copy, span_str("bob"), security_identity_key(bob)) == 0);
    TAP_IS(security_identity_names(bob, copy, &name, 1) == 1 && span_equal_str(name, "bob"));
    TAP_IS(security_identity_names(bob, t, NULL, 0) == 0);
    /* The roots of an own identity: three names come alive. */
    TAP_IS(security_trust_add_roots(copy, own) == 0);
    TAP_IS(security_identity_names(security_private_public(own), copy, &name, 1) == 3);
    security_trust_unref(security_trust_ref(copy));
    security_trust_unref(copy);
    security_trust_unref(t);
    security_private_unref(own);
    security_identity_unref(bob);
}

static const struct tap_case cases[] = {
    {"identities", identities},
    {"invalid identities", invalid_identities},
    {"groups of the file", groups_of_the_file},
    {"patterns", patterns},
    {"patterns and identities", patterns_and_identities},
    {"trust grows by copies", trust_grows_by_copies},
};
const struct tap_suite suite_identity = TAP_SUITE("identity", cases);

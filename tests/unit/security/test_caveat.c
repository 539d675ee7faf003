#include "config.h"
#include "world.h"

#include "security/digest.h"

#define SECOND INT64_C(1000000000)

static struct security_context context_at(int64_t now)
{
    return (struct security_context){.now = now, .trust = world_trust()};
}

static void first_party(void)
{
    struct json_object *group = world_group("caveats");
    unsigned ok = 0, denied = 0;

    for (size_t i = 0; i < json_object_array_length(group); i++) {
        struct json_object *o = json_object_array_get_idx(group, i);
        bool allowed = strcmp(vec_str(o, "result"), "ok") == 0;
        struct buf b = vec_hex(vec_str(o, "caveat"));
        struct security_caveat caveat = {span_str("*"), buf_span(&b)};
        struct world_context w;
        struct err e = ERR_INIT;
        int r;

        world_context(&w, o);
        r = security_caveat_check(&caveat, &w.c, &e);
        TAP_OK(r == (allowed ? 0 : WSPR_ENOTAUTH), "%s: %s", vec_str(o, "description"),
               err_text(&e));
        ok += allowed;
        denied += !allowed;
        world_context_done(&w);
        err_done(&e);
        buf_done(&b);
    }
    tap_note("identity.json caveats: %u pass, %u deny", ok, denied);
    TAP_IS(ok + denied == 24 && ok > 5 && denied > 5);
}

/* Writers make the bytes that the reference makes. */
static void writers(void)
{
    struct json_object *group = world_group("caveats");
    unsigned n = 0;

    for (size_t i = 0; i < json_object_array_length(group); i++) {
        struct json_object *o = json_object_array_get_idx(group, i), *d = vec_get(o, "decoded");
        const char *type = vec_str(d, "type");
        struct json_object *list = vec_get(d, "methods");
        struct buf out = BUF_INIT(1000);
        struct span items[8];
        size_t n_items = 0;

        if (list == NULL)
            list = vec_get(d, "patterns");
        for (; list != NULL && n_items < json_object_array_length(list); n_items++)
            items[n_items] =
                span_str(json_object_get_string(json_object_array_get_idx(list, n_items)));
        if (strcmp(type, "Expiry") == 0 && vec_str(d, "issue")[0] == '2')
            security_caveat_expiry(&out, world_time(vec_str(d, "issue")),
                                   world_time(vec_str(d, "expiry")));
        else if (strcmp(type, "MethodRestriction") == 0)
            security_caveat_methods(&out, items, n_items);
        else if (strcmp(type, "PeerIdentity") == 0)
            security_caveat_peers(&out, items, n_items);
        else if (strcmp(type, "NetworkType") == 0)
            security_caveat_network(&out, span_str(vec_str(d, "network")));
        else
            continue;
        TAP_OK(is_hex(buf_span(&out), vec_str(o, "caveat")), "%s", vec_str(o, "description"));
        buf_done(&out);
        n++;
    }
    TAP_IS(n >= 23);
}

static void texts_of_denials(void)
{
    static const char *const methods[] = {"Get", "Pu\"t"};
    struct span list[2] = {span_str(methods[0]), span_str(methods[1])};
    struct security_identity *local = world_identity("set-3");
    struct security_context c = context_at(SECOND / 2 - 100 * 86400 * SECOND);
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT(1000);
    struct security_caveat caveat;

    c.method = span_str("Del");
    c.local = local;
    c.network = span_str("udp");
    security_caveat_methods(&b, list, 2);
    caveat = (struct security_caveat){span_str("*"), buf_span(&b)};
    TAP_IS(security_caveat_check(&caveat, &c, &e) == WSPR_ENOTAUTH);
    TAP_OK(strcmp(err_text(&e), "caveat.MethodRestriction{\"Get\", \"Pu\\\"t\"} forbids invocation "
                                "of method Del") == 0,
           "%s", err_text(&e));
    buf_reset(&b);
    security_caveat_peers(&b, list, 1);
    caveat.bytes = buf_span(&b);
    TAP_IS(security_caveat_check(&caveat, &c, &e) == WSPR_ENOTAUTH);
    TAP_OK(strcmp(err_text(&e), "caveat.PeerIdentity{\"Get\"} forbids RPCing with peer "
                                "alice#root/alice#google/alice@example.com") == 0,
           "%s", err_text(&e));
    buf_reset(&b);
    security_caveat_network(&b, span_str("tcp"));
    caveat.bytes = buf_span(&b);
    TAP_IS(security_caveat_check(&caveat, &c, &e) == WSPR_ENOTAUTH);
    TAP_OK(strcmp(err_text(&e), "required network type \"tcp\", got \"udp\"") == 0, "%s",
           err_text(&e));
    buf_reset(&b);
    security_caveat_expiry(&b, 0, SECOND);
    caveat.bytes = buf_span(&b);
    TAP_IS(security_caveat_check(&caveat, &c, &e) == WSPR_ENOTAUTH);
    TAP_OK(strcmp(err_text(&e),
                  "caveat.Expiry{1970-01-01 00:00:00 UTC, 1970-01-01 00:00:01 UTC} forbids "
                  "credential from being used at this time(1969-09-23 00:00:00.500000000 UTC)") ==
               0,
           "%s", err_text(&e));
    caveat.bytes = span_str("garbage");
    TAP_IS(security_caveat_check(&caveat, &c, &e) == WSPR_ENOTAUTH && err_text(&e)[0] != '\0');
    /* One that does not apply is not even decoded. */
    caveat.service = span_str("nobody");
    TAP_IS(security_caveat_check(&caveat, &c, &e) == 0);
    buf_done(&b);
    err_done(&e);
    security_identity_unref(local);
}

/* Times that do not look like times deny; so does one that is not there. */
static void malformed_times(void)
{
    struct security_context c = context_at(100 * SECOND);
    struct buf good = BUF_INIT(1000), b = BUF_INIT(1000);
    struct security_caveat caveat = {span_str("*"), {NULL, 0}};
    size_t end;

    TAP_IS(security_caveat_expiry(&good, 0, 200 * SECOND) == 0 && good.len == 131);
    caveat.bytes = buf_span(&good);
    TAP_IS(security_caveat_check(&caveat, &c, NULL) == 0);
    end = good.len - 16; /* of the expiry's 15 bytes, its end mark behind */
    buf_append_span(&b, buf_span(&good));
    buf_data(&b)[end] = 2;
    caveat.bytes = buf_span(&b);
    TAP_IS(security_caveat_check(&caveat, &c, NULL) == WSPR_ENOTAUTH);
    /* A billion nanoseconds. */
    buf_data(&b)[end] = 1;
    memcpy(buf_data(&b) + end + 9, "\x3b\x9a\xca\x00", 4);
    TAP_IS(security_caveat_check(&caveat, &c, NULL) == WSPR_ENOTAUTH);
    memcpy(buf_data(&b) + end + 9, "\x3b\x9a\xc9\xff", 4);
    TAP_IS(security_caveat_check(&caveat, &c, NULL) == 0);
    buf_done(&b);
    buf_done(&good);
}

/* Third parties. */

static int count_third_party(void *arg, const struct security_third_party *t)
{
    struct json_object *want = vec_get(vec_get(world(), "third_party_caveat"), "decoded");
    unsigned *n = arg;

    TAP_IS(is_hex(span_of(t->id, sizeof t->id), vec_str(want, "id")));
    TAP_IS(span_equal_str(t->location, vec_str(want, "location")));
    TAP_IS(is_hex(t->nonce, vec_str(want, "nonce")));
    TAP_IS(is_hex(t->minting, vec_str(want, "minting_caveat")));
    TAP_IS(t->key_valid);
    ++*n;
    return 0;
}

static void third_party_caveat(void)
{
    struct json_object *o = vec_get(world(), "third_party_caveat"), *want = vec_get(o, "decoded");
    struct buf b = vec_hex(vec_str(o, "vom")), pre = vec_hex(vec_str(o, "id_preimage"));
    struct security_identity *id = world_identity("third-party-service");
    struct security_caveat caveat = {span_str("a/*"), buf_span(&b)};
    struct security_third_party t;
    struct arena a = ARENA_INIT(100000);
    struct sha256_ctx sha;
    uint8_t digest[32];
    unsigned n = 0;

    TAP_IS(security_third_party_decode(&a, &caveat, &t, NULL) == 1);
    TAP_IS(count_third_party(&n, &t) == 0 && n == 1);
    TAP_IS(span_equal_str(t.service, "a/*") && span_equal(t.bytes, buf_span(&b)));
    TAP_IS(
        is_hex(span_of(t.key.xy, sizeof t.key.xy), vec_str(vec_get(want, "validation_key"), "xy")));
    sha256_init(&sha);
    sha256_update(&sha, pre.len, buf_data(&pre));
    sha256_digest(&sha, sizeof digest, digest);
    TAP_IS(memcmp(digest, t.id, sizeof digest) == 0);
    n = 0;
    TAP_IS(security_third_party_each(id, count_third_party, &n) == 0 && n == 1);
    security_identity_unref(id);
    /* Other caveats are no third-party ones, and garbage is neither. */
    caveat.bytes = span_str("garbage");
    TAP_IS(security_third_party_decode(&a, &caveat, &t, NULL) < 0);
    buf_reset(&b);
    security_caveat_network(&b, span_str("tcp"));
    caveat.bytes = buf_span(&b);
    TAP_IS(security_third_party_decode(&a, &caveat, &t, NULL) == 0);
    tap_note("identity.json third_party_caveat: 1");
    arena_done(&a);
    buf_done(&b);
    buf_done(&pre);
}

static void discharges(void)
{
    struct json_object *group = world_group("discharges");
    unsigned n = 0, valid = 0;

    for (size_t i = 0; i < json_object_array_length(group); i++) {
        struct json_object *o = json_object_array_get_idx(group, i);
        struct json_object *sig = vec_get(o, "signature"), *list = vec_get(o, "caveats");
        struct security_discharge *d = world_discharge(vec_str(o, "id"));
        const struct security_signature *s = security_discharge_signature(d);
        size_t n_caveats;
        const struct security_caveat *caveats = security_discharge_caveats(d, &n_caveats);
        uint8_t digest[SECURITY_DIGEST_LEN];
        struct buf out = BUF_INIT(10000), key = vec_hex(vec_str(o, "validation_key_xy"));
        struct security_pubkey k;

        TAP_IS(is_hex(security_discharge_id(d), vec_str(o, "caveat_id")));
        TAP_IS(span_equal_str(s->hash, vec_str(sig, "hash")) && is_hex(s->r, vec_str(sig, "r")) &&
               is_hex(s->s, vec_str(sig, "s")));
        TAP_IS(n_caveats == json_object_array_length(list));
        for (size_t c = 0; c < n_caveats; c++) {
            struct json_object *cav = json_object_array_get_idx(list, c);

            TAP_IS(span_equal_str(caveats[c].service, vec_str(cav, "service")));
            TAP_IS(is_hex(caveats[c].bytes, vec_str(cav, "bytes")));
        }
        security_digest_discharge(security_discharge_id(d), caveats, n_caveats, digest);
        TAP_IS(is_hex(span_of(digest, sizeof digest), vec_str(o, "digest")));
        TAP_IS(security_pubkey_parse(buf_span(&key), &k, NULL) == 0);
        valid += security_verify(&k, span_of(digest, sizeof digest), s);
        TAP_IS(security_discharge_encode(&out, d) == 0 &&
               is_hex(buf_span(&out), vec_str(o, "vom")));
        security_discharge_unref(d);
        buf_done(&out);
        buf_done(&key);
        n++;
    }
    tap_note("identity.json discharges: %u, %u with a good signature", n, valid);
    TAP_IS(n == 7 && valid == 5);
}

/* Issues a discharge and uses it. */
static void minting(void)
{
    struct json_object *o = vec_get(world(), "third_party_caveat");
    struct buf caveat = vec_hex(vec_str(o, "vom"));
    struct security_key *key = world_key("discharger");
    struct security_private *discharger;
    struct security_discharge *d = NULL, *list[2];
    struct security_identity *id = world_identity("third-party"), *rest;
    struct security_context c = context_at(world_time("2014-08-01T00:00:00Z"));
    struct err e = ERR_INIT;
    int64_t hour = 3600 * SECOND;
    size_t n;

    TAP_IS(security_private_new_with_key(span_str("discharger"), key, &discharger, &e) == 0);
    /* The minting caveat wants the method Mint. */
    c.method = span_str("Steal");
    TAP_IS(security_discharge_mint(discharger, buf_span(&caveat), &c, hour, NULL, 0, &d, &e) ==
           WSPR_ENOTAUTH);
    TAP_OK(strncmp(err_text(&e), "failed to validate DischargeMintingCaveat: ", 43) == 0, "%s",
           err_text(&e));
    c.method = span_str("Mint");
    TAP_IS(security_discharge_mint(discharger, buf_span(&caveat), &c, hour, NULL, 0, &d, &e) == 0);
    TAP_IS(security_discharge_expires(d) == c.now + hour);
    security_discharge_caveats(d, &n);
    TAP_IS(n == 1);
    c.method = span_of(NULL, 0);
    TAP_IS(security_authorize(id, &c, &rest, &e) == WSPR_ENOTAUTH);
    TAP_OK(strstr(err_text(&e), "missing discharge for publicKeyCaveat{nonce:[0 1 2 3 4 5 6 7 8 9 "
                                "10 11 12 13 14 15] location:\"/host:1/discharger\"}") != NULL,
           "%s", err_text(&e));
    list[0] = d;
    list[1] = world_discharge("d-other");
    c.discharges = list;
    c.n_discharges = 2;
    TAP_IS(security_authorize(id, &c, &rest, &e) == 0);
    security_identity_unref(rest);
    c.now += hour + 1;
    TAP_IS(security_authorize(id, &c, &rest, &e) == WSPR_ENOTAUTH);
    /* Of two with one id the last counts. */
    c.now -= hour + 1;
    security_discharge_unref(list[1]);
    list[1] = world_discharge("d-wrongkey");
    TAP_IS(security_authorize(id, &c, &rest, &e) == WSPR_ENOTAUTH);
    TAP_OK(strstr(err_text(&e), "has invalid signature") != NULL, "%s", err_text(&e));
    TAP_IS(security_discharge_mint(discharger, span_str("?"), &c, hour, NULL, 0, &d, &e) < 0);
    security_discharge_unref(list[0]);
    security_discharge_unref(list[1]);
    security_identity_unref(id);
    security_private_unref(discharger);
    security_key_unref(key);
    err_done(&e);
    buf_done(&caveat);
}

/* What is minted for one of two caveats of the same text is not a discharge of the other. */
static void caveats_differ(void)
{
    struct security_key *key = world_key("discharger");
    struct buf minting = BUF_INIT(1000), bytes[2] = {BUF_INIT(1000), BUF_INIT(1000)};
    struct arena a = ARENA_INIT(100000);
    struct security_third_party t[2];

    security_caveat_methods(&minting, NULL, 0);
    for (size_t i = 0; i < 2; i++) {
        struct security_caveat caveat;

        TAP_IS(security_third_party_make(&bytes[i], security_key_public(key), span_str("there"),
                                         buf_span(&minting), NULL) == 0);
        caveat = (struct security_caveat){span_str("*"), buf_span(&bytes[i])};
        TAP_IS(security_third_party_decode(&a, &caveat, &t[i], NULL) == 1);
        TAP_IS(t[i].nonce.len == SECURITY_NONCE_LEN);
    }
    TAP_IS(memcmp(t[0].id, t[1].id, sizeof t[0].id) != 0);
    security_key_unref(key);
    arena_done(&a);
    buf_done(&minting);
    buf_done(&bytes[0]);
    buf_done(&bytes[1]);
}

/* A discharge that needs itself, and a caveat with a key that is none: both end in a denial. */
static void circles_end(void)
{
    struct security_private *root, *third;
    struct security_identity *id = NULL, *rest;
    struct security_discharge *d = NULL;
    struct security_context c = context_at(1000 * SECOND);
    struct buf anything = BUF_INIT(1000), caveat = BUF_INIT(1000), lists = BUF_INIT(10000);
    struct span many[SECURITY_LISTED_MAX + 1];
    struct security_blessing b = {.name = span_str("x"), .now = c.now, .duration = SECOND};
    struct security_caveat own;
    struct err e = ERR_INIT;

    TAP_IS(security_private_new(span_str("root"), &root, &e) == 0);
    TAP_IS(security_private_new(span_str("third"), &third, &e) == 0);
    security_caveat_methods(&anything, NULL, 0);
    TAP_IS(security_third_party_make(&caveat, security_identity_key(security_private_public(third)),
                                     span_str("there"), buf_span(&anything), &e) == 0);
    /* Lists in a discharge are looked at as often as those in an identity. */
    for (size_t i = 0; i <= SECURITY_LISTED_MAX; i++)
        many[i] = span_str("");
    security_caveat_methods(&lists, many, SECURITY_LISTED_MAX + 1);
    own = (struct security_caveat){span_str("*"), buf_span(&lists)};
    TAP_IS(security_discharge_mint(third, buf_span(&caveat), &c, SECOND, &own, 1, &d, &e) ==
           WSPR_ELIMIT);
    buf_done(&lists);
    own = (struct security_caveat){span_str("*"), buf_span(&caveat)};
    TAP_IS(security_discharge_mint(third, buf_span(&caveat), &c, SECOND, &own, 1, &d, &e) == 0);
    b.caveats = &own;
    b.n_caveats = 1;
    TAP_IS(security_private_bless(root, security_identity_key(security_private_public(third)), &b,
                                  &id, &e) == 0);
    c.discharges = &d;
    c.n_discharges = 1;
    TAP_IS(security_authorize(id, &c, &rest, &e) == WSPR_ENOTAUTH);
    TAP_OK(strstr(err_text(&e), "too many discharges") != NULL, "%s", err_text(&e));
    security_identity_unref(id);
    security_discharge_unref(d);
    security_private_unref(root);
    security_private_unref(third);
    buf_done(&anything);
    buf_done(&caveat);
    err_done(&e);
}

static void expiry_of_identities(void)
{
    struct security_identity *once = world_identity("root-alice");
    struct security_identity *middle = world_identity("expired-middle");
    struct security_identity *self = world_identity("self-root");
    struct security_identity *set = world_identity("set-one-expired");

    TAP_IS(security_identity_expires(once) == world_time("2044-07-23T12:00:00Z"));
    TAP_IS(security_identity_expires(middle) == world_time("2014-07-31T13:00:00Z"));
    TAP_IS(security_identity_expires(self) == INT64_MAX);
    TAP_IS(security_identity_expires(set) == world_time("2014-07-31T13:00:00Z"));
    security_identity_unref(once);
    security_identity_unref(middle);
    security_identity_unref(self);
    security_identity_unref(set);
}

static const struct tap_case cases[] = {
    {"first-party caveats", first_party},
    {"writers", writers},
    {"texts of denials", texts_of_denials},
    {"malformed times", malformed_times},
    {"third-party caveat", third_party_caveat},
    {"discharges", discharges},
    {"minting", minting},
    {"caveats of the same text differ", caveats_differ},
    {"circles of discharges end", circles_end},
    {"expiry of identities", expiry_of_identities},
};
const struct tap_suite suite_caveat = TAP_SUITE("caveat", cases);

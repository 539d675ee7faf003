#include "config.h"
#include "world.h"

#include "security/idfile.h"
#include "security/pattern.h"

#define HOUR (INT64_C(3600) * 1000000000)
#define NOW  INT64_C(1406894400000000000) /* 2014-08-01T12:00:00Z */

/* Encodes, decodes and compares: what was made is what others will accept. */
static void survives(const struct security_identity *id, const char *what)
{
    struct security_identity *again = NULL;
    struct buf b = BUF_INIT(SECURITY_IDENTITY_MAX);
    struct err e = ERR_INIT;

    TAP_OK(security_identity_encode(&b, id) == 0, "%s", what);
    TAP_OK(security_identity_decode(buf_span(&b), 0, &again, &e) == 0, "%s: %s", what,
           err_text(&e));
    TAP_OK(again != NULL && security_identity_equal(id, again), "%s", what);
    security_identity_unref(again);
    buf_done(&b);
    err_done(&e);
}

static void private_survives(const struct security_private *id, const char *what)
{
    struct security_private *again = NULL;
    struct buf b = BUF_INIT(SECURITY_TEXT_MAX);
    struct err e = ERR_INIT;

    TAP_OK(security_idfile_print_private(&b, id) == 0, "%s", what);
    TAP_OK(security_idfile_parse_private(buf_span(&b), 0, &again, &e) == 0, "%s: %s", what,
           err_text(&e));
    TAP_OK(again != NULL &&
               security_identity_equal(security_private_public(id), security_private_public(again)),
           "%s", what);
    TAP_OK(again != NULL && span_equal(security_key_scalar(security_private_key(id)),
                                       security_key_scalar(security_private_key(again))),
           "%s", what);
    security_private_unref(again);
    security_buf_wipe(&b);
    err_done(&e);
}

static void prints(const struct security_identity *id, const char *want)
{
    struct buf b = BUF_INIT(1000);

    security_identity_print(&b, id, world_trust());
    TAP_OK(span_equal_str(buf_span(&b), want), "%s instead of %s", buf_cstr(&b), want);
    buf_done(&b);
}

static struct security_identity *blessed(struct security_private *by,
                                         const struct security_identity *whom, const char *name)
{
    struct security_blessing b = {.name = span_str(name), .now = NOW, .duration = HOUR};
    struct security_identity *id = NULL;

    TAP_IS(security_private_bless(by, security_identity_key(whom), &b, &id, NULL) == 0);
    return id;
}

static void new_identities(void)
{
    static const char *const bad[] = {"", "a/b", "/", "*", "\xff"};
    struct security_private *id = NULL;
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT(100);

    TAP_IS(security_private_new(span_str("me@host #1"), &id, &e) == 0);
    survives(security_private_public(id), "new");
    private_survives(id, "new");
    security_private_print(&b, id, world_trust());
    TAP_OK(span_equal_str(buf_span(&b), "PrivateID:unknown/me@host #1"), "%s", buf_cstr(&b));
    security_private_unref(id);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        TAP_OK(security_private_new(span_str(bad[i]), &id, &e) == WSPR_EINVAL &&
                   strncmp(err_text(&e), "invalid blessing name:\"", 23) == 0,
               "%s", err_text(&e));
    TAP_OK(strcmp(err_text(&e), "invalid blessing name:\"\\xff\"") == 0, "%s", err_text(&e));
    buf_done(&b);
    err_done(&e);
}

static void blessings(void)
{
    struct security_private *root = world_private("self-root"), *set = world_private("set-3");
    struct security_identity *bob = world_identity("self-bob"), *one, *two, *friend;
    struct buf bytes = BUF_INIT(1000);
    struct span method = span_str("Get");
    struct security_caveat caveat = {span_str("a/*"), {NULL, 0}};
    struct security_blessing b = {
        .name = span_str("n"), .now = NOW, .duration = -5, .caveats = &caveat, .n_caveats = 1};
    const struct security_certificate *certs;
    struct err e = ERR_INIT;
    size_t n;

    one = blessed(root, bob, "one");
    two = blessed(root, bob, "two");
    prints(one, "root/one");
    prints(two, "root/two");
    survives(one, "one");
    survives(two, "two");
    TAP_IS(security_identity_expires(one) == NOW + HOUR);
    /* A set blesses with each of its members. */
    friend = blessed(set, bob, "friend");
    prints(friend, "alice/friend#root/alice/friend#google/alice@example.com/friend");
    survives(friend, "friend");
    security_identity_unref(friend);
    /* Caveats of the caller's come first, the expiry last; no duration is refused. */
    security_caveat_methods(&bytes, &method, 1);
    caveat.bytes = buf_span(&bytes);
    TAP_IS(security_private_bless(root, security_identity_key(bob), &b, &friend, &e) == 0);
    certs = security_identity_certs(friend, &n);
    TAP_IS(n == 2 && certs[1].n_caveats == 2 &&
           span_equal_str(certs[1].caveats[0].service, "a/*") &&
           span_equal(certs[1].caveats[0].bytes, caveat.bytes) &&
           span_equal_str(certs[1].caveats[1].service, "*"));
    TAP_IS(security_identity_expires(friend) == NOW - 5);
    survives(friend, "with a caveat");
    security_identity_unref(friend);
    b.name = span_str("a/b");
    TAP_IS(security_private_bless(root, security_identity_key(bob), &b, &friend, &e) ==
           WSPR_EINVAL);
    TAP_OK(strcmp(err_text(&e), "invalid blessing name:\"a/b\"") == 0, "%s", err_text(&e));
    security_identity_unref(one);
    security_identity_unref(two);
    security_identity_unref(bob);
    security_private_unref(root);
    security_private_unref(set);
    buf_done(&bytes);
    err_done(&e);
}

/* The hash that the issuer's signature names is used for what it signs. */
static void blessing_with_a_hash(void)
{
    struct security_identity *id = world_identity("hash-field-last"), *blessed_id = NULL;
    struct security_identity *bogus = world_identity("hash-field-last-bogus");
    struct security_key *alice = NULL;
    struct security_private *by = NULL, *self;
    struct security_blessing b = {.name = span_str("x"), .now = NOW, .duration = HOUR};
    static const char *const names[] = {"alice", "bob", "carol"};
    struct err e = ERR_INIT;

    for (size_t i = 0; i < 3 && alice == NULL; i++) {
        struct security_key *k = world_key(names[i]);

        if (security_pubkey_equal(security_key_public(k), security_identity_key(id)))
            alice = security_key_ref(k);
        security_key_unref(k);
    }
    TAP_IS(alice != NULL);
    if (alice == NULL)
        return;
    TAP_IS(security_private_new_with_key(span_str("self"), alice, &self, &e) == 0);
    TAP_IS(security_private_derive(self, id, &by, &e) == 0);
    TAP_IS(security_private_bless(by, security_key_public(alice), &b, &blessed_id, &e) == 0);
    survives(blessed_id, "by an issuer with a hash");
    security_identity_unref(blessed_id);
    security_private_unref(by);
    /* With a hash that nobody knows no blessing would verify. */
    if (security_private_derive(self, bogus, &by, &e) == 0) {
        TAP_IS(security_private_bless(by, security_key_public(alice), &b, &blessed_id, &e) ==
               WSPR_ECRYPTO);
        security_private_unref(by);
    } else {
        TAP_OK(0, "%s", err_text(&e));
    }
    security_private_unref(self);
    security_key_unref(alice);
    security_identity_unref(id);
    security_identity_unref(bogus);
    err_done(&e);
}

/* Later blessings of a derived blesser leave earlier ones alone. spec: security 9 */
static void blessings_share_nothing(void)
{
    struct security_private *a, *b, *root = world_private("self-root");
    struct security_identity *id, *first, *second;

    TAP_IS(security_private_new(span_str("a"), &a, NULL) == 0);
    id = blessed(root, security_private_public(a), "a");
    TAP_IS(security_private_derive(a, id, &b, NULL) == 0);
    security_identity_unref(id);
    id = blessed(b, security_private_public(a), "a2");
    security_private_unref(b);
    TAP_IS(security_private_derive(a, id, &b, NULL) == 0);
    security_identity_unref(id);
    first = blessed(b, security_private_public(a), "first");
    second = blessed(b, security_private_public(a), "second");
    prints(first, "root/a/a2/first");
    prints(second, "root/a/a2/second");
    survives(first, "first");
    security_private_unref(b);
    security_private_unref(a);
    security_private_unref(root);
    prints(first, "root/a/a2/first");
    security_identity_unref(first);
    security_identity_unref(second);
}

static void deriving(void)
{
    struct security_private *alice = world_private("self-alice"), *set = world_private("set-3");
    struct security_private *bob = world_private("self-bob"), *got;
    struct security_identity *chain = world_identity("root-alice");
    struct security_identity *triple = world_identity("set-3");
    struct security_identity *nested = world_identity("set-nested-pub");
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT(1000);

    TAP_IS(security_private_derive(alice, chain, &got, &e) == 0);
    TAP_IS(security_private_variant(got) == SECURITY_CHAIN);
    private_survives(got, "chain from chain");
    security_private_unref(got);
    TAP_IS(security_private_derive(alice, nested, &got, &e) == 0);
    TAP_IS(security_private_variant(got) == SECURITY_SET);
    private_survives(got, "nested set from chain");
    security_private_print(&b, got, world_trust());
    TAP_OK(span_equal_str(buf_span(&b),
                          "[PrivateID:root/alice [PrivateID:alice PrivateID:root/alice "
                          "PrivateID:google/alice@example.com]]"),
           "%s", buf_cstr(&b));
    security_private_unref(got);
    TAP_IS(security_private_derive(set, chain, &got, &e) == 0);
    TAP_IS(security_private_variant(got) == SECURITY_CHAIN);
    security_private_unref(got);
    TAP_IS(security_private_derive(set, triple, &got, &e) == 0);
    private_survives(got, "set from set");
    TAP_IS(security_private_public(got) == triple);
    security_private_unref(got);
    TAP_IS(security_private_derive(bob, chain, &got, &e) == WSPR_EINVAL);
    TAP_OK(strcmp(err_text(&e), "public key does not match that of deriving identity") == 0, "%s",
           err_text(&e));
    TAP_IS(security_private_derive(bob, triple, &got, &e) == WSPR_EINVAL);
    security_private_unref(alice);
    security_private_unref(set);
    security_private_unref(bob);
    security_identity_unref(chain);
    security_identity_unref(triple);
    security_identity_unref(nested);
    buf_done(&b);
    err_done(&e);
}

static void sets(void)
{
    struct security_identity *list[3] = {world_identity("self-alice"), world_identity("root-alice"),
                                         world_identity("self-bob")};
    struct security_private *privs[2] = {world_private("self-alice"), world_private("root-alice")};
    struct security_private *priv = NULL;
    struct security_identity *id = list[0];
    struct err e = ERR_INIT;

    TAP_IS(security_identity_set(list, 0, &id, &e) == 0 && id == NULL);
    TAP_IS(security_identity_set(list, 1, &id, &e) == 0 && id == list[0]);
    security_identity_unref(id);
    TAP_IS(security_identity_set(list, 2, &id, &e) == 0);
    prints(id, "alice#root/alice");
    survives(id, "set");
    security_identity_unref(id);
    TAP_IS(security_identity_set(list, 3, &id, &e) == WSPR_EINVAL);
    TAP_OK(strcmp(err_text(&e), "mismatched keys in elements of set") == 0, "%s", err_text(&e));
    TAP_IS(security_private_set(privs, 0, &priv, &e) == 0 && priv == NULL);
    TAP_IS(security_private_set(privs, 2, &priv, &e) == 0);
    private_survives(priv, "private set");
    TAP_IS(security_pubkey_equal(security_key_public(security_private_key(priv)),
                                 security_identity_key(list[0])));
    security_private_unref(priv);
    for (size_t i = 0; i < 3; i++)
        security_identity_unref(list[i]);
    security_private_unref(privs[0]);
    security_private_unref(privs[1]);
    err_done(&e);
}

static void size_limits(void)
{
    struct security_private *by, *next;
    struct security_identity *id = NULL;
    struct security_blessing b = {.name = span_str("x"), .now = NOW, .duration = HOUR};
    struct security_key *key;
    struct err e = ERR_INIT;
    size_t made = 1;
    int r = 0;

    TAP_IS(security_key_generate(&key, NULL) == 0);
    TAP_IS(security_private_new_with_key(span_str("x"), key, &by, NULL) == 0);
    while (made < 200) {
        r = security_private_bless(by, security_key_public(key), &b, &id, &e);
        if (r < 0)
            break;
        TAP_IS(security_private_derive(by, id, &next, NULL) == 0);
        security_identity_unref(id);
        security_private_unref(by);
        by = next;
        made++;
    }
    TAP_OK(r == WSPR_ELIMIT && made == SECURITY_CERTS_MAX, "%zu: %s", made, err_text(&e));
    survives(security_private_public(by), "the longest chain");
    security_private_unref(by);
    security_key_unref(key);
    err_done(&e);
}

static const struct tap_case cases[] = {
    {"new identities", new_identities},
    {"blessings", blessings},
    {"a blessing by an issuer with a hash", blessing_with_a_hash},
    {"blessings share nothing", blessings_share_nothing},
    {"deriving", deriving},
    {"sets", sets},
    {"limits of size", size_limits},
};
const struct tap_suite suite_make = TAP_SUITE("make", cases);

/* Input that is cut or altered, and memory that runs out. */
#include "config.h"
#include "watch.h"
#include "world.h"

#include <pthread.h>

#include "base/mem.h"
#include "failmalloc.h"
#include "security/acl.h"
#include "security/channel.h"
#include "security/idfile.h"
#include "security/internal.h"
#include "security/types.h"
#include "vom/enc.h"
#include "vom/wiretypes.h"

/* Input cut at each byte, in memory of exactly that size. */

static void cut_identity(const char *id, bool private)
{
    struct buf vom = vec_hex(vec_str(world_entry("identities", id), "vom"));

    for (size_t cut = 0; cut < vom.len; cut++) {
        uint8_t *piece = mem_dup(vom.base, cut);
        struct security_identity *pub = NULL;
        struct security_private *priv = NULL;
        int r = private ? security_private_decode(span_of(piece, cut), 0, &priv, NULL)
                        : security_identity_decode(span_of(piece, cut), 0, &pub, NULL);

        TAP_OK(r < 0, "%s cut at %zu", id, cut);
        security_identity_unref(pub);
        security_private_unref(priv);
        free(piece);
    }
    buf_done(&vom);
}

static void identities_cut_anywhere(void)
{
    cut_identity("root-alice", true);
    cut_identity("set-3", true);
    cut_identity("root-alice-friend-tv-pub", false);
    cut_identity("set-3-pub", false);
    cut_identity("set-nested-pub", false);
}

static void texts_cut_anywhere(void)
{
    const char *text = vec_str(world_entry("identities", "self-alice"), "base64");

    for (size_t cut = 0; cut < strlen(text); cut++) {
        uint8_t *piece = mem_dup(text, cut);
        struct security_private *id = NULL;

        TAP_OK(security_idfile_parse_private(span_of(piece, cut), 0, &id, NULL) < 0, "%zu", cut);
        security_private_unref(id);
        free(piece);
    }
}

static void discharges_and_lists_cut_anywhere(void)
{
    struct buf vom = vec_hex(vec_str(world_entry("discharges", "d-peer"), "vom"));
    static const char list[] = "{\"veyron/alice\":\"RW\",\"veyron/bob/*\":null}";

    for (size_t cut = 0; cut < vom.len; cut++) {
        uint8_t *piece = mem_dup(vom.base, cut);
        struct security_discharge *d = NULL;

        TAP_OK(security_discharge_decode(span_of(piece, cut), &d, NULL) < 0, "%zu", cut);
        free(piece);
    }
    for (size_t cut = 0; cut < sizeof list - 1; cut++) {
        uint8_t *piece = mem_dup(list, cut);
        struct security_acl *acl = NULL;

        TAP_OK(security_acl_parse(span_of(piece, cut), &acl, NULL) < 0, "%zu", cut);
        free(piece);
    }
    buf_done(&vom);
}

/*
 * Every byte of a public identity altered: what still decodes differs in nothing that counts, or
 * only in the hash of the last signature, which nothing covers.
 */
static void altered_bytes(void)
{
    struct buf vom = vec_hex(vec_str(world_entry("identities", "root-alice-pub"), "vom"));
    struct security_identity *id = world_identity("root-alice-pub");
    unsigned accepted = 0;

    for (size_t i = 0; i < vom.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct security_identity *other = NULL;

            vom.base[i] ^= (uint8_t)(1u << bit);
            if (security_identity_decode(buf_span(&vom), 0, &other, NULL) == 0) {
                accepted++;
                TAP_OK(security_identity_equal(id, other), "bit %u of byte %zu", bit, i);
            }
            security_identity_unref(other);
            vom.base[i] ^= (uint8_t)(1u << bit);
        }
    }
    tap_note("altered identities that decode to the same: %u", accepted);
    security_identity_unref(id);
    buf_done(&vom);
}

/* Other encodings of the same. */

/* spec: security 3.6: any legal VOM encoding; here with other type numbers and without pointers. */
static void other_encodings(void)
{
    struct buf vom = vec_hex(vec_str(world_entry("identities", "self-alice-pub"), "vom"));
    struct security_identity *want = world_identity("self-alice-pub"), *got = NULL;
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT(10000);
    size_t first = 7; /* the definition of type 65, a pointer to 66 */

    /* The value as type 66 itself: one pointer less. */
    buf_append(&b, vom.base + first, 0x1fe - first);
    buf_append(&b, "\xff\x84\xff\x97\x01", 5);
    buf_append(&b, vom.base + 0x204, vom.len - 0x204);
    TAP_OK(security_identity_decode(buf_span(&b), 0, &got, &e) == 0, "%s", err_text(&e));
    TAP_IS(got != NULL && security_identity_equal(got, want));
    security_identity_unref(got);
    got = NULL;
    /* As the content of an empty interface, with other reference numbers. */
    buf_reset(&b);
    buf_append(&b, vom.base, 0x1fe);
    buf_append(&b, "\x02\xff\x9a\xff\x82\x0d\x55", 7);
    buf_append(&b, vom.base + 0x204, vom.len - 0x204);
    TAP_OK(security_identity_decode(buf_span(&b), 0, &got, &e) == 0, "%s", err_text(&e));
    TAP_IS(got != NULL && security_identity_equal(got, want));
    security_identity_unref(got);
    /* Bytes behind the value. */
    buf_u8(&b, 0);
    TAP_IS(security_identity_decode(buf_span(&b), 0, &got, &e) == WSPR_EPROTO);
    security_identity_unref(want);
    buf_done(&b);
    buf_done(&vom);
    err_done(&e);
}

/* Pointers may lead to the same bytes many times: what they come to counts, not what was sent. */
static void the_same_bytes_often(void)
{
    static const struct vom_type shared = VOM_TYPE_PTR("", &vom_type_bytes);
    static const struct vom_field caveat_fields[] = {VOM_FIELD("Service", &security_type_pattern),
                                                     VOM_FIELD("Bytes", &shared)};
    static const struct vom_type caveat = VOM_TYPE_STRUCT("C", caveat_fields);
    static const struct vom_type caveats = VOM_TYPE_SLICE("", &caveat);
    static const struct vom_field fields[] = {VOM_FIELD("Name", &vom_type_string),
                                              VOM_FIELD("PublicKey", &security_type_pubkey),
                                              VOM_FIELD("Caveats", &caveats)};
    static const struct vom_type certificate = VOM_TYPE_STRUCT("D", fields);
    static const struct vom_type certificates = VOM_TYPE_SLICE("", &certificate);
    static const struct vom_field chain_fields[] = {VOM_FIELD("Certificates", &certificates)};
    static const struct vom_type chain = VOM_TYPE_STRUCT("E", chain_fields);
    static const struct vom_type named =
        VOM_TYPE_PTR("veyron/runtimes/google/security.chainPublicID", &chain);
    static uint8_t zeros[100000];
    struct vom_value bytes = vom_value_span(&vom_type_bytes, span_of(zeros, sizeof zeros));
    struct arena a = ARENA_INIT(1 << 20);
    struct vom_value v, list, cert, many, one;
    struct security_key *key = world_key("alice");
    struct security_identity *id = NULL;
    struct buf b = BUF_INIT(200000);
    struct err e = ERR_INIT;
    int r;

    vom_value_new_list(&a, &caveats, SECURITY_CAVEATS_MAX, &many);
    for (size_t i = 0; i < SECURITY_CAVEATS_MAX; i++) {
        vom_value_new_struct(&a, &caveat, &one);
        vom_value_set(&one, 1, vom_value_to(&shared, &bytes));
        vom_value_set(&many, i, one);
    }
    vom_value_new_struct(&a, &certificate, &cert);
    vom_value_set(&cert, 0, vom_value_str("alice"));
    security_put_pubkey(&a, security_key_public(key), &v);
    vom_value_set(&cert, 1, v);
    vom_value_set(&cert, 2, many);
    vom_value_new_list(&a, &certificates, 1, &list);
    vom_value_set(&list, 0, cert);
    vom_value_new_struct(&a, &chain, &v);
    vom_value_set(&v, 0, list);
    vom_value_new_to(&a, &named, v, &v);
    TAP_IS(vom_encode(&b, &v, &e) == 0);
    TAP_OK(b.len < SECURITY_IDENTITY_MAX, "%zu bytes", b.len);
    r = security_identity_decode(buf_span(&b), 0, &id, &e);
    TAP_OK(r == WSPR_ELIMIT, "%d, %s", r, err_text(&e));
    security_identity_unref(id);
    security_key_unref(key);
    arena_done(&a);
    buf_done(&b);
    err_done(&e);
}

/* A blessing of somebody's own for that key, with a list of so many entries in a caveat. */
static int bless_listing(const struct security_private *by, size_t n, bool methods,
                         struct security_identity **ret_id)
{
    struct security_blessing how = {.name = span_str("x"),
                                    .now = world_time("2014-07-31T12:00:00Z"),
                                    .duration = INT64_MAX,
                                    .n_caveats = 1};
    struct security_caveat caveat = {.service = span_str("*")};
    struct span *list = calloc(n, sizeof *list);
    struct buf b = BUF_INIT(SECURITY_IDENTITY_MAX);
    struct err e = ERR_INIT;
    int r;

    for (size_t i = 0; i < n; i++)
        list[i] = span_str("");
    r = methods ? security_caveat_methods(&b, list, n) : security_caveat_peers(&b, list, n);
    TAP_IS(r >= 0);
    caveat.bytes = buf_span(&b);
    how.caveats = &caveat;
    r = security_private_bless(by, security_identity_key(security_private_public(by)), &how, ret_id,
                               &e);
    TAP_OK(r == 0 || strcmp(err_text(&e), "identity is too large") == 0, "%s", err_text(&e));
    err_done(&e);
    buf_done(&b);
    free(list);
    return r;
}

/*
 * Each call looks at all entries of the lists in the caller's caveats, which need not be more than
 * a byte long: they are counted, in a chain, in all members of a set and in a discharge.
 */
static void long_lists(void)
{
    struct security_private *alice = world_private("self-alice");
    struct security_identity *ids[2], *set = NULL, *decoded = NULL;
    struct buf b = BUF_INIT(SECURITY_IDENTITY_MAX);
    struct err e = ERR_INIT;
    int r;

    TAP_IS(bless_listing(alice, SECURITY_LISTED_MAX + 1, false, &ids[0]) == WSPR_ELIMIT);
    TAP_IS(bless_listing(alice, SECURITY_LISTED_MAX + 1, true, &ids[0]) == WSPR_ELIMIT);
    for (size_t n = 0; n < 2; n++) { /* half of what may be, and one more */
        TAP_IS(bless_listing(alice, SECURITY_LISTED_MAX / 2, false, &ids[0]) == 0);
        TAP_IS(bless_listing(alice, SECURITY_LISTED_MAX / 2 + n, true, &ids[1]) == 0);
        TAP_IS(security_identity_set(ids, 2, &set, NULL) == 0);
        buf_reset(&b);
        TAP_IS(security_identity_encode(&b, set) == 0);
        r = security_identity_decode(buf_span(&b), 0, &decoded, &e);
        TAP_OK(r == (n == 0 ? 0 : WSPR_ELIMIT), "%d, %s", r, err_text(&e));
        if (r == 0)
            security_identity_unref(decoded);
        security_identity_unref(set);
        security_identity_unref(ids[0]);
        security_identity_unref(ids[1]);
    }
    err_done(&e);
    buf_done(&b);
    security_private_unref(alice);
}

/* Values that contain themselves end in an error, as an identity and as a caveat. */
static void circles(void)
{
    static const char chain[] = "veyron/runtimes/google/security.chainPublicID";
    static const char set[] = "veyron/runtimes/google/security.setPublicID";
    struct security_caveat caveat = {span_str("*"), {NULL, 0}};
    struct security_context c = {.now = 1};
    struct security_identity *id = NULL;
    struct buf b[3];

    for (size_t i = 0; i < 3; i++)
        buf_init(&b[i], 200);
    /* 65: pointer to an interface, which holds that pointer. */
    buf_append(&b[0], "\xff\x81\x04\x1a\x01\x01\x00\xff\x82\x04\x01\xff\x82\x02", 14);
    /* 65: pointer to 65, by name; a pointer to itself. */
    buf_append(&b[1], "\xff\x81\x33\x1a\x01\x41\x01\x2d", 8);
    buf_append_str(&b[1], chain);
    buf_append(&b[1], "\x00\xff\x82\x02\x01\x02", 6);
    /* 65: pointer to 66, a set of interfaces; its two members are itself. */
    buf_append(&b[2], "\xff\x81\x04\x1a\x01\x42\x00\xff\x83\x31\x12\x01\x01\x01\x2b", 15);
    buf_append_str(&b[2], set);
    buf_append(&b[2], "\x00\xff\x82\x08\x01\x02\xff\x82\x02\xff\x82\x02", 12);
    for (size_t i = 0; i < 3; i++) {
        static const int want[] = {WSPR_EPROTO, WSPR_EPROTO, WSPR_ELIMIT};
        struct err e = ERR_INIT;

        TAP_OK(security_identity_decode(buf_span(&b[i]), 0, &id, &e) == want[i], "%zu: %d %s", i,
               e.code, err_text(&e));
        caveat.bytes = buf_span(&b[i]);
        TAP_OK(security_caveat_check(&caveat, &c, &e) == WSPR_ENOTAUTH, "%zu", i);
        err_done(&e);
        buf_done(&b[i]);
    }
}

/* Memory. */

static void fail_decode_private(void *arg)
{
    struct security_private *id = NULL;

    if (security_idfile_parse_private(buf_span(arg), 0, &id, NULL) == 0)
        security_private_unref(id);
}

static void fail_encode(void *arg)
{
    struct buf b = BUF_INIT(SECURITY_TEXT_MAX);

    /* A writer may leave the question for errors to the end. */
    TAP_IS(security_idfile_print_private(&b, arg) == buf_error(&b));
    security_buf_wipe(&b);
    TAP_IS(security_private_encode(&b, arg) == buf_error(&b));
    security_buf_wipe(&b);
    TAP_IS(security_idfile_print_public(&b, security_private_public(arg)) == buf_error(&b));
    TAP_IS(buf_error(&b) != 0 || b.len > 0);
    buf_done(&b);
}

static void fail_make(void *arg)
{
    struct security_private *set = arg, *fresh = NULL, *derived = NULL;
    struct security_identity *id = NULL;
    struct security_blessing b = {.name = span_str("x"), .now = 5, .duration = 5};
    struct err e = ERR_INIT;

    security_private_new(span_str("fresh"), &fresh, &e);
    if (security_private_bless(set, security_identity_key(security_private_public(set)), &b, &id,
                               &e) == 0)
        security_private_derive(set, id, &derived, &e);
    security_private_unref(fresh);
    security_private_unref(derived);
    security_identity_unref(id);
    err_done(&e);
}

struct fail_authorize {
    struct security_identity *id;
    struct world_context w;
};

static void fail_authorize(void *arg)
{
    struct fail_authorize *f = arg;
    struct security_identity *rest = NULL;
    struct err e = ERR_INIT;

    security_authorize(f->id, &f->w.c, &rest, &e);
    security_identity_unref(rest);
    err_done(&e);
}

static void fail_channel(void *arg)
{
    struct security_channel_message m;
    struct security_identity *id = NULL;
    struct span *in = arg;
    struct err e = ERR_INIT;
    size_t used;

    security_channel_decode(in[0], &m, &used, &e);
    if (security_channel_identity(in[1], 0, &id, &e) == 0)
        security_channel_verify_vom(id, in[0], in[2], &e);
    security_identity_unref(id);
    err_done(&e);
}

struct fail_rest {
    struct security_identity *id;
    struct span discharge;
};

static void fail_rest(void *arg)
{
    struct fail_rest *f = arg;
    static const char text[] = "{\"a\":\"R\",\"b\\u0020\":\"W\",\"a\":\"RW\"}";
    struct security_acl *acl = NULL, *def = security_acl_default(f->id, world_trust());
    struct security_trust *t = security_trust_create(), *copy = NULL;
    struct security_discharge *d = NULL;
    struct buf out = BUF_INIT(10000);
    struct err e = ERR_INIT;

    if (security_acl_parse(span_str(text), &acl, &e) == 0)
        security_acl_print(&out, acl);
    security_acl_free(acl);
    security_acl_free(def);
    if (t != NULL && security_trust_add(t, span_str("x"), security_identity_key(f->id)) == 0)
        copy = security_trust_copy(t);
    security_trust_unref(t);
    security_trust_unref(copy);
    if (security_discharge_decode(f->discharge, &d, &e) == 0)
        security_discharge_encode(&out, d);
    security_discharge_unref(d);
    buf_done(&out);
    err_done(&e);
}

/* The same over every context of a vector. */
static void fail_authorizations(void)
{
    struct json_object *o = world_entry("identities", "set-one-expired");
    struct json_object *list = vec_get(o, "authorize");
    struct fail_authorize f = {.id = world_identity("set-one-expired")};
    unsigned long runs = 0;

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        world_context(&f.w, json_object_array_get_idx(list, i));
        runs += failmalloc_each(fail_authorize, &f, 3000);
        world_context_done(&f.w);
    }
    TAP_OK(runs > json_object_array_length(list), "%lu runs", runs);
    tap_note("failed allocations: %lu authorizing", runs);
    security_identity_unref(f.id);
}

static void fail_messages(struct security_private *set)
{
    struct security_channel_message m = {.channel_id = span_str("abc"), .id = span_str("defghi")};
    struct buf message = BUF_INIT(1000), pub = BUF_INIT(10000), sig = BUF_INIT(1000);
    struct security_signed s;
    struct security_signature v;
    struct span in[3];
    unsigned long runs;

    security_channel_encode(&message, &m);
    security_identity_encode(&pub, security_private_public(set));
    security_channel_sign(set, span_str("abc"), &s, NULL);
    v = security_signed_view(&s);
    security_signature_encode(&sig, &v);
    in[0] = buf_span(&message);
    in[1] = buf_span(&pub);
    in[2] = buf_span(&sig);
    runs = failmalloc_each(fail_channel, in, 3000);
    TAP_OK(runs > 10, "%lu runs", runs);
    tap_note("failed allocations: %lu channel", runs);
    buf_done(&message);
    buf_done(&pub);
    buf_done(&sig);
}

static void out_of_memory(void)
{
    struct buf text = BUF_INIT(SECURITY_TEXT_MAX);
    struct buf discharge = vec_hex(vec_str(world_entry("discharges", "d-peer"), "vom"));
    struct security_private *set = watched(&text);
    struct fail_rest rest = {.id = security_private_public(set), .discharge = buf_span(&discharge)};
    unsigned long runs[4];

    runs[0] = failmalloc_each(fail_decode_private, &text, 3000);
    runs[1] = failmalloc_each(fail_encode, set, 3000);
    runs[2] = failmalloc_each(fail_make, set, 3000);
    TAP_OK(leaks == 0, "%u pieces of memory with the secret in them", leaks);
    unwatch();
    world_trust();
    runs[3] = failmalloc_each(fail_rest, &rest, 3000);
    for (size_t i = 0; i < 4; i++)
        TAP_OK(runs[i] > 10, "%zu: %lu runs", i, runs[i]);
    tap_note("failed allocations: %lu decoding, %lu encoding, %lu making, %lu other", runs[0],
             runs[1], runs[2], runs[3]);
    fail_messages(set);
    fail_authorizations();
    security_private_unref(set);
    security_buf_wipe(&text);
    buf_done(&discharge);
}

/* Threads share what they only read. */
static void *use_identity(void *arg)
{
    struct security_private *set = arg;
    struct security_identity *id, *rest, *again = NULL;
    struct security_context c = {.now = 1, .trust = world_trust()};
    struct security_signed s;
    struct buf b = BUF_INIT(10000);
    uintptr_t bad = 0;

    for (unsigned i = 0; i < 20; i++) {
        set = security_private_ref(set);
        id = security_identity_ref(security_private_public(set));
        buf_reset(&b);
        bad += security_sign(security_private_key(set), span_str("x"), &s, NULL) < 0;
        bad += security_identity_encode(&b, id) < 0;
        bad += security_identity_decode(buf_span(&b), 0, &again, NULL) < 0;
        bad += !security_identity_equal(id, again);
        bad += security_authorize(id, &c, &rest, NULL) < 0;
        security_identity_unref(rest);
        security_identity_unref(again);
        security_identity_unref(id);
        security_private_unref(set);
    }
    buf_done(&b);
    return (void *)bad; /* assertions are not for threads */
}

static void threads_share(void)
{
    struct buf text = BUF_INIT(SECURITY_TEXT_MAX);
    struct security_private *set = watched(&text);
    pthread_t threads[3];
    void *bad;

    unwatch();
    world_trust();
    for (size_t i = 0; i < 3; i++)
        TAP_IS(pthread_create(&threads[i], NULL, use_identity, set) == 0);
    for (size_t i = 0; i < 3; i++) {
        TAP_IS(pthread_join(threads[i], &bad) == 0);
        TAP_IS(bad == NULL);
    }
    security_private_unref(set);
    security_buf_wipe(&text);
}

/* A chain that passes costs no allocation: it is checked at every request. */
static void authorizing_allocates_nothing(void)
{
    struct security_identity *id = world_identity("root-alice-friend-tv"), *rest = NULL;
    struct security_context c = {.now = world_time("2014-08-01T00:00:00Z"), .trust = world_trust()};

    failmalloc_at(0);
    TAP_IS(security_authorize(id, &c, &rest, NULL) == 0 && rest == id);
    TAP_IS(failmalloc_count() == 0);
    security_identity_unref(rest);
    security_identity_unref(id);
}

static const struct tap_case cases[] = {
    {"identities cut anywhere", identities_cut_anywhere},
    {"texts cut anywhere", texts_cut_anywhere},
    {"discharges and lists cut anywhere", discharges_and_lists_cut_anywhere},
    {"altered bytes", altered_bytes},
    {"other encodings", other_encodings},
    {"the same bytes often", the_same_bytes_often},
    {"long lists in caveats", long_lists},
    {"circles", circles},
    {"out of memory", out_of_memory},
    {"authorizing allocates nothing", authorizing_allocates_nothing},
    {"threads share what they read", threads_share},
};
const struct tap_suite suite_hostile = TAP_SUITE("hostile", cases);

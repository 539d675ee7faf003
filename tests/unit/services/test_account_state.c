/* The engine: recorded states, hostile input, failing allocations, secrets. */
#include "config.h"
#include "unit/services/account_tests.h"

#include "base/mem.h"
#include "failmalloc.h"
#include "security/idfile.h"
#include "security/key.h"
#include "unit/security/watch.h"

static struct span bytes_of(struct json_object *o, const char *name, struct buf *b)
{
    const char *hex = vec_str(o, name);

    *b = BUF_INIT(0);
    if (hex == NULL)
        return span_of(NULL, 0);
    *b = vec_hex(hex);
    return b->len > 0 ? buf_span(b) : span_of("", 0);
}

static void text_is(struct security_private *id, const char *want, const char *what)
{
    struct buf b = BUF_INIT(65536);

    security_private_print(&b, id, world_trust());
    TAP_OK(want != NULL && span_equal_str(buf_span(&b), want), "%s: %s instead of %s", what,
           buf_cstr(&b), want);
    buf_done(&b);
}

/* ---- recorded states ---- */

static void accounts_are(const struct account_state *s, struct json_object *want, const char *what)
{
    TAP_OK(account_state_accounts(s) == (size_t)json_object_object_length(want), "%s", what);
    json_object_object_foreach(want, name, entry)
    {
        struct security_private *id = account_state_find(s, span_str(name));

        TAP_OK(id != NULL, "%s: %s", what, name);
        if (id != NULL)
            text_is(id, vec_str(entry, "string"), what);
    }
}

static void origins_are(const struct account_state *s, struct json_object *want,
                        struct json_object *identities, const char *what)
{
    TAP_OK(account_state_origins(s) == (size_t)json_object_object_length(want), "%s", what);
    json_object_object_foreach(want, name, entry)
    {
        const struct account_origin *o = account_state_find_origin(s, span_str(name));
        struct json_object *caveats = vec_get(entry, "caveats"), *id_want;
        struct security_private *id = NULL;
        struct err e = ERR_INIT;
        int r = account_state_identity(s, span_str(name), &id, &e);

        TAP_OK(o != NULL && span_equal_str(o->account, vec_str(entry, "account")), "%s: %s", what,
               name);
        TAP_OK(o != NULL && o->n_caveats == json_object_array_length(caveats), "%s", what);
        for (size_t i = 0; o != NULL && i < o->n_caveats; i++)
            TAP_OK(span_equal_str(o->caveats[i].service,
                                  vec_str(json_object_array_get_idx(caveats, i), "service")),
                   "%s", what);
        id_want = vec_get(identities, name);
        if (json_object_is_type(id_want, json_type_string))
            text_is(id, json_object_get_string(id_want), what);
        else
            TAP_OK(r == WSPR_ENOTFOUND && strcmp(err_text(&e), vec_str(id_want, "error")) == 0,
                   "%s: %s", what, err_text(&e));
        err_done(&e);
    }
}

static void matches_are(const struct account_state *s, struct json_object *want, const char *what)
{
    json_object_object_foreach(want, pattern, list)
    {
        size_t n = 0;

        for (size_t i = 0; i < account_state_accounts(s); i++) {
            if (!account_state_matches(s, i, span_str(pattern), world_trust()))
                continue;
            TAP_OK(n < json_object_array_length(list) &&
                       span_equal_str(account_state_account(s, i, NULL),
                                      json_object_get_string(json_object_array_get_idx(list, n))),
                   "%s: pattern %s", what, pattern);
            n++;
        }
        TAP_OK(n == json_object_array_length(list), "%s: pattern %s: %zu", what, pattern, n);
    }
}

/* Written again, it is the same; byte for byte where the recorded maps happen to be in order. */
static bool written_again(const struct account_state *s, struct span data, unsigned flags,
                          const char *what)
{
    struct buf out = BUF_INIT(ACCOUNT_DATA_MAX), sig = BUF_INIT(ACCOUNT_SIGNATURE_MAX);
    struct security_private *host = accounts_host();
    struct account_state *again = NULL;
    struct account_stored stored;
    struct err e = ERR_INIT;
    bool same;

    TAP_OK(account_state_encode(s, &out, &e) == 0, "%s: %s", what, err_text(&e));
    TAP_OK(account_state_sign(buf_span(&out), security_private_key(host), &sig, &e) == 0, "%s",
           what);
    stored = (struct account_stored){buf_span(&out), buf_span(&sig)};
    TAP_OK(accounts_decode(&stored, flags, &again, &e) == 0, "%s: %s", what, err_text(&e));
    TAP_OK(again != NULL && accounts_equal(s, again), "%s", what);
    TAP_OK(out.len == data.len || data.len == 0, "%s: %zu bytes, recorded %zu", what, out.len,
           data.len);
    same = span_equal(buf_span(&out), data);
    account_state_free(again);
    security_private_unref(host);
    security_buf_wipe(&out);
    buf_done(&sig);
    err_done(&e);
    return same;
}

static void recorded_states(void)
{
    struct json_object *group = world_group("id_manager_states");
    unsigned n = 0, loaded = 0, refused = 0, same = 0;

    for (size_t i = 0; i < json_object_array_length(group); i++) {
        struct json_object *o = json_object_array_get_idx(group, i);
        const char *what = vec_str(o, "id");
        bool fake = strcmp(what, "fake-account") == 0;
        struct buf data, signature;
        struct account_stored stored = {bytes_of(o, "data", &data),
                                        bytes_of(o, "signature", &signature)};
        struct account_state *s = NULL;
        struct err e = ERR_INIT;
        int r = accounts_decode(&stored, fake ? SECURITY_ALLOW_PLACEHOLDERS : 0, &s, &e);

        if (fake || strncmp(vec_str(o, "required"), "ok", 2) == 0) {
            TAP_OK(r == 0, "%s: %s", what, err_text(&e));
            if (r == 0) {
                accounts_are(s, vec_get(o, "accounts"), what);
                origins_are(s, vec_get(o, "origins"), vec_get(o, "identity_of_origin"), what);
                matches_are(s, vec_get(o, "accounts_matching"), what);
                if (!fake)
                    same += written_again(s, stored.data, 0, what);
                loaded++;
            }
        } else {
            TAP_OK(r < 0 && s == NULL && err_text(&e)[0] != '\0', "%s: %d", what, r);
            refused++;
        }
        account_state_free(s);
        s = NULL;
        if (fake)
            TAP_IS(accounts_decode(&stored, 0, &s, NULL) < 0 && s == NULL);
        n++;
        buf_done(&data);
        buf_done(&signature);
        err_done(&e);
    }
    tap_note("identity.json id_manager_states: %u, %u loaded, %u refused, %u equal when written", n,
             loaded, refused, same);
    TAP_IS(n == 27 && loaded == 9 && refused == 18 && same >= 4);
}

/* Where the reference's word fits our order of checks it is ours too. */
static void recorded_texts(void)
{
    struct json_object *group = world_group("id_manager_states");
    unsigned n = 0;

    for (size_t i = 0; i < json_object_array_length(group); i++) {
        struct json_object *o = json_object_array_get_idx(group, i);
        const char *want = vec_str(o, "reference_error");
        struct buf data, signature;
        struct account_stored stored = {bytes_of(o, "data", &data),
                                        bytes_of(o, "signature", &signature)};
        struct account_state *s = NULL;
        struct err e = ERR_INIT;

        if (want != NULL && accounts_decode(&stored, 0, &s, &e) < 0 &&
            strcmp(err_text(&e), want) == 0)
            n++;
        else if (want != NULL)
            tap_note("%s: \"%s\", the reference says \"%s\"", vec_str(o, "id"), err_text(&e), want);
        account_state_free(s);
        buf_done(&data);
        buf_done(&signature);
        err_done(&e);
    }
    tap_note("%u texts are the reference's", n);
    TAP_IS(n >= 9);
}

/* ---- hostile input ---- */

struct recorded {
    struct buf data, signature;
    struct account_stored stored;
};

static void recorded_take(struct recorded *r, const char *id)
{
    struct json_object *o = world_entry("id_manager_states", id);

    r->stored = (struct account_stored){bytes_of(o, "data", &r->data),
                                        bytes_of(o, "signature", &r->signature)};
}

static void recorded_done(struct recorded *r)
{
    buf_done(&r->data);
    buf_done(&r->signature);
}

/* Signs whatever it is, so that the parser behind the signature sees it. */
static int decode_signed(struct span data, struct account_state **ret_s, struct err *err)
{
    struct buf sig = BUF_INIT(ACCOUNT_SIGNATURE_MAX);
    struct security_key *key = world_key("wsprhost");
    struct account_stored stored;
    int r = account_state_sign(data, key, &sig, err);

    stored = (struct account_stored){data, buf_span(&sig)};
    if (r == 0)
        r = account_state_decode(&stored, security_key_public(key), 0, ret_s, err);
    security_key_unref(key);
    buf_done(&sig);
    return r;
}

static void cut_at_each_byte(void)
{
    struct recorded full;
    struct account_state *s = NULL;
    unsigned n = 0;

    recorded_take(&full, "full");
    for (size_t len = 0; len < full.data.len; len++) {
        /* A copy of that size, so that reading behind the end is found. */
        void *copy = mem_dup(buf_data(&full.data), len);
        struct err e = ERR_INIT;

        TAP_OK(decode_signed(span_of(copy, len), &s, &e) < 0 && s == NULL, "%zu bytes", len);
        TAP_IS(err_text(&e)[0] != '\0');
        free(copy);
        err_done(&e);
        n++;
    }
    for (size_t len = 0; len < full.signature.len; len++) {
        void *copy = mem_dup(buf_data(&full.signature), len);
        struct account_stored stored = {full.stored.data, span_of(copy, len)};

        TAP_OK(accounts_decode(&stored, 0, &s, NULL) < 0 && s == NULL, "%zu bytes", len);
        free(copy);
        n++;
    }
    tap_note("%u inputs were cut", n);
    recorded_done(&full);
}

static void names_twice(void)
{
    struct recorded full;
    struct account_state *s = NULL;
    struct err e = ERR_INIT;
    uint8_t *at;

    /* "http://a" becomes "http://b", which is there already. */
    recorded_take(&full, "full");
    at = memmem(buf_data(&full.data), full.data.len, "\x08http://a", 9);
    TAP_IS(at != NULL);
    at[8] = 'b';
    TAP_IS(decode_signed(buf_span(&full.data), &s, &e) == WSPR_EINVAL && s == NULL);
    TAP_OK(strcmp(err_text(&e), "a name occurs twice") == 0, "%s", err_text(&e));
    recorded_done(&full);
    err_done(&e);
}

static void each_bit_counts(void)
{
    struct recorded one;
    struct account_state *s = NULL;

    recorded_take(&one, "one-origin");
    for (size_t i = 0; i < one.data.len; i++) {
        buf_data(&one.data)[i] ^= 0x20;
        TAP_OK(accounts_decode(&one.stored, 0, &s, NULL) == WSPR_ENOTAUTH && s == NULL, "byte %zu",
               i);
        buf_data(&one.data)[i] ^= 0x20;
    }
    recorded_done(&one);
}

/* ---- changes ---- */

static void changes_and_copies(void)
{
    struct security_private *alice = world_private("root-alice"), *id = NULL;
    struct security_private *bob = world_private("self-bob");
    struct account_state *s = account_state_new(), *copy;
    struct buf caveat = BUF_INIT(1000);
    struct security_caveat caveats[2] = {{.service = span_str("*")}, {.service = span_str("x")}};
    struct err e = ERR_INIT;

    TAP_IS(security_caveat_expiry(&caveat, 1, 2) == 0);
    caveats[0].bytes = buf_span(&caveat);
    TAP_IS(account_state_link(s, span_str("o"), span_str("a"), NULL, 0, &e) == WSPR_ENOTFOUND);
    TAP_OK(strcmp(err_text(&e), "unknown account a") == 0, "%s", err_text(&e));
    TAP_IS(strcmp(err_id(&e), "veyron2/verror.NotFound") == 0);
    TAP_IS(account_state_add(s, span_str("a"), alice, NULL) == 0);
    TAP_IS(account_state_link(s, span_str("o"), span_str("a"), caveats, 2, &e) == WSPR_EINVAL);
    TAP_IS(account_state_link(s, span_str("o"), span_str("a"), caveats, 1, NULL) == 0);
    copy = account_state_copy(s);
    TAP_IS(accounts_equal(s, copy));
    TAP_IS(account_state_add(copy, span_str("a"), bob, NULL) == 0);
    TAP_IS(account_state_identity(copy, span_str("o"), &id, NULL) == 0 && id == bob);
    TAP_IS(account_state_identity(s, span_str("o"), &id, NULL) == 0 && id == alice);
    TAP_IS(account_state_remove(copy, span_str("a"), NULL) == 0);
    TAP_IS(account_state_remove(copy, span_str("a"), &e) == WSPR_ENOTFOUND);
    TAP_IS(account_state_identity(copy, span_str("o"), &id, &e) == WSPR_ENOTFOUND);
    TAP_OK(strcmp(err_text(&e), "origin not found") == 0, "%s", err_text(&e));
    TAP_IS(account_state_unlink(copy, span_str("o"), NULL) == 0);
    TAP_IS(account_state_unlink(copy, span_str("o"), &e) == WSPR_ENOTFOUND);
    TAP_IS(account_state_identity(s, span_str("o"), &id, NULL) == 0 && id == alice);
    TAP_IS(!written_again(s, span_of(NULL, 0), 0, "with a caveat"));
    account_state_free(copy);
    account_state_free(s);
    security_private_unref(alice);
    security_private_unref(bob);
    buf_done(&caveat);
    err_done(&e);
}

static void limits(void)
{
    struct security_private *id = world_private("root-alice");
    struct account_state *s = accounts_make(ACCOUNTS_MAX, id);
    char *name = calloc(1, ACCOUNT_TEXT_MAX + 2);
    struct buf out = BUF_INIT(ACCOUNT_DATA_MAX);
    struct err e = ERR_INIT;

    memset(name, 'x', ACCOUNT_TEXT_MAX + 1);
    TAP_IS(account_state_add(s, span_str("one more"), id, &e) == WSPR_ELIMIT);
    TAP_IS(account_state_add(s, span_str("a7"), id, NULL) == 0);
    TAP_IS(account_state_link(s, span_str(name), span_str("a7"), NULL, 0, &e) == WSPR_ELIMIT);
    TAP_IS(account_state_remove(s, span_str("a7"), NULL) == 0);
    TAP_IS(account_state_add(s, span_str(name), id, &e) == WSPR_ELIMIT);
    /* As many as may be can also be stored. */
    TAP_OK(account_state_encode(s, &out, &e) == 0, "%s", err_text(&e));
    TAP_IS(account_state_accounts(s) == ACCOUNTS_MAX - 1);
    security_buf_wipe(&out);
    account_state_free(s);
    security_private_unref(id);
    free(name);
    err_done(&e);
}

/* ---- memory ---- */

static void without_memory(void *arg)
{
    struct recorded *full = arg;
    struct account_state *s = NULL, *copy = NULL;
    struct buf out = BUF_INIT(ACCOUNT_DATA_MAX);
    struct security_private *id;
    struct err e = ERR_INIT;
    int r = accounts_decode(&full->stored, 0, &s, &e);

    TAP_OK(r == 0 || r == WSPR_ENOMEM, "%d %s", r, err_text(&e));
    if (r == 0)
        copy = account_state_copy(s);
    if (copy != NULL && account_state_identity(copy, span_str("http://a"), &id, NULL) == 0) {
        const struct account_origin *o = account_state_find_origin(s, span_str("http://a"));

        r = account_state_add(copy, span_str("new"), id, NULL);
        TAP_IS(r == 0 || r == WSPR_ENOMEM);
        r = account_state_link(copy, span_str("o"), span_str("bob"), o->caveats, o->n_caveats,
                               NULL);
        TAP_OK(r == 0 || r == WSPR_ENOMEM || r == WSPR_EINVAL, "%d", r);
        r = account_state_encode(copy, &out, &e);
        TAP_OK(r == 0 || r == WSPR_ENOMEM, "%d", r);
    }
    security_buf_wipe(&out);
    account_state_free(copy);
    account_state_free(s);
    err_done(&e);
}

static void each_allocation_fails(void)
{
    struct recorded full;
    struct account_state *s = NULL;
    unsigned long runs;

    recorded_take(&full, "full");
    TAP_IS(accounts_decode(&full.stored, 0, &s, NULL) == 0); /* before allocations fail */
    account_state_free(s);
    runs = failmalloc_each(without_memory, &full, 20000);
    tap_note("%lu allocations failed", runs);
    TAP_IS(runs > 50);
    recorded_done(&full);
}

/* What is released on the way holds no key. */
static void secrets_are_wiped(void)
{
    struct buf text = BUF_INIT(SECURITY_TEXT_MAX), data = BUF_INIT(ACCOUNT_DATA_MAX);
    struct security_private *set = watched(&text);
    struct account_state *s = accounts_make(400, set), *again = NULL;
    struct err e = ERR_INIT;

    /* More than the first guess of the writer. */
    TAP_OK(account_state_encode(s, &data, &e) == 0, "%s", err_text(&e));
    TAP_IS(memmem(buf_data(&data), data.len, secret, sizeof secret) != NULL && data.len > 65536);
    TAP_OK(decode_signed(buf_span(&data), &again, &e) == 0, "%s", err_text(&e));
    account_state_free(again);
    again = NULL;
    for (size_t cut = 1000; cut < data.len; cut += 30011)
        TAP_IS(decode_signed(span_of(buf_data(&data), cut), &again, NULL) < 0);
    account_state_free(s);
    security_buf_wipe(&data);
    security_private_unref(set);
    security_buf_wipe(&text);
    TAP_OK(leaks == 0, "%u pieces of memory with the secret in them", leaks);
    unwatch();
    err_done(&e);
}

static const struct tap_case cases[] = {
    {"recorded states", recorded_states},
    {"recorded texts", recorded_texts},
    {"cut at each byte", cut_at_each_byte},
    {"names that occur twice", names_twice},
    {"each bit of the data counts", each_bit_counts},
    {"changes and copies", changes_and_copies},
    {"limits", limits},
    {"each allocation fails", each_allocation_fails},
    {"secrets are wiped", secrets_are_wiped},
};
const struct tap_suite suite_account_state = TAP_SUITE("accounts", cases);

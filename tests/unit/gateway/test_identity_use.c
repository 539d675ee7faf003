/* Under which identity the calls and servers of a page run, as others see it. */
#include "config.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "idrig.h"
#include "rpc/runtime.h"
#include "security/caveat.h"
#include "support/child.h"

/* ---- what it changes ---- */

static void origins_act_under_their_identity(void)
{
    struct page before, app, other, none;

    id_begin();
    id_open_page(&before, APP);
    id_is_seen_as(&before, 1, "client");
    id_associate_locally("acct", id_gw.ids.friend, APP);
    id_is_seen_as(&before, 3, NAME); /* from the next call on */
    id_open_page(&app, APP);
    id_open_page(&other, OTHER);
    id_open_page(&none, NULL);
    id_is_seen_as(&app, 1, NAME);
    id_is_seen_as(&other, 1, "client");
    id_is_seen_as(&none, 1, "client");
    id_call(&app, 3, "only/" NAME, "whoami", 2);
    page_expect_reply(&app, 3, 0, "[\"" NAME "\"]");
    id_call(&other, 3, "only/" NAME, "whoami", 2);
    page_expect_error(&other, 3, NOT_AUTH, REFUSED);
    /* A client without an origin acts as the one that it associates; a page does not. */
    id_associate(&none, 3, "acct", id_gw.ids.friend, OTHER);
    page_expect_reply(&none, 3, 0, "null");
    id_is_seen_as(&none, 5, "server/friend/http:%2F%2Fother.example");
    id_is_seen_as(&other, 5, "server/friend/http:%2F%2Fother.example");
    id_is_seen_as(&app, 5, NAME);
    page_drop(&before);
    page_drop(&app);
    page_drop(&other);
    page_drop(&none);
    id_end();
}

static void accounts_themselves(void)
{
    struct page app, other;

    id_begin_with((struct gw_opts){.store = {.raw = true}});
    id_associate_locally("acct", id_gw.ids.friend, APP);
    id_associate_locally("acct", id_gw.ids.friend, OTHER);
    id_open_page(&app, APP);
    id_open_page(&other, OTHER);
    id_is_seen_as(&app, 1, "server/friend");
    id_is_seen_as(&other, 1, "server/friend");
    page_drop(&app);
    page_drop(&other);
    id_end();
}

/*
 * With the switch of tests a page may have a placeholder. Its key is nobody's: a call under it
 * fails and says why, and is not made under another identity.
 */
static void placeholders_call_nobody(void)
{
    /* fake/x, as in spec: security 14 */
    static const char fake[] = "{\"account\":\"acct\",\"identity\":"
                               "\"_4EdEAEDARd2ZXlyb24yL3NlY3VyaXR5LmZha2VJRAD_ggcGZmFrZS94\","
                               "\"origin\":\"" APP "\"}";
    struct page local, app, other;
    const char *got;

    id_begin_with((struct gw_opts){.log_to_text = true, .store = {.placeholders = true}});
    id_open_page(&local, NULL);
    id_open_page(&app, APP);
    id_open_page(&other, OTHER);
    id_is_seen_as(&app, 1, "client");
    page_message(&local, 1, 7, fake);
    page_expect_reply(&local, 1, 0, "null");
    for (int i = 0; i < 2; i++) {
        id_call(&app, 3 + 2 * i, "x", "whoami", 2);
        got = page_recv(&app);
        TAP_OK(got != NULL && strstr(got, "identity has no private key") != NULL, "%s",
               got != NULL ? got : "nothing");
        id_is_seen_as(&other, 3 + 2 * i, "client");
    }
    /* Another identity in its place, and the page calls again. */
    id_associate(&local, 3, "acct", id_gw.ids.friend, APP);
    page_expect_reply(&local, 3, 0, "null");
    id_is_seen_as(&app, 9, NAME);
    page_drop(&local);
    page_drop(&app);
    page_drop(&other);
    id_end();
}

/* Nothing that one identity was shown or opened is used for another. */
static void origins_share_nothing(void)
{
    for (int raw = 0; raw < 2; raw++) {
        const struct rpc_stats *rpc;
        const struct gateway_stats *stats;
        struct page pages[3];
        uint64_t vcs, fetched;

        id_begin_with((struct gw_opts){.store = {.raw = raw != 0}});
        rpc = rpc_runtime_stats(id_gw.client.rt);
        stats = gateway_stats(id_gw.gateway);
        id_associate_locally("acct", id_gw.ids.friend, APP);
        id_associate_locally("acct", id_gw.ids.friend, OTHER);
        id_open_page(&pages[0], APP);
        id_open_page(&pages[1], OTHER);
        id_open_page(&pages[2], NULL);
        vcs = rpc->vcs;
        fetched = stats->signatures_fetched;
        for (int i = 0; i < 3; i++) {
            id_call(&pages[i], 1, "x", "whoami", 2);
            TAP_IS(page_recv(&pages[i]) != NULL);
        }
        TAP_OK(rpc->vcs == vcs + 3, "%d circuits", (int)(rpc->vcs - vcs));
        TAP_OK(stats->signatures_fetched == fetched + 3, "%d signatures",
               (int)(stats->signatures_fetched - fetched));
        /* Another page of an origin shares its circuit. */
        page_drop(&pages[2]);
        id_open_page(&pages[2], APP);
        id_call(&pages[2], 1, "x", "whoami", 2);
        TAP_IS(page_recv(&pages[2]) != NULL && rpc->vcs == vcs + 3);
        /* After a change of the identity its own cache is of no use either. */
        fetched = stats->signatures_fetched;
        id_associate_locally("acct", id_gw.ids.limited, APP);
        id_call(&pages[0], 3, "x", "echo", 2);
        TAP_IS(page_recv(&pages[0]) != NULL && stats->signatures_fetched <= fetched + 1);
        for (int i = 0; i < 3; i++)
            page_drop(&pages[i]);
        id_end();
    }
}

/* How long an identity lives that the test outlives: a busy machine makes a few calls meanwhile. */
#ifdef WSPR_SANITIZED
#define LIFETIME (20 * CLOCK_S)
#else
#define LIFETIME (4 * CLOCK_S)
#endif

static void blessings_are_renewed(void)
{
    struct security_private *first = NULL, *second = NULL;
    struct page p;

    id_begin_with((struct gw_opts){.store = {.lifetime = LIFETIME}});
    id_associate_locally("acct", id_gw.ids.friend, APP);
    id_open_page(&p, APP);
    id_is_seen_as(&p, 1, NAME);
    TAP_IS(accounts_identity(id_gw.accounts, span_str(APP), &first, NULL) == 1);
    first = security_private_ref(first);
    TAP_IS(security_identity_expires(security_private_public(first)) < clock_wall() + LIFETIME);
    while (clock_wall() < security_identity_expires(security_private_public(first)))
        gw_run(&id_gw, 100);
    /* Long after: the call waits for the new one. */
    id_is_seen_as(&p, 3, NAME);
    TAP_IS(accounts_identity(id_gw.accounts, span_str(APP), &second, NULL) == 1);
    TAP_IS(second != first);
    TAP_IS(security_identity_expires(security_private_public(second)) > clock_wall());
    security_private_unref(first);
    page_drop(&p);
    id_end();
}

/* What a page serves shows the identity of its origin, also after that was renewed. */

struct asked {
    struct security_identity *server;
    bool done;
};

static void asked_started(void *arg, struct rpc_call *call)
{
    struct asked *a = arg;

    a->server = security_identity_ref((struct security_identity *)(uintptr_t)rpc_call_server(call));
}

static int asked_result(void *arg, struct rpc_call *call, uint32_t i, uint32_t n,
                        const struct rpc_value *v, struct err *err)
{
    return 0;
}

static void asked_done(void *arg, struct rpc_call *call, const struct err *err)
{
    TAP_OK(err == NULL, "%s", err != NULL ? err_text(err) : "");
    ((struct asked *)arg)->done = true;
}

static bool asked_is_done(void *arg)
{
    return ((struct asked *)arg)->done;
}

/* Asks the object for its signature; the identity of its server. The caller unrefs. */
static struct security_identity *server_of(const char *name)
{
    static const struct rpc_call_ops ops = {
        .started = asked_started, .result = asked_result, .done = asked_done};
    struct rpc_call_opts opts = {.n_results = 2};
    struct asked a = {NULL, false};
    struct rpc_call *call = rpc_call_new(rpc_runtime_client(id_gw.service.rt), span_str(name),
                                         span_str("Signature"), &opts, &ops, &a);

    rpc_call_start(call, 0);
    TAP_IS(gw_until(&id_gw, asked_is_done, &a, GW_TIMEOUT_MS));
    if (a.server == NULL)
        exit(99);
    return a.server;
}

static void is_named(const struct security_identity *id, const char *name)
{
    struct buf b = BUF_INIT(65536);

    security_identity_print(&b, id, id_gw.ids.trust);
    TAP_OK(span_equal_str(buf_span(&b), name), "%s", buf_cstr(&b));
    buf_done(&b);
}

static void servers_show_their_origin(void)
{
    struct gw_opts opts = {.rpc = {.vc_idle = 50 * CLOCK_MS}, .store = {.lifetime = LIFETIME}};
    struct security_identity *first, *second;
    char name[600];
    const char *got, *at;
    struct page p;

    opts.plugins[3] = serve_plugin_entry();
    id_begin_with(opts);
    id_associate_locally("acct", id_gw.ids.friend, APP);
    id_open_page(&p, APP);
    page_message(&p, 1, 1,
                 "{\"name\":\"\",\"serverId\":1,\"service\":{\"get\":{\"inArgs\":[],"
                 "\"numOutArgs\":1,\"isStreaming\":false}}}");
    got = page_recv(&p);
    at = got != NULL ? strchr(got, '@') : NULL;
    TAP_OK(at != NULL, "%s", got != NULL ? got : "nothing");
    if (at != NULL) {
        snprintf(name, sizeof name, "/%.*s//", (int)strcspn(at, "\\\""), at);
        first = server_of(name);
        is_named(first, NAME);
        while (clock_wall() < security_identity_expires(first))
            gw_run(&id_gw, 100);
        id_is_seen_as(&p, 3, NAME); /* the page says something: its identity is renewed */
        second = server_of(name);
        is_named(second, NAME);
        TAP_IS(security_identity_expires(second) > security_identity_expires(first));
        TAP_IS(security_pubkey_equal(security_identity_key(first), security_identity_key(second)));
        security_identity_unref(first);
        security_identity_unref(second);
    }
    page_drop(&p);
    id_end();
}

/* ---- what others do to the store ---- */

static const char *store_folder(void)
{
    static char path[4200];
    static unsigned n;
    char name[32];

    snprintf(name, sizeof name, "accounts-%u", n++);
    return child_file(path, sizeof path, name);
}

/* As a tool does it: removes the account, or adds it again. */
static void change_outside(const char *folder, struct security_private *add)
{
    struct account_store_opts opts = {.folder = folder, .host = id_gw.ids.client};
    struct account_store *store = NULL;
    struct account_state *s = NULL;
    struct err e = ERR_INIT;

    TAP_IS(account_store_open(&opts, &store, &e) == 0 && account_store_lock(store, &e) == 0);
    TAP_IS(account_store_load(store, &s, &e) == 0);
    TAP_IS((add != NULL ? account_state_add(s, span_str("acct"), add, &e)
                        : account_state_remove(s, span_str("acct"), &e)) == 0);
    TAP_OK(account_store_save(store, s, &e) == 0, "%s", err_text(&e));
    account_store_close(store);
    account_state_free(s);
    err_done(&e);
}

static bool has_accounts(void *arg)
{
    return account_state_accounts(id_gw.accounts->state) == *(size_t *)arg;
}

static void accounts_of_others(void)
{
    struct gw_opts opts = {.store = {.folder = store_folder(), .poll = 20 * CLOCK_MS}};
    size_t n = 0;
    struct page p;

    id_begin_with(opts);
    id_associate_locally("acct", id_gw.ids.friend, APP);
    id_open_page(&p, APP);
    id_is_seen_as(&p, 1, NAME);
    change_outside(opts.store.folder, NULL);
    TAP_IS(gw_until(&id_gw, has_accounts, &n, GW_TIMEOUT_MS));
    id_is_seen_as(&p, 3, "client"); /* revoked, on the live connection too */
    id_call(&p, 5, "only/" NAME, "whoami", 2);
    page_expect_error(&p, 5, NOT_AUTH, REFUSED);
    change_outside(opts.store.folder, id_gw.ids.friend);
    n = 1;
    TAP_IS(gw_until(&id_gw, has_accounts, &n, GW_TIMEOUT_MS));
    id_is_seen_as(&p, 7, NAME);
    /* A change of ours right after one of theirs keeps both. */
    change_outside(opts.store.folder, NULL);
    id_associate_locally("second", id_gw.ids.friend, OTHER);
    TAP_IS(account_state_accounts(id_gw.accounts->state) == 1);
    TAP_IS(account_state_find(id_gw.accounts->state, span_str("second")) != NULL);
    page_drop(&p);
    id_end();
}

static void a_store_that_fails(void)
{
    struct gw_opts opts = {.log_to_text = true, .store = {.folder = store_folder()}};
    struct buf text;
    char lock[4300];
    const char *got, *log;
    struct page p;

    /* Nothing can be locked: there is a folder in the place of the file. */
    snprintf(lock, sizeof lock, "%s/lock", opts.store.folder);
    TAP_IS(mkdir(opts.store.folder, 0700) == 0 && mkdir(lock, 0700) == 0);
    id_begin_with(opts);
    id_open_page(&p, NULL);
    id_is_seen_as(&p, 1, "client");
    for (int i = 0; i < 3; i++) {
        id_associate(&p, 2 * i + 3, "acct", id_gw.ids.friend, APP);
        got = page_recv(&p);
        TAP_OK(got != NULL && strstr(got, "\\\"iD\\\": \\\"" INTERNAL) != NULL, "%s", got);
    }
    page_expect_silence(&p);
    TAP_IS(account_state_accounts(id_gw.accounts->state) == 0);
    id_is_seen_as(&p, 11, "client");
    /* The log tells of it, and nothing of the identity. */
    id_identity_text(id_gw.ids.friend, &text);
    TAP_IS(strstr(gw_log(&id_gw), "is refused") != NULL);
    log = gw_log(&id_gw);
    for (size_t i = 700; i + 20 < text.len; i += 10)
        TAP_IS(memmem(log, strlen(log), buf_data(&text) + i, 20) == NULL);
    security_buf_wipe(&text);
    page_drop(&p);
    id_end();
}

/* Messages behind an association wait for it, and for the identity. */
static void input_waits(void)
{
    struct page p;

    id_begin();
    id_open_page(&p, APP);
    for (int i = 0; i < 5; i++) {
        id_associate(&p, 4 * i + 1, "mine", i % 2 == 0 ? id_gw.ids.friend : id_gw.ids.server, APP);
        id_call(&p, 4 * i + 3, "x", "whoami", 2);
    }
    for (int i = 0; i < 10; i++) {
        const char *got = page_recv(&p);
        long long id = got != NULL ? strtoll(got + strlen("{\"id\": "), NULL, 10) : 0;
        const char *want = id % 4 == 1   ? "\\\"type\\\": 0, \\\"message\\\": null"
                           : id % 8 == 3 ? NAME "\\\"]"
                                         : "[\\\"server/http:%2F%2Fapp.example\\\"]";

        /* Calls end in any order, but each ran under the identity of its moment. */
        TAP_OK(got != NULL && id > 0 && strstr(got, want) != NULL, "%s", got);
    }
    /* And a page that goes away meanwhile leaves nothing behind. */
    id_associate(&p, 101, "mine", id_gw.ids.friend, APP);
    id_call(&p, 103, "x", "whoami", 2);
    page_drop(&p);
    id_end();
}

static const struct tap_case cases[] = {
    {"origins act under their identity", origins_act_under_their_identity},
    {"accounts themselves", accounts_themselves},
    {"placeholders call nobody", placeholders_call_nobody},
    {"origins share nothing", origins_share_nothing},
    {"blessings are renewed", blessings_are_renewed},
    {"servers show their origin", servers_show_their_origin},
    {"accounts of others", accounts_of_others},
    {"a store that fails", a_store_that_fails},
    {"input waits", input_waits},
};
const struct tap_suite suite_identity_use = TAP_SUITE("identities in use", cases);

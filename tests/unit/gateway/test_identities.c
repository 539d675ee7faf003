/*
 * Accounts of a gateway in this process: who may associate what, and under which identity the calls
 * of a page then run, as the service sees it.
 */
#include "config.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "gateway/accounts_private.h"
#include "gwrig.h"
#include "rpc/runtime.h"
#include "security/caveat.h"
#include "security/identity.h"
#include "security/idfile.h"
#include "support/child.h"
#include "tap.h"
#include "vectors.h"

#define APP   "http://app.example"
#define OTHER "http://other.example"
#define NAME  "server/friend/http:%2F%2Fapp.example"

#define INTERNAL "veyron2/verror.Internal"
#define BAD_ARG  "veyron2/verror.BadArg"
#define NOT_AUTH "veyron2/verror.NotAuthorized"
#define REFUSED                                                                                    \
    "ipc: not authorized(\"client\" not authorized for method \"Whoami\": no matching ACL entry "  \
    "found)"

static struct gw g;

static void begin_with(struct gw_opts opts)
{
    opts.service = opts.accounts = opts.offload = true;
    opts.plugins[0] = request_plugin_entry();
    opts.plugins[1] = signature_plugin_entry();
    opts.plugins[2] = assoc_identity_plugin_entry();
    gw_init(&g, &opts);
}

static void begin(void)
{
    begin_with((struct gw_opts){.log_to_text = true});
}

static void end(void)
{
    TAP_IS(gw_wait_conns(&g, 0));
    gw_done(&g);
}

/* A page of that origin; NULL: a client that sends none. */
static void open_page(struct page *p, const char *origin)
{
    char header[300] = "";

    if (origin != NULL)
        snprintf(header, sizeof header, "Origin: %s\r\n", origin);
    TAP_OK(page_open(p, &g, origin != NULL ? header : NULL, true), "%s", origin);
}

static void identity_text(struct security_private *id, struct buf *text)
{
    *text = BUF_INIT(SECURITY_TEXT_MAX);
    TAP_IS(security_idfile_print_private(text, id) == 0 && buf_cstr(text) != NULL);
}

static void associate(struct page *p, long long id, const char *account,
                      struct security_private *identity, const char *origin)
{
    struct buf text;
    char data[8192];

    identity_text(identity, &text);
    snprintf(data, sizeof data, "{\"account\":\"%s\",\"identity\":\"%s\",\"origin\":\"%s\"}",
             account, buf_cstr(&text), origin);
    page_message(p, id, 7, data);
    security_buf_wipe(&text);
}

/* Associates through a client of this machine. */
static void associate_locally(const char *account, struct security_private *identity,
                              const char *origin)
{
    struct page p;

    open_page(&p, NULL);
    associate(&p, 1, account, identity, origin);
    page_expect_reply(&p, 1, 0, "null");
    page_drop(&p);
}

static void call(struct page *p, long long id, const char *suffix, const char *method, int n_out)
{
    char data[1024];

    snprintf(data, sizeof data,
             "{\"name\":\"%s//%s\",\"method\":\"%s\",\"inArgs\":[],\"numOutArgs\":%d}", g.endpoint,
             suffix, method, n_out);
    page_message(p, id, 0, data);
}

/* The service sees the page's calls under this name. */
static void is_seen_as(struct page *p, long long id, const char *name)
{
    char json[1024];

    snprintf(json, sizeof json, "[\"%s\"]", name);
    call(p, id, "x", "whoami", 2);
    page_expect_reply(p, id, 0, json);
}

/* ---- the recorded messages ---- */

static bool is_success(struct json_object *o, bool placeholders)
{
    const char *required = vec_str(o, "required"), *what = vec_str(o, "description");

    if (strcmp(what, "placeholder test identity") == 0)
        return placeholders;
    /* "tolerated" is what we do with text behind the object, as with every payload. */
    return strncmp(required, "success", 7) == 0 || strcmp(what, "text after the JSON object") == 0;
}

static void play_association(struct page *p, long long id, struct json_object *o, bool placeholders)
{
    struct json_object *reply = json_object_array_get_idx(vec_get(o, "reference_replies"), 0);
    const char *got, *what = vec_str(o, "description");

    page_message(p, id, 7, vec_str(o, "data"));
    if (is_success(o, placeholders)) {
        page_expect_reply(p, id, 0, "null");
    } else if (vec_int(reply, "type") == 2) {
        page_expect_error(p, id, vec_str(vec_get(reply, "message"), "iD"),
                          vec_str(vec_get(reply, "message"), "msg"));
    } else {
        got = page_recv(p);
        TAP_OK(got != NULL && strstr(got, "\\\"type\\\": 2") != NULL, "%s: %s", what, got);
    }
}

static void recorded_associations_with(bool placeholders)
{
    struct json_object *vectors = vectors_load("identity.json");
    struct json_object *list = vec_get(vectors, "assoc_identity");
    struct gw_opts opts = {.store = {.placeholders = placeholders}};
    unsigned n = 0, good = 0;
    struct page p;

    begin_with(opts);
    open_page(&p, NULL);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i), *after;
        size_t accounts = account_state_accounts(g.accounts->state);

        play_association(&p, (long long)(2 * i + 1), o, placeholders);
        n++;
        good += is_success(o, placeholders);
        if (!is_success(o, placeholders))
            TAP_OK(account_state_accounts(g.accounts->state) == accounts, "%s",
                   vec_str(o, "description"));
        after = vec_get(vec_get(o, "state_after"), "origins");
        if (after == NULL)
            continue;
        json_object_object_foreach(after, origin, account)
        {
            const struct account_origin *is =
                account_state_find_origin(g.accounts->state, span_str(origin));

            TAP_OK(is != NULL && span_equal_str(is->account, json_object_get_string(account)),
                   "%s: %s", vec_str(o, "description"), origin);
        }
    }
    page_expect_silence(&p); /* one answer each */
    page_drop(&p);
    tap_note("identity.json assoc_identity%s: %u ran, %u succeed",
             placeholders ? " with placeholders" : "", n, good);
    TAP_IS(n == 23 && good == 7u + placeholders);
    end();
    json_object_put(vectors);
}

static void recorded_associations(void)
{
    recorded_associations_with(false);
    recorded_associations_with(true);
}

/* ---- who may ---- */

static void others_speak_for_themselves(void)
{
    static const char *const refused =
        "this page may only associate an identity with its own origin";
    struct page app, other, null, extension;

    begin();
    open_page(&app, APP);
    open_page(&other, OTHER ":80");
    open_page(&null, "null");
    open_page(&extension, "chrome-extension://abcdefgh");
    associate(&app, 1, "mine", g.ids.friend, OTHER);
    page_expect_error(&app, 1, NOT_AUTH, refused);
    associate(&null, 1, "mine", g.ids.friend, "null");
    page_expect_error(&null, 1, NOT_AUTH, refused);
    associate(&app, 3, "mine", g.ids.friend, APP);
    page_expect_reply(&app, 3, 0, "null");
    /* Its own account again, but no other. */
    associate(&app, 5, "mine", g.ids.server, "HTTP://APP.example:80");
    page_expect_reply(&app, 5, 0, "null");
    associate(&app, 7, "second", g.ids.friend, APP);
    page_expect_error(&app, 7, NOT_AUTH, "this origin has another account");
    /* Nobody else's account, by whose name ever. */
    associate(&other, 1, "mine", g.ids.friend, OTHER);
    page_expect_error(&other, 1, NOT_AUTH, "this account is not the origin's own");
    associate(&extension, 1, "mine", g.ids.friend, OTHER);
    page_expect_reply(&extension, 1, 0, "null");
    associate(&app, 9, "mine", g.ids.friend, APP);
    page_expect_error(&app, 9, NOT_AUTH, "this account is not the origin's own");
    TAP_IS(strstr(gw_log(&g), "origin \"http://app.example\": associating \"http://other.example\" "
                              "is refused: \"this page may only") != NULL);
    TAP_IS(gateway_stats(g.gateway)->associations_refused == 5);
    page_drop(&app);
    page_drop(&other);
    page_drop(&null);
    page_drop(&extension);
    end();
}

static void lists_of_origins(void)
{
    static const char list[] = " https://one.example ,ext://*, https://*.two.example:8443,local";
    static const struct {
        const char *origin;
        bool local, admitted;
    } cases[] = {
        {"https://one.example", false, true},
        {"HTTPS://One.Example:443", false, true},
        {"http://one.example", false, false},
        {"https://one.example:444", false, false},
        {"https://sub.one.example", false, false},
        {"ext://whoever", false, true},
        {"exts://whoever", false, false},
        {"https://a.two.example:8443", false, true},
        {"https://a.b.TWO.example:8443", false, true},
        {"https://two.example:8443", false, false},
        {"https://atwo.example:8443", false, false},
        {"https://a.two.example", false, false},
        {"", true, true},
        {"", false, false},
        {"null", true, false},
        {"https://one.example/", true, false},
    };
    struct policy p = {.n = 0};
    struct err e = ERR_INIT;

    TAP_OK(policy_parse(&p, list, &e) == 0 && p.n == 4, "%s", err_text(&e));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        TAP_OK(policy_admits(&p, span_str(cases[i].origin), cases[i].local) == cases[i].admitted,
               "\"%s\"", cases[i].origin);
    policy_done(&p);
    TAP_IS(policy_parse(&p, "", &e) == 0 && !policy_admits(&p, span_str(""), true));
    policy_done(&p);
    TAP_IS(policy_parse(&p, "*", &e) == 0 && policy_admits(&p, span_str("null"), false));
    policy_done(&p);
    TAP_IS(policy_parse(&p, "https://ok,what is this", &e) == WSPR_EINVAL);
    TAP_OK(strcmp(err_text(&e), "\"what is this\" is no origin") == 0, "%s", err_text(&e));
    policy_done(&p);
    TAP_IS(policy_parse(&p, "https://*x", &e) == WSPR_EINVAL);
    policy_done(&p);
    err_done(&e);
}

static void who_may_connect(void)
{
    static const char request[] =
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Origin: " OTHER "\r\n\r\n";
    struct page p;
    struct err e = ERR_INIT;

    begin_with((struct gw_opts){.log_to_text = true, .allowed_origins = APP ",local"});
    open_page(&p, APP);
    page_drop(&p);
    open_page(&p, NULL);
    page_drop(&p);
    TAP_IS(page_connect(&p, &g));
    TAP_IS(wspeer_send_raw(&p.peer, request, sizeof request - 1) == 0);
    TAP_IS(page_wait_eof(&p));
    page_drop(&p);
    TAP_IS(gateway_stats(g.gateway)->upgraded == 2 && gateway_stats(g.gateway)->refused == 1);
    TAP_IS(strstr(gw_log(&g), "refused: Origin \"http://other.example\"") != NULL);
    TAP_IS(gateway_listen(g.gateway, "0.0.0.0:0", &e) == WSPR_ENOTAUTH);
    TAP_OK(strstr(err_text(&e), "needs TLS") != NULL, "%s", err_text(&e));
    TAP_IS(gateway_listen(g.gateway, "[2001:db8::1]:0", &e) == WSPR_ENOTAUTH);
    err_done(&e);
    end();
}

/* ---- what it changes ---- */

static void origins_act_under_their_identity(void)
{
    struct page before, app, other, none;

    begin();
    open_page(&before, APP);
    is_seen_as(&before, 1, "client");
    associate_locally("acct", g.ids.friend, APP);
    is_seen_as(&before, 3, NAME); /* from the next call on */
    open_page(&app, APP);
    open_page(&other, OTHER);
    open_page(&none, NULL);
    is_seen_as(&app, 1, NAME);
    is_seen_as(&other, 1, "client");
    is_seen_as(&none, 1, "client");
    call(&app, 3, "only/" NAME, "whoami", 2);
    page_expect_reply(&app, 3, 0, "[\"" NAME "\"]");
    call(&other, 3, "only/" NAME, "whoami", 2);
    page_expect_error(&other, 3, NOT_AUTH, REFUSED);
    /* A client without an origin acts as the one that it associates; a page does not. */
    associate(&none, 3, "acct", g.ids.friend, OTHER);
    page_expect_reply(&none, 3, 0, "null");
    is_seen_as(&none, 5, "server/friend/http:%2F%2Fother.example");
    is_seen_as(&other, 5, "server/friend/http:%2F%2Fother.example");
    is_seen_as(&app, 5, NAME);
    page_drop(&before);
    page_drop(&app);
    page_drop(&other);
    page_drop(&none);
    end();
}

static void accounts_themselves(void)
{
    struct page app, other;

    begin_with((struct gw_opts){.store = {.raw = true}});
    associate_locally("acct", g.ids.friend, APP);
    associate_locally("acct", g.ids.friend, OTHER);
    open_page(&app, APP);
    open_page(&other, OTHER);
    is_seen_as(&app, 1, "server/friend");
    is_seen_as(&other, 1, "server/friend");
    page_drop(&app);
    page_drop(&other);
    end();
}

/* Nothing that one identity was shown or opened is used for another. */
static void origins_share_nothing(void)
{
    for (int raw = 0; raw < 2; raw++) {
        const struct rpc_stats *rpc;
        const struct gateway_stats *stats;
        struct page pages[3];
        uint64_t vcs, fetched;

        begin_with((struct gw_opts){.store = {.raw = raw != 0}});
        rpc = rpc_runtime_stats(g.client.rt);
        stats = gateway_stats(g.gateway);
        associate_locally("acct", g.ids.friend, APP);
        associate_locally("acct", g.ids.friend, OTHER);
        open_page(&pages[0], APP);
        open_page(&pages[1], OTHER);
        open_page(&pages[2], NULL);
        vcs = rpc->vcs;
        fetched = stats->signatures_fetched;
        for (int i = 0; i < 3; i++) {
            call(&pages[i], 1, "x", "whoami", 2);
            TAP_IS(page_recv(&pages[i]) != NULL);
        }
        TAP_OK(rpc->vcs == vcs + 3, "%d circuits", (int)(rpc->vcs - vcs));
        TAP_OK(stats->signatures_fetched == fetched + 3, "%d signatures",
               (int)(stats->signatures_fetched - fetched));
        /* Another page of an origin shares its circuit. */
        page_drop(&pages[2]);
        open_page(&pages[2], APP);
        call(&pages[2], 1, "x", "whoami", 2);
        TAP_IS(page_recv(&pages[2]) != NULL && rpc->vcs == vcs + 3);
        /* After a change of the identity its own cache is of no use either. */
        fetched = stats->signatures_fetched;
        associate_locally("acct", g.ids.limited, APP);
        call(&pages[0], 3, "x", "echo", 2);
        TAP_IS(page_recv(&pages[0]) != NULL && stats->signatures_fetched <= fetched + 1);
        for (int i = 0; i < 3; i++)
            page_drop(&pages[i]);
        end();
    }
}

static void blessings_are_renewed(void)
{
    int64_t lifetime = 2 * INT64_C(1000000000);
    struct security_private *first = NULL, *second = NULL;
    struct page p;

    begin_with((struct gw_opts){.store = {.lifetime = lifetime}});
    associate_locally("acct", g.ids.friend, APP);
    open_page(&p, APP);
    is_seen_as(&p, 1, NAME);
    TAP_IS(accounts_identity(g.accounts, span_str(APP), &first, NULL) == 1);
    first = security_private_ref(first);
    TAP_IS(security_identity_expires(security_private_public(first)) < clock_wall() + lifetime);
    while (clock_wall() < security_identity_expires(security_private_public(first)))
        gw_run(&g, 100);
    /* Long after: the call waits for the new one. */
    is_seen_as(&p, 3, NAME);
    TAP_IS(accounts_identity(g.accounts, span_str(APP), &second, NULL) == 1);
    TAP_IS(second != first);
    TAP_IS(security_identity_expires(security_private_public(second)) > clock_wall());
    security_private_unref(first);
    page_drop(&p);
    end();
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
    struct rpc_call *call = rpc_call_new(rpc_runtime_client(g.service.rt), span_str(name),
                                         span_str("Signature"), &opts, &ops, &a);

    rpc_call_start(call, 0);
    TAP_IS(gw_until(&g, asked_is_done, &a, GW_TIMEOUT_MS));
    if (a.server == NULL)
        exit(99);
    return a.server;
}

static void is_named(const struct security_identity *id, const char *name)
{
    struct buf b = BUF_INIT(65536);

    security_identity_print(&b, id, g.ids.trust);
    TAP_OK(span_equal_str(buf_span(&b), name), "%s", buf_cstr(&b));
    buf_done(&b);
}

static void servers_show_their_origin(void)
{
    struct gw_opts opts = {.rpc = {.vc_idle = 50 * CLOCK_MS}, .store = {.lifetime = 2 * CLOCK_S}};
    struct security_identity *first, *second;
    char name[600];
    const char *got, *at;
    struct page p;

    opts.plugins[3] = serve_plugin_entry();
    begin_with(opts);
    associate_locally("acct", g.ids.friend, APP);
    open_page(&p, APP);
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
            gw_run(&g, 100);
        is_seen_as(&p, 3, NAME); /* the page says something: its identity is renewed */
        second = server_of(name);
        is_named(second, NAME);
        TAP_IS(security_identity_expires(second) > security_identity_expires(first));
        TAP_IS(security_pubkey_equal(security_identity_key(first), security_identity_key(second)));
        security_identity_unref(first);
        security_identity_unref(second);
    }
    page_drop(&p);
    end();
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
    struct account_store_opts opts = {.folder = folder, .host = g.ids.client};
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
    return account_state_accounts(g.accounts->state) == *(size_t *)arg;
}

static void accounts_of_others(void)
{
    struct gw_opts opts = {.store = {.folder = store_folder(), .poll = 20 * CLOCK_MS}};
    size_t n = 0;
    struct page p;

    begin_with(opts);
    associate_locally("acct", g.ids.friend, APP);
    open_page(&p, APP);
    is_seen_as(&p, 1, NAME);
    change_outside(opts.store.folder, NULL);
    TAP_IS(gw_until(&g, has_accounts, &n, GW_TIMEOUT_MS));
    is_seen_as(&p, 3, "client"); /* revoked, on the live connection too */
    call(&p, 5, "only/" NAME, "whoami", 2);
    page_expect_error(&p, 5, NOT_AUTH, REFUSED);
    change_outside(opts.store.folder, g.ids.friend);
    n = 1;
    TAP_IS(gw_until(&g, has_accounts, &n, GW_TIMEOUT_MS));
    is_seen_as(&p, 7, NAME);
    /* A change of ours right after one of theirs keeps both. */
    change_outside(opts.store.folder, NULL);
    associate_locally("second", g.ids.friend, OTHER);
    TAP_IS(account_state_accounts(g.accounts->state) == 1);
    TAP_IS(account_state_find(g.accounts->state, span_str("second")) != NULL);
    page_drop(&p);
    end();
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
    begin_with(opts);
    open_page(&p, NULL);
    is_seen_as(&p, 1, "client");
    for (int i = 0; i < 3; i++) {
        associate(&p, 2 * i + 3, "acct", g.ids.friend, APP);
        got = page_recv(&p);
        TAP_OK(got != NULL && strstr(got, "\\\"iD\\\": \\\"" INTERNAL) != NULL, "%s", got);
    }
    page_expect_silence(&p);
    TAP_IS(account_state_accounts(g.accounts->state) == 0);
    is_seen_as(&p, 11, "client");
    /* The log tells of it, and nothing of the identity. */
    identity_text(g.ids.friend, &text);
    TAP_IS(strstr(gw_log(&g), "is refused") != NULL);
    log = gw_log(&g);
    for (size_t i = 700; i + 20 < text.len; i += 10)
        TAP_IS(memmem(log, strlen(log), buf_data(&text) + i, 20) == NULL);
    security_buf_wipe(&text);
    page_drop(&p);
    end();
}

/* Messages behind an association wait for it, and for the identity. */
static void input_waits(void)
{
    struct page p;

    begin();
    open_page(&p, APP);
    for (int i = 0; i < 5; i++) {
        associate(&p, 4 * i + 1, "mine", i % 2 == 0 ? g.ids.friend : g.ids.server, APP);
        call(&p, 4 * i + 3, "x", "whoami", 2);
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
    associate(&p, 101, "mine", g.ids.friend, APP);
    call(&p, 103, "x", "whoami", 2);
    page_drop(&p);
    end();
}

static const struct tap_case cases[] = {
    {"recorded associations", recorded_associations},
    {"others speak for themselves", others_speak_for_themselves},
    {"lists of origins", lists_of_origins},
    {"who may connect", who_may_connect},
    {"origins act under their identity", origins_act_under_their_identity},
    {"accounts themselves", accounts_themselves},
    {"origins share nothing", origins_share_nothing},
    {"blessings are renewed", blessings_are_renewed},
    {"servers show their origin", servers_show_their_origin},
    {"accounts of others", accounts_of_others},
    {"a store that fails", a_store_that_fails},
    {"input waits", input_waits},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("identities", cases)};

    return tap_main(argc, argv, suites, 1);
}

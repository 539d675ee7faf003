/* Calls of each shape, over circuits with real TLS. */
#include "config.h"

#include "base/clock.h"
#include "raw.h"
#include "rpc/call_private.h"
#include "rpc/circuit.h"
#include "rpc/header.h"
#include "rpc_tests.h"
#include "security/identity.h"
#include "twin.h"
#include "vom/wiretypes.h"

static const struct twin_opts plain;

static void check_string(const struct tcall *c, unsigned i, const char *text)
{
    TAP_OK(c->n_results > i && span_equal_str(c->results[i].s, text), "result %u is not \"%s\"", i,
           text);
}

static void unary(void)
{
    struct vom_value arg = vom_value_str("z");
    struct twin t;
    struct tcall c;

    twin_init(&t, &plain);
    twin_call(&t, &c, "Echo", &arg, 1);
    TWIN_OK(&c);
    check_string(&c, 0, "method:\"Echo\",suffix:\"x\",arg:\"z\"");
    TAP_IS(c.n_started == 1 && c.n_done == 1 && c.n_ended == 1 && c.n_items == 0);
    tcall_done(&c);
    twin_call(&t, &c, "Closure", NULL, 0);
    TWIN_OK(&c);
    tcall_done(&c);
    twin_done(&t);
}

static void errors_of_methods(void)
{
    struct twin t;
    struct tcall c;
    struct span id, msg;

    twin_init(&t, &plain);
    twin_call(&t, &c, "Error", NULL, 1);
    TWIN_OK(&c);
    TAP_IS(vom_verror_get(&c.results[0], &id, &msg) == 1 &&
           span_equal_str(id, "veyron2/verror.Aborted") &&
           span_equal_str(msg, "server returned an error"));
    tcall_done(&c);
    twin_call(&t, &c, "AnyNil", NULL, 2);
    TWIN_OK(&c);
    TAP_IS(vom_verror_get(&c.results[0], &id, &msg) == 0);
    TAP_IS(vom_verror_get(&c.results[1], &id, &msg) == 0);
    tcall_done(&c);
    twin_done(&t);
}

static void identities(void)
{
    struct twin t;
    struct tcall c;
    struct tcall_how how = {.method = "EchoIDs", .opts = {.n_results = 2}};

    twin_init(&t, &plain);
    twin_call(&t, &c, "EchoIDs", NULL, 2);
    TWIN_OK(&c);
    check_string(&c, 0, "server");
    check_string(&c, 1, "client");
    tcall_done(&c);
    /* Another identity has a circuit of its own. */
    how.name = t.name;
    how.opts.identity = t.ids.friend;
    TAP_IS(tcall_start(&c, twin_client(&t), &how));
    twin_wait(&t, &c);
    TWIN_OK(&c);
    check_string(&c, 1, "server/friend");
    TAP_IS(twin_stats(&t)->vcs == 2 && twin_stats(&t)->dials == 1);
    tcall_done(&c);
    twin_done(&t);
}

/* ---- streams ---- */

static void stream_both_ways(void)
{
    struct vom_value arg = vom_value_str("in");
    struct twin t;
    struct tcall c;

    twin_init(&t, &plain);
    twin_start(&t, &c, "Stream", &arg, 2, true);
    TAP_IS(tcall_send(&c, &arg) == WSPR_ECLOSED); /* it has not begun */
    TAP_IS(twin_until(&t, &c.n_started, 1));
    for (unsigned i = 0; i < 10; i++) {
        struct vom_value item = vom_value_str(i % 2 == 0 ? "a" : "b");

        TAP_IS(tcall_send(&c, &item) == 0);
        TAP_IS(twin_until(&t, &c.n_items, i + 1));
        TAP_OK(span_equal(c.item.s, item.s), "item %u", i);
    }
    TAP_IS(c.n_done == 0);
    rpc_call_close_send(c.call);
    twin_wait(&t, &c);
    TWIN_OK(&c);
    check_string(&c, 0, "arg:\"in\" a b a b a b a b a b");
    tcall_done(&c);
    twin_done(&t);
}

static void early_close_send(void)
{
    struct vom_value arg = vom_value_str("in"), item = vom_value_str("a");
    struct twin t;
    struct tcall c;

    twin_init(&t, &plain);
    twin_start(&t, &c, "Stream", &arg, 2, true);
    TAP_IS(twin_until(&t, &c.n_started, 1));
    for (unsigned i = 0; i < 3; i++)
        TAP_IS(tcall_send(&c, &item) == 0);
    rpc_call_close_send(c.call);
    rpc_call_close_send(c.call);
    TAP_IS(tcall_send(&c, &item) == WSPR_ECLOSED);
    twin_wait(&t, &c);
    TWIN_OK(&c);
    TAP_IS(c.n_items == 3 && c.n_ended == 1);
    check_string(&c, 0, "arg:\"in\" a a a");
    tcall_done(&c);
    twin_done(&t);
}

/* What the caller does not take is not delivered, and comes when it does. */
static void held_items(void)
{
    struct vom_value n = vom_value_int(&vom_type_int32, 5);
    struct twin t;
    struct tcall c;

    twin_init(&t, &plain);
    twin_start(&t, &c, "Count", &n, 1, false);
    c.hold = true;
    for (unsigned i = 0; i < 5; i++) {
        TAP_IS(twin_until(&t, &c.n_items, i + 1));
        raw_run(t.c.w, 20);
        TAP_OK(c.n_items == i + 1 && c.n_done == 0, "%u items after %u", c.n_items, i + 1);
        rpc_call_resume(c.call);
    }
    twin_wait(&t, &c);
    TWIN_OK(&c);
    TAP_IS(c.n_items == 5 && c.item.i == 4);
    tcall_done(&c);
    twin_done(&t);
}

static bool has_seen_eof(void *arg)
{
    return ((const struct rpc_call *)arg)->saw_eof;
}

/* The flow ends when the caller wants to go on already, and has not gone on yet. */
static void held_items_and_the_end(void)
{
    struct vom_value n = vom_value_int(&vom_type_int32, 5);
    struct twin t;
    struct tcall c;

    twin_init(&t, &plain);
    twin_start(&t, &c, "Count", &n, 1, false);
    c.hold = true;
    TAP_IS(twin_until(&t, &c.n_items, 1));
    TAP_IS(raw_until(t.c.w, has_seen_eof, c.call, 30000));
    c.hold = false;
    rpc_call_resume(c.call);
    rpc_call_flow_ops.eof(c.call, c.call->flow, vc_flow_why(c.call->flow));
    TAP_IS(c.n_done == 0);
    twin_wait(&t, &c);
    TWIN_OK(&c);
    TAP_IS(c.n_items == 5 && c.item.i == 4);
    tcall_done(&c);
    twin_done(&t);
}

static void unwanted_items(void)
{
    struct vom_value n = vom_value_int(&vom_type_int32, 2);
    struct tcall_how how = {
        .method = "Count", .args = &n, .n_args = 1, .opts = {.n_results = 1}, .no_items = true};
    struct twin t;
    struct tcall c;

    twin_init(&t, &plain);
    how.name = t.name;
    tcall_init(&c);
    TAP_IS(tcall_start(&c, twin_client(&t), &how));
    twin_wait(&t, &c);
    TWIN_FAILS(&c, "ipc: Finish called with remaining streaming results");
    tcall_done(&c);
    twin_done(&t);
}

/* An item that does not fit is the method's to answer. */
static void wrong_item(void)
{
    struct vom_value item = vom_value_str("str");
    struct span id, msg;
    struct twin t;
    struct tcall c;

    twin_init(&t, &plain);
    twin_start(&t, &c, "Collect", NULL, 2, true);
    TAP_IS(twin_until(&t, &c.n_started, 1));
    TAP_IS(tcall_send(&c, &item) == 0);
    twin_wait(&t, &c);
    TWIN_OK(&c);
    TAP_IS(vom_verror_get(&c.results[1], &id, &msg) == 1 && id.len == 0 &&
           span_equal_str(msg, "vom: type mismatch, can't fill string with len 3 into value of "
                               "type \"int32\""));
    tcall_done(&c);
    twin_done(&t);
}

/* ---- ends that are not the method's ---- */

static void cancel(void)
{
    struct twin t;
    struct tcall c, d;

    twin_init(&t, &plain);
    twin_start(&t, &c, "Slow", NULL, 1, false);
    TAP_IS(twin_until(&t, &t.object.n_waiting, 1));
    rpc_call_cancel(c.call);
    c.call = NULL;
    TAP_IS(twin_until(&t, &t.object.gone, 1));
    TAP_IS(c.n_done == 0 && t.object.n_waiting == 0);
    /* One that is still on its way, and one that did not even start. */
    twin_start(&t, &d, "Closure", NULL, 0, false);
    rpc_call_cancel(d.call);
    d.call = rpc_call_new(twin_client(&t), span_str(t.name), span_str("Closure"),
                          &(struct rpc_call_opts){0}, &(struct rpc_call_ops){0}, NULL);
    rpc_call_cancel(d.call);
    d.call = NULL;
    raw_run(t.c.w, 20);
    TAP_IS(d.n_done == 0 && twin_stats(&t)->calls_cancelled == 3);
    TAP_IS(twin_stats(&t)->vcs == 1);
    tcall_done(&c);
    tcall_done(&d);
    twin_done(&t);
}

static void deadline_of_client(void)
{
    struct tcall_how how = {.method = "Slow", .opts = {.timeout = 200 * CLOCK_MS, .n_results = 1}};
    struct twin t;
    struct tcall c;
    int64_t began;

    twin_init(&t, &plain);
    how.name = t.name;
    tcall_init(&c);
    began = clock_mono();
    TAP_IS(tcall_start(&c, twin_client(&t), &how));
    twin_wait(&t, &c);
    TWIN_FAILS(&c, "ipc: response header decoding failed: deadline exceeded");
    TAP_IS(strcmp(err_id(&c.err), "veyron2/verror.BadProtocol") == 0);
    TAP_OK(clock_mono() - began >= 200 * CLOCK_MS, "too early");
    /* The end of the call is what the method sees. */
    TAP_IS(twin_until(&t, &t.object.gone, 1));
    tcall_done(&c);
    twin_done(&t);
}

/* The server's deadline is told to the method, which answers; the client has more time. */
static void deadline_of_server(void)
{
    struct raw_peer peer;
    struct raw_circuit *circuit;
    struct raw_flow *f;
    struct twin t;
    struct buf out = BUF_INIT(4096);
    struct vom_enc enc;
    struct rpc_request rq = {
        .suffix = span_str("x"),
        .method = span_str("SlowRecv"),
        .timeout = 100 * CLOCK_MS,
    };

    twin_init(&t, &plain);
    raw_init(&peer, t.s.w, t.ids.client);
    circuit = raw_connect(&peer, t.endpoint + 1);
    TAP_IS(circuit != NULL);
    vom_enc_init(&enc);
    vom_enc_prime(&enc, &out, &vom_preset_request);
    TAP_IS(rpc_request_put(&enc, &out, &rq) == 0);
    f = raw_open(circuit);
    raw_write(f, buf_span(&out));
    TAP_IS(twin_until(&t, &t.object.expired, 1));
    TAP_IS(twin_until(&t, &f->eofs, 1));
    TAP_IS(memmem(buf_data(&f->in), f->in.len, "deadline exceeded", 17) != NULL);
    raw_flow_free(f);
    vom_enc_done(&enc);
    buf_done(&out);
    raw_done(&peer);
    twin_done(&t);
}

/* ---- errors of the framework ---- */

static void fails(struct twin *t, const char *method, const struct vom_value *arg,
                  int32_t n_results, const char *id, const char *text)
{
    struct tcall c;

    twin_call(t, &c, method, arg, n_results);
    TAP_OK(strcmp(err_id(&c.err), id) == 0 && strcmp(tcall_error(&c), text) == 0, "%s: %s \"%s\"",
           method, err_id(&c.err), tcall_error(&c));
    tcall_done(&c);
}

static void framework_errors(void)
{
    struct vom_value text = vom_value_str("z"), n = vom_value_int(&vom_type_int32, 5);
    struct twin t;

    twin_init(&t, &plain);
    fails(&t, "NoSuch", NULL, RPC_ANY_RESULTS, "veyron2/verror.NotFound",
          "ipc: unknown method 'NoSuch': name: \"//x\"");
    fails(&t, "Echo", NULL, RPC_ANY_RESULTS, "veyron2/verror.BadProtocol",
          "ipc: wrong number of input arguments for method \"Echo\", name \"//x\" (called with 0 "
          "args, expected 1)");
    fails(&t, "Echo", &n, RPC_ANY_RESULTS, "veyron2/verror.BadProtocol",
          "ipc: arg 0 decoding failed: vom: type mismatch, can't fill int 5 into value of type "
          "\"string\"");
    fails(&t, "Echo", &text, 2, "veyron2/verror.BadProtocol",
          "ipc: server sent 1 results, client expected 2");
    fails(&t, "Echo", &text, 0, "veyron2/verror.BadProtocol",
          "ipc: server sent 1 results, client expected 0");
    fails(&t, "Closure", NULL, 1, "veyron2/verror.BadProtocol",
          "ipc: server sent 0 results, client expected 1");
    fails(&t, "Secret", NULL, 0, "veyron2/verror.NotAuthorized",
          "ipc: not authorized(\"client\" not authorized for method \"Secret\": application "
          "authorizer denied access)");
    TAP_IS(twin_stats(&t)->handshakes == 1);
    twin_done(&t);
}

static void authorization_denied(void)
{
    struct vom_value text = vom_value_str("z");
    struct twin t;
    struct tcall c;

    twin_init(&t, &plain);
    snprintf(t.name, sizeof t.name, "%s//nilAuth", t.endpoint);
    fails(&t, "Echo", &text, 1, "veyron2/verror.NotAuthorized",
          "ipc: not authorized(\"client\" not authorized for method \"Echo\": no matching ACL "
          "entry found)");
    snprintf(t.name, sizeof t.name, "%s//aclRead", t.endpoint);
    twin_call(&t, &c, "Echo", &text, 1);
    TWIN_OK(&c);
    tcall_done(&c);
    fails(&t, "EchoIDs", NULL, 2, "veyron2/verror.NotAuthorized",
          "ipc: not authorized(\"client\" not authorized for method \"EchoIDs\": no matching ACL "
          "entry found)");
    twin_done(&t);
}

/* Arguments and results of every kind go through unchanged. */
static void any_values(void)
{
    static const struct vom_field fields[] = {
        VOM_FIELD("A", &vom_type_int32),
        VOM_FIELD("B", &vom_type_string_list),
    };
    static const struct vom_type named = VOM_TYPE_STRUCT("some/where.Thing", fields);
    static const struct vom_type unnamed = VOM_TYPE_STRUCT("", fields);
    static const struct vom_type array = VOM_TYPE_ARRAY("", &vom_type_uint16, 3);
    static const struct vom_type things = VOM_TYPE_SLICE("", &named);
    const struct vom_type *const types[] = {&named, &unnamed, &array, &things};
    struct twin t;

    twin_init(&t, &plain);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct arena a = ARENA_INIT(65536);
        struct vom_value v = vom_value_zero(types[i]), inner;
        struct tcall c;

        if (types[i]->kind == VOM_KIND_STRUCT) {
            TAP_IS(vom_value_new_struct(&a, types[i], &v) == 0);
            vom_value_set_field(&v, "A", vom_value_int(&vom_type_int32, -9));
        } else if (types[i] == &things) {
            TAP_IS(vom_value_new_list(&a, &things, 1, &v) == 0);
            TAP_IS(vom_value_new_struct(&a, &named, &inner) == 0);
            vom_value_set_field(&inner, "A", vom_value_int(&vom_type_int32, 77));
            vom_value_set(&v, 0, inner);
        }
        twin_call(&t, &c, "Identity", &v, 2);
        TWIN_OK(&c);
        TAP_OK(c.n_results == 2 && vom_value_equal(&c.results[0], &v) == 1, "value %zu", i);
        tcall_done(&c);
        arena_done(&a);
    }
    twin_done(&t);
}

/* An echo of the object `suffix` at the endpoint, which says who was asked for what. */
static void echo_at(struct twin *t, struct tcall *c, const char *endpoint, const char *suffix)
{
    struct vom_value arg = vom_value_str("z");
    char text[128];

    snprintf(t->name, sizeof t->name, "%s//%s", endpoint, suffix);
    snprintf(text, sizeof text, "method:\"Echo\",suffix:\"%s\",arg:\"z\"", suffix);
    twin_call(t, c, "Echo", &arg, 1);
    TWIN_OK(c);
    check_string(c, 0, text);
    tcall_done(c);
}

/*
 * More servers than the client remembers the names of, in turns: each has one circuit, however its
 * endpoint is written, and one that is gone is not taken for another.
 */
static void several_servers(void)
{
    enum { SERVERS = RPC_RECENT_PEERS + 3 };
    struct rpc_server *servers[SERVERS];
    char endpoints[SERVERS][256], other[256], *rid;
    struct twin t;
    struct tcall c;

    twin_init(&t, &plain);
    for (unsigned i = 0; i < SERVERS; i++)
        servers[i] = rig_serve(&t.s, &t.object.dispatcher, endpoints[i]);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < SERVERS; i++) {
            echo_at(&t, &c, endpoints[i], round == 0 ? "a" : "b/c");
            echo_at(&t, &c, endpoints[i], "");
        }
    }
    snprintf(other, sizeof other, "%s", endpoints[1]);
    rid = strstr(other, "tcp@");
    rid = strchr(rid + 4, '@');
    for (char *p = rid; p != NULL && *p != '\0'; p++)
        *p = *p >= 'a' && *p <= 'f' ? (char)(*p - 'a' + 'A') : *p;
    TAP_IS(rid != NULL && strcmp(other, endpoints[1]) != 0);
    echo_at(&t, &c, other, "x");
    echo_at(&t, &c, endpoints[1], "x");
    TAP_IS(twin_stats(&t)->handshakes == SERVERS && twin_stats(&t)->vcs == SERVERS);
    rig_stop(&t.s, servers[0], 0);
    snprintf(t.name, sizeof t.name, "%s//x", endpoints[0]);
    twin_call(&t, &c, "Closure", NULL, 0);
    TAP_IS(c.err.code != 0);
    tcall_done(&c);
    for (unsigned i = 1; i < SERVERS; i++) {
        echo_at(&t, &c, endpoints[i], "y");
        rig_stop(&t.s, servers[i], 0);
    }
    twin_done(&t);
}

const struct tap_case rpc_calls_cases[RPC_CALLS_CASES] = {
    {"unary", unary},
    {"errors of methods", errors_of_methods},
    {"identities", identities},
    {"a stream both ways", stream_both_ways},
    {"early end of the input", early_close_send},
    {"items that are held", held_items},
    {"items that are held, and the end", held_items_and_the_end},
    {"items that nobody wants", unwanted_items},
    {"an item of the wrong type", wrong_item},
    {"cancel", cancel},
    {"the client's deadline", deadline_of_client},
    {"the server's deadline", deadline_of_server},
    {"errors of the framework", framework_errors},
    {"authorization denied", authorization_denied},
    {"values of any type", any_values},
    {"several servers", several_servers},
};

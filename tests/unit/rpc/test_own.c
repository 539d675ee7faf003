/* Servers that share a runtime with their callers: the way to them is in memory. */
#include "config.h"

#include <stdlib.h>

#include "base/clock.h"
#include "naming/endpoint.h"
#include "raw.h"
#include "rpc_tests.h"
#include "twin.h"

static const struct twin_opts own = {.own = true};

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static bool is_set(void *arg)
{
    return *(bool *)arg;
}

static bool no_circuits(void *arg)
{
    return twin_stats(arg)->vcs == 0;
}

/* Calls Echo and compares the outcome: "" for success. */
static void echo(struct twin *t, const char *want)
{
    struct vom_value arg = vom_value_str("z");
    struct tcall c;

    twin_call(t, &c, "Echo", &arg, 1);
    TWIN_FAILS(&c, want);
    TAP_IS(c.n_results == (want[0] == '\0'));
    tcall_done(&c);
}

static void way_without_tcp(void)
{
    struct twin t;

    twin_init(&t, &own);
    for (int i = 0; i < 100; i++)
        echo(&t, "");
    TAP_IS(twin_stats(&t)->memory_links == 1 && twin_stats(&t)->dials == 0);
    TAP_IS(loop_worker_stats(t.s.w)->accepts == 0 && loop_worker_stats(t.s.w)->dials == 0);
    /* Both ends of one circuit, and of the link. */
    TAP_IS(twin_stats(&t)->handshakes == 2 && twin_stats(&t)->vcs == 2);
    TAP_IS(twin_stats(&t)->links == 2 && twin_stats(&t)->served == 100);
    twin_done(&t);
}

static void tcp_on_demand(void)
{
    struct twin_opts opts = {.own = true, .tcp_only = true};
    struct twin t;

    twin_init(&t, &opts);
    echo(&t, "");
    TAP_IS(twin_stats(&t)->memory_links == 0 && twin_stats(&t)->dials == 1);
    TAP_IS(loop_worker_stats(t.s.w)->accepts == 1 && twin_stats(&t)->handshakes == 2);
    twin_done(&t);
}

/* Each caller is known by its own identity, and has a circuit of its own. */
static void who_calls(void)
{
    static const char *const names[] = {"client", "server", "friend"};
    struct twin t;

    twin_init(&t, &own);
    for (int i = 0; i < 6; i++) {
        struct security_private *ids[] = {t.ids.client, t.ids.server, t.ids.friend};
        struct tcall_how how = {
            .name = t.name,
            .method = "EchoIDs",
            .opts = {.n_results = 2, .identity = ids[i % 3]},
        };
        struct tcall c;

        tcall_init(&c);
        TAP_IS(tcall_start(&c, twin_client(&t), &how));
        twin_wait(&t, &c);
        TWIN_OK(&c);
        TAP_IS(c.n_results == 2 && span_equal_str(c.results[0].s, "server"));
        TAP_OK(c.n_results == 2 && c.results[1].s.len >= 6 &&
                   memmem(c.results[1].s.p, c.results[1].s.len, names[i % 3], 6) != NULL,
               "\"%.*s\"", SPAN_ARG(c.results[1].s));
        tcall_done(&c);
    }
    TAP_IS(twin_stats(&t)->memory_links == 1 && twin_stats(&t)->handshakes == 6);
    twin_done(&t);
}

/* The address alone is not enough: somebody else may be meant. */
static void another_routing_id(void)
{
    struct naming_endpoint ep;
    struct naming_rid rid = naming_rid_fixed(4711);
    char text[NAMING_ENDPOINT_TEXT_MAX], want[512];
    struct twin t;

    twin_init(&t, &own);
    echo(&t, "");
    TAP_IS(naming_endpoint_parse(span_str(t.endpoint + 1), &ep, NULL) == 0);
    ep.rid = rid;
    naming_endpoint_text(&ep, text);
    snprintf(t.name, sizeof t.name, "/%.280s//x", text);
    echo(&t, ""); /* its server does not look at the routing id: as ever */
    TAP_IS(twin_stats(&t)->memory_links == 1 && twin_stats(&t)->dials == 1);
    /* The routing id of the server at an address where it is not. */
    TAP_IS(naming_endpoint_parse(span_str(t.endpoint + 1), &ep, NULL) == 0);
    snprintf(ep.address, sizeof ep.address, "127.0.0.1:1");
    naming_endpoint_text(&ep, text);
    snprintf(t.name, sizeof t.name, "/%.280s//x", text);
    snprintf(want, sizeof want, "connection refused");
    {
        struct tcall c;

        twin_call(&t, &c, "Closure", NULL, 0);
        TAP_OK(strstr(tcall_error(&c), want) != NULL, "\"%s\"", tcall_error(&c));
        tcall_done(&c);
    }
    TAP_IS(twin_stats(&t)->memory_links == 1);
    twin_done(&t);
}

/* Two servers at one listener, told under another address, are reached by one link. */
static void shared_listener(void)
{
    struct rpc_server_opts opts = {0};
    struct rpc_listener *l = NULL;
    struct rpc_server *servers[2];
    char names[2][300];
    const char *endpoint;
    struct twin t;

    twin_init(&t, &own);
    TAP_IS(rpc_listener_new(t.s.rt, "127.0.0.1:0", "gateway.invalid:4711", &l, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        TAP_IS(rpc_server_new(t.s.rt, &opts, &t.object.dispatcher, &servers[i], NULL) == 0);
        TAP_IS(rpc_server_listen_shared(servers[i], l, &endpoint, NULL) == 0);
        TAP_IS(strstr(endpoint, "gateway.invalid:4711") != NULL);
        snprintf(names[i], sizeof names[i], "/%s//x", endpoint);
    }
    for (int i = 0; i < 4; i++) {
        memcpy(t.name, names[i % 2], sizeof t.name);
        echo(&t, "");
    }
    TAP_IS(twin_stats(&t)->memory_links == 1 && twin_stats(&t)->dials == 0);
    TAP_IS(twin_stats(&t)->handshakes == 4 && twin_stats(&t)->links == 2);
    /* One of them goes; the other stays as it was. */
    rig_stop(&t.s, servers[0], 0);
    echo(&t, "");
    TAP_IS(twin_stats(&t)->handshakes == 4);
    rig_stop(&t.s, servers[1], 0);
    rpc_listener_free(l);
    TAP_OK(raw_until(t.s.w, no_circuits, &t, 5000), "circuits stay");
    twin_done(&t);
}

/* Values larger than what may be under way, and streams that nobody reads. */
static void large_and_unread(void)
{
    struct vom_value n = vom_value_int(&vom_type_int32, 5 << 20);
    struct vom_value size = vom_value_int(&vom_type_int32, 60000);
    struct tcall c, flood;
    struct twin t;
    uint64_t bytes = 0;

    twin_init(&t, &own);
    twin_start(&t, &flood, "Flood", &size, 1, false);
    flood.hold = flood.light = true;
    TAP_IS(twin_until(&t, &flood.n_items, 1));
    for (int i = 0; i < 3; i++) {
        twin_call(&t, &c, "Big", &n, 2);
        TWIN_OK(&c);
        TAP_IS(c.n_results == 2 && c.results[0].s.len == 5 << 20);
        tcall_done(&c);
    }
    for (int i = 0; i < 100; i++) {
        bytes = loop_worker_stats(t.s.w)->bytes_moved;
        raw_run(t.s.w, 50);
        if (loop_worker_stats(t.s.w)->bytes_moved == bytes)
            break;
    }
    TAP_OK(loop_worker_stats(t.s.w)->bytes_moved == bytes && flood.n_items == 1,
           "it comes to rest");
    flood.hold = false;
    rpc_call_resume(flood.call);
    TAP_IS(twin_until(&t, &flood.n_items, 200));
    tcall_done(&flood);
    TAP_IS(twin_until(&t, &t.object.gone, 1));
    twin_done(&t);
}

/* The server is stopped under a call, and then comes back at the same address. */
static void server_stops(void)
{
    struct rpc_server_opts opts = {0};
    const char *endpoint;
    struct naming_endpoint ep;
    struct twin t;
    struct tcall c;

    twin_init(&t, &own);
    TAP_IS(naming_endpoint_parse(span_str(t.endpoint + 1), &ep, NULL) == 0);
    twin_start(&t, &c, "Slow", NULL, 1, false);
    TAP_IS(twin_until(&t, &t.object.n_waiting, 1));
    rig_stop(&t.s, t.server, 0);
    t.server = NULL;
    twin_wait(&t, &c);
    TWIN_FAILS(&c, "ipc: response header decoding failed: EOF");
    tcall_done(&c);
    TAP_OK(raw_until(t.s.w, no_circuits, &t, 5000), "circuits stay");
    TAP_IS(t.object.gone == 1);
    twin_call(&t, &c, "Closure", NULL, 0);
    TAP_OK(strstr(tcall_error(&c), "connection refused") != NULL, "\"%s\"", tcall_error(&c));
    tcall_done(&c);
    TAP_IS(rpc_server_new(t.s.rt, &opts, &t.object.dispatcher, &t.server, NULL) == 0);
    TAP_IS(rpc_server_listen(t.server, ep.address, &endpoint, NULL) == 0);
    snprintf(t.name, sizeof t.name, "/%s//x", endpoint);
    echo(&t, "");
    TAP_IS(twin_stats(&t)->memory_links == 2);
    twin_done(&t);
}

/* Idle ways are closed, by both ends at once, and made anew. */
static void idle(void)
{
    struct twin_opts opts = {.own = true, .server = {.vc_idle = 200 * CLOCK_MS}};
    struct twin t;

    twin_init(&t, &opts);
    echo(&t, "");
    TAP_OK(raw_until(t.s.w, no_circuits, &t, 10000), "circuits stay");
    for (int i = 0; i < 1000 && twin_stats(&t)->links > 0; i++)
        raw_run(t.s.w, 10);
    TAP_IS(twin_stats(&t)->links == 0);
    echo(&t, "");
    TAP_IS(twin_stats(&t)->memory_links == 2);
    twin_done(&t);
}

/* All of it ends with a call under way; and where there may be no more links, TCP says so. */
static void runtime_stops(void)
{
    struct twin_opts opts = {.own = true, .server = {.links = 1}};
    bool stopped = false;
    struct twin t;
    struct tcall c;

    twin_init(&t, &own);
    twin_start(&t, &c, "Slow", NULL, 1, false);
    TAP_IS(twin_until(&t, &t.object.n_waiting, 1));
    rpc_server_stop(t.server, 0, NULL, NULL);
    rpc_runtime_stop(t.s.rt, set_flag, &stopped);
    TAP_OK(raw_until(t.s.w, is_set, &stopped, 10000), "the runtime does not stop");
    TWIN_FAILS(&c, "the runtime is stopping");
    TAP_IS(t.object.gone == 1);
    tcall_done(&c);
    loop_worker_free(t.s.w);
    object_done(&t.object);
    rig_ids_done(&t.ids);

    twin_init(&t, &opts);
    echo(&t, "");
    TAP_IS(twin_stats(&t)->memory_links == 1);
    twin_done(&t);
}

const struct tap_case rpc_own_cases[RPC_OWN_CASES] = {
    {"the way is in memory", way_without_tcp},
    {"over TCP on demand", tcp_on_demand},
    {"each caller is itself", who_calls},
    {"another routing id at the address", another_routing_id},
    {"servers at one listener", shared_listener},
    {"large values and unread streams", large_and_unread},
    {"the server stops", server_stops},
    {"idle ways", idle},
    {"the runtime stops", runtime_stops},
};

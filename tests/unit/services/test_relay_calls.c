/* Calls through a relay that works, and what it refuses. */
#include "config.h"

#include <stdlib.h>

#include "base/clock.h"
#include "naming/endpoint.h"
#include "relay_net.h"
#include "relay_tests.h"
#include "unit/rpc/raw.h"
#include "wspr/error.h"

static void calls_pass(void)
{
    struct vom_value size = vom_value_int(&vom_type_int32, 3000000);
    struct relay_net n;
    struct tcall c;

    relay_net_init(&n, NULL);
    TAP_IS(relay_net_echo(&n, &n.c, n.name));
    relay_net_call(&n.c, &c, n.name, "Big", &size, 2);
    relay_net_wait(&n, &c);
    TAP_OK(c.err.code == 0 && c.n_results == 2 && c.results[0].s.len == 3000000, "%s",
           tcall_error(&c));
    tcall_done(&c);
    TAP_IS(proxy_stats(n.proxy)->opened == 1 && proxy_stats(n.proxy)->circuits == 1);
    TAP_IS(proxy_stats(n.proxy)->registered == 1 && proxy_stats(n.proxy)->servers == 1);
    TAP_IS(proxy_stats(n.proxy)->overflows == 0 && proxy_stats(n.proxy)->unrouted == 0);
    relay_net_done(&n);
}

static void endpoint_is_proxied(void)
{
    struct naming_endpoint ep, relay;
    struct relay_net n;

    relay_net_init(&n, NULL);
    TAP_IS(naming_endpoint_parse(span_str(n.told.endpoint), &ep, NULL) == 0);
    TAP_IS(naming_endpoint_parse(span_str(n.relay), &relay, NULL) == 0);
    TAP_IS(strcmp(ep.address, relay.address) == 0 && !naming_rid_equal(&ep.rid, &relay.rid));
    TAP_IS(ep.versions.min == 1 && ep.versions.max == 2);
    TAP_IS(strcmp(rpc_server_relay_endpoint(n.server), n.told.endpoint) == 0);
    relay_net_done(&n);
}

static void streams_pass(void)
{
    struct vom_value count = vom_value_int(&vom_type_int32, 20000);
    struct vom_value item = vom_value_str("item");
    struct tcall_how how = {.method = "Stream", .n_args = 1};
    struct vom_value arg = vom_value_str("s");
    struct relay_net n;
    struct tcall c;

    relay_net_init(&n, NULL);
    relay_net_call(&n.c, &c, n.name, "Count", &count, 1);
    relay_net_wait(&n, &c);
    TAP_OK(c.err.code == 0 && c.n_items == 20000, "%u items, %s", c.n_items, tcall_error(&c));
    tcall_done(&c);
    how.name = n.name;
    how.args = &arg;
    how.opts.n_results = 2;
    how.opts.streaming = true;
    tcall_init(&c);
    TAP_IS(tcall_start(&c, rpc_runtime_client(n.c.rt), &how));
    TAP_IS(relay_net_until(&n, &c.n_started, 1));
    for (unsigned i = 1; i <= 100; i++) {
        TAP_IS(tcall_send(&c, &item) >= 0);
        TAP_IS(relay_net_until(&n, &c.n_items, i));
    }
    rpc_call_close_send(c.call);
    relay_net_wait(&n, &c);
    TAP_OK(c.err.code == 0 && c.n_items == 100, "%u items, %s", c.n_items, tcall_error(&c));
    tcall_done(&c);
    relay_net_done(&n);
}

/* Two servers of one process have a registration and a connection each. */
static void several_servers(void)
{
    struct relay_told told;
    struct rpc_server *second;
    struct relay_net n;
    char name[600];

    relay_net_init(&n, NULL);
    second = relay_net_serve(&n, n.relay, &told);
    TAP_IS(told.ups == 1 && strcmp(told.endpoint, n.told.endpoint) != 0);
    snprintf(name, sizeof name, "/%s//x", told.endpoint);
    TAP_IS(relay_net_echo(&n, &n.c, n.name) && relay_net_echo(&n, &n.c, name));
    TAP_IS(proxy_stats(n.proxy)->servers == 2 && proxy_stats(n.proxy)->circuits == 2);
    /* The client needs one connection for both. */
    TAP_IS(proxy_stats(n.proxy)->connections == 3);
    rig_stop(&n.s, second, 0);
    TAP_IS(relay_net_echo(&n, &n.c, n.name));
    relay_net_done(&n);
}

static void unknown_id(void)
{
    struct vom_value arg = vom_value_str("z");
    struct relay_net n;
    struct tcall c;
    char name[600];

    relay_net_init(&n, NULL);
    snprintf(name, sizeof name, "/@2@tcp@%s@00000000000000000000000000007777@1@2@@//x", n.address);
    relay_net_call(&n.c, &c, name, "Echo", &arg, 1);
    relay_net_wait(&n, &c);
    TAP_OK(strstr(tcall_error(&c), "no server with routing id 00000000000000000000000000007777 is "
                                   "being proxied") != NULL,
           "%s", tcall_error(&c));
    tcall_done(&c);
    TAP_IS(proxy_stats(n.proxy)->unknown == 1);
    relay_net_done(&n);
}

struct awaited {
    const struct raw_flow *flow;
    const char *text;
};

static bool has_come(void *arg)
{
    struct awaited *a = arg;
    struct span in = buf_span(&a->flow->in);

    return in.len > 0 && memmem(in.p, in.len, a->text, strlen(a->text)) != NULL;
}

static bool comes(struct relay_net *n, const struct raw_flow *f, const char *text)
{
    struct awaited a = {f, text};

    return raw_until(n->s.w, has_come, &a, 30000);
}

/* Somebody registers with an id that is there: the first one keeps working. */
static void id_is_taken(void)
{
    struct raw_peer thief;
    struct raw_circuit *c;
    struct relay_net n;

    relay_net_init(&n, NULL);
    raw_init(&thief, n.s.w, n.ids.client);
    c = raw_connect(&thief, n.relay);
    TAP_IS(c != NULL);
    if (c != NULL) {
        static const uint8_t request[] = "\xff\x81\x33\x18\x02\x2f"
                                         "veyron/runtimes/google/ipc/stream/proxy.Request\0"
                                         "\xff\x82\x01";
        struct raw_flow *f = raw_open(c), *g;
        struct raw_circuit *again;

        raw_write(f, span_of(request, sizeof request));
        TAP_IS(relay_net_until_stat(&n, &proxy_stats(n.proxy)->registered, 2));
        /* Other flows of the circuit are closed at once. */
        g = raw_open(c);
        TAP_IS(relay_net_until(&n, &g->eofs, 1) && !f->eof);
        /* Every circuit of raw peers has the same id. */
        again = raw_connect(&thief, n.relay);
        TAP_IS(again != NULL);
        g = raw_open(again);
        raw_write(g, span_of(request, sizeof request));
        TAP_IS(relay_net_until_stat(&n, &proxy_stats(n.proxy)->refused, 1));
        TAP_IS(comes(&n, g, "is already being proxied"));
        TAP_IS(!f->eof && proxy_stats(n.proxy)->servers == 2);
        /* With its flow the registration ends, and only that. */
        raw_close(f);
        TAP_IS(relay_net_until_less(&n, &proxy_stats(n.proxy)->servers, 2));
    }
    TAP_IS(relay_net_echo(&n, &n.c, n.name));
    raw_done(&thief);
    relay_net_done(&n);
}

/* What is no Request gets an error, and the circuit may go. */
static void no_request(void)
{
    static const uint8_t junk[] = {0x04, 0x02, 0x00, 0x00};
    struct relay_net n;
    struct raw_peer p;
    struct raw_circuit *c;
    struct raw_flow *f;

    relay_net_init(&n, NULL);
    raw_init(&p, n.s.w, n.ids.client);
    c = raw_connect(&p, n.relay);
    f = raw_open(c);
    raw_write(f, span_of(junk, sizeof junk));
    TAP_IS(relay_net_until_stat(&n, &proxy_stats(n.proxy)->refused, 1));
    TAP_IS(comes(&n, f, "unable to read Request"));
    TAP_IS(proxy_stats(n.proxy)->servers == 1);
    TAP_IS(relay_net_echo(&n, &n.c, n.name));
    raw_done(&p);
    relay_net_done(&n);
}

static void calls_in_parallel(void)
{
    enum { N = 500 };
    struct vom_value arg = vom_value_str("z");
    struct tcall *calls = calloc(N, sizeof *calls);
    struct relay_net n;
    unsigned bad = 0;

    relay_net_init(&n, NULL);
    for (unsigned i = 0; i < N; i++)
        relay_net_call(&n.c, &calls[i], n.name, "Echo", &arg, 1);
    for (unsigned i = 0; i < N; i++) {
        relay_net_wait(&n, &calls[i]);
        bad += calls[i].err.code != 0;
        tcall_done(&calls[i]);
    }
    TAP_OK(bad == 0, "%u of %u failed", bad, N);
    TAP_IS(proxy_stats(n.proxy)->opened == 1);
    free(calls);
    relay_net_done(&n);
}

const struct tap_case relay_calls_cases[RELAY_CALLS_CASES] = {
    {"calls pass", calls_pass},
    {"the endpoint is the relay's with the server's id", endpoint_is_proxied},
    {"streams pass both ways", streams_pass},
    {"several servers of a process", several_servers},
    {"an id that nobody has", unknown_id},
    {"an id that is taken", id_is_taken},
    {"what is no request", no_request},
    {"calls in parallel", calls_in_parallel},
};

/* Listening: through relays found by name, at a socket that servers share. */
#include "config.h"

#include "base/buf.h"
#include "base/clock.h"
#include "loop/offload.h"
#include "naming/endpoint.h"
#include "relay_net.h"
#include "relay_tests.h"
#include "rpc/publisher.h"
#include "rpc/resolve.h"
#include "services/mounttable.h"
#include "unit/rpc/raw.h"
#include "wspr/error.h"

/* A mount table for the client and the servers of a net. */
struct table {
    struct mounttable *mt;
    struct rpc_server *server;
    char root[300];
};

static void table_init(struct table *t, struct relay_net *n)
{
    struct mounttable_opts opts = {.worker = n->s.w, .trust = n->ids.trust};
    const char *roots[] = {t->root};

    TAP_IS(mounttable_new(&opts, &t->mt, NULL) == 0);
    t->server = rig_serve(&n->c, mounttable_dispatcher(t->mt), t->root);
    TAP_IS(rpc_client_set_roots(rpc_runtime_client(n->c.rt), roots, 1, NULL) == 0);
    TAP_IS(rpc_client_set_roots(rpc_runtime_client(n->s.rt), roots, 1, NULL) == 0);
}

static void table_done(struct table *t, struct relay_net *n)
{
    rig_stop(&n->c, t->server, 0);
    mounttable_free(t->mt);
}

static bool is_settled(void *arg)
{
    return rpc_publisher_settled(rpc_server_publisher(arg));
}

static void put_relay(struct table *t, struct relay_net *n)
{
    char server[600];

    snprintf(server, sizeof server, "/%s", n->relay);
    TAP_IS(mounttable_unmount(t->mt, span_str("proxy"), span_str(""), NULL) <= 0);
    TAP_IS(mounttable_mount(t->mt, span_str("proxy"), span_str(server), 1000, NULL) == 0);
}

/* The relay dies and another comes up at another address under the same name: the server is found
 * under its own name again. */
static void by_name(void)
{
    struct relay_told told;
    struct rpc_server *s;
    struct relay_net n;
    struct table t;

    relay_net_init(&n, NULL);
    table_init(&t, &n);
    put_relay(&t, &n);
    s = relay_net_serve(&n, "proxy", &told);
    TAP_OK(told.ups == 1, "%s", err_text(&told.err));
    TAP_IS(rpc_server_publish(s, span_str("it"), NULL) == 0);
    TAP_IS(raw_until(n.s.w, is_settled, s, 30000));
    TAP_IS(relay_net_echo(&n, &n.c, "it//x"));
    rig_stop(&n.s, n.server, 0);
    n.server = NULL;
    relay_net_kill(&n);
    relay_net_start(&n, "127.0.0.1:0", NULL);
    put_relay(&t, &n);
    TAP_IS(relay_net_until(&n, &told.ups, 2) && told.downs == 1);
    TAP_IS(raw_until(n.s.w, is_settled, s, 30000));
    TAP_IS(relay_net_echo(&n, &n.c, "it//x"));
    rig_stop(&n.s, s, 0);
    table_done(&t, &n);
    relay_net_done(&n);
}

/* What the first attempt comes to, if it comes to nothing. */
static void first_outcomes(void)
{
    const struct {
        const char *relay, *text;
    } t[] = {
        {"nope/proxy", "failed to parse endpoint \"nope/proxy\": invalid endpoint string"},
        {"", "failed to parse endpoint \"\": invalid endpoint string"},
        {"/127.0.0.1:1", "connection refused"},
        {"@2@tcp@127.0.0.1:1@@7@9@@", "No compatible IPC version available"},
    };
    struct relay_told told;
    struct rpc_server *s;
    struct relay_net n;
    char text[700];

    relay_net_init(&n, NULL);
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        s = relay_net_serve(&n, t[i].relay, &told);
        TAP_OK(told.downs == 1 && strstr(err_text(&told.err), t[i].text) != NULL, "%s: %s",
               t[i].relay, err_text(&told.err));
        TAP_IS(rpc_server_relay_endpoint(s) == NULL);
        err_done(&told.err);
        /* It may try again. */
        snprintf(text, sizeof text, "/%s", n.relay);
        relay_told_init(&told);
        TAP_IS(rpc_server_listen_relay(s, span_str(text), relay_told, &told, NULL) == 0);
        TAP_IS(rpc_server_listen_relay(s, span_str(text), relay_told, &told, NULL) == WSPR_EEXISTS);
        TAP_IS(relay_net_until(&n, &told.ups, 1));
        rig_stop(&n.s, s, 0);
    }
    relay_net_done(&n);
}

/* Stopped in each state: nothing is told any more. */
static void stopped_early(void)
{
    struct relay_net n;

    relay_net_init(&n, NULL);
    for (int turns = 0; turns < 24; turns++) {
        struct rpc_server_opts opts = {0};
        struct relay_told told;
        struct rpc_server *s;
        unsigned before;

        relay_told_init(&told);
        TAP_IS(rpc_server_new(n.s.rt, &opts, &n.object.dispatcher, &s, NULL) == 0);
        TAP_IS(rpc_server_listen_relay(s, span_str(turns % 2 ? n.relay : "nope"), relay_told, &told,
                                       NULL) == 0);
        for (int i = 0; i < turns; i++)
            loop_worker_turn(n.s.w, CLOCK_MS);
        before = told.n;
        rig_stop(&n.s, s, 0);
        TAP_IS(told.n == before);
        err_done(&told.err);
    }
    TAP_IS(relay_net_until_less(&n, &proxy_stats(n.proxy)->servers, 2));
    relay_net_done(&n);
}

/* Nine attempts in vain: each delay is at least half of twice the one before. */
static void backs_off(void)
{
    struct relay_net n;
    int64_t began, took;

    relay_net_init(&n, NULL);
    relay_net_kill(&n);
    began = clock_mono();
    TAP_IS(relay_net_until(&n, &n.told.downs, 1));
    TAP_IS(relay_net_until_stat(&n, &rpc_runtime_stats(n.s.rt)->dials, 1 + 9));
    took = clock_mono() - began;
    TAP_OK(took >= (5 + 10 + 20 + 40 + 80 + 160 + 320 + 640 + 1280) / 2 * CLOCK_MS, "%lld ms",
           (long long)(took / CLOCK_MS));
    TAP_IS(n.told.n == 2);
    relay_net_done(&n);
}

/* The relay and its servers stop while handshakes are out on other threads. */
static void stopped_in_handshakes(void)
{
    enum { N = 8 };
    struct relay_told told[N];
    struct rpc_server *s[N];
    struct relay_net n;
    struct proxy *relay;

    relay_net_init(&n, NULL);
    TAP_IS(loop_offload_new(NULL, &n.s.offload, NULL) == 0);
    for (int turns = 1; turns < 12; turns++) {
        struct proxy_opts opts = {
            .worker = n.s.w,
            .offload = n.s.offload,
            .identity = n.ids.server,
            .log = &n.s.log,
            .address = "127.0.0.1:0",
        };
        struct rpc_server_opts server = {0};

        TAP_IS(proxy_new(&opts, &relay, NULL) == 0);
        for (unsigned i = 0; i < N; i++) {
            relay_told_init(&told[i]);
            TAP_IS(rpc_server_new(n.s.rt, &server, &n.object.dispatcher, &s[i], NULL) == 0);
            TAP_IS(rpc_server_listen_relay(s[i], span_str(proxy_endpoint(relay)), relay_told,
                                           &told[i], NULL) == 0);
        }
        for (int i = 0; i < turns; i++)
            loop_worker_turn(n.s.w, CLOCK_MS);
        relay_net_stop(&n, relay);
        for (unsigned i = 0; i < N; i++) {
            TAP_OK(relay_net_until(&n, &told[i].downs, 1), "turn %d: server %u", turns, i);
            rig_stop(&n.s, s[i], 0);
            err_done(&told[i].err);
        }
    }
    relay_net_done(&n);
}

static struct rpc_server *shared_server(struct relay_net *n, struct rpc_listener *l, char name[300])
{
    struct rpc_server_opts opts = {0};
    const char *endpoint;
    struct rpc_server *s;

    TAP_IS(rpc_server_new(n->s.rt, &opts, &n->object.dispatcher, &s, NULL) == 0);
    TAP_IS(rpc_server_listen_shared(s, l, &endpoint, NULL) == 0);
    snprintf(name, 300, "/%s//x", endpoint);
    TAP_IS(rpc_server_listen_shared(s, l, &endpoint, NULL) == WSPR_EEXISTS);
    return s;
}

static void shared_socket(void)
{
    struct vom_value arg = vom_value_str("z");
    char first[300], second[300], any[300];
    struct rpc_server *a, *b;
    struct rpc_listener *l;
    struct relay_net n;
    struct tcall c;

    relay_net_init(&n, NULL);
    TAP_IS(rpc_listener_new(n.s.rt, "127.0.0.1:0", NULL, &l, NULL) == 0);
    a = shared_server(&n, l, first);
    snprintf(any, sizeof any, "/%s//x", rpc_listener_address(l));
    TAP_IS(relay_net_echo(&n, &n.c, first) && relay_net_echo(&n, &n.c, any));
    b = shared_server(&n, l, second);
    TAP_IS(relay_net_echo(&n, &n.c, second) && strcmp(first, second) != 0);
    /* With its last call a server lets its circuits go, and only its own. */
    relay_net_call(&n.c, &c, first, "Slow", NULL, 1);
    TAP_IS(relay_net_until(&n, &n.object.n_waiting, 1));
    rig_stop(&n.s, a, 0);
    relay_net_wait(&n, &c);
    TAP_IS(c.err.code != 0);
    tcall_done(&c);
    TAP_IS(relay_net_echo(&n, &n.c, second));
    relay_net_call(&n.c, &c, first, "Echo", &arg, 1);
    relay_net_wait(&n, &c);
    TAP_OK(strstr(tcall_error(&c), "no server with routing id") != NULL, "%s", tcall_error(&c));
    tcall_done(&c);
    rig_stop(&n.s, b, 0);
    rpc_listener_free(l);
    relay_net_done(&n);
}

static void advertised(void)
{
    const struct {
        const char *advertise, *want; /* NULL: it is refused */
    } t[] = {
        {"gateway.example:8101", "gateway.example:8101"},
        {"gateway.example:0", "gateway.example:"},
        {"[2001:db8::1]:0", "[2001:db8::1]:"},
        {"", "127.0.0.1:"},
        {"gateway.example", NULL},
        {":80", NULL},
        {"host:", NULL},
    };
    struct relay_net n;

    relay_net_init(&n, NULL);
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct rpc_listener *l = NULL;
        struct err e = ERR_INIT;
        int r = rpc_listener_new(n.s.rt, "127.0.0.1:0", t[i].advertise, &l, &e);

        TAP_OK((r == 0) == (t[i].want != NULL), "%s: %s", t[i].advertise, err_text(&e));
        if (r == 0) {
            TAP_OK(strncmp(rpc_listener_address(l), t[i].want, strlen(t[i].want)) == 0, "%s",
                   rpc_listener_address(l));
            TAP_IS(strcmp(strrchr(rpc_listener_address(l), ':'), ":0") != 0);
        }
        rpc_listener_free(l);
        err_done(&e);
    }
    relay_net_done(&n);
}

const struct tap_case relay_listen_cases[RELAY_LISTEN_CASES] = {
    {"through a relay that is found by name", by_name},
    {"first outcomes", first_outcomes},
    {"stopped in each state", stopped_early},
    {"delays", backs_off},
    {"stopped in the middle of handshakes", stopped_in_handshakes},
    {"servers that share a socket", shared_socket},
    {"addresses that are told", advertised},
};

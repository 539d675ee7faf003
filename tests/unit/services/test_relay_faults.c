/* What fails: the relay, a server, a client, and those who do not read. */
#include "config.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "relay_net.h"
#include "relay_tests.h"
#include "rpc/link.h"
#include "rpc/runtime_private.h"
#include "unit/rpc/raw.h"
#include "wspr/error.h"

#define CALLS 100

static void abort_links(struct rig *r)
{
    LIST_FOREACH_SAFE (node, after, &r->rt->links)
        rpc_link_abort(LIST_OBJECT(node, struct rpc_link, node), "aborted by the test");
}

static struct tcall *start_slow(struct relay_net *n)
{
    struct tcall *calls = calloc(CALLS, sizeof *calls);

    for (unsigned i = 0; i < CALLS; i++)
        relay_net_call(&n->c, &calls[i], n->name, "Slow", NULL, 1);
    TAP_IS(relay_net_until(n, &n->object.n_waiting, CALLS));
    return calls;
}

/* Every one ends, with an error that has an id. */
static void end_slow(struct relay_net *n, struct tcall *calls)
{
    unsigned typed = 0;

    for (unsigned i = 0; i < CALLS; i++) {
        relay_net_wait(n, &calls[i]);
        typed += calls[i].err.code != 0 && err_id(&calls[i].err)[0] != '\0';
        if (i == 0)
            tap_note("%s: %s", err_id(&calls[i].err), tcall_error(&calls[i]));
        tcall_done(&calls[i]);
    }
    TAP_OK(typed == CALLS, "%u of %u calls end with a typed error", typed, CALLS);
    free(calls);
}

static void relay_killed(void)
{
    struct relay_net n;
    struct tcall *calls;
    char before[512];

    relay_net_init(&n, NULL);
    calls = start_slow(&n);
    relay_net_kill(&n);
    end_slow(&n, calls);
    TAP_IS(relay_net_until(&n, &n.object.gone, CALLS));
    TAP_IS(relay_net_until(&n, &n.told.downs, 1) && n.told.ups == 1);
    TAP_IS(rpc_server_relay_endpoint(n.server) == NULL);
    snprintf(before, sizeof before, "%s", n.relay);
    relay_net_start(&n, n.address, NULL);
    TAP_OK(relay_net_until(&n, &n.told.ups, 2), "%s", err_text(&n.told.err));
    /* Whoever remembers it finds the relay again: same identity, same address, same id. */
    TAP_IS(strcmp(before, n.relay) == 0);
    TAP_IS(relay_net_until_stat(&n, &proxy_stats(n.proxy)->servers, 1));
    TAP_IS(relay_net_echo(&n, &n.c, n.name));
    relay_net_done(&n);
}

static void server_gone(void)
{
    struct relay_net n;
    struct tcall *calls;

    relay_net_init(&n, NULL);
    calls = start_slow(&n);
    abort_links(&n.s);
    end_slow(&n, calls);
    TAP_IS(proxy_stats(n.proxy)->vanished == 1);
    /* It comes back by itself. */
    TAP_IS(relay_net_until(&n, &n.told.downs, 1) && relay_net_until(&n, &n.told.ups, 2));
    TAP_IS(relay_net_echo(&n, &n.c, n.name));
    relay_net_done(&n);
}

static void client_gone(void)
{
    struct vom_value size = vom_value_int(&vom_type_int32, 1000);
    struct relay_net n;
    struct tcall c;

    relay_net_init(&n, NULL);
    relay_net_call(&n.c, &c, n.name, "Flood", &size, 1);
    TAP_IS(relay_net_until(&n, &c.n_items, 1000));
    abort_links(&n.c);
    TAP_IS(relay_net_until(&n, &n.object.gone, 1));
    TAP_IS(relay_net_until_less(&n, &proxy_stats(n.proxy)->circuits, 1));
    tcall_done(&c);
    TAP_IS(relay_net_echo(&n, &n.c, n.name));
    TAP_IS(n.told.downs == 0);
    relay_net_done(&n);
}

struct second {
    struct rig rig;
};

static void second_init(struct second *s, struct relay_net *n)
{
    struct rig_opts opts = {.w = n->s.w, .identity = n->ids.client, .trust = n->ids.trust};

    rig_init(&s->rig, &opts);
}

/* A client that stops reading in the middle of many streams loses its circuit; the other client of
 * the same server goes on all the while. */
static void slow_reader(void)
{
    enum { N = 40 };
    struct proxy_limits limits = {.circuit_queue = 4 * 1024 * 1024};
    struct vom_value size = vom_value_int(&vom_type_int32, 60000);
    struct tcall *calls = calloc(N, sizeof *calls);
    struct relay_net n;
    struct second other;
    unsigned failed = 0;

    relay_net_init(&n, &limits);
    second_init(&other, &n);
    TAP_IS(relay_net_echo(&n, &other.rig, n.name));
    TAP_IS(relay_net_echo(&n, &n.c, n.name));
    for (unsigned i = 0; i < N; i++) {
        relay_net_call(&n.c, &calls[i], n.name, "Flood", &size, 1);
        calls[i].light = true;
    }
    TAP_IS(relay_net_until(&n, &calls[0].n_items, 1));
    relay_net_deafen(&n.c, true);
    TAP_IS(relay_net_until_stat(&n, &proxy_stats(n.proxy)->overflows, 1));
    for (int i = 0; i < 20; i++)
        TAP_IS(relay_net_echo(&n, &other.rig, n.name));
    TAP_IS(proxy_stats(n.proxy)->queued < 8 * 1024 * 1024);
    /* The server is told; the client, once it reads. */
    TAP_IS(relay_net_until(&n, &n.object.gone, N));
    relay_net_deafen(&n.c, false);
    for (unsigned i = 0; i < N; i++) {
        relay_net_wait(&n, &calls[i]);
        failed += calls[i].err.code != 0;
        tcall_done(&calls[i]);
    }
    TAP_OK(failed == N, "%u calls failed", failed);
    TAP_IS(relay_net_echo(&n, &n.c, n.name));
    rig_done(&other.rig, false);
    free(calls);
    relay_net_done(&n);
}

/* With nobody else there, the server is not read while its only client does not: nothing is
 * lost. */
static void back_pressure(void)
{
    enum { N = 40 };
    struct proxy_limits limits = {.circuit_queue = 2 * 1024 * 1024};
    struct vom_value size = vom_value_int(&vom_type_int32, 900000);
    struct tcall *calls = calloc(N, sizeof *calls);
    struct relay_net n;
    unsigned good = 0;

    relay_net_init(&n, &limits);
    TAP_IS(relay_net_echo(&n, &n.c, n.name));
    for (unsigned i = 0; i < N; i++)
        relay_net_call(&n.c, &calls[i], n.name, "Big", &size, 2);
    TAP_IS(relay_net_until_stat(&n, &rpc_runtime_stats(n.s.rt)->served, 1));
    relay_net_deafen(&n.c, true);
    TAP_IS(relay_net_until_stat(&n, &proxy_stats(n.proxy)->pauses, 1));
    TAP_IS(relay_net_until_stat(&n, &proxy_stats(n.proxy)->queued, 1));
    TAP_OK(proxy_stats(n.proxy)->queued < 1024 * 1024, "%llu bytes wait",
           (unsigned long long)proxy_stats(n.proxy)->queued);
    relay_net_deafen(&n.c, false);
    for (unsigned i = 0; i < N; i++) {
        relay_net_wait(&n, &calls[i]);
        good += calls[i].err.code == 0 && calls[i].n_results == 2;
        tcall_done(&calls[i]);
    }
    TAP_OK(good == N, "%u calls are good", good);
    TAP_IS(proxy_stats(n.proxy)->overflows == 0);
    free(calls);
    relay_net_done(&n);
}

/* One that takes nothing at all is dropped after a while. */
static void stalled(void)
{
    enum { N = 40 };
    struct proxy_limits limits = {.stall_time = CLOCK_S};
    struct vom_value size = vom_value_int(&vom_type_int32, 900000);
    struct tcall *calls = calloc(N, sizeof *calls);
    struct relay_net n;

    relay_net_init(&n, &limits);
    TAP_IS(relay_net_echo(&n, &n.c, n.name));
    for (unsigned i = 0; i < N; i++)
        relay_net_call(&n.c, &calls[i], n.name, "Big", &size, 2);
    TAP_IS(relay_net_until_stat(&n, &rpc_runtime_stats(n.s.rt)->served, 1));
    relay_net_deafen(&n.c, true);
    TAP_IS(relay_net_until_stat(&n, &proxy_stats(n.proxy)->stalled, 1));
    relay_net_deafen(&n.c, false);
    for (unsigned i = 0; i < N; i++) {
        relay_net_wait(&n, &calls[i]);
        tcall_done(&calls[i]);
    }
    TAP_IS(relay_net_until_less(&n, &rpc_runtime_stats(n.c.rt)->links, 1));
    TAP_IS(relay_net_echo(&n, &n.c, n.name));
    TAP_IS(n.told.downs == 0);
    free(calls);
    relay_net_done(&n);
}

static int dial(const char *address)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_port = htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
    TAP_IS(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

/* What a client says, without keys: a relay looks at headers only. */
static void say(int fd, struct buf *b, struct relay_net *n)
{
    for (int i = 0; i < 100 && b->len > 0; i++) {
        ssize_t k = send(fd, buf_data(b), b->len, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (k > 0)
            buf_consume(b, (size_t)k);
        raw_run(n->s.w, 1);
    }
    buf_reset(b);
}

/* Nor is a server spared that takes nothing while circuits to it come and go. */
static void stalled_while_others_come(void)
{
    static const uint8_t zeros[65536];
    struct proxy_limits limits = {.stall_time = CLOCK_S};
    struct buf b = BUF_INIT(32 << 20);
    struct relay_net n;
    int fd[2];

    relay_net_init(&n, &limits);
    relay_net_deafen(&n.s, true);
    for (unsigned i = 0; i < 2; i++)
        fd[i] = dial(n.address);
    vc_msg_put_open_vc(&b, 10, span_str(n.told.endpoint), span_str("@2@tcp@h:1@@1@2@@"), NULL, 0);
    for (unsigned i = 0; i < 256; i++)
        vc_msg_put_data(&b, 10, 14, 0, span_of(zeros, sizeof zeros));
    say(fd[0], &b, &n);
    for (unsigned i = 0; i < 300 && proxy_stats(n.proxy)->stalled == 0; i++) {
        vc_msg_put_open_vc(&b, 10 + 2 * i, span_str(n.told.endpoint), span_str("@2@tcp@h:1@@1@2@@"),
                           NULL, 0);
        vc_msg_put_close_vc(&b, 10 + 2 * i, span_str("never mind"));
        say(fd[1], &b, &n);
        raw_run(n.s.w, 50);
    }
    TAP_OK(proxy_stats(n.proxy)->stalled >= 1 && proxy_stats(n.proxy)->opened > 2,
           "%llu stalled, %llu opened", (unsigned long long)proxy_stats(n.proxy)->stalled,
           (unsigned long long)proxy_stats(n.proxy)->opened);
    close(fd[0]);
    close(fd[1]);
    buf_done(&b);
    relay_net_deafen(&n.s, false);
    relay_net_done(&n);
}

static void limits_are_hit(void)
{
    struct proxy_limits limits = {.circuits = 1, .connections = 3};
    struct vom_value arg = vom_value_str("z");
    struct relay_net n;
    struct second b, c;
    struct tcall call;

    relay_net_init(&n, &limits);
    second_init(&b, &n);
    second_init(&c, &n);
    TAP_IS(relay_net_echo(&n, &n.c, n.name));
    relay_net_call(&b.rig, &call, n.name, "Echo", &arg, 1);
    relay_net_wait(&n, &call);
    TAP_OK(strstr(tcall_error(&call), "proxy: too many circuits on the connection") != NULL, "%s",
           tcall_error(&call));
    TAP_IS(proxy_stats(n.proxy)->limited == 1);
    tcall_done(&call);
    relay_net_call(&c.rig, &call, n.name, "Echo", &arg, 1);
    relay_net_wait(&n, &call);
    TAP_OK(call.err.code != 0 && proxy_stats(n.proxy)->dropped >= 1, "%s", tcall_error(&call));
    tcall_done(&call);
    TAP_IS(relay_net_echo(&n, &n.c, n.name));
    rig_done(&b.rig, false);
    rig_done(&c.rig, false);
    relay_net_done(&n);
}

static bool is_closed(void *arg)
{
    struct raw_circuit *c = arg;

    return c->closed;
}

/* All together wait for too much: the worst one goes. */
static void too_much_in_all(void)
{
    enum { N = 40 };
    struct proxy_limits limits = {.total_queue = 128 * 1024};
    struct vom_value size = vom_value_int(&vom_type_int32, 900000);
    struct tcall *calls = calloc(N, sizeof *calls);
    struct relay_net n;
    struct second other;

    relay_net_init(&n, &limits);
    second_init(&other, &n);
    TAP_IS(relay_net_echo(&n, &n.c, n.name));
    for (unsigned i = 0; i < N; i++)
        relay_net_call(&n.c, &calls[i], n.name, "Big", &size, 2);
    TAP_IS(relay_net_until_stat(&n, &rpc_runtime_stats(n.s.rt)->served, 1));
    relay_net_deafen(&n.c, true);
    TAP_IS(relay_net_until_stat(&n, &proxy_stats(n.proxy)->stalled, 1));
    TAP_IS(proxy_stats(n.proxy)->overflows == 0 && proxy_stats(n.proxy)->queued <= 128 * 1024);
    TAP_IS(relay_net_echo(&n, &other.rig, n.name));
    relay_net_deafen(&n.c, false);
    for (unsigned i = 0; i < N; i++) {
        relay_net_wait(&n, &calls[i]);
        tcall_done(&calls[i]);
    }
    rig_done(&other.rig, false);
    free(calls);
    relay_net_done(&n);
}

/* So many servers may register on one connection, and no more. */
static void too_many_registrations(void)
{
    struct proxy_limits limits = {.registrations = 2};
    struct raw_circuit *c[3];
    struct raw_peer p;
    struct relay_net n;

    relay_net_init(&n, &limits);
    raw_init(&p, n.s.w, n.ids.client);
    c[0] = raw_connect(&p, n.relay);
    TAP_IS(c[0] != NULL);
    for (unsigned i = 1; i < 3; i++) {
        c[i] = raw_connect_beside(&p, n.relay);
        TAP_IS((c[i] != NULL) == (i == 1));
    }
    TAP_OK(strstr(p.why, "proxy: too many registrations on the connection") != NULL, "%s", p.why);
    TAP_IS(proxy_stats(n.proxy)->limited == 1 && proxy_stats(n.proxy)->connections == 2);
    TAP_IS(!c[0]->closed && !c[1]->closed);
    raw_done(&p);
    relay_net_done(&n);
}

/* Those who do nothing: a connection without circuits, a circuit without a registration. */
static void idle_ones(void)
{
    struct proxy_limits limits = {.idle_time = CLOCK_S, .handshake_time = CLOCK_S};
    struct relay_net n;
    struct raw_peer p;
    struct raw_circuit *c;

    relay_net_init(&n, &limits);
    raw_init(&p, n.s.w, n.ids.client);
    c = raw_connect(&p, n.relay);
    TAP_IS(c != NULL && !c->closed && proxy_stats(n.proxy)->connections == 2);
    TAP_IS(relay_net_until_stat(&n, &proxy_stats(n.proxy)->idled, 1));
    TAP_IS(raw_until(n.s.w, is_closed, c, 30000));
    TAP_IS(relay_net_until_less(&n, &proxy_stats(n.proxy)->connections, 2));
    TAP_IS(relay_net_echo(&n, &n.c, n.name) && n.told.downs == 0);
    raw_done(&p);
    relay_net_done(&n);
}

const struct tap_case relay_faults_cases[RELAY_FAULTS_CASES] = {
    {"the relay is killed under 100 calls", relay_killed},
    {"the server's connection is lost", server_gone},
    {"the client's connection is lost in a stream", client_gone},
    {"a client that does not read, beside another", slow_reader},
    {"a client that does not read, alone", back_pressure},
    {"a client that takes nothing for too long", stalled},
    {"a server that takes nothing while others come", stalled_while_others_come},
    {"limits", limits_are_hit},
    {"too much in all", too_much_in_all},
    {"too many registrations", too_many_registrations},
    {"those who do nothing", idle_ones},
};

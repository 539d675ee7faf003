/* Beginnings and ends of circuits, connections and servers. */
#include "config.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "raw.h"
#include "rpc/header.h"
#include "rpc/resolve.h"
#include "rpc_tests.h"
#include "twin.h"
#include "vom/wiretypes.h"

static const struct twin_opts plain;

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static bool is_set(void *arg)
{
    return *(bool *)arg;
}

/* ---- stopping ---- */

static void stop_waits_for_calls(void)
{
    bool stopped = false;
    struct vom_value arg = vom_value_str("z");
    struct twin t;
    struct tcall c, late;

    twin_init(&t, &plain);
    twin_start(&t, &c, "Slow", NULL, 1, false);
    TAP_IS(twin_until(&t, &t.object.n_waiting, 1));
    rpc_server_stop(t.server, 10 * CLOCK_S, set_flag, &stopped);
    t.server = NULL;
    raw_run(t.s.w, 100);
    TAP_IS(!stopped && t.object.gone == 0);
    /* No new calls are taken meanwhile. */
    twin_call(&t, &late, "Echo", &arg, 1);
    TWIN_FAILS(&late, "ipc: response header decoding failed: EOF");
    tcall_done(&late);
    rpc_scall_finish(t.object.waiting[0], NULL, 0, NULL);
    twin_wait(&t, &c);
    TWIN_OK(&c);
    TAP_OK(raw_until(t.s.w, is_set, &stopped, 5000), "the server does not stop");
    tcall_done(&c);
    twin_done(&t);
}

/* A circuit that is opened on a connection which was silent for long has all its time. */
static void circuit_after_a_silence(void)
{
    struct tcall_how how = {.method = "Echo", .n_args = 1, .opts = {.n_results = 1}};
    struct vom_value arg = vom_value_str("x");
    struct tcall waiting, c;
    struct twin t;

    twin_init(&t, &plain);
    twin_start(&t, &waiting, "Slow", NULL, 1, false);
    TAP_IS(twin_until(&t, &t.object.n_waiting, 1));
    raw_run(t.c.w, 50); /* until nothing is on its way any more */
    loop_worker_skip(t.c.w, 3600 * CLOCK_S);
    how.name = t.name;
    how.args = &arg;
    how.opts.identity = t.ids.friend;
    tcall_init(&c);
    TAP_IS(tcall_start(&c, twin_client(&t), &how));
    twin_wait(&t, &c);
    TWIN_OK(&c);
    TAP_IS(twin_stats(&t)->dials == 1);
    tcall_done(&c);
    rpc_call_cancel(waiting.call);
    tcall_done(&waiting);
    twin_done(&t);
}

static void stop_ends_calls(void)
{
    bool stopped = false;
    struct twin t;
    struct tcall c;

    twin_init(&t, &plain);
    twin_start(&t, &c, "Slow", NULL, 1, false);
    TAP_IS(twin_until(&t, &t.object.n_waiting, 1));
    rpc_server_stop(t.server, 100 * CLOCK_MS, set_flag, &stopped);
    t.server = NULL;
    TAP_OK(raw_until(t.s.w, is_set, &stopped, 5000), "the server does not stop");
    TAP_IS(t.object.gone == 1);
    twin_wait(&t, &c);
    TWIN_FAILS(&c, "ipc: response header decoding failed: EOF");
    tcall_done(&c);
    twin_done(&t);
}

/* The runtime goes down with calls in each state; they end with Aborted. */
static void stop_of_the_client(void)
{
    bool stopped = false;
    struct twin t;
    struct tcall open, opening, named;
    struct tcall_how how = {.name = "some/name", .method = "Closure"};
    struct err e = ERR_INIT;
    const char *root;

    twin_init(&t, &plain);
    root = t.endpoint;
    TAP_IS(rpc_client_set_roots(twin_client(&t), &root, 1, &e) == 0);
    twin_start(&t, &open, "Slow", NULL, 1, false);
    TAP_IS(twin_until(&t, &t.object.n_waiting, 1));
    twin_start(&t, &opening, "Slow", NULL, 1, false);
    tcall_init(&named);
    TAP_IS(tcall_start(&named, twin_client(&t), &how));
    rpc_runtime_stop(t.c.rt, set_flag, &stopped);
    TAP_OK(raw_until(t.s.w, is_set, &stopped, 5000), "the runtime does not stop");
    TWIN_FAILS(&open, "the runtime is stopping");
    TAP_IS(strcmp(err_id(&open.err), "veyron2/verror.Aborted") == 0);
    TAP_IS(opening.n_done == 1 && named.n_done == 1);
    TAP_IS(twin_until(&t, &t.object.gone, 1));
    tcall_done(&open);
    tcall_done(&opening);
    tcall_done(&named);
    rig_stop(&t.s, t.server, 0);
    rig_done(&t.s, true);
    object_done(&t.object);
    rig_ids_done(&t.ids);
}

struct stop {
    struct rpc_runtime *rt;
    bool stopped;
};

static void stop_now(void *arg)
{
    struct stop *s = arg;

    if (s->rt != NULL)
        rpc_runtime_stop(s->rt, set_flag, &s->stopped);
    s->rt = NULL;
}

/* The runtime is stopped from inside a callback of one of its calls, with another call open. */
static void stop_inside(bool in_item)
{
    struct vom_value n = vom_value_int(&vom_type_int32, 3);
    struct stop stop = {0};
    struct tcall other, c;
    struct twin t;

    twin_init(&t, &plain);
    stop.rt = t.c.rt;
    twin_start(&t, &other, "Slow", NULL, 1, false);
    TAP_IS(twin_until(&t, &t.object.n_waiting, 1));
    twin_start(&t, &c, "Count", &n, 1, false);
    c.at_arg = &stop;
    *(in_item ? &c.at_item : &c.at_done) = stop_now;
    TAP_OK(raw_until(t.s.w, is_set, &stop.stopped, 5000), "the runtime does not stop");
    TAP_IS(c.n_done == 1 && other.n_done == 1);
    TAP_IS(c.n_items == (in_item ? 1 : 3));
    tcall_done(&c);
    tcall_done(&other);
    rig_stop(&t.s, t.server, 0);
    rig_done(&t.s, true);
    object_done(&t.object);
    rig_ids_done(&t.ids);
}

static void stop_inside_item(void)
{
    stop_inside(true);
}

static void stop_inside_done(void)
{
    stop_inside(false);
}

/* A peer that reads nothing any more cannot keep a server from stopping. */
static void stop_with_a_deaf_peer(void)
{
    struct vom_enc enc;
    struct buf out = BUF_INIT(4096);
    struct rpc_request rq = {.suffix = span_str("x"), .method = span_str("Flood"), .n_args = 1};
    struct vom_value size = vom_value_int(&vom_type_int32, 60000);
    struct raw_circuit *circuit;
    struct raw_peer peer;
    struct twin t;
    int64_t began;

    twin_init(&t, &plain);
    raw_init(&peer, t.s.w, t.ids.client);
    circuit = raw_connect(&peer, t.endpoint + 1);
    TAP_IS(circuit != NULL);
    vom_enc_init(&enc);
    vom_enc_prime(&enc, &out, &vom_preset_request);
    TAP_IS(rpc_request_put(&enc, &out, &rq) == 0);
    TAP_IS(vom_enc_value(&enc, &out, &size, NULL) == 0);
    for (int i = 0; i < 30; i++)
        raw_write(raw_open(circuit), buf_span(&out));
    raw_run(t.s.w, 20);
    raw_deafen(&peer);
    raw_run(t.s.w, 200);
    began = clock_mono();
    rig_stop(&t.s, t.server, 0);
    t.server = NULL;
    rig_done(&t.c, false);
    rig_done(&t.s, false);
    TAP_OK(clock_mono() - began < 5 * CLOCK_S, "too late");
    vom_enc_done(&enc);
    buf_done(&out);
    raw_done(&peer);
    loop_worker_free(t.s.w);
    object_done(&t.object);
    rig_ids_done(&t.ids);
}

/* ---- connecting ---- */

static int listen_somewhere(bool listens, char address[64])
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    TAP_IS(fd >= 0 && bind(fd, (struct sockaddr *)&in, sizeof in) == 0);
    TAP_IS(getsockname(fd, (struct sockaddr *)&in, &len) == 0);
    if (listens)
        TAP_IS(listen(fd, 8) == 0);
    snprintf(address, 64, "127.0.0.1:%d", ntohs(in.sin_port));
    return fd;
}

static void refused(void)
{
    struct twin t;
    struct tcall c;
    char address[64], want[512];
    int fd = listen_somewhere(false, address);

    twin_init(&t, &plain);
    snprintf(t.name, sizeof t.name, "/%s//x", address);
    twin_call(&t, &c, "Closure", NULL, 0);
    snprintf(want, sizeof want,
             "ipc: couldn't connect to server /%s//x: net.Dial(\"tcp\", \"%s\") failed: dial tcp "
             "%s: connection refused",
             address, address, address);
    TWIN_FAILS(&c, want);
    TAP_IS(strcmp(err_id(&c.err), "veyron2/verror.NotFound") == 0);
    tcall_done(&c);
    TAP_IS(twin_stats(&t)->links == 0 && twin_stats(&t)->vcs == 0);
    close(fd);
    twin_done(&t);
}

/* A server that accepts connections and says nothing: the handshake's time ends the call. */
static void silent(void)
{
    struct twin_opts opts = {.client = {.handshake_timeout = 300 * CLOCK_MS}};
    struct vom_value arg = vom_value_str("z");
    struct twin t;
    struct tcall c, d;
    char address[64], good[300];
    int fd = listen_somewhere(true, address);
    int64_t began;

    twin_init(&t, &opts);
    memcpy(good, t.name, sizeof good);
    snprintf(t.name, sizeof t.name, "/%s//x", address);
    began = clock_mono();
    twin_start(&t, &c, "Closure", NULL, 0, false);
    /* Nobody else waits. */
    memcpy(t.name, good, sizeof good);
    twin_call(&t, &d, "Echo", &arg, 1);
    TWIN_OK(&d);
    TAP_IS(c.n_done == 0);
    twin_wait(&t, &c);
    TAP_OK(strstr(tcall_error(&c), "ipc: couldn't connect to server ") == tcall_error(&c) &&
               strstr(tcall_error(&c), "VC handshake failed") != NULL,
           "\"%s\"", tcall_error(&c));
    TAP_OK(clock_mono() - began < 3 * CLOCK_S, "too late");
    tcall_done(&c);
    tcall_done(&d);
    close(fd);
    twin_done(&t);
}

/* The same for a caller who has less time than the handshake. */
static void silent_and_short(void)
{
    struct tcall_how how = {.method = "Closure", .opts = {.timeout = 200 * CLOCK_MS}};
    struct twin t;
    struct tcall c;
    char address[64], name[128], want[256];
    int fd = listen_somewhere(true, address);

    twin_init(&t, &plain);
    snprintf(name, sizeof name, "/%s//x", address);
    how.name = name;
    tcall_init(&c);
    TAP_IS(tcall_start(&c, twin_client(&t), &how));
    twin_wait(&t, &c);
    snprintf(want, sizeof want, "ipc: couldn't connect to server %s: deadline exceeded", name);
    TWIN_FAILS(&c, want);
    tcall_done(&c);
    close(fd);
    twin_done(&t);
}

static bool has_connection(void *arg)
{
    struct pollfd p = {*(int *)arg, POLLIN, 0};

    return poll(&p, 1, 0) == 1;
}

/* A peer that talks something else. */
static void foreign(void)
{
    struct twin t;
    struct tcall c;
    char address[64];
    int fd = listen_somewhere(true, address), peer;

    twin_init(&t, &plain);
    snprintf(t.name, sizeof t.name, "/%s//x", address);
    twin_start(&t, &c, "Closure", NULL, 0, false);
    TAP_IS(raw_until(t.c.w, has_connection, &fd, 5000));
    peer = accept(fd, NULL, NULL);
    TAP_IS(peer >= 0 && write(peer, "HTTP/1.1 400 Bad Request\r\n\r\n", 28) == 28);
    twin_wait(&t, &c);
    TAP_OK(strstr(tcall_error(&c), "ipc: couldn't connect to server ") == tcall_error(&c), "\"%s\"",
           tcall_error(&c));
    TAP_IS(twin_stats(&t)->links == 0);
    tcall_done(&c);
    close(peer);
    close(fd);
    twin_done(&t);
}

/* ---- circuits come and go ---- */

struct gone {
    struct twin *t;
};

static bool none_left(void *arg)
{
    struct gone *g = arg;

    return twin_stats(g->t)->vcs == 0 && twin_stats(g->t)->links == 0 &&
           rpc_runtime_stats(g->t->s.rt)->vcs == 0 && rpc_runtime_stats(g->t->s.rt)->links == 0;
}

static void restart(void)
{
    struct vom_value arg = vom_value_str("z");
    struct rpc_server_opts opts = {0};
    const char *endpoint;
    struct twin t;
    struct gone g = {&t};
    struct tcall c;
    char address[64];

    twin_init(&t, &plain);
    snprintf(address, sizeof address, "%s", strchr(t.endpoint + 3, '@') + 5);
    *strchr(address, '@') = '\0';
    twin_call(&t, &c, "Echo", &arg, 1);
    TWIN_OK(&c);
    tcall_done(&c);
    rig_stop(&t.s, t.server, 0);
    t.server = NULL;
    TAP_OK(raw_until(t.c.w, none_left, &g, 5000), "the circuit stays");
    twin_call(&t, &c, "Echo", &arg, 1);
    TAP_OK(strstr(tcall_error(&c), "connection refused") != NULL, "\"%s\"", tcall_error(&c));
    tcall_done(&c);
    TAP_IS(rpc_server_new(t.s.rt, &opts, &t.object.dispatcher, &t.server, NULL) == 0);
    TAP_IS(rpc_server_listen(t.server, address, &endpoint, NULL) == 0);
    twin_call(&t, &c, "Echo", &arg, 1);
    TWIN_OK(&c);
    TAP_IS(twin_stats(&t)->handshakes == 2 && twin_stats(&t)->vcs == 1);
    tcall_done(&c);
    twin_done(&t);
}

struct flows {
    struct raw_peer *peer;
    unsigned n;
};

static bool has_flow(void *arg)
{
    struct flows *f = arg;

    return f->peer->n_flows >= f->n;
}

/* The connection breaks under a call; the next one dials again. */
static void broken_connection(void)
{
    struct rig_ids ids;
    struct rig_opts opts = {0};
    struct raw_peer peer;
    struct flows flows = {&peer, 1};
    struct rig rig;
    struct tcall c, d;
    char name[512];
    struct tcall_how how = {.name = name, .method = "Closure", .opts = {.n_results = 1}};

    rig_ids_init(&ids);
    opts.identity = ids.client;
    opts.trust = ids.trust;
    rig_init(&rig, &opts);
    raw_init(&peer, rig.w, ids.server);
    raw_listen(&peer);
    snprintf(name, sizeof name, "/%s//x", peer.endpoint);
    tcall_init(&c);
    tcall_init(&d);
    TAP_IS(tcall_start(&c, rpc_runtime_client(rig.rt), &how));
    TAP_IS(raw_until(rig.w, has_flow, &flows, 5000));
    raw_drop(&peer, false);
    TAP_OK(raw_until(rig.w, tcall_is_done, &c, 5000), "the call does not end");
    TWIN_FAILS(&c, "ipc: response header decoding failed: EOF");
    TAP_IS(tcall_start(&d, rpc_runtime_client(rig.rt), &how));
    flows.n = 2;
    TAP_IS(raw_until(rig.w, has_flow, &flows, 5000));
    TAP_IS(peer.n_circuits == 2 && rpc_runtime_stats(rig.rt)->dials == 2);
    raw_drop(&peer, false);
    TAP_OK(raw_until(rig.w, tcall_is_done, &d, 5000), "the call does not end");
    tcall_done(&c);
    tcall_done(&d);
    rig_done(&rig, false);
    raw_done(&peer);
    loop_worker_free(rig.w);
    rig_ids_done(&ids);
}

static void idle(void)
{
    struct twin_opts opts = {.client = {.vc_idle = 300 * CLOCK_MS}};
    struct vom_value arg = vom_value_str("z");
    struct twin t;
    struct tcall c;
    struct gone g = {&t};

    twin_init(&t, &opts);
    twin_call(&t, &c, "Echo", &arg, 1);
    TWIN_OK(&c);
    tcall_done(&c);
    /* A circuit with a call on it is not idle. */
    twin_start(&t, &c, "Slow", NULL, 1, false);
    raw_run(t.c.w, 800);
    TAP_IS(twin_stats(&t)->vcs == 1 && twin_stats(&t)->handshakes == 1 && c.n_done == 0);
    rpc_call_cancel(c.call);
    c.call = NULL;
    TAP_OK(raw_until(t.c.w, none_left, &g, 5000), "the circuit stays");
    tcall_done(&c);
    twin_call(&t, &c, "Echo", &arg, 1);
    TWIN_OK(&c);
    TAP_IS(twin_stats(&t)->handshakes == 2);
    tcall_done(&c);
    twin_done(&t);
}

/* Calls that come just when the circuit is given up find another. */
static void calls_around_idle(void)
{
    struct twin_opts opts = {.client = {.vc_idle = 20 * CLOCK_MS}};
    struct vom_value arg = vom_value_str("z");
    struct twin t;
    struct tcall c;

    twin_init(&t, &opts);
    for (int i = 0; i < 60; i++) {
        twin_call(&t, &c, "Echo", &arg, 1);
        TWIN_OK(&c);
        tcall_done(&c);
        raw_run(t.c.w, 15 + i % 20);
    }
    TAP_OK(twin_stats(&t)->handshakes > 1, "it was never idle");
    twin_done(&t);
}

struct links {
    struct twin *t;
    uint64_t n;
};

static bool has_links(void *arg)
{
    struct links *l = arg;

    return rpc_runtime_stats(l->t->s.rt)->links == l->n;
}

/* Connections on which nothing happens are closed, and there are never too many. */
static void connections(void)
{
    struct twin_opts opts = {.server = {.vc_idle = 300 * CLOCK_MS, .links = 2}};
    struct vom_value arg = vom_value_str("z");
    struct raw_peer peers[3];
    struct twin t;
    struct links l = {&t, 0};
    struct tcall c;

    twin_init(&t, &opts);
    for (int i = 0; i < 3; i++)
        raw_init(&peers[i], t.s.w, t.ids.client);
    TAP_IS(raw_connect(&peers[0], t.endpoint + 1) != NULL);
    TAP_IS(raw_connect(&peers[1], t.endpoint + 1) != NULL);
    twin_call(&t, &c, "Echo", &arg, 1);
    TAP_OK(strstr(tcall_error(&c), "ipc: couldn't connect to server ") == tcall_error(&c), "\"%s\"",
           tcall_error(&c));
    tcall_done(&c);
    /* One with a circuit stays, one without goes. */
    vc_close(raw_circuit_at(&peers[1], 0)->vc);
    raw_circuit_at(&peers[1], 0)->vc = NULL;
    l.n = 1;
    TAP_OK(raw_until(t.s.w, has_links, &l, 3000), "the connection stays");
    TAP_IS(!raw_circuit_at(&peers[0], 0)->closed);
    twin_call(&t, &c, "Echo", &arg, 1);
    TWIN_OK(&c);
    tcall_done(&c);
    for (int i = 0; i < 3; i++)
        raw_done(&peers[i]);
    twin_done(&t);
}

/* A server that takes only so many calls at once. */
static void calls_at_once(void)
{
    struct rpc_server_opts opts = {.max_calls = 2};
    struct vom_value arg = vom_value_str("z");
    const char *endpoint;
    struct tcall a, b, c;
    struct twin t;

    twin_init(&t, &plain);
    rig_stop(&t.s, t.server, 0);
    TAP_IS(rpc_server_new(t.s.rt, &opts, &t.object.dispatcher, &t.server, NULL) == 0);
    TAP_IS(rpc_server_listen(t.server, "127.0.0.1:0", &endpoint, NULL) == 0);
    snprintf(t.name, sizeof t.name, "/%s//x", endpoint);
    twin_start(&t, &a, "Slow", NULL, 1, false);
    twin_start(&t, &b, "Slow", NULL, 1, false);
    TAP_IS(twin_until(&t, &t.object.invoked, 2));
    twin_call(&t, &c, "Echo", &arg, 1);
    TWIN_FAILS(&c, "ipc: response header decoding failed: EOF");
    tcall_done(&c);
    rpc_call_cancel(a.call);
    a.call = NULL;
    TAP_IS(twin_until(&t, &t.object.gone, 1));
    twin_call(&t, &c, "Echo", &arg, 1);
    TWIN_OK(&c);
    tcall_done(&a);
    tcall_done(&b);
    tcall_done(&c);
    twin_done(&t);
}

const struct tap_case rpc_life_cases[RPC_LIFE_CASES] = {
    {"stop waits for calls", stop_waits_for_calls},
    {"stop ends calls", stop_ends_calls},
    {"stop of the client", stop_of_the_client},
    {"stop inside the callback of an item", stop_inside_item},
    {"stop inside the last callback", stop_inside_done},
    {"stop with a peer that does not read", stop_with_a_deaf_peer},
    {"connection refused", refused},
    {"a silent server", silent},
    {"a silent server and little time", silent_and_short},
    {"a server of another protocol", foreign},
    {"restart of the server", restart},
    {"a connection that breaks", broken_connection},
    {"an idle circuit is closed", idle},
    {"calls at the time of closing", calls_around_idle},
    {"connections", connections},
    {"calls at once", calls_at_once},
    {"a circuit after a silence", circuit_after_a_silence},
};

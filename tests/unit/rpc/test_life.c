/* Beginnings and ends of circuits, connections and servers. */
#include "config.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "raw.h"
#include "rpc/resolve.h"
#include "rpc_tests.h"
#include "twin.h"

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
    raw_run(t.c.w, 50);
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

static void restart(void)
{
    struct vom_value arg = vom_value_str("z");
    struct rpc_server_opts opts = {0};
    const char *endpoint;
    struct twin t;
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
    raw_run(t.c.w, 50); /* the client learns of it */
    TAP_IS(twin_stats(&t)->vcs == 0);
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

/* The connection breaks under a call; the next one dials again. */
static void broken_connection(void)
{
    struct rig_ids ids;
    struct rig_opts opts = {0};
    struct raw_peer peer;
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
    raw_run(rig.w, 100);
    TAP_IS(raw_flow_at(&peer, 0) != NULL);
    raw_drop(&peer, false);
    TAP_OK(raw_until(rig.w, tcall_is_done, &c, 5000), "the call does not end");
    TWIN_FAILS(&c, "ipc: response header decoding failed: EOF");
    TAP_IS(tcall_start(&d, rpc_runtime_client(rig.rt), &how));
    raw_run(rig.w, 100);
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

struct gone {
    struct twin *t;
};

static bool none_left(void *arg)
{
    struct gone *g = arg;

    return twin_stats(g->t)->vcs == 0 && twin_stats(g->t)->links == 0 &&
           rpc_runtime_stats(g->t->s.rt)->vcs == 0 && rpc_runtime_stats(g->t->s.rt)->links == 0;
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
    {"connection refused", refused},
    {"a silent server", silent},
    {"a silent server and little time", silent_and_short},
    {"a server of another protocol", foreign},
    {"restart of the server", restart},
    {"a connection that breaks", broken_connection},
    {"an idle circuit is closed", idle},
    {"calls at once", calls_at_once},
};

/*
 * Each allocation fails in turn, from the start of a relay over a server that listens through it
 * and a call to the end of all of it. Whatever fails is told, and nothing hangs or leaks.
 */
#include "config.h"

#include <stdlib.h>

#include "base/clock.h"
#include "failmalloc.h"
#include "loop/worker.h"
#include "naming/endpoint.h"
#include "rpc/client.h"
#include "rpc/server.h"
#include "services/proxy.h"
#include "services/sample.h"
#include "tap.h"
#include "unit/rpc/raw.h"
#include "unit/rpc/rig.h"

static struct rig_ids ids;
static const struct log no_log = {-1, LOG_LEVEL_ERROR};

struct run {
    struct loop_worker *w;
    struct rpc_runtime *client, *server_rt;
    struct rpc_server *server;
    struct sample *sample;
    struct proxy *proxy;
    struct rpc_call *call;
    unsigned told, done, stopped;
    bool listens;
    int code;
    char endpoint[512];
};

static unsigned n_runs, n_good, n_hung;

static void on_relay(void *arg, struct rpc_server *server, const char *endpoint,
                     const struct err *why)
{
    struct run *r = arg;

    r->told++;
    r->listens = endpoint != NULL;
    if (endpoint != NULL)
        snprintf(r->endpoint, sizeof r->endpoint, "%s", endpoint);
}

static int on_result(void *arg, struct rpc_call *call, uint32_t i, uint32_t n,
                     const struct rpc_value *v, struct err *err)
{
    return 0;
}

static void on_done(void *arg, struct rpc_call *call, const struct err *err)
{
    struct run *r = arg;

    r->done++;
    r->call = NULL;
    r->code = err != NULL ? err->code : 0;
}

static const struct rpc_call_ops ops = {.result = on_result, .done = on_done};

static void on_stopped(void *arg)
{
    struct run *r = arg;

    r->stopped++;
}

static bool is_told(void *arg)
{
    return ((struct run *)arg)->told > 0;
}

static bool is_done(void *arg)
{
    return ((struct run *)arg)->done > 0;
}

static bool is_stopped(void *arg)
{
    return ((struct run *)arg)->stopped > 0;
}

static void wait_stopped(struct run *r, const char *what)
{
    if (!raw_until(r->w, is_stopped, r, 30000)) {
        printf("Bail out! allocation %u: the %s does not stop\n", n_runs, what);
        exit(99);
    }
    r->stopped = 0;
}

static void run_call(struct run *r)
{
    struct rpc_call_opts opts = {.n_results = RPC_ANY_RESULTS, .timeout = 5 * CLOCK_S};
    char name[600];

    snprintf(name, sizeof name, "/%s//", r->endpoint);
    r->call = rpc_call_new(rpc_runtime_client(r->client), span_str(name), span_str("Size"), &opts,
                           &ops, r);
    if (r->call == NULL)
        return;
    rpc_call_start(r->call, 0);
    if (!raw_until(r->w, is_done, r, 30000)) {
        n_hung++;
        rpc_call_cancel(r->call);
    }
    n_good += r->done > 0 && r->code == 0;
}

static int run_start(struct run *r)
{
    struct rpc_runtime_opts c = {.identity = ids.server, .trust = ids.trust, .log = &no_log};
    struct proxy_opts proxy = {.identity = ids.server, .log = &no_log, .address = "127.0.0.1:0"};
    struct rpc_server_opts server = {0};
    int e = loop_worker_new(NULL, &r->w, NULL);

    if (e < 0)
        return e;
    c.worker = proxy.worker = r->w;
    r->sample = sample_new(NULL);
    e = r->sample != NULL ? proxy_new(&proxy, &r->proxy, NULL) : WSPR_ENOMEM;
    if (e == 0)
        e = rpc_runtime_new(&c, &r->client, NULL);
    if (e == 0)
        e = rpc_runtime_new(&c, &r->server_rt, NULL);
    if (e == 0)
        e = rpc_server_new(r->server_rt, &server, sample_dispatcher(r->sample), &r->server, NULL);
    if (e == 0)
        e = rpc_server_listen_relay(r->server, span_str(proxy_endpoint(r->proxy)), on_relay, r,
                                    NULL);
    return e;
}

static void run_end(struct run *r)
{
    if (r->client != NULL) {
        rpc_runtime_stop(r->client, on_stopped, r);
        wait_stopped(r, "client");
    }
    if (r->server != NULL) {
        rpc_server_stop(r->server, 0, on_stopped, r);
        wait_stopped(r, "server");
    }
    if (r->server_rt != NULL) {
        rpc_runtime_stop(r->server_rt, on_stopped, r);
        wait_stopped(r, "server's runtime");
    }
    if (r->proxy != NULL) {
        proxy_stop(r->proxy, on_stopped, r);
        wait_stopped(r, "relay");
    }
    sample_free(r->sample);
    loop_worker_free(r->w);
}

static void whole_life(void *arg)
{
    struct run r = {0};

    n_runs++;
    if (run_start(&r) == 0) {
        if (!raw_until(r.w, is_told, &r, 60000)) {
            n_hung++;
            tap_note("allocation %u: nothing is told", n_runs);
        }
        if (r.listens)
            run_call(&r);
    }
    run_end(&r);
}

static void each_allocation(void)
{
    unsigned long runs;

    rig_ids_init(&ids);
    runs = failmalloc_each(whole_life, NULL, 20000);
    tap_note("%lu allocations failed; %u runs reached the result all the same", runs - 1, n_good);
    TAP_IS(runs > 100 && n_good > 0 && n_good < runs);
    TAP_OK(n_hung == 0, "%u runs hung", n_hung);
    rig_ids_done(&ids);
}

/* What is passed on takes memory that earlier messages left. */
static void steady_state(void)
{
    struct run r = {0};

    rig_ids_init(&ids);
    TAP_IS(run_start(&r) == 0);
    TAP_IS(raw_until(r.w, is_told, &r, 30000) && r.listens);
    for (unsigned i = 0; i < 20; i++) {
        r.done = 0;
        run_call(&r);
    }
    failmalloc_at(0);
    for (unsigned i = 0; i < 100; i++) {
        r.done = 0;
        run_call(&r);
    }
    TAP_OK(failmalloc_count() == 0, "%lu allocations in 100 calls through the relay",
           failmalloc_count());
    TAP_IS(proxy_stats(r.proxy)->messages > 300);
    run_end(&r);
    rig_ids_done(&ids);
}

int main(int argc, char **argv)
{
    static const struct tap_case cases[] = {
        {"each allocation", each_allocation},
        {"calls in a row", steady_state},
    };
    static const struct tap_suite suites[] = {TAP_SUITE("memory", cases)};

    return tap_main(argc, argv, suites, 1);
}

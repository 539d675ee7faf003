/*
 * Each allocation fails in turn, through everything that one call needs: runtimes, a server, the
 * circuit, the call itself and the end of all of it.
 */
#include "config.h"

#include <stdlib.h>

#include "base/clock.h"
#include "failmalloc.h"
#include "giver.h"
#include "loop/worker.h"
#include "raw.h"
#include "rig.h"
#include "rpc/client.h"
#include "rpc/server.h"
#include "security/identity.h"
#include "services/sample.h"
#include "tap.h"
#include "vom/wiretypes.h"

static struct rig_ids ids;
static const struct log no_log = {-1, LOG_LEVEL_ERROR};

struct run {
    struct loop_worker *w;
    struct rpc_runtime *client, *server_rt;
    struct rpc_server *server, *giver_server;
    struct giver giver;
    struct security_private *identity; /* of calls; NULL: the runtime's */
    struct rpc_granter *granter;
    struct sample *sample;
    struct rpc_call *call;
    unsigned n_done, n_results, n_items, stopped, failed;
    bool streaming;
    int code;
};

/* How the runs ended. */
static unsigned n_runs, n_good, n_failed, n_hung, n_slow;

static int on_result(void *arg, struct rpc_call *call, uint32_t i, uint32_t n,
                     const struct rpc_value *v, struct err *err)
{
    struct run *r = arg;
    struct arena a = ARENA_INIT(65536);
    struct vom_value value;
    struct span id, msg;
    int e = vom_dec_value(v->dec, v->msg, &a, &value, err);

    r->n_results++;
    /* A method that failed says so. */
    r->failed += e == 0 && vom_verror_get(&value, &id, &msg) > 0;
    arena_done(&a);
    return e;
}

static int on_item(void *arg, struct rpc_call *call, const struct rpc_value *v, struct err *err)
{
    struct run *r = arg;

    r->n_items++;
    return 0;
}

static void on_started(void *arg, struct rpc_call *call)
{
    struct run *r = arg;
    struct vom_value key = vom_value_str("key");

    if (!r->streaming)
        return;
    if (rpc_call_begin_item(call) < 0 ||
        vom_enc_value(rpc_call_enc(call), rpc_call_buf(call), &key, NULL) < 0 ||
        rpc_call_end_item(call, true) < 0)
        r->failed++;
    rpc_call_close_send(call);
}

static void on_done(void *arg, struct rpc_call *call, const struct err *err)
{
    struct run *r = arg;

    r->n_done++;
    r->call = NULL;
    r->code = err != NULL ? err->code : 0;
}

static const struct rpc_call_ops ops = {
    .started = on_started,
    .item = on_item,
    .result = on_result,
    .done = on_done,
};

static void on_stopped(void *arg)
{
    struct run *r = arg;

    r->stopped++;
}

static bool is_done(void *arg)
{
    struct run *r = arg;

    return r->n_done > 0;
}

static bool is_stopped(void *arg)
{
    struct run *r = arg;

    return r->stopped > 0;
}

static void wait_stopped(struct run *r)
{
    if (!raw_until(r->w, is_stopped, r, 3000)) {
        printf("Bail out! allocation %u: it does not stop\n", n_runs);
        exit(99);
    }
    r->stopped = 0;
}

/* One call of the sample service, to its end if it gets that far. */
static void run_call(struct run *r, const char *endpoint, const char *method, unsigned n_args,
                     bool streaming)
{
    struct rpc_call_opts opts = {
        .n_results = RPC_ANY_RESULTS,
        .timeout = 2 * CLOCK_S,
        .streaming = streaming,
        .identity = r->identity,
        .granter = r->granter,
    };
    struct vom_value args[] = {vom_value_str("key"), vom_value_str("value")};
    char name[300];
    int64_t began;
    int e = 0;

    r->n_done = 0;
    r->streaming = streaming;
    snprintf(name, sizeof name, "/%s//", endpoint);
    r->call = rpc_call_new(rpc_runtime_client(r->client), span_str(name), span_str(method), &opts,
                           &ops, r);
    if (r->call == NULL) {
        r->failed++;
        return;
    }
    for (unsigned i = 0; i < n_args && e == 0; i++)
        e = vom_enc_value(rpc_call_enc(r->call), rpc_call_buf(r->call), &args[i], NULL);
    if (e < 0) {
        rpc_call_cancel(r->call);
        r->failed++;
        return;
    }
    began = clock_mono();
    rpc_call_start(r->call, n_args);
    if (!raw_until(r->w, is_done, r, 5000)) {
        n_hung++;
        tap_note("allocation %u: the call does not end", n_runs);
        rpc_call_cancel(r->call);
    }
    r->failed += r->code != 0;
    if (clock_mono() - began > CLOCK_S) {
        n_slow++;
        tap_note("allocation %u: %s waits for its deadline", n_runs, method);
    }
}

static int run_start(struct run *r, const char **ret_endpoint)
{
    struct rpc_runtime_opts c = {.identity = ids.server, .trust = ids.trust, .log = &no_log};
    struct rpc_server_opts server = {0};
    int e = loop_worker_new(NULL, &r->w, NULL);

    if (e < 0)
        return e;
    c.worker = r->w;
    r->sample = sample_new(NULL);
    if (r->sample == NULL)
        return WSPR_ENOMEM;
    e = rpc_runtime_new(&c, &r->client, NULL);
    if (e == 0)
        e = rpc_runtime_new(&c, &r->server_rt, NULL);
    if (e == 0)
        e = rpc_server_new(r->server_rt, &server, sample_dispatcher(r->sample), &r->server, NULL);
    if (e == 0)
        e = rpc_server_listen(r->server, "127.0.0.1:0", ret_endpoint, NULL);
    return e;
}

static void run_end(struct run *r)
{
    if (r->client != NULL) {
        rpc_runtime_stop(r->client, on_stopped, r);
        wait_stopped(r);
    }
    if (r->server != NULL) {
        rpc_server_stop(r->server, 0, on_stopped, r);
        wait_stopped(r);
    }
    if (r->giver_server != NULL) {
        rpc_server_stop(r->giver_server, 0, on_stopped, r);
        wait_stopped(r);
    }
    if (r->server_rt != NULL) {
        rpc_runtime_stop(r->server_rt, on_stopped, r);
        wait_stopped(r);
    }
    security_private_unref(r->identity);
    sample_free(r->sample);
    loop_worker_free(r->w);
}

static void whole_life(void *arg)
{
    struct run r = {0};
    const char *endpoint;
    bool good = false;

    n_runs++;

    if (run_start(&r, &endpoint) == 0) {
        run_call(&r, endpoint, "Set", 2, false);
        run_call(&r, endpoint, "AsMap", 0, false);
        run_call(&r, endpoint, "MultiGet", 0, true);
        good = r.n_done > 0 && r.failed == 0;
        TAP_OK(!good || (r.n_results == 4 && r.n_items == 1), "run %u: %u results, %u items",
               n_runs, r.n_results, r.n_items);
    }
    n_good += good;
    n_failed += !good;
    run_end(&r);
}

static int grant(struct rpc_granter *g, const struct security_identity *server,
                 struct security_identity **ret_blessing, struct err *err)
{
    struct security_blessing b = {
        .name = span_str("blessed"), .now = clock_wall(), .duration = 3600 * CLOCK_S};

    return security_private_bless(ids.client, security_identity_key(server), &b, ret_blessing, err);
}

/* A giver of discharges, and an identity that needs one; false if memory is short. */
static bool run_start_giver(struct run *r, struct security_private *giver)
{
    struct rpc_server_opts server = {.identity = giver};
    struct debt debt = {"server", &r->giver, NULL};
    const char *endpoint;

    giver_init(&r->giver, giver, ids.trust);
    if (rpc_server_new(r->server_rt, &server, &r->giver.dispatcher, &r->giver_server, NULL) < 0 ||
        rpc_server_listen(r->giver_server, "127.0.0.1:0", &endpoint, NULL) < 0)
        return false;
    snprintf(r->giver.name, sizeof r->giver.name, "/%s//x", endpoint);
    r->identity = giver_debtor(ids.server, &debt, 1);
    return r->identity != NULL;
}

static void with_credentials(void *giver)
{
    struct rpc_granter granter = {.grant = grant, .refs = 1};
    struct run r = {.granter = &granter};
    const char *endpoint;
    bool good = false;

    n_runs++;
    if (run_start(&r, &endpoint) == 0 && run_start_giver(&r, giver)) {
        run_call(&r, endpoint, "Set", 2, false);
        good = r.n_done > 0 && r.failed == 0;
        TAP_OK(!good || r.giver.asked == 1, "run %u: %u times asked", n_runs, r.giver.asked);
    }
    n_good += good;
    n_failed += !good;
    run_end(&r);
    TAP_IS(granter.refs == 1);
}

static void each_allocation_of(void (*life)(void *), void *arg)
{
    unsigned long runs;

    n_runs = n_good = n_failed = n_hung = n_slow = 0;
    runs = failmalloc_each(life, arg, 20000);
    tap_note("%lu allocations failed: %u runs reached the last result all the same, %u did not",
             runs - 1, n_good, n_failed);
    TAP_IS(runs > 100 && n_good > 0 && n_failed > 0);
    TAP_OK(n_hung == 0, "%u calls hung", n_hung);
    TAP_OK(n_slow == 0, "%u calls waited for their deadline", n_slow);
}

static void each_allocation(void)
{
    rig_ids_init(&ids);
    each_allocation_of(whole_life, NULL);
    rig_ids_done(&ids);
}

static void each_allocation_of_credentials(void)
{
    struct security_private *giver;

    rig_ids_init(&ids);
    TAP_IS(security_private_new(span_str("giver"), &giver, NULL) == 0);
    each_allocation_of(with_credentials, giver);
    security_private_unref(giver);
    rig_ids_done(&ids);
}

/* A unary call on a circuit that is up takes memory that earlier calls left. */
static void steady_state(void)
{
    const char *const methods[] = {"Set", "Get", "Size", "GetAsString", "MultiGet"};
    const unsigned n_args[] = {2, 1, 0, 1, 0};
    struct run r = {0};
    const char *endpoint;

    rig_ids_init(&ids);
    TAP_IS(run_start(&r, &endpoint) == 0);
    for (size_t m = 0; m < 5; m++) {
        for (int i = 0; i < 10; i++)
            run_call(&r, endpoint, methods[m], n_args[m], m == 4);
        failmalloc_at(0);
        for (int i = 0; i < 100; i++)
            run_call(&r, endpoint, methods[m], n_args[m], m == 4);
        /* The value that is stored, and its entry, are what Set needs. */
        TAP_OK(failmalloc_count() == (m == 0 ? 200 : 0), "%s: %lu allocations in 100 calls",
               methods[m], failmalloc_count());
    }
    TAP_IS(r.failed == 0);
    run_end(&r);
    rig_ids_done(&ids);
}

int main(int argc, char **argv)
{
    static const struct tap_case cases[] = {
        {"each allocation of a call", each_allocation},
        {"each allocation of a call with credentials", each_allocation_of_credentials},
        {"calls in a row", steady_state},
    };
    static const struct tap_suite suites[] = {TAP_SUITE("memory", cases)};

    return tap_main(argc, argv, suites, 1);
}

#include "config.h"
#include "rpc/runtime.h"

#include <stdlib.h>

#include <gnutls/crypto.h>

#include "rpc/client.h"
#include "rpc/input.h"
#include "rpc/link.h"
#include "rpc/runtime_private.h"
#include "security/identity.h"
#include "security/trust.h"

#define RPC_SWEEP_PERIOD (5 * CLOCK_S) /* or the half of the idle time, if that is shorter */

static const struct rpc_limits rpc_limits_default = {
    .flows_per_vc = 1000,
    .calls = 65536,
    .links = 4096,
    .value_max = 16 * 1024 * 1024,
    .queue_max = 32 * 1024 * 1024,
    .in_total = 512 * 1024 * 1024,
    .vc_idle = 60 * CLOCK_S,
    .handshake_timeout = 60 * CLOCK_S,
    .peer_timeout = 60 * CLOCK_S,
};

static void limits_complete(struct rpc_limits *l)
{
    const struct rpc_limits *d = &rpc_limits_default;

    if (l->flows_per_vc == 0)
        l->flows_per_vc = d->flows_per_vc;
    if (l->calls == 0)
        l->calls = d->calls;
    if (l->links == 0)
        l->links = d->links;
    if (l->value_max == 0)
        l->value_max = d->value_max;
    if (l->queue_max == 0)
        l->queue_max = d->queue_max;
    if (l->in_total == 0)
        l->in_total = d->in_total;
    if (l->vc_idle == 0)
        l->vc_idle = d->vc_idle;
    if (l->handshake_timeout == 0)
        l->handshake_timeout = d->handshake_timeout;
    if (l->peer_timeout == 0)
        l->peer_timeout = d->peer_timeout;
}

static struct vc_pool *runtime_pool(const struct rpc_limits *l, bool placeholders)
{
    struct vc_limits limits;
    uint8_t key[16];

    vc_limits_default(&limits);
    limits.flows = l->flows_per_vc;
    limits.queue_hard = l->queue_max;
    limits.handshake_timeout = l->handshake_timeout;
    limits.identity_flags = placeholders ? SECURITY_ALLOW_PLACEHOLDERS : 0;
    if (gnutls_rnd(GNUTLS_RND_NONCE, key, sizeof key) < 0)
        return NULL;
    return vc_pool_new(&limits, key);
}

int rpc_draw_rid(struct naming_rid *ret_rid)
{
    do {
        if (gnutls_rnd(GNUTLS_RND_NONCE, ret_rid->b, sizeof ret_rid->b) < 0)
            return WSPR_ECRYPTO;
    } while (naming_rid_is_reserved(ret_rid));
    return 0;
}

int64_t rpc_any_of(int64_t time)
{
    uint32_t r = 0;

    if (gnutls_rnd(GNUTLS_RND_NONCE, &r, sizeof r) < 0)
        r = 0;
    return (int64_t)((double)time * (r / 4294967296.0));
}

int64_t rpc_spread(int64_t delay)
{
    return delay / 2 + rpc_any_of(delay / 2);
}

static int runtime_draw_ids(struct rpc_runtime *rt)
{
    if (rpc_draw_rid(&rt->rid) < 0)
        return WSPR_ECRYPTO;
    if (gnutls_rnd(GNUTLS_RND_NONCE, &rt->hash_key, sizeof rt->hash_key) < 0)
        return WSPR_ECRYPTO;
    return 0;
}

static void runtime_sweep(void *arg)
{
    struct rpc_runtime *rt = arg;
    int64_t now = loop_worker_now(rt->worker);

    rpc_client_sweep(rt->client, now);
    rpc_link_sweep(rt, now);
    rpc_server_sweep(rt);
    vc_pool_trim(rt->pool);
}

static void runtime_free(struct rpc_runtime *rt)
{
    if (rt == NULL)
        return;
    loop_task_cancel(&rt->relief);
    rpc_client_free(rt->client);
    vc_pool_free(rt->pool);
    vc_tls_free(rt->tls);
    security_trust_unref(rt->trust);
    security_private_unref(rt->identity);
    free(rt);
}

static void runtime_stopped(void *arg)
{
    struct rpc_runtime *rt = arg;
    void (*stopped)(void *) = rt->stopped;
    void *stopped_arg = rt->stopped_arg;

    runtime_free(rt);
    if (stopped != NULL)
        stopped(stopped_arg);
}

void rpc_runtime_check_stopped(struct rpc_runtime *rt)
{
    if (rt->stopping && list_empty(&rt->links) && list_empty(&rt->servers) && rt->jobs.out == 0)
        loop_worker_reap(rt->worker, &rt->stop_task);
}

static void runtime_job_back(void *arg)
{
    rpc_runtime_check_stopped(arg);
}

int rpc_runtime_new(const struct rpc_runtime_opts *opts, struct rpc_runtime **ret_rt,
                    struct err *err)
{
    struct rpc_runtime *rt = calloc(1, sizeof *rt);
    int64_t period;
    int r;

    if (rt == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    rt->worker = opts->worker;
    rt->offload = opts->offload;
    rt->log = opts->log;
    rt->tcp_only = opts->tcp_only;
    rt->jobs = (struct rpc_jobs){rt->worker, rt->offload, 0, runtime_job_back, rt};
    rt->limits = opts->limits;
    limits_complete(&rt->limits);
    list_init(&rt->links);
    list_init(&rt->servers);
    loop_task_init(&rt->stop_task, runtime_stopped, rt);
    loop_task_init(&rt->relief, rpc_input_relieve, rt);
    loop_timer_init(&rt->sweep, rt->worker, runtime_sweep, rt);
    rt->identity = security_private_ref(opts->identity);
    rt->trust = security_trust_ref(opts->trust);
    r = runtime_draw_ids(rt);
    if (r < 0) {
        err_set(err, r, "no random numbers can be had");
        goto out;
    }
    r = vc_tls_new(opts->legacy_peers, &rt->tls, err);
    if (r < 0)
        goto out;
    rt->pool = runtime_pool(&rt->limits, opts->placeholders);
    rt->client = rpc_client_new(rt);
    if (rt->pool == NULL || rt->client == NULL) {
        r = err_set(err, WSPR_ENOMEM, "out of memory");
        goto out;
    }
    period = rt->limits.vc_idle / 2;
    loop_timer_start_every(&rt->sweep, period < RPC_SWEEP_PERIOD ? period : RPC_SWEEP_PERIOD);
    *ret_rt = rt;
    return 0;
out:
    runtime_free(rt);
    return r;
}

void rpc_runtime_stop(struct rpc_runtime *rt, void (*done)(void *arg), void *arg)
{
    rt->stopping = true;
    rt->stopped = done;
    rt->stopped_arg = arg;
    loop_timer_stop(&rt->sweep);
    rpc_client_stop(rt->client);
    LIST_FOREACH_SAFE (node, after, &rt->links)
        rpc_link_shutdown(LIST_OBJECT(node, struct rpc_link, node));
    rpc_runtime_check_stopped(rt);
}

const struct rpc_stats *rpc_runtime_stats(const struct rpc_runtime *rt)
{
    return &rt->stats;
}

const struct vc_stats *rpc_runtime_vc_stats(const struct rpc_runtime *rt)
{
    return vc_pool_stats(rt->pool);
}

struct rpc_client *rpc_runtime_client(struct rpc_runtime *rt)
{
    return rt->client;
}

#include "config.h"
#include "twin.h"

#include "raw.h"
#include "tap.h"

void twin_init(struct twin *t, const struct twin_opts *opts)
{
    struct rig_opts c = {.limits = opts->client, .offload = opts->offload};
    struct rig_opts s = {.limits = opts->server, .offload = opts->offload};

    s.tcp_only = opts->tcp_only;
    *t = (struct twin){.own = opts->own};
    rig_ids_init(&t->ids);
    c.identity = t->ids.client;
    c.trust = s.trust = t->ids.trust;
    s.identity = t->ids.server;
    rig_init(&t->s, &s);
    c.w = t->s.w;
    if (t->own)
        t->c = t->s;
    else
        rig_init(&t->c, &c);
    object_init(&t->object, t->ids.trust);
    t->server = rig_serve(&t->s, &t->object.dispatcher, t->endpoint);
    snprintf(t->name, sizeof t->name, "%s//x", t->endpoint);
}

void twin_done(struct twin *t)
{
    if (t->server != NULL)
        rig_stop(&t->s, t->server, 0);
    if (!t->own)
        rig_done(&t->c, false);
    rig_done(&t->s, true);
    object_done(&t->object);
    rig_ids_done(&t->ids);
}

struct rpc_client *twin_client(struct twin *t)
{
    return rpc_runtime_client(t->c.rt);
}

void twin_start(struct twin *t, struct tcall *c, const char *method, const struct vom_value *arg,
                int32_t n_results, bool streaming)
{
    struct tcall_how how = {
        .name = t->name,
        .method = method,
        .args = arg,
        .n_args = arg != NULL ? 1 : 0,
        .opts = {.n_results = n_results, .streaming = streaming, .identity = t->ids.client},
    };

    tcall_init(c);
    TAP_OK(tcall_start(c, twin_client(t), &how), "no call");
}

void twin_wait(struct twin *t, struct tcall *c)
{
    TAP_OK(raw_until(t->c.w, tcall_is_done, c, 20000), "the call does not end");
}

void twin_call(struct twin *t, struct tcall *c, const char *method, const struct vom_value *arg,
               int32_t n_results)
{
    twin_start(t, c, method, arg, n_results, false);
    twin_wait(t, c);
}

struct counter {
    const unsigned *counter;
    unsigned value;
};

static bool has_counted(void *arg)
{
    struct counter *c = arg;

    return *c->counter >= c->value;
}

bool twin_until(struct twin *t, const unsigned *counter, unsigned value)
{
    struct counter c = {counter, value};

    return raw_until(t->c.w, has_counted, &c, 20000);
}

const struct rpc_stats *twin_stats(struct twin *t)
{
    return rpc_runtime_stats(t->c.rt);
}

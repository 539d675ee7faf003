#include "config.h"
#include "relay_net.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "naming/endpoint.h"
#include "rpc/link.h"
#include "rpc/runtime_private.h"
#include "tap.h"
#include "unit/rpc/raw.h"

#define WAIT_MS 30000

/* ---- waiting ---- */

struct counted {
    const unsigned *counter;
    const uint64_t *stat;
    uint64_t value;
};

static bool has_counted(void *arg)
{
    struct counted *c = arg;

    return (c->counter != NULL ? *c->counter : *c->stat) >= c->value;
}

bool relay_net_until(struct relay_net *n, const unsigned *counter, unsigned value)
{
    struct counted c = {counter, NULL, value};

    return raw_until(n->s.w, has_counted, &c, WAIT_MS);
}

bool relay_net_until_stat(struct relay_net *n, const uint64_t *stat, uint64_t value)
{
    struct counted c = {NULL, stat, value};

    return raw_until(n->s.w, has_counted, &c, WAIT_MS);
}

static bool is_less(void *arg)
{
    struct counted *c = arg;

    return *c->stat < c->value;
}

bool relay_net_until_less(struct relay_net *n, const uint64_t *stat, uint64_t value)
{
    struct counted c = {NULL, stat, value};

    return raw_until(n->s.w, is_less, &c, WAIT_MS);
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static bool is_set(void *arg)
{
    return *(bool *)arg;
}

/* ---- the relay ---- */

void relay_net_start(struct relay_net *n, const char *address, const struct proxy_limits *limits)
{
    struct proxy_opts opts = {
        .worker = n->s.w,
        .identity = n->ids.server,
        .log = &n->s.log,
        .address = address,
    };
    struct naming_endpoint ep;
    struct err e = ERR_INIT;

    if (limits != NULL)
        opts.limits = *limits;
    TAP_OK(proxy_new(&opts, &n->proxy, &e) == 0, "no relay: %s", err_text(&e));
    snprintf(n->relay, sizeof n->relay, "%s", proxy_endpoint(n->proxy));
    TAP_IS(naming_endpoint_parse(span_str(n->relay), &ep, NULL) == 0);
    snprintf(n->address, sizeof n->address, "%s", ep.address);
    err_done(&e);
}

void relay_net_stop(struct relay_net *n, struct proxy *proxy)
{
    bool stopped = false;

    proxy_stop(proxy, set_flag, &stopped);
    TAP_OK(raw_until(n->s.w, is_set, &stopped, WAIT_MS), "the relay does not stop");
}

void relay_net_kill(struct relay_net *n)
{
    relay_net_stop(n, n->proxy);
    n->proxy = NULL;
}

/* ---- servers ---- */

void relay_told_init(struct relay_told *t)
{
    *t = (struct relay_told){.err = ERR_INIT};
}

void relay_told(void *told, struct rpc_server *server, const char *endpoint, const struct err *why)
{
    struct relay_told *t = told;

    (void)server;
    t->n++;
    err_done(&t->err);
    if (endpoint != NULL) {
        t->ups++;
        snprintf(t->endpoint, sizeof t->endpoint, "%s", endpoint);
    } else {
        t->downs++;
        err_copy(&t->err, why);
    }
}

struct rpc_server *relay_net_serve(struct relay_net *n, const char *relay, struct relay_told *told)
{
    struct rpc_server_opts opts = {0};
    struct rpc_server *s = NULL;

    relay_told_init(told);
    TAP_IS(rpc_server_new(n->s.rt, &opts, &n->object.dispatcher, &s, NULL) == 0);
    TAP_IS(rpc_server_listen_relay(s, span_str(relay), relay_told, told, NULL) == 0);
    TAP_IS(told->n == 0);
    TAP_OK(relay_net_until(n, &told->n, 1), "nothing is told about listening through a relay");
    return s;
}

void relay_net_init(struct relay_net *n, const struct proxy_limits *limits)
{
    struct rig_opts c = {0}, s = {0};

    *n = (struct relay_net){0};
    rig_ids_init(&n->ids);
    c.identity = n->ids.client;
    c.trust = s.trust = n->ids.trust;
    s.identity = n->ids.server;
    rig_init(&n->s, &s);
    c.w = n->s.w;
    rig_init(&n->c, &c);
    object_init(&n->object, n->ids.trust);
    relay_net_start(n, "127.0.0.1:0", limits);
    n->server = relay_net_serve(n, n->relay, &n->told);
    TAP_OK(n->told.ups == 1, "%s", err_text(&n->told.err));
    snprintf(n->name, sizeof n->name, "/%s//x", n->told.endpoint);
}

void relay_net_done(struct relay_net *n)
{
    if (n->server != NULL)
        rig_stop(&n->s, n->server, 0);
    if (n->proxy != NULL)
        relay_net_kill(n);
    rig_done(&n->c, false);
    rig_done(&n->s, true);
    object_done(&n->object);
    rig_ids_done(&n->ids);
    err_done(&n->told.err);
}

/* ---- calls ---- */

void relay_net_call(struct rig *client, struct tcall *c, const char *name, const char *method,
                    const struct vom_value *arg, int32_t n_results)
{
    struct tcall_how how = {
        .name = name,
        .method = method,
        .args = arg,
        .n_args = arg != NULL ? 1 : 0,
        .opts = {.n_results = n_results},
    };

    tcall_init(c);
    TAP_OK(tcall_start(c, rpc_runtime_client(client->rt), &how), "no call");
}

void relay_net_wait(struct relay_net *n, struct tcall *c)
{
    TAP_OK(raw_until(n->s.w, tcall_is_done, c, WAIT_MS), "the call does not end");
}

bool relay_net_echo(struct relay_net *n, struct rig *client, const char *name)
{
    struct vom_value arg = vom_value_str("z");
    struct tcall c;
    bool ok;

    relay_net_call(client, &c, name, "Echo", &arg, 1);
    relay_net_wait(n, &c);
    ok = c.n_done == 1 && c.err.code == 0 && c.n_results == 1;
    if (!ok)
        tap_note("Echo: %s", tcall_error(&c));
    tcall_done(&c);
    return ok;
}

void relay_net_deafen(struct rig *client, bool deaf)
{
    LIST_FOREACH (node, &client->rt->links) {
        struct rpc_link *l = LIST_OBJECT(node, struct rpc_link, node);

        if (deaf)
            loop_sock_pause(l->sock);
        else
            loop_sock_resume(l->sock);
    }
}

/*
 * Mounting and unmounting: the mount tables that are responsible are found, then all of them are
 * called at once.
 */
#include "config.h"

#include <stdlib.h>

#include "base/list.h"
#include "rpc/call_private.h"
#include "rpc/header.h"
#include "rpc/namespace.h"
#include "security/identity.h"
#include "vom/convert.h"
#include "vom/wiretypes.h"

/* One mount table. */
struct mount_ask {
    struct list node;
    struct rpc_mounting *m;
    struct rpc_call *call;
    struct err error; /* that it answered */
};

struct rpc_mounting {
    struct rpc_client *client;
    struct security_private *identity;
    struct buf name, server;
    uint32_t ttl;
    bool unmount;
    struct rpc_resolution *resolution;
    struct list asks;
    struct err error; /* the first */
    void (*done)(void *arg, const struct err *err);
    void *arg;
};

static void ask_free(struct mount_ask *a)
{
    rpc_call_cancel(a->call);
    list_remove(&a->node);
    err_done(&a->error);
    free(a);
}

void rpc_mounting_cancel(struct rpc_mounting *m)
{
    if (m == NULL)
        return;
    rpc_resolve_cancel(m->resolution);
    LIST_FOREACH_SAFE (node, after, &m->asks)
        ask_free(LIST_OBJECT(node, struct mount_ask, node));
    security_private_unref(m->identity);
    buf_done(&m->name);
    buf_done(&m->server);
    err_done(&m->error);
    free(m);
}

static void mounting_end(struct rpc_mounting *m)
{
    /* What was known of the name is not true any more. */
    rpc_resolve_forget(m->client, buf_span(&m->name), m->identity);
    m->done(m->arg, m->error.code != 0 ? &m->error : NULL);
    rpc_mounting_cancel(m);
}

static void mounting_note(struct rpc_mounting *m, const struct err *e)
{
    if (m->error.code == 0)
        err_copy(&m->error, e);
}

/* ---- one mount table ---- */

static int ask_result(void *arg, struct rpc_call *call, uint32_t i, uint32_t n,
                      const struct rpc_value *v, struct err *err)
{
    struct mount_ask *a = arg;
    struct arena arena = ARENA_INIT(65536);
    struct vom_value value;
    int r = vom_dec_convert(v->dec, v->msg, &arena, &vom_type_any, &value, err);

    if (r == 0 && rpc_error_of_value(&value, &a->error) == WSPR_ETYPE)
        r = err_set(err, WSPR_ETYPE, "the result is no error");
    arena_done(&arena);
    return r;
}

static void ask_done(void *arg, struct rpc_call *call, const struct err *err)
{
    struct mount_ask *a = arg;
    struct rpc_mounting *m = a->m;

    a->call = NULL;
    if (err != NULL)
        mounting_note(m, err);
    else if (a->error.code != 0)
        mounting_note(m, &a->error);
    ask_free(a);
    if (list_empty(&m->asks))
        mounting_end(m);
}

static const struct rpc_call_ops ask_ops = {
    .result = ask_result,
    .done = ask_done,
};

static int ask_encode(const struct rpc_mounting *m, struct rpc_call *call)
{
    struct vom_value server = vom_value_span(&vom_type_string, buf_span(&m->server));
    struct vom_value ttl = vom_value_uint(&vom_type_uint32, m->ttl);
    int r = vom_enc_value(rpc_call_enc(call), rpc_call_buf(call), &server, NULL);

    if (r == 0 && !m->unmount)
        r = vom_enc_value(rpc_call_enc(call), rpc_call_buf(call), &ttl, NULL);
    return r;
}

static bool ask(struct rpc_mounting *m, struct span name)
{
    struct rpc_call_opts opts = {
        .timeout = RPC_RESOLVE_TIMEOUT,
        .n_results = 1,
        .identity = m->identity,
    };
    struct mount_ask *a = calloc(1, sizeof *a);

    if (a == NULL)
        return false;
    list_init(&a->node);
    a->m = m;
    a->call = rpc_call_new(m->client, name, span_str(m->unmount ? "Unmount" : "Mount"), &opts,
                           &ask_ops, a);
    if (a->call == NULL || ask_encode(m, a->call) < 0) {
        ask_free(a);
        return false;
    }
    list_push_back(&m->asks, &a->node);
    rpc_call_start(a->call, m->unmount ? 1 : 2);
    return true;
}

static void mounting_resolved(void *arg, struct span names, const struct err *err)
{
    struct rpc_mounting *m = arg;
    struct err e = ERR_INIT;
    struct span name;

    m->resolution = NULL;
    if (err != NULL)
        mounting_note(m, err);
    err_set(&e, WSPR_ENOMEM, "a mount table cannot be asked");
    while (err == NULL && rpc_names_next(&names, &name)) {
        if (!ask(m, name))
            mounting_note(m, &e);
    }
    err_done(&e);
    if (list_empty(&m->asks))
        mounting_end(m);
}

/* ---- the interface ---- */

static struct rpc_mounting *mounting_new(struct rpc_client *client, struct span name,
                                         struct span server, struct security_private *identity,
                                         void (*done)(void *arg, const struct err *err), void *arg)
{
    struct rpc_mounting *m = calloc(1, sizeof *m);

    if (m == NULL)
        return NULL;
    m->client = client;
    m->identity = security_private_ref(identity != NULL ? identity : client->rt->identity);
    m->done = done;
    m->arg = arg;
    list_init(&m->asks);
    buf_init(&m->name, RPC_RESOLVE_MAX);
    buf_init(&m->server, RPC_RESOLVE_MAX);
    buf_append_span(&m->name, name);
    buf_append_span(&m->server, server);
    if (buf_error(&m->name) == 0 && buf_error(&m->server) == 0)
        m->resolution = rpc_resolve_mount_table(client, name, m->identity, mounting_resolved, m);
    if (m->resolution == NULL) {
        rpc_mounting_cancel(m);
        return NULL;
    }
    return m;
}

struct rpc_mounting *rpc_mount(struct rpc_client *client, struct span name, struct span server,
                               uint32_t ttl, struct security_private *identity,
                               void (*done)(void *arg, const struct err *err), void *arg)
{
    struct rpc_mounting *m = mounting_new(client, name, server, identity, done, arg);

    if (m != NULL)
        m->ttl = ttl;
    return m;
}

struct rpc_mounting *rpc_unmount(struct rpc_client *client, struct span name, struct span server,
                                 struct security_private *identity,
                                 void (*done)(void *arg, const struct err *err), void *arg)
{
    struct rpc_mounting *m = mounting_new(client, name, server, identity, done, arg);

    if (m != NULL)
        m->unmount = true;
    return m;
}

/*
 * Resolution: a list of names, all of which stand for the same object, is replaced step by step by
 * what the mount tables behind them answer, until every name is terminal.
 */
#include "config.h"
#include "rpc/resolve.h"

#include <stdlib.h>

#include "loop/timer.h"
#include "naming/name.h"
#include "rpc/call_private.h"
#include "rpc/header.h"
#include "security/identity.h"
#include "vom/convert.h"
#include "vom/wiretypes.h"

struct rpc_resolution {
    struct rpc_client *client;
    struct security_private *identity;
    void (*done)(void *arg, struct span names, const struct err *err);
    void *arg;
    struct buf names; /* the present list, each ended by NUL */
    struct buf next;  /* the one that replaces it */
    size_t at;        /* offset of the name that is being asked */
    unsigned steps;
    struct rpc_call *call;
    struct arena arena; /* of one answer */
    struct vom_value servers;
    struct span suffix;
    struct err error; /* that the mount table answered, or why it did not answer */
    bool answered;
    struct loop_task task;
    struct loop_timer timer;
};

static void resolve_step(struct rpc_resolution *r);
static void resolve_ask(struct rpc_resolution *r);

void rpc_resolve_cancel(struct rpc_resolution *r)
{
    if (r == NULL)
        return;
    rpc_call_cancel(r->call);
    loop_task_cancel(&r->task);
    loop_timer_stop(&r->timer);
    security_private_unref(r->identity);
    buf_done(&r->names);
    buf_done(&r->next);
    arena_done(&r->arena);
    err_done(&r->error);
    free(r);
}

static void resolve_end(struct rpc_resolution *r, struct span names, const struct err *err)
{
    r->done(r->arg, names, err);
    rpc_resolve_cancel(r);
}

static void resolve_fail(struct rpc_resolution *r, int code, const char *text)
{
    struct err e = ERR_INIT;

    err_set(&e, code, "%s", text);
    resolve_end(r, span_of(NULL, 0), &e);
    err_done(&e);
}

static struct span resolve_name(const struct buf *names, size_t at)
{
    return span_str((const char *)buf_data(names) + at);
}

/* No mount table answered: whoever is behind the names is taken for the object itself. */
static void resolve_as_it_is(struct rpc_resolution *r)
{
    buf_reset(&r->next);
    for (size_t at = 0; at < r->names.len; at += resolve_name(&r->names, at).len + 1) {
        naming_name_make_terminal(&r->next, resolve_name(&r->names, at));
        buf_u8(&r->next, 0);
    }
    if (buf_error(&r->next) != 0)
        resolve_fail(r, WSPR_ENOMEM, "out of memory");
    else
        resolve_end(r, buf_span(&r->next), NULL);
}

/* ---- one answer ---- */

static int answer_result(void *arg, struct rpc_call *call, uint32_t i, uint32_t n,
                         const struct rpc_value *v, struct err *err)
{
    static const struct vom_type *const types[] = {&vom_type_mounted_server_list, &vom_type_string,
                                                   &vom_type_any};
    struct rpc_resolution *r = arg;
    struct vom_value value, kept;
    int e;

    e = vom_dec_convert(v->dec, v->msg, &r->arena, types[i], &value, err);
    if (e == 0)
        e = vom_value_copy(&r->arena, &value, &kept, err);
    if (e < 0)
        return e;
    if (i == 0)
        r->servers = kept;
    else if (i == 1)
        r->suffix = kept.s;
    else if (rpc_error_of_value(&kept, &r->error) == WSPR_ETYPE)
        return err_set(err, WSPR_ETYPE, "the result is no error");
    return 0;
}

/* Makes the next list from the servers and the suffix of an answer. */
static int answer_take(struct rpc_resolution *r)
{
    buf_reset(&r->next);
    for (size_t i = 0; i < vom_value_len(&r->servers); i++) {
        struct vom_value entry = vom_value_at(&r->servers, i);
        struct vom_value server = vom_value_field(&entry, "Server");

        if (memchr(server.s.p, 0, server.s.len) != NULL)
            continue;
        naming_name_join(&r->next, server.s, r->suffix);
        buf_u8(&r->next, 0);
    }
    return buf_error(&r->next);
}

static bool is_error(const struct err *e, const char *text)
{
    return e->code == WSPR_ENOTFOUND && strcmp(err_text(e), text) == 0;
}

static void answer_done(void *arg, struct rpc_call *call, const struct err *err)
{
    struct rpc_resolution *r = arg;
    struct buf old;

    r->call = NULL;
    if (err != NULL)
        err_copy(&r->error, err);
    if (err == NULL && (is_error(&r->error, "Name doesn't exist") ||
                        is_error(&r->error, "Name doesn't exist: root of namespace"))) {
        resolve_fail(r, WSPR_ENOTFOUND, "Name doesn't exist");
        return;
    }
    if (r->error.code != 0) {
        r->at += resolve_name(&r->names, r->at).len + 1;
        resolve_ask(r);
        return;
    }
    if (answer_take(r) < 0) {
        resolve_fail(r, WSPR_ELIMIT, "too many servers are mounted under one name");
        return;
    }
    old = r->names;
    r->names = r->next;
    r->next = old;
    resolve_step(r);
}

static const struct rpc_call_ops answer_ops = {
    .result = answer_result,
    .done = answer_done,
};

/* ---- steps ---- */

/* Asks the mount table of the name at r->at. */
static void resolve_ask(struct rpc_resolution *r)
{
    struct rpc_call_opts opts = {
        .timeout = RPC_RESOLVE_TIMEOUT,
        .n_results = 3,
        .identity = r->identity,
    };
    struct buf name = BUF_INIT(RPC_RESOLVE_MAX);

    if (r->at >= r->names.len) {
        resolve_as_it_is(r);
        return;
    }
    arena_reset(&r->arena);
    err_done(&r->error);
    r->suffix = span_of(NULL, 0);
    r->servers = vom_value_zero(&vom_type_mounted_server_list);
    naming_name_make_terminal(&name, resolve_name(&r->names, r->at));
    r->call = buf_error(&name) == 0 ? rpc_call_new(r->client, buf_span(&name),
                                                   span_str("ResolveStep"), &opts, &answer_ops, r)
                                    : NULL;
    buf_done(&name);
    if (r->call == NULL)
        resolve_fail(r, WSPR_ENOMEM, "out of memory");
    else
        rpc_call_start(r->call, 0);
}

static bool all_terminal(const struct buf *names)
{
    for (size_t at = 0; at < names->len; at += resolve_name(names, at).len + 1) {
        if (!naming_name_is_terminal(resolve_name(names, at)))
            return false;
    }
    return true;
}

static void resolve_step(struct rpc_resolution *r)
{
    if (all_terminal(&r->names)) {
        resolve_end(r, buf_span(&r->names), NULL);
        return;
    }
    if (r->steps++ == RPC_RESOLVE_STEPS) {
        resolve_fail(r, WSPR_EABORTED, "Resolution depth exceeded");
        return;
    }
    r->at = 0;
    resolve_ask(r);
}

static void resolve_begin(void *arg)
{
    struct rpc_resolution *r = arg;

    if (buf_error(&r->names) != 0)
        resolve_fail(r, WSPR_ELIMIT, "the name is too long");
    else if (r->names.len == 0)
        resolve_fail(r, WSPR_EINTERNAL, "No mount table available");
    else
        resolve_step(r);
}

static void resolve_timeout(void *arg)
{
    struct rpc_resolution *r = arg;

    rpc_call_cancel(r->call);
    r->call = NULL;
    resolve_as_it_is(r);
}

struct rpc_resolution *
rpc_resolve(struct rpc_client *client, struct span name, struct security_private *identity,
            void (*done)(void *arg, struct span names, const struct err *err), void *arg)
{
    struct rpc_resolution *r = calloc(1, sizeof *r);
    struct span address, rest;

    if (r == NULL)
        return NULL;
    r->client = client;
    r->identity = security_private_ref(identity != NULL ? identity : client->rt->identity);
    r->done = done;
    r->arg = arg;
    buf_init(&r->names, RPC_RESOLVE_MAX);
    buf_init(&r->next, RPC_RESOLVE_MAX);
    arena_init(&r->arena, 4 * RPC_RESOLVE_MAX);
    loop_task_init(&r->task, resolve_begin, r);
    loop_timer_init(&r->timer, client->rt->worker, resolve_timeout, r);
    naming_name_split(name, &address, &rest);
    if (naming_name_is_rooted(name) && address.len > 0) {
        buf_append_span(&r->names, name);
        buf_u8(&r->names, 0);
    } else {
        for (size_t at = 0; at < client->roots.len;
             at += resolve_name(&client->roots, at).len + 1) {
            naming_name_join(&r->names, resolve_name(&client->roots, at), name);
            buf_u8(&r->names, 0);
        }
    }
    loop_worker_later(client->rt->worker, &r->task);
    loop_timer_start(&r->timer, RPC_RESOLVE_TIMEOUT);
    return r;
}

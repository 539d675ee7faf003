/*
 * Asking mount tables in order.
 *
 *     name 1  ----------------------- answer ------> decides
 *     name 2       (stagger) --------
 *     name 3                  (stagger) --
 *
 * A name is asked when the one before failed, or has been silent for a while; whoever answers
 * first decides. That a name does not exist is believed only when nobody before is still asked.
 */
#include "config.h"
#include "rpc/step.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "loop/timer.h"
#include "naming/name.h"
#include "rpc/call_private.h"
#include "rpc/header.h"
#include "vom/convert.h"
#include "vom/wiretypes.h"

#define SECOND INT64_C(1000000000)

struct step_ask {
    struct list node; /* in the order of the names */
    struct rpc_step *step;
    struct rpc_call *call; /* NULL: it has answered that there is no such name */
    struct buf asked;
    struct arena arena;
    struct vom_value servers;
    struct span suffix;
    struct err error; /* that the mount table answered */
};

struct rpc_step {
    struct rpc_client *client;
    struct security_private *identity; /* borrowed */
    bool no_fetch;
    const struct rpc_step_ops *ops;
    void *arg;
    struct span names;
    size_t at; /* offset of the next name to ask */
    struct list asks;
    struct loop_timer stagger;
    struct err error; /* the last one */
};

static void step_go_on(struct rpc_step *s);

/* ---- life ---- */

static void ask_free(struct step_ask *a)
{
    rpc_call_cancel(a->call);
    list_remove(&a->node);
    buf_done(&a->asked);
    arena_done(&a->arena);
    err_done(&a->error);
    free(a);
}

static void step_free(struct rpc_step *s)
{
    loop_timer_stop(&s->stagger);
    LIST_FOREACH_SAFE (node, after, &s->asks)
        ask_free(LIST_OBJECT(node, struct step_ask, node));
    err_done(&s->error);
    free(s);
}

bool rpc_step_cancel(struct rpc_step *s)
{
    bool missing = false;

    if (s == NULL)
        return false;
    LIST_FOREACH (node, &s->asks)
        missing = missing || LIST_OBJECT(node, struct step_ask, node)->call == NULL;
    step_free(s);
    return missing;
}

static bool is_error(const struct err *e, const char *text)
{
    return e->code == WSPR_ENOTFOUND && strcmp(err_text(e), text) == 0;
}

static bool is_missing(const struct err *e)
{
    return is_error(e, RPC_NO_SUCH_NAME) || is_error(e, RPC_NO_SUCH_NAME_ROOT);
}

static void step_fail(struct rpc_step *s, enum rpc_step_failure how, const struct err *why)
{
    const struct rpc_step_ops *ops = s->ops;
    void *arg = s->arg;
    struct err e = ERR_INIT;

    err_copy(&e, why);
    step_free(s);
    ops->failed(arg, how, &e);
    err_done(&e);
}

/* ---- one answer ---- */

static int ask_result(void *arg, struct rpc_call *call, uint32_t i, uint32_t n,
                      const struct rpc_value *v, struct err *err)
{
    static const struct vom_type *const types[] = {&vom_type_mounted_server_list, &vom_type_string,
                                                   &vom_type_any};
    struct step_ask *a = arg;
    struct vom_value value, kept;
    int e;

    e = vom_dec_convert(v->dec, v->msg, &a->arena, types[i], &value, err);
    if (e == 0)
        e = vom_value_copy(&a->arena, &value, &kept, err);
    if (e < 0)
        return e;
    if (i == 0)
        a->servers = kept;
    else if (i == 1)
        a->suffix = kept.s;
    else if (rpc_error_of_value(&kept, &a->error) == WSPR_ETYPE)
        return err_set(err, WSPR_ETYPE, "the result is no error");
    return 0;
}

/* The servers of an answer as a list of names, and the least of their times. */
static int ask_servers(struct step_ask *a, struct buf *out, int64_t *ret_ttl)
{
    *ret_ttl = 0;
    for (size_t i = 0; i < vom_value_len(&a->servers); i++) {
        struct vom_value entry = vom_value_at(&a->servers, i);
        struct vom_value server = vom_value_field(&entry, "Server");
        int64_t ttl = (int64_t)vom_value_field(&entry, "TTL").u * SECOND;

        if (memchr(server.s.p, 0, server.s.len) != NULL)
            continue;
        if (out->len == 0 || ttl < *ret_ttl)
            *ret_ttl = ttl;
        buf_append_span(out, server.s);
        buf_u8(out, 0);
    }
    return buf_error(out);
}

static void ask_decides(struct step_ask *a)
{
    struct rpc_step *s = a->step;
    const struct rpc_step_ops *ops = s->ops;
    void *arg = s->arg;
    struct buf servers = BUF_INIT(RPC_RESOLVE_MAX);
    struct rpc_step_answer answer = {.asked = buf_span(&a->asked), .suffix = a->suffix};
    struct err e = ERR_INIT;

    if (ask_servers(a, &servers, &answer.ttl) < 0) {
        err_set(&e, buf_error(&servers), "too many servers are mounted under one name");
        step_fail(s, RPC_STEP_NO_ANSWER, &e);
        err_done(&e);
    } else {
        answer.servers = buf_span(&servers);
        /* The answer borrows from the ask, which must outlive its step for that. */
        list_remove(&a->node);
        step_free(s);
        ops->answered(arg, &answer);
        ask_free(a);
    }
    buf_done(&servers);
}

static void ask_done(void *arg, struct rpc_call *call, const struct err *err)
{
    struct step_ask *a = arg;
    struct rpc_step *s = a->step;

    a->call = NULL;
    if (err == NULL && a->error.code == 0) {
        ask_decides(a);
        return;
    }
    if (err == NULL && is_missing(&a->error)) {
        s->at = s->names.len; /* later ones are not asked */
    } else {
        err_copy(&s->error, err != NULL ? err : &a->error);
        ask_free(a);
    }
    step_go_on(s);
}

static const struct rpc_call_ops ask_ops = {
    .result = ask_result,
    .done = ask_done,
};

/* ---- the order ---- */

static struct step_ask *ask_new(struct rpc_step *s, struct span name)
{
    struct rpc_call_opts opts = {
        .timeout = RPC_RESOLVE_TIMEOUT,
        .n_results = 3,
        .identity = s->identity,
        .no_fetch = s->no_fetch,
    };
    struct step_ask *a = calloc(1, sizeof *a);

    if (a == NULL)
        return NULL;
    list_init(&a->node);
    a->step = s;
    buf_init(&a->asked, RPC_RESOLVE_MAX);
    arena_init(&a->arena, 4 * RPC_RESOLVE_MAX);
    a->servers = vom_value_zero(&vom_type_mounted_server_list);
    naming_name_make_terminal(&a->asked, name);
    if (buf_error(&a->asked) == 0)
        a->call = rpc_call_new(s->client, buf_span(&a->asked), span_str("ResolveStep"), &opts,
                               &ask_ops, a);
    if (a->call == NULL) {
        ask_free(a);
        return NULL;
    }
    list_push_back(&s->asks, &a->node);
    s->client->rt->stats.resolve_steps++;
    rpc_call_start(a->call, 0);
    return a;
}

/* Asks the next name, if there is one; one that cannot be asked is passed over. */
static void step_ask_next(struct rpc_step *s)
{
    struct step_ask *a = NULL;

    while (a == NULL && s->at < s->names.len) {
        struct span name = span_str((const char *)s->names.p + s->at);

        s->at += name.len + 1;
        a = ask_new(s, name);
        if (a == NULL)
            err_set(&s->error, WSPR_ENOMEM, "a mount table cannot be asked");
    }
    if (a != NULL && s->at < s->names.len)
        loop_timer_start(&s->stagger, RPC_RESOLVE_STAGGER);
}

/* One of the names has failed. */
static void step_go_on(struct rpc_step *s)
{
    struct step_ask *first;

    loop_timer_stop(&s->stagger);
    step_ask_next(s);
    if (list_empty(&s->asks)) {
        step_fail(s, RPC_STEP_NO_ANSWER, &s->error);
        return;
    }
    first = LIST_OBJECT(s->asks.next, struct step_ask, node);
    if (first->call == NULL)
        step_fail(s,
                  is_error(&first->error, RPC_NO_SUCH_NAME_ROOT) ? RPC_STEP_MISSING_ROOT
                                                                 : RPC_STEP_MISSING,
                  &first->error);
}

static void step_stagger(void *arg)
{
    step_ask_next(arg);
}

bool rpc_step_start(struct rpc_client *client, struct span names, struct security_private *identity,
                    bool no_fetch, const struct rpc_step_ops *ops, void *arg,
                    struct rpc_step **ret_step)
{
    struct rpc_step *s = calloc(1, sizeof *s);

    *ret_step = s;
    if (s == NULL)
        return false;
    s->client = client;
    s->identity = identity;
    s->no_fetch = no_fetch;
    s->ops = ops;
    s->arg = arg;
    s->names = names;
    list_init(&s->asks);
    loop_timer_init(&s->stagger, client->rt->worker, step_stagger, s);
    err_set(&s->error, WSPR_ENOTFOUND, "no servers to resolve query");
    step_go_on(s);
    return true;
}

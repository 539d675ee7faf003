/*
 * What a server publishes: its publisher, and the question under which names it is found, which
 * needs the mount tables' help (spec: ipc 14.2, 14.3).
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "naming/name.h"
#include "rpc/publisher.h"
#include "rpc/resolve.h"
#include "rpc/server_private.h"

#define PUBLISHED_TIME (10 * CLOCK_S)

struct rpc_published {
    struct list node;
    struct rpc_server *server; /* NULL once it is stopped */
    struct buf suffix, names;
    size_t at; /* index of the next name */
    struct rpc_resolution *resolution;
    struct loop_task task;
    struct loop_timer limit;
    void (*done)(void *arg, struct span names, const struct err *err);
    void *arg;
};

/* ---- publishing ---- */

static int publish_failed(int r, struct err *err)
{
    if (r == WSPR_ELIMIT)
        return err_set(err, r, "the server has too many names");
    return r < 0 ? err_set(err, r, "%s", err_code_text(r)) : 0;
}

/* The form in which an endpoint is mounted, with its length. */
static struct span published_form(const struct rpc_server *s, const char *endpoint,
                                  char form[NAMING_ENDPOINT_TEXT_MAX + 4])
{
    int n =
        snprintf(form, NAMING_ENDPOINT_TEXT_MAX + 4, "/%s%s", endpoint, s->mount_table ? "" : "//");

    return span_of(form, (size_t)n);
}

int rpc_server_add_endpoint(struct rpc_server *s, const char *endpoint, struct err *err)
{
    char form[NAMING_ENDPOINT_TEXT_MAX + 4];

    if (s->publisher == NULL || endpoint == NULL || endpoint[0] == '\0')
        return 0;
    return publish_failed(rpc_publisher_add_server(s->publisher, published_form(s, endpoint, form)),
                          err);
}

void rpc_server_remove_endpoint(struct rpc_server *s, const char *endpoint)
{
    char form[NAMING_ENDPOINT_TEXT_MAX + 4];

    if (s->publisher != NULL && !s->closing)
        rpc_publisher_remove_server(s->publisher, published_form(s, endpoint, form));
}

int rpc_server_publish(struct rpc_server *s, struct span name, struct err *err)
{
    int r;

    if (s->closing)
        return err_set(err, WSPR_EABORTED, "ipc: server is stopped");
    if (s->publisher == NULL) {
        s->publisher = rpc_publisher_new(s->rt, s->identity, s->share);
        if (s->publisher == NULL)
            return err_set(err, WSPR_ENOMEM, "out of memory");
    }
    r = rpc_server_add_endpoint(s, s->endpoint, err);
    if (r == 0)
        r = rpc_server_add_endpoint(s, rpc_server_relay_endpoint(s), err);
    return r < 0 ? r : publish_failed(rpc_publisher_add_name(s->publisher, name), err);
}

void rpc_server_unpublish(struct rpc_server *s, struct span name)
{
    if (s->publisher != NULL && !s->closing)
        rpc_publisher_remove_name(s->publisher, name);
}

struct rpc_publisher *rpc_server_publisher(struct rpc_server *s)
{
    return s->publisher;
}

/* ---- the question ---- */

static void published_detach(struct rpc_published *q)
{
    list_remove(&q->node);
    rpc_resolve_cancel(q->resolution);
    q->resolution = NULL;
    loop_timer_stop(&q->limit);
}

void rpc_published_cancel(struct rpc_published *q)
{
    if (q == NULL)
        return;
    published_detach(q);
    loop_task_cancel(&q->task);
    buf_done(&q->suffix);
    buf_done(&q->names);
    free(q);
}

static void published_end(struct rpc_published *q)
{
    struct err e = ERR_INIT;

    if (q->server == NULL)
        err_set(&e, WSPR_EABORTED, "ipc: server is stopped");
    else if (buf_error(&q->names) != 0)
        err_set(&e, buf_error(&q->names), "too many names");
    q->done(q->arg, e.code == 0 ? buf_span(&q->names) : span_of(NULL, 0), e.code != 0 ? &e : NULL);
    err_done(&e);
    rpc_published_cancel(q);
}

static void published_resolved(void *arg, struct span names, const struct err *err)
{
    struct rpc_published *q = arg;
    struct buf resolvable = BUF_INIT(RPC_RESOLVE_MAX);
    struct span name;

    q->resolution = NULL;
    while (err == NULL && rpc_names_next(&names, &name)) {
        buf_reset(&resolvable);
        naming_name_make_resolvable(&resolvable, name);
        naming_name_join(&q->names, buf_span(&resolvable), buf_span(&q->suffix));
        buf_u8(&q->names, 0);
    }
    buf_done(&resolvable);
    loop_worker_later(q->server->rt->worker, &q->task);
}

/* Asks for the next name. */
static void published_next(void *arg)
{
    struct rpc_published *q = arg;
    struct rpc_server *s = q->server;
    struct span name;

    if (s != NULL && buf_error(&q->names) == 0 && s->publisher != NULL &&
        rpc_publisher_name(s->publisher, q->at, &name)) {
        q->at++;
        q->resolution =
            rpc_resolve_mount_table(s->rt->client, name, s->identity, published_resolved, q);
        if (q->resolution != NULL)
            return;
        q->names.error = WSPR_ENOMEM;
    }
    published_end(q);
}

/* Whatever is known by now is better than nothing. */
static void published_limit(void *arg)
{
    published_end(arg);
}

struct rpc_published *
rpc_server_published(struct rpc_server *s, struct span suffix,
                     void (*done)(void *arg, struct span names, const struct err *err), void *arg)
{
    struct rpc_published *q = calloc(1, sizeof *q);

    if (q == NULL)
        return NULL;
    list_init(&q->node);
    q->done = done;
    q->arg = arg;
    buf_init(&q->suffix, RPC_RESOLVE_MAX);
    buf_init(&q->names, RPC_RESOLVE_MAX);
    loop_task_init(&q->task, published_next, q);
    loop_timer_init(&q->limit, s->rt->worker, published_limit, q);
    buf_append_span(&q->suffix, suffix);
    if (buf_error(&q->suffix) != 0) {
        rpc_published_cancel(q);
        return NULL;
    }
    if (!s->closing) {
        q->server = s;
        list_push_back(&s->published, &q->node);
        loop_timer_start(&q->limit, PUBLISHED_TIME);
    }
    loop_worker_later(s->rt->worker, &q->task);
    return q;
}

void rpc_published_abort(struct rpc_server *s)
{
    struct list *node;

    while ((node = list_pop(&s->published)) != NULL) {
        struct rpc_published *q = LIST_OBJECT(node, struct rpc_published, node);

        published_detach(q);
        q->server = NULL;
        loop_worker_later(s->rt->worker, &q->task);
    }
}

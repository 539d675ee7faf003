#include "config.h"
#include "rpc/link.h"

#include <stdio.h>
#include <stdlib.h>

#include "loop/listener.h"
#include "rpc/runtime_private.h"
#include "rpc/server_private.h"

#define LINK_FILL  65536         /* bytes sealed per turn of the socket */
#define LINK_CLOSE (2 * CLOCK_S) /* what is still to be sent at the end may take this long */

static void link_set_timer(struct rpc_link *l)
{
    int64_t at = l->vif != NULL ? vc_vif_deadline(l->vif) : INT64_MAX;

    if (at == INT64_MAX)
        loop_timer_stop(&l->timer);
    else if (!loop_timer_running(&l->timer) || l->timer.at != at)
        loop_timer_start_at(&l->timer, at);
}

static void link_tick(void *arg)
{
    struct rpc_link *l = arg;

    if (l->over)
        return;
    vc_vif_tick(l->vif, loop_worker_now(l->rt->worker));
    link_set_timer(l);
}

static void link_work(void *arg, struct vc_job *job)
{
    struct rpc_link *l = arg;

    rpc_jobs_submit(&l->rt->jobs, job);
}

/* ---- the end ---- */

static void link_tell(struct rpc_link *l, struct rpc_link *up, const struct err *why)
{
    struct list *node;

    while ((node = list_pop(&l->waiters)) != NULL) {
        struct rpc_link_waiter *w = LIST_OBJECT(node, struct rpc_link_waiter, node);

        w->ready(w, up, why);
    }
}

static void link_end(void *arg)
{
    struct rpc_link *l = arg;
    struct rpc_runtime *rt = l->rt;

    if (l->vif != NULL) {
        /* What the engine still wants to say (CloseVC …) goes out with the last write. */
        if (l->sock != NULL) {
            struct buf *out = loop_sock_out(l->sock);

            while (vc_vif_output(l->vif, out, LINK_FILL, loop_worker_now(rt->worker)) > 0 &&
                   buf_error(out) == 0)
                ;
        }
        vc_vif_free(l->vif, l->why.code != 0 ? &l->why : NULL);
        l->vif = NULL;
    }
    if (l->sock != NULL)
        loop_sock_close(l->sock);
    link_tell(l, NULL, &l->why);
    loop_timer_stop(&l->timer);
    loop_timer_stop(&l->last);
    if (l->other != NULL)
        l->other->other = NULL;
    list_remove(&l->node);
    rt->stats.links--;
    err_done(&l->why);
    free(l);
    rpc_runtime_check_stopped(rt);
}

static void link_over(struct rpc_link *l, const struct err *why)
{
    if (l->over)
        return;
    l->over = true;
    if (why != NULL)
        err_copy(&l->why, why);
    if (l->why.code == 0)
        err_set(&l->why, WSPR_ECLOSED, "VIF is being closed");
    loop_worker_reap(l->rt->worker, &l->end);
}

/* ---- the engine's callbacks ---- */

static void link_wake(void *arg)
{
    struct rpc_link *l = arg;

    if (!l->over && l->sock != NULL)
        loop_sock_want_write(l->sock);
}

static int link_accept_vc(void *arg, struct vc *vc, struct span dst, struct span src,
                          struct vc_accept *ret_how, struct err *e)
{
    struct rpc_link *l = arg;

    struct rpc_server *server = l->server;

    if (l->listener != NULL) {
        int r = rpc_listener_find(l->listener, dst, &server, e);

        if (r < 0)
            return r;
    }
    if (server == NULL)
        return err_set(e, WSPR_ECLOSED, "VCs not accepted");
    return rpc_server_accept_vc(server, vc, l->listener != NULL, src, ret_how, e);
}

/* The connection failed: those who use it are told the same as the log. */
static void link_failed(void *arg, const struct err *why)
{
    struct rpc_link *l = arg;
    char peer[LOOP_ADDR_TEXT + 2];

    if (!l->over && l->vif != NULL && why->code != WSPR_ECLOSED)
        log_write(l->rt->log, LOG_LEVEL_INFO, "rpc", "connection with %s ends: %s",
                  log_quote(peer, sizeof peer, l->address, strlen(l->address)), err_text(why));
    link_over(l, why);
}

static void link_lost(struct rpc_link *l, int code, const char *text)
{
    struct err e = ERR_INIT;

    err_set(&e, code, "%s", text);
    link_failed(l, &e);
    err_done(&e);
}

static const struct vc_vif_ops link_vif_ops = {
    .wake = link_wake,
    .work = link_work,
    .accept_vc = link_accept_vc,
    .failed = link_failed,
};

/* ---- the socket's callbacks ---- */

static size_t link_data(void *arg, uint8_t *p, size_t len)
{
    struct rpc_link *l = arg;

    if (!l->over && l->vif != NULL) {
        vc_vif_input(l->vif, span_of(p, len), loop_worker_now(l->rt->worker));
        link_set_timer(l);
    }
    return len;
}

static void link_fill(void *arg, struct buf *out)
{
    struct rpc_link *l = arg;
    int r;

    if (l->over || l->vif == NULL)
        return;
    r = vc_vif_output(l->vif, out, LINK_FILL, loop_worker_now(l->rt->worker));
    if (r < 0) {
        buf_reset(out);
        link_lost(l, WSPR_ENOMEM, "out of memory");
        return;
    }
    link_set_timer(l);
    if (l->closing && vc_vif_drained(l->vif))
        link_over(l, NULL);
}

static int link_up(struct rpc_link *l)
{
    struct vc_vif_opts opts = {
        .dialled = l->dialled,
        .accepting = l->server != NULL || l->listener != NULL,
        .peer_borrows = l->memory,
        .now = loop_worker_now(l->rt->worker),
    };
    char name[2 * LOOP_ADDR_TEXT + 32];

    if (!l->memory)
        loop_addr_text(loop_sock_local(l->sock), l->local);
    snprintf(name, sizeof name, "(tcp, %s) <-> (tcp, %s)", l->address, l->local);
    opts.name = name;
    l->vif = vc_vif_new(l->rt->pool, &opts, &link_vif_ops, l);
    if (l->vif == NULL)
        return WSPR_ENOMEM;
    link_set_timer(l);
    return 0;
}

static void link_connected(void *arg)
{
    struct rpc_link *l = arg;

    if (link_up(l) < 0) {
        err_set(&l->why, WSPR_ENOMEM, "out of memory");
        link_over(l, NULL);
        return;
    }
    link_tell(l, l, NULL);
}

static const struct loop_sock_ops link_sock_ops = {
    .data = link_data,
    .closed = link_failed,
    .connected = link_connected,
    .fill = link_fill,
};

/* The peer does not take what is left. */
static void link_last(void *arg)
{
    link_over(arg, NULL);
}

static void link_tell_later(void *arg)
{
    struct rpc_link *l = arg;

    if (!l->over)
        link_tell(l, l, NULL);
}

static struct rpc_link *link_new(struct rpc_runtime *rt, const char *address, bool dialled)
{
    size_t len = strlen(address);
    struct rpc_link *l = calloc(1, sizeof *l + len + 1);

    if (l == NULL)
        return NULL;
    memcpy(l->address, address, len + 1);
    l->rt = rt;
    l->dialled = dialled;
    list_init(&l->waiters);
    loop_timer_init(&l->timer, rt->worker, link_tick, l);
    loop_timer_init(&l->last, rt->worker, link_last, l);
    loop_task_init(&l->tell, link_tell_later, l);
    loop_task_init(&l->end, link_end, l);
    list_push_back(&rt->links, &l->node);
    rt->stats.links++;
    return l;
}

/* One that was not told to anybody. */
static void link_discard(struct rpc_link *l)
{
    vc_vif_free(l->vif, NULL);
    if (l->sock != NULL)
        loop_sock_abort(l->sock);
    loop_timer_stop(&l->timer);
    list_remove(&l->node);
    l->rt->stats.links--;
    free(l);
}

static struct loop_sock_opts link_sock_opts(struct rpc_link *l)
{
    return (struct loop_sock_opts){
        .ops = &link_sock_ops,
        .arg = l,
        .out_max = 4 * 1024 * 1024,
        .keepalive = true,
        .patience = l->rt->limits.peer_timeout,
    };
}

/* ---- for the files of core/rpc ---- */

static struct rpc_link *link_find(struct rpc_runtime *rt, const char *address)
{
    LIST_FOREACH (node, &rt->links) {
        struct rpc_link *l = LIST_OBJECT(node, struct rpc_link, node);

        if (l->dialled && !l->memory && l->server == NULL && !l->over && !l->closing &&
            strcmp(l->address, address) == 0)
            return l;
    }
    return NULL;
}

/* Begins to dial; the waiter is told. */
static int link_dial(struct rpc_runtime *rt, const char *address, struct rpc_server *server,
                     struct rpc_link_waiter *w, struct err *err)
{
    struct loop_sock_opts opts;
    struct rpc_link *l;
    int r;

    if (rt->stopping)
        return err_set(err, WSPR_ECLOSED, "the runtime is stopping");
    l = link_new(rt, address, true);
    if (l == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    l->server = server;
    opts = link_sock_opts(l);
    rt->stats.dials++;
    r = loop_sock_dial(rt->worker, rt->offload, address, 0, &opts, &l->sock, err);
    if (r < 0) {
        link_discard(l);
        return r;
    }
    list_push_back(&l->waiters, &w->node);
    return 0;
}

/* The one that leads to the server, or to all at its listener. */
static struct rpc_link *link_find_memory(const struct rpc_server *server)
{
    LIST_FOREACH (node, &server->rt->links) {
        struct rpc_link *l = LIST_OBJECT(node, struct rpc_link, node), *other = l->other;

        if (l->dialled && other != NULL && !l->over && !l->closing && !other->over &&
            !other->closing &&
            (server->shared != NULL ? other->listener == server->shared : other->server == server))
            return l;
    }
    return NULL;
}

/* Makes the dialled link to a server of this runtime, and its other end. */
static int link_pair(struct rpc_server *server, const char *address, struct rpc_link **ret_link,
                     struct err *err)
{
    struct rpc_runtime *rt = server->rt;
    struct rpc_link *l = link_new(rt, address, true);
    struct rpc_link *other = l != NULL ? link_new(rt, address, false) : NULL;
    struct loop_sock_opts opts, others;

    if (other == NULL)
        goto no_memory;
    opts = link_sock_opts(l);
    others = link_sock_opts(other);
    if (loop_sock_pair(rt->worker, &opts, &others, &l->sock, &other->sock, NULL) < 0)
        goto no_memory;
    l->memory = other->memory = true;
    l->other = other;
    other->other = l;
    other->server = server->shared == NULL ? server : NULL;
    other->listener = server->shared;
    loop_addr_text(rpc_server_bound(server), l->local);
    loop_addr_text(rpc_server_bound(server), other->local);
    if (link_up(l) < 0 || link_up(other) < 0)
        goto no_memory;
    rt->stats.memory_links++;
    *ret_link = l;
    return 0;
no_memory:
    if (other != NULL)
        link_discard(other);
    if (l != NULL)
        link_discard(l);
    return err_set(err, WSPR_ENOMEM, "out of memory");
}

int rpc_link_get(struct rpc_runtime *rt, const struct naming_endpoint *ep,
                 struct rpc_link_waiter *w, struct err *err)
{
    struct rpc_server *own = rt->stopping || rt->tcp_only ? NULL : rpc_server_at(rt, ep);
    struct rpc_link *l = NULL;
    int r;

    if (own != NULL)
        l = link_find_memory(own);
    else if (!rt->stopping)
        l = link_find(rt, ep->address);
    if (l == NULL && own != NULL && rt->stats.links < rt->limits.links) {
        r = link_pair(own, ep->address, &l, err);
        if (r < 0)
            return r;
    }
    if (l == NULL)
        return link_dial(rt, ep->address, NULL, w, err);
    list_push_back(&l->waiters, &w->node);
    if (l->vif != NULL && !loop_task_queued(&l->tell))
        loop_worker_later(rt->worker, &l->tell);
    return 0;
}

int rpc_link_dial(struct rpc_runtime *rt, const char *address, struct rpc_server *server,
                  struct rpc_link_waiter *w, struct err *err)
{
    return link_dial(rt, address, server, w, err);
}

int rpc_link_adopt(struct rpc_runtime *rt, int fd, const struct loop_addr *peer,
                   struct rpc_server *server, struct rpc_listener *listener, struct err *err)
{
    struct loop_sock_opts opts;
    char address[LOOP_ADDR_TEXT];
    struct rpc_link *l;
    int r;

    if (rt->stats.links >= rt->limits.links) {
        loop_listener_drop(fd);
        rt->stats.links_refused++;
        return err_set(err, WSPR_ELIMIT, "there are %u connections", rt->limits.links);
    }
    l = link_new(rt, loop_addr_text(peer, address), false);
    if (l == NULL) {
        loop_listener_drop(fd);
        return err_set(err, WSPR_ENOMEM, "out of memory");
    }
    l->server = server;
    l->listener = listener;
    opts = link_sock_opts(l);
    opts.peer = peer;
    r = loop_sock_adopt(rt->worker, fd, &opts, &l->sock, err);
    if (r < 0) {
        link_discard(l);
        return r;
    }
    if (link_up(l) < 0) {
        link_discard(l);
        return err_set(err, WSPR_ENOMEM, "out of memory");
    }
    return 0;
}

void rpc_link_shutdown(struct rpc_link *link)
{
    if (link->over || link->closing)
        return;
    if (link->vif == NULL) {
        link_over(link, NULL);
        return;
    }
    link->closing = true;
    loop_timer_start(&link->last, LINK_CLOSE);
    vc_vif_shutdown(link->vif);
    loop_sock_want_write(link->sock);
}

void rpc_link_abort(struct rpc_link *link, const char *why)
{
    link_lost(link, WSPR_ECLOSED, why);
}

void rpc_link_sweep(struct rpc_runtime *rt, int64_t now)
{
    LIST_FOREACH_SAFE (node, after, &rt->links) {
        struct rpc_link *l = LIST_OBJECT(node, struct rpc_link, node);

        if (l->over || l->vif == NULL)
            continue;
        /* A socket whose peer takes nothing asks for no output, which would bring the time. */
        link_tick(l);
        if (!l->over && list_empty(&l->waiters) &&
            vc_vif_idle_since(l->vif) <= now - rt->limits.vc_idle)
            rpc_link_shutdown(l);
    }
}

#include "config.h"
#include "rpc/server.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "rpc/link.h"
#include "rpc/publisher.h"
#include "rpc/server_private.h"
#include "rpc/turns.h"
#include "security/acl.h"
#include "security/identity.h"

#define SERVER_MAX_CALLS 65536
#define UNPUBLISH_TIME   (5 * CLOCK_S)

static int authorize_all(void *arg, struct rpc_scall *call, struct err *err)
{
    return 0;
}

const struct rpc_authorizer rpc_authorizer_all = {authorize_all, NULL};

/* ---- circuits that peers open ---- */

static void scircuit_free(struct rpc_scircuit *c)
{
    list_remove(&c->node);
    vc_close(c->vc);
    c->server->rt->stats.vcs--;
    free(c);
}

static void scircuit_ready(void *arg, struct vc *vc)
{
    struct rpc_scircuit *c = arg;
    struct rpc_runtime *rt = c->server->rt;

    c->ready = true;
    rt->stats.handshakes++;
    if (vc_is_legacy(vc)) {
        rt->stats.legacy_peers++;
        log_write(rt->log, LOG_LEVEL_WARN, "rpc", "%.*s only takes the broken cipher RC4 (%s)",
                  SPAN_ARG(vc_remote_endpoint(vc)), vc_describe(vc));
    }
}

static void scircuit_closed(void *arg, struct vc *vc, const struct err *why)
{
    struct rpc_scircuit *c = arg;
    struct rpc_server *s = c->server;

    if (!c->ready)
        s->rt->stats.handshakes_failed++;
    scircuit_free(c);
    rpc_server_check_stopped(s);
}

static int scircuit_accept(void *arg, struct vc *vc, struct vc_flow *flow)
{
    struct rpc_scircuit *c = arg;

    if (c->server->stopping)
        return WSPR_ECLOSED;
    return rpc_scall_new(c, flow);
}

static const struct vc_ops scircuit_ops = {
    .ready = scircuit_ready,
    .closed = scircuit_closed,
    .accept = scircuit_accept,
};

int rpc_server_accept_vc(struct rpc_server *s, struct vc *vc, bool shared, struct span src,
                         struct vc_accept *ret_how, struct err *err)
{
    struct rpc_scircuit *c;
    int r;

    if (s->stopping)
        return err_set(err, WSPR_ECLOSED, "VCs not accepted");
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    r = vc_tls_acceptor(s->rt->tls, &ret_how->crypter, err);
    if (r < 0) {
        free(c);
        return r;
    }
    c->server = s;
    c->vc = vc;
    c->shared = shared;
    list_push_back(&s->circuits, &c->node);
    s->rt->stats.vcs++;
    ret_how->security = VC_SECURE;
    ret_how->identity = s->identity;
    ret_how->ops = &scircuit_ops;
    ret_how->arg = c;
    return 0;
}

/* ---- listening ---- */

static void server_accepted(void *arg, int fd, const struct loop_addr *peer)
{
    struct rpc_server *s = arg;
    struct err e = ERR_INIT;

    if (rpc_link_adopt(s->rt, fd, peer, s, NULL, &e) < 0)
        log_write(s->rt->log, LOG_LEVEL_WARN, "rpc", "a connection is dropped: %s", err_text(&e));
    err_done(&e);
}

static void server_trouble(void *arg, const struct err *why)
{
    struct rpc_server *s = arg;

    log_write(s->rt->log, LOG_LEVEL_WARN, "rpc", "accepting connections pauses: %s", err_text(why));
}

static const struct loop_listener_ops server_listener_ops = {
    .accepted = server_accepted,
    .trouble = server_trouble,
};

int rpc_server_set_address(struct rpc_server *s, const char *address, struct err *err)
{
    struct naming_endpoint ep;
    int r = naming_endpoint_make(&ep, span_str("tcp"), span_str(address), &s->rid, err);

    if (r < 0)
        return r;
    naming_endpoint_text(&ep, s->endpoint);
    r = rpc_server_add_endpoint(s, s->endpoint, err);
    if (r < 0)
        s->endpoint[0] = '\0';
    return r;
}

int rpc_server_listen(struct rpc_server *s, const char *address, const char **ret_endpoint,
                      struct err *err)
{
    char text[LOOP_ADDR_TEXT];
    int r;

    if (s->closing)
        return err_set(err, WSPR_EABORTED, "ipc: server is stopped");
    if (s->listener != NULL || s->shared != NULL)
        return err_set(err, WSPR_EEXISTS, "the server listens already");
    r = loop_listener_new(s->rt->worker, address, &server_listener_ops, s, &s->listener, err);
    if (r < 0)
        return r;
    loop_addr_text(loop_listener_addr(s->listener), text);
    r = rpc_server_set_address(s, text, err);
    if (r < 0) {
        loop_listener_free(s->listener);
        s->listener = NULL;
        return r;
    }
    *ret_endpoint = s->endpoint;
    return 0;
}

const struct loop_addr *rpc_server_bound(const struct rpc_server *s)
{
    if (s->shared != NULL)
        return rpc_listener_bound(s->shared);
    return s->listener != NULL ? loop_listener_addr(s->listener) : NULL;
}

/* Whether a peer that dials the address gets to the socket of the server. */
static bool server_listens_at(const struct rpc_server *s, const char *address)
{
    const struct loop_addr *bound = rpc_server_bound(s);
    char text[LOOP_ADDR_TEXT];

    if (bound == NULL)
        return false;
    return strcmp(loop_addr_text(bound, text), address) == 0 ||
           (s->shared != NULL && strcmp(rpc_listener_address(s->shared), address) == 0);
}

struct rpc_server *rpc_server_at(struct rpc_runtime *rt, const struct naming_endpoint *ep)
{
    if (strcmp(ep->protocol, "tcp") != 0)
        return NULL;
    LIST_FOREACH (node, &rt->servers) {
        struct rpc_server *s = LIST_OBJECT(node, struct rpc_server, node);

        if (naming_rid_equal(&s->rid, &ep->rid))
            return !s->stopping && server_listens_at(s, ep->address) ? s : NULL;
    }
    return NULL;
}

void rpc_server_sweep(struct rpc_runtime *rt)
{
    LIST_FOREACH (node, &rt->servers)
        rpc_scall_free_spare(LIST_OBJECT(node, struct rpc_server, node), spares_take_idle);
}

/* ---- life ---- */

static void server_free(struct rpc_server *s)
{
    if (s == NULL)
        return;
    list_remove(&s->node);
    list_remove(&s->at_listener);
    loop_listener_free(s->listener);
    rpc_relaying_free(s->relaying);
    rpc_scall_free_spare(s, spares_take);
    security_acl_free(s->default_acl);
    security_private_unref(s->identity);
    rpc_share_unref(s->share);
    free(s);
}

static void server_stopped(void *arg)
{
    struct rpc_server *s = arg;
    struct rpc_runtime *rt = s->rt;
    void (*stopped)(void *) = s->stopped;
    void *stopped_arg = s->stopped_arg;

    server_free(s);
    if (stopped != NULL)
        stopped(stopped_arg);
    rpc_runtime_check_stopped(rt);
}

/* Ends the links of the server, and its circuits on links that it shares: with the last call they
 * are of no use any more. */
static void server_close_links(struct rpc_server *s)
{
    LIST_FOREACH_SAFE (node, after, &s->circuits) {
        struct rpc_scircuit *c = LIST_OBJECT(node, struct rpc_scircuit, node);

        if (c->shared)
            scircuit_free(c);
    }
    LIST_FOREACH_SAFE (node, after, &s->rt->links) {
        struct rpc_link *l = LIST_OBJECT(node, struct rpc_link, node);

        if (l->server == s) {
            l->server = NULL;
            rpc_link_shutdown(l);
        }
    }
}

void rpc_server_check_stopped(struct rpc_server *s)
{
    if (!s->stopping || s->n_calls > 0)
        return;
    loop_timer_stop(&s->grace);
    server_close_links(s);
    if (list_empty(&s->circuits))
        loop_worker_reap(s->rt->worker, &s->stop_task);
}

static void server_grace_over(void *arg)
{
    struct rpc_server *s = arg;
    struct list dropped, *node;

    /* Whatever a method does when it learns of it: each call is dropped once. */
    list_init(&dropped);
    while ((node = list_pop(&s->calls)) != NULL)
        list_push_back(&dropped, node);
    while ((node = list_pop(&dropped)) != NULL) {
        list_push_back(&s->calls, node);
        rpc_scall_drop(LIST_OBJECT(node, struct rpc_scall, node));
    }
}

int rpc_server_renew_identity(struct rpc_server *s, struct security_private *identity)
{
    struct security_private *old = s->identity;

    if (identity == old)
        return 0;
    if (!security_pubkey_equal(security_identity_key(security_private_public(identity)),
                               security_identity_key(security_private_public(old))))
        return WSPR_EINVAL;
    s->identity = security_private_ref(identity);
    if (s->publisher != NULL)
        rpc_publisher_renew_identity(s->publisher, identity);
    security_private_unref(old);
    return 0;
}

int rpc_server_new(struct rpc_runtime *rt, const struct rpc_server_opts *opts,
                   const struct rpc_dispatcher *dispatcher, struct rpc_server **ret_server,
                   struct err *err)
{
    struct rpc_server *s = calloc(1, sizeof *s);
    int r;

    if (s == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    s->rt = rt;
    s->dispatcher = *dispatcher;
    s->max_calls = opts->max_calls > 0 ? opts->max_calls : SERVER_MAX_CALLS;
    list_init(&s->node);
    list_init(&s->at_listener);
    list_init(&s->circuits);
    list_init(&s->calls);
    spares_init(&s->spare, RPC_SERVER_SPARE);
    list_init(&s->published);
    s->mount_table = opts->mount_table;
    loop_timer_init(&s->grace, rt->worker, server_grace_over, s);
    loop_task_init(&s->stop_task, server_stopped, s);
    s->share = opts->share != NULL ? rpc_share_ref(opts->share) : NULL;
    s->identity = security_private_ref(opts->identity != NULL ? opts->identity : rt->identity);
    s->default_acl = security_acl_default(security_private_public(s->identity), rt->trust);
    if (s->default_acl == NULL || rpc_draw_rid(&s->rid) < 0) {
        r = s->default_acl == NULL ? WSPR_ENOMEM : WSPR_ECRYPTO;
        server_free(s);
        return err_set(err, r, "%s", err_code_text(r));
    }
    list_push_back(&rt->servers, &s->node);
    *ret_server = s;
    return 0;
}

/* Nothing of it can be found any more. */
static void server_unpublished(void *arg)
{
    struct rpc_server *s = arg;

    s->publisher = NULL;
    s->stopping = true;
    loop_listener_free(s->listener);
    s->listener = NULL;
    list_remove(&s->at_listener);
    rpc_relaying_stop(s);
    if (s->n_calls > 0)
        loop_timer_start(&s->grace, s->grace_time);
    rpc_server_check_stopped(s);
}

void rpc_server_stop(struct rpc_server *s, int64_t grace, void (*done)(void *arg), void *arg)
{
    s->closing = true;
    s->stopped = done;
    s->stopped_arg = arg;
    s->grace_time = grace;
    rpc_published_abort(s);
    if (!rpc_publisher_stop(s->publisher, UNPUBLISH_TIME, server_unpublished, s))
        server_unpublished(s);
}

/*
 * One socket for several servers (spec: stream 5.3): the routing id of OpenVC says which of them a
 * circuit is for, as at a relay, so a link belongs to the listener and only circuits to servers.
 */
#include "config.h"

#include <stdlib.h>

#include "rpc/link.h"
#include "rpc/server_private.h"

struct rpc_listener {
    struct rpc_runtime *rt;
    struct loop_listener *socket;
    struct list servers; /* struct rpc_server */
    char address[NAMING_ADDRESS_MAX + 1];
};

/* ---- connections ---- */

static void listener_accepted(void *arg, int fd, const struct loop_addr *peer)
{
    struct rpc_listener *l = arg;
    struct err e = ERR_INIT;

    if (rpc_link_adopt(l->rt, fd, peer, NULL, l, &e) < 0)
        log_write(l->rt->log, LOG_LEVEL_WARN, "rpc", "a connection is dropped: %s", err_text(&e));
    err_done(&e);
}

static void listener_trouble(void *arg, const struct err *why)
{
    struct rpc_listener *l = arg;

    log_write(l->rt->log, LOG_LEVEL_WARN, "rpc", "accepting connections pauses: %s", err_text(why));
}

static const struct loop_listener_ops listener_ops = {
    .accepted = listener_accepted,
    .trouble = listener_trouble,
};

int rpc_listener_find(struct rpc_listener *l, struct span dst, struct rpc_server **ret_server,
                      struct err *err)
{
    char id[NAMING_RID_TEXT_LEN + 1];
    struct naming_endpoint ep;
    int r = naming_endpoint_parse(dst, &ep, err);

    if (r < 0)
        return r;
    LIST_FOREACH (node, &l->servers) {
        struct rpc_server *s = LIST_OBJECT(node, struct rpc_server, at_listener);
        bool only = l->servers.next == l->servers.prev;

        if (naming_rid_equal(&s->rid, &ep.rid) || (only && naming_rid_is_null(&ep.rid))) {
            *ret_server = s;
            return 0;
        }
    }
    naming_rid_format(&ep.rid, id);
    return err_set(err, WSPR_ENOTFOUND, "no server with routing id %s is being proxied", id);
}

/* ---- life ---- */

int rpc_listener_new(struct rpc_runtime *rt, const char *address, const char *advertise,
                     struct rpc_listener **ret_listener, struct err *err)
{
    struct rpc_listener *l = calloc(1, sizeof *l);
    char bound[LOOP_ADDR_TEXT];
    int r;

    if (l == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    l->rt = rt;
    list_init(&l->servers);
    r = loop_listener_new(rt->worker, address, &listener_ops, l, &l->socket, err);
    if (r == 0)
        r = naming_address_advertised(loop_addr_text(loop_listener_addr(l->socket), bound),
                                      advertise, l->address, err);
    if (r < 0) {
        rpc_listener_free(l);
        return r;
    }
    *ret_listener = l;
    return 0;
}

void rpc_listener_free(struct rpc_listener *l)
{
    struct list *node;

    if (l == NULL)
        return;
    loop_listener_free(l->socket);
    while ((node = list_pop(&l->servers)) != NULL)
        LIST_OBJECT(node, struct rpc_server, at_listener)->shared = NULL;
    LIST_FOREACH (n, &l->rt->links) {
        struct rpc_link *link = LIST_OBJECT(n, struct rpc_link, node);

        /* The sweep of the runtime closes it once it is idle. */
        if (link->listener == l) {
            link->listener = NULL;
            if (link->vif != NULL)
                vc_vif_set_accepting(link->vif, false);
        }
    }
    free(l);
}

const char *rpc_listener_address(const struct rpc_listener *l)
{
    return l->address;
}

const struct loop_addr *rpc_listener_bound(const struct rpc_listener *l)
{
    return loop_listener_addr(l->socket);
}

int rpc_server_listen_shared(struct rpc_server *s, struct rpc_listener *l,
                             const char **ret_endpoint, struct err *err)
{
    int r;

    if (s->closing)
        return err_set(err, WSPR_EABORTED, "ipc: server is stopped");
    if (s->listener != NULL || s->shared != NULL)
        return err_set(err, WSPR_EEXISTS, "the server listens already");
    r = rpc_server_set_address(s, l->address, err);
    if (r < 0)
        return r;
    s->shared = l;
    list_push_back(&l->servers, &s->at_listener);
    *ret_endpoint = s->endpoint;
    return 0;
}

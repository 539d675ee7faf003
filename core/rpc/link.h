/*
 * Links: a connection with the stream engine on it. The runtime keeps them, dialled ones keyed by
 * address, so that circuits to one address share one connection.
 *
 *     socket --data--> vc_vif_input            vc_vif_output <--fill-- socket
 *     vif --work--> offload pool --done--> vc_job_done
 *
 * The way to a server of this runtime does not leave the process: two links, the dialled one and
 * the accepted one, whose sockets are connected in memory. Nothing else is different about them:
 * what goes over is what would go over TCP, handshakes included.
 *
 * Internal to core/rpc. Worker's thread.
 */
#ifndef RPC_LINK_H
#define RPC_LINK_H

#include "base/list.h"
#include "loop/sock.h"
#include "loop/timer.h"
#include "rpc/runtime.h"
#include "vc/vif.h"

struct naming_endpoint;
struct rpc_link;
struct rpc_listener;
struct rpc_server;

/* Somebody who waits for a dialled link; told exactly once unless removed before. */
struct rpc_link_waiter {
    struct list node;
    /* link is NULL if dialling failed, with the reason in why. */
    void (*ready)(struct rpc_link_waiter *w, struct rpc_link *link, const struct err *why);
};

struct rpc_link {
    struct list node; /* in the runtime's list */
    struct rpc_runtime *rt;
    struct loop_sock *sock;
    struct vc_vif *vif;            /* NULL while dialling */
    struct rpc_server *server;     /* accepts circuits; NULL: none are accepted, or */
    struct rpc_listener *listener; /* its servers do */
    struct list waiters;
    struct loop_timer timer; /* of the engine */
    struct loop_timer last;  /* until which an orderly end may take */
    struct loop_task tell;   /* tells those who asked for a link that was up already */
    struct loop_task end;    /* takes the link apart */
    struct err why;          /* reason of the end */
    bool dialled;
    bool memory;            /* leads to a server of this runtime without TCP */
    struct rpc_link *other; /* then the other end; NULL: it is gone */
    bool closing;           /* ends when all is sent */
    bool over;
    char local[LOOP_ADDR_TEXT];
    char address[]; /* as dialled, or the peer's */
};

/*
 * The dialled link to the address of an endpoint; a new one is dialled if there is none. If the
 * endpoint is that of a server of this runtime (address and routing id), a link in memory. The
 * waiter is told later, never from inside this call. WSPR_ENOMEM.
 */
int rpc_link_get(struct rpc_runtime *rt, const struct naming_endpoint *ep,
                 struct rpc_link_waiter *w, struct err *err);
/*
 * Dials a link of its own, which rpc_link_get() does not give to others, for the server that
 * accepts the circuits that come through it. The waiter is told as above. WSPR_ENOMEM.
 */
int rpc_link_dial(struct rpc_runtime *rt, const char *address, struct rpc_server *server,
                  struct rpc_link_waiter *w, struct err *err);
/*
 * Takes an accepted connection, in any case; circuits on it are the server's, or, if that is NULL,
 * those of the listener's servers. WSPR_ELIMIT if there are too many.
 */
int rpc_link_adopt(struct rpc_runtime *rt, int fd, const struct loop_addr *peer,
                   struct rpc_server *server, struct rpc_listener *listener, struct err *err);
/* Orderly end: flows are closed, then the connection. */
void rpc_link_shutdown(struct rpc_link *link);
/* Ends at once with a reason. */
void rpc_link_abort(struct rpc_link *link, const char *why);
/* Closes links, of either side, that had no circuits for the idle time. */
void rpc_link_sweep(struct rpc_runtime *rt, int64_t now);

#endif

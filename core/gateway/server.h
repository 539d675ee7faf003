/*
 * Servers of pages: the objects behind <wspr/server.h>.
 *
 *     wspr_server --- its service (methods, signature)
 *         |  `------- queue of operations: serve, stop, in order
 *         +---------- rpc_server: listens, publishes; its calls become invocations
 *
 * A server that its connection leaves behind (the page went away) is an orphan of the gateway until
 * its names are unmounted; whoever calls it then is told that it is over.
 */
#ifndef GATEWAY_SERVER_H
#define GATEWAY_SERVER_H

#include "gateway/private.h"
#include "rpc/server.h"
#include "wspr/server.h"

struct method_json;

/* One method that a page offers. */
struct service_method {
    struct span name;  /* as on the network */
    struct span shown; /* as the page gets it: a JSON string, first letter in lower case */
    uint32_t n_in;
    uint32_t n_out; /* the error included, at least 1 */
    bool streaming;
    const struct method_json *source; /* while the description is read */
};

/* What a page offers; made once, then constant. */
struct gateway_service {
    struct arena arena;
    struct service_method *methods; /* sorted by name */
    size_t n_methods;
    struct rpc_interface interface; /* for the signature only */
};

/*
 * Reads a description. An error of the reader with its text, WSPR_EBADARG for what cannot be
 * served, WSPR_ENOMEM, WSPR_ELIMIT.
 */
int gateway_service_read(struct span text, size_t max, struct gateway_service **ret_service,
                         struct err *err);
void gateway_service_free(struct gateway_service *service);
const struct service_method *gateway_service_find(const struct gateway_service *service,
                                                  struct span name);

enum server_state {
    SERVER_IDLE,
    SERVER_LISTENING, /* was asked to; the outcome is not known yet */
    SERVER_UP,
    SERVER_STOPPING,
};

struct wspr_server {
    struct list node; /* in conn->servers or gw->orphans */
    struct gateway *gw;
    struct wspr_conn *conn; /* NULL: an orphan */
    struct wspr_host *host;
    struct wspr_server_ops ops; /* copied, zero where the plugin's table was shorter */
    void *arg;
    uint64_t id;
    enum server_state state;
    struct list queue; /* struct server_op */
    unsigned n_queued;
    struct gateway_service *service; /* NULL: not known yet */
    struct rpc_server *rpc;          /* NULL in IDLE */
    struct rpc_share *share;         /* that of all servers of the connection */
    char *endpoint;                  /* the latest one; NULL: none yet */
    struct list mounting_node;       /* in gw->mounting */
    int64_t published;               /* when it got its latest name */
    size_t name_bytes;               /* of all its names */
    size_t counted;                  /* in conn->server_bytes */
    struct list invocations;         /* struct wspr_invocation */
    struct loop_task task;           /* the queue; calls whose caller got lost */
};

/* invocation.c */
extern const struct rpc_invoker gateway_invoker;
/* Tells every caller that waits, and the plugin. */
void gateway_invocation_abort_all(struct wspr_server *server);
/* Ends invocations that a failed send cut off from their callers. */
void gateway_invocation_reap(struct wspr_server *server);

#endif

/* The inside of a server and its calls. Internal to core/rpc. */
#ifndef RPC_SERVER_PRIVATE_H
#define RPC_SERVER_PRIVATE_H

#include "base/list.h"
#include "base/spares.h"
#include "loop/listener.h"
#include "loop/timer.h"
#include "rpc/header.h"
#include "rpc/runtime_private.h"
#include "rpc/server.h"
#include "security/caveat.h"
#include "security/identity.h"

#define RPC_SCALL_ARGS_MAX       256 /* arguments of one call */
#define RPC_SCALL_DISCHARGES_MAX 64
#define RPC_SCALL_IN_KEEP        131072 /* larger buffers go once the arguments are there */
#define RPC_SERVER_SPARE         64     /* finished calls whose memory is kept */

struct rpc_server {
    struct list node;
    struct rpc_runtime *rt;
    struct security_private *identity;
    struct rpc_share *share; /* NULL: none but its own */
    struct security_acl *default_acl;
    struct rpc_dispatcher dispatcher;
    struct naming_rid rid;
    struct loop_listener *listener;
    struct rpc_listener *shared; /* or one that others listen at too */
    struct list at_listener;
    char endpoint[NAMING_ENDPOINT_TEXT_MAX]; /* where it listens directly; "" */
    struct rpc_relaying *relaying;           /* NULL: it does not listen through a relay */
    struct list circuits;                    /* struct rpc_scircuit */
    struct list calls;                       /* struct rpc_scall */
    struct spares spare;
    unsigned n_calls, max_calls;
    bool mount_table;
    bool closing;  /* rpc_server_stop was called; what is published is being unmounted */
    bool stopping; /* that is done: no new circuits and calls */
    struct rpc_publisher *publisher;
    struct list published; /* struct rpc_published: questions that run */
    void (*stopped)(void *arg);
    void *stopped_arg;
    int64_t grace_time;
    struct loop_timer grace;
    struct loop_task stop_task;
};

/* A circuit that a peer opened. */
struct rpc_scircuit {
    struct list node;
    struct rpc_server *server;
    struct vc *vc;
    bool ready;
    bool shared; /* on a link that other servers use too */
};

/* What the next value on the flow is (spec: ipc 5). */
enum rpc_scall_next {
    RPC_SNEXT_REQUEST,
    RPC_SNEXT_BLESSING,
    RPC_SNEXT_DISCHARGE,
    RPC_SNEXT_ARG,
    RPC_SNEXT_HEADER, /* of a stream item */
    RPC_SNEXT_ITEM,
};

struct rpc_scall {
    struct list node;
    struct rpc_server *server;
    struct vc_flow *flow; /* NULL: the caller is gone */
    struct security_identity *local, *peer, *remote, *blessing;
    enum rpc_scall_next next;
    unsigned busy;
    bool running;  /* invoke was called */
    bool finished; /* waits to be freed */
    bool gone;
    bool held;
    bool checking; /* signatures are being verified: nothing is read */
    bool broken;   /* the stream cannot be read any further */
    bool ended;    /* the end of the stream was told */
    bool sent;     /* something of ours is on the flow */
    struct err stream_error;
    struct rpc_request request;
    struct span suffix;
    struct rpc_object object;
    const struct rpc_method *method; /* NULL: of an invoker */
    const struct rpc_param *params;
    uint32_t n_args, arg, label;
    uint32_t n_discharges;
    struct vom_value *args;
    const struct vom_value **arg_refs;
    struct rpc_value *raw; /* instead of these, for an invoker that decodes itself */
    struct vom_msg *raw_msgs;
    struct security_discharge **discharges;
    const struct rpc_scall_ops *ops;
    void *ops_arg;
    struct vom_enc enc;
    struct vom_dec dec;
    struct buf in, out;
    size_t item_at; /* where in out the item begins that is being written */
    size_t held_bytes;
    size_t counted;      /* of rpc_input_count() */
    struct arena arena;  /* as long as the call */
    struct arena bodies; /* of raw arguments, until rpc_scall_drop_args() */
    struct arena item;   /* as long as one item */
    struct loop_timer timer;
    struct loop_task task;
};

/* Of scall.c. */
int rpc_scall_new(struct rpc_scircuit *circuit, struct vc_flow *flow);
void rpc_scall_drop(struct rpc_scall *call); /* ends it without a word to anybody but the method */
/* As rpc_call_free_spare(). */
void rpc_scall_free_spare(struct rpc_server *server, struct list *(*take)(struct spares *));
/* Of listener.c. */
const struct loop_addr *rpc_listener_bound(const struct rpc_listener *listener);
/* Of server.c. */
/* The socket that it listens at directly, alone or with others; NULL: none. */
const struct loop_addr *rpc_server_bound(const struct rpc_server *server);
void rpc_server_check_stopped(struct rpc_server *server);

/* The server's direct endpoint is at this address; what it publishes is found there. */
int rpc_server_set_address(struct rpc_server *server, const char *address, struct err *err);

/* Of relaying.c: the relay is let go; calls that came through it go on. */
void rpc_relaying_stop(struct rpc_server *server);
/* With the server; a stopped one, or NULL. */
void rpc_relaying_free(struct rpc_relaying *relaying);

/* Of published.c: the server's names are, and are no longer, found at an endpoint. */
int rpc_server_add_endpoint(struct rpc_server *server, const char *endpoint, struct err *err);
void rpc_server_remove_endpoint(struct rpc_server *server, const char *endpoint);
/* Ends every question what is published, with "ipc: server is stopped". */
void rpc_published_abort(struct rpc_server *server);

/* Of scall_read.c: the blessing is genuine, or (NULL) it is not, and why. */
void rpc_scall_blessed(struct rpc_scall *call, struct security_identity *blessing, struct err *why);
extern const struct vc_flow_ops rpc_scall_flow_ops;
void rpc_scall_take_up(void *call);
void rpc_scall_deadline(void *call);
/* Of scall.c: ends the call with a framework error. The text is formatted. */
void rpc_scall_error(struct rpc_scall *call, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void rpc_scall_leave(struct rpc_scall *call);

/* Of scall_auth.c: verifies a blessing, whose value must stay; rpc_scall_blessed follows. */
int rpc_scall_check_blessing(struct rpc_scall *call, const struct vom_value *v, struct err *err);
/* Authorizes the caller, then runs the method; or fails the call. */
void rpc_scall_invoke(struct rpc_scall *call);
/* Quoted text for an error; the call's arena keeps it. */
struct span rpc_scall_quote(struct rpc_scall *call, struct span s);

/* Of universal.c: the method that every interface has; NULL if it is none of them. */
const struct rpc_method *rpc_universal_method(struct span name);

#endif

/* The inside of the gateway, shared by the files of core/gateway. */
#ifndef GATEWAY_PRIVATE_H
#define GATEWAY_PRIVATE_H

#include <pthread.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/spares.h"
#include "gateway/accounts.h"
#include "gateway/flow_table.h"
#include "gateway/gateway.h"
#include "gateway/plugin_file.h"
#include "gateway/policy.h"
#include "loop/listener.h"
#include "loop/offload.h"
#include "loop/sock.h"
#include "loop/timer.h"
#include "loop/worker.h"
#include "ws/codec.h"
#include "ws/http.h"
#include "wspr/plugin.h"
#include "wspr/rpc.h"

#define GATEWAY_TYPES   PLUGIN_TYPES
#define GATEWAY_PLUGINS 64 /* plugins that can be loaded, those on their way out included */

struct rpc_share;
struct sig_fetch;
struct security_private;
struct sig_entry;
struct wspr_invocation;
struct wspr_server;

/* One plugin on this worker; what <wspr/plugin.h> calls the host. */
struct wspr_host {
    struct gateway *gw;
    struct plugin_file file;
    struct wspr_plugin plugin; /* its table: the file's */
    struct plugin_values values;
    void *ctx;
    unsigned index;
    struct list timers;   /* struct wspr_timer */
    bool ran;             /* its load was called: the code has to stay */
    bool replaced;        /* another instance has its claims: it goes when it is drained */
    struct list leaving;  /* in gw->leaving: it did not load, and waits for what it began */
    unsigned offloads;    /* work that is out */
    pthread_mutex_t lock; /* of the next two: any thread posts */
    unsigned posts;       /* calls that are under way */
    bool closing;         /* no further posts and work */
    char *name;
};

/* One row of the dispatch table. */
struct gateway_claim {
    struct wspr_host *host; /* NULL: nobody claims the type */
    struct wspr_claim claim;
};

struct gateway {
    struct loop_worker *worker;
    struct loop_offload *offload;
    struct rpc_runtime *runtime;
    const struct log *log;
    struct gateway_limits limits;
    struct gateway_stats stats;
    struct loop_listener *listener;
    struct hash_key hash_key;
    struct accounts *accounts;     /* NULL: everything runs under the runtime's identity */
    struct policy associate_from;  /* who may associate any origin */
    struct policy allowed_origins; /* who may connect; empty: everybody */
    struct loop_tls *tls;          /* NULL: none */
    char *roots;
    char *peer_listen;
    char *peer_advertise; /* NULL: the address itself */
    char *proxy;          /* NULL: none */
    char *plugin_dir;
    bool check_only; /* loads no plugin beyond its tables */
    bool strict_utf8;
    bool stopping;
    bool abandoned; /* stopped, but plugins still hold parts of it */
    void (*stopped)(void *arg);
    void *stopped_arg;
    struct loop_task stop_task;
    struct loop_task relief; /* of gateway_relieve() */
    struct loop_task input_relief;
    struct loop_timer stop_timer;
    struct list conns;
    struct rpc_listener *peers; /* NULL: nobody served yet */
    struct list mounting;       /* struct wspr_server with names that were not mounted yet */
    struct list orphans; /* struct wspr_server whose connection is gone: they are being stopped */
    uint64_t next_conn;
    struct arena scratch;    /* for one message of a page at a time */
    struct span handled;     /* its payload, if that is in scratch and a call may take it over */
    struct wspr_call *taker; /* who gets scratch when the handler is through; NULL: nobody */
    struct arena convert;    /* for one conversion of JSON at a time */
    struct buf text;         /* for one piece of JSON at a time */
    struct spares spare_flows, spare_calls;
    struct spares spare_waits;          /* for signatures */
    struct wspr_reading *spare_reading; /* for the handler of one message at a time */
    struct sig_fetch *fetches;   /* hash by name and identity: signatures that are on their way */
    struct list leaving;         /* struct wspr_host */
    struct loop_task drain_task; /* of gateway_drain() */
    unsigned n_draining;         /* replaced instances */
    unsigned n_hosts;            /* slots in use; there may be holes */
    struct wspr_host *hosts[GATEWAY_PLUGINS];
    struct gateway_claim claims[GATEWAY_TYPES];
};

/* A message of a page. On the stack while it is dispatched; kept ones are on the heap. */
struct wspr_msg {
    struct list node;
    int64_t id;
    uint32_t type;
    unsigned refs; /* 0: on the stack */
    struct span data;
    uint8_t copy[];
};

struct wspr_flow {
    struct wspr_flow *table_next; /* in conn->flows, unless it is a one-shot */
    struct list node;             /* in conn->all */
    struct list task_node;        /* in conn->resumed */
    struct wspr_conn *conn;
    struct wspr_host *host;
    void *state;
    struct flow_key key;
    bool in_table;
    bool cancelled;        /* nothing more is sent; flow_cancel was called */
    bool finished;         /* dead to its plugin; freed when not busy */
    bool again;            /* flow_data said WSPR_AGAIN: messages are kept until resumed */
    unsigned busy;         /* callbacks on the stack that use it afterwards */
    struct list full_node; /* in conn->full */
    struct list kept;      /* struct wspr_msg */
    size_t kept_bytes;
    struct list pipes;              /* calls that are piped into it */
    struct wspr_invocation *served; /* the invocation that is piped into it; NULL: none */
};

enum conn_phase { CONN_HEAD, CONN_OPEN, CONN_CLOSING, CONN_GONE };

/* What a page can ask for that old ones do not know. */
enum conn_extra { CONN_EXTRA_CANCEL = 1 };

/* What a plugin has on one connection. */
struct conn_plugin {
    bool open;
    unsigned flows; /* unfinished ones; conn_close waits for none */
    void *state;
};

struct wspr_conn {
    struct list node;
    struct gateway *gw;
    struct loop_sock *sock;
    uint64_t number;
    enum conn_phase phase;
    unsigned busy;             /* callbacks on the stack that use it afterwards */
    struct ws_http_head *head; /* only during the handshake */
    struct ws_dec dec;
    struct ws_enc enc;
    size_t out_counted;  /* of the queue and result_bytes, as they were counted last */
    size_t result_bytes; /* converted results of calls that have not ended yet */
    size_t in_counted;   /* of what is kept of its messages, as it was counted last */
    /* Bytes of a message at the last ping; 0: another one, or we did not listen. */
    uint32_t begun_before;
    bool close_sent;
    bool over; /* closing, and everybody was told */
    struct flow_table flows;
    struct list all;     /* every unfinished flow */
    struct list resumed; /* flows whose kept messages are to be delivered */
    struct list full;    /* flows that were told WSPR_FULL: flow_writable is due */
    unsigned n_flows;
    bool deliver; /* whether the message that a handler is looking at is to be delivered */
    const struct wspr_msg *used_msg; /* that message, and its flow */
    struct wspr_flow *used_flow;
    int64_t next_id;           /* of flows that the host opens: even */
    size_t kept_bytes;         /* of all flows */
    struct wspr_flow *barrier; /* input waits for this one */
    struct wspr_flow *stalled; /* input waits until this one takes its kept messages */
    struct list calls;         /* struct wspr_call */
    /* What they take, names whose signatures are waited for, and requests that wait for servers. */
    size_t call_bytes;
    struct list sig_waits;  /* struct sig_wait */
    struct sig_entry *sigs; /* signature cache, hash by name */
    uint32_t sig_bytes;
    unsigned n_servers;
    struct list servers;     /* struct wspr_server */
    size_t server_bytes;     /* what they keep */
    struct rpc_share *share; /* of their names; NULL: it has had no server */
    unsigned n_invocations;  /* of all of them: the page has not answered yet */
    unsigned extras;         /* bits of enum conn_extra that the page asked for */
    struct loop_timer ping;
    struct loop_timer deadline;
    struct loop_timer hold; /* how long barrier or stalled may hold the input up */
    struct loop_task task;  /* resumed flows, freeing */
    char *origin;
    char *acts_as; /* serialized origin whose identity its calls run under; NULL: none */
    struct accounts_waiter identity_wait;
    bool identity_held; /* input waits until that identity is made */
    bool local;         /* the peer is on this machine */
    unsigned n_plugins;
    struct conn_plugin *plugins; /* by host index */
    char remote[];               /* the peer's address; there are many of these objects */
};

/* conn.c */
void gateway_conn_accept(struct gateway *gw, int fd, const struct loop_addr *peer);
void gateway_conn_leave(struct wspr_conn *c);
/* Begins the end: a close frame with this code, then the socket, then the flows. */
void gateway_conn_close(struct wspr_conn *c, uint16_t code, const char *reason);
/* Ends without a word (the peer is gone already). */
void gateway_conn_drop(struct wspr_conn *c);
/* The same at once: what is queued is lost. */
void gateway_conn_abort(struct wspr_conn *c);
void gateway_conn_check_gone(struct wspr_conn *c);
bool gateway_conn_may_send(const struct wspr_conn *c);
/* Reading goes on or pauses by what holds the input up. */
void gateway_conn_update_input(struct wspr_conn *c);
/* Input waits for the flow: until all before it is finished, or until it takes what is kept. */
void gateway_conn_hold_barrier(struct wspr_conn *c, struct wspr_flow *f);
void gateway_conn_hold_stalled(struct wspr_conn *c, struct wspr_flow *f);
/* Input waits no longer for this flow. */
void gateway_conn_release_barrier(struct wspr_conn *c, const struct wspr_flow *f);
void gateway_conn_release_stalled(struct wspr_conn *c, const struct wspr_flow *f);
void gateway_conn_schedule(struct wspr_conn *c);

/* The bit of enum conn_extra that has this name; 0: none has. */
unsigned gateway_conn_extra(struct span name);

/* identity.c */
/*
 * The identity under which a call or server of the connection is to begin now: 0 and *ret_id,
 * borrowed for this turn of the loop (NULL is the runtime's, as everywhere), or why there is none.
 */
int gateway_conn_identity(struct wspr_conn *c, struct security_private **ret_id, struct err *err);
void gateway_conn_identity_init(struct wspr_conn *c);
void gateway_conn_identity_done(struct wspr_conn *c);
/*
 * What a connection of this origin acts as; the caller frees. NULL: it is no origin, which acts as
 * none. WSPR_ENOMEM: nobody knows, and it must not act at all.
 */
int gateway_conn_name_of(struct span origin, char **ret_name);
/* From now on the connection acts as that. Takes the name. */
void gateway_conn_act_as(struct wspr_conn *c, char *name);
/* Whether a message may be handled; if not, input is to wait and goes on by itself. */
bool gateway_conn_identity_ready(struct wspr_conn *c);

/* frame.c: frames to the page. All return 0, WSPR_FULL or an error after which the conn ends. */
int gateway_conn_send_text(struct wspr_conn *c, struct span text);
int gateway_conn_send_frame(struct wspr_conn *c, int64_t id, int type, struct span json);
int gateway_conn_send_parts(struct wspr_conn *c, int64_t id, int type,
                            const struct wspr_span *parts, size_t n);
int gateway_conn_send_error(struct wspr_conn *c, int64_t id, struct span error_id,
                            struct span text);
int gateway_conn_send_first(struct wspr_conn *c);

/* output.c */
/* Something was appended to the connection's queue, or it has drained, or the socket is gone. */
void gateway_conn_count_output(struct wspr_conn *c);
void gateway_relieve(void *gw);
/* Whether the end of the connection may wait until what is queued was sent. */
bool gateway_conn_may_linger(struct wspr_conn *c);

/* input.c */
/* Something of its messages is kept, or is not any more. */
void gateway_conn_count_input(struct wspr_conn *c);
void gateway_relieve_input(void *gw);
/* To be called with each ping: ends a page whose message does not get on. */
void gateway_conn_check_progress(struct wspr_conn *c);

/* message.c */
void gateway_conn_message(struct wspr_conn *c, struct span payload);

/* flow.c */
struct wspr_flow *gateway_flow_new(struct wspr_conn *c, struct wspr_host *host, int64_t id,
                                   enum flow_opener opener, bool in_table);
struct wspr_flow *gateway_flow_find(struct wspr_conn *c, int64_t id, enum flow_opener opener);
void gateway_flow_leave(struct wspr_flow *f);
/* Tells the plugin that nothing more can be sent; it has the flow until it finishes it. */
void gateway_flow_cancel(struct wspr_flow *f);
/* The same behind an error frame: for failures that its plugin does not know of. */
void gateway_flow_break(struct wspr_flow *f, int code, const char *text);
void gateway_flow_end(struct wspr_flow *f);
/* Its plugin is done with it by a code: an error frame, or the end of what the page was sent. */
void gateway_flow_fail(struct wspr_flow *f, int code);
/* Hands a message to the flow's owner, behind those that are kept. Not from inside a plugin. */
void gateway_flow_deliver(struct wspr_flow *f, const struct wspr_msg *msg);
/* Delivers to all flows that were resumed. */
void gateway_conn_deliver_kept(struct wspr_conn *c);
/* How the spares are taken: spares_take() all of them, spares_take_idle() the idle ones. */
void gateway_flow_free_spares(struct gateway *gw, struct list *(*take)(struct spares *));
/* The page took what was queued: everybody who waited for that goes on. */
void gateway_conn_writable(struct wspr_conn *c);

/* plugin.c */
/* Loads a file of the plugin folder; its section of the configuration (may be NULL) counts. */
int gateway_plugin_load(struct gateway *gw, const char *name, const struct config_file *config,
                        struct err *err);
/* For plugins that are linked in. */
int gateway_plugin_add(struct gateway *gw, const struct wspr_plugin *plugin, const char *name,
                       const struct config_file *config, struct err *err);
int gateway_plugin_path(const struct gateway *gw, const char *name, char *path, size_t size,
                        struct err *err);
/* An instance with its options, in no slot yet. */
int gateway_host_new(struct gateway *gw, const struct plugin_file *file,
                     const struct config_file *config, struct wspr_host **ret_h, struct err *err);
/* WSPR_EEXISTS if another than `except` has one of its types. */
int gateway_host_check_claims(const struct wspr_host *h, const struct wspr_host *except,
                              struct err *err);
void gateway_host_take_claims(struct wspr_host *h);
void gateway_host_drop_claims(struct wspr_host *h);
/* Calls its load and puts it into its slot. */
int gateway_host_load(struct wspr_host *h, struct err *err);
/* Forgets one that did not load, once what it began has come back. */
void gateway_host_discard(struct wspr_host *h);
/* No more posts and work from now on; true if none is under way. */
bool gateway_host_close(struct wspr_host *h);
/* A post or work came back. */
void gateway_host_settled(struct wspr_host *h);
/* Ends an instance for which nothing is under way. */
void gateway_host_unload(struct wspr_host *h);
/* Closes all; true if nothing is under way for any. */
bool gateway_plugins_close(struct gateway *gw);
void gateway_plugin_unload_all(struct gateway *gw);
/* Opens the connection for the plugin at its first message. 0 or the plugin's error. */
int gateway_plugin_open_conn(struct wspr_host *host, struct wspr_conn *c);
/* Closes it again; false if the plugin has flows there. */
bool gateway_plugin_close_conn(struct wspr_host *host, struct wspr_conn *c);
/* Makes room for so many plugins. WSPR_ENOMEM. */
int gateway_conn_fit_plugins(struct wspr_conn *c, unsigned n);

/* reload.c */
/* Unloads those that were replaced and have nothing left to do. */
void gateway_drain(void *gw);

/* host.c */
/* A copy on the heap with one reference, in no list. NULL if memory is short. */
struct wspr_msg *gateway_msg_copy(const struct wspr_msg *msg);
void gateway_host_stop(struct wspr_host *host);

/* signature.c */
void gateway_sig_free_spares(struct gateway *gw, struct list *(*take)(struct spares *));
/* Drops all fetches: nobody waits for them any more. */
void gateway_sig_fetch_drop(struct gateway *gw);
void gateway_sig_cache_free(struct wspr_conn *c);
void gateway_sig_cache_forget(struct wspr_conn *c, struct span name);

/* call.c */
void gateway_call_free_spares(struct gateway *gw, struct list *(*take)(struct spares *));
/* Gives gw->scratch to the call that takes it, if one does. */
void gateway_call_take_message(struct gateway *gw);
/* The connection ends: everybody is told. */
void gateway_call_abort_all(struct wspr_conn *c);
/* The calls that are piped into the flow may deliver again. */
void gateway_call_page_writable(struct wspr_flow *f);
/* The flow takes no more: what its calls still bring is dropped. */
void gateway_call_cut_pipes(struct wspr_flow *f);

/* server.c */
/* Whether one of the servers of the list was made by the plugin. */
bool gateway_server_belongs(const struct list *servers, const struct wspr_host *host);
/*
 * Whether a page's server is about to be mounted under the name, or a part of it, the first time.
 * After GATEWAY_MOUNT_WAIT nobody cares: every call asks, and mount tables may be out of reach. Nor
 * does anybody if that many names are newer.
 */
#define GATEWAY_MOUNT_WAIT (2 * CLOCK_S)
#define GATEWAY_MOUNT_LOOK 512
bool gateway_server_is_mounting(struct gateway *gw, struct span name);
/* Servers that run under an earlier blessing of this identity go on under this one. */
void gateway_server_renew_all(struct wspr_conn *c, struct security_private *identity);
/* The connection ends: callers are told, and the servers are stopped on their own. */
void gateway_server_abort_all(struct wspr_conn *c);

/* invocation.c */
/* The page of the flow takes more: the caller's items go on. */
void gateway_invocation_page_writable(struct wspr_flow *f);
/* The flow is about to be given up: the caller's stream ends for the page. */
void gateway_invocation_end_pipe(struct wspr_flow *f);
/* The flow takes no more. */
void gateway_invocation_cut_pipe(struct wspr_flow *f);

/* gateway.c */
void gateway_check_stopped(struct gateway *gw);

#endif

/*
 * Serving objects: a server listens, a dispatcher finds the object of a suffix, an interface says
 * which methods it has, an authorizer who may call them. Spec: ipc 5, 9, 11 to 14.
 *
 * A server belongs to one worker; everything here is used on its loop only. Methods are
 * asynchronous: invoke may return at once and finish the call later, exactly once.
 */
#ifndef RPC_SERVER_H
#define RPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"
#include "rpc/client.h"
#include "vom/value.h"

struct rpc_listener; /* a TCP socket that several servers share */
struct rpc_published;
struct rpc_publisher;
struct rpc_server;
struct rpc_share; /* see rpc/turns.h */
struct rpc_scall; /* one call that is being served */
struct security_acl;
struct security_identity;

/* Label of a method (spec: ipc 9.4); 0 is Admin. */
enum rpc_label {
    RPC_LABEL_READ = 1,
    RPC_LABEL_WRITE = 2,
    RPC_LABEL_ADMIN = 4,
    RPC_LABEL_DEBUG = 8,
    RPC_LABEL_MONITORING = 16,
};

struct rpc_param {
    const char *name; /* "" if it has none */
    const struct vom_type *type;
};

struct rpc_method {
    const char *name;
    const struct rpc_param *in;
    size_t n_in;
    const struct rpc_param *out; /* the final error included */
    size_t n_out;
    const struct vom_type *in_stream;  /* NULL: none */
    const struct vom_type *out_stream; /* NULL: none */
    uint32_t label;
    /*
     * Runs the method. args[0 … n_in-1] have the declared types and are borrowed until the call is
     * finished. Must lead to rpc_scall_finish, now or later.
     */
    void (*invoke)(void *object, struct rpc_scall *call, const struct vom_value *const *args);
    /* What GetMethodTags answers, in order; the label is among them if it is to be seen. */
    const struct vom_value *tags;
    size_t n_tags;
};

/* A label as a tag: of the type veyron2/security.Label. */
extern const struct vom_type rpc_type_label;

/* What an object can do. All of it is constant. */
struct rpc_interface {
    const char *name;
    const struct rpc_method *methods;
    size_t n_methods;
    /* Type definitions of the signature, in order (ids 65, 66, …). Spec: ipc 13. */
    const struct vom_type *const *type_defs;
    size_t n_type_defs;
};

/* Decides whether the caller may use a method. 0, or a negative code with the reason in err. */
struct rpc_authorizer {
    int (*authorize)(void *arg, struct rpc_scall *call, struct err *err);
    void *arg;
};
/* Admits everybody. */
extern const struct rpc_authorizer rpc_authorizer_all;

/*
 * What a dispatcher answers. An object either has an interface, or takes every call itself through
 * `invoker` (generic arguments, own signature: what a page's object needs).
 */
struct rpc_object {
    const struct rpc_interface *interface;
    const struct rpc_invoker *invoker;
    void *object;
    const struct rpc_authorizer *authorizer; /* NULL: the default of spec ipc 9.3 */
};

/* How an object without a fixed interface is called: by invoke, or by invoke_raw if that is set. */
struct rpc_invoker {
    /*
     * Says how many arguments the method takes and its label. A negative code with the text of
     * spec ipc 11.2 if there is no such method.
     */
    int (*prepare)(void *object, struct span method, uint32_t *ret_n_args, uint32_t *ret_label,
                   struct err *err);
    /* Runs the method with generically decoded arguments; must lead to rpc_scall_finish. */
    void (*invoke)(void *object, struct rpc_scall *call, const struct vom_value *const *args,
                   size_t n_args);
    /*
     * The same with arguments that are not decoded yet; they live as long as the call, or until
     * rpc_scall_drop_args().
     */
    void (*invoke_raw)(void *object, struct rpc_scall *call, const struct rpc_value *args,
                       size_t n_args);
};

struct rpc_dispatcher {
    /*
     * Finds the object for a suffix (leading slashes stripped). WSPR_OK with ret filled, or a
     * negative code with the error that the caller gets. ret->interface and ret->invoker both NULL:
     * the caller gets "dispatcher not found".
     */
    int (*lookup)(void *arg, struct span suffix, struct rpc_object *ret, struct err *err);
    void *arg;
};

/* What happens to a call while a method runs; set by rpc_scall_set_ops. All optional. */
struct rpc_scall_ops {
    /* One item of the caller's stream; RPC_HOLD delivers no more until rpc_scall_resume. */
    int (*item)(void *arg, struct rpc_scall *call, const struct rpc_value *v);
    /* The caller's stream ended: it said so, closed its flow, or sent what cannot be read. */
    void (*end)(void *arg, struct rpc_scall *call);
    /* The call's deadline passed; nothing else happens by itself (spec: ipc 8). */
    void (*expired)(void *arg, struct rpc_scall *call);
    /* The caller is gone (closed or cancelled). Finishing is still due; it sends nothing. */
    void (*gone)(void *arg, struct rpc_scall *call);
    /* Room again after RPC_FULL. */
    void (*writable)(void *arg, struct rpc_scall *call);
};

void rpc_scall_set_ops(struct rpc_scall *call, const struct rpc_scall_ops *ops, void *arg);
void rpc_scall_resume(struct rpc_scall *call);
/* The arguments of invoke_raw are not needed any more: their memory goes while the method runs. */
void rpc_scall_drop_args(struct rpc_scall *call);
/* Decodes an item into the declared type of the in-stream; valid until the callback returns. */
int rpc_scall_item_value(struct rpc_scall *call, const struct rpc_value *v,
                         const struct vom_value **ret, struct err *err);
/* In `end`: why the stream cannot be read any further; NULL if the caller ended it or is gone. */
const struct err *rpc_scall_stream_error(const struct rpc_scall *call);
/* Sends one item of the result stream: 0, RPC_FULL (taken), or an error (the caller is gone). */
int rpc_scall_send(struct rpc_scall *call, const struct vom_value *item);
/*
 * Ends the call: the results, then the application's error (NULL or code 0: nil). What the caller
 * expects is the method's own count; n is therefore without the error. The call is dead afterwards.
 */
void rpc_scall_finish(struct rpc_scall *call, const struct vom_value *const *results, size_t n,
                      const struct err *error);
/* The same for a method whose last result is not an error. */
void rpc_scall_finish_plain(struct rpc_scall *call, const struct vom_value *const *results,
                            size_t n);
/* Ends the call of a method that has no results at all, not even an error. */
void rpc_scall_finish_void(struct rpc_scall *call);
/* Ends the call with a framework error (Response.Error) instead of results. */
void rpc_scall_fail(struct rpc_scall *call, const struct err *error);
/*
 * The same without building values: the results (or one item) are encoded straight into the call's
 * buffer with its encoder. Between begin and end nothing else may be sent on the call.
 *
 * rpc_scall_begin_results announces n results and the final error behind them; 0, or WSPR_ECLOSED:
 * the caller is gone, finish the call. After it come n values and rpc_scall_end_results, which ends
 * the call: with the application's error as above, or, if `failed` is not 0, with what went wrong
 * while encoding (*why is its reason, the results are taken back).
 */
struct vom_enc *rpc_scall_enc(struct rpc_scall *call);
struct buf *rpc_scall_buf(struct rpc_scall *call);
int rpc_scall_begin_results(struct rpc_scall *call, size_t n);
void rpc_scall_end_results(struct rpc_scall *call, const struct err *error, int failed,
                           struct err *why);
/*
 * begin: 0 or WSPR_ECLOSED. end: as rpc_scall_send; with keep == false the item is taken back
 * (definitions that were written for it remain), then 0.
 */
int rpc_scall_begin_item(struct rpc_scall *call);
int rpc_scall_end_item(struct rpc_scall *call, bool keep);
/* The signature of an interface as a value (spec: ipc 13). WSPR_ENOMEM, WSPR_ELIMIT. */
int rpc_interface_signature(const struct rpc_interface *interface, struct arena *a,
                            struct vom_value *ret_v);
/* Memory that lives as long as the call, for results. */
struct arena *rpc_scall_arena(struct rpc_scall *call);
struct span rpc_scall_method(const struct rpc_scall *call);
struct span rpc_scall_suffix(const struct rpc_scall *call); /* leading slashes stripped */
struct span rpc_scall_raw_suffix(const struct rpc_scall *call);
/* The interface of the object; NULL if it has an invoker. */
const struct rpc_interface *rpc_scall_interface(const struct rpc_scall *call);
uint32_t rpc_scall_label(const struct rpc_scall *call);
/* Identities of both ends; the caller's is what remained after validation. Borrowed. */
const struct security_identity *rpc_scall_local(const struct rpc_scall *call);
const struct security_identity *rpc_scall_remote(const struct rpc_scall *call);
/* The blessing that came with the request, bound to the server's key; NULL if there is none. */
const struct security_identity *rpc_scall_blessing(const struct rpc_scall *call);

struct rpc_server_opts {
    struct security_private *identity; /* NULL: the runtime's */
    uint32_t max_calls;                /* calls served at once; 0: 65536 */
    struct rpc_share *share; /* with whom it takes turns to mount its names; NULL: it has its own */
    bool mount_table; /* names below it are its own to resolve: published as "/E", not "/E//" */
};

int rpc_server_new(struct rpc_runtime *rt, const struct rpc_server_opts *opts,
                   const struct rpc_dispatcher *dispatcher, struct rpc_server **ret_server,
                   struct err *err);
/*
 * From now on the server shows this identity, which has the same key: a blessing that was renewed.
 * Circuits that stand keep what they were opened with. WSPR_EINVAL if the key is another one.
 */
int rpc_server_renew_identity(struct rpc_server *server, struct security_private *identity);
/*
 * Listens on a TCP address ("127.0.0.1:0"). *ret_endpoint (borrowed, ends in NUL) is the endpoint's
 * text without a leading slash.
 */
int rpc_server_listen(struct rpc_server *server, const char *address, const char **ret_endpoint,
                      struct err *err);
/*
 * One TCP socket for several servers: the routing id of the endpoint that a peer dials selects the
 * server; the null id does if there is only one. Others are refused as by a relay ("no server with
 * routing id … is being proxied"). advertise is the "host:port" that endpoints tell instead of the
 * socket's own address, for a machine behind NAT or with a name (NULL or "": none; port 0, as in
 * "gateway.example:0": the socket's).
 */
int rpc_listener_new(struct rpc_runtime *rt, const char *address, const char *advertise,
                     struct rpc_listener **ret_listener, struct err *err);
/*
 * Closes the socket and the connections that came through it once their circuits are gone. Its
 * servers stay, without being reachable there; stop them first. NULL is accepted.
 */
void rpc_listener_free(struct rpc_listener *listener);
/* "host:port" that its endpoints tell. */
const char *rpc_listener_address(const struct rpc_listener *listener);
/*
 * Makes the server reachable there, with a routing id of its own. WSPR_EEXISTS if it listens
 * already, WSPR_EABORTED if it is stopped. Ends with the server.
 */
int rpc_server_listen_shared(struct rpc_server *server, struct rpc_listener *listener,
                             const char **ret_endpoint, struct err *err);

/*
 * Where a server is reachable through its relay. The first call is the outcome of
 * rpc_server_listen_relay: with an error nothing follows and the server does not listen there (it
 * may try again). Later ones come when the relay is lost (endpoint NULL, with the reason) and when
 * the server is reachable again (endpoint, why NULL), which may be under a new endpoint. The text
 * is without a leading slash, borrowed until the next call. Never called from inside a function of
 * this header, nor after rpc_server_stop. It may stop the server.
 */
typedef void rpc_relay_fn(void *arg, struct rpc_server *server, const char *endpoint,
                          const struct err *why);
/*
 * Listens through a relay (spec: stream 11): relay is a name, or an endpoint in any form, with or
 * without the leading slash. Resolves, connects on a connection of its own, registers the routing
 * id of this server. When the relay is lost it begins again, after 5 ms, then twice as long each
 * time up to 5 min, with a spread; what the server publishes follows the endpoint.
 *
 * Texts of the first outcome: `failed to parse endpoint "<relay>": invalid endpoint string` if the
 * name leads nowhere; `VC establishment with proxy failed: …`, `proxy error: …` and others of spec
 * stream 11.2.
 *
 * At once: WSPR_ENOMEM; WSPR_EEXISTS if the server listens through a relay already; WSPR_EABORTED
 * if it is stopped. It may listen directly too.
 */
int rpc_server_listen_relay(struct rpc_server *server, struct span relay, rpc_relay_fn *told,
                            void *arg, struct err *err);
/* Where the server can be reached through its relay now; NULL if it cannot. */
const char *rpc_server_relay_endpoint(const struct rpc_server *server);

/*
 * Publishes the server under a name (spec: ipc 14.2), now and until it is stopped; it may listen
 * before or afterwards. A name that is published already is ignored. Mount failures are only
 * logged: WSPR_ENOMEM, WSPR_ELIMIT, WSPR_EABORTED.
 */
int rpc_server_publish(struct rpc_server *server, struct span name, struct err *err);
void rpc_server_unpublish(struct rpc_server *server, struct span name);
/* What the server publishes; NULL if it never did. Borrowed. */
struct rpc_publisher *rpc_server_publisher(struct rpc_server *server);
/*
 * For each published name the names of its entries at the responsible mount tables, in resolvable
 * form (spec: ipc 14.3), each ended by a NUL and followed by suffix (without leading slashes). A
 * name that cannot be resolved is left out. done comes once, from the loop, unless cancelled; a
 * stopped server gives "ipc: server is stopped". NULL if memory is short.
 */
struct rpc_published *
rpc_server_published(struct rpc_server *server, struct span suffix,
                     void (*done)(void *arg, struct span names, const struct err *err), void *arg);
void rpc_published_cancel(struct rpc_published *p);
/*
 * Unmounts what is published (for at most 5 s), then stops listening, lets running calls end until
 * the deadline (nanoseconds from then), cancels the rest, calls done (may be NULL) and frees the
 * server.
 */
void rpc_server_stop(struct rpc_server *server, int64_t grace, void (*done)(void *arg), void *arg);

#endif

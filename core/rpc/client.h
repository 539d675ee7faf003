/*
 * Calling remote objects: resolution, circuits that are reused, requests, streams, results.
 *
 * A client belongs to one worker and is used on its loop only. It keeps the circuits of all
 * callers, one per (endpoint, identity). Spec: ipc 4, 7, 8.
 *
 * Life of a call:
 *
 *     rpc_call_new -> encode arguments (rpc_call_enc, rpc_call_buf) -> rpc_call_start -> [started]
 *         -> item* -> result* -> done
 *
 * `done` comes exactly once, last, unless rpc_call_cancel dropped the call before; the call is
 * freed after it. No callback is made from inside a function of this header: they come from the
 * loop.
 */
#ifndef RPC_CLIENT_H
#define RPC_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"
#include "vom/dec.h"
#include "vom/enc.h"

struct rpc_call;
struct rpc_client;
struct rpc_runtime;
struct security_discharge;
struct security_identity;
struct security_private;

/* One value as it came off the flow; valid during the callback that is given it. */
struct rpc_value {
    struct vom_dec *dec;
    const struct vom_msg *msg;
};

struct rpc_call_ops {
    /* The request was handed to the circuit; stream items may be sent. Optional. */
    void (*started)(void *arg, struct rpc_call *call);
    /*
     * One item of the result stream. RPC_HOLD delivers no more until rpc_call_resume (credit of the
     * flow is withheld). A negative code fails the call with *err. Optional: without it an item is
     * the error "Finish called with remaining streaming results".
     */
    int (*item)(void *arg, struct rpc_call *call, const struct rpc_value *v, struct err *err);
    /* The result stream ended without a framework error; results follow. Optional. */
    void (*end)(void *arg, struct rpc_call *call);
    /* Result i of n, in order. A negative code fails the call with *err. */
    int (*result)(void *arg, struct rpc_call *call, uint32_t i, uint32_t n,
                  const struct rpc_value *v, struct err *err);
    /* The call is over. err is NULL if all results were delivered. */
    void (*done)(void *arg, struct rpc_call *call, const struct err *err);
    /* rpc_call_end_item said RPC_FULL and there is room again. Optional. */
    void (*writable)(void *arg, struct rpc_call *call);
};

enum { RPC_HOLD = 1, RPC_FULL = 1 };

#define RPC_ANY_RESULTS INT32_MIN

#define RPC_NO_TIMEOUT      INT64_MAX
#define RPC_TIMEOUT_DEFAULT (60 * INT64_C(1000000000))
/* Sends 0, which leaves the server's deadline to the server; here the default counts. */
#define RPC_TIMEOUT_OF_SERVER INT64_MIN

/*
 * Blesses the servers of calls: the blessing is sent with the request (spec: ipc 9.1, 10). Counted
 * on the client's thread; it starts with the reference of whoever made it.
 */
struct rpc_granter {
    /*
     * A blessing for this server, NULL for none; an error keeps the call from the server. Called on
     * a thread of the pool, for several calls at once, as signing takes long.
     */
    int (*grant)(struct rpc_granter *g, const struct security_identity *server,
                 struct security_identity **ret_blessing, struct err *err);
    void (*free)(struct rpc_granter *g); /* with the last reference; optional */
    unsigned refs;
};

struct rpc_granter *rpc_granter_ref(struct rpc_granter *g); /* accepts NULL */
void rpc_granter_unref(struct rpc_granter *g);              /* accepts NULL */

struct rpc_call_opts {
    /*
     * Nanoseconds; 0 is the default of 60 s, RPC_NO_TIMEOUT none. Counted from the start, and again
     * from the moment when a server is connected.
     */
    int64_t timeout;
    int32_t n_results; /* how many results are expected, the error included; RPC_ANY_RESULTS: any */
    bool streaming;    /* the caller will send items and end the stream itself */
    /* Identity to present; NULL is the runtime's. Borrowed until done, and kept by reference. */
    struct security_private *identity;
    /* Servers that do not match are not talked to; empty: any will do. Borrowed until done. */
    struct span server_pattern;
    struct rpc_granter *granter; /* NULL: no blessing is sent; referenced */
    /*
     * Discharges for third-party caveats of the identity; borrowed until done. Others are taken
     * from those that the client has fetched, then fetched from where the caveat says, with these
     * options, before the request is sent. What cannot be had is not sent.
     */
    struct security_discharge *const *discharges;
    size_t n_discharges;
    bool no_fetch; /* fetch no discharges: the call, or its name's resolution, is part of that */
};

#define RPC_CALL_TEXT_MAX 65536 /* bytes of name and method together */

/*
 * A call that is not started yet; opts are copied, name and method too. NULL if it cannot be made:
 * rpc_call_refused() says why.
 */
struct rpc_call *rpc_call_new(struct rpc_client *client, struct span name, struct span method,
                              const struct rpc_call_opts *opts, const struct rpc_call_ops *ops,
                              void *arg);
/* Why rpc_call_new() has just made none: WSPR_ELIMIT, WSPR_ECLOSED, else WSPR_ENOMEM. */
int rpc_call_refused(const struct rpc_client *client, struct span name, struct span method,
                     struct err *err);
/* The encoder of the call, and the buffer that takes arguments and items: no other may be used. */
struct vom_enc *rpc_call_enc(struct rpc_call *call);
struct buf *rpc_call_buf(struct rpc_call *call);
/* Sends the request with the n_args values that were encoded. Failures come to done. */
void rpc_call_start(struct rpc_call *call, uint32_t n_args);
/*
 * One stream item, after the start: encode exactly one value between begin and end. With keep ==
 * false it is taken back as if it had never been (type definitions may remain). begin is 0 or
 * WSPR_ECLOSED once the stream was closed, or WSPR_EAGAIN while the queue is full (wait for
 * writable); end is 0, RPC_FULL (taken, wait for writable), or an error: the call is then of no
 * use.
 */
int rpc_call_begin_item(struct rpc_call *call);
int rpc_call_end_item(struct rpc_call *call, bool keep);
/* Ends the input stream; a second time does nothing. */
void rpc_call_close_send(struct rpc_call *call);
/* Takes up items again after RPC_HOLD. */
void rpc_call_resume(struct rpc_call *call);
/* Drops the call at once: no callback follows, the remote end sees its flow cancelled. */
void rpc_call_cancel(struct rpc_call *call);
/* The identity of the server that answers; NULL before `started`. Borrowed. */
const struct security_identity *rpc_call_server(const struct rpc_call *call);

/* The client of a runtime; made and freed with it. */
struct rpc_client *rpc_runtime_client(struct rpc_runtime *rt);

#endif

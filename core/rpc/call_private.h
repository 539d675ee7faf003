/* The inside of a client's call. Internal to core/rpc. */
#ifndef RPC_CALL_PRIVATE_H
#define RPC_CALL_PRIVATE_H

#include "base/list.h"
#include "base/spares.h"
#include "loop/timer.h"
#include "loop/worker.h"
#include "naming/name.h"
#include "rpc/circuit.h"
#include "rpc/client.h"
#include "rpc/credentials.h"
#include "rpc/discharges.h"
#include "rpc/names.h"
#include "rpc/resolve.h"
#include "rpc/turns.h"

#define RPC_SPARE_CALLS 256 /* finished calls whose memory is kept for the next ones */
#define RPC_SPARE_ROOMY 64  /* of those so many may have grown */

enum rpc_call_state {
    RPC_CALL_NEW,        /* arguments are being encoded */
    RPC_CALL_RESOLVING,  /* the name is being resolved */
    RPC_CALL_CONNECTING, /* one target after the other is tried */
    RPC_CALL_PREPARING,  /* there is a flow; what the request must say is being gathered */
    RPC_CALL_OPEN,       /* the request is on its flow */
    RPC_CALL_ENDING,     /* failed inside a function of its owner; done comes from the loop */
    RPC_CALL_DEAD,       /* over; freed when none of its functions is on the stack */
};

/* What the next value on the flow is. */
enum rpc_call_next { RPC_NEXT_HEADER, RPC_NEXT_ITEM, RPC_NEXT_RESULT };

struct rpc_call {
    struct list node; /* in the client's list of calls, or of spare ones */
    struct rpc_client *client;
    const struct rpc_call_ops *ops;
    void *arg;
    struct rpc_call_opts opts;
    int64_t sent_timeout;
    enum rpc_call_state state;
    enum rpc_call_next next;
    unsigned busy; /* functions of this call on the stack that go on after a callback */
    bool held;     /* RPC_HOLD, or while PREPARING */
    bool streaming_closed;
    bool saw_eof; /* the flow ended while values were held */
    bool cached;  /* the targets come from memory, and may be out of date */
    uint32_t n_args, n_results, result;
    struct buf text; /* the name, then the method */
    size_t name_len;
    struct buf targets; /* resolved names, each ended by NUL; empty: the name itself */
    size_t target_at;   /* offset of the one that is being tried */
    struct span suffix; /* of the target, into its name */
    struct rpc_resolution *resolution;
    struct rpc_circuit_waiter waiter;
    struct vc_flow *flow;
    struct security_identity *server;
    struct rpc_creds *creds; /* NULL for most */
    struct vom_enc enc;
    struct vom_dec dec;
    struct buf head;    /* T_REQ and the request; later a zero request */
    struct buf scratch; /* arguments, then one item at a time */
    struct buf in;      /* what came and is not a whole value yet, or is held */
    struct arena arena;
    struct loop_timer timer;
    struct loop_task task;
    struct loop_task resume;
    size_t held_bytes; /* credit that is withheld meanwhile */
    size_t counted;    /* of rpc_input_count() */
    struct err err;    /* of the last target, or of the call */
};

struct rpc_client {
    struct rpc_runtime *rt;
    struct rpc_circuits circuits;
    struct list calls;
    struct spares spare;
    unsigned n_calls;
    struct buf roots; /* namespace roots, each ended by NUL */
    struct rpc_names names;
    struct rpc_discharges discharges;
    struct rpc_lookup *lookups; /* that run */
    struct list globs;
    struct buf walk[2], asked;   /* for following what is remembered */
    struct rpc_turns publishing; /* mounts and unmounts of publishers */
};

/* Of call.c: ends the call and tells its owner; e (may be the call's own) is NULL for success. */
void rpc_call_done(struct rpc_call *call, const struct err *e);
/* Of call.c, for credentials.c: the request can be sent, or (why) not to this server. */
void rpc_call_prepared(struct rpc_call *call, const struct err *why);
/* Of call.c: undoes one busy++; frees a dead call. */
void rpc_call_leave(struct rpc_call *call);
/* Of call_read.c: ends the call because reading failed; what was read decides the words. */
void rpc_call_fail_read(struct rpc_call *call, const struct err *cause);
/* Of call_read.c: goes on after RPC_HOLD (a task). */
void rpc_call_take_up(void *call);
extern const struct vc_flow_ops rpc_call_flow_ops;
/* How they are taken: spares_take() all of them, spares_take_idle() the idle ones. */
void rpc_call_free_spare(struct rpc_client *client, struct list *(*take)(struct spares *));
/* Of resolve.c and glob.c: end every resolution, every listing, of a client that stops. */
void rpc_resolve_abort(struct rpc_client *client);
void rpc_glob_abort(struct rpc_client *client);
/* Of publisher.c: one of its pairs may begin. */
void rpc_publisher_turn(struct rpc_turn *turn);

static inline struct span rpc_call_name(const struct rpc_call *c)
{
    return span_of(c->text.base + c->text.off, c->name_len);
}

static inline struct span rpc_call_method(const struct rpc_call *c)
{
    return span_of(c->text.base + c->text.off + c->name_len, c->text.len - c->name_len);
}

#endif

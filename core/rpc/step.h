/*
 * One step of a resolution (spec: naming 5, ResolveStepAll): names that stand for the same object
 * are asked in order until one of them answers. Internal to core/rpc.
 */
#ifndef RPC_STEP_H
#define RPC_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"

struct rpc_client;
struct rpc_step;
struct security_private;

struct rpc_step_answer {
    struct span asked;   /* the terminal name that answered */
    struct span servers; /* each ended by a NUL */
    struct span suffix;
    int64_t ttl; /* nanoseconds, of the server that has the least; 0 without any server */
};

/* What an error of a step means: naming 9.4 compares ids and texts. */
enum rpc_step_failure {
    RPC_STEP_MISSING,      /* the mount table has no such name */
    RPC_STEP_MISSING_ROOT, /* it has nothing at all under an empty name */
    RPC_STEP_NO_ANSWER,    /* none was a mount table, or could be reached, or admitted us */
};

struct rpc_step_ops {
    /* Exactly one of these is called, once; the step is gone then. All is borrowed. */
    void (*answered)(void *arg, const struct rpc_step_answer *a);
    void (*failed)(void *arg, enum rpc_step_failure how, const struct err *err);
};

/*
 * With no_fetch no discharges are fetched (see rpc_call_opts).
 * names (each ended by a NUL) must stay until the end. May end from inside this function, after
 * *ret_step was written. False if memory is short: nothing is called then.
 */
bool rpc_step_start(struct rpc_client *client, struct span names, struct security_private *identity,
                    bool no_fetch, const struct rpc_step_ops *ops, void *arg,
                    struct rpc_step **ret_step);
/* Gives up; nothing is called. Tells whether the names are missing as far as is known. */
bool rpc_step_cancel(struct rpc_step *s);

#endif

/*
 * Circuits of the client: one per (endpoint, identity), shared by all calls and kept until idle,
 * worn out or close to the end of their identity. A circuit that has all its flows in use gets a
 * second one beside it.
 *
 *     DIALING --link--> OPENING --ready--> READY --idle, worn, expiring--> (handle closed)
 *        |                 |                  |
 *        +-----------------+------------------+--error--> waiters told, (handle closed)
 *
 * Internal to core/rpc. Worker's thread.
 */
#ifndef RPC_CIRCUIT_H
#define RPC_CIRCUIT_H

#include "base/list.h"
#include "naming/endpoint.h"
#include "rpc/runtime_private.h"
#include "vc/vif.h"

struct rpc_circuit;
struct security_private;

/* Somebody who waits for a circuit; told exactly once unless removed (list_remove) before. */
struct rpc_circuit_waiter {
    struct list node;
    /* vc is NULL if it cannot be had, with the reason in why. */
    void (*ready)(struct rpc_circuit_waiter *w, struct vc *vc, const struct err *why);
};

#define RPC_RECENT_PEERS 8

struct rpc_circuits {
    struct rpc_runtime *rt;
    struct rpc_peer *peers;                    /* hash by endpoint and identity */
    struct rpc_peer *recent[RPC_RECENT_PEERS]; /* NULL: none */
    unsigned next_recent;
};

void rpc_circuits_init(struct rpc_circuits *cs, struct rpc_runtime *rt);
/*
 * The circuit for a name that begins with this text of an endpoint, if it is one of the last that
 * were asked for and has one that can be used now; NULL says nothing. For all other cases there is
 * rpc_circuits_get().
 */
struct vc *rpc_circuits_recent(struct rpc_circuits *cs, struct span text,
                               const struct security_private *identity);
/*
 * A circuit to the endpoint under the identity; the text is what names say for it. 1 with *ret_vc
 * if there is one now; 0 if the waiter will be told, never from inside this call; or an error.
 */
int rpc_circuits_get(struct rpc_circuits *cs, struct span text, const struct naming_endpoint *ep,
                     struct security_private *identity, struct rpc_circuit_waiter *w,
                     struct vc **ret_vc, struct err *err);
/* Lets go of circuits that are idle, worn out or about to outlive their identity. */
void rpc_circuits_sweep(struct rpc_circuits *cs, int64_t now, int64_t wall);
/* Ends all circuits; waiters are told. */
void rpc_circuits_stop(struct rpc_circuits *cs);

#endif

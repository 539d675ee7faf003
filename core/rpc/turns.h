/*
 * Turns: few of what may take long run at once, fewer for each share, and shares come one after the
 * other, so that whoever has much to wait for does not make others wait. Worker's thread.
 */
#ifndef RPC_TURNS_H
#define RPC_TURNS_H

#include "base/list.h"
#include "loop/worker.h"

#define RPC_TURNS_AT_ONCE 256
#define RPC_TURNS_EACH    8 /* of one share */

/* What belongs together: the servers of one page. Counted. */
struct rpc_share {
    struct list node;    /* of rpc_turns.ready */
    struct list waiting; /* struct rpc_turn */
    unsigned running, refs;
};

/* Embedded in what waits; its share must outlive it. */
struct rpc_turn {
    struct list node;
    struct rpc_share *share;
};

struct rpc_turns {
    struct list ready; /* shares of which somebody waits and may begin */
    unsigned running;
    struct loop_worker *w;
    struct loop_task task;
    void (*begin)(struct rpc_turn *turn); /* it may begin, and be freed */
};

void rpc_turns_init(struct rpc_turns *t, struct loop_worker *w,
                    void (*begin)(struct rpc_turn *turn));
void rpc_turns_done(struct rpc_turns *t);

/* NULL if memory is short. */
struct rpc_share *rpc_share_new(void);
struct rpc_share *rpc_share_ref(struct rpc_share *share);
void rpc_share_unref(struct rpc_share *share);

void rpc_turn_init(struct rpc_turn *turn, struct rpc_share *share);
/* Behind the others of its share; begin is called from the loop. Nothing if it waits already. */
void rpc_turn_wait(struct rpc_turns *t, struct rpc_turn *turn);
bool rpc_turn_waits(const struct rpc_turn *turn);
void rpc_turn_leave(struct rpc_turn *turn);
/* What takes long begins, and is over. */
void rpc_turn_begun(struct rpc_turns *t, struct rpc_turn *turn);
void rpc_turn_over(struct rpc_turns *t, struct rpc_turn *turn);

#endif

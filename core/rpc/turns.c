#include "config.h"
#include "rpc/turns.h"

#include <stdlib.h>

struct rpc_share *rpc_share_new(void)
{
    struct rpc_share *share = calloc(1, sizeof *share);

    if (share == NULL)
        return NULL;
    list_init(&share->node);
    list_init(&share->waiting);
    share->refs = 1;
    return share;
}

struct rpc_share *rpc_share_ref(struct rpc_share *share)
{
    share->refs++;
    return share;
}

void rpc_share_unref(struct rpc_share *share)
{
    if (share == NULL || --share->refs > 0)
        return;
    list_remove(&share->node);
    free(share);
}

/* Puts the share in line if it has somebody to put there. */
static void share_ready(struct rpc_turns *t, struct rpc_share *share)
{
    if (list_empty(&share->node) && !list_empty(&share->waiting) && share->running < RPC_TURNS_EACH)
        list_push_back(&t->ready, &share->node);
    if (!list_empty(&t->ready) && t->running < RPC_TURNS_AT_ONCE)
        loop_worker_later(t->w, &t->task);
}

static void turns_run(void *arg)
{
    struct rpc_turns *t = arg;
    struct list *node;

    while (t->running < RPC_TURNS_AT_ONCE && (node = list_pop(&t->ready)) != NULL) {
        struct rpc_share *share = rpc_share_ref(LIST_OBJECT(node, struct rpc_share, node));
        struct list *first = list_pop(&share->waiting); /* NULL: it has left */

        if (first != NULL)
            t->begin(LIST_OBJECT(first, struct rpc_turn, node));
        share_ready(t, share);
        rpc_share_unref(share);
    }
}

void rpc_turns_init(struct rpc_turns *t, struct loop_worker *w,
                    void (*begin)(struct rpc_turn *turn))
{
    list_init(&t->ready);
    t->running = 0;
    t->w = w;
    t->begin = begin;
    loop_task_init(&t->task, turns_run, t);
}

void rpc_turns_done(struct rpc_turns *t)
{
    loop_task_cancel(&t->task);
    while (list_pop(&t->ready) != NULL) /* those whose turns have left: they may outlive this */
        ;
}

void rpc_turn_init(struct rpc_turn *turn, struct rpc_share *share)
{
    list_init(&turn->node);
    turn->share = share;
}

void rpc_turn_wait(struct rpc_turns *t, struct rpc_turn *turn)
{
    if (rpc_turn_waits(turn))
        return;
    list_push_back(&turn->share->waiting, &turn->node);
    share_ready(t, turn->share);
}

bool rpc_turn_waits(const struct rpc_turn *turn)
{
    return !list_empty(&turn->node);
}

void rpc_turn_leave(struct rpc_turn *turn)
{
    list_remove(&turn->node);
}

void rpc_turn_begun(struct rpc_turns *t, struct rpc_turn *turn)
{
    t->running++;
    turn->share->running++;
}

void rpc_turn_over(struct rpc_turns *t, struct rpc_turn *turn)
{
    t->running--;
    turn->share->running--;
    share_ready(t, turn->share);
}

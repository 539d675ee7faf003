/*
 * A hierarchical timing wheel: a set of nodes ordered by a tick, with insertion and removal in
 * constant time and without memory. Pure data structure; `loop/timer.h` puts it on a worker.
 */
#ifndef LOOP_WHEEL_H
#define LOOP_WHEEL_H

#include <stdbool.h>
#include <stdint.h>
#include "base/list.h"

#define WHEEL_BITS   6
#define WHEEL_SLOTS  (1 << WHEEL_BITS)
#define WHEEL_LEVELS 8 /* 2^48 ticks: later ones are treated as the last tick of the range */

struct wheel_node {
    struct list link;
    uint64_t tick;
    uint8_t level;
    uint8_t slot;
};

struct wheel {
    uint64_t now;                /* the tick up to which everything was taken out */
    uint64_t used[WHEEL_LEVELS]; /* one bit per slot that may hold nodes */
    struct list due;             /* nodes whose tick is not after now */
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now);

static inline void wheel_node_init(struct wheel_node *n)
{
    list_init(&n->link);
}

static inline bool wheel_linked(const struct wheel_node *n)
{
    return !list_empty(&n->link);
}

/* Puts a node that is in no wheel in. */
void wheel_add(struct wheel *w, struct wheel_node *n, uint64_t tick);
void wheel_remove(struct wheel *w, struct wheel_node *n);
/* Sets the time (never back) and appends all nodes up to it to `due`, earlier ones first. */
void wheel_advance(struct wheel *w, uint64_t now, struct list *due);
/* The tick at which wheel_advance() should be called next, not after the earliest node; false:
 * never. */
bool wheel_next(const struct wheel *w, uint64_t *ret_tick);

#endif

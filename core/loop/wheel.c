/*
 * A node goes to the level of the highest digit (base 64) in which its tick differs from now, and
 * there into the slot of its own digit:
 *
 *     now   = .. 2 17 05          a node at 2 17 40 -> level 0, slot 40
 *     digit    2  1  0            a node at 2 30 xx -> level 1, slot 30
 *
 * Hence all nodes of a level come before those of the next one, and within a level the slots are in
 * order: the first used slot of the first used level is where time must stop next. When now reaches
 * that slot its nodes are put in again and land at lower levels, or are due.
 */
#include "config.h"
#include "loop/wheel.h"

#include <stddef.h>

#define WHEEL_DUE  0xff /* level of nodes that are in a list of due ones */
#define WHEEL_MASK (WHEEL_SLOTS - 1)
#define WHEEL_LAST ((UINT64_C(1) << (WHEEL_BITS * WHEEL_LEVELS)) - 1)

void wheel_init(struct wheel *w, uint64_t now)
{
    w->now = now;
    list_init(&w->due);
    for (int l = 0; l < WHEEL_LEVELS; l++) {
        w->used[l] = 0;
        for (int s = 0; s < WHEEL_SLOTS; s++)
            list_init(&w->slots[l][s]);
    }
}

static void wheel_put(struct wheel *w, struct wheel_node *n, struct list *due)
{
    int level, slot;

    if (n->tick <= w->now) {
        n->level = WHEEL_DUE;
        list_push_back(due, &n->link);
        return;
    }
    level = (63 - __builtin_clzll(n->tick ^ w->now)) / WHEEL_BITS;
    slot = (int)(n->tick >> (level * WHEEL_BITS)) & WHEEL_MASK;
    n->level = (uint8_t)level;
    n->slot = (uint8_t)slot;
    w->used[level] |= UINT64_C(1) << slot;
    list_push_back(&w->slots[level][slot], &n->link);
}

void wheel_add(struct wheel *w, struct wheel_node *n, uint64_t tick)
{
    n->tick = tick < WHEEL_LAST ? tick : WHEEL_LAST;
    wheel_put(w, n, &w->due);
}

void wheel_remove(struct wheel *w, struct wheel_node *n)
{
    if (!wheel_linked(n))
        return;
    list_remove(&n->link);
    if (n->level != WHEEL_DUE && list_empty(&w->slots[n->level][n->slot]))
        w->used[n->level] &= ~(UINT64_C(1) << n->slot);
}

/* The first used slot of the first used level, and the tick at which its digit begins. */
static bool wheel_first(const struct wheel *w, int *ret_level, int *ret_slot, uint64_t *ret_tick)
{
    for (int l = 0; l < WHEEL_LEVELS; l++) {
        if (w->used[l] != 0) {
            int slot = __builtin_ctzll(w->used[l]), shift = l * WHEEL_BITS;
            uint64_t above = w->now >> shift >> WHEEL_BITS << WHEEL_BITS;

            *ret_level = l;
            *ret_slot = slot;
            *ret_tick = (above | (uint64_t)slot) << shift;
            return true;
        }
    }
    return false;
}

static void wheel_take(struct list *from, struct list *to)
{
    struct list *node;

    while ((node = list_pop(from)) != NULL)
        list_push_back(to, node);
}

void wheel_advance(struct wheel *w, uint64_t now, struct list *due)
{
    uint64_t tick;
    int level, slot;

    wheel_take(&w->due, due);
    while (wheel_first(w, &level, &slot, &tick) && tick <= now) {
        struct list moved = LIST_INIT(moved), *node;

        w->now = tick;
        w->used[level] &= ~(UINT64_C(1) << slot);
        wheel_take(&w->slots[level][slot], &moved);
        while ((node = list_pop(&moved)) != NULL)
            wheel_put(w, LIST_OBJECT(node, struct wheel_node, link), due);
    }
    if (now > w->now)
        w->now = now;
}

bool wheel_next(const struct wheel *w, uint64_t *ret_tick)
{
    int level, slot;

    if (!list_empty(&w->due)) {
        *ret_tick = w->now;
        return true;
    }
    return wheel_first(w, &level, &slot, ret_tick);
}

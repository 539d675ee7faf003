/*
 * The memory of objects that have ended, kept for the next ones: who ended last comes first. The
 * fewest that there were between two looks were needed by nobody: they may go. For one thread.
 */
#ifndef BASE_SPARES_H
#define BASE_SPARES_H

#include <stdbool.h>
#include <stddef.h>
#include "base/list.h"

struct spares {
    struct list list; /* nodes of the objects */
    unsigned n, max;
    unsigned fewest; /* since the last look */
};

static inline void spares_init(struct spares *s, unsigned max)
{
    list_init(&s->list);
    s->n = s->fewest = 0;
    s->max = max;
}

/* Whether it is kept; else it remains the caller's. */
static inline bool spares_keep(struct spares *s, struct list *node)
{
    if (s->n >= s->max)
        return false;
    list_push_front(&s->list, node);
    s->n++;
    return true;
}

/* NULL if there is none. */
static inline struct list *spares_take(struct spares *s)
{
    struct list *node = list_pop(&s->list);

    if (node != NULL && --s->n < s->fewest)
        s->fewest = s->n;
    return node;
}

/*
 * Looks: takes out one that nobody needed since the last look, the one that was kept longest. NULL:
 * there is no other, and the look is over.
 */
static inline struct list *spares_take_idle(struct spares *s)
{
    struct list *node = s->list.prev;

    if (s->fewest == 0) {
        s->fewest = s->n;
        return NULL;
    }
    s->fewest--;
    s->n--;
    list_remove(node);
    return node;
}

#endif

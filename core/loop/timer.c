#include "config.h"
#include "loop/timer.h"

#include <assert.h>

#include "base/clock.h"
#include "loop/internal.h"

void loop_timer_init(struct loop_timer *t, struct loop_worker *w, loop_fn *fn, void *arg)
{
    wheel_node_init(&t->node);
    t->w = w;
    t->period = 0;
    t->at = 0;
    t->fn = fn;
    t->arg = arg;
}

/* Enters a timer for t->at, rounded up to a whole tick so that it is never early. */
static void loop_timer_enter(struct loop_timer *t)
{
    int64_t at = t->at > 0 ? t->at : 0;
    uint64_t tick = (uint64_t)(at / CLOCK_MS) + (at % CLOCK_MS != 0);

    wheel_add(&t->w->wheel, &t->node, tick);
    t->w->stats.timers_armed++;
}

void loop_timer_start_at(struct loop_timer *t, int64_t at)
{
    assert(loop_worker_here(t->w));
    loop_timer_stop(t);
    t->period = 0;
    t->at = at;
    loop_timer_enter(t);
}

/* now + delay without overflow */
static int64_t loop_after(struct loop_worker *w, int64_t delay)
{
    int64_t now = loop_worker_now(w);

    return delay < INT64_MAX - now ? now + delay : INT64_MAX;
}

void loop_timer_start(struct loop_timer *t, int64_t delay)
{
    loop_timer_start_at(t, loop_after(t->w, delay));
}

void loop_timer_start_every(struct loop_timer *t, int64_t period)
{
    if (period < CLOCK_MS)
        period = CLOCK_MS;
    loop_timer_start_at(t, loop_after(t->w, period));
    t->period = period;
}

void loop_timer_stop(struct loop_timer *t)
{
    if (!wheel_linked(&t->node))
        return;
    assert(loop_worker_here(t->w));
    wheel_remove(&t->w->wheel, &t->node);
    t->w->stats.timers_armed--;
}

void loop_timers_run(struct loop_worker *w)
{
    struct list due = LIST_INIT(due), *link;
    int64_t now = loop_worker_now(w);

    wheel_advance(&w->wheel, (uint64_t)(now / CLOCK_MS), &due);
    while ((link = list_pop(&due)) != NULL) {
        struct wheel_node *node = LIST_OBJECT(link, struct wheel_node, link);
        struct loop_timer *t = LIST_OBJECT(node, struct loop_timer, node);

        w->stats.timers_armed--;
        w->stats.timers++;
        if (t->period > 0) {
            t->at += t->period * ((now - t->at) / t->period + 1);
            loop_timer_enter(t);
        }
        t->fn(t->arg);
    }
}

/*
 * Timers that live in their owners' objects: starting, moving and stopping one takes no memory,
 * cannot fail and costs the same with ten or a hundred thousand of them. A timer fires at or up to
 * about a millisecond after its time, never before. Worker's thread only.
 */
#ifndef LOOP_TIMER_H
#define LOOP_TIMER_H

#include <stdbool.h>
#include <stdint.h>
#include "loop/wheel.h"
#include "loop/worker.h"

struct loop_timer {
    struct wheel_node node;
    struct loop_worker *w;
    int64_t period; /* nanoseconds; 0: once */
    int64_t at;     /* when it is due, as asked for */
    loop_fn *fn;
    void *arg;
};

/* fn may start or stop the timer again, and free the object that it lives in. */
void loop_timer_init(struct loop_timer *t, struct loop_worker *w, loop_fn *fn, void *arg);
/* Fires once, after `delay` nanoseconds from loop_worker_now(). Moves a timer that is running. */
void loop_timer_start(struct loop_timer *t, int64_t delay);
/* Fires once at a time of loop_worker_now()'s clock; a time in the past means the next turn. */
void loop_timer_start_at(struct loop_timer *t, int64_t at);
/* Fires every `period` nanoseconds (at least a millisecond). Periods that were missed are skipped.
 */
void loop_timer_start_every(struct loop_timer *t, int64_t period);
/* Harmless on a timer that does not run (but it must have been initialised). */
void loop_timer_stop(struct loop_timer *t);

static inline bool loop_timer_running(const struct loop_timer *t)
{
    return wheel_linked(&t->node);
}

#endif

/*
 * A worker: one event loop on one thread. Everything that lives on a worker (sockets, timers,
 * tasks) is touched by its thread only; other threads reach it through loop_worker_post() and
 * loop_worker_stop(). Nothing here is global, so a process may have any number of workers.
 *
 * One turn of the loop:
 *
 *     wait -> socket callbacks, posted calls -> due timers -> later tasks -> flush of sockets
 *     -> reap
 *
 * Whatever is queued for a phase while that phase runs is done in the next turn, which then does
 * not wait. While sockets have something for each other in memory (loop_sock_pair), that is
 * delivered after the flush, and later tasks and flush come again: a few times, before the reaping.
 * No callback of this folder is ever made from inside a function that the owner calls.
 */
#ifndef LOOP_WORKER_H
#define LOOP_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/error.h"
#include "base/list.h"

struct loop_worker;

typedef void loop_fn(void *arg);

/* Counters of one worker; read them on its thread. */
struct loop_stats {
    uint64_t turns;
    uint64_t posts;         /* calls posted to it */
    uint64_t posts_refused; /* because its queue was full */
    uint64_t tasks;         /* later and reap tasks that ran */
    uint64_t timers;        /* timers that fired */
    uint64_t jobs;          /* offloaded jobs that came back */
    uint64_t jobs_refused;  /* because their lane was full, or had no thread */
    uint64_t reads, bytes_in;
    uint64_t writes, bytes_out;
    uint64_t moves, bytes_moved; /* instead of both, between sockets connected in memory */
    uint64_t accepts, accept_errors;
    uint64_t dials, dial_errors;
    unsigned timers_armed; /* now */
    unsigned jobs_out;     /* now: submitted and not back */
    unsigned socks;        /* now: sockets, those that linger included */
};

struct loop_worker_opts {
    unsigned id;     /* for logs and for spreading work; any number */
    size_t post_max; /* calls that may wait in the queue of loop_worker_post(); 0: 65536 */
};

/* WSPR_ENOMEM or WSPR_ESYS. opts may be NULL. */
int loop_worker_new(const struct loop_worker_opts *opts, struct loop_worker **ret_w, struct err *e);
/*
 * Frees a worker that does not run. Sockets still open are closed at once, without a notice; their
 * owners must be gone already. Calls still posted (it never ran) are dropped. NULL is accepted.
 */
void loop_worker_free(struct loop_worker *w);

/*
 * Runs the loop on the calling thread until loop_worker_stop(). Before it returns it takes back
 * every offloaded job of this worker, runs what was posted and queued, and gives closing sockets a
 * last second to send their output. It cannot be run a second time.
 */
void loop_worker_run(struct loop_worker *w);
/* The same on a thread of its own; signals are blocked there. WSPR_ESYS. */
int loop_worker_spawn(struct loop_worker *w, struct err *e);
/* Waits for the end of a spawned worker. */
void loop_worker_join(struct loop_worker *w);
/* Makes loop_worker_run() end after the current turn. Any thread, and from a signal handler. */
void loop_worker_stop(struct loop_worker *w);
bool loop_worker_stopping(const struct loop_worker *w);

/*
 * One turn that waits at most max_wait nanoseconds for something to do (negative: without limit).
 * For tests and for programs that have a loop of their own.
 */
void loop_worker_turn(struct loop_worker *w, int64_t max_wait);

/* Monotonic time, read once per turn. Worker's thread. */
int64_t loop_worker_now(struct loop_worker *w);
/*
 * For tests: the worker's time is so many nanoseconds later from now on, and timers that are due by
 * then fire in the next turns. Sockets know nothing of it. Between turns, on the worker's thread.
 */
void loop_worker_skip(struct loop_worker *w, int64_t time);
unsigned loop_worker_id(const struct loop_worker *w);
const struct loop_stats *loop_worker_stats(const struct loop_worker *w);
/* Whether the caller is on the worker's thread (true before it runs). For assertions. */
bool loop_worker_here(const struct loop_worker *w);

/*
 * Runs fn(arg) on the worker's thread in one of its next turns, in the order of posting. Any
 * thread; may be called before the worker runs. WSPR_ELIMIT when too many wait, WSPR_ENOMEM, or
 * WSPR_ECLOSED once the worker has ended; the call is then not made and arg remains the caller's.
 */
int loop_worker_post(struct loop_worker *w, loop_fn *fn, void *arg);

/* A call that lives in its owner's object, so that queueing it needs no memory. */
struct loop_task {
    struct list node;
    loop_fn *fn;
    void *arg;
};

static inline void loop_task_init(struct loop_task *t, loop_fn *fn, void *arg)
{
    list_init(&t->node);
    t->fn = fn;
    t->arg = arg;
}

static inline bool loop_task_queued(const struct loop_task *t)
{
    return !list_empty(&t->node);
}

/* Takes a later or reap task out of its queue. Harmless if it is in none. Worker's thread. */
static inline void loop_task_cancel(struct loop_task *t)
{
    list_remove(&t->node);
}

/*
 * Runs the task once, after the callbacks of this turn, before sockets are flushed. Does nothing if
 * the task is queued already. The task may free the object that it lives in. Worker's thread.
 */
void loop_worker_later(struct loop_worker *w, struct loop_task *t);
/* The same at the very end of the turn: for freeing, when no callback of the object can be running.
 */
void loop_worker_reap(struct loop_worker *w, struct loop_task *t);
/*
 * Like loop_worker_post() with the caller's memory: not limited, cannot fail but with WSPR_ECLOSED.
 * The task must not be touched until it runs. Any thread.
 */
int loop_worker_post_task(struct loop_worker *w, struct loop_task *t);

#endif

/*
 * A pool of threads for what must not run on a loop: handshakes and signatures (the CPU lane), name
 * look-ups and files (the WAIT lane, with threads of its own, so that a dead name server delays no
 * handshake), and what no call waits for (the BACK lane, whose threads give way to the loops where
 * processors are scarce, but are never starved by them). All workers share one pool.
 *
 * A job lives in its owner's object. Between submit and done the job, and whatever work() touches,
 * belongs to the pool: the owner neither touches nor frees it. done() comes exactly once for each
 * submitted job, on the worker that submitted it, never from inside loop_offload_submit().
 */
#ifndef LOOP_OFFLOAD_H
#define LOOP_OFFLOAD_H

#include "loop/worker.h"

struct loop_offload;

enum loop_lane { LOOP_LANE_CPU, LOOP_LANE_WAIT, LOOP_LANE_BACK, LOOP_LANES };

struct loop_job {
    struct loop_task task; /* in the queue of a lane, then on its way back */
    struct loop_worker *w;
    struct loop_offload *pool;
    void (*work)(void *arg); /* any thread */
    void (*done)(void *arg,
                 int status); /* worker's thread: 0, or WSPR_ECANCELED if work() never ran */
    void *arg;
    int lane;
    int status;
    bool waiting; /* in the queue of its lane; under the pool's lock */
};

struct loop_offload_opts {
    unsigned threads[LOOP_LANES];   /* at most; 0: 2 for CPU, 4 for WAIT, 2 for BACK */
    unsigned queue_max[LOOP_LANES]; /* jobs that may wait; 0: 4096 */
};

/* Threads are started by the jobs that need them. WSPR_ENOMEM. opts may be NULL. */
int loop_offload_new(const struct loop_offload_opts *opts, struct loop_offload **ret_pool,
                     struct err *e);

void loop_job_init(struct loop_job *j, void (*work)(void *arg), void (*done)(void *arg, int status),
                   void *arg);
/*
 * Hands the job to the pool. WSPR_ELIMIT if too many wait, WSPR_ESYS if the system gives the lane
 * no thread at all, WSPR_ECLOSED after loop_offload_stop(); the job then remains the caller's and
 * done() does not come. Worker's thread.
 */
int loop_offload_submit(struct loop_offload *pool, struct loop_worker *w, enum loop_lane lane,
                        struct loop_job *j);
/*
 * Asks for a submitted job to be skipped. done() still comes: with WSPR_ECANCELED if work() had not
 * begun, else as usual. Worker's thread.
 */
void loop_job_cancel(struct loop_job *j);

/*
 * Refuses further jobs, then runs those that wait (drain) or cancels them; returns when the threads
 * have ended. The done() calls are made by the workers' loops afterwards: a worker that is stopped
 * still makes them before loop_worker_run() returns. Any thread; harmless a second time.
 */
void loop_offload_stop(struct loop_offload *pool, bool drain);
/* Stops (cancelling) and frees. All workers that submitted jobs must have got them back. */
void loop_offload_free(struct loop_offload *pool);

#endif

/*
 * What is slow, on the pool's threads: steps of handshakes, which a vif's `work` callback hands on,
 * and whatever else signs or verifies. Worker's thread.
 */
#ifndef RPC_JOBS_H
#define RPC_JOBS_H

#include "loop/offload.h"

struct vc_job;

struct rpc_jobs {
    struct loop_worker *worker;
    struct loop_offload *offload; /* NULL: jobs are done on the spot */
    unsigned out;                 /* jobs that are not back */
    void (*back)(void *arg);      /* one came back, after it was reported to the engine; optional */
    void *arg;
};

/* Sees to it that the job is run, or cancelled if too many wait, and reported. jobs must stay until
 * none is out. */
void rpc_jobs_submit(struct rpc_jobs *jobs, struct vc_job *job);

/* A piece of work, inside its owner's object, which must stay until it is back. */
struct rpc_job {
    struct loop_job job;
    struct loop_task task; /* back from where it was done on the spot, or refused */
    struct rpc_jobs *jobs;
    void (*work)(void *arg);
    void (*done)(void *arg, int status);
    void *arg;
    int status;
};

/*
 * Calls work() on a thread of the pool, then done() on the loop, never from inside this function.
 * With a negative status work() was not called: too many jobs wait, or the pool is stopping.
 */
void rpc_jobs_run(struct rpc_jobs *jobs, struct rpc_job *job, void (*work)(void *arg),
                  void (*done)(void *arg, int status), void *arg);

#endif

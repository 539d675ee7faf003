/*
 * Slow steps of handshakes on the pool's threads: what a vif's `work` callback needs. Worker's
 * thread.
 */
#ifndef RPC_JOBS_H
#define RPC_JOBS_H

struct loop_offload;
struct loop_worker;
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

#endif

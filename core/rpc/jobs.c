#include "config.h"
#include "rpc/jobs.h"

#include <stdlib.h>

#include "vc/vif.h"

struct handshake_job {
    struct loop_job job;
    struct vc_job *vc_job;
    struct rpc_jobs *jobs;
};

static void jobs_back(struct rpc_jobs *jobs)
{
    jobs->out--;
    if (jobs->back != NULL)
        jobs->back(jobs->arg);
}

/* ---- steps of handshakes ---- */

static void handshake_work(void *arg)
{
    struct handshake_job *j = arg;

    vc_job_run(j->vc_job);
}

static void handshake_done(void *arg, int status)
{
    struct handshake_job *j = arg;
    struct rpc_jobs *jobs = j->jobs;

    if (status < 0)
        vc_job_cancel(j->vc_job);
    vc_job_done(j->vc_job);
    free(j);
    jobs_back(jobs);
}

void rpc_jobs_submit(struct rpc_jobs *jobs, struct vc_job *vc_job)
{
    struct handshake_job *j = jobs->offload != NULL ? malloc(sizeof *j) : NULL;

    if (j != NULL) {
        j->vc_job = vc_job;
        j->jobs = jobs;
        loop_job_init(&j->job, handshake_work, handshake_done, j);
        if (loop_offload_submit(jobs->offload, jobs->worker, LOOP_LANE_CPU, &j->job) == 0) {
            jobs->out++;
            return;
        }
        free(j);
        /* A full pool means that many handshakes wait: this one fails rather than block the loop.
         */
        vc_job_cancel(vc_job);
    } else {
        vc_job_run(vc_job);
    }
    vc_job_done(vc_job);
}

/* ---- other work ---- */

static void job_work(void *arg)
{
    struct rpc_job *j = arg;

    j->work(j->arg);
}

static void job_done(void *arg, int status)
{
    struct rpc_job *j = arg;
    struct rpc_jobs *jobs = j->jobs;

    j->done(j->arg, status); /* which may free it */
    jobs_back(jobs);
}

static void job_task(void *arg)
{
    struct rpc_job *j = arg;

    job_done(j, j->status);
}

void rpc_jobs_run(struct rpc_jobs *jobs, struct rpc_job *j, void (*work)(void *arg),
                  void (*done)(void *arg, int status), void *arg)
{
    *j = (struct rpc_job){.jobs = jobs, .work = work, .done = done, .arg = arg};
    jobs->out++;
    if (jobs->offload == NULL) {
        work(arg);
    } else {
        loop_job_init(&j->job, job_work, job_done, j);
        j->status = loop_offload_submit(jobs->offload, jobs->worker, LOOP_LANE_CPU, &j->job);
        if (j->status == 0)
            return;
    }
    loop_task_init(&j->task, job_task, j);
    loop_worker_later(jobs->worker, &j->task);
}

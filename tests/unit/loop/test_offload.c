#include "config.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "loop/offload.h"
#include "rig.h"

enum { JOBS = 500 };

struct job_rig {
    struct loop_worker *w;
    struct loop_offload *pool;
    struct loop_job jobs[JOBS];
    unsigned results[JOBS]; /* written by work(), read by done() */
    unsigned done, ran, canceled, wrong;
    atomic_uint hold; /* work() waits while it is set */
};

struct job_arg {
    struct job_rig *rig;
    unsigned i;
};

static struct job_arg job_args[JOBS];

static void job_work(void *arg)
{
    struct job_arg *a = arg;

    while (atomic_load(&a->rig->hold) != 0)
        rig_nap(200);
    a->rig->results[a->i] = a->i + 1;
}

static void job_done(void *arg, int status)
{
    struct job_arg *a = arg;
    struct job_rig *rig = a->rig;

    rig->wrong += !loop_worker_here(rig->w);
    if (status == 0) {
        rig->ran++;
        rig->wrong += rig->results[a->i] != a->i + 1;
    } else {
        rig->canceled += status == WSPR_ECANCELED;
        rig->wrong += rig->results[a->i] != 0;
    }
    if (++rig->done == JOBS)
        loop_worker_stop(rig->w);
}

static struct job_rig *job_rig_new(const struct loop_offload_opts *opts)
{
    struct job_rig *rig = calloc(1, sizeof *rig);

    if (rig == NULL)
        abort();
    rig->w = rig_worker();
    TAP_IS(loop_offload_new(opts, &rig->pool, NULL) == 0);
    for (unsigned i = 0; i < JOBS; i++) {
        job_args[i] = (struct job_arg){rig, i};
        loop_job_init(&rig->jobs[i], job_work, job_done, &job_args[i]);
    }
    return rig;
}

static void job_rig_free(struct job_rig *rig)
{
    loop_offload_free(rig->pool);
    loop_worker_free(rig->w);
    free(rig);
}

static void jobs_come_back(void)
{
    struct job_rig *rig = job_rig_new(NULL);
    unsigned refused = 0;

    for (unsigned i = 0; i < JOBS; i++)
        refused += loop_offload_submit(rig->pool, rig->w, i % LOOP_LANES, &rig->jobs[i]) != 0;
    TAP_IS(refused == 0);
    loop_worker_run(rig->w);
    TAP_OK(rig->done == JOBS && rig->ran == JOBS && rig->wrong == 0, "%u done, %u wrong", rig->done,
           rig->wrong);
    TAP_IS(loop_worker_stats(rig->w)->jobs == JOBS && loop_worker_stats(rig->w)->jobs_out == 0);
    job_rig_free(rig);
}

/* Of this process, as the system counts them. */
static unsigned threads_now(void)
{
    DIR *d = opendir("/proc/self/task");
    unsigned n = 0;

    while (d != NULL && readdir(d) != NULL)
        n++;
    if (d != NULL)
        closedir(d);
    return n;
}

/* A lane has no thread before it has a job, and no more than it may. */
static void threads_come_with_jobs(void)
{
    struct loop_offload_opts opts = {.threads = {3, 3, 3}};
    unsigned before = threads_now();
    struct job_rig *rig = job_rig_new(&opts);

    atomic_store(&rig->hold, 1);
    TAP_IS(threads_now() == before);
    for (unsigned i = 0; i < 5; i++) {
        TAP_IS(loop_offload_submit(rig->pool, rig->w, LOOP_LANE_CPU, &rig->jobs[i]) == 0);
        TAP_OK(threads_now() == before + (i < 3 ? i + 1 : 3), "%u threads", threads_now() - before);
    }
    TAP_IS(loop_offload_submit(rig->pool, rig->w, LOOP_LANE_BACK, &rig->jobs[5]) == 0);
    TAP_IS(threads_now() == before + 4);
    atomic_store(&rig->hold, 0);
    while (loop_worker_stats(rig->w)->jobs_out > 0)
        loop_worker_turn(rig->w, CLOCK_S);
    TAP_IS(rig->ran == 6 && rig->wrong == 0);
    job_rig_free(rig);
}

static void jobs_are_bounded_and_canceled(void)
{
    struct loop_offload_opts opts = {{1, 1}, {10, 10}};
    struct job_rig *rig = job_rig_new(&opts);
    unsigned taken = 0;
    int r;

    atomic_store(&rig->hold, 1);
    while ((r = loop_offload_submit(rig->pool, rig->w, LOOP_LANE_CPU, &rig->jobs[taken])) == 0)
        taken++;
    /* Ten wait, one may be with the thread already. */
    TAP_OK(r == WSPR_ELIMIT && (taken == 10 || taken == 11), "%d after %u", r, taken);
    loop_job_cancel(&rig->jobs[taken - 1]);
    loop_job_cancel(&rig->jobs[taken]);
    TAP_IS(rig->done == 0); /* not from inside */
    loop_worker_turn(rig->w, CLOCK_S);
    TAP_IS(rig->done == 1 && rig->canceled == 1);
    /* Its place is free again. */
    loop_job_init(&rig->jobs[taken - 1], job_work, job_done, &job_args[taken - 1]);
    TAP_IS(loop_offload_submit(rig->pool, rig->w, LOOP_LANE_CPU, &rig->jobs[taken - 1]) == 0);
    atomic_store(&rig->hold, 0);
    while (loop_worker_stats(rig->w)->jobs_out > 0)
        loop_worker_turn(rig->w, CLOCK_S);
    TAP_IS(rig->ran == taken && rig->wrong == 0);
    job_rig_free(rig);
}

static void *pool_stop_main(void *arg)
{
    struct job_rig *rig = arg;

    rig_nap(20000);
    atomic_store(&rig->hold, 0);
    return NULL;
}

/* Stops the pool while jobs wait, then the worker: each job comes back once. */
static void shutdown_with_pending_jobs(bool drain)
{
    struct job_rig *rig = job_rig_new(NULL);
    struct loop_job late;
    pthread_t helper;

    atomic_store(&rig->hold, 1);
    for (unsigned i = 0; i < JOBS; i++)
        loop_offload_submit(rig->pool, rig->w, i % LOOP_LANES, &rig->jobs[i]);
    pthread_create(&helper, NULL, pool_stop_main, rig);
    loop_offload_stop(rig->pool, drain);
    loop_offload_stop(rig->pool, false);
    TAP_IS(rig->done == 0);
    loop_job_init(&late, job_work, job_done, NULL);
    TAP_IS(loop_offload_submit(rig->pool, rig->w, LOOP_LANE_CPU, &late) == WSPR_ECLOSED);
    loop_worker_stop(rig->w);
    loop_worker_run(rig->w);
    TAP_IS(rig->done == JOBS && rig->wrong == 0);
    if (drain)
        TAP_IS(rig->ran == JOBS);
    else
        TAP_OK(rig->canceled > JOBS - 20 && rig->ran + rig->canceled == JOBS, "%u canceled",
               rig->canceled);
    pthread_join(helper, NULL);
    job_rig_free(rig);
}

static void shutdown_drains(void)
{
    shutdown_with_pending_jobs(true);
}

static void shutdown_cancels(void)
{
    shutdown_with_pending_jobs(false);
}

/* A worker that is stopped waits for the job that is out. */
static void worker_waits_for_its_jobs(void)
{
    struct job_rig *rig = job_rig_new(NULL);
    pthread_t helper;

    atomic_store(&rig->hold, 1);
    TAP_IS(loop_offload_submit(rig->pool, rig->w, LOOP_LANE_CPU, &rig->jobs[3]) == 0);
    pthread_create(&helper, NULL, pool_stop_main, rig);
    loop_worker_stop(rig->w);
    loop_worker_run(rig->w);
    TAP_IS(rig->done == 1 && rig->ran == 1 && rig->wrong == 0);
    pthread_join(helper, NULL);
    job_rig_free(rig);
}

/* How the threads of each lane are scheduled. */

struct manners {
    struct loop_worker *w;
    struct loop_job job;
    int nice, policy;
};

static void manners_work(void *arg)
{
    struct manners *m = arg;

    m->nice = getpriority(PRIO_PROCESS, 0); /* of this thread */
    m->policy = sched_getscheduler(0);
}

static void manners_done(void *arg, int status)
{
    struct manners *m = arg;

    TAP_IS(status == 0);
    loop_worker_stop(m->w);
}

static struct manners manners_of(enum loop_lane lane)
{
    struct manners m = {.w = rig_worker()};
    struct loop_offload *pool;

    TAP_IS(loop_offload_new(NULL, &pool, NULL) == 0);
    loop_job_init(&m.job, manners_work, manners_done, &m);
    TAP_IS(loop_offload_submit(pool, m.w, lane, &m.job) == 0);
    loop_worker_run(m.w);
    loop_offload_free(pool);
    loop_worker_free(m.w);
    return m;
}

static void back_gives_way(void)
{
    int own = getpriority(PRIO_PROCESS, 0), policy = sched_getscheduler(0);
    struct manners cpu = manners_of(LOOP_LANE_CPU), wait = manners_of(LOOP_LANE_WAIT),
                   back = manners_of(LOOP_LANE_BACK);

    TAP_IS(cpu.nice == own && cpu.policy == policy);
    TAP_IS(wait.nice == own && wait.policy == policy);
    TAP_OK(back.nice > own || own == 19, "%d after %d", back.nice, own);
    TAP_IS(back.policy == SCHED_BATCH);
    TAP_IS(getpriority(PRIO_PROCESS, 0) == own);
}

/* Two workers share a pool and post to each other. */

struct pair_rig {
    struct loop_worker *w[2];
    struct loop_offload *pool;
    struct loop_job job[2];
    struct loop_task task;
    unsigned hops;
};

static void pair_done_0(void *arg, int status);
static void pair_done_1(void *arg, int status);

static void pair_work(void *arg)
{
    struct pair_rig *rig = arg;

    rig->hops++;
}

static void pair_submit_0(void *arg)
{
    struct pair_rig *rig = arg;

    loop_job_init(&rig->job[0], pair_work, pair_done_0, rig);
    if (loop_offload_submit(rig->pool, rig->w[0], LOOP_LANE_CPU, &rig->job[0]) < 0)
        abort();
}

static void pair_submit_1(void *arg)
{
    struct pair_rig *rig = arg;

    loop_job_init(&rig->job[1], pair_work, pair_done_1, rig);
    if (loop_offload_submit(rig->pool, rig->w[1], LOOP_LANE_CPU, &rig->job[1]) < 0)
        abort();
}

static void pair_done_0(void *arg, int status)
{
    struct pair_rig *rig = arg;

    loop_task_init(&rig->task, pair_submit_1, rig);
    if (loop_worker_post_task(rig->w[1], &rig->task) < 0)
        abort();
}

static void pair_done_1(void *arg, int status)
{
    struct pair_rig *rig = arg;

    if (rig->hops >= 2000) {
        loop_worker_stop(rig->w[0]);
        loop_worker_stop(rig->w[1]);
    } else if (loop_worker_post(rig->w[0], pair_submit_0, rig) < 0) {
        abort();
    }
}

static void workers_hand_work_over(void)
{
    struct pair_rig rig = {0};

    for (int i = 0; i < 2; i++)
        rig.w[i] = rig_worker();
    TAP_IS(loop_offload_new(NULL, &rig.pool, NULL) == 0);
    TAP_IS(loop_worker_post(rig.w[0], pair_submit_0, &rig) == 0);
    for (int i = 0; i < 2; i++)
        TAP_IS(loop_worker_spawn(rig.w[i], NULL) == 0);
    for (int i = 0; i < 2; i++)
        loop_worker_join(rig.w[i]);
    TAP_OK(rig.hops == 2000, "%u hops", rig.hops);
    loop_offload_free(rig.pool);
    for (int i = 0; i < 2; i++)
        loop_worker_free(rig.w[i]);
}

static const struct tap_case offload_cases[] = {
    {"jobs_come_back", jobs_come_back},
    {"threads_come_with_jobs", threads_come_with_jobs},
    {"jobs_are_bounded_and_canceled", jobs_are_bounded_and_canceled},
    {"shutdown_drains", shutdown_drains},
    {"shutdown_cancels", shutdown_cancels},
    {"worker_waits_for_its_jobs", worker_waits_for_its_jobs},
    {"back_gives_way", back_gives_way},
    {"workers_hand_work_over", workers_hand_work_over},
};

const struct tap_suite suite_offload = TAP_SUITE("offload", offload_cases);

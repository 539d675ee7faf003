#include "config.h"
#include "loop/offload.h"

#include <assert.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "loop/internal.h"

#define OFFLOAD_THREADS_CPU  2
#define OFFLOAD_THREADS_WAIT 4
#define OFFLOAD_THREADS_BACK 2  /* one may wait for a disk; both give way */
#define OFFLOAD_BACK_NICE    10 /* more than the others: a tenth of what a loop gets */
#define OFFLOAD_THREADS_MAX  64
#define OFFLOAD_QUEUE_MAX    4096

struct offload_lane {
    struct loop_offload *pool;
    struct list queue; /* struct loop_job by task.node */
    size_t waiting;
    size_t queue_max;
    pthread_cond_t more;
    pthread_t threads[OFFLOAD_THREADS_MAX];
    unsigned n_threads, threads_max;
    unsigned idle; /* threads that wait for a job */
};

struct loop_offload {
    pthread_mutex_t lock; /* for everything below */
    struct offload_lane lanes[LOOP_LANES];
    bool stopped;
    bool joined;
};

static struct loop_job *offload_take(struct offload_lane *lane)
{
    struct list *node = list_pop(&lane->queue);
    struct loop_job *j;

    if (node == NULL)
        return NULL;
    j = LIST_OBJECT(node, struct loop_job, task.node);
    j->waiting = false;
    lane->waiting--;
    return j;
}

/* Sends a job back to its worker, which cannot have ended while it is out. */
static void offload_return(struct loop_job *j, int status)
{
    int r;

    j->status = status;
    r = loop_worker_post_task(j->w, &j->task);
    assert(r == 0);
    (void)r;
}

/*
 * A thread that gives way: it takes a processor from nobody when it wakes up, and everybody takes
 * its own. On Linux both are set for the thread alone. One that may not change them is as others.
 */
static void offload_give_way(void)
{
    struct sched_param none = {0};
    int nice = getpriority(PRIO_PROCESS, 0) + OFFLOAD_BACK_NICE;

    (void)sched_setscheduler(0, SCHED_BATCH, &none);
    (void)setpriority(PRIO_PROCESS, 0, nice < 19 ? nice : 19);
}

static void *offload_main(void *arg)
{
    struct offload_lane *lane = arg;
    struct loop_offload *pool = lane->pool;
    struct loop_job *j;

    if (lane == &pool->lanes[LOOP_LANE_BACK])
        offload_give_way();
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        j = offload_take(lane);
        if (j != NULL) {
            pthread_mutex_unlock(&pool->lock);
            j->work(j->arg);
            offload_return(j, 0);
            pthread_mutex_lock(&pool->lock);
        } else if (pool->stopped) {
            break;
        } else {
            lane->idle++;
            pthread_cond_wait(&lane->more, &pool->lock);
            lane->idle--;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/*
 * Another thread if there is none for one more job: a process that has nothing to offload, or not
 * yet, has no threads. False: there is not even one.
 */
static bool offload_grow(struct offload_lane *lane)
{
    if (lane->waiting >= lane->idle && lane->n_threads < lane->threads_max &&
        loop_thread_start(&lane->threads[lane->n_threads], offload_main, lane) == 0)
        lane->n_threads++;
    return lane->n_threads > 0;
}

int loop_offload_new(const struct loop_offload_opts *opts, struct loop_offload **ret_pool,
                     struct err *e)
{
    static const unsigned threads[LOOP_LANES] = {OFFLOAD_THREADS_CPU, OFFLOAD_THREADS_WAIT,
                                                 OFFLOAD_THREADS_BACK};
    struct loop_offload *pool = calloc(1, sizeof *pool);

    if (pool == NULL)
        return err_set(e, WSPR_ENOMEM, "offload: out of memory");
    pthread_mutex_init(&pool->lock, NULL);
    for (int i = 0; i < LOOP_LANES; i++) {
        unsigned n = opts != NULL && opts->threads[i] > 0 ? opts->threads[i] : threads[i];
        struct offload_lane *lane = &pool->lanes[i];

        lane->threads_max = n < OFFLOAD_THREADS_MAX ? n : OFFLOAD_THREADS_MAX;
        lane->pool = pool;
        list_init(&lane->queue);
        pthread_cond_init(&lane->more, NULL);
        lane->queue_max =
            opts != NULL && opts->queue_max[i] > 0 ? opts->queue_max[i] : OFFLOAD_QUEUE_MAX;
    }
    *ret_pool = pool;
    return 0;
}

/* Runs on the worker that submitted the job. */
static void offload_done(void *arg)
{
    struct loop_job *j = arg;

    j->w->stats.jobs_out--;
    j->w->stats.jobs++;
    j->pool = NULL;
    j->done(j->arg, j->status);
}

void loop_job_init(struct loop_job *j, void (*work)(void *arg), void (*done)(void *arg, int status),
                   void *arg)
{
    loop_task_init(&j->task, offload_done, j);
    j->w = NULL;
    j->pool = NULL;
    j->work = work;
    j->done = done;
    j->arg = arg;
    j->lane = 0;
    j->status = 0;
    j->waiting = false;
}

int loop_offload_submit(struct loop_offload *pool, struct loop_worker *w, enum loop_lane lane_id,
                        struct loop_job *j)
{
    struct offload_lane *lane = &pool->lanes[lane_id];
    int r = 0;

    assert(loop_worker_here(w) && j->pool == NULL);
    pthread_mutex_lock(&pool->lock);
    if (pool->stopped) {
        r = WSPR_ECLOSED;
    } else if (lane->waiting >= lane->queue_max) {
        w->stats.jobs_refused++;
        r = WSPR_ELIMIT;
    } else if (!offload_grow(lane)) {
        w->stats.jobs_refused++;
        r = WSPR_ESYS;
    } else {
        j->w = w;
        j->pool = pool;
        j->lane = (int)lane_id;
        j->waiting = true;
        list_push_back(&lane->queue, &j->task.node);
        lane->waiting++;
        w->stats.jobs_out++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (r == 0) /* without the lock, for which the one who wakes up would wait at once */
        pthread_cond_signal(&lane->more);
    return r;
}

void loop_job_cancel(struct loop_job *j)
{
    struct loop_offload *pool = j->pool;
    bool taken = false;

    if (pool == NULL)
        return; /* not submitted, or back */
    pthread_mutex_lock(&pool->lock);
    if (j->waiting) {
        list_remove(&j->task.node);
        j->waiting = false;
        pool->lanes[j->lane].waiting--;
        taken = true;
    }
    pthread_mutex_unlock(&pool->lock);
    if (taken)
        offload_return(j, WSPR_ECANCELED);
}

void loop_offload_stop(struct loop_offload *pool, bool drain)
{
    struct loop_job *j;
    bool join;

    pthread_mutex_lock(&pool->lock);
    pool->stopped = true;
    join = !pool->joined;
    pool->joined = true;
    for (int i = 0; i < LOOP_LANES; i++) {
        while (!drain && (j = offload_take(&pool->lanes[i])) != NULL)
            offload_return(j, WSPR_ECANCELED);
        pthread_cond_broadcast(&pool->lanes[i].more);
    }
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; join && i < LOOP_LANES; i++) {
        for (unsigned t = 0; t < pool->lanes[i].n_threads; t++)
            pthread_join(pool->lanes[i].threads[t], NULL);
    }
}

void loop_offload_free(struct loop_offload *pool)
{
    if (pool == NULL)
        return;
    loop_offload_stop(pool, false);
    for (int i = 0; i < LOOP_LANES; i++)
        pthread_cond_destroy(&pool->lanes[i].more);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

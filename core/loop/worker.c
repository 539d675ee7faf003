/*
 * One turn:
 *
 *     event_base_loop(ONCE)   sockets, listeners; the wake and timer descriptors only set a flag
 *          |
 *     posted calls            taken from the other threads' queue under the lock, run without it
 *     due timers
 *     later tasks             what is queued from here on for an earlier phase waits a turn
 *     flush of sockets        which may end sockets, whose owners queue more
 *     reap tasks              free what was closed
 *
 * The base has no locks: other threads write to an eventfd and to the posted queue, nothing else.
 */
#include "config.h"
#include "loop/worker.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/internal.h"

#define LOOP_PIPE_ROUNDS 8 /* of a turn, for sockets that are connected in memory */
#define LOOP_POST_MAX    65536
#define LOOP_LAST_LINGER CLOCK_S /* what closing sockets get when the worker ends */

/* A call of loop_worker_post(). */
struct loop_call {
    struct loop_task task;
    struct loop_worker *w;
    loop_fn *fn;
    void *arg;
};

int loop_thread_start(pthread_t *ret_thread, void *(*run)(void *), void *arg)
{
    sigset_t all, old;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(ret_thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return r;
}

/* Reads the counter of an eventfd or timerfd, so that it is readable no more. */
static void loop_clear(int fd)
{
    uint64_t n;
    ssize_t r = read(fd, &n, sizeof n);

    (void)r;
}

static void loop_on_wake(evutil_socket_t fd, short what, void *arg)
{
    loop_clear(fd);
}

static void loop_on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct loop_worker *w = arg;

    loop_clear(fd);
    w->timer_armed = INT64_MAX;
    w->timer_fired = true;
}

static struct event_base *loop_base_new(void)
{
    struct event_config *cfg = event_config_new();
    struct event_base *base = NULL;

    if (cfg != NULL && event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK) == 0 &&
        event_config_set_flag(cfg, EVENT_BASE_FLAG_IGNORE_ENV) == 0)
        base = event_base_new_with_config(cfg);
    if (cfg != NULL)
        event_config_free(cfg);
    return base;
}

static int loop_watch(struct loop_worker *w, struct event *ev, int fd, event_callback_fn fn)
{
    if (event_assign(ev, w->base, fd, EV_READ | EV_PERSIST, fn, w) < 0)
        return -1;
    return event_add(ev, NULL);
}

static int loop_worker_init(struct loop_worker *w, struct err *e)
{
    w->read_buf = malloc(LOOP_SOCK_READ_MAX);
    if (w->read_buf == NULL)
        return err_set(e, WSPR_ENOMEM, "worker: out of memory");
    w->base = loop_base_new();
    if (w->base == NULL)
        return err_set(e, WSPR_ESYS, "worker: no event base");
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (w->wake_fd < 0 || w->timer_fd < 0) {
        char text[128];

        return err_set(e, WSPR_ESYS, "worker: %s", loop_errno_text(errno, text, sizeof text));
    }
    if (loop_watch(w, &w->wake_ev, w->wake_fd, loop_on_wake) < 0 ||
        loop_watch(w, &w->timer_ev, w->timer_fd, loop_on_timer) < 0)
        return err_set(e, WSPR_ESYS, "worker: no events");
    return 0;
}

int loop_worker_new(const struct loop_worker_opts *opts, struct loop_worker **ret_w, struct err *e)
{
    struct loop_worker *w = calloc(1, sizeof *w);
    int r;

    if (w == NULL)
        return err_set(e, WSPR_ENOMEM, "worker: out of memory");
    w->id = opts != NULL ? opts->id : 0;
    w->post_max = opts != NULL && opts->post_max > 0 ? opts->post_max : LOOP_POST_MAX;
    w->wake_fd = -1;
    w->timer_fd = -1;
    w->timer_armed = INT64_MAX;
    list_init(&w->later);
    list_init(&w->flush);
    list_init(&w->reap);
    list_init(&w->pipes);
    list_init(&w->socks);
    list_init(&w->posted);
    wheel_init(&w->wheel, (uint64_t)(clock_mono() / CLOCK_MS));
    pthread_mutex_init(&w->lock, NULL);
    r = loop_worker_init(w, e);
    if (r < 0) {
        loop_worker_free(w);
        return r;
    }
    *ret_w = w;
    return 0;
}

static void loop_call_run(void *arg);

/* Runs what is queued now; tasks that come meanwhile wait. */
static void loop_tasks_run(struct loop_worker *w, struct list *queue)
{
    struct list now = LIST_INIT(now), *node;

    loop_list_take(queue, &now);
    while ((node = list_pop(&now)) != NULL) {
        struct loop_task *t = LIST_OBJECT(node, struct loop_task, node);

        w->stats.tasks++;
        t->fn(t->arg);
    }
}

void loop_worker_free(struct loop_worker *w)
{
    struct list *node;

    if (w == NULL)
        return;
    assert(w->stats.jobs_out == 0);
    LIST_FOREACH_SAFE (n, after, &w->socks)
        loop_sock_destroy(LOOP_SOCK_OF_NODE(n));
    while (!list_empty(&w->reap))
        loop_tasks_run(w, &w->reap);
    while ((node = list_pop(&w->posted)) != NULL) {
        struct loop_task *t = LIST_OBJECT(node, struct loop_task, node);

        if (t->fn == loop_call_run)
            free(LIST_OBJECT(t, struct loop_call, task));
    }
    while (w->n_spares > 0)
        free(w->spares[--w->n_spares].base);
    if (w->base != NULL) {
        if (event_initialized(&w->wake_ev))
            event_del(&w->wake_ev);
        if (event_initialized(&w->timer_ev))
            event_del(&w->timer_ev);
        event_base_free(w->base);
    }
    if (w->wake_fd >= 0)
        close(w->wake_fd);
    if (w->timer_fd >= 0)
        close(w->timer_fd);
    pthread_mutex_destroy(&w->lock);
    free(w->read_buf);
    free(w);
}

/* Posting. */

static void loop_wake(struct loop_worker *w)
{
    uint64_t one = 1;
    ssize_t r = write(w->wake_fd, &one, sizeof one);

    (void)r; /* a full counter wakes as well */
}

static void loop_call_run(void *arg)
{
    struct loop_call *c = arg;
    loop_fn *fn = c->fn;

    arg = c->arg;
    free(c);
    fn(arg);
}

/* Queues under the lock; `limited` calls count against post_max. */
static int loop_post_task(struct loop_worker *w, struct loop_task *t, bool limited)
{
    bool wake = false;
    int r = 0;

    pthread_mutex_lock(&w->lock);
    if (w->ended) {
        r = WSPR_ECLOSED;
    } else if (limited && w->calls_waiting >= w->post_max) {
        w->refused++;
        r = WSPR_ELIMIT;
    } else {
        list_push_back(&w->posted, &t->node);
        w->calls_waiting += limited;
        wake = !w->woken;
        w->woken = true;
    }
    pthread_mutex_unlock(&w->lock);
    if (wake)
        loop_wake(w);
    return r;
}

int loop_worker_post(struct loop_worker *w, loop_fn *fn, void *arg)
{
    struct loop_call *c = malloc(sizeof *c);
    int r;

    if (c == NULL)
        return WSPR_ENOMEM;
    c->fn = fn;
    c->arg = arg;
    loop_task_init(&c->task, loop_call_run, c);
    r = loop_post_task(w, &c->task, true);
    if (r < 0)
        free(c);
    return r;
}

int loop_worker_post_task(struct loop_worker *w, struct loop_task *t)
{
    return loop_post_task(w, t, false);
}

static void loop_posted_run(struct loop_worker *w)
{
    struct list taken = LIST_INIT(taken), *node;

    pthread_mutex_lock(&w->lock);
    loop_list_take(&w->posted, &taken);
    w->woken = false;
    w->calls_waiting = 0;
    w->stats.posts_refused = w->refused;
    pthread_mutex_unlock(&w->lock);
    while ((node = list_pop(&taken)) != NULL) {
        struct loop_task *t = LIST_OBJECT(node, struct loop_task, node);

        w->stats.posts++;
        t->fn(t->arg);
    }
}

/* The turn. */

void loop_worker_later(struct loop_worker *w, struct loop_task *t)
{
    assert(loop_worker_here(w));
    if (!loop_task_queued(t))
        list_push_back(&w->later, &t->node);
}

void loop_worker_reap(struct loop_worker *w, struct loop_task *t)
{
    assert(loop_worker_here(w));
    if (!loop_task_queued(t))
        list_push_back(&w->reap, &t->node);
}

static void loop_flush_run(struct loop_worker *w)
{
    struct list now = LIST_INIT(now), *node;

    loop_list_take(&w->flush, &now);
    while ((node = list_pop(&now)) != NULL)
        loop_sock_flush(LIST_OBJECT(node, struct loop_sock, flush_node));
}

static bool loop_has_work(const struct loop_worker *w)
{
    return !list_empty(&w->later) || !list_empty(&w->flush) || !list_empty(&w->reap) ||
           !list_empty(&w->pipes) || !list_empty(&w->wheel.due);
}

/* Has the timer descriptor fire at `at` or before. Waking too early costs little, so a time that
 * moved back is left standing. */
static void loop_arm(struct loop_worker *w, int64_t at)
{
    struct itimerspec when = {{0, 0}, {0, 0}};

    if (w->timer_armed <= at)
        return;
    w->timer_armed = at;
    at -= w->skipped;
    if (at < 1)
        at = 1; /* zero would disarm it */
    when.it_value.tv_sec = (time_t)(at / CLOCK_S);
    when.it_value.tv_nsec = (long)(at % CLOCK_S);
    timerfd_settime(w->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void loop_arm_next(struct loop_worker *w, int64_t max_wait)
{
    uint64_t tick;
    int64_t now;

    if (wheel_next(&w->wheel, &tick) && tick < (uint64_t)(INT64_MAX / CLOCK_MS))
        loop_arm(w, (int64_t)tick * CLOCK_MS);
    if (max_wait >= 0) {
        now = loop_worker_now(w);
        if (max_wait < INT64_MAX - now)
            loop_arm(w, now + max_wait);
    }
}

void loop_worker_turn(struct loop_worker *w, int64_t max_wait)
{
    int flags = EVLOOP_ONCE;

    if (!atomic_load_explicit(&w->bound, memory_order_relaxed)) {
        atomic_store(&w->thread, pthread_self());
        atomic_store(&w->bound, true);
    }
    if (max_wait == 0 || loop_has_work(w))
        flags |= EVLOOP_NONBLOCK;
    else
        loop_arm_next(w, max_wait);
    w->stats.turns++;
    w->now_known = false;
    event_base_loop(w->base, flags);
    loop_posted_run(w);
    /* A turn that does not wait has not armed the descriptor: it looks at the clock. */
    if (w->timer_fired || !list_empty(&w->wheel.due) || (flags & EVLOOP_NONBLOCK)) {
        w->timer_fired = false;
        w->now_known = false;
        loop_timers_run(w);
    }
    loop_tasks_run(w, &w->later);
    loop_flush_run(w);
    for (unsigned i = 0; i < LOOP_PIPE_ROUNDS && !list_empty(&w->pipes); i++) {
        loop_pipes_run(w);
        loop_tasks_run(w, &w->later);
        loop_flush_run(w);
    }
    loop_tasks_run(w, &w->reap);
    w->now_known = false;
}

/* Ends the worker unless something still has to be done. */
static bool loop_try_end(struct loop_worker *w)
{
    if (w->stats.jobs_out > 0 || w->lingering > 0 || loop_has_work(w))
        return false;
    pthread_mutex_lock(&w->lock);
    w->ended = list_empty(&w->posted);
    pthread_mutex_unlock(&w->lock);
    return w->ended;
}

void loop_worker_run(struct loop_worker *w)
{
    int64_t until;

    while (!loop_worker_stopping(w))
        loop_worker_turn(w, -1);
    until = clock_mono() + LOOP_LAST_LINGER;
    while (!loop_try_end(w)) {
        if (w->lingering > 0 && clock_mono() >= until) {
            LIST_FOREACH_SAFE (n, after, &w->socks) {
                struct loop_sock *s = LOOP_SOCK_OF_NODE(n);

                if (s->state == SOCK_FLUSHING || s->state == SOCK_DRAINING)
                    loop_sock_destroy(s);
            }
        }
        loop_worker_turn(w, 50 * CLOCK_MS);
    }
}

static void *loop_thread_main(void *arg)
{
    loop_worker_run(arg);
    return NULL;
}

int loop_worker_spawn(struct loop_worker *w, struct err *e)
{
    pthread_t thread;
    int r;

    /* What was set up before belongs to the new thread from here on. */
    atomic_store(&w->bound, false);
    r = loop_thread_start(&thread, loop_thread_main, w);
    if (r != 0) {
        char text[128];

        return err_set(e, WSPR_ESYS, "worker: %s", loop_errno_text(r, text, sizeof text));
    }
    w->spawned_thread = thread;
    w->spawned = true;
    return 0;
}

void loop_worker_join(struct loop_worker *w)
{
    if (!w->spawned)
        return;
    pthread_join(w->spawned_thread, NULL);
    w->spawned = false;
    atomic_store(&w->bound, false);
}

void loop_worker_stop(struct loop_worker *w)
{
    int saved = errno;

    atomic_store(&w->stop, true);
    loop_wake(w);
    errno = saved;
}

bool loop_worker_stopping(const struct loop_worker *w)
{
    return atomic_load(&w->stop);
}

int64_t loop_worker_now(struct loop_worker *w)
{
    if (!w->now_known) {
        w->now = clock_mono() + w->skipped;
        w->now_known = true;
    }
    return w->now;
}

void loop_worker_skip(struct loop_worker *w, int64_t time)
{
    w->skipped += time;
    w->now_known = false;
    w->timer_armed = INT64_MAX;
}

unsigned loop_worker_id(const struct loop_worker *w)
{
    return w->id;
}

const struct loop_stats *loop_worker_stats(const struct loop_worker *w)
{
    return &w->stats;
}

bool loop_worker_here(const struct loop_worker *w)
{
    return !atomic_load(&w->bound) || pthread_equal(atomic_load(&w->thread), pthread_self());
}

/* Wheel, timers, worker, offload. */
#include "config.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "failmalloc.h"
#include "loop/offload.h"
#include "loop/timer.h"
#include "loop/wheel.h"
#include "loop/worker.h"
#include "tap.h"

static struct loop_worker *worker_new(void)
{
    struct loop_worker *w = NULL;

    TAP_IS(loop_worker_new(NULL, &w, NULL) == 0);
    return w;
}

static uint64_t random_next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* The wheel against a plain array. */

#define WHEEL_NODES 2000

struct wheel_model {
    struct wheel wheel;
    struct wheel_node nodes[WHEEL_NODES];
    uint64_t ticks[WHEEL_NODES]; /* 0: not in */
    uint64_t seed;
    unsigned fired, wrong, unordered;
};

static void model_step(struct wheel_model *m, uint64_t now)
{
    struct list due = LIST_INIT(due), *link;
    uint64_t last = 0, from = m->wheel.now;

    wheel_advance(&m->wheel, now, &due);
    while ((link = list_pop(&due)) != NULL) {
        struct wheel_node *n = LIST_OBJECT(link, struct wheel_node, link);
        size_t i = (size_t)(n - m->nodes);

        /* Those entered for a time that had passed come first, in no order. */
        if (n->tick > from) {
            m->unordered += n->tick < last;
            last = n->tick;
        }
        m->wrong += m->ticks[i] == 0 || m->ticks[i] > now || m->ticks[i] != n->tick;
        m->ticks[i] = 0;
        m->fired++;
    }
    for (size_t i = 0; i < WHEEL_NODES; i++)
        m->wrong += m->ticks[i] != 0 && m->ticks[i] <= now;
}

static void model_change(struct wheel_model *m, size_t i)
{
    static const uint64_t spans[] = {3, 70, 5000, 300000, 20000000, 9000000000};

    if (m->ticks[i] != 0) {
        wheel_remove(&m->wheel, &m->nodes[i]);
        m->ticks[i] = 0;
    }
    if (random_next(&m->seed) % 4 != 0) {
        m->ticks[i] = m->wheel.now + random_next(&m->seed) % spans[random_next(&m->seed) % 6];
        wheel_add(&m->wheel, &m->nodes[i], m->ticks[i]);
    }
}

static uint64_t model_earliest(const struct wheel_model *m)
{
    uint64_t first = UINT64_MAX;

    for (size_t i = 0; i < WHEEL_NODES; i++) {
        if (m->ticks[i] != 0 && m->ticks[i] < first)
            first = m->ticks[i];
    }
    return first;
}

static void wheel_agrees_with_a_model(void)
{
    static struct wheel_model m;
    uint64_t next = 0, first;
    unsigned late = 0;

    m.seed = 7;
    wheel_init(&m.wheel, 123456789);
    for (size_t i = 0; i < WHEEL_NODES; i++)
        wheel_node_init(&m.nodes[i]);
    for (int round = 0; round < 3000; round++) {
        for (int k = 0; k < 20; k++)
            model_change(&m, random_next(&m.seed) % WHEEL_NODES);
        first = model_earliest(&m);
        if (!wheel_next(&m.wheel, &next))
            next = UINT64_MAX;
        late += first != UINT64_MAX && next > first;
        if (round % 3 == 0 && next != UINT64_MAX)
            model_step(&m, next);
        else
            model_step(&m, m.wheel.now + random_next(&m.seed) % 400);
    }
    TAP_OK(m.wrong == 0, "%u wrong", m.wrong);
    TAP_OK(m.unordered == 0, "%u out of order", m.unordered);
    TAP_OK(late == 0, "%u times next was after the earliest", late);
    TAP_OK(m.fired > 5000, "only %u fired", m.fired);
    tap_note("wheel: %u nodes fired", m.fired);
}

static void wheel_takes_the_farthest_times(void)
{
    struct list due = LIST_INIT(due);
    static struct wheel w;
    struct wheel_node n;
    uint64_t next;

    wheel_init(&w, 5);
    wheel_node_init(&n);
    TAP_IS(!wheel_next(&w, &next));
    wheel_add(&w, &n, UINT64_MAX);
    TAP_IS(wheel_next(&w, &next) && next > UINT64_C(1) << 40);
    wheel_advance(&w, 1u << 30, &due);
    TAP_IS(list_empty(&due) && wheel_linked(&n));
    wheel_remove(&w, &n);
    wheel_remove(&w, &n);
    TAP_IS(!wheel_next(&w, &next));
    wheel_add(&w, &n, 3);
    TAP_IS(wheel_next(&w, &next) && next == w.now);
    wheel_advance(&w, w.now, &due);
    TAP_IS(list_pop(&due) == &n.link);
}

/* Timers. */

struct timer_probe {
    struct loop_timer timer;
    struct loop_worker *w;
    struct loop_timer *other;
    int64_t due;
    int64_t fired_at;
    unsigned fired;
    unsigned early;
    unsigned most; /* stop the worker after so many; 0: never */
};

static void probe_fire(void *arg)
{
    struct timer_probe *p = arg;

    p->fired_at = clock_mono();
    p->early += p->fired_at < p->due;
    p->fired++;
    if (p->other != NULL)
        loop_timer_stop(p->other);
    if (p->fired == p->most) {
        loop_timer_stop(&p->timer);
        loop_worker_stop(p->w);
    }
}

static void timers_fire_in_time(void)
{
    struct loop_worker *w = worker_new();
    struct timer_probe a = {.w = w, .most = 1}, b = {.w = w}, c = {.w = w};
    int64_t t0;

    loop_timer_init(&a.timer, w, probe_fire, &a);
    loop_timer_init(&b.timer, w, probe_fire, &b);
    loop_timer_init(&c.timer, w, probe_fire, &c);
    b.other = &c.timer;
    t0 = loop_worker_now(w);
    a.due = t0 + 30 * CLOCK_MS;
    b.due = t0 + 10 * CLOCK_MS;
    loop_timer_start(&a.timer, 500 * CLOCK_S);
    loop_timer_start_at(&a.timer, a.due); /* moves it */
    loop_timer_start(&b.timer, 10 * CLOCK_MS);
    loop_timer_start(&c.timer, 20 * CLOCK_MS);
    TAP_IS(loop_timer_running(&a.timer) && loop_worker_stats(w)->timers_armed == 3);
    loop_worker_run(w);
    TAP_IS(a.fired == 1 && b.fired == 1 && a.early == 0 && b.early == 0);
    TAP_IS(c.fired == 0 && !loop_timer_running(&c.timer));
    TAP_OK(a.fired_at - a.due < 200 * CLOCK_MS, "%ld us late", (long)(a.fired_at - a.due) / 1000);
    TAP_IS(loop_worker_stats(w)->timers_armed == 0 && loop_worker_stats(w)->timers == 2);
    loop_worker_free(w);
}

static void timers_repeat(void)
{
    struct loop_worker *w = worker_new();
    struct timer_probe p = {.w = w, .most = 5};
    int64_t t0 = clock_mono();

    loop_timer_init(&p.timer, w, probe_fire, &p);
    loop_timer_start_every(&p.timer, 4 * CLOCK_MS);
    loop_worker_run(w);
    TAP_IS(p.fired == 5 && !loop_timer_running(&p.timer));
    TAP_IS(p.fired_at - t0 >= 20 * CLOCK_MS);
    loop_worker_free(w);
}

static void timer_in_the_past(void)
{
    struct loop_worker *w = worker_new();
    struct timer_probe p = {.w = w};

    loop_timer_init(&p.timer, w, probe_fire, &p);
    loop_timer_start_at(&p.timer, -5);
    loop_worker_turn(w, -1); /* does not wait */
    TAP_IS(p.fired == 1);
    loop_timer_start(&p.timer, INT64_MAX);
    loop_worker_turn(w, CLOCK_MS);
    TAP_IS(p.fired == 1 && loop_timer_running(&p.timer));
    loop_timer_stop(&p.timer);
    loop_worker_free(w);
}

/* Frees itself. */
static void owner_fire(void *arg)
{
    free(arg);
}

static void timers_by_the_thousand(void)
{
    enum { N = 100000 };
    struct loop_worker *w = worker_new();
    struct timer_probe *p = calloc(N, sizeof *p);
    struct loop_timer *own = malloc(sizeof *own);
    int64_t t0, t1, t2;
    uint64_t seed = 3;
    unsigned fired = 0, early = 0;

    if (p == NULL || own == NULL)
        abort();
    loop_timer_init(own, w, owner_fire, own);
    loop_timer_start(own, 2 * CLOCK_MS);
    for (size_t i = 0; i < N; i++)
        loop_timer_init(&p[i].timer, w, probe_fire, &p[i]);
    t0 = clock_mono();
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < N; i++)
            loop_timer_start(&p[i].timer, (int64_t)(random_next(&seed) % 100000) * CLOCK_MS);
    }
    t1 = clock_mono();
    for (size_t i = 0; i < N; i++) {
        p[i].due = loop_worker_now(w) + (int64_t)(random_next(&seed) % 50) * CLOCK_MS;
        loop_timer_start_at(&p[i].timer, p[i].due);
    }
    t2 = clock_mono();
    while (loop_worker_stats(w)->timers_armed > 0)
        loop_worker_turn(w, -1);
    for (size_t i = 0; i < N; i++) {
        fired += p[i].fired;
        early += p[i].early;
    }
    TAP_OK(fired == N && early == 0, "%u fired, %u early", fired, early);
    tap_note("timers: %ld ns to move one among %d, all over in %ld ms",
             (long)((t1 - t0) / (10 * N)), N, (long)((clock_mono() - t2) / CLOCK_MS));
    free(p);
    loop_worker_free(w);
}

/* Tasks. */

struct task_log {
    struct loop_worker *w;
    struct loop_task a, b, r;
    char text[32];
    size_t n;
    unsigned again;
};

static void task_note(struct task_log *l, char c)
{
    if (l->n < sizeof l->text - 1)
        l->text[l->n++] = c;
}

static void task_a(void *arg)
{
    struct task_log *l = arg;

    task_note(l, 'a');
    loop_worker_reap(l->w, &l->r);
    loop_task_cancel(&l->b);
    if (l->again > 0 && l->again--)
        loop_worker_later(l->w, &l->a);
}

static void task_b(void *arg)
{
    task_note(arg, 'b');
}

static void task_r(void *arg)
{
    task_note(arg, 'r');
}

static void later_and_reap(void)
{
    struct loop_worker *w = worker_new();
    struct task_log l = {.w = w, .again = 1};

    loop_task_init(&l.a, task_a, &l);
    loop_task_init(&l.b, task_b, &l);
    loop_task_init(&l.r, task_r, &l);
    loop_worker_later(w, &l.b);
    loop_worker_later(w, &l.a);
    loop_worker_later(w, &l.b);
    loop_worker_turn(w, -1);
    TAP_OK(strcmp(l.text, "bar") == 0, "%s", l.text);
    TAP_IS(loop_task_queued(&l.a) && !loop_task_queued(&l.b));
    loop_worker_later(w, &l.b); /* cancelled by a, which stands before it */
    loop_worker_turn(w, -1);
    TAP_OK(strcmp(l.text, "barar") == 0, "%s", l.text);
    loop_worker_turn(w, 0);
    TAP_IS(l.n == 5);
    loop_worker_free(w);
}

static void turn_waits_no_longer_than_asked(void)
{
    struct loop_worker *w = worker_new();
    int64_t t0 = clock_mono(), waited;

    loop_worker_turn(w, 0);
    loop_worker_turn(w, 5 * CLOCK_MS);
    waited = clock_mono() - t0;
    TAP_OK(waited >= 5 * CLOCK_MS && waited < CLOCK_S, "%ld us", (long)(waited / 1000));
    loop_worker_free(w);
}

/* Posting. */

enum { POST_THREADS = 4, POSTS = 5000 };

struct post_rig {
    struct loop_worker *w;
    unsigned got;
    unsigned next[POST_THREADS]; /* to see the order */
    unsigned disorder;
    atomic_uint refused;
};

struct post_call {
    struct post_rig *rig;
    unsigned thread, number;
};

static void post_arrived(void *arg)
{
    struct post_call *c = arg;
    struct post_rig *rig = c->rig;

    rig->disorder += c->number < rig->next[c->thread] || !loop_worker_here(rig->w);
    rig->next[c->thread] = c->number + 1;
    free(c);
    if (++rig->got == POST_THREADS * POSTS)
        loop_worker_stop(rig->w);
}

struct post_sender {
    struct post_rig *rig;
    unsigned thread;
};

static void *post_main(void *arg)
{
    struct post_sender *s = arg;

    for (unsigned i = 0; i < POSTS; i++) {
        struct post_call *c = malloc(sizeof *c);

        if (c == NULL)
            abort();
        *c = (struct post_call){s->rig, s->thread, i};
        while (loop_worker_post(s->rig->w, post_arrived, c) == WSPR_ELIMIT) {
            atomic_fetch_add(&s->rig->refused, 1);
            usleep(100);
        }
    }
    return NULL;
}

static void posts_from_threads(void)
{
    struct loop_worker_opts opts = {.id = 7, .post_max = 50};
    struct post_rig rig = {0};
    struct post_sender senders[POST_THREADS];
    pthread_t threads[POST_THREADS];

    TAP_IS(loop_worker_new(&opts, &rig.w, NULL) == 0 && loop_worker_id(rig.w) == 7);
    TAP_IS(loop_worker_spawn(rig.w, NULL) == 0);
    for (unsigned i = 0; i < POST_THREADS; i++) {
        senders[i] = (struct post_sender){&rig, i};
        pthread_create(&threads[i], NULL, post_main, &senders[i]);
    }
    for (unsigned i = 0; i < POST_THREADS; i++)
        pthread_join(threads[i], NULL);
    loop_worker_join(rig.w);
    TAP_OK(rig.got == POST_THREADS * POSTS, "%u of %u", rig.got, POST_THREADS * POSTS);
    TAP_IS(rig.disorder == 0);
    TAP_IS(loop_worker_post(rig.w, post_arrived, NULL) == WSPR_ECLOSED);
    TAP_IS(loop_worker_stats(rig.w)->posts == POST_THREADS * POSTS);
    tap_note("posts: %u refused by the limit of 50 and sent again", atomic_load(&rig.refused));
    loop_worker_free(rig.w);
}

static void count_up(void *arg)
{
    ++*(unsigned *)arg;
}

static void posts_before_and_after(void)
{
    struct loop_worker *w = worker_new();
    unsigned n = 0;

    TAP_IS(loop_worker_post(w, count_up, &n) == 0);
    loop_worker_stop(w);
    TAP_IS(loop_worker_post(w, count_up, &n) == 0);
    loop_worker_run(w);
    TAP_IS(n == 2);
    loop_worker_free(w);
    w = worker_new();
    TAP_IS(loop_worker_post(w, count_up, &n) == 0);
    loop_worker_free(w); /* never ran: dropped, without a leak */
    TAP_IS(n == 2);
    loop_worker_free(NULL);
}

static struct loop_worker *signal_worker;

static void on_signal(int number)
{
    loop_worker_stop(signal_worker);
}

static void stop_from_a_signal(void)
{
    struct sigaction act = {.sa_handler = on_signal}, old;

    signal_worker = worker_new();
    sigaction(SIGALRM, &act, &old);
    alarm(1);
    loop_worker_run(signal_worker);
    TAP_IS(loop_worker_stopping(signal_worker));
    sigaction(SIGALRM, &old, NULL);
    loop_worker_free(signal_worker);
}

/* Offload. */

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
        usleep(200);
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
    rig->w = worker_new();
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
    atomic_store(&rig->hold, 0);
    while (loop_worker_stats(rig->w)->jobs_out > 0)
        loop_worker_turn(rig->w, CLOCK_S);
    TAP_IS(rig->ran == taken - 1 && rig->wrong == 0);
    job_rig_free(rig);
}

static void *pool_stop_main(void *arg)
{
    struct job_rig *rig = arg;

    usleep(20000);
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
        rig.w[i] = worker_new();
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

static void worker_once(void *arg)
{
    struct loop_offload_opts opts = {{1, 1}, {0, 0}};
    struct loop_offload *pool = NULL;
    struct loop_worker *w = NULL;
    unsigned n = 0;

    if (loop_worker_new(NULL, &w, NULL) == 0) {
        if (loop_worker_post(w, count_up, &n) == 0) {
            loop_worker_turn(w, 0);
            TAP_IS(n == 1);
        }
        if (loop_offload_new(&opts, &pool, NULL) == 0)
            loop_offload_free(pool);
    }
    loop_worker_free(w);
}

static void worker_survives_lack_of_memory(void)
{
    TAP_IS(failmalloc_each(worker_once, NULL, 100) > 3);
}

static const struct tap_case timer_cases[] = {
    {"wheel_agrees_with_a_model", wheel_agrees_with_a_model},
    {"wheel_takes_the_farthest_times", wheel_takes_the_farthest_times},
    {"timers_fire_in_time", timers_fire_in_time},
    {"timers_repeat", timers_repeat},
    {"timer_in_the_past", timer_in_the_past},
    {"timers_by_the_thousand", timers_by_the_thousand},
};

static const struct tap_case worker_cases[] = {
    {"later_and_reap", later_and_reap},
    {"turn_waits_no_longer_than_asked", turn_waits_no_longer_than_asked},
    {"posts_from_threads", posts_from_threads},
    {"posts_before_and_after", posts_before_and_after},
    {"stop_from_a_signal", stop_from_a_signal},
    {"worker_survives_lack_of_memory", worker_survives_lack_of_memory},
};

static const struct tap_case offload_cases[] = {
    {"jobs_come_back", jobs_come_back},
    {"jobs_are_bounded_and_canceled", jobs_are_bounded_and_canceled},
    {"shutdown_drains", shutdown_drains},
    {"shutdown_cancels", shutdown_cancels},
    {"workers_hand_work_over", workers_hand_work_over},
};

int main(int argc, char **argv)
{
    static const struct tap_suite suites[] = {
        TAP_SUITE("timer", timer_cases),
        TAP_SUITE("worker", worker_cases),
        TAP_SUITE("offload", offload_cases),
    };

    return tap_main(argc, argv, suites, 3);
}

/* The wheel and the timers on it. */
#include "config.h"

#include "loop/timer.h"
#include "loop/wheel.h"
#include "rig.h"

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
    struct loop_worker *w = rig_worker();
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
    struct loop_worker *w = rig_worker();
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
    struct loop_worker *w = rig_worker();
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
    struct loop_worker *w = rig_worker();
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

/* A test need not wait for a time that is far away. */
static void time_is_skipped(void)
{
    struct loop_worker *w = rig_worker();
    struct timer_probe p = {.w = w};
    int64_t start = loop_worker_now(w), real = clock_mono();

    loop_timer_init(&p.timer, w, probe_fire, &p);
    loop_timer_start(&p.timer, 3600 * CLOCK_S);
    loop_worker_turn(w, CLOCK_MS);
    loop_worker_skip(w, 3500 * CLOCK_S);
    loop_worker_turn(w, CLOCK_MS);
    TAP_IS(p.fired == 0 && loop_worker_now(w) - start >= 3500 * CLOCK_S);
    loop_worker_skip(w, 101 * CLOCK_S);
    while (p.fired == 0 && clock_mono() - real < 30 * CLOCK_S)
        loop_worker_turn(w, 100 * CLOCK_MS);
    TAP_IS(p.fired == 1);
    /* What begins now comes in its time. */
    p.due = clock_mono() + 20 * CLOCK_MS;
    loop_timer_start(&p.timer, 20 * CLOCK_MS);
    while (p.fired == 1)
        loop_worker_turn(w, -1);
    TAP_IS(p.fired == 2 && p.early == 0);
    loop_worker_free(w);
}

struct busy {
    struct loop_worker *w;
    struct loop_task task;
    uint64_t turns;
};

static void busy_again(void *arg)
{
    struct busy *b = arg;

    b->turns++;
    loop_worker_later(b->w, &b->task);
}

/* A worker that has something to do in each turn, and one that is never allowed to wait. */
static void timers_fire_in_turns_that_do_not_wait(void)
{
    struct loop_worker *w = rig_worker();
    struct timer_probe p = {.w = w};
    struct busy b = {.w = w};
    int64_t end = clock_mono() + 30 * CLOCK_S;

    loop_timer_init(&p.timer, w, probe_fire, &p);
    p.due = clock_mono() + 20 * CLOCK_MS;
    loop_timer_start(&p.timer, 20 * CLOCK_MS);
    while (p.fired == 0 && clock_mono() < end)
        loop_worker_turn(w, 0);
    TAP_IS(p.fired == 1 && p.early == 0);
    loop_task_init(&b.task, busy_again, &b);
    loop_worker_later(w, &b.task);
    p.due = clock_mono() + 20 * CLOCK_MS;
    loop_timer_start(&p.timer, 20 * CLOCK_MS);
    while (p.fired == 1 && clock_mono() < end)
        loop_worker_turn(w, -1);
    TAP_IS(p.fired == 2 && p.early == 0 && b.turns > 1);
    loop_task_cancel(&b.task);
    loop_worker_free(w);
}

static const struct tap_case timer_cases[] = {
    {"wheel_agrees_with_a_model", wheel_agrees_with_a_model},
    {"wheel_takes_the_farthest_times", wheel_takes_the_farthest_times},
    {"timers_fire_in_time", timers_fire_in_time},
    {"timers_repeat", timers_repeat},
    {"timer_in_the_past", timer_in_the_past},
    {"timers_by_the_thousand", timers_by_the_thousand},
    {"time_is_skipped", time_is_skipped},
    {"timers_fire_in_turns_that_do_not_wait", timers_fire_in_turns_that_do_not_wait},
};

const struct tap_suite suite_timer = TAP_SUITE("timer", timer_cases);

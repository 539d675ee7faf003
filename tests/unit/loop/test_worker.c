/* Turns, tasks and posting. */
#include "config.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "failmalloc.h"
#include "loop/offload.h"
#include "rig.h"

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
    struct loop_worker *w = rig_worker();
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
    struct loop_worker *w = rig_worker();
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
            rig_nap(100);
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
    struct loop_worker *w = rig_worker();
    unsigned n = 0;

    TAP_IS(loop_worker_post(w, count_up, &n) == 0);
    loop_worker_stop(w);
    TAP_IS(loop_worker_post(w, count_up, &n) == 0);
    loop_worker_run(w);
    TAP_IS(n == 2);
    loop_worker_free(w);
    w = rig_worker();
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

    signal_worker = rig_worker();
    sigaction(SIGALRM, &act, &old);
    alarm(1);
    loop_worker_run(signal_worker);
    TAP_IS(loop_worker_stopping(signal_worker));
    sigaction(SIGALRM, &old, NULL);
    loop_worker_free(signal_worker);
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

static const struct tap_case worker_cases[] = {
    {"later_and_reap", later_and_reap},
    {"turn_waits_no_longer_than_asked", turn_waits_no_longer_than_asked},
    {"posts_from_threads", posts_from_threads},
    {"posts_before_and_after", posts_before_and_after},
    {"stop_from_a_signal", stop_from_a_signal},
    {"worker_survives_lack_of_memory", worker_survives_lack_of_memory},
};

const struct tap_suite suite_worker = TAP_SUITE("worker", worker_cases);

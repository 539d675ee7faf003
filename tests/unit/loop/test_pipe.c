/* Sockets that are connected with each other in memory. */
#include "config.h"

#include "end.h"
#include "failmalloc.h"
#include "loop/internal.h"

/* Both ends of a pair. */
struct pair {
    struct loop_worker *w;
    struct end a, b;
};

static int pair_connect(struct pair *p, const struct loop_sock_opts *opts)
{
    struct loop_sock_opts a = {0}, b;

    if (opts != NULL)
        a = *opts;
    if (a.ops == NULL)
        a.ops = &end_ops;
    b = a;
    a.arg = &p->a;
    b.arg = &p->b;
    end_init(&p->a);
    end_init(&p->b);
    return loop_sock_pair(p->w, &a, &b, &p->a.sock, &p->b.sock, NULL);
}

static void pair_init(struct pair *p, const struct loop_sock_opts *opts)
{
    p->w = rig_worker();
    TAP_IS(pair_connect(p, opts) == 0);
}

/* Ends both; nothing may be left, and nobody may have been called after its end. */
static void pair_done(struct pair *p)
{
    end_done(&p->a);
    end_done(&p->b);
    END_UNTIL(p->w, loop_worker_stats(p->w)->socks == 0);
    TAP_IS(p->a.late == 0 && p->b.late == 0);
    loop_worker_free(p->w);
}

static void both_ways(void)
{
    struct pair p;

    pair_init(&p, NULL);
    loop_sock_write(p.a.sock, "hel", 3);
    loop_sock_write(p.b.sock, "world", 5);
    loop_sock_write(p.a.sock, "lo", 2);
    TAP_IS(loop_sock_queued(p.a.sock) == 5 && p.b.calls[END_DATA] == 0); /* not from inside */
    loop_worker_turn(p.w, -1);
    TAP_IS(span_equal_str(buf_span(&p.b.got), "hello") && p.b.calls[END_DATA] == 1);
    TAP_IS(span_equal_str(buf_span(&p.a.got), "world") && p.a.calls[END_DATA] == 1);
    TAP_OK(p.a.sock->out.base == NULL && p.a.sock->pipe.base == NULL && p.a.sock->in.base == NULL,
           "an idle socket holds no buffers");
    TAP_IS(loop_sock_remote(p.a.sock)->len == 0 && loop_sock_local(p.b.sock)->len == 0);
    TAP_IS(loop_worker_stats(p.w)->bytes_moved == 10 && loop_worker_stats(p.w)->moves == 2);
    TAP_IS(loop_worker_stats(p.w)->reads + loop_worker_stats(p.w)->writes == 0);
    loop_worker_turn(p.w, CLOCK_MS); /* nothing to do: no spinning */
    TAP_IS(loop_worker_stats(p.w)->turns == 2 && p.a.calls[END_CONNECTED] == 0);
    pair_done(&p);
}

/* Ends that answer each other at once. */
struct echo {
    struct loop_sock *sock;
    struct echo *other;
    unsigned n, *depth, deepest;
};

static size_t echo_data(void *arg, uint8_t *p, size_t len)
{
    struct echo *e = arg;

    ++*e->depth;
    if (*e->depth > e->deepest)
        e->deepest = *e->depth;
    e->n++;
    loop_sock_write(e->sock, p, len);
    --*e->depth;
    return len;
}

static void echo_for_ever(void)
{
    static const struct loop_sock_ops ops = {.data = echo_data};
    struct loop_worker *w = rig_worker();
    struct echo e[2] = {{0}, {0}};
    struct loop_sock_opts opts[2] = {{.ops = &ops, .arg = &e[0]}, {.ops = &ops, .arg = &e[1]}};
    unsigned depth = 0, before;

    e[0].depth = e[1].depth = &depth;
    TAP_IS(loop_sock_pair(w, &opts[0], &opts[1], &e[0].sock, &e[1].sock, NULL) == 0);
    loop_sock_write(e[0].sock, "ball", 4);
    loop_worker_turn(w, 0);
    TAP_OK(e[1].n > 0 && e[0].n > 0, "answered within the turn");
    TAP_OK(e[0].n + e[1].n <= 16, "%u times: a turn has an end", e[0].n + e[1].n);
    TAP_IS(e[0].deepest == 1 && e[1].deepest == 1);
    before = e[0].n;
    loop_worker_turn(w, -1); /* does not wait, goes on */
    TAP_IS(e[0].n > before);
    loop_sock_abort(e[0].sock);
    loop_sock_abort(e[1].sock);
    loop_worker_free(w);
}

/* The peer does not read: so much is under way, the rest stays, the owner learns of it. */
static void back_pressure(void)
{
    enum { N = 3 << 20 };
    struct loop_sock_opts opts = {.out_low = 1000};
    struct pair p;
    uint64_t turns;

    pair_init(&p, &opts);
    loop_sock_pause(p.b.sock);
    end_pattern(loop_sock_out(p.a.sock), N);
    for (int i = 0; i < 3; i++)
        loop_worker_turn(p.w, 0);
    TAP_IS(p.b.sock->pipe.len == LOOP_PIPE_MAX && p.a.sock->writing);
    TAP_IS(loop_sock_queued(p.a.sock) == N - LOOP_PIPE_MAX && p.a.calls[END_DRAINED] == 0);
    turns = loop_worker_stats(p.w)->turns;
    loop_worker_turn(p.w, 10 * CLOCK_MS); /* nobody reads: no spinning */
    TAP_IS(loop_worker_stats(p.w)->turns == turns + 1 && p.b.calls[END_DATA] == 0);
    loop_sock_resume(p.b.sock);
    END_UNTIL(p.w, p.b.n_got == N);
    TAP_IS(end_is_pattern(buf_span(&p.b.got)) && p.b.calls[END_DATA] >= N / LOOP_SOCK_READ_MAX);
    TAP_IS(p.a.calls[END_DRAINED] == 1 && loop_sock_queued(p.a.sock) == 0);
    pair_done(&p);
}

static void fill_is_asked_while_there_is_room(void)
{
    enum { N = 2 << 20 };
    struct pair p;

    pair_init(&p, NULL);
    p.a.to_fill = N;
    p.a.fill_unit = 10007;
    loop_sock_pause(p.b.sock);
    loop_sock_want_write(p.a.sock);
    for (int i = 0; i < 10; i++)
        loop_worker_turn(p.w, 0);
    TAP_OK(loop_sock_queued(p.a.sock) < 65536 + 10007 && p.a.to_fill > N / 2, "%zu queued",
           loop_sock_queued(p.a.sock));
    loop_sock_resume(p.b.sock);
    END_UNTIL(p.w, p.b.n_got == N);
    TAP_IS(end_is_pattern(buf_span(&p.b.got)) && p.a.to_fill == 0);
    pair_done(&p);
}

static void leftovers_come_again(void)
{
    struct pair p;

    for (size_t unit = 1; unit < 40; unit++) {
        pair_init(&p, NULL);
        p.b.unit = unit;
        for (size_t i = 0; i < 200; i++) {
            uint8_t byte = (uint8_t)i;

            loop_sock_write(p.a.sock, &byte, 1);
            loop_worker_turn(p.w, 0);
        }
        TAP_IS(p.b.n_got == 200 - 200 % unit && end_is_pattern(buf_span(&p.b.got)));
        pair_done(&p);
    }
}

static void limits_hold(void)
{
    struct loop_sock_opts in = {.in_max = 1000}, out = {.out_max = 100000};
    struct pair p;

    pair_init(&p, &in);
    p.b.unit = 5000;
    end_pattern(loop_sock_out(p.a.sock), 900);
    loop_worker_turn(p.w, 0);
    TAP_IS(p.b.calls[END_CLOSED] == 0 && p.b.sock->in.len == 900);
    end_pattern(loop_sock_out(p.a.sock), 900);
    END_UNTIL(p.w, p.a.calls[END_EOF] == 1); /* the other end sees that it is over */
    TAP_IS(p.b.calls[END_CLOSED] == 1 && p.b.code == WSPR_ELIMIT);
    loop_sock_write(p.a.sock, "x", 1);
    loop_worker_turn(p.w, 0);
    TAP_OK(p.a.calls[END_CLOSED] == 1 && p.a.code == WSPR_ESYS, "%s", p.a.why);
    pair_done(&p);

    pair_init(&p, &out);
    loop_sock_pause(p.b.sock);
    for (int i = 0; i < 10; i++) {
        end_pattern(loop_sock_out(p.a.sock), 90000);
        loop_worker_turn(p.w, 0);
    }
    TAP_IS(p.a.calls[END_CLOSED] == 1 && p.a.code == WSPR_ELIMIT);
    TAP_IS(p.b.n_got == 0 && p.b.calls[END_EOF] == 0);
    loop_sock_resume(p.b.sock);
    END_UNTIL(p.w, p.b.calls[END_EOF] == 1);
    TAP_IS(p.b.n_got == LOOP_PIPE_MAX); /* what was under way still came */
    pair_done(&p);
}

static void half_close(void)
{
    struct pair p;

    pair_init(&p, NULL);
    loop_sock_write(p.a.sock, "last", 4);
    loop_sock_shutdown(p.a.sock);
    END_UNTIL(p.w, p.b.calls[END_EOF] == 1);
    TAP_IS(span_equal_str(buf_span(&p.b.got), "last"));
    loop_sock_write(p.b.sock, "still", 5);
    loop_worker_turn(p.w, 0);
    TAP_IS(span_equal_str(buf_span(&p.a.got), "still") && p.a.calls[END_EOF] == 0);
    loop_worker_turn(p.w, CLOCK_MS);
    TAP_IS(p.b.calls[END_EOF] == 1 && p.a.calls[END_CLOSED] + p.b.calls[END_CLOSED] == 0);
    pair_done(&p);
}

/* The end does not overtake bytes, those that a paused owner left included. */
static void end_stays_behind_bytes(void)
{
    struct pair p;

    pair_init(&p, NULL);
    p.b.take = 1;
    p.b.pause_in_data = true;
    loop_sock_write(p.a.sock, "ab", 2);
    loop_worker_turn(p.w, 0);
    loop_sock_write(p.a.sock, "cd", 2);
    end_close(&p.a);
    for (int i = 0; i < 3; i++)
        loop_worker_turn(p.w, 0);
    TAP_IS(p.b.n_got == 1 && p.b.calls[END_EOF] == 0);
    for (size_t i = 2; i <= 4; i++) {
        loop_sock_resume(p.b.sock);
        END_UNTIL(p.w, p.b.n_got == i);
        TAP_IS(p.b.calls[END_EOF] == 0);
    }
    loop_sock_resume(p.b.sock);
    END_UNTIL(p.w, p.b.calls[END_EOF] == 1);
    TAP_IS(span_equal_str(buf_span(&p.b.got), "abcd"));
    pair_done(&p);
}

static void close_sends_what_is_queued(void)
{
    enum { N = 1 << 20 };
    struct pair p;

    pair_init(&p, NULL);
    loop_sock_pause(p.b.sock);
    end_pattern(loop_sock_out(p.a.sock), N);
    end_close(&p.a);
    loop_worker_turn(p.w, 0);
    loop_sock_write(p.b.sock, "dropped", 7);
    loop_worker_turn(p.w, 0);
    loop_sock_resume(p.b.sock);
    END_UNTIL(p.w, p.b.calls[END_EOF] == 1);
    TAP_IS(p.b.n_got == N && end_is_pattern(buf_span(&p.b.got)) && p.b.calls[END_CLOSED] == 0);
    TAP_IS(p.a.calls[END_DATA] == 0);
    pair_done(&p);
}

static void linger_has_an_end(void)
{
    struct loop_sock_opts opts = {.linger = 30 * CLOCK_MS};
    struct pair p;

    pair_init(&p, &opts);
    loop_sock_pause(p.b.sock);
    end_pattern(loop_sock_out(p.a.sock), 2 << 20);
    end_close(&p.a);
    END_UNTIL(p.w, loop_worker_stats(p.w)->socks == 1);
    TAP_IS(p.b.calls[END_EOF] == 0);
    loop_sock_resume(p.b.sock);
    END_UNTIL(p.w, p.b.calls[END_EOF] == 1);
    TAP_IS(p.b.n_got < 2 << 20 && end_is_pattern(buf_span(&p.b.got)));
    pair_done(&p);
}

/* One end is given up while bytes are under way and while the other waits for room. */
static void abort_is_seen(void)
{
    struct pair p;

    pair_init(&p, NULL);
    loop_sock_pause(p.a.sock);
    loop_sock_pause(p.b.sock);
    loop_sock_write(p.a.sock, "words", 5);
    end_pattern(loop_sock_out(p.b.sock), 1 << 20);
    loop_worker_turn(p.w, 0);
    loop_worker_turn(p.w, 0);
    TAP_IS(p.b.sock->writing && p.b.calls[END_CLOSED] == 0);
    p.a.abort = true;
    end_close(&p.a);
    END_UNTIL(p.w, p.b.calls[END_CLOSED] == 1);
    TAP_OK(strcmp(p.b.why, "write tcp: broken pipe") == 0, "%s", p.b.why);
    pair_done(&p);

    pair_init(&p, NULL);
    loop_sock_write(p.a.sock, "words", 5);
    loop_sock_pause(p.b.sock);
    loop_worker_turn(p.w, 0);
    p.a.abort = true;
    end_close(&p.a);
    loop_sock_resume(p.b.sock);
    END_UNTIL(p.w, p.b.calls[END_EOF] == 1);
    TAP_IS(span_equal_str(buf_span(&p.b.got), "words") && p.b.calls[END_CLOSED] == 0);
    pair_done(&p);
}

static void end_without_an_eof_callback(void)
{
    struct loop_sock_opts opts = {.ops = &end_ops_no_eof};
    struct pair p;

    pair_init(&p, &opts);
    end_close(&p.a);
    END_UNTIL(p.w, p.b.calls[END_CLOSED] == 1);
    TAP_IS(p.b.code == WSPR_ECLOSED && strcmp(p.b.why, "EOF") == 0);
    pair_done(&p);
}

/* Ends in each callback, gently and at once; no callback may follow. */
static void close_in_each_callback(void)
{
    for (int i = 0; i < 2 * END_EVENTS; i++) {
        struct loop_sock_opts opts = {.in_max = 100};
        struct pair p;
        char zeros[200] = {0};

        if (i / 2 == END_CONNECTED)
            continue;
        pair_init(&p, &opts);
        p.a.end_in = i / 2;
        p.a.abort = i % 2;
        p.a.take = 50; /* the rest is more than it may leave */
        p.a.to_fill = 100000;
        p.a.fill_unit = 5000;
        p.b.keep_got = false;
        loop_sock_want_write(p.a.sock);
        loop_worker_turn(p.w, 0);
        if (p.a.end_in == END_EOF)
            p.a.take = 0;
        if (p.b.sock != NULL)
            loop_sock_write(p.b.sock, zeros, sizeof zeros);
        if (i / 2 == END_EOF)
            end_close(&p.b);
        END_UNTIL(p.w, p.a.calls[i / 2] == 1);
        TAP_OK(p.a.sock == NULL && p.a.late == 0, "callback %d: %u late", i / 2, p.a.late);
        pair_done(&p);
    }
}

/* The worker ends, gently and not, while both ends have something for each other. */
static void worker_ends(void)
{
    struct pair p;

    for (int i = 0; i < 3; i++) {
        pair_init(&p, NULL);
        end_pattern(loop_sock_out(p.a.sock), 1 << 20);
        end_pattern(loop_sock_out(p.b.sock), 100);
        if (i == 1)
            loop_sock_pause(p.b.sock);
        if (i < 2)
            loop_worker_turn(p.w, 0);
        if (i == 2) {
            end_close(&p.a);
            end_close(&p.b);
            loop_worker_stop(p.w);
            loop_worker_run(p.w);
            TAP_IS(loop_worker_stats(p.w)->socks == 0);
        }
        loop_worker_free(p.w);
        p.a.sock = p.b.sock = NULL;
        end_done(&p.a);
        end_done(&p.b);
        TAP_IS(p.a.late + p.b.late == 0);
    }
}

/* A whole life with each allocation failing in turn: all comes, or both learn of the end. */
static void pair_once(void *arg)
{
    struct loop_sock_opts opts = {.ops = &end_ops_no_eof};
    char big[100000];
    struct pair p;

    memset(big, 'x', sizeof big);
    if (loop_worker_new(NULL, &p.w, NULL) < 0)
        return;
    if (pair_connect(&p, &opts) == 0) {
        p.b.unit = 7000;
        p.b.keep_got = false;
        for (int i = 0; i < 4 && p.a.calls[END_CLOSED] == 0; i++) {
            if (i == 2)
                loop_sock_pause(p.b.sock);
            loop_sock_write(p.a.sock, big, sizeof big);
            loop_worker_turn(p.w, 0);
        }
        loop_sock_resume(p.b.sock);
        for (int i = 0; i < 20; i++)
            loop_worker_turn(p.w, 0);
        TAP_IS(p.b.n_got == 4 * sizeof big - 4 * sizeof big % 7000 ||
               (p.a.calls[END_CLOSED] == 1 && p.b.calls[END_CLOSED] == 1));
    }
    TAP_IS(p.a.late == 0 && p.b.late == 0);
    end_done(&p.a);
    end_done(&p.b);
    loop_worker_free(p.w);
}

static void memory_runs_out(void)
{
    unsigned long n = failmalloc_each(pair_once, NULL, 1000);

    TAP_OK(n > 5, "%lu allocations", n);
}

static const struct tap_case pipe_cases[] = {
    {"both_ways", both_ways},
    {"echo_for_ever", echo_for_ever},
    {"back_pressure", back_pressure},
    {"fill_is_asked_while_there_is_room", fill_is_asked_while_there_is_room},
    {"leftovers_come_again", leftovers_come_again},
    {"limits_hold", limits_hold},
    {"half_close", half_close},
    {"end_stays_behind_bytes", end_stays_behind_bytes},
    {"close_sends_what_is_queued", close_sends_what_is_queued},
    {"linger_has_an_end", linger_has_an_end},
    {"abort_is_seen", abort_is_seen},
    {"end_without_an_eof_callback", end_without_an_eof_callback},
    {"close_in_each_callback", close_in_each_callback},
    {"worker_ends", worker_ends},
    {"memory_runs_out", memory_runs_out},
};

const struct tap_suite suite_pipe = TAP_SUITE("pipe", pipe_cases);

/* How connections end, over socket pairs. */
#include "config.h"

#include <sys/socket.h>
#include <unistd.h>

#include "end.h"

/* Ends in each callback, gently and at once; no callback may follow. */
static void close_in_each_callback(void)
{
    for (int i = 0; i < 2 * END_EVENTS; i++) {
        struct loop_worker *w = rig_worker();
        struct loop_sock_opts opts = {.in_max = 100};
        struct end e;
        int fd = end_pair(&e, w, &opts);
        char zeros[200] = {0};

        if (i / 2 == END_CONNECTED) { /* see test_tcp.c */
            end_done(&e);
            close(fd);
            loop_worker_free(w);
            continue;
        }
        e.end_in = i / 2;
        e.abort = i % 2;
        e.take = 50; /* the rest is more than it may leave */
        e.to_fill = 100000;
        e.fill_unit = 5000;
        loop_sock_want_write(e.sock);
        loop_worker_turn(w, 0);
        if (e.end_in == END_EOF)
            e.take = 0;
        send(fd, zeros, sizeof zeros, MSG_NOSIGNAL); /* fails if it has ended already */
        shutdown(fd, SHUT_WR);
        END_UNTIL(w, e.calls[i / 2] == 1);
        TAP_OK(e.sock == NULL && e.late == 0, "callback %d: %u late", i / 2, e.late);
        loop_worker_turn(w, CLOCK_MS);
        TAP_IS(e.late == 0);
        end_done(&e);
        close(fd);
        loop_worker_free(w);
    }
}

/* One socket ends another that has an event in the same turn. */
static size_t killer_data(void *arg, uint8_t *p, size_t len)
{
    struct end *e = arg;

    e[0].calls[END_DATA]++;
    end_close(&e[0]);
    end_close(&e[1]);
    return len;
}

static void close_each_other(void)
{
    static const struct loop_sock_ops ops = {.data = killer_data, .closed = NULL};
    struct loop_sock_opts opts = {.ops = &ops};
    struct loop_worker *w = rig_worker();
    struct end e[2];
    int fds[2];

    for (int i = 0; i < 2; i++) {
        fds[i] = end_pair(&e[i], w, NULL);
        e[i].abort = true;
        loop_sock_set_owner(e[i].sock, opts.ops, e);
    }
    end_send_raw(fds[0], "x", 1);
    end_send_raw(fds[1], "x", 1);
    loop_worker_turn(w, CLOCK_S);
    loop_worker_turn(w, CLOCK_MS);
    TAP_IS(e[0].calls[END_DATA] == 1 && loop_worker_stats(w)->socks == 0);
    close(fds[0]);
    close(fds[1]);
    loop_worker_free(w);
}

static void close_sends_what_is_queued(void)
{
    enum { N = 1 << 20 };
    struct loop_worker *w = rig_worker();
    struct buf back = BUF_INIT(N + 65536);
    struct end e;
    int fd = end_pair(&e, w, NULL), r = 0;

    end_pattern(loop_sock_out(e.sock), N);
    end_close(&e);
    while (r == 0 && loop_worker_stats(w)->turns < 1000) {
        loop_worker_turn(w, CLOCK_MS);
        r = end_read_raw(fd, &back);
    }
    TAP_IS(r == 1 && back.len == N && end_is_pattern(buf_span(&back)));
    TAP_IS(loop_worker_stats(w)->socks == 1); /* until the peer ends, or a second */
    end_send_raw(fd, "dropped", 7);
    loop_worker_turn(w, 0);
    close(fd);
    END_UNTIL(w, loop_worker_stats(w)->socks == 0);
    TAP_IS(e.late == 0 && e.calls[END_DATA] == 0);
    end_done(&e);
    buf_done(&back);
    loop_worker_free(w);
}

static void linger_has_an_end(void)
{
    struct loop_sock_opts opts = {.linger = 30 * CLOCK_MS};
    struct loop_worker *w = rig_worker();
    struct end e, f;
    int fd = end_pair(&e, w, &opts), fd2 = end_pair(&f, w, &opts);
    int64_t t0 = clock_mono();

    end_pattern(loop_sock_out(e.sock), 4 << 20); /* never read */
    end_close(&e);
    end_close(&f); /* sent at once, but the peer never ends */
    END_UNTIL(w, loop_worker_stats(w)->socks == 0);
    TAP_IS(clock_mono() - t0 >= 30 * CLOCK_MS);
    end_done(&e);
    end_done(&f);
    close(fd);
    close(fd2);
    loop_worker_free(w);
}

/* A worker that stops gives closing sockets a second, not their whole time. */
static void worker_ends_with_closing_sockets(void)
{
    struct loop_worker *w = rig_worker();
    struct buf back = BUF_INIT(4 << 20);
    struct end e, f;
    int fd = end_pair(&e, w, NULL), fd2 = end_pair(&f, w, NULL);
    int64_t t0 = clock_mono(), took;

    end_pattern(loop_sock_out(e.sock), 4 << 20);
    loop_sock_write(f.sock, "bye", 3);
    end_close(&e);
    end_close(&f);
    loop_worker_stop(w);
    loop_worker_run(w);
    took = clock_mono() - t0;
    TAP_OK(took >= 900 * CLOCK_MS && took < 3 * CLOCK_S, "%ld ms", (long)(took / CLOCK_MS));
    TAP_IS(loop_worker_stats(w)->socks == 0);
    TAP_IS(end_read_raw(fd2, &back) == 1 && back.len == 3);
    close(fd);
    close(fd2);
    end_done(&e);
    end_done(&f);
    buf_done(&back);
    loop_worker_free(w);
}

static void free_with_open_sockets(void)
{
    struct loop_worker *w = rig_worker();
    struct end e;
    int fd = end_pair(&e, w, NULL);

    e.unit = 10;
    end_send_raw(fd, "left", 4);
    loop_worker_turn(w, 0);
    loop_sock_write(e.sock, "x", 1);
    loop_worker_free(w);
    TAP_IS(e.calls[END_CLOSED] == 0);
    TAP_IS(send(fd, "x", 1, MSG_NOSIGNAL) < 0);
    e.sock = NULL;
    end_done(&e);
    close(fd);
}

static const struct tap_case close_cases[] = {
    {"close_in_each_callback", close_in_each_callback},
    {"close_each_other", close_each_other},
    {"close_sends_what_is_queued", close_sends_what_is_queued},
    {"linger_has_an_end", linger_has_an_end},
    {"worker_ends_with_closing_sockets", worker_ends_with_closing_sockets},
    {"free_with_open_sockets", free_with_open_sockets},
};

const struct tap_suite suite_close = TAP_SUITE("close", close_cases);

/* Sockets that are connected already, over socket pairs. */
#include "config.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "end.h"
#include "failmalloc.h"
#include "loop/internal.h"

static void small_buffers(int fd)
{
    int n = 4096;

    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &n, sizeof n);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &n, sizeof n);
}

static void both_ways(void)
{
    struct loop_worker *w = rig_worker();
    struct buf back = BUF_INIT(100000);
    struct end e;
    int fd = end_pair(&e, w, NULL);

    end_send_raw(fd, "hello", 5);
    END_UNTIL(w, e.got.len == 5);
    TAP_IS(span_equal_str(buf_span(&e.got), "hello"));
    loop_sock_write(e.sock, "wor", 3);
    buf_append_str(loop_sock_out(e.sock), "ld");
    TAP_IS(loop_sock_queued(e.sock) == 5);
    loop_worker_turn(w, 0);
    TAP_IS(end_read_raw(fd, &back) == 0 && span_equal_str(buf_span(&back), "world"));
    TAP_OK(loop_worker_stats(w)->writes == 1, "one write per turn");
    TAP_OK(e.sock->in.base == NULL && e.sock->out.base == NULL, "an idle socket holds no buffers");
    TAP_IS(loop_sock_worker(e.sock) == w && loop_sock_remote(e.sock)->len == 0);
    TAP_IS(loop_worker_stats(w)->bytes_in == 5 && loop_worker_stats(w)->bytes_out == 5);
    end_done(&e);
    close(fd);
    END_UNTIL(w, loop_worker_stats(w)->socks == 0);
    TAP_IS(e.late == 0);
    buf_done(&back);
    loop_worker_free(w);
}

/* More than the system takes: the rest waits for room. */
static void short_writes(void)
{
    enum { N = 3 << 20 };
    struct loop_sock_opts opts = {.out_low = 1000};
    struct loop_worker *w = rig_worker();
    struct buf back = BUF_INIT(N + 65536);
    struct end e;
    int fd = end_pair(&e, w, &opts);

    small_buffers(fd);
    small_buffers(e.sock->fd);
    end_pattern(loop_sock_out(e.sock), N);
    loop_worker_turn(w, 0);
    TAP_IS(e.sock->writing && loop_sock_queued(e.sock) > N / 2 && e.calls[END_DRAINED] == 0);
    loop_worker_turn(w, 10 * CLOCK_MS); /* nobody reads: no spinning */
    TAP_IS(loop_worker_stats(w)->turns == 2);
    while (back.len < N && end_read_raw(fd, &back) == 0)
        loop_worker_turn(w, CLOCK_S);
    TAP_OK(back.len == N && end_is_pattern(buf_span(&back)), "%zu bytes", back.len);
    loop_worker_turn(w, 0);
    TAP_IS(e.calls[END_DRAINED] == 1 && loop_sock_queued(e.sock) == 0);
    TAP_IS(loop_worker_stats(w)->writes > 3);
    close(fd);
    end_done(&e);
    buf_done(&back);
    loop_worker_free(w);
}

/* The limit of one turn holds although the peer could take everything. */
static void turns_are_fair(void)
{
    struct loop_worker *w = rig_worker();
    struct buf back = BUF_INIT(8 << 20);
    struct end e, f;
    int fd = end_pair(&e, w, NULL), big = 4 << 20, fds[2];
    uint64_t before;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
        abort();
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    end_init(&f);
    end_adopt(&f, w, fds[0], NULL);
    end_pattern(loop_sock_out(f.sock), 2 << 20);
    loop_worker_turn(w, 0);
    TAP_IS(loop_worker_stats(w)->bytes_out <= LOOP_SOCK_WRITE_MAX);
    while (loop_sock_queued(f.sock) > 0 && loop_worker_stats(w)->turns < 1000) {
        end_read_raw(fds[1], &back);
        loop_worker_turn(w, CLOCK_S);
    }
    end_read_raw(fds[1], &back);
    TAP_IS(back.len == 2 << 20 && end_is_pattern(buf_span(&back)));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    TAP_IS(send(fd, buf_data(&back), 200000, MSG_NOSIGNAL) > 100000);
    before = loop_worker_stats(w)->bytes_in;
    loop_worker_turn(w, 0);
    TAP_IS(loop_worker_stats(w)->bytes_in - before <= LOOP_SOCK_READ_MAX && e.calls[END_DATA] == 1);
    end_done(&e);
    end_done(&f);
    close(fd);
    close(fds[1]);
    buf_done(&back);
    loop_worker_free(w);
}

static void leftovers_come_again(void)
{
    struct loop_worker *w = rig_worker();
    struct end e;
    int fd = end_pair(&e, w, NULL);
    struct buf b = BUF_INIT(200000);

    e.unit = 7;
    end_pattern(&b, 7 * 20);
    for (size_t i = 0; i < b.len; i++) {
        end_send_raw(fd, buf_data(&b) + i, 1);
        loop_worker_turn(w, 10 * CLOCK_MS);
    }
    TAP_IS(e.got.len == 7 * 20 && end_is_pattern(buf_span(&e.got)) && e.sock->in.base == NULL);
    TAP_IS(e.calls[END_DATA] == 7 * 20);
    /* Large units over many reads. */
    e.unit = 7 * 20000;
    buf_reset(&e.got);
    buf_reset(&b);
    end_pattern(&b, e.unit);
    for (size_t off = 0; off < b.len;) {
        ssize_t n = send(fd, buf_data(&b) + off, b.len - off, MSG_NOSIGNAL);

        off += n > 0 ? (size_t)n : 0;
        loop_worker_turn(w, 10 * CLOCK_MS);
    }
    END_UNTIL(w, e.got.len == e.unit);
    TAP_IS(end_is_pattern(buf_span(&e.got)) && e.sock->in.base == NULL);
    end_done(&e);
    close(fd);
    buf_done(&b);
    loop_worker_free(w);
}

static void leftovers_are_bounded(void)
{
    struct loop_sock_opts opts = {.in_max = 1000};
    struct loop_worker *w = rig_worker();
    struct end e;
    int fd = end_pair(&e, w, &opts);
    char zeros[600] = {0};

    e.unit = 5000;
    end_send_raw(fd, zeros, sizeof zeros);
    loop_worker_turn(w, 0);
    TAP_IS(e.calls[END_CLOSED] == 0);
    end_send_raw(fd, zeros, sizeof zeros);
    loop_worker_turn(w, 0);
    TAP_IS(e.calls[END_CLOSED] == 1 && e.code == WSPR_ELIMIT);
    TAP_IS(send(fd, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE); /* it is really closed */
    loop_sock_write(e.sock, "x", 1);                              /* harmless */
    loop_sock_resume(e.sock);
    loop_worker_turn(w, 0);
    end_done(&e);
    close(fd);
    loop_worker_free(w);
}

static void output_is_bounded(void)
{
    struct loop_sock_opts opts = {.out_max = 100000};
    struct loop_worker *w = rig_worker();
    struct end e;
    int fd = end_pair(&e, w, &opts);

    end_pattern(loop_sock_out(e.sock), 100001);
    TAP_IS(e.calls[END_CLOSED] == 0); /* not from inside */
    loop_worker_turn(w, -1);
    TAP_IS(e.calls[END_CLOSED] == 1 && e.code == WSPR_ELIMIT);
    end_done(&e);
    close(fd);
    /* Also while the peer does not read. */
    fd = end_pair(&e, w, &opts);
    small_buffers(e.sock->fd);
    end_pattern(loop_sock_out(e.sock), 90000);
    loop_worker_turn(w, 0);
    TAP_IS(e.sock->writing);
    end_pattern(loop_sock_out(e.sock), 90000);
    loop_worker_turn(w, 0);
    TAP_IS(e.calls[END_CLOSED] == 1 && e.code == WSPR_ELIMIT);
    end_done(&e);
    close(fd);
    loop_worker_free(w);
}

static void pause_and_resume(void)
{
    struct loop_worker *w = rig_worker();
    struct end e;
    int fd = end_pair(&e, w, NULL);

    e.take = 3;
    e.pause_in_data = true;
    end_send_raw(fd, "abcdefg", 7);
    loop_worker_turn(w, 0);
    TAP_IS(e.got.len == 3 && loop_sock_paused(e.sock));
    end_send_raw(fd, "hij", 3);
    loop_worker_turn(w, CLOCK_MS);
    TAP_IS(e.got.len == 3 && e.calls[END_DATA] == 1);
    loop_sock_resume(e.sock);
    TAP_IS(e.calls[END_DATA] == 1); /* not from inside */
    loop_worker_turn(w, 0);
    TAP_IS(e.calls[END_DATA] == 2 && loop_sock_paused(e.sock));
    e.pause_in_data = false;
    e.take = 0;
    close(fd);
    loop_worker_turn(w, CLOCK_MS);
    TAP_IS(e.calls[END_EOF] == 0);
    /* What was kept, then what came, then the end. */
    loop_sock_resume(e.sock);
    END_UNTIL(w, e.calls[END_EOF] == 1);
    TAP_IS(span_equal_str(buf_span(&e.got), "abcdefghij"));
    loop_worker_turn(w, CLOCK_MS);
    TAP_IS(e.calls[END_EOF] == 1);
    end_done(&e);
    loop_worker_free(w);
}

static void resume_from_a_timer(void *arg)
{
    struct end *e = arg;

    loop_sock_resume(e->sock);
}

/* Resumed after the events of a turn: the end of the input may not overtake the bytes that were
 * kept. */
static void end_stays_behind_kept_bytes(void)
{
    struct loop_worker *w = rig_worker();
    struct loop_timer t;
    struct end e;
    int fd = end_pair(&e, w, NULL);

    e.take = 1;
    e.pause_in_data = true;
    end_send_raw(fd, "abc", 3);
    loop_worker_turn(w, 0);
    close(fd);
    loop_timer_init(&t, w, resume_from_a_timer, &e);
    for (int i = 0; i < 2; i++) {
        TAP_IS(e.calls[END_EOF] == 0 && e.got.len == 1u + (size_t)i);
        /* Before the events of a turn, and after them. */
        if (i % 2 == 0)
            loop_sock_resume(e.sock);
        else
            loop_timer_start(&t, 0);
        loop_worker_turn(w, CLOCK_MS);
        loop_worker_turn(w, CLOCK_MS);
    }
    TAP_IS(span_equal_str(buf_span(&e.got), "abc"));
    loop_sock_resume(e.sock);
    END_UNTIL(w, e.calls[END_EOF] == 1);
    end_done(&e);
    loop_worker_free(w);
}

static void end_without_an_eof_callback(void)
{
    struct loop_sock_opts opts = {.ops = &end_ops_no_eof};
    struct loop_worker *w = rig_worker();
    struct end e;
    int fd = end_pair(&e, w, &opts);

    close(fd);
    END_UNTIL(w, e.calls[END_CLOSED] == 1);
    TAP_IS(e.code == WSPR_ECLOSED && strcmp(e.why, "EOF") == 0);
    end_done(&e);
    loop_worker_free(w);
}

static void half_close(void)
{
    struct loop_worker *w = rig_worker();
    struct buf back = BUF_INIT(100000);
    struct end e;
    int fd = end_pair(&e, w, NULL);

    loop_sock_write(e.sock, "last", 4);
    loop_sock_shutdown(e.sock);
    loop_worker_turn(w, 0);
    TAP_IS(end_read_raw(fd, &back) == 1 && back.len == 4);
    end_send_raw(fd, "still", 5);
    loop_worker_turn(w, 0);
    TAP_IS(e.got.len == 5);
    /* The other way round: the peer ends, we still send. */
    TAP_IS(e.calls[END_EOF] == 0);
    end_done(&e);
    close(fd);
    fd = end_pair(&e, w, NULL);
    shutdown(fd, SHUT_WR);
    END_UNTIL(w, e.calls[END_EOF] == 1);
    loop_sock_write(e.sock, "answer", 6);
    loop_worker_turn(w, 0);
    buf_reset(&back);
    TAP_IS(end_read_raw(fd, &back) == 0 && back.len == 6);
    TAP_IS(e.calls[END_CLOSED] == 0);
    end_done(&e);
    loop_worker_turn(w, 0);
    TAP_IS(end_read_raw(fd, &back) == 1 && loop_worker_stats(w)->socks == 0);
    close(fd);
    buf_done(&back);
    loop_worker_free(w);
}

static void fill_is_asked_while_there_is_room(void)
{
    enum { N = 2 << 20 };
    struct loop_worker *w = rig_worker();
    struct buf back = BUF_INIT(N + 65536);
    struct end e;
    int fd = end_pair(&e, w, NULL);
    size_t most = 0;

    /* The peer takes little at a time. */
    small_buffers(fd);
    small_buffers(e.sock->fd);
    e.to_fill = N;
    e.fill_unit = 10007;
    loop_worker_turn(w, 0);
    TAP_IS(e.calls[END_FILL] == 0);
    loop_sock_want_write(e.sock);
    while (back.len < N && end_read_raw(fd, &back) == 0) {
        loop_worker_turn(w, CLOCK_S);
        if (loop_sock_queued(e.sock) > most)
            most = loop_sock_queued(e.sock);
    }
    TAP_IS(back.len == N && end_is_pattern(buf_span(&back)));
    TAP_OK(most < 65536 + 10007, "%zu bytes queued: it is asked only when there is room", most);
    loop_worker_turn(w, 0);
    loop_worker_turn(w, CLOCK_MS);
    TAP_IS(e.calls[END_FILL] == N / 10007 + 2); /* the last one had nothing */
    end_done(&e);
    close(fd);
    buf_done(&back);
    loop_worker_free(w);
}

struct upgrade {
    struct end *first, *second;
};

static size_t upgrade_data(void *arg, uint8_t *p, size_t len)
{
    struct upgrade *u = arg;

    u->second->sock = u->first->sock;
    loop_sock_set_owner(u->first->sock, &end_ops, u->second);
    u->first->sock = NULL;
    u->first->calls[END_DATA]++;
    return 4;
}

static void owner_changes_in_data(void)
{
    static const struct loop_sock_ops ops = {.data = upgrade_data, .closed = NULL};
    struct loop_worker *w = rig_worker();
    struct end a, b;
    struct upgrade u = {&a, &b};
    int fd = end_pair(&a, w, NULL);

    end_init(&b);
    loop_sock_set_owner(a.sock, &ops, &u);
    end_send_raw(fd, "headframe", 9);
    loop_worker_turn(w, 0);
    loop_worker_turn(w, 0);
    TAP_IS(a.calls[END_DATA] == 1 && span_equal_str(buf_span(&b.got), "frame"));
    end_send_raw(fd, "more", 4);
    loop_worker_turn(w, 0);
    TAP_IS(a.calls[END_DATA] == 1 && span_equal_str(buf_span(&b.got), "framemore"));
    end_done(&a);
    end_done(&b);
    close(fd);
    loop_worker_free(w);
}

/* A turn in which the first end writes so many bytes and the others so many, in another order. */
static void spares_turn(struct loop_worker *w, struct end *e, const int *fds, int n, int turn,
                        size_t first, size_t others)
{
    static const char bytes[40000];
    static char got[sizeof bytes];

    for (int i = 0; i < n; i++) {
        int k = (i + turn) % n;

        loop_sock_write(e[k].sock, bytes, k == 0 ? first : others);
    }
    loop_worker_turn(w, 0);
    for (int i = 0; i < n; i++)
        TAP_IS(recv(fds[i], got, sizeof got, 0) == (ssize_t)(i == 0 ? first : others));
}

static unsigned large_spares(const struct loop_worker *w)
{
    unsigned large = 0;

    for (unsigned i = 0; i < w->n_spares; i++)
        large += w->spares[i].cap > LOOP_SPARE_SMALL;
    return large;
}

/* Where one socket needs a large block the blocks of the others do not all become large. */
static void spare_blocks_stay_small(void)
{
    enum { N = 12, TURNS = 5 * N };
    struct loop_worker *w = rig_worker();
    struct end e[N];
    int fds[N];

    for (int i = 0; i < N; i++)
        fds[i] = end_pair(&e[i], w, NULL);
    for (int i = 0; i < TURNS; i++)
        spares_turn(w, e, fds, N, i, 40000, 500);
    TAP_OK(w->n_spares == N && large_spares(w) == 1, "%u, %u large", w->n_spares, large_spares(w));
    for (int i = 0; i < TURNS; i++)
        spares_turn(w, e, fds, N, i, 40000, 40000);
    TAP_OK(large_spares(w) == LOOP_SPARES_LARGE, "%u large", large_spares(w));
    for (int i = 0; i < N; i++) {
        end_done(&e[i]);
        close(fds[i]);
    }
    loop_worker_free(w);
}

/* What a peer never read is freed in several turns; none of them waits for something to happen. */
static void much_is_freed_in_turns(void)
{
    enum { MUCH = 40 << 20 };
    struct loop_worker *w = rig_worker();
    struct loop_sock_opts opts = {.out_max = MUCH};
    struct end e;
    int fd = end_pair(&e, w, &opts);
    struct buf *out = loop_sock_out(e.sock);
    uint8_t *room = buf_reserve(out, MUCH);
    unsigned turns = 0;

    TAP_IS(room != NULL);
    memset(room, 'x', MUCH);
    buf_commit(out, MUCH);
    loop_worker_turn(w, 0);
    loop_sock_abort(e.sock);
    e.sock = NULL;
    for (; loop_worker_stats(w)->socks > 0 && turns < 100; turns++)
        loop_worker_turn(w, -1);
    TAP_OK(turns > 5 && turns < 50, "%u turns", turns);
    close(fd);
    loop_worker_free(w);
}

/* A whole life with each allocation failing in turn: it ends in an error or works. */
static void sock_once(void *arg)
{
    struct loop_sock_opts opts = {.ops = &end_ops};
    struct loop_worker *w = NULL;
    int fds[2];
    struct end e;
    char big[20000];

    memset(big, 'x', sizeof big);
    if (loop_worker_new(NULL, &w, NULL) < 0)
        return;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
        abort();
    end_init(&e);
    opts.arg = &e;
    e.keep_got = false;
    e.unit = 30000;
    if (loop_sock_adopt(w, fds[0], &opts, &e.sock, NULL) == 0) {
        loop_sock_write(e.sock, big, 100);
        for (int i = 0; i < 3; i++) {
            send(fds[1], big, sizeof big, MSG_NOSIGNAL);
            loop_worker_turn(w, 0);
        }
        shutdown(fds[1], SHUT_WR);
        loop_worker_turn(w, 0);
        loop_worker_turn(w, 0);
        if (e.calls[END_CLOSED] == 0) {
            char got[200];

            TAP_IS(e.n_got == 60000 && e.calls[END_EOF] == 1);
            TAP_IS(recv(fds[1], got, sizeof got, 0) == 100);
        } else {
            TAP_IS(e.code == WSPR_ENOMEM);
        }
    }
    end_done(&e);
    close(fds[1]);
    loop_worker_free(w);
}

static void socks_survive_lack_of_memory(void)
{
    unsigned long runs = failmalloc_each(sock_once, NULL, 200);

    TAP_OK(runs > 5, "%lu runs", runs);
}

static const struct tap_case sock_cases[] = {
    {"both_ways", both_ways},
    {"short_writes", short_writes},
    {"turns_are_fair", turns_are_fair},
    {"leftovers_come_again", leftovers_come_again},
    {"leftovers_are_bounded", leftovers_are_bounded},
    {"output_is_bounded", output_is_bounded},
    {"pause_and_resume", pause_and_resume},
    {"end_stays_behind_kept_bytes", end_stays_behind_kept_bytes},
    {"end_without_an_eof_callback", end_without_an_eof_callback},
    {"half_close", half_close},
    {"fill_is_asked_while_there_is_room", fill_is_asked_while_there_is_room},
    {"owner_changes_in_data", owner_changes_in_data},
    {"spare_blocks_stay_small", spare_blocks_stay_small},
    {"much_is_freed_in_turns", much_is_freed_in_turns},
    {"socks_survive_lack_of_memory", socks_survive_lack_of_memory},
};

const struct tap_suite suite_sock = TAP_SUITE("sock", sock_cases);

/* Listening, and many connections. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "door.h"

static void listen_errors(void)
{
    struct loop_worker *w = rig_worker();
    struct loop_listener *l = NULL;
    struct err e = ERR_INIT;
    char want[200];
    struct door d;

    door_open(&d, w);
    TAP_IS(loop_listener_new(w, d.address, &door_ops, &d, &l, &e) == WSPR_ESYS);
    snprintf(want, sizeof want, "listen tcp %s: bind: address already in use", d.address);
    TAP_OK(strcmp(err_text(&e), want) == 0, "%s", err_text(&e));
    TAP_IS(loop_listener_new(w, "host:80", &door_ops, &d, &l, &e) == WSPR_EINVAL);
    TAP_OK(strcmp(err_text(&e), "listen tcp: not an IP address: host:80") == 0, "%s", err_text(&e));
    TAP_IS(loop_listener_new(w, "80", &door_ops, &d, &l, &e) == WSPR_EINVAL && l == NULL);
    TAP_IS(loop_listener_new(w, "192.0.2.1:0", &door_ops, &d, &l, &e) == WSPR_ESYS);
    TAP_IS(loop_listener_adopt(w, open("/dev/null", O_RDONLY), &door_ops, &d, &l, &e) == WSPR_ESYS);
    loop_listener_free(NULL);
    err_done(&e);
    door_close(&d);
    loop_worker_free(w);
}

static int raw_dial(const struct loop_addr *a, int fd)
{
    int r;

    if (fd < 0)
        fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    r = connect(fd, &a->u.sa, a->len);
    (void)r;
    return fd;
}

static void listener_pauses(void)
{
    struct loop_worker *w = rig_worker();
    struct door d;
    int fds[3];

    door_open(&d, w);
    loop_listener_pause(d.listener);
    for (int i = 0; i < 3; i++)
        fds[i] = raw_dial(loop_listener_addr(d.listener), -1);
    loop_worker_turn(w, 10 * CLOCK_MS);
    TAP_IS(d.n == 0);
    d.close_when_accepted = true;
    loop_listener_resume(d.listener);
    loop_worker_turn(w, CLOCK_S);
    loop_worker_turn(w, 0);
    TAP_OK(d.n == 1, "%zu accepted by a listener that was freed after one", d.n);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    door_close(&d);
    loop_worker_free(w);
}

static void descriptors_run_out(void)
{
    enum { HELD = 2000 };
    static int held[HELD];
    struct loop_worker *w = rig_worker();
    struct rlimit old, few;
    struct loop_addr a;
    int clients[3], n = 0, ended = 0;
    struct door d;
    char c;

    door_open(&d, w);
    a = *loop_listener_addr(d.listener);
    for (int i = 0; i < 3; i++)
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    getrlimit(RLIMIT_NOFILE, &old);
    few = old;
    few.rlim_cur = 256;
    setrlimit(RLIMIT_NOFILE, &few);
    while (n < HELD && (held[n] = dup(clients[0])) >= 0)
        n++;
    TAP_IS(n < HELD && errno == EMFILE);
    for (int i = 0; i < 3; i++)
        raw_dial(&a, clients[i]);
    loop_worker_turn(w, CLOCK_S);
    TAP_OK(d.troubles == 1 && d.n == 0, "%u troubles, %zu accepted", d.troubles, d.n);
    loop_worker_turn(w, CLOCK_MS); /* it waits, and does not spin */
    TAP_IS(d.troubles == 1 && loop_worker_stats(w)->accept_errors == 1);
    TAP_OK(strstr(d.why, "accept tcp 127.0.0.1:") == d.why &&
               strstr(d.why, ": too many open files") != NULL,
           "%s", d.why);
    setrlimit(RLIMIT_NOFILE, &old);
    while (n > 0)
        close(held[--n]);
    for (int i = 0; i < 3; i++)
        ended += recv(clients[i], &c, 1, 0) == 0;
    TAP_OK(ended == 1, "%d clients were shed", ended);
    END_UNTIL(w, d.n == 2); /* the others, after the pause */
    for (int i = 0; i < 3; i++)
        close(clients[i]);
    door_close(&d);
    loop_worker_free(w);
}

/* Many connections at once, each echoing through a filled buffer. */
static void many_connections(void)
{
    enum { N = 200 };
    static struct end ends[N], others[N];
    struct loop_worker *w = rig_worker();
    struct door d;
    size_t got = 0;

    door_open(&d, w);
    for (int i = 0; i < N; i++) {
        end_dial(&ends[i], w, NULL, d.address, 0);
        ends[i].fill_unit = 3000;
        ends[i].to_fill = 50000;
        loop_sock_want_write(ends[i].sock);
    }
    END_UNTIL(w, d.n == N);
    for (int i = 0; i < N; i++) {
        end_init(&others[i]);
        end_adopt(&others[i], w, d.fds[i], NULL);
    }
    d.n = 0;
    for (int turn = 0; turn < 5000 && got < N * 50000; turn++) {
        loop_worker_turn(w, 10 * CLOCK_MS);
        got = 0;
        for (int i = 0; i < N; i++)
            got += others[i].got.len;
    }
    TAP_IS(got == N * 50000);
    for (int i = 0; i < N; i++) {
        if (!end_is_pattern(buf_span(&others[i].got)))
            TAP_OK(false, "connection %d is garbled", i);
        end_done(&ends[i]);
        end_done(&others[i]);
    }
    door_close(&d);
    END_UNTIL(w, loop_worker_stats(w)->socks == 0);
    loop_worker_free(w);
}

/* One worker accepts, another owns the connections. */

struct handover {
    struct loop_worker *to;
    struct end end;
    int fd;
    atomic_uint echoed;
};

static size_t echo_data(void *arg, uint8_t *p, size_t len)
{
    struct handover *h = arg;

    loop_sock_write(h->end.sock, p, len);
    atomic_fetch_add(&h->echoed, (unsigned)len);
    return len;
}

static void echo_over(void *arg, const struct err *why)
{
    struct handover *h = arg;

    end_close(&h->end);
    loop_worker_stop(h->to);
}

static void take_over(void *arg)
{
    static const struct loop_sock_ops ops = {.data = echo_data, .closed = echo_over};
    struct loop_sock_opts opts = {.ops = &ops, .arg = arg};
    struct handover *h = arg;

    if (loop_sock_adopt(h->to, h->fd, &opts, &h->end.sock, NULL) < 0)
        abort();
}

static void hand_over(void *arg, int fd, const struct loop_addr *peer)
{
    struct handover *h = arg;

    h->fd = fd;
    if (loop_worker_post(h->to, take_over, h) < 0)
        abort();
}

static void connections_move_to_other_workers(void)
{
    static const struct loop_listener_ops ops = {hand_over, NULL};
    struct loop_worker *w = rig_worker();
    struct loop_listener *l = NULL;
    char address[LOOP_ADDR_TEXT];
    struct handover h = {0};
    struct end e;

    end_init(&h.end);
    h.to = rig_worker();
    TAP_IS(loop_worker_spawn(h.to, NULL) == 0);
    TAP_IS(loop_listener_new(w, "127.0.0.1:0", &ops, &h, &l, NULL) == 0);
    end_dial(&e, w, NULL, loop_addr_text(loop_listener_addr(l), address), 0);
    for (size_t sent = 0; sent < 100; sent++) {
        loop_sock_write(e.sock, &(uint8_t){(uint8_t)sent}, 1);
        END_UNTIL(w, e.got.len == sent + 1);
    }
    TAP_IS(end_is_pattern(buf_span(&e.got)) && atomic_load(&h.echoed) == 100);
    end_done(&e);
    loop_listener_free(l);
    END_UNTIL(w, loop_worker_stats(w)->socks == 0);
    loop_worker_join(h.to);
    loop_worker_free(h.to);
    end_done(&h.end);
    loop_worker_free(w);
}

static const struct tap_case listener_cases[] = {
    {"listen_errors", listen_errors},
    {"listener_pauses", listener_pauses},
    {"descriptors_run_out", descriptors_run_out},
    {"many_connections", many_connections},
    {"connections_move_to_other_workers", connections_move_to_other_workers},
};

const struct tap_suite suite_listener = TAP_SUITE("listener", listener_cases);

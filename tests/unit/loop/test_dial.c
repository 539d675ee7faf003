/* Addresses and dialling, on the loopback interface. */
#include "config.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "door.h"
#include "failmalloc.h"
#include "loop/internal.h"

static void addresses(void)
{
    static const struct {
        const char *text, *host, *port, *why;
    } rows[] = {
        {"127.0.0.1:80", "127.0.0.1", "80", NULL},
        {"[::1]:80", "::1", "80", NULL},
        {":80", "", "80", NULL},
        {"host:", "host", "", NULL},
        {"host", NULL, NULL, "missing port in address host"},
        {"", NULL, NULL, "missing port in address "},
        {"::1:80", NULL, NULL, "too many colons in address ::1:80"},
        {"[::1]", NULL, NULL, "missing port in address [::1]"},
        {"[::1", NULL, NULL, "missing ']' in address [::1"},
        {"[::1]80:", NULL, NULL, "missing port in address [::1]80:"},
        {"[a]:1:2", NULL, NULL, "too many colons in address [a]:1:2"},
    };
    static const char *const bad_ports[] = {"x",  "65536", "99999999999999999999",
                                            "-1", "80x",   "+1"};
    struct loop_addr a, b;
    char text[LOOP_ADDR_TEXT];
    uint16_t n = 1;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *host = "", *port = "";
        struct err e = ERR_INIT;
        size_t len = 0;
        int r = loop_addr_split(rows[i].text, &host, &len, &port, &e);

        if (rows[i].why != NULL)
            TAP_OK(r == WSPR_EINVAL && strcmp(err_text(&e), rows[i].why) == 0, "%s", err_text(&e));
        else
            TAP_OK(r == 0 && span_equal_str(span_of(host, len), rows[i].host) &&
                       strcmp(port, rows[i].port) == 0,
                   "%s", rows[i].text);
        err_done(&e);
    }
    for (size_t i = 0; i < sizeof bad_ports / sizeof bad_ports[0]; i++)
        TAP_OK(loop_addr_port(bad_ports[i], &n, NULL) == WSPR_EINVAL && n == 1, "%s", bad_ports[i]);
    TAP_IS(loop_addr_port("65535", &n, NULL) == 0 && n == 65535);
    TAP_IS(loop_addr_port("", &n, NULL) == 0 && n == 0);
    TAP_IS(loop_addr_literal(&a, "::1", 3, 80, false) && loop_addr_is_loopback(&a));
    TAP_IS(strcmp(loop_addr_text(&a, text), "[::1]:80") == 0);
    TAP_IS(loop_addr_literal(&b, "127.3.2.1xx", 9, 8, false) && loop_addr_is_loopback(&b));
    TAP_IS(strcmp(loop_addr_text(&b, text), "127.3.2.1:8") == 0);
    TAP_IS(!loop_addr_equal(&a, &b) && loop_addr_equal(&a, &a));
    TAP_IS(loop_addr_literal(&b, "", 0, 8, true) && !loop_addr_is_loopback(&b));
    TAP_IS(loop_addr_literal(&b, "::ffff:127.0.0.1", 16, 8, true) && loop_addr_is_loopback(&b));
    TAP_IS(!loop_addr_literal(&b, "host", 4, 8, true) &&
           !loop_addr_literal(&b, "1.2.3", 5, 8, true));
    TAP_IS(strcmp(loop_errno_text(ECONNREFUSED, text, sizeof text), "connection refused") == 0);
    TAP_IS(strcmp(loop_errno_text(EADDRINUSE, text, sizeof text), "address already in use") == 0);
}

static int option(const struct end *e, int level, int name)
{
    socklen_t len = sizeof(int);
    int v = -1;

    getsockopt(e->sock->fd, level, name, &v, &len);
    return v;
}

static void dial_and_talk(void)
{
    struct loop_worker *w = rig_worker();
    char text[LOOP_ADDR_TEXT];
    struct end e, f;
    struct door d;

    door_open(&d, w);
    end_dial(&e, w, NULL, d.address, 0);
    loop_sock_write(e.sock, "early", 5); /* goes when it is connected */
    END_UNTIL(w, e.calls[END_CONNECTED] == 1 && d.n == 1);
    TAP_IS(strcmp(loop_addr_text(loop_sock_remote(e.sock), text), d.address) == 0);
    TAP_IS(loop_addr_equal(loop_sock_local(e.sock), &d.last_peer));
    TAP_IS(option(&e, IPPROTO_TCP, TCP_NODELAY) == 1 && option(&e, SOL_SOCKET, SO_KEEPALIVE) == 1);
    TAP_IS(option(&e, IPPROTO_TCP, TCP_KEEPIDLE) == 30 &&
           option(&e, IPPROTO_TCP, TCP_KEEPINTVL) == 30);
    end_init(&f);
    end_adopt(&f, w, d.fds[--d.n], NULL);
    TAP_IS(option(&f, IPPROTO_TCP, TCP_NODELAY) == 1 && option(&f, SOL_SOCKET, SO_KEEPALIVE) == 0);
    END_UNTIL(w, f.got.len == 5);
    loop_sock_write(f.sock, "back", 4);
    END_UNTIL(w, e.got.len == 4);
    end_close(&f);
    END_UNTIL(w, e.calls[END_EOF] == 1);
    end_done(&e);
    end_done(&f);
    END_UNTIL(w, loop_worker_stats(w)->socks == 0);
    TAP_IS(loop_worker_stats(w)->dials == 1 && loop_worker_stats(w)->dial_errors == 0);
    door_close(&d);
    loop_worker_free(w);
}

static void dial_errors(void)
{
    static const struct {
        const char *address, *why;
        int code;
    } rows[] = {
        {"127.0.0.1:1", "dial tcp 127.0.0.1:1: connection refused", WSPR_ESYS},
        {"[::1]:1", NULL, WSPR_ESYS}, /* refused, or no IPv6 here */
        {"nohost", "dial tcp: missing port in address nohost", WSPR_EINVAL},
        {"127.0.0.1:http", "dial tcp: unknown port tcp/http", WSPR_EINVAL},
        {"name:80", "dial tcp: lookup name: no such host", WSPR_ESYS}, /* there is no pool */
    };
    struct loop_worker *w = rig_worker();

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct end e;

        end_dial(&e, w, NULL, rows[i].address, 0);
        END_UNTIL(w, end_dialled(&e));
        TAP_OK(e.calls[END_CLOSED] == 1 && e.code == rows[i].code, "%s: %d", rows[i].address,
               e.code);
        if (rows[i].why != NULL)
            TAP_OK(strcmp(e.why, rows[i].why) == 0, "%s", e.why);
        end_done(&e);
    }
    loop_worker_turn(w, 0);
    TAP_IS(loop_worker_stats(w)->socks == 0 && loop_worker_stats(w)->dial_errors == 5);
    loop_worker_free(w);
}

/* A listener whose queue is full does not answer: further attempts stay pending. */
static int full_listener(char address[LOOP_ADDR_TEXT], int waiting[8])
{
    struct loop_addr a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    loop_addr_literal(&a, "127.0.0.1", 9, 0, false);
    if (bind(fd, &a.u.sa, a.len) < 0 || listen(fd, 0) < 0 || getsockname(fd, &a.u.sa, &a.len) < 0)
        abort();
    for (int i = 0; i < 8; i++) {
        int r;

        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        r = connect(waiting[i], &a.u.sa, a.len);
        (void)r; /* in progress */
    }
    rig_nap(20000);
    loop_addr_text(&a, address);
    return fd;
}

static void dial_times_out(void)
{
    struct loop_worker *w = rig_worker();
    char address[LOOP_ADDR_TEXT], want[200];
    int waiting[8], fd = full_listener(address, waiting);
    int64_t t0 = clock_mono();
    struct end e, f;

    end_dial(&e, w, NULL, address, 40 * CLOCK_MS);
    end_dial(&f, w, NULL, address, 10 * CLOCK_S);
    f.abort = false;
    loop_worker_turn(w, CLOCK_MS);
    end_done(&f); /* closed while it is pending */
    END_UNTIL(w, end_dialled(&e));
    snprintf(want, sizeof want, "dial tcp %s: i/o timeout", address);
    TAP_OK(e.code == WSPR_ETIMEOUT && strcmp(e.why, want) == 0, "%d %s", e.code, e.why);
    TAP_IS(clock_mono() - t0 >= 40 * CLOCK_MS);
    TAP_IS(f.calls[END_CONNECTED] + f.calls[END_CLOSED] == 0 && f.late == 0);
    end_done(&e);
    loop_worker_turn(w, 0);
    TAP_IS(loop_worker_stats(w)->socks == 0 && loop_worker_stats(w)->timers_armed == 0);
    for (int i = 0; i < 8; i++)
        close(waiting[i]);
    close(fd);
    loop_worker_free(w);
}

static bool have_localhost(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found = NULL;
    bool ok = getaddrinfo("localhost", NULL, &hints, &found) == 0;

    if (ok)
        freeaddrinfo(found);
    return ok;
}

static void dial_names(void)
{
    struct loop_worker *w = rig_worker();
    struct loop_offload *pool = NULL;
    char address[LOOP_ADDR_TEXT], longname[100];
    struct end e;
    struct door d;

    TAP_IS(loop_offload_new(NULL, &pool, NULL) == 0);
    door_open(&d, w);
    snprintf(address, sizeof address, "localhost%s", strrchr(d.address, ':'));
    if (have_localhost()) {
        end_dial(&e, w, pool, address, 0);
        END_UNTIL(w, end_dialled(&e));
        TAP_OK(e.calls[END_CONNECTED] == 1, "%s", e.why);
        end_done(&e);
    } else {
        tap_note("the system does not know localhost: not dialled");
    }
    /* A label that no name server can be asked for. */
    memset(longname, 'x', 70);
    memcpy(longname + 70, ":80", 4);
    end_dial(&e, w, pool, longname, 0);
    END_UNTIL(w, end_dialled(&e));
    TAP_OK(e.calls[END_CLOSED] == 1 && strstr(e.why, "dial tcp: lookup xxx") == e.why, "%s", e.why);
    end_done(&e);
    /* Closed while the look-up is out, and with the pool gone. */
    end_dial(&e, w, pool, address, 0);
    end_done(&e);
    loop_worker_turn(w, 0);
    END_UNTIL(w, loop_worker_stats(w)->jobs_out == 0);
    TAP_IS(!end_dialled(&e) && e.late == 0);
    loop_offload_stop(pool, true);
    end_dial(&e, w, pool, address, 0);
    END_UNTIL(w, end_dialled(&e));
    TAP_OK(strcmp(e.why, "dial tcp: lookup localhost: closed") == 0, "%s", e.why);
    end_done(&e);
    door_close(&d);
    loop_worker_turn(w, 0);
    loop_offload_free(pool);
    loop_worker_free(w);
}

/* A look-up that takes longer than the dial may: the answer comes to nobody. */
static atomic_bool slow_hold;

static void slow_work(void *arg)
{
    while (atomic_load(&slow_hold))
        rig_nap(1000);
}

static void slow_done(void *arg, int status)
{
}

static void dial_times_out_in_the_look_up(void)
{
    struct loop_offload_opts opts = {{1, 1}, {0, 0}};
    struct loop_worker *w = rig_worker();
    struct loop_offload *pool = NULL;
    struct loop_job slow;
    struct end e;

    TAP_IS(loop_offload_new(&opts, &pool, NULL) == 0);
    atomic_store(&slow_hold, true);
    loop_job_init(&slow, slow_work, slow_done, NULL);
    TAP_IS(loop_offload_submit(pool, w, LOOP_LANE_WAIT, &slow) == 0);
    end_dial(&e, w, pool, "localhost:1", 30 * CLOCK_MS);
    END_UNTIL(w, end_dialled(&e));
    TAP_OK(e.code == WSPR_ETIMEOUT && strcmp(e.why, "dial tcp: i/o timeout") == 0, "%s", e.why);
    end_done(&e);
    loop_worker_turn(w, 0);
    TAP_IS(loop_worker_stats(w)->socks == 0);
    atomic_store(&slow_hold, false);
    END_UNTIL(w, loop_worker_stats(w)->jobs_out == 0);
    loop_offload_free(pool);
    loop_worker_free(w);
}

static void close_when_connected(void)
{
    for (int i = 0; i < 2; i++) {
        struct loop_worker *w = rig_worker();
        struct end e, f;
        struct door d;

        door_open(&d, w);
        end_dial(&e, w, NULL, d.address, 0);
        e.end_in = END_CONNECTED;
        e.abort = i;
        loop_sock_write(e.sock, "gone", 4);
        end_dial(&f, w, NULL, "127.0.0.1:1", 0);
        f.end_in = END_CLOSED;
        END_UNTIL(w, end_dialled(&e) && end_dialled(&f) && d.n == 1);
        TAP_IS(e.sock == NULL && f.sock == NULL && e.late == 0 && f.late == 0);
        end_done(&e);
        end_done(&f);
        door_close(&d);
        END_UNTIL(w, loop_worker_stats(w)->socks == 0);
        loop_worker_free(w);
    }
}

static void peer_resets(void)
{
    struct linger hard = {1, 0};
    struct loop_worker *w = rig_worker();
    char want[200];
    struct end e;
    struct door d;

    door_open(&d, w);
    end_dial(&e, w, NULL, d.address, 0);
    END_UNTIL(w, d.n == 1 && e.calls[END_CONNECTED] == 1);
    setsockopt(d.fds[0], SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(d.fds[--d.n]);
    END_UNTIL(w, e.calls[END_CLOSED] == 1);
    snprintf(want, sizeof want, "read tcp %s: connection reset by peer", d.address);
    TAP_OK(e.code == WSPR_ESYS && strcmp(e.why, want) == 0, "%s", e.why);
    end_done(&e);
    door_close(&d);
    loop_worker_free(w);
}

/* An owner that wants the code alone gets it with the table's sentence. */
static void error_without_its_sentence(void)
{
    for (int code_only = 0; code_only < 2; code_only++) {
        struct loop_sock_opts opts = {.code_only = code_only};
        struct loop_worker *w = rig_worker();
        struct end e;
        int fd = end_pair(&e, w, &opts);

        buf_append_str(loop_sock_out(e.sock), "not read");
        loop_worker_turn(w, 0);
        close(fd);
        END_UNTIL(w, e.calls[END_CLOSED] == 1);
        TAP_OK(e.code == WSPR_ESYS, "%d", e.code);
        TAP_OK(strcmp(e.why, code_only ? err_code_text(WSPR_ESYS)
                                       : "read tcp: connection reset by peer") == 0,
               "%s", e.why);
        end_done(&e);
        loop_worker_free(w);
    }
}

/* What was sent arrives although the closing side had not read everything. */
static void close_with_unread_input(void)
{
    struct loop_worker *w = rig_worker();
    struct buf back = BUF_INIT(1 << 20);
    char much[50000] = {0};
    struct end e;
    struct door d;
    int r = 0;

    door_open(&d, w);
    end_dial(&e, w, NULL, d.address, 0);
    END_UNTIL(w, d.n == 1 && e.calls[END_CONNECTED] == 1);
    loop_sock_pause(e.sock);
    TAP_IS(send(d.fds[0], much, sizeof much, MSG_NOSIGNAL) > 0);
    loop_sock_write(e.sock, "error text", 10);
    end_close(&e);
    loop_worker_turn(w, CLOCK_MS);
    TAP_IS(send(d.fds[0], "more", 4, MSG_NOSIGNAL) == 4);
    for (int i = 0; i < 100 && r == 0; i++) {
        loop_worker_turn(w, CLOCK_MS);
        r = end_read_raw(d.fds[0], &back);
    }
    TAP_IS(r == 1 && span_equal_str(buf_span(&back), "error text"));
    end_done(&e);
    door_close(&d);
    END_UNTIL(w, loop_worker_stats(w)->socks == 0);
    buf_done(&back);
    loop_worker_free(w);
}

static void tcp_once(void *arg)
{
    struct loop_sock_opts opts = {.ops = &end_ops};
    struct loop_offload_opts pool_opts = {{1, 1}, {0, 0}};
    struct loop_offload *pool = NULL;
    struct loop_worker *w = NULL;
    struct door d = {0};
    struct end e;

    end_init(&e);
    opts.arg = &e;
    if (loop_worker_new(NULL, &w, NULL) == 0 && loop_offload_new(&pool_opts, &pool, NULL) == 0 &&
        loop_listener_new(w, "127.0.0.1:0", &door_ops, &d, &d.listener, NULL) == 0 &&
        loop_sock_dial(w, pool, *(const char *const *)arg, 0, &opts, &e.sock, NULL) == 0)
        END_UNTIL(w, end_dialled(&e));
    end_done(&e);
    door_close(&d);
    while (w != NULL && loop_worker_stats(w)->jobs_out > 0)
        loop_worker_turn(w, CLOCK_MS);
    loop_offload_free(pool);
    loop_worker_free(w);
}

static void dials_survive_lack_of_memory(void)
{
    const char *literal = "127.0.0.1:1", *name = "localhost:1";

    TAP_IS(failmalloc_each(tcp_once, &literal, 200) > 4);
    TAP_IS(failmalloc_each(tcp_once, &name, 200) > 5);
}

static const struct tap_case dial_cases[] = {
    {"addresses", addresses},
    {"dial_and_talk", dial_and_talk},
    {"dial_errors", dial_errors},
    {"dial_times_out", dial_times_out},
    {"dial_names", dial_names},
    {"dial_times_out_in_the_look_up", dial_times_out_in_the_look_up},
    {"close_when_connected", close_when_connected},
    {"peer_resets", peer_resets},
    {"error_without_its_sentence", error_without_its_sentence},
    {"close_with_unread_input", close_with_unread_input},
    {"dials_survive_lack_of_memory", dials_survive_lack_of_memory},
};

const struct tap_suite suite_dial = TAP_SUITE("dial", dial_cases);

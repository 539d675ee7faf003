/* Peers that are gone without a word, and peers whose system answers while they take nothing. */
#include "config.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "blackhole.h"
#include "door.h"
#include "loop/internal.h"

#define PATIENCE (2 * CLOCK_S)

/* Like END_UNTIL, with time for what takes seconds by design. */
#define GONE_UNTIL(w, cond)                                                                        \
    do {                                                                                           \
        int64_t gone_until_ = clock_mono() + 60 * CLOCK_S;                                         \
        while (!(cond) && clock_mono() < gone_until_)                                              \
            loop_worker_turn(w, 20 * CLOCK_MS);                                                    \
        TAP_IS(cond);                                                                              \
    } while (0)

struct pair {
    struct loop_worker *w;
    struct door door;
    struct end end; /* the one under test; the other is door.fds[0] */
};

static void pair_open(struct pair *p)
{
    struct loop_sock_opts opts = {
        .ops = &end_ops, .arg = &p->end, .keepalive = true, .patience = PATIENCE};

    p->w = rig_worker();
    door_open(&p->door, p->w);
    end_init(&p->end);
    TAP_IS(loop_sock_dial(p->w, NULL, p->door.address, 0, &opts, &p->end.sock, NULL) == 0);
    END_UNTIL(p->w, p->end.calls[END_CONNECTED] == 1 && p->door.n == 1);
}

static void pair_close(struct pair *p)
{
    end_done(&p->end);
    door_close(&p->door);
    loop_worker_free(p->w);
}

/* The end came by itself, as a failure of the system. */
static void expect_gone(struct pair *p)
{
    GONE_UNTIL(p->w, p->end.calls[END_CLOSED] == 1);
    TAP_OK(p->end.code == WSPR_ESYS && strstr(p->end.why, "connection timed out") != NULL, "%s",
           p->end.why);
}

static void vanished_and_idle(void)
{
    struct pair p;

    pair_open(&p);
    if (blackhole(p.door.fds[0]))
        expect_gone(&p);
    else
        tap_skip("the system has no socket filters");
    pair_close(&p);
}

static void vanished_with_output(void)
{
    struct pair p;

    pair_open(&p);
    if (blackhole(p.door.fds[0])) {
        loop_sock_write(p.end.sock, "is there anybody?", 17);
        expect_gone(&p);
    } else {
        tap_skip("the system has no socket filters");
    }
    pair_close(&p);
}

/* Its system acknowledges, but it takes nothing of what waits. */
static void takes_nothing(void)
{
    static uint8_t zeros[4 * 1024 * 1024];
    struct pair p;

    pair_open(&p);
    loop_sock_write(p.end.sock, zeros, sizeof zeros);
    loop_sock_write(p.end.sock, zeros, sizeof zeros);
    expect_gone(&p);
    pair_close(&p);
}

/* Who only has nothing to say is not gone. */
static void silent_but_there(void)
{
    int64_t until = clock_mono() + PATIENCE + CLOCK_S;
    struct pair p;

    pair_open(&p);
    while (clock_mono() < until)
        loop_worker_turn(p.w, 20 * CLOCK_MS);
    loop_sock_write(p.end.sock, "still", 5);
    until += PATIENCE + CLOCK_S; /* unread, but acknowledged */
    while (clock_mono() < until)
        loop_worker_turn(p.w, 20 * CLOCK_MS);
    TAP_IS(p.end.calls[END_CLOSED] == 0);
    end_send_raw(p.door.fds[0], "yes", 3);
    END_UNTIL(p.w, p.end.got.len == 3);
    pair_close(&p);
}

static const struct tap_case gone_cases[] = {
    {"vanished_and_idle", vanished_and_idle},
    {"vanished_with_output", vanished_with_output},
    {"takes_nothing", takes_nothing},
    {"silent_but_there", silent_but_there},
};

const struct tap_suite suite_gone = TAP_SUITE("gone", gone_cases);

/* What the server does while a blessing is being verified on its pool. */
#include "config.h"

#include <unistd.h>

#include "base/clock.h"
#include "credentials_tests.h"
#include "loop/offload.h"
#include "raw.h"
#include "security/identity.h"
#include "tap.h"
#include "twin.h"

#define WAIT     30000 /* milliseconds */
#define BLOCKERS 2     /* threads of the pool */

static struct twin t;

/* Jobs that keep the threads of the server's pool until a byte is written. */
static struct {
    struct loop_job job[BLOCKERS];
    bool passed[BLOCKERS];
    int gate[2];
    unsigned out;
} blockers;

static int grant(struct rpc_granter *granter, const struct security_identity *server,
                 struct security_identity **ret_blessing, struct err *err)
{
    *ret_blessing = rig_blessing(&t.ids);
    return 0;
}

static struct rpc_granter granter = {.grant = grant, .refs = 1};

static void block_work(void *arg)
{
    bool *passed = arg;
    char c;

    *passed = read(blockers.gate[0], &c, 1) == 1;
}

static void block_done(void *arg, int status)
{
    bool *passed = arg;

    TAP_IS(status == 0 && *passed);
    blockers.out--;
}

static void start(struct tcall *c, int64_t timeout, struct rpc_granter *g)
{
    struct vom_value arg = vom_value_str("hi");
    struct tcall_how how = {
        .name = t.name,
        .method = "EchoBlessing",
        .args = &arg,
        .n_args = 1,
        .opts = {.timeout = timeout, .n_results = 2, .granter = g},
    };

    tcall_init(c);
    TAP_IS(tcall_start(c, twin_client(&t), &how));
}

/* The circuit stands, then no thread of the server's pool is left. */
static void begin(void)
{
    struct twin_opts opts = {.offload = true};
    struct tcall c;

    twin_init(&t, &opts);
    twin_call(&t, &c, "Closure", NULL, 0);
    TWIN_OK(&c);
    tcall_done(&c);
    TAP_IS(pipe(blockers.gate) == 0);
    for (int i = 0; i < BLOCKERS; i++) {
        loop_job_init(&blockers.job[i], block_work, block_done, &blockers.passed[i]);
        TAP_IS(loop_offload_submit(t.s.offload, t.s.w, LOOP_LANE_CPU, &blockers.job[i]) == 0);
        blockers.out++;
    }
}

static bool is_unblocked(void *arg)
{
    return blockers.out == 0;
}

static void unblock(void)
{
    TAP_IS(write(blockers.gate[1], "xx", BLOCKERS) == BLOCKERS);
    TAP_IS(raw_until(t.s.w, is_unblocked, NULL, WAIT));
}

static void end(void)
{
    twin_done(&t);
    close(blockers.gate[0]);
    close(blockers.gate[1]);
}

/* The server waits for its pool with the blessing of a call that was sent; or it is too late. */
static bool is_checking(void *arg)
{
    const struct tcall *c = arg;

    return c->n_done > 0 ||
           (c->n_started > 0 && loop_worker_stats(t.s.w)->jobs_out == BLOCKERS + 1);
}

/* Others are served meanwhile; the one that waits has lost nothing. */
void credentials_server_checks(void)
{
    struct tcall c, other;

    begin();
    start(&c, 0, &granter);
    TAP_OK(raw_until(t.s.w, is_checking, &c, WAIT), "the server does not check");
    twin_call(&t, &other, "Closure", NULL, 0);
    TWIN_OK(&other);
    tcall_done(&other);
    TAP_IS(c.n_done == 0);
    unblock();
    twin_wait(&t, &c);
    TWIN_OK(&c);
    TAP_IS(c.n_results == 2 && span_equal_str(c.results[1].s, "client/blessed"));
    tcall_done(&c);
    end();
}

void credentials_caller_gone(void)
{
    struct tcall c, other;

    begin();
    start(&c, 0, &granter);
    TAP_OK(raw_until(t.s.w, is_checking, &c, WAIT), "the server does not check");
    rpc_call_cancel(c.call);
    c.call = NULL;
    tcall_done(&c);
    /* Comes after the cancel. */
    twin_call(&t, &other, "Closure", NULL, 0);
    TWIN_OK(&other);
    tcall_done(&other);
    unblock();
    end();
}

void credentials_checked_too_late(void)
{
    struct tcall c;

    begin();
    start(&c, 200 * CLOCK_MS, &granter);
    TAP_OK(raw_until(t.s.w, is_checking, &c, WAIT), "the server does not check");
    twin_wait(&t, &c);
    /* Whoever is first: the deadline of the server, or that of the client. */
    TAP_OK(strstr(tcall_error(&c), "deadline exceeded") != NULL, "\"%s\"", tcall_error(&c));
    tcall_done(&c);
    unblock();
    end();
}

/* The server stops; its runtime waits for what is on the pool. */
void credentials_server_stops(void)
{
    struct tcall c;

    begin();
    start(&c, 0, &granter);
    TAP_OK(raw_until(t.s.w, is_checking, &c, WAIT), "the server does not check");
    rpc_server_stop(t.server, 0, NULL, NULL);
    t.server = NULL;
    twin_wait(&t, &c);
    TAP_IS(c.err.code != 0);
    tcall_done(&c);
    unblock();
    end();
}

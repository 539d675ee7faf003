/* Messages that go to a flow's owner: order, what is kept, and what holds up the input. */
#include "config.h"

#include "base/clock.h"
#include "gateway_tests.h"
#include "gwrig.h"
#include "probe.h"

static struct gw g;
static struct page p;

static void begin(const struct gateway_limits *limits)
{
    struct gw_opts opts = {.plugins = {&probe_plugin, &other_plugin}};

    if (limits != NULL)
        opts.limits = *limits;
    probe_reset();
    gw_init(&g, &opts);
    page_open(&p, &g, NULL, true);
}

static void end(void)
{
    probe.finish_on_cancel = true;
    page_drop(&p);
    gw_done(&g);
}

/* What flow_data does not take is kept, in order, until the flow is resumed. */
static void test_again(void)
{
    begin(NULL);
    page_message(&p, 1, PROBE_OPEN, "pend");
    page_message(&p, 3, PROBE_OPEN, "pend");
    probe.data_result = WSPR_AGAIN;
    page_message(&p, 1, PROBE_DELIVER, "a");
    page_message(&p, 1, PROBE_DELIVER, "b");
    page_message(&p, 1, PROBE_DELIVER, "c");
    page_expect_silence(&p);
    probe_expect("conn 100:1:pend 100:3:pend data:1:a");
    /* Resumed too early: the first comes again, and again stays. */
    wspr_flow_resume(probe.flows[0]);
    page_expect_silence(&p);
    probe_expect("data:1:a");
    probe.data_result = WSPR_DONE;
    page_message(&p, 3, PROBE_DELIVER, "x");
    page_expect_silence(&p);
    probe_expect("data:3:x");
    /* A message that comes after the resume, but before its turn, stays behind. */
    wspr_flow_resume(probe.flows[0]);
    page_message(&p, 1, PROBE_DELIVER, "d");
    page_expect_silence(&p);
    probe_expect("data:1:a data:1:b data:1:c data:1:d");
    page_message(&p, 1, PROBE_DELIVER, "e");
    page_expect_silence(&p);
    probe_expect("data:1:e");
    TAP_IS(wspr_flow_conn(probe.flows[0])->kept_bytes == 0);
    end();
}

/* Resuming from inside flow_data is not lost, and does not spin. */
static int resume_and_again(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    wspr_flow_resume(flow);
    probe_note("data");
    return probe.n_flows++ < 3 ? WSPR_AGAIN : WSPR_DONE;
}

static int pend(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    return WSPR_PENDING;
}

static int deliver(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    return wspr_flow_deliver(flow, msg);
}

static void end_flow(void *ctx, struct wspr_flow *flow)
{
    wspr_flow_end(flow);
}

static void test_resume_inside(void)
{
    static const struct wspr_claim claims[] = {{1, WSPR_OPENS, "pend", pend},
                                               {2, WSPR_USES, "deliver", deliver}};
    static const struct wspr_plugin plugin = {WSPR_PLUGIN_HEAD("p", "1"), .claims = claims,
                                              .n_claims = 2, .flow_data = resume_and_again,
                                              .flow_cancel = end_flow};
    struct gw_opts opts = {.plugins = {&plugin}};

    probe_reset();
    gw_init(&g, &opts);
    page_open(&p, &g, NULL, true);
    page_message(&p, 1, 1, "");
    page_message(&p, 1, 2, "");
    page_expect_silence(&p);
    probe_expect("data data data data");
    end();
}

/* A flow that ends while it is given a message takes the kept ones with it; the one in hand stays
 * readable until the callback returns. */
static void test_finish_inside(void)
{
    begin(NULL);
    page_message(&p, 1, PROBE_OPEN, "pend");
    probe.data_result = WSPR_AGAIN;
    page_message(&p, 1, PROBE_DELIVER, "first");
    page_message(&p, 1, PROBE_DELIVER, "second");
    page_expect_silence(&p);
    probe_log();
    probe.finish_on_data = true;
    wspr_flow_resume(probe.flows[0]);
    page_expect_reply(&p, 1, 0, "true");
    probe_expect("data:1:first after:first");
    /* The same for a message that comes straight from the page. */
    page_message(&p, 1, PROBE_OPEN, "pend");
    page_message(&p, 1, PROBE_DELIVER, "third");
    page_expect_reply(&p, 1, 0, "true");
    probe_expect("100:1:pend data:1:third after:third");
    end();
}

static void test_error_inside(void)
{
    begin(NULL);
    page_message(&p, 1, PROBE_OPEN, "pend");
    probe.data_result = WSPR_AGAIN;
    page_message(&p, 1, PROBE_DELIVER, "first");
    page_message(&p, 1, PROBE_DELIVER, "second");
    page_expect_silence(&p);
    probe_log();
    probe.data_result = WSPR_EBADARG;
    wspr_flow_resume(probe.flows[0]);
    page_expect_error(&p, 1, "veyron2/verror.BadArg", "bad argument");
    probe_expect("data:1:first");
    TAP_IS(gateway_stats(g.gateway)->flows == 0);
    end();
}

/*
 * One flow keeps more than it may: its connection's input waits, for as long as a stream may hold
 * it up. Then that flow fails, its owner is told, and the others go on.
 */
static void test_stall(void)
{
    struct gateway_limits limits = {.kept_per_flow = 4096, .stall_timeout = 150 * CLOCK_MS};
    char big[3000];
    int64_t start;

    memset(big, 'b', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    begin(&limits);
    page_message(&p, 1, PROBE_OPEN, "pend");
    page_message(&p, 3, PROBE_OPEN, "pend");
    probe.data_result = WSPR_AGAIN;
    page_message(&p, 1, PROBE_DELIVER, big);
    page_message(&p, 1, PROBE_DELIVER, big);
    page_message(&p, 5, PROBE_OPEN, "done");
    start = clock_mono();
    page_expect_silence(&p); /* shorter than the time-out */
    wspr_flow_send(probe.flows[1], WSPR_RESPONSE_STREAM, "3", 1);
    page_expect_reply(&p, 3, 1, "3");
    probe_log();
    page_expect_error(&p, 1, "veyron2/verror.Internal", "the service does not read the stream");
    TAP_IS(clock_mono() - start >= 150 * CLOCK_MS);
    page_expect_reply(&p, 5, 0, "true");
    probe_expect("cancel:1 100:5:done");
    TAP_IS(gateway_stats(g.gateway)->err_kept == 1);
    /* The id is free for the page, what comes late is dropped, the plugin still has its handle. */
    page_message(&p, 1, PROBE_DELIVER, "late");
    page_message(&p, 1, PROBE_OPEN, "done");
    page_expect_reply(&p, 1, 0, "true");
    TAP_IS(wspr_flow_is_cancelled(probe.flows[0]));
    TAP_IS(wspr_flow_send(probe.flows[0], WSPR_RESPONSE_STREAM, "1", 1) == WSPR_ECLOSED);
    wspr_flow_resume(probe.flows[0]);
    wspr_flow_finish(probe.flows[0], "1", 1);
    page_expect_silence(&p);
    probe_expect("100:1:done");
    end();
}

/* The same, but the flow takes its messages in time. */
static void test_stall_ends(void)
{
    struct gateway_limits limits = {.kept_per_flow = 4096, .stall_timeout = 100 * CLOCK_MS};
    char big[3000];

    memset(big, 'b', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    begin(&limits);
    page_message(&p, 1, PROBE_OPEN, "pend");
    probe.data_result = WSPR_AGAIN;
    page_message(&p, 1, PROBE_DELIVER, big);
    page_message(&p, 1, PROBE_DELIVER, big);
    page_message(&p, 5, PROBE_OPEN, "done");
    page_expect_silence(&p);
    probe.data_result = WSPR_DONE;
    wspr_flow_resume(probe.flows[0]);
    page_expect_reply(&p, 5, 0, "true");
    gw_run(&g, 150);
    page_expect_silence(&p);
    TAP_IS(gateway_stats(g.gateway)->err_kept == 0 && gateway_stats(g.gateway)->flows == 1);
    end();
}

/* Many flows that each keep little are much together. */
static void test_stall_of_many(void)
{
    struct gateway_limits limits = {.kept_per_flow = 4096,
                                    .kept_per_conn = 16384,
                                    .stall_timeout = 30 * CLOCK_MS,
                                    .cancel_grace = 10 * CLOCK_S};
    char big[3000];

    memset(big, 'b', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    begin(&limits);
    probe.data_result = WSPR_AGAIN;
    probe.finish_on_cancel = true;
    for (int i = 1; i <= 8; i++) {
        page_message(&p, i, PROBE_OPEN, "pend");
        page_message(&p, i, PROBE_DELIVER, big);
    }
    page_message(&p, 99, PROBE_OPEN, "done");
    /* The sixth passes the limit of the connection, and after it the seventh, and the eighth. */
    page_expect_error(&p, 6, "veyron2/verror.Internal", "the service does not read the stream");
    page_expect_error(&p, 7, "veyron2/verror.Internal", "the service does not read the stream");
    page_expect_error(&p, 8, "veyron2/verror.Internal", "the service does not read the stream");
    page_expect_reply(&p, 99, 0, "true");
    end();
}

/* While input is held up the read deadline is not the page's fault. */
static void test_stall_and_deadline(void)
{
    struct gateway_limits limits = {
        .cancel_grace = 10 * CLOCK_S, .read_timeout = 40 * CLOCK_MS, .ping_period = 10 * CLOCK_S};

    begin(&limits);
    page_message(&p, 1, PROBE_BARRIER, "pend");
    gw_run(&g, 200);
    TAP_IS(gateway_stats(g.gateway)->err_timeout == 0);
    wspr_flow_finish(probe.flows[0], "1", 1);
    page_expect_reply(&p, 1, 0, "1");
    page_expect_close(&p, 1001);
    TAP_IS(gateway_stats(g.gateway)->err_timeout == 1);
    end();
}

/* A barrier that its plugin does not finish does not hold the input for ever. */
static void test_barrier_too_long(void)
{
    struct gateway_limits limits = {.cancel_grace = 50 * CLOCK_MS};

    begin(&limits);
    page_message(&p, 1, PROBE_BARRIER, "pend");
    page_message(&p, 2, PROBE_OPEN, "done");
    page_expect_error(&p, 1, "veyron2/verror.BadProtocol", "deadline exceeded");
    page_expect_reply(&p, 2, 0, "true");
    probe_expect("conn 104:1:pend cancel:1 100:2:done");
    TAP_IS(gateway_stats(g.gateway)->err_plugin == 1);
    wspr_flow_finish(probe.flows[0], "late", 4);
    page_expect_silence(&p);
    end();
}

/* ---- several plugins ---- */

/* A message for a flow of another plugin: delivered to its owner, or an error that is its end. */
static void test_other_plugin(void)
{
    begin(NULL);
    page_message(&p, 1, PROBE_OPEN, "pend");
    probe.other_result = PROBE_OTHER_DELIVER;
    page_message(&p, 1, PROBE_OTHER, "x");
    page_expect_silence(&p);
    probe_expect("conn 100:1:pend data:1:x");
    probe.other_result = WSPR_DONE;
    page_message(&p, 1, PROBE_OTHER, "y");
    page_expect_silence(&p);
    probe_expect("");
    /* The owner is told, and still has its handle. */
    probe.other_result = WSPR_ENOTAUTH;
    page_message(&p, 1, PROBE_OTHER, "z");
    page_expect_error(&p, 1, "veyron2/verror.NotAuthorized", "not authorized");
    probe_expect("cancel:1");
    TAP_IS(gateway_stats(g.gateway)->flows == 1);
    wspr_flow_finish(probe.flows[0], "1", 1);
    TAP_IS(gateway_stats(g.gateway)->flows == 0);
    page_expect_silence(&p);
    end();
}

/* Delivering later, or to another flow than the message's own. */
static const struct wspr_msg *kept_msg;

static int keep_msg(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    kept_msg = wspr_msg_keep(msg);
    return WSPR_DONE;
}

static int to_first(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    TAP_IS(wspr_flow_deliver(probe.flows[0], msg) == WSPR_DONE);
    return wspr_flow_finish(flow, "true", 4);
}

static void test_deliver_elsewhere(void)
{
    static const struct wspr_claim claims[] = {{1, WSPR_USES, "keep", keep_msg},
                                               {2, WSPR_ONE_SHOT, "first", to_first}};
    static const struct wspr_plugin plugin = {WSPR_PLUGIN_HEAD("p", "1"), .claims = claims,
                                              .n_claims = 2};
    struct gw_opts opts = {.plugins = {&probe_plugin, &plugin}};

    probe_reset();
    gw_init(&g, &opts);
    page_open(&p, &g, NULL, true);
    page_message(&p, 1, PROBE_OPEN, "pend");
    page_message(&p, 9, 2, "one");
    page_message(&p, 1, PROBE_DELIVER, "two");
    page_expect_reply(&p, 9, 0, "true");
    page_expect_silence(&p);
    probe_expect("conn 100:1:pend data:1:one data:1:two");
    page_message(&p, 1, 1, "three");
    page_expect_silence(&p);
    TAP_IS(kept_msg != NULL && wspr_flow_deliver(probe.flows[0], kept_msg) == WSPR_DONE);
    TAP_IS(wspr_flow_deliver(probe.flows[0], kept_msg) == WSPR_DONE);
    probe_expect(""); /* no callback from inside a host function */
    page_message(&p, 1, PROBE_DELIVER, "four");
    page_expect_silence(&p);
    probe_expect("data:1:three data:1:three data:1:four");
    wspr_flow_finish(probe.flows[0], "1", 1);
    wspr_msg_release(kept_msg);
    end();
}

/* A claim of one's own flows does not see those of others. */
static int note_take(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    probe_note("own:%lld", (long long)wspr_flow_id(flow));
    return WSPR_DONE;
}

static struct wspr_host *own_host;

static int own_load(struct wspr_host *host, void **ret_ctx)
{
    own_host = host;
    return 0;
}

static void test_own(void)
{
    static const struct wspr_claim claims[] = {{1, WSPR_USES | WSPR_OWN, "own", note_take}};
    static const struct wspr_plugin plugin = {WSPR_PLUGIN_HEAD("p", "1"), .claims = claims,
                                              .n_claims = 1, .load = own_load,
                                              .flow_cancel = end_flow};
    struct gw_opts opts = {.plugins = {&probe_plugin, &plugin}};
    struct wspr_flow *f;

    probe_reset();
    gw_init(&g, &opts);
    page_open(&p, &g, NULL, true);
    page_message(&p, 0, PROBE_OPEN, "pend");
    page_message(&p, 0, 1, "");
    page_expect_silence(&p);
    TAP_IS(gateway_stats(g.gateway)->dropped_messages == 1);
    TAP_IS(wspr_flow_open(probe.host, probe.conn, NULL, &f) == 0); /* 0, the probe's */
    page_message(&p, 0, 1, "");
    page_expect_silence(&p);
    TAP_IS(gateway_stats(g.gateway)->dropped_messages == 2);
    TAP_IS(wspr_flow_open(own_host, probe.conn, NULL, &f) == 0); /* 2 */
    page_message(&p, 2, 1, "");
    page_expect_silence(&p);
    probe_expect("conn 100:0:pend own:2");
    end();
}

static const struct tap_case cases[] = {
    {"kept until resumed", test_again},
    {"resumed from inside", test_resume_inside},
    {"finished from inside", test_finish_inside},
    {"an error from inside", test_error_inside},
    {"a stream that stalls", test_stall},
    {"a stall that ends", test_stall_ends},
    {"a stall of many", test_stall_of_many},
    {"a stall and the read deadline", test_stall_and_deadline},
    {"a barrier that stays", test_barrier_too_long},
    {"a flow of another plugin", test_other_plugin},
    {"delivered later and elsewhere", test_deliver_elsewhere},
    {"flows of one's own", test_own},
};

const struct tap_suite delivery_suite = TAP_SUITE("delivery", cases);

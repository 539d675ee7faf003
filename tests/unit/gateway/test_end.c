/* Connections that end in each phase, with flows open; and the end of the gateway. */
#include "config.h"

#include "gateway_tests.h"
#include "gwrig.h"
#include "probe.h"

#include "base/clock.h"

static struct gw g;
static struct page p;

static void begin(const struct gateway_limits *limits)
{
    struct gw_opts opts = {.plugins = {&probe_plugin, &other_plugin}, .log_to_text = true};

    if (limits != NULL)
        opts.limits = *limits;
    probe_reset();
    gw_init(&g, &opts);
    page_open(&p, &g, NULL, true);
}

static void end(void)
{
    page_drop(&p);
    gw_done(&g);
}

/* Flows that the plugin finishes when it is told, before it is told, and long after. */
static void test_page_gone(void)
{
    begin(NULL);
    page_message(&p, 1, PROBE_OPEN, "pend");
    page_message(&p, 2, PROBE_SHOT, "pend");
    page_message(&p, 3, PROBE_OPEN, "pend");
    page_expect_silence(&p);
    probe_log();
    wspr_flow_finish(probe.flows[2], "3", 1);
    page_drop(&p);
    gw_run(&g, 50);
    probe_expect("cancel:1 cancel:2");
    TAP_IS(wspr_flow_is_cancelled(probe.flows[0]) && wspr_conn_is_closing(probe.conn));
    TAP_IS(gateway_stats(g.gateway)->conns == 1);
    TAP_IS(wspr_flow_send(probe.flows[0], WSPR_RESPONSE_STREAM, "1", 1) == WSPR_ECLOSED);
    TAP_IS(wspr_flow_finish(probe.flows[0], "1", 1) == WSPR_DONE);
    gw_run(&g, 20);
    probe_expect("");
    TAP_IS(wspr_flow_fail(probe.flows[1], WSPR_EINTERNAL, "late") == WSPR_DONE);
    TAP_IS(gw_wait_conns(&g, 0));
    probe_expect("close");
    end();
}

/* The page's last message and its close come in one piece; the plugin answers in between. */
static struct loop_task answer_task;

static void answer(void *arg)
{
    struct wspr_flow *f;

    probe_note("send:%d", wspr_flow_send(probe.flows[0], WSPR_RESPONSE_STREAM, "1", 1));
    probe_note("fail:%d", wspr_flow_fail(probe.flows[1], WSPR_EINTERNAL, "x"));
    probe_note("finish:%d", wspr_flow_finish(probe.flows[0], "1", 1));
    TAP_IS(wspr_flow_open(probe.host, probe.conn, NULL, &f) == WSPR_ECLOSED);
}

static int answer_at_once(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    probe.conn = wspr_flow_conn(flow);
    probe.flows[probe.n_flows++] = flow;
    if (probe.n_flows == 2)
        loop_worker_later(g.w, &answer_task);
    return WSPR_PENDING;
}

static void test_answer_after_close(void)
{
    static const struct wspr_claim claims[] = {{1, WSPR_OPENS, "answer", answer_at_once}};
    static const struct wspr_plugin plugin = {WSPR_PLUGIN_HEAD("answer", "1"), .claims = claims,
                                              .n_claims = 1};
    struct gw_opts opts = {.plugins = {&plugin}};
    static const char frames[] = "\x81\x91\0\0\0\0{\"id\":1,\"type\":1}"
                                 "\x81\x91\0\0\0\0{\"id\":2,\"type\":1}"
                                 "\x88\x82\0\0\0\0\x03\xe8";
    char expected[64];

    probe_reset();
    loop_task_init(&answer_task, answer, NULL);
    gw_init(&g, &opts);
    if (page_open(&p, &g, NULL, true)) {
        wspeer_send_raw(&p.peer, frames, sizeof frames - 1);
        page_expect_close(&p, 1000);
        snprintf(expected, sizeof expected, "send:%d fail:0 finish:0", WSPR_ECLOSED);
        probe_expect(expected);
    }
    TAP_IS(gw_wait_conns(&g, 0));
    end();
}

/* A plugin without flow_cancel gets no notice; its flow stays until it finishes it. */
static int keep(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    probe.flows[probe.n_flows++] = flow;
    return WSPR_PENDING;
}

static void test_no_cancel_callback(void)
{
    static const struct wspr_claim claims[] = {{1, WSPR_OPENS, "keep", keep}};
    static const struct wspr_plugin plugin = {WSPR_PLUGIN_HEAD("keep", "1"), .claims = claims,
                                              .n_claims = 1};
    struct gw_opts opts = {.plugins = {&plugin}};

    probe_reset();
    gw_init(&g, &opts);
    if (page_open(&p, &g, NULL, true)) {
        page_message(&p, 1, 1, "");
        page_expect_silence(&p);
        page_drop(&p);
        gw_run(&g, 50);
        TAP_IS(gateway_stats(g.gateway)->conns == 1 && gateway_stats(g.gateway)->flows == 1);
        TAP_IS(wspr_flow_is_cancelled(probe.flows[0]));
        wspr_flow_finish(probe.flows[0], "1", 1);
        TAP_IS(gw_wait_conns(&g, 0));
    }
    end();
}

/* The plugin never finishes: its fault is logged, the connection is gone all the same. */
static void test_never_finished(void)
{
    struct gateway_limits limits = {.cancel_grace = 30 * CLOCK_MS};

    begin(&limits);
    page_message(&p, 1, PROBE_OPEN, "pend");
    page_expect_silence(&p);
    page_drop(&p);
    gw_run(&g, 150);
    TAP_IS(gateway_stats(g.gateway)->err_plugin == 1);
    TAP_OK(strstr(gw_log(&g), "plugin=probe: 1 flows are not finished long after cancel") != NULL,
           "log: %s", gw_log(&g));
    /* The handle stays valid. */
    TAP_IS(wspr_flow_id(probe.flows[0]) == 1);
    wspr_flow_end(probe.flows[0]);
    TAP_IS(gw_wait_conns(&g, 0));
    end();
}

/* Flows finish each other while they are cancelled, and one from conn_close of nobody's. */
static void cancel_both(void *ctx, struct wspr_flow *flow)
{
    probe_note("cancel:%lld", (long long)wspr_flow_id(flow));
    for (unsigned i = 0; i < probe.n_flows; i++)
        wspr_flow_end(probe.flows[i]);
    probe.n_flows = 0;
}

static void test_cancel_ends_others(void)
{
    static const struct wspr_claim claims[] = {{1, WSPR_OPENS, "keep", keep}};
    static const struct wspr_plugin plugin = {WSPR_PLUGIN_HEAD("keep", "1"), .claims = claims,
                                              .n_claims = 1, .flow_cancel = cancel_both};
    struct gw_opts opts = {.plugins = {&plugin}};

    probe_reset();
    gw_init(&g, &opts);
    if (page_open(&p, &g, NULL, true)) {
        for (int i = 1; i <= 3; i++)
            page_message(&p, i, 1, "");
        page_expect_silence(&p);
        page_drop(&p);
        TAP_IS(gw_wait_conns(&g, 0));
        probe_expect("cancel:1");
    }
    end();
}

/* Stopping says goodbye, cancels, waits for the plugins, unloads them. */
static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static bool is_set(void *arg)
{
    return *(bool *)arg;
}

static void test_stop(void)
{
    struct page q, r;
    bool stopped = false;

    begin(NULL);
    page_open(&q, &g, NULL, true);
    page_connect(&r, &g); /* has not even asked */
    gw_run(&g, 20);
    page_message(&p, 1, PROBE_OPEN, "pend");
    page_expect_silence(&p);
    probe_log();
    gateway_stop(g.gateway, set_flag, &stopped);
    g.gateway = NULL;
    page_expect_close(&q, 1001);
    page_expect_close(&p, 1001);
    TAP_IS(page_wait_eof(&r));
    gw_run(&g, 50);
    TAP_IS(!stopped);
    probe_expect("cancel:1");
    wspr_flow_finish(probe.flows[0], "1", 1);
    TAP_IS(gw_until(&g, is_set, &stopped, GW_TIMEOUT_MS));
    probe_expect("close unload");
    page_drop(&q);
    page_drop(&r);
    end();
}

/* A plugin that never finishes does not keep the process from ending. */
static struct wspr_flow *abandoned; /* what stays in memory hangs on it */

static void test_stop_with_a_bad_plugin(void)
{
    struct gateway_limits limits = {.cancel_grace = 30 * CLOCK_MS};

    begin(&limits);
    page_message(&p, 1, PROBE_OPEN, "pend");
    page_expect_silence(&p);
    abandoned = probe.flows[0];
    TAP_IS(gw_stop(&g, GW_TIMEOUT_MS));
    TAP_OK(strstr(gw_log(&g), "plugins do not finish what they began") != NULL, "log: %s",
           gw_log(&g));
    TAP_IS(wspr_flow_is_cancelled(abandoned));
    end();
}

static const struct tap_case cases[] = {
    {"the page is gone", test_page_gone},
    {"an answer just after the close", test_answer_after_close},
    {"no flow_cancel", test_no_cancel_callback},
    {"never finished", test_never_finished},
    {"flows that end each other", test_cancel_ends_others},
    {"stop", test_stop},
    {"stop with a plugin that never finishes", test_stop_with_a_bad_plugin},
};

const struct tap_suite end_suite = TAP_SUITE("end", cases);

/* From a message's type and id to a handler, and what its answer leads to. */
#include "config.h"

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

#define UNKNOWN(t) "unknown message type: " t

static void test_types(void)
{
    static const struct {
        long long type;
        const char *text;
    } t[] = {
        {1, UNKNOWN("1")},
        {99, UNKNOWN("99")},
        {106, UNKNOWN("106")},
        {1023, UNKNOWN("1023")},
        {1024, UNKNOWN("1024")},
        {-1, UNKNOWN("-1")},
        {4294967396, UNKNOWN("4294967396")}, /* 100 in 32 bits */
        {INT64_MAX, UNKNOWN("9223372036854775807")},
        {INT64_MIN, UNKNOWN("-9223372036854775808")},
    };

    begin(NULL);
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        page_message(&p, (long long)i, t[i].type, "pend");
        page_expect_error(&p, (long long)i, "", t[i].text);
    }
    TAP_IS(gateway_stats(g.gateway)->unknown_types == sizeof t / sizeof t[0]);
    probe_expect("");
    page_message(&p, INT64_MIN, PROBE_OPEN, "done");
    page_expect_reply(&p, INT64_MIN, 0, "true");
    end();
}

static void test_results(void)
{
    begin(NULL);
    page_message(&p, 1, PROBE_OPEN, "done");
    page_expect_reply(&p, 1, 0, "true");
    page_message(&p, 1, PROBE_OPEN, "fail");
    page_expect_error(&p, 1, "app.Error", "as you wish");
    page_message(&p, 1, PROBE_OPEN, "code");
    page_expect_error(&p, 1, "veyron2/verror.NotFound", "not found");
    page_message(&p, 1, PROBE_OPEN, "mute");
    page_expect_silence(&p);
    page_message(&p, 1, PROBE_OPEN, "pend");
    page_expect_silence(&p);
    TAP_IS(gateway_stats(g.gateway)->flows == 1 && probe.n_flows == 1);
    wspr_flow_send(probe.flows[0], WSPR_RESPONSE_STREAM, "[1]", 3);
    wspr_flow_finish(probe.flows[0], "{\"a\": \"b\"}", 10);
    page_expect_reply(&p, 1, 1, "[1]");
    page_expect_reply(&p, 1, 0, "{\"a\": \"b\"}");
    probe_expect("conn 100:1:done 100:1:fail 100:1:code 100:1:mute 100:1:pend");
    TAP_IS(gateway_stats(g.gateway)->flows == 0 && gateway_stats(g.gateway)->flows_opened == 5);
    end();
    probe_expect("close unload");
}

/* An id that a flow has is taken until that flow ends; one-shots may share theirs with anybody. */
static void test_ids(void)
{
    begin(NULL);
    page_message(&p, 7, PROBE_OPEN, "pend");
    page_message(&p, 7, PROBE_OPEN, "done");
    page_expect_error(&p, 7, "veyron2/verror.Exists", "this id is in use");
    page_message(&p, 7, PROBE_SHOT, "done");
    page_expect_reply(&p, 7, 0, "true");
    page_message(&p, 7, PROBE_SHOT, "pend");
    page_message(&p, 7, PROBE_SHOT, "pend");
    page_message(&p, 8, PROBE_OPEN, "done");
    page_expect_reply(&p, 8, 0, "true");
    TAP_IS(probe.n_flows == 3);
    wspr_flow_finish(probe.flows[2], "2", 1);
    wspr_flow_finish(probe.flows[0], "0", 1);
    page_expect_reply(&p, 7, 0, "2");
    page_expect_reply(&p, 7, 0, "0");
    page_message(&p, 7, PROBE_OPEN, "done");
    page_expect_reply(&p, 7, 0, "true");
    wspr_flow_fail(probe.flows[1], WSPR_ETIMEOUT, NULL);
    page_expect_error(&p, 7, "veyron2/verror.BadProtocol", "deadline exceeded");
    end();
}

static void test_uses(void)
{
    begin(NULL);
    /* Nobody is there: dropped, without a reply, and without a word to the plugin. */
    page_message(&p, 1, PROBE_DELIVER, "x");
    page_message(&p, 1, PROBE_TAKE, "x");
    page_expect_silence(&p);
    TAP_IS(gateway_stats(g.gateway)->dropped_messages == 2);
    probe_expect("");
    page_message(&p, 1, PROBE_OPEN, "pend");
    page_message(&p, 1, PROBE_DELIVER, "x");
    page_message(&p, 1, PROBE_TAKE, "y");
    page_message(&p, 2, PROBE_DELIVER, "z");
    /* A one-shot is no flow that another message could use. */
    page_message(&p, 2, PROBE_SHOT, "pend");
    page_message(&p, 2, PROBE_DELIVER, "z");
    page_expect_silence(&p);
    probe_expect("conn 100:1:pend data:1:x take:1:y 101:2:pend");
    TAP_IS(gateway_stats(g.gateway)->dropped_messages == 4);
    wspr_flow_end(probe.flows[0]);
    page_message(&p, 1, PROBE_DELIVER, "late");
    page_expect_silence(&p);
    probe_expect("");
    end();
}

/* Flows of the gateway's side: even ids from 0, apart from the page's, and found first. */
static void test_host_flows(void)
{
    struct wspr_flow *f[3];
    int state;

    begin(NULL);
    page_message(&p, 0, PROBE_OPEN, "pend");
    page_expect_silence(&p);
    for (size_t i = 0; i < 3; i++) {
        TAP_OK(wspr_flow_open(probe.host, probe.conn, &state, &f[i]) == 0 &&
                   wspr_flow_id(f[i]) == (int64_t)i * 2 && wspr_flow_state(f[i]) == &state,
               "flow %zu", i);
    }
    wspr_flow_send(f[0], WSPR_RESPONSE_INVOKE, "{}", 2);
    wspr_flow_finish(probe.flows[0], "1", 1);
    page_expect_reply(&p, 0, 3, "{}");
    page_expect_reply(&p, 0, 0, "1");
    page_message(&p, 0, PROBE_OPEN, "pend");
    page_message(&p, 0, PROBE_DELIVER, "host's");
    page_expect_silence(&p);
    wspr_flow_end(f[0]);
    page_message(&p, 0, PROBE_DELIVER, "page's");
    page_expect_silence(&p);
    probe.data_result = WSPR_EBADARG;
    /* An error frame on a flow that is not the page's is more than old pages can take. */
    page_message(&p, 4, PROBE_DELIVER, "bad");
    page_expect_silence(&p);
    TAP_IS(gateway_stats(g.gateway)->flows_failed == 1 && gateway_stats(g.gateway)->flows == 2);
    probe_expect("conn 100:0:pend 100:0:pend data:0:host's data:0:page's data:4:bad");
    TAP_IS(wspr_flow_open(probe.host, probe.conn, NULL, &f[0]) == 0);
    TAP_IS(wspr_flow_id(f[0]) == 6);
    end();
}

static void test_limit(void)
{
    struct gateway_limits limits = {.flows_per_conn = 3};
    struct wspr_flow *f;
    struct page q;

    begin(&limits);
    for (int i = 1; i <= 3; i++)
        page_message(&p, i, i == 2 ? PROBE_SHOT : PROBE_OPEN, "pend");
    page_message(&p, 4, PROBE_OPEN, "done");
    page_expect_error(&p, 4, "veyron2/verror.Internal", "too many requests are under way");
    page_message(&p, 5, PROBE_SHOT, "done");
    page_expect_error(&p, 5, "veyron2/verror.Internal", "too many requests are under way");
    TAP_IS(wspr_flow_open(probe.host, probe.conn, NULL, &f) == WSPR_ELIMIT);
    TAP_IS(gateway_stats(g.gateway)->err_flow_limit == 3);
    /* Another page has its own. */
    if (page_open(&q, &g, NULL, true)) {
        page_message(&q, 1, PROBE_OPEN, "done");
        page_expect_reply(&q, 1, 0, "true");
    }
    wspr_flow_end(probe.flows[0]);
    page_message(&p, 4, PROBE_OPEN, "done");
    page_expect_reply(&p, 4, 0, "true");
    page_drop(&q);
    end();
}

/* Input behind a barrier waits until it is finished; output goes on. */
static void test_barrier(void)
{
    begin(NULL);
    page_message(&p, 1, PROBE_OPEN, "pend");
    page_message(&p, 2, PROBE_BARRIER, "pend");
    page_message(&p, 3, PROBE_OPEN, "done");
    page_message(&p, 4, PROBE_BARRIER, "done");
    page_message(&p, 5, PROBE_OPEN, "done");
    page_expect_silence(&p);
    probe_expect("conn 100:1:pend 104:2:pend");
    wspr_flow_send(probe.flows[0], WSPR_RESPONSE_STREAM, "1", 1);
    page_expect_reply(&p, 1, 1, "1");
    wspr_flow_finish(probe.flows[1], "2", 1);
    page_expect_reply(&p, 2, 0, "2");
    page_expect_reply(&p, 3, 0, "true");
    page_expect_reply(&p, 4, 0, "true");
    page_expect_reply(&p, 5, 0, "true");
    probe_expect("100:3:done 104:4:done 100:5:done");
    end();
}

static void test_conn_open_fails(void)
{
    begin(NULL);
    probe.conn_result = WSPR_ENOTAUTH;
    page_message(&p, 1, PROBE_OPEN, "done");
    page_expect_error(&p, 1, "veyron2/verror.NotAuthorized", "not authorized");
    probe.conn_result = 0;
    page_message(&p, 1, PROBE_OPEN, "done");
    page_expect_reply(&p, 1, 0, "true");
    probe_expect("conn conn 100:1:done");
    end();
    probe_expect("close unload");
}

/* Whatever goes wrong in reading an object, there is a sentence about it. */
static void test_read_errors(void)
{
    static const struct wspr_field none[1000];
    struct wspr_reading *reading;
    char error[64] = "unset";
    int target;

    TAP_IS(wspr_read_object("{}", 2, none, 1000, "t", &target, &reading, error, sizeof error) ==
           WSPR_EINVAL);
    TAP_OK(error[0] != '\0' && strcmp(error, "unset") != 0, "\"%s\"", error);
    TAP_IS(wspr_read_object("{", 1, none, 0, "t", &target, &reading, error, sizeof error) < 0);
    TAP_OK(strcmp(error, "unexpected EOF") == 0, "\"%s\"", error);
}

static const struct tap_case cases[] = {
    {"errors of reading", test_read_errors},
    {"types", test_types},
    {"results of a handler", test_results},
    {"ids", test_ids},
    {"messages that use a flow", test_uses},
    {"flows of the gateway", test_host_flows},
    {"limit of flows", test_limit},
    {"barrier", test_barrier},
    {"a plugin that refuses a connection", test_conn_open_fails},
};

const struct tap_suite dispatch_suite = TAP_SUITE("dispatch", cases);

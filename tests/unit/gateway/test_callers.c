/*
 * Plugins that call by themselves. A call that its plugin forgets ends with its connection; so does
 * the wait for a signature.
 */
#include "config.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "gateway_tests.h"
#include "gwrig.h"
#include "probe.h"

static struct gw g;
static struct page p;

static struct wspr_host *caller_host;
static unsigned n_done, n_retries;

static int caller_load(struct wspr_host *host, void **ret_ctx)
{
    caller_host = host;
    return 0;
}

static void call_done(void *arg, struct wspr_call *c, const struct wspr_fault *fault,
                      const char *json, size_t len)
{
    probe_note("done:%d", fault != NULL ? fault->code : 0);
    n_done++;
}

static void got_signature(void *arg, const struct wspr_signature *sig,
                          const struct wspr_fault *fault)
{
    probe_note("signature:%d", fault != NULL ? fault->code : 0);
    n_done++;
}

static struct wspr_span span_at(const char *text)
{
    return (struct wspr_span){text, strlen(text)};
}

static const struct wspr_call_ops caller_ops = {.size = offsetof(struct wspr_call_ops, writable),
                                                .done = call_done};

static void caller_conn_close(void *ctx, struct wspr_conn *conn, void *state)
{
    probe_note("close");
}

static char target[512];

/* Of a method that never answers. The payload is the timeout. */
static int start_calls(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct wspr_span name = span_at(target), never = span_at("never");
    struct wspr_spans none = {NULL, 0};
    struct wspr_call_options options = {.size = sizeof options, .n_results = 1};
    struct wspr_call *call;
    char ms[24];
    size_t len;
    const char *text = wspr_msg_data(msg, &len);

    snprintf(ms, sizeof ms, "%.*s", (int)len, text);
    options.timeout_ms = strtoull(ms, NULL, 10);
    TAP_IS(wspr_call_start(caller_host, wspr_flow_conn(flow), &name, &never, &none, &options,
                           &caller_ops, NULL, &call) == 0);
    return wspr_flow_finish(flow, "true", 4);
}

static int start_signature(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct wspr_span name = span_at(target);

    TAP_IS(wspr_signature_get(caller_host, wspr_flow_conn(flow), &name, got_signature, NULL) == 0);
    return wspr_flow_finish(flow, "true", 4);
}

/* Asks again for a signature as soon as it could not be had. */
static void try_again(void *arg, const struct wspr_signature *sig, const struct wspr_fault *fault)
{
    struct wspr_span name = span_at(target);

    probe_note("retry:%d", fault != NULL ? fault->code : 0);
    if (n_retries++ < 2)
        TAP_IS(wspr_signature_get(caller_host, arg, &name, try_again, arg) == 0);
}

static int start_retries(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    try_again(wspr_flow_conn(flow), NULL, NULL);
    return wspr_flow_finish(flow, "true", 4);
}

static int start_echo(struct wspr_flow *flow, const char *text, size_t len, struct wspr_call **ret)
{
    struct wspr_span name = span_at(target), echo = span_at("echo"), arg = {text, len};
    struct wspr_spans args = {&arg, 1};
    struct wspr_call_options options = {.size = sizeof options, .n_results = 2};

    return wspr_call_start(caller_host, wspr_flow_conn(flow), &name, &echo, &args, &options,
                           &caller_ops, NULL, ret);
}

/*
 * The payload is the argument of three calls, the first of which is given up at once. The message
 * stays as it is until its handler is through, whoever gets its memory.
 */
static int start_echoes(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct wspr_call *call;
    size_t len;
    const char *text = wspr_msg_data(msg, &len);

    TAP_IS(start_echo(flow, text, len, &call) == 0);
    wspr_call_cancel(call);
    TAP_IS(start_echo(flow, text, len, &call) == 0);
    TAP_IS(start_echo(flow, text, len, &call) == 0);
    TAP_IS(wspr_msg_data(msg, &len) == text && text[0] == text[len - 1]);
    return wspr_flow_finish(flow, "true", 4);
}

static const struct wspr_claim caller_claims[] = {
    {1, WSPR_ONE_SHOT, "call", start_calls},
    {2, WSPR_ONE_SHOT, "signature", start_signature},
    {3, WSPR_ONE_SHOT, "retry", start_retries},
    {4, WSPR_ONE_SHOT, "echoes", start_echoes},
    {5, WSPR_ONE_SHOT | WSPR_SECRET, "secret echoes", start_echoes}};
static const struct wspr_plugin caller = {WSPR_PLUGIN_HEAD("caller", "1"), .claims = caller_claims,
                                          .n_claims = sizeof caller_claims / sizeof *caller_claims,
                                          .load = caller_load, .conn_close = caller_conn_close};

static void begin_caller(int64_t lookup_timeout)
{
    struct gw_opts opts = {
        .service = true, .limits = {.lookup_timeout = lookup_timeout}, .plugins = {&caller}};

    probe_reset();
    n_done = n_retries = 0;
    gw_init(&g, &opts);
    page_open(&p, &g, NULL, true);
}

static void end(void)
{
    page_drop(&p);
    TAP_IS(gw_wait_conns(&g, 0));
    gw_done(&g);
}

static bool nobody_runs(void *arg)
{
    return g.slow.running == 0;
}

static bool somebody_runs(void *arg)
{
    return g.slow.running == 1;
}

static void test_forgotten_call(void)
{
    begin_caller(0);
    snprintf(target, sizeof target, "%s//x", g.endpoint);
    page_message(&p, 1, 1, "");
    page_expect_reply(&p, 1, 0, "true");
    TAP_IS(gw_until(&g, somebody_runs, NULL, GW_TIMEOUT_MS));
    page_drop(&p);
    TAP_IS(gw_wait_conns(&g, 0));
    probe_expect("done:-1008 close");
    TAP_IS(gw_until(&g, nobody_runs, NULL, GW_TIMEOUT_MS));
    gw_done(&g);
}

static bool has_run_out(void *arg)
{
    return n_done == 1;
}

static bool three_run(void *arg)
{
    return g.slow.running == 3;
}

/* 0 and more than a clock has are no timeouts. */
static void test_timeouts(void)
{
    static const char *const none[] = {"0", "18446744073709551615", "9223372036855"};

    begin_caller(0);
    snprintf(target, sizeof target, "%s//x", g.endpoint);
    for (unsigned i = 0; i < 3; i++) {
        page_message(&p, 1, 1, none[i]);
        page_expect_reply(&p, 1, 0, "true");
    }
    TAP_IS(gw_until(&g, three_run, NULL, GW_TIMEOUT_MS));
    page_message(&p, 1, 1, "1");
    page_expect_reply(&p, 1, 0, "true");
    TAP_IS(gw_until(&g, has_run_out, NULL, GW_TIMEOUT_MS));
    probe_expect("done:-1010");
    page_drop(&p);
    TAP_IS(gw_wait_conns(&g, 0));
    probe_expect("done:-1008 done:-1008 done:-1008 close");
    gw_done(&g);
}

static void test_forgotten_signature(void)
{
    char endpoint[256];
    int fd = gw_mute_server(endpoint);

    begin_caller(0);
    snprintf(target, sizeof target, "%s//x", endpoint);
    page_message(&p, 1, 2, "");
    page_message(&p, 1, 1, "");
    page_expect_reply(&p, 1, 0, "true");
    page_expect_reply(&p, 1, 0, "true");
    page_drop(&p);
    TAP_IS(gw_wait_conns(&g, 0));
    probe_expect("done:-1008 signature:-1008 close");
    gw_done(&g);
    close(fd);
}

static bool has_retried(void *arg)
{
    return n_retries == 3;
}

static bool all_done(void *arg)
{
    return n_done == *(unsigned *)arg;
}

/*
 * Long arguments are not copied where that is not needed. In the payload without escapes they lie
 * in the page's frame, in a secret one in memory that is wiped: there they have to be.
 */
static void test_long_arguments(void)
{
    enum { LEN = 20000 };
    static char plain[LEN + 1], quoted[LEN + 1];
    unsigned n = 0;

    memset(quoted, 'x', LEN);
    quoted[0] = quoted[LEN - 1] = '"';
    memset(plain, '7', LEN);
    begin_caller(0);
    snprintf(target, sizeof target, "%s//x", g.endpoint);
    for (int type = 4; type <= 5; type++) {
        page_message(&p, 1, type, quoted);
        page_expect_reply(&p, 1, 0, "true");
        n += 2;
        TAP_IS(gw_until(&g, all_done, &n, GW_TIMEOUT_MS));
        probe_expect("done:0 done:0");
        page_message(&p, 1, type, plain); /* a number is no string */
        page_expect_reply(&p, 1, 0, "true");
        n += 2;
        TAP_IS(gw_until(&g, all_done, &n, GW_TIMEOUT_MS));
        probe_expect("done:-1012 done:-1012");
    }
    TAP_IS(g.slow.echoes == 4);
    end();
}

/* Who asks again from its callback gets a fetch of its own, and the process does not spin. */
static void test_retried_signature(void)
{
    char endpoint[256];
    int fd = gw_mute_server(endpoint);
    int64_t start = clock_mono();

    begin_caller(50 * CLOCK_MS);
    snprintf(target, sizeof target, "%s//x", endpoint);
    page_message(&p, 1, 3, "");
    page_expect_reply(&p, 1, 0, "true");
    TAP_IS(gw_until(&g, has_retried, NULL, GW_TIMEOUT_MS));
    TAP_IS(clock_mono() - start >= 100 * CLOCK_MS);
    probe_expect("retry:0 retry:-1006 retry:-1006");
    end();
    close(fd);
}

static const struct tap_case cases[] = {
    {"a call that its plugin forgot", test_forgotten_call},
    {"timeouts of calls", test_timeouts},
    {"a signature that its plugin forgot", test_forgotten_signature},
    {"long arguments", test_long_arguments},
    {"a signature that is asked for again", test_retried_signature},
};

const struct tap_suite callers_suite = TAP_SUITE("callers", cases);

/* Streams between a caller and a page that serves: order, ends, credit (spec: websocket 12). */
#include "config.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "serve_tests.h"
#include "serving.h"

static struct page *const a = &serving.a, *const b = &serving.b;

/* Items of every type, one after the other, in both directions. */
static void test_mixed_types(void)
{
    static const char *const items[] = {
        "\"text\"", "5",     "\"more\"", "{\"a\": [1, null]}",   "true", "[]", "{}",
        "-1.5",     "[[1]]", "1e+20",    "{\"b\": \"\xc3\xa4\"}"};

    serving_begin(NULL);
    serving_call(b, 1, "", "flow", "[\"s\"]", 2, true);
    serving_expect_invoke(0, "flow", "[\"s\"]", "");
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        page_message(b, 1, 3, items[i]);
        page_expect_reply(a, 0, WSPR_RESPONSE_STREAM, items[i]);
        page_message(a, 0, 3, items[i]);
        page_expect_reply(b, 1, WSPR_RESPONSE_STREAM, items[i]);
    }
    page_message(b, 1, 4, "");
    serving_expect_end(0);
    page_message(a, 0, 3, "\"after the end\"");
    page_expect_reply(b, 1, WSPR_RESPONSE_STREAM, "\"after the end\"");
    serving_reply(0, "{\"results\":[\"end\"]}");
    page_expect_reply(b, 1, WSPR_RESPONSE_STREAM_CLOSE, "null");
    page_expect_reply(b, 1, 0, "[\"end\"]");
    page_expect_silence(a);
    serving_end();
}

/* What is no value, or null, is dropped without harm to what comes after it. */
static void test_bad_values(void)
{
    static const char *const bad[] = {"null", "", "oops", ":", "]", "{\"a\":", " null "};

    serving_begin(NULL);
    serving_call(b, 1, "", "flow", "[0]", 2, true);
    serving_expect_invoke(0, "flow", "[0]", "");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        page_message(a, 0, 3, bad[i]);
        page_message(a, 0, 3, "{\"n\": 1}");
        page_expect_reply(b, 1, WSPR_RESPONSE_STREAM, "{\"n\": 1}");
    }
    page_message(a, 0, 3, "{\"new\": [1, {\"n\"");
    page_message(a, 0, 4, "");
    page_expect_silence(a);
    serving_reply(0, "{\"results\":[1]}");
    page_expect_reply(b, 1, WSPR_RESPONSE_STREAM_CLOSE, "null");
    page_expect_reply(b, 1, 0, "[1]");
    serving_expect_end(0);
    serving_end();
}

/* The page answers first: its stream ends once, with the answer. */
static void test_answer_before_the_end(void)
{
    serving_begin(NULL);
    serving_call(b, 1, "", "flow", "[0]", 2, true);
    serving_expect_invoke(0, "flow", "[0]", "");
    serving_reply(0, "{\"results\":[\"early\"]}");
    page_expect_reply(b, 1, WSPR_RESPONSE_STREAM_CLOSE, "null");
    page_expect_reply(b, 1, 0, "[\"early\"]");
    serving_expect_end(0);
    page_message(b, 1, 3, "1");
    page_message(b, 1, 4, "");
    page_expect_silence(a);
    serving_end();
}

/* ---- credit ---- */

static bool is_done_or_told(void *arg)
{
    struct tcall *t = arg;

    return t->n_writable > 0 || t->call == NULL;
}

static char *big_text(size_t len)
{
    char *s = malloc(len + 1);

    memset(s, 'x', len);
    s[len] = '\0';
    return s;
}

/*
 * The page does not read: the caller is told to wait after a bounded number of bytes. Then it
 * reads, and everything comes in order.
 */
static void test_page_reads_slowly(void)
{
    static const char *const one[] = {"x"};
    const struct rpc_call_opts opts = {.n_results = RPC_ANY_RESULTS, .streaming = true};
    struct serving_how how = {.limits = {.out_soft = 65536}};
    char *text = big_text(10000), head[64];
    unsigned sent = 0, got = 0;
    struct tcall t;
    int r = 0;

    serving_begin(&how);
    serving_native(&t, "", "Flow", one, 1, &opts);
    serving_expect_invoke(0, "flow", "[\"x\"]", "");
    while (sent < 5000 && r >= 0) {
        struct vom_value v = vom_value_str(text);

        text[snprintf(text, 10000, "%u", sent)] = ' ';
        r = tcall_send(&t, &v);
        sent += r >= 0;
        if (r != 0 && (gw_run(&serving.g, 100), t.n_writable == 0))
            break;
        t.n_writable = 0;
    }
    TAP_OK(r > 0 || r == WSPR_EAGAIN, "%u items of 10 kB without being told to wait", sent);
    TAP_OK(sent < 3000, "%u items of 10 kB wait somewhere", sent);
    while (got < sent) {
        const char *frame = page_recv(a);

        if (frame == NULL)
            break;
        snprintf(head, sizeof head,
                 "{\"id\": 0, \"data\": \"{\\\"type\\\": 1, \\\"message\\\": \\\"%u ", got);
        if (strncmp(frame, head, strlen(head)) != 0) {
            TAP_OK(false, "item %u: %.100s", got, frame);
            break;
        }
        got++;
    }
    TAP_OK(got == sent, "%u of %u items", got, sent);
    if (t.call != NULL) {
        TAP_IS(gw_until(&serving.g, is_done_or_told, &t, GW_TIMEOUT_MS));
        rpc_call_close_send(t.call);
    }
    serving_expect_end(0);
    serving_reply(0, "{\"results\":[1]}");
    serving_native_done(&t);
    tcall_done(&t);
    free(text);
    serving_end();
}

/* Whether the page's socket takes more, at once or after the gateway had time to read. */
static bool page_may_send(void)
{
    struct pollfd fd = {a->peer.fd, POLLOUT, 0};

    if (poll(&fd, 1, 0) > 0)
        return true;
    gw_run(&serving.g, 200);
    return poll(&fd, 1, 0) > 0;
}

/* Sends up to n messages as the page; how many went until the gateway read no more. */
static unsigned pour(const char *message, unsigned n)
{
    unsigned i = 0;

    while (i < n && page_may_send()) {
        page_send(a, message);
        if (++i % 16 == 0)
            gw_run(&serving.g, 0);
    }
    return i;
}

/*
 * The caller does not read: the page's values wait within bounds, then its connection pauses. When
 * the caller reads, all of them come, and the answer that was sent after them comes last.
 */
static void test_caller_reads_slowly(void)
{
    static const char *const one[] = {"x"};
    const struct rpc_call_opts opts = {.n_results = RPC_ANY_RESULTS, .streaming = true};
    struct serving_how how = {.limits = {.kept_per_flow = 65536}};
    char *text = big_text(10000), *message = malloc(11000);
    struct tcall t;
    unsigned sent;

    serving_begin(&how);
    serving_native(&t, "", "Flow", one, 1, &opts);
    t.hold = true;
    t.light = true;
    serving_expect_invoke(0, "flow", "[\"x\"]", "");
    snprintf(message, 11000, "{\"id\":0,\"type\":3,\"data\":\"\\\"%s\\\"\"}", text);
    sent = pour(message, 20000);
    TAP_OK(sent > 10 && sent < 20000, "%u items went", sent);
    TAP_OK(t.n_items <= 1, "%u items", t.n_items);
    t.hold = false;
    rpc_call_resume(t.call);
    serving_reply(0, "{\"results\":[\"last\"]}");
    serving_native_done(&t);
    TAP_OK(t.n_items == sent && t.n_results == 2 && t.err.code == 0, "%u of %u items, %s",
           t.n_items, sent, tcall_error(&t));
    tcall_done(&t);
    free(text);
    free(message);
    serving_expect_end(0);
    serving_end();
}

/* The caller never reads: its call fails after a while, and the page's connection goes on. */
static void test_caller_never_reads(void)
{
    static const char *const one[] = {"x"};
    const struct rpc_call_opts opts = {.n_results = RPC_ANY_RESULTS, .streaming = true};
    struct serving_how how = {
        .path = "/ws?extras=cancel",
        .limits = {.kept_per_flow = 65536, .stall_timeout = 300 * CLOCK_MS},
    };
    char *text = big_text(10000), *message = malloc(11000);
    struct tcall t;

    serving_begin(&how);
    serving_native(&t, "", "Flow", one, 1, &opts);
    t.hold = true;
    t.light = true;
    serving_expect_invoke(0, "flow", "[\"x\"]", "");
    snprintf(message, 11000, "{\"id\":0,\"type\":3,\"data\":\"\\\"%s\\\"\"}", text);
    TAP_IS(pour(message, 2000) > 10);
    page_message(a, 3, 6, "77");
    serving_expect_end(0);
    page_expect_reply(a, 0, WSPR_RESPONSE_CANCEL, "null");
    page_expect_reply(a, 3, 0, "true");
    TAP_IS(serving_stats()->err_kept == 1 && serving_stats()->pending == 0);
    t.hold = false;
    rpc_call_resume(t.call);
    if (serving_native_done(&t))
        TAP_OK(t.n_results == 2, "%u results, %s", t.n_results, tcall_error(&t));
    tcall_done(&t);
    free(text);
    free(message);
    serving_end();
}

static const struct tap_case cases[] = {
    {"items of all types", test_mixed_types},
    {"values that are none", test_bad_values},
    {"the answer before the end of the stream", test_answer_before_the_end},
    {"a page that reads slowly", test_page_reads_slowly},
    {"a caller that reads slowly", test_caller_reads_slowly},
    {"a caller that never reads", test_caller_never_reads},
};

const struct tap_suite serve_stream_suite = TAP_SUITE("serve-stream", cases);

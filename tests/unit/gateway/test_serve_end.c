/* Calls that end without an answer: the server is stopped, the page or the caller goes away. */
#include "config.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "rpc/call_private.h"
#include "rpc/resolve.h"
#include "serve_tests.h"
#include "serving.h"
#include "vom/wiretypes.h"

static struct page *const a = &serving.a, *const b = &serving.b;

/*
 * A server is stopped while its name is still being mounted, and served again without one; whoever
 * looks up a name then waits for no mount.
 */
static void test_name_gone_by_stop(void)
{
    struct serving_how how = {.idle = true};
    char mute[256];
    const char *roots[] = {mute};
    int fd = gw_mute_server(mute);

    serving_begin(&how);
    TAP_IS(rpc_client_set_roots(rpc_runtime_client(serving.g.client.rt), roots, 1, NULL) == 0);
    serving_ask(a, 1, 1, "some/name", "{}");
    serving_expect_endpoint(a, 1, serving.endpoint);
    page_message(a, 3, 6, "1");
    serving_ask(a, 5, 1, "", "{}");
    page_expect_reply(a, 3, 0, "true");
    serving_expect_endpoint(a, 5, serving.endpoint);
    page_message(b, 7, 5, "{\"name\":\"some/name\"}");
    gw_run(&serving.g, 50);
    serving_end();
    close(fd);
}

static bool is_idle(void *arg)
{
    return serving_stats()->pending == 0;
}

static void wait_idle(void)
{
    TAP_OK(gw_until(&serving.g, is_idle, NULL, GW_TIMEOUT_MS), "%llu calls wait",
           (unsigned long long)serving_stats()->pending);
}

/* Three callers wait, one of them in a stream; each sees Aborted, with the declared count. */
static void test_stop(void)
{
    char again[512];

    serving_begin(NULL);
    serving_call(b, 1, "", "pick", "[1]", 2, false);
    serving_expect_invoke(0, "pick", "[1]", "");
    serving_expect_end(0);
    serving_call(b, 3, "", "split", "[1,2]", 3, false);
    serving_expect_invoke(2, "split", "[1, 2]", "");
    serving_expect_end(2);
    serving_call(b, 5, "", "flow", "[1]", 2, true);
    serving_expect_invoke(4, "flow", "[1]", "");
    page_message(a, 7, 6, "1");
    page_expect_error(b, 1, ABORTED, "timeout");
    page_expect_error(b, 3, ABORTED, "timeout");
    page_expect_reply(b, 5, WSPR_RESPONSE_STREAM_CLOSE, "null");
    page_expect_error(b, 5, ABORTED, "timeout");
    serving_expect_end(4);
    page_expect_reply(a, 7, 0, "true");
    serving_reply(0, "{\"results\":[\"late\"]}");
    serving_reply(4, "{\"results\":[\"late\"]}");
    page_expect_silence(a);
    page_expect_silence(b);
    TAP_IS(serving_stats()->invocations_lost == 3 && serving_stats()->servers == 0);
    /* Flow ids go on; the endpoint and the service are new. */
    serving_ask(a, 9, 1, "", "{\"other\":{\"NumOutArgs\":1}}");
    serving_expect_endpoint(a, 9, again);
    TAP_IS(strcmp(again, serving.endpoint) != 0);
    snprintf(serving.endpoint, sizeof serving.endpoint, "%s", again);
    serving_call(b, 7, "", "other", "[]", 1, false);
    serving_expect_invoke(6, "other", "[]", "");
    serving_expect_end(6);
    serving_reply(6, "{}");
    page_expect_reply(b, 7, 0, "[]");
    serving_end();
}

/* Requests for one server run in order, however fast they come. */
static void test_queue(void)
{
    struct serving_how how = {.idle = true};
    char first[512], second[512], third[512];

    serving_begin(&how);
    serving_ask(a, 1, 1, "", SERVING_OBJECT);
    page_message(a, 3, 6, "1");
    serving_ask(a, 5, 1, "", "{\"other\":{\"NumOutArgs\":1}}");
    serving_ask(a, 7, 1, "", SERVING_OBJECT);
    page_message(a, 9, 6, "1");
    page_message(a, 11, 6, "1");
    serving_expect_endpoint(a, 1, first);
    page_expect_reply(a, 3, 0, "true");
    serving_expect_endpoint(a, 5, second);
    serving_expect_endpoint(a, 7, third);
    TAP_IS(strcmp(first, second) != 0 && strcmp(second, third) == 0);
    page_expect_reply(a, 9, 0, "true");
    page_expect_reply(a, 11, 0, "true");
    page_message(a, 13, 6, "null");
    page_expect_reply(a, 13, 0, "true");
    serving_end();
}

static void drop_server(void)
{
    page_drop(a);
}

/* The page is gone: whoever waits learns it at once, also a native client. */
static void test_page_gone(void)
{
    static const char *const one[] = {"x"};
    struct tcall t;
    int64_t began;

    serving_begin(NULL);
    serving_call(b, 1, "", "pick", "[1]", 2, false);
    serving_expect_invoke(0, "pick", "[1]", "");
    serving_expect_end(0);
    serving_native(&t, "", "Flow", one, 1, NULL);
    serving_expect_invoke(2, "flow", "[\"x\"]", "");
    serving_call(b, 3, "", "flow", "[1]", 2, true);
    serving_expect_end(2);
    serving_expect_invoke(4, "flow", "[1]", "");
    page_message(a, 4, 3, "\"item\"");
    page_expect_reply(b, 3, WSPR_RESPONSE_STREAM, "\"item\"");
    began = clock_mono();
    drop_server();
    page_expect_error(b, 1, ABORTED, "timeout");
    page_expect_reply(b, 3, WSPR_RESPONSE_STREAM_CLOSE, "null");
    page_expect_error(b, 3, ABORTED, "timeout");
    if (serving_native_done(&t))
        TAP_OK(t.n_results == 2 && t.err.code == 0, "%s, %u results", tcall_error(&t), t.n_results);
    TAP_OK(clock_mono() - began < 5 * CLOCK_S, "that took too long");
    tcall_done(&t);
    wait_idle();
    TAP_IS(gw_wait_conns(&serving.g, 1));
    serving_end();
}

/* All of a page's servers end at once, and none of them is reached any more. */
static void test_page_gone_with_many(void)
{
    char endpoint[512];

    serving_begin(NULL);
    for (int i = 2; i < 40; i++) {
        serving_ask(a, i, (unsigned long long)i, "", "{}");
        serving_expect_endpoint(a, i, endpoint);
    }
    TAP_IS(serving_stats()->servers == 39);
    serving_call(b, 1, "", "pick", "[1]", 2, false);
    serving_expect_invoke(0, "pick", "[1]", "");
    drop_server();
    page_expect_error(b, 1, ABORTED, "timeout");
    TAP_IS(gw_wait_conns(&serving.g, 1));
    serving_call(b, 3, "", "pick", "[1]", 2, false);
    TAP_IS(page_recv(b) != NULL);
    serving_end();
}

/* The caller goes away in mid-stream: old pages see the end of the stream, as ever. */
static void test_caller_gone(void)
{
    serving_begin(NULL);
    serving_call(b, 1, "", "flow", "[1]", 2, true);
    serving_expect_invoke(0, "flow", "[1]", "");
    page_message(b, 1, 3, "1");
    page_expect_reply(a, 0, WSPR_RESPONSE_STREAM, "1");
    page_drop(b);
    serving_expect_end(0);
    wait_idle();
    page_message(a, 0, 3, "2");
    serving_reply(0, "{\"results\":[1]}");
    page_expect_silence(a);
    TAP_IS(serving_stats()->invocations_lost == 1 && serving_stats()->flows == 0);
    serving_end();
}

/* Pages that asked for it are told. */
static void test_caller_gone_told(void)
{
    struct serving_how how = {.path = "/ws?extras=cancel"};

    serving_begin(&how);
    serving_call(b, 1, "", "flow", "[1]", 2, true);
    serving_expect_invoke(0, "flow", "[1]", "");
    serving_call(b, 3, "", "pick", "[2]", 2, false);
    serving_expect_invoke(2, "pick", "[2]", "");
    serving_expect_end(2);
    page_drop(b);
    serving_expect_end(0);
    page_expect_reply(a, 0, WSPR_RESPONSE_CANCEL, "null");
    page_expect_reply(a, 2, WSPR_RESPONSE_CANCEL, "null");
    page_expect_silence(a);
    wait_idle();
    serving_end();
}

/* So is a page that stops its server; the frames of a flow come before the answer. */
static void test_stop_told(void)
{
    struct serving_how how = {.path = "/ws?x=1&extras=other,cancel&y"};

    serving_begin(&how);
    serving_call(b, 1, "", "flow", "[1]", 2, true);
    serving_expect_invoke(0, "flow", "[1]", "");
    page_message(a, 3, 6, "1");
    serving_expect_end(0);
    page_expect_reply(a, 0, WSPR_RESPONSE_CANCEL, "null");
    page_expect_reply(a, 3, 0, "true");
    serving_end();
}

static void test_extras(void)
{
    static const struct {
        const char *path, *first;
    } rows[] = {
        {"/ws", "{\"mounttableRoot\": []}"},
        {"/ws?", "{\"mounttableRoot\": []}"},
        {"/ws?extras", "{\"mounttableRoot\": []}"},
        {"/ws?extras=", "{\"mounttableRoot\": []}"},
        {"/ws?extras=cancels,,ancel&extra=cancel", "{\"mounttableRoot\": []}"},
        {"/ws?extras=cancel", "{\"mounttableRoot\": [], \"extras\": [\"cancel\"]}"},
        {"/ws?extras=cancel,&", "{\"mounttableRoot\": [], \"extras\": [\"cancel\"]}"},
        {"/ws?a&extras=x,cancel&b=c", "{\"mounttableRoot\": [], \"extras\": [\"cancel\"]}"},
    };
    struct page p;

    serving_begin(NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        page_open_at(&p, &serving.g, rows[i].path, NULL, false);
        page_expect(&p, rows[i].first);
        page_drop(&p);
    }
    serving_end();
}

/* A native client that gives up by itself: the page's part of it is over. */
static void test_deadline_of_the_caller(void)
{
    static const char *const one[] = {"x"};
    const struct rpc_call_opts opts = {.timeout = 100 * CLOCK_MS, .n_results = RPC_ANY_RESULTS};
    struct tcall t;

    serving_begin(NULL);
    serving_native(&t, "", "Pick", one, 1, &opts);
    serving_expect_invoke(0, "pick", "[\"x\"]", "");
    serving_expect_end(0);
    if (serving_native_done(&t))
        TAP_IS(t.err.code != 0);
    tcall_done(&t);
    wait_idle();
    /* The page that did not answer can be called again. */
    serving_call(b, 1, "", "pick", "[1]", 2, false);
    serving_expect_invoke(2, "pick", "[1]", "");
    serving_expect_end(2);
    serving_reply(2, "{\"results\":[2]}");
    page_expect_reply(b, 1, 0, "[2]");
    serving_end();
}

/*
 * A caller that tells a deadline and does not keep to it itself: the call ends for the page and for
 * the caller, and nothing of it is left.
 */
static void deadline_is_kept(const char *method, bool streaming)
{
    static const char *const one[] = {"x"};
    const struct rpc_call_opts opts = {
        .timeout = RPC_NO_TIMEOUT, .n_results = RPC_ANY_RESULTS, .streaming = streaming};
    struct serving_how how = {.path = "/ws?extras=cancel"};
    struct span id = span_str(""), text = id;
    struct tcall t;

    serving_begin(&how);
    serving_native(&t, "", method, one, 1, &opts);
    t.call->sent_timeout = 300 * CLOCK_MS; /* the request is not written yet */
    serving_expect_invoke(0, streaming ? "flow" : "pick", "[\"x\"]", "");
    serving_expect_end(0);
    page_expect_reply(a, 0, WSPR_RESPONSE_CANCEL, "null");
    if (serving_native_done(&t)) {
        TAP_OK(t.err.code == 0 && t.n_results == 2, "%s, %u results", tcall_error(&t), t.n_results);
        TAP_IS(t.n_results == 2 && vom_verror_get(&t.results[1], &id, &text) == 1);
        TAP_OK(span_equal_str(id, BAD_PROTOCOL) && span_equal_str(text, "deadline exceeded"),
               "%.*s: %.*s", SPAN_ARG(id), SPAN_ARG(text));
    }
    tcall_done(&t);
    wait_idle();
    serving_reply(0, "{\"results\":[\"late\"]}");
    page_expect_silence(a);
    TAP_IS(serving_stats()->invocations_lost == 1 && serving_stats()->flows == 0);
    serving_end();
}

static void test_deadline_that_was_told(void)
{
    deadline_is_kept("Pick", false);
    deadline_is_kept("Flow", true);
}

/* The gateway stops with callers that wait and requests that are under way. */
static void test_gateway_stops(void)
{
    static const char *const one[] = {"x"};
    struct tcall t;

    serving_begin(NULL);
    serving_native(&t, "", "Pick", one, 1, NULL);
    serving_expect_invoke(0, "pick", "[\"x\"]", "");
    serving_ask(a, 3, 2, "", "{}");
    page_message(a, 5, 6, "1");
    TAP_IS(gw_stop(&serving.g, GW_TIMEOUT_MS));
    serving_native_done(&t);
    TAP_OK(t.n_results == 2 || t.err.code != 0, "%u results", t.n_results);
    tcall_done(&t);
    page_drop(a);
    page_drop(b);
    gw_done(&serving.g);
}

static const struct tap_case cases[] = {
    {"stopping fails who waits", test_stop},
    {"a name that is gone by a stop", test_name_gone_by_stop},
    {"requests for one server run in order", test_queue},
    {"the page goes away", test_page_gone},
    {"the page goes away with many servers", test_page_gone_with_many},
    {"the caller goes away", test_caller_gone},
    {"the caller goes away, and the page is told", test_caller_gone_told},
    {"a stop, and the page is told", test_stop_told},
    {"what a page asks for", test_extras},
    {"the caller's deadline", test_deadline_of_the_caller},
    {"a deadline that was told", test_deadline_that_was_told},
    {"the gateway stops", test_gateway_stops},
};

const struct tap_suite serve_end_suite = TAP_SUITE("serve-end", cases);

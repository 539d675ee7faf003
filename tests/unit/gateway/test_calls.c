/* The standard plugins with a service: calls, streams, signatures. */
#include "config.h"

#include <unistd.h>

#include "base/clock.h"
#include "gateway_tests.h"
#include "gwrig.h"

#define INTERNAL "veyron2/verror.Internal"
#define PARSE    "can't parse Veyron Request: "

static struct gw g;
static struct page p;

static void begin(const struct gateway_limits *limits)
{
    struct gw_opts opts = {
        .service = true,
        .plugins = {request_plugin_entry(), stream_plugin_entry(), signature_plugin_entry()}};

    if (limits != NULL)
        opts.limits = *limits;
    gw_init(&g, &opts);
    page_open(&p, &g, NULL, true);
}

static void end(void)
{
    page_drop(&p);
    TAP_IS(gw_wait_conns(&g, 0));
    gw_done(&g);
}

/* Sends a request; args is a JSON list. */
static void call_at(struct page *page, long long id, const char *endpoint, const char *suffix,
                    const char *method, const char *args, int n_out, bool streaming)
{
    size_t size = strlen(args) + 1024;
    char *data = malloc(size);

    snprintf(data, size,
             "{\"name\":\"%s//%s\",\"method\":\"%s\",\"inArgs\":%s,\"numOutArgs\":%d,"
             "\"isStreaming\":%s}",
             endpoint, suffix, method, args, n_out, streaming ? "true" : "false");
    page_message(page, id, 0, data);
    free(data);
}

static void call(long long id, const char *method, const char *args, int n_out)
{
    call_at(&p, id, g.endpoint, "x", method, args, n_out, false);
}

static void stream(long long id, const char *method, const char *args, int n_out)
{
    call_at(&p, id, g.endpoint, "x", method, args, n_out, true);
}

static const struct gateway_stats *stats(void)
{
    return gateway_stats(g.gateway);
}

static void test_unary(void)
{
    begin(NULL);
    call(1, "echo", "[\"hi\"]", 2);
    page_expect_reply(&p, 1, 0, "[\"hi\"]");
    call(3, "Echo", "[\"\\u00e4\"]", 2);
    page_expect_reply(&p, 3, 0, "[\"\xc3\xa4\"]");
    call(5, "stats", "[]", 3);
    page_expect_reply(&p, 5, 0, "[0, 0]");
    call(7, "change", "null", 1);
    page_expect_reply(&p, 7, 0, "[]");
    TAP_IS(stats()->signatures_fetched == 1 && stats()->calls == 4 && stats()->flows == 0);
    end();
}

static void test_wrong_requests(void)
{
    char name[512], text[1024];

    begin(NULL);
    snprintf(name, sizeof name, "%s//x", g.endpoint);
    call(1, "nothing", "[]", 1);
    page_expect_error(&p, 1, INTERNAL, PARSE "Method not found in signature: nothing");
    call(1, "echo", "[]", 2);
    page_expect_error(&p, 1, INTERNAL,
                      PARSE "invalid number of arguments: method echo takes 1, called with 0");
    call(1, "echo", "[7]", 2);
    page_expect_error(&p, 1, INTERNAL,
                      PARSE
                      "error while converting json to object for arg 0 (s): error transcoding "
                      "json to object: cannot decode value of kind string into string (JSON "
                      "was \"7\")");
    call(1, "echo", "[\"x\"]", 5);
    page_expect_error(&p, 1, "veyron2/verror.BadProtocol",
                      "ipc: server sent 2 results, client expected 5");
    call(1, "echo", "[\"x\"]", -1);
    page_expect_error(&p, 1, "veyron2/verror.BadProtocol",
                      "ipc: server sent 2 results, client expected -1");
    call(1, "burst", "[3, 10]", 1);
    page_expect_error(&p, 1, "veyron2/verror.BadProtocol",
                      "ipc: Finish called with remaining streaming results");
    page_message(&p, 1, 0, "{\"inArgs\":{}}");
    page_expect_error(
        &p, 1, INTERNAL,
        PARSE "can't unmarshall JSONMessage: json: cannot unmarshal object into Go value of type "
              "[]json.RawMessage");
    call_at(&p, 1, "/bogus", "x", "echo", "[]", 1, false);
    snprintf(text, sizeof text,
             PARSE "error getting service signature for /bogus//x: ipc: couldn't connect to server "
                   "/bogus//x: invalid endpoint string");
    page_expect_error(&p, 1, INTERNAL, text);
    end();
}

/* Longer than any name; the limit that is told is that one. */
static void test_long_name(void)
{
    char *data = malloc(70400);
    const char *got;

    begin(NULL);
    snprintf(data, 70400, "{\"name\":\"%s//%070000d\"}", g.endpoint, 0);
    page_message(&p, 1, 5, data);
    got = page_recv(&p);
    TAP_IS(got != NULL && strstr(got, ": name and method are longer than 65536 bytes") != NULL);
    TAP_IS(stats()->signatures_fetched == 0);
    end();
    free(data);
}

/* The same text goes for every page that asks while a signature is fetched: one fetch. */
static void test_shared_signature(void)
{
    struct page q;

    begin(NULL);
    page_open(&q, &g, NULL, true);
    for (int i = 0; i < 10; i++) {
        call(i, "echo", "[\"x\"]", 2);
        call_at(&q, i, g.endpoint, "x", "echo", "[\"y\"]", 2, false);
    }
    for (int i = 0; i < 10; i++) {
        page_expect_reply(&p, i, 0, "[\"x\"]");
        page_expect_reply(&q, i, 0, "[\"y\"]");
    }
    TAP_OK(stats()->signatures_fetched == 1, "fetched %llu times",
           (unsigned long long)stats()->signatures_fetched);
    TAP_IS(stats()->signatures_cached == 2);
    page_drop(&q);
    TAP_IS(gw_wait_conns(&g, 1));
    TAP_IS(stats()->signatures_cached == 1);
    end();
}

static void ask_signature(long long id, const char *suffix)
{
    char data[512];

    snprintf(data, sizeof data, "{\"name\":\"%s//%s\"}", g.endpoint, suffix);
    page_message(&p, id, 5, data);
}

static bool answered(long long id)
{
    const char *text = page_recv(&p);
    char expected[64];

    snprintf(expected, sizeof expected, "{\"id\": %lld, ", id);
    return text != NULL && strncmp(text, expected, strlen(expected)) == 0 &&
           strstr(text, "\\\"type\\\": 0") != NULL;
}

static void test_cache(void)
{
    struct gateway_limits limits = {.signatures = 2, .signature_ttl = CLOCK_S};

    begin(&limits);
    ask_signature(1, "a");
    page_expect_reply(
        &p, 1, 0,
        "{\"burst\": {\"inArgs\": [\"n\", \"size\"], \"numOutArgs\": 1, \"isStreaming\": true}, "
        "\"change\": {\"inArgs\": [], \"numOutArgs\": 1, \"isStreaming\": false}, "
        "\"collect\": {\"inArgs\": [], \"numOutArgs\": 2, \"isStreaming\": true}, "
        "\"deaf\": {\"inArgs\": [], \"numOutArgs\": 1, \"isStreaming\": true}, "
        "\"die\": {\"inArgs\": [], \"numOutArgs\": 1, \"isStreaming\": false}, "
        "\"echo\": {\"inArgs\": [\"s\"], \"numOutArgs\": 2, \"isStreaming\": false}, "
        "\"flood\": {\"inArgs\": [\"size\"], \"numOutArgs\": 1, \"isStreaming\": true}, "
        "\"never\": {\"inArgs\": [], \"numOutArgs\": 1, \"isStreaming\": false}, "
        "\"stats\": {\"inArgs\": [], \"numOutArgs\": 3, \"isStreaming\": false}, "
        "\"twice\": {\"inArgs\": [\"s\"], \"numOutArgs\": 3, \"isStreaming\": false}, "
        "\"whoami\": {\"inArgs\": [], \"numOutArgs\": 2, \"isStreaming\": false}}");
    gw_run(&g, 5);
    ask_signature(2, "b");
    TAP_IS(answered(2));
    TAP_IS(stats()->signatures_fetched == 2 && stats()->signatures_cached == 2);
    ask_signature(3, "b");
    TAP_IS(answered(3));
    TAP_IS(stats()->signatures_fetched == 2);
    /* The one that was not used for longest goes. */
    gw_run(&g, 5);
    ask_signature(4, "c");
    TAP_IS(answered(4));
    TAP_IS(stats()->signatures_fetched == 3 && stats()->signatures_cached == 2);
    ask_signature(5, "b");
    TAP_IS(answered(5));
    TAP_IS(stats()->signatures_fetched == 3);
    /* Long unused ones are too old. */
    gw_run(&g, 1100);
    ask_signature(6, "b");
    TAP_IS(answered(6));
    TAP_IS(stats()->signatures_fetched == 4);
    end();
}

static void test_cache_bytes(void)
{
    struct gateway_limits limits = {.signature_bytes = 20000};

    begin(&limits);
    for (int i = 0; i < 20; i++) {
        char suffix[16];

        snprintf(suffix, sizeof suffix, "s%d", i);
        ask_signature(i, suffix);
        TAP_IS(answered(i));
    }
    TAP_OK(stats()->signatures_cached > 0 && stats()->signatures_cached < 10, "%llu are cached",
           (unsigned long long)stats()->signatures_cached);
    end();
    begin(&limits);
    end();
}

/* A service that has got a method since its signature was cached is asked once more. */
static void test_changed_service(void)
{
    begin(NULL);
    call(1, "added", "[\"x\"]", 2);
    page_expect_error(&p, 1, INTERNAL, PARSE "Method not found in signature: added");
    TAP_IS(stats()->signatures_fetched == 1); /* it was fresh */
    call(1, "change", "[]", 1);
    page_expect_reply(&p, 1, 0, "[]");
    call(1, "added", "[\"x\"]", 2);
    page_expect_reply(&p, 1, 0, "[\"x\"]");
    TAP_IS(stats()->signatures_fetched == 2);
    call(1, "nothing", "[]", 1);
    page_expect_error(&p, 1, INTERNAL, PARSE "Method not found in signature: nothing");
    TAP_IS(stats()->signatures_fetched == 3);
    end();
}

/* ---- servers that do not answer ---- */

static void test_mute_server(void)
{
    struct gateway_limits limits = {.lookup_timeout = 1500 * CLOCK_MS};
    char endpoint[256], data[512], text[1024];
    int fd = gw_mute_server(endpoint);
    int64_t start;

    begin(&limits);
    start = clock_mono();
    snprintf(data, sizeof data, "{\"name\":\"%s//x\"}", endpoint);
    page_message(&p, 1, 5, data);
    call_at(&p, 3, endpoint, "x", "echo", "[\"x\"]", 2, false);
    for (int i = 0; i < 10; i++) {
        call(5 + i, "echo", "[\"x\"]", 2);
        page_expect_reply(&p, 5 + i, 0, "[\"x\"]");
    }
    TAP_OK(stats()->flows == 2, "other names wait for the silent one");
    snprintf(text, sizeof text, "error getting service signature for %s//x: deadline exceeded",
             endpoint);
    page_expect_error(&p, 1, INTERNAL, text);
    snprintf(text, sizeof text,
             PARSE "error getting service signature for %s//x: deadline exceeded", endpoint);
    page_expect_error(&p, 3, INTERNAL, text);
    TAP_IS(clock_mono() - start >= 1500 * CLOCK_MS);
    end();
    close(fd);
}

static bool nobody_runs(void *arg)
{
    return g.slow.running == 0;
}

static bool somebody_runs(void *arg)
{
    return g.slow.running == *(unsigned *)arg;
}

/* The page goes while signatures are fetched, calls run and streams flow. */
static void test_page_gone(void)
{
    char endpoint[256];
    int fd = gw_mute_server(endpoint);
    unsigned n = 3;

    begin(NULL);
    call(1, "never", "[]", 1);
    stream(3, "deaf", "[]", 1);
    stream(5, "flood", "[1000]", 1);
    call_at(&p, 7, endpoint, "x", "echo", "[\"x\"]", 2, false);
    call_at(&p, 9, endpoint, "y", "echo", "[\"x\"]", 2, true);
    page_message(&p, 9, 3, "\"kept\"");
    page_message(&p, 3, 3, "\"sent\"");
    TAP_IS(gw_until(&g, somebody_runs, &n, GW_TIMEOUT_MS));
    TAP_IS(page_recv(&p) != NULL);
    TAP_IS(stats()->flows == 5 && g.gateway->fetches != NULL);
    page_drop(&p);
    TAP_IS(gw_wait_conns(&g, 0));
    TAP_IS(stats()->flows == 0);
    TAP_OK(g.gateway->fetches == NULL, "a fetch goes on that nobody waits for");
    TAP_IS(gw_until(&g, nobody_runs, NULL, GW_TIMEOUT_MS));
    TAP_IS(g.slow.gone == 3);
    gw_done(&g);
    close(fd);
}

/* The same when the gateway stops. */
static void test_stop(void)
{
    char endpoint[256];
    int fd = gw_mute_server(endpoint);
    unsigned n = 2;

    begin(NULL);
    call(1, "never", "[]", 1);
    stream(5, "flood", "[1000]", 1);
    call_at(&p, 7, endpoint, "x", "echo", "[\"x\"]", 2, false);
    TAP_IS(gw_until(&g, somebody_runs, &n, GW_TIMEOUT_MS));
    TAP_IS(gw_stop(&g, GW_TIMEOUT_MS));
    TAP_IS(gw_until(&g, nobody_runs, NULL, GW_TIMEOUT_MS));
    page_drop(&p);
    gw_done(&g);
    close(fd);
}

/* ---- streams ---- */

/* Values that come with the request wait until the call is up; the end after them. */
static void test_stream_in(void)
{
    begin(NULL);
    stream(1, "collect", "[]", 2);
    for (int i = 0; i < 200; i++)
        page_message(&p, 1, 3, "\"v\"");
    page_message(&p, 1, 4, "");
    page_expect_reply(&p, 1, 4, "null");
    page_expect_reply(&p, 1, 0, "[200]");
    /* What does not fit is dropped, and the stream goes on; after its end nothing counts. */
    stream(1, "collect", "[]", 2);
    page_message(&p, 1, 3, "\"v\"");
    page_message(&p, 1, 3, "7");
    page_message(&p, 1, 3, "}");
    page_message(&p, 1, 3, "");
    page_message(&p, 1, 3, "null");
    page_message(&p, 1, 3, "\"w\"");
    page_message(&p, 1, 4, "");
    page_message(&p, 1, 3, "\"late\"");
    page_message(&p, 1, 4, "");
    page_expect_reply(&p, 1, 4, "null");
    page_expect_reply(&p, 1, 0, "[2]");
    /* Values for a method without such a stream, or a call without the flag, go nowhere. */
    stream(1, "echo", "[\"x\"]", 2);
    page_message(&p, 1, 3, "\"v\"");
    page_expect_reply(&p, 1, 4, "null");
    page_expect_reply(&p, 1, 0, "[\"x\"]");
    call(1, "collect", "[]", 2);
    page_message(&p, 1, 3, "\"v\"");
    page_message(&p, 1, 4, "");
    page_expect_reply(&p, 1, 0, "[0]");
    end();
}

static void test_stream_out(void)
{
    begin(NULL);
    stream(1, "burst", "[3, 2]", 1);
    for (int i = 0; i < 3; i++)
        page_expect_reply(&p, 1, 1, "\"ss\"");
    page_expect_reply(&p, 1, 4, "null");
    page_expect_reply(&p, 1, 0, "[]");
    end();
}

/* A service that does not read its stream: the stream fails after a while, others go on. */
static void test_deaf_service(void)
{
    struct gateway_limits limits = {.kept_per_flow = 65536, .stall_timeout = 100 * CLOCK_MS};
    char *big = malloc(65536);
    unsigned one = 1;
    int sent = 0;

    begin(&limits);
    memset(big, 'x', 65535);
    big[0] = big[65534] = '"';
    big[65535] = '\0';
    stream(1, "deaf", "[]", 1);
    TAP_IS(gw_until(&g, somebody_runs, &one, GW_TIMEOUT_MS));
    /* The window of the flow, the queue behind it, what is kept, and what the sockets hold. */
    while (stats()->err_kept == 0 && sent < 200) {
        page_message(&p, 1, 3, big);
        gw_run(&g, 2);
        sent++;
        if (sent > 40)
            gw_run(&g, 150);
    }
    page_expect_error(&p, 1, INTERNAL, "the service does not read the stream");
    TAP_OK(sent < 60, "%d messages of 64 KiB went in", sent);
    TAP_IS(stats()->err_kept == 1);
    call(3, "echo", "[\"x\"]", 2);
    page_expect_reply(&p, 3, 0, "[\"x\"]");
    TAP_IS(gw_until(&g, nobody_runs, NULL, GW_TIMEOUT_MS));
    TAP_IS(g.slow.gone == 1);
    free(big);
    end();
}

static const struct tap_case cases[] = {
    {"unary", test_unary},
    {"wrong requests", test_wrong_requests},
    {"a long name", test_long_name},
    {"one fetch for all", test_shared_signature},
    {"cache of signatures", test_cache},
    {"bytes of the cache", test_cache_bytes},
    {"a service that changes", test_changed_service},
    {"a silent server", test_mute_server},
    {"the page is gone", test_page_gone},
    {"the gateway stops", test_stop},
    {"streams of the page", test_stream_in},
    {"streams of the service", test_stream_out},
    {"a service that does not read", test_deaf_service},
};

const struct tap_suite calls_suite = TAP_SUITE("calls", cases);

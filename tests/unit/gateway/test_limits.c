/* Limits of time and memory. */
#include "config.h"

#include <unistd.h>

#include "gateway_tests.h"
#include "gwrig.h"

#include "base/clock.h"

static struct gw g;
static struct page p;

static void begin(const struct gateway_limits *limits)
{
    struct gw_opts opts = {
        .service = true,
        .limits = *limits,
        .log_to_text = true,
        .plugins = {request_plugin_entry(), stream_plugin_entry(), signature_plugin_entry()}};

    gw_init(&g, &opts);
    page_open(&p, &g, NULL, true);
}

static void end(void)
{
    page_drop(&p);
    TAP_IS(gw_wait_conns(&g, 0));
    gw_done(&g);
}

/* A request; args is a JSON list. */
static void call(struct page *page, long long id, const char *method, const char *args, int n_out,
                 bool streaming)
{
    size_t size = strlen(args) + 1024;
    char *data = malloc(size);

    snprintf(data, size,
             "{\"name\":\"%s//x\",\"method\":\"%s\",\"inArgs\":%s,\"numOutArgs\":%d,"
             "\"isStreaming\":%s}",
             g.endpoint, method, args, n_out, streaming ? "true" : "false");
    page_message(page, id, 0, data);
    free(data);
}

static const struct gateway_stats *stats(void)
{
    return gateway_stats(g.gateway);
}

/* Pages that do not read may fill so much together; then the one with most has to go. */
static void test_total_output(void)
{
    struct gateway_limits limits = {
        .out_soft = 64 * 1024 * 1024, .out_hard = 128 * 1024 * 1024, .out_total = 4 * 1024 * 1024};
    struct page deaf;

    begin(&limits);
    TAP_IS(page_open(&deaf, &g, NULL, true));
    call(&p, 1, "echo", "[\"before\"]", 2, false);
    page_expect_reply(&p, 1, 0, "[\"before\"]");
    call(&deaf, 1, "flood", "[65536]", 1, true);
    TAP_IS(gw_wait_conns(&g, 1));
    TAP_IS(stats()->err_output == 1);
    TAP_OK(stats()->out_bytes <= limits.out_total, "%llu", (unsigned long long)stats()->out_bytes);
    TAP_OK(strstr(gw_log(&g), "is ended: ") != NULL, "%s", gw_log(&g));
    call(&p, 3, "echo", "[\"after\"]", 2, false);
    page_expect_reply(&p, 3, 0, "[\"after\"]");
    page_drop(&deaf);
    end();
}

/* A call with a string of so many bytes; the service gives it back twice. */
static void call_twice(struct page *page, long long id, size_t size)
{
    char *args = malloc(size + 8);

    args[0] = '[';
    memset(args + 1, '"', size + 2);
    memset(args + 2, 'x', size);
    memcpy(args + size + 3, "]", 2);
    call(page, id, "twice", args, 3, false);
    free(args);
}

/* What is kept of a page's requests until somebody answers; then there is room again. */
static void test_requests(void)
{
    struct gateway_limits limits = {.calls_per_conn = 100000, .lookup_timeout = 3 * CLOCK_S};
    char mute[256], *data = malloc(50000);
    int fd = gw_mute_server(mute);

    begin(&limits);
    for (int id = 1; id <= 5; id += 2) {
        int n = snprintf(data, 50000, "{\"name\":\"%s//", mute);

        memset(data + n, 'x', 40000);
        snprintf(data + n + 40000, 10000 - (size_t)n, "%d\"}", id);
        page_message(&p, id, 5, data);
    }
    page_expect_error(&p, 5, "veyron2/verror.Internal", "limit reached");
    TAP_IS(stats()->err_call_bytes == 1);
    for (int i = 0; i < 2; i++) {
        const char *answer = page_recv(&p);

        TAP_IS(answer != NULL && strstr(answer, "deadline exceeded") != NULL);
    }
    free(data);
    call(&p, 7, "echo", "[\"x\"]", 2, false);
    page_expect_reply(&p, 7, 0, "[\"x\"]");
    end();
    close(fd);
}

static uint64_t frames_before;

/* The first result is there, and nothing of it was sent. */
static bool first_result_waits(void *arg)
{
    return stats()->out_bytes > *(size_t *)arg && stats()->frames_out == frames_before;
}

/* Results that wait for the others of their call are output, too. */
static void test_results(void)
{
    struct gateway_limits limits = {.out_total = 3 * 1024 * 1024};
    size_t size = 1024 * 1024;
    const char *answer;

    begin(&limits);
    frames_before = stats()->frames_out;
    call_twice(&p, 1, size);
    TAP_IS(gw_until(&g, first_result_waits, &size, GW_TIMEOUT_MS));
    answer = page_recv(&p);
    TAP_IS(answer != NULL && strlen(answer) > 2 * size);
    call(&p, 3, "echo", "[\"x\"]", 2, false);
    page_expect_reply(&p, 3, 0, "[\"x\"]");
    TAP_OK(stats()->out_bytes < 1024, "%llu", (unsigned long long)stats()->out_bytes);
    /* The first of these is more than all may have: the page ends before there is a frame. */
    frames_before = stats()->frames_out;
    call_twice(&p, 5, 4 * size);
    TAP_IS(gw_wait_conns(&g, 0));
    TAP_IS(stats()->err_output == 1 && stats()->frames_out == frames_before);
    TAP_IS(stats()->out_bytes == 0);
    end();
}

/* Both answers are there, and were not read. */
static bool answers_wait(void *arg)
{
    return stats()->frames_out == frames_before + 2;
}

/* Who does not read and closes the connection is not rid of the limit by that. */
static void test_closing(void)
{
    struct gateway_limits limits = {.out_total = 32 * 1024 * 1024};
    size_t size = 6 * 1024 * 1024, most = 0;
    struct page deaf[6];

    begin(&limits);
    for (unsigned i = 0; i < 6; i++) {
        TAP_IS(page_open(&deaf[i], &g, NULL, true));
        frames_before = stats()->frames_out;
        call_twice(&deaf[i], 1, size);
        call_twice(&deaf[i], 3, size);
        TAP_IS(gw_until(&g, answers_wait, NULL, GW_TIMEOUT_MS));
        wspeer_send(&deaf[i].peer, WSPEER_FIN | WSPEER_CLOSE, NULL, 0);
        TAP_IS(gw_wait_conns(&g, 1));
        if (loop_sock_lingering(g.w) > most)
            most = loop_sock_lingering(g.w);
    }
    TAP_OK(most > 0 && most <= limits.out_total, "%zu bytes waited for closed connections", most);
    TAP_IS(stats()->err_output > 0);
    call(&p, 3, "echo", "[\"x\"]", 2, false);
    page_expect_reply(&p, 3, 0, "[\"x\"]");
    for (unsigned i = 0; i < 6; i++)
        page_drop(&deaf[i]);
    end();
}

/* Pings come, and any frame is a sign of life; silence ends the connection (spec: websocket 3). */
static void test_keep_alive(void)
{
    struct gateway_limits limits = {.ping_period = 50 * CLOCK_MS, .read_timeout = CLOCK_S};
    struct wspeer_frame frame;
    unsigned pings = 0;
    int64_t start;

    begin(&limits);
    /* A page that only answers pings lives on, longer than the time limit. */
    start = clock_mono();
    while (clock_mono() - start < limits.read_timeout * 3 / 2) {
        gw_run(&g, 5);
        while (wspeer_recv(&p.peer, &frame, 0) == WSPEER_FRAME) {
            TAP_OK(frame.op == WSPEER_PING && frame.len == 0, "opcode %u, %zu bytes", frame.op,
                   frame.len);
            wspeer_send(&p.peer, WSPEER_FIN | WSPEER_PONG, frame.data, frame.len);
            pings++;
        }
    }
    TAP_OK(pings >= 3, "%u pings", pings);
    TAP_IS(stats()->conns == 1 && stats()->err_timeout == 0);
    /* One that answers no ping but sends data lives on too. */
    start = clock_mono();
    for (int id = 1; clock_mono() - start < limits.read_timeout * 3 / 2; id += 2) {
        call(&p, id, "echo", "[\"x\"]", 2, false);
        gw_run(&g, 20);
    }
    TAP_IS(stats()->conns == 1 && stats()->err_timeout == 0);
    /* Silence: pings until the time is over, a close frame, and TCP ends. */
    TAP_IS(gw_wait_conns(&g, 0));
    TAP_IS(stats()->err_timeout == 1);
    TAP_IS(page_wait_eof(&p));
    end();
}

static const struct tap_case cases[] = {
    {"output to all pages", test_total_output},
    {"results of calls that go on", test_results},
    {"requests that wait", test_requests},
    {"output of closed connections", test_closing},
    {"keep-alive", test_keep_alive},
};

const struct tap_suite limits_suite = TAP_SUITE("limits", cases);

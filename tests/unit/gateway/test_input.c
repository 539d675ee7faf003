/* What is kept of the messages of pages: all of them together, and for how long. */
#include "config.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "gateway_tests.h"
#include "gwrig.h"

#define KIB 1024

static struct gw g;
static struct page p;

static void begin(const struct gateway_limits *limits)
{
    struct gw_opts opts = {.service = true,
                           .limits = *limits,
                           .log_to_text = true,
                           .plugins = {request_plugin_entry(), stream_plugin_entry()}};

    gw_init(&g, &opts);
    page_open(&p, &g, NULL, true);
}

static bool nothing_is_kept(void *arg)
{
    return gateway_stats(g.gateway)->in_bytes == 0;
}

static void end(void)
{
    page_drop(&p);
    TAP_IS(gw_wait_conns(&g, 0));
    TAP_IS(nothing_is_kept(NULL));
    gw_done(&g);
}

static const struct gateway_stats *stats(void)
{
    return gateway_stats(g.gateway);
}

static void expect_echo(long long id)
{
    char data[1024];

    snprintf(data, sizeof data,
             "{\"name\":\"%s//x\",\"method\":\"echo\",\"inArgs\":[\"y\"],\"numOutArgs\":2}",
             g.endpoint);
    page_message(&p, id, 0, data);
    page_expect_reply(&p, id, 0, "[\"y\"]");
}

/* Sends one frame, which is no whole message unless `first` says so. */
static void send_piece(struct page *page, unsigned first, size_t size)
{
    char *text = malloc(size);

    memset(text, ' ', size);
    wspeer_send(&page->peer, first, text, size);
    free(text);
}

static bool is_kept(void *arg)
{
    return stats()->in_bytes >= *(size_t *)arg;
}

static void wait_kept(size_t n)
{
    TAP_OK(gw_until(&g, is_kept, &n, GW_TIMEOUT_MS), "%llu bytes are kept, not %zu",
           (unsigned long long)stats()->in_bytes, n);
}

/* Messages that are begun may take so much together; then the longest has to go. */
static void test_begun_messages(void)
{
    struct gateway_limits limits = {.in_total = 1024 * KIB};
    struct page begun[3];

    begin(&limits);
    for (unsigned i = 0; i < 3; i++)
        TAP_IS(page_open(&begun[i], &g, NULL, true));
    send_piece(&begun[0], WSPEER_TEXT, 200 * KIB);
    wait_kept(200 * KIB);
    send_piece(&begun[1], WSPEER_TEXT, 400 * KIB);
    wait_kept(600 * KIB);
    TAP_IS(stats()->err_input == 0);
    send_piece(&begun[2], WSPEER_TEXT, 200 * KIB);
    wait_kept(800 * KIB);
    send_piece(&begun[1], WSPEER_CONTINUATION, 400 * KIB);
    page_expect_close(&begun[1], 1013);
    TAP_OK(stats()->err_input == 1 && gw_wait_conns(&g, 3), "%llu ended, %llu are left",
           (unsigned long long)stats()->err_input, (unsigned long long)stats()->conns);
    TAP_OK(stats()->in_bytes <= limits.in_total, "%llu", (unsigned long long)stats()->in_bytes);
    TAP_OK(strstr(gw_log(&g), "bytes are kept of its messages") != NULL, "%s", gw_log(&g));
    expect_echo(1);
    for (unsigned i = 0; i < 3; i++)
        page_drop(&begun[i]);
    TAP_IS(gw_wait_conns(&g, 1));
    expect_echo(3);
    end();
}

static uint64_t messages_before;

static bool one_came(void *arg)
{
    return stats()->messages_in > messages_before;
}

/* Memory that a page has for its next message is given back before anybody has to go. */
static void test_idle_pages(void)
{
    struct gateway_limits limits = {.in_total = 200 * KIB};
    struct page idle[6];

    begin(&limits);
    for (unsigned i = 0; i < 6; i++) {
        TAP_IS(page_open(&idle[i], &g, NULL, true));
        messages_before = stats()->messages_in;
        send_piece(&idle[i], WSPEER_TEXT, 30 * KIB);
        send_piece(&idle[i], WSPEER_FIN | WSPEER_CONTINUATION, 30 * KIB);
        TAP_IS(gw_until(&g, one_came, NULL, GW_TIMEOUT_MS));
    }
    TAP_IS(gw_until(&g, one_came, NULL, GW_TIMEOUT_MS));
    expect_echo(1);
    TAP_IS(stats()->err_input == 0 && stats()->conns == 7);
    for (unsigned i = 0; i < 6; i++)
        page_drop(&idle[i]);
    end();
}

/* A call with a long argument, of a service that does not answer. */
static void call_mute(struct page *page, const char *mute, long long id, size_t size)
{
    char *data = malloc(size + 1024), *arg = malloc(size + 1);

    memset(arg, 'x', size);
    arg[size] = '\0';
    snprintf(data, size + 1024,
             "{\"name\":\"%s//x\",\"method\":\"echo\",\"inArgs\":[\"%s\"],\"numOutArgs\":2}", mute,
             arg);
    page_message(page, id, 0, data);
    free(data);
    free(arg);
}

/* So do arguments of calls that do not come up. */
static void test_waiting_calls(void)
{
    struct gateway_limits limits = {.in_total = 512 * KIB};
    struct page one, other;
    char mute[256];
    int fd = gw_mute_server(mute);

    begin(&limits);
    TAP_IS(page_open(&one, &g, NULL, true) && page_open(&other, &g, NULL, true));
    call_mute(&one, mute, 1, 200 * KIB);
    wait_kept(200 * KIB);
    call_mute(&other, mute, 1, 100 * KIB);
    wait_kept(300 * KIB);
    TAP_IS(stats()->err_input == 0);
    call_mute(&other, mute, 3, 300 * KIB);
    page_expect_close(&other, 1013);
    TAP_OK(stats()->err_input == 1 && gw_wait_conns(&g, 2), "%llu ended, %llu are left",
           (unsigned long long)stats()->err_input, (unsigned long long)stats()->conns);
    expect_echo(1);
    page_drop(&one);
    page_drop(&other);
    end();
    close(fd);
}

static void wait_frame(struct page *page, unsigned op)
{
    struct wspeer_frame frame;
    int64_t until = clock_mono() + GW_TIMEOUT_MS * CLOCK_MS;
    int r;

    do {
        gw_run(&g, 1);
        r = wspeer_recv(&page->peer, &frame, 0);
    } while (r == WSPEER_TIMEOUT && clock_mono() < until);
    TAP_OK(r == WSPEER_FRAME && frame.op == op, "%d, opcode %u, not %u", r, frame.op, op);
}

/* Sends a piece, and something that is answered when the piece has come. */
static void piece_comes(unsigned first, size_t size)
{
    send_piece(&p, first, size);
    wspeer_send(&p.peer, WSPEER_FIN | WSPEER_PING, "", 0);
    wait_frame(&p, WSPEER_PONG);
}

static void ping_comes(const struct gateway_limits *limits)
{
    loop_worker_skip(g.w, limits->ping_period);
    wait_frame(&p, WSPEER_PING);
}

/* As slow as links are: a message that gets on is waited for, one that does not ends the page. */
static void test_slow_message(void)
{
    struct gateway_limits limits = {.ping_period = 50 * CLOCK_S, .read_timeout = 60 * CLOCK_S};

    begin(&limits);
    piece_comes(WSPEER_TEXT, 1 * KIB);
    ping_comes(&limits);
    for (unsigned i = 0; i < 8; i++) {
        piece_comes(WSPEER_CONTINUATION, 16 * KIB);
        ping_comes(&limits);
    }
    /* The next one has its time from when it begins. */
    piece_comes(WSPEER_CONTINUATION, 1);
    send_piece(&p, WSPEER_FIN | WSPEER_CONTINUATION, 1);
    TAP_IS(page_recv(&p) != NULL); /* it was none that means anything */
    piece_comes(WSPEER_TEXT, 1 * KIB);
    ping_comes(&limits);
    TAP_IS(stats()->conns == 1 && stats()->err_timeout == 0);
    /* A sign of life is not enough. */
    piece_comes(WSPEER_CONTINUATION, 8 * KIB);
    loop_worker_skip(g.w, limits.ping_period);
    page_expect_close(&p, 1008);
    TAP_IS(stats()->err_timeout == 1 && strstr(gw_log(&g), "a message takes too long") != NULL);
    end();
}

static const struct tap_case cases[] = {
    {"messages that are begun", test_begun_messages},
    {"pages that are idle", test_idle_pages},
    {"calls that wait", test_waiting_calls},
    {"a slow message", test_slow_message},
};

const struct tap_suite input_suite = TAP_SUITE("input", cases);

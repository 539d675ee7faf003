/*
 * What calls of pages take of the heap: nothing, once a few were made. Gateway, circuits, service
 * are in this process, and each malloc, calloc and realloc of theirs is counted. The pages take
 * none themselves. The second part is the table of flows, which has its share in that.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "failmalloc.h"
#include "gwrig.h"
#include "tap.h"
#include "unit/rpc/raw.h"

#define CALLS      100u
#define ROUNDS_MAX 20u

static struct gw g;
static int page;
static unsigned n_answers;
static bool failed;

/* ---- a page ---- */

/* Counts frames, each of which has its id; whatever else there is must not be an error. */
static void page_take(void)
{
    static char in[65536];
    ssize_t n;

    while ((n = recv(page, in, sizeof in, MSG_DONTWAIT)) > 0) {
        char *end = in + n, *at = in;

        while ((at = memmem(at, (size_t)(end - at), "{\"id\":", 6)) != NULL) {
            n_answers++;
            at += 6;
        }
        failed = failed || memmem(in, (size_t)n, "\\\"type\\\": 2", 11) != NULL;
    }
    failed = failed || n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static bool is_answered(void *arg)
{
    page_take();
    return failed || n_answers >= *(unsigned *)arg;
}

static bool wait_answers(unsigned n)
{
    return raw_until(g.w, is_answered, &n, GW_TIMEOUT_MS) && !failed;
}

static void page_put(const char *text)
{
    uint8_t frame[1024] = {0x81, 0x80 | 126};
    size_t len = strlen(text);

    memset(frame + 8, ' ', 126); /* longer texts only: their heads are all alike */
    memcpy(frame + 8, text, len);
    if (len < 126)
        len = 126;
    frame[2] = (uint8_t)(len >> 8);
    frame[3] = (uint8_t)len; /* the mask is zero */
    send(page, frame, len + 8, MSG_NOSIGNAL);
}

/* The answer to the upgrade and the first frame are there, whole. */
static bool is_open(void *arg)
{
    static const char last[] = "\"mounttableRoot\": []}";
    char in[1024];
    ssize_t n = recv(page, in, sizeof in, MSG_DONTWAIT | MSG_PEEK);

    return n > 0 && memmem(in, (size_t)n, last, sizeof last - 1) != NULL &&
           recv(page, in, (size_t)n, MSG_DONTWAIT) == n;
}

static void begin(void)
{
    static const char head[] = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                               "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"
                               "Sec-WebSocket-Version: 13\r\n\r\n";
    struct gw_opts opts = {
        .service = true,
        .plugins = {request_plugin_entry(), stream_plugin_entry(), signature_plugin_entry()},
    };

    gw_init(&g, &opts);
    failed = false;
    page = wspeer_tcp(gateway_port(g.gateway));
    send(page, head, sizeof head - 1, MSG_NOSIGNAL);
    TAP_IS(raw_until(g.w, is_open, NULL, GW_TIMEOUT_MS));
}

static bool is_left(void *arg)
{
    return gateway_stats(g.gateway)->conns == 0;
}

static void end(void)
{
    close(page);
    TAP_IS(raw_until(g.w, is_left, NULL, GW_TIMEOUT_MS));
    gw_done(&g);
}

static void ask_echo(unsigned id)
{
    char text[800];

    snprintf(text, sizeof text,
             "{\"id\":%u,\"data\":\"{\\\"name\\\":\\\"%s//x\\\",\\\"method\\\":\\\"echo\\\","
             "\\\"inArgs\\\":[\\\"sixteen bytes ok\\\"],\\\"numOutArgs\\\":2,"
             "\\\"isStreaming\\\":false}\",\"type\":0}",
             id, g.endpoint);
    page_put(text);
}

static void ask_signature(unsigned id)
{
    char text[800];

    snprintf(text, sizeof text, "{\"id\":%u,\"data\":\"{\\\"name\\\":\\\"%s//x\\\"}\",\"type\":5}",
             id, g.endpoint);
    page_put(text);
}

/* The allocations of CALLS requests, so many of them outstanding. */
static unsigned long count(void (*ask)(unsigned id), unsigned outstanding)
{
    unsigned long before = failmalloc_count();

    n_answers = 0;
    for (unsigned i = 0; i < CALLS && !failed; i += outstanding) {
        for (unsigned k = 0; k < outstanding; k++)
            ask(2 * (i + k) + 1);
        if (!wait_answers(i + outstanding))
            break;
    }
    TAP_IS(!failed && n_answers >= CALLS);
    return failmalloc_count() - before;
}

/* ---- tests ---- */

/* A round in which more came at once than before lets a buffer grow: it counts that it ends. */
static void check_steady(void (*ask)(unsigned id), unsigned outstanding, const char *what)
{
    unsigned long first = count(ask, outstanding), then = first;
    unsigned rounds = 1;

    while (then > 0 && rounds++ < ROUNDS_MAX && !failed)
        then = count(ask, outstanding);
    tap_note("%s, %u outstanding: %lu allocations in the first %u, round %u has none", what,
             outstanding, first, CALLS, rounds);
    TAP_OK(then == 0, "%s, %u outstanding: %u more allocate %lu times", what, outstanding, CALLS,
           then);
}

static void test_calls(void)
{
    begin();
    failmalloc_at(0);
    TAP_IS(count(ask_echo, 1) > 0); /* it is counted at all */
    check_steady(ask_echo, 1, "calls");
    check_steady(ask_echo, 16, "calls");
    check_steady(ask_echo, 50, "calls"); /* a server keeps the memory of 64 */
    end();
}

static void test_signatures(void)
{
    begin();
    check_steady(ask_signature, 1, "signatures");
    check_steady(ask_signature, 16, "signatures");
    end();
}

static const struct hash_key secret = {{0x123456789abcdef1u, 0xfedcba9876543210u}};

static void check_found(struct flow_table *t, struct wspr_flow *flows, unsigned from, unsigned n,
                        unsigned step)
{
    unsigned wrong = 0;

    for (unsigned i = 0; i < n; i++) {
        struct wspr_flow *f = flow_table_find(t, &secret, flows[i].key);

        wrong += i < from || (i - from) % step != 0 ? f != NULL : f != &flows[i];
    }
    TAP_IS(wrong == 0);
}

/* Ids next to each other, far apart, negative; the same of both openers. */
static void test_table(void)
{
    static struct wspr_flow flows[4000];
    struct flow_table t = {0};
    unsigned n = sizeof flows / sizeof flows[0];

    for (unsigned i = 0; i < n; i++) {
        int64_t id = (int64_t)(i / 2);

        if (i % 8 >= 4)
            id = (int64_t)((uint64_t)id << 40) + (i % 8 >= 6 ? INT64_MIN : 0);
        flows[i].key = (struct flow_key){id, i % 2 == 0 ? FLOW_PAGE : FLOW_HOST};
    }
    failmalloc_at(0);
    for (unsigned i = 0; i < 16; i++)
        flow_table_add(&t, &secret, &flows[i]);
    TAP_IS(failmalloc_count() == 0);
    for (unsigned i = 16; i < n; i++)
        flow_table_add(&t, &secret, &flows[i]);
    TAP_IS(failmalloc_count() > 0 && failmalloc_count() < 10);
    check_found(&t, flows, 0, n, 1);
    for (unsigned i = 0; i < n; i++) {
        if (i % 3 != 0)
            flow_table_remove(&t, &secret, &flows[i]);
    }
    check_found(&t, flows, 0, n, 3);
    for (unsigned i = 0; i < n; i += 3)
        flow_table_remove(&t, &secret, &flows[i]);
    TAP_IS(t.n == 0 && t.slots == NULL);
    flow_table_done(&t);
}

/* A table that cannot grow holds everything all the same. */
static void test_table_without_memory(void)
{
    static struct wspr_flow flows[64];
    struct flow_table t = {0};

    for (unsigned i = 0; i < 64; i++) {
        flows[i].key = (struct flow_key){(int64_t)i, FLOW_PAGE};
        failmalloc_at(1);
        flow_table_add(&t, &secret, &flows[i]);
        failmalloc_at(0);
    }
    TAP_IS(t.slots == NULL && t.n == 64);
    check_found(&t, flows, 0, 64, 1);
    flow_table_done(&t);
}

static const struct tap_case cases[] = {
    {"calls take nothing of the heap", test_calls},
    {"nor do requests for signatures", test_signatures},
    {"table of flows", test_table},
    {"table of flows without memory", test_table_without_memory},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("call-memory", cases)};

    return tap_main(argc, argv, suites, 1);
}

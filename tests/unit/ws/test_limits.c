/* Limits, sizes (family 9 of the catalogue) and memory. */
#include "config.h"

#include "failmalloc.h"
#include "script.h"
#include "ws_tests.h"

static struct ws_dec_options limited(uint64_t message, uint32_t fragments, uint32_t empty,
                                     uint32_t controls)
{
    return (struct ws_dec_options){.role = WS_SERVER,
                                   .limits = {message, fragments, empty, controls}};
}

static void message_size(void)
{
    struct ws_dec_options opt = limited(10, 100, 100, 100);

    script_check("at the limit", "T:0123456789 T:0123456789", "text:0123456789 text:0123456789",
                 &opt);
    script_check("above it", "T:0 T:0123456789a", "text:0 fail:1009:message too big", &opt);
    script_check("in fragments", "t:01234 c:56789 C:", "text:0123456789", &opt);
    script_check("above it in fragments", "t:01234 c:56789 C:a", "fail:1009:message too big", &opt);
    script_check("controls do not count", "t:01234 P:#100 C:56789", "ping:(100) text:0123456789",
                 &opt);
}

/* The largest length there is must not wrap around the sum. */
static void sum_of_sizes(void)
{
    static const uint8_t input[] = {0x01, 0x01, 'a',  0x80, 0x7f, 0x7f, 0xff,
                                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct ws_dec_options opt = {.role = WS_CLIENT, .limits = {UINT64_MAX, 10, 10, 10}};
    struct buf events = BUF_INIT(1000);

    script_run(&opt, span_of(input, sizeof input), 0, 0, &events);
    TAP_IS(strcmp(buf_cstr(&events), "more") == 0);
    buf_reset(&events);
    opt.limits.message = INT64_MAX;
    script_run(&opt, span_of(input, sizeof input), 0, 0, &events);
    TAP_IS(strcmp(buf_cstr(&events), "fail:1009:message too big") == 0);
    buf_done(&events);
}

static void fragment_counts(void)
{
    struct ws_dec_options opt = limited(1000, 3, 2, 100);

    script_check("at the limit", "t:a c:b C:c t:a c:b C:c", "text:abc text:abc", &opt);
    script_check("above it", "t:a c:b c:c C:d", "fail:1008:too many fragments", &opt);
    script_check("empty ones", "t: c: C: t: c: C:x", "text: text:x", &opt);
    opt.limits.fragments = 100;
    script_check("too many empty ones", "t: c: c: C:", "fail:1008:too many empty fragments", &opt);
    script_check("the last one is no fault", "t: c:a C:", "text:a", &opt);
}

static void control_floods(void)
{
    struct ws_dec_options opt = limited(1000, 100, 100, 3);

    script_check("at the limit", "P:1 O:2 P:3 T:x P:4 P:5 P:6",
                 "ping:1 pong:2 ping:3 text:x ping:4 ping:5 ping:6", &opt);
    script_check("above it", "P:1 P:2 P:3 P:4",
                 "ping:1 ping:2 ping:3 fail:1008:too many control frames", &opt);
    script_check("fragments do not start a new count", "t:a P:1 c:b P:2 c:c P:3 c:d P:4",
                 "ping:1 ping:2 ping:3 fail:1008:too many control frames", &opt);
}

static void a_tick_starts_a_new_count(void)
{
    struct ws_dec_options opt = limited(1000, 100, 100, 1);
    uint8_t ping[] = {0x89, 0x80, 1, 2, 3, 4};
    struct ws_event ev;
    struct ws_dec d;
    size_t used;

    ws_dec_init(&d, &opt);
    for (int i = 0; i < 3; i++) {
        TAP_IS(ws_dec_next(&d, ping, sizeof ping, &used, &ev) == 1);
        ws_dec_tick(&d);
    }
    TAP_IS(ws_dec_next(&d, ping, sizeof ping, &used, &ev) == 1);
    TAP_IS(ws_dec_next(&d, ping, sizeof ping, &used, &ev) == WSPR_ELIMIT && d.close_code == 1008);
    ws_dec_done(&d);
}

static void large_messages(void)
{
    static const char *const sizes[] = {"65536", "262144", "1048576", "4194304", "16777216"};
    struct ws_dec_options opt = {.role = WS_SERVER};
    char frames[64], events[64];

    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct buf input = BUF_INIT(40u << 20), got = BUF_INIT(1000);

        snprintf(frames, sizeof frames, "T:#%s", sizes[i]);
        snprintf(events, sizeof events, "text:(%s)", sizes[i]);
        script_build(&input, WS_SERVER, frames);
        script_run(&opt, buf_span(&input), 0, 0, &got);
        TAP_OK(strcmp(buf_cstr(&got), events) == 0, "9.1 %s", buf_cstr(&got));
        buf_reset(&got);
        script_run(&opt, buf_span(&input), 1300, 65536, &got);
        TAP_OK(strcmp(buf_cstr(&got), events) == 0, "9.1 in pieces %s", buf_cstr(&got));
        buf_done(&input);
        buf_done(&got);
    }
    script_plain("one byte too many", "T:#16777217", "fail:1009:message too big");
}

/* 9.3: a message of 4 MiB in fragments of many sizes. */
static void large_messages_in_fragments(void)
{
    static const size_t sizes[] = {64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304};
    const size_t total = 4u << 20;
    struct ws_dec_options opt = {.role = WS_SERVER};

    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct buf input = BUF_INIT(40u << 20), got = BUF_INIT(1000);
        uint8_t *payload = malloc(sizes[i]);
        struct ws_enc enc;

        memset(payload, '*', sizes[i]);
        ws_enc_init(&enc, WS_CLIENT, i);
        for (size_t at = 0; at < total; at += sizes[i])
            ws_enc_frame(&enc, &input, at == 0 ? WS_OP_TEXT : WS_OP_CONTINUATION,
                         at + sizes[i] == total, span_of(payload, sizes[i]));
        script_run(&opt, buf_span(&input), 0, 0, &got);
        TAP_OK(strcmp(buf_cstr(&got), "text:(4194304)") == 0, "%zu: %s", sizes[i], buf_cstr(&got));
        free(payload);
        buf_done(&input);
        buf_done(&got);
    }
}

static void memory_follows_the_bytes(void)
{
    struct ws_dec_options opt = {.role = WS_CLIENT};
    uint8_t header[] = {0x82, 127, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff}, *rest = malloc(0xffffff);
    struct ws_event ev;
    struct ws_dec d;
    size_t used;

    memset(rest, 0, 0xffffff);
    ws_dec_init(&d, &opt);
    TAP_IS(ws_dec_next(&d, header, sizeof header, &used, &ev) == 0 && ws_dec_held(&d) == 0);
    TAP_IS(ws_dec_next(&d, rest, 1000, &used, &ev) == 0 && ws_dec_held(&d) < 5000);
    TAP_IS(ws_dec_is_busy(&d) && ws_dec_begun(&d) == 1000);
    ws_dec_trim(&d);
    TAP_IS(ws_dec_begun(&d) == 1000);
    TAP_IS(ws_dec_next(&d, rest, 0xffffff - 1000, &used, &ev) == 1);
    TAP_IS(ws_dec_begun(&d) == 0);
    TAP_IS(ev.payload.len == 0xffffff && ws_dec_held(&d) >= 0xffffff);
    /* The next call gives it back. */
    TAP_IS(ws_dec_next(&d, header, 1, &used, &ev) == 0 && ws_dec_held(&d) == 0);
    /* A small one is kept for the next message, until it is asked for. */
    header[1] = 3;
    TAP_IS(ws_dec_next(&d, header + 1, 1, &used, &ev) == 0);
    TAP_IS(ws_dec_next(&d, rest, 1, &used, &ev) == 0 && ws_dec_begun(&d) == 1);
    TAP_IS(ws_dec_next(&d, rest, 2, &used, &ev) == 1);
    ws_dec_release(&d);
    TAP_IS(ws_dec_held(&d) > 0 && ws_dec_begun(&d) == 0);
    ws_dec_trim(&d);
    TAP_IS(ws_dec_held(&d) == 0);
    ws_dec_done(&d);
    free(rest);
}

static void decode_once(void *arg)
{
    struct ws_dec_options opt = {.role = WS_SERVER};
    struct span input = *(struct span *)arg;
    uint8_t copy[2000], *p = copy;
    struct ws_event ev;
    struct ws_dec d;
    size_t used, left = input.len;
    int r = 0, events = 0;

    memcpy(copy, input.p, left);
    ws_dec_init(&d, &opt);
    while (left > 0 && r >= 0) {
        r = ws_dec_next(&d, p, left < 100 ? left : 100, &used, &ev);
        p += used;
        left -= used;
        events += r == 1;
    }
    if (r < 0)
        TAP_IS(r == WSPR_ENOMEM && d.close_code == WS_CLOSE_INTERNAL && ws_dec_held(&d) == 0);
    else
        TAP_IS(events == 3);
    ws_dec_done(&d);
}

static void lack_of_memory(void)
{
    struct buf input = BUF_INIT(2000);
    struct span span;

    script_build(&input, WS_SERVER, "t:#300 P:ping C:#200 T:#1000");
    span = buf_span(&input);
    TAP_IS(failmalloc_each(decode_once, &span, 100) > 3);
    buf_done(&input);
}

static const struct tap_case cases[] = {
    {"message size", message_size},
    {"sum of sizes", sum_of_sizes},
    {"fragment counts", fragment_counts},
    {"control floods", control_floods},
    {"a tick starts a new count", a_tick_starts_a_new_count},
    {"large messages", large_messages},
    {"large messages in fragments", large_messages_in_fragments},
    {"memory follows the bytes", memory_follows_the_bytes},
    {"lack of memory", lack_of_memory},
};

const struct tap_suite ws_limits_suite = TAP_SUITE("limits", cases);

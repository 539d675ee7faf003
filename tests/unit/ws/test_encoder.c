#include "config.h"

#include "failmalloc.h"
#include "script.h"
#include "ws_tests.h"

static const size_t sizes[] = {0, 1, 7, 8, 125, 126, 127, 4000, 65535, 65536, 70001};

static void fill(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = '*';
}

/* Decodes what an encoder in `role` wrote and compares the events. */
static void expect(struct buf *out, enum ws_role role, const char *events)
{
    struct ws_dec_options opt = {.role = role == WS_SERVER ? WS_CLIENT : WS_SERVER};
    struct buf got = BUF_INIT(1000);

    script_run(&opt, buf_span(out), 0, 0, &got);
    TAP_OK(strcmp(buf_cstr(&got), events) == 0, "got %s, not %s", buf_cstr(&got), events);
    buf_done(&got);
}

static void text_event(char *out, size_t size, size_t n)
{
    static const char stars[] = "****************************************************************";

    if (n <= 64)
        snprintf(out, size, "text:%.*s", (int)n, stars);
    else
        snprintf(out, size, "text:(%zu)", n);
}

static void known_bytes(void)
{
    struct buf out = BUF_INIT(1000);
    struct ws_enc enc;
    uint8_t header[WS_FRAME_HEADER_MAX];

    ws_enc_init(&enc, WS_SERVER, 0);
    ws_enc_text(&enc, &out, span_str("Hello"));
    TAP_IS(span_equal(buf_span(&out), span_of("\x81\x05Hello", 7)));
    buf_reset(&out);
    ws_enc_ping(&enc, &out, span_str(""));
    ws_enc_pong(&enc, &out, span_str("x"));
    TAP_IS(span_equal(buf_span(&out), span_of("\x89\x00\x8a\x01x", 5)));
    buf_done(&out);
    TAP_IS(ws_frame_header(header, WS_OP_BINARY, false, 256, NULL) == 4);
    TAP_IS(memcmp(header, "\x02\x7e\x01\x00", 4) == 0);
    TAP_IS(ws_frame_header(header, WS_OP_TEXT, true, 65536, (const uint8_t *)"abcd") == 14);
    TAP_IS(memcmp(header, "\x81\xff\0\0\0\0\0\1\0\0abcd", 14) == 0);
    TAP_IS(ws_frame_header(header, WS_OP_TEXT, true, UINT64_C(0x7fffffffffffffff), NULL) == 10);
    TAP_IS(memcmp(header, "\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10) == 0);
}

/* The example of RFC 6455, 5.7. */
static void masks_as_the_standard_says(void)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t p[5];

    memcpy(p, "Hello", 5);
    ws_mask(p, 5, key, 0);
    TAP_IS(memcmp(p, "\x7f\x9f\x4d\x51\x58", 5) == 0);
}

static void masks_at_any_place(void)
{
    static const uint8_t key[4] = {1, 2, 4, 8};
    uint8_t p[200], expected[200];
    unsigned wrong = 0;

    for (size_t at = 0; at < 5; at++) {
        for (size_t start = 0; start < 9; start++) {
            for (size_t len = 0; len < 120; len++) {
                memset(p, 0x55, sizeof p);
                memset(expected, 0x55, sizeof expected);
                for (size_t i = 0; i < len; i++)
                    expected[start + i] ^= key[(at + i) % 4];
                ws_mask(p + start, len, key, at);
                wrong += memcmp(p, expected, sizeof p) != 0;
            }
        }
    }
    TAP_IS(wrong == 0);
}

static void whole_messages(void)
{
    static uint8_t payload[80000];
    char events[100];

    fill(payload, sizeof payload);
    for (size_t i = 0; i < 2 * COUNT(sizes); i++) {
        enum ws_role role = i % 2 == 0 ? WS_SERVER : WS_CLIENT;
        struct buf out = BUF_INIT(100000);
        struct ws_enc enc;

        ws_enc_init(&enc, role, i);
        TAP_IS(ws_enc_text(&enc, &out, span_of(payload, sizes[i / 2])) == 0);
        text_event(events, sizeof events, sizes[i / 2]);
        expect(&out, role, events);
        buf_done(&out);
    }
}

/* Every guess with every size, behind another frame that must stay as it is. */
static void composing_in_place(void)
{
    static uint8_t payload[80000];
    char text[100], events[200];

    fill(payload, sizeof payload);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        text_event(text, sizeof text, sizes[i]);
        snprintf(events, sizeof events, "ping:before %s pong:after", text);
        for (size_t k = 0; k < 2 * COUNT(sizes); k++) {
            enum ws_role role = k % 2 == 0 ? WS_SERVER : WS_CLIENT;
            struct buf out = BUF_INIT(200000);
            struct ws_frame frame;
            struct ws_enc enc;

            ws_enc_init(&enc, role, k);
            ws_enc_ping(&enc, &out, span_str("before"));
            ws_frame_begin(&enc, &out, sizes[k / 2], &frame);
            buf_append(&out, payload, sizes[i]);
            TAP_IS(ws_frame_end(&enc, &out, &frame, WS_OP_TEXT, true) == 0);
            ws_enc_pong(&enc, &out, span_str("after"));
            expect(&out, role, events);
            buf_done(&out);
        }
    }
}

/* The buffer may move its content while a frame is composed. */
static void composing_behind_consumed_bytes(void)
{
    struct buf out = BUF_INIT(1000);
    struct ws_frame frame;
    struct ws_enc enc;

    ws_enc_init(&enc, WS_SERVER, 0);
    ws_enc_text(&enc, &out, span_str("0123456789012345678901234567890123456789"));
    ws_enc_text(&enc, &out, span_str("abc"));
    buf_consume(&out, 42);
    ws_frame_begin(&enc, &out, 10, &frame);
    for (int i = 0; i < 100; i++)
        buf_u8(&out, '*');
    TAP_IS(ws_frame_end(&enc, &out, &frame, WS_OP_TEXT, true) == 0);
    expect(&out, WS_SERVER, "text:abc text:(100)");
    buf_done(&out);
}

static void frames_that_do_not_fit(void)
{
    struct buf out = BUF_INIT(20);
    struct ws_frame frame;
    struct ws_enc enc;

    ws_enc_init(&enc, WS_SERVER, 0);
    TAP_IS(ws_enc_text(&enc, &out, span_str("0123456789")) == 0);
    TAP_IS(ws_enc_text(&enc, &out, span_str("0123456789")) == WSPR_ELIMIT && out.len == 12);
    buf_reset(&out);
    ws_enc_text(&enc, &out, span_str("ab"));
    ws_frame_begin(&enc, &out, 5, &frame);
    buf_append_str(&out, "0123456789");
    buf_append_str(&out, "0123456789");
    TAP_IS(ws_frame_end(&enc, &out, &frame, WS_OP_TEXT, true) == WSPR_ELIMIT && out.len == 4);
    buf_reset(&out);
    ws_frame_begin(&enc, &out, 1000, &frame);
    ws_frame_begin(&enc, &out, 100000, &frame);
    ws_frame_begin(&enc, &out, 100000, &frame);
    TAP_IS(ws_frame_end(&enc, &out, &frame, WS_OP_TEXT, true) == WSPR_ELIMIT);
    TAP_IS(frame.start == 14 && out.len == 14);
    buf_done(&out);
    /* The header grows where there is no room for it. */
    buf_init(&out, 130);
    ws_frame_begin(&enc, &out, 0, &frame);
    for (int i = 0; i < 128; i++)
        buf_u8(&out, '*');
    TAP_IS(ws_frame_end(&enc, &out, &frame, WS_OP_TEXT, true) == WSPR_ELIMIT && out.len == 0);
    buf_done(&out);
}

static void frames_that_may_not_be(void)
{
    struct buf out = BUF_INIT(1000);
    struct ws_frame frame;
    struct ws_enc enc;
    uint8_t payload[126];

    fill(payload, sizeof payload);
    ws_enc_init(&enc, WS_SERVER, 0);
    TAP_IS(ws_enc_ping(&enc, &out, span_of(payload, 126)) == WSPR_EINVAL);
    TAP_IS(ws_enc_ping(&enc, &out, span_of(payload, 125)) == 0);
    buf_reset(&out);
    TAP_IS(ws_enc_frame(&enc, &out, WS_OP_PONG, false, span_str("")) == WSPR_EINVAL);
    TAP_IS(ws_enc_frame(&enc, &out, (enum ws_opcode)3, true, span_str("")) == WSPR_EINVAL);
    TAP_IS(out.len == 0);
    ws_frame_begin(&enc, &out, 0, &frame);
    buf_append(&out, payload, sizeof payload);
    TAP_IS(ws_frame_end(&enc, &out, &frame, WS_OP_PING, true) == WSPR_EINVAL && out.len == 0);
    ws_frame_begin(&enc, &out, 0, &frame);
    ws_frame_cancel(&out, &frame);
    TAP_IS(out.len == 0 && buf_error(&out) == 0);
    buf_done(&out);
}

static void clients_change_their_keys(void)
{
    struct buf out = BUF_INIT(1000);
    struct ws_enc enc;

    ws_enc_init(&enc, WS_CLIENT, 7);
    ws_enc_text(&enc, &out, span_str(""));
    ws_enc_text(&enc, &out, span_str(""));
    TAP_IS(out.len == 12 && memcmp(buf_data(&out) + 2, buf_data(&out) + 8, 4) != 0);
    buf_done(&out);
}

static void compose_once(void *arg)
{
    struct buf out = BUF_INIT(1000);
    struct ws_frame frame;
    struct ws_enc enc;
    int r;

    ws_enc_init(&enc, WS_CLIENT, 0);
    ws_frame_begin(&enc, &out, 0, &frame);
    for (int i = 0; i < 200; i++)
        buf_u8(&out, '*');
    r = ws_frame_end(&enc, &out, &frame, WS_OP_TEXT, true);
    if (r == 0)
        r = ws_enc_close(&enc, &out, WS_CLOSE_NORMAL, span_str("done"));
    if (r == 0)
        TAP_IS(out.len == 220 && buf_data(&out)[1] == (0x80 | 126));
    else
        TAP_IS(r == WSPR_ENOMEM && (out.len == 0 || out.len == 208));
    buf_done(&out);
}

static void lack_of_memory(void)
{
    TAP_IS(failmalloc_each(compose_once, NULL, 100) > 3);
}

static const struct tap_case cases[] = {
    {"known bytes", known_bytes},
    {"masks as the standard says", masks_as_the_standard_says},
    {"masks at any place", masks_at_any_place},
    {"whole messages", whole_messages},
    {"composing in place", composing_in_place},
    {"composing behind consumed bytes", composing_behind_consumed_bytes},
    {"frames that do not fit", frames_that_do_not_fit},
    {"frames that may not be", frames_that_may_not_be},
    {"clients change their keys", clients_change_their_keys},
    {"lack of memory", lack_of_memory},
};

const struct tap_suite ws_encoder_suite = TAP_SUITE("encoder", cases);

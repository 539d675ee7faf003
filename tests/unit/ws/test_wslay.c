/*
 * Conversations with an implementation that shares nothing with ours, in both roles. Bytes travel
 * through two buffers, in pieces of every small size. Built where libwslay is installed.
 */
#include "config.h"

#include <wslay/wslay.h>

#include "tap.h"
#include "ws/codec.h"

#define QUEUE_MAX (8u << 20)

struct talk {
    /* Ours. */
    struct ws_dec dec;
    struct ws_enc enc;
    struct buf events; /* what we received */
    int result;        /* of the decoder */
    /* Theirs. */
    wslay_event_context_ptr ctx;
    struct buf heard; /* what they received */
    bool refused;     /* their reader gave up */
    /* The wires, and how much passes at once. */
    struct buf to_us, to_them;
    size_t piece;
};

static void note(struct buf *out, const char *what, unsigned code, const uint8_t *p, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum = sum * 31 + p[i];
    buf_printf(out, "%s:%u:%zu:%08x ", what, code, len, sum);
}

static ssize_t their_recv(wslay_event_context_ptr ctx, uint8_t *p, size_t len, int flags, void *arg)
{
    struct talk *t = arg;
    size_t n = t->to_them.len < t->piece ? t->to_them.len : t->piece;

    if (n > len)
        n = len;
    if (n == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(p, buf_data(&t->to_them), n);
    buf_consume(&t->to_them, n);
    return (ssize_t)n;
}

static ssize_t their_send(wslay_event_context_ptr ctx, const uint8_t *p, size_t len, int flags,
                          void *arg)
{
    struct talk *t = arg;

    buf_append(&t->to_us, p, len);
    return (ssize_t)len;
}

static int their_mask(wslay_event_context_ptr ctx, uint8_t *p, size_t len, void *arg)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(0x5a + 29 * i);
    return 0;
}

static void their_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m,
                          void *arg)
{
    struct talk *t = arg;

    if (m->opcode == WSLAY_CONNECTION_CLOSE)
        note(&t->heard, "close", m->status_code, NULL, 0);
    else
        note(&t->heard, "message", m->opcode, m->msg, m->msg_length);
}

static void talk_init(struct talk *t, enum ws_role ours, size_t piece, bool strict)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = their_recv,
                                                           .send_callback = their_send,
                                                           .genmask_callback = their_mask,
                                                           .on_msg_recv_callback = their_message};
    struct ws_dec_options opt = {.role = ours, .strict = strict};

    memset(t, 0, sizeof *t);
    t->piece = piece;
    buf_init(&t->events, QUEUE_MAX);
    buf_init(&t->heard, QUEUE_MAX);
    buf_init(&t->to_us, QUEUE_MAX);
    buf_init(&t->to_them, QUEUE_MAX);
    ws_dec_init(&t->dec, &opt);
    ws_enc_init(&t->enc, ours, piece);
    if (ours == WS_SERVER)
        TAP_IS(wslay_event_context_client_init(&t->ctx, &callbacks, t) == 0);
    else
        TAP_IS(wslay_event_context_server_init(&t->ctx, &callbacks, t) == 0);
}

static void talk_done(struct talk *t)
{
    wslay_event_context_free(t->ctx);
    ws_dec_done(&t->dec);
    buf_done(&t->events);
    buf_done(&t->heard);
    buf_done(&t->to_us);
    buf_done(&t->to_them);
}

static void our_event(struct talk *t, const struct ws_event *ev)
{
    switch (ev->kind) {
    case WS_EVENT_DATA:
        note(&t->events, "message", ev->opcode, ev->payload.p, ev->payload.len);
        break;
    case WS_EVENT_PING:
        note(&t->events, "message", WS_OP_PING, ev->payload.p, ev->payload.len);
        TAP_IS(ws_enc_pong(&t->enc, &t->to_them, ev->payload) == 0);
        break;
    case WS_EVENT_PONG:
        note(&t->events, "message", WS_OP_PONG, ev->payload.p, ev->payload.len);
        break;
    case WS_EVENT_CLOSE:
        note(&t->events, "close", ev->code, NULL, 0);
        break;
    }
}

/* Lets bytes flow until both sides are silent. */
static void talk_run(struct talk *t)
{
    do {
        t->refused = wslay_event_recv(t->ctx) != 0 || t->refused;
        TAP_IS(wslay_event_send(t->ctx) == 0);
        while (t->to_us.len > 0 && t->result >= 0) {
            size_t n = t->to_us.len < t->piece ? t->to_us.len : t->piece, used;
            struct ws_event ev;

            t->result = ws_dec_next(&t->dec, buf_data(&t->to_us), n, &used, &ev);
            if (t->result > 0)
                our_event(t, &ev);
            buf_consume(&t->to_us, used);
        }
        if (t->result < 0)
            buf_reset(&t->to_us);
    } while (t->to_them.len > 0 && wslay_event_get_read_enabled(t->ctx));
}

static void they_send(struct talk *t, uint8_t opcode, const uint8_t *p, size_t len)
{
    struct wslay_event_msg m = {opcode, p, len};

    TAP_IS(wslay_event_queue_msg(t->ctx, &m) == 0);
}

/* Hands the message to wslay in fragments of 1000 bytes. */
static ssize_t their_source(wslay_event_context_ptr ctx, uint8_t *p, size_t len,
                            const union wslay_event_msg_source *source, int *eof, void *arg)
{
    struct span *left = source->data;
    size_t n = left->len < 1000 ? left->len : 1000;

    if (n > len)
        n = len;
    memcpy(p, left->p, n);
    *left = span_of(left->p + n, left->len - n);
    *eof = left->len == 0;
    return (ssize_t)n;
}

static void same(struct buf *got, struct buf *expect, const char *who, size_t size, size_t piece)
{
    TAP_OK(span_equal(buf_span(got), buf_span(expect)), "%s, %zu bytes by %zu: %s, not %s", who,
           size, piece, buf_cstr(got), buf_cstr(expect));
    buf_reset(expect);
}

/* Both send a text, a binary message in fragments and a ping, and close. */
static void converse(enum ws_role ours, size_t size, size_t piece)
{
    struct buf text = BUF_INIT(1 << 20), expect = BUF_INIT(10000);
    struct span fragments, whole;
    struct wslay_event_fragmented_msg m = {.opcode = WSLAY_BINARY_FRAME,
                                           .source = {.data = &fragments},
                                           .read_callback = their_source};
    struct talk t;

    for (size_t i = 0; i < size; i++)
        buf_u8(&text, (uint8_t)('a' + i % 26));
    whole = size > 0 ? buf_span(&text) : span_str("");
    fragments = whole;
    talk_init(&t, ours, piece, true);

    ws_enc_text(&t.enc, &t.to_them, whole);
    ws_enc_frame(&t.enc, &t.to_them, WS_OP_BINARY, false, span_of(whole.p, size / 3));
    ws_enc_ping(&t.enc, &t.to_them, span_str("hello"));
    ws_enc_frame(&t.enc, &t.to_them, WS_OP_CONTINUATION, true,
                 span_of(whole.p + size / 3, size - size / 3));
    talk_run(&t);
    they_send(&t, WSLAY_TEXT_FRAME, whole.p, size);
    TAP_IS(wslay_event_queue_fragmented_msg(t.ctx, &m) == 0);
    talk_run(&t);

    note(&expect, "message", WS_OP_TEXT, whole.p, size);
    note(&expect, "message", WS_OP_PING, (const uint8_t *)"hello", 5);
    note(&expect, "message", WS_OP_BINARY, whole.p, size);
    same(&t.heard, &expect, "they heard", size, piece);
    note(&expect, "message", WS_OP_PONG, (const uint8_t *)"hello", 5);
    note(&expect, "message", WS_OP_TEXT, whole.p, size);
    note(&expect, "message", WS_OP_BINARY, whole.p, size);
    same(&t.events, &expect, "we heard", size, piece);

    buf_reset(&t.heard);
    buf_reset(&t.events);
    they_send(&t, WSLAY_PING, (const uint8_t *)"there", 5);
    talk_run(&t);
    ws_enc_close(&t.enc, &t.to_them, WS_CLOSE_GOING_AWAY, span_str("bye"));
    talk_run(&t);
    TAP_IS(!t.refused && t.result >= 0);
    note(&expect, "message", WS_OP_PONG, (const uint8_t *)"there", 5);
    note(&expect, "close", WS_CLOSE_GOING_AWAY, NULL, 0);
    same(&t.heard, &expect, "they heard at the end", size, piece);
    note(&expect, "message", WS_OP_PING, (const uint8_t *)"there", 5);
    note(&expect, "close", WS_CLOSE_GOING_AWAY, NULL, 0);
    same(&t.events, &expect, "we heard at the end", size, piece);
    talk_done(&t);
    buf_done(&text);
    buf_done(&expect);
}

static void conversations(void)
{
    static const size_t sizes[] = {0, 1, 125, 126, 127, 1000, 2001, 65535, 65536, 200000};
    static const size_t pieces[] = {1, 2, 3, 7, 13, 14, 15, 1024, 1 << 20};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++) {
            converse(WS_SERVER, sizes[i], pieces[k]);
            converse(WS_CLIENT, sizes[i], pieces[k]);
        }
    }
}

/* What they refuse, we refuse, with the same code: raw frames that both sides get to read. */
static void faults(void)
{
    static const struct {
        const char *name;
        const char *bytes; /* unmasked, as a client receives them */
        size_t len;
    } cases[] = {
        {"reserved bit", "\xc1\x01x", 3},
        {"unknown opcode", "\x83\x00", 2},
        {"unknown control opcode", "\x8b\x00", 2},
        {"fragmented ping", "\x09\x00", 2},
        {"long ping", "\x89\x7e\x00\x7e", 4},
        {"continuation first", "\x80\x01x", 3},
        {"text in text", "\x01\x01x\x81\x01y", 6},
        {"masked", "\x81\x81\x01\x02\x03\x04x", 7},
        {"length not minimal", "\x81\x7e\x00\x05xxxxx", 9},
        {"close of one byte", "\x88\x01\x03", 3},
        {"close code 1005", "\x88\x02\x03\xed", 4},
        {"text is not UTF-8", "\x81\x03\xed\xa0\x80", 5},
        {"text ends in a character", "\x81\x02\xe1\xbd", 4},
        {"reason is not UTF-8", "\x88\x03\x03\xe8\xff", 5},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ws_dec_options opt = {.role = WS_CLIENT, .strict = true};
        uint8_t bytes[16];
        struct ws_event ev;
        struct ws_dec d;
        struct talk t;
        uint16_t code;
        size_t used;

        memcpy(bytes, cases[i].bytes, cases[i].len);
        ws_dec_init(&d, &opt);
        TAP_OK(ws_dec_next(&d, bytes, cases[i].len, &used, &ev) == WSPR_EPROTO, "%s",
               cases[i].name);
        /* Their close comes back as an answer to the same bytes. */
        talk_init(&t, WS_SERVER, 100, true);
        buf_append(&t.to_them, cases[i].bytes, cases[i].len);
        talk_run(&t);
        TAP_OK(t.dec.closed, "%s: they did not refuse", cases[i].name);
        /* They name no code for a fault in a frame's header. */
        code = wslay_event_get_status_code_sent(t.ctx);
        TAP_OK(code == d.close_code || (code == WS_CLOSE_NO_STATUS && d.close_code == 1002),
               "%s: they %u, we %u", cases[i].name, code, d.close_code);
        talk_done(&t);
        ws_dec_done(&d);
    }
}

static const struct tap_case cases[] = {
    {"conversations", conversations},
    {"faults", faults},
};

int main(int argc, char **argv)
{
    static const struct tap_suite suites[] = {TAP_SUITE("wslay", cases)};

    return tap_main(argc, argv, suites, 1);
}

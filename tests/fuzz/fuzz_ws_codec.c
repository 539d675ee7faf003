/*
 * Frames from any bytes. The first byte chooses role, options and how the input is cut; however it
 * is cut, the decoder must say the same, hold no more than its limit, and what it took must survive
 * the encoder.
 */
#include "config.h"

#include <stdlib.h>

#include "ws/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_MESSAGE_MAX 4096

enum { BIT_CLIENT = 1, BIT_STRICT = 2, BIT_STREAM = 4, SHIFT_CUT = 3 };

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* Everything that happened, so that two runs can be compared. */
struct story {
    struct buf text, message;
};

static void story_event(struct story *s, const struct ws_event *ev)
{
    if (ev->kind == WS_EVENT_DATA) {
        if (ev->first)
            buf_reset(&s->message);
        buf_append_span(&s->message, ev->payload);
        if (ev->last) {
            buf_printf(&s->text, "message %d %zu ", ev->opcode, s->message.len);
            buf_append_span(&s->text, buf_span(&s->message));
        }
        return;
    }
    buf_printf(&s->text, "control %d %u %zu ", ev->kind, ev->code, ev->payload.len);
    buf_append_span(&s->text, ev->payload);
}

static void story_tell(struct story *s, const struct ws_dec_options *opt, const uint8_t *data,
                       size_t size, size_t cut)
{
    struct ws_dec d;
    int r = 0;

    ws_dec_init(&d, opt);
    for (size_t at = 0; at < size && r >= 0;) {
        size_t n = cut > 0 && cut < size - at ? cut : size - at, left = n, used;
        uint8_t *copy = malloc(n), *p = copy;

        require(copy != NULL);
        memcpy(copy, data + at, n);
        at += n;
        do {
            struct ws_event ev;

            r = ws_dec_next(&d, p, left, &used, &ev);
            require(used <= left && (used > 0 || r < 0));
            require(r != 0 || used == left);
            require(ws_dec_held(&d) <= 2 * FUZZ_MESSAGE_MAX);
            p += used;
            left -= used;
            if (r > 0)
                story_event(s, &ev);
        } while (left > 0 && r >= 0);
        free(copy);
    }
    if (r < 0) {
        require(ws_close_code_is_valid(d.close_code) && d.close_reason[0] != '\0');
        buf_printf(&s->text, "fail %d %u %s", r, d.close_code, d.close_reason);
    } else {
        buf_printf(&s->text, "busy %d", ws_dec_is_busy(&d) && !d.closed);
    }
    ws_dec_done(&d);
}

static void story_done(struct story *s)
{
    buf_done(&s->text);
    buf_done(&s->message);
}

/* What the peer could have sent, in one frame and in two, comes out as it went in. */
static void there_and_back(enum ws_role role, struct span payload)
{
    struct ws_dec_options opt = {.role = role == WS_SERVER ? WS_CLIENT : WS_SERVER};
    struct buf out = BUF_INIT(1 << 20);
    struct ws_event ev;
    struct ws_enc enc;
    struct ws_dec d;
    size_t used, half = payload.len / 2;

    ws_enc_init(&enc, role, payload.len);
    ws_dec_init(&d, &opt);
    ws_enc_frame(&enc, &out, WS_OP_BINARY, false, span_of(payload.p, half));
    ws_enc_ping(&enc, &out, span_of(payload.p, half < 125 ? half : 125));
    ws_enc_frame(&enc, &out, WS_OP_CONTINUATION, true,
                 span_of(payload.p + half, payload.len - half));
    require(buf_error(&out) == 0);
    require(ws_dec_next(&d, buf_data(&out), out.len, &used, &ev) == 1);
    require(ev.kind == WS_EVENT_PING);
    buf_consume(&out, used);
    require(ws_dec_next(&d, buf_data(&out), out.len, &used, &ev) == 1 && used == out.len);
    require(span_equal(ev.payload, payload));
    buf_done(&out);
    ws_dec_done(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ws_dec_options opt = {.limits = {FUZZ_MESSAGE_MAX, 20, 5, 10}};
    struct story whole = {BUF_INIT(1 << 24), BUF_INIT(1 << 20)};
    struct story cut = {BUF_INIT(1 << 24), BUF_INIT(1 << 20)};

    if (size < 1)
        return 0;
    opt.role = (data[0] & BIT_CLIENT) != 0 ? WS_CLIENT : WS_SERVER;
    opt.strict = (data[0] & BIT_STRICT) != 0;
    story_tell(&whole, &opt, data + 1, size - 1, 0);
    opt.stream = (data[0] & BIT_STREAM) != 0;
    story_tell(&cut, &opt, data + 1, size - 1, (data[0] >> SHIFT_CUT) + 1u);
    require(span_equal(buf_span(&whole.text), buf_span(&cut.text)));
    story_done(&whole);
    story_done(&cut);
    there_and_back(opt.role, span_of(data, size));
    return 0;
}

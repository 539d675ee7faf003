#include "config.h"
#include "ws/codec.h"

#include <string.h>

#include "wspr/error.h"

void ws_enc_init(struct ws_enc *enc, enum ws_role role, uint64_t seed)
{
    enc->role = role;
    enc->state = seed;
}

/* The next mask key: a counter, well mixed (SplitMix64). */
static void enc_key(struct ws_enc *enc, uint8_t key[4])
{
    uint64_t z = enc->state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    memcpy(key, &z, 4);
}

static size_t header_size(enum ws_role role, uint64_t size)
{
    size_t n = size <= WS_CONTROL_MAX ? 2 : size <= UINT16_MAX ? 4 : 10;

    return role == WS_CLIENT ? n + 4 : n;
}

size_t ws_frame_header(uint8_t out[WS_FRAME_HEADER_MAX], enum ws_opcode op, bool fin, uint64_t size,
                       const uint8_t *key)
{
    uint8_t mask = key != NULL ? 0x80 : 0;
    size_t n = 2;
    int bytes = size <= WS_CONTROL_MAX ? 0 : size <= UINT16_MAX ? 2 : 8;

    out[0] = (uint8_t)((fin ? 0x80 : 0) | op);
    out[1] = (uint8_t)(mask | (bytes == 0 ? size : bytes == 2 ? 126 : 127));
    for (int i = bytes - 1; i >= 0; i--)
        out[n++] = (uint8_t)(size >> (8 * i));
    if (key != NULL) {
        memcpy(out + n, key, 4);
        n += 4;
    }
    return n;
}

/* Writes the header and, for a client, masks the payload that stands behind it. */
static void enc_seal(struct ws_enc *enc, uint8_t *frame, enum ws_opcode op, bool fin, size_t size)
{
    uint8_t key[4];
    size_t n;

    if (enc->role == WS_SERVER) {
        ws_frame_header(frame, op, fin, size, NULL);
        return;
    }
    enc_key(enc, key);
    n = ws_frame_header(frame, op, fin, size, key);
    ws_mask(frame + n, size, key, 0);
}

static bool enc_is_legal(enum ws_opcode op, bool fin, size_t size)
{
    switch (op) {
    case WS_OP_CONTINUATION:
    case WS_OP_TEXT:
    case WS_OP_BINARY:
        return true;
    case WS_OP_CLOSE:
    case WS_OP_PING:
    case WS_OP_PONG:
        return fin && size <= WS_CONTROL_MAX;
    }
    return false;
}

int ws_enc_frame(struct ws_enc *enc, struct buf *out, enum ws_opcode op, bool fin,
                 struct span payload)
{
    size_t header = header_size(enc->role, payload.len);
    uint8_t *frame;

    if (!enc_is_legal(op, fin, payload.len) || payload.len > SIZE_MAX - header)
        return WSPR_EINVAL;
    frame = buf_reserve(out, header + payload.len);
    if (frame == NULL)
        return buf_error(out);
    if (payload.len > 0)
        memcpy(frame + header, payload.p, payload.len);
    enc_seal(enc, frame, op, fin, payload.len);
    buf_commit(out, header + payload.len);
    return 0;
}

int ws_enc_text(struct ws_enc *enc, struct buf *out, struct span payload)
{
    return ws_enc_frame(enc, out, WS_OP_TEXT, true, payload);
}

int ws_enc_ping(struct ws_enc *enc, struct buf *out, struct span payload)
{
    return ws_enc_frame(enc, out, WS_OP_PING, true, payload);
}

int ws_enc_pong(struct ws_enc *enc, struct buf *out, struct span payload)
{
    return ws_enc_frame(enc, out, WS_OP_PONG, true, payload);
}

/* The longest start of a text that fits and does not end inside a character. */
static size_t reason_length(struct span reason)
{
    size_t n = reason.len;

    if (n <= WS_CLOSE_REASON_MAX)
        return n;
    n = WS_CLOSE_REASON_MAX;
    while (n > 0 && (reason.p[n] & 0xc0) == 0x80)
        n--;
    return n;
}

int ws_enc_close(struct ws_enc *enc, struct buf *out, uint16_t code, struct span reason)
{
    uint8_t payload[WS_CONTROL_MAX];
    size_t n;

    if (code == WS_CLOSE_NO_STATUS)
        return ws_enc_frame(enc, out, WS_OP_CLOSE, true, span_of(payload, 0));
    if (!ws_close_code_is_valid(code))
        return WSPR_EINVAL;
    n = reason_length(reason);
    payload[0] = (uint8_t)(code >> 8);
    payload[1] = (uint8_t)code;
    if (n > 0)
        memcpy(payload + 2, reason.p, n);
    return ws_enc_frame(enc, out, WS_OP_CLOSE, true, span_of(payload, n + 2));
}

int ws_enc_close_echo(struct ws_enc *enc, struct buf *out, const struct ws_event *event)
{
    return ws_enc_close(enc, out, event->code, span_of(NULL, 0));
}

void ws_frame_begin(struct ws_enc *enc, struct buf *out, size_t expect, struct ws_frame *ret_frame)
{
    size_t header = header_size(enc->role, expect);

    ret_frame->start = out->len;
    if (buf_reserve(out, header) != NULL)
        buf_commit(out, header);
    ret_frame->payload = out->len;
}

/* Makes the room before the payload fit the header. */
static int frame_fit(struct buf *out, const struct ws_frame *frame, size_t size, size_t header)
{
    size_t reserved = frame->payload - frame->start;
    uint8_t *p;

    if (header == reserved)
        return 0;
    if (header > reserved && buf_reserve(out, header - reserved) == NULL)
        return buf_error(out);
    p = buf_data(out) + frame->start;
    memmove(p + header, p + reserved, size);
    if (header > reserved)
        buf_commit(out, header - reserved);
    else
        buf_truncate(out, frame->start + header + size);
    return 0;
}

int ws_frame_end(struct ws_enc *enc, struct buf *out, const struct ws_frame *frame,
                 enum ws_opcode op, bool fin)
{
    size_t size = out->len - frame->payload;
    int r = buf_error(out);

    if (r == 0 && !enc_is_legal(op, fin, size))
        r = WSPR_EINVAL;
    if (r == 0)
        r = frame_fit(out, frame, size, header_size(enc->role, size));
    if (r < 0) {
        ws_frame_cancel(out, frame);
        return r;
    }
    enc_seal(enc, buf_data(out) + frame->start, op, fin, size);
    return 0;
}

void ws_frame_cancel(struct buf *out, const struct ws_frame *frame)
{
    buf_truncate(out, frame->start);
}

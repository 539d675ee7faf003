/*
 * A frame passes three stations:
 *
 *   collect header -> begin frame -> payload, piece by piece -> end frame -> event or next frame
 *        |                |               |
 *   rules of the      lengths and     unmask; UTF-8
 *   first two bytes   limits
 *
 * Rules are checked as soon as their bytes are there, limits before anything is stored. Data frames
 * of one message share d->message; control frames may come between them and have their own room.
 */
#include "config.h"
#include "ws/codec.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A larger buffer is given back after its message, so that idle connections stay small. */
#define DEC_KEEP_MAX 65536

#define BIT_FIN    0x80
#define BITS_RSV   0x70
#define BITS_OP    0x0f
#define BIT_MASK   0x80
#define BITS_LEN   0x7f
#define LEN_16     126
#define LEN_64     127
#define OP_CONTROL 0x08

void ws_dec_init(struct ws_dec *d, const struct ws_dec_options *opt)
{
    struct ws_limits none = {0}, *limits;

    memset(d, 0, sizeof *d);
    d->opt = *opt;
    limits = &d->opt.limits;
    if (memcmp(limits, &none, sizeof none) == 0)
        *limits = WS_LIMITS;
    buf_init(&d->message, limits->message < SIZE_MAX ? (size_t)limits->message : SIZE_MAX);
}

void ws_dec_done(struct ws_dec *d)
{
    buf_done(&d->message);
}

void ws_dec_tick(struct ws_dec *d)
{
    d->controls = 0;
}

size_t ws_dec_held(const struct ws_dec *d)
{
    return d->message.cap;
}

size_t ws_dec_begun(const struct ws_dec *d)
{
    return d->drop ? 0 : d->message.len;
}

void ws_dec_trim(struct ws_dec *d)
{
    buf_release(&d->message); /* does nothing while there is something in it */
}

bool ws_dec_is_busy(const struct ws_dec *d)
{
    return d->in_message || d->in_payload || d->head_len > 0;
}

bool ws_close_code_is_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static int __attribute__((format(printf, 4, 5)))
dec_fail(struct ws_dec *d, int error, uint16_t close_code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(d->close_reason, sizeof d->close_reason, fmt, ap);
    va_end(ap);
    d->error = error;
    d->close_code = close_code;
    return error;
}

static int dec_violation(struct ws_dec *d, const char *reason)
{
    return dec_fail(d, WSPR_EPROTO, WS_CLOSE_PROTOCOL, "%s", reason);
}

static bool dec_is_control(const struct ws_dec *d)
{
    return (d->opcode & OP_CONTROL) != 0;
}

/* Checks the first two bytes. Order and texts: spec: websocket 3. */
static int dec_check_start(struct ws_dec *d)
{
    unsigned op = d->head[0] & BITS_OP, rsv = (d->head[0] & BITS_RSV) >> 4;
    bool fin = (d->head[0] & BIT_FIN) != 0, masked = (d->head[1] & BIT_MASK) != 0;

    if (rsv != 0)
        return dec_fail(d, WSPR_EPROTO, WS_CLOSE_PROTOCOL, "unexpected reserved bits %u", rsv);
    switch (op) {
    case WS_OP_CLOSE:
    case WS_OP_PING:
    case WS_OP_PONG:
        if ((d->head[1] & BITS_LEN) > WS_CONTROL_MAX)
            return dec_violation(d, "control frame length > 125");
        if (!fin)
            return dec_violation(d, "control frame not final");
        break;
    case WS_OP_TEXT:
    case WS_OP_BINARY:
        if (d->in_message)
            return dec_violation(d, "message start before final message frame");
        break;
    case WS_OP_CONTINUATION:
        if (!d->in_message)
            return dec_violation(d, "continuation after final message frame");
        break;
    default:
        return dec_fail(d, WSPR_EPROTO, WS_CLOSE_PROTOCOL, "unknown opcode %u", op);
    }
    if (masked != (d->opt.role == WS_SERVER))
        return dec_violation(d, "incorrect mask flag");
    return 0;
}

/* Length of the header, as far as its first bytes tell. */
static size_t dec_header_size(const struct ws_dec *d)
{
    unsigned len = d->head[1] & BITS_LEN;

    if (d->head_len < 2)
        return 2;
    return 2 +
           (len == LEN_16   ? 2
            : len == LEN_64 ? 8
                            : 0) +
           ((d->head[1] & BIT_MASK) != 0 ? sizeof d->key : 0);
}

/* Reads the length and refuses one that could have been written shorter. */
static int dec_read_size(struct ws_dec *d)
{
    unsigned len = d->head[1] & BITS_LEN, bytes = len == LEN_16 ? 2 : len == LEN_64 ? 8 : 0;
    uint64_t size = bytes > 0 ? 0 : len;

    for (unsigned i = 0; i < bytes; i++)
        size = size << 8 | d->head[2 + i];
    if (size > INT64_MAX)
        return dec_violation(d, "frame length > 63 bits");
    if ((bytes == 2 && size <= WS_CONTROL_MAX) || (bytes == 8 && size <= UINT16_MAX))
        return dec_violation(d, "frame length not minimal");
    d->size = size;
    d->done = 0;
    return 0;
}

static int dec_begin_control(struct ws_dec *d)
{
    if (d->controls == d->opt.limits.controls)
        return dec_fail(d, WSPR_ELIMIT, WS_CLOSE_POLICY, "too many control frames");
    d->controls++;
    return 0;
}

static int dec_begin_data(struct ws_dec *d)
{
    const struct ws_limits *limits = &d->opt.limits;

    if (!d->in_message) {
        d->message_op = d->opcode;
        d->message_size = 0;
        d->fragments = 0;
        d->empty = 0;
        d->started = false;
        d->utf8 = UTF8_CHECK_INIT;
    }
    if (d->fragments == limits->fragments)
        return dec_fail(d, WSPR_ELIMIT, WS_CLOSE_POLICY, "too many fragments");
    d->fragments++;
    if (d->size == 0 && !d->fin) {
        if (d->empty == limits->empty)
            return dec_fail(d, WSPR_ELIMIT, WS_CLOSE_POLICY, "too many empty fragments");
        d->empty++;
    }
    if (d->size > limits->message - d->message_size)
        return dec_fail(d, WSPR_ELIMIT, WS_CLOSE_TOO_BIG, "message too big");
    d->message_size += d->size;
    return 0;
}

/* The header is complete. */
static int dec_begin_frame(struct ws_dec *d)
{
    int r = dec_read_size(d);

    if (r < 0)
        return r;
    if ((d->head[1] & BIT_MASK) != 0)
        memcpy(d->key, d->head + d->head_len - sizeof d->key, sizeof d->key);
    d->fin = (d->head[0] & BIT_FIN) != 0;
    d->opcode = d->head[0] & BITS_OP;
    d->head_len = 0;
    d->in_payload = true;
    return dec_is_control(d) ? dec_begin_control(d) : dec_begin_data(d);
}

/* The usual case: the longest header there is would be here, so nothing needs counting. */
static int dec_whole_header(struct ws_dec *d, const uint8_t *p, size_t *ret_used)
{
    int r;

    memcpy(d->head, p, sizeof d->head);
    d->head_len = 2;
    *ret_used = 2;
    r = dec_check_start(d);
    if (r < 0)
        return r;
    d->head_len = (uint8_t)dec_header_size(d);
    *ret_used = d->head_len;
    return dec_begin_frame(d);
}

static int dec_header(struct ws_dec *d, const uint8_t *p, size_t len, size_t *ret_used)
{
    size_t used = 0;

    if (d->head_len == 0 && len >= sizeof d->head)
        return dec_whole_header(d, p, ret_used);
    while (used < len) {
        size_t need = dec_header_size(d) - d->head_len;
        size_t n = len - used < need ? len - used : need;
        int r = 0;

        memcpy(d->head + d->head_len, p + used, n);
        d->head_len = (uint8_t)(d->head_len + n);
        used += n;
        *ret_used = used;
        if (n < need)
            return 0;
        if (d->head_len == 2)
            r = dec_check_start(d);
        if (r < 0)
            return r;
        if (d->head_len == dec_header_size(d))
            return dec_begin_frame(d);
    }
    return 0;
}

static void dec_unmask(const struct ws_dec *d, uint8_t *p, size_t n)
{
    if (d->opt.role == WS_SERVER)
        ws_mask(p, n, d->key, d->done);
}

static int dec_check_text(struct ws_dec *d, struct span piece, bool last)
{
    if (!d->opt.strict || d->message_op != WS_OP_TEXT)
        return 0;
    if (utf8_check_feed(&d->utf8, piece.p, piece.len) && (!last || utf8_check_complete(&d->utf8)))
        return 0;
    return dec_fail(d, WSPR_EPROTO, WS_CLOSE_INVALID_DATA, "invalid UTF-8 in text message");
}

static int dec_data_event(struct ws_dec *d, struct span payload, bool last, struct ws_event *ret)
{
    *ret = (struct ws_event){.kind = WS_EVENT_DATA,
                             .opcode = (enum ws_opcode)d->message_op,
                             .first = !d->started,
                             .last = last,
                             .payload = payload};
    d->started = true;
    return 1;
}

/* Adds a piece to the message; *ret_piece is where it went. */
static int dec_assemble(struct ws_dec *d, const uint8_t *p, size_t n, struct span *ret_piece)
{
    uint8_t *room = n > 0 ? buf_reserve(&d->message, n) : NULL;

    *ret_piece = span_of(room, 0);
    if (n == 0)
        return 0;
    if (room == NULL)
        return dec_fail(d, buf_error(&d->message), WS_CLOSE_INTERNAL, "out of memory");
    memcpy(room, p, n);
    dec_unmask(d, room, n);
    buf_commit(&d->message, n);
    *ret_piece = span_of(room, n);
    return 0;
}

/* Takes n bytes of a data frame's payload. */
static int dec_data(struct ws_dec *d, uint8_t *p, size_t n, struct ws_event *ret_event)
{
    bool end = d->done + n == d->size, last = end && d->fin;
    bool whole = last && d->done == 0 && !d->in_message;
    struct span piece;
    int r;

    if (whole || d->opt.stream) {
        dec_unmask(d, p, n);
        piece = span_of(p, n);
    } else {
        r = dec_assemble(d, p, n, &piece);
        if (r < 0)
            return r;
    }
    d->done += n;
    r = dec_check_text(d, piece, last);
    if (r < 0)
        return r;
    if (end) {
        d->in_payload = false;
        d->in_message = !d->fin;
    }
    if (last)
        d->controls = 0;
    if (d->opt.stream)
        return n > 0 || last ? dec_data_event(d, piece, last, ret_event) : 0;
    if (!last)
        return 0;
    d->drop = !whole;
    return dec_data_event(d, whole ? piece : buf_span(&d->message), true, ret_event);
}

static int dec_close(struct ws_dec *d, struct span payload, struct ws_event *ret_event)
{
    uint16_t code = WS_CLOSE_NO_STATUS;

    if (payload.len == 1)
        return dec_violation(d, "close frame length 1");
    if (payload.len >= 2) {
        code = (uint16_t)(payload.p[0] << 8 | payload.p[1]);
        payload = span_of(payload.p + 2, payload.len - 2);
        if (!ws_close_code_is_valid(code))
            return dec_fail(d, WSPR_EPROTO, WS_CLOSE_PROTOCOL, "invalid close code %u", code);
    }
    if (!utf8_valid(payload.p, payload.len))
        return dec_fail(d, WSPR_EPROTO, WS_CLOSE_INVALID_DATA, "invalid UTF-8 in close reason");
    d->closed = true;
    *ret_event = (struct ws_event){.kind = WS_EVENT_CLOSE, .code = code, .payload = payload};
    return 1;
}

/* Takes n bytes of a control frame's payload. */
static int dec_control(struct ws_dec *d, uint8_t *p, size_t n, struct ws_event *ret_event)
{
    struct span payload = span_of(p, n);

    dec_unmask(d, p, n);
    if (n < d->size) {
        if (n > 0)
            memcpy(d->control + d->done, p, n);
        payload = span_of(d->control, d->done + n);
    }
    d->done += n;
    if (d->done < d->size)
        return 0;
    d->in_payload = false;
    if (d->opcode == WS_OP_CLOSE)
        return dec_close(d, payload, ret_event);
    *ret_event = (struct ws_event){.kind = d->opcode == WS_OP_PING ? WS_EVENT_PING : WS_EVENT_PONG,
                                   .payload = payload};
    return 1;
}

static int dec_payload(struct ws_dec *d, uint8_t *p, size_t len, size_t *ret_used,
                       struct ws_event *ret_event)
{
    uint64_t left = d->size - d->done;
    size_t n = len < left ? len : (size_t)left;

    *ret_used = n;
    return dec_is_control(d) ? dec_control(d, p, n, ret_event) : dec_data(d, p, n, ret_event);
}

void ws_dec_release(struct ws_dec *d)
{
    if (!d->drop)
        return;
    d->drop = false;
    buf_reset(&d->message);
    if (d->message.cap > DEC_KEEP_MAX)
        buf_release(&d->message);
}

int ws_dec_next(struct ws_dec *d, uint8_t *p, size_t len, size_t *ret_used,
                struct ws_event *ret_event)
{
    size_t used = 0, n = 0;
    int r = 0;

    ws_dec_release(d);
    if (d->error != 0 || d->closed) {
        *ret_used = len;
        return d->error;
    }
    while (r == 0 && used < len) {
        if (!d->in_payload)
            r = dec_header(d, p + used, len - used, &n);
        else
            r = dec_payload(d, p + used, len - used, &n, ret_event);
        used += n;
        /* A frame without payload ends with its header. */
        if (r == 0 && d->in_payload && d->size == 0)
            r = dec_payload(d, p + used, 0, &n, ret_event);
    }
    if (d->error != 0 || d->closed)
        buf_done(&d->message);
    *ret_used = used;
    return r;
}

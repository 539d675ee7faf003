#include "config.h"
#include "vc/msg.h"

#include "base/cursor.h"
#include "wspr/error.h"

enum { MSG_TYPE_CONTROL = 0, MSG_TYPE_DATA = 1 };

/* The end of a message as it was before encoding began, to go back to. */
static int msg_fail(struct buf *out, size_t at, int code)
{
    out->len = at;
    return code;
}

/* spec: stream 0, "varint": seven bits a byte, lowest first; at most 64 bits, padding is allowed.
 */
static uint64_t msg_varint(struct cursor *c)
{
    uint64_t v = 0;

    for (unsigned shift = 0;; shift += 7) {
        uint8_t b = cursor_u8(c);

        if (c->failed)
            return 0;
        if (shift == 63 && b > 1) {
            cursor_fail(c);
            return 0;
        }
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return v;
    }
}

size_t vc_varint_write(uint8_t *p, uint32_t v)
{
    size_t n = 0;

    while (v >= 0x80) {
        p[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    return n;
}

/* Reads the counters once, so that whoever walks through them later cannot fail. */
static void msg_counters(struct cursor *c, struct vc_counters *ret)
{
    uint64_t n = msg_varint(c);
    const uint8_t *start = c->p;

    /* A counter takes three bytes at least: an absurd n ends here (spec: stream 4.4). */
    if (n > cursor_left(c) / 3) {
        cursor_fail(c);
        return;
    }
    for (uint64_t i = 0; i < n * 3 && !c->failed; i++)
        (void)msg_varint(c);
    if (!c->failed)
        *ret = (struct vc_counters){n, span_of(start, (size_t)(c->p - start))};
}

bool vc_counters_next(struct vc_counters *c, struct vc_counter *ret_counter)
{
    struct cursor in = cursor_of(c->wire.p, c->wire.len);

    if (c->n == 0)
        return false;
    c->n--;
    ret_counter->vci = (uint32_t)msg_varint(&in);
    ret_counter->flow = (uint32_t)msg_varint(&in);
    ret_counter->bytes = (uint32_t)msg_varint(&in);
    c->wire = span_of(in.p, cursor_left(&in));
    return true;
}

static int msg_decode_control(struct span body, struct vc_msg *ret, struct err *e)
{
    static const char *const names[] = {"OpenVC", "CloseVC", "AddReceiveBuffers", "OpenFlow"};
    struct cursor c = cursor_of(body.p, body.len);
    struct vc_msg m = {0};
    uint8_t command = cursor_u8(&c);

    if (c.failed)
        return err_set(e, WSPR_EPROTO, "control message without a command");
    if (command > VC_MSG_OPEN_FLOW)
        return err_set(e, WSPR_EPROTO, "unrecognized control command %u", command);
    m.kind = (enum vc_msg_kind)command;
    if (m.kind != VC_MSG_CREDIT)
        m.vci = cursor_u32(&c);
    switch (m.kind) {
    case VC_MSG_OPEN_VC:
        m.dst = cursor_bytes(&c, cursor_u32(&c));
        m.src = cursor_bytes(&c, cursor_u32(&c));
        msg_counters(&c, &m.counters);
        break;
    case VC_MSG_CLOSE_VC:
        m.text = cursor_bytes(&c, cursor_u32(&c));
        break;
    case VC_MSG_CREDIT:
        msg_counters(&c, &m.counters);
        break;
    case VC_MSG_OPEN_FLOW:
        m.flow = cursor_u32(&c);
        m.bytes = cursor_u32(&c);
        break;
    case VC_MSG_DATA:
        break;
    }
    if (c.failed)
        return err_set(e, WSPR_EPROTO, "failed to decode control message %u (%s)", command,
                       names[command]);
    /* What may stand behind the content is ignored (spec: stream 4.4). */
    *ret = m;
    return 0;
}

static int msg_decode_data(struct span body, struct vc_msg *ret, struct err *e)
{
    struct cursor c = cursor_of(body.p, body.len);
    struct vc_msg m = {.kind = VC_MSG_DATA};

    if (body.len < VC_DATA_HEADER)
        return err_set(e, WSPR_EPROTO, "data message of %zu bytes", body.len);
    m.vci = cursor_u32(&c);
    m.flow = cursor_u32(&c);
    m.flags = cursor_u8(&c);
    m.payload = cursor_bytes(&c, cursor_left(&c));
    *ret = m;
    return 0;
}

int vc_msg_decode(uint8_t type, struct span body, struct vc_msg *ret_msg, struct err *e)
{
    if (type == MSG_TYPE_CONTROL)
        return msg_decode_control(body, ret_msg, e);
    if (type == MSG_TYPE_DATA)
        return msg_decode_data(body, ret_msg, e);
    return err_set(e, WSPR_EPROTO, "unrecognized message type %u", type);
}

int vc_msg_next(struct span *in, size_t most, struct vc_msg *ret_msg, size_t *ret_need,
                struct err *e)
{
    struct cursor c = cursor_of(in->p, in->len);
    size_t need = VC_MSG_HEADER;
    struct span body;
    uint8_t type = 0;
    int r;

    if (in->len >= VC_MSG_HEADER) {
        size_t len;

        type = cursor_u8(&c);
        len = cursor_u24(&c);
        if (type > MSG_TYPE_DATA)
            return err_set(e, WSPR_EPROTO, "unrecognized message type %u", type);
        if (len > most)
            return err_set(e, WSPR_ELIMIT, "message of %zu bytes, limit %zu", len, most);
        need += len;
    }
    if (in->len < VC_MSG_HEADER || in->len < need) {
        if (ret_need != NULL)
            *ret_need = need;
        return 0;
    }
    body = cursor_bytes(&c, need - VC_MSG_HEADER);
    r = vc_msg_decode(type, body, ret_msg, e);
    if (r < 0)
        return r;
    *in = span_of(in->p + need, in->len - need);
    return 1;
}

/* ---- encoding ---- */

static size_t msg_begin(struct buf *out, uint8_t type)
{
    size_t at = out->len;

    buf_u8(out, type);
    buf_u24(out, 0);
    return at;
}

static int msg_end(struct buf *out, size_t at)
{
    uint8_t *p;
    size_t body;

    if (buf_error(out) != 0)
        return msg_fail(out, at, buf_error(out));
    body = out->len - at - VC_MSG_HEADER;
    if (body > VC_MSG_BODY_MAX)
        return msg_fail(out, at, WSPR_ELIMIT);
    p = buf_data(out) + at;
    p[1] = (uint8_t)(body >> 16);
    p[2] = (uint8_t)(body >> 8);
    p[3] = (uint8_t)body;
    return 0;
}

static void msg_text(struct buf *out, struct span text)
{
    buf_u32(out, (uint32_t)text.len);
    buf_append_span(out, text);
}

size_t vc_counter_write(uint8_t *p, const struct vc_counter *counter)
{
    size_t n = vc_varint_write(p, counter->vci);

    n += vc_varint_write(p + n, counter->flow);
    return n + vc_varint_write(p + n, counter->bytes);
}

static void msg_put_counters(struct buf *out, const struct vc_counter *counters, size_t n)
{
    uint8_t one[VC_COUNTER_MAX];

    buf_append(out, one, vc_varint_write(one, (uint32_t)n));
    for (size_t i = 0; i < n; i++)
        buf_append(out, one, vc_counter_write(one, &counters[i]));
}

/* Counters as they were received; their number is bounded by the body they came in. */
static void msg_put_wire(struct buf *out, const struct vc_counters *c)
{
    uint8_t n[VC_COUNTER_MAX];

    buf_append(out, n, vc_varint_write(n, (uint32_t)c->n));
    buf_append_span(out, c->wire);
}

static size_t msg_begin_open_vc(struct buf *out, uint32_t vci, struct span dst, struct span src)
{
    size_t at = msg_begin(out, MSG_TYPE_CONTROL);

    buf_u8(out, VC_MSG_OPEN_VC);
    buf_u32(out, vci);
    msg_text(out, dst);
    msg_text(out, src);
    return at;
}

/* Before anything is appended: lengths that the format, or size_t arithmetic, could not hold. */
static bool msg_fits(size_t a, size_t b, size_t n)
{
    return a <= VC_MSG_BODY_MAX && b <= VC_MSG_BODY_MAX && n <= VC_MSG_BODY_MAX / 3;
}

int vc_msg_put_open_vc(struct buf *out, uint32_t vci, struct span dst, struct span src,
                       const struct vc_counter *counters, size_t n)
{
    size_t at;

    if (!msg_fits(dst.len, src.len, n))
        return WSPR_ELIMIT;
    at = msg_begin_open_vc(out, vci, dst, src);
    msg_put_counters(out, counters, n);
    return msg_end(out, at);
}

int vc_msg_put_close_vc(struct buf *out, uint32_t vci, struct span text)
{
    size_t at;

    if (!msg_fits(text.len, 0, 0))
        return WSPR_ELIMIT;
    at = msg_begin(out, MSG_TYPE_CONTROL);
    buf_u8(out, VC_MSG_CLOSE_VC);
    buf_u32(out, vci);
    msg_text(out, text);
    return msg_end(out, at);
}

int vc_msg_put_credit(struct buf *out, const struct vc_counter *counters, size_t n)
{
    size_t at;

    if (!msg_fits(0, 0, n))
        return WSPR_ELIMIT;
    at = msg_begin(out, MSG_TYPE_CONTROL);
    buf_u8(out, VC_MSG_CREDIT);
    msg_put_counters(out, counters, n);
    return msg_end(out, at);
}

int vc_msg_put_open_flow(struct buf *out, uint32_t vci, uint32_t flow, uint32_t bytes)
{
    size_t at = msg_begin(out, MSG_TYPE_CONTROL);

    buf_u8(out, VC_MSG_OPEN_FLOW);
    buf_u32(out, vci);
    buf_u32(out, flow);
    buf_u32(out, bytes);
    return msg_end(out, at);
}

size_t vc_msg_begin_data(struct buf *out, uint32_t vci, uint32_t flow)
{
    size_t at = msg_begin(out, MSG_TYPE_DATA);

    buf_u32(out, vci);
    buf_u32(out, flow);
    buf_u8(out, 0);
    return at;
}

int vc_msg_end_data(struct buf *out, size_t at, uint8_t flags)
{
    int r = msg_end(out, at);

    if (r == 0)
        buf_data(out)[at + VC_MSG_HEADER + VC_DATA_HEADER - 1] = flags;
    return r;
}

void vc_msg_undo(struct buf *out, size_t at)
{
    buf_truncate(out, at);
}

int vc_msg_put_data(struct buf *out, uint32_t vci, uint32_t flow, uint8_t flags,
                    struct span payload)
{
    size_t at;

    if (payload.len > VC_DATA_MAX)
        return WSPR_ELIMIT;
    at = vc_msg_begin_data(out, vci, flow);
    buf_append_span(out, payload);
    return vc_msg_end_data(out, at, flags);
}

int vc_msg_put(struct buf *out, const struct vc_msg *msg)
{
    size_t at;

    switch (msg->kind) {
    case VC_MSG_OPEN_VC:
        at = msg_begin_open_vc(out, msg->vci, msg->dst, msg->src);
        msg_put_wire(out, &msg->counters);
        return msg_end(out, at);
    case VC_MSG_CLOSE_VC:
        return vc_msg_put_close_vc(out, msg->vci, msg->text);
    case VC_MSG_CREDIT:
        at = msg_begin(out, MSG_TYPE_CONTROL);
        buf_u8(out, VC_MSG_CREDIT);
        msg_put_wire(out, &msg->counters);
        return msg_end(out, at);
    case VC_MSG_OPEN_FLOW:
        return vc_msg_put_open_flow(out, msg->vci, msg->flow, msg->bytes);
    case VC_MSG_DATA:
        return vc_msg_put_data(out, msg->vci, msg->flow, msg->flags, msg->payload);
    }
    return WSPR_EINVAL;
}

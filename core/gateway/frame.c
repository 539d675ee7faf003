/* Frames to the page (spec: websocket 4, 6). */
#include "config.h"

#include "gateway/private.h"
#include "json/writer.h"

bool gateway_conn_may_send(const struct wspr_conn *c)
{
    return c->phase == CONN_OPEN && !c->close_sent;
}

/* What every sender returns: whether it should wait. */
static int sent(struct wspr_conn *c, int r)
{
    struct buf *out = loop_sock_out(c->sock);

    gateway_conn_count_output(c);
    if (r < 0 || buf_error(out) != 0) {
        /* The queue is at its hard limit, or memory is short: this page is lost. */
        if (buf_error(out) == WSPR_ENOMEM)
            c->gw->stats.err_memory++;
        return r < 0 ? r : buf_error(out);
    }
    c->gw->stats.frames_out++;
    return loop_sock_queued(c->sock) > c->gw->limits.out_soft ? WSPR_FULL : 0;
}

int gateway_conn_send_text(struct wspr_conn *c, struct span text)
{
    if (!gateway_conn_may_send(c))
        return WSPR_ECLOSED;
    return sent(c, ws_enc_text(&c->enc, loop_sock_out(c->sock), text));
}

/* What printf takes for it counts here: every frame has one. */
static void put_int(struct buf *out, int64_t v)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t left = v < 0 ? -(uint64_t)v : (uint64_t)v;

    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (v < 0)
        digits[--at] = '-';
    buf_append(out, digits + at, sizeof digits - at);
}

/* Begins a frame with {"id": N, "data": and returns where the text of data starts. */
static size_t frame_begin(struct wspr_conn *c, int64_t id, size_t expect, struct ws_frame *frame)
{
    struct buf *out = loop_sock_out(c->sock);

    ws_frame_begin(&c->enc, out, expect + 64, frame);
    buf_append_str(out, "{\"id\": ");
    put_int(out, id);
    buf_append_str(out, ", \"data\": ");
    return out->len;
}

static int frame_end(struct wspr_conn *c, size_t begin, struct ws_frame *frame)
{
    struct buf *out = loop_sock_out(c->sock);

    json_quote_tail(out, begin);
    buf_append_str(out, ", \"type\": 0}");
    return sent(c, ws_frame_end(&c->enc, out, frame, WS_OP_TEXT, true));
}

int gateway_conn_send_parts(struct wspr_conn *c, int64_t id, int type,
                            const struct wspr_span *parts, size_t n)
{
    size_t begin, len = 0;
    struct ws_frame frame;
    struct buf *out;

    if (!gateway_conn_may_send(c))
        return WSPR_ECLOSED;
    for (size_t i = 0; i < n; i++)
        len += parts[i].len;
    out = loop_sock_out(c->sock);
    begin = frame_begin(c, id, len, &frame);
    buf_append_str(out, "{\"type\": ");
    put_int(out, type);
    buf_append_str(out, ", \"message\": ");
    for (size_t i = 0; i < n; i++)
        buf_append(out, parts[i].p, parts[i].len);
    buf_u8(out, '}');
    return frame_end(c, begin, &frame);
}

int gateway_conn_send_frame(struct wspr_conn *c, int64_t id, int type, struct span json)
{
    const struct wspr_span part = {(const char *)json.p, json.len};

    return gateway_conn_send_parts(c, id, type, &part, 1);
}

int gateway_conn_send_error(struct wspr_conn *c, int64_t id, struct span error_id, struct span text)
{
    struct buf *out;
    struct ws_frame frame;
    size_t begin;

    if (!gateway_conn_may_send(c))
        return WSPR_ECLOSED;
    out = loop_sock_out(c->sock);
    begin = frame_begin(c, id, error_id.len + text.len + 64, &frame);
    buf_printf(out, "{\"type\": %d, \"message\": {\"iD\": ", WSPR_RESPONSE_ERROR);
    json_quote(out, error_id);
    buf_append_str(out, ", \"msg\": ");
    json_quote(out, text);
    buf_append_str(out, "}}");
    return frame_end(c, begin, &frame);
}

int gateway_conn_send_first(struct wspr_conn *c)
{
    struct buf *out = loop_sock_out(c->sock);
    const char *at = c->gw->roots;
    struct json_writer w;
    struct ws_frame frame;

    ws_frame_begin(&c->enc, out, 128, &frame);
    json_writer_init(&w, out);
    json_write_object(&w);
    json_write_name_str(&w, "mounttableRoot");
    json_write_array(&w);
    while (at != NULL) {
        const char *comma = strchr(at, ',');

        json_write_string(&w, span_of(at, comma != NULL ? (size_t)(comma - at) : strlen(at)));
        at = comma != NULL ? comma + 1 : NULL;
    }
    json_write_array_end(&w);
    if (c->extras != 0) {
        json_write_name_str(&w, "extras");
        json_write_array(&w);
        if ((c->extras & CONN_EXTRA_CANCEL) != 0)
            json_write_str(&w, "cancel");
        json_write_array_end(&w);
    }
    json_write_object_end(&w);
    return sent(c, ws_frame_end(&c->enc, out, &frame, WS_OP_TEXT, true));
}

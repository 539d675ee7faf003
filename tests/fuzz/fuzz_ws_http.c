/*
 * HTTP heads from any bytes; the first byte chooses request or response and how the input is cut.
 * Every cut gives the same result; a complete head can be asked and answered.
 */
#include "config.h"

#include <stdlib.h>

#include "ws/handshake.h"
#include "ws/origin.h"
#include "ws/surface.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void within(const struct ws_http_head *h, struct span s)
{
    require(s.len == 0 || span_equal_str(s, "/") ||
            (s.p >= h->base && s.p + s.len <= h->base + h->len));
}

static void fuzz_origin(struct span text)
{
    struct buf out = BUF_INIT(1 << 20);
    struct ws_origin o, again;

    if (ws_host_parse(text, &o) == 0)
        ws_host_is_loopback(&o);
    if (ws_origin_parse(text, &o) == 0) {
        ws_origin_format(&out, &o);
        require(ws_origin_parse(buf_span(&out), &again) == 0 && ws_origin_equal(&o, &again));
    }
    buf_done(&out);
}

static void ask(const struct ws_http_head *h)
{
    struct buf out = BUF_INIT(1 << 20);
    struct ws_http_answer answer;

    for (size_t i = 0; i < h->n_fields; i++) {
        within(h, span_of(h->base + h->fields[i].name, h->fields[i].name_len));
        within(h, span_of(h->base + h->fields[i].value, h->fields[i].value_len));
    }
    fuzz_origin(ws_http_header(h, "Origin"));
    fuzz_origin(ws_http_header(h, "Host"));
    if (h->response) {
        ws_handshake_verify(h, "dGhlIHNhbXBsZSBub25jZQ==", NULL);
        return;
    }
    within(h, h->method);
    within(h, h->target);
    within(h, h->path);
    within(h, h->query);
    require(h->method.len > 0 && h->target.len > 0 && h->path.len > 0);
    if (ws_surface_route(h, &answer) == WS_ROUTE_UPGRADE)
        ws_handshake_respond(&out, h);
    else
        ws_http_answer_write(&out, &answer, ws_http_is_head(h));
    require(buf_error(&out) == 0 && out.len > 0);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ws_http_head whole, cut;
    struct ws_http_limits limits = {2000, 500, 20};
    size_t step;
    int r, s = 0;

    if (size < 1)
        return 0;
    step = (data[0] >> 1) + 1u;
    ws_http_head_init(&whole, (data[0] & 1) != 0, &limits);
    ws_http_head_init(&cut, (data[0] & 1) != 0, &limits);
    r = ws_http_head_feed(&whole, data + 1, size - 1, NULL);
    for (size_t n = 0; n < size - 1 && s == 0;) {
        n = step < size - 1 - n ? n + step : size - 1;
        s = ws_http_head_feed(&cut, data + 1, n, NULL);
    }
    require(r == s && (r > 0) == (whole.len > 0) && r <= 2000);
    require(whole.n_fields == cut.n_fields && whole.path.p == cut.path.p);
    if (r > 0)
        ask(&whole);
    return 0;
}

#include "config.h"
#include "ws/origin.h"

#include <string.h>

#include "base/error.h"
#include "ws/http.h"

static bool is_alpha(uint8_t c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static uint16_t scheme_port(struct span scheme)
{
    if (ws_http_equal_nocase(scheme, span_str("http")) ||
        ws_http_equal_nocase(scheme, span_str("ws")))
        return 80;
    if (ws_http_equal_nocase(scheme, span_str("https")) ||
        ws_http_equal_nocase(scheme, span_str("wss")))
        return 443;
    return 0;
}

static bool parse_port(struct span text, uint16_t *ret_port)
{
    uint32_t port = 0;

    if (text.len == 0 || text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.p[i]))
            return false;
        port = port * 10 + (uint32_t)(text.p[i] - '0');
    }
    *ret_port = (uint16_t)port;
    return port > 0 && port <= UINT16_MAX;
}

/* Splits off "[address]"; what may stand inside is hex digits, colons and dots. */
static bool parse_bracketed(struct span text, struct ws_origin *o, struct span *ret_rest)
{
    size_t n = 1;

    while (n < text.len && (is_digit(text.p[n]) || text.p[n] == ':' || text.p[n] == '.' ||
                            ((text.p[n] | 0x20) >= 'a' && (text.p[n] | 0x20) <= 'f')))
        n++;
    if (n == 1 || n == text.len || text.p[n] != ']')
        return false;
    o->ipv6 = true;
    o->host = span_of(text.p + 1, n - 1);
    *ret_rest = span_of(text.p + n + 1, text.len - n - 1);
    return true;
}

/* ASCII names and addresses; a browser sends any other name in its ASCII form. */
static bool parse_name(struct span text, struct ws_origin *o, struct span *ret_rest)
{
    size_t n = 0;

    while (n < text.len && (is_alpha(text.p[n]) || is_digit(text.p[n]) || text.p[n] == '-' ||
                            text.p[n] == '.' || text.p[n] == '_'))
        n++;
    if (n == 0)
        return false;
    o->host = span_of(text.p, n);
    *ret_rest = span_of(text.p + n, text.len - n);
    return true;
}

int ws_host_parse(struct span text, struct ws_origin *ret_host)
{
    struct ws_origin o = {.port = 0};
    struct span rest;
    bool ok = text.len > 0 && text.p[0] == '[' ? parse_bracketed(text, &o, &rest)
                                               : parse_name(text, &o, &rest);

    if (!ok)
        return WSPR_EINVAL;
    if (rest.len > 0 &&
        (rest.p[0] != ':' || !parse_port(span_of(rest.p + 1, rest.len - 1), &o.port)))
        return WSPR_EINVAL;
    *ret_host = o;
    return 0;
}

int ws_origin_parse(struct span text, struct ws_origin *ret_origin)
{
    struct ws_origin o;
    struct span scheme;
    size_t n = 0;

    while (n < text.len &&
           (is_alpha(text.p[n]) || (n > 0 && (is_digit(text.p[n]) || text.p[n] == '+' ||
                                              text.p[n] == '-' || text.p[n] == '.'))))
        n++;
    if (n == 0 || text.len - n < 3 || memcmp(text.p + n, "://", 3) != 0)
        return WSPR_EINVAL;
    scheme = span_of(text.p, n);
    if (ws_host_parse(span_of(text.p + n + 3, text.len - n - 3), &o) < 0)
        return WSPR_EINVAL;
    o.scheme = scheme;
    if (o.port == 0)
        o.port = scheme_port(scheme);
    *ret_origin = o;
    return 0;
}

static void append_lower(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        buf_u8(out, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (uint8_t)(s.p[i] | 0x20) : s.p[i]);
}

void ws_origin_format(struct buf *out, const struct ws_origin *origin)
{
    append_lower(out, origin->scheme);
    buf_append_str(out, origin->ipv6 ? "://[" : "://");
    append_lower(out, origin->host);
    if (origin->ipv6)
        buf_u8(out, ']');
    if (origin->port != scheme_port(origin->scheme))
        buf_printf(out, ":%u", origin->port);
}

bool ws_origin_equal(const struct ws_origin *a, const struct ws_origin *b)
{
    return ws_http_equal_nocase(a->scheme, b->scheme) && ws_http_equal_nocase(a->host, b->host) &&
           a->port == b->port && a->ipv6 == b->ipv6;
}

/* Four decimal numbers, the first 127; shorter spellings are left to resolvers and not trusted. */
static bool is_loopback_ipv4(struct span s)
{
    unsigned dots = 0, value = 0, digits = 0;

    if (s.len < 4 || memcmp(s.p, "127.", 4) != 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (is_digit(s.p[i])) {
            value = value * 10 + (unsigned)(s.p[i] - '0');
            if (++digits > 3 || value > 255)
                return false;
        } else if (s.p[i] == '.' && digits > 0) {
            dots++;
            value = 0;
            digits = 0;
        } else {
            return false;
        }
    }
    return dots == 3 && digits > 0;
}

bool ws_host_is_loopback(const struct ws_origin *host)
{
    struct span local = span_str("localhost"), s = host->host;

    if (host->ipv6)
        return span_equal_str(s, "::1");
    if (is_loopback_ipv4(s))
        return true;
    /* A name may be fully qualified: "localhost." */
    if (s.len > 1 && s.p[s.len - 1] == '.')
        s.len--;
    if (s.len < local.len ||
        !ws_http_equal_nocase(span_of(s.p + s.len - local.len, local.len), local))
        return false;
    return s.len == local.len || s.p[s.len - local.len - 1] == '.';
}

/*
 * An endpoint text is taken apart at '@' into at most six parts, after a final "@@" and a leading
 * '@' are dropped once each. The number of parts and the first one decide the form. Parts are
 * checked in the order protocol, address, routing id, versions, because the first error is the one
 * reported.
 */
#include "config.h"
#include "naming/endpoint.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "naming/number.h"

#define ENDPOINT_PARTS 6

static int endpoint_invalid(struct err *e)
{
    return err_set(e, WSPR_EINVAL, "invalid endpoint string");
}

/* Copies a part into its array. */
static int endpoint_copy(struct span part, char *to, size_t max, struct err *e)
{
    if (part.len > max)
        return err_set(e, WSPR_ELIMIT, "endpoint string too long");
    if (part.len > 0 && memchr(part.p, 0, part.len) != NULL)
        return endpoint_invalid(e);
    if (part.len > 0)
        memcpy(to, part.p, part.len);
    to[part.len] = '\0';
    return 0;
}

static int endpoint_set(struct naming_endpoint *ep, struct span protocol, struct span address,
                        struct err *e)
{
    int r = endpoint_copy(protocol, ep->protocol, NAMING_PROTOCOL_MAX, e);

    return r < 0 ? r : endpoint_copy(address, ep->address, NAMING_ADDRESS_MAX, e);
}

static size_t endpoint_split(struct span text, struct span parts[ENDPOINT_PARTS])
{
    size_t n = 0, start = 0;

    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && text.p[i] != '@')
            continue;
        if (n < ENDPOINT_PARTS)
            parts[n] = span_of(text.p + start, i - start);
        n++;
        start = i + 1;
    }
    return n;
}

/* The parts that both numbered forms have. */
static int endpoint_parse_common(const struct span *parts, struct naming_endpoint *ep,
                                 struct err *e)
{
    int r = endpoint_set(ep, parts[1].len > 0 ? parts[1] : span_str("tcp"),
                         parts[2].len > 0 ? parts[2] : span_str(":0"), e);

    if (r < 0)
        return r;
    r = naming_rid_parse(parts[3], &ep->rid, e);
    if (r < 0)
        err_prefix(e, 0, "invalid routing id: ");
    return r;
}

static int endpoint_parse_version(struct span part, uint32_t *ret_version, struct err *e)
{
    uint64_t v = 0;
    int r = part.len > 0 ? naming_number_parse(part, UINT32_MAX, &v, e) : 0;

    if (r < 0) {
        /* The doubled prefix and the odd end are the reference's (spec: stream 2.2, 7). */
        if (e != NULL)
            err_set(e, WSPR_EINVAL, "invalid IPC version: invalid IPC version: %s, %%!v(MISSING)",
                    err_text(e));
        return WSPR_EINVAL;
    }
    *ret_version = (uint32_t)v;
    return 0;
}

static int endpoint_parse_numbered(const struct span *parts, size_t n, struct naming_endpoint *ep,
                                   struct err *e)
{
    uint64_t form;
    int r = naming_number_parse(parts[0], UINT16_MAX, &form, e);

    if (r < 0) {
        err_prefix(e, 0, "invalid version: ");
        return r;
    }
    if (!(form == 1 && n == 4) && !(form == 2 && n == 6))
        return endpoint_invalid(e);
    r = endpoint_parse_common(parts, ep, e);
    if (r == 0 && form == 2)
        r = endpoint_parse_version(parts[4], &ep->versions.min, e);
    if (r == 0 && form == 2)
        r = endpoint_parse_version(parts[5], &ep->versions.max, e);
    return r;
}

int naming_endpoint_parse(struct span text, struct naming_endpoint *ret_ep, struct err *e)
{
    struct naming_endpoint ep = {.protocol = ""};
    struct span parts[ENDPOINT_PARTS];
    size_t n;
    int r;

    if (text.len >= 2 && text.p[text.len - 1] == '@' && text.p[text.len - 2] == '@')
        text.len -= 2;
    if (text.len >= 1 && text.p[0] == '@')
        text = span_of(text.p + 1, text.len - 1);
    n = endpoint_split(text, parts);
    if (n > 1)
        r = endpoint_parse_numbered(parts, n, &ep, e);
    else if (naming_hostport_split(text, NULL, NULL))
        r = endpoint_set(&ep, span_str("tcp"), text, e);
    else
        r = endpoint_invalid(e);
    if (r == 0)
        *ret_ep = ep;
    return r;
}

static size_t span_count(struct span s, uint8_t c)
{
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += s.p[i] == c;
    return n;
}

bool naming_hostport_split(struct span text, struct span *ret_host, struct span *ret_port)
{
    const uint8_t *colon = text.len > 0 ? memrchr(text.p, ':', text.len) : NULL;
    struct span host, port;

    if (colon == NULL)
        return false;
    host = span_of(text.p, (size_t)(colon - text.p));
    port = span_of(colon + 1, text.len - host.len - 1);
    if (text.p[0] == '[') {
        if (host.p[host.len - 1] != ']' || span_count(text, '[') != 1 || span_count(text, ']') != 1)
            return false;
        host = span_of(host.p + 1, host.len - 2);
    } else if (span_count(host, ':') > 0 || span_count(host, '%') > 0 ||
               span_count(text, '[') > 0 || span_count(text, ']') > 0) {
        return false;
    }
    if (ret_host != NULL)
        *ret_host = host;
    if (ret_port != NULL)
        *ret_port = port;
    return true;
}

/* Appends to a text that has room. */
static size_t text_add(char *out, size_t at, const char *s)
{
    size_t n = strlen(s);

    memcpy(out + at, s, n + 1);
    return at + n;
}

static size_t text_add_version(char *out, size_t at, uint32_t v)
{
    char digits[11];
    size_t i = sizeof digits - 1;

    digits[i] = '\0';
    for (; v != 0; v /= 10)
        digits[--i] = (char)('0' + v % 10);
    at = text_add(out, at, "@");
    return text_add(out, at, digits + i);
}

size_t naming_endpoint_text(const struct naming_endpoint *ep, char out[NAMING_ENDPOINT_TEXT_MAX])
{
    size_t n = text_add(out, 0, "@2@");

    n = text_add(out, n, ep->protocol);
    n = text_add(out, n, "@");
    n = text_add(out, n, ep->address);
    n = text_add(out, n, "@");
    naming_rid_format(&ep->rid, out + n);
    n += NAMING_RID_TEXT_LEN;
    n = text_add_version(out, n, ep->versions.min);
    n = text_add_version(out, n, ep->versions.max);
    return text_add(out, n, "@@");
}

void naming_endpoint_format(struct buf *out, const struct naming_endpoint *ep)
{
    char text[NAMING_ENDPOINT_TEXT_MAX];

    buf_append(out, text, naming_endpoint_text(ep, text));
}

int naming_endpoint_make(struct naming_endpoint *ret_ep, struct span protocol, struct span address,
                         const struct naming_rid *rid, struct err *e)
{
    struct naming_endpoint ep = {.rid = *rid, .versions = {NAMING_VERSION_MIN, NAMING_VERSION_MAX}};
    int r = endpoint_set(&ep, protocol, address, e);

    if (r == 0)
        *ret_ep = ep;
    return r;
}

bool naming_endpoint_equal(const struct naming_endpoint *a, const struct naming_endpoint *b)
{
    return strcmp(a->protocol, b->protocol) == 0 && strcmp(a->address, b->address) == 0 &&
           naming_rid_equal(&a->rid, &b->rid) && a->versions.min == b->versions.min &&
           a->versions.max == b->versions.max;
}

void naming_endpoint_compose(struct buf *out, struct span protocol, struct span address,
                             const struct naming_rid *rid, const struct naming_versions *versions)
{
    char text[NAMING_RID_TEXT_LEN + 1] = "";

    if (rid != NULL)
        naming_rid_format(rid, text);
    buf_append_str(out, "@2@");
    buf_append_span(out, protocol);
    buf_u8(out, '@');
    buf_append_span(out, address);
    buf_printf(out, "@%s", text);
    if (versions != NULL)
        buf_printf(out, "@%u@%u@@", versions->min, versions->max);
    else
        buf_append_str(out, "@@@@");
}

static bool is_port(struct span text)
{
    uint32_t port = 0;
    size_t i;

    for (i = 0; i < text.len && text.p[i] >= '0' && text.p[i] <= '9' && port <= 65535; i++)
        port = port * 10 + (uint32_t)(text.p[i] - '0');
    return i > 0 && i == text.len && port <= 65535;
}

int naming_address_advertised(const char *bound, const char *advertise,
                              char ret_address[NAMING_ADDRESS_MAX + 1], struct err *e)
{
    size_t max = NAMING_ADDRESS_MAX + 1;
    struct span host, port;
    int n;

    if (advertise == NULL || advertise[0] == '\0')
        n = snprintf(ret_address, max, "%s", bound);
    else if (!naming_hostport_split(span_str(advertise), &host, &port) || host.len == 0 ||
             !is_port(port))
        return err_set(e, WSPR_EINVAL, "\"%s\" is no address: host:port is wanted", advertise);
    else if (span_equal_str(port, "0"))
        n = snprintf(ret_address, max, "%.*s%s", (int)(strlen(advertise) - 2), advertise,
                     strrchr(bound, ':') != NULL ? strrchr(bound, ':') : "");
    else
        n = snprintf(ret_address, max, "%s", advertise);
    if (n < 0 || (size_t)n >= max)
        return err_set(e, WSPR_ELIMIT, "the address is too long");
    return 0;
}

int naming_endpoint_proxied(const struct naming_rid *server, const struct naming_endpoint *proxy,
                            struct naming_endpoint *ret_ep, struct err *e)
{
    struct naming_versions ours = {NAMING_VERSION_MIN, NAMING_VERSION_MAX};
    struct naming_endpoint ep = *proxy;
    char text[NAMING_ENDPOINT_TEXT_MAX];

    ep.rid = *server;
    if (naming_versions_intersect(ours, proxy->versions, &ep.versions, NULL) < 0) {
        naming_endpoint_text(proxy, text);
        return err_set(e, WSPR_EINVAL, "attempting to register with incompatible proxy: %s", text);
    }
    *ret_ep = ep;
    return 0;
}

#include "config.h"
#include "loop/addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static int addr_bad(struct err *e, const char *what, const char *text)
{
    return err_set(e, WSPR_EINVAL, "%s in address %s", what, text);
}

int loop_addr_split(const char *text, const char **ret_host, size_t *ret_len, const char **ret_port,
                    struct err *e)
{
    const char *colon = strrchr(text, ':'), *host = text;
    size_t len;

    if (colon == NULL)
        return addr_bad(e, "missing port", text);
    if (text[0] == '[') {
        const char *end = strchr(text, ']');

        if (end == NULL)
            return addr_bad(e, "missing ']'", text);
        if (end[1] == '\0')
            return addr_bad(e, "missing port", text);
        if (end + 1 != colon)
            return addr_bad(e, end[1] == ':' ? "too many colons" : "missing port", text);
        host = text + 1;
        len = (size_t)(end - host);
    } else {
        len = (size_t)(colon - text);
        if (memchr(text, ':', len) != NULL)
            return addr_bad(e, "too many colons", text);
    }
    *ret_host = host;
    *ret_len = len;
    *ret_port = colon + 1;
    return 0;
}

int loop_addr_port(const char *text, uint16_t *ret_port, struct err *e)
{
    unsigned port = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9' && port <= UINT16_MAX; p++)
        port = port * 10 + (unsigned)(*p - '0');
    if (*p != '\0' || port > UINT16_MAX)
        return err_set(e, WSPR_EINVAL, "unknown port tcp/%s", text);
    *ret_port = (uint16_t)port;
    return 0;
}

int loop_addr_check(const char *text, struct err *e)
{
    const char *host, *port;
    uint16_t number;
    size_t len;
    int r = loop_addr_split(text, &host, &len, &port, e);

    return r < 0 ? r : loop_addr_port(port, &number, e);
}

bool loop_addr_literal(struct loop_addr *a, const char *host, size_t len, uint16_t port,
                       bool passive)
{
    struct loop_addr made;
    char text[INET6_ADDRSTRLEN];

    if (len >= sizeof text)
        return false;
    memcpy(text, host, len);
    text[len] = '\0';
    memset(&made, 0, sizeof made);
    if (len == 0) {
        made.u.in.sin_family = AF_INET;
        made.u.in.sin_addr.s_addr = htonl(passive ? INADDR_ANY : INADDR_LOOPBACK);
    } else if (inet_pton(AF_INET, text, &made.u.in.sin_addr) == 1) {
        made.u.in.sin_family = AF_INET;
    } else if (inet_pton(AF_INET6, text, &made.u.in6.sin6_addr) == 1) {
        made.u.in6.sin6_family = AF_INET6;
    } else {
        return false;
    }
    if (made.u.sa.sa_family == AF_INET) {
        made.u.in.sin_port = htons(port);
        made.len = sizeof made.u.in;
    } else {
        made.u.in6.sin6_port = htons(port);
        made.len = sizeof made.u.in6;
    }
    *a = made;
    return true;
}

/* Each connection is named once or twice: printf() for this would be a tenth of what it costs. */
static char *put_number(char *p, unsigned n)
{
    char digits[5];
    int k = 0;

    do
        digits[k++] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    while (k > 0)
        *p++ = digits[--k];
    return p;
}

static void put_ip4(char *p, const struct sockaddr_in *in)
{
    uint32_t ip = ntohl(in->sin_addr.s_addr);

    for (int shift = 24; shift >= 0; shift -= 8) {
        p = put_number(p, ip >> shift & 0xff);
        *p++ = shift > 0 ? '.' : ':';
    }
    *put_number(p, ntohs(in->sin_port)) = '\0';
}

const char *loop_addr_text(const struct loop_addr *a, char out[LOOP_ADDR_TEXT])
{
    char ip[INET6_ADDRSTRLEN];

    out[0] = '\0';
    if (a->len == 0)
        return out;
    if (a->u.sa.sa_family == AF_INET) {
        put_ip4(out, &a->u.in);
    } else if (a->u.sa.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a->u.in6.sin6_addr, ip, sizeof ip);
        snprintf(out, LOOP_ADDR_TEXT, "[%s]:%u", ip, ntohs(a->u.in6.sin6_port));
    }
    return out;
}

bool loop_addr_is_loopback(const struct loop_addr *a)
{
    if (a->len == 0)
        return false;
    if (a->u.sa.sa_family == AF_INET)
        return ntohl(a->u.in.sin_addr.s_addr) >> 24 == 127;
    if (IN6_IS_ADDR_V4MAPPED(&a->u.in6.sin6_addr))
        return a->u.in6.sin6_addr.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&a->u.in6.sin6_addr);
}

bool loop_addr_equal(const struct loop_addr *a, const struct loop_addr *b)
{
    if (a->len != b->len || a->len == 0 || a->u.sa.sa_family != b->u.sa.sa_family)
        return false;
    if (a->u.sa.sa_family == AF_INET)
        return a->u.in.sin_port == b->u.in.sin_port &&
               a->u.in.sin_addr.s_addr == b->u.in.sin_addr.s_addr;
    return a->u.in6.sin6_port == b->u.in6.sin6_port &&
           a->u.in6.sin6_scope_id == b->u.in6.sin6_scope_id &&
           memcmp(&a->u.in6.sin6_addr, &b->u.in6.sin6_addr, sizeof a->u.in6.sin6_addr) == 0;
}

const char *loop_errno_text(int err, char *out, size_t size)
{
    /* The GNU form, which need not use `out`. */
    const char *text = strerror_r(err, out, size);

    if (text != out)
        snprintf(out, size, "%s", text);
    if (isupper((unsigned char)out[0]) && !isupper((unsigned char)out[1]))
        out[0] = (char)tolower((unsigned char)out[0]);
    return out;
}

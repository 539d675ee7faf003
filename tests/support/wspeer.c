#include "config.h"
#include "wspeer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "child.h"

#define WSPEER_KEY   "AAECAwQFBgcICQoLDA0ODw=="
#define WSPEER_GUID  "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define WSPEER_MAX   (64u << 20)
#define WSPEER_CHUNK 65536
#define WSPEER_TURNS 30000 /* of a millisecond, for the other side to read */

static int wspeer_fail(struct wspeer *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int wspeer_fail(struct wspeer *p, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(p->error, sizeof p->error, fmt, ap);
    va_end(ap);
    return -1;
}

int wspeer_tcp(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

int wspeer_send_raw(struct wspeer *p, const void *data, size_t len)
{
    int flags = MSG_NOSIGNAL | (p->turn != NULL ? MSG_DONTWAIT : 0);
    const uint8_t *at = data;
    int turns = 0;

    while (len > 0) {
        ssize_t n = send(p->fd, at, len, flags);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN && p->turn != NULL && turns++ < WSPEER_TURNS) {
            p->turn(p->turn_arg);
            continue;
        }
        if (n < 0)
            return wspeer_fail(p, "send: %s", strerror(errno));
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Takes more bytes in; the result is that of a frame that is not there yet. */
static enum wspeer_result wspeer_fill(struct wspeer *p, long long until)
{
    struct pollfd poll_fd = {p->fd, POLLIN, 0};
    long long left = until - child_now_ms();
    ssize_t n;
    int r = poll(&poll_fd, 1, left > 0 ? (int)left : 0);

    if (r < 0 && errno == EINTR)
        return WSPEER_FRAME;
    if (r <= 0)
        return WSPEER_TIMEOUT;
    if (p->in_cap - p->in_len < WSPEER_CHUNK + 1) {
        size_t cap = p->in_cap * 2 + WSPEER_CHUNK + 1;
        uint8_t *in = realloc(p->in, cap);

        if (in == NULL) {
            wspeer_fail(p, "out of memory");
            return WSPEER_ERROR;
        }
        p->in = in;
        p->in_cap = cap;
    }
    n = recv(p->fd, p->in + p->in_len, WSPEER_CHUNK, 0);
    if (n > 0) {
        p->in_len += (size_t)n;
        return WSPEER_FRAME;
    }
    if (n == 0) {
        wspeer_fail(p, "the other side closed the connection");
        return WSPEER_EOF;
    }
    wspeer_fail(p, "recv: %s", strerror(errno));
    return errno == ECONNRESET ? WSPEER_EOF : WSPEER_ERROR;
}

static void wspeer_take(struct wspeer *p, size_t n)
{
    memmove(p->in, p->in + n, p->in_len - n);
    p->in_len -= n;
}

/* Reads a request or response head; the caller frees. */
static char *wspeer_head(struct wspeer *p, int timeout_ms)
{
    long long until = child_now_ms() + timeout_ms;
    char *head;

    for (;;) {
        uint8_t *end = p->in_len > 0 ? memmem(p->in, p->in_len, "\r\n\r\n", 4) : NULL;
        enum wspeer_result r;

        if (end != NULL) {
            size_t n = (size_t)(end - p->in) + 4;

            head = malloc(n + 1);
            if (head != NULL) {
                memcpy(head, p->in, n);
                head[n] = '\0';
            }
            wspeer_take(p, n);
            return head;
        }
        r = wspeer_fill(p, until);
        if (r != WSPEER_FRAME) {
            if (r == WSPEER_TIMEOUT)
                wspeer_fail(p, "no head in %d ms", timeout_ms);
            return NULL;
        }
    }
}

static void wspeer_accept_key(const char *key, size_t len, char *out)
{
    struct sha1_ctx sha;
    uint8_t digest[SHA1_DIGEST_SIZE];

    sha1_init(&sha);
    sha1_update(&sha, len, (const uint8_t *)key);
    sha1_update(&sha, strlen(WSPEER_GUID), (const uint8_t *)WSPEER_GUID);
    sha1_digest(&sha, sizeof digest, digest);
    base64_encode_raw(out, sizeof digest, digest);
    out[BASE64_ENCODE_RAW_LENGTH(SHA1_DIGEST_SIZE)] = '\0';
}

int wspeer_connect(struct wspeer *p, int port, const char *path, const char *headers,
                   int timeout_ms)
{
    return wspeer_connect_early(p, port, path, headers, NULL, 0, timeout_ms);
}

int wspeer_connect_early(struct wspeer *p, int port, const char *path, const char *headers,
                         const void *early, size_t early_len, int timeout_ms)
{
    char request[4096], expected[512], accept_key[64];
    char *head;
    int n, r = 0;

    memset(p, 0, sizeof *p);
    p->client = true;
    p->fd = wspeer_tcp(port);
    if (p->fd < 0)
        return wspeer_fail(p, "connect to port %d: %s", port, strerror(errno));
    n = snprintf(request, sizeof request,
                 "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Key: " WSPEER_KEY "\r\n"
                 "Sec-WebSocket-Version: 13\r\n%s\r\n",
                 path, port, headers != NULL ? headers : "");
    if (n < 0 || (size_t)n + early_len >= sizeof request)
        return wspeer_fail(p, "the request is too long");
    if (early_len > 0)
        memcpy(request + n, early, early_len);
    if (wspeer_send_raw(p, request, (size_t)n + early_len) < 0)
        return -1;
    head = wspeer_head(p, timeout_ms);
    if (head == NULL)
        return -1;
    wspeer_accept_key(WSPEER_KEY, strlen(WSPEER_KEY), accept_key);
    snprintf(expected, sizeof expected,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             accept_key);
    if (strcmp(head, expected) != 0)
        r = wspeer_fail(p, "not the 101 that was expected: %.150s", head);
    free(head);
    return r;
}

int wspeer_accept(struct wspeer *p, int fd, int timeout_ms)
{
    static const char header[] = "Sec-WebSocket-Key: ";
    char response[512], accept_key[64];
    const char *key;
    char *head;
    int n, one = 1;

    memset(p, 0, sizeof *p);
    p->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    head = wspeer_head(p, timeout_ms);
    if (head == NULL)
        return -1;
    key = strstr(head, header);
    if (key != NULL) {
        key += strlen(header);
        wspeer_accept_key(key, strcspn(key, "\r"), accept_key);
    }
    free(head);
    if (key == NULL)
        return wspeer_fail(p, "the request has no key");
    n = snprintf(response, sizeof response,
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                 accept_key);
    return wspeer_send_raw(p, response, (size_t)n);
}

void wspeer_close(struct wspeer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    free(p->in);
    free(p->frame);
    p->frame = NULL;
    p->in = NULL;
    p->in_len = p->in_cap = 0;
}

int wspeer_send(struct wspeer *p, unsigned first, const void *data, size_t len)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t *frame = malloc(len + 14);
    size_t n = 0;
    int r;

    if (frame == NULL)
        return wspeer_fail(p, "out of memory");
    frame[n++] = (uint8_t)first;
    if (len < 126) {
        frame[n++] = (uint8_t)len;
    } else if (len < 65536) {
        frame[n++] = 126;
        frame[n++] = (uint8_t)(len >> 8);
        frame[n++] = (uint8_t)len;
    } else {
        frame[n++] = 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            frame[n++] = (uint8_t)((uint64_t)len >> shift);
    }
    if (p->client) {
        frame[1] |= 0x80;
        memcpy(frame + n, key, 4);
        n += 4;
    }
    for (size_t i = 0; i < len; i++)
        frame[n + i] = ((const uint8_t *)data)[i] ^ (p->client ? key[i % 4] : 0);
    r = wspeer_send_raw(p, frame, n + len);
    free(frame);
    return r;
}

int wspeer_send_text(struct wspeer *p, const char *text)
{
    return wspeer_send(p, WSPEER_FIN | WSPEER_TEXT, text, strlen(text));
}

/* Bytes of the header, 0 if more are needed; *ret_len is the payload's length. */
static size_t wspeer_frame_head(const struct wspeer *p, uint64_t *ret_len)
{
    size_t n = 2, wide;

    if (p->in_len < 2)
        return 0;
    *ret_len = p->in[1] & 0x7f;
    wide = *ret_len == 126 ? 2 : *ret_len == 127 ? 8 : 0;
    if (p->in_len < n + wide)
        return 0;
    if (wide > 0)
        *ret_len = 0;
    for (size_t i = 0; i < wide; i++)
        *ret_len = *ret_len << 8 | p->in[n + i];
    n += wide;
    if (p->in[1] & 0x80)
        n += 4;
    return p->in_len < n ? 0 : n;
}

/* The rules that this side may expect the other to keep. */
static int wspeer_check(struct wspeer *p, uint64_t len)
{
    unsigned coded = p->in[1] & 0x7f;

    if (p->in[0] & 0x70)
        return wspeer_fail(p, "reserved bits: first byte 0x%02x", p->in[0]);
    if (!(p->in[1] & 0x80) != p->client)
        return wspeer_fail(p, "wrong mask bit");
    if ((coded == 126 && len < 126) || (coded == 127 && len < 65536))
        return wspeer_fail(p, "length not in its shortest form");
    if (len > WSPEER_MAX)
        return wspeer_fail(p, "a frame of %llu bytes", (unsigned long long)len);
    if ((p->in[0] & 0x08) && (len > 125 || !(p->in[0] & 0x80)))
        return wspeer_fail(p, "a long or fragmented control frame");
    if (p->client && !(p->in[0] & 0x80))
        return wspeer_fail(p, "a fragment");
    return 0;
}

enum wspeer_result wspeer_recv(struct wspeer *p, struct wspeer_frame *ret_frame, int timeout_ms)
{
    long long until = child_now_ms() + timeout_ms;

    for (;;) {
        uint64_t len = 0;
        size_t head = wspeer_frame_head(p, &len);
        enum wspeer_result r;

        if (head > 0 && wspeer_check(p, len) < 0)
            return WSPEER_ERROR;
        if (head > 0 && p->in_len - head >= len) {
            uint8_t *data = malloc((size_t)len + 1);

            if (data == NULL)
                return WSPEER_ERROR;
            for (size_t i = 0; i < len; i++)
                data[i] = p->in[head + i] ^ (p->client ? 0 : p->in[head - 4 + i % 4]);
            data[len] = '\0';
            ret_frame->op = p->in[0] & 0x0f;
            ret_frame->fin = p->in[0] & 0x80;
            ret_frame->len = (size_t)len;
            wspeer_take(p, head + (size_t)len);
            free(p->frame);
            p->frame = ret_frame->data = data;
            return WSPEER_FRAME;
        }
        r = wspeer_fill(p, until);
        if (r != WSPEER_FRAME)
            return r;
    }
}

enum wspeer_result wspeer_recv_message(struct wspeer *p, struct wspeer_frame *ret_frame,
                                       int timeout_ms)
{
    long long until = child_now_ms() + timeout_ms;

    for (;;) {
        long long left = until - child_now_ms();
        enum wspeer_result r = wspeer_recv(p, ret_frame, left > 0 ? (int)left : 0);

        if (r != WSPEER_FRAME)
            return r;
        if (ret_frame->op == WSPEER_PING) {
            if (wspeer_send(p, WSPEER_FIN | WSPEER_PONG, ret_frame->data, ret_frame->len) < 0)
                return WSPEER_ERROR;
        } else if (ret_frame->op != WSPEER_PONG) {
            return r;
        }
    }
}

char *wspeer_http(int port, const char *request, size_t len, int timeout_ms, bool *ret_closed)
{
    long long until = child_now_ms() + timeout_ms;
    struct wspeer p = {.fd = wspeer_tcp(port)};
    enum wspeer_result r = WSPEER_FRAME;
    char *text;

    if (p.fd < 0)
        return NULL;
    /* The answer may come before all of the request is sent. */
    wspeer_send_raw(&p, request, len);
    while (r == WSPEER_FRAME)
        r = wspeer_fill(&p, until);
    if (ret_closed != NULL)
        *ret_closed = r == WSPEER_EOF;
    text = malloc(p.in_len + 1);
    if (text != NULL) {
        if (p.in_len > 0)
            memcpy(text, p.in, p.in_len);
        text[p.in_len] = '\0';
    }
    wspeer_close(&p);
    return text;
}

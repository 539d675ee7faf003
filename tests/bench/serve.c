/*
 * wspr-bench-page: a page that serves an object with the methods of the sample cache that
 * wspr-bench calls (get, set). Prints "Listening at: <endpoint>" and answers until it is killed;
 * all calls that came in one read are answered in one write.
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "wire.h"

#define PAGE_IN  (1024u * 1024)
#define PAGE_OUT (1024u * 1024)

struct bench_page {
    int fd;
    size_t in_len, out_len;
    uint8_t in[PAGE_IN], out[PAGE_OUT];
};

static void page_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void page_die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("wspr-bench-page: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

static void page_flush(struct bench_page *p)
{
    size_t off = 0;

    while (off < p->out_len) {
        ssize_t n = send(p->fd, p->out + off, p->out_len - off, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            page_die("send: %s", strerror(errno));
        off += n > 0 ? (size_t)n : 0;
    }
    p->out_len = 0;
}

static void page_put(struct bench_page *p, const char *text)
{
    size_t len = strlen(text);

    if (p->out_len + len + WIRE_HEAD_MAX > sizeof p->out)
        page_flush(p);
    p->out_len += wire_put_head(p->out + p->out_len, len, true);
    memcpy(p->out + p->out_len, text, len);
    p->out_len += len;
}

/* Reads more; what is there moves to the front before, without the first `used` bytes. */
static void page_read(struct bench_page *p, size_t used)
{
    ssize_t n;

    memmove(p->in, p->in + used, p->in_len - used);
    p->in_len -= used;
    n = recv(p->fd, p->in + p->in_len, sizeof p->in - p->in_len, 0);
    if (n <= 0)
        page_die("the server closed the connection");
    p->in_len += (size_t)n;
}

static void page_connect(struct bench_page *p, int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    char request[512];
    uint8_t *end;
    int one = 1, n;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&a, sizeof a) != 0)
        page_die("connect: %s", strerror(errno));
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    n = snprintf(request, sizeof request,
                 "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"
                 "Sec-WebSocket-Version: 13\r\n\r\n",
                 port);
    if (send(p->fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        page_die("send: %s", strerror(errno));
    do {
        page_read(p, 0);
        end = memmem(p->in, p->in_len, "\r\n\r\n", 4);
    } while (end == NULL);
    if (memcmp(p->in, "HTTP/1.1 101", 12) != 0)
        page_die("not a 101: %.*s", (int)p->in_len, (char *)p->in);
    p->in_len -= (size_t)(end - p->in) + 4;
    memmove(p->in, end + 4, p->in_len);
}

static void page_serve(struct bench_page *p)
{
    page_put(p, "{\"id\":1,\"data\":\"{\\\"serverId\\\":1,\\\"service\\\":{"
                "\\\"get\\\":{\\\"inArgs\\\":[\\\"key\\\"],\\\"numOutArgs\\\":2},"
                "\\\"set\\\":{\\\"inArgs\\\":[\\\"key\\\",\\\"value\\\"],\\\"numOutArgs\\\":1}}}\","
                "\"type\":1}");
    page_flush(p);
}

/* One frame of the server: the endpoint, a call, or something that needs no answer. */
static void page_frame(struct bench_page *p, const char *text, size_t len)
{
    static const char call[] = "\\\"type\\\": 3, ";
    const char *at = memmem(text, len, "\\\"@", 3);
    char reply[256];

    if (memmem(text, len < 64 ? len : 64, call, sizeof call - 1) != NULL) {
        bool get = memmem(text, len, "\\\"get\\\"", 7) != NULL;

        snprintf(reply, sizeof reply,
                 "{\"id\":%lld,\"data\":\"{\\\"results\\\":[%s],\\\"err\\\":null}\",\"type\":2}",
                 strtoll(text + 7, NULL, 10), get ? "\\\"sixteen-bytes-ok\\\"" : "");
        page_put(p, reply);
    } else if (at != NULL && memmem(text, len, "mounttableRoot", 14) == NULL) {
        at += 2;
        printf("Listening at: %.*s\n", (int)strcspn(at, "\\"), at);
        fflush(stdout);
    } else if (memmem(text, len, "\\\"type\\\": 2", 11) != NULL) {
        page_die("%.*s", (int)len, text);
    }
}

int main(int argc, char **argv)
{
    static struct bench_page p;
    struct wire_frame f;

    if (argc != 2)
        page_die("usage: wspr-bench-page PORT");
    page_connect(&p, (int)strtol(argv[1], NULL, 10));
    page_serve(&p);
    for (size_t at = 0;; at = 0) {
        while (wire_parse(p.in + at, p.in_len - at, &f) && f.len <= p.in_len - at - f.head) {
            if ((f.first & 0x0f) == 1)
                page_frame(&p, (char *)p.in + at + f.head, (size_t)f.len);
            at += f.head + (size_t)f.len;
        }
        page_flush(&p);
        page_read(&p, at);
    }
}

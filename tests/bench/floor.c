/*
 * The floor: the least that a WebSocket server on epoll does for a message. It reads, unmasks,
 * writes the same payload back, and nothing else; one read and one write for all messages that
 * arrive together. What wsprd costs is given as a multiple of what this costs in the same run.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

#define FLOOR_BUFFER 65536

struct floor_conn {
    int fd;
    bool open; /* the handshake is done */
    uint8_t *rest;
    size_t rest_len; /* an incomplete frame of the last read */
};

static uint8_t floor_in[2 * FLOOR_BUFFER], floor_out[4 * FLOOR_BUFFER];

static void floor_end(struct floor_conn *c)
{
    close(c->fd);
    free(c->rest);
    free(c);
}

static bool floor_send(struct floor_conn *c, const uint8_t *p, size_t n)
{
    /* The benchmarks always read, so a full socket is an error here. */
    return send(c->fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static bool floor_handshake(struct floor_conn *c, uint8_t *p, size_t n)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    static const char name[] = "Sec-WebSocket-Key: ";
    uint8_t digest[SHA1_DIGEST_SIZE];
    char accept_key[64], response[256];
    struct sha1_ctx sha;
    const char *key;
    int len;

    p[n] = '\0';
    key = strstr((char *)p, name);
    if (key == NULL || strstr(key, "\r\n\r\n") == NULL)
        return false;
    key += sizeof name - 1;
    sha1_init(&sha);
    sha1_update(&sha, strcspn(key, "\r"), (const uint8_t *)key);
    sha1_update(&sha, sizeof guid - 1, (const uint8_t *)guid);
    sha1_digest(&sha, sizeof digest, digest);
    base64_encode_raw(accept_key, sizeof digest, digest);
    accept_key[BASE64_ENCODE_RAW_LENGTH(SHA1_DIGEST_SIZE)] = '\0';
    len = snprintf(response, sizeof response,
                   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                   accept_key);
    c->open = true;
    return floor_send(c, (uint8_t *)response, (size_t)len);
}

static bool floor_keep(struct floor_conn *c, const uint8_t *p, size_t n)
{
    free(c->rest);
    c->rest = NULL;
    c->rest_len = n;
    if (n == 0)
        return true;
    c->rest = malloc(n);
    if (c->rest != NULL)
        memcpy(c->rest, p, n);
    return c->rest != NULL && n <= FLOOR_BUFFER;
}

/* Echoes every complete frame of the input; false ends the connection. */
static bool floor_echo(struct floor_conn *c, uint8_t *p, size_t n)
{
    struct wire_frame f;
    size_t out = 0;

    while (wire_parse(p, n, &f) && f.len <= n - f.head) {
        if ((f.first & 0x0f) == 8)
            return false;
        wire_unmask(p + f.head, (size_t)f.len, f.mask);
        out += wire_put_head(floor_out + out, f.len, false);
        memcpy(floor_out + out, p + f.head, (size_t)f.len);
        out += (size_t)f.len;
        p += f.head + f.len;
        n -= f.head + (size_t)f.len;
    }
    return floor_keep(c, p, n) && (out == 0 || floor_send(c, floor_out, out));
}

static bool floor_read(struct floor_conn *c)
{
    ssize_t n;

    if (c->rest_len > 0)
        memcpy(floor_in, c->rest, c->rest_len);
    n = recv(c->fd, floor_in + c->rest_len, FLOOR_BUFFER - 1, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        return false;
    n += (ssize_t)c->rest_len;
    return c->open ? floor_echo(c, floor_in, (size_t)n) : floor_handshake(c, floor_in, (size_t)n);
}

static void floor_accept(int epoll, int listener)
{
    struct epoll_event e = {.events = EPOLLIN};
    struct floor_conn *c;
    int fd, one = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        c = calloc(1, sizeof *c);
        if (c == NULL) {
            close(fd);
            continue;
        }
        c->fd = fd;
        e.data.ptr = c;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
    }
}

int main(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    struct epoll_event events[256], e = {.events = EPOLLIN};
    socklen_t len = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&a, sizeof a) != 0 || listen(listener, 4096) != 0) {
        perror("floor");
        return 1;
    }
    getsockname(listener, (struct sockaddr *)&a, &len);
    printf("Listening at: 127.0.0.1:%d\n", ntohs(a.sin_port));
    fflush(stdout);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int n = epoll_wait(epoll, events, 256, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL)
                floor_accept(epoll, listener);
            else if (!floor_read(events[i].data.ptr))
                floor_end(events[i].data.ptr);
        }
    }
}

/* Pages: WebSocket clients that turn the gateway's loop while they wait. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "gwrig.h"
#include "json/writer.h"
#include "tap.h"

#define PAGE_KEY "AAECAwQFBgcICQoLDA0ODw=="

const char *page_quoted(const char *text)
{
    static struct buf ring[4];
    static unsigned at;
    struct buf *b = &ring[at++ % 4];

    if (b->max == 0)
        buf_init(b, 64 << 20);
    buf_reset(b);
    json_quote(b, span_str(text));
    return buf_cstr(b);
}

/* How much a socket takes is the system's affair: less, if others have much under way. */
static void let_gateway_read(void *g)
{
    gw_run(g, 1);
}

bool page_connect(struct page *p, struct gw *g)
{
    *p = (struct page){.g = g};
    p->peer.client = true;
    p->peer.turn = let_gateway_read;
    p->peer.turn_arg = g;
    p->peer.fd = wspeer_tcp(gateway_port(g->gateway));
    TAP_OK(p->peer.fd >= 0, "connect");
    return p->peer.fd >= 0;
}

/* The head of the answer is complete, or TCP has ended. */
static bool head_is_here(void *arg)
{
    struct page *p = arg;
    size_t n = strlen(p->head);

    /* One byte at a time: what follows the head stays in the socket. */
    while (n + 1 < sizeof p->head && strstr(p->head, "\r\n\r\n") == NULL) {
        ssize_t r = recv(p->peer.fd, p->head + n, 1, MSG_DONTWAIT);

        if (r <= 0)
            return r == 0;
        p->head[++n] = '\0';
    }
    return true;
}

bool page_open(struct page *p, struct gw *g, const char *headers, bool first)
{
    return page_open_at(p, g, "/ws", headers, first);
}

bool page_open_at(struct page *p, struct gw *g, const char *path, const char *headers, bool first)
{
    static const char expected[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                   "Connection: Upgrade\r\nSec-WebSocket-Accept: ";
    char request[4096];
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Key: " PAGE_KEY "\r\n"
                     "Sec-WebSocket-Version: 13\r\n%s\r\n",
                     path, gateway_port(g->gateway), headers != NULL ? headers : "");
    bool ok;

    if (!page_connect(p, g))
        return false;
    wspeer_send_raw(&p->peer, request, (size_t)n);
    gw_until(g, head_is_here, p, GW_TIMEOUT_MS);
    ok = strncmp(p->head, expected, strlen(expected)) == 0;
    TAP_OK(ok, "the answer to the handshake: %s", p->head);
    if (!ok)
        return false;
    return !first || page_recv(p) != NULL;
}

void page_drop(struct page *p)
{
    wspeer_close(&p->peer);
}

void page_send(struct page *p, const char *text)
{
    TAP_OK(wspeer_send_text(&p->peer, text) == 0, "send: %s", p->peer.error);
}

void page_message(struct page *p, long long id, long long type, const char *data)
{
    const char *quoted = page_quoted(data);
    size_t size = strlen(quoted) + 128;
    char *text = malloc(size);

    snprintf(text, size, "{\"id\":%lld,\"type\":%lld,\"data\":%s}", id, type, quoted);
    page_send(p, text);
    free(text);
}

struct waiting {
    struct page *page;
    struct wspeer_frame frame;
    enum wspeer_result r;
};

static bool has_frame(void *arg)
{
    struct waiting *w = arg;

    w->r = wspeer_recv(&w->page->peer, &w->frame, 0);
    return w->r != WSPEER_TIMEOUT;
}

const char *page_recv_for(struct page *p, int timeout_ms)
{
    struct waiting w = {p, {0}, WSPEER_TIMEOUT};

    while (gw_until(p->g, has_frame, &w, timeout_ms) && w.r == WSPEER_FRAME) {
        if (w.frame.op == WSPEER_TEXT)
            return (const char *)w.frame.data;
        if (w.frame.op == WSPEER_PING)
            wspeer_send(&p->peer, WSPEER_FIN | WSPEER_PONG, w.frame.data, w.frame.len);
        else if (w.frame.op == WSPEER_CLOSE)
            return NULL;
    }
    return NULL;
}

const char *page_recv(struct page *p)
{
    return page_recv_for(p, GW_TIMEOUT_MS);
}

void page_expect(struct page *p, const char *text)
{
    const char *got = page_recv(p);

    TAP_OK(got != NULL && strcmp(got, text) == 0, "expected %s, got %s", text,
           got != NULL ? got : "nothing");
}

void page_expect_reply(struct page *p, long long id, int type, const char *message)
{
    size_t size = strlen(message) * 2 + 256;
    char *data = malloc(size), *text = malloc(size * 2);

    snprintf(data, size, "{\"type\": %d, \"message\": %s}", type, message);
    snprintf(text, size * 2, "{\"id\": %lld, \"data\": %s, \"type\": 0}", id, page_quoted(data));
    page_expect(p, text);
    free(data);
    free(text);
}

void page_expect_error(struct page *p, long long id, const char *error_id, const char *text)
{
    const char *quoted = page_quoted(text);
    size_t size = strlen(quoted) + strlen(error_id) + 64;
    char *message = malloc(size);

    snprintf(message, size, "{\"iD\": \"%s\", \"msg\": %s}", error_id, quoted);
    page_expect_reply(p, id, WSPR_RESPONSE_ERROR, message);
    free(message);
}

void page_expect_silence(struct page *p)
{
    const char *got = page_recv_for(p, 50);

    TAP_OK(got == NULL, "expected nothing, got %s", got);
}

void page_expect_close(struct page *p, unsigned code)
{
    struct waiting w = {p, {0}, WSPEER_TIMEOUT};

    do {
        gw_until(p->g, has_frame, &w, GW_TIMEOUT_MS);
    } while (w.r == WSPEER_FRAME && w.frame.op != WSPEER_CLOSE);
    TAP_OK(w.r == WSPEER_FRAME, "no close frame: %s", p->peer.error);
    if (w.r != WSPEER_FRAME)
        return;
    if (code == 0)
        TAP_OK(w.frame.len == 0, "a close with %zu bytes", w.frame.len);
    else
        TAP_OK(w.frame.len >= 2 && (unsigned)(w.frame.data[0] << 8 | w.frame.data[1]) == code,
               "not code %u but %u", code,
               w.frame.len >= 2 ? (unsigned)(w.frame.data[0] << 8 | w.frame.data[1]) : 0);
    TAP_OK(page_wait_eof(p), "TCP stays open");
}

static bool has_ended(void *arg)
{
    struct page *p = arg;
    char bytes[65536];
    ssize_t n;

    while ((n = recv(p->peer.fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        ;
    return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

bool page_wait_eof(struct page *p)
{
    return gw_until(p->g, has_ended, p, GW_TIMEOUT_MS);
}

size_t page_swallow(struct page *p)
{
    size_t all = p->peer.in_len;
    char bytes[65536];
    ssize_t n;

    p->peer.in_len = 0;
    while ((n = recv(p->peer.fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        all += (size_t)n;
    return all;
}

#include "config.h"
#include "quiet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tap.h"
#include "unit/rpc/raw.h"

bool quiet_take(void *page)
{
    struct quiet_page *p = page;
    ssize_t n;

    while (!p->ended && p->len + 1 < sizeof p->in) {
        n = recv(p->fd, p->in + p->len, sizeof p->in - 1 - p->len, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n <= 0)
            p->ended = true;
        for (ssize_t i = 0; i < n; i++) {
            /* Frame heads hold NULs. */
            if (p->in[p->len + (size_t)i] == '\0')
                p->in[p->len + (size_t)i] = ' ';
        }
        p->len += n > 0 ? (size_t)n : 0;
    }
    p->in[p->len] = '\0';
    /* An envelope for whose decoding there is no memory is answered without an id. */
    return p->ended || strstr(p->in, p->wanted) != NULL ||
           strstr(p->in, "can't unmarshall JSONMessage: no memory") != NULL;
}

bool quiet_expect(struct quiet_page *p, const char *text)
{
    p->wanted = text;
    if (!raw_until(p->g->w, quiet_take, p, 15000)) {
        p->hung++;
        tap_note("nothing came: wanted %s, have %s", text, p->in);
        return false;
    }
    return strstr(p->in, text) != NULL;
}

void quiet_put(struct quiet_page *p, const char *text)
{
    uint8_t frame[8192] = {0x81, 0x80 | 126};
    size_t len = strlen(text);

    memset(frame + 8, ' ', 126); /* longer texts only: their heads are all alike */
    memcpy(frame + 8, text, len);
    if (len < 126)
        len = 126;
    frame[2] = (uint8_t)(len >> 8);
    frame[3] = (uint8_t)len; /* the mask is zero */
    send(p->fd, frame, len + 8, MSG_NOSIGNAL);
}

void quiet_open(struct quiet_page *p, struct gw *g)
{
    static const char head[] = "GET /ws?extras=cancel HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                               "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"
                               "Sec-WebSocket-Version: 13\r\n\r\n";

    *p = (struct quiet_page){.g = g, .fd = wspeer_tcp(gateway_port(g->gateway))};
    send(p->fd, head, sizeof head - 1, MSG_NOSIGNAL);
    TAP_IS(quiet_expect(p, "mounttableRoot"));
}

void quiet_close(struct quiet_page *p)
{
    close(p->fd);
    p->fd = -1;
}

/* The WebSocket handshake (spec: websocket 3), both roles. */
#ifndef WS_HANDSHAKE_H
#define WS_HANDSHAKE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"
#include "ws/http.h"

/* What a request lacks to be an upgrade; the first that fails counts. */
enum ws_handshake_fault {
    WS_HANDSHAKE_OK,
    WS_HANDSHAKE_VERSION,    /* Sec-WebSocket-Version is not 13 */
    WS_HANDSHAKE_CONNECTION, /* Connection has no token "upgrade" */
    WS_HANDSHAKE_UPGRADE,    /* Upgrade has no token "websocket" */
    WS_HANDSHAKE_KEY,        /* Sec-WebSocket-Key is absent or empty */
    WS_HANDSHAKE_BODY        /* the request announces a body, which would look like frames */
};

#define WS_ACCEPT_LEN 28
#define WS_KEY_LEN    24

enum ws_handshake_fault ws_handshake_check(const struct ws_http_head *request);
/* The fault as a sentence for the log. */
const char *ws_handshake_fault_text(enum ws_handshake_fault fault);
/* Writes the Sec-WebSocket-Accept value of a key and a NUL. */
void ws_handshake_accept(struct span key, char out[WS_ACCEPT_LEN + 1]);
/* Appends the 101 response to a request that passed the check. */
void ws_handshake_respond(struct buf *out, const struct ws_http_head *request);

/* Client: what to ask for. */
struct ws_handshake_request {
    const char *path;     /* NULL: "/ws" */
    const char *host;     /* value of Host */
    const char *origin;   /* NULL: no such header */
    const uint8_t *nonce; /* 16 random bytes */
    const char *const
        *extra; /* further complete header lines without CRLF, ended by NULL; may be NULL */
};

/* Appends the request; ret_key receives the key to check the response with, and a NUL. */
void ws_handshake_request(struct buf *out, const struct ws_handshake_request *request,
                          char ret_key[WS_KEY_LEN + 1]);
/* Checks the response to that key: 0, or WSPR_EPROTO with what is wrong. */
int ws_handshake_verify(const struct ws_http_head *response, const char *key, struct err *e);

#endif

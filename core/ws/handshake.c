#include "config.h"
#include "ws/handshake.h"

#include <string.h>

#include <nettle/base64.h>
#include <nettle/sha1.h>

#define HANDSHAKE_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

static bool request_has_body(const struct ws_http_head *request)
{
    return request->chunked || request->content_length > 0;
}

/* spec: websocket 3, in its order; the last one is ours. */
enum ws_handshake_fault ws_handshake_check(const struct ws_http_head *request)
{
    if (!span_equal_str(ws_http_header(request, "Sec-WebSocket-Version"), "13"))
        return WS_HANDSHAKE_VERSION;
    if (!ws_http_header_has_token(request, "Connection", "upgrade"))
        return WS_HANDSHAKE_CONNECTION;
    if (!ws_http_header_has_token(request, "Upgrade", "websocket"))
        return WS_HANDSHAKE_UPGRADE;
    if (ws_http_header(request, "Sec-WebSocket-Key").len == 0)
        return WS_HANDSHAKE_KEY;
    return request_has_body(request) ? WS_HANDSHAKE_BODY : WS_HANDSHAKE_OK;
}

const char *ws_handshake_fault_text(enum ws_handshake_fault fault)
{
    switch (fault) {
    case WS_HANDSHAKE_OK:
        return "a valid upgrade";
    case WS_HANDSHAKE_VERSION:
        return "Sec-WebSocket-Version is not 13";
    case WS_HANDSHAKE_CONNECTION:
        return "Connection does not say upgrade";
    case WS_HANDSHAKE_UPGRADE:
        return "Upgrade does not say websocket";
    case WS_HANDSHAKE_KEY:
        return "no Sec-WebSocket-Key";
    case WS_HANDSHAKE_BODY:
        return "the upgrade request has a body";
    }
    return "";
}

void ws_handshake_accept(struct span key, char out[WS_ACCEPT_LEN + 1])
{
    uint8_t digest[SHA1_DIGEST_SIZE];
    struct sha1_ctx ctx;

    sha1_init(&ctx);
    sha1_update(&ctx, key.len, key.p);
    sha1_update(&ctx, strlen(HANDSHAKE_GUID), (const uint8_t *)HANDSHAKE_GUID);
    sha1_digest(&ctx, sizeof digest, digest);
    base64_encode_raw(out, sizeof digest, digest);
    out[WS_ACCEPT_LEN] = '\0';
}

void ws_handshake_respond(struct buf *out, const struct ws_http_head *request)
{
    char accept[WS_ACCEPT_LEN + 1];

    ws_handshake_accept(ws_http_header(request, "Sec-WebSocket-Key"), accept);
    buf_append_str(out, "HTTP/1.1 101 Switching Protocols\r\n"
                        "Upgrade: websocket\r\n"
                        "Connection: Upgrade\r\n"
                        "Sec-WebSocket-Accept: ");
    buf_append_str(out, accept);
    buf_append_str(out, "\r\n\r\n");
}

void ws_handshake_request(struct buf *out, const struct ws_handshake_request *request,
                          char ret_key[WS_KEY_LEN + 1])
{
    base64_encode_raw(ret_key, 16, request->nonce);
    ret_key[WS_KEY_LEN] = '\0';
    buf_append_str(out, "GET ");
    buf_append_str(out, request->path != NULL ? request->path : "/ws");
    buf_append_str(out, " HTTP/1.1\r\nHost: ");
    buf_append_str(out, request->host);
    buf_append_str(out, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ");
    buf_append_str(out, ret_key);
    buf_append_str(out, "\r\n");
    if (request->origin != NULL) {
        buf_append_str(out, "Origin: ");
        buf_append_str(out, request->origin);
        buf_append_str(out, "\r\n");
    }
    for (size_t i = 0; request->extra != NULL && request->extra[i] != NULL; i++) {
        buf_append_str(out, request->extra[i]);
        buf_append_str(out, "\r\n");
    }
    buf_append_str(out, "\r\n");
}

int ws_handshake_verify(const struct ws_http_head *response, const char *key, struct err *e)
{
    char accept[WS_ACCEPT_LEN + 1];

    if (response->status != 101)
        return err_set(e, WSPR_EPROTO, "the server answered with status %d", response->status);
    if (!ws_http_header_has_token(response, "Upgrade", "websocket") ||
        !ws_http_header_has_token(response, "Connection", "upgrade"))
        return err_set(e, WSPR_EPROTO, "the server did not switch to websocket");
    ws_handshake_accept(span_str(key), accept);
    if (!span_equal_str(ws_http_header(response, "Sec-WebSocket-Accept"), accept))
        return err_set(e, WSPR_EPROTO, "the server's Sec-WebSocket-Accept does not fit the key");
    if (ws_http_header_count(response, "Sec-WebSocket-Extensions") > 0 ||
        ws_http_header_count(response, "Sec-WebSocket-Protocol") > 0)
        return err_set(e, WSPR_EPROTO, "the server chose what was not offered");
    return 0;
}

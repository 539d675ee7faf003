#include "config.h"

#include "failmalloc.h"
#include "ws/handshake.h"
#include "ws/surface.h"
#include "ws_tests.h"

static struct ws_http_head parsed(const char *text, bool response)
{
    struct ws_http_head h;

    ws_http_head_init(&h, response, NULL);
    TAP_OK(ws_http_head_feed(&h, (const uint8_t *)text, strlen(text), NULL) > 0, "%s", text);
    return h;
}

static void conditions(void)
{
    static const struct {
        const char *fields;
        enum ws_handshake_fault fault;
    } cases[] = {
        {"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: x\r\n",
         WS_HANDSHAKE_OK},
        {"uPGRADE: h2c, WebSocket\r\nconnection: keep-alive\r\nCONNECTION: x,upgrade\r\n"
         "sec-websocket-version: 13\r\nsec-websocket-key: x\r\n",
         WS_HANDSHAKE_OK},
        {"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: x\r\nContent-Length: 0\r\n",
         WS_HANDSHAKE_OK},
        {"", WS_HANDSHAKE_VERSION},
        {"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n",
         WS_HANDSHAKE_VERSION},
        {"Sec-WebSocket-Version: 13, 8\r\n", WS_HANDSHAKE_VERSION},
        {"Sec-WebSocket-Version: 013\r\n", WS_HANDSHAKE_VERSION},
        {"Sec-WebSocket-Version: 13\r\n", WS_HANDSHAKE_CONNECTION},
        {"Sec-WebSocket-Version: 13\r\nConnection: upgraded\r\n", WS_HANDSHAKE_CONNECTION},
        {"Sec-WebSocket-Version: 13\r\nConnection: upgrade\r\n", WS_HANDSHAKE_UPGRADE},
        {"Sec-WebSocket-Version: 13\r\nConnection: upgrade\r\nUpgrade: web socket\r\n",
         WS_HANDSHAKE_UPGRADE},
        {"Sec-WebSocket-Version: 13\r\nConnection: upgrade\r\nUpgrade: websocket\r\n",
         WS_HANDSHAKE_KEY},
        {"Sec-WebSocket-Version: 13\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Key: \r\n",
         WS_HANDSHAKE_KEY},
        {"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: x\r\nContent-Length: 1\r\n",
         WS_HANDSHAKE_BODY},
        {"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: x\r\nTransfer-Encoding: chunked\r\n",
         WS_HANDSHAKE_BODY},
    };
    char text[1000];

    for (size_t i = 0; i < COUNT(cases); i++) {
        static const char *const methods[] = {"GET", "POST"};

        for (size_t k = 0; k < 2; k++) {
            struct ws_http_head h;
            struct ws_http_answer answer;
            enum ws_route route;

            snprintf(text, sizeof text, "%s /ws HTTP/1.1\r\n%s\r\n", methods[k], cases[i].fields);
            h = parsed(text, false);
            TAP_OK(ws_handshake_check(&h) == cases[i].fault, "%s", text);
            route = ws_surface_route(&h, &answer);
            TAP_IS(answer.fault == cases[i].fault);
            TAP_IS(route == (cases[i].fault == 0 ? WS_ROUTE_UPGRADE : WS_ROUTE_REFUSED));
            TAP_IS(answer.status == (cases[i].fault == 0 ? 101 : 400));
            TAP_IS(ws_handshake_fault_text(cases[i].fault)[0] != '\0');
        }
    }
}

/* The example of RFC 6455, 1.3. */
static void accepts(void)
{
    char accept[WS_ACCEPT_LEN + 1];

    ws_handshake_accept(span_str("dGhlIHNhbXBsZSBub25jZQ=="), accept);
    TAP_OK(strcmp(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == 0, "%s", accept);
}

static void response_is_exact(void)
{
    struct ws_http_head h = parsed("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n"
                                   "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                   "Sec-WebSocket-Protocol: chat\r\n"
                                   "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
                                   false);
    struct buf out = BUF_INIT(1000);

    ws_handshake_respond(&out, &h);
    TAP_IS(strcmp(buf_cstr(&out),
                  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                  "Connection: Upgrade\r\n"
                  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n") == 0);
    buf_done(&out);
}

static void both_roles_agree(void)
{
    static const char *const extra[] = {"X-One: 1", "X-Two: 2", NULL};
    struct ws_handshake_request request = {.host = "localhost:8124",
                                           .origin = "http://localhost",
                                           .nonce = (const uint8_t *)"0123456789abcdef",
                                           .extra = extra};
    struct buf out = BUF_INIT(1000), answer = BUF_INIT(1000);
    struct ws_http_head h, response;
    char key[WS_KEY_LEN + 1];

    ws_handshake_request(&out, &request, key);
    TAP_IS(strlen(key) == WS_KEY_LEN);
    h = parsed(buf_cstr(&out), false);
    TAP_IS(ws_handshake_check(&h) == WS_HANDSHAKE_OK);
    TAP_IS(span_equal_str(h.path, "/ws") && h.len == out.len);
    TAP_IS(span_equal_str(ws_http_header(&h, "Sec-WebSocket-Key"), key));
    TAP_IS(span_equal_str(ws_http_header(&h, "Host"), "localhost:8124"));
    TAP_IS(span_equal_str(ws_http_header(&h, "Origin"), "http://localhost"));
    TAP_IS(span_equal_str(ws_http_header(&h, "X-Two"), "2"));
    ws_handshake_respond(&answer, &h);
    response = parsed(buf_cstr(&answer), true);
    TAP_IS(ws_handshake_verify(&response, key, NULL) == 0);
    key[0] ^= 1;
    TAP_IS(ws_handshake_verify(&response, key, NULL) == WSPR_EPROTO);
    buf_done(&out);
    buf_done(&answer);
}

static void bad_responses(void)
{
#define GOOD                                                                                       \
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"                                                \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    static const char *const cases[] = {
        "HTTP/1.1 200 OK\r\n" GOOD "\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 x\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 101 x\r\n" GOOD "Sec-WebSocket-Extensions: x\r\n\r\n",
        "HTTP/1.1 101 x\r\n" GOOD "Sec-WebSocket-Protocol: x\r\n\r\n",
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ws_http_head h = parsed(cases[i], true);
        struct err e = ERR_INIT;

        TAP_OK(ws_handshake_verify(&h, "dGhlIHNhbXBsZSBub25jZQ==", &e) == WSPR_EPROTO, "%s",
               cases[i]);
        TAP_IS(err_text(&e)[0] != '\0');
        err_done(&e);
    }
}

static void shake_once(void *arg)
{
    struct ws_handshake_request request = {.host = "h",
                                           .nonce = (const uint8_t *)"0123456789abcdef"};
    struct buf out = BUF_INIT(1000);
    char key[WS_KEY_LEN + 1];

    ws_handshake_request(&out, &request, key);
    TAP_IS(buf_error(&out) == WSPR_ENOMEM || out.len > 100);
    buf_done(&out);
}

static void lack_of_memory(void)
{
    TAP_IS(failmalloc_each(shake_once, NULL, 100) > 1);
}

static const struct tap_case cases[] = {
    {"conditions", conditions},
    {"accepts", accepts},
    {"response is exact", response_is_exact},
    {"both roles agree", both_roles_agree},
    {"bad responses", bad_responses},
    {"lack of memory", lack_of_memory},
};

const struct tap_suite ws_handshake_suite = TAP_SUITE("handshake", cases);

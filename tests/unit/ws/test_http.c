#include "config.h"

#include "failmalloc.h"
#include "ws/http.h"
#include "ws/surface.h"
#include "ws_tests.h"

#define UPGRADE                                                                                    \
    "GET /ws HTTP/1.1\r\nHost: localhost:8124\r\nUpgrade: websocket\r\n"                           \
    "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"           \
    "Origin: http://localhost:8124\r\nSec-WebSocket-Version: 13\r\n\r\n"

/* Parses a head in pieces of the given size (0: whole); the result of the last call. */
static int parse(struct ws_http_head *h, bool response, const struct ws_http_limits *limits,
                 struct span text, size_t piece)
{
    int r = 0;

    ws_http_head_init(h, response, limits);
    for (size_t n = piece; piece > 0 && n < text.len && r == 0; n += piece) {
        /* Memory of the exact size, elsewhere each time. */
        uint8_t *copy = malloc(n);

        memcpy(copy, text.p, n);
        r = ws_http_head_feed(h, copy, n, NULL);
        free(copy);
    }
    return r != 0 ? r : ws_http_head_feed(h, text.p, text.len, NULL);
}

static void upgrade_request(void)
{
    struct span text = span_str(UPGRADE "\x81\x80");
    struct ws_http_head h;

    for (size_t piece = 0; piece < 20; piece++) {
        int r = parse(&h, false, NULL, text, piece);

        TAP_OK(r == (int)strlen(UPGRADE), "%d", r);
        /* A piece that completes the head was freed; the bytes are looked at again here. */
        h.base = text.p;
        TAP_IS(h.n_fields == 6 && h.minor == 1 && h.content_length == -1 && !h.chunked);
        TAP_IS(span_equal_str(ws_http_header(&h, "host"), "localhost:8124"));
        TAP_IS(span_equal_str(ws_http_header(&h, "ORIGIN"), "http://localhost:8124"));
        TAP_IS(ws_http_header(&h, "Cookie").p == NULL);
        TAP_IS(ws_http_header_count(&h, "Upgrade") == 1);
    }
    TAP_IS(parse(&h, false, NULL, text, 0) > 0);
    TAP_IS(span_equal_str(h.method, "GET") && span_equal_str(h.path, "/ws"));
    TAP_IS(h.query.p == NULL && h.len == strlen(UPGRADE));
    TAP_IS(ws_http_head_feed(&h, text.p, text.len, NULL) == (int)h.len);
}

static void each_byte_matters(void)
{
    struct ws_http_head h;

    for (size_t n = 0; n < strlen(UPGRADE); n++)
        TAP_OK(parse(&h, false, NULL, span_of(UPGRADE, n), 0) == 0, "%zu bytes", n);
}

static void targets(void)
{
    static const struct {
        const char *target, *path, *query;
    } cases[] = {
        {"/", "/", NULL},
        {"/ws?a=b?c", "/ws", "a=b?c"},
        {"/ws?", "/ws", ""},
        {"http://host:1/ws?x", "/ws", "x"},
        {"http://host", "/", NULL},
        {"http://host?x", "/", "x"},
        {"*", "*", NULL},
        {"host:443", "host:443", NULL},
        {"/http://x/y", "/http://x/y", NULL},
        {"?", "/", ""},
    };
    struct ws_http_head h;
    char text[200];

    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(text, sizeof text, "GET %s HTTP/1.0\r\n\r\n", cases[i].target);
        TAP_IS(parse(&h, false, NULL, span_str(text), 0) == (int)strlen(text) && h.minor == 0);
        TAP_OK(span_equal_str(h.target, cases[i].target), "%s", cases[i].target);
        TAP_OK(span_equal_str(h.path, cases[i].path), "%s: %.*s", cases[i].target,
               SPAN_ARG(h.path));
        TAP_OK((h.query.p == NULL) == (cases[i].query == NULL), "%s", cases[i].target);
        if (cases[i].query != NULL)
            TAP_OK(span_equal_str(h.query, cases[i].query), "%s", cases[i].target);
    }
}

static void fields(void)
{
    static const char text[] =
        "GET / HTTP/1.1\r\nA:1\r\na:  2 \t\r\nEmpty:\r\nBlank: \t \r\n"
        "X: one , TWO,three\r\nY: a\r\ny: ,b;q=1, c d\r\nZ: \xc3\xa9\tx\r\n\r\n";
    struct ws_http_head h;

    TAP_IS(parse(&h, false, NULL, span_str(text), 0) > 0);
    TAP_IS(ws_http_header_count(&h, "a") == 2);
    TAP_IS(span_equal_str(ws_http_header(&h, "A"), "1"));
    TAP_IS(ws_http_header(&h, "Empty").p != NULL && ws_http_header(&h, "Empty").len == 0);
    TAP_IS(ws_http_header(&h, "Blank").p != NULL && ws_http_header(&h, "Blank").len == 0);
    TAP_IS(span_equal_str(ws_http_header(&h, "Z"), "\xc3\xa9\tx"));
    TAP_IS(ws_http_header_has_token(&h, "x", "One") && ws_http_header_has_token(&h, "X", "two"));
    TAP_IS(ws_http_header_has_token(&h, "X", "three") &&
           !ws_http_header_has_token(&h, "X", "thre"));
    TAP_IS(ws_http_header_has_token(&h, "Y", "a") && ws_http_header_has_token(&h, "Y", "b;q=1"));
    TAP_IS(ws_http_header_has_token(&h, "Y", "c d") && !ws_http_header_has_token(&h, "Y", "c"));
    TAP_IS(!ws_http_header_has_token(&h, "Empty", "x") && !ws_http_header_has_token(&h, "Q", "x"));
}

static void malformed_heads(void)
{
    static const char *const heads[] = {
        "\r\nGET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\n\n",
        "GET / HTTP/1.1\r\nA: b\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET /  HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        " GET / HTTP/1.1\r\n\r\n",
        "GET\t/ HTTP/1.1\r\n\r\n",
        "GET /\r\n\r\n",
        "GET\r\n\r\n",
        "GET / \r\n\r\n",
        "GET HTTP/1.1\r\n\r\n",
        "G(T / HTTP/1.1\r\n\r\n",
        "GET /\xc3\xa9 HTTP/1.1\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / http/1.1\r\n\r\n",
        "GET / HTTP/1.\r\n\r\n",
        "GET / HTTP/1.10\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA\r\n\r\n",
        "GET / HTTP/1.1\r\nA\xc3\xa9: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA: \x01\r\n\r\n",
        "GET / HTTP/1.1\r\nA: \x7f\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: \r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1,1\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1234567890123456789\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "\x16\x03\x01\x02",
    };
    struct ws_http_head h;

    for (size_t i = 0; i < COUNT(heads); i++) {
        for (size_t piece = 0; piece < 4; piece++)
            TAP_OK(parse(&h, false, NULL, span_str(heads[i]), piece) == WSPR_EPROTO, "%s",
                   heads[i]);
        TAP_IS(ws_http_head_feed(&h, (const uint8_t *)UPGRADE, strlen(UPGRADE), NULL) ==
               WSPR_EPROTO);
    }
    TAP_IS(parse(&h, false, NULL, span_of("GET / HTTP/1.1\r\nA: \0\r\n", 22), 0) == WSPR_EPROTO);
}

static void lengths(void)
{
    struct ws_http_head h;

    TAP_IS(parse(&h, false, NULL,
                 span_str("POST / HTTP/1.1\r\ncontent-length: 123456789012345678\r\n"
                          "Content-Length: 123456789012345678\r\n\r\n"),
                 0) > 0);
    TAP_IS(h.content_length == 123456789012345678);
    TAP_IS(parse(&h, false, NULL, span_str("POST / HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n"), 0) >
           0);
    TAP_IS(h.chunked && h.content_length == -1);
}

static void limits(void)
{
    struct ws_http_limits few = {60, 30, 2};
    struct ws_http_head h;
    struct buf text = BUF_INIT(100000);

    TAP_IS(parse(&h, false, &few, span_str("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\n\r\n"), 1) > 0);
    TAP_IS(parse(&h, false, &few, span_str("GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n"), 1) ==
           WSPR_ELIMIT);
    TAP_IS(parse(&h, false, &few, span_str("GET /3456789012345678 HTTP/1.1\r\n"), 0) == 0);
    TAP_IS(parse(&h, false, &few, span_str("GET /34567890123456789 HTTP/1.1"), 0) == WSPR_ELIMIT);
    /* 60 bytes with the empty line, then one more. */
    buf_printf(&text, "GET / HTTP/1.1\r\nA: %019d\r\nB: %013d\r\n\r\n", 0, 0);
    TAP_IS(text.len == 60 && parse(&h, false, &few, buf_span(&text), 0) == 60);
    buf_reset(&text);
    buf_printf(&text, "GET / HTTP/1.1\r\nA: %020d\r\nB: %013d\r\n\r\n", 0, 0);
    TAP_IS(parse(&h, false, &few, buf_span(&text), 0) == WSPR_ELIMIT);
    buf_reset(&text);
    /* Limits above the compiled ones are cut to those. */
    few = (struct ws_http_limits){UINT32_MAX, UINT32_MAX, UINT32_MAX};
    buf_append_str(&text, "GET / HTTP/1.1\r\n");
    for (int i = 0; i < WS_HTTP_FIELDS_MAX; i++)
        buf_append_str(&text, "A:\r\n");
    TAP_IS(parse(&h, false, &few, buf_span(&text), 0) == 0);
    buf_append_str(&text, "A:\r\n");
    TAP_IS(parse(&h, false, &few, buf_span(&text), 0) == WSPR_ELIMIT);
    buf_reset(&text);
    buf_printf(&text, "GET / HTTP/1.1\r\nA: %070000d", 0);
    TAP_IS(parse(&h, false, &few, buf_span(&text), 0) == WSPR_ELIMIT);
    TAP_IS(h.scanned == WS_HTTP_HEAD_MAX);
    buf_done(&text);
}

static void responses(void)
{
    static const char *const bad[] = {
        "HTTP/1.1 20 OK\r\n\r\n",  "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",  "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1\r\n\r\n",        "200 OK HTTP/1.1\r\n\r\n",
    };
    struct ws_http_head h;

    TAP_IS(parse(&h, true, NULL, span_str("HTTP/1.1 404 Not Found\r\nHost: a\r\nhost: b\r\n\r\n"),
                 1) > 0);
    TAP_IS(h.status == 404 && h.minor == 1 && h.n_fields == 2);
    TAP_IS(parse(&h, true, NULL, span_str("HTTP/1.0 200\r\n\r\n"), 0) > 0 && h.status == 200);
    TAP_IS(parse(&h, true, NULL, span_str("HTTP/1.1 200 \r\n\r\n"), 0) > 0 && h.minor == 1);
    for (size_t i = 0; i < COUNT(bad); i++)
        TAP_OK(parse(&h, true, NULL, span_str(bad[i]), 0) == WSPR_EPROTO, "%s", bad[i]);
}

static void errors_have_texts(void)
{
    struct ws_http_head h;
    struct err e = ERR_INIT;

    ws_http_head_init(&h, false, NULL);
    TAP_IS(ws_http_head_feed(&h, (const uint8_t *)"\x01", 1, &e) == WSPR_EPROTO);
    TAP_IS(strcmp(err_text(&e), "malformed HTTP head: control character") == 0);
    err_done(&e);
}

static void route(const char *method, const char *path, enum ws_route expect, int status)
{
    struct ws_http_answer answer;
    struct ws_http_head h;
    char text[200];

    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\n\r\n", method, path);
    TAP_IS(parse(&h, false, NULL, span_str(text), 0) > 0);
    TAP_OK(ws_surface_route(&h, &answer) == expect, "%s %s", method, path);
    TAP_OK(answer.status == status, "%s: %d", path, answer.status);
}

static void routes(void)
{
    static const char *const profiles[] = {"",     "cmdline",   "symbol",       "profile",
                                           "heap", "goroutine", "threadcreate", "block"};
    char path[100];

    route("GET", "/ws", WS_ROUTE_REFUSED, 400);
    route("POST", "/ws?x", WS_ROUTE_REFUSED, 400);
    route("GET", "/ws/", WS_ROUTE_MISSING, 404);
    route("GET", "/WS", WS_ROUTE_MISSING, 404);
    route("DELETE", "/debug", WS_ROUTE_DEBUG, 200);
    route("GET", "/debug/", WS_ROUTE_MISSING, 404);
    route("GET", "/debug/x", WS_ROUTE_MISSING, 404);
    route("GET", "/favicon.ico", WS_ROUTE_MISSING, 404);
    route("GET", "/", WS_ROUTE_MISSING, 404);
    route("OPTIONS", "*", WS_ROUTE_MISSING, 404);
    route("GET", "/debug/pprof", WS_ROUTE_MOVED, 301);
    for (size_t i = 0; i < COUNT(profiles); i++) {
        snprintf(path, sizeof path, "/debug/pprof/%s?seconds=1", profiles[i]);
        route("GET", path, WS_ROUTE_STATUS, 200);
    }
    route("GET", "/debug/pprof/other", WS_ROUTE_MISSING, 404);
    route("GET", "/debug/other/heap", WS_ROUTE_MISSING, 404);
}

static void answer_is(const char *path, const char *expect)
{
    struct buf out = BUF_INIT(10000);
    struct ws_http_answer answer;
    struct ws_http_head h;
    char text[200];

    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n\r\n", path);
    TAP_IS(parse(&h, false, NULL, span_str(text), 0) > 0);
    ws_surface_route(&h, &answer);
    ws_http_answer_write(&out, &answer, ws_http_is_head(&h));
    TAP_OK(strcmp(buf_cstr(&out), expect) == 0, "%s: %s", path, buf_cstr(&out));
    buf_done(&out);
}

static void answers(void)
{
    answer_is("/ws", "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
                     "Content-Length: 26\r\nConnection: close\r\n\r\nNot a websocket handshake\n");
    answer_is("/favicon.ico",
              "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n"
              "Content-Length: 19\r\nConnection: close\r\n\r\n404 page not found\n");
    answer_is("/debug", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 130\r\n"
                        "Connection: close\r\n\r\n<html>\n<head>\n<title>/debug</title>\n</head>\n"
                        "<body>\n<ul>\n<li><a href=\"/debug/pprof\">/debug/pprof</a></li>\n"
                        "</li></ul></body></html>\n");
    answer_is("/debug/pprof",
              "HTTP/1.1 301 Moved Permanently\r\nContent-Type: text/html; charset=utf-8\r\n"
              "Location: /debug/pprof/\r\nContent-Length: 48\r\nConnection: close\r\n\r\n"
              "<a href=\"/debug/pprof/\">Moved Permanently</a>.\n\n");
}

static void head_has_no_body(void)
{
    struct buf out = BUF_INIT(10000);
    struct ws_http_answer answer;
    struct ws_http_head h;

    TAP_IS(parse(&h, false, NULL, span_str("HEAD /debug HTTP/1.1\r\n\r\n"), 0) > 0);
    TAP_IS(ws_http_is_head(&h));
    ws_surface_route(&h, &answer);
    ws_http_answer_write(&out, &answer, ws_http_is_head(&h));
    TAP_IS(strcmp(buf_cstr(&out), "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                                  "Content-Length: 130\r\nConnection: close\r\n\r\n") == 0);
    buf_done(&out);
}

static void other_statuses(void)
{
    struct ws_http_answer answer;

    ws_http_answer_error(WSPR_EPROTO, &answer);
    TAP_IS(answer.status == 400 && span_equal_str(answer.body, "400 Bad Request\n"));
    ws_http_answer_error(WSPR_ELIMIT, &answer);
    TAP_IS(answer.status == 431);
    ws_http_answer_error(WSPR_ENOMEM, &answer);
    TAP_IS(answer.status == 500);
    ws_http_answer_status(403, &answer);
    TAP_IS(span_equal_str(answer.body, "403 Forbidden\n") && answer.location == NULL);
    TAP_IS(strcmp(ws_http_reason(101), "Switching Protocols") == 0);
    TAP_IS(strcmp(ws_http_reason(799), "Status") == 0);
}

static void answer_once(void *arg)
{
    struct buf out = BUF_INIT(1000);
    struct ws_http_answer answer;
    struct ws_http_head h;
    struct err e = ERR_INIT;

    ws_http_head_init(&h, false, NULL);
    TAP_IS(ws_http_head_feed(&h, (const uint8_t *)"\r\n", 2, &e) == WSPR_EPROTO);
    err_done(&e);
    ws_http_answer_status(404, &answer);
    ws_http_answer_write(&out, &answer, false);
    TAP_IS(buf_error(&out) == WSPR_ENOMEM || out.len > 100);
    buf_done(&out);
}

static void lack_of_memory(void)
{
    TAP_IS(failmalloc_each(answer_once, NULL, 100) > 2);
}

static const struct tap_case cases[] = {
    {"upgrade request", upgrade_request},
    {"each byte matters", each_byte_matters},
    {"targets", targets},
    {"fields", fields},
    {"malformed heads", malformed_heads},
    {"lengths", lengths},
    {"limits", limits},
    {"responses", responses},
    {"errors have texts", errors_have_texts},
    {"routes", routes},
    {"answers", answers},
    {"HEAD has no body", head_has_no_body},
    {"other statuses", other_statuses},
    {"lack of memory", lack_of_memory},
};

const struct tap_suite ws_http_suite = TAP_SUITE("http", cases);

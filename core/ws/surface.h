/* What the daemon serves over plain HTTP (spec: websocket 2), decided as data. */
#ifndef WS_SURFACE_H
#define WS_SURFACE_H

#include <stdbool.h>
#include "base/buf.h"
#include "base/span.h"
#include "ws/handshake.h"
#include "ws/http.h"

enum ws_route {
    WS_ROUTE_UPGRADE, /* answer with ws_handshake_respond, then speak WebSocket */
    WS_ROUTE_REFUSED, /* /ws without a valid upgrade; see answer.fault */
    WS_ROUTE_DEBUG,   /* the /debug page */
    WS_ROUTE_STATUS,  /* below /debug/pprof/: the caller may put its own text into answer.body */
    WS_ROUTE_MOVED,   /* 301 */
    WS_ROUTE_MISSING  /* 404 */
};

/* A response; the texts live as long as the program (a body that the caller puts in is borrowed).
 */
struct ws_http_answer {
    int status;
    const char *content_type; /* NULL: none */
    const char *location;     /* NULL: none */
    struct span body;
    enum ws_handshake_fault fault;
};

/* Decides the answer to a complete request head; for WS_ROUTE_UPGRADE the status is 101. */
enum ws_route ws_surface_route(const struct ws_http_head *request,
                               struct ws_http_answer *ret_answer);
/* Fills in the answer to a head that did not parse, from the code that ws_http_head_feed returned.
 */
void ws_http_answer_error(int code, struct ws_http_answer *ret_answer);
/* Any status with a plain sentence as its body, "403 Forbidden" and so on; never echoes the
 * request. */
void ws_http_answer_status(int status, struct ws_http_answer *ret_answer);
/* The reason phrase of a status; never NULL. */
const char *ws_http_reason(int status);
/*
 * Appends the response with Content-Length and "Connection: close". without_body is for HEAD: pass
 * ws_http_is_head(request).
 */
void ws_http_answer_write(struct buf *out, const struct ws_http_answer *answer, bool without_body);
bool ws_http_is_head(const struct ws_http_head *request);

#endif

#include "config.h"
#include "ws/surface.h"

#include <string.h>

#define TYPE_PLAIN "text/plain; charset=utf-8"
#define TYPE_HTML  "text/html; charset=utf-8"

/* spec: websocket 2, byte for byte. */
static const char page_debug[] = "<html>\n"
                                 "<head>\n"
                                 "<title>/debug</title>\n"
                                 "</head>\n"
                                 "<body>\n"
                                 "<ul>\n"
                                 "<li><a href=\"/debug/pprof\">/debug/pprof</a></li>\n"
                                 "</li></ul></body></html>\n";

static const char page_index[] = "<html>\n"
                                 "<head>\n"
                                 "<title>/debug/pprof/</title>\n"
                                 "</head>\n"
                                 "<body>\n"
                                 "<p>This daemon has no run-time profiles.</p>\n"
                                 "</body>\n"
                                 "</html>\n";

static const char page_moved[] = "<a href=\"/debug/pprof/\">Moved Permanently</a>.\n\n";
static const char text_missing[] = "404 page not found\n";
static const char text_no_handshake[] = "Not a websocket handshake\n";
static const char text_no_profile[] = "This daemon has no run-time profiles.\n";

/* Below /debug/pprof/. */
static const char *const profiles[] = {"cmdline",   "symbol",       "profile", "heap",
                                       "goroutine", "threadcreate", "block"};

static const struct {
    int status;
    const char *reason;
    const char *text;
} statuses[] = {
#define STATUS(n, reason)                                                                          \
    {                                                                                              \
        n, reason, #n " " reason "\n"                                                              \
    }
    STATUS(101, "Switching Protocols"),
    STATUS(200, "OK"),
    STATUS(301, "Moved Permanently"),
    STATUS(400, "Bad Request"),
    STATUS(403, "Forbidden"),
    STATUS(404, "Not Found"),
    STATUS(405, "Method Not Allowed"),
    STATUS(408, "Request Timeout"),
    STATUS(421, "Misdirected Request"),
    STATUS(429, "Too Many Requests"),
    STATUS(431, "Request Header Fields Too Large"),
    STATUS(500, "Internal Server Error"),
    STATUS(503, "Service Unavailable"),
#undef STATUS
};

#define N_STATUSES (sizeof statuses / sizeof statuses[0])

static struct ws_http_answer answer_of(int status, const char *type, const char *body)
{
    return (struct ws_http_answer){
        .status = status, .content_type = type, .body = span_of(body, strlen(body))};
}

static enum ws_route route_upgrade(const struct ws_http_head *request,
                                   struct ws_http_answer *ret_answer)
{
    enum ws_handshake_fault fault = ws_handshake_check(request);

    if (fault == WS_HANDSHAKE_OK) {
        *ret_answer = answer_of(101, NULL, "");
        return WS_ROUTE_UPGRADE;
    }
    *ret_answer = answer_of(400, TYPE_PLAIN, text_no_handshake);
    ret_answer->fault = fault;
    return WS_ROUTE_REFUSED;
}

static enum ws_route route_missing(struct ws_http_answer *ret_answer)
{
    *ret_answer = answer_of(404, TYPE_PLAIN, text_missing);
    return WS_ROUTE_MISSING;
}

static enum ws_route route_profile(struct span name, struct ws_http_answer *ret_answer)
{
    if (name.len == 0) {
        *ret_answer = answer_of(200, TYPE_HTML, page_index);
        return WS_ROUTE_STATUS;
    }
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        if (span_equal_str(name, profiles[i])) {
            *ret_answer = answer_of(200, TYPE_PLAIN, text_no_profile);
            return WS_ROUTE_STATUS;
        }
    }
    return route_missing(ret_answer);
}

enum ws_route ws_surface_route(const struct ws_http_head *request,
                               struct ws_http_answer *ret_answer)
{
    struct span path = request->path, subtree = span_str("/debug/pprof/");

    if (span_equal_str(path, "/ws"))
        return route_upgrade(request, ret_answer);
    if (span_equal_str(path, "/debug")) {
        *ret_answer = answer_of(200, "text/html", page_debug);
        return WS_ROUTE_DEBUG;
    }
    if (span_equal_str(path, "/debug/pprof")) {
        *ret_answer = answer_of(301, TYPE_HTML, page_moved);
        ret_answer->location = "/debug/pprof/";
        return WS_ROUTE_MOVED;
    }
    if (path.len >= subtree.len && memcmp(path.p, subtree.p, subtree.len) == 0)
        return route_profile(span_of(path.p + subtree.len, path.len - subtree.len), ret_answer);
    return route_missing(ret_answer);
}

void ws_http_answer_error(int code, struct ws_http_answer *ret_answer)
{
    ws_http_answer_status(code == WSPR_ELIMIT ? 431 : code == WSPR_EPROTO ? 400 : 500, ret_answer);
}

void ws_http_answer_status(int status, struct ws_http_answer *ret_answer)
{
    const char *text = "";

    for (size_t i = 0; i < N_STATUSES; i++) {
        if (statuses[i].status == status)
            text = statuses[i].text;
    }
    *ret_answer = answer_of(status, TYPE_PLAIN, text);
}

const char *ws_http_reason(int status)
{
    for (size_t i = 0; i < N_STATUSES; i++) {
        if (statuses[i].status == status)
            return statuses[i].reason;
    }
    return "Status";
}

void ws_http_answer_write(struct buf *out, const struct ws_http_answer *answer, bool without_body)
{
    buf_printf(out, "HTTP/1.1 %d %s\r\n", answer->status, ws_http_reason(answer->status));
    if (answer->content_type != NULL)
        buf_printf(out, "Content-Type: %s\r\n", answer->content_type);
    if (answer->location != NULL)
        buf_printf(out, "Location: %s\r\n", answer->location);
    buf_printf(out, "Content-Length: %zu\r\nConnection: close\r\n\r\n", answer->body.len);
    if (!without_body)
        buf_append_span(out, answer->body);
}

bool ws_http_is_head(const struct ws_http_head *request)
{
    return span_equal_str(request->method, "HEAD");
}

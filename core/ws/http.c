/*
 * Bytes are classified one by one as they arrive, so that garbage is refused before its line ends;
 * a complete line is then taken apart. Until the head is complete only places are kept, because the
 * caller's memory may move. Strict where tolerance lets two readers see different requests: lines
 * end in CRLF, no folded lines, no space before a colon, one length, one host.
 */
#include "config.h"
#include "ws/http.h"

#include <string.h>

enum { CHAR_TEXT = 1, CHAR_TOKEN = 2, CHAR_TARGET = 4 };

#define MARK (CHAR_TEXT | CHAR_TARGET)
#define NAME (CHAR_TEXT | CHAR_TARGET | CHAR_TOKEN)

static const uint8_t char_classes[256] = {
    ['\t'] = CHAR_TEXT,    [' '] = CHAR_TEXT,    ['!'] = NAME,         ['"'] = MARK,
    ['#' ... '\''] = NAME, ['(' ... ')'] = MARK, ['*' ... '+'] = NAME, [','] = MARK,
    ['-' ... '.'] = NAME,  ['/'] = MARK,         ['0' ... '9'] = NAME, [':' ... '@'] = MARK,
    ['A' ... 'Z'] = NAME,  ['[' ... ']'] = MARK, ['^' ... 'z'] = NAME, ['{'] = MARK,
    ['|'] = NAME,          ['}'] = MARK,         ['~'] = NAME,         [0x80 ... 0xff] = CHAR_TEXT,
};

#undef MARK
#undef NAME

static unsigned char_class(uint8_t c)
{
    return char_classes[c];
}

/* Length of the run of bytes of a class at the start. */
static size_t char_run(struct span s, unsigned class)
{
    size_t n = 0;

    while (n < s.len && (char_class(s.p[n]) & class) != 0)
        n++;
    return n;
}

static struct span span_trim(struct span s)
{
    while (s.len > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = span_of(s.p + 1, s.len - 1);
    while (s.len > 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

bool ws_http_equal_nocase(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (a.p[i] != b.p[i] && lower(a.p[i]) != lower(b.p[i]))
            return false;
    }
    return true;
}

void ws_http_head_init(struct ws_http_head *h, bool response, const struct ws_http_limits *limits)
{
    memset(h, 0, sizeof *h);
    h->response = response;
    h->content_length = -1;
    h->limits = limits != NULL ? *limits : WS_HTTP_LIMITS;
    if (h->limits.head > WS_HTTP_HEAD_MAX)
        h->limits.head = WS_HTTP_HEAD_MAX;
    if (h->limits.line > h->limits.head)
        h->limits.line = h->limits.head;
    if (h->limits.fields > WS_HTTP_FIELDS_MAX)
        h->limits.fields = WS_HTTP_FIELDS_MAX;
}

static int head_bad(struct ws_http_head *h, struct err *e, const char *what)
{
    h->error = WSPR_EPROTO;
    return err_set(e, WSPR_EPROTO, "malformed HTTP head: %s", what);
}

static int head_large(struct ws_http_head *h, struct err *e, const char *what)
{
    h->error = WSPR_ELIMIT;
    return err_set(e, WSPR_ELIMIT, "HTTP head too large: %s", what);
}

/* "HTTP/1.x"; a higher minor version than we know counts as 1. */
static bool parse_version(struct span s, int *ret_minor)
{
    if (s.len != 8 || memcmp(s.p, "HTTP/1.", 7) != 0 || s.p[7] < '0' || s.p[7] > '9')
        return false;
    *ret_minor = s.p[7] == '0' ? 0 : 1;
    return true;
}

static int parse_request_line(struct ws_http_head *h, struct span line, struct err *e)
{
    size_t method = char_run(line, CHAR_TOKEN), target;
    struct span rest;

    if (method == 0 || method == line.len || line.p[method] != ' ')
        return head_bad(h, e, "method");
    rest = span_of(line.p + method + 1, line.len - method - 1);
    target = char_run(rest, CHAR_TARGET);
    if (target == 0 || target == rest.len || rest.p[target] != ' ')
        return head_bad(h, e, "request target");
    rest = span_of(rest.p + target + 1, rest.len - target - 1);
    if (!parse_version(rest, &h->minor))
        return head_bad(h, e, "version");
    h->method_len = (uint16_t)method;
    h->target_at = (uint16_t)(method + 1);
    h->target_len = (uint16_t)target;
    return 0;
}

static int parse_status_line(struct ws_http_head *h, struct span line, struct err *e)
{
    struct span code;

    if (line.len < 12 || line.p[8] != ' ' || !parse_version(span_of(line.p, 8), &h->minor))
        return head_bad(h, e, "version");
    code = span_of(line.p + 9, 3);
    for (size_t i = 0; i < code.len; i++) {
        if (code.p[i] < '0' || code.p[i] > '9')
            return head_bad(h, e, "status");
        h->status = h->status * 10 + (code.p[i] - '0');
    }
    if (h->status < 100 || (line.len > 12 && line.p[12] != ' '))
        return head_bad(h, e, "status");
    return 0;
}

static int parse_field(struct ws_http_head *h, const uint8_t *p, struct span line, struct err *e)
{
    size_t name = char_run(line, CHAR_TOKEN);
    struct span value;

    if (name == 0 || name == line.len || line.p[name] != ':')
        return head_bad(h, e, "header name");
    if (h->n_fields == h->limits.fields)
        return head_large(h, e, "header fields");
    value = span_trim(span_of(line.p + name + 1, line.len - name - 1));
    h->fields[h->n_fields++] = (struct ws_http_field){(uint16_t)(line.p - p), (uint16_t)name,
                                                      (uint16_t)(value.p - p), (uint16_t)value.len};
    return 0;
}

static struct span field_name(const struct ws_http_head *h, size_t i)
{
    return span_of(h->base + h->fields[i].name, h->fields[i].name_len);
}

static struct span field_value(const struct ws_http_head *h, size_t i)
{
    return span_of(h->base + h->fields[i].value, h->fields[i].value_len);
}

/* Index of the next field of that name at or after `from`; n_fields if there is none. */
static size_t field_find(const struct ws_http_head *h, const char *name, size_t from)
{
    struct span wanted = span_str(name);

    while (from < h->n_fields && !ws_http_equal_nocase(field_name(h, from), wanted))
        from++;
    return from;
}

/* All Content-Length fields must be the same plain number. */
static int parse_length(struct ws_http_head *h, struct err *e)
{
    size_t i = field_find(h, "Content-Length", 0);

    for (; i < h->n_fields; i = field_find(h, "Content-Length", i + 1)) {
        struct span value = field_value(h, i);
        int64_t n = 0;

        if (value.len == 0 || value.len > 18)
            return head_bad(h, e, "Content-Length");
        for (size_t k = 0; k < value.len; k++) {
            if (value.p[k] < '0' || value.p[k] > '9')
                return head_bad(h, e, "Content-Length");
            n = n * 10 + (value.p[k] - '0');
        }
        if (h->content_length >= 0 && h->content_length != n)
            return head_bad(h, e, "Content-Length");
        h->content_length = n;
    }
    return 0;
}

/* Finds path and query in the target; the absolute form loses scheme and authority. */
static void split_target(struct ws_http_head *h)
{
    struct span path = h->target;
    const uint8_t *mark;
    size_t scheme = 0;

    while (scheme < path.len && path.p[scheme] != ':' && path.p[scheme] != '/')
        scheme++;
    if (scheme > 0 && path.len - scheme >= 3 && memcmp(path.p + scheme, "://", 3) == 0) {
        path = span_of(path.p + scheme + 3, path.len - scheme - 3);
        while (path.len > 0 && path.p[0] != '/' && path.p[0] != '?')
            path = span_of(path.p + 1, path.len - 1);
    }
    mark = path.len > 0 ? memchr(path.p, '?', path.len) : NULL;
    if (mark != NULL) {
        h->query = span_of(mark + 1, path.len - (size_t)(mark - path.p) - 1);
        path.len = (size_t)(mark - path.p);
    }
    h->path = path.len > 0 ? path : span_str("/");
}

static int head_finish(struct ws_http_head *h, const uint8_t *p, size_t len, struct err *e)
{
    int r;

    h->base = p;
    r = parse_length(h, e);
    if (r < 0)
        return r;
    h->chunked = ws_http_header_count(h, "Transfer-Encoding") > 0;
    if (h->chunked && h->content_length >= 0)
        return head_bad(h, e, "Content-Length with Transfer-Encoding");
    if (!h->response) {
        if (ws_http_header_count(h, "Host") > 1)
            return head_bad(h, e, "several Host headers");
        h->method = span_of(p, h->method_len);
        h->target = span_of(p + h->target_at, h->target_len);
        split_target(h);
    }
    h->len = len;
    return (int)len;
}

/* Takes a complete line without its CRLF; `end` is the place behind it. Positive: the head is
 * complete. */
static int head_line(struct ws_http_head *h, const uint8_t *p, struct span line, size_t end,
                     struct err *e)
{
    if (h->started && line.len == 0)
        return head_finish(h, p, end, e);
    if (h->started)
        return parse_field(h, p, line, e);
    h->started = true;
    return h->response ? parse_status_line(h, line, e) : parse_request_line(h, line, e);
}

/* Looks at the byte in place i; positive if it completes the head. */
static int head_byte(struct ws_http_head *h, const uint8_t *p, size_t i, struct err *e)
{
    bool after_cr = i > h->line_start && p[i - 1] == '\r';
    struct span line = span_of(p + h->line_start, i - h->line_start);
    int r = 0;

    if (i >= h->limits.head)
        return head_large(h, e, "bytes");
    if (after_cr != (p[i] == '\n'))
        return head_bad(h, e, "line end");
    if (p[i] == '\n') {
        line.len--;
        r = head_line(h, p, line, i + 1, e);
        h->line_start = (uint32_t)i + 1;
    } else if (p[i] != '\r') {
        if (char_class(p[i]) == 0)
            return head_bad(h, e, "control character");
        if (line.len >= h->limits.line)
            return head_large(h, e, "line");
    }
    return r;
}

/* The next place that head_byte has to look at, behind what is plainly in the middle of a line. */
static size_t head_skip(const struct ws_http_head *h, const uint8_t *p, size_t i, size_t len)
{
    size_t stop = (size_t)h->line_start + h->limits.line;

    if (stop > h->limits.head)
        stop = h->limits.head;
    if (stop > len)
        stop = len;
    if (i > h->line_start && p[i - 1] == '\r')
        return i;
    while (i < stop && char_class(p[i]) != 0)
        i++;
    return i;
}

int ws_http_head_feed(struct ws_http_head *h, const uint8_t *p, size_t len, struct err *e)
{
    if (h->error != 0)
        return err_set(e, h->error, "the HTTP head was refused before");
    if (h->len > 0)
        return (int)h->len;
    while ((h->scanned = head_skip(h, p, h->scanned, len)) < len) {
        int r = head_byte(h, p, h->scanned, e);

        if (r != 0)
            return r;
        h->scanned++;
    }
    return 0;
}

struct span ws_http_header(const struct ws_http_head *h, const char *name)
{
    size_t i = field_find(h, name, 0);

    return i < h->n_fields ? field_value(h, i) : span_of(NULL, 0);
}

size_t ws_http_header_count(const struct ws_http_head *h, const char *name)
{
    size_t n = 0;

    for (size_t i = field_find(h, name, 0); i < h->n_fields; i = field_find(h, name, i + 1))
        n++;
    return n;
}

static bool list_has_token(struct span list, struct span token)
{
    while (list.len > 0) {
        const uint8_t *comma = memchr(list.p, ',', list.len);
        size_t n = comma != NULL ? (size_t)(comma - list.p) : list.len;

        if (ws_http_equal_nocase(span_trim(span_of(list.p, n)), token))
            return true;
        n += comma != NULL;
        list = span_of(list.p + n, list.len - n);
    }
    return false;
}

bool ws_http_header_has_token(const struct ws_http_head *h, const char *name, const char *token)
{
    for (size_t i = field_find(h, name, 0); i < h->n_fields; i = field_find(h, name, i + 1)) {
        if (list_has_token(field_value(h, i), span_str(token)))
            return true;
    }
    return false;
}

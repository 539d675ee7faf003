/*
 * HTTP/1.x heads for a server that upgrades to WebSocket and answers little else. No I/O: the
 * caller owns the bytes and presents them; nothing here allocates but error texts.
 *
 * A connection serves one request: each answer that is not 101 carries "Connection: close", the
 * caller sends it and closes. Whatever follows such a request (a body, a pipelined request) is
 * never looked at. Bytes behind the head of an upgrade are WebSocket frames and are kept.
 */
#ifndef WS_HTTP_H
#define WS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/span.h"

#define WS_HTTP_FIELDS_MAX 96    /* header fields that any head may have */
#define WS_HTTP_HEAD_MAX   65535 /* bytes that any head may have */

struct ws_http_limits {
    uint32_t head;   /* bytes up to and with the empty line; at most WS_HTTP_HEAD_MAX */
    uint32_t line;   /* bytes of one line without its end */
    uint32_t fields; /* at most WS_HTTP_FIELDS_MAX */
};

#define WS_HTTP_LIMITS                                                                             \
    (struct ws_http_limits)                                                                        \
    {                                                                                              \
        16384, 8192, 64                                                                            \
    }

struct ws_http_field {
    uint16_t name, name_len, value, value_len; /* places in the head */
};

/*
 * A head that is being parsed, then the parsed head. The spans and fields point into the bytes last
 * given to ws_http_head_feed.
 */
struct ws_http_head {
    /* Valid when complete. */
    struct span method;     /* request */
    struct span target;     /* request: as sent, non-empty */
    struct span path;       /* request: its path; "*" or an authority stay as they are */
    struct span query;      /* request: what follows '?', p is NULL if there is none */
    int status;             /* response: 100 to 999 */
    int minor;              /* HTTP/1.minor, 0 or 1 */
    int64_t content_length; /* -1: no such header */
    bool chunked;           /* any Transfer-Encoding */
    size_t len;             /* of the head, the empty line included; 0 while incomplete */
    const uint8_t *base;
    struct ws_http_field fields[WS_HTTP_FIELDS_MAX];
    uint32_t n_fields;

    /* Progress. */
    struct ws_http_limits limits;
    bool response;
    bool started;        /* the start line is complete */
    int error;           /* sticky */
    uint32_t line_start; /* first byte of the line that is not complete yet */
    uint32_t scanned;    /* bytes looked at */
    uint16_t method_len; /* of the start line, which begins at 0 */
    uint16_t target_at, target_len;
};

/* Limits may be NULL for the defaults; larger ones than the compiled maxima are cut. */
void ws_http_head_init(struct ws_http_head *h, bool response, const struct ws_http_limits *limits);
/*
 * Looks at the bytes of the head: p must begin with the same first byte each time, with more behind
 * it (the memory may have moved). Each byte is looked at once. 0: more is needed; positive: the
 * head is complete and this long, the rest belongs to what follows; negative: the head is broken
 * (WSPR_EPROTO) or too large (WSPR_ELIMIT), answer with ws_http_answer_error() and close.
 */
int ws_http_head_feed(struct ws_http_head *h, const uint8_t *p, size_t len, struct err *e);

/* First value of a header, without white space around it; p is NULL if it is absent. */
struct span ws_http_header(const struct ws_http_head *h, const char *name);
/* How often it occurs. */
size_t ws_http_header_count(const struct ws_http_head *h, const char *name);
/* Whether a comma list, over all occurrences of the header, contains the token, ignoring case. */
bool ws_http_header_has_token(const struct ws_http_head *h, const char *name, const char *token);

/* Equal, ignoring the case of ASCII letters. */
bool ws_http_equal_nocase(struct span a, struct span b);

#endif

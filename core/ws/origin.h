/* Web origins and Host values: parsing and comparing, no policy. */
#ifndef WS_ORIGIN_H
#define WS_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/span.h"

/* Spans point into the text that was parsed. */
struct ws_origin {
    struct span scheme;
    struct span host; /* without brackets */
    uint16_t port;    /* the scheme's own if none was given; 0 if unknown */
    bool ipv6;        /* host was in brackets */
};

/*
 * Parses a serialized origin, "scheme://host[:port]". WSPR_EINVAL for anything else: "null", the
 * empty text, a path, white space, user information, a port that is no number from 1 to 65535.
 */
int ws_origin_parse(struct span text, struct ws_origin *ret_origin);
/* Appends the canonical form: lower case, without the scheme's own port (http, ws 80; https, wss
 * 443). */
void ws_origin_format(struct buf *out, const struct ws_origin *origin);
bool ws_origin_equal(const struct ws_origin *a, const struct ws_origin *b);

/* Parses a Host value, "host[:port]"; port is 0 if absent, scheme is empty. Errors as above. */
int ws_host_parse(struct span text, struct ws_origin *ret_host);
/* Whether a host names this machine whatever the resolver says: localhost, *.localhost, 127/8, ::1.
 */
bool ws_host_is_loopback(const struct ws_origin *host);

#endif

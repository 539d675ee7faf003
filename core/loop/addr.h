/*
 * Socket addresses and their texts: "127.0.0.1:80", "[::1]:80". Error texts are those of the
 * reference ("dial tcp 127.0.0.1:1: connection refused"), because pages see them.
 */
#ifndef LOOP_ADDR_H
#define LOOP_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include "base/error.h"

#define LOOP_ADDR_TEXT 80 /* enough for every address text */

struct loop_addr {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } u;
    socklen_t len; /* 0: not an internet address (a socket pair), shown as "" */
};

/*
 * Cuts "host:port" at the last colon and takes brackets off the host, whose length goes to ret_len.
 * WSPR_EINVAL with "missing port in address <text>", "too many colons in address <text>" and so on.
 */
int loop_addr_split(const char *text, const char **ret_host, size_t *ret_len, const char **ret_port,
                    struct err *e);
/* A number; service names would need files or the network. WSPR_EINVAL, "unknown port tcp/<text>".
 */
int loop_addr_port(const char *text, uint16_t *ret_port, struct err *e);
/* Both together: whether text is "host:port". */
int loop_addr_check(const char *text, struct err *e);
/* Sets an address from an IPv4 or IPv6 literal ("" means 127.0.0.1 to dial and any to listen). */
bool loop_addr_literal(struct loop_addr *a, const char *host, size_t len, uint16_t port,
                       bool passive);
/* "ip:port"; returns out. */
const char *loop_addr_text(const struct loop_addr *a, char out[LOOP_ADDR_TEXT]);
bool loop_addr_is_loopback(const struct loop_addr *a);
bool loop_addr_equal(const struct loop_addr *a, const struct loop_addr *b);

/* The reference's words for an errno: the system's, in lower case. Returns out. */
const char *loop_errno_text(int err, char *out, size_t size);

#endif

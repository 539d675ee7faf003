/*
 * Endpoints: the addresses of processes (spec: stream 1.1, 2, 3). Plain values without ownership:
 * copy and drop them freely. Nothing here allocates except for error texts.
 */
#ifndef NAMING_ENDPOINT_H
#define NAMING_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"

/* The range of IPC versions of this implementation. */
#define NAMING_VERSION_MIN 1u
#define NAMING_VERSION_MAX 2u

/* A longer protocol or address does not parse (WSPR_ELIMIT). */
#define NAMING_PROTOCOL_MAX 31
#define NAMING_ADDRESS_MAX  319

/* Any formatted endpoint fits, its final NUL included. */
#define NAMING_ENDPOINT_TEXT_MAX 448

/* Routing id: which process at an address. All zero means any. */
struct naming_rid {
    uint8_t b[16];
};

#define NAMING_RID_TEXT_LEN 32

/* Lowest and highest IPC version, 0 = unknown. */
struct naming_versions {
    uint32_t min, max;
};

/* Start with {0} or by parsing; both texts end in a NUL and hold none inside. */
struct naming_endpoint {
    char protocol[NAMING_PROTOCOL_MAX + 1];
    char address[NAMING_ADDRESS_MAX + 1];
    struct naming_rid rid;
    struct naming_versions versions;
};

/* Routing ids. */

bool naming_rid_is_null(const struct naming_rid *rid);
bool naming_rid_equal(const struct naming_rid *a, const struct naming_rid *b);
/* A well-known id: the number in the last eight bytes. */
struct naming_rid naming_rid_fixed(uint64_t value);
/* Ids below 1024 are reserved; whoever draws a new id at random draws again for these. */
bool naming_rid_is_reserved(const struct naming_rid *rid);
/* 32 digits of either case, or nothing for the null id. WSPR_EINVAL with the text of the field. */
int naming_rid_parse(struct span text, struct naming_rid *ret_rid, struct err *e);
/* Writes 32 lower-case digits and a NUL. */
void naming_rid_format(const struct naming_rid *rid, char out[NAMING_RID_TEXT_LEN + 1]);

/* Endpoints. */

/*
 * Parses any of the three forms. WSPR_EINVAL with the reference's text; a part that is too long is
 * WSPR_ELIMIT. *ret_ep is written only on success.
 */
int naming_endpoint_parse(struct span text, struct naming_endpoint *ret_ep, struct err *e);
/* Whether text is "host:port" (spec: stream 2.3); host, without brackets, and port if so (may be
 * NULL). */
bool naming_hostport_split(struct span text, struct span *ret_host, struct span *ret_port);
/*
 * Appends the one printed form, version 2 with all digits. This text is the key under which
 * connections are shared.
 */
void naming_endpoint_format(struct buf *out, const struct naming_endpoint *ep);
/* The same into an array that always suffices; returns the length without the NUL. */
size_t naming_endpoint_text(const struct naming_endpoint *ep, char out[NAMING_ENDPOINT_TEXT_MAX]);
/*
 * Fills in an endpoint of this implementation: version range 1..2. WSPR_ELIMIT or WSPR_EINVAL if a
 * text is too long or holds a NUL.
 */
int naming_endpoint_make(struct naming_endpoint *ret_ep, struct span protocol, struct span address,
                         const struct naming_rid *rid, struct err *e);
bool naming_endpoint_equal(const struct naming_endpoint *a, const struct naming_endpoint *b);
/*
 * Appends a dialable text from its parts as given: rid and versions may be NULL and are then left
 * empty; versions are printed as they are, 0 included.
 */
void naming_endpoint_compose(struct buf *out, struct span protocol, struct span address,
                             const struct naming_rid *rid, const struct naming_versions *versions);
/*
 * The address that endpoints tell: the one a socket is bound to, or, unless `advertise` is NULL or
 * empty, that "host:port", whose port 0 stands for the socket's. WSPR_EINVAL, WSPR_ELIMIT.
 */
int naming_address_advertised(const char *bound, const char *advertise,
                              char ret_address[NAMING_ADDRESS_MAX + 1], struct err *e);
/*
 * The endpoint under which a server is reached through a proxy: the proxy's address, the server's
 * routing id, the versions that both speak. WSPR_EINVAL "attempting to register with incompatible
 * proxy: ...".
 */
int naming_endpoint_proxied(const struct naming_rid *server, const struct naming_endpoint *proxy,
                            struct naming_endpoint *ret_ep, struct err *e);

/* Versions. Errors are WSPR_EUNKNOWN, since these texts travel without an id. */

/* The versions in both ranges; not enough knowledge, or none in common, is an error. */
int naming_versions_intersect(struct naming_versions a, struct naming_versions b,
                              struct naming_versions *ret_both, struct err *e);
/* The version that two ends of a circuit use: positive, or the error. */
int naming_versions_common(struct naming_versions a, struct naming_versions b, struct err *e);
/* Whether we can talk to this range at all: 0 or the error. */
int naming_versions_check(struct naming_versions remote, struct err *e);

#endif

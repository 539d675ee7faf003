/*
 * Lists of origins, as an operator writes them: who may connect, who may associate (DESIGN 14). An
 * element is one of
 *
 *     an origin, https://app.example
 *     a scheme, then "://" and "*": every origin of that scheme, as of extensions
 *     a scheme, "://", "*." and a host: every host below that one, on the same port
 *     local: clients on this machine that send no Origin, which are no browsers
 *     *: everybody
 */
#ifndef GATEWAY_POLICY_H
#define GATEWAY_POLICY_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"

struct policy {
    struct arena mem;
    struct policy_rule *rules;
    size_t n;
};

/* Reads a list separated by commas; blanks do not count. WSPR_EINVAL names what is no rule. */
int policy_parse(struct policy *p, const char *text, struct err *err);
void policy_done(struct policy *p);
/* origin as the handshake sent it, empty if it sent none; local: the peer is on this machine. */
bool policy_admits(const struct policy *p, struct span origin, bool local);

/*
 * The serialized form of an origin, under which its account is looked for: lower case, without the
 * scheme's own port. False, and nothing written, if it is no origin.
 */
bool policy_serialize(struct span origin, struct buf *out);

#endif

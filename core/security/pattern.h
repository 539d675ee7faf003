/*
 * Patterns over the names of identities (spec: security 7). A pattern matches a name that is the
 * pattern or could be extended to it ("a/b" matches a and a/b); with a last component "*" it also
 * matches whatever extends it. "*" alone matches every identity, even one without names.
 */
#ifndef SECURITY_PATTERN_H
#define SECURITY_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include "base/span.h"

struct security_identity;
struct security_trust;

#define SECURITY_ALL "*"

bool security_pattern_is_all(struct span pattern);
/* Whether at least one of the names matches; "*" needs none. */
bool security_pattern_match_names(struct span pattern, const struct span *names, size_t n);
/* Whether the identity matches, by the names it has under the table. */
bool security_pattern_match(struct span pattern, const struct security_identity *id,
                            const struct security_trust *t);

#endif

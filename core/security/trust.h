/*
 * Tables of trusted roots: root name -> keys (spec: security 6). A table is filled by its one
 * owner, then shared: from the first ref on it may only be read, by any thread. To change a shared
 * table copy it, change the copy and share that.
 */
#ifndef SECURITY_TRUST_H
#define SECURITY_TRUST_H

#include "base/error.h"
#include "base/span.h"
#include "security/key.h"

struct security_identity;
struct security_private;
struct security_trust;

enum security_level { SECURITY_TRUSTED, SECURITY_MISTRUSTED, SECURITY_UNKNOWN };

/* Holds the name `veyron` without any key, as the reference does. NULL if memory is short. */
struct security_trust *security_trust_create(void);
struct security_trust *security_trust_copy(const struct security_trust *t);
struct security_trust *security_trust_ref(struct security_trust *t);
void security_trust_unref(struct security_trust *t); /* accepts NULL */

/* Adding a pair twice is no error. WSPR_ENOMEM. */
int security_trust_add(struct security_trust *t, struct span name,
                       const struct security_pubkey *key);
/* Adds the roots of an own identity. */
int security_trust_add_roots(struct security_trust *t, const struct security_private *id);

/* A NULL table knows no name. */
enum security_level security_trust_level(const struct security_trust *t, struct span name,
                                         const struct security_pubkey *key);

#endif

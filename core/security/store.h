/*
 * The identities of a runtime and whom to show which (spec: security 11): public identities over
 * one key, each with a pattern of the peers that it is meant for. Not for several threads.
 */
#ifndef SECURITY_STORE_H
#define SECURITY_STORE_H

#include "base/error.h"
#include "base/span.h"
#include "security/identity.h"

struct security_store;

struct security_store *security_store_create(void); /* NULL: no memory */
void security_store_free(struct security_store *s); /* accepts NULL */
/* Adds an identity (a set: its members) for the peers of the pattern; references it. */
int security_store_add(struct security_store *s, struct security_identity *id, struct span pattern,
                       struct err *e);
/* All identities meant for that peer, in the order of adding. WSPR_ENOTFOUND if there is none. */
int security_store_for_peer(const struct security_store *s, const struct security_identity *peer,
                            const struct security_trust *t, struct security_identity **ret_id,
                            struct err *e);
/* All identities that match the default pattern, which is "*" at first. */
int security_store_default(const struct security_store *s, const struct security_trust *t,
                           struct security_identity **ret_id, struct err *e);
int security_store_set_default(struct security_store *s, struct span pattern);

#endif

/* Private identities from inside. */
#ifndef SECURITY_PRIVATE_H
#define SECURITY_PRIVATE_H

#include "security/internal.h"

/*
 * The private form of a chain or placeholder; references both. The key, NULL for a placeholder,
 * belongs to the identity: the caller made sure of that.
 */
int security_private_create(struct security_identity *pub, struct security_key *key,
                            struct security_private **ret_id, struct err *e);
struct security_private *const *security_private_members(const struct security_private *id,
                                                         size_t *ret_n);

#endif

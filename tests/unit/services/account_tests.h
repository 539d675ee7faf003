/* Tests of accounts: what is shared. */
#ifndef TESTS_ACCOUNT_TESTS_H
#define TESTS_ACCOUNT_TESTS_H

#include "base/buf.h"
#include "security/identity.h"
#include "services/account_state.h"
#include "services/account_store.h"
#include "tap.h"
#include "unit/security/world.h"

extern const struct tap_suite suite_account_state, suite_account_store, suite_account_crash;

/* An identity whose key is the recorded one of the host. The caller unrefs. */
struct security_private *accounts_host(void);
/* Decodes under the host's key. */
int accounts_decode(const struct account_stored *stored, unsigned flags,
                    struct account_state **ret_s, struct err *err);
/* A state with this many accounts a0, a1 … of one identity, and an origin http://oN of each. */
struct account_state *accounts_make(unsigned n, struct security_private *id);
/* Same accounts with equal identities, same origins with the same caveats. */
bool accounts_equal(const struct account_state *a, const struct account_state *b);

#endif

/* The inside of a state of accounts, for its stored form. */
#ifndef SERVICES_ACCOUNT_PRIVATE_H
#define SERVICES_ACCOUNT_PRIVATE_H

#include <stdatomic.h>

#include "base/arena.h"
#include "services/account_state.h"

/*
 * An account or an origin; counted atomically, because copies of a state may be with different
 * threads. Never changes.
 */
struct account_entry {
    atomic_uint refs;
    struct span key;              /* label or origin, in mem */
    struct security_private *id;  /* account: never NULL */
    struct account_origin origin; /* origin */
    struct arena mem;
};

/* Sorted by key. */
struct account_table {
    struct account_entry **entries;
    size_t n, cap;
};

struct account_state {
    struct account_table accounts, origins;
};

/* Enters an origin whose account need not be there; everything is copied. */
int account_state_put_origin(struct account_state *s, const struct account_origin *o,
                             struct err *err);

#endif

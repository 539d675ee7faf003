/*
 * The discharges that a client has fetched, by the id of the caveat (spec: ipc 10). They are kept
 * without regard to their expiry: a discharge is dropped when a server refused a call that was sent
 * with it, or when there are too many, the one that was used longest ago first. Internal to
 * core/rpc.
 */
#ifndef RPC_DISCHARGES_H
#define RPC_DISCHARGES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/span.h"

#define RPC_DISCHARGES_ENTRIES 1024
#define RPC_DISCHARGES_BYTES   (4 * 1024 * 1024)

struct rpc_discharges_entry;
struct security_discharge;

struct rpc_discharges {
    struct rpc_discharges_entry *table;
    struct list used; /* the latest first */
    struct hash_key key;
    unsigned n, max;
    size_t bytes, bytes_max;
};

void rpc_discharges_init(struct rpc_discharges *ds, const struct hash_key *key, unsigned max,
                         size_t bytes_max);
/* Forgets everything and holds no memory; may be used again. */
void rpc_discharges_clear(struct rpc_discharges *ds);
/* Keeps it, instead of an older one with its id. Not if it is too big or memory is short. */
void rpc_discharges_put(struct rpc_discharges *ds, struct security_discharge *d);
/* The discharge of a caveat, borrowed; NULL. */
struct security_discharge *rpc_discharges_get(struct rpc_discharges *ds, struct span id);
/* Forgets this one; false if it is not, or no longer, the one that is kept. */
bool rpc_discharges_drop(struct rpc_discharges *ds, const struct security_discharge *d);

#endif

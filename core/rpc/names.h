/*
 * What a client remembers of answers of mount tables: which servers stand behind a prefix of a name
 * at a mount table, for one identity, and until when. No I/O; the time is given.
 *
 * An answer to a ResolveStep of /mt//cache/x/y with the suffix "x/y" says that all names below
 * /mt//cache lead to the answer's servers, so it is kept for that prefix and serves /mt//cache/z.
 *
 * Bounded in entries and bytes; the entry that was used longest ago goes first. Internal to
 * core/rpc.
 */
#ifndef RPC_NAMES_H
#define RPC_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/span.h"

struct rpc_names_entry;
struct security_private;

struct rpc_names {
    struct rpc_names_entry *table;
    struct list used; /* the latest first */
    struct hash_key key;
    struct buf scratch;
    unsigned n, max;
    size_t bytes, bytes_max;
    uint64_t hits, misses, stored, dropped;
};

void rpc_names_init(struct rpc_names *c, const struct hash_key *key, unsigned max,
                    size_t bytes_max);
/* Forgets everything and holds no memory; may be used again. */
void rpc_names_clear(struct rpc_names *c);

/*
 * Remembers that `asked` (a terminal name) was answered with these servers (each ended by a NUL)
 * and the suffix, until the time `until` > now. An answer whose suffix is not the end of `asked`
 * is not remembered, nor is one for which memory is short.
 */
void rpc_names_put(struct rpc_names *c, struct security_private *identity, struct span asked,
                   struct span servers, struct span suffix, int64_t now, int64_t until);
/* Appends the names that `asked` leads to, each ended by a NUL; false if that is not known. */
bool rpc_names_get(struct rpc_names *c, const struct security_private *identity, struct span asked,
                   int64_t now, struct buf *out);
/* Forgets what answers for `asked`; false if there was nothing. */
bool rpc_names_drop(struct rpc_names *c, const struct security_private *identity,
                    struct span asked);
/* Forgets what is too old, so that it does not keep identities alive. */
void rpc_names_sweep(struct rpc_names *c, int64_t now);

#endif

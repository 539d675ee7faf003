/*
 * A keyed hash (SipHash-2-4) for tables whose keys a peer chooses, and the settings of uthash that
 * use it. Include this instead of <uthash.h>. Each table's owner draws a key of its own, so that
 * nothing learnt from one helps to flood another; a table names its key with HASH_KEY before use:
 *
 *     HASH_ADD_BYHASHVALUE(hh, table, field, len, hash_bytes(&owner->key, p, len), item)
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct hash_key {
    uint64_t k[2];
};

uint64_t hash_sip(const struct hash_key *key, const void *p, size_t len);

static inline unsigned hash_bytes(const struct hash_key *key, const void *p, size_t len)
{
    return (unsigned)hash_sip(key, p, len);
}

#endif

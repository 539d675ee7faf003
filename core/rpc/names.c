/*
 * The memory of resolved names: a hash by (identity, prefix of a terminal name), and a list in the
 * order of use.
 *
 *     asked   /mt//cache/x/y      suffix  x/y      prefix  /mt//cache
 *     asked   /mt//cache//x       suffix  //x      prefix  /mt//cache
 *     asked   /mt//cache          suffix           prefix  /mt//cache
 *
 * What follows the prefix in a name decides the suffix that the mount table would answer (spec:
 * naming 9.3), so an answer for one name gives those for all that lie below the same prefix.
 */
#include "config.h"
#include "rpc/names.h"

#include <stdlib.h>
#include <string.h>

#include "naming/name.h"
#include "security/identity.h"

#define NAMES_KEY_MAX 65536
#define NAMES_PARTS   64 /* prefixes of one name that are looked for */

struct rpc_names_entry {
    UT_hash_handle hh;
    struct list node;
    struct security_private *identity;
    int64_t since, until;
    size_t key_len; /* identity's address, then the prefix */
    size_t servers_len;
    uint8_t bytes[]; /* key, servers */
};

void rpc_names_init(struct rpc_names *c, const struct hash_key *key, unsigned max, size_t bytes_max)
{
    *c = (struct rpc_names){.key = *key, .max = max, .bytes_max = bytes_max};
    list_init(&c->used);
    buf_init(&c->scratch, NAMES_KEY_MAX);
}

static size_t entry_size(const struct rpc_names_entry *e)
{
    return sizeof *e + e->key_len + e->servers_len;
}

static void entry_drop(struct rpc_names *c, struct rpc_names_entry *e)
{
    HASH_DELETE(hh, c->table, e);
    list_remove(&e->node);
    c->n--;
    c->bytes -= entry_size(e);
    security_private_unref(e->identity);
    free(e);
}

void rpc_names_clear(struct rpc_names *c)
{
    while (!list_empty(&c->used))
        entry_drop(c, LIST_OBJECT(c->used.next, struct rpc_names_entry, node));
    buf_done(&c->scratch);
    buf_init(&c->scratch, NAMES_KEY_MAX);
}

/* ---- prefixes ---- */

/*
 * Offset of the first slash at which a prefix can end, behind the address; asked.len if the name is
 * an address only.
 */
static size_t first_end(struct span asked)
{
    size_t at = 1;

    while (at < asked.len && asked.p[at] != '/')
        at++;
    /* Of the two slashes that make it terminal the second is the border to an empty prefix. */
    return at + 1 < asked.len ? at + 1 : asked.len;
}

/* Length of the prefix that an answer with this suffix speaks of, or 0. */
static size_t prefix_len(struct span asked, struct span suffix)
{
    size_t n;

    if (suffix.len == 0)
        return asked.len;
    if (suffix.len >= asked.len)
        return 0;
    n = asked.len - suffix.len;
    if (memcmp(asked.p + n, suffix.p, suffix.len) != 0)
        return 0;
    /* A suffix without a slash in front follows one. */
    if (suffix.p[0] != '/')
        n = asked.p[n - 1] == '/' ? n - 1 : 0;
    return n >= first_end(asked) ? n : 0;
}

/* The suffix that belongs to what follows a prefix. */
static struct span suffix_of(struct span rest)
{
    if (rest.len >= 2 && rest.p[1] != '/')
        return span_of(rest.p + 1, rest.len - 1);
    return rest;
}

static size_t next_end(struct span asked, size_t at)
{
    for (at++; at < asked.len; at++) {
        if (asked.p[at] == '/')
            return at;
    }
    return asked.len;
}

/* ---- entries ---- */

/* Makes the key in c->scratch. */
static struct rpc_names_entry *
entry_find(struct rpc_names *c, const struct security_private *identity, struct span prefix)
{
    struct buf *key = &c->scratch;
    struct rpc_names_entry *e;
    unsigned hash;

    buf_reset(key);
    buf_append(key, &identity, sizeof identity);
    buf_append_span(key, prefix);
    if (buf_error(key) != 0)
        return NULL;
    hash = hash_bytes(&c->key, buf_data(key), key->len);
    HASH_FIND_BYHASHVALUE(hh, c->table, buf_data(key), key->len, hash, e);
    return e;
}

/* The entry that answers for a name: the shortest prefix, as the mount table stops there. */
static struct rpc_names_entry *entry_for(struct rpc_names *c,
                                         const struct security_private *identity, struct span asked,
                                         size_t *ret_end)
{
    struct rpc_names_entry *e = NULL;
    size_t at = first_end(asked);

    for (unsigned i = 0; i < NAMES_PARTS && c->n > 0; i++) {
        e = entry_find(c, identity, span_of(asked.p, at));
        if (e != NULL || at == asked.len)
            break;
        at = next_end(asked, at);
    }
    *ret_end = at;
    return e;
}

void rpc_names_put(struct rpc_names *c, struct security_private *identity, struct span asked,
                   struct span servers, struct span suffix, int64_t now, int64_t until)
{
    size_t len = prefix_len(asked, suffix), size, key_len = sizeof identity + len;
    struct rpc_names_entry *e;
    unsigned hash;

    size = sizeof *e + key_len + servers.len;
    if (len == 0 || until <= now || c->max == 0 || size > c->bytes_max)
        return;
    e = entry_find(c, identity, span_of(asked.p, len));
    if (e != NULL)
        entry_drop(c, e);
    while (c->n >= c->max || c->bytes + size > c->bytes_max)
        entry_drop(c, LIST_OBJECT(c->used.prev, struct rpc_names_entry, node));
    e = buf_error(&c->scratch) == 0 ? calloc(1, size) : NULL;
    if (e != NULL) {
        e->since = now;
        e->until = until;
        e->key_len = key_len;
        e->servers_len = servers.len;
        memcpy(e->bytes, buf_data(&c->scratch), key_len);
        if (servers.len > 0)
            memcpy(e->bytes + key_len, servers.p, servers.len);
        hash = hash_bytes(&c->key, e->bytes, key_len);
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, c->table, e->bytes, key_len, hash, e);
        if (e->hh.tbl == NULL) {
            free(e);
            e = NULL;
        }
    }
    if (e == NULL)
        return;
    e->identity = security_private_ref(identity);
    list_push_front(&c->used, &e->node);
    c->n++;
    c->bytes += size;
    c->stored++;
}

/* Not any more, or the clock went back behind the time when it was asked. */
static bool entry_is_old(const struct rpc_names_entry *e, int64_t now)
{
    return now >= e->until || now < e->since;
}

bool rpc_names_get(struct rpc_names *c, const struct security_private *identity, struct span asked,
                   int64_t now, struct buf *out)
{
    size_t end;
    struct rpc_names_entry *e = entry_for(c, identity, asked, &end);
    struct span suffix;

    if (e != NULL && entry_is_old(e, now)) {
        entry_drop(c, e);
        e = NULL;
    }
    if (e == NULL) {
        c->misses++;
        return false;
    }
    suffix = suffix_of(span_of(asked.p + end, asked.len - end));
    for (size_t at = 0; at < e->servers_len;) {
        struct span server = span_str((const char *)e->bytes + e->key_len + at);

        naming_name_join(out, server, suffix);
        buf_u8(out, 0);
        at += server.len + 1;
    }
    list_remove(&e->node);
    list_push_front(&c->used, &e->node);
    c->hits++;
    return true;
}

bool rpc_names_drop(struct rpc_names *c, const struct security_private *identity, struct span asked)
{
    size_t end;
    struct rpc_names_entry *e = entry_for(c, identity, asked, &end);

    if (e == NULL)
        return false;
    entry_drop(c, e);
    c->dropped++;
    return true;
}

void rpc_names_sweep(struct rpc_names *c, int64_t now)
{
    LIST_FOREACH_SAFE (node, after, &c->used) {
        struct rpc_names_entry *e = LIST_OBJECT(node, struct rpc_names_entry, node);

        if (entry_is_old(e, now))
            entry_drop(c, e);
    }
}

#include "config.h"
#include "rpc/discharges.h"

#include <stdlib.h>

#include "security/caveat.h"

struct rpc_discharges_entry {
    UT_hash_handle hh;
    struct list node;
    struct security_discharge *discharge; /* whose id is the key */
};

void rpc_discharges_init(struct rpc_discharges *ds, const struct hash_key *key, unsigned max,
                         size_t bytes_max)
{
    *ds = (struct rpc_discharges){.key = *key, .max = max, .bytes_max = bytes_max};
    list_init(&ds->used);
}

static size_t entry_size(const struct security_discharge *d)
{
    return sizeof(struct rpc_discharges_entry) + security_discharge_size(d);
}

static void entry_drop(struct rpc_discharges *ds, struct rpc_discharges_entry *e)
{
    HASH_DELETE(hh, ds->table, e);
    list_remove(&e->node);
    ds->n--;
    ds->bytes -= entry_size(e->discharge);
    security_discharge_unref(e->discharge);
    free(e);
}

static struct rpc_discharges_entry *entry_find(const struct rpc_discharges *ds, struct span id)
{
    struct rpc_discharges_entry *e = NULL;
    unsigned hash;

    if (ds->n > 0) {
        hash = hash_bytes(&ds->key, id.p, id.len);
        HASH_FIND_BYHASHVALUE(hh, ds->table, id.p, id.len, hash, e);
    }
    return e;
}

void rpc_discharges_clear(struct rpc_discharges *ds)
{
    while (!list_empty(&ds->used))
        entry_drop(ds, LIST_OBJECT(ds->used.next, struct rpc_discharges_entry, node));
}

void rpc_discharges_put(struct rpc_discharges *ds, struct security_discharge *d)
{
    struct span id = security_discharge_id(d);
    struct rpc_discharges_entry *e = entry_find(ds, id);
    size_t size = entry_size(d);
    unsigned hash;

    if (e != NULL)
        entry_drop(ds, e);
    if (ds->max == 0 || size > ds->bytes_max)
        return;
    while (ds->n >= ds->max || ds->bytes + size > ds->bytes_max)
        entry_drop(ds, LIST_OBJECT(ds->used.prev, struct rpc_discharges_entry, node));
    e = calloc(1, sizeof *e);
    if (e == NULL)
        return;
    hash = hash_bytes(&ds->key, id.p, id.len);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, ds->table, id.p, id.len, hash, e);
    if (e->hh.tbl == NULL) {
        free(e);
        return;
    }
    e->discharge = security_discharge_ref(d);
    list_push_front(&ds->used, &e->node);
    ds->n++;
    ds->bytes += size;
}

struct security_discharge *rpc_discharges_get(struct rpc_discharges *ds, struct span id)
{
    struct rpc_discharges_entry *e = entry_find(ds, id);

    if (e == NULL)
        return NULL;
    list_remove(&e->node);
    list_push_front(&ds->used, &e->node);
    return e->discharge;
}

bool rpc_discharges_drop(struct rpc_discharges *ds, const struct security_discharge *d)
{
    struct rpc_discharges_entry *e = entry_find(ds, security_discharge_id(d));

    if (e == NULL || e->discharge != d)
        return false;
    entry_drop(ds, e);
    return true;
}

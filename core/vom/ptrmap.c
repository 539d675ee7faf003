#include "config.h"
#include "vom/ptrmap.h"

#include <stdlib.h>
#include <string.h>

#define PTRMAP_FIRST 32
#define PTRMAP_KEEP  1024

void vom_ptrmap_init(struct vom_ptrmap *m)
{
    m->more = NULL;
    m->n = 0;
    m->cap = 0;
}

void vom_ptrmap_reset(struct vom_ptrmap *m)
{
    if (m->n == 0)
        return;
    m->n = 0;
    if (m->cap > PTRMAP_KEEP)
        vom_ptrmap_done(m);
    else if (m->more != NULL)
        memset(m->more, 0, m->cap * sizeof *m->more);
}

void vom_ptrmap_done(struct vom_ptrmap *m)
{
    free(m->more);
    vom_ptrmap_init(m);
}

/* The entry of the key, or the free one where it belongs. cap is a power of two, never full. */
static struct vom_ptrmap_entry *ptrmap_slot(struct vom_ptrmap_entry *table, size_t cap,
                                            const void *key)
{
    uint64_t h = (uint64_t)(uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15);
    size_t i = (size_t)(h >> 20) & (cap - 1);

    while (table[i].key != NULL && table[i].key != key)
        i = (i + 1) & (cap - 1);
    return &table[i];
}

struct vom_ptrmap_entry *vom_ptrmap_find(const struct vom_ptrmap *m, const void *key)
{
    if (m->more != NULL) {
        struct vom_ptrmap_entry *e = ptrmap_slot(m->more, m->cap, key);

        return e->key != NULL ? e : NULL;
    }
    for (size_t i = 0; i < m->n; i++) {
        if (m->few[i].key == key)
            return (struct vom_ptrmap_entry *)&m->few[i];
    }
    return NULL;
}

static int ptrmap_grow(struct vom_ptrmap *m)
{
    size_t cap = m->cap > 0 ? m->cap * 2 : PTRMAP_FIRST;
    const struct vom_ptrmap_entry *old = m->more != NULL ? m->more : m->few;
    size_t n_old = m->more != NULL ? m->cap : m->n;
    struct vom_ptrmap_entry *table = calloc(cap, sizeof *table);

    if (table == NULL)
        return -1;
    for (size_t i = 0; i < n_old; i++) {
        if (old[i].key != NULL)
            *ptrmap_slot(table, cap, old[i].key) = old[i];
    }
    free(m->more);
    m->more = table;
    m->cap = cap;
    return 0;
}

struct vom_ptrmap_entry *vom_ptrmap_add(struct vom_ptrmap *m, const void *key)
{
    struct vom_ptrmap_entry *e;

    if (m->more == NULL && m->n < VOM_PTRMAP_FEW) {
        e = &m->few[m->n];
    } else {
        if ((m->more == NULL || m->n >= m->cap / 2) && ptrmap_grow(m) < 0)
            return NULL;
        e = ptrmap_slot(m->more, m->cap, key);
    }
    m->n++;
    e->key = key;
    return e;
}

#include "config.h"
#include "gateway/flow_table.h"

#include <stdlib.h>

#include "gateway/private.h"

#define TABLE_KEEP_BITS 6 /* an empty table with more slots is given back */

static struct wspr_flow **table_slots(const struct flow_table *t, unsigned *ret_bits)
{
    *ret_bits = t->slots != NULL ? t->bits : FLOW_TABLE_FEW_BITS;
    return t->slots != NULL ? t->slots : (struct wspr_flow **)(uintptr_t)t->few;
}

static struct wspr_flow **table_slot(const struct flow_table *t, const struct hash_key *secret,
                                     struct flow_key key)
{
    uint64_t h = (uint64_t)key.id * (secret->k[0] | 1);
    unsigned bits;
    struct wspr_flow **slots = table_slots(t, &bits);

    if (key.opener == FLOW_HOST)
        h += secret->k[1];
    return &slots[h >> (64 - bits)];
}

static void table_link(struct flow_table *t, const struct hash_key *secret, struct wspr_flow *f)
{
    struct wspr_flow **slot = table_slot(t, secret, f->key);

    f->table_next = *slot;
    *slot = f;
}

/* Makes four times as many slots; without memory for them chains get longer, that is all. */
static void table_grow(struct flow_table *t, const struct hash_key *secret)
{
    unsigned bits;
    struct wspr_flow **old = table_slots(t, &bits);
    struct flow_table grown = {.bits = bits + 2, .n = t->n};

    grown.slots = calloc((size_t)1 << grown.bits, sizeof *grown.slots);
    if (grown.slots == NULL)
        return;
    for (size_t i = 0; i < (size_t)1 << bits; i++) {
        while (old[i] != NULL) {
            struct wspr_flow *f = old[i];

            old[i] = f->table_next;
            table_link(&grown, secret, f);
        }
    }
    free(t->slots);
    *t = grown;
}

struct wspr_flow *flow_table_find(const struct flow_table *t, const struct hash_key *secret,
                                  struct flow_key key)
{
    struct wspr_flow *f = *table_slot(t, secret, key);

    while (f != NULL && (f->key.id != key.id || f->key.opener != key.opener))
        f = f->table_next;
    return f;
}

void flow_table_add(struct flow_table *t, const struct hash_key *secret, struct wspr_flow *f)
{
    unsigned bits;

    table_slots(t, &bits);
    if (t->n >> bits >= 2)
        table_grow(t, secret);
    table_link(t, secret, f);
    t->n++;
}

void flow_table_remove(struct flow_table *t, const struct hash_key *secret, struct wspr_flow *f)
{
    struct wspr_flow **at = table_slot(t, secret, f->key);

    while (*at != f)
        at = &(*at)->table_next;
    *at = f->table_next;
    if (--t->n == 0 && t->bits > TABLE_KEEP_BITS)
        flow_table_done(t);
}

void flow_table_done(struct flow_table *t)
{
    free(t->slots);
    *t = (struct flow_table){0};
}

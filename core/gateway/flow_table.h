/*
 * The flows of one connection by (opener, id). Up to a few flows it allocates nothing, because most
 * connections have none or one at a time.
 *
 * Ids are chosen by pages. A slot is the top of the product with a secret odd number (multiply and
 * shift): whoever does not know it cannot choose ids that share a slot more often than chance.
 */
#ifndef GATEWAY_FLOW_TABLE_H
#define GATEWAY_FLOW_TABLE_H

#include <stdint.h>

#include "base/hash.h"

#define FLOW_TABLE_FEW_BITS 3

struct wspr_flow;

enum flow_opener { FLOW_PAGE, FLOW_HOST };

struct flow_key {
    int64_t id;
    enum flow_opener opener;
};

/* All zero is an empty table. */
struct flow_table {
    struct wspr_flow **slots; /* NULL: the few below */
    unsigned bits;            /* of slots */
    unsigned n;
    struct wspr_flow *few[1 << FLOW_TABLE_FEW_BITS];
};

struct wspr_flow *flow_table_find(const struct flow_table *t, const struct hash_key *secret,
                                  struct flow_key key);
/* Adds a flow whose key is in no other of the table. Cannot fail. */
void flow_table_add(struct flow_table *t, const struct hash_key *secret, struct wspr_flow *f);
void flow_table_remove(struct flow_table *t, const struct hash_key *secret, struct wspr_flow *f);
/* Frees the table, not the flows. */
void flow_table_done(struct flow_table *t);

#endif

/*
 * A table from 32-bit numbers that a peer may choose to objects that carry their own links. The key
 * of the hash is secret, so that numbers cannot be chosen to collide. Never fails: if it cannot
 * grow its chains get longer.
 */
#ifndef VC_MAP_H
#define VC_MAP_H

#include <stddef.h>
#include <stdint.h>

struct vc_map_node {
    struct vc_map_node *next;
    uint32_t key;
};

#define VC_MAP_SMALL 4u

struct vc_map {
    struct vc_map_node **bucket; /* small, or allocated */
    uint64_t mul;                /* odd */
    unsigned bits;
    unsigned n;
    struct vc_map_node *small[VC_MAP_SMALL];
};

void vc_map_init(struct vc_map *m, uint64_t secret);
void vc_map_done(struct vc_map *m);
struct vc_map_node *vc_map_find(const struct vc_map *m, uint32_t key);
/* The key must not be there yet. */
void vc_map_add(struct vc_map *m, struct vc_map_node *node, uint32_t key);
/* The node must be there. */
void vc_map_remove(struct vc_map *m, struct vc_map_node *node);

#endif

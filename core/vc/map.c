#include "config.h"
#include "vc/map.h"

#include <stdlib.h>
#include <string.h>

#define MAP_SMALL_BITS 2u
#define MAP_BITS_MAX   16u

/* Multiply-shift with a secret odd factor: two keys meet with a probability of about 2 / buckets.
 */
static struct vc_map_node **map_bucket(const struct vc_map *m, uint32_t key)
{
    return &m->bucket[(uint64_t)(key + UINT64_C(1)) * m->mul >> (64 - m->bits)];
}

void vc_map_init(struct vc_map *m, uint64_t secret)
{
    memset(m, 0, sizeof *m);
    m->bucket = m->small;
    m->mul = secret | 1;
    m->bits = MAP_SMALL_BITS;
}

void vc_map_done(struct vc_map *m)
{
    if (m->bucket != m->small)
        free(m->bucket);
    m->bucket = m->small;
    m->bits = MAP_SMALL_BITS;
}

struct vc_map_node *vc_map_find(const struct vc_map *m, uint32_t key)
{
    struct vc_map_node *n = *map_bucket(m, key);

    while (n != NULL && n->key != key)
        n = n->next;
    return n;
}

static void map_grow(struct vc_map *m)
{
    struct vc_map_node **old = m->bucket, **bucket;
    size_t n_old = (size_t)1 << m->bits;

    if (m->bits >= MAP_BITS_MAX)
        return;
    bucket = calloc(n_old * 4, sizeof *bucket);
    if (bucket == NULL)
        return;
    m->bucket = bucket;
    m->bits += 2;
    for (size_t i = 0; i < n_old; i++) {
        for (struct vc_map_node *n = old[i], *next; n != NULL; n = next) {
            struct vc_map_node **b = map_bucket(m, n->key);

            next = n->next;
            n->next = *b;
            *b = n;
        }
    }
    if (old != m->small)
        free(old);
}

void vc_map_add(struct vc_map *m, struct vc_map_node *node, uint32_t key)
{
    struct vc_map_node **b;

    if (m->n >= 2u << m->bits)
        map_grow(m);
    b = map_bucket(m, key);
    node->key = key;
    node->next = *b;
    *b = node;
    m->n++;
}

void vc_map_remove(struct vc_map *m, struct vc_map_node *node)
{
    struct vc_map_node **b = map_bucket(m, node->key);

    while (*b != node)
        b = &(*b)->next;
    *b = node->next;
    node->next = NULL;
    m->n--;
}

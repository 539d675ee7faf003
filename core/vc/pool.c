#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "security/channel.h"
#include "vc/impl.h"

#define WINDOW_MIN 131072u
#define WINDOW_MAX (UINT32_C(1) << 30)
#define MINUTE     INT64_C(60000000000) /* in nanoseconds */

/* What a spare block begins with. */
struct pool_block {
    struct pool_block *next;
};

void vc_limits_default(struct vc_limits *ret_limits)
{
    *ret_limits = (struct vc_limits){
        .window = 1048576,
        .shared = 1048576,
        .message = 2 * 1048576 + 262144,
        .control = 262144,
        .queue_soft = 262144,
        .queue_hard = 64 * 1048576,
        .queue_vif = 256 * 1048576,
        .queue_total = 512 * 1048576,
        .control_queue = 1048576,
        .relay_queue = 8 * 1048576,
        .in_total = 256 * 1048576,
        .held = 1048576 + 262144,
        .held_vif = 32 * 1048576,
        .held_total = 256 * 1048576,
        .handshake_bytes = SECURITY_CHANNEL_MAX + 16384,
        .vcs = 1024,
        .vcs_total = 65536,
        .vcs_unready = 4096,
        .flows = 1000,
        .flow_ids = 1u << 30,
        .credit_delay = 65536,
        .handshake_timeout = MINUTE,
        .linger_timeout = MINUTE,
    };
}

struct vc_pool *vc_pool_new(const struct vc_limits *limits, const uint8_t hash_key[16])
{
    struct vc_pool *p = calloc(1, sizeof *p);

    if (p == NULL)
        return NULL;
    p->limits = *limits;
    if (p->limits.window < WINDOW_MIN)
        p->limits.window = WINDOW_MIN;
    if (p->limits.window > WINDOW_MAX)
        p->limits.window = WINDOW_MAX;
    for (unsigned i = 0; i < 16; i++)
        p->secret = (p->secret << 8 | p->secret >> 56) ^ hash_key[i];
    list_init(&p->vifs);
    list_init(&p->flows);
    return p;
}

void vc_pool_trim(struct vc_pool *pool)
{
    struct list *l;

    while (pool->n_spare > 0)
        buf_done(&pool->spare[--pool->n_spare]);
    while (pool->blocks != NULL) {
        struct pool_block *block = pool->blocks;

        pool->blocks = block->next;
        free(block);
    }
    pool->n_blocks = 0;
    while ((l = list_pop(&pool->flows)) != NULL)
        free(LIST_OBJECT(l, struct vc_flow, all));
    pool->n_flows = 0;
}

void vc_pool_free(struct vc_pool *pool)
{
    if (pool == NULL)
        return;
    vc_pool_trim(pool);
    free(pool);
}

const struct vc_stats *vc_pool_stats(const struct vc_pool *pool)
{
    return &pool->stats;
}

/* The smallest spare piece that is large enough; POOL_SPARES if there is none. */
static unsigned pool_best(const struct vc_pool *p, size_t need)
{
    unsigned best = POOL_SPARES;

    for (unsigned i = 0; i < p->n_spare; i++) {
        if (p->spare[i].cap >= need &&
            (best == POOL_SPARES || p->spare[i].cap < p->spare[best].cap))
            best = i;
    }
    return best;
}

void pool_take(struct vc_pool *p, struct buf *b, size_t need)
{
    size_t cap = POOL_BLOCK;
    unsigned i;

    if (b->base != NULL)
        return;
    if (need <= POOL_BLOCK && p->blocks != NULL) {
        b->base = (uint8_t *)(void *)p->blocks;
        b->cap = POOL_BLOCK;
        p->blocks = p->blocks->next;
        p->n_blocks--;
        return;
    }
    i = pool_best(p, need);
    if (i < POOL_SPARES) {
        b->base = p->spare[i].base;
        b->cap = p->spare[i].cap;
        p->spare[i] = p->spare[--p->n_spare];
        return;
    }
    while (cap < need && cap < SIZE_MAX / 2)
        cap *= 2;
    b->base = malloc(cap);
    b->cap = b->base != NULL ? cap : 0;
}

/* Puts a piece of just the usual size aside; false if it is another, or there are enough. */
static bool pool_keep_block(struct vc_pool *p, struct buf *b)
{
    struct pool_block *block = (struct pool_block *)(void *)b->base;

    if (b->cap != POOL_BLOCK || p->n_blocks >= POOL_BLOCKS)
        return false;
    block->next = p->blocks;
    p->blocks = block;
    p->n_blocks++;
    b->base = NULL;
    b->cap = 0;
    return true;
}

void pool_give(struct vc_pool *p, struct buf *b)
{
    unsigned smallest = 0;

    buf_reset(b);
    if (b->base == NULL || pool_keep_block(p, b))
        return;
    if (b->cap < POOL_BLOCK || b->cap > POOL_SPARE_MAX) {
        buf_release(b);
        return;
    }
    if (p->n_spare == POOL_SPARES) {
        for (unsigned i = 1; i < p->n_spare; i++) {
            if (p->spare[i].cap < p->spare[smallest].cap)
                smallest = i;
        }
        if (p->spare[smallest].cap >= b->cap) {
            buf_release(b);
            return;
        }
        buf_done(&p->spare[smallest]);
        p->spare[smallest] = p->spare[--p->n_spare];
    }
    p->spare[p->n_spare] = BUF_INIT(SIZE_MAX);
    p->spare[p->n_spare].base = b->base;
    p->spare[p->n_spare++].cap = b->cap;
    b->base = NULL;
    b->cap = 0;
}

struct vc_flow *pool_flow_new(struct vc_pool *p)
{
    struct list *l = list_pop(&p->flows);
    struct vc_flow *f;

    if (l == NULL)
        return calloc(1, sizeof *f);
    p->n_flows--;
    f = LIST_OBJECT(l, struct vc_flow, all);
    memset(f, 0, sizeof *f);
    return f;
}

void pool_flow_free(struct vc_pool *p, struct vc_flow *f)
{
    if (p->n_flows >= POOL_FLOWS) {
        free(f);
        return;
    }
    p->n_flows++;
    list_push_back(&p->flows, &f->all);
}

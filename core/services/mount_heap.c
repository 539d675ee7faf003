#include "config.h"
#include "services/mount_heap.h"

#include <stdlib.h>

#define HEAP_FIRST 64

int mount_heap_reserve(struct mount_tree *t)
{
    uint32_t cap = t->heap_cap > 0 ? t->heap_cap * 2 : HEAP_FIRST;
    struct mount_server **heap;

    if (t->stats.mounts < t->heap_cap)
        return 0;
    heap = realloc(t->heap, cap * sizeof heap[0]);
    if (heap == NULL)
        return WSPR_ENOMEM;
    t->stats.bytes += (cap - t->heap_cap) * sizeof heap[0];
    t->heap = heap;
    t->heap_cap = cap;
    return 0;
}

static void heap_put(struct mount_tree *t, uint32_t at, struct mount_server *s)
{
    t->heap[at] = s;
    s->at = at;
}

static void heap_up(struct mount_tree *t, struct mount_server *s)
{
    uint32_t at = s->at;

    while (at > 0 && t->heap[(at - 1) / 2]->expiry > s->expiry) {
        heap_put(t, at, t->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(t, at, s);
}

static void heap_down(struct mount_tree *t, struct mount_server *s)
{
    uint32_t at = s->at, n = t->stats.mounts;

    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child + 1 < n && t->heap[child + 1]->expiry < t->heap[child]->expiry)
            child++;
        if (child >= n || t->heap[child]->expiry >= s->expiry)
            break;
        heap_put(t, at, t->heap[child]);
        at = child;
    }
    heap_put(t, at, s);
}

void mount_heap_add(struct mount_tree *t, struct mount_server *s)
{
    heap_put(t, t->stats.mounts++, s);
    heap_up(t, s);
}

void mount_heap_move(struct mount_tree *t, struct mount_server *s)
{
    heap_up(t, s);
    heap_down(t, s);
}

void mount_heap_remove(struct mount_tree *t, struct mount_server *s)
{
    struct mount_server *last = t->heap[--t->stats.mounts];

    if (last == s)
        return;
    heap_put(t, s->at, last);
    mount_heap_move(t, last);
}

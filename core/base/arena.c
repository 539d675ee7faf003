#include "config.h"
#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#include "base/mem.h"

#define ARENA_FIRST 1024
#define ARENA_KEEP  65536
#define ARENA_ALIGN alignof(max_align_t)

struct arena_block {
    struct arena_block *next;
    size_t cap;
    size_t used;
    alignas(max_align_t) unsigned char data[];
};

void arena_init(struct arena *a, size_t max)
{
    *a = ARENA_INIT(max);
}

void arena_done(struct arena *a)
{
    while (a->head != NULL) {
        struct arena_block *b = a->head;

        a->head = b->next;
        free(b);
    }
    a->used = 0;
}

static void arena_wipe_blocks(struct arena *a)
{
    for (struct arena_block *b = a->head; b != NULL; b = b->next)
        mem_wipe(b->data, b->used);
}

void arena_wipe(struct arena *a)
{
    arena_wipe_blocks(a);
    arena_done(a);
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = NULL;

    while (a->head != NULL) {
        struct arena_block *b = a->head;

        a->head = b->next;
        if (b->cap <= ARENA_KEEP && (keep == NULL || b->cap > keep->cap)) {
            free(keep);
            keep = b;
        } else {
            free(b);
        }
    }
    if (keep != NULL) {
        keep->next = NULL;
        keep->used = 0;
    }
    a->head = keep;
    a->used = 0;
}

void arena_recycle(struct arena *a, size_t keep)
{
    arena_reset(a);
    if (a->head != NULL && a->head->cap > keep)
        arena_done(a);
}

void arena_wipe_recycle(struct arena *a, size_t keep)
{
    arena_wipe_blocks(a);
    arena_recycle(a, keep);
}

void arena_move(struct arena *to, struct arena *from)
{
    arena_done(to);
    to->head = from->head;
    to->used = from->used;
    from->head = NULL;
    from->used = 0;
}

static struct arena_block *arena_grow(struct arena *a, size_t n)
{
    size_t cap = a->head != NULL ? a->head->cap * 2 : ARENA_FIRST;
    struct arena_block *b;

    if (cap > ARENA_KEEP)
        cap = ARENA_KEEP;
    if (cap < n)
        cap = n;
    b = malloc(sizeof *b + cap);
    if (b == NULL)
        return NULL;
    b->cap = cap;
    b->used = 0;
    b->next = a->head;
    a->head = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
    struct arena_block *b = a->head;
    void *p;

    if (n > a->max || n > SIZE_MAX - ARENA_ALIGN)
        return NULL;
    n = (n + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (n > a->max || a->used > a->max - n)
        return NULL;
    if (b == NULL || b->cap - b->used < n) {
        b = arena_grow(a, n);
        if (b == NULL)
            return NULL;
    }
    p = b->data + b->used;
    b->used += n;
    a->used += n;
    return p;
}

void *arena_calloc(struct arena *a, size_t n, size_t size)
{
    void *p;

    if (size > 0 && n > SIZE_MAX / size)
        return NULL;
    p = arena_alloc(a, n * size);
    if (p != NULL)
        memset(p, 0, n * size);
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    char *p = len < SIZE_MAX ? arena_alloc(a, len + 1) : NULL;

    if (p == NULL)
        return NULL;
    if (len > 0)
        memcpy(p, s, len);
    p[len] = '\0';
    return p;
}

struct span arena_copy(struct arena *a, struct span s)
{
    char *p = arena_strndup(a, (const char *)s.p, s.len);

    return span_of(p, p != NULL ? s.len : 0);
}

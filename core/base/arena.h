/*
 * Memory for one task: many small pieces, freed together. An arena is born with the most it may
 * hand out. Reset keeps one block, so that a task that repeats does not allocate.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include "base/span.h"

struct arena_block;

struct arena {
    struct arena_block *head; /* the block that is being filled */
    size_t used;              /* bytes handed out since the last reset */
    size_t max;
};

#define ARENA_INIT(maximum)                                                                        \
    (struct arena)                                                                                 \
    {                                                                                              \
        .max = (maximum)                                                                           \
    }

void arena_init(struct arena *a, size_t max);
/* Frees everything; the arena may be used again. */
void arena_done(struct arena *a);
/* The same for an arena that may hold secrets: what was handed out is wiped first. */
void arena_wipe(struct arena *a);
/* Takes everything back, keeping the largest block if it is not above 64 KiB. */
void arena_reset(struct arena *a);
/* The same, for memory that waits for its next use: keeps no block above keep bytes. */
void arena_recycle(struct arena *a, size_t keep);
void arena_wipe_recycle(struct arena *a, size_t keep);
/* What `from` handed out is `to`'s from now on, which must be empty; each keeps its own maximum. */
void arena_move(struct arena *to, struct arena *from);
/* n bytes, aligned for any object, not cleared. NULL if memory is short or the maximum is passed.
 */
void *arena_alloc(struct arena *a, size_t n);
/* The same, cleared; n objects of the given size. */
void *arena_calloc(struct arena *a, size_t n, size_t size);
/* A copy that ends in a NUL, which is not counted in the span. p is NULL if memory is short. */
struct span arena_copy(struct arena *a, struct span s);
char *arena_strndup(struct arena *a, const char *s, size_t len);

#endif

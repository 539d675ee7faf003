#include "config.h"
#include "security/reserve.h"

#include <gmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SMALL   512u
#define BIG     8192u
#define N_SMALL 64u
#define N_BIG   8u

/*
 * The one place that has mutable globals: GMP takes no context. Pages that are never touched cost
 * nothing. A bit is set while its block is in use; any thread.
 */
static union {
    uint8_t bytes[N_SMALL * SMALL + N_BIG * BIG];
    max_align_t align;
} blocks;
static _Atomic uint64_t small_used;
static _Atomic uint64_t big_used = ~UINT64_C(0) << N_BIG;

static void *take(_Atomic uint64_t *used, uint8_t *first, size_t size)
{
    uint64_t was = atomic_load(used), bit;

    do {
        if (was == UINT64_MAX)
            return NULL;
        bit = ~was & (was + 1);
    } while (!atomic_compare_exchange_weak(used, &was, was | bit));
    return first + (size_t)__builtin_ctzll(bit) * size;
}

static void *reserve_take(size_t n)
{
    void *p = n <= SMALL ? take(&small_used, blocks.bytes, SMALL) : NULL;

    if (p == NULL && n <= BIG)
        p = take(&big_used, blocks.bytes + N_SMALL * SMALL, BIG);
    return p;
}

/* False: it is of the heap. */
static bool reserve_give(void *p)
{
    uintptr_t at = (uintptr_t)p - (uintptr_t)blocks.bytes;

    if (at >= sizeof blocks.bytes)
        return false;
    if (at < N_SMALL * SMALL)
        atomic_fetch_and(&small_used, ~(UINT64_C(1) << at / SMALL));
    else
        atomic_fetch_and(&big_used, ~(UINT64_C(1) << (at - N_SMALL * SMALL) / BIG));
    return true;
}

/* GMP aborts if this answers NULL, for want of a better answer. */
static void *number_alloc(size_t n)
{
    void *p = malloc(n);

    return p != NULL ? p : reserve_take(n);
}

/* Numbers may be secret. */
static void number_free(void *p, size_t n)
{
    if (p == NULL)
        return;
    mem_wipe(p, n);
    if (!reserve_give(p))
        free(p);
}

static void *number_realloc(void *p, size_t old, size_t n)
{
    void *q = number_alloc(n);

    if (q == NULL)
        return NULL;
    memcpy(q, p, old < n ? old : n);
    number_free(p, old);
    return q;
}

void security_reserve(void)
{
    mp_set_memory_functions(number_alloc, number_realloc, number_free);
}

#include "config.h"
#include "failmalloc.h"

#include <stdatomic.h>
#include <stdlib.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

/* Atomic, because programs with threads are tested too. */
static atomic_ulong fail_at, counted;

static int failmalloc_now(void)
{
    unsigned long n = atomic_fetch_add(&counted, 1) + 1;

    return n == fail_at;
}

void *__wrap_malloc(size_t n)
{
    return failmalloc_now() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return failmalloc_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return failmalloc_now() ? NULL : __real_realloc(p, n);
}

void failmalloc_at(unsigned long n)
{
    fail_at = n;
    counted = 0;
}

unsigned long failmalloc_count(void)
{
    return counted;
}

unsigned long failmalloc_each(void (*fn)(void *), void *arg, unsigned long most)
{
    for (unsigned long n = 1; n <= most; n++) {
        failmalloc_at(n);
        fn(arg);
        if (counted < n) {
            failmalloc_at(0);
            return n;
        }
    }
    failmalloc_at(0);
    return 0;
}

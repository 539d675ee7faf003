#include "config.h"
#include "failmalloc.h"

#include <stdlib.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static unsigned long fail_at, counted;

static int failmalloc_now(void)
{
    counted++;
    return fail_at != 0 && counted == fail_at;
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

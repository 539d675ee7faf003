#include "config.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef HAVE_MALLOC_TRIM
#include <malloc.h>
#endif

#define MEM_WORTH 65536u /* less is left where it is; also a small part of what is in use */
#define MEM_PART  64
#define MEM_LARGE (256 * 1024) /* allocations from here on are mappings of their own */

char *mem_strndup(const char *s, size_t len)
{
    char *p = malloc(len + 1);

    if (p == NULL)
        return NULL;
    if (len > 0)
        memcpy(p, s, len);
    p[len] = '\0';
    return p;
}

void *mem_dup(const void *p, size_t len)
{
    void *q = malloc(len > 0 ? len : 1);

    if (q != NULL && len > 0)
        memcpy(q, p, len);
    return q;
}

void mem_wipe(void *p, size_t len)
{
    if (p != NULL)
        explicit_bzero(p, len);
}

/* Pages of this process that are in memory and belong to no file; 0 if they cannot be counted. */
static size_t resident(void)
{
    unsigned long pages = 0, files = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f != NULL && fscanf(f, "%*u %lu %lu", &pages, &files) != 2)
        pages = files = 0;
    if (f != NULL)
        fclose(f);
    return (pages - files) * (size_t)sysconf(_SC_PAGESIZE);
}

#ifdef HAVE_MALLOC_TRIM
/* What is in memory without being in use: what could be given back, and what never can. */
static size_t excess(size_t *ret_used)
{
    size_t held = resident(), idle;

    mem_usage(ret_used, &idle);
    return held > *ret_used ? held - *ret_used : 0;
}
#endif

void mem_give_back(size_t *known)
{
#ifdef HAVE_MALLOC_TRIM
    size_t used, now = excess(&used);

    if (now < *known)
        *known = now;
    if (now <= *known + MEM_WORTH + used / MEM_PART)
        return;
    malloc_trim(0);
    *known = excess(&used);
#else
    (void)known;
    (void)resident;
#endif
}

void mem_usage(size_t *ret_used, size_t *ret_idle)
{
#ifdef HAVE_MALLOC_TRIM
    struct mallinfo2 info = mallinfo2();

    *ret_used = info.uordblks + info.hblkhd;
    *ret_idle = info.fordblks;
#else
    *ret_used = *ret_idle = 0;
#endif
}

void mem_return_large(void)
{
#ifdef HAVE_MALLOC_TRIM
    /* Else the limit grows with what is freed, and values of megabytes stay in the heap. */
    mallopt(M_MMAP_THRESHOLD, MEM_LARGE);
#endif
}

int mem_equal_secret(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a, *y = b;
    uint8_t diff = 0;

    for (size_t i = 0; i < len; i++)
        diff |= x[i] ^ y[i];
    return diff == 0;
}

#include "config.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#ifdef HAVE_MALLOC_TRIM
#include <malloc.h>
#endif

#define MEM_WORTH (1u << 20) /* less is left where it is */

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

void mem_give_back(size_t *known)
{
#ifdef HAVE_MALLOC_TRIM
    struct mallinfo2 info = mallinfo2();

    /* Free memory stays in the count when its pages are given back. */
    if (info.fordblks > *known + MEM_WORTH)
        malloc_trim(0);
    if (info.fordblks > *known + MEM_WORTH || info.fordblks < *known)
        *known = info.fordblks;
#else
    (void)known;
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

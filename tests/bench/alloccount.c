/*
 * Counts the allocations of a program that it is preloaded into (LD_PRELOAD): the calls of malloc,
 * calloc and realloc, libraries included, as eight bytes at the start of the file that
 * WSPR_ALLOCCOUNT names. The benchmark reads them while the program runs.
 */
#include "config.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* What dlsym itself allocates before it has told us the real functions. */
static char early[4096];
static size_t early_used;
static _Atomic uint64_t nowhere;
static _Atomic uint64_t *counter = &nowhere;

static void *next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void open_counter(void)
{
    const char *path = getenv("WSPR_ALLOCCOUNT");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *p = fd >= 0 ? mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (p != MAP_FAILED)
        counter = p;
    if (fd >= 0)
        close(fd);
}

__attribute__((visibility("default"))) void *malloc(size_t n)
{
    static void *(*real)(size_t);

    if (real == NULL)
        *(void **)&real = next("malloc");
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return real(n);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
    static void *(*real)(size_t, size_t);
    static int asking;

    if (real == NULL && asking) {
        void *p = early + early_used;

        early_used += (n * size + 15) / 16 * 16;
        return early_used <= sizeof early ? p : NULL;
    }
    if (real == NULL) {
        asking = 1;
        *(void **)&real = next("calloc");
        asking = 0;
    }
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return real(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t n)
{
    static void *(*real)(void *, size_t);

    if (real == NULL)
        *(void **)&real = next("realloc");
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return real(p, n);
}

__attribute__((visibility("default"))) void free(void *p)
{
    static void (*real)(void *);

    if ((char *)p >= early && (char *)p < early + sizeof early)
        return;
    if (real == NULL)
        *(void **)&real = next("free");
    real(p);
}

/*
 * Makes one allocation of a program fail that it is preloaded into (LD_PRELOAD): malloc, calloc,
 * realloc and aligned_alloc of the program and all its libraries. WSPR_FAILALLOC names a file with
 * a struct failalloc, by which a test counts, chooses, and sees what is not given back.
 *
 * libtasn1, by which GnuTLS reads certificates, takes the first failure for a pointer: its
 * allocations are counted apart and never fail.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "failalloc.h"

#define VISIBLE __attribute__((visibility("default")))

/* What dlsym itself allocates before it has told us the real functions. */
static char early[4096];
static size_t early_used;
static struct failalloc nowhere;
static struct failalloc *control = &nowhere;

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void *(*real_aligned)(size_t, size_t);
static void (*real_free)(void *);

/* Where a library is that falls over when an allocation fails; nobody can help that. */
static uintptr_t excused_from, excused_to;

static int find_excused(struct dl_phdr_info *info, size_t size, void *arg)
{
    for (int i = 0; strstr(info->dlpi_name, "/libtasn1.so") != NULL && i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X)) {
            excused_from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            excused_to = excused_from + info->dlpi_phdr[i].p_memsz;
        }
    }
    return 0;
}

static void find(void *function, const char *name)
{
    *(void **)function = dlsym(RTLD_NEXT, name);
}

static void find_all(void)
{
    static int asking;

    if (real_free != NULL || asking)
        return;
    asking = 1;
    find(&real_malloc, "malloc");
    find(&real_calloc, "calloc");
    find(&real_realloc, "realloc");
    find(&real_aligned, "aligned_alloc");
    find(&real_free, "free");
    asking = 0;
}

/* Where the program fell over; then it does. */
static void on_fault(int number)
{
    static const char mark[] = "--- falls at\n";
    void *frames[32];
    ssize_t r = write(STDERR_FILENO, mark, sizeof mark - 1);

    (void)r;
    backtrace_symbols_fd(frames, backtrace(frames, 32), STDERR_FILENO);
    signal(number, SIG_DFL);
    raise(number);
}

__attribute__((constructor)) static void open_control(void)
{
    const char *path = getenv("WSPR_FAILALLOC");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *p, *frames[4];

    find_all();
    dl_iterate_phdr(find_excused, NULL);
    backtrace(frames, 4); /* what it loads the first time is not to fail */
    p = fd >= 0 ? mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                : MAP_FAILED;
    if (p != MAP_FAILED)
        control = p;
    if (fd >= 0)
        close(fd);
    signal(SIGSEGV, on_fault);
    signal(SIGABRT, on_fault);
}

/* Tells where, on the error stream: that is the test's log. */
static void tell(uint64_t n)
{
    void *frames[24];
    int depth = backtrace(frames, 24);

    dprintf(STDERR_FILENO, "--- allocation %llu fails at\n", (unsigned long long)n);
    backtrace_symbols_fd(frames + 2, depth - 2, STDERR_FILENO);
}

static int fails(void *caller)
{
    uintptr_t from = (uintptr_t)caller;
    uint64_t n;

    if (from >= excused_from && from < excused_to) {
        atomic_fetch_add(&control->excused, 1);
        return 0;
    }
    n = atomic_fetch_add(&control->count, 1) + 1;
    if (n != atomic_load(&control->fail_at))
        return 0;
    tell(n);
    atomic_fetch_add(&control->failed, 1);
    errno = ENOMEM;
    return 1;
}

static void *made(void *p)
{
    if (p != NULL)
        atomic_fetch_add(&control->live, 1);
    return p;
}

VISIBLE void *malloc(size_t n)
{
    find_all();
    return fails(__builtin_return_address(0)) ? NULL : made(real_malloc(n));
}

VISIBLE void *calloc(size_t n, size_t size)
{
    find_all();
    if (real_calloc == NULL) {
        void *p = early + early_used;

        early_used += (n * size + 15) / 16 * 16;
        return early_used <= sizeof early ? p : NULL;
    }
    return fails(__builtin_return_address(0)) ? NULL : made(real_calloc(n, size));
}

VISIBLE void *realloc(void *p, size_t n)
{
    void *q;

    find_all();
    if (fails(__builtin_return_address(0)))
        return NULL;
    q = real_realloc(p, n);
    return p == NULL ? made(q) : q;
}

VISIBLE void *aligned_alloc(size_t alignment, size_t n)
{
    find_all();
    return fails(__builtin_return_address(0)) ? NULL : made(real_aligned(alignment, n));
}

VISIBLE void free(void *p)
{
    if (p == NULL || ((char *)p >= early && (char *)p < early + sizeof early))
        return;
    atomic_fetch_sub(&control->live, 1);
    real_free(p);
}

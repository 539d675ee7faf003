/*
 * The plugin's own memory: the places in its tables of linkage that lead to malloc and its like are
 * led to functions that fail when they are told to. The program and its libraries are not touched.
 */
#include "config.h"
#include "fake_host.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct fake_memory fake_memory;

static bool fails(void)
{
    if (++fake_memory.asked != fake_memory.fail_at)
        return false;
    errno = ENOMEM;
    return true;
}

static void *watched_malloc(size_t size)
{
    return fails() ? NULL : malloc(size);
}

static void *watched_calloc(size_t n, size_t size)
{
    return fails() ? NULL : calloc(n, size);
}

static void *watched_realloc(void *p, size_t size)
{
    return fails() ? NULL : realloc(p, size);
}

static char *watched_strndup(const char *s, size_t most)
{
    size_t n = strnlen(s, most);
    char *copy = watched_malloc(n + 1);

    if (copy != NULL) {
        memcpy(copy, s, n);
        copy[n] = '\0';
    }
    return copy;
}

static char *watched_strdup(const char *s)
{
    return watched_strndup(s, strlen(s));
}

static const struct watched {
    const char *name;
    void (*fn)(void);
} watched[] = {
    {"malloc", (void (*)(void))watched_malloc},   {"calloc", (void (*)(void))watched_calloc},
    {"realloc", (void (*)(void))watched_realloc}, {"strdup", (void (*)(void))watched_strdup},
    {"strndup", (void (*)(void))watched_strndup},
};

/* What the dynamic section of the file says. */
struct tables {
    ElfW(Addr) base;
    const ElfW(Sym) * symbols;
    const char *names;
    ElfW(Addr) rela, jump;
    size_t rela_size, jump_size;
    bool jump_is_rela;
};

static size_t symbol_of(const ElfW(Rela) * r)
{
    return sizeof(void *) == 8 ? (size_t)ELF64_R_SYM(r->r_info) : (size_t)ELF32_R_SYM(r->r_info);
}

static bool set_slot(void *slot, void (*fn)(void))
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *start = (char *)slot - (uintptr_t)slot % page;

    /* It may have been made read-only when the file was loaded. */
    if (mprotect(start, (size_t)((char *)slot - start) + sizeof fn, PROT_READ | PROT_WRITE) < 0)
        return false;
    memcpy(slot, &fn, sizeof fn);
    return true;
}

static bool lead_away(const struct tables *t, ElfW(Addr) at, size_t size)
{
    const ElfW(Rela) *r = (const void *)at;

    for (size_t i = 0; i < size / sizeof *r; i++) {
        const char *name = t->names + t->symbols[symbol_of(&r[i])].st_name;

        for (size_t k = 0; symbol_of(&r[i]) != 0 && k < sizeof watched / sizeof watched[0]; k++) {
            if (strcmp(name, watched[k].name) == 0 &&
                !set_slot((void *)(t->base + r[i].r_offset), watched[k].fn))
                return false;
        }
    }
    return true;
}

/* Some systems have addresses there, some offsets. */
static ElfW(Addr) address(const struct tables *t, ElfW(Addr) at)
{
    return at < t->base ? t->base + at : at;
}

bool fake_memory_watch(void *handle)
{
    struct tables t = {0};
    struct link_map *map;

    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) < 0)
        return false;
    t.base = map->l_addr;
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_SYMTAB)
            t.symbols = (const void *)address(&t, d->d_un.d_ptr);
        else if (d->d_tag == DT_STRTAB)
            t.names = (const void *)address(&t, d->d_un.d_ptr);
        else if (d->d_tag == DT_RELA)
            t.rela = address(&t, d->d_un.d_ptr);
        else if (d->d_tag == DT_RELASZ)
            t.rela_size = d->d_un.d_val;
        else if (d->d_tag == DT_JMPREL)
            t.jump = address(&t, d->d_un.d_ptr);
        else if (d->d_tag == DT_PLTRELSZ)
            t.jump_size = d->d_un.d_val;
        else if (d->d_tag == DT_PLTREL)
            t.jump_is_rela = d->d_un.d_val == DT_RELA;
    }
    return t.symbols != NULL && t.names != NULL && (t.jump == 0 || t.jump_is_rela) &&
           lead_away(&t, t.rela, t.rela_size) && lead_away(&t, t.jump, t.jump_size);
}

/*
 * A map from addresses to numbers or addresses. The first entries need no memory. For use inside
 * core/vom: reference numbers, copies of types and of shared values.
 */
#ifndef VOM_PTRMAP_H
#define VOM_PTRMAP_H

#include <stddef.h>
#include <stdint.h>

#define VOM_PTRMAP_FEW 8

struct vom_ptrmap_entry {
    const void *key; /* NULL: free */
    union {
        uint64_t u;
        void *p;
    };
};

struct vom_ptrmap {
    struct vom_ptrmap_entry *more; /* open addressing, once the few are full */
    size_t n, cap;
    struct vom_ptrmap_entry few[VOM_PTRMAP_FEW];
};

void vom_ptrmap_init(struct vom_ptrmap *m);
/* Forgets all entries; keeps a table of moderate size. */
void vom_ptrmap_reset(struct vom_ptrmap *m);
void vom_ptrmap_done(struct vom_ptrmap *m);
/* NULL if the key is not there. Valid until the next insertion. */
struct vom_ptrmap_entry *vom_ptrmap_find(const struct vom_ptrmap *m, const void *key);
/* Adds a key that is not there; the caller fills the value. NULL if memory is short. */
struct vom_ptrmap_entry *vom_ptrmap_add(struct vom_ptrmap *m, const void *key);

#endif

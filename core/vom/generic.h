/* The types that an empty interface takes (spec: vom A.9.3). For use inside core/vom. */
#ifndef VOM_GENERIC_H
#define VOM_GENERIC_H

#include "base/arena.h"
#include "vom/ptrmap.h"
#include "vom/type.h"

struct vom_generic {
    struct arena *arena;
    struct vom_ptrmap known; /* what types became; NULL while that is being found out */
    bool recursive;          /* one was met inside itself */
};

void vom_generic_init(struct vom_generic *g, struct arena *a);
void vom_generic_done(struct vom_generic *g);
/*
 * The type without the names that only the peer knows: named scalars become their base, interfaces
 * the empty one, slices, maps and pointers are made of such types; structs and arrays stay, as do
 * slices, maps and pointers that contain themselves. NULL if memory is short.
 */
const struct vom_type *vom_generic_type(struct vom_generic *g, const struct vom_type *t);

#endif

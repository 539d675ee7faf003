/*
 * Type definitions by number, resolved when they are first needed (spec: vom A.4, A.8).
 *
 * Used by the decoder for the definitions of a stream, and for the TypeDefs of service signatures.
 * Everything lies in the arena. Ids below 65 are the predefined ones, or with `catalogue` set those
 * of the type catalogue.
 */
#ifndef VOM_DEFS_H
#define VOM_DEFS_H

#include "base/arena.h"
#include "base/error.h"
#include "vom/type.h"
#include "vom/value.h"

#define VOM_DEFS_INLINE 8

/* One definition as it was sent. */
struct vom_wiredef {
    unsigned kind; /* 8 … 13 */
    struct span name;
    uint64_t type; /* base, element */
    uint64_t key;
    uint64_t len;
    struct vom_wirefield *fields;
    uint32_t n_fields;
    uint32_t n_tags;
    struct span *tags;
};

struct vom_wirefield {
    struct span name;
    uint64_t type;
};

struct vom_def;
struct vom_def_slot {
    uint64_t id;
    const struct vom_type *type; /* once it is resolved */
    struct vom_def *def;
};

struct vom_defs {
    struct arena *arena;
    bool catalogue;
    struct vom_def_slot *more; /* sorted by id; in the arena once the few are full */
    size_t n, cap, max;
    struct vom_def_slot few[VOM_DEFS_INLINE];
};

/* At most `max` definitions. Nothing to release but the arena. */
void vom_defs_init(struct vom_defs *d, struct arena *a, size_t max);
/*
 * Adds a definition; the spans of w must live as long as the arena. Ids below 65 are ignored. A
 * second definition of an id is an error while the first is unresolved, else ignored. WSPR_EPROTO,
 * WSPR_ELIMIT, WSPR_ENOMEM.
 */
int vom_defs_add(struct vom_defs *d, uint64_t id, const struct vom_wiredef *w, struct err *err);
/* Gives an id a ready type. */
int vom_defs_set(struct vom_defs *d, uint64_t id, const struct vom_type *t, struct err *err);
/* The type of an id, with everything below it resolved, or an error of spec A.8. */
int vom_defs_type(struct vom_defs *d, uint64_t id, const struct vom_type **ret_type,
                  struct err *err);

/*
 * Adds the TypeDefs of a signature (list of interfaces holding the definition structs; spec: vom
 * A.11.3) as ids 65, 66, …; spans are copied to the arena.
 */
int vom_defs_add_signature(struct vom_defs *d, const struct vom_value *typedefs, struct err *err);

#endif

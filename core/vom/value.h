/*
 * VOM values with the type they carry.
 *
 * A value is 24 bytes, copied by assignment; what it points to lies in an arena or, for strings and
 * bytes, often in the message that it was decoded from. Whoever keeps a value longer than both
 * takes vom_value_copy(). The all-zero value of any type needs no memory: zero structs and arrays
 * have items == NULL, so test and read through the functions below rather than by hand.
 */
#ifndef VOM_VALUE_H
#define VOM_VALUE_H

#include "base/arena.h"
#include "base/error.h"
#include "vom/type.h"

/* Composites, pointers and interfaces inside each other, in values we decode, encode or convert. */
#define VOM_DEPTH_MAX 256

union vom_word {
    uint64_t u; /* also bool */
    int64_t i;
    double f;
};

struct vom_value {
    const struct vom_type *type; /* NULL only in the "no value" that some functions return */
    union {
        bool b;
        uint64_t u;           /* byte and unsigned kinds */
        int64_t i;            /* signed kinds */
        double f;             /* float32 too */
        struct span s;        /* string, bytes, slices and arrays of byte */
        struct vom_value *to; /* pointer: target; interface: content; NULL is nil */
        struct {
            union {
                struct vom_value
                    *items; /* slice, array; struct: fields; map: key, element, key … */
                union vom_word *words; /* slice and array of bool, integer or float elements */
            };
            size_t n; /* elements or fields; map: entries */
        };
    };
};

/* Whether elements of this list type are stored as words. */
static inline bool vom_type_is_words(const struct vom_type *t)
{
    return (t->kind == VOM_KIND_SLICE || t->kind == VOM_KIND_ARRAY) &&
           (t->elem->kind == VOM_KIND_BOOL || vom_kind_is_number(t->elem->kind)) &&
           t->elem->kind != VOM_KIND_BYTE;
}

/* The zero of any type: false, 0, "", empty, nil. */
static inline struct vom_value vom_value_zero(const struct vom_type *t)
{
    return (struct vom_value){.type = t, .s = {NULL, 0}};
}

static inline struct vom_value vom_value_bool(const struct vom_type *t, bool b)
{
    struct vom_value v = vom_value_zero(t);

    v.b = b;
    return v;
}

static inline struct vom_value vom_value_uint(const struct vom_type *t, uint64_t u)
{
    struct vom_value v = vom_value_zero(t);

    v.u = u;
    return v;
}

static inline struct vom_value vom_value_int(const struct vom_type *t, int64_t i)
{
    struct vom_value v = vom_value_zero(t);

    v.i = i;
    return v;
}

static inline struct vom_value vom_value_float(const struct vom_type *t, double f)
{
    struct vom_value v = vom_value_zero(t);

    v.f = f;
    return v;
}

/* String or bytes, borrowed. */
static inline struct vom_value vom_value_span(const struct vom_type *t, struct span s)
{
    struct vom_value v = vom_value_zero(t);

    v.s = s;
    return v;
}

static inline struct vom_value vom_value_str(const char *s)
{
    return vom_value_span(&vom_type_string, span_str(s));
}

/* A pointer to, or an interface holding, the target, which is borrowed (NULL: nil). */
static inline struct vom_value vom_value_to(const struct vom_type *t, struct vom_value *to)
{
    struct vom_value v = vom_value_zero(t);

    v.to = to;
    return v;
}

/*
 * Builders. They return 0, or WSPR_ENOMEM / WSPR_ELIMIT if the arena gives nothing, or WSPR_EINVAL
 * if the type does not fit; elements start as zeros.
 */
int vom_value_new_list(struct arena *a, const struct vom_type *t, size_t n,
                       struct vom_value *ret_v);
int vom_value_new_struct(struct arena *a, const struct vom_type *t, struct vom_value *ret_v);
/* Room for n entries; set all of them with vom_value_put. */
int vom_value_new_map(struct arena *a, const struct vom_type *t, size_t n, struct vom_value *ret_v);
/* Pointer to, or interface holding, a fresh copy of `target` (not of what that points to). */
int vom_value_new_to(struct arena *a, const struct vom_type *t, struct vom_value target,
                     struct vom_value *ret_v);
/* Sets element i of a list or field i of a struct made by the builders. */
void vom_value_set(struct vom_value *v, size_t i, struct vom_value elem);
/* Sets the field of that name; asserts that there is one. */
void vom_value_set_field(struct vom_value *v, const char *name, struct vom_value elem);
void vom_value_put(struct vom_value *map, size_t i, struct vom_value key, struct vom_value elem);

/* Number of elements, bytes (string too), fields or entries. */
size_t vom_value_len(const struct vom_value *v);
/* Element or field i. */
struct vom_value vom_value_at(const struct vom_value *v, size_t i);
/* Field by name; its type is NULL if v is no struct or has no such field. */
struct vom_value vom_value_field(const struct vom_value *v, const char *name);
struct vom_value vom_value_key(const struct vom_value *map, size_t i);
struct vom_value vom_value_elem(const struct vom_value *map, size_t i);
/* The element of a string key; type NULL if it is not there. */
struct vom_value vom_value_lookup(const struct vom_value *map, struct span key);
/* Goes through pointers and interfaces; type NULL if one of them is nil. */
struct vom_value vom_value_deref(struct vom_value v);

/* The zero test of struct fields (spec: vom A.6): -0.0 and the default time are zero. */
bool vom_value_is_zero(const struct vom_value *v);

/*
 * Deep copy into another arena, of types too (`fixed` ones excepted); sharing and cycles of
 * pointers are kept. WSPR_ENOMEM, WSPR_ELIMIT.
 */
int vom_value_copy(struct arena *a, const struct vom_value *v, struct vom_value *ret_v,
                   struct err *err);
/*
 * The same value: same types, same bits (NaN equals the same NaN), pointers shared alike, map
 * entries in any order. 1, 0, or WSPR_ENOMEM / WSPR_ELIMIT.
 */
int vom_value_equal(const struct vom_value *a, const struct vom_value *b);

/*
 * Order and equality of map keys: -0.0 equals 0.0, NaN equals nothing, pointers by address. The
 * order is total and good for one process only.
 */
int vom_key_compare(const struct vom_value *a, const struct vom_value *b);
bool vom_key_equal(const struct vom_value *a, const struct vom_value *b);
/* Drops all but the last entry of each key; the others keep their order. WSPR_ENOMEM. */
int vom_map_dedupe(struct vom_value *map);

#endif

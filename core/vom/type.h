/*
 * VOM types: immutable descriptors (spec: vom A.3 to A.5).
 *
 * A descriptor is either static const, written with the macros below (those set `fixed`), or lives
 * in an arena, usually that of the decoder that met its definition; whoever keeps a value longer
 * copies it together with its types (vom_value_copy). Descriptors may be recursive; a cycle must
 * pass a name. Everything here may be used from any thread.
 */
#ifndef VOM_TYPE_H
#define VOM_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"
#include "vom/ptrmap.h"

enum vom_kind {
    VOM_KIND_NONE, /* not a VOM type; the name tells what it is: for error texts */
    VOM_KIND_ANY,  /* interface */
    VOM_KIND_BOOL,
    VOM_KIND_STRING,
    VOM_KIND_BYTES, /* every slice of unnamed byte; VOM_KIND_SLICE of it must not be made */
    VOM_KIND_BYTE,
    VOM_KIND_UINT16,
    VOM_KIND_UINT32,
    VOM_KIND_UINT64,
    VOM_KIND_UINT, /* 64 bits, as are UINTPTR and INT */
    VOM_KIND_UINTPTR,
    VOM_KIND_INT8,
    VOM_KIND_INT16,
    VOM_KIND_INT32,
    VOM_KIND_INT64,
    VOM_KIND_INT,
    VOM_KIND_FLOAT32,
    VOM_KIND_FLOAT64,
    VOM_KIND_SLICE,
    VOM_KIND_ARRAY,
    VOM_KIND_MAP,
    VOM_KIND_STRUCT,
    VOM_KIND_PTR
};

struct vom_type;

struct vom_field {
    struct span name;
    const struct vom_type *type;
};

struct vom_type {
    enum vom_kind kind;
    uint8_t id;    /* predefined wire id, 0 if the type needs a definition */
    uint8_t fixed; /* static: never copied */
    uint8_t
        empty; /* values take no bytes; set by the resolver of definitions, see vom_type_is_empty */
    uint8_t ambiguous; /* two fields have one name in JSON; set by the resolver of definitions */
    uint32_t n_fields;
    uint32_t n_tags;
    struct span name;               /* full wire name, empty for unnamed types */
    const struct vom_type *elem;    /* slice, array, map, pointer */
    const struct vom_type *key;     /* map */
    const struct vom_field *fields; /* struct */
    uint64_t len;                   /* array */
    const struct span *tags;
};

/*
 * Static descriptors:
 *
 *     static const struct vom_type t_id = VOM_TYPE_NAMED(VOM_KIND_STRING, "veyron2/verror.ID");
 *     static const struct vom_field f_err[] = {
 *         VOM_FIELD("ID", &t_id),
 *         VOM_FIELD("Msg", &vom_type_string),
 *     };
 *     const struct vom_type t_err = VOM_TYPE_STRUCT("veyron2/verror.Standard", f_err);
 *     static const struct vom_type t_errs = VOM_TYPE_SLICE("", &t_err);
 *
 * The name is "" for unnamed types. A custom-encoded type is written as its substitute with the
 * name of the original (spec: vom A.4).
 */
#define VOM_STR(s)                                                                                 \
    {                                                                                              \
        (const uint8_t *)("" s), sizeof(s) - 1                                                     \
    }
#define VOM_FIELD(wire_name, type_ptr)                                                             \
    {                                                                                              \
        VOM_STR(wire_name), (type_ptr)                                                             \
    }
/* Named bool, string, bytes, byte, integer, float or interface. */
#define VOM_TYPE_NAMED(base_kind, wire_name)                                                       \
    {                                                                                              \
        .kind = (base_kind), .fixed = 1, .name = VOM_STR(wire_name)                                \
    }
#define VOM_TYPE_SLICE(wire_name, elem_ptr)                                                        \
    {                                                                                              \
        .kind = VOM_KIND_SLICE, .fixed = 1, .name = VOM_STR(wire_name), .elem = (elem_ptr)         \
    }
#define VOM_TYPE_ARRAY(wire_name, elem_ptr, length)                                                \
    {                                                                                              \
        .kind = VOM_KIND_ARRAY, .fixed = 1, .name = VOM_STR(wire_name), .elem = (elem_ptr),        \
        .len = (length)                                                                            \
    }
#define VOM_TYPE_MAP(wire_name, key_ptr, elem_ptr)                                                 \
    {                                                                                              \
        .kind = VOM_KIND_MAP, .fixed = 1, .name = VOM_STR(wire_name), .elem = (elem_ptr),          \
        .key = (key_ptr)                                                                           \
    }
#define VOM_TYPE_PTR(wire_name, elem_ptr)                                                          \
    {                                                                                              \
        .kind = VOM_KIND_PTR, .fixed = 1, .name = VOM_STR(wire_name), .elem = (elem_ptr)           \
    }
#define VOM_TYPE_STRUCT(wire_name, field_array)                                                    \
    {                                                                                              \
        .kind = VOM_KIND_STRUCT, .fixed = 1, .name = VOM_STR(wire_name), .fields = (field_array),  \
        .n_fields = sizeof(field_array) / sizeof(field_array)[0]                                   \
    }
#define VOM_TYPE_STRUCT_EMPTY(wire_name)                                                           \
    {                                                                                              \
        .kind = VOM_KIND_STRUCT, .fixed = 1, .name = VOM_STR(wire_name)                            \
    }

/* The predefined types; vom_type_error is the built-in error interface, which needs a definition.
 */
extern const struct vom_type vom_type_any, vom_type_error, vom_type_bool, vom_type_string,
    vom_type_bytes, vom_type_byte, vom_type_uint16, vom_type_uint32, vom_type_uint64, vom_type_uint,
    vom_type_uintptr, vom_type_int8, vom_type_int16, vom_type_int32, vom_type_int64, vom_type_int,
    vom_type_float32, vom_type_float64, vom_type_complex64, vom_type_complex128;
/* Unnamed composites that are needed everywhere. */
extern const struct vom_type vom_type_string_list, vom_type_any_list, vom_type_any_map;

#define VOM_ID_USER    65 /* the first id of user types */
#define VOM_ID_FLOAT64 26

/* The predefined type of a wire id (ids 1-4, 8-13, 25, 26, 33-37, 48-53); NULL for all others. */
const struct vom_type *vom_type_predefined(uint64_t id);
/* The same for the type catalogue of signatures, which has some more (spec: vom A.3); NULL: none.
 */
const struct vom_type *vom_type_catalogue(uint64_t id);
/* The unnamed predefined type of a scalar kind (bool … float64, string, bytes, any); else NULL. */
const struct vom_type *vom_type_of_kind(enum vom_kind kind);
/* The wire id if the type is predefined, else 0. */
unsigned vom_type_id(const struct vom_type *t);

/*
 * Same type (spec: vom A.5): named types by name, unnamed ones by structure; two types that share a
 * name but not the structure differ. Ends on recursive types; types that need more than
 * VOM_SAME_MAX pairs of descriptors to compare count as different.
 */
#define VOM_SAME_MAX 128
bool vom_type_same(const struct vom_type *a, const struct vom_type *b);

/* Index of the field with exactly this name, -1 if there is none. */
int vom_type_field(const struct vom_type *t, struct span name);

/* Copies a descriptor and all it refers to, `fixed` ones excepted. NULL if memory is short. */
const struct vom_type *vom_type_copy(struct arena *a, const struct vom_type *t);

/*
 * The copier behind it, for several types with common parts: the same descriptor is copied once per
 * copier. After a failure the copier is of no more use. vom_type_copier_done frees its own memory.
 */
struct vom_type_copier {
    struct arena *arena;
    struct vom_ptrmap map;
    struct vom_type_pair *todo; /* shells to be filled */
    size_t n_todo, cap_todo;
};
struct vom_type_pair {
    const struct vom_type *from;
    struct vom_type *to;
};
void vom_type_copier_init(struct vom_type_copier *c, struct arena *a);
void vom_type_copier_done(struct vom_type_copier *c);
const struct vom_type *vom_type_copier_copy(struct vom_type_copier *c, const struct vom_type *t);

/*
 * Appends the text of a type as error messages have it (spec: vom A.9). HOST: "int32", "[]uint8",
 * "ipc.Request", "interface {}"; WIRE: full names, "byte", "interface", "struct{A int32;B string}".
 * Long texts of nested types are cut.
 */
enum vom_type_style { VOM_STYLE_HOST, VOM_STYLE_WIRE };
void vom_type_print(struct buf *out, const struct vom_type *t, enum vom_type_style style);

/* Whether values of the type hold neither interfaces nor pointers anywhere (false in doubt). */
bool vom_type_is_plain(const struct vom_type *t);
/* Whether values of the type take no bytes at all: an array of length 0, or an array of those. */
bool vom_type_is_empty(const struct vom_type *t);
/* The custom-encoded time.Time: named bytes (spec: vom A.6). */
bool vom_type_is_time(const struct vom_type *t);

static inline bool vom_kind_is_int(enum vom_kind k)
{
    return k >= VOM_KIND_INT8 && k <= VOM_KIND_INT;
}

/* Unsigned integers without byte. */
static inline bool vom_kind_is_uint(enum vom_kind k)
{
    return k >= VOM_KIND_UINT16 && k <= VOM_KIND_UINTPTR;
}

static inline bool vom_kind_is_float(enum vom_kind k)
{
    return k == VOM_KIND_FLOAT32 || k == VOM_KIND_FLOAT64;
}

/* Byte, integers, floats. */
static inline bool vom_kind_is_number(enum vom_kind k)
{
    return k >= VOM_KIND_BYTE && k <= VOM_KIND_FLOAT64;
}

/* Values of these kinds travel without a message length when the type is predefined. */
static inline bool vom_kind_is_scalar(enum vom_kind k)
{
    return k >= VOM_KIND_BOOL && k <= VOM_KIND_FLOAT64;
}

/* Slices and arrays of byte (also of a named byte), stored and sent as a run of bytes. */
static inline bool vom_type_is_bytes(const struct vom_type *t)
{
    return t->kind == VOM_KIND_BYTES || ((t->kind == VOM_KIND_SLICE || t->kind == VOM_KIND_ARRAY) &&
                                         t->elem->kind == VOM_KIND_BYTE);
}

#endif

#include "config.h"
#include "notation.h"
#include "suites.h"
#include "vom/dec.h"
#include "vom/defs.h"
#include "vom/wiretypes.h"

/* Definitions of the table below: kind, name, type, key, length. */
struct row {
    uint64_t id;
    struct vom_wiredef w;
};

#define NAMED(i, n, t)                                                                             \
    {                                                                                              \
        i,                                                                                         \
        {                                                                                          \
            .kind = 8, .name = VOM_STR(n), .type = (t)                                             \
        }                                                                                          \
    }
#define SLICE(i, n, t)                                                                             \
    {                                                                                              \
        i,                                                                                         \
        {                                                                                          \
            .kind = 9, .name = VOM_STR(n), .type = (t)                                             \
        }                                                                                          \
    }
#define MAP(i, n, k, t)                                                                            \
    {                                                                                              \
        i,                                                                                         \
        {                                                                                          \
            .kind = 11, .name = VOM_STR(n), .key = (k), .type = (t)                                \
        }                                                                                          \
    }
#define ARRAY(i, n, t, l)                                                                          \
    {                                                                                              \
        i,                                                                                         \
        {                                                                                          \
            .kind = 10, .name = VOM_STR(n), .type = (t), .len = (l)                                \
        }                                                                                          \
    }

static int resolve(struct arena *a, const struct row *rows, size_t n, uint64_t id,
                   const struct vom_type **ret_type, struct err *e)
{
    struct vom_defs d;

    vom_defs_init(&d, a, 1000);
    for (size_t i = 0; i < n; i++)
        TAP_IS(vom_defs_add(&d, rows[i].id, &rows[i].w, NULL) == 0);
    return vom_defs_type(&d, id, ret_type, e);
}

#define RESOLVE(rows, id, t, e) resolve(&a, rows, sizeof(rows) / sizeof(rows)[0], id, t, e)

static void predefined_shapes(void)
{
    static const struct row rows[] = {
        NAMED(65, "", 36),    SLICE(66, "", 50), SLICE(67, "a.Bytes", 50), NAMED(68, "", 50),
        SLICE(69, "", 68),    NAMED(70, "", 1),  NAMED(71, "a.Any", 1),    NAMED(72, "a.A", 73),
        NAMED(73, "b.B", 74), SLICE(74, "", 36), NAMED(75, "", 9),         NAMED(76, "c.C", 66),
    };
    struct arena a = NOTATION_ARENA;
    const struct vom_type *t;

    TAP_IS(RESOLVE(rows, 65, &t, NULL) == 0 && t == &vom_type_int32);
    TAP_IS(RESOLVE(rows, 66, &t, NULL) == 0 && t == &vom_type_bytes);
    TAP_IS(RESOLVE(rows, 67, &t, NULL) == 0 && t->kind == VOM_KIND_BYTES && t->name.len == 7);
    TAP_IS(RESOLVE(rows, 69, &t, NULL) == 0 && t == &vom_type_bytes);
    TAP_IS(RESOLVE(rows, 70, &t, NULL) == 0 && t == &vom_type_error);
    TAP_IS(RESOLVE(rows, 71, &t, NULL) == 0 && t->kind == VOM_KIND_ANY && t->id == 0);
    TAP_IS(RESOLVE(rows, 72, &t, NULL) == 0 && t->kind == VOM_KIND_SLICE &&
           t->elem == &vom_type_int32 && span_equal_str(t->name, "a.A"));
    TAP_IS(RESOLVE(rows, 75, &t, NULL) == 0 && t->kind == VOM_KIND_STRUCT && t->id == 0 &&
           t->n_fields == 3);
    TAP_IS(RESOLVE(rows, 76, &t, NULL) == 0 && t->kind == VOM_KIND_BYTES && t->name.len == 3);
    arena_done(&a);
}

static void cycles(void)
{
    static const struct row good[] = {
        SLICE(65, "a.L", 65), MAP(66, "", 3, 67),      SLICE(67, "a.M", 66), NAMED(68, "a.N", 69),
        SLICE(69, "", 68),    ARRAY(70, "a.E", 70, 1), ARRAY(71, "", 72, 0), SLICE(72, "a.F", 71),
    };
    static const struct row bad[] = {
        SLICE(65, "", 65),    SLICE(66, "", 67),    MAP(67, "", 3, 68),
        ARRAY(68, "", 66, 1), NAMED(70, "a.N", 71), NAMED(71, "a.M", 70),
        NAMED(72, "", 73),    SLICE(73, "", 72),    SLICE(74, "a.O", 65),
    };
    struct arena a = NOTATION_ARENA;
    const struct vom_type *t;
    struct err e = ERR_INIT;

    for (uint64_t id = 65; id < 73; id++)
        TAP_OK(RESOLVE(good, id, &t, NULL) == 0, "%u resolves", (unsigned)id);
    TAP_IS(RESOLVE(good, 68, &t, NULL) == 0 && t->elem == t);
    TAP_IS(RESOLVE(good, 66, &t, NULL) == 0 && t->elem->elem == t);
    TAP_IS(RESOLVE(good, 70, &t, NULL) == 0 && vom_type_is_empty(t));
    TAP_IS(RESOLVE(good, 71, &t, NULL) == 0 && vom_type_is_empty(t) && !vom_type_is_empty(t->elem));
    for (uint64_t id = 65; id < 75; id++) {
        if (id != 69)
            TAP_OK(RESOLVE(bad, id, &t, &e) == WSPR_EPROTO, "%u does not resolve", (unsigned)id);
    }
    TAP_IS(RESOLVE(bad, 70, &t, &e) < 0 &&
           strcmp(err_text(&e), "vom: type not registered or creatable, type \"a.N\"") == 0);
    err_done(&e);
    arena_done(&a);
}

/* Whichever of them is met first: arrays of arrays, and arrays that hold only themselves. */
static void arrays_without_bytes(void)
{
    static const struct row rows[] = {
        MAP(65, "", 70, 66),     MAP(66, "", 73, 67),  MAP(67, "", 75, 68),
        MAP(68, "", 77, 69),     MAP(69, "", 79, 72),  ARRAY(70, "", 71, 2),
        ARRAY(71, "", 72, 3),    ARRAY(72, "", 36, 4), ARRAY(73, "", 74, 2),
        ARRAY(74, "", 72, 1),    ARRAY(75, "", 76, 5), ARRAY(76, "", 36, 0),
        ARRAY(77, "a.P", 78, 1), ARRAY(78, "", 77, 2), ARRAY(79, "a.Q", 77, 1),
    };
    static const bool empty[] = {[70 - 65] = false, [73 - 65] = false, [75 - 65] = true,
                                 [76 - 65] = true,  [77 - 65] = true,  [78 - 65] = true,
                                 [79 - 65] = true};
    struct arena a = NOTATION_ARENA;
    const struct vom_type *t;
    struct vom_defs d;

    for (uint64_t first = 65; first < 80; first++) {
        vom_defs_init(&d, &a, 1000);
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            TAP_IS(vom_defs_add(&d, rows[i].id, &rows[i].w, NULL) == 0);
        TAP_IS(vom_defs_type(&d, first, &t, NULL) == 0);
        for (uint64_t id = 65; id < 80; id++)
            TAP_OK(vom_defs_type(&d, id, &t, NULL) == 0 && vom_type_is_empty(t) == empty[id - 65],
                   "%u after %u", (unsigned)id, (unsigned)first);
    }
    arena_done(&a);
}

/* What failed may succeed later, when the missing definition has come. */
static void failure_is_forgotten(void)
{
    static const struct row rows[] = {MAP(65, "", 66, 67), SLICE(66, "", 36), SLICE(67, "", 68)};
    static const struct row late = NAMED(68, "a.N", 3);
    struct arena a = NOTATION_ARENA;
    struct vom_defs d;
    const struct vom_type *t;

    vom_defs_init(&d, &a, 4);
    for (size_t i = 0; i < 3; i++)
        TAP_IS(vom_defs_add(&d, rows[i].id, &rows[i].w, NULL) == 0);
    TAP_IS(vom_defs_type(&d, 65, &t, NULL) == WSPR_EPROTO);
    TAP_IS(vom_defs_type(&d, 66, &t, NULL) == 0);
    TAP_IS(vom_defs_type(&d, 65, &t, NULL) == WSPR_EPROTO);
    TAP_IS(vom_defs_add(&d, 65, &rows[1].w, NULL) == WSPR_EPROTO);
    TAP_IS(vom_defs_add(&d, 68, &late.w, NULL) == 0);
    TAP_IS(vom_defs_type(&d, 65, &t, NULL) == 0 && t->elem->elem->kind == VOM_KIND_STRING);
    TAP_IS(vom_defs_add(&d, 65, &rows[1].w, NULL) == 0);
    TAP_IS(vom_defs_add(&d, 69, &rows[1].w, NULL) == WSPR_ELIMIT);
    TAP_IS(vom_defs_add(&d, 36, &rows[1].w, NULL) == 0);
    TAP_IS(vom_defs_type(&d, 36, &t, NULL) == 0 && t == &vom_type_int32);
    TAP_IS(vom_defs_type(&d, 61, &t, NULL) == WSPR_EPROTO);
    d.catalogue = true;
    TAP_IS(vom_defs_type(&d, 61, &t, NULL) == 0 && t == &vom_type_string_list);
    arena_done(&a);
}

/* Thousands of types, each the element of the next, need no stack. */
static void long_chains(void)
{
    enum { N = 4000 };
    struct arena a = NOTATION_ARENA, copies = NOTATION_ARENA;
    struct vom_defs d;
    const struct vom_type *t;
    struct vom_wiredef w = {.kind = VOM_KIND_NONE};
    unsigned depth = 0;

    vom_defs_init(&d, &a, N + 1);
    for (unsigned i = 0; i < N; i++) {
        w.kind = i % 2 == 0 ? 13 : 9;
        w.type = i + 1 < N ? 65 + (i * 7919u + 7919u) % N : 36;
        TAP_IS(vom_defs_add(&d, 65 + i * 7919u % N, &w, NULL) == 0);
    }
    TAP_IS(vom_defs_type(&d, 65, &t, NULL) == 0);
    t = vom_type_copy(&copies, t);
    for (; t != NULL && t->elem != NULL; t = t->elem)
        depth++;
    TAP_OK(depth == N, "%u levels", depth);
    arena_done(&a);
    arena_done(&copies);
}

/* The definition structs, with their common fields left out. */
#define TYPE_ID "named \"veyron2/wiretype.TypeID\" uint64"
#define REST    "; Name string; Tags slice of (string)}"

/* The mount table's (spec: ipc 13.3), and one of each other kind. */
static const struct {
    const char *type, *value;
} signature[] = {
    {"named \"veyron2/wiretype.NamedPrimitiveType\" struct {Type " TYPE_ID REST,
     "{\"Type\": \"1\", \"Name\": \"error\", \"Tags\": []}"},
    {"named \"veyron2/wiretype.StructType\" struct {Fields slice of (named "
     "\"veyron2/wiretype.FieldType\" struct {Type " TYPE_ID "; Name string})" REST,
     "{\"Fields\": [{\"Type\": \"3\", \"Name\": \"Server\"}, {\"Type\": \"52\", \"Name\": "
     "\"TTL\"}],"
     " \"Name\": \"veyron2/services/mounttable.MountedServer\", \"Tags\": []}"},
    {"named \"veyron2/wiretype.SliceType\" struct {Elem " TYPE_ID REST,
     "{\"Elem\": \"66\", \"Name\": \"\", \"Tags\": []}"},
    {"named \"veyron2/wiretype.MapType\" struct {Key " TYPE_ID
     "; Elem \"veyron2/wiretype.TypeID\"" REST,
     "{\"Key\": \"61\", \"Elem\": \"67\", \"Name\": \"m\", \"Tags\": [\"t\"]}"},
    {"named \"veyron2/wiretype.ArrayType\" struct {Elem " TYPE_ID "; Len uint64" REST,
     "{\"Elem\": \"50\", \"Len\": \"16\", \"Name\": \"x.ID\", \"Tags\": []}"},
    {"named \"veyron2/wiretype.PtrType\" struct {Elem " TYPE_ID REST,
     "{\"Elem\": \"69\", \"Name\": \"\", \"Tags\": []}"},
};

#define SIGNATURE_LEN (sizeof signature / sizeof signature[0])

static struct vom_value signature_list(struct arena *a)
{
    struct vom_value list, v;

    vom_value_new_list(a, &vom_type_any_list, SIGNATURE_LEN, &list);
    for (size_t i = 0; i < SIGNATURE_LEN; i++) {
        struct json_object *o = json_tokener_parse(signature[i].value);

        v = notation_value(a, notation_type(a, signature[i].type), o);
        vom_value_new_to(a, &vom_type_any, v, &list.items[i]);
        json_object_put(o);
    }
    return list;
}

static void signatures(void)
{
    struct arena a = NOTATION_ARENA, types = NOTATION_ARENA;
    struct vom_value list = signature_list(&a);
    struct vom_defs d;
    const struct vom_type *t;
    struct err e = ERR_INIT;

    vom_defs_init(&d, &types, 100);
    d.catalogue = true;
    TAP_IS(vom_defs_add_signature(&d, &list, NULL) == 0);
    arena_done(&a);
    TAP_IS(vom_defs_type(&d, 65, &t, NULL) == 0 && t->kind == VOM_KIND_ANY &&
           span_equal_str(t->name, "error"));
    TAP_IS(vom_defs_type(&d, 66, &t, NULL) == 0 && vom_type_same(t, &vom_type_mounted_server));
    TAP_IS(vom_defs_type(&d, 67, &t, NULL) == 0 && vom_type_same(t, &vom_type_mounted_server_list));
    TAP_IS(vom_defs_type(&d, 68, &t, NULL) == 0 && t->key == &vom_type_string_list &&
           t->n_tags == 1);
    TAP_IS(vom_defs_type(&d, 69, &t, NULL) == 0 && t->len == 16 && vom_type_is_bytes(t));
    TAP_IS(vom_defs_type(&d, 70, &t, NULL) == 0 && t->kind == VOM_KIND_PTR && t->elem->len == 16);
    TAP_IS(vom_value_new_list(&a, &vom_type_any_list, 1, &list) == 0);
    TAP_IS(vom_defs_add_signature(&d, &list, &e) == WSPR_EPROTO);
    TAP_IS(strcmp(err_text(&e), "vom: type 65 of the signature is no definition") == 0);
    err_done(&e);
    arena_done(&a);
    arena_done(&types);
}

static void short_memory(void)
{
    static const struct row rows[] = {MAP(65, "", 66, 67), SLICE(66, "", 36), SLICE(67, "", 66)};

    for (size_t max = 0; max < 4000; max += 16) {
        struct arena a = ARENA_INIT(max);
        struct vom_defs d;
        const struct vom_type *t;
        int r = 0;

        vom_defs_init(&d, &a, 100);
        for (unsigned k = 0; r == 0 && k < 4; k++) {
            for (size_t i = 0; r == 0 && i < 3; i++)
                r = vom_defs_add(&d, rows[i].id + 3 * k, &rows[i].w, NULL);
        }
        if (r == 0)
            r = vom_defs_type(&d, 65, &t, NULL);
        TAP_OK(r == 0 || r == WSPR_ELIMIT, "%zu bytes: %d", max, r);
        arena_done(&a);
    }
}

/* What a signature takes beyond the limit is not said to be a lack of memory. */
static void signatures_in_short_memory(void)
{
    struct arena a = NOTATION_ARENA;
    struct vom_value list = signature_list(&a);
    int r = WSPR_ELIMIT;

    for (size_t max = 0; r == WSPR_ELIMIT; max += 8) {
        struct arena types = ARENA_INIT(max);
        struct vom_defs d;

        vom_defs_init(&d, &types, 100);
        r = vom_defs_add_signature(&d, &list, NULL);
        TAP_OK(r == 0 || r == WSPR_ELIMIT, "%zu bytes: %d", max, r);
        arena_done(&types);
    }
    TAP_IS(r == 0);
    arena_done(&a);
}

const struct tap_case vom_defs_cases[VOM_DEFS_CASES] = {
    {"predefined shapes", predefined_shapes},
    {"arrays without bytes", arrays_without_bytes},
    {"cycles", cycles},
    {"failure is forgotten", failure_is_forgotten},
    {"long chains", long_chains},
    {"signatures", signatures},
    {"short memory", short_memory},
    {"signatures in short memory", signatures_in_short_memory},
};

#include "config.h"
#include "vom/type.h"

#include <stdlib.h>

#define SCALAR(var, k, wire_id)                                                                    \
    const struct vom_type var = {.kind = (k), .id = (wire_id), .fixed = 1}

SCALAR(vom_type_any, VOM_KIND_ANY, 1);
SCALAR(vom_type_error, VOM_KIND_ANY, 0);
SCALAR(vom_type_bool, VOM_KIND_BOOL, 2);
SCALAR(vom_type_string, VOM_KIND_STRING, 3);
SCALAR(vom_type_bytes, VOM_KIND_BYTES, 4);
SCALAR(vom_type_float32, VOM_KIND_FLOAT32, 25);
SCALAR(vom_type_float64, VOM_KIND_FLOAT64, VOM_ID_FLOAT64);
SCALAR(vom_type_int, VOM_KIND_INT, 33);
SCALAR(vom_type_int8, VOM_KIND_INT8, 34);
SCALAR(vom_type_int16, VOM_KIND_INT16, 35);
SCALAR(vom_type_int32, VOM_KIND_INT32, 36);
SCALAR(vom_type_int64, VOM_KIND_INT64, 37);
SCALAR(vom_type_uintptr, VOM_KIND_UINTPTR, 48);
SCALAR(vom_type_uint, VOM_KIND_UINT, 49);
SCALAR(vom_type_byte, VOM_KIND_BYTE, 50);
SCALAR(vom_type_uint16, VOM_KIND_UINT16, 51);
SCALAR(vom_type_uint32, VOM_KIND_UINT32, 52);
SCALAR(vom_type_uint64, VOM_KIND_UINT64, 53);

const struct vom_type vom_type_string_list = VOM_TYPE_SLICE("", &vom_type_string);
const struct vom_type vom_type_any_list = VOM_TYPE_SLICE("", &vom_type_any);
const struct vom_type vom_type_any_map = VOM_TYPE_MAP("", &vom_type_string, &vom_type_any);

static const struct vom_type *const scalars[] = {
    [VOM_KIND_ANY] = &vom_type_any,         [VOM_KIND_BOOL] = &vom_type_bool,
    [VOM_KIND_STRING] = &vom_type_string,   [VOM_KIND_BYTES] = &vom_type_bytes,
    [VOM_KIND_BYTE] = &vom_type_byte,       [VOM_KIND_UINT16] = &vom_type_uint16,
    [VOM_KIND_UINT32] = &vom_type_uint32,   [VOM_KIND_UINT64] = &vom_type_uint64,
    [VOM_KIND_UINT] = &vom_type_uint,       [VOM_KIND_UINTPTR] = &vom_type_uintptr,
    [VOM_KIND_INT8] = &vom_type_int8,       [VOM_KIND_INT16] = &vom_type_int16,
    [VOM_KIND_INT32] = &vom_type_int32,     [VOM_KIND_INT64] = &vom_type_int64,
    [VOM_KIND_INT] = &vom_type_int,         [VOM_KIND_FLOAT32] = &vom_type_float32,
    [VOM_KIND_FLOAT64] = &vom_type_float64,
};

const struct vom_type *vom_type_of_kind(enum vom_kind kind)
{
    return kind < sizeof scalars / sizeof scalars[0] ? scalars[kind] : NULL;
}

unsigned vom_type_id(const struct vom_type *t)
{
    if (t->id != 0)
        return t->id;
    if (t->name.len > 0 || t->n_tags > 0 || !vom_kind_is_scalar(t->kind))
        return 0;
    return scalars[t->kind]->id;
}

int vom_type_field(const struct vom_type *t, struct span name)
{
    if (t->kind != VOM_KIND_STRUCT)
        return -1;
    for (uint32_t i = 0; i < t->n_fields; i++) {
        if (span_equal(t->fields[i].name, name))
            return (int)i;
    }
    return -1;
}

/* Everything of two descriptors but what they refer to. */
static bool type_alike(const struct vom_type *a, const struct vom_type *b)
{
    if (a->kind != b->kind || a->len != b->len || a->n_fields != b->n_fields ||
        a->n_tags != b->n_tags || !span_equal(a->name, b->name))
        return false;
    if (a->kind == VOM_KIND_ANY && a->id != b->id)
        return false;
    for (uint32_t i = 0; i < a->n_fields; i++) {
        if (!span_equal(a->fields[i].name, b->fields[i].name))
            return false;
    }
    for (uint32_t i = 0; i < a->n_tags; i++) {
        if (!span_equal(a->tags[i], b->tags[i]))
            return false;
    }
    return true;
}

struct same_pairs {
    struct {
        const struct vom_type *a, *b;
    } pair[VOM_SAME_MAX];
    size_t n;
};

/* Notes that a and b remain to be compared; false if there is no room. */
static bool same_push(struct same_pairs *s, const struct vom_type *a, const struct vom_type *b)
{
    if (a == b)
        return true;
    for (size_t i = s->n; i-- > 0;) {
        if (s->pair[i].a == a && s->pair[i].b == b)
            return true;
    }
    if (s->n == VOM_SAME_MAX)
        return false;
    s->pair[s->n].a = a;
    s->pair[s->n].b = b;
    s->n++;
    return true;
}

/*
 * Pairs that were met before are taken as equal: if any other pair differs the answer is no anyway.
 * So recursion ends, and no pair is compared twice.
 */
bool vom_type_same(const struct vom_type *a, const struct vom_type *b)
{
    struct same_pairs s;

    if (a == b)
        return true;
    if (!type_alike(a, b))
        return false;
    s.n = 0;
    same_push(&s, a, b);
    for (size_t i = 0; i < s.n; i++) {
        a = s.pair[i].a;
        b = s.pair[i].b;
        if (!type_alike(a, b))
            return false;
        if (a->elem != NULL && !same_push(&s, a->elem, b->elem))
            return false;
        if (a->key != NULL && !same_push(&s, a->key, b->key))
            return false;
        for (uint32_t f = 0; f < a->n_fields; f++) {
            if (!same_push(&s, a->fields[f].type, b->fields[f].type))
                return false;
        }
    }
    return true;
}

void vom_type_copier_init(struct vom_type_copier *c, struct arena *a)
{
    c->arena = a;
    vom_ptrmap_init(&c->map);
    c->todo = NULL;
    c->n_todo = 0;
    c->cap_todo = 0;
}

void vom_type_copier_done(struct vom_type_copier *c)
{
    vom_ptrmap_done(&c->map);
    free(c->todo);
    c->todo = NULL;
}

/* The copy of t, perhaps an empty shell that waits in the list; NULL if memory is short. */
static const struct vom_type *copier_shell(struct vom_type_copier *c, const struct vom_type *t)
{
    struct vom_ptrmap_entry *e;
    struct vom_type *to;

    if (t == NULL || t->fixed)
        return t;
    e = vom_ptrmap_find(&c->map, t);
    if (e != NULL)
        return e->p;
    if (c->n_todo == c->cap_todo) {
        size_t cap = c->cap_todo > 0 ? c->cap_todo * 2 : 16;
        struct vom_type_pair *todo = realloc(c->todo, cap * sizeof *todo);

        if (todo == NULL)
            return NULL;
        c->todo = todo;
        c->cap_todo = cap;
    }
    to = arena_calloc(c->arena, 1, sizeof *to);
    e = to != NULL ? vom_ptrmap_add(&c->map, t) : NULL;
    if (e == NULL)
        return NULL;
    e->p = to;
    c->todo[c->n_todo++] = (struct vom_type_pair){t, to};
    return to;
}

static bool copier_span(struct vom_type_copier *c, struct span s, struct span *to)
{
    *to = s.len > 0 ? arena_copy(c->arena, s) : span_of(NULL, 0);
    return to->len == s.len;
}

static bool copier_fields(struct vom_type_copier *c, const struct vom_type *t, struct vom_type *to)
{
    struct vom_field *fields = arena_calloc(c->arena, t->n_fields, sizeof *fields);

    if (fields == NULL)
        return false;
    for (uint32_t i = 0; i < t->n_fields; i++) {
        if (!copier_span(c, t->fields[i].name, &fields[i].name))
            return false;
        fields[i].type = copier_shell(c, t->fields[i].type);
        if (fields[i].type == NULL)
            return false;
    }
    to->fields = fields;
    return true;
}

static bool copier_tags(struct vom_type_copier *c, const struct vom_type *t, struct vom_type *to)
{
    struct span *tags = arena_calloc(c->arena, t->n_tags, sizeof *tags);

    if (tags == NULL)
        return false;
    for (uint32_t i = 0; i < t->n_tags; i++) {
        if (!copier_span(c, t->tags[i], &tags[i]))
            return false;
    }
    to->tags = tags;
    return true;
}

static bool copier_fill(struct vom_type_copier *c, const struct vom_type *t, struct vom_type *to)
{
    *to = *t;
    to->elem = copier_shell(c, t->elem);
    to->key = copier_shell(c, t->key);
    if ((to->elem == NULL) != (t->elem == NULL) || (to->key == NULL) != (t->key == NULL))
        return false;
    if (!copier_span(c, t->name, &to->name))
        return false;
    if (t->n_fields > 0 && !copier_fields(c, t, to))
        return false;
    return t->n_tags == 0 || copier_tags(c, t, to);
}

const struct vom_type *vom_type_copier_copy(struct vom_type_copier *c, const struct vom_type *t)
{
    const struct vom_type *copy = copier_shell(c, t);

    while (copy != NULL && c->n_todo > 0) {
        struct vom_type_pair p = c->todo[--c->n_todo];

        if (!copier_fill(c, p.from, p.to))
            return NULL;
    }
    return copy;
}

const struct vom_type *vom_type_copy(struct arena *a, const struct vom_type *t)
{
    struct vom_type_copier c;
    const struct vom_type *copy;

    vom_type_copier_init(&c, a);
    copy = vom_type_copier_copy(&c, t);
    vom_type_copier_done(&c);
    return copy;
}

bool vom_type_is_time(const struct vom_type *t)
{
    return t->kind == VOM_KIND_BYTES && span_equal(t->name, span_of("time.Time", 9));
}

bool vom_type_is_empty(const struct vom_type *t)
{
    /* Types of peers are asked often and may be deep. */
    if (!t->fixed)
        return t->empty;
    while (t->kind == VOM_KIND_ARRAY && t->len > 0)
        t = t->elem;
    return t->kind == VOM_KIND_ARRAY;
}

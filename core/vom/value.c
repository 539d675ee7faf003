#include "config.h"
#include "vom/value.h"

#include <assert.h>

#include "vom/internal.h"

int vom_value_new_list(struct arena *a, const struct vom_type *t, size_t n, struct vom_value *ret_v)
{
    struct vom_value v = vom_value_zero(t);
    size_t size = vom_type_is_bytes(t) ? 1 : sizeof *v.words;

    if (t->kind == VOM_KIND_ARRAY ? n != t->len
                                  : t->kind != VOM_KIND_SLICE && t->kind != VOM_KIND_BYTES)
        return WSPR_EINVAL;
    v.n = n;
    if (n == 0) {
        *ret_v = v;
        return 0;
    }
    if (vom_type_is_bytes(t)) {
        v.s.p = arena_calloc(a, n, size);
    } else if (vom_type_is_words(t)) {
        v.words = arena_calloc(a, n, size);
    } else {
        size = sizeof *v.items;
        v.items = arena_calloc(a, n, size);
        for (size_t i = 0; v.items != NULL && i < n; i++)
            v.items[i].type = t->elem;
    }
    if (v.items == NULL)
        return vom_arena_error(a, n > SIZE_MAX / size ? SIZE_MAX : n * size, NULL);
    *ret_v = v;
    return 0;
}

int vom_value_new_struct(struct arena *a, const struct vom_type *t, struct vom_value *ret_v)
{
    struct vom_value v = vom_value_zero(t);

    if (t->kind != VOM_KIND_STRUCT)
        return WSPR_EINVAL;
    v.n = t->n_fields;
    if (v.n > 0) {
        v.items = arena_calloc(a, v.n, sizeof *v.items);
        if (v.items == NULL)
            return vom_arena_error(a, v.n * sizeof *v.items, NULL);
    }
    for (size_t i = 0; i < v.n; i++)
        v.items[i].type = t->fields[i].type;
    *ret_v = v;
    return 0;
}

int vom_value_new_map(struct arena *a, const struct vom_type *t, size_t n, struct vom_value *ret_v)
{
    struct vom_value v = vom_value_zero(t);

    if (t->kind != VOM_KIND_MAP || n > SIZE_MAX / 2)
        return WSPR_EINVAL;
    v.n = n;
    if (n > 0) {
        size_t size = 2 * sizeof *v.items;

        v.items = arena_calloc(a, n, size);
        if (v.items == NULL)
            return vom_arena_error(a, n > SIZE_MAX / size ? SIZE_MAX : n * size, NULL);
    }
    for (size_t i = 0; i < n; i++) {
        v.items[2 * i].type = t->key;
        v.items[2 * i + 1].type = t->elem;
    }
    *ret_v = v;
    return 0;
}

int vom_value_new_to(struct arena *a, const struct vom_type *t, struct vom_value target,
                     struct vom_value *ret_v)
{
    struct vom_value *to;

    if (t->kind != VOM_KIND_PTR && t->kind != VOM_KIND_ANY)
        return WSPR_EINVAL;
    to = arena_alloc(a, sizeof *to);
    if (to == NULL)
        return vom_arena_error(a, sizeof *to, NULL);
    *to = target;
    *ret_v = vom_value_to(t, to);
    return 0;
}

static union vom_word word_of(const struct vom_value *v)
{
    union vom_word w = {0};

    if (vom_kind_is_int(v->type->kind))
        w.i = v->i;
    else if (vom_kind_is_float(v->type->kind))
        w.f = v->f;
    else
        w.u = v->type->kind == VOM_KIND_BOOL ? v->b : v->u;
    return w;
}

static struct vom_value value_of(const struct vom_type *t, union vom_word w)
{
    if (vom_kind_is_int(t->kind))
        return vom_value_int(t, w.i);
    if (vom_kind_is_float(t->kind))
        return vom_value_float(t, w.f);
    if (t->kind == VOM_KIND_BOOL)
        return vom_value_bool(t, w.u != 0);
    return vom_value_uint(t, w.u);
}

void vom_value_set(struct vom_value *v, size_t i, struct vom_value elem)
{
    assert(i < vom_value_len(v) && v->items != NULL);
    if (vom_type_is_bytes(v->type))
        ((uint8_t *)v->s.p)[i] = (uint8_t)elem.u;
    else if (vom_type_is_words(v->type))
        v->words[i] = word_of(&elem);
    else
        v->items[i] = elem;
}

void vom_value_set_field(struct vom_value *v, const char *name, struct vom_value elem)
{
    int i = vom_type_field(v->type, span_str(name));

    assert(i >= 0);
    vom_value_set(v, (size_t)i, elem);
}

void vom_value_put(struct vom_value *map, size_t i, struct vom_value key, struct vom_value elem)
{
    assert(map->type->kind == VOM_KIND_MAP && i < map->n);
    map->items[2 * i] = key;
    map->items[2 * i + 1] = elem;
}

size_t vom_value_len(const struct vom_value *v)
{
    switch (v->type->kind) {
    case VOM_KIND_STRING:
    case VOM_KIND_BYTES:
        return v->s.len;
    case VOM_KIND_SLICE:
    case VOM_KIND_MAP:
        return v->n;
    case VOM_KIND_ARRAY:
        return v->type->len;
    case VOM_KIND_STRUCT:
        return v->type->n_fields;
    default:
        return 0;
    }
}

struct vom_value vom_value_at(const struct vom_value *v, size_t i)
{
    const struct vom_type *t = v->type;

    assert(i < vom_value_len(v));
    if (t->kind == VOM_KIND_STRING || vom_type_is_bytes(t))
        return vom_value_uint(t->elem != NULL ? t->elem : &vom_type_byte,
                              v->s.p != NULL ? v->s.p[i] : 0);
    if (v->items == NULL)
        return vom_value_zero(t->kind == VOM_KIND_STRUCT ? t->fields[i].type : t->elem);
    if (vom_type_is_words(t))
        return value_of(t->elem, v->words[i]);
    return v->items[i];
}

struct vom_value vom_value_field(const struct vom_value *v, const char *name)
{
    int i = v->type != NULL ? vom_type_field(v->type, span_str(name)) : -1;

    return i >= 0 ? vom_value_at(v, (size_t)i) : vom_value_zero(NULL);
}

struct vom_value vom_value_key(const struct vom_value *map, size_t i)
{
    assert(map->type->kind == VOM_KIND_MAP && i < map->n);
    return map->items[2 * i];
}

struct vom_value vom_value_elem(const struct vom_value *map, size_t i)
{
    assert(map->type->kind == VOM_KIND_MAP && i < map->n);
    return map->items[2 * i + 1];
}

struct vom_value vom_value_lookup(const struct vom_value *map, struct span key)
{
    if (map->type == NULL || map->type->kind != VOM_KIND_MAP)
        return vom_value_zero(NULL);
    for (size_t i = 0; i < map->n; i++) {
        struct vom_value k = vom_value_deref(map->items[2 * i]);

        if (k.type != NULL && k.type->kind == VOM_KIND_STRING && span_equal(k.s, key))
            return map->items[2 * i + 1];
    }
    return vom_value_zero(NULL);
}

struct vom_value vom_value_deref(struct vom_value v)
{
    /* A pointer can point to itself. */
    for (unsigned depth = 0; depth < VOM_DEPTH_MAX && v.type != NULL; depth++) {
        if (v.type->kind != VOM_KIND_PTR && v.type->kind != VOM_KIND_ANY)
            return v;
        if (v.to == NULL)
            break;
        v = *v.to;
    }
    return vom_value_zero(NULL);
}

static bool list_is_zero(const struct vom_value *v)
{
    size_t n = vom_value_len(v);

    if (v->items == NULL)
        return true;
    for (size_t i = 0; i < n; i++) {
        struct vom_value e = vom_value_at(v, i);

        if (!vom_value_is_zero(&e))
            return false;
    }
    return true;
}

bool vom_value_is_zero(const struct vom_value *v)
{
    switch (v->type->kind) {
    case VOM_KIND_BOOL:
        return !v->b;
    case VOM_KIND_FLOAT32:
    case VOM_KIND_FLOAT64:
        return v->f == 0;
    case VOM_KIND_ANY:
    case VOM_KIND_PTR:
        return v->to == NULL;
    case VOM_KIND_BYTES:
        return v->s.len == 0 || (vom_type_is_time(v->type) &&
                                 span_equal(v->s, span_of(vom_time_zero, sizeof vom_time_zero)));
    case VOM_KIND_STRING:
    case VOM_KIND_SLICE:
    case VOM_KIND_MAP:
        return vom_value_len(v) == 0;
    case VOM_KIND_ARRAY:
    case VOM_KIND_STRUCT:
        return list_is_zero(v);
    default:
        return vom_kind_is_int(v->type->kind) ? v->i == 0 : v->u == 0;
    }
}

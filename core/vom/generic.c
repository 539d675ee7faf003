#include "config.h"
#include "vom/generic.h"

#include "vom/value.h"

static const struct vom_type *generic_type(struct vom_generic *g, const struct vom_type *t,
                                           unsigned depth);

void vom_generic_init(struct vom_generic *g, struct arena *a)
{
    g->arena = a;
    g->recursive = false;
    vom_ptrmap_init(&g->known);
}

void vom_generic_done(struct vom_generic *g)
{
    vom_ptrmap_done(&g->known);
}

static bool has_tag(const struct vom_type *t, const char *tag)
{
    for (uint32_t i = 0; i < t->n_tags; i++) {
        if (span_equal_str(t->tags[i], tag))
            return true;
    }
    return false;
}

static const struct vom_type *generic_struct(const struct vom_type *t)
{
    if (has_tag(t, "complex64"))
        return &vom_type_complex64;
    if (has_tag(t, "complex128"))
        return &vom_type_complex128;
    return t;
}

static const struct vom_type *generic_composite(struct vom_generic *g, const struct vom_type *t,
                                                unsigned depth)
{
    const struct vom_type *key = NULL, *elem;
    struct vom_type *made;

    if (t->key != NULL) {
        key = generic_type(g, t->key, depth + 1);
        if (key == NULL)
            return NULL;
    }
    elem = generic_type(g, t->elem, depth + 1);
    if (elem == NULL)
        return NULL;
    if (t->kind == VOM_KIND_SLICE && elem == &vom_type_byte)
        return &vom_type_bytes;
    if (g->recursive || (elem == t->elem && key == t->key && t->name.len == 0 && t->n_tags == 0))
        return t;
    made = arena_calloc(g->arena, 1, sizeof *made);
    if (made != NULL) {
        made->kind = t->kind;
        made->elem = elem;
        made->key = key;
    }
    return made;
}

static const struct vom_type *generic_type(struct vom_generic *g, const struct vom_type *t,
                                           unsigned depth)
{
    struct vom_ptrmap_entry *e;
    const struct vom_type *made;

    if (t->kind <= VOM_KIND_FLOAT64)
        return vom_type_of_kind(t->kind);
    if (t->kind == VOM_KIND_STRUCT)
        return generic_struct(t);
    if (t->kind == VOM_KIND_ARRAY || depth > VOM_DEPTH_MAX)
        return t;
    e = vom_ptrmap_find(&g->known, t);
    if (e != NULL) {
        if (e->p == NULL)
            g->recursive = true;
        return e->p != NULL ? e->p : t;
    }
    e = vom_ptrmap_add(&g->known, t);
    if (e == NULL)
        return NULL;
    e->p = NULL;
    made = generic_composite(g, t, depth);
    e = vom_ptrmap_find(&g->known, t);
    e->p = (void *)made;
    return made;
}

const struct vom_type *vom_generic_type(struct vom_generic *g, const struct vom_type *t)
{
    g->recursive = false;
    return generic_type(g, t, 0);
}

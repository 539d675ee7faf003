/*
 * Definitions refer to each other by number, in any order and in cycles. A type and all it needs is
 * resolved in one go: each definition that is met becomes an empty descriptor (a shell) in a list,
 * whose members are then filled; filling meets more. Nothing recurses, since a peer decides how
 * deep its types are. If anything is wrong the whole list is forgotten.
 */
#include "config.h"
#include "vom/defs.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/unicode.h"
#include "base/utf8.h"
#include "vom/internal.h"
#include "vom/wiretypes.h"

/* Named types based on named types; encoders make none of that. */
#define CHAIN_MAX 64

struct vom_def {
    struct vom_type shell; /* first, so that a shell leads to its definition */
    struct vom_wiredef w;
    const struct vom_wiredef *shape; /* what w is based on in the end; NULL: a predefined type */
    struct vom_def *next;            /* list of the resolution under way */
    uint64_t id;
    /* Search for cycles without a name. */
    struct vom_def *from;
    uint32_t edge;
    enum { WHITE, GREY, BLACK } color;
    bool measured; /* shell.empty is right */
};

void vom_defs_init(struct vom_defs *d, struct arena *a, size_t max)
{
    d->arena = a;
    d->catalogue = false;
    d->more = NULL;
    d->n = 0;
    d->cap = VOM_DEFS_INLINE;
    d->max = max;
}

/* Place of the id in the table: the first slot that is not below it. */
static size_t defs_place(const struct vom_defs *d, uint64_t id)
{
    const struct vom_def_slot *slots = d->more != NULL ? d->more : d->few;
    size_t lo = 0, hi = d->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (slots[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct vom_def_slot *defs_find(struct vom_defs *d, uint64_t id)
{
    struct vom_def_slot *slots = d->more != NULL ? d->more : d->few;
    size_t i = defs_place(d, id);

    return i < d->n && slots[i].id == id ? &slots[i] : NULL;
}

static int defs_grow(struct vom_defs *d, struct err *err)
{
    struct vom_def_slot *more = arena_calloc(d->arena, 2 * d->cap, sizeof *more);

    if (more == NULL)
        return vom_arena_error(d->arena, 2 * d->cap * sizeof *more, err);
    memcpy(more, d->more != NULL ? d->more : d->few, d->n * sizeof *more);
    d->more = more;
    d->cap *= 2;
    return 0;
}

/* Makes a slot for an id that has none. */
static int defs_insert(struct vom_defs *d, uint64_t id, struct vom_def_slot **ret_slot,
                       struct err *err)
{
    struct vom_def_slot *slots;
    size_t i;

    if (d->n == d->max)
        return err_set(err, WSPR_ELIMIT, "vom: more than %zu type definitions", d->max);
    if (d->n == d->cap) {
        int r = defs_grow(d, err);

        if (r < 0)
            return r;
    }
    slots = d->more != NULL ? d->more : d->few;
    i = defs_place(d, id);
    memmove(slots + i + 1, slots + i, (d->n - i) * sizeof *slots);
    d->n++;
    slots[i] = (struct vom_def_slot){.id = id};
    *ret_slot = &slots[i];
    return 0;
}

int vom_defs_add(struct vom_defs *d, uint64_t id, const struct vom_wiredef *w, struct err *err)
{
    struct vom_def_slot *slot = defs_find(d, id);
    struct vom_def *def;
    int r;

    if (id < VOM_ID_USER || (slot != NULL && slot->type != NULL))
        return 0;
    if (slot != NULL)
        return err_set(err, WSPR_EPROTO, "vom: duplicate wiredef for id %" PRIu64, id);
    def = arena_calloc(d->arena, 1, sizeof *def);
    if (def == NULL)
        return vom_arena_error(d->arena, sizeof *def, err);
    def->w = *w;
    def->id = id;
    r = defs_insert(d, id, &slot, err);
    if (r == 0)
        slot->def = def;
    return r;
}

int vom_defs_set(struct vom_defs *d, uint64_t id, const struct vom_type *t, struct err *err)
{
    struct vom_def_slot *slot = defs_find(d, id);
    int r = 0;

    if (slot == NULL)
        r = defs_insert(d, id, &slot, err);
    if (r == 0)
        slot->type = t;
    return r;
}

struct resolve {
    struct vom_defs *d;
    struct err *err;
    struct vom_def *first, *last;
};

static int defs_predefined(const struct vom_defs *d, uint64_t id, const struct vom_type **ret_type,
                           struct err *err)
{
    const struct vom_type *t = d->catalogue ? vom_type_catalogue(id) : vom_type_predefined(id);

    if (t == NULL)
        return err_set(err, WSPR_EPROTO, "vom: unknown bootstrap type id %" PRIu64, id);
    *ret_type = t;
    return 0;
}

static int defs_unknown(uint64_t id, struct err *err)
{
    return err_set(err, WSPR_EPROTO, "vom: unknown user type id %" PRIu64, id);
}

/*
 * Follows named types that are based on others to the definition that gives the shape, or to a type
 * that needs no more resolution.
 */
static int resolve_shape(struct resolve *rs, const struct vom_wiredef *w,
                         const struct vom_wiredef **ret_shape, const struct vom_type **ret_base)
{
    const struct vom_wiredef *at = w;

    *ret_shape = NULL;
    *ret_base = NULL;
    for (size_t steps = 0; at->kind == VOM_ID_NAMED; steps++) {
        struct vom_def_slot *slot;

        if (at->type < VOM_ID_USER)
            return defs_predefined(rs->d, at->type, ret_base, rs->err);
        slot = defs_find(rs->d, at->type);
        if (slot == NULL)
            return defs_unknown(at->type, rs->err);
        if (slot->def == NULL) {
            *ret_base = slot->type;
            return 0;
        }
        if (steps > CHAIN_MAX)
            return err_set(rs->err, WSPR_EPROTO,
                           "vom: type not registered or creatable, type \"%.*s\"",
                           SPAN_ARG(w->name));
        at = &slot->def->w;
    }
    *ret_shape = at;
    return 0;
}

/* Whether the id stands for the unnamed byte. */
static bool resolve_is_byte(struct resolve *rs, uint64_t id)
{
    struct vom_def_slot *slot = id >= VOM_ID_USER ? defs_find(rs->d, id) : NULL;
    const struct vom_wiredef *shape;
    const struct vom_type *base = NULL;
    struct resolve quiet = {rs->d, NULL, NULL, NULL};

    if (slot == NULL)
        return id == vom_type_byte.id;
    if (slot->def == NULL || slot->def->w.name.len > 0 || slot->def->w.n_tags > 0)
        return false;
    return resolve_shape(&quiet, &slot->def->w, &shape, &base) == 0 && base == &vom_type_byte;
}

/*
 * The descriptor of an id: ready, or a shell of the list. Unnamed definitions of what is predefined
 * become the predefined type; an unnamed interface is `error` (spec: vom A.4).
 */
static int resolve_ref(struct resolve *rs, uint64_t id, const struct vom_type **ret_type)
{
    struct vom_def_slot *slot;
    struct vom_def *def;
    const struct vom_type *base;
    int r;

    if (id < VOM_ID_USER)
        return defs_predefined(rs->d, id, ret_type, rs->err);
    slot = defs_find(rs->d, id);
    if (slot == NULL)
        return defs_unknown(id, rs->err);
    if (slot->type != NULL) {
        *ret_type = slot->type;
        return 0;
    }
    def = slot->def;
    r = resolve_shape(rs, &def->w, &def->shape, &base);
    if (r < 0)
        return r;
    def->shell = (struct vom_type){.name = def->w.name, .tags = def->w.tags};
    def->shell.n_tags = def->w.n_tags;
    slot->type = &def->shell;
    if (base != NULL) {
        enum vom_kind kind = base->kind;

        if (def->w.name.len == 0 && def->w.n_tags == 0 && kind <= VOM_KIND_FLOAT64) {
            slot->type = kind == VOM_KIND_ANY ? &vom_type_error : vom_type_of_kind(kind);
        } else {
            def->shell = *base;
            def->shell.id = 0;
            def->shell.fixed = 0;
            def->shell.name = def->w.name;
            def->shell.tags = def->w.tags;
            def->shell.n_tags = def->w.n_tags;
        }
    } else if (def->shape->kind == VOM_ID_SLICE && resolve_is_byte(rs, def->shape->type)) {
        def->shape = NULL;
        def->shell.kind = VOM_KIND_BYTES;
        if (def->w.name.len == 0 && def->w.n_tags == 0)
            slot->type = &vom_type_bytes;
    }
    def->next = NULL;
    if (rs->last != NULL)
        rs->last->next = def;
    else
        rs->first = def;
    rs->last = def;
    *ret_type = slot->type;
    return 0;
}

/* Takes the next character of a name, as JSON shows it: what is no UTF-8 looks all the same. */
static uint32_t take_shown(struct span *name, bool first)
{
    uint32_t rune;
    size_t n = utf8_decode(name->p, name->len, &rune);

    *name = span_of(name->p + n, name->len - n);
    return first ? unicode_lower(rune) : rune;
}

/* The name as JSON has it is the same but for the first character, which is in lower case there. */
static int compare_names(const void *a, const void *b)
{
    struct span f = ((const struct vom_field *)a)->name, g = ((const struct vom_field *)b)->name;
    bool first = true;

    while (f.len > 0 && g.len > 0) {
        uint32_t x = take_shown(&f, first), y = take_shown(&g, first);

        if (x != y)
            return x < y ? -1 : 1;
        first = false;
    }
    return (f.len > 0) - (g.len > 0);
}

/* Whether names of fields are unambiguous in JSON, in time that no choice of names can spoil. */
static int fields_check(struct resolve *rs, struct vom_type *t)
{
    size_t size = t->n_fields * sizeof *t->fields;
    struct vom_field few[16], *sorted = few;

    if (t->n_fields < 2)
        return 0;
    if (size > sizeof few)
        sorted = malloc(size);
    if (sorted == NULL)
        return err_set(rs->err, WSPR_ENOMEM, "out of memory");
    memcpy(sorted, t->fields, size);
    qsort(sorted, t->n_fields, sizeof *sorted, compare_names);
    for (uint32_t i = 1; i < t->n_fields && !t->ambiguous; i++)
        t->ambiguous = compare_names(&sorted[i - 1], &sorted[i]) == 0;
    if (sorted != few)
        free(sorted);
    return 0;
}

static int resolve_fields(struct resolve *rs, struct vom_def *def)
{
    const struct vom_wiredef *w = def->shape;
    struct vom_field *fields;

    def->shell.kind = VOM_KIND_STRUCT;
    if (w->n_fields == 0)
        return 0;
    fields = arena_calloc(rs->d->arena, w->n_fields, sizeof *fields);
    if (fields == NULL)
        return vom_arena_error(rs->d->arena, w->n_fields * sizeof *fields, rs->err);
    for (uint32_t i = 0; i < w->n_fields; i++) {
        int r;

        fields[i].name = w->fields[i].name;
        if (fields[i].name.len == 0)
            return err_set(rs->err, WSPR_EPROTO, "vom: struct \"%.*s\" has a field without name",
                           SPAN_ARG(def->w.name));
        r = resolve_ref(rs, w->fields[i].type, &fields[i].type);
        if (r < 0)
            return r;
    }
    def->shell.fields = fields;
    def->shell.n_fields = w->n_fields;
    return fields_check(rs, &def->shell);
}

static int resolve_fill(struct resolve *rs, struct vom_def *def)
{
    static const enum vom_kind kinds[] = {[VOM_ID_SLICE] = VOM_KIND_SLICE,
                                          [VOM_ID_ARRAY] = VOM_KIND_ARRAY,
                                          [VOM_ID_MAP] = VOM_KIND_MAP,
                                          [VOM_ID_PTR] = VOM_KIND_PTR};
    const struct vom_wiredef *w = def->shape;
    int r = 0;

    if (w == NULL)
        return 0;
    if (w->kind == VOM_ID_STRUCT)
        return resolve_fields(rs, def);
    def->shell.kind = kinds[w->kind];
    if (w->kind == VOM_ID_ARRAY) {
        if (w->len > INT64_MAX || w->len > SIZE_MAX)
            return err_set(rs->err, WSPR_EPROTO, "vom: array length %" PRIu64 " is too large",
                           w->len);
        def->shell.len = w->len;
    }
    if (w->kind == VOM_ID_MAP)
        r = resolve_ref(rs, w->key, &def->shell.key);
    if (r == 0)
        r = resolve_ref(rs, w->type, &def->shell.elem);
    return r;
}

/* The definition that a type is the shell of, if it is unnamed and of this resolution. */
static struct vom_def *unnamed_def(const struct vom_type *t)
{
    struct vom_def *def = (struct vom_def *)t;

    if (t == NULL || t->fixed || t->name.len > 0 || t->kind < VOM_KIND_SLICE)
        return NULL;
    return def;
}

/* The next unnamed type that an unnamed type refers to. */
static struct vom_def *next_unnamed(struct vom_def *def)
{
    while (def->edge < def->shell.n_fields + 2) {
        uint32_t i = def->edge++;
        struct vom_def *to = unnamed_def(i == 0   ? def->shell.elem
                                         : i == 1 ? def->shell.key
                                                  : def->shell.fields[i - 2].type);

        if (to != NULL)
            return to;
    }
    return NULL;
}

/* Depth-first through unnamed types; a grey one that is met again contains itself. */
static bool has_unnamed_cycle(struct vom_def *start)
{
    struct vom_def *at = start;

    at->color = GREY;
    at->from = NULL;
    while (at != NULL) {
        struct vom_def *to = next_unnamed(at);

        if (to == NULL) {
            at->color = BLACK;
            at = at->from;
        } else if (to->color == GREY) {
            return true;
        } else if (to->color == WHITE) {
            to->color = GREY;
            to->from = at;
            at = to;
        }
    }
    return false;
}

/* The definition that a type is the shell of, if it is an array that is not measured yet. */
static struct vom_def *unmeasured_array(const struct vom_type *t)
{
    struct vom_def *def = (struct vom_def *)t;

    return t->kind == VOM_KIND_ARRAY && t->len > 0 && !t->fixed && !def->measured ? def : NULL;
}

/*
 * Finds out whether values of a type take no bytes, and so of the arrays that it consists of: each
 * is looked at once. One that holds only itself has no bytes either, so each has none at first.
 */
static void measure(struct vom_def *start)
{
    const struct vom_type *end = &start->shell;
    struct vom_def *def;

    while ((def = unmeasured_array(end)) != NULL) {
        def->measured = true;
        def->shell.empty = true;
        end = def->shell.elem;
    }
    if (vom_type_is_empty(end))
        return;
    for (const struct vom_type *t = &start->shell; t != end; t = t->elem)
        ((struct vom_def *)t)->shell.empty = false;
}

/* What can only be said once all shells are filled. */
static int resolve_check(struct resolve *rs)
{
    for (struct vom_def *def = rs->first; def != NULL; def = def->next) {
        if (unnamed_def(&def->shell) != NULL && def->color == WHITE && has_unnamed_cycle(def))
            return err_set(rs->err, WSPR_EPROTO, "vom: type contains itself and has no name");
    }
    for (struct vom_def *def = rs->first; def != NULL; def = def->next) {
        def->measured = def->shell.kind != VOM_KIND_ARRAY || def->shell.len == 0;
        def->shell.empty = def->shell.kind == VOM_KIND_ARRAY;
    }
    for (struct vom_def *def = rs->first; def != NULL; def = def->next)
        measure(def);
    return 0;
}

int vom_defs_type(struct vom_defs *d, uint64_t id, const struct vom_type **ret_type,
                  struct err *err)
{
    struct resolve rs = {.d = d, .err = err};
    const struct vom_type *t = NULL;
    int r = resolve_ref(&rs, id, &t);

    if (r < 0 || rs.first == NULL) {
        if (r == 0)
            *ret_type = t;
        return r;
    }
    for (struct vom_def *def = rs.first; r == 0 && def != NULL; def = def->next)
        r = resolve_fill(&rs, def);
    if (r == 0)
        r = resolve_check(&rs);
    if (r == 0) {
        *ret_type = t;
        return 0;
    }
    for (struct vom_def *def = rs.first; def != NULL; def = def->next) {
        defs_find(d, def->id)->type = NULL;
        def->color = WHITE;
        def->edge = 0;
    }
    return r;
}

static int signature_span(struct vom_defs *d, const struct vom_value *v, size_t field,
                          struct span *ret, struct err *err)
{
    struct span s = vom_value_at(v, field).s;

    *ret = s.len > 0 ? arena_copy(d->arena, s) : span_of(NULL, 0);
    return ret->len == s.len ? 0 : vom_arena_error(d->arena, s.len + 1, err);
}

static int signature_fields(struct vom_defs *d, const struct vom_value *v, struct vom_wiredef *w,
                            struct err *err)
{
    struct vom_value list = vom_value_at(v, 0);
    int r = 0;

    w->n_fields = (uint32_t)vom_value_len(&list);
    w->fields = arena_calloc(d->arena, w->n_fields, sizeof *w->fields);
    if (w->fields == NULL)
        return vom_arena_error(d->arena, w->n_fields * sizeof *w->fields, err);
    for (uint32_t i = 0; r == 0 && i < w->n_fields; i++) {
        struct vom_value field = vom_value_at(&list, i);

        w->fields[i].type = vom_value_at(&field, 0).u;
        r = signature_span(d, &field, 1, &w->fields[i].name, err);
    }
    return r;
}

static int signature_tags(struct vom_defs *d, const struct vom_value *v, size_t field,
                          struct vom_wiredef *w, struct err *err)
{
    struct vom_value list = vom_value_at(v, field);
    int r = 0;

    w->n_tags = (uint32_t)vom_value_len(&list);
    w->tags = arena_calloc(d->arena, w->n_tags, sizeof *w->tags);
    if (w->tags == NULL)
        return vom_arena_error(d->arena, w->n_tags * sizeof *w->tags, err);
    for (uint32_t i = 0; r == 0 && i < w->n_tags; i++)
        r = signature_span(d, &list, i, &w->tags[i], err);
    return r;
}

/* One of the structs veyron2/wiretype.…Type as a definition. */
static int signature_def(struct vom_defs *d, uint64_t id, const struct vom_value *v,
                         struct err *err)
{
    struct vom_wiredef w = {0};
    size_t name = 1;
    int r = 0;

    if (v->type == NULL || v->type->id < VOM_ID_NAMED || v->type->id > VOM_ID_PTR)
        return err_set(err, WSPR_EPROTO, "vom: type %" PRIu64 " of the signature is no definition",
                       id);
    w.kind = v->type->id;
    if (w.kind == VOM_ID_STRUCT)
        r = signature_fields(d, v, &w, err);
    else
        w.type = vom_value_at(v, w.kind == VOM_ID_MAP ? 1 : 0).u;
    if (w.kind == VOM_ID_MAP) {
        w.key = vom_value_at(v, 0).u;
        name = 2;
    } else if (w.kind == VOM_ID_ARRAY) {
        w.len = vom_value_at(v, 1).u;
        name = 2;
    }
    if (r == 0)
        r = signature_span(d, v, name, &w.name, err);
    if (r == 0)
        r = signature_tags(d, v, name + 1, &w, err);
    return r == 0 ? vom_defs_add(d, id, &w, err) : r;
}

int vom_defs_add_signature(struct vom_defs *d, const struct vom_value *typedefs, struct err *err)
{
    size_t n = vom_value_len(typedefs);
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        struct vom_value v = vom_value_deref(vom_value_at(typedefs, i));

        r = signature_def(d, VOM_ID_USER + i, &v, err);
    }
    return r;
}

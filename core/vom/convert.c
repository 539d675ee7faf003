/*
 * The rules are those of decoding into a variable (spec: vom A.9.2, A.9.3): a part of the value
 * goes to a part of the target, which is filled, made anew or left as it was.
 */
#include "config.h"
#include "vom/convert.h"

#include <inttypes.h>
#include <stdio.h>

#include "vom/fill.h"
#include "vom/generic.h"
#include "vom/internal.h"
#include "vom/wiretypes.h"

#define ZERO_LONG 64 /* values to look at */

/* What a pointer's target became. */
struct memo {
    const struct vom_type *elem;
    struct vom_value *to;
    uint64_t number;
};

struct convert {
    struct arena *arena;
    struct err *err;
    struct vom_generic generic;
    struct vom_ptrmap memos; /* by the source's target */
    struct vom_ptrmap plain; /* types: 1 if without interfaces and pointers, else 0 */
    struct vom_ptrmap same;  /* types: the one they were last compared with, and how */
    struct vom_ptrmap zeros; /* by items: whether they are zero, where that was long to find out */
    uint64_t n_pointers;
    unsigned depth;
    unsigned generic_depth; /* inside types that the peer chose, interfaces take everything */
};

static int convert_value(struct convert *c, const struct vom_value *v, const struct vom_type *t,
                         const struct vom_value *init, struct vom_value *ret_v);

static int convert_memory(struct convert *c, size_t n)
{
    return vom_arena_error(c->arena, n, c->err);
}

/* Sets the error "vom: VERB "A" PREPOSITION "B"". */
static int convert_error(struct convert *c, const char *verb, const struct vom_type *a,
                         enum vom_type_style style, const char *preposition,
                         const struct vom_type *b)
{
    struct buf text = BUF_INIT(16384);

    buf_printf(&text, "vom: %s \"", verb);
    vom_type_print(&text, a, style);
    buf_printf(&text, "\" %s \"", preposition);
    vom_type_print(&text, b, VOM_STYLE_HOST);
    buf_append_str(&text, "\"");
    err_set_text(c->err, WSPR_ETYPE, (const char *)buf_data(&text), text.len);
    buf_done(&text);
    return WSPR_ETYPE;
}

static int convert_mismatch(struct convert *c, const struct vom_value *v, const struct vom_type *t)
{
    const char *verb = v->type->kind == VOM_KIND_STRUCT  ? "type mismatch, can't decode struct"
                       : v->type->kind == VOM_KIND_MAP   ? "type mismatch, can't decode map"
                       : v->type->kind == VOM_KIND_ARRAY ? "type mismatch, can't decode array"
                                                         : "type mismatch, can't decode slice";

    return convert_error(c, verb, v->type, VOM_STYLE_WIRE, "into value of type", t);
}

/* Whether values of the type hold neither interfaces nor pointers. */
static bool is_plain(struct convert *c, const struct vom_type *t)
{
    struct vom_ptrmap_entry *e;

    if (t->kind <= VOM_KIND_FLOAT64)
        return t->kind != VOM_KIND_ANY;
    e = vom_ptrmap_find(&c->plain, t);
    if (e == NULL) {
        bool plain = vom_type_is_plain(t);

        e = vom_ptrmap_add(&c->plain, t);
        if (e == NULL)
            return plain;
        e->u = plain;
    }
    return e->u != 0;
}

/* Elements of lists ask the same question again and again. */
static bool is_same(struct convert *c, const struct vom_type *a, const struct vom_type *b)
{
    struct vom_ptrmap_entry *e;
    uint64_t other = (uintptr_t)b;

    if (a == b || a->kind != b->kind || vom_kind_is_scalar(a->kind))
        return a == b || vom_type_same(a, b);
    e = vom_ptrmap_find(&c->same, a);
    if (e == NULL) {
        e = vom_ptrmap_add(&c->same, a);
        if (e == NULL)
            return vom_type_same(a, b);
        e->u = 0;
    }
    /* The lowest bit of the address is the answer. */
    if ((e->u & ~UINT64_C(1)) != other)
        e->u = other | vom_type_same(a, b);
    return (e->u & 1) != 0;
}

static struct vom_value *init_target(const struct vom_value *init)
{
    return init != NULL ? init->to : NULL;
}

/* Pointer levels of a type; a pointer type may point to itself. */
static unsigned pointer_depth(const struct vom_type *t)
{
    unsigned n = 0;

    for (; t->kind == VOM_KIND_PTR && n < VOM_DEPTH_MAX; t = t->elem)
        n++;
    return n;
}

/* A target pointer more than the source has. */
static int convert_add_pointer(struct convert *c, const struct vom_value *v,
                               const struct vom_type *t, const struct vom_value *init,
                               struct vom_value *ret_v)
{
    struct vom_value *to = arena_alloc(c->arena, sizeof *to);

    if (to == NULL)
        return convert_memory(c, sizeof *to);
    *ret_v = vom_value_to(t, to);
    return convert_value(c, v, t->elem, init_target(init), to);
}

static int convert_back_error(struct convert *c, const struct memo *memo, const struct vom_type *t)
{
    struct vom_type was = {.kind = VOM_KIND_PTR, .elem = memo->elem};
    char verb[64];

    snprintf(verb, sizeof verb, "can't convert refID %" PRIu64 " type", memo->number);
    return convert_error(c, verb, &was, VOM_STYLE_HOST, "to type", t);
}

/* As many levels on both sides: what was shared stays shared. */
static int convert_pointer(struct convert *c, const struct vom_value *v, const struct vom_type *t,
                           const struct vom_value *init, struct vom_value *ret_v)
{
    struct vom_ptrmap_entry *e = vom_ptrmap_find(&c->memos, v->to);
    struct memo *memo;

    if (e != NULL) {
        memo = e->p;
        if (!is_same(c, memo->elem, t->elem))
            return convert_back_error(c, memo, t);
        *ret_v = vom_value_to(t, memo->to);
        return 0;
    }
    memo = arena_calloc(c->arena, 1, sizeof *memo);
    if (memo == NULL)
        return convert_memory(c, sizeof *memo);
    memo->to = arena_alloc(c->arena, sizeof *memo->to);
    if (memo->to == NULL)
        return convert_memory(c, sizeof *memo->to);
    e = vom_ptrmap_add(&c->memos, v->to);
    if (e == NULL)
        return err_set(c->err, WSPR_ENOMEM, "out of memory");
    e->p = memo;
    memo->elem = t->elem;
    memo->number = ++c->n_pointers;
    *memo->to = vom_value_zero(t->elem);
    *ret_v = vom_value_to(t, memo->to);
    return convert_value(c, v->to, t->elem, init_target(init), memo->to);
}

/* Only these implement the error interfaces. */
static bool is_error_type(const struct vom_type *t)
{
    unsigned depth = 0;

    for (; t->kind == VOM_KIND_PTR && depth < VOM_DEPTH_MAX; depth++)
        t = t->elem;
    return t->kind == VOM_KIND_STRUCT && span_equal(t->name, vom_type_verror_standard.name);
}

static bool is_error_interface(const struct vom_type *t)
{
    return t->name.len > 0 ? span_equal(t->name, vom_type_verror_e.name) : t->id == 0;
}

/* v is no interface; t is one. */
static int convert_to_any(struct convert *c, const struct vom_value *v, const struct vom_type *t,
                          const struct vom_value *init, struct vom_value *ret_v)
{
    const struct vom_value *old = init_target(init);
    const struct vom_type *content = old != NULL ? old->type : NULL;
    struct vom_value *to;
    int r;

    if (content == NULL) {
        content = vom_generic_type(&c->generic, v->type);
        if (content == NULL)
            return convert_memory(c, sizeof *content);
        if (c->generic_depth == 0 && is_error_interface(t) && !is_error_type(content))
            return convert_error(c, "can't assign type", content, VOM_STYLE_HOST,
                                 "to value of type", t);
    }
    to = arena_alloc(c->arena, sizeof *to);
    if (to == NULL)
        return convert_memory(c, sizeof *to);
    *ret_v = vom_value_to(t, to);
    c->generic_depth += old == NULL;
    r = convert_value(c, v, content, NULL, to);
    c->generic_depth -= old == NULL;
    return r;
}

/* Elements from `from` on, which the source does not have, stay as they were. */
static void keep_rest(struct vom_value *list, const struct vom_value *init, size_t from)
{
    size_t n = vom_value_len(list), m = init != NULL ? vom_value_len(init) : 0;

    for (size_t i = from; i < n && i < m; i++)
        vom_value_set(list, i, vom_value_at(init, i));
}

static int convert_list(struct convert *c, const struct vom_value *v, const struct vom_type *t,
                        const struct vom_value *init, struct vom_value *ret_v)
{
    bool array = t->kind == VOM_KIND_ARRAY;
    size_t n = vom_value_len(v), n_init = init != NULL ? vom_value_len(init) : 0, size;
    const struct vom_type *elem = t->kind == VOM_KIND_BYTES ? &vom_type_byte : t->elem;
    int r;

    if ((!array && t->kind != VOM_KIND_SLICE && t->kind != VOM_KIND_BYTES) || (array && n > t->len))
        return convert_mismatch(c, v, t);
    size = array ? (size_t)t->len : n;
    r = vom_value_new_list(c->arena, t, size, ret_v);
    if (r < 0)
        return vom_arena_failed(c->arena, r, c->err);
    /* A slice that is too short is replaced; one that is long enough is written over. */
    if (!array && n > n_init)
        n_init = 0;
    for (size_t i = 0; i < n; i++) {
        struct vom_value from = vom_value_at(v, i), to, old;

        if (i < n_init)
            old = vom_value_at(init, i);
        r = convert_value(c, &from, elem, i < n_init ? &old : NULL, &to);
        if (r < 0)
            return r;
        vom_value_set(ret_v, i, to);
    }
    keep_rest(ret_v, init, n);
    return 0;
}

static int convert_map(struct convert *c, const struct vom_value *v, const struct vom_type *t,
                       struct vom_value *ret_v)
{
    int r;

    if (t->kind != VOM_KIND_MAP)
        return convert_mismatch(c, v, t);
    if (vom_value_new_map(c->arena, t, v->n, ret_v) < 0)
        return convert_memory(c, 2 * v->n * sizeof *ret_v);
    for (size_t i = 0; i < v->n; i++) {
        r = convert_value(c, &v->items[2 * i], t->key, NULL, &ret_v->items[2 * i]);
        if (r == 0)
            r = convert_value(c, &v->items[2 * i + 1], t->elem, NULL, &ret_v->items[2 * i + 1]);
        if (r < 0)
            return r;
    }
    /* Keys that differed may have become equal. */
    r = ret_v->n > 1 && v->type->key != t->key ? vom_map_dedupe(ret_v) : 0;
    return r < 0 ? err_set(c->err, r, "%s", err_code_text(r)) : 0;
}

/*
 * Whether a value is zero. Structs in structs ask for what is inside them on each level, so a long
 * look at it has to be the last one. *work grows by what was looked at.
 */
static bool is_zero(struct convert *c, const struct vom_value *v, size_t *work)
{
    struct vom_ptrmap_entry *e;
    size_t n, before = *work;
    bool zero = true;

    ++*work;
    if ((v->type->kind != VOM_KIND_STRUCT && v->type->kind != VOM_KIND_ARRAY) || v->items == NULL)
        return vom_value_is_zero(v);
    e = vom_ptrmap_find(&c->zeros, v->items);
    if (e != NULL)
        return e->u != 0;
    n = vom_value_len(v);
    for (size_t i = 0; zero && i < n; i++) {
        struct vom_value item = vom_value_at(v, i);

        zero = is_zero(c, &item, work);
    }
    e = *work - before > ZERO_LONG ? vom_ptrmap_add(&c->zeros, v->items) : NULL;
    if (e != NULL)
        e->u = zero;
    return zero;
}

/* Fields that are zero were not sent, so they leave the target's alone. */
static int convert_struct(struct convert *c, const struct vom_value *v, const struct vom_type *t,
                          const struct vom_value *init, struct vom_value *ret_v)
{
    int r = 0;

    if (t->kind != VOM_KIND_STRUCT)
        return convert_mismatch(c, v, t);
    *ret_v = vom_value_zero(t);
    if (v->items == NULL && (init == NULL || init->items == NULL))
        return 0;
    if (vom_value_new_struct(c->arena, t, ret_v) < 0)
        return convert_memory(c, t->n_fields * sizeof *ret_v);
    if (init != NULL)
        keep_rest(ret_v, init, 0);
    for (uint32_t i = 0; r == 0 && v->items != NULL && i < v->type->n_fields; i++) {
        struct span name = v->type->fields[i].name;
        struct vom_value old, to;
        size_t work = 0;
        int at;

        if (is_zero(c, &v->items[i], &work))
            continue;
        /* Mostly it is the same field. */
        at = i < t->n_fields && span_equal(t->fields[i].name, name) ? (int)i
                                                                    : vom_type_field(t, name);
        if (at < 0)
            continue;
        old = ret_v->items[at];
        r = convert_value(c, &v->items[i], t->fields[at].type, &old, &to);
        if (r == 0)
            ret_v->items[at] = to;
    }
    return r;
}

static int convert_by_kind(struct convert *c, const struct vom_value *v, const struct vom_type *t,
                           const struct vom_value *init, struct vom_value *ret_v)
{
    switch (v->type->kind) {
    case VOM_KIND_STRING:
    case VOM_KIND_BYTES:
        return vom_fill_string(c->arena, v, t, init, ret_v, c->err);
    case VOM_KIND_SLICE:
    case VOM_KIND_ARRAY:
        return convert_list(c, v, t, init, ret_v);
    case VOM_KIND_MAP:
        return convert_map(c, v, t, ret_v);
    case VOM_KIND_STRUCT:
        return convert_struct(c, v, t, init, ret_v);
    default:
        return vom_fill_scalar(v, t, ret_v, c->err);
    }
}

static int convert_step(struct convert *c, const struct vom_value *v, const struct vom_type *t,
                        const struct vom_value *init, struct vom_value *ret_v)
{
    enum vom_kind from = v->type->kind;

    /* A nil interface zeroes any target, a nil pointer all but an interface, which holds it. */
    if ((from == VOM_KIND_ANY || (from == VOM_KIND_PTR && t->kind != VOM_KIND_ANY)) &&
        v->to == NULL) {
        *ret_v = vom_value_zero(t);
        return 0;
    }
    if (from == VOM_KIND_ANY)
        return convert_value(c, v->to, t, init, ret_v);
    if (t->kind == VOM_KIND_ANY)
        return convert_to_any(c, v, t, init, ret_v);
    if (from == VOM_KIND_PTR) {
        unsigned have = pointer_depth(v->type), want = pointer_depth(t);

        if (have == want)
            return convert_pointer(c, v, t, init, ret_v);
        if (have > want)
            return convert_value(c, v->to, t, init, ret_v);
    }
    if (t->kind == VOM_KIND_PTR)
        return convert_add_pointer(c, v, t, init, ret_v);
    return convert_by_kind(c, v, t, init, ret_v);
}

static int convert_value(struct convert *c, const struct vom_value *v, const struct vom_type *t,
                         const struct vom_value *init, struct vom_value *ret_v)
{
    int r;

    if (c->depth > 2 * VOM_DEPTH_MAX)
        return vom_depth_error(c->err);
    /* Most arguments have the very type that was declared. */
    if ((init == NULL || t->kind <= VOM_KIND_FLOAT64) && is_plain(c, v->type) &&
        is_same(c, v->type, t)) {
        *ret_v = *v;
        ret_v->type = t;
        return 0;
    }
    c->depth++;
    r = convert_step(c, v, t, init, ret_v);
    c->depth--;
    return r;
}

int vom_convert(struct arena *a, const struct vom_value *v, const struct vom_type *target,
                const struct vom_value *initial, struct vom_value *ret_v, struct err *err)
{
    struct convert c = {.arena = a, .err = err};
    struct vom_value to;
    int r;

    vom_generic_init(&c.generic, a);
    vom_ptrmap_init(&c.memos);
    vom_ptrmap_init(&c.plain);
    vom_ptrmap_init(&c.same);
    vom_ptrmap_init(&c.zeros);
    r = convert_value(&c, v, target, initial, &to);
    vom_generic_done(&c.generic);
    vom_ptrmap_done(&c.memos);
    vom_ptrmap_done(&c.plain);
    vom_ptrmap_done(&c.same);
    vom_ptrmap_done(&c.zeros);
    if (r == 0)
        *ret_v = to;
    return r;
}

int vom_dec_convert(struct vom_dec *dec, const struct vom_msg *msg, struct arena *a,
                    const struct vom_type *target, struct vom_value *ret_v, struct err *err)
{
    struct vom_value v;
    int r = vom_dec_value(dec, msg, a, &v, err);

    return r < 0 ? r : vom_convert(a, &v, target, NULL, ret_v, err);
}

/* Walks over whole values: copies and comparison. */
#include "config.h"
#include "vom/value.h"

#include "vom/internal.h"

struct copy {
    struct arena *arena;
    struct vom_type_copier types;
    struct vom_ptrmap targets; /* copies of what pointers point to */
    struct err *err;
};

static int copy_value(struct copy *c, const struct vom_value *v, struct vom_value *to,
                      unsigned depth);

static int copy_memory(struct copy *c, const void *from, size_t n, size_t size, void *ret_to)
{
    void *to = arena_calloc(c->arena, n, size);

    if (to == NULL)
        return vom_arena_error(c->arena, n > SIZE_MAX / size ? SIZE_MAX : n * size, c->err);
    memcpy(to, from, n * size);
    memcpy(ret_to, &to, sizeof to);
    return 0;
}

static int copy_items(struct copy *c, struct vom_value *to, size_t n, unsigned depth)
{
    const struct vom_value *from = to->items;
    int r;

    if (from == NULL || n == 0)
        return 0;
    if (n > SIZE_MAX / sizeof *from)
        return vom_arena_error(c->arena, SIZE_MAX, c->err);
    r = copy_memory(c, from, n, sizeof *from, &to->items);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = copy_value(c, &from[i], &to->items[i], depth + 1);
    return r;
}

static int copy_target(struct copy *c, struct vom_value *to, unsigned depth)
{
    const struct vom_value *from = to->to;
    struct vom_ptrmap_entry *e = NULL;
    int r;

    if (from == NULL)
        return 0;
    if (to->type->kind == VOM_KIND_PTR) {
        e = vom_ptrmap_find(&c->targets, from);
        if (e != NULL) {
            to->to = e->p;
            return 0;
        }
        e = vom_ptrmap_add(&c->targets, from);
        if (e == NULL)
            return err_set(c->err, WSPR_ENOMEM, "out of memory");
    }
    r = copy_memory(c, from, 1, sizeof *from, &to->to);
    if (r < 0)
        return r;
    if (e != NULL)
        e->p = to->to;
    return copy_value(c, from, to->to, depth + 1);
}

static int copy_value(struct copy *c, const struct vom_value *v, struct vom_value *to,
                      unsigned depth)
{
    const struct vom_type *t = vom_type_copier_copy(&c->types, v->type);

    if (depth > VOM_DEPTH_MAX)
        return vom_depth_error(c->err);
    if (t == NULL)
        return vom_arena_error(c->arena, sizeof *t, c->err);
    *to = *v;
    to->type = t;
    if (t->kind == VOM_KIND_ANY || t->kind == VOM_KIND_PTR)
        return copy_target(c, to, depth);
    if (t->kind == VOM_KIND_STRING || vom_type_is_bytes(t)) {
        to->s.p = NULL;
        return v->s.len > 0 ? copy_memory(c, v->s.p, v->s.len, 1, &to->s.p) : 0;
    }
    if (vom_type_is_words(t)) {
        size_t n = v->words != NULL ? vom_value_len(v) : 0;

        return n > 0 ? copy_memory(c, v->words, n, sizeof *v->words, &to->words) : 0;
    }
    if (t->kind == VOM_KIND_MAP)
        return copy_items(c, to, 2 * v->n, depth);
    return copy_items(c, to, vom_value_len(v), depth);
}

int vom_value_copy(struct arena *a, const struct vom_value *v, struct vom_value *ret_v,
                   struct err *err)
{
    struct copy c = {.arena = a, .err = err};
    struct vom_value to;
    int r;

    vom_type_copier_init(&c.types, a);
    vom_ptrmap_init(&c.targets);
    r = copy_value(&c, v, &to, 0);
    vom_type_copier_done(&c.types);
    vom_ptrmap_done(&c.targets);
    if (r == 0)
        *ret_v = to;
    return r;
}

/* What pointers of a point to, with what the like pointers of b point to, and the other way round.
 */
struct equal {
    struct vom_ptrmap ab, ba;
};

static int equal_value(struct equal *e, const struct vom_value *a, const struct vom_value *b,
                       unsigned depth);

static int equal_pointer(struct equal *e, const struct vom_value *a, const struct vom_value *b,
                         unsigned depth)
{
    struct vom_ptrmap_entry *x, *y;

    if (a == NULL || b == NULL)
        return a == b;
    x = vom_ptrmap_find(&e->ab, a);
    y = vom_ptrmap_find(&e->ba, b);
    if (x != NULL || y != NULL)
        return x != NULL && y != NULL && x->p == b;
    x = vom_ptrmap_add(&e->ab, a);
    if (x == NULL)
        return WSPR_ENOMEM;
    x->p = (void *)b;
    y = vom_ptrmap_add(&e->ba, b);
    if (y == NULL)
        return WSPR_ENOMEM;
    y->p = (void *)a;
    return equal_value(e, a, b, depth + 1);
}

/* Compares keys that are expected to hold no pointers, or to be the only ones to hold theirs. */
static int equal_key(const struct vom_value *a, const struct vom_value *b, unsigned depth)
{
    struct equal e;
    int r;

    vom_ptrmap_init(&e.ab);
    vom_ptrmap_init(&e.ba);
    r = equal_value(&e, a, b, depth + 1);
    vom_ptrmap_done(&e.ab);
    vom_ptrmap_done(&e.ba);
    return r;
}

static int equal_map(struct equal *e, const struct vom_value *a, const struct vom_value *b,
                     unsigned depth)
{
    if (a->n != b->n)
        return 0;
    for (size_t i = 0; i < a->n; i++) {
        int r = 0;

        /* Most likely it stands at the same place. */
        for (size_t k = 0; r == 0 && k < b->n; k++) {
            size_t j = (i + k) % b->n;

            r = equal_key(&a->items[2 * i], &b->items[2 * j], depth);
            if (r > 0)
                r = equal_value(e, &a->items[2 * i + 1], &b->items[2 * j + 1], depth + 1);
        }
        if (r <= 0)
            return r;
    }
    return 1;
}

static int equal_list(struct equal *e, const struct vom_value *a, const struct vom_value *b,
                      unsigned depth)
{
    size_t n = vom_value_len(a);

    if (n != vom_value_len(b))
        return 0;
    if (a->items == NULL && b->items == NULL)
        return 1;
    for (size_t i = 0; i < n; i++) {
        struct vom_value x = vom_value_at(a, i), y = vom_value_at(b, i);
        int r = equal_value(e, &x, &y, depth + 1);

        if (r <= 0)
            return r;
    }
    return 1;
}

static int equal_value(struct equal *e, const struct vom_value *a, const struct vom_value *b,
                       unsigned depth)
{
    enum vom_kind k = a->type->kind;

    if (depth > VOM_DEPTH_MAX)
        return WSPR_ELIMIT;
    if (!vom_type_same(a->type, b->type))
        return 0;
    if (k == VOM_KIND_PTR)
        return equal_pointer(e, a->to, b->to, depth);
    if (k == VOM_KIND_ANY)
        return a->to == NULL || b->to == NULL ? a->to == b->to
                                              : equal_value(e, a->to, b->to, depth + 1);
    if (k == VOM_KIND_MAP)
        return equal_map(e, a, b, depth);
    if (vom_type_is_time(a->type) && vom_value_is_zero(a))
        return vom_value_is_zero(b);
    if (k == VOM_KIND_STRING || k == VOM_KIND_BYTES)
        return span_equal(a->s, b->s);
    if (k == VOM_KIND_BOOL)
        return a->b == b->b;
    if (k == VOM_KIND_SLICE || k == VOM_KIND_ARRAY || k == VOM_KIND_STRUCT)
        return equal_list(e, a, b, depth);
    return a->u == b->u;
}

int vom_value_equal(const struct vom_value *a, const struct vom_value *b)
{
    struct equal e;
    int r;

    vom_ptrmap_init(&e.ab);
    vom_ptrmap_init(&e.ba);
    r = equal_value(&e, a, b, 0);
    vom_ptrmap_done(&e.ab);
    vom_ptrmap_done(&e.ba);
    return r;
}

/* Building values from messages. */
#include "config.h"
#include "vom/dec.h"

#include <inttypes.h>

#include "vom/internal.h"

/*
 * Targets of pointers by their number. Encoders count 1, 2, 3 …, so those stand in an array; any
 * other numbers go to a sorted table that is kept small, since a peer could make it slow.
 */
#define SPARSE_MAX 4096

struct target {
    uint64_t number;
    const struct vom_type *type; /* of the pointer */
    struct vom_value *to;
};

struct targets {
    struct target *at;
    size_t n, cap;
};

struct build {
    struct vom_reader *r;
    struct arena *arena;
    struct targets counted, sparse;
};

static int build_value(struct build *b, const struct vom_type *t, struct vom_value *ret_v);

static int build_memory(struct build *b, size_t n)
{
    return vom_arena_error(b->arena, n, b->r->err);
}

/* Place of the number in the sorted table. */
static size_t sparse_place(const struct targets *s, uint64_t number)
{
    size_t lo = 0, hi = s->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (s->at[mid].number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct target *build_find(struct build *b, uint64_t number)
{
    size_t i;

    if (number - 1 < b->counted.n)
        return &b->counted.at[number - 1];
    i = sparse_place(&b->sparse, number);
    return i < b->sparse.n && b->sparse.at[i].number == number ? &b->sparse.at[i] : NULL;
}

/* Opens a gap at place i. */
static int targets_insert(struct build *b, struct targets *s, size_t i, const struct target *target)
{
    if (s->n == s->cap) {
        size_t cap = s->cap > 0 ? 2 * s->cap : 8;
        struct target *at = arena_calloc(b->arena, cap, sizeof *at);

        if (at == NULL)
            return build_memory(b, cap * sizeof *at);
        if (s->n > 0)
            memcpy(at, s->at, s->n * sizeof *at);
        s->at = at;
        s->cap = cap;
    }
    memmove(s->at + i + 1, s->at + i, (s->n - i) * sizeof *s->at);
    s->at[i] = *target;
    s->n++;
    return 0;
}

static int build_add(struct build *b, const struct target *target)
{
    if (target->number == b->counted.n + 1)
        return targets_insert(b, &b->counted, b->counted.n, target);
    if (b->sparse.n == SPARSE_MAX)
        return err_set(b->r->err, WSPR_ELIMIT, "vom: too many refIDs out of order");
    return targets_insert(b, &b->sparse, sparse_place(&b->sparse, target->number), target);
}

static int build_back(struct build *b, const struct vom_type *t, uint64_t number,
                      struct vom_value *ret_v)
{
    struct target *target = build_find(b, number);
    struct buf text;

    if (target == NULL)
        return err_set(b->r->err, WSPR_EPROTO,
                       "vom: unknown refID %" PRIu64 ", seen refIDs map[%s]", number,
                       b->counted.n + b->sparse.n > 0 ? "..." : "");
    /* An encoder numbers equal types only once, so equal ones are the same descriptor. */
    if (target->type->elem == t->elem) {
        ret_v->to = target->to;
        return 0;
    }
    buf_init(&text, 8192);
    buf_printf(&text, "vom: can't convert refID %" PRIu64 " type \"", number);
    vom_type_print(&text, target->type, VOM_STYLE_HOST);
    buf_append_str(&text, "\" to type \"");
    vom_type_print(&text, t, VOM_STYLE_HOST);
    buf_append_str(&text, "\"");
    err_set_text(b->r->err, WSPR_ETYPE, (const char *)buf_data(&text), text.len);
    buf_done(&text);
    return WSPR_ETYPE;
}

static int build_duplicate(struct build *b, const struct target *target)
{
    struct buf text = BUF_INIT(4096);

    vom_type_print(&text, target->type, VOM_STYLE_HOST);
    err_set(b->r->err, WSPR_EPROTO,
            "vom: duplicate refID %" PRIu64 " def, existing value: <%.*s Value>", target->number,
            (int)text.len, (const char *)buf_data(&text));
    buf_done(&text);
    return WSPR_EPROTO;
}

static int build_pointer(struct build *b, const struct vom_type *t, struct vom_value *ret_v)
{
    struct target target = {.type = t};
    int e = vom_read_ptr(b->r, &target.number);

    if (e == VOM_PTR_BACK)
        return build_back(b, t, target.number, ret_v);
    if (e != VOM_PTR_NEW)
        return e;
    if (build_find(b, target.number) != NULL)
        return build_duplicate(b, build_find(b, target.number));
    target.to = arena_alloc(b->arena, sizeof *target.to);
    if (target.to == NULL)
        return build_memory(b, sizeof *target.to);
    /* Known before its content is read: the content may point back. */
    *target.to = vom_value_zero(t->elem);
    e = build_add(b, &target);
    if (e < 0)
        return e;
    ret_v->to = target.to;
    return build_value(b, t->elem, target.to);
}

static int build_any(struct build *b, struct vom_value *ret_v)
{
    const struct vom_type *content;
    struct vom_value *to;
    int e = vom_read_any(b->r, &content);

    if (e <= 0)
        return e;
    to = arena_alloc(b->arena, sizeof *to);
    if (to == NULL)
        return build_memory(b, sizeof *to);
    e = build_value(b, content, to);
    /* An interface in an interface is the same as its content. */
    ret_v->to = content->kind == VOM_KIND_ANY && e == 0 ? to->to : to;
    return e;
}

static int build_struct(struct build *b, const struct vom_type *t, struct vom_value *ret_v)
{
    int index = -1, e;

    while ((e = vom_read_field(b->r, t, &index)) > 0) {
        if (ret_v->items == NULL) {
            e = vom_value_new_struct(b->arena, t, ret_v);
            if (e < 0)
                return build_memory(b, t->n_fields * sizeof *ret_v);
        }
        e = build_value(b, t->fields[index].type, &ret_v->items[index]);
        if (e < 0)
            break;
    }
    return e;
}

static int build_map(struct build *b, const struct vom_type *t, struct vom_value *ret_v)
{
    size_t n;
    int e = vom_read_count(b->r, t, &n);

    if (e < 0)
        return e;
    if (vom_value_new_map(b->arena, t, n, ret_v) < 0)
        return build_memory(b, 2 * n * sizeof *ret_v);
    for (size_t i = 0; i < n; i++) {
        e = build_value(b, t->key, &ret_v->items[2 * i]);
        if (e == 0)
            e = build_value(b, t->elem, &ret_v->items[2 * i + 1]);
        if (e < 0)
            return e;
    }
    e = n > 1 ? vom_map_dedupe(ret_v) : 0;
    return e < 0 ? err_set(b->r->err, e, "%s", err_code_text(e)) : 0;
}

static int build_word(struct build *b, const struct vom_type *t, union vom_word *ret_w)
{
    bool flag;
    int e;

    if (vom_kind_is_int(t->kind))
        return vom_read_int(b->r, t, &ret_w->i);
    if (vom_kind_is_float(t->kind))
        return vom_read_float(b->r, t, &ret_w->f);
    if (t->kind != VOM_KIND_BOOL)
        return vom_read_uint(b->r, t, &ret_w->u);
    e = vom_read_bool(b->r, &flag);
    if (e == 0)
        ret_w->u = flag;
    return e;
}

static int build_list(struct build *b, const struct vom_type *t, struct vom_value *ret_v)
{
    size_t n;
    int e = vom_read_count(b->r, t, &n);

    if (e < 0)
        return e;
    /* All elements of an array without bytes are the same zero. */
    if (t->kind == VOM_KIND_ARRAY && vom_type_is_empty(t))
        return 0;
    e = vom_value_new_list(b->arena, t, n, ret_v);
    if (e < 0)
        return vom_arena_failed(b->arena, e, b->r->err);
    for (size_t i = 0; e == 0 && i < n; i++)
        e = vom_type_is_words(t) ? build_word(b, t->elem, &ret_v->words[i])
                                 : build_value(b, t->elem, &ret_v->items[i]);
    return e;
}

static int build_composite(struct build *b, const struct vom_type *t, struct vom_value *ret_v)
{
    int e = vom_reader_enter(b->r);

    if (e < 0)
        return e;
    if (t->kind == VOM_KIND_STRUCT)
        e = build_struct(b, t, ret_v);
    else if (t->kind == VOM_KIND_MAP)
        e = build_map(b, t, ret_v);
    else if (t->kind == VOM_KIND_ANY)
        e = build_any(b, ret_v);
    else if (t->kind == VOM_KIND_PTR)
        e = build_pointer(b, t, ret_v);
    else
        e = build_list(b, t, ret_v);
    vom_reader_leave(b->r);
    return e;
}

static int build_value(struct build *b, const struct vom_type *t, struct vom_value *ret_v)
{
    *ret_v = vom_value_zero(t);
    if (t->kind == VOM_KIND_STRING || vom_type_is_bytes(t))
        return vom_read_bytes(b->r, t, &ret_v->s);
    if (t->kind == VOM_KIND_BOOL)
        return vom_read_bool(b->r, &ret_v->b);
    if (vom_kind_is_int(t->kind))
        return vom_read_int(b->r, t, &ret_v->i);
    if (vom_kind_is_float(t->kind))
        return vom_read_float(b->r, t, &ret_v->f);
    if (vom_kind_is_number(t->kind))
        return vom_read_uint(b->r, t, &ret_v->u);
    return build_composite(b, t, ret_v);
}

int vom_read_value(struct vom_reader *r, const struct vom_type *t, struct arena *a,
                   struct vom_value *ret_v)
{
    struct build b = {.r = r, .arena = a};
    struct vom_value v;
    int e = build_value(&b, t, &v);

    if (e == 0)
        *ret_v = v;
    return e;
}

int vom_dec_value(struct vom_dec *dec, const struct vom_msg *msg, struct arena *a,
                  struct vom_value *ret_v, struct err *err)
{
    struct vom_reader r;
    struct vom_value v;
    int e;

    vom_reader_init(&r, dec, msg, err);
    e = vom_read_value(&r, msg->type, a, &v);
    if (e == 0)
        e = vom_reader_end(&r);
    if (e == 0)
        *ret_v = v;
    return e;
}

/* Values by the layout of spec vom A.6. */
#include "config.h"
#include "vom/enc.h"

#include <math.h>

#include "vom/internal.h"

struct put {
    struct vom_enc *enc;
    struct buf *out;
    struct err *err;
};

static int put_value(const struct put *p, const struct vom_type *t, const struct vom_value *v,
                     unsigned depth);

static int put_mismatch(const struct put *p, const struct vom_type *t, const struct vom_type *of)
{
    struct buf text = BUF_INIT(4096);

    buf_append_str(&text, "vom: value of type \"");
    if (of != NULL)
        vom_type_print(&text, of, VOM_STYLE_WIRE);
    buf_append_str(&text, "\" in the place of a \"");
    vom_type_print(&text, t, VOM_STYLE_WIRE);
    buf_append_str(&text, "\"");
    err_set(p->err, WSPR_EINVAL, "%.*s", (int)text.len, (const char *)buf_data(&text));
    buf_done(&text);
    return WSPR_EINVAL;
}

static void put_float(const struct put *p, const struct vom_type *t, double f)
{
    /* A float32 is sent widened; a NaN keeps its bits. */
    vom_put_float(p->out, t->kind == VOM_KIND_FLOAT32 && !isnan(f) ? (double)(float)f : f);
}

static void put_word(const struct put *p, const struct vom_type *t, union vom_word w)
{
    if (t->kind == VOM_KIND_BOOL)
        vom_put_bool(p->out, w.u != 0);
    else if (vom_kind_is_int(t->kind))
        vom_put_int(p->out, w.i);
    else if (vom_kind_is_float(t->kind))
        put_float(p, t, w.f);
    else
        vom_put_uint(p->out, w.u);
}

static void put_zeros(struct buf *out, uint64_t n)
{
    uint8_t *room = n <= SIZE_MAX ? buf_reserve(out, (size_t)n) : NULL;

    if (room != NULL) {
        memset(room, 0, (size_t)n);
        buf_commit(out, (size_t)n);
    }
}

static int put_bytes(const struct put *p, const struct vom_type *t, const struct vom_value *v)
{
    if (t->kind != VOM_KIND_ARRAY) {
        if (v->s.len == 0 && vom_type_is_time(t))
            vom_put_bytes(p->out, span_of(vom_time_zero, sizeof vom_time_zero));
        else
            vom_put_bytes(p->out, v->s);
        return 0;
    }
    if (v->s.len == t->len)
        buf_append_span(p->out, v->s);
    else if (v->s.len == 0)
        put_zeros(p->out, t->len);
    else
        return put_mismatch(p, t, v->type);
    return 0;
}

static int put_list(const struct put *p, const struct vom_type *t, const struct vom_value *v,
                    unsigned depth)
{
    size_t n = t->kind == VOM_KIND_ARRAY ? (size_t)t->len : v->n;
    int r = 0;

    if (t->kind == VOM_KIND_SLICE)
        vom_put_uint(p->out, n);
    if (vom_type_is_empty(t->elem))
        return 0;
    if (vom_type_is_words(t) && v->words != NULL) {
        for (size_t i = 0; i < n; i++)
            put_word(p, t->elem, v->words[i]);
        return 0;
    }
    /* An array without items is all zeros: it is as long as its type says, maybe more than fits. */
    for (size_t i = 0; r == 0 && i < n && buf_error(p->out) == 0; i++) {
        struct vom_value zero = vom_value_zero(t->elem);

        r = put_value(p, t->elem, v->items != NULL ? &v->items[i] : &zero, depth + 1);
    }
    return r;
}

static int put_map(const struct put *p, const struct vom_type *t, const struct vom_value *v,
                   unsigned depth)
{
    int r = 0;

    vom_put_uint(p->out, v->n);
    for (size_t i = 0; r == 0 && i < v->n; i++) {
        r = put_value(p, t->key, &v->items[2 * i], depth + 1);
        if (r == 0)
            r = put_value(p, t->elem, &v->items[2 * i + 1], depth + 1);
    }
    return r;
}

/* Whether a value that is not a struct or array is zero: those are written first, then looked at.
 */
static bool put_omits(const struct vom_value *v)
{
    if (v->type == NULL)
        return false;
    if (v->type->kind == VOM_KIND_STRUCT || v->type->kind == VOM_KIND_ARRAY)
        return v->items == NULL;
    return vom_value_is_zero(v);
}

static int put_struct(const struct put *p, const struct vom_type *t, const struct vom_value *v,
                      unsigned depth)
{
    uint32_t next = 0;

    for (uint32_t i = 0; v->items != NULL && i < t->n_fields; i++) {
        const struct vom_type *ft = t->fields[i].type;
        const struct vom_value *field = &v->items[i];
        size_t before = p->out->len, start;
        int r;

        if (put_omits(field))
            continue;
        vom_put_uint(p->out, i - next + 1);
        start = p->out->len;
        r = put_value(p, ft, field, depth + 1);
        if (r < 0)
            return r;
        if ((ft->kind == VOM_KIND_STRUCT || ft->kind == VOM_KIND_ARRAY) &&
            vom_encoded_is_zero(ft, span_of(buf_data(p->out) + start, p->out->len - start)))
            buf_truncate(p->out, before);
        else
            next = i + 1;
    }
    vom_put_uint(p->out, 0);
    return 0;
}

static int put_pointer(const struct put *p, const struct vom_type *t, const struct vom_value *v,
                       unsigned depth)
{
    struct vom_ptrmap_entry *e;

    if (v->to == NULL) {
        vom_put_uint(p->out, 0);
        return 0;
    }
    /* A target has one type, so its address tells as much as address and type. */
    e = vom_ptrmap_find(&p->enc->refs, v->to);
    if (e != NULL) {
        vom_put_int(p->out, (int64_t)e->u);
        return 0;
    }
    e = vom_ptrmap_add(&p->enc->refs, v->to);
    if (e == NULL)
        return err_set(p->err, WSPR_ENOMEM, "out of memory");
    e->u = vom_enc_new_ref(p->enc);
    vom_put_int(p->out, -(int64_t)e->u);
    return put_value(p, t->elem, v->to, depth + 1);
}

static int put_any(const struct put *p, const struct vom_value *v, unsigned depth)
{
    const struct vom_value *content = v->to;
    int r;

    /* What an interface holds is never itself an interface. */
    for (unsigned i = 0; content != NULL && content->type != NULL; i++) {
        if (content->type->kind != VOM_KIND_ANY || i > VOM_DEPTH_MAX)
            break;
        content = content->to;
    }
    if (content == NULL) {
        vom_put_uint(p->out, 0);
        return 0;
    }
    if (content->type == NULL)
        return err_set(p->err, WSPR_EINVAL, "vom: can't encode untyped nil value");
    r = vom_enc_any(p->enc, content->type, p->err);
    return r < 0 ? r : put_value(p, content->type, content, depth + 1);
}

static int put_value(const struct put *p, const struct vom_type *t, const struct vom_value *v,
                     unsigned depth)
{
    if (v->type == NULL || v->type->kind != t->kind)
        return put_mismatch(p, t, v->type);
    if (depth > VOM_DEPTH_MAX)
        return err_set(p->err, WSPR_EINVAL, "vom: value is nested too deeply");
    switch (t->kind) {
    case VOM_KIND_BOOL:
        vom_put_bool(p->out, v->b);
        return 0;
    case VOM_KIND_BYTE:
        buf_u8(p->out, (uint8_t)v->u);
        return 0;
    case VOM_KIND_FLOAT32:
    case VOM_KIND_FLOAT64:
        put_float(p, t, v->f);
        return 0;
    case VOM_KIND_STRING:
    case VOM_KIND_BYTES:
        return put_bytes(p, t, v);
    case VOM_KIND_SLICE:
    case VOM_KIND_ARRAY:
        return vom_type_is_bytes(t) ? put_bytes(p, t, v) : put_list(p, t, v, depth);
    case VOM_KIND_MAP:
        return put_map(p, t, v, depth);
    case VOM_KIND_STRUCT:
        return put_struct(p, t, v, depth);
    case VOM_KIND_PTR:
        return put_pointer(p, t, v, depth);
    case VOM_KIND_ANY:
        return put_any(p, v, depth);
    default:
        if (vom_kind_is_int(t->kind))
            vom_put_int(p->out, v->i);
        else
            vom_put_uint(p->out, v->u);
        return 0;
    }
}

int vom_enc_put(struct vom_enc *enc, const struct vom_value *v, struct err *err)
{
    struct put p = {enc, enc->out, err};

    return put_value(&p, v->type, v, 0);
}

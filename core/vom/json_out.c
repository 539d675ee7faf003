/*
 * Two walks write the same texts: one over what the pull reader finds, one over values. The fields
 * that the wire leaves out are written by the second as zero values of their types.
 *
 * A text grows at the end of the buffer only; whoever fails cuts it to its old length.
 */
#include "config.h"
#include "vom/json_out.h"

#include <math.h>

#include "base/quote.h"
#include "base/unicode.h"
#include "base/utf8.h"
#include "json/number.h"
#include "json/writer.h"
#include "vom/internal.h"
#include "vom/json_run.h"
#include "vom/json_type.h"
#include "vom/members.h"
#include "vom/ptrmap.h"

static int out_value(struct vom_json_out *o, const struct vom_value *v, unsigned depth);
static int out_next(struct vom_json_out *o, struct vom_reader *r, const struct vom_type *t);

static void out_quote(struct vom_json_out *o, struct span s)
{
    if (o->reference)
        quote_append(o->out, s, '"');
    else
        json_quote(o->out, s);
}

static void out_int(struct vom_json_out *o, int64_t v)
{
    char text[JSON_NUMBER_SIZE];

    buf_append(o->out, text, json_number_format_int(text, v));
}

static void out_uint(struct vom_json_out *o, uint64_t v)
{
    char text[JSON_NUMBER_SIZE];

    buf_append(o->out, text, json_number_format_uint(text, v));
}

static void out_float(struct vom_json_out *o, double v)
{
    char text[JSON_NUMBER_SIZE];

    if (isfinite(v) || o->reference)
        buf_append(o->out, text, json_number_format_double(text, v));
    else
        buf_append_str(o->out, "null");
}

/* A list of numbers, n of them. */
static int out_bytes(struct vom_json_out *o, const uint8_t *bytes, uint64_t n)
{
    char text[512];
    size_t len = 0;

    text[len++] = '[';
    for (uint64_t i = 0; i < n && buf_error(o->out) == 0; i++) {
        uint8_t v = bytes[i];

        if (i > 0) {
            text[len++] = ',';
            text[len++] = ' ';
        }
        if (v >= 100)
            text[len++] = (char)('0' + v / 100);
        if (v >= 10)
            text[len++] = (char)('0' + v / 10 % 10);
        text[len++] = (char)('0' + v % 10);
        if (len > sizeof text - 8) {
            buf_append(o->out, text, len);
            len = 0;
        }
    }
    text[len++] = ']';
    buf_append(o->out, text, len);
    return vom_json_out_error(o);
}

/* Whether a map key's text needs no further quotes: strings, also behind pointers. */
static bool out_key_is_quoted(const struct vom_type *t)
{
    for (unsigned depth = 0; t->kind == VOM_KIND_PTR && depth < VOM_DEPTH_MAX; depth++)
        t = t->elem;
    return t->kind == VOM_KIND_STRING;
}

/* Ends a map key that begins at the offset. */
static int out_key_end(struct vom_json_out *o, const struct vom_type *t, size_t begin)
{
    bool quoted = out_key_is_quoted(t) && o->out->len > begin && buf_data(o->out)[begin] == '"';

    if (!quoted)
        vom_ptrmap_reset(&o->zeros); /* the text does not stay where it is */
    if (!quoted && !o->reference) {
        json_quote_tail(o->out, begin);
    } else if (!quoted && buf_error(o->out) == 0) {
        struct buf text = BUF_INIT(SIZE_MAX);

        buf_append(&text, buf_data(o->out) + begin, o->out->len - begin);
        buf_truncate(o->out, begin);
        quote_append(o->out, buf_span(&text), '"');
        if (buf_error(&text) != 0 && o->out->error == 0)
            o->out->error = buf_error(&text);
        buf_done(&text);
    }
    buf_append(o->out, ": ", 2);
    return vom_json_out_error(o);
}

static int out_list(struct vom_json_out *o, const struct vom_value *v, unsigned depth)
{
    size_t n = vom_value_len(v);
    int r = 0;

    if (v->items == NULL)
        return vom_json_put_zero(o, v->type, depth - 1);
    buf_u8(o->out, '[');
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct vom_value elem = vom_value_at(v, i);

        if (i > 0)
            buf_append(o->out, ", ", 2);
        r = out_value(o, &elem, depth);
    }
    buf_u8(o->out, ']');
    return r;
}

/* Begins a map of n members. */
static int out_members(struct vom_json_out *o, struct vom_members *m, size_t n)
{
    int r;

    buf_u8(o->out, '{');
    r = vom_members_init(m, n, o->out);
    return r < 0 ? err_set(o->e, r, "%s", err_code_text(r)) : 0;
}

/* Ends it: of keys that have the same text the last one counts. */
static int out_members_end(struct vom_json_out *o, struct vom_members *m, int r)
{
    int64_t n = r == 0 ? vom_members_dedupe(m, o->out) : 0;

    if (n != m->n)
        vom_ptrmap_reset(&o->zeros);
    vom_members_done(m);
    buf_u8(o->out, '}');
    return n < 0 ? err_set(o->e, (int)n, "%s", err_code_text((int)n)) : r;
}

static int out_map(struct vom_json_out *o, const struct vom_value *v, unsigned depth)
{
    struct vom_members m;
    int r = out_members(o, &m, v->n);

    for (size_t i = 0; r == 0 && i < v->n; i++) {
        struct vom_value key = vom_value_key(v, i), elem = vom_value_elem(v, i);
        size_t begin;

        if (i > 0)
            buf_append(o->out, ", ", 2);
        begin = o->out->len;
        r = out_value(o, &key, depth);
        if (r == 0)
            r = out_key_end(o, v->type->key, begin);
        vom_members_add(&m, begin, o->out);
        if (r == 0)
            r = out_value(o, &elem, depth);
    }
    return out_members_end(o, &m, r);
}

static int out_struct(struct vom_json_out *o, const struct vom_value *v, unsigned depth)
{
    int r = 0;

    if (v->items == NULL)
        return vom_json_put_zero(o, v->type, depth - 1);
    r = vom_json_check_struct(o, v->type);
    if (r < 0)
        return r;
    buf_u8(o->out, '{');
    for (uint32_t i = 0; r == 0 && i < v->type->n_fields; i++) {
        struct vom_value field = vom_value_at(v, i);

        vom_json_put_field_name(o, v->type, i);
        r = out_value(o, &field, depth);
    }
    buf_u8(o->out, '}');
    return r;
}

static int out_target(struct vom_json_out *o, const struct vom_value *v, unsigned depth)
{
    int r = v->type->kind == VOM_KIND_PTR ? vom_json_visit(o, v->to) : 0;

    if (r < 0)
        return r;
    if (v->to != NULL)
        return out_value(o, v->to, depth);
    buf_append_str(o->out, "null");
    return 0;
}

static int out_composite(struct vom_json_out *o, const struct vom_value *v, unsigned depth)
{
    if (depth >= VOM_DEPTH_MAX)
        return vom_depth_error(o->e);
    switch (v->type->kind) {
    case VOM_KIND_MAP:
        return out_map(o, v, depth + 1);
    case VOM_KIND_STRUCT:
        return out_struct(o, v, depth + 1);
    case VOM_KIND_ANY:
    case VOM_KIND_PTR:
        return out_target(o, v, depth + 1);
    case VOM_KIND_SLICE:
    case VOM_KIND_ARRAY:
        return out_list(o, v, depth + 1);
    default:
        return vom_json_unsupported(o, v->type);
    }
}

static int out_value(struct vom_json_out *o, const struct vom_value *v, unsigned depth)
{
    const struct vom_type *t = v->type;

    if (t == NULL) {
        buf_append_str(o->out, "null");
    } else if (vom_json_is_opaque(t)) {
        buf_append_str(o->out, "{}");
    } else if (t->kind == VOM_KIND_BOOL) {
        buf_append_str(o->out, v->b ? "true" : "false");
    } else if (t->kind == VOM_KIND_STRING) {
        out_quote(o, v->s);
    } else if (vom_type_is_bytes(t)) {
        return v->s.p != NULL ? out_bytes(o, v->s.p, vom_value_len(v))
                              : vom_json_put_zero(o, t, depth);
    } else if (vom_kind_is_int(t->kind)) {
        out_int(o, v->i);
    } else if (vom_kind_is_float(t->kind)) {
        out_float(o, v->f);
    } else if (vom_kind_is_number(t->kind)) {
        out_uint(o, v->u);
    } else {
        int r = out_composite(o, v, depth);

        if (r < 0)
            return r;
    }
    return vom_json_out_error(o);
}

static int next_list(struct vom_json_out *o, struct vom_reader *r, const struct vom_type *t)
{
    bool runs = !vom_json_is_opaque(t->elem);
    size_t n;
    int e = vom_read_count(r, t, &n);

    if (e < 0)
        return e;
    buf_u8(o->out, '[');
    for (size_t i = 0; e == 0 && i < n; i++) {
        const uint8_t *at = r->p;

        if (i > 0)
            buf_append(o->out, ", ", 2);
        e = out_next(o, r, t->elem);
        if (e == 0 && runs && vom_json_run_is_double(t->elem, at)) /* more of them, very likely */
            i += vom_json_run_write(o->out, r, t->elem, n - i - 1);
    }
    buf_u8(o->out, ']');
    return e;
}

static int next_map(struct vom_json_out *o, struct vom_reader *r, const struct vom_type *t)
{
    size_t n;
    int e = vom_read_count(r, t, &n);
    struct vom_members m;

    if (e < 0)
        return e;
    e = out_members(o, &m, n);
    for (size_t i = 0; e == 0 && i < n; i++) {
        size_t begin;

        if (i > 0)
            buf_append(o->out, ", ", 2);
        begin = o->out->len;
        e = out_next(o, r, t->key);
        if (e == 0)
            e = out_key_end(o, t->key, begin);
        vom_members_add(&m, begin, o->out);
        if (e == 0)
            e = out_next(o, r, t->elem);
    }
    return out_members_end(o, &m, e);
}

/* The zero fields from *next up to (not including) the one with the index. */
static int next_zeros(struct vom_json_out *o, struct vom_reader *r, const struct vom_type *t,
                      uint32_t *next, uint32_t index)
{
    int e = 0;

    for (; e == 0 && *next < index; ++*next) {
        vom_json_put_field_name(o, t, *next);
        e = vom_json_put_zero(o, t->fields[*next].type, r->depth);
    }
    return e;
}

static int next_struct(struct vom_json_out *o, struct vom_reader *r, const struct vom_type *t)
{
    uint32_t next = 0;
    int index = -1, e = vom_json_check_struct(o, t);

    if (e < 0)
        return e;
    e = vom_read_field(r, t, &index);
    if (e == 0)
        return vom_json_put_zero(o, t, r->depth - 1);
    for (buf_u8(o->out, '{'); e > 0; e = vom_read_field(r, t, &index)) {
        e = next_zeros(o, r, t, &next, (uint32_t)index);
        if (e < 0)
            return e;
        vom_json_put_field_name(o, t, next++);
        e = out_next(o, r, t->fields[index].type);
        if (e < 0)
            return e;
    }
    if (e == 0)
        e = next_zeros(o, r, t, &next, t->n_fields);
    buf_u8(o->out, '}');
    return e;
}

static int next_any(struct vom_json_out *o, struct vom_reader *r)
{
    const struct vom_type *content;
    int e = vom_read_any(r, &content);

    if (e > 0)
        return out_next(o, r, content);
    if (e == 0)
        buf_append_str(o->out, "null");
    return e;
}

static int next_ptr(struct vom_json_out *o, struct vom_reader *r, const struct vom_type *t)
{
    uint64_t number;
    int e = vom_read_ptr(r, &number);

    if (e == VOM_PTR_NEW)
        return out_next(o, r, t->elem);
    if (e == VOM_PTR_BACK)
        return vom_json_no_tree(o);
    if (e == VOM_PTR_NIL) {
        e = vom_json_visit(o, NULL);
        buf_append_str(o->out, "null");
    }
    return e;
}

static int next_composite(struct vom_json_out *o, struct vom_reader *r, const struct vom_type *t)
{
    int e = vom_reader_enter(r);

    if (e < 0)
        return e;
    if (t->kind == VOM_KIND_STRUCT)
        e = next_struct(o, r, t);
    else if (t->kind == VOM_KIND_MAP)
        e = next_map(o, r, t);
    else if (t->kind == VOM_KIND_ANY)
        e = next_any(o, r);
    else if (t->kind == VOM_KIND_PTR)
        e = next_ptr(o, r, t);
    else
        e = next_list(o, r, t);
    vom_reader_leave(r);
    return e;
}

static int next_number(struct vom_json_out *o, struct vom_reader *r, const struct vom_type *t)
{
    uint64_t u;
    int64_t i;
    double f;
    int e;

    if (vom_kind_is_int(t->kind)) {
        e = vom_read_int(r, t, &i);
        if (e == 0)
            out_int(o, i);
    } else if (vom_kind_is_float(t->kind)) {
        e = vom_read_float(r, t, &f);
        if (e == 0)
            out_float(o, f);
    } else {
        e = vom_read_uint(r, t, &u);
        if (e == 0)
            out_uint(o, u);
    }
    return e;
}

static int out_next(struct vom_json_out *o, struct vom_reader *r, const struct vom_type *t)
{
    struct span s;
    bool b;
    int e;

    if (vom_json_is_opaque(t)) {
        e = vom_read_skip(r, t);
        buf_append_str(o->out, "{}");
    } else if (t->kind == VOM_KIND_BOOL) {
        e = vom_read_bool(r, &b);
        if (e == 0)
            buf_append_str(o->out, b ? "true" : "false");
    } else if (t->kind == VOM_KIND_STRING) {
        e = vom_read_bytes(r, t, &s);
        if (e == 0)
            out_quote(o, s);
    } else if (vom_type_is_bytes(t)) {
        e = vom_read_bytes(r, t, &s);
        if (e == 0)
            e = out_bytes(o, s.p, s.len);
    } else if (vom_kind_is_number(t->kind)) {
        e = next_number(o, r, t);
    } else {
        e = next_composite(o, r, t);
    }
    return e < 0 ? e : vom_json_out_error(o);
}

static void out_begin(struct vom_json_out *o, struct buf *out, unsigned flags, struct err *e)
{
    o->out = out;
    o->e = e;
    o->deepest = 0;
    o->nil = false;
    o->reference = (flags & VOM_JSON_REFERENCE) != 0;
    vom_ptrmap_init(&o->seen);
    vom_ptrmap_init(&o->zeros);
}

static int out_end(struct vom_json_out *o, size_t start, int r)
{
    if (r < 0)
        buf_truncate(o->out, start);
    vom_ptrmap_done(&o->seen);
    vom_ptrmap_done(&o->zeros);
    return r;
}

int vom_json_write_next(struct buf *out, struct vom_reader *r, const struct vom_type *t,
                        unsigned flags)
{
    size_t start = out->len;
    struct vom_json_out o;

    out_begin(&o, out, flags, r->err);
    return out_end(&o, start, out_next(&o, r, t));
}

int vom_json_write_msg(struct buf *out, struct vom_dec *dec, const struct vom_msg *msg,
                       unsigned flags, struct err *e)
{
    size_t start = out->len;
    struct vom_reader r;
    int n;

    vom_reader_init(&r, dec, msg, e);
    n = vom_json_write_next(out, &r, msg->type, flags);
    if (n == 0)
        n = vom_reader_end(&r);
    if (n < 0)
        buf_truncate(out, start);
    return n;
}

int vom_json_write_value(struct buf *out, const struct vom_value *v, unsigned flags, struct err *e)
{
    size_t start = out->len;
    struct vom_json_out o;

    out_begin(&o, out, flags, e);
    return out_end(&o, start, out_value(&o, v, 0));
}

#include "config.h"
#include "vom/json_type.h"

#include "base/unicode.h"
#include "base/utf8.h"
#include "json/writer.h"
#include "vom/internal.h"
#include "vom/json_out.h"

/* How a remembered zero is packed: place and length in the output, levels. */
#define ZERO_BEGIN     36
#define ZERO_LEN       8
#define ZERO_PLACE_MAX ((1u << (ZERO_BEGIN - ZERO_LEN)) - 1)

_Static_assert(VOM_DEPTH_MAX <= 1 << ZERO_LEN, "levels have room");

static int zero_value(struct vom_json_out *o, const struct vom_type *t, unsigned depth);

int vom_json_out_error(const struct vom_json_out *o)
{
    int r = buf_error(o->out);

    return r != 0 ? err_set(o->e, r, "%s", err_code_text(r)) : 0;
}

int vom_json_no_tree(const struct vom_json_out *o)
{
    return err_set(o->e, WSPR_EINVAL, "can only convert trees to JSON");
}

int vom_json_unsupported(const struct vom_json_out *o, const struct vom_type *t)
{
    return err_set(o->e, WSPR_EINVAL, "cannot convert a value of type %.*s to JSON",
                   (int)(t->name.len < 256 ? t->name.len : 256), (const char *)t->name.p);
}

static bool is_complex(const struct vom_type *t)
{
    return t->n_tags > 0 &&
           (span_equal_str(t->tags[0], "complex64") || span_equal_str(t->tags[0], "complex128"));
}

/* Where members would have the same name: what of the value could the reader believe? */
int vom_json_check_struct(const struct vom_json_out *o, const struct vom_type *t)
{
    if (is_complex(t))
        return vom_json_unsupported(o, t);
    if (!t->ambiguous)
        return 0;
    return err_set(o->e, WSPR_EINVAL, "fields of the type %.*s have the same name in JSON",
                   (int)(t->name.len < 256 ? t->name.len : 256), (const char *)t->name.p);
}

/* The host's objects of these have no exported fields, whatever they are on the wire. */
bool vom_json_is_opaque(const struct vom_type *t)
{
    static const char *const names[] = {
        "time.Time",
        "veyron/runtimes/google/security.chainPublicID",
        "veyron/runtimes/google/security.chainPrivateID",
        "veyron/runtimes/google/security.setPublicID",
    };

    for (size_t i = 0; t->name.len > 0 && i < sizeof names / sizeof names[0]; i++) {
        if (span_equal_str(t->name, names[i]))
            return true;
    }
    return false;
}

int vom_json_visit(struct vom_json_out *o, const struct vom_value *to)
{
    if (to == NULL) {
        if (o->nil)
            return vom_json_no_tree(o);
        o->nil = true;
        return 0;
    }
    if (vom_ptrmap_find(&o->seen, to) != NULL)
        return vom_json_no_tree(o);
    if (vom_ptrmap_add(&o->seen, to) == NULL)
        return err_set(o->e, WSPR_ENOMEM, "%s", err_code_text(WSPR_ENOMEM));
    return 0;
}

void vom_json_field_name(struct buf *out, struct span name)
{
    uint8_t utf8[4];
    uint32_t rune;
    size_t n;

    if (name.len == 0)
        return;
    n = utf8_decode(name.p, name.len, &rune);
    if (n == 1 && rune >= 0x80) {
        buf_append_span(out, name);
        return;
    }
    buf_append(out, utf8, utf8_encode(unicode_lower(rune), utf8));
    buf_append(out, name.p + n, name.len - n);
}

void vom_json_put_field_name(struct vom_json_out *o, const struct vom_type *t, uint32_t i)
{
    size_t begin;

    if (i > 0)
        buf_append(o->out, ", ", 2);
    begin = o->out->len;
    vom_json_field_name(o->out, t->fields[i].name);
    json_quote_tail(o->out, begin);
    buf_append(o->out, ": ", 2);
}

/* The text from `begin` on n times more, with a comma before each. */
static void zero_repeat(struct buf *out, size_t begin, uint64_t n)
{
    size_t len = out->len - begin, one = len + 2, all, done;
    uint8_t *room;

    if (buf_error(out) != 0)
        return;
    all = n < SIZE_MAX / one ? (size_t)n * one : SIZE_MAX;
    room = buf_reserve(out, all);
    if (room == NULL)
        return;
    memcpy(room, ", ", 2);
    memcpy(room + 2, buf_data(out) + begin, len);
    for (done = one; done < all; done *= 2)
        memcpy(room + done, room, all - done < done ? all - done : done);
    buf_commit(out, all);
}

/* Two elements are written, which finds out whether there may be several nils; the rest is like
 * the second. */
static int zero_array(struct vom_json_out *o, const struct vom_type *t, unsigned depth)
{
    size_t begin = 0;
    int r = 0;

    buf_u8(o->out, '[');
    for (uint64_t i = 0; r == 0 && i < t->len && i < 2; i++) {
        if (i > 0)
            buf_append(o->out, ", ", 2);
        begin = o->out->len;
        r = zero_value(o, t->elem, depth);
    }
    if (r == 0 && t->len > 2)
        zero_repeat(o->out, begin, t->len - 2);
    buf_u8(o->out, ']');
    return r;
}

static int zero_fields(struct vom_json_out *o, const struct vom_type *t, unsigned depth)
{
    int r = vom_json_check_struct(o, t);

    if (r < 0)
        return r;
    buf_u8(o->out, '{');
    for (uint32_t i = 0; r == 0 && i < t->n_fields; i++) {
        vom_json_put_field_name(o, t, i);
        r = zero_value(o, t->fields[i].type, depth);
    }
    buf_u8(o->out, '}');
    return r;
}

/* Where the text of a zero stands, how long it is, and how many levels it has below the struct. */
static uint64_t zero_pack(size_t begin, size_t len, unsigned levels)
{
    return (uint64_t)begin << ZERO_BEGIN | (uint64_t)len << ZERO_LEN | levels;
}

static int zero_again(struct vom_json_out *o, uint64_t zero, unsigned depth)
{
    size_t begin = zero >> ZERO_BEGIN, len = zero >> ZERO_LEN & ZERO_PLACE_MAX;
    unsigned deepest = depth + (zero & ((1u << ZERO_LEN) - 1));
    uint8_t *room;

    /* It is as deep here as it would be in its own words. */
    if (deepest > VOM_DEPTH_MAX)
        return vom_depth_error(o->e);
    if (deepest > o->deepest)
        o->deepest = deepest;
    room = buf_reserve(o->out, len);
    if (room != NULL) {
        memcpy(room, buf_data(o->out) + begin, len);
        buf_commit(o->out, len);
    }
    return 0;
}

/* A copy of an earlier zero of the type, if there is one; else its text is remembered. */
static int zero_struct(struct vom_json_out *o, const struct vom_type *t, unsigned depth)
{
    struct vom_ptrmap_entry *e = vom_ptrmap_find(&o->zeros, t);
    size_t begin = o->out->len;
    unsigned around = o->deepest, levels;
    bool nil = o->nil;
    int r;

    if (e != NULL)
        return zero_again(o, e->u, depth);
    o->deepest = depth;
    r = zero_fields(o, t, depth);
    levels = o->deepest - depth;
    if (o->deepest < around)
        o->deepest = around;
    /* The first nil there is may not be met again. */
    if (r < 0 || o->nil != nil || buf_error(o->out) != 0 || o->out->len > ZERO_PLACE_MAX)
        return r;
    e = vom_ptrmap_add(&o->zeros, t);
    if (e != NULL)
        e->u = zero_pack(begin, o->out->len - begin, levels);
    return 0;
}

static int zero_composite(struct vom_json_out *o, const struct vom_type *t, unsigned depth)
{
    int r = 0;

    if (depth >= VOM_DEPTH_MAX)
        return vom_depth_error(o->e);
    if (depth >= o->deepest)
        o->deepest = depth + 1;
    /* Each level may double what is left to do, and nothing of that is remembered any more. */
    if (buf_error(o->out) != 0)
        return vom_json_out_error(o);
    switch (t->kind) {
    case VOM_KIND_STRUCT:
        return zero_struct(o, t, depth + 1);
    case VOM_KIND_ARRAY:
        return zero_array(o, t, depth + 1);
    case VOM_KIND_MAP:
        buf_append_str(o->out, "{}");
        return 0;
    case VOM_KIND_PTR:
        r = vom_json_visit(o, NULL);
        buf_append_str(o->out, "null");
        return r;
    case VOM_KIND_ANY:
        buf_append_str(o->out, "null");
        return 0;
    default:
        return vom_json_unsupported(o, t);
    }
}

static int zero_value(struct vom_json_out *o, const struct vom_type *t, unsigned depth)
{
    if (vom_json_is_opaque(t))
        buf_append_str(o->out, "{}");
    else if (t->kind == VOM_KIND_BOOL)
        buf_append_str(o->out, "false");
    else if (t->kind == VOM_KIND_STRING)
        buf_append_str(o->out, "\"\"");
    else if (t->kind == VOM_KIND_BYTES || t->kind == VOM_KIND_SLICE)
        buf_append_str(o->out, "[]");
    else if (vom_kind_is_number(t->kind))
        buf_u8(o->out, '0');
    else if (vom_type_is_bytes(t))
        return zero_array(o, t, depth);
    else
        return zero_composite(o, t, depth);
    return 0;
}

int vom_json_put_zero(struct vom_json_out *o, const struct vom_type *t, unsigned depth)
{
    int r = zero_value(o, t, depth);

    return r < 0 ? r : vom_json_out_error(o);
}

#include "config.h"
#include "services/value_text.h"

#include <inttypes.h>
#include <math.h>

#include "json/number.h"
#include "vom/wiretypes.h"

#define TEXT_DEPTH 64

static void text_value(struct buf *out, const struct vom_value *v, unsigned depth);

/* As much of it as there is room for. */
static void text_string(struct buf *out, struct span s)
{
    size_t room = out->max - out->len;

    buf_append(out, s.p, s.len < room ? s.len : room);
}

static void text_float(struct buf *out, const struct vom_value *v)
{
    char text[JSON_NUMBER_SIZE];

    if (v->type->kind == VOM_KIND_FLOAT32)
        json_number_format_float(text, v->f);
    else
        json_number_format_double(text, v->f);
    buf_append_str(out, text);
}

/* Of zero arrays and empty lists the items are shown one by one. */
static void text_bytes(struct buf *out, struct span s)
{
    buf_append_str(out, "[");
    for (size_t i = 0; i < s.len && buf_error(out) == 0; i++)
        buf_printf(out, "%s%u", i > 0 ? " " : "", s.p[i]);
    buf_append_str(out, "]");
}

static void text_items(struct buf *out, const struct vom_value *v, const char *open,
                       const char *close, unsigned depth)
{
    size_t n = vom_value_len(v);

    buf_append_str(out, open);
    for (size_t i = 0; i < n && buf_error(out) == 0; i++) {
        struct vom_value item = vom_value_at(v, i);

        if (i > 0)
            buf_append_str(out, " ");
        text_value(out, &item, depth);
    }
    buf_append_str(out, close);
}

static void text_map(struct buf *out, const struct vom_value *v, unsigned depth)
{
    buf_append_str(out, "map[");
    for (size_t i = 0; i < v->n && buf_error(out) == 0; i++) {
        struct vom_value key = vom_value_key(v, i), elem = vom_value_elem(v, i);

        if (i > 0)
            buf_append_str(out, " ");
        text_value(out, &key, depth);
        buf_append_str(out, ":");
        text_value(out, &elem, depth);
    }
    buf_append_str(out, "]");
}

/* An error is shown by its message, whatever it is inside of. */
static bool text_error(struct buf *out, const struct vom_value *v)
{
    struct span id, msg;

    if (v->type->kind != VOM_KIND_STRUCT || vom_verror_get(v, &id, &msg) <= 0)
        return false;
    text_string(out, msg);
    return true;
}

/* "(1.5+0i)" for the struct that a complex number is. */
static bool text_complex(struct buf *out, const struct vom_value *v)
{
    struct vom_value re, im;

    if (!span_equal(v->type->name, vom_type_complex64.name) &&
        !span_equal(v->type->name, vom_type_complex128.name))
        return false;
    re = vom_value_field(v, "R");
    im = vom_value_field(v, "I");
    if (re.type == NULL || !vom_kind_is_float(re.type->kind) || im.type == NULL ||
        !vom_kind_is_float(im.type->kind))
        return false;
    buf_append_str(out, "(");
    text_float(out, &re);
    if (!signbit(im.f) && !isinf(im.f))
        buf_append_str(out, "+");
    text_float(out, &im);
    buf_append_str(out, "i)");
    return true;
}

static void text_composite(struct buf *out, const struct vom_value *v, unsigned depth)
{
    if (text_error(out, v) || text_complex(out, v))
        return;
    if (v->type->kind == VOM_KIND_MAP)
        text_map(out, v, depth);
    else if (v->type->kind == VOM_KIND_STRUCT)
        text_items(out, v, "{", "}", depth);
    else
        text_items(out, v, "[", "]", depth);
}

static void text_target(struct buf *out, const struct vom_value *v, unsigned depth)
{
    struct span id, msg;

    if (v->to == NULL)
        buf_append_str(out, "<nil>");
    else if (v->type->kind == VOM_KIND_PTR && vom_verror_get(v, &id, &msg) > 0)
        text_string(out, msg);
    else {
        if (v->type->kind == VOM_KIND_PTR)
            buf_append_str(out, "&");
        text_value(out, v->to, depth);
    }
}

static void text_value(struct buf *out, const struct vom_value *v, unsigned depth)
{
    enum vom_kind k = v->type->kind;

    if (depth > TEXT_DEPTH)
        buf_append_str(out, "...");
    else if (k == VOM_KIND_ANY || k == VOM_KIND_PTR)
        text_target(out, v, depth + 1);
    else if (k == VOM_KIND_BOOL)
        buf_append_str(out, v->b ? "true" : "false");
    else if (k == VOM_KIND_STRING)
        text_string(out, v->s);
    else if (vom_type_is_bytes(v->type) && v->s.p != NULL)
        text_bytes(out, v->s);
    else if (vom_kind_is_float(k))
        text_float(out, v);
    else if (vom_kind_is_int(k))
        buf_printf(out, "%" PRId64, v->i);
    else if (vom_kind_is_number(k))
        buf_printf(out, "%" PRIu64, v->u);
    else
        text_composite(out, v, depth + 1);
}

void value_text_append(struct buf *out, const struct vom_value *v)
{
    text_value(out, v, 0);
}

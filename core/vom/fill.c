#include "config.h"
#include "vom/fill.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "json/number.h"
#include "vom/internal.h"

/* The largest integers below which each fits a float exactly. */
#define FLOAT32_EXACT (UINT64_C(1) << 24)
#define FLOAT64_EXACT (UINT64_C(1) << 53)

static int fill_error(const struct vom_type *target, struct err *err, const char *what,
                      const char *value)
{
    struct buf text = BUF_INIT(8192);

    buf_printf(&text, "vom: type mismatch, can't fill %s %s into value of type \"", what, value);
    vom_type_print(&text, target, VOM_STYLE_HOST);
    buf_append_str(&text, "\"");
    err_set_text(err, WSPR_ETYPE, (const char *)buf_data(&text), text.len);
    buf_done(&text);
    return WSPR_ETYPE;
}

static int fill_number_error(const struct vom_value *v, const struct vom_type *target,
                             struct err *err)
{
    enum vom_kind k = v->type->kind;
    char value[JSON_NUMBER_SIZE];

    if (k == VOM_KIND_BOOL)
        return fill_error(target, err, "bool", v->b ? "true" : "false");
    if (vom_kind_is_float(k)) {
        json_number_format_double(value, v->f);
        return fill_error(target, err, "float", value);
    }
    if (vom_kind_is_int(k)) {
        json_number_format_int(value, v->i);
        return fill_error(target, err, "int", value);
    }
    json_number_format_uint(value, v->u);
    return fill_error(target, err, k == VOM_KIND_BYTE ? "byte" : "uint", value);
}

static uint64_t max_of(enum vom_kind k)
{
    switch (k) {
    case VOM_KIND_BYTE:
        return UINT8_MAX;
    case VOM_KIND_UINT16:
        return UINT16_MAX;
    case VOM_KIND_UINT32:
        return UINT32_MAX;
    case VOM_KIND_INT8:
        return INT8_MAX;
    case VOM_KIND_INT16:
        return INT16_MAX;
    case VOM_KIND_INT32:
        return INT32_MAX;
    case VOM_KIND_INT64:
    case VOM_KIND_INT:
        return INT64_MAX;
    case VOM_KIND_FLOAT32:
        return FLOAT32_EXACT;
    case VOM_KIND_FLOAT64:
        return FLOAT64_EXACT;
    default:
        return UINT64_MAX;
    }
}

/* An integer by sign and magnitude into a numeric kind; false if it does not fit. */
static bool fill_integer(bool negative, uint64_t magnitude, struct vom_value *v)
{
    enum vom_kind k = v->type->kind;
    uint64_t max = max_of(k);

    if (vom_kind_is_int(k)) {
        v->i = (int64_t)(negative ? 0 - magnitude : magnitude);
        return magnitude <= max + (negative ? 1 : 0);
    }
    if (vom_kind_is_float(k)) {
        v->f = negative ? -(double)magnitude : (double)magnitude;
        return magnitude <= max;
    }
    v->u = magnitude;
    return !negative && magnitude <= max;
}

static bool fill_float(double f, struct vom_value *v)
{
    double magnitude = fabs(f);

    if (v->type->kind == VOM_KIND_FLOAT64) {
        v->f = f;
        return true;
    }
    if (v->type->kind == VOM_KIND_FLOAT32) {
        if (isfinite(f) && magnitude > FLT_MAX)
            return false;
        v->f = (float)f;
        return true;
    }
    /* 2^64 is the first that no integer holds. NaN is not below it. */
    if (!(magnitude < 18446744073709551616.0) || (double)(uint64_t)magnitude != magnitude)
        return false;
    return fill_integer(f < 0, (uint64_t)magnitude, v);
}

int vom_fill_scalar(const struct vom_value *v, const struct vom_type *target,
                    struct vom_value *ret_v, struct err *err)
{
    enum vom_kind k = v->type->kind;
    struct vom_value to = vom_value_zero(target);
    bool fits = false;

    if (k == VOM_KIND_BOOL) {
        fits = target->kind == VOM_KIND_BOOL;
        to.b = v->b;
    } else if (vom_kind_is_number(target->kind)) {
        if (vom_kind_is_float(k))
            fits = fill_float(v->f, &to);
        else if (vom_kind_is_int(k))
            fits = fill_integer(v->i < 0, v->i < 0 ? 0 - (uint64_t)v->i : (uint64_t)v->i, &to);
        else
            fits = fill_integer(false, v->u, &to);
    }
    if (!fits)
        return fill_number_error(v, target, err);
    *ret_v = to;
    return 0;
}

static int fill_string_error(struct span s, const struct vom_type *target, struct err *err)
{
    char value[48];

    snprintf(value, sizeof value, "with len %zu", s.len);
    return fill_error(target, err, "string", value);
}

/* Whether each byte fits the elements of a list. */
static bool bytes_fit(struct span s, const struct vom_type *target)
{
    if ((target->kind != VOM_KIND_SLICE && target->kind != VOM_KIND_ARRAY) ||
        !vom_kind_is_number(target->elem->kind) ||
        (target->kind == VOM_KIND_ARRAY && s.len > target->len))
        return false;
    for (size_t i = 0; target->elem->kind == VOM_KIND_INT8 && i < s.len; i++) {
        if (s.p[i] > INT8_MAX)
            return false;
    }
    return true;
}

int vom_fill_string(struct arena *a, const struct vom_value *v, const struct vom_type *target,
                    const struct vom_value *init, struct vom_value *ret_v, struct err *err)
{
    bool array = target->kind == VOM_KIND_ARRAY;
    struct span s = v->s;
    struct vom_value to;
    size_t n;
    int r;

    if (target->kind == VOM_KIND_STRING || target->kind == VOM_KIND_BYTES) {
        *ret_v = vom_value_span(target, s);
        return 0;
    }
    if (!bytes_fit(s, target))
        return fill_string_error(s, target, err);
    n = array ? (size_t)target->len : s.len;
    r = vom_value_new_list(a, target, n, &to);
    if (r < 0)
        return vom_arena_failed(a, r, err);
    for (size_t i = 0; i < n; i++) {
        struct vom_value e = vom_value_zero(target->elem);

        if (i < s.len)
            fill_integer(false, s.p[i], &e);
        else if (init != NULL)
            e = vom_value_at(init, i);
        vom_value_set(&to, i, e);
    }
    *ret_v = to;
    return 0;
}

/* What error messages and walkers need to know about types. */
#include "config.h"
#include "vom/type.h"

#include <inttypes.h>

/* Nested unnamed types can share parts, so that their full text has no bound. */
#define TEXT_MAX   1024
#define TEXT_DEPTH 32

static const char *const host_names[] = {
    [VOM_KIND_BOOL] = "bool",       [VOM_KIND_STRING] = "string", [VOM_KIND_BYTES] = "[]uint8",
    [VOM_KIND_BYTE] = "uint8",      [VOM_KIND_UINT16] = "uint16", [VOM_KIND_UINT32] = "uint32",
    [VOM_KIND_UINT64] = "uint64",   [VOM_KIND_UINT] = "uint",     [VOM_KIND_UINTPTR] = "uintptr",
    [VOM_KIND_INT8] = "int8",       [VOM_KIND_INT16] = "int16",   [VOM_KIND_INT32] = "int32",
    [VOM_KIND_INT64] = "int64",     [VOM_KIND_INT] = "int",       [VOM_KIND_FLOAT32] = "float32",
    [VOM_KIND_FLOAT64] = "float64",
};

struct printer {
    struct buf *out;
    size_t start;
    enum vom_type_style style;
};

static void print_type(const struct printer *p, const struct vom_type *t, unsigned depth);

static void print_name(const struct printer *p, struct span name)
{
    if (p->style == VOM_STYLE_HOST) {
        for (size_t i = name.len; i-- > 0;) {
            if (name.p[i] == '/') {
                name = span_of(name.p + i + 1, name.len - i - 1);
                break;
            }
        }
    }
    buf_append_span(p->out, name);
}

static void print_struct(const struct printer *p, const struct vom_type *t, unsigned depth)
{
    bool host = p->style == VOM_STYLE_HOST;

    buf_append_str(p->out, host ? "struct {" : "struct{");
    for (uint32_t i = 0; i < t->n_fields; i++) {
        if (i > 0)
            buf_append_str(p->out, ";");
        if (host)
            buf_append_str(p->out, " ");
        buf_append_span(p->out, t->fields[i].name);
        buf_append_str(p->out, " ");
        print_type(p, t->fields[i].type, depth + 1);
        if (p->out->len - p->start > TEXT_MAX)
            break;
    }
    buf_append_str(p->out, host && t->n_fields > 0 ? " }" : "}");
}

static void print_scalar(const struct printer *p, const struct vom_type *t)
{
    bool host = p->style == VOM_STYLE_HOST;

    if (t->kind == VOM_KIND_ANY) {
        if (!host)
            buf_append_str(p->out, "interface");
        else
            buf_append_str(p->out, t->id != 0 ? "interface {}" : "error");
    } else if (!host && t->kind == VOM_KIND_BYTE) {
        buf_append_str(p->out, "byte");
    } else if (!host && t->kind == VOM_KIND_BYTES) {
        buf_append_str(p->out, "[]byte");
    } else {
        buf_append_str(p->out, host_names[t->kind]);
    }
}

static void print_type(const struct printer *p, const struct vom_type *t, unsigned depth)
{
    if (depth > TEXT_DEPTH || p->out->len - p->start > TEXT_MAX || buf_error(p->out) != 0) {
        buf_append_str(p->out, "...");
        return;
    }
    if (t->name.len > 0) {
        print_name(p, t->name);
        return;
    }
    switch (t->kind) {
    case VOM_KIND_SLICE:
        buf_append_str(p->out, "[]");
        break;
    case VOM_KIND_ARRAY:
        buf_printf(p->out, "[%" PRIu64 "]", t->len);
        break;
    case VOM_KIND_PTR:
        buf_append_str(p->out, "*");
        break;
    case VOM_KIND_MAP:
        buf_append_str(p->out, "map[");
        print_type(p, t->key, depth + 1);
        buf_append_str(p->out, "]");
        break;
    case VOM_KIND_STRUCT:
        print_struct(p, t, depth);
        return;
    case VOM_KIND_NONE:
        return;
    default:
        print_scalar(p, t);
        return;
    }
    print_type(p, t->elem, depth + 1);
}

void vom_type_print(struct buf *out, const struct vom_type *t, enum vom_type_style style)
{
    struct printer p = {out, out->len, style};

    print_type(&p, t, 0);
}

/* Notes a type that remains to be looked at; false if it is none that a plain type may have. */
static bool plain_push(const struct vom_type **seen, size_t *n, const struct vom_type *t)
{
    if (t == NULL)
        return true;
    if (t->kind <= VOM_KIND_FLOAT64)
        return t->kind != VOM_KIND_ANY;
    for (size_t i = 0; i < *n; i++) {
        if (seen[i] == t)
            return true;
    }
    if (*n == VOM_SAME_MAX || t->kind == VOM_KIND_PTR)
        return false;
    seen[(*n)++] = t;
    return true;
}

bool vom_type_is_plain(const struct vom_type *t)
{
    const struct vom_type *seen[VOM_SAME_MAX];
    size_t n = 0;

    if (!plain_push(seen, &n, t))
        return false;
    for (size_t i = 0; i < n; i++) {
        t = seen[i];
        if (!plain_push(seen, &n, t->elem) || !plain_push(seen, &n, t->key))
            return false;
        for (uint32_t f = 0; f < t->n_fields; f++) {
            if (!plain_push(seen, &n, t->fields[f].type))
                return false;
        }
    }
    return true;
}

#include "config.h"
#include "wspr_types.h"

#include <inttypes.h>

#include "rpc/signature.h"
#include "vom/type.h"

#define DEPTH_MAX 32

static const char *const kind_names[] = {
    [VOM_KIND_NONE] = "?",        [VOM_KIND_ANY] = "any",         [VOM_KIND_BOOL] = "bool",
    [VOM_KIND_STRING] = "string", [VOM_KIND_BYTES] = "[]byte",    [VOM_KIND_BYTE] = "byte",
    [VOM_KIND_UINT16] = "uint16", [VOM_KIND_UINT32] = "uint32",   [VOM_KIND_UINT64] = "uint64",
    [VOM_KIND_UINT] = "uint",     [VOM_KIND_UINTPTR] = "uintptr", [VOM_KIND_INT8] = "int8",
    [VOM_KIND_INT16] = "int16",   [VOM_KIND_INT32] = "int32",     [VOM_KIND_INT64] = "int64",
    [VOM_KIND_INT] = "int",       [VOM_KIND_FLOAT32] = "float32", [VOM_KIND_FLOAT64] = "float64",
};

/* Names that signatures give to what is built in. */
static bool is_error(const struct vom_type *t)
{
    return t->kind == VOM_KIND_ANY &&
           (span_equal_str(t->name, "error") || span_equal_str(t->name, "veyron2/verror.E"));
}

static bool has_own_name(const struct vom_type *t)
{
    return t->name.len > 0 && t->kind != VOM_KIND_ANY &&
           !(t->kind == VOM_KIND_BYTE && span_equal_str(t->name, "byte"));
}

static void put_type(struct buf *out, const struct vom_type *t, bool full, unsigned depth);

static void put_name(struct buf *out, struct span name, bool full)
{
    for (size_t i = name.len; i-- > 0 && !full;) {
        if (name.p[i] == '/') {
            name = span_of(name.p + i + 1, name.len - i - 1);
            break;
        }
    }
    buf_append_span(out, name);
}

static void put_definition(struct buf *out, const struct vom_type *t, bool full, unsigned depth)
{
    /* Types share parts: the text of a small signature may have no end but that of the buffer. */
    if (depth > DEPTH_MAX || buf_error(out) != 0) {
        buf_append_str(out, "...");
        return;
    }
    switch (t->kind) {
    case VOM_KIND_SLICE:
        buf_append_str(out, "[]");
        break;
    case VOM_KIND_ARRAY:
        buf_printf(out, "[%" PRIu64 "]", t->len);
        break;
    case VOM_KIND_PTR:
        buf_append_str(out, "*");
        break;
    case VOM_KIND_MAP:
        buf_append_str(out, "map[");
        put_type(out, t->key, full, depth + 1);
        buf_append_str(out, "]");
        break;
    case VOM_KIND_STRUCT:
        buf_append_str(out, "struct{");
        for (uint32_t i = 0; i < t->n_fields; i++) {
            buf_append_str(out, i > 0 ? "; " : "");
            buf_append_span(out, t->fields[i].name);
            buf_append_str(out, " ");
            put_type(out, t->fields[i].type, full, depth + 1);
        }
        buf_append_str(out, "}");
        return;
    default:
        buf_append_str(out, is_error(t) ? "error" : kind_names[t->kind]);
        return;
    }
    put_type(out, t->elem, full, depth + 1);
}

static void put_type(struct buf *out, const struct vom_type *t, bool full, unsigned depth)
{
    if (t == NULL)
        buf_append_str(out, "?");
    else if (has_own_name(t))
        put_name(out, t->name, full);
    else
        put_definition(out, t, full, depth);
}

void cli_type_text(struct buf *out, const struct vom_type *t, bool full)
{
    put_type(out, t, full, 0);
}

void cli_type_definition(struct buf *out, const struct vom_type *t, bool full)
{
    put_definition(out, t, full, 0);
}

/* ---- what a signature uses ---- */

static void meet(struct cli_types *types, const struct vom_type *t, unsigned depth)
{
    if (t == NULL || depth > DEPTH_MAX || types->steps == CLI_TYPES_STEPS)
        return;
    types->steps++;
    if (has_own_name(t)) {
        for (size_t i = 0; i < types->n; i++) {
            if (span_equal(types->items[i]->name, t->name))
                return;
        }
        if (types->n == CLI_TYPES_MAX)
            return;
        types->items[types->n++] = t;
    }
    meet(types, t->key, depth + 1);
    meet(types, t->elem, depth + 1);
    for (uint32_t i = 0; i < t->n_fields; i++)
        meet(types, t->fields[i].type, depth + 1);
}

void cli_types_of(struct cli_types *types, const struct rpc_signature *sig)
{
    for (size_t i = 0; i < sig->n_methods; i++) {
        const struct rpc_sig_method *m = &sig->methods[i];

        for (size_t k = 0; k < m->n_in; k++)
            meet(types, m->in[k].type, 0);
        meet(types, m->in_stream, 0);
        meet(types, m->out_stream, 0);
        for (size_t k = 0; k < m->n_out; k++)
            meet(types, m->out[k].type, 0);
    }
}

/* The pull reader. */
#include "config.h"
#include "vom/dec.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>

#include "json/number.h"
#include "vom/internal.h"
#include "vom/varint.h"

/*
 * Lists of elements without bytes may be this long even in a short message. They cost what others
 * do: work that no byte pays for.
 */
#define READ_SPARE 1024

void vom_reader_init(struct vom_reader *r, struct vom_dec *dec, const struct vom_msg *msg,
                     struct err *err)
{
    r->dec = dec;
    r->p = msg->body.p;
    r->end = msg->body.len > 0 ? msg->body.p + msg->body.len : msg->body.p;
    r->depth = 0;
    r->spare = READ_SPARE + msg->body.len;
    r->err = err;
}

static size_t read_left(const struct vom_reader *r)
{
    return (size_t)(r->end - r->p);
}

static int read_eof(struct vom_reader *r)
{
    return err_set(r->err, WSPR_ETRUNC, "EOF");
}

int vom_reader_enter(struct vom_reader *r)
{
    if (r->depth >= r->dec->limits.depth)
        return vom_depth_error(r->err);
    r->depth++;
    return 0;
}

int vom_reader_end(struct vom_reader *r)
{
    if (r->p == r->end)
        return 0;
    return err_set(r->err, WSPR_EPROTO, "vom: decoding saw %zu leftover bytes", read_left(r));
}

static int read_varint(struct vom_reader *r, uint64_t *ret_v)
{
    size_t need;
    int n = vom_varint(r->p, read_left(r), ret_v, &need);

    if (n == VOM_VARINT_MORE)
        return read_eof(r);
    if (n < 0)
        return err_set(r->err, WSPR_EPROTO, VOM_VARINT_TEXT);
    r->p += n;
    return 0;
}

static int read_raw(struct vom_reader *r, uint64_t n, struct span *ret_s)
{
    if (n > read_left(r))
        return read_eof(r);
    *ret_s = span_of(r->p, (size_t)n);
    r->p += n;
    return 0;
}

int vom_read_bool(struct vom_reader *r, bool *ret_v)
{
    if (r->p == r->end)
        return read_eof(r);
    *ret_v = *r->p++ != 0;
    return 0;
}

/* Names that only the peer knows are not the host's: the text has the unnamed type. */
static const char *host_name(const struct vom_type *t)
{
    static const char *const names[] = {
        [VOM_KIND_UINT16] = "uint16", [VOM_KIND_UINT32] = "uint32", [VOM_KIND_INT8] = "int8",
        [VOM_KIND_INT16] = "int16",   [VOM_KIND_INT32] = "int32",   [VOM_KIND_FLOAT32] = "float32",
    };

    return names[t->kind];
}

int vom_read_uint(struct vom_reader *r, const struct vom_type *t, uint64_t *ret_v)
{
    uint64_t max = t->kind == VOM_KIND_UINT16   ? UINT16_MAX
                   : t->kind == VOM_KIND_UINT32 ? UINT32_MAX
                                                : UINT64_MAX;
    uint64_t v;
    int e;

    if (t->kind == VOM_KIND_BYTE) {
        if (r->p == r->end)
            return read_eof(r);
        *ret_v = *r->p++;
        return 0;
    }
    e = read_varint(r, &v);
    if (e < 0)
        return e;
    if (v > max)
        return err_set(r->err, WSPR_ETYPE,
                       "vom: type mismatch, can't fill uint %" PRIu64 " into value of type \"%s\"",
                       v, host_name(t));
    *ret_v = v;
    return 0;
}

int vom_read_int(struct vom_reader *r, const struct vom_type *t, int64_t *ret_v)
{
    int64_t max = t->kind == VOM_KIND_INT8    ? INT8_MAX
                  : t->kind == VOM_KIND_INT16 ? INT16_MAX
                  : t->kind == VOM_KIND_INT32 ? INT32_MAX
                                              : INT64_MAX;
    uint64_t u;
    int64_t v;
    int e = read_varint(r, &u);

    if (e < 0)
        return e;
    v = vom_varint_signed(u);
    if (v > max || v < -max - 1)
        return err_set(r->err, WSPR_ETYPE,
                       "vom: type mismatch, can't fill int %" PRId64 " into value of type \"%s\"",
                       v, host_name(t));
    *ret_v = v;
    return 0;
}

int vom_read_float(struct vom_reader *r, const struct vom_type *t, double *ret_v)
{
    union vom_word w;
    char text[JSON_NUMBER_SIZE];
    uint64_t u;
    int e = read_varint(r, &u);

    if (e < 0)
        return e;
    w.u = __builtin_bswap64(u);
    if (t->kind == VOM_KIND_FLOAT32 && isfinite(w.f)) {
        if (fabs(w.f) > FLT_MAX) {
            json_number_format_double(text, w.f);
            return err_set(r->err, WSPR_ETYPE,
                           "vom: type mismatch, can't fill float %s into value of type \"%s\"",
                           text, host_name(t));
        }
        w.f = (float)w.f;
    }
    *ret_v = w.f;
    return 0;
}

int vom_read_bytes(struct vom_reader *r, const struct vom_type *t, struct span *ret_s)
{
    uint64_t n = t->len;

    if (t->kind != VOM_KIND_ARRAY) {
        int e = read_varint(r, &n);

        if (e < 0)
            return e;
    }
    return read_raw(r, n, ret_s);
}

int vom_read_count(struct vom_reader *r, const struct vom_type *t, size_t *ret_n)
{
    bool empty = vom_type_is_empty(t->elem) && (t->key == NULL || vom_type_is_empty(t->key));
    uint64_t n = t->len;

    if (t->kind != VOM_KIND_ARRAY) {
        int e = read_varint(r, &n);

        if (e < 0)
            return e;
    }
    if (!empty) {
        if (n > read_left(r))
            return read_eof(r);
    } else {
        if (n > r->spare)
            return err_set(r->err, WSPR_ELIMIT, "vom: list of %" PRIu64 " empty elements", n);
        r->spare -= n;
    }
    *ret_n = (size_t)n;
    return 0;
}

int vom_read_field(struct vom_reader *r, const struct vom_type *t, int *index)
{
    uint64_t delta, left = (uint64_t)t->n_fields - (uint64_t)(*index + 1);
    int e = read_varint(r, &delta);
    struct buf name = BUF_INIT(4096);

    if (e < 0)
        return e;
    if (delta == 0)
        return 0;
    if (delta <= left) {
        *index += (int)delta;
        return 1;
    }
    vom_type_print(&name, t, VOM_STYLE_WIRE);
    err_set(r->err, WSPR_EPROTO, "vom: struct \"%.*s\" doesn't have field #%" PRIu64, (int)name.len,
            (const char *)buf_data(&name), (uint64_t)*index + delta);
    buf_done(&name);
    return WSPR_EPROTO;
}

int vom_read_any(struct vom_reader *r, const struct vom_type **ret_type)
{
    uint64_t u;
    int e = read_varint(r, &u);

    if (e < 0 || u == 0)
        return e;
    /* A negative id is no type either; its text is that of a very large one. */
    e = vom_defs_type(&r->dec->defs, (uint64_t)vom_varint_signed(u), ret_type, r->err);
    return e < 0 ? e : 1;
}

int vom_read_ptr(struct vom_reader *r, uint64_t *ret_number)
{
    uint64_t u;
    int64_t v;
    int e = read_varint(r, &u);

    if (e < 0)
        return e;
    v = vom_varint_signed(u);
    if (v == 0)
        return VOM_PTR_NIL;
    *ret_number = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    return v < 0 ? VOM_PTR_NEW : VOM_PTR_BACK;
}

static int skip_list(struct vom_reader *r, const struct vom_type *t)
{
    size_t n;
    int e = vom_read_count(r, t, &n);

    for (size_t i = 0; e == 0 && i < n; i++) {
        if (t->key != NULL)
            e = vom_read_skip(r, t->key);
        if (e == 0)
            e = vom_read_skip(r, t->elem);
    }
    return e;
}

static int skip_struct(struct vom_reader *r, const struct vom_type *t)
{
    int index = -1, e;

    while ((e = vom_read_field(r, t, &index)) > 0) {
        e = vom_read_skip(r, t->fields[index].type);
        if (e < 0)
            break;
    }
    return e;
}

static int skip_composite(struct vom_reader *r, const struct vom_type *t)
{
    const struct vom_type *content;
    uint64_t number;
    int e = vom_reader_enter(r);

    if (e < 0)
        return e;
    if (t->kind == VOM_KIND_STRUCT) {
        e = skip_struct(r, t);
    } else if (t->kind == VOM_KIND_ANY) {
        e = vom_read_any(r, &content);
        if (e > 0)
            e = vom_read_skip(r, content);
    } else if (t->kind == VOM_KIND_PTR) {
        e = vom_read_ptr(r, &number);
        if (e == VOM_PTR_NEW)
            e = vom_read_skip(r, t->elem);
    } else {
        e = skip_list(r, t);
    }
    vom_reader_leave(r);
    return e < 0 ? e : 0;
}

int vom_read_skip(struct vom_reader *r, const struct vom_type *t)
{
    struct span s;
    bool b;
    uint64_t u;

    if (t->kind == VOM_KIND_STRING || vom_type_is_bytes(t))
        return vom_read_bytes(r, t, &s);
    if (t->kind == VOM_KIND_BOOL)
        return vom_read_bool(r, &b);
    if (t->kind == VOM_KIND_BYTE)
        return vom_read_uint(r, t, &u);
    if (vom_kind_is_number(t->kind))
        return read_varint(r, &u);
    return skip_composite(r, t);
}

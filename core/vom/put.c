/* The primitive encodings (spec: vom A.2). */
#include "config.h"
#include "vom/enc.h"

#include "vom/internal.h"
#include "vom/varint.h"

void vom_put_uint(struct buf *out, uint64_t v)
{
    uint8_t bytes[VOM_VARINT_MAX];

    /* Nearly always there is room for the longest, so that nothing need be copied. */
    if (out->error == 0 && out->cap - out->off - out->len >= VOM_VARINT_MAX &&
        out->max - out->len >= VOM_VARINT_MAX && out->len <= out->max)
        buf_commit(out, vom_varint_put(buf_data(out) + out->len, v));
    else
        buf_append(out, bytes, vom_varint_put(bytes, v));
}

void vom_put_uint_at(struct buf *out, size_t offset, uint64_t v)
{
    uint8_t bytes[VOM_VARINT_MAX];
    size_t n = vom_varint_put(bytes, v), behind;
    uint8_t *at;

    if (buf_error(out) != 0 || (n > 1 && buf_reserve(out, n - 1) == NULL))
        return;
    at = buf_data(out) + offset;
    behind = out->len - offset - 1;
    if (n > 1) {
        memmove(at + n, at + 1, behind);
        buf_commit(out, n - 1);
    }
    memcpy(at, bytes, n);
}

void vom_put_int(struct buf *out, int64_t v)
{
    uint64_t u = (uint64_t)v;

    vom_put_uint(out, v < 0 ? ~u << 1 | 1 : u << 1);
}

void vom_put_float(struct buf *out, double v)
{
    union vom_word w = {.f = v};

    vom_put_uint(out, __builtin_bswap64(w.u));
}

void vom_put_bool(struct buf *out, bool v)
{
    buf_u8(out, v);
}

void vom_put_bytes(struct buf *out, struct span s)
{
    vom_put_uint(out, s.len);
    buf_append_span(out, s);
}

/* All elements of an array say zero, each as `zero` or as the byte 0. */
static bool all_zero(struct span s, struct span zero)
{
    while (s.len > 0) {
        size_t n = 1;

        if (s.p[0] != 0) {
            n = zero.len;
            if (s.len < n || memcmp(s.p, zero.p, n) != 0)
                return false;
        }
        s = span_of(s.p + n, s.len - n);
    }
    return true;
}

bool vom_encoded_is_zero(const struct vom_type *t, struct span encoded)
{
    static const uint8_t minus_zero[] = {0xff, 0x80};
    uint8_t time_zero[1 + sizeof vom_time_zero] = {sizeof vom_time_zero};

    for (unsigned depth = 0; t->kind == VOM_KIND_ARRAY && depth < VOM_DEPTH_MAX; depth++)
        t = t->elem;
    if (vom_kind_is_float(t->kind))
        return all_zero(encoded, span_of(minus_zero, sizeof minus_zero));
    if (vom_type_is_time(t)) {
        memcpy(time_zero + 1, vom_time_zero, sizeof vom_time_zero);
        return all_zero(encoded, span_of(time_zero, sizeof time_zero));
    }
    return all_zero(encoded, span_of(NULL, SIZE_MAX));
}

/* Reading and writing uint (spec: vom A.2). For use inside core/vom. */
#ifndef VOM_VARINT_H
#define VOM_VARINT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VOM_VARINT_MAX 9 /* the longest takes so many bytes */

#define VOM_VARINT_TEXT "vom: can't handle primitive larger than uint64"

enum { VOM_VARINT_BAD = -1, VOM_VARINT_MORE = 0 };

/* A number as eight bytes, the highest first, and back. */
static inline uint64_t vom_big_endian(uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

/*
 * Reads a uint from the n bytes at p. Returns the bytes it took; VOM_VARINT_MORE if it is not
 * complete (*ret_need: its whole length), VOM_VARINT_BAD if no uint starts like this.
 */
static inline int vom_varint(const uint8_t *p, size_t n, uint64_t *ret_v, size_t *ret_need)
{
    uint64_t v = 0;
    unsigned len;

    *ret_need = 1;
    if (n == 0)
        return VOM_VARINT_MORE;
    if (p[0] < 0x80) {
        *ret_v = p[0];
        return 1;
    }
    if (p[0] < 0xf8)
        return VOM_VARINT_BAD;
    len = 0x100u - p[0];
    *ret_need = len + 1;
    if (n <= len)
        return VOM_VARINT_MORE;
    if (n > sizeof v) {
        memcpy(&v, p + 1, sizeof v);
        v = vom_big_endian(v) >> (64 - 8 * len);
    } else {
        for (unsigned i = 1; i <= len; i++)
            v = v << 8 | p[i];
    }
    *ret_v = v;
    return (int)len + 1;
}

/* Writes up to VOM_VARINT_MAX bytes, of which the returned number count. */
static inline size_t vom_varint_put(uint8_t *out, uint64_t v)
{
    unsigned n;

    if (v < 0x80) {
        out[0] = (uint8_t)v;
        return 1;
    }
    n = (71 - (unsigned)__builtin_clzll(v)) / 8;
    v = vom_big_endian(v << (64 - 8 * n));
    out[0] = (uint8_t)(0 - n);
    memcpy(out + 1, &v, sizeof v);
    return n + 1;
}

/* The number that an int (zig-zag) stands for. */
static inline int64_t vom_varint_signed(uint64_t u)
{
    return (int64_t)((u & 1) != 0 ? ~(u >> 1) : u >> 1);
}

#endif

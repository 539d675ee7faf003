/* Small steps over JSON text that the check and the reader share. */
#ifndef JSON_TEXT_H
#define JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Skips white space. */
static inline const uint8_t *json_text_space(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* Value of a hexadecimal digit, -1 for another character. */
static inline int json_text_hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Eight bytes at once: ones in all of them, and the masks that find a byte in a word. */
#define JSON_ONES UINT64_C(0x0101010101010101)
#define JSON_TOPS UINT64_C(0x8080808080808080)
/*
 * The top bit of a byte is set if the byte of w is c, or below n (n and w's byte below 0x80). A
 * borrow may set bits above one that is rightly set, never below.
 */
#define JSON_IS(w, c)    ((((w) ^ JSON_ONES * (c)) - JSON_ONES) & ~((w) ^ JSON_ONES * (c)))
#define JSON_BELOW(w, n) (((w)-JSON_ONES * (n)) & ~(w))

/* The eight bytes at p, the first of them lowest. */
static inline uint64_t json_text_load(const uint8_t *p)
{
    uint64_t w;

    memcpy(&w, p, sizeof w);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    return w;
}

/* Which byte is the first whose top bit is set in the mask (not 0). */
static inline unsigned json_text_first(uint64_t mask)
{
    return (unsigned)__builtin_ctzll(mask) / 8;
}

/* Skips what stands for itself in a string: all but '"', '\\' and control characters. */
static inline const uint8_t *json_text_plain(const uint8_t *p, const uint8_t *end)
{
    for (; end - p >= 8; p += 8) {
        uint64_t w = json_text_load(p);
        uint64_t hit = (JSON_BELOW(w, 0x20) | JSON_IS(w, '"') | JSON_IS(w, '\\')) & JSON_TOPS;

        if (hit != 0)
            return p + json_text_first(hit);
    }
    while (p < end && *p >= 0x20 && *p != '"' && *p != '\\')
        p++;
    return p;
}

#endif

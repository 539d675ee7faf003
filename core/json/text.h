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

/*
 * Skips what stands for itself in a string: all but '"', '\\' and control characters. Eight bytes
 * at a time: a byte of `hit` has its top bit set if the byte of `w` is one of those (a borrow may
 * set bits above a real hit only, which the byte loop then sorts out).
 */
static inline const uint8_t *json_text_plain(const uint8_t *p, const uint8_t *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;

    while (end - p >= 8) {
        uint64_t w, quote, slash, hit;

        memcpy(&w, p, 8);
        quote = w ^ ones * '"';
        slash = w ^ ones * '\\';
        hit = ((w - ones * 0x20) & ~w) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash);
        if ((hit & tops) != 0)
            break;
        p += 8;
    }
    while (p < end && *p >= 0x20 && *p != '"' && *p != '\\')
        p++;
    return p;
}

#endif

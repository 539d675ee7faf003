/* WebSocket frames as the benchmarks need them: no fragments, no checks beyond safety. */
#ifndef TESTS_WIRE_H
#define TESTS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WIRE_HEAD_MAX 14

struct wire_frame {
    uint8_t first;   /* FIN, opcode */
    size_t head;     /* bytes before the payload */
    uint64_t len;    /* of the payload */
    uint8_t mask[4]; /* zeros if it is not masked */
};

/* Takes a header apart; false if it is not complete. */
static inline bool wire_parse(const uint8_t *p, size_t n, struct wire_frame *ret_frame)
{
    struct wire_frame f = {0};
    size_t wide;

    if (n < 2)
        return false;
    f.first = p[0];
    f.len = p[1] & 0x7f;
    f.head = 2;
    wide = f.len == 126 ? 2 : f.len == 127 ? 8 : 0;
    if (n < f.head + wide + (p[1] & 0x80 ? 4 : 0))
        return false;
    if (wide > 0)
        f.len = 0;
    for (size_t i = 0; i < wide; i++)
        f.len = f.len << 8 | p[f.head + i];
    f.head += wide;
    if (p[1] & 0x80) {
        memcpy(f.mask, p + f.head, 4);
        f.head += 4;
    }
    *ret_frame = f;
    return true;
}

/* Writes the header of a text frame; returns its length. A mask of 0 leaves the payload as it is.
 */
static inline size_t wire_put_head(uint8_t *p, uint64_t len, bool masked)
{
    size_t n = 2;

    p[0] = 0x81;
    if (len < 126) {
        p[1] = (uint8_t)len;
    } else if (len < 65536) {
        p[1] = 126;
        p[n++] = (uint8_t)(len >> 8);
        p[n++] = (uint8_t)len;
    } else {
        p[1] = 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            p[n++] = (uint8_t)(len >> shift);
    }
    if (masked) {
        p[1] |= 0x80;
        memset(p + n, 0, 4);
        n += 4;
    }
    return n;
}

/* Removes a mask, eight bytes at a time. */
static inline void wire_unmask(uint8_t *p, size_t n, const uint8_t mask[4])
{
    uint64_t wide, word;
    size_t i = 0;

    memcpy(&wide, mask, 4);
    memcpy((uint8_t *)&wide + 4, mask, 4);
    for (; i + 8 <= n; i += 8) {
        memcpy(&word, p + i, 8);
        word ^= wide;
        memcpy(p + i, &word, 8);
    }
    for (; i < n; i++)
        p[i] ^= mask[i % 4];
}

#endif

/*
 * A reader over bytes with a sticky error: after the first short read all reads give zeros, and the
 * parser checks once at the end. Integers are big-endian.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stdbool.h>
#include <stdint.h>
#include "base/span.h"

struct cursor {
    const uint8_t *p;
    const uint8_t *end;
    bool failed;
};

static inline struct cursor cursor_of(const void *p, size_t len)
{
    const uint8_t *b = p;

    return (struct cursor){b, len > 0 ? b + len : b, false};
}

static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->p);
}

/* Makes every later read fail. */
static inline void cursor_fail(struct cursor *c)
{
    c->failed = true;
    c->p = c->end;
}

static inline struct span cursor_bytes(struct cursor *c, uint64_t n)
{
    struct span s = {c->p, 0};

    if (n > cursor_left(c)) {
        cursor_fail(c);
        return s;
    }
    s.len = (size_t)n;
    c->p += n;
    return s;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    if (c->p == c->end) {
        cursor_fail(c);
        return 0;
    }
    return *c->p++;
}

static inline uint32_t cursor_u24(struct cursor *c)
{
    struct span s = cursor_bytes(c, 3);

    return s.len == 3 ? (uint32_t)s.p[0] << 16 | (uint32_t)s.p[1] << 8 | s.p[2] : 0;
}

static inline uint32_t cursor_u32(struct cursor *c)
{
    struct span s = cursor_bytes(c, 4);

    return s.len == 4
               ? (uint32_t)s.p[0] << 24 | (uint32_t)s.p[1] << 16 | (uint32_t)s.p[2] << 8 | s.p[3]
               : 0;
}

static inline uint64_t cursor_u64(struct cursor *c)
{
    uint64_t high = cursor_u32(c);

    return high << 32 | cursor_u32(c);
}

#endif

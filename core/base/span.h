/* A borrowed run of bytes. */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *p;
    size_t len;
};

static inline struct span span_of(const void *p, size_t len)
{
    return (struct span){p, len};
}

static inline struct span span_str(const char *s)
{
    return (struct span){(const uint8_t *)s, strlen(s)};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline bool span_equal_str(struct span a, const char *s)
{
    return span_equal(a, span_str(s));
}

/* Bytewise order, shorter first on a tie: what sorted output needs. */
static inline int span_compare(struct span a, struct span b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n > 0 ? memcmp(a.p, b.p, n) : 0;

    return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

/* Whether p points into the bytes. */
static inline bool span_holds(struct span s, const void *p)
{
    return (uintptr_t)p - (uintptr_t)s.p < s.len;
}

/* For printf("%.*s", SPAN_ARG(s)). */
#define SPAN_ARG(s) (int)(s).len, (const char *)(s).p

#endif

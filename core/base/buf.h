/*
 * A growable run of bytes that is born with its maximum size.
 *
 * Appending has a sticky error: when memory is short or the maximum would be passed, the append
 * does nothing, and so do all later ones; the writer checks buf_error() once at the end. Consuming
 * from the front is cheap. An empty buffer holds no memory after buf_release().
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/span.h"

struct buf {
    uint8_t *base;
    size_t off; /* first byte not consumed yet */
    size_t len; /* bytes not consumed yet */
    size_t cap;
    size_t max; /* len may not grow beyond this */
    int error;  /* 0, WSPR_ENOMEM or WSPR_ELIMIT */
};

#define BUF_INIT(maximum)                                                                          \
    (struct buf)                                                                                   \
    {                                                                                              \
        .max = (maximum)                                                                           \
    }

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);
/* Empties the buffer, keeps its memory and clears the error. */
void buf_reset(struct buf *b);
/* Gives the memory back if the buffer is empty. */
void buf_release(struct buf *b);

/* Empties the buffer for its next use, keeping its memory if that is not above keep bytes. */
void buf_recycle(struct buf *b, size_t keep);

static inline uint8_t *buf_data(const struct buf *b)
{
    return b->base != NULL ? b->base + b->off : NULL;
}

static inline struct span buf_span(const struct buf *b)
{
    return (struct span){b->base != NULL ? b->base + b->off : NULL, b->len};
}

static inline int buf_error(const struct buf *b)
{
    return b->error;
}

/* Returns room for n bytes at the end, not yet part of the content, or NULL (error is then set). */
uint8_t *buf_reserve(struct buf *b, size_t n);
/* Makes n bytes of the reserved room part of the content. */
void buf_commit(struct buf *b, size_t n);
void buf_append(struct buf *b, const void *p, size_t n);
void buf_append_span(struct buf *b, struct span s);
void buf_append_str(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);
void buf_u24(struct buf *b, uint32_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
/* Gives about so many bytes of an empty buffer's memory back; false if it has not as many more. */
bool buf_lessen(struct buf *b, size_t n);
/* Drops n bytes from the front. */
void buf_consume(struct buf *b, size_t n);
/* Cuts the content to its first n bytes. */
void buf_truncate(struct buf *b, size_t n);
/* Ends the content with a NUL that is not part of it; NULL if there is no room for it. */
const char *buf_cstr(struct buf *b);

#endif

#include "config.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "wspr/error.h"

#define BUF_MOVE_MAX (256 * 1024) /* bytes that are moved without much thought */

void buf_init(struct buf *b, size_t max)
{
    *b = BUF_INIT(max);
}

void buf_done(struct buf *b)
{
    free(b->base);
    *b = BUF_INIT(b->max);
}

void buf_reset(struct buf *b)
{
    b->off = 0;
    b->len = 0;
    b->error = 0;
}

void buf_release(struct buf *b)
{
    if (b->len > 0)
        return;
    free(b->base);
    b->base = NULL;
    b->off = 0;
    b->cap = 0;
}

bool buf_lessen(struct buf *b, size_t n)
{
    uint8_t *base;

    if (b->len > 0 || b->cap <= n)
        return false;
    base = realloc(b->base, b->cap - n);
    if (base == NULL)
        return false;
    b->base = base;
    b->cap -= n;
    b->off = 0;
    return true;
}

void buf_recycle(struct buf *b, size_t keep)
{
    buf_reset(b);
    if (b->cap > keep)
        buf_release(b);
}

/* Grows to hold at least `need` bytes behind off, doubling so that appending stays linear. */
static int buf_grow(struct buf *b, size_t need)
{
    size_t cap = b->cap > 0 ? b->cap : 64;
    uint8_t *base;

    while (cap < need) {
        if (cap > SIZE_MAX / 2) {
            cap = need;
            break;
        }
        cap *= 2;
    }
    /* Doubling must not pass the maximum by much: one byte is kept for buf_cstr. */
    if (b->max < SIZE_MAX && cap > b->max + 1 && need <= b->max + 1)
        cap = b->max + 1;
    base = realloc(b->base, cap);
    if (base == NULL)
        return WSPR_ENOMEM;
    b->base = base;
    b->cap = cap;
    return 0;
}

/*
 * Whether what was consumed makes the room. Of a long queue that must be worth it: else one that is
 * nearly full would be moved for each little that is taken from it and put into it.
 */
static bool buf_should_move(const struct buf *b, size_t n)
{
    return b->len < BUF_MOVE_MAX || b->off >= b->len / 8 || b->off + b->len > SIZE_MAX / 2 - n;
}

static uint8_t *buf_room(struct buf *b, size_t n)
{
    if (b->cap - b->off - b->len >= n && b->base != NULL)
        return b->base + b->off + b->len;
    if (b->off > 0 && buf_should_move(b, n)) {
        memmove(b->base, b->base + b->off, b->len);
        b->off = 0;
    }
    if (b->cap - b->off - b->len < n || b->base == NULL) {
        int r = buf_grow(b, b->off + b->len + n);

        if (r < 0) {
            b->error = r;
            return NULL;
        }
    }
    return b->base + b->off + b->len;
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
    if (b->error != 0)
        return NULL;
    if (b->len > b->max || n > b->max - b->len) {
        b->error = WSPR_ELIMIT;
        return NULL;
    }
    return buf_room(b, n);
}

void buf_commit(struct buf *b, size_t n)
{
    b->len += n;
}

void buf_append(struct buf *b, const void *p, size_t n)
{
    uint8_t *room;

    if (n == 0)
        return;
    room = buf_reserve(b, n);
    if (room == NULL)
        return;
    memcpy(room, p, n);
    b->len += n;
}

void buf_append_span(struct buf *b, struct span s)
{
    buf_append(b, s.p, s.len);
}

void buf_append_str(struct buf *b, const char *s)
{
    buf_append(b, s, strlen(s));
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    uint8_t *room;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    if (n > 0) {
        /* vsnprintf writes a NUL as well; it needs room but is not content. */
        room = buf_reserve(b, (size_t)n);
        if (room != NULL)
            room = buf_room(b, (size_t)n + 1);
        if (room != NULL) {
            vsnprintf((char *)room, (size_t)n + 1, fmt, again);
            b->len += (size_t)n;
        }
    }
    va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void buf_u8(struct buf *b, uint8_t v)
{
    if (b->error == 0 && b->len < b->max && b->cap - b->off > b->len)
        b->base[b->off + b->len++] = v;
    else
        buf_append(b, &v, 1);
}

void buf_u16(struct buf *b, uint16_t v)
{
    uint8_t x[2] = {(uint8_t)(v >> 8), (uint8_t)v};

    buf_append(b, x, sizeof x);
}

void buf_u24(struct buf *b, uint32_t v)
{
    uint8_t x[3] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

    buf_append(b, x, sizeof x);
}

void buf_u32(struct buf *b, uint32_t v)
{
    uint8_t x[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

    buf_append(b, x, sizeof x);
}

void buf_u64(struct buf *b, uint64_t v)
{
    buf_u32(b, (uint32_t)(v >> 32));
    buf_u32(b, (uint32_t)v);
}

void buf_consume(struct buf *b, size_t n)
{
    if (n >= b->len) {
        b->off = 0;
        b->len = 0;
        return;
    }
    b->off += n;
    b->len -= n;
}

void buf_truncate(struct buf *b, size_t n)
{
    if (n < b->len)
        b->len = n;
}

const char *buf_cstr(struct buf *b)
{
    uint8_t *room;

    if (b->error != 0)
        return NULL;
    room = buf_room(b, 1);
    if (room == NULL)
        return NULL;
    *room = '\0';
    return (const char *)b->base + b->off;
}

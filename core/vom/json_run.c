#include "config.h"
#include "vom/json_run.h"

#include <math.h>

#include "json/number.h"
#include "vom/varint.h"

#define RUN_DIGITS 19   /* as many as a uint64 has room for */
#define RUN_EXACT  15   /* integers of so many digits are doubles */
#define RUN_ROOM   1024 /* asked for at a time */
#define RUN_ELEM   (1 + VOM_VARINT_MAX)
#define RUN_TEXT   (2 + JSON_NUMBER_SIZE)

struct run_number {
    uint64_t digits; /* all of them, as one integer */
    size_t n;        /* how many: from RUN_DIGITS + 1 on digits is not right */
    unsigned fraction;
    bool negative;
};

static inline const uint8_t *run_digits(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        *v = *v * 10 + (*p - (uint64_t)'0');
    return p;
}

/* Takes a number and its comma; NULL if something else stands there. */
static inline const uint8_t *run_number(const uint8_t *p, const uint8_t *end,
                                        struct run_number *ret)
{
    const uint8_t *begin, *dot;

    while (p < end && *p == ' ')
        p++;
    ret->negative = p < end && *p == '-';
    begin = p += ret->negative;
    ret->digits = 0;
    p = run_digits(p, end, &ret->digits);
    ret->n = (size_t)(p - begin);
    ret->fraction = 0;
    if (ret->n > 0 && p < end && *p == '.') {
        dot = ++p;
        p = run_digits(p, end, &ret->digits);
        ret->fraction = (unsigned)(p - dot);
        ret->n = p > dot ? ret->n + ret->fraction : 0;
    }
    return ret->n > 0 && p < end && *p == ',' ? p + 1 : NULL;
}

uint32_t vom_json_run_skip(struct vom_json_lex *l)
{
    struct run_number number;
    const uint8_t *p;
    uint32_t n = 0;

    while ((p = run_number(l->p, l->end, &number)) != NULL) {
        l->p = p;
        n++;
    }
    return n;
}

static inline bool run_double(const struct run_number *number, uint64_t *ret_bits)
{
    union vom_word w;

    if (number->fraction == 0 && number->n <= RUN_EXACT)
        w.f = (double)(int64_t)number->digits;
    else if (number->n > RUN_DIGITS || !json_number_scale(number->digits, number->fraction, &w.f))
        return false;
    if (number->negative)
        w.f = -w.f;
    *ret_bits = __builtin_bswap64(w.u);
    return true;
}

/* Room for some more elements, and the last place in it where one may begin. */
static uint8_t *run_room(struct buf *out, uint8_t **ret_last)
{
    uint8_t *room;

    if (buf_error(out) != 0 || out->len > out->max || out->max - out->len < RUN_ROOM)
        return NULL;
    room = buf_reserve(out, RUN_ROOM);
    if (room != NULL)
        *ret_last = room + RUN_ROOM - RUN_ELEM;
    return room;
}

/* Fills one piece of room; how many elements that were. */
static uint32_t run_fill(struct vom_json_conv *c, uint8_t prefix, uint32_t max)
{
    const uint8_t *p = c->lex.p, *next;
    uint8_t *begin = NULL, *last = NULL, *o = NULL;
    struct run_number number;
    uint64_t bits;
    uint32_t n = 0;

    for (; n < max && o <= last; n++) {
        next = run_number(p, c->lex.end, &number);
        if (next == NULL || !run_double(&number, &bits))
            break;
        if (n == 0)
            begin = o = run_room(c->out, &last);
        if (begin == NULL)
            break;
        p = next;
        if (prefix != 0)
            *o++ = prefix;
        o += vom_varint_put(o, bits);
    }
    c->lex.p = p;
    if (n > 0)
        buf_commit(c->out, (size_t)(o - begin));
    return n;
}

uint32_t vom_json_run_put(struct vom_json_conv *c, const struct vom_type *elem, uint32_t max)
{
    uint8_t prefix = elem->kind == VOM_KIND_ANY ? VOM_JSON_RUN_DOUBLE : 0;
    uint32_t n = 0, more;

    if (prefix == 0 && elem->kind != VOM_KIND_FLOAT64)
        return 0;
    do {
        more = run_fill(c, prefix, max - n);
        n += more;
    } while (more > 0);
    return n;
}

/* Takes one double; its length, 0 if it is none or not finite. */
static size_t run_read(const struct vom_reader *r, bool any, double *ret)
{
    union vom_word w;
    size_t need;
    uint64_t u;
    int n;

    if (r->p == r->end || (any && *r->p != VOM_JSON_RUN_DOUBLE))
        return 0;
    n = vom_varint(r->p + any, (size_t)(r->end - r->p) - any, &u, &need);
    if (n <= 0)
        return 0;
    w.u = __builtin_bswap64(u);
    *ret = w.f;
    return isfinite(w.f) ? (size_t)n + any : 0;
}

size_t vom_json_run_write(struct buf *out, struct vom_reader *r, const struct vom_type *elem,
                          size_t max)
{
    bool any = elem->kind == VOM_KIND_ANY;
    size_t n = 0, len;
    double v;

    for (; n < max && (len = run_read(r, any, &v)) > 0; n++) {
        char *room;

        if (buf_error(out) != 0 || out->len > out->max || out->max - out->len < RUN_TEXT)
            break;
        room = (char *)buf_reserve(out, RUN_TEXT);
        if (room == NULL)
            break;
        room[0] = ',';
        room[1] = ' ';
        buf_commit(out, 2 + json_number_format_double(room + 2, v));
        r->p += len;
    }
    return n;
}

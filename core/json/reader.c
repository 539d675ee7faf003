/*
 * Pulling values out of checked text. Every step looks at the bytes in front of it only, so a
 * reader is just a position; the bounds are kept nevertheless.
 */
#include "config.h"
#include "json/reader.h"

#include "base/utf8.h"
#include "json/number.h"
#include "json/text.h"
#include "wspr/error.h"

int json_reader_init(struct json_reader *r, struct span text, size_t max_depth, unsigned flags,
                     struct err *e)
{
    struct span value;
    int n = json_scan(text, max_depth, flags, &value, e);

    if (n == 0)
        json_reader_at(r, value);
    return n;
}

void json_reader_at(struct json_reader *r, struct span value)
{
    r->p = value.p;
    r->end = value.len > 0 ? value.p + value.len : value.p;
}

enum json_kind json_reader_peek(struct json_reader *r)
{
    r->p = json_text_space(r->p, r->end);
    switch (r->p < r->end ? *r->p : 'n') {
    case 'n':
        return JSON_NULL;
    case 't':
    case 'f':
        return JSON_BOOL;
    case '"':
        return JSON_STRING;
    case '[':
        return JSON_ARRAY;
    case '{':
        return JSON_OBJECT;
    default:
        return JSON_NUMBER;
    }
}

static void reader_advance(struct json_reader *r, size_t n)
{
    size_t left = (size_t)(r->end - r->p);

    r->p += n < left ? n : left;
}

int json_reader_null(struct json_reader *r)
{
    if (json_reader_peek(r) != JSON_NULL)
        return WSPR_ETYPE;
    reader_advance(r, 4);
    return 0;
}

int json_reader_bool(struct json_reader *r, bool *ret)
{
    if (json_reader_peek(r) != JSON_BOOL)
        return WSPR_ETYPE;
    *ret = *r->p == 't';
    reader_advance(r, *ret ? 4 : 5);
    return 0;
}

static bool reader_in_number(uint8_t c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

int json_reader_number(struct json_reader *r, struct span *ret_literal)
{
    const uint8_t *begin;

    if (json_reader_peek(r) != JSON_NUMBER)
        return WSPR_ETYPE;
    begin = r->p;
    while (r->p < r->end && reader_in_number(*r->p))
        r->p++;
    *ret_literal = span_of(begin, (size_t)(r->p - begin));
    return 0;
}

/* Takes a number's literal; it has length 0 if another kind of value is next. */
static struct span reader_literal(struct json_reader *r, struct span *ret_literal)
{
    struct span s = {r->p, 0};

    json_reader_number(r, &s);
    if (ret_literal != NULL)
        *ret_literal = s;
    return s;
}

int json_reader_int(struct json_reader *r, int64_t min, int64_t max, int64_t *ret,
                    struct span *ret_literal)
{
    struct span s = reader_literal(r, ret_literal);

    return s.len > 0 && json_number_parse_int(s, min, max, ret) == JSON_PARSED ? 0 : WSPR_ETYPE;
}

int json_reader_uint(struct json_reader *r, uint64_t max, uint64_t *ret, struct span *ret_literal)
{
    struct span s = reader_literal(r, ret_literal);

    return s.len > 0 && json_number_parse_uint(s, max, ret) == JSON_PARSED ? 0 : WSPR_ETYPE;
}

int json_reader_double(struct json_reader *r, double *ret, struct span *ret_literal)
{
    struct span s = reader_literal(r, ret_literal);

    if (s.len == 0)
        return WSPR_ETYPE;
    return json_number_parse_double(s, ret) == JSON_PARSED ? 0 : WSPR_ELIMIT;
}

/* From behind an opening quote to the closing one (or the end). */
static const uint8_t *reader_string_end(const uint8_t *p, const uint8_t *end)
{
    for (;;) {
        p = json_text_plain(p, end);
        if (p == end || *p == '"')
            return p;
        p += *p == '\\' && end - p > 1 ? 2 : 1;
    }
}

/* Takes a string; the characters between its quotes. */
static struct span reader_take_string(struct json_reader *r)
{
    const uint8_t *begin = r->p + 1;
    const uint8_t *close = reader_string_end(begin, r->end);

    r->p = close < r->end ? close + 1 : close;
    return span_of(begin, (size_t)(close - begin));
}

static uint32_t unquote_hex(const uint8_t *p)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++)
        v = v << 4 | ((uint32_t)json_text_hex(p[i]) & 15);
    return v;
}

/* The code point of \uXXXX at *p (at the 'u'), with the other half of a pair if that follows. */
static uint32_t unquote_unicode(const uint8_t **p, const uint8_t *end)
{
    uint32_t rune, low;

    if (end - *p < 5) {
        *p = end;
        return UTF8_REPLACEMENT;
    }
    rune = unquote_hex(*p + 1);
    *p += 5;
    if (rune < 0xd800 || rune > 0xdfff)
        return rune;
    if (rune > 0xdbff || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return UTF8_REPLACEMENT;
    low = unquote_hex(*p + 2);
    if (low < 0xdc00 || low > 0xdfff)
        return UTF8_REPLACEMENT;
    *p += 6;
    return 0x10000 + ((rune - 0xd800) << 10) + (low - 0xdc00);
}

static uint32_t unquote_letter(uint8_t c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

/*
 * Copies ASCII up to a backslash, by words: there is at least as much room behind *o as there is
 * text behind p.
 */
static const uint8_t *unquote_run(const uint8_t *p, const uint8_t *end, uint8_t **o)
{
    while (end - p >= 8) {
        uint64_t w = json_text_load(p), hit = (w | JSON_IS(w, '\\')) & JSON_TOPS;
        unsigned n = hit != 0 ? json_text_first(hit) : 8;

        memcpy(*o, p, 8);
        *o += n;
        p += n;
        if (n < 8)
            return p;
    }
    while (p < end && *p < 0x80 && *p != '\\')
        *(*o)++ = *p++;
    return p;
}

/* Writes what the characters s of a string mean; out has room for them. */
static size_t unquote(uint8_t *out, struct span s)
{
    const uint8_t *p = s.p, *end = p + s.len;
    uint8_t *o = out;

    while ((p = unquote_run(p, end, &o)) < end) {
        uint32_t rune;

        if (*p != '\\') {
            p += utf8_decode(p, (size_t)(end - p), &rune);
        } else if (end - p > 1 && p[1] == 'u') {
            p++;
            rune = unquote_unicode(&p, end);
        } else {
            rune = end - p > 1 ? unquote_letter(p[1]) : '\\';
            p += end - p > 1 ? 2 : 1;
        }
        if (rune < 0x80)
            *o++ = (uint8_t)rune;
        else
            o += utf8_encode(rune, o);
    }
    return (size_t)(o - out);
}

static bool unquote_needed(struct span s, size_t *ret_room)
{
    bool valid = utf8_valid(s.p, s.len);

    /* Escapes take more room than what they stand for; only a bad byte grows, to three. */
    *ret_room = valid ? s.len : s.len * 3;
    return !valid || memchr(s.p, '\\', s.len) != NULL;
}

static int unquote_arena(struct span s, struct arena *a, struct span *ret)
{
    size_t room;
    uint8_t *out;

    if (s.len == 0 || !unquote_needed(s, &room)) {
        *ret = s;
        return 0;
    }
    if (a == NULL)
        return WSPR_ENOMEM;
    out = arena_alloc(a, room);
    if (out == NULL)
        return room > a->max - a->used ? WSPR_ELIMIT : WSPR_ENOMEM;
    *ret = span_of(out, unquote(out, s));
    return 0;
}

int json_unquote(struct span literal, struct arena *a, struct span *ret)
{
    struct span s = {literal.p, 0};

    if (literal.len >= 2)
        s = span_of(literal.p + 1, literal.len - 2);
    return unquote_arena(s, a, ret);
}

int json_reader_string(struct json_reader *r, struct arena *a, struct span *ret)
{
    struct json_reader after;
    int n;

    if (json_reader_peek(r) != JSON_STRING)
        return WSPR_ETYPE;
    after = *r;
    n = unquote_arena(reader_take_string(&after), a, ret);
    if (n == 0)
        *r = after;
    return n;
}

int json_reader_string_buf(struct json_reader *r, struct buf *out)
{
    struct span s;
    size_t room;
    uint8_t *p;

    if (json_reader_peek(r) != JSON_STRING)
        return WSPR_ETYPE;
    s = reader_take_string(r);
    if (s.len == 0)
        return 0;
    if (!unquote_needed(s, &room)) {
        buf_append_span(out, s);
        return 0;
    }
    p = buf_reserve(out, room);
    if (p != NULL)
        buf_commit(out, unquote(p, s));
    return 0;
}

int json_reader_enter_array(struct json_reader *r)
{
    if (json_reader_peek(r) != JSON_ARRAY)
        return WSPR_ETYPE;
    r->p++;
    return 0;
}

int json_reader_enter_object(struct json_reader *r)
{
    if (json_reader_peek(r) != JSON_OBJECT)
        return WSPR_ETYPE;
    r->p++;
    return 0;
}

/* Takes the comma before the next element or the end, whose character is given. */
static int reader_next(struct json_reader *r, uint8_t close)
{
    r->p = json_text_space(r->p, r->end);
    if (r->p == r->end)
        return 0;
    if (*r->p == close) {
        r->p++;
        return 0;
    }
    if (*r->p == ',')
        r->p++;
    return 1;
}

int json_reader_element(struct json_reader *r)
{
    return reader_next(r, ']');
}

int json_reader_member(struct json_reader *r, struct arena *a, struct span *ret_name)
{
    struct json_reader after = *r;
    int n = reader_next(&after, '}');

    if (n > 0) {
        n = json_reader_string(&after, a, ret_name);
        if (n < 0)
            return n;
        n = 1;
        after.p = json_text_space(after.p, after.end);
        reader_advance(&after, 1);
    }
    *r = after;
    return n;
}

/* Passes what neither begins a string nor opens or closes anything. */
static const uint8_t *reader_pass(const uint8_t *p, const uint8_t *end)
{
    for (; end - p >= 8; p += 8) {
        uint64_t w = json_text_load(p), lower = w | JSON_ONES * 0x20; /* '[' is '{', ']' is '}' */
        uint64_t hit = (JSON_IS(w, '"') | JSON_IS(lower, '{') | JSON_IS(lower, '}')) & JSON_TOPS;

        if (hit != 0)
            return p + json_text_first(hit);
    }
    while (p < end && *p != '"' && (*p | 0x20) != '{' && (*p | 0x20) != '}')
        p++;
    return p;
}

void json_reader_skip(struct json_reader *r)
{
    size_t depth = 0;

    r->p = json_text_space(r->p, r->end);
    while (r->p < r->end) {
        switch (*r->p) {
        case '"':
            reader_take_string(r);
            break;
        case '[':
        case '{':
            depth++;
            r->p++;
            break;
        case ']':
        case '}':
            depth -= depth > 0;
            r->p++;
            break;
        case 't':
        case 'n':
            reader_advance(r, 4);
            break;
        case 'f':
            reader_advance(r, 5);
            break;
        default:
            r->p++;
            if (depth > 0)
                r->p = reader_pass(r->p, r->end);
            else if (r->p < r->end && reader_in_number(*r->p))
                continue;
            break;
        }
        if (depth == 0)
            return;
    }
}

struct span json_reader_raw(struct json_reader *r)
{
    const uint8_t *begin;

    begin = r->p = json_text_space(r->p, r->end);
    json_reader_skip(r);
    return span_of(begin, (size_t)(r->p - begin));
}

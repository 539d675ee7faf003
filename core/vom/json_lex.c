#include "config.h"
#include "vom/json_lex.h"

#include "base/quote.h"
#include "base/unicode.h"
#include "base/utf8.h"
#include "json/text.h"
#include "vom/enc.h"

#define PRINT_MAX 4096 /* of a string in an error text */

void vom_json_lex_init(struct vom_json_lex *l, struct span text)
{
    l->p = text.p;
    l->end = text.len > 0 ? text.p + text.len : text.p;
}

static int lex_error(struct err *e, const char *text)
{
    return err_set(e, WSPR_EINVAL, "%s", text);
}

static int lex_eof(struct err *e)
{
    return lex_error(e, "EOF");
}

/* Skips white space of any script; false at the end. */
static bool lex_space(struct vom_json_lex *l)
{
    while (l->p < l->end) {
        uint32_t rune = *l->p;
        size_t n = 1;

        if (rune > ' ' && rune < 0x7f)
            return true;
        if (rune >= 0x80)
            n = utf8_decode(l->p, (size_t)(l->end - l->p), &rune);
        if (!unicode_is_space(rune))
            return true;
        l->p += n;
    }
    return false;
}

static int lex_literal(struct vom_json_lex *l, const char *word, struct err *e)
{
    for (const char *w = word + 1; *w != '\0'; w++) {
        uint32_t rune;
        size_t n;

        if (l->p == l->end)
            return lex_eof(e);
        n = utf8_decode(l->p, (size_t)(l->end - l->p), &rune);
        if (rune != (uint8_t)*w)
            return err_set(e, WSPR_EINVAL, "unexpected rune %u. Expected %d", (unsigned)rune, *w);
        l->p += n;
    }
    return 0;
}

static bool lex_digits(struct vom_json_lex *l)
{
    const uint8_t *begin = l->p;

    while (l->p < l->end && *l->p >= '0' && *l->p <= '9')
        l->p++;
    return l->p > begin;
}

/* The sign of an exponent may be missing: JSON allows it, the reference did not. */
static int lex_number(struct vom_json_lex *l, struct vom_json_token *t, struct err *e)
{
    const uint8_t *begin = l->p;

    if (*l->p == '-')
        l->p++;
    if (!lex_digits(l))
        return lex_error(e, "empty natural number");
    if (l->p < l->end && *l->p == '.') {
        l->p++;
        if (!lex_digits(l))
            return lex_error(e, "empty natural number");
    }
    if (l->p < l->end && (*l->p | 0x20) == 'e') {
        bool sign;

        l->p++;
        if (l->p == l->end)
            return lex_eof(e);
        sign = *l->p == '+' || *l->p == '-';
        l->p += sign;
        if (!lex_digits(l))
            return lex_error(e, sign ? "empty natural number"
                                     : "exponential number with no +/- afterwards");
    }
    t->kind = VOM_TOKEN_NUMBER;
    t->s = span_of(begin, (size_t)(l->p - begin));
    return 0;
}

/* So many digits of the base, the value of which may not be more than max. */
static bool escape_number(const uint8_t **p, const uint8_t *end, int digits, uint32_t base,
                          uint32_t max, uint32_t *ret)
{
    uint32_t v = 0;

    for (int i = 0; i < digits; i++, ++*p) {
        int d = *p < end ? json_text_hex(**p) : -1;

        if (d < 0 || (uint32_t)d >= base)
            return false;
        v = v * base + (uint32_t)d;
    }
    *ret = v;
    return v <= max;
}

/* What an escape stands for. */
struct escape {
    uint32_t value;
    bool byte; /* a byte, not a code point */
};

/* A low half right behind a high one. */
static void escape_join(const uint8_t **p, const uint8_t *end, uint32_t *high)
{
    const uint8_t *q = *p + 2;
    uint32_t low;

    if (*high < 0xd800 || *high > 0xdbff || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return;
    if (!escape_number(&q, end, 4, 16, 0xdfff, &low) || low < 0xdc00)
        return;
    *high = 0x10000 + ((*high - 0xd800) << 10) + (low - 0xdc00);
    *p = q;
}

/* Reads the escape behind a backslash; false if it is none. spec: vom B.2.1, websocket 14 */
static bool escape_read(const uint8_t **p, const uint8_t *end, struct escape *ret)
{
    static const char letters[] = "abfnrtv\"\\/", values[] = "\a\b\f\n\r\t\v\"\\/";
    const char *at;
    uint8_t c;

    if (*p == end)
        return false;
    c = *(*p)++;
    ret->byte = false;
    switch (c) {
    case 'x':
        ret->byte = true;
        return escape_number(p, end, 2, 16, 0xff, &ret->value);
    case 'u':
        if (!escape_number(p, end, 4, 16, 0xffff, &ret->value))
            return false;
        escape_join(p, end, &ret->value);
        return true;
    case 'U':
        return escape_number(p, end, 8, 16, 0x10ffff, &ret->value);
    default:
        break;
    }
    if (c >= '0' && c <= '7') {
        --*p;
        ret->byte = true;
        return escape_number(p, end, 3, 8, 0xff, &ret->value);
    }
    at = c != '\0' ? strchr(letters, c) : NULL;
    if (at == NULL)
        return false;
    ret->value = (uint8_t)values[at - letters];
    return true;
}

static bool escapes_are_valid(struct span s)
{
    const uint8_t *p = s.p, *end = p + s.len;

    while ((p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
        struct escape x;

        p++;
        if (!escape_read(&p, end, &x))
            return false;
        if (p == end)
            break;
    }
    return true;
}

/* A string ends at the next quote that is not escaped; what stands before it is looked at then. */
static int lex_string(struct vom_json_lex *l, struct vom_json_token *t, struct err *e)
{
    const uint8_t *begin = ++l->p;
    bool newline = false;

    t->kind = VOM_TOKEN_STRING;
    t->escaped = false;
    for (;;) {
        l->p = json_text_plain(l->p, l->end);
        if (l->p == l->end)
            return lex_eof(e);
        if (*l->p == '"')
            break;
        newline = newline || *l->p == '\n';
        if (*l->p == '\\') {
            t->escaped = true;
            if (++l->p == l->end)
                return lex_eof(e);
            newline = newline || *l->p == '\n';
        }
        l->p++;
    }
    t->s = span_of(begin, (size_t)(l->p - begin));
    l->p++;
    if (newline || (t->escaped && !escapes_are_valid(t->s)))
        return lex_error(e, "invalid syntax");
    return 0;
}

int vom_json_lex_next(struct vom_json_lex *l, struct vom_json_token *t, struct err *e)
{
    uint32_t rune;

    t->escaped = false;
    t->s = span_of(l->p, 0);
    if (!lex_space(l))
        return lex_eof(e);
    switch (*l->p) {
    case '{':
        t->kind = VOM_TOKEN_OBJECT;
        break;
    case '}':
        t->kind = VOM_TOKEN_OBJECT_END;
        break;
    case ':':
        t->kind = VOM_TOKEN_COLON;
        break;
    case ',':
        t->kind = VOM_TOKEN_COMMA;
        break;
    case '[':
        t->kind = VOM_TOKEN_ARRAY;
        break;
    case ']':
        t->kind = VOM_TOKEN_ARRAY_END;
        break;
    case '"':
        return lex_string(l, t, e);
    case 't':
        l->p++;
        t->kind = VOM_TOKEN_TRUE;
        return lex_literal(l, "true", e);
    case 'f':
        l->p++;
        t->kind = VOM_TOKEN_FALSE;
        return lex_literal(l, "false", e);
    case 'n':
        l->p++;
        t->kind = VOM_TOKEN_NULL;
        return lex_literal(l, "null", e);
    default:
        if (*l->p == '-' || *l->p == '.' || (*l->p >= '0' && *l->p <= '9'))
            return lex_number(l, t, e);
        utf8_decode(l->p, (size_t)(l->end - l->p), &rune);
        return err_set(e, WSPR_EINVAL, "invalid rune while tokenizing %u", (unsigned)rune);
    }
    l->p++;
    return 0;
}

static bool token_is_plain(const struct vom_json_token *t)
{
    return t->s.len == 0 || (!t->escaped && utf8_valid(t->s.p, t->s.len));
}

/* Room for the characters of a string token: an escape is longer than what it stands for, a byte
 * that is no UTF-8 becomes three. */
static size_t token_room(const struct vom_json_token *t)
{
    return utf8_valid(t->s.p, t->s.len) ? t->s.len : 3 * t->s.len;
}

static size_t token_unquote(const struct vom_json_token *t, uint8_t *out)
{
    const uint8_t *p = t->s.p, *end = p + t->s.len;
    uint8_t *o = out;

    while (p < end) {
        struct escape x = {*p, true};

        if (*p == '\\') {
            p++;
            escape_read(&p, end, &x);
        } else if (*p < 0x80) {
            p++;
        } else {
            p += utf8_decode(p, (size_t)(end - p), &x.value);
            x.byte = false;
        }
        if (x.byte)
            *o++ = (uint8_t)x.value;
        else
            o += utf8_encode(x.value, o);
    }
    return (size_t)(o - out);
}

int vom_json_token_string(const struct vom_json_token *t, struct arena *a, struct span *ret_s)
{
    uint8_t *room;
    size_t n;

    if (t->kind != VOM_TOKEN_STRING || token_is_plain(t)) {
        *ret_s = t->s;
        return 0;
    }
    n = token_room(t);
    room = arena_alloc(a, n);
    if (room == NULL)
        return n > a->max - a->used ? WSPR_ELIMIT : WSPR_ENOMEM;
    *ret_s = span_of(room, token_unquote(t, room));
    return 0;
}

void vom_json_token_put(const struct vom_json_token *t, struct buf *out)
{
    size_t at = out->len, n;
    uint8_t *room;

    if (token_is_plain(t)) {
        vom_put_bytes(out, t->s);
        return;
    }
    vom_put_uint(out, 0);
    room = buf_reserve(out, token_room(t));
    if (room == NULL)
        return;
    n = token_unquote(t, room);
    buf_commit(out, n);
    vom_put_uint_at(out, at, n);
}

const char *vom_json_kind_text(enum vom_json_kind k)
{
    static const char *const texts[] = {"{",      "}",      ":",    ",",     "[",   "]",
                                        "STRING", "NUMBER", "true", "false", "null"};

    return texts[k];
}

void vom_json_token_print(const struct vom_json_token *t, struct buf *out)
{
    struct vom_json_token cut = *t;

    if (t->kind != VOM_TOKEN_STRING && t->kind != VOM_TOKEN_NUMBER) {
        buf_append_str(out, vom_json_kind_text(t->kind));
        return;
    }
    buf_printf(out, "{%s,", vom_json_kind_text(t->kind));
    if (t->kind == VOM_TOKEN_NUMBER || token_is_plain(t)) {
        if (cut.s.len > PRINT_MAX)
            cut.s.len = PRINT_MAX;
        quote_append(out, cut.s, '"');
    } else {
        struct arena a = ARENA_INIT(SIZE_MAX);
        struct span s;

        if (vom_json_token_string(t, &a, &s) == 0) {
            if (s.len > PRINT_MAX)
                s.len = PRINT_MAX;
            quote_append(out, s, '"');
        }
        arena_done(&a);
    }
    buf_u8(out, '}');
}

/*
 * The syntax check. Values nest, the check does not: one bit for each open array or object (set for
 * objects) on a stack of fixed size says what encloses the position.
 *
 *        +---------------------------------------------+
 *        v                                             |
 *     value --scalar or end of container--> after -- ',' in an array
 *        |                                    |
 *      '{' or ',' --> name -- ':' --> value   +-- depth 0: done
 *
 * Wordings are those of the reference's decoder, spec: websocket 5.1.
 */
#include "config.h"
#include "json/reader.h"

#include <stdio.h>

#include "base/quote.h"
#include "base/utf8.h"
#include "json/text.h"

struct json_scan {
    const uint8_t *p;
    const uint8_t *end;
    unsigned flags;
    size_t depth, max_depth;
    struct err *e;
    uint64_t is_object[JSON_DEPTH_MAX / 64 + 1];
};

/* Reports the byte at p, shown as the character of that number. */
static int scan_bad(const struct json_scan *s, const char *context)
{
    struct buf shown = BUF_INIT(64);
    uint8_t utf8[4];
    const char *text;
    int r;

    quote_append(&shown, span_of(utf8, utf8_encode(*s->p, utf8)), '\'');
    text = buf_cstr(&shown);
    r = err_set(s->e, WSPR_EINVAL, "invalid character %s %s", text != NULL ? text : "", context);
    buf_done(&shown);
    return r;
}

static int scan_truncated(const struct json_scan *s)
{
    return err_set(s->e, WSPR_ETRUNC, "unexpected EOF");
}

static bool scan_more(struct json_scan *s)
{
    s->p = json_text_space(s->p, s->end);
    return s->p < s->end;
}

static int scan_escape(struct json_scan *s)
{
    if (s->p == s->end)
        return scan_truncated(s);
    switch (*s->p) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        s->p++;
        return 0;
    case 'u':
        s->p++;
        break;
    default:
        return scan_bad(s, "in string escape code");
    }
    for (int i = 0; i < 4; i++, s->p++) {
        if (s->p == s->end)
            return scan_truncated(s);
        if (json_text_hex(*s->p) < 0)
            return scan_bad(s, "in \\u hexadecimal character escape");
    }
    return 0;
}

/* From behind the opening quote to behind the closing one. */
static int scan_string(struct json_scan *s)
{
    const uint8_t *begin = s->p;
    int r;

    for (;;) {
        s->p = json_text_plain(s->p, s->end);
        if (s->p == s->end)
            return scan_truncated(s);
        if (*s->p == '"')
            break;
        if (*s->p != '\\')
            return scan_bad(s, "in string literal");
        s->p++;
        r = scan_escape(s);
        if (r < 0)
            return r;
    }
    if ((s->flags & JSON_STRICT) != 0 && !utf8_valid(begin, (size_t)(s->p - begin)))
        return err_set(s->e, WSPR_EPROTO, "invalid UTF-8 in string literal");
    s->p++;
    return 0;
}

static bool scan_is_digit(const struct json_scan *s)
{
    return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

/* One digit at least, else the error of the context. */
static int scan_digits(struct json_scan *s, const char *context)
{
    if (s->p == s->end)
        return scan_truncated(s);
    if (!scan_is_digit(s))
        return scan_bad(s, context);
    while (scan_is_digit(s))
        s->p++;
    return 0;
}

static int scan_number(struct json_scan *s)
{
    int r;

    if (*s->p == '-')
        s->p++;
    if (s->p < s->end && *s->p == '0') {
        s->p++; /* a digit that follows belongs to no number */
    } else {
        r = scan_digits(s, "in numeric literal");
        if (r < 0)
            return r;
    }
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        r = scan_digits(s, "after decimal point in numeric literal");
        if (r < 0)
            return r;
    }
    if (s->p < s->end && (*s->p | 0x20) == 'e') {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        r = scan_digits(s, "in exponent of numeric literal");
        if (r < 0)
            return r;
    }
    return 0;
}

static int scan_literal(struct json_scan *s, const char *word)
{
    for (const char *w = word; *w != '\0'; w++, s->p++) {
        char context[48];

        if (s->p == s->end)
            return scan_truncated(s);
        if (*s->p == (uint8_t)*w)
            continue;
        snprintf(context, sizeof context, "in literal %s (expecting '%c')", word, *w);
        return scan_bad(s, context);
    }
    return 0;
}

static int scan_scalar(struct json_scan *s)
{
    switch (*s->p) {
    case '"':
        s->p++;
        return scan_string(s);
    case 't':
        return scan_literal(s, "true");
    case 'f':
        return scan_literal(s, "false");
    case 'n':
        return scan_literal(s, "null");
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return scan_number(s);
    default:
        return scan_bad(s, "looking for beginning of value");
    }
}

/* A member's name and colon. */
static int scan_name(struct json_scan *s)
{
    int r;

    if (!scan_more(s))
        return scan_truncated(s);
    if (*s->p != '"')
        return scan_bad(s, "looking for beginning of object key string");
    s->p++;
    r = scan_string(s);
    if (r < 0)
        return r;
    if (!scan_more(s))
        return scan_truncated(s);
    if (*s->p != ':')
        return scan_bad(s, "after object key");
    s->p++;
    return 0;
}

static int scan_push(struct json_scan *s, bool object)
{
    size_t at = s->depth / 64;
    uint64_t bit = UINT64_C(1) << s->depth % 64;

    if (s->depth == s->max_depth)
        return err_set(s->e, WSPR_ELIMIT, "nesting exceeds %zu levels", s->max_depth);
    s->is_object[at] = object ? s->is_object[at] | bit : s->is_object[at] & ~bit;
    s->depth++;
    return 0;
}

static bool scan_in_object(const struct json_scan *s)
{
    size_t top = s->depth - 1;

    return (s->is_object[top / 64] >> top % 64 & 1) != 0;
}

/* Takes '{' or '['. 1 if a value must follow, 0 if the container is empty and closed again. */
static int scan_open(struct json_scan *s)
{
    bool object = *s->p == '{';
    int r = scan_push(s, object);

    if (r < 0)
        return r;
    s->p++;
    if (!scan_more(s))
        return scan_truncated(s);
    if (*s->p == (object ? '}' : ']')) {
        s->p++;
        s->depth--;
        return 0;
    }
    r = object ? scan_name(s) : 0;
    return r < 0 ? r : 1;
}

static const uint8_t *scan_pass_digits(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

/* Behind a number and a comma in an array: passes more of both. */
static void scan_numbers(struct json_scan *s)
{
    const uint8_t *p = s->p, *end = s->end, *digits;

    for (;; s->p = ++p) {
        while (p < end && *p == ' ')
            p++;
        if (p < end && *p == '-')
            p++;
        digits = p;
        p = scan_pass_digits(p, end);
        if (p == digits || (*digits == '0' && p > digits + 1))
            return;
        if (p < end && *p == '.') {
            digits = ++p;
            p = scan_pass_digits(p, end);
            if (p == digits)
                return;
        }
        if (p == end || *p != ',')
            return;
    }
}

/* Behind a value: closes what ends here. 1 if another value must follow, 0 at the very end. */
static int scan_after(struct json_scan *s)
{
    while (s->depth > 0) {
        bool object = scan_in_object(s);
        int r = 0;

        if (!scan_more(s))
            return scan_truncated(s);
        if (*s->p == ',') {
            s->p++;
            if (object)
                r = scan_name(s);
            return r < 0 ? r : 1;
        }
        if (*s->p != (object ? '}' : ']'))
            return scan_bad(s, object ? "after object key:value pair" : "after array element");
        s->p++;
        s->depth--;
    }
    return 0;
}

static int scan_value(struct json_scan *s)
{
    int r;

    do {
        bool number = false;

        if (!scan_more(s))
            return scan_truncated(s);
        if (*s->p == '{' || *s->p == '[') {
            r = scan_open(s);
            if (r != 0)
                continue;
        } else {
            number = *s->p >= '-' && *s->p <= '9';
            r = scan_scalar(s);
        }
        if (r == 0)
            r = scan_after(s);
        if (r > 0 && number && !scan_in_object(s))
            scan_numbers(s);
    } while (r > 0);
    return r;
}

int json_scan(struct span text, size_t max_depth, unsigned flags, struct span *ret_value,
              struct err *e)
{
    struct json_scan s;
    const uint8_t *begin;
    int r;

    s.end = text.len > 0 ? text.p + text.len : text.p;
    s.p = text.p;
    s.flags = flags;
    s.depth = 0;
    s.max_depth = max_depth == 0 || max_depth > JSON_DEPTH_MAX ? JSON_DEPTH_MAX : max_depth;
    s.e = e;
    if (!scan_more(&s))
        return err_set(e, WSPR_ETRUNC, "EOF");
    begin = s.p;
    r = scan_value(&s);
    if (r == 0)
        *ret_value = span_of(begin, (size_t)(s.p - begin));
    return r;
}

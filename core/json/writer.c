/*
 * Quoting happens in two passes: the first measures, the second writes into room of exactly that
 * size, copying runs that need no change in one piece. Because the measure is exact, a text can be
 * quoted where it stands: it is moved to the end of the enlarged room and quoted from there to the
 * front; the place of writing never overtakes that of reading.
 */
#include "config.h"
#include "json/writer.h"

#include <math.h>
#include <string.h>

#include "base/unicode.h"
#include "base/utf8.h"
#include "json/number.h"
#include "json/text.h"

/* What one character becomes inside a string. */
struct quoted {
    char text[16];
    size_t len; /* 0: it stands for itself */
};

static void quoted_unicode(struct quoted *q, uint32_t unit)
{
    static const char hex[] = "0123456789abcdef";

    q->text[q->len++] = '\\';
    q->text[q->len++] = 'u';
    for (int shift = 12; shift >= 0; shift -= 4)
        q->text[q->len++] = hex[unit >> shift & 15];
}

/* Looks at the character at p and returns its length. spec: vom B.1.2, websocket 14 */
static size_t quoted_of(const uint8_t *p, const uint8_t *end, struct quoted *q)
{
    static const char letters[] = "btn\0fr"; /* 0x08 … 0x0d */
    uint32_t rune = *p;
    size_t n = 1;

    q->len = 0;
    if (rune >= 0x80) {
        n = utf8_decode(p, (size_t)(end - p), &rune);
        if (n == 1) {
            q->len = utf8_encode(UTF8_REPLACEMENT, (uint8_t *)q->text);
        } else if (unicode_is_print(rune)) {
            return n;
        } else if (rune <= 0xffff) {
            quoted_unicode(q, rune);
        } else {
            quoted_unicode(q, 0xd800 + ((rune - 0x10000) >> 10));
            quoted_unicode(q, 0xdc00 + ((rune - 0x10000) & 0x3ff));
        }
    } else if (rune == '"' || rune == '\\') {
        q->text[0] = '\\';
        q->text[1] = (char)rune;
        q->len = 2;
    } else if (rune >= 0x08 && rune <= 0x0d && letters[rune - 0x08] != '\0') {
        q->text[0] = '\\';
        q->text[1] = letters[rune - 0x08];
        q->len = 2;
    } else if (rune < 0x20 || rune == 0x7f) {
        quoted_unicode(q, rune);
    }
    return n;
}

/* What an ASCII character grows by. */
static const uint8_t quote_growth[128] = {
    [0 ... 0x07] = 5, ['\b'] = 1,          ['\t'] = 1, ['\n'] = 1, ['\v'] = 5, ['\f'] = 1,
    ['\r'] = 1,       [0x0e ... 0x1f] = 5, ['"'] = 1,  ['\\'] = 1, [0x7f] = 5,
};

/* Skips what stands for itself for sure: ASCII but quotes, backslashes and controls. */
static const uint8_t *quote_plain(const uint8_t *p, const uint8_t *end)
{
    for (; end - p >= 8; p += 8) {
        uint64_t w = json_text_load(p), hit = w | JSON_BELOW(w, 0x20) | JSON_IS(w, '"');

        hit = (hit | JSON_IS(w, '\\') | JSON_IS(w, 0x7f)) & JSON_TOPS;
        if (hit != 0)
            return p + json_text_first(hit);
    }
    while (p < end && *p < 0x80 && quote_growth[*p] == 0)
        p++;
    return p;
}

size_t json_quote_size(struct span s)
{
    const uint8_t *p = s.p, *end = p + s.len;
    size_t grown = 0;

    while ((p = quote_plain(p, end)) < end) {
        struct quoted q;
        size_t n;

        if (*p < 0x80) {
            grown += quote_growth[*p++];
            continue;
        }
        n = quoted_of(p, end, &q);
        if (q.len > 0)
            grown += q.len - n;
        p += n;
    }
    return s.len + grown + 2;
}

/* Writes the measured string to o, which may lie before s in the same memory. */
void json_quote_into(void *out, struct span s)
{
    uint8_t *o = out;
    const uint8_t *p = s.p, *end = p + s.len, *run = p;

    *o++ = '"';
    while ((p = quote_plain(p, end)) < end) {
        struct quoted q = {{'\\', (char)*p}, 2};
        size_t n = 1;

        if (*p != '"' && *p != '\\')
            n = quoted_of(p, end, &q);
        if (q.len > 0) {
            memmove(o, run, (size_t)(p - run));
            o += p - run;
            memcpy(o, q.text, q.len);
            o += q.len;
            run = p + n;
        }
        p += n;
    }
    memmove(o, run, (size_t)(end - run));
    o += end - run;
    *o = '"';
}

void json_quote(struct buf *out, struct span s)
{
    uint8_t *room;
    size_t n;

    if (s.len == 0) {
        buf_append(out, "\"\"", 2);
        return;
    }
    n = json_quote_size(s);
    room = buf_reserve(out, n);
    if (room == NULL)
        return;
    json_quote_into(room, s);
    buf_commit(out, n);
}

void json_quote_tail(struct buf *out, size_t begin)
{
    size_t len, quoted;
    uint8_t *at;

    if (buf_error(out) != 0)
        return;
    len = out->len - begin;
    if (len == 0) {
        buf_append(out, "\"\"", 2);
        return;
    }
    quoted = json_quote_size(span_of(buf_data(out) + begin, len));
    if (buf_reserve(out, quoted - len) == NULL)
        return;
    at = buf_data(out) + begin;
    memmove(at + quoted - len, at, len);
    json_quote_into(at, span_of(at + quoted - len, len));
    buf_commit(out, quoted - len);
}

void json_writer_init(struct json_writer *w, struct buf *out)
{
    w->out = out;
    w->comma = false;
}

static void writer_next(struct json_writer *w)
{
    if (w->comma)
        buf_append(w->out, ", ", 2);
    w->comma = true;
}

static void writer_put(struct json_writer *w, const char *text, size_t len)
{
    writer_next(w);
    buf_append(w->out, text, len);
}

void json_write_object(struct json_writer *w)
{
    writer_put(w, "{", 1);
    w->comma = false;
}

void json_write_object_end(struct json_writer *w)
{
    buf_u8(w->out, '}');
    w->comma = true;
}

void json_write_array(struct json_writer *w)
{
    writer_put(w, "[", 1);
    w->comma = false;
}

void json_write_array_end(struct json_writer *w)
{
    buf_u8(w->out, ']');
    w->comma = true;
}

void json_write_name(struct json_writer *w, struct span name)
{
    writer_next(w);
    json_quote(w->out, name);
    buf_append(w->out, ": ", 2);
    w->comma = false;
}

void json_write_name_str(struct json_writer *w, const char *name)
{
    json_write_name(w, span_str(name));
}

void json_write_null(struct json_writer *w)
{
    writer_put(w, "null", 4);
}

void json_write_bool(struct json_writer *w, bool v)
{
    if (v)
        writer_put(w, "true", 4);
    else
        writer_put(w, "false", 5);
}

void json_write_int(struct json_writer *w, int64_t v)
{
    char text[JSON_NUMBER_SIZE];
    size_t n = json_number_format_int(text, v);

    writer_put(w, text, n);
}

void json_write_uint(struct json_writer *w, uint64_t v)
{
    char text[JSON_NUMBER_SIZE];
    size_t n = json_number_format_uint(text, v);

    writer_put(w, text, n);
}

void json_write_double(struct json_writer *w, double v)
{
    char text[JSON_NUMBER_SIZE];

    if (isfinite(v))
        writer_put(w, text, json_number_format_double(text, v));
    else
        json_write_null(w);
}

void json_write_string(struct json_writer *w, struct span s)
{
    writer_next(w);
    json_quote(w->out, s);
}

void json_write_str(struct json_writer *w, const char *s)
{
    json_write_string(w, span_str(s));
}

void json_write_raw(struct json_writer *w, struct span text)
{
    writer_next(w);
    buf_append_span(w->out, text);
}

size_t json_write_text_begin(struct json_writer *w)
{
    writer_next(w);
    w->comma = false;
    return w->out->len;
}

void json_write_text_end(struct json_writer *w, size_t begin)
{
    json_quote_tail(w->out, begin);
    w->comma = true;
}

#include "config.h"

#include <math.h>

#include "failmalloc.h"
#include "json/reader.h"
#include "json/writer.h"
#include "suites.h"

static void quote_is(const char *s, size_t len, const char *want)
{
    struct buf b = BUF_INIT(1000), tail = BUF_INIT(1000);

    json_quote(&b, span_of(s, len));
    TAP_OK(span_equal_str(buf_span(&b), want), "%.*s, not %s", SPAN_ARG(buf_span(&b)), want);
    buf_append_str(&tail, "ab");
    buf_consume(&tail, 1);
    buf_append(&tail, s, len);
    json_quote_tail(&tail, 1);
    TAP_OK(tail.len > 0 && *buf_data(&tail) == 'b' &&
               span_equal_str(span_of(buf_data(&tail) + 1, tail.len - 1), want),
           "in place: %.*s, not %s", SPAN_ARG(buf_span(&tail)), want);
    buf_done(&b);
    buf_done(&tail);
}

#define QUOTE_IS(s, want) quote_is(s, sizeof s - 1, want)

static void strings_are_valid_json(void)
{
    QUOTE_IS("", "\"\"");
    QUOTE_IS("plain text, longer than a word", "\"plain text, longer than a word\"");
    QUOTE_IS("a\"b\\c/d<&>'", "\"a\\\"b\\\\c/d<&>'\"");
    QUOTE_IS("\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"");
    QUOTE_IS("\0\a\v\x1f\x7f", "\"\\u0000\\u0007\\u000b\\u001f\\u007f\"");
    QUOTE_IS("0123456\x7f", "\"0123456\\u007f\"");
    QUOTE_IS("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    QUOTE_IS("\xc2\xa0\xe2\x80\xa8\xef\xbb\xbf", "\"\\u00a0\\u2028\\ufeff\"");
    QUOTE_IS("\xf3\xa0\x80\x81", "\"\\udb40\\udc01\"");
    QUOTE_IS("\xf0\x9f\xa7\xbf", "\"\\ud83e\\uddff\""); /* newer than Unicode 6.3 */
    QUOTE_IS("a\xff\xe2\x82z", "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"");
    QUOTE_IS("\xef\xbf\xbd", "\"\xef\xbf\xbd\"");
}

/* Whatever is quoted reads back, but for bytes that are no text. */
static void quoted_reads_back(void)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct buf s = BUF_INIT(1 << 20), q = BUF_INIT(1 << 20);
    uint32_t x = 1;

    for (int i = 0; i < 3000; i++) {
        struct json_reader r;
        struct span back;

        buf_reset(&s);
        buf_reset(&q);
        for (int n = i % 40; n > 0; n--) {
            x = x * 1664525 + 1013904223;
            if ((x >> 28) == 0)
                buf_append_str(&s, "\xf0\x9d\x84\x9e");
            else if ((x >> 28) < 4)
                buf_append_str(&s, "\xe2\x80\xa9");
            else
                buf_u8(&s, x >> 20 & 0x7f);
        }
        json_quote(&q, buf_span(&s));
        TAP_IS(json_reader_init(&r, buf_span(&q), 0, JSON_STRICT, NULL) == 0);
        TAP_IS(json_reader_string(&r, &a, &back) == 0 && span_equal(back, buf_span(&s)));
        arena_reset(&a);
    }
    buf_done(&s);
    buf_done(&q);
    arena_done(&a);
}

static void write_all(struct buf *b)
{
    struct json_writer w;
    size_t text;

    json_writer_init(&w, b);
    json_write_object(&w);
    json_write_name_str(&w, "id");
    json_write_int(&w, -7);
    json_write_name_str(&w, "data");
    text = json_write_text_begin(&w);
    json_write_object(&w);
    json_write_name(&w, span_str("type"));
    json_write_uint(&w, 0);
    json_write_name_str(&w, "message");
    json_write_array(&w);
    json_write_str(&w, "a\"\n");
    json_write_array(&w);
    json_write_array_end(&w);
    json_write_object(&w);
    json_write_object_end(&w);
    json_write_null(&w);
    json_write_bool(&w, true);
    json_write_bool(&w, false);
    json_write_double(&w, 1.5);
    json_write_double(&w, NAN);
    json_write_raw(&w, span_str("{\"x\":1}"));
    json_write_array_end(&w);
    json_write_object_end(&w);
    json_write_text_end(&w, text);
    json_write_name_str(&w, "type");
    json_write_uint(&w, UINT64_MAX);
    json_write_object_end(&w);
}

static void writer_puts_commas(void)
{
    struct buf b = BUF_INIT(1000);

    write_all(&b);
    TAP_IS(buf_error(&b) == 0);
    TAP_OK(span_equal_str(
               buf_span(&b),
               "{\"id\": -7, \"data\": \"{\\\"type\\\": 0, \\\"message\\\": [\\\"a\\\\\\\"\\\\n"
               "\\\", [], {}, null, true, false, 1.5, null, {\\\"x\\\":1}]}\", \"type\": "
               "18446744073709551615}"),
           "%.*s", SPAN_ARG(buf_span(&b)));
    buf_done(&b);
}

static void writer_keeps_the_limit(void)
{
    struct buf whole = BUF_INIT(1000);

    write_all(&whole);
    for (size_t max = 0; max <= whole.len; max++) {
        struct buf b = BUF_INIT(max);

        write_all(&b);
        TAP_OK(buf_error(&b) == (max < whole.len ? WSPR_ELIMIT : 0), "limit %zu", max);
        TAP_IS(b.len <= max);
        buf_done(&b);
    }
    buf_done(&whole);
}

static void write_once(void *arg)
{
    struct buf b = BUF_INIT(1000);

    write_all(&b);
    TAP_IS(buf_error(&b) == 0 || buf_error(&b) == WSPR_ENOMEM);
    buf_done(&b);
}

static void writer_survives_lack_of_memory(void)
{
    TAP_IS(failmalloc_each(write_once, NULL, 100) > 2);
}

const struct tap_case json_writer_cases[JSON_WRITER_CASES] = {
    {"strings are valid JSON", strings_are_valid_json},
    {"what is quoted reads back", quoted_reads_back},
    {"commas and texts in strings", writer_puts_commas},
    {"limit of the buffer", writer_keeps_the_limit},
    {"each allocation failing", writer_survives_lack_of_memory},
};

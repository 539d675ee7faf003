#include "config.h"

#include "base/quote.h"
#include "base/unicode.h"
#include "base/utf8.h"
#include "failmalloc.h"
#include "tap.h"
#include "vectors.h"
#include "wspr/error.h"

static void quote_is(const char *s, size_t len, const char *want)
{
    struct buf b = BUF_INIT(1000);

    quote_append(&b, span_of(s, len), '"');
    TAP_OK(span_equal_str(buf_span(&b), want), "%.*s, not %s", SPAN_ARG(buf_span(&b)), want);
    buf_done(&b);
}

#define QUOTE_IS(s, want) quote_is(s, sizeof s - 1, want)

static void quotes_like_the_reference(void)
{
    struct buf b = BUF_INIT(100);

    QUOTE_IS("", "\"\"");
    QUOTE_IS("a\"b\\c/d'", "\"a\\\"b\\\\c/d'\"");
    QUOTE_IS("\a\b\f\n\r\t\v", "\"\\a\\b\\f\\n\\r\\t\\v\"");
    QUOTE_IS("\0\x01\x1f\x7f", "\"\\x00\\x01\\x1f\\u007f\"");
    QUOTE_IS("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    QUOTE_IS("\xc2\xa0\xc2\xad\xe2\x80\x8b\xe2\x80\xa8\xef\xbb\xbf",
             "\"\\u00a0\\u00ad\\u200b\\u2028\\ufeff\"");
    QUOTE_IS("\xf3\xa0\x80\x81", "\"\\U000e0001\"");
    QUOTE_IS("\xf0\x9f\xa7\xbf", "\"\\U0001f9ff\"");
    QUOTE_IS("a\xff\xfez\xef\xbf\xbd", "\"a\\xff\\xfez\xef\xbf\xbd\"");
    quote_append(&b, span_str("'\""), '\'');
    TAP_IS(span_equal_str(buf_span(&b), "'\\'\"'"));
    buf_done(&b);
}

/* The recorded strings of both JSON conversions. */
static void recorded_strings(void)
{
    struct json_object *file = vectors_load("vom_json.json");
    unsigned n = 0;

    for (size_t i = 0; i < json_object_array_length(file); i++) {
        struct json_object *v = json_object_array_get_idx(file, i);
        const char *type = vec_str(v, "type"), *want = vec_str(v, "json");
        const char *hex = vec_str(vec_get(v, "value"), "strhex");
        struct buf b = BUF_INIT(1000);

        if (type == NULL || strcmp(type, "string") != 0)
            continue;
        if (hex != NULL)
            b = vec_hex(hex);
        else
            buf_append(&b, vec_str(v, "value"),
                       (size_t)json_object_get_string_len(vec_get(v, "value")));
        quote_is((const char *)buf_data(&b), b.len, want);
        buf_done(&b);
        n++;
    }
    tap_note("vom_json.json: %u strings quoted", n);
    TAP_IS(n == 13);
    json_object_put(file);
}

static void printable(void)
{
    static const uint32_t yes[] = {0x20,   0x7e,   0xa1,   0x377, 0x20ac,  0xfffd,
                                   0x4e00, 0x9fcc, 0xac00, 0x301, 0x1f600, 0x20000};
    static const uint32_t no[] = {0x0,    0x1f,   0x7f,    0x80,    0xa0,    0xad,     0x378,
                                  0x2028, 0x3000, 0xd800,  0xe000,  0xfeff,  0xffff,   0x9fcd,
                                  0x20bf, 0x61c,  0x1f9ff, 0xe0001, 0xf0000, 0x10ffff, 0x110000};
    unsigned n = 0;

    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        TAP_OK(unicode_is_print(yes[i]), "U+%04X", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        TAP_OK(!unicode_is_print(no[i]), "U+%04X", no[i]);
    for (uint32_t c = 0; c <= 0x10ffff; c++)
        n += unicode_is_print(c);
    /* Version 6.3 has 110,122 graphic and format characters, 145 of them format characters, 18
     * other spaces and separators than the ASCII space. */
    TAP_OK(n == 110122 - 145 - 18, "%u printable characters", n);
}

static void letters_change_case(void)
{
    static const uint32_t rows[][4] = {
        {'a', 'a', 'A', 'A'},
        {'Z', 'z', 'Z', 'Z'},
        {'1', '1', '1', '1'},
        {0xe9, 0xe9, 0xc9, 0xc9},
        {0xff, 0xff, 0x178, 0x178},
        {0xb5, 0xb5, 0x39c, 0x39c},
        {0x100, 0x101, 0x100, 0x100},
        {0x101, 0x101, 0x100, 0x100},
        {0x130, 'i', 0x130, 0x130},
        {0x131, 0x131, 'I', 'I'},
        {0x17f, 0x17f, 'S', 'S'},
        {0x1c6, 0x1c6, 0x1c4, 0x1c5},
        {0x1c5, 0x1c6, 0x1c4, 0x1c5},
        {0x3a3, 0x3c3, 0x3a3, 0x3a3},
        {0x3c2, 0x3c2, 0x3a3, 0x3a3},
        {0x410, 0x430, 0x410, 0x410},
        {0x10d0, 0x10d0, 0x10d0, 0x10d0},
        {0x212a, 'k', 0x212a, 0x212a},
        {0xdf, 0xdf, 0xdf, 0xdf},
        {0x10428, 0x10428, 0x10400, 0x10400},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        TAP_OK(unicode_lower(rows[i][0]) == rows[i][1], "lower U+%04X", rows[i][0]);
        TAP_OK(unicode_upper(rows[i][0]) == rows[i][2], "upper U+%04X", rows[i][0]);
        TAP_OK(unicode_title(rows[i][0]) == rows[i][3], "title U+%04X", rows[i][0]);
    }
    TAP_IS(unicode_equal_lower(span_str("MTimeNS"), span_str("mtimens")));
    TAP_IS(unicode_equal_lower(span_str("\xc3\x89lan"), span_str("\xc3\xa9LAN")));
    TAP_IS(unicode_equal_lower(span_str("\xe2\x84\xaa"), span_str("k")));
    TAP_IS(!unicode_equal_lower(span_str("\xc5\xbf"), span_str("s")));
    TAP_IS(!unicode_equal_lower(span_str("ab"), span_str("abc")));
    TAP_IS(!unicode_equal_lower(span_str("abc"), span_str("ab")));
    TAP_IS(unicode_is_space(' ') && unicode_is_space(0x85) && unicode_is_space(0x2003));
    TAP_IS(unicode_is_space('\v') && !unicode_is_space(0x180e) && !unicode_is_space(0x200b));
}

static void quote_once(void *arg)
{
    struct buf b = BUF_INIT(1000);

    quote_append(&b, span_str("plain \xff text \n that needs more than the first block \xc2\xa0"),
                 '"');
    TAP_IS(buf_error(&b) == WSPR_ENOMEM ||
           span_equal_str(buf_span(&b), "\"plain \\xff text \\n that needs more than the first "
                                        "block \\u00a0\""));
    buf_done(&b);
}

static void survives_lack_of_memory(void)
{
    TAP_IS(failmalloc_each(quote_once, NULL, 20) > 1);
}

int main(int argc, char **argv)
{
    static const struct tap_case cases[] = {
        {"quotes like the reference", quotes_like_the_reference},
        {"recorded strings", recorded_strings},
        {"printable", printable},
        {"letters change case", letters_change_case},
        {"each allocation failing", survives_lack_of_memory},
    };
    static const struct tap_suite suites[] = {TAP_SUITE("unicode", cases)};

    return tap_main(argc, argv, suites, 1);
}

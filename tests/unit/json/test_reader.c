#include "config.h"

#include "failmalloc.h"
#include "json/reader.h"
#include "suites.h"

struct scan_row {
    const char *text;
    const char *value; /* what the check finds, or NULL */
    const char *error;
};

static const struct scan_row scan_rows[] = {
    {"7", "7", NULL},
    {"7 x", "7", NULL},
    {"7x", "7", NULL},
    {"01", "0", NULL},
    {"-0.5e+7,", "-0.5e+7", NULL},
    {" \t\r\n{} {", "{}", NULL},
    {"\"a\\u00e9\\\"\"x", "\"a\\u00e9\\\"\"", NULL},
    {"truefalse", "true", NULL},
    {"[1,[],{\"a\":[{}]} ,null]]", "[1,[],{\"a\":[{}]} ,null]", NULL},
    {"\"\x7f\xff\"", "\"\x7f\xff\"", NULL},
    {"", NULL, "EOF"},
    {" \t\r\n", NULL, "EOF"},
    {"-", NULL, "unexpected EOF"},
    {"1.", NULL, "unexpected EOF"},
    {"1e", NULL, "unexpected EOF"},
    {"1e+", NULL, "unexpected EOF"},
    {"tru", NULL, "unexpected EOF"},
    {"\"abc", NULL, "unexpected EOF"},
    {"\"abc\\", NULL, "unexpected EOF"},
    {"\"\\u00", NULL, "unexpected EOF"},
    {"[1", NULL, "unexpected EOF"},
    {"[1,", NULL, "unexpected EOF"},
    {"{\"a\"", NULL, "unexpected EOF"},
    {"{\"a\":", NULL, "unexpected EOF"},
    {"{\"a\":1 ", NULL, "unexpected EOF"},
    {"\v1", NULL, "invalid character '\\v' looking for beginning of value"},
    {"]", NULL, "invalid character ']' looking for beginning of value"},
    {"[,", NULL, "invalid character ',' looking for beginning of value"},
    {"[1,]", NULL, "invalid character ']' looking for beginning of value"},
    {".5", NULL, "invalid character '.' looking for beginning of value"},
    {"+5", NULL, "invalid character '+' looking for beginning of value"},
    {"NaN", NULL, "invalid character 'N' looking for beginning of value"},
    {"/*x*/1", NULL, "invalid character '/' looking for beginning of value"},
    {"\xe9", NULL, "invalid character '\xc3\xa9' looking for beginning of value"},
    {"\xa0", NULL, "invalid character '\\u00a0' looking for beginning of value"},
    {"{,", NULL, "invalid character ',' looking for beginning of object key string"},
    {"{1:2}", NULL, "invalid character '1' looking for beginning of object key string"},
    {"{\"a\":1,}", NULL, "invalid character '}' looking for beginning of object key string"},
    {"{\"a\",1}", NULL, "invalid character ',' after object key"},
    {"{\"a\":1:", NULL, "invalid character ':' after object key:value pair"},
    {"{\"a\":1]", NULL, "invalid character ']' after object key:value pair"},
    {"[1:2]", NULL, "invalid character ':' after array element"},
    {"[01]", NULL, "invalid character '1' after array element"},
    {"[\"a\"\"b\"]", NULL, "invalid character '\"' after array element"},
    {"\"a\tb\"", NULL, "invalid character '\\t' in string literal"},
    {"\"a\x01\"", NULL, "invalid character '\\x01' in string literal"},
    {"\"\\'\"", NULL, "invalid character '\\'' in string escape code"},
    {"\"\\x41\"", NULL, "invalid character 'x' in string escape code"},
    {"\"\\u00g0\"", NULL, "invalid character 'g' in \\u hexadecimal character escape"},
    {"\"\\u\\\"", NULL, "invalid character '\\\\' in \\u hexadecimal character escape"},
    {"-x", NULL, "invalid character 'x' in numeric literal"},
    {"--1", NULL, "invalid character '-' in numeric literal"},
    {"1.x", NULL, "invalid character 'x' after decimal point in numeric literal"},
    {"1ex", NULL, "invalid character 'x' in exponent of numeric literal"},
    {"1e+-", NULL, "invalid character '-' in exponent of numeric literal"},
    {"tx", NULL, "invalid character 'x' in literal true (expecting 'r')"},
    {"falsE", NULL, "invalid character 'E' in literal false (expecting 'e')"},
    {"nul,", NULL, "invalid character ',' in literal null (expecting 'l')"},
};

static void scan_finds_value_or_says_why(void)
{
    for (size_t i = 0; i < sizeof scan_rows / sizeof scan_rows[0]; i++) {
        const struct scan_row *row = &scan_rows[i];
        struct span v = {NULL, 0};
        struct err e = ERR_INIT;
        int r = json_scan(span_str(row->text), 0, 0, &v, &e);

        if (row->value != NULL) {
            TAP_OK(r == 0 && span_equal_str(v, row->value), "%s: %d", row->text, r);
        } else {
            TAP_OK(r == (strstr(row->error, "EOF") != NULL ? WSPR_ETRUNC : WSPR_EINVAL), "%s: %d",
                   row->text, r);
            TAP_OK(strcmp(err_text(&e), row->error) == 0, "%s: %s", row->text, err_text(&e));
        }
        err_done(&e);
    }
}

/* Each prefix of a value is cut short, unless it is a value itself. */
static void scan_cut_at_each_byte(void)
{
    static const char text[] = "{\"a\\n\\u0041\xc3\xa9\": [1, -2.5e-3, true, false, null, {}, []], "
                               "\"\": \"plain text of more than eight bytes\"}";
    size_t len = sizeof text - 1;

    for (size_t cut = 0; cut <= len; cut++) {
        char *piece = malloc(cut + 1);
        struct err e = ERR_INIT;
        struct span v;
        int r;

        memcpy(piece, text, cut);
        r = json_scan(span_of(piece, cut), 0, 0, &v, &e);
        TAP_OK(r == (cut == len ? 0 : WSPR_ETRUNC), "cut at %zu: %d %s", cut, r, err_text(&e));
        err_done(&e);
        free(piece);
    }
}

static void scan_bounds_depth(void)
{
    size_t n = 20001;
    char *text = malloc(2 * n);
    struct json_reader r;
    struct span v;

    memset(text, '[', n);
    memset(text + n, ']', n);
    TAP_IS(json_scan(span_of(text, 2 * n), 0, 0, &v, NULL) == WSPR_ELIMIT);
    TAP_IS(json_scan(span_of(text + n - 10000, 20000), 0, 0, &v, NULL) == 0 && v.len == 20000);
    TAP_IS(json_scan(span_of(text + n - 10001, 20002), 0, 0, &v, NULL) == WSPR_ELIMIT);
    TAP_IS(json_scan(span_of(text + n - 3, 6), 3, 0, &v, NULL) == 0);
    TAP_IS(json_scan(span_of(text + n - 4, 8), 3, 0, &v, NULL) == WSPR_ELIMIT);
    /* What is in no way nested may come as often as it likes. */
    for (size_t i = 0; i < n; i += 3)
        memcpy(text + i, i == 0 ? "[[]" : ",{}", 3);
    text[n] = ']';
    TAP_IS(json_reader_init(&r, span_of(text, n + 1), 2, 0, NULL) == 0);
    json_reader_skip(&r);
    TAP_IS(r.p == r.end);
    free(text);
}

static void scan_strict_wants_utf8(void)
{
    static const char *const bad[] = {"\"\xff\"", "[\"\xc3\"]", "{\"\xed\xa0\x80\":1}",
                                      "\"\xc0\x80\"", "\"a\\\"\xf4\x90\x80\x80\""};
    struct span v;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err e = ERR_INIT;

        TAP_IS(json_scan(span_str(bad[i]), 0, 0, &v, &e) == 0);
        TAP_IS(json_scan(span_str(bad[i]), 0, JSON_STRICT, &v, &e) == WSPR_EPROTO);
        TAP_IS(strcmp(err_text(&e), "invalid UTF-8 in string literal") == 0);
        err_done(&e);
    }
    TAP_IS(json_scan(span_str("\"\xf0\x9f\x98\x80\\ud800\""), 0, JSON_STRICT, &v, NULL) == 0);
}

static void string_is(const char *text, const char *want, size_t want_len, bool borrowed)
{
    struct arena a = ARENA_INIT(1 << 16);
    struct buf b = BUF_INIT(1 << 16);
    struct json_reader r, again;
    struct span s = {NULL, 0};

    TAP_IS(json_reader_init(&r, span_str(text), 0, 0, NULL) == 0);
    again = r;
    TAP_IS(json_reader_string(&r, &a, &s) == 0 && r.p == r.end);
    TAP_OK(span_equal(s, span_of(want, want_len)), "%s", text);
    if (s.len > 0)
        TAP_OK((s.p > (const uint8_t *)text && s.p < (const uint8_t *)text + strlen(text)) ==
                   borrowed,
               "%s", text);
    buf_append_str(&b, "x");
    TAP_IS(json_reader_string_buf(&again, &b) == 0 && again.p == again.end);
    TAP_OK(b.len == want_len + 1 && memcmp(buf_data(&b) + 1, want, want_len) == 0, "%s", text);
    buf_done(&b);
    arena_done(&a);
}

#define STRING_IS(text, want, borrowed) string_is(text, want, sizeof want - 1, borrowed)

static void strings_are_unescaped(void)
{
    STRING_IS("\"\"", "", true);
    STRING_IS("\"plain \xc3\xa9 \xf0\x9f\x98\x80\"", "plain \xc3\xa9 \xf0\x9f\x98\x80", true);
    STRING_IS("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", false);
    STRING_IS("\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac", false);
    STRING_IS("\"a\\u0000b\"", "a\0b", false);
    STRING_IS("\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", false);
    STRING_IS("\"\\uDBFF\\uDFFF\"", "\xf4\x8f\xbf\xbf", false);
    STRING_IS("\"\\ud83d\"", "\xef\xbf\xbd", false);
    STRING_IS("\"\\ud83dx\"", "\xef\xbf\xbdx", false);
    STRING_IS("\"\\ude00\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd", false);
    STRING_IS("\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80", false);
    STRING_IS("\"\\ud83d\\n\"", "\xef\xbf\xbd\n", false);
    STRING_IS("\"a\xff\xfez\"", "a\xef\xbf\xbd\xef\xbf\xbdz", false);
    STRING_IS("\"\xe2\x82\"", "\xef\xbf\xbd\xef\xbf\xbd", false);
    STRING_IS("\"\xed\xa0\x80\"", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", false);
}

static void reader_walks(void)
{
    static const char text[] = " { \"n\" : null , \"b\":[true,false],\"i\":-7,\"u\":255,\"f\":2.5,"
                               "\"\\u006f\":{\"x\":[{},[]]},\"s\":\"t\" } rest";
    struct arena a = ARENA_INIT(1000);
    struct json_reader r;
    struct span s, name;
    uint64_t u;
    int64_t i;
    double f;
    bool b;

    TAP_IS(json_reader_init(&r, span_str(text), 0, 0, NULL) == 0);
    TAP_IS(json_reader_peek(&r) == JSON_OBJECT && json_reader_enter_array(&r) == WSPR_ETYPE);
    TAP_IS(json_reader_enter_object(&r) == 0);
    TAP_IS(json_reader_member(&r, &a, &name) == 1 && span_equal_str(name, "n"));
    TAP_IS(json_reader_peek(&r) == JSON_NULL && json_reader_bool(&r, &b) == WSPR_ETYPE);
    TAP_IS(json_reader_null(&r) == 0);
    TAP_IS(json_reader_member(&r, &a, &name) == 1 && span_equal_str(name, "b"));
    TAP_IS(json_reader_enter_object(&r) == WSPR_ETYPE && json_reader_enter_array(&r) == 0);
    TAP_IS(json_reader_element(&r) == 1 && json_reader_bool(&r, &b) == 0 && b);
    TAP_IS(json_reader_element(&r) == 1 && json_reader_null(&r) == WSPR_ETYPE);
    TAP_IS(json_reader_bool(&r, &b) == 0 && !b && json_reader_element(&r) == 0);
    TAP_IS(json_reader_member(&r, &a, &name) == 1 && span_equal_str(name, "i"));
    TAP_IS(json_reader_string(&r, &a, &s) == WSPR_ETYPE);
    TAP_IS(json_reader_int(&r, -7, 7, &i, &s) == 0 && i == -7 && span_equal_str(s, "-7"));
    TAP_IS(json_reader_member(&r, &a, &name) == 1 && json_reader_peek(&r) == JSON_NUMBER);
    TAP_IS(json_reader_uint(&r, 254, &u, &s) == WSPR_ETYPE && span_equal_str(s, "255"));
    TAP_IS(json_reader_member(&r, &a, &name) == 1 && span_equal_str(name, "f"));
    TAP_IS(json_reader_double(&r, &f, NULL) == 0 && f == 2.5);
    TAP_IS(json_reader_member(&r, &a, &name) == 1 && span_equal_str(name, "o"));
    s = json_reader_raw(&r);
    TAP_IS(span_equal_str(s, "{\"x\":[{},[]]}"));
    TAP_IS(json_reader_member(&r, &a, &name) == 1 && json_reader_peek(&r) == JSON_STRING);
    TAP_IS(json_reader_int(&r, 0, 9, &i, &s) == WSPR_ETYPE && s.len == 0);
    json_reader_skip(&r);
    TAP_IS(json_reader_member(&r, &a, &name) == 0 && r.p == r.end);
    arena_done(&a);
}

/* Skipping, taking and stepping through must agree on where a value ends. */
static void skip_takes_one_value(void)
{
    static const char *const values[] = {
        "null", "true",  "false",     "0",     "-1.5e+3",      "\"\"",
        "[]",   "[[1]]", "{\"]\":1}", "\"}\"", "\"\\\"\\\\\"", "[\"]\",{\"[\":\"}\"}]",
    };

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct buf b = BUF_INIT(200);
        struct json_reader r;

        buf_printf(&b, "[%s , %s,5]", values[i], values[i]);
        TAP_IS(json_reader_init(&r, buf_span(&b), 0, 0, NULL) == 0);
        TAP_IS(json_reader_enter_array(&r) == 0 && json_reader_element(&r) == 1);
        json_reader_skip(&r);
        TAP_IS(json_reader_element(&r) == 1);
        TAP_OK(span_equal_str(json_reader_raw(&r), values[i]), "%s", values[i]);
        TAP_IS(json_reader_element(&r) == 1 && span_equal_str(json_reader_raw(&r), "5"));
        TAP_IS(json_reader_element(&r) == 0 && r.p == r.end);
        buf_done(&b);
    }
}

static void lack_of_memory_leaves_the_value(void)
{
    struct arena a = ARENA_INIT(16);
    struct json_reader r;
    struct span s = {NULL, 0};

    TAP_IS(json_reader_init(&r, span_str("\"0123456789abcdef\\n\""), 0, 0, NULL) == 0);
    TAP_IS(json_reader_string(&r, &a, &s) == WSPR_ELIMIT && s.p == NULL);
    a.max = 1000;
    failmalloc_at(1);
    TAP_IS(json_reader_string(&r, &a, &s) == WSPR_ENOMEM && s.p == NULL);
    TAP_IS(json_reader_string(&r, &a, &s) == 0 && s.len == 17);
    failmalloc_at(0);
    TAP_IS(json_unquote(span_str("\"a\\tb\""), &a, &s) == 0 && span_equal_str(s, "a\tb"));
    arena_done(&a);
}

/* The first ones are numbers, the others something that stands among them. */
static const char *const elements[] = {
    "0",
    "-0",
    "1",
    "-12",
    "1234567890123456789012",
    "0.5",
    "-1.25",
    "1e5",
    "00",
    "01",
    "-",
    "1.",
    ".5",
    "1.x",
    "12a",
    "--1",
    "+1",
    "1..2",
    "",
    "]",
    "[]",
    "[1, 2, 3]",
    "[1, 2",
    "{",
    "{\"a\": 1, \"b\": 2, \"c\": 3}",
    "\"s\"",
    "\"]\"",
    "\"1,2\"",
    "true",
    "{\"a\": [1, 2, 3], \"b\": 4}",
    "{1, 2}",
    "null",
    "false",
    "{\"a\": 1, 2, 3}",
};
#define NUMBERS  7
#define ELEMENTS (sizeof elements / sizeof elements[0])

static void put_list(struct buf *text, unsigned *seed, size_t of)
{
    buf_u8(text, '[');
    for (int i = 0; i < 8; i++) {
        *seed = *seed * 1103515245 + 12345;
        buf_printf(text, "%s%s", i > 0 ? ", " : "", elements[*seed / 65536 % of]);
    }
    buf_u8(text, ']');
}

/* Whether both are sound, and alike. */
static bool check_alike(struct span text, struct span tabs)
{
    struct span value, other;
    struct err a = ERR_INIT, b = ERR_INIT;
    int r = json_scan(text, 0, 0, &value, &a), want = json_scan(tabs, 0, 0, &other, &b);
    bool sound = r == 0 && want == 0;

    TAP_OK(r == want && strcmp(err_text(&a), err_text(&b)) == 0, "%.*s: %d %s, not %d %s",
           SPAN_ARG(text), r, err_text(&a), want, err_text(&b));
    if (sound) {
        struct json_reader reader;

        json_reader_at(&reader, value);
        TAP_IS(value.len == other.len);
        TAP_IS(json_reader_raw(&reader).len == value.len);
    }
    err_done(&a);
    err_done(&b);
    return sound;
}

/* Numbers in lists are checked in a shorter way, which knows no white space but blanks. */
static void numbers_are_checked_alike(void)
{
    unsigned seed = 1, sound = 0;

    for (int round = 0; round < 4000; round++) {
        struct buf text = BUF_INIT(4096), tabs = BUF_INIT(4096);

        put_list(&text, &seed, round % 2 == 0 ? NUMBERS : ELEMENTS);
        for (size_t i = 0; i < text.len; i++)
            buf_u8(&tabs, buf_data(&text)[i] == ' ' ? '\t' : buf_data(&text)[i]);
        for (size_t n = round % 8 == 0 ? 0 : text.len; n <= text.len; n++)
            sound += check_alike(span_of(buf_data(&text), n), span_of(buf_data(&tabs), n));
        buf_done(&text);
        buf_done(&tabs);
    }
    TAP_OK(sound > 1000, "%u were sound", sound);
}

const struct tap_case json_reader_cases[JSON_READER_CASES] = {
    {"finds the first value or says why not", scan_finds_value_or_says_why},
    {"cut at each byte", scan_cut_at_each_byte},
    {"bounds the depth", scan_bounds_depth},
    {"strict wants UTF-8", scan_strict_wants_utf8},
    {"unescapes strings", strings_are_unescaped},
    {"walks", reader_walks},
    {"skip takes one value", skip_takes_one_value},
    {"lack of memory leaves the value", lack_of_memory_leaves_the_value},
    {"numbers are checked alike", numbers_are_checked_alike},
};

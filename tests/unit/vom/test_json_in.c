#include "config.h"

#include "base/hex.h"
#include "failmalloc.h"
#include "json_cases.h"
#include "notation.h"
#include "vom/dec.h"
#include "vom/json_in.h"
#include "vom/json_out.h"

#define POINT "named \"x/y.Point\" struct {X int32; Y int32}"
#define MIXED                                                                                      \
    "named \"x/y.Mixed\" struct {A int32; B string; C slice of (named \"x/y.B\" byte); D "         \
    "array[2] of (bool); "                                                                         \
    "E interface; F pointer to (" POINT "); G map from (int32) to (string); H float64; I bool; "   \
    "J \"x/y.Point\"; K slice of (interface); L bytes; M bool}"

/* Converts; ends with the code, and what was written in out. */
static int convert(const char *type, const char *text, struct buf *out, struct err *e)
{
    struct arena a = NOTATION_ARENA, scratch = ARENA_INIT(1 << 20);
    struct vom_enc enc;
    int r;

    vom_enc_init(&enc);
    r = vom_json_encode(&enc, out, notation_type(&a, type), span_str(text), &scratch, e);
    vom_enc_done(&enc);
    arena_done(&a);
    arena_done(&scratch);
    return r;
}

/* What the bytes mean, as JSON again. */
static void print(struct span blob, struct buf *out)
{
    struct arena a = NOTATION_ARENA;
    struct vom_value v;
    struct err e = ERR_INIT;

    TAP_OK(vom_decode(blob, NULL, &a, &v, NULL, &e) == 0, "%s", err_text(&e));
    TAP_OK(e.code != 0 || vom_json_write_value(out, &v, 0, &e) == 0, "%s", err_text(&e));
    err_done(&e);
    arena_done(&a);
}

static void converts_to(const char *type, const char *text, const char *want)
{
    struct buf out = BUF_INIT(1 << 20), back = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    int r = convert(type, text, &out, &e);

    TAP_OK(r == VOM_JSON_DONE, "%s: %d %s", text, r, err_text(&e));
    if (r == VOM_JSON_DONE)
        print(buf_span(&out), &back);
    TAP_OK(span_equal_str(buf_span(&back), want), "%s: %.*s, not %s", text,
           SPAN_ARG(buf_span(&back)), want);
    err_done(&e);
    buf_done(&out);
    buf_done(&back);
}

static void is_refused(const char *type, const char *text, int code, const char *want)
{
    struct buf out = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    int r = convert(type, text, &out, &e);

    TAP_OK(r == code && (want == NULL || strstr(err_text(&e), want) != NULL), "%s: %d %s, not %s",
           text, r, err_text(&e), want);
    err_done(&e);
    buf_done(&out);
}

/* The same bytes as the encoder's own for the value that was meant: so zeros are left out. */
static void is_canonical(const char *type, const char *text)
{
    struct buf out = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
    struct arena a = NOTATION_ARENA;
    struct vom_value v;

    TAP_IS(convert(type, text, &out, NULL) == VOM_JSON_DONE);
    TAP_IS(vom_decode(buf_span(&out), NULL, &a, &v, NULL, NULL) == 0);
    TAP_IS(vom_encode(&again, &v, NULL) == 0);
    TAP_OK(span_equal(buf_span(&out), buf_span(&again)), "%s: %zu bytes, not %zu", text, out.len,
           again.len);
    buf_done(&out);
    buf_done(&again);
    arena_done(&a);
}

static void members_in_any_order(void)
{
    static const char *const members[] = {"\"a\":1", "\"b\":\"x\"", "\"c\":[1,200]", "\"h\":2.5",
                                          "\"j\":{\"y\":2,\"x\":1}"};
    static const char want[] =
        "{\"a\": 1, \"b\": \"x\", \"c\": [1, 200], \"h\": 2.5, \"j\": {\"x\": 1, \"y\": 2}}";
    static const char type[] = "struct {A int32; B string; C bytes; H float64; J " POINT "}";
    unsigned n = 0;

    for (unsigned order = 0; order < 5 * 5 * 5 * 5 * 5; order++) {
        struct buf text = BUF_INIT(1000);
        unsigned seen = 0, rest = order;

        for (int i = 0; i < 5; i++, rest /= 5) {
            buf_printf(&text, "%s%s", i == 0 ? "{" : ",", members[rest % 5]);
            seen |= 1u << rest % 5;
        }
        buf_u8(&text, '}');
        if (seen == 31) {
            converts_to(type, buf_cstr(&text), want);
            is_canonical(type, buf_cstr(&text));
            n++;
        }
        buf_done(&text);
    }
    TAP_IS(n == 120);
    converts_to(MIXED,
                "{\"m\":true,\"k\":[{\"z\":[1]}],\"f\":{\"y\":3},\"e\":\"s\",\"a\":0,\"i\":true}",
                "{\"a\": 0, \"b\": \"\", \"c\": [], \"d\": [false, false], \"e\": \"s\", \"f\": "
                "{\"x\": 0, \"y\": 3}, \"g\": {}, \"h\": 0, \"i\": true, \"j\": {\"x\": 0, \"y\": "
                "0}, \"k\": [{\"z\": [1]}], \"l\": [], \"m\": true}");
}

/* Of a key that comes again the last value counts, on the wire too. */
static void keys_go_out_once(void)
{
    static const unsigned sizes[] = {20000, 1000, 100, 61};
    struct buf text = BUF_INIT(1 << 20);

    converts_to("map from (string) to (int32)", "{\"a\":1,\"b\":2,\"a\":3}",
                "{\"b\": 2, \"a\": 3}");
    is_canonical("map from (string) to (int32)", "{\"a\":1,\"b\":2,\"a\":3}");
    is_canonical("map from (string) to (int32)", "{\"a\":1,\"\\u0061\":3,\"\":1,\"\":2}");
    is_canonical("map from (int32) to (bool)", "{\"7\":true,\"-7\":true,\"007\":false}");
    is_canonical("interface", "{\"a\":{\"x\":1,\"x\":[{\"y\":1,\"y\":{}}]},\"a\":[{\"x\":1,"
                              "\"x\":2}],\"z\":null}");
    /* The count gets shorter, or stays as long. */
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        unsigned n = sizes[k], different = n > 1000 ? 200 : 60;

        buf_reset(&text);
        for (unsigned i = 0; i < n; i++)
            buf_printf(&text, "%s\"k%u\":%u", i > 0 ? "," : "{", i * 7 % different, i);
        buf_u8(&text, '}');
        is_canonical("interface", buf_cstr(&text));
        is_canonical("map from (string) to (int32)", buf_cstr(&text));
    }
    buf_done(&text);
}

static void zero_fields_are_left_out(void)
{
    static const char *const zeros[] = {
        "{}",
        "{\"a\":0,\"b\":\"\",\"c\":[],\"d\":[false,false],\"e\":null,\"f\":null,\"g\":{}}",
        "{\"h\":0,\"i\":false,\"j\":{\"x\":0},\"k\":null,\"l\":\"\",\"m\":false}",
        "{\"a\":\"-0\",\"c\":null,\"g\":null,\"h\":-0.0e5,\"j\":{},\"k\":[],\"l\":[]}",
        "{\"m\":false,\"a\":000}",
        "{\"h\":\"0\",\"a\":\"0\"}",
    };
    static const char *const others[] = {
        "{\"a\":1,\"b\":\"\",\"c\":[0],\"d\":[false,true],\"e\":0}",
        "{\"h\":\"NaN\",\"m\":true}",
        "{\"f\":{},\"k\":[null]}",
        "{\"g\":{\"0\":\"\"},\"e\":\"\"}",
        "{\"l\":[0],\"e\":[]}",
        "{\"j\":{\"y\":1},\"e\":{}}",
        "{\"e\":false}",
        "{\"l\":\"\\u0000\"}",
    };
    struct buf empty = BUF_INIT(1000);

    TAP_IS(convert(MIXED, "{}", &empty, NULL) == 0);
    for (size_t i = 0; i < sizeof zeros / sizeof zeros[0]; i++) {
        struct buf out = BUF_INIT(1000);

        TAP_IS(convert(MIXED, zeros[i], &out, NULL) == 0);
        TAP_OK(span_equal(buf_span(&out), buf_span(&empty)), "%s", zeros[i]);
        is_canonical(MIXED, zeros[i]);
        buf_done(&out);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        is_canonical(MIXED, others[i]);
    /* The default time is zero, and any other is not. */
    is_canonical("struct {T named \"time.Time\" bytes; B bool}",
                 "{\"t\":[1,0,0,0,0,0,0,0,0,0,0,0,0,255,255],\"b\":true}");
    is_canonical("struct {T named \"time.Time\" bytes}",
                 "{\"t\":[1,0,0,0,0,0,0,0,1,0,0,0,0,255,255]}");
    is_canonical("struct {A array[3] of (byte); B array[0] of (int32)}",
                 "{\"a\":[0,0,0],\"b\":[]}");
    is_canonical("struct {A array[3] of (byte); B array[2] of (" POINT ")}",
                 "{\"a\":\"\\u0000\\u0000a\",\"b\":[{},{\"x\":0}]}");
    buf_done(&empty);
}

static void names_of_members(void)
{
    converts_to("struct {MTimeNS int64}", "{\"mTimeNS\":5}", "{\"mTimeNS\": 5}");
    converts_to("struct {MTimeNS int64}", "{\"mtimens\":5}", "{\"mTimeNS\": 5}");
    converts_to("struct {TTL int64; Ttl int64}", "{\"ttl\":5}", "{\"tTL\": 0, \"ttl\": 5}");
    converts_to("struct {TTL int64; Ttl int64}", "{\"tTl\":5}", "{\"tTL\": 5, \"ttl\": 0}");
    converts_to("struct {\xc3\x89lan int64}", "{\"\xc3\xa9lan\":5}", "{\"\xc3\xa9lan\": 5}");
    converts_to("struct {\xc3\x89lan int64}", "{\"\\u00e9LAN\":5}", "{\"\xc3\xa9lan\": 5}");
    converts_to("struct {K int64}", "{\"\xe2\x84\xaa\":5}", "{\"k\": 5}");
    converts_to("struct {A_b int64}", "{\"a_b\":5}", "{\"a_b\": 5}");
    converts_to("struct {Foo-Bar int64}", "{\"foo-bar\":5}", "{\"foo-Bar\": 5}");
    is_refused("named \"p/q.T\" struct {A int64}", "{\"a b\":5}", WSPR_EINVAL,
               "no field named 'A B' found in struct T. (JSON was \"{\\\"a b\\\":5}\")");
    is_refused("struct {A int64}", "{\"\":5}", WSPR_EINVAL, "no field named '' found in struct .");
    converts_to("struct {S int64}", "{\"\xc5\xbf\":5}", "{\"s\": 5}");
    is_refused("struct {A int64; B int64}", "{\"a\":5,\"b\":6,\"A\":7}", WSPR_EINVAL,
               "error decoding transcoded json: vom: decoding saw 2 leftover bytes");
    is_refused("struct {A int64; B int64}", "{\"a\":5,\"a\":\"x\"}", WSPR_EINVAL,
               "strconv.ParseInt: parsing \"x\": invalid syntax");
}

static void text_is_lax_and_complete(void)
{
    static const char s[] = "string";

    converts_to(s, "\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"\\/\"",
                "\"\\u0007\\b\\f\\n\\r\\t\\u000b\\\\\\\"/\"");
    converts_to(s, "\"\\x41\\101\\u0041\\U00000041\"", "\"AAAA\"");
    converts_to(s, "\"\\xe2\\x82\\xac\\303\\251\"", "\"\xe2\x82\xac\xc3\xa9\"");
    converts_to(s, "\"\\ud83d\\ude00\\ud83d\\ude00\\ud83d\\U0001f600\\ude00x\"",
                "\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xef\xbf\xbd\xf0\x9f\x98\x80\xef\xbf\xbdx\"");
    converts_to(s, "\"\xff\t\x01\xc3\"", "\"\xef\xbf\xbd\\t\\u0001\xef\xbf\xbd\"");
    converts_to(s, "\xc2\xa0\xe2\x80\x83\x0b \"a\"", "\"a\"");
    is_refused(s, "\"\\400\"", WSPR_EINVAL, "invalid syntax");
    is_refused(s, "\"\\18\"", WSPR_EINVAL, "invalid syntax");
    is_refused(s, "\"\\U00110000\"", WSPR_EINVAL, "invalid syntax");
    is_refused(s, "\"\\u12\"", WSPR_EINVAL, "invalid syntax");
    is_refused(s, "\"\\z\"", WSPR_EINVAL, "invalid syntax");
    is_refused(s, "\"\\\n\"", WSPR_EINVAL, "invalid syntax");
    is_refused(s, "\"\\\"", WSPR_EINVAL, "object: EOF (");
    is_refused(s, "\xe2\x82", WSPR_EINVAL, "invalid rune while tokenizing 65533");
    is_refused("float64", "1e", WSPR_EINVAL, "object: EOF (");
    is_refused("float64", "1e+", WSPR_EINVAL, "empty natural number");
    is_refused("float64", "1ex", WSPR_EINVAL, "exponential number with no +/- afterwards");
    is_refused("float64", "n\xc3\xa9", WSPR_EINVAL, "unexpected rune 233. Expected 117");
    converts_to("float64", "1E5", "100000");
    converts_to("float32", "16777217", "1.6777216e+07");
    converts_to("float64", "\"-infinity\"", "null");
    is_refused("float64", "\"+nan\"", WSPR_EINVAL, "invalid syntax");
    is_refused("float64", "\"infinit\"", WSPR_EINVAL, "invalid syntax");
}

static void parts_of_every_kind(void)
{
    converts_to("map from (bool) to (int8)", "{\"T\":1,\"0\":2}", "{\"true\": 1, \"false\": 2}");
    converts_to("map from (" POINT ") to (string)", "{\"{\\\"y\\\":2,\\\"x\\\":1} \":\"p\"}",
                "{\"{\\\"x\\\": 1, \\\"y\\\": 2}\": \"p\"}");
    converts_to("map from (interface) to (string)", "{\"[1,{\\\"a\\\":\\\"\\\"}]\":\"p\"}",
                "{\"[1, {\\\"a\\\": \\\"\\\"}]\": \"p\"}");
    converts_to("slice of (pointer to (int32))", "[null,5]", "[null, 5]");
    converts_to("pointer to (pointer to (string))", "\"a\"", "\"a\"");
    converts_to("map from (uint) to (uintptr)", "{\"7\":\"8\"}", "{\"7\": 8}");
    converts_to("map from (string) to (int32)", "null", "{}");
    converts_to("map from (named \"a.B\" string) to (int32)", "{\"\\u0041\":1}", "{\"A\": 1}");
    converts_to("named \"a.L\" slice of (named \"a.B\" byte)", "\"ab\"", "[97, 98]");
    converts_to("slice of (named \"veyron2/verror.error\" interface)", "[null,\"\",\"no\"]",
                "[null, null, \"no\"]");
    converts_to("interface", "[1,\"2\",null,{\"a\":[true]}]", "[1, \"2\", null, {\"a\": [true]}]");
    converts_to("struct {A int32}", "{\"a\":1,} x", "{\"a\": 1}");
}

static void errors_in_parts(void)
{
    is_refused("map from (" POINT ") to (string)", "{\"[]\":\"p\"}", WSPR_EINVAL,
               "error in transcoding key string '[]': poorly formatted map or struct.");
    is_refused("array[2] of (string)", "[\"abc\",\"\",\"de\",\"f\"]", WSPR_EINVAL,
               "vom: decoding saw 5 leftover bytes");
    is_refused("array[4] of (byte)", "\"abc\"", WSPR_EINVAL, "error decoding transcoded json: EOF");
    is_refused("array[2] of (byte)", "\"abc\"", WSPR_EINVAL,
               "error decoding transcoded json: vom: decoding saw 1 leftover bytes");
    is_refused("named \"a.error\" interface", "[\"x\"]", WSPR_EINVAL,
               "error must be a string. was [");
    is_refused("interface", "}", WSPR_EINVAL, "invalid token starting interface: }");
    is_refused("slice of (interface)", "[,]", WSPR_EINVAL, "invalid token starting interface: ,");
    is_refused("slice of (int32)", "[1,x]", WSPR_EINVAL,
               "error during Peek(): invalid rune while tokenizing 120");
    is_refused("slice of (int32)", "[", WSPR_EINVAL, "object: EOF (");
    is_refused("slice of (int32)", "[}", WSPR_EINVAL, "error during Peek(): EOF");
    is_refused("slice of (slice of (int32))", "[[1,2],[3,\"\\z\"]]", WSPR_EINVAL,
               "error during Peek(): invalid syntax");
    is_refused("struct {A slice of (int32)}", "{\"a\":[1 2]}", WSPR_EINVAL,
               "expected array terminator ']'. Saw '{NUMBER,\"2\"}'");
    is_refused("int32", "{", WSPR_EINVAL, "cannot decode value of kind { into number");
    TAP_IS(convert("interface", "null", &BUF_INIT(10), NULL) == VOM_JSON_NIL);
    TAP_IS(convert("named \"veyron2/verror.error\" interface", "\"\"", &BUF_INIT(10), NULL) ==
           VOM_JSON_NIL);
}

/* An encoder that met errors goes on: the stream holds the values that were right. */
static void failed_values_leave_the_stream_whole(void)
{
    static const char *const texts[] = {
        "{\"k\":[{\"a\":1},[2]],\"b\":", "{\"k\":[[1]],\"e\":{\"x\":1}}", "{\"f\":{\"x\":\"no\"}}",
        "{\"f\":{\"x\":1}}"};
    struct arena a = NOTATION_ARENA, scratch = ARENA_INIT(1 << 20);
    const struct vom_type *t = notation_type(&a, MIXED);
    struct buf out = BUF_INIT(1 << 20);
    struct vom_enc enc;
    struct vom_dec dec;
    unsigned good = 0;

    vom_enc_init(&enc);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        good += vom_json_encode(&enc, &out, t, span_str(texts[i]), &scratch, NULL) == 0;
        arena_reset(&scratch);
    }
    TAP_IS(good == 2);
    vom_dec_init(&dec, NULL);
    for (struct span s = buf_span(&out); good > 0 || s.len > 0; good--) {
        struct vom_msg msg;
        struct vom_value v;
        ssize_t n = vom_dec_next(&dec, s.p, s.len, &msg, NULL);

        TAP_IS(good > 0 && n > 0 && vom_dec_value(&dec, &msg, &a, &v, NULL) == 0);
        if (n <= 0)
            break;
        s = span_of(s.p + n, s.len - (size_t)n);
    }
    vom_dec_done(&dec);
    vom_enc_done(&enc);
    buf_done(&out);
    arena_done(&a);
    arena_done(&scratch);
}

static const char everything[] =
    "{\"m\":true,\"k\":[{\"z\":[1]},null,\"\\n\"],\"f\":{\"y\":3},\"e\":\"s\",\"a\":\"7\","
    "\"g\":{\"5\":\"\\x41\"},\"d\":[true,false],\"c\":\"\xc3\xa9\",\"h\":1e300,\"l\":[1,255]}";

static void cut_at_each_byte(void)
{
    for (size_t cut = 0; cut < sizeof everything - 1; cut++) {
        char *text = calloc(1, cut + 1);
        struct buf out = BUF_INIT(1 << 16);

        memcpy(text, everything, cut);
        TAP_OK(convert(MIXED, text, &out, NULL) == WSPR_EINVAL, "cut at %zu", cut);
        buf_done(&out);
        free(text);
    }
    is_refused(MIXED, "", WSPR_EINVAL, "object: EOF (JSON was \"\")");
}

/* Whatever runs short: an error, and an encoder that is none the worse. */
static void limits(void)
{
    struct arena a = NOTATION_ARENA;
    const struct vom_type *t = notation_type(&a, MIXED);
    struct buf whole = BUF_INIT(1 << 16), deep = BUF_INIT(1 << 16);

    TAP_IS(convert(MIXED, everything, &whole, NULL) == 0);
    for (size_t max = 0; max <= whole.len; max++) {
        struct arena scratch = ARENA_INIT(1 << 20);
        struct buf out = BUF_INIT(max);
        struct vom_enc enc;
        int r;

        vom_enc_init(&enc);
        r = vom_json_encode(&enc, &out, t, span_str(everything), &scratch, NULL);
        TAP_OK(r == (max < whole.len ? WSPR_ELIMIT : 0), "limit %zu: %d", max, r);
        TAP_OK(r == 0 || out.len == 0, "limit %zu: %zu bytes", max, out.len);
        buf_done(&out);
        out = BUF_INIT(1 << 16);
        if (r < 0) {
            TAP_IS(vom_json_encode(&enc, &out, t, span_str(everything), &scratch, NULL) == 0);
            TAP_IS(span_equal(buf_span(&out), buf_span(&whole)));
        }
        vom_enc_done(&enc);
        buf_done(&out);
        arena_done(&scratch);
    }
    for (size_t max = 0; max <= 1024; max += 16) {
        struct arena scratch = ARENA_INIT(max);
        struct buf out = BUF_INIT(1 << 16);
        struct vom_enc enc;
        int r;

        vom_enc_init(&enc);
        r = vom_json_encode(&enc, &out, t, span_str(everything), &scratch, NULL);
        TAP_OK(r == 0 || (r == WSPR_ELIMIT && max < 1000), "scratch of %zu: %d", max, r);
        vom_enc_done(&enc);
        buf_done(&out);
        arena_done(&scratch);
    }
    for (int depth = 1; depth < 400; depth += 126) {
        buf_reset(&deep);
        for (int i = 0; i < depth; i++)
            buf_u8(&deep, '[');
        for (int i = 0; i < depth; i++)
            buf_u8(&deep, ']');
        /* The outermost list is no interface; each other list takes two levels. */
        if (depth < VOM_DEPTH_MAX / 2)
            is_canonical("interface", buf_cstr(&deep));
        else
            is_refused("interface", buf_cstr(&deep), WSPR_ELIMIT, NULL);
    }
    buf_done(&whole);
    buf_done(&deep);
    arena_done(&a);
}

static void convert_once(void *arg)
{
    struct buf out = BUF_INIT(1 << 16);
    struct err e = ERR_INIT;
    struct arena scratch = ARENA_INIT(1 << 20);
    struct vom_enc enc;
    int r;

    vom_enc_init(&enc);
    r = vom_json_encode(&enc, &out, arg, span_str(everything), &scratch, &e);
    TAP_IS(r == 0 || r == WSPR_ENOMEM);
    TAP_IS(r == 0 || out.len == 0 || enc.n_types > 0);
    r = vom_json_encode(&enc, &out, arg, span_str("{\"a\":\"x\"}"), &scratch, &e);
    TAP_IS(r == WSPR_EINVAL || r == WSPR_ENOMEM || r == WSPR_ELIMIT);
    err_done(&e);
    vom_enc_done(&enc);
    buf_done(&out);
    arena_done(&scratch);
}

static void survives_lack_of_memory(void)
{
    struct arena a = NOTATION_ARENA;

    TAP_IS(failmalloc_each(convert_once, (void *)notation_type(&a, MIXED), 200) > 5);
    arena_done(&a);
}

/* So that a value of megabytes is in memory as text and as VOM, and not once more. */
static void long_text_takes_no_scratch(void)
{
    static char text[65536];
    const struct vom_type *types[] = {&vom_type_string, &vom_type_bytes, &vom_type_any};

    memset(text, 'x', sizeof text - 1);
    text[0] = text[sizeof text - 2] = '"';
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct buf out = BUF_INIT(1 << 20);
        struct arena scratch = ARENA_INIT(1 << 20);
        struct vom_enc enc;

        vom_enc_init(&enc);
        TAP_IS(vom_json_encode(&enc, &out, types[i], span_str(text), &scratch, NULL) == 0);
        TAP_OK(scratch.used == 0 && out.len >= sizeof text - 3, "%zu bytes", scratch.used);
        vom_enc_done(&enc);
        buf_done(&out);
        arena_done(&scratch);
    }
}

/*
 * Names of fields that differ only at their end, and members that are none of them: what a text may
 * cost counts their length.
 */
static void long_names(void)
{
    enum { FIELDS = 1000, MEMBERS = 200, LENGTH = 500, ROOM = LENGTH + 8 };
    struct vom_field *fields = calloc(FIELDS, sizeof *fields);
    char *names = malloc((size_t)FIELDS * ROOM);
    struct vom_type type = {.kind = VOM_KIND_STRUCT, .n_fields = FIELDS, .fields = fields};
    struct buf text = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
    struct arena scratch = ARENA_INIT(1 << 20);
    struct vom_enc enc;
    struct err e = ERR_INIT;

    memset(names, 'N', (size_t)FIELDS * ROOM);
    for (int i = 0; i < FIELDS; i++) {
        char *name = names + i * ROOM;
        int n = snprintf(name + LENGTH, ROOM - LENGTH, "%d", i);

        fields[i] = (struct vom_field){span_of(name, (size_t)(LENGTH + n)), &vom_type_int32};
    }
    /* The last of the fields, in another case: all are looked at. */
    for (int i = 0; i < MEMBERS; i++)
        buf_printf(&text, "%s\"%.*sn%d\":1", i > 0 ? "," : "{", LENGTH - 1, names, FIELDS - 1);
    buf_u8(&text, '}');
    vom_enc_init(&enc);
    TAP_IS(vom_json_encode(&enc, &out, &type, buf_span(&text), &scratch, &e) == WSPR_ELIMIT);
    TAP_OK(strncmp(err_text(&e), "too many members", 16) == 0, "%.80s", err_text(&e));
    vom_enc_done(&enc);
    err_done(&e);
    arena_done(&scratch);
    buf_done(&text);
    buf_done(&out);
    free(names);
    free(fields);
}

const struct tap_case vom_json_in_cases[VOM_JSON_IN_CASES] = {
    {"members in any order", members_in_any_order},
    {"long names", long_names},
    {"keys go out once", keys_go_out_once},
    {"zero fields are left out", zero_fields_are_left_out},
    {"names of members", names_of_members},
    {"text is lax and complete", text_is_lax_and_complete},
    {"parts of every kind", parts_of_every_kind},
    {"errors in parts", errors_in_parts},
    {"failed values leave the stream whole", failed_values_leave_the_stream_whole},
    {"cut at each byte", cut_at_each_byte},
    {"limits", limits},
    {"long text takes no scratch", long_text_takes_no_scratch},
    {"each allocation failing", survives_lack_of_memory},
};

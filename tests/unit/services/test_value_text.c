#include "config.h"

#include <math.h>

#include "services/value_text.h"
#include "services_tests.h"
#include "vom/wiretypes.h"

static void text_is(struct vom_value v, const char *want)
{
    struct buf text = BUF_INIT(4096);

    value_text_append(&text, &v);
    TAP_OK(span_equal_str(buf_span(&text), want), "\"%.*s\", not \"%s\"", SPAN_ARG(buf_span(&text)),
           want);
    buf_done(&text);
}

static void scalars(void)
{
    static const struct {
        double v;
        const char *text, *text32;
    } floats[] = {
        {1.5, "1.5", "1.5"},
        {2, "2", "2"},
        {123456, "123456", "123456"},
        {1e6, "1e+06", "1e+06"},
        {1e-5, "1e-05", "1e-05"},
        {1e-4, "0.0001", "0.0001"},
        {0.1, "0.1", "0.1"},
        {1234567, "1.234567e+06", "1.234567e+06"},
        {1e100, "1e+100", "+Inf"},
        {-0.0, "-0", "-0"},
        {NAN, "NaN", "NaN"},
        {-INFINITY, "-Inf", "-Inf"},
        {999999.5, "999999.5", "999999.5"},
        {1.0 / 3, "0.3333333333333333", "0.33333334"},
    };

    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++) {
        text_is(vom_value_float(&vom_type_float64, floats[i].v), floats[i].text);
        text_is(vom_value_float(&vom_type_float32, (float)floats[i].v), floats[i].text32);
    }
    text_is(vom_value_str("hello \"x\""), "hello \"x\"");
    text_is(vom_value_bool(&vom_type_bool, true), "true");
    text_is(vom_value_bool(&vom_type_bool, false), "false");
    text_is(vom_value_int(&vom_type_int64, INT64_MIN), "-9223372036854775808");
    text_is(vom_value_uint(&vom_type_uint64, UINT64_MAX), "18446744073709551615");
    text_is(vom_value_uint(&vom_type_byte, 200), "200");
    text_is(vom_value_int(&vom_type_int8, -3), "-3");
    text_is(vom_value_span(&vom_type_bytes, span_str("hi")), "[104 105]");
    text_is(vom_value_zero(&vom_type_bytes), "[]");
    text_is(vom_value_zero(&vom_type_any), "<nil>");
}

static void composites(void)
{
    static const struct vom_field fields[] = {
        VOM_FIELD("A", &vom_type_int32),
        VOM_FIELD("B", &vom_type_string),
    };
    static const struct vom_type pair = VOM_TYPE_STRUCT("x.Pair", fields);
    static const struct vom_type map = VOM_TYPE_MAP("", &vom_type_string, &vom_type_int32);
    static const struct vom_type ptr = VOM_TYPE_PTR("", &pair);
    static const struct vom_type array = VOM_TYPE_ARRAY("", &vom_type_bool, 2);
    static const struct vom_type bytes = VOM_TYPE_ARRAY("", &vom_type_byte, 3);
    static const struct vom_type errors = VOM_TYPE_SLICE("", &vom_type_verror_standard);
    struct arena a = ARENA_INIT(65536);
    struct vom_value v, w, any;

    TAP_IS(vom_value_new_list(&a, &vom_type_string_list, 2, &v) == 0);
    vom_value_set(&v, 0, vom_value_str("a"));
    vom_value_set(&v, 1, vom_value_str("b c"));
    text_is(v, "[a b c]");
    TAP_IS(vom_value_new_map(&a, &map, 2, &v) == 0);
    vom_value_put(&v, 0, vom_value_str("x"), vom_value_int(&vom_type_int32, 1));
    vom_value_put(&v, 1, vom_value_str("y"), vom_value_int(&vom_type_int32, -2));
    text_is(v, "map[x:1 y:-2]");
    TAP_IS(vom_value_new_struct(&a, &pair, &v) == 0);
    vom_value_set_field(&v, "A", vom_value_int(&vom_type_int32, 5));
    text_is(v, "{5 }");
    text_is(vom_value_zero(&pair), "{0 }");
    TAP_IS(vom_value_new_to(&a, &ptr, v, &w) == 0);
    text_is(w, "&{5 }");
    text_is(vom_value_zero(&ptr), "<nil>");
    text_is(vom_value_zero(&array), "[false false]");
    text_is(vom_value_zero(&bytes), "[0 0 0]");
    TAP_IS(vom_verror_new(&a, span_str("an.id"), span_str("the text"), &v) == 0);
    text_is(v, "the text");
    TAP_IS(vom_value_new_list(&a, &errors, 1, &w) == 0);
    vom_value_set(&w, 0, v);
    text_is(w, "[the text]");
    TAP_IS(vom_value_new_to(&a, &vom_type_verror_standard_ptr, v, &w) == 0);
    text_is(w, "the text");
    TAP_IS(vom_value_new_list(&a, &vom_type_any_list, 2, &v) == 0);
    TAP_IS(vom_value_new_to(&a, &vom_type_any, vom_value_float(&vom_type_float64, 1e9), &any) == 0);
    vom_value_set(&v, 0, any);
    text_is(v, "[1e+09 <nil>]");
    TAP_IS(vom_value_new_struct(&a, &vom_type_complex64, &v) == 0);
    vom_value_set_field(&v, "R", vom_value_float(&vom_type_float32, 1.5));
    text_is(v, "(1.5+0i)");
    vom_value_set_field(&v, "I", vom_value_float(&vom_type_float32, -2));
    text_is(v, "(1.5-2i)");
    arena_done(&a);
}

/* Only so much is written, whatever the value holds. */
static void cut(void)
{
    static uint8_t many[100000];
    struct buf text = BUF_INIT(10);
    struct vom_value v = vom_value_str("hello, world");

    value_text_append(&text, &v);
    TAP_IS(span_equal_str(buf_span(&text), "hello, wor"));
    buf_done(&text);
    text = BUF_INIT(10);
    v = vom_value_span(&vom_type_bytes, span_of(many, sizeof many));
    value_text_append(&text, &v);
    TAP_IS(text.len <= 10 && buf_error(&text) == WSPR_ELIMIT);
    buf_done(&text);
}

/* A list in a list in a list …, and one that holds itself. */
static void deep(void)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct vom_value v = vom_value_zero(&vom_type_any_list), any, cycle;
    struct buf text = BUF_INIT(65536);

    for (int i = 0; i < 200; i++) {
        TAP_IS(vom_value_new_to(&a, &vom_type_any, v, &any) == 0);
        TAP_IS(vom_value_new_list(&a, &vom_type_any_list, 1, &v) == 0);
        vom_value_set(&v, 0, any);
    }
    value_text_append(&text, &v);
    TAP_OK(buf_error(&text) == 0 && text.len < 500, "%zu bytes", text.len);
    buf_done(&text);
    text = BUF_INIT(65536);
    TAP_IS(vom_value_new_list(&a, &vom_type_any_list, 2, &cycle) == 0);
    any = vom_value_to(&vom_type_any, &cycle);
    vom_value_set(&cycle, 0, any);
    value_text_append(&text, &cycle);
    TAP_OK(buf_error(&text) == 0 && text.len < 1000, "%zu bytes", text.len);
    buf_done(&text);
    arena_done(&a);
}

const struct tap_case value_text_cases[VALUE_TEXT_CASES] = {
    {"scalars", scalars},
    {"composites", composites},
    {"a text that is too long", cut},
    {"values that are too deep", deep},
};

#include "config.h"
#include "notation.h"
#include "suites.h"
#include "vom/wiretypes.h"

#include <math.h>

static struct vom_value value(struct arena *a, const char *type, const char *json)
{
    struct json_object *o = json_tokener_parse(json);
    struct vom_value v = notation_value(a, notation_type(a, type), o);

    json_object_put(o);
    return v;
}

static void builders(void)
{
    struct arena a = NOTATION_ARENA;
    struct vom_value v, w;

    TAP_IS(vom_value_new_struct(&a, &vom_type_mounted_server, &v) == 0);
    vom_value_set_field(&v, "Server", vom_value_str("s1"));
    vom_value_set_field(&v, "TTL", vom_value_uint(&vom_type_uint32, 7));
    TAP_IS(vom_value_len(&v) == 2);
    TAP_IS(span_equal_str(vom_value_field(&v, "Server").s, "s1"));
    TAP_IS(vom_value_field(&v, "TTL").u == 7 && vom_value_at(&v, 1).u == 7);
    TAP_IS(vom_value_field(&v, "Nothing").type == NULL);
    TAP_IS(vom_value_new_list(&a, &vom_type_mounted_server_list, 2, &w) == 0);
    vom_value_set(&w, 1, v);
    TAP_IS(vom_value_len(&w) == 2);
    TAP_IS(vom_value_is_zero(&w.items[0]) && !vom_value_is_zero(&w.items[1]));
    TAP_IS(vom_value_new_map(&a, &vom_type_any_map, 1, &v) == 0);
    TAP_IS(vom_value_new_to(&a, &vom_type_any, w, &w) == 0);
    vom_value_put(&v, 0, vom_value_str("k"), w);
    TAP_IS(vom_value_deref(vom_value_lookup(&v, span_str("k"))).type ==
           &vom_type_mounted_server_list);
    TAP_IS(vom_value_lookup(&v, span_str("l")).type == NULL);
    TAP_IS(span_equal_str(vom_value_key(&v, 0).s, "k") && vom_value_elem(&v, 0).to == w.to);
    TAP_IS(vom_value_new_struct(&a, &vom_type_any, &v) == WSPR_EINVAL);
    TAP_IS(vom_value_new_list(&a, &vom_type_any_map, 1, &v) == WSPR_EINVAL);
    TAP_IS(vom_value_new_map(&a, &vom_type_any_list, 1, &v) == WSPR_EINVAL);
    TAP_IS(vom_value_new_to(&a, &vom_type_bool, v, &v) == WSPR_EINVAL);
    TAP_IS(vom_value_new_list(&a, &vom_type_any_list, SIZE_MAX / 2, &v) == WSPR_ELIMIT);
    TAP_IS(vom_value_new_map(&a, &vom_type_any_map, SIZE_MAX / 4, &v) == WSPR_ELIMIT);
    arena_done(&a);
}

/* Each kind of element storage: bytes, words, values. */
static void list_storage(void)
{
    static const struct {
        const char *type, *json;
    } rows[] = {
        {"bytes", "{\"bytes\": \"00ff7f\"}"},
        {"slice of (named \"a.B\" byte)", "[\"0\", \"255\", \"127\"]"},
        {"array[3] of (byte)", "[\"0\", \"255\", \"127\"]"},
        {"slice of (bool)", "[true, false, true]"},
        {"slice of (int8)", "[\"-1\", \"0\", \"127\"]"},
        {"array[3] of (uint64)", "[\"18446744073709551615\", \"0\", \"1\"]"},
        {"slice of (float32)",
         "[{\"f64\": \"3ff8000000000000\"}, {\"f64\": \"0\"}, {\"f64\": \"0\"}]"},
        {"slice of (string)", "[\"a\", \"b\", \"c\"]"},
        {"slice of (interface)", "[null, null, {\"any\": {\"type\": \"bool\", \"value\": true}}]"},
    };
    struct arena a = NOTATION_ARENA;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct vom_value v = value(&a, rows[i].type, rows[i].json), w;

        TAP_IS(vom_value_len(&v) == 3);
        TAP_IS(vom_value_new_list(&a, v.type, 3, &w) == 0);
        TAP_OK(vom_value_equal(&v, &w) == 0, "%s differs from zeros", rows[i].type);
        for (size_t k = 0; k < 3; k++)
            vom_value_set(&w, k, vom_value_at(&v, k));
        TAP_OK(vom_value_equal(&v, &w) == 1, "%s by element", rows[i].type);
    }
    arena_done(&a);
}

static void zeros(void)
{
    static const struct {
        const char *type, *json;
        bool zero;
    } rows[] = {
        {"bool", "false", true},
        {"bool", "true", false},
        {"int8", "\"0\"", true},
        {"int64", "\"-1\"", false},
        {"float64", "{\"f64\": \"8000000000000000\"}", true},
        {"float64", "{\"f64\": \"7ff8000000000001\"}", false},
        {"string", "\"\"", true},
        {"string", "\"x\"", false},
        {"slice of (int)", "[]", true},
        {"slice of (int)", "[\"0\"]", false},
        {"array[2] of (int)", "[\"0\", \"0\"]", true},
        {"array[2] of (int)", "[\"0\", \"1\"]", false},
        {"array[1] of (float32)", "[{\"f64\": \"8000000000000000\"}]", true},
        {"array[2] of (byte)", "[\"0\", \"1\"]", false},
        {"map from (int) to (int)", "{\"map\": []}", true},
        {"struct {A int; B string}", "{\"A\": \"0\", \"B\": \"\"}", true},
        {"struct {A int; B string}", "{\"A\": \"0\", \"B\": \"b\"}", false},
        {"pointer to (int)", "null", true},
        {"pointer to (int)", "{\"ptr\": 1, \"to\": \"0\"}", false},
        {"interface", "null", true},
        {"interface", "{\"any\": {\"type\": \"int\", \"value\": \"0\"}}", false},
        {"named \"time.Time\" bytes", "{\"bytes\": \"01000000000000000000000000ffff\"}", true},
        {"named \"time.Time\" bytes", "{\"bytes\": \"01000000000000000100000000ffff\"}", false},
        {"bytes", "{\"bytes\": \"01000000000000000000000000ffff\"}", false},
    };
    struct arena a = NOTATION_ARENA;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct vom_value v = value(&a, rows[i].type, rows[i].json), zero;

        TAP_OK(vom_value_is_zero(&v) == rows[i].zero, "%s %s", rows[i].type, rows[i].json);
        zero = vom_value_zero(v.type);
        TAP_OK(vom_value_is_zero(&zero), "zero of %s", rows[i].type);
    }
    /* Zeros of composites need no memory but read as if they had it. */
    {
        struct vom_value v = vom_value_zero(&vom_type_ipc_request);

        TAP_IS(vom_value_len(&v) == 7 && vom_value_field(&v, "Timeout").i == 0);
        v = vom_value_zero(notation_type(&a, "array[4] of (bool)"));
        TAP_IS(vom_value_len(&v) == 4 && !vom_value_at(&v, 3).b);
        v = vom_value_zero(notation_type(&a, "array[4] of (byte)"));
        TAP_IS(vom_value_len(&v) == 4 && vom_value_at(&v, 3).u == 0);
    }
    arena_done(&a);
}

/* n entries whose keys are i % distinct; the element tells which one it was. */
static struct vom_value int_map(struct arena *a, size_t n, size_t distinct)
{
    struct vom_value m;

    vom_value_new_map(a, notation_type(a, "map from (int) to (uint)"), n, &m);
    for (size_t i = 0; i < n; i++)
        vom_value_put(&m, i, vom_value_int(&vom_type_int, (int64_t)(i * 7919 % distinct) - 5),
                      vom_value_uint(&vom_type_uint, i));
    return m;
}

static void last_entry_wins(void)
{
    static const struct {
        size_t n, distinct;
    } rows[] = {{2, 1}, {8, 3}, {9, 9}, {9, 1}, {100, 7}, {1000, 1000}, {1000, 999}};
    struct arena a = NOTATION_ARENA;

    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct vom_value m = int_map(&a, rows[r].n, rows[r].distinct);
        struct vom_value all = int_map(&a, rows[r].n, rows[r].distinct);

        TAP_IS(vom_map_dedupe(&m) == 0);
        TAP_OK(m.n == rows[r].distinct, "%zu of %zu entries remain", m.n, rows[r].n);
        for (size_t i = 0; i < m.n; i++) {
            uint64_t last = 0;

            for (size_t k = 0; k < all.n; k++) {
                if (all.items[2 * k].i == m.items[2 * i].i)
                    last = k;
            }
            TAP_IS(m.items[2 * i + 1].u == last);
            /* In the order of the entries that remain. */
            TAP_IS(i == 0 || m.items[2 * i - 1].u < last);
        }
    }
    arena_done(&a);
}

static void keys_compare(void)
{
    struct arena a = NOTATION_ARENA;
    struct vom_value x, y;
    static const struct {
        const char *type, *a, *b;
        int order;
    } rows[] = {
        {"string", "\"a\"", "\"b\"", -1},
        {"bool", "true", "false", 1},
        {"int", "\"-1\"", "\"1\"", -1},
        {"uint", "\"18446744073709551615\"", "\"1\"", 1},
        {"float64", "{\"f64\": \"8000000000000000\"}", "{\"f64\": \"0\"}", 0},
        {"float64", "{\"f64\": \"bff0000000000000\"}", "{\"f64\": \"0\"}", -1},
        {"array[2] of (int)", "[\"1\", \"2\"]", "[\"1\", \"3\"]", -1},
        {"array[2] of (byte)", "[\"1\", \"2\"]", "[\"1\", \"2\"]", 0},
        {"struct {A int; B string}", "{\"A\": \"1\", \"B\": \"\"}", "{\"A\": \"1\", \"B\": \"\"}",
         0},
        {"interface", "null", "{\"any\": {\"type\": \"bool\", \"value\": true}}", -1},
        {"interface", "{\"any\": {\"type\": \"int\", \"value\": \"3\"}}",
         "{\"any\": {\"type\": \"int\", \"value\": \"3\"}}", 0},
        {"interface", "{\"any\": {\"type\": \"bool\", \"value\": true}}",
         "{\"any\": {\"type\": \"int\", \"value\": \"0\"}}", -1},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct vom_type *t = notation_type(&a, rows[i].type);
        struct json_object *o = json_tokener_parse(rows[i].a), *p = json_tokener_parse(rows[i].b);

        x = notation_value(&a, t, o);
        y = notation_value(&a, t, p);
        TAP_OK(vom_key_compare(&x, &y) == rows[i].order, "%s %s", rows[i].a, rows[i].b);
        TAP_OK(vom_key_compare(&y, &x) == -rows[i].order, "%s %s", rows[i].b, rows[i].a);
        TAP_IS(vom_key_equal(&x, &y) == (rows[i].order == 0));
        json_object_put(o);
        json_object_put(p);
    }
    x = vom_value_float(&vom_type_float64, NAN);
    y = vom_value_float(&vom_type_float64, 1);
    TAP_IS(!vom_key_equal(&x, &x) && vom_key_compare(&x, &x) == 0);
    TAP_IS(vom_key_compare(&x, &y) > 0 && vom_key_compare(&y, &x) < 0);
    vom_value_new_to(&a, &vom_type_any, x, &y);
    TAP_IS(!vom_key_equal(&y, &y));
    arena_done(&a);
}

#define PAIR "struct {P pointer to (int32); Q pointer to (int32)}"

static void copies_and_equality(void)
{
    struct arena from = NOTATION_ARENA, to = NOTATION_ARENA;
    struct vom_value shared =
        value(&from, PAIR, "{\"P\": {\"ptr\": 1, \"to\": \"5\"}, \"Q\": {\"ref\": 1}}");
    struct vom_value apart = value(
        &from, PAIR, "{\"P\": {\"ptr\": 1, \"to\": \"5\"}, \"Q\": {\"ptr\": 2, \"to\": \"5\"}}");
    struct vom_value copy, loop, other;

    TAP_IS(vom_value_equal(&shared, &apart) == 0 && vom_value_equal(&apart, &shared) == 0);
    TAP_IS(vom_value_copy(&to, &shared, &copy, NULL) == 0);
    TAP_IS(vom_value_equal(&copy, &shared) == 1);
    TAP_IS(copy.items[0].to == copy.items[1].to && copy.items[0].to != shared.items[0].to);
    loop = value(&from, "pointer to (named \"N\" struct {V int; Next pointer to (\"N\")})",
                 "{\"ptr\": 1, \"to\": {\"V\": \"1\", \"Next\": {\"ref\": 1}}}");
    other =
        value(&from, "pointer to (named \"N\" struct {V int; Next pointer to (\"N\")})",
              "{\"ptr\": 1, \"to\": {\"V\": \"1\", \"Next\": {\"ptr\": 2, \"to\": {\"V\": \"1\", "
              "\"Next\": {\"ref\": 1}}}}}");
    TAP_IS(vom_value_equal(&loop, &other) == 0);
    TAP_IS(vom_value_copy(&to, &loop, &copy, NULL) == 0 && vom_value_equal(&copy, &loop) == 1);
    TAP_IS(copy.to->items[1].to == copy.to);
    arena_done(&from);
    TAP_IS(span_equal_str(copy.to->type->name, "N") && copy.to->items[0].i == 1);
    TAP_IS(vom_value_deref(vom_value_zero(&vom_type_any)).type == NULL);
    arena_done(&to);
}

static void copies_stop_at_the_depth(void)
{
    struct arena a = NOTATION_ARENA;
    struct vom_value v = vom_value_zero(&vom_type_any), copy;
    struct err e = ERR_INIT;

    for (unsigned i = 0; i < VOM_DEPTH_MAX; i++)
        TAP_IS(vom_value_new_to(&a, &vom_type_any, v, &v) == 0);
    TAP_IS(vom_value_copy(&a, &v, &copy, &e) == 0);
    TAP_IS(vom_value_new_to(&a, &vom_type_any, v, &v) == 0);
    TAP_IS(vom_value_copy(&a, &v, &copy, &e) == WSPR_ELIMIT);
    TAP_IS(strcmp(err_text(&e), "vom: value is nested too deeply") == 0);
    err_done(&e);
    arena_done(&a);
}

const struct tap_case vom_value_cases[VOM_VALUE_CASES] = {
    {"builders", builders},
    {"list storage", list_storage},
    {"zeros", zeros},
    {"last entry wins", last_entry_wins},
    {"keys compare", keys_compare},
    {"copies and equality", copies_and_equality},
    {"copies stop at the depth", copies_stop_at_the_depth},
};

#include "config.h"

#include <time.h>

#include "notation.h"
#include "suites.h"
#include "vom/convert.h"
#include "vom/enc.h"
#include "vom/wiretypes.h"

/* Converts value `json` of type `from`; the result must be `want` of type `to`. */
static void converts(const char *from, const char *json, const char *to, const char *want)
{
    struct arena a = NOTATION_ARENA;
    struct json_object *o = json_tokener_parse(json), *w = json_tokener_parse(want);
    struct vom_value v = notation_value(&a, notation_type(&a, from), o), got, expected;
    struct err e = ERR_INIT;
    int r = vom_convert(&a, &v, notation_type(&a, to), NULL, &got, &e);

    expected = notation_value(&a, notation_type(&a, to), w);
    TAP_OK(r == 0 && vom_value_equal(&got, &expected) == 1, "%s %s into %s: %s", from, json, to,
           r < 0 ? err_text(&e) : "another value");
    err_done(&e);
    json_object_put(o);
    json_object_put(w);
    arena_done(&a);
}

static void does_not(const char *from, const char *json, const char *to, const char *error)
{
    struct arena a = NOTATION_ARENA;
    struct json_object *o = json_tokener_parse(json);
    struct vom_value v = notation_value(&a, notation_type(&a, from), o), got;
    struct err e = ERR_INIT;
    int r = vom_convert(&a, &v, notation_type(&a, to), NULL, &got, &e);

    TAP_OK(r == WSPR_ETYPE && strcmp(err_text(&e), error) == 0, "%s %s into %s: %s", from, json, to,
           err_text(&e));
    err_done(&e);
    json_object_put(o);
    arena_done(&a);
}

#define NODE1 "pointer to (named \"A\" struct {N int; P pointer to (\"A\")})"
#define NODE2 "pointer to (named \"B\" struct {N int64; P pointer to (\"B\")})"
#define NODE3 "pointer to (named \"C\" struct {N int8; P pointer to (pointer to (\"C\"))})"

static void pointers(void)
{
    static const char loop[] = "{\"ptr\": 1, \"to\": {\"N\": \"3\", \"P\": {\"ref\": 1}}}";

    converts(NODE1, loop, NODE2, loop);
    converts(NODE1, loop, NODE3,
             "{\"ptr\": 1, \"to\": {\"N\": \"3\", \"P\": {\"ptr\": 2, \"to\": {\"ref\": 1}}}}");
    converts(NODE3,
             "{\"ptr\": 1, \"to\": {\"N\": \"3\", \"P\": {\"ptr\": 2, \"to\": {\"ref\": 1}}}}",
             NODE1, loop);
    converts("pointer to (pointer to (int))", "{\"ptr\": 1, \"to\": null}", "int", "\"0\"");
    converts("pointer to (interface)",
             "{\"ptr\": 1, \"to\": {\"any\": {\"type\": \"int8\", \"value\": \"5\"}}}",
             "pointer to (uint16)", "{\"ptr\": 1, \"to\": \"5\"}");
    converts("interface",
             "{\"any\": {\"type\": \"pointer to (int8)\", \"value\": {\"ptr\": 1, "
             "\"to\": \"5\"}}}",
             "float32", "{\"f64\": \"4014000000000000\"}");
    /* The same pointer in a part that needs no conversion and one that does. */
    converts(
        "struct {P pointer to (int); Q pointer to (int)}",
        "{\"P\": {\"ptr\": 1, \"to\": \"5\"}, \"Q\": {\"ref\": 1}}",
        "struct {P pointer to (int); Q interface}",
        "{\"P\": {\"ptr\": 1, \"to\": \"5\"}, \"Q\": {\"any\": {\"type\": \"pointer to (int)\", "
        "\"value\": {\"ref\": 1}}}}");
}

/* A pointer type that is its own target has no depth to compare. */
static void endless_pointer(void)
{
    static const struct vom_type self = VOM_TYPE_PTR("a.P", &self);
    struct arena a = NOTATION_ARENA;
    struct vom_value v = vom_value_zero(&self), got;

    TAP_IS(vom_value_new_to(&a, &self, v, &v) == 0);
    *v.to = v;
    TAP_IS(vom_convert(&a, &v, &self, NULL, &got, NULL) == 0);
    TAP_IS(got.to != v.to && got.to->to == got.to);
    TAP_IS(vom_convert(&a, &v, &vom_type_int, NULL, &got, NULL) == WSPR_ELIMIT);
    TAP_IS(vom_convert(&a, &v, &vom_type_any, NULL, &got, NULL) == 0);
    TAP_IS(vom_value_deref(v).type == NULL);
    arena_done(&a);
}

static void scalars(void)
{
    converts("uint64", "\"18446744073709551615\"", "uintptr", "\"18446744073709551615\"");
    converts("int64", "\"-9223372036854775808\"", "int", "\"-9223372036854775808\"");
    converts("float64", "{\"f64\": \"c3e0000000000000\"}", "int64", "\"-9223372036854775808\"");
    converts("float64", "{\"f64\": \"43efffffffffffff\"}", "uint64", "\"18446744073709549568\"");
    does_not("float64", "{\"f64\": \"43f0000000000000\"}", "uint64",
             "vom: type mismatch, can't fill float 1.8446744073709552e+19 into value of type "
             "\"uint64\"");
    does_not("float64", "{\"f64\": \"43e0000000000000\"}", "int64",
             "vom: type mismatch, can't fill float 9.223372036854776e+18 into value of type "
             "\"int64\"");
    converts("int64", "\"-16777216\"", "float32", "{\"f64\": \"c170000000000000\"}");
    does_not("int64", "\"-16777217\"", "float32",
             "vom: type mismatch, can't fill int -16777217 into value of type \"float32\"");
    does_not("bool", "true", "int",
             "vom: type mismatch, can't fill bool true into value of type \"int\"");
    does_not("string", "\"x\"", "bool",
             "vom: type mismatch, can't fill string with len 1 into value of type \"bool\"");
    converts("string", "\"\"", "slice of (uint16)", "[]");
}

static void composites(void)
{
    /* Keys that become equal: the last one wins. */
    converts("map from (interface) to (int)",
             "{\"map\": [[{\"any\": {\"type\": \"int8\", \"value\": \"1\"}}, \"10\"],"
             " [{\"any\": {\"type\": \"int16\", \"value\": \"1\"}}, \"20\"]]}",
             "map from (int) to (int)", "{\"map\": [[\"1\", \"20\"]]}");
    converts("array[2] of (byte)", "[\"1\", \"2\"]", "bytes", "{\"bytes\": \"0102\"}");
    converts("slice of (int)", "[\"1\", \"2\"]", "array[3] of (byte)", "[\"1\", \"2\", \"0\"]");
    does_not("slice of (bool)", "[true]", "string",
             "vom: type mismatch, can't decode slice \"[]bool\" into value of type \"string\"");
    does_not(
        "struct {A int; B string}", "{\"A\": \"1\", \"B\": \"\"}", "int",
        "vom: type mismatch, can't decode struct \"struct{A int;B string}\" into value of type "
        "\"int\"");
    converts("struct {A struct {X int; Y int}}", "{\"A\": {\"X\": \"0\", \"Y\": \"3\"}}",
             "struct {Z bool; A struct {Y float64}}",
             "{\"Z\": false, \"A\": {\"Y\": {\"f64\": \"4008000000000000\"}}}");
}

static void into_interfaces(void)
{
    static const char list[] = "slice of (named \"a.N\" int)";

    converts(list, "[\"1\"]", "interface",
             "{\"any\": {\"type\": \"slice of (int)\", \"value\": [\"1\"]}}");
    /* Structs keep their names, and those of their fields' types. */
    converts("named \"a.S\" struct {F named \"a.N\" int}", "{\"F\": \"1\"}", "interface",
             "{\"any\": {\"type\": \"named \\\"a.S\\\" struct {F named \\\"a.N\\\" int}\", "
             "\"value\": {\"F\": \"1\"}}}");
    /* A slice that contains itself cannot do without its name. */
    converts("named \"a.L\" slice of (\"a.L\")", "[[], [[]]]", "interface",
             "{\"any\": {\"type\": \"named \\\"a.L\\\" slice of (\\\"a.L\\\")\", "
             "\"value\": [[], [[]]]}}");
    converts("named \"veyron2/verror.E\" interface",
             "{\"any\": {\"type\": \"named \\\"veyron2/verror.Standard\\\" struct {ID named "
             "\\\"veyron2/verror.ID\\\" string; Msg string}\", \"value\": {\"ID\": \"i\", \"Msg\": "
             "\"m\"}}}",
             "interface(unnamed, distinct from plain interface; holds errors)",
             "{\"any\": {\"type\": \"named \\\"veyron2/verror.Standard\\\" struct {ID named "
             "\\\"veyron2/verror.ID\\\" string; Msg string}\", \"value\": {\"ID\": \"i\", \"Msg\": "
             "\"m\"}}}");
    does_not("int", "\"1\"", "named \"veyron2/verror.E\" interface",
             "vom: can't assign type \"int\" to value of type \"verror.E\"");
    converts("int", "\"1\"", "named \"veyron2/vdl/vdlutil.Any\" interface",
             "{\"any\": {\"type\": \"int\", \"value\": \"1\"}}");
}

/* What a field held stays in the parts that the value does not mention. */
static void initial_values(void)
{
    struct arena a = NOTATION_ARENA;
    const char *type =
        "struct {L slice of (struct {A int; B int}); P pointer to (struct {A int; B int})}";
    struct json_object *o =
        json_tokener_parse("{\"L\": [{\"A\": \"1\", \"B\": \"0\"}], \"P\": {\"ptr\": 1, \"to\": "
                           "{\"A\": \"5\", \"B\": \"0\"}}}");
    struct json_object *i =
        json_tokener_parse("{\"L\": [{\"A\": \"8\", \"B\": \"9\"}, {\"A\": \"8\", \"B\": \"9\"}],"
                           " \"P\": {\"ptr\": 1, \"to\": {\"A\": \"6\", \"B\": \"7\"}}}");
    struct vom_value v = notation_value(&a, notation_type(&a, type), o), got;
    struct vom_value init = notation_value(&a, v.type, i), before;

    TAP_IS(vom_value_copy(&a, &init, &before, NULL) == 0);
    TAP_IS(vom_convert(&a, &v, v.type, &init, &got, NULL) == 0);
    TAP_IS(got.items[0].n == 1 && got.items[0].items[0].items[0].i == 1 &&
           got.items[0].items[0].items[1].i == 9);
    TAP_IS(got.items[1].to->items[0].i == 5 && got.items[1].to->items[1].i == 7);
    TAP_OK(vom_value_equal(&init, &before) == 1, "the initial value itself is not touched");
    json_object_put(o);
    json_object_put(i);
    arena_done(&a);
}

static void decoded_and_converted(void)
{
    struct buf hex = vec_hex("060161");
    struct arena a = NOTATION_ARENA;
    struct vom_dec dec;
    struct vom_msg msg;
    struct vom_value v;

    vom_dec_init(&dec, NULL);
    TAP_IS(vom_dec_next(&dec, buf_data(&hex), hex.len, &msg, NULL) == 3);
    TAP_IS(vom_dec_convert(&dec, &msg, &a, &vom_type_bytes, &v, NULL) == 0);
    TAP_IS(v.type == &vom_type_bytes && span_equal_str(v.s, "a"));
    TAP_IS(vom_dec_convert(&dec, &msg, &a, &vom_type_int, &v, NULL) == WSPR_ETYPE);
    vom_dec_done(&dec);
    buf_done(&hex);
    arena_done(&a);
}

#define DEEP  200
#define BYTES 1000000

/* Converts bytes, all zero but the last, in structs in structs. The time that it takes. */
static clock_t convert_nested(size_t depth)
{
    static const struct vom_type bytes = {
        .kind = VOM_KIND_ARRAY, .elem = &vom_type_byte, .len = BYTES};
    struct vom_type chain[DEEP];
    struct vom_field fields[DEEP][2];
    struct arena a = ARENA_INIT(3 * BYTES);
    struct vom_value inner, v, got = vom_value_zero(&bytes);
    clock_t begin;

    TAP_IS(vom_value_new_list(&a, &bytes, BYTES, &inner) == 0);
    vom_value_set(&inner, BYTES - 1, vom_value_uint(&vom_type_byte, 1));
    for (size_t i = 0; i < depth; i++) {
        fields[i][0] = (struct vom_field)VOM_FIELD("A", i > 0 ? &chain[i - 1] : &bytes);
        fields[i][1] = (struct vom_field)VOM_FIELD("B", &vom_type_any);
        chain[i] = (struct vom_type){.kind = VOM_KIND_STRUCT, .n_fields = 2, .fields = fields[i]};
        TAP_IS(vom_value_new_struct(&a, &chain[i], &v) == 0);
        vom_value_set(&v, 0, inner);
        inner = v;
    }
    begin = clock();
    TAP_IS(vom_convert(&a, &v, v.type, NULL, &got, NULL) == 0);
    begin = clock() - begin;
    TAP_IS(vom_value_equal(&v, &got));
    arena_done(&a);
    return begin;
}

/* Each level wants to know whether there is anything inside: that is found out once. */
static void deep_zeros(void)
{
    clock_t few = convert_nested(2), many = convert_nested(DEEP);

    TAP_OK(many < 20 * few, "%ld and %ld", (long)few, (long)many);
}

/* A limit is called one, wherever it is met. */
static void short_memory(void)
{
    static const char *const from[] = {"slice of (int32)", "array[5] of (string)", "bytes",
                                       "map from (string) to (int32)"};
    static const char *const to[] = {"slice of (int64)", "slice of (interface)",
                                     "slice of (uint16)", "map from (string) to (int64)"};

    for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
        struct arena a = NOTATION_ARENA;
        const struct vom_type *t = notation_type(&a, from[i]), *target = notation_type(&a, to[i]);
        struct vom_value v, got;
        int r = WSPR_ELIMIT;

        if (t->kind == VOM_KIND_MAP)
            TAP_IS(vom_value_new_map(&a, t, 5, &v) == 0);
        else
            TAP_IS(vom_value_new_list(&a, t, 5, &v) == 0);
        for (size_t max = 0; r == WSPR_ELIMIT; max += 8) {
            struct arena few = ARENA_INIT(max);

            r = vom_convert(&few, &v, target, NULL, &got, NULL);
            TAP_OK(r == 0 || r == WSPR_ELIMIT, "%s to %s in %zu bytes: %d", from[i], to[i], max, r);
            arena_done(&few);
        }
        TAP_IS(r == 0);
        arena_done(&a);
    }
}

const struct tap_case vom_convert_cases[VOM_CONVERT_CASES] = {
    {"pointers", pointers},
    {"endless pointer", endless_pointer},
    {"scalars", scalars},
    {"composites", composites},
    {"into interfaces", into_interfaces},
    {"initial values", initial_values},
    {"decoded and converted", decoded_and_converted},
    {"deep zeros", deep_zeros},
    {"short memory", short_memory},
};

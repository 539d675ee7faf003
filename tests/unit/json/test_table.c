#include "config.h"

#include "failmalloc.h"
#include "json/table.h"
#include "suites.h"

struct inner {
    struct json_spans args;
    int32_t n;
    int flag;
};

struct outer {
    struct span name;
    int64_t id;
    int32_t count;
    uint32_t small;
    uint64_t big;
    double ratio;
    int flag;
    struct span raw;
    struct span any;
    struct json_spans raws;
    struct json_spans anys;
    struct json_spans strings;
    struct inner in;
    struct inner *opt;
    struct json_list list;
    struct json_map map;
};

static const struct json_field inner_fields[] = {
    {"inArgs", JSON_FIELD_STRINGS, offsetof(struct inner, args), "[]string", NULL},
    {"numOutArgs", JSON_FIELD_INT32, offsetof(struct inner, n), "int", NULL},
    {"isStreaming", JSON_FIELD_BOOL, offsetof(struct inner, flag), "bool", NULL},
};
static const struct json_table inner_table = JSON_TABLE(struct inner, "x.Inner", inner_fields);

static const struct json_field outer_fields[] = {
    {"name", JSON_FIELD_STRING, offsetof(struct outer, name), "string", NULL},
    {"id", JSON_FIELD_INT64, offsetof(struct outer, id), "int64", NULL},
    {"count", JSON_FIELD_INT32, offsetof(struct outer, count), "int32", NULL},
    {"small", JSON_FIELD_UINT32, offsetof(struct outer, small), "uint32", NULL},
    {"big", JSON_FIELD_UINT64, offsetof(struct outer, big), "uint64", NULL},
    {"ratio", JSON_FIELD_DOUBLE, offsetof(struct outer, ratio), "float64", NULL},
    {"flag", JSON_FIELD_BOOL, offsetof(struct outer, flag), "bool", NULL},
    {"raw", JSON_FIELD_RAW, offsetof(struct outer, raw), "json.RawMessage", NULL},
    {"any", JSON_FIELD_ANY, offsetof(struct outer, any), "interface {}", NULL},
    {"raws", JSON_FIELD_RAWS, offsetof(struct outer, raws), "[]json.RawMessage", NULL},
    {"anys", JSON_FIELD_ANYS, offsetof(struct outer, anys), "[]interface {}", NULL},
    {"strings", JSON_FIELD_STRINGS, offsetof(struct outer, strings), "[]string", NULL},
    {"in", JSON_FIELD_OBJECT, offsetof(struct outer, in), "x.Inner", &inner_table},
    {"opt", JSON_FIELD_OPTIONAL, offsetof(struct outer, opt), "x.Inner", &inner_table},
    {"list", JSON_FIELD_LIST, offsetof(struct outer, list), "[]x.Inner", &inner_table},
    {"map", JSON_FIELD_MAP, offsetof(struct outer, map), "x.Map", &inner_table},
};
static const struct json_table outer_table = JSON_TABLE(struct outer, "x.Outer", outer_fields);

static struct arena arena = ARENA_INIT(1 << 20);

/* Decodes what must decode; the arena holds the result until the next call. */
static struct outer decode(const char *text)
{
    struct outer o = {.id = 99, .count = 98, .flag = 97, .name = {(const uint8_t *)"was", 3}};
    struct err e = ERR_INIT;
    int r;

    arena_reset(&arena);
    r = json_decode(span_str(text), &outer_table, &o, &arena, 0, 0, &e);
    TAP_OK(r == 0, "%s: %s", text, err_text(&e));
    err_done(&e);
    return o;
}

static void refuse(const char *text, const char *why)
{
    struct outer o = {.id = 0};
    struct err e = ERR_INIT;
    int r;

    arena_reset(&arena);
    r = json_decode(span_str(text), &outer_table, &o, &arena, 0, 0, &e);
    TAP_OK(r == WSPR_ETYPE && strcmp(err_text(&e), why) == 0, "%s: %d %s, not %s", text, r,
           err_text(&e), why);
    err_done(&e);
}

#define CANNOT "json: cannot unmarshal "

static void every_kind(void)
{
    struct outer o =
        decode("{\"name\":\"a\\u0062\",\"id\":-9223372036854775808,\"count\":2147483647,"
               "\"small\":4294967295,\"big\":18446744073709551615,\"ratio\":-2.5e-1,\"flag\":true,"
               "\"raw\": [ 1 ] ,\"any\":\"1e999\",\"raws\":[1,null,{\"a\":[ ]}],"
               "\"anys\":[1e308,\"x\"],\"strings\":[\"p\",null,\"\\n\"],"
               "\"in\":{\"inArgs\":[\"q\"],\"numOutArgs\":2,\"isStreaming\":true},"
               "\"opt\":{\"numOutArgs\":3},\"list\":[{\"numOutArgs\":4},null,{\"numOutArgs\":5}],"
               "\"map\":{\"b\":{\"numOutArgs\":6},\"a\":null}} rest");
    struct inner *items = o.list.items, *b;

    TAP_IS(span_equal_str(o.name, "ab") && o.id == INT64_MIN && o.count == INT32_MAX);
    TAP_IS(o.small == UINT32_MAX && o.big == UINT64_MAX && o.ratio == -0.25 && o.flag == 1);
    TAP_IS(span_equal_str(o.raw, "[ 1 ]") && span_equal_str(o.any, "\"1e999\""));
    TAP_IS(o.raws.n == 3 && span_equal_str(o.raws.items[1], "null"));
    TAP_IS(span_equal_str(o.raws.items[2], "{\"a\":[ ]}"));
    TAP_IS(o.anys.n == 2 && span_equal_str(o.anys.items[0], "1e308"));
    TAP_IS(o.strings.n == 3 && span_equal_str(o.strings.items[0], "p"));
    TAP_IS(o.strings.items[1].len == 0 && span_equal_str(o.strings.items[2], "\n"));
    TAP_IS(o.in.args.n == 1 && o.in.n == 2 && o.in.flag == 1);
    TAP_IS(o.opt != NULL && o.opt->n == 3);
    TAP_IS(o.list.n == 3 && items[0].n == 4 && items[1].n == 0 && items[2].n == 5);
    TAP_IS(o.map.n == 2 && span_equal_str(o.map.items[0].name, "a"));
    b = o.map.items[1].value;
    TAP_IS(span_equal_str(o.map.items[1].name, "b") && b->n == 6);
}

static void names_match_by_folding(void)
{
    TAP_IS(decode("{\"ID\":5}").id == 5);
    TAP_IS(decode("{\"Id\":5}").id == 5);
    TAP_IS(decode("{\"\\u0049d\":5}").id == 5);
    TAP_IS(decode("{\"i\":5,\"idd\":6,\"\":7,\"\xff\":8}").id == 99);
    TAP_IS(decode("{\"\xc5\xbfmall\":5}").small == 5);
    TAP_IS(json_name_matches(span_str("to\xe2\x84\xaa"
                                      "en\xc5\xbf"),
                             "tokens"));
    TAP_IS(!json_name_matches(span_str("\xc4\xb1"
                                       "d"),
                              "id"));
    TAP_IS(!json_name_matches(span_str("a@"), "a`") && !json_name_matches(span_str("a["), "a{"));
    TAP_IS(json_name_matches(span_str("A_1"), "a_1") && !json_name_matches(span_str("a"), "ab"));
    TAP_IS(json_name_matches(span_str(""), "") && !json_name_matches(span_str("a"), ""));
}

static void later_duplicates_win(void)
{
    struct outer o = decode("{\"id\":1,\"Id\":2,\"raws\":[1,2],\"raws\":[3],"
                            "\"in\":{\"numOutArgs\":1},\"in\":{\"isStreaming\":true},"
                            "\"opt\":{\"numOutArgs\":1},\"opt\":{\"isStreaming\":true}}");

    TAP_IS(o.id == 2 && o.raws.n == 1 && span_equal_str(o.raws.items[0], "3"));
    /* An object is decoded into what is there. */
    TAP_IS(o.in.n == 1 && o.in.flag == 1 && o.opt->n == 1 && o.opt->flag == 1);
    TAP_IS(decode("{\"opt\":{},\"opt\":null}").opt == NULL);
}

static void map_keeps_the_last_of_a_name(void)
{
    struct buf b = BUF_INIT(1 << 20);
    struct outer o;

    buf_append_str(&b, "{\"map\":{");
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%s\"n%d\":{\"numOutArgs\":%d}", i > 0 ? "," : "", i * 7 % 101, i);
    buf_append_str(&b, "}}");
    o = decode(buf_cstr(&b));
    TAP_IS(o.map.n == 101);
    for (size_t i = 0; i < o.map.n; i++) {
        struct inner *v = o.map.items[i].value;

        TAP_IS(i == 0 || span_compare(o.map.items[i - 1].name, o.map.items[i].name) < 0);
        TAP_IS(v->n + 101 >= 1000);
    }
    TAP_IS(decode("{\"map\":{}}").map.n == 0);
    TAP_IS(decode("{\"map\":{\"A\":{},\"a\":{}}}").map.n == 2);
    o = decode("{\"map\":{\"a\":{\"numOutArgs\":1},\"a\":{}}}");
    TAP_IS(o.map.n == 1 && ((struct inner *)o.map.items[0].value)->n == 0);
    buf_done(&b);
}

static void null_keeps(void)
{
    struct outer o = decode("{\"name\":null,\"id\":null,\"count\":null,\"flag\":null,\"in\":null,"
                            "\"raw\":null,\"raws\":null,\"strings\":null,\"opt\":null,"
                            "\"list\":null,\"map\":null}");

    TAP_IS(span_equal_str(o.name, "was") && o.id == 99 && o.count == 98 && o.flag == 97);
    TAP_IS(span_equal_str(o.raw, "null") && o.raws.n == 0 && o.opt == NULL && o.list.n == 0);
    TAP_IS(decode("{\"raws\":[1],\"raws\":null}").raws.n == 0);
    TAP_IS(decode("{\"map\":{\"a\":{}},\"map\":null}").map.n == 0);
    TAP_IS(decode("null").id == 99 && decode("{}").raw.p == NULL);
}

static void nothing_is_coerced(void)
{
    refuse("{\"name\":1}", CANNOT "number into Go value of type string");
    refuse("{\"name\":[]}", CANNOT "array into Go value of type string");
    refuse("{\"name\":{}}", CANNOT "object into Go value of type string");
    refuse("{\"name\":true}", CANNOT "bool into Go value of type string");
    refuse("{\"id\":\"1\"}", CANNOT "string into Go value of type int64");
    refuse("{\"id\":1.0}", CANNOT "number 1.0 into Go value of type int64");
    refuse("{\"id\":1e1}", CANNOT "number 1e1 into Go value of type int64");
    refuse("{\"id\":9223372036854775808}",
           CANNOT "number 9223372036854775808 into Go value of type int64");
    refuse("{\"count\":2147483648}", CANNOT "number 2147483648 into Go value of type int32");
    refuse("{\"count\":-2147483649}", CANNOT "number -2147483649 into Go value of type int32");
    refuse("{\"small\":4294967296}", CANNOT "number 4294967296 into Go value of type uint32");
    refuse("{\"big\":-1}", CANNOT "number -1 into Go value of type uint64");
    refuse("{\"big\":-0}", CANNOT "number -0 into Go value of type uint64");
    refuse("{\"ratio\":1e400}", CANNOT "number 1e400 into Go value of type float64");
    refuse("{\"flag\":0}", CANNOT "number into Go value of type bool");
    refuse("{\"flag\":\"true\"}", CANNOT "string into Go value of type bool");
    refuse("{\"raws\":{}}", CANNOT "object into Go value of type []json.RawMessage");
    refuse("{\"anys\":[[{\"a\":1e999}]]}", CANNOT "number 1e999 into Go value of type float64");
    refuse("{\"any\":-1e999}", CANNOT "number -1e999 into Go value of type float64");
    refuse("{\"strings\":[\"a\",true]}", CANNOT "bool into Go value of type string");
    refuse("{\"strings\":\"a\"}", CANNOT "string into Go value of type []string");
    refuse("{\"in\":[]}", CANNOT "array into Go value of type x.Inner");
    refuse("{\"in\":{\"inArgs\":7}}", CANNOT "number into Go value of type []string");
    refuse("{\"opt\":\"s\"}", CANNOT "string into Go value of type x.Inner");
    refuse("{\"list\":[5]}", CANNOT "number into Go value of type x.Inner");
    refuse("{\"list\":5}", CANNOT "number into Go value of type []x.Inner");
    refuse("{\"map\":[]}", CANNOT "array into Go value of type x.Map");
    refuse("{\"map\":{\"a\":\"b\"}}", CANNOT "string into Go value of type x.Inner");
    refuse("[]", CANNOT "array into Go value of type x.Outer");
    refuse("17", CANNOT "number into Go value of type x.Outer");
    refuse("\"\"", CANNOT "string into Go value of type x.Outer");
    refuse("false", CANNOT "bool into Go value of type x.Outer");
}

static void first_error_but_for_numbers(void)
{
    refuse("{\"id\":\"a\",\"name\":[],\"flag\":{}}", CANNOT "string into Go value of type int64");
    refuse("{\"name\":[],\"id\":1.5}", CANNOT "array into Go value of type string");
    refuse("{\"id\":1.5,\"name\":[]}", CANNOT "number 1.5 into Go value of type int64");
    refuse("{\"id\":1.5,\"name\":2,\"flag\":3}", CANNOT "number into Go value of type string");
    refuse("{\"name\":true,\"in\":{\"isStreaming\":1},\"id\":[]}",
           CANNOT "number into Go value of type bool");
}

static void single_values(void)
{
    struct json_field f = {.kind = JSON_FIELD_UINT64, .type_name = "uint64"};
    struct err e = ERR_INIT;
    uint64_t v = 5;

    TAP_IS(json_decode_value(span_str(" 8 tail"), &f, &v, NULL, 0, 0, &e) == 0 && v == 8);
    TAP_IS(json_decode_value(span_str("null"), &f, &v, NULL, 0, 0, &e) == 0 && v == 8);
    TAP_IS(json_decode_value(span_str("{}"), &f, &v, NULL, 0, 0, &e) == WSPR_ETYPE && v == 8);
    TAP_IS(strcmp(err_text(&e), CANNOT "object into Go value of type uint64") == 0);
    TAP_IS(json_decode_value(span_str(" "), &f, &v, NULL, 0, 0, &e) == WSPR_ETRUNC);
    TAP_IS(strcmp(err_text(&e), "EOF") == 0);
    err_done(&e);
}

/* Syntax comes first: a target is not touched by a text that is broken at its end. */
static void syntax_is_checked_first(void)
{
    static const char text[] = "{\"id\":7,\"strings\":[\"a\",\"\\t\"],\"name\":true}";

    for (size_t cut = 0; cut < sizeof text - 2; cut++) {
        struct outer o = {.id = 99};
        char *piece = malloc(cut + 1);
        int r;

        memcpy(piece, text, cut);
        r = json_decode(span_of(piece, cut), &outer_table, &o, &arena, 0, 0, NULL);
        TAP_OK(r == WSPR_ETRUNC && o.id == 99, "cut at %zu", cut);
        free(piece);
    }
}

static void decode_limits_memory(void)
{
    static const char text[] = "{\"raws\":[1,2,3,4,5,6,7,8,9],\"list\":[{},{},{}],\"name\":\"\\n\","
                               "\"map\":{\"a\":{},\"\\u0062\":{}},\"opt\":{},\"strings\":[\"a\"]}";
    size_t need = 0;

    for (size_t max = 0; max < 4000 && need == 0; max += 16) {
        struct arena a = ARENA_INIT(max);
        struct outer o = {.id = 0};
        int r = json_decode(span_str(text), &outer_table, &o, &a, 0, 0, NULL);

        TAP_OK(r == 0 || r == WSPR_ELIMIT, "limit %zu: %d", max, r);
        if (r == 0)
            need = max;
        arena_done(&a);
    }
    TAP_OK(need > 500, "needed %zu", need);
}

static void decode_once(void *arg)
{
    static const char text[] = "{\"raws\":[1,2,3,4,5,6,7,8,9],\"list\":[{},{}],\"name\":\"\\n\","
                               "\"map\":{\"a\":{},\"\\u0062\":{}},\"opt\":{},\"id\":[]}";
    struct arena a = ARENA_INIT(100000);
    struct outer o = {.id = 0};
    struct err e = ERR_INIT;
    int r = json_decode(span_str(text), &outer_table, &o, &a, 0, 0, &e);

    TAP_IS((r == WSPR_ENOMEM || r == WSPR_ETYPE) && e.code == r);
    err_done(&e);
    arena_done(&a);
}

static void decode_survives_lack_of_memory(void)
{
    TAP_IS(failmalloc_each(decode_once, NULL, 100) > 2);
    arena_done(&arena);
}

const struct tap_case json_table_cases[JSON_TABLE_CASES] = {
    {"every kind", every_kind},
    {"names match by folding", names_match_by_folding},
    {"later duplicates win", later_duplicates_win},
    {"a map keeps the last of a name", map_keeps_the_last_of_a_name},
    {"null keeps", null_keeps},
    {"nothing is coerced", nothing_is_coerced},
    {"the first error, but for numbers", first_error_but_for_numbers},
    {"single values", single_values},
    {"syntax is checked first", syntax_is_checked_first},
    {"limit of the arena", decode_limits_memory},
    {"each allocation failing", decode_survives_lack_of_memory},
};

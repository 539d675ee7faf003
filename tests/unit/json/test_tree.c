#include "config.h"

#include <json-c/json.h>

#include "failmalloc.h"
#include "json/tree.h"
#include "suites.h"

#define TREE_STYLE (JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE)

static void tree_is(const char *text, const char *want)
{
    struct json_object *o = NULL;
    struct err e = ERR_INIT;
    int r = json_tree_read(span_str(text), 0, 0, &o, &e);

    TAP_OK(r == 0, "%s: %s", text, err_text(&e));
    TAP_OK(strcmp(json_object_to_json_string_ext(o, TREE_STYLE), want) == 0, "%s: %s", text,
           json_object_to_json_string(o));
    json_object_put(o);
    err_done(&e);
}

static void trees_hold_every_kind(void)
{
    tree_is("null", "null");
    tree_is("[]", "[ ]");
    tree_is("{}", "{ }");
    tree_is("[null,true,false,-7,\"a/b\\u00e9\",[[]],{\"a\":{}}] x",
            "[ null, true, false, -7, \"a/b\xc3\xa9\", [ [ ] ], { \"a\": { } } ]");
    tree_is("{\"a\":1,\"b\":2,\"a\":{\"c\":[3]},\"\":null}",
            "{ \"a\": { \"c\": [ 3 ] }, \"b\": 2, \"\": null }");
    tree_is("[9223372036854775807,-9223372036854775808,18446744073709551615]",
            "[ 9223372036854775807, -9223372036854775808, 18446744073709551615 ]");
    /* Not clamped, and as written. */
    tree_is("[18446744073709551616,1.50,-0,1E5]", "[ 18446744073709551616, 1.50, -0, 1E5 ]");
}

static void tree_strings_hold_nul(void)
{
    struct json_object *o = NULL;

    TAP_IS(json_tree_read(span_str("\"a\\u0000b\""), 0, 0, &o, NULL) == 0);
    TAP_IS(json_object_get_string_len(o) == 3);
    TAP_IS(memcmp(json_object_get_string(o), "a\0b", 3) == 0);
    json_object_put(o);
}

static void trees_refuse(void)
{
    static const struct {
        const char *text;
        int code;
        const char *why;
    } rows[] = {
        {"{\"a\\u0000b\":1}", WSPR_EINVAL, "member name with a NUL character"},
        {"[1e400]", WSPR_ELIMIT, "number 1e400 is too large"},
        {"[NaN]", WSPR_EINVAL, "invalid character 'N' looking for beginning of value"},
        {"{'a':1}", WSPR_EINVAL,
         "invalid character '\\'' looking for beginning of object key string"},
        {"{\"a\":[1,{\"b\":\"c\"", WSPR_ETRUNC, "unexpected EOF"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct json_object *o = NULL;
        struct err e = ERR_INIT;

        TAP_OK(json_tree_read(span_str(rows[i].text), 0, 0, &o, &e) == rows[i].code, "%s",
               rows[i].text);
        TAP_OK(strcmp(err_text(&e), rows[i].why) == 0, "%s", err_text(&e));
        TAP_IS(o == NULL);
        err_done(&e);
    }
}

static void tree_bounds_depth(void)
{
    char text[2 * (JSON_TREE_DEPTH_MAX + 1)];
    struct json_object *o = NULL;

    memset(text, '[', sizeof text / 2);
    memset(text + sizeof text / 2, ']', sizeof text / 2);
    TAP_IS(json_tree_read(span_of(text, sizeof text), 0, 0, &o, NULL) == WSPR_ELIMIT);
    TAP_IS(json_tree_read_checked(span_of(text, sizeof text), &o, NULL) == WSPR_ELIMIT);
    TAP_IS(json_tree_read(span_of(text + 1, sizeof text - 2), 5000, 0, &o, NULL) == 0);
    json_object_put(o);
    TAP_IS(json_tree_read(span_of(text + 1, sizeof text - 2), 9, 0, &o, NULL) == WSPR_ELIMIT);
}

static void tree_once(void *arg)
{
    struct json_object *o = NULL;
    int r = json_tree_read(span_str("{\"a\\n\":[1.5,\"b\\n\"],\"c\":{}}"), 0, 0, &o, NULL);

    TAP_IS(r == 0 || r == WSPR_ENOMEM);
    TAP_IS((o != NULL) == (r == 0));
    json_object_put(o);
}

static void tree_survives_lack_of_memory(void)
{
    TAP_IS(failmalloc_each(tree_once, NULL, 100) > 2);
}

const struct tap_case json_tree_cases[JSON_TREE_CASES] = {
    {"every kind", trees_hold_every_kind},
    {"strings hold NUL", tree_strings_hold_nul},
    {"what cannot be a tree", trees_refuse},
    {"bounds the depth", tree_bounds_depth},
    {"each allocation failing", tree_survives_lack_of_memory},
};

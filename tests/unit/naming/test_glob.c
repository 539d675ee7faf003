#include "config.h"

#include "naming/glob.h"
#include "naming_tests.h"
#include "vectors.h"

static void check_parse(struct json_object *v)
{
    const char *in = vec_str(v, "in"), *error = vec_str(v, "error");
    struct json_object *prefix = vec_get(v, "fixed_prefix");
    size_t n_prefix = prefix != NULL ? json_object_array_length(prefix) : 0;
    struct naming_glob g, rest;
    struct err e = ERR_INIT;
    struct buf out = BUF_INIT(1000);
    int r = naming_glob_parse(span_str(in), &g, &e);

    TAP_OK((r == 0) == (error == NULL), "%s: %d", in, r);
    if (r < 0) {
        TAP_OK(error != NULL && strcmp(err_text(&e), error) == 0, "%s: %s", in, err_text(&e));
        TAP_IS(err_id(&e)[0] == '\0');
        err_done(&e);
        return;
    }
    TAP_OK(g.len == (size_t)vec_int(v, "len"), "%s: %zu", in, g.len);
    TAP_OK(naming_glob_is_finished(&g) == vec_bool(v, "finished"), "%s", in);
    naming_glob_format(&out, &g);
    TEXT_IS(&out, vec_str(v, "string"), in);
    TAP_OK(naming_glob_fixed_count(&g) == n_prefix, "%s", in);
    for (size_t i = 0; i < n_prefix && i < naming_glob_fixed_count(&g); i++) {
        naming_glob_fixed_element(&out, &g, i);
        TEXT_IS(&out, json_object_get_string(json_object_array_get_idx(prefix, i)), in);
    }
    rest = naming_glob_skip(&g, n_prefix);
    TAP_OK(naming_glob_is_finished(&rest) == vec_bool(v, "rest_finished"), "%s", in);
    naming_glob_format(&out, &rest);
    TEXT_IS(&out, vec_str(v, "rest"), in);
    buf_done(&out);
}

static void parse_vectors(void)
{
    struct json_object *file = vectors_load("names.json"), *list = vec_get(file, "glob_parse");
    size_t n = json_object_array_length(list);

    for (size_t i = 0; i < n; i++)
        check_parse(json_object_array_get_idx(list, i));
    tap_note("names.json: glob_parse %zu", n);
    TAP_IS(n > 0);
    json_object_put(file);
}

static void check_match(struct json_object *v)
{
    const char *pattern = vec_str(v, "pattern");
    struct naming_glob g, rest;
    struct buf out = BUF_INIT(1000);

    TAP_IS(naming_glob_parse(span_str(pattern), &g, NULL) == 0);
    TAP_OK(naming_glob_match(&g, span_str(vec_str(v, "segment")), &rest, NULL) ==
               vec_bool(v, "match"),
           "%s", pattern);
    if (vec_bool(v, "match")) {
        naming_glob_format(&out, &rest);
        TEXT_IS(&out, vec_str(v, "rest"), pattern);
    }
    buf_done(&out);
}

static void match_vectors(void)
{
    struct json_object *file = vectors_load("names.json"), *list = vec_get(file, "glob_match");
    size_t n = json_object_array_length(list);

    for (size_t i = 0; i < n; i++)
        check_match(json_object_array_get_idx(list, i));
    tap_note("names.json: glob_match %zu", n);
    TAP_IS(n > 0);
    json_object_put(file);
}

static void matches(void)
{
    static const struct {
        const char *pattern, *component;
        int match; /* -1: malformed */
    } cases[] = {
        {"a*b*c", "aXbYbZc", 1},
        {"a*b*c", "aXbYbZ", 0},
        {"**", "", 1},
        {"*a", "aaa", 1},
        {"*ab", "aab", 1},
        {"?", "\xc3\xa9", 1},
        {"?", "", 0},
        {"?", "ab", 0},
        {"[\xc3\xa0-\xc3\xbf]", "\xc3\xa9", 1},
        {"[^\xc3\xa9]", "e", 1},
        {"[a-c-e]", "a", -1},
        {"[\\-]", "-", 1},
        {"[\\]]", "]", 1},
        {"[a-\\]]", "b", 0},
        {"[*]", "*", 1},
        {"a[^]", "x", -1},
        {"[]", "x", -1},
        {"[-]", "x", -1},
        {"[a-]", "x", -1},
        {"[]a]", "x", -1},
        {"[a", "x", -1},
        {"a\\", "x", -1},
        {"[a-", "x", -1},
        {"[\\", "x", -1},
        {"[\xff]", "x", -1},
        {"]", "]", 1},
        {"a-b", "a-b", 1},
        {"\\a", "a", 1},
        {"[c-a]", "b", 0},
        {"x*[ab]y", "xxbay", 1},
    };
    struct naming_glob g, rest;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int expect = cases[i].match < 0 ? WSPR_EUNKNOWN : cases[i].match;

        TAP_IS(naming_glob_parse(span_str(cases[i].pattern), &g, NULL) == 0);
        TAP_OK(naming_glob_match(&g, span_str(cases[i].component), &rest, NULL) == expect, "%s %s",
               cases[i].pattern, cases[i].component);
        TAP_OK(naming_glob_check(&g, NULL) == (expect < 0 ? expect : 0), "%s", cases[i].pattern);
    }
}

static void malformed_elements_say_so(void)
{
    struct naming_glob g, rest;
    struct err e = ERR_INIT;

    TAP_IS(naming_glob_parse(span_str("a/[b/..."), &g, NULL) == 0);
    TAP_IS(naming_glob_check(&g, &e) == WSPR_EUNKNOWN);
    TAP_IS(strcmp(err_text(&e), "syntax error in pattern") == 0 && err_id(&e)[0] == '\0');
    err_done(&e);
    TAP_IS(naming_glob_match(&g, span_str("a"), &rest, NULL) == 1);
    TAP_IS(naming_glob_match(&rest, span_str("b"), &rest, NULL) == WSPR_EUNKNOWN);
}

static void recursion_goes_on(void)
{
    struct naming_glob g;

    TAP_IS(naming_glob_parse(span_str("a/..."), &g, NULL) == 0);
    TAP_IS(naming_glob_match(&g, span_str("a"), &g, NULL) == 1);
    for (int i = 0; i < 3; i++)
        TAP_IS(naming_glob_match(&g, span_str("anything"), &g, NULL) == 1);
    TAP_IS(!naming_glob_is_finished(&g) && g.len == 0);
}

static void text_forms(void)
{
    static const char *const cases[][2] = {
        {"a//", "a"}, {"a/../...", "..."}, {"./x", "x"}, {"...", "..."}, {".", "."}, {"a/..", "."},
    };
    struct naming_glob g, rest;
    struct buf out = BUF_INIT(1000);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TAP_IS(naming_glob_parse(span_str(cases[i][0]), &g, NULL) == 0);
        naming_glob_format(&out, &g);
        TEXT_IS(&out, cases[i][1], cases[i][0]);
    }
    TAP_IS(naming_glob_parse(span_str("a//"), &g, NULL) == 0);
    rest = naming_glob_skip(&g, 100);
    TAP_IS(rest.len == 0 && rest.text.len == 0);
    rest = naming_glob_skip(&g, 1);
    naming_glob_format(&out, &rest);
    TEXT_IS(&out, "", "rest of a//");
    buf_done(&out);
}

static void bounds(void)
{
    char text[NAMING_GLOB_MAX + 1];
    struct naming_glob g, rest;

    memset(text, 'a', sizeof text);
    TAP_IS(naming_glob_parse(span_of(text, sizeof text), &g, NULL) == WSPR_ELIMIT);
    for (size_t i = 0; i < sizeof text; i += 2)
        text[i] = '*';
    text[NAMING_GLOB_MAX - 1] = 'b';
    TAP_IS(naming_glob_parse(span_of(text, NAMING_GLOB_MAX), &g, NULL) == 0);
    memset(text, 'a', sizeof text);
    /* Takes millions of steps at most, not two to the power of the stars. */
    TAP_IS(naming_glob_match(&g, span_of(text, sizeof text), &rest, NULL) == 0);
}

static const struct tap_case cases[] = {
    {"parse vectors", parse_vectors},
    {"match vectors", match_vectors},
    {"matches", matches},
    {"malformed elements say so", malformed_elements_say_so},
    {"recursion goes on", recursion_goes_on},
    {"text forms", text_forms},
    {"bounds", bounds},
};

const struct tap_suite naming_glob_suite = TAP_SUITE("glob", cases);

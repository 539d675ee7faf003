#include "config.h"

#include "failmalloc.h"
#include "naming/name.h"
#include "naming_tests.h"
#include "vectors.h"

/* Runs check over the group of names.json. */
static void each(const char *group, void (*check)(struct json_object *v, struct buf *out))
{
    struct json_object *file = vectors_load("names.json"), *list = vec_get(file, group);
    size_t n = json_object_array_length(list);
    struct buf out = BUF_INIT(10000);

    for (size_t i = 0; i < n; i++)
        check(json_object_array_get_idx(list, i), &out);
    tap_note("names.json: %s %zu", group, n);
    TAP_IS(n > 0);
    buf_done(&out);
    json_object_put(file);
}

static struct span member(struct json_object *v, const char *key)
{
    return span_str(vec_str(v, key));
}

static void check_split(struct json_object *v, struct buf *out)
{
    const char *in = vec_str(v, "in") != NULL ? vec_str(v, "in") : vec_str(v, "input");
    struct span address, rest;

    naming_name_split(span_str(in), &address, &rest);
    TAP_OK(span_equal_str(address, vec_str(v, "address")), "%s", in);
    TAP_OK(span_equal_str(rest, vec_str(v, "name")), "%s", in);
}

static void split_vectors(void)
{
    struct json_object *file = vectors_load("stream.json"), *list = vec_get(file, "vectors");
    unsigned n = 0;

    each("split_address_name", check_split);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *v = json_object_array_get_idx(list, i);

        if (strcmp(vec_str(v, "kind"), "split_address_name") == 0) {
            check_split(v, NULL);
            n++;
        }
    }
    tap_note("stream.json: split_address_name %u", n);
    TAP_IS(n > 0);
    json_object_put(file);
}

static void check_join_address(struct json_object *v, struct buf *out)
{
    naming_name_join_address(out, member(v, "address"), member(v, "name"));
    TEXT_IS(out, vec_str(v, "out"), vec_str(v, "address"));
}

static void join_address_vectors(void)
{
    each("join_address_name", check_join_address);
}

static void check_join(struct json_object *v, struct buf *out)
{
    naming_name_join(out, member(v, "name"), member(v, "suffix"));
    TEXT_IS(out, vec_str(v, "out"), vec_str(v, "name"));
}

static void join_vectors(void)
{
    each("join", check_join);
}

static void check_name(struct json_object *v, struct buf *out)
{
    const char *in = vec_str(v, "in");

    TAP_OK(naming_name_is_rooted(span_str(in)) == vec_bool(v, "rooted"), "%s", in);
    TAP_OK(naming_name_is_terminal(span_str(in)) == vec_bool(v, "terminal"), "%s", in);
    naming_name_make_terminal(out, span_str(in));
    TEXT_IS(out, vec_str(v, "make_terminal"), in);
    naming_name_make_resolvable(out, span_str(in));
    TEXT_IS(out, vec_str(v, "make_resolvable"), in);
}

static void name_vectors(void)
{
    each("names", check_name);
}

static void check_terminal_at(struct json_object *v, struct buf *out)
{
    naming_name_make_terminal_at(out, member(v, "in"), (int)vec_int(v, "index"));
    TEXT_IS(out, vec_str(v, "out"), vec_str(v, "in"));
}

static void terminal_at_vectors(void)
{
    each("make_terminal_at_index", check_terminal_at);
}

static void check_target(struct json_object *v, struct buf *out)
{
    const char *in = vec_str(v, "in"), *error = vec_str(v, "error");
    struct naming_target target;
    struct err e = ERR_INIT;
    int r = naming_name_target(span_str(in), &target, &e);

    TAP_OK((r == 0) == (error == NULL), "%s: %d", in, r);
    if (r < 0) {
        TAP_OK(error != NULL && strcmp(err_text(&e), error) == 0, "%s: %s", in, err_text(&e));
    } else {
        naming_endpoint_format(out, &target.endpoint);
        TEXT_IS(out, vec_str(v, "endpoint"), in);
        TAP_OK(span_equal_str(target.wire_suffix, vec_str(v, "wire_suffix")), "%s", in);
        TAP_OK(span_equal_str(target.object_suffix, vec_str(v, "object_suffix")), "%s", in);
    }
    err_done(&e);
}

static void target_vectors(void)
{
    each("connect_target", check_target);
}

static void check_components(struct span suffix, struct json_object *expect)
{
    struct naming_elements it;
    struct span element;
    size_t n = 0;

    naming_elements_init(&it, suffix);
    for (; naming_elements_next(&it, &element); n++) {
        TAP_OK(n < json_object_array_length(expect) &&
                   span_equal_str(element,
                                  json_object_get_string(json_object_array_get_idx(expect, n))),
               "element %zu of %.*s", n, SPAN_ARG(suffix));
    }
    TAP_OK(n == json_object_array_length(expect), "%.*s has %zu", SPAN_ARG(suffix), n);
}

static void check_elements(struct json_object *v, struct buf *out)
{
    check_components(member(v, "in"), vec_get(v, "resolve_elements"));
    naming_elements_clean(out, member(v, "in"));
    check_components(buf_span(out), vec_get(v, "mount_elements"));
    buf_reset(out);
}

static void element_vectors(void)
{
    each("mounttable_elements", check_elements);
}

static void cleaning(void)
{
    static const char *const cases[][2] = {
        {"", ""},          {"a/..", "."},      {"a/../..", ".."},   {"../..", "../.."},
        {"../a/..", ".."}, {"a/b/../..", "."}, {"a/b/../c", "a/c"}, {"./.", "."},
        {"...", "..."},    {"..a/..", "."},    {"a../..", "."},     {"a/../../b", "../b"},
        {"a//..//b", "b"}, {".../..", "."},    {"b/a..", "b/a.."},  {"a/.b", "a/.b"},
    };
    struct buf out = BUF_INIT(100);
    struct naming_elements it;
    struct span element;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        naming_elements_clean(&out, span_str(cases[i][0]));
        TEXT_IS(&out, cases[i][1], cases[i][0]);
    }
    /* What stands in the buffer before is left alone. */
    buf_append_str(&out, "x/");
    naming_elements_clean(&out, span_str("a/../.."));
    TEXT_IS(&out, "x/..", "appended");
    buf_done(&out);
    naming_elements_init(&it, span_str(""));
    TAP_IS(!naming_elements_next(&it, &element));
}

static void results_are_bounded(void)
{
    struct buf out = BUF_INIT(5);

    naming_name_join(&out, span_str("abc"), span_str("def"));
    TAP_IS(buf_error(&out) == WSPR_ELIMIT);
    buf_reset(&out);
    naming_elements_clean(&out, span_str("abc/def/.."));
    TAP_IS(buf_error(&out) == WSPR_ELIMIT);
    buf_done(&out);
}

static void names_once(void *arg)
{
    struct buf out = BUF_INIT(1000);

    naming_name_make_terminal(&out, span_str("/h:1/a/b"));
    naming_elements_clean(&out, span_str("a/b/../../c"));
    naming_name_join(&out, span_str("/h:1/"), span_str("/x"));
    if (buf_error(&out) == 0)
        TAP_IS(span_equal_str(buf_span(&out), "/h:1//a/bc/h:1/x"));
    else
        TAP_IS(buf_error(&out) == WSPR_ENOMEM);
    buf_done(&out);
}

static void lack_of_memory(void)
{
    TAP_IS(failmalloc_each(names_once, NULL, 50) > 1);
}

static const struct tap_case cases[] = {
    {"split vectors", split_vectors},
    {"join address vectors", join_address_vectors},
    {"join vectors", join_vectors},
    {"name vectors", name_vectors},
    {"make terminal at index vectors", terminal_at_vectors},
    {"connect target vectors", target_vectors},
    {"mounttable element vectors", element_vectors},
    {"cleaning", cleaning},
    {"results are bounded", results_are_bounded},
    {"lack of memory", lack_of_memory},
};

const struct tap_suite naming_name_suite = TAP_SUITE("name", cases);

/*
 * The gate for what a page sends: the check, the reader, the tables, the writer and the tree must
 * agree on any bytes. What one of them takes the others must take, and what was written must read
 * as the same.
 */
#include "config.h"

#include <stdlib.h>

#include "json/table.h"
#include "json/tree.h"
#include "json/writer.h"

#include <json-c/json.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(cond)                                                                              \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

struct inner {
    struct json_spans strings;
    int32_t n;
};

struct outer {
    struct span s, raw;
    int64_t i;
    uint64_t u;
    double d;
    int b;
    struct json_spans raws, anys;
    struct inner in;
    struct inner *opt;
    struct json_list list;
    struct json_map map;
};

static const struct json_field inner_fields[] = {
    {"strings", JSON_FIELD_STRINGS, offsetof(struct inner, strings), "[]string", NULL},
    {"n", JSON_FIELD_INT32, offsetof(struct inner, n), "int32", NULL},
};
static const struct json_table inner_table = JSON_TABLE(struct inner, "x.Inner", inner_fields);
static const struct json_field outer_fields[] = {
    {"data", JSON_FIELD_STRING, offsetof(struct outer, s), "string", NULL},
    {"raw", JSON_FIELD_RAW, offsetof(struct outer, raw), "json.RawMessage", NULL},
    {"id", JSON_FIELD_INT64, offsetof(struct outer, i), "int64", NULL},
    {"u", JSON_FIELD_UINT64, offsetof(struct outer, u), "uint64", NULL},
    {"d", JSON_FIELD_DOUBLE, offsetof(struct outer, d), "float64", NULL},
    {"b", JSON_FIELD_BOOL, offsetof(struct outer, b), "bool", NULL},
    {"inArgs", JSON_FIELD_RAWS, offsetof(struct outer, raws), "[]json.RawMessage", NULL},
    {"results", JSON_FIELD_ANYS, offsetof(struct outer, anys), "[]interface {}", NULL},
    {"in", JSON_FIELD_OBJECT, offsetof(struct outer, in), "x.Inner", &inner_table},
    {"err", JSON_FIELD_OPTIONAL, offsetof(struct outer, opt), "x.Inner", &inner_table},
    {"list", JSON_FIELD_LIST, offsetof(struct outer, list), "[]x.Inner", &inner_table},
    {"service", JSON_FIELD_MAP, offsetof(struct outer, map), "x.Map", &inner_table},
};
static const struct json_table outer_table = JSON_TABLE(struct outer, "x.Outer", outer_fields);

/* Writes one value again, with its own stack: texts nest deeper than we may recurse. */
static void rewrite(struct json_reader *r, struct json_writer *w, struct arena *a)
{
    bool object[64];
    size_t depth = 0;
    struct span s;
    double d;
    bool b;

    for (;;) {
        switch (json_reader_peek(r)) {
        case JSON_NULL:
            REQUIRE(json_reader_null(r) == 0);
            json_write_null(w);
            break;
        case JSON_BOOL:
            REQUIRE(json_reader_bool(r, &b) == 0);
            json_write_bool(w, b);
            break;
        case JSON_NUMBER:
            if (json_reader_double(r, &d, &s) == 0)
                json_write_double(w, d);
            else
                json_write_raw(w, s);
            break;
        case JSON_STRING:
            REQUIRE(json_reader_string(r, a, &s) == 0);
            json_write_string(w, s);
            break;
        case JSON_ARRAY:
            REQUIRE(json_reader_enter_array(r) == 0);
            json_write_array(w);
            object[depth++] = false;
            break;
        case JSON_OBJECT:
            REQUIRE(json_reader_enter_object(r) == 0);
            json_write_object(w);
            object[depth++] = true;
            break;
        }
        while (depth > 0) {
            int n = object[depth - 1] ? json_reader_member(r, a, &s) : json_reader_element(r);

            REQUIRE(n >= 0);
            if (n > 0) {
                if (object[depth - 1])
                    json_write_name(w, s);
                break;
            }
            if (object[--depth])
                json_write_object_end(w);
            else
                json_write_array_end(w);
        }
        if (depth == 0)
            return;
    }
}

static void fuzz_rewrite(struct span value)
{
    struct arena a = ARENA_INIT(1 << 22);
    struct buf once = BUF_INIT(1 << 22), twice = BUF_INIT(1 << 22);
    struct json_writer w;
    struct json_reader r;
    struct span again;

    json_reader_at(&r, value);
    json_writer_init(&w, &once);
    rewrite(&r, &w, &a);
    REQUIRE(r.p == r.end && buf_error(&once) == 0);
    REQUIRE(json_scan(buf_span(&once), 64, JSON_STRICT, &again, NULL) == 0);
    REQUIRE(again.len == once.len);
    json_reader_at(&r, again);
    json_writer_init(&w, &twice);
    rewrite(&r, &w, &a);
    REQUIRE(span_equal(buf_span(&once), buf_span(&twice)));
    buf_done(&once);
    buf_done(&twice);
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT(1 << 20);
    struct json_object *tree = NULL;
    struct span text = {data, size}, value;
    struct err e = ERR_INIT;
    struct json_reader r;
    struct outer o = {.i = 0};
    int scanned = json_scan(text, 0, 0, &value, &e), n;

    n = json_decode(text, &outer_table, &o, &a, 0, 0, NULL);
    if (scanned < 0) {
        REQUIRE(n == scanned && e.code == scanned);
    } else {
        REQUIRE(n == 0 || n == WSPR_ETYPE || n == WSPR_ELIMIT);
        json_reader_at(&r, value);
        json_reader_skip(&r);
        REQUIRE(r.p == r.end);
    }
    if (json_scan(text, 64, 0, &value, NULL) == 0) {
        fuzz_rewrite(value);
        if (json_tree_read(text, 64, 0, &tree, NULL) == 0)
            json_object_put(tree);
    }
    err_done(&e);
    arena_done(&a);
    return 0;
}

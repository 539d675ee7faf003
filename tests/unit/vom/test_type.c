#include "config.h"
#include "notation.h"
#include "suites.h"
#include "vom/enc.h"
#include "vom/wiretypes.h"

static struct vom_type node;
static struct vom_field node_fields[2];

/* A recursive type by hand; the notation gives another copy of it. */
static void make_node(void)
{
    static const struct vom_type ptr = VOM_TYPE_PTR("", &node);

    node_fields[0] = (struct vom_field)VOM_FIELD("Val", &vom_type_int64);
    node_fields[1] = (struct vom_field)VOM_FIELD("Next", &ptr);
    node = (struct vom_type)VOM_TYPE_STRUCT("example/shapes.Node", node_fields);
}

#define NODE                                                                                       \
    "named \"example/shapes.Node\" struct {Val int64; Next pointer to (\"example/shapes.Node\")}"

static void same_types(void)
{
    static const struct {
        const char *a, *b;
        bool same;
    } pairs[] = {
        {"int32", "int32", true},
        {"int32", "int64", false},
        {"int32", "named \"a.N\" int32", false},
        {"named \"a.N\" int32", "named \"a.N\" int32", true},
        {"named \"a.N\" int32", "named \"b.N\" int32", false},
        {"named \"a.N\" int32", "named \"a.N\" int64", false},
        {"slice of (string)", "slice of (string)", true},
        {"slice of (string)", "slice of (bytes)", false},
        {"array[2] of (bool)", "array[3] of (bool)", false},
        {"map from (string) to (int)", "map from (string) to (int)", true},
        {"map from (string) to (int)", "map from (int) to (string)", false},
        {"struct {A int; B int}", "struct {A int; B int}", true},
        {"struct {A int; B int}", "struct {A int; C int}", false},
        {"struct {A int; B int}", "struct {A int}", false},
        {"interface", "interface(unnamed, distinct from plain interface; holds errors)", false},
        {"named \"c\" struct {R float32} tags [complex64]", "named \"c\" struct {R float32}",
         false},
        {NODE, NODE, true},
        {NODE,
         "named \"example/shapes.Node\" struct {Val int32; Next pointer to "
         "(\"example/shapes.Node\")}",
         false},
        /* The same tree, once unrolled: equal as far as anyone can see. */
        {"named \"L\" slice of (\"L\")", "named \"L\" slice of (named \"L\" slice of (\"L\"))",
         true},
    };
    struct arena a = NOTATION_ARENA;

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const struct vom_type *x = notation_type(&a, pairs[i].a);
        const struct vom_type *y = notation_type(&a, pairs[i].b);

        TAP_OK(vom_type_same(x, y) == pairs[i].same && vom_type_same(y, x) == pairs[i].same,
               "%s and %s", pairs[i].a, pairs[i].b);
    }
    make_node();
    TAP_IS(vom_type_same(&node, notation_type(&a, NODE)));
    arena_done(&a);
}

/* Two unnamed types may differ only at the end of very many descriptors. */
static void same_is_bounded(void)
{
    struct arena a = NOTATION_ARENA;
    const struct vom_type *x = &vom_type_bool, *y = &vom_type_bool;

    for (unsigned i = 0; i < VOM_SAME_MAX + 1; i++) {
        struct vom_type *p = arena_calloc(&a, 2, sizeof *p);

        TAP_IS(vom_type_same(x, y));
        p[0] = (struct vom_type){.kind = VOM_KIND_PTR, .elem = x};
        p[1] = (struct vom_type){.kind = VOM_KIND_PTR, .elem = y};
        x = &p[0];
        y = &p[1];
    }
    TAP_IS(!vom_type_same(x, y) && vom_type_same(x, x));
    arena_done(&a);
}

static bool prints(const struct vom_type *t, enum vom_type_style style, const char *text)
{
    struct buf b = BUF_INIT(4096);
    bool ok;

    vom_type_print(&b, t, style);
    ok = span_equal_str(buf_span(&b), text);
    if (!ok)
        tap_note("printed: %s", buf_cstr(&b));
    buf_done(&b);
    return ok;
}

static void texts(void)
{
    static const struct {
        const char *type, *host, *wire;
    } rows[] = {
        {"byte", "uint8", "byte"},
        {"bytes", "[]uint8", "[]byte"},
        {"interface", "interface {}", "interface"},
        {"interface(unnamed, distinct from plain interface; holds errors)", "error", "interface"},
        {"array[2] of (int32)", "[2]int32", "[2]int32"},
        {"map from (string) to (slice of (bool))", "map[string][]bool", "map[string][]bool"},
        {"pointer to (pointer to (int))", "**int", "**int"},
        {"struct {}", "struct {}", "struct{}"},
        {"struct {A int32; B string}", "struct { A int32; B string }", "struct{A int32;B string}"},
        {"named \"veyron2/ipc.Request\" struct {}", "ipc.Request", "veyron2/ipc.Request"},
        {"slice of (named \"main.T\" int)", "[]main.T", "[]main.T"},
    };
    struct arena a = NOTATION_ARENA;
    struct buf b = BUF_INIT(1 << 20);
    const struct vom_type *deep = &vom_type_bool;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct vom_type *t = notation_type(&a, rows[i].type);

        TAP_OK(prints(t, VOM_STYLE_HOST, rows[i].host), "%s", rows[i].host);
        TAP_OK(prints(t, VOM_STYLE_WIRE, rows[i].wire), "%s", rows[i].wire);
    }
    /* A map of maps that share: its text doubles with each level. */
    for (unsigned i = 0; i < 100; i++) {
        struct vom_type *m = arena_calloc(&a, 1, sizeof *m);

        *m = (struct vom_type){.kind = VOM_KIND_MAP, .key = deep, .elem = deep};
        deep = m;
    }
    vom_type_print(&b, deep, VOM_STYLE_HOST);
    TAP_OK(b.len < 4096, "a text that doubles with each level is cut: %zu", b.len);
    buf_done(&b);
    arena_done(&a);
}

/* The same with a name that does not fit: nothing is written any more, so nothing is walked. */
static void texts_that_do_not_fit(void)
{
    static const uint8_t name[5000];
    struct vom_type chain[40];
    struct vom_field fields[40][8];
    struct buf b = BUF_INIT(4096);

    for (size_t i = 0; i < 40; i++) {
        for (size_t k = 0; k < 8; k++)
            fields[i][k] = (struct vom_field)VOM_FIELD("A", i < 39 ? &chain[i + 1] : &vom_type_int);
        chain[i] = (struct vom_type){.kind = VOM_KIND_STRUCT, .n_fields = 8, .fields = fields[i]};
    }
    fields[0][0].name = span_of(name, sizeof name);
    vom_type_print(&b, &chain[0], VOM_STYLE_WIRE);
    TAP_IS(buf_error(&b) == WSPR_ELIMIT && b.len < 100);
    buf_done(&b);
}

static void copies(void)
{
    struct arena from = NOTATION_ARENA, to = NOTATION_ARENA;
    const struct vom_type *t = notation_type(
        &from, "struct {A " NODE "; B named \"c\" struct {R float32} tags [x yy]; C \"c\"}");
    const struct vom_type *copy = vom_type_copy(&to, t);

    TAP_IS(copy != NULL && copy != t && vom_type_same(copy, t));
    arena_done(&from);
    if (copy != NULL) {
        TAP_IS(prints(copy->fields[0].type, VOM_STYLE_WIRE, "example/shapes.Node"));
        TAP_IS(copy->fields[1].type == copy->fields[2].type);
        TAP_IS(span_equal_str(copy->fields[1].type->tags[1], "yy"));
        TAP_IS(copy->fields[0].type->fields[0].type == &vom_type_int64);
    }
    TAP_IS(vom_type_copy(&to, &vom_type_ipc_request) == &vom_type_ipc_request);
    arena_done(&to);
}

static void predefined(void)
{
    static const unsigned ids[] = {1,  2,  3,  4,  8,  9,  10, 11, 12, 13, 25, 26,
                                   33, 34, 35, 36, 37, 48, 49, 50, 51, 52, 53};
    static const unsigned more[] = {7, 14, 15, 56, 57, 61};
    size_t at = 0, extra = 0;

    for (unsigned id = 0; id < 300; id++) {
        const struct vom_type *t = vom_type_predefined(id);

        if (at < sizeof ids / sizeof ids[0] && ids[at] == id) {
            TAP_OK(t != NULL && vom_type_id(t) == id && vom_type_catalogue(id) == t, "id %u", id);
            at++;
        } else {
            TAP_OK(t == NULL, "id %u", id);
            if (extra < sizeof more / sizeof more[0] && more[extra] == id) {
                TAP_OK(vom_type_catalogue(id) != NULL, "catalogue %u", id);
                extra++;
            } else {
                TAP_OK(vom_type_catalogue(id) == NULL, "catalogue %u", id);
            }
        }
    }
    TAP_IS(vom_type_id(&vom_type_error) == 0 && vom_type_id(&vom_type_typeid) == 0);
    TAP_IS(vom_type_field(&vom_type_ipc_request, span_str("Timeout")) == VOM_REQUEST_TIMEOUT);
    TAP_IS(vom_type_field(&vom_type_ipc_request, span_str("timeout")) == -1);
    TAP_IS(vom_type_field(&vom_type_any, span_str("Timeout")) == -1);
}

static void kinds_of_types(void)
{
    struct arena a = NOTATION_ARENA;

    TAP_IS(vom_type_is_plain(notation_type(&a, "map from (string) to (slice of (bytes))")));
    TAP_IS(!vom_type_is_plain(notation_type(&a, "map from (string) to (slice of (interface))")));
    TAP_IS(!vom_type_is_plain(notation_type(&a, NODE)));
    TAP_IS(vom_type_is_plain(&vom_type_ipc_request) && !vom_type_is_plain(&vom_type_ipc_response));
    TAP_IS(vom_type_is_empty(notation_type(&a, "array[2] of (array[0] of (int))")));
    TAP_IS(!vom_type_is_empty(notation_type(&a, "array[2] of (array[1] of (int))")));
    TAP_IS(vom_type_is_time(&vom_type_time) && !vom_type_is_time(&vom_type_duration));
    TAP_IS(!vom_type_is_time(&vom_type_bytes));
    arena_done(&a);
}

const struct tap_case vom_type_cases[VOM_TYPE_CASES] = {
    {"same types", same_types},
    {"same is bounded", same_is_bounded},
    {"texts", texts},
    {"texts that do not fit", texts_that_do_not_fit},
    {"copies", copies},
    {"predefined", predefined},
    {"kinds of types", kinds_of_types},
};

#include "config.h"

#include <math.h>

#include "failmalloc.h"
#include "json/reader.h"
#include "json_cases.h"
#include "notation.h"
#include "vom/enc.h"
#include "vom/json_out.h"
#include "vom/wiretypes.h"

/* A blob's text; the code of the error if it has none. */
static int print_blob(struct buf *out, struct span blob, struct err *e)
{
    struct vom_dec dec;
    struct vom_msg msg;
    ssize_t n;
    int r;

    vom_dec_init(&dec, NULL);
    n = vom_dec_next(&dec, blob.p, blob.len, &msg, e);
    r = n > 0 ? vom_json_write_msg(out, &dec, &msg, 0, e) : n == 0 ? WSPR_ETRUNC : (int)n;
    vom_dec_done(&dec);
    return r;
}

static void hex_prints(const char *hex, int code, const char *want)
{
    struct buf blob = vec_hex(hex), out = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    int r = print_blob(&out, buf_span(&blob), &e);

    TAP_OK(r == code, "%s: %d %s", hex, r, err_text(&e));
    TAP_OK(r < 0 ? strcmp(err_text(&e), want) == 0 : span_equal_str(buf_span(&out), want),
           "%s: %.*s %s, not %s", hex, SPAN_ARG(buf_span(&out)), err_text(&e), want);
    TAP_IS(r == 0 || out.len == 0);
    err_done(&e);
    buf_done(&out);
    buf_done(&blob);
}

static void value_prints(const struct vom_value *v, const char *want)
{
    struct buf out = BUF_INIT(1 << 20), blob = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);

    TAP_IS(vom_json_write_value(&out, v, 0, NULL) == 0);
    TAP_OK(span_equal_str(buf_span(&out), want), "%.*s, not %s", SPAN_ARG(buf_span(&out)), want);
    TAP_IS(vom_encode(&blob, v, NULL) == 0 && print_blob(&again, buf_span(&blob), NULL) == 0);
    TAP_OK(span_equal_str(buf_span(&again), want), "message: %.*s, not %s",
           SPAN_ARG(buf_span(&again)), want);
    buf_done(&out);
    buf_done(&blob);
    buf_done(&again);
}

static void text_is_valid_json(void)
{
    struct vom_value v = vom_value_span(
        &vom_type_string, span_str("\a\x01\x7f\xc2\xa0\xf3\xa0\x80\x81\xff\"\\/\xe2\x82\xac"));

    value_prints(&v,
                 "\"\\u0007\\u0001\\u007f\\u00a0\\udb40\\udc01\xef\xbf\xbd\\\"\\\\/\xe2\x82\xac\"");
    v = vom_value_float(&vom_type_float64, NAN);
    value_prints(&v, "null");
    v = vom_value_float(&vom_type_float32, -INFINITY);
    value_prints(&v, "null");
    v = vom_value_float(&vom_type_float64, -0.0);
    value_prints(&v, "-0");
}

static void omitted_fields_are_zeros(void)
{
    struct arena a = NOTATION_ARENA;
    const struct vom_type *t = notation_type(
        &a,
        "struct {A bool; B string; C bytes; D uint64; E float32; F slice of (string); "
        "G map from (string) to (bool); H interface; I array[2] of (int8); "
        "J struct {X array[3] of (byte); Y struct {}}; K pointer to (int32); L array[0] of (bool); "
        "M named \"time.Time\" bytes; N array[2] of (array[1] of (bool))}");
    static const char want[] =
        "{\"a\": false, \"b\": \"\", \"c\": [], \"d\": 0, \"e\": 0, \"f\": [], \"g\": {}, \"h\": "
        "null, "
        "\"i\": [0, 0], \"j\": {\"x\": [0, 0, 0], \"y\": {}}, \"k\": null, \"l\": [], \"m\": {}, "
        "\"n\": [[false], [false]]}";
    struct vom_value v = vom_value_zero(t);

    value_prints(&v, want);
    TAP_IS(vom_value_new_struct(&a, t, &v) == 0);
    value_prints(&v, want);
    vom_value_set_field(&v, "D", vom_value_uint(&vom_type_uint64, 7));
    TAP_IS(vom_value_at(&v, 3).u == 7);
    arena_done(&a);
    /* Field 1 of 3 only, field 3 only, none: struct {A bool; B bool; C bool}. */
    hex_prints("ff8116180103010201014100010201014200010201014300"
               "00ff8203020100",
               0, "{\"a\": false, \"b\": true, \"c\": false}");
}

static void names_and_keys_are_quoted(void)
{
    struct arena a = NOTATION_ARENA;
    struct vom_value v;

    v = vom_value_zero(
        notation_type(&a, "struct {\xc3\x89t\xc3\xa9 bool; A\"b\\ bool; \xff_ bool}"));
    value_prints(&v,
                 "{\"\xc3\xa9t\xc3\xa9\": false, \"a\\\"b\\\\\": false, \"\xef\xbf\xbd_\": false}");
    TAP_IS(vom_value_new_map(&a, notation_type(&a, "map from (interface) to (bool)"), 3, &v) == 0);
    for (size_t i = 0; i < 3; i++) {
        struct vom_value key = vom_value_zero(&vom_type_any), str = vom_value_str("a\"");

        if (i == 1)
            TAP_IS(vom_value_new_to(&a, &vom_type_any, str, &key) == 0);
        if (i == 2)
            TAP_IS(vom_value_new_to(&a, &vom_type_any, vom_value_int(&vom_type_int8, -5), &key) ==
                   0);
        vom_value_put(&v, i, key, vom_value_bool(&vom_type_bool, i == 1));
    }
    value_prints(&v, "{\"null\": false, \"\\\"a\\\\\\\"\\\"\": true, \"-5\": false}");
    arena_done(&a);
}

/* A map of so many keys "k0" to "k<n-1>", in an order of its own, each twice; the second counts. */
static void many_keys(struct arena *a, size_t n)
{
    struct buf out = BUF_INIT(1 << 20), blob = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20);
    struct vom_value v;

    TAP_IS(vom_value_new_map(a, notation_type(a, "map from (string) to (int32)"), 2 * n, &v) == 0);
    for (size_t i = 0; i < 2 * n; i++) {
        char key[16];
        size_t len = (size_t)snprintf(key, sizeof key, "k%zu", i * 7 % n);

        vom_value_put(&v, i, vom_value_span(&vom_type_string, arena_copy(a, span_of(key, len))),
                      vom_value_int(&vom_type_int32, (int64_t)i));
        if (i >= n)
            buf_printf(&want, "%s\"%s\": %zu", i > n ? ", " : "{", key, i);
    }
    buf_u8(&want, '}');
    TAP_IS(vom_encode(&blob, &v, NULL) == 0 && print_blob(&out, buf_span(&blob), NULL) == 0);
    TAP_OK(span_equal(buf_span(&out), buf_span(&want)), "%.*s", SPAN_ARG(buf_span(&out)));
    buf_done(&out);
    buf_done(&blob);
    buf_done(&want);
}

/* Of keys, the last one counts; structs that cannot be told apart have no text. */
static void each_name_once(void)
{
    static const char *const structs[] = {
        "struct {A bool; B bool; a bool}", "struct {A bool; A string}",
        "struct {\xc3\x89 bool; \xc3\xa9 bool}", "struct {\xff bool; B bool; \xfe bool}",
        "struct {A\xff bool; a\xef\xbf\xbd string}"};
    static const char *const keys[] = {"a", "b", "a", "", "b", ""};
    struct arena a = NOTATION_ARENA;
    struct err e = ERR_INIT;
    struct vom_value v;

    TAP_IS(vom_value_new_map(&a, notation_type(&a, "map from (string) to (int32)"), 6, &v) == 0);
    for (size_t i = 0; i < 6; i++)
        vom_value_put(&v, i, vom_value_str(keys[i]), vom_value_int(&vom_type_int32, (int64_t)i));
    value_prints(&v, "{\"a\": 2, \"b\": 4, \"\": 5}");
    v.n = 5;
    value_prints(&v, "{\"a\": 2, \"\": 3, \"b\": 4}");
    many_keys(&a, 5);
    many_keys(&a, 100);
    many_keys(&a, 1000);
    for (size_t i = 0; i < sizeof structs / sizeof structs[0]; i++) {
        struct buf blob = BUF_INIT(1000), out = BUF_INIT(1000);

        v = vom_value_zero(notation_type(&a, structs[i]));
        TAP_IS(vom_encode(&blob, &v, NULL) == 0);
        TAP_OK(print_blob(&out, buf_span(&blob), &e) == WSPR_EINVAL && out.len == 0, "%s: %.*s",
               structs[i], SPAN_ARG(buf_span(&out)));
        TAP_OK(strstr(err_text(&e), "have the same name") != NULL, "%s", err_text(&e));
        err_done(&e);
        buf_done(&blob);
        buf_done(&out);
    }
    v = vom_value_zero(notation_type(&a, "struct {A bool; Aa bool; AA bool; AaA bool; B\xff bool; "
                                         "B\xff\xff bool; B\xc3\x89 bool; B\xc3\xa9 bool}"));
    value_prints(&v, "{\"a\": false, \"aa\": false, \"aA\": false, \"aaA\": false, "
                     "\"b\xef\xbf\xbd\": false, \"b\xef\xbf\xbd\xef\xbf\xbd\": false, "
                     "\"b\xc3\x89\": false, \"b\xc3\xa9\": false}");
    arena_done(&a);
}

static void only_trees(void)
{
    struct arena a = NOTATION_ARENA;
    const struct vom_type *p = notation_type(&a, "pointer to (int32)");
    const struct vom_type *list = notation_type(&a, "slice of (pointer to (int32))");
    struct vom_value n = vom_value_int(&vom_type_int32, 5), v;
    struct buf out = BUF_INIT(100), blob = BUF_INIT(1000);
    struct err e = ERR_INIT;

    TAP_IS(vom_value_new_list(&a, list, 2, &v) == 0);
    vom_value_set(&v, 0, vom_value_to(p, &n));
    vom_value_set(&v, 1, vom_value_zero(p));
    value_prints(&v, "[5, null]");
    for (int nil = 0; nil < 2; nil++) {
        vom_value_set(&v, nil == 0 ? 1 : 0, nil == 0 ? vom_value_to(p, &n) : vom_value_zero(p));
        if (nil == 1)
            vom_value_set(&v, 1, vom_value_zero(p));
        buf_reset(&blob);
        TAP_IS(vom_encode(&blob, &v, NULL) == 0);
        TAP_IS(vom_json_write_value(&out, &v, 0, &e) == WSPR_EINVAL && out.len == 0);
        TAP_IS(print_blob(&out, buf_span(&blob), &e) == WSPR_EINVAL && out.len == 0);
        TAP_IS(strcmp(err_text(&e), "can only convert trees to JSON") == 0);
    }
    err_done(&e);
    buf_done(&out);
    buf_done(&blob);
    arena_done(&a);
}

/* A definition of a few bytes may stand for a text without end. */
static void long_zeros_stop_at_the_limit(void)
{
    /* struct {A array[2^40] of array[2^40] of bool}, value with no field sent */
    struct buf blob = vec_hex("ff810a1801010142010141000"
                              "0ff830c14014301fa01000000000000"
                              "ff850c14010201fa01000000000000"
                              "ff820100");
    struct buf out = BUF_INIT(100000);
    struct err e = ERR_INIT;
    struct arena a = NOTATION_ARENA;
    struct vom_type chain[300];
    struct vom_field fields[300];
    struct vom_value v = vom_value_zero(&chain[0]);
    int r = print_blob(&out, buf_span(&blob), &e);

    TAP_OK(r == WSPR_ELIMIT, "%d %s", r, err_text(&e));
    /* That it is too long is seen before much of it is written. */
    TAP_OK(out.len == 0 && out.cap < 4096, "%zu, %zu", out.len, out.cap);
    buf_done(&out);
    /* Structs in structs, deeper than values may be. */
    for (size_t i = 0; i < 300; i++) {
        fields[i] = (struct vom_field)VOM_FIELD("A", i < 299 ? &chain[i + 1] : &vom_type_bool);
        chain[i] = (struct vom_type){.kind = VOM_KIND_STRUCT, .n_fields = 1, .fields = &fields[i]};
    }
    TAP_IS(vom_json_write_value(&out, &v, 0, &e) == WSPR_ELIMIT && out.len == 0);
    v = vom_value_zero(&chain[100]);
    TAP_IS(vom_json_write_value(&out, &v, 0, &e) == 0);
    err_done(&e);
    buf_done(&out);
    buf_done(&blob);
    arena_done(&a);
}

/* Zeros of one type that were written before, also where what was written moves. */
static void zeros_of_a_type(void)
{
    static const char x_0[] = "{\"x\": 0, \"y\": [false, false, false]}",
                      x_1000[] = "{\"x\": 1000, \"y\": [false, false, false]}",
                      quoted_0[] = "\"{\\\"x\\\": 0, \\\"y\\\": [false, false, false]}\"",
                      quoted_1000[] = "\"{\\\"x\\\": 1000, \\\"y\\\": [false, false, false]}\"";
    struct buf want = BUF_INIT(10000);
    struct arena a = NOTATION_ARENA;
    const struct vom_type *t = notation_type(
        &a, "struct {K map from (named \"x/y.T\" struct {X int32; Y array[3] of (bool)}) to "
            "(\"x/y.T\"); M map from (float64) to (\"x/y.T\"); A \"x/y.T\"; B array[4] of "
            "(\"x/y.T\"); C array[1] of (\"x/y.T\"); D array[5] of (byte); E slice of "
            "(\"x/y.T\")}");
    const struct vom_type *pair = t->fields[2].type;
    struct vom_value v, m, k, list, one, zero = vom_value_zero(pair);

    TAP_IS(vom_value_new_struct(&a, t, &v) == 0 && vom_value_new_struct(&a, pair, &one) == 0);
    TAP_IS(vom_value_new_map(&a, t->fields[0].type, 2, &k) == 0);
    TAP_IS(vom_value_new_map(&a, t->fields[1].type, 3, &m) == 0);
    TAP_IS(vom_value_new_list(&a, t->fields[6].type, 3, &list) == 0);
    vom_value_set(&one, 0, vom_value_int(&vom_type_int32, 1000));
    vom_value_put(&k, 0, zero, zero);
    vom_value_put(&k, 1, one, one);
    /* Two are "null": the first is taken out. */
    vom_value_put(&m, 0, vom_value_float(&vom_type_float64, NAN), one);
    vom_value_put(&m, 1, vom_value_float(&vom_type_float64, 1), zero);
    vom_value_put(&m, 2, vom_value_float(&vom_type_float64, INFINITY), zero);
    vom_value_set(&list, 1, one);
    vom_value_set(&v, 0, k);
    vom_value_set(&v, 1, m);
    vom_value_set(&v, 6, list);
    buf_printf(&want, "{\"k\": {%s: %s, %s: %s}, \"m\": {\"1\": %s, \"null\": %s}, ", quoted_0, x_0,
               quoted_1000, x_1000, x_0, x_0);
    buf_printf(&want, "\"a\": %s, \"b\": [%s, %s, %s, %s], \"c\": [%s], ", x_0, x_0, x_0, x_0, x_0,
               x_0);
    buf_printf(&want, "\"d\": [0, 0, 0, 0, 0], \"e\": [%s, %s, %s]}", x_0, x_1000, x_0);
    value_prints(&v, buf_cstr(&want));
    buf_done(&want);
    arena_done(&a);
}

/* Each has the next twice: the text of a few types is long, and is made in as many steps. */
static void zeros_that_double(void)
{
    struct vom_type chain[21];
    struct vom_field fields[21][2];
    struct vom_value v = vom_value_zero(&chain[0]);
    struct buf out = BUF_INIT(64 << 20);
    struct span text;

    for (size_t i = 0; i < 21; i++) {
        const struct vom_type *next = i < 20 ? &chain[i + 1] : &vom_type_bool;

        fields[i][0] = (struct vom_field)VOM_FIELD("A", next);
        fields[i][1] = (struct vom_field)VOM_FIELD("B", next);
        chain[i] = (struct vom_type){.kind = VOM_KIND_STRUCT, .n_fields = 2, .fields = fields[i]};
    }
    TAP_IS(vom_json_write_value(&out, &v, 0, NULL) == 0);
    /* 2^21 leaves of 5, and 2^21 - 1 structs of {"a": , "b": }. */
    TAP_OK(out.len == (5u << 21) + 14 * ((1u << 21) - 1), "%zu", out.len);
    TAP_IS(json_scan(buf_span(&out), 0, 0, &text, NULL) == 0 && text.len == out.len);
    buf_done(&out);
}

/* The same without an end in sight: once the text is too long, nobody walks on. */
static void zeros_that_double_stop_at_the_limit(void)
{
    struct vom_type chain[100];
    struct vom_field fields[100][2];
    struct vom_value v = vom_value_zero(&chain[0]);
    struct buf out = BUF_INIT(100000);

    for (size_t i = 0; i < 100; i++) {
        const struct vom_type *next = i < 99 ? &chain[i + 1] : &vom_type_bool;

        fields[i][0] = (struct vom_field)VOM_FIELD("A", next);
        fields[i][1] = (struct vom_field)VOM_FIELD("B", next);
        chain[i] = (struct vom_type){.kind = VOM_KIND_STRUCT, .n_fields = 2, .fields = fields[i]};
    }
    TAP_IS(vom_json_write_value(&out, &v, 0, NULL) == WSPR_ELIMIT && out.len == 0);
    buf_done(&out);
    for (size_t i = 0; i < 100; i++)
        chain[i] = (struct vom_type){
            .kind = VOM_KIND_ARRAY, .len = 2, .elem = i < 99 ? &chain[i + 1] : &vom_type_bool};
    v = vom_value_zero(&chain[0]);
    TAP_IS(vom_json_write_value(&out, &v, 0, NULL) == WSPR_ELIMIT && out.len == 0);
    buf_done(&out);
}

/* A zero that was written before is no way to get deeper than values may be. */
static void zeros_again_are_as_deep(void)
{
    struct vom_type chain[150], other[150], top;
    struct vom_field in_chain[150], in_other[150],
        both[2] = {VOM_FIELD("A", &chain[0]), VOM_FIELD("B", &other[0])};
    struct vom_value v = vom_value_zero(&top);
    struct buf out = BUF_INIT(100000);

    top = (struct vom_type){.kind = VOM_KIND_STRUCT, .n_fields = 2, .fields = both};
    for (size_t i = 0; i < 150; i++) {
        in_chain[i] = (struct vom_field)VOM_FIELD("A", i < 149 ? &chain[i + 1] : &vom_type_bool);
        in_other[i] = (struct vom_field)VOM_FIELD("A", i < 149 ? &other[i + 1] : &chain[0]);
        chain[i] =
            (struct vom_type){.kind = VOM_KIND_STRUCT, .n_fields = 1, .fields = &in_chain[i]};
        other[i] =
            (struct vom_type){.kind = VOM_KIND_STRUCT, .n_fields = 1, .fields = &in_other[i]};
    }
    TAP_IS(vom_json_write_value(&out, &v, 0, NULL) == WSPR_ELIMIT && out.len == 0);
    /* 1 + 105 + 150 levels are as many as there may be, and one more is not. */
    both[1].type = &other[45];
    TAP_IS(vom_json_write_value(&out, &v, 0, NULL) == 0);
    buf_reset(&out);
    both[1].type = &other[44];
    TAP_IS(vom_json_write_value(&out, &v, 0, NULL) == WSPR_ELIMIT);
    /* So it is without the field that is written before. */
    top.fields = &both[1];
    top.n_fields = 1;
    TAP_IS(vom_json_write_value(&out, &v, 0, NULL) == WSPR_ELIMIT);
    both[1].type = &other[45];
    TAP_IS(vom_json_write_value(&out, &v, 0, NULL) == 0);
    buf_done(&out);
}

static struct vom_value a_value(struct arena *a)
{
    const struct vom_type *t = notation_type(
        a, "struct {A string; B slice of (interface); C map from (int32) to (string); "
           "D pointer to (float64); E bytes; F struct {X bool}; G int64}");
    struct vom_value v, list, map, any, target;

    TAP_IS(vom_value_new_struct(a, t, &v) == 0);
    TAP_IS(vom_value_new_list(a, t->fields[1].type, 3, &list) == 0);
    TAP_IS(vom_value_new_to(a, &vom_type_any, vom_value_str("q\""), &any) == 0);
    vom_value_set(&list, 1, any);
    TAP_IS(vom_value_new_map(a, t->fields[2].type, 1, &map) == 0);
    vom_value_put(&map, 0, vom_value_int(&vom_type_int32, -1), vom_value_str("x"));
    TAP_IS(vom_value_new_to(a, t->fields[3].type, vom_value_float(&vom_type_float64, 0.5),
                            &target) == 0);
    vom_value_set(&v, 0, vom_value_str("a\n"));
    vom_value_set(&v, 1, list);
    vom_value_set(&v, 2, map);
    vom_value_set(&v, 3, target);
    vom_value_set(&v, 4, vom_value_span(&vom_type_bytes, span_str("\x01\xff")));
    vom_value_set(&v, 6, vom_value_int(&vom_type_int64, INT64_MIN));
    return v;
}

static const char a_text[] =
    "{\"a\": \"a\\n\", \"b\": [null, \"q\\\"\", null], \"c\": {\"-1\": \"x\"}, "
    "\"d\": 0.5, \"e\": [1, 255], \"f\": {\"x\": false}, \"g\": "
    "-9223372036854775808}";

static void message_cut_at_each_byte(void)
{
    struct arena a = NOTATION_ARENA;
    struct vom_value v = a_value(&a);
    struct buf blob = BUF_INIT(1000);
    struct vom_dec dec;
    struct vom_msg msg;

    value_prints(&v, a_text);
    TAP_IS(vom_encode(&blob, &v, NULL) == 0);
    vom_dec_init(&dec, NULL);
    TAP_IS(vom_dec_next(&dec, buf_data(&blob), blob.len, &msg, NULL) == (ssize_t)blob.len);
    for (size_t cut = 0; cut < msg.body.len; cut++) {
        struct vom_msg part = msg;
        uint8_t *body = malloc(cut + 1);
        struct buf out = BUF_INIT(1000);

        memcpy(body, msg.body.p, cut);
        part.body = span_of(body, cut);
        buf_append_str(&out, "kept");
        TAP_OK(vom_json_write_msg(&out, &dec, &part, 0, NULL) == WSPR_ETRUNC, "cut at %zu", cut);
        TAP_IS(span_equal_str(buf_span(&out), "kept"));
        buf_done(&out);
        free(body);
    }
    vom_dec_done(&dec);
    buf_done(&blob);
    arena_done(&a);
}

static void buffer_limit(void)
{
    struct arena a = NOTATION_ARENA;
    struct vom_value v = a_value(&a);

    for (size_t max = 0; max <= sizeof a_text - 1; max++) {
        struct buf out = BUF_INIT(max);
        int r = vom_json_write_value(&out, &v, 0, NULL);

        TAP_OK(r == (max < sizeof a_text - 1 ? WSPR_ELIMIT : 0), "limit %zu: %d", max, r);
        TAP_IS(r == 0 || out.len == 0);
        buf_done(&out);
    }
    arena_done(&a);
}

static void print_once(void *arg)
{
    struct buf out = BUF_INIT(1000), same = BUF_INIT(1000);
    struct err e = ERR_INIT;
    int r = vom_json_write_value(&out, arg, 0, &e);

    TAP_IS(r == 0 || (r == WSPR_ENOMEM && out.len == 0));
    r = vom_json_write_value(&same, arg, VOM_JSON_REFERENCE, &e);
    TAP_IS(r == 0 || (r == WSPR_ENOMEM && same.len == 0));
    err_done(&e);
    buf_done(&out);
    buf_done(&same);
}

static void read_once(void *arg)
{
    struct buf out = BUF_INIT(1000);
    int r = print_blob(&out, buf_span(arg), NULL);

    TAP_IS(r == 0 || r == WSPR_ENOMEM);
    TAP_IS(r == 0 || out.len == 0);
    buf_done(&out);
}

static void survives_lack_of_memory(void)
{
    struct arena a = NOTATION_ARENA;
    struct vom_value v = a_value(&a), list;
    struct buf blob = BUF_INIT(1000);
    const struct vom_type *t = notation_type(&a, "slice of (pointer to (int32))");

    TAP_IS(failmalloc_each(print_once, &v, 100) > 2);
    TAP_IS(vom_encode(&blob, &v, NULL) == 0);
    TAP_IS(failmalloc_each(read_once, &blob, 100) > 2);
    /* More pointers than are kept without memory. */
    TAP_IS(vom_value_new_list(&a, t, 50, &list) == 0);
    for (size_t i = 0; i < 50; i++) {
        struct vom_value p;

        TAP_IS(vom_value_new_to(&a, t->elem, vom_value_int(&vom_type_int32, 1), &p) == 0);
        vom_value_set(&list, i, p);
    }
    TAP_IS(failmalloc_each(print_once, &list, 100) > 2);
    buf_done(&blob);
    arena_done(&a);
}

const struct tap_case vom_json_out_cases[VOM_JSON_OUT_CASES] = {
    {"text is valid JSON", text_is_valid_json},
    {"omitted fields are zeros", omitted_fields_are_zeros},
    {"names and keys are quoted", names_and_keys_are_quoted},
    {"each name once", each_name_once},
    {"only trees", only_trees},
    {"long zeros stop at the limit", long_zeros_stop_at_the_limit},
    {"zeros of a type", zeros_of_a_type},
    {"zeros that double", zeros_that_double},
    {"zeros again are as deep", zeros_again_are_as_deep},
    {"zeros that double stop at the limit", zeros_that_double_stop_at_the_limit},
    {"message cut at each byte", message_cut_at_each_byte},
    {"limit of the buffer", buffer_limit},
    {"each allocation failing", survives_lack_of_memory},
};

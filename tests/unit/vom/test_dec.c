#include "config.h"
#include "notation.h"
#include "suites.h"
#include "vom/convert.h"
#include "vom/dec.h"
#include "vom/enc.h"
#include "vom/wiretypes.h"

/* Decodes a whole blob in hexadecimal; the result, with its text in *e. */
static int decode(const char *hex, const struct vom_limits *limits, struct arena *a,
                  struct vom_value *ret_v, struct err *e)
{
    struct buf b = vec_hex(hex);
    struct span s = arena_copy(a, buf_span(&b));

    buf_done(&b);
    return vom_decode(s, limits, a, ret_v, NULL, e);
}

static bool fails(const char *hex, const struct vom_limits *limits, int code, const char *text)
{
    struct arena a = NOTATION_ARENA;
    struct vom_value v;
    struct err e = ERR_INIT;
    int r = decode(hex, limits, &a, &v, &e);
    bool ok = r == code && (text == NULL || strcmp(err_text(&e), text) == 0);

    if (!ok)
        tap_note("%s: %d %s", hex, r, err_text(&e));
    err_done(&e);
    arena_done(&a);
    return ok;
}

/* A request with its definitions, as it comes in any two pieces. */
static void expected_definitions(void)
{
    struct arena a = NOTATION_ARENA;
    struct buf out = BUF_INIT(4096);
    struct vom_value v;

    vom_value_new_struct(&a, &vom_type_ipc_request, &v);
    vom_value_set_field(&v, "Method", vom_value_str("Glob"));
    TAP_IS(vom_encode(&out, &v, NULL) == 0);
    for (size_t cut = 0; cut <= out.len; cut++) {
        struct vom_dec dec;
        struct vom_msg msg;
        struct vom_value got;

        vom_dec_init(&dec, NULL);
        vom_dec_expect(&dec, &vom_preset_request);
        if (cut < out.len) {
            TAP_IS(vom_dec_next(&dec, buf_data(&out), cut, &msg, NULL) == 0);
            TAP_IS(vom_dec_need(&dec) > cut && vom_dec_need(&dec) <= out.len);
        }
        TAP_IS(vom_dec_next(&dec, buf_data(&out), out.len, &msg, NULL) == (ssize_t)out.len);
        TAP_OK(msg.type == &vom_type_ipc_request, "cut at %zu: the type is the static one", cut);
        TAP_IS(vom_dec_value(&dec, &msg, &a, &got, NULL) == 0);
        TAP_IS(span_equal_str(vom_value_field(&got, "Method").s, "Glob"));
        vom_dec_done(&dec);
    }
    buf_done(&out);
    arena_done(&a);
}

/* Other starts than the expected one are read as usual, even if they begin alike. */
static void unexpected_definitions(void)
{
    static const char *const starts[] = {
        "4802",                                    /* a plain value */
        "20ff810412010300ff82020100",              /* filler first */
        "ff810412010300ff82020100",                /* another type 65 */
        "ff814b1801020103010145000101010146000001" /* begins like a response: not complete */
    };

    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        struct buf hex = vec_hex(starts[i]);
        struct vom_dec dec;
        struct vom_msg msg;
        ssize_t n;

        vom_dec_init(&dec, NULL);
        vom_dec_expect(&dec, &vom_preset_response);
        n = vom_dec_next(&dec, buf_data(&hex), hex.len, &msg, NULL);
        TAP_OK(i < 3 ? n == (ssize_t)hex.len : n == 0, "start %zu: %zd", i, n);
        vom_dec_done(&dec);
        buf_done(&hex);
    }
}

static void reset_forgets(void)
{
    struct buf def = vec_hex("ff810412012400ff8202010a"), value = vec_hex("ff8202010a");
    struct vom_dec dec;
    struct vom_msg msg;
    struct err e = ERR_INIT;

    vom_dec_init(&dec, NULL);
    TAP_IS(vom_dec_next(&dec, buf_data(&def), def.len, &msg, &e) == (ssize_t)def.len);
    TAP_IS(vom_dec_next(&dec, buf_data(&value), value.len, &msg, &e) == (ssize_t)value.len);
    vom_dec_reset(&dec);
    TAP_IS(vom_dec_next(&dec, buf_data(&value), value.len, &msg, &e) == WSPR_EPROTO);
    TAP_IS(strcmp(err_text(&e), "vom: unknown user type id 65") == 0);
    vom_dec_done(&dec);
    err_done(&e);
    buf_done(&def);
    buf_done(&value);
}

static void need_of_a_long_message(void)
{
    uint8_t *data = calloc(1, 100000 + 5);
    struct vom_dec dec;
    struct vom_msg msg;
    struct vom_value v;
    struct arena a = NOTATION_ARENA;

    memcpy(data, "\x08\xfd\x01\x86\xa0", 5);
    vom_dec_init(&dec, NULL);
    TAP_IS(vom_dec_next(&dec, data, 1, &msg, NULL) == 0 && vom_dec_need(&dec) == 2);
    TAP_IS(vom_dec_next(&dec, data, 2, &msg, NULL) == 0 && vom_dec_need(&dec) == 5);
    TAP_IS(vom_dec_next(&dec, data, 7, &msg, NULL) == 0 && vom_dec_need(&dec) == 100005);
    TAP_IS(vom_dec_next(&dec, data, 100005, &msg, NULL) == 100005);
    TAP_IS(vom_dec_value(&dec, &msg, &a, &v, NULL) == 0);
    TAP_OK(v.s.p == data + 5 && v.s.len == 100000, "bytes are borrowed");
    vom_dec_done(&dec);
    arena_done(&a);
    free(data);
}

static void limits(void)
{
    struct vom_limits l = vom_limits_default;
    struct vom_value v;
    struct arena a = ARENA_INIT(1200);
    struct buf many = BUF_INIT(4096);
    struct err e = ERR_INIT;

    l.message = 10;
    TAP_IS(fails("060b6161616161616161616161", &l, WSPR_ELIMIT,
                 "vom: message of 11 bytes, 10 are allowed"));
    TAP_IS(fails("080b", &l, WSPR_ELIMIT, NULL));
    TAP_IS(fails("ff810412012400ff820b", &l, WSPR_ELIMIT, NULL));
    TAP_IS(fails("ff810b", &l, WSPR_ELIMIT, NULL));
    l = vom_limits_default;
    l.definitions = 1;
    TAP_IS(fails("ff810412012400ff830412012400ff840100", &l, WSPR_ELIMIT,
                 "vom: more than 1 type definitions"));
    l = vom_limits_default;
    l.depth = 2;
    TAP_IS(fails("ff810412014200ff830412014300ff850412012400ff8203010100", &l, WSPR_ELIMIT,
                 "vom: value is nested too deeply"));
    /* The arena bounds what a value takes: 50 empty strings. */
    buf_append(&many, "\xff\x81\x04\x12\x01\x03\x00\xff\x82\x33\x32", 11);
    for (unsigned i = 0; i < 50; i++)
        buf_u8(&many, 0);
    TAP_IS(vom_decode(buf_span(&many), NULL, &a, &v, NULL, &e) == WSPR_ELIMIT);
    buf_done(&many);
    TAP_IS(strncmp(err_text(&e), "vom: value needs more than", 26) == 0);
    err_done(&e);
    arena_done(&a);
}

/* Values of a type that contains itself, as deep as allowed and one deeper. */
static void depth(void)
{
    for (unsigned n = VOM_DEPTH_MAX; n <= VOM_DEPTH_MAX + 1; n++) {
        struct buf b = vec_hex("ff8107120141010101"); /* slice 65 of 65, named */
        struct arena a = NOTATION_ARENA;
        struct vom_value v;
        struct err e = ERR_INIT;
        int r;

        buf_reset(&b);
        buf_append(&b, "\xff\x81\x07\x12\x01\x41\x01\x01N\x00", 10);
        vom_put_uint(&b, 130);
        vom_put_uint(&b, n);
        for (unsigned i = 1; i < n; i++)
            buf_u8(&b, 1);
        buf_u8(&b, 0);
        r = vom_decode(buf_span(&b), NULL, &a, &v, NULL, &e);
        TAP_OK(r == (n > VOM_DEPTH_MAX ? WSPR_ELIMIT : 0), "depth %u: %s", n,
               r < 0 ? err_text(&e) : "");
        if (r == 0) {
            struct buf out = BUF_INIT(4096);
            struct vom_value any;

            TAP_IS(vom_encode(&out, &v, NULL) == 0 && span_equal(buf_span(&out), buf_span(&b)));
            TAP_IS(vom_convert(&a, &v, &vom_type_any, NULL, &any, NULL) == 0);
            buf_done(&out);
        }
        err_done(&e);
        buf_done(&b);
        arena_done(&a);
    }
}

static void elements_without_bytes(void)
{
    struct arena a = NOTATION_ARENA;
    struct vom_value v;

    /* Slice of array[0]: two elements. */
    TAP_IS(decode("ff810412014200ff830414010300ff820102", NULL, &a, &v, NULL) == 0 && v.n == 2);
    TAP_IS(fails("ff810412014200ff830414010300ff8208fa010000000000", NULL, WSPR_ETRUNC, "EOF"));
    TAP_IS(fails("ff810412014200ff830414010300ff8207fa010000000000", NULL, WSPR_ELIMIT, NULL));
    /* A short message may have some of them, and one for each byte that it has. */
    TAP_IS(decode("ff810412014200ff830414010300ff8203fe0403", NULL, &a, &v, NULL) == 0);
    TAP_IS(vom_value_len(&v) == 1024 + 3);
    TAP_IS(fails("ff810412014200ff830414010300ff8203fe0404", NULL, WSPR_ELIMIT,
                 "vom: list of 1028 empty elements"));
    /* Array of 2^62 of those: a value without a byte. */
    TAP_IS(
        fails("ff810e14014201f8400000000000000000ff830414010300ff8200", NULL, WSPR_ELIMIT, NULL));
    TAP_IS(decode("ff81061401420105"
                  "00ff830414010300ff8200",
                  NULL, &a, &v, NULL) == 0);
    TAP_IS(vom_value_len(&v) == 5 && vom_value_is_zero(&v));
    arena_done(&a);
}

/* Pointers numbered in no order, and too many of them. */
static void reference_numbers(void)
{
    struct buf b = BUF_INIT(1 << 20), body = BUF_INIT(1 << 20);

    for (unsigned n = 1000; n <= 5000; n += 4000) {
        struct arena a = NOTATION_ARENA;
        struct vom_value v;
        int r;

        buf_reset(&b);
        buf_reset(&body);
        vom_put_uint(&body, 2 * n);
        for (unsigned i = 0; i < n; i++) {
            vom_put_int(&body, -(int64_t)((i * 7919 % n) * 1000 + 17));
            vom_put_int(&body, i);
        }
        for (unsigned i = 0; i < n; i++)
            vom_put_int(&body, (int64_t)((i * 7919 % n) * 1000 + 17));
        buf_append(&b, "\xff\x81\x04\x12\x01\x42\x00\xff\x83\x04\x1a\x01\x24\x00", 14);
        vom_put_uint(&b, 130);
        vom_put_bytes(&b, buf_span(&body));
        r = vom_decode(buf_span(&b), NULL, &a, &v, NULL, NULL);
        TAP_OK(r == (n > 4096 ? WSPR_ELIMIT : 0), "%u references", n);
        for (unsigned i = 0; r == 0 && i < n; i++)
            TAP_IS(v.items[i].to == v.items[n + i].to && v.items[i].to->i == (int64_t)i);
        arena_done(&a);
    }
    buf_done(&b);
    buf_done(&body);
}

static void bytes_behind_the_value(void)
{
    struct arena a = NOTATION_ARENA;
    struct vom_value v;
    size_t used;

    TAP_IS(fails("480a480c", NULL, WSPR_EPROTO, "vom: 2 bytes behind the value"));
    TAP_IS(vom_decode(span_of("\x48\x0a\x48", 3), NULL, &a, &v, &used, NULL) == 0 && used == 2);
    arena_done(&a);
}

/* What the reader's user must see: the same as the value has. */
static int64_t sum(struct vom_reader *r, const struct vom_type *t)
{
    int64_t total = 0, i = 0;
    int index = -1;
    size_t n;
    bool flag;
    uint64_t u;
    const struct vom_type *content;

    TAP_IS(vom_reader_enter(r) == 0);
    if (t->kind == VOM_KIND_STRUCT) {
        while (vom_read_field(r, t, &index) > 0)
            total += sum(r, t->fields[index].type);
    } else if (t->kind == VOM_KIND_SLICE) {
        TAP_IS(vom_read_count(r, t, &n) == 0);
        while (n-- > 0)
            total += sum(r, t->elem);
    } else if (t->kind == VOM_KIND_ANY) {
        if (vom_read_any(r, &content) > 0)
            total = sum(r, content);
    } else if (t->kind == VOM_KIND_PTR) {
        if (vom_read_ptr(r, &u) == VOM_PTR_NEW)
            total = sum(r, t->elem);
    } else if (t->kind == VOM_KIND_BOOL) {
        TAP_IS(vom_read_bool(r, &flag) == 0);
        total = flag;
    } else {
        TAP_IS(vom_read_int(r, t, &i) == 0);
        total = i;
    }
    vom_reader_leave(r);
    return total;
}

static void pulling(void)
{
    struct arena a = NOTATION_ARENA;
    struct json_object *o = json_tokener_parse("{\"A\": \"5\", \"B\": true, \"L\": [\"1\", \"2\", "
                                               "\"300\"], \"P\": {\"ptr\": 1, \"to\": \"7\"},"
                                               " \"Q\": {\"ref\": 1}, \"I\": {\"any\": {\"type\": "
                                               "\"int8\", \"value\": \"-3\"}}, \"N\": null}");
    struct vom_value v = notation_value(
        &a,
        notation_type(&a, "struct {A int; B bool; L slice of (int); P pointer to (int); "
                          "Q pointer to (int); I interface; N interface}"),
        o);
    struct buf out = BUF_INIT(4096);
    struct vom_dec dec;
    struct vom_msg msg;
    struct vom_reader r;

    TAP_IS(vom_encode(&out, &v, NULL) == 0);
    vom_dec_init(&dec, NULL);
    TAP_IS(vom_dec_next(&dec, buf_data(&out), out.len, &msg, NULL) > 0);
    vom_reader_init(&r, &dec, &msg, NULL);
    TAP_IS(sum(&r, msg.type) == 5 + 1 + 303 + 7 - 3);
    TAP_IS(vom_reader_end(&r) == 0 && r.depth == 0);
    vom_reader_init(&r, &dec, &msg, NULL);
    TAP_IS(vom_read_skip(&r, msg.type) == 0 && vom_reader_end(&r) == 0);
    vom_dec_done(&dec);
    buf_done(&out);
    json_object_put(o);
    arena_done(&a);
}

const struct tap_case vom_dec_cases[VOM_DEC_CASES] = {
    {"expected definitions", expected_definitions},
    {"unexpected definitions", unexpected_definitions},
    {"reset forgets", reset_forgets},
    {"need of a long message", need_of_a_long_message},
    {"limits", limits},
    {"depth", depth},
    {"elements without bytes", elements_without_bytes},
    {"reference numbers", reference_numbers},
    {"bytes behind the value", bytes_behind_the_value},
    {"pulling", pulling},
};

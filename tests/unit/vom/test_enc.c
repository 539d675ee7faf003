#include "config.h"
#include "notation.h"
#include "suites.h"
#include "vom/dec.h"
#include "vom/enc.h"
#include "vom/wiretypes.h"

static bool is_hex(struct buf *b, const char *hex)
{
    struct buf want = vec_hex(hex);
    bool same = span_equal(buf_span(b), buf_span(&want));

    buf_done(&want);
    return same;
}

/* Of the vectors: a named struct, a slice of interfaces with one. */
#define POINT_DEF                                                                                  \
    "ff812618010201240101580001240101590001146578616d706c652f7368617065732e506f696e7400"
#define LIST_DEF "ff810412010100"
#define POINT_DEF_66                                                                               \
    "ff832618010201240101580001240101590001146578616d706c652f7368617065732e506f696e7400"

static const struct vom_field point_fields[] = {VOM_FIELD("X", &vom_type_int32),
                                                VOM_FIELD("Y", &vom_type_int32)};
static const struct vom_type point = VOM_TYPE_STRUCT("example/shapes.Point", point_fields);

static void presets(void)
{
    static const struct {
        const struct vom_preset *preset;
        const char *value;
    } rows[] = {{&vom_preset_request, "ff820100"}, {&vom_preset_response, "ff820100"}};

    for (size_t i = 0; i < 2; i++) {
        struct buf fresh = BUF_INIT(4096), primed = BUF_INIT(4096);
        struct vom_value zero = vom_value_zero(rows[i].preset->types[0]);
        struct vom_enc enc;

        TAP_IS(vom_encode(&fresh, &zero, NULL) == 0);
        vom_enc_init(&enc);
        vom_enc_prime(&enc, &primed, rows[i].preset);
        TAP_IS(vom_enc_value(&enc, &primed, &zero, NULL) == 0);
        TAP_IS(span_equal(buf_span(&fresh), buf_span(&primed)));
        buf_reset(&primed);
        TAP_IS(vom_enc_value(&enc, &primed, &zero, NULL) == 0 && is_hex(&primed, rows[i].value));
        /* A second stream starts in the same way. */
        buf_reset(&primed);
        vom_enc_prime(&enc, &primed, rows[i].preset);
        TAP_IS(span_equal(buf_span(&primed), rows[i].preset->bytes));
        vom_enc_done(&enc);
        buf_done(&fresh);
        buf_done(&primed);
    }
}

static void written_without_a_tree(void)
{
    struct buf out = BUF_INIT(4096);
    struct vom_enc enc;

    vom_enc_init(&enc);
    TAP_IS(vom_enc_begin(&enc, &out, &vom_type_any_list, NULL) == 0);
    vom_put_uint(&out, 2);
    TAP_IS(vom_enc_any(&enc, &point, NULL) == 0);
    vom_put_uint(&out, 1);
    vom_put_int(&out, 1);
    vom_put_uint(&out, 0);
    vom_put_uint(&out, 0);
    TAP_IS(vom_enc_end(&enc, NULL) == 0);
    TAP_IS(is_hex(&out, LIST_DEF POINT_DEF_66 "ff8207"
                                              "02"
                                              "ff84"
                                              "010200"
                                              "00"));
    /* No length for a primitive. */
    buf_reset(&out);
    TAP_IS(vom_enc_begin(&enc, &out, &vom_type_string, NULL) == 0);
    vom_put_bytes(&out, span_str("ab"));
    TAP_IS(vom_enc_end(&enc, NULL) == 0 && is_hex(&out, "06026162"));
    /* A long value moves to make room for its length. */
    buf_reset(&out);
    TAP_IS(vom_enc_begin(&enc, &out, &vom_type_any, NULL) == 0);
    TAP_IS(vom_enc_any(&enc, &vom_type_bytes, NULL) == 0);
    vom_put_uint(&out, 300);
    for (unsigned i = 0; i < 300; i++)
        buf_u8(&out, (uint8_t)i);
    TAP_IS(vom_enc_end(&enc, NULL) == 0);
    TAP_IS(out.len == 1 + 3 + 1 + 3 + 300 &&
           memcmp(buf_data(&out), "\x02\xfe\x01\x30\x08\xfe", 6) == 0);
    TAP_IS(buf_data(&out)[8] == 0 && buf_data(&out)[307] == (uint8_t)299);
    TAP_IS(vom_enc_new_ref(&enc) == 1 && vom_enc_new_ref(&enc) == 2);
    vom_enc_done(&enc);
    buf_done(&out);
}

static void taken_back(void)
{
    struct buf out = BUF_INIT(4096);
    struct vom_value v = vom_value_zero(&point);
    struct vom_enc enc;

    vom_enc_init(&enc);
    buf_append_str(&out, "before");
    TAP_IS(vom_enc_begin(&enc, &out, &vom_type_any_list, NULL) == 0);
    vom_put_uint(&out, 1);
    TAP_IS(vom_enc_any(&enc, &point, NULL) == 0);
    vom_enc_abort(&enc);
    buf_consume(&out, 6);
    TAP_IS(is_hex(&out, LIST_DEF POINT_DEF_66));
    buf_reset(&out);
    TAP_IS(vom_enc_value(&enc, &out, &v, NULL) == 0 && is_hex(&out, "ff840100"));
    vom_enc_done(&enc);
    buf_done(&out);
}

/* Whatever the limit of the buffer is: all or nothing, and the stream goes on. */
static void full_buffers(void)
{
    struct arena a = NOTATION_ARENA;
    struct vom_value list, v;
    struct buf whole = BUF_INIT(4096);

    vom_value_new_struct(&a, &point, &v);
    vom_value_set_field(&v, "X", vom_value_int(&vom_type_int32, 300));
    vom_value_new_list(&a, &vom_type_any_list, 1, &list);
    vom_value_new_to(&a, &vom_type_any, v, &list.items[0]);
    TAP_IS(vom_encode(&whole, &list, NULL) == 0);
    for (size_t max = 0; max < whole.len; max++) {
        struct buf out = BUF_INIT(max), more = BUF_INIT(4096);
        struct vom_enc enc;
        struct err e = ERR_INIT;

        vom_enc_init(&enc);
        TAP_OK(vom_enc_value(&enc, &out, &list, &e) == WSPR_ELIMIT && e.code == WSPR_ELIMIT,
               "a buffer of %zu", max);
        TAP_OK(out.len == 0, "a buffer of %zu has nothing", max);
        TAP_IS(vom_enc_value(&enc, &more, &list, NULL) == 0);
        TAP_OK(span_equal(buf_span(&more), buf_span(&whole)), "after a buffer of %zu", max);
        vom_enc_done(&enc);
        buf_done(&out);
        buf_done(&more);
        err_done(&e);
    }
    buf_done(&whole);
    arena_done(&a);
}

static void wrong_values(void)
{
    struct arena a = NOTATION_ARENA;
    struct buf out = BUF_INIT(4096);
    struct err e = ERR_INIT;
    struct vom_value v, deep = vom_value_zero(&vom_type_any);

    vom_value_new_struct(&a, &point, &v);
    v.items[1] = vom_value_str("no number");
    TAP_IS(vom_encode(&out, &v, &e) == WSPR_EINVAL);
    TAP_OK(strcmp(err_text(&e), "vom: value of type \"string\" in the place of a \"int32\"") == 0,
           "%s", err_text(&e));
    TAP_OK(is_hex(&out, POINT_DEF), "definitions remain");
    v.items[1].type = NULL;
    TAP_IS(vom_encode(&out, &v, &e) == WSPR_EINVAL);
    for (unsigned i = 0; i <= VOM_DEPTH_MAX; i++) {
        struct vom_value list;

        vom_value_new_list(&a, &vom_type_any_list, 1, &list);
        list.items[0] = deep;
        vom_value_new_to(&a, &vom_type_any, list, &deep);
    }
    buf_reset(&out);
    TAP_IS(vom_encode(&out, &deep, &e) == WSPR_EINVAL);
    TAP_IS(strcmp(err_text(&e), "vom: value is nested too deeply") == 0);
    v = vom_value_zero(notation_type(&a, "array[3] of (byte)"));
    v.s = span_str("xy");
    TAP_IS(vom_encode(&out, &v, &e) == WSPR_EINVAL);
    v = vom_value_zero(&vom_type_any);
    TAP_IS(vom_value_new_to(&a, &vom_type_any, v, &v) == 0);
    v.to->type = NULL;
    TAP_IS(vom_encode(&out, &v, &e) == WSPR_EINVAL);
    err_done(&e);
    buf_done(&out);
    arena_done(&a);
}

static void interfaces_in_interfaces(void)
{
    struct arena a = NOTATION_ARENA;
    struct buf out = BUF_INIT(4096);
    struct vom_value v, nil = vom_value_zero(&vom_type_any);

    vom_value_new_to(&a, &vom_type_any, vom_value_bool(&vom_type_bool, true), &v);
    vom_value_new_to(&a, &vom_type_vdl_any, v, &v);
    vom_value_new_to(&a, &vom_type_any, v, &v);
    TAP_IS(vom_encode(&out, &v, NULL) == 0 && is_hex(&out, "02020401"));
    buf_reset(&out);
    vom_value_new_to(&a, &vom_type_any, nil, &v);
    TAP_IS(vom_encode(&out, &v, NULL) == 0 && is_hex(&out, "020100"));
    buf_done(&out);
    arena_done(&a);
}

/* More types and pointers than fit without memory, in types that go away. */
static void many_types_kept(void)
{
    struct arena keep = NOTATION_ARENA;
    struct buf out = BUF_INIT(1 << 20);
    struct vom_enc enc;
    struct vom_dec dec;
    struct vom_msg msg;

    vom_enc_init(&enc);
    vom_enc_keep(&enc, &keep);
    vom_dec_init(&dec, NULL);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 40; i++) {
            struct arena a = NOTATION_ARENA;
            char text[64];
            struct vom_value v, got;

            snprintf(text, sizeof text, "pointer to (named \"t%u.T\" int%u)", i, 8u << i % 4);
            v = vom_value_zero(notation_type(&a, text));
            TAP_IS(vom_value_new_to(&a, v.type, vom_value_zero(v.type->elem), &v) == 0);
            buf_reset(&out);
            TAP_IS(vom_enc_value(&enc, &out, &v, NULL) == 0);
            TAP_IS(vom_dec_next(&dec, buf_data(&out), out.len, &msg, NULL) == (ssize_t)out.len);
            got = vom_value_zero(v.type);
            TAP_IS(vom_dec_value(&dec, &msg, &a, &got, NULL) == 0);
            TAP_OK(vom_value_equal(&v, &got) == 1, "type %u in round %u", i, round);
            TAP_OK(msg.id == 65 + 2 * i, "its id is %u", (unsigned)msg.id);
            arena_done(&a);
        }
    }
    vom_enc_done(&enc);
    vom_dec_done(&dec);
    buf_done(&out);
    arena_done(&keep);
}

/* Types that differ only far inside: the encoder stops looking, what it writes stays right. */
static void types_that_look_alike(void)
{
    enum { N = 80, DEEP = 40 };
    struct arena keep = NOTATION_ARENA;

    for (unsigned kept = 0; kept < 2; kept++) {
        struct arena a = NOTATION_ARENA;
        struct buf out = BUF_INIT(1 << 24);
        struct vom_value list, got;
        struct vom_enc enc;

        vom_enc_init(&enc);
        if (kept)
            vom_enc_keep(&enc, &keep);
        TAP_IS(vom_value_new_list(&a, &vom_type_any_list, N, &list) == 0);
        for (unsigned i = 0; i < N; i++) {
            struct vom_type *t = arena_calloc(&a, DEEP + 1, sizeof *t);

            t[0] = (struct vom_type){.kind = VOM_KIND_ARRAY, .len = i + 1, .elem = &vom_type_bool};
            for (unsigned k = 1; k <= DEEP; k++)
                t[k] = (struct vom_type){.kind = VOM_KIND_PTR, .elem = &t[k - 1]};
            TAP_IS(vom_value_new_to(&a, &vom_type_any, vom_value_zero(&t[DEEP]), &list.items[i]) ==
                   0);
        }
        TAP_IS(vom_enc_value(&enc, &out, &list, NULL) == 0);
        TAP_IS(vom_decode(buf_span(&out), NULL, &a, &got, NULL, NULL) == 0);
        TAP_IS(vom_value_equal(&list, &got) == 1);
        TAP_OK(enc.unlike == 1024, "%u comparisons in vain", enc.unlike);
        vom_enc_done(&enc);
        buf_done(&out);
        arena_done(&a);
    }
    arena_done(&keep);
}

static void numbers(void)
{
    struct buf out = BUF_INIT(4096);

    vom_put_uint(&out, UINT64_MAX);
    vom_put_uint(&out, 0x80);
    vom_put_int(&out, INT64_MIN);
    vom_put_float(&out, -0.0);
    vom_put_bool(&out, true);
    TAP_IS(is_hex(&out, "f8ffffffffffffffff"
                        "ff80"
                        "f8ffffffffffffffff"
                        "ff80"
                        "01"));
    buf_reset(&out);
    for (size_t i = 0; i < 3; i++)
        vom_put_uint(&out, 0);
    buf_append_str(&out, "x");
    vom_put_uint_at(&out, 1, 300);
    TAP_IS(is_hex(&out, "00fe012c0078"));
    vom_put_uint_at(&out, 4, 5);
    TAP_IS(is_hex(&out, "00fe012c0578"));
    buf_done(&out);
}

static void zeros_by_their_bytes(void)
{
    static const struct {
        const char *type, *hex;
        bool zero;
    } rows[] = {
        {"int", "00", true},
        {"int", "02", false},
        {"float64", "ff80", true},
        {"float64", "fef03f", false},
        {"int", "ff80", false},
        {"array[2] of (float32)", "00ff80", true},
        {"array[2] of (array[1] of (float32))", "ff8000", true},
        {"array[2] of (float32)", "00fef03f", false},
        {"string", "00", true},
        {"string", "0100", false},
        {"slice of (int)", "0100", false},
        {"array[2] of (string)", "0000", true},
        {"struct {A int}", "00", true},
        {"struct {A int}", "010200", false},
        {"named \"time.Time\" bytes", "0f01000000000000000000000000ffff", true},
        {"named \"time.Time\" bytes", "0f01000000000000000000000001ffff", false},
        {"array[2] of (named \"time.Time\" bytes)", "000f01000000000000000000000000ffff", true},
        {"array[0] of (int)", "", true},
    };
    struct arena a = NOTATION_ARENA;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf hex = vec_hex(rows[i].hex);

        TAP_OK(vom_encoded_is_zero(notation_type(&a, rows[i].type), buf_span(&hex)) == rows[i].zero,
               "%s %s", rows[i].type, rows[i].hex);
        buf_done(&hex);
    }
    arena_done(&a);
}

const struct tap_case vom_enc_cases[VOM_ENC_CASES] = {
    {"presets", presets},
    {"written without a tree", written_without_a_tree},
    {"taken back", taken_back},
    {"full buffers", full_buffers},
    {"wrong values", wrong_values},
    {"interfaces in interfaces", interfaces_in_interfaces},
    {"many types, kept", many_types_kept},
    {"types that look alike", types_that_look_alike},
    {"numbers", numbers},
    {"zeros by their bytes", zeros_by_their_bytes},
};

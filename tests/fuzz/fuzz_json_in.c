/*
 * JSON text to VOM and back. The first byte chooses one of some types, the rest is the text. What
 * is converted must decode, must print as valid JSON, and that text must convert to the same again.
 */
#include "config.h"

#include <stdlib.h>

#include <json-c/json.h>

#include "json/reader.h"
#include "json/tree.h"
#include "vom/dec.h"
#include "vom/enc.h"
#include "vom/json_in.h"
#include "vom/json_out.h"
#include "vom/wiretypes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(cond)                                                                              \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

static const struct vom_type t_byte = VOM_TYPE_NAMED(VOM_KIND_BYTE, "x.B");
static const struct vom_type t_string = VOM_TYPE_NAMED(VOM_KIND_STRING, "x.S");
static const struct vom_type t_error = VOM_TYPE_NAMED(VOM_KIND_ANY, "x.error");
static const struct vom_type t_bytes = VOM_TYPE_SLICE("", &t_byte);
static const struct vom_type t_id = VOM_TYPE_ARRAY("x.ID", &vom_type_byte, 4);
static const struct vom_type t_pair = VOM_TYPE_ARRAY("", &vom_type_int32, 2);
static const struct vom_type t_int_map = VOM_TYPE_MAP("", &vom_type_int8, &vom_type_string);
static const struct vom_type t_pair_map = VOM_TYPE_MAP("", &t_pair, &vom_type_bool);
static const struct vom_type t_any_map = VOM_TYPE_MAP("", &vom_type_any, &t_string);
static const struct vom_type t_float_map = VOM_TYPE_MAP("", &vom_type_float64, &t_int_map);
static const struct vom_field f_point[] = {
    VOM_FIELD("X", &vom_type_int32),
    VOM_FIELD("Y", &vom_type_int32),
};
static const struct vom_type t_point = VOM_TYPE_STRUCT("x.Point", f_point);
static const struct vom_type t_point_ptr = VOM_TYPE_PTR("", &t_point);
static const struct vom_type t_points = VOM_TYPE_ARRAY("", &t_point, 2);
static const struct vom_type t_node;
static const struct vom_type t_node_ptr = VOM_TYPE_PTR("", &t_node);
static const struct vom_type t_nodes = VOM_TYPE_SLICE("", &t_node);
static const struct vom_field f_node[] = {
    VOM_FIELD("Val", &vom_type_int64),
    VOM_FIELD("Next", &t_node_ptr),
    VOM_FIELD("Kids", &t_nodes),
};
static const struct vom_type t_node = VOM_TYPE_STRUCT("x.Node", f_node);
static const struct vom_field f_mixed[] = {
    VOM_FIELD("A", &vom_type_int8),   VOM_FIELD("Bb", &vom_type_uint16),
    VOM_FIELD("C", &vom_type_uint64), VOM_FIELD("D", &vom_type_float32),
    VOM_FIELD("E", &vom_type_bool),   VOM_FIELD("F", &t_bytes),
    VOM_FIELD("G", &vom_type_bytes),  VOM_FIELD("H", &t_id),
    VOM_FIELD("I", &vom_type_any),    VOM_FIELD("J", &t_error),
    VOM_FIELD("K", &t_points),        VOM_FIELD("L", &t_int_map),
    VOM_FIELD("M", &t_any_map),       VOM_FIELD("\xc3\x89t", &vom_type_string),
    VOM_FIELD("O", &t_point_ptr),     VOM_FIELD("P", &vom_type_uint),
};
static const struct vom_type t_mixed = VOM_TYPE_STRUCT("x.Mixed", f_mixed);
static const struct vom_type t_mixed_list = VOM_TYPE_SLICE("", &t_mixed);

static const struct vom_type *const types[] = {
    &vom_type_any, &vom_type_string, &vom_type_float64, &vom_type_int64, &t_mixed,
    &t_node,       &t_pair_map,      &t_any_map,        &t_float_map,    &t_mixed_list,
    &t_id,         &vom_type_bytes,  &t_points,         &t_error,        &t_point_ptr,
};

static int convert(struct buf *out, const struct vom_type *t, struct span text)
{
    struct arena scratch = ARENA_INIT(1 << 22);
    struct err e = ERR_INIT;
    struct vom_enc enc;
    int r;

    vom_enc_init(&enc);
    r = vom_json_encode(&enc, out, t, text, &scratch, &e);
    REQUIRE(r == VOM_JSON_DONE || r == VOM_JSON_NIL || r == WSPR_EINVAL || r == WSPR_ELIMIT);
    REQUIRE((r < 0) == (e.code != 0));
    REQUIRE(r != VOM_JSON_NIL || out->len == 0);
    vom_enc_done(&enc);
    err_done(&e);
    arena_done(&scratch);
    return r;
}

/*
 * The same text, or the same but for names that occur twice: a value keeps the last entry of a key,
 * a message has them all. (-0 and 0 are one key with two names.)
 */
static bool same_text(struct span a, struct span b)
{
    struct json_object *x = NULL, *y = NULL;
    bool same = true;

    if (span_equal(a, b))
        return true;
    if (memmem(a.p, a.len, "-0", 2) != NULL || memmem(b.p, b.len, "-0", 2) != NULL)
        return true;
    /* Trees cannot hold names with a NUL. */
    if (json_tree_read(a, 0, 0, &x, NULL) == 0 && json_tree_read(b, 0, 0, &y, NULL) == 0)
        same = json_object_equal(x, y);
    json_object_put(x);
    json_object_put(y);
    return same;
}

/* What was written decodes; its text is what the pull reader makes of it, and valid. */
static int print(struct buf *text, struct span blob, struct arena *a)
{
    struct buf again = BUF_INIT(1 << 22);
    struct span value;
    struct vom_value v;
    struct vom_dec dec;
    struct vom_msg msg;
    int r, n;

    REQUIRE(vom_decode(blob, NULL, a, &v, NULL, NULL) == 0);
    r = vom_json_write_value(text, &v, 0, NULL);
    vom_dec_init(&dec, NULL);
    REQUIRE(vom_dec_next(&dec, blob.p, blob.len, &msg, NULL) == (ssize_t)blob.len);
    n = vom_json_write_msg(&again, &dec, &msg, 0, NULL);
    REQUIRE(n == r && same_text(buf_span(text), buf_span(&again)));
    if (r == 0) {
        REQUIRE(json_scan(buf_span(text), 0, JSON_STRICT, &value, NULL) == 0);
        REQUIRE(value.len == text->len);
    }
    vom_dec_done(&dec);
    buf_done(&again);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct vom_type *t;
    struct arena a = ARENA_INIT(1 << 24);
    struct buf blob = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
    struct buf text = BUF_INIT(1 << 22), same = BUF_INIT(1 << 22);

    if (size == 0)
        return 0;
    t = types[data[0] % (sizeof types / sizeof types[0])];
    if (convert(&blob, t, span_of(data + 1, size - 1)) == VOM_JSON_DONE &&
        print(&text, buf_span(&blob), &a) == 0) {
        /* NaN and infinities print as null, which a float does not take back. */
        int r = convert(&again, t, buf_span(&text));

        if (r == VOM_JSON_DONE && print(&same, buf_span(&again), &a) == 0)
            REQUIRE(span_equal(buf_span(&text), buf_span(&same)));
        else
            REQUIRE(memmem(buf_data(&text), text.len, "null", 4) != NULL ||
                    memmem(buf_data(&text), text.len, "{}", 2) != NULL);
    }
    buf_done(&blob);
    buf_done(&again);
    buf_done(&text);
    buf_done(&same);
    arena_done(&a);
    return 0;
}

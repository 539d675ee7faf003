/* The recordings of the reference implementation, in both directions. */
#include "config.h"

#include "notation.h"
#include "tap.h"
#include "vectors.h"
#include "vom/convert.h"
#include "vom/dec.h"
#include "vom/enc.h"
#include "vom/wiretypes.h"

/* A pointer to a struct and one to its first field: the reference gives them one number and cannot
 * read that itself. */
#define SAME_ADDRESS "ptr same address different type"

static struct {
    unsigned encoded, decoded, recoded, generic, kept, cuts, streams, steps, errors;
} count;

static bool is_one_of(struct buf *b, struct json_object *v)
{
    struct json_object *any = vec_get(v, "hex_any_of");
    struct buf hex = vec_hex(vec_str(v, "hex"));
    bool found = span_equal(buf_span(b), buf_span(&hex));

    buf_done(&hex);
    for (size_t i = 0; !found && any != NULL && i < json_object_array_length(any); i++) {
        hex = vec_hex(json_object_get_string(json_object_array_get_idx(any, i)));
        found = span_equal(buf_span(b), buf_span(&hex));
        buf_done(&hex);
    }
    return found;
}

static void check_encode(struct json_object *v, const struct vom_value *built)
{
    struct buf out = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    int r = vom_encode(&out, built, &e);

    TAP_OK(r == 0, "%s encodes: %s", vec_str(v, "name"), r < 0 ? err_text(&e) : "");
    TAP_OK(is_one_of(&out, v), "%s encodes to the recorded bytes", vec_str(v, "name"));
    count.encoded++;
    buf_done(&out);
    err_done(&e);
}

static void check_cuts(struct json_object *v, struct span hex, struct arena *a)
{
    for (size_t n = 0; n < hex.len; n++) {
        /* A copy of exact size lets the sanitizer see a read past the end. */
        uint8_t *piece = malloc(n > 0 ? n : 1);
        struct vom_value ignored;
        struct err e = ERR_INIT;
        size_t used;
        int r;

        if (n > 0)
            memcpy(piece, hex.p, n);
        r = vom_decode(span_of(piece, n), NULL, a, &ignored, &used, &e);
        TAP_OK(r == WSPR_ETRUNC, "%s cut at %zu ends early: %d", vec_str(v, "name"), n, r);
        TAP_OK(r < 0 && strcmp(err_text(&e), "EOF") == 0, "%s cut at %zu: %s", vec_str(v, "name"),
               n, err_text(&e));
        err_done(&e);
        free(piece);
        count.cuts++;
    }
}

/* The same byte by byte, asking only when the decoder says that it pays. */
static void check_pieces(struct json_object *v, struct span hex)
{
    struct vom_dec dec;
    struct vom_msg msg;
    size_t n = 0;
    ssize_t r = 0;

    vom_dec_init(&dec, NULL);
    while (n < hex.len) {
        r = vom_dec_next(&dec, hex.p, n, &msg, NULL);
        if (r != 0)
            break;
        TAP_OK(vom_dec_need(&dec) > n && vom_dec_need(&dec) <= hex.len, "%s needs %zu after %zu",
               vec_str(v, "name"), vom_dec_need(&dec), n);
        n = vom_dec_need(&dec) > n ? vom_dec_need(&dec) : n + 1;
    }
    if (r == 0)
        r = vom_dec_next(&dec, hex.p, hex.len, &msg, NULL);
    TAP_OK(r == (ssize_t)hex.len, "%s arrives in pieces: %zd", vec_str(v, "name"), r);
    vom_dec_done(&dec);
}

static void check_generic(struct json_object *v, const struct vom_value *decoded, struct span hex,
                          struct arena *a)
{
    struct json_object *generic = vec_get(v, "generic");
    struct vom_value any, expected;
    struct err e = ERR_INIT;
    int r = vom_convert(a, decoded, &vom_type_any, NULL, &any, &e);

    TAP_OK(r == 0, "%s becomes generic: %s", vec_str(v, "name"), r < 0 ? err_text(&e) : "");
    err_done(&e);
    if (r < 0)
        return;
    if (generic == NULL) {
        /* The reference fails or crashes; we keep names, so that nothing is lost. */
        enum vom_kind k = decoded->type->kind;
        struct buf out = BUF_INIT(1 << 20);

        TAP_OK(vom_encode(&out, any.to, NULL) == 0, "%s generic encodes", vec_str(v, "name"));
        if ((k == VOM_KIND_STRUCT || k == VOM_KIND_ARRAY) && vom_type_is_plain(decoded->type)) {
            TAP_OK(span_equal(buf_span(&out), hex), "%s generic is kept", vec_str(v, "name"));
            count.kept++;
        }
        buf_done(&out);
        return;
    }
    count.generic++;
    if (strcmp(vec_str(generic, "type"), "nil") == 0) {
        TAP_OK(any.to == NULL, "%s generic is nil", vec_str(v, "name"));
        return;
    }
    expected = notation_member(a, generic, "type", "value");
    notation_normalize(&expected);
    TAP_OK(any.to != NULL && vom_value_equal(any.to, &expected) == 1, "%s generic value",
           vec_str(v, "name"));
}

static void check_recode(struct json_object *v, const struct vom_value *decoded, struct span hex)
{
    struct buf out = BUF_INIT(1 << 20);
    struct arena a = NOTATION_ARENA;
    struct vom_value copy;

    TAP_OK(vom_encode(&out, decoded, NULL) == 0, "%s encodes again", vec_str(v, "name"));
    TAP_OK(span_equal(buf_span(&out), hex), "%s encodes again to the same bytes",
           vec_str(v, "name"));
    buf_reset(&out);
    TAP_OK(vom_value_copy(&a, decoded, &copy, NULL) == 0 && vom_encode(&out, &copy, NULL) == 0 &&
               span_equal(buf_span(&out), hex),
           "%s: so does a copy", vec_str(v, "name"));
    count.recoded++;
    arena_done(&a);
    buf_done(&out);
}

static void check_decode(struct json_object *v, struct vom_value *built, struct arena *a)
{
    struct buf hex = vec_hex(vec_str(v, "hex"));
    struct vom_value decoded;
    struct err e = ERR_INIT;
    int r = vom_decode(buf_span(&hex), NULL, a, &decoded, NULL, &e);

    if (strcmp(vec_str(v, "name"), SAME_ADDRESS) == 0) {
        TAP_OK(r == WSPR_ETYPE && strcmp(err_text(&e), "vom: can't convert refID 1 type "
                                                       "\"*shapes.Square2\" to type "
                                                       "\"*float64\"") == 0,
               "%s is rejected: %s", vec_str(v, "name"), err_text(&e));
        tap_note("\"%s\" is rejected, as its note says", SAME_ADDRESS);
    } else {
        TAP_OK(r == 0, "%s decodes: %s", vec_str(v, "name"), r < 0 ? err_text(&e) : "");
    }
    if (r == 0) {
        notation_normalize(built);
        TAP_OK(vom_value_equal(&decoded, built) == 1, "%s decodes to the recorded value",
               vec_str(v, "name"));
        count.decoded++;
        check_recode(v, &decoded, buf_span(&hex));
        check_generic(v, &decoded, buf_span(&hex), a);
        check_pieces(v, buf_span(&hex));
        check_cuts(v, buf_span(&hex), a);
    }
    err_done(&e);
    buf_done(&hex);
}

/* Steps that fail name host types; those that we can speak of have no VOM kind. */
static int encode_failing(struct vom_enc *enc, struct buf *out, const char *type, struct arena *a,
                          struct err *e)
{
    static const struct vom_type chan = {.kind = VOM_KIND_NONE, .name = VOM_STR("chan int")};
    static const struct vom_type func = {.kind = VOM_KIND_NONE, .name = VOM_STR("func()")};
    struct vom_value v = vom_value_zero(NULL), point;

    if (strcmp(type, "chan int") == 0) {
        v.type = &chan;
    } else if (strcmp(type, "func()") == 0) {
        v.type = &func;
    } else if (strcmp(type, "[]interface {}") == 0) {
        point = vom_value_zero(
            notation_type(a, "named \"example/shapes.Point\" struct {X int32; Y int32}"));
        vom_value_new_list(a, &vom_type_any_list, 2, &v);
        vom_value_new_to(a, &vom_type_any, point, &v.items[0]);
        vom_value_new_to(a, &vom_type_any, vom_value_zero(&chan), &v.items[1]);
    } else if (strcmp(type, "untyped nil") != 0) {
        tap_note("step of type %s: no descriptor can say that", type);
        return 1;
    }
    return vom_enc_value(enc, out, &v, e);
}

static void check_step(struct json_object *v, struct json_object *step, struct vom_enc *enc,
                       struct vom_dec *dec, struct arena *a)
{
    const char *error = vec_str(step, "encode_error");
    struct buf hex = vec_hex(vec_str(step, "hex")), out = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct vom_value built = {0}, decoded;
    struct vom_msg msg;
    int r;

    if (error != NULL) {
        r = encode_failing(enc, &out, vec_str(step, "go_type"), a, &e);
        if (r <= 0) {
            TAP_OK(r == WSPR_EINVAL && strcmp(err_text(&e), error) == 0, "%s: %s",
                   vec_str(v, "name"), err_text(&e));
            count.errors++;
        }
    } else {
        built = notation_member(a, step, "go_type", "value");
        r = vom_enc_value(enc, &out, &built, &e);
        TAP_OK(r == 0, "%s step encodes: %s", vec_str(v, "name"), r < 0 ? err_text(&e) : "");
    }
    TAP_OK(is_one_of(&out, step), "%s step %s", vec_str(v, "name"), vec_str(step, "go_type"));
    if (hex.len > 0) {
        ssize_t n = vom_dec_next(dec, buf_data(&hex), hex.len, &msg, NULL);

        if (error != NULL) {
            /* Only definitions: they stay in front of the next step. */
            TAP_OK(n == 0, "%s: definitions only", vec_str(v, "name"));
            dec->handled = 0;
        } else {
            TAP_OK(n == (ssize_t)hex.len && vom_dec_value(dec, &msg, a, &decoded, NULL) == 0,
                   "%s step decodes", vec_str(v, "name"));
            notation_normalize(&built);
            TAP_OK(n > 0 && vom_value_equal(&decoded, &built) == 1, "%s step value",
                   vec_str(v, "name"));
        }
    }
    count.steps++;
    err_done(&e);
    buf_done(&hex);
    buf_done(&out);
}

static void check_stream(struct json_object *v)
{
    struct json_object *steps = vec_get(v, "steps");
    struct arena a = NOTATION_ARENA;
    struct vom_enc enc;
    struct vom_dec dec;

    vom_enc_init(&enc);
    vom_dec_init(&dec, NULL);
    for (size_t i = 0; i < json_object_array_length(steps); i++)
        check_step(v, json_object_array_get_idx(steps, i), &enc, &dec, &a);
    vom_enc_done(&enc);
    vom_dec_done(&dec);
    arena_done(&a);
    count.streams++;
}

static void values_and_streams(void)
{
    struct json_object *file = vectors_load("vom.json");
    size_t n = json_object_array_length(file), values = 0;

    for (size_t i = 0; i < n; i++) {
        struct json_object *v = json_object_array_get_idx(file, i);
        struct arena a = NOTATION_ARENA;
        struct vom_value built;

        if (vec_get(v, "steps") != NULL) {
            check_stream(v);
            continue;
        }
        values++;
        built = notation_member(&a, v, "go_type", "value");
        check_encode(v, &built);
        check_decode(v, &built, &a);
        arena_done(&a);
    }
    tap_note(
        "vom.json: %zu vectors: %zu values (%u encoded, %u decoded, %u encoded again, %u generic, "
        "%u kept, %u cuts), %u streams with %u steps (%u errors)",
        n, values, count.encoded, count.decoded, count.recoded, count.generic, count.kept,
        count.cuts, count.streams, count.steps, count.errors);
    TAP_IS(values + count.streams == n && count.encoded == values);
    json_object_put(file);
}

static const struct vom_type *target_of(struct arena *a, const char *name)
{
    static const struct {
        const char *name, *type;
    } table[] = {
        {"any", "interface"},
        {"[]int32", "slice of (int32)"},
        {"[]bool", "slice of (bool)"},
        {"[]any", "slice of (interface)"},
        {"[]*int32", "slice of (pointer to (int32))"},
        {"map", "map from (string) to (int32)"},
        {"Point", "named \"example/shapes.Point\" struct {X int32; Y int32}"},
    };

    if (strcmp(name, "Request") == 0)
        return &vom_type_ipc_request;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].name, name) == 0)
            return notation_type(a, table[i].type);
    }
    return notation_type(a, name);
}

/* One more value of the stream, converted to the target. */
static int decode_as(struct vom_dec *dec, struct span *in, const struct vom_type *target,
                     struct arena *a, struct vom_value *ret_v, struct err *e)
{
    struct vom_msg msg;
    ssize_t n = vom_dec_next(dec, in->p, in->len, &msg, e);

    if (n <= 0)
        return n < 0 ? (int)n : err_set(e, WSPR_ETRUNC, "EOF");
    *in = span_of(in->p + n, in->len - (size_t)n);
    return vom_dec_convert(dec, &msg, a, target, ret_v, e);
}

static void bad_input(void)
{
    struct json_object *file = vectors_load("vom_bad.json");
    size_t n = json_object_array_length(file);
    unsigned rejected = 0, texts = 0, rules = 0;

    for (size_t i = 0; i < n; i++) {
        struct json_object *v = json_object_array_get_idx(file, i);
        const char *name = vec_str(v, "name"), *text = vec_str(v, "reference_error");
        struct arena a = NOTATION_ARENA;
        struct err e = ERR_INIT;
        struct vom_dec dec;
        struct vom_value ignored;
        struct buf hex;
        struct span in;
        int r;

        if (vec_str(v, "rule") != NULL) {
            /* The prefixes of all vectors: check_cuts. */
            rules++;
            continue;
        }
        hex = vec_hex(vec_str(v, "hex"));
        in = buf_span(&hex);
        vom_dec_init(&dec, NULL);
        r = decode_as(&dec, &in, target_of(&a, vec_str(v, "target")), &a, &ignored, &e);
        TAP_OK(r < 0, "%s is rejected", name);
        rejected += r < 0;
        /* Of a duplicate we do not print both definitions; the text form of streams is unknown to
         * us. */
        if (text != NULL && strncmp(text, "vom: json msg", 13) != 0) {
            size_t len = strncmp(text, "vom: duplicate wiredef", 22) == 0
                             ? (size_t)(strchr(text, ',') - text)
                             : strlen(text) + 1;

            TAP_OK(strncmp(err_text(&e), text, len) == 0, "%s: \"%s\", expected \"%s\"", name,
                   err_text(&e), text);
            texts++;
        }
        err_done(&e);
        vom_dec_done(&dec);
        buf_done(&hex);
        arena_done(&a);
    }
    tap_note("vom_bad.json: %zu vectors: %u rejected (%u texts compared), %u rule on prefixes", n,
             rejected, texts, rules);
    TAP_IS(rejected + rules == n);
    json_object_put(file);
}

static void unusual_input(void)
{
    struct json_object *file = vectors_load("vom_accept.json");
    size_t n = json_object_array_length(file);
    unsigned accepted = 0, quirks = 0;

    for (size_t i = 0; i < n; i++) {
        struct json_object *v = json_object_array_get_idx(file, i);
        const char *note = vec_str(v, "note");
        int64_t times = vec_get(v, "decode_count") != NULL ? vec_int(v, "decode_count") : 1;
        struct buf hex = vec_hex(vec_str(v, "hex"));
        struct span in = buf_span(&hex);
        struct arena a = NOTATION_ARENA;
        const struct vom_type *target = target_of(&a, vec_str(v, "target"));
        struct err e = ERR_INIT;
        struct vom_dec dec;
        struct vom_value got, expected;
        int r = 0;

        vom_dec_init(&dec, NULL);
        while (r == 0 && times-- > 0)
            r = decode_as(&dec, &in, target, &a, &got, &e);
        if (note != NULL && strncmp(note, "reference quirk", 15) == 0) {
            TAP_OK(r < 0, "%s may be rejected and is", vec_str(v, "name"));
            quirks++;
        } else {
            TAP_OK(r == 0, "%s is accepted: %s", vec_str(v, "name"), r < 0 ? err_text(&e) : "");
            expected = notation_value(&a, target, vec_get(v, "result"));
            TAP_OK(r == 0 && vom_value_equal(&got, &expected) == 1, "%s: value",
                   vec_str(v, "name"));
            accepted++;
        }
        err_done(&e);
        vom_dec_done(&dec);
        arena_done(&a);
        buf_done(&hex);
    }
    tap_note("vom_accept.json: %zu vectors: %u accepted, %u reference quirks rejected", n, accepted,
             quirks);
    TAP_IS(accepted + quirks == n && quirks == 2);
    json_object_put(file);
}

/* Floats that no 64-bit integer holds: the reference stores garbage, we report them. */
static bool is_garbage(struct json_object *v)
{
    struct json_object *source = vec_get(v, "source_value");
    const char *text = vec_str(source, "text"), *target = vec_str(v, "target_type");

    return vec_get(v, "result") != NULL && text != NULL && strcmp(text, "1e+300") == 0 &&
           strncmp(target, "float", 5) != 0;
}

static void check_convert(struct json_object *v, unsigned counts[3])
{
    const char *error = vec_str(v, "error");
    struct buf hex = vec_hex(vec_str(v, "hex"));
    struct arena a = NOTATION_ARENA;
    const struct vom_type *target = notation_type(&a, vec_str(v, "target_type"));
    struct err e = ERR_INIT;
    struct vom_value value, init, got, expected;
    bool has_init = vec_get(v, "target_initial") != NULL;
    int r = vom_decode(buf_span(&hex), NULL, &a, &value, NULL, &e);

    if (has_init)
        init = notation_value(&a, target, vec_get(v, "target_initial"));
    if (r == 0)
        r = vom_convert(&a, &value, target, has_init ? &init : NULL, &got, &e);
    if (is_garbage(v)) {
        TAP_OK(r == WSPR_ETYPE &&
                   strncmp(err_text(&e), "vom: type mismatch, can't fill float 1e+300", 43) == 0,
               "1e+300 into %s: %s", vec_str(v, "target_type"), err_text(&e));
        counts[2]++;
    } else if (error != NULL) {
        TAP_OK(r == WSPR_ETYPE && strcmp(err_text(&e), error) == 0, "%s: \"%s\", expected \"%s\"",
               vec_str(v, "source_type"), err_text(&e), error);
        counts[1]++;
    } else {
        expected = notation_value(&a, target, vec_get(v, "result"));
        TAP_OK(r == 0 && vom_value_equal(&got, &expected) == 1, "%s %s into %s: %s",
               vec_str(v, "source_type"), json_object_to_json_string(vec_get(v, "source_value")),
               vec_str(v, "target_type"),
               r < 0 ? err_text(&e) : json_object_to_json_string(vec_get(v, "result")));
        counts[0]++;
    }
    err_done(&e);
    arena_done(&a);
    buf_done(&hex);
}

static void conversions(void)
{
    struct json_object *file = vectors_load("vom_convert.json");
    size_t n = json_object_array_length(file);
    unsigned counts[3] = {0};

    for (size_t i = 0; i < n; i++)
        check_convert(json_object_array_get_idx(file, i), counts);
    tap_note("vom_convert.json: %zu vectors: %u values, %u errors, %u reported where the reference "
             "stores garbage",
             n, counts[0], counts[1], counts[2]);
    TAP_IS(counts[0] + counts[1] + counts[2] == n);
    json_object_put(file);
}

int main(int argc, char **argv)
{
    static const struct tap_case cases[] = {
        {"values and streams", values_and_streams},
        {"bad input", bad_input},
        {"unusual input", unusual_input},
        {"conversions", conversions},
    };
    static const struct tap_suite suites[] = {TAP_SUITE("vom vectors", cases)};

    return tap_main(argc, argv, suites, 1);
}

/*
 * The recorded JSON conversions, in both directions. Where we differ from the reference on purpose
 * the reason stands in a table here, and the test says how many vectors that were.
 */
#include "config.h"

#include "json/reader.h"
#include "json_cases.h"
#include "notation.h"
#include "vom/convert.h"
#include "vom/defs.h"
#include "vom/enc.h"
#include "vom/json_in.h"
#include "vom/json_out.h"

/* What is printed must be JSON, whatever the value, unless it is to look like the reference. */
static void check_valid(struct span text, const char *what)
{
    struct span value;

    TAP_OK(json_scan(text, 0, JSON_STRICT, &value, NULL) == 0 && value.len == text.len,
           "%s: %.*s is not valid JSON", what, SPAN_ARG(text));
}

/* The value through an encoder, a decoder and the pull reader. */
static int print_encoded(struct buf *out, const struct vom_value *v, unsigned flags, struct err *e)
{
    struct buf blob = BUF_INIT(1 << 20);
    struct vom_dec dec;
    struct vom_msg msg;
    int r = vom_encode(&blob, v, e);

    vom_dec_init(&dec, NULL);
    if (r == 0 && vom_dec_next(&dec, buf_data(&blob), blob.len, &msg, e) != (ssize_t)blob.len)
        r = WSPR_EPROTO;
    if (r == 0)
        r = vom_json_write_msg(out, &dec, &msg, flags, e);
    vom_dec_done(&dec);
    buf_done(&blob);
    return r;
}

struct out_counts {
    unsigned values, messages, other;
};

/* The text of one vector, by both ways; want NULL: an error is due. */
static void check_out(const struct vom_value *v, const char *name, const char *want,
                      const char *error, struct out_counts *n)
{
    for (int way = 0; way < 4; way++) {
        unsigned flags = way % 2 == 0 ? VOM_JSON_REFERENCE : 0;
        struct buf out = BUF_INIT(1 << 20);
        struct err e = ERR_INIT;
        int r;

        buf_append_str(&out, "x");
        if (way >= 2 && (v->type == NULL || v->type->kind == VOM_KIND_NONE)) {
            buf_done(&out);
            continue;
        }
        r = way < 2 ? vom_json_write_value(&out, v, flags, &e) : print_encoded(&out, v, flags, &e);
        if (want == NULL) {
            TAP_OK(r == WSPR_EINVAL && (error == NULL || strcmp(error, err_text(&e)) == 0),
                   "%s: %d %s", name, r, err_text(&e));
            TAP_IS(span_equal_str(buf_span(&out), "x"));
        } else {
            buf_consume(&out, 1);
            TAP_OK(r == 0, "%s: %s", name, err_text(&e));
            if (flags != 0)
                TAP_OK(span_equal_str(buf_span(&out), want), "%s: %.*s, not %s", name,
                       SPAN_ARG(buf_span(&out)), want);
            else
                check_valid(buf_span(&out), name);
        }
        n->values += way < 2;
        n->messages += way >= 2;
        err_done(&e);
        buf_done(&out);
    }
}

/* Vectors whose text depends on what the process that recorded them knew. */
static const char *known_difference(const char *type, const char *json)
{
    /* The reference cut a first character of two bytes in half. */
    if (strstr(type, "lanVital") != NULL)
        return "{\"hTTPServer\": 1, \"x\": 2, \"abcDef\": 3, \"\xc3\xa9lanVital\": 4}";
    /* Custom-encoded by a type that only the recorder had; on the wire it is a named string. */
    if (strstr(type, "example/shapes.Custom") != NULL)
        return "\"v\"";
    return json;
}

static void values_print_as_recorded(void)
{
    static const struct vom_type none = {.kind = VOM_KIND_NONE, .name = VOM_STR("chan")};
    struct json_object *file = vectors_load("vom_json.json");
    struct out_counts n = {0, 0, 0};
    unsigned vectors = 0, errors = 0;

    for (size_t i = 0; i < json_object_array_length(file); i++) {
        struct json_object *o = json_object_array_get_idx(file, i);
        const char *type = vec_str(o, "type"), *json = vec_str(o, "json"), *want;
        struct arena a = NOTATION_ARENA;
        struct vom_value v = vom_value_zero(NULL);

        if (strcmp(vec_str(o, "op"), "ObjToJSON") != 0)
            continue;
        if (strcmp(type, "chan") == 0 || strcmp(type, "func") == 0)
            v = vom_value_zero(&none);
        else if (strcmp(type, "untyped nil") != 0)
            v = notation_member(&a, o, "type", "value");
        want = known_difference(type, json);
        n.other += want != json;
        check_out(&v, type, want, vec_str(o, "error"), &n);
        vectors++;
        errors += want == NULL;
        arena_done(&a);
    }
    tap_note("vom_json.json: %u ObjToJSON vectors (%u errors), %u times from values, %u times from "
             "messages; %u differ on purpose",
             vectors, errors, n.values, n.messages, n.other);
    TAP_IS(vectors == 134 && n.other == 2);
    json_object_put(file);
}

static struct span def_name(struct json_object *o)
{
    const char *name = vec_str(o, "Name");

    return name != NULL ? span_str(name) : span_of(NULL, 0);
}

/* One definition of a vector's type_defs. */
static void add_def(struct vom_defs *defs, struct arena *a, struct json_object *o)
{
    static const char *const kinds[] = {"NamedPrimitiveType", "SliceType", "ArrayType", "MapType",
                                        "StructType",         "PtrType"};
    struct json_object *fields = vec_get(o, "Fields");
    struct vom_wiredef w = {.name = def_name(o)};

    for (unsigned k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        if (strcmp(vec_str(o, "def"), kinds[k]) == 0)
            w.kind = 8 + k;
    }
    TAP_IS(w.kind != 0);
    w.type = (uint64_t)vec_int(o, w.kind == 8 ? "Type" : "Elem");
    w.key = (uint64_t)vec_int(o, "Key");
    w.len = (uint64_t)vec_int(o, "Len");
    if (fields != NULL) {
        w.n_fields = (uint32_t)json_object_array_length(fields);
        w.fields = arena_calloc(a, w.n_fields, sizeof *w.fields);
        for (uint32_t i = 0; i < w.n_fields; i++) {
            struct json_object *f = json_object_array_get_idx(fields, i);

            w.fields[i] = (struct vom_wirefield){def_name(f), (uint64_t)vec_int(f, "Type")};
        }
    }
    TAP_IS(vom_defs_add(defs, (uint64_t)vec_int(o, "id"), &w, NULL) == 0);
}

static int vector_type(struct json_object *o, struct arena *a, const struct vom_type **ret_t)
{
    struct json_object *list = vec_get(o, "type_defs");
    struct vom_defs defs;

    vom_defs_init(&defs, a, 100);
    defs.catalogue = true;
    for (size_t i = 0; i < json_object_array_length(list); i++)
        add_def(&defs, a, json_object_array_get_idx(list, i));
    return vom_defs_type(&defs, (uint64_t)vec_int(o, "type_id"), ret_t, NULL);
}

/* Where we do what is sound, or what websocket 14 asks for, instead of what was recorded. */
static const struct {
    uint64_t type_id;
    const char *json;
    const char *text; /* of our result, or our error */
} sound[] = {
    /* All of JSON is accepted. */
    {3, "\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""},
    {3, "\"\\/\"", "\"/\""},
    {26, "1e5", "100000"},
    {36, "1e2",
     "error transcoding json to object: strconv.ParseInt: parsing \"1e2\": invalid syntax (JSON "
     "was "
     "\"1e2\")"},
    /* Quirk 1: bytes from 128 on. */
    {50, "128", "128"},
    {50, "255", "255"},
    {4, "[128]", "[128]"},
    {4, "[200,1]", "[200, 1]"},
    {4, "\"\xc3\xa9\"", "[195, 169]"},
    {65, "[1,200]", "[1, 200]"},
    {65, "\"\xc3\xa9\"", "[195, 169]"},
    {65, "{\"200\":\"x\"}", "{\"200\": \"x\"}"},
    /* Quirk 2: structs and arrays that nobody registered. */
    {14, "{\"type\":3,\"name\":\"x\"}", "{\"type\": 3, \"name\": \"x\"}"},
    {65, "{\"uniq1\":\"a\",\"uniq2\":5}", "{\"uniq1\": \"a\", \"uniq2\": 5}"},
    {65, "[{\"uniq1\":\"a\"}]", "[{\"uniq1\": \"a\", \"uniq2\": 0}]"},
    {65, "[1,2]", "[1, 2]"},
    {65, "[1,2,3]", "error decoding transcoded json: vom: decoding saw 1 leftover bytes"},
    {65, "{\"suffix\":\"a\",\"method\":\"m\",\"numPosArgs\":\"3\"}",
     "{\"suffix\": \"a\", \"method\": \"m\", \"numPosArgs\": 3, \"endStreamArgs\": false, "
     "\"timeout\": 0, \"hasBlessing\": false, \"numDischarges\": 0}"},
    {65, "{\"foo-bar\":1}", "{\"foo-Bar\": 1}"},
    /* Quirk 3: null in a list of pointers. */
    {65, "[null]", "[null]"},
    /* What the reference does not survive. */
    {33, "77", "77"},
    {49, "300", "300"},
    {48, "1", "1"},
    {65, "{\"7\":\"x\"}", "{\"7\": \"x\"}"},
    {65, "{\"[1,2]\":3}", "{\"[1, 2]\": 3}"},
};

static const char *sound_text(struct json_object *o)
{
    /* The same texts are recorded for types that work: only failures are replaced. */
    if (vec_str(o, "result_type") != NULL && vec_int(o, "type_id") != 3)
        return NULL;
    for (size_t i = 0; i < sizeof sound / sizeof sound[0]; i++) {
        if ((uint64_t)vec_int(o, "type_id") == sound[i].type_id &&
            strcmp(vec_str(o, "json"), sound[i].json) == 0)
            return sound[i].text;
    }
    return NULL;
}

/* Compares by structure: the recorder's own types name some parts differently than the wire. */
static bool same_value(struct arena *a, const struct vom_value *got, const struct vom_value *want)
{
    struct vom_value any, converted;

    if (want->type == NULL)
        return got->type == NULL ||
               ((got->type->kind == VOM_KIND_PTR || got->type->kind == VOM_KIND_ANY) &&
                got->to == NULL);
    if (vom_convert(a, got, &vom_type_any, NULL, &any, NULL) < 0)
        return false;
    if (want->type->kind == VOM_KIND_PTR && want->to == NULL)
        return got->to == NULL && any.to != NULL && vom_type_same(any.to->type, want->type);
    if (any.to == NULL)
        return false;
    if (vom_value_equal(any.to, want) == 1)
        return true;
    return any.to->type->kind == VOM_KIND_STRUCT &&
           span_equal(any.to->type->name, want->type->name) &&
           vom_convert(a, any.to, want->type, NULL, &converted, NULL) == 0 &&
           vom_value_equal(&converted, want) == 1;
}

struct in_counts {
    unsigned vectors, results, errors, sound, refused;
};

static void check_sound(int r, const struct vom_value *got, const struct err *e, const char *json,
                        const char *want)
{
    struct buf text = BUF_INIT(1 << 16);

    if (r == VOM_JSON_DONE)
        TAP_IS(vom_json_write_value(&text, got, 0, NULL) == 0);
    else
        buf_append_str(&text, err_text(e));
    TAP_OK(span_equal_str(buf_span(&text), want), "%s: %.*s, not %s", json,
           SPAN_ARG(buf_span(&text)), want);
    buf_done(&text);
}

static void check_in(struct json_object *o, struct in_counts *n)
{
    struct arena a = NOTATION_ARENA, scratch = ARENA_INIT(1 << 20);
    const char *json = vec_str(o, "json"), *error = vec_str(o, "error");
    struct vom_value got = vom_value_zero(NULL), want = got;
    struct buf out = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    const struct vom_type *t;
    struct vom_enc enc;
    int r;

    n->vectors++;
    vom_enc_init(&enc);
    r = vector_type(o, &a, &t);
    if (r == 0)
        r = vom_json_encode(&enc, &out, t, span_str(json), &scratch, &e);
    if (r == VOM_JSON_DONE) {
        TAP_OK(vom_decode(buf_span(&out), NULL, &a, &got, NULL, &e) == 0, "%s: %s", json,
               err_text(&e));
    } else if (r == WSPR_EINVAL) {
        TAP_IS(out.len == 0 || enc.n_types > 0); /* definitions at most */
    }
    if (sound_text(o) != NULL) {
        check_sound(r, &got, &e, json, sound_text(o));
        n->sound++;
    } else if (error != NULL) {
        TAP_OK(r == WSPR_EINVAL && strcmp(err_text(&e), error) == 0, "%s: %d %s, not %s", json, r,
               err_text(&e), error);
        n->errors++;
    } else if (vec_str(o, "reference") != NULL) {
        TAP_OK(r < 0, "%s", json);
        n->refused++;
    } else {
        if (strcmp(vec_str(o, "result_type"), "nil") != 0)
            want = notation_member(&a, o, "result_type", "result");
        TAP_OK(r == (want.type == NULL ? VOM_JSON_NIL : VOM_JSON_DONE) &&
                   same_value(&a, &got, &want),
               "%s as %s: %d %s", json, vec_str(o, "result_type"), r, err_text(&e));
        n->results++;
    }
    err_done(&e);
    vom_enc_done(&enc);
    buf_done(&out);
    arena_done(&a);
    arena_done(&scratch);
}

static void texts_convert_as_recorded(void)
{
    struct json_object *file = vectors_load("vom_json.json");
    struct in_counts n = {0, 0, 0, 0, 0};

    for (size_t i = 0; i < json_object_array_length(file); i++) {
        struct json_object *o = json_object_array_get_idx(file, i);

        if (strcmp(vec_str(o, "op"), "JSONToObject") == 0)
            check_in(o, &n);
    }
    tap_note("vom_json.json: %u JSONToObject vectors: %u results, %u errors, %u refused where the "
             "reference crashes, %u done the sound way",
             n.vectors, n.results, n.errors, n.refused, n.sound);
    TAP_IS(n.vectors == 211);
    TAP_IS(n.results + n.errors + n.refused + n.sound == n.vectors);
    json_object_put(file);
}

const struct tap_case vom_json_vectors_cases[VOM_JSON_VECTORS_CASES] = {
    {"values print as recorded", values_print_as_recorded},
    {"texts convert as recorded", texts_convert_as_recorded},
};

int main(int argc, char **argv)
{
    static const struct tap_suite suites[] = {
        TAP_SUITE("vectors", vom_json_vectors_cases),
        TAP_SUITE("in", vom_json_in_cases),
        TAP_SUITE("out", vom_json_out_cases),
        TAP_SUITE("run", vom_json_run_cases),
    };

    return tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
}

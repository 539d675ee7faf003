#include "config.h"
#include "notation.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vom/wiretypes.h"

#define NAMES_MAX 64

struct type_parser {
    struct arena *arena;
    const char *text; /* all of it, for complaints */
    const char *p;
    const struct vom_type *names[NAMES_MAX]; /* can be referred to by their quoted name */
    size_t n_names;
};

static void die(const char *what, const char *text)
{
    fprintf(stderr, "vector notation: %s in %s\n", what, text);
    exit(99);
}

static bool eat(struct type_parser *tp, const char *word)
{
    size_t n = strlen(word);

    if (strncmp(tp->p, word, n) != 0)
        return false;
    tp->p += n;
    return true;
}

static void want(struct type_parser *tp, const char *word)
{
    if (!eat(tp, word))
        die(word, tp->text);
}

static struct span quoted(struct type_parser *tp)
{
    const char *end;
    struct span s;

    want(tp, "\"");
    end = strchr(tp->p, '"');
    if (end == NULL)
        die("quote", tp->text);
    s = arena_copy(tp->arena, span_of(tp->p, (size_t)(end - tp->p)));
    tp->p = end + 1;
    return s;
}

static const struct vom_type *parse_type(struct type_parser *tp);

static const struct vom_type *parse_parens(struct type_parser *tp)
{
    const struct vom_type *t;

    want(tp, "(");
    t = parse_type(tp);
    want(tp, ")");
    return t;
}

static void parse_fields(struct type_parser *tp, struct vom_type *t)
{
    struct vom_field *fields = arena_calloc(tp->arena, 64, sizeof *fields);

    while (!eat(tp, "}")) {
        const char *end = strchr(tp->p, ' ');

        if (end == NULL || t->n_fields == 64)
            die("field", tp->text);
        fields[t->n_fields].name = arena_copy(tp->arena, span_of(tp->p, (size_t)(end - tp->p)));
        tp->p = end + 1;
        fields[t->n_fields++].type = parse_type(tp);
        eat(tp, "; ");
    }
    t->fields = fields;
}

static void parse_tags(struct type_parser *tp, struct vom_type *t)
{
    struct span *tags = arena_calloc(tp->arena, 8, sizeof *tags);

    while (!eat(tp, "]")) {
        size_t n = strcspn(tp->p, " ]");

        tags[t->n_tags++] = arena_copy(tp->arena, span_of(tp->p, n));
        tp->p += n;
        eat(tp, " ");
    }
    t->tags = tags;
}

static bool parse_scalar(struct type_parser *tp, struct vom_type *t)
{
    static const struct {
        const char *word;
        const struct vom_type *type;
    } words[] = {
        {"interface(unnamed, distinct from plain interface; holds errors)", &vom_type_error},
        {"interface", &vom_type_any},
        {"bool", &vom_type_bool},
        {"string", &vom_type_string},
        {"bytes", &vom_type_bytes},
        {"byte", &vom_type_byte},
        {"uintptr", &vom_type_uintptr},
        {"uint16", &vom_type_uint16},
        {"uint32", &vom_type_uint32},
        {"uint64", &vom_type_uint64},
        {"uint", &vom_type_uint},
        {"int8", &vom_type_int8},
        {"int16", &vom_type_int16},
        {"int32", &vom_type_int32},
        {"int64", &vom_type_int64},
        {"int", &vom_type_int},
        {"float32", &vom_type_float32},
        {"float64", &vom_type_float64},
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (eat(tp, words[i].word)) {
            *t = *words[i].type;
            return true;
        }
    }
    return false;
}

static void parse_shape(struct type_parser *tp, struct vom_type *t)
{
    if (parse_scalar(tp, t)) {
        return;
    } else if (eat(tp, "slice of ")) {
        t->kind = VOM_KIND_SLICE;
        t->elem = parse_parens(tp);
    } else if (eat(tp, "array[")) {
        t->kind = VOM_KIND_ARRAY;
        t->len = strtoull(tp->p, (char **)&tp->p, 10);
        want(tp, "] of ");
        t->elem = parse_parens(tp);
        t->empty = t->len == 0 || vom_type_is_empty(t->elem);
    } else if (eat(tp, "map from ")) {
        t->kind = VOM_KIND_MAP;
        t->key = parse_parens(tp);
        want(tp, " to ");
        t->elem = parse_parens(tp);
    } else if (eat(tp, "pointer to ")) {
        t->kind = VOM_KIND_PTR;
        t->elem = parse_parens(tp);
    } else if (eat(tp, "struct {")) {
        t->kind = VOM_KIND_STRUCT;
        parse_fields(tp, t);
        if (eat(tp, " tags ["))
            parse_tags(tp, t);
    } else {
        die("unknown type", tp->p);
    }
}

/* The definition structs have ids of their own. */
static const struct vom_type *predefined_named(const struct vom_type *t)
{
    for (uint64_t id = 8; id <= 13; id++) {
        if (vom_type_same(vom_type_predefined(id), t))
            return vom_type_predefined(id);
    }
    return t;
}

static const struct vom_type *parse_named(struct type_parser *tp)
{
    struct vom_type *t = arena_calloc(tp->arena, 1, sizeof *t);
    struct span name = quoted(tp);

    t->name = name;
    if (tp->n_names == NAMES_MAX)
        die("too many names", tp->text);
    tp->names[tp->n_names++] = t;
    want(tp, " ");
    eat(tp, "(custom, encoded as) ");
    parse_shape(tp, t);
    t->name = name;
    t->id = 0;
    t->fixed = 0;
    return predefined_named(t);
}

static const struct vom_type *parse_type(struct type_parser *tp)
{
    struct vom_type *t;
    struct span name;

    if (eat(tp, "named "))
        return parse_named(tp);
    if (tp->p[0] == '"') {
        name = quoted(tp);
        for (size_t i = 0; i < tp->n_names; i++) {
            if (span_equal(tp->names[i]->name, name))
                return tp->names[i];
        }
        die("unknown name", tp->text);
    }
    t = arena_calloc(tp->arena, 1, sizeof *t);
    parse_shape(tp, t);
    /* Only one descriptor of each predefined type. */
    if (t->kind == VOM_KIND_ANY)
        return t->id != 0 ? &vom_type_any : &vom_type_error;
    return t->kind <= VOM_KIND_FLOAT64 ? vom_type_of_kind(t->kind) : t;
}

const struct vom_type *notation_type(struct arena *a, const char *text)
{
    struct type_parser tp = {.arena = a, .text = text, .p = text};
    const struct vom_type *t = parse_type(&tp);

    if (*tp.p != '\0')
        die("rest", tp.p);
    return t;
}

struct value_parser {
    struct arena *arena;
    struct vom_value *targets[64]; /* by the number of their pointer */
};

static struct vom_value parse_value(struct value_parser *vp, const struct vom_type *t,
                                    struct json_object *o);

static struct span parse_bytes(struct value_parser *vp, struct json_object *o, const char *key)
{
    struct buf b;
    struct span s;

    if (json_object_is_type(o, json_type_string))
        return arena_copy(
            vp->arena, span_of(json_object_get_string(o), (size_t)json_object_get_string_len(o)));
    if (vec_str(o, key) == NULL)
        die(key, json_object_to_json_string(o));
    b = vec_hex(vec_str(o, key));
    s = arena_copy(vp->arena, buf_span(&b));
    buf_done(&b);
    return s;
}

static struct vom_value parse_number(const struct vom_type *t, struct json_object *o)
{
    const char *text;
    struct vom_value v = vom_value_zero(t);

    if (vom_kind_is_float(t->kind)) {
        text = vec_str(o, "f64");
        if (text == NULL)
            die("f64", json_object_to_json_string(o));
        v.u = strtoull(text, NULL, 16);
        return v;
    }
    if (!json_object_is_type(o, json_type_string))
        die("number", json_object_to_json_string(o));
    text = json_object_get_string(o);
    errno = 0;
    if (text[0] == '-')
        v.i = strtoll(text, NULL, 10);
    else
        v.u = strtoull(text, NULL, 10);
    if (errno != 0)
        die("range", text);
    return v;
}

static struct vom_value parse_list(struct value_parser *vp, const struct vom_type *t,
                                   struct json_object *o)
{
    size_t n = json_object_array_length(o);
    struct vom_value v;

    if (vom_value_new_list(vp->arena, t, n, &v) < 0)
        die("list", json_object_to_json_string(o));
    for (size_t i = 0; i < n; i++)
        vom_value_set(&v, i, parse_value(vp, t->elem, json_object_array_get_idx(o, i)));
    return v;
}

static struct vom_value parse_map(struct value_parser *vp, const struct vom_type *t,
                                  struct json_object *o)
{
    struct json_object *list = vec_get(o, "map");
    size_t n = json_object_array_length(list);
    struct vom_value v;

    if (vom_value_new_map(vp->arena, t, n, &v) < 0)
        die("map", json_object_to_json_string(o));
    for (size_t i = 0; i < n; i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        struct vom_value key = parse_value(vp, t->key, json_object_array_get_idx(entry, 0));

        vom_value_put(&v, i, key, parse_value(vp, t->elem, json_object_array_get_idx(entry, 1)));
    }
    return v;
}

static struct vom_value parse_struct(struct value_parser *vp, const struct vom_type *t,
                                     struct json_object *o)
{
    struct vom_value v;

    if (vom_value_new_struct(vp->arena, t, &v) < 0)
        die("struct", json_object_to_json_string(o));
    for (uint32_t i = 0; i < t->n_fields; i++) {
        struct json_object *field = NULL;
        char name[256];

        snprintf(name, sizeof name, "%.*s", SPAN_ARG(t->fields[i].name));
        if (!json_object_object_get_ex(o, name, &field))
            die(name, json_object_to_json_string(o));
        vom_value_set(&v, i, parse_value(vp, t->fields[i].type, field));
    }
    return v;
}

static struct vom_value parse_pointer(struct value_parser *vp, const struct vom_type *t,
                                      struct json_object *o)
{
    struct vom_value v = vom_value_zero(t);

    if (o == NULL)
        return v;
    if (vec_get(o, "ref") != NULL) {
        v.to = vp->targets[vec_int(o, "ref")];
        if (v.to == NULL)
            die("ref", json_object_to_json_string(o));
        return v;
    }
    v.to = arena_calloc(vp->arena, 1, sizeof *v.to);
    vp->targets[vec_int(o, "ptr")] = v.to;
    *v.to = parse_value(vp, t->elem, vec_get(o, "to"));
    return v;
}

static struct vom_value parse_any(struct value_parser *vp, const struct vom_type *t,
                                  struct json_object *o)
{
    struct json_object *any = vec_get(o, "any");
    struct vom_value v = vom_value_zero(t);

    if (o == NULL)
        return v;
    v.to = arena_calloc(vp->arena, 1, sizeof *v.to);
    *v.to = parse_value(vp, notation_type(vp->arena, vec_str(any, "type")), vec_get(any, "value"));
    return v;
}

static struct vom_value parse_value(struct value_parser *vp, const struct vom_type *t,
                                    struct json_object *o)
{
    switch (t->kind) {
    case VOM_KIND_BOOL:
        return vom_value_bool(t, json_object_get_boolean(o));
    case VOM_KIND_STRING:
        return vom_value_span(t, parse_bytes(vp, o, "strhex"));
    case VOM_KIND_BYTES:
        return vom_value_span(t, parse_bytes(vp, o, "bytes"));
    case VOM_KIND_SLICE:
    case VOM_KIND_ARRAY:
        return parse_list(vp, t, o);
    case VOM_KIND_MAP:
        return parse_map(vp, t, o);
    case VOM_KIND_STRUCT:
        return parse_struct(vp, t, o);
    case VOM_KIND_PTR:
        return parse_pointer(vp, t, o);
    case VOM_KIND_ANY:
        return parse_any(vp, t, o);
    default:
        return parse_number(t, o);
    }
}

struct vom_value notation_value(struct arena *a, const struct vom_type *t, struct json_object *o)
{
    struct value_parser vp = {.arena = a};

    return parse_value(&vp, t, o);
}

struct vom_value notation_member(struct arena *a, struct json_object *o, const char *type,
                                 const char *value)
{
    return notation_value(a, notation_type(a, vec_str(o, type)), vec_get(o, value));
}

void notation_normalize(struct vom_value *v)
{
    const struct vom_type *t = v->type;
    size_t n = t->kind == VOM_KIND_MAP ? 2 * v->n : vom_value_len(v);

    if ((t->kind == VOM_KIND_ANY) && v->to != NULL)
        notation_normalize(v->to);
    if (t->kind < VOM_KIND_SLICE || t->kind == VOM_KIND_PTR || vom_type_is_bytes(t) ||
        vom_type_is_words(t) || v->items == NULL)
        return;
    for (size_t i = 0; i < n; i++) {
        if (t->kind == VOM_KIND_STRUCT && vom_value_is_zero(&v->items[i]))
            v->items[i] = vom_value_zero(v->items[i].type);
        else
            notation_normalize(&v->items[i]);
    }
}

/* Reading definition messages (spec: vom A.4). */
#include "config.h"
#include "vom/dec.h"

#include "vom/internal.h"

/* The definitions as types: unnamed and with plain numbers, as error texts show them. */
#define NAME_AND_TAGS VOM_FIELD("Name", &vom_type_string), VOM_FIELD("Tags", &vom_type_string_list)

static const struct vom_field field_fields[] = {VOM_FIELD("Type", &vom_type_uint),
                                                VOM_FIELD("Name", &vom_type_string)};
static const struct vom_type field_type = VOM_TYPE_STRUCT("", field_fields);
static const struct vom_type field_list = VOM_TYPE_SLICE("", &field_type);

static const struct vom_field named_fields[] = {VOM_FIELD("Type", &vom_type_uint), NAME_AND_TAGS};
static const struct vom_field elem_fields[] = {VOM_FIELD("Elem", &vom_type_uint), NAME_AND_TAGS};
static const struct vom_field array_fields[] = {VOM_FIELD("Elem", &vom_type_uint),
                                                VOM_FIELD("Len", &vom_type_uint), NAME_AND_TAGS};
static const struct vom_field map_fields[] = {VOM_FIELD("Key", &vom_type_uint),
                                              VOM_FIELD("Elem", &vom_type_uint), NAME_AND_TAGS};
static const struct vom_field struct_fields[] = {VOM_FIELD("Fields", &field_list), NAME_AND_TAGS};

static const struct vom_type named_type = VOM_TYPE_STRUCT("", named_fields);
static const struct vom_type elem_type = VOM_TYPE_STRUCT("", elem_fields);
static const struct vom_type array_type = VOM_TYPE_STRUCT("", array_fields);
static const struct vom_type map_type = VOM_TYPE_STRUCT("", map_fields);
static const struct vom_type struct_type = VOM_TYPE_STRUCT("", struct_fields);

/* What the fields in front of Name and Tags go to, by kind of definition. */
enum part { PART_TYPE, PART_KEY, PART_LEN, PART_FIELDS, PART_NAME, PART_TAGS };

static const struct {
    const struct vom_type *type;
    enum part part[4];
} layouts[] = {
    [VOM_ID_NAMED] = {&named_type, {PART_TYPE, PART_NAME, PART_TAGS}},
    [VOM_ID_SLICE] = {&elem_type, {PART_TYPE, PART_NAME, PART_TAGS}},
    [VOM_ID_ARRAY] = {&array_type, {PART_TYPE, PART_LEN, PART_NAME, PART_TAGS}},
    [VOM_ID_MAP] = {&map_type, {PART_KEY, PART_TYPE, PART_NAME, PART_TAGS}},
    [VOM_ID_STRUCT] = {&struct_type, {PART_FIELDS, PART_NAME, PART_TAGS}},
    [VOM_ID_PTR] = {&elem_type, {PART_TYPE, PART_NAME, PART_TAGS}},
};

/* Names outlive the input. */
static int read_name(struct vom_reader *r, struct span *ret_name)
{
    struct arena *a = r->dec->defs.arena;
    struct span s;
    int e = vom_read_bytes(r, &vom_type_string, &s);

    if (e < 0 || s.len == 0)
        return e;
    *ret_name = arena_copy(a, s);
    return ret_name->p != NULL ? 0 : vom_arena_error(a, s.len + 1, r->err);
}

static int read_tags(struct vom_reader *r, struct vom_wiredef *w)
{
    struct arena *a = r->dec->defs.arena;
    size_t n;
    int e = vom_read_count(r, &vom_type_string_list, &n);

    if (e < 0)
        return e;
    w->tags = arena_calloc(a, n, sizeof *w->tags);
    if (w->tags == NULL)
        return vom_arena_error(a, n * sizeof *w->tags, r->err);
    w->n_tags = (uint32_t)n;
    for (size_t i = 0; e == 0 && i < n; i++)
        e = read_name(r, &w->tags[i]);
    return e;
}

static int read_field(struct vom_reader *r, struct vom_wirefield *field)
{
    int index = -1, e;

    while ((e = vom_read_field(r, &field_type, &index)) > 0) {
        e = index == 0 ? vom_read_uint(r, &vom_type_uint, &field->type)
                       : read_name(r, &field->name);
        if (e < 0)
            break;
    }
    return e;
}

static int read_fields(struct vom_reader *r, struct vom_wiredef *w)
{
    struct arena *a = r->dec->defs.arena;
    size_t n;
    int e = vom_read_count(r, &field_list, &n);

    if (e < 0)
        return e;
    w->fields = arena_calloc(a, n, sizeof *w->fields);
    if (w->fields == NULL)
        return vom_arena_error(a, n * sizeof *w->fields, r->err);
    w->n_fields = (uint32_t)n;
    for (size_t i = 0; e == 0 && i < n; i++)
        e = read_field(r, &w->fields[i]);
    return e;
}

static int read_part(struct vom_reader *r, enum part part, struct vom_wiredef *w)
{
    switch (part) {
    case PART_TYPE:
        return vom_read_uint(r, &vom_type_uint, &w->type);
    case PART_KEY:
        return vom_read_uint(r, &vom_type_uint, &w->key);
    case PART_LEN:
        return vom_read_uint(r, &vom_type_uint, &w->len);
    case PART_FIELDS:
        return read_fields(r, w);
    case PART_NAME:
        return read_name(r, &w->name);
    default:
        return read_tags(r, w);
    }
}

int vom_dec_definition(struct vom_dec *dec, const struct vom_msg *msg, struct err *err)
{
    struct vom_wiredef w = {0};
    struct vom_reader r;
    const struct vom_type *t;
    int index = -1, e;

    vom_reader_init(&r, dec, msg, err);
    e = vom_read_any(&r, &t);
    if (e < 0)
        return e;
    if (e == 0 || t->id < VOM_ID_NAMED || t->id > VOM_ID_PTR)
        return err_set(err, WSPR_EPROTO, "vom: type message without a definition");
    w.kind = t->id;
    while ((e = vom_read_field(&r, layouts[w.kind].type, &index)) > 0) {
        e = read_part(&r, layouts[w.kind].part[index], &w);
        if (e < 0)
            return e;
    }
    if (e == 0)
        e = vom_reader_end(&r);
    return e < 0 ? e : vom_defs_add(&dec->defs, msg->id, &w, err);
}

/*
 * Decoding goes down as deep as tables nest in each other, which is the program's doing; what lies
 * deeper in the text is only skipped. spec: websocket 5.1, rules 3 to 10
 */
#include "config.h"
#include "json/table.h"

#include <string.h>

#include "base/utf8.h"
#include "json/number.h"

struct json_decoder {
    struct json_reader r;
    struct arena *a;
    struct err *e;
    int lack;      /* why the last allocation failed */
    bool mismatch; /* a type error was reported; decoding went on */
};

static int decode_field(struct json_decoder *d, const struct json_field *f, void *at);

static int decode_no_memory(struct json_decoder *d)
{
    return err_set(d->e, d->lack, "no memory to decode JSON");
}

static void *decode_alloc(struct json_decoder *d, size_t n, size_t size)
{
    void *p = d->a != NULL ? arena_calloc(d->a, n, size) : NULL;

    if (p == NULL)
        d->lack = d->a != NULL && n * size > d->a->max - d->a->used ? WSPR_ELIMIT : WSPR_ENOMEM;
    return p;
}

/* Reports a number that is none for its field; the first report stays. */
static int decode_bad_number(struct json_decoder *d, struct span literal, const char *type_name)
{
    if (!d->mismatch)
        err_set(d->e, WSPR_ETYPE, "json: cannot unmarshal number %.*s into Go value of type %s",
                (int)(literal.len < ERR_MSG_MAX ? literal.len : ERR_MSG_MAX),
                (const char *)literal.p, type_name);
    d->mismatch = true;
    return 0;
}

/* Reports a value of the wrong kind and skips it; a number ends decoding. */
static int decode_mismatch(struct json_decoder *d, const char *type_name)
{
    static const char *const kinds[] = {"null", "bool", "number", "string", "array", "object"};
    enum json_kind kind = json_reader_peek(&d->r);

    if (kind == JSON_NUMBER || !d->mismatch)
        err_set(d->e, WSPR_ETYPE, "json: cannot unmarshal %s into Go value of type %s", kinds[kind],
                type_name);
    d->mismatch = true;
    if (kind == JSON_NUMBER)
        return WSPR_ETYPE;
    json_reader_skip(&d->r);
    return 0;
}

static int decode_string(struct json_decoder *d, const char *type_name, struct span *at)
{
    int r = json_reader_string(&d->r, d->a, at);

    if (r == WSPR_ETYPE)
        return decode_mismatch(d, type_name);
    return r < 0 ? err_set(d->e, r, "no memory to decode a JSON string") : 0;
}

static int decode_int(struct json_decoder *d, const char *type_name, int64_t min, int64_t max,
                      int64_t *ret)
{
    struct span literal;

    if (json_reader_int(&d->r, min, max, ret, &literal) == 0)
        return 1;
    return literal.len > 0 ? decode_bad_number(d, literal, type_name)
                           : decode_mismatch(d, type_name);
}

static int decode_uint(struct json_decoder *d, const char *type_name, uint64_t max, uint64_t *ret)
{
    struct span literal;

    if (json_reader_uint(&d->r, max, ret, &literal) == 0)
        return 1;
    return literal.len > 0 ? decode_bad_number(d, literal, type_name)
                           : decode_mismatch(d, type_name);
}

static int decode_double(struct json_decoder *d, const char *type_name, double *at)
{
    struct span literal;

    if (json_reader_double(&d->r, at, &literal) == 0)
        return 0;
    return literal.len > 0 ? decode_bad_number(d, literal, type_name)
                           : decode_mismatch(d, type_name);
}

static int decode_number(struct json_decoder *d, const struct json_field *f, void *at)
{
    uint64_t u;
    int64_t v;
    int r;

    switch (f->kind) {
    case JSON_FIELD_INT32:
        r = decode_int(d, f->type_name, INT32_MIN, INT32_MAX, &v);
        if (r > 0)
            *(int32_t *)at = (int32_t)v;
        return r;
    case JSON_FIELD_INT64:
        r = decode_int(d, f->type_name, INT64_MIN, INT64_MAX, &v);
        if (r > 0)
            *(int64_t *)at = v;
        return r;
    case JSON_FIELD_UINT32:
        r = decode_uint(d, f->type_name, UINT32_MAX, &u);
        if (r > 0)
            *(uint32_t *)at = (uint32_t)u;
        return r;
    case JSON_FIELD_UINT64:
        r = decode_uint(d, f->type_name, UINT64_MAX, &u);
        if (r > 0)
            *(uint64_t *)at = u;
        return r;
    default:
        return decode_double(d, f->type_name, at);
    }
}

static int decode_bool(struct json_decoder *d, const char *type_name, int *at)
{
    bool v;

    if (json_reader_bool(&d->r, &v) < 0)
        return decode_mismatch(d, type_name);
    *at = v;
    return 0;
}

/*
 * Takes any value. The reference turns some of these into values of its own, where each number
 * becomes a double: then one that is too large for that is an error.
 */
static void decode_raw(struct json_decoder *d, bool check_numbers, struct span *at)
{
    *at = json_reader_raw(&d->r);
    if (!check_numbers)
        return;
    for (size_t i = 0; i < at->len;) {
        struct json_reader r;
        struct span literal;
        double v;

        json_reader_at(&r, span_of(at->p + i, at->len - i));
        if (at->p[i] == '"') {
            json_reader_skip(&r);
        } else if (at->p[i] == '-' || (at->p[i] >= '0' && at->p[i] <= '9')) {
            if (json_reader_double(&r, &v, &literal) < 0)
                decode_bad_number(d, literal, "float64");
        } else {
            r.p++;
        }
        i = (size_t)(r.p - at->p);
    }
}

/* Makes room for one more item of a growing array in the arena. */
static void *decode_grow(struct json_decoder *d, void *items, size_t n, size_t size)
{
    size_t room = n < 4 ? 4 : n;
    void *larger;

    /* The room is 4, 8, 16 … items: only a power of two is full. */
    if (n > 0 && (n < 4 || (n & (n - 1)) != 0))
        return items;
    larger = decode_alloc(d, n == 0 ? room : 2 * room, size);
    if (larger != NULL && n > 0)
        memcpy(larger, items, n * size);
    return larger;
}

static int decode_spans(struct json_decoder *d, const struct json_field *f, struct json_spans *at)
{
    struct json_spans list = {NULL, 0};
    int r = 0;

    if (json_reader_enter_array(&d->r) < 0)
        return decode_mismatch(d, f->type_name);
    while (json_reader_element(&d->r) > 0) {
        struct span *item;

        list.items = decode_grow(d, list.items, list.n, sizeof *list.items);
        if (list.items == NULL)
            return decode_no_memory(d);
        item = &list.items[list.n];
        *item = span_of(NULL, 0);
        if (f->kind == JSON_FIELD_RAWS || f->kind == JSON_FIELD_ANYS)
            decode_raw(d, f->kind == JSON_FIELD_ANYS, item);
        else if (json_reader_null(&d->r) < 0)
            r = decode_string(d, "string", item);
        if (r < 0)
            return r;
        list.n++;
    }
    *at = list;
    return 0;
}

static const struct json_field *decode_find(const struct json_table *t, struct span name)
{
    for (size_t i = 0; i < t->n_fields; i++) {
        if (span_equal_str(name, t->fields[i].name))
            return &t->fields[i];
    }
    for (size_t i = 0; i < t->n_fields; i++) {
        if (json_name_matches(name, t->fields[i].name))
            return &t->fields[i];
    }
    return NULL;
}

static int decode_object(struct json_decoder *d, const struct json_table *t, void *at)
{
    struct span name;
    int r;

    if (json_reader_enter_object(&d->r) < 0)
        return decode_mismatch(d, t->type_name);
    while ((r = json_reader_member(&d->r, d->a, &name)) > 0) {
        const struct json_field *f = decode_find(t, name);

        if (f == NULL) {
            json_reader_skip(&d->r);
            continue;
        }
        r = decode_field(d, f, (char *)at + f->offset);
        if (r < 0)
            return r;
    }
    return r < 0 ? err_set(d->e, r, "no memory to decode a JSON name") : 0;
}

static int decode_optional(struct json_decoder *d, const struct json_table *t, void **at)
{
    if (*at == NULL) {
        void *made = decode_alloc(d, 1, t->size);

        if (made == NULL)
            return decode_no_memory(d);
        *at = made;
    }
    return decode_object(d, t, *at);
}

static int decode_list(struct json_decoder *d, const struct json_field *f, struct json_list *at)
{
    struct json_list list = {NULL, 0};

    if (json_reader_enter_array(&d->r) < 0)
        return decode_mismatch(d, f->type_name);
    while (json_reader_element(&d->r) > 0) {
        int r = 0;
        char *item;

        list.items = decode_grow(d, list.items, list.n, f->sub->size);
        if (list.items == NULL)
            return decode_no_memory(d);
        item = (char *)list.items + list.n * f->sub->size;
        if (json_reader_null(&d->r) < 0)
            r = decode_object(d, f->sub, item);
        if (r < 0)
            return r;
        list.n++;
    }
    *at = list;
    return 0;
}

/* Merges two sorted neighbours of `from` into `to`; the earlier one goes first on a tie. */
static void map_merge(const struct json_entry *from, struct json_entry *to, size_t low, size_t mid,
                      size_t high)
{
    size_t i = low, j = mid;

    for (size_t k = low; k < high; k++) {
        if (i < mid && (j == high || span_compare(from[i].name, from[j].name) <= 0))
            to[k] = from[i++];
        else
            to[k] = from[j++];
    }
}

/* Sorts by name and keeps the last of equal names. */
static int map_finish(struct json_decoder *d, struct json_map *m)
{
    struct json_entry *from = m->items, *to;
    size_t kept = 0;

    if (m->n < 2)
        return 0;
    to = decode_alloc(d, m->n, sizeof *to);
    if (to == NULL)
        return decode_no_memory(d);
    for (size_t width = 1; width < m->n; width *= 2) {
        struct json_entry *sorted = to;

        for (size_t low = 0; low < m->n; low += 2 * width) {
            size_t mid = low + width < m->n ? low + width : m->n;
            size_t high = mid + width < m->n ? mid + width : m->n;

            map_merge(from, to, low, mid, high);
        }
        to = from;
        from = sorted;
    }
    for (size_t i = 0; i < m->n; i++) {
        if (i + 1 == m->n || !span_equal(from[i].name, from[i + 1].name))
            from[kept++] = from[i];
    }
    m->items = from;
    m->n = kept;
    return 0;
}

static int decode_map(struct json_decoder *d, const struct json_field *f, struct json_map *at)
{
    struct json_map map = {NULL, 0};
    struct span name;
    int r;

    if (json_reader_enter_object(&d->r) < 0)
        return decode_mismatch(d, f->type_name);
    while ((r = json_reader_member(&d->r, d->a, &name)) > 0) {
        void *value = decode_alloc(d, 1, f->sub->size);

        map.items = decode_grow(d, map.items, map.n, sizeof *map.items);
        if (value == NULL || map.items == NULL)
            return decode_no_memory(d);
        map.items[map.n++] = (struct json_entry){name, value};
        if (json_reader_null(&d->r) < 0) {
            r = decode_object(d, f->sub, value);
            if (r < 0)
                return r;
        }
    }
    if (r < 0)
        return err_set(d->e, r, "no memory to decode a JSON name");
    r = map_finish(d, &map);
    if (r == 0)
        *at = map;
    return r;
}

/* null leaves a value as it is, but empties lists and maps and takes an optional object away. */
static void decode_null(const struct json_field *f, void *at)
{
    switch (f->kind) {
    case JSON_FIELD_RAWS:
    case JSON_FIELD_ANYS:
    case JSON_FIELD_STRINGS:
        *(struct json_spans *)at = (struct json_spans){NULL, 0};
        break;
    case JSON_FIELD_LIST:
        *(struct json_list *)at = (struct json_list){NULL, 0};
        break;
    case JSON_FIELD_MAP:
        *(struct json_map *)at = (struct json_map){NULL, 0};
        break;
    case JSON_FIELD_OPTIONAL:
        *(void **)at = NULL;
        break;
    default:
        break;
    }
}

static int decode_field(struct json_decoder *d, const struct json_field *f, void *at)
{
    bool raw = f->kind == JSON_FIELD_RAW || f->kind == JSON_FIELD_ANY;

    if (raw) {
        decode_raw(d, f->kind == JSON_FIELD_ANY, at);
        return 0;
    }
    if (json_reader_null(&d->r) == 0) {
        decode_null(f, at);
        return 0;
    }
    switch (f->kind) {
    case JSON_FIELD_STRING:
        return decode_string(d, f->type_name, at);
    case JSON_FIELD_BOOL:
        return decode_bool(d, f->type_name, at);
    case JSON_FIELD_RAWS:
    case JSON_FIELD_ANYS:
    case JSON_FIELD_STRINGS:
        return decode_spans(d, f, at);
    case JSON_FIELD_OBJECT:
        return decode_object(d, f->sub, at);
    case JSON_FIELD_OPTIONAL:
        return decode_optional(d, f->sub, at);
    case JSON_FIELD_LIST:
        return decode_list(d, f, at);
    case JSON_FIELD_MAP:
        return decode_map(d, f, at);
    default:
        return decode_number(d, f, at);
    }
}

int json_decode_value(struct span text, const struct json_field *f, void *target, struct arena *a,
                      size_t max_depth, unsigned flags, struct err *e)
{
    struct json_decoder d = {.a = a, .e = e};
    int r = json_reader_init(&d.r, text, max_depth, flags, e);

    if (r < 0)
        return r;
    r = decode_field(&d, f, target);
    if (r < 0)
        return r;
    return d.mismatch ? WSPR_ETYPE : 0;
}

int json_decode(struct span text, const struct json_table *t, void *target, struct arena *a,
                size_t max_depth, unsigned flags, struct err *e)
{
    struct json_field whole = {.kind = JSON_FIELD_OBJECT, .type_name = t->type_name, .sub = t};

    return json_decode_value(text, &whole, target, a, max_depth, flags, e);
}

bool json_name_matches(struct span name, const char *field)
{
    size_t i = 0;

    for (; *field != '\0'; field++) {
        uint32_t rune;

        if (i == name.len)
            return false;
        i += utf8_decode(name.p + i, name.len - i, &rune);
        if (rune == 0x17f)
            rune = 's';
        else if (rune == 0x212a)
            rune = 'k';
        if (rune != (uint8_t)*field) {
            uint32_t lower = rune | 0x20;

            if (rune >= 0x80 || lower < 'a' || lower > 'z' || lower != ((uint8_t)*field | 0x20u))
                return false;
        }
    }
    return i == name.len;
}

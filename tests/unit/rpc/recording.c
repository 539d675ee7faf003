#include "config.h"
#include "recording.h"

#include <inttypes.h>
#include <math.h>

#include "base/utf8.h"
#include "tap.h"
#include "vom/wiretypes.h"

/* ---- reading a direction ---- */

struct reading {
    struct recording_items *items;
    struct vom_dec dec;
    struct span bytes;
    size_t at;
    struct err err;
};

static bool read_one(struct reading *r, int kind)
{
    struct recording_item *item = &r->items->item[r->items->n];
    struct vom_msg msg;
    ssize_t n;
    int e;

    if (r->items->n == RECORDING_ITEMS)
        return false;
    n = vom_dec_next(&r->dec, r->bytes.p + r->at, r->bytes.len - r->at, &msg, &r->err);
    if (n <= 0) {
        tap_note("at %zu: %s", r->at, n < 0 ? err_text(&r->err) : "the bytes end");
        return false;
    }
    r->at += (size_t)n;
    *item = (struct recording_item){.end = r->at};
    item->kind = kind;
    if (kind == ITEM_REQUEST)
        e = rpc_request_get(&r->dec, &msg, &item->request, &r->err);
    else if (kind == ITEM_RESPONSE)
        e = rpc_response_get(&r->dec, &msg, &r->items->arena, &item->response, &r->err);
    else {
        struct vom_value v;

        /* The types go with the decoder, so the value is copied with its own. */
        e = vom_dec_value(&r->dec, &msg, &r->items->arena, &v, &r->err);
        if (e == 0)
            e = vom_value_copy(&r->items->arena, &v, &item->value, &r->err);
    }
    if (e < 0) {
        tap_note("value %zu: %s", r->items->n, err_text(&r->err));
        return false;
    }
    r->items->n++;
    return true;
}

static bool read_values(struct reading *r, uint64_t n)
{
    while (n-- > 0) {
        if (!read_one(r, ITEM_VALUE))
            return false;
    }
    return true;
}

static bool read_client(struct reading *r)
{
    const struct rpc_request *rq;

    if (!read_one(r, ITEM_REQUEST))
        return false;
    rq = &r->items->item[0].request;
    if (!read_values(r, (rq->has_blessing ? 1 : 0) + rq->n_discharges + rq->n_args))
        return false;
    while (r->at < r->bytes.len) {
        if (!read_one(r, ITEM_REQUEST))
            return false;
        if (r->items->item[r->items->n - 1].request.end_stream)
            return true;
        if (!read_one(r, ITEM_VALUE))
            return false;
    }
    return true;
}

static bool read_server(struct reading *r)
{
    while (r->at < r->bytes.len) {
        const struct rpc_response *rs;

        if (!read_one(r, ITEM_RESPONSE))
            return false;
        rs = &r->items->item[r->items->n - 1].response;
        if (rs->end_stream)
            return read_values(r, rs->n_results);
        if (!read_one(r, ITEM_VALUE))
            return false;
    }
    return true;
}

bool recording_read(struct recording_items *items, struct span bytes, bool from_client)
{
    struct reading r = {.items = items, .bytes = bytes, .err = ERR_INIT};
    bool ok;

    arena_init(&items->arena, 16 << 20);
    items->n = 0;
    vom_dec_init(&r.dec, NULL);
    vom_dec_expect(&r.dec, from_client ? &vom_preset_request : &vom_preset_response);
    ok = from_client ? read_client(&r) : read_server(&r);
    if (ok && r.at < bytes.len) {
        tap_note("%zu bytes are left over", bytes.len - r.at);
        ok = false;
    }
    vom_dec_done(&r.dec);
    err_done(&r.err);
    return ok;
}

void recording_items_done(struct recording_items *items)
{
    for (size_t i = 0; i < items->n; i++)
        err_done(&items->item[i].response.error);
    arena_done(&items->arena);
    items->n = 0;
}

/* ---- comparing ---- */

/* The order of pairs is random in the reference. */
static bool is_pairs(const struct vom_value *v)
{
    return v->type->kind == VOM_KIND_SLICE && v->type->elem->kind == VOM_KIND_STRUCT &&
           span_equal_str(v->type->elem->name, "veyron/examples/wspr_sample.KeyValuePair");
}

static bool same_pairs(const struct vom_value *a, const struct vom_value *b)
{
    size_t n = vom_value_len(a), found = 0;

    if (vom_value_len(b) != n || !vom_type_same(a->type, b->type))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct vom_value x = vom_value_at(a, i);

        for (size_t j = 0; j < n; j++) {
            struct vom_value y = vom_value_at(b, j);

            found += vom_value_equal(&x, &y) == 1;
        }
    }
    return found == n;
}

static bool same_error(const struct err *a, const struct err *b)
{
    if (a->code == 0 || b->code == 0)
        return a->code == b->code;
    return strcmp(err_id(a), err_id(b)) == 0 && strcmp(err_text(a), err_text(b)) == 0;
}

static bool same_item(const struct recording_item *a, const struct recording_item *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == ITEM_REQUEST)
        return span_equal(a->request.suffix, b->request.suffix) &&
               span_equal(a->request.method, b->request.method) &&
               a->request.n_args == b->request.n_args &&
               a->request.end_stream == b->request.end_stream &&
               a->request.timeout == b->request.timeout &&
               a->request.has_blessing == b->request.has_blessing &&
               a->request.n_discharges == b->request.n_discharges;
    if (a->kind == ITEM_RESPONSE)
        return same_error(&a->response.error, &b->response.error) &&
               a->response.end_stream == b->response.end_stream &&
               a->response.n_results == b->response.n_results;
    if (is_pairs(&a->value))
        return same_pairs(&a->value, &b->value);
    return vom_value_equal(&a->value, &b->value) == 1;
}

static void show_item(const char *who, const struct recording_item *item)
{
    if (item->kind == ITEM_RESPONSE)
        tap_note("%s: Response error \"%s\", end %d, results %" PRIu64, who,
                 item->response.error.code != 0 ? err_text(&item->response.error) : "",
                 item->response.end_stream, item->response.n_results);
    else if (item->kind == ITEM_REQUEST)
        tap_note("%s: Request %.*s.%.*s", who, SPAN_ARG(item->request.suffix),
                 SPAN_ARG(item->request.method));
    else {
        struct buf type = BUF_INIT(4096);
        struct span id, msg;

        vom_type_print(&type, item->value.type, VOM_STYLE_WIRE);
        tap_note("%s: value of %.*s", who, SPAN_ARG(buf_span(&type)));
        if (vom_verror_get(&item->value, &id, &msg) > 0)
            tap_note("%s: error \"%.*s\" \"%.*s\"", who, SPAN_ARG(id), SPAN_ARG(msg));
        buf_done(&type);
    }
}

bool recording_same(const struct recording_items *a, const struct recording_items *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        if (same_item(&a->item[i], &b->item[i]))
            continue;
        tap_note("value %zu differs", i);
        show_item("one", &a->item[i]);
        show_item("other", &b->item[i]);
        return false;
    }
    if (a->n != b->n)
        tap_note("%zu values, not %zu", a->n, b->n);
    return a->n == b->n;
}

/* ---- the file ---- */

struct json_object *recordings_file(void)
{
    static struct json_object *file;

    if (file == NULL)
        file = vectors_load("ipc.json");
    return file;
}

struct json_object *recordings(void)
{
    return vec_get(recordings_file(), "recordings");
}

struct json_object *recording_named(const char *id)
{
    struct json_object *all = recordings();

    for (size_t i = 0; i < json_object_array_length(all); i++) {
        struct json_object *r = json_object_array_get_idx(all, i);

        if (strcmp(vec_str(r, "id"), id) == 0)
            return r;
    }
    return NULL;
}

struct json_object *recording_flow(struct json_object *recording, size_t i)
{
    struct json_object *others = vec_get(recording, "other_flows");

    if (i == 0)
        return vec_get(recording, "flow");
    if (others == NULL || i > json_object_array_length(others))
        return NULL;
    return json_object_array_get_idx(others, i - 1);
}

struct buf recording_bytes(struct json_object *flow, bool from_client)
{
    return vec_hex(vec_str(flow, from_client ? "c2s_hex" : "s2c_hex"));
}

/* ---- the notation ---- */

static bool bytes_are_json(struct span s, struct json_object *o)
{
    struct buf b = vec_hex(vec_str(o, "$bytes"));
    bool same = span_equal(s, buf_span(&b));

    buf_done(&b);
    return same;
}

static bool uint_is_json(uint64_t u, struct json_object *o)
{
    if (json_object_is_type(o, json_type_string))
        return strtoull(json_object_get_string(o), NULL, 10) == u;
    return json_object_is_type(o, json_type_int) && json_object_get_uint64(o) == u;
}

static bool int_is_json(int64_t i, struct json_object *o)
{
    if (json_object_is_type(o, json_type_string))
        return strtoll(json_object_get_string(o), NULL, 10) == i;
    return json_object_is_type(o, json_type_int) && json_object_get_int64(o) == i;
}

/* The notation has U+FFFD for each byte that is not UTF-8. */
static bool string_is_json(struct span s, struct json_object *o)
{
    struct buf b = BUF_INIT(1 << 20);
    bool same;

    if (!json_object_is_type(o, json_type_string))
        return false;
    while (s.len > 0) {
        uint8_t text[4];
        uint32_t rune;
        size_t n = utf8_decode(s.p, s.len, &rune);

        s = span_of(s.p + n, s.len - n);
        n = utf8_encode(rune, text);
        buf_append(&b, text, n);
    }
    same = span_equal(buf_span(&b),
                      span_of(json_object_get_string(o), (size_t)json_object_get_string_len(o)));
    buf_done(&b);
    return same;
}

static bool list_is_json(const struct vom_value *v, struct json_object *o)
{
    size_t n = vom_value_len(v);

    if (!json_object_is_type(o, json_type_array) || json_object_array_length(o) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        struct vom_value item = vom_value_at(v, i);

        if (!value_is_json(&item, json_object_array_get_idx(o, i)))
            return false;
    }
    return true;
}

static bool map_is_json(const struct vom_value *v, struct json_object *o)
{
    if (!json_object_is_type(o, json_type_object) || json_object_object_length(o) != (int)v->n)
        return false;
    for (size_t i = 0; i < v->n; i++) {
        struct vom_value key = vom_value_key(v, i), elem = vom_value_elem(v, i);
        struct json_object *member;
        char name[256];

        snprintf(name, sizeof name, "%.*s", SPAN_ARG(key.s));
        if (key.type->kind != VOM_KIND_STRING || !json_object_object_get_ex(o, name, &member) ||
            !value_is_json(&elem, member))
            return false;
    }
    return true;
}

static bool struct_is_json(const struct vom_value *v, struct json_object *o)
{
    if (!json_object_is_type(o, json_type_object))
        return false;
    /* Identities are opaque in the notation. */
    if (json_object_object_length(o) == 0)
        return true;
    if (json_object_object_length(o) != (int)v->type->n_fields)
        return false;
    for (size_t i = 0; i < v->type->n_fields; i++) {
        struct vom_value field = vom_value_at(v, i);
        struct json_object *member;
        char name[128];

        snprintf(name, sizeof name, "%.*s", SPAN_ARG(v->type->fields[i].name));
        if (!json_object_object_get_ex(o, name, &member) || !value_is_json(&field, member))
            return false;
    }
    return true;
}

static bool any_is_json(const struct vom_value *v, struct json_object *o)
{
    if (v->to == NULL)
        return o == NULL;
    return vec_get(o, "$type") != NULL && value_is_json(v->to, vec_get(o, "$value"));
}

bool value_is_json(const struct vom_value *v, struct json_object *o)
{
    enum vom_kind k = v->type->kind;

    if (k == VOM_KIND_ANY)
        return any_is_json(v, o);
    if (k == VOM_KIND_PTR)
        return v->to == NULL ? o == NULL : value_is_json(v->to, o);
    if (k == VOM_KIND_BOOL)
        return json_object_is_type(o, json_type_boolean) && json_object_get_boolean(o) == v->b;
    if (k == VOM_KIND_STRING)
        return string_is_json(v->s, o);
    if (vom_type_is_bytes(v->type))
        return json_object_is_type(o, json_type_object) && bytes_are_json(v->s, o);
    if (vom_kind_is_float(k))
        return fabs(json_object_get_double(o) - v->f) == 0;
    if (vom_kind_is_int(k))
        return int_is_json(v->i, o);
    if (vom_kind_is_number(k))
        return uint_is_json(v->u, o);
    if (k == VOM_KIND_MAP)
        return map_is_json(v, o);
    return k == VOM_KIND_STRUCT ? struct_is_json(v, o) : list_is_json(v, o);
}

static bool request_is_json(const struct rpc_request *rq, struct json_object *o)
{
    return span_equal_str(rq->suffix, vec_str(o, "Suffix")) &&
           span_equal_str(rq->method, vec_str(o, "Method")) &&
           uint_is_json(rq->n_args, vec_get(o, "NumPosArgs")) &&
           uint_is_json(rq->n_discharges, vec_get(o, "NumDischarges")) &&
           int_is_json(rq->timeout, vec_get(o, "Timeout")) &&
           rq->end_stream == vec_bool(o, "EndStreamArgs") &&
           rq->has_blessing == vec_bool(o, "HasBlessing");
}

static bool response_is_json(const struct rpc_response *rs, struct json_object *o)
{
    struct json_object *e = vec_get(vec_get(o, "Error"), "$value");

    if (rs->end_stream != vec_bool(o, "EndStreamResults") ||
        !uint_is_json(rs->n_results, vec_get(o, "NumPosResults")))
        return false;
    if (e == NULL || rs->error.code == 0)
        return e == NULL && rs->error.code == 0;
    return strcmp(err_id(&rs->error), vec_str(e, "ID")) == 0 &&
           strcmp(err_text(&rs->error), vec_str(e, "Msg")) == 0;
}

/* The recording's name of a type is the wire's, but for bytes and what it says besides. */
static bool type_is_named(const struct vom_type *t, const char *name)
{
    static const char nil[] = "nil interface (", any[] = "[]any", byte[] = "uint8";
    struct buf text = BUF_INIT(4096);
    struct span want = span_str(name);
    bool same;

    if (strncmp(name, nil, sizeof nil - 1) == 0)
        want = span_of(name + sizeof nil - 1, want.len - sizeof nil);
    if (t->kind == VOM_KIND_PTR)
        t = t->elem;
    if (strchr(name, '(') != NULL && name[0] != 'n')
        want.len = (size_t)(strchr(name, ' ') - name);
    if (strcmp(name, any) == 0)
        want = span_str("[]interface");
    if (strcmp(name, byte) == 0)
        want = span_str("byte");
    vom_type_print(&text, t, VOM_STYLE_WIRE);
    same = span_equal(buf_span(&text), want);
    if (!same)
        tap_note("type %.*s, not %s", SPAN_ARG(buf_span(&text)), name);
    buf_done(&text);
    return same;
}

bool item_is_json(const struct recording_item *item, struct json_object *entry)
{
    struct json_object *value = vec_get(entry, "value");
    const char *type = vec_str(entry, "type");

    if (item->kind == ITEM_REQUEST)
        return strcmp(type, "veyron2/ipc.Request") == 0 && request_is_json(&item->request, value);
    if (item->kind == ITEM_RESPONSE)
        return strcmp(type, "veyron2/ipc.Response") == 0 &&
               response_is_json(&item->response, value);
    return type_is_named(item->value.type, type) && value_is_json(&item->value, value);
}

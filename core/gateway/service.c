/* What a page says that it serves: method names with arguments, results, streams (spec: 9). */
#include "config.h"

#include <stdlib.h>

#include "base/unicode.h"
#include "gateway/server.h"
#include "gateway/signature.h"
#include "json/table.h"
#include "json/writer.h"

#define SERVICE_OUT_MAX 256 /* results of one method */

/* Reading a description takes less than twice as much as keeping it, unless it repeats itself. */
#define SERVICE_SCRATCH(max) (4 * (max) + 65536)

/* The types of a served object's signature; everything is "any" (spec: websocket 9). */
static const struct vom_type type_any = VOM_TYPE_NAMED(VOM_KIND_ANY, "veyron2/vdlutil.AnyData");
static const struct vom_type type_err = VOM_TYPE_NAMED(VOM_KIND_ANY, "error");
static const struct vom_type *const type_defs[] = {&type_any, &type_err};

struct method_json {
    struct json_spans in;
    int64_t n_out;
    int streaming;
};

static const struct json_field method_fields[] = {
    {"inArgs", JSON_FIELD_STRINGS, offsetof(struct method_json, in), "[]string", NULL},
    {"numOutArgs", JSON_FIELD_INT64, offsetof(struct method_json, n_out), "int", NULL},
    {"isStreaming", JSON_FIELD_BOOL, offsetof(struct method_json, streaming), "bool", NULL},
};

static const struct json_table method_table =
    JSON_TABLE(struct method_json, "signature.JSONMethodSignature", method_fields);

static const struct json_field service_field = {NULL, JSON_FIELD_MAP, 0,
                                                "signature.JSONServiceSignature", &method_table};

/* The name with its first letter in lower case, as a JSON string. */
static struct span shown_name(struct arena *a, struct span name)
{
    struct buf lower = BUF_INIT(name.len + 16), quoted = BUF_INIT(name.len * 6 + 64);
    struct span s;

    rpc_signature_page_name(&lower, name);
    json_quote(&quoted, buf_span(&lower));
    s = buf_error(&lower) == 0 && buf_error(&quoted) == 0 ? arena_copy(a, buf_span(&quoted))
                                                          : span_of(NULL, 0);
    buf_done(&lower);
    buf_done(&quoted);
    return s;
}

static struct span network_name(struct arena *a, struct span name)
{
    struct buf b = BUF_INIT(name.len + 16);
    struct span s;

    rpc_signature_network_name(&b, name);
    s = buf_error(&b) == 0 ? arena_copy(a, buf_span(&b)) : span_of(NULL, 0);
    buf_done(&b);
    return s;
}

static int too_large(struct err *err)
{
    return err_set(err, WSPR_ELIMIT, "the description of the service is too large");
}

/* The same method as a row of the signature. */
static int method_row(struct arena *a, struct service_method *method, struct rpc_method *ret)
{
    const struct method_json *m = method->source;
    struct rpc_param *in = arena_calloc(a, m->in.n, sizeof *in);
    struct rpc_param *out = arena_calloc(a, (size_t)m->n_out, sizeof *out);

    if ((in == NULL && m->in.n > 0) || out == NULL)
        return WSPR_ENOMEM;
    for (size_t i = 0; i < m->in.n; i++) {
        in[i].name = (const char *)arena_copy(a, m->in.items[i]).p;
        in[i].type = &type_any;
        if (in[i].name == NULL)
            return WSPR_ENOMEM;
    }
    for (int64_t i = 0; i < m->n_out; i++) {
        out[i].name = i + 1 == m->n_out ? "err" : "";
        out[i].type = &type_any;
    }
    *ret = (struct rpc_method){
        .name = (const char *)method->name.p,
        .in = in,
        .n_in = m->in.n,
        .out = out,
        .n_out = (size_t)m->n_out,
        .in_stream = m->streaming ? &type_any : NULL,
        .out_stream = m->streaming ? &type_any : NULL,
    };
    method->source = NULL;
    return 0;
}

static int compare_methods(const void *a, const void *b)
{
    const struct service_method *x = a, *y = b;

    return span_compare(x->name, y->name);
}

static int take_method(struct gateway_service *s, const struct json_entry *entry, struct err *err)
{
    const struct method_json *m = entry->value;
    struct service_method *method = &s->methods[s->n_methods++];

    if (m->n_out < 1)
        return err_set(err, WSPR_EBADARG, "method %.*s must have at least one out arg",
                       SPAN_ARG(entry->name));
    if (m->n_out > SERVICE_OUT_MAX)
        return err_set(err, WSPR_EBADARG, "method %.*s has too many out args",
                       SPAN_ARG(entry->name));
    method->name = network_name(&s->arena, entry->name);
    method->shown = shown_name(&s->arena, entry->name);
    method->n_in = (uint32_t)m->in.n;
    method->n_out = (uint32_t)m->n_out;
    method->streaming = m->streaming != 0;
    method->source = m;
    return method->name.p != NULL && method->shown.p != NULL ? 0 : too_large(err);
}

/* `Bar` and `bar` are one method on the network: one of them stays. */
static size_t drop_equal_names(struct service_method *methods, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || !span_equal(methods[kept - 1].name, methods[i].name))
            methods[kept++] = methods[i];
    }
    return kept;
}

static int take_methods(struct gateway_service *s, const struct json_map *map, struct err *err)
{
    struct rpc_method *rows;
    int r = 0;

    s->interface = (struct rpc_interface){
        .name = "",
        .type_defs = type_defs,
        .n_type_defs = sizeof type_defs / sizeof type_defs[0],
    };
    if (map->n == 0)
        return 0;
    s->methods = arena_calloc(&s->arena, map->n, sizeof *s->methods);
    rows = arena_calloc(&s->arena, map->n, sizeof *rows);
    if (rows == NULL || s->methods == NULL)
        return too_large(err);
    for (size_t i = 0; i < map->n && r == 0; i++)
        r = take_method(s, &map->items[i], err);
    if (r < 0)
        return r;
    qsort(s->methods, s->n_methods, sizeof *s->methods, compare_methods);
    s->n_methods = drop_equal_names(s->methods, s->n_methods);
    for (size_t i = 0; i < s->n_methods && r == 0; i++)
        r = method_row(&s->arena, &s->methods[i], &rows[i]);
    s->interface.methods = rows;
    s->interface.n_methods = s->n_methods;
    return r < 0 ? too_large(err) : 0;
}

int gateway_service_read(struct span text, size_t max, struct gateway_service **ret_service,
                         struct err *err)
{
    struct gateway_service *s = calloc(1, sizeof *s);
    struct arena scratch = ARENA_INIT(SERVICE_SCRATCH(max));
    struct json_map map = {NULL, 0};
    int r = 0;

    if (s == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    arena_init(&s->arena, max);
    if (text.p != NULL)
        r = json_decode_value(text, &service_field, &map, &scratch, 0, 0, err);
    if (r == WSPR_ELIMIT && scratch.used > 0)
        too_large(err);
    if (r == 0)
        r = take_methods(s, &map, err);
    arena_done(&scratch);
    if (r < 0) {
        gateway_service_free(s);
        return r;
    }
    *ret_service = s;
    return 0;
}

void gateway_service_free(struct gateway_service *s)
{
    if (s == NULL)
        return;
    arena_done(&s->arena);
    free(s);
}

const struct service_method *gateway_service_find(const struct gateway_service *s, struct span name)
{
    const struct service_method key = {.name = name};

    if (s == NULL || s->n_methods == 0)
        return NULL;
    return bsearch(&key, s->methods, s->n_methods, sizeof *s->methods, compare_methods);
}

/* The methods of the cache (spec: sample-service 2). */
#include "config.h"

#include <inttypes.h>

#include "base/clock.h"
#include "services/sample_private.h"
#include "services/value_text.h"
#include "vom/wiretypes.h"

#define PAGE_LEN   10
#define VALUE_TEXT 16384 /* of a value in an error text */

/* As they travel; `any` is vdlutil.Any there. */
static const struct vom_field pair_fields[] = {
    VOM_FIELD("Key", &vom_type_string),
    VOM_FIELD("Value", &vom_type_vdl_any),
};
static const struct vom_type t_pair =
    VOM_TYPE_STRUCT("veyron/examples/wspr_sample.KeyValuePair", pair_fields);
static const struct vom_type t_pairs = VOM_TYPE_SLICE("", &t_pair);
static const struct vom_type t_map = VOM_TYPE_MAP("", &vom_type_string, &vom_type_vdl_any);
static const struct vom_type t_page = VOM_TYPE_ARRAY("", &vom_type_string, PAGE_LEN);
/* What stands for the value of a key that is not there. */
static const struct vom_type t_missing = VOM_TYPE_SLICE("", &vom_type_int);

static struct span arg_string(const struct vom_value *const *args, size_t i)
{
    return args[i]->s;
}

static void finish1(struct rpc_scall *call, const struct vom_value *v, const struct err *error)
{
    rpc_scall_finish(call, &v, 1, error);
}

/* Ends a call for whose result there was no memory. */
static void finish_no_memory(struct rpc_scall *call, size_t n_results)
{
    const struct vom_value *none[2] = {NULL, NULL};
    struct err e = ERR_INIT;

    err_set(&e, WSPR_ENOMEM, "out of memory");
    rpc_scall_finish(call, none, n_results, &e);
    err_done(&e);
}

static void set_missing(struct err *e, int code, struct span key)
{
    err_set(e, code, "key not found: %.*s", SPAN_ARG(key));
}

/* ---- one key ---- */

static void cache_set(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct sample *s = object;
    struct vom_value nil = vom_value_zero(&vom_type_any);
    const struct vom_value *v = args[1]->to != NULL ? args[1]->to : &nil;
    struct err e = ERR_INIT;

    sample_store_set(&s->store, arg_string(args, 0), v, s->wall(), &e);
    rpc_scall_finish(call, NULL, 0, &e);
    err_done(&e);
}

static void cache_get(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct sample *s = object;
    struct vom_value missing = vom_value_zero(&t_missing);
    const struct sample_entry *entry = sample_store_find(&s->store, arg_string(args, 0));
    struct err e = ERR_INIT;

    if (entry == NULL)
        set_missing(&e, WSPR_ENOTFOUND, arg_string(args, 0));
    finish1(call, entry != NULL ? &entry->value : &missing, &e);
    err_done(&e);
}

static bool is_nil(const struct vom_value *v)
{
    return v->type->kind == VOM_KIND_ANY && v->to == NULL;
}

/* "Cannot convert hello (type string) to type int32" */
static void set_mismatch(struct err *e, const struct vom_value *v, const char *wanted)
{
    struct buf text = BUF_INIT(VALUE_TEXT), type = BUF_INIT(VALUE_TEXT);

    value_text_append(&text, v);
    if (is_nil(v))
        buf_append_str(&type, "<nil>");
    else
        vom_type_print(&type, v->type, VOM_STYLE_HOST);
    err_set(e, WSPR_EUNKNOWN, "Cannot convert %.*s (type %.*s) to type %s",
            SPAN_ARG(buf_span(&text)), SPAN_ARG(buf_span(&type)), wanted);
    buf_done(&text);
    buf_done(&type);
}

static void get_as(struct sample *s, struct rpc_scall *call, struct span key,
                   const struct vom_type *t, const char *name)
{
    struct vom_value zero = vom_value_zero(t);
    const struct sample_entry *entry = sample_store_find(&s->store, key);
    const struct vom_value *v = &zero;
    struct err e = ERR_INIT;

    if (entry == NULL)
        set_missing(&e, WSPR_ENOTFOUND, key);
    else if (!vom_type_same(entry->value.type, t))
        set_mismatch(&e, &entry->value, name);
    else
        v = &entry->value;
    finish1(call, v, &e);
    err_done(&e);
}

#define GET_AS(function, type, name)                                                               \
    static void function(void *object, struct rpc_scall *call,                                     \
                         const struct vom_value *const *args)                                      \
    {                                                                                              \
        get_as(object, call, arg_string(args, 0), type, name);                                     \
    }

GET_AS(get_as_byte, &vom_type_byte, "uint8")
GET_AS(get_as_int32, &vom_type_int32, "int32")
GET_AS(get_as_int64, &vom_type_int64, "int64")
GET_AS(get_as_uint32, &vom_type_uint32, "uint32")
GET_AS(get_as_uint64, &vom_type_uint64, "uint64")
GET_AS(get_as_float32, &vom_type_float32, "float32")
GET_AS(get_as_float64, &vom_type_float64, "float64")
GET_AS(get_as_string, &vom_type_string, "string")
GET_AS(get_as_bool, &vom_type_bool, "bool")

static void get_as_error(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct sample *s = object;
    const struct sample_entry *entry = sample_store_find(&s->store, arg_string(args, 0));
    const struct vom_value *v = NULL;
    struct err e = ERR_INIT;
    struct span id, msg;

    if (entry == NULL)
        set_missing(&e, WSPR_ENOTFOUND, arg_string(args, 0));
    else if (vom_verror_get(&entry->value, &id, &msg) <= 0)
        set_mismatch(&e, &entry->value, "error");
    else
        v = &entry->value;
    finish1(call, v, &e);
    err_done(&e);
}

/* ---- all keys ---- */

/* The entry's value inside an interface; it borrows from the entry. */
static int any_of(struct arena *a, const struct sample_entry *e, struct vom_value *ret_v)
{
    if (is_nil(&e->value)) {
        *ret_v = vom_value_zero(&vom_type_vdl_any);
        return 0;
    }
    return vom_value_new_to(a, &vom_type_vdl_any, e->value, ret_v);
}

static struct vom_value key_of(const struct sample_entry *e)
{
    return vom_value_span(&vom_type_string, sample_entry_key(e));
}

static int pair_of(struct arena *a, const struct sample_entry *e, struct vom_value *ret_v)
{
    struct vom_value any;
    int r = vom_value_new_struct(a, &t_pair, ret_v);

    if (r == 0)
        r = any_of(a, e, &any);
    if (r < 0)
        return r;
    vom_value_set_field(ret_v, "Key", key_of(e));
    vom_value_set_field(ret_v, "Value", any);
    return 0;
}

static void cache_as_map(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct sample *s = object;
    struct arena *a = rpc_scall_arena(call);
    struct vom_value map, any;
    int r = vom_value_new_map(a, &t_map, s->store.n, &map);

    for (size_t i = 0; r == 0 && i < s->store.n; i++) {
        r = any_of(a, s->store.entries[i], &any);
        if (r == 0)
            vom_value_put(&map, i, key_of(s->store.entries[i]), any);
    }
    if (r < 0)
        finish_no_memory(call, 1);
    else
        finish1(call, &map, NULL);
}

static void cache_pairs(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct sample *s = object;
    struct arena *a = rpc_scall_arena(call);
    struct vom_value list, pair;
    int r = vom_value_new_list(a, &t_pairs, s->store.n, &list);

    for (size_t i = 0; r == 0 && i < s->store.n; i++) {
        r = pair_of(a, s->store.entries[i], &pair);
        if (r == 0)
            vom_value_set(&list, i, pair);
    }
    if (r < 0)
        finish_no_memory(call, 1);
    else
        finish1(call, &list, NULL);
}

static void cache_most_recent(void *object, struct rpc_scall *call,
                              const struct vom_value *const *args)
{
    struct sample *s = object;
    const struct sample_entry *recent = s->store.recent;
    struct vom_value pair = vom_value_zero(&t_pair);
    struct vom_value at = vom_value_int(&vom_type_int64, VOM_TIME_YEAR_1);
    const struct vom_value *results[] = {&pair, &at};
    struct err e = ERR_INIT;

    if (recent == NULL) {
        err_set(&e, WSPR_ENOTFOUND, "no values in the cache so cannot return most recent.");
    } else if (pair_of(rpc_scall_arena(call), recent, &pair) < 0) {
        finish_no_memory(call, 2);
        return;
    } else {
        at.i = s->store.recent_at / CLOCK_S;
    }
    rpc_scall_finish(call, results, 2, &e);
    err_done(&e);
}

static void cache_key_page(void *object, struct rpc_scall *call,
                           const struct vom_value *const *args)
{
    struct sample *s = object;
    struct vom_value page = vom_value_zero(&t_page);
    size_t pages = (s->store.n + PAGE_LEN - 1) / PAGE_LEN, first;
    int64_t index = args[0]->i;
    struct err e = ERR_INIT;

    if (vom_value_new_list(rpc_scall_arena(call), &t_page, PAGE_LEN, &page) < 0) {
        finish_no_memory(call, 1);
        return;
    }
    if (index < 0 || (uint64_t)index >= pages) {
        err_set(&e, WSPR_EBADARG, "Page index out of bounds: %" PRId64, index);
    } else {
        first = (size_t)index * PAGE_LEN;
        for (size_t i = 0; i < PAGE_LEN && first + i < s->store.n; i++)
            vom_value_set(&page, i, key_of(s->store.entries[first + i]));
    }
    finish1(call, &page, &e);
    err_done(&e);
}

static void cache_size(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct sample *s = object;
    struct vom_value n = vom_value_int(&vom_type_int64, (int64_t)s->store.n);

    finish1(call, &n, NULL);
}

/* ---- MultiGet: one value for each key that comes ---- */

/* What is wrong with a key, or the deadline, has no id, as in the reference; what we lack has. */
static void multi_get_fail(struct rpc_scall *call, int code, const char *text)
{
    bool ours = code == WSPR_ENOMEM || code == WSPR_ELIMIT;
    struct err e = ERR_INIT;

    err_set(&e, ours ? code : WSPR_EUNKNOWN, "%s", text);
    rpc_scall_finish(call, NULL, 0, &e);
    err_done(&e);
}

static int multi_get_item(void *arg, struct rpc_scall *call, const struct rpc_value *v)
{
    struct sample *s = arg;
    const struct vom_value *key;
    const struct sample_entry *entry;
    struct err e = ERR_INIT;
    int r = rpc_scall_item_value(call, v, &key, &e);

    if (r < 0) {
        multi_get_fail(call, r, e.code != 0 ? err_text(&e) : err_code_text(r));
        err_done(&e);
        return 0;
    }
    entry = sample_store_find(&s->store, key->s);
    if (entry == NULL) {
        /* Without the id that Get gives. */
        set_missing(&e, WSPR_EUNKNOWN, key->s);
        rpc_scall_finish(call, NULL, 0, &e);
        err_done(&e);
        return 0;
    }
    r = rpc_scall_send(call, &entry->value);
    if (r < 0)
        rpc_scall_finish(call, NULL, 0, NULL);
    return r == RPC_FULL ? RPC_HOLD : 0;
}

static void multi_get_end(void *arg, struct rpc_scall *call)
{
    const struct err *why = rpc_scall_stream_error(call);

    if (why != NULL)
        multi_get_fail(call, why->code, err_text(why));
    else
        rpc_scall_finish(call, NULL, 0, NULL);
}

/* The deadline ends the wait for another key. */
static void multi_get_expired(void *arg, struct rpc_scall *call)
{
    multi_get_fail(call, WSPR_ETIMEOUT, "deadline exceeded");
}

static void multi_get_gone(void *arg, struct rpc_scall *call)
{
    rpc_scall_finish(call, NULL, 0, NULL);
}

static void multi_get_writable(void *arg, struct rpc_scall *call)
{
    rpc_scall_resume(call);
}

static const struct rpc_scall_ops multi_get_ops = {
    .item = multi_get_item,
    .end = multi_get_end,
    .expired = multi_get_expired,
    .gone = multi_get_gone,
    .writable = multi_get_writable,
};

static void cache_multi_get(void *object, struct rpc_scall *call,
                            const struct vom_value *const *args)
{
    rpc_scall_set_ops(call, &multi_get_ops, object);
}

/* ---- the signature (spec: sample-service 5) ---- */

static const struct vom_type s_any = VOM_TYPE_NAMED(VOM_KIND_ANY, "anydata");
static const struct vom_type s_byte = VOM_TYPE_NAMED(VOM_KIND_BYTE, "byte");
static const struct vom_type s_map = VOM_TYPE_MAP("", &vom_type_string, &s_any);
static const struct vom_field s_pair_fields[] = {
    VOM_FIELD("Key", &vom_type_string),
    VOM_FIELD("Value", &s_any),
};
static const struct vom_type s_pair =
    VOM_TYPE_STRUCT("veyron/examples/wspr_sample.KeyValuePair", s_pair_fields);
static const struct vom_type s_pairs = VOM_TYPE_SLICE("", &s_pair);

static const struct vom_type *const cache_types[] = {
    &s_any, &sample_type_error, &s_byte, &s_map, &s_pair, &s_pairs, &t_page,
};

static const struct rpc_param in_set[] = {{"key", &vom_type_string}, {"value", &s_any}};
static const struct rpc_param in_key[] = {{"key", &vom_type_string}};
static const struct rpc_param in_index[] = {{"index", &vom_type_int64}};

#define OUT(name, type)                                                                            \
    static const struct rpc_param name[] = {{"", type}, {"", &sample_type_error}}

OUT(out_any, &s_any);
OUT(out_byte, &s_byte);
OUT(out_int32, &vom_type_int32);
OUT(out_int64, &vom_type_int64);
OUT(out_uint32, &vom_type_uint32);
OUT(out_uint64, &vom_type_uint64);
OUT(out_float32, &vom_type_float32);
OUT(out_float64, &vom_type_float64);
OUT(out_string, &vom_type_string);
OUT(out_bool, &vom_type_bool);
OUT(out_stored_error, &sample_type_error);
OUT(out_map, &s_map);
OUT(out_pairs, &s_pairs);
OUT(out_page, &t_page);
static const struct rpc_param out_error[] = {{"", &sample_type_error}};
static const struct rpc_param out_recent[] = {
    {"value", &s_pair}, {"time", &vom_type_int64}, {"err", &sample_type_error}};

#define METHOD(method, args, n_args, results, n_results, function)                                 \
    {                                                                                              \
        .name = (method), .in = (args), .n_in = (n_args), .out = (results), .n_out = (n_results),  \
        .invoke = (function)                                                                       \
    }

static const struct rpc_method cache_methods[] = {
    METHOD("Set", in_set, 2, out_error, 1, cache_set),
    METHOD("Get", in_key, 1, out_any, 2, cache_get),
    METHOD("GetAsByte", in_key, 1, out_byte, 2, get_as_byte),
    METHOD("GetAsInt32", in_key, 1, out_int32, 2, get_as_int32),
    METHOD("GetAsInt64", in_key, 1, out_int64, 2, get_as_int64),
    METHOD("GetAsUint32", in_key, 1, out_uint32, 2, get_as_uint32),
    METHOD("GetAsUint64", in_key, 1, out_uint64, 2, get_as_uint64),
    METHOD("GetAsFloat32", in_key, 1, out_float32, 2, get_as_float32),
    METHOD("GetAsFloat64", in_key, 1, out_float64, 2, get_as_float64),
    METHOD("GetAsString", in_key, 1, out_string, 2, get_as_string),
    METHOD("GetAsBool", in_key, 1, out_bool, 2, get_as_bool),
    METHOD("GetAsError", in_key, 1, out_stored_error, 2, get_as_error),
    METHOD("AsMap", NULL, 0, out_map, 2, cache_as_map),
    METHOD("KeyValuePairs", NULL, 0, out_pairs, 2, cache_pairs),
    METHOD("MostRecentSet", NULL, 0, out_recent, 3, cache_most_recent),
    METHOD("KeyPage", in_index, 1, out_page, 2, cache_key_page),
    METHOD("Size", NULL, 0, out_int64, 2, cache_size),
    {
        .name = "MultiGet",
        .out = out_error,
        .n_out = 1,
        .in_stream = &vom_type_string,
        .out_stream = &s_any,
        .invoke = cache_multi_get,
    },
};

const struct rpc_interface sample_cache = {
    .name = "veyron/examples/wspr_sample.Cache",
    .methods = cache_methods,
    .n_methods = sizeof cache_methods / sizeof cache_methods[0],
    .type_defs = cache_types,
    .n_type_defs = sizeof cache_types / sizeof cache_types[0],
};

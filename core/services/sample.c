#include "config.h"
#include "services/sample.h"

#include <stdlib.h>

#include "base/clock.h"
#include "services/sample_private.h"

const struct vom_type sample_type_error = VOM_TYPE_NAMED(VOM_KIND_ANY, "error");

/* ---- the error thrower (spec: sample-service 3) ---- */

static void throw(struct rpc_scall * call, int code, const char *text)
{
    struct err e = ERR_INIT;

    err_set(&e, code, "%s", text);
    rpc_scall_finish(call, NULL, 0, &e);
    err_done(&e);
}

#define THROW(name, code, text)                                                                    \
    static void name(void *object, struct rpc_scall *call, const struct vom_value *const *args)    \
    {                                                                                              \
        throw(call, code, text);                                                                   \
    }

THROW(throw_aborted, WSPR_EABORTED, "Aborted!")
THROW(throw_bad_arg, WSPR_EBADARG, "BadArg!")
THROW(throw_bad_protocol, WSPR_EBADPROTO, "BadProtocol!")
THROW(throw_internal, WSPR_EINTERNAL, "Internal!")
THROW(throw_not_authorized, WSPR_ENOTAUTH, "NotAuthorized!")
THROW(throw_not_found, WSPR_ENOTFOUND, "NotFound!")
THROW(throw_unknown, WSPR_EUNKNOWN, "Unknown!")
THROW(throw_go_error, WSPR_EUNKNOWN, "GoError!")

static void throw_custom(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct err e = ERR_INIT;

    err_set_id(&e, "MyCustomError", "CustomStandard!");
    rpc_scall_finish(call, NULL, 0, &e);
    err_done(&e);
}

static void list_ids(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct vom_value none = vom_value_zero(&vom_type_string_list);
    const struct vom_value *results[] = {&none};

    rpc_scall_finish(call, results, 1, NULL);
}

static const struct rpc_param out_error[] = {{"", &sample_type_error}};
static const struct rpc_param out_ids[] = {{"", &vom_type_string_list}, {"", &sample_type_error}};

#define THROWER(method, function)                                                                  \
    {                                                                                              \
        .name = (method), .out = out_error, .n_out = 1, .invoke = (function)                       \
    }

static const struct rpc_method thrower_methods[] = {
    THROWER("ThrowAborted", throw_aborted),
    THROWER("ThrowBadArg", throw_bad_arg),
    THROWER("ThrowBadProtocol", throw_bad_protocol),
    THROWER("ThrowInternal", throw_internal),
    THROWER("ThrowNotAuthorized", throw_not_authorized),
    THROWER("ThrowNotFound", throw_not_found),
    THROWER("ThrowUnknown", throw_unknown),
    THROWER("ThrowGoError", throw_go_error),
    THROWER("ThrowCustomStandardError", throw_custom),
    {.name = "ListAllBuiltInErrorIDs", .out = out_ids, .n_out = 2, .invoke = list_ids},
};

static const struct vom_type *const thrower_types[] = {&sample_type_error};

static const struct rpc_interface thrower = {
    .name = "veyron/examples/wspr_sample.ErrorThrower",
    .methods = thrower_methods,
    .n_methods = sizeof thrower_methods / sizeof thrower_methods[0],
    .type_defs = thrower_types,
    .n_type_defs = 1,
};

/* ---- the service ---- */

static int sample_lookup(void *arg, struct span suffix, struct rpc_object *ret, struct err *err)
{
    static const char prefix[] = "errorThrower";
    const size_t n = sizeof prefix - 1;
    struct sample *s = arg;
    bool throws = suffix.len >= n && memcmp(suffix.p, prefix, n) == 0;

    *ret = (struct rpc_object){
        .interface = throws ? &thrower : &sample_cache,
        .object = s,
        .authorizer = s->authorizer,
    };
    return 0;
}

struct sample *sample_new(const struct sample_opts *opts)
{
    static const struct sample_opts defaults;
    struct sample *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    if (opts == NULL)
        opts = &defaults;
    s->dispatcher.lookup = sample_lookup;
    s->dispatcher.arg = s;
    s->authorizer = opts->authorizer;
    s->wall = opts->wall != NULL ? opts->wall : clock_wall;
    sample_store_init(&s->store, &opts->limits);
    return s;
}

void sample_free(struct sample *s)
{
    if (s == NULL)
        return;
    sample_store_done(&s->store);
    free(s);
}

const struct rpc_dispatcher *sample_dispatcher(const struct sample *s)
{
    return &s->dispatcher;
}

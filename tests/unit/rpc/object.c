#include "config.h"
#include "object.h"

#include <stdlib.h>

#include "security/acl.h"
#include "security/identity.h"
#include "tap.h"
#include "vom/wiretypes.h"

static const struct vom_type t_error = VOM_TYPE_NAMED(VOM_KIND_ANY, "error");
static const struct vom_type t_any = VOM_TYPE_NAMED(VOM_KIND_ANY, "anydata");

/* A string value in the memory of the call, of up to seven pieces. */
struct pieces {
    struct span p[7];
};

static struct vom_value string_of(struct rpc_scall *call, struct pieces pieces)
{
    struct buf b = BUF_INIT(64 << 20);
    struct vom_value v;

    for (size_t i = 0; i < sizeof pieces.p / sizeof pieces.p[0]; i++)
        buf_append_span(&b, pieces.p[i]);
    v = vom_value_span(&vom_type_string, arena_copy(rpc_scall_arena(call), buf_span(&b)));
    buf_done(&b);
    return v;
}

#define S(text) span_str(text)

static void fail(struct rpc_scall *call, int code, const char *text)
{
    struct err e = ERR_INIT;

    err_set(&e, code, "%s", text);
    rpc_scall_finish(call, NULL, 0, &e);
    err_done(&e);
}

/* ---- unary ---- */

static void closure(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    rpc_scall_finish_void(call);
}

static void echo(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct vom_value v = string_of(
        call, (struct pieces){{S("method:\""), rpc_scall_method(call), S("\",suffix:\""),
                               rpc_scall_suffix(call), S("\",arg:\""), args[0]->s, S("\"")}});
    const struct vom_value *results[] = {&v};

    rpc_scall_finish_plain(call, results, 1);
}

static void add(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct vom_value v = vom_value_int(&vom_type_int32, args[0]->i + args[1]->i);
    const struct vom_value *results[] = {&v};

    rpc_scall_finish(call, results, 1, NULL);
}

static void error(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    fail(call, WSPR_EABORTED, "server returned an error");
}

static void go_error(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    fail(call, WSPR_EUNKNOWN, "plain error");
}

static void any_nil(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    const struct vom_value *results[] = {NULL};

    rpc_scall_finish(call, results, 1, NULL);
}

/* What came, as it came. */
static void identity(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    rpc_scall_finish(call, args, 1, NULL);
}

static void secret(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    rpc_scall_finish_void(call);
}

static struct vom_value name_of(struct rpc_scall *call, const struct object *o,
                                const struct security_identity *id)
{
    struct buf b = BUF_INIT(4096);
    struct vom_value v;

    security_identity_print(&b, id, o->trust);
    v = vom_value_span(&vom_type_string, arena_copy(rpc_scall_arena(call), buf_span(&b)));
    buf_done(&b);
    return v;
}

static void echo_ids(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct vom_value local = name_of(call, object, rpc_scall_local(call));
    struct vom_value remote = name_of(call, object, rpc_scall_remote(call));
    const struct vom_value *results[] = {&local, &remote};

    rpc_scall_finish_plain(call, results, 2);
}

static void echo_blessing(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct vom_value name = name_of(call, object, rpc_scall_blessing(call));
    const struct vom_value *results[] = {args[0], &name};

    rpc_scall_finish_plain(call, results, 2);
}

/* So many bytes. */
static void big(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    size_t n = (size_t)args[0]->i;
    uint8_t *p = arena_calloc(rpc_scall_arena(call), n, 1);
    struct vom_value v = vom_value_span(&vom_type_bytes, span_of(p, n));
    const struct vom_value *results[] = {&v};

    rpc_scall_finish(call, results, 1, NULL);
}

/* ---- streams ---- */

/* Items of Stream and Collect, gathered in the call's arena. */
struct gather {
    struct object *object;
    struct span text;
    int32_t sum;
    bool strings;
};

static void gather_fail(struct gather *g, struct rpc_scall *call, const char *text)
{
    struct vom_value zero = vom_value_zero(g->strings ? &vom_type_string : &vom_type_int32);
    const struct vom_value *results[] = {&zero};
    struct err e = ERR_INIT;

    err_set(&e, WSPR_EUNKNOWN, "%s", text);
    rpc_scall_finish(call, results, 1, &e);
    err_done(&e);
}

static int gather_item(void *arg, struct rpc_scall *call, const struct rpc_value *v)
{
    struct gather *g = arg;
    const struct vom_value *item;
    struct err e = ERR_INIT;

    if (rpc_scall_item_value(call, v, &item, &e) < 0) {
        gather_fail(g, call, err_text(&e));
        err_done(&e);
        return 0;
    }
    if (!g->strings) {
        g->sum += (int32_t)item->i;
        return 0;
    }
    g->object->received += item->s.len;
    g->text = string_of(call, (struct pieces){{g->text, S(" "), item->s}}).s;
    return rpc_scall_send(call, item) == RPC_FULL ? RPC_HOLD : 0;
}

static void gather_end(void *arg, struct rpc_scall *call)
{
    struct gather *g = arg;
    struct vom_value v = g->strings ? vom_value_span(&vom_type_string, g->text)
                                    : vom_value_int(&vom_type_int32, g->sum);
    const struct vom_value *results[] = {&v};

    g->object->ended++;
    rpc_scall_finish(call, results, 1, NULL);
}

static void gather_gone(void *arg, struct rpc_scall *call)
{
    struct gather *g = arg;

    g->object->gone++;
    rpc_scall_finish(call, NULL, 0, NULL);
}

static void gather_writable(void *arg, struct rpc_scall *call)
{
    rpc_scall_resume(call);
}

static const struct rpc_scall_ops gather_ops = {
    .item = gather_item,
    .end = gather_end,
    .gone = gather_gone,
    .writable = gather_writable,
};

static void gather_start(struct object *o, struct rpc_scall *call, bool strings, struct span text)
{
    struct gather *g = arena_calloc(rpc_scall_arena(call), 1, sizeof *g);

    if (g == NULL) {
        fail(call, WSPR_ENOMEM, "out of memory");
        return;
    }
    g->object = o;
    g->strings = strings;
    g->text = text;
    rpc_scall_set_ops(call, &gather_ops, g);
}

static void stream(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct vom_value head = string_of(call, (struct pieces){{S("arg:\""), args[0]->s, S("\"")}});

    gather_start(object, call, true, head.s);
}

static void collect(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    gather_start(object, call, false, span_str(""));
}

static void count_items(struct rpc_scall *call, int32_t n)
{
    int r = 0;

    for (int32_t i = 0; i < n && r >= 0; i++) {
        struct vom_value v = vom_value_int(&vom_type_int32, i);

        r = rpc_scall_send(call, &v);
    }
}

static void count(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    count_items(call, (int32_t)args[0]->i);
    rpc_scall_finish(call, NULL, 0, NULL);
}

static void count_then_fail(void *object, struct rpc_scall *call,
                            const struct vom_value *const *args)
{
    count_items(call, (int32_t)args[0]->i);
    fail(call, WSPR_ENOTFOUND, "ran out");
}

/* Flood(size): items of that size without an end, as fast as the caller takes them. */
struct flood {
    struct object *object;
    struct vom_value item;
};

static void flood_more(void *arg, struct rpc_scall *call)
{
    struct flood *f = arg;
    int r = 0;

    while (r == 0)
        r = rpc_scall_send(call, &f->item);
    if (r < 0)
        rpc_scall_finish(call, NULL, 0, NULL);
}

static void flood_gone(void *arg, struct rpc_scall *call)
{
    struct flood *f = arg;

    f->object->gone++;
    rpc_scall_finish(call, NULL, 0, NULL);
}

static const struct rpc_scall_ops flood_ops = {.gone = flood_gone, .writable = flood_more};

static void flood(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct flood *f = arena_calloc(rpc_scall_arena(call), 1, sizeof *f);
    size_t n = (size_t)args[0]->i;
    uint8_t *p = arena_calloc(rpc_scall_arena(call), n, 1);

    if (f == NULL || p == NULL) {
        fail(call, WSPR_ENOMEM, "out of memory");
        return;
    }
    f->object = object;
    f->item = vom_value_span(&vom_type_bytes, span_of(p, n));
    rpc_scall_set_ops(call, &flood_ops, f);
    flood_more(f, call);
}

/* ---- calls that wait ---- */

static void forget(struct object *o, const struct rpc_scall *call)
{
    for (unsigned i = 0; i < o->n_waiting; i++) {
        if (o->waiting[i] == call)
            o->waiting[i] = o->waiting[--o->n_waiting];
    }
}

static void slow_gone(void *arg, struct rpc_scall *call)
{
    struct object *o = arg;

    o->gone++;
    forget(o, call);
    rpc_scall_finish(call, NULL, 0, NULL);
}

static void slow_expired(void *arg, struct rpc_scall *call)
{
    struct object *o = arg;

    o->expired++;
}

static void slow_recv_expired(void *arg, struct rpc_scall *call)
{
    struct object *o = arg;

    o->expired++;
    forget(o, call);
    fail(call, WSPR_EUNKNOWN, "deadline exceeded");
}

static const struct rpc_scall_ops slow_ops = {.gone = slow_gone, .expired = slow_expired};
static const struct rpc_scall_ops slow_recv_ops = {.gone = slow_gone, .expired = slow_recv_expired};

static void wait_for(struct object *o, struct rpc_scall *call, const struct rpc_scall_ops *ops)
{
    if (o->n_waiting < sizeof o->waiting / sizeof o->waiting[0])
        o->waiting[o->n_waiting++] = call;
    rpc_scall_set_ops(call, ops, o);
}

static void slow(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct object *o = object;

    o->invoked++;
    wait_for(o, call, &slow_ops);
}

static void slow_recv(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    wait_for(object, call, &slow_recv_ops);
}

/* ---- the interface ---- */

static const struct rpc_param in_string[] = {{"a", &vom_type_string}};
static const struct rpc_param in_int32[] = {{"n", &vom_type_int32}};
static const struct rpc_param in_any[] = {{"v", &t_any}};
static const struct rpc_param in_two[] = {{"a", &vom_type_int32}, {"b", &vom_type_int32}};
static const struct rpc_param out_string[] = {{"", &vom_type_string}};
static const struct rpc_param out_strings[] = {{"", &vom_type_string}, {"", &vom_type_string}};
static const struct rpc_param out_error[] = {{"", &t_error}};
static const struct rpc_param out_int32[] = {{"", &vom_type_int32}, {"", &t_error}};
static const struct rpc_param out_text[] = {{"", &vom_type_string}, {"", &t_error}};
static const struct rpc_param out_any[] = {{"", &t_any}, {"", &t_error}};
static const struct rpc_param out_bytes[] = {{"", &vom_type_bytes}, {"", &t_error}};

#define IN(p)  .in = (p), .n_in = sizeof(p) / sizeof(p)[0]
#define OUT(p) .out = (p), .n_out = sizeof(p) / sizeof(p)[0]

static const struct rpc_method methods[] = {
    {.name = "Closure", .invoke = closure},
    {.name = "Echo", IN(in_string), OUT(out_string), .label = RPC_LABEL_READ, .invoke = echo},
    {.name = "Add", IN(in_two), OUT(out_int32), .label = RPC_LABEL_WRITE, .invoke = add},
    {.name = "Error", OUT(out_error), .invoke = error},
    {.name = "GoError", OUT(out_error), .invoke = go_error},
    {.name = "AnyNil", OUT(out_any), .invoke = any_nil},
    {.name = "Identity", IN(in_any), OUT(out_any), .invoke = identity},
    {.name = "Secret", .invoke = secret},
    {.name = "EchoIDs", OUT(out_strings), .invoke = echo_ids},
    {.name = "EchoBlessing", IN(in_string), OUT(out_strings), .invoke = echo_blessing},
    {.name = "Big", IN(in_int32), OUT(out_bytes), .invoke = big},
    {.name = "Stream",
     IN(in_string),
     OUT(out_text),
     .in_stream = &vom_type_string,
     .out_stream = &vom_type_string,
     .invoke = stream},
    {.name = "Collect", OUT(out_int32), .in_stream = &vom_type_int32, .invoke = collect},
    {.name = "Count", IN(in_int32), OUT(out_error), .out_stream = &vom_type_int32, .invoke = count},
    {.name = "CountThenFail",
     IN(in_int32),
     OUT(out_error),
     .out_stream = &vom_type_int32,
     .invoke = count_then_fail},
    {.name = "Flood", IN(in_int32), OUT(out_error), .out_stream = &vom_type_bytes, .invoke = flood},
    {.name = "Slow", OUT(out_error), .invoke = slow},
    {.name = "SlowRecv", OUT(out_error), .in_stream = &vom_type_string, .invoke = slow_recv},
};

static const struct vom_type *const type_defs[] = {&t_error, &t_any};

static const struct rpc_interface interface = {
    .name = "test",
    .methods = methods,
    .n_methods = sizeof methods / sizeof methods[0],
    .type_defs = type_defs,
    .n_type_defs = 2,
};

/* ---- dispatching ---- */

static int app_authorize(void *arg, struct rpc_scall *call, struct err *err)
{
    if (!span_equal_str(rpc_scall_method(call), "Secret"))
        return 0;
    return err_set(err, WSPR_ENOTAUTH, "application authorizer denied access");
}

static int acl_authorize(void *arg, struct rpc_scall *call, struct err *err)
{
    struct object *o = arg;

    return security_acl_decide(o->acl, rpc_scall_local(call), rpc_scall_remote(call), o->trust,
                               rpc_scall_label(call), err);
}

static int look_up(void *arg, struct span suffix, struct rpc_object *ret, struct err *err)
{
    struct object *o = arg;

    *ret = (struct rpc_object){0};
    if (span_equal_str(suffix, "none"))
        return 0;
    if (span_equal_str(suffix, "dispErr"))
        return err_set(err, WSPR_EUNKNOWN, "dispatcher says no");
    if (span_equal_str(suffix, "dispVErr"))
        return err_set(err, WSPR_EEXISTS, "dispatcher says exists");
    *ret = (struct rpc_object){&interface, NULL, o, &o->app};
    if (span_equal_str(suffix, "nilAuth"))
        ret->authorizer = NULL;
    if (span_equal_str(suffix, "aclRead"))
        ret->authorizer = &o->acl_read;
    return 0;
}

static int look_up_solo(void *arg, struct span suffix, struct rpc_object *ret, struct err *err)
{
    struct object *o = arg;

    if (suffix.len > 0)
        return err_set(err, WSPR_ENOTFOUND, "ipc: SoloDispatcher lookup on non-empty suffix: %.*s",
                       SPAN_ARG(suffix));
    *ret = (struct rpc_object){&interface, NULL, o, &o->app};
    return 0;
}

static int look_up_nothing(void *arg, struct span suffix, struct rpc_object *ret, struct err *err)
{
    *ret = (struct rpc_object){0};
    return 0;
}

void object_init(struct object *o, struct security_trust *trust)
{
    static const struct security_acl_entry entry = {
        {(const uint8_t *)"client", 6},
        SECURITY_READ,
    };

    *o = (struct object){.trust = trust};
    o->dispatcher = (struct rpc_dispatcher){look_up, o};
    o->solo = (struct rpc_dispatcher){look_up_solo, o};
    o->nothing = (struct rpc_dispatcher){look_up_nothing, o};
    o->app = (struct rpc_authorizer){app_authorize, o};
    o->acl_read = (struct rpc_authorizer){acl_authorize, o};
    o->acl = security_acl_make(&entry, 1);
    TAP_IS(o->acl != NULL);
}

void object_done(struct object *o)
{
    security_acl_free(o->acl);
}

#include "config.h"
#include "slow.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "security/identity.h"
#include "security/pattern.h"
#include "vom/wiretypes.h"

static const struct vom_type t_error = VOM_TYPE_NAMED(VOM_KIND_ANY, "error");

/* One call that goes on; in the arena of the call. */
struct slow_call {
    struct slow *slow;
    struct vom_value item;
    int32_t left;  /* items to send; -1: no end */
    int32_t count; /* items that came */
};

static void no_memory(struct rpc_scall *call)
{
    struct err e = ERR_INIT;

    err_set(&e, WSPR_ENOMEM, "out of memory");
    rpc_scall_finish(call, NULL, 0, &e);
    err_done(&e);
}

static void call_gone(void *arg, struct rpc_scall *call)
{
    struct slow_call *c = arg;

    c->slow->running--;
    c->slow->gone++;
    rpc_scall_finish(call, NULL, 0, NULL);
}

static void call_ended(struct slow_call *c, struct rpc_scall *call)
{
    c->slow->running--;
    rpc_scall_finish(call, NULL, 0, NULL);
}

static int deaf_item(void *arg, struct rpc_scall *call, const struct rpc_value *v)
{
    return RPC_HOLD;
}

static void send_more(void *arg, struct rpc_scall *call)
{
    struct slow_call *c = arg;
    int r = 0;

    while (r == 0 && c->left != 0) {
        r = rpc_scall_send(call, &c->item);
        if (r >= 0) {
            c->left -= c->left > 0;
            c->slow->items++;
        }
    }
    if (c->left == 0 || r < 0)
        call_ended(c, call);
}

static int collect_item(void *arg, struct rpc_scall *call, const struct rpc_value *v)
{
    struct slow_call *c = arg;

    c->count++;
    return 0;
}

static void collect_end(void *arg, struct rpc_scall *call)
{
    struct slow_call *c = arg;
    struct vom_value v = vom_value_int(&vom_type_int32, c->count);
    const struct vom_value *results[] = {&v};

    c->slow->running--;
    rpc_scall_finish(call, results, 1, NULL);
}

static const struct rpc_scall_ops never_ops = {.gone = call_gone};
static const struct rpc_scall_ops deaf_ops = {.gone = call_gone, .item = deaf_item};
static const struct rpc_scall_ops send_ops = {.gone = call_gone, .writable = send_more};
static const struct rpc_scall_ops collect_ops = {
    .gone = call_gone, .item = collect_item, .end = collect_end};

static struct slow_call *call_begin(struct slow *s, struct rpc_scall *call,
                                    const struct rpc_scall_ops *ops)
{
    struct slow_call *c = arena_calloc(rpc_scall_arena(call), 1, sizeof *c);

    if (c == NULL) {
        no_memory(call);
        return NULL;
    }
    c->slow = s;
    s->running++;
    rpc_scall_set_ops(call, ops, c);
    return c;
}

static void echo(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct slow *s = object;

    s->echoes++;
    rpc_scall_finish(call, args, 1, NULL);
}

static void twice(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    const struct vom_value *results[] = {args[0], args[0]};

    rpc_scall_finish(call, results, 2, NULL);
}

static void never(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    call_begin(object, call, &never_ops);
}

static void deaf(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    call_begin(object, call, &deaf_ops);
}

static void collect(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    call_begin(object, call, &collect_ops);
}

static void begin_sending(struct slow *s, struct rpc_scall *call, int32_t n, int64_t size)
{
    uint8_t *p = arena_alloc(rpc_scall_arena(call), (size_t)size);
    struct slow_call *c;

    if (p == NULL) {
        no_memory(call);
        return;
    }
    memset(p, 's', (size_t)size);
    c = call_begin(s, call, &send_ops);
    if (c == NULL)
        return;
    c->left = n;
    c->item = vom_value_span(&vom_type_string, span_of(p, (size_t)size));
    send_more(c, call);
}

static void flood(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    begin_sending(object, call, -1, args[0]->i);
}

static void burst(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    begin_sending(object, call, (int32_t)args[0]->i, args[1]->i);
}

static void stats(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    const struct slow *s = object;
    struct vom_value running = vom_value_int(&vom_type_int32, s->running);
    struct vom_value gone = vom_value_int(&vom_type_int32, s->gone);
    const struct vom_value *results[] = {&running, &gone};

    rpc_scall_finish(call, results, 2, NULL);
}

static void change(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct slow *s = object;

    s->changed = true;
    rpc_scall_finish(call, NULL, 0, NULL);
}

static void whoami(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct slow *s = object;
    struct buf text = BUF_INIT(65536);
    struct vom_value name = vom_value_span(&vom_type_string, span_of(NULL, 0));
    const struct vom_value *results[] = {&name};

    security_identity_print(&text, rpc_scall_remote(call), s->trust);
    name.s = arena_copy(rpc_scall_arena(call), buf_span(&text));
    buf_done(&text);
    rpc_scall_finish(call, results, 1, NULL);
}

static void die(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    _exit(3);
}

/* ---- the interface ---- */

static const struct rpc_param in_string[] = {{"s", &vom_type_string}};
static const struct rpc_param in_int32[] = {{"size", &vom_type_int32}};
static const struct rpc_param in_burst[] = {{"n", &vom_type_int32}, {"size", &vom_type_int32}};
static const struct rpc_param out_error[] = {{"", &t_error}};
static const struct rpc_param out_string[] = {{"", &vom_type_string}, {"", &t_error}};
static const struct rpc_param out_int32[] = {{"", &vom_type_int32}, {"", &t_error}};
static const struct rpc_param out_stats[] = {
    {"", &vom_type_int32}, {"", &vom_type_int32}, {"", &t_error}};

static const struct rpc_param out_strings[] = {
    {"", &vom_type_string}, {"", &vom_type_string}, {"", &t_error}};

#define IN(p)  .in = (p), .n_in = sizeof(p) / sizeof(p)[0]
#define OUT(p) .out = (p), .n_out = sizeof(p) / sizeof(p)[0]

/* Added is the last one, so that it can be left out. */
static const struct rpc_method methods[] = {
    {.name = "Echo", IN(in_string), OUT(out_string), .invoke = echo},
    {.name = "Never", OUT(out_error), .invoke = never},
    {.name = "Deaf", OUT(out_error), .in_stream = &vom_type_string, .invoke = deaf},
    {.name = "Collect", OUT(out_int32), .in_stream = &vom_type_string, .invoke = collect},
    {.name = "Flood",
     IN(in_int32),
     OUT(out_error),
     .out_stream = &vom_type_string,
     .invoke = flood},
    {.name = "Burst",
     IN(in_burst),
     OUT(out_error),
     .out_stream = &vom_type_string,
     .invoke = burst},
    {.name = "Stats", OUT(out_stats), .invoke = stats},
    {.name = "Change", OUT(out_error), .invoke = change},
    {.name = "Die", OUT(out_error), .invoke = die},
    {.name = "Whoami", OUT(out_string), .invoke = whoami},
    {.name = "Twice", IN(in_string), OUT(out_strings), .invoke = twice},
    {.name = "Added", IN(in_string), OUT(out_string), .invoke = echo},
};

#define METHODS (sizeof methods / sizeof methods[0])

static const struct vom_type *const type_defs[] = {&t_error};
static const struct rpc_interface before = {"slow", methods, METHODS - 1, type_defs, 1};
static const struct rpc_interface after = {"slow", methods, METHODS, type_defs, 1};

static const char only[] = "only/";

static int admit_only(void *arg, struct rpc_scall *call, struct err *err)
{
    const struct slow *s = arg;
    struct span suffix = rpc_scall_suffix(call);
    struct span pattern = span_of(suffix.p + sizeof only - 1, suffix.len - (sizeof only - 1));

    if (span_equal_str(rpc_scall_method(call), "Signature") ||
        security_pattern_match(pattern, rpc_scall_remote(call), s->trust))
        return 0;
    return err_set(err, WSPR_ENOTAUTH, "no matching ACL entry found");
}

static int look_up(void *arg, struct span suffix, struct rpc_object *ret, struct err *err)
{
    struct slow *s = arg;

    *ret = (struct rpc_object){s->changed ? &after : &before, NULL, s, &rpc_authorizer_all};
    if (suffix.len >= sizeof only - 1 && memcmp(suffix.p, only, sizeof only - 1) == 0)
        ret->authorizer = &s->only;
    return 0;
}

void slow_init(struct slow *s)
{
    *s = (struct slow){.dispatcher = {look_up, s}, .only = {admit_only, s}};
}

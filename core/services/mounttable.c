#include "config.h"
#include "services/mounttable.h"

#include <assert.h>
#include <gnutls/crypto.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/quote.h"
#include "loop/worker.h"
#include "naming/endpoint.h"
#include "naming/name.h"
#include "security/acl.h"
#include "security/trust.h"
#include "services/mounttable_private.h"
#include "vom/wiretypes.h"

#define COLLECT_MOST 1024  /* mounts that expire in one turn of the loop */
#define QUOTED_MAX   16384 /* of a name in an error text */
#define PATH_MAX_LEN 131072

/* ---- rights (spec: naming 9.5) ---- */

int mounttable_check(struct mounttable *mt, struct rpc_scall *call, struct span path,
                     struct err *err)
{
    const struct security_acl *list;

    if (!mount_acl_find(mt->acl, path, &list))
        return 0;
    return security_acl_decide(list, rpc_scall_local(call), rpc_scall_remote(call), mt->trust,
                               rpc_scall_label(call), err);
}

/* The list of each component, taken alone. */
static int check_components(struct mounttable *mt, struct rpc_scall *call, struct span name,
                            struct err *err)
{
    struct buf path = BUF_INIT(PATH_MAX_LEN);
    struct naming_elements it;
    struct span element;
    int r = 0;

    naming_elements_init(&it, name);
    while (r == 0 && naming_elements_next(&it, &element)) {
        buf_reset(&path);
        buf_u8(&path, '/');
        buf_append_span(&path, element);
        r = buf_error(&path) == 0 ? mounttable_check(mt, call, buf_span(&path), err)
                                  : err_set(err, buf_error(&path), "out of memory");
    }
    buf_done(&path);
    return r;
}

/*
 * The root's list, and those of the components. These are the ones of the cleaned name, as in the
 * reference, and those of the name as it was sent, which ResolveStep walks along: "a/../b" comes by
 * a, and ends there if that is mounted.
 */
static int mounttable_authorize(void *arg, struct rpc_scall *call, struct err *err)
{
    struct mounttable *mt = arg;
    struct span suffix = rpc_scall_suffix(call);
    struct buf name = BUF_INIT(PATH_MAX_LEN);
    int r;

    if (mt->acl == NULL)
        return 0;
    r = mount_acl_refresh(mt->acl, err);
    if (r < 0)
        return r;
    naming_elements_clean(&name, suffix);
    r = buf_error(&name);
    r = r == 0 ? mounttable_check(mt, call, span_str("/"), err)
               : err_set(err, r, "%s", err_code_text(r));
    if (r == 0)
        r = check_components(mt, call, buf_span(&name), err);
    if (r == 0 && !span_equal(buf_span(&name), suffix))
        r = check_components(mt, call, suffix, err);
    buf_done(&name);
    return r;
}

/* ---- expiry ---- */

/* Lets the timer fire when the next mount is due. */
static void timer_set(struct mounttable *mt)
{
    int64_t next = mount_tree_next(&mt->tree), now;

    if (next == INT64_MAX) {
        loop_timer_stop(&mt->timer);
        return;
    }
    now = mounttable_now(mt);
    loop_timer_start(&mt->timer, next > now ? next - now : 0);
}

static void timer_fired(void *arg)
{
    struct mounttable *mt = arg;

    mount_tree_collect(&mt->tree, mounttable_now(mt), COLLECT_MOST);
    timer_set(mt);
}

/* ---- Mount, Unmount ---- */

/* The address of a server has to be one (spec: naming 9.3). */
static int server_check(struct span server, struct err *err)
{
    struct buf text = BUF_INIT(QUOTED_MAX);
    struct naming_endpoint endpoint;
    struct span address, rest;

    naming_name_split(server, &address, &rest);
    if (naming_endpoint_parse(address, &endpoint, NULL) == 0)
        return 0;
    buf_append_str(&text, "malformed address ");
    quote_append(&text, address, '"');
    buf_append_str(&text, " for mounted server ");
    quote_append(&text, server, '"');
    err_set_text(err, WSPR_EUNKNOWN, (const char *)buf_data(&text), text.len);
    buf_done(&text);
    return WSPR_EUNKNOWN;
}

int mounttable_mount(struct mounttable *mt, struct span name, struct span server, uint32_t ttl,
                     struct err *err)
{
    int r;

    if (ttl == 0)
        ttl = MOUNTTABLE_TTL_FOREVER;
    r = server_check(server, err);
    if (r == 0)
        r = mount_tree_mount(&mt->tree, name, server, mounttable_now(mt) + ttl * CLOCK_S, err);
    if (r == 0)
        timer_set(mt);
    return r;
}

int mounttable_unmount(struct mounttable *mt, struct span name, struct span server, struct err *err)
{
    int r = mount_tree_unmount(&mt->tree, name, server, mounttable_now(mt), err);

    timer_set(mt);
    return r;
}

void mounttable_finish(struct rpc_scall *call, const struct err *e)
{
    rpc_scall_finish(call, NULL, 0, e);
}

static void method_mount(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct err e = ERR_INIT;

    mounttable_mount(object, rpc_scall_suffix(call), args[0]->s, (uint32_t)args[1]->u, &e);
    mounttable_finish(call, &e);
    err_done(&e);
}

static void method_unmount(void *object, struct rpc_scall *call,
                           const struct vom_value *const *args)
{
    struct err e = ERR_INIT;

    mounttable_unmount(object, rpc_scall_suffix(call), args[0]->s, &e);
    mounttable_finish(call, &e);
    err_done(&e);
}

/* ---- ResolveStep ---- */

int mounttable_servers(const struct mount_node *n, int64_t now, struct arena *a,
                       struct vom_value *ret)
{
    size_t count = 0, i = 0;
    int r;

    LIST_FOREACH (node, &n->servers) {
        count++;
    }
    r = vom_value_new_list(a, &vom_type_mounted_server_list, count, ret);
    LIST_FOREACH (node, &n->servers) {
        struct mount_server *s = LIST_OBJECT(node, struct mount_server, node);
        uint64_t left = s->expiry > now ? (uint64_t)(s->expiry - now) / CLOCK_S : 0;
        struct vom_value v;

        if (r == 0)
            r = vom_value_new_struct(a, &vom_type_mounted_server, &v);
        if (r < 0)
            return r;
        vom_value_set_field(
            &v, "Server",
            vom_value_span(&vom_type_string, arena_copy(a, span_of(s->text, s->len))));
        vom_value_set_field(&v, "TTL", vom_value_uint(&vom_type_uint32, left));
        if (vom_value_field(&v, "Server").s.p == NULL)
            return WSPR_ENOMEM;
        vom_value_set(ret, i++, v);
    }
    return r;
}

static void method_resolve_step(void *object, struct rpc_scall *call,
                                const struct vom_value *const *args)
{
    struct mounttable *mt = object;
    struct vom_value servers = vom_value_zero(&vom_type_mounted_server_list);
    struct vom_value suffix = vom_value_span(&vom_type_string, rpc_scall_suffix(call));
    const struct vom_value *results[] = {&servers, &suffix};
    int64_t now = mounttable_now(mt);
    struct err e = ERR_INIT;
    struct mount_node *n;
    struct span rest;

    n = mount_tree_resolve(&mt->tree, suffix.s, now, &rest);
    if (n == NULL) {
        err_set(&e, WSPR_ENOTFOUND,
                suffix.s.len > 0 ? "Name doesn't exist" : "Name doesn't exist: root of namespace");
    } else if (mounttable_servers(n, now, rpc_scall_arena(call), &servers) < 0) {
        servers = vom_value_zero(&vom_type_mounted_server_list);
        err_set(&e, WSPR_ENOMEM, "out of memory");
    } else {
        suffix.s = rest;
    }
    rpc_scall_finish(call, results, 2, &e);
    err_done(&e);
}

/* ---- the interface (spec: naming 9.2, ipc 13.3) ---- */

/* Of the part with ResolveStep, and of the part with Glob: the definitions are there twice. */
static const struct vom_type s_error = VOM_TYPE_NAMED(VOM_KIND_ANY, "error");
static const struct vom_type s_glob_error = VOM_TYPE_NAMED(VOM_KIND_ANY, "error");
static const struct vom_field s_server_fields[] = {
    VOM_FIELD("Server", &vom_type_string),
    VOM_FIELD("TTL", &vom_type_uint32),
};
#define SERVER VOM_TYPE_STRUCT("veyron2/services/mounttable.MountedServer", s_server_fields)
static const struct vom_type s_server = SERVER;
static const struct vom_type s_servers = VOM_TYPE_SLICE("", &s_server);
static const struct vom_type s_glob_server = SERVER;
static const struct vom_type s_glob_servers = VOM_TYPE_SLICE("", &s_glob_server);
static const struct vom_field s_entry_fields[] = {
    VOM_FIELD("Name", &vom_type_string),
    VOM_FIELD("Servers", &s_glob_servers),
};
static const struct vom_type s_entry =
    VOM_TYPE_STRUCT("veyron2/services/mounttable.MountEntry", s_entry_fields);

static const struct vom_type *const mounttable_types[] = {
    &s_error, &s_server, &s_servers, &s_glob_error, &s_glob_server, &s_glob_servers, &s_entry,
};

static const struct rpc_param in_mount[] = {{"Server", &vom_type_string},
                                            {"TTL", &vom_type_uint32}};
static const struct rpc_param in_unmount[] = {{"Server", &vom_type_string}};
static const struct rpc_param in_glob[] = {{"pattern", &vom_type_string}};
static const struct rpc_param out_error[] = {{"", &s_error}};
static const struct rpc_param out_glob[] = {{"", &s_glob_error}};
static const struct rpc_param out_resolve[] = {
    {"Servers", &s_servers}, {"Suffix", &vom_type_string}, {"Error", &s_error}};

static const struct vom_value tag_read[] = {{.type = &rpc_type_label, .u = RPC_LABEL_READ}};
static const struct vom_value tag_write[] = {{.type = &rpc_type_label, .u = RPC_LABEL_WRITE}};

#define READS  .label = RPC_LABEL_READ, .tags = tag_read, .n_tags = 1
#define WRITES .label = RPC_LABEL_WRITE, .tags = tag_write, .n_tags = 1

static const struct rpc_method mounttable_methods[] = {
    {
        .name = "Mount",
        .in = in_mount,
        .n_in = 2,
        .out = out_error,
        .n_out = 1,
        .invoke = method_mount,
        WRITES,
    },
    {
        .name = "Unmount",
        .in = in_unmount,
        .n_in = 1,
        .out = out_error,
        .n_out = 1,
        .invoke = method_unmount,
        WRITES,
    },
    {
        .name = "ResolveStep",
        .out = out_resolve,
        .n_out = 3,
        .invoke = method_resolve_step,
        READS,
    },
    {
        .name = "Glob",
        .in = in_glob,
        .n_in = 1,
        .out = out_glob,
        .n_out = 1,
        .out_stream = &s_entry,
        .invoke = mounttable_glob,
        READS,
    },
};

static const struct rpc_interface mounttable_interface = {
    .name = "veyron2/services/mounttable.MountTable",
    .methods = mounttable_methods,
    .n_methods = sizeof mounttable_methods / sizeof mounttable_methods[0],
    .type_defs = mounttable_types,
    .n_type_defs = sizeof mounttable_types / sizeof mounttable_types[0],
};

static int mounttable_lookup(void *arg, struct span suffix, struct rpc_object *ret, struct err *err)
{
    struct mounttable *mt = arg;

    *ret = (struct rpc_object){
        .interface = &mounttable_interface,
        .object = mt,
        .authorizer = &mt->authorizer,
    };
    return 0;
}

/* ---- life ---- */

static int64_t worker_now(void *arg)
{
    return loop_worker_now(arg);
}

int mounttable_new(const struct mounttable_opts *opts, struct mounttable **ret_mt, struct err *err)
{
    struct mounttable *mt = calloc(1, sizeof *mt);
    struct hash_key key;
    int r = 0;

    if (mt == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    mt->dispatcher = (struct rpc_dispatcher){mounttable_lookup, mt};
    mt->authorizer = (struct rpc_authorizer){mounttable_authorize, mt};
    mt->worker = opts->worker;
    mt->trust = opts->trust != NULL ? security_trust_ref(opts->trust) : NULL;
    mt->now = opts->now != NULL ? opts->now : worker_now;
    mt->now_arg = opts->now != NULL ? opts->now_arg : opts->worker;
    list_init(&mt->globs);
    loop_timer_init(&mt->timer, opts->worker, timer_fired, mt);
    if (gnutls_rnd(GNUTLS_RND_NONCE, &key, sizeof key) < 0)
        r = err_set(err, WSPR_ECRYPTO, "no random numbers");
    if (r == 0)
        r = mount_tree_init(&mt->tree, &opts->limits, &key, err);
    if (r == 0 && opts->acl_file != NULL)
        r = mount_acl_open(opts->acl_file, &mt->acl, err);
    if (r == 0 && mt->acl != NULL && opts->offload != NULL)
        mount_acl_watch(mt->acl, opts->worker, opts->offload);
    if (r < 0)
        mounttable_free(mt);
    else
        *ret_mt = mt;
    return r;
}

void mounttable_free(struct mounttable *mt)
{
    if (mt == NULL)
        return;
    assert(list_empty(&mt->globs));
    loop_timer_stop(&mt->timer);
    mount_tree_done(&mt->tree);
    mount_acl_free(mt->acl);
    security_trust_unref(mt->trust);
    free(mt);
}

const struct rpc_dispatcher *mounttable_dispatcher(const struct mounttable *mt)
{
    return &mt->dispatcher;
}

const struct mount_stats *mounttable_stats(const struct mounttable *mt)
{
    return &mt->tree.stats;
}

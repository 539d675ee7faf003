#include "config.h"
#include "world.h"

#include <stdlib.h>

#include "base/clock.h"
#include "raw.h"
#include "tap.h"
#include "vom/wiretypes.h"

/* ---- the book ---- */

static int note_call(void *arg, struct rpc_scall *call, struct err *err)
{
    struct world_node *n = arg;
    struct span method = rpc_scall_method(call), suffix = rpc_scall_raw_suffix(call);

    n->calls++;
    buf_printf(&n->world->book, "%.*s at suffix \"%.*s\"\n", SPAN_ARG(method), SPAN_ARG(suffix));
    if (n->fake == FAKE_DENIES)
        return err_set(err, WSPR_ENOTAUTH, "not for you");
    return 0;
}

/* ---- an object server that knows of no names ---- */

static void unknown(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct span method = rpc_scall_method(call), suffix = rpc_scall_raw_suffix(call);
    struct err e = ERR_INIT;

    err_set(&e, WSPR_ENOTFOUND, "ipc: unknown method '%.*s': name: \"%.*s\"", SPAN_ARG(method),
            SPAN_ARG(suffix));
    rpc_scall_fail(call, &e);
    err_done(&e);
}

static void hi(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct vom_value v = vom_value_str("hi");
    const struct vom_value *results[] = {&v};

    rpc_scall_finish(call, results, 1, NULL);
}

static const struct rpc_param p_string[] = {{"", &vom_type_string}, {"", &vom_type_uint32}};
static const struct rpc_method server_methods[] = {
    {.name = "Hi", .invoke = hi},
    {.name = "ResolveStep", .invoke = unknown},
    {.name = "Glob", .in = p_string, .n_in = 1, .invoke = unknown},
};
static const struct rpc_interface server_interface = {
    .name = "Server",
    .methods = server_methods,
    .n_methods = sizeof server_methods / sizeof server_methods[0],
};

/* ---- a mount table that misbehaves ---- */

static bool fake_holds(struct world_node *n, struct rpc_scall *call)
{
    if (n->fake != FAKE_SILENT || n->n_held == 64)
        return false;
    n->held[n->n_held++] = call;
    return true;
}

static void fake_resolve_step(void *object, struct rpc_scall *call,
                              const struct vom_value *const *args)
{
    struct world_node *n = object;
    struct vom_value list = vom_value_zero(&vom_type_mounted_server_list), server;
    struct vom_value suffix = vom_value_span(&vom_type_string, rpc_scall_suffix(call));
    const struct vom_value *results[] = {&list, &suffix};
    struct arena *a = rpc_scall_arena(call);
    struct span s = rpc_scall_suffix(call);
    const uint8_t *slash = s.len > 0 ? memchr(s.p, '/', s.len) : NULL;
    struct err e = ERR_INIT;

    if (fake_holds(n, call))
        return;
    if (n->fake_server == NULL) {
        err_set(&e, WSPR_ENOTFOUND, "Name doesn't exist");
    } else {
        /* The first component is the mount point. */
        suffix.s = slash != NULL ? span_of(slash + 1, s.len - (size_t)(slash + 1 - s.p))
                                 : span_of(NULL, 0);
        TAP_IS(vom_value_new_list(a, &vom_type_mounted_server_list, 1, &list) == 0 &&
               vom_value_new_struct(a, &vom_type_mounted_server, &server) == 0);
        vom_value_set_field(&server, "Server", vom_value_str(n->fake_server));
        vom_value_set_field(&server, "TTL", vom_value_uint(&vom_type_uint32, n->fake_ttl));
        vom_value_set(&list, 0, server);
    }
    rpc_scall_finish(call, results, 2, &e);
    err_done(&e);
}

static void fake_mount(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct world_node *n = object;

    if (fake_holds(n, call))
        return;
    n->mounts += span_equal_str(rpc_scall_method(call), "Mount");
    n->unmounts += span_equal_str(rpc_scall_method(call), "Unmount");
    rpc_scall_finish(call, NULL, 0, NULL);
}

static const struct rpc_param fake_out[] = {
    {"", &vom_type_mounted_server_list}, {"", &vom_type_string}, {"", &vom_type_error}};
static const struct rpc_method fake_methods[] = {
    {.name = "ResolveStep", .out = fake_out, .n_out = 3, .invoke = fake_resolve_step},
    {.name = "Mount",
     .in = p_string,
     .n_in = 2,
     .out = fake_out + 2,
     .n_out = 1,
     .invoke = fake_mount},
    {.name = "Unmount",
     .in = p_string,
     .n_in = 1,
     .out = fake_out + 2,
     .n_out = 1,
     .invoke = fake_mount},
};
static const struct rpc_interface fake_interface = {
    .name = "Fake",
    .methods = fake_methods,
    .n_methods = sizeof fake_methods / sizeof fake_methods[0],
};

/* ---- nodes ---- */

static int node_lookup(void *arg, struct span suffix, struct rpc_object *ret, struct err *err)
{
    struct world_node *n = arg;
    int r = 0;

    if (n->table != NULL)
        r = n->inner.lookup(n->inner.arg, suffix, ret, err);
    else
        *ret = (struct rpc_object){
            .interface = n == &n->world->server ? &server_interface : &fake_interface,
            .object = n,
        };
    ret->authorizer = &n->authorizer;
    return r;
}

static void node_start(struct world *w, struct world_node *n, const char *label, bool table)
{
    struct rpc_server_opts opts = {.mount_table = table};
    struct mounttable_opts mt = {.worker = w->s.w};
    const char *endpoint = "";
    struct err e = ERR_INIT;

    n->world = w;
    n->label = label;
    n->dispatcher = (struct rpc_dispatcher){node_lookup, n};
    n->authorizer = (struct rpc_authorizer){note_call, n};
    if (table && mounttable_new(&mt, &n->table, &e) == 0)
        n->inner = *mounttable_dispatcher(n->table);
    TAP_OK(rpc_server_new(w->s.rt, &opts, &n->dispatcher, &n->server, &e) == 0 &&
               rpc_server_listen(n->server, "127.0.0.1:0", &endpoint, &e) == 0,
           "no server: %s", err_text(&e));
    snprintf(n->name, sizeof n->name, "/%s", endpoint);
    err_done(&e);
}

void world_stop_node(struct world *w, struct world_node *n)
{
    if (n->server != NULL)
        rig_stop(&w->s, n->server, 0);
    n->server = NULL;
    mounttable_free(n->table);
    n->table = NULL;
}

void world_init(struct world *w)
{
    struct rig_opts s, c;

    *w = (struct world){.book = BUF_INIT(1 << 20)};
    rig_ids_init(&w->ids);
    s = (struct rig_opts){.identity = w->ids.server, .trust = w->ids.trust};
    rig_init(&w->s, &s);
    c = (struct rig_opts){.w = w->s.w, .identity = w->ids.client, .trust = w->ids.trust};
    rig_init(&w->c, &c);
    node_start(w, &w->root, "{root}", true);
    node_start(w, &w->sub, "{sub}", true);
    node_start(w, &w->other, "{other}", true);
    node_start(w, &w->server, "{server}", false);
    node_start(w, &w->fake, "{fake}", false);
}

void world_done(struct world *w)
{
    struct world_node *nodes[] = {&w->server, &w->root, &w->sub, &w->other, &w->fake};

    for (unsigned i = 0; i < w->fake.n_held; i++)
        rpc_scall_finish(w->fake.held[i], NULL, 0, NULL);
    w->fake.n_held = 0;
    for (size_t i = 0; i < sizeof nodes / sizeof nodes[0]; i++)
        world_stop_node(w, nodes[i]);
    rig_done(&w->c, false);
    rig_done(&w->s, true);
    rig_ids_done(&w->ids);
    buf_done(&w->book);
}

struct rpc_client *world_client(struct world *w)
{
    return rpc_runtime_client(w->c.rt);
}

void world_roots(struct rpc_client *client, const char *a, const char *b)
{
    const char *roots[] = {a, b};

    TAP_IS(rpc_client_set_roots(client, roots, b != NULL ? 2 : a != NULL ? 1 : 0, NULL) == 0);
}

const char *world_text(struct world *w, const char *template)
{
    static char texts[4][8192];
    static unsigned turn;
    const struct {
        const char *label, *name;
    } labels[] = {{"{root}", w->root.name},     {"{sub}", w->sub.name}, {"{other}", w->other.name},
                  {"{server}", w->server.name}, {"{dead}", WORLD_DEAD}, {"{fake}", w->fake.name}};
    char *out = texts[turn++ % 4];
    size_t len = 0;

    while (*template != '\0' && len < sizeof texts[0] - 300) {
        size_t i = 0;

        while (i < 6 && strncmp(template, labels[i].label, strlen(labels[i].label)) != 0)
            i++;
        if (i < 6) {
            len += (size_t)snprintf(out + len, sizeof texts[0] - len, "%s", labels[i].name);
            template += strlen(labels[i].label);
        } else {
            out[len++] = *template ++;
        }
    }
    out[len] = '\0';
    return out;
}

void world_mount(struct world *w, struct world_node *n, const char *name, const char *server,
                 uint32_t ttl)
{
    struct err e = ERR_INIT;

    TAP_OK(mounttable_mount(n->table, span_str(name), span_str(world_text(w, server)), ttl, &e) ==
               0,
           "mount %s: %s", name, err_text(&e));
    err_done(&e);
}

void world_mount_all(struct world *w)
{
    static const char *const mounts[][2] = {
        {"alias", "{root}/srv"},
        {"deadmt", "{dead}"},
        {"deadserver", "{dead}//"},
        {"loop", "{root}/loop"},
        {"multi", "{server}//"},
        {"multi", "{dead}//"},
        {"noterm", "{server}"},
        {"srv", "{server}//"},
        {"sub", "{sub}"},
        {"withsuffix", "{server}/obj"},
        {"withtermsuffix", "{server}//obj"},
    };

    for (size_t i = 0; i < sizeof mounts / sizeof mounts[0]; i++)
        world_mount(w, &w->root, mounts[i][0], mounts[i][1], 1000);
    world_mount(w, &w->sub, "deep/srv", "{server}//", 1000);
}

/* ---- answers ---- */

void world_answer_init(struct world_answer *a)
{
    *a = (struct world_answer){.names = BUF_INIT(1 << 20), .err = ERR_INIT};
}

void world_answer_done(struct world_answer *a)
{
    buf_done(&a->names);
    err_done(&a->err);
}

void world_names(void *answer, struct span names, const struct err *err)
{
    struct world_answer *a = answer;

    TAP_IS(!a->done);
    a->done = true;
    if (err != NULL)
        err_copy(&a->err, err);
    buf_append_span(&a->names, names);
}

void world_ended(void *answer, const struct err *err)
{
    world_names(answer, span_of(NULL, 0), err);
}

static bool answer_is_done(void *arg)
{
    return ((struct world_answer *)arg)->done;
}

void world_wait(struct world *w, struct world_answer *a)
{
    TAP_OK(raw_until(w->c.w, answer_is_done, a, 20000), "the answer does not come");
}

const char *world_answer_name(const struct world_answer *a, unsigned i)
{
    struct span left = buf_span(&a->names), name;

    while (rpc_names_next(&left, &name)) {
        if (i-- == 0)
            return (const char *)name.p;
    }
    return "";
}

unsigned world_answer_count(const struct world_answer *a)
{
    struct span left = buf_span(&a->names), name;
    unsigned n = 0;

    while (rpc_names_next(&left, &name))
        n++;
    return n;
}

void world_resolve(struct world *w, world_resolve_fn *how, const char *name,
                   struct world_answer *ret)
{
    world_answer_init(ret);
    TAP_IS(how(world_client(w), span_str(name), NULL, world_names, ret) != NULL);
    world_wait(w, ret);
}

void world_call(struct world *w, struct tcall *c, const char *name)
{
    struct tcall_how how = {.name = name, .method = "Hi", .opts = {.n_results = 2}};

    tcall_init(c);
    TAP_IS(tcall_start(c, world_client(w), &how));
    TAP_OK(raw_until(w->c.w, tcall_is_done, c, 30000), "the call does not end");
}

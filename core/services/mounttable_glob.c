/*
 * Glob: a walk that sends what it meets (spec: naming 10.2). It stops while the caller does not
 * read, and leaves the loop to others after a while:
 *
 *     invoke -> run -> FULL: writable -> run … -> end
 *                   -> enough for one turn: task -> run …
 */
#include "config.h"

#include <stdlib.h>

#include "base/arena.h"
#include "loop/worker.h"
#include "naming/name.h"
#include "services/mount_walk.h"
#include "services/mounttable_private.h"
#include "vom/wiretypes.h"

#define GLOB_VISITS    4096 /* nodes in one turn of the loop */
#define GLOB_ENTRIES   256  /* entries in one turn */
#define ENTRY_MAX      (4 << 20)
#define PATH_MAX_BYTES 262144 /* an object's name and the longest name of a walk */

struct glob_call {
    struct list node;
    struct mounttable *mt;
    struct rpc_scall *call;
    struct mount_walk walk;
    struct loop_task task;
    struct buf path;    /* of what is being visited, for the ACLs */
    size_t path_start;  /* how much of it is the object's own */
    struct arena arena; /* of one entry */
};

static void glob_free(struct glob_call *g)
{
    loop_task_cancel(&g->task);
    list_remove(&g->node);
    mount_walk_end(&g->walk);
    buf_done(&g->path);
    arena_done(&g->arena);
    free(g);
}

/* Ends the call; e may be NULL. */
static void glob_finish(struct glob_call *g, const struct err *e)
{
    struct rpc_scall *call = g->call;

    glob_free(g);
    mounttable_finish(call, e);
}

static void glob_fail(struct glob_call *g, int code, const char *text)
{
    struct err e = ERR_INIT;

    err_set(&e, code, "%s", text);
    glob_finish(g, &e);
    err_done(&e);
}

/* Of the object, as the tree calls it: other spellings of a suffix lead to the same nodes. */
static void glob_path_begin(struct glob_call *g)
{
    buf_u8(&g->path, '/');
    naming_elements_clean(&g->path, rpc_scall_suffix(g->call));
    g->path_start = g->path.len;
}

/* The ACL of the accumulated path. */
static bool glob_allowed(void *arg, struct span name)
{
    struct glob_call *g = arg;

    buf_truncate(&g->path, g->path_start);
    if (name.len > 0 && g->path_start > 1)
        buf_u8(&g->path, '/');
    buf_append_span(&g->path, name);
    return buf_error(&g->path) == 0 &&
           mounttable_check(g->mt, g->call, buf_span(&g->path), NULL) == 0;
}

/* Sends the entry that the walk stands on. */
static int glob_send(struct glob_call *g, const struct mount_node *n, int64_t now)
{
    struct vom_value entry, servers = vom_value_zero(&vom_type_mounted_server_list);
    int r;

    arena_reset(&g->arena);
    r = vom_value_new_struct(&g->arena, &vom_type_mount_entry, &entry);
    if (r == 0 && n != NULL)
        r = mounttable_servers(n, now, &g->arena, &servers);
    if (r < 0)
        return r;
    vom_value_set_field(&entry, "Name", vom_value_span(&vom_type_string, buf_span(&g->walk.name)));
    vom_value_set_field(&entry, "Servers", servers);
    return rpc_scall_send(g->call, &entry);
}

static void glob_run(void *arg)
{
    struct glob_call *g = arg;
    int64_t now = mounttable_now(g->mt);
    unsigned visits = GLOB_VISITS;
    struct err e = ERR_INIT;
    int r = 0;

    if (g->mt->acl != NULL && mount_acl_refresh(g->mt->acl, &e) < 0) {
        glob_finish(g, &e);
        err_done(&e);
        return;
    }
    for (unsigned sent = 0; sent < GLOB_ENTRIES && r == 0; sent++) {
        struct mount_node *n;

        r = mount_walk_next(&g->walk, now, &visits, &n);
        if (r == 0) {
            glob_finish(g, NULL);
            return;
        }
        if (r > 0)
            r = glob_send(g, n, now);
    }
    if (r == RPC_FULL)
        return;
    if (r == 0 || r == WSPR_EAGAIN)
        loop_worker_later(g->mt->worker, &g->task);
    else
        glob_fail(g, r, err_code_text(r));
}

static void glob_writable(void *arg, struct rpc_scall *call)
{
    glob_run(arg);
}

static void glob_gone(void *arg, struct rpc_scall *call)
{
    glob_finish(arg, NULL);
}

static void glob_expired(void *arg, struct rpc_scall *call)
{
    glob_fail(arg, WSPR_ETIMEOUT, "deadline exceeded");
}

static const struct rpc_scall_ops glob_ops = {
    .gone = glob_gone,
    .writable = glob_writable,
    .expired = glob_expired,
};

void mounttable_glob(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct mounttable *mt = object;
    struct glob_call *g = calloc(1, sizeof *g);
    struct err e = ERR_INIT;

    if (g == NULL) {
        err_set(&e, WSPR_ENOMEM, "out of memory");
        mounttable_finish(call, &e);
        err_done(&e);
        return;
    }
    g->mt = mt;
    g->call = call;
    g->path = BUF_INIT(PATH_MAX_BYTES);
    arena_init(&g->arena, ENTRY_MAX);
    loop_task_init(&g->task, glob_run, g);
    list_push_back(&mt->globs, &g->node);
    if (mount_walk_begin(&g->walk, &mt->tree, rpc_scall_suffix(call), args[0]->s, &e) < 0) {
        glob_finish(g, &e);
        err_done(&e);
        return;
    }
    if (mt->acl != NULL) {
        glob_path_begin(g);
        g->walk.allowed = glob_allowed;
        g->walk.arg = g;
    }
    rpc_scall_set_ops(call, &glob_ops, g);
    glob_run(g);
}

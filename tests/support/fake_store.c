/*
 * As much of a store as the recorded conversations ask for, as a process: one object, whatever the
 * suffix, with the method WatchGlob. A watch that begins "now" is told that there will be no
 * initial state, and never anything else; any other watch is an error, so that an argument that
 * arrives wrong is noticed.
 */
#include "config.h"

#include "base/arena.h"
#include "daemon.h"

#define STATE_SKIPPED 2

static const struct vom_type t_byte = VOM_TYPE_NAMED(VOM_KIND_BYTE, "byte");
static const struct vom_type t_marker =
    VOM_TYPE_SLICE("veyron2/services/watch.ResumeMarker", &t_byte);
static const struct vom_field request_fields[] = {
    VOM_FIELD("Pattern", &vom_type_string),
    VOM_FIELD("ResumeMarker", &t_marker),
};
static const struct vom_type t_request =
    VOM_TYPE_STRUCT("veyron2/services/watch.GlobRequest", request_fields);
static const struct vom_type t_error = VOM_TYPE_NAMED(VOM_KIND_ANY, "error");
static const struct vom_type t_any = VOM_TYPE_NAMED(VOM_KIND_ANY, "anydata");
static const struct vom_field change_fields[] = {
    VOM_FIELD("Name", &vom_type_string),
    VOM_FIELD("State", &vom_type_int32),
    VOM_FIELD("Value", &t_any),
    VOM_FIELD("ResumeMarker", &t_marker),
    VOM_FIELD("Continued", &vom_type_bool),
};
static const struct vom_type t_change =
    VOM_TYPE_STRUCT("veyron2/services/watch.Change", change_fields);
static const struct vom_type t_changes = VOM_TYPE_SLICE("", &t_change);
static const struct vom_field batch_fields[] = {VOM_FIELD("Changes", &t_changes)};
static const struct vom_type t_batch =
    VOM_TYPE_STRUCT("veyron2/services/watch.ChangeBatch", batch_fields);

static void watch_gone(void *arg, struct rpc_scall *call)
{
    rpc_scall_finish(call, NULL, 0, NULL);
}

/* One batch with the one change that says so. */
static int send_skipped(struct rpc_scall *call)
{
    struct arena *a = rpc_scall_arena(call);
    struct vom_value batch, changes, change;
    int r = vom_value_new_struct(a, &t_batch, &batch);

    if (r == 0)
        r = vom_value_new_list(a, &t_changes, 1, &changes);
    if (r == 0)
        r = vom_value_new_struct(a, &t_change, &change);
    if (r < 0)
        return r;
    vom_value_set_field(&change, "State", vom_value_int(&vom_type_int32, STATE_SKIPPED));
    vom_value_set(&changes, 0, change);
    vom_value_set_field(&batch, "Changes", changes);
    return rpc_scall_send(call, &batch);
}

static void watch_glob(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    static const struct rpc_scall_ops ops = {.gone = watch_gone};
    struct vom_value pattern = vom_value_field(args[0], "Pattern");
    struct vom_value marker = vom_value_field(args[0], "ResumeMarker");
    struct err e = ERR_INIT;
    int r = 0;

    if (!span_equal_str(pattern.s, "*"))
        r = err_set(&e, WSPR_EBADARG, "the pattern is not *");
    else if (!span_equal_str(marker.s, "now"))
        r = err_set(&e, WSPR_EBADARG, "the marker is not now");
    rpc_scall_set_ops(call, &ops, NULL);
    if (r == 0)
        r = send_skipped(call);
    if (r < 0)
        rpc_scall_finish(call, NULL, 0, &e);
    err_done(&e);
}

static const struct rpc_param in_request[] = {{"Req", &t_request}};
static const struct rpc_param out_error[] = {{"", &t_error}};
static const struct rpc_method methods[] = {
    {
        .name = "WatchGlob",
        .in = in_request,
        .n_in = 1,
        .out = out_error,
        .n_out = 1,
        .out_stream = &t_batch,
        .invoke = watch_glob,
    },
};
static const struct vom_type *const type_defs[] = {
    &t_byte, &t_marker, &t_request, &t_error, &t_any, &t_change, &t_changes, &t_batch,
};
static const struct rpc_interface watcher = {
    .name = "veyron2/services/watch.GlobWatcher",
    .methods = methods,
    .n_methods = 1,
    .type_defs = type_defs,
    .n_type_defs = sizeof type_defs / sizeof type_defs[0],
};

static int look_up(void *arg, struct span suffix, struct rpc_object *ret, struct err *err)
{
    *ret = (struct rpc_object){.interface = &watcher, .authorizer = &rpc_authorizer_all};
    return 0;
}

struct store_opts {
    struct daemon_opts common;
};

static const struct config_option store_options[] = {DAEMON_OPTIONS(struct store_opts)};
static const struct config_table store_table = {
    store_options,
    sizeof store_options / sizeof store_options[0],
};

static int store_start(struct daemon *d, const struct store_opts *o, struct err *err)
{
    static const struct rpc_dispatcher dispatcher = {look_up, NULL};
    struct rpc_server_opts server = {0};
    const char *endpoint;
    int r = daemon_begin(d, &o->common, err);

    if (r == 0)
        r = rpc_server_new(d->rt, &server, &dispatcher, &d->server, err);
    if (r == 0)
        r = rpc_server_listen(d->server, "127.0.0.1:0", &endpoint, err);
    return r < 0 ? r : daemon_announce(d, err, "Listening at: %s", endpoint);
}

int main(int argc, char **argv)
{
    struct store_opts o = {0};
    struct daemon d = {.program = "fake-store"};
    struct err e = ERR_INIT;
    int status;

    if (!daemon_parse(d.program, "A store for tests.\n\n", &store_table, argc, argv, &o, &o.common,
                      &status))
        return status;
    status = daemon_run(&d, store_start(&d, &o, &e), &e);
    daemon_end(&d);
    err_done(&e);
    return status;
}

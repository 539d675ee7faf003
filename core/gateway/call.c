/*
 * Calls of plugins: from JSON arguments to a call of the network and back (see <wspr/rpc.h>).
 *
 *     start -> SIGNATURE -> (method, count, arguments) -> STARTED -> items -> results -> done
 *
 * Everything up to the conversion of the arguments is "preparing"; the text of a failure says what
 * could not be done, the stage lets the plugin say it in its own words.
 */
#include "config.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/unicode.h"
#include "gateway/call_private.h"
#include "rpc/header.h"
#include "security/identity.h"
#include "vom/json_in.h"
#include "vom/json_out.h"

#define CALL_ARENA_MAX  (64 * 1024 * 1024)
#define CALL_ARGS_SMALL 4096          /* bytes of arguments that may stay as long as the call */
#define CALL_TEXT_KEEP  (1024 * 1024) /* a larger buffer for text is given back */
#define CALL_KEEP       2048 /* of a finished call's arguments and results, up to so much */

/* ---- memory ---- */

static struct wspr_call *call_alloc(struct gateway *gw)
{
    struct list *node = spares_take(&gw->spare_calls);
    struct wspr_call *call, kept;

    if (node == NULL) {
        call = calloc(1, sizeof *call);
        if (call == NULL)
            return NULL;
        arena_init(&call->arena, CALL_ARENA_MAX);
        arena_init(&call->texts, CALL_ARENA_MAX);
        buf_init(&call->results, gw->limits.out_hard);
        return call;
    }
    call = LIST_OBJECT(node, struct wspr_call, node);
    kept = (struct wspr_call){.arena = call->arena, .texts = call->texts, .results = call->results};
    *call = kept;
    return call;
}

static void call_destroy(struct wspr_call *call)
{
    buf_done(&call->results);
    arena_done(&call->arena);
    free(call);
}

/* The texts of the arguments are not needed any more; large ones go. */
static void call_drop_args(struct wspr_call *call)
{
    struct gateway *gw = call->conn->gw;

    if (gw->taker == call)
        gw->taker = NULL;
    call->conn->call_bytes -= call->text_bytes;
    call->text_bytes = 0;
    call->args = (struct wspr_spans){0};
    arena_done(&call->texts);
}

/* What was converted waits for the last result: it counts for the page as if it were queued. */
static void count_results(struct wspr_call *call, size_t now)
{
    struct wspr_conn *c = call->conn;

    if (now == call->counted)
        return;
    c->result_bytes += now - call->counted;
    call->counted = now;
    gateway_conn_count_output(c);
}

static void call_free(struct wspr_call *call)
{
    struct wspr_conn *c = call->conn;
    struct gateway *gw = c->gw;

    list_remove(&call->node);
    call_drop_args(call);
    count_results(call, 0);
    c->call_bytes -= call->arena.used;
    wspr_signature_unref(call->sig);
    security_private_unref(call->identity);
    err_done(&call->app_error);
    err_done(&call->fault);
    if (!gw->stopping && spares_keep(&gw->spare_calls, &call->node)) {
        buf_recycle(&call->results, CALL_KEEP);
        arena_recycle(&call->arena, CALL_KEEP);
    } else {
        call_destroy(call);
    }
    gateway_conn_schedule(c);
}

void gateway_call_free_spares(struct gateway *gw, struct list *(*take)(struct spares *))
{
    struct list *node;

    while ((node = take(&gw->spare_calls)) != NULL)
        call_destroy(LIST_OBJECT(node, struct wspr_call, node));
}

/* ---- the end ---- */

static void call_detach(struct wspr_call *call)
{
    call->dead = true;
    if (call->waiting)
        gateway_sig_wait_cancel(&call->wait);
    call->waiting = false;
    rpc_call_cancel(call->rpc);
    call->rpc = NULL;
    loop_task_cancel(&call->task);
    list_remove(&call->pipe_node);
    call->pipe = NULL;
}

static void call_leave(struct wspr_call *call)
{
    if (--call->busy == 0 && call->dead)
        call_free(call);
}

static void call_done(struct wspr_call *call, const struct err *err, int stage)
{
    struct wspr_fault fault = {0};
    struct span json = span_str("[]");

    if (call->dead)
        return;
    if (err != NULL)
        fault = (struct wspr_fault){err->code, err_id(err), err_text(err), stage};
    else if (call->results.len > 0)
        json = buf_span(&call->results);
    call->busy++;
    call_detach(call);
    call->ops.done(call->arg, call, err != NULL ? &fault : NULL, (const char *)json.p, json.len);
    call_leave(call);
}

static void call_task(void *arg)
{
    struct wspr_call *call = arg;

    call_done(call, &call->fault, WSPR_STAGE_CALL);
}

void wspr_call_cancel(struct wspr_call *call)
{
    if (call == NULL || call->dead)
        return;
    call_detach(call);
    if (call->busy == 0)
        call_free(call);
}

void gateway_call_abort_all(struct wspr_conn *c)
{
    struct err e = ERR_INIT;
    struct list *node;

    err_set(&e, WSPR_EABORTED, "the connection ended");
    while ((node = list_pop(&c->calls)) != NULL) {
        struct wspr_call *call = LIST_OBJECT(node, struct wspr_call, node);

        call_done(call, &e, call->started ? WSPR_STAGE_CALL : WSPR_STAGE_PREPARE);
    }
    err_done(&e);
}

/* ---- what comes back ---- */

static void call_rpc_writable(void *arg, struct rpc_call *rpc)
{
    struct wspr_call *call = arg;

    if (!call->send_full)
        return;
    call->send_full = false;
    if (call->ops.writable != NULL)
        call->ops.writable(call->arg, call);
}

static void call_rpc_started(void *arg, struct rpc_call *rpc)
{
    struct wspr_call *call = arg;

    call->started = true;
    call->busy++;
    if (call->ops.started != NULL)
        call->ops.started(call->arg, call);
    if (!call->dead)
        call_rpc_writable(call, rpc);
    call_leave(call);
}

/* One item, to the flow that it is piped into or to the plugin. */
static int call_rpc_item(void *arg, struct rpc_call *rpc, const struct rpc_value *v,
                         struct err *err)
{
    struct wspr_call *call = arg;
    struct buf *text = &call->conn->gw->text;
    const char *json;
    int r;

    buf_reset(text);
    r = vom_json_write_msg(text, v->dec, v->msg, 0, err);
    if (r < 0)
        return err_prefix(err, WSPR_EINTERNAL, "unable to marshal: ");
    if (buf_error(text) != 0)
        return err_set(err, buf_error(text), "%s", err_code_text(buf_error(text)));
    json = (const char *)buf_data(text);
    call->busy++;
    if (call->pipe != NULL)
        r = wspr_flow_send(call->pipe, WSPR_RESPONSE_STREAM, json, text->len);
    else if (!call->piped && call->ops.item != NULL)
        r = call->ops.item(call->arg, call, json, text->len);
    if (text->cap > CALL_TEXT_KEEP)
        buf_done(text);
    call_leave(call);
    return r == WSPR_FULL ? RPC_HOLD : 0;
}

static void call_rpc_end(void *arg, struct rpc_call *rpc)
{
    struct wspr_call *call = arg;

    if (call->pipe != NULL)
        wspr_flow_send(call->pipe, WSPR_RESPONSE_STREAM_CLOSE, "null", 4);
    else if (!call->piped && call->ops.end != NULL)
        call->ops.end(call->arg, call);
}

/* The last result decides between success and error; it is never part of the list. */
static int call_last_result(struct wspr_call *call, const struct rpc_value *v, struct err *err)
{
    struct arena scratch = ARENA_INIT(CALL_ARENA_MAX);
    struct vom_value value;
    int r = vom_dec_value(v->dec, v->msg, &scratch, &value, err);

    if (r == 0)
        rpc_error_of_value(&value, &call->app_error);
    arena_done(&scratch);
    return r;
}

static int call_rpc_result(void *arg, struct rpc_call *rpc, uint32_t i, uint32_t n,
                           const struct rpc_value *v, struct err *err)
{
    struct wspr_call *call = arg;
    int r;

    if (i + 1 == n) {
        if (n > 1)
            buf_u8(&call->results, ']');
        return call_last_result(call, v, err);
    }
    buf_append_str(&call->results, i == 0 ? "[" : ", ");
    r = vom_json_write_msg(&call->results, v->dec, v->msg, 0, err);
    count_results(call, call->results.len);
    if (r == 0)
        r = buf_error(&call->results);
    /* What cannot be shown is our failure, not one of the call: told at the end. */
    if (r == WSPR_EINVAL && call->app_error.code == 0) {
        err_move(&call->app_error, err);
        err_prefix(&call->app_error, WSPR_EINTERNAL, "error marshalling results: ");
        return 0;
    }
    return r;
}

/* What the reference says where it cannot start a call. */
static int start_failed(struct wspr_call *call, struct err *err)
{
    return err_prefix(err, 0,
                      "error starting call (name: %.*s, method: %.*s): ", SPAN_ARG(call->name),
                      SPAN_ARG(call->method));
}

static void call_rpc_done(void *arg, struct rpc_call *rpc, const struct err *err)
{
    struct wspr_call *call = arg;
    struct err e = ERR_INIT;
    bool started = call->started;

    call->rpc = NULL;
    if (err == NULL && call->app_error.code != 0)
        err = &call->app_error;
    if (err == NULL && call->options.n_results == 0) {
        err_set(&e, WSPR_EINTERNAL, "client call did not return any results");
        err = &e;
    }
    if (err != NULL && !started) {
        err_copy(&e, err);
        start_failed(call, &e);
        err = &e;
    }
    call_done(call, err, started ? WSPR_STAGE_CALL : WSPR_STAGE_START);
    err_done(&e);
}

static const struct rpc_call_ops call_rpc_ops = {
    .started = call_rpc_started,
    .item = call_rpc_item,
    .end = call_rpc_end,
    .result = call_rpc_result,
    .done = call_rpc_done,
    .writable = call_rpc_writable,
};

/* Without a callback for items: the reference knows no stream without the flag. */
static const struct rpc_call_ops call_rpc_unary_ops = {
    .started = call_rpc_started,
    .result = call_rpc_result,
    .done = call_rpc_done,
};

/* ---- preparing ---- */

static void call_prepare_failed(struct wspr_call *call, const struct err *err, int stage)
{
    rpc_call_cancel(call->rpc);
    call->rpc = NULL;
    call_done(call, err, stage);
}

static int convert_arg(struct wspr_call *call, size_t i, int *stage, struct err *err)
{
    const struct rpc_sig_arg *a = &call->sig_method->in[i];
    struct span text = span_of(call->args.items[i].p, call->args.items[i].len);
    struct arena *scratch = &call->conn->gw->convert;
    int r;

    arena_reset(scratch);
    if (a->type == NULL)
        r = err_set(err, WSPR_EINTERNAL, "the signature does not define its type");
    else
        r = vom_json_encode(rpc_call_enc(call->rpc), rpc_call_buf(call->rpc), a->type, text,
                            scratch, err);
    arena_reset(scratch);
    if (r == VOM_JSON_NIL) {
        *stage = WSPR_STAGE_START;
        err_set(err, WSPR_EINTERNAL,
                "ipc: arg %zu encoding failed: vom: can't encode untyped nil value", i);
        return start_failed(call, err);
    }
    if (r < 0)
        err_prefix(err, WSPR_EINTERNAL,
                   "error while converting json to object for arg %zu (%.*s): ", i,
                   SPAN_ARG(a->name));
    return r;
}

/* In nanoseconds; centuries are as good as none. */
static int64_t call_timeout(uint64_t ms)
{
    return ms == 0 || ms > (uint64_t)(INT64_MAX / CLOCK_MS) ? RPC_NO_TIMEOUT
                                                            : (int64_t)ms * CLOCK_MS;
}

static int call_convert(struct wspr_call *call, int *stage, struct err *err)
{
    struct rpc_call_opts opts = {
        .timeout = call_timeout(call->options.timeout_ms),
        .n_results = call->options.n_results,
        .streaming = call->options.streaming != 0,
        .identity = call->identity,
    };
    struct rpc_client *client = rpc_runtime_client(call->conn->gw->runtime);
    int r = 0;

    call->rpc = rpc_call_new(client, call->name, call->sig_method->name, &opts,
                             opts.streaming ? &call_rpc_ops : &call_rpc_unary_ops, call);
    if (call->rpc == NULL)
        return rpc_call_refused(client, call->name, call->sig_method->name, err);
    for (size_t i = 0; i < call->args.n && r == 0; i++)
        r = convert_arg(call, i, stage, err);
    return r;
}

static void call_signature(struct sig_wait *w, const struct wspr_signature *sig,
                           const struct err *err);

/* A service may have changed since its signature was cached: ask once more. */
static bool call_refetch(struct wspr_call *call)
{
    if (call->refetched)
        return false;
    call->refetched = true;
    gateway_sig_cache_forget(call->conn, call->name);
    call->waiting = true;
    gateway_sig_wait_start(&call->wait, call->conn, call->identity, call->name, call_signature);
    return true;
}

static void call_signature(struct sig_wait *w, const struct wspr_signature *sig,
                           const struct err *err)
{
    struct wspr_call *call = LIST_OBJECT(w, struct wspr_call, wait);
    struct err e = ERR_INIT;
    int stage = WSPR_STAGE_PREPARE, r = 0;

    call->waiting = false;
    if (sig == NULL) {
        err_copy(&e, err);
        r = err_prefix(&e, 0, "error getting service signature for %.*s: ", SPAN_ARG(call->name));
    } else {
        wspr_signature_unref(call->sig);
        call->sig = wspr_signature_ref(sig);
        call->sig_method = rpc_signature_method(&sig->sig, call->method);
        if (call->sig_method == NULL) {
            if (call->wait.cached && call_refetch(call))
                return;
            r = err_set(&e, WSPR_EINTERNAL, "Method not found in signature: %.*s",
                        SPAN_ARG(call->method));
        } else if (call->sig_method->n_in != call->args.n) {
            r = err_set(&e, WSPR_EINTERNAL,
                        "invalid number of arguments: method %.*s takes %zu, called with %zu",
                        SPAN_ARG(call->method), call->sig_method->n_in, call->args.n);
        } else {
            r = call_convert(call, &stage, &e);
        }
    }
    if (r < 0) {
        call_prepare_failed(call, &e, stage);
    } else {
        uint32_t n = (uint32_t)call->args.n;

        call_drop_args(call);
        rpc_call_start(call->rpc, n);
    }
    err_done(&e);
}

/* ---- the interface ---- */

static int copy_args(struct arena *arena, const struct wspr_spans *args, struct wspr_span *to)
{
    for (size_t i = 0; i < args->n; i++) {
        struct span s = arena_copy(arena, span_of(args->items[i].p, args->items[i].len));

        if (s.p == NULL)
            return WSPR_ENOMEM;
        to[i] = (struct wspr_span){(const char *)s.p, s.len};
    }
    return 0;
}

static bool in_message(const struct gateway *gw, const struct wspr_spans *texts)
{
    for (size_t i = 0; i < texts->n; i++) {
        if (!span_holds(gw->handled, texts->items[i].p))
            return false;
    }
    return true;
}

/*
 * The texts of the arguments have to stay until the signature is there. Large ones that lie in the
 * message which is being handled are not copied: the call gets that message's memory afterwards.
 */
static int keep_args(struct wspr_call *call, const struct wspr_spans *args)
{
    struct gateway *gw = call->conn->gw;
    size_t list = args->n * sizeof *args->items, total = list;
    struct arena *arena = &call->arena;
    bool take;

    for (size_t i = 0; i < args->n; i++)
        total += args->items[i].len;
    take = total > CALL_ARGS_SMALL && gw->taker == NULL && in_message(gw, args);
    if (total > CALL_ARGS_SMALL)
        arena = take ? &gw->scratch : &call->texts;
    call->args.items = arena_alloc(arena, list);
    if (call->args.items == NULL)
        return WSPR_ENOMEM;
    call->args.n = args->n;
    if (take) {
        memcpy(call->args.items, args->items, list);
        gw->taker = call;
    } else if (copy_args(arena, args, call->args.items) < 0) {
        return WSPR_ENOMEM;
    }
    if (arena != &call->arena)
        call->text_bytes = arena->used;
    return 0;
}

void gateway_call_take_message(struct gateway *gw)
{
    if (gw->taker != NULL)
        arena_move(&gw->taker->texts, &gw->scratch);
    gw->taker = NULL;
}

/* The identity is that of this moment, for the signature and for the call itself. */
static void call_begin(struct wspr_call *call)
{
    struct security_private *identity = NULL;
    struct err e = ERR_INIT;

    call->waiting = true;
    if (gateway_conn_identity(call->conn, &identity, &e) < 0) {
        gateway_sig_wait_fail(&call->wait, call->conn, &e, call_signature);
    } else {
        call->identity = identity != NULL ? security_private_ref(identity) : NULL;
        gateway_sig_wait_start(&call->wait, call->conn, identity, call->name, call_signature);
    }
    err_done(&e);
}

int wspr_call_start(struct wspr_host *host, struct wspr_conn *conn, const struct wspr_span *name,
                    const struct wspr_span *method, const struct wspr_spans *args,
                    const struct wspr_call_options *options, const struct wspr_call_ops *ops,
                    void *arg, struct wspr_call **ret_call)
{
    struct wspr_call *call;
    int r;

    if (conn->phase != CONN_OPEN)
        return WSPR_ECLOSED;
    call = call_alloc(conn->gw);
    if (call == NULL)
        return WSPR_ENOMEM;
    list_init(&call->pipe_node);
    list_push_back(&conn->calls, &call->node);
    loop_task_init(&call->task, call_task, call);
    call->conn = conn;
    call->arg = arg;
    memcpy(&call->ops, ops, ops->size < sizeof *ops ? ops->size : sizeof *ops);
    memcpy(&call->options, options,
           options->size < sizeof *options ? options->size : sizeof *options);
    call->name = arena_copy(&call->arena, span_of(name->p, name->len));
    call->method = arena_copy(&call->arena, span_of(method->p, method->len));
    r = keep_args(call, args);
    conn->call_bytes += call->arena.used + call->text_bytes;
    if (call->name.p == NULL || call->method.p == NULL)
        r = WSPR_ENOMEM;
    if (r == 0 && conn->call_bytes > conn->gw->limits.calls_per_conn) {
        conn->gw->stats.err_call_bytes++;
        r = WSPR_ELIMIT;
    }
    if (r < 0) {
        call->dead = true;
        call_free(call);
        return r;
    }
    conn->gw->stats.calls++;
    call_begin(call);
    *ret_call = call;
    return 0;
}

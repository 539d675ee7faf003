/*
 * Calls that a page answers (see <wspr/server.h>; spec: websocket 10, 12):
 *
 *     call of rpc_server -> invocation -> plugin's invoke -> frame to the page
 *     caller's items -----> flow of the page (pipe)
 *     caller <- items, results <- encoded from the page's JSON
 *
 * An invocation lives in the memory of its call, so ending the call is always the last thing.
 */
#include "config.h"

#include <stdlib.h>

#include "base/clock.h"
#include "gateway/server.h"
#include "json/writer.h"
#include "vom/json_in.h"
#include "vom/json_out.h"

#define INVOCATION_TEXT_KEEP (1024 * 1024) /* a larger buffer for text is given back */

struct wspr_invocation {
    struct list node; /* in server->invocations, where those that are lost are the first */
    struct wspr_server *server;
    struct rpc_scall *call;
    const struct service_method *method;
    struct wspr_flow *pipe; /* NULL: none, or it takes no more */
    void *state;
    bool piped;
    bool ended;     /* the end of the caller's stream was told */
    bool send_full; /* wspr_invocation_send said FULL or AGAIN: writable is due */
    bool lost;      /* a send failed: the caller is gone, and nobody else will tell */
    bool dead;
};

/* ---- the end ---- */

static void inv_tell_end(struct wspr_invocation *inv)
{
    const struct wspr_server_ops *ops = &inv->server->ops;

    if (inv->ended)
        return;
    inv->ended = true;
    if (inv->pipe != NULL)
        wspr_flow_send(inv->pipe, WSPR_RESPONSE_STREAM_CLOSE, "null", 4);
    else if (!inv->piped && ops->end != NULL)
        ops->end(inv->server->arg, inv);
}

/* Takes it out of everything; its call is still to be ended. */
static void inv_detach(struct wspr_invocation *inv)
{
    struct gateway *gw = inv->server->gw;

    inv->dead = true;
    list_remove(&inv->node);
    gw->stats.pending--;
    if (inv->server->conn != NULL)
        inv->server->conn->n_invocations--;
    if (inv->pipe != NULL) {
        inv->pipe->served = NULL;
        inv->pipe = NULL;
    }
}

static int put_json(struct wspr_invocation *inv, struct span text, struct err *err)
{
    struct arena *scratch = &inv->server->gw->convert;
    int r;

    arena_reset(scratch);
    r = vom_json_encode(rpc_scall_enc(inv->call), rpc_scall_buf(inv->call), &vom_type_any, text,
                        scratch, err);
    arena_reset(scratch);
    return r;
}

/* A null is an empty list there (spec: websocket 10.1). */
static int put_result(struct wspr_invocation *inv, struct span text, struct err *err)
{
    int r = put_json(inv, text, err);

    return r == VOM_JSON_NIL ? put_json(inv, span_str("[]"), err) : r;
}

/* Ends the call with results; with an error their number is the declared one. */
static void inv_finish(struct rpc_scall *call, struct wspr_invocation *inv,
                       const struct wspr_spans *results, const struct err *error)
{
    size_t given = results != NULL ? results->n : 0;
    size_t n = error != NULL ? inv->method->n_out - 1 : given;
    struct err why = ERR_INIT;
    int r = 0;

    if (rpc_scall_begin_results(call, n) < 0) {
        rpc_scall_finish(call, NULL, 0, NULL);
        return;
    }
    for (size_t i = 0; i < n && r == 0; i++) {
        struct span text = span_str("null");

        if (i < given)
            text = span_of(results->items[i].p, results->items[i].len);
        r = put_result(inv, text, &why);
        if (r < 0)
            err_prefix(&why, 0, "result #%zu encoding failed: ", i);
    }
    rpc_scall_end_results(call, error, r, &why);
    err_done(&why);
}

/* Ends it without an answer of the page. A caller that is still there gets the error (else NULL).
 */
static void inv_over(struct wspr_invocation *inv, int why, const struct err *error)
{
    struct wspr_server *server = inv->server;
    struct rpc_scall *call = inv->call;
    struct wspr_conn *conn = server->conn;

    if (inv->pipe != NULL)
        inv_tell_end(inv);
    inv_detach(inv);
    server->gw->stats.invocations_lost++;
    if (conn != NULL)
        conn->busy++;
    if (server->ops.gone != NULL)
        server->ops.gone(server->arg, inv, why);
    if (error != NULL)
        inv_finish(call, inv, NULL, error);
    else
        rpc_scall_finish(call, NULL, 0, NULL);
    if (conn != NULL)
        gateway_conn_leave(conn);
}

void gateway_invocation_abort_all(struct wspr_server *server)
{
    struct err e = ERR_INIT;

    err_set(&e, WSPR_EABORTED, "timeout");
    while (!list_empty(&server->invocations))
        inv_over(LIST_OBJECT(server->invocations.next, struct wspr_invocation, node), e.code, &e);
    err_done(&e);
}

void gateway_invocation_reap(struct wspr_server *server)
{
    struct list *first;

    /* Each may end others from its gone: look anew after it. */
    while ((first = server->invocations.next) != &server->invocations) {
        struct wspr_invocation *inv = LIST_OBJECT(first, struct wspr_invocation, node);

        if (!inv->lost)
            return;
        inv_over(inv, WSPR_ECANCELED, NULL);
    }
}

/* ---- what the caller does ---- */

static int inv_item(void *arg, struct rpc_scall *call, const struct rpc_value *v)
{
    struct wspr_invocation *inv = arg;
    struct wspr_server *server = inv->server;
    struct buf *text = &server->gw->text;
    struct err e = ERR_INIT;
    const char *json;
    int r;

    if (inv->dead || inv->ended)
        return 0;
    buf_reset(text);
    r = vom_json_write_msg(text, v->dec, v->msg, 0, &e);
    err_done(&e);
    if (r < 0 || buf_error(text) != 0) {
        inv_tell_end(inv); /* nothing that comes after a gap can be trusted */
        return 0;
    }
    json = (const char *)buf_data(text);
    if (inv->pipe != NULL)
        r = wspr_flow_send(inv->pipe, WSPR_RESPONSE_STREAM, json, text->len);
    else if (!inv->piped && server->ops.item != NULL)
        r = server->ops.item(server->arg, inv, json, text->len);
    if (text->cap > INVOCATION_TEXT_KEEP)
        buf_done(text);
    return r == WSPR_FULL ? RPC_HOLD : 0;
}

static void inv_end(void *arg, struct rpc_scall *call)
{
    struct wspr_invocation *inv = arg;

    if (!inv->dead)
        inv_tell_end(inv);
}

static void inv_gone(void *arg, struct rpc_scall *call)
{
    struct wspr_invocation *inv = arg;

    if (!inv->dead)
        inv_over(inv, WSPR_ECANCELED, NULL);
}

/*
 * The deadline that the caller told. Its own end of the call is at the same time; one that does not
 * hang up has no right to the memory of page and gateway either. (The reference waits: spec:
 * websocket 10.)
 */
static void inv_expired(void *arg, struct rpc_scall *call)
{
    struct wspr_invocation *inv = arg;
    struct err e = ERR_INIT;

    if (inv->dead)
        return;
    err_set(&e, WSPR_ETIMEOUT, "deadline exceeded");
    inv_over(inv, WSPR_ECANCELED, &e);
    err_done(&e);
}

static void inv_writable(void *arg, struct rpc_scall *call)
{
    struct wspr_invocation *inv = arg;

    if (inv->dead || !inv->send_full)
        return;
    inv->send_full = false;
    if (inv->server->ops.writable != NULL)
        inv->server->ops.writable(inv->server->arg, inv);
}

static const struct rpc_scall_ops inv_ops = {
    .item = inv_item,
    .end = inv_end,
    .gone = inv_gone,
    .expired = inv_expired,
    .writable = inv_writable,
};

void gateway_invocation_page_writable(struct wspr_flow *f)
{
    if (f->served != NULL)
        rpc_scall_resume(f->served->call);
}

void gateway_invocation_end_pipe(struct wspr_flow *f)
{
    if (f->served != NULL)
        inv_tell_end(f->served);
}

void gateway_invocation_cut_pipe(struct wspr_flow *f)
{
    if (f->served == NULL)
        return;
    f->served->pipe = NULL;
    rpc_scall_resume(f->served->call);
    f->served = NULL;
}

/* ---- a call comes ---- */

static bool is_signature(struct span method)
{
    return span_equal_str(method, "Signature");
}

static int invoker_prepare(void *object, struct span method, uint32_t *ret_n_args,
                           uint32_t *ret_label, struct err *err)
{
    const struct wspr_server *server = object;
    const struct service_method *m = gateway_service_find(server->service, method);

    *ret_label = RPC_LABEL_READ;
    *ret_n_args = 0;
    if (is_signature(method))
        return 0;
    if (m == NULL)
        return err_set(err, WSPR_ENOTFOUND, "method name not found in IDL: %.*s", SPAN_ARG(method));
    *ret_n_args = m->n_in;
    return 0;
}

static void answer_signature(struct wspr_server *server, struct rpc_scall *call)
{
    struct vom_value v;
    const struct vom_value *results[] = {&v};
    struct err e = ERR_INIT;

    if (rpc_interface_signature(&server->service->interface, rpc_scall_arena(call), &v) == 0) {
        rpc_scall_finish(call, results, 1, NULL);
        return;
    }
    err_set(&e, WSPR_EINTERNAL, "out of memory");
    rpc_scall_fail(call, &e);
    err_done(&e);
}

/* Whether the page may get one more call. */
static int may_invoke(struct wspr_server *server, struct err *err)
{
    struct wspr_conn *c = server->conn;

    if (server->state != SERVER_UP || c == NULL || c->phase != CONN_OPEN)
        return err_set(err, WSPR_EABORTED, "timeout");
    if (c->n_invocations >= c->gw->limits.invocations) {
        c->gw->stats.err_invocation_limit++;
        return err_set(err, WSPR_ELIMIT, "too many calls wait for an answer of this page");
    }
    if (loop_sock_queued(c->sock) > c->gw->limits.out_hard / 2) {
        c->gw->stats.err_invocation_limit++;
        return err_set(err, WSPR_ELIMIT, "the page does not read what it is sent");
    }
    return 0;
}

/* The arguments as a JSON list, then the suffix as a string; *ret_n is the length of the list. */
static int write_args(struct buf *text, struct rpc_scall *call, const struct rpc_value *args,
                      size_t n, size_t *ret_n, struct err *err)
{
    buf_reset(text);
    buf_u8(text, '[');
    for (size_t i = 0; i < n; i++) {
        int r;

        if (i > 0)
            buf_append_str(text, ", ");
        r = vom_json_write_msg(text, args[i].dec, args[i].msg, 0, err);
        if (r < 0)
            return err_prefix(err, WSPR_EBADPROTO, "ipc: arg %zu decoding failed: ", i);
    }
    buf_u8(text, ']');
    *ret_n = text->len;
    json_quote(text, rpc_scall_suffix(call));
    return buf_error(text) != 0 ? err_set(err, buf_error(text), "the arguments are too large") : 0;
}

static struct wspr_invocation *inv_new(struct wspr_server *server, struct rpc_scall *call)
{
    struct wspr_invocation *inv = arena_calloc(rpc_scall_arena(call), 1, sizeof *inv);

    if (inv == NULL)
        return NULL;
    inv->server = server;
    inv->call = call;
    inv->method = gateway_service_find(server->service, rpc_scall_method(call));
    list_push_back(&server->invocations, &inv->node);
    server->conn->n_invocations++;
    server->gw->stats.pending++;
    server->gw->stats.invocations++;
    return inv;
}

static void inv_invoke(struct wspr_invocation *inv, size_t n_args)
{
    struct wspr_server *server = inv->server;
    struct wspr_conn *conn = server->conn;
    const char *text = (const char *)buf_data(&server->gw->text);
    const struct wspr_invocation_info info = {
        .size = sizeof info,
        .server_id = server->id,
        .method = {(const char *)inv->method->shown.p, inv->method->shown.len},
        .args = {text, n_args},
        .suffix = {text + n_args, server->gw->text.len - n_args},
        .n_results = inv->method->n_out - 1,
        .streaming = inv->method->streaming,
    };
    int r = WSPR_EINTERNAL;

    conn->busy++;
    rpc_scall_set_ops(inv->call, &inv_ops, inv);
    if (server->ops.invoke != NULL)
        r = server->ops.invoke(server->arg, inv, &info);
    if (server->gw->text.cap > INVOCATION_TEXT_KEEP)
        buf_done(&server->gw->text);
    if (r < 0 && !inv->dead)
        wspr_invocation_fail(inv, r, err_code_text(r));
    gateway_conn_leave(conn);
}

static void invoker_invoke(void *object, struct rpc_scall *call, const struct rpc_value *args,
                           size_t n_args)
{
    struct wspr_server *server = object;
    struct wspr_invocation *inv = NULL;
    struct err e = ERR_INIT;
    size_t len = 0;
    int r;

    if (is_signature(rpc_scall_method(call))) {
        answer_signature(server, call);
        return;
    }
    r = may_invoke(server, &e);
    if (r == 0)
        r = write_args(&server->gw->text, call, args, n_args, &len, &e);
    rpc_scall_drop_args(call); /* the page has them from here, and all the time that it wants */
    if (r == 0 && (inv = inv_new(server, call)) == NULL)
        r = err_set(&e, WSPR_ENOMEM, "out of memory");
    if (r < 0)
        rpc_scall_fail(call, &e);
    else
        inv_invoke(inv, len);
    err_done(&e);
}

const struct rpc_invoker gateway_invoker = {
    .prepare = invoker_prepare,
    .invoke_raw = invoker_invoke,
};

/* ---- <wspr/server.h> ---- */

struct wspr_conn *wspr_invocation_conn(const struct wspr_invocation *inv)
{
    return inv->server->conn;
}

void *wspr_invocation_state(const struct wspr_invocation *inv)
{
    return inv->state;
}

void wspr_invocation_set_state(struct wspr_invocation *inv, void *state)
{
    inv->state = state;
}

int wspr_invocation_pipe(struct wspr_invocation *inv, struct wspr_flow *flow)
{
    if (inv->dead || flow->finished || flow->cancelled || flow->served != NULL)
        return WSPR_ECLOSED;
    inv->piped = true;
    inv->pipe = flow;
    flow->served = inv;
    return 0;
}

int wspr_invocation_send(struct wspr_invocation *inv, const char *json, size_t len)
{
    struct err e = ERR_INIT;
    int r, n;

    if (inv->dead || inv->lost)
        return WSPR_ECLOSED;
    if (inv->send_full)
        return WSPR_EAGAIN;
    r = rpc_scall_begin_item(inv->call);
    if (r < 0)
        return r;
    n = put_json(inv, span_of(json, len), &e);
    err_done(&e);
    r = rpc_scall_end_item(inv->call, n == VOM_JSON_DONE);
    if (r < 0) {
        inv->lost = true;
        list_remove(&inv->node);
        list_push_front(&inv->server->invocations, &inv->node);
        loop_worker_later(inv->server->gw->worker, &inv->server->task);
        return WSPR_ECLOSED;
    }
    inv->send_full = r == RPC_FULL;
    if (n != VOM_JSON_DONE)
        return WSPR_ETYPE;
    return r == RPC_FULL ? WSPR_FULL : 0;
}

void wspr_invocation_resume(struct wspr_invocation *inv)
{
    if (!inv->dead)
        rpc_scall_resume(inv->call);
}

static void inv_reply(struct wspr_invocation *inv, const struct wspr_spans *results,
                      const struct err *error)
{
    struct rpc_scall *call = inv->call;

    if (inv->dead)
        return;
    if (inv->pipe != NULL)
        inv_tell_end(inv);
    inv_detach(inv);
    inv_finish(call, inv, results, error);
}

void wspr_invocation_reply(struct wspr_invocation *inv, const struct wspr_spans *results,
                           const struct wspr_app_error *error)
{
    struct err e = ERR_INIT;

    if (error != NULL)
        err_set_id_text(&e, error->id.p, error->id.len, error->text.p, error->text.len);
    inv_reply(inv, results, error != NULL ? &e : NULL);
    err_done(&e);
}

void wspr_invocation_fail(struct wspr_invocation *inv, int code, const char *text)
{
    struct err e = ERR_INIT;

    err_set(&e, code, "%s", text != NULL ? text : err_code_text(code));
    inv_reply(inv, NULL, &e);
    err_done(&e);
}

/* Calls that are being served: memory, results, the end. What comes in is in scall_read.c. */
#include "config.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/clock.h"
#include "naming/name.h"
#include "rpc/input.h"
#include "rpc/server_private.h"
#include "security/acl.h"
#include "security/identity.h"
#include "vom/convert.h"
#include "vom/wiretypes.h"

#define SCALL_KEEP 16384 /* a buffer that grew beyond this is not kept for the next call */

static const uint8_t zero_response[] = {0xff, 0x82, 0x01, 0x00};

/* ---- memory ---- */

static struct rpc_scall *scall_alloc(struct rpc_server *s)
{
    struct list *node = spares_take(&s->spare);
    struct rpc_scall *c;
    struct vom_limits limits = vom_limits_default;
    uint32_t value_max = s->rt->limits.value_max;

    if (node != NULL)
        return LIST_OBJECT(node, struct rpc_scall, node);
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    list_init(&c->node);
    c->server = s;
    vom_enc_init(&c->enc);
    /* Of what was sent in a stream, the types may be gone before the next item comes. */
    vom_enc_keep(&c->enc, &c->arena);
    limits.message = value_max;
    vom_dec_init(&c->dec, &limits);
    buf_init(&c->in, (size_t)value_max + 65536);
    buf_init(&c->out, (size_t)value_max + 65536);
    arena_init(&c->arena, (size_t)value_max * 4);
    arena_init(&c->bodies, (size_t)value_max * 4);
    arena_init(&c->item, (size_t)value_max * 2);
    loop_timer_init(&c->timer, s->rt->worker, rpc_scall_deadline, c);
    loop_task_init(&c->task, rpc_scall_take_up, c);
    return c;
}

static void scall_destroy(struct rpc_scall *c)
{
    vom_enc_done(&c->enc);
    vom_dec_done(&c->dec);
    buf_done(&c->in);
    buf_done(&c->out);
    arena_done(&c->arena);
    arena_done(&c->bodies);
    arena_done(&c->item);
    free(c);
}

/* Clears everything that belongs to one call; the memory behind buffers and arenas stays. */
static void scall_recycle(struct rpc_scall *c)
{
    for (uint32_t i = 0; i < c->n_discharges; i++)
        security_discharge_unref(c->discharges[i]);
    c->n_discharges = 0;
    security_identity_unref(c->local);
    security_identity_unref(c->peer);
    security_identity_unref(c->remote);
    security_identity_unref(c->blessing);
    c->local = c->peer = c->remote = c->blessing = NULL;
    c->running = c->finished = c->gone = c->held = c->checking = c->ended = c->broken = c->sent =
        false;
    err_done(&c->stream_error);
    c->next = RPC_SNEXT_REQUEST;
    c->request = (struct rpc_request){0};
    c->object = (struct rpc_object){0};
    c->method = NULL;
    c->params = NULL;
    c->n_args = c->arg = c->label = 0;
    c->args = NULL;
    c->arg_refs = NULL;
    c->raw = NULL;
    c->raw_msgs = NULL;
    c->discharges = NULL;
    c->ops = NULL;
    c->held_bytes = 0;
    vom_enc_reset(&c->enc);
    vom_dec_reset(&c->dec);
    buf_recycle(&c->in, SCALL_KEEP);
    buf_recycle(&c->out, SCALL_KEEP);
    arena_reset(&c->arena);
    arena_reset(&c->bodies);
    arena_reset(&c->item);
}

static void scall_release(struct rpc_scall *c)
{
    struct rpc_server *s = c->server;

    list_remove(&c->node);
    rpc_input_count(s->rt, &c->counted, 0);
    s->n_calls--;
    s->rt->stats.serving--;
    scall_recycle(c);
    if (s->stopping || !spares_keep(&s->spare, &c->node))
        scall_destroy(c);
    rpc_server_check_stopped(s);
}

void rpc_scall_free_spare(struct rpc_server *s, struct list *(*take)(struct spares *))
{
    struct list *node;

    while ((node = take(&s->spare)) != NULL)
        scall_destroy(LIST_OBJECT(node, struct rpc_scall, node));
}

void rpc_scall_leave(struct rpc_scall *c)
{
    if (--c->busy == 0 && c->finished)
        scall_release(c);
}

int rpc_scall_new(struct rpc_scircuit *circuit, struct vc_flow *flow)
{
    struct rpc_server *s = circuit->server;
    struct rpc_scall *c;

    if (s->n_calls >= s->max_calls)
        return WSPR_ELIMIT;
    c = scall_alloc(s);
    if (c == NULL)
        return WSPR_ENOMEM;
    s->n_calls++;
    s->rt->stats.serving++;
    s->rt->stats.served++;
    list_push_back(&s->calls, &c->node);
    c->flow = flow;
    c->local = security_identity_ref(security_private_public(s->identity));
    c->peer = security_identity_ref(vc_peer(circuit->vc));
    vom_dec_expect(&c->dec, &vom_preset_request);
    vom_enc_prime(&c->enc, &c->out, &vom_preset_response);
    loop_timer_start(&c->timer, RPC_TIMEOUT_DEFAULT);
    vc_flow_set_ops(flow, &rpc_scall_flow_ops, c);
    return 0;
}

/* ---- the end ---- */

/* Sends what is in `out` and closes the flow. */
static void scall_end(struct rpc_scall *c)
{
    loop_timer_stop(&c->timer);
    loop_task_cancel(&c->task);
    if (c->flow != NULL) {
        if (buf_error(&c->out) == 0 && vc_flow_take(c->flow, &c->out, NULL) >= 0)
            vc_flow_close(c->flow);
        else
            vc_flow_cancel(c->flow);
        c->flow = NULL;
    }
    c->finished = true;
    if (c->busy == 0)
        scall_release(c);
}

void rpc_scall_fail(struct rpc_scall *c, const struct err *error)
{
    struct rpc_response rs = {.error = *error, .end_stream = true};

    c->server->rt->stats.serve_errors++;
    if (rpc_response_put(&c->enc, &c->out, &rs) < 0)
        c->out.error = WSPR_ENOMEM;
    scall_end(c);
}

void rpc_scall_error(struct rpc_scall *c, int code, const char *fmt, ...)
{
    struct err e = ERR_INIT;
    va_list ap;

    va_start(ap, fmt);
    err_vset(&e, code, fmt, ap);
    va_end(ap);
    rpc_scall_fail(c, &e);
    err_done(&e);
}

/* Results travel as what they hold; nil as a nil of the error interface (spec: ipc 6.3). */
static int put_result(struct rpc_scall *c, const struct vom_value *v, struct err *err)
{
    struct vom_value nil = vom_value_zero(&vom_type_verror_e);

    while (v != NULL && v->type != NULL && v->type->kind == VOM_KIND_ANY)
        v = v->to;
    return vom_enc_value(&c->enc, &c->out, v != NULL && v->type != NULL ? v : &nil, err);
}

static int put_app_error(struct rpc_scall *c, const struct err *error, struct err *err)
{
    struct vom_value v;
    int r;

    if (error == NULL || error->code == 0)
        return put_result(c, NULL, err);
    r = vom_verror_new(&c->arena, span_str(err_id(error)), span_str(err_text(error)), &v);
    return r < 0 ? r : put_result(c, &v, err);
}

static int put_results(struct rpc_scall *c, const struct vom_value *const *results, size_t n,
                       struct err *err)
{
    int r;

    for (size_t i = 0; i < n; i++) {
        r = put_result(c, results[i], err);
        if (r < 0)
            return err_prefix(err, 0, "result #%zu encoding failed: ", i);
    }
    return 0;
}

/*
 * Results that cannot be sent, too large ones mostly. What was written of them is taken back; with
 * nothing on the flow yet the caller can still be told.
 */
static void results_failed(struct rpc_scall *c, int r, struct err *e)
{
    char method[80];

    if (e->code == 0)
        err_set(e, r, "%s", err_code_text(r));
    log_write(c->server->rt->log, LOG_LEVEL_WARN, "rpc", "call of %s: %s",
              log_quote(method, sizeof method, c->request.method.p, c->request.method.len),
              err_text(e));
    buf_reset(&c->out);
    if (c->sent) {
        c->out.error = WSPR_EINTERNAL;
        scall_end(c);
    } else {
        vom_enc_prime(&c->enc, &c->out, &vom_preset_response);
        err_prefix(e, WSPR_EINTERNAL, "ipc: ");
        rpc_scall_fail(c, e);
    }
}

struct vom_enc *rpc_scall_enc(struct rpc_scall *c)
{
    return &c->enc;
}

struct buf *rpc_scall_buf(struct rpc_scall *c)
{
    return &c->out;
}

int rpc_scall_begin_results(struct rpc_scall *c, size_t n)
{
    struct rpc_response rs = {.end_stream = true, .n_results = n + 1};

    if (c->flow == NULL)
        return WSPR_ECLOSED;
    if (rpc_response_put(&c->enc, &c->out, &rs) < 0)
        c->out.error = WSPR_ENOMEM; /* so that the end fails */
    return 0;
}

void rpc_scall_end_results(struct rpc_scall *c, const struct err *error, int failed,
                           struct err *why)
{
    if (failed == 0 && c->flow != NULL)
        failed = put_app_error(c, error, why);
    if (failed == 0)
        failed = buf_error(&c->out);
    if (failed != 0 && c->flow != NULL)
        results_failed(c, failed, why);
    else
        scall_end(c);
}

static void scall_finish(struct rpc_scall *c, const struct vom_value *const *results, size_t n,
                         const struct err *error, bool with_error)
{
    struct rpc_response rs = {.end_stream = true, .n_results = n + with_error};
    struct err e = ERR_INIT;
    int r = 0;

    if (c->flow != NULL)
        r = rpc_response_put(&c->enc, &c->out, &rs);
    if (c->flow != NULL && r == 0)
        r = put_results(c, results, n, &e);
    if (c->flow != NULL && r == 0 && with_error)
        r = put_app_error(c, error, &e);
    if (r < 0)
        results_failed(c, r, &e);
    else
        scall_end(c);
    err_done(&e);
}

void rpc_scall_finish(struct rpc_scall *c, const struct vom_value *const *results, size_t n,
                      const struct err *error)
{
    scall_finish(c, results, n, error, true);
}

void rpc_scall_finish_plain(struct rpc_scall *c, const struct vom_value *const *results, size_t n)
{
    scall_finish(c, results, n, NULL, false);
}

void rpc_scall_finish_void(struct rpc_scall *c)
{
    scall_finish(c, NULL, 0, NULL, false);
}

void rpc_scall_drop(struct rpc_scall *c)
{
    vc_flow_cancel(c->flow);
    c->flow = NULL;
    c->gone = true;
    if (!c->running)
        scall_end(c);
    else if (c->ops != NULL && c->ops->gone != NULL && !c->finished)
        c->ops->gone(c->ops_arg, c);
}

/* ---- for methods ---- */

/* Sends what is in `out`; if that cannot be done, the caller is lost. */
static int send_out(struct rpc_scall *c, int r)
{
    if (r == 0)
        r = buf_error(&c->out);
    if (r == 0)
        r = vc_flow_take(c->flow, &c->out, NULL);
    buf_reset(&c->out);
    c->sent = true;
    if (r < 0) {
        vc_flow_cancel(c->flow);
        c->flow = NULL;
        c->gone = true;
    }
    return r;
}

int rpc_scall_send(struct rpc_scall *c, const struct vom_value *item)
{
    struct err e = ERR_INIT;
    int r;

    if (c->flow == NULL)
        return WSPR_ECLOSED;
    buf_append(&c->out, zero_response, sizeof zero_response);
    r = put_result(c, item, &e);
    err_done(&e);
    return send_out(c, r);
}

int rpc_scall_begin_item(struct rpc_scall *c)
{
    if (c->flow == NULL)
        return WSPR_ECLOSED;
    c->item_at = c->out.len;
    buf_append(&c->out, zero_response, sizeof zero_response);
    return 0;
}

int rpc_scall_end_item(struct rpc_scall *c, bool keep)
{
    uint8_t *at = buf_data(&c->out);
    size_t n = sizeof zero_response;

    if (keep || buf_error(&c->out) != 0)
        return send_out(c, 0);
    /* Later values rely on the definitions behind the header, which go with the next of them. */
    memmove(at + c->item_at, at + c->item_at + n, c->out.len - c->item_at - n);
    buf_truncate(&c->out, c->out.len - n);
    return 0;
}

void rpc_scall_set_ops(struct rpc_scall *c, const struct rpc_scall_ops *ops, void *arg)
{
    c->ops = ops;
    c->ops_arg = arg;
    /* Items may be waiting already. */
    loop_worker_later(c->server->rt->worker, &c->task);
}

void rpc_scall_resume(struct rpc_scall *c)
{
    if (!c->held)
        return;
    c->held = false;
    loop_worker_later(c->server->rt->worker, &c->task);
}

int rpc_scall_item_value(struct rpc_scall *c, const struct rpc_value *v,
                         const struct vom_value **ret, struct err *err)
{
    struct vom_value *value;
    const struct vom_type *t = c->method != NULL ? c->method->in_stream : NULL;
    int r;

    arena_reset(&c->item);
    value = arena_alloc(&c->item, sizeof *value);
    if (value == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    r = vom_dec_convert(v->dec, v->msg, &c->item, t != NULL ? t : &vom_type_any, value, err);
    if (r == 0)
        *ret = value;
    return r;
}

struct arena *rpc_scall_arena(struct rpc_scall *c)
{
    return &c->arena;
}

struct span rpc_scall_method(const struct rpc_scall *c)
{
    return c->request.method;
}

struct span rpc_scall_suffix(const struct rpc_scall *c)
{
    return c->suffix;
}

struct span rpc_scall_raw_suffix(const struct rpc_scall *c)
{
    return c->request.suffix;
}

uint32_t rpc_scall_label(const struct rpc_scall *c)
{
    return c->label;
}

const struct rpc_interface *rpc_scall_interface(const struct rpc_scall *c)
{
    return c->object.interface;
}

const struct security_identity *rpc_scall_local(const struct rpc_scall *c)
{
    return c->local;
}

const struct security_identity *rpc_scall_remote(const struct rpc_scall *c)
{
    return c->remote;
}

const struct security_identity *rpc_scall_blessing(const struct rpc_scall *c)
{
    return c->blessing;
}

const struct err *rpc_scall_stream_error(const struct rpc_scall *c)
{
    return c->stream_error.code != 0 ? &c->stream_error : NULL;
}

/*
 * Calls of the client.
 *
 *            rpc_call_start
 *     NEW ----------------> RESOLVING -> CONNECTING --circuit--> OPEN --final Response--> DEAD
 *      |                        |           |  ^ \             /   |
 *      |                        |           |  |  +-> PREPARING    | error, deadline, cancel
 *      +--------- cancel -------+-----------+--+------+-----------+--------------------> DEAD
 *                                        next target
 *
 * PREPARING is a wait for a blessing or discharges; most calls need none.
 *
 * A failure before OPEN, or of the owner's end of the stream, leads to ENDING, from where a task
 * calls done, because functions of the owner call nothing back.
 */
#include "config.h"

#include <stdlib.h>

#include "base/quote.h"
#include "rpc/call_private.h"
#include "rpc/header.h"
#include "rpc/input.h"
#include "security/caveat.h"
#include "security/identity.h"
#include "vom/wiretypes.h"

#define CALL_KEEP     16384     /* a buffer that grew beyond this is not kept for the next call */
#define CALL_KEEP_LOW 2048      /* the same once RPC_SPARE_ROOMY finished calls are kept */
#define CALL_HEAD_MAX (1 << 20) /* the request, with blessing and discharges */

static const uint8_t zero_request[] = {0xff, 0x82, 0x01, 0x00};
static const uint8_t end_request[] = {0xff, 0x82, 0x03, 0x04, 0x01, 0x00};

static void call_next_target(struct rpc_call *c);
static void call_resolved(void *arg, struct span names, const struct err *err);

/* ---- memory ---- */

static void call_timeout(void *arg);
static void call_task(void *arg);
static void call_circuit_ready(struct rpc_circuit_waiter *w, struct vc *vc, const struct err *why);

static struct rpc_call *call_alloc(struct rpc_client *client)
{
    struct list *node = spares_take(&client->spare);
    struct vom_limits limits = vom_limits_default;
    struct rpc_call *c;

    if (node != NULL)
        return LIST_OBJECT(node, struct rpc_call, node);
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    list_init(&c->node);
    c->client = client;
    vom_enc_init(&c->enc);
    limits.message = client->rt->limits.value_max;
    vom_dec_init(&c->dec, &limits);
    buf_init(&c->text, RPC_CALL_TEXT_MAX);
    buf_init(&c->targets, RPC_RESOLVE_MAX);
    buf_init(&c->head, CALL_HEAD_MAX);
    buf_init(&c->scratch, client->rt->limits.value_max);
    buf_init(&c->in, (size_t)client->rt->limits.value_max + 65536);
    arena_init(&c->arena, (size_t)client->rt->limits.value_max * 2);
    loop_timer_init(&c->timer, client->rt->worker, call_timeout, c);
    loop_task_init(&c->task, call_task, c);
    loop_task_init(&c->resume, rpc_call_take_up, c);
    c->waiter.ready = call_circuit_ready;
    list_init(&c->waiter.node);
    return c;
}

static void call_destroy(struct rpc_call *c)
{
    vom_enc_done(&c->enc);
    vom_dec_done(&c->dec);
    buf_done(&c->text);
    buf_done(&c->targets);
    buf_done(&c->head);
    buf_done(&c->scratch);
    buf_done(&c->in);
    arena_done(&c->arena);
    free(c);
}

/* Gives the memory of a dead call back, to the next call if there is room for spares. */
static void call_release(struct rpc_call *c)
{
    struct rpc_client *client = c->client;
    size_t keep;

    rpc_creds_free(c->creds);
    c->creds = NULL;
    security_private_unref(c->opts.identity);
    rpc_granter_unref(c->opts.granter);
    security_identity_unref(c->server);
    c->server = NULL;
    err_done(&c->err);
    rpc_input_count(client->rt, &c->counted, 0);
    client->n_calls--;
    client->rt->stats.calls--;
    if (client->rt->stopping || !spares_keep(&client->spare, &c->node)) {
        call_destroy(c);
        return;
    }
    keep = client->spare.n <= RPC_SPARE_ROOMY ? CALL_KEEP : CALL_KEEP_LOW;
    vom_enc_reset(&c->enc);
    vom_dec_reset(&c->dec);
    buf_recycle(&c->text, keep);
    buf_recycle(&c->targets, keep);
    buf_recycle(&c->head, keep);
    buf_recycle(&c->scratch, keep);
    buf_recycle(&c->in, keep);
    arena_recycle(&c->arena, keep * 4);
}

void rpc_call_free_spare(struct rpc_client *client, struct list *(*take)(struct spares *))
{
    struct list *node;

    while ((node = take(&client->spare)) != NULL)
        call_destroy(LIST_OBJECT(node, struct rpc_call, node));
}

/* Lets go of everything that could call back. */
static void call_detach(struct rpc_call *c, bool orderly)
{
    c->state = RPC_CALL_DEAD;
    list_remove(&c->node);
    loop_timer_stop(&c->timer);
    loop_task_cancel(&c->task);
    loop_task_cancel(&c->resume);
    list_remove(&c->waiter.node);
    rpc_resolve_cancel(c->resolution);
    c->resolution = NULL;
    rpc_creds_cancel(c->creds);
    if (orderly)
        vc_flow_close(c->flow);
    else
        vc_flow_cancel(c->flow);
    c->flow = NULL;
}

void rpc_call_leave(struct rpc_call *c)
{
    if (--c->busy == 0 && c->state == RPC_CALL_DEAD)
        call_release(c);
}

/* ---- the end ---- */

/* Ends the call and tells its owner; e (may be the call's own) is NULL for success. */
void rpc_call_done(struct rpc_call *c, const struct err *e)
{
    struct rpc_stats *stats = &c->client->rt->stats;

    if (c->state == RPC_CALL_DEAD)
        return;
    call_detach(c, e == NULL);
    if (e == NULL)
        stats->calls_done++;
    else
        stats->calls_failed++;
    /* A large answer was converted: its bytes are not to stay while its text goes to the page. */
    buf_recycle(&c->in, CALL_KEEP);
    c->busy++;
    c->ops->done(c->arg, c, e);
    rpc_call_leave(c);
}

static void call_task(void *arg)
{
    struct rpc_call *c = arg;

    if (c->state == RPC_CALL_ENDING)
        rpc_call_done(c, &c->err);
    else if (c->state == RPC_CALL_CONNECTING)
        call_next_target(c);
    else if (c->state == RPC_CALL_OPEN)
        c->ops->started(c->arg, c);
}

/* Fails later: c->err says why. */
static void call_fail_later(struct rpc_call *c)
{
    c->state = RPC_CALL_ENDING;
    loop_worker_later(c->client->rt->worker, &c->task);
}

static struct span call_target_name(const struct rpc_call *c)
{
    if (c->targets.len == 0)
        return rpc_call_name(c);
    return span_str((const char *)buf_data(&c->targets) + c->target_at);
}

/* Says of an error that it came while the name was resolved, or a server connected. */
static void call_name_step(struct rpc_call *c, struct err *e)
{
    struct buf quoted = BUF_INIT(ERR_MSG_MAX);

    if (c->state == RPC_CALL_RESOLVING) {
        quote_append(&quoted, rpc_call_name(c), '"');
        err_prefix(e, WSPR_ENOTFOUND, "ipc: Resolve(%.*s) failed: ", SPAN_ARG(buf_span(&quoted)));
    } else {
        err_prefix(e, WSPR_ENOTFOUND,
                   "ipc: couldn't connect to server %.*s: ", SPAN_ARG(call_target_name(c)));
    }
    buf_done(&quoted);
}

/*
 * The time is over. It is measured anew from the moment when the flow is open (spec: ipc 8); before
 * that the same time bounds resolution and connecting, together.
 */
static void call_timeout(void *arg)
{
    struct rpc_call *c = arg;
    struct err e = ERR_INIT;

    err_set(&e, WSPR_ETIMEOUT, "deadline exceeded");
    if (c->state == RPC_CALL_OPEN || c->state == RPC_CALL_PREPARING) {
        rpc_call_fail_read(c, &e);
    } else if (c->state == RPC_CALL_RESOLVING || c->state == RPC_CALL_CONNECTING) {
        call_name_step(c, &e);
        rpc_call_done(c, &e);
    }
    err_done(&e);
}

/* ---- the way out ---- */

static int call_write_request(struct rpc_call *c, struct err *err)
{
    struct rpc_request rq = {
        .suffix = c->suffix,
        .method = rpc_call_method(c),
        .n_args = c->n_args,
        .timeout = c->sent_timeout,
    };
    int r;

    if (c->creds != NULL)
        r = rpc_creds_put(c, &rq, err);
    else if ((r = rpc_request_put(&c->enc, &c->head, &rq)) < 0)
        err_set(err, WSPR_EBADPROTO, "ipc: request encoding failed: %s", err_code_text(r));
    if (r < 0)
        return r;
    /* Written in one turn, and a unary call with its end marker: all leaves as one message. */
    r = vc_flow_write(c->flow, buf_span(&c->head), err);
    if (r >= 0 && c->scratch.len > 0)
        r = vc_flow_take(c->flow, &c->scratch, err);
    if (r >= 0 && !c->opts.streaming)
        r = vc_flow_write(c->flow, span_of(end_request, sizeof end_request), err);
    buf_recycle(&c->head, CALL_KEEP);
    buf_recycle(&c->scratch, CALL_KEEP);
    if (r < 0)
        err_prefix(err, WSPR_EBADPROTO, "ipc: request encoding failed: ");
    return r;
}

/* Sends the request; from here on there is no other target. */
static int call_send(struct rpc_call *c, struct err *err)
{
    int r;

    c->state = RPC_CALL_OPEN;
    c->streaming_closed = !c->opts.streaming;
    r = call_write_request(c, err);
    if (r >= 0 && c->ops->started != NULL)
        loop_worker_later(c->client->rt->worker, &c->task);
    return r;
}

/* Opens the flow and sends the request, unless that has to wait (for rpc_call_prepared). */
static int call_open(struct rpc_call *c, struct vc *vc, struct err *err)
{
    int r = vc_flow_open(vc, &rpc_call_flow_ops, c, &c->flow, err);

    if (r < 0)
        return r;
    r = rpc_creds_authorize(c, vc, err);
    if (r < 0) {
        vc_flow_cancel(c->flow);
        c->flow = NULL;
        return r;
    }
    c->state = RPC_CALL_PREPARING;
    if (c->opts.timeout != RPC_NO_TIMEOUT)
        loop_timer_start(&c->timer, c->opts.timeout);
    r = rpc_creds_begin(c, err);
    c->held = r > 0;
    return r == 0 ? call_send(c, err) : r;
}

/* What is remembered of the name led nowhere: looks once more where it leads now. */
static bool call_resolve_again(struct rpc_call *c)
{
    if (!c->cached || c->opts.no_fetch)
        return false;
    c->cached = false;
    c->resolution =
        rpc_resolve_afresh(c->client, rpc_call_name(c), c->opts.identity, call_resolved, c);
    if (c->resolution == NULL)
        return false;
    err_done(&c->err);
    buf_reset(&c->targets);
    c->target_at = 0;
    c->state = RPC_CALL_RESOLVING;
    return true;
}

/* Remembers why this target will not do and goes on with the next. Never calls back. */
static void call_target_failed(struct rpc_call *c, struct err *e)
{
    if (e->code != WSPR_ENOTAUTH)
        call_name_step(c, e);
    err_move(&c->err, e);
    /* Whoever comes next learns the server's new place, if it has one. */
    if (c->targets.len > 0)
        rpc_resolve_forget(c->client, rpc_call_name(c), c->opts.identity);
    c->target_at += call_target_name(c).len + 1;
    if (c->target_at < c->targets.len)
        loop_worker_later(c->client->rt->worker, &c->task);
    else if (!call_resolve_again(c))
        call_fail_later(c);
}

static void call_use(struct rpc_call *c, struct vc *vc)
{
    struct err e = ERR_INIT;

    if (call_open(c, vc, &e) < 0) {
        if (c->state == RPC_CALL_CONNECTING) {
            call_target_failed(c, &e);
        } else {
            err_move(&c->err, &e);
            call_fail_later(c);
        }
    }
    err_done(&e);
}

void rpc_call_prepared(struct rpc_call *c, const struct err *why)
{
    struct err e = ERR_INIT;

    c->held = false;
    if (why != NULL) {
        err_copy(&e, why);
        vc_flow_cancel(c->flow);
        c->flow = NULL;
        rpc_creds_free(c->creds);
        c->creds = NULL;
        security_identity_unref(c->server);
        c->server = NULL;
        buf_reset(&c->in);
        c->held_bytes = 0;
        c->state = RPC_CALL_CONNECTING;
        call_target_failed(c, &e);
    } else if (call_send(c, &e) < 0) {
        rpc_call_done(c, &e);
    } else if (c->in.len > 0) {
        loop_worker_later(c->client->rt->worker, &c->resume);
    }
    err_done(&e);
}

static void call_circuit_ready(struct rpc_circuit_waiter *w, struct vc *vc, const struct err *why)
{
    struct rpc_call *c = LIST_OBJECT(w, struct rpc_call, waiter);
    struct err e = ERR_INIT;

    if (vc != NULL && vc_can_open(vc) == 0) {
        call_use(c, vc);
        return;
    }
    if (vc != NULL) {
        /* Others took its flows meanwhile: ask again, which opens another circuit. */
        loop_worker_later(c->client->rt->worker, &c->task);
        return;
    }
    err_copy(&e, why);
    call_target_failed(c, &e);
    err_done(&e);
}

/* Tries the target at target_at. */
static void call_next_target(struct rpc_call *c)
{
    struct rpc_circuits *circuits = &c->client->circuits;
    struct naming_target target;
    struct err e = ERR_INIT;
    struct span address;
    struct vc *vc;
    int r;

    c->state = RPC_CALL_CONNECTING;
    naming_name_split(call_target_name(c), &address, &c->suffix);
    vc = rpc_circuits_recent(circuits, address, c->opts.identity);
    r = vc != NULL ? 1 : naming_name_target(call_target_name(c), &target, &e);
    if (r == 0)
        r = rpc_circuits_get(circuits, address, &target.endpoint, c->opts.identity, &c->waiter, &vc,
                             &e);
    if (r < 0)
        call_target_failed(c, &e);
    else if (r > 0)
        call_use(c, vc);
    err_done(&e);
}

static void call_resolved(void *arg, struct span names, const struct err *err)
{
    struct rpc_call *c = arg;

    c->cached = rpc_resolve_was_cached(c->resolution);
    c->resolution = NULL;
    if (err != NULL) {
        err_copy(&c->err, err);
        call_name_step(c, &c->err);
        call_fail_later(c);
        return;
    }
    buf_append_span(&c->targets, names);
    if (names.len == 0)
        err_set(&c->err, WSPR_ENOTFOUND, "ipc: no servers");
    else if (buf_error(&c->targets) != 0)
        err_set(&c->err, WSPR_ENOMEM, "out of memory");
    if (c->err.code != 0)
        call_fail_later(c);
    else
        call_next_target(c);
}

/* ---- the interface ---- */

struct rpc_call *rpc_call_new(struct rpc_client *client, struct span name, struct span method,
                              const struct rpc_call_opts *opts, const struct rpc_call_ops *ops,
                              void *arg)
{
    struct rpc_runtime *rt = client->rt;
    struct rpc_call *c;

    if (client->n_calls >= rt->limits.calls)
        rt->stats.calls_refused++;
    if (client->n_calls >= rt->limits.calls || rt->stopping)
        return NULL;
    c = call_alloc(client);
    if (c == NULL)
        return NULL;
    client->n_calls++;
    rt->stats.calls++;
    list_push_back(&client->calls, &c->node);
    c->ops = ops;
    c->arg = arg;
    c->opts = *opts;
    rpc_granter_ref(opts->granter);
    c->opts.identity = security_private_ref(opts->identity != NULL ? opts->identity : rt->identity);
    if (opts->timeout == 0 || opts->timeout == RPC_TIMEOUT_OF_SERVER)
        c->opts.timeout = RPC_TIMEOUT_DEFAULT;
    c->sent_timeout = opts->timeout == RPC_TIMEOUT_OF_SERVER ? 0 : c->opts.timeout;
    c->state = RPC_CALL_NEW;
    c->next = RPC_NEXT_HEADER;
    c->held = c->saw_eof = c->streaming_closed = c->cached = false;
    c->held_bytes = 0;
    c->n_args = c->n_results = c->result = 0;
    c->target_at = 0;
    c->name_len = name.len;
    buf_append_span(&c->text, name);
    buf_append_span(&c->text, method);
    vom_enc_prime(&c->enc, &c->head, &vom_preset_request);
    vom_dec_expect(&c->dec, &vom_preset_response);
    if (buf_error(&c->text) != 0 || buf_error(&c->head) != 0) {
        call_detach(c, false);
        call_release(c);
        return NULL;
    }
    rt->stats.calls_started++;
    return c;
}

int rpc_call_refused(const struct rpc_client *client, struct span name, struct span method,
                     struct err *err)
{
    if (client->rt->stopping)
        return err_set(err, WSPR_ECLOSED, "the runtime is stopping");
    if (name.len + method.len > RPC_CALL_TEXT_MAX)
        return err_set(err, WSPR_ELIMIT, "name and method are longer than %d bytes",
                       RPC_CALL_TEXT_MAX);
    if (client->n_calls >= client->rt->limits.calls)
        return err_set(err, WSPR_ELIMIT, "too many calls are under way");
    return err_set(err, WSPR_ENOMEM, "out of memory");
}

struct vom_enc *rpc_call_enc(struct rpc_call *c)
{
    return &c->enc;
}

struct buf *rpc_call_buf(struct rpc_call *c)
{
    return &c->scratch;
}

void rpc_call_start(struct rpc_call *c, uint32_t n_args)
{
    c->n_args = n_args;
    if (c->opts.timeout != RPC_NO_TIMEOUT)
        loop_timer_start(&c->timer, c->opts.timeout);
    if (buf_error(&c->scratch) != 0) {
        err_set(&c->err, WSPR_EBADPROTO, "ipc: arg encoding failed: %s",
                err_code_text(buf_error(&c->scratch)));
        call_fail_later(c);
        return;
    }
    if (naming_name_is_rooted(rpc_call_name(c)) && naming_name_is_terminal(rpc_call_name(c))) {
        call_next_target(c);
        return;
    }
    if (rpc_resolve_from_memory(c->client, rpc_call_name(c), c->opts.identity, &c->targets)) {
        c->cached = true;
        c->client->rt->stats.resolve_hits++;
        call_next_target(c);
        return;
    }
    c->state = RPC_CALL_RESOLVING;
    c->resolution = (c->opts.no_fetch ? rpc_resolve_for_discharge : rpc_resolve)(
        c->client, rpc_call_name(c), c->opts.identity, call_resolved, c);
    if (c->resolution == NULL) {
        err_set(&c->err, WSPR_ENOMEM, "out of memory");
        call_fail_later(c);
    }
}

int rpc_call_begin_item(struct rpc_call *c)
{
    if (c->state != RPC_CALL_OPEN || c->streaming_closed || vc_flow_is_closed(c->flow))
        return WSPR_ECLOSED;
    /* Half of the queue is left for the item itself, whose definitions may not be lost. */
    if (vc_flow_queued(c->flow) > c->client->rt->limits.queue_max / 2)
        return WSPR_EAGAIN;
    buf_reset(&c->scratch);
    return 0;
}

int rpc_call_end_item(struct rpc_call *c, bool keep)
{
    int r = buf_error(&c->scratch);

    if (r == 0 && keep)
        r = vc_flow_write(c->flow, span_of(zero_request, sizeof zero_request), NULL);
    /* What remains of an item that was taken back are definitions, which later items rely on. */
    if (r >= 0 && c->scratch.len > 0)
        r = vc_flow_take(c->flow, &c->scratch, NULL);
    buf_recycle(&c->scratch, CALL_KEEP);
    return r;
}

void rpc_call_close_send(struct rpc_call *c)
{
    int r;

    if (c->state != RPC_CALL_OPEN || c->streaming_closed)
        return;
    c->streaming_closed = true;
    r = vc_flow_write(c->flow, span_of(end_request, sizeof end_request), &c->err);
    if (r == WSPR_ECLOSED) {
        /* The server has answered and closed already; that is no error (spec: ipc 4.3). */
        err_done(&c->err);
        c->err = ERR_INIT;
    } else if (r < 0) {
        /* Without it the server would wait for ever. */
        err_prefix(&c->err, 0, "ipc: the end of the stream cannot be sent: ");
        call_fail_later(c);
    }
}

void rpc_call_resume(struct rpc_call *c)
{
    if (!c->held || c->state != RPC_CALL_OPEN)
        return;
    c->held = false;
    loop_worker_later(c->client->rt->worker, &c->resume);
}

void rpc_call_cancel(struct rpc_call *c)
{
    if (c == NULL || c->state == RPC_CALL_DEAD)
        return;
    c->client->rt->stats.calls_cancelled++;
    call_detach(c, false);
    if (c->busy == 0)
        call_release(c);
}

const struct security_identity *rpc_call_server(const struct rpc_call *c)
{
    return c->server;
}

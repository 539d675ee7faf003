/*
 * What comes in on the flow of a served call, and what it leads to (spec: ipc 5):
 *
 *     REQUEST -> [BLESSING] -> DISCHARGE x n -> look up the method -> ARG x n -> authorize, invoke
 *                                                                                    |
 *                              stream: HEADER -> ITEM -> HEADER … -> end   <---------+
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "naming/name.h"
#include "rpc/input.h"
#include "rpc/server_private.h"
#include "security/identity.h"
#include "vom/convert.h"
#include "vom/wiretypes.h"

static void fail_as(struct rpc_scall *c, int code, const char *what, struct err *e)
{
    err_prefix(e, code, "ipc: %s", what);
    rpc_scall_fail(c, e);
}

/* ---- look-up ---- */

static const struct rpc_method *find_method(const struct rpc_interface *i, struct span name)
{
    for (size_t k = 0; k < i->n_methods; k++) {
        if (span_equal_str(name, i->methods[k].name))
            return &i->methods[k];
    }
    return rpc_universal_method(name);
}

static int scall_prepare(struct rpc_scall *c, struct err *err)
{
    struct span method = c->request.method;

    if (c->object.invoker != NULL)
        return c->object.invoker->prepare(c->object.object, method, &c->n_args, &c->label, err);
    c->method = find_method(c->object.interface, method);
    if (c->method == NULL)
        return err_set(err, WSPR_ENOTFOUND, "ipc: unknown method '%.*s'", SPAN_ARG(method));
    c->params = c->method->in;
    c->n_args = (uint32_t)c->method->n_in;
    c->label = c->method->label != 0 ? c->method->label : RPC_LABEL_ADMIN;
    return 0;
}

/* Whether an invoker decodes the arguments itself. */
static bool args_are_raw(const struct rpc_scall *c)
{
    return c->method == NULL && c->object.invoker->invoke_raw != NULL;
}

static bool args_alloc(struct rpc_scall *c)
{
    if (c->n_args > RPC_SCALL_ARGS_MAX)
        return false;
    if (args_are_raw(c)) {
        c->raw = arena_calloc(&c->arena, c->n_args, sizeof *c->raw);
        c->raw_msgs = arena_calloc(&c->arena, c->n_args, sizeof *c->raw_msgs);
        return c->raw != NULL && c->raw_msgs != NULL;
    }
    c->args = arena_calloc(&c->arena, c->n_args, sizeof *c->args);
    c->arg_refs = arena_calloc(&c->arena, c->n_args, sizeof *c->arg_refs);
    return c->args != NULL && c->arg_refs != NULL;
}

static void scall_look_up(struct rpc_scall *c)
{
    struct rpc_dispatcher *d = &c->server->dispatcher;
    struct err e = ERR_INIT;
    int r;

    r = d->lookup(d->arg, c->suffix, &c->object, &e);
    if (r < 0) {
        rpc_scall_fail(c, &e);
    } else if (c->object.interface == NULL && c->object.invoker == NULL) {
        struct span q = rpc_scall_quote(c, c->suffix);

        rpc_scall_error(c, WSPR_ENOTFOUND, "ipc: dispatcher not found for %.*s", SPAN_ARG(q));
    } else if (scall_prepare(c, &e) < 0) {
        struct span q = rpc_scall_quote(c, c->request.suffix);
        struct buf text = BUF_INIT(ERR_MSG_MAX);
        struct err named = ERR_INIT;
        struct span said;

        buf_printf(&text, "%s: name: %.*s", err_text(&e), SPAN_ARG(q));
        said = text.len > 0 ? buf_span(&text) : span_str(err_text(&e));
        err_set_id_text(&named, err_id(&e), strlen(err_id(&e)), (const char *)said.p, said.len);
        rpc_scall_fail(c, &named);
        err_done(&named);
        buf_done(&text);
    } else if (c->request.n_args != c->n_args) {
        struct span m = rpc_scall_quote(c, c->request.method),
                    q = rpc_scall_quote(c, c->request.suffix);

        rpc_scall_error(c, WSPR_EBADPROTO,
                        "ipc: wrong number of input arguments for method %.*s, name %.*s (called "
                        "with %llu args, expected %u)",
                        SPAN_ARG(m), SPAN_ARG(q), (unsigned long long)c->request.n_args, c->n_args);
    } else if (!args_alloc(c)) {
        rpc_scall_error(c, WSPR_EINTERNAL, "too many arguments");
    } else if (c->n_args == 0) {
        rpc_scall_invoke(c);
    } else {
        c->next = RPC_SNEXT_ARG;
    }
    err_done(&e);
}

/* ---- values ---- */

/* Goes on when the header and what belongs to it have come. */
static void scall_credentials_done(struct rpc_scall *c)
{
    if (c->n_discharges < c->request.n_discharges)
        c->next = RPC_SNEXT_DISCHARGE;
    else
        scall_look_up(c);
}

static int read_request(struct rpc_scall *c, const struct vom_msg *msg, struct err *err)
{
    struct rpc_request rq;
    int64_t timeout;
    int r = rpc_request_get(&c->dec, msg, &rq, err);

    if (r < 0)
        return r;
    rq.suffix = arena_copy(&c->arena, rq.suffix);
    rq.method = arena_copy(&c->arena, rq.method);
    if (rq.suffix.p == NULL || rq.method.p == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    c->request = rq;
    c->suffix = naming_name_strip(rq.suffix);
    timeout = rq.timeout;
    if (timeout == RPC_NO_TIMEOUT)
        loop_timer_stop(&c->timer);
    else if (timeout > 0)
        loop_timer_start(&c->timer, timeout);
    if (rq.n_discharges > RPC_SCALL_DISCHARGES_MAX)
        return err_set(err, WSPR_ELIMIT, "too many discharges");
    c->discharges = arena_calloc(&c->arena, rq.n_discharges, sizeof *c->discharges);
    if (c->discharges == NULL && rq.n_discharges > 0)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    if (rq.has_blessing)
        c->next = RPC_SNEXT_BLESSING;
    else
        scall_credentials_done(c);
    return 0;
}

/* Its signatures are verified off the loop, from a copy; reading goes on afterwards. */
static int read_blessing(struct rpc_scall *c, const struct vom_msg *msg, struct err *err)
{
    struct vom_msg kept = *msg;
    struct vom_value v;
    int r;

    kept.body = arena_copy(&c->arena, msg->body);
    if (kept.body.p == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    r = vom_dec_value(&c->dec, &kept, &c->arena, &v, err);
    return r < 0 ? r : rpc_scall_check_blessing(c, &v, err);
}

static int read_discharge(struct rpc_scall *c, const struct vom_msg *msg, struct err *err)
{
    struct vom_value v;
    int r = vom_dec_value(&c->dec, msg, &c->arena, &v, err);

    if (r == 0)
        r = security_discharge_from_value(&v, &c->discharges[c->n_discharges], err);
    if (r < 0)
        return r;
    c->n_discharges++;
    scall_credentials_done(c);
    return 0;
}

static int read_arg(struct rpc_scall *c, const struct vom_msg *msg, struct err *err)
{
    struct vom_msg kept = *msg;
    int r = 0;

    /* The argument outlives the bytes that came: it is decoded from a copy. */
    kept.body = arena_copy(args_are_raw(c) ? &c->bodies : &c->arena, msg->body);
    if (kept.body.p == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    if (args_are_raw(c)) {
        c->raw_msgs[c->arg] = kept;
        c->raw[c->arg] = (struct rpc_value){&c->dec, &c->raw_msgs[c->arg]};
    } else if (c->params != NULL) {
        r = vom_dec_convert(&c->dec, &kept, &c->arena, c->params[c->arg].type, &c->args[c->arg],
                            err);
    } else {
        r = vom_dec_value(&c->dec, &kept, &c->arena, &c->args[c->arg], err);
    }
    if (r < 0)
        return r;
    if (!args_are_raw(c))
        c->arg_refs[c->arg] = &c->args[c->arg];
    if (++c->arg == c->n_args)
        rpc_scall_invoke(c);
    return 0;
}

static void tell_end(struct rpc_scall *c)
{
    if (c->ended)
        return;
    c->ended = true;
    if (c->ops != NULL && c->ops->end != NULL)
        c->ops->end(c->ops_arg, c);
}

static int read_stream(struct rpc_scall *c, const struct vom_msg *msg, struct err *err)
{
    struct rpc_value v = {&c->dec, msg};
    struct rpc_request rq;
    int r;

    if (c->next == RPC_SNEXT_ITEM) {
        c->next = RPC_SNEXT_HEADER;
        r = c->ops->item != NULL ? c->ops->item(c->ops_arg, c, &v) : 0;
        if (!c->finished)
            c->held = r == RPC_HOLD;
        return 0;
    }
    r = rpc_request_get(&c->dec, msg, &rq, err);
    if (r < 0)
        return r;
    if (rq.end_stream)
        tell_end(c);
    else
        c->next = RPC_SNEXT_ITEM;
    return 0;
}

static int read_value(struct rpc_scall *c, const struct vom_msg *msg, struct err *err)
{
    switch (c->next) {
    case RPC_SNEXT_REQUEST:
        return read_request(c, msg, err);
    case RPC_SNEXT_BLESSING:
        return read_blessing(c, msg, err);
    case RPC_SNEXT_DISCHARGE:
        return read_discharge(c, msg, err);
    case RPC_SNEXT_ARG:
        return read_arg(c, msg, err);
    case RPC_SNEXT_HEADER:
    case RPC_SNEXT_ITEM:
        return read_stream(c, msg, err);
    }
    return WSPR_EINTERNAL;
}

/* What could not be read decides the words of the error. */
static void read_failed(struct rpc_scall *c, struct err *e)
{
    char what[64];

    switch (c->next) {
    case RPC_SNEXT_REQUEST:
        fail_as(c, WSPR_EBADPROTO, "request decoding failed: ", e);
        return;
    case RPC_SNEXT_BLESSING:
        fail_as(c, WSPR_EBADPROTO, "blessing decoding failed: ", e);
        return;
    case RPC_SNEXT_DISCHARGE:
        snprintf(what, sizeof what, "decoding discharge %u of %llu failed: ", c->n_discharges,
                 (unsigned long long)c->request.n_discharges);
        fail_as(c, WSPR_EBADPROTO, what, e);
        return;
    case RPC_SNEXT_ARG:
        snprintf(what, sizeof what, "arg %u decoding failed: ", c->arg);
        fail_as(c, WSPR_EBADPROTO, what, e);
        return;
    case RPC_SNEXT_HEADER:
    case RPC_SNEXT_ITEM:
        /* A stream that cannot be read ends for the method; the call goes on. */
        c->broken = true;
        err_move(&c->stream_error, e);
        tell_end(c);
        return;
    }
}

void rpc_scall_blessed(struct rpc_scall *c, struct security_identity *blessing, struct err *why)
{
    c->blessing = blessing;
    if (blessing == NULL)
        read_failed(c, why);
    else if (!security_pubkey_equal(security_identity_key(blessing),
                                    security_identity_key(c->local)))
        rpc_scall_error(c, WSPR_EBADPROTO, "ipc: blessing provided not bound to this server");
    else
        scall_credentials_done(c);
}

/* Items wait until the method has said that it takes them. */
static bool may_read(const struct rpc_scall *c)
{
    return !c->checking && !c->finished && !c->held && !c->broken &&
           !(c->running && c->ops == NULL);
}

static size_t scall_parse(struct rpc_scall *c, struct span in)
{
    size_t used = 0;

    while (may_read(c) && used < in.len) {
        struct err e = ERR_INIT;
        struct vom_msg msg;
        ssize_t n = vom_dec_next(&c->dec, in.p + used, in.len - used, &msg, &e);
        int r = n < 0 ? (int)n : 0;

        if (n == 0)
            break;
        if (n > 0) {
            used += (size_t)n;
            r = read_value(c, &msg, &e);
        }
        if (r < 0 && !c->finished) {
            if (e.code == 0)
                err_set(&e, r, "%s", err_code_text(r));
            read_failed(c, &e);
        }
        err_done(&e);
    }
    return c->broken ? in.len : used;
}

void rpc_scall_take_up(void *arg)
{
    struct rpc_scall *c = arg;
    size_t credit = c->held_bytes, used;

    if (!may_read(c))
        return;
    c->busy++;
    c->held_bytes = 0;
    used = scall_parse(c, buf_span(&c->in));
    if (!c->finished) {
        buf_consume(&c->in, used);
        if (!may_read(c))
            c->held_bytes += credit;
        else if (c->flow != NULL)
            vc_flow_consumed(c->flow, credit);
        if (c->gone && may_read(c))
            tell_end(c);
    }
    rpc_scall_leave(c);
}

/*
 * Tells how much is kept of the call, and gives back what only the arguments needed: the method may
 * take its time.
 */
static void count_kept(struct rpc_scall *c)
{
    if (c->running && c->in.len == 0 && c->in.cap > RPC_SCALL_IN_KEEP)
        buf_release(&c->in);
    rpc_input_count(c->server->rt, &c->counted, c->in.len + c->arena.used + c->bodies.used);
}

void rpc_scall_drop_args(struct rpc_scall *c)
{
    c->raw = NULL;
    c->raw_msgs = NULL;
    arena_reset(&c->bodies);
}

static void scall_flow_data(void *arg, struct vc_flow *flow, struct span bytes)
{
    struct rpc_scall *c = arg;
    size_t used = 0, all = bytes.len;

    c->busy++;
    if (c->in.len == 0) {
        used = scall_parse(c, bytes);
        bytes = span_of(bytes.p + used, bytes.len - used);
    }
    if (!c->finished && bytes.len > 0) {
        buf_append_span(&c->in, bytes);
        if (buf_error(&c->in) != 0) {
            struct err e = ERR_INIT;

            err_set(&e, WSPR_ELIMIT, "a value is longer than the limit of %u bytes",
                    c->server->rt->limits.value_max);
            read_failed(c, &e);
            err_done(&e);
        } else if (used == 0 && may_read(c) && c->in.len >= vom_dec_need(&c->dec)) {
            used = scall_parse(c, buf_span(&c->in));
            if (!c->finished)
                buf_consume(&c->in, used);
        }
    }
    if (!c->finished && c->flow != NULL) {
        if (may_read(c))
            vc_flow_consumed(flow, all);
        else
            c->held_bytes += all;
    }
    if (!c->finished)
        count_kept(c);
    rpc_scall_leave(c);
}

static void scall_flow_eof(void *arg, struct vc_flow *flow, const struct err *why)
{
    struct rpc_scall *c = arg;

    c->busy++;
    if (!c->running) {
        rpc_scall_drop(c);
    } else {
        c->gone = true;
        /* What the method is about to take up comes before the end, part of a value does not. */
        if (may_read(c) && !loop_task_queued(&c->task))
            tell_end(c);
        if (!c->finished && c->ops != NULL && c->ops->gone != NULL)
            c->ops->gone(c->ops_arg, c);
    }
    rpc_scall_leave(c);
}

static void scall_flow_writable(void *arg, struct vc_flow *flow)
{
    struct rpc_scall *c = arg;

    if (c->ops != NULL && c->ops->writable != NULL)
        c->ops->writable(c->ops_arg, c);
}

const struct vc_flow_ops rpc_scall_flow_ops = {
    .data = scall_flow_data,
    .eof = scall_flow_eof,
    .writable = scall_flow_writable,
};

void rpc_scall_deadline(void *arg)
{
    struct rpc_scall *c = arg;
    struct err e = ERR_INIT;

    c->busy++;
    if (!c->running) {
        err_set(&e, WSPR_ETIMEOUT, "deadline exceeded");
        read_failed(c, &e);
    } else if (c->ops != NULL && c->ops->expired != NULL) {
        c->ops->expired(c->ops_arg, c);
    }
    err_done(&e);
    rpc_scall_leave(c);
}

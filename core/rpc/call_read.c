/*
 * What comes back on the flow of a call:
 *
 *     HEADER --stream item follows--> ITEM --> HEADER
 *        |
 *        +--final, n results--> RESULT x n --> done
 */
#include "config.h"

#include <stdlib.h>

#include "rpc/call_private.h"
#include "rpc/header.h"
#include "rpc/input.h"

static void call_flow_eof(void *arg, struct vc_flow *flow, const struct err *why);

/* Ends the call with an error of the protocol; what was read decides the words (spec: ipc 4.3). */
void rpc_call_fail_read(struct rpc_call *c, const struct err *cause)
{
    struct err e = ERR_INIT;

    err_copy(&e, cause);
    switch (c->next) {
    case RPC_NEXT_HEADER:
        err_prefix(&e, WSPR_EBADPROTO, "ipc: response header decoding failed: ");
        break;
    case RPC_NEXT_ITEM:
        err_prefix(&e, WSPR_EBADPROTO, "ipc: streaming result decoding failed: ");
        break;
    case RPC_NEXT_RESULT:
        err_prefix(&e, WSPR_EBADPROTO, "ipc: result #%u decoding failed: ", c->result);
        break;
    }
    rpc_call_done(c, &e);
    err_done(&e);
}

static int call_read_header(struct rpc_call *c, const struct vom_msg *msg, struct err *err)
{
    struct rpc_response rs;
    int r;

    arena_reset(&c->arena);
    r = rpc_response_get(&c->dec, msg, &c->arena, &rs, err);
    if (r < 0)
        return r;
    if (rs.error.code != 0) {
        if (rs.error.code == WSPR_ENOTAUTH)
            rpc_creds_refused(c->creds);
        rpc_call_done(c, &rs.error);
        err_done(&rs.error);
        return 0;
    }
    if (!rs.end_stream) {
        c->next = RPC_NEXT_ITEM;
        return 0;
    }
    if (c->ops->end != NULL)
        c->ops->end(c->arg, c);
    if (c->state == RPC_CALL_DEAD)
        return 0;
    if (c->opts.n_results != RPC_ANY_RESULTS &&
        (c->opts.n_results < 0 || rs.n_results != (uint64_t)c->opts.n_results)) {
        struct err e = ERR_INIT;

        err_set(&e, WSPR_EBADPROTO, "ipc: server sent %llu results, client expected %d",
                (unsigned long long)rs.n_results, c->opts.n_results);
        rpc_call_done(c, &e);
        err_done(&e);
        return 0;
    }
    c->next = RPC_NEXT_RESULT;
    c->n_results = rs.n_results > UINT32_MAX ? UINT32_MAX : (uint32_t)rs.n_results;
    if (c->n_results == 0)
        rpc_call_done(c, NULL);
    return 0;
}

static int call_read_item(struct rpc_call *c, const struct vom_msg *msg, struct err *err)
{
    struct rpc_value v = {&c->dec, msg};
    int r;

    if (c->ops->item == NULL) {
        struct err e = ERR_INIT;

        err_set(&e, WSPR_EBADPROTO, "ipc: Finish called with remaining streaming results");
        rpc_call_done(c, &e);
        err_done(&e);
        return 0;
    }
    r = c->ops->item(c->arg, c, &v, err);
    if (r < 0 || c->state == RPC_CALL_DEAD)
        return r < 0 ? r : 0;
    c->next = RPC_NEXT_HEADER;
    c->held = r == RPC_HOLD;
    return 0;
}

static int call_read_result(struct rpc_call *c, const struct vom_msg *msg, struct err *err)
{
    struct rpc_value v = {&c->dec, msg};
    int r = c->ops->result(c->arg, c, c->result, c->n_results, &v, err);

    if (r < 0 || c->state == RPC_CALL_DEAD)
        return r < 0 ? r : 0;
    if (++c->result == c->n_results)
        rpc_call_done(c, NULL);
    return 0;
}

/* Takes whole values from the front of the bytes; returns how many bytes were used. */
static size_t call_parse(struct rpc_call *c, struct span in)
{
    size_t used = 0;

    while (c->state == RPC_CALL_OPEN && !c->held && used < in.len) {
        struct err e = ERR_INIT;
        struct vom_msg msg;
        ssize_t n = vom_dec_next(&c->dec, in.p + used, in.len - used, &msg, &e);
        int r = 0;

        if (n == 0)
            break;
        if (n > 0) {
            used += (size_t)n;
            if (c->next == RPC_NEXT_HEADER)
                r = call_read_header(c, &msg, &e);
            else if (c->next == RPC_NEXT_ITEM)
                r = call_read_item(c, &msg, &e);
            else
                r = call_read_result(c, &msg, &e);
        }
        if ((n < 0 || r < 0) && c->state == RPC_CALL_OPEN) {
            if (e.code == 0)
                err_set(&e, n < 0 ? (int)n : r, "%s", err_code_text(n < 0 ? (int)n : r));
            rpc_call_fail_read(c, &e);
        }
        err_done(&e);
    }
    return used;
}

/* Works off what was kept; the credit of held bytes goes back when they are taken up. */
static void call_parse_kept(struct rpc_call *c)
{
    size_t used = call_parse(c, buf_span(&c->in));

    if (c->state != RPC_CALL_OPEN)
        return;
    buf_consume(&c->in, used);
    rpc_input_count(c->client->rt, &c->counted, c->in.len);
}

/* Goes on after RPC_HOLD: what was kept, then the credit for it, then the end if it came. */
void rpc_call_take_up(void *arg)
{
    struct rpc_call *c = arg;
    size_t credit = c->held_bytes;

    if (c->state != RPC_CALL_OPEN || c->held)
        return;
    c->busy++;
    c->held_bytes = 0;
    call_parse_kept(c);
    if (c->state == RPC_CALL_OPEN) {
        if (c->held)
            c->held_bytes += credit;
        else
            vc_flow_consumed(c->flow, credit);
        if (!c->held && c->saw_eof)
            call_flow_eof(c, c->flow, vc_flow_why(c->flow));
    }
    rpc_call_leave(c);
}

/*
 * On a circuit that stands, the answer can be here before the task that tells of the start: the
 * notice goes first. The owner may cancel in it.
 */
static void call_tell_started(struct rpc_call *c)
{
    if (c->state == RPC_CALL_OPEN && loop_task_queued(&c->task)) {
        loop_task_cancel(&c->task);
        c->ops->started(c->arg, c);
    }
}

static bool call_has_flow(const struct rpc_call *c)
{
    return c->state == RPC_CALL_OPEN || c->state == RPC_CALL_PREPARING;
}

static void call_flow_data(void *arg, struct vc_flow *flow, struct span bytes)
{
    struct rpc_call *c = arg;
    size_t used = 0;

    c->busy++;
    call_tell_started(c);
    if (c->state == RPC_CALL_OPEN && c->in.len == 0 && !c->held) {
        used = call_parse(c, bytes);
        bytes = span_of(bytes.p + used, bytes.len - used);
    }
    if (call_has_flow(c) && bytes.len > 0) {
        buf_append_span(&c->in, bytes);
        if (buf_error(&c->in) != 0) {
            struct err e = ERR_INIT;

            err_set(&e, WSPR_ELIMIT, "a value is longer than the limit of %u bytes",
                    c->client->rt->limits.value_max);
            rpc_call_fail_read(c, &e);
            err_done(&e);
        } else if (used == 0 && !c->held && c->in.len >= vom_dec_need(&c->dec)) {
            call_parse_kept(c);
        }
    }
    if (call_has_flow(c)) {
        if (!c->held)
            vc_flow_consumed(flow, used + bytes.len);
        else
            c->held_bytes += used + bytes.len;
        rpc_input_count(c->client->rt, &c->counted, c->in.len);
    }
    rpc_call_leave(c);
}

/*
 * What is read at the end of a flow that an end of it just wanted is EOF, as in the reference
 * (spec: ipc 6.4). Of a connection that failed, or if the peer said why, it is that.
 */
static void end_of_flow(const struct err *why, struct err *e)
{
    if (why->code == 0 || why->code == WSPR_ECLOSED)
        err_set(e, WSPR_ETRUNC, "EOF");
    else
        err_copy(e, why);
}

static void call_flow_eof(void *arg, struct vc_flow *flow, const struct err *why)
{
    struct rpc_call *c = arg;
    struct err e = ERR_INIT;

    /* Held values are still to be delivered; whoever takes them up finds the end afterwards. */
    c->saw_eof = true;
    if ((c->held || loop_task_queued(&c->resume)) && c->state != RPC_CALL_PREPARING)
        return;
    c->busy++;
    if (c->state == RPC_CALL_PREPARING) {
        end_of_flow(why, &e);
        err_prefix(&e, WSPR_EBADPROTO, "ipc: request encoding failed: ");
        rpc_call_done(c, &e);
    }
    call_tell_started(c);
    if (c->state == RPC_CALL_OPEN) {
        end_of_flow(why, &e);
        rpc_call_fail_read(c, &e);
    }
    rpc_call_leave(c);
    err_done(&e);
}

static void call_flow_writable(void *arg, struct vc_flow *flow)
{
    struct rpc_call *c = arg;

    if (c->ops->writable != NULL)
        c->ops->writable(c->arg, c);
}

const struct vc_flow_ops rpc_call_flow_ops = {
    .data = call_flow_data,
    .eof = call_flow_eof,
    .writable = call_flow_writable,
};

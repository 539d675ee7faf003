#include "config.h"

/*
 * Output: what goes next is decided when the embedder asks for bytes, not when they are written, so
 * that credits merge, small writes of a flow become one message, and payloads are sealed in the
 * order of the wire (spec: stream 5.4).
 *
 *     1. ctl     OpenVC, CloseVC, OpenFlow, rejecting closes, in their order
 *     2. credit  one AddReceiveBuffers for all flows of all circuits
 *     3. data    flows in turn, and what a relay forwards
 *
 * Round robin with a quantum of one largest chunk: a flow sends at most VC_PLAIN_MAX bytes a turn,
 * so no deficit is ever left over.
 */

#include <assert.h>

#include "vc/impl.h"

#define OUT_COUNTERS_MAX 4096u /* in one AddReceiveBuffers */
#define OUT_RELAY_TURN   65536u

/* ---- credit that waits ---- */

static void credit_list_vc(struct vc *vc)
{
    if (list_empty(&vc->credits))
        list_push_back(&vc->vif->credits, &vc->credits);
}

static void credit_unlist_vc(struct vc *vc)
{
    if (list_empty(&vc->credit_flows) && vc->pending_shared == 0)
        list_remove(&vc->credits);
}

static void credit_urgent(struct vc_vif *vif)
{
    vif->urgent = true;
    vif_wake(vif);
}

void credit_add_flow(struct vc_flow *f, uint32_t n, bool urgent)
{
    const struct vc_limits *l = &f->vc->vif->pool->limits;
    struct vc *vc = f->vc;

    if (n == 0)
        return;
    if (f->pending == 0) {
        list_push_back(&vc->credit_flows, &f->credits);
        vc->vif->n_credits++;
        credit_list_vc(vc);
    }
    f->pending += n;
    vc->pending += n;
    if (urgent || f->pending >= l->window / 4 || vc->pending > l->credit_delay)
        credit_urgent(vc->vif);
}

void credit_add_shared(struct vc *vc, uint32_t n)
{
    if (n == 0)
        return;
    if (vc->pending_shared == 0)
        vc->vif->n_credits++;
    vc->pending_shared += n;
    credit_list_vc(vc);
    credit_urgent(vc->vif);
}

void credit_drop_flow(struct vc_flow *f)
{
    if (f->pending == 0)
        return;
    f->vc->pending -= f->pending;
    f->pending = 0;
    list_remove(&f->credits);
    f->vc->vif->n_credits--;
    credit_unlist_vc(f->vc);
}

void credit_drop_vc(struct vc *vc)
{
    if (vc->pending_shared == 0)
        return;
    vc->pending_shared = 0;
    vc->vif->n_credits--;
    credit_unlist_vc(vc);
}

static size_t credit_write(struct vc_vif *vif, uint8_t *p)
{
    struct vc *vc = LIST_OBJECT(vif->credits.next, struct vc, credits);
    struct vc_counter c = {vc->vci, VC_FLOW_SHARED, vc->pending_shared};

    if (c.bytes > 0) {
        credit_drop_vc(vc);
    } else {
        struct vc_flow *f = LIST_OBJECT(vc->credit_flows.next, struct vc_flow, credits);

        c.flow = f->id;
        c.bytes = f->pending;
        credit_drop_flow(f);
    }
    return vc_counter_write(p, &c);
}

static int out_credit(struct vc_vif *vif, struct buf *out)
{
    size_t n = vif->n_credits < OUT_COUNTERS_MAX ? vif->n_credits : OUT_COUNTERS_MAX;
    uint8_t *start = buf_reserve(out, VC_MSG_HEADER + 1 + VC_COUNTER_MAX * (n + 1)), *p;
    size_t body;

    if (start == NULL)
        return buf_error(out);
    p = start + VC_MSG_HEADER;
    *p++ = VC_MSG_CREDIT;
    p += vc_varint_write(p, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        p += credit_write(vif, p);
    body = (size_t)(p - start) - VC_MSG_HEADER;
    start[0] = 0;
    start[1] = (uint8_t)(body >> 16);
    start[2] = (uint8_t)(body >> 8);
    start[3] = (uint8_t)body;
    buf_commit(out, VC_MSG_HEADER + body);
    vif->urgent = vif->n_credits > 0;
    vif->pool->stats.msgs_out++;
    return 0;
}

/* ---- data ---- */

/* The payload of n bytes from the front of the queue, sealed where need be. */
static int out_payload(struct vc_flow *f, size_t n, struct buf *out, struct err *e)
{
    struct span plain = span_of(buf_data(&f->tx), n);

    if (f->raw || f->vc->security == VC_INSECURE) {
        buf_append_span(out, plain);
        return buf_error(out);
    }
    return f->vc->crypter->ops->seal(f->vc->crypter, plain, out, e);
}

/* Sends one message of the flow at the head of the active list. */
static int out_data(struct vc_vif *vif, struct buf *out)
{
    struct vc_flow *f = LIST_OBJECT(vif->active.next, struct vc_flow, active);
    struct vc *vc = f->vc;
    struct vc_stats *stats = &vif->pool->stats;
    struct err e = ERR_INIT;
    size_t n = flow_sendable(f), room = n, at;
    bool close = f->state == FLOW_CLOSING && n == f->tx.len;
    int r = 0;

    list_remove(&f->active);
    if (n == 0 && !close) {
        flow_kick(f); /* the shared pool went to others: wait for it */
        return 0;
    }
    if (!f->raw && vc->security == VC_SECURE && n > 0)
        room = vc->crypter->ops->sealed_max(vc->crypter, n);
    if (buf_reserve(out, VC_MSG_HEADER + VC_DATA_HEADER + room) == NULL) {
        list_push_front(&vif->active, &f->active);
        return buf_error(out);
    }
    at = vc_msg_begin_data(out, vc->vci, f->id);
    if (n > 0)
        r = out_payload(f, n, out, &e);
    if (r >= 0)
        r = vc_msg_end_data(out, at, close ? VC_FLAG_CLOSE : 0);
    if (r < 0) {
        vc_msg_undo(out, at);
        out->error = 0;
        err_prefix(&e, r, "write failure: ");
        vc_end(vc, &e, e.msg != NULL ? e.msg : "write failure");
        return 0;
    }
    stats->msgs_out++;
    stats->plain_out += n;
    flow_spend(f, n);
    buf_consume(&f->tx, n);
    vif->queued -= n;
    stats->queued -= n;
    if (close)
        flow_gone(f);
    else
        flow_drained(f);
    return 0;
}

/* ---- what a relay forwards ---- */

static int out_relay(struct vc_vif *vif, struct buf *out)
{
    struct span all = buf_span(&vif->relay), rest = all;
    struct vc_msg m;

    while (all.len - rest.len < OUT_RELAY_TURN &&
           vc_msg_next(&rest, VC_MSG_BODY_MAX, &m, NULL, NULL) > 0)
        vif->pool->stats.msgs_out++;
    buf_append(out, all.p, all.len - rest.len);
    if (buf_error(out) != 0)
        return buf_error(out);
    buf_consume(&vif->relay, all.len - rest.len);
    if (vif->relay.len == 0)
        pool_give(vif->pool, &vif->relay);
    return 0;
}

int vc_vif_forward(struct vc_vif *vif, const struct vc_msg *msg)
{
    int r;

    if (vif->over)
        return WSPR_ECLOSED;
    pool_take(vif->pool, &vif->relay, msg->payload.len + 64);
    r = vc_msg_put(&vif->relay, msg);
    if (r < 0) {
        vif->relay.error = 0;
        vif->pool->stats.err_relay++;
        return r;
    }
    vif_wake(vif);
    return 0;
}

/* ---- control ---- */

/* Something was put: r says whether it went well. A connection whose answers are not taken, or
 * cannot be kept, ends. */
static void ctl_check(struct vc_vif *vif, int r)
{
    vif_wake(vif);
    if (r >= 0)
        return;
    vif->ctl.error = 0;
    if (r == WSPR_ELIMIT)
        vif->pool->stats.err_control_queue++;
    vif_fail(vif, r, r == WSPR_ELIMIT ? "too many answers wait to be sent" : "out of memory");
}

void ctl_close_vc(struct vc_vif *vif, uint32_t vci, struct span text)
{
    if (vif->over)
        return;
    pool_take(vif->pool, &vif->ctl, text.len + 16);
    ctl_check(vif, vc_msg_put_close_vc(&vif->ctl, vci, text));
}

void ctl_open_vc(struct vc *vc)
{
    struct vc_counter c = {vc->vci, VC_FLOW_SHARED, vc->vif->pool->limits.shared};
    struct vc_vif *vif = vc->vif;

    pool_take(vif->pool, &vif->ctl, vc->remote.len + vc->local.len + 64);
    ctl_check(vif, vc_msg_put_open_vc(&vif->ctl, vc->vci, vc->remote, vc->local, &c, 1));
}

void ctl_open_flow(struct vc_flow *f)
{
    struct vc_vif *vif = f->vc->vif;

    f->announced = true;
    if (vif->over)
        return;
    pool_take(vif->pool, &vif->ctl, 64);
    ctl_check(vif, vc_msg_put_open_flow(&vif->ctl, f->vc->vci, f->id, vif->pool->limits.window));
}

void ctl_bare_close(struct vc_vif *vif, uint32_t vci, uint32_t flow)
{
    if (vif->over)
        return;
    pool_take(vif->pool, &vif->ctl, 64);
    ctl_check(vif, vc_msg_put_data(&vif->ctl, vci, flow, VC_FLAG_CLOSE, span_of(NULL, 0)));
}

int vc_vif_refuse(struct vc_vif *vif, uint32_t vci, const char *text)
{
    if (vif->over)
        return WSPR_ECLOSED;
    ctl_close_vc(vif, vci, span_str(text));
    return vif->over ? WSPR_ELIMIT : 0;
}

static int out_control(struct vc_vif *vif, struct buf *out)
{
    struct span rest = buf_span(&vif->ctl);
    struct vc_msg m;

    buf_append_span(out, rest);
    if (buf_error(out) != 0)
        return buf_error(out);
    while (vc_msg_next(&rest, VC_MSG_BODY_MAX, &m, NULL, NULL) > 0)
        vif->pool->stats.msgs_out++;
    pool_give(vif->pool, &vif->ctl);
    return 0;
}

/* ---- */

/* Appends the next message or group; 0 if there is none. */
static int out_next(struct vc_vif *vif, struct buf *out, bool company)
{
    bool data = !list_empty(&vif->active), relay = vif->relay.len > 0;
    int r;

    if (vif->ctl.len > 0) {
        r = out_control(vif, out);
    } else if (vif->n_credits > 0 && !vif->over && (vif->urgent || company || data || relay)) {
        r = out_credit(vif, out);
    } else if (relay && (vif->relay_turn || !data)) {
        vif->relay_turn = false;
        r = out_relay(vif, out);
    } else if (data) {
        vif->relay_turn = true;
        r = out_data(vif, out);
    } else {
        return 0;
    }
    return r < 0 ? r : 1;
}

int vc_vif_output(struct vc_vif *vif, struct buf *out, size_t max, int64_t now)
{
    size_t start = out->len;
    int r = 0;

    assert(vif->depth == 0);
    vif_enter_at(vif, now);
    vif->woken = true; /* what comes up now is served now */
    for (;;) {
        vif_dispatch(vif);
        if (vif->freed || out->len - start >= max)
            break;
        r = out_next(vif, out, out->len > start);
        if (r <= 0)
            break;
    }
    vif->pool->stats.bytes_out += out->len - start;
    out->error = 0;
    if (r == 0)
        vif->woken = false;
    vif_leave(vif);
    return r;
}

#include "config.h"

/*
 * Flows and flow control (spec: stream 6).
 *
 *                 opened or accepted
 *                         |
 *                       OPEN --- user closes ---> CLOSING --- close sent ---> GONE
 *                         |                          |
 *                         +---- peer closes, or circuit ends --------------> GONE
 *
 * A flow is on the wire until it is GONE; the object lives on while the user holds it. A peer's
 * close discards what we had queued: there is no half close.
 *
 * Sending costs credit. A flow pays with its own; what is missing of its first 4096 bytes it
 * borrows from the pool that the flows of the circuit share, and pays back from the next credit it
 * gets. (The reference borrows even when it has credit; the receiver cannot tell, and pools stay
 * fuller this way.)
 */

#include "base/quote.h"
#include "vc/impl.h"

/* ---- life ---- */

struct vc_flow *flow_new(struct vc *vc, uint32_t id, bool raw, bool mine)
{
    struct vc_pool *pool = vc->vif->pool;
    struct vc_flow *f = pool_flow_new(pool);

    if (f == NULL) {
        pool->stats.err_memory++;
        return NULL;
    }
    f->vc = vc;
    f->id = id;
    f->raw = raw;
    f->mine = mine;
    f->note.is_flow = true;
    buf_init(&f->tx, pool->limits.queue_hard);
    list_init(&f->active);
    list_init(&f->starved);
    list_init(&f->credits);
    list_init(&f->linger);
    moment_init(&f->closed);
    list_init(&f->note.link);
    list_init(&f->all);
    list_push_back(&vc->flows, &f->all);
    vc_map_add(&vc->map, &f->node, id);
    vc->n_objects++;
    pool->stats.flows++;
    if (!raw) {
        f->counted = true;
        vc->n_app++;
        moment_clear(&vc->idle);
    }
    return f;
}

struct vc_flow *flow_find(struct vc *vc, uint32_t id)
{
    struct vc_map_node *n = vc_map_find(&vc->map, id);

    return n != NULL ? LIST_OBJECT(n, struct vc_flow, node) : NULL;
}

void flow_destroy(struct vc_flow *f)
{
    struct vc *vc = f->vc;
    struct vc_pool *pool = vc->vif->pool;

    pool->stats.flows--;
    pool_flow_free(pool, f);
    vc->n_objects--;
    vc_check(vc);
}

/* Neither on the wire nor held: it no longer counts, and its memory can go. */
static void flow_check(struct vc_flow *f)
{
    struct vc *vc = f->vc;

    if (f->state != FLOW_GONE || f->held)
        return;
    if (f->counted) {
        f->counted = false;
        if (--vc->n_app == 0)
            moment_come(vc->vif, &vc->idle);
    }
    vif_bury(vc->vif, &f->note);
    vc_check(vc);
}

void flow_gone(struct vc_flow *f)
{
    struct vc *vc = f->vc;
    uint32_t loan = f->loan;

    if (f->state == FLOW_GONE)
        return;
    f->state = FLOW_GONE;
    vc_map_remove(&vc->map, &f->node);
    list_remove(&f->all);
    list_remove(&f->active);
    list_remove(&f->starved);
    list_remove(&f->linger);
    moment_clear(&f->closed);
    credit_drop_flow(f);
    flow_drop_queue(f);
    f->loan = 0;
    if (vc->hs != NULL && vc->hs->kx == f)
        vc->hs->kx = NULL;
    if (vc->hs != NULL && vc->hs->auth == f)
        vc->hs->auth = NULL;
    flow_shared_more(vc, loan);
    flow_check(f);
}

/* ---- sending ---- */

/* Sealed payloads wait for the keys. */
static bool flow_may_send(const struct vc_flow *f)
{
    const struct vc *vc = f->vc;

    if (f->state == FLOW_GONE || !f->announced)
        return false;
    return vc->state == VC_READY || vc->flush || (f->raw && vc->state != VC_CLOSED);
}

/* What may be borrowed on top of the credit: only for the first bytes of a flow. */
static uint32_t flow_loanable(const struct vc_flow *f)
{
    uint64_t own = f->sent + f->credit;
    uint32_t most = own < VC_LOAN_MAX ? (uint32_t)(VC_LOAN_MAX - own) : 0;

    return most < f->vc->shared ? most : f->vc->shared;
}

size_t flow_sendable(const struct vc_flow *f)
{
    size_t n = f->tx.len < VC_PLAIN_MAX ? f->tx.len : VC_PLAIN_MAX;

    if (!flow_may_send(f))
        return 0;
    if (n > f->credit && n > (uint64_t)f->credit + flow_loanable(f))
        n = (size_t)f->credit + flow_loanable(f);
    return n;
}

void flow_spend(struct vc_flow *f, size_t n)
{
    if (n > f->credit) {
        uint32_t loan = (uint32_t)(n - f->credit);

        f->vc->shared -= loan;
        f->loan += loan;
        f->credit += loan;
    }
    f->credit -= (uint32_t)n;
    f->sent += n;
}

void flow_kick(struct vc_flow *f)
{
    struct vc_vif *vif = f->vc->vif;
    bool ready = flow_may_send(f);

    /* At the end of a connection what has no credit is given up. */
    if (ready && vif->shutdown && f->tx.len > 0 && flow_sendable(f) == 0)
        flow_drop_queue(f);
    if (ready && (flow_sendable(f) > 0 || (f->state == FLOW_CLOSING && f->tx.len == 0))) {
        list_remove(&f->starved);
        if (list_empty(&f->active))
            list_push_back(&vif->active, &f->active);
        vif_wake(vif);
    } else if (ready && f->tx.len > 0 && f->sent < VC_LOAN_MAX && list_empty(&f->starved)) {
        list_push_back(&f->vc->starved, &f->starved);
    }
}

void flow_shared_more(struct vc *vc, uint32_t n)
{
    struct list *l;

    vc->shared += n;
    while (n > 0 && vc->shared > 0 && (l = list_pop(&vc->starved)) != NULL)
        flow_kick(LIST_OBJECT(l, struct vc_flow, starved));
}

void flow_drained(struct vc_flow *f)
{
    const struct vc_limits *l = &f->vc->vif->pool->limits;

    if (f->tx.len == 0)
        pool_give(f->vc->vif->pool, &f->tx);
    if (f->full && f->tx.len <= l->queue_soft / 2) {
        f->full = false;
        if (f->held)
            vif_note(f->vc->vif, &f->note, NOTE_WRITABLE);
    }
    flow_kick(f);
}

void flow_begin_close(struct vc_flow *f)
{
    struct vc_vif *vif = f->vc->vif;

    if (f->state != FLOW_OPEN)
        return;
    f->state = FLOW_CLOSING;
    moment_come(vif, &f->closed);
    credit_drop_flow(f);
    list_push_back(&vif->lingering, &f->linger);
    if (list_empty(&f->active))
        flow_kick(f);
}

/* ---- receiving ---- */

/*
 * Gives back the credit that is due: for all that came up to VC_LOAN_MAX, since it may be borrowed
 * from the pool of all; for the rest, what the user has consumed.
 */
static void flow_return(struct vc_flow *f)
{
    uint64_t due = f->received < VC_LOAN_MAX ? f->received : VC_LOAN_MAX;

    if (f->consumed > due)
        due = f->consumed;
    if (f->state != FLOW_OPEN || due <= f->returned)
        return;
    credit_add_flow(f, (uint32_t)(due - f->returned), false);
    f->returned = due;
}

/* Gives the opener of the flow its window. */
static void flow_grant(struct vc_flow *f)
{
    if (f->state == FLOW_OPEN) /* it may have been closed at once */
        credit_add_flow(f, f->ungranted, true);
    f->ungranted = 0;
}

bool flow_received(struct vc_flow *f, size_t n)
{
    const struct vc_limits *l = &f->vc->vif->pool->limits;

    f->received += n;
    /* Generous: a peer may count its loans in another way (spec: stream 6.4). */
    if (f->received - f->returned > (uint64_t)l->window + l->shared)
        return false;
    if (f->raw)
        f->consumed = f->received;
    flow_return(f);
    if (f->ungranted > 0 && f->received > VC_LOAN_MAX / 2)
        flow_grant(f);
    return true;
}

void vc_flow_consumed(struct vc_flow *flow, size_t n)
{
    uint64_t left = flow->received - flow->consumed;

    flow->consumed += n < left ? n : left;
    flow_return(flow);
}

void flow_on_credit(struct vc_vif *vif, const struct vc_counters *counters)
{
    struct vc_counters c = *counters;
    struct vc_counter one;

    while (vc_counters_next(&c, &one)) {
        struct vc *vc = vc_find(vif, one.vci);
        struct vc_flow *f;
        uint32_t back;

        if (vc != NULL && one.flow == VC_FLOW_SHARED) {
            flow_shared_more(vc, one.bytes);
            continue;
        }
        f = vc != NULL ? flow_find(vc, one.flow) : NULL;
        if (f == NULL) {
            vif->pool->stats.ignored++;
            continue;
        }
        back = f->loan < one.bytes ? f->loan : one.bytes;
        f->loan -= back;
        f->credit += one.bytes - back;
        if (list_empty(&f->active))
            flow_kick(f);
        flow_shared_more(vc, back);
    }
}

void flow_on_open(struct vc *vc, const struct vc_msg *m)
{
    struct vc_vif *vif = vc->vif;
    struct vc_stats *stats = &vif->pool->stats;
    struct vc_flow *f = NULL;
    int r = WSPR_ECLOSED;

    if (flow_find(vc, m->flow) == NULL && vc->held && !vc->closing && vc->ops != NULL &&
        vc->ops->accept != NULL && vc->n_app < vif->pool->limits.flows)
        f = flow_new(vc, m->flow, false, false);
    if (f != NULL) {
        f->announced = true;
        f->held = true;
        f->credit = m->bytes;
        r = vc->ops->accept(vc->arg, vc, f);
    }
    if (r >= 0) {
        stats->flows_accepted++;
        f->ungranted = vif->pool->limits.window;
        if (!vif->peer_borrows)
            flow_grant(f);
        return;
    }
    /* spec: stream 6.2. */
    stats->flows_rejected++;
    if (vc->state == VC_READY)
        ctl_bare_close(vif, vc->vci, m->flow);
    if (f != NULL) {
        f->held = false;
        flow_gone(f);
        flow_check(f);
    }
}

/* The peer neither sends nor reads any more. */
static void flow_peer_closed(struct vc_flow *f)
{
    if (f->state == FLOW_OPEN && f->held) {
        f->answer = true;
        vif_note(f->vc->vif, &f->note, NOTE_EOF);
    }
    flow_gone(f);
}

/* The payload in clear, in *ret, which may point into scratch. */
static int flow_open_payload(struct vc *vc, const struct vc_msg *m, struct buf *scratch,
                             struct span *ret)
{
    struct err e = ERR_INIT;
    int r;

    if (vc->security == VC_INSECURE || m->payload.len == 0) {
        *ret = m->payload;
        return 0;
    }
    pool_take(vc->vif->pool, scratch, m->payload.len);
    r = vc->crypter->ops->open(vc->crypter, m->payload, scratch, &e);
    if (r < 0) {
        vc->vif->pool->stats.err_open++;
        err_prefix(&e, WSPR_ECRYPTO, "failed to decrypt payload: ");
        vc_end(vc, &e, "failed to decrypt payload");
        return r;
    }
    *ret = buf_span(scratch);
    return 0;
}

void flow_on_data(struct vc *vc, const struct vc_msg *m)
{
    struct vc_vif *vif = vc->vif;
    struct vc_flow *f = flow_find(vc, m->flow);
    struct buf scratch = BUF_INIT(m->payload.len);
    struct span plain;

    if (f != NULL && f->raw) { /* a leftover of the handshake: never sealed */
        if (m->flags & VC_FLAG_CLOSE)
            flow_gone(f);
        return;
    }
    /* Opened even if nobody wants it: the cipher must stay in step (spec: stream 4.4). */
    if (flow_open_payload(vc, m, &scratch, &plain) < 0) {
        buf_done(&scratch);
        return;
    }
    vif->pool->stats.plain_in += plain.len;
    if (f == NULL) {
        vif->pool->stats.ignored++;
    } else if (f->state == FLOW_OPEN && plain.len > 0) {
        if (!flow_received(f, plain.len)) {
            vif->pool->stats.err_credit++;
            vc_end_close(vc, WSPR_ELIMIT, "flow control was ignored");
        } else if (f->ops != NULL && f->ops->data != NULL) {
            f->ops->data(f->arg, f, plain);
        } else {
            vc_flow_consumed(f, plain.len);
        }
    }
    pool_give(vif->pool, &scratch);
    if (f != NULL && (m->flags & VC_FLAG_CLOSE))
        flow_peer_closed(f);
}

void flow_vc_died(struct vc_flow *f)
{
    if (f->state == FLOW_OPEN && f->held) {
        f->vc_died = true;
        vif_note(f->vc->vif, &f->note, NOTE_EOF);
    }
    flow_gone(f);
}

void flow_deliver(struct vc_flow *f, uint8_t bits)
{
    if ((bits & NOTE_WRITABLE) && f->held && f->state == FLOW_OPEN && f->ops != NULL &&
        f->ops->writable != NULL)
        f->ops->writable(f->arg, f);
    if ((bits & NOTE_EOF) && f->held && f->ops != NULL && f->ops->eof != NULL)
        f->ops->eof(f->arg, f, vc_flow_why(f));
}

/* ---- the user's functions ---- */

int vc_flow_open(struct vc *vc, const struct vc_flow_ops *ops, void *arg, struct vc_flow **ret_flow,
                 struct err *e)
{
    struct vc_flow *f;
    int r = vc_can_open(vc);

    if (r == WSPR_ECLOSED) {
        struct buf b = BUF_INIT(ERR_MSG_MAX);

        quote_append(&b, span_str(err_text(&vc->why)), '"');
        err_set(e, r, "Connect on closed VC(%s)", buf_cstr(&b) != NULL ? buf_cstr(&b) : "");
        buf_done(&b);
        return r;
    }
    if (r < 0)
        return err_set(e, r, vc_is_worn(vc) ? "no flow ids left" : "too many flows on the circuit");
    f = flow_new(vc, (uint32_t)vc->next_flow, false, true);
    if (f == NULL)
        return err_set(e, WSPR_ENOMEM, "out of memory");
    vc->next_flow += 2;
    vc->vif->pool->stats.flows_opened++;
    f->held = true;
    f->ops = ops;
    f->arg = arg;
    if (vc->state == VC_READY)
        ctl_open_flow(f);
    *ret_flow = f;
    return 0;
}

void vc_flow_set_ops(struct vc_flow *flow, const struct vc_flow_ops *ops, void *arg)
{
    flow->ops = ops;
    flow->arg = arg;
}

/* The handle is given back; nothing more is called. */
static void flow_release(struct vc_flow *f)
{
    f->held = false;
    f->note.bits = 0;
    list_remove(&f->note.link);
}

void vc_flow_close(struct vc_flow *flow)
{
    struct vc_vif *vif;

    if (flow == NULL)
        return;
    vif = flow->vc->vif;
    flow_release(flow);
    if (flow->answer && vif->pool->limits.answer_close && flow->vc->state == VC_READY)
        ctl_bare_close(vif, flow->vc->vci, flow->id);
    if (flow->state == FLOW_OPEN && !flow->announced && flow->tx.len == 0)
        flow_gone(flow); /* the peer never heard of it */
    else if (flow->state == FLOW_OPEN)
        flow_begin_close(flow);
    else
        flow_check(flow);
    vif_reap(vif);
}

void vc_flow_cancel(struct vc_flow *flow)
{
    if (flow == NULL)
        return;
    if (flow->state == FLOW_OPEN)
        flow_drop_queue(flow);
    vc_flow_close(flow);
}

struct vc *vc_flow_vc(const struct vc_flow *flow)
{
    return flow->vc;
}

uint32_t vc_flow_id(const struct vc_flow *flow)
{
    return flow->id;
}

bool vc_flow_is_closed(const struct vc_flow *flow)
{
    return flow->state != FLOW_OPEN;
}

const struct err *vc_flow_why(const struct vc_flow *flow)
{
    static const struct err none;

    return flow->vc_died ? &flow->vc->why : &none;
}

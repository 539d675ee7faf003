#include "config.h"

/* What a flow has still to send: the queue that writers fill and out.c empties. */

#include "vc/impl.h"

#define WRITE_TAKE_MIN 65536u /* bytes of a writer that are taken over rather than copied */

void flow_drop_queue(struct vc_flow *f)
{
    struct vc_vif *vif = f->vc->vif;

    vif->queued -= f->tx.len;
    vif->pool->stats.queued -= f->tx.len;
    pool_give(vif->pool, &f->tx);
}

static bool flow_has_room(const struct vc_flow *f, size_t n)
{
    return f->tx.len <= f->tx.max && n <= f->tx.max - f->tx.len;
}

/* n more bytes are in the queue. */
static void flow_queued(struct vc_flow *f, size_t n)
{
    struct vc_vif *vif = f->vc->vif;

    vif->queued += n;
    vif->pool->stats.queued += n;
    if (list_empty(&f->active))
        flow_kick(f);
}

int flow_append(struct vc_flow *f, struct span bytes)
{
    int r;

    if (bytes.len == 0)
        return 0;
    if (!flow_has_room(f, bytes.len))
        return WSPR_ELIMIT;
    pool_take(f->vc->vif->pool, &f->tx, bytes.len);
    buf_append_span(&f->tx, bytes);
    r = buf_error(&f->tx);
    f->tx.error = 0;
    if (r < 0)
        return r;
    flow_queued(f, bytes.len);
    return 0;
}

/* The same by making their memory that of the queue, whose few bytes move to its front. */
static int flow_take(struct vc_flow *f, struct buf *bytes)
{
    size_t ahead = f->tx.len, n = bytes->len, max = bytes->max;

    if (!flow_has_room(f, n))
        return WSPR_ELIMIT;
    bytes->max = f->tx.max;
    if (ahead > 0 && buf_reserve(bytes, ahead) != NULL) {
        memmove(buf_data(bytes) + ahead, buf_data(bytes), n);
        memcpy(buf_data(bytes), buf_data(&f->tx), ahead);
        buf_commit(bytes, ahead);
    }
    if (buf_error(bytes) == 0) {
        pool_give(f->vc->vif->pool, &f->tx);
        f->tx = *bytes;
        *bytes = BUF_INIT(max);
        flow_queued(f, n);
    }
    bytes->max = max;
    return buf_error(bytes);
}

/* Whether n bytes more may be queued now. */
static int flow_may_write(const struct vc_flow *f, size_t n)
{
    const struct vc_vif *vif = f->vc->vif;
    const struct vc_limits *l = &vif->pool->limits;

    if (f->state != FLOW_OPEN)
        return WSPR_ECLOSED;
    if (vif->queued > l->queue_vif || n > l->queue_vif - vif->queued ||
        vif->pool->stats.queued + n > l->queue_total)
        return WSPR_ELIMIT;
    return 0;
}

/* What a writer is told, by what became of its bytes. */
static int flow_written(struct vc_flow *f, int r, struct err *e)
{
    struct vc_pool *pool = f->vc->vif->pool;

    if (r == WSPR_ECLOSED)
        return err_set(e, r, "attempt to call Write on Flow that has been Closed");
    if (r == WSPR_ELIMIT)
        pool->stats.err_queue++;
    if (r < 0)
        return err_set(e, r, r == WSPR_ELIMIT ? "too many bytes wait to be sent" : "out of memory");
    if (f->tx.len > pool->limits.queue_soft)
        f->full = true;
    return f->full ? VC_FULL : 0;
}

int vc_flow_write(struct vc_flow *flow, struct span bytes, struct err *e)
{
    int r = flow_may_write(flow, bytes.len);

    if (r == 0)
        r = flow_append(flow, bytes);
    return flow_written(flow, r, e);
}

int vc_flow_take(struct vc_flow *flow, struct buf *bytes, struct err *e)
{
    int r = flow_may_write(flow, bytes->len);

    if (r == 0 && bytes->len >= WRITE_TAKE_MIN && flow->tx.len <= POOL_BLOCK)
        r = flow_take(flow, bytes);
    else if (r == 0)
        r = flow_append(flow, buf_span(bytes));
    buf_reset(bytes);
    return flow_written(flow, r, e);
}

size_t vc_flow_queued(const struct vc_flow *flow)
{
    return flow->tx.len;
}

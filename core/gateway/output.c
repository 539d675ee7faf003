/*
 * What waits to be sent to all pages together: queues, and results of calls that have not sent all
 * of them yet. Each has a limit of its own (out_hard), but many could fill the memory all the same:
 * beyond out_total the one with most ends.
 *
 * A queue is counted when something is appended to it and when it has drained; what the kernel took
 * meanwhile is only known to a count of all, which is made when the limit seems to be passed.
 *
 * A socket goes on sending for a few seconds after its connection has ended. What waits there
 * counts for those that are to do so as well.
 */
#include "config.h"

#include <inttypes.h>

#include "gateway/private.h"

static void recount(struct wspr_conn *c)
{
    size_t queued = c->sock != NULL ? loop_sock_queued(c->sock) + c->result_bytes : 0;

    c->gw->stats.out_bytes += (uint64_t)queued - c->out_counted;
    c->out_counted = queued;
}

void gateway_conn_count_output(struct wspr_conn *c)
{
    recount(c);
    if (c->gw->stats.out_bytes > c->gw->limits.out_total)
        loop_worker_later(c->gw->worker, &c->gw->relief);
}

static struct wspr_conn *count_all(struct gateway *gw)
{
    struct wspr_conn *most = NULL;

    LIST_FOREACH (node, &gw->conns) {
        struct wspr_conn *c = LIST_OBJECT(node, struct wspr_conn, node);

        recount(c);
        if (most == NULL || c->out_counted > most->out_counted)
            most = c;
    }
    return most;
}

/* A task: senders are on the stack when the limit is noticed. */
void gateway_relieve(void *arg)
{
    struct gateway *gw = arg;
    struct wspr_conn *c = count_all(gw);

    while (c != NULL && gw->stats.out_bytes > gw->limits.out_total) {
        gw->stats.err_output++;
        log_write(gw->log, LOG_LEVEL_WARN, "gateway",
                  "conn=%" PRIu64 " is ended: %zu bytes wait for it, %" PRIu64 " for all pages",
                  c->number, c->out_counted, gw->stats.out_bytes);
        gateway_conn_abort(c);
        c = count_all(gw);
    }
}

bool gateway_conn_may_linger(struct wspr_conn *c)
{
    struct gateway *gw = c->gw;
    uint64_t closed;

    if (loop_sock_queued(c->sock) <= gw->limits.out_soft)
        return true;
    closed = loop_sock_lingering(gw->worker);
    if (gw->stats.out_bytes + closed > gw->limits.out_total)
        count_all(gw);
    if (gw->stats.out_bytes + closed <= gw->limits.out_total)
        return true;
    gw->stats.err_output++;
    return false;
}

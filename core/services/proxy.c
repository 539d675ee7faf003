/*
 * Connections of the relay.
 *
 *     socket --data--> vc_vif_input --message--> hub --> output of another connection
 *                          | what is for us
 *                          v
 *                      the engine: registrations        vc_vif_output <--fill-- socket
 *
 * A connection that is over tells the others at once, and is taken apart at the end of the turn.
 */
#include "config.h"
#include "services/proxy_private.h"

#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>

#include "base/clock.h"
#include "loop/worker.h"
#include "security/identity.h"

#define SWEEP_TIME  CLOCK_S
#define FILL        65536
#define ANSWER_ROOM (8u * 1024 * 1024) /* beyond peer_queue, for what closes circuits */

/* ---- the end ---- */

static void proxy_check_stopped(void *arg)
{
    struct proxy *p = arg;

    if (p->stopping && list_empty(&p->conns) && p->jobs.out == 0)
        loop_worker_reap(p->worker, &p->stop_task);
}

static void conn_end(void *arg)
{
    struct proxy_conn *c = arg;
    struct proxy *p = c->proxy;
    struct buf *out = loop_sock_out(c->sock);
    struct err why = ERR_INIT;

    while (vc_vif_output(c->vif, out, FILL, loop_worker_now(p->worker)) > 0 && buf_error(out) == 0)
        ;
    loop_timer_stop(&c->timer);
    err_set(&why, WSPR_ECLOSED, "net.Conn is closing");
    vc_vif_free(c->vif, &why);
    err_done(&why);
    proxy_port_done(&c->port);
    loop_sock_close(c->sock);
    list_remove(&c->node);
    p->hub.stats.connections--;
    err_done(&c->why);
    free(c);
    proxy_check_stopped(p);
}

static void conn_over(struct proxy_conn *c, const struct err *why)
{
    if (c->over)
        return;
    c->over = true;
    log_write(c->proxy->log, LOG_LEVEL_INFO, "proxy", "connection of %s ends: %s", c->peer,
              why != NULL ? err_text(why) : "the proxy stops");
    proxy_port_gone(&c->port);
    loop_worker_reap(c->proxy->worker, &c->end);
}

static void conn_over_text(struct proxy_conn *c, const char *text)
{
    struct err e = ERR_INIT;

    err_set(&e, WSPR_ECLOSED, "%s", text);
    conn_over(c, &e);
    err_done(&e);
}

/* ---- the engine's and the hub's callbacks ---- */

static void conn_set_timer(struct proxy_conn *c)
{
    int64_t at = vc_vif_deadline(c->vif);

    if (at == INT64_MAX)
        loop_timer_stop(&c->timer);
    else if (!loop_timer_running(&c->timer) || c->timer.at != at)
        loop_timer_start_at(&c->timer, at);
}

static void conn_tick(void *arg)
{
    struct proxy_conn *c = arg;

    if (c->over)
        return;
    vc_vif_tick(c->vif, loop_worker_now(c->proxy->worker));
    conn_set_timer(c);
}

static void conn_wake(void *arg)
{
    struct proxy_conn *c = arg;

    if (!c->over)
        loop_sock_want_write(c->sock);
}

static void conn_work(void *arg, struct vc_job *job)
{
    struct proxy_conn *c = arg;

    rpc_jobs_submit(&c->proxy->jobs, job);
}

static int conn_accept_vc(void *arg, struct vc *vc, struct span dst, struct span src,
                          struct vc_accept *ret_how, struct err *e)
{
    (void)dst;
    return proxy_enlist(arg, vc, src, ret_how, e);
}

static void conn_failed(void *arg, const struct err *why)
{
    struct proxy_conn *c = arg;

    if (!c->over)
        c->proxy->hub.stats.errors++;
    conn_over(c, why);
}

static int conn_message(void *arg, const struct vc_msg *msg, struct err *e)
{
    struct proxy_conn *c = arg;

    return proxy_port_message(&c->port, msg, e);
}

static const struct vc_vif_ops conn_vif_ops = {
    .wake = conn_wake,
    .work = conn_work,
    .accept_vc = conn_accept_vc,
    .failed = conn_failed,
    .message = conn_message,
};

static struct buf *conn_out(void *arg)
{
    struct proxy_conn *c = arg;

    return loop_sock_out(c->sock);
}

static bool conn_is_ours(void *arg, uint32_t vci)
{
    return proxy_enlist_is_ours(arg, vci);
}

static void conn_pause(void *arg, bool on)
{
    struct proxy_conn *c = arg;

    if (c->over)
        return;
    if (on)
        loop_sock_pause(c->sock);
    else
        loop_sock_resume(c->sock);
}

static const struct proxy_port_ops conn_port_ops = {
    .out = conn_out,
    .is_ours = conn_is_ours,
    .pause = conn_pause,
};

/* ---- the socket's callbacks ---- */

static size_t conn_data(void *arg, uint8_t *bytes, size_t len)
{
    struct proxy_conn *c = arg;

    if (!c->over) {
        vc_vif_input(c->vif, span_of(bytes, len), loop_worker_now(c->proxy->worker));
        conn_set_timer(c);
    }
    return len;
}

static void conn_fill(void *arg, struct buf *out)
{
    struct proxy_conn *c = arg;

    if (c->over)
        return;
    if (vc_vif_output(c->vif, out, FILL, loop_worker_now(c->proxy->worker)) < 0)
        conn_over_text(c, "out of memory");
    else
        conn_set_timer(c);
}

static void conn_drained(void *arg)
{
    struct proxy_conn *c = arg;

    proxy_port_drained(&c->port);
}

static void conn_closed(void *arg, const struct err *why)
{
    conn_over(arg, why);
}

static const struct loop_sock_ops conn_sock_ops = {
    .data = conn_data,
    .closed = conn_closed,
    .fill = conn_fill,
    .drained = conn_drained,
};

/* ---- accepting ---- */

static int conn_up(struct proxy_conn *c)
{
    struct proxy *p = c->proxy;
    struct vc_vif_opts opts = {
        .accepting = true,
        .version = NAMING_VERSION_MAX, /* whatever the endpoints say */
        .name = c->peer,
        .now = loop_worker_now(p->worker),
    };
    uint64_t key;

    if (gnutls_rnd(GNUTLS_RND_NONCE, &key, sizeof key) < 0)
        return WSPR_ECRYPTO;
    c->vif = vc_vif_new(p->pool, &opts, &conn_vif_ops, c);
    if (c->vif == NULL)
        return WSPR_ENOMEM;
    proxy_port_init(&c->port, &p->hub, &conn_port_ops, c, c->vif, key);
    return 0;
}

static int conn_new(struct proxy *p, int fd, const struct loop_addr *peer)
{
    struct loop_sock_opts opts = {
        .ops = &conn_sock_ops,
        .out_max = p->hub.limits.peer_queue + ANSWER_ROOM,
        .out_low = PROXY_SOFT_QUEUE / 2,
        .keepalive = true,
        .patience = p->hub.limits.dead_time,
    };
    struct proxy_conn *c = calloc(1, sizeof *c);
    int r;

    if (c == NULL) {
        loop_listener_drop(fd);
        return WSPR_ENOMEM;
    }
    c->proxy = p;
    c->idle_since = c->stuck_since = loop_worker_now(p->worker);
    loop_addr_text(peer, c->peer);
    list_init(&c->enlistings);
    loop_timer_init(&c->timer, p->worker, conn_tick, c);
    loop_task_init(&c->end, conn_end, c);
    opts.arg = c;
    opts.peer = peer;
    r = loop_sock_adopt(p->worker, fd, &opts, &c->sock, NULL);
    if (r < 0) {
        free(c);
        return r;
    }
    r = conn_up(c);
    if (r < 0) {
        loop_sock_abort(c->sock);
        free(c);
        return r;
    }
    list_push_back(&p->conns, &c->node);
    p->hub.stats.connections++;
    p->hub.stats.accepted++;
    return 0;
}

static void proxy_accepted(void *arg, int fd, const struct loop_addr *peer)
{
    struct proxy *p = arg;
    int r = WSPR_ELIMIT;

    if (p->hub.stats.connections < p->hub.limits.connections)
        r = conn_new(p, fd, peer);
    else
        loop_listener_drop(fd);
    if (r == 0)
        return;
    p->hub.stats.dropped++;
    log_write(p->log, LOG_LEVEL_WARN, "proxy", "a connection is dropped: %s", err_code_text(r));
}

static void proxy_trouble(void *arg, const struct err *why)
{
    struct proxy *p = arg;

    log_write(p->log, LOG_LEVEL_WARN, "proxy", "accepting connections pauses: %s", err_text(why));
}

static const struct loop_listener_ops proxy_listener_ops = {
    .accepted = proxy_accepted,
    .trouble = proxy_trouble,
};

/* ---- time ---- */

/* Ends a connection that takes nothing of what waits for it, or does nothing at all. */
static void conn_sweep(struct proxy_conn *c, int64_t now)
{
    struct proxy_hub *hub = &c->proxy->hub;
    size_t queued = loop_sock_queued(c->sock);
    uint64_t written = c->port.put - queued;

    proxy_enlist_sweep(c, now);
    /* What ends circuits is queued without being in `put`: then less seems to be written. */
    if (queued == 0 || (int64_t)(written - c->written) > 0)
        c->stuck_since = now;
    c->written = written;
    if (c->port.n_ends > 0 || c->n_enlistings > 0)
        c->idle_since = now;
    if (now - c->stuck_since > hub->limits.stall_time) {
        hub->stats.stalled++;
        conn_over_text(c, "it takes nothing of what waits for it");
    } else if (now - c->idle_since > hub->limits.idle_time) {
        hub->stats.idled++;
        conn_over_text(c, "it has no circuits");
    }
}

/* All together wait for too much: whoever has most goes, until it is enough. */
static void proxy_shed(struct proxy *p)
{
    while (p->hub.stats.queued > p->hub.limits.total_queue) {
        struct proxy_conn *worst = NULL;

        LIST_FOREACH (node, &p->conns) {
            struct proxy_conn *c = LIST_OBJECT(node, struct proxy_conn, node);

            if (!c->over &&
                (worst == NULL || loop_sock_queued(c->sock) > loop_sock_queued(worst->sock)))
                worst = c;
        }
        if (worst == NULL)
            return;
        p->hub.stats.queued -= loop_sock_queued(worst->sock);
        p->hub.stats.stalled++;
        conn_over_text(worst, "too much waits for all connections together");
    }
}

static void proxy_sweep(void *arg)
{
    struct proxy *p = arg;
    int64_t now = loop_worker_now(p->worker);

    p->hub.stats.queued = 0;
    LIST_FOREACH (node, &p->conns) {
        struct proxy_conn *c = LIST_OBJECT(node, struct proxy_conn, node);

        if (c->over)
            continue;
        conn_tick(c); /* one that takes nothing asks for no output, which would bring the time */
        if (!c->over)
            conn_sweep(c, now);
        if (!c->over)
            p->hub.stats.queued += loop_sock_queued(c->sock);
    }
    proxy_shed(p);
    vc_pool_trim(p->pool);
}

/* ---- the interface ---- */

static void proxy_free(struct proxy *p)
{
    if (p == NULL)
        return;
    loop_timer_stop(&p->sweep);
    loop_listener_free(p->listener);
    vc_pool_free(p->pool);
    vc_tls_free(p->tls);
    security_private_unref(p->identity);
    free(p);
}

static void proxy_stopped(void *arg)
{
    struct proxy *p = arg;
    void (*stopped)(void *) = p->stopped;
    void *stopped_arg = p->stopped_arg;

    proxy_free(p);
    if (stopped != NULL)
        stopped(stopped_arg);
}

static int proxy_random(struct proxy *p, struct err *err)
{
    struct vc_limits limits;
    uint8_t key[16];
    int r = gnutls_rnd(GNUTLS_RND_NONCE, key, sizeof key);

    if (r >= 0)
        r = gnutls_rnd(GNUTLS_RND_NONCE, &p->hub.key, sizeof p->hub.key);
    if (r < 0)
        return err_set(err, WSPR_ECRYPTO, "no random numbers can be had");
    vc_limits_default(&limits);
    limits.handshake_timeout = p->hub.limits.handshake_time;
    limits.vcs = p->hub.limits.registrations + 1; /* proxy_enlist() refuses it, with its words */
    limits.window = 131072;                       /* nobody has much to say to us */
    p->pool = vc_pool_new(&limits, key);
    return p->pool != NULL ? 0 : err_set(err, WSPR_ENOMEM, "out of memory");
}

/*
 * The routing id is made from the identity's key and the address: after a restart servers that
 * remember the endpoint, as the reference's do, can register again. With an identity of its own for
 * each process it is as good as random.
 */
static int proxy_draw_rid(struct proxy *p, const char *address, struct err *err)
{
    const struct security_pubkey *key = security_identity_key(security_private_public(p->identity));
    struct buf text = BUF_INIT(4096);
    uint8_t digest[32];
    int r;

    buf_append_str(&text, "wspr relay ");
    buf_append(&text, key->xy, sizeof key->xy);
    buf_append_str(&text, address);
    r = buf_error(&text);
    if (r == 0 && gnutls_hash_fast(GNUTLS_DIG_SHA256, buf_data(&text), text.len, digest) < 0)
        r = WSPR_ECRYPTO;
    buf_done(&text);
    if (r < 0)
        return err_set(err, r, "%s", err_code_text(r));
    memcpy(p->hub.rid.b, digest, sizeof p->hub.rid.b);
    if (naming_rid_is_reserved(&p->hub.rid))
        p->hub.rid.b[0] |= 0x80;
    return 0;
}

static int proxy_listen(struct proxy *p, const struct proxy_opts *opts, struct err *err)
{
    char bound[LOOP_ADDR_TEXT], address[NAMING_ADDRESS_MAX + 1];
    int r = loop_listener_new(p->worker, opts->address, &proxy_listener_ops, p, &p->listener, err);

    if (r < 0)
        return r;
    loop_addr_text(loop_listener_addr(p->listener), bound);
    r = naming_address_advertised(bound, opts->advertise, address, err);
    if (r == 0)
        r = proxy_draw_rid(p, address, err);
    if (r == 0)
        r = naming_endpoint_make(&p->self, span_str("tcp"), span_str(address), &p->hub.rid, err);
    if (r == 0)
        naming_endpoint_text(&p->self, p->endpoint);
    return r;
}

int proxy_new(const struct proxy_opts *opts, struct proxy **ret_proxy, struct err *err)
{
    struct proxy *p = calloc(1, sizeof *p);
    int r;

    if (p == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    p->worker = opts->worker;
    p->log = opts->log;
    p->identity = security_private_ref(opts->identity);
    p->jobs = (struct rpc_jobs){opts->worker, opts->offload, 0, proxy_check_stopped, p};
    p->hub.limits = opts->limits;
    proxy_limits_complete(&p->hub.limits);
    list_init(&p->conns);
    loop_timer_init(&p->sweep, p->worker, proxy_sweep, p);
    loop_task_init(&p->stop_task, proxy_stopped, p);
    r = vc_tls_new(opts->legacy_peers, &p->tls, err);
    if (r == 0)
        r = proxy_random(p, err);
    if (r == 0)
        r = proxy_listen(p, opts, err);
    if (r < 0) {
        proxy_free(p);
        return r;
    }
    loop_timer_start_every(&p->sweep, SWEEP_TIME);
    *ret_proxy = p;
    return 0;
}

const char *proxy_endpoint(const struct proxy *p)
{
    return p->endpoint;
}

const struct proxy_stats *proxy_stats(const struct proxy *p)
{
    return &p->hub.stats;
}

static void proxy_log_stats(const struct proxy *p)
{
    const struct proxy_stats *s = &p->hub.stats;

    log_write(p->log, LOG_LEVEL_INFO, "proxy",
              "%llu connections, %llu registrations, %llu circuits, %llu messages with %llu bytes, "
              "%llu overflows, %llu pauses, %llu stalled",
              (unsigned long long)s->accepted, (unsigned long long)s->registered,
              (unsigned long long)s->opened, (unsigned long long)s->messages,
              (unsigned long long)s->bytes, (unsigned long long)s->overflows,
              (unsigned long long)s->pauses, (unsigned long long)s->stalled);
}

void proxy_stop(struct proxy *p, void (*done)(void *arg), void *arg)
{
    proxy_log_stats(p);
    p->stopping = true;
    p->stopped = done;
    p->stopped_arg = arg;
    loop_listener_free(p->listener);
    p->listener = NULL;
    loop_timer_stop(&p->sweep);
    LIST_FOREACH (node, &p->conns)
        conn_over(LIST_OBJECT(node, struct proxy_conn, node), NULL);
    proxy_check_stopped(p);
}

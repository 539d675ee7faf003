/*
 * One WebSocket connection.
 *
 *     HEAD --upgrade--> OPEN --close, error, timeout, shutdown--> CLOSING --flows finished--> freed
 *       |                                                            ^
 *       +--plain HTTP answer, bad head, timeout----------------------+
 *
 * In CLOSING nothing is read or sent any more; the socket is closed (its queued output lingers on
 * its own), flows are cancelled, and the object waits for the plugins to finish them.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "gateway/private.h"
#include "gateway/signature.h"
#include "json/writer.h"
#include "rpc/turns.h"
#include "ws/handshake.h"
#include "ws/origin.h"
#include "ws/surface.h"

/* ---- the end ---- */

static void conn_free(struct wspr_conn *c)
{
    struct gateway *gw = c->gw;

    list_remove(&c->node);
    loop_timer_stop(&c->ping);
    loop_timer_stop(&c->deadline);
    loop_timer_stop(&c->hold);
    loop_task_cancel(&c->task);
    gateway_sig_cache_free(c);
    gateway_conn_identity_done(c);
    rpc_share_unref(c->share);
    ws_dec_done(&c->dec);
    flow_table_done(&c->flows);
    free(c->head);
    free(c->origin);
    free(c->plugins);
    free(c);
    if (gw->n_draining > 0)
        loop_worker_reap(gw->worker, &gw->drain_task);
    gw->stats.conns--;
    gateway_check_stopped(gw);
}

/* Tells plugins whose last flow has finished that the connection is gone; frees it after all. */
void gateway_conn_check_gone(struct wspr_conn *c)
{
    bool waiting = false;

    if (c->phase != CONN_CLOSING || !c->over || c->busy > 0)
        return;
    c->busy++;
    for (unsigned i = 0; i < c->gw->n_hosts; i++) {
        struct wspr_host *h = c->gw->hosts[i];

        if (h != NULL && i < c->n_plugins && !gateway_plugin_close_conn(h, c))
            waiting = true;
    }
    c->busy--;
    if (waiting || !list_empty(&c->calls) || !list_empty(&c->sig_waits))
        return;
    conn_free(c);
}

static void conn_closing(struct wspr_conn *c)
{
    if (c->phase == CONN_CLOSING)
        return;
    c->phase = CONN_CLOSING;
    loop_timer_stop(&c->ping);
    loop_timer_stop(&c->hold);
    if (c->sock != NULL && gateway_conn_may_linger(c))
        loop_sock_close(c->sock);
    else if (c->sock != NULL)
        loop_sock_abort(c->sock);
    c->sock = NULL;
    gateway_conn_count_output(c);
    gateway_conn_count_input(c);
    loop_timer_start(&c->deadline, c->gw->limits.cancel_grace);
    gateway_conn_schedule(c);
}

void gateway_conn_drop(struct wspr_conn *c)
{
    conn_closing(c);
}

void gateway_conn_abort(struct wspr_conn *c)
{
    if (c->sock != NULL)
        loop_sock_abort(c->sock);
    c->sock = NULL;
    conn_closing(c);
}

void gateway_conn_close(struct wspr_conn *c, uint16_t code, const char *reason)
{
    if (gateway_conn_may_send(c)) {
        ws_enc_close(&c->enc, loop_sock_out(c->sock), code, span_str(reason));
        c->close_sent = true;
    }
    conn_closing(c);
}

/* Cancels what still runs. A flow that is cancelled may finish others. */
static void conn_cancel_flows(struct wspr_conn *c)
{
    struct list *node;
    struct list pending;

    list_init(&pending);
    while ((node = list_pop(&c->all)) != NULL)
        list_push_back(&pending, node);
    while ((node = list_pop(&pending)) != NULL) {
        list_push_back(&c->all, node);
        gateway_flow_cancel(LIST_OBJECT(node, struct wspr_flow, node));
    }
}

/* Runs after the callbacks of a turn: kept messages, the end. */
static void conn_task(void *arg)
{
    struct wspr_conn *c = arg;

    c->busy++;
    if (c->phase == CONN_CLOSING && !c->over) {
        c->over = true;
        ws_dec_done(&c->dec); /* a page that is gone completes no message */
        gateway_server_abort_all(c);
        conn_cancel_flows(c);
        gateway_call_abort_all(c);
        gateway_sig_wait_abort_all(c);
    }
    if (c->phase == CONN_OPEN)
        gateway_conn_deliver_kept(c);
    gateway_conn_update_input(c);
    gateway_conn_count_input(c);
    if (c->gw->n_draining > 0)
        loop_worker_reap(c->gw->worker, &c->gw->drain_task);
    gateway_conn_leave(c);
}

void gateway_conn_schedule(struct wspr_conn *c)
{
    loop_worker_later(c->gw->worker, &c->task);
}

void gateway_conn_leave(struct wspr_conn *c)
{
    if (--c->busy == 0)
        gateway_conn_check_gone(c);
}

/* ---- time ---- */

static void conn_ping(void *arg)
{
    struct wspr_conn *c = arg;

    if (!gateway_conn_may_send(c))
        return;
    ws_enc_ping(&c->enc, loop_sock_out(c->sock), span_of(NULL, 0));
    ws_dec_tick(&c->dec);
    gateway_conn_check_progress(c);
}

static void conn_deadline(void *arg)
{
    struct wspr_conn *c = arg;

    if (c->phase == CONN_CLOSING) {
        for (unsigned i = 0; i < c->n_plugins; i++) {
            if (c->plugins[i].flows > 0)
                log_write(c->gw->log, LOG_LEVEL_WARN, "gateway",
                          "conn=%" PRIu64 " plugin=%s: %u flows are not finished long after cancel",
                          c->number, c->gw->hosts[i]->name, c->plugins[i].flows);
        }
        c->gw->stats.err_plugin++;
        return;
    }
    if (loop_sock_paused(c->sock)) {
        /* We did not listen: silence is no sign of death. */
        loop_timer_start(&c->deadline, c->gw->limits.read_timeout);
        return;
    }
    c->gw->stats.err_timeout++;
    log_write(c->gw->log, LOG_LEVEL_INFO, "gateway", "conn=%" PRIu64 " is silent and is closed",
              c->number);
    gateway_conn_close(c, WS_CLOSE_GOING_AWAY, "no sign of life");
}

/*
 * One flow has held up the connection for too long: it fails, the others go on. A stream
 * whose service does not read, or a barrier that its plugin does not finish.
 */
static void conn_held_too_long(void *arg)
{
    struct wspr_conn *c = arg;

    c->busy++;
    if (c->stalled != NULL) {
        c->gw->stats.err_kept++;
        gateway_flow_break(c->stalled, WSPR_ELIMIT, "the service does not read the stream");
    } else if (c->barrier != NULL) {
        c->gw->stats.err_plugin++;
        log_write(c->gw->log, LOG_LEVEL_WARN, "gateway",
                  "conn=%" PRIu64 " plugin=%s holds up the connection for too long", c->number,
                  c->barrier->host->name);
        gateway_flow_break(c->barrier, WSPR_ETIMEOUT, err_code_text(WSPR_ETIMEOUT));
    }
    gateway_conn_leave(c);
}

/* ---- input ---- */

void gateway_conn_update_input(struct wspr_conn *c)
{
    bool hold = c->barrier != NULL || c->stalled != NULL || c->identity_held;

    if (c->phase != CONN_OPEN || hold == loop_sock_paused(c->sock))
        return;
    c->begun_before = 0;
    if (hold)
        loop_sock_pause(c->sock);
    else
        loop_sock_resume(c->sock);
}

/* How long is left for what holds the input up. */
static void conn_time_hold(struct wspr_conn *c)
{
    if (c->phase != CONN_OPEN)
        return;
    if (c->stalled != NULL)
        loop_timer_start(&c->hold, c->gw->limits.stall_timeout);
    else if (c->barrier != NULL)
        loop_timer_start(&c->hold, c->gw->limits.cancel_grace);
    else
        loop_timer_stop(&c->hold);
    gateway_conn_schedule(c);
}

void gateway_conn_hold_barrier(struct wspr_conn *c, struct wspr_flow *f)
{
    c->barrier = f;
    conn_time_hold(c);
}

void gateway_conn_hold_stalled(struct wspr_conn *c, struct wspr_flow *f)
{
    if (c->stalled != NULL)
        return;
    c->stalled = f;
    conn_time_hold(c);
}

void gateway_conn_release_barrier(struct wspr_conn *c, const struct wspr_flow *f)
{
    if (c->barrier != f)
        return;
    c->barrier = NULL;
    conn_time_hold(c);
}

void gateway_conn_release_stalled(struct wspr_conn *c, const struct wspr_flow *f)
{
    if (c->stalled != f)
        return;
    c->stalled = NULL;
    conn_time_hold(c);
}

static void conn_event(struct wspr_conn *c, const struct ws_event *ev)
{
    switch (ev->kind) {
    case WS_EVENT_DATA:
        c->begun_before = 0;
        gateway_conn_message(c, ev->payload);
        break;
    case WS_EVENT_PING:
        if (gateway_conn_may_send(c))
            ws_enc_pong(&c->enc, loop_sock_out(c->sock), ev->payload);
        break;
    case WS_EVENT_PONG:
        break;
    case WS_EVENT_CLOSE:
        if (gateway_conn_may_send(c))
            ws_enc_close_echo(&c->enc, loop_sock_out(c->sock), ev);
        c->close_sent = true;
        conn_closing(c);
        break;
    }
}

static size_t conn_frames(struct wspr_conn *c, uint8_t *p, size_t len)
{
    size_t used = 0;

    loop_timer_start(&c->deadline, c->gw->limits.read_timeout);
    while (c->phase == CONN_OPEN && used < len && c->barrier == NULL && c->stalled == NULL &&
           gateway_conn_identity_ready(c)) {
        struct ws_event ev;
        size_t n;
        int r = ws_dec_next(&c->dec, p + used, len - used, &n, &ev);

        used += n;
        if (r == 0)
            break;
        if (r < 0) {
            c->gw->stats.err_protocol++;
            log_write(c->gw->log, LOG_LEVEL_INFO, "gateway", "conn=%" PRIu64 " is closed: %s",
                      c->number, c->dec.close_reason);
            gateway_conn_close(c, c->dec.close_code, c->dec.close_reason);
            break;
        }
        conn_event(c, &ev);
    }
    ws_dec_release(&c->dec);
    gateway_conn_update_input(c);
    gateway_conn_count_input(c);
    return c->phase == CONN_OPEN ? used : len;
}

/* ---- HTTP ---- */

static void conn_answer(struct wspr_conn *c, const struct ws_http_answer *answer, bool head_only)
{
    c->gw->stats.http_answers++;
    ws_http_answer_write(loop_sock_out(c->sock), answer, head_only);
    conn_closing(c);
}

/* With TLS also what the certificate is for: who wants that name elsewhere fails at its check. */
static bool host_is_ours(const struct gateway *gw, const struct ws_origin *host)
{
    char name[256];

    if (ws_host_is_loopback(host))
        return true;
    if (gw->tls == NULL || host->host.len >= sizeof name)
        return false;
    memcpy(name, host->host.p, host->host.len);
    name[host->host.len] = '\0';
    return loop_tls_is_for(gw->tls, name);
}

/* A page of another site that got here by a rebound name is not ours to serve. */
static bool conn_host_allowed(struct wspr_conn *c)
{
    struct span host = ws_http_header(c->head, "Host");
    struct ws_origin parsed;
    char quoted[128];

    if (host.p == NULL)
        return true;
    if (ws_host_parse(host, &parsed) == 0 && host_is_ours(c->gw, &parsed))
        return true;
    log_write(c->gw->log, LOG_LEVEL_WARN, "gateway", "conn=%" PRIu64 " from %s refused: Host %s",
              c->number, c->remote, log_quote(quoted, sizeof quoted, host.p, host.len));
    c->gw->stats.refused++;
    return false;
}

/* With a list of origins, nobody else connects; pages that cannot be told apart do not either. */
static bool conn_origin_allowed(struct wspr_conn *c)
{
    struct span origin = ws_http_header(c->head, "Origin");
    char quoted[128];

    if (c->gw->allowed_origins.n == 0 || policy_admits(&c->gw->allowed_origins, origin, c->local))
        return true;
    log_write(c->gw->log, LOG_LEVEL_WARN, "gateway", "conn=%" PRIu64 " from %s refused: Origin %s",
              c->number, c->remote, log_quote(quoted, sizeof quoted, origin.p, origin.len));
    c->gw->stats.refused++;
    return false;
}

unsigned gateway_conn_extra(struct span name)
{
    return span_equal_str(name, "cancel") ? CONN_EXTRA_CANCEL : 0;
}

/* What the page asks for in the query of its request: "extras=cancel,other". Others are ignored. */
static unsigned conn_extras(struct span query)
{
    static const char key[] = "extras=";
    const char *p = query.len > 0 ? (const char *)query.p : "", *end = p + query.len, *stop;
    unsigned extras = 0;

    while (p < end) {
        const char *amp = memchr(p, '&', (size_t)(end - p));

        stop = amp != NULL ? amp : end;
        if ((size_t)(stop - p) >= sizeof key - 1 && memcmp(p, key, sizeof key - 1) == 0) {
            for (p += sizeof key - 1; p < stop;) {
                const char *comma = memchr(p, ',', (size_t)(stop - p));
                const char *last = comma != NULL ? comma : stop;

                extras |= gateway_conn_extra(span_of(p, (size_t)(last - p)));
                p = last + (comma != NULL);
            }
        }
        p = amp != NULL ? amp + 1 : end;
    }
    return extras;
}

static int conn_upgrade(struct wspr_conn *c)
{
    struct ws_dec_options opt = {
        .role = WS_SERVER,
        .strict = c->gw->strict_utf8,
        .limits = WS_LIMITS,
    };
    struct span origin = ws_http_header(c->head, "Origin");
    char *acts_as;

    opt.limits.message = c->gw->limits.message_max;
    c->origin = mem_strndup(origin.p != NULL ? (const char *)origin.p : "", origin.len);
    if (c->origin == NULL || gateway_conn_name_of(origin, &acts_as) < 0)
        return WSPR_ENOMEM;
    gateway_conn_act_as(c, acts_as);
    c->extras = conn_extras(c->head->query);
    ws_handshake_respond(loop_sock_out(c->sock), c->head);
    ws_dec_init(&c->dec, &opt);
    ws_enc_init(&c->enc, WS_SERVER, 0);
    c->phase = CONN_OPEN;
    c->gw->stats.upgraded++;
    loop_timer_start_every(&c->ping, c->gw->limits.ping_period);
    loop_timer_start(&c->deadline, c->gw->limits.read_timeout);
    gateway_conn_identity_ready(c); /* it can be made while the first frame is on its way */
    return gateway_conn_send_first(c);
}

static void conn_request(struct wspr_conn *c)
{
    struct ws_http_answer answer;
    bool head_only = ws_http_is_head(c->head);

    if (!conn_host_allowed(c)) {
        ws_http_answer_status(403, &answer);
        conn_answer(c, &answer, head_only);
        return;
    }
    if (ws_surface_route(c->head, &answer) != WS_ROUTE_UPGRADE) {
        conn_answer(c, &answer, head_only);
        return;
    }
    if (!conn_origin_allowed(c)) {
        ws_http_answer_status(403, &answer);
        conn_answer(c, &answer, head_only);
        return;
    }
    if (conn_upgrade(c) < 0)
        gateway_conn_drop(c);
    free(c->head);
    c->head = NULL;
}

static size_t conn_head(struct wspr_conn *c, uint8_t *p, size_t len)
{
    struct ws_http_answer answer;
    int r = ws_http_head_feed(c->head, p, len, NULL);

    if (r == 0)
        return 0;
    if (r < 0) {
        ws_http_answer_error(r, &answer);
        conn_answer(c, &answer, false);
        return len;
    }
    conn_request(c);
    return (size_t)r;
}

/* ---- the socket's callbacks ---- */

static size_t conn_data(void *arg, uint8_t *p, size_t len)
{
    struct wspr_conn *c = arg;
    size_t used = 0;

    c->busy++;
    if (c->phase == CONN_HEAD)
        used = conn_head(c, p, len);
    if (c->phase == CONN_OPEN && used < len)
        used += conn_frames(c, p + used, len - used);
    else if (c->phase == CONN_CLOSING)
        used = len;
    gateway_conn_leave(c);
    return used;
}

static void conn_sock_closed(void *arg, const struct err *why)
{
    struct wspr_conn *c = arg;

    if (why->code == WSPR_ELIMIT) {
        c->gw->stats.err_output++;
        log_write(c->gw->log, LOG_LEVEL_INFO, "gateway", "conn=%" PRIu64 " is closed: %s",
                  c->number, err_text(why));
    }
    gateway_conn_drop(c);
}

static void conn_drained(void *arg)
{
    struct wspr_conn *c = arg;

    gateway_conn_count_output(c);
    if (c->phase == CONN_OPEN)
        gateway_conn_writable(c);
}

static const struct loop_sock_ops conn_sock_ops = {
    .data = conn_data,
    .closed = conn_sock_closed,
    .drained = conn_drained,
};

static struct wspr_conn *conn_new(struct gateway *gw, const struct loop_addr *peer)
{
    char remote[LOOP_ADDR_TEXT];
    struct wspr_conn *c;

    loop_addr_text(peer, remote);
    c = calloc(1, sizeof *c + strlen(remote) + 1);
    if (c == NULL)
        return NULL;
    memcpy(c->remote, remote, strlen(remote));
    c->head = malloc(sizeof *c->head);
    if (c->head == NULL || gateway_conn_fit_plugins(c, gw->n_hosts) < 0) {
        free(c->head);
        free(c);
        return NULL;
    }
    ws_http_head_init(c->head, false, NULL);
    c->gw = gw;
    c->number = ++gw->next_conn;
    list_init(&c->all);
    list_init(&c->resumed);
    list_init(&c->full);
    list_init(&c->calls);
    list_init(&c->sig_waits);
    list_init(&c->servers);
    loop_timer_init(&c->ping, gw->worker, conn_ping, c);
    loop_timer_init(&c->deadline, gw->worker, conn_deadline, c);
    loop_timer_init(&c->hold, gw->worker, conn_held_too_long, c);
    loop_task_init(&c->task, conn_task, c);
    gateway_conn_identity_init(c);
    c->local = loop_addr_is_loopback(peer);
    list_push_back(&gw->conns, &c->node);
    gw->stats.conns++;
    return c;
}

void gateway_conn_accept(struct gateway *gw, int fd, const struct loop_addr *peer)
{
    struct loop_sock_opts opts = {
        .ops = &conn_sock_ops,
        .in_max = (size_t)gw->limits.message_max + 65536,
        .out_max = gw->limits.out_hard,
        .out_low = gw->limits.out_soft / 2,
        .code_only = true,
        .tls = gw->tls,
        .pool = gw->offload,
        .peer = peer,
    };
    struct wspr_conn *c = gw->stats.conns < gw->limits.conns ? conn_new(gw, peer) : NULL;
    struct err e = ERR_INIT;

    opts.arg = c;
    if (c == NULL) {
        close(fd);
        gw->stats.refused++;
        log_write(gw->log, LOG_LEVEL_WARN, "gateway", "a connection is refused: %s",
                  gw->stats.conns >= gw->limits.conns ? "too many connections" : "out of memory");
        return;
    }
    gw->stats.accepted++;
    if (loop_sock_adopt(gw->worker, fd, &opts, &c->sock, &e) < 0) {
        log_write(gw->log, LOG_LEVEL_WARN, "gateway", "a connection is dropped: %s", err_text(&e));
        conn_free(c);
    } else {
        loop_timer_start(&c->deadline, gw->limits.handshake_timeout);
    }
    err_done(&e);
}

/*
 * Listening through a relay (spec: stream 11.2). An attempt goes through the steps from left to
 * right; whatever goes wrong, and the loss of a relay, leads to the next attempt after a delay,
 * except that the first attempt's failure is its owner's business.
 *
 *     resolve --endpoint--> dial --link--> circuit --ready--> Request --Response--> listening
 *        ^                                                                              |
 *        +------------------------------ delay ---------------------------------------- lost
 *
 * Circuits of callers come over the same link and belong to the server; they outlive the
 * registration.
 */
#include "config.h"

#include <stdlib.h>

#include "base/clock.h"
#include "naming/name.h"
#include "rpc/enlist.h"
#include "rpc/link.h"
#include "rpc/resolve.h"
#include "rpc/server_private.h"

#define ATTEMPT_TIME (30 * CLOCK_S) /* for one attempt as a whole */
#define DELAY_FIRST  (5 * CLOCK_MS)
#define DELAY_MOST   (300 * CLOCK_S)
#define RELAY_MAX    65536

struct rpc_relaying {
    struct rpc_server *server;
    rpc_relay_fn *told;
    void *arg;
    struct buf relay; /* as given, ends in a NUL */
    struct rpc_resolution *resolution;
    struct rpc_link_waiter waiter;
    struct naming_endpoint at; /* the relay's */
    struct rpc_link *link;     /* while vc is not NULL */
    struct vc *vc;
    struct vc_flow *flow;
    struct vom_dec dec;
    struct buf in;
    struct loop_timer timer; /* the end of an attempt, or the beginning of the next one */
    int64_t delay;           /* before the next attempt */
    bool trying;             /* an attempt runs */
    bool up;
    bool known; /* the first outcome was told */
    char endpoint[NAMING_ENDPOINT_TEXT_MAX];
};

static void relaying_begin(void *arg);

/* ---- life ---- */

void rpc_relaying_free(struct rpc_relaying *q)
{
    if (q == NULL)
        return;
    vom_dec_done(&q->dec);
    buf_done(&q->in);
    buf_done(&q->relay);
    free(q);
}

/* Lets go of whatever the attempt or the registration holds. */
static void relaying_detach(struct rpc_relaying *q)
{
    loop_timer_stop(&q->timer);
    rpc_resolve_cancel(q->resolution);
    q->resolution = NULL;
    list_remove(&q->waiter.node);
    if (q->vc != NULL) {
        vc_vif_set_accepting(q->link->vif, false);
        vc_flow_close(q->flow);
        vc_close(q->vc);
        /* Nobody's circuit can have come over it yet; otherwise it ends when it is idle. */
        if (!q->up)
            rpc_link_shutdown(q->link);
    }
    q->flow = NULL;
    q->vc = NULL;
    q->link = NULL;
    q->trying = false;
    buf_release(&q->in);
}

void rpc_relaying_stop(struct rpc_server *s)
{
    if (s->relaying == NULL)
        return;
    relaying_detach(s->relaying);
    s->relaying->up = false;
}

/* ---- outcomes ---- */

static void relaying_log(struct rpc_relaying *q, enum log_level level, const char *what,
                         const struct err *why)
{
    char relay[256];

    log_write(q->server->rt->log, level, "relay", "%s %s%s%s", what,
              log_quote(relay, sizeof relay, (const char *)buf_data(&q->relay), q->relay.len - 1),
              why != NULL ? ": " : "", why != NULL ? err_text(why) : "");
}

static void relaying_tell(struct rpc_relaying *q, const char *endpoint, const struct err *why)
{
    if (!q->server->closing && q->told != NULL)
        q->told(q->arg, q->server, endpoint, why);
}

static void relaying_again(struct rpc_relaying *q)
{
    loop_timer_start(&q->timer, rpc_spread(q->delay));
    q->delay = q->delay < DELAY_MOST / 2 ? 2 * q->delay : DELAY_MOST;
}

/* The first attempt failed: it is as if there had been none. */
static void relaying_undone(struct rpc_relaying *q, const struct err *why)
{
    struct rpc_server *s = q->server;

    s->relaying = NULL;
    relaying_tell(q, NULL, why);
    rpc_relaying_free(q);
}

static void relaying_lost(struct rpc_relaying *q, const struct err *why)
{
    relaying_log(q, LOG_LEVEL_WARN, "lost the relay", why);
    rpc_server_remove_endpoint(q->server, q->endpoint);
    q->up = false;
    q->delay = DELAY_FIRST;
    relaying_again(q);
    relaying_tell(q, NULL, why);
}

/* Takes why, which may be the engine's; the texts of what failed last. */
static void relaying_fail(struct rpc_relaying *q, const struct err *why)
{
    struct err e = ERR_INIT;

    err_copy(&e, why);
    relaying_detach(q);
    if (!q->known) {
        relaying_undone(q, &e);
    } else if (q->up) {
        relaying_lost(q, &e);
    } else {
        relaying_log(q, LOG_LEVEL_INFO, "cannot listen through the relay", &e);
        relaying_again(q);
    }
    err_done(&e);
}

static void relaying_fail_text(struct rpc_relaying *q, int code, const char *text,
                               const struct err *why)
{
    struct err e = ERR_INIT;

    err_set(&e, code, "%s%s", text, err_text(why));
    relaying_fail(q, &e);
    err_done(&e);
}

static void relaying_limit(void *arg)
{
    struct rpc_relaying *q = arg;
    struct err e = ERR_INIT;

    if (!q->trying) {
        relaying_begin(q);
        return;
    }
    err_set(&e, WSPR_ETIMEOUT, "VC establishment with proxy failed: deadline exceeded");
    relaying_fail(q, &e);
    err_done(&e);
}

static void relaying_up(struct rpc_relaying *q, const struct naming_endpoint *ep)
{
    struct err e = ERR_INIT;

    loop_timer_stop(&q->timer);
    naming_endpoint_text(ep, q->endpoint);
    q->trying = false;
    q->known = true;
    q->up = true;
    q->delay = DELAY_FIRST;
    relaying_log(q, LOG_LEVEL_INFO, "listening through", NULL);
    if (rpc_server_add_endpoint(q->server, q->endpoint, &e) < 0)
        relaying_log(q, LOG_LEVEL_WARN, "cannot publish what listens through", &e);
    err_done(&e);
    relaying_tell(q, q->endpoint, NULL);
}

/* ---- registration ---- */

static void relaying_answer(struct rpc_relaying *q, const struct vom_msg *msg)
{
    struct err e = ERR_INIT, refusal = ERR_INIT, why = ERR_INIT;
    struct naming_endpoint ep;
    struct span text;
    int r = rpc_enlist_get_response(&q->dec, msg, &text, &refusal, &e);

    if (r < 0)
        err_set(&why, r, "failed to decode response from proxy: %s", err_text(&e));
    else if (r > 0)
        err_set(&why, WSPR_EUNKNOWN, "proxy error: %s", err_text(&refusal));
    else if ((r = naming_endpoint_parse(text, &ep, &e)) < 0)
        err_set(&why, r, "proxy returned invalid endpoint(%.*s): %s", SPAN_ARG(text), err_text(&e));
    if (why.code != 0)
        relaying_fail(q, &why);
    else
        relaying_up(q, &ep);
    err_done(&why);
    err_done(&refusal);
    err_done(&e);
}

static void relaying_data(void *arg, struct vc_flow *flow, struct span bytes)
{
    struct rpc_relaying *q = arg;
    struct err e = ERR_INIT;
    struct vom_msg msg;
    ssize_t n = 0;

    vc_flow_consumed(flow, bytes.len);
    if (q->up)
        return; /* nothing more is to be said */
    buf_append_span(&q->in, bytes);
    if (buf_error(&q->in) != 0)
        n = err_set(&e, buf_error(&q->in), "%s", err_code_text(buf_error(&q->in)));
    else
        n = vom_dec_next(&q->dec, buf_data(&q->in), q->in.len, &msg, &e);
    if (n < 0)
        relaying_fail_text(q, (int)n, "failed to decode response from proxy: ", &e);
    else if (n > 0)
        relaying_answer(q, &msg);
    err_done(&e);
}

static void relaying_eof(void *arg, struct vc_flow *flow, const struct err *why)
{
    struct rpc_relaying *q = arg;
    struct err e = ERR_INIT;

    (void)flow;
    if (why->code != 0)
        err_copy(&e, why);
    else
        err_set(&e, WSPR_ECLOSED, "EOF");
    if (q->up)
        relaying_fail_text(q, e.code, "Listener has been Closed: ", &e);
    else
        relaying_fail_text(q, e.code, "failed to decode response from proxy: ", &e);
    err_done(&e);
}

static const struct vc_flow_ops relaying_flow_ops = {
    .data = relaying_data,
    .eof = relaying_eof,
};

static void relaying_ready(void *arg, struct vc *vc)
{
    struct rpc_relaying *q = arg;
    struct buf out = BUF_INIT(RPC_ENLIST_MAX);
    struct err e = ERR_INIT;
    int r = vc_flow_open(vc, &relaying_flow_ops, q, &q->flow, &e);

    if (r < 0) {
        relaying_fail_text(q, r, "unable to create liveness check flow to proxy: ", &e);
        err_done(&e);
        return;
    }
    r = rpc_enlist_put_request(&out);
    if (r < 0)
        err_set(&e, r, "%s", err_code_text(r));
    else
        r = vc_flow_write(q->flow, buf_span(&out), &e);
    buf_done(&out);
    if (r < 0)
        relaying_fail_text(q, r, "failed to encode request to proxy: ", &e);
    err_done(&e);
}

static void relaying_closed(void *arg, struct vc *vc, const struct err *why)
{
    (void)vc;
    relaying_fail_text(arg, why->code, "VC establishment with proxy failed: ", why);
}

static const struct vc_ops relaying_vc_ops = {
    .ready = relaying_ready,
    .closed = relaying_closed,
};

/* ---- the way to the relay ---- */

static int relaying_open(struct rpc_relaying *q, struct rpc_link *link, struct err *err)
{
    struct rpc_server *s = q->server;
    char dst[NAMING_ENDPOINT_TEXT_MAX], src[NAMING_ENDPOINT_TEXT_MAX];
    struct naming_endpoint local;
    struct vc_open how = {
        .security = VC_SECURE,
        .version = NAMING_VERSION_MAX, /* whatever the endpoints say */
        .identity = s->identity,
        .ops = &relaying_vc_ops,
        .arg = q,
    };
    int r = naming_endpoint_make(&local, span_str("tcp"), span_str(link->local), &s->rid, err);

    if (r < 0)
        return r;
    /* Who runs there now may have another routing id than the one that was known. */
    if (q->known)
        q->at.rid = naming_rid_fixed(0);
    how.dst = span_of(dst, naming_endpoint_text(&q->at, dst));
    how.src = span_of(src, naming_endpoint_text(&local, src));
    r = vc_tls_opener(s->rt->tls, &how.crypter, err);
    if (r == 0)
        r = vc_open(link->vif, &how, &q->vc, err);
    if (r == 0)
        q->link = link;
    else
        rpc_link_shutdown(link);
    return r;
}

static void relaying_link_ready(struct rpc_link_waiter *w, struct rpc_link *link,
                                const struct err *why)
{
    struct rpc_relaying *q = LIST_OBJECT(w, struct rpc_relaying, waiter);
    struct err e = ERR_INIT;

    if (link == NULL) {
        err_set(&e, why->code, "net.Dial(\"tcp\", \"%s\") failed: %s", q->at.address,
                err_text(why));
        relaying_fail(q, &e);
    } else if (relaying_open(q, link, &e) < 0) {
        relaying_fail_text(q, e.code, "VC establishment with proxy failed: ", &e);
    }
    err_done(&e);
}

static void relaying_dial(struct rpc_relaying *q)
{
    struct err e = ERR_INIT;
    int r = naming_versions_check(q->at.versions, &e);

    if (r == 0)
        r = rpc_link_dial(q->server->rt, q->at.address, q->server, &q->waiter, &e);
    if (r < 0)
        relaying_fail(q, &e);
    err_done(&e);
}

/* An endpoint with or without a leading slash, and nothing behind it. */
static bool relaying_address(struct span name, struct naming_endpoint *ret_ep)
{
    struct span address = name, rest = {NULL, 0};

    if (naming_name_is_rooted(name))
        naming_name_split(name, &address, &rest);
    return naming_name_strip(rest).len == 0 && naming_endpoint_parse(address, ret_ep, NULL) == 0;
}

static void relaying_resolved(void *arg, struct span names, const struct err *err)
{
    struct rpc_relaying *q = arg;
    struct err e = ERR_INIT;
    struct span name;

    (void)err;
    q->resolution = NULL;
    while (rpc_names_next(&names, &name)) {
        if (relaying_address(name, &q->at)) {
            relaying_dial(q);
            return;
        }
    }
    err_set(&e, WSPR_EINVAL, "failed to parse endpoint \"%s\": invalid endpoint string",
            (const char *)buf_data(&q->relay));
    relaying_fail(q, &e);
    err_done(&e);
}

static void relaying_begin(void *arg)
{
    struct rpc_relaying *q = arg;
    struct span relay = span_of(buf_data(&q->relay), q->relay.len - 1);
    struct err e = ERR_INIT;

    vom_dec_reset(&q->dec);
    buf_reset(&q->in);
    q->trying = true;
    loop_timer_start(&q->timer, ATTEMPT_TIME);
    if (relaying_address(relay, &q->at)) {
        relaying_dial(q);
        return;
    }
    /* What was remembered has led to a relay that is gone. */
    q->resolution = (q->known ? rpc_resolve_afresh : rpc_resolve)(
        q->server->rt->client, relay, q->server->identity, relaying_resolved, q);
    if (q->resolution != NULL)
        return;
    err_set(&e, WSPR_ENOMEM, "out of memory");
    relaying_fail(q, &e);
    err_done(&e);
}

/* ---- the interface ---- */

int rpc_server_listen_relay(struct rpc_server *s, struct span relay, rpc_relay_fn *told, void *arg,
                            struct err *err)
{
    static const struct vom_limits limits = {RPC_ENLIST_MAX, RPC_ENLIST_MAX, 64, VOM_DEPTH_MAX};
    struct rpc_relaying *q;

    if (s->closing)
        return err_set(err, WSPR_EABORTED, "ipc: server is stopped");
    if (s->relaying != NULL)
        return err_set(err, WSPR_EEXISTS, "the server listens through a relay already");
    q = calloc(1, sizeof *q);
    if (q == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    q->server = s;
    q->told = told;
    q->arg = arg;
    q->delay = DELAY_FIRST;
    q->waiter.ready = relaying_link_ready;
    list_init(&q->waiter.node);
    loop_timer_init(&q->timer, s->rt->worker, relaying_limit, q);
    vom_dec_init(&q->dec, &limits);
    buf_init(&q->in, RPC_ENLIST_MAX);
    buf_init(&q->relay, RELAY_MAX);
    buf_append_span(&q->relay, relay);
    buf_u8(&q->relay, 0);
    if (buf_error(&q->relay) != 0) {
        int r = buf_error(&q->relay);

        rpc_relaying_free(q);
        return err_set(err, r, "the relay's name is too long");
    }
    s->relaying = q;
    loop_timer_start(&q->timer, 0);
    return 0;
}

const char *rpc_server_relay_endpoint(const struct rpc_server *s)
{
    return s->relaying != NULL && s->relaying->up ? s->relaying->endpoint : NULL;
}

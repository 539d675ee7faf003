/*
 * Circuits that end at the relay (spec: stream 12.1). The first flow carries Request and Response
 * and is the sign of life afterwards; there is no other flow.
 *
 *     circuit ready --flow--> Request --Response--> registered --flow or circuit ends--> gone
 */
#include "config.h"

#include <stdlib.h>

#include "rpc/enlist.h"
#include "services/proxy_private.h"

struct proxy_enlisting {
    struct list node;
    struct proxy_conn *conn;
    struct vc *vc;
    struct vc_flow *flow;
    struct naming_rid rid;
    struct proxy_reg reg;
    struct vom_dec dec;
    struct buf in;
    int64_t deadline; /* INT64_MAX once it was answered */
};

static void enlisting_free(struct proxy_enlisting *n)
{
    struct proxy_conn *c = n->conn;

    proxy_hub_unregister(&c->proxy->hub, &n->reg);
    list_remove(&n->node);
    c->n_enlistings--;
    vom_dec_done(&n->dec);
    buf_done(&n->in);
    free(n);
}

static void enlisting_log(struct proxy_enlisting *n, enum log_level level, const char *what)
{
    char id[NAMING_RID_TEXT_LEN + 1];

    naming_rid_format(&n->rid, id);
    log_write(n->conn->proxy->log, level, "proxy", "routing id %s of %s: %s", id, n->conn->peer,
              what);
}

/* Ends the circuit from this side; text goes to the peer. */
static void enlisting_abort(struct proxy_enlisting *n, const char *text)
{
    if (n->reg.port != NULL)
        enlisting_log(n, LOG_LEVEL_INFO, "no longer registered");
    vc_flow_close(n->flow);
    vc_abort(n->vc, text);
    enlisting_free(n);
}

/* ---- Request and Response ---- */

static void enlisting_reply(struct proxy_enlisting *n, const struct err *refusal)
{
    struct proxy *p = n->conn->proxy;
    struct buf out = BUF_INIT(RPC_ENLIST_MAX);
    char text[NAMING_ENDPOINT_TEXT_MAX];
    struct naming_endpoint ep;
    struct err e = ERR_INIT;
    int r = 0;

    if (refusal == NULL && naming_endpoint_proxied(&n->rid, &p->self, &ep, &e) < 0)
        refusal = &e;
    if (refusal != NULL) {
        p->hub.stats.refused++;
        enlisting_log(n, LOG_LEVEL_INFO, err_text(refusal));
        r = rpc_enlist_put_response(&out, span_of(NULL, 0), refusal);
    } else {
        enlisting_log(n, LOG_LEVEL_INFO, "registered");
        r = rpc_enlist_put_response(&out, span_of(text, naming_endpoint_text(&ep, text)), NULL);
    }
    if (r == 0)
        r = vc_flow_write(n->flow, buf_span(&out), NULL);
    buf_done(&out);
    err_done(&e);
    if (r < 0)
        enlisting_abort(n, "proxy: out of memory");
}

static void enlisting_request(struct proxy_enlisting *n, const struct vom_msg *msg)
{
    struct proxy *p = n->conn->proxy;
    struct err e = ERR_INIT;
    int r = rpc_enlist_get_request(&n->dec, msg, &e);

    if (r < 0)
        err_prefix(&e, WSPR_EBADPROTO, "proxy: unable to read Request: ");
    else
        r = proxy_hub_register(&p->hub, &n->reg, &n->conn->port, &n->rid, vc_id(n->vc), &e);
    enlisting_reply(n, r < 0 ? &e : NULL);
    err_done(&e);
}

static void enlisting_data(void *arg, struct vc_flow *flow, struct span bytes)
{
    struct proxy_enlisting *n = arg;
    struct err e = ERR_INIT;
    struct vom_msg msg;
    ssize_t taken;

    vc_flow_consumed(flow, bytes.len);
    if (n->deadline == INT64_MAX)
        return; /* it was answered, and need not say any more */
    buf_append_span(&n->in, bytes);
    if (buf_error(&n->in) != 0) {
        enlisting_abort(n, "proxy: unable to read Request: too long");
        return;
    }
    taken = vom_dec_next(&n->dec, buf_data(&n->in), n->in.len, &msg, &e);
    if (taken != 0)
        n->deadline = INT64_MAX;
    if (taken > 0) {
        enlisting_request(n, &msg);
    } else if (taken < 0) {
        err_prefix(&e, WSPR_EBADPROTO, "proxy: unable to read Request: ");
        enlisting_reply(n, &e);
    }
    err_done(&e);
}

static void enlisting_eof(void *arg, struct vc_flow *flow, const struct err *why)
{
    (void)flow;
    (void)why;
    enlisting_abort(arg, "");
}

static const struct vc_flow_ops enlisting_flow_ops = {
    .data = enlisting_data,
    .eof = enlisting_eof,
};

/* ---- the circuit ---- */

static int enlisting_accept(void *arg, struct vc *vc, struct vc_flow *flow)
{
    struct proxy_enlisting *n = arg;

    (void)vc;
    if (n->flow != NULL)
        return WSPR_ECLOSED;
    n->flow = flow;
    vc_flow_set_ops(flow, &enlisting_flow_ops, n);
    return 0;
}

static void enlisting_closed(void *arg, struct vc *vc, const struct err *why)
{
    struct proxy_enlisting *n = arg;

    enlisting_log(n, LOG_LEVEL_DEBUG, err_text(why));
    vc_flow_close(n->flow);
    vc_close(vc);
    enlisting_free(n);
}

static const struct vc_ops enlisting_ops = {
    .accept = enlisting_accept,
    .closed = enlisting_closed,
};

int proxy_enlist(struct proxy_conn *c, struct vc *vc, struct span src, struct vc_accept *ret_how,
                 struct err *err)
{
    static const struct vom_limits limits = {RPC_ENLIST_MAX, RPC_ENLIST_MAX, 64, VOM_DEPTH_MAX};
    struct proxy *p = c->proxy;
    struct proxy_enlisting *n;
    struct naming_endpoint ep;
    int r = naming_endpoint_parse(src, &ep, err);

    if (r < 0)
        return r;
    if (c->n_enlistings >= p->hub.limits.registrations) {
        p->hub.stats.limited++;
        return err_set(err, WSPR_ELIMIT, "proxy: too many registrations on the connection");
    }
    n = calloc(1, sizeof *n);
    if (n == NULL)
        return err_set(err, WSPR_ENOMEM, "proxy: out of memory");
    r = vc_tls_acceptor(p->tls, &ret_how->crypter, err);
    if (r < 0) {
        free(n);
        return r;
    }
    n->conn = c;
    n->vc = vc;
    n->rid = ep.rid;
    n->deadline = loop_worker_now(p->worker) + p->hub.limits.handshake_time;
    list_init(&n->reg.node);
    vom_dec_init(&n->dec, &limits);
    buf_init(&n->in, RPC_ENLIST_MAX);
    list_push_back(&c->enlistings, &n->node);
    c->n_enlistings++;
    ret_how->security = VC_SECURE;
    ret_how->identity = p->identity;
    ret_how->ops = &enlisting_ops;
    ret_how->arg = n;
    return 0;
}

bool proxy_enlist_is_ours(const struct proxy_conn *c, uint32_t vci)
{
    LIST_FOREACH (node, &c->enlistings) {
        if (vc_id(LIST_OBJECT(node, struct proxy_enlisting, node)->vc) == vci)
            return true;
    }
    return false;
}

void proxy_enlist_sweep(struct proxy_conn *c, int64_t now)
{
    LIST_FOREACH_SAFE (node, after, &c->enlistings) {
        struct proxy_enlisting *n = LIST_OBJECT(node, struct proxy_enlisting, node);

        if (n->deadline < now)
            enlisting_abort(n, "failed to accept health check flow");
    }
}

#include "config.h"
#include "raw.h"

#include <stdlib.h>

#include "base/clock.h"
#include "tap.h"

static const uint8_t raw_key[16] = {1, 2, 3};

/* A test whose own means fail cannot go on. */
static void need(bool ok, const char *what)
{
    if (!ok) {
        printf("Bail out! %s\n", what);
        exit(99);
    }
}

/* ---- the loop ---- */

bool raw_until(struct loop_worker *w, bool (*done)(void *arg), void *arg, int ms)
{
    int64_t end = clock_mono() + ms * CLOCK_MS;

    while (!done(arg)) {
        if (clock_mono() > end)
            return false;
        loop_worker_turn(w, 5 * CLOCK_MS);
    }
    return true;
}

static bool never(void *arg)
{
    return false;
}

void raw_run(struct loop_worker *w, int ms)
{
    raw_until(w, never, NULL, ms);
}

/* ---- flows ---- */

static void flow_data(void *arg, struct vc_flow *flow, struct span bytes)
{
    struct raw_flow *f = arg;

    buf_append_span(&f->in, bytes);
    vc_flow_consumed(flow, bytes.len);
}

static void flow_eof(void *arg, struct vc_flow *flow, const struct err *why)
{
    struct raw_flow *f = arg;

    f->eof = true;
    f->eofs++;
}

static const struct vc_flow_ops flow_ops = {.data = flow_data, .eof = flow_eof};

static struct raw_flow *flow_make(struct raw_peer *p, struct vc_flow *flow)
{
    struct raw_flow *f = calloc(1, sizeof *f);

    need(f != NULL, "memory");
    f->peer = p;
    f->flow = flow;
    buf_init(&f->in, 256 << 20);
    list_push_back(&p->flows, &f->node);
    return f;
}

struct raw_flow *raw_open(struct raw_circuit *c)
{
    struct raw_flow *f = flow_make(c->peer, NULL);
    struct err e = ERR_INIT;

    if (vc_flow_open(c->vc, &flow_ops, f, &f->flow, &e) < 0) {
        tap_note("no flow: %s", err_text(&e));
        err_done(&e);
        need(false, "a flow cannot be opened");
    }
    return f;
}

void raw_write(struct raw_flow *f, struct span bytes)
{
    if (f->flow != NULL)
        vc_flow_write(f->flow, bytes, NULL);
}

void raw_close(struct raw_flow *f)
{
    vc_flow_close(f->flow);
    f->flow = NULL;
}

void raw_cancel(struct raw_flow *f)
{
    vc_flow_cancel(f->flow);
    f->flow = NULL;
}

void raw_flow_free(struct raw_flow *f)
{
    if (f == NULL)
        return;
    raw_cancel(f);
    buf_done(&f->in);
    list_remove(&f->node);
    free(f);
}

struct raw_flow *raw_flow_at(struct raw_peer *p, unsigned n)
{
    LIST_FOREACH (node, &p->flows) {
        if (n-- == 0)
            return LIST_OBJECT(node, struct raw_flow, node);
    }
    return NULL;
}

struct raw_circuit *raw_circuit_at(struct raw_peer *p, unsigned n)
{
    LIST_FOREACH (node, &p->circuits) {
        if (n-- == 0)
            return LIST_OBJECT(node, struct raw_circuit, node);
    }
    return NULL;
}

/* ---- circuits ---- */

static void circuit_ready(void *arg, struct vc *vc)
{
    struct raw_circuit *c = arg;

    c->ready = true;
}

static void circuit_closed(void *arg, struct vc *vc, const struct err *why)
{
    struct raw_circuit *c = arg;

    c->closed = true;
    snprintf(c->peer->why, sizeof c->peer->why, "%s", err_text(why));
    if (!c->ready)
        tap_note("circuit: %s", err_text(why));
}

static int circuit_accept(void *arg, struct vc *vc, struct vc_flow *flow)
{
    struct raw_circuit *c = arg;
    struct raw_flow *f = flow_make(c->peer, flow);

    c->peer->n_flows++;
    vc_flow_set_ops(flow, &flow_ops, f);
    return 0;
}

static const struct vc_ops circuit_ops = {
    .ready = circuit_ready,
    .closed = circuit_closed,
    .accept = circuit_accept,
};

static struct raw_circuit *circuit_make(struct raw_peer *p)
{
    struct raw_circuit *c = calloc(1, sizeof *c);

    need(c != NULL, "memory");
    c->peer = p;
    list_push_back(&p->circuits, &c->node);
    return c;
}

static int accept_vc(void *arg, struct vc *vc, struct span dst, struct span src,
                     struct vc_accept *ret_how, struct err *e)
{
    struct raw_link *l = arg;
    struct raw_circuit *c = circuit_make(l->peer);

    need(vc_tls_acceptor(l->peer->tls, &ret_how->crypter, e) == 0, "no crypter");
    c->vc = vc;
    l->peer->n_circuits++;
    ret_how->security = VC_SECURE;
    ret_how->identity = l->peer->identity;
    ret_how->ops = &circuit_ops;
    ret_how->arg = c;
    return 0;
}

/* ---- connections ---- */

static void link_free(struct raw_link *l, bool abrupt)
{
    list_remove(&l->node);
    vc_vif_free(l->vif, NULL);
    if (l->sock != NULL && abrupt)
        loop_sock_abort(l->sock);
    else if (l->sock != NULL)
        loop_sock_close(l->sock);
    free(l);
}

static void vif_wake(void *arg)
{
    struct raw_link *l = arg;

    loop_sock_want_write(l->sock);
}

static const struct vc_vif_ops vif_ops = {.wake = vif_wake, .accept_vc = accept_vc};

static size_t sock_data(void *arg, uint8_t *p, size_t len)
{
    struct raw_link *l = arg;

    vc_vif_input(l->vif, span_of(p, len), loop_worker_now(l->peer->w));
    return len;
}

static void sock_fill(void *arg, struct buf *out)
{
    struct raw_link *l = arg;

    if (l->vif != NULL)
        vc_vif_output(l->vif, out, 65536, loop_worker_now(l->peer->w));
}

static void link_up(struct raw_link *l, bool dialled)
{
    struct vc_vif_opts opts = {
        .dialled = dialled,
        .accepting = !dialled,
        .now = loop_worker_now(l->peer->w),
    };

    loop_addr_text(loop_sock_local(l->sock), l->local);
    l->vif = vc_vif_new(l->peer->pool, &opts, &vif_ops, l);
    need(l->vif != NULL, "memory");
    l->up = true;
}

static void sock_connected(void *arg)
{
    link_up(arg, true);
}

static void sock_closed(void *arg, const struct err *why)
{
    struct raw_link *l = arg;

    if (!l->up)
        tap_note("connection: %s", err_text(why));
    link_free(l, false);
}

static const struct loop_sock_ops sock_ops = {
    .data = sock_data,
    .closed = sock_closed,
    .connected = sock_connected,
    .fill = sock_fill,
};

static struct raw_link *link_make(struct raw_peer *p)
{
    struct raw_link *l = calloc(1, sizeof *l);

    need(l != NULL, "memory");
    l->peer = p;
    list_push_back(&p->links, &l->node);
    return l;
}

static void listener_accepted(void *arg, int fd, const struct loop_addr *from)
{
    struct raw_link *l = link_make(arg);
    struct loop_sock_opts opts = {.ops = &sock_ops, .arg = l};

    need(loop_sock_adopt(l->peer->w, fd, &opts, &l->sock, NULL) == 0, "no socket");
    link_up(l, false);
}

static const struct loop_listener_ops listener_ops = {.accepted = listener_accepted};

/* ---- the peer ---- */

void raw_init(struct raw_peer *p, struct loop_worker *w, struct security_private *identity)
{
    struct vc_limits limits;

    *p = (struct raw_peer){.w = w, .identity = identity};
    vc_limits_default(&limits);
    limits.flows = 4096;
    p->pool = vc_pool_new(&limits, raw_key);
#ifdef WSPR_LEGACY_PEERS
    need(p->pool != NULL && vc_tls_new(true, &p->tls, NULL) == 0, "no engine");
#else
    need(p->pool != NULL && vc_tls_new(false, &p->tls, NULL) == 0, "no engine");
#endif
    list_init(&p->links);
    list_init(&p->circuits);
    list_init(&p->flows);
}

void raw_listen(struct raw_peer *p)
{
    static const struct naming_rid rid = {{0xaa, 1, 2, 3}};
    char text[LOOP_ADDR_TEXT];
    struct naming_endpoint ep;

    need(loop_listener_new(p->w, "127.0.0.1:0", &listener_ops, p, &p->listener, NULL) == 0,
         "cannot listen");
    loop_addr_text(loop_listener_addr(p->listener), text);
    need(naming_endpoint_make(&ep, span_str("tcp"), span_str(text), &rid, NULL) == 0, "endpoint");
    naming_endpoint_text(&ep, p->endpoint);
}

void raw_deafen(struct raw_peer *p)
{
    LIST_FOREACH (node, &p->links)
        loop_sock_pause(LIST_OBJECT(node, struct raw_link, node)->sock);
}

struct dial {
    struct raw_link *link;
    struct raw_circuit *circuit;
};

static bool is_up(void *arg)
{
    struct dial *d = arg;

    return d->link->up;
}

static bool is_ready(void *arg)
{
    struct dial *d = arg;

    return d->circuit->ready || d->circuit->closed;
}

/* A circuit on a link that is up. */
static struct raw_circuit *connect_on(struct raw_peer *p, struct raw_link *link,
                                      const char *endpoint)
{
    struct dial d = {link, circuit_make(p)};
    char src[LOOP_ADDR_TEXT + 64];
    struct vc_open how = {
        .security = VC_SECURE,
        .identity = p->identity,
        .ops = &circuit_ops,
        .arg = d.circuit,
        .dst = span_str(endpoint),
    };

    snprintf(src, sizeof src, "@2@tcp@%s@aa000000000000000000000000000001@1@2@@", link->local);
    how.src = span_str(src);
    need(vc_tls_opener(p->tls, &how.crypter, NULL) == 0, "no crypter");
    need(vc_open(link->vif, &how, &d.circuit->vc, NULL) == 0, "no circuit");
    if (!raw_until(p->w, is_ready, &d, 5000) || d.circuit->closed)
        return NULL;
    return d.circuit;
}

struct raw_circuit *raw_connect(struct raw_peer *p, const char *endpoint)
{
    struct loop_sock_opts opts = {.ops = &sock_ops};
    struct dial d = {link_make(p), NULL};
    struct naming_endpoint ep;

    need(naming_endpoint_parse(span_str(endpoint), &ep, NULL) == 0, "endpoint");
    opts.arg = d.link;
    need(loop_sock_dial(p->w, NULL, ep.address, 0, &opts, &d.link->sock, NULL) == 0, "dial");
    if (!raw_until(p->w, is_up, &d, 5000))
        return NULL;
    return connect_on(p, d.link, endpoint);
}

struct raw_circuit *raw_connect_beside(struct raw_peer *p, const char *endpoint)
{
    return connect_on(p, LIST_OBJECT(p->links.next, struct raw_link, node), endpoint);
}

void raw_drop(struct raw_peer *p, bool deaf)
{
    LIST_FOREACH_SAFE (node, after, &p->links)
        link_free(LIST_OBJECT(node, struct raw_link, node), true);
    LIST_FOREACH_SAFE (node, after, &p->circuits) {
        struct raw_circuit *c = LIST_OBJECT(node, struct raw_circuit, node);

        list_remove(&c->node);
        vc_close(c->vc);
        free(c);
    }
    if (deaf) {
        loop_listener_free(p->listener);
        p->listener = NULL;
    }
}

void raw_done(struct raw_peer *p)
{
    while (!list_empty(&p->flows))
        raw_flow_free(raw_flow_at(p, 0));
    raw_drop(p, true);
    vc_pool_free(p->pool);
    vc_tls_free(p->tls);
}

#include "config.h"
#include "rpc/circuit.h"

#include <stdlib.h>

#include "base/clock.h"
#include "rpc/link.h"
#include "security/caveat.h"
#include "security/identity.h"

/* A circuit is given up this long before its identity expires: calls that run may end on it. */
#define CIRCUIT_EXPIRY_MARGIN (30 * CLOCK_S)

/* All circuits of one (endpoint, identity). */
struct rpc_peer {
    UT_hash_handle hh;
    struct list circuits;
    struct rpc_circuits *owner;
    struct security_private *identity;
    struct naming_endpoint endpoint;
    unsigned pins;   /* somebody walks over its circuits */
    size_t text_len; /* what the last name said for it that is not too long */
    uint8_t text[NAMING_ENDPOINT_TEXT_MAX];
    uint8_t key[]; /* text of the endpoint, then the identity's address */
};

struct rpc_circuit {
    struct list node;
    struct rpc_peer *peer;
    struct vc *vc; /* NULL while the link is being dialled */
    struct list waiters;
    struct rpc_link_waiter link;
    int64_t expires; /* wall clock; of the identity, and of the peer's */
    bool ready;
};

void rpc_circuits_init(struct rpc_circuits *cs, struct rpc_runtime *rt)
{
    *cs = (struct rpc_circuits){.rt = rt};
}

/* ---- peers ---- */

static size_t peer_key(const struct naming_endpoint *ep, const struct security_private *identity,
                       uint8_t key[NAMING_ENDPOINT_TEXT_MAX + sizeof(void *)])
{
    size_t n = naming_endpoint_text(ep, (char *)key);

    memcpy(key + n, &identity, sizeof identity);
    return n + sizeof identity;
}

static struct rpc_peer *peer_get(struct rpc_circuits *cs, const struct naming_endpoint *ep,
                                 struct security_private *identity)
{
    uint8_t key[NAMING_ENDPOINT_TEXT_MAX + sizeof(void *)];
    size_t len = peer_key(ep, identity, key);
    unsigned hash = hash_bytes(&cs->rt->hash_key, key, len);
    struct rpc_peer *p;

    HASH_FIND_BYHASHVALUE(hh, cs->peers, key, len, hash, p);
    if (p != NULL)
        return p;
    p = calloc(1, sizeof *p + len);
    if (p == NULL)
        return NULL;
    list_init(&p->circuits);
    p->owner = cs;
    p->identity = security_private_ref(identity);
    p->endpoint = *ep;
    memcpy(p->key, key, len);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, cs->peers, p->key, len, hash, p);
    if (p->hh.tbl == NULL) {
        security_private_unref(p->identity);
        free(p);
        return NULL;
    }
    return p;
}

/*
 * Most names lead where names led a moment ago. Remembering their texts is cheaper than to take the
 * text apart and to look for the endpoint.
 */
static void peer_remember(struct rpc_peer *p, struct span text)
{
    struct rpc_circuits *cs = p->owner;

    if (text.len > sizeof p->text)
        return;
    memcpy(p->text, text.p, text.len);
    p->text_len = text.len;
    for (unsigned i = 0; i < RPC_RECENT_PEERS; i++) {
        if (cs->recent[i] == p)
            return;
    }
    cs->recent[cs->next_recent] = p;
    cs->next_recent = (cs->next_recent + 1) % RPC_RECENT_PEERS;
}

static void peer_forget(struct rpc_peer *p)
{
    for (unsigned i = 0; i < RPC_RECENT_PEERS; i++) {
        if (p->owner->recent[i] == p)
            p->owner->recent[i] = NULL;
    }
}

static void peer_check(struct rpc_peer *p)
{
    if (p->pins > 0 || !list_empty(&p->circuits))
        return;
    peer_forget(p);
    HASH_DELETE(hh, p->owner->peers, p);
    security_private_unref(p->identity);
    free(p);
}

/* ---- one circuit ---- */

static void circuit_tell(struct rpc_circuit *c, struct vc *vc, const struct err *why)
{
    struct list told, *node;

    /* A waiter may ask again from its callback; it then waits for another turn, not in this list.
     */
    list_init(&told);
    while ((node = list_pop(&c->waiters)) != NULL)
        list_push_back(&told, node);
    while ((node = list_pop(&told)) != NULL) {
        struct rpc_circuit_waiter *w = LIST_OBJECT(node, struct rpc_circuit_waiter, node);

        w->ready(w, vc, why);
    }
}

/* Takes the circuit out of reach, tells who still waits for it, and lets go of the handle. */
static void circuit_end(struct rpc_circuit *c, const struct err *why)
{
    struct rpc_peer *p = c->peer;
    struct err over = ERR_INIT;

    list_remove(&c->node);
    list_remove(&c->link.node);
    if (c->vc != NULL)
        p->owner->rt->stats.vcs--;
    vc_close(c->vc);
    c->vc = NULL;
    if (why == NULL) {
        err_set(&over, WSPR_ECLOSED, "the circuit was closed");
        why = &over;
    }
    circuit_tell(c, NULL, why);
    err_done(&over);
    free(c);
    peer_check(p);
}

static void circuit_ready(void *arg, struct vc *vc)
{
    struct rpc_circuit *c = arg;
    struct rpc_runtime *rt = c->peer->owner->rt;
    int64_t theirs = vc_peer(vc) != NULL ? security_identity_expires(vc_peer(vc)) : INT64_MAX;

    c->ready = true;
    if (theirs < c->expires)
        c->expires = theirs; /* every call checks it: then they show a new one on a new circuit */
    rt->stats.handshakes++;
    if (vc_is_legacy(vc)) {
        rt->stats.legacy_peers++;
        log_write(rt->log, LOG_LEVEL_WARN, "rpc", "%s only takes the broken cipher RC4 (%s)",
                  c->peer->endpoint.address, vc_describe(vc));
    }
    circuit_tell(c, vc, NULL);
}

static void circuit_closed(void *arg, struct vc *vc, const struct err *why)
{
    struct rpc_circuit *c = arg;

    if (!c->ready)
        c->peer->owner->rt->stats.handshakes_failed++;
    circuit_end(c, why);
}

static const struct vc_ops circuit_ops = {
    .ready = circuit_ready,
    .closed = circuit_closed,
};

static int circuit_open(struct rpc_circuit *c, struct rpc_link *link, struct err *err)
{
    struct rpc_peer *p = c->peer;
    struct rpc_runtime *rt = p->owner->rt;
    char dst[NAMING_ENDPOINT_TEXT_MAX], src[NAMING_ENDPOINT_TEXT_MAX];
    struct naming_endpoint local;
    struct vc_open how = {
        .security = VC_SECURE,
        .identity = p->identity,
        .ops = &circuit_ops,
        .arg = c,
    };
    int r;

    r = naming_endpoint_make(&local, span_str("tcp"), span_str(link->local), &rt->rid, err);
    if (r < 0)
        return r;
    how.dst = span_of(dst, naming_endpoint_text(&p->endpoint, dst));
    how.src = span_of(src, naming_endpoint_text(&local, src));
    r = vc_tls_opener(rt->tls, &how.crypter, err);
    if (r < 0)
        return r;
    r = vc_open(link->vif, &how, &c->vc, err);
    if (r < 0)
        return r;
    rt->stats.vcs++;
    return 0;
}

static void circuit_link_ready(struct rpc_link_waiter *w, struct rpc_link *link,
                               const struct err *why)
{
    struct rpc_circuit *c = LIST_OBJECT(w, struct rpc_circuit, link);
    struct err e = ERR_INIT;

    if (link == NULL) {
        err_copy(&e, why);
        err_prefix(&e, 0, "net.Dial(\"tcp\", \"%s\") failed: ", c->peer->endpoint.address);
    } else if (circuit_open(c, link, &e) == 0) {
        return;
    }
    circuit_end(c, &e);
    err_done(&e);
}

static struct rpc_circuit *circuit_new(struct rpc_peer *p, struct err *err)
{
    struct rpc_circuit *c = calloc(1, sizeof *c);

    if (c == NULL) {
        err_set(err, WSPR_ENOMEM, "out of memory");
        return NULL;
    }
    c->peer = p;
    list_init(&c->waiters);
    list_init(&c->link.node);
    c->link.ready = circuit_link_ready;
    c->expires = security_identity_expires(security_private_public(p->identity));
    if (rpc_link_get(p->owner->rt, &p->endpoint, &c->link, err) < 0) {
        free(c);
        return NULL;
    }
    list_push_back(&p->circuits, &c->node);
    return c;
}

static bool circuit_expiring(const struct rpc_circuit *c, int64_t wall)
{
    return c->expires != INT64_MAX && wall > c->expires - CIRCUIT_EXPIRY_MARGIN;
}

/* One that can take another call; NULL: none. */
static struct vc *peer_usable(const struct rpc_peer *p)
{
    LIST_FOREACH (node, &p->circuits) {
        const struct rpc_circuit *c = LIST_OBJECT(node, struct rpc_circuit, node);

        if (c->ready && vc_can_open(c->vc) == 0 &&
            !(c->expires != INT64_MAX && circuit_expiring(c, clock_wall())))
            return c->vc;
    }
    return NULL;
}

struct vc *rpc_circuits_recent(struct rpc_circuits *cs, struct span text,
                               const struct security_private *identity)
{
    for (unsigned i = 0; i < RPC_RECENT_PEERS && !cs->rt->stopping; i++) {
        const struct rpc_peer *p = cs->recent[i];

        if (p != NULL && p->identity == identity && span_equal(text, span_of(p->text, p->text_len)))
            return peer_usable(p);
    }
    return NULL;
}

int rpc_circuits_get(struct rpc_circuits *cs, struct span text, const struct naming_endpoint *ep,
                     struct security_private *identity, struct rpc_circuit_waiter *w,
                     struct vc **ret_vc, struct err *err)
{
    struct rpc_peer *p;
    struct rpc_circuit *c;
    struct vc *vc;

    if (cs->rt->stopping)
        return err_set(err, WSPR_ECLOSED, "the runtime is stopping");
    p = peer_get(cs, ep, identity);
    if (p == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    peer_remember(p, text);
    vc = peer_usable(p);
    if (vc != NULL) {
        *ret_vc = vc;
        return 1;
    }
    /* One that is coming up serves everybody who waits; how many flows it has room for is seen
     * then. */
    LIST_FOREACH (node, &p->circuits) {
        c = LIST_OBJECT(node, struct rpc_circuit, node);
        if (!c->ready) {
            list_push_back(&c->waiters, &w->node);
            return 0;
        }
    }
    c = circuit_new(p, err);
    if (c == NULL) {
        peer_check(p);
        return err != NULL ? err->code : WSPR_ENOMEM;
    }
    list_push_back(&c->waiters, &w->node);
    return 0;
}

/* The peer may be gone afterwards. */
static void peer_sweep(struct rpc_peer *p, int64_t now, int64_t wall)
{
    int64_t idle = p->owner->rt->limits.vc_idle;

    p->pins++;
    LIST_FOREACH_SAFE (node, after, &p->circuits) {
        struct rpc_circuit *c = LIST_OBJECT(node, struct rpc_circuit, node);

        if (c->ready &&
            (vc_idle_since(c->vc) <= now - idle || vc_is_worn(c->vc) || circuit_expiring(c, wall)))
            circuit_end(c, NULL);
    }
    p->pins--;
    peer_check(p);
}

void rpc_circuits_sweep(struct rpc_circuits *cs, int64_t now, int64_t wall)
{
    struct rpc_peer *p, *next;

    HASH_ITER (hh, cs->peers, p, next)
        peer_sweep(p, now, wall);
}

void rpc_circuits_stop(struct rpc_circuits *cs)
{
    struct err why = ERR_INIT;

    err_set(&why, WSPR_EABORTED, "the runtime is stopping");
    while (cs->peers != NULL)
        circuit_end(LIST_OBJECT(cs->peers->circuits.next, struct rpc_circuit, node), &why);
    err_done(&why);
}

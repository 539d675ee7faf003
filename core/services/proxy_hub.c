/*
 * Routes. Each has two ends, one in the map of each port; a message that comes in at one end goes
 * out at the other with that end's number.
 *
 * How much waits for an end is not counted exactly, since the output of a connection is one queue
 * for all. Bytes are counted in two generations: those queued before a mark in the stream, and
 * those since. When the stream has been written past the mark, the older ones are gone, the younger
 * ones become the older, and the mark is the stream's end at that moment. The sum is never below
 * the truth, and above it by what was written of one generation at most.
 */
#include "config.h"
#include "services/proxy_hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define MESSAGE_ROOM 1024u /* a forwarded message is longer than its payload by less than this */
#define CREDITS      32u   /* counters forwarded in one message */

#define TEXT_NO_ROUTE "routing table has no entry for the VC"
#define TEXT_VANISHED "remote process vanished"

struct proxy_end {
    struct vc_map_node node;
    struct list all; /* in the port's list */
    struct proxy_port *port;
    struct proxy_end *other;
    uint64_t mark; /* of the port's stream */
    size_t older, younger;
};

struct proxy_route {
    struct proxy_end end[2];
};

void proxy_limits_complete(struct proxy_limits *l)
{
    static const struct proxy_limits d = {
        .connections = 4096,
        .registrations = 16,
        .circuits = 4096,
        .circuit_queue = 8 * 1024 * 1024,
        .peer_queue = 32 * 1024 * 1024,
        .total_queue = 256 * 1024 * 1024,
        .handshake_time = 30 * CLOCK_S,
        .idle_time = 120 * CLOCK_S,
        .stall_time = 30 * CLOCK_S,
        .dead_time = 60 * CLOCK_S,
    };

    l->connections = l->connections > 0 ? l->connections : d.connections;
    l->registrations = l->registrations > 0 ? l->registrations : d.registrations;
    l->circuits = l->circuits > 0 ? l->circuits : d.circuits;
    l->circuit_queue = l->circuit_queue > 0 ? l->circuit_queue : d.circuit_queue;
    l->peer_queue = l->peer_queue > 0 ? l->peer_queue : d.peer_queue;
    l->total_queue = l->total_queue > 0 ? l->total_queue : d.total_queue;
    l->handshake_time = l->handshake_time > 0 ? l->handshake_time : d.handshake_time;
    l->idle_time = l->idle_time > 0 ? l->idle_time : d.idle_time;
    l->stall_time = l->stall_time > 0 ? l->stall_time : d.stall_time;
    l->dead_time = l->dead_time > 0 ? l->dead_time : d.dead_time;
}

/* ---- ports ---- */

void proxy_port_init(struct proxy_port *p, struct proxy_hub *hub, const struct proxy_port_ops *ops,
                     void *arg, struct vc_vif *vif, uint64_t key)
{
    *p = (struct proxy_port){.hub = hub, .ops = ops, .arg = arg, .vif = vif};
    vc_map_init(&p->map, key);
    list_init(&p->ends);
    list_init(&p->regs);
    list_init(&p->feeders);
    list_init(&p->feeds);
}

void proxy_port_done(struct proxy_port *p)
{
    vc_map_done(&p->map);
}

static struct proxy_end *port_find(const struct proxy_port *p, uint32_t vci)
{
    struct vc_map_node *n = vc_map_find(&p->map, vci);

    return n != NULL ? LIST_OBJECT(n, struct proxy_end, node) : NULL;
}

static void port_go_on(struct proxy_port *p)
{
    if (list_empty(&p->feeds))
        return;
    list_remove(&p->feeds);
    p->ops->pause(p->arg, false);
}

void proxy_port_drained(struct proxy_port *p)
{
    while (!list_empty(&p->feeders))
        port_go_on(LIST_OBJECT(p->feeders.next, struct proxy_port, feeds));
}

/* A port reads no more while all it could say waits for one that is slow. */
static void port_pause(struct proxy_port *p, struct proxy_port *because)
{
    if (p->sole != because || p == because || !list_empty(&p->feeds))
        return;
    list_push_back(&because->feeders, &p->feeds);
    p->hub->stats.pauses++;
    p->ops->pause(p->arg, true);
}

/* ---- answers ---- */

/* CloseVC behind what was forwarded; their number is bounded by that of the routes. */
static void port_close_vc(struct proxy_port *p, uint32_t vci, const char *text)
{
    if (!p->gone)
        vc_msg_put_close_vc(p->ops->out(p->arg), vci, span_str(text));
}

/*
 * The answer to a message: 1. It goes through the engine, so that it stays behind what that said of
 * the same circuit; a connection that takes no answers ends there.
 */
static int port_refuse(struct proxy_port *p, uint32_t vci, const char *text)
{
    vc_vif_refuse(p->vif, vci, text);
    return 1;
}

/* ---- routes ---- */

static void end_add(struct proxy_end *e, struct proxy_port *p, uint32_t vci,
                    struct proxy_end *other)
{
    e->port = p;
    e->other = other;
    e->mark = p->put;
    vc_map_add(&p->map, &e->node, vci);
    list_push_back(&p->ends, &e->all);
    if (p->n_ends++ == 0) {
        p->sole = other->port;
    } else if (p->sole != other->port) {
        p->sole = NULL;
        port_go_on(p);
    }
}

static void end_remove(struct proxy_end *e)
{
    struct proxy_port *p = e->port;

    vc_map_remove(&p->map, &e->node);
    list_remove(&e->all);
    if (--p->n_ends == 0) {
        p->sole = NULL;
        port_go_on(p);
    }
}

static struct proxy_route *route_new(struct proxy_port *from, uint32_t from_vci,
                                     struct proxy_port *to, uint32_t to_vci)
{
    struct proxy_route *r = calloc(1, sizeof *r);

    if (r == NULL)
        return NULL;
    r->end[0].port = from;
    r->end[1].port = to;
    end_add(&r->end[0], from, from_vci, &r->end[1]);
    end_add(&r->end[1], to, to_vci, &r->end[0]);
    from->hub->stats.opened++;
    from->hub->stats.circuits++;
    return r;
}

/* By either end. */
static void route_free(struct proxy_end *e)
{
    struct proxy_end *first = e < e->other ? e : e->other;

    e->port->hub->stats.circuits--;
    end_remove(first->other);
    end_remove(first);
    free(LIST_OBJECT(first, struct proxy_route, end[0]));
}

static void route_break(struct proxy_end *e, const char *text)
{
    port_close_vc(e->port, e->node.key, text);
    port_close_vc(e->other->port, e->other->node.key, text);
    route_free(e);
}

/* Bytes that may still wait for the end. */
static size_t end_waiting(struct proxy_end *e, size_t queued)
{
    uint64_t written = e->port->put > queued ? e->port->put - queued : 0;

    if (written >= e->mark) {
        e->older = e->younger;
        e->younger = 0;
        e->mark = e->port->put;
    }
    return queued < e->older + e->younger ? queued : e->older + e->younger;
}

/*
 * The output to which a message of about that size may be appended, towards `to`; NULL if there is
 * no room: then the circuit has been closed.
 */
static struct buf *end_room(struct proxy_end *to, size_t size, const char *what)
{
    const struct proxy_limits *l = &to->port->hub->limits;
    struct buf *out = to->port->ops->out(to->port->arg);
    size_t waiting = end_waiting(to, out->len);
    char text[160];

    if (out->len + size <= l->peer_queue && waiting + size <= l->circuit_queue) {
        if (out->len + size > PROXY_SOFT_QUEUE)
            port_pause(to->other->port, to->port);
        return out;
    }
    to->port->hub->stats.overflows++;
    snprintf(text, sizeof text,
             "proxy failed to forward %s message: %zu bytes wait for a process that does not read",
             what, out->len);
    route_break(to, text);
    return NULL;
}

/* A message of n bytes was appended for the end, if r says so. */
static void end_sent(struct proxy_end *to, size_t n)
{
    struct proxy_hub *hub = to->port->hub;

    to->port->put += n;
    to->younger += n;
    hub->stats.messages++;
    hub->stats.bytes += n;
}

static int route_forward(struct proxy_end *from, const struct vc_msg *m)
{
    struct proxy_end *to = from->other;
    struct buf *out =
        end_room(to, m->payload.len + MESSAGE_ROOM, m->kind == VC_MSG_DATA ? "data" : "open flow");
    struct vc_msg there = *m;
    size_t before;

    if (out == NULL)
        return 1;
    before = out->len;
    there.vci = to->node.key;
    /* If there is no memory for it the connection ends, by its socket. */
    if (vc_msg_put(out, &there) >= 0)
        end_sent(to, out->len - before);
    return 1;
}

/* ---- credit ---- */

struct credits {
    struct proxy_end *to; /* NULL: none yet */
    struct vc_counter counter[CREDITS];
    size_t n;
};

static void credits_flush(struct credits *c)
{
    struct buf *out;
    size_t before;

    if (c->n == 0)
        return;
    out = end_room(c->to, MESSAGE_ROOM, "receive buffers");
    if (out != NULL) {
        before = out->len;
        if (vc_msg_put_credit(out, c->counter, c->n) >= 0)
            end_sent(c->to, out->len - before);
    }
    c->n = 0;
    c->to = NULL;
}

/* Passes counters on, each to where its circuit leads. True if some were for no route. */
static bool port_credit(struct proxy_port *p, struct vc_counters counters)
{
    struct credits c = {0};
    struct vc_counter one;
    bool others = false;

    while (vc_counters_next(&counters, &one)) {
        struct proxy_end *from = port_find(p, one.vci);

        if (from == NULL) {
            others = true;
            continue;
        }
        if (c.n == CREDITS || (c.n > 0 && c.to != from->other)) {
            credits_flush(&c);
            from = port_find(p, one.vci); /* the flush may have closed it */
            if (from == NULL)
                continue;
        }
        c.to = from->other;
        one.vci = c.to->node.key;
        c.counter[c.n++] = one;
    }
    credits_flush(&c);
    return others;
}

/* ---- opening ---- */

static struct proxy_reg *hub_find(const struct proxy_hub *hub, const struct naming_rid *rid)
{
    struct proxy_reg *reg;

    HASH_FIND_BYHASHVALUE(hh, hub->regs, rid->b, sizeof rid->b,
                          hash_bytes(&hub->key, rid->b, sizeof rid->b), reg);
    return reg;
}

/* A number that is free on the port, and will be when the circuit `asked` of port `from` is there;
 * 0 if none is left. */
static uint32_t port_take_vci(struct proxy_port *p, const struct proxy_port *from, uint32_t asked)
{
    uint32_t vci;

    do {
        vci = vc_vif_take_vci(p->vif, p->least_vci);
    } while (vci != 0 && (port_find(p, vci) != NULL || p->ops->is_ours(p->arg, vci) ||
                          (p == from && vci == asked)));
    return vci;
}

/* Sends OpenVC on, with those counters that concern the circuit. */
static void route_announce(struct proxy_end *from, const struct vc_msg *m,
                           const struct naming_endpoint *dst, const struct naming_endpoint *src)
{
    char d[NAMING_ENDPOINT_TEXT_MAX], s[NAMING_ENDPOINT_TEXT_MAX];
    struct proxy_end *to = from->other;
    struct proxy_port *port = from->port;
    struct buf *out = end_room(to, 2 * NAMING_ENDPOINT_TEXT_MAX + MESSAGE_ROOM, "open");
    struct vc_counters counters = m->counters;
    struct vc_counter mine[CREDITS], one;
    size_t n = 0, before;

    if (out == NULL)
        return;
    while (n < CREDITS && vc_counters_next(&counters, &one)) {
        if (one.vci == m->vci) {
            one.vci = to->node.key;
            mine[n++] = one;
        }
    }
    before = out->len;
    if (vc_msg_put_open_vc(out, to->node.key, span_of(d, naming_endpoint_text(dst, d)),
                           span_of(s, naming_endpoint_text(src, s)), mine, n) >= 0)
        end_sent(to, out->len - before);
    /*
     * What did not fit, one message of credit each; a client sends one counter as a rule. If there
     * is no room for one of them the route is gone, and the rest is for nobody.
     */
    while (vc_counters_next(&counters, &one)) {
        struct vc_msg more = {.kind = VC_MSG_CREDIT};
        uint8_t wire[VC_COUNTER_MAX];

        more.counters.n = 1;
        more.counters.wire = span_of(wire, vc_counter_write(wire, &one));
        if (one.vci == m->vci)
            port_credit(port, more.counters);
    }
}

/* Counters of OpenVC that are about other circuits. */
static void port_other_credit(struct proxy_port *p, const struct vc_msg *m)
{
    struct vc_counters counters = m->counters;
    struct vc_counter one;

    while (vc_counters_next(&counters, &one)) {
        struct vc_counters single = {.n = 1};
        uint8_t wire[VC_COUNTER_MAX];

        single.wire = span_of(wire, vc_counter_write(wire, &one));
        if (one.vci != m->vci)
            port_credit(p, single);
    }
}

static int port_route(struct proxy_port *p, const struct vc_msg *m,
                      const struct naming_endpoint *dst, const struct naming_endpoint *src)
{
    struct proxy_hub *hub = p->hub;
    struct proxy_reg *reg = hub_find(hub, &dst->rid);
    char id[NAMING_RID_TEXT_LEN + 1], text[128];
    struct proxy_route *route;
    uint32_t vci;

    if (reg == NULL) {
        hub->stats.unknown++;
        naming_rid_format(&dst->rid, id);
        snprintf(text, sizeof text, "no server with routing id %s is being proxied", id);
        return port_refuse(p, m->vci, text);
    }
    if (p->n_ends >= hub->limits.circuits || reg->port->n_ends >= hub->limits.circuits) {
        hub->stats.limited++;
        return port_refuse(p, m->vci, "proxy: too many circuits on the connection");
    }
    vci = port_take_vci(reg->port, p, m->vci);
    route = vci != 0 ? route_new(p, m->vci, reg->port, vci) : NULL;
    if (route == NULL)
        return port_refuse(p, m->vci, vci != 0 ? "proxy: out of memory" : "proxy: no VCI is left");
    route_announce(&route->end[0], m, dst, src);
    return 1;
}

static int port_open(struct proxy_port *p, const struct vc_msg *m, struct err *err)
{
    struct naming_endpoint dst, src;
    struct proxy_end *old = port_find(p, m->vci);
    int r = naming_endpoint_parse(m->dst, &dst, err);

    if (r == 0)
        r = naming_endpoint_parse(m->src, &src, err);
    if (r < 0)
        return err_prefix(err, WSPR_EPROTO, "failed to decode control message 0 (OpenVC): ");
    if (old != NULL) {
        /* As at a server, the circuit that had the number is lost. */
        route_break(old, "the VC was opened a second time");
        return 1;
    }
    if (naming_rid_is_null(&dst.rid) || naming_rid_equal(&dst.rid, &p->hub->rid))
        return 0;
    if (p->ops->is_ours(p->arg, m->vci))
        return port_refuse(p, m->vci, "the VC was opened a second time");
    r = port_route(p, m, &dst, &src);
    port_other_credit(p, m);
    return r;
}

/* ---- messages ---- */

static int port_close(struct proxy_port *p, const struct vc_msg *m)
{
    struct proxy_end *from = port_find(p, m->vci);
    struct proxy_end *to;
    struct vc_msg there = *m;

    if (from == NULL)
        return 0;
    to = from->other;
    there.vci = to->node.key;
    /* A text as long as a queue is not worth a connection. */
    if (there.text.len > MESSAGE_ROOM)
        there.text.len = MESSAGE_ROOM;
    if (!to->port->gone)
        vc_msg_put(to->port->ops->out(to->port->arg), &there);
    route_free(from);
    return 1;
}

int proxy_port_message(struct proxy_port *p, const struct vc_msg *m, struct err *err)
{
    struct proxy_end *from;

    switch (m->kind) {
    case VC_MSG_OPEN_VC:
        return port_open(p, m, err);
    case VC_MSG_CLOSE_VC:
        return port_close(p, m);
    case VC_MSG_CREDIT:
        return port_credit(p, m->counters) ? 0 : 1;
    case VC_MSG_OPEN_FLOW:
    case VC_MSG_DATA:
        break;
    }
    from = port_find(p, m->vci);
    if (from != NULL)
        return route_forward(from, m);
    if (p->ops->is_ours(p->arg, m->vci))
        return 0;
    p->hub->stats.unrouted++;
    return port_refuse(p, m->vci, TEXT_NO_ROUTE);
}

void proxy_port_gone(struct proxy_port *p)
{
    struct list *node;

    p->gone = true;
    while ((node = list_pop(&p->regs)) != NULL)
        proxy_hub_unregister(p->hub, LIST_OBJECT(node, struct proxy_reg, node));
    while (!list_empty(&p->ends)) {
        struct proxy_end *e = LIST_OBJECT(p->ends.next, struct proxy_end, all);

        p->hub->stats.vanished++;
        port_close_vc(e->other->port, e->other->node.key, TEXT_VANISHED);
        route_free(e);
    }
    list_remove(&p->feeds);
    proxy_port_drained(p);
}

/* ---- registrations ---- */

int proxy_hub_register(struct proxy_hub *hub, struct proxy_reg *reg, struct proxy_port *port,
                       const struct naming_rid *rid, uint32_t vci, struct err *err)
{
    char id[NAMING_RID_TEXT_LEN + 1];

    naming_rid_format(rid, id);
    if (hub_find(hub, rid) != NULL)
        return err_set(err, WSPR_EUNKNOWN, "server with routing id %s is already being proxied",
                       id);
    if (naming_rid_is_null(rid) || naming_rid_equal(rid, &hub->rid))
        return err_set(err, WSPR_EUNKNOWN, "routing id %s cannot be proxied", id);
    reg->rid = *rid;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, hub->regs, reg->rid.b, sizeof reg->rid.b,
                                hash_bytes(&hub->key, reg->rid.b, sizeof reg->rid.b), reg);
    if (reg->hh.tbl == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    reg->port = port;
    list_push_back(&port->regs, &reg->node);
    if (vci < UINT32_MAX && port->least_vci <= vci)
        port->least_vci = vci + 1;
    hub->stats.registered++;
    hub->stats.servers++;
    return 0;
}

void proxy_hub_unregister(struct proxy_hub *hub, struct proxy_reg *reg)
{
    if (reg->port == NULL)
        return;
    HASH_DELETE(hh, hub->regs, reg);
    list_remove(&reg->node);
    reg->port = NULL;
    hub->stats.servers--;
}

/*
 * The routing of a relay, without sockets: ports are connections, routes are circuits between two
 * of them (spec: stream 12). A port appends what is to be sent to the output of the other port's
 * connection at once, so that a message is copied once on its way.
 *
 * Internal to the relay and its tests.
 */
#ifndef SERVICES_PROXY_HUB_H
#define SERVICES_PROXY_HUB_H

#include "base/hash.h"
#include "base/list.h"
#include "naming/endpoint.h"
#include "services/proxy.h"
#include "vc/map.h"
#include "vc/vif.h"

#define PROXY_SOFT_QUEUE (256u * 1024) /* waiting for a port from which its feeders pause */

struct proxy_reg;

struct proxy_hub {
    struct proxy_limits limits; /* complete */
    struct proxy_stats stats;
    struct naming_rid rid; /* the relay's own */
    struct hash_key key;
    struct proxy_reg *regs; /* by routing id */
};

struct proxy_port_ops {
    /* What is to be sent on the connection: appended to, and sent in order, soon. */
    struct buf *(*out)(void *arg);
    /* Whether the circuit of that number ends at the relay. */
    bool (*is_ours)(void *arg, uint32_t vci);
    /* Reading stops, or goes on. */
    void (*pause)(void *arg, bool on);
};

/* A connection. */
struct proxy_port {
    struct proxy_hub *hub;
    const struct proxy_port_ops *ops;
    void *arg;
    struct vc_vif *vif; /* for numbers */
    struct vc_map map;  /* struct proxy_end, by VCI */
    struct list ends;   /* the same */
    struct list regs;   /* struct proxy_reg */
    unsigned n_ends;
    uint32_t least_vci;      /* of circuits that the relay opens there */
    uint64_t put;            /* bytes ever appended by routes */
    struct proxy_port *sole; /* where all its circuits lead; NULL: to several ports, or there are
                                none */
    struct list feeders;     /* ports that pause because of this one */
    struct list feeds;       /* in the list of the port because of which it pauses */
    bool gone;
};

/* A server's routing id, and where it is. */
struct proxy_reg {
    UT_hash_handle hh;
    struct list node;
    struct proxy_port *port; /* NULL: not registered */
    struct naming_rid rid;
};

void proxy_limits_complete(struct proxy_limits *limits);

/* key: see vc_map_init, random. */
void proxy_port_init(struct proxy_port *port, struct proxy_hub *hub,
                     const struct proxy_port_ops *ops, void *arg, struct vc_vif *vif, uint64_t key);
/* The connection is over: the other ends of its circuits are told, its registrations end. */
void proxy_port_gone(struct proxy_port *port);
/* After gone. */
void proxy_port_done(struct proxy_port *port);

/*
 * A message came: the `message` callback of the port's vif. 0: it is for the engine; 1: it is dealt
 * with; negative: the connection ends.
 */
int proxy_port_message(struct proxy_port *port, const struct vc_msg *msg, struct err *err);
/* Little waits for the connection now: those who pause because of it go on. */
void proxy_port_drained(struct proxy_port *port);

/*
 * Registers a routing id at a port; vci is that of the circuit on which it was asked for. reg is
 * the caller's and all zero. WSPR_EUNKNOWN with the text for the server, WSPR_ENOMEM.
 */
int proxy_hub_register(struct proxy_hub *hub, struct proxy_reg *reg, struct proxy_port *port,
                       const struct naming_rid *rid, uint32_t vci, struct err *err);
/* Harmless if it is not registered. */
void proxy_hub_unregister(struct proxy_hub *hub, struct proxy_reg *reg);

#endif

/* The routing of a relay without sockets: ports whose output is a buffer. */
#ifndef TESTS_UNIT_SERVICES_HUB_RIG_H
#define TESTS_UNIT_SERVICES_HUB_RIG_H

#include "services/proxy_hub.h"

#define HUB_PORTS 4

struct hub_port {
    struct proxy_port port;
    struct vc_vif *vif;
    struct buf out;
    bool up, paused;
    uint32_t ours; /* a circuit that ends at the relay; 0: none */
    struct proxy_reg reg;
};

struct hub_rig {
    struct proxy_hub hub;
    struct vc_pool *pool;
    struct hub_port ports[HUB_PORTS];
};

/* False if memory is short; _done all the same. */
bool hub_rig_init(struct hub_rig *r);
void hub_rig_done(struct hub_rig *r);
/* Ends the port, and the registration at it. */
void hub_port_down(struct hub_port *p);
/* Bytes that arrive; negative if that ends the connection. What the engine says goes to out. */
int hub_port_input(struct hub_port *p, struct span bytes);

#endif

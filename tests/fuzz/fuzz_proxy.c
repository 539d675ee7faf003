#include "config.h"

/*
 * The routing of a relay: four connections, of which two have a server registered, and the fuzzer
 * says what arrives on which. A piece is a byte that names the port (bits 0, 1), ends it (bit 2) or
 * has its output taken (bit 3), then the length in two bytes, then so many bytes.
 */

#include <stdint.h>
#include <stdlib.h>

#include "unit/services/hub_rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BITS_PORT = 3, BIT_DOWN = 4, BIT_DRAIN = 8 };

static void check(const struct hub_rig *r)
{
    unsigned ends = 0;

    for (unsigned i = 0; i < HUB_PORTS; i++) {
        const struct hub_port *p = &r->ports[i];

        ends += p->port.n_ends;
        if (p->up && p->out.len > r->hub.limits.peer_queue + (8u << 20))
            abort();
        /* Who is not read must have somebody to wait for. */
        if (p->up && p->paused != !list_empty(&p->port.feeds))
            abort();
        if (!p->up && p->port.n_ends > 0)
            abort();
    }
    if (ends != 2 * r->hub.stats.circuits)
        abort();
}

static void drain(struct hub_port *p)
{
    struct span rest = buf_span(&p->out);
    struct vc_msg m;

    /* What a relay sends can be read. */
    while (rest.len > 0) {
        if (vc_msg_next(&rest, VC_MSG_BODY_MAX, &m, NULL, NULL) <= 0)
            abort();
    }
    buf_reset(&p->out);
    if (p->up)
        proxy_port_drained(&p->port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hub_rig r;

    if (!hub_rig_init(&r))
        abort();
    /* Bounds that a short input can reach. */
    r.hub.limits.circuits = 8;
    r.hub.limits.circuit_queue = 2048;
    r.hub.limits.peer_queue = 4096;
    for (unsigned i = 0; i < 2; i++) {
        struct naming_rid rid = naming_rid_fixed(0x5555555555555555 + i);

        if (proxy_hub_register(&r.hub, &r.ports[i].reg, &r.ports[i].port, &rid, 10, NULL) < 0)
            abort();
        r.ports[i].ours = 10;
    }
    while (size >= 3) {
        struct hub_port *p = &r.ports[data[0] & BITS_PORT];
        uint8_t bits = data[0];
        size_t len = (size_t)data[1] << 8 | data[2];

        data += 3;
        size -= 3;
        len = len < size ? len : size;
        if (hub_port_input(p, span_of(data, len)) < 0 || bits & BIT_DOWN)
            hub_port_down(p);
        if (bits & BIT_DRAIN)
            drain(p);
        check(&r);
        data += len;
        size -= len;
    }
    for (unsigned i = 0; i < HUB_PORTS; i++)
        drain(&r.ports[i]);
    hub_rig_done(&r);
    if (r.hub.stats.circuits != 0 || r.hub.stats.servers != 0)
        abort();
    return 0;
}

#include "config.h"
#include "hub_rig.h"

#define OUT_MAX (64u << 20)

static struct buf *port_out(void *arg)
{
    struct hub_port *p = arg;

    return &p->out;
}

static bool port_is_ours(void *arg, uint32_t vci)
{
    struct hub_port *p = arg;

    return p->ours != 0 && vci == p->ours;
}

static void port_pause(void *arg, bool on)
{
    struct hub_port *p = arg;

    p->paused = on;
}

static const struct proxy_port_ops port_ops = {
    .out = port_out,
    .is_ours = port_is_ours,
    .pause = port_pause,
};

static int port_message(void *arg, const struct vc_msg *msg, struct err *e)
{
    struct hub_port *p = arg;

    return proxy_port_message(&p->port, msg, e);
}

static const struct vc_vif_ops vif_ops = {.message = port_message};

bool hub_rig_init(struct hub_rig *r)
{
    static const uint8_t key[16] = {1};
    struct vc_vif_opts opts = {.accepting = true, .version = 2};
    struct vc_limits limits;

    *r = (struct hub_rig){.hub.rid = naming_rid_fixed(0xbbbb)};
    proxy_limits_complete(&r->hub.limits);
    vc_limits_default(&limits);
    r->pool = vc_pool_new(&limits, key);
    if (r->pool == NULL)
        return false;
    for (unsigned i = 0; i < HUB_PORTS; i++) {
        struct hub_port *p = &r->ports[i];

        buf_init(&p->out, OUT_MAX);
        p->vif = vc_vif_new(r->pool, &opts, &vif_ops, p);
        if (p->vif == NULL)
            return false;
        proxy_port_init(&p->port, &r->hub, &port_ops, p, p->vif, i);
        p->up = true;
    }
    return true;
}

void hub_port_down(struct hub_port *p)
{
    if (!p->up)
        return;
    p->up = false;
    proxy_port_gone(&p->port);
    vc_vif_free(p->vif, NULL);
    p->vif = NULL;
    proxy_port_done(&p->port);
}

void hub_rig_done(struct hub_rig *r)
{
    for (unsigned i = 0; i < HUB_PORTS; i++) {
        hub_port_down(&r->ports[i]);
        buf_done(&r->ports[i].out);
    }
    vc_pool_free(r->pool);
}

int hub_port_input(struct hub_port *p, struct span bytes)
{
    int r;

    if (!p->up)
        return WSPR_ECLOSED;
    r = vc_vif_input(p->vif, bytes, 0);
    vc_vif_output(p->vif, &p->out, 65536, 0);
    return r;
}

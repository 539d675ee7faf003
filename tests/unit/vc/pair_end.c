/* Ending a thing of a pair: it is forgotten first, because its end may call back. */
#include "config.h"

#include "pair.h"

void pair_close_flow(struct tflow *f)
{
    struct vc_flow *flow = f->flow;

    f->flow = NULL;
    vc_flow_close(flow);
}

void pair_cancel_flow(struct tflow *f)
{
    struct vc_flow *flow = f->flow;

    f->flow = NULL;
    vc_flow_cancel(flow);
}

void pair_close_vc(struct tvc *v)
{
    struct vc *vc = v->vc;

    v->vc = NULL;
    vc_close(vc);
}

void pair_abort_vc(struct tvc *v, const char *text)
{
    struct vc *vc = v->vc;

    v->vc = NULL;
    vc_abort(vc, text);
}

void pair_free_vif(struct end *e, const char *why)
{
    struct vc_vif *vif = e->vif;
    struct err reason = ERR_INIT;

    e->vif = NULL;
    if (why != NULL)
        err_set(&reason, WSPR_ESYS, "%s", why);
    vc_vif_free(vif, why != NULL ? &reason : NULL);
    err_done(&reason);
}

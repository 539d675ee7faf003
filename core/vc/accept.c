#include "config.h"

/*
 * Circuits that the peer opens (spec: stream 5.3).
 */

#include "naming/endpoint.h"
#include "security/identity.h"
#include "vc/impl.h"

static void vc_refuse(struct vc_vif *vif, uint32_t vci, const char *text)
{
    vif->pool->stats.vcs_refused++;
    ctl_close_vc(vif, vci, span_str(text));
}

/* spec: stream 5.3, 3. The peer has forgotten the circuit it had under this number. */
static void vc_duplicate(struct vc *vc)
{
    struct vc_vif *vif = vc->vif;
    struct err why = ERR_INIT;
    struct buf text = BUF_INIT(ERR_MSG_MAX);

    buf_printf(&text, "underlying network connection(%s) shutting down", vif->name);
    err_set(&why, WSPR_EPROTO, "the remote end opened the circuit a second time");
    vif->pool->stats.vcs_refused++;
    vc_end(vc, &why, buf_cstr(&text) != NULL ? buf_cstr(&text) : "shutting down");
    buf_done(&text);
}

/* The circuit exists; asks how it shall be and starts it. */
static void vc_start_accepted(struct vc *vc, const struct vc_msg *m)
{
    struct vc_vif *vif = vc->vif;
    struct vc_accept how = {0};
    struct err e = ERR_INIT;
    int r;

    vc->held = true;
    r = vif->ops->accept_vc(vif->arg, vc, vc->local, vc->remote, &how, &e);
    if (r < 0) {
        vc->held = false;
        vif->pool->stats.vcs_refused++;
        if (e.code == 0)
            err_set(&e, r, "VC accept failed: %s", err_code_text(r));
        vc_end_close(vc, r, err_text(&e));
        err_done(&e);
        return;
    }
    vif->pool->stats.vcs_accepted++;
    vc->security = how.security;
    vc->crypter = how.crypter;
    vc->ops = how.ops;
    vc->arg = how.arg;
    if (how.identity != NULL)
        vc->identity = security_private_ref(how.identity);
    if (vc->state == VC_CLOSED) { /* by the callback */
        vif_note(vif, &vc->note, NOTE_CLOSED);
        return;
    }
    flow_on_credit(vif, &m->counters);
    credit_add_shared(vc, vif->pool->limits.shared);
    if (vc->security == VC_INSECURE)
        vc_become_ready(vc);
    else if (vc->crypter == NULL || vc->identity == NULL || hs_new(vc) < 0)
        vc_end_close(vc, WSPR_ENOMEM, "VC accept failed: out of memory");
    else
        vc_set_state(vc, VC_WAIT_KX);
}

void vc_on_open(struct vc_vif *vif, const struct vc_msg *m)
{
    struct naming_endpoint dst, src;
    struct err e = ERR_INIT;
    struct vc *old = vc_find(vif, m->vci), *vc;
    int version = (int)vif->version;

    if (naming_endpoint_parse(m->dst, &dst, &e) < 0 ||
        naming_endpoint_parse(m->src, &src, &e) < 0) {
        vif->pool->stats.err_protocol++;
        vif_fail(vif, WSPR_EPROTO, "failed to decode control message 0 (OpenVC): %s", err_text(&e));
        err_done(&e);
        return;
    }
    if (version == 0 && vif->accepting)
        version = naming_versions_common(dst.versions, src.versions, &e);
    if (!vif->accepting || vif->ops->accept_vc == NULL) {
        vc_refuse(vif, m->vci, "VCs not accepted");
    } else if (version < 0) {
        vc_refuse(vif, m->vci, err_text(&e));
    } else if (old != NULL) {
        vc_duplicate(old);
    } else if (vif->n_open >= vif->pool->limits.vcs) {
        vc_refuse(vif, m->vci, "too many VCs on the connection");
    } else if (vif->pool->stats.vcs >= vif->pool->limits.vcs_total ||
               vif->pool->stats.vcs_unready >= vif->pool->limits.vcs_unready) {
        vc_refuse(vif, m->vci, "too many VCs");
    } else if ((vc = vc_new(vif, m->vci, false, &dst, &src)) == NULL) {
        vif->pool->stats.err_memory++;
        vc_refuse(vif, m->vci, "VC accept failed: out of memory");
    } else {
        vc->version = (uint32_t)version;
        vc_start_accepted(vc, m);
    }
    err_done(&e);
}

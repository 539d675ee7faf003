#include "config.h"

/*
 * Circuits (spec: stream 5.3, 10).
 *
 *     opener    NEW -> KX -> AUTH_RECV -------------------------> READY -> CLOSED
 *     acceptor  NEW -> WAIT_KX -> KX -> WAIT_AUTH -> AUTH_SEND -> AUTH_RECV -> READY -> CLOSED
 *
 * Insecure circuits go from NEW to READY. CLOSED can follow on any state. What happens between NEW
 * and READY is in handshake.c.
 *
 * A circuit is in the vif's table until it is CLOSED; the object lives on while its user holds it,
 * flows point to it, or its job is out.
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "naming/endpoint.h"
#include "security/identity.h"
#include "vc/impl.h"

struct vc *vc_find(struct vc_vif *vif, uint32_t vci)
{
    struct vc_map_node *n = vc_map_find(&vif->map, vci);

    return n != NULL ? LIST_OBJECT(n, struct vc, node) : NULL;
}

/* The one place where a circuit changes its state. */
void vc_set_state(struct vc *vc, enum vc_state state)
{
    static const unsigned next[] = {
        [VC_NEW] = 1u << VC_WAIT_KX | 1u << VC_KX | 1u << VC_READY,
        [VC_WAIT_KX] = 1u << VC_KX,
        [VC_KX] = 1u << VC_WAIT_AUTH | 1u << VC_AUTH_SEND | 1u << VC_AUTH_RECV,
        [VC_WAIT_AUTH] = 1u << VC_AUTH_SEND,
        [VC_AUTH_SEND] = 1u << VC_AUTH_RECV,
        [VC_AUTH_RECV] = 1u << VC_READY,
        [VC_READY] = 0,
        [VC_CLOSED] = 0,
    };

    assert(vc->state != VC_CLOSED);
    assert(state == VC_CLOSED || (next[vc->state] >> state & 1) != 0);
    if (state == VC_READY || (state == VC_CLOSED && vc->state != VC_READY))
        vc->vif->pool->stats.vcs_unready -= !vc->opener;
    vc->state = state;
    if (state == VC_READY || state == VC_CLOSED)
        hs_count(vc);
}

/* ---- making and unmaking ---- */

/* Both endpoints in their printed form, in one piece of memory. */
static int vc_set_endpoints(struct vc *vc, const struct naming_endpoint *local,
                            const struct naming_endpoint *remote)
{
    char a[NAMING_ENDPOINT_TEXT_MAX], b[NAMING_ENDPOINT_TEXT_MAX];
    size_t n = naming_endpoint_text(local, a), m = naming_endpoint_text(remote, b);

    vc->endpoints = malloc(n + m + 1);
    if (vc->endpoints == NULL)
        return WSPR_ENOMEM;
    memcpy(vc->endpoints, a, n);
    memcpy(vc->endpoints + n, b, m);
    vc->local = span_of(vc->endpoints, n);
    vc->remote = span_of(vc->endpoints + n, m);
    return 0;
}

struct vc *vc_new(struct vc_vif *vif, uint32_t vci, bool opener,
                  const struct naming_endpoint *local, const struct naming_endpoint *remote)
{
    struct vc *vc = calloc(1, sizeof *vc);

    if (vc == NULL)
        return NULL;
    if (vc_set_endpoints(vc, local, remote) < 0) {
        free(vc);
        return NULL;
    }
    vc->vif = vif;
    vc->vci = vci;
    vc->opener = opener;
    vc->next_flow = opener ? VC_FIRST_OPENER : VC_FIRST_ACCEPTOR;
    moment_init(&vc->idle);
    moment_come(vif, &vc->idle);
    vc_map_init(&vc->map, vif->pool->secret);
    buf_init(&vc->early, vif->pool->limits.held);
    list_init(&vc->credits);
    list_init(&vc->note.link);
    list_init(&vc->flows);
    list_init(&vc->starved);
    list_init(&vc->credit_flows);
    list_push_back(&vif->vcs, &vc->all);
    vc_map_add(&vif->map, &vc->node, vci);
    vif->n_open++;
    vif->pool->stats.vcs++;
    vif->pool->stats.vcs_unready += !opener;
    return vc;
}

void vc_destroy(struct vc *vc)
{
    struct vc_vif *vif = vc->vif;

    hs_free(vc);
    moment_clear(&vc->idle);
    list_remove(&vc->all);
    vc_map_done(&vc->map);
    vc_crypter_free(vc->crypter);
    security_private_unref(vc->identity);
    security_identity_unref(vc->peer);
    pool_give(vif->pool, &vc->early);
    err_done(&vc->why);
    free(vc->endpoints);
    free(vc);
    vif->pool->stats.vcs--;
}

void vc_check(struct vc *vc)
{
    if (vc->state != VC_CLOSED && vc->closing && vc->n_app == 0)
        vc_end_close(vc, WSPR_ECLOSED, "");
    if (vc->state != VC_CLOSED || vc->buried || vc->held || vc->n_objects > 0)
        return;
    if (vc->hs != NULL && vc->hs->job_out)
        return;
    vc->buried = true;
    vif_bury(vc->vif, &vc->note);
}

/* ---- the end ---- */

/* Off the vif: messages for it are ignored from now on. */
static void vc_detach(struct vc *vc)
{
    struct vc_vif *vif = vc->vif;

    vc_map_remove(&vif->map, &vc->node);
    if (--vif->n_open == 0)
        moment_come(vif, &vif->idle);
    credit_drop_vc(vc);
    pool_give(vif->pool, &vc->early);
    if (vc->hs != NULL)
        list_remove(&vc->hs->link);
    if (vc->held)
        vif_note(vif, &vc->note, NOTE_CLOSED);
}

static void vc_drop_flows(struct vc *vc)
{
    LIST_FOREACH_SAFE (l, after, &vc->flows) {
        flow_vc_died(LIST_OBJECT(l, struct vc_flow, all));
    }
}

void vc_end(struct vc *vc, struct err *why, const char *close_text)
{
    struct vc_vif *vif = vc->vif;
    bool ready = vc->state == VC_READY;

    if (vc->flush) { /* the rest of an orderly end is cut short */
        vc->flush = false;
        vc_drop_flows(vc);
    }
    if (vc->state == VC_CLOSED) {
        err_done(why);
        vc_check(vc);
        return;
    }
    err_move(&vc->why, why);
    if (!ready) {
        vif->pool->stats.vcs_failed++;
        if (vc->opener)
            err_prefix(&vc->why, 0, "VC handshake failed: ");
    }
    vc_set_state(vc, VC_CLOSED);
    vc_drop_flows(vc);
    vc_detach(vc);
    if (close_text != NULL)
        ctl_close_vc(vif, vc->vci, span_str(close_text));
    if (vc->hs == NULL || !vc->hs->job_out) {
        hs_free(vc);
        vc_crypter_free(vc->crypter);
        vc->crypter = NULL;
    }
    vc_check(vc);
}

void vc_end_text(struct vc *vc, int code, const char *text)
{
    struct err why = ERR_INIT;

    err_set(&why, code, "%s", text);
    vc_end(vc, &why, NULL);
}

void vc_end_close(struct vc *vc, int code, const char *text)
{
    struct err why = ERR_INIT;

    err_set(&why, code, "%s", text);
    vc_end(vc, &why, text);
}

void vc_retire(struct vc *vc, const char *why)
{
    if (vc->state != VC_READY) {
        vc_end_text(vc, WSPR_ECLOSED, why);
        return;
    }
    err_set(&vc->why, WSPR_ECLOSED, "%s", why);
    vc_set_state(vc, VC_CLOSED);
    vc->flush = true;
    LIST_FOREACH_SAFE (l, after, &vc->flows) {
        struct vc_flow *f = LIST_OBJECT(l, struct vc_flow, all);

        if (f->state == FLOW_OPEN && f->held) {
            f->vc_died = true;
            vif_note(vc->vif, &f->note, NOTE_EOF);
        }
        if (f->raw)
            flow_gone(f);
        else if (f->state == FLOW_OPEN)
            flow_begin_close(f);
        else
            flow_kick(f);
    }
    vc_detach(vc);
    vc_check(vc);
}

/* ---- messages ---- */

void vc_on_close(struct vc_vif *vif, const struct vc_msg *m)
{
    struct vc *vc = vc_find(vif, m->vci);
    struct err why = ERR_INIT;
    struct buf text = BUF_INIT(ERR_MSG_MAX);

    if (vc == NULL) {
        vif->pool->stats.ignored++;
        return;
    }
    buf_printf(&text, "remote end closed VC(%.*s)", SPAN_ARG(m->text));
    /* Who only wants to end says nothing more. */
    err_set(&why, m->text.len > 0 ? WSPR_EABORTED : WSPR_ECLOSED, "%s",
            text.len > 0 ? buf_cstr(&text) : "remote end closed VC(...)");
    buf_done(&text);
    vc_end(vc, &why, NULL);
}

void vc_on_flow_message(struct vc_vif *vif, const struct vc_msg *m)
{
    struct vc *vc = vc_find(vif, m->vci);

    if (vc == NULL)
        vif->pool->stats.ignored++;
    else if (vc->state != VC_READY)
        hs_on_message(vc, m);
    else if (m->kind == VC_MSG_OPEN_FLOW)
        flow_on_open(vc, m);
    else
        flow_on_data(vc, m);
}

/* ---- ready ---- */

void vc_become_ready(struct vc *vc)
{
    struct vc_stats *stats = &vc->vif->pool->stats;

    vc_set_state(vc, VC_READY);
    stats->vcs_ready++;
    if (vc_is_legacy(vc))
        stats->vcs_legacy++;
    hs_free(vc);
    LIST_FOREACH_SAFE (l, after, &vc->flows) {
        struct vc_flow *f = LIST_OBJECT(l, struct vc_flow, all);

        if (f->announced)
            continue;
        ctl_open_flow(f);
        if (vc->state != VC_READY)
            return;
        flow_kick(f);
    }
    vif_note(vc->vif, &vc->note, NOTE_READY);
    vc_check(vc);
}

/* What came too early, in its order. Callbacks may end the circuit at any point. */
static void vc_replay(struct vc *vc)
{
    struct buf early = vc->early;
    struct span rest = buf_span(&early);
    struct vc_msg m;

    vc->early = BUF_INIT(0);
    while (vc->state == VC_READY && vc_msg_next(&rest, VC_MSG_BODY_MAX, &m, NULL, NULL) > 0) {
        if (m.kind == VC_MSG_OPEN_FLOW)
            flow_on_open(vc, &m);
        else
            flow_on_data(vc, &m);
    }
    pool_give(vc->vif->pool, &early);
}

void vc_deliver(struct vc *vc, uint8_t bits)
{
    if ((bits & NOTE_READY) && vc->state == VC_READY) {
        if (vc->held && vc->ops != NULL && vc->ops->ready != NULL)
            vc->ops->ready(vc->arg, vc);
        vc_replay(vc);
    }
    if ((bits & NOTE_CLOSED) && vc->held && vc->ops != NULL && vc->ops->closed != NULL)
        vc->ops->closed(vc->arg, vc, &vc->why);
}

/* ---- the user's functions ---- */

static int vc_open_check(struct vc_vif *vif, const struct vc_open *how, struct err *e)
{
    if (vif->over)
        return err_set(e, WSPR_ECLOSED, "underlying network connection(%s) shutting down",
                       vif->name);
    if (vif->n_open >= vif->pool->limits.vcs)
        return err_set(e, WSPR_ELIMIT, "too many VCs on the connection");
    if (how->security == VC_SECURE && (how->crypter == NULL || how->identity == NULL))
        return err_set(e, WSPR_ENOMEM, "out of memory");
    return 0;
}

static int vc_open_version(const struct vc_open *how, struct naming_endpoint *dst,
                           struct naming_endpoint *src, struct err *e)
{
    int r = naming_endpoint_parse(how->dst, dst, e);

    if (r >= 0)
        r = naming_endpoint_parse(how->src, src, e);
    if (r < 0)
        return r;
    return how->version != 0 ? (int)how->version
                             : naming_versions_common(src->versions, dst->versions, e);
}

int vc_open(struct vc_vif *vif, const struct vc_open *how, struct vc **ret_vc, struct err *e)
{
    struct naming_endpoint dst, src;
    struct vc *vc = NULL;
    uint32_t vci = 0;
    int r = vc_open_check(vif, how, e), version = 0;

    if (r == 0)
        r = version = vc_open_version(how, &dst, &src, e);
    if (r >= 0 && (vci = vc_vif_take_vci(vif, 0)) == 0)
        r = err_set(e, WSPR_ELIMIT, "no VCI left on the connection");
    if (r >= 0 && (vc = vc_new(vif, vci, true, &src, &dst)) == NULL)
        r = err_set(e, WSPR_ENOMEM, "out of memory");
    if (r < 0) {
        vc_crypter_free(how->crypter);
        return r;
    }
    vif->pool->stats.vcs_opened++;
    vc->version = (uint32_t)version;
    vc->security = how->security;
    vc->crypter = how->crypter;
    vc->ops = how->ops;
    vc->arg = how->arg;
    vc->held = true;
    if (how->identity != NULL)
        vc->identity = security_private_ref(how->identity);
    ctl_open_vc(vc);
    if (vc->state == VC_NEW && vc->security == VC_INSECURE)
        vc_become_ready(vc);
    else if (vc->state == VC_NEW && hs_begin_opener(vc) < 0)
        vc_end_close(vc, WSPR_ENOMEM, "out of memory");
    *ret_vc = vc;
    return 0;
}

static void vc_release(struct vc *vc)
{
    vc->held = false;
    vc->note.bits &= NOTE_READY;
}

void vc_close(struct vc *vc)
{
    struct vc_vif *vif;

    if (vc == NULL)
        return;
    vif = vc->vif;
    vc_release(vc);
    vc->closing = true;
    vc_check(vc);
    vif_reap(vif);
}

void vc_abort(struct vc *vc, const char *text)
{
    struct vc_vif *vif;
    struct err why = ERR_INIT;

    if (vc == NULL)
        return;
    vif = vc->vif;
    vc_release(vc);
    err_set(&why, WSPR_ECLOSED, "%s", text[0] != '\0' ? text : "closed");
    vc_end(vc, &why, text);
    vif_reap(vif);
}

enum vc_state vc_state(const struct vc *vc)
{
    return vc->state;
}

bool vc_is_opener(const struct vc *vc)
{
    return vc->opener;
}

uint32_t vc_id(const struct vc *vc)
{
    return vc->vci;
}

uint32_t vc_version(const struct vc *vc)
{
    return vc->version;
}

struct span vc_local_endpoint(const struct vc *vc)
{
    return vc->local;
}

struct span vc_remote_endpoint(const struct vc *vc)
{
    return vc->remote;
}

struct security_identity *vc_peer(const struct vc *vc)
{
    return vc->peer;
}

struct security_private *vc_identity(const struct vc *vc)
{
    return vc->identity;
}

const char *vc_describe(const struct vc *vc)
{
    if (vc->crypter == NULL || vc->state != VC_READY)
        return "";
    return vc->crypter->ops->describe(vc->crypter);
}

bool vc_is_legacy(const struct vc *vc)
{
    return vc->crypter != NULL && vc->state == VC_READY && vc->crypter->ops->is_legacy != NULL &&
           vc->crypter->ops->is_legacy(vc->crypter);
}

bool vc_is_worn(const struct vc *vc)
{
    /* The two flows of the handshake count as well; nobody will miss them. */
    return (vc->next_flow - VC_FIRST_OPENER) / 2 >= vc->vif->pool->limits.flow_ids ||
           vc->next_flow > UINT32_MAX;
}

int vc_can_open(const struct vc *vc)
{
    if (vc->state == VC_CLOSED || vc->closing)
        return WSPR_ECLOSED;
    if (vc_is_worn(vc) || vc->n_app >= vc->vif->pool->limits.flows)
        return WSPR_ELIMIT;
    return 0;
}

unsigned vc_flows(const struct vc *vc)
{
    return vc->n_app;
}

int64_t vc_idle_since(const struct vc *vc)
{
    return vc->idle.at;
}

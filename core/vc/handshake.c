#include "config.h"

/*
 * From OpenVC to ready (spec: stream 7, 8).
 *
 *     opener                                       acceptor
 *     OpenFlow kx  ------------------------------> flow 1: kx
 *     [job: step]  <----- key exchange bytes ----> [job: step] ...
 *     OpenFlow auth, close kx -------------------> flow 2: auth
 *                  <----- identity message ------- [job: send]
 *     [job: check it and make ours]
 *                  ------ identity message ------> [job: check]
 *     ready                                        close auth, ready
 *
 * A circuit has one job at most. While it is out the crypter belongs to it, and what arrives waits
 * in hs->in, hs->auth_in or, for flows of the application, in vc->early.
 */

#include <stdlib.h>

#include "security/channel.h"
#include "vc/impl.h"

int hs_new(struct vc *vc)
{
    const struct vc_limits *l = &vc->vif->pool->limits;
    struct vc_hs *hs = calloc(1, sizeof *hs);

    if (hs == NULL)
        return WSPR_ENOMEM;
    list_init(&hs->job.link);
    list_init(&hs->link);
    hs->job.vc = vc;
    hs->job.opener = vc->opener;
    hs->job.version = vc->version;
    hs->job.identity_flags = l->identity_flags;
    hs->job.crypter = vc->crypter;
    hs->job.identity = vc->identity;
    buf_init(&hs->job.in, l->handshake_bytes);
    buf_init(&hs->job.out, l->handshake_bytes);
    buf_init(&hs->in, l->handshake_bytes);
    buf_init(&hs->auth_in, l->handshake_bytes);
    vc->hs = hs;
    moment_init(&hs->begun);
    moment_come(vc->vif, &hs->begun);
    list_push_back(&vc->vif->handshakes, &hs->link);
    return 0;
}

void hs_free(struct vc *vc)
{
    struct vc_hs *hs = vc->hs;

    if (hs == NULL)
        return;
    list_remove(&hs->link);
    moment_clear(&hs->begun);
    buf_done(&hs->job.in);
    buf_done(&hs->job.out);
    buf_done(&hs->in);
    buf_done(&hs->auth_in);
    err_done(&hs->job.err);
    security_identity_unref(hs->job.peer);
    free(hs);
    vc->hs = NULL;
}

/* ---- failing ---- */

/* Ends the circuit with the text of *e behind what was being done. */
static void hs_fail(struct vc *vc, struct err *e)
{
    const char *what = "failed to setup TLS";
    struct err told = ERR_INIT;

    vc->vif->pool->stats.err_handshake++;
    if (vc->state != VC_KX && vc->state != VC_WAIT_KX)
        what = vc->opener ? "authentication failed" : "Authentication failed";
    err_prefix(e, 0, "%s: ", what);
    err_copy(&told, e);
    vc_end(vc, e, err_text(&told));
    err_done(&told);
}

static void hs_fail_text(struct vc *vc, int code, const char *text)
{
    struct err e = ERR_INIT;

    err_set(&e, code, "%s", text);
    hs_fail(vc, &e);
}

/* ---- jobs ---- */

static void hs_start_job(struct vc *vc, enum job_kind kind)
{
    struct vc_job *job = &vc->hs->job;

    job->kind = kind;
    job->result = 0;
    vc->hs->job_out = true;
    list_push_back(&vc->vif->jobs, &job->link);
    vif_wake(vc->vif);
}

void vc_job_run(struct vc_job *job)
{
    switch (job->kind) {
    case JOB_KX:
        job->result = job->crypter->ops->handshake(job->crypter, &job->in, &job->out, &job->err);
        if (job->result >= 0 && buf_error(&job->out) != 0)
            job->result = buf_error(&job->out);
        break;
    case JOB_AUTH_SEND:
        job->result = auth_send(job);
        break;
    case JOB_AUTH_RECEIVE:
        job->result = auth_receive(job);
        break;
    case JOB_AUTH_BOTH:
        job->result = auth_receive(job);
        if (job->result >= 0)
            job->result = auth_send(job);
        break;
    }
}

void vc_job_cancel(struct vc_job *job)
{
    job->result = err_set(&job->err, WSPR_ECANCELED, "canceled");
}

/* ---- what comes next ---- */

/* The numbers of our two flows; those of the application follow (spec: stream 1.3). */
#define HS_KX_FLOW   VC_FIRST_OPENER
#define HS_AUTH_FLOW (VC_FIRST_OPENER + 2)

static int hs_open_raw(struct vc *vc, uint32_t id, struct vc_flow **ret_flow)
{
    struct vc_flow *f = flow_new(vc, id, true, true);

    if (f == NULL)
        return WSPR_ENOMEM;
    *ret_flow = f;
    ctl_open_flow(f);
    return 0;
}

int hs_begin_opener(struct vc *vc)
{
    int r = hs_new(vc);

    if (r < 0)
        return r;
    vc_set_state(vc, VC_KX);
    vc->hs->kx_seen = vc->hs->auth_seen = true;
    vc->next_flow = HS_AUTH_FLOW + 2;
    r = hs_open_raw(vc, HS_KX_FLOW, &vc->hs->kx);
    if (r == 0 && vc->state == VC_KX)
        hs_start_job(vc, JOB_KX);
    return r;
}

/* Bytes of the key exchange came, or a step is done: takes the next step if there is reason to. */
static void hs_advance_kx(struct vc *vc)
{
    struct vc_hs *hs = vc->hs;

    if (hs->in.len > 0) {
        buf_append_span(&hs->job.in, buf_span(&hs->in));
        if (buf_error(&hs->job.in) != 0) {
            hs_fail_text(vc, buf_error(&hs->job.in), "too many bytes");
            return;
        }
        buf_reset(&hs->in);
        hs_start_job(vc, JOB_KX);
    } else if (hs->kx_eof) {
        hs_fail_text(vc, WSPR_ECLOSED, "EOF");
    }
}

/* Checks the peer's identity message as soon as it is complete. */
static void hs_advance_auth(struct vc *vc)
{
    struct security_channel_message m;
    struct vc_hs *hs = vc->hs;
    struct err e = ERR_INIT;
    size_t used;
    int r = security_channel_decode(buf_span(&hs->auth_in), &m, &used, &e);

    if (r == WSPR_EAGAIN && !hs->auth_eof) {
        err_done(&e);
        return;
    }
    if (r == WSPR_EAGAIN)
        err_set(&e, WSPR_ETRUNC, "failed to decode identityMessage: EOF");
    if (r < 0) {
        hs_fail(vc, &e);
        return;
    }
    err_done(&e);
    buf_done(&hs->job.in);
    hs->job.in = hs->auth_in;
    hs->auth_in = BUF_INIT(hs->auth_in.max);
    hs_start_job(vc, vc->opener ? JOB_AUTH_BOTH : JOB_AUTH_RECEIVE);
}

static void hs_advance(struct vc *vc)
{
    if (vc->hs->job_out)
        return;
    switch (vc->state) {
    case VC_WAIT_KX:
        if (vc->hs->kx_seen) {
            vc_set_state(vc, VC_KX);
            hs_advance_kx(vc);
        }
        break;
    case VC_KX:
        hs_advance_kx(vc);
        break;
    case VC_WAIT_AUTH:
        if (vc->hs->auth_seen) {
            vc_set_state(vc, VC_AUTH_SEND);
            hs_start_job(vc, JOB_AUTH_SEND);
        }
        break;
    case VC_AUTH_RECV:
        hs_advance_auth(vc);
        break;
    case VC_NEW:
    case VC_AUTH_SEND:
    case VC_READY:
    case VC_CLOSED:
        break;
    }
}

/* ---- jobs that come back ---- */

/* Sends what a job made. */
static int hs_send(struct vc_job *job, struct vc_flow *f)
{
    int r;

    if (job->out.len == 0)
        return 0;
    if (f == NULL)
        return err_set(&job->err, WSPR_ECLOSED, "EOF");
    r = flow_append(f, buf_span(&job->out));
    buf_reset(&job->out);
    return r < 0 ? err_set(&job->err, r, "%s", err_code_text(r)) : 0;
}

static int hs_back_kx(struct vc *vc)
{
    struct vc_hs *hs = vc->hs;
    bool done = hs->job.result == VC_CRYPTER_DONE;
    int r = hs_send(&hs->job, hs->kx);

    if (r < 0 || !done)
        return r;
    /* Nothing on this flow is of interest any more (spec: stream 13, 3). */
    buf_done(&hs->job.in);
    buf_done(&hs->in);
    if (!vc->opener) {
        vc_set_state(vc, VC_WAIT_AUTH);
        return 0;
    }
    vc_set_state(vc, VC_AUTH_RECV);
    r = hs_open_raw(vc, HS_AUTH_FLOW, &hs->auth);
    if (r < 0)
        return err_set(&hs->job.err, r, "out of memory");
    if (vc->state == VC_AUTH_RECV && hs->kx != NULL)
        flow_begin_close(hs->kx);
    return 0;
}

static int hs_back_auth(struct vc *vc)
{
    struct vc_hs *hs = vc->hs;
    int r = hs_send(&hs->job, hs->auth);

    if (r < 0)
        return r;
    if (hs->job.kind == JOB_AUTH_SEND) {
        vc_set_state(vc, VC_AUTH_RECV);
        return 0;
    }
    vc->peer = hs->job.peer;
    hs->job.peer = NULL;
    if (hs->auth != NULL)
        flow_begin_close(hs->auth);
    else if (!vc->opener) /* the peer closed it already; spec: stream 7.2 has ours all the same */
        ctl_bare_close(vc->vif, vc->vci, hs->auth_id);
    if (vc->state == VC_AUTH_RECV)
        vc_become_ready(vc);
    return 0;
}

void hs_job_back(struct vc_vif *vif, struct vc_job *job)
{
    struct vc *vc = job->vc;
    struct err e = ERR_INIT;
    int r = job->result;

    (void)vif;
    vc->hs->job_out = false;
    if (vc->state == VC_CLOSED) {
        hs_free(vc);
        vc_crypter_free(vc->crypter);
        vc->crypter = NULL;
        vc_check(vc);
        return;
    }
    if (r >= 0)
        r = job->kind == JOB_KX ? hs_back_kx(vc) : hs_back_auth(vc);
    if (r < 0) {
        err_move(&e, &vc->hs->job.err);
        if (e.code == 0)
            err_set(&e, r, "%s", err_code_text(r));
        hs_fail(vc, &e);
    } else if (vc->hs != NULL) {
        hs_advance(vc);
    }
}

/* ---- messages ---- */

void hs_count(struct vc *vc)
{
    size_t held = 0;

    if (vc->state != VC_READY && vc->state != VC_CLOSED)
        held = vc->early.cap + vc->hs->in.cap + vc->hs->auth_in.cap;
    vc->vif->held += held - vc->early_counted;
    vc->vif->pool->stats.held += (uint64_t)held - vc->early_counted;
    vc->early_counted = held;
}

/*
 * Something more is kept of a peer that nobody knows yet; r is how that went. What one circuit may
 * have is little, but anybody may open many. False: the circuit is over.
 */
static bool hs_kept(struct vc *vc, int r)
{
    const struct vc_pool *pool = vc->vif->pool;

    hs_count(vc);
    if (r >= 0 &&
        (vc->vif->held > pool->limits.held_vif || pool->stats.held > pool->limits.held_total))
        r = WSPR_ELIMIT;
    if (r >= 0)
        return true;
    if (r == WSPR_ELIMIT)
        vc->vif->pool->stats.err_held++;
    vc_end_close(vc, r, "too many bytes before authentication");
    return false;
}

/* An application flow, before its time: keeps the message. */
static void hs_hold(struct vc *vc, const struct vc_msg *m)
{
    pool_take(vc->vif->pool, &vc->early, m->payload.len + 64);
    (void)hs_kept(vc, vc_msg_put(&vc->early, m));
}

static void hs_on_open_flow(struct vc *vc, const struct vc_msg *m)
{
    struct vc_hs *hs = vc->hs;
    struct vc_flow *f;

    if (flow_find(vc, m->flow) != NULL) {
        vc->vif->pool->stats.flows_rejected++;
        ctl_bare_close(vc->vif, vc->vci, m->flow);
        return;
    }
    if (hs->kx_seen && hs->auth_seen) {
        hs_hold(vc, m);
        return;
    }
    f = flow_new(vc, m->flow, true, false);
    if (f == NULL) {
        vc_end_close(vc, WSPR_ENOMEM, "out of memory");
        return;
    }
    f->announced = true;
    f->credit = m->bytes;
    if (!hs->kx_seen) {
        hs->kx_seen = true;
        hs->kx = f;
    } else {
        hs->auth_seen = true;
        hs->auth = f;
        hs->auth_id = m->flow;
    }
    credit_add_flow(f, vc->vif->pool->limits.window, true);
    hs_advance(vc);
}

/* Data of the key exchange or of the identity message, as a stream of bytes. */
static void hs_on_raw(struct vc *vc, struct vc_flow *f, const struct vc_msg *m)
{
    bool kx = f == vc->hs->kx, auth = f == vc->hs->auth;
    struct buf *in = kx ? &vc->hs->in : &vc->hs->auth_in;
    size_t most = vc->vif->pool->limits.handshake_bytes;
    bool wanted = auth || (kx && (vc->state == VC_KX || vc->state == VC_WAIT_KX));

    if (f->state == FLOW_OPEN)
        (void)flow_received(f, m->payload.len); /* handshake_bytes is the tighter bound */
    if (wanted) {
        buf_append_span(in, m->payload);
        if (buf_error(in) != 0 || f->received > most) {
            vc->vif->pool->stats.err_handshake_bytes++;
            vc_end_close(vc, WSPR_ELIMIT, "too many bytes in the handshake");
            return;
        }
        if (!hs_kept(vc, 0))
            return;
    }
    if (m->flags & VC_FLAG_CLOSE) {
        vc->hs->kx_eof |= kx;
        vc->hs->auth_eof |= auth;
        flow_gone(f);
    }
    hs_advance(vc);
}

void hs_on_message(struct vc *vc, const struct vc_msg *m)
{
    struct vc_flow *f = flow_find(vc, m->flow);

    if (m->kind == VC_MSG_OPEN_FLOW)
        hs_on_open_flow(vc, m);
    else if (f != NULL && f->raw)
        hs_on_raw(vc, f, m);
    else
        hs_hold(vc, m);
}

#include "config.h"

/*
 * One connection.
 *
 *     bytes -> input -> one message at a time -> vc.c, flow.c, handshake.c -> callbacks
 *                                   |
 *                     notes, jobs, control messages, credit, data
 *                                   v
 *              output (out.c), and vif_dispatch() when an entry point is about to return
 *
 * vif_enter and vif_leave count the entry points on the stack. The outermost one delivers what was
 * noted and empties the graves.
 */

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vc/impl.h"

struct vc_vif *vc_vif_new(struct vc_pool *pool, const struct vc_vif_opts *opts,
                          const struct vc_vif_ops *ops, void *arg)
{
    const struct vc_limits *l = &pool->limits;
    const char *name = opts->name != NULL ? opts->name : "";
    struct vc_vif *vif = calloc(1, sizeof *vif);

    if (vif == NULL)
        return NULL;
    vif->name = mem_strndup(name, strlen(name));
    if (vif->name == NULL) {
        free(vif);
        return NULL;
    }
    vif->pool = pool;
    vif->ops = ops;
    vif->arg = arg;
    vif->now = opts->now;
    list_init(&vif->undated);
    moment_init(&vif->idle);
    vif->idle.at = opts->now;
    vif->accepting = opts->accepting;
    vif->version = opts->version;
    vif->peer_borrows = opts->peer_borrows;
    vif->next_vci = opts->dialled ? VIF_FIRST_DIALLED : VIF_FIRST_ACCEPTED;
    vc_map_init(&vif->map, pool->secret);
    buf_init(&vif->in, VC_MSG_HEADER + VC_MSG_BODY_MAX);
    buf_init(&vif->ctl, l->control_queue);
    buf_init(&vif->relay, l->relay_queue);
    list_init(&vif->vcs);
    list_init(&vif->active);
    list_init(&vif->credits);
    list_init(&vif->handshakes);
    list_init(&vif->lingering);
    list_init(&vif->notes);
    list_init(&vif->jobs);
    list_init(&vif->done);
    list_init(&vif->graves);
    list_push_back(&pool->vifs, &vif->node);
    pool->stats.vifs++;
    return vif;
}

static void vif_count_input(struct vc_vif *vif)
{
    vif->pool->stats.in_bytes += (uint64_t)vif->in.cap - vif->in_counted;
    vif->in_counted = vif->in.cap;
}

static void vif_destroy(struct vc_vif *vif)
{
    vif->pool->stats.vifs--;
    list_remove(&vif->node);
    pool_give(vif->pool, &vif->in);
    vif_count_input(vif);
    pool_give(vif->pool, &vif->ctl);
    pool_give(vif->pool, &vif->relay);
    vc_map_done(&vif->map);
    err_done(&vif->why);
    free(vif->name);
    free(vif);
}

/* ---- entry, exit, memory ---- */

void vif_enter(struct vc_vif *vif)
{
    vif->depth++;
}

void vif_enter_at(struct vc_vif *vif, int64_t now)
{
    struct list *l;

    vif->depth++;
    vif->now = now;
    vif->timely = true;
    while ((l = list_pop(&vif->undated)) != NULL)
        LIST_OBJECT(l, struct moment, wait)->at = now;
}

void vif_reap(struct vc_vif *vif)
{
    struct list *l;

    if (vif->depth > 0)
        return;
    while ((l = list_pop(&vif->graves)) != NULL) {
        struct note *n = LIST_OBJECT(l, struct note, link);

        if (n->is_flow)
            flow_destroy(LIST_OBJECT(n, struct vc_flow, note));
        else
            vc_destroy(LIST_OBJECT(n, struct vc, note));
    }
    if (vif->freed && list_empty(&vif->vcs))
        vif_destroy(vif);
}

void vif_leave(struct vc_vif *vif)
{
    if (vif->depth == 1)
        vif_dispatch(vif);
    if (--vif->depth == 0)
        vif->timely = false;
    vif_reap(vif);
}

void vif_bury(struct vc_vif *vif, struct note *note)
{
    note->bits = 0;
    list_remove(&note->link);
    list_push_back(&vif->graves, &note->link);
}

/* ---- moments ---- */

void moment_init(struct moment *m)
{
    list_init(&m->wait);
    m->at = INT64_MAX;
}

void moment_come(struct vc_vif *vif, struct moment *m)
{
    list_remove(&m->wait);
    m->at = vif->timely ? vif->now : INT64_MAX;
    if (vif->timely)
        return;
    list_push_back(&vif->undated, &m->wait);
    vif_wake(vif);
}

void moment_clear(struct moment *m)
{
    list_remove(&m->wait);
    m->at = INT64_MAX;
}

/* ---- notices ---- */

void vif_wake(struct vc_vif *vif)
{
    if (vif->woken || vif->freed)
        return;
    vif->woken = true;
    if (vif->ops->wake != NULL)
        vif->ops->wake(vif->arg);
}

void vif_note(struct vc_vif *vif, struct note *note, uint8_t bits)
{
    note->bits |= bits;
    if (list_empty(&note->link))
        list_push_back(&vif->notes, &note->link);
    vif_wake(vif);
}

static void vif_deliver(struct note *n)
{
    uint8_t bits = n->bits;

    n->bits = 0;
    if (n->is_flow)
        flow_deliver(LIST_OBJECT(n, struct vc_flow, note), bits);
    else
        vc_deliver(LIST_OBJECT(n, struct vc, note), bits);
}

static void vif_hand_out(struct vc_vif *vif, struct vc_job *job)
{
    if (vif->freed || job->vc->state == VC_CLOSED) {
        vc_job_cancel(job);
        hs_job_back(vif, job);
    } else if (vif->ops->work != NULL) {
        vif->pool->stats.jobs++;
        vif->ops->work(vif->arg, job);
    } else {
        vif->pool->stats.jobs++;
        vc_job_run(job);
        hs_job_back(vif, job);
    }
}

void vif_dispatch(struct vc_vif *vif)
{
    struct list *l;

    for (;;) {
        if ((l = list_pop(&vif->done)) != NULL) {
            hs_job_back(vif, LIST_OBJECT(l, struct vc_job, link));
        } else if ((l = list_pop(&vif->jobs)) != NULL) {
            vif_hand_out(vif, LIST_OBJECT(l, struct vc_job, link));
        } else if ((l = list_pop(&vif->notes)) != NULL) {
            vif_deliver(LIST_OBJECT(l, struct note, link));
        } else if (vif->failed && !vif->told) {
            vif->told = true;
            if (!vif->freed && vif->ops->failed != NULL)
                vif->ops->failed(vif->arg, &vif->why);
        } else {
            return;
        }
    }
}

void vc_job_done(struct vc_job *job)
{
    struct vc_vif *vif = job->vc->vif;

    list_push_back(&vif->done, &job->link);
    if (vif->depth > 0)
        return; /* inside `work`: whoever called it takes the job back */
    vif_enter(vif);
    vif_leave(vif);
}

/* ---- the end of a connection ---- */

#define CLOSED "VIF is being closed"

static void vif_end_vcs(struct vc_vif *vif, const struct err *why)
{
    LIST_FOREACH_SAFE (l, after, &vif->vcs) {
        struct err e = ERR_INIT;

        if (why != NULL)
            err_copy(&e, why);
        else
            err_set(&e, WSPR_ECLOSED, CLOSED);
        vc_end(LIST_OBJECT(l, struct vc, all), &e, NULL);
    }
}

void vif_fail(struct vc_vif *vif, int code, const char *fmt, ...)
{
    va_list ap;

    if (vif->over)
        return;
    va_start(ap, fmt);
    err_vset(&vif->why, code, fmt, ap);
    va_end(ap);
    vif->over = true;
    vif->failed = true;
    vif->accepting = false;
    if (code == WSPR_ENOMEM)
        vif->pool->stats.err_memory++;
    vif_end_vcs(vif, &vif->why);
    vif_wake(vif);
}

void vc_vif_free(struct vc_vif *vif, const struct err *why)
{
    if (vif == NULL || vif->freed)
        return;
    vif_enter(vif);
    vif->over = true;
    vif->freed = true;
    vif_end_vcs(vif, why);
    vif_leave(vif);
}

void vc_vif_shutdown(struct vc_vif *vif)
{
    if (vif->over)
        return;
    vif->over = true;
    vif->shutdown = true;
    vif->accepting = false;
    LIST_FOREACH_SAFE (l, after, &vif->vcs) {
        vc_retire(LIST_OBJECT(l, struct vc, all), CLOSED);
    }
    vif_reap(vif);
}

bool vc_vif_drained(const struct vc_vif *vif)
{
    return vif->ctl.len == 0 && vif->relay.len == 0 && list_empty(&vif->active);
}

/* ---- input ---- */

static void vif_handle(struct vc_vif *vif, const struct vc_msg *m)
{
    vif->pool->stats.msgs_in++;
    if (vif->ops->message != NULL) {
        struct err e = ERR_INIT;
        int r = vif->ops->message(vif->arg, m, &e);

        if (r < 0)
            vif_fail(vif, r, "%s", err_text(&e));
        err_done(&e);
        if (r != 0 || vif->over)
            return;
    }
    switch (m->kind) {
    case VC_MSG_OPEN_VC:
        vc_on_open(vif, m);
        break;
    case VC_MSG_CLOSE_VC:
        vc_on_close(vif, m);
        break;
    case VC_MSG_CREDIT:
        flow_on_credit(vif, &m->counters);
        break;
    case VC_MSG_OPEN_FLOW:
    case VC_MSG_DATA:
        vc_on_flow_message(vif, m);
        break;
    }
}

/* Takes one message from *in and handles it. False: it is not complete, *ret_need says how long it
 * is, or the connection has ended. */
static bool vif_take(struct vc_vif *vif, struct span *in, size_t *ret_need)
{
    const struct vc_limits *l = &vif->pool->limits;
    size_t most = in->len > 0 && in->p[0] == 0 ? l->control : l->message;
    struct err e = ERR_INIT;
    struct vc_msg m;
    int r = vc_msg_next(in, most, &m, ret_need, &e);

    if (r == WSPR_ELIMIT)
        vif->pool->stats.err_message_size++;
    else if (r < 0)
        vif->pool->stats.err_protocol++;
    if (r < 0)
        vif_fail(vif, r, "%s", err_text(&e));
    err_done(&e);
    if (r <= 0)
        return false;
    vif_handle(vif, &m);
    vif_dispatch(vif);
    return !vif->over;
}

/* Completes the message whose beginning is kept in vif->in, taking no more of *bytes than it needs.
 */
static bool vif_complete(struct vc_vif *vif, struct span *bytes)
{
    struct span one = buf_span(&vif->in);
    size_t need = 0;

    while (!vif_take(vif, &one, &need)) {
        size_t n;

        if (vif->over || bytes->len == 0)
            return false;
        n = need - vif->in.len < bytes->len ? need - vif->in.len : bytes->len;
        buf_append(&vif->in, bytes->p, n);
        if (buf_error(&vif->in) != 0) {
            vif_fail(vif, WSPR_ENOMEM, "out of memory");
            return false;
        }
        *bytes = span_of(bytes->p + n, bytes->len - n);
        one = buf_span(&vif->in);
        if (vif->in.len < need)
            return false;
    }
    pool_give(vif->pool, &vif->in);
    return true;
}

static void vif_keep(struct vc_vif *vif, struct span rest, size_t need)
{
    if (rest.len == 0)
        return;
    /* A long message is not believed before it comes: memory grows with what is here. */
    pool_take(vif->pool, &vif->in, need < 2 * rest.len + 4096 ? need : rest.len);
    buf_append_span(&vif->in, rest);
    if (buf_error(&vif->in) != 0)
        vif_fail(vif, WSPR_ENOMEM, "out of memory");
}

static struct vc_vif *pool_longest_input(const struct vc_pool *pool)
{
    struct vc_vif *longest = NULL;

    LIST_FOREACH (node, &pool->vifs) {
        struct vc_vif *vif = LIST_OBJECT(node, struct vc_vif, node);

        if (longest == NULL || vif->in.cap > longest->in.cap)
            longest = vif;
    }
    return longest;
}

/* Ends those that have most of what is kept of all, until it is not too much. */
static void pool_relieve(struct vc_pool *pool)
{
    while (pool->stats.in_bytes > pool->limits.in_total) {
        struct vc_vif *vif = pool_longest_input(pool);

        pool->stats.err_input++;
        vif_fail(vif, WSPR_ELIMIT, "too much is kept of incomplete messages of all connections");
        pool_give(pool, &vif->in);
        vif_count_input(vif);
    }
}

int vc_vif_input(struct vc_vif *vif, struct span bytes, int64_t now)
{
    size_t need = 0;
    int r;

    assert(vif->depth == 0);
    vif_enter_at(vif, now);
    vif_dispatch(vif);
    if (!vif->over)
        vif->pool->stats.bytes_in += bytes.len;
    if (!vif->over && (vif->in.len == 0 || vif_complete(vif, &bytes))) {
        while (vif_take(vif, &bytes, &need))
            ;
        if (!vif->over)
            vif_keep(vif, bytes, need);
    }
    vif_count_input(vif);
    pool_relieve(vif->pool);
    r = vif->over ? WSPR_ECLOSED : 0;
    vif_leave(vif);
    return r;
}

/* ---- time ---- */

static int64_t after(int64_t since, int64_t timeout)
{
    if (timeout == 0 || since > INT64_MAX - timeout)
        return INT64_MAX;
    return since + timeout;
}

/* When the first of a list that is in order of time is due. */
static int64_t vif_handshake_due(const struct vc_vif *vif)
{
    if (list_empty(&vif->handshakes))
        return INT64_MAX;
    return after(LIST_OBJECT(vif->handshakes.next, struct vc_hs, link)->begun.at,
                 vif->pool->limits.handshake_timeout);
}

static int64_t vif_linger_due(const struct vc_vif *vif)
{
    if (list_empty(&vif->lingering))
        return INT64_MAX;
    return after(LIST_OBJECT(vif->lingering.next, struct vc_flow, linger)->closed.at,
                 vif->pool->limits.linger_timeout);
}

static int64_t vif_idle_due(const struct vc_vif *vif)
{
    return vif->n_open > 0 ? INT64_MAX : after(vif->idle.at, vif->pool->limits.vif_idle_timeout);
}

int64_t vc_vif_deadline(const struct vc_vif *vif)
{
    int64_t t, due = INT64_MAX;

    if (vif->over)
        return due;
    t = vif_handshake_due(vif);
    due = t < due ? t : due;
    t = vif_linger_due(vif);
    due = t < due ? t : due;
    t = vif_idle_due(vif);
    return t < due ? t : due;
}

void vc_vif_tick(struct vc_vif *vif, int64_t now)
{
    assert(vif->depth == 0);
    vif_enter_at(vif, now);
    while (!vif->over && vif_handshake_due(vif) <= now) {
        struct vc_hs *hs = LIST_OBJECT(vif->handshakes.next, struct vc_hs, link);
        struct err why = ERR_INIT;

        vif->pool->stats.err_timeout++;
        err_set(&why, WSPR_ETIMEOUT, "deadline exceeded");
        vc_end(hs->job.vc, &why, "handshake took too long");
    }
    while (!vif->over && vif_linger_due(vif) <= now) {
        struct vc_flow *f = LIST_OBJECT(vif->lingering.next, struct vc_flow, linger);

        vif->pool->stats.err_linger++;
        flow_drop_queue(f);
        list_remove(&f->linger);
        flow_kick(f);
    }
    if (!vif->over && vif_idle_due(vif) <= now)
        vif_fail(vif, WSPR_ETIMEOUT, "no circuit on the connection for too long");
    vif_leave(vif);
}

/* ---- small ones ---- */

void vc_vif_set_accepting(struct vc_vif *vif, bool accepting)
{
    vif->accepting = accepting && !vif->over;
}

unsigned vc_vif_vcs(const struct vc_vif *vif)
{
    return vif->n_open;
}

int64_t vc_vif_idle_since(const struct vc_vif *vif)
{
    return vif->n_open > 0 ? INT64_MAX : vif->idle.at;
}

size_t vc_vif_queued(const struct vc_vif *vif)
{
    return vif->queued;
}

uint32_t vc_vif_take_vci(struct vc_vif *vif, uint32_t at_least)
{
    uint64_t v = vif->next_vci < at_least ? at_least : vif->next_vci;

    if (v > UINT32_MAX)
        return 0;
    vif->next_vci = v + 2;
    return (uint32_t)v;
}

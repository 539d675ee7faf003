/* Flows: the table, the host functions on them, kept messages (see <wspr/flow.h>). */
#include "config.h"

#include <stdarg.h>
#include <stdlib.h>

#include "gateway/private.h"

/* ---- table and memory ---- */

struct wspr_flow *gateway_flow_find(struct wspr_conn *c, int64_t id, enum flow_opener opener)
{
    return flow_table_find(&c->flows, &c->gw->hash_key, (struct flow_key){id, opener});
}

static struct wspr_flow *flow_alloc(struct gateway *gw)
{
    struct list *node = spares_take(&gw->spare_flows);
    struct wspr_flow *f;

    if (node == NULL)
        return calloc(1, sizeof *f);
    f = LIST_OBJECT(node, struct wspr_flow, node);
    memset(f, 0, sizeof *f);
    return f;
}

struct wspr_flow *gateway_flow_new(struct wspr_conn *c, struct wspr_host *host, int64_t id,
                                   enum flow_opener opener, bool in_table)
{
    struct wspr_flow *f = flow_alloc(c->gw);

    if (f == NULL)
        return NULL;
    f->conn = c;
    f->host = host;
    f->key = (struct flow_key){id, opener};
    list_init(&f->node);
    list_init(&f->task_node);
    list_init(&f->full_node);
    list_init(&f->kept);
    list_init(&f->pipes);
    if (in_table) {
        flow_table_add(&c->flows, &c->gw->hash_key, f);
        f->in_table = true;
    }
    list_push_back(&c->all, &f->node);
    c->n_flows++;
    c->plugins[host->index].flows++;
    c->gw->stats.flows_opened++;
    c->gw->stats.flows++;
    return f;
}

static void flow_count_kept(struct wspr_flow *f, const struct wspr_msg *msg, int sign)
{
    size_t n = sizeof *msg + msg->data.len;

    f->kept_bytes += sign > 0 ? n : -n;
    f->conn->kept_bytes += sign > 0 ? n : -n;
}

static void flow_drop_kept(struct wspr_flow *f)
{
    struct list *node;

    while ((node = list_pop(&f->kept)) != NULL) {
        struct wspr_msg *msg = LIST_OBJECT(node, struct wspr_msg, node);

        flow_count_kept(f, msg, -1);
        wspr_msg_release(msg);
    }
}

static void flow_release(struct wspr_flow *f)
{
    struct gateway *gw = f->conn->gw;

    if (gw->stopping || !spares_keep(&gw->spare_flows, &f->node))
        free(f);
}

void gateway_flow_free_spares(struct gateway *gw, struct list *(*take)(struct spares *))
{
    struct list *node;

    while ((node = take(&gw->spare_flows)) != NULL)
        free(LIST_OBJECT(node, struct wspr_flow, node));
}

void gateway_flow_leave(struct wspr_flow *f)
{
    if (--f->busy == 0 && f->finished)
        flow_release(f);
}

/* Takes the flow out of everything but the list of the connection's flows. */
static void flow_detach(struct wspr_flow *f)
{
    struct wspr_conn *c = f->conn;

    if (f->in_table)
        flow_table_remove(&c->flows, &c->gw->hash_key, f);
    f->in_table = false;
    list_remove(&f->task_node);
    list_remove(&f->full_node);
    gateway_call_cut_pipes(f);
    gateway_invocation_cut_pipe(f);
    flow_drop_kept(f);
    gateway_conn_release_barrier(c, f);
    gateway_conn_release_stalled(c, f);
}

/* The plugin is done with the flow; nothing more is sent on it. */
void gateway_flow_end(struct wspr_flow *f)
{
    struct wspr_conn *c = f->conn;

    if (f->finished)
        return;
    f->finished = true;
    flow_detach(f);
    list_remove(&f->node);
    c->n_flows--;
    c->gw->stats.flows--;
    c->plugins[f->host->index].flows--;
    gateway_conn_schedule(c);
    if (f->busy == 0)
        flow_release(f);
}

void gateway_flow_cancel(struct wspr_flow *f)
{
    struct wspr_host *h = f->host;

    if (f->cancelled || f->finished)
        return;
    f->cancelled = true;
    flow_detach(f);
    if (h->plugin.flow_cancel == NULL)
        return; /* the plugin finishes it all the same, and has the handle until then */
    f->busy++;
    h->plugin.flow_cancel(h->ctx, f);
    gateway_flow_leave(f);
}

/* Says what the page can make use of. */
static void flow_say_failed(struct wspr_flow *f, int code, const char *text)
{
    f->conn->gw->stats.flows_failed++;
    /* Old pages cannot take an error on a flow of ours (spec: websocket 12). */
    if (f->key.opener == FLOW_PAGE)
        gateway_conn_send_error(f->conn, f->key.id, span_str(err_code_id(code)), span_str(text));
    else
        gateway_invocation_end_pipe(f);
    if (f->key.opener == FLOW_HOST && (f->conn->extras & CONN_EXTRA_CANCEL) != 0)
        gateway_conn_send_frame(f->conn, f->key.id, WSPR_RESPONSE_CANCEL, span_str("null"));
}

void gateway_flow_break(struct wspr_flow *f, int code, const char *text)
{
    if (f->cancelled || f->finished)
        return;
    flow_say_failed(f, code, text);
    gateway_flow_cancel(f);
}

void gateway_flow_fail(struct wspr_flow *f, int code)
{
    if (!f->cancelled && !f->finished)
        flow_say_failed(f, code, err_code_text(code));
    gateway_flow_end(f);
}

/* ---- delivery ---- */

/* Gives one message to the owner; false if it wants to have it again later. */
static bool flow_give(struct wspr_flow *f, const struct wspr_msg *msg)
{
    struct wspr_host *h = f->host;
    int r;

    if (h->plugin.flow_data == NULL)
        return true;
    r = h->plugin.flow_data(h->ctx, f, msg);
    if (f->finished || f->cancelled)
        return true;
    if (r < 0)
        gateway_flow_fail(f, r);
    return r != WSPR_AGAIN;
}

/* Puts a copy of the message behind those that wait. Past the limits the input stops for this flow.
 */
static int flow_keep(struct wspr_flow *f, const struct wspr_msg *msg)
{
    struct wspr_conn *c = f->conn;
    const struct gateway_limits *l = &c->gw->limits;
    struct wspr_msg *kept = gateway_msg_copy(msg);

    if (kept == NULL) {
        c->gw->stats.err_memory++;
        return WSPR_ENOMEM;
    }
    list_push_back(&f->kept, &kept->node);
    flow_count_kept(f, kept, 1);
    if (f->kept_bytes > l->kept_per_flow || c->kept_bytes > l->kept_per_conn)
        gateway_conn_hold_stalled(c, f);
    return 0;
}

void gateway_flow_deliver(struct wspr_flow *f, const struct wspr_msg *msg)
{
    if (!f->again && list_empty(&f->kept)) {
        if (flow_give(f, msg))
            return;
        f->again = true;
    }
    if (flow_keep(f, msg) < 0)
        gateway_flow_break(f, WSPR_ENOMEM, err_code_text(WSPR_ENOMEM));
}

static void flow_deliver_kept(struct wspr_flow *f)
{
    struct wspr_conn *c = f->conn;
    const struct gateway_limits *l = &c->gw->limits;
    struct list *last = f->kept.prev, *node = NULL; /* what comes meanwhile waits */

    f->busy++;
    f->again = false;
    while (!f->again && node != last && (node = list_pop(&f->kept)) != NULL) {
        struct wspr_msg *msg = LIST_OBJECT(node, struct wspr_msg, node);

        flow_count_kept(f, msg, -1);
        if (flow_give(f, msg)) {
            wspr_msg_release(msg);
        } else {
            f->again = true;
            list_push_front(&f->kept, node);
            flow_count_kept(f, msg, 1);
        }
    }
    if (f->kept_bytes <= l->kept_per_flow / 2 && c->kept_bytes <= l->kept_per_conn)
        gateway_conn_release_stalled(c, f);
    gateway_flow_leave(f);
}

void gateway_conn_deliver_kept(struct wspr_conn *c)
{
    struct list now = LIST_INIT(now), *node;

    /* A flow that is resumed meanwhile has its turn in the next one. */
    while ((node = list_pop(&c->resumed)) != NULL)
        list_push_back(&now, node);
    while ((node = list_pop(&now)) != NULL)
        flow_deliver_kept(LIST_OBJECT(node, struct wspr_flow, task_node));
}

void gateway_conn_writable(struct wspr_conn *c)
{
    struct list *node;

    c->busy++;
    /* Each callback may end other flows and fill the queue again: look anew after each. */
    while (c->phase == CONN_OPEN && loop_sock_queued(c->sock) <= c->gw->limits.out_soft &&
           (node = list_pop(&c->full)) != NULL) {
        struct wspr_flow *f = LIST_OBJECT(node, struct wspr_flow, full_node);

        f->busy++;
        gateway_call_page_writable(f);
        gateway_invocation_page_writable(f);
        if (f->host->plugin.flow_writable != NULL)
            f->host->plugin.flow_writable(f->host->ctx, f);
        gateway_flow_leave(f);
    }
    gateway_conn_leave(c);
}

/* ---- <wspr/flow.h> ---- */

int64_t wspr_flow_id(const struct wspr_flow *f)
{
    return f->key.id;
}

struct wspr_conn *wspr_flow_conn(const struct wspr_flow *f)
{
    return f->conn;
}

void *wspr_flow_state(const struct wspr_flow *f)
{
    return f->state;
}

void wspr_flow_set_state(struct wspr_flow *f, void *state)
{
    f->state = state;
}

int wspr_flow_is_cancelled(const struct wspr_flow *f)
{
    return f->cancelled;
}

int wspr_flow_send(struct wspr_flow *f, enum wspr_response type, const char *json, size_t len)
{
    const struct wspr_span part = {json, len};

    return wspr_flow_send_parts(f, type, &part, 1);
}

int wspr_flow_send_parts(struct wspr_flow *f, enum wspr_response type,
                         const struct wspr_span *parts, size_t n)
{
    int r;

    if (f->finished || f->cancelled)
        return WSPR_ECLOSED;
    r = gateway_conn_send_parts(f->conn, f->key.id, type, parts, n);
    if (r == WSPR_FULL && list_empty(&f->full_node))
        list_push_back(&f->conn->full, &f->full_node);
    return r;
}

int wspr_flow_finish(struct wspr_flow *f, const char *json, size_t len)
{
    wspr_flow_send(f, WSPR_RESPONSE_FINAL, json, len);
    gateway_flow_end(f);
    return WSPR_DONE;
}

int wspr_flow_end(struct wspr_flow *f)
{
    gateway_flow_end(f);
    return WSPR_DONE;
}

int wspr_flow_fail_id(struct wspr_flow *f, const char *id, const char *text)
{
    if (!f->finished && !f->cancelled) {
        f->conn->gw->stats.flows_failed++;
        gateway_conn_send_error(f->conn, f->key.id, span_str(id), span_str(text));
    }
    gateway_flow_end(f);
    return WSPR_DONE;
}

int wspr_flow_fail(struct wspr_flow *f, int code, const char *text)
{
    return wspr_flow_fail_id(f, err_code_id(code), text != NULL ? text : err_code_text(code));
}

int wspr_flow_failf(struct wspr_flow *f, int code, const char *fmt, ...)
{
    struct err e = ERR_INIT;
    va_list ap;

    va_start(ap, fmt);
    err_vset(&e, code, fmt, ap);
    va_end(ap);
    wspr_flow_fail_id(f, err_code_id(code), err_text(&e));
    err_done(&e);
    return WSPR_DONE;
}

int wspr_flow_deliver(struct wspr_flow *f, const struct wspr_msg *msg)
{
    struct wspr_conn *c = f->conn;
    int r;

    if (f->finished || f->cancelled)
        return WSPR_ECLOSED;
    if (c->used_flow == f && c->used_msg == msg) {
        c->deliver = true; /* when the handler has returned, without a copy */
        return WSPR_DONE;
    }
    r = flow_keep(f, msg);
    if (r == 0 && !f->again)
        wspr_flow_resume(f);
    return r;
}

void wspr_flow_resume(struct wspr_flow *f)
{
    if (f->finished || f->cancelled)
        return;
    list_remove(&f->task_node);
    list_push_back(&f->conn->resumed, &f->task_node);
    gateway_conn_schedule(f->conn);
}

int wspr_flow_open(struct wspr_host *host, struct wspr_conn *c, void *state,
                   struct wspr_flow **ret_flow)
{
    struct wspr_flow *f;

    if (c->phase != CONN_OPEN)
        return WSPR_ECLOSED;
    if (c->n_flows >= c->gw->limits.flows_per_conn) {
        c->gw->stats.err_flow_limit++;
        return WSPR_ELIMIT;
    }
    f = gateway_flow_new(c, host, c->next_id, FLOW_HOST, true);
    if (f == NULL)
        return WSPR_ENOMEM;
    c->next_id += 2;
    f->state = state;
    *ret_flow = f;
    return 0;
}

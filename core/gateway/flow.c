/* Flows: the table, the host functions on them, kept messages (see <wspr/flow.h>). */
#include "config.h"

#include <stdlib.h>

#include "gateway/private.h"

#define FLOW_SPARES 256 /* finished flows whose memory is kept */

/* ---- table and memory ---- */

static unsigned key_hash(const struct gateway *gw, const struct flow_key *key)
{
    return hash_bytes(&gw->hash_key, key, sizeof *key);
}

struct wspr_flow *gateway_flow_find(struct wspr_conn *c, int64_t id, enum flow_opener opener)
{
    struct flow_key key = {id, opener};
    struct wspr_flow *f;

    HASH_FIND_BYHASHVALUE(hh, c->flows, &key, sizeof key, key_hash(c->gw, &key), f);
    return f;
}

static struct wspr_flow *flow_alloc(struct gateway *gw)
{
    struct list *node = list_pop(&gw->spare_flows);
    struct wspr_flow *f;

    if (node == NULL)
        return calloc(1, sizeof *f);
    gw->n_spare_flows--;
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
    list_init(&f->kept);
    list_init(&f->pipes);
    if (in_table) {
        HASH_ADD_BYHASHVALUE(hh, c->flows, key, sizeof f->key, key_hash(c->gw, &f->key), f);
        if (f->hh.tbl == NULL) {
            free(f);
            return NULL;
        }
        f->in_table = true;
    }
    list_push_back(&c->all, &f->node);
    c->n_flows++;
    c->plugins[host->index].flows++;
    c->gw->stats.flows_opened++;
    c->gw->stats.flows++;
    return f;
}

static void flow_drop_kept(struct wspr_flow *f)
{
    struct list *node;

    while ((node = list_pop(&f->kept)) != NULL)
        wspr_msg_release(LIST_OBJECT(node, struct wspr_msg, node));
    f->kept_bytes = 0;
}

static void flow_release(struct wspr_flow *f)
{
    struct gateway *gw = f->conn->gw;

    if (gw->n_spare_flows < FLOW_SPARES && !gw->stopping) {
        list_push_front(&gw->spare_flows, &f->node);
        gw->n_spare_flows++;
    } else {
        free(f);
    }
}

void gateway_flow_free_spares(struct gateway *gw)
{
    struct list *node;

    while ((node = list_pop(&gw->spare_flows)) != NULL)
        free(LIST_OBJECT(node, struct wspr_flow, node));
}

void gateway_flow_leave(struct wspr_flow *f)
{
    if (--f->busy == 0 && f->finished)
        flow_release(f);
}

/* The plugin is done with the flow; nothing more is sent on it. */
void gateway_flow_end(struct wspr_flow *f)
{
    struct wspr_conn *c = f->conn;

    if (f->finished)
        return;
    f->finished = true;
    if (f->in_table)
        HASH_DELETE(hh, c->flows, f);
    list_remove(&f->node);
    list_remove(&f->task_node);
    while (list_pop(&f->pipes) != NULL)
        ;
    flow_drop_kept(f);
    c->n_flows--;
    c->gw->stats.flows--;
    c->plugins[f->host->index].flows--;
    if (c->barrier == f)
        c->barrier = NULL;
    if (c->stalled == f) {
        c->stalled = NULL;
        loop_timer_stop(&c->stall);
    }
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
    flow_drop_kept(f);
    if (h->plugin.flow_cancel == NULL)
        return; /* the plugin finishes it all the same, and has the handle until then */
    f->busy++;
    h->plugin.flow_cancel(h->ctx, f);
    gateway_flow_leave(f);
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
    if (r == WSPR_AGAIN && !f->finished)
        return false;
    if (r < 0 && !f->finished)
        wspr_flow_fail(f, r, err_code_text(r));
    return true;
}

/* Keeps a message for later. Past the limit the connection's input stops for this flow. */
static void flow_keep(struct wspr_flow *f, const struct wspr_msg *msg)
{
    struct wspr_conn *c = f->conn;
    const struct wspr_msg *kept = wspr_msg_keep(msg);

    f->again = true;
    if (kept == NULL) {
        c->gw->stats.err_memory++;
        wspr_flow_fail(f, WSPR_ENOMEM, err_code_text(WSPR_ENOMEM));
        return;
    }
    list_push_back(&f->kept, (struct list *)(uintptr_t)&kept->node);
    f->kept_bytes += sizeof *kept + msg->data.len;
    if (f->kept_bytes > c->gw->limits.kept_per_flow && c->stalled == NULL) {
        c->stalled = f;
        loop_timer_start(&c->stall, c->gw->limits.stall_timeout);
        gateway_conn_update_input(c);
    }
}

void gateway_flow_deliver(struct wspr_flow *f, const struct wspr_msg *msg)
{
    if (f->again || !list_empty(&f->kept))
        flow_keep(f, msg);
    else if (!flow_give(f, msg))
        flow_keep(f, msg);
}

void gateway_flow_deliver_kept(struct wspr_flow *f)
{
    struct wspr_conn *c = f->conn;

    f->busy++;
    f->again = false;
    while (!f->finished && !list_empty(&f->kept)) {
        struct wspr_msg *msg = LIST_OBJECT(f->kept.next, struct wspr_msg, node);

        if (!flow_give(f, msg)) {
            f->again = true;
            break;
        }
        if (f->finished)
            break;
        list_remove(&msg->node);
        f->kept_bytes -= sizeof *msg + msg->data.len;
        wspr_msg_release(msg);
    }
    if (c->stalled == f && f->kept_bytes <= c->gw->limits.kept_per_flow / 2) {
        c->stalled = NULL;
        loop_timer_stop(&c->stall);
        gateway_conn_update_input(c);
    }
    gateway_flow_leave(f);
}

static struct wspr_flow *first_full(struct wspr_conn *c)
{
    LIST_FOREACH (node, &c->all) {
        struct wspr_flow *f = LIST_OBJECT(node, struct wspr_flow, node);

        if (f->full)
            return f;
    }
    return NULL;
}

void gateway_conn_writable(struct wspr_conn *c)
{
    struct wspr_flow *f;
    struct list *node;

    c->busy++;
    /* Each callback may end other flows and fill the queue again: look anew after each. */
    while (c->phase == CONN_OPEN && loop_sock_queued(c->sock) <= c->gw->limits.out_soft &&
           (f = first_full(c)) != NULL) {
        f->full = false;
        f->busy++;
        while ((node = list_pop(&f->pipes)) != NULL)
            gateway_call_page_writable(node);
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
    int r;

    if (f->finished || f->cancelled)
        return WSPR_ECLOSED;
    r = gateway_conn_send_frame(f->conn, f->key.id, type, span_of(json, len));
    if (r == WSPR_FULL)
        f->full = true;
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

int wspr_flow_deliver(struct wspr_flow *f, const struct wspr_msg *msg)
{
    if (f->finished)
        return WSPR_ECLOSED;
    f->conn->delivering = f;
    return WSPR_DONE;
}

void wspr_flow_resume(struct wspr_flow *f)
{
    if (f->finished)
        return;
    f->again = false;
    if (list_empty(&f->kept))
        return;
    list_remove(&f->task_node);
    list_push_back(&f->conn->resumed, &f->task_node);
    gateway_conn_schedule(f->conn);
}

struct wspr_flow *wspr_flow_open(struct wspr_conn *c, struct wspr_host *host, void *state)
{
    struct wspr_flow *f;

    if (c->phase != CONN_OPEN || c->n_flows >= c->gw->limits.flows_per_conn)
        return NULL;
    f = gateway_flow_new(c, host, c->next_id, FLOW_HOST, true);
    if (f == NULL)
        return NULL;
    c->next_id += 2;
    f->state = state;
    return f;
}

#include "config.h"
#include "fake_host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "json/tree.h"
#include <json-c/json.h>

struct fake_block {
    struct list node;
    max_align_t data[];
};

struct fake_event {
    struct list node;
    void (*fn)(void *arg);
    void *arg;
    void (*work)(void *arg);
};

void *fake_alloc(struct wspr_host *h, size_t size)
{
    struct fake_block *b = calloc(1, sizeof *b + size);

    if (b == NULL)
        abort();
    list_push_back(&h->memory, &b->node);
    return b->data;
}

bool fake_fails(struct wspr_host *h)
{
    return ++h->asked == h->fail_at;
}

void fake_queue_work(struct wspr_host *h, void (*work)(void *arg), void (*fn)(void *arg), void *arg)
{
    struct fake_event *e = fake_alloc(h, sizeof *e);

    *e = (struct fake_event){.fn = fn, .arg = arg, .work = work};
    list_init(&e->node);
    list_push_back(&h->events, &e->node);
}

void fake_queue(struct wspr_host *h, void (*fn)(void *arg), void *arg)
{
    fake_queue_work(h, NULL, fn, arg);
}

/* ---- the host ---- */

bool fake_host_turn(struct wspr_host *h)
{
    struct list *node = list_pop(&h->events);

    if (node != NULL) {
        struct fake_event *e = LIST_OBJECT(node, struct fake_event, node);

        if (e->work != NULL)
            e->work(e->arg);
        e->fn(e->arg);
        return true;
    }
    LIST_FOREACH (at, &h->timers) {
        struct wspr_timer *t = LIST_OBJECT(at, struct wspr_timer, node);

        if (!t->armed)
            continue;
        t->armed = false;
        /* Behind the others: one that arms itself again must not keep them waiting. */
        list_remove(&t->node);
        list_push_back(&h->timers, &t->node);
        t->fn(t->arg);
        return true;
    }
    return false;
}

void fake_host_settle(struct wspr_host *h, unsigned most)
{
    while (most-- > 0 && fake_host_turn(h))
        ;
}

void fake_host_drain(struct wspr_host *h)
{
    h->full = false;
    LIST_FOREACH (at, &h->conns) {
        struct wspr_conn *c = LIST_OBJECT(at, struct wspr_conn, node);

        LIST_FOREACH_SAFE (node, after, &c->flows) {
            struct wspr_flow *f = LIST_OBJECT(node, struct wspr_flow, node);

            if (!f->full || f->finished || f->cancelled)
                continue;
            f->full = false;
            if (h->plugin->flow_writable != NULL)
                h->plugin->flow_writable(h->ctx, f);
        }
    }
}

static void free_memory(struct wspr_host *h)
{
    struct list *node;

    while ((node = list_pop(&h->memory)) != NULL)
        free(LIST_OBJECT(node, struct fake_block, node));
    plugin_values_done(&h->values);
}

int fake_host_load(struct wspr_host *h, const struct wspr_plugin *plugin,
                   struct plugin_values *values, unsigned long fail_at)
{
    int r;

    *h = (struct wspr_host){.plugin = plugin, .values = *values, .fail_at = fail_at};
    list_init(&h->events);
    list_init(&h->timers);
    list_init(&h->conns);
    list_init(&h->memory);
    r = plugin->load != NULL ? plugin->load(h, &h->ctx) : 0;
    h->fail_at = 0;
    if (r < 0) {
        fake_host_settle(h, 10000);
        free_memory(h);
    }
    return r;
}

void fake_host_unload(struct wspr_host *h)
{
    /* What is under way comes back before unload; timers do not fire any more. */
    LIST_FOREACH (node, &h->timers)
        LIST_OBJECT(node, struct wspr_timer, node)->armed = false;
    for (unsigned i = 0; i < 10000 && !list_empty(&h->events); i++)
        fake_host_turn(h);
    if (!list_empty(&h->events))
        fake_violation("posts or calls never come to an end");
    h->unloaded = true;
    if (h->plugin->unload != NULL)
        h->plugin->unload(h->ctx);
    if (h->n_timers > 0)
        fake_violation("unload leaves %u timers behind", h->n_timers);
    if (h->calls_open > 0)
        fake_violation("unload leaves %u calls behind", h->calls_open);
    free_memory(h);
}

/* ---- connections ---- */

struct wspr_conn *fake_conn_new(struct wspr_host *h)
{
    static uint64_t number;
    struct wspr_conn *c = fake_alloc(h, sizeof *c);

    c->host = h;
    c->number = ++number;
    list_init(&c->node);
    list_init(&c->flows);
    list_init(&c->servers);
    list_push_back(&h->conns, &c->node);
    return c;
}

static struct wspr_flow *flow_new(struct wspr_conn *c, int64_t id, uint32_t type)
{
    struct wspr_flow *f = fake_alloc(c->host, sizeof *f);

    f->conn = c;
    f->id = id;
    f->type = type;
    list_init(&f->node);
    list_init(&f->kept);
    list_push_back(&c->flows, &f->node);
    return f;
}

static struct wspr_flow *find_flow(struct wspr_conn *c, int64_t id, bool by_host)
{
    LIST_FOREACH (node, &c->flows) {
        struct wspr_flow *f = LIST_OBJECT(node, struct wspr_flow, node);

        if (f->id == id && f->by_host == by_host && !f->one_shot && !f->finished && !f->cancelled)
            return f;
    }
    return NULL;
}

static const struct wspr_claim *find_claim(const struct wspr_plugin *p, uint32_t type)
{
    for (size_t i = 0; i < p->n_claims; i++) {
        if (plugin_file_claim(p, i)->type == type)
            return plugin_file_claim(p, i);
    }
    return NULL;
}

static struct wspr_msg *msg_new(struct wspr_host *h, uint32_t type, int64_t id, const char *text)
{
    size_t n = strlen(text);
    struct wspr_msg *m = fake_alloc(h, sizeof *m + n + 1);

    *m = (struct wspr_msg){.type = type, .id = id, .len = n};
    list_init(&m->node);
    memcpy(m->text, text, n);
    return m;
}

static void give(struct wspr_flow *f, const struct wspr_msg *msg)
{
    struct wspr_host *h = f->conn->host;
    int r = 0;

    if (h->plugin->flow_data != NULL && !f->again)
        r = h->plugin->flow_data(h->ctx, f, msg);
    else if (f->again)
        r = WSPR_AGAIN;
    if (r == WSPR_AGAIN) {
        f->again = true;
        list_push_back(&f->kept, &((struct wspr_msg *)(uintptr_t)msg)->node);
    } else if (r < 0 && !f->finished) {
        wspr_flow_fail(f, r, NULL);
    }
}

static void handled(struct wspr_flow *f, const struct wspr_claim *claim, int r)
{
    bool uses = (claim->flags & 3) == WSPR_USES;

    if (r < 0 && !f->finished)
        wspr_flow_fail(f, r, NULL);
    else if (r == WSPR_DONE && !f->finished && !uses)
        wspr_flow_end(f);
    else if (r > WSPR_PENDING)
        fake_violation("type %u: the handler returns %d, which is neither DONE nor PENDING nor an "
                       "error",
                       claim->type, r);
}

void fake_conn_message(struct wspr_conn *c, uint32_t type, int64_t id, const char *text)
{
    struct wspr_host *h = c->host;
    const struct wspr_claim *claim = find_claim(h->plugin, type);
    struct wspr_flow *f;

    if (c->closing || claim == NULL)
        return;
    if ((claim->flags & 3) == WSPR_USES) {
        f = find_flow(c, id, true);
        f = f != NULL ? f : find_flow(c, id, false);
    } else {
        f = (claim->flags & 3) == WSPR_OPENS && find_flow(c, id, false) != NULL
                ? NULL
                : flow_new(c, id, type);
    }
    if (f == NULL)
        return;
    if ((claim->flags & 3) == WSPR_ONE_SHOT)
        f->one_shot = true;
    if (!c->opened && h->plugin->conn_open != NULL) {
        int r = h->plugin->conn_open(h->ctx, c, &c->state);

        if (r < 0) {
            f->finished = true;
            return;
        }
    }
    c->opened = true;
    handled(f, claim, claim->handle(h->ctx, f, msg_new(h, type, id, text)));
}

unsigned fake_conn_pending(const struct wspr_conn *c)
{
    unsigned n = 0;

    LIST_FOREACH (node, &c->flows)
        n += !LIST_OBJECT(node, struct wspr_flow, node)->finished;
    return n;
}

/* Tells everybody that the connection ends. */
static void conn_end(void *arg)
{
    struct wspr_conn *c = arg;
    struct wspr_host *h = c->host;

    if (c->over)
        return;
    c->over = true;
    fake_servers_abort(c);
    LIST_FOREACH_SAFE (node, after, &c->flows) {
        struct wspr_flow *f = LIST_OBJECT(node, struct wspr_flow, node);

        if (f->finished)
            continue;
        f->cancelled = true;
        if (h->plugin->flow_cancel != NULL)
            h->plugin->flow_cancel(h->ctx, f);
    }
}

void fake_conn_close(struct wspr_conn *c)
{
    struct wspr_host *h = c->host;

    c->closing = true;
    conn_end(c);
    fake_host_settle(h, 10000);
    LIST_FOREACH (node, &c->flows) {
        const struct wspr_flow *f = LIST_OBJECT(node, struct wspr_flow, node);

        if (!f->finished)
            fake_violation("type %u: a flow is never finished after the page went away", f->type);
    }
    if (c->opened && h->plugin->conn_close != NULL)
        h->plugin->conn_close(h->ctx, c, c->state);
    c->closed = true;
}

uint64_t wspr_conn_number(const struct wspr_conn *c)
{
    return c->number;
}

const char *wspr_conn_origin(const struct wspr_conn *c)
{
    return "http://localhost";
}

const char *wspr_conn_remote(const struct wspr_conn *c)
{
    return "127.0.0.1:1";
}

int wspr_conn_has_extra(const struct wspr_conn *c, const char *name)
{
    return 0;
}

void *wspr_conn_state(struct wspr_host *h, struct wspr_conn *c)
{
    return c->state;
}

const char *wspr_conn_acts_as(const struct wspr_conn *c)
{
    return wspr_conn_origin(c);
}

int wspr_conn_close(struct wspr_conn *c, uint16_t code, const char *reason)
{
    /* spec: RFC 6455, 7.4 */
    if (code < 1000 || (code >= 1004 && code <= 1006) || (code > 1014 && code < 3000) ||
        code > 4999)
        return WSPR_EINVAL;
    if (!c->closing)
        fake_queue(c->host, conn_end, c);
    c->closing = true;
    return 0;
}

int wspr_conn_is_closing(const struct wspr_conn *c)
{
    return c->closing;
}

/* ---- flows ---- */

static bool is_dead(const struct wspr_flow *f, const char *what)
{
    if (!f->finished)
        return false;
    fake_violation("type %u: %s a flow that is finished already", f->type, what);
    return true;
}

static void check_json(const struct wspr_flow *f, const char *text, size_t len)
{
    struct json_object *tree = NULL;
    char shown[100];

    if (json_tree_read(span_of(text, len), 0, 0, &tree, NULL) < 0)
        fake_violation("type %u: sends text that is not JSON: %s", f->type,
                       log_quote(shown, sizeof shown, text, len));
    json_object_put(tree);
}

int64_t wspr_flow_id(const struct wspr_flow *f)
{
    return f->id;
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

static int flow_send(struct wspr_flow *f, const char *json, size_t len)
{
    check_json(f, json, len);
    if (f->cancelled || f->conn->closing)
        return WSPR_ECLOSED;
    f->conn->host->sent++;
    f->full = f->conn->host->full;
    return f->full ? WSPR_FULL : 0;
}

int wspr_flow_send(struct wspr_flow *f, enum wspr_response type, const char *json, size_t len)
{
    if (is_dead(f, "sends on"))
        return WSPR_ECLOSED;
    return flow_send(f, json, len);
}

int wspr_flow_send_parts(struct wspr_flow *f, enum wspr_response type,
                         const struct wspr_span *parts, size_t n)
{
    size_t len = 0, at = 0;
    char *text;
    int r;

    for (size_t i = 0; i < n; i++)
        len += parts[i].len;
    text = fake_alloc(f->conn->host, len + 1);
    for (size_t i = 0; i < n; at += parts[i++].len)
        memcpy(text + at, parts[i].p, parts[i].len);
    r = wspr_flow_send(f, type, text, len);
    return r;
}

static int finish(struct wspr_flow *f, const char *what)
{
    if (!is_dead(f, what))
        f->finished = true;
    return WSPR_DONE;
}

int wspr_flow_finish(struct wspr_flow *f, const char *json, size_t len)
{
    if (!f->finished)
        flow_send(f, json, len);
    return finish(f, "finishes");
}

int wspr_flow_end(struct wspr_flow *f)
{
    return finish(f, "ends");
}

int wspr_flow_fail_id(struct wspr_flow *f, const char *id, const char *text)
{
    return finish(f, "fails");
}

int wspr_flow_fail(struct wspr_flow *f, int code, const char *text)
{
    return finish(f, "fails");
}

int wspr_flow_failf(struct wspr_flow *f, int code, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return finish(f, "fails");
}

int wspr_flow_deliver(struct wspr_flow *f, const struct wspr_msg *msg)
{
    if (f->finished || f->cancelled)
        return WSPR_ECLOSED;
    give(f, msg_new(f->conn->host, msg->type, msg->id, msg->text));
    return WSPR_DONE;
}

static void resumed(void *arg)
{
    struct wspr_flow *f = arg;
    struct list *node;

    f->again = false;
    while (!f->again && !f->finished && !f->cancelled && (node = list_pop(&f->kept)) != NULL) {
        give(f, LIST_OBJECT(node, struct wspr_msg, node));
        if (f->again) {
            list_remove(node); /* it was put behind the others */
            list_push_front(&f->kept, node);
        }
    }
}

void wspr_flow_resume(struct wspr_flow *f)
{
    if (!f->finished && !f->cancelled)
        fake_queue(f->conn->host, resumed, f);
}

int wspr_flow_open(struct wspr_host *h, struct wspr_conn *c, void *state,
                   struct wspr_flow **ret_flow)
{
    struct wspr_flow *f;

    if (c->closed)
        fake_violation("opens a flow on a connection that is gone");
    if (c->closing)
        return WSPR_ECLOSED;
    if (fake_fails(h))
        return WSPR_ENOMEM;
    c->next_id += 2;
    f = flow_new(c, c->next_id, 0);
    f->by_host = true;
    f->state = state;
    *ret_flow = f;
    return 0;
}

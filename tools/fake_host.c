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

#define AFTER_FULL_MAX 100 /* frames that a flow may send to a page that does not read */

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

bool fake_size_is_wrong(const char *what, size_t stated, size_t most)
{
    if (stated == 0 || stated > most)
        fake_violation("gives a struct %s whose size is %zu, not %zu", what, stated, most);
    return stated == 0 || stated > most;
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
            f->after_full = 0;
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
    if (h->msgs_kept > 0)
        fake_violation("unload leaves %u messages behind that were kept", h->msgs_kept);
    if (h->sigs_kept > 0)
        fake_violation("unload leaves %u signatures behind that were kept", h->sigs_kept);
    free_memory(h);
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
    if (f->full && ++f->after_full == AFTER_FULL_MAX)
        fake_violation("type %u: goes on sending although the page does not read", f->type);
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
    struct wspr_conn *c = f->conn;

    if (is_dead(f, what))
        return WSPR_DONE;
    f->finished = true;
    if (c->barrier == f) {
        c->barrier = NULL;
        fake_queue(c->host, fake_conn_input, c);
    }
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
    struct wspr_msg *m;

    if (f->finished || f->cancelled)
        return WSPR_ECLOSED;
    m = fake_msg_new(f->conn->host, msg->type, msg->id, msg->text);
    list_push_back(&f->kept, &m->node);
    fake_queue(f->conn->host, fake_flow_deliver, f);
    return 0;
}

static void resumed(void *arg)
{
    struct wspr_flow *f = arg;

    f->again = false;
    fake_flow_deliver(f);
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

    if (fake_conn_is_gone(c, "opens a flow on") || c->closing)
        return WSPR_ECLOSED;
    if (fake_fails(h))
        return WSPR_ENOMEM;
    c->next_id += 2;
    f = fake_flow_new(c, c->next_id, 0);
    f->by_host = true;
    f->state = state;
    *ret_flow = f;
    return 0;
}

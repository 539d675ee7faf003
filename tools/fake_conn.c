/*
 * The fake host's connections: from a message to the plugin's handler, and the end.
 *
 *     fake_conn_message -> held behind a barrier, or -> handler -> what it delivered -> flow_data
 */
#include "config.h"
#include "fake_host.h"

#include <stdlib.h>
#include <string.h>

struct wspr_conn *fake_conn_new(struct wspr_host *h)
{
    static uint64_t number;
    struct wspr_conn *c = fake_alloc(h, sizeof *c);

    c->host = h;
    c->number = ++number;
    list_init(&c->node);
    list_init(&c->flows);
    list_init(&c->servers);
    list_init(&c->input);
    list_push_back(&h->conns, &c->node);
    return c;
}

bool fake_conn_is_gone(const struct wspr_conn *c, const char *what)
{
    if (c->closed)
        fake_violation("%s a connection after its conn_close", what);
    return c->closed;
}

/* ---- messages ---- */

struct wspr_msg *fake_msg_new(struct wspr_host *h, uint32_t type, int64_t id, const char *text)
{
    size_t n = strlen(text);
    struct wspr_msg *m = fake_alloc(h, sizeof *m + n + 1);

    *m = (struct wspr_msg){.host = h, .type = type, .id = id, .len = n};
    list_init(&m->node);
    memcpy(m->text, text, n);
    return m;
}

void fake_msg_leave(struct wspr_msg *m)
{
    /* Whoever looks at it later sees no JSON. */
    if (m->refs == 0)
        memset(m->text, '?', m->len);
}

struct wspr_flow *fake_flow_new(struct wspr_conn *c, int64_t id, uint32_t type)
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

/* Gives one message to the flow's owner; false if it is to come again. */
static bool give(struct wspr_flow *f, const struct wspr_msg *msg)
{
    struct wspr_host *h = f->conn->host;
    int r = h->plugin->flow_data != NULL ? h->plugin->flow_data(h->ctx, f, msg) : 0;

    if (r < 0 && !f->finished)
        wspr_flow_fail(f, r, NULL);
    return r != WSPR_AGAIN || f->finished || f->cancelled;
}

void fake_flow_deliver(void *arg)
{
    struct wspr_flow *f = arg;
    struct list *node;

    while (!f->again && !f->finished && !f->cancelled && (node = list_pop(&f->kept)) != NULL) {
        struct wspr_msg *m = LIST_OBJECT(node, struct wspr_msg, node);

        if (give(f, m)) {
            fake_msg_leave(m);
        } else {
            f->again = true;
            list_push_front(&f->kept, node);
        }
    }
}

static void handled(struct wspr_flow *f, const struct wspr_claim *claim, int r)
{
    bool uses = (claim->flags & 3) == WSPR_USES;

    if (r < 0 && !f->finished)
        wspr_flow_fail(f, r, NULL);
    else if (r == WSPR_DONE && !f->finished && !uses)
        wspr_flow_end(f);
    else if (r == WSPR_PENDING && !f->finished && (claim->flags & WSPR_BARRIER) != 0)
        f->conn->barrier = f;
    else if (r > WSPR_PENDING)
        fake_violation("type %u: the handler returns %d, which is neither DONE nor PENDING nor an "
                       "error",
                       claim->type, r);
}

/* The flow that a message is about; NULL if there is none, or if its id is in use. */
static struct wspr_flow *flow_of(struct wspr_conn *c, const struct wspr_claim *claim, int64_t id)
{
    struct wspr_flow *f;

    if ((claim->flags & 3) == WSPR_USES) {
        f = find_flow(c, id, true);
        return f != NULL ? f : find_flow(c, id, false);
    }
    if ((claim->flags & 3) == WSPR_OPENS && find_flow(c, id, false) != NULL)
        return NULL;
    f = fake_flow_new(c, id, claim->type);
    f->one_shot = (claim->flags & 3) == WSPR_ONE_SHOT;
    return f;
}

static void dispatch(struct wspr_conn *c, const struct wspr_claim *claim, struct wspr_msg *m)
{
    struct wspr_host *h = c->host;
    struct wspr_flow *f = flow_of(c, claim, m->id);

    if (f == NULL)
        return;
    if (!c->opened && h->plugin->conn_open != NULL &&
        h->plugin->conn_open(h->ctx, c, &c->state) < 0) {
        f->finished = true;
        return;
    }
    c->opened = true;
    handled(f, claim, claim->handle(h->ctx, f, m));
    fake_msg_leave(m);
    fake_flow_deliver(f);
}

void fake_conn_message(struct wspr_conn *c, uint32_t type, int64_t id, const char *text)
{
    const struct wspr_claim *claim = find_claim(c->host->plugin, type);
    struct wspr_msg *m;

    if (c->closing || claim == NULL)
        return;
    m = fake_msg_new(c->host, type, id, text);
    if (c->barrier != NULL)
        list_push_back(&c->input, &m->node);
    else
        dispatch(c, claim, m);
}

void fake_conn_input(void *arg)
{
    struct wspr_conn *c = arg;
    struct list *node;

    while (c->barrier == NULL && !c->closing && (node = list_pop(&c->input)) != NULL) {
        struct wspr_msg *m = LIST_OBJECT(node, struct wspr_msg, node);

        dispatch(c, find_claim(c->host->plugin, m->type), m);
    }
}

void fake_conn_check_barrier(const struct wspr_conn *c)
{
    if (c->barrier != NULL && !c->closing)
        fake_violation("type %u: holds up the connection, and is not finished when there is "
                       "nothing more to wait for",
                       c->barrier->type);
}

unsigned fake_conn_pending(const struct wspr_conn *c)
{
    unsigned n = 0;

    LIST_FOREACH (node, &c->flows)
        n += !LIST_OBJECT(node, struct wspr_flow, node)->finished;
    return n;
}

/* ---- the end ---- */

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
    for (unsigned i = 0; i < 10000 && fake_conn_pending(c) > 0 && fake_host_turn(h); i++)
        ;
    LIST_FOREACH (node, &c->flows) {
        const struct wspr_flow *f = LIST_OBJECT(node, struct wspr_flow, node);

        if (!f->finished)
            fake_violation("type %u: a flow is never finished after the page went away", f->type);
    }
    if (c->opened && h->plugin->conn_close != NULL)
        h->plugin->conn_close(h->ctx, c, c->state);
    c->closed = true;
}

/* ---- <wspr/conn.h> ---- */

uint64_t wspr_conn_number(const struct wspr_conn *c)
{
    fake_conn_is_gone(c, "asks for the number of");
    return c->number;
}

const char *wspr_conn_origin(const struct wspr_conn *c)
{
    fake_conn_is_gone(c, "asks for the origin of");
    return "http://localhost";
}

const char *wspr_conn_acts_as(const struct wspr_conn *c)
{
    return wspr_conn_origin(c);
}

const char *wspr_conn_remote(const struct wspr_conn *c)
{
    fake_conn_is_gone(c, "asks for the address of");
    return "127.0.0.1:1";
}

/* Every other page asks for all that there is. */
int wspr_conn_has_extra(const struct wspr_conn *c, const char *name)
{
    fake_conn_is_gone(c, "asks for the extras of");
    return c->number % 2 == 0;
}

void *wspr_conn_state(struct wspr_host *h, struct wspr_conn *c)
{
    fake_conn_is_gone(c, "asks for the state of");
    return c->state;
}

int wspr_conn_close(struct wspr_conn *c, uint16_t code, const char *reason)
{
    /* RFC 6455, 7.4 */
    if (code < 1000 || (code >= 1004 && code <= 1006) || (code > 1014 && code < 3000) ||
        code > 4999) {
        fake_violation("closes a connection with %u, which no peer may send", code);
        return WSPR_EINVAL;
    }
    if (!fake_conn_is_gone(c, "closes") && !c->closing)
        fake_queue(c->host, conn_end, c);
    c->closing = true;
    return 0;
}

int wspr_conn_is_closing(const struct wspr_conn *c)
{
    fake_conn_is_gone(c, "asks for the end of");
    return c->closing;
}

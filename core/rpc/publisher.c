/*
 * Publishing. A pair is one name with one server; it waits for its time, then for its turn (few
 * mounts of a runtime run at once), then for the mount tables.
 *
 *                 +-------------- period, or delay after a failure -------------+
 *                 v                                                             |
 *     added --> [due] --turn--> Mount ----------------------------------------> waits
 *                 ^                                                             |
 *                 +-------- removed, or the publisher stops: now --------------+
 *     removed: [due] --turn--> Unmount --> gone; after a failure again, until its time is over
 */
#include "config.h"
#include "rpc/publisher.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "loop/timer.h"
#include "rpc/call_private.h"
#include "rpc/namespace.h"
#include "rpc/runtime_private.h"
#include "security/identity.h"

#define RETRY_FIRST (1 * CLOCK_S)
#define RETRY_MOST  RPC_PUBLISH_PERIOD

/* A name or a server. */
struct publish_text {
    struct list node;
    size_t len;
    char text[];
};

struct publish_pair {
    struct list node; /* of the publisher */
    struct rpc_turn turn;
    struct rpc_publisher *p;
    struct buf text; /* the name, then the server */
    size_t name_len;
    bool wanted;
    bool touched; /* a mount was begun: the table may have it */
    bool tried;
    bool mounting; /* what op does; otherwise it unmounts */
    struct rpc_mounting *op;
    int64_t until; /* it is mounted until then; 0: it is not */
    unsigned failures;
    struct err last;
    struct loop_timer timer;
};

struct rpc_publisher {
    struct rpc_runtime *rt;
    struct security_private *identity;
    struct rpc_share *share;
    struct list names, servers; /* struct publish_text */
    struct list pairs;
    unsigned n_names, n_servers;
    unsigned n_untried; /* pairs */
    void (*settled)(void *arg);
    void *settled_arg;
    struct loop_task settle_task;
    int64_t period;
    uint32_t ttl; /* seconds */
    bool stopping;
    void (*stopped)(void *arg);
    void *stopped_arg;
    struct loop_timer limit;
    struct loop_task task;
};

static void publisher_settled(void *arg);
static void pair_due(void *arg);

/* ---- texts ---- */

static struct span text_span(const struct publish_text *t)
{
    return span_of(t->text, t->len);
}

static struct publish_text *text_find(const struct list *texts, struct span s)
{
    LIST_FOREACH (node, texts) {
        struct publish_text *t = LIST_OBJECT(node, struct publish_text, node);

        if (span_equal(text_span(t), s))
            return t;
    }
    return NULL;
}

static struct publish_text *text_add(struct list *texts, struct span s)
{
    struct publish_text *t = calloc(1, sizeof *t + s.len + 1);

    if (t == NULL)
        return NULL;
    t->len = s.len;
    if (s.len > 0)
        memcpy(t->text, s.p, s.len);
    list_push_back(texts, &t->node);
    return t;
}

static void text_free(struct publish_text *t)
{
    list_remove(&t->node);
    free(t);
}

/* ---- one pair ---- */

static struct rpc_client *pair_client(const struct publish_pair *q)
{
    return q->p->rt->client;
}

static struct span pair_name(const struct publish_pair *q)
{
    return span_of(buf_data(&q->text), q->name_len);
}

static struct span pair_server(const struct publish_pair *q)
{
    return span_of(buf_data(&q->text) + q->name_len, q->text.len - q->name_len);
}

/* It has been tried, or is not to be tried any more. */
static void pair_tried(struct publish_pair *q)
{
    struct rpc_publisher *p = q->p;

    if (q->tried)
        return;
    q->tried = true;
    if (--p->n_untried == 0 && p->settled != NULL)
        loop_worker_later(p->rt->worker, &p->settle_task);
}

static void pair_free(struct publish_pair *q)
{
    struct rpc_publisher *p = q->p;

    if (q->op != NULL)
        rpc_turn_over(&pair_client(q)->publishing, &q->turn);
    rpc_mounting_cancel(q->op);
    pair_tried(q);
    p->rt->stats.names--;
    loop_timer_stop(&q->timer);
    list_remove(&q->node);
    rpc_turn_leave(&q->turn);
    buf_done(&q->text);
    err_done(&q->last);
    free(q);
    if (p->stopping && list_empty(&p->pairs))
        loop_worker_later(p->rt->worker, &p->task);
}

static int64_t retry_delay(unsigned failures)
{
    int64_t delay = RETRY_FIRST;

    while (failures-- > 1 && delay < RETRY_MOST)
        delay *= 2;
    return rpc_spread(delay < RETRY_MOST ? delay : RETRY_MOST);
}

static void pair_log(struct publish_pair *q, enum log_level level, const char *what)
{
    char name[256], server[512];
    struct span n = pair_name(q), s = pair_server(q);

    log_write(q->p->rt->log, level, "publisher", "%s %s under %s%s%s", what,
              log_quote(server, sizeof server, s.p, s.len),
              log_quote(name, sizeof name, n.p, n.len), q->last.code != 0 ? ": " : "",
              q->last.code != 0 ? err_text(&q->last) : "");
}

static void pair_wait(struct publish_pair *q, int64_t delay)
{
    loop_timer_start(&q->timer, delay);
}

static void pair_mounted(struct publish_pair *q)
{
    bool first = q->until == 0;

    q->p->rt->stats.mounts++;
    q->until = loop_worker_now(q->p->rt->worker) + q->p->ttl * CLOCK_S;
    if (first)
        pair_log(q, LOG_LEVEL_INFO, "mounted");
    /* Many names may have begun together: the second time each has a place in the period. */
    pair_wait(q, first ? rpc_any_of(q->p->period) : q->p->period - rpc_any_of(q->p->period / 32));
}

static void pair_not_mounted(struct publish_pair *q)
{
    q->p->rt->stats.mounts_failed++;
    q->failures++;
    pair_log(q, q->failures == 1 ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "cannot mount");
    if (loop_worker_now(q->p->rt->worker) >= q->until)
        q->until = 0;
    pair_wait(q, retry_delay(q->failures));
}

/* Unmounted, or not; returns whether there is any point in going on. */
static bool pair_try_again(struct publish_pair *q)
{
    if (q->p->stopping || q->last.code == 0)
        return false;
    pair_log(q, LOG_LEVEL_INFO, "cannot unmount");
    return loop_worker_now(q->p->rt->worker) < q->until;
}

static void pair_done(void *arg, const struct err *err)
{
    struct publish_pair *q = arg;

    q->op = NULL;
    pair_tried(q);
    rpc_turn_over(&pair_client(q)->publishing, &q->turn);
    err_done(&q->last);
    if (err != NULL)
        err_copy(&q->last, err);
    else
        q->failures = 0;
    if (q->mounting && err == NULL)
        pair_mounted(q);
    else if (q->mounting)
        pair_not_mounted(q);
    else if (err == NULL)
        q->touched = false;
    if (!q->mounting)
        q->p->rt->stats.unmounts++;
    if (q->wanted != q->mounting)
        pair_due(q); /* meanwhile it is to be the other way */
    else if (!q->mounting && !pair_try_again(q))
        pair_free(q);
    else if (!q->mounting)
        pair_wait(q, retry_delay(++q->failures));
}

void rpc_publisher_turn(struct rpc_turn *turn)
{
    struct publish_pair *q = LIST_OBJECT(turn, struct publish_pair, turn);
    struct rpc_client *client = pair_client(q);
    struct err e = ERR_INIT;

    if (!q->wanted && !q->touched) {
        pair_free(q);
        return;
    }
    q->mounting = q->wanted;
    q->touched = q->touched || q->mounting;
    if (q->mounting)
        q->op = rpc_mount(client, pair_name(q), pair_server(q), q->p->ttl, q->p->identity,
                          pair_done, q);
    else
        q->op = rpc_unmount(client, pair_name(q), pair_server(q), q->p->identity, pair_done, q);
    rpc_turn_begun(&client->publishing, turn);
    if (q->op == NULL) {
        err_set(&e, WSPR_ENOMEM, "out of memory");
        pair_done(q, &e);
        err_done(&e);
    }
}

/* Its time has come. */
static void pair_due(void *arg)
{
    struct publish_pair *q = arg;

    loop_timer_stop(&q->timer);
    if (q->op != NULL || rpc_turn_waits(&q->turn))
        return;
    if (!q->wanted && !q->touched) {
        pair_free(q);
        return;
    }
    rpc_turn_wait(&pair_client(q)->publishing, &q->turn);
}

static int pair_add(struct rpc_publisher *p, struct span name, struct span server)
{
    struct publish_pair *q;

    /* One that is on its way out stays. */
    LIST_FOREACH (node, &p->pairs) {
        q = LIST_OBJECT(node, struct publish_pair, node);
        if (span_equal(pair_name(q), name) && span_equal(pair_server(q), server)) {
            q->wanted = true;
            pair_due(q);
            return 0;
        }
    }
    q = calloc(1, sizeof *q);
    if (q == NULL)
        return WSPR_ENOMEM;
    q->p = p;
    q->wanted = true;
    p->n_untried++;
    p->rt->stats.names++;
    rpc_turn_init(&q->turn, p->share);
    list_init(&q->node);
    loop_timer_init(&q->timer, p->rt->worker, pair_due, q);
    buf_init(&q->text, 2 * RPC_RESOLVE_MAX);
    buf_append_span(&q->text, name);
    buf_append_span(&q->text, server);
    q->name_len = name.len;
    if (buf_error(&q->text) != 0) {
        int r = buf_error(&q->text);

        pair_free(q);
        return r;
    }
    list_push_back(&p->pairs, &q->node);
    loop_timer_start(&q->timer, 0);
    return 0;
}

static void pair_remove(struct publish_pair *q)
{
    q->wanted = false;
    pair_due(q);
}

/* ---- the publisher ---- */

/* Nothing is left to be unmounted, or the time for it is over. */
static void publisher_stopped(void *arg)
{
    struct rpc_publisher *p = arg;
    void (*stopped)(void *) = p->stopped;
    void *stopped_arg = p->stopped_arg;
    struct list *node;

    loop_timer_stop(&p->limit);
    while (!list_empty(&p->pairs))
        pair_free(LIST_OBJECT(p->pairs.next, struct publish_pair, node));
    loop_task_cancel(&p->task);
    loop_task_cancel(&p->settle_task);
    while ((node = list_pop(&p->names)) != NULL)
        free(LIST_OBJECT(node, struct publish_text, node));
    while ((node = list_pop(&p->servers)) != NULL)
        free(LIST_OBJECT(node, struct publish_text, node));
    security_private_unref(p->identity);
    rpc_share_unref(p->share);
    free(p);
    if (stopped != NULL)
        stopped(stopped_arg);
}

void rpc_publisher_renew_identity(struct rpc_publisher *p, struct security_private *identity)
{
    struct security_private *old = p->identity;

    p->identity = security_private_ref(identity);
    security_private_unref(old);
}

struct rpc_publisher *rpc_publisher_new(struct rpc_runtime *rt, struct security_private *identity,
                                        struct rpc_share *share)
{
    struct rpc_publisher *p = calloc(1, sizeof *p);

    if (p == NULL)
        return NULL;
    p->share = share != NULL ? rpc_share_ref(share) : rpc_share_new();
    if (p->share == NULL) {
        free(p);
        return NULL;
    }
    p->rt = rt;
    p->identity = security_private_ref(identity != NULL ? identity : rt->identity);
    p->period = RPC_PUBLISH_PERIOD;
    p->ttl = RPC_PUBLISH_TTL;
    list_init(&p->names);
    list_init(&p->servers);
    list_init(&p->pairs);
    loop_timer_init(&p->limit, rt->worker, publisher_stopped, p);
    loop_task_init(&p->task, publisher_stopped, p);
    loop_task_init(&p->settle_task, publisher_settled, p);
    return p;
}

void rpc_publisher_pace(struct rpc_publisher *p, int64_t period, uint32_t ttl)
{
    p->period = period;
    p->ttl = ttl;
}

/* Adds a text to one list, and its pairs with all of the other one. */
static int publisher_add(struct rpc_publisher *p, struct list *texts, unsigned *n, struct span s)
{
    struct list *others = texts == &p->names ? &p->servers : &p->names;
    int r = 0;

    if (p->stopping)
        return WSPR_EABORTED;
    if (text_find(texts, s) != NULL)
        return 0;
    if (*n >= RPC_PUBLISH_NAMES)
        return WSPR_ELIMIT;
    if (text_add(texts, s) == NULL)
        return WSPR_ENOMEM;
    ++*n;
    LIST_FOREACH (node, others) {
        struct span other = text_span(LIST_OBJECT(node, struct publish_text, node));

        if (r == 0)
            r = texts == &p->names ? pair_add(p, s, other) : pair_add(p, other, s);
    }
    return r;
}

static void publisher_remove(struct rpc_publisher *p, struct list *texts, unsigned *n,
                             struct span s)
{
    struct publish_text *t = text_find(texts, s);

    if (t == NULL)
        return;
    LIST_FOREACH_SAFE (node, after, &p->pairs) {
        struct publish_pair *q = LIST_OBJECT(node, struct publish_pair, node);

        if (span_equal(texts == &p->names ? pair_name(q) : pair_server(q), s))
            pair_remove(q);
    }
    text_free(t);
    --*n;
}

int rpc_publisher_add_name(struct rpc_publisher *p, struct span name)
{
    int r = publisher_add(p, &p->names, &p->n_names, name);

    if (r < 0 && r != WSPR_EABORTED)
        publisher_remove(p, &p->names, &p->n_names, name);
    return r;
}

int rpc_publisher_add_server(struct rpc_publisher *p, struct span server)
{
    int r = publisher_add(p, &p->servers, &p->n_servers, server);

    if (r < 0 && r != WSPR_EABORTED)
        publisher_remove(p, &p->servers, &p->n_servers, server);
    return r;
}

void rpc_publisher_remove_name(struct rpc_publisher *p, struct span name)
{
    publisher_remove(p, &p->names, &p->n_names, name);
}

void rpc_publisher_remove_server(struct rpc_publisher *p, struct span server)
{
    publisher_remove(p, &p->servers, &p->n_servers, server);
}

bool rpc_publisher_settled(const struct rpc_publisher *p)
{
    return p->n_untried == 0;
}

static void publisher_settled(void *arg)
{
    struct rpc_publisher *p = arg;
    void (*settled)(void *) = p->settled;

    if (p->n_untried > 0 || settled == NULL || p->stopping)
        return;
    p->settled = NULL;
    settled(p->settled_arg);
}

void rpc_publisher_when_settled(struct rpc_publisher *p, void (*settled)(void *arg), void *arg)
{
    p->settled = settled;
    p->settled_arg = arg;
    if (settled != NULL && p->n_untried == 0)
        loop_worker_later(p->rt->worker, &p->settle_task);
}

bool rpc_publisher_name(const struct rpc_publisher *p, size_t i, struct span *ret_name)
{
    LIST_FOREACH (node, &p->names) {
        if (i-- == 0) {
            *ret_name = text_span(LIST_OBJECT(node, struct publish_text, node));
            return true;
        }
    }
    return false;
}

unsigned rpc_publisher_names(const struct rpc_publisher *p)
{
    return p->n_names;
}

bool rpc_publisher_has_name(const struct rpc_publisher *p, struct span name)
{
    return text_find(&p->names, name) != NULL;
}

bool rpc_publisher_covers(const struct rpc_publisher *p, struct span name)
{
    LIST_FOREACH (node, &p->names) {
        struct span have = text_span(LIST_OBJECT(node, struct publish_text, node));

        if (name.len >= have.len && (name.len == have.len || name.p[have.len] == '/') &&
            span_equal(span_of(name.p, have.len), have))
            return true;
    }
    return false;
}

void rpc_publisher_status(const struct rpc_publisher *p,
                          void (*each)(void *arg, const struct rpc_publish_status *s), void *arg)
{
    int64_t now = loop_worker_now(p->rt->worker);

    LIST_FOREACH (node, &p->pairs) {
        struct publish_pair *q = LIST_OBJECT(node, struct publish_pair, node);
        struct rpc_publish_status s = {
            .name = pair_name(q),
            .server = pair_server(q),
            .mounted = now < q->until,
            .failures = q->failures,
            .last = q->last.code != 0 ? &q->last : NULL,
        };

        each(arg, &s);
    }
}

bool rpc_publisher_stop(struct rpc_publisher *p, int64_t limit, void (*done)(void *arg), void *arg)
{
    if (p == NULL)
        return false;
    p->stopping = true;
    p->stopped = done;
    p->stopped_arg = arg;
    loop_timer_start(&p->limit, limit);
    if (list_empty(&p->pairs))
        loop_worker_later(p->rt->worker, &p->task);
    LIST_FOREACH_SAFE (node, after, &p->pairs)
        pair_remove(LIST_OBJECT(node, struct publish_pair, node));
    return true;
}

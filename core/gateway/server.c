/*
 * The life of a page's servers (see <wspr/server.h>; spec: websocket 9, 11, 13).
 *
 *     IDLE --serve--> LISTENING --endpoint--> UP --stop--> STOPPING --names unmounted--> IDLE
 *       ^                 |
 *       +-----failed------+
 *
 * Operations wait in the queue and run in order, from the task. A server that is idle with
 * nothing to do is forgotten, unless it was asked to serve and could not: a retry keeps its
 * service.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/server.h"
#include "rpc/publisher.h"
#include "rpc/turns.h"
#include "security/identity.h"

#define SERVER_QUEUE_MAX  64
#define SERVER_STOP_GRACE CLOCK_S /* for calls whose arguments are still coming in */
#define SERVER_NAME_COST  768     /* what a published name takes besides its text */

enum server_op_kind { OP_SERVE, OP_STOP };

struct server_op {
    struct list node;
    enum server_op_kind kind;
    struct gateway_service *service;
    struct security_private *identity; /* of the connection when it asked; NULL: the runtime's */
    void (*served)(void *arg, const struct wspr_fault *fault, const char *endpoint);
    void (*stopped)(void *arg);
    void *arg;
    struct wspr_conn *conn;
    size_t size; /* in the connection's call_bytes */
    size_t name_len;
    char name[];
};

/* ---- memory ---- */

static void op_free(struct server_op *op)
{
    list_remove(&op->node);
    op->conn->call_bytes -= op->size;
    gateway_service_free(op->service);
    security_private_unref(op->identity);
    free(op);
}

/* Counts what the server keeps of its page's requests; of an orphan nobody counts it. */
static void count_kept(struct wspr_server *s)
{
    struct rpc_publisher *p = s->rpc != NULL ? rpc_server_publisher(s->rpc) : NULL;
    size_t kept = s->name_bytes;

    if (s->conn == NULL)
        return;
    if (s->service != NULL)
        kept += s->service->arena.used;
    if (p != NULL)
        kept += (size_t)rpc_publisher_names(p) * SERVER_NAME_COST;
    s->conn->server_bytes += kept - s->counted;
    s->counted = kept;
}

static void forget_service(struct wspr_server *s)
{
    gateway_service_free(s->service);
    s->service = NULL;
    count_kept(s);
}

/* The page is gone, or it has no such server any more. */
static void leave_conn(struct wspr_server *s)
{
    s->conn->server_bytes -= s->counted;
    s->conn->n_servers--;
    s->conn = NULL;
}

static void server_free(struct wspr_server *s)
{
    struct gateway *gw = s->gw;

    list_remove(&s->node);
    list_remove(&s->mounting_node);
    loop_task_cancel(&s->task);
    if (s->conn != NULL)
        leave_conn(s);
    gw->stats.servers--;
    gateway_service_free(s->service);
    free(s->endpoint);
    rpc_share_unref(s->share);
    free(s);
    gateway_check_stopped(gw);
}

/* ---- operations ---- */

static struct server_op *op_first(struct wspr_server *s)
{
    return list_empty(&s->queue) ? NULL : LIST_OBJECT(s->queue.next, struct server_op, node);
}

/* The first operation is over: its plugin is told. */
static void op_done(struct wspr_server *s, const struct err *err)
{
    struct server_op *op = op_first(s);
    struct wspr_conn *conn = s->conn;
    struct wspr_fault fault = {0};

    if (err != NULL)
        fault = (struct wspr_fault){err->code, err_id(err), err_text(err), WSPR_STAGE_CALL};
    list_remove(&op->node);
    s->n_queued--;
    conn->busy++;
    if (op->kind == OP_STOP)
        op->stopped(op->arg);
    else if (err != NULL)
        op->served(op->arg, &fault, NULL);
    else
        op->served(op->arg, NULL, s->endpoint);
    op_free(op);
    gateway_conn_leave(conn);
}

static int dispatch(void *arg, struct span suffix, struct rpc_object *ret, struct err *err)
{
    struct wspr_server *s = arg;

    /* The page is gone, or has stopped it: what still finds it learns the same as who waited. */
    if (s->state != SERVER_UP || s->conn == NULL)
        return err_set(err, WSPR_EABORTED, "timeout");
    *ret = (struct rpc_object){
        .invoker = &gateway_invoker,
        .object = s,
        .authorizer = &rpc_authorizer_all,
    };
    return 0;
}

static int names_too_long(struct gateway *gw, struct err *err)
{
    gw->stats.err_name_limit++;
    return err_set(err, WSPR_ELIMIT, "the names of the server are too long");
}

/* Publishes one more name; the answer does not wait for a mount table. */
static int publish(struct wspr_server *s, struct span name, struct err *err)
{
    struct rpc_publisher *p = rpc_server_publisher(s->rpc);
    struct gateway *gw = s->gw;
    int r;

    if (name.len == 0 || (p != NULL && rpc_publisher_has_name(p, name)))
        return 0;
    if (p != NULL && rpc_publisher_names(p) >= gw->limits.names_per_server) {
        gw->stats.err_name_limit++;
        return err_set(err, WSPR_ELIMIT, "too many names for one server");
    }
    if (name.len > gw->limits.service_bytes - s->name_bytes)
        return names_too_long(gw, err);
    r = rpc_server_publish(s->rpc, name, err);
    s->published = loop_worker_now(gw->worker);
    list_remove(&s->mounting_node);
    if (r < 0)
        return r;
    list_push_back(&gw->mounting, &s->mounting_node);
    s->name_bytes += name.len;
    return 0;
}

/* Whether nobody needs to wait for the names of the server any more. */
static bool is_settled(struct wspr_server *s)
{
    return s->state != SERVER_UP || rpc_publisher_settled(rpc_server_publisher(s->rpc)) ||
           loop_worker_now(s->gw->worker) - s->published >= GATEWAY_MOUNT_WAIT;
}

bool gateway_server_is_mounting(struct gateway *gw, struct span name)
{
    struct list *node = gw->mounting.prev, *before;

    /* The newest first: who asks has mostly just been told that it is served. */
    for (size_t n = 0; node != &gw->mounting && n < GATEWAY_MOUNT_LOOK; node = before) {
        struct wspr_server *s = LIST_OBJECT(node, struct wspr_server, mounting_node);

        before = node->prev;
        if (is_settled(s)) {
            list_remove(node);
            continue;
        }
        if (rpc_publisher_covers(rpc_server_publisher(s->rpc), name))
            return true;
        n += rpc_publisher_names(rpc_server_publisher(s->rpc));
    }
    return false;
}

static void finish_serve(struct wspr_server *s)
{
    struct server_op *op = op_first(s);
    struct err e = ERR_INIT;
    int r = publish(s, span_of(op->name, op->name_len), &e);

    if (r == 0)
        s->gw->stats.served++;
    count_kept(s);
    op_done(s, r < 0 ? &e : NULL);
    err_done(&e);
}

/* ---- listening ---- */

static int keep_endpoint(struct wspr_server *s, const char *endpoint, struct err *err)
{
    char *copy = mem_strndup(endpoint, strlen(endpoint));

    if (copy == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    free(s->endpoint);
    s->endpoint = copy;
    return 0;
}

static void forget_rpc(struct wspr_server *s)
{
    s->rpc = NULL;
    s->name_bytes = 0;
    s->state = SERVER_IDLE;
    free(s->endpoint);
    s->endpoint = NULL;
    count_kept(s);
}

static void listen_failed(void *arg)
{
    struct wspr_server *s = arg;

    forget_rpc(s);
    if (s->conn == NULL)
        server_free(s);
    else
        loop_worker_later(s->gw->worker, &s->task);
}

/* It cannot be reached; a later request tries again. */
static void give_up_listening(struct wspr_server *s, const struct err *err)
{
    if (s->rpc != NULL) {
        s->state = SERVER_STOPPING;
        list_remove(&s->mounting_node);
        rpc_server_stop(s->rpc, 0, listen_failed, s);
    }
    op_done(s, err);
}

static void listens(struct wspr_server *s, const char *endpoint)
{
    struct err e = ERR_INIT;

    s->state = SERVER_UP;
    if (keep_endpoint(s, endpoint, &e) < 0)
        give_up_listening(s, &e);
    else
        finish_serve(s);
    err_done(&e);
}

/* What the relay says: the first outcome, and later losses and new endpoints. */
static void relay_told(void *arg, struct rpc_server *rpc, const char *endpoint,
                       const struct err *why)
{
    struct wspr_server *s = arg;
    struct wspr_conn *conn = s->conn;

    if (conn == NULL)
        return;
    conn->busy++;
    if (s->state != SERVER_LISTENING) {
        if (endpoint != NULL)
            keep_endpoint(s, endpoint, NULL);
    } else if (endpoint == NULL) {
        give_up_listening(s, why);
    } else {
        listens(s, endpoint);
        loop_worker_later(s->gw->worker, &s->task);
    }
    gateway_conn_leave(conn);
}

static int listen_directly(struct wspr_server *s, struct err *err)
{
    struct gateway *gw = s->gw;
    const char *endpoint;
    int r = 0;

    if (gw->peers == NULL)
        r = rpc_listener_new(gw->runtime, gw->peer_listen, gw->peer_advertise, &gw->peers, err);
    if (r == 0)
        r = rpc_server_listen_shared(s->rpc, gw->peers, &endpoint, err);
    if (r == 0)
        listens(s, endpoint);
    return r;
}

static int start_listening(struct wspr_server *s, struct err *err)
{
    struct rpc_server_opts opts = {.identity = op_first(s)->identity, .share = s->share};
    struct rpc_dispatcher dispatcher = {dispatch, s};
    int r = rpc_server_new(s->gw->runtime, &opts, &dispatcher, &s->rpc, err);
    if (r < 0)
        return r;
    if (s->gw->proxy == NULL)
        return listen_directly(s, err);
    s->state = SERVER_LISTENING;
    return rpc_server_listen_relay(s->rpc, span_str(s->gw->proxy), relay_told, s, err);
}

static void serve(struct wspr_server *s)
{
    struct server_op *op = op_first(s);
    struct err e = ERR_INIT;

    if (s->service == NULL) {
        s->service = op->service;
        op->service = NULL;
        count_kept(s);
    }
    if (s->state == SERVER_UP)
        finish_serve(s);
    else if (start_listening(s, &e) < 0)
        give_up_listening(s, &e);
    err_done(&e);
}

/* ---- stopping ---- */

static void rpc_stopped(void *arg)
{
    struct wspr_server *s = arg;

    forget_rpc(s);
    if (s->conn == NULL) {
        server_free(s);
        return;
    }
    forget_service(s);
    op_done(s, NULL);
    loop_worker_later(s->gw->worker, &s->task);
}

/* Nobody gets through any more; those who wait are told. */
static void stop_rpc(struct wspr_server *s)
{
    s->state = SERVER_STOPPING;
    list_remove(&s->mounting_node);
    gateway_invocation_abort_all(s);
    rpc_server_stop(s->rpc, SERVER_STOP_GRACE, rpc_stopped, s);
}

static void run(struct wspr_server *s)
{
    struct server_op *op;

    while ((op = op_first(s)) != NULL && (s->state == SERVER_IDLE || s->state == SERVER_UP)) {
        if (op->kind == OP_SERVE) {
            serve(s);
        } else if (s->state == SERVER_UP) {
            stop_rpc(s);
            return;
        } else {
            forget_service(s);
            op_done(s, NULL);
        }
    }
    if (s->state == SERVER_IDLE && op == NULL && s->service == NULL)
        server_free(s);
}

static void server_task(void *arg)
{
    struct wspr_server *s = arg;
    struct wspr_conn *conn = s->conn;

    if (conn == NULL)
        return;
    conn->busy++;
    gateway_invocation_reap(s);
    if (conn->phase == CONN_OPEN)
        run(s);
    gateway_conn_count_input(conn);
    gateway_conn_leave(conn);
}

/* The page is gone. What was asked for is answered, and the server ends on its own. */
static void abandon(struct wspr_server *s)
{
    struct err e = ERR_INIT;

    err_set(&e, WSPR_EABORTED, "the connection ended");
    gateway_invocation_abort_all(s);
    while (op_first(s) != NULL)
        op_done(s, &e);
    err_done(&e);
    leave_conn(s);
    if (s->rpc == NULL) {
        server_free(s);
        return;
    }
    list_push_back(&s->gw->orphans, &s->node);
    if (s->state == SERVER_UP || s->state == SERVER_LISTENING)
        stop_rpc(s);
}

void gateway_server_renew_all(struct wspr_conn *c, struct security_private *identity)
{
    LIST_FOREACH (node, &c->servers) {
        struct wspr_server *s = LIST_OBJECT(node, struct wspr_server, node);

        if (s->rpc != NULL)
            rpc_server_renew_identity(s->rpc, identity);
    }
}

void gateway_server_abort_all(struct wspr_conn *c)
{
    struct list *node;

    while ((node = list_pop(&c->servers)) != NULL)
        abandon(LIST_OBJECT(node, struct wspr_server, node));
}

/* ---- <wspr/server.h> ---- */

bool gateway_server_belongs(const struct list *servers, const struct wspr_host *host)
{
    LIST_FOREACH (node, servers) {
        if (LIST_OBJECT(node, struct wspr_server, node)->host == host)
            return true;
    }
    return false;
}

struct wspr_server *wspr_server_find(struct wspr_conn *c, uint64_t id)
{
    LIST_FOREACH (node, &c->servers) {
        struct wspr_server *s = LIST_OBJECT(node, struct wspr_server, node);

        if (s->id == id)
            return s;
    }
    return NULL;
}

int wspr_server_get(struct wspr_host *host, struct wspr_conn *c, uint64_t id,
                    const struct wspr_server_ops *ops, void *arg, struct wspr_server **ret_server)
{
    struct gateway *gw = c->gw;
    struct wspr_server *s = wspr_server_find(c, id);

    if (c->phase != CONN_OPEN)
        return WSPR_ECLOSED;
    if (s == NULL && c->n_servers >= gw->limits.servers_per_conn) {
        gw->stats.err_server_limit++;
        return WSPR_ELIMIT;
    }
    if (s == NULL && c->share == NULL && (c->share = rpc_share_new()) == NULL)
        return WSPR_ENOMEM;
    if (s == NULL) {
        s = calloc(1, sizeof *s);
        if (s == NULL)
            return WSPR_ENOMEM;
        s->share = rpc_share_ref(c->share);
        s->gw = gw;
        s->conn = c;
        s->host = host;
        s->id = id;
        s->arg = arg;
        memcpy(&s->ops, ops, ops->size < sizeof *ops ? ops->size : sizeof *ops);
        list_init(&s->mounting_node);
        list_init(&s->queue);
        list_init(&s->invocations);
        loop_task_init(&s->task, server_task, s);
        list_push_back(&c->servers, &s->node);
        c->n_servers++;
        gw->stats.servers++;
        loop_worker_later(gw->worker, &s->task);
    }
    *ret_server = s;
    return 0;
}

void *wspr_server_state(const struct wspr_server *s)
{
    return s->arg;
}

static void tell(const struct err *e, char *error, size_t error_size)
{
    if (error_size > 0)
        snprintf(error, error_size, "%s", err_text(e));
}

/* What waits is kept, be it for as long as a relay or mount table does not answer. */
static int queue_op(struct wspr_server *s, enum server_op_kind kind, struct span name,
                    const struct gateway_service *service, struct server_op **ret_op)
{
    struct server_op *op;
    size_t size = sizeof *op + name.len + (service != NULL ? service->arena.used : 0);

    if (s->n_queued >= SERVER_QUEUE_MAX) {
        s->gw->stats.err_server_limit++;
        return WSPR_ELIMIT;
    }
    if (s->conn->call_bytes + size > s->gw->limits.calls_per_conn) {
        s->gw->stats.err_call_bytes++;
        return WSPR_ELIMIT;
    }
    op = calloc(1, sizeof *op + name.len);
    if (op == NULL)
        return WSPR_ENOMEM;
    op->conn = s->conn;
    op->size = size;
    op->conn->call_bytes += size;
    op->kind = kind;
    op->name_len = name.len;
    if (name.len > 0)
        memcpy(op->name, name.p, name.len);
    list_push_back(&s->queue, &op->node);
    s->n_queued++;
    loop_worker_later(s->gw->worker, &s->task);
    *ret_op = op;
    return 0;
}

int wspr_server_serve(struct wspr_server *s, const struct wspr_span *name,
                      const struct wspr_span *service,
                      void (*done)(void *arg, const struct wspr_fault *fault, const char *endpoint),
                      void *arg, char *error, size_t error_size)
{
    struct gateway_service *described = NULL;
    struct security_private *identity = NULL;
    struct server_op *op = NULL;
    struct err e = ERR_INIT;
    int r = gateway_service_read(span_of(service->p, service->len), s->gw->limits.service_bytes,
                                 &described, &e);

    if (r == WSPR_ELIMIT)
        s->gw->stats.err_server_limit++;
    if (r == 0 && name->len > s->gw->limits.service_bytes)
        r = names_too_long(s->gw, &e);
    if (r == 0 && gateway_conn_identity(s->conn, &identity, &e) < 0)
        r = WSPR_EBADARG; /* what the connection is to be has no identity now */
    if (r == 0) {
        r = queue_op(s, OP_SERVE, span_of(name->p, name->len), described, &op);
        if (r < 0)
            err_set(&e, r, "%s",
                    r == WSPR_ELIMIT ? "too many requests wait for this server" : err_code_text(r));
    }
    if (r < 0) {
        gateway_service_free(described);
        tell(&e, error, error_size);
        err_done(&e);
        return r;
    }
    op->service = described;
    op->identity = identity != NULL ? security_private_ref(identity) : NULL;
    op->served = done;
    op->arg = arg;
    return 0;
}

int wspr_server_stop(struct wspr_server *s, void (*done)(void *arg), void *arg)
{
    struct server_op *op;
    int r = queue_op(s, OP_STOP, span_of(NULL, 0), NULL, &op);

    if (r < 0)
        return r;
    op->stopped = done;
    op->arg = arg;
    return 0;
}

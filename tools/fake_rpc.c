/* The fake host's network: calls, signatures, servers and accounts that answer, or all fail. */
#include "config.h"
#include "fake_host.h"

#include <stdio.h>
#include <string.h>

#include "wspr/account.h"
#include "wspr/rpc.h"
#include "wspr/server.h"

static const struct wspr_fault refused = {WSPR_ENOTFOUND, "veyron2/verror.NotFound",
                                          "the fake host says no", WSPR_STAGE_START};

/* ---- calls ---- */

struct wspr_call {
    struct wspr_host *host;
    struct wspr_call_ops ops;
    void *arg;
    bool streaming, piped, started, over;
    unsigned items;
};

static bool call_is_dead(const struct wspr_call *call, const char *what)
{
    if (call->over)
        fake_violation("%s a call that is over", what);
    return call->over;
}

static void call_step(void *arg)
{
    struct wspr_call *call = arg;
    struct wspr_host *h = call->host;

    if (call->over)
        return;
    if (h->answers && !call->started) {
        call->started = true;
        if (call->ops.started != NULL)
            call->ops.started(call->arg, call);
        fake_queue(h, call_step, call);
        return;
    }
    if (h->answers && call->streaming && call->items < 3) {
        bool more = true;

        call->items++;
        if (!call->piped && call->ops.item != NULL)
            more = call->ops.item(call->arg, call, "1", 1) != WSPR_FULL;
        if (more && !call->over)
            fake_queue(h, call_step, call);
        return;
    }
    if (h->answers && call->streaming && !call->piped && call->ops.end != NULL)
        call->ops.end(call->arg, call);
    if (call->over)
        return;
    call->over = true;
    h->calls_open--;
    if (call->ops.done == NULL)
        return;
    if (h->answers)
        call->ops.done(call->arg, call, NULL, "[true]", 6);
    else
        call->ops.done(call->arg, call, &refused, NULL, 0);
}

int wspr_call_start(struct wspr_host *h, struct wspr_conn *conn, const struct wspr_span *name,
                    const struct wspr_span *method, const struct wspr_spans *args,
                    const struct wspr_call_options *options, const struct wspr_call_ops *ops,
                    void *arg, struct wspr_call **ret_call)
{
    struct wspr_call *call;

    if (fake_conn_is_gone(conn, "starts a call on") || conn->closing)
        return WSPR_ECLOSED;
    if (fake_size_is_wrong("wspr_call_options", options->size, sizeof *options) ||
        fake_size_is_wrong("wspr_call_ops", ops->size, sizeof *ops))
        return WSPR_EINVAL;
    if (fake_fails(h))
        return WSPR_ENOMEM;
    call = fake_alloc(h, sizeof *call);
    call->host = h;
    memcpy(&call->ops, ops, ops->size < sizeof *ops ? ops->size : sizeof *ops);
    call->arg = arg;
    call->streaming = options->streaming;
    h->calls_open++;
    fake_queue(h, call_step, call);
    *ret_call = call;
    return 0;
}

static void call_writable(void *arg)
{
    struct wspr_call *call = arg;

    if (!call->over && call->ops.writable != NULL)
        call->ops.writable(call->arg, call);
}

int wspr_call_send(struct wspr_call *call, const char *json, size_t len)
{
    if (call_is_dead(call, "sends to"))
        return WSPR_ECLOSED;
    if (!call->streaming)
        return WSPR_ECLOSED;
    if (!call->started)
        return WSPR_EAGAIN;
    if (fake_fails(call->host)) {
        fake_queue(call->host, call_writable, call);
        return WSPR_EAGAIN;
    }
    return 0;
}

int wspr_call_close_send(struct wspr_call *call)
{
    return call_is_dead(call, "closes the stream of") ? WSPR_ECLOSED : 0;
}

void wspr_call_resume(struct wspr_call *call)
{
    if (!call_is_dead(call, "resumes"))
        fake_queue(call->host, call_step, call);
}

void wspr_call_cancel(struct wspr_call *call)
{
    if (call_is_dead(call, "cancels"))
        return;
    call->over = true;
    call->host->calls_open--;
}

int wspr_call_pipe(struct wspr_call *call, struct wspr_flow *flow)
{
    if (call_is_dead(call, "pipes"))
        return WSPR_ECLOSED;
    if (fake_fails(call->host))
        return WSPR_ENOMEM;
    call->piped = true;
    return 0;
}

/* ---- signatures ---- */

struct wspr_signature {
    struct wspr_host *host;
    unsigned refs; /* of the plugin */
    bool given;    /* its callback is running */
};

struct sig_wait {
    struct wspr_host *host;
    void (*done)(void *arg, const struct wspr_signature *signature, const struct wspr_fault *fault);
    void *arg;
};

static void sig_answer(void *arg)
{
    struct sig_wait *w = arg;

    struct wspr_signature *s = fake_alloc(w->host, sizeof *s);

    *s = (struct wspr_signature){w->host, 0, true};
    if (w->host->answers)
        w->done(w->arg, s, NULL);
    else
        w->done(w->arg, NULL, &refused);
    s->given = false;
}

int wspr_signature_get(struct wspr_host *h, struct wspr_conn *conn, const struct wspr_span *name,
                       void (*done)(void *arg, const struct wspr_signature *signature,
                                    const struct wspr_fault *fault),
                       void *arg)
{
    struct sig_wait *w;

    if (fake_conn_is_gone(conn, "asks for a signature on") || conn->closing)
        return WSPR_ECLOSED;
    if (fake_fails(h))
        return WSPR_ENOMEM;
    w = fake_alloc(h, sizeof *w);
    *w = (struct sig_wait){h, done, arg};
    fake_queue(h, sig_answer, w);
    return 0;
}

static struct wspr_signature *signature_of(const struct wspr_signature *signature, const char *what)
{
    if (signature->refs == 0 && !signature->given)
        fake_violation("%s a signature that it does not keep", what);
    return (struct wspr_signature *)(uintptr_t)signature;
}

const struct wspr_signature *wspr_signature_ref(const struct wspr_signature *signature)
{
    struct wspr_signature *s = signature_of(signature, "keeps");

    s->refs++;
    s->host->sigs_kept++;
    return s;
}

void wspr_signature_unref(const struct wspr_signature *signature)
{
    struct wspr_signature *s;

    if (signature == NULL)
        return;
    s = signature_of(signature, "gives up");
    if (s->refs == 0) {
        if (s->given)
            fake_violation("gives up a signature that it does not keep");
        return;
    }
    s->refs--;
    s->host->sigs_kept--;
}

const char *wspr_signature_json(const struct wspr_signature *signature, size_t *ret_len)
{
    signature_of(signature, "reads");
    *ret_len = 2;
    return "{}";
}

/*
 * ---- servers ----
 *
 * As soon as there is an endpoint two calls come: one streams, the other's caller goes away.
 */

struct wspr_invocation {
    struct wspr_server *server;
    void *state;
    bool over, piped, holds; /* holds: no items until wspr_invocation_resume */
    unsigned items;
};

struct wspr_server {
    struct list node;
    struct wspr_conn *conn;
    struct wspr_server_ops ops;
    void *arg;
    uint64_t id;
    struct wspr_invocation *invocations[2];
};

struct server_wait {
    struct wspr_server *server;
    void (*served)(void *arg, const struct wspr_fault *fault, const char *endpoint);
    void (*stopped)(void *arg);
    void *arg;
};

struct wspr_server *wspr_server_find(struct wspr_conn *conn, uint64_t id)
{
    LIST_FOREACH (node, &conn->servers) {
        struct wspr_server *s = LIST_OBJECT(node, struct wspr_server, node);

        if (s->id == id)
            return s;
    }
    return NULL;
}

int wspr_server_get(struct wspr_host *h, struct wspr_conn *conn, uint64_t id,
                    const struct wspr_server_ops *ops, void *arg, struct wspr_server **ret_server)
{
    struct wspr_server *s = wspr_server_find(conn, id);

    if (fake_conn_is_gone(conn, "makes a server on") || conn->closing)
        return WSPR_ECLOSED;
    if (fake_size_is_wrong("wspr_server_ops", ops->size, sizeof *ops))
        return WSPR_EINVAL;
    if (s == NULL) {
        if (fake_fails(h))
            return WSPR_ENOMEM;
        s = fake_alloc(h, sizeof *s);
        s->conn = conn;
        memcpy(&s->ops, ops, ops->size < sizeof *ops ? ops->size : sizeof *ops);
        s->arg = arg;
        s->id = id;
        list_init(&s->node);
        list_push_back(&conn->servers, &s->node);
    }
    *ret_server = s;
    return 0;
}

void *wspr_server_state(const struct wspr_server *s)
{
    return s->arg;
}

/* The caller's items, and their end. */
static void inv_step(void *arg)
{
    struct wspr_invocation *inv = arg;
    struct wspr_server *s = inv->server;

    while (!inv->over && !inv->piped && !inv->holds && inv->items < 3) {
        if (inv->items++ < 2)
            inv->holds = s->ops.item != NULL && s->ops.item(s->arg, inv, "1", 1) == WSPR_FULL;
        else if (s->ops.end != NULL)
            s->ops.end(s->arg, inv);
    }
}

static struct wspr_invocation *invoke(struct wspr_server *s, int streaming)
{
    const struct wspr_invocation_info info = {
        .size = sizeof info,
        .server_id = s->id,
        .method = {"\"echo\"", 6},
        .args = {"[1]", 3},
        .suffix = {"\"\"", 2},
        .n_results = 1,
        .streaming = streaming,
    };
    struct wspr_invocation *inv = fake_alloc(s->conn->host, sizeof *inv);

    inv->server = s;
    if (s->ops.invoke == NULL || s->ops.invoke(s->arg, inv, &info) < 0)
        inv->over = true;
    else if (streaming)
        fake_queue(s->conn->host, inv_step, inv);
    return inv;
}

static void gone(struct wspr_invocation *inv, int why)
{
    struct wspr_server *s = inv != NULL ? inv->server : NULL;

    if (inv == NULL || inv->over)
        return;
    inv->over = true;
    if (s->ops.gone != NULL)
        s->ops.gone(s->arg, inv, why);
}

static void caller_leaves(void *arg)
{
    gone(arg, WSPR_ECANCELED);
}

static void served(void *arg)
{
    struct server_wait *w = arg;

    if (!w->server->conn->host->answers || w->server->conn->closing) {
        w->served(w->arg, &refused, NULL);
        return;
    }
    w->served(w->arg, NULL, "@2@tcp@127.0.0.1:1@00000000000000000000000000000001@1@2@@");
    if (w->server->invocations[0] != NULL || w->server->conn->closing)
        return;
    w->server->invocations[0] = invoke(w->server, 1);
    w->server->invocations[1] = invoke(w->server, 0);
    fake_queue(w->server->conn->host, caller_leaves, w->server->invocations[1]);
}

int wspr_server_serve(struct wspr_server *s, const struct wspr_span *name,
                      const struct wspr_span *service,
                      void (*done)(void *arg, const struct wspr_fault *fault, const char *endpoint),
                      void *arg, char *error, size_t error_size)
{
    struct server_wait *w;

    if (fake_fails(s->conn->host)) {
        snprintf(error, error_size, "out of memory");
        return WSPR_ENOMEM;
    }
    w = fake_alloc(s->conn->host, sizeof *w);
    *w = (struct server_wait){s, done, NULL, arg};
    fake_queue(s->conn->host, served, w);
    return 0;
}

static void stopped(void *arg)
{
    struct server_wait *w = arg;

    for (size_t i = 0; i < 2; i++)
        gone(w->server->invocations[i], WSPR_EABORTED);
    w->stopped(w->arg);
}

int wspr_server_stop(struct wspr_server *s, void (*done)(void *arg), void *arg)
{
    struct server_wait *w;

    if (fake_fails(s->conn->host))
        return WSPR_ENOMEM;
    list_remove(&s->node);
    w = fake_alloc(s->conn->host, sizeof *w);
    *w = (struct server_wait){s, NULL, done, arg};
    fake_queue(s->conn->host, stopped, w);
    return 0;
}

void fake_servers_abort(struct wspr_conn *c)
{
    LIST_FOREACH_SAFE (node, after, &c->servers) {
        struct wspr_server *s = LIST_OBJECT(node, struct wspr_server, node);

        for (size_t i = 0; i < 2; i++)
            gone(s->invocations[i], WSPR_EABORTED);
    }
}

struct wspr_conn *wspr_invocation_conn(const struct wspr_invocation *inv)
{
    return inv->server->conn;
}

void *wspr_invocation_state(const struct wspr_invocation *inv)
{
    return inv->state;
}

void wspr_invocation_set_state(struct wspr_invocation *inv, void *state)
{
    inv->state = state;
}

int wspr_invocation_pipe(struct wspr_invocation *inv, struct wspr_flow *flow)
{
    if (fake_fails(inv->server->conn->host))
        return WSPR_ENOMEM;
    inv->piped = true;
    return 0;
}

static bool inv_is_dead(const struct wspr_invocation *inv, const char *what)
{
    if (inv->over)
        fake_violation("%s an invocation that is over", what);
    return inv->over;
}

static void inv_writable(void *arg)
{
    struct wspr_invocation *inv = arg;

    if (!inv->over && inv->server->ops.writable != NULL)
        inv->server->ops.writable(inv->server->arg, inv);
}

int wspr_invocation_send(struct wspr_invocation *inv, const char *json, size_t len)
{
    if (inv_is_dead(inv, "sends to"))
        return WSPR_ECLOSED;
    if (fake_fails(inv->server->conn->host)) {
        fake_queue(inv->server->conn->host, inv_writable, inv);
        return WSPR_EAGAIN;
    }
    return 0;
}

void wspr_invocation_resume(struct wspr_invocation *inv)
{
    if (inv_is_dead(inv, "resumes"))
        return;
    inv->holds = false;
    fake_queue(inv->server->conn->host, inv_step, inv);
}

void wspr_invocation_reply(struct wspr_invocation *inv, const struct wspr_spans *results,
                           const struct wspr_app_error *error)
{
    if (!inv_is_dead(inv, "replies to"))
        inv->over = true;
}

void wspr_invocation_fail(struct wspr_invocation *inv, int code, const char *text)
{
    if (!inv_is_dead(inv, "fails"))
        inv->over = true;
}

/* ---- accounts ---- */

struct account_wait {
    struct wspr_host *host;
    void (*done)(void *arg, const struct wspr_fault *fault);
    void *arg;
};

static void associated(void *arg)
{
    struct account_wait *w = arg;

    w->done(w->arg, w->host->answers ? NULL : &refused);
}

int wspr_account_associate(struct wspr_host *h, struct wspr_conn *conn,
                           const struct wspr_association *association,
                           void (*done)(void *arg, const struct wspr_fault *fault), void *arg)
{
    struct account_wait *w;

    if (fake_conn_is_gone(conn, "associates on") || conn->closing)
        return WSPR_ECLOSED;
    if (fake_size_is_wrong("wspr_association", association->size, sizeof *association))
        return WSPR_EINVAL;
    if (fake_fails(h))
        return WSPR_ENOMEM;
    w = fake_alloc(h, sizeof *w);
    *w = (struct account_wait){h, done, arg};
    fake_queue(h, associated, w);
    return 0;
}

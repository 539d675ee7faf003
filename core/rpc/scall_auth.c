/*
 * Who calls, and whether it may (spec: ipc 9.2, 9.3, 10). What verifies signatures, the
 * certificates of a blessing and the discharges that came along, is done on the pool: the call
 * reads nothing meanwhile, and its memory stays, even if it is over, until that is back.
 */
#include "config.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/quote.h"
#include "rpc/server_private.h"
#include "security/acl.h"
#include "security/caveat.h"
#include "security/identity.h"

struct check {
    struct rpc_job job;
    struct rpc_scall *call;
    bool of_blessing;
    struct vom_value blessing;   /* to be decoded, or */
    struct security_context ctx; /* the caller to be validated in */
    struct security_identity *id;
    int result;
    struct err err;
};

/* Quoted text for an error; the arena keeps it. */
struct span rpc_scall_quote(struct rpc_scall *c, struct span s)
{
    struct buf b = BUF_INIT(ERR_MSG_MAX);
    struct span q;

    quote_append(&b, s, '"');
    q = arena_copy(&c->arena, buf_span(&b));
    buf_done(&b);
    return q.p != NULL ? q : span_str("\"\"");
}

/* ---- on the pool ---- */

static void check_work(void *arg)
{
    struct check *k = arg;

    if (k->of_blessing)
        k->result = security_identity_from_value(&k->blessing, 0, &k->id, &k->err);
    else
        k->result = security_authorize(k->call->peer, &k->ctx, &k->id, &k->err);
}

static void scall_validated(struct rpc_scall *c, int r, struct err *err);

static void check_done(void *arg, int status)
{
    struct check *k = arg;
    struct rpc_scall *c = k->call;

    c->checking = false;
    if (status < 0)
        k->result = status;
    if (k->result < 0 && k->err.code == 0)
        err_set(&k->err, k->result, "%s", err_code_text(k->result));
    if (c->finished) {
        security_identity_unref(k->id);
    } else if (k->of_blessing) {
        rpc_scall_blessed(c, k->id, &k->err);
    } else {
        c->remote = k->id;
        scall_validated(c, k->result, &k->err);
    }
    err_done(&k->err);
    free(k);
    rpc_scall_take_up(c);
    rpc_scall_leave(c);
}

static struct check *check_new(struct rpc_scall *c)
{
    struct check *k = calloc(1, sizeof *k);

    if (k != NULL)
        k->call = c;
    return k;
}

static void check_start(struct check *k)
{
    k->call->busy++;
    k->call->checking = true;
    rpc_jobs_run(&k->call->server->rt->jobs, &k->job, check_work, check_done, k);
}

int rpc_scall_check_blessing(struct rpc_scall *c, const struct vom_value *v, struct err *err)
{
    struct check *k = check_new(c);

    if (k == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    k->of_blessing = true;
    k->blessing = *v;
    check_start(k);
    return 0;
}

/* ---- authorization ---- */

static int authorize_default(struct rpc_scall *c, struct err *err)
{
    struct rpc_server *s = c->server;

    return security_acl_decide(s->default_acl, c->local, c->remote, s->rt->trust, c->label, err);
}

/* Whether the caller, whose identity is valid, may use the method. */
static int scall_admit(struct rpc_scall *c, struct err *err)
{
    const struct rpc_authorizer *a = c->object.authorizer;
    struct buf text = BUF_INIT(4096);
    struct span name;
    int r = a != NULL ? a->authorize(a->arg, c, err) : authorize_default(c, err);

    if (r < 0) {
        security_identity_print(&text, c->remote, c->server->rt->trust);
        name = rpc_scall_quote(c, c->request.method);
        err_prefix(err, WSPR_ENOTAUTH,
                   "ipc: not authorized(\"%.*s\" not authorized for method %.*s: ",
                   SPAN_ARG(buf_span(&text)), SPAN_ARG(name));
        buf_done(&text);
    }
    return r;
}

static void scall_run(struct rpc_scall *c)
{
    c->next = RPC_SNEXT_HEADER;
    c->running = true;
    if (c->method != NULL)
        c->method->invoke(c->object.object, c, c->arg_refs);
    else if (c->object.invoker->invoke_raw != NULL)
        c->object.invoker->invoke_raw(c->object.object, c, c->raw, c->n_args);
    else
        c->object.invoker->invoke(c->object.object, c, c->arg_refs, c->n_args);
}

/* The caller's identity is valid, or (r < 0) it is not. */
static void scall_validated(struct rpc_scall *c, int r, struct err *err)
{
    struct err closed = ERR_INIT;

    if (r < 0)
        err_prefix(err, WSPR_ENOTAUTH, "ipc: not authorized(");
    else
        r = scall_admit(c, err);
    if (r < 0) {
        err_set(&closed, err->code, "%s)", err_text(err));
        rpc_scall_fail(c, &closed);
        err_done(&closed);
    } else {
        scall_run(c);
    }
}

void rpc_scall_invoke(struct rpc_scall *c)
{
    struct security_context ctx = {
        .now = clock_wall(),
        .trust = c->server->rt->trust,
        .local = c->local,
        .method = c->request.method,
        .suffix = c->suffix,
        .label = c->label,
        .network = span_str("tcp"), /* there is nothing else yet */
        .discharges = c->discharges,
        .n_discharges = c->n_discharges,
    };
    struct err e = ERR_INIT;
    struct check *k;
    int r;

    if (c->peer == NULL) {
        r = err_set(&e, WSPR_ENOTAUTH, "identity being matched is nil");
        scall_validated(c, r, &e);
    } else if (c->n_discharges == 0) {
        r = security_authorize(c->peer, &ctx, &c->remote, &e); /* verifies nothing */
        scall_validated(c, r, &e);
    } else if ((k = check_new(c)) != NULL) {
        k->ctx = ctx;
        check_start(k);
    } else {
        rpc_scall_error(c, WSPR_EINTERNAL, "out of memory");
    }
    err_done(&e);
}

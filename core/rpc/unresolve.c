/*
 * The way back from a server to its names: whoever serves a name is asked under which names it is
 * published, then whoever serves those, until nobody knows more (spec: naming 7).
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "rpc/call_private.h"
#include "rpc/header.h"
#include "rpc/namespace.h"
#include "security/identity.h"
#include "vom/convert.h"
#include "vom/wiretypes.h"

struct rpc_unresolving {
    struct rpc_client *client;
    struct security_private *identity;
    struct rpc_resolution *resolution;
    struct rpc_call *call;
    struct buf names, next; /* each ended by a NUL */
    struct span left;       /* of names: still to be asked */
    unsigned steps;
    struct arena arena;
    struct err error; /* of the last one that was asked */
    rpc_names_fn *done;
    void *arg;
};

static void unresolve_ask(struct rpc_unresolving *u);

void rpc_unresolve_cancel(struct rpc_unresolving *u)
{
    if (u == NULL)
        return;
    rpc_resolve_cancel(u->resolution);
    rpc_call_cancel(u->call);
    security_private_unref(u->identity);
    buf_done(&u->names);
    buf_done(&u->next);
    arena_done(&u->arena);
    err_done(&u->error);
    free(u);
}

static void unresolve_end(struct rpc_unresolving *u, const struct err *err)
{
    u->done(u->arg, err == NULL ? buf_span(&u->names) : span_of(NULL, 0), err);
    rpc_unresolve_cancel(u);
}

static void unresolve_fail(struct rpc_unresolving *u, int code, const char *text)
{
    err_set(&u->error, code, "%s", text);
    unresolve_end(u, &u->error);
}

static void unresolve_take_names(struct rpc_unresolving *u, const struct vom_value *list)
{
    for (size_t i = 0; i < vom_value_len(list); i++) {
        struct vom_value name = vom_value_at(list, i);

        if (memchr(name.s.p, 0, name.s.len) != NULL)
            continue;
        buf_append_span(&u->next, name.s);
        buf_u8(&u->next, 0);
    }
}

static int unresolve_result(void *arg, struct rpc_call *call, uint32_t i, uint32_t n,
                            const struct rpc_value *v, struct err *err)
{
    struct rpc_unresolving *u = arg;
    struct vom_value value;
    int r = vom_dec_convert(v->dec, v->msg, &u->arena,
                            i == 0 ? &vom_type_string_list : &vom_type_any, &value, err);

    if (r < 0)
        return r;
    if (i == 0)
        unresolve_take_names(u, &value);
    else if (rpc_error_of_value(&value, &u->error) == WSPR_ETYPE)
        return err_set(err, WSPR_ETYPE, "the result is no error");
    return 0;
}

static void unresolve_done(void *arg, struct rpc_call *call, const struct err *err)
{
    struct rpc_unresolving *u = arg;
    struct buf old;

    u->call = NULL;
    if (err != NULL)
        err_copy(&u->error, err);
    if (u->error.code != 0) {
        unresolve_ask(u);
    } else if (buf_error(&u->next) != 0) {
        unresolve_fail(u, WSPR_ELIMIT, "too many names");
    } else if (u->next.len == 0) {
        unresolve_end(u, NULL);
    } else if (++u->steps == RPC_RESOLVE_STEPS) {
        unresolve_fail(u, WSPR_EABORTED, "Resolution depth exceeded");
    } else {
        old = u->names;
        u->names = u->next;
        u->next = old;
        u->left = buf_span(&u->names);
        unresolve_ask(u);
    }
}

static const struct rpc_call_ops unresolve_ops = {
    .result = unresolve_result,
    .done = unresolve_done,
};

/* Asks the next name of the list. */
static void unresolve_ask(struct rpc_unresolving *u)
{
    struct rpc_call_opts opts = {
        .timeout = RPC_RESOLVE_TIMEOUT,
        .n_results = 2,
        .identity = u->identity,
    };
    struct buf target = BUF_INIT(RPC_RESOLVE_MAX);
    struct span name;

    if (!rpc_names_next(&u->left, &name)) {
        if (u->error.code == 0)
            err_set(&u->error, WSPR_ENOTFOUND, "ipc: no servers");
        unresolve_end(u, &u->error);
        return;
    }
    buf_reset(&u->next);
    arena_reset(&u->arena);
    err_done(&u->error);
    naming_name_make_terminal(&target, name);
    if (buf_error(&target) == 0)
        u->call = rpc_call_new(u->client, buf_span(&target), span_str("UnresolveStep"), &opts,
                               &unresolve_ops, u);
    buf_done(&target);
    if (u->call == NULL)
        unresolve_fail(u, WSPR_ENOMEM, "out of memory");
    else
        rpc_call_start(u->call, 0);
}

static void unresolve_resolved(void *arg, struct span names, const struct err *err)
{
    struct rpc_unresolving *u = arg;

    u->resolution = NULL;
    if (err != NULL) {
        unresolve_end(u, err);
        return;
    }
    buf_append_span(&u->names, names);
    if (buf_error(&u->names) != 0) {
        unresolve_fail(u, WSPR_ENOMEM, "out of memory");
        return;
    }
    u->left = buf_span(&u->names);
    unresolve_ask(u);
}

struct rpc_unresolving *rpc_unresolve(struct rpc_client *client, struct span name,
                                      struct security_private *identity, rpc_names_fn *done,
                                      void *arg)
{
    struct rpc_unresolving *u = calloc(1, sizeof *u);

    if (u == NULL)
        return NULL;
    u->client = client;
    u->identity = security_private_ref(identity != NULL ? identity : client->rt->identity);
    u->done = done;
    u->arg = arg;
    buf_init(&u->names, RPC_RESOLVE_MAX);
    buf_init(&u->next, RPC_RESOLVE_MAX);
    arena_init(&u->arena, 4 * RPC_RESOLVE_MAX);
    u->resolution = rpc_resolve(client, name, u->identity, unresolve_resolved, u);
    if (u->resolution == NULL) {
        rpc_unresolve_cancel(u);
        return NULL;
    }
    return u;
}

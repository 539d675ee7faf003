#include "config.h"
#include "rpc/input.h"

#include "rpc/call_private.h"
#include "rpc/server_private.h"

static const char too_much[] = "too much is kept of all calls together, and most of this one";

void rpc_input_count(struct rpc_runtime *rt, size_t *counted, size_t now)
{
    rt->stats.in_bytes += (uint64_t)now - *counted;
    *counted = now;
    if (rt->stats.in_bytes > rt->limits.in_total)
        loop_worker_later(rt->worker, &rt->relief);
}

static struct rpc_call *most_of_client(struct rpc_runtime *rt)
{
    struct rpc_call *most = NULL;

    LIST_FOREACH (node, &rt->client->calls) {
        struct rpc_call *c = LIST_OBJECT(node, struct rpc_call, node);

        if (c->counted > 0 && (most == NULL || c->counted > most->counted))
            most = c;
    }
    return most;
}

/* A method that runs is not disturbed: what it keeps is for itself to decide. */
static struct rpc_scall *most_of_servers(struct rpc_runtime *rt)
{
    struct rpc_scall *most = NULL;

    LIST_FOREACH (at, &rt->servers) {
        struct rpc_server *s = LIST_OBJECT(at, struct rpc_server, node);

        LIST_FOREACH (node, &s->calls) {
            struct rpc_scall *c = LIST_OBJECT(node, struct rpc_scall, node);

            if (!c->running && !c->finished && !c->checking && c->counted > 0 &&
                (most == NULL || c->counted > most->counted))
                most = c;
        }
    }
    return most;
}

void rpc_input_relieve(void *arg)
{
    struct rpc_runtime *rt = arg;
    struct err e = ERR_INIT;

    err_set(&e, WSPR_ELIMIT, "%s", too_much);
    while (rt->stats.in_bytes > rt->limits.in_total) {
        struct rpc_call *call = most_of_client(rt);
        struct rpc_scall *scall = most_of_servers(rt);

        if (call == NULL && scall == NULL)
            break;
        rt->stats.err_input++;
        if (scall == NULL || (call != NULL && call->counted >= scall->counted))
            rpc_call_fail_read(call, &e);
        else
            rpc_scall_error(scall, WSPR_ELIMIT, "ipc: %s", too_much);
    }
    err_done(&e);
}

#include "config.h"
#include "rpc/client.h"

#include <stdlib.h>

#include "base/clock.h"
#include "naming/name.h"
#include "rpc/call_private.h"

#define ROOTS_MAX 65536

struct rpc_client *rpc_client_new(struct rpc_runtime *rt)
{
    struct rpc_client *client = calloc(1, sizeof *client);

    if (client == NULL)
        return NULL;
    client->rt = rt;
    rpc_circuits_init(&client->circuits, rt);
    list_init(&client->calls);
    spares_init(&client->spare, RPC_SPARE_CALLS);
    list_init(&client->globs);
    rpc_turns_init(&client->publishing, rt->worker, rpc_publisher_turn);
    buf_init(&client->roots, ROOTS_MAX);
    buf_init(&client->walk[0], RPC_RESOLVE_MAX);
    buf_init(&client->walk[1], RPC_RESOLVE_MAX);
    buf_init(&client->asked, RPC_RESOLVE_MAX);
    rpc_names_init(&client->names, &rt->hash_key, RPC_NAMES_ENTRIES, RPC_NAMES_BYTES);
    rpc_discharges_init(&client->discharges, &rt->hash_key, RPC_DISCHARGES_ENTRIES,
                        RPC_DISCHARGES_BYTES);
    return client;
}

void rpc_client_free(struct rpc_client *client)
{
    if (client == NULL)
        return;
    rpc_call_free_spare(client, spares_take);
    rpc_turns_done(&client->publishing);
    rpc_names_clear(&client->names);
    rpc_discharges_clear(&client->discharges);
    buf_done(&client->roots);
    buf_done(&client->walk[0]);
    buf_done(&client->walk[1]);
    buf_done(&client->asked);
    free(client);
}

void rpc_client_stop(struct rpc_client *client)
{
    struct err why = ERR_INIT;

    rpc_glob_abort(client);
    rpc_resolve_abort(client);
    err_set(&why, WSPR_EABORTED, "the runtime is stopping");
    while (!list_empty(&client->calls))
        rpc_call_done(LIST_OBJECT(client->calls.next, struct rpc_call, node), &why);
    err_done(&why);
    rpc_circuits_stop(&client->circuits);
    rpc_call_free_spare(client, spares_take);
}

void rpc_client_sweep(struct rpc_client *client, int64_t now)
{
    rpc_circuits_sweep(&client->circuits, now, clock_wall());
    rpc_names_sweep(&client->names, now);
    rpc_call_free_spare(client, spares_take_idle);
}

int rpc_client_set_roots(struct rpc_client *client, const char *const *roots, size_t n,
                         struct err *err)
{
    buf_reset(&client->roots);
    for (size_t i = 0; i < n; i++) {
        if (!naming_name_is_rooted(span_str(roots[i])))
            return err_set(err, WSPR_EINVAL, "the namespace root \"%s\" is not a rooted name",
                           roots[i]);
        buf_append(&client->roots, roots[i], strlen(roots[i]) + 1);
    }
    if (buf_error(&client->roots) != 0)
        return err_set(err, buf_error(&client->roots), "the namespace roots are too long");
    return 0;
}

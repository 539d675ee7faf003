/*
 * A flow of any bytes: what a client may write to the sample service (first byte even), or what a
 * server may answer to a call of ours (odd). Nothing may remain of it when the flow has ended.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "raw.h"
#include "rig.h"
#include "rpc/server_private.h"
#include "services/sample.h"
#include "tcall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    bool up;
    struct rig_ids ids;
    struct rig rig;
    struct sample *sample;
    struct rpc_server *server;
    char endpoint[256];
    struct raw_peer client, peer; /* of our server, and of our client */
    struct raw_circuit *circuit;
} z;

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void fuzz_begin(void)
{
    struct rig_opts opts = {.limits = {.value_max = 65536}};
    struct sample_opts sample = {.limits = {.keys = 100, .bytes = 1 << 20}};

    rig_ids_init(&z.ids);
    opts.identity = z.ids.server;
    opts.trust = z.ids.trust;
    rig_init(&z.rig, &opts);
    z.sample = sample_new(&sample);
    z.server = rig_serve(&z.rig, sample_dispatcher(z.sample), z.endpoint);
    raw_init(&z.client, z.rig.w, z.ids.server);
    z.circuit = raw_connect(&z.client, z.endpoint + 1);
    require(z.circuit != NULL);
    raw_init(&z.peer, z.rig.w, z.ids.client);
    raw_listen(&z.peer);
    z.up = true;
}

static bool server_is_quiet(void *arg)
{
    return z.server->n_calls == 0;
}

static bool flow_has_come(void *arg)
{
    struct raw_flow **f = arg;

    *f = raw_flow_at(&z.peer, 0);
    return *f != NULL;
}

static void fuzz_server(struct span bytes)
{
    struct raw_flow *f = raw_open(z.circuit);

    raw_write(f, bytes);
    /* The request arrives before the end of it, so that it can be answered. */
    for (int i = 0; i < 4; i++)
        loop_worker_turn(z.rig.w, 0);
    raw_close(f);
    raw_flow_free(f);
    /* Until the server has seen the flow at all. */
    for (int i = 0; i < 4; i++)
        loop_worker_turn(z.rig.w, 0);
    require(raw_until(z.rig.w, server_is_quiet, NULL, 5000));
    require(!z.circuit->closed);
}

static void fuzz_client(struct span bytes)
{
    struct tcall_how how = {.method = "Any", .opts = {.n_results = RPC_ANY_RESULTS}};
    struct raw_flow *f = NULL;
    struct tcall c;
    char name[512];

    snprintf(name, sizeof name, "/%s//", z.peer.endpoint);
    how.name = name;
    how.no_items = bytes.len % 7 == 0;
    tcall_init(&c);
    require(tcall_start(&c, rpc_runtime_client(z.rig.rt), &how));
    require(raw_until(z.rig.w, flow_has_come, &f, 5000));
    raw_write(f, bytes);
    raw_close(f);
    require(raw_until(z.rig.w, tcall_is_done, &c, 5000));
    require(c.n_done == 1);
    raw_flow_free(f);
    tcall_done(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!z.up)
        fuzz_begin();
    if (size == 0 || size > 100000)
        return 0;
    if (data[0] % 2 == 0)
        fuzz_server(span_of(data + 1, size - 1));
    else
        fuzz_client(span_of(data + 1, size - 1));
    return 0;
}

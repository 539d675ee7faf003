#include "config.h"
#include "services/embedded.h"

#include <stdio.h>
#include <stdlib.h>

#include "loop/worker.h"
#include "naming/endpoint.h"
#include "rpc/server.h"
#include "services/mounttable.h"
#include "services/sample.h"

#define EMBEDDED_ADDRESS "127.0.0.1:0"

struct embedded {
    struct loop_worker *worker;
    struct rpc_runtime *rt;
    struct loop_task freeing; /* when there is no server whose end could be waited for */
    struct mounttable *table;
    struct sample *sample;
    struct rpc_server *table_server, *sample_server;
    char root[NAMING_ENDPOINT_TEXT_MAX + 1];
    int64_t grace;
    void (*done)(void *arg);
    void *done_arg;
};

static int start_table(struct embedded *em, struct err *err)
{
    struct mounttable_opts table = {.worker = em->worker};
    struct rpc_server_opts server = {.mount_table = true};
    const char *endpoint;
    int r = mounttable_new(&table, &em->table, err);

    if (r == 0)
        r = rpc_server_new(em->rt, &server, mounttable_dispatcher(em->table), &em->table_server,
                           err);
    if (r == 0)
        r = rpc_server_listen(em->table_server, EMBEDDED_ADDRESS, &endpoint, err);
    if (r == 0)
        snprintf(em->root, sizeof em->root, "/%s", endpoint);
    return r;
}

/* Mounted by hand, for good: a publisher would only talk to ourselves every minute. */
static int start_sample(struct embedded *em, struct err *err)
{
    struct sample_opts sample = {.authorizer = &rpc_authorizer_all};
    struct rpc_server_opts server = {0};
    char name[NAMING_ENDPOINT_TEXT_MAX + 3];
    const char *endpoint;
    int r;

    em->sample = sample_new(&sample);
    if (em->sample == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    r = rpc_server_new(em->rt, &server, sample_dispatcher(em->sample), &em->sample_server, err);
    if (r == 0)
        r = rpc_server_listen(em->sample_server, EMBEDDED_ADDRESS, &endpoint, err);
    if (r < 0)
        return r;
    snprintf(name, sizeof name, "/%s//", endpoint);
    return mounttable_mount(em->table, span_str(EMBEDDED_CACHE), span_str(name), 0, err);
}

static void embedded_stopped(void *arg)
{
    struct embedded *em = arg;
    void (*done)(void *arg) = em->done;
    void *done_arg = em->done_arg;

    mounttable_free(em->table);
    sample_free(em->sample);
    free(em);
    done(done_arg);
}

struct embedded *embedded_new(struct loop_worker *worker, struct rpc_runtime *rt)
{
    struct embedded *em = calloc(1, sizeof *em);

    if (em == NULL)
        return NULL;
    em->worker = worker;
    em->rt = rt;
    loop_task_init(&em->freeing, embedded_stopped, em);
    return em;
}

int embedded_start(struct embedded *em, struct err *err)
{
    int r = start_table(em, err);

    return r < 0 ? r : start_sample(em, err);
}

const char *embedded_root(const struct embedded *em)
{
    return em->root;
}

/* The sample service ends first, then the mount table. */
static void sample_stopped(void *arg)
{
    struct embedded *em = arg;

    if (em->table_server != NULL)
        rpc_server_stop(em->table_server, em->grace, embedded_stopped, em);
    else
        loop_worker_later(em->worker, &em->freeing);
}

void embedded_stop(struct embedded *em, int64_t grace, void (*done)(void *arg), void *arg)
{
    em->grace = grace;
    em->done = done;
    em->done_arg = arg;
    if (em->sample_server != NULL)
        rpc_server_stop(em->sample_server, grace, sample_stopped, em);
    else
        sample_stopped(em);
}

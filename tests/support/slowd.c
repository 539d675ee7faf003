/*
 * The service of slow.h as a process. It prints where it listens and serves until a signal ends it.
 * With the argument "mute" it listens, and never says a word to those who connect.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/listener.h"
#include "loop/offload.h"
#include "loop/signal.h"
#include "loop/worker.h"
#include "rpc/runtime.h"
#include "security/identity.h"
#include "security/trust.h"
#include "services/identity_file.h"
#include "slow.h"

struct slowd {
    struct log log;
    struct loop_worker *w;
    struct loop_offload *offload;
    struct loop_signals *signals;
    struct security_private *identity;
    struct security_trust *trust;
    struct rpc_runtime *rt;
    struct rpc_server *server;
    struct loop_listener *mute;
    struct slow slow;
};

static void runtime_stopped(void *arg)
{
    struct slowd *d = arg;

    d->rt = NULL;
    loop_worker_stop(d->w);
}

static void server_stopped(void *arg)
{
    struct slowd *d = arg;

    d->server = NULL;
    rpc_runtime_stop(d->rt, runtime_stopped, d);
}

static void on_signal(void *arg, int number)
{
    struct slowd *d = arg;

    if (d->server != NULL)
        rpc_server_stop(d->server, 0, server_stopped, d);
    else
        loop_worker_stop(d->w);
}

/* Connections are accepted and then forgotten: the process ends before it runs out of them. */
static void forget(void *arg, int fd, const struct loop_addr *peer)
{
}

static const struct loop_listener_ops mute_ops = {.accepted = forget};

static int start_mute(struct slowd *d, struct err *err)
{
    char text[LOOP_ADDR_TEXT];
    int r = loop_listener_new(d->w, "127.0.0.1:0", &mute_ops, d, &d->mute, err);

    if (r < 0)
        return r;
    loop_addr_text(loop_listener_addr(d->mute), text);
    printf("Listening at: @2@tcp@%s@0123456789abcdef0123456789abcdef@1@2@@\n", text);
    return 0;
}

static int start_service(struct slowd *d, struct err *err)
{
    struct rpc_runtime_opts rt = {.log = &d->log, .worker = d->w, .offload = d->offload};
    struct rpc_server_opts server = {0};
    const char *endpoint;
    int r = identity_of_process(&d->identity, &d->trust, err);

    if (r < 0)
        return r;
    slow_init(&d->slow);
    rt.identity = d->identity;
    rt.trust = d->trust;
    r = rpc_runtime_new(&rt, &d->rt, err);
    if (r == 0)
        r = rpc_server_new(d->rt, &server, &d->slow.dispatcher, &d->server, err);
    if (r == 0)
        r = rpc_server_listen(d->server, "127.0.0.1:0", &endpoint, err);
    if (r == 0)
        printf("Listening at: %s\n", endpoint);
    return r;
}

int main(int argc, char **argv)
{
    struct slowd d = {.log = {STDERR_FILENO, LOG_LEVEL_WARN}};
    struct err e = ERR_INIT;
    int r = loop_worker_new(NULL, &d.w, &e);

    if (r == 0)
        r = loop_offload_new(NULL, &d.offload, &e);
    if (r == 0)
        r = loop_signals_new(d.w, on_signal, &d, &d.signals, &e);
    if (r == 0)
        r = argc > 1 && strcmp(argv[1], "mute") == 0 ? start_mute(&d, &e) : start_service(&d, &e);
    if (r < 0) {
        fprintf(stderr, "slowd: %s\n", err_text(&e));
        return EXIT_FAILURE;
    }
    fflush(stdout);
    loop_worker_run(d.w);
    loop_listener_free(d.mute);
    loop_signals_free(d.signals);
    loop_offload_free(d.offload);
    loop_worker_free(d.w);
    security_trust_unref(d.trust);
    security_private_unref(d.identity);
    return EXIT_SUCCESS;
}

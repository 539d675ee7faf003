/*
 * bench-dispatch linked|FOLDER N: hands N messages to a handler that is linked in, or loaded from
 * FOLDER/bench_handler.so. For counting instructions from outside (tests/bench/dispatch.sh): the
 * difference of two runs is the messages alone.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "gateway/private.h"

const struct wspr_plugin *linked_plugin_entry(void);

static const struct log quiet = {-1, LOG_LEVEL_ERROR};

static void fail(const char *what)
{
    fprintf(stderr, "bench-dispatch: %s\n", what);
    exit(1);
}

int main(int argc, char **argv)
{
    static const char message[] = "{\"id\":1,\"type\":900,\"data\":\"{}\"}";
    struct gateway_opts opts = {.log = &quiet};
    struct loop_addr peer = {0};
    struct err e = ERR_INIT;
    struct gateway *gw;
    struct wspr_conn *c;
    int fds[2], r;
    long n;
    int64_t began;

    if (argc != 3)
        fail("usage: bench-dispatch linked|FOLDER N");
    n = strtol(argv[2], NULL, 10);
    opts.plugin_dir = argv[1];
    peer.u.sa.sa_family = AF_INET;
    if (loop_worker_new(NULL, &opts.worker, NULL) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 || gateway_new(&opts, &gw, NULL) < 0)
        fail("no gateway");
    r = strcmp(argv[1], "linked") == 0
            ? gateway_plugin_add(gw, linked_plugin_entry(), "bench_handler", NULL, &e)
            : gateway_plugin_load(gw, "bench_handler", NULL, &e);
    if (r < 0)
        fail(err_text(&e));
    gateway_conn_accept(gw, fds[0], &peer);
    if (list_empty(&gw->conns))
        fail("no connection");
    c = LIST_OBJECT(gw->conns.next, struct wspr_conn, node);
    c->phase = CONN_OPEN;
    began = clock_mono();
    for (long i = 0; i < n; i++)
        gateway_conn_message(c, span_of(message, sizeof message - 1));
    if (gw->stats.flows_opened != (uint64_t)n)
        fail("messages were not dispatched");
    printf("%s: %.0f ns/message\n", argv[1],
           (double)(clock_mono() - began) / (n > 0 ? (double)n : 1));
    return 0;
}

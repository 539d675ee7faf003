#include "config.h"
#include "daemon.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/offload.h"
#include "loop/signal.h"
#include "loop/worker.h"
#include "rpc/runtime.h"
#include "security/identity.h"
#include "security/trust.h"
#include "services/identity_file.h"

#define STOP_GRACE (3 * CLOCK_S)

enum { EXIT_USAGE = 2 };

/* ---- the command line ---- */

static int usage_error(const char *program, const char *text)
{
    fprintf(stderr, "%s: %s\nTry '%s --help'.\n", program, text, program);
    return EXIT_USAGE;
}

bool daemon_parse(const char *program, const char *about, const struct config_table *table,
                  int argc, char **argv, void *opts, const struct daemon_opts *common,
                  int *ret_status)
{
    struct err e = ERR_INIT;
    int rest, r;

    config_defaults(table, opts);
    r = config_parse_args(table, argc, argv, opts, NULL, NULL, &rest, &e);
    *ret_status = EXIT_SUCCESS;
    if (r < 0) {
        *ret_status = usage_error(program, err_text(&e));
        err_done(&e);
        return false;
    }
    if (rest < argc) {
        *ret_status = usage_error(program, "there are no arguments, only options");
        return false;
    }
    if (common->help) {
        printf("Usage: %s [option]...\n%s", program, about);
        config_print_help(table, stdout);
        return false;
    }
    if (common->version) {
        printf("%s %s\n", program, PACKAGE_VERSION);
        return false;
    }
    return true;
}

/* ---- the end ---- */

static void runtime_stopped(void *arg)
{
    struct daemon *d = arg;

    d->rt = NULL;
    loop_worker_stop(d->worker);
}

static void server_stopped(void *arg)
{
    struct daemon *d = arg;

    d->server = NULL;
    rpc_runtime_stop(d->rt, runtime_stopped, d);
}

static void on_signal(void *arg, int number)
{
    struct daemon *d = arg;

    if (d->stopping) {
        loop_worker_stop(d->worker);
        return;
    }
    d->stopping = true;
    log_write(&d->log, LOG_LEVEL_INFO, "daemon", "signal %d: stopping", number);
    rpc_server_stop(d->server, STOP_GRACE, server_stopped, d);
}

void daemon_end(struct daemon *d)
{
    if (d->offload != NULL)
        loop_offload_stop(d->offload, false);
    loop_signals_free(d->signals);
    loop_worker_free(d->worker);
    loop_offload_free(d->offload);
    security_trust_unref(d->trust);
    security_private_unref(d->identity);
}

/* ---- the beginning ---- */

int daemon_begin(struct daemon *d, const struct daemon_opts *common, struct err *err)
{
    static const enum log_level levels[] = {LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG};
    struct rpc_runtime_opts rt = {.log = &d->log};
    int r = identity_of_process(&d->identity, &d->trust, err);

    d->log = (struct log){STDERR_FILENO, levels[common->verbosity < 2 ? common->verbosity : 2]};
    if (r == 0)
        r = loop_worker_new(NULL, &d->worker, err);
    if (r == 0)
        r = loop_offload_new(NULL, &d->offload, err);
    if (r == 0)
        r = loop_signals_new(d->worker, on_signal, d, &d->signals, err);
    if (r < 0)
        return r;
#ifdef WSPR_LEGACY_PEERS
    rt.legacy_peers = !common->no_legacy_peers;
#endif
    rt.worker = d->worker;
    rt.offload = d->offload;
    rt.identity = d->identity;
    rt.trust = d->trust;
    return rpc_runtime_new(&rt, &d->rt, err);
}

int daemon_announce(struct err *err, const char *fmt, ...)
{
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = vprintf(fmt, ap);
    va_end(ap);
    if (r < 0 || putchar('\n') == EOF || fflush(stdout) != 0)
        return err_set(err, WSPR_ESYS, "cannot write to the standard output");
    return 0;
}

int daemon_run(struct daemon *d, int r, const struct err *e)
{
    if (r < 0) {
        fprintf(stderr, "%s: %s\n", d->program, err_text(e));
        /* The loop is still needed to take down what was built. */
        d->stopping = true;
        if (d->server != NULL)
            rpc_server_stop(d->server, 0, server_stopped, d);
        else if (d->rt != NULL)
            rpc_runtime_stop(d->rt, runtime_stopped, d);
    }
    if (d->rt != NULL)
        loop_worker_run(d->worker);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

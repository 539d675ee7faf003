#include "config.h"
#include "daemon.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/streams.h"
#include "config/roots.h"
#include "loop/offload.h"
#include "loop/signal.h"
#include "loop/worker.h"
#include "rpc/publisher.h"
#include "rpc/resolve.h"
#include "rpc/runtime.h"
#include "security/identity.h"
#include "security/reserve.h"
#include "security/trust.h"
#include "services/identity_file.h"

#define STOP_GRACE (3 * CLOCK_S)

enum { EXIT_USAGE = 2 };

/* ---- the command line ---- */

int daemon_usage(const char *program, const char *text)
{
    fprintf(stderr, "%s: %s\nTry '%s --help'.\n", program, text, program);
    return EXIT_USAGE;
}

static void warn_inert(void *program, const char *name)
{
    fprintf(stderr, "%s: -%s has no effect here\n", (const char *)program, name);
}

/* The status of a run that only prints. */
static int daemon_printed(const char *program)
{
    if (streams_flush())
        return EXIT_SUCCESS;
    fprintf(stderr, "%s: cannot write the output: %s\n", program, strerror(errno));
    return EXIT_FAILURE;
}

bool daemon_parse(const char *program, const char *about, const struct config_table *table,
                  int argc, char **argv, void *opts, const struct daemon_opts *common,
                  int *ret_status)
{
    struct err e = ERR_INIT;
    int rest, r;

    *ret_status = EXIT_FAILURE;
    if (!streams_open())
        return false;
    config_defaults(table, opts);
    r = config_parse_args(table, argc, argv, opts, warn_inert, (void *)program, &rest, &e);
    if (r == 0 && rest < argc)
        r = err_set(&e, WSPR_EINVAL, "unexpected argument \"%s\"", argv[rest]);
    *ret_status = EXIT_SUCCESS;
    if (r < 0) {
        *ret_status = daemon_usage(program, err_text(&e));
        err_done(&e);
        return false;
    }
    if (common->help) {
        printf("Usage: %s [option]...\n%s", program, about);
        config_print_help(table, stdout);
        *ret_status = daemon_printed(program);
        return false;
    }
    if (common->version) {
        printf("%s %s\n", program, PACKAGE_VERSION);
        *ret_status = daemon_printed(program);
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

void daemon_stopped(void *arg)
{
    struct daemon *d = arg;

    d->server = NULL;
    rpc_listener_free(d->listener);
    d->listener = NULL;
    if (d->rt != NULL)
        rpc_runtime_stop(d->rt, runtime_stopped, d);
}

static void daemon_stop(struct daemon *d, int64_t grace)
{
    d->stopping = true;
    if (d->stop != NULL)
        d->stop(d);
    else if (d->server != NULL)
        rpc_server_stop(d->server, grace, daemon_stopped, d);
    else
        daemon_stopped(d);
}

static void daemon_complain(struct daemon *d, const struct err *e)
{
    fprintf(stderr, "%s: %s\n", d->program, err_text(e));
    d->status = EXIT_FAILURE;
}

void daemon_fail(struct daemon *d, const struct err *e)
{
    if (d->stopping)
        return;
    daemon_complain(d, e);
    daemon_stop(d, 0);
}

static void on_signal(void *arg, int number)
{
    struct daemon *d = arg;

    if (d->stopping) {
        loop_worker_stop(d->worker);
        return;
    }
    log_write(&d->log, LOG_LEVEL_INFO, "daemon", "signal %d: stopping", number);
    daemon_stop(d, STOP_GRACE);
}

void daemon_end(struct daemon *d)
{
    if (d->line != NULL)
        loop_timer_stop(&d->patience);
    free(d->line);
    if (d->offload != NULL)
        loop_offload_stop(d->offload, false);
    loop_signals_free(d->signals);
    loop_worker_free(d->worker);
    loop_offload_free(d->offload);
    security_trust_unref(d->trust);
    security_private_unref(d->identity);
}

int daemon_listen(struct daemon *d, const char *address, const char *published,
                  const char **ret_endpoint, struct err *err)
{
    int r;

    if (published[0] == '\0')
        return rpc_server_listen(d->server, address, ret_endpoint, err);
    r = rpc_listener_new(d->rt, address, published, &d->listener, err);
    return r < 0 ? r : rpc_server_listen_shared(d->server, d->listener, ret_endpoint, err);
}

/* ---- names ---- */

static int daemon_set_roots(struct daemon *d, struct err *err)
{
    struct config_roots roots;
    int r = config_roots_of_process(&roots, err);

    if (r < 0)
        return r;
    d->n_roots = roots.n;
    r = rpc_client_set_roots(rpc_runtime_client(d->rt), roots.names, roots.n, err);
    config_roots_done(&roots);
    return r;
}

static struct rpc_publisher *daemon_publisher(struct daemon *d)
{
    return d->server != NULL ? rpc_server_publisher(d->server) : d->publisher;
}

static int daemon_add_name(struct daemon *d, struct span name, struct err *err)
{
    int r;

    if (d->server != NULL) {
        r = rpc_server_publish(d->server, name, err);
    } else {
        r = rpc_publisher_add_name(d->publisher, name);
        if (r < 0)
            err_set(err, r, "%s", err_code_text(r));
    }
    if (r == 0)
        rpc_publisher_pace(daemon_publisher(d), d->ttl * (CLOCK_S * 3 / 4), d->ttl);
    return r;
}

int daemon_publish(struct daemon *d, const char *name, bool asked_for, struct err *err)
{
    bool rooted = name[0] == '/' && name[1] != '/';

    if (name[0] == '\0')
        return 0;
    if (rooted || d->n_roots > 0)
        return daemon_add_name(d, span_str(name), err);
    if (asked_for)
        return err_set(err, WSPR_EINVAL, "no mount table for the name \"%s\": set NAMESPACE_ROOT",
                       name);
    log_write(&d->log, LOG_LEVEL_INFO, "daemon", "not published: NAMESPACE_ROOT is not set");
    return 0;
}

static int daemon_print(struct daemon *d)
{
    int r = puts(d->line);

    free(d->line);
    d->line = NULL;
    loop_timer_stop(&d->patience);
    return r != EOF && fflush(stdout) == 0 ? 0 : WSPR_ESYS;
}

/* The name is mounted, or could not be, or it takes too long. */
static void daemon_settled(void *arg)
{
    struct daemon *d = arg;

    if (d->line == NULL || d->stopping)
        return;
    if (daemon_print(d) < 0)
        log_write(&d->log, LOG_LEVEL_ERROR, "daemon", "cannot write to the standard output");
}

int daemon_announce(struct daemon *d, struct err *err, const char *fmt, ...)
{
    struct rpc_publisher *p = daemon_publisher(d);
    char line[2048];
    va_list ap;

    d->announced = true;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    d->line = mem_strndup(line, strlen(line));
    if (d->line == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    if (p == NULL && daemon_print(d) < 0)
        return err_set(err, WSPR_ESYS, "cannot write to the standard output");
    if (p != NULL) {
        loop_timer_start(&d->patience, DAEMON_PATIENCE);
        rpc_publisher_when_settled(p, daemon_settled, d);
    }
    return 0;
}

/* ---- the beginning ---- */

bool daemon_legacy_peers(const struct daemon_opts *common)
{
#ifdef WSPR_LEGACY_PEERS
    return !common->no_legacy_peers;
#else
    (void)common;
    return false;
#endif
}

int daemon_begin(struct daemon *d, const struct daemon_opts *common, struct err *err)
{
    static const enum log_level levels[] = {LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG};
    struct rpc_runtime_opts rt = {.log = &d->log};
    int r;

    security_reserve();
    r = identity_of_process(&d->identity, &d->trust, err);
    d->log = (struct log){STDERR_FILENO, levels[common->verbosity < 2 ? common->verbosity : 2]};
    if (r == 0)
        r = loop_worker_new(NULL, &d->worker, err);
    if (r == 0)
        r = loop_offload_new(NULL, &d->offload, err);
    if (r == 0)
        r = loop_signals_new(d->worker, on_signal, d, &d->signals, err);
    if (r < 0)
        return r;
    rt.legacy_peers = daemon_legacy_peers(common);
    rt.worker = d->worker;
    rt.offload = d->offload;
    rt.identity = d->identity;
    rt.trust = d->trust;
    d->ttl = (uint32_t)common->ttl;
    loop_timer_init(&d->patience, d->worker, daemon_settled, d);
    r = rpc_runtime_new(&rt, &d->rt, err);
    return r == 0 ? daemon_set_roots(d, err) : r;
}

/* ---- running ---- */

int daemon_run(struct daemon *d, int r, const struct err *e)
{
    if (r < 0) {
        daemon_complain(d, e);
        /* The loop is still needed to take down what was built. */
        daemon_stop(d, 0);
    }
    if (d->rt != NULL)
        loop_worker_run(d->worker);
    return d->status;
}

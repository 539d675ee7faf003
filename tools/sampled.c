/*
 * wspr-sampled: the sample service as a process of its own (spec: sample-service 1). It listens,
 * prints where, and serves until a signal ends it.
 *
 *     signal -> server stops (running calls get a moment) -> runtime stops -> the loop ends
 *
 * A second signal ends the loop at once.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/option.h"
#include "loop/offload.h"
#include "loop/signal.h"
#include "loop/worker.h"
#include "rpc/runtime.h"
#include "rpc/server.h"
#include "security/identity.h"
#include "security/trust.h"
#include "services/identity_file.h"
#include "services/sample.h"

#define STOP_GRACE (3 * CLOCK_S)

enum { EXIT_USAGE = 2 };

struct sampled_opts {
    const char *listen;
    bool open, no_legacy_peers, help, version;
    int64_t verbosity;
};

#define OPT(member) offsetof(struct sampled_opts, member)

static const struct config_option sampled_options[] = {
    {.name = "listen",
     .type = CONFIG_STRING,
     .offset = OPT(listen),
     .def = "127.0.0.1:0",
     .arg = "HOST:PORT",
     .help = "address to listen on; port 0: any free one"},
    {.name = "open",
     .type = CONFIG_BOOL,
     .offset = OPT(open),
     .help = "admit everybody, not only those whom a blessing\nrelates to our identity"},
    {.name = "no-legacy-peers",
     .type = CONFIG_BOOL,
     .offset = OPT(no_legacy_peers),
     .help = "refuse peers that offer nothing better than RC4"},
    {.name = "v",
     .type = CONFIG_INT,
     .offset = OPT(verbosity),
     .def = "0",
     .arg = "LEVEL",
     .help = "0: log warnings; 1: what happens; 2: everything",
     .min = 0,
     .max = 99},
    {.name = "help", .type = CONFIG_ACTION, .offset = OPT(help), .help = "print this and exit"},
    {.name = "version",
     .type = CONFIG_ACTION,
     .offset = OPT(version),
     .help = "print the version and exit"},
    {.name = "log_dir", .type = CONFIG_INERT},
    {.name = "logtostderr", .type = CONFIG_INERT_SWITCH},
    {.name = "alsologtostderr", .type = CONFIG_INERT_SWITCH},
    {.name = "vmodule", .type = CONFIG_INERT},
    {.name = "stderrthreshold", .type = CONFIG_INERT},
    {.name = "max_stack_buf_size", .type = CONFIG_INERT},
    {.name = "log_backtrace_at", .type = CONFIG_INERT},
};

static const struct config_table sampled_table = {
    sampled_options,
    sizeof sampled_options / sizeof sampled_options[0],
};

struct sampled {
    struct log log;
    struct loop_worker *worker;
    struct loop_offload *offload;
    struct loop_signals *signals;
    struct security_private *identity;
    struct security_trust *trust;
    struct rpc_runtime *rt;
    struct rpc_server *server;
    struct sample *sample;
    bool stopping;
};

/* ---- the end ---- */

static void runtime_stopped(void *arg)
{
    struct sampled *d = arg;

    d->rt = NULL;
    loop_worker_stop(d->worker);
}

static void server_stopped(void *arg)
{
    struct sampled *d = arg;

    d->server = NULL;
    rpc_runtime_stop(d->rt, runtime_stopped, d);
}

static void on_signal(void *arg, int number)
{
    struct sampled *d = arg;

    if (d->stopping) {
        loop_worker_stop(d->worker);
        return;
    }
    d->stopping = true;
    log_write(&d->log, LOG_LEVEL_INFO, "sampled", "signal %d: stopping", number);
    rpc_server_stop(d->server, STOP_GRACE, server_stopped, d);
}

/* Whatever start made, in any state. */
static void sampled_done(struct sampled *d)
{
    if (d->offload != NULL)
        loop_offload_stop(d->offload, false);
    loop_signals_free(d->signals);
    loop_worker_free(d->worker);
    loop_offload_free(d->offload);
    sample_free(d->sample);
    security_trust_unref(d->trust);
    security_private_unref(d->identity);
}

/* ---- the beginning ---- */

static int sampled_start(struct sampled *d, const struct sampled_opts *o, struct err *err)
{
    struct sample_opts sample = {.authorizer = o->open ? &rpc_authorizer_all : NULL};
    struct rpc_server_opts server = {0};
    struct rpc_runtime_opts rt = {.log = &d->log};
    int r = identity_of_process(&d->identity, &d->trust, err);

    if (r == 0)
        r = loop_worker_new(NULL, &d->worker, err);
    if (r == 0)
        r = loop_offload_new(NULL, &d->offload, err);
    if (r == 0)
        r = loop_signals_new(d->worker, on_signal, d, &d->signals, err);
    if (r < 0)
        return r;
    d->sample = sample_new(&sample);
    if (d->sample == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
#ifdef WSPR_LEGACY_PEERS
#ifdef WSPR_LEGACY_PEERS
    rt.legacy_peers = !o->no_legacy_peers;
#endif
#endif
    rt.worker = d->worker;
    rt.offload = d->offload;
    rt.identity = d->identity;
    rt.trust = d->trust;
    r = rpc_runtime_new(&rt, &d->rt, err);
    if (r == 0)
        r = rpc_server_new(d->rt, &server, sample_dispatcher(d->sample), &d->server, err);
    return r;
}

/* Says where it listens, in the one line that others wait for. */
static int sampled_announce(struct sampled *d, const struct sampled_opts *o, struct err *err)
{
    const char *endpoint;
    int r = rpc_server_listen(d->server, o->listen, &endpoint, err);

    if (r < 0)
        return r;
    if (printf("Listening at: %s\n", endpoint) < 0 || fflush(stdout) != 0)
        return err_set(err, WSPR_ESYS, "cannot write to the standard output");
    return 0;
}

static int sampled_run(const struct sampled_opts *o)
{
    static const enum log_level levels[] = {LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG};
    struct sampled d = {.log = {STDERR_FILENO, levels[o->verbosity < 2 ? o->verbosity : 2]}};
    struct err e = ERR_INIT;
    int r = sampled_start(&d, o, &e);

    if (r == 0)
        r = sampled_announce(&d, o, &e);
    if (r < 0) {
        fprintf(stderr, "wspr-sampled: %s\n", err_text(&e));
        /* The loop is still needed to take down what was built. */
        d.stopping = true;
        if (d.server != NULL)
            rpc_server_stop(d.server, 0, server_stopped, &d);
        else if (d.rt != NULL)
            rpc_runtime_stop(d.rt, runtime_stopped, &d);
    }
    if (d.rt != NULL)
        loop_worker_run(d.worker);
    sampled_done(&d);
    err_done(&e);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int usage_error(const char *text)
{
    fprintf(stderr, "wspr-sampled: %s\nTry 'wspr-sampled --help'.\n", text);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct sampled_opts o = {0};
    struct err e = ERR_INIT;
    int rest, r;

    config_defaults(&sampled_table, &o);
    r = config_parse_args(&sampled_table, argc, argv, &o, NULL, NULL, &rest, &e);
    if (r < 0) {
        r = usage_error(err_text(&e));
        err_done(&e);
        return r;
    }
    if (rest < argc)
        return usage_error("there are no arguments, only options");
    if (o.help) {
        fputs("Usage: wspr-sampled [option]...\n"
              "Serves a cache of values and an object that throws errors, under the identity in "
              "the file\nthat VEYRON_IDENTITY names, or under a fresh one.\n\n",
              stdout);
        config_print_help(&sampled_table, stdout);
        return EXIT_SUCCESS;
    }
    if (o.version) {
        puts("wspr-sampled " PACKAGE_VERSION);
        return EXIT_SUCCESS;
    }
    return sampled_run(&o);
}

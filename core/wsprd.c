/*
 * wsprd: the gateway between web pages and the network. This file starts the parts in order, and
 * stops them in the reverse order:
 *
 *     worker, offload pool -> identity -> runtime -> embedded network -> accounts -> gateway
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/streams.h"
#include "config/roots.h"
#include "config/setup.h"
#include "gateway/accounts.h"
#include "gateway/gateway.h"
#include "gateway/plugin_set.h"
#include "loop/offload.h"
#include "loop/signal.h"
#include "loop/timer.h"
#include "loop/worker.h"
#include "rpc/client.h"
#include "rpc/resolve.h"
#include "rpc/runtime.h"
#include "security/identity.h"
#include "security/reserve.h"
#include "security/trust.h"
#include "services/embedded.h"
#include "services/identity_file.h"
#include "services/root_file.h"
#include "wspr/version.h"
#include "wsprd_counters.h"
#include "wsprd_options.h"

#define EXIT_USAGE  2
#define TIDY_PERIOD (5 * CLOCK_S)
#define STOP_GRACE  (2 * CLOCK_S) /* for calls that the embedded service still serves */

struct daemon {
    struct wsprd_settings settings;
    struct config_file config; /* all zeros: none was read */
    int argc;
    char **argv;
    struct log log;
    struct loop_worker *worker;
    struct loop_offload *offload;
    struct loop_signals *signals;
    struct security_private *identity;
    struct security_trust *trust;
    struct rpc_runtime *runtime;
    size_t n_roots;            /* that the environment names */
    struct embedded *embedded; /* NULL with -no-embedded, or if there are roots */
    struct accounts *accounts;
    struct gateway *gateway;
    struct loop_timer tidy;
    size_t free_memory;   /* when tidy() looked last */
    bool identity_is_new; /* and may not be on the disk yet */
    struct loop_job sync;
    struct err sync_err;
    bool stopping;
};

/* The exit status of a run that only prints. */
static int printed(void)
{
    if (streams_flush())
        return EXIT_SUCCESS;
    fprintf(stderr, "wsprd: cannot write the output: %s\n", strerror(errno));
    return EXIT_FAILURE;
}

/* Returns -1 to go on, or the exit status. */
static int read_options(struct daemon *d, int argc, char **argv)
{
    struct err e = ERR_INIT;
    bool of_file;

    d->argc = argc;
    d->argv = argv;
    if (config_setup(&wsprd_setup, argc, argv, &d->settings, &d->config, &of_file, &e) < 0) {
        fprintf(stderr, "wsprd: %s\n", err_text(&e));
        if (!of_file)
            fputs("Try 'wsprd -help'.\n", stderr);
        err_done(&e);
        return EXIT_USAGE;
    }
    if (d->settings.help) {
        wsprd_print_usage();
        return printed();
    }
    if (d->settings.version) {
        printf("wsprd %s (plugin ABI %d.%d)\n", PACKAGE_VERSION, WSPR_ABI_MAJOR, WSPR_ABI_MINOR);
        return printed();
    }
    d->log.fd = d->settings.log_stderr || d->settings.also_log_stderr ? STDERR_FILENO : -1;
    d->log.level = d->settings.verbosity == 0   ? LOG_LEVEL_WARN
                   : d->settings.verbosity == 1 ? LOG_LEVEL_INFO
                                                : LOG_LEVEL_DEBUG;
    return -1;
}

/* ---- stopping, part by part ---- */

static void runtime_stopped(void *arg)
{
    struct daemon *d = arg;

    d->runtime = NULL;
    loop_worker_stop(d->worker);
}

static void embedded_is_stopped(void *arg)
{
    struct daemon *d = arg;

    d->embedded = NULL;
    rpc_runtime_stop(d->runtime, runtime_stopped, d);
}

static void accounts_are_stopped(void *arg)
{
    struct daemon *d = arg;

    d->accounts = NULL;
    if (d->embedded != NULL)
        root_file_remove(d->settings.state_dir, embedded_root(d->embedded));
    if (d->embedded != NULL)
        embedded_stop(d->embedded, STOP_GRACE, embedded_is_stopped, d);
    else
        embedded_is_stopped(d);
}

static void gateway_is_stopped(void *arg)
{
    struct daemon *d = arg;

    d->gateway = NULL;
    if (d->accounts != NULL)
        accounts_stop(d->accounts, accounts_are_stopped, d);
    else
        accounts_are_stopped(d);
}

/* Stops what runs, from the gateway down to the loop. */
static void stop(struct daemon *d)
{
    if (d->gateway != NULL)
        gateway_stop(d->gateway, gateway_is_stopped, d);
    else if (d->runtime != NULL)
        gateway_is_stopped(d);
}

/*
 * Reads the configuration again, loads the plugins anew that are other ones now, and the files of
 * TLS; everything else stays as it was at the start. What is wrong with the configuration leaves
 * all as it is.
 */
static void reload(struct daemon *d)
{
    struct config_setup again = wsprd_setup;
    struct config_file config = {0};
    struct wsprd_settings settings;
    struct err e = ERR_INIT;
    unsigned failed;
    bool of_file;

    again.inert = NULL;
    if (d->gateway == NULL)
        return;
    if (config_setup(&again, d->argc, d->argv, &settings, &config, &of_file, &e) < 0) {
        log_write(&d->log, LOG_LEVEL_ERROR, "wsprd", "nothing is loaded anew: %s", err_text(&e));
        err_done(&e);
        return;
    }
    failed = gateway_reload(d->gateway, config.path != NULL ? &config : NULL);
    if (failed > 0)
        log_write(&d->log, LOG_LEVEL_WARN, "wsprd", "%u plugins could not be loaded anew", failed);
    gateway_reload_tls(d->gateway, settings.tls_cert, settings.tls_key);
    config_file_done(&config);
}

static void signal_came(void *arg, int number)
{
    struct daemon *d = arg;

    if (number == SIGHUP) {
        if (!d->stopping)
            reload(d);
        return;
    }
    if (number == SIGUSR1) {
        wsprd_log_counters(&d->log, d->worker, d->runtime, d->gateway);
        return;
    }
    if (d->stopping)
        _exit(128 + number);
    d->stopping = true;
    log_write(&d->log, LOG_LEVEL_INFO, "wsprd", "signal %d: stopping", number);
    stop(d);
}

/* ---- starting ---- */

static int start_runtime(struct daemon *d, struct err *err)
{
    struct rpc_runtime_opts opts = {
        .worker = d->worker,
        .offload = d->offload,
        .log = &d->log,
        .legacy_peers = d->settings.legacy_peers,
        .placeholders = d->settings.test_identities,
        .tcp_only = d->settings.tcp_only,
        .limits = {.peer_timeout = d->settings.peer_timeout,
                   .vc_idle = d->settings.circuit_idle,
                   .in_total = (uint64_t)d->settings.max_input << 20},
    };
    int r = identity_of_daemon(d->settings.state_dir, &d->log, &d->identity, &d->trust,
                               &d->identity_is_new, err);

    if (r < 0)
        return r;
    opts.identity = d->identity;
    opts.trust = d->trust;
    return rpc_runtime_new(&opts, &d->runtime, err);
}

/* Where names are looked up. */
static int set_roots(struct daemon *d, struct err *err)
{
    struct config_roots roots;
    int r = config_roots_of_process(&roots, err);

    if (r < 0)
        return r;
    r = rpc_client_set_roots(rpc_runtime_client(d->runtime), roots.names, roots.n, err);
    d->n_roots = roots.n;
    config_roots_done(&roots);
    return r;
}

/*
 * Tells the tools of this machine where the mount table is, if they have the identity from the same
 * place.
 */
static void tell_root(struct daemon *d, const char *root)
{
    const char *named = getenv("VEYRON_IDENTITY");
    struct err e = ERR_INIT;

    if (named != NULL && named[0] != '\0')
        return;
    if (root_file_write(d->settings.state_dir, root, &e) < 0)
        log_write(&d->log, LOG_LEVEL_INFO, "wsprd", "tools will not find the mount table: %s",
                  err_text(&e));
    err_done(&e);
}

/* A daemon that belongs to no network is one by itself. */
static int start_embedded(struct daemon *d, struct err *err)
{
    const char *root;
    int r;

    if (d->n_roots > 0 || d->settings.no_embedded)
        return 0;
    d->embedded = embedded_new(d->worker, d->runtime);
    if (d->embedded == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    r = embedded_start(d->embedded, err);
    if (r < 0)
        return r;
    root = embedded_root(d->embedded);
    tell_root(d, root);
    return rpc_client_set_roots(rpc_runtime_client(d->runtime), &root, 1, err);
}

/* What pages are told: the variable as it is, blanks and empty parts included. */
static const char *roots_for_pages(const struct daemon *d)
{
    if (d->embedded != NULL)
        return embedded_root(d->embedded);
    return d->n_roots > 0 ? getenv("NAMESPACE_ROOT") : NULL;
}

/*
 * Where the accounts are kept: with the identity that signs them. NULL if that will die with this
 * process, because nobody could read them afterwards.
 */
static const char *accounts_folder(struct daemon *d, char *path, size_t size)
{
    const char *named = getenv("VEYRON_IDENTITY");
    size_t len;

    if (identity_state_dir(d->settings.state_dir, path, size - sizeof "/identity", NULL) < 0)
        return NULL;
    len = strlen(path);
    memcpy(path + len, "/identity", sizeof "/identity");
    if ((named == NULL || named[0] == '\0') && access(path, F_OK) < 0)
        return NULL;
    memcpy(path + len, "/accounts", sizeof "/accounts");
    return path;
}

static int start_accounts(struct daemon *d, struct err *err)
{
    char path[IDENTITY_PATH_MAX];
    struct accounts_opts opts = {
        .worker = d->worker,
        .offload = d->offload,
        .log = &d->log,
        .host = d->identity,
        .folder = accounts_folder(d, path, sizeof path),
        .raw = !d->settings.bless_origins,
        .lifetime = d->settings.bless_lifetime,
        .placeholders = d->settings.test_identities,
    };

    if (opts.folder == NULL)
        log_write(&d->log, LOG_LEVEL_INFO, "wsprd", "accounts are not kept beyond this process");
    return accounts_new(&opts, &d->accounts, err);
}

/* With its plugins; one that is only checked runs none of them. */
static int make_gateway(struct daemon *d, struct err *err)
{
    const struct config_file *config = d->config.path != NULL ? &d->config : NULL;
    struct plugin_set set;
    struct gateway_opts opts = {
        .worker = d->worker,
        .offload = d->offload,
        .runtime = d->runtime,
        .log = &d->log,
        .plugin_dir = d->settings.plugin_dir,
        .proxy = d->settings.vproxy,
        .peer_listen = d->settings.peer_listen,
        .peer_advertise = d->settings.peer_advertise,
        .plugins = set.required,
        .optional = set.optional,
        .config = config,
        .check_only = d->settings.check_config,
        .roots = roots_for_pages(d),
        .accounts = d->accounts,
        .associate_from = d->settings.associate_from,
        .allowed_origins = d->settings.allowed_origins,
        .tls_cert = d->settings.tls_cert,
        .tls_key = d->settings.tls_key,
        .strict_utf8 = d->settings.strict_utf8,
        .limits = {.servers_per_conn = (uint32_t)d->settings.max_servers,
                   .names_per_server = (uint32_t)d->settings.max_names,
                   .invocations = (uint32_t)d->settings.max_pending,
                   .out_total = (uint64_t)d->settings.max_output << 20,
                   .in_total = (uint64_t)d->settings.max_input << 20,
                   .ping_period = d->settings.page_timeout / 6 * 5,
                   .read_timeout = d->settings.page_timeout},
    };
    int r = plugin_set_read(&set, d->settings.plugins, d->settings.optional_plugins,
                            d->settings.deny_plugins, config, &d->log, err);

    if (r < 0)
        return r;
    opts.n_plugins = set.n_required;
    opts.n_optional = set.n_optional;
    r = gateway_new(&opts, &d->gateway, err);
    plugin_set_done(&set);
    return r;
}

/* Listens for pages, or only looks whether that can be right. */
static int listen_for_pages(struct daemon *d, struct err *err)
{
    const char *address = d->settings.listen;
    char of_port[32];
    int r;

    snprintf(of_port, sizeof of_port, "127.0.0.1:%" PRId64, d->settings.port);
    if (address[0] == '\0')
        address = of_port;
    r = d->settings.check_config ? gateway_check_address(d->gateway, address, err)
                                 : gateway_listen(d->gateway, address, err);
    return r < 0 ? err_prefix(err, 0, "Failed to HTTP serve: ") : 0;
}

static int start_gateway(struct daemon *d, struct err *err)
{
    int r = make_gateway(d, err);

    return r < 0 ? r : listen_for_pages(d, err);
}

static void sync_work(void *arg)
{
    struct daemon *d = arg;

    identity_of_daemon_sync(d->settings.state_dir, &d->sync_err);
}

static void sync_done(void *arg, int status)
{
    struct daemon *d = arg;

    if (d->sync_err.code != 0)
        log_write(&d->log, LOG_LEVEL_ERROR, "wsprd", "the new identity may not be kept: %s",
                  err_text(&d->sync_err));
    err_done(&d->sync_err);
}

/* Two flushes take as long as half of the start: nobody who connects needs to wait for them. */
static void sync_identity(struct daemon *d)
{
    if (!d->identity_is_new)
        return;
    loop_job_init(&d->sync, sync_work, sync_done, d);
    if (loop_offload_submit(d->offload, d->worker, LOOP_LANE_WAIT, &d->sync) < 0) {
        sync_work(d);
        sync_done(d, 0);
    }
}

static void tidy(void *arg)
{
    struct daemon *d = arg;

    if (d->gateway != NULL)
        gateway_tidy(d->gateway);
    mem_give_back(&d->free_memory);
}

static int start(struct daemon *d, struct err *err)
{
    int r = loop_worker_new(NULL, &d->worker, err);

    if (r == 0)
        r = loop_offload_new(NULL, &d->offload, err);
    if (r == 0)
        r = loop_signals_new(d->worker, signal_came, d, &d->signals, err);
    if (r == 0)
        r = loop_signals_add(d->signals, d->worker, SIGHUP, err);
    if (r == 0)
        r = loop_signals_add(d->signals, d->worker, SIGUSR1, err);
    if (r == 0)
        r = start_runtime(d, err);
    if (r == 0)
        r = set_roots(d, err);
    if (r == 0)
        r = start_embedded(d, err);
    if (r == 0)
        r = start_accounts(d, err);
    if (r == 0)
        r = start_gateway(d, err);
    if (r == 0) {
        loop_timer_init(&d->tidy, d->worker, tidy, d);
        loop_timer_start_every(&d->tidy, TIDY_PERIOD);
    }
    return r;
}

/* After a start that failed, too: whatever there is ends in the same order. */
static void finish(struct daemon *d)
{
    if (d->runtime != NULL) {
        stop(d);
        loop_worker_run(d->worker);
    }
    loop_signals_free(d->signals);
    loop_offload_free(d->offload);
    loop_worker_free(d->worker);
    security_trust_unref(d->trust);
    security_private_unref(d->identity);
    config_file_done(&d->config);
}

static void checked(void *arg)
{
    struct daemon *d = arg;

    loop_worker_stop(d->worker);
}

/* What can be wrong with the configuration, without running anything. */
static int check_config(struct daemon *d, struct err *err)
{
    struct config_roots roots;
    int r = config_roots_of_process(&roots, err);

    if (r < 0)
        return r;
    config_roots_done(&roots);
    r = loop_worker_new(NULL, &d->worker, err);
    if (r == 0)
        r = make_gateway(d, err);
    if (r == 0) {
        r = listen_for_pages(d, err);
        gateway_stop(d->gateway, checked, d);
        loop_worker_run(d->worker);
    }
    if (r == 0)
        printf("wsprd: %s is right\n",
               d->config.path != NULL ? d->config.path : "the configuration (no file)");
    return r;
}

static void print_welcome(const struct daemon *d)
{
    char address[LOOP_ADDR_TEXT];

    loop_addr_text(gateway_addr(d->gateway), address);
    printf("Listening at: %s://%s/ws\n", d->settings.tls_cert[0] != '\0' ? "wss" : "ws", address);
    if (d->embedded != NULL)
        printf("Mount table: %s\n"
               "Sample service: " EMBEDDED_CACHE "\n"
               "To try it, send this on the WebSocket:\n"
               "{\"id\":1,\"type\":0,\"data\":\"{\\\"name\\\":\\\"" EMBEDDED_CACHE "\\\","
               "\\\"method\\\":\\\"set\\\",\\\"inArgs\\\":[\\\"greeting\\\",\\\"hello\\\"],"
               "\\\"numOutArgs\\\":1}\"}\n",
               embedded_root(d->embedded));
    fflush(stdout);
}

/* Private keys are in our memory. A limit of 1 also keeps it from programs that collect cores. */
static void no_core_files(void)
{
    struct rlimit limit = {1, 1};

    setrlimit(RLIMIT_CORE, &limit);
}

int main(int argc, char **argv)
{
    struct daemon d = {0};
    struct err e = ERR_INIT;
    int status;

    if (!streams_open())
        return EXIT_FAILURE;
    status = read_options(&d, argc, argv);
    no_core_files();
    security_reserve();
    mem_return_large();
    if (status >= 0)
        return status;
    if ((d.settings.check_config ? check_config(&d, &e) : start(&d, &e)) < 0) {
        fprintf(stderr, "wsprd: %s\n", err_text(&e));
        err_done(&e);
        finish(&d);
        return EXIT_FAILURE;
    }
    if (d.settings.check_config) {
        finish(&d);
        return printed();
    }
    print_welcome(&d);
    sync_identity(&d);
    loop_worker_run(d.worker);
    finish(&d);
    return EXIT_SUCCESS;
}

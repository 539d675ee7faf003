/*
 * The network under a command.
 *
 *     cli_connect -> [start something -> cli_wait -> print] ... -> cli_disconnect
 *
 * The loop only runs inside cli_wait and cli_disconnect. The time that the user allows counts from
 * cli_connect and is for everything together.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/roots.h"
#include "loop/offload.h"
#include "loop/signal.h"
#include "loop/worker.h"
#include "rpc/client.h"
#include "rpc/resolve.h"
#include "rpc/runtime.h"
#include "security/identity.h"
#include "security/trust.h"
#include "services/identity_file.h"
#include "services/root_file.h"
#include "wspr.h"

#define DEADLINE_SLACK (CLOCK_S / 5) /* of calls: the time of the command ends first */
#define SOCKETS_GRACE  (CLOCK_S / 5)
#define JOBS_GRACE     (2 * CLOCK_S)
#define PROGRESS_AFTER CLOCK_S
#define PROGRESS_EVERY (CLOCK_S / 5)

/* ---- progress ---- */

void cli_doing(struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(cli->doing, sizeof cli->doing, fmt, ap);
    va_end(ap);
    for (char *p = cli->doing; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
    cli->doing_since = loop_worker_now(cli->worker);
}

void cli_clear_progress(struct cli *cli)
{
    if (!cli->progress_shown)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    cli->progress_shown = false;
}

static void progress_due(void *arg)
{
    static const char *const wheel[] = {"|", "/", "-", "\\"};
    struct cli *cli = arg;
    int64_t passed = loop_worker_now(cli->worker) - cli->doing_since;

    loop_timer_start(&cli->progress_timer, PROGRESS_EVERY);
    if (passed < PROGRESS_AFTER)
        return;
    fprintf(stderr, "\r\033[K%s %.60s, %" PRId64 " s", wheel[passed / PROGRESS_EVERY % 4],
            cli->doing, passed / CLOCK_S);
    fflush(stderr);
    cli->progress_shown = true;
}

/* ---- waiting ---- */

static void deadline_passed(void *arg)
{
    struct cli *cli = arg;

    cli->timed_out = true;
}

int cli_wait(struct cli *cli, const bool *done)
{
    int status = CLI_OK;
    char limit[64];

    if (cli->progress_wanted)
        loop_timer_start(&cli->progress_timer, PROGRESS_AFTER);
    while (!*done && !cli->timed_out && cli->interrupted == 0 && cli->out_error == 0)
        loop_worker_turn(cli->worker, -1);
    loop_timer_stop(&cli->progress_timer);
    cli_clear_progress(cli);
    if (*done)
        return CLI_OK;
    if (cli->interrupted != 0 && cli->interrupt_is_end)
        status = CLI_INTERRUPTED;
    else if (cli->interrupted != 0)
        status = cli_fail(cli, 128 + cli->interrupted, "interrupted");
    else if (cli->out_error != 0)
        status = cli_flush(cli);
    else
        status = cli_fail(cli, CLI_TIMEOUT, "no answer within %s (%s)",
                          cli_duration(limit, sizeof limit, cli->limit), cli->doing);
    return status;
}

int64_t cli_time_left(struct cli *cli)
{
    int64_t now = loop_worker_now(cli->worker);

    if (cli->deadline == INT64_MAX)
        return RPC_NO_TIMEOUT;
    return (cli->deadline > now ? cli->deadline - now : 0) + DEADLINE_SLACK;
}

static void signal_came(void *arg, int number)
{
    struct cli *cli = arg;

    if (cli->interrupted != 0)
        _exit(128 + number);
    cli->interrupted = number;
}

/* ---- what went wrong ---- */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

int cli_refused(struct cli *cli, const char *name, struct span method)
{
    struct err e = ERR_INIT;
    int status;

    rpc_call_refused(cli->client, span_str(name), method, &e);
    status = cli_fail_err(cli, CLI_LOCAL, &e, NULL);
    err_done(&e);
    return status;
}

int cli_status_of(const struct err *e, bool reached)
{
    if (e->code == WSPR_ETIMEOUT || ends_with(err_text(e), "deadline exceeded"))
        return CLI_TIMEOUT;
    if (e->code == WSPR_ENOMEM)
        return CLI_LOCAL;
    return reached ? CLI_REMOTE : CLI_UNREACHABLE;
}

/* ---- the beginning ---- */

int cli_load_identity(struct cli *cli, struct err *err)
{
    const char *file = cli->opts.identity[0] != '\0' ? cli->opts.identity : NULL;

    return identity_of_tool(file, &cli->identity, &cli->trust, err);
}

static int start_runtime(struct cli *cli, struct err *err)
{
    struct rpc_runtime_opts rt = {.log = &cli->log};
    int r = loop_worker_new(NULL, &cli->worker, err);

    if (r == 0)
        r = loop_offload_new(NULL, &cli->offload, err);
    if (r == 0)
        r = loop_signals_new(cli->worker, signal_came, cli, &cli->signals, err);
    if (r < 0)
        return r;
#ifdef WSPR_LEGACY_PEERS
    rt.legacy_peers = !cli->opts.no_legacy_peers;
#endif
    rt.worker = cli->worker;
    rt.offload = cli->offload;
    rt.identity = cli->identity;
    rt.trust = cli->trust;
    r = rpc_runtime_new(&rt, &cli->rt, err);
    if (r < 0)
        return r;
    cli->client = rpc_runtime_client(cli->rt);
    loop_timer_init(&cli->deadline_timer, cli->worker, deadline_passed, cli);
    loop_timer_init(&cli->progress_timer, cli->worker, progress_due, cli);
    return 0;
}

/*
 * --root may be repeated, and may be a list each time. Without it and without a variable the mount
 * table of a wsprd on this machine is the root, as long as that runs.
 */
static int set_roots(struct cli *cli, struct err *err)
{
    char local[ROOT_FILE_MAX];
    const char *root = local;
    struct config_roots roots;
    struct buf list = BUF_INIT(1024 * 1024);
    int r;

    for (size_t i = 0; i < cli->opts.roots.n; i++) {
        buf_append_str(&list, i > 0 ? "," : "");
        buf_append_str(&list, cli->opts.roots.items[i]);
    }
    if (list.len == 0)
        r = config_roots_of_process(&roots, err);
    else if (buf_cstr(&list) != NULL)
        r = config_roots_parse(buf_cstr(&list), &roots, err);
    else
        r = err_set(err, WSPR_ENOMEM, "out of memory");
    buf_done(&list);
    if (r < 0)
        return r;
    if (roots.n > 0)
        r = rpc_client_set_roots(cli->client, roots.names, roots.n, err);
    else if (root_file_read(NULL, local, sizeof local))
        r = rpc_client_set_roots(cli->client, &root, 1, err);
    config_roots_done(&roots);
    return r;
}

int cli_connect(struct cli *cli, int64_t timeout)
{
    struct err e = ERR_INIT;
    int status = CLI_OK;

    if (cli->opts.verbose)
        cli->log = (struct log){STDERR_FILENO, LOG_LEVEL_DEBUG};
    cli->progress_wanted = !cli->opts.json && !cli->opts.verbose && isatty(STDERR_FILENO);
    if (cli_load_identity(cli, &e) < 0 || start_runtime(cli, &e) < 0)
        status = cli_fail(cli, CLI_LOCAL, "%s", err_text(&e));
    else if (set_roots(cli, &e) < 0)
        status = cli_usage(cli, "%s", err_text(&e));
    err_done(&e);
    if (status != CLI_OK)
        return status;
    if (cli->opts.timeout >= 0)
        timeout = cli->opts.timeout;
    cli->deadline = INT64_MAX;
    cli->limit = timeout;
    if (timeout > 0) {
        cli->deadline = loop_worker_now(cli->worker) + timeout;
        loop_timer_start_at(&cli->deadline_timer, cli->deadline);
    }
    return CLI_OK;
}

/* ---- the end ---- */

static void runtime_stopped(void *arg)
{
    struct cli *cli = arg;

    cli->rt = NULL;
}

/*
 * Lets what was cancelled be told to the peers, which get a moment for their side of the end.
 * False if a job does not come back, such as the look-up of a host: nothing can be freed then.
 */
static bool stop_runtime(struct cli *cli)
{
    const struct loop_stats *stats = loop_worker_stats(cli->worker);
    int64_t begin = clock_mono(), passed = 0;

    loop_timer_stop(&cli->deadline_timer);
    loop_timer_stop(&cli->progress_timer);
    rpc_runtime_stop(cli->rt, runtime_stopped, cli);
    while (cli->rt != NULL || stats->jobs_out > 0 || stats->socks > 0) {
        if (cli->rt == NULL && passed > (stats->jobs_out > 0 ? JOBS_GRACE : SOCKETS_GRACE))
            break;
        loop_worker_turn(cli->worker, CLOCK_S / 50);
        passed = clock_mono() - begin;
    }
    return stats->jobs_out == 0;
}

void cli_disconnect(struct cli *cli)
{
    if (cli->rt != NULL && !stop_runtime(cli))
        return;
    if (cli->offload != NULL)
        loop_offload_stop(cli->offload, false);
    loop_signals_free(cli->signals);
    loop_worker_free(cli->worker);
    loop_offload_free(cli->offload);
    security_trust_unref(cli->trust);
    security_private_unref(cli->identity);
    cli->offload = NULL;
    cli->signals = NULL;
    cli->worker = NULL;
    cli->trust = NULL;
    cli->identity = NULL;
}

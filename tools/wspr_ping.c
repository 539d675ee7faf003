/*
 * wspr ping: how long a call to an object takes. The first call sets up the circuit and is shown
 * apart; the others use it.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "json/writer.h"
#include "loop/worker.h"
#include "rpc/client.h"
#include "wspr.h"

#define PING_TIMEOUT (10 * CLOCK_S)

struct ping_opts {
    int64_t count, interval;
};

struct ping {
    struct cli *cli;
    const char *name;
    struct rpc_call *call;
    struct loop_timer timer;
    int64_t timeout, began, took;
    struct err err;
    bool reached, done, rested;
    /* Of the calls on a circuit that stood. */
    uint64_t sent, answered;
    int64_t min, max, first;
    double sum;
};

static void on_started(void *arg, struct rpc_call *call)
{
    ((struct ping *)arg)->reached = true;
}

static int on_result(void *arg, struct rpc_call *call, uint32_t i, uint32_t n,
                     const struct rpc_value *v, struct err *err)
{
    return 0;
}

/* An answer is an answer, whatever it says. */
static void on_done(void *arg, struct rpc_call *call, const struct err *err)
{
    struct ping *p = arg;

    p->took = clock_mono() - p->began;
    if (err != NULL)
        err_copy(&p->err, err);
    p->call = NULL;
    p->done = true;
}

static void on_rested(void *arg)
{
    ((struct ping *)arg)->rested = true;
}

/* Errors of the object itself prove that it is there. */
static bool answered(const struct ping *p)
{
    if (p->err.code == 0)
        return true;
    return p->reached && (p->err.code == WSPR_ENOTAUTH || p->err.code == WSPR_ENOTFOUND);
}

static int one_call(struct ping *p)
{
    static const struct rpc_call_ops ops = {
        .started = on_started,
        .result = on_result,
        .done = on_done,
    };
    struct rpc_call_opts opts = {
        .timeout = p->timeout > 0 ? p->timeout : RPC_NO_TIMEOUT,
        .n_results = RPC_ANY_RESULTS,
    };
    struct vom_value method = vom_value_str("Signature");
    int status;

    err_done(&p->err);
    p->err = ERR_INIT;
    p->reached = p->done = false;
    p->call =
        rpc_call_new(p->cli->client, span_str(p->name), span_str("GetMethodTags"), &opts, &ops, p);
    if (p->call == NULL)
        return cli_refused(p->cli, p->name, span_str("GetMethodTags"));
    vom_enc_value(rpc_call_enc(p->call), rpc_call_buf(p->call), &method, NULL);
    p->began = clock_mono();
    p->sent++;
    rpc_call_start(p->call, 1);
    status = cli_wait(p->cli, &p->done);
    rpc_call_cancel(p->call);
    p->call = NULL;
    return status;
}

static void print_target(struct ping *p)
{
    if (p->cli->opts.json)
        return;
    cli_put(p->cli, span_str("PING "));
    cli_put_text(p->cli, span_str(p->name));
    cli_put(p->cli, span_str("\n"));
}

static void print_answer(struct ping *p, uint64_t number, bool first)
{
    char time[64];

    if (p->cli->opts.json)
        cli_printf(p->cli, "{\"seq\": %llu, \"us\": %.1f, \"first\": %s}\n",
                   (unsigned long long)number, (double)p->took / 1e3, first ? "true" : "false");
    else if (first)
        cli_printf(p->cli, "set-up: time=%s (name, connection, handshake, first call)\n",
                   cli_duration(time, sizeof time, p->took));
    else
        cli_printf(p->cli, "answer %llu: time=%s\n", (unsigned long long)number,
                   cli_duration(time, sizeof time, p->took));
}

static void count_answer(struct ping *p, bool first)
{
    p->answered++;
    if (first) {
        p->first = p->took;
        return;
    }
    p->sum += (double)p->took;
    if (p->answered == 2 || p->took < p->min)
        p->min = p->took;
    if (p->took > p->max)
        p->max = p->took;
}

static void print_summary(struct ping *p)
{
    char min[64], avg[64], max[64], first[64];
    uint64_t n = p->answered > 0 ? p->answered - 1 : 0;
    double mean = n > 0 ? p->sum / (double)n : 0;

    if (p->cli->opts.json) {
        cli_printf(p->cli,
                   "{\"sent\": %llu, \"answered\": %llu, \"first_us\": %.1f, \"min_us\": %.1f, "
                   "\"avg_us\": %.1f, \"max_us\": %.1f}\n",
                   (unsigned long long)p->sent, (unsigned long long)p->answered,
                   (double)p->first / 1e3, (double)p->min / 1e3, mean / 1e3, (double)p->max / 1e3);
        return;
    }
    cli_printf(p->cli, "\n%llu calls, %llu answers", (unsigned long long)p->sent,
               (unsigned long long)p->answered);
    if (p->answered > 0)
        cli_printf(p->cli, ", set-up %s", cli_duration(first, sizeof first, p->first));
    cli_put(p->cli, span_str("\n"));
    if (n > 0)
        cli_printf(p->cli, "round trip min/avg/max = %s / %s / %s\n",
                   cli_duration(min, sizeof min, p->min),
                   cli_duration(avg, sizeof avg, (int64_t)mean),
                   cli_duration(max, sizeof max, p->max));
}

/* A call that the user interrupted did not fail. */
static bool failed(const struct ping *p)
{
    return p->answered + (p->cli->interrupted != 0 ? 1 : 0) < p->sent;
}

/* Waits between two calls. */
static int rest(struct ping *p, int64_t interval)
{
    p->rested = false;
    loop_timer_start(&p->timer, interval);
    cli_doing(p->cli, "waiting for the next call");
    return cli_wait(p->cli, &p->rested);
}

/* As many calls as were asked for, and the one that sets up the circuit. */
static int all_calls(struct ping *p, const struct ping_opts *opts)
{
    int status = CLI_OK, failure = CLI_OK;

    for (int64_t i = 0; status == CLI_OK && (opts->count == 0 || i <= opts->count); i++) {
        if (i > 1 || failure != CLI_OK)
            status = rest(p, opts->interval);
        if (status != CLI_OK)
            break;
        cli_doing(p->cli, "calling %s", p->name);
        status = one_call(p);
        if (status == CLI_OK && answered(p)) {
            bool first = p->answered == 0;

            count_answer(p, first);
            print_answer(p, (uint64_t)i, first);
            if (first && i > 0)
                p->first = p->took;
        } else if (status == CLI_OK) {
            failure =
                cli_fail_err(p->cli, cli_status_of(&p->err, p->reached), &p->err, "%s", p->name);
        }
        if (status == CLI_OK)
            status = cli_flush(p->cli);
    }
    return status != CLI_OK ? status : failure;
}

static int run_ping(struct cli *cli, const struct cli_args *args)
{
    struct ping p = {.cli = cli, .name = args->v[0]};
    int status;

    /* The time is for each call. */
    p.timeout = cli->opts.timeout >= 0 ? cli->opts.timeout : PING_TIMEOUT;
    cli->opts.timeout = -1;
    status = cli_connect(cli, 0);
    if (status != CLI_OK)
        return status;
    loop_timer_init(&p.timer, cli->worker, on_rested, &p);
    cli->interrupt_is_end = true;
    print_target(&p);
    status = all_calls(&p, args->opts);
    loop_timer_stop(&p.timer);
    if (p.sent > 0 && status != CLI_PIPE)
        print_summary(&p);
    if (status == CLI_INTERRUPTED && p.answered > 0)
        status = CLI_OK;
    if (p.answered > 0 && failed(&p) && status < CLI_INTERRUPTED)
        status = CLI_PARTIAL;
    err_done(&p.err);
    fflush(stdout);
    return status;
}

static const struct config_option ping_rows[] = {
    {"count", CONFIG_INT, offsetof(struct ping_opts, count), "0", "N",
     "stop after so many round trips; 0: go on until Ctrl-C", 0, INT64_C(1000000000)},
    {"c", CONFIG_INT, offsetof(struct ping_opts, count), NULL, NULL, NULL, 0, INT64_C(1000000000)},
    {"interval", CONFIG_DURATION, offsetof(struct ping_opts, interval), "1s", "TIME",
     "from one answer to the next call", 0, INT64_C(86400) * CLOCK_S},
    {"i", CONFIG_DURATION, offsetof(struct ping_opts, interval), NULL, NULL, NULL, 0,
     INT64_C(86400) * CLOCK_S},
};
static const struct config_table ping_table = CLI_TABLE(ping_rows);

const struct cli_command cli_ping = {
    .name = "ping",
    .operands = "NAME",
    .summary = "measure how long a call to an object takes",
    .about =
        "Calls an object again and again and prints how long each call took. The first call\n"
        "resolves the name, connects and sets up the circuit; it is shown apart and does not "
        "count\n"
        "in the summary. --timeout is for each call (10 s). With --json one object a line, the\n"
        "summary last.\n\n"
        "Examples:\n"
        "  wspr ping cache\n"
        "  wspr ping -c 5 -i 200ms /127.0.0.1:8101//\n",
    .options = &ping_table,
    .opts_size = sizeof(struct ping_opts),
    .min = 1,
    .max = 1,
    .run = run_ping,
};

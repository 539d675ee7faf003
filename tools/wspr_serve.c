/* wspr serve: a native object from the command line. */
#include "config.h"

#include <stdio.h>

#include "base/clock.h"
#include "json/writer.h"
#include "loop/worker.h"
#include "rpc/publisher.h"
#include "rpc/resolve.h"
#include "rpc/server.h"
#include "wspr.h"
#include "wspr_serve.h"

#define STOP_GRACE CLOCK_S

struct serve_opts {
    const char *command, *listen, *relay;
    bool echo, open;
    int64_t calls;
};

struct serve {
    struct cli *cli;
    struct cli_exec_object object;
    const struct rpc_interface *interface;
    const struct rpc_authorizer *authorizer;
    struct rpc_server *server;
    struct buf endpoint;
    struct err relay_err;
    bool listening, settled, stopped, never;
};

static int lookup(void *arg, struct span suffix, struct rpc_object *ret, struct err *err)
{
    struct serve *s = arg;

    *ret = (struct rpc_object){
        .interface = s->interface,
        .object = &s->object,
        .authorizer = s->authorizer,
    };
    return 0;
}

/* ---- listening and the name ---- */

static void on_relay(void *arg, struct rpc_server *server, const char *endpoint,
                     const struct err *why)
{
    struct serve *s = arg;

    if (!s->listening && endpoint != NULL)
        buf_append_str(&s->endpoint, endpoint);
    else if (!s->listening)
        err_copy(&s->relay_err, why);
    s->listening = true;
}

static int listen_somewhere(struct serve *s, const struct serve_opts *opts)
{
    struct cli *cli = s->cli;
    const char *endpoint;
    struct err e = ERR_INIT;
    int status = CLI_OK, r;

    if (opts->relay[0] != '\0') {
        cli_doing(cli, "asking the relay %s", opts->relay);
        r = rpc_server_listen_relay(s->server, span_str(opts->relay), on_relay, s, &e);
        if (r == 0)
            status = cli_wait(cli, &s->listening);
        if (status == CLI_OK && s->relay_err.code != 0)
            r = err_copy(&e, &s->relay_err), r = e.code;
    } else {
        r = rpc_server_listen(s->server, opts->listen, &endpoint, &e);
        if (r == 0)
            buf_append_str(&s->endpoint, endpoint);
    }
    if (r < 0 && opts->relay[0] == '\0')
        status = cli_fail_err(cli, r == WSPR_EINVAL ? CLI_USAGE : CLI_LOCAL, &e, "cannot listen");
    else if (r < 0)
        status = cli_fail_err(cli, CLI_UNREACHABLE, &e, "cannot listen");
    err_done(&e);
    return status;
}

static void on_settled(void *arg)
{
    ((struct serve *)arg)->settled = true;
}

/* Mounting is tried again and again, so a failure is told and no more. */
static void tell_failure(void *arg, const struct rpc_publish_status *status)
{
    struct cli *cli = arg;

    if (!status->mounted && status->last != NULL)
        cli_fail_err(cli, CLI_REMOTE, status->last, "cannot mount %.*s, trying again",
                     SPAN_ARG(status->name));
}

static int publish(struct serve *s, const char *name)
{
    struct cli *cli = s->cli;
    struct buf roots = BUF_INIT(2 * RPC_RESOLVE_MAX);
    struct err e = ERR_INIT;
    int status = CLI_OK;

    if (name[0] == '\0')
        return CLI_OK;
    rpc_resolve_roots(cli->client, span_str(name), &roots);
    if (roots.len == 0)
        status = cli_fail(cli, CLI_UNREACHABLE,
                          "No mount table available: set NAMESPACE_ROOT or "
                          "give --root, or \"\" as the name for none");
    else if (rpc_server_publish(s->server, span_str(name), &e) < 0)
        status = cli_fail_err(cli, CLI_LOCAL, &e, "cannot mount %s", name);
    buf_done(&roots);
    err_done(&e);
    if (status != CLI_OK)
        return status;
    cli_doing(cli, "mounting %s", name);
    rpc_publisher_when_settled(rpc_server_publisher(s->server), on_settled, s);
    status = cli_wait(cli, &s->settled);
    if (status == CLI_OK)
        rpc_publisher_status(rpc_server_publisher(s->server), tell_failure, cli);
    return status;
}

static int announce(struct serve *s, const char *name)
{
    struct cli *cli = s->cli;
    struct buf text = BUF_INIT(65536), out = BUF_INIT(65536);
    struct json_writer w;

    buf_printf(&text, "/%.*s//", SPAN_ARG(buf_span(&s->endpoint)));
    if (cli->opts.json) {
        json_writer_init(&w, &out);
        json_write_object(&w);
        json_write_name_str(&w, "name");
        json_write_str(&w, name);
        json_write_name_str(&w, "server");
        json_write_string(&w, buf_span(&text));
        json_write_object_end(&w);
        buf_u8(&out, '\n');
        cli_put(cli, buf_span(&out));
    } else {
        cli_put(cli, span_str("Serving "));
        cli_put_text(cli, span_str(name));
        cli_put(cli, span_str(name[0] != '\0' ? " at " : "at "));
        cli_put_text(cli, buf_span(&text));
        cli_put(cli, span_str("\n"));
    }
    buf_done(&text);
    buf_done(&out);
    return cli_flush(cli);
}

/* ---- the end ---- */

static void on_stopped(void *arg)
{
    ((struct serve *)arg)->stopped = true;
}

/* Unmounts the name, lets calls end for a moment, ends their commands. */
static void stop(struct serve *s)
{
    if (s->server != NULL) {
        rpc_server_stop(s->server, STOP_GRACE, on_stopped, s);
        while (!s->stopped)
            loop_worker_turn(s->cli->worker, -1);
    }
    cli_exec_object_end(&s->object);
    buf_done(&s->endpoint);
    err_done(&s->relay_err);
}

/* ---- the command ---- */

static int start_server(struct serve *s, const struct serve_opts *opts, const char *name)
{
    const struct rpc_dispatcher dispatcher = {lookup, s};
    struct rpc_server_opts server = {.max_calls = (uint32_t)opts->calls};
    struct err e = ERR_INIT;
    int status = CLI_OK;

    if (rpc_server_new(s->cli->rt, &server, &dispatcher, &s->server, &e) < 0)
        status = cli_fail_err(s->cli, CLI_LOCAL, &e, NULL);
    err_done(&e);
    if (status == CLI_OK)
        status = listen_somewhere(s, opts);
    if (status == CLI_OK)
        status = publish(s, name);
    if (status == CLI_OK)
        status = announce(s, name);
    return status;
}

static int run_serve(struct cli *cli, const struct cli_args *args)
{
    const struct serve_opts *opts = args->opts;
    struct serve s = {
        .cli = cli,
        .interface = opts->echo ? &cli_echo_interface : &cli_exec_interface,
        .authorizer = opts->open ? &rpc_authorizer_all : NULL,
        .object = {.command = opts->command},
        .endpoint = BUF_INIT(65536),
    };
    int status;

    list_init(&s.object.running);
    if (opts->echo == (opts->command[0] != '\0'))
        return cli_usage(cli, "either --exec or --echo must be given");
    status = cli_connect(cli, 0);
    if (status != CLI_OK)
        return status;
    s.object.w = cli->worker;
    s.object.trust = cli->trust;
    cli->interrupt_is_end = true;
    status = start_server(&s, opts, args->v[0]);
    /* The time that the user gives is for the beginning. */
    loop_timer_stop(&cli->deadline_timer);
    cli->progress_wanted = false;
    if (status == CLI_OK)
        status = cli_wait(cli, &s.never);
    if (cli->interrupted != 0)
        status = CLI_OK;
    stop(&s);
    return status;
}

#define AT(member) offsetof(struct serve_opts, member)

static const struct config_option serve_rows[] = {
    {"exec", CONFIG_STRING, AT(command), "", "COMMAND",
     "carry out each call by this command of the shell", 0, 0},
    {"echo", CONFIG_BOOL, AT(echo), "false", NULL, "send back whatever comes", 0, 0},
    {"listen", CONFIG_STRING, AT(listen), "127.0.0.1:0", "HOST:PORT", "address to listen on", 0, 0},
    {"vproxy", CONFIG_STRING, AT(relay), "", "RELAY",
     "name or endpoint of a relay to listen through instead", 0, 0},
    {"open", CONFIG_BOOL, AT(open), "false", NULL,
     "admit everybody, not only those whom a blessing relates\nto the identity", 0, 0},
    {"max-calls", CONFIG_INT, AT(calls), "64", "N", "calls at once; more are refused", 1, 65536},
};
static const struct config_table serve_table = CLI_TABLE(serve_rows);

const struct cli_command cli_serve = {
    .name = "serve",
    .operands = "NAME",
    .summary = "serve an object under a name",
    .about =
        "Serves an object, mounts it under NAME (\"\": nowhere) and prints where it is. Ctrl-C\n"
        "unmounts it and ends. Whoever may call it is told by --open and the identity.\n\n"
        "With --exec the object has two methods, and each call runs COMMAND once:\n"
        "  Run(input any) (any, error)      the input is a line of JSON on its standard input,\n"
        "                                   what it prints is the result\n"
        "  Stream() stream<any, any> error  items are lines of JSON, in both directions\n"
        "What it prints that is not JSON is taken as a string. If it fails, what it said on the\n"
        "standard error is the error of the call. WSPR_METHOD, WSPR_SUFFIX (what follows NAME) "
        "and\n"
        "WSPR_CALLER (the caller's names) are in its environment. When a call is cancelled or its\n"
        "time is over, the command gets SIGTERM.\n\n"
        "With --echo the methods are Echo(input any) (any, error) and Stream.\n\n"
        "Examples:\n"
        "  wspr serve --open house/date --exec date\n"
        "  wspr serve --open house/sum --exec \"jq -c add\"\n"
        "  wspr serve test/echo --echo\n",
    .options = &serve_table,
    .opts_size = sizeof(struct serve_opts),
    .min = 1,
    .max = 1,
    .run = run_serve,
};

/* wspr resolve, unresolve, glob, mount, unmount: the name space. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "json/writer.h"
#include "rpc/namespace.h"
#include "rpc/resolve.h"
#include "vom/json_out.h"
#include "wspr.h"

#define NAMES_TIMEOUT (30 * CLOCK_S)

/* ---- lists of names ---- */

struct names {
    struct cli *cli;
    struct buf list; /* each ended by a NUL */
    struct err err;
    bool done;
};

static void on_names(void *arg, struct span names, const struct err *err)
{
    struct names *n = arg;

    if (err != NULL)
        err_copy(&n->err, err);
    else
        buf_append_span(&n->list, names);
    n->done = true;
}

static void print_names(struct cli *cli, struct span list)
{
    struct buf json = BUF_INIT(16 * RPC_RESOLVE_MAX);
    struct json_writer w;
    struct span name;

    json_writer_init(&w, &json);
    json_write_array(&w);
    while (rpc_names_next(&list, &name)) {
        if (cli->opts.json) {
            json_write_string(&w, name);
            continue;
        }
        cli_put_text(cli, name);
        cli_put(cli, span_str("\n"));
    }
    json_write_array_end(&w);
    if (cli->opts.json) {
        buf_u8(&json, '\n');
        cli_put(cli, buf_span(&json));
    }
    buf_done(&json);
}

static int finish_names(struct names *n, const char *what, const char *name)
{
    int status;

    if (n->err.code != 0) {
        status = cli_fail_err(n->cli, cli_status_of(&n->err, false), &n->err, "cannot %s %s", what,
                              name);
    } else {
        print_names(n->cli, buf_span(&n->list));
        status = cli_flush(n->cli);
    }
    buf_done(&n->list);
    err_done(&n->err);
    return status;
}

/* ---- resolve ---- */

struct resolve_opts {
    bool mounttable;
};

static int run_resolve(struct cli *cli, const struct cli_args *args)
{
    const struct resolve_opts *opts = args->opts;
    struct names n = {.cli = cli, .list = BUF_INIT(2 * RPC_RESOLVE_MAX)};
    struct rpc_resolution *r;
    struct span name = span_str(args->v[0]);
    int status = cli_connect(cli, NAMES_TIMEOUT);

    if (status != CLI_OK)
        return status;
    cli_doing(cli, "resolving %s", args->v[0]);
    r = opts->mounttable ? rpc_resolve_mount_table(cli->client, name, NULL, on_names, &n)
                         : rpc_resolve(cli->client, name, NULL, on_names, &n);
    if (r == NULL)
        return cli_fail(cli, CLI_LOCAL, "out of memory");
    status = cli_wait(cli, &n.done);
    if (status == CLI_OK)
        return finish_names(&n, "resolve", args->v[0]);
    if (!n.done)
        rpc_resolve_cancel(r);
    return status;
}

static const struct config_option resolve_rows[] = {
    {"mounttable", CONFIG_BOOL, offsetof(struct resolve_opts, mounttable), "false", NULL,
     "the mount tables that are responsible for the name, and\nwhat it is called there", 0, 0},
};
static const struct config_table resolve_table = CLI_TABLE(resolve_rows);

const struct cli_command cli_resolve = {
    .name = "resolve",
    .operands = "NAME",
    .summary = "show what a name stands for",
    .about =
        "Shows the servers that stand behind a name, one name a line; with --json a list.\n"
        "A server that cannot be reached is shown as well as one that can: see 'wspr ping'.\n\n"
        "Examples:\n"
        "  wspr resolve cache\n"
        "  wspr resolve --mounttable cache\n",
    .options = &resolve_table,
    .opts_size = sizeof(struct resolve_opts),
    .min = 1,
    .max = 1,
    .run = run_resolve,
};

/* ---- unresolve ---- */

static int run_unresolve(struct cli *cli, const struct cli_args *args)
{
    struct names n = {.cli = cli, .list = BUF_INIT(2 * RPC_RESOLVE_MAX)};
    struct rpc_unresolving *u;
    int status = cli_connect(cli, NAMES_TIMEOUT);

    if (status != CLI_OK)
        return status;
    cli_doing(cli, "asking for the names of %s", args->v[0]);
    u = rpc_unresolve(cli->client, span_str(args->v[0]), NULL, on_names, &n);
    if (u == NULL)
        return cli_fail(cli, CLI_LOCAL, "out of memory");
    status = cli_wait(cli, &n.done);
    if (status == CLI_OK)
        return finish_names(&n, "unresolve", args->v[0]);
    if (!n.done)
        rpc_unresolve_cancel(u);
    return status;
}

const struct cli_command cli_unresolve = {
    .name = "unresolve",
    .operands = "NAME",
    .summary = "show the names that an object is known by",
    .about = "Asks the object of NAME under which names it is mounted, one a line; with --json a\n"
             "list.\n\n"
             "Example:\n"
             "  wspr unresolve /127.0.0.1:8101//cache\n",
    .min = 1,
    .max = 1,
    .run = run_unresolve,
};

/* ---- glob ---- */

struct glob {
    struct cli *cli;
    bool servers;
    unsigned failed;
    struct err err;
    bool done;
};

struct glob_opts {
    bool servers;
};

static void glob_json(struct glob *g, const struct rpc_glob_entry *entry)
{
    struct buf out = BUF_INIT(SIZE_MAX / 8);
    struct json_writer w;
    size_t n = vom_value_len(entry->servers);

    json_writer_init(&w, &out);
    json_write_object(&w);
    json_write_name_str(&w, "name");
    json_write_string(&w, entry->name);
    json_write_name_str(&w, "servers");
    json_write_array(&w);
    for (size_t i = 0; i < n; i++) {
        struct vom_value s = vom_value_at(entry->servers, i);

        json_write_object(&w);
        json_write_name_str(&w, "server");
        json_write_string(&w, vom_value_field(&s, "Server").s);
        json_write_name_str(&w, "ttl");
        json_write_uint(&w, vom_value_field(&s, "TTL").u);
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    buf_u8(&out, '\n');
    cli_put(g->cli, buf_span(&out));
    buf_done(&out);
}

static void glob_text(struct glob *g, const struct rpc_glob_entry *entry)
{
    struct cli *cli = g->cli;
    size_t n = vom_value_len(entry->servers);

    cli_put_text(cli, entry->name);
    for (size_t i = 0; i < n && g->servers; i++) {
        struct vom_value s = vom_value_at(entry->servers, i);
        char ttl[64];

        cli_put(cli, span_str(cli_color_on(cli, CLI_DIM)));
        cli_put(cli, span_str("\n    "));
        cli_put_text(cli, vom_value_field(&s, "Server").s);
        cli_printf(cli, " (%s)",
                   cli_duration(ttl, sizeof ttl, (int64_t)vom_value_field(&s, "TTL").u * CLOCK_S));
        cli_put(cli, span_str(cli_color_off(cli)));
    }
    cli_put(cli, span_str("\n"));
}

static void on_entry(void *arg, const struct rpc_glob_entry *entry)
{
    struct glob *g = arg;

    cli_clear_progress(g->cli);
    if (entry->err != NULL) {
        g->failed++;
        cli_fail_err(g->cli, CLI_PARTIAL, entry->err, "cannot list %s%.*s",
                     entry->name.len > 0 ? "" : "the roots", SPAN_ARG(entry->name));
        return;
    }
    if (g->cli->opts.json)
        glob_json(g, entry);
    else
        glob_text(g, entry);
    if (g->cli->out_error == 0 && fflush(stdout) != 0)
        g->cli->out_error = errno;
}

static void on_glob_done(void *arg, const struct err *err)
{
    struct glob *g = arg;

    if (err != NULL)
        err_copy(&g->err, err);
    g->done = true;
}

/* An error without an id is about the pattern. */
static int glob_status(const struct err *e)
{
    return err_id(e)[0] == '\0' && e->code != WSPR_ENOMEM ? CLI_USAGE : cli_status_of(e, false);
}

static int run_glob(struct cli *cli, const struct cli_args *args)
{
    static const struct rpc_glob_ops ops = {on_entry, on_glob_done};
    const struct glob_opts *opts = args->opts;
    struct glob g = {.cli = cli, .servers = opts->servers};
    struct rpc_glob *op;
    int status = cli_connect(cli, 0);

    if (status != CLI_OK)
        return status;
    cli_doing(cli, "listing %s", args->v[0]);
    op = rpc_glob(cli->client, span_str(args->v[0]), NULL, &ops, &g);
    if (op == NULL)
        return cli_fail(cli, CLI_LOCAL, "out of memory");
    status = cli_wait(cli, &g.done);
    if (!g.done)
        rpc_glob_cancel(op);
    if (status == CLI_OK && g.err.code != 0)
        status = cli_fail_err(cli, glob_status(&g.err), &g.err, "cannot list %s", args->v[0]);
    if (status == CLI_OK)
        status = cli_flush(cli);
    if (status == CLI_OK && g.failed > 0)
        status = CLI_PARTIAL;
    err_done(&g.err);
    return status;
}

static const struct config_option glob_rows[] = {
    {"servers", CONFIG_BOOL, offsetof(struct glob_opts, servers), "false", NULL,
     "show the servers of each name, and how long they stay", 0, 0},
};
static const struct config_table glob_table = CLI_TABLE(glob_rows);

const struct cli_command cli_glob = {
    .name = "glob",
    .operands = "PATTERN",
    .summary = "list the names that match a pattern",
    .about =
        "Lists names as they are found, one a line. In PATTERN * stands for any characters of an\n"
        "element, ? for one, [a-z] for one of these, and ... as the last element for everything\n"
        "below. With --json each line is {\"name\": NAME, \"servers\": [{\"server\": NAME, "
        "\"ttl\":\n"
        "SECONDS}]}. What cannot be listed is told on the standard error; the exit status is 5\n"
        "then.\n\n"
        "Examples:\n"
        "  wspr glob '*'\n"
        "  wspr glob --servers 'house/...'\n"
        "  wspr glob '/127.0.0.1:8101/*'\n",
    .options = &glob_table,
    .opts_size = sizeof(struct glob_opts),
    .min = 1,
    .max = 1,
    .run = run_glob,
};

/* ---- mount, unmount ---- */

struct mount_opts {
    int64_t ttl;
};

struct mounting {
    struct err err;
    bool done;
};

static void on_mounted(void *arg, const struct err *err)
{
    struct mounting *m = arg;

    if (err != NULL)
        err_copy(&m->err, err);
    m->done = true;
}

/* What runs when the operation was started; op NULL: it was not. */
static int finish_mounting(struct cli *cli, struct rpc_mounting *op, struct mounting *m,
                           const char *what, const char *name)
{
    int status;

    if (op == NULL)
        return cli_fail(cli, CLI_LOCAL, "out of memory");
    status = cli_wait(cli, &m->done);
    if (!m->done)
        rpc_mounting_cancel(op);
    if (status == CLI_OK && m->err.code != 0)
        status =
            cli_fail_err(cli, cli_status_of(&m->err, true), &m->err, "cannot %s %s", what, name);
    err_done(&m->err);
    return status;
}

static int run_mount(struct cli *cli, const struct cli_args *args)
{
    const struct mount_opts *opts = args->opts;
    struct mounting m = {0};
    uint32_t ttl = (uint32_t)((opts->ttl + CLOCK_S - 1) / CLOCK_S);
    int status = cli_connect(cli, NAMES_TIMEOUT);

    if (status != CLI_OK)
        return status;
    cli_doing(cli, "mounting %s", args->v[0]);
    return finish_mounting(cli,
                           rpc_mount(cli->client, span_str(args->v[0]), span_str(args->v[1]), ttl,
                                     NULL, on_mounted, &m),
                           &m, "mount", args->v[0]);
}

static const struct config_option mount_rows[] = {
    {"ttl", CONFIG_DURATION, offsetof(struct mount_opts, ttl), "0", "TIME",
     "how long the name stays: 80s, 24h; 0: for ever", 0, INT64_C(315360000) * CLOCK_S},
};
static const struct config_table mount_table = CLI_TABLE(mount_rows);

const struct cli_command cli_mount = {
    .name = "mount",
    .operands = "NAME SERVER",
    .summary = "give a server a name",
    .about = "Mounts SERVER under NAME. SERVER is a rooted name: /ADDRESS// for an object server,\n"
             "/ADDRESS for a mount table. A name may have several servers.\n\n"
             "Examples:\n"
             "  wspr mount --ttl 1h house/lamp /192.0.2.7:8200//\n"
             "  wspr mount house/garden /192.0.2.8:8101\n",
    .options = &mount_table,
    .opts_size = sizeof(struct mount_opts),
    .min = 2,
    .max = 2,
    .run = run_mount,
};

static int run_unmount(struct cli *cli, const struct cli_args *args)
{
    struct mounting m = {0};
    int status = cli_connect(cli, NAMES_TIMEOUT);

    if (status != CLI_OK)
        return status;
    cli_doing(cli, "unmounting %s", args->v[0]);
    return finish_mounting(cli,
                           rpc_unmount(cli->client, span_str(args->v[0]),
                                       span_str(args->n > 1 ? args->v[1] : ""), NULL, on_mounted,
                                       &m),
                           &m, "unmount", args->v[0]);
}

const struct cli_command cli_unmount = {
    .name = "unmount",
    .operands = "NAME [SERVER]",
    .summary = "take a name away from a server, or from all",
    .about = "Takes SERVER away from NAME, or all servers if none is given. It is no error if\n"
             "there was nothing to take away.\n\n"
             "Examples:\n"
             "  wspr unmount house/lamp\n"
             "  wspr unmount house/lamp /192.0.2.7:8200//\n",
    .min = 1,
    .max = 2,
    .run = run_unmount,
};

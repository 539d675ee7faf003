/* The command line: options, the table of commands, help. */
#include "config.h"
#include "wspr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/streams.h"

#define AT(member) offsetof(struct cli_globals, member)

static const struct config_option global_rows[] = {
    {"root", CONFIG_LIST, AT(roots), NULL, "NAME",
     "mount table that names are resolved from; may be repeated\n"
     "(else NAMESPACE_ROOT..., MOUNTTABLE_ROOT, else that of a\nwsprd on this machine)",
     0, 0},
    {"identity", CONFIG_STRING, AT(identity), "", "FILE",
     "identity to act under (else VEYRON_IDENTITY, else the one\n"
     "of wsprd on this machine, else a fresh one)",
     0, 0},
    {"timeout", CONFIG_DURATION, AT(timeout), NULL, "TIME",
     "give up after this long: 10s, 250ms, 1h30m; 0: never", 0, 0},
    {"json", CONFIG_BOOL, AT(json), "false", NULL, "output and errors for programs", 0, 0},
    {"no-legacy-peers", CONFIG_BOOL, AT(no_legacy_peers), "false", NULL,
     "refuse peers that offer nothing better than RC4", 0, 0},
    {"verbose", CONFIG_BOOL, AT(verbose), "false", NULL, "log what the network does", 0, 0},
    {"v", CONFIG_BOOL, AT(verbose), NULL, NULL, NULL, 0, 0},
    {"help", CONFIG_ACTION, AT(help), "false", NULL, "print this text, or that of the command", 0,
     0},
    {"h", CONFIG_ACTION, AT(help), NULL, NULL, NULL, 0, 0},
    {"version", CONFIG_ACTION, AT(version), "false", NULL, "print the version", 0, 0},
};

const struct config_table cli_global_table = CLI_TABLE(global_rows);

/* In the order of the help. */
/* clang-format off */
static const struct cli_command *const commands[] = {
    &cli_call,
    &cli_signature,
    &cli_ping,
    &cli_resolve,
    &cli_unresolve,
    &cli_glob,
    &cli_mount,
    &cli_unmount,
    &cli_serve,
    &cli_identity,
    &cli_accounts,
    &cli_plugin,
};
/* clang-format on */

#define N_COMMANDS (sizeof commands / sizeof commands[0])

const struct cli_command *cli_command_row(const struct cli_command *group, size_t i)
{
    if (group == NULL)
        return i < N_COMMANDS ? commands[i] : NULL;
    return group->sub[i].name != NULL ? &group->sub[i] : NULL;
}

const struct cli_command *cli_find_command(const struct cli_command *group, const char *name)
{
    const struct cli_command *c;

    for (size_t i = 0; (c = cli_command_row(group, i)) != NULL; i++) {
        if (strcmp(c->name, name) == 0)
            return c;
    }
    return NULL;
}

static const char exit_statuses[] =
    "Exit status:\n"
    "  0  it worked\n"
    "  1  the other side answered with an error, or a check said no\n"
    "  2  the command line is wrong: an option, an argument, a method that is not there\n"
    "  3  no such name, or nobody can be reached there\n"
    "  4  it took longer than --timeout\n"
    "  5  a part of it failed\n"
    "  6  something on this machine failed: a file, memory, the output\n"
    "  130, 143  interrupted; 141  nobody reads the output\n";

/* ---- help ---- */

static void print_row(const char *name, const char *operands, const char *summary)
{
    int n = printf("  %s%s%s", name, operands[0] != '\0' ? " " : "", operands);

    printf("%*s%s\n", n < 38 ? 38 - n : 2, "", summary);
}

static int print_main_help(struct cli *cli)
{
    fputs("Usage: wspr [OPTION]... COMMAND [ARGUMENT]...\n"
          "Calls, lists, names and identifies objects of the network.\n\n"
          "Commands:\n",
          stdout);
    for (size_t i = 0; i < N_COMMANDS; i++)
        print_row(commands[i]->name, commands[i]->operands, commands[i]->summary);
    fputs("\n'wspr COMMAND --help' tells more, with examples.\n\n"
          "Options, of all commands and anywhere on the line:\n",
          stdout);
    config_print_options(&cli_global_table, stdout);
    fputs("\nNAME is a name below the roots (\"house/lamp\"), or /ADDRESS//NAME, where ADDRESS is\n"
          "an endpoint (\"@2@tcp@...@@\") or HOST:PORT.\n\n"
          "Errors go to the standard error, as \"wspr: TEXT [ID]\", or with --json as\n"
          "{\"error\": {\"id\": ID, \"message\": TEXT, \"status\": EXIT-STATUS}}.\n\n",
          stdout);
    fputs(exit_statuses, stdout);
    fputs("\nEnvironment: NAMESPACE_ROOT..., MOUNTTABLE_ROOT, VEYRON_IDENTITY, NO_COLOR.\n",
          stdout);
    return cli_flush(cli);
}

static int print_help(struct cli *cli, const struct cli_command *c)
{
    printf("Usage: %s [OPTION]... %s\n%s\n", cli->path, c->operands, c->about);
    if (c->sub != NULL) {
        fputs("Commands:\n", stdout);
        for (const struct cli_command *s = c->sub; s->name != NULL; s++)
            print_row(s->name, s->operands, s->summary);
        printf("\n'%s COMMAND --help' tells more.\n", cli->path);
    }
    if (c->options != NULL) {
        fputs("Options:\n", stdout);
        config_print_options(c->options, stdout);
    }
    if (c->sub == NULL) {
        fputs(c->options != NULL ? "\nOptions of all commands:\n" : "Options:\n", stdout);
        config_print_options(&cli_global_table, stdout);
    }
    return cli_flush(cli);
}

/* ---- finding the command ---- */

static int unknown_command(struct cli *cli, const char *name, const struct cli_command *group)
{
    const struct cli_command *c;
    char near[256] = "";
    size_t len = 0;

    for (size_t i = 0; (c = cli_command_row(group, i)) != NULL; i++) {
        if (cli_is_near(span_str(name), span_str(c->name)) && len < sizeof near)
            len += (size_t)snprintf(near + len, sizeof near - len, "%s%s",
                                    len > 0 ? ", " : "; did you mean ", c->name);
    }
    return cli_usage(cli, "there is no command \"%s\"%s%s", name, near, len > 0 ? "?" : "");
}

/* ---- running it ---- */

static int print_version(struct cli *cli)
{
    cli_printf(cli, "wspr %s\n", PACKAGE_VERSION);
    return CLI_OK;
}

static int check_operands(struct cli *cli, const struct cli_command *c, int n)
{
    if (n < c->min)
        return cli_usage(cli, "%s: the usage is %s %s",
                         n == 0 ? "arguments are missing" : "an argument is missing", cli->path,
                         c->operands);
    if (c->max >= 0 && n > c->max)
        return cli_usage(cli, "too many arguments: the usage is %s %s", cli->path, c->operands);
    return CLI_OK;
}

/* argv[0] is what follows the command's name. */
static int run_command(struct cli *cli, const struct cli_command *c, int argc, char **argv)
{
    void *opts = calloc(1, c->opts_size + 1);
    const char **operands = calloc((size_t)argc + 1, sizeof *operands);
    const struct config_part parts[] = {{c->options, opts}, {&cli_global_table, &cli->opts}};
    struct err e = ERR_INIT;
    int n = 0, status = CLI_OK;

    if (opts == NULL || operands == NULL) {
        status = cli_fail(cli, CLI_LOCAL, "out of memory");
    } else {
        if (c->options != NULL)
            config_defaults(c->options, opts);
        if (config_parse_mixed(parts, 2, argc, argv, false, operands, &n, &e) < 0)
            status = cli_usage(cli, "%s", err_text(&e));
        else if (cli->opts.help)
            status = print_help(cli, c);
        else if (cli->opts.version)
            status = print_version(cli);
        else if ((status = check_operands(cli, c, n)) == CLI_OK)
            status = c->run(cli, &(struct cli_args){operands, n, opts});
    }
    err_done(&e);
    free(operands);
    free(opts);
    return status;
}

/* Goes down to the command through its group; argv[0] is its first word. */
static int dispatch(struct cli *cli, int argc, char **argv)
{
    const struct config_part globals = {&cli_global_table, &cli->opts};
    const struct cli_command *group = NULL, *c = NULL;
    struct err e = ERR_INIT;
    static char path[64] = "wspr";
    int used = 0;

    cli->path = path;
    for (;;) {
        if (config_parse_mixed(&globals, 1, argc, argv, true, NULL, &used, &e) < 0) {
            int status = cli_usage(cli, "%s", err_text(&e));

            err_done(&e);
            return status;
        }
        argc -= used;
        argv += used;
        if (cli->opts.version)
            return print_version(cli);
        if (argc == 0)
            break;
        if (group == NULL && strcmp(argv[0], "__complete") == 0)
            return cli_complete(cli, argc - 1, argv + 1);
        c = cli_find_command(group, argv[0]);
        if (c == NULL)
            return unknown_command(cli, argv[0], group);
        snprintf(path + strlen(path), sizeof path - strlen(path), " %s", c->name);
        argc--;
        argv++;
        if (c->sub == NULL)
            return run_command(cli, c, argc, argv);
        group = c;
    }
    if (cli->opts.help)
        return group != NULL ? print_help(cli, group) : print_main_help(cli);
    return cli_usage(cli, "a command is missing");
}

int main(int argc, char **argv)
{
    struct cli cli = {.opts = {.timeout = -1}, .log = {-1, LOG_LEVEL_ERROR}};
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    int status;

    if (!streams_open())
        return CLI_LOCAL;
    config_defaults(&cli_global_table, &cli.opts);
    cli.color = isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0') &&
                term != NULL && strcmp(term, "dumb") != 0;
    status = dispatch(&cli, argc - 1, argv + 1);
    cli_disconnect(&cli);
    if (status == CLI_OK)
        status = cli_flush(&cli);
    return status;
}

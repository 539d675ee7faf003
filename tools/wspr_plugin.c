/*
 * wspr plugin: a new project for a handler plugin, and a plugin driven through all that can happen
 * to it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_host.h"
#include "plugin_drive.h"
#include "plugin_template.h"
#include "wspr.h"

#define NAME_MAX_LEN 40
#define PATH_LEN     4096

/* ---- new ---- */

struct new_opts {
    int64_t type;
};

static const struct config_option new_rows[] = {
    {"type", CONFIG_INT, offsetof(struct new_opts, type), "200", "N", "message type that it claims",
     6, PLUGIN_TYPES - 1},
};
static const struct config_table new_table = CLI_TABLE(new_rows);

static bool is_name(const char *s)
{
    size_t n = strlen(s);

    return n > 0 && n <= NAME_MAX_LEN && s[0] >= 'a' && s[0] <= 'z' && s[n - 1] != '-' &&
           strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

/* Writes a template: @NAME@, @UNDER@ (for names of variables) and @TYPE@ are filled in. */
static void write_template(FILE *f, const char *text, const char *name, int64_t type)
{
    while (*text != '\0') {
        if (strncmp(text, "@NAME@", 6) == 0) {
            fputs(name, f);
            text += 6;
        } else if (strncmp(text, "@UNDER@", 7) == 0) {
            for (const char *p = name; *p != '\0'; p++)
                fputc(*p == '-' ? '_' : *p, f);
            text += 7;
        } else if (strncmp(text, "@TYPE@", 6) == 0) {
            fprintf(f, "%lld", (long long)type);
            text += 6;
        } else {
            fputc(*text++, f);
        }
    }
}

static int write_file(struct cli *cli, const struct plugin_template *t, const char *name,
                      int64_t type)
{
    char path[PATH_LEN];
    FILE *f;
    int fd;

    snprintf(path, sizeof path, "%s/%s%s", name, t->of_name ? name : "", t->file);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, t->executable ? 0777 : 0666);
    f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (f == NULL)
        return cli_fail(cli, CLI_LOCAL, "cannot write %s: %s", path, strerror(errno));
    write_template(f, t->text, name, type);
    if (fclose(f) != 0)
        return cli_fail(cli, CLI_LOCAL, "cannot write %s: %s", path, strerror(errno));
    return CLI_OK;
}

static int run_new(struct cli *cli, const struct cli_args *args)
{
    const struct new_opts *opts = args->opts;
    const char *name = args->v[0];

    if (!is_name(name))
        return cli_usage(cli, "\"%s\" is no name for a plugin: small letters, digits and dashes",
                         name);
    if (mkdir(name, 0777) < 0)
        return cli_fail(cli, CLI_LOCAL, "cannot make %s: %s", name, strerror(errno));
    for (size_t i = 0; i < plugin_n_templates; i++) {
        int r = write_file(cli, &plugin_templates[i], name, opts->type);

        if (r != CLI_OK)
            return r;
    }
    cli_printf(cli,
               "%s is made. To build and test it:\n\n"
               "    cd %s && autoreconf --install && ./configure && make check\n",
               name, name);
    return cli_flush(cli);
}

/* ---- check ---- */

struct check_opts {
    struct config_list messages;
    const char *config;
};

static const struct config_option check_rows[] = {
    {"message", CONFIG_LIST, offsetof(struct check_opts, messages), NULL, "TYPE:JSON",
     "a message that it understands, such as '200:{\"name\":\"x\"}';\n"
     "may be repeated. Without any only wrong ones are sent",
     0, 0},
    {"config", CONFIG_STRING, offsetof(struct check_opts, config), "", "FILE",
     "configuration of wsprd, for the plugin's options", 0, 0},
};
static const struct config_table check_table = CLI_TABLE(check_rows);

static int read_messages(struct cli *cli, const struct config_list *list,
                         struct drive_message *messages)
{
    for (size_t i = 0; i < list->n; i++) {
        char *end;
        unsigned long type = strtoul(list->items[i], &end, 10);

        if (end == list->items[i] || *end != ':' || type >= PLUGIN_TYPES)
            return cli_usage(cli, "a message is TYPE:JSON, not \"%s\"", list->items[i]);
        messages[i] = (struct drive_message){(uint32_t)type, end + 1};
    }
    return CLI_OK;
}

static int drive(struct cli *cli, const char *path, struct drive *d)
{
    struct plugin_file file;
    struct err e = ERR_INIT;
    int r, status = CLI_OK;

    if (plugin_file_load(&file, path, NULL, false, &e) < 0) {
        status = cli_fail_err(cli, CLI_REMOTE, &e, NULL);
        err_done(&e);
        return status;
    }
    d->plugin = &file.plugin;
    d->watched = fake_memory_watch(file.handle);
    printf("%s %s, plugin ABI %u.%u, %zu message types\n", file.plugin.name,
           file.plugin.version != NULL ? file.plugin.version : "", file.plugin.abi.major,
           file.plugin.abi.minor, file.plugin.n_claims);
    if (!d->watched)
        printf("(its own allocations cannot be made to fail here)\n");
    r = drive_plugin(d);
    if (r < 0)
        status = cli_fail(cli, CLI_LOCAL, "it cannot be driven: %s", err_code_text(r));
    else if (r > 0)
        status = cli_fail(cli, CLI_REMOTE, "%s broke the rules in %d sequences", path, r);
    else
        printf("%s keeps to the rules\n", path);
    return status;
}

static int run_check(struct cli *cli, const struct cli_args *args)
{
    const struct check_opts *opts = args->opts;
    struct drive_message messages[CONFIG_LIST_MAX];
    struct drive d = {.messages = messages, .n_messages = opts->messages.n, .out = stdout};
    struct config_file config = {0};
    struct err e = ERR_INIT;
    char path[PATH_LEN];
    int status = read_messages(cli, &opts->messages, messages);

    if (status == CLI_OK && opts->config[0] != '\0' &&
        config_file_read(&config, opts->config, &e) < 0) {
        status = cli_fail_err(cli, CLI_LOCAL, &e, NULL);
        err_done(&e);
    }
    if (status == CLI_OK) {
        d.config = config.path != NULL ? &config : NULL;
        /* Without a slash the system would look for it where libraries are. */
        snprintf(path, sizeof path, "%s%s", strchr(args->v[0], '/') != NULL ? "" : "./",
                 args->v[0]);
        status = drive(cli, path, &d);
    }
    config_file_done(&config);
    return status;
}

static const struct cli_command subs[] = {
    {.name = "new",
     .operands = "NAME",
     .summary = "write a project for a plugin",
     .about = "Makes the folder NAME with a plugin that builds, passes its test and can be\n"
              "distributed as it is: configure.ac, Makefile.am, NAME.c, a test, README.\n",
     .options = &new_table,
     .opts_size = sizeof(struct new_opts),
     .min = 1,
     .max = 1,
     .run = run_new},
    {.name = "check",
     .operands = "FILE.so",
     .summary = "drive a plugin through all that can happen to it",
     .about = "Loads the plugin into a host without network and sends it right and wrong\n"
              "messages, lets pages go away at any moment, lets the host run out of memory, and\n"
              "watches that every flow is finished once and nothing is left behind.\n"
              "It runs the plugin's code: only check what you would load.\n",
     .options = &check_table,
     .opts_size = sizeof(struct check_opts),
     .min = 1,
     .max = 1,
     .run = run_check},
    {.name = NULL},
};

const struct cli_command cli_plugin = {
    .name = "plugin",
    .operands = "COMMAND [ARGUMENT]...",
    .summary = "make or check a handler plugin",
    .about = "Handler plugins for wsprd.\n",
    .sub = subs,
};

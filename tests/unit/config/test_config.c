#include "config.h"

#include <stdlib.h>

#include "config/option.h"
#include "config/roots.h"
#include "tap.h"

struct settings {
    int64_t port;
    const char *name;
    bool quiet;
    bool help;
};

static const struct config_option rows[] = {
    {"port", CONFIG_INT, offsetof(struct settings, port), "8124", "N", "port to listen on", 0,
     65535},
    {"name", CONFIG_STRING, offsetof(struct settings, name), "", "TEXT", "a name\non two lines", 0,
     0},
    {"quiet", CONFIG_BOOL, offsetof(struct settings, quiet), "true", NULL, "say less", 0, 0},
    {"help", CONFIG_ACTION, offsetof(struct settings, help), "false", NULL, "this text", 0, 0},
    {"old", CONFIG_INERT, 0, NULL, NULL, NULL, 0, 0},
    {"older", CONFIG_INERT_SWITCH, 0, NULL, NULL, NULL, 0, 0},
};
static const struct config_table table = {rows, sizeof rows / sizeof rows[0]};

static void count_inert(void *arg, const char *name)
{
    (*(int *)arg)++;
}

static int parse(struct settings *s, int argc, const char *const *args, int *inert, int *rest,
                 struct err *err)
{
    char *argv[10];

    argv[0] = NULL;
    for (int i = 0; i < argc; i++)
        argv[i + 1] = (char *)(uintptr_t)args[i];
    config_defaults(&table, s);
    return config_parse_args(&table, argc + 1, argv, s, count_inert, inert, rest, err);
}

static void forms_of_the_command_line(void)
{
    static const char *const args[] = {"-port", "80", "--name=x", "-quiet=false",
                                       "-old",  "7",  "-older",   "rest"};
    struct settings s = {0};
    struct err e = ERR_INIT;
    int inert = 0, rest = 0;

    TAP_IS(parse(&s, 8, args, &inert, &rest, &e) == 0);
    TAP_IS(s.port == 80 && strcmp(s.name, "x") == 0 && !s.quiet && !s.help);
    TAP_IS(inert == 2 && rest == 8);
    TAP_IS(parse(&s, 0, args, &inert, &rest, &e) == 0);
    TAP_IS(s.port == 8124 && s.name[0] == '\0' && s.quiet && rest == 1);
    err_done(&e);
}

static void bad_options_are_named(void)
{
    static const struct {
        const char *args[2];
        int n;
        const char *text;
    } cases[] = {
        {{"-nope"}, 1, "flag provided but not defined: -nope"},
        {{"-port"}, 1, "flag needs an argument: -port"},
        {{"-port=x"}, 1, "invalid value \"x\" for -port: want a number"},
        {{"-port", "65536"}, 2, "invalid value \"65536\" for -port: want 0 to 65535"},
        {{"-port", "99999999999999999999"},
         2,
         "invalid value \"99999999999999999999\" for -port: want a number"},
        {{"-quiet=maybe"}, 1, "invalid value \"maybe\" for -quiet: want true or false"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct settings s = {0};
        struct err e = ERR_INIT;
        int inert = 0, rest = 0;

        TAP_IS(parse(&s, cases[i].n, cases[i].args, &inert, &rest, &e) == WSPR_EINVAL);
        TAP_OK(strcmp(err_text(&e), cases[i].text) == 0, "got: %s", err_text(&e));
        err_done(&e);
    }
}

static void help_shows_every_option(void)
{
    char text[2048] = "";
    FILE *out = fmemopen(text, sizeof text, "w");

    config_print_help(&table, out);
    fclose(out);
    for (size_t i = 0; i < table.n_options; i++)
        TAP_OK(strstr(text, rows[i].name) != NULL, "-%s is missing", rows[i].name);
    TAP_IS(strstr(text, "(default 8124)") != NULL);
}

static void lists_are_split(void)
{
    char text[] = " a,,b c ,\t, d";
    const char *parts[2] = {NULL, NULL};

    TAP_IS(config_split(text, parts, 2) == 3);
    TAP_IS(strcmp(parts[0], "a") == 0 && strcmp(parts[1], "b c") == 0);
    TAP_IS(config_split(NULL, parts, 2) == 0);
}

static void set(const char *name, const char *value)
{
    TAP_IS(value != NULL ? setenv(name, value, 1) == 0 : unsetenv(name) == 0);
}

static void roots_of_the_environment(void)
{
    static const struct {
        const char *first, *second, *old; /* NAMESPACE_ROOT, NAMESPACE_ROOT2, MOUNTTABLE_ROOT */
        size_t n;
        const char *names[3];
        const char *error;
    } cases[] = {
        {NULL, NULL, NULL, 0, {NULL}, NULL},
        {"", NULL, NULL, 0, {NULL}, NULL},
        {"/h:1", NULL, "/old:1", 1, {"/h:1"}, NULL},
        {"/h:1, /h:2/x,", NULL, NULL, 2, {"/h:1", "/h:2/x"}, NULL},
        {"/h:1", "/h:2,/h:3", NULL, 3, {"/h:1", "/h:2", "/h:3"}, NULL},
        {NULL, "/h:2", NULL, 1, {"/h:2"}, NULL},
        {NULL, NULL, "/old:1,/old:2", 2, {"/old:1", "/old:2"}, NULL},
        {"/h:1,h:2", NULL, NULL, 0, {NULL}, "[\"h:2\"]"},
        {"//h:1", NULL, NULL, 0, {NULL}, "[\"//h:1\"]"},
        {NULL, NULL, "old", 0, {NULL}, "[\"old\"]"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config_roots roots;
        struct err e = ERR_INIT;
        int r;

        set("NAMESPACE_ROOT", cases[i].first);
        set("NAMESPACE_ROOT2", cases[i].second);
        set("MOUNTTABLE_ROOT", cases[i].old);
        r = config_roots_of_process(&roots, &e);
        TAP_OK(r == (cases[i].error != NULL ? WSPR_EINVAL : 0), "case %zu: %d", i, r);
        if (cases[i].error != NULL)
            TAP_OK(strstr(err_text(&e), cases[i].error) != NULL, "got: %s", err_text(&e));
        else
            TAP_OK(roots.n == cases[i].n, "case %zu: %zu roots", i, roots.n);
        for (size_t k = 0; r == 0 && k < roots.n && k < cases[i].n; k++)
            TAP_OK(strcmp(roots.names[k], cases[i].names[k]) == 0, "got: %s", roots.names[k]);
        if (r == 0)
            config_roots_done(&roots);
        err_done(&e);
    }
}

static void roots_have_limits(void)
{
    static char many[CONFIG_ROOTS_MAX * 3 + 8], longest[70000];
    struct config_roots roots;
    struct err e = ERR_INIT;

    for (size_t i = 0; i <= CONFIG_ROOTS_MAX; i++)
        memcpy(many + 3 * i, "/a,", 3);
    TAP_IS(config_roots_parse(many, &roots, &e) == WSPR_EINVAL);
    TAP_OK(strcmp(err_text(&e), "65 namespace roots are too many") == 0, "got: %s", err_text(&e));
    many[3 * CONFIG_ROOTS_MAX] = '\0';
    TAP_IS(config_roots_parse(many, &roots, &e) == 0 && roots.n == CONFIG_ROOTS_MAX);
    config_roots_done(&roots);
    memset(longest, '/', sizeof longest - 1);
    TAP_IS(config_roots_parse(longest, &roots, &e) < 0);
    err_done(&e);
}

static const struct tap_case config_cases[] = {
    {"lists are split", lists_are_split},
    {"roots of the environment", roots_of_the_environment},
    {"roots have limits", roots_have_limits},
    {"forms of the command line", forms_of_the_command_line},
    {"bad options are named", bad_options_are_named},
    {"help shows every option", help_shows_every_option},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("config", config_cases)};

    return tap_main(argc, argv, suites, 1);
}

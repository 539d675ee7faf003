#include "config.h"

#include <stdlib.h>

#include "config/file.h"
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
         "invalid value \"99999999999999999999\" for -port: want 0 to 65535"},
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

/* ---- options among operands ---- */

struct mixed {
    struct config_list roots;
    int64_t timeout, count;
    bool json;
};

static const struct config_option mixed_rows[] = {
    {"root", CONFIG_LIST, offsetof(struct mixed, roots), NULL, "NAME", "may be repeated", 0, 0},
    {"timeout", CONFIG_DURATION, offsetof(struct mixed, timeout), "5s", "TIME", "or never", 0,
     INT64_C(3600000000000)},
    {"json", CONFIG_BOOL, offsetof(struct mixed, json), "false", NULL, "for programs", 0, 0},
};
static const struct config_option own_rows[] = {
    {"count", CONFIG_INT, offsetof(struct mixed, count), "1", "N", "how often", 0, 10},
    {"c", CONFIG_INT, offsetof(struct mixed, count), NULL, NULL, NULL, 0, 10},
};
static const struct config_table mixed_table = {mixed_rows, 3}, own_table = {own_rows, 2};

/* n counts the arguments; the operands are joined with commas. */
static int parse_mixed(struct mixed *m, const char *const *args, int n, bool first_only,
                       char *operands, int *ret_n, struct err *err)
{
    const struct config_part parts[] = {{NULL, NULL}, {&own_table, m}, {&mixed_table, m}};
    char *argv[16];
    const char *got[16];
    int r;

    *m = (struct mixed){0};
    config_defaults(&mixed_table, m);
    config_defaults(&own_table, m);
    for (int i = 0; i < n; i++)
        argv[i] = (char *)(uintptr_t)args[i];
    r = config_parse_mixed(parts, 3, n, argv, first_only, got, ret_n, err);
    operands[0] = '\0';
    for (int i = 0; i < *ret_n && r == 0 && !first_only; i++)
        snprintf(operands + strlen(operands), 64 - strlen(operands), "%s,", got[i]);
    return r;
}

static void options_among_operands(void)
{
    static const char *const args[] = {"a",        "--root", "x", "-5", "--json", "-",
                                       "--root=y", "-c",     "3", "--", "--json", "-.5"};
    struct mixed m;
    struct err e = ERR_INIT;
    char operands[64];
    int n = 0;

    TAP_IS(parse_mixed(&m, args, 12, false, operands, &n, &e) == 0);
    TAP_OK(strcmp(operands, "a,-5,-,--json,-.5,") == 0 && n == 5, "%s", operands);
    TAP_IS(m.roots.n == 2 && strcmp(m.roots.items[0], "x") == 0);
    TAP_IS(m.json && m.count == 3 && m.timeout == INT64_C(5000000000));
    TAP_IS(parse_mixed(&m, args, 0, false, operands, &n, &e) == 0 && n == 0 && !m.json);
    /* Up to the first operand only. */
    TAP_IS(parse_mixed(&m, args + 1, 11, true, operands, &n, &e) == 0);
    TAP_IS(n == 2 && m.roots.n == 1);
    err_done(&e);
}

static void bad_options_among_operands(void)
{
    static const struct {
        const char *args[2], *text;
    } t[] = {
        {{"--rot", "x"}, "unknown option --rot"},
        {{"-x", "x"}, "unknown option -x"},
        {{"x", "--root"}, "--root needs a value: NAME"},
        {{"-c", "11"}, "invalid value \"11\" for -c: want 0 to 10"},
        {{"--count", "x"}, "invalid value \"x\" for --count: want a number"},
        {{"--json=x", "x"}, "invalid value \"x\" for --json: want true or false"},
        {{"--timeout", "2h"}, "invalid value \"2h\" for --timeout: want 3600s or less"},
    };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct mixed m;
        struct err e = ERR_INIT;
        char operands[64];
        int n = 0;

        TAP_OK(parse_mixed(&m, t[i].args, 2, false, operands, &n, &e) == WSPR_EINVAL, "%s",
               t[i].text);
        TAP_OK(strcmp(err_text(&e), t[i].text) == 0, "%s: %s", t[i].text, err_text(&e));
        err_done(&e);
    }
}

static void lists_are_bounded(void)
{
    struct mixed m = {0};
    struct err e = ERR_INIT;

    for (int i = 0; i < CONFIG_LIST_MAX; i++)
        TAP_IS(config_set(&mixed_table, &m, "root", "x", &e) == 0);
    TAP_IS(config_set(&mixed_table, &m, "root", "x", &e) == WSPR_EINVAL);
    TAP_IS(m.roots.n == CONFIG_LIST_MAX);
    err_done(&e);
}

static void durations(void)
{
    static const struct {
        const char *text;
        int64_t ns; /* -1: none */
    } t[] = {
        {"10s", INT64_C(10000000000)},
        {"250ms", 250000000},
        {"1h30m", INT64_C(5400000000000)},
        {"1.5s", 1500000000},
        {".5s", 500000000},
        {"7", INT64_C(7000000000)},
        {"0", 0},
        {"2d", INT64_C(172800000000000)},
        {"3us", 3000},
        {"4ns", 4},
        {"8760h", INT64_C(31536000000000000)},
        {"", -1},
        {"s", -1},
        {"1x", -1},
        {"1h3", -1},
        {"0m30", -1},
        {"-1s", -1},
        {"1 s", -1},
        {".s", -1},
        {"99999999999h", -1},
        {"1s ", -1},
    };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        int64_t ns = -1;
        bool ok = config_duration(t[i].text, &ns);

        TAP_OK(ok == (t[i].ns >= 0) && ns == t[i].ns, "\"%s\" is %lld", t[i].text, (long long)ns);
    }
}

/* ---- files ---- */

static void files(void)
{
    static const char text[] = "# comment\r\n\n port =  81 \nname = \"a b\"\n[plugin x]\n"
                               "port = \nname==\"\n";
    struct config_file f;
    struct settings s = {0};
    struct err e = ERR_INIT;

    TAP_IS(config_file_parse(&f, "f.conf", text, sizeof text - 1, &e) == 0);
    config_defaults(&table, &s);
    TAP_IS(config_file_apply(&f, "", &table, &s, &e) == 0);
    TAP_IS(s.port == 81 && strcmp(s.name, "a b") == 0);
    TAP_IS(config_file_section(&f, "plugin x") != NULL &&
           config_file_section(&f, "plugin x")->line == 5);
    TAP_IS(config_file_section(&f, "plugin") == NULL && config_file_section(NULL, "x") == NULL);
    TAP_IS(strcmp(config_file_find(&f, "plugin x", "port")->value, "") == 0);
    TAP_IS(strcmp(config_file_find(&f, "plugin x", "name")->value, "=\"") == 0);
    TAP_IS(config_file_apply(&f, "plugin x", &table, &s, &e) == WSPR_EINVAL);
    TAP_OK(strncmp(err_text(&e), "f.conf:6: ", 10) == 0, "%s", err_text(&e));
    err_done(&e);
    config_file_done(&f);
}

static void bad_files(void)
{
    static const struct {
        const char *text, *error;
        size_t len;
    } cases[] = {
        {"a = 1\nb\n", "f:2: a setting looks like name = value", 8},
        {"= 1\n", "f:1: a setting looks like name = value", 4},
        {"\n[x\n", "f:2: a section looks like [plugin NAME]", 4},
        {"[]\n", "f:1: a section looks like [plugin NAME]", 3},
        {"[ ]\na = 1\n", "f:1: a section looks like [plugin NAME]", 10},
        {"a = 1\n[x]\na = 1\na = 2\n", "f:4: a stands in line 3 already", 22},
        {"[x]\n[y]\n[x]\n", "f:3: x stands in line 1 already", 12},
        {"a\0b = 1\n", "f:1: this is no text file", 8},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config_file f = {0};
        struct err e = ERR_INIT;

        TAP_IS(config_file_parse(&f, "f", cases[i].text, cases[i].len, &e) == WSPR_EINVAL);
        TAP_OK(strcmp(err_text(&e), cases[i].error) == 0, "%s", err_text(&e));
        TAP_IS(f.n == 0 && f.text == NULL);
        err_done(&e);
    }
}

static const struct tap_case config_cases[] = {
    {"files", files},
    {"bad files", bad_files},
    {"lists are split", lists_are_split},
    {"roots of the environment", roots_of_the_environment},
    {"roots have limits", roots_have_limits},
    {"forms of the command line", forms_of_the_command_line},
    {"bad options are named", bad_options_are_named},
    {"help shows every option", help_shows_every_option},
    {"options among operands", options_among_operands},
    {"bad options among operands", bad_options_among_operands},
    {"lists are bounded", lists_are_bounded},
    {"durations", durations},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("config", config_cases)};

    return tap_main(argc, argv, suites, 1);
}

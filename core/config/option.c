#include "config.h"
#include "config/option.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HELP_COLUMN 30

static bool takes_value(enum config_type type)
{
    return type == CONFIG_INT || type == CONFIG_STRING || type == CONFIG_INERT;
}

static bool is_inert(enum config_type type)
{
    return type == CONFIG_INERT || type == CONFIG_INERT_SWITCH;
}

static const struct config_option *find_option(const struct config_table *table, const char *name,
                                               size_t len)
{
    for (size_t i = 0; i < table->n_options; i++) {
        const struct config_option *o = &table->options[i];

        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
            return o;
    }
    return NULL;
}

static int set_bool(const struct config_option *o, const char *value, bool *ret, struct err *err)
{
    static const char *const yes[] = {"true", "1", "t", "T", "TRUE", "True", "yes", "on"};
    static const char *const no[] = {"false", "0", "f", "F", "FALSE", "False", "no", "off"};

    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
            *ret = strcmp(value, yes[i]) == 0;
            return 0;
        }
    }
    return err_set(err, WSPR_EINVAL, "invalid value \"%s\" for -%s: want true or false", value,
                   o->name);
}

static int set_int(const struct config_option *o, const char *value, int64_t *ret, struct err *err)
{
    char *end;
    long long v;

    errno = 0;
    v = strtoll(value, &end, 10);
    if (end == value || *end != '\0' || errno != 0)
        return err_set(err, WSPR_EINVAL, "invalid value \"%s\" for -%s: want a number", value,
                       o->name);
    if (v < o->min || v > o->max)
        return err_set(err, WSPR_EINVAL,
                       "invalid value \"%s\" for -%s: want %" PRId64 " to %" PRId64, value, o->name,
                       o->min, o->max);
    *ret = v;
    return 0;
}

static int set_option(const struct config_option *o, void *target, const char *value,
                      struct err *err)
{
    char *member = (char *)target + o->offset;

    switch (o->type) {
    case CONFIG_BOOL:
    case CONFIG_ACTION:
        return set_bool(o, value, (bool *)(void *)member, err);
    case CONFIG_INT:
        return set_int(o, value, (int64_t *)(void *)member, err);
    case CONFIG_STRING:
        *(const char **)(void *)member = value;
        return 0;
    case CONFIG_INERT:
    case CONFIG_INERT_SWITCH:
        return 0;
    }
    return WSPR_EINVAL;
}

void config_defaults(const struct config_table *table, void *target)
{
    for (size_t i = 0; i < table->n_options; i++) {
        const struct config_option *o = &table->options[i];

        if (o->def != NULL)
            set_option(o, target, o->def, NULL);
    }
}

int config_set(const struct config_table *table, void *target, const char *name, const char *value,
               struct err *err)
{
    const struct config_option *o = find_option(table, name, strlen(name));

    if (o == NULL)
        return err_set(err, WSPR_EINVAL, "unknown option \"%s\"", name);
    return set_option(o, target, value, err);
}

int config_parse_args(const struct config_table *table, int argc, char **argv, void *target,
                      void (*inert)(void *arg, const char *name), void *arg, int *ret_rest,
                      struct err *err)
{
    int i;

    for (i = 1; i < argc; i++) {
        const char *name = argv[i], *value;
        const struct config_option *o;
        size_t len;
        int r;

        if (name[0] != '-' || name[1] == '\0')
            break;
        name += name[1] == '-' ? 2 : 1;
        if (*name == '\0') {
            i++;
            break;
        }
        value = strchr(name, '=');
        len = value != NULL ? (size_t)(value - name) : strlen(name);
        o = find_option(table, name, len);
        if (o == NULL)
            return err_set(err, WSPR_EINVAL, "flag provided but not defined: -%.*s", (int)len,
                           name);
        if (value != NULL)
            value++;
        else if (!takes_value(o->type))
            value = "true";
        else if (++i < argc)
            value = argv[i];
        else
            return err_set(err, WSPR_EINVAL, "flag needs an argument: -%s", o->name);
        r = set_option(o, target, value, err);
        if (r < 0)
            return r;
        if (is_inert(o->type) && inert != NULL)
            inert(arg, o->name);
    }
    *ret_rest = i;
    return 0;
}

static void print_option(const struct config_option *o, FILE *out)
{
    const char *line = o->help;
    int n = fprintf(out, "  -%s", o->name);

    if (takes_value(o->type))
        n += fprintf(out, " %s", o->arg != NULL ? o->arg : "VALUE");
    if (n >= HELP_COLUMN) {
        fputc('\n', out);
        n = 0;
    }
    while (line != NULL) {
        const char *end = strchr(line, '\n');
        int len = end != NULL ? (int)(end - line) : (int)strlen(line);

        fprintf(out, "%*s%.*s", HELP_COLUMN - n, "", len, line);
        n = 0;
        line = end != NULL ? end + 1 : NULL;
        if (line != NULL)
            fputc('\n', out);
    }
    if (o->def != NULL && o->def[0] != '\0' && takes_value(o->type))
        fprintf(out, " (default %s)", o->def);
    fputc('\n', out);
}

void config_print_help(const struct config_table *table, FILE *out)
{
    bool any = false;

    for (size_t i = 0; i < table->n_options; i++) {
        if (!is_inert(table->options[i].type))
            print_option(&table->options[i], out);
    }
    for (size_t i = 0; i < table->n_options; i++) {
        if (!is_inert(table->options[i].type))
            continue;
        fprintf(out, "%s-%s", any ? ", " : "\nAccepted for old start scripts, without effect: ",
                table->options[i].name);
        any = true;
    }
    if (any)
        fputs(".\n", out);
}

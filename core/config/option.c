#include "config.h"
#include "config/option.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HELP_COLUMN 30

bool config_takes_value(const struct config_option *o)
{
    return o->type != CONFIG_BOOL && o->type != CONFIG_ACTION && o->type != CONFIG_INERT_SWITCH;
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

static int bad_value(const struct config_option *o, const char *dashes, const char *value,
                     const char *want, struct err *err)
{
    return err_set(err, WSPR_EINVAL, "invalid value \"%s\" for %s%s: want %s", value, dashes,
                   o->name, want);
}

static int set_bool(const struct config_option *o, const char *dashes, const char *value, bool *ret,
                    struct err *err)
{
    static const char *const yes[] = {"true", "1", "t", "T", "TRUE", "True", "yes", "on"};
    static const char *const no[] = {"false", "0", "f", "F", "FALSE", "False", "no", "off"};

    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
            *ret = strcmp(value, yes[i]) == 0;
            return 0;
        }
    }
    return bad_value(o, dashes, value, "true or false", err);
}

static int set_int(const struct config_option *o, const char *dashes, const char *value,
                   int64_t *ret, struct err *err)
{
    char *end, want[64];
    long long v;

    errno = 0;
    v = strtoll(value, &end, 10);
    if (end == value || *end != '\0')
        return bad_value(o, dashes, value, "a number", err);
    if (errno != 0 || v < o->min || v > o->max) {
        snprintf(want, sizeof want, "%" PRId64 " to %" PRId64, o->min, o->max);
        return bad_value(o, dashes, value, want, err);
    }
    *ret = v;
    return 0;
}

bool config_duration(const char *text, int64_t *ret_ns)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"ns", 1},   {"us", 1e3},   {"ms", 1e6},   {"s", 1e9},
                 {"m", 6e10}, {"h", 3.6e12}, {"d", 8.64e13}};
    const char *p = text;
    double total = 0;

    while (*p != '\0' || p == text) {
        size_t digits = strspn(p, "0123456789"), len, i;
        const char *begin = p;
        double v = 0, place = 1;

        for (i = 0; i < digits; i++)
            v = v * 10 + (p[i] - '0');
        p += digits;
        if (*p == '.') {
            for (p++; *p >= '0' && *p <= '9'; p++, digits++)
                v += (*p - '0') * (place /= 10);
        }
        if (digits == 0)
            return false;
        len = strspn(p, "abcdefghijklmnopqrstuvwxyz");
        for (i = 0; i < sizeof units / sizeof units[0]; i++) {
            if (strlen(units[i].name) == len && memcmp(units[i].name, p, len) == 0)
                break;
        }
        if (i == sizeof units / sizeof units[0]) {
            /* A number without a unit is all there is, in seconds. */
            if (len > 0 || *p != '\0' || begin != text)
                return false;
            i = 3;
        }
        total += v * units[i].ns;
        p += len;
    }
    if (!(total < 9.2e18))
        return false;
    *ret_ns = (int64_t)total;
    return true;
}

static int set_duration(const struct config_option *o, const char *dashes, const char *value,
                        int64_t *ret, struct err *err)
{
    int64_t v;
    char want[64];

    if (!config_duration(value, &v))
        return bad_value(o, dashes, value, "a time such as 10s, 250ms or 1h30m", err);
    if ((o->min != 0 || o->max != 0) && (v < o->min || v > o->max)) {
        snprintf(want, sizeof want, "%gs %s", (double)(v < o->min ? o->min : o->max) / 1e9,
                 v < o->min ? "or more" : "or less");
        return bad_value(o, dashes, value, want, err);
    }
    *ret = v;
    return 0;
}

static int add_item(const struct config_option *o, const char *dashes, const char *value,
                    struct config_list *list, struct err *err)
{
    if (list->n == CONFIG_LIST_MAX)
        return err_set(err, WSPR_EINVAL, "%s%s is given more than %d times", dashes, o->name,
                       CONFIG_LIST_MAX);
    list->items[list->n++] = value;
    return 0;
}

static int set_option(const struct config_option *o, const char *dashes, void *target,
                      const char *value, struct err *err)
{
    void *member = (char *)target + o->offset;

    switch (o->type) {
    case CONFIG_BOOL:
    case CONFIG_ACTION:
        return set_bool(o, dashes, value, member, err);
    case CONFIG_INT:
        return set_int(o, dashes, value, member, err);
    case CONFIG_STRING:
        *(const char **)member = value;
        return 0;
    case CONFIG_DURATION:
        return set_duration(o, dashes, value, member, err);
    case CONFIG_LIST:
        return add_item(o, dashes, value, member, err);
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
            set_option(o, "-", target, o->def, NULL);
    }
}

int config_set(const struct config_table *table, void *target, const char *name, const char *value,
               struct err *err)
{
    const struct config_option *o = find_option(table, name, strlen(name));

    if (o == NULL)
        return err_set(err, WSPR_EINVAL, "unknown option \"%s\"", name);
    return set_option(o, "-", target, value, err);
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
        else if (!config_takes_value(o))
            value = "true";
        else if (++i < argc)
            value = argv[i];
        else
            return err_set(err, WSPR_EINVAL, "flag needs an argument: -%s", o->name);
        r = set_option(o, "-", target, value, err);
        if (r < 0)
            return r;
        if (is_inert(o->type) && inert != NULL)
            inert(arg, o->name);
    }
    *ret_rest = i;
    return 0;
}

/* ---- options among operands ---- */

/* One letter takes one dash. */
static const char *dashes_of(size_t len)
{
    return len == 1 ? "-" : "--";
}

static bool is_option(const char *arg)
{
    return arg[0] == '-' && arg[1] != '\0' && !(arg[1] >= '0' && arg[1] <= '9') && arg[1] != '.';
}

/* Takes the option at argv[i]; returns how many arguments it used. */
static int take_option(const struct config_part *parts, size_t n_parts, int argc, char **argv,
                       int i, struct err *err)
{
    const char *name = argv[i] + (argv[i][1] == '-' ? 2 : 1), *value = strchr(name, '=');
    size_t len = value != NULL ? (size_t)(value - name) : strlen(name);
    const struct config_option *o = NULL;
    size_t k;
    int used = 1, r;

    for (k = 0; k < n_parts && o == NULL; k++) {
        if (parts[k].table != NULL)
            o = find_option(parts[k].table, name, len);
    }
    if (o == NULL)
        return err_set(err, WSPR_EINVAL, "unknown option %s%.*s", dashes_of(len), (int)len, name);
    if (value != NULL) {
        value++;
    } else if (!config_takes_value(o)) {
        value = "true";
    } else if (i + 1 < argc) {
        value = argv[i + 1];
        used = 2;
    } else {
        return err_set(err, WSPR_EINVAL, "%s%s needs a value: %s", dashes_of(len), o->name,
                       o->arg != NULL ? o->arg : "VALUE");
    }
    r = set_option(o, dashes_of(len), parts[k - 1].target, value, err);
    return r < 0 ? r : used;
}

int config_parse_mixed(const struct config_part *parts, size_t n_parts, int argc, char **argv,
                       bool first_only, const char **ret_operands, int *ret_n, struct err *err)
{
    bool only_operands = false;
    int i = 0, n = 0, r;

    while (i < argc) {
        if (!only_operands && strcmp(argv[i], "--") == 0) {
            only_operands = true;
            i++;
        } else if (only_operands || !is_option(argv[i])) {
            if (first_only)
                break;
            ret_operands[n++] = argv[i++];
        } else {
            r = take_option(parts, n_parts, argc, argv, i, err);
            if (r < 0)
                return r;
            i += r;
        }
    }
    *ret_n = first_only ? i : n;
    return 0;
}

/* ---- help ---- */

static void print_option(const struct config_option *o, const char *dashes, FILE *out)
{
    const char *line = o->help;
    int n = fprintf(out, "  %s%s", dashes, o->name);

    if (config_takes_value(o))
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
    if (o->def != NULL && o->def[0] != '\0' && config_takes_value(o))
        fprintf(out, " (default %s)", o->def);
    fputc('\n', out);
}

void config_print_help(const struct config_table *table, FILE *out)
{
    bool any = false;

    for (size_t i = 0; i < table->n_options; i++) {
        if (!is_inert(table->options[i].type))
            print_option(&table->options[i], "-", out);
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

void config_print_options(const struct config_table *table, FILE *out)
{
    for (size_t i = 0; i < table->n_options; i++) {
        const struct config_option *o = &table->options[i];

        if (o->help != NULL)
            print_option(o, dashes_of(strlen(o->name)), out);
    }
}

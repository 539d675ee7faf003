/*
 * Options: one row each, owned by the module that uses them. The row gives name, type, range,
 * default and help; the parser of the command line and the help text read the same rows.
 *
 * The command line follows the flags of the network's other daemons: "-name value", "-name=value",
 * and the same with two dashes; a switch stands alone or as "-name=false". "--" ends the options.
 * An option that was given but means nothing here is reported, so that the caller can warn.
 */
#ifndef CONFIG_OPTION_H
#define CONFIG_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum config_type {
    CONFIG_BOOL = 1,   /* bool */
    CONFIG_INT = 2,    /* int64_t */
    CONFIG_STRING = 3, /* const char *, borrowed from the table or the command line */
    CONFIG_ACTION = 4, /* bool, never takes a value (--help) */
    CONFIG_INERT = 5,  /* takes a value, accepted and without a meaning here */
    CONFIG_INERT_SWITCH = 6,
    CONFIG_DURATION = 7, /* int64_t, nanoseconds: "1m30s", "250ms"; a bare number is seconds */
    CONFIG_LIST = 8,     /* struct config_list: may be given several times */
};

#define CONFIG_LIST_MAX 64

struct config_list {
    const char *items[CONFIG_LIST_MAX]; /* borrowed from the command line */
    size_t n;
};

struct config_option {
    const char *name;
    enum config_type type;
    size_t offset;    /* of the member of the target; unused for the inert types */
    const char *def;  /* default, as text; NULL: leave what the target holds */
    const char *arg;  /* what help calls the value */
    const char *help; /* one or more lines */
    int64_t min, max; /* for CONFIG_INT, and CONFIG_DURATION unless both are 0 */
};

struct config_table {
    const struct config_option *options;
    size_t n_options;
};

/* Fills the target with the defaults. The defaults of a table are right, so this cannot fail. */
void config_defaults(const struct config_table *table, void *target);
/*
 * Reads argv[1 …]. *ret_rest is the index of the first argument that is no option (argc if none).
 * `inert` (may be NULL) is told of each option that was given and has no meaning here. WSPR_EINVAL
 * names the option and what is wrong with it.
 */
int config_parse_args(const struct config_table *table, int argc, char **argv, void *target,
                      void (*inert)(void *arg, const char *name), void *arg, int *ret_rest,
                      struct err *err);
/* A table and the struct that it fills. */
struct config_part {
    const struct config_table *table;
    void *target;
};

/*
 * Reads argv[0 …] as commands in the style of "wspr call NAME --stream" have it: options of any of
 * the parts may stand anywhere among the operands, with two dashes (one if the name is a single
 * letter). What looks like a negative number is an operand, and so is "-", and all that follows
 * "--". With first_only the reading stops before the first operand, which argv[*ret_n] is then.
 * Otherwise the operands are written to ret_operands, which has room for argc of them, and *ret_n
 * is their number. WSPR_EINVAL names the option and what is wrong with it.
 */
int config_parse_mixed(const struct config_part *parts, size_t n_parts, int argc, char **argv,
                       bool first_only, const char **ret_operands, int *ret_n, struct err *err);
/* Sets one option from text, as a configuration file or a test does. */
int config_set(const struct config_table *table, void *target, const char *name, const char *value,
               struct err *err);
/* Prints the options with their help and defaults; those without a meaning here come last. */
void config_print_help(const struct config_table *table, FILE *out);
/* The same in the style of config_parse_mixed; rows without a help text (other names) are left out.
 */
void config_print_options(const struct config_table *table, FILE *out);
/* Whether the option is followed by a value. */
bool config_takes_value(const struct config_option *option);
/* Reads "1h30m", "1.5s", "250ms", "7d" or a number of seconds. False if it is none, or too long. */
bool config_duration(const char *text, int64_t *ret_ns);

#endif

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
};

struct config_option {
    const char *name;
    enum config_type type;
    size_t offset;    /* of the member of the target; unused for the inert types */
    const char *def;  /* default, as text; NULL: leave what the target holds */
    const char *arg;  /* what help calls the value */
    const char *help; /* one or more lines */
    int64_t min, max; /* for CONFIG_INT */
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
/* Sets one option from text, as a configuration file or a test does. */
int config_set(const struct config_table *table, void *target, const char *name, const char *value,
               struct err *err);
/* Prints the options with their help and defaults; those without a meaning here come last. */
void config_print_help(const struct config_table *table, FILE *out);

#endif

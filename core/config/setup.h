/* A program's settings: defaults, then its configuration file, then its command line. */
#ifndef CONFIG_SETUP_H
#define CONFIG_SETUP_H

#include "config/file.h"
#include "config/option.h"

struct config_setup {
    const struct config_table *table;
    const char *default_path; /* a file that need not be there; NULL: none */
    size_t path_offset; /* of the member, a string, that names another file; "": the default */
    void (*inert)(void *arg, const char *name); /* as for config_parse_args; may be NULL */
    void *arg;
};

/*
 * Fills the target. An action on the command line (--help) keeps the file from being read.
 * *ret_of_file tells, after an error, whether it is about the file. The strings are borrowed from
 * the table, argv and *ret_file, which is all zeros if no file was read.
 * WSPR_EINVAL for the command line, with an argument too many, and for the file, then with its
 * line; WSPR_ENOTFOUND if the file that was named is not there.
 */
int config_setup(const struct config_setup *setup, int argc, char **argv, void *target,
                 struct config_file *ret_file, bool *ret_of_file, struct err *err);

#endif

/*
 * A plugin's file and its tables: what can be said about them without running anything of it but
 * the entry. Used by the gateway and by the program that checks plugins.
 */
#ifndef GATEWAY_PLUGIN_FILE_H
#define GATEWAY_PLUGIN_FILE_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "base/error.h"
#include "config/file.h"
#include "wspr/plugin.h"

#define PLUGIN_TYPES       1024 /* message types that can be claimed: 0 … 1023 */
#define PLUGIN_OPTIONS_MAX 256

struct plugin_file {
    void *handle; /* of dlopen; NULL if linked in */
    /* The plugin's table, copied; zero where it was shorter. Names and rows are the plugin's. */
    struct wspr_plugin plugin;
    /* Which file that was, to see whether it is still the same. */
    dev_t dev;
    ino_t ino;
    struct timespec changed;
};

/* Files whose code would run with our rights: they must be ours, or root's, alone. */
int plugin_file_check_owner(const char *path, struct err *err);
/*
 * Loads the file and takes its table. `name` is what the plugin has to call itself; NULL: anything.
 * With private_copy another instance of a file that is loaded already is made, from a copy of it.
 * WSPR_ENOTFOUND, WSPR_ENOTAUTH, WSPR_EINVAL with a sentence that names the path.
 */
int plugin_file_load(struct plugin_file *file, const char *path, const char *name,
                     bool private_copy, struct err *err);
/* The same for a plugin that is linked in. */
int plugin_file_take(struct plugin_file *file, const struct wspr_plugin *plugin, const char *path,
                     const char *name, struct err *err);
/* Whether the file at the path is another one now, or was changed. */
bool plugin_file_is_stale(const struct plugin_file *file, const char *path);
/* Takes the file out of memory: only if nothing of the plugin but its entry ever ran. */
void plugin_file_close(struct plugin_file *file);

/* A row of a table, by the size that the plugin gave. */
const struct wspr_claim *plugin_file_claim(const struct wspr_plugin *plugin, size_t i);
const struct wspr_option *plugin_file_option(const struct wspr_plugin *plugin, size_t i);

/* Whether a value fits an option. WSPR_EINVAL with a sentence. */
int plugin_option_check(const struct wspr_option *option, const char *value, struct err *err);

/* The values of a plugin's options, one for each row. */
struct plugin_values {
    char **texts;
    size_t n;
};

/*
 * Takes the values that the section "plugin NAME" of the configuration (may be NULL) gives, and the
 * defaults for the rest. WSPR_EINVAL for a setting that is no option of the plugin or does not fit
 * its row, with file and line; WSPR_ENOMEM.
 */
int plugin_values_read(struct plugin_values *values, const struct wspr_plugin *plugin,
                       const struct config_file *config, struct err *err);
bool plugin_values_equal(const struct plugin_values *a, const struct plugin_values *b);
/* The value of an option; NULL if the plugin has none of that name. */
const char *plugin_values_find(const struct plugin_values *values, const struct wspr_plugin *plugin,
                               const char *name);
void plugin_values_done(struct plugin_values *values);

#endif

/* Which plugins are loaded: the lists of the configuration. */
#ifndef GATEWAY_PLUGIN_SET_H
#define GATEWAY_PLUGIN_SET_H

#include "base/error.h"
#include "base/log.h"
#include "config/file.h"

#define PLUGIN_SET_MAX 64

struct plugin_set {
    char *texts[3];                       /* what the names are in */
    const char *required[PLUGIN_SET_MAX]; /* in the order in which they are loaded */
    size_t n_required;
    const char *optional[PLUGIN_SET_MAX]; /* after those */
    size_t n_optional;
    const char *denied[PLUGIN_SET_MAX];
    size_t n_denied;
};

/*
 * Reads lists of names that are separated by commas. A denied name counts in neither list; one that
 * is in both, or twice in one, is an error, and so is a section of the configuration (may be NULL)
 * that is not of the form "plugin NAME". One whose name is in no list gets a line in the log (may
 * be NULL). WSPR_EINVAL, WSPR_ENOMEM.
 */
int plugin_set_read(struct plugin_set *set, const char *required, const char *optional,
                    const char *denied, const struct config_file *config, const struct log *log,
                    struct err *err);
void plugin_set_done(struct plugin_set *set);

#endif

#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/roots.h"
#include "gateway/plugin_set.h"

static bool has(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static int read_list(const char *what, const char *list, char **ret_text, const char **names,
                     size_t *ret_n, struct err *err)
{
    *ret_text = mem_strndup(list, strlen(list));
    if (*ret_text == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    *ret_n = config_split(*ret_text, names, PLUGIN_SET_MAX);
    if (*ret_n > PLUGIN_SET_MAX) {
        *ret_n = 0;
        return err_set(err, WSPR_ELIMIT, "%s names more than %d", what, PLUGIN_SET_MAX);
    }
    for (size_t i = 1; i < *ret_n; i++) {
        if (has(names, i, names[i]))
            return err_set(err, WSPR_EINVAL, "%s names %s twice", what, names[i]);
    }
    return 0;
}

static size_t without(const char **names, size_t n, const struct plugin_set *set)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (!has(set->denied, set->n_denied, names[i]))
            names[kept++] = names[i];
    }
    return kept;
}

static bool is_listed(const struct plugin_set *set, const char *name)
{
    return has(set->required, set->n_required, name) || has(set->optional, set->n_optional, name) ||
           has(set->denied, set->n_denied, name);
}

/*
 * A section of a plugin that no list has is left alone: the file may be that of several machines,
 * or of a package whose plugin is not wanted here. But it may be a slip of the pen as well.
 */
static int check_sections(const struct plugin_set *set, const struct config_file *config,
                          const struct log *log, struct err *err)
{
    for (size_t i = 0; config != NULL && i < config->n; i++) {
        const struct config_setting *s = &config->settings[i];
        const char *name = s->section + strlen("plugin ");

        if (s->name != NULL)
            continue;
        if (strncmp(s->section, "plugin ", strlen("plugin ")) != 0)
            return config_file_error(config, s, WSPR_EINVAL, err, "unknown section [%s]",
                                     s->section);
        if (log != NULL && !is_listed(set, name))
            log_write(log, LOG_LEVEL_WARN, "config",
                      "%s:%u: plugin %s is in no list of plugins, its section is not used",
                      config->path, s->line, name);
    }
    return 0;
}

int plugin_set_read(struct plugin_set *set, const char *required, const char *optional,
                    const char *denied, const struct config_file *config, const struct log *log,
                    struct err *err)
{
    int r;

    *set = (struct plugin_set){0};
    r = read_list("plugins", required, &set->texts[0], set->required, &set->n_required, err);
    if (r == 0)
        r = read_list("optional-plugins", optional, &set->texts[1], set->optional, &set->n_optional,
                      err);
    if (r == 0)
        r = read_list("deny-plugins", denied, &set->texts[2], set->denied, &set->n_denied, err);
    for (size_t i = 0; i < set->n_optional && r == 0; i++) {
        if (has(set->required, set->n_required, set->optional[i]))
            r = err_set(err, WSPR_EINVAL, "%s is in plugins and in optional-plugins",
                        set->optional[i]);
    }
    if (r == 0)
        r = check_sections(set, config, log, err);
    if (r < 0) {
        plugin_set_done(set);
        return r;
    }
    set->n_required = without(set->required, set->n_required, set);
    set->n_optional = without(set->optional, set->n_optional, set);
    return 0;
}

void plugin_set_done(struct plugin_set *set)
{
    for (size_t i = 0; i < 3; i++)
        free(set->texts[i]);
    *set = (struct plugin_set){0};
}

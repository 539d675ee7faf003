/* The values of a plugin's options: from the configuration, by the rows of the plugin. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/plugin_file.h"

#define SECTION_MAX 512

static size_t find_row(const struct wspr_plugin *p, const char *name)
{
    for (size_t i = 0; i < p->n_options; i++) {
        if (strcmp(plugin_file_option(p, i)->name, name) == 0)
            return i;
    }
    return p->n_options;
}

static int set_value(struct plugin_values *v, size_t i, const char *text, struct err *err)
{
    char *copy = mem_strndup(text, strlen(text));

    if (copy == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    free(v->texts[i]);
    v->texts[i] = copy;
    return 0;
}

static int read_setting(struct plugin_values *v, const struct wspr_plugin *p,
                        const struct config_file *config, const struct config_setting *s,
                        struct err *err)
{
    size_t i = find_row(p, s->name);
    int r;

    if (i == p->n_options)
        return config_file_error(config, s, WSPR_EINVAL, err, "plugin %s has no option \"%s\"",
                                 p->name, s->name);
    r = plugin_option_check(plugin_file_option(p, i), s->value, err);
    if (r < 0) {
        err_prefix(err, 0, "%s:%u: ", config->path, s->line);
        return r;
    }
    return set_value(v, i, s->value, err);
}

static int read_values(struct plugin_values *v, const struct wspr_plugin *p,
                       const struct config_file *config, struct err *err)
{
    char section[SECTION_MAX];
    int r = 0;

    for (size_t i = 0; i < p->n_options && r == 0; i++) {
        const char *def = plugin_file_option(p, i)->def;

        r = set_value(v, i, def != NULL ? def : "", err);
    }
    if (snprintf(section, sizeof section, "plugin %s", p->name) >= (int)sizeof section)
        return err_set(err, WSPR_EINVAL, "the name of plugin %s is too long", p->name);
    for (size_t i = 0; config != NULL && i < config->n && r == 0; i++) {
        const struct config_setting *s = &config->settings[i];

        if (s->name != NULL && strcmp(s->section, section) == 0)
            r = read_setting(v, p, config, s, err);
    }
    return r;
}

int plugin_values_read(struct plugin_values *values, const struct wspr_plugin *plugin,
                       const struct config_file *config, struct err *err)
{
    struct plugin_values v = {NULL, plugin->n_options};
    int r;

    v.texts = calloc(v.n > 0 ? v.n : 1, sizeof *v.texts);
    if (v.texts == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    r = read_values(&v, plugin, config, err);
    if (r < 0) {
        plugin_values_done(&v);
        return r;
    }
    *values = v;
    return 0;
}

bool plugin_values_equal(const struct plugin_values *a, const struct plugin_values *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->texts[i], b->texts[i]) != 0)
            return false;
    }
    return true;
}

const char *plugin_values_find(const struct plugin_values *values, const struct wspr_plugin *plugin,
                               const char *name)
{
    size_t i = find_row(plugin, name);

    return i < values->n ? values->texts[i] : NULL;
}

void plugin_values_done(struct plugin_values *values)
{
    for (size_t i = 0; i < values->n && values->texts != NULL; i++)
        free(values->texts[i]);
    free(values->texts);
    *values = (struct plugin_values){0};
}

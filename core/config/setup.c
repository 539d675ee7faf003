#include "config.h"
#include "config/setup.h"

#include <string.h>

static int read_args(const struct config_setup *s, int argc, char **argv, void *target, bool warn,
                     struct err *err)
{
    int rest, r = config_parse_args(s->table, argc, argv, target, warn ? s->inert : NULL, s->arg,
                                    &rest, err);

    if (r == 0 && rest < argc)
        r = err_set(err, WSPR_EINVAL, "unexpected argument \"%s\"", argv[rest]);
    return r;
}

/* The file that the command line names, or the default one if it is there. */
static int read_file(const struct config_setup *s, const void *target, struct config_file *file,
                     struct err *err)
{
    const char *path = *(const char *const *)(const void *)((const char *)target + s->path_offset);
    int r;

    if (path[0] != '\0')
        return config_file_read(file, path, err);
    if (s->default_path == NULL)
        return 0;
    r = config_file_read(file, s->default_path, err);
    if (r == WSPR_ENOTFOUND) {
        err_done(err);
        r = 0;
    }
    return r;
}

static bool has_action(const struct config_setup *s, const void *target)
{
    for (size_t i = 0; i < s->table->n_options; i++) {
        const struct config_option *o = &s->table->options[i];

        if (o->type == CONFIG_ACTION && *(const bool *)((const char *)target + o->offset))
            return true;
    }
    return false;
}

int config_setup(const struct config_setup *s, int argc, char **argv, void *target,
                 struct config_file *ret_file, bool *ret_of_file, struct err *err)
{
    struct config_file file = {0};
    int r;

    config_defaults(s->table, target);
    r = read_args(s, argc, argv, target, true, err);
    *ret_of_file = r == 0;
    if (r == 0 && !has_action(s, target))
        r = read_file(s, target, &file, err);
    if (r == 0 && file.path != NULL) {
        config_defaults(s->table, target);
        r = config_file_apply(&file, "", s->table, target, err);
        if (r == 0)
            r = read_args(s, argc, argv, target, false, err);
    }
    if (r < 0)
        config_file_done(&file);
    else
        *ret_file = file;
    return r;
}

/*
 * Plugin files. Nothing but the three frozen members of the version block is read before the
 * version is accepted; then the tables are stepped through by the sizes that the plugin states.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/plugin_file.h"

#define COPY_CHUNK 65536

int plugin_file_check_owner(const char *path, struct err *err)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return err_set(err, errno == ENOENT || errno == ENOTDIR ? WSPR_ENOTFOUND : WSPR_ESYS,
                       "cannot load %s: %s", path, strerror(errno));
    if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return err_set(err, WSPR_ENOTAUTH,
                       "%s is refused: it must belong to root or to this user and be writable by "
                       "nobody else",
                       path);
    return 0;
}

static int check_version(const struct wspr_abi *abi, const char *path, struct err *err)
{
    if (abi->major != WSPR_ABI_MAJOR || abi->minor > WSPR_ABI_MINOR)
        return err_set(err, WSPR_EINVAL,
                       "%s is built for plugin ABI %u.%u, this program offers %d.%d", path,
                       abi->major, abi->minor, WSPR_ABI_MAJOR, WSPR_ABI_MINOR);
    if (abi->abi_size < sizeof *abi || abi->plugin_size < offsetof(struct wspr_plugin, load) ||
        abi->claim_size < sizeof(struct wspr_claim) ||
        abi->claim_size % alignof(struct wspr_claim) != 0 ||
        abi->option_size < sizeof(struct wspr_option) ||
        abi->option_size % alignof(struct wspr_option) != 0)
        return err_set(err, WSPR_EINVAL, "%s has a malformed version block", path);
    return 0;
}

const struct wspr_claim *plugin_file_claim(const struct wspr_plugin *p, size_t i)
{
    return (const void *)((const char *)p->claims + i * p->abi.claim_size);
}

const struct wspr_option *plugin_file_option(const struct wspr_plugin *p, size_t i)
{
    return (const void *)((const char *)p->options + i * p->abi.option_size);
}

/* What every plugin has to keep to, whoever else is loaded. */
static int check_claims(const struct wspr_plugin *p, const char *path, struct err *err)
{
    if (p->n_claims > PLUGIN_TYPES || (p->n_claims > 0 && p->claims == NULL))
        return err_set(err, WSPR_EINVAL, "%s has a malformed table of claims", path);
    for (size_t i = 0; i < p->n_claims; i++) {
        const struct wspr_claim *c = plugin_file_claim(p, i);

        if (c->type >= PLUGIN_TYPES || c->handle == NULL || (c->flags & 3) == 0)
            return err_set(err, WSPR_EINVAL,
                           "%s makes a malformed claim of type %u: a type below %d, a handler and "
                           "one of OPENS, USES, ONE_SHOT are needed",
                           path, c->type, PLUGIN_TYPES);
        for (size_t k = 0; k < i; k++) {
            if (plugin_file_claim(p, k)->type == c->type)
                return err_set(err, WSPR_EEXISTS, "%s claims message type %u twice", path, c->type);
        }
    }
    return 0;
}

/* The row as the configuration's own, to be read by the same rules. */
static struct config_option config_row(const struct wspr_option *o)
{
    enum config_type type = o->type == WSPR_OPT_BOOL  ? CONFIG_BOOL
                            : o->type == WSPR_OPT_INT ? CONFIG_INT
                                                      : CONFIG_STRING;

    return (struct config_option){o->name, type,    0,      o->def != NULL ? o->def : "",
                                  NULL,    o->help, o->min, o->max};
}

int plugin_option_check(const struct wspr_option *o, const char *value, struct err *err)
{
    const struct config_option row = config_row(o);
    const struct config_table table = {&row, 1};
    union {
        bool flag;
        int64_t number;
        const char *text;
    } target;

    return config_set(&table, &target, o->name, value, err);
}

static int check_options(const struct wspr_plugin *p, const char *path, struct err *err)
{
    if (p->n_options > PLUGIN_OPTIONS_MAX || (p->n_options > 0 && p->options == NULL))
        return err_set(err, WSPR_EINVAL, "%s has a malformed table of options", path);
    for (size_t i = 0; i < p->n_options; i++) {
        const struct wspr_option *o = plugin_file_option(p, i);
        int r;

        if (o->name == NULL || o->name[0] == '\0' || o->type < WSPR_OPT_BOOL ||
            o->type > WSPR_OPT_STRING)
            return err_set(err, WSPR_EINVAL, "%s has a malformed option in row %zu", path, i);
        if (o->def == NULL && o->type == WSPR_OPT_STRING)
            continue;
        r = plugin_option_check(o, o->def != NULL ? o->def : "", err);
        if (r < 0) {
            err_prefix(err, 0, "%s has an option with a wrong default: ", path);
            return r;
        }
    }
    return 0;
}

int plugin_file_take(struct plugin_file *file, const struct wspr_plugin *plugin, const char *path,
                     const char *name, struct err *err)
{
    size_t size;
    int r = check_version(&plugin->abi, path, err);

    if (r < 0)
        return r;
    size = plugin->abi.plugin_size;
    memset(&file->plugin, 0, sizeof file->plugin);
    memcpy(&file->plugin, plugin, size < sizeof file->plugin ? size : sizeof file->plugin);
    if (file->plugin.name == NULL || (name != NULL && strcmp(file->plugin.name, name) != 0))
        return err_set(err, WSPR_EINVAL, "%s calls itself %s, its file is named for %s", path,
                       file->plugin.name != NULL ? file->plugin.name : "nothing",
                       name != NULL ? name : "something");
    r = check_claims(&file->plugin, path, err);
    return r < 0 ? r : check_options(&file->plugin, path, err);
}

static int copy_file(int from, int to)
{
    char *chunk = malloc(COPY_CHUNK);
    ssize_t n = chunk != NULL ? 1 : -1;

    while (n > 0) {
        n = read(from, chunk, COPY_CHUNK);
        for (ssize_t done = 0, k = 0; n > 0 && done < n; done += k) {
            k = write(to, chunk + done, (size_t)(n - done));
            if (k < 0) {
                n = -1;
                break;
            }
        }
    }
    free(chunk);
    return n == 0 ? 0 : WSPR_ESYS;
}

/* The loader of the system takes a file that it knows for the one that it has: give it another. */
static void *open_copy(const char *path)
{
    int from = open(path, O_RDONLY | O_CLOEXEC), to = memfd_create("plugin", MFD_CLOEXEC);
    char copy[64];
    void *handle = NULL;

    snprintf(copy, sizeof copy, "/proc/self/fd/%d", to);
    if (from >= 0 && to >= 0 && copy_file(from, to) == 0)
        handle = dlopen(copy, RTLD_NOW | RTLD_LOCAL);
    if (from >= 0)
        close(from);
    /* The descriptor stays: a later file with its number would have the same name. */
    if (to >= 0 && handle == NULL)
        close(to);
    return handle;
}

static int open_plugin(struct plugin_file *file, const char *path, bool private_copy,
                       struct err *err)
{
    const char *why;

    file->handle = private_copy ? open_copy(path) : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (file->handle != NULL)
        return 0;
    why = dlerror();
    if (why == NULL)
        why = "no copy can be made";
    /* The words of the system begin with the path, mostly. */
    return strncmp(why, path, strlen(path)) == 0
               ? err_set(err, WSPR_EINVAL, "cannot load %s", why)
               : err_set(err, WSPR_EINVAL, "cannot load %s: %s", path, why);
}

static void note_identity(struct plugin_file *file, const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return;
    file->dev = st.st_dev;
    file->ino = st.st_ino;
    file->changed = st.st_mtim;
}

int plugin_file_load(struct plugin_file *file, const char *path, const char *name,
                     bool private_copy, struct err *err)
{
    wspr_plugin_entry_fn *entry;
    const struct wspr_plugin *plugin;
    int r = plugin_file_check_owner(path, err);

    *file = (struct plugin_file){0};
    if (r < 0)
        return r;
    note_identity(file, path);
    r = open_plugin(file, path, private_copy, err);
    if (r < 0)
        return r;
    *(void **)(void *)&entry = dlsym(file->handle, "wspr_plugin_entry");
    plugin = entry != NULL ? entry() : NULL;
    if (plugin == NULL)
        r = err_set(err, WSPR_EINVAL, "%s is no wspr plugin: %s", path,
                    entry != NULL ? "its wspr_plugin_entry returns NULL"
                                  : "it has no wspr_plugin_entry");
    else
        r = plugin_file_take(file, plugin, path, name, err);
    if (r < 0)
        plugin_file_close(file);
    return r;
}

bool plugin_file_is_stale(const struct plugin_file *file, const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && (st.st_dev != file->dev || st.st_ino != file->ino ||
                                    st.st_mtim.tv_sec != file->changed.tv_sec ||
                                    st.st_mtim.tv_nsec != file->changed.tv_nsec);
}

void plugin_file_close(struct plugin_file *file)
{
    if (file->handle != NULL)
        dlclose(file->handle);
    file->handle = NULL;
}

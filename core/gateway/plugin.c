/*
 * Loading plugins. Nothing but the three frozen members of the version block is read before the
 * version is accepted; then the tables are stepped through by the sizes that the plugin states.
 */
#include "config.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "gateway/private.h"

#define PLUGIN_PATH_MAX 4096

/* A file that others may write would run their code in this process. */
static int check_owner(const char *path, struct err *err)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return err_set(err, WSPR_ENOTFOUND, "no such file: %s", path);
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
        abi->option_size < sizeof(struct wspr_option))
        return err_set(err, WSPR_EINVAL, "%s has a malformed version block", path);
    return 0;
}

/* Enters the claims into the dispatch table; all or none. */
static int take_claims(struct wspr_host *h, struct err *err)
{
    struct gateway *gw = h->gw;
    const char *row = (const char *)h->plugin.claims;

    for (size_t i = 0; i < h->plugin.n_claims; i++, row += h->plugin.abi.claim_size) {
        const struct wspr_claim *c = (const struct wspr_claim *)(const void *)row;
        unsigned use = c->flags & 3;

        if (c->type >= GATEWAY_TYPES || c->handle == NULL || use == 0)
            return err_set(err, WSPR_EINVAL, "plugin %s makes a malformed claim of type %u",
                           h->name, c->type);
        if (gw->claims[c->type].host != NULL)
            return err_set(err, WSPR_EEXISTS, "message type %u is claimed by %s and by %s", c->type,
                           gw->claims[c->type].host->name, h->name);
        gw->claims[c->type].host = h;
        gw->claims[c->type].claim = *c;
    }
    return 0;
}

static void drop_claims(struct wspr_host *h)
{
    for (size_t i = 0; i < GATEWAY_TYPES; i++) {
        if (h->gw->claims[i].host == h)
            h->gw->claims[i].host = NULL;
    }
}

static void host_free(struct wspr_host *h)
{
    if (h == NULL)
        return;
    drop_claims(h);
    /* The code stays mapped: sanitizers want names, and nothing is loaded twice. */
    free(h->name);
    free(h);
}

int gateway_plugin_add(struct gateway *gw, const struct wspr_plugin *plugin, const char *name,
                       void *handle, struct err *err)
{
    struct wspr_host *h;
    size_t size = plugin->abi.plugin_size;
    int r;

    if (gw->n_hosts == GATEWAY_PLUGINS)
        return err_set(err, WSPR_ELIMIT, "more than %d plugins", GATEWAY_PLUGINS);
    h = calloc(1, sizeof *h);
    if (h == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    h->gw = gw;
    h->handle = handle;
    h->index = gw->n_hosts;
    list_init(&h->posts);
    list_init(&h->timers);
    memcpy(&h->plugin, plugin, size < sizeof h->plugin ? size : sizeof h->plugin);
    h->name = mem_strndup(name, strlen(name));
    if (h->name == NULL) {
        host_free(h);
        return err_set(err, WSPR_ENOMEM, "out of memory");
    }
    if (h->plugin.name == NULL || strcmp(h->plugin.name, name) != 0) {
        r = err_set(err, WSPR_EINVAL, "plugin %s calls itself %s", name,
                    h->plugin.name != NULL ? h->plugin.name : "nothing");
        host_free(h);
        return r;
    }
    r = take_claims(h, err);
    if (r == 0 && h->plugin.load != NULL) {
        r = h->plugin.load(h, &h->ctx);
        if (r < 0)
            err_set(err, r, "plugin %s does not load: %s", name, err_code_text(r));
    }
    if (r < 0) {
        gateway_host_stop(h);
        host_free(h);
        return r;
    }
    gw->hosts[gw->n_hosts++] = h;
    return 0;
}

int gateway_plugin_load(struct gateway *gw, const char *dir, const char *name, struct err *err)
{
    char path[PLUGIN_PATH_MAX];
    const struct wspr_plugin *plugin;
    wspr_plugin_entry_fn *entry;
    void *handle;
    int r;

    if (strchr(name, '/') != NULL ||
        snprintf(path, sizeof path, "%s/%s.so", dir, name) >= (int)sizeof path)
        return err_set(err, WSPR_EINVAL, "malformed plugin name \"%s\"", name);
    r = check_owner(dir, err);
    if (r == 0)
        r = check_owner(path, err);
    if (r < 0)
        return r;
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return err_set(err, WSPR_EINVAL, "cannot load a plugin: %s", dlerror());
    *(void **)(void *)&entry = dlsym(handle, "wspr_plugin_entry");
    plugin = entry != NULL ? entry() : NULL;
    if (plugin == NULL)
        r = err_set(err, WSPR_EINVAL, "%s is no wspr plugin: it has no wspr_plugin_entry", path);
    else
        r = check_version(&plugin->abi, path, err);
    if (r == 0)
        r = gateway_plugin_add(gw, plugin, name, handle, err);
    if (r < 0)
        dlclose(handle);
    return r;
}

void gateway_plugin_unload_all(struct gateway *gw)
{
    while (gw->n_hosts > 0) {
        struct wspr_host *h = gw->hosts[--gw->n_hosts];

        if (h->plugin.unload != NULL)
            h->plugin.unload(h->ctx);
        gateway_host_stop(h);
        host_free(h);
    }
}

int gateway_plugin_open_conn(struct wspr_host *h, struct wspr_conn *c)
{
    struct conn_plugin *p = &c->plugins[h->index];
    int r = 0;

    if (p->open)
        return 0;
    if (h->plugin.conn_open != NULL)
        r = h->plugin.conn_open(h->ctx, c, &p->state);
    p->open = r >= 0;
    return r < 0 ? r : 0;
}

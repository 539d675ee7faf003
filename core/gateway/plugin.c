/*
 * Plugins on a worker: from their files into the dispatch table, and out again.
 *
 *     file -> version, tables, options -> claims -> load -> (connections, flows) -> unload
 *
 * An instance goes only when nothing of it is under way: no flow, no work, no posted call. One
 * whose load failed, or that was replaced, waits for that in gw->leaving or in its slot.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "gateway/private.h"

#define PLUGIN_PATH_MAX 4096

static int clash(const struct wspr_host *h, unsigned type, struct err *err)
{
    return err_set(err, WSPR_EEXISTS, "message type %u is claimed by %s and by %s", type,
                   h->gw->claims[type].host->name, h->name);
}

int gateway_host_check_claims(const struct wspr_host *h, const struct wspr_host *except,
                              struct err *err)
{
    for (size_t i = 0; i < h->plugin.n_claims; i++) {
        unsigned type = plugin_file_claim(&h->plugin, i)->type;
        const struct wspr_host *owner = h->gw->claims[type].host;

        if (owner != NULL && owner != except)
            return clash(h, type, err);
    }
    return 0;
}

void gateway_host_take_claims(struct wspr_host *h)
{
    for (size_t i = 0; i < h->plugin.n_claims; i++) {
        const struct wspr_claim *c = plugin_file_claim(&h->plugin, i);

        h->gw->claims[c->type].host = h;
        h->gw->claims[c->type].claim = *c;
    }
}

void gateway_host_drop_claims(struct wspr_host *h)
{
    for (size_t i = 0; i < GATEWAY_TYPES; i++) {
        if (h->gw->claims[i].host == h)
            h->gw->claims[i].host = NULL;
    }
}

/* The code stays mapped: sanitizers want names, and threads of the plugin may still be in it. */
static void host_free(struct wspr_host *h)
{
    if (h == NULL)
        return;
    gateway_host_drop_claims(h);
    gateway_host_stop(h);
    list_remove(&h->leaving);
    plugin_values_done(&h->values);
    pthread_mutex_destroy(&h->lock);
    free(h->name);
    free(h);
}

/* A slot that no instance has; the connections that there are get room for it. */
static int find_slot(struct wspr_host *h, struct err *err)
{
    struct gateway *gw = h->gw;
    unsigned i = 0;

    while (i < gw->n_hosts && gw->hosts[i] != NULL)
        i++;
    if (i == GATEWAY_PLUGINS)
        return err_set(err, WSPR_ELIMIT, "more than %d plugins", GATEWAY_PLUGINS);
    LIST_FOREACH (node, &gw->conns) {
        if (gateway_conn_fit_plugins(LIST_OBJECT(node, struct wspr_conn, node), i + 1) < 0)
            return err_set(err, WSPR_ENOMEM, "out of memory");
    }
    h->index = i;
    return 0;
}

int gateway_host_new(struct gateway *gw, const struct plugin_file *file,
                     const struct config_file *config, struct wspr_host **ret_h, struct err *err)
{
    struct wspr_host *h = calloc(1, sizeof *h);
    int r;

    if (h == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    pthread_mutex_init(&h->lock, NULL);
    h->gw = gw;
    h->file = *file;
    h->plugin = file->plugin;
    list_init(&h->timers);
    list_init(&h->leaving);
    h->name = mem_strndup(h->plugin.name, strlen(h->plugin.name));
    r = h->name != NULL ? 0 : err_set(err, WSPR_ENOMEM, "out of memory");
    if (r == 0)
        r = plugin_values_read(&h->values, &h->plugin, config, err);
    if (r == 0)
        r = find_slot(h, err);
    if (r < 0) {
        host_free(h);
        return r;
    }
    *ret_h = h;
    return 0;
}

int gateway_host_load(struct wspr_host *h, struct err *err)
{
    struct gateway *gw = h->gw;
    int r = h->plugin.load != NULL ? h->plugin.load(h, &h->ctx) : 0;

    h->ran = !gw->check_only;
    if (r < 0) {
        err_set(err, r, "plugin %s does not load: %s", h->name, err_code_text(r));
        return r;
    }
    gw->hosts[h->index] = h;
    if (h->index == gw->n_hosts)
        gw->n_hosts++;
    return 0;
}

/* ---- out again ---- */

bool gateway_host_close(struct wspr_host *h)
{
    bool idle;

    pthread_mutex_lock(&h->lock);
    h->closing = true;
    idle = h->posts == 0 && h->offloads == 0;
    pthread_mutex_unlock(&h->lock);
    return idle;
}

void gateway_host_discard(struct wspr_host *h)
{
    gateway_host_drop_claims(h);
    gateway_host_stop(h);
    if (!h->ran)
        plugin_file_close(&h->file);
    if (gateway_host_close(h))
        host_free(h);
    else
        list_push_back(&h->gw->leaving, &h->leaving);
}

void gateway_host_settled(struct wspr_host *h)
{
    struct gateway *gw = h->gw;

    if (!list_empty(&h->leaving) && gateway_host_close(h))
        host_free(h);
    else if (h->replaced)
        loop_worker_reap(gw->worker, &gw->drain_task);
    gateway_check_stopped(gw);
}

bool gateway_plugins_close(struct gateway *gw)
{
    bool idle = list_empty(&gw->leaving);

    for (unsigned i = 0; i < gw->n_hosts; i++) {
        if (gw->hosts[i] != NULL && !gateway_host_close(gw->hosts[i]))
            idle = false;
    }
    return idle;
}

void gateway_host_unload(struct wspr_host *h)
{
    h->gw->hosts[h->index] = NULL;
    if (h->plugin.unload != NULL)
        h->plugin.unload(h->ctx);
    if (!h->ran)
        plugin_file_close(&h->file);
    host_free(h);
}

void gateway_plugin_unload_all(struct gateway *gw)
{
    while (gw->n_hosts > 0) {
        gw->n_hosts--;
        if (gw->hosts[gw->n_hosts] != NULL)
            gateway_host_unload(gw->hosts[gw->n_hosts]);
    }
}

/* ---- loading ---- */

static int add(struct gateway *gw, struct plugin_file *file, const struct config_file *config,
               struct err *err)
{
    struct wspr_host *h;
    int r = gateway_host_new(gw, file, config, &h, err);

    if (r < 0) {
        plugin_file_close(file);
        return r;
    }
    r = gateway_host_check_claims(h, NULL, err);
    if (r == 0) {
        gateway_host_take_claims(h);
        /* What is only checked must not touch what a running daemon uses. */
        if (gw->check_only) {
            h->plugin.load = NULL;
            h->plugin.unload = NULL;
        }
        r = gateway_host_load(h, err);
    }
    if (r < 0)
        gateway_host_discard(h);
    return r;
}

int gateway_plugin_add(struct gateway *gw, const struct wspr_plugin *plugin, const char *name,
                       const struct config_file *config, struct err *err)
{
    struct plugin_file file = {0};
    int r = plugin_file_take(&file, plugin, name, name, err);

    return r < 0 ? r : add(gw, &file, config, err);
}

int gateway_plugin_path(const struct gateway *gw, const char *name, char *path, size_t size,
                        struct err *err)
{
    if (name[0] == '\0' || strchr(name, '/') != NULL ||
        snprintf(path, size, "%s/%s.so", gw->plugin_dir, name) >= (int)size)
        return err_set(err, WSPR_EINVAL, "malformed plugin name \"%s\"", name);
    return plugin_file_check_owner(gw->plugin_dir, err);
}

int gateway_plugin_load(struct gateway *gw, const char *name, const struct config_file *config,
                        struct err *err)
{
    char path[PLUGIN_PATH_MAX];
    struct plugin_file file;
    int r = gateway_plugin_path(gw, name, path, sizeof path, err);

    if (r == 0)
        r = plugin_file_load(&file, path, name, false, err);
    return r < 0 ? r : add(gw, &file, config, err);
}

/* ---- connections ---- */

int gateway_conn_fit_plugins(struct wspr_conn *c, unsigned n)
{
    struct conn_plugin *grown;

    if (n <= c->n_plugins)
        return 0;
    grown = realloc(c->plugins, n * sizeof *grown);
    if (grown == NULL)
        return WSPR_ENOMEM;
    memset(grown + c->n_plugins, 0, (n - c->n_plugins) * sizeof *grown);
    c->plugins = grown;
    c->n_plugins = n;
    return 0;
}

int gateway_plugin_open_conn(struct wspr_host *h, struct wspr_conn *c)
{
    void *state = NULL;
    int r = 0;

    if (c->plugins[h->index].open)
        return 0;
    if (h->plugin.conn_open != NULL)
        r = h->plugin.conn_open(h->ctx, c, &state);
    c->plugins[h->index].state = state;
    c->plugins[h->index].open = r >= 0;
    return r < 0 ? r : 0;
}

bool gateway_plugin_close_conn(struct wspr_host *h, struct wspr_conn *c)
{
    struct conn_plugin *p = &c->plugins[h->index];

    if (p->flows > 0)
        return false;
    if (!p->open)
        return true;
    p->open = false;
    if (h->plugin.conn_close != NULL)
        h->plugin.conn_close(h->ctx, c, p->state);
    c->plugins[h->index].state = NULL;
    return true;
}

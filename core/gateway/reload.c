/*
 * Replacing one plugin while it is in use.
 *
 *     new instance loaded from a copy of the file -> it takes the claims
 *     old instance: its flows go on -> the connections that have none left are closed to it
 *                   -> no connection, work or post left -> unload
 */
#include "config.h"

#include <stdlib.h>

#include "gateway/private.h"

#define PLUGIN_PATH_MAX 4096

static struct wspr_host *find_plugin(struct gateway *gw, const char *name)
{
    for (unsigned i = 0; i < gw->n_hosts; i++) {
        struct wspr_host *h = gw->hosts[i];

        if (h != NULL && !h->replaced && strcmp(h->name, name) == 0)
            return h;
    }
    return NULL;
}

/* Whether the connection may forget the old instance: nothing there would call it any more. */
static bool conn_needs(const struct wspr_conn *c, const struct wspr_host *h)
{
    return c->plugins[h->index].flows > 0 ||
           (c->plugins[h->index].open && (!list_empty(&c->calls) || !list_empty(&c->sig_waits))) ||
           gateway_server_belongs(&c->servers, h);
}

static bool drained(struct wspr_host *h)
{
    bool idle = !gateway_server_belongs(&h->gw->orphans, h);

    LIST_FOREACH_SAFE (node, after, &h->gw->conns) {
        struct wspr_conn *c = LIST_OBJECT(node, struct wspr_conn, node);

        if (h->index >= c->n_plugins)
            continue;
        if (conn_needs(c, h) || !gateway_plugin_close_conn(h, c))
            idle = false;
    }
    return idle;
}

void gateway_drain(void *arg)
{
    struct gateway *gw = arg;

    for (unsigned i = 0; i < gw->n_hosts; i++) {
        struct wspr_host *h = gw->hosts[i];

        if (h == NULL || !h->replaced || !drained(h) || !gateway_host_close(h))
            continue;
        log_write(gw->log, LOG_LEVEL_INFO, "gateway", "the former instance of plugin %s is gone",
                  h->name);
        gateway_host_unload(h);
        gw->n_draining--;
    }
    gateway_check_stopped(gw);
}

static int load_new(struct gateway *gw, struct wspr_host *old, const char *path,
                    const struct config_file *config, struct wspr_host **ret_h, struct err *err)
{
    struct plugin_file file;
    struct wspr_host *h;
    int r = plugin_file_load(&file, path, old->name, true, err);

    if (r < 0)
        return r;
    r = gateway_host_new(gw, &file, config, &h, err);
    if (r < 0) {
        plugin_file_close(&file);
        return r;
    }
    r = gateway_host_check_claims(h, old, err);
    if (r == 0)
        r = gateway_host_load(h, err);
    if (r < 0) {
        gateway_host_discard(h);
        return r;
    }
    *ret_h = h;
    return 0;
}

/* Whether the plugin's file or its section of the configuration is another one now. */
static int is_changed(const struct wspr_host *h, const char *path, const struct config_file *config,
                      struct err *err)
{
    struct plugin_values values = {0};
    int r;

    if (h->file.handle == NULL)
        return 0;
    if (plugin_file_is_stale(&h->file, path))
        return 1;
    r = plugin_values_read(&values, &h->plugin, config, err);
    if (r < 0)
        return r;
    r = !plugin_values_equal(&values, &h->values);
    plugin_values_done(&values);
    return r;
}

int gateway_plugin_reload(struct gateway *gw, const char *name, const struct config_file *config,
                          struct err *err)
{
    struct wspr_host *old = find_plugin(gw, name), *h = NULL;
    char path[PLUGIN_PATH_MAX];
    int r;

    if (gw->stopping || old == NULL)
        return err_set(err, WSPR_ENOTFOUND, "no plugin %s is loaded", name);
    r = gateway_plugin_path(gw, name, path, sizeof path, err);
    if (r == 0)
        r = load_new(gw, old, path, config, &h, err);
    if (r < 0)
        return r;
    gateway_host_drop_claims(old);
    gateway_host_take_claims(h);
    old->replaced = true;
    gw->n_draining++;
    loop_worker_reap(gw->worker, &gw->drain_task);
    return 0;
}

unsigned gateway_reload(struct gateway *gw, const struct config_file *config)
{
    char path[PLUGIN_PATH_MAX];
    unsigned failed = 0;

    for (unsigned i = 0, n = gw->n_hosts; i < n; i++) {
        struct wspr_host *h = gw->hosts[i];
        struct err e = ERR_INIT;
        int r;

        if (h == NULL || h->replaced)
            continue;
        r = gateway_plugin_path(gw, h->name, path, sizeof path, &e);
        if (r == 0)
            r = is_changed(h, path, config, &e);
        if (r > 0) {
            r = gateway_plugin_reload(gw, h->name, config, &e);
            if (r == 0)
                log_write(gw->log, LOG_LEVEL_INFO, "gateway", "plugin %s is loaded anew", h->name);
        }
        if (r < 0) {
            failed++;
            log_write(gw->log, LOG_LEVEL_ERROR, "gateway", "plugin %s stays as it is: %s", h->name,
                      err_text(&e));
        }
        err_done(&e);
    }
    return failed;
}

#include "config.h"
#include "gwrig.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/rpc/raw.h"
#include "base/clock.h"
#include "tap.h"

static void need(bool ok, const char *what)
{
    if (!ok) {
        printf("Bail out! %s\n", what);
        exit(99);
    }
}

bool gw_until(struct gw *g, bool (*done)(void *arg), void *arg, int timeout_ms)
{
    return raw_until(g->w, done, arg, timeout_ms);
}

static bool never(void *arg)
{
    return false;
}

void gw_run(struct gw *g, int ms)
{
    gw_until(g, never, NULL, ms);
}

static void init_service(struct gw *g, const struct gw_opts *opts)
{
    struct rig_opts o = {.w = g->w, .offload = opts->offload};

#ifdef SERVE_OVER_TCP
    o.tcp_only = true;
#endif

    rig_ids_init(&g->ids);
    o.trust = g->ids.trust;
    o.identity = g->ids.server;
    rig_init(&g->service, &o);
    o.identity = g->ids.client;
    o.limits = opts->rpc;
    rig_init(&g->client, &o);
    slow_init(&g->slow);
    g->slow.trust = g->ids.trust;
    g->server = rig_serve(&g->service, &g->slow.dispatcher, g->endpoint);
}

static void init_accounts(struct gw *g, const struct gw_opts *opts)
{
    struct accounts_opts o = opts->store;
    struct err e = ERR_INIT;

    o.worker = g->w;
    o.offload = g->offload;
    o.log = &g->log;
    o.host = g->ids.client;
    if (accounts_new(&o, &g->accounts, &e) < 0)
        tap_note("accounts: %s", err_text(&e));
    need(g->accounts != NULL, "no accounts");
    err_done(&e);
}

void gw_init(struct gw *g, const struct gw_opts *opts)
{
    struct gateway_opts o = {
        .log = &g->log,
        .roots = opts->roots,
        .proxy = opts->proxy,
        .strict_utf8 = opts->strict_utf8,
        .limits = opts->limits,
    };
    struct err e = ERR_INIT;
    int r = 0;

    *g = (struct gw){.log = {getenv("GW_TEST_LOG") != NULL ? 2 : -1, LOG_LEVEL_DEBUG}};
    if (opts->log_to_text)
        g->log.fd = memfd_create("log", MFD_CLOEXEC);
    need(loop_worker_new(NULL, &g->w, NULL) == 0, "no worker");
    need(loop_offload_new(NULL, &g->offload, NULL) == 0, "no pool");
    g->with_service = opts->service;
    if (opts->service) {
        init_service(g, opts);
        o.runtime = g->client.rt;
    }
    if (opts->accounts)
        init_accounts(g, opts);
    o.accounts = g->accounts;
    o.associate_from = opts->associate_from;
    o.allowed_origins = opts->allowed_origins;
    o.worker = g->w;
    o.offload = g->offload;
    r = gateway_new(&o, &g->gateway, &e);
    for (size_t i = 0; i < 8 && opts->plugins[i] != NULL && r == 0; i++)
        r = gateway_plugin_add(g->gateway, opts->plugins[i], opts->plugins[i]->name, NULL, &e);
    if (r == 0)
        r = gateway_listen(g->gateway, "127.0.0.1:0", &e);
    if (r < 0)
        tap_note("gateway: %s", err_text(&e));
    need(r == 0, "no gateway");
    err_done(&e);
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static bool is_set(void *arg)
{
    return *(bool *)arg;
}

bool gw_stop(struct gw *g, int timeout_ms)
{
    if (g->gateway == NULL)
        return true;
    gateway_stop(g->gateway, set_flag, &g->stopped);
    g->gateway = NULL;
    return gw_until(g, is_set, &g->stopped, timeout_ms);
}

void gw_done(struct gw *g)
{
    if (!gw_stop(g, GW_TIMEOUT_MS))
        need(false, "the gateway does not stop");
    if (g->accounts != NULL) {
        bool stopped = false;

        accounts_stop(g->accounts, set_flag, &stopped);
        if (!gw_until(g, is_set, &stopped, GW_TIMEOUT_MS))
            need(false, "the accounts do not stop");
    }
    if (g->with_service) {
        rig_done(&g->client, false);
        rig_stop(&g->service, g->server, 0);
        rig_done(&g->service, false);
        rig_ids_done(&g->ids);
    }
    loop_offload_free(g->offload);
    loop_worker_free(g->w);
    if (g->log.fd > 2)
        close(g->log.fd);
    free(g->log_text);
}

const char *gw_log(struct gw *g)
{
    off_t len = lseek(g->log.fd, 0, SEEK_CUR);
    ssize_t n;

    free(g->log_text);
    g->log_text = malloc((size_t)len + 1);
    need(g->log_text != NULL, "no memory");
    n = pread(g->log.fd, g->log_text, (size_t)len, 0);
    g->log_text[n > 0 ? n : 0] = '\0';
    return g->log_text;
}

struct conns {
    struct gw *g;
    unsigned n;
};

static bool has_conns(void *arg)
{
    struct conns *c = arg;

    return gateway_stats(c->g->gateway)->conns == c->n;
}

bool gw_wait_conns(struct gw *g, unsigned n)
{
    struct conns c = {g, n};

    return gw_until(g, has_conns, &c, GW_TIMEOUT_MS);
}

int gw_mute_server(char endpoint[256])
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    need(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 16) == 0 &&
             getsockname(fd, (struct sockaddr *)&a, &len) == 0,
         "no listening socket");
    snprintf(endpoint, 256, "/@2@tcp@127.0.0.1:%u@0123456789abcdef0123456789abcdef@1@2@@",
             ntohs(a.sin_port));
    return fd;
}

#include "config.h"
#include "gateway/gateway.h"

#include <stdlib.h>

#include <gnutls/crypto.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/private.h"
#include "gateway/reading.h"
#include "loop/addr.h"
#include "naming/endpoint.h"
#include "ws/origin.h"
#include "rpc/server.h"

#define SPARES 256 /* ended objects of each kind whose memory is kept for the next ones */

static const struct gateway_limits gateway_limits_default = {
    .conns = 65536,
    .flows_per_conn = 4096,
    .kept_per_flow = 1024 * 1024,
    .kept_per_conn = 16 * 1024 * 1024,
    .calls_per_conn = 64 * 1024 * 1024,
    .message_max = 16 * 1024 * 1024,
    .out_soft = 256 * 1024,
    .out_hard = 64 * 1024 * 1024,
    .out_total = 512 * 1024 * 1024,
    .in_total = 512 * 1024 * 1024,
    .signatures = 1024,
    .signature_bytes = 16 * 1024 * 1024,
    .servers_per_conn = 128,
    .names_per_server = 256,
    .invocations = 1024,
    .service_bytes = 1024 * 1024,
    .lookup_timeout = 10 * CLOCK_S,
    .signature_ttl = 3600 * CLOCK_S,
    .handshake_timeout = 10 * CLOCK_S,
    .ping_period = 50 * CLOCK_S,
    .read_timeout = 60 * CLOCK_S,
    .stall_timeout = 10 * CLOCK_S,
    .cancel_grace = 30 * CLOCK_S,
};

static void limits_complete(struct gateway_limits *l)
{
    const struct gateway_limits *d = &gateway_limits_default;

#define TAKE(member)                                                                               \
    if (l->member == 0)                                                                            \
    l->member = d->member
    TAKE(conns);
    TAKE(flows_per_conn);
    TAKE(kept_per_flow);
    TAKE(kept_per_conn);
    TAKE(calls_per_conn);
    TAKE(message_max);
    TAKE(out_soft);
    TAKE(out_hard);
    TAKE(out_total);
    TAKE(in_total);
    TAKE(signatures);
    TAKE(signature_bytes);
    TAKE(servers_per_conn);
    TAKE(names_per_server);
    TAKE(invocations);
    TAKE(service_bytes);
    TAKE(lookup_timeout);
    TAKE(signature_ttl);
    TAKE(handshake_timeout);
    TAKE(ping_period);
    TAKE(read_timeout);
    TAKE(stall_timeout);
    TAKE(cancel_grace);
#undef TAKE
}

static void free_spares(struct gateway *gw, struct list *(*take)(struct spares *))
{
    gateway_flow_free_spares(gw, take);
    gateway_call_free_spares(gw, take);
    gateway_sig_free_spares(gw, take);
}

void gateway_tidy(struct gateway *gw)
{
    free_spares(gw, spares_take_idle);
}

static void gateway_free(struct gateway *gw)
{
    if (gw == NULL)
        return;
    loop_timer_stop(&gw->stop_timer);
    loop_task_cancel(&gw->relief);
    loop_task_cancel(&gw->input_relief);
    loop_task_cancel(&gw->drain_task);
    gateway_plugin_unload_all(gw);
    free_spares(gw, spares_take);
    reading_destroy(gw->spare_reading);
    loop_listener_free(gw->listener);
    rpc_listener_free(gw->peers);
    arena_done(&gw->scratch);
    arena_done(&gw->convert);
    buf_done(&gw->text);
    policy_done(&gw->associate_from);
    policy_done(&gw->allowed_origins);
    loop_tls_unref(gw->tls);
    free(gw->plugin_dir);
    free(gw->roots);
    free(gw->proxy);
    free(gw->peer_listen);
    free(gw->peer_advertise);
    free(gw);
}

/* Something still runs that would come back to the gateway. */
static bool gateway_is_busy(const struct gateway *gw)
{
    if (!list_empty(&gw->conns) || !list_empty(&gw->orphans))
        return true;
    for (unsigned i = 0; i < gw->n_hosts; i++) {
        if (gw->hosts[i] != NULL && gw->hosts[i]->offloads > 0)
            return true;
    }
    return !list_empty(&gw->leaving);
}

static void gateway_stopped(void *arg)
{
    struct gateway *gw = arg;
    void (*stopped)(void *) = gw->stopped;
    void *stopped_arg = gw->stopped_arg;

    if (!gw->abandoned) {
        if (gateway_is_busy(gw) || !gateway_plugins_close(gw))
            return; /* a plugin began something meanwhile: its end comes back here */
        gateway_free(gw);
    }
    if (stopped != NULL)
        stopped(stopped_arg);
}

/*
 * A plugin holds on to flows or work for too long. Its handles have to stay valid, so that all of
 * this stays too, and whoever waits for the end goes on without it.
 */
static void gateway_give_up(void *arg)
{
    struct gateway *gw = arg;

    log_write(gw->log, LOG_LEVEL_ERROR, "gateway",
              "plugins do not finish what they began: stopping without them");
    gw->abandoned = true;
    gateway_sig_fetch_drop(gw);
    loop_worker_reap(gw->worker, &gw->stop_task);
}

/* Keeps a copy of a text that is not empty; text NULL: nothing. */
static int keep_text(char **ret, const char *text, struct err *err)
{
    if (text == NULL || text[0] == '\0')
        return 0;
    *ret = mem_strndup(text, strlen(text));
    return *ret != NULL ? 0 : err_set(err, WSPR_ENOMEM, "out of memory");
}

static int keep_texts(struct gateway *gw, const struct gateway_opts *opts, struct err *err)
{
    int r = keep_text(&gw->proxy, opts->proxy, err);

    if (r == 0)
        r = keep_text(&gw->peer_listen,
                      opts->peer_listen != NULL ? opts->peer_listen : "127.0.0.1:0", err);
    if (r == 0)
        r = keep_text(&gw->plugin_dir, opts->plugin_dir != NULL ? opts->plugin_dir : ".", err);
    if (r == 0)
        r = keep_text(&gw->peer_advertise, opts->peer_advertise, err);
    if (r == 0 && opts->roots != NULL) {
        gw->roots = mem_strndup(opts->roots, strlen(opts->roots));
        if (gw->roots == NULL)
            r = err_set(err, WSPR_ENOMEM, "out of memory");
    }
    return r;
}

static int take_policies(struct gateway *gw, const struct gateway_opts *opts, struct err *err)
{
    int r = policy_parse(
        &gw->associate_from,
        opts->associate_from != NULL ? opts->associate_from : GATEWAY_ASSOCIATE_FROM, err);

    if (r < 0)
        return err_prefix(err, 0, "associate-from: ");
    r = policy_parse(&gw->allowed_origins,
                     opts->allowed_origins != NULL ? opts->allowed_origins : "", err);
    return r < 0 ? err_prefix(err, 0, "allowed-origins: ") : 0;
}

/* What pages serve is listened for much later, when nobody could be told that this is wrong. */
static int check_peer_addresses(const struct gateway *gw, struct err *err)
{
    char told[NAMING_ADDRESS_MAX + 1];
    int r = loop_addr_check(gw->peer_listen, err);

    if (r < 0)
        return err_prefix(err, 0, "peer-listen: ");
    r = naming_address_advertised(gw->peer_listen, gw->peer_advertise, told, err);
    return r < 0 ? err_prefix(err, 0, "peer-advertise: ") : 0;
}

/* *ret_tls is NULL if neither is named. */
static int read_tls(const char *cert_file, const char *key_file, struct loop_tls **ret_tls,
                    struct err *err)
{
    bool cert = cert_file != NULL && cert_file[0] != '\0';
    bool key = key_file != NULL && key_file[0] != '\0';

    *ret_tls = NULL;
    if (!cert && !key)
        return 0;
    if (!cert || !key)
        return err_set(err, WSPR_EINVAL, "tls-cert and tls-key belong together: %s is missing",
                       cert ? "tls-key" : "tls-cert");
    return loop_tls_new(cert_file, key_file, ret_tls, err);
}

int gateway_reload_tls(struct gateway *gw, const char *cert_file, const char *key_file)
{
    struct loop_tls *fresh;
    struct err e = ERR_INIT;
    int r;

    if (gw->tls == NULL)
        return 0;
    r = read_tls(cert_file, key_file, &fresh, &e);
    if (r == 0 && fresh == NULL)
        r = err_set(&e, WSPR_EINVAL, "tls-cert and tls-key are missing");
    if (r == 0) {
        loop_tls_unref(gw->tls); /* connections that stand have references of their own */
        gw->tls = fresh;
        log_write(gw->log, LOG_LEVEL_INFO, "gateway", "the certificate is read anew");
    } else {
        log_write(gw->log, LOG_LEVEL_ERROR, "gateway", "the certificate stays as it is: %s",
                  err_text(&e));
    }
    err_done(&e);
    return r;
}

/* A broken plugin that is optional costs its own types, and a line in the log. */
static int load_plugins(struct gateway *gw, const struct gateway_opts *opts, struct err *err)
{
    struct err e = ERR_INIT;
    int r = 0;

    for (size_t i = 0; i < opts->n_plugins && r == 0; i++)
        r = gateway_plugin_load(gw, opts->plugins[i], opts->config, err);
    for (size_t i = 0; i < opts->n_optional && r == 0; i++) {
        if (gateway_plugin_load(gw, opts->optional[i], opts->config, &e) < 0) {
            gw->stats.plugins_left_out++;
            log_write(gw->log, LOG_LEVEL_WARN, "gateway", "plugin %s is left out: %s",
                      opts->optional[i], err_text(&e));
            err_done(&e);
            e = ERR_INIT;
        }
    }
    return r;
}

/* Ends a gateway that did not start; what its plugins began already has to come back first. */
static void gateway_discard(struct gateway *gw)
{
    gw->stopping = true;
    if (gateway_plugins_close(gw) && !gateway_is_busy(gw))
        gateway_free(gw);
}

int gateway_new(const struct gateway_opts *opts, struct gateway **ret_gw, struct err *err)
{
    struct gateway *gw = calloc(1, sizeof *gw);
    int r = 0;

    if (gw == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    gw->worker = opts->worker;
    gw->offload = opts->offload;
    gw->runtime = opts->runtime;
    gw->log = opts->log;
    gw->accounts = opts->accounts;
    gw->check_only = opts->check_only;
    gw->strict_utf8 = opts->strict_utf8;
    gw->limits = opts->limits;
    limits_complete(&gw->limits);
    list_init(&gw->conns);
    list_init(&gw->orphans);
    list_init(&gw->mounting);
    spares_init(&gw->spare_flows, SPARES);
    spares_init(&gw->spare_calls, SPARES);
    spares_init(&gw->spare_waits, SPARES);
    list_init(&gw->leaving);
    loop_task_init(&gw->drain_task, gateway_drain, gw);
    loop_task_init(&gw->stop_task, gateway_stopped, gw);
    loop_task_init(&gw->relief, gateway_relieve, gw);
    loop_task_init(&gw->input_relief, gateway_relieve_input, gw);
    loop_timer_init(&gw->stop_timer, gw->worker, gateway_give_up, gw);
    arena_init(&gw->scratch, (size_t)gw->limits.message_max * 2);
    arena_init(&gw->convert, (size_t)gw->limits.message_max * 4);
    buf_init(&gw->text, (size_t)gw->limits.out_hard);
    if (gnutls_rnd(GNUTLS_RND_NONCE, &gw->hash_key, sizeof gw->hash_key) < 0)
        r = err_set(err, WSPR_ECRYPTO, "no random numbers can be had");
    if (r == 0)
        r = keep_texts(gw, opts, err);
    if (r == 0)
        r = check_peer_addresses(gw, err);
    if (r == 0)
        r = take_policies(gw, opts, err);
    if (r == 0)
        r = read_tls(opts->tls_cert, opts->tls_key, &gw->tls, err);
    if (r == 0)
        r = load_plugins(gw, opts, err);
    if (r < 0) {
        gateway_discard(gw);
        return r;
    }
    *ret_gw = gw;
    return 0;
}

static void gateway_accepted(void *arg, int fd, const struct loop_addr *peer)
{
    gateway_conn_accept(arg, fd, peer);
}

static void gateway_trouble(void *arg, const struct err *why)
{
    struct gateway *gw = arg;

    log_write(gw->log, LOG_LEVEL_WARN, "gateway", "accepting connections pauses: %s",
              err_text(why));
}

static const struct loop_listener_ops gateway_listener_ops = {
    .accepted = gateway_accepted,
    .trouble = gateway_trouble,
};

/*
 * What pages say and get on an address that others reach, private keys included, could be read on
 * the way, and any page that anybody looks at could connect.
 */
int gateway_check_address(const struct gateway *gw, const char *address, struct err *err)
{
    const char *text, *port;
    struct ws_origin host;
    struct loop_addr addr;
    size_t len;
    int r = loop_addr_check(address, err);

    if (r < 0)
        return r;
    loop_addr_split(address, &text, &len, &port, NULL);
    if (loop_addr_literal(&addr, text, len, 0, true)
            ? loop_addr_is_loopback(&addr)
            : ws_host_parse(span_of(text, len), &host) == 0 && ws_host_is_loopback(&host))
        return 0;
    if (gw->tls != NULL && gw->allowed_origins.n > 0)
        return 0;
    return err_set(err, WSPR_ENOTAUTH,
                   "refusing to listen on %s: an address that is not of this machine alone needs "
                   "%s%s%s",
                   address, gw->tls == NULL ? "TLS (tls-cert, tls-key)" : "",
                   gw->tls == NULL && gw->allowed_origins.n == 0 ? " and " : "",
                   gw->allowed_origins.n == 0 ? "a list of origins (allowed-origins)" : "");
}

int gateway_listen(struct gateway *gw, const char *address, struct err *err)
{
    int r = gateway_check_address(gw, address, err);

    if (r < 0)
        return r;
    return loop_listener_new(gw->worker, address, &gateway_listener_ops, gw, &gw->listener, err);
}

const struct loop_addr *gateway_addr(const struct gateway *gw)
{
    return loop_listener_addr(gw->listener);
}

uint16_t gateway_port(const struct gateway *gw)
{
    const struct loop_addr *a = gateway_addr(gw);

    return ntohs(a->u.sa.sa_family == AF_INET6 ? a->u.in6.sin6_port : a->u.in.sin_port);
}

void gateway_check_stopped(struct gateway *gw)
{
    if (!gw->stopping || gw->abandoned || gateway_is_busy(gw))
        return;
    gateway_sig_fetch_drop(gw);
    loop_worker_reap(gw->worker, &gw->stop_task);
}

void gateway_stop(struct gateway *gw, void (*done)(void *arg), void *arg)
{
    gw->stopping = true;
    gw->stopped = done;
    gw->stopped_arg = arg;
    loop_listener_free(gw->listener);
    gw->listener = NULL;
    LIST_FOREACH_SAFE (node, after, &gw->conns)
        gateway_conn_close(LIST_OBJECT(node, struct wspr_conn, node), WS_CLOSE_GOING_AWAY,
                           "the gateway stops");
    /* Longer than what connections give their plugins before they complain. */
    loop_timer_start(&gw->stop_timer, gw->limits.cancel_grace + CLOCK_S);
    gateway_check_stopped(gw);
}

const struct gateway_stats *gateway_stats(const struct gateway *gw)
{
    return &gw->stats;
}

/*
 * wspr-proxyd: a relay as a process of its own (spec: stream 12). Servers that cannot be reached
 * listen through it. It listens, prints where, mounts itself, and serves until a signal ends it.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "daemon.h"
#include "rpc/publisher.h"
#include "services/proxy.h"

#define UNPUBLISH_TIME (5 * CLOCK_S)

struct proxyd_opts {
    struct daemon_opts common;
    const char *address, *published_address, *name, *http, *healthz_address;
    int64_t registrations, circuits, circuit_queue, peer_queue, total_queue;
    int64_t handshake_time, idle_time, stall_time, connections;
};

struct proxyd {
    struct daemon d;
    struct proxy *proxy;
};

#define LIMIT(option, member, unit, text)                                                          \
    {                                                                                              \
        .name = option, .type = CONFIG_INT, .offset = offsetof(struct proxyd_opts, member),        \
        .def = "0", .arg = unit, .help = text, .min = 0, .max = INT32_MAX                          \
    }

static const struct config_option proxyd_options[] = {
    {.name = "address",
     .type = CONFIG_STRING,
     .offset = offsetof(struct proxyd_opts, address),
     .def = ":0",
     .arg = "HOST:PORT",
     .help = "address to listen on; no host: all of this machine,\nport 0: any free one"},
    DAEMON_PUBLISHED_ADDRESS(struct proxyd_opts, published_address),
    {.name = "name",
     .type = CONFIG_STRING,
     .offset = offsetof(struct proxyd_opts, name),
     .def = "",
     .arg = "NAME",
     .help = "name to be mounted under; needs NAMESPACE_ROOT"},
    LIMIT("max-connections", connections, "N", "connections; 0: 4096"),
    LIMIT("max-registrations", registrations, "N", "servers on one connection; 0: 16"),
    LIMIT("max-circuits", circuits, "N", "circuits of one connection; 0: 4096"),
    LIMIT("circuit-queue", circuit_queue, "BYTES",
          "that may wait for one end of a circuit; 0: 8 MiB"),
    LIMIT("peer-queue", peer_queue, "BYTES", "that may wait for one connection; 0: 32 MiB"),
    LIMIT("total-queue", total_queue, "BYTES", "that may wait for all of them; 0: 256 MiB"),
    LIMIT("handshake-time", handshake_time, "SECONDS",
          "until a server must have registered; 0: 30"),
    LIMIT("idle-time", idle_time, "SECONDS", "until a connection without use is closed; 0: 120"),
    LIMIT("stall-time", stall_time, "SECONDS", "until one that takes nothing is closed; 0: 30"),
    {.name = "http",
     .type = CONFIG_STRING,
     .offset = offsetof(struct proxyd_opts, http),
     .def = "",
     .arg = "HOST:PORT",
     .help = "status page: not served by this program, ignored"},
    {.name = "healthz_address",
     .type = CONFIG_STRING,
     .offset = offsetof(struct proxyd_opts, healthz_address),
     .def = "",
     .arg = "HOST:PORT",
     .help = "health page: not served by this program, ignored"},
    DAEMON_OPTIONS(struct proxyd_opts),
};

static const struct config_table proxyd_table = {
    proxyd_options,
    sizeof proxyd_options / sizeof proxyd_options[0],
};

static const char about[] =
    "Relays circuits to servers that listen through it. The endpoint that it prints, or the name,\n"
    "is what they are given for a relay.\n\n";

static int proxyd_publish(struct proxyd *p, const char *name, struct err *err)
{
    char server[512];
    int n = snprintf(server, sizeof server, "/%s", proxy_endpoint(p->proxy));
    int r;

    if (name[0] == '\0')
        return 0;
    p->d.publisher = rpc_publisher_new(p->d.rt, NULL, NULL);
    if (p->d.publisher == NULL || n < 0)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    /* Without slashes behind it, so that servers resolve the name to a mere address (naming 8). */
    r = rpc_publisher_add_server(p->d.publisher, span_of(server, (size_t)n));
    if (r < 0)
        return err_set(err, r, "%s", err_code_text(r));
    return daemon_publish(&p->d, name, true, err);
}

static int proxyd_start(struct proxyd *p, const struct proxyd_opts *o, struct err *err)
{
    struct proxy_opts opts = {
        .log = &p->d.log,
        .legacy_peers = daemon_legacy_peers(&o->common),
        .address = o->address,
        .advertise = o->published_address,
        .limits =
            {
                .connections = (unsigned)o->connections,
                .registrations = (unsigned)o->registrations,
                .circuits = (unsigned)o->circuits,
                .circuit_queue = (size_t)o->circuit_queue,
                .peer_queue = (size_t)o->peer_queue,
                .total_queue = (size_t)o->total_queue,
                .handshake_time = o->handshake_time * CLOCK_S,
                .idle_time = o->idle_time * CLOCK_S,
                .stall_time = o->stall_time * CLOCK_S,
            },
    };
    int r = daemon_begin(&p->d, &o->common, err);

    if (r < 0)
        return r;
    if (o->http[0] != '\0' || o->healthz_address[0] != '\0')
        log_write(&p->d.log, LOG_LEVEL_WARN, "proxyd",
                  "there are no status and health pages: --http and --healthz_address are ignored");
    opts.worker = p->d.worker;
    opts.offload = p->d.offload;
    opts.identity = p->d.identity;
    r = proxy_new(&opts, &p->proxy, err);
    if (r == 0)
        r = proxyd_publish(p, o->name, err);
    return r < 0 ? r : daemon_announce(&p->d, err, "Listening at: %s", proxy_endpoint(p->proxy));
}

/* ---- the end ---- */

static void proxyd_unpublished(void *arg)
{
    struct proxyd *p = arg;

    p->d.publisher = NULL;
    if (p->proxy != NULL)
        proxy_stop(p->proxy, daemon_stopped, &p->d);
    else
        daemon_stopped(&p->d);
}

static void proxyd_stop(struct daemon *d)
{
    struct proxyd *p = (struct proxyd *)d;

    if (!rpc_publisher_stop(p->d.publisher, UNPUBLISH_TIME, proxyd_unpublished, p))
        proxyd_unpublished(p);
}

int main(int argc, char **argv)
{
    struct proxyd_opts o = {0};
    struct proxyd p = {.d = {.program = "wspr-proxyd", .stop = proxyd_stop}};
    struct err e = ERR_INIT;
    int status;

    if (!daemon_parse(p.d.program, about, &proxyd_table, argc, argv, &o, &o.common, &status))
        return status;
    status = daemon_run(&p.d, proxyd_start(&p, &o, &e), &e);
    daemon_end(&p.d);
    err_done(&e);
    return status;
}

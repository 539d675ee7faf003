/*
 * The gateway: WebSocket connections of pages, the handler plugins that serve their messages, and
 * what these need of the network.
 *
 *     socket -> http head -> frames -> envelope -> dispatch table -> plugin
 *                                                                      |
 *     socket <- frames <- envelope <---- flow (send, finish, fail) <---+--> calls, signatures
 *
 * A gateway belongs to one worker; everything here is used on its loop.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/span.h"
#include "loop/addr.h"

struct accounts;
struct config_file;
struct gateway;
struct loop_offload;
struct loop_worker;
struct rpc_runtime;

struct gateway_limits {
    uint32_t conns;            /* connections at once */
    uint32_t flows_per_conn;   /* flows that one page may have open */
    uint32_t kept_per_flow;    /* bytes of stream values that wait until a call is up */
    uint32_t kept_per_conn;    /* the same for all flows of a page */
    uint32_t calls_per_conn;   /* bytes that a page's calls keep, with arguments not yet sent, and
                                  names of which it wants to know the signature */
    uint32_t message_max;      /* bytes of one message of a page */
    uint32_t out_soft;         /* bytes queued to a page from which senders are told to wait */
    uint32_t out_hard;         /* bytes queued to a page that end its connection */
    uint64_t out_total;        /* bytes that wait for all pages and end the one with most of them */
    uint64_t in_total;         /* bytes kept of the messages of all pages that end the one with most
                                  of them */
    uint32_t signatures;       /* signatures that one connection caches */
    uint32_t signature_bytes;  /* and their memory */
    uint32_t servers_per_conn; /* servers of one page */
    uint32_t names_per_server; /* names that one of them is published under */
    uint32_t invocations;      /* calls that one page has not answered yet */
    uint32_t service_bytes;    /* memory of the description of a server, and bytes of its names */
    int64_t lookup_timeout;    /* nanoseconds for fetching a signature */
    int64_t signature_ttl;     /* nanoseconds after its last use that a cached one is good */
    int64_t handshake_timeout; /* nanoseconds for the HTTP head */
    int64_t ping_period;       /* nanoseconds between pings */
    int64_t read_timeout;      /* nanoseconds without any frame until the connection ends */
    int64_t stall_timeout;     /* nanoseconds that one full stream may hold up its connection */
    int64_t cancel_grace;      /* nanoseconds until an unfinished flow is its plugin's fault */
};

/* Counters only grow; `conns` to `pending`, `out_bytes` and `in_bytes` are gauges. */
struct gateway_stats {
    uint64_t accepted, refused, upgraded, http_answers;
    uint64_t messages_in, frames_out;
    uint64_t bad_envelopes, unknown_types, dropped_messages;
    uint64_t flows_opened, flows_failed, calls, signatures_fetched, signatures_cached;
    uint64_t err_flow_limit, err_kept, err_timeout, err_protocol, err_memory, err_plugin;
    uint64_t served, invocations, invocations_lost; /* lost: over without an answer of the page */
    uint64_t associations, associations_refused;
    uint64_t err_server_limit, err_name_limit, err_invocation_limit, err_call_bytes;
    uint64_t plugins_left_out;
    uint64_t err_output; /* pages that were ended because of out_hard or out_total */
    uint64_t err_input;  /* pages that were ended because of in_total */
    uint64_t conns, flows, servers, pending;
    uint64_t out_bytes; /* waits for all pages, or more: counted exactly beyond out_total only */
    uint64_t in_bytes;  /* is kept of the messages of all pages; as exactly as that */
};

/* Browser extensions, and clients of this machine that are no browsers; see gateway/policy.h. */
#define GATEWAY_ASSOCIATE_FROM                                                                     \
    "local,chrome-extension://*,moz-extension://*,safari-web-extension://*"

struct gateway_opts {
    struct loop_worker *worker; /* borrowed, as are the next three */
    struct loop_offload *offload;
    struct rpc_runtime *runtime;
    const struct log *log;
    const char *plugin_dir;
    const char *const *plugins; /* names, in the order in which they are loaded */
    size_t n_plugins;
    const char *const *optional; /* the same, after those: one that does not load is left out */
    size_t n_optional;
    const struct config_file *config; /* for the sections of plugins; NULL: none */
    bool check_only;   /* look at files and settings, but run no plugin; only for gateway_new */
    const char *roots; /* for the first frame: comma-separated; NULL: none */
    /* How pages' servers are reached: through a relay, or on an address of our own. */
    const char *proxy;          /* its name or endpoint; NULL or "": none */
    const char *peer_listen;    /* host:port; NULL: 127.0.0.1:0 */
    const char *peer_advertise; /* what endpoints say instead of it; NULL or "": nothing else */
    /*
     * Who acts as whom; NULL: everything runs under the runtime's identity. Borrowed until the
     * gateway has stopped.
     */
    struct accounts *accounts;
    const char
        *associate_from; /* origins that may associate others; NULL: GATEWAY_ASSOCIATE_FROM */
    const char *allowed_origins; /* origins that may connect; NULL or "": all */
    /* PEM files of what pages get to see on the listener; both, or neither for no TLS. */
    const char *tls_cert, *tls_key;
    bool strict_utf8;
    struct gateway_limits limits; /* zeros: defaults */
};

/*
 * Loads the plugins. WSPR_EINVAL names the plugin and why it was refused; what it began by then
 * ends on the worker's loop, behind the scenes.
 */
int gateway_new(const struct gateway_opts *opts, struct gateway **ret_gw, struct err *err);
/*
 * Listens on "host:port". The text is that of spec websocket 1 for a port in use. WSPR_ENOTAUTH for
 * an address that other machines can reach, without TLS or without a list of origins.
 */
int gateway_listen(struct gateway *gw, const char *address, struct err *err);
/* The same errors, without listening: everything but those of the system. */
int gateway_check_address(const struct gateway *gw, const char *address, struct err *err);
/*
 * Loads a plugin anew, from its file as it is now and with its section of the configuration (may be
 * NULL): the new instance takes new flows, the old one goes when its last has ended. After an error
 * the old one stays. WSPR_ENOTFOUND if none of that name is loaded.
 */
int gateway_plugin_reload(struct gateway *gw, const char *name, const struct config_file *config,
                          struct err *err);
/* The same for every plugin whose file or section changed; logs each. How many failed. */
unsigned gateway_reload(struct gateway *gw, const struct config_file *config);
/*
 * Reads the certificate and its key anew, for connections that come from now on, and logs it. After
 * an error those from before stay. Does nothing if the gateway began without TLS.
 */
int gateway_reload_tls(struct gateway *gw, const char *cert_file, const char *key_file);
/*
 * Frees what is kept of ended calls and flows for the next ones and was not needed since the last
 * time. To be called every few seconds.
 */
void gateway_tidy(struct gateway *gw);
/* The address that the listener has. */
const struct loop_addr *gateway_addr(const struct gateway *gw);
uint16_t gateway_port(const struct gateway *gw);
/*
 * Stops listening, says goodbye to every page, waits for the plugins to finish their flows, unloads
 * them, frees the gateway and then calls done (may be NULL). If a plugin does not finish within
 * about cancel_grace, done is called without that: the gateway and the plugins then stay in memory.
 */
void gateway_stop(struct gateway *gw, void (*done)(void *arg), void *arg);
const struct gateway_stats *gateway_stats(const struct gateway *gw);

#endif

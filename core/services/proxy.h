/*
 * The relay (spec: stream 11, 12): servers behind it register the routing ids under which they are
 * reached, clients open circuits to these, and the relay passes their messages on. It holds no keys
 * of such circuits and sees nothing but headers.
 *
 *     server --TCP--> relay <--TCP-- client
 *        circuit to the relay: registration, held open
 *        circuits of clients, under numbers of the server's connection
 *
 * Who is slow harms nobody else: what waits for a connection is bounded for each circuit, for the
 * connection, and for all together. A connection all of whose circuits lead to one slow peer is not
 * read meanwhile; a circuit that has too much waiting all the same is closed, at both ends; a peer
 * that takes nothing for a while is dropped.
 *
 * One worker; everything here on its thread.
 */
#ifndef SERVICES_PROXY_H
#define SERVICES_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"

struct loop_offload;
struct loop_worker;
struct proxy;
struct security_private;

/* Zero is the default. */
struct proxy_limits {
    unsigned connections;   /* then new ones are dropped; 4096 */
    unsigned registrations; /* circuits that end here, of one connection; 16 */
    unsigned circuits;      /* relayed circuits of one connection; 4096 */
    size_t circuit_queue;   /* bytes that may wait for one end of a circuit; 8 MiB */
    size_t peer_queue;      /* bytes that may wait for one connection; 32 MiB */
    size_t total_queue;     /* bytes that may wait for all; 256 MiB */
    int64_t handshake_time; /* nanoseconds from OpenVC to a registration; 30 s */
    int64_t idle_time;      /* until a connection without circuits is closed; 2 min */
    int64_t stall_time;     /* that a connection with bytes waiting may take none of them; 30 s */
    int64_t dead_time;      /* that the system of a peer may acknowledge nothing; 60 s */
};

/* The counters only grow; the gauges say what is there now. */
struct proxy_stats {
    uint64_t accepted, dropped;   /* connections; dropped at a limit */
    uint64_t registered, refused; /* registrations */
    uint64_t opened;              /* circuits relayed */
    uint64_t unknown;             /* circuits to ids that nobody has */
    uint64_t limited;             /* circuits refused at a limit */
    uint64_t messages, bytes;     /* passed on */
    uint64_t unrouted;            /* messages of circuits that are not there */
    uint64_t overflows;           /* circuits closed: too much waited */
    uint64_t pauses;              /* of reading, for a slow peer */
    uint64_t stalled;             /* connections dropped: took nothing, or total_queue */
    uint64_t idled;               /* connections closed without circuits */
    uint64_t vanished;            /* circuits ended by the loss of one side */
    uint64_t errors;              /* connections ended: not our protocol, or no memory */
    uint64_t connections, servers, circuits, queued; /* gauges; queued in bytes, each second */
};

struct proxy_opts {
    struct loop_worker *worker;        /* borrowed */
    struct loop_offload *offload;      /* borrowed; NULL: handshakes are made on the loop */
    struct security_private *identity; /* referenced; shown to servers that register */
    const struct log *log;             /* borrowed */
    bool legacy_peers;                 /* take servers that know nothing better than RC4 */
    const char *address;               /* to listen on, "127.0.0.1:0" */
    const char *advertise;             /* "host:port" for endpoints; NULL or "": address */
    struct proxy_limits limits;
};

/* Listens. WSPR_ENOMEM, WSPR_ESYS, WSPR_ECRYPTO, WSPR_EINVAL; the text says which. */
int proxy_new(const struct proxy_opts *opts, struct proxy **ret_proxy, struct err *err);
/* The endpoint at which servers register, without a leading slash. */
const char *proxy_endpoint(const struct proxy *proxy);
const struct proxy_stats *proxy_stats(const struct proxy *proxy);
/*
 * Closes the socket and every connection, and frees the proxy when nothing of it is left on the
 * loop; then done (may be NULL) is called. Both ends of its circuits see their connection end.
 */
void proxy_stop(struct proxy *proxy, void (*done)(void *arg), void *arg);

#endif

/*
 * What the client and the servers of one worker share: identity, trust, circuits, limits, counters.
 */
#ifndef RPC_RUNTIME_H
#define RPC_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"

struct loop_worker;
struct loop_offload;
struct rpc_runtime;
struct security_private;
struct security_trust;
struct vc_stats;

struct rpc_limits {
    uint32_t flows_per_vc; /* then another circuit is opened */
    uint32_t calls;        /* of the client, at once */
    uint32_t links;        /* connections; then accepted ones are dropped */
    uint32_t value_max;    /* bytes of one value on a flow */
    uint32_t queue_max;    /* bytes that wait to be sent on one flow */
    uint64_t in_total;     /* bytes of calls that are kept, together; then those with most fail */
    int64_t vc_idle;       /* nanoseconds until an unused circuit is closed */
    int64_t handshake_timeout; /* nanoseconds */
    int64_t peer_timeout; /* nanoseconds until a peer that acknowledges or takes nothing is gone */
};

struct rpc_stats {
    uint64_t memory_links; /* ways to servers of our own, without TCP; not among the dials */
    uint64_t dials, handshakes, handshakes_failed, legacy_peers; /* handshakes: done, both sides */
    uint64_t calls_started, calls_done, calls_failed, calls_cancelled;
    uint64_t served, serve_errors;
    uint64_t resolve_steps, resolve_hits, resolve_shared; /* asked, remembered, asked together */
    uint64_t discharges, discharges_failed;               /* fetched; not to be had */
    uint64_t discharge_hits, discharges_dropped; /* sent from memory; refused with a call */
    uint64_t mounts, mounts_failed, unmounts;    /* of publishers */
    uint64_t vcs, links;                         /* now */
    uint64_t calls_refused, links_refused;       /* because of these limits */
    uint64_t err_input;                          /* calls that failed because of in_total */
    uint64_t in_bytes;                           /* now: kept of calls, see in_total */
    uint64_t calls, serving, names;              /* now: of the client, of servers; published */
};

struct rpc_runtime_opts {
    struct loop_worker *worker;        /* borrowed */
    struct loop_offload *offload;      /* borrowed; NULL: work is done on the loop (tests) */
    struct security_private *identity; /* referenced */
    struct security_trust *trust;      /* referenced */
    const struct log *log;             /* borrowed */
    bool legacy_peers;
    bool placeholders;        /* accept peers with identities of spec: security 14 (tests) */
    bool tcp_only;            /* reach servers of our own over TCP, too (tests) */
    struct rpc_limits limits; /* zeros: defaults */
};

/* WSPR_ENOMEM, WSPR_ECRYPTO, or WSPR_EINVAL if legacy peers are asked for and cannot be had. */
int rpc_runtime_new(const struct rpc_runtime_opts *opts, struct rpc_runtime **ret_rt,
                    struct err *err);
/*
 * Closes everything: calls end with Aborted, circuits and sockets are closed. Servers must have
 * been stopped. done (may be NULL) is called when nothing of the runtime is left on the loop.
 */
void rpc_runtime_stop(struct rpc_runtime *rt, void (*done)(void *arg), void *arg);
const struct rpc_stats *rpc_runtime_stats(const struct rpc_runtime *rt);
/* Of all its connections together; see vc/vif.h. */
const struct vc_stats *rpc_runtime_vc_stats(const struct rpc_runtime *rt);

#endif

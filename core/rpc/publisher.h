/*
 * Keeps servers mounted under names (spec: naming 8): every name with every server, mounted again
 * before its time is over, with a spread so that many names do not come at once; after a failure
 * sooner, with growing delays. Worker's thread.
 */
#ifndef RPC_PUBLISHER_H
#define RPC_PUBLISHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"
#include "rpc/resolve.h"

struct rpc_publisher;
struct rpc_runtime;
struct rpc_share;
struct security_private;

#define RPC_PUBLISH_PERIOD (60 * INT64_C(1000000000)) /* the longest time between two mounts */
#define RPC_PUBLISH_TTL    80                         /* seconds */
#define RPC_PUBLISH_NAMES  1024                       /* of one publisher; and as many servers */

/* One name with one server. */
struct rpc_publish_status {
    struct span name, server;
    bool mounted;           /* the last attempt to mount it succeeded, and its time is not over */
    unsigned failures;      /* attempts that failed since */
    const struct err *last; /* why; NULL if the last attempt succeeded */
};

/*
 * identity NULL: the runtime's. Those of one share take turns to mount; share NULL: it has one of
 * its own. NULL if memory is short.
 */
struct rpc_publisher *rpc_publisher_new(struct rpc_runtime *rt, struct security_private *identity,
                                        struct rpc_share *share);
/* Mounts under this identity from now on; it is referenced. */
void rpc_publisher_renew_identity(struct rpc_publisher *p, struct security_private *identity);
/*
 * Add and remove names and servers (mounted forms, "/endpoint//"). Adding a second time does
 * nothing. WSPR_ENOMEM, WSPR_ELIMIT. Mount failures are logged, never reported here.
 */
int rpc_publisher_add_name(struct rpc_publisher *p, struct span name);
int rpc_publisher_add_server(struct rpc_publisher *p, struct span server);
void rpc_publisher_remove_name(struct rpc_publisher *p, struct span name);
void rpc_publisher_remove_server(struct rpc_publisher *p, struct span server);
/* Mounts for ttl seconds, again after period nanoseconds at the latest, from the next time on. */
void rpc_publisher_pace(struct rpc_publisher *p, int64_t period, uint32_t ttl);
/* Whether every pair has been tried at least once since it was added. */
bool rpc_publisher_settled(const struct rpc_publisher *p);
/*
 * Calls settled from the loop, once, as soon as that is so; never if the publisher is stopped
 * before. Replaces an earlier request; NULL takes it back.
 */
void rpc_publisher_when_settled(struct rpc_publisher *p, void (*settled)(void *arg), void *arg);
/* The names, in the order in which they were added. False after the last. */
bool rpc_publisher_name(const struct rpc_publisher *p, size_t i, struct span *ret_name);
/* How many there are, and whether one of them is this one, or this one or what it lies below. */
unsigned rpc_publisher_names(const struct rpc_publisher *p);
bool rpc_publisher_has_name(const struct rpc_publisher *p, struct span name);
bool rpc_publisher_covers(const struct rpc_publisher *p, struct span name);
void rpc_publisher_status(const struct rpc_publisher *p,
                          void (*each)(void *arg, const struct rpc_publish_status *s), void *arg);
/*
 * Unmounts what may be mounted, gives up after the time limit (nanoseconds), frees the publisher
 * and calls done, never from inside this function. NULL p: done is not called, returns false.
 */
bool rpc_publisher_stop(struct rpc_publisher *p, int64_t limit, void (*done)(void *arg), void *arg);

#endif

/*
 * What a client does with the name space, other than resolving (resolve.h): mounting, unmounting,
 * the way back from a server to its names, and listing. Spec: naming 7, 10.3. Worker's thread.
 *
 * Every function starts an operation and gives a handle for cancelling it; NULL if memory is short.
 * The callback that ends it comes exactly once, from the loop, unless it was cancelled, and the
 * handle is dead then. Texts are copied. identity NULL is the runtime's.
 */
#ifndef RPC_NAMESPACE_H
#define RPC_NAMESPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"
#include "rpc/resolve.h"
#include "vom/value.h"

struct rpc_client;
struct rpc_glob;
struct rpc_mounting;
struct rpc_unresolving;
struct security_private;

/*
 * Mounts a server (its name, "/endpoint//" as a rule) under name for ttl seconds (0: for ever) at
 * each mount table that is responsible. Fails if any of them fails; the others keep it.
 */
struct rpc_mounting *rpc_mount(struct rpc_client *client, struct span name, struct span server,
                               uint32_t ttl, struct security_private *identity,
                               void (*done)(void *arg, const struct err *err), void *arg);
/* Takes one server away from name, or all of them if server is empty. */
struct rpc_mounting *rpc_unmount(struct rpc_client *client, struct span name, struct span server,
                                 struct security_private *identity,
                                 void (*done)(void *arg, const struct err *err), void *arg);
void rpc_mounting_cancel(struct rpc_mounting *m);

/* The names under which the object of name is known, as far back as servers tell. */
struct rpc_unresolving *rpc_unresolve(struct rpc_client *client, struct span name,
                                      struct security_private *identity, rpc_names_fn *done,
                                      void *arg);
void rpc_unresolve_cancel(struct rpc_unresolving *u);

/* What a listing found. All of it is borrowed for the callback. */
struct rpc_glob_entry {
    struct span name;
    const struct vom_value *servers; /* []MountedServer; empty for a mere node */
    /* NULL, or why what lies below could not be listed: one table that fails spoils no other. */
    const struct err *err;
};

struct rpc_glob_ops {
    void (*entry)(void *arg, const struct rpc_glob_entry *entry);
    /* err: the pattern, no roots, a limit. Failures of mount tables come with entries. */
    void (*done)(void *arg, const struct err *err);
};

#define RPC_GLOB_ENTRIES 1000000            /* that mount tables send for one listing */
#define RPC_GLOB_BYTES   (64 * 1024 * 1024) /* of those that wait to be followed */
#define RPC_GLOB_DEPTH   10

/* Lists the names that match a pattern (spec: naming 10), breadth first. */
struct rpc_glob *rpc_glob(struct rpc_client *client, struct span pattern,
                          struct security_private *identity, const struct rpc_glob_ops *ops,
                          void *arg);
/* May be called from entry. */
void rpc_glob_cancel(struct rpc_glob *g);

#endif

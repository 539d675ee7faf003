/*
 * Resolution of names, step by step through mount tables (spec: naming 5, 6). Worker's thread.
 *
 * Answers of mount tables are remembered for as long as they say (at most RPC_NAMES_TTL), for the
 * identity that asked; equal resolutions that run at the same time are one. Within one step the
 * servers are asked in order; one that keeps silent for RPC_RESOLVE_STAGGER is not waited for
 * before the next is asked too.
 */
#ifndef RPC_RESOLVE_H
#define RPC_RESOLVE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"

struct rpc_client;
struct rpc_resolution;
struct security_private;

/* Texts that decide what an error of a mount table means (spec: naming 9.4). */
#define RPC_NO_SUCH_NAME      "Name doesn't exist"
#define RPC_NO_SUCH_NAME_ROOT "Name doesn't exist: root of namespace"

#define RPC_RESOLVE_STEPS   32
#define RPC_RESOLVE_TIMEOUT (10 * INT64_C(1000000000)) /* of one step and of all together */
#define RPC_RESOLVE_STAGGER INT64_C(1000000000)
#define RPC_RESOLVE_MAX     65536 /* bytes of all names of one step */

/* What the client remembers of names. */
#define RPC_NAMES_ENTRIES 4096
#define RPC_NAMES_BYTES   (4 * 1024 * 1024)
#define RPC_NAMES_TTL     (300 * INT64_C(1000000000))

/* Names are each ended by a NUL, in order, borrowed. */
typedef void rpc_names_fn(void *arg, struct span names, const struct err *err);

/*
 * Resolves name to terminal names, under the identity (NULL: the runtime's). done gets them, or the
 * error; it is called once, from the loop, unless the resolution was cancelled. NULL if memory is
 * short.
 */
struct rpc_resolution *rpc_resolve(struct rpc_client *client, struct span name,
                                   struct security_private *identity, rpc_names_fn *done,
                                   void *arg);
/*
 * The same for whom a discharge is asked of: the mount tables on the way are asked without fetching
 * discharges for that.
 */
struct rpc_resolution *rpc_resolve_for_discharge(struct rpc_client *client, struct span name,
                                                 struct security_private *identity,
                                                 rpc_names_fn *done, void *arg);
/*
 * The same for the terminal names of the entry at the mount tables that are responsible for it.
 * Always asks afresh.
 */
struct rpc_resolution *rpc_resolve_mount_table(struct rpc_client *client, struct span name,
                                               struct security_private *identity,
                                               rpc_names_fn *done, void *arg);
void rpc_resolve_cancel(struct rpc_resolution *r);
/* In done, the only thing that the handle is still good for: whether memory was used. */
bool rpc_resolve_was_cached(const struct rpc_resolution *r);
/* The same as rpc_resolve, without using anything that is remembered. */
struct rpc_resolution *rpc_resolve_afresh(struct rpc_client *client, struct span name,
                                          struct security_private *identity, rpc_names_fn *done,
                                          void *arg);
/* Appends the terminal names if all of the way is remembered; false otherwise. */
bool rpc_resolve_from_memory(struct rpc_client *client, struct span name,
                             struct security_private *identity, struct buf *out);
/*
 * Forgets everything that led from the name to its servers: one of them did not answer, or the name
 * was mounted anew.
 */
void rpc_resolve_forget(struct rpc_client *client, struct span name,
                        struct security_private *identity);
/* Sets how much is remembered, and forgets everything. 0 entries: nothing is ever remembered. */
void rpc_client_set_names(struct rpc_client *client, unsigned entries, size_t bytes);

/* Sets the namespace roots from n texts (rooted names); replaces earlier ones. */
int rpc_client_set_roots(struct rpc_client *client, const char *const *roots, size_t n,
                         struct err *err);

/* Appends the names that resolving begins with: name itself, or name at each root. */
void rpc_resolve_roots(const struct rpc_client *client, struct span name, struct buf *out);
/* The first name of a list of such names; taken off it. False at the end. */
bool rpc_names_next(struct span *names, struct span *ret_name);

#endif

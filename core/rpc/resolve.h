/*
 * Resolution of names to terminal ones, step by step through mount tables (spec: naming 5).
 * Worker's thread.
 */
#ifndef RPC_RESOLVE_H
#define RPC_RESOLVE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"

struct rpc_client;
struct rpc_resolution;
struct security_private;

#define RPC_RESOLVE_STEPS   32
#define RPC_RESOLVE_TIMEOUT (10 * INT64_C(1000000000)) /* of one step and of all together */
#define RPC_RESOLVE_MAX     65536                      /* bytes of all names of one step */

/*
 * Resolves name under the identity (NULL: the runtime's). done gets the terminal names in order,
 * each ended by a NUL, borrowed, or the error; it is called once, from the loop, unless the
 * resolution was cancelled. NULL if memory is short.
 */
struct rpc_resolution *
rpc_resolve(struct rpc_client *client, struct span name, struct security_private *identity,
            void (*done)(void *arg, struct span names, const struct err *err), void *arg);
void rpc_resolve_cancel(struct rpc_resolution *r);
/* Sets the namespace roots from n texts (rooted names); replaces earlier ones. */
int rpc_client_set_roots(struct rpc_client *client, const char *const *roots, size_t n,
                         struct err *err);

#endif

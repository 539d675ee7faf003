/*
 * The network in one process, for a daemon that was configured with none: a mount table of its own,
 * and the sample service in it as "cache". Both listen on the loopback interface only and are open
 * to everybody there. Worker's thread.
 */
#ifndef SERVICES_EMBEDDED_H
#define SERVICES_EMBEDDED_H

#include <stdint.h>

#include "base/error.h"

struct embedded;
struct loop_worker;
struct rpc_runtime;

#define EMBEDDED_CACHE "cache" /* the name of the sample service */

/* NULL if memory is short. The worker and the runtime are borrowed. */
struct embedded *embedded_new(struct loop_worker *worker, struct rpc_runtime *rt);
/*
 * Starts both on free ports; the sample service is mounted when this returns. After a failure, too,
 * embedded_stop is due.
 */
int embedded_start(struct embedded *em, struct err *err);
/* The root of names: "/" and the endpoint of the mount table. Borrowed. */
const char *embedded_root(const struct embedded *em);
/*
 * Stops both; running calls get `grace` nanoseconds. Frees everything and calls done, from the
 * loop.
 */
void embedded_stop(struct embedded *em, int64_t grace, void (*done)(void *arg), void *arg);

#endif

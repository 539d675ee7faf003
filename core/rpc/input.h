/*
 * What calls keep of what came in: values that are not complete, items that are held, arguments.
 * Each call has a limit of its own, but there are many: beyond limits.in_total the call with most
 * of it fails, and the next, until it is enough. A caller whose request was not complete is told.
 *
 * Internal to core/rpc. Worker's thread.
 */
#ifndef RPC_INPUT_H
#define RPC_INPUT_H

#include <stddef.h>

struct rpc_runtime;

/* One call keeps `now` bytes; *counted is what was counted for it before. Calls nothing back. */
void rpc_input_count(struct rpc_runtime *rt, size_t *counted, size_t now);
/* A task: lets calls fail until the limit is kept. */
void rpc_input_relieve(void *runtime);

#endif

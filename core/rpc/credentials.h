/*
 * What the client of a call checks and shows (spec: ipc 9.1, 10): it authorizes the server, blesses
 * it if there is a granter, and gathers the discharges that its own identity needs there.
 *
 *     rpc_creds_begin --> granter (on the pool) --> rounds of discharge calls --> rpc_call_prepared
 *          |                                                                          ^
 *          +--> 0: there is nothing to wait for (most calls: and nothing was done) ...+
 *
 * In each round every discharge that is missing is asked for, all at the same time: one that came
 * may be what the giver of another one wants to see. A round that brings nothing is the last.
 *
 * Internal to core/rpc. Worker's thread.
 */
#ifndef RPC_CREDENTIALS_H
#define RPC_CREDENTIALS_H

#include <stdbool.h>

#include "base/error.h"

struct rpc_call;
struct rpc_creds;
struct rpc_request;
struct vc;

/* Whether the server may be talked to; then call->server is its validated identity. */
int rpc_creds_authorize(struct rpc_call *call, struct vc *vc, struct err *err);
/*
 * Gathers what has to go with the request into call->creds, which remains NULL if nothing has to. 0
 * if all is there, 1 if rpc_call_prepared() will be called from the loop, WSPR_ENOMEM.
 */
int rpc_creds_begin(struct rpc_call *call, struct err *err);
/*
 * Encodes the request, the credentials (into call->head) and the arguments (into call->scratch),
 * which were encoded before anybody knew what stands in front of them.
 */
int rpc_creds_put(struct rpc_call *call, struct rpc_request *rq, struct err *err);
/* The server said NotAuthorized: what was sent is not sent again. NULL is accepted. */
void rpc_creds_refused(struct rpc_creds *creds);
/* Ends what is still going on; nothing is called back any more. NULL is accepted. */
void rpc_creds_cancel(struct rpc_creds *creds);
/* The same and frees it. NULL is accepted. */
void rpc_creds_free(struct rpc_creds *creds);

#endif

/*
 * What a server and a relay say to each other when the server registers (spec: stream 11.3, 12.1):
 * one Request, one Response, each a VOM value at the start of its direction of the flow.
 */
#ifndef RPC_ENLIST_H
#define RPC_ENLIST_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"
#include "vom/dec.h"

#define RPC_ENLIST_MAX 65536 /* bytes of either message with its definitions */

/* Appends the Request. Negative with nothing to be said about it: memory is short. */
int rpc_enlist_put_request(struct buf *out);
/* Whether the message is a Request; WSPR_ETYPE with the reason if not. */
int rpc_enlist_get_request(struct vom_dec *dec, const struct vom_msg *msg, struct err *err);
/* Appends a Response: an endpoint, or the error if it is not NULL. */
int rpc_enlist_put_response(struct buf *out, struct span endpoint, const struct err *refusal);
/*
 * Reads a Response. 0 with *ret_endpoint, borrowed from the message; 1 if it is a refusal, whose
 * text is then in *ret_refusal (the caller's, initialized); negative if it cannot be read.
 */
int rpc_enlist_get_response(struct vom_dec *dec, const struct vom_msg *msg,
                            struct span *ret_endpoint, struct err *ret_refusal, struct err *err);

#endif

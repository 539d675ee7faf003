/* The two headers of a flow, Request and Response (spec: ipc 2). Internal to core/rpc. */
#ifndef RPC_HEADER_H
#define RPC_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"
#include "vom/dec.h"
#include "vom/enc.h"

struct rpc_request {
    struct span suffix, method; /* when decoded: into the message */
    uint64_t n_args;
    bool end_stream;
    int64_t timeout;
    bool has_blessing;
    uint64_t n_discharges;
};

struct rpc_response {
    struct err error; /* code 0: none; owned by whoever decoded it */
    bool end_stream;
    uint64_t n_results;
};

/* Append a header as one value message. The encoder must have been primed with the preset. */
int rpc_request_put(struct vom_enc *enc, struct buf *out, const struct rpc_request *rq);
int rpc_response_put(struct vom_enc *enc, struct buf *out, const struct rpc_response *rs);
/*
 * Read a header from any encoding of it: fields by name, unknown ones skipped. The arena holds what
 * an error value needs meanwhile.
 */
int rpc_request_get(struct vom_dec *dec, const struct vom_msg *msg, struct rpc_request *ret_rq,
                    struct err *err);
int rpc_response_get(struct vom_dec *dec, const struct vom_msg *msg, struct arena *a,
                     struct rpc_response *ret_rs, struct err *err);
/* Writes an error inside a message, as the verror.Standard that it travels as (spec: ipc 6.2). */
int rpc_error_put(struct vom_enc *enc, struct buf *out, const struct err *e);
/* Sets *e from a decoded error value: 1; or 0 if it is nil, WSPR_ETYPE if it is no error. */
int rpc_error_of_value(const struct vom_value *v, struct err *e);

#endif

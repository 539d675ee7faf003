/*
 * The signature of an object as its Signature method sends it, read into something to work with:
 * the methods by name, with the types of their arguments, results and streams (spec: ipc 13).
 * Everything lies in one arena. Immutable once it was read.
 */
#ifndef RPC_SIGNATURE_H
#define RPC_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"
#include "rpc/client.h"

struct vom_type;

#define RPC_SIGNATURE_MAX (4 * 1024 * 1024) /* bytes of memory for one, as far as it is read */

struct rpc_sig_arg {
    struct span name;            /* may be empty */
    const struct vom_type *type; /* NULL: the signature's id means nothing */
};

struct rpc_sig_method {
    struct span name; /* as on the network */
    const struct rpc_sig_arg *in;
    size_t n_in;
    const struct rpc_sig_arg *out;
    size_t n_out;                                  /* the error included */
    const struct vom_type *in_stream, *out_stream; /* NULL: none, or the id means nothing */
    bool streaming;                                /* a stream in either direction */
};

struct rpc_signature {
    struct arena arena;
    struct rpc_sig_method *methods; /* sorted by name */
    size_t n_methods;
};

void rpc_signature_init(struct rpc_signature *s);
void rpc_signature_done(struct rpc_signature *s);
/* The error of who did not get n bytes of its arena: WSPR_ELIMIT or WSPR_ENOMEM. */
int rpc_signature_no_room(const struct rpc_signature *s, size_t n, struct err *err);
/* Reads the first result of Signature. WSPR_ETYPE, WSPR_EPROTO, WSPR_ELIMIT, WSPR_ENOMEM. */
int rpc_signature_read(struct rpc_signature *s, const struct rpc_value *v, struct err *err);
/*
 * Both results of a call of Signature, for the callback `result` of that call: the first is read,
 * the error goes to *ret_error.
 */
int rpc_signature_result(struct rpc_signature *s, uint32_t i, const struct rpc_value *v,
                         struct err *ret_error, struct err *err);
/* The method of that name (first letter in any case); NULL if there is none. */
const struct rpc_sig_method *rpc_signature_method(const struct rpc_signature *s, struct span name);

/* Append a method's name with its first character in upper case (network) or lower (pages). */
void rpc_signature_network_name(struct buf *out, struct span name);
void rpc_signature_page_name(struct buf *out, struct span name);

#endif

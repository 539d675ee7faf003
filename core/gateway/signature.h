/*
 * Signatures of objects: fetching, sharing, the cache of a connection (spec: websocket 8).
 *
 * A connection remembers signatures by the name it used; an entry is good until an hour after its
 * last use. Fetches of one name under one identity are shared by all connections of the worker.
 */
#ifndef GATEWAY_SIGNATURE_H
#define GATEWAY_SIGNATURE_H

#include "base/error.h"
#include "base/list.h"
#include "base/span.h"
#include "loop/worker.h"
#include "rpc/signature.h"

struct security_private;
struct sig_fetch;
struct wspr_conn;

struct wspr_signature {
    unsigned refs;
    struct rpc_signature sig;
    struct span json; /* what a page gets; in the arena of sig */
};

/* Somebody who waits for a signature. */
struct sig_wait {
    struct list node;      /* in the fetch */
    struct list conn_node; /* in the connection */
    struct wspr_conn *conn;
    struct sig_fetch *fetch;
    const struct wspr_signature *sig; /* from the cache: told by the task */
    bool cached;
    struct loop_task task;
    struct err err;
    /* Called once, from the loop; sig is borrowed, NULL with an error. The wait is unlinked. */
    void (*done)(struct sig_wait *w, const struct wspr_signature *sig, const struct err *err);
};

/*
 * Starts waiting; done comes later in every case, unless sig_wait_cancel. The signature is the one
 * that the identity is shown (NULL: the runtime's): what others were shown does not count.
 */
void gateway_sig_wait_start(struct sig_wait *w, struct wspr_conn *c,
                            struct security_private *identity, struct span name,
                            void (*done)(struct sig_wait *w, const struct wspr_signature *sig,
                                         const struct err *err));
/* Waits for nothing but to be told the error. */
void gateway_sig_wait_fail(struct sig_wait *w, struct wspr_conn *c, const struct err *why,
                           void (*done)(struct sig_wait *w, const struct wspr_signature *sig,
                                        const struct err *err));
void gateway_sig_wait_cancel(struct sig_wait *w);
/* The connection ends: everybody is told. */
void gateway_sig_wait_abort_all(struct wspr_conn *c);

#endif

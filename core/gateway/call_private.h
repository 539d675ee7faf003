/* A call of a page: what the files call*.c share. */
#ifndef GATEWAY_CALL_PRIVATE_H
#define GATEWAY_CALL_PRIVATE_H

#include "gateway/private.h"
#include "gateway/signature.h"
#include "rpc/client.h"

struct wspr_call {
    struct list node;      /* in conn->calls */
    struct list pipe_node; /* in pipe->pipes */
    struct wspr_conn *conn;
    struct wspr_call_ops ops; /* copied, zero where the plugin's table was shorter */
    void *arg;
    struct wspr_call_options options;
    struct span name, method; /* in the arena */
    struct wspr_spans args;
    struct arena arena;
    struct arena texts;                /* of large arguments, until they are converted */
    size_t text_bytes;                 /* what these take, in there or still in the message */
    struct security_private *identity; /* that it was started under; NULL: the runtime's */
    struct sig_wait wait;
    bool waiting;   /* for the signature */
    bool refetched; /* the method was not in the cached signature: it was fetched anew */
    bool started;
    bool send_full; /* wspr_call_send said FULL or AGAIN: writable is due */
    unsigned busy;
    bool dead;
    const struct wspr_signature *sig;
    const struct rpc_sig_method *sig_method;
    struct rpc_call *rpc;
    struct wspr_flow *pipe; /* NULL: none, or it takes no more */
    bool piped;             /* items go into the pipe, and nowhere if it takes no more */
    struct buf results;
    size_t counted; /* of them, in conn->result_bytes */
    struct err app_error;
    struct err fault; /* of an item that could not be sent; told by the task */
    struct loop_task task;
};

#endif

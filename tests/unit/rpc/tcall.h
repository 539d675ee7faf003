/* A call of the client under test, with everything that is told about it written down. */
#ifndef TESTS_UNIT_RPC_TCALL_H
#define TESTS_UNIT_RPC_TCALL_H

#include <stdbool.h>

#include "base/arena.h"
#include "rpc/client.h"
#include "vom/value.h"

#define TCALL_RESULTS 8

struct tcall {
    struct rpc_call *call; /* NULL once it is over */
    struct arena arena;    /* of items and results */
    struct vom_value results[TCALL_RESULTS];
    unsigned n_results, n_items, n_started, n_ended, n_done, n_writable;
    struct vom_value item;      /* the last one */
    size_t item_bytes;          /* of strings and bytes that came as items */
    struct err err;             /* of done; code 0: success */
    bool hold;                  /* answer RPC_HOLD to items */
    bool light;                 /* count items, do not keep them */
    void (*at_item)(void *arg); /* called from inside the callback */
    void (*at_done)(void *arg);
    void *at_arg;
};

struct tcall_how {
    const char *name;
    const char *method;
    const struct vom_value *args;
    size_t n_args;
    struct rpc_call_opts opts;
    bool no_items; /* leave the callback for items out */
};

void tcall_init(struct tcall *t);
void tcall_done(struct tcall *t);
/* Makes and starts it; false if it could not even be made. */
bool tcall_start(struct tcall *t, struct rpc_client *client, const struct tcall_how *how);
/* Sends one item, or ends the stream. The result of rpc_call_end_item. */
int tcall_send(struct tcall *t, const struct vom_value *v);
bool tcall_is_done(void *tcall);

/* The error that it ended with: "" for success. */
const char *tcall_error(const struct tcall *t);

#endif

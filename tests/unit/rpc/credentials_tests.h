/* The parts of the test of credentials. */
#ifndef TESTS_UNIT_RPC_CREDENTIALS_TESTS_H
#define TESTS_UNIT_RPC_CREDENTIALS_TESTS_H

#include <stdatomic.h>

#include "rpc/client.h"

/* Gives blessings "blessed" of its identity. */
struct test_granter {
    struct rpc_granter granter;
    struct security_private *blesser;     /* borrowed */
    const struct security_private *never; /* refuses this one; may be NULL */
    int gate[2]; /* a pipe: grant() waits until something can be read; -1: it does not wait */
    atomic_uint running;
    unsigned freed;
    bool nothing;
};

void test_granter_init(struct test_granter *g, struct security_private *blesser);

void credentials_kept(void);
void credentials_blessing(void);
void credentials_cancelled_granting(void);
void credentials_next_server(void);
void credentials_server_checks(void);
void credentials_caller_gone(void);
void credentials_checked_too_late(void);
void credentials_server_stops(void);

#endif

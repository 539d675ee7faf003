/*
 * The object that the recordings call, other than the sample service: methods of each shape, and a
 * dispatcher that answers in each way. Also what the tests over sockets call.
 */
#ifndef TESTS_UNIT_RPC_OBJECT_H
#define TESTS_UNIT_RPC_OBJECT_H

#include "rpc/server.h"

struct security_acl;
struct security_trust;

struct object {
    struct rpc_dispatcher dispatcher; /* by suffix: x, nilAuth, aclRead, none, dispErr … */
    struct rpc_dispatcher solo;       /* one object, no suffix */
    struct rpc_dispatcher nothing;
    struct rpc_authorizer app, acl_read;
    struct security_acl *acl;
    struct security_trust *trust;
    /* Calls that wait: Slow, SlowRecv, Never. */
    struct rpc_scall *waiting[2048];
    unsigned n_waiting;
    unsigned gone, expired, ended, invoked;
    size_t received; /* bytes of stream items */
};

/* trust is borrowed. */
void object_init(struct object *o, struct security_trust *trust);
void object_done(struct object *o);

#endif

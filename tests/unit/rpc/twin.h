/* A client and a server, each with a runtime of its own, over loopback on one worker; or, with
 * `own`, both of one runtime, which then reaches its own server in memory. */
#ifndef TESTS_UNIT_RPC_TWIN_H
#define TESTS_UNIT_RPC_TWIN_H

#include "object.h"
#include "rig.h"
#include "tcall.h"

struct twin {
    struct rig_ids ids;
    struct rig c, s;
    bool own;
    struct object object;
    struct rpc_server *server; /* NULL once it is stopped */
    char endpoint[256];
    char name[300]; /* of the object "x" */
};

struct twin_opts {
    struct rpc_limits client, server;
    bool offload;
    bool own;
    bool tcp_only; /* with own: over loopback all the same */
};

void twin_init(struct twin *t, const struct twin_opts *opts);
void twin_done(struct twin *t);
struct rpc_client *twin_client(struct twin *t);
/* Starts a call of the object; args may be NULL. */
void twin_start(struct twin *t, struct tcall *c, const char *method, const struct vom_value *arg,
                int32_t n_results, bool streaming);
/* The same, to the end. */
void twin_call(struct twin *t, struct tcall *c, const char *method, const struct vom_value *arg,
               int32_t n_results);
/* Waits for the end of a call; a failed check if it does not come. */
void twin_wait(struct twin *t, struct tcall *c);
/* Waits until a counter has at least the value. */
bool twin_until(struct twin *t, const unsigned *counter, unsigned value);
const struct rpc_stats *twin_stats(struct twin *t);

#define TWIN_OK(c)       TAP_OK((c)->err.code == 0, "error \"%s\"", tcall_error(c))
#define TWIN_FAILS(c, e) TAP_OK(strcmp(tcall_error(c), e) == 0, "error \"%s\"", tcall_error(c))

#endif

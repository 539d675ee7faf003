/* A worker with a runtime on it, and the identities that the tests use. */
#ifndef TESTS_UNIT_RPC_RIG_H
#define TESTS_UNIT_RPC_RIG_H

#include "loop/worker.h"
#include "rpc/client.h"
#include "rpc/runtime.h"
#include "rpc/server.h"

struct rig_ids {
    struct security_private *server, *client;
    struct security_private *friend;  /* client's key, blessed by the server as server/friend */
    struct security_private *limited; /* the same, for the method Echo only */
    struct security_trust *trust;     /* knows server and client as roots */
};

void rig_ids_init(struct rig_ids *ids);
void rig_ids_done(struct rig_ids *ids);
/* A blessing by the client for the server's key. The caller drops the reference. */
struct security_identity *rig_blessing(const struct rig_ids *ids);

struct rig {
    struct log log;
    struct loop_worker *w;
    struct loop_offload *offload; /* NULL: all on the loop */
    struct rpc_runtime *rt;
};

struct rig_opts {
    struct loop_worker *w; /* shared with another rig; NULL: one of its own */
    struct security_private *identity;
    struct security_trust *trust;
    struct rpc_limits limits;
    bool offload;
    bool legacy_peers;
    bool tcp_only;
    bool placeholders;
};

/* Ends the program if it cannot be made. */
void rig_init(struct rig *r, const struct rig_opts *opts);
/* Stops the runtime and runs the loop until it is gone. The worker remains if it was shared. */
void rig_done(struct rig *r, bool free_worker);
/* A server that listens; *ret_endpoint has the leading slash. */
struct rpc_server *rig_serve(struct rig *r, const struct rpc_dispatcher *d, char ret_endpoint[256]);
/* Stops a server and runs the loop until it is gone. */
void rig_stop(struct rig *r, struct rpc_server *s, int grace_ms);

#endif

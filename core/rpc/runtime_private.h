/* The inside of a runtime, shared by the files of core/rpc. */
#ifndef RPC_RUNTIME_PRIVATE_H
#define RPC_RUNTIME_PRIVATE_H

#include "base/hash.h"
#include "base/list.h"
#include "loop/offload.h"
#include "loop/timer.h"
#include "loop/worker.h"
#include "naming/endpoint.h"
#include "rpc/jobs.h"
#include "rpc/runtime.h"
#include "vc/tls.h"
#include "vc/vif.h"

struct rpc_client;
struct rpc_listener;
struct rpc_server;

struct rpc_runtime {
    struct loop_worker *worker;
    struct loop_offload *offload;
    struct security_private *identity;
    struct security_trust *trust;
    const struct log *log;
    struct rpc_limits limits;
    struct rpc_stats stats;
    struct vc_tls *tls;
    struct vc_pool *pool;
    struct naming_rid rid;
    struct hash_key hash_key;
    struct rpc_client *client;
    struct list links;   /* struct rpc_link */
    struct list servers; /* struct rpc_server */
    struct loop_timer sweep;
    bool tcp_only;
    bool stopping;
    struct rpc_jobs jobs; /* handshake steps that are out */
    void (*stopped)(void *arg);
    void *stopped_arg;
    struct loop_task stop_task;
    struct loop_task relief; /* of rpc_input_count() */
};

/* A routing id at random. WSPR_ECRYPTO. */
int rpc_draw_rid(struct naming_rid *ret_rid);
/* Somewhere below a time, at random. */
int64_t rpc_any_of(int64_t time);
/* Somewhere between half and all of a delay, at random. */
int64_t rpc_spread(int64_t delay);

/* Tells a stopping runtime that something of it has gone. */
void rpc_runtime_check_stopped(struct rpc_runtime *rt);

/* Of client.c. */
struct rpc_client *rpc_client_new(struct rpc_runtime *rt);
void rpc_client_free(struct rpc_client *client);
/* Ends every call and circuit of the client. */
void rpc_client_stop(struct rpc_client *client);
void rpc_client_sweep(struct rpc_client *client, int64_t now);

/* Of server.c: what a link asks when a peer opens a circuit. shared: the link is not the server's
 * alone. */
int rpc_server_accept_vc(struct rpc_server *server, struct vc *vc, bool shared, struct span src,
                         struct vc_accept *ret_how, struct err *err);
/* Of server.c: the server of this runtime that is at this endpoint, or NULL. */
struct rpc_server *rpc_server_at(struct rpc_runtime *rt, const struct naming_endpoint *ep);
/* Of server.c: gives idle memory of all servers back. */
void rpc_server_sweep(struct rpc_runtime *rt);
/* Of listener.c: the server that a peer wants. */
int rpc_listener_find(struct rpc_listener *listener, struct span dst,
                      struct rpc_server **ret_server, struct err *err);

#endif

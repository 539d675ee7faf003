/*
 * The inside of the relay, above the routing.
 *
 *     proxy.c        socket, connections, time, the end
 *     proxy_enlist.c circuits that end at the relay: registrations
 *     proxy_hub.c    routes
 */
#ifndef SERVICES_PROXY_PRIVATE_H
#define SERVICES_PROXY_PRIVATE_H

#include "base/list.h"
#include "loop/listener.h"
#include "loop/sock.h"
#include "loop/timer.h"
#include "rpc/jobs.h"
#include "services/proxy_hub.h"
#include "vc/tls.h"
#include "vom/dec.h"

struct proxy {
    struct loop_worker *worker;
    const struct log *log;
    struct security_private *identity;
    struct loop_listener *listener;
    struct vc_tls *tls;
    struct vc_pool *pool;
    struct rpc_jobs jobs;
    struct proxy_hub hub;
    struct list conns; /* struct proxy_conn */
    struct loop_timer sweep;
    bool stopping;
    void (*stopped)(void *arg);
    void *stopped_arg;
    struct loop_task stop_task;
    char endpoint[NAMING_ENDPOINT_TEXT_MAX];
    struct naming_endpoint self;
};

struct proxy_conn {
    struct list node;
    struct proxy *proxy;
    struct loop_sock *sock;
    struct vc_vif *vif;
    struct proxy_port port;
    struct list enlistings; /* struct proxy_enlisting */
    unsigned n_enlistings;
    struct loop_timer timer; /* of the engine */
    struct loop_task end;
    int64_t idle_since; /* 0: there are circuits */
    int64_t stuck_since;
    uint64_t written; /* of the port's stream, when the sweep looked last */
    bool over;
    struct err why;
    char peer[LOOP_ADDR_TEXT];
};

/* Of proxy_enlist.c: the peer opens a circuit to the relay itself. */
int proxy_enlist(struct proxy_conn *conn, struct vc *vc, struct span src, struct vc_accept *ret_how,
                 struct err *err);
bool proxy_enlist_is_ours(const struct proxy_conn *conn, uint32_t vci);
/* Ends those that took too long to register. */
void proxy_enlist_sweep(struct proxy_conn *conn, int64_t now);

#endif

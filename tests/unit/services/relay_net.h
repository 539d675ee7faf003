/* A relay, a server behind it, a client, on one worker: the tests of the relay over sockets. */
#ifndef TESTS_UNIT_SERVICES_RELAY_NET_H
#define TESTS_UNIT_SERVICES_RELAY_NET_H

#include "loop/worker.h"
#include "services/proxy.h"
#include "unit/rpc/object.h"
#include "unit/rpc/rig.h"
#include "unit/rpc/tcall.h"

/* What a server was told about its relay. */
struct relay_told {
    unsigned n, ups, downs;
    char endpoint[512]; /* the last one */
    struct err err;     /* the last one */
};

struct relay_net {
    struct rig_ids ids;
    struct rig c, s;
    struct object object;
    struct proxy *proxy; /* NULL once it is stopped */
    char relay[512];     /* its endpoint */
    char address[320];   /* its host:port */
    struct rpc_server *server;
    struct relay_told told;
    char name[600]; /* of the object "x" */
};

/* A relay and a server that listens through it, with calls possible. limits may be NULL. */
void relay_net_init(struct relay_net *n, const struct proxy_limits *limits);
void relay_net_done(struct relay_net *n);
/* The relay alone: starts at an address, stops at once. */
void relay_net_start(struct relay_net *n, const char *address, const struct proxy_limits *limits);
void relay_net_kill(struct relay_net *n);
void relay_net_stop(struct relay_net *n, struct proxy *proxy);
/* A server of the same object that listens through `relay`, whatever comes of it. */
struct rpc_server *relay_net_serve(struct relay_net *n, const char *relay, struct relay_told *told);

void relay_told_init(struct relay_told *t);
void relay_told(void *told, struct rpc_server *server, const char *endpoint, const struct err *why);
bool relay_net_until(struct relay_net *n, const unsigned *counter, unsigned value);
bool relay_net_until_stat(struct relay_net *n, const uint64_t *stat, uint64_t value);
bool relay_net_until_less(struct relay_net *n, const uint64_t *stat, uint64_t value);

/* Starts a call of the object by a client's runtime. */
void relay_net_call(struct rig *client, struct tcall *c, const char *name, const char *method,
                    const struct vom_value *arg, int32_t n_results);
/* Waits for its end. */
void relay_net_wait(struct relay_net *n, struct tcall *c);
/* Whether Echo works at that name, with a fresh call of that client. */
bool relay_net_echo(struct relay_net *n, struct rig *client, const char *name);
/* The client's connections read no more, or again. */
void relay_net_deafen(struct rig *client, bool deaf);

#endif

/*
 * A peer below the RPC layer: circuits and flows over loopback, bytes in and out. It plays the
 * client of a server under test, or the server of a client under test.
 */
#ifndef TESTS_UNIT_RPC_RAW_H
#define TESTS_UNIT_RPC_RAW_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/list.h"
#include "loop/listener.h"
#include "loop/sock.h"
#include "loop/worker.h"
#include "naming/endpoint.h"
#include "vc/tls.h"
#include "vc/vif.h"

struct raw_peer;

struct raw_flow {
    struct list node;
    struct raw_peer *peer;
    struct vc_flow *flow; /* NULL once it is closed */
    struct buf in;
    bool eof;
    unsigned eofs;
};

struct raw_link {
    struct list node;
    struct raw_peer *peer;
    struct loop_sock *sock;
    struct vc_vif *vif;
    char local[LOOP_ADDR_TEXT];
    bool up;
};

struct raw_circuit {
    struct list node;
    struct raw_peer *peer;
    struct vc *vc;
    bool ready, closed;
};

struct raw_peer {
    struct loop_worker *w;
    struct vc_tls *tls;
    struct vc_pool *pool;
    struct security_private *identity; /* borrowed */
    struct loop_listener *listener;
    char endpoint[NAMING_ENDPOINT_TEXT_MAX];
    struct list links, circuits, flows;
    unsigned n_circuits, n_flows; /* ever accepted */
    char why[256];                /* of the last circuit that ended */
};

void raw_init(struct raw_peer *p, struct loop_worker *w, struct security_private *identity);
/* Drops every connection. */
void raw_done(struct raw_peer *p);

/* Listens; p->endpoint is where. */
void raw_listen(struct raw_peer *p);
/* Drops all connections, and the listener if `deaf`. */
void raw_drop(struct raw_peer *p, bool deaf);
/* Reads no more from any connection, so that whoever sends to it has to wait. */
void raw_deafen(struct raw_peer *p);
/* A circuit to an endpoint; runs the loop until it is ready. NULL if it comes to nothing. */
struct raw_circuit *raw_connect(struct raw_peer *p, const char *endpoint);
/* The same on the first connection that there is. */
struct raw_circuit *raw_connect_beside(struct raw_peer *p, const char *endpoint);

struct raw_flow *raw_open(struct raw_circuit *c);
void raw_write(struct raw_flow *f, struct span bytes);
void raw_close(struct raw_flow *f);
void raw_cancel(struct raw_flow *f);
/* Gives the record back; the flow is cancelled if it is open. */
void raw_flow_free(struct raw_flow *f);
/* The n-th flow that was accepted and not freed yet; NULL. */
struct raw_flow *raw_flow_at(struct raw_peer *p, unsigned n);
struct raw_circuit *raw_circuit_at(struct raw_peer *p, unsigned n);

/* Runs the loop until done(arg) or the time is over; tells which. */
bool raw_until(struct loop_worker *w, bool (*done)(void *arg), void *arg, int ms);
/* Runs the loop for so long. */
void raw_run(struct loop_worker *w, int ms);

#endif

/*
 * A small network on one worker for the tests of names: mount tables, an object server, a client,
 * and a book of every call that arrives anywhere.
 */
#ifndef TESTS_UNIT_RPC_WORLD_H
#define TESTS_UNIT_RPC_WORLD_H

#include "base/buf.h"
#include "rig.h"
#include "rpc/namespace.h"
#include "rpc/publisher.h"
#include "rpc/resolve.h"
#include "services/mounttable.h"
#include "tcall.h"

#define WORLD_DEAD "/127.0.0.1:1" /* refuses connections */

/* One server: a mount table, an object server, or a mount table that misbehaves. */
struct world_node {
    struct world *world;
    const char *label;
    struct rpc_server *server; /* NULL once it is stopped */
    struct mounttable *table;
    struct rpc_dispatcher dispatcher, inner;
    struct rpc_authorizer authorizer;
    char name[256]; /* rooted, without a suffix */
    /* For the one that misbehaves. */
    enum { FAKE_ANSWERS, FAKE_SILENT, FAKE_DENIES } fake;
    const char *fake_server; /* what all names lead to; NULL: no such name */
    uint32_t fake_ttl;
    struct rpc_scall *held[64];
    unsigned n_held;
    unsigned calls, mounts, unmounts; /* that arrived; the latter of a misbehaving one */
};

struct world {
    struct rig_ids ids;
    struct rig c, s; /* of the client, of all servers */
    struct world_node root, sub, other, server, fake;
    struct buf book; /* Method at suffix "…", a line each */
};

/* Starts all of it; nothing is mounted anywhere, the client has no roots. */
void world_init(struct world *w);
void world_done(struct world *w);
/* What live_setup of the vectors says. */
void world_mount_all(struct world *w);
void world_stop_node(struct world *w, struct world_node *n);
struct rpc_client *world_client(struct world *w);
void world_roots(struct rpc_client *client, const char *a, const char *b);
/* Puts the names of nodes for {root} and so on, {dead} too. Valid until the next four. */
const char *world_text(struct world *w, const char *template);
/* Mounts in the table itself. */
void world_mount(struct world *w, struct world_node *n, const char *name, const char *server,
                 uint32_t ttl);

/* How an operation with names ended. */
struct world_answer {
    bool done;
    struct buf names; /* each ended by a NUL */
    struct err err;
};
void world_answer_init(struct world_answer *a);
void world_answer_done(struct world_answer *a);
void world_names(void *answer, struct span names, const struct err *err);
void world_ended(void *answer, const struct err *err);
void world_wait(struct world *w, struct world_answer *a);
/* The i-th name, "" if there is none. */
const char *world_answer_name(const struct world_answer *a, unsigned i);
unsigned world_answer_count(const struct world_answer *a);

/* Resolves, in the ways of resolve.h. */
typedef struct rpc_resolution *world_resolve_fn(struct rpc_client *client, struct span name,
                                                struct security_private *identity,
                                                rpc_names_fn *done, void *arg);
void world_resolve(struct world *w, world_resolve_fn *how, const char *name,
                   struct world_answer *ret);
/* Calls the method Hi of the object server by name, to the end. */
void world_call(struct world *w, struct tcall *c, const char *name);

#endif

/* The engine in the place of one end of a recorded connection. */
#ifndef TESTS_UNIT_VC_PLAY_H
#define TESTS_UNIT_VC_PLAY_H

#include "session.h"
#include "vc/vif.h"

#define PLAY_FLOWS 32

struct play_flow {
    uint32_t vci, id;
    struct vc_flow *flow;
    struct buf got;
};

struct play {
    struct session *s;
    const char *conn;
    int dir; /* in which our bytes go */
    struct vc_pool *pool;
    struct vc_vif *vif;
    struct vc *vcs[SESSION_VCS];
    size_t n_vcs;
    struct play_flow flows[PLAY_FLOWS];
    size_t n_flows;
    struct buf log;
    unsigned readies, closeds;
    char why[256]; /* of the last circuit that ended */
};

/* Circuits that only pass through: a relay handles them, see test_relay.c. */
bool play_passes_through(const struct play *p, uint32_t vci);
/* Compares all that was said; returns how many secured circuits there were. */
unsigned play_compare(const struct play *p);

#endif

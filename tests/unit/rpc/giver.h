/* Somebody who gives discharges, and identities that need them. */
#ifndef TESTS_UNIT_RPC_GIVER_H
#define TESTS_UNIT_RPC_GIVER_H

#include "rpc/server.h"

#define GIVER_HELD 8

struct security_discharge;
struct security_private;
struct security_trust;

enum giver_mood { GIVER_GIVES, GIVER_REFUSES, GIVER_KEEPS_SILENT, GIVER_ERRS, GIVER_TALKS };

struct giver {
    struct rpc_dispatcher dispatcher;
    struct security_private *identity; /* borrowed, as all here */
    struct security_trust *trust;
    enum giver_mood mood; /* errs: for a caveat that nobody asked for; talks: no discharge at all */
    int64_t duration;     /* of discharges, nanoseconds */
    unsigned asked, gone, n_held;
    struct rpc_scall *held[GIVER_HELD];
    char name[300]; /* where it is; set by whoever serves it */
};

void giver_init(struct giver *g, struct security_private *identity, struct security_trust *trust);
/* Answers whoever was kept waiting. */
void giver_let_go(struct giver *g);

/* A third-party caveat. */
struct debt {
    const char *service;
    struct giver *giver; /* asked at its name, unless there is another */
    const char *location;
};

/* The key of `owner` under a certificate with these caveats; NULL if memory is short. */
struct security_private *giver_debtor(struct security_private *owner, const struct debt *debts,
                                      size_t n);
/* A discharge for the i-th of these caveats, as the giver would give it. */
struct security_discharge *giver_discharge(struct giver *g, struct security_private *debtor,
                                           size_t i);

#endif

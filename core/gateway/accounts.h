/*
 * The accounts of a running gateway: who may act as whom (spec: identity-manager; DESIGN 14).
 *
 * The store lives on one worker. Looking is immediate; a change, the disk and every signature are
 * made on the offload pool, one batch of changes after the other:
 *
 *     change -> queue -> [decode, check] -> [lock, apply to a copy, save] -> state, done
 *
 * An origin acts under a blessing of its account's identity: a key pair of its own, the name
 * <account's identity>/<origin, "/" as %2F and "%" as %25>, the origin's caveats and an expiry. It
 * is made when the origin first connects and again before it expires. With `bless` off it is the
 * account's own identity.
 */
#ifndef GATEWAY_ACCOUNTS_H
#define GATEWAY_ACCOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "base/span.h"

struct accounts;
struct loop_offload;
struct loop_worker;
struct security_private;

struct accounts_opts {
    struct loop_worker *worker;    /* borrowed */
    struct loop_offload *offload;  /* borrowed */
    const struct log *log;         /* borrowed */
    struct security_private *host; /* the runtime's identity: signs the store; referenced */
    const char *folder;            /* NULL: nothing survives the process */
    bool raw;                      /* no blessings: the accounts' own identities */
    int64_t lifetime;              /* of blessings, nanoseconds; 0: ACCOUNTS_LIFETIME */
    int64_t poll;                  /* how often to look for changes of others; 0: 2 s */
    bool placeholders;             /* accept the identities of spec: security 14; tests only */
};

#define ACCOUNTS_LIFETIME (24 * 3600 * INT64_C(1000000000))

/* Loads the store: blocks. A store that cannot be read or does not verify is an error. */
int accounts_new(const struct accounts_opts *opts, struct accounts **ret_a, struct err *err);
/* Stops; done (may be NULL) is called from the loop when nothing is under way any more. */
void accounts_stop(struct accounts *a, void (*done)(void *arg), void *arg);

struct accounts_change {
    struct span account, origin;
    struct span identity; /* text form of a private identity */
    /*
     * The origin speaks for itself only: it may make an account and change one that is its own, but
     * not touch one that other origins act under, or none. Who made it is not known: one that an
     * operator linked to this origin alone is its own.
     */
    bool own_only;
};

/*
 * Associates, as one change; everything is copied, the copy of the identity is wiped. done comes
 * exactly once, later, on the worker's loop. WSPR_ENOMEM, WSPR_ELIMIT (too many changes wait):
 * done will then not be called.
 */
int accounts_associate(struct accounts *a, const struct accounts_change *change,
                       void (*done)(void *arg, const struct err *err), void *arg);

/*
 * The identity that the origin acts under, now. 1 and *ret_id (borrowed, valid in this turn of the
 * loop); 0 if the origin has no account: the runtime's is to be used; WSPR_EAGAIN while a blessing
 * is being made: accounts_wait; or why there is none.
 */
int accounts_identity(struct accounts *a, struct span origin, struct security_private **ret_id,
                      struct err *err);

/* Somebody who waits until accounts_identity has another answer than WSPR_EAGAIN. */
struct accounts_waiter {
    struct list node;
    void (*ready)(struct accounts_waiter *w); /* from the loop; list_remove takes it back */
};
/* After a WSPR_EAGAIN for that origin. */
void accounts_wait(struct accounts *a, struct span origin, struct accounts_waiter *w);

#endif

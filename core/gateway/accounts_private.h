/* The inside of the accounts. */
#ifndef GATEWAY_ACCOUNTS_PRIVATE_H
#define GATEWAY_ACCOUNTS_PRIVATE_H

#include "base/arena.h"
#include "base/hash.h"
#include "gateway/accounts.h"
#include "loop/offload.h"
#include "loop/timer.h"
#include "services/account_state.h"
#include "services/account_store.h"

struct account_batch;

struct accounts {
    struct loop_worker *worker;
    struct loop_offload *offload;
    const struct log *log;
    bool raw;
    int64_t lifetime, poll_period;
    unsigned flags;              /* of security_private_decode */
    struct account_store *store; /* of the batch that runs, if one does */
    struct account_state *state;
    struct list queue; /* struct account_job: changes that wait */
    size_t n_queue;
    struct account_batch *batch; /* that is under way; NULL: none */
    bool unreadable;             /* the last look found a store that cannot be used; said so */
    struct hash_key hash_key;
    struct account_use *uses;       /* hash by origin */
    unsigned making;                /* blessings that are under way */
    struct loop_timer poll, gather; /* gather: until the next batch may begin */
    int64_t last_batch;             /* when one began; monotonic */
    struct loop_task task;
    bool stopping;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* accounts_use.c: the identities that origins act under. */

/* The state was replaced: what does not fit it any more is dropped. */
void accounts_use_refresh(struct accounts *a);
void accounts_use_drop_all(struct accounts *a);

/* accounts.c */
void accounts_check_stopped(struct accounts *a);

#endif

/*
 * The files of the account store: a folder, mode 0700, in which both parts of the stored form move
 * together (spec: identity-manager 5).
 *
 *     accounts/current -> gen-7      the switch: replaced by one rename
 *     accounts/gen-7/data
 *     accounts/gen-7/signature
 *     accounts/lock                  held while a process changes the store
 *
 * A save makes gen-8 with both files, flushes them and the folders, and then lets `current` point
 * there. Whoever is interrupted before the rename leaves the old state and some rubbish, which the
 * next save removes; after it, the new state. `current` never points to anything incomplete.
 *
 * All functions block: not for a loop's thread. A store may be used by one thread at a time; other
 * processes may change the same folder in between.
 */
#ifndef SERVICES_ACCOUNT_STORE_H
#define SERVICES_ACCOUNT_STORE_H

#include <stdbool.h>

#include "base/error.h"
#include "services/account_state.h"

struct account_store;
struct security_private;

/*
 * Called before each step that touches the files, with the name of the call; returns 0 to go on or
 * a positive errno that the step fails with. For tests.
 */
struct account_store_hook {
    int (*step)(void *arg, const char *call, const char *file);
    void *arg;
};

struct account_store_opts {
    const char *folder;                    /* made at the first save; NULL: in memory only */
    struct security_private *host;         /* signs and verifies; referenced */
    unsigned flags;                        /* of security_private_decode */
    bool read_only;                        /* nothing is made or changed; saving fails */
    const struct account_store_hook *hook; /* copied; NULL: none */
};

/*
 * Opens a store. WSPR_ENOTAUTH if the folder belongs to somebody else or others may read it,
 * WSPR_ESYS with what the system said.
 */
int account_store_open(const struct account_store_opts *opts, struct account_store **ret_store,
                       struct err *err);
void account_store_close(struct account_store *store); /* accepts NULL */

/*
 * Loads what is stored now; a store that holds nothing is an empty state. A store that does not
 * verify is an error, and account_store_save refuses to replace it.
 */
int account_store_load(struct account_store *store, struct account_state **ret_s, struct err *err);
/* Whether the files are not those that were last loaded or saved: 1, 0, or an error. */
int account_store_changed(struct account_store *store, struct err *err);

/*
 * Keeps other processes from changing the store until account_store_unlock; waits for those that
 * are at it. Load or account_store_changed after the lock, then save.
 */
int account_store_lock(struct account_store *store, struct err *err);
void account_store_unlock(struct account_store *store);
/*
 * Replaces what is stored, under the lock. After 0 the state is on the disk; after an error the old
 * one is.
 */
int account_store_save(struct account_store *store, const struct account_state *s, struct err *err);

#endif

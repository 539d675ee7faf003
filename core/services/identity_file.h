/*
 * The identity of a process (spec: security 4). It is looked for in this order:
 *
 *     1. the file that --identity names (command line tools)
 *     2. the file that VEYRON_IDENTITY names
 *     3. the file "identity" in the state directory, where wsprd keeps the one that it made at its
 *        first start; others use it if they may read it
 *     4. nowhere: a fresh one
 *
 * The state directory is the one of -state-dir, else the first of $STATE_DIRECTORY (what systemd
 * gives a service), else $XDG_STATE_HOME/wspr, else ~/.local/state/wspr.
 *
 * All of it blocks; for the start of a program.
 */
#ifndef SERVICES_IDENTITY_FILE_H
#define SERVICES_IDENTITY_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/log.h"

struct security_private;
struct security_trust;

#define IDENTITY_PATH_MAX 4096

/* Reads the private identity in the file. The error never tells what is in it. */
int identity_file_read(const char *path, struct security_private **ret_id, struct err *err);
/*
 * Writes the identity into a new file that only its owner may read. Once this returns the file is
 * there for good; before, it is not there at all. WSPR_EEXISTS if there is one: no file is ever
 * overwritten. WSPR_ESYS, WSPR_ELIMIT (the path), WSPR_ENOMEM.
 */
int identity_file_create(const char *path, const struct security_private *id, struct err *err);
/* A self-signed identity named user@host-pid. */
int identity_fresh(struct security_private **ret_id, struct err *err);
/*
 * The path of the state directory, which need not be there; dir is that of -state-dir, or NULL or
 * empty. WSPR_ENOTFOUND if the environment tells none, WSPR_ELIMIT.
 */
int identity_state_dir(const char *dir, char *ret_path, size_t size, struct err *err);

/*
 * What a process runs under, and a table that trusts its roots. The caller owns a reference to
 * each. The first is 2 to 4 of the list above; the second 1 to 4, where file may be NULL.
 */
int identity_of_process(struct security_private **ret_id, struct security_trust **ret_trust,
                        struct err *err);
int identity_of_tool(const char *file, struct security_private **ret_id,
                     struct security_trust **ret_trust, struct err *err);
/*
 * The same for wsprd: 2, else 3, where the identity (named user@host) is made if there is none;
 * two that start at the same time come out with the same one. A file that cannot be read or holds
 * no identity is an error. A state directory that cannot be made or written is one if it was named
 * (dir); otherwise it is logged and the process goes on with an identity that dies with it.
 *
 * One that was made (*ret_made) is there for everybody but may not outlive a failure of the system
 * yet: identity_of_daemon_sync, which may take its time, sees to that. Until then only what can be
 * made again may depend on it: the account store, which cannot, does the same before it is made. An
 * empty file, which such a failure may leave, counts as none.
 */
int identity_of_daemon(const char *dir, const struct log *log, struct security_private **ret_id,
                       struct security_trust **ret_trust, bool *ret_made, struct err *err);
int identity_of_daemon_sync(const char *dir, struct err *err);

#endif

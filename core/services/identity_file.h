/*
 * The identity of a process: the file that VEYRON_IDENTITY names, or a fresh one (spec: security
 * 4). Blocks; for the start of a program.
 */
#ifndef SERVICES_IDENTITY_FILE_H
#define SERVICES_IDENTITY_FILE_H

#include "base/error.h"

struct security_private;
struct security_trust;

/* Reads the private identity in the file. The error never tells what is in it. */
int identity_file_read(const char *path, struct security_private **ret_id, struct err *err);
/* A self-signed identity named user@host-pid. */
int identity_fresh(struct security_private **ret_id, struct err *err);
/*
 * What a process runs under: from the file that the environment names, else a fresh one; and a
 * table that trusts its roots. The caller owns a reference to each.
 */
int identity_of_process(struct security_private **ret_id, struct security_trust **ret_trust,
                        struct err *err);

#endif

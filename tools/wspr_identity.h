/* Identities in files, for the commands of 'wspr identity'. */
#ifndef TOOLS_WSPR_IDENTITY_H
#define TOOLS_WSPR_IDENTITY_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"

struct cli;
struct security_identity;
struct security_private;
struct security_trust;

/* What a file holds: a private identity and its public part, or only a public one. */
struct cli_id {
    struct security_private *priv; /* NULL: it is public */
    struct security_identity *pub; /* a reference of its own */
};

/* Reads a file ("-": the standard input). The error says what is wrong, never what is in it. */
int cli_id_read(const char *path, struct cli_id *ret_id, struct err *err);
void cli_id_done(struct cli_id *id);
/*
 * Writes the text form: to a file that only its owner may read, all or nothing, or for an empty
 * path to the standard output. Replaces a file only with force. Returns the exit status.
 */
int cli_id_write(struct cli *cli, const char *path, bool force, const struct cli_id *id);

/* ---- wspr_idshow.c ---- */

/* The six lines that the network's own tool prints (spec: security 13.1). */
void cli_id_put(struct cli *cli, const struct cli_id *id, const struct security_trust *trust);
/* The certificates with their caveats, for people. */
void cli_id_put_long(struct cli *cli, const struct cli_id *id, const struct security_trust *trust);
/* All of it as an object. */
void cli_id_put_json(struct cli *cli, const struct cli_id *id, const struct security_trust *trust);
/* Appends "2026-11-22T22:30:00Z" for nanoseconds since 1970. */
void cli_time_text(struct buf *out, int64_t ns);

#endif

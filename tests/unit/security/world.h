/* The cast of the vectors in identity.json: keys, trusted roots, identities and discharges. */
#ifndef TESTS_UNIT_SECURITY_WORLD_H
#define TESTS_UNIT_SECURITY_WORLD_H

#include <stdint.h>

#include "security/caveat.h"
#include "security/identity.h"
#include "security/trust.h"
#include "tap.h"
#include "vectors.h"

/* All of it is loaded at the first call and released by world_end. */
struct json_object *world(void);
struct security_trust *world_trust(void);
void world_end(void);

/* A member array of the file; the test fails if it is empty. */
struct json_object *world_group(const char *name);
/* The entry of a group whose "id" is the given one; NULL if there is none. */
struct json_object *world_entry(const char *group, const char *id);

/* Entries of `identities`, decoded afresh: the caller unrefs. "" gives NULL. */
struct security_identity *world_identity(const char *id);
struct security_private *world_private(const char *id);
struct security_discharge *world_discharge(const char *id);
struct security_key *world_key(const char *name);

/* "2014-07-31T11:59:59.999999999Z" as nanoseconds since 1970. */
int64_t world_time(const char *text);
/* The context of an authorization or caveat vector; its local identity and discharges are owned. */
struct world_context {
    struct security_context c;
    struct security_identity *local;
    struct security_discharge *discharges[8];
};
void world_context(struct world_context *w, struct json_object *o);
void world_context_done(struct world_context *w);

/* Whether the span is these hexadecimal bytes. */
bool is_hex(struct span s, const char *hex);

/* Suites. */
extern const struct tap_suite suite_key, suite_identity, suite_make, suite_caveat, suite_acl,
    suite_channel, suite_hostile, suite_secrets;

#endif

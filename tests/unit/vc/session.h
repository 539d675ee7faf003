/* A recorded session of handshake_v2.json, taken apart. */
#ifndef TESTS_UNIT_VC_SESSION_H
#define TESTS_UNIT_VC_SESSION_H

#include <json-c/json.h>

#include "base/buf.h"
#include "recorded.h"
#include "vc/msg.h"

struct security_private;

#define SESSION_VCS 8

enum { C2S = 0, S2C = 1 }; /* from who dialled the connection, and to it */

struct session_msg {
    const char *conn;
    int dir;
    bool end; /* the connection was closed; no message */
    struct buf hex;
    struct vc_msg m;
    struct json_object *decoded;
};

/* A circuit that is secured. */
struct session_vc {
    struct json_object *tls;
    const char *conn;
    uint32_t vci, kx_flow, auth_flow;
    int opener; /* direction in which the opener's bytes go */
    struct rec_script script;
    struct rec_half half[2];   /* by direction */
    struct buf kx[2], auth[2]; /* what these flows carry */
    size_t kx_read[2];
    bool kx_sealed[2];
};

struct session {
    const char *name;
    struct json_object *json;
    struct session_msg *msgs;
    size_t n_msgs;
    struct session_vc vcs[SESSION_VCS];
    size_t n_vcs;
};

#define SESSIONS 8

/* Ends the program if the vectors are not what they should be. */
void session_load(struct session *s, struct json_object *json);
void session_done(struct session *s);
/* NULL: not secured. */
struct session_vc *session_vc(struct session *s, const char *conn, uint32_t vci);
/* The private identity that goes with a public one of the session; NULL if it has none. The caller
 * unrefs. */
struct security_private *session_private(struct session *s, struct span public_vom);
/* The plaintext of a Data message of an application flow. */
void session_plaintext(const struct session_msg *m, struct buf *out);

#endif

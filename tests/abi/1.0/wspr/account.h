/*
 * Accounts: a private identity under a label, and the web origins that act with it (spec:
 * identity-manager). The host keeps them, decides who may change them and under which identity the
 * calls and servers of a connection run; a plugin only hands over what a page asks for.
 */
#ifndef WSPR_ACCOUNT_H
#define WSPR_ACCOUNT_H

#include <stdint.h>
#include "wspr/reader.h"
#include "wspr/rpc.h"
#include "wspr/version.h"

#ifdef __cplusplus
extern "C" {
#endif

struct wspr_host;
struct wspr_conn;

/* What a page asks for. */
struct wspr_association {
    uint32_t size;             /* sizeof(struct wspr_association) */
    struct wspr_span account;  /* label of the account */
    struct wspr_span identity; /* text form of a private identity: secret */
    struct wspr_span origin;   /* serialized web origin, "https://app.example" */
};

/*
 * Stores the identity under the account's label and links the origin to it, as one change; then the
 * connection's own identity changes if the origin is its own or if it has none. The host checks
 * whether the connection may do that, and the whole identity. done is called exactly once, later,
 * also if the connection ends; fault is NULL after success, else borrowed and without anything of
 * the identity. Everything is copied; the host wipes its copies, the plugin those that it made.
 * WSPR_ENOMEM, WSPR_ECLOSED: done will not be called. Loop of the connection.
 */
WSPR_API int wspr_account_associate(struct wspr_host *host, struct wspr_conn *conn,
                                    const struct wspr_association *association,
                                    void (*done)(void *arg, const struct wspr_fault *fault),
                                    void *arg) WSPR_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif

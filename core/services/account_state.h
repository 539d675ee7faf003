/*
 * What the gateway knows of accounts and origins, and its stored form (spec: identity-manager 1 to
 * 5). No I/O.
 *
 *     accounts: label  -> private identity
 *     origins:  origin -> label of an account, caveats
 *
 * A state belongs to one thread at a time. Copies share the entries, which never change, so that a
 * change is made to a copy and either replaces the state or is forgotten.
 */
#ifndef SERVICES_ACCOUNT_STATE_H
#define SERVICES_ACCOUNT_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"

struct security_caveat;
struct security_key;
struct security_private;
struct security_pubkey;
struct security_trust;

struct account_state;

/* Bounds (WSPR_ELIMIT). */
#define ACCOUNT_TEXT_MAX      4096u               /* bytes of a label or origin */
#define ACCOUNTS_MAX          4096u               /* accounts */
#define ACCOUNT_ORIGINS_MAX   16384u              /* origins */
#define ACCOUNT_CAVEATS_MAX   64u                 /* caveats of one origin */
#define ACCOUNT_DATA_MAX      (16u * 1024 * 1024) /* bytes of the stored form */
#define ACCOUNT_SIGNATURE_MAX 4096u

struct account_state *account_state_new(void); /* NULL: no memory */
/* The same content; later changes of one do not touch the other. NULL: no memory. */
struct account_state *account_state_copy(const struct account_state *s);
void account_state_free(struct account_state *s); /* accepts NULL */

/* ---- changes ---- */

/* Adds the account or gives it another identity, which is referenced. WSPR_ENOMEM, WSPR_ELIMIT. */
int account_state_add(struct account_state *s, struct span account, struct security_private *id,
                      struct err *err);
/*
 * Links an origin to an account; the caveats, each with the stream of one caveat, are copied.
 * WSPR_ENOTFOUND `unknown account <account>`; WSPR_EINVAL for a caveat that is no caveat.
 */
int account_state_link(struct account_state *s, struct span origin, struct span account,
                       const struct security_caveat *caveats, size_t n, struct err *err);
/* Removes an account; its origins stay and lead nowhere. WSPR_ENOTFOUND `unknown account …`. */
int account_state_remove(struct account_state *s, struct span account, struct err *err);
/* Removes an origin. WSPR_ENOTFOUND `origin not found`. */
int account_state_unlink(struct account_state *s, struct span origin, struct err *err);

/* ---- looking ---- */

struct account_origin {
    struct span origin, account;
    const struct security_caveat *caveats;
    size_t n_caveats;
};

/* In ascending byte order. What is returned is borrowed and valid until the entry changes. */
size_t account_state_accounts(const struct account_state *s);
struct span account_state_account(const struct account_state *s, size_t i,
                                  struct security_private **ret_id);
size_t account_state_origins(const struct account_state *s);
const struct account_origin *account_state_origin(const struct account_state *s, size_t i);

/* The account's identity; NULL if there is no such account. Borrowed. */
struct security_private *account_state_find(const struct account_state *s, struct span account);
/* The entry of an origin; NULL if there is none. */
const struct account_origin *account_state_find_origin(const struct account_state *s,
                                                       struct span origin);
/*
 * The identity of the account that the origin is linked to, borrowed. WSPR_ENOTFOUND `origin not
 * found` if the origin, or its account, is not there.
 */
int account_state_identity(const struct account_state *s, struct span origin,
                           struct security_private **ret_id, struct err *err);
/* Whether account i's public identity matches the pattern (spec: security 7). */
bool account_state_matches(const struct account_state *s, size_t i, struct span pattern,
                           const struct security_trust *t);

/* ---- the stored form ---- */

/*
 * Appends the data: what it holds is secret, so use a buffer of its own and end it with
 * security_buf_wipe. Nothing is left behind in other memory. WSPR_ELIMIT above ACCOUNT_DATA_MAX.
 */
int account_state_encode(const struct account_state *s, struct buf *out, struct err *err);
/* Appends the signature of the data. */
int account_state_sign(struct span data, const struct security_key *host, struct buf *out,
                       struct err *err);

/* The two stored byte strings; p is NULL for one that is absent. */
struct account_stored {
    struct span data, signature;
};

/*
 * Verifies the signature over all of the data, then decodes and checks every identity: about a
 * third of a millisecond for each certificate. Both absent is an empty state. flags are those of
 * security_private_decode. WSPR_ENOTAUTH `signature verification failed`, WSPR_ETRUNC "EOF",
 * WSPR_EPROTO for anything behind the value or the signature, WSPR_EINVAL for an account that has
 * no identity or a key that occurs twice.
 */
int account_state_decode(const struct account_stored *stored, const struct security_pubkey *host,
                         unsigned flags, struct account_state **ret_s, struct err *err);

#endif

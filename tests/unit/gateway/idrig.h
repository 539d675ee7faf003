/* A gateway with accounts, and pages of origins. */
#ifndef TESTS_UNIT_GATEWAY_IDRIG_H
#define TESTS_UNIT_GATEWAY_IDRIG_H

#include "gateway/accounts_private.h"
#include "gwrig.h"
#include "security/identity.h"
#include "tap.h"

#define APP   "http://app.example"
#define OTHER "http://other.example"
#define NAME  "server/friend/http:%2F%2Fapp.example"

#define INTERNAL "veyron2/verror.Internal"
#define BAD_ARG  "veyron2/verror.BadArg"
#define NOT_AUTH "veyron2/verror.NotAuthorized"
#define REFUSED                                                                                    \
    "ipc: not authorized(\"client\" not authorized for method \"Whoami\": no matching ACL entry "  \
    "found)"

extern struct gw id_gw;
extern const struct tap_suite suite_identity_use, suite_busy;

/* With the service, accounts, and the plugins for requests, signatures and identities. */
void id_begin_with(struct gw_opts opts);
void id_begin(void);
void id_end(void);
/* A page of that origin; NULL: a client that sends none. */
void id_open_page(struct page *p, const char *origin);
void id_identity_text(struct security_private *id, struct buf *text);
void id_associate(struct page *p, long long id, const char *account,
                  struct security_private *identity, const char *origin);
/* Associates through a client of this machine. */
void id_associate_locally(const char *account, struct security_private *identity,
                          const char *origin);
void id_call(struct page *p, long long id, const char *suffix, const char *method, int n_out);
/* The service sees the page's calls under this name. */
void id_is_seen_as(struct page *p, long long id, const char *name);

#endif

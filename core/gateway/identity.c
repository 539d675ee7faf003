/*
 * Under which identity the calls and servers of a connection run (DESIGN 14): that of the origin of
 * its handshake; without one, that of the origin it associated; else the runtime's. It is looked up
 * each time, so that a change of the accounts counts from the next call on.
 *
 * An origin's identity may have to be made first, or again. The connection's input waits for that
 * before the next message, so that handlers always find one.
 */
#include "config.h"

#include <stdlib.h>

#include "base/mem.h"
#include "gateway/accounts.h"
#include "gateway/policy.h"
#include "gateway/private.h"

static void identity_is_ready(struct accounts_waiter *w)
{
    struct wspr_conn *c = LIST_OBJECT(w, struct wspr_conn, identity_wait);

    c->identity_held = false;
    gateway_conn_schedule(c);
}

void gateway_conn_identity_init(struct wspr_conn *c)
{
    list_init(&c->identity_wait.node);
    c->identity_wait.ready = identity_is_ready;
}

void gateway_conn_identity_done(struct wspr_conn *c)
{
    list_remove(&c->identity_wait.node);
    free(c->acts_as);
}

int gateway_conn_name_of(struct span origin, char **ret_name)
{
    struct buf text = BUF_INIT(65536);
    bool is_origin = policy_serialize(origin, &text);
    int r = buf_error(&text);

    *ret_name = NULL;
    if (r == 0 && is_origin) {
        *ret_name = mem_strndup((const char *)buf_data(&text), text.len);
        r = *ret_name != NULL ? 0 : WSPR_ENOMEM;
    }
    buf_done(&text);
    return r;
}

void gateway_conn_act_as(struct wspr_conn *c, char *name)
{
    free(c->acts_as);
    c->acts_as = name;
}

bool gateway_conn_identity_ready(struct wspr_conn *c)
{
    struct security_private *id;
    struct span origin;
    int r;

    if (c->identity_held)
        return false;
    if (c->gw->accounts == NULL || c->acts_as == NULL)
        return true;
    origin = span_str(c->acts_as);
    r = accounts_identity(c->gw->accounts, origin, &id, NULL);
    if (r > 0 && c->n_servers > 0)
        gateway_server_renew_all(c, id);
    if (r != WSPR_EAGAIN)
        return true;
    c->identity_held = true;
    accounts_wait(c->gw->accounts, origin, &c->identity_wait);
    return false;
}

int gateway_conn_identity(struct wspr_conn *c, struct security_private **ret_id, struct err *err)
{
    struct security_private *id = NULL;
    int r = 0;

    if (c->gw->accounts != NULL && c->acts_as != NULL)
        r = accounts_identity(c->gw->accounts, span_str(c->acts_as), &id, err);
    if (r >= 0)
        *ret_id = id;
    return r < 0 ? r : 0;
}

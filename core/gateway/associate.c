/* <wspr/account.h>: who may associate what, and what it changes on the connection. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "gateway/accounts.h"
#include "gateway/policy.h"
#include "gateway/private.h"
#include "wspr/account.h"

#define QUOTED_MAX 256

struct association {
    struct wspr_conn *conn;
    struct loop_task task; /* tells a refusal */
    struct err err;
    void (*done)(void *arg, const struct wspr_fault *fault);
    void *arg;
    char *name; /* whom the connection will act as; NULL: what is associated is no origin */
    size_t origin_len;
    char origin[]; /* as it is stored */
};

static void association_free(struct association *as)
{
    err_done(&as->err);
    free(as->name);
    free(as);
}

/* One line of log for each that fails; nothing of the identity is in it. */
static void association_log(const struct association *as, const struct err *err)
{
    struct wspr_conn *c = as->conn;
    char from[QUOTED_MAX], origin[QUOTED_MAX], text[QUOTED_MAX];

    log_write(c->gw->log, LOG_LEVEL_WARN, "gateway",
              "conn=%" PRIu64 " from %s, origin %s: associating %s is refused: %s", c->number,
              c->remote, log_quote(from, sizeof from, c->origin, strlen(c->origin)),
              log_quote(origin, sizeof origin, as->origin, as->origin_len),
              log_quote(text, sizeof text, err_text(err), strlen(err_text(err))));
}

/* The page learns what it can act on; all else is our failure (spec: identity-manager 6.3). */
static int code_for_page(int code)
{
    switch (code) {
    case WSPR_EBADARG:
    case WSPR_ENOTAUTH:
    case WSPR_ENOMEM:
        return code;
    default:
        return WSPR_EINTERNAL;
    }
}

static void association_end(struct association *as, const struct err *err)
{
    struct wspr_conn *c = as->conn;
    struct wspr_fault fault = {0};

    if (err == NULL) {
        c->gw->stats.associations++;
        /* Its own origin needs nothing: the identity is looked up each time. */
        if (c->origin[0] == '\0' && c->phase == CONN_OPEN) {
            gateway_conn_act_as(c, as->name);
            as->name = NULL;
        }
    } else {
        int code = code_for_page(err->code);

        c->gw->stats.associations_refused++;
        association_log(as, err);
        fault = (struct wspr_fault){code, err_code_id(code), err_text(err), WSPR_STAGE_PREPARE};
    }
    as->done(as->arg, err != NULL ? &fault : NULL);
    association_free(as);
    gateway_conn_leave(c);
}

static void association_stored(void *arg, const struct err *err)
{
    association_end(arg, err);
}

static void association_refused(void *arg)
{
    struct association *as = arg;

    association_end(as, &as->err);
}

/* *ret_own: the origin speaks for itself only. */
static int may_associate(struct wspr_conn *c, struct span account, struct span origin,
                         bool *ret_own, struct err *err)
{
    *ret_own = false;
    if (c->gw->accounts == NULL)
        return err_set(err, WSPR_EINTERNAL, "no accounts are kept here");
    if (account.len == 0 || origin.len == 0)
        return err_set(err, WSPR_EBADARG, "the %s is empty",
                       account.len == 0 ? "account" : "origin");
    if (policy_admits(&c->gw->associate_from, span_str(c->origin), c->local))
        return 0;
    *ret_own = true;
    if (c->origin[0] != '\0' && c->acts_as != NULL && span_equal_str(origin, c->acts_as))
        return 0;
    return err_set(err, WSPR_ENOTAUTH,
                   "this page may only associate an identity with its own origin");
}

static struct association *association_new(struct wspr_conn *c, struct span origin)
{
    struct buf text = BUF_INIT(65536);
    struct association *as = NULL;

    /* What is no origin is kept as it is: no browser ever sends it. */
    if (!policy_serialize(origin, &text) && buf_error(&text) == 0)
        buf_append_span(&text, origin);
    if (buf_error(&text) == 0)
        as = calloc(1, sizeof *as + text.len);
    if (as != NULL) {
        as->conn = c;
        as->origin_len = text.len;
        if (text.len > 0)
            memcpy(as->origin, buf_data(&text), text.len);
        loop_task_init(&as->task, association_refused, as);
        if (gateway_conn_name_of(origin, &as->name) < 0) {
            association_free(as);
            as = NULL;
        }
    }
    buf_done(&text);
    return as;
}

static struct span span_of_plugin(struct wspr_span s)
{
    return span_of(s.p, s.p != NULL ? s.len : 0);
}

int wspr_account_associate(struct wspr_host *host, struct wspr_conn *c,
                           const struct wspr_association *association,
                           void (*done)(void *arg, const struct wspr_fault *fault), void *arg)
{
    struct accounts_change change = {
        .account = span_of_plugin(association->account),
        .identity = span_of_plugin(association->identity),
    };
    struct association *as;
    int r;

    if (c->phase != CONN_OPEN)
        return WSPR_ECLOSED;
    as = association_new(c, span_of_plugin(association->origin));
    if (as == NULL)
        return WSPR_ENOMEM;
    as->done = done;
    as->arg = arg;
    change.origin = span_of(as->origin, as->origin_len);
    r = may_associate(c, change.account, change.origin, &change.own_only, &as->err);
    if (r == 0) {
        r = accounts_associate(c->gw->accounts, &change, association_stored, as);
        if (r < 0)
            err_set(&as->err, r, "too many associations are under way");
    }
    c->busy++;
    if (r < 0)
        loop_worker_later(c->gw->worker, &as->task);
    return 0;
}

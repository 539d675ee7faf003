/*
 * Changes: queued, and made in batches on the offload pool. All that wait when a batch begins share
 * one save, whose flushes to the disk cost more than all else; so that under load there are some to
 * share it, batches begin GATHER apart. One that comes alone begins at once. The store belongs to
 * the batch that runs; there is never more than one.
 */
#include "config.h"
#include "gateway/accounts.h"

#include <stdlib.h>

#include <gnutls/crypto.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/accounts_private.h"
#include "security/identity.h"
#include "security/idfile.h"
#include "ws/origin.h"

#define POLL_PERIOD (2 * CLOCK_S)
#define GATHER      (100 * CLOCK_MS)
#define QUEUE_MAX   1024
#define OWN_MAX     (ACCOUNTS_MAX / 2) /* accounts up to which strangers may add theirs */
#define OWN_SITE    64                 /* origins of one site up to which its others may */

/* One association. */
struct account_job {
    struct list node; /* in the queue, then in the batch */
    void (*done)(void *arg, const struct err *err);
    void *arg;
    bool own_only;
    struct span account, origin, identity; /* in text */
    struct err err;
    size_t size;
    char text[];
};

struct account_batch {
    struct loop_job job;
    struct accounts *a;
    struct list changes;
    struct account_state *state; /* a copy of the gateway's, then what was stored; to look: NULL */
    bool replaced;               /* state is new */
    struct err err;              /* of looking at the store */
};

/* ---- one change ---- */

static void job_free(struct account_job *j)
{
    err_done(&j->err);
    mem_wipe(j, sizeof *j + j->size);
    free(j);
}

static struct span job_keep(struct account_job *j, struct span s)
{
    char *to = j->text + j->size;

    if (s.len > 0)
        memcpy(to, s.p, s.len);
    j->size += s.len;
    return span_of(to, s.len);
}

static struct account_job *job_new(const struct accounts_change *c)
{
    struct account_job *j = malloc(sizeof *j + c->account.len + c->origin.len + c->identity.len);

    if (j == NULL)
        return NULL;
    memset(j, 0, sizeof *j);
    j->own_only = c->own_only;
    j->account = job_keep(j, c->account);
    j->origin = job_keep(j, c->origin);
    j->identity = job_keep(j, c->identity);
    return j;
}

/*
 * The last two labels of a name: who has it has all names below it. The whole of an address. That
 * co.example is many people's is known to lists alone; they share.
 */
static struct span site_of(struct span origin)
{
    struct ws_origin o;
    struct span host;
    const uint8_t *at;
    unsigned dots = 0;

    if (ws_origin_parse(origin, &o) < 0)
        return origin;
    host = o.host;
    if (host.len > 0 && host.p[host.len - 1] == '.')
        host.len--;
    if (o.ipv6 || host.len == 0 || (host.p[host.len - 1] >= '0' && host.p[host.len - 1] <= '9'))
        return host;
    for (at = host.p + host.len; at > host.p; at--) {
        if (at[-1] == '.' && ++dots == 2)
            break;
    }
    return span_of(at, (size_t)(host.p + host.len - at));
}

/* Whoever has a site has as many origins as he likes: all accounts are not to be theirs. */
static bool site_is_full(const struct account_state *s, struct span origin)
{
    struct span site = site_of(origin);
    unsigned n = 0;

    for (size_t i = 0; i < account_state_origins(s); i++)
        n += span_equal(site_of(account_state_origin(s, i)->origin), site);
    return n >= OWN_SITE;
}

/*
 * Whether an origin that speaks for itself may give this account an identity: it is the origin's
 * own, or it is new and the origin has no other.
 */
static int check_own(const struct account_state *s, const struct account_job *j, struct err *err)
{
    const struct account_origin *own = account_state_find_origin(s, j->origin);
    bool is_own = own != NULL && span_equal(own->account, j->account);

    if (account_state_find(s, j->account) == NULL) {
        if (account_state_accounts(s) >= OWN_MAX)
            return err_set(err, WSPR_ELIMIT, "there are too many accounts");
        if (own == NULL && site_is_full(s, j->origin))
            return err_set(err, WSPR_ELIMIT, "there are too many accounts of this site");
        if (own == NULL || is_own || account_state_find(s, own->account) == NULL)
            return 0;
        return err_set(err, WSPR_ENOTAUTH, "this origin has another account");
    }
    for (size_t i = 0; is_own && i < account_state_origins(s); i++) {
        const struct account_origin *o = account_state_origin(s, i);

        is_own = !span_equal(o->account, j->account) || o == own;
    }
    return is_own ? 0 : err_set(err, WSPR_ENOTAUTH, "this account is not the origin's own");
}

/* Decodes the identity, which is wiped, and changes the state; all or nothing. */
static int job_apply(struct account_job *j, unsigned flags, struct account_state **state)
{
    struct account_state *s = NULL;
    struct security_private *id = NULL;
    int r = j->identity.len > 0 ? security_idfile_parse_private(j->identity, flags, &id, &j->err)
                                : err_set(&j->err, WSPR_EINVAL, "there is none");

    mem_wipe((void *)(uintptr_t)j->identity.p, j->identity.len);
    if (r < 0)
        return err_prefix(&j->err, r == WSPR_ENOMEM ? 0 : WSPR_EBADARG, "can't decode identity: ");
    if (j->own_only)
        r = check_own(*state, j, &j->err);
    if (r == 0) {
        s = account_state_copy(*state);
        if (s == NULL)
            r = err_set(&j->err, WSPR_ENOMEM, "out of memory");
    }
    if (r == 0)
        r = account_state_add(s, j->account, id, &j->err);
    if (r == 0)
        r = account_state_link(s, j->origin, j->account, NULL, 0, &j->err);
    security_private_unref(id);
    if (r < 0) {
        account_state_free(s);
        return r;
    }
    account_state_free(*state);
    *state = s;
    return 0;
}

/* ---- a batch, on the pool ---- */

/* What another process stored replaces what we know. */
static int batch_look(struct account_batch *b)
{
    struct account_state *fresh;
    int r = account_store_changed(b->a->store, &b->err);

    if (r <= 0)
        return r;
    r = account_store_load(b->a->store, &fresh, &b->err);
    if (r < 0)
        return r;
    account_state_free(b->state);
    b->state = fresh;
    b->replaced = true;
    return 0;
}

static void batch_fail(struct account_batch *b, const struct err *why)
{
    LIST_FOREACH (node, &b->changes) {
        struct account_job *j = LIST_OBJECT(node, struct account_job, node);

        if (j->err.code == 0)
            err_copy(&j->err, why);
    }
}

static void batch_change(struct account_batch *b)
{
    struct account_state *before = account_state_copy(b->state);
    struct err e = ERR_INIT;
    unsigned changed = 0;
    int r = 0;

    if (before == NULL)
        r = err_set(&e, WSPR_ENOMEM, "out of memory");
    LIST_FOREACH (node, &b->changes) {
        if (r == 0)
            changed +=
                job_apply(LIST_OBJECT(node, struct account_job, node), b->a->flags, &b->state) == 0;
    }
    if (r == 0 && changed > 0)
        r = account_store_save(b->a->store, b->state, &e);
    if (r == 0) {
        b->replaced = b->replaced || changed > 0;
    } else {
        if (e.code == 0)
            err_set(&e, r, "%s", err_code_text(r));
        if (before != NULL) {
            account_state_free(b->state);
            b->state = before;
            before = NULL;
        }
        batch_fail(b, &e);
    }
    account_state_free(before);
    err_done(&e);
}

static void batch_work(void *arg)
{
    struct account_batch *b = arg;

    if (list_empty(&b->changes)) {
        batch_look(b);
        return;
    }
    if (account_store_lock(b->a->store, &b->err) == 0 && batch_look(b) == 0)
        batch_change(b);
    else
        batch_fail(b, &b->err);
    account_store_unlock(b->a->store);
}

/* ---- on the loop ---- */

static void batch_next(struct accounts *a);

/* The changes' owners hear of it; they may make others. */
static void batch_tell(struct account_batch *b)
{
    struct list *node;

    while ((node = list_pop(&b->changes)) != NULL) {
        struct account_job *j = LIST_OBJECT(node, struct account_job, node);

        j->done(j->arg, j->err.code != 0 ? &j->err : NULL);
        job_free(j);
    }
}

static void batch_done(void *arg, int status)
{
    struct account_batch *b = arg;
    struct accounts *a = b->a;

    if (status < 0) {
        err_set(&b->err, WSPR_ECLOSED, "the gateway stops");
        batch_fail(b, &b->err);
    }
    if (b->err.code != 0 && !a->unreadable)
        log_write(a->log, LOG_LEVEL_ERROR, "accounts", "%s", err_text(&b->err));
    a->unreadable = b->err.code != 0;
    if (b->replaced) {
        account_state_free(a->state);
        a->state = b->state;
        b->state = NULL;
        accounts_use_refresh(a);
    }
    a->batch = NULL;
    batch_tell(b);
    account_state_free(b->state);
    err_done(&b->err);
    free(b);
    batch_next(a);
    accounts_check_stopped(a);
}

/* No batch can be begun: all that waits fails. */
static void queue_fail(struct accounts *a, int code)
{
    struct list failed, *node;

    list_init(&failed);
    while ((node = list_pop(&a->queue)) != NULL)
        list_push_back(&failed, node);
    a->n_queue = 0;
    while ((node = list_pop(&failed)) != NULL) {
        struct account_job *j = LIST_OBJECT(node, struct account_job, node);

        err_set(&j->err, code, "%s", err_code_text(code));
        j->done(j->arg, &j->err);
        job_free(j);
    }
}

static struct account_batch *batch_new(struct accounts *a)
{
    struct account_batch *b = calloc(1, sizeof *b);

    if (b == NULL)
        return NULL;
    if (!list_empty(&a->queue)) {
        b->state = account_state_copy(a->state);
        if (b->state == NULL) {
            free(b);
            return NULL;
        }
    }
    b->a = a;
    list_init(&b->changes);
    loop_job_init(&b->job, batch_work, batch_done, b);
    return b;
}

/* Takes all that waits; without anything it only looks what others did. */
static void batch_start(struct accounts *a)
{
    struct account_batch *b = batch_new(a);
    struct list *node;
    int r;

    if (b == NULL) {
        queue_fail(a, WSPR_ENOMEM);
        return;
    }
    while ((node = list_pop(&a->queue)) != NULL)
        list_push_back(&b->changes, node);
    a->n_queue = 0;
    a->batch = b;
    a->last_batch = clock_mono();
    r = loop_offload_submit(a->offload, a->worker, LOOP_LANE_BACK, &b->job);
    if (r == 0)
        return;
    a->batch = NULL;
    while ((node = list_pop(&b->changes)) != NULL)
        list_push_back(&a->queue, node);
    account_state_free(b->state);
    free(b);
    queue_fail(a, r);
}

/* Begins one if something waits, now or when it is time. */
static void batch_next(struct accounts *a)
{
    int64_t wait = a->last_batch + GATHER - clock_mono();

    if (a->batch != NULL || list_empty(&a->queue))
        return;
    if (wait <= 0 || a->stopping)
        batch_start(a);
    else if (!loop_timer_running(&a->gather))
        loop_timer_start(&a->gather, wait);
}

static void accounts_gathered(void *arg)
{
    batch_next(arg);
}

/* Runs after the callback that queued a change. */
static void accounts_task(void *arg)
{
    struct accounts *a = arg;

    batch_next(a);
    accounts_check_stopped(a);
}

int accounts_associate(struct accounts *a, const struct accounts_change *change,
                       void (*done)(void *arg, const struct err *err), void *arg)
{
    struct account_job *j;

    if (a->n_queue >= QUEUE_MAX || a->stopping)
        return WSPR_ELIMIT;
    j = job_new(change);
    if (j == NULL)
        return WSPR_ENOMEM;
    j->done = done;
    j->arg = arg;
    list_push_back(&a->queue, &j->node);
    a->n_queue++;
    loop_worker_later(a->worker, &a->task);
    return 0;
}

static void accounts_poll(void *arg)
{
    struct accounts *a = arg;

    if (a->batch == NULL && !a->stopping)
        batch_start(a);
}

/* ---- life ---- */

static void accounts_free(struct accounts *a)
{
    accounts_use_drop_all(a);
    loop_timer_stop(&a->poll);
    loop_timer_stop(&a->gather);
    loop_task_cancel(&a->task);
    account_state_free(a->state);
    account_store_close(a->store);
    free(a);
}

int accounts_new(const struct accounts_opts *opts, struct accounts **ret_a, struct err *err)
{
    struct account_store_opts store = {
        .folder = opts->folder,
        .host = opts->host,
        .flags = opts->placeholders ? SECURITY_ALLOW_PLACEHOLDERS : 0,
    };
    struct accounts *a = calloc(1, sizeof *a);
    int r;

    if (a == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    a->worker = opts->worker;
    a->offload = opts->offload;
    a->log = opts->log;
    a->raw = opts->raw;
    a->lifetime = opts->lifetime > 0 ? opts->lifetime : ACCOUNTS_LIFETIME;
    a->poll_period = opts->poll > 0 ? opts->poll : POLL_PERIOD;
    a->flags = store.flags;
    list_init(&a->queue);
    loop_timer_init(&a->poll, a->worker, accounts_poll, a);
    loop_timer_init(&a->gather, a->worker, accounts_gathered, a);
    a->last_batch = clock_mono() - GATHER;
    loop_task_init(&a->task, accounts_task, a);
    r = gnutls_rnd(GNUTLS_RND_NONCE, &a->hash_key, sizeof a->hash_key) < 0
            ? err_set(err, WSPR_ECRYPTO, "no random numbers can be had")
            : account_store_open(&store, &a->store, err);
    if (r == 0)
        r = account_store_load(a->store, &a->state, err);
    if (r < 0) {
        accounts_free(a);
        return r;
    }
    if (opts->folder != NULL)
        loop_timer_start_every(&a->poll, a->poll_period);
    *ret_a = a;
    return 0;
}

void accounts_check_stopped(struct accounts *a)
{
    void (*stopped)(void *) = a->stopped;
    void *arg = a->stopped_arg;

    if (!a->stopping || a->batch != NULL || !list_empty(&a->queue) || a->making > 0)
        return;
    accounts_free(a);
    if (stopped != NULL)
        stopped(arg);
}

void accounts_stop(struct accounts *a, void (*done)(void *arg), void *arg)
{
    a->stopping = true;
    a->stopped = done;
    a->stopped_arg = arg;
    loop_timer_stop(&a->poll);
    loop_worker_later(a->worker, &a->task);
}

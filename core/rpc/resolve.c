/*
 * Resolution: a list of names, all of which stand for the same object, is replaced step by step by
 * what the mount tables behind them answer, until every name is terminal.
 *
 *     rpc_resolve --+                               +--> done
 *     rpc_resolve --+-> lookup: step, step, step ---+--> done
 *     rpc_resolve --+   (memory or mount tables)    +--> done
 *
 * A lookup serves everybody who asks for the same name in the same way while it runs.
 */
#include "config.h"
#include "rpc/resolve.h"

#include <stdlib.h>
#include <string.h>

#include "loop/timer.h"
#include "naming/name.h"
#include "rpc/call_private.h"
#include "rpc/step.h"
#include "security/identity.h"

/* A look-up for a discharge fetches none itself, so it is not shared with those that do. */
enum lookup_mode { LOOKUP_RESOLVE, LOOKUP_AFRESH, LOOKUP_MOUNT_TABLE, LOOKUP_DISCHARGE };

struct rpc_lookup {
    UT_hash_handle hh;
    struct rpc_client *client;
    struct security_private *identity;
    enum lookup_mode mode;
    bool hashed, ending, cached;
    struct list waiters; /* struct rpc_resolution */
    struct buf names;    /* the present list, each ended by NUL */
    struct buf next;     /* the one that replaces it */
    struct buf previous; /* the one before (mount table) */
    unsigned steps;
    struct rpc_step *step;
    struct loop_task task;
    struct loop_timer timer;
    size_t key_len;
    uint8_t key[]; /* mode, identity, name */
};

struct rpc_resolution {
    struct list node;
    struct rpc_lookup *lookup;
    rpc_names_fn *done;
    void *arg;
};

/* ---- lists of names ---- */

bool rpc_names_next(struct span *names, struct span *ret_name)
{
    if (names->len == 0)
        return false;
    *ret_name = span_str((const char *)names->p);
    *names = span_of(names->p + ret_name->len + 1, names->len - ret_name->len - 1);
    return true;
}

static bool all_terminal(const struct buf *names)
{
    struct span left = buf_span(names), name;

    while (rpc_names_next(&left, &name)) {
        if (!naming_name_is_terminal(name))
            return false;
    }
    return true;
}

static void make_terminal(const struct buf *names, struct buf *out)
{
    struct span left = buf_span(names), name;

    buf_reset(out);
    while (rpc_names_next(&left, &name)) {
        naming_name_make_terminal(out, name);
        buf_u8(out, 0);
    }
}

static void swap(struct buf *a, struct buf *b)
{
    struct buf old = *a;

    *a = *b;
    *b = old;
}

void rpc_resolve_roots(const struct rpc_client *client, struct span name, struct buf *out)
{
    struct span roots = buf_span(&client->roots), root, address, rest;

    naming_name_split(name, &address, &rest);
    if (address.len > 0) {
        buf_append_span(out, name);
        buf_u8(out, 0);
        return;
    }
    while (rpc_names_next(&roots, &root)) {
        naming_name_join(out, root, name);
        buf_u8(out, 0);
    }
}

/* ---- memory ---- */

/*
 * Makes the next list of what is remembered of the first name of which anything is. With drop, of
 * all of them, and forgets it.
 */
static bool step_from_memory(struct rpc_client *client, const struct security_private *identity,
                             const struct buf *names, struct buf *next, bool drop)
{
    struct span left = buf_span(names), name;
    struct buf *asked = &client->asked;
    int64_t now = loop_worker_now(client->rt->worker);
    bool known = false;

    buf_reset(next);
    while ((!known || drop) && client->names.n > 0 && rpc_names_next(&left, &name)) {
        buf_reset(asked);
        naming_name_make_terminal(asked, name);
        if (buf_error(asked) != 0)
            break;
        if (!rpc_names_get(&client->names, identity, buf_span(asked), now, next))
            continue;
        known = true;
        if (drop)
            rpc_names_drop(&client->names, identity, buf_span(asked));
    }
    return known && buf_error(next) == 0;
}

/* Follows what is remembered of a name; false if it ends before every name is terminal. */
static bool follow_memory(struct rpc_client *client, struct span name,
                          const struct security_private *identity, bool drop)
{
    struct buf *names = &client->walk[0], *next = &client->walk[1];

    buf_reset(names);
    rpc_resolve_roots(client, name, names);
    if (buf_error(names) != 0 || names->len == 0)
        return false;
    for (unsigned i = 0; i <= RPC_RESOLVE_STEPS; i++) {
        if (all_terminal(names))
            return i > 0;
        if (!step_from_memory(client, identity, names, next, drop))
            return false;
        swap(names, next);
    }
    return false;
}

bool rpc_resolve_from_memory(struct rpc_client *client, struct span name,
                             struct security_private *identity, struct buf *out)
{
    if (client->names.n == 0)
        return false;
    if (identity == NULL)
        identity = client->rt->identity;
    if (!follow_memory(client, name, identity, false))
        return false;
    buf_append_span(out, buf_span(&client->walk[0]));
    return true;
}

void rpc_resolve_forget(struct rpc_client *client, struct span name,
                        struct security_private *identity)
{
    follow_memory(client, name, identity != NULL ? identity : client->rt->identity, true);
}

void rpc_client_set_names(struct rpc_client *client, unsigned entries, size_t bytes)
{
    rpc_names_clear(&client->names);
    client->names.max = entries;
    client->names.bytes_max = bytes;
}

/* ---- the end of a lookup ---- */

static void lookup_free(struct rpc_lookup *l)
{
    if (l->hashed)
        HASH_DELETE(hh, l->client->lookups, l);
    rpc_step_cancel(l->step);
    loop_task_cancel(&l->task);
    loop_timer_stop(&l->timer);
    security_private_unref(l->identity);
    buf_done(&l->names);
    buf_done(&l->next);
    buf_done(&l->previous);
    free(l);
}

static void lookup_end(struct rpc_lookup *l, struct span names, const struct err *err)
{
    struct list *node;

    /* Whoever asks from now on starts a new one. */
    if (l->hashed)
        HASH_DELETE(hh, l->client->lookups, l);
    l->hashed = false;
    l->ending = true;
    rpc_step_cancel(l->step);
    l->step = NULL;
    while ((node = list_pop(&l->waiters)) != NULL) {
        struct rpc_resolution *r = LIST_OBJECT(node, struct rpc_resolution, node);

        r->done(r->arg, names, err);
        free(r);
    }
    lookup_free(l);
}

static void lookup_fail(struct rpc_lookup *l, int code, const char *text)
{
    struct err e = ERR_INIT;

    err_set(&e, code, "%s", text);
    lookup_end(l, span_of(NULL, 0), &e);
    err_done(&e);
}

/* Ends with the terminal forms of a list. */
static void lookup_take(struct rpc_lookup *l, const struct buf *names)
{
    make_terminal(names, &l->next);
    if (buf_error(&l->next) != 0)
        lookup_fail(l, WSPR_ENOMEM, "out of memory");
    else
        lookup_end(l, buf_span(&l->next), NULL);
}

/* No mount table answered: whoever is behind the names is taken for the object itself. */
static void lookup_as_it_is(struct rpc_lookup *l)
{
    lookup_take(l, l->mode == LOOKUP_MOUNT_TABLE ? &l->previous : &l->names);
}

/* ---- steps ---- */

static void lookup_step(struct rpc_lookup *l);

/* The next list is made: on with it. */
static void lookup_advance(struct rpc_lookup *l)
{
    if (buf_error(&l->next) != 0) {
        lookup_fail(l, WSPR_ELIMIT, "too many servers are mounted under one name");
        return;
    }
    if (l->mode == LOOKUP_MOUNT_TABLE)
        swap(&l->previous, &l->names);
    swap(&l->names, &l->next);
    lookup_step(l);
}

static void lookup_answered(void *arg, const struct rpc_step_answer *a)
{
    struct rpc_lookup *l = arg;
    struct span left = a->servers, server;
    int64_t now = loop_worker_now(l->client->rt->worker);
    int64_t ttl = a->ttl < RPC_NAMES_TTL ? a->ttl : RPC_NAMES_TTL;

    l->step = NULL;
    buf_reset(&l->next);
    while (rpc_names_next(&left, &server)) {
        naming_name_join(&l->next, server, a->suffix);
        buf_u8(&l->next, 0);
    }
    rpc_names_put(&l->client->names, l->identity, a->asked, a->servers, a->suffix, now, now + ttl);
    lookup_advance(l);
}

static bool is_no_mount_table(const struct err *e)
{
    return e->code == WSPR_EBADARG || e->code == WSPR_ENOTFOUND || e->code == WSPR_EBADPROTO;
}

static void lookup_step_failed(void *arg, enum rpc_step_failure how, const struct err *err)
{
    struct rpc_lookup *l = arg;

    l->step = NULL;
    if (l->mode != LOOKUP_MOUNT_TABLE) {
        if (how == RPC_STEP_NO_ANSWER)
            lookup_as_it_is(l);
        else
            lookup_fail(l, WSPR_ENOTFOUND, RPC_NO_SUCH_NAME);
    } else if (how == RPC_STEP_MISSING) {
        lookup_take(l, &l->names); /* responsible, and without such an entry */
    } else if (how == RPC_STEP_MISSING_ROOT || is_no_mount_table(err)) {
        lookup_take(l, &l->previous);
    } else {
        lookup_end(l, span_of(NULL, 0), err);
    }
}

static const struct rpc_step_ops lookup_step_ops = {
    .answered = lookup_answered,
    .failed = lookup_step_failed,
};

static void lookup_step(struct rpc_lookup *l)
{
    if (all_terminal(&l->names)) {
        if (l->mode == LOOKUP_MOUNT_TABLE)
            lookup_take(l, &l->previous);
        else
            lookup_end(l, buf_span(&l->names), NULL);
        return;
    }
    if (l->steps++ == RPC_RESOLVE_STEPS) {
        lookup_fail(l, WSPR_EABORTED, "Resolution depth exceeded");
        return;
    }
    if ((l->mode == LOOKUP_RESOLVE || l->mode == LOOKUP_DISCHARGE) &&
        step_from_memory(l->client, l->identity, &l->names, &l->next, false)) {
        l->cached = true;
        l->client->rt->stats.resolve_hits++;
        lookup_advance(l);
        return;
    }
    if (!rpc_step_start(l->client, buf_span(&l->names), l->identity, l->mode == LOOKUP_DISCHARGE,
                        &lookup_step_ops, l, &l->step))
        lookup_fail(l, WSPR_ENOMEM, "out of memory");
}

static void lookup_begin(void *arg)
{
    struct rpc_lookup *l = arg;

    if (l->mode == LOOKUP_MOUNT_TABLE)
        buf_append_span(&l->previous, buf_span(&l->names));
    if (buf_error(&l->names) != 0 || buf_error(&l->previous) != 0)
        lookup_fail(l, WSPR_ELIMIT, "the name is too long");
    else if (l->names.len == 0)
        lookup_fail(l, WSPR_EINTERNAL, "No mount table available");
    else
        lookup_step(l);
}

static void lookup_timeout(void *arg)
{
    struct rpc_lookup *l = arg;
    bool missing = rpc_step_cancel(l->step);
    struct err e = ERR_INIT;

    l->step = NULL;
    err_set(&e, WSPR_EBADPROTO, "deadline exceeded");
    lookup_step_failed(l, missing ? RPC_STEP_MISSING : RPC_STEP_NO_ANSWER, &e);
    err_done(&e);
}

/* ---- the interface ---- */

static size_t lookup_key(uint8_t *key, enum lookup_mode mode, struct security_private *identity,
                         struct span name)
{
    key[0] = (uint8_t)mode;
    memcpy(key + 1, &identity, sizeof identity);
    if (name.len > 0)
        memcpy(key + 1 + sizeof identity, name.p, name.len);
    return 1 + sizeof identity + name.len;
}

static struct rpc_lookup *lookup_new(struct rpc_client *client, struct span name,
                                     struct security_private *identity, enum lookup_mode mode)
{
    struct rpc_lookup *l = calloc(1, sizeof *l + 1 + sizeof identity + name.len);

    if (l == NULL)
        return NULL;
    l->client = client;
    l->identity = security_private_ref(identity);
    l->mode = mode;
    list_init(&l->waiters);
    buf_init(&l->names, RPC_RESOLVE_MAX);
    buf_init(&l->next, RPC_RESOLVE_MAX);
    buf_init(&l->previous, RPC_RESOLVE_MAX);
    loop_task_init(&l->task, lookup_begin, l);
    loop_timer_init(&l->timer, client->rt->worker, lookup_timeout, l);
    l->key_len = lookup_key(l->key, mode, identity, name);
    return l;
}

/* The lookup that runs already, or a new one. */
static struct rpc_lookup *lookup_get(struct rpc_client *client, struct span name,
                                     struct security_private *identity, enum lookup_mode mode)
{
    struct rpc_lookup *fresh = lookup_new(client, name, identity, mode), *l;
    unsigned hash;

    if (fresh == NULL)
        return NULL;
    hash = hash_bytes(&client->rt->hash_key, fresh->key, fresh->key_len);
    HASH_FIND_BYHASHVALUE(hh, client->lookups, fresh->key, fresh->key_len, hash, l);
    if (l != NULL) {
        lookup_free(fresh);
        client->rt->stats.resolve_shared++;
        return l;
    }
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, client->lookups, fresh->key, fresh->key_len, hash, fresh);
    fresh->hashed = fresh->hh.tbl != NULL;
    if (!fresh->hashed) {
        lookup_free(fresh);
        return NULL;
    }
    rpc_resolve_roots(client, name, &fresh->names);
    loop_worker_later(client->rt->worker, &fresh->task);
    loop_timer_start(&fresh->timer, RPC_RESOLVE_TIMEOUT);
    return fresh;
}

static struct rpc_resolution *resolve(struct rpc_client *client, struct span name,
                                      struct security_private *identity, enum lookup_mode mode,
                                      rpc_names_fn *done, void *arg)
{
    struct rpc_resolution *r;

    if (client->rt->stopping)
        return NULL;
    r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->lookup = lookup_get(client, name, identity != NULL ? identity : client->rt->identity, mode);
    if (r->lookup == NULL) {
        free(r);
        return NULL;
    }
    r->done = done;
    r->arg = arg;
    list_push_back(&r->lookup->waiters, &r->node);
    return r;
}

struct rpc_resolution *rpc_resolve(struct rpc_client *client, struct span name,
                                   struct security_private *identity, rpc_names_fn *done, void *arg)
{
    return resolve(client, name, identity, LOOKUP_RESOLVE, done, arg);
}

struct rpc_resolution *rpc_resolve_afresh(struct rpc_client *client, struct span name,
                                          struct security_private *identity, rpc_names_fn *done,
                                          void *arg)
{
    return resolve(client, name, identity, LOOKUP_AFRESH, done, arg);
}

struct rpc_resolution *rpc_resolve_for_discharge(struct rpc_client *client, struct span name,
                                                 struct security_private *identity,
                                                 rpc_names_fn *done, void *arg)
{
    return resolve(client, name, identity, LOOKUP_DISCHARGE, done, arg);
}

struct rpc_resolution *rpc_resolve_mount_table(struct rpc_client *client, struct span name,
                                               struct security_private *identity,
                                               rpc_names_fn *done, void *arg)
{
    return resolve(client, name, identity, LOOKUP_MOUNT_TABLE, done, arg);
}

void rpc_resolve_cancel(struct rpc_resolution *r)
{
    struct rpc_lookup *l;

    if (r == NULL)
        return;
    l = r->lookup;
    list_remove(&r->node);
    free(r);
    if (list_empty(&l->waiters) && !l->ending)
        lookup_free(l);
}

bool rpc_resolve_was_cached(const struct rpc_resolution *r)
{
    return r->lookup->cached;
}

void rpc_resolve_abort(struct rpc_client *client)
{
    while (client->lookups != NULL)
        lookup_fail(client->lookups, WSPR_EABORTED, "the runtime is stopping");
}

#include "config.h"
#include "gateway/signature.h"

#include <stdlib.h>

#include "gateway/private.h"
#include "json/writer.h"
#include "rpc/client.h"
#include "rpc/header.h"
#include "security/identity.h"

#define SIG_ARENA_MAX    RPC_SIGNATURE_MAX
#define FETCH_MOUNT_STEP (2 * CLOCK_MS)

/* ---- the object ---- */

const struct wspr_signature *wspr_signature_ref(const struct wspr_signature *s)
{
    ((struct wspr_signature *)(uintptr_t)s)->refs++;
    return s;
}

void wspr_signature_unref(const struct wspr_signature *sig)
{
    struct wspr_signature *s = (struct wspr_signature *)(uintptr_t)sig;

    if (s == NULL || --s->refs > 0)
        return;
    rpc_signature_done(&s->sig);
    free(s);
}

const char *wspr_signature_json(const struct wspr_signature *s, size_t *ret_len)
{
    *ret_len = s->json.len;
    return (const char *)s->json.p;
}

static void write_json(struct buf *out, const struct wspr_signature *s)
{
    struct json_writer w;
    struct buf name = BUF_INIT(65536);

    json_writer_init(&w, out);
    json_write_object(&w);
    for (size_t i = 0; i < s->sig.n_methods; i++) {
        const struct rpc_sig_method *m = &s->sig.methods[i];

        buf_reset(&name);
        rpc_signature_page_name(&name, m->name);
        json_write_name(&w, buf_span(&name));
        json_write_object(&w);
        json_write_name_str(&w, "inArgs");
        json_write_array(&w);
        for (size_t k = 0; k < m->n_in; k++)
            json_write_string(&w, m->in[k].name);
        json_write_array_end(&w);
        json_write_name_str(&w, "numOutArgs");
        json_write_uint(&w, m->n_out);
        json_write_name_str(&w, "isStreaming");
        json_write_bool(&w, m->streaming);
        json_write_object_end(&w);
    }
    json_write_object_end(&w);
    buf_done(&name);
}

/* ---- building it from the value that the object sent ---- */

static struct wspr_signature *signature_new(void)
{
    struct wspr_signature *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->refs = 1;
    rpc_signature_init(&s->sig);
    return s;
}

/* What pages get of it. */
static int signature_show(struct wspr_signature *s, struct err *err)
{
    struct buf json = BUF_INIT(SIG_ARENA_MAX);
    size_t n;

    write_json(&json, s);
    n = buf_error(&json) == WSPR_ELIMIT ? SIG_ARENA_MAX : json.len + 1;
    if (buf_error(&json) == 0)
        s->json = arena_copy(&s->sig.arena, buf_span(&json));
    buf_done(&json);
    return s->json.p != NULL ? 0 : rpc_signature_no_room(&s->sig, n, err);
}

/* ---- fetching ---- */

struct sig_fetch {
    UT_hash_handle hh; /* in the gateway, by identity and name */
    struct gateway *gw;
    struct security_private *identity; /* NULL: the runtime's */
    struct rpc_call *call;
    struct wspr_signature *sig;
    struct err err;
    struct list waits;
    bool ended; /* out of the hash: its waits are being told */
    struct loop_task task;
    struct loop_timer timer;
    struct loop_timer start; /* while a page of ours is only just being mounted under the name */
    int64_t waited;
    size_t key_len;
    uint8_t key[]; /* the identity's address, then the name */
};

static struct span fetch_name(const struct sig_fetch *f)
{
    return span_of(f->key + sizeof f->identity, f->key_len - sizeof f->identity);
}

static void cache_put(struct wspr_conn *c, struct security_private *identity, struct span name,
                      const struct wspr_signature *sig);

static void fetch_free(struct sig_fetch *f)
{
    if (!f->ended)
        HASH_DELETE(hh, f->gw->fetches, f);
    rpc_call_cancel(f->call);
    loop_timer_stop(&f->timer);
    loop_timer_stop(&f->start);
    loop_task_cancel(&f->task);
    wspr_signature_unref(f->sig);
    security_private_unref(f->identity);
    err_done(&f->err);
    free(f);
}

void gateway_sig_fetch_drop(struct gateway *gw)
{
    while (gw->fetches != NULL)
        fetch_free(gw->fetches);
}

static void fetch_end(struct sig_fetch *f, const struct err *err)
{
    struct gateway *gw = f->gw;
    struct list *node;

    /* Who asks again from its callback gets a fetch of its own. */
    HASH_DELETE(hh, gw->fetches, f);
    f->ended = true;
    if (err == NULL)
        gw->stats.signatures_fetched++;
    while ((node = list_pop(&f->waits)) != NULL) {
        struct sig_wait *w = LIST_OBJECT(node, struct sig_wait, node);

        w->fetch = NULL;
        list_remove(&w->conn_node);
        if (err == NULL)
            cache_put(w->conn, f->identity, fetch_name(f), f->sig);
        w->done(w, err == NULL ? f->sig : NULL, err);
    }
    fetch_free(f);
    gateway_check_stopped(gw);
}

static int fetch_result(void *arg, struct rpc_call *call, uint32_t i, uint32_t n,
                        const struct rpc_value *v, struct err *err)
{
    struct sig_fetch *f = arg;
    int r = rpc_signature_result(&f->sig->sig, i, v, &f->err, err);

    return r == 0 && i == 0 ? signature_show(f->sig, err) : r;
}

static void fetch_done(void *arg, struct rpc_call *call, const struct err *err)
{
    struct sig_fetch *f = arg;

    f->call = NULL;
    if (err == NULL && f->err.code != 0)
        err = &f->err;
    fetch_end(f, err);
}

static const struct rpc_call_ops fetch_ops = {
    .result = fetch_result,
    .done = fetch_done,
};

static void fetch_timeout(void *arg)
{
    struct sig_fetch *f = arg;
    struct err e = ERR_INIT;

    rpc_call_cancel(f->call);
    f->call = NULL;
    err_set(&e, WSPR_ETIMEOUT, "deadline exceeded");
    fetch_end(f, &e);
    err_done(&e);
}

static void fetch_failed(void *arg)
{
    struct sig_fetch *f = arg;

    fetch_end(f, &f->err);
}

/*
 * Serving is answered before the name is mounted. Whoever uses it at once, on this gateway, waits
 * for the mount rather than being told that there is no such name, or being led to an older server.
 */
static void fetch_start(void *arg)
{
    struct sig_fetch *f = arg;
    int64_t step = f->waited / 8;

    if (f->waited < GATEWAY_MOUNT_WAIT && gateway_server_is_mounting(f->gw, fetch_name(f))) {
        /* Many may wait: those who wait long look less often. */
        if (step < FETCH_MOUNT_STEP)
            step = FETCH_MOUNT_STEP;
        f->waited += step;
        loop_timer_start(&f->start, step);
        return;
    }
    rpc_call_start(f->call, 0);
}

/* The fetch that is under way for the key; NULL: none. */
static struct sig_fetch *fetch_find(struct gateway *gw, struct span key)
{
    struct sig_fetch *f;

    HASH_FIND_BYHASHVALUE(hh, gw->fetches, key.p, key.len,
                          hash_bytes(&gw->hash_key, key.p, key.len), f);
    return f;
}

static struct sig_fetch *fetch_new(struct gateway *gw, struct security_private *identity,
                                   struct span key)
{
    struct rpc_call_opts opts = {
        .timeout = gw->limits.lookup_timeout,
        .n_results = 2,
        .identity = identity,
    };
    struct rpc_client *client = rpc_runtime_client(gw->runtime);
    struct span method = span_str("Signature");
    struct sig_fetch *f = calloc(1, sizeof *f + key.len);

    if (f == NULL)
        return NULL;
    f->gw = gw;
    list_init(&f->waits);
    loop_task_init(&f->task, fetch_failed, f);
    loop_timer_init(&f->timer, gw->worker, fetch_timeout, f);
    loop_timer_init(&f->start, gw->worker, fetch_start, f);
    memcpy(f->key, key.p, key.len);
    f->key_len = key.len;
    f->sig = signature_new();
    if (f->sig != NULL)
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, gw->fetches, f->key, key.len,
                                    hash_bytes(&gw->hash_key, key.p, key.len), f);
    if (f->sig == NULL || f->hh.tbl == NULL) {
        wspr_signature_unref(f->sig);
        free(f);
        return NULL;
    }
    f->identity = identity != NULL ? security_private_ref(identity) : NULL;
    f->call = rpc_call_new(client, fetch_name(f), method, &opts, &fetch_ops, f);
    loop_timer_start(&f->timer, gw->limits.lookup_timeout);
    if (f->call != NULL) {
        fetch_start(f);
    } else {
        rpc_call_refused(client, fetch_name(f), method, &f->err);
        loop_worker_later(gw->worker, &f->task);
    }
    return f;
}

/* ---- the cache of a connection ---- */

struct sig_entry {
    UT_hash_handle hh;
    struct security_private *identity; /* that it was fetched under; NULL: the runtime's */
    const struct wspr_signature *sig;
    int64_t used;
    size_t name_len;
    uint8_t name[];
};

static size_t entry_size(const struct sig_entry *e)
{
    return sizeof *e + e->name_len + e->sig->sig.arena.used;
}

static void cache_drop(struct wspr_conn *c, struct sig_entry *e)
{
    HASH_DELETE(hh, c->sigs, e);
    c->sig_bytes -= entry_size(e);
    wspr_signature_unref(e->sig);
    security_private_unref(e->identity);
    free(e);
    c->gw->stats.signatures_cached--;
}

void gateway_sig_cache_free(struct wspr_conn *c)
{
    struct sig_entry *e, *next;

    HASH_ITER (hh, c->sigs, e, next)
        cache_drop(c, e);
}

static struct sig_entry *cache_find(struct wspr_conn *c, struct span name)
{
    struct sig_entry *e;

    HASH_FIND_BYHASHVALUE(hh, c->sigs, name.p, name.len,
                          hash_bytes(&c->gw->hash_key, name.p, name.len), e);
    return e;
}

void gateway_sig_cache_forget(struct wspr_conn *c, struct span name)
{
    struct sig_entry *e = cache_find(c, name);

    if (e != NULL)
        cache_drop(c, e);
}

static struct sig_entry *cache_oldest(struct wspr_conn *c)
{
    struct sig_entry *oldest = c->sigs, *e, *next;

    HASH_ITER (hh, c->sigs, e, next) {
        if (e->used < oldest->used)
            oldest = e;
    }
    return oldest;
}

/* An entry of another identity, which the connection had before, is of no use. */
static struct sig_entry *cache_find_for(struct wspr_conn *c,
                                        const struct security_private *identity, struct span name)
{
    struct sig_entry *e = cache_find(c, name);

    if (e == NULL || e->identity == identity)
        return e;
    cache_drop(c, e);
    return NULL;
}

static void cache_put(struct wspr_conn *c, struct security_private *identity, struct span name,
                      const struct wspr_signature *sig)
{
    const struct gateway_limits *l = &c->gw->limits;
    struct sig_entry *e;

    if (c->phase != CONN_OPEN || cache_find_for(c, identity, name) != NULL)
        return;
    while (HASH_COUNT(c->sigs) >= l->signatures ||
           (c->sigs != NULL && c->sig_bytes + sig->sig.arena.used > l->signature_bytes))
        cache_drop(c, cache_oldest(c));
    e = calloc(1, sizeof *e + name.len);
    if (e == NULL)
        return;
    e->sig = wspr_signature_ref(sig);
    e->used = loop_worker_now(c->gw->worker);
    memcpy(e->name, name.p, name.len);
    e->name_len = name.len;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, c->sigs, e->name, name.len,
                                hash_bytes(&c->gw->hash_key, name.p, name.len), e);
    if (e->hh.tbl == NULL) {
        wspr_signature_unref(e->sig);
        free(e);
        return;
    }
    e->identity = identity != NULL ? security_private_ref(identity) : NULL;
    c->sig_bytes += entry_size(e);
    c->gw->stats.signatures_cached++;
}

static const struct wspr_signature *
cache_get(struct wspr_conn *c, const struct security_private *identity, struct span name)
{
    int64_t now = loop_worker_now(c->gw->worker);
    struct sig_entry *e = cache_find_for(c, identity, name);

    if (e == NULL)
        return NULL;
    if (now - e->used > c->gw->limits.signature_ttl) {
        cache_drop(c, e);
        return NULL;
    }
    e->used = now;
    return e->sig;
}

/* ---- waiting ---- */

static void wait_task(void *arg)
{
    struct sig_wait *w = arg;
    const struct wspr_signature *sig = w->sig;
    struct err e = w->err;

    w->sig = NULL;
    w->err = ERR_INIT;
    list_remove(&w->conn_node);
    w->done(w, sig, sig != NULL ? NULL : &e);
    wspr_signature_unref(sig);
    err_done(&e);
}

static void wait_init(struct sig_wait *w, struct wspr_conn *c,
                      void (*done)(struct sig_wait *w, const struct wspr_signature *sig,
                                   const struct err *err))
{
    list_init(&w->node);
    list_push_back(&c->sig_waits, &w->conn_node);
    w->conn = c;
    w->done = done;
    w->sig = NULL;
    w->cached = false;
    w->fetch = NULL;
    w->err = ERR_INIT;
    loop_task_init(&w->task, wait_task, w);
}

/* Joins the fetch of this name under this identity. */
static int wait_join(struct sig_wait *w, struct gateway *gw, struct security_private *identity,
                     struct span name)
{
    struct buf key = BUF_INIT(SIZE_MAX);
    struct sig_fetch *f = NULL;

    buf_append(&key, &identity, sizeof identity);
    buf_append_span(&key, name);
    if (buf_error(&key) == 0)
        f = fetch_find(gw, buf_span(&key));
    if (buf_error(&key) == 0 && f == NULL)
        f = fetch_new(gw, identity, buf_span(&key));
    buf_done(&key);
    if (f == NULL)
        return err_set(&w->err, WSPR_ENOMEM, "out of memory");
    w->fetch = f;
    list_push_back(&f->waits, &w->node);
    return 0;
}

void gateway_sig_wait_start(struct sig_wait *w, struct wspr_conn *c,
                            struct security_private *identity, struct span name,
                            void (*done)(struct sig_wait *w, const struct wspr_signature *sig,
                                         const struct err *err))
{
    struct gateway *gw = c->gw;
    const struct wspr_signature *sig;

    /* Another object is about to take the name: its signature is asked for, see fetch_start. */
    if (gateway_server_is_mounting(gw, name))
        gateway_sig_cache_forget(c, name);
    sig = cache_get(c, identity, name);
    wait_init(w, c, done);
    if (sig != NULL) {
        w->cached = true;
        w->sig = wspr_signature_ref(sig);
    }
    if (sig != NULL || wait_join(w, gw, identity, name) < 0)
        loop_worker_later(gw->worker, &w->task);
}

void gateway_sig_wait_fail(struct sig_wait *w, struct wspr_conn *c, const struct err *why,
                           void (*done)(struct sig_wait *w, const struct wspr_signature *sig,
                                        const struct err *err))
{
    wait_init(w, c, done);
    err_copy(&w->err, why);
    loop_worker_later(c->gw->worker, &w->task);
}

void gateway_sig_wait_cancel(struct sig_wait *w)
{
    struct sig_fetch *f = w->fetch;

    list_remove(&w->node);
    w->fetch = NULL;
    if (f != NULL && !f->ended && list_empty(&f->waits))
        fetch_free(f); /* nobody waits any more */
    list_remove(&w->conn_node);
    loop_task_cancel(&w->task);
    wspr_signature_unref(w->sig);
    w->sig = NULL;
    err_done(&w->err);
}

void gateway_sig_wait_abort_all(struct wspr_conn *c)
{
    struct err e = ERR_INIT;

    err_set(&e, WSPR_EABORTED, "the connection ended");
    while (!list_empty(&c->sig_waits)) {
        struct sig_wait *w = LIST_OBJECT(c->sig_waits.next, struct sig_wait, conn_node);

        gateway_sig_wait_cancel(w);
        w->done(w, NULL, &e);
    }
    err_done(&e);
}

/* ---- <wspr/rpc.h> ---- */

struct plugin_wait {
    struct list node; /* in gw->spare_waits */
    struct sig_wait wait;
    void (*done)(void *arg, const struct wspr_signature *sig, const struct wspr_fault *fault);
    void *arg;
    size_t size; /* in the connection's call_bytes */
};

static struct plugin_wait *plugin_wait_alloc(struct gateway *gw)
{
    struct list *node = spares_take(&gw->spare_waits);

    if (node == NULL)
        return calloc(1, sizeof(struct plugin_wait));
    return LIST_OBJECT(node, struct plugin_wait, node);
}

static void plugin_wait_release(struct gateway *gw, struct plugin_wait *p)
{
    if (gw->stopping || !spares_keep(&gw->spare_waits, &p->node))
        free(p);
}

void gateway_sig_free_spares(struct gateway *gw, struct list *(*take)(struct spares *))
{
    struct list *node;

    while ((node = take(&gw->spare_waits)) != NULL)
        free(LIST_OBJECT(node, struct plugin_wait, node));
}

static void plugin_wait_done(struct sig_wait *w, const struct wspr_signature *sig,
                             const struct err *err)
{
    struct plugin_wait *p = LIST_OBJECT(w, struct plugin_wait, wait);
    struct wspr_conn *c = w->conn;
    struct wspr_fault fault = {0};

    if (err != NULL)
        fault = (struct wspr_fault){err->code, err_id(err), err_text(err), WSPR_STAGE_PREPARE};
    c->busy++;
    c->call_bytes -= p->size;
    p->done(p->arg, sig, err != NULL ? &fault : NULL);
    plugin_wait_release(c->gw, p);
    gateway_conn_leave(c);
}

int wspr_signature_get(struct wspr_host *host, struct wspr_conn *c, const struct wspr_span *name,
                       void (*done)(void *arg, const struct wspr_signature *sig,
                                    const struct wspr_fault *fault),
                       void *arg)
{
    size_t size = sizeof(struct plugin_wait) + name->len;
    struct security_private *identity;
    struct err e = ERR_INIT;
    struct plugin_wait *p;

    if (c->phase != CONN_OPEN)
        return WSPR_ECLOSED;
    /* The name is kept as long as somebody may answer. */
    if (c->call_bytes + size > c->gw->limits.calls_per_conn) {
        c->gw->stats.err_call_bytes++;
        return WSPR_ELIMIT;
    }
    p = plugin_wait_alloc(c->gw);
    if (p == NULL)
        return WSPR_ENOMEM;
    p->size = size;
    c->call_bytes += size;
    p->done = done;
    p->arg = arg;
    if (gateway_conn_identity(c, &identity, &e) == 0)
        gateway_sig_wait_start(&p->wait, c, identity, span_of(name->p, name->len),
                               plugin_wait_done);
    else
        gateway_sig_wait_fail(&p->wait, c, &e, plugin_wait_done);
    err_done(&e);
    return 0;
}

/*
 * The identities that origins act under. Each origin that connected has one entry:
 *
 *     made, good -------- close to its end ----> made, good, another being made
 *       ^                                                     |
 *       +---- a blessing is ready ---- EMPTY, being made <----+---- the account changed, expired
 *
 * Key pair, blessing and check are made on the pool. A renewal keeps the key pair, so that servers
 * remain who they are.
 */
#include "config.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/accounts_private.h"
#include "security/caveat.h"
#include "security/identity.h"
#include "security/key.h"

#define MARGIN_MAX  (60 * CLOCK_S) /* a new one is made at the latest this long before the end */
#define CLOCKS      (60 * CLOCK_S) /* that other machines' clocks may be behind */
#define RETRY       CLOCK_S
#define CAVEATS_MEM ((size_t)1 << 20)

struct account_use {
    UT_hash_handle hh;
    struct security_private *source; /* the account's identity */
    struct security_private *id;     /* NULL: none yet */
    int64_t renew, expires;          /* wall clock */
    struct arena caveats_mem;
    struct security_caveat *caveats; /* of the origin */
    size_t n_caveats;
    struct account_making *making; /* NULL: nothing is under way */
    struct list waiters;           /* struct accounts_waiter */
    struct err err;                /* why the last attempt failed */
    int64_t failed;                /* when; monotonic */
    size_t origin_len;
    uint8_t origin[];
};

/* One attempt to make an identity; lives on its own, because its use may go meanwhile. */
struct account_making {
    struct loop_job job;
    struct accounts *a;
    struct account_use *use;                    /* NULL: nobody wants it any more */
    struct security_private *source, *old, *id; /* old: whose key is kept; NULL: none */
    struct arena mem;
    struct security_blessing blessing;
    bool raw;
    int64_t lifetime;
    struct err err;
};

/* ---- what the caveats say is kept, to see a change ---- */

static int copy_caveats(struct arena *a, const struct security_caveat *from, size_t n,
                        struct security_caveat **ret_caveats)
{
    struct security_caveat *c = arena_calloc(a, n, sizeof *c);

    if (c == NULL)
        return WSPR_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        c[i].service = arena_copy(a, from[i].service);
        c[i].bytes = arena_copy(a, from[i].bytes);
        if (c[i].service.p == NULL || c[i].bytes.p == NULL)
            return WSPR_ENOMEM;
    }
    *ret_caveats = c;
    return 0;
}

static bool same_caveats(const struct account_use *u, const struct account_origin *o)
{
    bool same = u->n_caveats == o->n_caveats;

    for (size_t i = 0; same && i < o->n_caveats; i++)
        same = span_equal(u->caveats[i].service, o->caveats[i].service) &&
               span_equal(u->caveats[i].bytes, o->caveats[i].bytes);
    return same;
}

/* ---- making one, on the pool ---- */

/* An origin as one component of a name: it has slashes. */
static struct span name_of(struct arena *a, struct span origin)
{
    static const char hex[] = "0123456789ABCDEF";
    uint8_t *p = arena_alloc(a, 3 * origin.len + 1);
    size_t n = 0;

    if (p == NULL)
        return span_of(NULL, 0);
    for (size_t i = 0; i < origin.len; i++) {
        uint8_t c = origin.p[i];

        if (c == '/' || c == '%' || c == '*' || c < ' ' || c >= 0x7f) {
            p[n++] = '%';
            p[n++] = (uint8_t)hex[c >> 4];
            p[n++] = (uint8_t)hex[c & 15];
        } else {
            p[n++] = c;
        }
    }
    return span_of(p, n);
}

static int make_blessed(struct account_making *m)
{
    struct security_key *key = NULL;
    struct security_identity *blessed = NULL;
    int r = 0;

    if (m->old != NULL)
        key = security_key_ref(security_private_key(m->old));
    else
        r = security_key_generate(&key, &m->err);
    if (r == 0)
        r = security_private_bless(m->source, security_key_public(key), &m->blessing, &blessed,
                                   &m->err);
    if (r == 0)
        r = security_private_attach(key, blessed, &m->id, &m->err);
    security_key_unref(key);
    security_identity_unref(blessed);
    return r;
}

static void making_work(void *arg)
{
    struct account_making *m = arg;
    int r;

    /* The account's own identity as an object of its own: circuits are told apart by that. */
    if (m->raw)
        r = security_private_derive(m->source, security_private_public(m->source), &m->id, &m->err);
    else
        r = make_blessed(m);
    if (r < 0 && m->err.code == 0)
        err_set(&m->err, r, "%s", err_code_text(r));
    if (r < 0)
        err_prefix(&m->err, 0, "no identity can be made for this origin: ");
}

static void making_free(struct account_making *m)
{
    security_private_unref(m->source);
    security_private_unref(m->old);
    security_private_unref(m->id);
    arena_done(&m->mem);
    err_done(&m->err);
    free(m);
}

static void use_tell(struct account_use *u)
{
    struct list told, *node;

    list_init(&told);
    while ((node = list_pop(&u->waiters)) != NULL)
        list_push_back(&told, node);
    while ((node = list_pop(&told)) != NULL) {
        struct accounts_waiter *w = LIST_OBJECT(node, struct accounts_waiter, node);

        w->ready(w);
    }
}

static void use_take(struct account_use *u, struct account_making *m)
{
    int64_t margin = m->lifetime / 4;

    if (margin < MARGIN_MAX)
        margin = m->lifetime / 2 < MARGIN_MAX ? m->lifetime / 2 : MARGIN_MAX;
    security_private_unref(u->id);
    u->id = m->id;
    m->id = NULL;
    u->expires = m->raw ? INT64_MAX : m->blessing.now + m->blessing.duration;
    u->renew = m->raw ? INT64_MAX : u->expires - margin;
    err_done(&u->err);
}

static void making_done(void *arg, int status)
{
    struct account_making *m = arg;
    struct account_use *u = m->use;
    struct accounts *a = m->a;

    a->making--;
    if (status < 0)
        err_set(&m->err, WSPR_ECLOSED, "the gateway stops");
    if (u != NULL) {
        u->making = NULL;
        if (m->id != NULL) {
            use_take(u, m);
        } else {
            char quoted[256];

            err_done(&u->err);
            err_move(&u->err, &m->err);
            u->failed = clock_mono();
            log_write(a->log, LOG_LEVEL_WARN, "accounts", "origin %s: %s",
                      log_quote(quoted, sizeof quoted, u->origin, u->origin_len),
                      err_text(&u->err));
        }
        use_tell(u);
    }
    making_free(m);
    accounts_check_stopped(a);
}

static int making_start(struct accounts *a, struct account_use *u)
{
    struct account_making *m = calloc(1, sizeof *m);
    struct security_caveat *caveats = NULL;
    int r;

    if (m == NULL)
        return WSPR_ENOMEM;
    m->a = a;
    m->raw = a->raw || security_private_variant(u->source) == SECURITY_PLACEHOLDER;
    m->lifetime = a->lifetime;
    m->source = security_private_ref(u->source);
    if (u->id != NULL)
        m->old = security_private_ref(u->id);
    arena_init(&m->mem, CAVEATS_MEM + 4 * ACCOUNT_TEXT_MAX);
    r = copy_caveats(&m->mem, u->caveats, u->n_caveats, &caveats);
    m->blessing = (struct security_blessing){
        .name = name_of(&m->mem, span_of(u->origin, u->origin_len)),
        .now = clock_wall() - CLOCKS,
        .duration = a->lifetime + CLOCKS,
        .caveats = caveats,
        .n_caveats = u->n_caveats,
    };
    if (r < 0 || m->blessing.name.p == NULL) {
        making_free(m);
        return WSPR_ENOMEM;
    }
    loop_job_init(&m->job, making_work, making_done, m);
    r = loop_offload_submit(a->offload, a->worker, LOOP_LANE_BACK, &m->job);
    if (r < 0) {
        making_free(m);
        return r;
    }
    m->use = u;
    u->making = m;
    a->making++;
    return 0;
}

/* ---- uses ---- */

static struct account_use *use_find(struct accounts *a, struct span origin)
{
    struct account_use *u;

    HASH_FIND_BYHASHVALUE(hh, a->uses, origin.p, origin.len,
                          hash_bytes(&a->hash_key, origin.p, origin.len), u);
    return u;
}

/* What is being made for it is of no use; those who wait are told in any case. */
static void use_forget(struct account_use *u)
{
    if (u->making != NULL)
        u->making->use = NULL;
    u->making = NULL;
    security_private_unref(u->id);
    u->id = NULL;
    err_done(&u->err);
}

static void use_free(struct accounts *a, struct account_use *u)
{
    HASH_DELETE(hh, a->uses, u);
    use_forget(u);
    use_tell(u);
    security_private_unref(u->source);
    arena_done(&u->caveats_mem);
    free(u);
}

static struct account_use *use_new(struct accounts *a, const struct account_origin *o,
                                   struct security_private *source)
{
    struct account_use *u = calloc(1, sizeof *u + o->origin.len);

    if (u == NULL)
        return NULL;
    list_init(&u->waiters);
    arena_init(&u->caveats_mem, CAVEATS_MEM);
    memcpy(u->origin, o->origin.p, o->origin.len);
    u->origin_len = o->origin.len;
    if (copy_caveats(&u->caveats_mem, o->caveats, o->n_caveats, &u->caveats) == 0) {
        u->n_caveats = o->n_caveats;
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, a->uses, u->origin, u->origin_len,
                                    hash_bytes(&a->hash_key, u->origin, u->origin_len), u);
    }
    if (u->hh.tbl == NULL) {
        arena_done(&u->caveats_mem);
        free(u);
        return NULL;
    }
    u->source = security_private_ref(source);
    return u;
}

void accounts_use_drop_all(struct accounts *a)
{
    struct account_use *u, *next;

    HASH_ITER (hh, a->uses, u, next)
        use_free(a, u);
}

void accounts_use_refresh(struct accounts *a)
{
    struct account_use *u, *next;

    HASH_ITER (hh, a->uses, u, next) {
        struct span origin = span_of(u->origin, u->origin_len);
        const struct account_origin *o = account_state_find_origin(a->state, origin);
        struct security_private *source = NULL;

        if (o != NULL)
            source = account_state_find(a->state, o->account);
        /* Loaded afresh, the same identity is another object. */
        if (source == NULL || !same_caveats(u, o) ||
            !security_identity_equal(security_private_public(source),
                                     security_private_public(u->source)))
            use_free(a, u);
    }
}

int accounts_identity(struct accounts *a, struct span origin, struct security_private **ret_id,
                      struct err *err)
{
    const struct account_origin *o = account_state_find_origin(a->state, origin);
    struct security_private *source = o != NULL ? account_state_find(a->state, o->account) : NULL;
    struct account_use *u;
    int64_t now;
    int r = 0;

    if (source == NULL)
        return 0;
    u = use_find(a, origin);
    if (u == NULL)
        u = use_new(a, o, source);
    if (u == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    now = clock_wall();
    if (u->making == NULL && (u->id == NULL || now >= u->renew) &&
        (u->err.code == 0 || clock_mono() - u->failed >= RETRY))
        r = making_start(a, u);
    if (u->id != NULL && now < u->expires) {
        *ret_id = u->id;
        return 1;
    }
    if (u->making != NULL)
        return err_set(err, WSPR_EAGAIN, "the identity of this origin is being made");
    if (r < 0)
        return err_set(err, r, "%s", err_code_text(r));
    err_copy(err, &u->err);
    return u->err.code;
}

void accounts_wait(struct accounts *a, struct span origin, struct accounts_waiter *w)
{
    struct account_use *u = use_find(a, origin);

    list_remove(&w->node);
    list_push_back(&u->waiters, &w->node);
}

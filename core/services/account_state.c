#include "config.h"
#include "services/account_state.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "security/caveat.h"
#include "security/identity.h"
#include "security/pattern.h"
#include "services/account_private.h"
#include "vom/dec.h"

#define ENTRY_MEM_MAX ((size_t)1 << 20) /* what one origin may take, caveats included */

/* ---- entries ---- */

static struct account_entry *entry_new(struct span key)
{
    struct account_entry *e = calloc(1, sizeof *e);

    if (e == NULL)
        return NULL;
    atomic_init(&e->refs, 1);
    arena_init(&e->mem, ENTRY_MEM_MAX);
    e->key = arena_copy(&e->mem, key);
    if (e->key.p == NULL) {
        free(e);
        return NULL;
    }
    return e;
}

static void entry_unref(struct account_entry *e)
{
    if (e == NULL || atomic_fetch_sub(&e->refs, 1) > 1)
        return;
    security_private_unref(e->id);
    arena_done(&e->mem);
    free(e);
}

/* ---- tables ---- */

/* Where the key is, or where it belongs. */
static bool table_find(const struct account_table *t, struct span key, size_t *ret_i)
{
    size_t low = 0, high = t->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = span_compare(t->entries[mid]->key, key);

        if (order == 0) {
            *ret_i = mid;
            return true;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *ret_i = low;
    return false;
}

static struct account_entry *table_get(const struct account_table *t, struct span key)
{
    size_t i;

    return table_find(t, key, &i) ? t->entries[i] : NULL;
}

static int table_reserve(struct account_table *t, size_t n)
{
    size_t cap = t->cap > 0 ? t->cap * 2 : 8;
    struct account_entry **more;

    if (n <= t->cap)
        return 0;
    if (cap < n)
        cap = n;
    more = realloc(t->entries, cap * sizeof *more);
    if (more == NULL)
        return WSPR_ENOMEM;
    t->entries = more;
    t->cap = cap;
    return 0;
}

/* Takes over the reference to e, in any case. */
static int table_put(struct account_table *t, struct account_entry *e, size_t max, const char *what,
                     struct err *err)
{
    size_t i;

    if (table_find(t, e->key, &i)) {
        entry_unref(t->entries[i]);
        t->entries[i] = e;
        return 0;
    }
    if (t->n >= max) {
        entry_unref(e);
        return err_set(err, WSPR_ELIMIT, "there are %zu %s already", t->n, what);
    }
    if (table_reserve(t, t->n + 1) < 0) {
        entry_unref(e);
        return err_set(err, WSPR_ENOMEM, "out of memory");
    }
    memmove(&t->entries[i + 1], &t->entries[i], (t->n - i) * sizeof *t->entries);
    t->entries[i] = e;
    t->n++;
    return 0;
}

static bool table_remove(struct account_table *t, struct span key)
{
    size_t i;

    if (!table_find(t, key, &i))
        return false;
    entry_unref(t->entries[i]);
    t->n--;
    memmove(&t->entries[i], &t->entries[i + 1], (t->n - i) * sizeof *t->entries);
    return true;
}

static void table_done(struct account_table *t)
{
    for (size_t i = 0; i < t->n; i++)
        entry_unref(t->entries[i]);
    free(t->entries);
}

static int table_copy(struct account_table *to, const struct account_table *from)
{
    if (from->n == 0)
        return 0;
    if (table_reserve(to, from->n) < 0)
        return WSPR_ENOMEM;
    memcpy(to->entries, from->entries, from->n * sizeof *from->entries);
    to->n = from->n;
    for (size_t i = 0; i < to->n; i++)
        atomic_fetch_add(&to->entries[i]->refs, 1);
    return 0;
}

/* ---- states ---- */

struct account_state *account_state_new(void)
{
    return calloc(1, sizeof(struct account_state));
}

struct account_state *account_state_copy(const struct account_state *s)
{
    struct account_state *copy = account_state_new();

    if (copy == NULL)
        return NULL;
    if (table_copy(&copy->accounts, &s->accounts) < 0 ||
        table_copy(&copy->origins, &s->origins) < 0) {
        account_state_free(copy);
        return NULL;
    }
    return copy;
}

void account_state_free(struct account_state *s)
{
    if (s == NULL)
        return;
    table_done(&s->accounts);
    table_done(&s->origins);
    free(s);
}

/* ---- changes ---- */

static int fail_unknown(struct span account, struct err *err)
{
    return err_set(err, WSPR_ENOTFOUND, "unknown account %.*s", SPAN_ARG(account));
}

static int check_text(struct span text, const char *what, struct err *err)
{
    if (text.len <= ACCOUNT_TEXT_MAX)
        return 0;
    return err_set(err, WSPR_ELIMIT, "the %s is longer than %u bytes", what, ACCOUNT_TEXT_MAX);
}

int account_state_add(struct account_state *s, struct span account, struct security_private *id,
                      struct err *err)
{
    struct account_entry *e;
    int r = check_text(account, "name of the account", err);

    if (r < 0)
        return r;
    e = entry_new(account);
    if (e == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    e->id = security_private_ref(id);
    return table_put(&s->accounts, e, ACCOUNTS_MAX, "accounts", err);
}

static int entry_copy_caveats(struct account_entry *e, const struct security_caveat *caveats,
                              size_t n)
{
    struct security_caveat *copy = arena_calloc(&e->mem, n, sizeof *copy);

    if (copy == NULL)
        return WSPR_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        copy[i].service = arena_copy(&e->mem, caveats[i].service);
        copy[i].bytes = arena_copy(&e->mem, caveats[i].bytes);
        if (copy[i].service.p == NULL || copy[i].bytes.p == NULL)
            return WSPR_ENOMEM;
    }
    e->origin.caveats = copy;
    e->origin.n_caveats = n;
    return 0;
}

int account_state_put_origin(struct account_state *s, const struct account_origin *o,
                             struct err *err)
{
    struct account_entry *e;
    int r = check_text(o->origin, "origin", err);

    if (r == 0)
        r = check_text(o->account, "name of the account", err);
    if (r == 0 && o->n_caveats > ACCOUNT_CAVEATS_MAX)
        r = err_set(err, WSPR_ELIMIT, "the origin has more than %u caveats", ACCOUNT_CAVEATS_MAX);
    if (r < 0)
        return r;
    e = entry_new(o->origin);
    if (e == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    e->origin.origin = e->key;
    e->origin.account = arena_copy(&e->mem, o->account);
    if (e->origin.account.p == NULL ||
        (o->n_caveats > 0 && entry_copy_caveats(e, o->caveats, o->n_caveats) < 0)) {
        entry_unref(e);
        return err_set(err, WSPR_ENOMEM, "out of memory");
    }
    return table_put(&s->origins, e, ACCOUNT_ORIGINS_MAX, "origins", err);
}

/* One that is not would make the state unwritable. */
static bool caveat_is_whole(const struct security_caveat *c)
{
    struct arena a = ARENA_INIT(ENTRY_MEM_MAX);
    struct vom_value v;
    int r = vom_decode(c->bytes, NULL, &a, &v, NULL, NULL);

    arena_done(&a);
    return r == 0;
}

int account_state_link(struct account_state *s, struct span origin, struct span account,
                       const struct security_caveat *caveats, size_t n, struct err *err)
{
    struct account_origin o = {origin, account, caveats, n};

    if (table_get(&s->accounts, account) == NULL)
        return fail_unknown(account, err);
    for (size_t i = 0; i < n; i++) {
        if (!caveat_is_whole(&caveats[i]))
            return err_set(err, WSPR_EINVAL, "caveat %zu cannot be decoded", i);
    }
    return account_state_put_origin(s, &o, err);
}

int account_state_remove(struct account_state *s, struct span account, struct err *err)
{
    return table_remove(&s->accounts, account) ? 0 : fail_unknown(account, err);
}

static int fail_origin(struct err *err)
{
    return err_set(err, WSPR_ENOTFOUND, "origin not found");
}

int account_state_unlink(struct account_state *s, struct span origin, struct err *err)
{
    return table_remove(&s->origins, origin) ? 0 : fail_origin(err);
}

/* ---- looking ---- */

size_t account_state_accounts(const struct account_state *s)
{
    return s->accounts.n;
}

struct span account_state_account(const struct account_state *s, size_t i,
                                  struct security_private **ret_id)
{
    if (ret_id != NULL)
        *ret_id = s->accounts.entries[i]->id;
    return s->accounts.entries[i]->key;
}

size_t account_state_origins(const struct account_state *s)
{
    return s->origins.n;
}

const struct account_origin *account_state_origin(const struct account_state *s, size_t i)
{
    return &s->origins.entries[i]->origin;
}

struct security_private *account_state_find(const struct account_state *s, struct span account)
{
    struct account_entry *e = table_get(&s->accounts, account);

    return e != NULL ? e->id : NULL;
}

const struct account_origin *account_state_find_origin(const struct account_state *s,
                                                       struct span origin)
{
    struct account_entry *e = table_get(&s->origins, origin);

    return e != NULL ? &e->origin : NULL;
}

int account_state_identity(const struct account_state *s, struct span origin,
                           struct security_private **ret_id, struct err *err)
{
    const struct account_origin *o = account_state_find_origin(s, origin);
    struct security_private *id = o != NULL ? account_state_find(s, o->account) : NULL;

    if (id == NULL)
        return fail_origin(err);
    *ret_id = id;
    return 0;
}

bool account_state_matches(const struct account_state *s, size_t i, struct span pattern,
                           const struct security_trust *t)
{
    return security_pattern_match(pattern, security_private_public(s->accounts.entries[i]->id), t);
}

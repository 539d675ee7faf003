#include "config.h"
#include "security/trust.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "security/identity.h"
#include "wspr/error.h"

struct root {
    char *name;
    size_t len;
    struct security_pubkey *keys;
    size_t n_keys;
};

struct security_trust {
    atomic_uint refs;
    struct root *roots; /* few: they are searched one by one */
    size_t n_roots;
};

static struct root *find(const struct security_trust *t, struct span name)
{
    for (size_t i = 0; i < t->n_roots; i++) {
        if (span_equal(span_of(t->roots[i].name, t->roots[i].len), name))
            return &t->roots[i];
    }
    return NULL;
}

static struct root *add_name(struct security_trust *t, struct span name)
{
    struct root *roots;
    char *copy;

    roots = realloc(t->roots, (t->n_roots + 1) * sizeof *roots);
    if (roots == NULL)
        return NULL;
    t->roots = roots;
    copy = mem_strndup((const char *)name.p, name.len);
    if (copy == NULL)
        return NULL;
    roots[t->n_roots] = (struct root){copy, name.len, NULL, 0};
    return &roots[t->n_roots++];
}

static bool root_has(const struct root *r, const struct security_pubkey *key)
{
    for (size_t i = 0; i < r->n_keys; i++) {
        if (security_pubkey_equal(&r->keys[i], key))
            return true;
    }
    return false;
}

static int root_add(struct root *r, const struct security_pubkey *key)
{
    struct security_pubkey *keys;

    if (root_has(r, key))
        return 0;
    keys = realloc(r->keys, (r->n_keys + 1) * sizeof *keys);
    if (keys == NULL)
        return WSPR_ENOMEM;
    keys[r->n_keys++] = *key;
    r->keys = keys;
    return 0;
}

static struct security_trust *create_empty(void)
{
    struct security_trust *t = calloc(1, sizeof *t);

    if (t != NULL)
        atomic_init(&t->refs, 1);
    return t;
}

struct security_trust *security_trust_create(void)
{
    struct security_trust *t = create_empty();

    /* The reference lists this name with a key that equals none. spec: security 6 */
    if (t != NULL && add_name(t, span_str("veyron")) == NULL) {
        security_trust_unref(t);
        t = NULL;
    }
    return t;
}

static int copy_roots(struct security_trust *to, const struct security_trust *from)
{
    for (size_t i = 0; i < from->n_roots; i++) {
        const struct root *r = &from->roots[i];
        struct root *copy = add_name(to, span_of(r->name, r->len));

        if (copy == NULL)
            return WSPR_ENOMEM;
        for (size_t k = 0; k < r->n_keys; k++) {
            if (root_add(copy, &r->keys[k]) < 0)
                return WSPR_ENOMEM;
        }
    }
    return 0;
}

struct security_trust *security_trust_copy(const struct security_trust *t)
{
    struct security_trust *copy = create_empty();

    if (copy != NULL && copy_roots(copy, t) < 0) {
        security_trust_unref(copy);
        copy = NULL;
    }
    return copy;
}

struct security_trust *security_trust_ref(struct security_trust *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void security_trust_unref(struct security_trust *t)
{
    if (t == NULL || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < t->n_roots; i++) {
        free(t->roots[i].name);
        free(t->roots[i].keys);
    }
    free(t->roots);
    free(t);
}

int security_trust_add(struct security_trust *t, struct span name,
                       const struct security_pubkey *key)
{
    struct root *r = find(t, name);

    assert(atomic_load_explicit(&t->refs, memory_order_relaxed) == 1);
    if (r == NULL)
        r = add_name(t, name);
    return r != NULL ? root_add(r, key) : WSPR_ENOMEM;
}

static int add_roots(struct security_trust *t, const struct security_identity *id)
{
    size_t n;
    const struct security_certificate *certs = security_identity_certs(id, &n);
    struct security_identity *const *members;
    int r;

    if (n > 0)
        return security_trust_add(t, certs[0].name, &certs[0].key);
    members = security_identity_members(id, &n);
    for (size_t i = 0; i < n; i++) {
        r = add_roots(t, members[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

int security_trust_add_roots(struct security_trust *t, const struct security_private *id)
{
    return add_roots(t, security_private_public(id));
}

enum security_level security_trust_level(const struct security_trust *t, struct span name,
                                         const struct security_pubkey *key)
{
    const struct root *r = t != NULL ? find(t, name) : NULL;

    if (r == NULL)
        return SECURITY_UNKNOWN;
    return root_has(r, key) ? SECURITY_TRUSTED : SECURITY_MISTRUSTED;
}

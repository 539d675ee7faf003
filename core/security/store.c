#include "config.h"
#include "security/store.h"

#include <stdlib.h>

#include "base/mem.h"
#include "security/internal.h"
#include "security/pattern.h"
#include "wspr/error.h"

struct entry {
    struct security_identity *id;
    char *pattern;
    size_t len;
};

struct security_store {
    struct entry *entries; /* in the order of adding */
    size_t n, cap;
    char *def;
    size_t def_len;
};

struct security_store *security_store_create(void)
{
    struct security_store *s = calloc(1, sizeof *s);

    if (s != NULL && security_store_set_default(s, span_str(SECURITY_ALL)) < 0) {
        security_store_free(s);
        s = NULL;
    }
    return s;
}

void security_store_free(struct security_store *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n; i++) {
        security_identity_unref(s->entries[i].id);
        free(s->entries[i].pattern);
    }
    free(s->entries);
    free(s->def);
    free(s);
}

int security_store_set_default(struct security_store *s, struct span pattern)
{
    char *copy = mem_strndup((const char *)pattern.p, pattern.len);

    if (copy == NULL)
        return WSPR_ENOMEM;
    free(s->def);
    s->def = copy;
    s->def_len = pattern.len;
    return 0;
}

static int append(struct security_store *s, struct security_identity *id, struct span pattern)
{
    char *copy;

    if (s->n == s->cap) {
        size_t cap = s->cap > 0 ? s->cap * 2 : 4;
        struct entry *entries = realloc(s->entries, cap * sizeof *entries);

        if (entries == NULL)
            return WSPR_ENOMEM;
        s->entries = entries;
        s->cap = cap;
    }
    copy = mem_strndup((const char *)pattern.p, pattern.len);
    if (copy == NULL)
        return WSPR_ENOMEM;
    s->entries[s->n++] = (struct entry){security_identity_ref(id), copy, pattern.len};
    return 0;
}

static int add(struct security_store *s, struct security_identity *id, struct span pattern)
{
    size_t n;
    struct security_identity *const *members = security_identity_members(id, &n);
    int ret = n == 0 ? append(s, id, pattern) : 0;

    for (size_t i = 0; i < n && ret >= 0; i++)
        ret = add(s, members[i], pattern);
    return ret;
}

int security_store_add(struct security_store *s, struct security_identity *id, struct span pattern,
                       struct err *e)
{
    size_t before = s->n;
    int ret;

    if (s->n > 0 &&
        !security_pubkey_equal(security_identity_key(s->entries[0].id), security_identity_key(id)))
        return err_set(e, WSPR_EINVAL,
                       "public key does not match that of existing PublicIDs in the store");
    ret = add(s, id, pattern);
    if (ret >= 0)
        return ret;
    while (s->n > before) {
        s->n--;
        security_identity_unref(s->entries[s->n].id);
        free(s->entries[s->n].pattern);
    }
    return security_fail(e, ret);
}

/* All that were chosen, as one identity; the same one under two patterns counts once. */
static int combine(struct security_identity **ids, size_t n, struct security_identity **ret_id,
                   struct err *e)
{
    if (n == 0)
        return err_set(e, WSPR_ENOTFOUND, "no matching PublicIDs");
    return security_identity_set(ids, n, ret_id, e);
}

static size_t choose(struct security_identity **ids, size_t n, struct security_identity *id)
{
    for (size_t i = 0; i < n; i++) {
        if (ids[i] == id)
            return n;
    }
    if (n < SECURITY_CERTS_MAX)
        ids[n++] = id;
    return n;
}

int security_store_for_peer(const struct security_store *s, const struct security_identity *peer,
                            const struct security_trust *t, struct security_identity **ret_id,
                            struct err *e)
{
    struct security_identity *ids[SECURITY_CERTS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++) {
        const struct entry *x = &s->entries[i];

        if (security_pattern_match(span_of(x->pattern, x->len), peer, t))
            n = choose(ids, n, x->id);
    }
    return combine(ids, n, ret_id, e);
}

int security_store_default(const struct security_store *s, const struct security_trust *t,
                           struct security_identity **ret_id, struct err *e)
{
    struct security_identity *ids[SECURITY_CERTS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++) {
        if (security_pattern_match(span_of(s->def, s->def_len), s->entries[i].id, t))
            n = choose(ids, n, s->entries[i].id);
    }
    return combine(ids, n, ret_id, e);
}

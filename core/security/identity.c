/*
 * Public identities once they exist. All that an identity refers to lies in its own arena, the
 * members of a set excepted; nothing changes after creation, only the count of references does.
 */
#include "config.h"
#include "security/identity.h"

#include <stdlib.h>

#include "security/digest.h"
#include "security/internal.h"
#include "security/trust.h"

/* The worst that the encoded form can ask for: lists of empty strings in caveats, while they are
 * counted. */
#define IDENTITY_MEM_MAX (32 * (size_t)SECURITY_IDENTITY_MAX)

/* The key that all placeholders share. spec: security 14 */
static const struct security_pubkey placeholder_key = {
    {0x04, 0xd6, 0x19, 0x3f, 0x7b, 0x7e, 0x1e, 0xbd, 0x08, 0xcb, 0x78, 0xf8, 0x64,
     0x86, 0x67, 0x58, 0xb9, 0xf7, 0xfd, 0x97, 0xeb, 0xa3, 0x1f, 0x88, 0xb8, 0x99,
     0xcb, 0x4c, 0x55, 0x3f, 0x0e, 0x30, 0x52, 0xf2, 0xdc, 0xc9, 0xee, 0x72, 0xba,
     0x20, 0x41, 0xba, 0x98, 0x54, 0x32, 0x07, 0x65, 0xb1, 0xc1, 0x89, 0x8b, 0xe5,
     0x16, 0xdb, 0x60, 0xe9, 0xaa, 0xb4, 0xdd, 0xc4, 0xd3, 0xb1, 0xb8, 0x2a, 0xae}};

/* Making and freeing. */

static struct security_identity *create(enum security_variant variant)
{
    struct security_identity *id = calloc(1, sizeof *id);

    if (id != NULL) {
        atomic_init(&id->refs, 1);
        id->variant = variant;
        arena_init(&id->mem, IDENTITY_MEM_MAX);
    }
    return id;
}

struct security_identity *security_identity_ref(struct security_identity *id)
{
    atomic_fetch_add_explicit(&id->refs, 1, memory_order_relaxed);
    return id;
}

void security_identity_unref(struct security_identity *id)
{
    if (id == NULL || atomic_fetch_sub_explicit(&id->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < id->n_members; i++)
        security_identity_unref(id->members[i]);
    arena_done(&id->mem);
    free(id);
}

static int copy_certificate(struct arena *a, struct security_certificate *to,
                            const struct security_certificate *from)
{
    *to = *from;
    to->name = arena_copy(a, from->name);
    if (to->name.p == NULL || security_copy_signature(a, &to->signature) < 0 ||
        security_copy_caveats(a, from->caveats, from->n_caveats, &to->caveats) < 0)
        return WSPR_ENOMEM;
    return security_rules_parse(a, to->caveats, to->n_caveats, &to->rules);
}

/* The names of the certificates, joined by slashes. */
static int join_names(struct arena *a, const struct security_certificate *certs, size_t n,
                      struct span *ret_name)
{
    size_t len = n - 1;
    uint8_t *p, *at;

    for (size_t i = 0; i < n; i++)
        len += certs[i].name.len;
    p = at = arena_alloc(a, len);
    if (p == NULL)
        return WSPR_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            *at++ = '/';
        memcpy(at, certs[i].name.p, certs[i].name.len);
        at += certs[i].name.len;
    }
    *ret_name = span_of(p, len);
    return 0;
}

static int fill_chain(struct security_identity *id, const struct security_certificate *certs,
                      size_t n)
{
    struct security_certificate *copy = arena_calloc(&id->mem, n, sizeof *copy);

    if (copy == NULL)
        return WSPR_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (copy_certificate(&id->mem, &copy[i], &certs[i]) < 0)
            return WSPR_ENOMEM;
        id->n_listed += security_rules_listed(copy[i].rules, copy[i].n_caveats);
        if (id->n_listed > SECURITY_LISTED_MAX)
            return WSPR_ELIMIT;
    }
    id->certs = copy;
    id->n_certs = n;
    id->key = copy[n - 1].key;
    return join_names(&id->mem, copy, n, &id->name);
}

int security_chain_create(const struct security_certificate *certs, size_t n,
                          struct security_identity **ret_id, struct err *e)
{
    struct security_identity *id;
    size_t caveats = 0;
    int r;

    for (size_t i = 0; i < n; i++)
        caveats += certs[i].n_caveats;
    if (n > SECURITY_CERTS_MAX || caveats > SECURITY_CAVEATS_MAX)
        return err_set(e, WSPR_ELIMIT, "identity is too large");
    id = create(SECURITY_CHAIN);
    r = id != NULL ? fill_chain(id, certs, n) : WSPR_ENOMEM;
    if (r < 0) {
        security_identity_unref(id);
        return r == WSPR_ELIMIT ? err_set(e, r, "identity is too large") : security_fail(e, r);
    }
    *ret_id = id;
    return 0;
}

int security_placeholder_create(struct span name, struct security_identity **ret_id, struct err *e)
{
    struct security_identity *id = create(SECURITY_PLACEHOLDER);

    if (id != NULL)
        id->name = arena_copy(&id->mem, name);
    if (id == NULL || id->name.p == NULL) {
        security_identity_unref(id);
        return security_fail(e, WSPR_ENOMEM);
    }
    id->key = placeholder_key;
    id->n_certs = 1; /* it has a name, as a chain has */
    *ret_id = id;
    return 0;
}

int security_identity_set(struct security_identity *const *ids, size_t n,
                          struct security_identity **ret_id, struct err *e)
{
    struct security_identity *set;
    size_t n_certs = 0;

    if (n <= 1) {
        *ret_id = n == 1 ? security_identity_ref(ids[0]) : NULL;
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        if (!security_pubkey_equal(&ids[0]->key, &ids[i]->key))
            return err_set(e, WSPR_EINVAL, "mismatched keys in elements of set");
        n_certs += ids[i]->n_certs;
    }
    if (n_certs > SECURITY_CERTS_MAX)
        return err_set(e, WSPR_ELIMIT, "identity is too large");
    set = create(SECURITY_SET);
    if (set != NULL)
        set->members = arena_calloc(&set->mem, n, sizeof *set->members);
    if (set == NULL || set->members == NULL) {
        security_identity_unref(set);
        return security_fail(e, WSPR_ENOMEM);
    }
    for (size_t i = 0; i < n; i++)
        set->members[i] = security_identity_ref(ids[i]);
    set->n_members = n;
    set->n_certs = n_certs;
    set->key = ids[0]->key;
    *ret_id = set;
    return 0;
}

/* Verification. spec: security 5.2, 5.3 */

bool security_name_is_valid(struct span name)
{
    return name.len > 0 && memchr(name.p, '/', name.len) == NULL;
}

int security_chain_verify(const struct security_certificate *certs, size_t n, struct err *e)
{
    const struct security_signature *issuer = NULL;
    uint8_t digest[SECURITY_DIGEST_LEN], hashed[SECURITY_HASHED_MAX];

    for (size_t i = 0; i < n; i++) {
        const struct security_certificate *c = &certs[i];
        size_t len;

        if (!security_name_is_valid(c->name))
            return security_fail_quoted(e, WSPR_EINVAL, "invalid blessing name:", c->name, '"', "");
        /* The hash is named by the issuer's signature, not by the certificate's own. */
        security_digest_certificate(c, issuer, digest);
        len =
            security_digest_apply(issuer != NULL ? issuer->hash : span_of(NULL, 0), digest, hashed);
        if (len == 0 ||
            !security_verify(&certs[i > 0 ? i - 1 : 0].key, span_of(hashed, len), &c->signature))
            return security_fail_integrity(e);
        issuer = &c->signature;
    }
    return n > 0 ? 0 : security_fail_integrity(e);
}

/* Reading. */

enum security_variant security_identity_variant(const struct security_identity *id)
{
    return id->variant;
}

const struct security_pubkey *security_identity_key(const struct security_identity *id)
{
    return &id->key;
}

const struct security_certificate *security_identity_certs(const struct security_identity *id,
                                                           size_t *ret_n)
{
    *ret_n = id->certs != NULL ? id->n_certs : 0;
    return id->certs;
}

struct security_identity *const *security_identity_members(const struct security_identity *id,
                                                           size_t *ret_n)
{
    *ret_n = id->n_members;
    return id->members;
}

static bool certificate_equal(const struct security_certificate *a,
                              const struct security_certificate *b)
{
    if (!span_equal(a->name, b->name) || !security_pubkey_equal(&a->key, &b->key) ||
        !security_signature_equal(&a->signature, &b->signature) || a->n_caveats != b->n_caveats)
        return false;
    for (size_t i = 0; i < a->n_caveats; i++) {
        if (!span_equal(a->caveats[i].service, b->caveats[i].service) ||
            !span_equal(a->caveats[i].bytes, b->caveats[i].bytes))
            return false;
    }
    return true;
}

bool security_identity_equal(const struct security_identity *a, const struct security_identity *b)
{
    if (a == b)
        return true;
    if (a->variant != b->variant || a->n_certs != b->n_certs || a->n_members != b->n_members ||
        !span_equal(a->name, b->name))
        return false;
    for (size_t i = 0; i < a->n_members; i++) {
        if (!security_identity_equal(a->members[i], b->members[i]))
            return false;
    }
    for (size_t i = 0; a->certs != NULL && i < a->n_certs; i++) {
        if (!certificate_equal(&a->certs[i], &b->certs[i]))
            return false;
    }
    return true;
}

static enum security_level level(const struct security_identity *id, const struct security_trust *t)
{
    if (id->variant == SECURITY_PLACEHOLDER)
        return SECURITY_TRUSTED;
    return security_trust_level(t, id->certs[0].name, &id->certs[0].key);
}

size_t security_identity_names(const struct security_identity *id, const struct security_trust *t,
                               struct span *names, size_t max)
{
    size_t n = 0;

    if (id->variant != SECURITY_SET) {
        if (level(id, t) != SECURITY_TRUSTED)
            return 0;
        if (max > 0)
            names[0] = id->name;
        return 1;
    }
    for (size_t i = 0; i < id->n_members; i++) {
        size_t used = n < max ? n : max;

        n += security_identity_names(id->members[i], t, names != NULL ? names + used : NULL,
                                     max - used);
    }
    return n;
}

void security_identity_print(struct buf *out, const struct security_identity *id,
                             const struct security_trust *t)
{
    static const char *const prefixes[] = {
        [SECURITY_TRUSTED] = "",
        [SECURITY_MISTRUSTED] = "mistrusted/",
        [SECURITY_UNKNOWN] = "unknown/",
    };

    if (id->variant != SECURITY_SET) {
        buf_append_str(out, prefixes[level(id, t)]);
        buf_append_span(out, id->name);
        return;
    }
    for (size_t i = 0; i < id->n_members; i++) {
        if (i > 0)
            buf_u8(out, '#');
        security_identity_print(out, id->members[i], t);
    }
}

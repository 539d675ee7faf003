#include "config.h"
#include "security/acl.h"

#include <stdlib.h>

#include "base/arena.h"
#include "json/reader.h"
#include "json/writer.h"
#include "security/identity.h"
#include "security/internal.h"
#include "security/pattern.h"

#define ACL_BYTES_MAX ((size_t)16 << 20)
#define ACL_DEPTH_MAX 64

struct security_acl {
    struct arena mem;
    struct security_acl_entry *entries; /* sorted by pattern */
    size_t n, cap;
};

/* Labels. */

static const char label_letters[] = "RWADM"; /* by bit */

bool security_label_is_valid(uint32_t label)
{
    return (label & SECURITY_LABELS_ALL) == label && label != 0 && (label & (label - 1)) == 0;
}

void security_labels_format(uint32_t labels, char out[SECURITY_LABELS_TEXT])
{
    for (unsigned bit = 0; bit < 5; bit++) {
        if ((labels & 1u << bit) != 0)
            *out++ = label_letters[bit];
    }
    *out = '\0';
}

int security_labels_parse(struct span text, uint32_t *ret_labels, struct err *e)
{
    uint32_t labels = 0;

    for (size_t i = 0; i < text.len; i++) {
        int c = text.p[i];
        const char *at;

        if (c >= 'a' && c <= 'z')
            c += 'A' - 'a';
        at = c != '\0' ? strchr(label_letters, c) : NULL;
        if (at == NULL) {
            struct span bad = {text.p + i, 1};

            return security_fail_quoted(e, WSPR_EINVAL, "invalid label: ", bad, '\'', "");
        }
        labels |= 1u << (at - label_letters);
    }
    *ret_labels = labels;
    return 0;
}

static const char *kind_name(enum json_kind kind)
{
    static const char *const names[] = {"null", "bool", "number", "string", "array", "object"};

    return names[kind];
}

static int read_labels(struct json_reader *r, struct arena *a, uint32_t *ret_labels, struct err *e)
{
    enum json_kind kind = json_reader_peek(r);
    struct span text;
    int ret;

    if (kind == JSON_NULL) {
        json_reader_null(r);
        *ret_labels = 0;
        return 0;
    }
    if (kind != JSON_STRING)
        return err_set(e, WSPR_ETYPE, "json: cannot unmarshal %s into Go value of type string",
                       kind_name(kind));
    ret = json_reader_string(r, a, &text);
    if (ret < 0)
        return security_fail(e, ret);
    return security_labels_parse(text, ret_labels, e);
}

int security_labels_parse_json(struct span text, uint32_t *ret_labels, struct err *e)
{
    struct arena a = ARENA_INIT(ACL_BYTES_MAX);
    struct json_reader r;
    int ret = json_reader_init(&r, text, ACL_DEPTH_MAX, 0, e);

    if (ret >= 0)
        ret = read_labels(&r, &a, ret_labels, e);
    arena_done(&a);
    return ret;
}

/* Lists. */

static struct security_acl *acl_create(void)
{
    struct security_acl *acl = calloc(1, sizeof *acl);

    if (acl != NULL)
        arena_init(&acl->mem, ACL_BYTES_MAX);
    return acl;
}

void security_acl_free(struct security_acl *acl)
{
    if (acl == NULL)
        return;
    arena_done(&acl->mem);
    free(acl->entries);
    free(acl);
}

/* Takes the pattern as it is: it lives in the list's memory. */
static int acl_append(struct security_acl *acl, struct span pattern, uint32_t labels)
{
    if (acl->n == acl->cap) {
        size_t cap = acl->cap > 0 ? acl->cap * 2 : 8;
        struct security_acl_entry *entries = realloc(acl->entries, cap * sizeof *entries);

        if (entries == NULL)
            return WSPR_ENOMEM;
        acl->entries = entries;
        acl->cap = cap;
    }
    acl->entries[acl->n++] = (struct security_acl_entry){pattern, labels};
    return 0;
}

static int acl_append_copy(struct security_acl *acl, struct span pattern, uint32_t labels)
{
    pattern = arena_copy(&acl->mem, pattern);
    return pattern.p != NULL ? acl_append(acl, pattern, labels) : WSPR_ENOMEM;
}

/* Entries of one array: what has the same pattern keeps its order by its address. */
static int entry_compare(const void *a, const void *b)
{
    const struct security_acl_entry *const *x = a, *const *y = b;
    int c = span_compare((*x)->pattern, (*y)->pattern);

    return c != 0 ? c : (*x > *y) - (*x < *y);
}

/* Sorts the entries and drops all but the last of each pattern. */
static int acl_sort(struct security_acl *acl)
{
    struct security_acl_entry *sorted;
    const struct security_acl_entry **order;
    size_t n = 0;

    if (acl->n < 2)
        return 0;
    order = calloc(acl->n, sizeof *order);
    sorted = calloc(acl->n, sizeof *sorted);
    if (order == NULL || sorted == NULL) {
        free(order);
        free(sorted);
        return WSPR_ENOMEM;
    }
    for (size_t i = 0; i < acl->n; i++)
        order[i] = &acl->entries[i];
    qsort(order, acl->n, sizeof *order, entry_compare);
    for (size_t i = 0; i < acl->n; i++) {
        if (i + 1 == acl->n || !span_equal(order[i]->pattern, order[i + 1]->pattern))
            sorted[n++] = *order[i];
    }
    free(order);
    free(acl->entries);
    acl->entries = sorted;
    acl->cap = acl->n;
    acl->n = n;
    return 0;
}

static int acl_read(struct security_acl *acl, struct json_reader *r, struct err *e)
{
    struct span pattern;
    uint32_t labels;
    int ret;

    json_reader_enter_object(r);
    while ((ret = json_reader_member(r, &acl->mem, &pattern)) > 0) {
        ret = read_labels(r, &acl->mem, &labels, e);
        if (ret < 0)
            return ret;
        ret = acl_append_copy(acl, pattern, labels);
        if (ret < 0)
            break;
    }
    if (ret >= 0)
        ret = acl_sort(acl);
    return ret < 0 ? security_fail(e, ret) : 0;
}

int security_acl_parse(struct span text, struct security_acl **ret_acl, struct err *e)
{
    struct security_acl *acl;
    struct json_reader r;
    enum json_kind kind;
    int ret = json_reader_init(&r, text, ACL_DEPTH_MAX, 0, e);

    if (ret < 0)
        return ret;
    kind = json_reader_peek(&r);
    if (kind == JSON_NULL) {
        *ret_acl = NULL;
        return 0;
    }
    if (kind != JSON_OBJECT)
        return err_set(e, WSPR_ETYPE,
                       "json: cannot unmarshal %s into Go value of type security.ACL",
                       kind_name(kind));
    acl = acl_create();
    if (acl == NULL)
        return security_fail(e, WSPR_ENOMEM);
    ret = acl_read(acl, &r, e);
    if (ret < 0) {
        security_acl_free(acl);
        return ret;
    }
    *ret_acl = acl;
    return 0;
}

struct security_acl *security_acl_make(const struct security_acl_entry *entries, size_t n)
{
    struct security_acl *acl = acl_create();
    int ret = acl != NULL ? 0 : WSPR_ENOMEM;

    for (size_t i = 0; i < n && ret >= 0; i++)
        ret = acl_append_copy(acl, entries[i].pattern, entries[i].labels);
    if (ret >= 0)
        ret = acl_sort(acl);
    if (ret < 0) {
        security_acl_free(acl);
        return NULL;
    }
    return acl;
}

/* Appends the pattern of everybody at or below the name. */
static int acl_append_below(struct security_acl *acl, struct span name)
{
    uint8_t *p = arena_alloc(&acl->mem, name.len + 2);

    if (p == NULL)
        return WSPR_ENOMEM;
    memcpy(p, name.p, name.len);
    memcpy(p + name.len, "/*", 2);
    return acl_append(acl, span_of(p, name.len + 2), SECURITY_LABELS_ALL);
}

struct security_acl *security_acl_default(const struct security_identity *local,
                                          const struct security_trust *t)
{
    struct span names[SECURITY_CERTS_MAX];
    size_t n = local != NULL ? security_identity_names(local, t, names, SECURITY_CERTS_MAX) : 0;
    struct security_acl *acl = acl_create();
    int ret = acl != NULL ? 0 : WSPR_ENOMEM;

    for (size_t i = 0; i < n && ret >= 0; i++)
        ret = acl_append_below(acl, names[i]);
    if (ret >= 0)
        ret = acl_sort(acl);
    if (ret < 0) {
        security_acl_free(acl);
        return NULL;
    }
    return acl;
}

const struct security_acl_entry *security_acl_entries(const struct security_acl *acl, size_t *ret_n)
{
    *ret_n = acl->n;
    return acl->entries;
}

void security_acl_print(struct buf *out, const struct security_acl *acl)
{
    char text[SECURITY_LABELS_TEXT];

    if (acl == NULL) {
        buf_append_str(out, "null\n");
        return;
    }
    /* Unlike what pages see, a file has no spaces. */
    buf_u8(out, '{');
    for (size_t i = 0; i < acl->n; i++) {
        if (i > 0)
            buf_u8(out, ',');
        json_quote(out, acl->entries[i].pattern);
        security_labels_format(acl->entries[i].labels, text);
        buf_printf(out, ":\"%s\"", text);
    }
    buf_append_str(out, "}\n");
}

int security_acl_decide(const struct security_acl *acl, const struct security_identity *local,
                        const struct security_identity *remote, const struct security_trust *t,
                        uint32_t label, struct err *e)
{
    struct span names[SECURITY_CERTS_MAX];
    size_t n;

    if (local != NULL && remote != NULL && security_identity_equal(local, remote))
        return 0;
    if (remote == NULL)
        return err_set(e, WSPR_ENOTAUTH, "identity being matched is nil");
    if (acl == NULL)
        return err_set(e, WSPR_ENOTAUTH, "ACL is nil");
    n = security_identity_names(remote, t, names, SECURITY_CERTS_MAX);
    for (size_t i = 0; i < acl->n; i++) {
        if ((acl->entries[i].labels & label) != 0 &&
            security_pattern_match_names(acl->entries[i].pattern, names, n))
            return 0;
    }
    return err_set(e, WSPR_ENOTAUTH, "no matching ACL entry found");
}

/* Labels and access lists (spec: security 10). A list is immutable; any thread may read it. */
#ifndef SECURITY_ACL_H
#define SECURITY_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"

struct security_identity;
struct security_trust;

/* Rights, one bit each; a set of them is an uint32_t. */
#define SECURITY_READ       1u
#define SECURITY_WRITE      2u
#define SECURITY_ADMIN      4u
#define SECURITY_DEBUG      8u
#define SECURITY_MONITORING 16u
#define SECURITY_LABELS_ALL 31u

#define SECURITY_LABELS_TEXT 6 /* size of the text of any set, its NUL included */

/* Whether it is one of the five single bits, as a method's label must be. */
bool security_label_is_valid(uint32_t label);
/* "RWADM", letters of absent bits left out; undefined bits are dropped. */
void security_labels_format(uint32_t labels, char out[SECURITY_LABELS_TEXT]);
/* Letters in any order and case. WSPR_EINVAL `invalid label: 'X'`. */
int security_labels_parse(struct span text, uint32_t *ret_labels, struct err *e);
/* The same as JSON: a string, or null for none. */
int security_labels_parse_json(struct span text, uint32_t *ret_labels, struct err *e);

struct security_acl_entry {
    struct span pattern;
    uint32_t labels;
};

struct security_acl;

/*
 * Reads the first JSON value of text, an object {"pattern": "RW", …}; of a repeated pattern the
 * last counts. *ret_acl is NULL for the text null: the nil list, which admits nobody but oneself.
 * The caller frees.
 */
int security_acl_parse(struct span text, struct security_acl **ret_acl, struct err *e);
/* Of the given entries, copied; in any order, of equal patterns the last counts. NULL: no memory.
 */
struct security_acl *security_acl_make(const struct security_acl_entry *entries, size_t n);
/* What a service without a list of its own uses: all below the names of the server's identity. */
struct security_acl *security_acl_default(const struct security_identity *local,
                                          const struct security_trust *t);
void security_acl_free(struct security_acl *acl); /* accepts NULL */
/* Entries sorted by pattern; borrowed. */
const struct security_acl_entry *security_acl_entries(const struct security_acl *acl,
                                                      size_t *ret_n);
/* Appends the JSON form and a newline; "null" for the nil list. */
void security_acl_print(struct buf *out, const struct security_acl *acl);

/*
 * Decides whether `remote` (what security_authorize let pass; may be NULL) may use something with
 * this label at `local` (may be NULL). 0, or WSPR_ENOTAUTH with the reason.
 */
int security_acl_decide(const struct security_acl *acl, const struct security_identity *local,
                        const struct security_identity *remote, const struct security_trust *t,
                        uint32_t label, struct err *e);

#endif

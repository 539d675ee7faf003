/* What the files of this folder share and nobody else sees. */
#ifndef SECURITY_INTERNAL_H
#define SECURITY_INTERNAL_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"
#include "security/caveat.h"
#include "security/identity.h"
#include "security/key.h"
#include "vom/value.h"

/* Reports a code with the table's sentence. */
int security_fail(struct err *e, int code);
/* Reports before + quoted text + after. */
int security_fail_quoted(struct err *e, int code, const char *before, struct span text, char quote,
                         const char *after);

/* `signature does not match bytes, possible tampering` */
int security_fail_integrity(struct err *e);

/* Temporary memory of one decoding or encoding. */
#define SECURITY_SCRATCH_MAX ((size_t)8 << 20)

/*
 * The first named value below the leading pointers and interfaces: it decides what is being
 * decoded. 1 and *ret_v; 0 if a pointer or interface on the way is nil, WSPR_EPROTO if there is no
 * end of them. A value without any name is given as well.
 */
int security_resolve(struct vom_value v, struct vom_value *ret_v);
/* Goes through what is left of pointers. Like security_resolve. */
int security_deref(struct vom_value v, struct vom_value *ret_v);
/* `vom: can't assign type "…" to value of type "…"` */
int security_fail_type(struct err *e, const struct vom_type *t, const char *target);

struct security_identity {
    atomic_uint refs;
    enum security_variant variant;
    struct arena mem; /* what the other members point to */
    struct security_pubkey key;
    struct span name;                         /* chain: joined; placeholder */
    const struct security_certificate *certs; /* chain */
    size_t n_certs;                           /* of all members of a set together */
    size_t n_listed;                          /* chain: entries of lists in its caveats */
    struct security_identity **members;       /* set; a reference each */
    size_t n_members;
};

/*
 * A chain of the given certificates, copied with all they refer to. Nothing is verified, save that
 * the bounds of size are kept.
 */
int security_chain_create(const struct security_certificate *certs, size_t n,
                          struct security_identity **ret_id, struct err *e);
/* Signatures and names of a chain (spec: security 5.2). Keys were checked before. */
int security_chain_verify(const struct security_certificate *certs, size_t n, struct err *e);
int security_placeholder_create(struct span name, struct security_identity **ret_id, struct err *e);

/* Copies into the arena what certificates and discharges have in common. WSPR_ENOMEM. */
int security_copy_caveats(struct arena *a, const struct security_caveat *caveats, size_t n,
                          const struct security_caveat **ret_caveats);
int security_copy_signature(struct arena *a, struct security_signature *s);

/* Taking apart and building values of the types in types.h. Spans are borrowed. */
int security_get_caveats(struct arena *a, const struct vom_value *list,
                         const struct security_caveat **ret_caveats, size_t *ret_n, struct err *e);
void security_get_signature(const struct vom_value *v, struct security_signature *ret_signature);
/* WSPR_ECRYPTO for an unknown curve or a malformed key. */
int security_get_pubkey(const struct vom_value *v, struct security_pubkey *ret_key);
int security_put_caveats(struct arena *a, const struct security_caveat *caveats, size_t n,
                         struct vom_value *ret_v);
int security_put_signature(struct arena *a, const struct security_signature *s,
                           struct vom_value *ret_v);
int security_put_pubkey(struct arena *a, const struct security_pubkey *k, struct vom_value *ret_v);
/*
 * Appends a value as a stream of its own, if ret, which says whether it could be built, is not an
 * error. Otherwise the buffer takes the error over, so that a writer may ask it once at the end.
 */
int security_put_value(struct buf *out, int ret, const struct vom_value *v);
/* Reads a stand-alone blob with the bounds of this folder. */
int security_decode_blob(struct span blob, struct arena *a, struct vom_value *ret_v, struct err *e);

/* Like security_identity_from_value and _decode, with 1 for a nil identity. */
int security_identity_from_value_or_nil(const struct vom_value *v, unsigned flags,
                                        struct security_identity **ret_id, struct err *e);
int security_identity_decode_or_nil(struct span vom, unsigned flags,
                                    struct security_identity **ret_id, struct err *e);
/* Whether the scalar is that of the key, in constant time. */
bool security_key_has_scalar(const struct security_key *k, struct span d);

/* What a caveat says, once decoded. */
enum security_rule_kind {
    SECURITY_RULE_BAD,
    SECURITY_RULE_EXPIRY,
    SECURITY_RULE_METHODS,
    SECURITY_RULE_PEERS,
    SECURITY_RULE_NETWORK,
    SECURITY_RULE_THIRD_PARTY
};

struct security_instant {
    int64_t sec; /* since 1970 */
    int32_t nsec;
};

struct security_rule {
    enum security_rule_kind kind;
    int code; /* bad: why */
    union {
        struct {
            struct security_instant issued, expires;
        };
        struct {
            const struct span *list; /* methods, patterns */
            size_t n;
        };
        struct span text; /* network; bad: the error's text */
        struct security_third_party *third;
    };
};

/* Decodes the rules of n caveats into the arena. Undecodable ones are no error. WSPR_ENOMEM. */
int security_rules_parse(struct arena *a, const struct security_caveat *caveats, size_t n,
                         const struct security_rule **ret_rules);
/* How many entries the lists of methods and patterns have together. */
size_t security_rules_listed(const struct security_rule *rules, size_t n);
/* All n caveats pass in the context; else the first denial. */
int security_rules_check(const struct security_caveat *caveats, const struct security_rule *rules,
                         size_t n, const struct security_context *c, struct err *e);
/* The caveats followed by an expiry for everybody, in the arena; the first n are borrowed. */
int security_caveats_with_expiry(struct arena *a, const struct security_caveat *caveats, size_t n,
                                 int64_t now, int64_t duration,
                                 struct security_caveat **ret_caveats, struct err *e);
/* Nanoseconds since 1970, as near as an int64_t can come. */
int64_t security_instant_ns(struct security_instant t);
struct security_instant security_instant_of_ns(int64_t ns);
/* The earliest expiry among the rules. */
int64_t security_rules_expire(const struct security_rule *rules, size_t n);

#endif

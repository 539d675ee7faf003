/* What the sample cache holds: keys in order, each with a value of its own memory. */
#ifndef SERVICES_SAMPLE_STORE_H
#define SERVICES_SAMPLE_STORE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"
#include "services/sample.h"
#include "vom/value.h"

struct sample_entry {
    struct vom_value value;
    struct arena arena; /* of the value, its types included */
    size_t size;        /* what it counts for */
    size_t key_len;
    uint8_t key[];
};

struct sample_store {
    struct sample_limits limits;
    struct sample_entry **entries; /* by key, ascending */
    size_t n, cap;
    size_t bytes;
    const struct sample_entry *recent; /* that was set last; NULL: none was */
    int64_t recent_at;                 /* nanoseconds since 1970 */
};

void sample_store_init(struct sample_store *s, const struct sample_limits *limits);
void sample_store_done(struct sample_store *s);
/* Sets or replaces, with a copy of the value. WSPR_ELIMIT with the limit's name, WSPR_ENOMEM. */
int sample_store_set(struct sample_store *s, struct span key, const struct vom_value *v,
                     int64_t now, struct err *err);
/* NULL if there is no such key. Valid until the next change. */
const struct sample_entry *sample_store_find(const struct sample_store *s, struct span key);

static inline struct span sample_entry_key(const struct sample_entry *e)
{
    return span_of(e->key, e->key_len);
}

#endif

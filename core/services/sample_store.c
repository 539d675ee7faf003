#include "config.h"
#include "services/sample_store.h"

#include <stdlib.h>

#define STORE_FIRST     64
#define STORE_ARENA_MIN 1024 /* what the smallest arena really takes */

void sample_store_init(struct sample_store *s, const struct sample_limits *limits)
{
    *s = (struct sample_store){.limits = *limits};
    if (s->limits.keys == 0)
        s->limits.keys = SAMPLE_KEYS_MAX;
    if (s->limits.key_len == 0)
        s->limits.key_len = SAMPLE_KEY_LEN_MAX;
    if (s->limits.bytes == 0)
        s->limits.bytes = SAMPLE_BYTES_MAX;
}

static void entry_free(struct sample_entry *e)
{
    arena_done(&e->arena);
    free(e);
}

void sample_store_done(struct sample_store *s)
{
    for (size_t i = 0; i < s->n; i++)
        entry_free(s->entries[i]);
    free(s->entries);
    *s = (struct sample_store){0};
}

/* The place of a key, or where it would have to go. */
static size_t store_place(const struct sample_store *s, struct span key, bool *ret_found)
{
    size_t low = 0, high = s->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = span_compare(sample_entry_key(s->entries[mid]), key);

        if (c == 0) {
            *ret_found = true;
            return mid;
        }
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *ret_found = false;
    return low;
}

const struct sample_entry *sample_store_find(const struct sample_store *s, struct span key)
{
    bool found;
    size_t at = store_place(s, key, &found);

    return found ? s->entries[at] : NULL;
}

static int store_full(const struct sample_store *s, struct err *err)
{
    return err_set(err, WSPR_ELIMIT, "the cache is full: its values may take %zu bytes",
                   s->limits.bytes);
}

/* A fresh entry whose value may take so much memory. */
static int entry_new(const struct sample_store *s, struct span key, const struct vom_value *v,
                     size_t spare, struct sample_entry **ret_entry, struct err *err)
{
    struct sample_entry *e;
    int r;

    if (spare < sizeof *e + key.len)
        return store_full(s, err);
    e = calloc(1, sizeof *e + key.len);
    if (e == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    e->size = sizeof *e + key.len;
    e->key_len = key.len;
    if (key.len > 0)
        memcpy(e->key, key.p, key.len);
    arena_init(&e->arena, spare - e->size);
    r = vom_value_copy(&e->arena, v, &e->value, err);
    if (r == WSPR_ELIMIT)
        store_full(s, err);
    if (r < 0) {
        entry_free(e);
        return r;
    }
    if (e->arena.used > 0)
        e->size += e->arena.used > STORE_ARENA_MIN ? e->arena.used : STORE_ARENA_MIN;
    *ret_entry = e;
    return 0;
}

static int store_grow(struct sample_store *s, struct err *err)
{
    size_t cap = s->cap > 0 ? s->cap * 2 : STORE_FIRST;
    struct sample_entry **entries;

    if (s->n < s->cap)
        return 0;
    entries = realloc(s->entries, cap * sizeof *entries);
    if (entries == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    s->entries = entries;
    s->cap = cap;
    return 0;
}

int sample_store_set(struct sample_store *s, struct span key, const struct vom_value *v,
                     int64_t now, struct err *err)
{
    struct sample_entry *e = NULL, *old = NULL;
    size_t at, spare;
    bool found;
    int r;

    if (key.len > s->limits.key_len)
        return err_set(err, WSPR_ELIMIT, "a key may have %u bytes", s->limits.key_len);
    at = store_place(s, key, &found);
    if (found)
        old = s->entries[at];
    else if (s->n >= s->limits.keys)
        return err_set(err, WSPR_ELIMIT, "the cache is full: it may have %u keys", s->limits.keys);
    spare = s->limits.bytes - s->bytes + (old != NULL ? old->size : 0);
    r = entry_new(s, key, v, spare, &e, err);
    if (r < 0)
        return r;
    if (e->size > spare) {
        entry_free(e);
        return store_full(s, err);
    }
    if (old == NULL) {
        r = store_grow(s, err);
        if (r < 0) {
            entry_free(e);
            return r;
        }
        memmove(&s->entries[at + 1], &s->entries[at], (s->n - at) * sizeof s->entries[0]);
        s->n++;
    } else {
        s->bytes -= old->size;
        entry_free(old);
    }
    s->entries[at] = e;
    s->bytes += e->size;
    s->recent = e;
    s->recent_at = now;
    return 0;
}

#include "config.h"

#include <stdio.h>

#include "failmalloc.h"
#include "services/sample_store.h"
#include "services_tests.h"

static const struct sample_limits few = {.keys = 5, .key_len = 8, .bytes = 8192};

static int set(struct sample_store *s, const char *key, struct vom_value v, struct err *e)
{
    return sample_store_set(s, span_str(key), &v, 1, e);
}

static bool holds(const struct sample_store *s, const char *key, struct vom_value v)
{
    const struct sample_entry *e = sample_store_find(s, span_str(key));

    return e != NULL && vom_value_equal(&e->value, &v) == 1;
}

static void keys_in_order(void)
{
    static const char *const keys[] = {"m", "", "z", "a", "ma", "M", "\xff", "aa", "m"};
    struct sample_limits none = {0};
    struct sample_store s;

    sample_store_init(&s, &none);
    TAP_IS(s.limits.keys == SAMPLE_KEYS_MAX && s.limits.bytes == SAMPLE_BYTES_MAX);
    TAP_IS(s.recent == NULL && sample_store_find(&s, span_str("m")) == NULL);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct vom_value v = vom_value_int(&vom_type_int64, (int64_t)i);

        TAP_IS(sample_store_set(&s, span_str(keys[i]), &v, (int64_t)i * 10, NULL) == 0);
        TAP_IS(s.recent == sample_store_find(&s, span_str(keys[i])));
        TAP_IS(s.recent_at == (int64_t)i * 10);
    }
    TAP_IS(s.n == 8 && holds(&s, "m", vom_value_int(&vom_type_int64, 8)));
    for (size_t i = 1; i < s.n; i++)
        TAP_IS(span_compare(sample_entry_key(s.entries[i - 1]), sample_entry_key(s.entries[i])) <
               0);
    TAP_IS(sample_store_find(&s, span_str("mm")) == NULL);
    sample_store_done(&s);
}

/* The value lives on when what it was copied from is gone. */
static void values_are_copies(void)
{
    struct sample_limits none = {0};
    struct arena a = ARENA_INIT(65536);
    struct vom_field field = {span_str("A"), &vom_type_string};
    struct vom_type type = {
        .kind = VOM_KIND_STRUCT, .name = span_str("x.T"), .n_fields = 1, .fields = &field};
    char text[] = "text";
    struct vom_value v, got;
    struct sample_store s;
    const struct sample_entry *e;

    sample_store_init(&s, &none);
    TAP_IS(vom_value_new_struct(&a, &type, &v) == 0);
    vom_value_set(&v, 0, vom_value_str(text));
    TAP_IS(sample_store_set(&s, span_str("k"), &v, 1, NULL) == 0);
    memset(text, 'x', sizeof text);
    memset(&type, 0, sizeof type);
    arena_done(&a);
    e = sample_store_find(&s, span_str("k"));
    TAP_IS(e != NULL && span_equal_str(e->value.type->name, "x.T"));
    got = vom_value_field(&e->value, "A");
    TAP_IS(got.type != NULL && span_equal_str(got.s, "text"));
    sample_store_done(&s);
}

static void limits(void)
{
    static char long_text[9000];
    struct sample_store s;
    struct err e = ERR_INIT;
    char key[8];

    sample_store_init(&s, &few);
    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof key, "k%d", i);
        TAP_IS(set(&s, key, vom_value_int(&vom_type_int32, i), &e) == 0);
    }
    TAP_IS(set(&s, "k5", vom_value_int(&vom_type_int32, 5), &e) == WSPR_ELIMIT);
    TAP_OK(strcmp(err_text(&e), "the cache is full: it may have 5 keys") == 0, "%s", err_text(&e));
    TAP_IS(set(&s, "k4", vom_value_int(&vom_type_int32, 44), &e) == 0);
    TAP_IS(holds(&s, "k4", vom_value_int(&vom_type_int32, 44)));
    TAP_IS(set(&s, "123456789", vom_value_str("v"), &e) == WSPR_ELIMIT);
    TAP_OK(strcmp(err_text(&e), "a key may have 8 bytes") == 0, "%s", err_text(&e));
    memset(long_text, 'x', sizeof long_text - 1);
    TAP_IS(set(&s, "k1", vom_value_str(long_text), &e) == WSPR_ELIMIT);
    TAP_OK(strcmp(err_text(&e), "the cache is full: its values may take 8192 bytes") == 0, "%s",
           err_text(&e));
    /* What was there is still there. */
    TAP_IS(holds(&s, "k1", vom_value_int(&vom_type_int32, 1)));
    err_done(&e);
    sample_store_done(&s);
}

/* Replacing gives the memory of the old value back to the account. */
static void account(void)
{
    static char text[5000];
    struct sample_store s;
    size_t before;

    memset(text, 'x', sizeof text - 1);
    sample_store_init(&s, &few);
    TAP_IS(set(&s, "other", vom_value_str("short"), NULL) == 0);
    before = s.bytes;
    for (int i = 0; i < 100; i++)
        TAP_IS(set(&s, "k", vom_value_str(text), NULL) == 0);
    TAP_OK(s.bytes > 5000 && s.bytes <= 8192, "%zu bytes", s.bytes);
    TAP_IS(set(&s, "k", vom_value_int(&vom_type_int32, 1), NULL) == 0);
    TAP_OK(s.bytes < before + 500, "%zu bytes", s.bytes);
    sample_store_done(&s);
}

static void fill(void *arg)
{
    struct sample_limits none = {0};
    struct sample_store s;
    unsigned stored = 0;
    char key[16];

    sample_store_init(&s, &none);
    for (int i = 0; i < 80; i++) {
        snprintf(key, sizeof key, "k%d", i % 70);
        stored += set(&s, key, vom_value_str("a value"), NULL) == 0;
    }
    TAP_OK(stored >= 79, "%u", stored);
    for (size_t i = 0; i < s.n; i++)
        TAP_IS(span_equal_str(s.entries[i]->value.s, "a value"));
    sample_store_done(&s);
}

static void lack_of_memory(void)
{
    TAP_IS(failmalloc_each(fill, NULL, 1000) > 100);
}

const struct tap_case sample_store_cases[SAMPLE_STORE_CASES] = {
    {"keys in order", keys_in_order},
    {"values are copies", values_are_copies},
    {"limits", limits},
    {"the account of memory", account},
    {"lack of memory", lack_of_memory},
};

/*
 * Keys of decoded maps. Peers choose them, so the way to find duplicates is a sort, whose time no
 * choice of keys can spoil.
 */
#include "config.h"
#include "vom/value.h"

#include <math.h>
#include <stdlib.h>

/* Up to here comparing each key with each is faster. */
#define FEW 8

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_float(double a, double b)
{
    union vom_word x = {.f = a}, y = {.f = b};

    if (isnan(a) || isnan(b)) {
        if (!isnan(a) || !isnan(b))
            return isnan(a) ? 1 : -1;
        return order(x.u, y.u);
    }
    return (a > b) - (a < b);
}

static int compare_list(const struct vom_value *a, const struct vom_value *b)
{
    size_t n = vom_value_len(a), m = vom_value_len(b);
    int c = 0;

    for (size_t i = 0; c == 0 && i < n && i < m; i++) {
        struct vom_value x = vom_value_at(a, i), y = vom_value_at(b, i);

        c = vom_key_compare(&x, &y);
    }
    return c != 0 ? c : order(n, m);
}

int vom_key_compare(const struct vom_value *a, const struct vom_value *b)
{
    enum vom_kind k = a->type->kind;

    /* Only the contents of interfaces can differ in type. */
    if (a->type != b->type) {
        if (k != b->type->kind)
            return order(k, b->type->kind);
        return order((uintptr_t)a->type, (uintptr_t)b->type);
    }
    if (k == VOM_KIND_STRING || k == VOM_KIND_BYTES)
        return span_compare(a->s, b->s);
    if (k == VOM_KIND_BOOL)
        return order(a->b, b->b);
    if (vom_kind_is_int(k))
        return (a->i > b->i) - (a->i < b->i);
    if (vom_kind_is_float(k))
        return compare_float(a->f, b->f);
    if (k == VOM_KIND_PTR || k == VOM_KIND_MAP)
        return order((uintptr_t)a->items, (uintptr_t)b->items);
    if (k == VOM_KIND_ANY) {
        if (a->to == NULL || b->to == NULL)
            return order(a->to != NULL, b->to != NULL);
        return vom_key_compare(a->to, b->to);
    }
    if (k == VOM_KIND_SLICE || k == VOM_KIND_ARRAY || k == VOM_KIND_STRUCT)
        return compare_list(a, b);
    return order(a->u, b->u);
}

/* NaN differs from itself, also inside structs, arrays and interfaces. */
static bool key_has_nan(const struct vom_value *v)
{
    size_t n;

    if (vom_kind_is_float(v->type->kind))
        return isnan(v->f);
    if (v->type->kind == VOM_KIND_ANY)
        return v->to != NULL && key_has_nan(v->to);
    if (v->type->kind != VOM_KIND_ARRAY && v->type->kind != VOM_KIND_STRUCT)
        return false;
    n = v->items != NULL && !vom_type_is_bytes(v->type) ? vom_value_len(v) : 0;
    for (size_t i = 0; i < n; i++) {
        struct vom_value e = vom_value_at(v, i);

        if (key_has_nan(&e))
            return true;
    }
    return false;
}

bool vom_key_equal(const struct vom_value *a, const struct vom_value *b)
{
    return vom_key_compare(a, b) == 0 && !key_has_nan(a);
}

/* Marks entries whose key comes again: they are not needed any more. */
static void mark_few(struct vom_value *it, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        size_t k = i + 1;

        while (k < n && !vom_key_equal(&it[2 * i], &it[2 * k]))
            k++;
        if (k < n)
            it[2 * i].type = NULL;
    }
}

/* Stable merge sort of entry numbers, bottom-up. Returns the array that holds the result. */
static size_t *sort(const struct vom_value *it, size_t *from, size_t *to, size_t n)
{
    for (size_t width = 1; width < n; width *= 2) {
        size_t *swap = from;

        for (size_t lo = 0; lo < n; lo += 2 * width) {
            size_t mid = n - lo < width ? n : lo + width;
            size_t hi = n - mid < width ? n : mid + width;
            size_t i = lo, j = mid, k = lo;

            while (i < mid && j < hi)
                to[k++] = vom_key_compare(&it[2 * from[i]], &it[2 * from[j]]) <= 0 ? from[i++]
                                                                                   : from[j++];
            while (i < mid)
                to[k++] = from[i++];
            while (j < hi)
                to[k++] = from[j++];
        }
        from = to;
        to = swap;
    }
    return from;
}

static bool map_is_sorted(const struct vom_value *map)
{
    for (size_t i = 1; i < map->n; i++) {
        if (vom_key_compare(&map->items[2 * i - 2], &map->items[2 * i]) >= 0)
            return false;
    }
    return true;
}

static int mark_many(struct vom_value *it, size_t n)
{
    size_t *index, *sorted;

    if (n > SIZE_MAX / 2 / sizeof *index)
        return WSPR_ELIMIT;
    index = malloc(2 * n * sizeof *index);
    if (index == NULL)
        return WSPR_ENOMEM;
    for (size_t i = 0; i < n; i++)
        index[i] = i;
    sorted = sort(it, index, index + n, n);
    for (size_t i = 0; i + 1 < n; i++) {
        if (vom_key_equal(&it[2 * sorted[i]], &it[2 * sorted[i + 1]]))
            it[2 * sorted[i]].type = NULL;
    }
    free(index);
    return 0;
}

int vom_map_dedupe(struct vom_value *map)
{
    struct vom_value *it = map->items;
    size_t kept = 0;
    int r = 0;

    if (map->n <= FEW)
        mark_few(it, map->n);
    else if (map_is_sorted(map))
        return 0;
    else
        r = mark_many(it, map->n);
    if (r < 0)
        return r;
    for (size_t i = 0; i < map->n; i++) {
        if (it[2 * i].type == NULL)
            continue;
        it[2 * kept] = it[2 * i];
        it[2 * kept + 1] = it[2 * i + 1];
        kept++;
    }
    map->n = kept;
    return 0;
}

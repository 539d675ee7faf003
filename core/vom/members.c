/*
 * Few keys are compared each with each. Of many it is seen on the way whether they ascend, as most
 * services send them; others are sorted, whose time no choice of keys can spoil.
 */
#include "config.h"
#include "vom/members.h"

#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "wspr/error.h"

#define GONE UINT32_MAX /* key_end of a member that is to be taken out */

int vom_members_init(struct vom_members *m, size_t max, const struct buf *out)
{
    m->all = m->few;
    m->n = 0;
    m->base = out->len;
    m->max = (uint32_t)max;
    if (max >= UINT32_MAX)
        return WSPR_ELIMIT;
    if (max > VOM_MEMBERS_FEW) {
        m->all = malloc(max * sizeof *m->all);
        if (m->all == NULL)
            return WSPR_ENOMEM;
    }
    return 0;
}

void vom_members_done(struct vom_members *m)
{
    if (m->all != m->few)
        free(m->all);
}

void vom_members_add(struct vom_members *m, size_t begin, const struct buf *out)
{
    /* What is longer than 4 GiB is beyond every limit of an output. */
    if (m->n < m->max)
        m->all[m->n++] =
            (struct vom_member){(uint32_t)(begin - m->base), (uint32_t)(out->len - m->base)};
}

static struct span key_of(const struct vom_members *m, const uint8_t *map, uint32_t i)
{
    return span_of(map + m->all[i].begin, m->all[i].key_end - m->all[i].begin);
}

static bool ascend(const struct vom_members *m, const uint8_t *map)
{
    for (uint32_t i = 1; i < m->n; i++) {
        if (span_compare(key_of(m, map, i - 1), key_of(m, map, i)) >= 0)
            return false;
    }
    return true;
}

static uint32_t mark_few(struct vom_members *m, const uint8_t *map)
{
    uint32_t gone = 0;

    for (uint32_t i = 0; i + 1 < m->n; i++) {
        struct span key = key_of(m, map, i);

        for (uint32_t k = i + 1; k < m->n; k++) {
            if (span_equal(key, key_of(m, map, k))) {
                m->all[i].key_end = GONE;
                gone++;
                break;
            }
        }
    }
    return gone;
}

/* Stable merge sort of numbers of members by key, bottom-up. Returns the array of the result. */
static uint32_t *sort(const struct vom_members *m, const uint8_t *map, uint32_t *from, uint32_t *to)
{
    size_t n = m->n;

    for (size_t width = 1; width < n; width *= 2) {
        uint32_t *swap = from;

        for (size_t lo = 0; lo < n; lo += 2 * width) {
            size_t mid = n - lo < width ? n : lo + width;
            size_t hi = n - mid < width ? n : mid + width;
            size_t i = lo, j = mid, k = lo;

            while (i < mid && j < hi)
                to[k++] = span_compare(key_of(m, map, from[i]), key_of(m, map, from[j])) <= 0
                              ? from[i++]
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

static int64_t mark_many(struct vom_members *m, const uint8_t *map)
{
    uint32_t *index = malloc(2 * (size_t)m->n * sizeof *index), *sorted, gone = 0;

    if (index == NULL)
        return WSPR_ENOMEM;
    for (uint32_t i = 0; i < m->n; i++)
        index[i] = i;
    sorted = sort(m, map, index, index + m->n);
    for (uint32_t i = 0; i + 1 < m->n; i++) {
        if (span_equal(key_of(m, map, sorted[i]), key_of(m, map, sorted[i + 1]))) {
            m->all[sorted[i]].key_end = GONE;
            gone++;
        }
    }
    free(index);
    return gone;
}

/* The last member is never taken out, so there is always a next one. */
static void cut(struct vom_members *m, struct buf *out)
{
    uint8_t *map = buf_data(out) + m->base;
    size_t len = out->len - m->base, at = m->all[0].begin;

    for (uint32_t i = 0; i < m->n; i++) {
        size_t begin = m->all[i].begin, end = i + 1 < m->n ? m->all[i + 1].begin : len;

        if (m->all[i].key_end == GONE)
            continue;
        memmove(map + at, map + begin, end - begin);
        at += end - begin;
    }
    buf_truncate(out, m->base + at);
}

int64_t vom_members_dedupe(struct vom_members *m, struct buf *out)
{
    const uint8_t *map;
    int64_t gone;

    if (m->n < 2 || buf_error(out) != 0)
        return m->n;
    map = buf_data(out) + m->base;
    if (m->n <= VOM_MEMBERS_FEW)
        gone = mark_few(m, map);
    else
        gone = ascend(m, map) ? 0 : mark_many(m, map);
    if (gone > 0)
        cut(m, out);
    return gone < 0 ? gone : (int64_t)m->n - gone;
}

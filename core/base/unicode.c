/*
 * Look-ups by bisection in sorted tables. A run of the case tables maps every `step`-th character
 * from first to last by the same distance, which keeps the alternating Latin and Cyrillic blocks to
 * a line each.
 */
#include "config.h"
#include "base/unicode.h"

#include "base/unicode_tables.h"
#include "base/utf8.h"

#define UNICODE_COUNT(a) (sizeof(a) / sizeof(a)[0])

bool unicode_is_print(uint32_t rune)
{
    size_t low = 0, high;

    if (rune >= 0x20 && rune < 0x7f)
        return true;
    if (rune <= 0xffff) {
        for (high = UNICODE_COUNT(unicode_print16); low < high;) {
            size_t mid = (low + high) / 2;

            if (rune > unicode_print16[mid][1])
                low = mid + 1;
            else if (rune < unicode_print16[mid][0])
                high = mid;
            else
                return true;
        }
        return false;
    }
    for (high = UNICODE_COUNT(unicode_print32); low < high;) {
        size_t mid = (low + high) / 2;

        if (rune > unicode_print32[mid][1])
            low = mid + 1;
        else if (rune < unicode_print32[mid][0])
            high = mid;
        else
            return true;
    }
    return false;
}

bool unicode_is_space(uint32_t rune)
{
    switch (rune) {
    case 0x20:
    case 0x85:
    case 0xa0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202f:
    case 0x205f:
    case 0x3000:
        return true;
    default:
        return (rune >= 0x09 && rune <= 0x0d) || (rune >= 0x2000 && rune <= 0x200a);
    }
}

/* Whether a run has the character; *ret is what it maps to. */
static bool unicode_map(const struct unicode_run *runs, size_t n, uint32_t rune, uint32_t *ret)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t mid = (low + high) / 2;
        const struct unicode_run *r = &runs[mid];

        if (rune > r->last) {
            low = mid + 1;
        } else if (rune < r->first) {
            high = mid;
        } else if ((rune - r->first) % r->step == 0) {
            *ret = (uint32_t)((int32_t)rune + r->distance);
            return true;
        } else {
            return false;
        }
    }
    return false;
}

uint32_t unicode_lower(uint32_t rune)
{
    if (rune < 0x80)
        return rune >= 'A' && rune <= 'Z' ? rune + 32 : rune;
    unicode_map(unicode_lower_runs, UNICODE_COUNT(unicode_lower_runs), rune, &rune);
    return rune;
}

uint32_t unicode_upper(uint32_t rune)
{
    if (rune < 0x80)
        return rune >= 'a' && rune <= 'z' ? rune - 32 : rune;
    unicode_map(unicode_upper_runs, UNICODE_COUNT(unicode_upper_runs), rune, &rune);
    return rune;
}

uint32_t unicode_title(uint32_t rune)
{
    uint32_t title;

    if (unicode_map(unicode_title_runs, UNICODE_COUNT(unicode_title_runs), rune, &title))
        return title;
    return unicode_upper(rune);
}

bool unicode_equal_lower(struct span a, struct span b)
{
    while (a.len > 0 && b.len > 0) {
        uint32_t x, y;
        size_t n = utf8_decode(a.p, a.len, &x), m = utf8_decode(b.p, b.len, &y);

        if (x != y && unicode_lower(x) != unicode_lower(y))
            return false;
        a = span_of(a.p + n, a.len - n);
        b = span_of(b.p + m, b.len - m);
    }
    return a.len == 0 && b.len == 0;
}

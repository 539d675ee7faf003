/*
 * The first byte of a sequence tells how many bytes follow and, to exclude overlong forms,
 * surrogates and what lies above U+10FFFF, the range of the second byte. All others are 80 to bf.
 * Both functions below share that one rule; runs of ASCII are skipped eight bytes at a time.
 */
#include "config.h"
#include "base/utf8.h"

#include <string.h>

/* How many bytes follow the first one, 0 if it can be none; the range of the second byte. */
static unsigned utf8_follow(uint8_t first, uint8_t *ret_low, uint8_t *ret_high)
{
    *ret_low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *ret_high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first >= 0xc2 && first <= 0xdf)
        return 1;
    if (first >= 0xe0 && first <= 0xef)
        return 2;
    return first >= 0xf0 && first <= 0xf4 ? 3 : 0;
}

size_t utf8_decode(const uint8_t *p, size_t len, uint32_t *ret_rune)
{
    uint8_t low, high;
    unsigned follow;
    uint32_t rune;

    if (p[0] < 0x80) {
        *ret_rune = p[0];
        return 1;
    }
    *ret_rune = UTF8_REPLACEMENT;
    follow = utf8_follow(p[0], &low, &high);
    if (follow == 0 || follow >= len)
        return 1;
    rune = p[0] & (0x3fu >> follow);
    for (unsigned i = 1; i <= follow; i++) {
        if (p[i] < low || p[i] > high)
            return 1;
        rune = rune << 6 | (p[i] & 0x3fu);
        low = 0x80;
        high = 0xbf;
    }
    *ret_rune = rune;
    return follow + 1;
}

size_t utf8_encode(uint32_t rune, uint8_t out[4])
{
    if (rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff))
        rune = UTF8_REPLACEMENT;
    if (rune < 0x80) {
        out[0] = (uint8_t)rune;
        return 1;
    }
    if (rune < 0x800) {
        out[0] = (uint8_t)(0xc0 | rune >> 6);
        out[1] = (uint8_t)(0x80 | (rune & 0x3f));
        return 2;
    }
    if (rune < 0x10000) {
        out[0] = (uint8_t)(0xe0 | rune >> 12);
        out[1] = (uint8_t)(0x80 | (rune >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (rune & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | rune >> 18);
    out[1] = (uint8_t)(0x80 | (rune >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (rune >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (rune & 0x3f));
    return 4;
}

static const uint8_t *utf8_skip_ascii(const uint8_t *p, const uint8_t *end)
{
    uint64_t w;

    while (end - p >= 8) {
        memcpy(&w, p, sizeof w);
        if ((w & 0x8080808080808080u) != 0)
            break;
        p += 8;
    }
    while (p < end && *p < 0x80)
        p++;
    return p;
}

bool utf8_check_feed(struct utf8_check *c, const void *data, size_t len)
{
    const uint8_t *p = data, *end;

    if (c->bad || len == 0)
        return !c->bad;
    end = p + len;
    for (;;) {
        if (c->left == 0) {
            p = utf8_skip_ascii(p, end);
            if (p == end)
                return true;
            c->left = (uint8_t)utf8_follow(*p++, &c->low, &c->high);
            if (c->left == 0)
                break;
        }
        while (c->left > 0 && p < end) {
            if (*p < c->low || *p > c->high)
                goto bad;
            p++;
            c->left--;
            c->low = 0x80;
            c->high = 0xbf;
        }
        if (p == end)
            return true;
    }
bad:
    c->bad = true;
    return false;
}

bool utf8_valid(const void *p, size_t len)
{
    struct utf8_check c = UTF8_CHECK_INIT;

    return utf8_check_feed(&c, p, len) && utf8_check_complete(&c);
}

#include "config.h"
#include "base/quote.h"

#include "base/unicode.h"
#include "base/utf8.h"

static void quote_hex(struct buf *out, const char *lead, uint32_t v, int digits)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t *room = buf_reserve(out, (size_t)digits + 2);

    if (room == NULL)
        return;
    room[0] = (uint8_t)lead[0];
    room[1] = (uint8_t)lead[1];
    for (int i = 0; i < digits; i++)
        room[2 + i] = (uint8_t)hex[v >> (4 * (digits - 1 - i)) & 15];
    buf_commit(out, (size_t)digits + 2);
}

static void quote_control(struct buf *out, uint32_t rune)
{
    static const char letters[] = "abtnvfr"; /* 0x07 … 0x0d */

    if (rune >= 0x07 && rune <= 0x0d) {
        char pair[2] = {'\\', letters[rune - 0x07]};

        buf_append(out, pair, sizeof pair);
    } else if (rune < 0x20) {
        quote_hex(out, "\\x", rune, 2);
    } else if (rune <= 0xffff) {
        quote_hex(out, "\\u", rune, 4);
    } else {
        quote_hex(out, "\\U", rune, 8);
    }
}

void quote_append(struct buf *out, struct span s, char quote)
{
    size_t plain = 0, i = 0;

    buf_u8(out, (uint8_t)quote);
    while (i < s.len) {
        uint32_t rune = s.p[i];
        size_t n = rune < 0x80 ? 1 : utf8_decode(s.p + i, s.len - i, &rune);
        bool broken = n == 1 && rune >= 0x80;
        bool special = rune == '\\' || rune == (uint8_t)quote;

        if (!broken && !special && unicode_is_print(rune)) {
            i += n;
            continue;
        }
        if (i > plain)
            buf_append(out, s.p + plain, i - plain);
        if (broken) {
            quote_hex(out, "\\x", s.p[i], 2);
        } else if (special) {
            char pair[2] = {'\\', (char)rune};

            buf_append(out, pair, sizeof pair);
        } else {
            quote_control(out, rune);
        }
        i += n;
        plain = i;
    }
    if (i > plain)
        buf_append(out, s.p + plain, i - plain);
    buf_u8(out, (uint8_t)quote);
}

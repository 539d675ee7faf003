#include "config.h"
#include "naming/endpoint.h"

#include <string.h>

#include "base/hex.h"

#define RID_FIRST_FREE 1024u

bool naming_rid_is_null(const struct naming_rid *rid)
{
    static const struct naming_rid null;

    return naming_rid_equal(rid, &null);
}

bool naming_rid_equal(const struct naming_rid *a, const struct naming_rid *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

struct naming_rid naming_rid_fixed(uint64_t value)
{
    struct naming_rid rid = {{0}};

    for (size_t i = sizeof rid.b; i > 8; i--) {
        rid.b[i - 1] = (uint8_t)value;
        value >>= 8;
    }
    return rid;
}

bool naming_rid_is_reserved(const struct naming_rid *rid)
{
    for (size_t i = 0; i < sizeof rid->b - 2; i++) {
        if (rid->b[i] != 0)
            return false;
    }
    return (unsigned)rid->b[14] << 8 < RID_FIRST_FREE;
}

/* Reports a byte that is no digit as the code point of the same number. */
static int rid_bad_digit(uint8_t c, struct err *e)
{
    uint8_t utf8[2] = {(uint8_t)(0xc0 | c >> 6), (uint8_t)(0x80 | (c & 0x3f))};
    struct span shown = c < 0x80 ? span_of(&c, 1) : span_of(utf8, 2);
    bool printable = c < 0x80 ? c >= 0x20 && c < 0x7f : c > 0xa0 && c != 0xad;

    if (!printable)
        return err_set(e, WSPR_EINVAL, "encoding/hex: invalid byte: U+%04X", c);
    return err_set(e, WSPR_EINVAL, "encoding/hex: invalid byte: U+%04X '%.*s'", c, SPAN_ARG(shown));
}

int naming_rid_parse(struct span text, struct naming_rid *ret_rid, struct err *e)
{
    struct naming_rid rid = {{0}};
    bool fits = text.len == 2 * sizeof rid.b;

    if (text.len % 2 != 0)
        return err_set(e, WSPR_EINVAL, "encoding/hex: odd length hex string");
    for (size_t i = 0; i < text.len; i += 2) {
        int high = hex_digit(text.p[i]), low = hex_digit(text.p[i + 1]);

        if (high < 0 || low < 0)
            return rid_bad_digit(high < 0 ? text.p[i] : text.p[i + 1], e);
        if (fits)
            rid.b[i / 2] = (uint8_t)(high << 4 | low);
    }
    if (!fits && text.len > 0)
        return err_set(e, WSPR_EINVAL, "string is of the wrong format and/or size");
    *ret_rid = rid;
    return 0;
}

void naming_rid_format(const struct naming_rid *rid, char out[NAMING_RID_TEXT_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < sizeof rid->b; i++) {
        out[2 * i] = digits[rid->b[i] >> 4];
        out[2 * i + 1] = digits[rid->b[i] & 15];
    }
    out[NAMING_RID_TEXT_LEN] = '\0';
}

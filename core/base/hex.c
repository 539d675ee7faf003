#include "config.h"
#include "base/hex.h"

#include "wspr/error.h"

static const char hex_digits[] = "0123456789abcdef";
static const char base64_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void hex_encode(struct buf *out, const void *p, size_t len)
{
    const uint8_t *b = p;

    for (size_t i = 0; i < len; i++) {
        buf_u8(out, (uint8_t)hex_digits[b[i] >> 4]);
        buf_u8(out, (uint8_t)hex_digits[b[i] & 15]);
    }
}

int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int hex_decode(struct buf *out, const char *text, size_t len)
{
    if (len % 2 != 0)
        return WSPR_EINVAL;
    for (size_t i = 0; i < len; i += 2) {
        int hi = hex_digit((unsigned char)text[i]), lo = hex_digit((unsigned char)text[i + 1]);

        if (hi < 0 || lo < 0)
            return WSPR_EINVAL;
        buf_u8(out, (uint8_t)(hi << 4 | lo));
    }
    return buf_error(out);
}

void base64_encode(struct buf *out, const void *p, size_t len, int url)
{
    const char *alphabet = url ? base64_url : base64_std;
    const uint8_t *b = p;

    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t v =
            (uint32_t)b[i] << 16 | (n > 1 ? (uint32_t)b[i + 1] << 8 : 0) | (n > 2 ? b[i + 2] : 0);
        char quad[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63],
                        n > 1 ? alphabet[v >> 6 & 63] : '=', n > 2 ? alphabet[v & 63] : '='};

        buf_append(out, quad, 4);
    }
}

static int base64_digit(int c, int url)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (url ? '-' : '+'))
        return 62;
    if (c == (url ? '_' : '/'))
        return 63;
    return -1;
}

int base64_decode(struct buf *out, const char *text, size_t len, int url, size_t *ret_at)
{
    uint32_t v = 0;
    int digits = 0, pads = 0;
    size_t i;

    for (i = 0; i < len; i++) {
        int d, c = (unsigned char)text[i];

        if (c == '\r' || c == '\n')
            continue;
        if (c == '=' && digits >= 2 && digits + pads < 4) {
            pads++;
            continue;
        }
        d = base64_digit(c, url);
        if (d < 0 || pads > 0)
            goto bad;
        v = v << 6 | (uint32_t)d;
        if (++digits == 4) {
            buf_u24(out, v);
            digits = 0;
            v = 0;
        }
    }
    if (digits > 0) {
        if (digits + pads != 4)
            goto bad;
        v <<= 6 * pads;
        buf_u8(out, (uint8_t)(v >> 16));
        if (digits == 3)
            buf_u8(out, (uint8_t)(v >> 8));
    }
    return buf_error(out);
bad:
    if (ret_at != NULL)
        *ret_at = i;
    return WSPR_EINVAL;
}

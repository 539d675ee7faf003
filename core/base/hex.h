/* Hexadecimal and base64 text. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

/* Appends two lower-case digits per byte. */
void hex_encode(struct buf *out, const void *p, size_t len);
/* Value of one digit, -1 if it is none. */
int hex_digit(int c);
/* Appends the bytes of the text; WSPR_EINVAL for an odd length or a bad digit. */
int hex_decode(struct buf *out, const char *text, size_t len);
/* Base64 with '+' and '/' (standard) or '-' and '_' (url), padded with '='. */
void base64_encode(struct buf *out, const void *p, size_t len, int url);
/*
 * Appends the decoded bytes. CR and LF are skipped; any other character outside the alphabet, wrong
 * or missing padding, and text after the padding are WSPR_EINVAL; *ret_at (may be NULL) is the
 * offset of the offending byte.
 */
int base64_decode(struct buf *out, const char *text, size_t len, int url, size_t *ret_at);

#endif

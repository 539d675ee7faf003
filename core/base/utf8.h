/*
 * UTF-8: one code point at a time, and validation of text that arrives in pieces. Valid is what RFC
 * 3629 says: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT 0xfffdu /* what stands for an invalid byte */

/*
 * Decodes the code point at p (len > 0) and returns how many bytes it takes. An invalid or cut
 * sequence gives UTF8_REPLACEMENT and 1: each bad byte counts for itself.
 */
size_t utf8_decode(const uint8_t *p, size_t len, uint32_t *ret_rune);

/* Writes the code point and returns its length; a surrogate or a too large one becomes U+FFFD. */
size_t utf8_encode(uint32_t rune, uint8_t out[4]);

bool utf8_valid(const void *p, size_t len);

/* A validator that may stop in the middle of a sequence and go on later. All zero is its start. */
struct utf8_check {
    uint8_t left;      /* continuation bytes that are missing */
    uint8_t low, high; /* range of the next one */
    bool bad;          /* sticky */
};

#define UTF8_CHECK_INIT                                                                            \
    (struct utf8_check)                                                                            \
    {                                                                                              \
        0, 0, 0, false                                                                             \
    }

/* Takes the next piece; false as soon as the text cannot be valid any more. */
bool utf8_check_feed(struct utf8_check *c, const void *p, size_t len);

/* Whether the text may end here. */
static inline bool utf8_check_complete(const struct utf8_check *c)
{
    return !c->bad && c->left == 0;
}

#endif

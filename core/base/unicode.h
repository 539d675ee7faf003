/*
 * What we must know of Unicode: which characters are printable and how letters change case. The
 * tables are made by scripts/gen-unicode from the character database of version 6.3, the one of the
 * reference's time.
 */
#ifndef BASE_UNICODE_H
#define BASE_UNICODE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/span.h"

/* Letters, marks, numbers, punctuation, symbols and the ASCII space. */
bool unicode_is_print(uint32_t rune);
bool unicode_is_space(uint32_t rune);
/* Simple (one to one) mappings; a character without one is returned as it is. */
uint32_t unicode_lower(uint32_t rune);
uint32_t unicode_upper(uint32_t rune);
uint32_t unicode_title(uint32_t rune);
/* Equal after both were mapped to lower case; bytes that are not UTF-8 count as U+FFFD. */
bool unicode_equal_lower(struct span a, struct span b);

#endif

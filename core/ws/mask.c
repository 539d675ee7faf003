#include "config.h"
#include "ws/codec.h"

#include <string.h>

/* Four words a round keep the loads and stores ahead of the arithmetic. */
#define MASK_WORDS 4

void ws_mask(uint8_t *p, size_t len, const uint8_t key[4], uint64_t at)
{
    uint8_t k[8];
    uint64_t pattern, w[MASK_WORDS];
    size_t i = 0;

    for (size_t j = 0; j < sizeof k; j++)
        k[j] = key[(at + j) & 3];
    memcpy(&pattern, k, sizeof pattern);
    for (; len - i >= sizeof w; i += sizeof w) {
        memcpy(w, p + i, sizeof w);
        for (size_t j = 0; j < MASK_WORDS; j++)
            w[j] ^= pattern;
        memcpy(p + i, w, sizeof w);
    }
    for (; len - i >= sizeof pattern; i += sizeof pattern) {
        memcpy(w, p + i, sizeof pattern);
        w[0] ^= pattern;
        memcpy(p + i, w, sizeof pattern);
    }
    for (; i < len; i++)
        p[i] ^= k[i & 7];
}

#include "config.h"

/* The table of numbers: what it holds, and how long its chains get. */

#include "vc/map.h"
#include "vc_tests.h"

#define NODES 20000u

static struct vc_map_node nodes[NODES];

static unsigned longest_chain(const struct vc_map *m)
{
    unsigned longest = 0;

    for (size_t i = 0; i < (size_t)1 << m->bits; i++) {
        unsigned n = 0;

        for (const struct vc_map_node *node = m->bucket[i]; node != NULL; node = node->next)
            n++;
        longest = n > longest ? n : longest;
    }
    return longest;
}

/* Numbers that a peer may choose: in a row, with a step, the same at the lower end. */
static void chains_stay_short(void)
{
    static const uint32_t steps[] = {1, 2, 1u << 8, 1u << 16, 65537, 0x9e3779b9};

    for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
        unsigned found = 0, gone = 0, longest;
        struct vc_map m;

        vc_map_init(&m, UINT64_C(0x5851f42d4c957f2d));
        for (uint32_t i = 0; i < NODES; i++)
            vc_map_add(&m, &nodes[i], i * steps[s]);
        longest = longest_chain(&m);
        TAP_OK(longest <= 16, "step %u: %u in one chain", (unsigned)steps[s], longest);
        for (uint32_t i = 0; i < NODES; i++) {
            found += vc_map_find(&m, i * steps[s]) == &nodes[i];
            vc_map_remove(&m, &nodes[i]);
            gone += vc_map_find(&m, i * steps[s]) == NULL;
        }
        TAP_OK(found == NODES && gone == NODES && m.n == 0, "%u found, %u gone", found, gone);
        vc_map_done(&m);
    }
}

static const struct tap_case cases[] = {
    {"chains stay short", chains_stay_short},
};

const struct tap_suite vc_map_suite = TAP_SUITE("map", cases);

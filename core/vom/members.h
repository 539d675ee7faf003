/*
 * The members of one map while it is written: keys that come again, of which the last counts (spec:
 * vom A.6, B.2.2; websocket 10.1). For use inside core/vom.
 */
#ifndef VOM_MEMBERS_H
#define VOM_MEMBERS_H

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

#define VOM_MEMBERS_FEW 16

/* Offsets from the beginning of the map. */
struct vom_member {
    uint32_t begin;
    uint32_t key_end; /* the key is from begin to here */
};

struct vom_members {
    struct vom_member few[VOM_MEMBERS_FEW], *all;
    uint32_t n, max;
    size_t base; /* of the map in the output */
};

/* There will be so many at most, from the end of the output on. WSPR_ENOMEM, WSPR_ELIMIT. */
int vom_members_init(struct vom_members *m, size_t max, const struct buf *out);
void vom_members_done(struct vom_members *m);
/* Notes a member whose key ends here. Not more than were announced. */
void vom_members_add(struct vom_members *m, size_t begin, const struct buf *out);
/*
 * Takes each member out of the output, up to the beginning of the next one, whose key comes again
 * later. How many remain, or WSPR_ENOMEM.
 */
int64_t vom_members_dedupe(struct vom_members *m, struct buf *out);

#endif

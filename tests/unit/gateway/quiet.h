/*
 * Pages that take no memory of the heap, for tests in which allocations fail: only what is tested
 * may fail. What comes is kept as it is, frames and heads.
 */
#ifndef TESTS_UNIT_GATEWAY_QUIET_H
#define TESTS_UNIT_GATEWAY_QUIET_H

#include "gwrig.h"

struct quiet_page {
    struct gw *g;
    int fd;
    bool ended;
    unsigned hung; /* times that nothing came */
    size_t len;
    char in[65536]; /* everything that came; NULs are blanks */
    const char *wanted;
};

/* Connects, upgrades and waits for the first frame. */
void quiet_open(struct quiet_page *p, struct gw *g);
void quiet_close(struct quiet_page *p);
/* Sends a message. */
void quiet_put(struct quiet_page *p, const char *text);
/* Reads what there is: whether what is wanted came, or the end did. */
bool quiet_take(void *page);
/* Waits for text; false if the connection ended before, or nothing came. */
bool quiet_expect(struct quiet_page *p, const char *text);

#endif

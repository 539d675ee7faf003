/* What failalloc.c and a test share: a file that both have mapped. */
#ifndef TESTS_TORTURE_FAILALLOC_H
#define TESTS_TORTURE_FAILALLOC_H

#include <stdatomic.h>
#include <stdint.h>

struct failalloc {
    _Atomic uint64_t count;   /* allocations, since the test set it to 0 */
    _Atomic uint64_t fail_at; /* which of them fails, once; 0: none */
    _Atomic uint64_t failed;  /* how many did */
    _Atomic uint64_t excused; /* of libraries that cannot be asked for more */
    _Atomic int64_t live;     /* allocations that were not given back */
};

#endif

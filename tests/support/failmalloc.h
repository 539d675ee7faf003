/*
 * Makes allocations of the code under test fail. Programs that use it are linked with
 * $(FAILMALLOC_LINK), which sends malloc, calloc and realloc of our objects (not of libraries)
 * through the counter.
 */
#ifndef TESTS_FAILMALLOC_H
#define TESTS_FAILMALLOC_H

/* The n-th allocation from now on (1 is the next) fails, once; 0 switches the failing off. */
void failmalloc_at(unsigned long n);
/* Allocations since failmalloc_at was called. */
unsigned long failmalloc_count(void);

/*
 * Runs fn(arg) with the first, second, third … allocation failing until a run makes no more
 * allocations than the number that would fail. fn must release all it took. Returns the number of
 * runs, or 0 if the bound `most` was passed.
 */
unsigned long failmalloc_each(void (*fn)(void *), void *arg, unsigned long most);

#endif

/*
 * Memory. The tree allocates with malloc, calloc, realloc and free, which the tests wrap to make
 * each allocation fail in turn; library calls that allocate behind our back (strdup, asprintf …)
 * are banned by the style check.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

/* Copies len bytes and adds a NUL. NULL if memory is short. The caller frees. */
char *mem_strndup(const char *s, size_t len);
/* Copies len bytes; a copy of nothing is a valid pointer. NULL if memory is short. */
void *mem_dup(const void *p, size_t len);
/* Clears memory that held a secret; the compiler may not leave it out. */
void mem_wipe(void *p, size_t len);
/*
 * Gives memory that was freed back to the system, if more of it is there than last time; the C
 * library does so by itself only at the end of its heap. *known is how much was left then: 0 at
 * first, one for each process. For a timer: it takes a moment when much was freed.
 */
void mem_give_back(size_t *known);
/* What the allocator has given out, and what it keeps that nobody uses; zeros if it does not tell.
 */
void mem_usage(size_t *ret_used, size_t *ret_idle);
/* Large pieces go back at once when they are freed. For the start of a process that lives long. */
void mem_return_large(void);
/* Compares two secrets without telling by its time where they differ. */
int mem_equal_secret(const void *a, const void *b, size_t len);

#endif

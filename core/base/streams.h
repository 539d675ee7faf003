/* The standard streams of a process, as its main() finds and leaves them. */
#ifndef BASE_STREAMS_H
#define BASE_STREAMS_H

#include <stdbool.h>

/*
 * Opens those of the descriptors 0 to 2 that are closed, on /dev/null: else they become something
 * else's, a socket or a file, and what is meant for the error stream goes there. False if it
 * cannot. Before anything else is opened.
 */
bool streams_open(void);
/* Whether all that was printed on the standard output went out; errno tells why not. */
bool streams_flush(void);

#endif

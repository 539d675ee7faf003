/*
 * TCP peers that vanish without a word, as when a cable is pulled or a machine loses its power: the
 * system drops whatever arrives for the socket, acknowledgements included, so nothing of it is ever
 * answered. What the socket itself sends still goes out; let it send nothing.
 */
#ifndef TESTS_BLACKHOLE_H
#define TESTS_BLACKHOLE_H

#include <stdbool.h>

/* False if this system cannot do it. */
bool blackhole(int fd);

#endif

/* Clocks in nanoseconds. Engines never read them: they are given the time. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_US INT64_C(1000)
#define CLOCK_MS INT64_C(1000000)
#define CLOCK_S  INT64_C(1000000000)

int64_t clock_mono(void); /* never goes back; for deadlines */
int64_t clock_wall(void); /* since 1970; for caveats and logs */

#endif

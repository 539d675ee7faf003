/* What the benchmarks measure: latencies, and what a process used. */
#ifndef TESTS_MEASURE_H
#define TESTS_MEASURE_H

#include <stdint.h>
#include <sys/types.h>

/* A histogram of nanoseconds; each bucket is 1/32 wide or less. */
struct measure {
    uint64_t bucket[64 * 32];
    uint64_t count, max, sum;
};

uint64_t measure_now(void); /* nanoseconds */
void measure_add(struct measure *m, uint64_t ns);
/* The value below which the share (0 to 1) of all lies. */
uint64_t measure_at(const struct measure *m, double share);

/* CPU time of all threads of a process, in nanoseconds; 0 if it cannot be read. */
uint64_t measure_cpu(pid_t pid);
/* Anonymous memory of a process in KiB, 0 if it cannot be read. */
uint64_t measure_anonymous(pid_t pid);

#endif

#include "config.h"
#include "measure.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t measure_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The highest bit and the five after it. */
static unsigned measure_bucket(uint64_t ns)
{
    unsigned top;

    if (ns < 32)
        return (unsigned)ns;
    top = 63 - (unsigned)__builtin_clzll(ns);
    return (top - 4) * 32 + (unsigned)(ns >> (top - 5) & 31);
}

static uint64_t measure_value(unsigned bucket)
{
    if (bucket < 32)
        return bucket;
    return (32 + (uint64_t)(bucket % 32)) << (bucket / 32 - 1);
}

void measure_add(struct measure *m, uint64_t ns)
{
    m->bucket[measure_bucket(ns)]++;
    m->count++;
    m->sum += ns;
    if (ns > m->max)
        m->max = ns;
}

uint64_t measure_at(const struct measure *m, double share)
{
    uint64_t seen = 0;

    for (unsigned i = 0; i < 64 * 32; i++) {
        seen += m->bucket[i];
        if (seen > 0 && (double)seen >= share * (double)m->count)
            return measure_value(i);
    }
    return m->max;
}

uint64_t measure_cpu(pid_t pid)
{
    char path[512];
    struct dirent *e;
    uint64_t sum = 0;
    DIR *tasks;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    tasks = opendir(path);
    while (tasks != NULL && (e = readdir(tasks)) != NULL) {
        unsigned long long ns;
        FILE *f;

        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, e->d_name);
        f = e->d_name[0] != '.' ? fopen(path, "r") : NULL;
        if (f == NULL)
            continue;
        if (fscanf(f, "%llu", &ns) == 1)
            sum += ns;
        fclose(f);
    }
    if (tasks != NULL)
        closedir(tasks);
    return sum;
}

uint64_t measure_anonymous(pid_t pid)
{
    static const char name[] = "Anonymous:";
    char path[64], line[256];
    uint64_t kib = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, name, sizeof name - 1) == 0)
            kib = strtoull(line + sizeof name - 1, NULL, 10);
    }
    if (f != NULL)
        fclose(f);
    return kib;
}

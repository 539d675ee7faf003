#include "config.h"
#include "rig.h"

#include <time.h>

struct loop_worker *rig_worker(void)
{
    struct loop_worker *w = NULL;

    TAP_IS(loop_worker_new(NULL, &w, NULL) == 0);
    return w;
}

void rig_nap(long us)
{
    struct timespec t = {0, us * 1000};

    nanosleep(&t, NULL);
}

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {suite_timer, suite_worker, suite_offload,
                                       suite_sock,  suite_pipe,   suite_close,
                                       suite_dial,  suite_gone,   suite_listener};

    return tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
}

/*
 * wsprd without descriptors: who comes then is told so or waits, wsprd does not spin meanwhile, and
 * takes new pages as soon as others go.
 */
#include "config.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "rig.h"
#include "tap.h"
#include "wspeer.h"

#define DESCRIPTORS 48
#define PAGES       80
#define WATCHED_MS  2000
#define WAKES_MAX   100 /* in that time; a loop that spins has tens of thousands */

static struct rig_wsprd wsprd;

/* How often it slept. */
static long wakes(void)
{
    static const char key[] = "voluntary_ctxt_switches:";
    char path[64], line[128];
    long n = -1;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/status", (int)wsprd.child.pid);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, key, sizeof key - 1) == 0)
            n = strtol(line + sizeof key - 1, NULL, 10);
    }
    if (f != NULL)
        fclose(f);
    return n;
}

static bool page_comes(int timeout_ms)
{
    long long until = child_now_ms() + timeout_ms;
    struct wspeer p;
    bool ok = false;

    while (!ok && child_now_ms() < until) {
        ok = wspeer_connect(&p, wsprd.port, "/ws", NULL, 2000) == 0;
        wspeer_close(&p);
        if (!ok)
            poll(NULL, 0, 50);
    }
    return ok;
}

static void descriptors_run_out(void)
{
    struct rlimit few = {DESCRIPTORS, DESCRIPTORS};
    int fds[PAGES];
    long before;

    TAP_IS(rig_wsprd_start(&wsprd, NULL, NULL));
    TAP_IS(prlimit(wsprd.child.pid, RLIMIT_NOFILE, &few, NULL) == 0);
    for (unsigned i = 0; i < PAGES; i++)
        fds[i] = wspeer_tcp(wsprd.port);
    poll(NULL, 0, 1000);
    before = wakes();
    poll(NULL, 0, WATCHED_MS);
    TAP_OK(wakes() - before < WAKES_MAX, "%ld wake-ups in %d ms", wakes() - before, WATCHED_MS);
    tap_note("%ld wake-ups in %d ms without descriptors", wakes() - before, WATCHED_MS);
    for (unsigned i = 0; i < PAGES; i++) {
        struct wspeer p = {.fd = fds[i]};

        wspeer_close(&p);
    }
    TAP_OK(page_comes(RIG_TIMEOUT_MS), "no page is taken when others have gone");
    TAP_IS(rig_wsprd_stop(&wsprd));
}

static const struct tap_case cases[] = {
    {"descriptors run out", descriptors_run_out},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("torture-descriptors", cases)};

    return tap_main(argc, argv, suites, 1);
}

#include "config.h"

#include "pair.h"
#include "vc_tests.h"

int main(int argc, char **argv)
{
    struct tap_suite suites[10];
    int r;

    suites[0] = vc_passive_suite;
    suites[1] = vc_replay_suite;
    suites[2] = vc_basic_suite;
    suites[3] = vc_credit_suite;
    suites[4] = vc_close_suite;
    suites[5] = vc_handshake_suite;
    suites[6] = vc_reentry_suite;
    suites[7] = vc_limit_suite;
    suites[8] = vc_relay_suite;
    suites[9] = vc_map_suite;
    pair_setup();
    r = tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
    pair_teardown();
    return r;
}

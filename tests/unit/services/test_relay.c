#include "config.h"

#include "relay_tests.h"

int main(int argc, char **argv)
{
    static const struct tap_suite suites[] = {
        TAP_SUITE("enlist", enlist_cases),       TAP_SUITE("hub", proxy_hub_cases),
        TAP_SUITE("calls", relay_calls_cases),   TAP_SUITE("faults", relay_faults_cases),
        TAP_SUITE("listen", relay_listen_cases),
    };

    return tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
}

#include "config.h"

#include "rpc_tests.h"

int main(int argc, char **argv)
{
    static const struct tap_suite suites[] = {
        TAP_SUITE("calls", rpc_calls_cases),
        TAP_SUITE("load", rpc_load_cases),
        TAP_SUITE("life", rpc_life_cases),
        TAP_SUITE("lost", rpc_lost_cases),
        TAP_SUITE("own", rpc_own_cases),
        TAP_SUITE("placeholders", rpc_fake_cases),
        TAP_SUITE("signature", rpc_signature_cases),
    };

    return tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
}

#include "config.h"

#include "mounttable_tests.h"

int main(int argc, char **argv)
{
    static const struct tap_suite suites[] = {
        TAP_SUITE("tree", mount_tree_cases),
        TAP_SUITE("service", mount_rpc_cases),
        TAP_SUITE("embedded", embedded_net_cases),
        TAP_SUITE("sample", sample_memory_cases),
    };

    return tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
}

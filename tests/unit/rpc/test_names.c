#include "config.h"

#include "names_tests.h"

int main(int argc, char **argv)
{
    static const struct tap_suite suites[] = {
        TAP_SUITE("memory", names_memory_cases),
        TAP_SUITE("vectors", names_vectors_cases),
        TAP_SUITE("faults", names_faults_cases),
        TAP_SUITE("publisher", names_publish_cases),
    };

    return tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
}

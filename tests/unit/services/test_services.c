#include "config.h"

#include "services_tests.h"

int main(int argc, char **argv)
{
    static const struct tap_suite suites[] = {
        TAP_SUITE("value text", value_text_cases),
        TAP_SUITE("sample store", sample_store_cases),
        TAP_SUITE("identity file", identity_file_cases),
    };

    return tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
}

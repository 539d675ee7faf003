#include "config.h"

#include "naming_tests.h"

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {naming_endpoint_suite, naming_name_suite, naming_glob_suite};

    return tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
}

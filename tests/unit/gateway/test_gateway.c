/* The gateway in one process: plugins that are linked in, pages over loopback, a service to call.
 */
#include "config.h"

#include "gateway_tests.h"

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {dispatch_suite, delivery_suite, end_suite,   calls_suite,
                                       callers_suite,  limits_suite,   input_suite, api_suite};

    return tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
}

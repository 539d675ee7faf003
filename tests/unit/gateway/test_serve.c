/* Objects of pages: what is served, called, answered, stopped and left behind. */
#include "config.h"

#include "serve_tests.h"

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {serve_rules_suite, serve_end_suite, serve_limits_suite,
                                       serve_plugin_suite, serve_stream_suite};

    return tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
}

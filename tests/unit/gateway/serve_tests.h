/* The suites of test_serve, one per file. */
#ifndef TESTS_UNIT_GATEWAY_SERVE_TESTS_H
#define TESTS_UNIT_GATEWAY_SERVE_TESTS_H

#include "tap.h"

extern const struct tap_suite serve_rules_suite, serve_end_suite, serve_limits_suite,
    serve_plugin_suite, serve_stream_suite;

#endif

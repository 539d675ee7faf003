/* The suites of test_gateway, one per file. */
#ifndef TESTS_UNIT_GATEWAY_GATEWAY_TESTS_H
#define TESTS_UNIT_GATEWAY_GATEWAY_TESTS_H

#include "tap.h"

extern const struct tap_suite dispatch_suite, delivery_suite, end_suite, calls_suite, callers_suite,
    limits_suite, input_suite, api_suite;

#endif

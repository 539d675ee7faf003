/* The suites of tests/test_vc_tls. */
#ifndef TESTS_UNIT_VC_TLS_TESTS_H
#define TESTS_UNIT_VC_TLS_TESTS_H

#include "tap.h"

extern const struct tap_suite tls_record_suite;

#endif

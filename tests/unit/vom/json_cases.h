/* The cases of test_vom_json, one table per file. */
#ifndef TESTS_UNIT_VOM_JSON_CASES_H
#define TESTS_UNIT_VOM_JSON_CASES_H

#include "tap.h"

#define VOM_JSON_VECTORS_CASES 2
#define VOM_JSON_IN_CASES      13
#define VOM_JSON_OUT_CASES     13
#define VOM_JSON_RUN_CASES     4

extern const struct tap_case vom_json_vectors_cases[VOM_JSON_VECTORS_CASES];
extern const struct tap_case vom_json_in_cases[VOM_JSON_IN_CASES];
extern const struct tap_case vom_json_out_cases[VOM_JSON_OUT_CASES];
extern const struct tap_case vom_json_run_cases[VOM_JSON_RUN_CASES];

#endif

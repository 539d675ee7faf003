/* The cases of test_vom, one table per file. */
#ifndef TESTS_UNIT_VOM_SUITES_H
#define TESTS_UNIT_VOM_SUITES_H

#include "tap.h"

#define VOM_TYPE_CASES    7
#define VOM_VALUE_CASES   7
#define VOM_ENC_CASES     10
#define VOM_DEC_CASES     10
#define VOM_DEFS_CASES    8
#define VOM_CONVERT_CASES 9
#define VOM_TIME_CASES    3
#define VOM_FAULTS_CASES  3

extern const struct tap_case vom_type_cases[VOM_TYPE_CASES];
extern const struct tap_case vom_value_cases[VOM_VALUE_CASES];
extern const struct tap_case vom_enc_cases[VOM_ENC_CASES];
extern const struct tap_case vom_dec_cases[VOM_DEC_CASES];
extern const struct tap_case vom_defs_cases[VOM_DEFS_CASES];
extern const struct tap_case vom_convert_cases[VOM_CONVERT_CASES];
extern const struct tap_case vom_time_cases[VOM_TIME_CASES];
extern const struct tap_case vom_faults_cases[VOM_FAULTS_CASES];

#endif

/* The parts of the test of the services. */
#ifndef TESTS_UNIT_SERVICES_SERVICES_TESTS_H
#define TESTS_UNIT_SERVICES_SERVICES_TESTS_H

#include "tap.h"

#define VALUE_TEXT_CASES    4
#define SAMPLE_STORE_CASES  5
#define IDENTITY_FILE_CASES 11

extern const struct tap_case value_text_cases[VALUE_TEXT_CASES];
extern const struct tap_case sample_store_cases[SAMPLE_STORE_CASES];
extern const struct tap_case identity_file_cases[IDENTITY_FILE_CASES];

#endif

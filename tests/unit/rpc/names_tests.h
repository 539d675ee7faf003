/* The parts of the test of names. */
#ifndef TESTS_UNIT_RPC_NAMES_TESTS_H
#define TESTS_UNIT_RPC_NAMES_TESTS_H

#include "tap.h"

#define NAMES_MEMORY_CASES  7
#define NAMES_VECTORS_CASES 9
#define NAMES_FAULTS_CASES  16
#define NAMES_PUBLISH_CASES 8

extern const struct tap_case names_memory_cases[NAMES_MEMORY_CASES];
extern const struct tap_case names_vectors_cases[NAMES_VECTORS_CASES];
extern const struct tap_case names_faults_cases[NAMES_FAULTS_CASES];
extern const struct tap_case names_publish_cases[NAMES_PUBLISH_CASES];

#endif

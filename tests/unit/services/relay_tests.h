/* The parts of the test of the relay. */
#ifndef TESTS_UNIT_SERVICES_RELAY_TESTS_H
#define TESTS_UNIT_SERVICES_RELAY_TESTS_H

#include "tap.h"

#define ENLIST_CASES       2
#define PROXY_HUB_CASES    10
#define RELAY_CALLS_CASES  8
#define RELAY_FAULTS_CASES 11
#define RELAY_LISTEN_CASES 7

extern const struct tap_case enlist_cases[ENLIST_CASES];
extern const struct tap_case proxy_hub_cases[PROXY_HUB_CASES];
extern const struct tap_case relay_calls_cases[RELAY_CALLS_CASES];
extern const struct tap_case relay_faults_cases[RELAY_FAULTS_CASES];
extern const struct tap_case relay_listen_cases[RELAY_LISTEN_CASES];

#endif

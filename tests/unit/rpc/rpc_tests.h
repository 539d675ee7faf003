/* The parts of the test of the RPC layer over sockets. */
#ifndef TESTS_UNIT_RPC_RPC_TESTS_H
#define TESTS_UNIT_RPC_RPC_TESTS_H

#include "tap.h"

#define RPC_CALLS_CASES     16
#define RPC_LOAD_CASES      11
#define RPC_LIFE_CASES      17
#define RPC_LOST_CASES      5
#define RPC_OWN_CASES       9
#define RPC_FAKE_CASES      1
#define RPC_SIGNATURE_CASES 2

extern const struct tap_case rpc_calls_cases[RPC_CALLS_CASES];
extern const struct tap_case rpc_load_cases[RPC_LOAD_CASES];
extern const struct tap_case rpc_life_cases[RPC_LIFE_CASES];
extern const struct tap_case rpc_lost_cases[RPC_LOST_CASES];
extern const struct tap_case rpc_own_cases[RPC_OWN_CASES];
extern const struct tap_case rpc_fake_cases[RPC_FAKE_CASES];
extern const struct tap_case rpc_signature_cases[RPC_SIGNATURE_CASES];

#endif

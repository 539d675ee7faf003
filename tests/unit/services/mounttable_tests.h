/* The parts of the test of the mount table. */
#ifndef TESTS_UNIT_SERVICES_MOUNTTABLE_TESTS_H
#define TESTS_UNIT_SERVICES_MOUNTTABLE_TESTS_H

#include "tap.h"

#define MOUNT_TREE_CASES 8
#define MOUNT_RPC_CASES  8

#define EMBEDDED_NET_CASES  2
#define SAMPLE_MEMORY_CASES 1

extern const struct tap_case mount_tree_cases[MOUNT_TREE_CASES];
extern const struct tap_case mount_rpc_cases[MOUNT_RPC_CASES];
extern const struct tap_case embedded_net_cases[EMBEDDED_NET_CASES];
extern const struct tap_case sample_memory_cases[SAMPLE_MEMORY_CASES];

#endif

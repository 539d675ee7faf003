/* The suites of tests/test_vc. */
#ifndef TESTS_UNIT_VC_VC_TESTS_H
#define TESTS_UNIT_VC_VC_TESTS_H

#include "tap.h"

extern const struct tap_suite vc_passive_suite;   /* recorded sessions, read along */
extern const struct tap_suite vc_replay_suite;    /* recorded sessions, played */
extern const struct tap_suite vc_basic_suite;     /* circuits and flows that work */
extern const struct tap_suite vc_credit_suite;    /* flow control, scheduling */
extern const struct tap_suite vc_close_suite;     /* how things end */
extern const struct tap_suite vc_handshake_suite; /* handshakes that do not come to their end */
extern const struct tap_suite vc_reentry_suite;   /* callbacks that call the engine */
extern const struct tap_suite vc_limit_suite;     /* what a peer may not do */
extern const struct tap_suite vc_relay_suite;     /* what relays use */
extern const struct tap_suite vc_map_suite;       /* the table of numbers */

#endif

/* The suites of tests/test_vc. */
#ifndef TESTS_VC_TESTS_H
#define TESTS_VC_TESTS_H

#include "tap.h"

extern const struct tap_suite vc_basic_suite;   /* circuits and flows that work */
extern const struct tap_suite vc_credit_suite;  /* flow control, scheduling */
extern const struct tap_suite vc_close_suite;   /* every way in which something ends */
extern const struct tap_suite vc_limit_suite;   /* what a peer may not do */
extern const struct tap_suite vc_relay_suite;   /* what relays use */
extern const struct tap_suite vc_passive_suite; /* recorded sessions, read along */
extern const struct tap_suite vc_replay_suite;  /* recorded sessions, played */

#endif

/* What the tests of the loop share. */
#ifndef TESTS_UNIT_LOOP_RIG_H
#define TESTS_UNIT_LOOP_RIG_H

#include "base/clock.h"
#include "loop/worker.h"
#include "tap.h"

struct loop_worker *rig_worker(void);
void rig_nap(long us);

extern const struct tap_suite suite_timer;
extern const struct tap_suite suite_worker;
extern const struct tap_suite suite_offload;
extern const struct tap_suite suite_sock;
extern const struct tap_suite suite_pipe;
extern const struct tap_suite suite_close;
extern const struct tap_suite suite_dial;
extern const struct tap_suite suite_gone;
extern const struct tap_suite suite_listener;

#endif

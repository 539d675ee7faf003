#ifndef WS_TESTS_H
#define WS_TESTS_H

#include "tap.h"

extern const struct tap_suite ws_frames_suite, ws_text_suite, ws_close_suite, ws_limits_suite,
    ws_encoder_suite, ws_http_suite, ws_handshake_suite, ws_origin_suite;

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#endif

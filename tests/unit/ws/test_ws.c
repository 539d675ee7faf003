#include "config.h"

#include "ws_tests.h"

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {
        ws_frames_suite,  ws_text_suite, ws_close_suite,     ws_limits_suite,
        ws_encoder_suite, ws_http_suite, ws_handshake_suite, ws_origin_suite,
    };

    return tap_main(argc, argv, suites, COUNT(suites));
}

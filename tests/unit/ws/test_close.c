/* Closing: family 7 of the catalogue. */
#include "config.h"

#include "script.h"
#include "ws_tests.h"

/* A close with code 1000 and n stars as its reason. */
static void close_with_reason(char *frames, size_t size, unsigned n)
{
    int at = snprintf(frames, size, "X:%%03e8");

    for (unsigned i = 0; i < n; i++)
        at += snprintf(frames + at, size - (size_t)at, "2a");
}

static void payloads(void)
{
    static const struct {
        const char *name, *frames, *events;
    } cases[] = {
        {"7.1.1 message, close", "T:Hello X:%03e8", "text:Hello close:1000:"},
        {"7.1.3 ping after close", "X:%03e8 P:", "close:1000:"},
        {"7.1.4 text after close", "X:%03e8 T:Hello", "close:1000:"},
        {"7.1.5 close in mid-message", "t:one X:%03e8 C:two", "close:1000:"},
        {"7.3.1 empty", "X:", "close:1005:"},
        {"7.3.2 one byte", "X:%03", "fail:1002:close frame length 1"},
        {"7.3.3 code", "X:%03e8", "close:1000:"},
        {"7.3.4 code and reason", "X:%03e8446f6e65", "close:1000:Done"},
        {"7.5.1 reason is not UTF-8", "X:%03e8cebae1bdb9f4908080",
         "fail:1007:invalid UTF-8 in close reason"},
        {"reason ends in a character", "X:%03e8ceba61ce",
         "fail:1007:invalid UTF-8 in close reason"},
        {"second close", "X:%03e9 X:%03e8", "close:1001:"},
        {"rules do not matter any more", "X:%03e8 K3:", "close:1000:"},
    };
    char frames[300];

    for (size_t i = 0; i < COUNT(cases); i++)
        script_plain(cases[i].name, cases[i].frames, cases[i].events);
    close_with_reason(frames, sizeof frames, 123);
    script_plain("7.3.5 123 bytes of reason", frames, "close:1000:(123)");
    script_plain("7.3.6 124 bytes of reason", "X:#126", "fail:1002:control frame length > 125");
}

static void codes(void)
{
    static const unsigned valid[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
                                     1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999};
    static const unsigned invalid[] = {0,    1,    999,  1004, 1005, 1006, 1015,
                                       1016, 1100, 2000, 2999, 5000, 65535};
    char frames[64], events[64];

    for (size_t i = 0; i < COUNT(valid); i++) {
        snprintf(frames, sizeof frames, "X:%%%04x", valid[i]);
        snprintf(events, sizeof events, "close:%u:", valid[i]);
        script_plain("7.7 valid code", frames, events);
        TAP_IS(ws_close_code_is_valid(valid[i]));
    }
    for (size_t i = 0; i < COUNT(invalid); i++) {
        snprintf(frames, sizeof frames, "X:%%%04x", invalid[i]);
        snprintf(events, sizeof events, "fail:1002:invalid close code %u", invalid[i]);
        script_plain("7.9 invalid code", frames, events);
        TAP_IS(!ws_close_code_is_valid(invalid[i]));
    }
    TAP_IS(!ws_close_code_is_valid(70000));
}

static void echoes_the_code(void)
{
    struct ws_event ev = {.kind = WS_EVENT_CLOSE, .code = 4000, .payload = span_str("bye")};
    struct buf out = BUF_INIT(100);
    struct ws_enc enc;

    ws_enc_init(&enc, WS_SERVER, 0);
    TAP_IS(ws_enc_close_echo(&enc, &out, &ev) == 0);
    TAP_IS(span_equal(buf_span(&out), span_of("\x88\x02\x0f\xa0", 4)));
    buf_reset(&out);
    ev.code = WS_CLOSE_NO_STATUS;
    TAP_IS(ws_enc_close_echo(&enc, &out, &ev) == 0);
    TAP_IS(span_equal(buf_span(&out), span_of("\x88\x00", 2)));
    buf_done(&out);
}

static void writes_what_may_travel(void)
{
    struct buf out = BUF_INIT(1000);
    struct ws_enc enc;
    char reason[200];

    ws_enc_init(&enc, WS_SERVER, 0);
    TAP_IS(ws_enc_close(&enc, &out, WS_CLOSE_ABNORMAL, span_str("")) == WSPR_EINVAL);
    TAP_IS(ws_enc_close(&enc, &out, 1015, span_str("")) == WSPR_EINVAL);
    TAP_IS(ws_enc_close(&enc, &out, 0, span_str("")) == WSPR_EINVAL && out.len == 0);
    TAP_IS(ws_enc_close(&enc, &out, WS_CLOSE_PROTOCOL, span_str("no")) == 0);
    TAP_IS(span_equal(buf_span(&out), span_of("\x88\x04\x03\xea"
                                              "no",
                                              6)));
    buf_reset(&out);
    memset(reason, 'x', sizeof reason);
    TAP_IS(ws_enc_close(&enc, &out, WS_CLOSE_NORMAL, span_of(reason, 123)) == 0 && out.len == 127);
    buf_reset(&out);
    /* A character of two bytes across the limit is left out. */
    memcpy(reason + 122, "\xc3\xa9", 2);
    TAP_IS(ws_enc_close(&enc, &out, WS_CLOSE_NORMAL, span_of(reason, 150)) == 0 && out.len == 126);
    buf_reset(&out);
    memcpy(reason + 120, "\xf0\x9f\xa7\xbf", 4);
    TAP_IS(ws_enc_close(&enc, &out, WS_CLOSE_NORMAL, span_of(reason, 124)) == 0 && out.len == 124);
    buf_done(&out);
}

static const struct tap_case cases[] = {
    {"payloads", payloads},
    {"codes", codes},
    {"echoes the code", echoes_the_code},
    {"writes what may travel", writes_what_may_travel},
};

const struct tap_suite ws_close_suite = TAP_SUITE("close", cases);

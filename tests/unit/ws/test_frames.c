/*
 * Framing, pings, reserved bits, opcodes and fragmentation: the families 1 to 5 of the catalogue
 * that WebSocket implementations are judged by, plus the texts of the reference.
 */
#include "config.h"

#include "script.h"
#include "ws_tests.h"

struct frame_case {
    const char *name, *frames, *events;
};

static void run(const struct frame_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        script_plain(cases[i].name, cases[i].frames, cases[i].events);
}

static const struct frame_case framing[] = {
    {"1.1.1 empty text", "T:", "text:"},
    {"1.1.2 125 bytes", "T:#125", "text:(125)"},
    {"1.1.3 126 bytes", "T:#126", "text:(126)"},
    {"1.1.4 127 bytes", "T:#127", "text:(127)"},
    {"1.1.5 128 bytes", "T:#128", "text:(128)"},
    {"1.1.6 65535 bytes", "T:#65535", "text:(65535)"},
    {"1.1.7 65536 bytes", "T:#65536", "text:(65536)"},
    {"1.2.1 empty binary", "B:", "binary:"},
    {"1.2.2 125 bytes", "B:#125", "binary:(125)"},
    {"1.2.3 126 bytes", "B:#126", "binary:(126)"},
    {"1.2.4 127 bytes", "B:#127", "binary:(127)"},
    {"1.2.5 128 bytes", "B:#128", "binary:(128)"},
    {"1.2.6 65535 bytes", "B:#65535", "binary:(65535)"},
    {"1.2.7 65536 bytes", "B:#65536", "binary:(65536)"},
    {"two in a row", "T:one T:two", "text:one text:two"},
    {"cut header", "T:a H:%81", "text:a more"},
    {"nothing", "", ""},
};

static void framing_cases(void)
{
    run(framing, COUNT(framing));
}

static const struct frame_case pings[] = {
    {"2.1 without payload", "P:", "ping:"},
    {"2.2 text payload", "P:Hello", "ping:Hello"},
    {"2.3 binary payload", "P:%fffefdfcfbfafff8", "ping:\xff\xfe\xfd\xfc\xfb\xfa\xff\xf8"},
    {"2.4 125 bytes", "P:#125", "ping:(125)"},
    {"2.5 126 bytes", "P:#126", "fail:1002:control frame length > 125"},
    {"2.7 unsolicited pong", "O:", "pong:"},
    {"2.8 with payload", "O:payload", "pong:payload"},
    {"2.9 pong, then ping", "O:payload P:ping", "pong:payload ping:ping"},
    {"2.10 several pings", "P:0 P:1 P:2 P:3 P:4", "ping:0 ping:1 ping:2 ping:3 ping:4"},
    {"pong too long", "O:#126", "fail:1002:control frame length > 125"},
    {"close too long", "X:#126", "fail:1002:control frame length > 125"},
    {"ping of 64 bit length", "P:#65536", "fail:1002:control frame length > 125"},
};

static void ping_cases(void)
{
    run(pings, COUNT(pings));
}

static const struct frame_case reserved[] = {
    {"3.1 RSV 1", "T/1:Hello", "fail:1002:unexpected reserved bits 1"},
    {"3.2 RSV 2 after a message",
     "T:Hello T/2:Hello P:", "text:Hello fail:1002:unexpected reserved bits 2"},
    {"3.3 RSV 3", "T:Hello T/3:Hello P:", "text:Hello fail:1002:unexpected reserved bits 3"},
    {"3.4 RSV 4", "T:Hello T/4:Hello P:", "text:Hello fail:1002:unexpected reserved bits 4"},
    {"3.5 RSV 5, binary", "B/5:Hello", "fail:1002:unexpected reserved bits 5"},
    {"3.6 RSV 6, ping", "P/6:Hello", "fail:1002:unexpected reserved bits 6"},
    {"3.7 RSV 7, close", "X/7:%03e8", "fail:1002:unexpected reserved bits 7"},
    {"RSV before opcode", "K3/1:", "fail:1002:unexpected reserved bits 1"},
    {"RSV before mask", "T/1!:", "fail:1002:unexpected reserved bits 1"},
};

static void reserved_cases(void)
{
    run(reserved, COUNT(reserved));
}

static void opcode_cases(void)
{
    static const int unknown[] = {3, 4, 5, 6, 7, 11, 12, 13, 14, 15};

    for (size_t i = 0; i < COUNT(unknown); i++) {
        char frames[64], events[64];

        snprintf(frames, sizeof frames, "T:Hello K%x: P:", (unsigned)unknown[i]);
        snprintf(events, sizeof events, "text:Hello fail:1002:unknown opcode %d", unknown[i]);
        script_plain("4.1 and 4.2 unknown opcode", frames, events);
        snprintf(frames, sizeof frames, "k%x:payload", (unsigned)unknown[i]);
        script_plain("4.1 and 4.2 unknown opcode, not final", frames, events + 11);
    }
}

static const struct frame_case fragments[] = {
    {"5.1 ping in fragments", "p:one C:two", "fail:1002:control frame not final"},
    {"5.2 pong in fragments", "o:one C:two", "fail:1002:control frame not final"},
    {"close in fragments", "x:%03e8 C:", "fail:1002:control frame not final"},
    {"length before FIN", "p:#126", "fail:1002:control frame length > 125"},
    {"5.3 text in two", "t:one C:two", "text:onetwo"},
    {"5.6 ping between", "t:one P:ping C:two", "ping:ping text:onetwo"},
    {"5.9 binary in two", "b:one C:two", "binary:onetwo"},
    {"5.9 continuation first", "C:one T:two", "fail:1002:continuation after final message frame"},
    {"5.12 not final either", "c:one T:two", "fail:1002:continuation after final message frame"},
    {"5.15 continuation after the end", "t:one C:two c:three T:four",
     "text:onetwo fail:1002:continuation after final message frame"},
    {"5.18 text in text", "t:one T:two", "fail:1002:message start before final message frame"},
    {"binary in text", "t:one b:two", "fail:1002:message start before final message frame"},
    {"5.19 pings between five", "t:1 c:2 P:p c:3 c:4 P:q C:5", "ping:p ping:q text:12345"},
    {"pong and empty ping between", "t:1 O: P: C:2", "pong: ping: text:12"},
    {"6.1.2 all fragments empty", "t: c: C:", "text:"},
    {"6.1.3 the middle one is not", "t: c:middle C:", "text:middle"},
    {"first empty", "t: C:end", "text:end"},
    {"last empty", "t:start C:", "text:start"},
    {"control in mid-message keeps its own bytes", "t:aaaa P:bbbb c:cccc O:dddd C:eeee T:f",
     "ping:bbbb pong:dddd text:aaaacccceeee text:f"},
    {"close between", "t:one X:%03e8 C:two", "close:1000:"},
    {"message that never ends", "t:one c:two", "more"},
    {"longer ones", "t:#70000 c:#5 C:#126", "text:(70131)"},
};

static void fragment_cases(void)
{
    run(fragments, COUNT(fragments));
}

static const struct frame_case masks[] = {
    {"data", "T!:Hello", "fail:1002:incorrect mask flag"},
    {"ping", "P!:", "fail:1002:incorrect mask flag"},
    {"close", "X!:%03e8", "fail:1002:incorrect mask flag"},
    {"second frame", "T:a T!:b", "text:a fail:1002:incorrect mask flag"},
    {"opcode before mask", "K3!:", "fail:1002:unknown opcode 3"},
    {"state before mask", "C!:", "fail:1002:continuation after final message frame"},
};

static void mask_cases(void)
{
    run(masks, COUNT(masks));
}

/* The length is read behind the mask bit, which differs by role: raw frames for a client only. */
static void length_cases(void)
{
    static const struct frame_case lengths[] = {
        {"125 in 16 bits", "H:%827e007d", "fail:1002:frame length not minimal"},
        {"0 in 16 bits", "H:%827e0000", "fail:1002:frame length not minimal"},
        {"65535 in 64 bits", "H:%827f000000000000ffff", "fail:1002:frame length not minimal"},
        {"5 in 64 bits", "H:%827f0000000000000005", "fail:1002:frame length not minimal"},
        {"bit 63", "H:%827f8000000000000000", "fail:1002:frame length > 63 bits"},
        {"all bits", "H:%827fffffffffffffffff", "fail:1002:frame length > 63 bits"},
        {"63 bits", "H:%827f7fffffffffffffff", "fail:1009:message too big"},
        {"126 in 16 bits", "H:%827e007e", "more"},
        {"65536 in 64 bits", "H:%827f0000000000010000", "more"},
    };
    struct ws_dec_options opt = {.role = WS_CLIENT};

    for (size_t i = 0; i < COUNT(lengths); i++) {
        for (size_t piece = 0; piece < 3; piece++) {
            struct buf input = BUF_INIT(100), events = BUF_INIT(1000);

            script_build(&input, WS_CLIENT, lengths[i].frames);
            script_run(&opt, buf_span(&input), piece, piece, &events);
            TAP_OK(strcmp(buf_cstr(&events), lengths[i].events) == 0, "%s: %s", lengths[i].name,
                   buf_cstr(&events));
            buf_done(&input);
            buf_done(&events);
        }
    }
}

static void whole_frames_are_not_copied(void)
{
    struct ws_dec_options opt = {.role = WS_SERVER};
    struct buf input = BUF_INIT(1 << 20);
    struct ws_event ev;
    struct ws_dec d;
    size_t used;

    script_build(&input, WS_SERVER, "T:#300 P:ping");
    ws_dec_init(&d, &opt);
    TAP_IS(ws_dec_next(&d, buf_data(&input), input.len, &used, &ev) == 1);
    TAP_IS(used == 308 && ev.payload.p == buf_data(&input) + 8 && ev.payload.len == 300);
    TAP_IS(ws_dec_held(&d) == 0);
    TAP_IS(ws_dec_next(&d, buf_data(&input) + used, input.len - used, &used, &ev) == 1);
    TAP_IS(ev.kind == WS_EVENT_PING && ev.payload.p == buf_data(&input) + 314);
    TAP_IS(!ws_dec_is_busy(&d));
    ws_dec_done(&d);
    buf_done(&input);
}

static void pieces_come_as_they_arrive(void)
{
    struct ws_dec_options opt = {.role = WS_SERVER, .stream = true};
    struct buf input = BUF_INIT(1 << 20);
    struct ws_event ev;
    struct ws_dec d;
    size_t used;

    script_build(&input, WS_SERVER, "t:abcdef C:");
    ws_dec_init(&d, &opt);
    TAP_IS(ws_dec_next(&d, buf_data(&input), 9, &used, &ev) == 1 && used == 9);
    TAP_IS(ev.first && !ev.last && span_equal_str(ev.payload, "abc"));
    TAP_IS(ws_dec_next(&d, buf_data(&input) + 9, input.len - 9, &used, &ev) == 1 && used == 3);
    TAP_IS(!ev.first && !ev.last && span_equal_str(ev.payload, "def"));
    TAP_IS(ws_dec_next(&d, buf_data(&input) + 12, input.len - 12, &used, &ev) == 1);
    TAP_IS(!ev.first && ev.last && ev.payload.len == 0 && ev.opcode == WS_OP_TEXT);
    TAP_IS(ws_dec_held(&d) == 0);
    ws_dec_done(&d);
    buf_done(&input);
}

static const struct tap_case cases[] = {
    {"framing", framing_cases},
    {"pings and pongs", ping_cases},
    {"reserved bits", reserved_cases},
    {"opcodes", opcode_cases},
    {"fragmentation", fragment_cases},
    {"mask flag", mask_cases},
    {"length forms", length_cases},
    {"whole frames are not copied", whole_frames_are_not_copied},
    {"pieces come as they arrive", pieces_come_as_they_arrive},
};

const struct tap_suite ws_frames_suite = TAP_SUITE("frames", cases);

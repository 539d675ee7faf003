/* UTF-8 in text messages: family 6 of the catalogue, with the strict option and without. */
#include "config.h"

#include "base/hex.h"
#include "script.h"
#include "ws_tests.h"

static const struct ws_dec_options strict = {.role = WS_SERVER, .strict = true};

#define BAD "fail:1007:invalid UTF-8 in text message"

static const struct {
    const char *hex;
    bool valid;
} texts[] = {
    {"20", true},
    {"48656c6c6f2dc2b540c39fc3b6c3a4c3bcc3a0c3a12d5554462d382121", true}, /* 6.2 */
    {"cebae1bdb9cf83cebcceb5", true},                                     /* 6.5 */
    {"01", true}, /* 6.6 first of each length */
    {"c280", true},
    {"e0a080", true},
    {"f0908080", true},
    {"f888808080", false},
    {"fc8480808080", false},
    {"7f", true}, /* 6.7 last of each length */
    {"dfbf", true},
    {"efbfbf", true},
    {"f7bfbfbf", false},
    {"fbbfbfbfbf", false},
    {"fdbfbfbfbfbf", false},
    {"f48fbfbf", true}, /* 6.9 boundaries */
    {"f4908080", false},
    {"ed9fbf", true},
    {"ee8080", true},
    {"efbfbd", true},
    {"80", false}, /* 6.10 to 6.12 stray continuation bytes */
    {"bf", false},
    {"80bf80bf80bf", false},
    {"c0c1", false},
    {"c020c120", false}, /* 6.13 lonely first bytes */
    {"e020e120", false},
    {"f020f120", false},
    {"c0", false}, /* 6.14 last byte missing */
    {"e080", false},
    {"f08080", false},
    {"df", false},
    {"efbf", false},
    {"f7bfbf", false},
    {"fe", false}, /* 6.16 impossible bytes */
    {"ff", false},
    {"c0af", false}, /* 6.17 to 6.19 overlong */
    {"e080af", false},
    {"f08080af", false},
    {"c1bf", false},
    {"e09fbf", false},
    {"f08fbfbf", false},
    {"c080", false},
    {"eda080", false}, /* 6.20, 6.21 surrogates */
    {"edbfbf", false},
    {"eda080edb080", false},
    {"efbfbe", true}, /* 6.22 noncharacters are valid */
    {"f09fbfbe", true},
    {"cebae1bdb9cf83cebcceb5eda080656469746564", false}, /* 6.3 */
};

/* The events of a valid text are its bytes. */
static void expect_text(struct buf *events, const char *hex)
{
    buf_append_str(events, "text:");
    TAP_IS(hex_decode(events, hex, strlen(hex)) == 0);
}

static void single_frames(void)
{
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct buf events = BUF_INIT(1000);
        char frames[200];

        if (texts[i].valid)
            expect_text(&events, texts[i].hex);
        else
            buf_append_str(&events, BAD);
        snprintf(frames, sizeof frames, "T:%%%s", texts[i].hex);
        script_check(texts[i].hex, frames, buf_cstr(&events), &strict);
        buf_done(&events);
    }
}

/* Each byte in a frame of its own. */
static void fragments(void)
{
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct buf frames = BUF_INIT(1000), input = BUF_INIT(1000), events = BUF_INIT(1000);
        size_t n = strlen(texts[i].hex) / 2;

        for (size_t k = 0; k < n; k++)
            buf_printf(&frames, "%c:%%%.2s ", k == 0 ? 't' : 'c', texts[i].hex + 2 * k);
        buf_append_str(&frames, n > 0 ? "C:" : "T:");
        script_build(&input, WS_SERVER, buf_cstr(&frames));
        script_run(&strict, buf_span(&input), 0, 0, &events);
        TAP_OK((strcmp(buf_cstr(&events), BAD) == 0) == !texts[i].valid, "%s: %s", texts[i].hex,
               buf_cstr(&events));
        buf_done(&frames);
        buf_done(&input);
        buf_done(&events);
    }
}

static void more_strict_cases(void)
{
    script_check("6.3.2 inside a fragment", "t:%cebae1 C:%bdb9", "text:\xce\xba\xe1\xbd\xb9",
                 &strict);
    script_check("ping between the bytes of a character", "t:%e1 P:p c:%bd C:%b9",
                 "ping:p text:\xe1\xbd\xb9", &strict);
    script_check("ends inside a character", "t:%ce C:", BAD, &strict);
    script_check("a new message starts afresh", "T:a T:%bd", "text:a " BAD, &strict);
    script_check("binary is not checked", "B:%ff", "binary:\xff", &strict);
    script_check("continued binary is not checked", "b:%ff C:%fe", "binary:\xff\xfe", &strict);
}

/* 6.4: fails at the first bad byte, before the frame or the message has ended. */
static void fails_fast(void)
{
    struct buf input = BUF_INIT(1000), events = BUF_INIT(1000);

    script_build(&input, WS_SERVER, "T:%cebae1bdb9cf83cebcceb5f490808065646974656400");
    script_run(&strict, span_of(buf_data(&input), 6 + 13), 0, 0, &events);
    TAP_IS(strcmp(buf_cstr(&events), BAD) == 0);
    buf_reset(&events);
    script_run(&strict, span_of(buf_data(&input), 6 + 12), 0, 0, &events);
    TAP_IS(strcmp(buf_cstr(&events), "more") == 0);
    buf_done(&input);
    buf_done(&events);
}

static void is_not_checked_by_default(void)
{
    script_plain("bad text", "T:%eda080ff", "text:\xed\xa0\x80\xff");
    script_plain("bad text in fragments", "t:%ce C:%ce", "text:\xce\xce");
}

static const struct tap_case cases[] = {
    {"single frames", single_frames},
    {"a frame for each byte", fragments},
    {"further cases", more_strict_cases},
    {"fails fast", fails_fast},
    {"is not checked by default", is_not_checked_by_default},
};

const struct tap_suite ws_text_suite = TAP_SUITE("text", cases);

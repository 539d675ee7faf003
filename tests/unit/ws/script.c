#include "config.h"
#include "script.h"

#include <ctype.h>

#include "base/hex.h"
#include "tap.h"

#define SCRIPT_MAX   (40u << 20)
#define CUTS_MAX     600   /* a longer input is not cut at each byte */
#define BYTEWISE_MAX 70000 /* nor fed byte by byte */
#define SHOWN_MAX    64

static const uint8_t script_key[4] = {0x37, 0xfa, 0x21, 0x3d};

static void append_frame(struct buf *out, uint8_t first, bool masked, struct span payload)
{
    uint8_t bit = masked ? 0x80 : 0;

    buf_u8(out, first);
    if (payload.len < 126) {
        buf_u8(out, (uint8_t)(bit | payload.len));
    } else if (payload.len < 65536) {
        buf_u8(out, bit | 126);
        buf_u16(out, (uint16_t)payload.len);
    } else {
        buf_u8(out, bit | 127);
        buf_u64(out, payload.len);
    }
    if (masked)
        buf_append(out, script_key, 4);
    for (size_t i = 0; i < payload.len; i++)
        buf_u8(out, masked ? payload.p[i] ^ script_key[i % 4] : payload.p[i]);
}

static void parse_payload(struct buf *payload, const char *text, size_t len)
{
    if (len > 0 && text[0] == '%') {
        TAP_IS(hex_decode(payload, text + 1, len - 1) == 0);
    } else if (len > 0 && text[0] == '#') {
        size_t n = strtoul(text + 1, NULL, 10);
        uint8_t *room = buf_reserve(payload, n);

        memset(room, '*', n);
        buf_commit(payload, n);
    } else {
        buf_append(payload, text, len);
    }
}

static uint8_t opcode_of(char letter)
{
    switch (toupper((unsigned char)letter)) {
    case 'T':
        return 1;
    case 'B':
        return 2;
    case 'X':
        return 8;
    case 'P':
        return 9;
    case 'O':
        return 10;
    }
    return 0;
}

void script_build(struct buf *out, enum ws_role role, const char *frames)
{
    struct buf payload = BUF_INIT(SCRIPT_MAX);

    while (*frames != '\0') {
        const char *end = frames + strcspn(frames, " ");
        const char *colon = frames + strcspn(frames, ":");
        uint8_t first = opcode_of(*frames);
        bool masked = role == WS_SERVER;

        if (isupper((unsigned char)*frames))
            first |= 0x80;
        for (const char *mark = frames + 1; mark < colon; mark++) {
            if (*mark == '!')
                masked = !masked;
            else if (*mark == '/')
                first = (uint8_t)(first | (*++mark - '0') << 4);
            else
                first = (uint8_t)(first | hex_digit(*mark));
        }
        buf_reset(&payload);
        parse_payload(&payload, colon + 1, (size_t)(end - colon - 1));
        if (*frames == 'H')
            buf_append_span(out, buf_span(&payload));
        else
            append_frame(out, first, masked, buf_span(&payload));
        frames = *end == ' ' ? end + 1 : end;
    }
    buf_done(&payload);
}

/* Shows a payload, or its length if it is long, and whether it is the one that scripts make. */
static void show(struct buf *events, struct span s)
{
    if (s.len <= SHOWN_MAX) {
        buf_append_span(events, s);
        return;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] != '*') {
            buf_append_str(events, "(corrupt)");
            return;
        }
    }
    buf_printf(events, "(%zu)", s.len);
}

static void show_event(struct buf *events, struct buf *message, const struct ws_event *ev)
{
    switch (ev->kind) {
    case WS_EVENT_DATA:
        if (ev->first)
            buf_reset(message);
        buf_append_span(message, ev->payload);
        if (!ev->last)
            return;
        buf_append_str(events, ev->opcode == WS_OP_TEXT ? "text:" : "binary:");
        show(events, buf_span(message));
        break;
    case WS_EVENT_PING:
        buf_append_str(events, "ping:");
        show(events, ev->payload);
        break;
    case WS_EVENT_PONG:
        buf_append_str(events, "pong:");
        show(events, ev->payload);
        break;
    case WS_EVENT_CLOSE:
        buf_printf(events, "close:%u:", ev->code);
        show(events, ev->payload);
        break;
    }
    buf_u8(events, ' ');
}

/* Feeds one piece from memory of its exact size. */
static int feed(struct ws_dec *d, struct span piece, struct buf *message, struct buf *events)
{
    uint8_t *copy = malloc(piece.len), *p = copy;
    size_t left = piece.len, used;
    struct ws_event ev;
    int r = 0;

    memcpy(copy, piece.p, piece.len);
    while (left > 0 && r >= 0) {
        r = ws_dec_next(d, p, left, &used, &ev);
        TAP_IS(used <= left && (used > 0 || r < 0));
        p += used;
        left -= used;
        if (r == 0)
            TAP_IS(left == 0);
        if (r > 0)
            show_event(events, message, &ev);
    }
    free(copy);
    return r;
}

void script_run(const struct ws_dec_options *opt, struct span input, size_t first, size_t rest,
                struct buf *events)
{
    struct buf message = BUF_INIT(SCRIPT_MAX);
    struct ws_dec d;
    size_t n = first;
    int r = 0;

    ws_dec_init(&d, opt);
    for (size_t at = 0; at < input.len && r >= 0; at += n, n = rest) {
        if (n == 0 || n > input.len - at)
            n = input.len - at;
        r = feed(&d, span_of(input.p + at, n), &message, events);
    }
    if (r < 0) {
        uint8_t more[] = {0x81, 0};
        struct ws_event ev;
        size_t used;

        buf_printf(events, "fail:%u:%s ", d.close_code, d.close_reason);
        TAP_IS(ws_dec_next(&d, more, sizeof more, &used, &ev) == r && used == sizeof more);
    } else if (ws_dec_is_busy(&d) && !d.closed) {
        buf_append_str(events, "more ");
    }
    if (events->len > 0)
        buf_truncate(events, events->len - 1);
    ws_dec_done(&d);
    buf_done(&message);
}

static void check_one(const char *name, const struct ws_dec_options *opt, struct span input,
                      size_t first, size_t rest, const char *expect)
{
    struct buf events = BUF_INIT(SCRIPT_MAX);
    const char *got;

    script_run(opt, input, first, rest, &events);
    got = buf_cstr(&events);
    if (strcmp(got, expect) != 0)
        TAP_OK(0, "%s (%s%s, %zu then %zu bytes): got %s, not %s", name,
               opt->role == WS_SERVER ? "server" : "client", opt->stream ? ", streamed" : "", first,
               rest, got, expect);
    buf_done(&events);
}

void script_check(const char *name, const char *frames, const char *expect,
                  const struct ws_dec_options *opt)
{
    TAP_OK(strlen(name) > 0, "%s", name);
    for (int way = 0; way < 4; way++) {
        struct ws_dec_options o = *opt;
        struct buf input = BUF_INIT(SCRIPT_MAX);

        o.role = way & 1 ? WS_CLIENT : WS_SERVER;
        o.stream = (way & 2) != 0;
        script_build(&input, o.role, frames);
        check_one(name, &o, buf_span(&input), 0, 0, expect);
        if (input.len <= BYTEWISE_MAX)
            check_one(name, &o, buf_span(&input), 1, 1, expect);
        else
            check_one(name, &o, buf_span(&input), 997, 4099, expect);
        for (size_t cut = 1; input.len <= CUTS_MAX && cut < input.len; cut++)
            check_one(name, &o, buf_span(&input), cut, 0, expect);
        buf_done(&input);
    }
}

void script_plain(const char *name, const char *frames, const char *expect)
{
    struct ws_dec_options opt = {.role = WS_SERVER};

    script_check(name, frames, expect, &opt);
}

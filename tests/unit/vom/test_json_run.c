/*
 * Numbers in lists have a short way. Nobody may notice: what it makes is held against the general
 * way. Into VOM that is the same text with form feeds for blanks, which the short way does not
 * know; from VOM it is the same value as a tree.
 */
#include "config.h"

#include <math.h>
#include <stdlib.h>

#include "json_cases.h"
#include "notation.h"
#include "vom/dec.h"
#include "vom/enc.h"
#include "vom/json_in.h"
#include "vom/json_out.h"

static const char *const types[] = {
    "interface",
    "slice of (interface)",
    "slice of (float64)",
    "slice of (float32)",
    "slice of (int32)",
    "array[4] of (interface)",
    "array[3] of (float64)",
    "slice of (string)",
    "slice of (slice of (interface))",
    "slice of (named \"x/y.F\" float64)",
    "slice of (named \"x/y.error\" interface)",
};

static const char *const elements[] = {
    "0",
    "-0",
    "1",
    "-1",
    "007",
    "-0.0",
    "0.5",
    "1.50",
    "-12.345",
    "9007199254740991",
    "9007199254740992",
    "9007199254740993",
    "-9007199254740995",
    "999999999999999",
    "1000000000000000",
    "9999999999999999999",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999",
    "0.1234567890123456789",
    "0.12345678901234567890123456789",
    "00000000000000000000000000001",
    "4503599627370497.5",
    "1e21",
    "1E+21",
    "1e-7",
    "2.5e3",
    "1e400",
    "-1e400",
    "1.",
    ".5",
    "-",
    "--1",
    "+1",
    "1e",
    "0x10",
    "1.2.3",
    "12a",
    "true",
    "false",
    "null",
    "\"s\"",
    "\"1\"",
    "\"\\n\"",
    "[]",
    "[1, 2, 3]",
    "[1, [2, 3, 4], 5]",
    "{}",
    "{\"a\": 1, \"b\": [1, 2]}",
    "",
    "[1, 2",
    "]",
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A list most elements of which are numbers that are fit for the short way. */
static void make_list(struct buf *text, uint64_t *state)
{
    unsigned n = (unsigned)(next_random(state) % 12);
    unsigned odd =
        (unsigned)(next_random(state) % 6); /* one of so many elements is another; 0: none */

    buf_u8(text, '[');
    for (unsigned i = 0; i < n; i++) {
        uint64_t v = next_random(state);

        buf_append_str(text, i == 0 ? "" : v % 16 == 0 ? " , " : v % 8 == 0 ? ",  " : ", ");
        if (odd > 0 && next_random(state) % (odd * odd) == 0)
            buf_append_str(text, elements[v / 16 % (sizeof elements / sizeof elements[0])]);
        else if (v % 3 == 0)
            buf_printf(text, "%d.%u", (int)(v >> 40) - (1 << 23), (unsigned)(v >> 8) % 100000);
        else
            buf_printf(text, "%lld", (long long)(int64_t)v >> (v % 60));
    }
    buf_append_str(text, odd == 5 ? ", ]" : "]");
}

struct outcome {
    int code;
    struct buf bytes;
    struct err err;
};

static void convert(struct outcome *ret, const struct vom_type *t, struct span text, size_t max)
{
    struct arena scratch = ARENA_INIT(1 << 20);
    struct vom_enc enc;

    ret->bytes = BUF_INIT(max);
    ret->err = ERR_INIT;
    vom_enc_init(&enc);
    ret->code = vom_json_encode(&enc, &ret->bytes, t, text, &scratch, &ret->err);
    vom_enc_done(&enc);
    arena_done(&scratch);
}

static void outcome_done(struct outcome *o)
{
    buf_done(&o->bytes);
    err_done(&o->err);
}

/* Errors say what was wrong before they show the text, in which blanks are blanks. */
static size_t error_len(const struct outcome *o)
{
    const char *text = err_text(&o->err), *shown = strstr(text, " (JSON was ");

    return shown != NULL ? (size_t)(shown - text) : strlen(text);
}

static bool compare(const struct vom_type *t, struct span text, struct span other, size_t max)
{
    struct outcome a, b;
    bool done;

    convert(&a, t, text, max);
    convert(&b, t, other, max);
    TAP_OK(a.code == b.code && span_equal(buf_span(&a.bytes), buf_span(&b.bytes)),
           "%.*s: %d with %zu bytes, but %d with %zu", SPAN_ARG(text), a.code, a.bytes.len, b.code,
           b.bytes.len);
    TAP_OK(error_len(&a) == error_len(&b) &&
               memcmp(err_text(&a.err), err_text(&b.err), error_len(&a)) == 0,
           "%.*s: %s, but %s", SPAN_ARG(text), err_text(&a.err), err_text(&b.err));
    done = a.code == VOM_JSON_DONE;
    outcome_done(&a);
    outcome_done(&b);
    return done;
}

/* The text with form feeds for its blanks; then without them. */
static void set_blanks(struct buf *feeds, struct buf *none, struct span text)
{
    buf_reset(feeds);
    buf_reset(none);
    for (size_t i = 0; i < text.len; i++) {
        buf_u8(feeds, text.p[i] == ' ' ? '\f' : text.p[i]);
        if (text.p[i] != ' ')
            buf_u8(none, text.p[i]);
    }
}

static void numbers_go_in_alike(void)
{
    struct buf text = BUF_INIT(1 << 16), feeds = BUF_INIT(1 << 16), none = BUF_INIT(1 << 16);
    struct arena a = NOTATION_ARENA;
    uint64_t state = 88172645463325252u;
    unsigned done = 0, all = 0;

    for (unsigned round = 0; round < 600; round++) {
        const struct vom_type *t = notation_type(
            &a, types[round % 3 == 0 ? round / 3 % (sizeof types / sizeof types[0]) : round % 3]);
        struct span whole;

        buf_reset(&text);
        make_list(&text, &state);
        whole = buf_span(&text);
        set_blanks(&feeds, &none, whole);
        done += compare(t, whole, buf_span(&feeds), 1 << 16);
        compare(t, buf_span(&none), buf_span(&feeds), 1 << 16);
        all++;
        for (size_t cut = 0; round % 4 == 0 && cut < whole.len; cut++)
            compare(t, span_of(whole.p, cut), span_of(buf_data(&feeds), cut), 1 << 16);
    }
    tap_note("%u lists, %u of them converted", all, done);
    TAP_IS(done > all / 4 && done < all);
    arena_done(&a);
    buf_done(&text);
    buf_done(&feeds);
    buf_done(&none);
}

/* More than one piece of room, and no room for the last elements. */
static void long_lists_and_limits(void)
{
    struct buf text = BUF_INIT(1 << 16), feeds = BUF_INIT(1 << 16), none = BUF_INIT(1 << 16);

    buf_u8(&text, '[');
    for (int i = 0; i < 700; i++)
        buf_printf(&text, "%s%d.%d", i > 0 ? ", " : "", i * 7919 % 1000, i % 10);
    buf_u8(&text, ']');
    set_blanks(&feeds, &none, buf_span(&text));
    for (size_t max = 0; max < 8000; max += max < 40 || max > 4000 ? 1 : 61)
        compare(&vom_type_any, buf_span(&text), buf_span(&feeds), max);
    TAP_IS(compare(&vom_type_any, buf_span(&text), buf_span(&feeds), 8000));
    buf_done(&text);
    buf_done(&feeds);
    buf_done(&none);
}

/* Nesting is bounded at the same depth. */
static void depth_is_bounded(void)
{
    struct buf text = BUF_INIT(1 << 16), feeds = BUF_INIT(1 << 16), none = BUF_INIT(1 << 16);
    unsigned done = 0;

    for (unsigned depth = VOM_DEPTH_MAX / 2 - 3; depth < VOM_DEPTH_MAX / 2 + 3; depth++) {
        buf_reset(&text);
        for (unsigned i = 0; i < depth; i++)
            buf_u8(&text, '[');
        buf_append_str(&text, "1, 2, 3");
        for (unsigned i = 0; i < depth; i++)
            buf_u8(&text, ']');
        set_blanks(&feeds, &none, buf_span(&text));
        done += compare(&vom_type_any, buf_span(&text), buf_span(&feeds), 1 << 16);
        done += compare(&vom_type_any_list, buf_span(&text), buf_span(&feeds), 1 << 16);
    }
    TAP_OK(done > 0 && done < 12, "%u converted", done);
    buf_done(&text);
    buf_done(&feeds);
    buf_done(&none);
}

static double random_double(uint64_t *state)
{
    static const double edges[] = {0,      -0.0,     1e21,     1e6,  999999,   -1e6,
                                   0.0001, 1e-5,     5e-324,   1e15, 999999.5, 9007199254740992,
                                   NAN,    INFINITY, -INFINITY};
    uint64_t v = next_random(state);
    double ret;

    switch (v % 5) {
    case 0:
        return edges[v / 8 % (sizeof edges / sizeof edges[0])];
    case 1:
        memcpy(&ret, &v, sizeof ret);
        return ret;
    case 2:
        return (double)(v >> 11) / 9007199254740992.0;
    case 3:
        return (double)(v >> 8 & 0xfffff) / 1000;
    default:
        return (double)(int64_t)(v >> 40);
    }
}

/* Doubles, and here and there another thing, or a double that has a name. */
static struct vom_value make_value(struct arena *a, const struct vom_type *t, uint64_t *state)
{
    static const struct vom_type named = VOM_TYPE_NAMED(VOM_KIND_FLOAT64, "x/y.F");
    size_t n = next_random(state) % 12;
    struct vom_value list;

    TAP_IS(vom_value_new_list(a, t, n, &list) == 0);
    for (size_t i = 0; i < n; i++) {
        struct vom_value v = vom_value_float(&vom_type_float64, random_double(state)), any;
        uint64_t kind = next_random(state) % 16;

        if (t->elem->kind != VOM_KIND_ANY) {
            vom_value_set(&list, i, v);
            continue;
        }
        if (kind == 0)
            continue; /* nil */
        if (kind == 1)
            v = vom_value_str("s");
        else if (kind == 2)
            v = vom_value_int(&vom_type_int, -1);
        else if (kind == 3)
            v = vom_value_float(&named, 1.5);
        else if (kind == 4)
            v = vom_value_float(&vom_type_float32, 0.25);
        TAP_IS(vom_value_new_to(a, t->elem, v, &any) == 0);
        vom_value_set(&list, i, any);
    }
    return list;
}

/* The text of a blob that is cut, or more is told to be in it, by so many bytes. */
static int print_message(struct span blob, int more, unsigned flags, struct buf *out)
{
    struct vom_dec dec;
    struct vom_msg msg;
    int r;

    vom_dec_init(&dec, NULL);
    r = (int)vom_dec_next(&dec, blob.p, blob.len, &msg, NULL);
    TAP_IS(r == (int)blob.len);
    if (r > 0 && (more >= 0 || msg.body.len >= (size_t)-more)) {
        msg.body.len = (size_t)((ssize_t)msg.body.len + more);
        r = vom_json_write_msg(out, &dec, &msg, flags, NULL);
    } else {
        r = WSPR_ETRUNC;
    }
    vom_dec_done(&dec);
    return r;
}

static void check_out(const struct vom_value *v, unsigned flags)
{
    struct buf want = BUF_INIT(1 << 16), blob = BUF_INIT(1 << 16);

    TAP_IS(vom_json_write_value(&want, v, flags, NULL) == 0);
    TAP_IS(vom_encode(&blob, v, NULL) == 0);
    for (size_t max = 0; max <= want.len; max += max + 40 < want.len ? 7 : 1) {
        struct buf out = BUF_INIT(max);
        int r = print_message(buf_span(&blob), 0, flags, &out);

        if (max < want.len)
            TAP_OK(r == WSPR_ELIMIT && out.len == 0, "%d with %zu of %zu bytes", r, max, want.len);
        else
            TAP_OK(r == 0 && span_equal(buf_span(&out), buf_span(&want)), "%.*s, not %.*s",
                   SPAN_ARG(buf_span(&out)), SPAN_ARG(buf_span(&want)));
        buf_done(&out);
    }
    for (int cut = 1; cut < 12; cut++) {
        struct buf out = BUF_INIT(1 << 16);

        TAP_IS(print_message(buf_span(&blob), -cut, flags, &out) == WSPR_ETRUNC && out.len == 0);
        buf_done(&out);
    }
    buf_done(&want);
    buf_done(&blob);
}

static void numbers_come_out_alike(void)
{
    static const char *const lists[] = {"slice of (interface)", "slice of (float64)"};
    uint64_t state = 362436069u;

    for (unsigned round = 0; round < 300; round++) {
        struct arena a = NOTATION_ARENA;
        const struct vom_type *t = notation_type(&a, lists[round % 2]);
        struct vom_value v = make_value(&a, t, &state);

        check_out(&v, round % 4 < 2 ? 0 : VOM_JSON_REFERENCE);
        arena_done(&a);
    }
}

const struct tap_case vom_json_run_cases[VOM_JSON_RUN_CASES] = {
    {"numbers go in alike", numbers_go_in_alike},
    {"long lists and limits", long_lists_and_limits},
    {"depth is bounded", depth_is_bounded},
    {"numbers come out alike", numbers_come_out_alike},
};

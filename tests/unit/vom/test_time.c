#include "config.h"
#include "notation.h"
#include "suites.h"
#include "vom/enc.h"
#include "vom/wiretypes.h"

static void recorded_times(void)
{
    /* Those of the vectors: UTC, +0530, -0800, the default. */
    static const struct {
        const char *hex;
        struct vom_time t;
    } rows[] = {
        {"010000000ecb6ccf80075bcd15ffff", {1406851200, 123456789, -1}},
        {"010000000ecb6bd96800000000014a", {1406788200, 0, 330}},
        {"010000000ecb6c974000000005fe20", {1406836800, 5, -480}},
        {"01000000000000000000000000ffff", {VOM_TIME_YEAR_1, 0, -1}},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf hex = vec_hex(rows[i].hex);
        struct vom_time t = {0};
        uint8_t out[VOM_TIME_LEN];

        TAP_IS(vom_time_get(buf_span(&hex), &t, NULL) == 0);
        TAP_OK(t.sec == rows[i].t.sec && t.nsec == rows[i].t.nsec &&
                   t.zone_min == rows[i].t.zone_min,
               "%s: %lld %d %d", rows[i].hex, (long long)t.sec, t.nsec, t.zone_min);
        vom_time_put(out, &rows[i].t);
        TAP_IS(span_equal(span_of(out, sizeof out), buf_span(&hex)));
        buf_done(&hex);
    }
}

static void bad_times(void)
{
    static const struct {
        const char *hex, *text;
    } rows[] = {
        {"", "Time.UnmarshalBinary: no data"},
        {"02", "Time.UnmarshalBinary: unsupported version"},
        {"01", "Time.UnmarshalBinary: invalid length"},
        {"010000000ecb6ccf80075bcd15ffff00", "Time.UnmarshalBinary: invalid length"},
        {"010000000ecb6ccf803b9aca00ffff", "Time.UnmarshalBinary: invalid nanoseconds"},
        {"010000000ecb6ccf80ffffffffffff", "Time.UnmarshalBinary: invalid nanoseconds"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf hex = vec_hex(rows[i].hex);
        struct vom_time t = {.sec = 5};
        struct err e = ERR_INIT;

        TAP_IS(vom_time_get(buf_span(&hex), &t, &e) == WSPR_EPROTO);
        TAP_IS(strcmp(err_text(&e), rows[i].text) == 0 && t.sec == 5);
        err_done(&e);
        buf_done(&hex);
    }
}

static void errors_as_values(void)
{
    struct arena a = NOTATION_ARENA;
    struct vom_value v, time;
    struct span id, msg;

    TAP_IS(vom_verror_new(&a, span_str("veyron2/verror.NotFound"), span_str("nope"), &v) == 0);
    TAP_IS(vom_value_new_to(&a, &vom_type_verror_standard_ptr, v, &v) == 0);
    TAP_IS(vom_value_new_to(&a, &vom_type_error, v, &v) == 0);
    TAP_IS(vom_verror_get(&v, &id, &msg) == 1);
    TAP_IS(span_equal_str(id, "veyron2/verror.NotFound") && span_equal_str(msg, "nope"));
    v = vom_value_zero(&vom_type_verror_e);
    TAP_IS(vom_verror_get(&v, &id, &msg) == 0);
    v = vom_value_str("nope");
    TAP_IS(vom_verror_get(&v, &id, &msg) == WSPR_ETYPE);
    v = vom_value_zero(notation_type(&a, "named \"veyron2/verror.Standard\" struct {ID int}"));
    TAP_IS(vom_verror_get(&v, &id, &msg) == WSPR_ETYPE);
    v = vom_value_zero(&vom_type_verror_standard);
    TAP_IS(vom_verror_get(&v, &id, &msg) == 1 && id.len == 0 && msg.len == 0);
    TAP_IS(vom_time_new(&a, 0, 0, &time) == 0 && time.type == &vom_type_time);
    TAP_IS(!vom_value_is_zero(&time));
    TAP_IS(vom_time_new(&a, VOM_TIME_YEAR_1, 0, &time) == 0 && vom_value_is_zero(&time));
    arena_done(&a);
}

const struct tap_case vom_time_cases[VOM_TIME_CASES] = {
    {"recorded times", recorded_times},
    {"bad times", bad_times},
    {"errors as values", errors_as_values},
};

#include "config.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json/number.h"
#include "suites.h"

static void format_is(double v, const char *want)
{
    char text[JSON_NUMBER_SIZE];
    size_t n = json_number_format_double(text, v);

    TAP_OK(n == strlen(want) && strcmp(text, want) == 0, "%.17g: %s, not %s", v, text, want);
}

static void doubles_print_shortest(void)
{
    static const struct {
        double v;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-0.0, "-0"},
        {42, "42"},
        {-42, "-42"},
        {0.1, "0.1"},
        {999999, "999999"},
        {999999.5, "999999.5"},
        {1e6, "1e+06"},
        {1000001, "1.000001e+06"},
        {1234567, "1.234567e+06"},
        {123456789, "1.23456789e+08"},
        {0.0001, "0.0001"},
        {0.00012, "0.00012"},
        {0.00001, "1e-05"},
        {1.5e-7, "1.5e-07"},
        {12345.678, "12345.678"},
        {1e21, "1e+21"},
        {1e100, "1e+100"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {1e-323, "1e-323"},
        {0.1f, "0.10000000149011612"},
        {123456789012345678.0, "1.2345678901234568e+17"},
        {9007199254740993.0, "9.007199254740992e+15"},
        /* Powers of two whose shortest form is not the nearest decimal of that length. */
        {0x1p-44, "5.684341886080802e-14"},
        {0x1p-1022, "2.2250738585072014e-308"},
        {9.5367431640625e-07, "9.5367431640625e-07"},
        {0x1p-24, "5.960464477539063e-08"},
        {0x1p+122, "5.316911983139664e+36"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        format_is(rows[i].v, rows[i].text);
    format_is(NAN, "NaN");
    format_is(INFINITY, "+Inf");
    format_is(-INFINITY, "-Inf");
}

/* Any bits: what is printed reads back, and no text with a digit less does. */
static void doubles_read_back(void)
{
    uint64_t x = 0x9e3779b97f4a7c15u;

    for (int i = 0; i < 20000; i++) {
        char text[JSON_NUMBER_SIZE], shorter[64];
        double v, w = 0;
        int digits = 0;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(&v, &x, sizeof v);
        if (i % 4 == 1)
            v = (double)(x % 2000000) / 1000;
        else if (i % 4 == 2)
            v = ldexp(1, (int)(x % 2098) - 1074);
        if (!isfinite(v))
            continue;
        json_number_format_double(text, v);
        TAP_OK(json_number_parse_double(span_str(text), &w) == JSON_PARSED &&
                   memcmp(&v, &w, sizeof v) == 0,
               "%a: %s", v, text);
        for (const char *p = text; *p != '\0' && *p != 'e'; p++)
            digits += *p >= '0' && *p <= '9' && (digits > 0 || *p != '0');
        if (digits < 2 || strchr(text, 'e') == NULL)
            continue;
        snprintf(shorter, sizeof shorter, "%.*e", digits - 2, v);
        TAP_OK(json_number_parse_double(span_str(shorter), &w) == JSON_PARSED ? w != v : true,
               "%s is shorter than %s", shorter, text);
    }
}

static void floats_print_shorter(void)
{
    static const struct {
        float v;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-0.0f, "-0"},
        {1.5f, "1.5"},
        {0.1f, "0.1"},
        {-3.4f, "-3.4"},
        {16777216, "1.6777216e+07"},
        {1e6f, "1e+06"},
        {123456.7f, "123456.7"},
        {1e-5f, "1e-05"},
        {FLT_MAX, "3.4028235e+38"},
        {FLT_MIN, "1.1754944e-38"},
        {0x1p-149f, "1e-45"},
    };
    char text[JSON_NUMBER_SIZE];
    uint32_t x = 0x9e3779b9u;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_number_format_float(text, rows[i].v);
        TAP_OK(strcmp(text, rows[i].text) == 0, "%a: %s, not %s", rows[i].v, text, rows[i].text);
    }
    for (int i = 0; i < 20000; i++) {
        double w = 0;
        float v;

        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        memcpy(&v, &x, sizeof v);
        if (i % 4 == 2)
            v = ldexpf(1, (int)(x % 277) - 149);
        if (!isfinite(v))
            continue;
        json_number_format_float(text, v);
        TAP_OK(json_number_parse_float(span_str(text), &w) == JSON_PARSED && (float)w == v,
               "%a: %s", v, text);
    }
}

static void integers(void)
{
    static const struct {
        const char *text;
        enum json_parsed r;
        int64_t v;
    } rows[] = {
        {"0", JSON_PARSED, 0},
        {"-0", JSON_PARSED, 0},
        {"+5", JSON_PARSED, 5},
        {"007", JSON_PARSED, 7},
        {"9223372036854775807", JSON_PARSED, INT64_MAX},
        {"-9223372036854775808", JSON_PARSED, INT64_MIN},
        {"9223372036854775808", JSON_OUT_OF_RANGE, 0},
        {"-9223372036854775809", JSON_OUT_OF_RANGE, 0},
        {"99999999999999999999999", JSON_OUT_OF_RANGE, 0},
        {"", JSON_BAD_SYNTAX, 0},
        {"-", JSON_BAD_SYNTAX, 0},
        {" 5", JSON_BAD_SYNTAX, 0},
        {"5 ", JSON_BAD_SYNTAX, 0},
        {"1.0", JSON_BAD_SYNTAX, 0},
        {"1e2", JSON_BAD_SYNTAX, 0},
        {"0x10", JSON_BAD_SYNTAX, 0},
        {"--5", JSON_BAD_SYNTAX, 0},
    };
    char text[JSON_NUMBER_SIZE];
    uint64_t u;
    int64_t v;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        v = 0;
        TAP_OK(json_number_parse_int(span_str(rows[i].text), INT64_MIN, INT64_MAX, &v) ==
                       rows[i].r &&
                   v == rows[i].v,
               "%s", rows[i].text);
    }
    TAP_IS(json_number_parse_int(span_str("128"), -128, 127, &v) == JSON_OUT_OF_RANGE);
    TAP_IS(json_number_parse_int(span_str("-129"), -128, 127, &v) == JSON_OUT_OF_RANGE);
    TAP_IS(json_number_parse_int(span_str("-128"), -128, 127, &v) == JSON_PARSED && v == -128);
    TAP_IS(json_number_parse_int(span_str("5"), 6, 7, &v) == JSON_OUT_OF_RANGE);
    TAP_IS(json_number_parse_uint(span_str("18446744073709551615"), UINT64_MAX, &u) ==
               JSON_PARSED &&
           u == UINT64_MAX);
    TAP_IS(json_number_parse_uint(span_str("18446744073709551616"), UINT64_MAX, &u) ==
           JSON_OUT_OF_RANGE);
    TAP_IS(json_number_parse_uint(span_str("255"), 255, &u) == JSON_PARSED && u == 255);
    TAP_IS(json_number_parse_uint(span_str("256"), 255, &u) == JSON_OUT_OF_RANGE);
    TAP_IS(json_number_parse_uint(span_str("8"), 7, &u) == JSON_OUT_OF_RANGE);
    TAP_IS(json_number_parse_uint(span_str("-1"), 255, &u) == JSON_BAD_SYNTAX);
    TAP_IS(json_number_parse_uint(span_str("+1"), 255, &u) == JSON_BAD_SYNTAX);
    TAP_IS(json_number_parse_uint(span_str("2001.5"), 255, &u) == JSON_OUT_OF_RANGE);
    TAP_IS(json_number_parse_uint(span_str("200.5"), 255, &u) == JSON_BAD_SYNTAX);
    TAP_IS(json_number_parse_int(span_str("200.5"), -128, 127, &v) == JSON_BAD_SYNTAX);
    TAP_IS(json_number_parse_int(span_str("256.5"), -128, 127, &v) == JSON_OUT_OF_RANGE);
    TAP_IS(json_number_format_int(text, INT64_MIN) == 20 &&
           strcmp(text, "-9223372036854775808") == 0);
    TAP_IS(json_number_format_uint(text, UINT64_MAX) == 20 &&
           strcmp(text, "18446744073709551615") == 0);
    TAP_IS(json_number_format_uint(text, 0) == 1 && strcmp(text, "0") == 0);
}

/* The value halfway between two doubles, with a long tail that decides. */
static void doubles_are_rounded_once(void)
{
    char text[2000] = "9007199254740993";
    size_t n = strlen(text);
    double v, w;

    TAP_IS(json_number_parse_double(span_str(text), &v) == JSON_PARSED && v == 0x1p53);
    text[n++] = '.';
    memset(text + n, '0', 1500);
    n += 1500;
    TAP_IS(json_number_parse_double(span_of(text, n), &v) == JSON_PARSED && v == 0x1p53);
    text[n++] = '1';
    TAP_IS(json_number_parse_double(span_of(text, n), &v) == JSON_PARSED && v == 0x1p53 + 2);
    memset(text, '1', 1000);
    TAP_IS(json_number_parse_double(span_of(text, 1000), &v) == JSON_OUT_OF_RANGE);
    memcpy(text + 1000, "e-1000", 6);
    TAP_IS(json_number_parse_double(span_of(text, 1006), &v) == JSON_PARSED);
    TAP_IS(json_number_parse_double(span_str("0.1111111111111111111111"), &w) == JSON_PARSED &&
           v == w);
    TAP_IS(json_number_parse_double(span_str("1e-99999999999999999999"), &v) == JSON_PARSED &&
           v == 0);
    TAP_IS(json_number_parse_double(span_str("0e99999999999999999999"), &v) == JSON_PARSED &&
           v == 0);
    TAP_IS(json_number_parse_double(span_str("-0.0"), &v) == JSON_PARSED && v == 0 && signbit(v));
    TAP_IS(json_number_parse_double(span_str("1e309"), &v) == JSON_OUT_OF_RANGE);
    TAP_IS(json_number_parse_float(span_str("3.5e38"), &v) == JSON_OUT_OF_RANGE);
    TAP_IS(json_number_parse_float(span_str("0.1"), &v) == JSON_PARSED && v == (double)0.1f);
    /* Rounding to double first would give the neighbour. */
    TAP_IS(json_number_parse_float(span_str("1.000000178813934326171875000001"), &v) ==
               JSON_PARSED &&
           v == 0x1.000004p0);
    TAP_IS(json_number_parse_double(span_str("1."), &v) == JSON_PARSED);
    TAP_IS(json_number_parse_double(span_str("."), &v) == JSON_BAD_SYNTAX);
    TAP_IS(json_number_parse_double(span_str("1e"), &v) == JSON_BAD_SYNTAX);
    TAP_IS(json_number_parse_double(span_str("0x10"), &v) == JSON_BAD_SYNTAX);
    TAP_IS(json_number_parse_double(span_str("nan"), &v) == JSON_BAD_SYNTAX);
    TAP_IS(json_number_parse_double(span_str(" 1"), &v) == JSON_BAD_SYNTAX);
    TAP_IS(json_number_parse_double(span_str("1,5"), &v) == JSON_BAD_SYNTAX);
}

/* A locale with a decimal comma changes nothing (it runs where such a locale is installed). */
static void locale_does_not_matter(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"};
    double v = 0;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (setlocale(LC_ALL, names[i]) != NULL) {
            tap_note("locale %s", names[i]);
            break;
        }
    }
    format_is(1.5e-9, "1.5e-09");
    format_is(0.3, "0.3");
    TAP_IS(json_number_parse_double(span_str("1.2345678901234567e-30"), &v) == JSON_PARSED &&
           v == 1.2345678901234567e-30);
    setlocale(LC_ALL, "C");
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* No fewer digits than those that are printed read back, and these are the nearest ones. */
static void check_fewest(double v)
{
    char text[JSON_NUMBER_SIZE], want[64];
    int digits = 1;
    size_t n = json_number_format_double(text, v);
    const char *e;

    do
        snprintf(want, sizeof want, "%.*e", digits - 1, v);
    while (strtod(want, NULL) != v && digits++ < 17);
    TAP_OK(text[n] == '\0' && strtod(text, NULL) == v, "%.17g: %s", v, text);
    e = strchr(text, 'e');
    if (e != NULL) /* laid out as printf does it, but for the plain form */
        TAP_OK(strcmp(text, want) == 0, "%.17g: %s, not %s", v, text, want);
    else
        TAP_OK(strtod(text, NULL) == strtod(want, NULL) && n <= (size_t)digits + 6,
               "%.17g: %s, not %s", v, text, want);
}

static void long_fractions_print_shortest(void)
{
    uint64_t state = 123456789;

    for (int i = 0; i < 20000; i++) {
        uint64_t r = next_random(&state);
        double v = ldexp((double)(r >> 11), (int)(r % 72) - 75);

        check_fewest(v);
        check_fewest((double)(r >> 11) / 9007199254740992.0);
    }
    for (int e = -7; e < 17; e++) {
        double up = pow(10, e), down = up;

        for (int i = 0; i < 40; i++) {
            check_fewest(up);
            check_fewest(down);
            up = nextafter(up, INFINITY);
            down = nextafter(down, 0);
        }
    }
}

static void check_nearest(const char *text)
{
    double v = 0, want = strtod(text, NULL);

    TAP_OK(json_number_parse_double(span_str(text), &v) == JSON_PARSED && v == want,
           "%s: %.17g, not %.17g", text, v, want);
}

/* Also those that lie between two doubles. */
static void long_fractions_read_nearest(void)
{
    uint64_t state = 987654321;
    double v;

    for (int i = 0; i < 20000; i++) {
        uint64_t r = next_random(&state);
        int point = (int)(r % 20);
        char text[64];

        snprintf(text, sizeof text, "%019llu", (unsigned long long)(r % 10000000000000000000u));
        memmove(text + point + 1, text + point, sizeof text - 1 - (size_t)point);
        text[point] = '.';
        check_nearest(text);
        /* 53 bits and one more, which say a half. */
        snprintf(text, sizeof text, "%llu.5", (unsigned long long)(r >> 12 | UINT64_C(1) << 52));
        check_nearest(text);
        snprintf(text, sizeof text, "%llu.25", (unsigned long long)(r >> 13 | UINT64_C(1) << 51));
        check_nearest(text);
        snprintf(text, sizeof text, "%llu.75000",
                 (unsigned long long)(r >> 13 | UINT64_C(1) << 51));
        check_nearest(text);
    }
    TAP_IS(json_number_scale(0, 22, &v) && v == 0);
    TAP_IS(json_number_scale(UINT64_MAX, 0, &v) && v == 18446744073709551616.0);
    TAP_IS(!json_number_scale(1, 23, &v));
}

const struct tap_case json_number_cases[JSON_NUMBER_CASES] = {
    {"doubles print with the fewest digits", doubles_print_shortest},
    {"doubles read back", doubles_read_back},
    {"floats print shorter", floats_print_shorter},
    {"integers", integers},
    {"doubles are rounded once", doubles_are_rounded_once},
    {"the locale does not matter", locale_does_not_matter},
    {"long fractions print shortest", long_fractions_print_shortest},
    {"long fractions read nearest", long_fractions_read_nearest},
};

/*
 * The C library converts between doubles and digits exactly; this file adds what it lacks: the
 * shortest digits, texts without a NUL, and independence of the locale (strtod_l with the "C"
 * locale, which the library keeps ready; of a printed number only the digits are used).
 */
#include "config.h"
#include "json/number.h"

#include <float.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_PLAIN_MIN   -4
#define NUMBER_PLAIN_MAX   5
#define NUMBER_DIGITS      17  /* enough for any double */
#define NUMBER_DIGITS_F    9   /* enough for any single-precision number */
#define NUMBER_DIGITS_IN   800 /* more digits than these cannot change which double is nearest */
#define NUMBER_EXP_MAX     100000
#define NUMBER_EXACT_EXP   22 /* powers of ten up to this one are doubles */
#define NUMBER_EXACT_DIGS  15 /* so are integers of this many digits */
#define NUMBER_MOST_DIGS   19 /* integers of so many fit into 64 bits */
#define NUMBER_EXACT_MAX   1e15
#define NUMBER_EXACT_MIN   1e-5    /* times 10^20 it is more than that */
#define NUMBER_EXACT_ERROR 0x1p-51 /* more than two roundings can make */
#define NUMBER_MANT_DIGS   53      /* bits of a double */

/* A number as 0.d1d2d3… × 10^point. */
struct number_digits {
    char d[NUMBER_DIGITS + NUMBER_PLAIN_MAX + 1]; /* as many may be copied */
    int n;
    int point;
};

static size_t number_print_uint(char *out, uint64_t v);

/* "e" and the exponent. */
static void number_put_exp(char *out, long exp)
{
    *out++ = 'e';
    if (exp < 0)
        *out++ = '-';
    number_print_uint(out, exp < 0 ? -(uint64_t)exp : (uint64_t)exp);
}

/* Reads text as a double, or as a single-precision number. */
static double number_from_text(const char *text, bool single)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    double v = single ? (double)strtof_l(text, NULL, c) : strtod_l(text, NULL, c);

    freelocale(c);
    return v;
}

static double number_from_digits(const struct number_digits *n, bool single)
{
    char text[NUMBER_DIGITS + 24];

    memcpy(text, n->d, (size_t)n->n);
    number_put_exp(text + n->n, n->point - n->n);
    return number_from_text(text, single);
}

/* v > 0 rounded to so many digits. */
static void number_round(struct number_digits *ret, double v, int digits)
{
    char text[64];
    const char *p = text, *e;
    bool negative;
    int exp = 0;

    snprintf(text, sizeof text, "%.*e", digits - 1, v);
    e = strchr(text, 'e');
    ret->n = 0;
    for (; p < e; p++) { /* the decimal point may be any character */
        if (*p >= '0' && *p <= '9' && ret->n < digits)
            ret->d[ret->n++] = *p;
    }
    negative = e[1] == '-';
    for (p = e + 2; *p != '\0'; p++)
        exp = exp * 10 + (*p - '0');
    ret->point = (negative ? -exp : exp) + 1;
}

/* The next larger number of as many digits. */
static void number_increment(struct number_digits *n)
{
    int i = n->n - 1;

    while (i >= 0 && n->d[i] == '9')
        n->d[i--] = '0';
    if (i >= 0) {
        n->d[i]++;
    } else {
        n->d[0] = '1';
        n->point++;
    }
}

/* Powers of ten that are 64-bit integers. */
static const uint64_t number_int_tens[NUMBER_MOST_DIGS + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,
    1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
};

/* How many digits, from the number of bits: 1233 / 4096 is a little more than log 2. */
static unsigned number_width(uint64_t v)
{
    unsigned n = (64 - (unsigned)__builtin_clzll(v | 1)) * 1233 >> 12;

    return n + (v >= number_int_tens[n]);
}

static size_t number_print_uint(char *out, uint64_t v)
{
    size_t n = v == 0 ? 1 : number_width(v);
    char *o = out + n;

    *o = '\0';
    for (; v >= 100; v /= 100) {
        unsigned two = (unsigned)(v % 100);

        *--o = (char)('0' + two % 10);
        *--o = (char)('0' + two / 10);
    }
    *--o = (char)('0' + v % 10);
    if (v >= 10)
        *--o = (char)('0' + v / 10);
    return n;
}

/* Powers of ten that are doubles. */
static const double number_tens[NUMBER_EXACT_EXP + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

/*
 * Finds the at most 15 digits that read back as v, if there are such; v must be such that their
 * power of ten is a double. An integer divided by that is rounded once, as reading the digits would
 * be, and no two such decimals read as the same double.
 */
static bool number_shortest_exact(struct number_digits *ret, double v)
{
    for (int exp = 0; exp <= NUMBER_EXACT_EXP; exp++) {
        double scaled = v * number_tens[exp];
        int64_t digits;

        if (scaled >= NUMBER_EXACT_MAX)
            break;
        digits = (int64_t)(scaled + 0.5);
        if (fabs(scaled - (double)digits) > scaled * NUMBER_EXACT_ERROR) /* spares a division */
            continue;
        if ((double)digits / number_tens[exp] != v)
            continue;
        ret->n = (int)number_print_uint(ret->d, (uint64_t)digits);
        ret->point = ret->n - exp;
        return true;
    }
    return false;
}

#ifdef __SIZEOF_INT128__

/* 10^n, n up to NUMBER_EXACT_EXP: of less than 74 bits. */
static unsigned __int128 number_ten(int n)
{
    int more = n > NUMBER_MOST_DIGS ? n - NUMBER_MOST_DIGS : 0;

    return (unsigned __int128)number_int_tens[n - more] * number_int_tens[more];
}

/* The double nearest to n / 2^shift, n having more bits than a double; some: n is a bit more. */
static double number_to_double(unsigned __int128 n, int shift, bool some)
{
    uint64_t high = (uint64_t)(n >> 64);
    int bits = high != 0 ? 128 - __builtin_clzll(high) : 64 - __builtin_clzll((uint64_t)n);
    int drop = bits - NUMBER_MANT_DIGS;
    uint64_t v = (uint64_t)(n >> drop);
    unsigned __int128 rest = n - ((unsigned __int128)v << drop);
    unsigned __int128 half = (unsigned __int128)1 << (drop - 1);

    if (rest > half || (rest == half && (some || (v & 1) != 0)))
        v++;
    return ldexp((double)v, drop - shift);
}

/* The double nearest to v / 10^exp; the quotient has 54 bits at least. */
static bool number_divide(uint64_t v, int exp, double *ret)
{
    int shift;
    unsigned __int128 n, ten, quotient;

    if (v == 0) {
        *ret = 0;
        return true;
    }
    shift = 64 + __builtin_clzll(v);
    n = (unsigned __int128)v << shift;
    ten = number_ten(exp);
    quotient = n / ten;
    *ret = number_to_double(quotient, shift, quotient * ten != n);
    return true;
}

static bool number_reads_as(uint64_t digits, int exp, double v)
{
    double back;

    number_divide(digits, exp, &back);
    return back == v;
}

/* v × 10^exp, which must be less than 10^18, as the nearest integer; half is rounded to even. */
static uint64_t number_times(double v, int exp)
{
    int two;
    uint64_t mant = (uint64_t)ldexp(frexp(v, &two), NUMBER_MANT_DIGS);
    int drop = NUMBER_MANT_DIGS - two;
    unsigned __int128 n = mant * number_ten(exp), rest, half = (unsigned __int128)1 << (drop - 1);
    uint64_t ret = (uint64_t)(n >> drop);

    rest = n - ((unsigned __int128)ret << drop);
    return ret + (rest > half || (rest == half && (ret & 1) != 0));
}

/* Multiplies by the largest power of ten that leaves it below the limit. */
static uint64_t number_times_most(double v, uint64_t limit, int *exp)
{
    uint64_t n = number_times(v, *exp), more;

    for (; n >= limit; n = number_times(v, --*exp))
        ;
    for (; (more = number_times(v, *exp + 1)) < limit; n = more)
        ++*exp;
    return n;
}

/*
 * What number_shortest_from finds with 16 and 17 digits, for v whose products with powers of ten
 * are exact in 128 bits: a mantissa and 10^22 have 127.
 */
static bool number_shortest_wide(struct number_digits *ret, double v)
{
    int unused, exp = 1;
    bool power = frexp(v, &unused) == 0.5;
    uint64_t digits;

    while (exp < NUMBER_EXACT_EXP - 2 && v * number_tens[exp] < NUMBER_EXACT_MAX)
        exp++;
    digits = number_times_most(v, UINT64_C(10000000000000000), &exp);
    if (!number_reads_as(digits, exp, v) && !(power && number_reads_as(++digits, exp, v)))
        digits = number_times_most(v, UINT64_C(100000000000000000), &exp);
    ret->n = (int)number_print_uint(ret->d, digits);
    ret->point = ret->n - exp;
    return true;
}

#else

static bool number_divide(uint64_t v, int exp, double *ret)
{
    return false;
}

static bool number_shortest_wide(struct number_digits *ret, double v)
{
    return false;
}

#endif

/*
 * Tries n digits, and more. The nearest decimal of n digits is the one to try; only at a power of
 * two, where the next number below is nearer than the one above, may that one fail and its
 * neighbour above succeed.
 */
static void number_shortest_from(struct number_digits *ret, double v, int n, bool single)
{
    int unused, most = single ? NUMBER_DIGITS_F : NUMBER_DIGITS;
    bool power = frexp(v, &unused) == 0.5;

    for (; n < most; n++) {
        number_round(ret, v, n);
        if (number_from_digits(ret, single) == v)
            return;
        if (power) {
            number_increment(ret);
            if (number_from_digits(ret, single) == v)
                return;
        }
    }
    number_round(ret, v, most);
}

/* The fewest digits that read back as v > 0. */
static void number_shortest(struct number_digits *ret, double v, bool single)
{
    bool exact = FLT_EVAL_METHOD == 0 && v >= NUMBER_EXACT_MIN && v < NUMBER_EXACT_MAX;

    if (single || !exact)
        number_shortest_from(ret, v, single || v < DBL_MIN ? 1 : NUMBER_EXACT_DIGS, single);
    else if (!number_shortest_exact(ret, v) && !number_shortest_wide(ret, v))
        number_shortest_from(ret, v, NUMBER_EXACT_DIGS + 1, false);
    while (ret->n > 1 && ret->d[ret->n - 1] == '0')
        ret->n--;
}

/* Copies more than is needed, since a copy of fixed length is quick: NUMBER_PLAIN_… bound it. */
static size_t number_print_plain(char *out, const struct number_digits *n)
{
    char *o = out;

    if (n->point <= 0) {
        memcpy(o, "0.000", 5);
        memcpy(o + 2 - n->point, n->d, NUMBER_DIGITS);
        return (size_t)(2 - n->point + n->n);
    }
    memcpy(o, n->d, NUMBER_PLAIN_MAX + 1);
    if (n->n > n->point) {
        o[n->point] = '.';
        memcpy(o + n->point + 1, n->d + n->point, NUMBER_DIGITS);
        return (size_t)n->n + 1;
    }
    for (int i = n->n; i < n->point; i++)
        o[i] = '0';
    return (size_t)n->point;
}

static size_t number_print_exp(char *out, const struct number_digits *n)
{
    int exp = n->point - 1;
    char *o = out;

    *o++ = n->d[0];
    if (n->n > 1) {
        *o++ = '.';
        memcpy(o, n->d + 1, (size_t)n->n - 1);
        o += n->n - 1;
    }
    *o++ = 'e';
    *o++ = exp < 0 ? '-' : '+';
    exp = abs(exp);
    if (exp >= 100)
        *o++ = (char)('0' + exp / 100);
    *o++ = (char)('0' + exp / 10 % 10);
    *o++ = (char)('0' + exp % 10);
    return (size_t)(o - out);
}

static size_t number_format(char out[JSON_NUMBER_SIZE], double v, bool single)
{
    struct number_digits n;
    size_t len = 0;

    if (isnan(v)) {
        memcpy(out, "NaN", 4);
        return 3;
    }
    if (isinf(v)) {
        memcpy(out, v > 0 ? "+Inf" : "-Inf", 5);
        return 4;
    }
    if (signbit(v)) {
        out[len++] = '-';
        v = -v;
    }
    if (v < 1e6 && v == (double)(int)v) { /* the usual case */
        len += number_print_uint(out + len, (uint64_t)v);
        return len;
    }
    number_shortest(&n, v, single);
    if (n.point - 1 >= NUMBER_PLAIN_MIN && n.point - 1 <= NUMBER_PLAIN_MAX)
        len += number_print_plain(out + len, &n);
    else
        len += number_print_exp(out + len, &n);
    out[len] = '\0';
    return len;
}

size_t json_number_format_double(char out[JSON_NUMBER_SIZE], double v)
{
    return number_format(out, v, false);
}

size_t json_number_format_float(char out[JSON_NUMBER_SIZE], double v)
{
    return number_format(out, (float)v, true);
}

size_t json_number_format_uint(char out[JSON_NUMBER_SIZE], uint64_t v)
{
    return number_print_uint(out, v);
}

size_t json_number_format_int(char out[JSON_NUMBER_SIZE], int64_t v)
{
    if (v >= 0)
        return number_print_uint(out, (uint64_t)v);
    out[0] = '-';
    return 1 + number_print_uint(out + 1, -(uint64_t)v);
}

enum json_parsed json_number_parse_uint(struct span s, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;

    if (s.len == 0)
        return JSON_BAD_SYNTAX;
    for (size_t i = 0; i < s.len; i++) {
        unsigned d = (unsigned)s.p[i] - '0';

        if (d > 9)
            return JSON_BAD_SYNTAX;
        if (d > max || v > (max - d) / 10)
            return JSON_OUT_OF_RANGE;
        v = v * 10 + d;
    }
    *ret = v;
    return JSON_PARSED;
}

enum json_parsed json_number_parse_int(struct span s, int64_t min, int64_t max, int64_t *ret)
{
    bool negative = s.len > 0 && s.p[0] == '-';
    /* All that an unsigned number of the same width holds: what comes first, range or syntax, then
     * is as in the reference. */
    uint64_t most = max > 0 ? 2 * (uint64_t)max + 1 : UINT64_MAX, v;
    enum json_parsed r;
    int64_t n;

    if (negative || (s.len > 0 && s.p[0] == '+'))
        s = span_of(s.p + 1, s.len - 1);
    r = json_number_parse_uint(s, most, &v);
    if (r != JSON_PARSED)
        return r;
    if (v > (uint64_t)INT64_MAX + negative)
        return JSON_OUT_OF_RANGE;
    n = (int64_t)(negative ? 0 - v : v);
    if (n < min || n > max)
        return JSON_OUT_OF_RANGE;
    *ret = n;
    return JSON_PARSED;
}

/* Decimal text brought to a form of bounded length: digits × 10^exp. */
struct number_parts {
    bool negative;
    char digits[NUMBER_DIGITS_IN + 2]; /* one more stands for all that were dropped */
    int n;
    long exp;
};

static void number_add_digit(struct number_parts *ret, char c, bool fraction)
{
    if (ret->n == 0 && c == '0') {
        ret->exp -= fraction;
    } else if (ret->n < NUMBER_DIGITS_IN) {
        ret->digits[ret->n++] = c;
        ret->exp -= fraction;
    } else {
        ret->exp += !fraction;
        if (c != '0') {
            ret->digits[NUMBER_DIGITS_IN] = '1';
            ret->n = NUMBER_DIGITS_IN + 1;
        }
    }
}

static bool number_split_exp(struct number_parts *ret, struct span s)
{
    bool negative = s.len > 0 && s.p[0] == '-';
    size_t i = s.len > 0 && (s.p[0] == '-' || s.p[0] == '+');
    long exp = 0;

    if (i == s.len)
        return false;
    for (; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        if (exp < LONG_MAX / 100)
            exp = exp * 10 + (s.p[i] - '0');
    }
    ret->exp += negative ? -exp : exp;
    return true;
}

static bool number_split(struct number_parts *ret, struct span s)
{
    bool fraction = false, some = false;
    size_t i = 0;

    ret->negative = false;
    ret->n = 0;
    ret->exp = 0;
    if (s.len > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
        ret->negative = s.p[0] == '-';
        i++;
    }
    for (; i < s.len; i++) {
        char c = (char)s.p[i];

        if (c >= '0' && c <= '9') {
            number_add_digit(ret, c, fraction);
            some = true;
        } else if (c == '.' && !fraction) {
            fraction = true;
        } else {
            break;
        }
    }
    if (!some)
        return false;
    if (i == s.len)
        return true;
    return (s.p[i] | 0x20) == 'e' && number_split_exp(ret, span_of(s.p + i + 1, s.len - i - 1));
}

bool json_number_scale(uint64_t digits, unsigned fraction, double *ret)
{
    if (fraction > NUMBER_EXACT_EXP)
        return false;
    if (FLT_EVAL_METHOD != 0 || digits > UINT64_C(1) << NUMBER_MANT_DIGS)
        return number_divide(digits, (int)fraction, ret);
    *ret = (double)digits / number_tens[fraction];
    return true;
}

/* Few digits and a small power of ten: one exact operation. */
static bool number_join_exact(const struct number_parts *p, double *ret)
{
    uint64_t v = 0;

    if (FLT_EVAL_METHOD != 0 || p->n > NUMBER_MOST_DIGS || p->exp < -NUMBER_EXACT_EXP ||
        p->exp > NUMBER_EXACT_EXP)
        return false;
    for (int i = 0; i < p->n; i++)
        v = v * 10 + (uint64_t)(p->digits[i] - '0');
    if (p->exp <= 0)
        return json_number_scale(v, (unsigned)-p->exp, ret);
    if (p->n > NUMBER_EXACT_DIGS)
        return false;
    *ret = (double)v * number_tens[p->exp];
    return true;
}

static enum json_parsed number_parse(struct span s, bool single, double *ret)
{
    struct number_parts p;
    char text[NUMBER_DIGITS_IN + 32];
    double v;

    if (!number_split(&p, s))
        return JSON_BAD_SYNTAX;
    if (p.n == 0) {
        v = 0;
    } else if (single || !number_join_exact(&p, &v)) {
        if (p.exp > NUMBER_EXP_MAX)
            p.exp = NUMBER_EXP_MAX;
        if (p.exp < -NUMBER_EXP_MAX)
            p.exp = -NUMBER_EXP_MAX;
        memcpy(text, p.digits, (size_t)p.n);
        number_put_exp(text + p.n, p.exp - (p.n > NUMBER_DIGITS_IN));
        v = number_from_text(text, single);
        if (isinf(v))
            return JSON_OUT_OF_RANGE;
    }
    *ret = p.negative ? -v : v;
    return JSON_PARSED;
}

enum json_parsed json_number_parse_double(struct span s, double *ret)
{
    return number_parse(s, false, ret);
}

enum json_parsed json_number_parse_float(struct span s, double *ret)
{
    return number_parse(s, true, ret);
}

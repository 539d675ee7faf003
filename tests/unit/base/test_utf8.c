#include "config.h"

#include "base/utf8.h"
#include "tap.h"

static const struct {
    const char *bytes;
    size_t len;
    bool valid;
} cases[] = {
    {"", 0, true},
    {"plain ASCII, longer than eight bytes", 36, true},
    {"\0", 1, true},
    {"\x7f\xc2\x80\xdf\xbf", 5, true},
    {"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", 12, true},
    {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8, true},
    {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", 11, true},
    {"\x80", 1, false},
    {"\xbf", 1, false},
    {"\xc0\x80", 2, false},
    {"\xc1\xbf", 2, false},
    {"\xc2", 1, false},
    {"\xc2\x7f", 2, false},
    {"\xc2\xc0", 2, false},
    {"\xe0\x9f\xbf", 3, false},
    {"\xe0\xa0", 2, false},
    {"\xe1\x80\x7f", 3, false},
    {"\xed\xa0\x80", 3, false},
    {"\xed\xbf\xbf", 3, false},
    {"\xf0\x8f\xbf\xbf", 4, false},
    {"\xf0\x90\x80", 3, false},
    {"\xf4\x90\x80\x80", 4, false},
    {"\xf5\x80\x80\x80", 4, false},
    {"\xfe", 1, false},
    {"\xff", 1, false},
    {"12345678\xff", 9, false},
    {"1234567\xff", 8, false},
    {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65", 15, false},
};

static void validates(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        TAP_OK(utf8_valid(cases[i].bytes, cases[i].len) == cases[i].valid, "case %zu", i);
}

static void resumes_at_each_byte(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t cut = 0; cut <= cases[i].len; cut++) {
            struct utf8_check c = UTF8_CHECK_INIT;
            bool ok = utf8_check_feed(&c, cases[i].bytes, cut);

            ok = utf8_check_feed(&c, cases[i].bytes + cut, cases[i].len - cut) && ok;
            TAP_OK((ok && utf8_check_complete(&c)) == cases[i].valid, "case %zu cut %zu", i, cut);
        }
    }
}

static void fails_at_the_first_bad_byte(void)
{
    struct utf8_check c = UTF8_CHECK_INIT;

    TAP_IS(utf8_check_feed(&c, "\xf4", 1) && !utf8_check_complete(&c));
    TAP_IS(!utf8_check_feed(&c, "\x90", 1));
    TAP_IS(!utf8_check_feed(&c, "a", 1) && !utf8_check_complete(&c));
    TAP_IS(!utf8_check_feed(&c, "", 0));
}

static void every_rune_goes_there_and_back(void)
{
    unsigned wrong = 0;

    for (uint32_t rune = 0; rune <= 0x110000; rune++) {
        bool is_rune = rune <= 0x10ffff && (rune < 0xd800 || rune > 0xdfff);
        uint8_t out[4];
        size_t n = utf8_encode(rune, out);
        uint32_t back;

        if (utf8_decode(out, n, &back) != n || back != (is_rune ? rune : UTF8_REPLACEMENT) ||
            !utf8_valid(out, n))
            wrong++;
    }
    TAP_IS(wrong == 0);
}

static void bad_bytes_count_for_themselves(void)
{
    static const uint8_t bad[] = {0xe1, 0x80, 0xe2, 0xf0, 0x90, 0x80, 'a', 0xe1, 0x80};
    static const uint32_t runes[] = {0xfffd, 0xfffd, 0xfffd, 0xfffd, 0xfffd,
                                     0xfffd, 'a',    0xfffd, 0xfffd};
    uint32_t rune;

    for (size_t i = 0; i < sizeof bad; i++) {
        TAP_IS(utf8_decode(bad + i, sizeof bad - i, &rune) == 1);
        TAP_OK(rune == runes[i], "byte %zu gives %x", i, rune);
    }
}

static const struct tap_case utf8_cases[] = {
    {"validates", validates},
    {"resumes at each byte", resumes_at_each_byte},
    {"fails at the first bad byte", fails_at_the_first_bad_byte},
    {"every rune goes there and back", every_rune_goes_there_and_back},
    {"bad bytes count for themselves", bad_bytes_count_for_themselves},
};

int main(int argc, char **argv)
{
    static const struct tap_suite suites[] = {TAP_SUITE("utf8", utf8_cases)};

    return tap_main(argc, argv, suites, 1);
}

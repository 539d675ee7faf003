#include "config.h"

#include "wspr/error.h"
#include "ws/origin.h"
#include "ws_tests.h"

static void canonical_forms(void)
{
    static const char *const cases[][2] = {
        {"http://example.org", "http://example.org"},
        {"HTTP://Example.ORG:80", "http://example.org"},
        {"https://a.b:443", "https://a.b"},
        {"https://a.b:80", "https://a.b:80"},
        {"ws://a:80", "ws://a"},
        {"http://[::1]:8124", "http://[::1]:8124"},
        {"http://[2001:DB8::1]", "http://[2001:db8::1]"},
        {"http://127.0.0.1:1", "http://127.0.0.1:1"},
        {"chrome-extension://abcdef", "chrome-extension://abcdef"},
        {"foo+1.2://x_y:7", "foo+1.2://x_y:7"},
        {"http://a:65535", "http://a:65535"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf out = BUF_INIT(100);
        struct ws_origin o, again;

        TAP_OK(ws_origin_parse(span_str(cases[i][0]), &o) == 0, "%s", cases[i][0]);
        ws_origin_format(&out, &o);
        TAP_OK(strcmp(buf_cstr(&out), cases[i][1]) == 0, "%s", buf_cstr(&out));
        TAP_IS(ws_origin_parse(buf_span(&out), &again) == 0 && ws_origin_equal(&o, &again));
        buf_done(&out);
    }
}

static void not_origins(void)
{
    static const char *const cases[] = {
        "",           "null",
        "http",       "http:",
        "http:/",     "http://",
        "http://a/",  "http://a:",
        "http://a:0", "http://a:65536",
        "http://a:x", "http://a:1x",
        "http://a b", " http://a",
        "http://a ",  "1x://a",
        "http://u@a", "http://[::1",
        "http://[]",  "http://[::1]x",
        "http://[g]", "http://\xc3\xa9",
        "http://a?x", "http://a:000080",
        "://a",
    };
    struct ws_origin o;

    for (size_t i = 0; i < COUNT(cases); i++)
        TAP_OK(ws_origin_parse(span_str(cases[i]), &o) == WSPR_EINVAL, "%s", cases[i]);
}

static void differences(void)
{
    static const char *const others[] = {"https://a:80", "http://b", "http://a:81", "http://a."};
    struct ws_origin a, b;

    TAP_IS(ws_origin_parse(span_str("http://a"), &a) == 0);
    for (size_t i = 0; i < COUNT(others); i++) {
        TAP_IS(ws_origin_parse(span_str(others[i]), &b) == 0);
        TAP_OK(!ws_origin_equal(&a, &b), "%s", others[i]);
    }
}

static void hosts(void)
{
    struct ws_origin o;

    TAP_IS(ws_host_parse(span_str("localhost:8124"), &o) == 0);
    TAP_IS(span_equal_str(o.host, "localhost") && o.port == 8124 && o.scheme.len == 0);
    TAP_IS(ws_host_parse(span_str("a.b"), &o) == 0 && o.port == 0);
    TAP_IS(ws_host_parse(span_str("[::1]:1"), &o) == 0 && o.ipv6 && span_equal_str(o.host, "::1"));
    TAP_IS(ws_host_parse(span_str(""), &o) == WSPR_EINVAL);
    TAP_IS(ws_host_parse(span_str(":80"), &o) == WSPR_EINVAL);
    TAP_IS(ws_host_parse(span_str("a/b"), &o) == WSPR_EINVAL);
    TAP_IS(ws_host_parse(span_str("::1"), &o) == WSPR_EINVAL);
}

static void loopback(void)
{
    static const struct {
        const char *host;
        bool loopback;
    } cases[] = {
        {"localhost", true},        {"LOCALHOST:80", true}, {"localhost.", true},
        {"x.localhost", true},      {"127.0.0.1", true},    {"127.255.255.254:1", true},
        {"[::1]:80", true},         {"xlocalhost", false},  {"localhost.example", false},
        {"127.0.0.1.x", false},     {"127.1", false},       {"127.0.0.256", false},
        {"127.0.0.0001", false},    {"128.0.0.1", false},   {"127.0.0.1.1", false},
        {"127.0.0.", false},        {"127..0.1", false},    {"[::2]", false},
        {"[::ffff:1]", false},      {"a", false},           {".", false},
        {"127.0.0.example", false},
    };
    struct ws_origin o;

    for (size_t i = 0; i < COUNT(cases); i++) {
        TAP_OK(ws_host_parse(span_str(cases[i].host), &o) == 0, "%s", cases[i].host);
        TAP_OK(ws_host_is_loopback(&o) == cases[i].loopback, "%s", cases[i].host);
    }
}

static const struct tap_case cases[] = {
    {"canonical forms", canonical_forms},
    {"not origins", not_origins},
    {"differences", differences},
    {"hosts", hosts},
    {"loopback", loopback},
};

const struct tap_suite ws_origin_suite = TAP_SUITE("origin", cases);

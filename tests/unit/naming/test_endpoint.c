#include "config.h"

#include "failmalloc.h"
#include "naming/endpoint.h"
#include "naming_tests.h"
#include "vectors.h"

/* Checks a parse against a vector; the two files name their members differently. */
static void check_parse(struct json_object *v, const char *in, const char *formatted,
                        const char *min, const char *max)
{
    const char *error = vec_str(v, "error");
    struct naming_endpoint ep, again;
    struct err e = ERR_INIT;
    struct buf out = BUF_INIT(1000);
    char rid[NAMING_RID_TEXT_LEN + 1], text[NAMING_ENDPOINT_TEXT_MAX];
    int r = naming_endpoint_parse(span_str(in), &ep, &e);

    TAP_OK((r == 0) == (error == NULL), "%s: result %d", in, r);
    if (error != NULL) {
        TAP_OK(strcmp(err_text(&e), error) == 0, "%s: %s, not %s", in, err_text(&e), error);
        TAP_IS(naming_endpoint_parse(span_str(in), &ep, NULL) == r);
        err_done(&e);
        return;
    }
    TAP_OK(strcmp(ep.address, vec_str(v, "address")) == 0, "%s", in);
    TAP_OK(strcmp(ep.protocol, vec_str(v, "protocol")) == 0, "%s", in);
    naming_rid_format(&ep.rid, rid);
    TAP_OK(strcmp(rid, vec_str(v, "routing_id")) == 0, "%s", in);
    TAP_OK(ep.versions.min == vec_int(v, min) && ep.versions.max == vec_int(v, max), "%s", in);
    naming_endpoint_format(&out, &ep);
    TEXT_IS(&out, vec_str(v, formatted), in);
    TAP_IS(naming_endpoint_text(&ep, text) == strlen(text));
    TAP_IS(strcmp(text, vec_str(v, formatted)) == 0);
    TAP_IS(naming_endpoint_parse(span_str(text), &again, NULL) == 0);
    TAP_IS(naming_endpoint_equal(&ep, &again));
    buf_done(&out);
}

static void check_helper(struct json_object *v)
{
    struct json_object *options = vec_get(v, "options");
    struct naming_versions versions;
    struct naming_rid rid;
    const struct naming_versions *use_versions = NULL;
    const struct naming_rid *use_rid = NULL;
    struct buf out = BUF_INIT(1000);

    for (size_t i = 0; i < json_object_array_length(options); i++) {
        const char *option = json_object_get_string(json_object_array_get_idx(options, i));
        const char *value = strchr(option, '=') + 1;

        if (strncmp(option, "naming.RoutingID", 16) == 0) {
            TAP_IS(naming_rid_parse(span_str(value), &rid, NULL) == 0);
            use_rid = &rid;
        } else {
            TAP_IS(sscanf(value, "{%u %u}", &versions.min, &versions.max) == 2);
            use_versions = &versions;
        }
    }
    naming_endpoint_compose(&out, span_str(vec_str(v, "network")), span_str(vec_str(v, "address")),
                            use_rid, use_versions);
    TEXT_IS(&out, vec_str(v, "out"), "composed");
    buf_done(&out);
}

static void check_rid(struct json_object *v)
{
    const char *error = vec_str(v, "error"), *in = vec_str(v, "input");
    char text[NAMING_RID_TEXT_LEN + 1] = "";
    struct naming_rid rid;
    struct err e = ERR_INIT;

    if (in == NULL) {
        rid = naming_rid_fixed(strtoull(vec_str(v, "value"), NULL, 10));
    } else {
        int r = naming_rid_parse(span_str(in), &rid, &e);

        TAP_OK((r == 0) == (error == NULL), "%s: result %d", in, r);
        if (r < 0)
            TAP_OK(strcmp(err_text(&e), error) == 0, "%s: %s", in, err_text(&e));
        err_done(&e);
        if (r < 0)
            return;
    }
    naming_rid_format(&rid, text);
    TAP_OK(strcmp(text, vec_str(v, "hex")) == 0, "%s", text);
    TAP_IS(naming_rid_is_null(&rid) == (strspn(text, "0") == NAMING_RID_TEXT_LEN));
}

static struct naming_versions range(struct json_object *v, const char *min, const char *max)
{
    return (struct naming_versions){(uint32_t)vec_int(v, min), (uint32_t)vec_int(v, max)};
}

static void check_versions(struct json_object *v, bool common)
{
    const char *error = vec_str(v, "error");
    struct err e = ERR_INIT;
    int r, expect = error != NULL ? WSPR_EUNKNOWN : common ? (int)vec_int(v, "version") : 0;

    if (common)
        r = naming_versions_common(range(v, "a_min", "a_max"), range(v, "b_min", "b_max"), &e);
    else
        r = naming_versions_check(range(v, "remote_min", "remote_max"), &e);
    TAP_OK(r == expect, "vector %d: %d", (int)vec_int(v, "id"), r);
    if (error != NULL)
        TAP_OK(strcmp(err_text(&e), error) == 0, "%s", err_text(&e));
    err_done(&e);
}

static void check_proxied(struct json_object *v)
{
    const char *error = vec_str(v, "error");
    struct naming_endpoint proxy, ep;
    struct naming_rid server;
    struct err e = ERR_INIT;
    char text[NAMING_ENDPOINT_TEXT_MAX];
    int r;

    TAP_IS(naming_endpoint_parse(span_str(vec_str(v, "proxy")), &proxy, NULL) == 0);
    TAP_IS(naming_rid_parse(span_str(vec_str(v, "server_routing_id")), &server, NULL) == 0);
    r = naming_endpoint_proxied(&server, &proxy, &ep, &e);
    TAP_IS((r == 0) == (error == NULL));
    if (r < 0) {
        TAP_OK(error != NULL && strcmp(err_text(&e), error) == 0, "%s", err_text(&e));
    } else {
        naming_endpoint_text(&ep, text);
        TAP_OK(strcmp(text, vec_str(v, "endpoint")) == 0, "%s", text);
    }
    err_done(&e);
}

static void stream_vectors(void)
{
    struct json_object *file = vectors_load("stream.json"), *list = vec_get(file, "vectors");
    unsigned parsed = 0, composed = 0, rids = 0, common = 0, checked = 0, proxied = 0;

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *v = json_object_array_get_idx(list, i);
        const char *kind = vec_str(v, "kind");

        if (strcmp(kind, "endpoint_parse") == 0) {
            check_parse(v, vec_str(v, "input"), "formatted", "min_version", "max_version");
            parsed++;
        } else if (strcmp(kind, "endpoint_format_helper") == 0) {
            check_helper(v);
            composed++;
        } else if (strncmp(kind, "routing_id_", 11) == 0) {
            check_rid(v);
            rids++;
        } else if (strcmp(kind, "common_version") == 0) {
            check_versions(v, true);
            common++;
        } else if (strcmp(kind, "check_compatibility") == 0) {
            check_versions(v, false);
            checked++;
        } else if (strcmp(kind, "proxied_endpoint") == 0) {
            check_proxied(v);
            proxied++;
        }
    }
    tap_note("stream.json: endpoint_parse %u, endpoint_format_helper %u, routing_id_* %u, "
             "common_version %u, check_compatibility %u, proxied_endpoint %u",
             parsed, composed, rids, common, checked, proxied);
    TAP_IS(parsed > 0 && composed > 0 && rids > 0 && common > 0 && checked > 0 && proxied > 0);
    json_object_put(file);
}

static void names_vectors(void)
{
    struct json_object *file = vectors_load("names.json"), *list = vec_get(file, "endpoint_parse");
    size_t n = json_object_array_length(list);

    for (size_t i = 0; i < n; i++) {
        struct json_object *v = json_object_array_get_idx(list, i);

        check_parse(v, vec_str(v, "in"), "out", "min_rpc", "max_rpc");
    }
    tap_note("names.json: endpoint_parse %zu", n);
    TAP_IS(n > 0);
    json_object_put(file);
}

static void bounds(void)
{
    struct naming_endpoint ep;
    struct naming_rid rid = naming_rid_fixed(1);
    struct buf in = BUF_INIT(1000);
    char text[NAMING_ENDPOINT_TEXT_MAX];

    memset(&rid, 0xff, sizeof rid);
    buf_printf(&in, "@2@%031d@%0319d@ffffffffffffffffffffffffffffffff@4294967295@4294967295@@", 0,
               0);
    TAP_IS(naming_endpoint_parse(buf_span(&in), &ep, NULL) == 0);
    TAP_IS(naming_endpoint_text(&ep, text) == in.len && in.len < sizeof text);
    TAP_IS(memcmp(text, buf_data(&in), in.len) == 0);
    buf_reset(&in);
    buf_printf(&in, "@2@tcp@%0320d@@@@@", 0);
    TAP_IS(naming_endpoint_parse(buf_span(&in), &ep, NULL) == WSPR_ELIMIT);
    TAP_IS(naming_endpoint_make(&ep, buf_span(&in), span_str(":1"), &rid, NULL) == WSPR_ELIMIT);
    buf_reset(&in);
    buf_printf(&in, "@2@%032d@h:1@@@@@", 0);
    TAP_IS(naming_endpoint_parse(buf_span(&in), &ep, NULL) == WSPR_ELIMIT);
    buf_done(&in);
    TAP_IS(naming_endpoint_parse(span_of("h\0:1", 4), &ep, NULL) == WSPR_EINVAL);
    TAP_IS(naming_endpoint_parse(span_of("@2@t\0@h:1@@@@@", 14), &ep, NULL) == WSPR_EINVAL);
}

static void makes(void)
{
    struct naming_endpoint ep;
    struct naming_rid rid = naming_rid_fixed(0x1234);
    char text[NAMING_ENDPOINT_TEXT_MAX];

    TAP_IS(naming_endpoint_make(&ep, span_str("tcp"), span_str("h:1"), &rid, NULL) == 0);
    naming_endpoint_text(&ep, text);
    TAP_IS(strcmp(text, "@2@tcp@h:1@00000000000000000000000000001234@1@2@@") == 0);
}

static void reserved_ids(void)
{
    struct naming_rid rid = naming_rid_fixed(1023);

    TAP_IS(naming_rid_is_reserved(&rid));
    rid = naming_rid_fixed(1024);
    TAP_IS(!naming_rid_is_reserved(&rid));
    rid = naming_rid_fixed(UINT64_MAX);
    TAP_IS(!naming_rid_is_reserved(&rid));
    rid = naming_rid_fixed(0);
    rid.b[0] = 1;
    TAP_IS(!naming_rid_is_reserved(&rid));
}

static void host_and_port(void)
{
    struct span host, port;

    TAP_IS(naming_hostport_split(span_str("[::1]:80"), &host, &port));
    TAP_IS(span_equal_str(host, "::1") && span_equal_str(port, "80"));
    TAP_IS(naming_hostport_split(span_str("[]:"), &host, &port));
    TAP_IS(host.len == 0 && port.len == 0);
    TAP_IS(naming_hostport_split(span_str("a.b:1"), &host, &port));
    TAP_IS(span_equal_str(host, "a.b") && span_equal_str(port, "1"));
    TAP_IS(!naming_hostport_split(span_str("["), &host, &port));
    TAP_IS(!naming_hostport_split(span_str("[:"), &host, &port));
}

static void odd_texts(void)
{
    static const struct {
        const char *in;
        size_t len;
        const char *text;
    } cases[] = {
        {"@2@tcp@h:1@\xe9z@1@2@@", 17,
         "invalid routing id: encoding/hex: invalid byte: U+00E9 'é'"},
        {"@2@tcp@h:1@a\x01@1@2@@", 17, "invalid routing id: encoding/hex: invalid byte: U+0001"},
        {"@2@tcp@h:1@aag@1@2@@", 20, "invalid routing id: encoding/hex: odd length hex string"},
        {"x\"y@h", 5, "invalid version: strconv.ParseUint: parsing \"x\\\"y\": invalid syntax"},
        {"99999x@h", 8,
         "invalid version: strconv.ParseUint: parsing \"99999x\": value out of range"},
    };
    struct naming_endpoint ep;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err e = ERR_INIT;

        TAP_IS(naming_endpoint_parse(span_of(cases[i].in, cases[i].len), &ep, &e) == WSPR_EINVAL);
        TAP_OK(strcmp(err_text(&e), cases[i].text) == 0, "%s", err_text(&e));
        err_done(&e);
    }
}

static void advertised_addresses(void)
{
    static const struct {
        const char *bound, *advertise, *told; /* told NULL: it is none */
    } cases[] = {
        {"127.0.0.1:8000", NULL, "127.0.0.1:8000"},
        {"127.0.0.1:8000", "", "127.0.0.1:8000"},
        {"127.0.0.1:8000", "example:0", "example:8000"},
        {"[::1]:8000", "[2001:db8::1]:0", "[2001:db8::1]:8000"},
        {"127.0.0.1:8000", "example:65535", "example:65535"},
        {"127.0.0.1:8000", "example:65536", NULL},
        {"127.0.0.1:8000", "example:4294967297", NULL},
        {"127.0.0.1:8000", "example:", NULL},
        {"127.0.0.1:8000", "example:8x", NULL},
        {"127.0.0.1:8000", ":80", NULL},
        {"127.0.0.1:8000", "example", NULL},
    };
    char told[NAMING_ADDRESS_MAX + 1], host[NAMING_ADDRESS_MAX + 8];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int r = naming_address_advertised(cases[i].bound, cases[i].advertise, told, NULL);

        TAP_OK(r == (cases[i].told != NULL ? 0 : WSPR_EINVAL), "case %zu: %d", i, r);
        TAP_OK(r < 0 || strcmp(told, cases[i].told) == 0, "case %zu: %s", i, told);
    }
    memset(host, 'h', sizeof host);
    memcpy(host + NAMING_ADDRESS_MAX - 2, ":80", 4);
    TAP_IS(naming_address_advertised("h:1", host, told, NULL) == WSPR_ELIMIT);
    TAP_IS(naming_address_advertised("h:1", host + 1, told, NULL) == 0);
    TAP_IS(strcmp(told, host + 1) == 0);
}

static void parse_once(void *arg)
{
    static const char *const bad[] = {"x", "x@y", "@2@tcp@h:1@@x@2@@", "@2@tcp@h:1@zz@1@2@@"};
    struct naming_endpoint ep;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err e = ERR_INIT;

        TAP_IS(naming_endpoint_parse(span_str(bad[i]), &ep, &e) == WSPR_EINVAL);
        TAP_IS(e.code == WSPR_EINVAL && err_text(&e) != NULL);
        err_done(&e);
    }
}

static void errors_survive_lack_of_memory(void)
{
    TAP_IS(failmalloc_each(parse_once, NULL, 200) > 3);
}

static const struct tap_case cases[] = {
    {"vectors of stream.json", stream_vectors},
    {"vectors of names.json", names_vectors},
    {"bounds", bounds},
    {"makes", makes},
    {"reserved ids", reserved_ids},
    {"host and port", host_and_port},
    {"odd texts", odd_texts},
    {"advertised addresses", advertised_addresses},
    {"errors survive lack of memory", errors_survive_lack_of_memory},
};

const struct tap_suite naming_endpoint_suite = TAP_SUITE("endpoint", cases);

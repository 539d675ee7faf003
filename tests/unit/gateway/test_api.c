/* Host functions that no standard plugin calls: what a stranger's plugin has besides. */
#include "config.h"

#include <stdlib.h>

#include "gateway_tests.h"
#include "gwrig.h"
#include "probe.h"
#include "wspr/json.h"
#include "wspr/reader.h"

static struct gw g;
static struct page p;

#define TYPE_KICK  300
#define TYPE_LEAVE 301

static int kick(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct wspr_conn *c = wspr_flow_conn(flow);
    struct wspr_flow *own;

    TAP_IS(strcmp(wspr_conn_acts_as(c), "") == 0);
    TAP_IS(wspr_conn_close(c, 1005, "") == WSPR_EINVAL);
    TAP_IS(wspr_conn_close(c, 999, NULL) == WSPR_EINVAL);
    TAP_IS(wspr_conn_close(c, 2999, NULL) == WSPR_EINVAL);
    TAP_IS(wspr_conn_close(c, 5000, NULL) == WSPR_EINVAL);
    TAP_IS(!wspr_conn_is_closing(c));
    wspr_flow_finish(flow, "\"bye\"", 5);
    TAP_IS(wspr_conn_close(c, 4001, "you know why") == 0);
    TAP_IS(wspr_conn_is_closing(c));
    TAP_IS(wspr_conn_close(c, 4002, NULL) == 0);
    TAP_IS(wspr_flow_open(ctx, c, NULL, &own) == WSPR_ECLOSED);
    return WSPR_DONE;
}

/* Nothing is called back before the function returns: the flow is told later. */
static int leave(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    probe_note("leave");
    TAP_IS(wspr_conn_close(wspr_flow_conn(flow), 1008, NULL) == 0);
    TAP_IS(wspr_flow_send(flow, WSPR_RESPONSE_STREAM, "1", 1) == WSPR_ECLOSED);
    probe_note("left");
    return WSPR_PENDING;
}

static void cancelled(void *ctx, struct wspr_flow *flow)
{
    probe_note("cancelled");
    wspr_flow_end(flow);
}

static int load(struct wspr_host *host, void **ret_ctx)
{
    *ret_ctx = host;
    return 0;
}

static void conn_close(void *ctx, struct wspr_conn *conn, void *state)
{
    probe_note("close");
}

static void test_conn_close(void)
{
    static const struct wspr_claim claims[] = {{TYPE_KICK, WSPR_OPENS, "kick", kick},
                                               {TYPE_LEAVE, WSPR_OPENS, "leave", leave}};
    static const struct wspr_plugin plugin = {
        WSPR_PLUGIN_HEAD("p", "1"), .claims = claims,         .n_claims = 2, .load = load,
        .conn_close = conn_close,   .flow_cancel = cancelled,
    };
    struct gw_opts opts = {.plugins = {&plugin}};

    probe_reset();
    gw_init(&g, &opts);
    page_open(&p, &g, NULL, true);
    page_message(&p, 1, TYPE_KICK, "");
    page_expect_reply(&p, 1, 0, "\"bye\"");
    page_expect_close(&p, 4001);
    page_drop(&p);
    TAP_IS(gw_wait_conns(&g, 0));
    page_open(&p, &g, NULL, true);
    page_message(&p, 1, TYPE_LEAVE, "");
    page_expect_close(&p, 1008);
    page_drop(&p);
    TAP_IS(gw_wait_conns(&g, 0));
    TAP_OK(strcmp(probe_log(), "close leave left cancelled close") == 0, "the order of the end");
    gw_done(&g);
}

static void test_quote(void)
{
    static const struct {
        const char *text, *json;
    } t[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"a\"b\\c\n", "\"a\\\"b\\\\c\\n\""},
        {"\x01", "\"\\u0001\""},
        {"gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\""},
        {"x\xffy", "\"x\xef\xbf\xbdy\""},
    };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        size_t len = strlen(t[i].text), n = strlen(t[i].json);

        /* Exactly as much room as it takes: a byte more would be seen by the sanitizers. */
        for (size_t size = 0; size <= n + 1; size++) {
            char *out = malloc(size > 0 ? size : 1);

            if (out == NULL)
                return;
            TAP_IS(wspr_json_quote(size > 0 ? out : NULL, size, len > 0 ? t[i].text : NULL, len) ==
                   n);
            TAP_OK(size == 0 || strcmp(out, size > n ? t[i].json : "") == 0, "\"%s\" in %zu: %s",
                   t[i].text, size, size > 0 ? out : "");
            free(out);
        }
    }
}

static void test_fields(void)
{
    struct target {
        double level;
        struct wspr_spans topics;
    } target = {0.5, {NULL, 0}};
    static const struct wspr_field fields[] = {
        {"level", WSPR_FIELD_DOUBLE, offsetof(struct target, level), "float64"},
        {"topics", WSPR_FIELD_STRINGS, offsetof(struct target, topics), "[]string"},
    };
    static const char text[] = "{\"level\": -2.5e1, \"topics\": [\"a\\n\", \"\"]}";
    struct wspr_reading *reading = NULL;
    char error[100] = "";

    TAP_OK(wspr_read_object(text, strlen(text), fields, 2, "t", &target, &reading, error,
                            sizeof error) == 0,
           "%s", error);
    TAP_IS(target.level == -25);
    TAP_IS(target.topics.n == 2 && target.topics.items[0].len == 2 &&
           memcmp(target.topics.items[0].p, "a\n", 2) == 0 && target.topics.items[1].len == 0);
    wspr_reading_free(reading);
    reading = NULL;
    TAP_IS(wspr_read_object("{\"level\": \"1\"}", 14, fields, 2, "t", &target, &reading, error,
                            sizeof error) == WSPR_ETYPE);
    wspr_reading_free(reading);
    /* Kinds of the host's own tables, and none at all. */
    for (int kind = -1; kind < 20; kind++) {
        const struct wspr_field f = {"x", kind, 0, "x"};
        bool known = (kind >= 1 && kind <= 7) || (kind >= 9 && kind <= 12);
        union {
            int64_t number;
            double real;
            struct wspr_span span;
            struct wspr_spans spans;
        } at = {0};
        int r = wspr_read_value("null", 4, &f, &at, &reading, error, sizeof error);

        TAP_OK(known ? r == 0 : r == WSPR_EINVAL, "kind %d: %d", kind, r);
        if (r == 0)
            wspr_reading_free(reading);
    }
}

static void test_error_text(void)
{
    for (int code = WSPR_EAGAIN; code <= WSPR_ENOMEM; code++) {
        for (int other = WSPR_EAGAIN; other < code; other++)
            TAP_IS(strcmp(wspr_error_text(code), wspr_error_text(other)) != 0);
    }
    TAP_IS(wspr_error_text(-7) != NULL && wspr_error_text(7) != NULL);
}

static const struct tap_case cases[] = {
    {"a plugin ends the connection", test_conn_close},
    {"strings as JSON", test_quote},
    {"kinds of fields", test_fields},
    {"texts of codes", test_error_text},
};

const struct tap_suite api_suite = TAP_SUITE("api", cases);

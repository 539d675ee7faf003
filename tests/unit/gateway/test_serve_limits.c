/* Limits of serving: each has a clear error and a counter, and harms nobody else. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve_tests.h"
#include "serving.h"

static struct page *const a = &serving.a, *const b = &serving.b;

static void test_servers(void)
{
    struct serving_how how = {.limits = {.servers_per_conn = 2}};
    char endpoint[512];

    serving_begin(&how);
    serving_ask(a, 3, 2, "", "{}");
    serving_expect_endpoint(a, 3, endpoint);
    serving_ask(a, 5, 3, "", "{}");
    page_expect_error(a, 5, INTERNAL, "error creating server: too many servers on this connection");
    TAP_IS(serving_stats()->err_server_limit == 1);
    /* Another page has its own; one that is stopped makes room. */
    serving_ask(b, 7, 3, "", "{}");
    serving_expect_endpoint(b, 7, endpoint);
    page_message(a, 9, 6, "2");
    page_expect_reply(a, 9, 0, "true");
    serving_ask(a, 11, 3, "", "{}");
    serving_expect_endpoint(a, 11, endpoint);
    serving_end();
}

static void test_names(void)
{
    struct serving_how how = {.limits = {.names_per_server = 2}};
    char endpoint[512];

    serving_begin(&how);
    serving_ask(a, 3, 1, "one", "{}");
    serving_expect_endpoint(a, 3, endpoint);
    serving_ask(a, 5, 1, "two", "{}");
    serving_expect_endpoint(a, 5, endpoint);
    serving_ask(a, 7, 1, "one", "{}");
    serving_expect_endpoint(a, 7, endpoint);
    serving_ask(a, 9, 1, "three", "{}");
    page_expect_error(a, 9, INTERNAL, "error serving service: too many names for one server");
    serving_ask(a, 11, 1, "", "{}");
    serving_expect_endpoint(a, 11, endpoint);
    TAP_IS(serving_stats()->err_name_limit == 1);
    serving_end();
}

static bool one_failed(void *arg)
{
    return serving.g.client.rt != NULL &&
           rpc_runtime_stats(serving.g.client.rt)->mounts_failed == 1;
}

/* The servers of a page share their turns to mount: a mute mount table holds up no other page. */
static void test_mute_mount_table(void)
{
    struct serving_how how = {.limits = {.servers_per_conn = 16}, .idle = true};
    char endpoint[512], mute[256], name[300];
    int fd = gw_mute_server(mute);

    serving_begin(&how);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "%s//n%d", mute, i);
        serving_ask(a, 1 + 2 * i, (unsigned)i % 16, name, "{}");
        serving_expect_endpoint(a, 1 + 2 * i, endpoint);
    }
    serving_ask(b, 1, 1, "/127.0.0.1:1//mine", "{}");
    serving_expect_endpoint(b, 1, endpoint);
    TAP_OK(gw_until(&serving.g, one_failed, NULL, 5000), "it waits for the names of another page");
    serving_end();
    close(fd);
}

/* Names are kept: all of them together may be as long as the description. */
static void test_long_names(void)
{
    struct serving_how how = {.limits = {.service_bytes = 4096}, .idle = true};
    char endpoint[512], name[4200];

    serving_begin(&how);
    for (int i = 0; i < 3; i++) {
        memset(name, 'a' + i, 1500);
        name[1500] = '\0';
        serving_ask(a, 1 + 2 * i, 1, name, "{}");
        if (i < 2)
            serving_expect_endpoint(a, 1 + 2 * i, endpoint);
        else
            page_expect_error(a, 5, INTERNAL,
                              "error serving service: the names of the server are too long");
    }
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    serving_ask(a, 7, 2, name, "{}");
    page_expect_error(a, 7, INTERNAL,
                      "error serving service: the names of the server are too long");
    TAP_IS(serving_stats()->err_name_limit == 2 && serving_stats()->servers == 1);
    serving_end();
}

/* Calls wait for a name that is being mounted, but they do not all look for it for ever. */
static void test_names_that_hang(void)
{
    struct serving_how how = {.idle = true};
    struct gateway *gw;
    char mute[256], name[512];
    int fd = gw_mute_server(mute);

    serving_begin(&how);
    gw = serving.g.gateway;
    snprintf(name, sizeof name, "%s//some/name", mute);
    serving_ask(a, 1, 1, name, "{}");
    serving_expect_endpoint(a, 1, serving.endpoint);
    TAP_IS(gateway_server_is_mounting(gw, span_str(name)));
    TAP_IS(!gateway_server_is_mounting(gw, span_of(name, strlen(name) - 1)));
    snprintf(name, sizeof name, "%s//some/namer", mute);
    TAP_IS(!gateway_server_is_mounting(gw, span_str(name)));
    snprintf(name, sizeof name, "%s//some/name/x", mute);
    TAP_IS(gateway_server_is_mounting(gw, span_str(name)));
    /* Every call asks: there is an end to the names that are looked at, and new ones go first. */
    for (int i = 0; i < 700; i++) {
        snprintf(name, sizeof name, "%s//n%d", mute, i);
        serving_ask(a, 3 + 2 * i, 2 + (unsigned)i / 100, name, "{}");
        serving_expect_endpoint(a, 3 + 2 * i, serving.endpoint);
    }
    TAP_IS(gateway_server_is_mounting(gw, span_str(name)));
    snprintf(name, sizeof name, "%s//n%d", mute, 100);
    TAP_IS(gateway_server_is_mounting(gw, span_str(name)));
    snprintf(name, sizeof name, "%s//n%d", mute, 0);
    TAP_IS(!gateway_server_is_mounting(gw, span_str(name)));
    loop_worker_skip(serving.g.w, GATEWAY_MOUNT_WAIT);
    gw_run(&serving.g, 10);
    TAP_IS(!gateway_server_is_mounting(gw, span_str(name)) && list_empty(&gw->mounting));
    serving_end();
    close(fd);
}

static void test_description(void)
{
    struct serving_how how = {.limits = {.service_bytes = 4096}, .idle = true};
    struct buf text = BUF_INIT(65536);

    serving_begin(&how);
    buf_u8(&text, '{');
    for (int i = 0; i < 200; i++)
        buf_printf(&text, "%s\"method%d\":{\"numOutArgs\":1}", i > 0 ? "," : "", i);
    buf_u8(&text, '}');
    serving_ask(a, 1, 1, "", buf_cstr(&text));
    page_expect_error(a, 1, INTERNAL,
                      "error serving service: the description of the service is too large");
    /* Neither is much memory taken to find that out, nor is it called a lack of memory. */
    buf_reset(&text);
    buf_append_str(&text, "{\"x\":{\"numOutArgs\":1,\"inArgs\":[\"\"");
    for (int i = 0; i < 16400; i++)
        buf_append_str(&text, ",\"\"");
    buf_append_str(&text, "]}}");
    serving_ask(a, 3, 1, "", buf_cstr(&text));
    page_expect_error(a, 3, INTERNAL,
                      "error serving service: the description of the service is too large");
    TAP_IS(serving_stats()->err_server_limit == 2);
    buf_done(&text);
    page_expect_silence(a);
    TAP_IS(serving_stats()->servers == 0);
    serving_end();
}

/* Calls that the page has not answered; an answer makes room. */
static void test_pending(void)
{
    struct serving_how how = {.limits = {.invocations = 2}};

    serving_begin(&how);
    serving_call(b, 1, "", "pick", "[1]", 2, false);
    serving_expect_invoke(0, "pick", "[1]", "");
    serving_expect_end(0);
    serving_call(b, 3, "", "pick", "[2]", 2, false);
    serving_expect_invoke(2, "pick", "[2]", "");
    serving_expect_end(2);
    serving_call(b, 5, "", "pick", "[3]", 2, false);
    page_expect_error(b, 5, INTERNAL, "too many calls wait for an answer of this page");
    TAP_IS(serving_stats()->err_invocation_limit == 1 && serving_stats()->pending == 2);
    serving_reply(2, "{\"results\":[1]}");
    page_expect_reply(b, 3, 0, "[1]");
    serving_call(b, 7, "", "pick", "[4]", 2, false);
    serving_expect_invoke(4, "pick", "[4]", "");
    serving_expect_end(4);
    serving_end();
}

/* The page's flows, of both sides, are too many: the caller is told. */
static void test_flows(void)
{
    struct serving_how how = {.limits = {.flows_per_conn = 1}};

    serving_begin(&how);
    serving_call(b, 1, "", "pick", "[1]", 2, false);
    serving_expect_invoke(0, "pick", "[1]", "");
    serving_expect_end(0);
    page_drop(b);
    page_open(b, &serving.g, NULL, true);
    /* The first caller is gone, and its flow with it. */
    serving_call(b, 1, "", "pick", "[2]", 2, false);
    serving_expect_invoke(2, "pick", "[2]", "");
    serving_expect_end(2);
    serving_reply(2, "{\"results\":[1]}");
    page_expect_reply(b, 1, 0, "[1]");
    serving_end();
}

static void test_flows_refused(void)
{
    static const char *const one[] = {"x"};
    struct serving_how how = {.limits = {.flows_per_conn = 1}};
    struct tcall t, u;

    serving_begin(&how);
    serving_native(&t, "", "Pick", one, 1, NULL);
    serving_expect_invoke(0, "pick", "[\"x\"]", "");
    serving_expect_end(0);
    serving_native(&u, "", "Pick", one, 1, NULL);
    if (serving_native_done(&u))
        TAP_OK(u.n_results == 2 || u.err.code != 0, "%u results", u.n_results);
    tcall_done(&u);
    serving_reply(0, "{\"results\":[1]}");
    serving_native_done(&t);
    tcall_done(&t);
    serving_end();
}

/* More requests for one server than anybody has a use for, before the first is answered. */
static void test_queue(void)
{
    struct serving_how how = {.idle = true};
    unsigned refused = 0, served = 0;
    const char *got;

    serving_begin(&how);
    for (int i = 0; i < 200; i++)
        serving_ask(a, i, 1, "", "{}");
    while (refused + served < 200 && (got = page_recv(a)) != NULL) {
        if (strstr(got, "too many requests wait for this server") != NULL)
            refused++;
        else
            served += strstr(got, "@2@tcp@") != NULL;
    }
    TAP_OK(refused + served == 200 && served >= 64, "%u served, %u refused", served, refused);
    serving_end();
}

/* They are kept as long as a relay does not answer, so they count like calls that wait. */
static void test_large_queue(void)
{
    struct serving_how how = {.limits = {.calls_per_conn = 100000}, .idle = true};
    char mute[256], name[30001];
    int fd = gw_mute_server(mute);

    how.proxy = mute;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    serving_begin(&how);
    for (int i = 0; i < 4; i++)
        serving_ask(a, i, (unsigned)i % 2, name, "{}");
    page_expect_error(a, 3, INTERNAL,
                      "error serving service: too many requests wait for this server");
    TAP_IS(serving_stats()->err_call_bytes == 1 && serving_stats()->in_bytes > 90000);
    serving_ask(a, 4, 1, "", "{}");
    page_expect_silence(a);
    serving_end();
    close(fd);
}

/* Objects stay as long as the page likes: beyond what all may keep the one with most ends. */
static void test_large_servers(void)
{
    struct serving_how how = {.limits = {.in_total = 300000}, .idle = true};
    char *text = malloc(60101), endpoint[512];
    uint64_t small, large;

    snprintf(text, 60101, "{\"%060000d\":{\"inArgs\":[],\"numOutArgs\":1}}", 0);
    serving_begin(&how);
    serving_ask(b, 1, 1, "/127.0.0.1:1//mine", "{}");
    serving_expect_endpoint(b, 1, endpoint);
    small = serving_stats()->in_bytes;
    TAP_OK(small > 768 && small < 4096, "%llu", (unsigned long long)small);
    serving_ask(a, 1, 1, "", text);
    serving_expect_endpoint(a, 1, endpoint);
    large = serving_stats()->in_bytes;
    TAP_OK(large > 60000 && large < 200000, "%llu", (unsigned long long)large);
    /* What it stops is not kept any more. */
    page_message(a, 3, 6, "1");
    page_expect_reply(a, 3, 0, "true");
    page_expect_silence(a);
    TAP_OK(serving_stats()->in_bytes == small, "%llu",
           (unsigned long long)serving_stats()->in_bytes);
    for (int i = 0; i < 4; i++)
        serving_ask(a, 5 + i, (unsigned)i, "", text);
    page_expect_close(a, 1013);
    TAP_IS(serving_stats()->err_input == 1 && serving_stats()->in_bytes == small);
    page_message(b, 3, 6, "1");
    page_expect_reply(b, 3, 0, "true");
    TAP_IS(serving_stats()->in_bytes == 0);
    free(text);
    serving_end();
}

/* A page that does not read: new calls fail, and its connection lives on within its limits. */
static void test_page_that_does_not_read(void)
{
    struct serving_how how = {
        .limits = {.out_soft = 16384, .out_hard = 1 << 20, .invocations = 100000}};
    char *big = malloc(100000), *args = malloc(100100);
    const char *got;
    unsigned n = 0;

    memset(big, 'x', 99999);
    big[99999] = '\0';
    snprintf(args, 100100, "[\"%s\"]", big);
    serving_begin(&how);
    do {
        serving_call(b, 2 * n + 1, "", "pick", args, 2, false);
        got = page_recv_for(b, 20);
        n++;
    } while (got == NULL && n < 500);
    TAP_OK(got != NULL && strstr(got, "the page does not read what it is sent") != NULL, "%s",
           got != NULL ? got : "never refused");
    TAP_IS(serving_stats()->conns == 2 && serving_stats()->err_invocation_limit >= 1);
    free(big);
    free(args);
    serving_end();
}

static const struct tap_case cases[] = {
    {"servers of a connection", test_servers},
    {"names of a server", test_names},
    {"a mute mount table", test_mute_mount_table},
    {"long names", test_long_names},
    {"names that are not mounted", test_names_that_hang},
    {"the description of a service", test_description},
    {"calls that wait for the page", test_pending},
    {"flows of the page", test_flows},
    {"flows of the page, refused", test_flows_refused},
    {"requests that wait for a server", test_queue},
    {"large requests that wait for a server", test_large_queue},
    {"large servers", test_large_servers},
    {"a page that does not read", test_page_that_does_not_read},
};

const struct tap_suite serve_limits_suite = TAP_SUITE("serve-limits", cases);

/* What a plugin that serves may do in its callbacks, and what the standard one never does. */
#include "config.h"

#include <stdlib.h>

#include "serve_tests.h"
#include "serving.h"
#include "wspr/server.h"

#define ITEM 200000 /* more than may wait for a caller here */

static struct page *const a = &serving.a;

/* A plugin that keeps its invocations, and ends all of them with the first. */
static struct {
    struct wspr_host *host;
    struct wspr_invocation *open[4];
    unsigned n_open, n_gone;
    bool piped; /* each has a flow of the page, whose messages are refused */
} twins;

static int twins_invoke(void *arg, struct wspr_invocation *inv,
                        const struct wspr_invocation_info *info)
{
    struct wspr_flow *flow;

    if (twins.n_open == sizeof twins.open / sizeof twins.open[0])
        return WSPR_ELIMIT;
    if (twins.piped && (wspr_flow_open(twins.host, wspr_invocation_conn(inv), inv, &flow) < 0 ||
                        wspr_invocation_pipe(inv, flow) < 0))
        return WSPR_EINTERNAL;
    twins.open[twins.n_open++] = inv;
    return 0;
}

static void twins_gone(void *arg, struct wspr_invocation *inv, int why)
{
    unsigned n = twins.n_open;

    twins.n_gone++;
    twins.n_open = 0;
    for (unsigned i = 0; i < n; i++) {
        if (twins.open[i] != inv)
            wspr_invocation_fail(twins.open[i], WSPR_EABORTED, "with the other");
    }
}

static const struct wspr_server_ops twins_ops = {
    .size = sizeof twins_ops,
    .invoke = twins_invoke,
    .gone = twins_gone,
};

static void twins_served(void *arg, const struct wspr_fault *fault, const char *endpoint)
{
    snprintf(serving.endpoint, sizeof serving.endpoint, "%s", endpoint != NULL ? endpoint : "");
    wspr_flow_finish(arg, "true", 4);
}

static int twins_handle(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct wspr_span service = {.p = "{\"flow\":{\"NumOutArgs\":1,\"IsStreaming\":true}}"};
    struct wspr_span name = {"", 0};
    struct wspr_server *server;
    char error[256];

    service.len = strlen(service.p);
    if (wspr_server_get(twins.host, wspr_flow_conn(flow), 1, &twins_ops, NULL, &server) < 0 ||
        wspr_server_serve(server, &name, &service, twins_served, flow, error, sizeof error) < 0)
        return WSPR_EINTERNAL;
    return WSPR_PENDING;
}

static int twins_refuse(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    return WSPR_EBADARG;
}

static int twins_deliver(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    return wspr_flow_deliver(flow, msg);
}

static int twins_load(struct wspr_host *host, void **ret_ctx)
{
    twins.host = host;
    *ret_ctx = NULL;
    return 0;
}

static const struct wspr_claim twins_claims[] = {
    {1, WSPR_ONE_SHOT, "twins", twins_handle},
    {2, WSPR_USES | WSPR_OWN, "deliver", twins_deliver},
    {3, WSPR_USES | WSPR_OWN, "refuse", twins_refuse},
};

static const struct wspr_plugin twins_plugin = {
    WSPR_PLUGIN_HEAD("twins", "1.0"),
    .claims = twins_claims,
    .n_claims = sizeof twins_claims / sizeof twins_claims[0],
    .load = twins_load,
    .flow_data = twins_refuse,
};

static bool all_came(void *arg)
{
    return twins.n_open == *(const unsigned *)arg;
}

static bool one_is_gone(void *arg)
{
    return twins.n_gone > 0;
}

/*
 * Callers take no more, which the plugin learns of one of them: it ends the others, some of which
 * are lost as well, and that is the end of each.
 */
static void ends_the_others(unsigned n_lost)
{
    struct gw_opts opts = {
        .service = true,
        .rpc = {.queue_max = 65536},
        .plugins = {&twins_plugin},
    };
    unsigned n = sizeof twins.open / sizeof twins.open[0];
    struct tcall calls[sizeof twins.open / sizeof twins.open[0]];
    char *item = malloc(ITEM);

    memset(&twins, 0, sizeof twins);
    memset(item, 'x', ITEM);
    item[0] = item[ITEM - 1] = '"';
    gw_init(&serving.g, &opts);
    page_open(a, &serving.g, NULL, true);
    page_open(&serving.b, &serving.g, NULL, true);
    page_message(a, 1, 1, "");
    page_expect_reply(a, 1, 0, "true");
    for (unsigned i = 0; i < n; i++)
        serving_native(&calls[i], "", "Flow", NULL, 0, NULL);
    TAP_IS(gw_until(&serving.g, all_came, &n, GW_TIMEOUT_MS));
    for (unsigned i = 0; i < n_lost; i++)
        TAP_IS(wspr_invocation_send(twins.open[i], item, ITEM) == WSPR_ECLOSED);
    TAP_IS(gw_until(&serving.g, one_is_gone, NULL, GW_TIMEOUT_MS));
    for (unsigned i = 0; i < n; i++) {
        serving_native_done(&calls[i]);
        tcall_done(&calls[i]);
    }
    TAP_OK(twins.n_gone == 1, "gone %u times", twins.n_gone);
    TAP_IS(serving_stats()->invocations_lost == 1 && serving_stats()->pending == 0);
    free(item);
    serving_end();
}

static void test_ends_the_others(void)
{
    ends_the_others(1);
    ends_the_others(2);
    ends_the_others(4);
}

/*
 * A plugin refuses a message for a call that the page answers, by a code. The page sees the end of
 * the caller's items, and that the call is over if it asked for that; never an error.
 */
static void refuses(unsigned type, bool told)
{
    struct gw_opts opts = {.service = true, .plugins = {&twins_plugin}};
    const struct rpc_call_opts how = {.n_results = RPC_ANY_RESULTS, .streaming = true};
    unsigned n = 1;
    struct tcall call;

    memset(&twins, 0, sizeof twins);
    twins.piped = true;
    gw_init(&serving.g, &opts);
    page_open_at(a, &serving.g, told ? "/ws?extras=cancel" : "/ws", NULL, true);
    page_open(&serving.b, &serving.g, NULL, true);
    page_message(a, 1, 1, "");
    page_expect_reply(a, 1, 0, "true");
    serving_native(&call, "", "Flow", NULL, 0, &how);
    TAP_IS(gw_until(&serving.g, all_came, &n, GW_TIMEOUT_MS));
    page_message(a, 0, type, "1");
    serving_expect_end(0);
    if (told)
        page_expect_reply(a, 0, WSPR_RESPONSE_CANCEL, "null");
    page_message(a, 0, type, "2");
    page_expect_silence(a);
    TAP_IS(serving_stats()->flows_failed == 1 && serving_stats()->flows == 0);
    if (twins.n_open == 1)
        wspr_invocation_fail(twins.open[0], WSPR_EABORTED, "that is all");
    serving_native_done(&call);
    tcall_done(&call);
    serving_end();
}

static void test_refuses(void)
{
    refuses(2, false);
    refuses(2, true);
    refuses(3, false);
}

static const struct tap_case cases[] = {
    {"the end of a call ends others", test_ends_the_others},
    {"a message for a call is refused", test_refuses},
};

const struct tap_suite serve_plugin_suite = TAP_SUITE("serve-plugin", cases);

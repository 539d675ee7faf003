/* A plugin that breaks one rule: WRONG says which. For the tests of `wspr plugin check`. */
#include <stdlib.h>
#include <string.h>
#include <wspr/plugin.h>
#include <wspr/rpc.h>
#include <wspr/server.h>

#define WRONG_TWICE      1  /* finishes a flow twice */
#define WRONG_CANCEL     2  /* never finishes one that was cancelled */
#define WRONG_TIMER      3  /* leaves a timer to the host */
#define WRONG_CRASH      4  /* does not expect memory to be short */
#define WRONG_JSON       5  /* sends what is no JSON */
#define WRONG_LATE       6  /* answers a flow that was ended by cancel */
#define WRONG_RELEASE    7  /* releases a message that it did not keep */
#define WRONG_OPTION     8  /* asks for an option that it does not have */
#define WRONG_RESULT     9  /* returns a number that means nothing */
#define WRONG_MALLOC     10 /* does not expect its own memory to be short */
#define WRONG_LOAD       11 /* nor while it is loaded */
#define WRONG_BARRIER    12 /* holds up the connection for ever */
#define WRONG_SIZE       13 /* does not say how large its table of a call is */
#define WRONG_KEPT       14 /* keeps a message for ever */
#define WRONG_SIGNATURE  15 /* keeps a signature for ever */
#define WRONG_GONE       16 /* looks at a connection after its end */
#define WRONG_INVOCATION 17 /* replies to a call twice */
#define WRONG_FULL       18 /* goes on sending to a page that does not read */
#define WRONG_LENT       19 /* sends the payload after the callback */
#define WRONG_CALL       20 /* leaves a call to the host */
#define WRONG_CLOSE      21 /* closes with a code that no peer may send */

static struct wspr_host *the_host;
static struct wspr_conn *the_conn;
static struct wspr_timer *the_timer;
static const char *the_data;
static const struct wspr_span empty = {"", 0};

static void late(void *arg)
{
    wspr_flow_finish(arg, "1", 1);
}

static int make_timer(struct wspr_flow *flow)
{
    struct wspr_timer *timer = wspr_timer_new(the_host, late, flow);

    if (WRONG == WRONG_TIMER) {
        wspr_timer_start(timer, 0);
        return WSPR_PENDING;
    }
    if (timer == NULL)
        abort();
    wspr_timer_free(timer);
    return wspr_flow_finish(flow, "1", 1);
}

/* ---- the network ---- */

static void call_done(void *arg, struct wspr_call *call, const struct wspr_fault *fault,
                      const char *json, size_t len)
{
    wspr_flow_finish(arg, "1", 1);
}

static int start_call(struct wspr_flow *flow)
{
    const struct wspr_spans none = {NULL, 0};
    const struct wspr_call_options options = {.size = sizeof options};
    const struct wspr_call_ops ops = {.size = WRONG == WRONG_SIZE ? 0 : sizeof ops,
                                      .done = call_done};
    struct wspr_call *call;

    return wspr_call_start(the_host, wspr_flow_conn(flow), &empty, &empty, &none, &options, &ops,
                           flow, &call) < 0
               ? WSPR_ENOMEM
               : WSPR_PENDING;
}

static void got_signature(void *arg, const struct wspr_signature *signature,
                          const struct wspr_fault *fault)
{
    if (signature != NULL)
        wspr_signature_ref(signature);
    wspr_flow_end(arg);
}

static int invoke(void *arg, struct wspr_invocation *inv, const struct wspr_invocation_info *info)
{
    wspr_invocation_fail(inv, WSPR_ENOTFOUND, NULL);
    wspr_invocation_fail(inv, WSPR_ENOTFOUND, NULL);
    return 0;
}

static void served(void *arg, const struct wspr_fault *fault, const char *endpoint)
{
    wspr_flow_end(arg);
}

static int serve(struct wspr_flow *flow)
{
    static const struct wspr_server_ops ops = {.size = sizeof ops, .invoke = invoke};
    struct wspr_server *server;
    char error[100];

    if (wspr_server_get(the_host, wspr_flow_conn(flow), 1, &ops, NULL, &server) < 0 ||
        wspr_server_serve(server, &empty, &empty, served, flow, error, sizeof error) < 0)
        return WSPR_ENOMEM;
    return WSPR_PENDING;
}

/* ---- later ---- */

static void flood(void *arg)
{
    wspr_flow_send(arg, WSPR_RESPONSE_STREAM, "1", 1);
    if (wspr_flow_is_cancelled(arg) || wspr_post(the_host, flood, arg) < 0)
        wspr_flow_end(arg);
}

static void look(void *arg)
{
    wspr_conn_number(the_conn);
}

static void send_lent(void *arg)
{
    wspr_flow_finish(arg, the_data, strlen(the_data));
}

static int handle_later(struct wspr_flow *flow, const struct wspr_msg *msg)
{
    size_t len;

    switch (WRONG) {
    case WRONG_LENT:
        the_data = wspr_msg_data(msg, &len);
        return wspr_post(the_host, send_lent, flow) < 0 ? WSPR_ENOMEM : WSPR_PENDING;
    case WRONG_FULL:
        return wspr_post(the_host, flood, flow) < 0 ? WSPR_ENOMEM : WSPR_PENDING;
    case WRONG_GONE:
        the_conn = wspr_flow_conn(flow);
        wspr_timer_start(the_timer, 1000);
        return wspr_flow_finish(flow, "1", 1);
    case WRONG_CLOSE:
        wspr_conn_close(wspr_flow_conn(flow), 1006, NULL);
        return wspr_flow_finish(flow, "1", 1);
    default:
        return wspr_post(the_host, late, flow) < 0 ? WSPR_ENOMEM : WSPR_PENDING;
    }
}

static int handle(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    int *volatile number;

    switch (WRONG) {
    case WRONG_TWICE:
        wspr_flow_finish(flow, "1", 1);
        return wspr_flow_finish(flow, "1", 1);
    case WRONG_CANCEL:
    case WRONG_BARRIER:
        return WSPR_PENDING;
    case WRONG_TIMER:
    case WRONG_CRASH:
        return make_timer(flow);
    case WRONG_JSON:
        return wspr_flow_finish(flow, "one", 3);
    case WRONG_RELEASE:
        wspr_msg_release(msg);
        return wspr_flow_finish(flow, "1", 1);
    case WRONG_OPTION:
        return wspr_option_int(ctx, "speed") == 0 ? wspr_flow_finish(flow, "1", 1) : WSPR_EINVAL;
    case WRONG_MALLOC:
        number = calloc(1, 4000);
        if (number == NULL)
            abort();
        free(number);
        return wspr_flow_finish(flow, "1", 1);
    case WRONG_SIZE:
    case WRONG_CALL:
        return start_call(flow);
    case WRONG_KEPT:
        return wspr_msg_keep(msg) == NULL ? WSPR_ENOMEM : wspr_flow_finish(flow, "1", 1);
    case WRONG_SIGNATURE:
        return wspr_signature_get(the_host, wspr_flow_conn(flow), &empty, got_signature, flow) < 0
                   ? WSPR_ENOMEM
                   : WSPR_PENDING;
    case WRONG_INVOCATION:
        return serve(flow);
    case WRONG_RESULT:
        wspr_flow_finish(flow, "1", 1);
        return 42;
    default:
        return handle_later(flow, msg);
    }
}

static void flow_cancel(void *ctx, struct wspr_flow *flow)
{
    if (WRONG == WRONG_TIMER || WRONG == WRONG_LATE || WRONG == WRONG_BARRIER)
        wspr_flow_end(flow);
}

static int load(struct wspr_host *host, void **ret_ctx)
{
    if (WRONG == WRONG_LOAD) {
        int *volatile number = malloc(sizeof *number); /* else compilers leave it out */

        if (number == NULL)
            abort();
        free(number);
    }
    if (WRONG == WRONG_GONE) {
        the_timer = wspr_timer_new(host, look, NULL);
        if (the_timer == NULL)
            return WSPR_ENOMEM;
    }
    the_host = host;
    *ret_ctx = host;
    return 0;
}

static void unload(void *ctx)
{
    if (WRONG == WRONG_GONE)
        wspr_timer_free(the_timer);
}

static const struct wspr_claim claims[] = {
    {200, WSPR_OPENS | (WRONG == WRONG_BARRIER ? WSPR_BARRIER : 0), "wrong", handle}};
static const struct wspr_plugin plugin = {
    WSPR_PLUGIN_HEAD("wrong", "1"), .claims = claims, .n_claims = 1, .load = load, .unload = unload,
    .flow_cancel = flow_cancel,
};
WSPR_PLUGIN_EXPORT(plugin)

/* A plugin that breaks one rule: WRONG says which. For the tests of `wspr plugin check`. */
#include <stdlib.h>
#include <string.h>
#include <wspr/plugin.h>

#define WRONG_TWICE   1 /* finishes a flow twice */
#define WRONG_CANCEL  2 /* never finishes one that was cancelled */
#define WRONG_TIMER   3 /* leaves a timer to the host */
#define WRONG_CRASH   4 /* does not expect memory to be short */
#define WRONG_JSON    5 /* sends what is no JSON */
#define WRONG_LATE    6 /* answers a flow that was ended by cancel */
#define WRONG_RELEASE 7 /* releases a message that it did not keep */
#define WRONG_OPTION  8 /* asks for an option that it does not have */
#define WRONG_RESULT  9 /* returns a number that means nothing */

static void late(void *arg)
{
    wspr_flow_finish(arg, "1", 1);
}

static int handle(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    switch (WRONG) {
    case WRONG_TWICE:
        wspr_flow_finish(flow, "1", 1);
        return wspr_flow_finish(flow, "1", 1);
    case WRONG_CANCEL:
        return WSPR_PENDING;
    case WRONG_TIMER:
        wspr_timer_start(wspr_timer_new(ctx, late, flow), 0);
        return WSPR_PENDING;
    case WRONG_CRASH: {
        struct wspr_timer *timer = wspr_timer_new(ctx, late, flow);

        if (timer == NULL)
            abort();
        wspr_timer_free(timer);
        return wspr_flow_finish(flow, "1", 1);
    }
    case WRONG_JSON:
        return wspr_flow_finish(flow, "one", 3);
    case WRONG_LATE:
        return wspr_post(ctx, late, flow) < 0 ? WSPR_ENOMEM : WSPR_PENDING;
    case WRONG_RELEASE:
        wspr_msg_release(msg);
        return wspr_flow_finish(flow, "1", 1);
    case WRONG_OPTION:
        return wspr_option_int(ctx, "speed") == 0 ? wspr_flow_finish(flow, "1", 1) : WSPR_EINVAL;
    default:
        wspr_flow_finish(flow, "1", 1);
        return 42;
    }
}

static void flow_cancel(void *ctx, struct wspr_flow *flow)
{
    if (WRONG != WRONG_CANCEL)
        wspr_flow_end(flow);
}

static int load(struct wspr_host *host, void **ret_ctx)
{
    *ret_ctx = host;
    return 0;
}

static const struct wspr_claim claims[] = {{200, WSPR_OPENS, "wrong", handle}};
static const struct wspr_plugin plugin = {
    WSPR_PLUGIN_HEAD("wrong", "1"), .claims = claims, .n_claims = 1, .load = load,
    .flow_cancel = flow_cancel,
};
WSPR_PLUGIN_EXPORT(plugin)

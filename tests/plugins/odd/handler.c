/* The smallest handler: ends its flow. Linked into a program, and loaded by it. */
#include <wspr/plugin.h>

static int handle(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    return wspr_flow_end(flow);
}

static const struct wspr_claim claims[] = {{900, WSPR_OPENS, "bench", handle}};
static const struct wspr_plugin plugin = {
    WSPR_PLUGIN_HEAD("bench_handler", "1"),
    .claims = claims,
    .n_claims = 1,
};
WSPR_PLUGIN_EXPORT(plugin)

/*
 * Message types 3 and 4: a value of a stream, and its end (spec: websocket 12). They belong to the
 * flow that the id names; its owner knows what to do with them.
 */
#include <wspr/plugin.h>

#define TYPE_STREAM_VALUE 3
#define TYPE_STREAM_CLOSE 4

static int handle_stream(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    wspr_flow_deliver(flow, msg);
    return WSPR_DONE;
}

static const struct wspr_claim claims[] = {
    {TYPE_STREAM_VALUE, WSPR_USES, "stream-value", handle_stream},
    {TYPE_STREAM_CLOSE, WSPR_USES, "stream-close", handle_stream},
};

static const struct wspr_plugin plugin = {
    WSPR_PLUGIN_HEAD("stream", "1.0"),
    .claims = claims,
    .n_claims = sizeof claims / sizeof claims[0],
};
WSPR_PLUGIN_EXPORT(plugin)

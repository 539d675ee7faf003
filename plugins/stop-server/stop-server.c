/* Message type 6: a page stops one of its servers (spec: websocket 11). */
#include <wspr/plugin.h>
#include <wspr/reader.h>
#include <wspr/server.h>

#define TYPE_STOP_SERVER 6

#define ERROR_MAX 1024

static const struct wspr_field number = {NULL, WSPR_FIELD_UINT64, 0, "uint64"};

static void stopped(void *arg)
{
    wspr_flow_finish(arg, "true", 4);
}

static int handle_stop(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct wspr_reading *reading = NULL;
    char error[ERROR_MAX] = "out of memory";
    struct wspr_server *server;
    uint64_t id = 0;
    const char *text;
    size_t len;
    int r;

    text = wspr_msg_data(msg, &len);
    if (wspr_read_value(text, len, &number, &id, &reading, error, sizeof error) < 0)
        return wspr_flow_failf(flow, WSPR_EINTERNAL, "can't unmarshal JSONMessage: %s", error);
    wspr_reading_free(reading);
    /* One that is not there is as good as stopped. */
    server = wspr_server_find(wspr_flow_conn(flow), id);
    if (server == NULL)
        return wspr_flow_finish(flow, "true", 4);
    r = wspr_server_stop(server, stopped, flow);
    return r < 0 ? r : WSPR_PENDING;
}

/* The answer comes all the same, and is dropped then. */
static void flow_cancel(void *ctx, struct wspr_flow *flow)
{
}

static const struct wspr_claim claims[] = {
    {TYPE_STOP_SERVER, WSPR_ONE_SHOT, "stop-server", handle_stop},
};

static const struct wspr_plugin plugin = {
    WSPR_PLUGIN_HEAD("stop-server", "1.0"),
    .claims = claims,
    .n_claims = sizeof claims / sizeof claims[0],
    .flow_cancel = flow_cancel,
};
WSPR_PLUGIN_EXPORT(plugin)

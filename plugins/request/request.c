/*
 * Message type 0: a page calls a method (spec: websocket 7). Values of the page's stream (types 3
 * and 4) come here through the stream plugin.
 */
#include <stdlib.h>
#include <string.h>

#include <wspr/plugin.h>
#include <wspr/reader.h>
#include <wspr/rpc.h>

#define TYPE_REQUEST      0
#define TYPE_STREAM_CLOSE 4

#define ERROR_MAX 1024

struct payload {
    struct wspr_span name;
    struct wspr_span method;
    struct wspr_spans args;
    int32_t n_results;
    int streaming;
};

static const struct wspr_field fields[] = {
    {"name", WSPR_FIELD_STRING, offsetof(struct payload, name), "string"},
    {"method", WSPR_FIELD_STRING, offsetof(struct payload, method), "string"},
    {"inArgs", WSPR_FIELD_RAWS, offsetof(struct payload, args), "[]json.RawMessage"},
    {"numOutArgs", WSPR_FIELD_INT32, offsetof(struct payload, n_results), "int32"},
    {"isStreaming", WSPR_FIELD_BOOL, offsetof(struct payload, streaming), "bool"},
};

/* Fails the flow with the error of a whole stage; the wire's id for these is always Internal. */
static int fail_stage(struct wspr_flow *flow, const char *stage, const char *text)
{
    size_t n = strlen(stage), m = strlen(text);
    char *joined = malloc(n + m + 1);
    int r;

    if (joined == NULL)
        return wspr_flow_fail(flow, WSPR_ENOMEM, NULL);
    memcpy(joined, stage, n);
    memcpy(joined + n, text, m + 1);
    r = wspr_flow_fail(flow, WSPR_EINTERNAL, joined);
    free(joined);
    return r;
}

/* The flow is what a call knows of us, the call is the state of its flow. */
static void call_done(void *arg, struct wspr_call *call, const struct wspr_fault *fault,
                      const char *json, size_t len)
{
    struct wspr_flow *flow = arg;

    if (fault == NULL)
        wspr_flow_finish(flow, json, len);
    else if (fault->stage == WSPR_STAGE_PREPARE)
        fail_stage(flow, "can't parse Veyron Request: ", fault->text);
    else if (fault->stage == WSPR_STAGE_START)
        fail_stage(flow, "can't start Veyron Request: ", fault->text);
    else
        wspr_flow_fail_id(flow, fault->id, fault->text);
}

/* Values that came before the call was up, or faster than the service reads, go on now. */
static void call_writable(void *arg, struct wspr_call *call)
{
    wspr_flow_resume(arg);
}

static const struct wspr_call_ops call_ops = {
    .size = sizeof(struct wspr_call_ops),
    .done = call_done,
    .writable = call_writable,
};

static int start(struct wspr_host *host, struct wspr_flow *flow, const struct payload *payload)
{
    struct wspr_call_options options = {
        .size = sizeof options,
        .n_results = payload->n_results,
        .streaming = payload->streaming,
    };
    struct wspr_call *call;
    int r = wspr_call_start(host, wspr_flow_conn(flow), &payload->name, &payload->method,
                            &payload->args, &options, &call_ops, flow, &call);

    if (r == 0 && payload->streaming) {
        r = wspr_call_pipe(call, flow);
        if (r < 0)
            wspr_call_cancel(call);
    }
    if (r == 0)
        wspr_flow_set_state(flow, call);
    return r;
}

static int handle_request(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct payload payload = {.n_results = 0};
    struct wspr_reading *reading = NULL;
    char error[ERROR_MAX] = "out of memory";
    const char *text;
    size_t len;
    int r;

    text = wspr_msg_data(msg, &len);
    if (wspr_read_object(text, len, fields, sizeof fields / sizeof fields[0], "wspr.veyronTempRPC",
                         &payload, &reading, error, sizeof error) < 0)
        return fail_stage(flow,
                          "can't parse Veyron Request: can't unmarshall JSONMessage: ", error);
    r = start(ctx, flow, &payload);
    wspr_reading_free(reading);
    return r < 0 ? r : WSPR_PENDING;
}

/*
 * A value of the page's stream, or its end. What does not fit is dropped, as the reference does; so
 * is what comes for a call without a stream.
 */
static int flow_data(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct wspr_call *call = wspr_flow_state(flow);
    const char *text;
    size_t len;
    int r;

    if (call == NULL)
        return WSPR_DONE;
    if (wspr_msg_type(msg) == TYPE_STREAM_CLOSE) {
        r = wspr_call_close_send(call);
    } else {
        text = wspr_msg_data(msg, &len);
        r = wspr_call_send(call, text, len);
    }
    return r == WSPR_EAGAIN ? WSPR_AGAIN : WSPR_DONE;
}

static void flow_cancel(void *ctx, struct wspr_flow *flow)
{
    wspr_call_cancel(wspr_flow_state(flow));
    wspr_flow_end(flow);
}

static int load(struct wspr_host *host, void **ret_ctx)
{
    *ret_ctx = host;
    return 0;
}

static const struct wspr_claim claims[] = {
    {TYPE_REQUEST, WSPR_OPENS, "request", handle_request},
};

static const struct wspr_plugin plugin = {
    WSPR_PLUGIN_HEAD("request", "1.0"),
    .claims = claims,
    .n_claims = sizeof claims / sizeof claims[0],
    .load = load,
    .flow_data = flow_data,
    .flow_cancel = flow_cancel,
};
WSPR_PLUGIN_EXPORT(plugin)

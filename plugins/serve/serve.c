/*
 * Message types 1 and 2: a page serves an object, and answers calls of it (spec: websocket 9, 10).
 *
 * Each call is a flow that the gateway opens. Its frames are the invocation, the caller's items,
 * one end of these; the page answers with items (type 3, by the stream plugin) and one response
 * (type 2), which are taken in the order in which they came.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <wspr/plugin.h>
#include <wspr/reader.h>
#include <wspr/server.h>

#define TYPE_SERVE        1
#define TYPE_RESPONSE     2
#define TYPE_STREAM_VALUE 3

#define ERROR_MAX    1024
#define ENDPOINT_MAX 2048

/* ---- serving ---- */

struct payload {
    struct wspr_span name;
    uint64_t server_id;
    struct wspr_span service;
};

static const struct wspr_field fields[] = {
    {"name", WSPR_FIELD_STRING, offsetof(struct payload, name), "string"},
    {"serverId", WSPR_FIELD_UINT64, offsetof(struct payload, server_id), "uint64"},
    {"service", WSPR_FIELD_RAW, offsetof(struct payload, service), NULL},
};

static void served(void *arg, const struct wspr_fault *fault, const char *endpoint)
{
    struct wspr_flow *flow = arg;
    char json[ENDPOINT_MAX];
    int n;

    if (fault != NULL) {
        wspr_flow_failf(flow, WSPR_EINTERNAL, "error serving service: %s", fault->text);
        return;
    }
    n = snprintf(json, sizeof json, "\"%s\"", endpoint);
    if (n < 0 || (size_t)n >= sizeof json)
        wspr_flow_fail(flow, WSPR_EINTERNAL, "the endpoint is too long");
    else
        wspr_flow_finish(flow, json, (size_t)n);
}

static const struct wspr_server_ops server_ops;

static int start(struct wspr_host *host, struct wspr_flow *flow, const struct payload *p)
{
    char error[ERROR_MAX] = "out of memory";
    struct wspr_server *server;
    int r = wspr_server_get(host, wspr_flow_conn(flow), p->server_id, &server_ops, host, &server);

    if (r < 0)
        return wspr_flow_failf(flow, WSPR_EINTERNAL, "error creating server: %s",
                               r == WSPR_ELIMIT ? "too many servers on this connection"
                                                : "out of memory");
    r = wspr_server_serve(server, &p->name, &p->service, served, flow, error, sizeof error);
    if (r == WSPR_EBADARG || r == WSPR_ELIMIT || r == WSPR_ENOMEM)
        return wspr_flow_failf(flow, WSPR_EINTERNAL, "error serving service: %s", error);
    if (r < 0)
        return wspr_flow_failf(flow, WSPR_EINTERNAL, "can't unmarshal JSONMessage: %s", error);
    return WSPR_PENDING;
}

static int handle_serve(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct payload payload = {.name = {"", 0}};
    struct wspr_reading *reading = NULL;
    char error[ERROR_MAX] = "out of memory";
    const char *text;
    size_t len;
    int r;

    text = wspr_msg_data(msg, &len);
    if (wspr_read_object(text, len, fields, sizeof fields / sizeof fields[0], "wspr.serveRequest",
                         &payload, &reading, error, sizeof error) < 0)
        return wspr_flow_failf(flow, WSPR_EINTERNAL, "can't unmarshal JSONMessage: %s", error);
    r = start(ctx, flow, &payload);
    wspr_reading_free(reading);
    return r;
}

/* ---- calls ---- */

static struct wspr_span text(const char *s)
{
    return (struct wspr_span){s, strlen(s)};
}

static int invoke(void *arg, struct wspr_invocation *inv, const struct wspr_invocation_info *info)
{
    struct wspr_flow *flow;
    char head[64];
    int r = wspr_flow_open(arg, wspr_invocation_conn(inv), inv, &flow);

    if (r < 0)
        return r;
    r = wspr_invocation_pipe(inv, flow);
    if (r < 0) {
        wspr_flow_end(flow);
        return r;
    }
    wspr_invocation_set_state(inv, flow);
    snprintf(head, sizeof head, "{\"serverId\": %" PRIu64 ", \"method\": ", info->server_id);
    {
        const struct wspr_span parts[] = {
            text(head),
            info->method,
            text(", \"args\": "),
            info->args,
            text(", \"context\": {\"suffix\": "),
            info->suffix,
            text(", \"name\": "),
            info->suffix,
            text("}}"),
        };

        wspr_flow_send_parts(flow, WSPR_RESPONSE_INVOKE, parts, sizeof parts / sizeof parts[0]);
    }
    return 0;
}

/* Nobody waits for an answer any more: pages that asked for it are told so. */
static void gone(void *arg, struct wspr_invocation *inv, int why)
{
    struct wspr_flow *flow = wspr_invocation_state(inv);

    if (wspr_conn_has_extra(wspr_flow_conn(flow), "cancel"))
        wspr_flow_send(flow, WSPR_RESPONSE_CANCEL, "null", 4);
    wspr_flow_end(flow);
}

static void writable(void *arg, struct wspr_invocation *inv)
{
    wspr_flow_resume(wspr_invocation_state(inv));
}

static const struct wspr_server_ops server_ops = {
    .size = sizeof(struct wspr_server_ops),
    .invoke = invoke,
    .gone = gone,
    .writable = writable,
};

/* ---- the page's answers ---- */

struct response {
    struct wspr_spans results;
    struct wspr_span err;
};

static const struct wspr_field response_fields[] = {
    {"results", WSPR_FIELD_ANYS, offsetof(struct response, results), "[]interface {}"},
    {"err", WSPR_FIELD_RAW, offsetof(struct response, err), NULL},
};

static const struct wspr_field error_fields[] = {
    {"iD", WSPR_FIELD_STRING, offsetof(struct wspr_app_error, id), "verror.ID"},
    {"msg", WSPR_FIELD_STRING, offsetof(struct wspr_app_error, text), "string"},
};

static void bad_response(struct wspr_invocation *inv, const char *why)
{
    char line[ERROR_MAX + 64];

    snprintf(line, sizeof line, "could not unmarshal the result from the server: %s", why);
    wspr_invocation_fail(inv, WSPR_EINTERNAL, line);
}

static int is_null(const struct wspr_span *json)
{
    return json->len == 0 || (json->len == 4 && memcmp(json->p, "null", 4) == 0);
}

/* Replies with what was read; the error is an object of its own. */
static void reply(struct wspr_invocation *inv, const struct response *rs)
{
    struct wspr_app_error error = {{"", 0}, {"", 0}};
    struct wspr_reading *reading = NULL;
    char why[ERROR_MAX] = "out of memory";

    if (is_null(&rs->err))
        wspr_invocation_reply(inv, &rs->results, NULL);
    else if (wspr_read_object(rs->err.p, rs->err.len, error_fields,
                              sizeof error_fields / sizeof error_fields[0], "verror.Standard",
                              &error, &reading, why, sizeof why) < 0)
        bad_response(inv, why);
    else
        wspr_invocation_reply(inv, &rs->results, &error);
    wspr_reading_free(reading);
}

static void respond(struct wspr_invocation *inv, const struct wspr_msg *msg)
{
    struct response rs = {{NULL, 0}, {NULL, 0}};
    struct wspr_reading *reading = NULL;
    char error[ERROR_MAX] = "out of memory";
    const char *data;
    size_t len;

    data = wspr_msg_data(msg, &len);
    if (wspr_read_object(data, len, response_fields,
                         sizeof response_fields / sizeof response_fields[0],
                         "server.serverRPCReply", &rs, &reading, error, sizeof error) < 0)
        bad_response(inv, error);
    else
        reply(inv, &rs);
    wspr_reading_free(reading);
}

/* A response waits behind the values that were sent before it. */
static int handle_response(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    wspr_flow_deliver(flow, msg);
    return WSPR_DONE;
}

/* A value or the response. What is no value is dropped, and so is an end: responding ends. */
static int flow_data(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct wspr_invocation *inv = wspr_flow_state(flow);
    const char *data;
    size_t len;

    if (wspr_msg_type(msg) == TYPE_RESPONSE) {
        respond(inv, msg);
        return wspr_flow_end(flow);
    }
    if (wspr_msg_type(msg) != TYPE_STREAM_VALUE)
        return WSPR_DONE;
    data = wspr_msg_data(msg, &len);
    return wspr_invocation_send(inv, data, len) == WSPR_EAGAIN ? WSPR_AGAIN : WSPR_DONE;
}

/* An invocation that the host gives up; requests to serve are answered all the same. */
static void flow_cancel(void *ctx, struct wspr_flow *flow)
{
    struct wspr_invocation *inv = wspr_flow_state(flow);

    if (inv == NULL)
        return;
    wspr_invocation_fail(inv, WSPR_EABORTED, "the page's part of the call was given up");
    wspr_flow_end(flow);
}

static int load(struct wspr_host *host, void **ret_ctx)
{
    *ret_ctx = host;
    return 0;
}

static const struct wspr_claim claims[] = {
    {TYPE_SERVE, WSPR_ONE_SHOT, "serve", handle_serve},
    {TYPE_RESPONSE, WSPR_USES | WSPR_OWN, "response", handle_response},
};

static const struct wspr_plugin plugin = {
    WSPR_PLUGIN_HEAD("serve", "1.0"),
    .claims = claims,
    .n_claims = sizeof claims / sizeof claims[0],
    .load = load,
    .flow_data = flow_data,
    .flow_cancel = flow_cancel,
};
WSPR_PLUGIN_EXPORT(plugin)

/* Message type 5: a page asks for the signature of an object (spec: websocket 8). */
#include <stdlib.h>
#include <string.h>

#include <wspr/plugin.h>
#include <wspr/reader.h>
#include <wspr/rpc.h>

#define TYPE_SIGNATURE 5

#define ERROR_MAX 1024

struct payload {
    struct wspr_span name;
};

static const struct wspr_field fields[] = {
    {"name", WSPR_FIELD_STRING, offsetof(struct payload, name), "string"},
};

/* The state of a flow; holds the name for the text of an error. */
struct request {
    struct wspr_flow *flow;
    size_t name_len;
    char name[];
};

static int fail_joined(struct wspr_flow *flow, const char *a, const char *b, size_t b_len,
                       const char *c)
{
    size_t n_a = strlen(a), n_c = strlen(c);
    char *text = malloc(n_a + b_len + n_c + 1);
    int r;

    if (text == NULL)
        return wspr_flow_fail(flow, WSPR_ENOMEM, NULL);
    memcpy(text, a, n_a);
    memcpy(text + n_a, b, b_len);
    memcpy(text + n_a + b_len, c, n_c + 1);
    r = wspr_flow_fail(flow, WSPR_EINTERNAL, text);
    free(text);
    return r;
}

static void got_signature(void *arg, const struct wspr_signature *signature,
                          const struct wspr_fault *fault)
{
    struct request *rq = arg;
    const char *json;
    size_t len;

    if (fault != NULL) {
        fail_joined(rq->flow, "error getting service signature for ", rq->name, rq->name_len,
                    fault->text);
    } else {
        json = wspr_signature_json(signature, &len);
        wspr_flow_finish(rq->flow, json, len);
    }
    free(rq);
}

static int handle_signature(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct payload payload = {{"", 0}};
    struct wspr_reading *reading = NULL;
    char error[ERROR_MAX] = "out of memory";
    struct request *rq;
    const char *text;
    size_t len;
    int r;

    text = wspr_msg_data(msg, &len);
    if (wspr_read_object(text, len, fields, sizeof fields / sizeof fields[0],
                         "wspr.signatureRequest", &payload, &reading, error, sizeof error) < 0)
        return fail_joined(flow, "can't unmarshal JSONMessage: ", "", 0, error);
    rq = malloc(sizeof *rq + payload.name.len + 2);
    if (rq != NULL) {
        rq->flow = flow;
        rq->name_len = payload.name.len + 2;
        memcpy(rq->name, payload.name.p, payload.name.len);
        memcpy(rq->name + payload.name.len, ": ", 2);
    }
    r = rq != NULL ? wspr_signature_get(ctx, wspr_flow_conn(flow), &payload.name, got_signature, rq)
                   : WSPR_ENOMEM;
    wspr_reading_free(reading);
    if (r < 0)
        free(rq);
    return r < 0 ? r : WSPR_PENDING;
}

/* The answer comes all the same, and is dropped then. */
static void flow_cancel(void *ctx, struct wspr_flow *flow)
{
}

static int load(struct wspr_host *host, void **ret_ctx)
{
    *ret_ctx = host;
    return 0;
}

static const struct wspr_claim claims[] = {
    {TYPE_SIGNATURE, WSPR_ONE_SHOT, "signature", handle_signature},
};

static const struct wspr_plugin plugin = {
    WSPR_PLUGIN_HEAD("signature", "1.0"),
    .claims = claims,
    .n_claims = sizeof claims / sizeof claims[0],
    .load = load,
    .flow_cancel = flow_cancel,
};
WSPR_PLUGIN_EXPORT(plugin)

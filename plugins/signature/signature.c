/* Message type 5: a page asks for the signature of an object (spec: websocket 8). */
#include <stdlib.h>
#include <string.h>

#include <wspr/plugin.h>
#include <wspr/reader.h>
#include <wspr/rpc.h>

#define TYPE_SIGNATURE 5

#define ERROR_MAX 1024
#define NAME_KEEP 240 /* a request for a longer name is not kept for the next one */
#define SPARES    256

struct payload {
    struct wspr_span name;
};

static const struct wspr_field fields[] = {
    {"name", WSPR_FIELD_STRING, offsetof(struct payload, name), "string"},
};

/* What is under way for a flow; holds the name for the text of an error. */
struct request {
    struct request *next; /* among the spares */
    struct plugin *plugin;
    struct wspr_flow *flow;
    size_t name_len;
    size_t name_max;
    char name[];
};

/* One for each worker: the memory of finished requests waits for the next ones. */
struct plugin {
    struct wspr_host *host;
    struct request *spares;
    unsigned n_spares;
};

static struct request *request_new(struct plugin *p, size_t name_len)
{
    size_t name_max = name_len > NAME_KEEP ? name_len : NAME_KEEP;
    struct request *rq = p->spares;

    if (name_len > NAME_KEEP || rq == NULL) {
        rq = malloc(sizeof *rq + name_max);
        if (rq == NULL)
            return NULL;
        rq->plugin = p;
        rq->name_max = name_max;
        return rq;
    }
    p->spares = rq->next;
    p->n_spares--;
    return rq;
}

static void request_free(struct request *rq)
{
    struct plugin *p = rq->plugin;

    if (rq->name_max > NAME_KEEP || p->n_spares >= SPARES) {
        free(rq);
        return;
    }
    rq->next = p->spares;
    p->spares = rq;
    p->n_spares++;
}

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
    request_free(rq);
}

static int handle_signature(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct payload payload = {{"", 0}};
    struct wspr_reading *reading = NULL;
    struct plugin *p = ctx;
    char error[ERROR_MAX] = "out of memory";
    struct request *rq;
    const char *text;
    size_t len;
    int r;

    text = wspr_msg_data(msg, &len);
    if (wspr_read_object(text, len, fields, sizeof fields / sizeof fields[0],
                         "wspr.signatureRequest", &payload, &reading, error, sizeof error) < 0)
        return fail_joined(flow, "can't unmarshal JSONMessage: ", "", 0, error);
    rq = request_new(p, payload.name.len + 2);
    if (rq != NULL) {
        rq->flow = flow;
        rq->name_len = payload.name.len + 2;
        memcpy(rq->name, payload.name.p, payload.name.len);
        memcpy(rq->name + payload.name.len, ": ", 2);
    }
    r = rq != NULL
            ? wspr_signature_get(p->host, wspr_flow_conn(flow), &payload.name, got_signature, rq)
            : WSPR_ENOMEM;
    wspr_reading_free(reading);
    if (r < 0 && rq != NULL)
        request_free(rq);
    return r < 0 ? r : WSPR_PENDING;
}

/* The answer comes all the same, and is dropped then. */
static void flow_cancel(void *ctx, struct wspr_flow *flow)
{
}

static int load(struct wspr_host *host, void **ret_ctx)
{
    struct plugin *p = calloc(1, sizeof *p);

    if (p == NULL)
        return WSPR_ENOMEM;
    p->host = host;
    *ret_ctx = p;
    return 0;
}

/* No request is under way any more. */
static void unload(void *ctx)
{
    struct plugin *p = ctx;

    while (p->spares != NULL) {
        struct request *rq = p->spares;

        p->spares = rq->next;
        free(rq);
    }
    free(p);
}

static const struct wspr_claim claims[] = {
    {TYPE_SIGNATURE, WSPR_ONE_SHOT, "signature", handle_signature},
};

static const struct wspr_plugin plugin = {
    WSPR_PLUGIN_HEAD("signature", "1.0"),
    .claims = claims,
    .n_claims = sizeof claims / sizeof claims[0],
    .load = load,
    .unload = unload,
    .flow_cancel = flow_cancel,
};
WSPR_PLUGIN_EXPORT(plugin)

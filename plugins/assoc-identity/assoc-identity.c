/*
 * Message type 7: a private identity is associated with a web origin (spec: identity-manager 6.3).
 * Exactly one answer; nothing of the identity stays in memory that is given back.
 */
#include <stdlib.h>
#include <string.h>

#include <wspr/account.h>
#include <wspr/plugin.h>
#include <wspr/reader.h>

#define TYPE_ASSOCIATE 7

#define ERROR_MAX 1024

struct payload {
    struct wspr_span account, identity, origin;
};

static const struct wspr_field fields[] = {
    {"Account", WSPR_FIELD_STRING, offsetof(struct payload, account), "string"},
    {"Identity", WSPR_FIELD_STRING, offsetof(struct payload, identity), "string"},
    {"Origin", WSPR_FIELD_STRING, offsetof(struct payload, origin), "string"},
};

static int fail_payload(struct wspr_flow *flow, const char *reason)
{
    static const char stage[] = "can't unmarshal JSONMessage: ";
    char text[sizeof stage + ERROR_MAX];
    size_t n = strlen(reason);

    if (n >= ERROR_MAX)
        n = ERROR_MAX - 1;
    memcpy(text, stage, sizeof stage - 1);
    memcpy(text + sizeof stage - 1, reason, n);
    text[sizeof stage - 1 + n] = '\0';
    return wspr_flow_fail(flow, WSPR_EINTERNAL, text);
}

static void associated(void *arg, const struct wspr_fault *fault)
{
    struct wspr_flow *flow = arg;

    if (fault != NULL)
        wspr_flow_fail_id(flow, fault->id, fault->text);
    else
        wspr_flow_finish(flow, "null", 4);
}

/* A member that is absent, or null, left its span alone. */
static const char *missing(const struct payload *p)
{
    return p->account.p == NULL    ? "missing field Account"
           : p->identity.p == NULL ? "missing field Identity"
           : p->origin.p == NULL   ? "missing field Origin"
                                   : NULL;
}

static int handle_associate(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct payload payload = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    struct wspr_association association = {.size = sizeof association};
    struct wspr_reading *reading = NULL;
    char error[ERROR_MAX] = "out of memory";
    const char *text;
    size_t len;
    int r;

    text = wspr_msg_data(msg, &len);
    if (wspr_read_object(text, len, fields, sizeof fields / sizeof fields[0],
                         "wspr.assocIdentityData", &payload, &reading, error, sizeof error) < 0)
        return fail_payload(flow, error);
    if (missing(&payload) != NULL) {
        wspr_reading_free(reading);
        return fail_payload(flow, missing(&payload));
    }
    association.account = payload.account;
    association.identity = payload.identity;
    association.origin = payload.origin;
    r = wspr_account_associate(ctx, wspr_flow_conn(flow), &association, associated, flow);
    wspr_reading_free(reading); /* wipes what it held */
    return r < 0 ? r : WSPR_PENDING;
}

/* The change goes on, and its answer is dropped. */
static void flow_cancel(void *ctx, struct wspr_flow *flow)
{
}

static int load(struct wspr_host *host, void **ret_ctx)
{
    *ret_ctx = host;
    return 0;
}

static const struct wspr_claim claims[] = {
    {TYPE_ASSOCIATE, WSPR_ONE_SHOT | WSPR_BARRIER | WSPR_SECRET, "associate identity",
     handle_associate},
};

static const struct wspr_plugin plugin = {
    WSPR_PLUGIN_HEAD("assoc-identity", "1.0"),
    .claims = claims,
    .n_claims = sizeof claims / sizeof claims[0],
    .load = load,
    .flow_cancel = flow_cancel,
};
WSPR_PLUGIN_EXPORT(plugin)

/*
 * From a message of a page to its handler (spec: websocket 5).
 *
 *     text -> envelope {id, data, type} -> claim of the type -> flow -> handler
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "gateway/private.h"
#include "gateway/reading.h"
#include "json/table.h"

struct envelope {
    int64_t id;
    int64_t type;
    struct span data;
};

static const struct json_field envelope_fields[] = {
    {"id", JSON_FIELD_INT64, offsetof(struct envelope, id), "int64", NULL},
    {"data", JSON_FIELD_STRING, offsetof(struct envelope, data), "string", NULL},
    {"type", JSON_FIELD_INT64, offsetof(struct envelope, type), "wspr.websocketMessageType", NULL},
};

static const struct json_table envelope_table =
    JSON_TABLE(struct envelope, "wspr.websocketMessage", envelope_fields);

/* The reference's words, in a frame that is not JSON: old clients ignore it (spec: 5.2). */
static void bad_envelope(struct wspr_conn *c, const struct err *e)
{
    struct buf *text = &c->gw->text;

    c->gw->stats.bad_envelopes++;
    buf_reset(text);
    buf_printf(text, "can't unmarshall JSONMessage: %s", err_text(e));
    gateway_conn_send_text(c, buf_span(text));
}

static void reply_error(struct wspr_conn *c, int64_t id, int code, const char *text)
{
    gateway_conn_send_error(c, id, span_str(err_code_id(code)), span_str(text));
}

static struct gateway_claim *find_claim(struct gateway *gw, int64_t type)
{
    if (type < 0 || type >= GATEWAY_TYPES || gw->claims[type].host == NULL)
        return NULL;
    return &gw->claims[type];
}

/* Does what the handler's answer asks for. */
static void handled(struct wspr_flow *f, const struct gateway_claim *claim, int r)
{
    if (r < 0 && f->host != claim->host)
        gateway_flow_break(f, r, err_code_text(r)); /* its owner does not know */
    else if (r < 0 && !f->finished)
        gateway_flow_fail(f, r);
    else if (r == WSPR_DONE && !f->finished && (claim->claim.flags & 3) != WSPR_USES)
        gateway_flow_end(f);
    else if (r == WSPR_PENDING && !f->finished && (claim->claim.flags & WSPR_BARRIER) != 0)
        gateway_conn_hold_barrier(f->conn, f);
}

static void dispatch_new(struct wspr_conn *c, const struct gateway_claim *claim,
                         const struct wspr_msg *msg)
{
    bool opens = (claim->claim.flags & 3) == WSPR_OPENS;
    struct gateway *gw = c->gw;
    struct wspr_flow *f;
    int r;

    if (c->n_flows >= gw->limits.flows_per_conn) {
        gw->stats.err_flow_limit++;
        reply_error(c, msg->id, WSPR_ELIMIT, "too many requests are under way");
        return;
    }
    if (opens && gateway_flow_find(c, msg->id, FLOW_PAGE) != NULL) {
        reply_error(c, msg->id, WSPR_EEXISTS, "this id is in use");
        return;
    }
    r = gateway_plugin_open_conn(claim->host, c);
    f = r == 0 ? gateway_flow_new(c, claim->host, msg->id, FLOW_PAGE, opens) : NULL;
    if (f == NULL) {
        r = r < 0 ? r : WSPR_ENOMEM;
        reply_error(c, msg->id, r, err_code_text(r));
        return;
    }
    f->busy++;
    handled(f, claim, claim->claim.handle(claim->host->ctx, f, msg));
    gateway_flow_leave(f);
}

/* Whether the flow's plugin is an instance that the other one has replaced. */
static bool is_former(const struct wspr_host *owner, const struct wspr_host *now)
{
    return owner->replaced && strcmp(owner->name, now->name) == 0;
}

/* A former instance keeps its flows, and so what comes for them. */
static struct gateway_claim claim_of(const struct gateway_claim *claim, const struct wspr_flow *f,
                                     uint32_t type)
{
    struct gateway_claim own = *claim;

    if (!is_former(f->host, claim->host))
        return own;
    for (size_t i = 0; i < f->host->plugin.n_claims; i++) {
        const struct wspr_claim *c = plugin_file_claim(&f->host->plugin, i);

        if (c->type == type) {
            own.host = f->host;
            own.claim = *c;
        }
    }
    return own;
}

/* The flow that the message belongs to: one of our side first (spec: 12). */
static struct wspr_flow *find_used(struct wspr_conn *c, const struct gateway_claim *claim,
                                   int64_t id)
{
    static const enum flow_opener openers[] = {FLOW_HOST, FLOW_PAGE};

    for (size_t i = 0; i < 2; i++) {
        struct wspr_flow *f = gateway_flow_find(c, id, openers[i]);

        if (f != NULL && ((claim->claim.flags & WSPR_OWN) == 0 || f->host == claim->host ||
                          is_former(f->host, claim->host)))
            return f;
    }
    return NULL;
}

/* A message without a flow behind it is dropped without a word (spec: 12). */
static void dispatch_uses(struct wspr_conn *c, const struct gateway_claim *claim,
                          const struct wspr_msg *msg)
{
    struct wspr_flow *f = find_used(c, claim, msg->id);
    struct gateway_claim own;

    if (f != NULL && f->host->replaced) {
        own = claim_of(claim, f, msg->type);
        claim = &own;
    }
    if (f == NULL || gateway_plugin_open_conn(claim->host, c) < 0) {
        c->gw->stats.dropped_messages++;
        return;
    }
    f->busy++;
    c->deliver = false;
    c->used_msg = msg;
    c->used_flow = f;
    handled(f, claim, claim->claim.handle(claim->host->ctx, f, msg));
    c->used_msg = NULL;
    c->used_flow = NULL;
    if (c->deliver && !f->finished && !f->cancelled)
        gateway_flow_deliver(f, msg);
    gateway_flow_leave(f);
}

void gateway_conn_message(struct wspr_conn *c, struct span payload)
{
    struct envelope env = {0};
    struct gateway *gw = c->gw;
    struct gateway_claim *claim;
    struct wspr_msg msg = {0};
    struct err e = ERR_INIT;
    char text[64];
    bool secret;

    gw->stats.messages_in++;
    arena_reset(&gw->scratch);
    if (json_decode(payload, &envelope_table, &env, &gw->scratch, 0, 0, &e) < 0) {
        bad_envelope(c, &e);
        err_done(&e);
        return;
    }
    claim = find_claim(gw, env.type);
    if (claim == NULL) {
        gw->stats.unknown_types++;
        snprintf(text, sizeof text, "unknown message type: %" PRId64, env.type);
        reply_error(c, env.id, WSPR_EUNKNOWN, text);
        return;
    }
    msg.id = env.id;
    msg.type = (uint32_t)env.type;
    msg.data = env.data;
    secret = (claim->claim.flags & WSPR_SECRET) != 0;
    if (!secret && !span_holds(payload, env.data.p))
        gw->handled = env.data;
    reading_lend(gw->spare_reading);
    if ((claim->claim.flags & 3) == WSPR_USES)
        dispatch_uses(c, claim, &msg);
    else
        dispatch_new(c, claim, &msg);
    gw->spare_reading = reading_take_back();
    gw->handled = span_of(NULL, 0);
    gateway_call_take_message(gw);
    if (secret) {
        /* The payload as it came, which is the connection's, and with its escapes taken out. */
        mem_wipe((void *)(uintptr_t)payload.p, payload.len);
        arena_wipe(&gw->scratch);
    }
    arena_reset(&gw->scratch); /* a large one is not to stay while its call goes on */
}

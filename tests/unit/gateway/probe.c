#include "config.h"
#include "probe.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tap.h"

struct probe probe;

void probe_reset(void)
{
    memset(&probe, 0, sizeof probe);
}

void probe_note(const char *fmt, ...)
{
    size_t n = strlen(probe.text);
    va_list ap;

    if (n > 0 && n + 1 < sizeof probe.text)
        probe.text[n++] = ' ';
    va_start(ap, fmt);
    vsnprintf(probe.text + n, sizeof probe.text - n, fmt, ap);
    va_end(ap);
}

const char *probe_log(void)
{
    static char text[sizeof probe.text];

    memcpy(text, probe.text, sizeof text);
    probe.text[0] = '\0';
    return text;
}

void probe_expect(const char *text)
{
    const char *got = probe_log();

    TAP_OK(strcmp(got, text) == 0, "expected \"%s\", got \"%s\"", text, got);
}

static int probe_do(struct wspr_flow *flow, const struct wspr_msg *msg)
{
    size_t len;
    const char *data = wspr_msg_data(msg, &len);

    probe.conn = wspr_flow_conn(flow);
    probe_note("%u:%lld:%.*s", wspr_msg_type(msg), (long long)wspr_msg_id(msg), (int)len, data);
    if (len >= 4 && memcmp(data, "done", 4) == 0)
        return wspr_flow_finish(flow, "true", 4);
    if (len >= 4 && memcmp(data, "fail", 4) == 0)
        return wspr_flow_fail_id(flow, "app.Error", "as you wish");
    if (len >= 4 && memcmp(data, "code", 4) == 0)
        return WSPR_ENOTFOUND;
    if (len >= 4 && memcmp(data, "mute", 4) == 0)
        return WSPR_DONE;
    if (probe.n_flows < sizeof probe.flows / sizeof probe.flows[0])
        probe.flows[probe.n_flows++] = flow;
    return WSPR_PENDING;
}

static int probe_handle(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    return probe_do(flow, msg);
}

static int probe_deliver(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    wspr_flow_deliver(flow, msg);
    return WSPR_DONE;
}

static int probe_take(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    size_t len;
    const char *data = wspr_msg_data(msg, &len);

    probe_note("take:%lld:%.*s", (long long)wspr_flow_id(flow), (int)len, data);
    return WSPR_DONE;
}

static int probe_load(struct wspr_host *host, void **ret_ctx)
{
    probe.host = host;
    *ret_ctx = &probe;
    return 0;
}

static void probe_unload(void *ctx)
{
    probe_note("unload");
}

static int probe_conn_open(void *ctx, struct wspr_conn *conn, void **ret_state)
{
    probe_note("conn");
    *ret_state = &probe;
    return probe.conn_result;
}

static void probe_conn_close(void *ctx, struct wspr_conn *conn, void *state)
{
    probe_note("%s", state == &probe && wspr_conn_is_closing(conn) ? "close" : "close?");
    if (probe.on_close != NULL)
        probe.on_close(conn);
}

static int probe_data(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    size_t len;
    const char *data = wspr_msg_data(msg, &len);

    probe_note("data:%lld:%.*s", (long long)wspr_flow_id(flow), (int)len, data);
    if (probe.finish_on_data) {
        wspr_flow_finish(flow, "true", 4);
        data = wspr_msg_data(msg, &len);
        probe_note("after:%.*s", (int)len, data);
        return WSPR_DONE;
    }
    return probe.data_result;
}

static void probe_cancel(void *ctx, struct wspr_flow *flow)
{
    probe_note("cancel:%lld", (long long)wspr_flow_id(flow));
    if (probe.finish_on_cancel)
        wspr_flow_end(flow);
}

static void probe_writable(void *ctx, struct wspr_flow *flow)
{
    probe_note("writable:%lld", (long long)wspr_flow_id(flow));
    if (probe.on_writable != NULL)
        probe.on_writable(flow);
}

static const struct wspr_claim probe_claims[] = {
    {PROBE_OPEN, WSPR_OPENS, "open", probe_handle},
    {PROBE_SHOT, WSPR_ONE_SHOT, "shot", probe_handle},
    {PROBE_DELIVER, WSPR_USES, "deliver", probe_deliver},
    {PROBE_TAKE, WSPR_USES, "take", probe_take},
    {PROBE_BARRIER, WSPR_ONE_SHOT | WSPR_BARRIER, "barrier", probe_handle},
};

const struct wspr_plugin probe_plugin = {
    WSPR_PLUGIN_HEAD("probe", "1.0"),
    .claims = probe_claims,
    .n_claims = sizeof probe_claims / sizeof probe_claims[0],
    .load = probe_load,
    .unload = probe_unload,
    .conn_open = probe_conn_open,
    .conn_close = probe_conn_close,
    .flow_data = probe_data,
    .flow_cancel = probe_cancel,
    .flow_writable = probe_writable,
};

/* ---- the second plugin ---- */

static int other_load(struct wspr_host *host, void **ret_ctx)
{
    probe.other_host = host;
    return 0;
}

static int other_handle(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    if (probe.other_result == PROBE_OTHER_DELIVER)
        return wspr_flow_deliver(flow, msg);
    return probe.other_result;
}

static const struct wspr_claim other_claims[] = {
    {PROBE_OTHER, WSPR_USES, "other", other_handle},
};

const struct wspr_plugin other_plugin = {
    WSPR_PLUGIN_HEAD("other", "1.0"),
    .claims = other_claims,
    .n_claims = sizeof other_claims / sizeof other_claims[0],
    .load = other_load,
};

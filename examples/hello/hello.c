/*
 * Message type 100: says hello, at once or after a while. Shows how a handler reads its payload,
 * answers, answers later, fails, and gives up when the page goes away.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wspr/plugin.h>
#include <wspr/reader.h>

#define TYPE_HELLO   100
#define NAME_MAX_LEN 100
#define DELAY_MAX    60000

struct payload {
    struct wspr_span name;
    int32_t delay; /* milliseconds */
};

static const struct wspr_field fields[] = {
    {"name", WSPR_FIELD_STRING, offsetof(struct payload, name), "string"},
    {"delay", WSPR_FIELD_INT32, offsetof(struct payload, delay), "int32"},
};

/* An answer that waits for its time. */
struct greeting {
    struct wspr_flow *flow;
    struct wspr_timer *timer;
    char text[NAME_MAX_LEN + 32];
    size_t len;
};

static void greeting_free(struct greeting *g)
{
    if (g != NULL)
        wspr_timer_free(g->timer);
    free(g);
}

static void greet(void *arg)
{
    struct greeting *g = arg;
    struct wspr_flow *flow = g->flow;

    wspr_flow_finish(flow, g->text, g->len);
    greeting_free(g);
}

/* Letters, digits, spaces and a few signs need no escaping in JSON; nothing else is taken. */
static int is_plain(const struct wspr_span *name)
{
    for (size_t i = 0; i < name->len; i++) {
        unsigned char c = (unsigned char)name->p[i];

        if (c < ' ' || c > '~' || c == '"' || c == '\\')
            return 0;
    }
    return 1;
}

static int handle_hello(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct wspr_host *host = ctx;
    struct payload payload = {{"", 0}, 0};
    struct wspr_reading *reading = NULL;
    struct greeting *g;
    char error[256] = "out of memory";
    const char *text;
    size_t len;

    text = wspr_msg_data(msg, &len);
    if (wspr_read_object(text, len, fields, sizeof fields / sizeof fields[0], "hello.payload",
                         &payload, &reading, error, sizeof error) < 0)
        return wspr_flow_fail(flow, WSPR_EBADARG, error);
    if (payload.name.len > NAME_MAX_LEN || !is_plain(&payload.name) || payload.delay < 0 ||
        payload.delay > DELAY_MAX) {
        wspr_reading_free(reading);
        return wspr_flow_fail_id(flow, "hello.BadName", "a short, plain name, please");
    }
    g = calloc(1, sizeof *g);
    if (g == NULL) {
        wspr_reading_free(reading);
        return WSPR_ENOMEM;
    }
    g->flow = flow;
    g->len = (size_t)snprintf(g->text, sizeof g->text, "\"Hello, %.*s!\"", (int)payload.name.len,
                              payload.name.p);
    wspr_reading_free(reading);
    if (payload.delay == 0) {
        greet(g);
        return WSPR_DONE;
    }
    g->timer = wspr_timer_new(host, greet, g);
    if (g->timer == NULL) {
        greeting_free(g);
        return WSPR_ENOMEM;
    }
    wspr_flow_set_state(flow, g);
    wspr_timer_start(g->timer, (uint64_t)payload.delay);
    return WSPR_PENDING;
}

/* The page is gone: nobody waits for the answer. */
static void flow_cancel(void *ctx, struct wspr_flow *flow)
{
    greeting_free(wspr_flow_state(flow));
    wspr_flow_end(flow);
}

static int load(struct wspr_host *host, void **ret_ctx)
{
    wspr_log(host, WSPR_LOG_INFO, "ready to say hello");
    *ret_ctx = host;
    return 0;
}

static const struct wspr_claim claims[] = {
    {TYPE_HELLO, WSPR_OPENS, "hello", handle_hello},
};

static const struct wspr_plugin plugin = {
    WSPR_PLUGIN_HEAD("hello", "1.0"),
    .claims = claims,
    .n_claims = sizeof claims / sizeof claims[0],
    .load = load,
    .flow_cancel = flow_cancel,
};
WSPR_PLUGIN_EXPORT(plugin)

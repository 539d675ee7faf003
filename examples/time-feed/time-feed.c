/*
 * Message type 110 begins a feed of the time, type 111 ends it. Shows flows that the gateway opens,
 * and back-pressure:
 *
 *     timer -> frame sent -> timer …             the page reads
 *                    `-----> WSPR_FULL           it does not: the timer rests
 *     timer <- flow_writable <--'                it does again
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <wspr/plugin.h>
#include <wspr/reader.h>

#define TYPE_BEGIN 110
#define TYPE_END   111
#define EVERY_MAX  3600000

struct feed {
    struct wspr_flow *flow;
    struct wspr_timer *timer;
    int64_t every; /* milliseconds */
    int64_t n;     /* frames sent */
    int64_t due;   /* milliseconds of the clock */
    int64_t missed;
};

static const struct wspr_field fields[] = {
    {"every", WSPR_FIELD_INT64, offsetof(struct feed, every), "int64"},
};

static int64_t now_ms(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void feed_free(struct feed *feed)
{
    if (feed != NULL)
        wspr_timer_free(feed->timer);
    free(feed);
}

/* Sends one frame and arms the timer for the next, unless the page has to read first. */
static void tick(void *arg)
{
    struct feed *feed = arg;
    int64_t now = now_ms(CLOCK_MONOTONIC), late = (now - feed->due) / feed->every;
    char text[128];
    int n, r;

    feed->missed += late;
    feed->due += (late + 1) * feed->every;
    n = snprintf(text, sizeof text,
                 "{\"n\":%" PRId64 ",\"missed\":%" PRId64 ",\"time\":%" PRId64 "}", ++feed->n,
                 feed->missed, now_ms(CLOCK_REALTIME));
    r = wspr_flow_send(feed->flow, WSPR_RESPONSE_STREAM, text, (size_t)n);
    if (r == 0)
        wspr_timer_start(feed->timer, feed->due > now ? (uint64_t)(feed->due - now) : 0);
}

static void flow_writable(void *ctx, struct wspr_flow *flow)
{
    struct feed *feed = wspr_flow_state(flow);

    (void)ctx;
    if (feed != NULL)
        tick(feed);
}

static int handle_begin(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct wspr_host *host = ctx;
    struct feed *feed = calloc(1, sizeof *feed);
    struct wspr_reading *reading = NULL;
    char text[256];
    size_t len;
    const char *data = wspr_msg_data(msg, &len);
    int n, r = WSPR_ENOMEM;

    if (feed == NULL)
        return WSPR_ENOMEM;
    feed->every = 1000;
    if (wspr_read_object(data, len, fields, 1, "feed", feed, &reading, text, sizeof text) < 0) {
        free(feed);
        return wspr_flow_fail(flow, WSPR_EBADARG, text);
    }
    wspr_reading_free(reading);
    if (feed->every < wspr_option_int(host, "least") || feed->every > EVERY_MAX) {
        free(feed);
        return wspr_flow_fail_id(flow, "timefeed.BadTime", "not so often, or more often");
    }
    feed->timer = wspr_timer_new(host, tick, feed);
    if (feed->timer != NULL)
        r = wspr_flow_open(host, wspr_flow_conn(flow), feed, &feed->flow);
    if (r < 0) {
        feed_free(feed);
        return r;
    }
    feed->due = now_ms(CLOCK_MONOTONIC) + feed->every;
    wspr_timer_start(feed->timer, (uint64_t)feed->every);
    n = snprintf(text, sizeof text, "{\"feed\":%" PRId64 "}", wspr_flow_id(feed->flow));
    return wspr_flow_finish(flow, text, (size_t)n);
}

/* The flow is the feed's: the claim says OWN, so nobody else's comes here. */
static int handle_end(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct feed *feed = wspr_flow_state(flow);

    (void)ctx;
    (void)msg;
    wspr_flow_set_state(flow, NULL);
    feed_free(feed);
    wspr_flow_send(flow, WSPR_RESPONSE_STREAM_CLOSE, "null", 4);
    return wspr_flow_end(flow);
}

/* The page went away. */
static void flow_cancel(void *ctx, struct wspr_flow *flow)
{
    (void)ctx;
    feed_free(wspr_flow_state(flow));
    wspr_flow_end(flow);
}

static int load(struct wspr_host *host, void **ret_ctx)
{
    *ret_ctx = host;
    return 0;
}

static const struct wspr_claim claims[] = {
    {TYPE_BEGIN, WSPR_OPENS, "begin", handle_begin},
    {TYPE_END, WSPR_USES | WSPR_OWN, "end", handle_end},
};
static const struct wspr_option options[] = {
    {"least", "shortest time between two frames, in milliseconds", "10", WSPR_OPT_INT, 1, 3600000},
};
static const struct wspr_plugin plugin = {
    WSPR_PLUGIN_HEAD("time-feed", "1.0"),
    .claims = claims,
    .n_claims = sizeof claims / sizeof claims[0],
    .options = options,
    .n_options = sizeof options / sizeof options[0],
    .load = load,
    .flow_cancel = flow_cancel,
    .flow_writable = flow_writable,
};
WSPR_PLUGIN_EXPORT(plugin)

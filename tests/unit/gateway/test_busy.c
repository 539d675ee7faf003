/*
 * The threads of the pool and the loop at work on the same things: identities are associated while
 * pages call under those that they had, serve, are called and stop. Under ThreadSanitizer this is
 * what looks for races; everywhere each message has its answer.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "idrig.h"

#ifdef WSPR_SANITIZED
#define ROUNDS 40
#else
#define ROUNDS 120
#endif

/* Short enough for a handshake with each call, long enough for a call on a busy machine. */
#define LIFETIME (30 * CLOCK_S)

static const char *const origins[2] = {APP, OTHER};

struct busy {
    struct page assoc[2], caller[2], server, client;
    char endpoint[512];
};

/* The next message but the end of a stream: callers of the page's object send none. */
static const char *next(struct page *p)
{
    const char *got;

    do
        got = page_recv(p);
    while (got != NULL && strstr(got, "\\\"type\\\": 4") != NULL);
    return got;
}

/* One of the identities that are associated may not call: its refusal will do. */
static void answered(struct page *p, long long id, const char *what)
{
    char head[64];
    const char *got = next(p);

    snprintf(head, sizeof head, "{\"id\": %lld,", id);
    TAP_OK(got != NULL && strncmp(got, head, strlen(head)) == 0 &&
               (strstr(got, "\\\"type\\\": 0") != NULL ||
                strstr(got, "not authorized because caveat.MethodRestriction") != NULL),
           "%s %lld: %s", what, id, got != NULL ? got : "nothing");
}

static void serve(struct busy *b, long long id)
{
    const char *got, *at;

    page_message(&b->server, id, 1,
                 "{\"serverId\":1,\"service\":{\"echo\":{\"InArgs\":[\"s\"],\"NumOutArgs\":2,"
                 "\"IsStreaming\":false}}}");
    got = next(&b->server);
    at = got != NULL ? strstr(got, "@2@tcp") : NULL;
    TAP_OK(at != NULL, "%s", got != NULL ? got : "nothing");
    snprintf(b->endpoint, sizeof b->endpoint, "%.*s", at != NULL ? (int)strcspn(at, "\\") : 0,
             at != NULL ? at : "");
}

static void call_page(struct busy *b, long long id)
{
    char data[1024];

    snprintf(data, sizeof data,
             "{\"name\":\"/%s//x\",\"method\":\"echo\",\"inArgs\":[\"a\"],\"numOutArgs\":2}",
             b->endpoint);
    page_message(&b->client, id, 0, data);
}

/* The invocation comes on a flow of the gateway's. */
static void answer_call(struct busy *b)
{
    const char *got = next(&b->server);
    long long flow = -1;

    if (got != NULL)
        sscanf(got, "{\"id\": %lld,", &flow);
    TAP_OK(flow >= 0 && strstr(got, "\\\"type\\\": 3") != NULL, "%s",
           got != NULL ? got : "nothing");
    page_message(&b->server, flow, 2, "{\"results\":[\"r\"],\"err\":null}");
}

static void round_of(struct busy *b, int r)
{
    long long id = 2 * r + 1;

    serve(b, 4 * r + 1);
    for (int i = 0; i < 2; i++) {
        id_associate(&b->assoc[i], id, i == 0 ? "one" : "two",
                     (r + i) % 2 != 0 ? id_gw.ids.friend : id_gw.ids.limited, origins[(r + i) % 2]);
        id_call(&b->caller[i], id, "x", "whoami", 2);
    }
    call_page(b, id);
    answer_call(b);
    for (int i = 0; i < 2; i++) {
        answered(&b->assoc[i], id, "association");
        answered(&b->caller[i], id, "call");
    }
    answered(&b->client, id, "call of a page");
    page_message(&b->server, 4 * r + 3, 6, "1");
    answered(&b->server, 4 * r + 3, "stop");
}

static void loop_and_pool(void)
{
    struct gw_opts opts = {.log_to_text = true, .store = {.lifetime = LIFETIME}};
    struct busy b;

    opts.plugins[3] = serve_plugin_entry();
    opts.plugins[4] = stop_server_plugin_entry();
    opts.plugins[5] = stream_plugin_entry();
    id_begin_with(opts);
    for (int i = 0; i < 2; i++) {
        id_open_page(&b.assoc[i], NULL);
        id_open_page(&b.caller[i], origins[i]);
    }
    id_open_page(&b.server, "http://server.example");
    id_open_page(&b.client, "http://client.example");
    for (int r = 0; r < ROUNDS; r++)
        round_of(&b, r);
    TAP_IS(gateway_stats(id_gw.gateway)->associations == 2 * ROUNDS);
    for (int i = 0; i < 2; i++) {
        page_drop(&b.assoc[i]);
        page_drop(&b.caller[i]);
    }
    page_drop(&b.server);
    page_drop(&b.client);
    id_end();
}

static const struct tap_case cases[] = {{"loop and pool", loop_and_pool}};

const struct tap_suite suite_busy = TAP_SUITE("busy", cases);

/*
 * Pages that call the sample service and that serve, for whoever watches wsprd meanwhile:
 *
 *     torture-pages PORT ENDPOINT CALLS SERVES
 *
 * A new page for every 100 calls; a stream and a signature for every 10. Each serve is a server of
 * its own, called once by another page and stopped. Ends with 1 at the first answer that is wrong.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wspeer.h"

#define TIMEOUT_MS 120000

static int port;
static const char *endpoint;

static void fail(const char *what, const char *got)
{
    printf("# %s: %.300s\n", what, got);
    exit(1);
}

static void open_page(struct wspeer *p)
{
    struct wspeer_frame f;

    if (wspeer_connect(p, port, "/ws", NULL, TIMEOUT_MS) < 0 ||
        wspeer_recv_message(p, &f, TIMEOUT_MS) != WSPEER_FRAME)
        fail("connect", p->error);
}

static void say(struct wspeer *p, unsigned id, unsigned type, const char *data)
{
    char text[2048];

    snprintf(text, sizeof text, "{\"id\":%u,\"data\":\"%s\",\"type\":%u}", id, data, type);
    if (wspeer_send_text(p, text) < 0)
        fail("send", p->error);
}

/* The next message must begin like this; what follows. */
static const char *expect(struct wspeer *p, const char *start)
{
    struct wspeer_frame f;

    if (wspeer_recv_message(p, &f, TIMEOUT_MS) != WSPEER_FRAME)
        fail(start, p->error);
    if (strncmp((char *)f.data, start, strlen(start)) != 0)
        fail(start, (char *)f.data);
    return (char *)f.data + strlen(start);
}

static void request(struct wspeer *p, unsigned id, const char *name, const char *method,
                    const char *args, unsigned n, bool streaming)
{
    char data[1024];

    snprintf(data, sizeof data,
             "{\\\"name\\\":\\\"%s\\\",\\\"method\\\":\\\"%s\\\",\\\"inArgs\\\":%s,"
             "\\\"numOutArgs\\\":%u,\\\"isStreaming\\\":%s}",
             name, method, args, n, streaming ? "true" : "false");
    say(p, id, 0, data);
}

static void call(struct wspeer *p, unsigned i)
{
    char name[600], data[700];

    snprintf(name, sizeof name, "/%s//cache", endpoint);
    if (i % 10 == 1) {
        request(p, 5, name, "multiGet", "[]", 1, true);
        say(p, 5, 3, "\\\"k\\\"");
        say(p, 5, 4, "");
        expect(p, "{\"id\": 5, \"data\": \"{\\\"type\\\": 1,");
        expect(p, "{\"id\": 5, \"data\": \"{\\\"type\\\": 4,");
        expect(p, "{\"id\": 5, \"data\": \"{\\\"type\\\": 0,");
    } else if (i % 10 == 2) {
        snprintf(data, sizeof data, "{\\\"name\\\":\\\"%s\\\"}", name);
        say(p, 7, 5, data);
        expect(p, "{\"id\": 7, \"data\": \"{\\\"type\\\": 0,");
    } else if (i % 10 == 0) {
        request(p, 1, name, "set", "[\\\"k\\\",{\\\"a\\\":[1,null,\\\"x\\\"]}]", 1, false);
        expect(p, "{\"id\": 1, \"data\": \"{\\\"type\\\": 0,");
    } else {
        request(p, 3, name, "get", "[\\\"k\\\"]", 2, false);
        expect(p, "{\"id\": 3, \"data\": \"{\\\"type\\\": 0,");
    }
}

static void calls(unsigned n)
{
    struct wspeer p;

    for (unsigned i = 0; i < n; i++) {
        if (i % 100 == 0)
            open_page(&p);
        call(&p, i);
        if (i % 100 == 99 || i + 1 == n)
            wspeer_close(&p);
    }
}

static void serve(struct wspeer *server, struct wspeer *caller, unsigned i)
{
    char name[600], data[512];
    unsigned flow;
    const char *at;

    snprintf(data, sizeof data,
             "{\\\"name\\\":\\\"\\\",\\\"serverId\\\":%u,\\\"service\\\":{\\\"pick\\\":"
             "{\\\"InArgs\\\":[\\\"s\\\"],\\\"NumOutArgs\\\":2}}}",
             i);
    say(server, 1, 1, data);
    at = expect(server, "{\"id\": 1, \"data\": \"{\\\"type\\\": 0, \\\"message\\\": \\\"");
    snprintf(name, sizeof name, "/%.*s//x", (int)strcspn(at, "\\"), at);
    request(caller, 9, name, "pick", "[\\\"a\\\"]", 2, false);
    at = expect(server, "{\"id\": ");
    flow = (unsigned)strtoul(at, NULL, 10);
    expect(server, "{\"id\": "); /* the end of the caller's stream */
    snprintf(data, sizeof data, "{\\\"results\\\":[%u],\\\"err\\\":null}", i);
    say(server, flow, 2, data);
    expect(caller, "{\"id\": 9, \"data\": \"{\\\"type\\\": 0,");
    snprintf(data, sizeof data, "%u", i);
    say(server, 3, 6, data);
    expect(server, "{\"id\": 3, \"data\": \"{\\\"type\\\": 0,");
}

static void serves(unsigned n)
{
    struct wspeer server, caller;

    for (unsigned i = 0; i < n; i++) {
        if (i % 20 == 0) {
            open_page(&server);
            open_page(&caller);
        }
        serve(&server, &caller, i % 20 + 1);
        if (i % 20 == 19 || i + 1 == n) {
            wspeer_close(&server);
            wspeer_close(&caller);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    port = (int)strtol(argv[1], NULL, 10);
    endpoint = argv[2];
    calls((unsigned)strtoul(argv[3], NULL, 10));
    serves((unsigned)strtoul(argv[4], NULL, 10));
    printf("# %s calls, %s serves\n", argv[3], argv[4]);
    return 0;
}

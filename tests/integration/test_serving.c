/*
 * Objects of pages between daemons that die: a page on one wsprd serves, a page on another calls.
 * Whatever is killed, nobody waits for ever, and what is left goes on.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rig.h"
#include "tap.h"
#include "wspeer.h"

#define CALLS 100

static struct child table, relay;
static int table_port, relay_port;
static char root[64], endpoint[512];
static struct rig_wsprd near, far; /* of the serving page, and of the calling one */
static struct wspeer server, caller;

/* ---- pages ---- */

static void open_page(struct wspeer *p, const struct rig_wsprd *w)
{
    struct wspeer_frame frame;

    TAP_OK(wspeer_connect(p, w->port, "/ws?extras=cancel", NULL, RIG_TIMEOUT_MS) == 0 &&
               wspeer_recv_message(p, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME,
           "%s", p->error);
}

/* The next frame, "" if none came in time. */
static const char *next(struct wspeer *p)
{
    struct wspeer_frame frame;

    return wspeer_recv_message(p, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME ? (char *)frame.data : "";
}

/* The next frame must hold the text (quotes in its data are escaped there). */
static bool expect(struct wspeer *p, long id, const char *text)
{
    const char *got = next(p);
    char head[32];
    bool ok;

    snprintf(head, sizeof head, "{\"id\": %ld, ", id);
    ok = strncmp(got, head, strlen(head)) == 0 && strstr(got, text) != NULL;
    TAP_OK(ok, "expected %ld: %s, got %.300s", id, text, got[0] != '\0' ? got : p->error);
    return ok;
}

/* The same after ends of streams that nobody looked at. */
static const char *next_but_ends(struct wspeer *p)
{
    const char *got;

    do {
        got = next(p);
    } while (strstr(got, "{\\\"type\\\": 4") != NULL);
    return got;
}

static void serve(const char *name)
{
    char text[1024];
    const char *got, *at;

    snprintf(text, sizeof text,
             "{\"id\":1,\"type\":1,\"data\":\"{\\\"name\\\":\\\"%s\\\",\\\"serverId\\\":1,"
             "\\\"service\\\":{\\\"flow\\\":{\\\"InArgs\\\":[\\\"s\\\"],\\\"NumOutArgs\\\":2,"
             "\\\"IsStreaming\\\":true},\\\"ping\\\":{\\\"NumOutArgs\\\":1}}}\"}",
             name);
    wspeer_send_text(&server, text);
    got = next_but_ends(&server);
    at = strstr(got, "\\\"@2@");
    TAP_OK(at != NULL, "no endpoint: %s", got);
    snprintf(endpoint, sizeof endpoint, "%.*s", at != NULL ? (int)strcspn(at + 2, "\\") : 0,
             at != NULL ? at + 2 : "");
}

static void call(long id, const char *name, const char *method, const char *args, int results,
                 bool streaming)
{
    char text[1024];

    snprintf(text, sizeof text,
             "{\"id\":%ld,\"data\":\"{\\\"name\\\":\\\"%s\\\",\\\"method\\\":\\\"%s\\\","
             "\\\"inArgs\\\":%s,\\\"numOutArgs\\\":%d,\\\"isStreaming\\\":%s}\",\"type\":0}",
             id, name, method, args, results, streaming ? "true" : "false");
    wspeer_send_text(&caller, text);
}

static void send_value(struct wspeer *p, long id, const char *value)
{
    char text[256];

    snprintf(text, sizeof text, "{\"id\":%ld,\"data\":\"%s\",\"type\":3}", id, value);
    wspeer_send_text(p, text);
}

/* A stream that stands: one item has gone each way. */
static void open_stream(long id, long flow, const char *name)
{
    call(id, name, "flow", "[0]", 2, true);
    expect(&server, flow, "\\\"method\\\": \\\"flow\\\"");
    send_value(&caller, id, "1");
    expect(&server, flow, "{\\\"type\\\": 1, \\\"message\\\": 1}");
    send_value(&server, flow, "2");
    expect(&caller, id, "{\\\"type\\\": 1, \\\"message\\\": 2}");
}

/* One call of ping that must go well; flow is what the page gets. */
static void ping(long id, long flow, const char *name)
{
    char reply[64];

    call(id, name, "ping", "[]", 1, false);
    expect(&server, flow, "\\\"method\\\": \\\"ping\\\"");
    expect(&server, flow, "{\\\"type\\\": 4");
    snprintf(reply, sizeof reply, "{\"id\":%ld,\"data\":\"{}\",\"type\":2}", flow);
    wspeer_send_text(&server, reply);
    expect(&caller, id, "{\\\"type\\\": 0, \\\"message\\\": []}");
}

/* Tries until the object is found under the name; the calls that fail are answered all the same. */
static bool ping_until(long id, const char *name)
{
    struct timespec pause = {0, 50000000};
    long long until = child_now_ms() + 4 * RIG_TIMEOUT_MS;
    struct wspeer_frame frame;

    while (child_now_ms() < until) {
        call(id, name, "ping", "[]", 1, false);
        for (;;) {
            enum wspeer_result r = wspeer_recv_message(&server, &frame, 20);
            const char *at =
                r == WSPEER_FRAME ? strstr((char *)frame.data, "{\\\"type\\\": 3") : NULL;
            char reply[64];

            if (at != NULL) {
                snprintf(reply, sizeof reply, "{\"id\":%ld,\"data\":\"{}\",\"type\":2}",
                         strtol((char *)frame.data + 7, NULL, 10));
                wspeer_send_text(&server, reply);
            }
            r = wspeer_recv_message(&caller, &frame, 20);
            if (r == WSPEER_FRAME)
                break;
            if (child_now_ms() > until)
                return false;
        }
        if (strstr((char *)frame.data, "{\\\"type\\\": 0") != NULL)
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

/* ---- daemons ---- */

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    printf("Bail out! %s\n", what);
    exit(99);
}

static void begin(const char *vproxy)
{
    const char *args[] = {"-no-embedded", vproxy, NULL};
    char text[512];

    if (table.pid == 0) {
        need(rig_table_start(&table, text, sizeof text), "no mount table");
        table_port = rig_port_of(text);
        snprintf(root, sizeof root, "/127.0.0.1:%d", table_port);
    }
    need(rig_wsprd_start(&near, root, args), "no wsprd");
    args[1] = NULL;
    need(rig_wsprd_start(&far, root, args), "no wsprd");
    open_page(&server, &near);
    open_page(&caller, &far);
}

static void end(void)
{
    wspeer_close(&server);
    wspeer_close(&caller);
    if (child_alive(&near.child))
        TAP_OK(rig_wsprd_stop(&near), "the serving wsprd does not end well");
    if (child_alive(&far.child))
        TAP_OK(rig_wsprd_stop(&far), "the calling wsprd does not end well");
}

static const char *rooted(void)
{
    static char name[600];

    snprintf(name, sizeof name, "/%s//", endpoint);
    return name;
}

/* ---- what dies ---- */

/* Asks until nothing is mounted under the name any more. */
static bool unmounted(long id, const char *name)
{
    struct timespec pause = {0, 50000000};
    long long until = child_now_ms() + 4 * RIG_TIMEOUT_MS;

    while (child_now_ms() < until) {
        call(id, name, "ping", "[]", 1, false);
        if (strstr(next(&caller), "Name doesn't exist") != NULL)
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

/* The page in mid-stream: its caller learns it at once; its name is gone. */
static void test_page_dies(void)
{
    begin(NULL);
    serve("dies/page");
    TAP_IS(ping_until(1, "dies/page/sub"));
    wspeer_close(&server);
    open_page(&server, &near);
    serve("dies/page");
    open_stream(3, 0, rooted());
    wspeer_close(&server);
    expect(&caller, 3, "{\\\"type\\\": 4");
    expect(&caller, 3, "verror.Aborted\\\", \\\"msg\\\": \\\"timeout\\\"");
    open_page(&server, &near);
    TAP_OK(unmounted(5, "dies/page/other"), "the name stays mounted");
    end();
}

/* The caller's daemon in mid-stream: the page is told; others are not concerned. */
static void test_caller_dies(void)
{
    begin(NULL);
    serve("");
    open_stream(1, 0, rooted());
    child_stop(&far.child, SIGKILL, RIG_TIMEOUT_MS);
    expect(&server, 0, "{\\\"type\\\": 4");
    expect(&server, 0, "{\\\"type\\\": 5");
    wspeer_close(&caller);
    open_page(&caller, &near);
    ping(1, 2, rooted());
    end();
}

/* The page's daemon under many calls: each of them ends with an error. */
static void test_server_dies(void)
{
    unsigned failed = 0;

    begin(NULL);
    serve("");
    for (long i = 0; i < CALLS; i++) {
        call(2 * i + 1, rooted(), "ping", "[]", 1, false);
        expect(&server, 2 * i, "\\\"method\\\": \\\"ping\\\"");
        expect(&server, 2 * i, "{\\\"type\\\": 4");
    }
    child_stop(&near.child, SIGKILL, RIG_TIMEOUT_MS);
    while (failed < CALLS && strstr(next(&caller), "{\\\"type\\\": 2") != NULL)
        failed++;
    TAP_OK(failed == CALLS, "%u of %d callers were told", failed, CALLS);
    end();
}

/* The mount table: what is served goes on, stopping is answered, later names are mounted. */
static void test_table_dies(void)
{
    const char *got;
    char text[512];

    begin(NULL);
    serve("dies/table");
    TAP_IS(ping_until(1, "dies/table"));
    child_stop(&table, SIGKILL, RIG_TIMEOUT_MS);
    TAP_IS(ping_until(3, rooted()));
    wspeer_send_text(&server, "{\"id\":7,\"type\":6,\"data\":\"1\"}");
    got = next_but_ends(&server);
    TAP_OK(strncmp(got, "{\"id\": 7, ", 9) == 0 && strstr(got, "\\\"message\\\": true}") != NULL,
           "stopped: %s", got);
    need(rig_table_start_at(&table, table_port, text, sizeof text), "no second mount table");
    serve("dies/again");
    TAP_IS(ping_until(5, "dies/again"));
    end();
}

/* The relay under many calls: each ends with an error; when it is back, so is the page's name. */
static void test_relay_dies(void)
{
    unsigned told = 0;
    char vproxy[64], text[512];

    need(rig_relay_start(&relay, text, sizeof text), "no relay");
    relay_port = rig_port_of(text);
    snprintf(vproxy, sizeof vproxy, "-vproxy=/127.0.0.1:%d", relay_port);
    begin(vproxy);
    serve("dies/relay");
    TAP_OK(rig_port_of(endpoint) == relay_port, "%s is not the relay's", endpoint);
    for (long i = 0; i < CALLS; i++) {
        call(2 * i + 1, rooted(), "ping", "[]", 1, false);
        expect(&server, 2 * i, "\\\"method\\\": \\\"ping\\\"");
        expect(&server, 2 * i, "{\\\"type\\\": 4");
    }
    child_stop(&relay, SIGKILL, RIG_TIMEOUT_MS);
    while (told < CALLS && strstr(next(&caller), "{\\\"type\\\": 2") != NULL)
        told++;
    TAP_OK(told == CALLS, "%u of %d callers were told", told, CALLS);
    for (told = 0; told < CALLS && strstr(next(&server), "{\\\"type\\\": 5") != NULL;)
        told++;
    TAP_OK(told == CALLS, "the page was told of %u calls of %d", told, CALLS);
    need(rig_relay_start_at(&relay, relay_port, text, sizeof text), "no second relay");
    TAP_IS(ping_until(1001, "dies/relay"));
    end();
    TAP_IS(rig_relay_stop(&relay));
}

static void test_the_table_ends(void)
{
    TAP_IS(rig_table_stop(&table));
}

static const struct tap_case cases[] = {
    {"the page dies in mid-stream", test_page_dies},
    {"the caller dies in mid-stream", test_caller_dies},
    {"the serving daemon dies under many calls", test_server_dies},
    {"the mount table dies", test_table_dies},
    {"the relay dies under many calls", test_relay_dies},
    {"the mount table ends well", test_the_table_ends},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("serving", cases)};

    return tap_main(argc, argv, suites, 1);
}

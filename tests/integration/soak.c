/*
 * Clients of every kind, polite and not, at random for SOAK_SECONDS (60), and then a look at what
 * wsprd kept: descriptors as many as before, memory no more than after the first quarter. The seed
 * is printed; SOAK_SEED repeats a run, as far as time allows.
 */
#include "config.h"

#include <dirent.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rig.h"
#include "wspeer.h"

#define SOAK_CLIENTS    24
#define SOAK_SLACK_KIB  2048
#define SOAK_REPORT_MS  10000
#define SOAK_SETTLE_MS  20000
#define SOAK_ROOT       "/@2@tcp@127.0.0.1:1@00000000000000000000000000000001@1@2@@"
#define SOAK_UNANSWERED "/@2@tcp@127.0.0.1:1@00000000000000000000000000000002@1@2@@"

struct soak_client {
    struct wspeer peer;
    bool open;
    bool streaming; /* a call with id 1 has its stream open */
};

struct soak {
    struct rig_wsprd wsprd;
    struct child sampled;
    char endpoint[512];
    char served[512]; /* of the page that served last; it may be gone */
    struct soak_client clients[SOAK_CLIENTS];
    uint64_t random;
    uint64_t connections, messages, answers, bad;
    unsigned id;
};

static unsigned soak_random(struct soak *s, unsigned below)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (unsigned)(s->random >> 33) % below;
}

static unsigned soak_descriptors(pid_t pid)
{
    char path[64];
    unsigned n = 0;
    DIR *d;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    d = opendir(path);
    while (d != NULL && readdir(d) != NULL)
        n++;
    if (d != NULL)
        closedir(d);
    return n;
}

static unsigned long soak_memory(pid_t pid)
{
    char path[64], line[256];
    unsigned long kib = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "Anonymous:", 10) == 0)
            kib = strtoul(line + 10, NULL, 10);
    }
    if (f != NULL)
        fclose(f);
    return kib;
}

static void soak_drop(struct soak_client *c)
{
    wspeer_close(&c->peer);
    c->open = false;
    c->streaming = false;
}

/* A page that serves is called: it answers, or errs, or says too much, or nothing. */
static void soak_invoked(struct soak *s, struct soak_client *c, const char *frame)
{
    long long id = strtoll(frame + 7, NULL, 10);
    static const char *const answers[] = {
        "{\\\"results\\\":[{\\\"a\\\":[1,null]}],\\\"err\\\":null}",
        "{\\\"results\\\":[],\\\"err\\\":{\\\"iD\\\":\\\"soak\\\",\\\"msg\\\":\\\"\\\"}}",
        "{\\\"results\\\":[1,2,3]}",
        "oops",
    };
    char text[512];

    for (unsigned n = soak_random(s, 4); n > 0; n--) {
        snprintf(text, sizeof text, "{\"id\":%lld,\"data\":\"%s\",\"type\":3}", id,
                 n % 2 > 0 ? "[1,\\\"item\\\"]" : "null");
        wspeer_send_text(&c->peer, text);
    }
    if (soak_random(s, 8) == 0)
        return;
    snprintf(text, sizeof text, "{\"id\":%lld,\"data\":\"%s\",\"type\":2}", id,
             answers[soak_random(s, 4)]);
    wspeer_send_text(&c->peer, text);
}

/* What a frame means for serving: an endpoint, or a call. */
static void soak_serving(struct soak *s, struct soak_client *c, const char *frame)
{
    const char *at = strstr(frame, "{\\\"type\\\": 0, \\\"message\\\": \\\"@2@");

    if (at != NULL) {
        at = strstr(at, "@2@");
        snprintf(s->served, sizeof s->served, "%.*s", (int)strcspn(at, "\\"), at);
    } else if (strstr(frame, "{\\\"type\\\": 3, ") != NULL) {
        soak_invoked(s, c, frame);
    }
}

/* Takes what came. Every text is an object or the one raw sentence. */
static void soak_drain(struct soak *s, struct soak_client *c)
{
    struct wspeer_frame frame;
    enum wspeer_result r;

    while ((r = wspeer_recv_message(&c->peer, &frame, 0)) == WSPEER_FRAME) {
        if (frame.op == WSPEER_CLOSE) {
            soak_drop(c);
            return;
        }
        s->answers++;
        if (frame.data[0] != '{' && strncmp((char *)frame.data, "can't unmarshall", 16) != 0) {
            s->bad++;
            printf("# an odd frame: %.200s\n", (char *)frame.data);
        }
        soak_serving(s, c, (char *)frame.data);
    }
    if (r == WSPEER_ERROR) {
        s->bad++;
        printf("# %s\n", c->peer.error);
    }
    if (r != WSPEER_TIMEOUT)
        soak_drop(c);
}

static void soak_connect(struct soak *s, struct soak_client *c)
{
    const char *path = soak_random(s, 2) > 0 ? "/ws?extras=cancel" : "/ws";

    if (wspeer_connect(&c->peer, s->wsprd.port, path, NULL, RIG_TIMEOUT_MS) < 0) {
        s->bad++;
        printf("# %s\n", c->peer.error);
        soak_drop(c);
        return;
    }
    c->open = true;
    s->connections++;
}

static void soak_call(struct soak *s, struct soak_client *c, const char *endpoint,
                      const char *method, const char *args, unsigned results)
{
    char text[1024];

    s->id += 2;
    snprintf(text, sizeof text,
             "{\"id\":%u,\"data\":\"{\\\"name\\\":\\\"/%s//cache\\\",\\\"method\\\":\\\"%s\\\","
             "\\\"inArgs\\\":%s,\\\"numOutArgs\\\":%u}\",\"type\":0}",
             s->id * 2 + 3, endpoint, method, args, results);
    wspeer_send_text(&c->peer, text);
}

static void soak_stream(struct soak *s, struct soak_client *c)
{
    char text[1024];

    if (!c->streaming) {
        snprintf(
            text, sizeof text,
            "{\"id\":1,\"data\":\"{\\\"name\\\":\\\"/%s//cache\\\",\\\"method\\\":"
            "\\\"multiGet\\\",\\\"inArgs\\\":[],\\\"numOutArgs\\\":1,\\\"isStreaming\\\":true}\","
            "\"type\":0}",
            s->endpoint);
        wspeer_send_text(&c->peer, text);
        c->streaming = true;
    } else if (soak_random(s, 10) == 0) {
        wspeer_send_text(&c->peer, "{\"id\":1,\"type\":4}");
        c->streaming = false;
    } else {
        wspeer_send_text(&c->peer, soak_random(s, 20) > 0
                                       ? "{\"id\":1,\"data\":\"\\\"soak\\\"\",\"type\":3}"
                                       : "{\"id\":1,\"data\":\"{\",\"type\":3}");
    }
}

/* Serves, calls what is served, stops: one of the few numbers that all pages use. */
static void soak_serve(struct soak *s, struct soak_client *c)
{
    unsigned what = soak_random(s, 12), server = soak_random(s, 3);
    char text[1024];

    s->id += 2;
    if (what < 2)
        snprintf(
            text, sizeof text,
            "{\"id\":%u,\"data\":\"{\\\"name\\\":\\\"%s\\\",\\\"serverId\\\":%u,\\\"service\\\":"
            "{\\\"flow\\\":{\\\"InArgs\\\":[\\\"s\\\"],\\\"NumOutArgs\\\":2,"
            "\\\"IsStreaming\\\":true}}}\",\"type\":1}",
            s->id * 2 + 3, soak_random(s, 4) == 0 ? "soak/page" : "", server);
    else if (what == 2)
        snprintf(text, sizeof text, "{\"id\":%u,\"data\":\"%u\",\"type\":6}", s->id * 2 + 3,
                 server);
    else
        snprintf(text, sizeof text,
                 "{\"id\":%u,\"data\":\"{\\\"name\\\":\\\"/%s//x\\\",\\\"method\\\":\\\"flow\\\","
                 "\\\"inArgs\\\":[{\\\"s\\\":1}],\\\"numOutArgs\\\":2,\\\"isStreaming\\\":%s}\","
                 "\"type\":0}",
                 s->id * 2 + 3, s->served, what % 2 > 0 ? "true" : "false");
    wspeer_send_text(&c->peer, text);
}

static void soak_message(struct soak *s, struct soak_client *c)
{
    char text[1024];

    s->messages++;
    switch (soak_random(s, 18)) {
    case 0:
        soak_call(s, c, s->endpoint, "set", "[\\\"soak\\\",{\\\"a\\\":[1,2.5,null]}]", 1);
        break;
    case 1:
        soak_call(s, c, s->endpoint, "nonsense", "[]", 1);
        break;
    case 2:
        soak_call(s, c, s->endpoint, "keyPage", "[\\\"x\\\"]", 2);
        break;
    case 3:
        soak_call(s, c, &SOAK_UNANSWERED[1], "get", "[\\\"soak\\\"]", 2);
        break;
    case 4:
        snprintf(text, sizeof text,
                 "{\"id\":%u,\"data\":\"{\\\"name\\\":\\\"/%s//cache\\\"}\",\"type\":5}", s->id * 4,
                 s->endpoint);
        wspeer_send_text(&c->peer, text);
        break;
    case 5:
        wspeer_send_text(&c->peer, "{\"id\":[}");
        break;
    case 6:
        wspeer_send(&c->peer, WSPEER_FIN | WSPEER_PING, "soak", 4);
        break;
    case 7:
    case 8:
    case 9:
        soak_stream(s, c);
        break;
    case 10:
    case 11:
    case 12:
    case 13:
    case 14:
        soak_serve(s, c);
        break;
    default:
        soak_call(s, c, s->endpoint, "get", "[\\\"soak\\\"]", 2);
        break;
    }
}

/* The ways in which a client goes: a close, a broken frame, half a frame, without a word. */
static void soak_leave(struct soak *s, struct soak_client *c)
{
    switch (soak_random(s, 4)) {
    case 0:
        wspeer_send(&c->peer, WSPEER_FIN | WSPEER_CLOSE, "\x03\xe8", 2);
        return;
    case 1:
        wspeer_send_raw(&c->peer, "\xc1\x80mask", 6);
        return;
    case 2:
        wspeer_send_raw(&c->peer, "\x81\xfe\x10\x00mask{\"id\":", 14);
        break;
    default:
        break;
    }
    soak_drop(c);
}

static void soak_step(struct soak *s)
{
    struct soak_client *c = &s->clients[soak_random(s, SOAK_CLIENTS)];

    if (!c->open) {
        soak_connect(s, c);
        return;
    }
    if (soak_random(s, 40) == 0)
        soak_leave(s, c);
    else
        soak_message(s, c);
    if (c->open)
        soak_drain(s, c);
}

/* True once wsprd has no more descriptors than at the start. */
static bool soak_settles(struct soak *s, unsigned before)
{
    long long until = child_now_ms() + SOAK_SETTLE_MS;

    while (soak_descriptors(s->wsprd.child.pid) > before) {
        if (child_now_ms() > until)
            return false;
        poll(NULL, 0, 50);
    }
    return true;
}

static bool soak_start(struct soak *s)
{
    const char *seed = getenv("SOAK_SEED");

    s->random = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    printf("# SOAK_SEED=%llu\n", (unsigned long long)s->random);
    s->random = s->random * 2654435769u + 1;
    return rig_sampled_start(&s->sampled, NULL, s->endpoint, sizeof s->endpoint) &&
           rig_wsprd_start(&s->wsprd, SOAK_ROOT, NULL);
}

static unsigned long soak_report(struct soak *s, long long since)
{
    unsigned long kib = soak_memory(s->wsprd.child.pid);

    printf("# %lld s: %llu connections, %llu messages, %llu answers, %lu KiB, %u descriptors\n",
           (child_now_ms() - since) / 1000, (unsigned long long)s->connections,
           (unsigned long long)s->messages, (unsigned long long)s->answers, kib,
           soak_descriptors(s->wsprd.child.pid));
    fflush(stdout);
    return kib;
}

/* Runs until the time is over; the memory held after the first quarter, or 0 if wsprd died. */
static unsigned long soak_run(struct soak *s, long long ms)
{
    long long began = child_now_ms(), next = began + SOAK_REPORT_MS;
    unsigned long quarter = 0;

    while (child_now_ms() < began + ms) {
        for (int i = 0; i < 100; i++)
            soak_step(s);
        if (!child_alive(&s->wsprd.child) || !child_alive(&s->sampled))
            return 0;
        if (quarter == 0 && child_now_ms() > began + ms / 4)
            quarter = soak_memory(s->wsprd.child.pid);
        if (child_now_ms() > next) {
            soak_report(s, began);
            next += SOAK_REPORT_MS;
        }
    }
    soak_report(s, began);
    return quarter;
}

static bool soak_failed;

static void soak_result(int number, bool ok, const char *name)
{
    printf("%sok %d - soak/%s\n", ok ? "" : "not ", number, name);
    soak_failed = soak_failed || !ok;
}

int main(void)
{
    static struct soak s;
    const char *seconds = getenv("SOAK_SECONDS");
    long long ms = (seconds != NULL ? strtoll(seconds, NULL, 10) : 60) * 1000;
    unsigned long quarter, after;
    unsigned before;

    for (size_t i = 0; i < SOAK_CLIENTS; i++)
        s.clients[i].peer.fd = -1;
    printf("1..5\n");
    if (!soak_start(&s)) {
        printf("Bail out! the daemons do not start\n");
        return 1;
    }
    /* The circuit to the service may stay, one to itself, and the socket for peers. */
    before = soak_descriptors(s.wsprd.child.pid) + 5;
    quarter = soak_run(&s, ms);
    for (size_t i = 0; i < SOAK_CLIENTS; i++)
        soak_drop(&s.clients[i]);
    soak_result(1, quarter > 0 && s.bad == 0 && s.answers > 0, "the daemons live and answer");
    soak_result(2, soak_settles(&s, before), "no descriptor is left over");
    after = soak_memory(s.wsprd.child.pid);
    printf("# %u descriptors, %u at the start; %lu KiB, %lu KiB after the first quarter\n",
           soak_descriptors(s.wsprd.child.pid), before, after, quarter);
#ifdef WSPR_SANITIZED
    printf("ok 3 - soak/memory does not grow # SKIP a sanitizer keeps what was freed\n");
#else
    soak_result(3, after <= quarter + quarter / 10 + SOAK_SLACK_KIB, "memory does not grow");
#endif
    soak_result(4, rig_wsprd_stop(&s.wsprd), "wsprd ends well");
    soak_result(5, rig_sampled_stop(&s.sampled), "the service ends well");
    return soak_failed;
}

/* Well-behaved pages of one wsprd: their calls are measured all the time. */
#include "config.h"
#include "patience.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"

#define BIG          65536 /* of the value that deaf pages ask for */
#define NEIGHBOUR_MS 1     /* between two calls */

struct neighbour {
    struct neighbours *all;
    struct wspeer caller, server;
    char endpoint[PATIENCE_ENDPOINT];
    long id;
};

static void neighbour_trouble(struct neighbours *all, const char *what, const char *got)
{
    if (all->troubled || all->stop)
        return;
    snprintf(all->trouble, sizeof all->trouble, "%s: %.150s", what, got);
    all->troubled = true;
}

/* The next message of one page; the other one's pings are answered meanwhile. */
static const char *neighbour_next(struct neighbour *n, struct wspeer *p)
{
    struct wspeer *other = p == &n->caller ? &n->server : &n->caller;
    long long until = child_now_ms() + RIG_TIMEOUT_MS;
    struct wspeer_frame frame;
    enum wspeer_result r;

    do {
        r = wspeer_recv_message(p, &frame, 100);
        if (r == WSPEER_FRAME)
            return frame.op == WSPEER_CLOSE ? "it was ended" : (char *)frame.data;
        if (r == WSPEER_TIMEOUT && other->fd >= 0)
            page_drain(other);
    } while (r == WSPEER_TIMEOUT && child_now_ms() < until);
    return r == WSPEER_TIMEOUT ? "nothing comes" : p->error;
}

static bool neighbour_open(struct neighbour *n, struct wspeer *page)
{
    struct wspeer_frame frame;

    if (wspeer_connect(page, n->all->wsprd->port, "/ws", NULL, RIG_TIMEOUT_MS) == 0 &&
        wspeer_recv_message(page, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME)
        return true;
    neighbour_trouble(n->all, "cannot connect", page->error);
    return false;
}

static bool neighbour_serve(struct neighbour *n)
{
    const char *got, *at;

    wspeer_send_text(&n->server,
                     "{\"id\":1,\"type\":1,\"data\":\"{\\\"name\\\":\\\"\\\",\\\"serverId\\\":1,"
                     "\\\"service\\\":{\\\"echo\\\":{\\\"InArgs\\\":[\\\"s\\\"],"
                     "\\\"NumOutArgs\\\":2}}}\"}");
    got = neighbour_next(n, &n->server);
    at = strstr(got, "\\\"@2@");
    if (at == NULL) {
        neighbour_trouble(n->all, "cannot serve", got);
        return false;
    }
    snprintf(n->endpoint, sizeof n->endpoint, "%.*s", (int)strcspn(at + 2, "\\"), at + 2);
    return true;
}

static bool neighbour_result(struct neighbour *n, const char *what)
{
    const char *got = neighbour_next(n, &n->caller);

    if (strstr(got, "{\\\"type\\\": 0,") != NULL)
        return true;
    neighbour_trouble(n->all, what, got);
    return false;
}

static bool neighbour_set(struct neighbour *n)
{
    char name[2 * PATIENCE_ENDPOINT], *args = malloc(BIG + 64);
    size_t at = (size_t)snprintf(args, 64, "[\\\"big\\\",\\\"");
    bool ok;

    memset(args + at, 'v', BIG);
    memcpy(args + at + BIG, "\\\"]", 4);
    name_of(name, sizeof name, n->all->sampled_at, "cache");
    page_call(&n->caller, 1, name, "set", args, 1, false);
    ok = neighbour_result(n, "set");
    page_call(&n->caller, 3, name, "set", "[\\\"small\\\",\\\"16 bytes of text\\\"]", 1, false);
    ok = ok && neighbour_result(n, "set");
    free(args);
    n->id = 5;
    return ok;
}

static void count(struct neighbours *all, bool served, uint64_t ns)
{
    pthread_mutex_lock(&all->lock);
    measure_add(served ? &all->times->served : &all->times->plain, ns);
    pthread_mutex_unlock(&all->lock);
}

static bool neighbour_get(struct neighbour *n)
{
    char name[2 * PATIENCE_ENDPOINT];
    uint64_t since = measure_now();

    name_of(name, sizeof name, n->all->sampled_at, "cache");
    page_call(&n->caller, n->id, name, "get", "[\\\"small\\\"]", 2, false);
    n->id += 2;
    if (!neighbour_result(n, "get"))
        return false;
    count(n->all, false, measure_now() - since);
    return true;
}

static bool neighbour_echo(struct neighbour *n)
{
    char name[2 * PATIENCE_ENDPOINT], reply[128];
    uint64_t since = measure_now();
    const char *got;

    name_of(name, sizeof name, n->endpoint, "");
    page_call(&n->caller, n->id, name, "echo", "[\\\"x\\\"]", 2, false);
    n->id += 2;
    do {
        got = neighbour_next(n, &n->server);
    } while (strstr(got, "{\\\"type\\\": 4,") != NULL);
    if (strstr(got, "{\\\"type\\\": 3,") == NULL) {
        neighbour_trouble(n->all, "invocation", got);
        return false;
    }
    snprintf(reply, sizeof reply,
             "{\"id\":%ld,\"data\":\"{\\\"results\\\":[\\\"x\\\"],\\\"err\\\":null}\",\"type\":2}",
             strtol(got + 7, NULL, 10));
    wspeer_send_text(&n->server, reply);
    if (!neighbour_result(n, "echo"))
        return false;
    count(n->all, true, measure_now() - since);
    return true;
}

static void *neighbour_run(void *arg)
{
    struct neighbour n = {.all = arg, .caller.fd = -1, .server.fd = -1};
    bool ok = neighbour_open(&n, &n.caller) && neighbour_open(&n, &n.server) &&
              neighbour_serve(&n) && neighbour_set(&n);

    while (ok && !n.all->stop) {
        ok = neighbour_get(&n) && neighbour_echo(&n);
        poll(NULL, 0, NEIGHBOUR_MS);
    }
    wspeer_close(&n.caller);
    wspeer_close(&n.server);
    return NULL;
}

bool neighbours_start(struct neighbours *all, const struct rig_wsprd *wsprd, const char *sampled_at,
                      struct times *times)
{
    all->wsprd = wsprd;
    all->sampled_at = sampled_at;
    all->times = times;
    pthread_mutex_init(&all->lock, NULL);
    all->started = pthread_create(&all->thread, NULL, neighbour_run, all) == 0;
    return all->started;
}

void neighbours_measure(struct neighbours *all, struct times *times)
{
    pthread_mutex_lock(&all->lock);
    all->times = times;
    pthread_mutex_unlock(&all->lock);
}

uint64_t neighbours_served(struct neighbours *all)
{
    uint64_t n;

    pthread_mutex_lock(&all->lock);
    n = all->times->served.count;
    pthread_mutex_unlock(&all->lock);
    return n;
}

void neighbours_stop(struct neighbours *all)
{
    if (!all->started)
        return;
    all->stop = true;
    pthread_join(all->thread, NULL);
    pthread_mutex_destroy(&all->lock);
    all->started = false;
}

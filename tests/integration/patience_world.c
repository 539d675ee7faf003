#include "config.h"
#include "patience.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"

#define BIG          65536 /* of the value that deaf pages ask for */
#define NEIGHBOUR_MS 1     /* between two calls */
#define SLACK_KIB    3072  /* caches of memory that fill once: spare calls, circuits, blocks */
#define SLACK_SHARE  10
#define SETTLE_LOOK  100

/* ---- daemons ---- */

static bool start_near(struct world *w)
{
    char output[32], input[32];
    const char *const brief[] = {"-no-embedded",
                                 "-page-timeout=8s",
                                 "-peer-timeout=3s",
                                 "-circuit-idle=1s",
                                 output,
                                 input,
                                 NULL};
    const char *const usual[] = {"-no-embedded", output, input, NULL};

    snprintf(output, sizeof output, "-max-output=%d", PATIENCE_MIB);
    snprintf(input, sizeof input, "-max-input=%d", PATIENCE_MIB);
    return rig_wsprd_start(&w->near, w->root, w->brief ? brief : usual);
}

static bool start_far(struct world *w)
{
    char vproxy[64], text[PATIENCE_ENDPOINT];
    const char *const brief[] = {"-no-embedded", vproxy, "-peer-timeout=3s", NULL};
    const char *const usual[] = {"-no-embedded", vproxy, NULL};

    if (!rig_relay_start(&w->relay, text, sizeof text))
        return false;
    w->relay_port = rig_port_of(text);
    snprintf(vproxy, sizeof vproxy, "-vproxy=/127.0.0.1:%d", w->relay_port);
    return rig_wsprd_start(&w->far, w->root, w->brief ? brief : usual);
}

/* ---- the neighbours ---- */

struct neighbour {
    struct world *w;
    struct wspeer caller, server;
    char endpoint[PATIENCE_ENDPOINT];
    long id;
};

static void neighbour_trouble(struct world *w, const char *what, const char *got)
{
    if (w->neighbour_troubled || w->neighbour_stop)
        return;
    snprintf(w->neighbour_trouble, sizeof w->neighbour_trouble, "%s: %.150s", what, got);
    w->neighbour_troubled = true;
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

    if (wspeer_connect(page, n->w->near.port, "/ws", NULL, RIG_TIMEOUT_MS) == 0 &&
        wspeer_recv_message(page, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME)
        return true;
    neighbour_trouble(n->w, "cannot connect", page->error);
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
        neighbour_trouble(n->w, "cannot serve", got);
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
    neighbour_trouble(n->w, what, got);
    return false;
}

static bool neighbour_set(struct neighbour *n)
{
    char name[2 * PATIENCE_ENDPOINT], *args = malloc(BIG + 64);
    size_t at = (size_t)snprintf(args, 64, "[\\\"big\\\",\\\"");
    bool ok;

    memset(args + at, 'v', BIG);
    memcpy(args + at + BIG, "\\\"]", 4);
    name_of(name, sizeof name, n->w->sampled_at, "cache");
    page_call(&n->caller, 1, name, "set", args, 1, false);
    ok = neighbour_result(n, "set");
    page_call(&n->caller, 3, name, "set", "[\\\"small\\\",\\\"16 bytes of text\\\"]", 1, false);
    ok = ok && neighbour_result(n, "set");
    free(args);
    n->id = 5;
    return ok;
}

static void count(struct world *w, struct measure **m, uint64_t ns)
{
    pthread_mutex_lock(&w->measuring);
    measure_add(*m, ns);
    pthread_mutex_unlock(&w->measuring);
}

static bool neighbour_get(struct neighbour *n)
{
    char name[2 * PATIENCE_ENDPOINT];
    uint64_t since = measure_now();

    name_of(name, sizeof name, n->w->sampled_at, "cache");
    page_call(&n->caller, n->id, name, "get", "[\\\"small\\\"]", 2, false);
    n->id += 2;
    if (!neighbour_result(n, "get"))
        return false;
    count(n->w, &n->w->plain, measure_now() - since);
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
        neighbour_trouble(n->w, "invocation", got);
        return false;
    }
    snprintf(reply, sizeof reply,
             "{\"id\":%ld,\"data\":\"{\\\"results\\\":[\\\"x\\\"],\\\"err\\\":null}\",\"type\":2}",
             strtol(got + 7, NULL, 10));
    wspeer_send_text(&n->server, reply);
    if (!neighbour_result(n, "echo"))
        return false;
    count(n->w, &n->w->served, measure_now() - since);
    return true;
}

static void *neighbour_run(void *arg)
{
    struct neighbour n = {.w = arg, .caller.fd = -1, .server.fd = -1};
    bool ok = neighbour_open(&n, &n.caller) && neighbour_open(&n, &n.server) &&
              neighbour_serve(&n) && neighbour_set(&n);

    while (ok && !n.w->neighbour_stop) {
        ok = neighbour_get(&n) && neighbour_echo(&n);
        poll(NULL, 0, NEIGHBOUR_MS);
    }
    wspeer_close(&n.caller);
    wspeer_close(&n.server);
    return NULL;
}

void world_measure(struct world *w, struct measure *plain, struct measure *served)
{
    pthread_mutex_lock(&w->measuring);
    w->plain = plain;
    w->served = served;
    pthread_mutex_unlock(&w->measuring);
}

/* ---- the world ---- */

bool world_start(struct world *w, bool brief, unsigned needs)
{
    static struct measure first_plain, first_served;
    char text[PATIENCE_ENDPOINT];

    w->brief = brief;
    w->needs = needs;
    w->plain = &first_plain;
    w->served = &first_served;
    pthread_mutex_init(&w->children, NULL);
    pthread_mutex_init(&w->measuring, NULL);
    if (!rig_table_start(&w->table, text, sizeof text))
        return false;
    w->table_port = rig_port_of(text);
    snprintf(w->root, sizeof w->root, "/127.0.0.1:%d", w->table_port);
    if (!rig_sampled_start(&w->sampled, NULL, w->sampled_at, sizeof w->sampled_at) ||
        !start_near(w))
        return false;
    if ((needs & PATIENCE_NEEDS_SLOW) != 0 &&
        !rig_slow_start(&w->slow, w->slow_at, sizeof w->slow_at))
        return false;
    if ((needs & PATIENCE_NEEDS_FAR) != 0 && !start_far(w))
        return false;
    return pthread_create(&w->neighbour, NULL, neighbour_run, w) == 0;
}

void world_quiet(struct world *w)
{
    w->neighbour_stop = true;
    pthread_join(w->neighbour, NULL);
}

long long world_stop_near(struct world *w)
{
    long long began = child_now_ms();

    return rig_wsprd_stop(&w->near) ? child_now_ms() - began : -1;
}

bool world_end(struct world *w)
{
    bool ok = true;

    if ((w->needs & PATIENCE_NEEDS_FAR) != 0)
        ok = rig_wsprd_stop(&w->far) && rig_relay_stop(&w->relay);
    if ((w->needs & PATIENCE_NEEDS_SLOW) != 0)
        ok = rig_slow_stop(&w->slow) && ok;
    ok = rig_sampled_stop(&w->sampled) && ok;
    pthread_mutex_destroy(&w->children);
    pthread_mutex_destroy(&w->measuring);
    return rig_table_stop(&w->table) && ok;
}

/* ---- what is held ---- */

static unsigned descriptors(pid_t pid)
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

uint64_t world_memory(const struct world *w)
{
    return measure_anonymous(w->near.child.pid);
}

void world_look(struct world *w, struct patience_held *h)
{
    char *text = rig_wsprd_counters(&w->near);

    h->kib = world_memory(w);
    h->descriptors = descriptors(w->near.child.pid);
    h->used = rig_counter(text, "memory", "used");
    h->idle = rig_counter(text, "memory", "idle");
    h->conns = rig_counter(text, "gateway", "conns");
    h->flows = rig_counter(text, "gateway", "flows");
    h->servers = rig_counter(text, "gateway", "servers");
    h->pending = rig_counter(text, "gateway", "pending");
    h->vc_flows = rig_counter(text, "vc", "flows");
    h->calls = rig_counter(text, "rpc", "calls");
    h->serving = rig_counter(text, "rpc", "serving");
    h->names = rig_counter(text, "rpc", "names");
    h->links = rig_counter(text, "rpc", "links");
    h->vcs = rig_counter(text, "rpc", "vcs");
    free(text);
}

void world_print_held(const char *when, const struct patience_held *h)
{
    printf("#   %-6s %7llu KiB (%lld used, %lld idle), %3u descriptors, conns %lld, flows %lld, "
           "servers %lld, names %lld, pending %lld, calls %lld, serving %lld, vc flows %lld, "
           "links %lld, vcs %lld\n",
           when, (unsigned long long)h->kib, h->used / 1024, h->idle / 1024, h->descriptors,
           h->conns, h->flows, h->servers, h->names, h->pending, h->calls, h->serving, h->vc_flows,
           h->links, h->vcs);
}

/* The neighbours may be in the midst of a call: that is one flow and what belongs to it. */
bool world_is_back(const struct patience_held *before, const struct patience_held *now)
{
    bool memory = now->kib <= before->kib + before->kib / SLACK_SHARE + SLACK_KIB;

#ifdef WSPR_SANITIZED
    memory = true; /* a sanitizer keeps what was freed */
#endif
    return memory && now->descriptors <= before->descriptors && now->conns == before->conns &&
           now->servers == before->servers && now->names == before->names && now->flows <= 2 &&
           now->pending <= 1 && now->calls <= 1 && now->serving <= 1 && now->vc_flows <= 2 &&
           now->links <= before->links && now->vcs <= before->vcs;
}

bool world_settles(struct world *w, const struct patience_held *before,
                   struct patience_held *ret_now, int timeout_ms)
{
    long long until = child_now_ms() + timeout_ms;

    for (;;) {
        world_look(w, ret_now);
        if (world_is_back(before, ret_now))
            return true;
        if (child_now_ms() > until)
            return false;
        poll(NULL, 0, SETTLE_LOOK);
    }
}

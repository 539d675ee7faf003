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

#define SLACK_KIB   3072 /* caches of memory that fill once: spare calls, circuits, blocks */
#define SLACK_SHARE 10
#define SETTLE_LOOK 100

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

/* ---- the world ---- */

bool world_start(struct world *w, bool brief, unsigned needs)
{
    static const char *const quiet[] = {"-no-embedded", NULL};
    static struct times first[2];
    char text[PATIENCE_ENDPOINT];

    w->brief = brief;
    w->needs = needs;
    pthread_mutex_init(&w->children, NULL);
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
    if ((needs & PATIENCE_NEEDS_OTHER) != 0 &&
        !(rig_wsprd_start(&w->other, w->root, quiet) &&
          neighbours_start(&w->elsewhere, &w->other, w->sampled_at, &first[1])))
        return false;
    return neighbours_start(&w->here, &w->near, w->sampled_at, &first[0]);
}

void world_quiet(struct world *w)
{
    neighbours_stop(&w->here);
    neighbours_stop(&w->elsewhere);
}

long long world_stop_near(struct world *w)
{
    long long began = child_now_ms();

    return rig_wsprd_stop(&w->near) ? child_now_ms() - began : -1;
}

bool world_end(struct world *w)
{
    bool ok = true;

    if ((w->needs & PATIENCE_NEEDS_OTHER) != 0)
        ok = rig_wsprd_stop(&w->other);
    if ((w->needs & PATIENCE_NEEDS_FAR) != 0)
        ok = rig_wsprd_stop(&w->far) && rig_relay_stop(&w->relay) && ok;
    if ((w->needs & PATIENCE_NEEDS_SLOW) != 0)
        ok = rig_slow_stop(&w->slow) && ok;
    ok = rig_sampled_stop(&w->sampled) && ok;
    pthread_mutex_destroy(&w->children);
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

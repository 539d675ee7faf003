/*
 * wspr-names: what names cost. A mount table and its client in one process, over loopback:
 *
 *     memory of a name; a look-up among 100, 10,000 and 100,000 names; a listing of them all, and
 *     what it holds at its peak; how 10,000 published names spread their refreshing
 */
#include "config.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "rpc/namespace.h"
#include "rpc/publisher.h"
#include "rpc/resolve.h"
#include "services/mounttable.h"
#include "unit/rpc/raw.h"
#include "unit/rpc/rig.h"

#define MANY      100000u
#define LOOKUPS   20000u
#define AT_ONCE   32u
#define SERVERS   10u
#define PUBLISHED 1000u /* names of each */
#define PERIODS   4

struct bench {
    struct rig_ids ids;
    struct rig s, c;
    struct mounttable *table;
    struct rpc_server *server;
    char root[256];
};

static void begin(struct bench *b)
{
    struct rig_opts s = {0}, c = {0};
    struct mounttable_opts opts = {0};
    const char *roots[1] = {b->root};

    rig_ids_init(&b->ids);
    s.identity = b->ids.server;
    c.identity = b->ids.client;
    s.trust = c.trust = b->ids.trust;
    rig_init(&b->s, &s);
    c.w = b->s.w;
    rig_init(&b->c, &c);
    opts.worker = b->s.w;
    if (mounttable_new(&opts, &b->table, NULL) < 0)
        abort();
    b->server = rig_serve(&b->s, mounttable_dispatcher(b->table), b->root);
    rpc_client_set_roots(rpc_runtime_client(b->c.rt), roots, 1, NULL);
    /* Each look-up asks the table. */
    rpc_client_set_names(rpc_runtime_client(b->c.rt), 0, 0);
}

static void end(struct bench *b)
{
    rig_stop(&b->s, b->server, 0);
    mounttable_free(b->table);
    rig_done(&b->c, false);
    rig_done(&b->s, true);
    rig_ids_done(&b->ids);
}

static size_t heap(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

static int64_t cpu(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * CLOCK_S + t.tv_nsec;
}

/* "house12/room3/thing45": some names share their beginning. */
static struct span name_of(char text[64], unsigned i)
{
    int n = snprintf(text, 64, "house%u/room%u/thing%u", i % 100, i / 100 % 10, i);

    return span_of(text, (size_t)n);
}

static void mount_up_to(struct bench *b, unsigned from, unsigned to)
{
    char name[64], server[128];

    for (unsigned i = from; i < to; i++) {
        int n = snprintf(server, sizeof server, "/@2@tcp@127.0.0.1:%u@%032x@1@2@@//",
                         1024 + i % 60000, i);

        if (mounttable_mount(b->table, name_of(name, i), span_of(server, (size_t)n), 80, NULL) < 0)
            abort();
    }
}

/* ---- look-ups ---- */

struct lookups {
    unsigned done, failed;
};

static void resolved(void *arg, struct span names, const struct err *err)
{
    struct lookups *l = arg;

    l->done++;
    l->failed += err != NULL;
}

static double lookup_cpu(struct bench *b, unsigned n_names, double *ret_steps)
{
    uint64_t steps = mounttable_stats(b->table)->steps;
    struct lookups l = {0};
    unsigned begun = 0, seed = 1;
    char name[64];
    int64_t before = cpu();

    while (l.done < LOOKUPS) {
        while (begun < LOOKUPS && begun - l.done < AT_ONCE) {
            seed = seed * 1103515245u + 12345u;
            if (rpc_resolve(rpc_runtime_client(b->c.rt), name_of(name, (seed >> 8) % n_names), NULL,
                            resolved, &l) == NULL)
                abort();
            begun++;
        }
        loop_worker_turn(b->s.w, CLOCK_S);
    }
    if (l.failed > 0)
        printf("%u look-ups failed\n", l.failed);
    *ret_steps = (double)(mounttable_stats(b->table)->steps - steps) / LOOKUPS;
    return (double)(cpu() - before) / LOOKUPS;
}

static double step_cpu(struct bench *b, unsigned n_names)
{
    const unsigned n = 200000;
    unsigned seed = 7;
    char name[64];
    int64_t before = cpu();
    struct err e = ERR_INIT;

    /* Unmounting what is not there walks as a look-up does and changes nothing. */
    for (unsigned i = 0; i < n; i++) {
        seed = seed * 1103515245u + 12345u;
        mounttable_unmount(b->table, name_of(name, (seed >> 8) % n_names), span_str("/x:1"), &e);
    }
    err_done(&e);
    return (double)(cpu() - before) / n;
}

static void lookups(struct bench *b)
{
    static const unsigned sizes[] = {100, 10000, MANY};
    double first = 0, first_step = 0, steps;
    unsigned have = 0;
    size_t before;

    mount_up_to(b, 0, sizes[0]);
    have = sizes[0];
    lookup_cpu(b, have, &steps); /* circuits, buffers */
    before = heap();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        double rpc, step;

        mount_up_to(b, have, sizes[i]);
        have = sizes[i];
        rpc = lookup_cpu(b, have, &steps);
        step = step_cpu(b, have);
        first = i == 0 ? rpc : first;
        first_step = i == 0 ? step : first_step;
        printf("names=%u look_up_cpu_us=%.2f ratio=%.2f walk_ns=%.0f ratio=%.2f steps=%.2f\n", have,
               rpc / 1000, rpc / first, step, step / first_step, steps);
    }
    printf("names=%u bytes_per_name=%.0f counted_bytes_per_name=%.0f\n", have,
           (double)(heap() - before) / (have - sizes[0]),
           (double)mounttable_stats(b->table)->bytes / have);
}

/* ---- a listing ---- */

struct listing {
    unsigned n;
    size_t bytes, before, peak;
    int64_t first;
    bool done;
};

static void on_entry(void *arg, const struct rpc_glob_entry *e)
{
    struct listing *l = arg;

    if (l->n++ == 0)
        l->first = clock_mono();
    l->bytes += e->name.len;
    if (l->n % 256 == 0 && heap() > l->before + l->peak)
        l->peak = heap() - l->before;
}

static void on_done(void *arg, const struct err *err)
{
    struct listing *l = arg;

    l->done = true;
    if (err != NULL)
        printf("the listing failed: %s\n", err_text(err));
}

static bool is_done(void *arg)
{
    return ((struct listing *)arg)->done;
}

static void list_all(struct bench *b, const char *pattern)
{
    static const struct rpc_glob_ops ops = {on_entry, on_done};
    struct listing l = {.before = heap()};
    int64_t began = clock_mono(), used = cpu();

    if (rpc_glob(rpc_runtime_client(b->c.rt), span_str(pattern), NULL, &ops, &l) == NULL)
        abort();
    raw_until(b->s.w, is_done, &l, 120000);
    printf("list=%s entries=%u ms=%.0f first_entry_ms=%.1f cpu_us_per_entry=%.2f peak_kib=%zu\n",
           pattern, l.n, (double)(clock_mono() - began) / 1e6, (double)(l.first - began) / 1e6,
           (double)(cpu() - used) / 1000 / (l.n > 0 ? l.n : 1), l.peak / 1024);
}

/* ---- publishing ---- */

static bool are_settled(void *arg)
{
    struct rpc_publisher **p = arg;

    for (unsigned i = 0; i < SERVERS; i++) {
        if (!rpc_publisher_settled(p[i]))
            return false;
    }
    return true;
}

static void publish(struct bench *b)
{
    struct rpc_publisher *p[SERVERS];
    const struct rpc_stats *stats = rpc_runtime_stats(b->c.rt);
    unsigned most = 0, least = UINT32_MAX, seconds = 0;
    int64_t start, began = clock_mono();
    uint64_t before, last;
    size_t held = heap();
    char name[64], server[128];

    for (unsigned i = 0; i < SERVERS; i++) {
        p[i] = rpc_publisher_new(b->c.rt, NULL, NULL);
        snprintf(server, sizeof server, "/@2@tcp@127.0.0.1:1@%032x@1@2@@//", i + 1);
        if (p[i] == NULL || rpc_publisher_add_server(p[i], span_str(server)) < 0)
            abort();
        for (unsigned k = 0; k < PUBLISHED; k++) {
            snprintf(name, sizeof name, "published/%u/%u", i, k);
            if (rpc_publisher_add_name(p[i], span_str(name)) < 0)
                abort();
        }
    }
    raw_until(b->s.w, are_settled, p, 120000);
    printf("published=%u first_round_ms=%.0f bytes_per_name=%zu\n", SERVERS * PUBLISHED,
           (double)(clock_mono() - began) / 1e6, (heap() - held) / (SERVERS * PUBLISHED));
    /* The clock runs ahead, in steps, and waits for what has become due. */
    start = loop_worker_now(b->s.w);
    before = last = stats->mounts;
    while (seconds < PERIODS * 60) {
        loop_worker_skip(b->s.w, 100 * CLOCK_MS);
        for (unsigned calm = 0; calm < 3;) {
            uint64_t calls = stats->calls_done, begun = stats->calls_started;

            loop_worker_turn(b->s.w, CLOCK_MS / 4);
            calm = calls == stats->calls_done && begun == stats->calls_started ? calm + 1 : 0;
        }
        if (loop_worker_now(b->s.w) - start < (seconds + 1) * CLOCK_S)
            continue;
        seconds++;
        most = stats->mounts - last > most ? (unsigned)(stats->mounts - last) : most;
        least = stats->mounts - last < least ? (unsigned)(stats->mounts - last) : least;
        last = stats->mounts;
    }
    printf("published=%u seconds=%u mounts_per_second=%.0f most_in_a_second=%u "
           "least_in_a_second=%u failed=%u\n",
           SERVERS * PUBLISHED, seconds, (double)(stats->mounts - before) / seconds, most, least,
           (unsigned)stats->mounts_failed);
    for (unsigned i = 0; i < SERVERS; i++)
        rpc_publisher_stop(p[i], 0, NULL, NULL);
    raw_run(b->s.w, 20);
}

int main(void)
{
    static struct bench b;

    begin(&b);
    lookups(&b);
    list_all(&b, "house7/*/*");
    list_all(&b, "*/*/*");
    end(&b);
    begin(&b);
    publish(&b);
    end(&b);
    return 0;
}

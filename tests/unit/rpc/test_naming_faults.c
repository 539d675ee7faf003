/* What goes wrong on the way from a name to a server, and what it costs when nothing does. */
#include "config.h"

#include "base/clock.h"
#include "names_tests.h"
#include "raw.h"
#include "world.h"

static const struct rpc_stats *stats(struct world *w)
{
    return rpc_runtime_stats(w->c.rt);
}

static unsigned arrived(const struct world *w)
{
    return w->root.calls + w->sub.calls + w->other.calls + w->server.calls + w->fake.calls;
}

static void call_is(struct world *w, const char *name, const char *error)
{
    struct tcall c;

    world_call(w, &c, name);
    TAP_OK(strcmp(tcall_error(&c), error) == 0, "%s: \"%s\"", name, tcall_error(&c));
    tcall_done(&c);
}

static void begin(struct world *w)
{
    world_init(w);
    world_mount_all(w);
    world_roots(world_client(w), w->root.name, NULL);
}

/* Once it is resolved, a call by mounted name is one request on a circuit that is there. */
static void one_round_trip(void)
{
    struct world w;
    uint64_t calls, dials, steps;

    begin(&w);
    call_is(&w, "srv", "");
    TAP_OK(arrived(&w) == 2, "%u calls for the first", arrived(&w));
    calls = stats(&w)->calls_started;
    dials = stats(&w)->dials;
    for (unsigned i = 0; i < 100; i++) {
        char name[32];

        snprintf(name, sizeof name, "srv/object%u", i);
        call_is(&w, i % 2 == 0 ? "srv" : name, "");
    }
    TAP_OK(arrived(&w) == 102, "%u calls arrived", arrived(&w));
    TAP_OK(stats(&w)->calls_started == calls + 100, "%u calls were begun",
           (unsigned)(stats(&w)->calls_started - calls));
    TAP_IS(stats(&w)->dials == dials);
    /* Through two mount tables it is the same. */
    call_is(&w, "sub/deep/srv/x", "");
    steps = stats(&w)->resolve_steps;
    call_is(&w, "sub/deep/srv/y", "");
    TAP_IS(stats(&w)->resolve_steps == steps);
    world_done(&w);
}

static void together(void)
{
    struct tcall_how how = {.name = "srv/x", .method = "Hi", .opts = {.n_results = 2}};
    struct tcall c[20];
    struct world w;

    begin(&w);
    for (unsigned i = 0; i < 20; i++) {
        tcall_init(&c[i]);
        TAP_IS(tcall_start(&c[i], world_client(&w), &how));
    }
    /* Who asked first need not wait for the answer. */
    rpc_call_cancel(c[0].call);
    c[0].call = NULL;
    for (unsigned i = 1; i < 20; i++) {
        TAP_IS(raw_until(w.c.w, tcall_is_done, &c[i], 5000));
        TAP_OK(c[i].err.code == 0, "%s", tcall_error(&c[i]));
        tcall_done(&c[i]);
    }
    TAP_OK(w.root.calls == 1, "%u resolutions", w.root.calls);
    TAP_IS(stats(&w)->resolve_shared == 19);
    TAP_IS(c[0].n_done == 0);
    world_done(&w);
}

/* The server that is remembered is gone, and another one has its name. */
static void server_moved(void)
{
    struct world w;

    begin(&w);
    world_mount(&w, &w.root, "moving", "{dead}//", 1000);
    call_is(&w, "moving",
            world_text(&w, "ipc: couldn't connect to server {dead}//: "
                           "net.Dial(\"tcp\", \"127.0.0.1:1\") failed: dial tcp "
                           "127.0.0.1:1: connection refused"));
    /* A failure is not remembered. */
    TAP_IS(mounttable_unmount(w.root.table, span_str("moving"), span_of(NULL, 0), NULL) == 0);
    world_mount(&w, &w.root, "moving", "{server}//", 1000);
    call_is(&w, "moving", "");
    /* From memory, to a place that is left. */
    TAP_IS(mounttable_unmount(w.root.table, span_str("moving"), span_of(NULL, 0), NULL) == 0);
    world_mount(&w, &w.root, "moving", "{other}//", 1000);
    world_stop_node(&w, &w.server);
    raw_run(w.c.w, 100);
    call_is(&w, "moving", "ipc: unknown method 'Hi': name: \"//\"");
    TAP_OK(w.root.calls == 3, "%u resolutions", w.root.calls);
    /* Nobody is there any more: the call ends after the second look. */
    world_stop_node(&w, &w.other);
    raw_run(w.c.w, 100);
    {
        struct tcall c;

        world_call(&w, &c, "moving");
        TAP_IS(c.err.code == WSPR_ENOTFOUND);
        tcall_done(&c);
    }
    TAP_OK(w.root.calls == 4, "%u resolutions", w.root.calls);
    world_done(&w);
}

/* The mount table dies between the resolution and the call: what is remembered serves. */
static void table_dies(void)
{
    struct world w;

    begin(&w);
    call_is(&w, "srv", "");
    call_is(&w, "sub/deep/srv", "");
    world_stop_node(&w, &w.root);
    call_is(&w, "srv/x", "");
    call_is(&w, "sub/deep/srv/x", "");
    rpc_client_set_names(world_client(&w), 100, 100000);
    {
        struct tcall c;

        world_call(&w, &c, "srv");
        TAP_OK(c.err.code == WSPR_ENOTFOUND &&
                   strncmp(err_text(&c.err), "ipc: couldn't connect to server ", 32) == 0,
               "%s", tcall_error(&c));
        tcall_done(&c);
    }
    world_done(&w);
}

static void root_is_down(void)
{
    struct world w;
    int64_t before;

    begin(&w);
    world_roots(world_client(&w), WORLD_DEAD, w.root.name);
    before = clock_mono();
    call_is(&w, "srv", "");
    call_is(&w, "srv", "");
    TAP_IS(w.root.calls == 1);
    TAP_OK(clock_mono() - before < CLOCK_S, "a dead root is waited for");
    world_done(&w);
}

static void root_is_silent(void)
{
    struct world w;
    int64_t before;

    begin(&w);
    w.fake.fake = FAKE_SILENT;
    world_roots(world_client(&w), w.fake.name, w.root.name);
    before = clock_mono();
    call_is(&w, "srv", "");
    TAP_OK(clock_mono() - before < RPC_RESOLVE_TIMEOUT, "a silent root is waited for");
    TAP_IS(w.fake.n_held == 1 && w.root.calls == 1);
    world_done(&w);
}

struct awaited {
    const unsigned *counter;
    unsigned value;
};

static bool is_there(void *arg)
{
    const struct awaited *a = arg;

    return *a->counter >= a->value;
}

/* With nothing but a silent root, the name is taken as it is after 10 s. */
static void all_are_silent(void)
{
    struct world_answer a[3];
    struct world w;
    struct awaited asked = {&w.fake.n_held, 3};

    begin(&w);
    w.fake.fake = FAKE_SILENT;
    for (int i = 0; i < 3; i++)
        world_answer_init(&a[i]);
    world_roots(world_client(&w), w.fake.name, NULL);
    TAP_IS(rpc_resolve(world_client(&w), span_str("srv"), NULL, world_names, &a[0]) != NULL);
    TAP_IS(rpc_resolve_mount_table(world_client(&w), span_str("srv"), NULL, world_names, &a[1]) !=
           NULL);
    /* Another root's "no such name" is believed only when the silent one had its time. */
    world_roots(rpc_runtime_client(w.s.rt), w.fake.name, w.root.name);
    TAP_IS(rpc_resolve(rpc_runtime_client(w.s.rt), span_str("nowhere"), NULL, world_names, &a[2]) !=
           NULL);
    TAP_IS(raw_until(w.c.w, is_there, &asked, 30000));
    loop_worker_skip(w.c.w, 2 * CLOCK_S);
    asked = (struct awaited){&w.root.calls, 1};
    TAP_IS(raw_until(w.c.w, is_there, &asked, 30000));
    raw_run(w.c.w, 20);
    TAP_IS(!a[0].done && !a[1].done && !a[2].done);
    loop_worker_skip(w.c.w, RPC_RESOLVE_TIMEOUT - 2 * CLOCK_S);
    for (int i = 0; i < 3; i++)
        world_wait(&w, &a[i]);
    for (int i = 0; i < 2; i++)
        TAP_IS(a[i].err.code == 0 &&
               strcmp(world_answer_name(&a[i], 0), world_text(&w, "{fake}//srv")) == 0);
    TAP_OK(a[2].err.code == WSPR_ENOTFOUND &&
               strcmp(err_text(&a[2].err), "Name doesn't exist") == 0,
           "%s", err_text(&a[2].err));
    TAP_IS(w.root.calls == 1);
    for (int i = 0; i < 3; i++)
        world_answer_done(&a[i]);
    world_done(&w);
}

/*
 * The table that was asked dies, and so does the server that it told: what is remembered of them is
 * dropped, and the next root asked.
 */
static void next_root(void)
{
    struct world w;

    begin(&w);
    world_mount(&w, &w.other, "srv", "{fake}//", 1000);
    world_roots(world_client(&w), w.other.name, w.root.name);
    call_is(&w, "srv", "ipc: unknown method 'Hi': name: \"//\"");
    TAP_IS(w.other.calls == 1 && w.root.calls == 0);
    world_stop_node(&w, &w.other);
    world_stop_node(&w, &w.fake);
    raw_run(w.c.w, 50);
    call_is(&w, "srv", "");
    TAP_OK(w.root.calls == 1 && w.server.calls == 1, "%u, %u calls", w.root.calls, w.server.calls);
    /* From now on it is the other root that is remembered. */
    call_is(&w, "srv", "");
    TAP_OK(w.root.calls == 1 && w.server.calls == 2, "%u, %u calls", w.root.calls, w.server.calls);
    world_done(&w);
}

/* A table in the middle dies: its name leads nowhere until the one above knows better. */
static void middle_dies(void)
{
    struct world w;

    begin(&w);
    call_is(&w, "sub/deep/srv", "");
    world_stop_node(&w, &w.sub);
    raw_run(w.c.w, 50);
    /* The whole way is remembered. */
    call_is(&w, "sub/deep/srv/x", "");
    {
        struct tcall c;

        world_call(&w, &c, "sub/deep/new");
        TAP_IS(c.err.code == WSPR_ENOTFOUND);
        tcall_done(&c);
    }
    TAP_IS(mounttable_unmount(w.root.table, span_str("sub"), span_of(NULL, 0), NULL) == 0);
    world_mount(&w, &w.root, "sub", "{other}", 1000);
    world_mount(&w, &w.other, "deep/new", "{server}//", 1000);
    call_is(&w, "sub/deep/new", "");
    world_done(&w);
}

static void root_denies(void)
{
    struct world_answer a;
    struct world w;

    begin(&w);
    w.fake.fake = FAKE_DENIES;
    world_roots(world_client(&w), w.fake.name, w.root.name);
    call_is(&w, "srv", "");
    world_roots(world_client(&w), w.fake.name, NULL);
    world_resolve(&w, rpc_resolve, "srv", &a);
    TAP_IS(strcmp(world_answer_name(&a, 0), world_text(&w, "{fake}//srv")) == 0);
    world_answer_done(&a);
    /* Who mounts is told. */
    world_resolve(&w, rpc_resolve_mount_table, "srv", &a);
    TAP_OK(a.err.code == WSPR_ENOTAUTH, "%s", err_text(&a.err));
    world_answer_done(&a);
    world_done(&w);
}

static void loop_of_tables(void)
{
    struct world w;

    begin(&w);
    world_mount(&w, &w.root, "there", "{sub}/back", 1000);
    world_mount(&w, &w.sub, "back", "{root}/there", 1000);
    rpc_client_set_names(world_client(&w), 0, 0);
    call_is(&w, "there/x", "ipc: Resolve(\"there/x\") failed: Resolution depth exceeded");
    TAP_OK(arrived(&w) == 32, "%u steps", arrived(&w));
    /* With memory it is found sooner, and without asking each time round. */
    rpc_client_set_names(world_client(&w), 100, 100000);
    call_is(&w, "there/x", "ipc: Resolve(\"there/x\") failed: Resolution depth exceeded");
    TAP_OK(arrived(&w) == 34, "%u steps", arrived(&w));
    call_is(&w, "there/x", "ipc: Resolve(\"there/x\") failed: Resolution depth exceeded");
    TAP_OK(arrived(&w) == 34, "%u steps", arrived(&w));
    world_done(&w);
}

static void time_to_live(void)
{
    struct world w;

    begin(&w);
    w.fake.fake_server = world_text(&w, "{server}//");
    w.fake.fake_ttl = 60;
    world_roots(world_client(&w), w.fake.name, NULL);
    call_is(&w, "any/x", "");
    call_is(&w, "any/y", "");
    loop_worker_skip(w.c.w, 50 * CLOCK_S);
    call_is(&w, "any/x", "");
    TAP_OK(w.fake.calls == 1, "%u calls", w.fake.calls);
    loop_worker_skip(w.c.w, 11 * CLOCK_S);
    call_is(&w, "any/x", "");
    TAP_OK(w.fake.calls == 2, "%u calls", w.fake.calls);
    /* The machine slept: what was remembered is too old. */
    loop_worker_skip(w.c.w, 24 * 3600 * CLOCK_S);
    call_is(&w, "any/x", "");
    TAP_OK(w.fake.calls == 3, "%u calls", w.fake.calls);
    /* However long it may be remembered by what the table says, there is an end to it. */
    w.fake.fake_ttl = UINT32_MAX;
    call_is(&w, "long/x", "");
    loop_worker_skip(w.c.w, RPC_NAMES_TTL - 2 * CLOCK_S);
    call_is(&w, "long/x", "");
    TAP_OK(w.fake.calls == 4, "%u calls", w.fake.calls);
    loop_worker_skip(w.c.w, 3 * CLOCK_S);
    call_is(&w, "long/x", "");
    TAP_OK(w.fake.calls == 5, "%u calls", w.fake.calls);
    /* No time left: nothing is remembered. */
    w.fake.fake_ttl = 0;
    call_is(&w, "other/x", "");
    call_is(&w, "other/x", "");
    TAP_OK(w.fake.calls == 7, "%u calls", w.fake.calls);
    world_done(&w);
}

static bool is_settled(void *arg)
{
    return rpc_publisher_settled(arg);
}

static void publish(struct world *w, const char *name)
{
    TAP_IS(rpc_server_publish(w->server.server, span_str(name), NULL) == 0);
    TAP_IS(raw_until(w->c.w, is_settled, rpc_server_publisher(w->server.server), 30000));
}

static bool is_mounted(void *arg)
{
    struct world *w = arg;

    return mounttable_stats(w->other.table)->mounts == 1;
}

/* Who published a name and died without a word is forgotten in time, though nobody asks. */
static void owner_dies(void)
{
    struct world w;

    begin(&w);
    world_roots(rpc_runtime_client(w.s.rt), w.other.name, NULL);
    publish(&w, "mortal");
    TAP_IS(is_mounted(&w));
    /* It lives on as long as it is refreshed: the publisher and the table share the clock. */
    for (int i = 0; i < 5; i++) {
        loop_worker_skip(w.c.w, 60 * CLOCK_S);
        raw_run(w.c.w, 100);
        TAP_OK(is_mounted(&w), "gone after %d min", i + 1);
    }
    TAP_OK(rpc_runtime_stats(w.s.rt)->mounts >= 6, "%u mounts",
           (unsigned)rpc_runtime_stats(w.s.rt)->mounts);
    /* Nothing gets through any more, as from a process that was killed. */
    world_roots(rpc_runtime_client(w.s.rt), WORLD_DEAD, NULL);
    loop_worker_skip(w.c.w, (RPC_PUBLISH_TTL + 4) * CLOCK_S);
    raw_run(w.c.w, 50);
    TAP_OK(!is_mounted(&w), "it is still there");
    TAP_IS(mounttable_stats(w.other.table)->expired == 1);
    /* Back again, after a sleep of a day: mounted as soon as it is tried. */
    world_roots(rpc_runtime_client(w.s.rt), w.other.name, NULL);
    loop_worker_skip(w.c.w, 24 * 3600 * CLOCK_S);
    TAP_OK(raw_until(w.c.w, is_mounted, &w, 30000), "it is not mounted again");
    world_done(&w);
}

/* Several tables are responsible: each of them gets it. */
static void mounts_everywhere(void)
{
    struct world_answer a;
    struct world w;

    begin(&w);
    world_roots(world_client(&w), w.other.name, w.root.name);
    for (int i = 0; i < 2; i++) {
        world_answer_init(&a);
        if (i == 0)
            TAP_IS(rpc_mount(world_client(&w), span_str("dup"), span_str(w.server.name), 80, NULL,
                             world_ended, &a) != NULL);
        else
            TAP_IS(rpc_unmount(world_client(&w), span_str("dup"), span_str(w.server.name), NULL,
                               world_ended, &a) != NULL);
        world_wait(&w, &a);
        TAP_OK(a.err.code == 0, "%s", err_text(&a.err));
        world_answer_done(&a);
        for (int k = 0; k < 2; k++) {
            world_roots(world_client(&w), k == 0 ? w.other.name : w.root.name, NULL);
            world_resolve(&w, rpc_resolve, "dup", &a);
            TAP_OK(i == 0 ? strcmp(world_answer_name(&a, 0), w.server.name) == 0
                          : a.err.code == WSPR_ENOTFOUND,
                   "table %d: \"%s\" %s", k, world_answer_name(&a, 0), err_text(&a.err));
            world_answer_done(&a);
        }
        world_roots(world_client(&w), w.other.name, w.root.name);
    }
    /* One of them fails: the other one has it, and the failure is told. */
    world_roots(world_client(&w), WORLD_DEAD, w.root.name);
    world_answer_init(&a);
    TAP_IS(rpc_mount(world_client(&w), span_str("dup"), span_str(w.server.name), 80, NULL,
                     world_ended, &a) != NULL);
    world_wait(&w, &a);
    TAP_IS(a.err.code == WSPR_ENOTFOUND);
    world_answer_done(&a);
    world_resolve(&w, rpc_resolve, "dup", &a);
    TAP_IS(strcmp(world_answer_name(&a, 0), w.server.name) == 0);
    world_answer_done(&a);
    world_done(&w);
}

/* Everything ends with the runtime, told with Aborted. */
static void runtime_stops(void)
{
    static const struct rpc_glob_ops none = {NULL, world_ended};
    struct rig_opts opts;
    struct world_answer a[6];
    struct rpc_client *client;
    struct world w;
    struct rig r;

    begin(&w);
    w.fake.fake = FAKE_SILENT;
    for (int round = 0; round < 2; round++) {
        opts = (struct rig_opts){.w = w.s.w, .identity = w.ids.client, .trust = w.ids.trust};
        rig_init(&r, &opts);
        client = rpc_runtime_client(r.rt);
        world_roots(client, w.fake.name, NULL);
        for (int i = 0; i < 6; i++)
            world_answer_init(&a[i]);
        TAP_IS(rpc_resolve(client, span_str("a"), NULL, world_names, &a[0]) != NULL);
        TAP_IS(rpc_resolve(client, span_str("a"), NULL, world_names, &a[1]) != NULL);
        TAP_IS(rpc_mount(client, span_str("a"), span_str("/x:1"), 1, NULL, world_ended, &a[2]) !=
               NULL);
        TAP_IS(rpc_unresolve(client, span_str("a"), NULL, world_names, &a[3]) != NULL);
        TAP_IS(rpc_glob(client, span_str("x/*"), NULL, &none, &a[4]) != NULL);
        TAP_IS(rpc_unmount(client, span_str("b"), span_str(""), NULL, world_ended, &a[5]) != NULL);
        /* Before anything has begun, and in the middle of it. */
        if (round == 1)
            raw_run(w.c.w, 300);
        rig_done(&r, false);
        for (int i = 0; i < 6; i++) {
            TAP_OK(a[i].done && a[i].err.code == WSPR_EABORTED, "round %d, %d: %s", round, i,
                   err_text(&a[i].err));
            world_answer_done(&a[i]);
        }
    }
    world_done(&w);
}

struct impatient {
    struct rpc_glob *glob;
    unsigned entries, enough;
    bool done;
};

static void count_entry(void *arg, const struct rpc_glob_entry *e)
{
    struct impatient *i = arg;

    if (++i->entries == i->enough)
        rpc_glob_cancel(i->glob);
}

static void count_end(void *arg, const struct err *err)
{
    struct impatient *i = arg;

    i->done = true;
    TAP_OK(err == NULL, "%s", err != NULL ? err_text(err) : "");
}

static bool has_enough(void *arg)
{
    struct impatient *i = arg;

    return i->done || (i->enough > 0 && i->entries >= i->enough);
}

/* Entries come while the table still sends; who has enough of them gets no more. */
static void listing_cancelled(void)
{
    static const struct rpc_glob_ops ops = {count_entry, count_end};
    static const unsigned enough[] = {1, 300, 2000, 0};
    char name[32];
    struct world w;

    begin(&w);
    for (unsigned i = 0; i < 3000; i++) {
        /* Some are mount tables, which are followed. */
        snprintf(name, sizeof name, "many/n%u", i);
        world_mount(&w, &w.root, name, i % 1000 == 999 ? "{other}" : "{server}//", 1000);
    }
    for (size_t i = 0; i < sizeof enough / sizeof enough[0]; i++) {
        struct impatient p = {.enough = enough[i]};

        p.glob = rpc_glob(world_client(&w), span_str("many/*"), NULL, &ops, &p);
        TAP_IS(p.glob != NULL);
        TAP_IS(raw_until(w.c.w, has_enough, &p, 30000));
        raw_run(w.c.w, 50);
        TAP_OK(p.entries == (enough[i] > 0 ? enough[i] : 3000) && p.done == (enough[i] == 0),
               "%u entries", p.entries);
    }
    world_done(&w);
}

const struct tap_case names_faults_cases[NAMES_FAULTS_CASES] = {
    {"one round trip", one_round_trip},     {"equal resolutions together", together},
    {"a server that moved", server_moved},  {"a mount table that dies", table_dies},
    {"a root that is down", root_is_down},  {"a root that is silent", root_is_silent},
    {"all roots silent", all_are_silent},   {"a root that denies", root_denies},
    {"tables in a circle", loop_of_tables}, {"time to live", time_to_live},
    {"several tables", mounts_everywhere},  {"the runtime stops", runtime_stops},
    {"the next root", next_root},           {"a table on the way dies", middle_dies},
    {"an owner that dies", owner_dies},     {"a listing that is cancelled", listing_cancelled},
};

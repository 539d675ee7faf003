/* Publishing against live mount tables, and against one that misbehaves. */
#include "config.h"

#include "base/clock.h"
#include "names_tests.h"
#include "raw.h"
#include "rpc/turns.h"
#include "world.h"

#define MS CLOCK_MS

static bool is_settled(void *arg)
{
    return rpc_publisher_settled(arg);
}

static void publish(struct world *w, const char *name)
{
    TAP_IS(rpc_server_publish(w->server.server, span_str(name), NULL) == 0);
}

static struct rpc_publisher *publisher(struct world *w)
{
    return rpc_server_publisher(w->server.server);
}

static void settle(struct world *w)
{
    TAP_OK(raw_until(w->c.w, is_settled, publisher(w), 10000), "it is not published");
}

static void begin(struct world *w)
{
    world_init(w);
    world_roots(world_client(w), w->root.name, NULL);
    world_roots(rpc_runtime_client(w->s.rt), w->root.name, NULL);
}

static void found(struct world *w, const char *name, const char *at)
{
    struct world_answer a;

    world_resolve(w, rpc_resolve_afresh, name, &a);
    TAP_OK(at != NULL ? strcmp(world_answer_name(&a, 0), world_text(w, at)) == 0
                      : a.err.code == WSPR_ENOTFOUND,
           "%s is at \"%s\": %s", name, world_answer_name(&a, 0), err_text(&a.err));
    world_answer_done(&a);
}

static void book_is(struct world *w, const char *want)
{
    TAP_OK(span_equal_str(buf_span(&w->book), want), "calls\n%.*sand not\n%s",
           SPAN_ARG(buf_span(&w->book)), want);
    buf_reset(&w->book);
}

static void on_the_wire(void)
{
    struct span name;
    struct world w;

    begin(&w);
    publish(&w, "cache");
    publish(&w, "cache");
    settle(&w);
    book_is(&w, "ResolveStep at suffix \"//cache\"\nMount at suffix \"//cache\"\n");
    found(&w, "cache/x", "{server}//x");
    TAP_IS(rpc_publisher_name(publisher(&w), 0, &name) && span_equal_str(name, "cache"));
    TAP_IS(!rpc_publisher_name(publisher(&w), 1, &name));
    /* A mount table is published so that names below it go on. */
    TAP_IS(rpc_server_publish(w.sub.server, span_str("tables/sub"), NULL) == 0);
    TAP_IS(raw_until(w.c.w, is_settled, rpc_server_publisher(w.sub.server), 5000));
    found(&w, "tables/sub", "{sub}");
    buf_reset(&w.book);
    world_stop_node(&w, &w.server);
    book_is(&w, "ResolveStep at suffix \"//cache\"\nUnmount at suffix \"//cache\"\n");
    found(&w, "cache", NULL);
    world_done(&w);
}

static void names_come_and_go(void)
{
    struct world w;

    begin(&w);
    publish(&w, "a");
    publish(&w, "b/c");
    settle(&w);
    found(&w, "a", "{server}//");
    found(&w, "b/c", "{server}//");
    rpc_server_unpublish(w.server.server, span_str("a"));
    raw_run(w.c.w, 300);
    found(&w, "a", NULL);
    found(&w, "b/c", "{server}//");
    /* Away and back before it was done. */
    rpc_server_unpublish(w.server.server, span_str("b/c"));
    publish(&w, "b/c");
    raw_run(w.c.w, 300);
    found(&w, "b/c", "{server}//");
    rpc_publisher_add_server(publisher(&w), span_str("/h:1//"));
    raw_run(w.c.w, 300);
    found(&w, "b/c", "/h:1//");
    rpc_publisher_remove_server(publisher(&w), span_str("/h:1//"));
    raw_run(w.c.w, 300);
    found(&w, "b/c", "{server}//");
    world_done(&w);
}

/* It stays mounted for longer than the time to live of one mount. */
static void refreshed(void)
{
    struct world w;
    uint64_t mounts;

    begin(&w);
    publish(&w, "cache");
    settle(&w);
    for (int i = 0; i < 10; i++) {
        loop_worker_skip(w.c.w, 30 * CLOCK_S);
        raw_run(w.c.w, 50);
        found(&w, "cache", "{server}//");
    }
    mounts = rpc_runtime_stats(w.s.rt)->mounts;
    /* Once a minute as a rule, in steps of half a minute here. */
    TAP_OK(mounts >= 5 && mounts <= 11, "%u mounts", (unsigned)mounts);
    world_done(&w);
}

struct seen {
    unsigned pairs, mounted, failures;
    char last[200];
};

static void see(void *arg, const struct rpc_publish_status *s)
{
    struct seen *seen = arg;

    seen->pairs++;
    seen->mounted += s->mounted;
    seen->failures += s->failures;
    snprintf(seen->last, sizeof seen->last, "%s", s->last != NULL ? err_text(s->last) : "");
}

/* The root is down at first, then comes up: it is tried again soon. */
static void retried(void)
{
    struct seen seen = {0};
    struct world w;

    begin(&w);
    world_roots(rpc_runtime_client(w.s.rt), WORLD_DEAD, NULL);
    publish(&w, "cache");
    settle(&w);
    rpc_publisher_status(publisher(&w), see, &seen);
    TAP_OK(seen.pairs == 1 && seen.mounted == 0 && seen.failures == 1 && seen.last[0] != '\0',
           "%u pairs, %u mounted, %u failures: %s", seen.pairs, seen.mounted, seen.failures,
           seen.last);
    world_roots(rpc_runtime_client(w.s.rt), w.root.name, NULL);
    loop_worker_skip(w.c.w, CLOCK_S);
    raw_run(w.c.w, 200);
    found(&w, "cache", "{server}//");
    seen = (struct seen){0};
    rpc_publisher_status(publisher(&w), see, &seen);
    TAP_IS(seen.mounted == 1 && seen.failures == 0 && seen.last[0] == '\0');
    /* All roots get it. */
    world_roots(rpc_runtime_client(w.s.rt), w.root.name, w.other.name);
    publish(&w, "both");
    settle(&w);
    world_roots(world_client(&w), w.other.name, NULL);
    found(&w, "both", "{server}//");
    world_done(&w);
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static bool flag_is_set(void *arg)
{
    return *(bool *)arg;
}

/* A mount table that keeps silent does not hold up the end for long. */
static void stop_is_bounded(void)
{
    struct world w;
    bool stopped = false;

    begin(&w);
    w.fake.fake = FAKE_SILENT;
    world_roots(rpc_runtime_client(w.s.rt), w.fake.name, NULL);
    publish(&w, "cache");
    raw_run(w.c.w, 200);
    TAP_IS(w.fake.n_held == 1);
    rpc_server_stop(w.server.server, 0, set_flag, &stopped);
    w.server.server = NULL;
    raw_run(w.c.w, 50);
    TAP_IS(!stopped);
    loop_worker_skip(w.c.w, 5 * CLOCK_S);
    TAP_OK(raw_until(w.c.w, flag_is_set, &stopped, 30000), "it does not stop");
    world_done(&w);
}

static void count_up(void *arg)
{
    ++*(unsigned *)arg;
}

static bool is_three(void *arg)
{
    return *(unsigned *)arg == 3;
}

/* Many names: few mounts at once, and the next round is spread over its period. */
static bool all_turns_taken(void *arg)
{
    const struct world *w = arg;

    return w->fake.n_held >= RPC_TURNS_EACH;
}

/* How many mounts came in 50 ms, on an average of the time that really went by. */
static unsigned mounts_in_50_ms(struct world *w)
{
    unsigned before = w->fake.mounts;
    int64_t start = clock_mono();

    raw_run(w->c.w, 50);
    return (unsigned)((w->fake.mounts - before) * (50 * MS) / (clock_mono() - start));
}

static void many_names(void)
{
    struct world w;
    unsigned most = 0;
    unsigned before;

    begin(&w);
    w.fake.fake = FAKE_SILENT;
    world_roots(rpc_runtime_client(w.s.rt), w.fake.name, NULL);
    for (unsigned i = 0; i < 500; i++) {
        char name[32];

        snprintf(name, sizeof name, "many/n%u", i);
        publish(&w, name);
    }
    rpc_publisher_pace(publisher(&w), 2000 * MS, 10);
    TAP_IS(raw_until(w.c.w, all_turns_taken, &w, 30000));
    raw_run(w.c.w, 20);
    TAP_OK(w.fake.n_held == RPC_TURNS_EACH, "%u at once", w.fake.n_held);
    /* From now on it answers. */
    w.fake.fake = FAKE_ANSWERS;
    for (unsigned i = 0; i < w.fake.n_held; i++)
        rpc_scall_fail(w.fake.held[i], &(struct err){.code = WSPR_ENOTFOUND});
    w.fake.n_held = 0;
    settle(&w);
    before = w.fake.mounts;
    TAP_OK(before >= 500, "%u mounts", before);
    for (unsigned turns = 0; turns < 30; turns++) {
        unsigned n = mounts_in_50_ms(&w);

        most = n > most ? n : most;
    }
    TAP_OK(w.fake.mounts > before + 100 && most < 150, "%u again, %u within 50 ms",
           w.fake.mounts - before, most);
    world_done(&w);
    TAP_OK(w.fake.unmounts == 500, "%u unmounts", w.fake.unmounts);
}

/* Whose mount tables do not answer waits for himself: the others have turns of their own. */
static void shares(void)
{
    struct rpc_share *share = rpc_share_new();
    struct rpc_publisher *p[4];
    struct world w;
    unsigned done = 0;

    begin(&w);
    w.fake.fake = FAKE_SILENT;
    for (unsigned i = 0; i < 3; i++) {
        p[i] = rpc_publisher_new(w.s.rt, NULL, i < 2 ? share : NULL);
        TAP_IS(rpc_publisher_add_server(p[i], span_str("/h:1//")) == 0);
    }
    for (unsigned i = 0; i < 200; i++) {
        char name[512];

        snprintf(name, sizeof name, "%s//many/n%u", w.fake.name, i);
        TAP_IS(rpc_publisher_add_name(p[i % 2], span_str(name)) == 0);
    }
    TAP_IS(raw_until(w.c.w, all_turns_taken, &w, 30000));
    TAP_IS(rpc_publisher_add_name(p[2], span_str("mine")) == 0);
    TAP_OK(raw_until(w.c.w, is_settled, p[2], 5000), "it waits for the names of others");
    found(&w, "mine", "/h:1//");
    TAP_OK(w.fake.n_held == RPC_TURNS_EACH, "%u at once", w.fake.n_held);
    for (unsigned i = 0; i < 3; i++)
        rpc_publisher_stop(p[i], 0, count_up, &done);
    loop_worker_skip(w.c.w, CLOCK_S);
    TAP_OK(raw_until(w.c.w, is_three, &done, 5000), "they do not stop");
    /* Turns that were given up are free again. */
    p[3] = rpc_publisher_new(w.s.rt, NULL, share);
    rpc_share_unref(share);
    TAP_IS(rpc_publisher_add_server(p[3], span_str("/h:2//")) == 0);
    TAP_IS(rpc_publisher_add_name(p[3], span_str("later")) == 0);
    TAP_OK(raw_until(w.c.w, is_settled, p[3], 5000), "turns are lost");
    found(&w, "later", "/h:2//");
    rpc_publisher_stop(p[3], 0, NULL, NULL);
    world_done(&w);
}

static void limits(void)
{
    struct err e = ERR_INIT;
    struct world w;
    char name[32];
    unsigned i;

    begin(&w);
    w.fake.fake = FAKE_SILENT;
    world_roots(rpc_runtime_client(w.s.rt), WORLD_DEAD, NULL);
    for (i = 0; i < RPC_PUBLISH_NAMES; i++) {
        snprintf(name, sizeof name, "n%u", i);
        publish(&w, name);
    }
    TAP_IS(rpc_server_publish(w.server.server, span_str("more"), &e) == WSPR_ELIMIT);
    TAP_OK(strcmp(err_text(&e), "the server has too many names") == 0, "%s", err_text(&e));
    err_done(&e);
    world_done(&w);
}

const struct tap_case names_publish_cases[NAMES_PUBLISH_CASES] = {
    {"on the wire", on_the_wire},
    {"names come and go", names_come_and_go},
    {"refreshed", refreshed},
    {"retried", retried},
    {"a silent table at the end", stop_is_bounded},
    {"many names", many_names},
    {"shares", shares},
    {"limits", limits},
};

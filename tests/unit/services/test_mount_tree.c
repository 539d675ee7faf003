/* The tree of a mount table, without a network: growth, limits, expiry, walks, short memory. */
#include "config.h"

#include <malloc.h>

#include "base/clock.h"
#include "failmalloc.h"
#include "mounttable_tests.h"
#include "services/mount_tree.h"
#include "services/mount_walk.h"

#define MANY 100000

static const struct hash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};

static void begin(struct mount_tree *t, const struct mount_limits *limits)
{
    TAP_IS(mount_tree_init(t, limits, &key, NULL) == 0);
}

static int mount_at(struct mount_tree *t, const char *name, const char *server, int64_t expiry,
                    struct err *e)
{
    return mount_tree_mount(t, span_str(name), span_str(server), expiry, e);
}

static bool resolves(struct mount_tree *t, const char *name, int64_t now, const char *rest)
{
    struct span left;

    return mount_tree_resolve(t, span_str(name), now, &left) != NULL && span_equal_str(left, rest);
}

/* ---- growth ---- */

static void name_of(char *out, size_t size, unsigned i)
{
    snprintf(out, size, "site%u/host%u/service%u", i % 10, i / 10 % 100, i);
}

/* Steps of one look-up on average. */
static double steps_of(struct mount_tree *t, unsigned n)
{
    uint64_t before = t->stats.steps;
    unsigned missing = 0;
    char name[64];

    for (unsigned i = 0; i < n; i++) {
        name_of(name, sizeof name, i);
        missing += !resolves(t, name, 1, "");
    }
    TAP_OK(missing == 0, "%u of %u names are missing", missing, n);
    return (double)(t->stats.steps - before) / n;
}

static void many_names(void)
{
    struct mount_tree t;
    struct mallinfo2 before, after;
    double few = 0, many;
    char name[64], server[96];

    begin(&t, NULL);
    before = mallinfo2();
    for (unsigned i = 0; i < MANY; i++) {
        name_of(name, sizeof name, i);
        snprintf(server, sizeof server, "/@2@tcp@127.0.0.1:%u@%032x@1@2@@//", 1024 + i % 60000, i);
        if (mount_at(&t, name, server, 80 * CLOCK_S, NULL) < 0)
            TAP_OK(false, "mount %u", i);
        if (i == 999)
            few = steps_of(&t, 1000);
    }
    after = mallinfo2();
    many = steps_of(&t, MANY);
    tap_note("%u names mounted: %.0f bytes each as counted, %.0f of the allocator; %.2f steps of a "
             "look-up, with 1000 names %.2f",
             MANY, (double)t.stats.bytes / MANY,
             (double)(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) / MANY, many,
             few);
    TAP_IS(t.stats.mounts == MANY && t.stats.names == MANY + 10 + 100 * 10);
    TAP_OK(many < 2 * few, "look-ups become slower");
    TAP_IS(t.stats.bytes / MANY < 512);
    for (unsigned i = 0; i < MANY; i++) {
        name_of(name, sizeof name, i);
        mount_tree_unmount(&t, span_str(name), span_str(""), 1, NULL);
    }
    TAP_OK(t.stats.mounts == 0 && t.stats.names == 0, "%u names left", t.stats.names);
    mount_tree_done(&t);
}

/* ---- limits ---- */

#define REFUSED(call, text)                                                                        \
    do {                                                                                           \
        struct err e_ = ERR_INIT;                                                                  \
        struct err *e = &e_;                                                                       \
        uint32_t names = t.stats.names;                                                            \
        size_t bytes = t.stats.bytes;                                                              \
        int r_ = (call);                                                                           \
        TAP_OK(r_ == WSPR_ELIMIT && strcmp(err_text(e), text) == 0, "%d %s", r_, err_text(e));     \
        TAP_OK(t.stats.names == names && t.stats.bytes == bytes, "something was left behind");     \
        err_done(e);                                                                               \
    } while (0)

static void limits(void)
{
    struct mount_limits limits = {
        .names = 5, .mounts = 4, .servers = 2, .depth = 3, .component = 8, .server = 16};
    struct mount_limits small = {.bytes = 2048};
    struct mount_tree t;
    char name[16];
    int r = 0;

    begin(&t, &limits);
    REFUSED(mount_at(&t, "a/b/c/d", "s", 9, e), "a name may have 3 components");
    REFUSED(mount_at(&t, "a/123456789", "s", 9, e), "a component of a name may have 8 bytes");
    REFUSED(mount_at(&t, "a", "12345678901234567", 9, e), "the name of a server may have 16 bytes");
    TAP_IS(mount_at(&t, "a", "1", 9, NULL) == 0 && mount_at(&t, "a", "2", 9, NULL) == 0);
    REFUSED(mount_at(&t, "a", "3", 9, e), "a name may have 2 servers");
    TAP_IS(mount_at(&t, "a", "1", 10, NULL) == 0);
    TAP_IS(mount_at(&t, "b/c/d", "1", 9, NULL) == 0);
    REFUSED(mount_at(&t, "b/e/f", "1", 9, e), "the mount table is full: it may have 5 names");
    TAP_IS(mount_at(&t, "b/e", "1", 9, NULL) == 0);
    REFUSED(mount_at(&t, "b/c/d", "2", 9, e), "the mount table is full: it may have 4 mounts");
    mount_tree_done(&t);

    begin(&t, &small);
    for (unsigned i = 0; r == 0 && i < 100; i++) {
        snprintf(name, sizeof name, "n%u", i);
        r = mount_at(&t, name, "server", 9, NULL);
    }
    REFUSED(mount_at(&t, name, "server", 9, e), "the mount table is full: it may take 2048 bytes");
    TAP_IS(resolves(&t, "n0/x", 1, "x"));
    mount_tree_done(&t);
}

/* ---- expiry ---- */

static void expiry_without_visitor(void)
{
    struct mount_limits limits = {.linger = 10};
    struct mount_tree t;
    uint32_t seed = 1;
    char name[32];
    unsigned n;

    begin(&t, &limits);
    TAP_IS(mount_tree_next(&t) == INT64_MAX);
    for (unsigned i = 0; i < 2000; i++) {
        seed = seed * 1103515245 + 12345;
        snprintf(name, sizeof name, "d%u/n%u", i % 7, i % 500);
        mount_at(&t, name, i % 3 == 0 ? "/a:1" : "/b:1", 1 + seed % 1000, NULL);
        if (i % 5 == 0)
            mount_tree_unmount(&t, span_str(name), span_str("/a:1"), 0, NULL);
    }
    n = t.stats.mounts;
    TAP_IS(n > 500);
    for (int64_t now = 0, last = 0; now < 1100; now++) {
        TAP_OK(mount_tree_next(&t) >= last, "out of order");
        last = mount_tree_next(&t) == INT64_MAX ? last : mount_tree_next(&t);
        n -= mount_tree_collect(&t, now, 1000);
        if (mount_tree_next(&t) < now)
            TAP_OK(false, "one is left at %d", (int)now);
    }
    TAP_IS(n == 0 && t.stats.mounts == 0 && t.stats.names == 0);
    TAP_IS(mount_at(&t, "x", "/a:1", INT64_MAX, NULL) == 0 && mount_tree_next(&t) == INT64_MAX);
    mount_tree_done(&t);
}

/* As the recordings have it, and what they leave open. */
static void expiry_with_visitors(void)
{
    struct mount_tree t;

    begin(&t, NULL);
    mount_at(&t, "x", "/a:1", 10, NULL);
    mount_at(&t, "x", "/b:1", 20, NULL);
    TAP_OK(resolves(&t, "x/y", 20, "y"), "at its last moment");
    TAP_IS(t.stats.mounts == 1);
    TAP_OK(mount_at(&t, "x/y", "/c:1", 99, NULL) == WSPR_ENOTFOUND, "below an active mount");
    TAP_OK(!resolves(&t, "x/y", 21, ""), "after it");
    TAP_OK(t.stats.names == 0, "the visitor removes it");
    /* A mount above others hides them as long as it is there. */
    mount_at(&t, "p/c", "/a:1", 99, NULL);
    mount_at(&t, "p", "/b:1", 30, NULL);
    TAP_IS(resolves(&t, "p/c/d", 30, "c/d"));
    TAP_IS(resolves(&t, "p/c/d", 31, "d"));
    /* On the root it captures everything, and can expire like any other. */
    mount_at(&t, "", "/r:1", 40, NULL);
    TAP_IS(resolves(&t, "p/c", 32, "p/c") && resolves(&t, "", 32, ""));
    TAP_IS(resolves(&t, "p//c", 32, "p//c"));
    TAP_IS(resolves(&t, "p/c", 41, ""));
    TAP_IS(resolves(&t, "p/c//x", 41, "//x") && resolves(&t, "p/c/", 41, "/"));
    TAP_IS(resolves(&t, "p/c//", 41, "//"));
    mount_tree_done(&t);
}

/* ---- walks ---- */

static int walk_names(struct mount_tree *t, const char *suffix, const char *pattern, int64_t now,
                      struct buf *out)
{
    struct mount_walk w;
    struct mount_node *n;
    unsigned budget = 1000000;
    int r = mount_walk_begin(&w, t, span_str(suffix), span_str(pattern), NULL);

    while (r == 0 && (r = mount_walk_next(&w, now, &budget, &n)) > 0) {
        buf_printf(out, "%.*s%s ", SPAN_ARG(buf_span(&w.name)), n != NULL ? "!" : "");
        r = 0;
    }
    mount_walk_end(&w);
    buf_cstr(out);
    return r;
}

static void walks(void)
{
    static const struct {
        const char *suffix, *pattern, *names;
    } cases[] = {
        {"", "", " "},
        {"", "*", "a m! "},
        {"a", "*", "b! c "},
        {"", "...", " a a/b! a/c a/c/d! m! "},
        {"", "a/...", "a a/b! a/c a/c/d! "},
        {"", "*/*/*", "a/b! a/c/d! m! "},
        {"a/b", "*/x", "! "},
        {"a/b/c", "*", ""},
        {"none", "*", ""},
        {"/a/./c/", "d", "d! "},
        {"", "[a-c]/[^c]", "a/b! "},
    };
    static const char *const bad[] = {"/a", "[", "a/[]", "[^]", "[a-]", "a\\", "[]a]/x"};
    struct mount_tree t;

    begin(&t, NULL);
    mount_at(&t, "a/b", "/h:1", 99, NULL);
    mount_at(&t, "a/c/d", "/h:1", 99, NULL);
    mount_at(&t, "m", "/h:1", 99, NULL);
    mount_at(&t, "old/x/y", "/h:1", 5, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf out = BUF_INIT(4096);

        TAP_IS(walk_names(&t, cases[i].suffix, cases[i].pattern, 9, &out) == 0);
        if (i == 1) /* the first to come by finds that nothing is left of it */
            TAP_IS(t.stats.names == 5);
        TAP_OK(strcmp(buf_cstr(&out), cases[i].names) == 0, "%s %s: \"%s\"", cases[i].suffix,
               cases[i].pattern, buf_cstr(&out));
        buf_done(&out);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buf out = BUF_INIT(4096);

        TAP_OK(walk_names(&t, "none", bad[i], 9, &out) == WSPR_EUNKNOWN, "%s", bad[i]);
        buf_done(&out);
    }
    mount_tree_done(&t);
}

/* A pattern that is long to match takes its time in pieces: it does not hold up everybody else. */
static void costly_pattern(void)
{
    struct mount_tree t;
    struct mount_walk w;
    struct mount_node *n;
    char name[255], pattern[4000];
    unsigned pauses = 0, found = 0, budget = 4096;
    int r;

    begin(&t, NULL);
    memset(name, 'a', sizeof name);
    for (unsigned i = 0; i < 200; i++) {
        snprintf(name + 250, 5, "%04u", i);
        mount_at(&t, name, "/h:1", 99, NULL);
    }
    /* Each byte of each name is looked up in all of the class. */
    memset(pattern, 'b', sizeof pattern);
    memcpy(pattern, "*[", 2);
    memcpy(pattern + sizeof pattern - 3, "9]", 3);
    TAP_IS(mount_walk_begin(&w, &t, span_str(""), span_str(pattern), NULL) == 0);
    while ((r = mount_walk_next(&w, 9, &budget, &n)) != 0) {
        TAP_IS(r == 1 || (r == WSPR_EAGAIN && budget == 0));
        found += r == 1;
        if (r == 1)
            continue;
        pauses++;
        budget = 4096;
    }
    TAP_OK(found == 20 && pauses >= 100, "%u found, %u pauses", found, pauses);
    mount_walk_end(&w);
    mount_tree_done(&t);
}

/* Names come and go between any two steps; those that stay are met once each. */
static void walk_while_it_changes(void)
{
    struct mount_tree t;
    struct mount_walk w[3];
    unsigned met[3][100] = {{0}}, budget;
    struct mount_node *n;
    uint32_t seed = 7;
    char name[32];
    int live = 3;

    begin(&t, NULL);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "d%u/n%u", i % 10, i);
        mount_at(&t, name, "/h:1", 99, NULL);
    }
    for (int k = 0; k < 3; k++)
        TAP_IS(mount_walk_begin(&w[k], &t, span_str(""), span_str("..."), NULL) == 0);
    for (unsigned round = 0; live > 0; round++) {
        int k = (int)(round % 3);
        unsigned i;

        seed = seed * 1103515245 + 12345;
        i = seed / 65536 % 1000;
        snprintf(name, sizeof name, "d%u/n%u", i % 10, i);
        if (i >= 100 && round % 2 == 0)
            mount_tree_unmount(&t, span_str(name), span_str(""), 1, NULL);
        else if (i >= 100)
            mount_at(&t, name, "/h:1", 99, NULL);
        budget = 1;
        if (w[k].tree == NULL)
            continue;
        switch (mount_walk_next(&w[k], 1, &budget, &n)) {
        case 0:
            mount_walk_end(&w[k]);
            w[k].tree = NULL;
            live--;
            break;
        case 1:
            if (n != NULL && sscanf(buf_cstr(&w[k].name), "d%*u/n%u", &i) == 1 && i < 100)
                met[k][i]++;
            break;
        default:
            break;
        }
        if (round > 20000) { /* a directory that grows all the time is a walk without an end */
            TAP_OK(false, "no end");
            break;
        }
    }
    for (int k = 0; k < 3; k++) {
        for (unsigned i = 0; i < 100; i++)
            TAP_OK(met[k][i] == 1, "walk %d met n%u %u times", k, i, met[k][i]);
    }
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "d%u/n%u", i % 10, i);
        mount_tree_unmount(&t, span_str(name), span_str(""), 1, NULL);
    }
    TAP_IS(t.stats.names == 0 && list_empty(&t.root->children));
    mount_tree_done(&t);
}

/* ---- short memory ---- */

static void life(void *arg)
{
    struct buf out = BUF_INIT(4096);
    struct mount_tree t;
    char name[32];

    if (mount_tree_init(&t, NULL, &key, NULL) < 0)
        return;
    for (unsigned i = 0; i < 70; i++) {
        uint32_t mounts = t.stats.mounts, names = t.stats.names;

        snprintf(name, sizeof name, "a%u/b/c", i);
        if (mount_at(&t, name, "/h:1", 5, NULL) < 0)
            TAP_OK(t.stats.mounts == mounts && t.stats.names == names, "a mount that failed");
    }
    walk_names(&t, "", "...", 1, &out);
    mount_tree_unmount(&t, span_str("a1/b/c"), span_str(""), 1, NULL);
    mount_tree_collect(&t, 100 * CLOCK_S, 1000);
    TAP_IS(t.stats.mounts == 0 && t.stats.names == 0);
    buf_done(&out);
    mount_tree_done(&t);
}

static void short_memory(void)
{
    unsigned long runs = failmalloc_each(life, NULL, 2000);

    TAP_OK(runs > 250, "%lu runs", runs);
    tap_note("%lu allocations, each failed once", runs);
}

const struct tap_case mount_tree_cases[MOUNT_TREE_CASES] = {
    {"100000 names", many_names},
    {"limits", limits},
    {"expiry without a visitor", expiry_without_visitor},
    {"expiry with visitors", expiry_with_visitors},
    {"walks", walks},
    {"a costly pattern", costly_pattern},
    {"walks while the tree changes", walk_while_it_changes},
    {"short memory", short_memory},
};

/* The recorded behaviour of names at live mount tables (vectors/names.json, live_*). */
#include "config.h"

#include <stdlib.h>

#include "names_tests.h"
#include "raw.h"
#include "vectors.h"
#include "world.h"

static struct json_object *vectors;

static struct json_object *group(const char *name)
{
    if (vectors == NULL)
        vectors = vectors_load("names.json");
    return vec_get(vectors, name);
}

static const char *text_at(struct json_object *list, size_t i)
{
    return json_object_get_string(json_object_array_get_idx(list, i));
}

static void same_names(struct world *w, const struct world_answer *a, struct json_object *list,
                       const char *what)
{
    size_t n = list != NULL ? json_object_array_length(list) : 0;

    TAP_OK(world_answer_count(a) == n, "%s: %u names, not %zu", what, world_answer_count(a), n);
    for (size_t i = 0; i < n; i++) {
        const char *want = world_text(w, text_at(list, i));
        const char *got = world_answer_name(a, (unsigned)i);

        TAP_OK(strcmp(got, want) == 0, "%s: \"%s\", not \"%s\"", what, got, want);
    }
}

static void same_error(struct world *w, const struct err *e, struct json_object *want,
                       const char *what)
{
    if (want == NULL) {
        TAP_OK(e->code == 0, "%s: error \"%s\"", what, err_text(e));
        return;
    }
    TAP_OK(e->code != 0 && strcmp(err_id(e), vec_str(want, "id")) == 0 &&
               strcmp(err_text(e), world_text(w, vec_str(want, "msg"))) == 0,
           "%s: error %s \"%s\"", what, err_id(e), err_text(e));
}

static void same_flows(struct world *w, struct json_object *list, const char *what)
{
    struct buf want = BUF_INIT(1 << 20);

    for (size_t i = 0; i < json_object_array_length(list); i++)
        buf_printf(&want, "%s\n", text_at(list, i));
    TAP_OK(span_equal(buf_span(&want), buf_span(&w->book)), "%s: calls\n%.*sand not\n%.*s", what,
           SPAN_ARG(buf_span(&w->book)), SPAN_ARG(buf_span(&want)));
    buf_done(&want);
    buf_reset(&w->book);
}

static void world_begin(struct world *w)
{
    world_init(w);
    world_mount_all(w);
    rpc_client_set_names(world_client(w), 0, 0);
    world_roots(world_client(w), w->root.name, NULL);
    world_roots(rpc_runtime_client(w->s.rt), w->root.name, NULL);
}

static void live_resolve(void)
{
    struct json_object *list = group("live_resolve");
    struct world_answer a;
    struct world w;
    size_t i;

    world_begin(&w);
    for (i = 0; i < json_object_array_length(list); i++) {
        struct json_object *v = json_object_array_get_idx(list, i);
        const char *name = vec_str(v, "in");

        world_resolve(&w, rpc_resolve, world_text(&w, name), &a);
        same_names(&w, &a, vec_get(v, "resolve"), name);
        same_error(&w, &a.err, vec_get(v, "resolve_error"), name);
        same_flows(&w, vec_get(v, "resolve_flows"), name);
        world_answer_done(&a);
        world_resolve(&w, rpc_resolve_mount_table, world_text(&w, name), &a);
        same_names(&w, &a, vec_get(v, "to_mount_table"), name);
        same_error(&w, &a.err, vec_get(v, "to_mount_table_error"), name);
        same_flows(&w, vec_get(v, "to_mount_table_flows"), name);
        world_answer_done(&a);
    }
    tap_note("live_resolve: %zu of %zu vectors ran", i, json_object_array_length(list));
    world_done(&w);
}

/* The same names with what is remembered: another way to the same end. */
static void live_resolve_remembered(void)
{
    struct json_object *list = group("live_resolve");
    struct world_answer a;
    struct world w;

    world_begin(&w);
    rpc_client_set_names(world_client(&w), RPC_NAMES_ENTRIES, RPC_NAMES_BYTES);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < json_object_array_length(list); i++) {
            struct json_object *v = json_object_array_get_idx(list, i);
            const char *name = vec_str(v, "in");

            world_resolve(&w, rpc_resolve, world_text(&w, name), &a);
            same_names(&w, &a, vec_get(v, "resolve"), name);
            same_error(&w, &a.err, vec_get(v, "resolve_error"), name);
            world_answer_done(&a);
        }
    }
    TAP_IS(rpc_runtime_stats(w.c.rt)->resolve_hits > 40);
    world_done(&w);
}

static void live_roots(void)
{
    struct json_object *list = group("live_roots");
    struct world_answer a;
    struct world w;
    size_t i;

    world_begin(&w);
    for (i = 0; i < json_object_array_length(list); i++) {
        struct json_object *v = json_object_array_get_idx(list, i), *roots = vec_get(v, "roots");
        size_t n = json_object_array_length(roots);
        const char *name = vec_str(v, "in"), *result = vec_str(v, "result");
        struct tcall c;

        world_roots(world_client(&w), n > 0 ? world_text(&w, text_at(roots, 0)) : NULL,
                    n > 1 ? world_text(&w, text_at(roots, 1)) : NULL);
        world_resolve(&w, rpc_resolve, name, &a);
        same_names(&w, &a, vec_get(v, "resolve"), name);
        same_error(&w, &a.err, vec_get(v, "resolve_error"), name);
        world_answer_done(&a);
        world_resolve(&w, rpc_resolve_mount_table, name, &a);
        same_names(&w, &a, vec_get(v, "to_mount_table"), name);
        same_error(&w, &a.err, vec_get(v, "to_mount_table_error"), name);
        world_answer_done(&a);
        world_call(&w, &c, name);
        same_error(&w, &c.err, vec_get(v, "start_call_error"), name);
        if (result != NULL)
            TAP_IS(c.n_results == 2 && span_equal_str(c.results[0].s, result));
        tcall_done(&c);
    }
    tap_note("live_roots: %zu of %zu vectors ran", i, json_object_array_length(list));
    world_done(&w);
}

static bool is_settled(void *arg)
{
    return rpc_publisher_settled(arg);
}

static void publish_both(struct world *w)
{
    TAP_IS(rpc_server_publish(w->server.server, span_str("srv"), NULL) == 0);
    TAP_IS(rpc_server_publish(w->server.server, span_str("sub/deep/srv"), NULL) == 0);
    TAP_IS(raw_until(w->c.w, is_settled, rpc_server_publisher(w->server.server), 5000));
    buf_reset(&w->book);
}

static void live_unresolve(void)
{
    struct json_object *list = group("live_unresolve");
    struct world_answer a;
    struct world w;
    size_t i;

    world_begin(&w);
    publish_both(&w);
    for (i = 0; i < json_object_array_length(list); i++) {
        struct json_object *v = json_object_array_get_idx(list, i);
        const char *name = vec_str(v, "in");

        /* The table "sub" is a server of its own, which knows its name. */
        if (strcmp(name, "sub") == 0)
            TAP_IS(rpc_server_publish(w.sub.server, span_str("sub"), NULL) == 0 &&
                   raw_until(w.c.w, is_settled, rpc_server_publisher(w.sub.server), 5000));
        buf_reset(&w.book);
        world_answer_init(&a);
        TAP_IS(rpc_unresolve(world_client(&w), span_str(world_text(&w, name)), NULL, world_names,
                             &a) != NULL);
        world_wait(&w, &a);
        same_names(&w, &a, vec_get(v, "out"), name);
        same_error(&w, &a.err, vec_get(v, "error"), name);
        same_flows(&w, vec_get(v, "flows"), name);
        world_answer_done(&a);
    }
    tap_note("live_unresolve: %zu of %zu vectors ran", i, json_object_array_length(list));
    world_done(&w);
}

static void live_published(void)
{
    struct json_object *v = group("live_published");
    struct world_answer a;
    struct world w;

    world_begin(&w);
    publish_both(&w);
    world_answer_init(&a);
    TAP_IS(rpc_server_published(w.server.server, span_of(NULL, 0), world_names, &a) != NULL);
    world_wait(&w, &a);
    same_names(&w, &a, vec_get(v, "out"), "published");
    same_error(&w, &a.err, vec_get(v, "error"), "published");
    world_answer_done(&a);
    tap_note("live_published: 1 of 1 vectors ran");
    world_done(&w);
}

/* ---- glob ---- */

struct listing {
    struct world_answer end;
    struct buf lines; /* name, servers, error: a line each, in any order */
    unsigned n;
};

static void add_line(struct listing *l, struct world *w, struct json_object *entry)
{
    struct json_object *servers = vec_get(entry, "servers"), *error = vec_get(entry, "error");

    buf_printf(&l->lines, "%s", world_text(w, vec_str(entry, "name")));
    for (size_t i = 0; i < json_object_array_length(servers); i++)
        buf_printf(&l->lines, " %s", world_text(w, text_at(servers, i)));
    buf_printf(&l->lines, " [%s]\n", error != NULL ? vec_str(error, "msg") : "");
    l->n++;
}

static void on_entry(void *arg, const struct rpc_glob_entry *e)
{
    struct listing *l = arg;

    buf_append_span(&l->lines, e->name);
    for (size_t i = 0; i < vom_value_len(e->servers); i++) {
        struct vom_value s = vom_value_at(e->servers, i), name = vom_value_field(&s, "Server");

        buf_u8(&l->lines, ' ');
        buf_append_span(&l->lines, name.s);
    }
    buf_printf(&l->lines, " [%s]\n", e->err != NULL ? err_text(e->err) : "");
    l->n++;
}

static void on_glob_done(void *arg, const struct err *err)
{
    struct listing *l = arg;

    world_ended(&l->end, err);
}

static const struct rpc_glob_ops glob_ops = {on_entry, on_glob_done};

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Puts the lines in order. */
static void sort_lines(struct buf *b)
{
    char *lines[512], *p = (char *)(uintptr_t)buf_cstr(b);
    struct buf out = BUF_INIT(1 << 20);
    size_t n = 0;

    for (; p != NULL && *p != '\0' && n < 512; n++) {
        char *end = strchr(p, '\n');

        lines[n] = p;
        *end = '\0';
        p = end + 1;
    }
    qsort(lines, n, sizeof lines[0], compare);
    for (size_t i = 0; i < n; i++)
        buf_printf(&out, "%s\n", lines[i]);
    buf_done(b);
    *b = out;
}

static void same_lines(struct buf *got, struct buf *want, const char *what, const char *of)
{
    sort_lines(got);
    sort_lines(want);
    TAP_OK(span_equal(buf_span(got), buf_span(want)), "%s of %s:\n%.*sand not\n%.*s", what, of,
           SPAN_ARG(buf_span(got)), SPAN_ARG(buf_span(want)));
}

static void live_glob(void)
{
    struct json_object *list = group("live_glob");
    struct world w;
    size_t i;

    world_begin(&w);
    /* An entry that the recording has beyond live_setup. */
    world_mount(&w, &w.root, "subsec", "{dead}//", 1000);
    for (i = 0; i < json_object_array_length(list); i++) {
        struct json_object *v = json_object_array_get_idx(list, i), *e = vec_get(v, "entries");
        struct json_object *flows = vec_get(v, "flows");
        const char *pattern = vec_str(v, "pattern");
        struct listing got = {.lines = BUF_INIT(1 << 20)}, want = {.lines = BUF_INIT(1 << 20)};
        struct buf calls = BUF_INIT(1 << 20);

        buf_reset(&w.book);
        world_answer_init(&got.end);
        for (size_t k = 0; e != NULL && k < json_object_array_length(e); k++)
            add_line(&want, &w, json_object_array_get_idx(e, k));
        for (size_t k = 0; flows != NULL && k < json_object_array_length(flows); k++)
            buf_printf(&calls, "%s\n", text_at(flows, k));
        TAP_IS(rpc_glob(world_client(&w), span_str(world_text(&w, pattern)), NULL, &glob_ops,
                        &got) != NULL);
        world_wait(&w, &got.end);
        same_error(&w, &got.end.err, vec_get(v, "error"), pattern);
        same_lines(&got.lines, &want.lines, "entries", pattern);
        same_lines(&w.book, &calls, "calls", pattern);
        buf_done(&calls);
        buf_done(&got.lines);
        buf_done(&want.lines);
        world_answer_done(&got.end);
    }
    tap_note("live_glob: %zu of %zu vectors ran", i, json_object_array_length(list));
    world_done(&w);
}

/* ---- mounting ---- */

static void live_mount(void)
{
    struct json_object *list = group("live_mount");
    unsigned n = 0, defects = 0;

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *v = json_object_array_get_idx(list, i);
        const char *name = vec_str(v, "name");
        struct world_answer a;
        struct world w;

        world_begin(&w);
        /* Its recording follows the mount of the one before. */
        if (strcmp(name, "sub/x") == 0)
            world_mount(&w, &w.root, "sub", "{server}/zz", 1000);
        world_answer_init(&a);
        TAP_IS(rpc_mount(world_client(&w), span_str(name),
                         span_str(world_text(&w, vec_str(v, "server"))), 80, NULL, world_ended,
                         &a) != NULL);
        world_wait(&w, &a);
        if (strcmp(name, "sub/x") == 0) {
            defects++; /* the recording sends all to the last table */
        } else {
            same_error(&w, &a.err, vec_get(v, "error"), name);
            same_flows(&w, vec_get(v, "flows"), name);
            n++;
        }
        world_answer_done(&a);
        world_done(&w);
    }
    tap_note("live_mount: %u of %zu vectors ran, %u shows a defect of the recorded side", n,
             json_object_array_length(list), defects);
}

/*
 * With several roots the recorded client sent everything to the last one (a defect); ours asks the
 * same and sends one request to each.
 */
static void multiple_roots_writes(void)
{
    struct json_object *list = group("multiple_roots_writes");
    size_t n = json_object_array_length(list);
    struct world_answer a;
    struct world w;

    world_begin(&w);
    TAP_IS(n == 2);
    for (size_t i = 0; i < n; i++) {
        struct json_object *v = json_object_array_get_idx(list, i), *roots = vec_get(v, "roots");
        bool mounts = strncmp(vec_str(v, "call"), "Mount dup", 9) == 0;
        struct span name = span_str("dup"), server = span_str(w.server.name);
        struct rpc_mounting *m;

        world_roots(world_client(&w), world_text(&w, text_at(roots, 0)),
                    world_text(&w, text_at(roots, 1)));
        world_answer_init(&a);
        buf_reset(&w.book);
        m = mounts ? rpc_mount(world_client(&w), name, server, 80, NULL, world_ended, &a)
                   : rpc_unmount(world_client(&w), name, server, NULL, world_ended, &a);
        TAP_IS(m != NULL);
        world_wait(&w, &a);
        same_error(&w, &a.err, NULL, "dup");
        world_answer_done(&a);
        if (mounts)
            same_flows(&w, vec_get(v, "flows"), "dup");
        for (size_t k = 0; k < 2; k++) {
            world_roots(world_client(&w), world_text(&w, text_at(roots, k)), NULL);
            world_resolve(&w, rpc_resolve, "dup", &a);
            TAP_OK(mounts == (a.err.code == 0), "%s: %s", text_at(roots, k), err_text(&a.err));
            world_answer_done(&a);
        }
    }
    tap_note("multiple_roots_writes: %zu of %zu vectors ran, as they should have been", n, n);
    world_done(&w);
}

/* Every group of the file runs in one of the tests; one that is new must find its test. */
static void all_groups(void)
{
    static const struct {
        const char *name, *test;
        size_t n;
    } groups[] = {
        {"split_address_name", "test_naming", 25},
        {"join_address_name", "test_naming", 17},
        {"join", "test_naming", 25},
        {"names", "test_naming", 26},
        {"make_terminal_at_index", "test_naming", 16},
        {"endpoint_parse", "test_naming", 19},
        {"connect_target", "test_naming", 14},
        {"mounttable_elements", "test_naming", 8},
        {"glob_parse", "test_naming", 19},
        {"glob_match", "test_naming", 13},
        {"live_resolve", "test_names", 37},
        {"live_unresolve", "test_names", 5},
        {"live_published", "test_names", 0},
        {"live_roots", "test_names", 10},
        {"live_mount", "test_names, test_mounttable", 7},
        {"live_glob", "test_names", 15},
        {"mounttable_acl", "test_mounttable", 0},
        {"mounttable_expiry", "test_mounttable", 19},
        {"multiple_roots_writes", "test_names", 2},
        {"live_setup", "test_names", 0},
    };
    struct json_object *file;
    size_t n = 0;

    group("join");
    file = vectors;
    json_object_object_foreach(file, key, value)
    {
        size_t i = 0, len = json_object_is_type(value, json_type_array)
                                ? json_object_array_length(value)
                                : 0;

        if (strcmp(key, "description") == 0 || strcmp(key, "count") == 0)
            continue;
        while (i < sizeof groups / sizeof groups[0] && strcmp(groups[i].name, key) != 0)
            i++;
        TAP_OK(i < sizeof groups / sizeof groups[0], "group %s has no test", key);
        if (i == sizeof groups / sizeof groups[0])
            continue;
        TAP_OK(groups[i].n == len, "group %s has %zu vectors, not %zu", key, len, groups[i].n);
        tap_note("%s: %zu in %s", key, len, groups[i].test);
        n++;
    }
    TAP_OK(n == sizeof groups / sizeof groups[0], "%zu groups", n);
}

const struct tap_case names_vectors_cases[NAMES_VECTORS_CASES] = {
    {"live_resolve", live_resolve},     {"live_resolve, remembered", live_resolve_remembered},
    {"live_roots", live_roots},         {"live_unresolve", live_unresolve},
    {"live_published", live_published}, {"live_glob", live_glob},
    {"live_mount", live_mount},         {"multiple_roots_writes", multiple_roots_writes},
    {"all groups", all_groups},
};

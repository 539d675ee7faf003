/* The mount table as a service, over loopback: the vectors, the timer, back-pressure. */
#include "config.h"

#include <unistd.h>

#include "base/clock.h"
#include "child.h"
#include "loop/offload.h"
#include "mounttable_tests.h"
#include "services/mount_acl.h"
#include "services/mounttable.h"
#include "unit/rpc/raw.h"
#include "unit/rpc/rig.h"
#include "vectors.h"
#include "vom/wiretypes.h"

struct table {
    struct rig_ids ids;
    struct rig s, c;
    struct mounttable *mt;
    struct rpc_server *server;
    char endpoint[256];
    int64_t now; /* of a clock that stands still unless it is moved */
};

static int64_t table_now(void *arg)
{
    return ((struct table *)arg)->now;
}

static void table_init_with(struct table *t, const struct mounttable_opts *how, bool offload)
{
    struct mounttable_opts opts = *how;
    struct rig_opts s = {0}, c = {0};
    struct err e = ERR_INIT;

    *t = (struct table){.now = 1000 * CLOCK_S};
    rig_ids_init(&t->ids);
    s.identity = t->ids.server;
    c.identity = t->ids.client;
    s.trust = c.trust = t->ids.trust;
    s.offload = offload;
    rig_init(&t->s, &s);
    opts.offload = t->s.offload; /* NULL without */
    c.w = t->s.w;
    rig_init(&t->c, &c);
    opts.worker = t->s.w;
    opts.trust = t->ids.trust;
    opts.now_arg = t;
    if (mounttable_new(&opts, &t->mt, &e) < 0) {
        tap_note("%s", err_text(&e));
        exit(99);
    }
    t->server = rig_serve(&t->s, mounttable_dispatcher(t->mt), t->endpoint);
}

static void table_init(struct table *t, const struct mounttable_opts *how)
{
    table_init_with(t, how, false);
}

static void table_done(struct table *t)
{
    rig_stop(&t->s, t->server, 0);
    mounttable_free(t->mt);
    while (loop_worker_stats(t->s.w)->jobs_out > 0)
        loop_worker_turn(t->s.w, CLOCK_MS); /* a look at the access file was under way */
    rig_done(&t->c, false);
    rig_done(&t->s, true);
    rig_ids_done(&t->ids);
}

/* ---- calls ---- */

struct mcall {
    struct rpc_call *call;
    struct arena arena;
    struct vom_value results[3];
    unsigned n_results, n_items;
    struct json_object *names; /* of the entries */
    struct err err;
    bool hold, done;
};

static int on_item(void *arg, struct rpc_call *call, const struct rpc_value *v, struct err *err)
{
    struct mcall *m = arg;
    struct vom_value value, name;
    int r = vom_dec_value(v->dec, v->msg, &m->arena, &value, err);

    if (r < 0)
        return r;
    name = vom_value_field(&value, "Name");
    TAP_OK(vom_type_same(value.type, &vom_type_mount_entry), "another type of entries");
    m->n_items++;
    json_object_array_add(m->names,
                          json_object_new_string_len((const char *)name.s.p, (int)name.s.len));
    return m->hold ? RPC_HOLD : 0;
}

static int on_result(void *arg, struct rpc_call *call, uint32_t i, uint32_t n,
                     const struct rpc_value *v, struct err *err)
{
    struct mcall *m = arg;
    struct vom_value value;
    int r = vom_dec_value(v->dec, v->msg, &m->arena, &value, err);

    return r < 0 || i >= 3 ? r
                           : vom_value_copy(&m->arena, &value, &m->results[m->n_results++], err);
}

static void on_done(void *arg, struct rpc_call *call, const struct err *err)
{
    struct mcall *m = arg;

    m->done = true;
    m->call = NULL;
    if (err != NULL)
        err_copy(&m->err, err);
}

static const struct rpc_call_ops ops = {.item = on_item, .result = on_result, .done = on_done};

static bool is_done(void *arg)
{
    return ((struct mcall *)arg)->done;
}

static void mcall_start(struct table *t, struct mcall *m, const char *suffix, const char *method,
                        const struct vom_value *args, size_t n_args, int32_t n_results)
{
    struct rpc_call_opts opts = {.n_results = n_results};
    char name[2048];

    *m = (struct mcall){.names = json_object_new_array()};
    arena_init(&m->arena, 512 << 20);
    snprintf(name, sizeof name, "%s%s", t->endpoint, suffix);
    m->call =
        rpc_call_new(rpc_runtime_client(t->c.rt), span_str(name), span_str(method), &opts, &ops, m);
    for (size_t i = 0; i < n_args; i++)
        TAP_IS(vom_enc_value(rpc_call_enc(m->call), rpc_call_buf(m->call), &args[i], NULL) >= 0);
    rpc_call_start(m->call, (uint32_t)n_args);
}

static void mcall_run(struct table *t, struct mcall *m)
{
    TAP_OK(raw_until(t->s.w, is_done, m, 20000), "the call does not end");
}

static void mcall_done(struct mcall *m)
{
    rpc_call_cancel(m->call);
    json_object_put(m->names);
    arena_done(&m->arena);
    err_done(&m->err);
}

/* Whether the last result is this error ({id, msg}, NULL: none). */
static bool app_error_is(const struct mcall *m, struct json_object *want)
{
    struct span id, msg;
    int r = m->n_results > 0 ? vom_verror_get(&m->results[m->n_results - 1], &id, &msg) : -1;

    if (want == NULL)
        return r == 0;
    return r == 1 && span_equal_str(id, vec_str(want, "id")) &&
           span_equal_str(msg, vec_str(want, "msg"));
}

static bool framework_error_is(const struct mcall *m, struct json_object *want)
{
    if (want == NULL)
        return m->err.code == 0;
    return m->err.code != 0 && strcmp(err_id(&m->err), vec_str(want, "id")) == 0 &&
           strcmp(err_text(&m->err), vec_str(want, "msg")) == 0;
}

static int text_compare(const void *a, const void *b)
{
    return strcmp(json_object_get_string(*(struct json_object *const *)a),
                  json_object_get_string(*(struct json_object *const *)b));
}

/* Names come in any order. */
static bool same_names(struct json_object *got, struct json_object *want)
{
    size_t n = json_object_array_length(want);

    if (json_object_array_length(got) != n)
        return false;
    json_object_array_sort(got, text_compare);
    json_object_array_sort(want, text_compare);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(json_object_get_string(json_object_array_get_idx(got, i)),
                   json_object_get_string(json_object_array_get_idx(want, i))) != 0)
            return false;
    }
    return true;
}

/* Compares with what a vector says: servers, suffix, error, names. */
static void check_answer(const struct mcall *m, struct json_object *v, const char *what)
{
    struct json_object *servers = vec_get(v, "servers"), *names = vec_get(v, "entry_names");
    /* Where there is a rest, "suffix" is what was asked. */
    const char *rest = vec_str(v, "rest") != NULL ? vec_str(v, "rest") : vec_str(v, "suffix");
    size_t n = servers != NULL ? json_object_array_length(servers) : 0;

    TAP_OK(framework_error_is(m, vec_get(v, "framework_error")), "%s: %s", what,
           m->err.code != 0 ? err_text(&m->err) : "no error");
    if (m->err.code != 0)
        return;
    TAP_OK(app_error_is(m, vec_get(v, "error")), "%s: another error", what);
    if (names != NULL)
        TAP_OK(same_names(m->names, names), "%s: %s", what, json_object_to_json_string(m->names));
    if (servers == NULL)
        return;
    TAP_OK(vom_value_len(&m->results[0]) == n, "%s: %zu servers", what,
           vom_value_len(&m->results[0]));
    for (size_t i = 0; i < n && i < vom_value_len(&m->results[0]); i++) {
        struct vom_value s = vom_value_at(&m->results[0], i);

        TAP_IS(span_equal_str(vom_value_field(&s, "Server").s,
                              json_object_get_string(json_object_array_get_idx(servers, i))));
    }
    TAP_OK(span_equal_str(m->results[1].s, rest), "%s: suffix %.*s", what,
           SPAN_ARG(m->results[1].s));
}

static void call_mount(struct table *t, struct mcall *m, const char *suffix, const char *server,
                       unsigned ttl)
{
    struct vom_value args[] = {vom_value_str(server), vom_value_uint(&vom_type_uint32, ttl)};

    mcall_start(t, m, suffix, "Mount", args, 2, 1);
    mcall_run(t, m);
}

static void call_text(struct table *t, struct mcall *m, const char *suffix, const char *method,
                      const char *text, int32_t n_results)
{
    struct vom_value arg = vom_value_str(text != NULL ? text : "");

    mcall_start(t, m, suffix, method, &arg, text != NULL, n_results);
    mcall_run(t, m);
}

/* ---- the vectors ---- */

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    TAP_IS(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void acl_vectors(void)
{
    struct json_object *file = vectors_load("names.json"), *group = vec_get(file, "mounttable_acl");
    struct json_object *cases = vec_get(group, "cases"), *v;
    struct mounttable_opts opts = {.now = table_now};
    char path[4096];
    struct table t;
    struct mcall m;
    size_t n = json_object_array_length(cases);

    opts.acl_file = child_file(path, sizeof path, "acls");
    write_file(path, json_object_to_json_string(vec_get(group, "acl_file")));
    table_init(&t, &opts);
    for (size_t i = 0; i < n; i++) {
        const char *method, *suffix;

        v = json_object_array_get_idx(cases, i);
        method = vec_str(v, "method");
        suffix = vec_str(v, "suffix");
        if (strcmp(method, "Mount") == 0)
            call_mount(&t, &m, suffix, "/h:1//", 80);
        else
            call_text(&t, &m, suffix, method, vec_str(v, "pattern"),
                      strcmp(method, "ResolveStep") == 0 ? 3
                      : strcmp(method, "Glob") == 0      ? 1
                                                         : 2);
        check_answer(&m, v, suffix);
        mcall_done(&m);
    }
    tap_note("names.json mounttable_acl: %zu of %zu", n, n);

    /* Changes of the file count from the next call on. */
    write_file(path, "{\"/\": {\"client\": \"R\"}}");
    call_mount(&t, &m, "//a/c", "/h:1//", 80);
    TAP_OK(m.err.code == WSPR_ENOTAUTH, "%s", err_text(&m.err));
    mcall_done(&m);
    write_file(path, "{\"/\": {\"client\": \"RW\"}}");
    call_mount(&t, &m, "//a/c", "/h:1//", 80);
    TAP_OK(m.err.code == 0, "%s", err_text(&m.err));
    mcall_done(&m);
    write_file(path, "{\"/\": ");
    call_mount(&t, &m, "//a/c", "/h:1//", 80);
    TAP_OK(m.err.code == WSPR_ENOTAUTH && strstr(err_text(&m.err), "unexpected EOF") != NULL, "%s",
           err_text(&m.err));
    mcall_done(&m);
    unlink(path);
    call_text(&t, &m, "//", "Glob", "*", 1);
    TAP_OK(m.err.code == WSPR_ENOTAUTH && m.n_items == 0, "%s", err_text(&m.err));
    mcall_done(&m);
    table_done(&t);
    json_object_put(file);
}

/* No spelling of a name leads around the list of a component, or of a path that Glob hides. */
static void acl_spellings(void)
{
    static const char acls[] = "{\"/\": {\"client\": \"RW\"}, \"/q\": {\"other\": \"RW\"}, "
                               "\"/a/b\": {\"other\": \"RW\"}}";
    static const char *const hidden[] = {"//q/x",         "//q/../x", "//q/..", "//q/x/../..",
                                         "//a/../q/../x", "//q/.",    "//./q"};
    static const char *const above[] = {"//a", "//a/", "//a//", "//a/.", "//./a", "//x/../a"};
    struct mounttable_opts opts = {.now = table_now};
    char path[4096];
    struct table t;
    struct mcall m;

    opts.acl_file = child_file(path, sizeof path, "spellings");
    write_file(path, acls);
    table_init(&t, &opts);
    TAP_IS(mounttable_mount(t.mt, span_str("q"), span_str("/h:1//"), 80, NULL) == 0);
    TAP_IS(mounttable_mount(t.mt, span_str("a/b"), span_str("/h:1//"), 80, NULL) == 0);
    TAP_IS(mounttable_mount(t.mt, span_str("a/c"), span_str("/h:1//"), 80, NULL) == 0);
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++) {
        call_text(&t, &m, hidden[i], "ResolveStep", NULL, 3);
        TAP_OK(m.err.code == WSPR_ENOTAUTH, "%s is resolved: %zu servers", hidden[i],
               m.n_results > 0 ? vom_value_len(&m.results[0]) : 0);
        mcall_done(&m);
    }
    for (size_t i = 0; i < sizeof above / sizeof above[0]; i++) {
        call_text(&t, &m, above[i], "Glob", "*", 1);
        TAP_OK(m.err.code == 0 &&
                   strcmp(json_object_to_json_string_ext(m.names, JSON_C_TO_STRING_PLAIN),
                          "[\"c\"]") == 0,
               "%s: %s", above[i], json_object_to_json_string(m.names));
        mcall_done(&m);
    }
    table_done(&t);
}

/* Whether the client may mount, by asking. */
static bool may_mount(struct table *t)
{
    struct mcall m;
    bool may;

    call_mount(t, &m, "//a/c", "/h:1//", 80);
    may = m.err.code == 0;
    TAP_OK(may || m.err.code == WSPR_ENOTAUTH, "%s", err_text(&m.err));
    mcall_done(&m);
    return may;
}

/* Lets seconds pass until it is so; they need not pass. */
static bool comes_true(struct table *t, bool may)
{
    for (int i = 0; i < 600; i++) {
        if (may_mount(t) == may)
            return true;
        loop_worker_skip(t->s.w, MOUNT_ACL_PERIOD);
        raw_run(t->s.w, 50);
    }
    return false;
}

/* With threads for it the file is looked at aside; what it says counts all the same. */
static void acl_watched(void)
{
    struct mounttable_opts opts = {.now = table_now};
    char path[4096];
    struct table t;

    opts.acl_file = child_file(path, sizeof path, "watched");
    write_file(path, "{\"/\": {\"client\": \"R\"}}");
    table_init_with(&t, &opts, true);
    TAP_IS(!may_mount(&t));
    write_file(path, "{\"/\": {\"client\": \"RW\"}}");
    TAP_OK(comes_true(&t, true), "the change does not count");
    write_file(path, "{\"/\": ");
    TAP_OK(comes_true(&t, false), "a broken file lets somebody in");
    write_file(path, "{\"/\": {\"client\": \"RW\"}}");
    TAP_OK(comes_true(&t, true), "the file is in order again, and nobody gets in");
    unlink(path);
    TAP_OK(comes_true(&t, false), "a file that is gone lets somebody in");
    /* If it cannot even be looked at, nothing else is known of it. */
    loop_offload_stop(t.s.offload, true);
    for (int i = 0; i < 3; i++) {
        loop_worker_skip(t.s.w, MOUNT_ACL_PERIOD);
        raw_run(t.s.w, 50);
        TAP_OK(!may_mount(&t), "a file that is not looked at lets somebody in");
    }
    table_done(&t);
    /* In the middle of a look. */
    write_file(path, "{\"/\": {\"client\": \"RW\"}}");
    table_init_with(&t, &opts, true);
    loop_worker_skip(t.s.w, MOUNT_ACL_PERIOD);
    loop_worker_turn(t.s.w, 0);
    loop_worker_turn(t.s.w, 0);
    table_done(&t);
}

static void acl_files(void)
{
    static const struct {
        const char *text, *error;
    } bad[] = {
        {"{\"/a\": {\"x\": \"R\"}}", "No acl for / in "},
        {"[]", "not an object"},
        {"{\"/\": {\"x\": \"Z\"}}", "invalid label: 'Z'"},
        {"{\"/\": ", "unexpected EOF"},
    };
    struct mounttable_opts opts = {0};
    struct mounttable *mt;
    char path[4096];

    TAP_IS(loop_worker_new(NULL, &opts.worker, NULL) == 0);
    opts.acl_file = child_file(path, sizeof path, "bad");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err e = ERR_INIT;

        write_file(path, bad[i].text);
        TAP_IS(mounttable_new(&opts, &mt, &e) < 0);
        TAP_OK(strstr(err_text(&e), bad[i].error) != NULL && strstr(err_text(&e), path) != NULL,
               "%s", err_text(&e));
        err_done(&e);
    }
    loop_worker_free(opts.worker);
}

/* One line of {mounttable_expiry}. */
static void expiry_step(struct table *t, struct json_object *v)
{
    const char *step = vec_str(v, "step");
    char suffix[256], pattern[32];
    struct mcall m;
    double wait;
    unsigned ttl;

    if (sscanf(step, "wait %lf s", &wait) == 1) {
        t->now += (int64_t)(wait * 1e9);
        return;
    }
    if (sscanf(step, "Mount %255s ttl %u", suffix, &ttl) == 2)
        call_mount(t, &m, suffix, "/h:1//", ttl);
    else if (strstr(step, "empty mount table") != NULL)
        call_text(t, &m, "//", "Glob", "", 1);
    else if (sscanf(step, "Glob %31s at %255s", pattern, suffix) == 2)
        call_text(t, &m, suffix, "Glob", pattern, 1);
    else if (sscanf(step, "Unmount %255s", suffix) == 1)
        call_text(t, &m, suffix, "Unmount", "", 1);
    else if (sscanf(step, "ResolveStep %255s", suffix) == 1)
        call_text(t, &m, suffix, "ResolveStep", NULL, 3);
    else {
        TAP_OK(false, "step %s is not understood", step);
        return;
    }
    check_answer(&m, v, step);
    mcall_done(&m);
}

static void expiry_vectors(void)
{
    struct json_object *file = vectors_load("names.json");
    struct json_object *steps = vec_get(file, "mounttable_expiry");
    struct mounttable_opts opts = {.now = table_now};
    size_t n = json_object_array_length(steps);
    struct table t;

    table_init(&t, &opts);
    for (size_t i = 0; i < n; i++) {
        /* The last one is about a table without names. */
        if (i == n - 1) {
            table_done(&t);
            table_init(&t, &opts);
        }
        expiry_step(&t, json_object_array_get_idx(steps, i));
    }
    tap_note("names.json mounttable_expiry: %zu of %zu steps", n, n);
    table_done(&t);
    json_object_put(file);
}

/* {live_mount}: the RPC that reaches the table, as its flows tell. */
static void mount_vectors(void)
{
    struct json_object *file = vectors_load("names.json"), *group = vec_get(file, "live_mount");
    struct mounttable_opts opts = {.now = table_now};
    size_t n = json_object_array_length(group), ran = 0;
    struct table t;
    struct mcall m;

    table_init(&t, &opts);
    TAP_IS(mounttable_mount(t.mt, span_str("srv"), span_str("/h:1//"), 80, NULL) == 0);
    TAP_IS(mounttable_mount(t.mt, span_str("sub"), span_str("/h:2"), 80, NULL) == 0);
    for (size_t i = 0; i < n; i++) {
        struct json_object *v = json_object_array_get_idx(group, i), *flows = vec_get(v, "flows");
        const char *last = json_object_get_string(
            json_object_array_get_idx(flows, json_object_array_length(flows) - 1));
        char suffix[256] = "";

        if (strcmp(last, "Mount at suffix \"\"") != 0 &&
            sscanf(last, "Mount at suffix \"%255[^\"]\"", suffix) != 1)
            continue; /* the client gives up before */
        call_mount(&t, &m, suffix, "/s:1//zz", 80);
        check_answer(&m, v, suffix);
        mcall_done(&m);
        ran++;
    }
    tap_note("names.json live_mount: %zu of %zu (the others never come to a mount table)", ran, n);
    TAP_IS(ran == 6);
    table_done(&t);
    json_object_put(file);
}

/* ---- what has no vector ---- */

static bool is_empty(void *arg)
{
    return mounttable_stats(arg)->names == 0;
}

static void timer(void)
{
    struct mounttable_opts opts = {.limits = {.linger = 50 * CLOCK_MS}};
    struct table t;
    char name[32];

    table_init(&t, &opts);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "d/n%u", i);
        TAP_IS(mounttable_mount(t.mt, span_str(name), span_str("/h:1//"), 1, NULL) == 0);
    }
    raw_run(t.s.w, 500);
    TAP_IS(mounttable_stats(t.mt)->mounts == 3000);
    TAP_OK(raw_until(t.s.w, is_empty, t.mt, 5000), "%u are left", mounttable_stats(t.mt)->mounts);
    TAP_IS(mounttable_stats(t.mt)->expired == 3000);
    table_done(&t);
}

/* A caller that does not read stops the walk; the table changes meanwhile; then it goes on. */
static void back_pressure(void)
{
    struct mounttable_opts opts = {.now = table_now};
    struct vom_value pattern = vom_value_str("...");
    struct mcall held, gone, other;
    unsigned n = 20000, waiting;
    struct table t;
    char name[64], server[256];

    table_init(&t, &opts);
    snprintf(server, sizeof server, "/host.example:1234//%0200d", 0);
    for (unsigned i = 0; i < n; i++) {
        snprintf(name, sizeof name, "directory%u/name%u", i % 100, i);
        TAP_IS(mounttable_mount(t.mt, span_str(name), span_str(server), 80, NULL) == 0);
    }
    mcall_start(&t, &held, "//", "Glob", &pattern, 1, 1);
    held.hold = true;
    mcall_start(&t, &gone, "//", "Glob", &pattern, 1, 1);
    gone.hold = true;
    raw_run(t.s.w, 300);
    waiting = held.n_items;
    TAP_OK(waiting == 1 && !held.done, "%u items came", waiting);
    call_text(&t, &other, "//", "Glob", "directory7/*", 1);
    TAP_OK(other.n_items == n / 100, "%u entries for another caller", other.n_items);
    mcall_done(&other);
    for (unsigned i = 0; i < n; i += 2) {
        snprintf(name, sizeof name, "directory%u/name%u", i % 100, i);
        mounttable_unmount(t.mt, span_str(name), span_str(""), NULL);
    }
    mcall_done(&gone); /* cancels */
    held.hold = false;
    rpc_call_resume(held.call);
    mcall_run(&t, &held);
    TAP_OK(held.err.code == 0 && held.n_items >= n / 2 + 50 && held.n_items < n, "%u entries, %s",
           held.n_items, held.err.code != 0 ? err_text(&held.err) : "");
    tap_note("%u entries of %u names, half of which went while the caller did not read",
             held.n_items, n);
    mcall_done(&held);
    mcall_start(&t, &held, "//", "Glob", &pattern, 1, 1);
    held.hold = true;
    raw_run(t.s.w, 50);
    mcall_done(&held);
    table_done(&t); /* with one that has just been cancelled */
}

const struct tap_case mount_rpc_cases[MOUNT_RPC_CASES] = {
    {"access lists", acl_vectors},    {"access lists, other spellings", acl_spellings},
    {"bad access files", acl_files},  {"expiry", expiry_vectors},
    {"mounting", mount_vectors},      {"expiry by the timer", timer},
    {"back-pressure", back_pressure}, {"a watched access file", acl_watched},
};

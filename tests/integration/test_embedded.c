/*
 * Names of pages: wsprd alone on a machine with nothing configured, and wsprd with roots of names.
 * Spec: websocket 4 and 7, naming 4 and 5.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"
#include "tap.h"
#include "wspeer.h"

/* Nothing listens there. */
#define DEAD_ROOT "/@2@tcp@127.0.0.1:1@00000000000000000000000000000001@1@2@@"
#define TEXT_MAX  2048

/* ---- a page ---- */

struct page {
    struct wspeer peer;
    char roots[TEXT_MAX]; /* what the first frame lists: the text between the brackets */
};

static bool page_open(struct page *p, int port)
{
    static const char head[] = "{\"mounttableRoot\": [";
    struct wspeer_frame frame;
    bool ok = wspeer_connect(&p->peer, port, "/ws", NULL, RIG_TIMEOUT_MS) == 0 &&
              wspeer_recv_message(&p->peer, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME &&
              strncmp((char *)frame.data, head, sizeof head - 1) == 0 &&
              strcmp((char *)frame.data + frame.len - 2, "]}") == 0;

    TAP_OK(ok, "no first frame: %s", p->peer.error);
    if (ok)
        snprintf(p->roots, sizeof p->roots, "%.*s", (int)(frame.len - sizeof head - 1),
                 (char *)frame.data + sizeof head - 1);
    return ok;
}

static void page_close(struct page *p)
{
    wspeer_close(&p->peer);
}

/* Sends a message and gives the answer, or "". data is JSON whose quotes are escaped already. */
static const char *page_ask(struct page *p, int type, const char *data)
{
    static char answer[8192];
    char text[TEXT_MAX * 2];
    struct wspeer_frame frame;

    snprintf(text, sizeof text, "{\"id\":1,\"data\":\"%s\",\"type\":%d}", data, type);
    answer[0] = '\0';
    if (wspeer_send_text(&p->peer, text) == 0 &&
        wspeer_recv_message(&p->peer, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME)
        snprintf(answer, sizeof answer, "%s", (char *)frame.data);
    else
        printf("# %s: %s\n", text, p->peer.error);
    return answer;
}

/* A request; args is JSON whose quotes are escaped already. */
static const char *page_call(struct page *p, const char *name, const char *method, const char *args,
                             int results)
{
    char data[TEXT_MAX + 512];

    snprintf(data, sizeof data,
             "{\\\"name\\\":\\\"%s\\\",\\\"method\\\":\\\"%s\\\",\\\"inArgs\\\":[%s],"
             "\\\"numOutArgs\\\":%d}",
             name, method, args, results);
    return page_ask(p, 0, data);
}

/* The call succeeds, and its answer holds the text. */
static void answers(struct page *p, const char *name, const char *method, const char *args,
                    int results, const char *want)
{
    const char *answer = page_call(p, name, method, args, results);

    TAP_OK(strstr(answer, "\\\"type\\\": 0") != NULL && strstr(answer, want) != NULL,
           "%s of %s: %s, not %s", method, name, answer, want);
}

/* The call fails, and its error holds the text. */
static void refuses(struct page *p, const char *name, const char *method, const char *args,
                    int results, const char *want)
{
    const char *answer = page_call(p, name, method, args, results);

    TAP_OK(strstr(answer, "\\\"type\\\": 2") != NULL && strstr(answer, want) != NULL,
           "%s of %s: %s, not %s", method, name, answer, want);
}

/* The object of this name has the method, by its signature. */
static void offers(struct page *p, const char *name, const char *method)
{
    char data[TEXT_MAX];
    const char *answer;

    snprintf(data, sizeof data, "{\\\"name\\\":\\\"%s\\\"}", name);
    answer = page_ask(p, 5, data);
    TAP_OK(strstr(answer, "\\\"type\\\": 0") != NULL && strstr(answer, method) != NULL,
           "%s has no %s: %s", name, method, answer);
}

/* The sample service is behind the name: it keeps what it is given. */
static void is_cache(struct page *p, const char *name)
{
    static unsigned serial;
    char args[64], want[64];

    snprintf(args, sizeof args, "\\\"key\\\",%u", ++serial);
    snprintf(want, sizeof want, "[%u]", serial);
    answers(p, name, "set", args, 1, "[]");
    answers(p, name, "get", "\\\"key\\\"", 2, want);
}

/* ---- wsprd as a user starts it ---- */

/* With this home and no variable set but, maybe, the roots; args are further arguments. */
static bool start_with(struct rig_wsprd *w, const char *home, const char *roots,
                       const char *const *args)
{
    static unsigned serial;
    char program[4200], plugins[4200], log[4200], name[64], home_env[4300], text[64];
    const char *argv[16] = {program, "-port=0", plugins};
    const char *env[] = {home_env,          "VEYRON_IDENTITY", roots, "MOUNTTABLE_ROOT",
                         "STATE_DIRECTORY", "XDG_STATE_HOME",  NULL};

    if (!rig_program(program, sizeof program, "wsprd"))
        return false;
    snprintf(plugins, sizeof plugins, "-plugin-dir=%s/plugins/.libs",
             getenv("abs_top_builddir") != NULL ? getenv("abs_top_builddir") : ".");
    snprintf(home_env, sizeof home_env, "HOME=%s", home);
    snprintf(name, sizeof name, "alone-%u.log", serial++);
    for (size_t i = 0; args != NULL && args[i] != NULL && i < 12; i++)
        argv[i + 3] = args[i];
    w->port = 0;
    if (child_start(&w->child, argv, env, child_file(log, sizeof log, name)) < 0)
        return false;
    if (child_wait_text(&w->child, "Listening at: ws://127.0.0.1:", text, sizeof text,
                        RIG_TIMEOUT_MS))
        w->port = (int)strtol(text, NULL, 10);
    return w->port > 0;
}

static bool start_alone(struct rig_wsprd *w, const char *home, const char *const *args)
{
    return start_with(w, home, "NAMESPACE_ROOT", args);
}

/* A new folder for a user of this test. */
static const char *new_home(char path[4200])
{
    static unsigned serial;
    char name[32];

    snprintf(name, sizeof name, "home-%u", serial++);
    child_file(path, 4200, name);
    TAP_IS(mkdir(path, 0755) == 0);
    return path;
}

/* The whole file, or "". */
static const char *read_text(const char *home, const char *name, char *text, size_t size)
{
    char path[4300];
    FILE *f;
    size_t n = 0;

    snprintf(path, sizeof path, "%s/%s", home, name);
    f = fopen(path, "r");
    if (f != NULL) {
        n = fread(text, 1, size - 1, f);
        fclose(f);
    }
    text[n] = '\0';
    return text;
}

#define IDENTITY ".local/state/wspr/identity"

/* All the ways to write a name. root: of the mount table, "/" and an endpoint. */
static void check_forms(struct page *p, const char *root)
{
    static const char server[] = "[{\\\"server\\\": \\\"/@2@tcp@127.0.0.1:";
    char name[TEXT_MAX], short_root[64];
    const char *port = strchr(root, ':');

    TAP_IS(port != NULL);
    snprintf(short_root, sizeof short_root, "/127.0.0.1:%d",
             port != NULL ? (int)strtol(port + 1, NULL, 10) : 0);
    is_cache(p, "cache");
    is_cache(p, "cache/any/thing");
    is_cache(p, "cache//any");
    offers(p, "cache/errorThrower", "throwAborted");
    for (int i = 0; i < 2; i++) {
        const char *at = i == 0 ? root : short_root;

        snprintf(name, sizeof name, "%s/cache", at);
        is_cache(p, name);
        snprintf(name, sizeof name, "%s/cache/errorThrower", at);
        offers(p, name, "throwAborted");
        /* What follows "//" is not resolved: these are objects of the mount table. */
        snprintf(name, sizeof name, "%s//cache", at);
        answers(p, name, "resolveStep", "", 3, server);
        snprintf(name, sizeof name, "%s//", at);
        offers(p, name, "resolveStep");
        offers(p, at, "mount");
    }
    answers(p, "//cache", "resolveStep", "", 3, server);
    offers(p, "", "resolveStep");
    offers(p, "//", "glob");
}

static void test_alone(void)
{
    char home[4200], path[4300], root[TEXT_MAX / 2] = "", *out;
    struct rig_wsprd w;
    struct page p;
    struct stat st;
    long long began = child_now_ms();

    if (!start_alone(&w, new_home(home), NULL)) {
        TAP_OK(0, "wsprd does not start alone");
        child_show_log(&w.child);
        return;
    }
    snprintf(path, sizeof path, "%s/" IDENTITY, home);
    TAP_IS(stat(path, &st) == 0 && (st.st_mode & 07777) == 0600);
    if (page_open(&p, w.port)) {
        answers(&p, "cache", "size", "", 2, "[0]");
        /* Roughly: the output of wsprd is looked at from time to time. See tests/bench/first.c. */
        tap_note("from the start to the first answer: %lld ms", child_now_ms() - began);
        /* One root, in quotes; its endpoint as address of names in both forms. */
        TAP_OK(strncmp(p.roots, "\"/@2@tcp@127.0.0.1:", 19) == 0 && strchr(p.roots, ',') == NULL &&
                   strcmp(p.roots + strlen(p.roots) - 4, "@@@\"") != 0,
               "%s", p.roots);
        snprintf(root, sizeof root, "%.*s", (int)strlen(p.roots) - 2, p.roots + 1);
        check_forms(&p, root);
        refuses(&p, "no/such", "get", "\\\"key\\\"", 2, "Name doesn't exist");
    }
    page_close(&p);
    out = child_output(&w.child);
    TAP_OK(out != NULL && strstr(out, root) != NULL && strstr(out, "Sample service: cache\n"), "%s",
           out);
    free(out);
    TAP_IS(rig_wsprd_stop(&w));
}

/* The identity is made once; several daemons of one user share it. */
static void test_identity_kept(void)
{
    char home[4200], first[8192], then[8192];
    struct rig_wsprd w[2];

    new_home(home);
    for (int i = 0; i < 2; i++) {
        TAP_IS(start_alone(&w[0], home, NULL) && start_alone(&w[1], home, NULL));
        read_text(home, IDENTITY, i == 0 ? first : then, sizeof first);
        TAP_IS(rig_wsprd_stop(&w[0]) && rig_wsprd_stop(&w[1]));
    }
    TAP_OK(strlen(first) > 500 && strcmp(first, then) == 0, "\"%s\", then \"%s\"", first, then);
}

/* It does not start, and says this. */
static void starts_not(const char *home, const char *const *args, const char *want)
{
    struct rig_wsprd w;
    bool up = start_alone(&w, home, args);
    char *out = child_output(&w.child);

    TAP_OK(!up && child_wait(&w.child, RIG_TIMEOUT_MS) && WIFEXITED(w.child.status) &&
               WEXITSTATUS(w.child.status) == 1,
           "status %d", w.child.status);
    TAP_OK(out != NULL && strstr(out, want) != NULL, "%s, not %s", out, want);
    free(out);
    child_stop(&w.child, SIGKILL, 1000);
}

static void test_state_dir(void)
{
    char home[4200], other[4200], option[4400], file[4300], text[64], *out;
    const char *const args[] = {option, NULL};
    struct rig_wsprd w;
    FILE *f;

    new_home(home);
    new_home(other);
    snprintf(option, sizeof option, "-state-dir=%s/deep/er", other);
    TAP_IS(start_alone(&w, home, args) && rig_wsprd_stop(&w));
    TAP_IS(strlen(read_text(other, "deep/er/identity", text, sizeof text)) > 50);
    TAP_IS(read_text(home, IDENTITY, text, sizeof text)[0] == '\0');
    /* Damaged: one clear error, and nothing changes. */
    snprintf(file, sizeof file, "%s/deep/er/identity", other);
    f = fopen(file, "w");
    TAP_IS(f != NULL && fputs("!!!!", f) >= 0 && fclose(f) == 0);
    starts_not(home, args, "is of no use (move it away to get a new one): illegal base64");
    TAP_IS(strcmp(read_text(other, "deep/er/identity", text, sizeof text), "!!!!") == 0);
    /* A directory that cannot be: an error if it was asked for, a warning if not. */
    snprintf(option, sizeof option, "-state-dir=%s/below", file);
    starts_not(home, args, "make the directory");
    TAP_IS(start_alone(&w, file, NULL));
    out = child_output(&w.child);
    TAP_OK(out != NULL && strstr(out, "will not be kept") != NULL, "%s", out);
    free(out);
    TAP_IS(rig_wsprd_stop(&w));
}

static void test_no_embedded(void)
{
    static const char *const args[] = {"-no-embedded", NULL};
    struct rig_wsprd w;
    struct page p;
    char home[4200], *out;

    if (!start_alone(&w, new_home(home), args)) {
        TAP_OK(0, "wsprd does not start");
        return;
    }
    if (page_open(&p, w.port)) {
        TAP_OK(p.roots[0] == '\0', "%s", p.roots);
        refuses(&p, "cache", "get", "\\\"key\\\"", 2, "No mount table");
    }
    page_close(&p);
    out = child_output(&w.child);
    TAP_OK(out != NULL && strstr(out, "cache") == NULL, "%s", out);
    free(out);
    TAP_IS(rig_wsprd_stop(&w));
}

/* A variable that is set and names no root is none. */
static void test_empty_root(void)
{
    struct rig_wsprd w;
    struct page p;
    char home[4200];

    TAP_IS(start_with(&w, new_home(home), "NAMESPACE_ROOT= ,", NULL));
    if (page_open(&p, w.port)) {
        TAP_OK(strncmp(p.roots, "\"/@2@tcp@127.0.0.1:", 19) == 0, "%s", p.roots);
        is_cache(&p, "cache");
    }
    page_close(&p);
    TAP_IS(rig_wsprd_stop(&w));
}

/* What people have in their scripts; most of it means nothing here (spec: websocket 1). */
static void test_old_flags(void)
{
    static const char *const args[] = {"-alsologtostderr=false",
                                       "--logtostderr",
                                       "-log_dir=/nowhere",
                                       "-log_backtrace_at",
                                       "file.go:1",
                                       "-max_stack_buf_size=4096",
                                       "-stderrthreshold=2",
                                       "-v=1",
                                       "-vv=2",
                                       "-vmodule=x=3",
                                       NULL};
    struct rig_wsprd w;
    struct page p;
    char home[4200], *out;

    TAP_IS(start_alone(&w, new_home(home), args));
    if (page_open(&p, w.port))
        is_cache(&p, "cache");
    page_close(&p);
    TAP_IS(rig_wsprd_stop(&w));
    out = child_output(&w.child);
    TAP_OK(out != NULL && strstr(out, " info ") != NULL && strstr(out, " debug ") == NULL, "%s",
           out != NULL ? out : "");
    free(out);
}

/* A stream that is open when the signal comes does not hold the end up. */
static void test_stops_in_a_call(void)
{
    struct wspeer_frame frame;
    struct rig_wsprd w;
    struct page p;
    char home[4200];

    TAP_IS(start_alone(&w, new_home(home), NULL));
    if (page_open(&p, w.port)) {
        is_cache(&p, "cache");
        wspeer_send_text(&p.peer, "{\"id\":3,\"data\":\"{\\\"name\\\":\\\"cache\\\",\\\"method\\\":"
                                  "\\\"multiGet\\\",\\\"inArgs\\\":[],\\\"numOutArgs\\\":1,"
                                  "\\\"isStreaming\\\":true}\",\"type\":0}");
        wspeer_send_text(&p.peer, "{\"id\":3,\"data\":\"\\\"key\\\"\",\"type\":3}");
        TAP_IS(wspeer_recv_message(&p.peer, &frame, RIG_TIMEOUT_MS) == WSPEER_FRAME);
    }
    TAP_IS(rig_wsprd_stop(&w));
    page_close(&p);
}

/* ---- roots of names ---- */

struct network {
    struct child table[2], sampled[2];
    char root[2][600];   /* "/" and the endpoint of a mount table */
    char server[2][600]; /* the same of a sample service, as it is mounted */
};

static bool network_start(struct network *n)
{
    bool ok = true;

    for (int i = 0; ok && i < 2; i++) {
        char endpoint[512];

        ok = rig_table_start(&n->table[i], endpoint, sizeof endpoint);
        snprintf(n->root[i], sizeof n->root[i], "/%s", endpoint);
        ok = ok && rig_sampled_start(&n->sampled[i], NULL, endpoint, sizeof endpoint);
        snprintf(n->server[i], sizeof n->server[i], "/%s//", endpoint);
    }
    return ok;
}

static void network_stop(struct network *n)
{
    for (int i = 0; i < 2; i++) {
        TAP_IS(rig_sampled_stop(&n->sampled[i]));
        TAP_IS(rig_table_stop(&n->table[i]));
    }
}

/* Mounts a server by calling the mount table itself. */
static void mount_at(struct page *p, const char *root, const char *name, const char *server)
{
    char object[TEXT_MAX], args[TEXT_MAX];

    snprintf(object, sizeof object, "%s//%s", root, name);
    snprintf(args, sizeof args, "\\\"%s\\\",3600", server);
    answers(p, object, "mount", args, 1, "[]");
}

/* wsprd with this NAMESPACE_ROOT, and one page on it, whose first frame must list `want`. */
static bool open_with(struct rig_wsprd *w, struct page *p, const char *roots, const char *want)
{
    char *out;

    if (!rig_wsprd_start(w, roots, NULL))
        return false;
    out = child_output(&w->child);
    TAP_OK(out != NULL && strstr(out, "Mount table:") == NULL, "%s", out);
    free(out);
    if (!page_open(p, w->port))
        return false;
    TAP_OK(strcmp(p->roots, want) == 0, "%s, not %s", p->roots, want);
    return true;
}

static void close_with(struct rig_wsprd *w, struct page *p)
{
    page_close(p);
    TAP_IS(rig_wsprd_stop(w));
}

static void test_roots(void)
{
    struct network n;
    struct rig_wsprd w;
    struct page p;
    char roots[TEXT_MAX - 16], want[TEXT_MAX], args[TEXT_MAX];

    if (!network_start(&n)) {
        TAP_OK(0, "no network");
        return;
    }
    /* One that is dead is passed over, blanks do not count; the first frame has all as it is. */
    snprintf(roots, sizeof roots, "%s, %s,", DEAD_ROOT, n.root[1]);
    snprintf(want, sizeof want, "\"%s\", \" %s\", \"\"", DEAD_ROOT, n.root[1]);
    if (open_with(&w, &p, roots, want)) {
        mount_at(&p, n.root[0], "both", n.server[0]);
        mount_at(&p, n.root[1], "both", n.server[1]);
        mount_at(&p, n.root[1], "second", n.server[1]);
        mount_at(&p, n.root[1], "down/below/service", n.server[1]);
        mount_at(&p, n.root[0], "tables/other", n.root[1]);
        is_cache(&p, "second");
        is_cache(&p, "both");
        is_cache(&p, "down/below/service/x");
        refuses(&p, "first", "get", "\\\"key\\\"", 2, "Name doesn't exist");
    }
    close_with(&w, &p);
    /* The first that answers decides, also that there is no such name. */
    snprintf(roots, sizeof roots, "%s,%s", n.root[0], n.root[1]);
    snprintf(want, sizeof want, "\"%s\", \"%s\"", n.root[0], n.root[1]);
    if (open_with(&w, &p, roots, want)) {
        answers(&p, "both", "set", "\\\"who\\\",\\\"first\\\"", 1, "[]");
        snprintf(args, sizeof args, "%scache", n.server[0]);
        answers(&p, args, "get", "\\\"who\\\"", 2, "first");
        refuses(&p, "second", "get", "\\\"key\\\"", 2, "Name doesn't exist");
        /* Through a mount table in the mount table. */
        is_cache(&p, "tables/other/second");
    }
    close_with(&w, &p);
    /* A root with a path, and one by its host and port. */
    snprintf(roots, sizeof roots, "%s/down", n.root[1]);
    snprintf(want, sizeof want, "\"%s\"", roots);
    if (open_with(&w, &p, roots, want)) {
        is_cache(&p, "below/service");
        refuses(&p, "second", "get", "\\\"key\\\"", 2, "Name doesn't exist");
    }
    close_with(&w, &p);
    snprintf(roots, sizeof roots, "/127.0.0.1:%ld", strtol(strchr(n.root[1], ':') + 1, NULL, 10));
    snprintf(want, sizeof want, "\"%s\"", roots);
    if (open_with(&w, &p, roots, want))
        is_cache(&p, "second");
    close_with(&w, &p);
    network_stop(&n);
}

int main(int argc, char **argv)
{
    static const struct tap_case alone[] = {
        {"nothing configured", test_alone},        {"the identity is kept", test_identity_kept},
        {"the state directory", test_state_dir},   {"not embedded", test_no_embedded},
        {"an empty root", test_empty_root},        {"the flags of old", test_old_flags},
        {"stops in a call", test_stops_in_a_call},
    };
    static const struct tap_case roots[] = {{"several roots", test_roots}};
    const struct tap_suite suites[] = {TAP_SUITE("alone", alone), TAP_SUITE("roots", roots)};

    return tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
}

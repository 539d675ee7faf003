#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "failmalloc.h"
#include "security/identity.h"
#include "security/idfile.h"
#include "security/trust.h"
#include "services/identity_file.h"
#include "services_tests.h"

/* Writes a file into the folder of the test; its path. */
static const char *write_file(char path[4200], const void *p, size_t len)
{
    FILE *f = fopen(child_file(path, 4200, "identity"), "w");

    TAP_IS(f != NULL && fwrite(p, 1, len, f) == len && fclose(f) == 0);
    return path;
}

static void name_is(const struct security_private *id, const struct security_trust *t,
                    const char *want)
{
    struct buf text = BUF_INIT(4096);

    security_identity_print(&text, security_private_public(id), t);
    TAP_OK(span_equal_str(buf_span(&text), want), "\"%.*s\", not \"%s\"", SPAN_ARG(buf_span(&text)),
           want);
    buf_done(&text);
}

static void from_the_file(void)
{
    struct security_private *id, *got;
    struct security_trust *trust;
    struct buf text = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    char path[4200];

    TAP_IS(security_private_new(span_str("somebody"), &id, &e) == 0);
    TAP_IS(security_idfile_print_private(&text, id) == 0);
    buf_append_str(&text, "\n");
    setenv("VEYRON_IDENTITY", write_file(path, buf_data(&text), text.len), 1);
    TAP_IS(identity_of_process(&got, &trust, &e) == 0);
    TAP_IS(security_identity_equal(security_private_public(id), security_private_public(got)));
    name_is(got, trust, "somebody");
    security_private_unref(got);
    security_private_unref(id);
    security_trust_unref(trust);
    security_buf_wipe(&text);
    unsetenv("VEYRON_IDENTITY");
}

static void fails(const char *path, const char *cause)
{
    struct security_private *id;
    struct security_trust *trust;
    struct err e = ERR_INIT;
    char want[8500];

    setenv("VEYRON_IDENTITY", path, 1);
    TAP_IS(identity_of_process(&id, &trust, &e) < 0);
    snprintf(want, sizeof want,
             "Could not load identity from the VEYRON_IDENTITY environment variable (\"%s\"): %s",
             path, cause);
    TAP_OK(strcmp(err_text(&e), want) == 0, "\"%s\", not \"%s\"", err_text(&e), want);
    err_done(&e);
    unsetenv("VEYRON_IDENTITY");
}

static void bad_files(void)
{
    struct security_private *id;
    struct buf text = BUF_INIT(1 << 20);
    char path[4200];

    fails("/nonexistent/identity", "open /nonexistent/identity: no such file or directory");
    fails("/", "read /: is a directory");
    fails(write_file(path, "!!!!", 4), "illegal base64 data at input byte 0");
    fails(write_file(path, "", 0), "EOF");
    TAP_IS(security_private_new(span_str("somebody"), &id, NULL) == 0);
    TAP_IS(security_idfile_print_private(&text, id) == 0);
    /* Cut at some places: an error each time, and never what the file holds. */
    for (size_t n = 1; n < text.len; n += 97) {
        struct security_private *got;
        struct err e = ERR_INIT;

        TAP_OK(identity_file_read(write_file(path, buf_data(&text), n), &got, &e) < 0, "%zu", n);
        TAP_OK(strlen(err_text(&e)) < 200, "%zu: %s", n, err_text(&e));
        err_done(&e);
    }
    security_private_unref(id);
    security_buf_wipe(&text);
}

static void too_long(void)
{
    struct security_private *id;
    struct err e = ERR_INIT;

    TAP_IS(identity_file_read("/dev/zero", &id, &e) == WSPR_ELIMIT);
    TAP_OK(strstr(err_text(&e), "too long") != NULL, "%s", err_text(&e));
    err_done(&e);
}

static void fresh(void)
{
    struct security_private *id;
    struct security_trust *trust;
    struct err e = ERR_INIT;
    struct span name;
    char pid[32], dir[4200], *text;

    setenv("VEYRON_IDENTITY", "", 1);
    setenv("STATE_DIRECTORY", child_file(dir, sizeof dir, "nothing"), 1);
    TAP_IS(identity_of_process(&id, &trust, &e) == 0);
    TAP_IS(access(dir, F_OK) < 0);
    unsetenv("STATE_DIRECTORY");
    TAP_IS(security_identity_names(security_private_public(id), trust, &name, 1) == 1);
    snprintf(pid, sizeof pid, "-%d", (int)getpid());
    text = calloc(name.len + 1, 1);
    TAP_IS(text != NULL);
    memcpy(text, name.p, name.len);
    TAP_OK(name.len > strlen(pid) && strcmp(text + name.len - strlen(pid), pid) == 0, "\"%s\"",
           text);
    free(text);
    security_private_unref(id);
    security_trust_unref(trust);
    unsetenv("VEYRON_IDENTITY");
}

/* ---- the state directory ---- */

/* A directory of this name in the folder of the test, which is not there yet. */
static const char *state_dir(char path[4200], const char *name)
{
    return child_file(path, 4200, name);
}

static void where_state_is(void)
{
    static const struct {
        const char *dir, *state, *xdg, *home, *want;
    } t[] = {
        {"given", "/state", "/xdg", "/users/x", "given"},
        {"", "/state", "/xdg", "/users/x", "/state"},
        {NULL, "/first:/second", "/xdg", "/users/x", "/first"},
        {NULL, "", "/xdg", "/users/x", "/xdg/wspr"},
        {NULL, NULL, "relative", "/users/x", "/users/x/.local/state/wspr"},
        {NULL, NULL, NULL, "/users/x", "/users/x/.local/state/wspr"},
        {NULL, NULL, NULL, "", NULL},
        {NULL, NULL, NULL, NULL, NULL},
    };
    const char *home = getenv("HOME");
    char path[IDENTITY_PATH_MAX], kept[4200];

    snprintf(kept, sizeof kept, "%s", home != NULL ? home : "");
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        int r;

        unsetenv("STATE_DIRECTORY");
        unsetenv("XDG_STATE_HOME");
        unsetenv("HOME");
        if (t[i].state != NULL)
            setenv("STATE_DIRECTORY", t[i].state, 1);
        if (t[i].xdg != NULL)
            setenv("XDG_STATE_HOME", t[i].xdg, 1);
        if (t[i].home != NULL)
            setenv("HOME", t[i].home, 1);
        r = identity_state_dir(t[i].dir, path, sizeof path, NULL);
        TAP_IS((r == 0) == (t[i].want != NULL));
        if (r == 0 && t[i].want != NULL)
            TAP_OK(strcmp(path, t[i].want) == 0, "%s, not %s", path, t[i].want);
    }
    TAP_IS(identity_state_dir("12345678", path, 8, NULL) == WSPR_ELIMIT);
    unsetenv("STATE_DIRECTORY");
    unsetenv("XDG_STATE_HOME");
    if (home != NULL)
        setenv("HOME", kept, 1);
}

static bool same(const struct security_private *a, const struct security_private *b)
{
    return security_identity_equal(security_private_public(a), security_private_public(b));
}

static bool has_mode(const char *path, mode_t mode)
{
    struct stat st;

    return stat(path, &st) == 0 && (st.st_mode & 07777) == mode;
}

/* The daemon makes it once; everybody finds it again. */
static void kept(void)
{
    static const struct log nowhere = {-1, LOG_LEVEL_ERROR};
    struct security_private *first, *again, *tool, *other;
    struct security_trust *trust;
    bool is_new;
    struct err e = ERR_INIT;
    char dir[4200], parent[4200], file[4300];

    state_dir(parent, "kept");
    state_dir(dir, "kept/deeper/wspr");
    snprintf(file, sizeof file, "%s/identity", dir);
    TAP_OK(identity_of_daemon(dir, &nowhere, &first, &trust, &is_new, &e) == 0, "%s", err_text(&e));
    security_trust_unref(trust);
    TAP_IS(is_new && identity_of_daemon_sync(dir, &e) == 0);
    TAP_IS(has_mode(file, 0600) && has_mode(dir, 0700) && has_mode(parent, 0700));
    TAP_IS(identity_of_daemon(dir, &nowhere, &again, &trust, &is_new, &e) == 0);
    security_trust_unref(trust);
    TAP_IS(same(first, again) && !is_new);

    setenv("STATE_DIRECTORY", dir, 1);
    TAP_IS(identity_of_tool(NULL, &tool, &trust, &e) == 0);
    security_trust_unref(trust);
    TAP_IS(same(first, tool));
    security_private_unref(tool);
    /* What was named goes before it. */
    TAP_IS(identity_fresh(&other, &e) == 0);
    TAP_IS(identity_file_create(state_dir(parent, "other"), other, &e) == 0);
    TAP_IS(identity_of_tool(parent, &tool, &trust, &e) == 0);
    security_trust_unref(trust);
    TAP_IS(same(other, tool));
    security_private_unref(tool);
    setenv("VEYRON_IDENTITY", parent, 1);
    TAP_IS(identity_of_daemon(dir, &nowhere, &tool, &trust, &is_new, &e) == 0);
    security_trust_unref(trust);
    TAP_IS(same(other, tool));
    unsetenv("VEYRON_IDENTITY");
    unsetenv("STATE_DIRECTORY");
    /* Nothing is overwritten. */
    TAP_IS(identity_file_create(file, other, &e) == WSPR_EEXISTS);
    security_private_unref(tool);
    TAP_IS(identity_file_read(file, &tool, NULL) == 0 && same(first, tool));
    security_private_unref(tool);
    security_private_unref(other);
    security_private_unref(first);
    security_private_unref(again);
    err_done(&e);
}

/* A file that holds no identity stops the daemon, and stays as it is. */
static void damaged(void)
{
    static const struct log nowhere = {-1, LOG_LEVEL_ERROR};
    struct security_private *id;
    struct security_trust *trust;
    bool is_new;
    struct err e = ERR_INIT;
    char dir[4200], file[4300], text[8] = "";
    FILE *f;

    state_dir(dir, "damaged");
    TAP_IS(mkdir(dir, 0700) == 0);
    snprintf(file, sizeof file, "%s/identity", dir);
    f = fopen(file, "w");
    TAP_IS(f != NULL && fputs("!!!!", f) >= 0 && fclose(f) == 0);
    setenv("STATE_DIRECTORY", dir, 1);
    TAP_IS(identity_of_daemon(NULL, &nowhere, &id, &trust, &is_new, &e) < 0);
    TAP_OK(strstr(err_text(&e), file) != NULL && strstr(err_text(&e), "move it away") != NULL, "%s",
           err_text(&e));
    err_done(&e);
    e = ERR_INIT;
    TAP_IS(identity_of_process(&id, &trust, &e) < 0);
    TAP_OK(strstr(err_text(&e), file) != NULL, "%s", err_text(&e));
    err_done(&e);
    unsetenv("STATE_DIRECTORY");
    f = fopen(file, "r");
    TAP_IS(f != NULL && fgets(text, sizeof text, f) != NULL && fclose(f) == 0);
    TAP_IS(strcmp(text, "!!!!") == 0);
}

/* No directory can be made: the daemon warns and goes on, unless it was told to use that one. */
static void no_directory(void)
{
    struct log log = {-1, LOG_LEVEL_WARN};
    struct security_private *id;
    struct security_trust *trust;
    bool is_new;
    struct err e = ERR_INIT;
    char file[4200], dir[4300], text[4096] = "";
    int fds[2];

    write_file(file, "", 0);
    snprintf(dir, sizeof dir, "%s/below", file);
    TAP_IS(identity_of_daemon(dir, &log, &id, &trust, &is_new, &e) < 0);
    TAP_OK(strstr(err_text(&e), "make the directory") != NULL, "%s", err_text(&e));
    err_done(&e);
    e = ERR_INIT;
    TAP_IS(pipe(fds) == 0);
    log.fd = fds[1];
    setenv("STATE_DIRECTORY", dir, 1);
    TAP_OK(identity_of_daemon(NULL, &log, &id, &trust, &is_new, &e) == 0, "%s", err_text(&e));
    unsetenv("STATE_DIRECTORY");
    TAP_IS(read(fds[0], text, sizeof text - 1) > 0);
    TAP_OK(strstr(text, "will not be kept") != NULL, "%s", text);
    close(fds[0]);
    close(fds[1]);
    security_private_unref(id);
    security_trust_unref(trust);
}

/* Many that start at once come out with one identity. */
static void all_at_once(const char *dir)
{
    enum { N = 8 };
    static const struct log nowhere = {-1, LOG_LEVEL_ERROR};
    char texts[2][4096];
    int fds[2], status;

    TAP_IS(pipe(fds) == 0);
    for (int i = 0; i < N; i++) {
        if (fork() == 0) {
            struct security_private *id;
            struct security_trust *trust;
            bool is_new;
            struct buf text = BUF_INIT(4096);

            if (identity_of_daemon(dir, &nowhere, &id, &trust, &is_new, NULL) < 0 ||
                security_idfile_print_public(&text, security_private_public(id)) < 0)
                _exit(1);
            buf_truncate(&text, 1000); /* the key is in it; and it arrives in one piece */
            memset(texts[0], 0, 1000);
            memcpy(texts[0], buf_data(&text), text.len);
            _exit(write(fds[1], texts[0], 1000) == 1000 ? 0 : 1);
        }
    }
    for (int i = 0; i < N; i++) {
        TAP_IS(wait(&status) > 0 && status == 0);
        TAP_IS(read(fds[0], texts[i > 0], 1000) == 1000);
        TAP_IS(i == 0 || memcmp(texts[0], texts[1], 1000) == 0);
    }
    close(fds[0]);
    close(fds[1]);
}

static void at_once(void)
{
    char dir[4200], file[4300];
    FILE *f;

    all_at_once(state_dir(dir, "at-once"));
    all_at_once(dir);
    /* The same, where a failure of the system left an empty file. */
    state_dir(dir, "at-once-empty");
    TAP_IS(mkdir(dir, 0700) == 0);
    snprintf(file, sizeof file, "%s/identity", dir);
    f = fopen(file, "w");
    TAP_IS(f != NULL && fclose(f) == 0);
    all_at_once(dir);
}

/* What a failure of the system may leave of an identity that was just made. */
static void emptied(void)
{
    static const struct log nowhere = {-1, LOG_LEVEL_ERROR};
    struct security_private *id;
    struct security_trust *trust;
    char dir[4200], file[4300];
    bool is_new;

    state_dir(dir, "emptied");
    snprintf(file, sizeof file, "%s/identity", dir);
    for (int i = 0; i < 3; i++) {
        TAP_IS(identity_of_daemon(dir, &nowhere, &id, &trust, &is_new, NULL) == 0);
        TAP_IS(is_new == (i < 2));
        security_private_unref(id);
        security_trust_unref(trust);
        if (i == 0)
            TAP_IS(truncate(file, 0) == 0);
    }
}

static void keep_once(void *arg)
{
    static const struct log nowhere = {-1, LOG_LEVEL_ERROR};
    struct security_private *id;
    struct security_trust *trust;
    bool is_new;
    char dir[4200], file[4300];
    bool *made = arg;
    int r;

    state_dir(dir, "memory");
    snprintf(file, sizeof file, "%s/identity", dir);
    if (!*made)
        unlink(file);
    r = identity_of_daemon(dir, &nowhere, &id, &trust, &is_new, NULL);
    if (r == 0) {
        security_private_unref(id);
        security_trust_unref(trust);
    }
}

static void memory(void)
{
    bool made = false;

    TAP_IS(failmalloc_each(keep_once, &made, 1000) > 10);
    made = true;
    TAP_IS(failmalloc_each(keep_once, &made, 1000) > 10);
}

const struct tap_case identity_file_cases[IDENTITY_FILE_CASES] = {
    {"from the file", from_the_file},
    {"files that are no identity", bad_files},
    {"a file without an end", too_long},
    {"a fresh one", fresh},
    {"where the state directory is", where_state_is},
    {"the daemon keeps its identity", kept},
    {"a damaged file", damaged},
    {"an empty file", emptied},
    {"no state directory", no_directory},
    {"many daemons start at once", at_once},
    {"failing memory", memory},
};

/*
 * Accounts through real processes: wsprd with a state directory, a service that tells its callers
 * apart, wspr beside them. All identities come from one root, which everybody trusts.
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "rig.h"
#include "security/idfile.h"
#include "security/trust.h"
#include "slow.h"
#include "tap.h"
#include "tool.h"
#include "unit/rpc/rig.h"
#include "wspeer.h"

#define APP   "http://app.example"
#define OTHER "http://other.example"
#define NAME  "root/alice/http:%2F%2Fapp.example"

static struct security_private *root, *alice;
static struct security_trust *trust;
static char alice_file[4200], wsprd_file[4200], state_dir[4200];
static char endpoint[256]; /* of the service, with the slash */
static pid_t service;
static struct child wsprd;
static int port;
static struct buf seen; /* all that any page was sent */

/* ---- the cast ---- */

static struct security_private *bless(const char *name)
{
    struct security_blessing b = {
        .name = span_str(name),
        .now = clock_wall() - 60 * CLOCK_S,
        .duration = 3600 * CLOCK_S,
    };
    struct security_private *fresh = NULL, *id = NULL;
    struct security_identity *blessed = NULL;

    if (security_private_new(span_str(name), &fresh, NULL) < 0 ||
        security_private_bless(root, security_identity_key(security_private_public(fresh)), &b,
                               &blessed, NULL) < 0 ||
        security_private_derive(fresh, blessed, &id, NULL) < 0)
        exit(99);
    security_private_unref(fresh);
    security_identity_unref(blessed);
    return id;
}

static void write_identity(char path[4200], const char *name, struct security_private *id)
{
    struct buf text = BUF_INIT(SECURITY_TEXT_MAX);
    int fd = open(child_file(path, 4200, name), O_WRONLY | O_CREAT | O_EXCL, 0600);

    if (fd < 0 || security_idfile_print_private(&text, id) < 0 ||
        write(fd, buf_data(&text), text.len) != (ssize_t)text.len)
        exit(99);
    close(fd);
    security_buf_wipe(&text);
}

/* The service runs in a process of its own until it is killed. */
static void serve(int out)
{
    struct rig_opts opts = {.identity = root, .trust = trust};
    struct rig rig;
    struct slow slow;
    char text[256];

    rig_init(&rig, &opts);
    slow_init(&slow);
    slow.trust = trust;
    rig_serve(&rig, &slow.dispatcher, text);
    if (write(out, text, strlen(text)) < 0)
        _exit(1);
    close(out);
    loop_worker_run(rig.w);
    _exit(0);
}

static void begin(void)
{
    struct security_private *id;
    int ends[2];
    ssize_t n;

    if (security_private_new(span_str("root"), &root, NULL) < 0)
        exit(99);
    trust = security_trust_create();
    security_trust_add_roots(trust, root);
    alice = bless("alice");
    write_identity(alice_file, "alice.id", alice);
    id = bless("wsprd");
    write_identity(wsprd_file, "wsprd.id", id);
    security_private_unref(id);
    child_file(state_dir, sizeof state_dir, "state");
    buf_init(&seen, 16 * 1024 * 1024);
    if (pipe(ends) < 0)
        exit(99);
    fflush(stdout);
    service = fork();
    if (service == 0)
        serve(ends[1]);
    close(ends[1]);
    n = read(ends[0], endpoint, sizeof endpoint - 1);
    close(ends[0]);
    if (n <= 0)
        exit(99);
    endpoint[n] = '\0';
}

static void finish(void)
{
    kill(service, SIGKILL);
    waitpid(service, NULL, 0);
    security_private_unref(root);
    security_private_unref(alice);
    security_trust_unref(trust);
    buf_done(&seen);
}

static bool launch(const char *const *args)
{
    static unsigned serial;
    char program[4200], plugins[4300], state[4300], identity[4300], log[4200], name[64];
    const char *argv[16] = {program, "-port=0", "-no-embedded", "-v=2", plugins, state};
    const char *env[] = {identity, "NAMESPACE_ROOT", "MOUNTTABLE_ROOT", NULL};

    if (!rig_program(program, sizeof program, "wsprd"))
        return false;
    snprintf(plugins, sizeof plugins, "-plugin-dir=%s/plugins/.libs",
             getenv("abs_top_builddir") != NULL ? getenv("abs_top_builddir") : ".");
    snprintf(state, sizeof state, "-state-dir=%s", state_dir);
    snprintf(identity, sizeof identity, "VEYRON_IDENTITY=%s", wsprd_file);
    for (size_t i = 0; args != NULL && args[i] != NULL && i < 8; i++)
        argv[6 + i] = args[i];
    snprintf(name, sizeof name, "wsprd-%u.log", serial++);
    return child_start(&wsprd, argv, env, child_file(log, sizeof log, name)) == 0;
}

static bool start(const char *const *args)
{
    char text[256];

    if (launch(args) && child_wait_text(&wsprd, "Listening at: ws://127.0.0.1:", text, sizeof text,
                                        RIG_TIMEOUT_MS)) {
        port = (int)strtol(text, NULL, 10);
        return true;
    }
    child_show_log(&wsprd);
    TAP_OK(false, "wsprd does not start");
    return false;
}

static void stop(void)
{
    TAP_IS(child_stop(&wsprd, SIGTERM, RIG_TIMEOUT_MS));
    TAP_IS(WIFEXITED(wsprd.status) && WEXITSTATUS(wsprd.status) == 0);
}

static int run_wspr(const char *const *args, struct tool *t)
{
    char identity[4300];
    const char *env[] = {identity, "NAMESPACE_ROOT", "MOUNTTABLE_ROOT", NULL};

    snprintf(identity, sizeof identity, "VEYRON_IDENTITY=%s", wsprd_file);
    return tool_start(t, "wspr", args, env, 0) ? tool_end(t) : -1;
}

#define WSPR(t, ...) run_wspr((const char *const[]){"accounts", __VA_ARGS__, NULL}, t)

/* ---- pages ---- */

static bool open_page(struct wspeer *p, const char *origin)
{
    char header[200] = "";
    struct wspeer_frame f;

    if (origin != NULL)
        snprintf(header, sizeof header, "Origin: %s\r\n", origin);
    return wspeer_connect(p, port, "/ws", origin != NULL ? header : NULL, RIG_TIMEOUT_MS) == 0 &&
           wspeer_recv_message(p, &f, RIG_TIMEOUT_MS) == WSPEER_FRAME;
}

/* Sends a message, its data put into a string, and returns the answer (until the next one). */
static const char *ask(struct wspeer *p, int type, const char *data)
{
    struct wspeer_frame f;
    size_t size = 2 * strlen(data) + 64, n;
    char *text = malloc(size);

    if (text == NULL)
        return "";
    n = (size_t)snprintf(text, size, "{\"id\":1,\"type\":%d,\"data\":\"", type);
    for (const char *c = data; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            text[n++] = '\\';
        text[n++] = *c;
    }
    memcpy(text + n, "\"}", 3);
    wspeer_send_text(p, text);
    free(text);
    if (wspeer_recv_message(p, &f, RIG_TIMEOUT_MS) != WSPEER_FRAME)
        return "";
    buf_append(&seen, f.data, f.len);
    return (const char *)f.data;
}

static const char *call(struct wspeer *p, const char *suffix)
{
    char data[1024];

    snprintf(data, sizeof data,
             "{\"name\":\"%s//%s\",\"method\":\"whoami\",\"inArgs\":[],\"numOutArgs\":2}", endpoint,
             suffix);
    return ask(p, 0, data);
}

static bool answer_is(const char *answer, const char *name)
{
    char want[512];

    snprintf(want, sizeof want, "[\\\"%s\\\"]", name);
    return strstr(answer, want) != NULL;
}

static bool is_refused(const char *answer)
{
    return strstr(answer, "veyron2/verror.NotAuthorized") != NULL;
}

/* One call of a fresh page of that origin to the object that only the app may use. */
static void app_is(bool admitted, const char *origin, int line)
{
    struct wspeer p;
    const char *answer;

    tap_check(open_page(&p, origin), __FILE__, line, "no connection");
    answer = call(&p, "only/" NAME);
    tap_check(admitted ? answer_is(answer, NAME) : is_refused(answer), __FILE__, line, "%s: %s",
              origin, answer);
    wspeer_close(&p);
}

#define ADMITTED(origin) app_is(true, origin, __LINE__)
#define REFUSED(origin)  app_is(false, origin, __LINE__)

static const char *associate(struct wspeer *p, struct security_private *id, const char *origin)
{
    struct buf text = BUF_INIT(SECURITY_TEXT_MAX);
    static char data[8192];
    const char *answer;

    security_idfile_print_private(&text, id);
    snprintf(data, sizeof data, "{\"account\":\"alice\",\"identity\":\"%.*s\",\"origin\":\"%s\"}",
             SPAN_ARG(buf_span(&text)), origin);
    answer = ask(p, 7, data);
    security_buf_wipe(&text);
    return answer;
}

/* ---- the tests, which follow each other ---- */

static void associated(void)
{
    struct wspeer p;

    TAP_IS(start(NULL));
    REFUSED(APP);
    TAP_IS(open_page(&p, APP));
    TAP_IS(answer_is(call(&p, "x"), "root/wsprd"));
    wspeer_close(&p);
    TAP_IS(open_page(&p, NULL));
    TAP_IS(strstr(associate(&p, alice, APP), "\\\"message\\\": null") != NULL);
    wspeer_close(&p);
    ADMITTED(APP);
    REFUSED(OTHER);
    REFUSED(NULL);
}

static void restarted(void)
{
    stop();
    TAP_IS(start(NULL));
    ADMITTED(APP);
    REFUSED(OTHER);
    TAP_IS(child_stop(&wsprd, SIGKILL, RIG_TIMEOUT_MS));
    TAP_IS(start(NULL));
    ADMITTED(APP);
    stop();
}

static void renewed(void)
{
    struct wspeer p;
    long long began;

    TAP_IS(start((const char *const[]){"-bless-lifetime=1s", NULL}));
    TAP_IS(open_page(&p, APP));
    TAP_IS(answer_is(call(&p, "only/" NAME), NAME));
    /* Past the end of the first blessing: that is what time is for here. */
    for (began = child_now_ms(); child_now_ms() < began + 2500;)
        poll(NULL, 0, 100);
    TAP_IS(answer_is(call(&p, "only/" NAME), NAME));
    wspeer_close(&p);
    stop();
    TAP_IS(start((const char *const[]){"-bless-origins=false", NULL}));
    TAP_IS(open_page(&p, APP));
    TAP_IS(answer_is(call(&p, "x"), "root/alice"));
    wspeer_close(&p);
    stop();
}

/* Calls until the answer is that; what wspr changed is seen within seconds. */
static bool soon(struct wspeer *p, bool admitted)
{
    long long end = child_now_ms() + RIG_TIMEOUT_MS;

    while (child_now_ms() < end) {
        const char *answer = call(p, "only/" NAME);

        if (admitted ? answer_is(answer, NAME) : is_refused(answer))
            return true;
        poll(NULL, 0, 50);
    }
    return false;
}

static void removed(void)
{
    char state[4300];
    struct wspeer p;
    struct tool t;

    snprintf(state, sizeof state, "--state-dir=%s", state_dir);
    TAP_IS(start(NULL));
    TAP_IS(open_page(&p, APP));
    TAP_IS(answer_is(call(&p, "only/" NAME), NAME));
    TAP_IS(WSPR(&t, "list", state) == 0);
    TAP_OK(strstr(tool_out(&t), "alice  root/alice  good for ") != NULL, "%s", tool_out(&t));
    TAP_IS(strstr(tool_out(&t), "1 origin\n") != NULL);
    tool_done(&t);
    TAP_IS(WSPR(&t, "remove", "alice", state) == 2); /* nobody can be asked */
    tool_done(&t);
    TAP_IS(WSPR(&t, "remove", "--origin", "http://nobody.example", state) == 6);
    TAP_OK(strncmp(tool_err(&t), "wspr: http://nobody.example: o", 30) == 0, "%s", tool_err(&t));
    tool_done(&t);
    TAP_IS(WSPR(&t, "remove", "alice", "--yes", state) == 0);
    tool_done(&t);
    TAP_IS(soon(&p, false)); /* on the connection that there is */
    REFUSED(APP);
    TAP_IS(WSPR(&t, "add", "alice", alice_file, "--origin", "HTTP://App.example:80", state) == 0);
    tool_done(&t);
    TAP_IS(soon(&p, true));
    ADMITTED(APP);
    TAP_IS(WSPR(&t, "origins", "--json", state) == 0);
    TAP_OK(strstr(tool_out(&t), "{\"origin\": \"" APP "\", \"account\": \"alice\"") != NULL, "%s",
           tool_out(&t));
    tool_done(&t);
    /* An origin that may call one method only; not this one. */
    TAP_IS(WSPR(&t, "add", "alice", "--origin", APP, "--method", "Echo", state) == 0);
    tool_done(&t);
    TAP_IS(soon(&p, false));
    TAP_IS(WSPR(&t, "add", "alice", "--origin", APP, "--method", "Whoami", state) == 0);
    tool_done(&t);
    TAP_IS(soon(&p, true));
    wspeer_close(&p);
    stop();
}

static void exported(void)
{
    char state[4300], file[4200];
    struct buf a = BUF_INIT(65536);
    struct stat st;
    struct tool t;

    snprintf(state, sizeof state, "--state-dir=%s", state_dir);
    child_file(file, sizeof file, "exported.id");
    TAP_IS(WSPR(&t, "export", "alice", file, state) == 0);
    tool_done(&t);
    TAP_IS(stat(file, &st) == 0 && (st.st_mode & 0777) == 0600);
    TAP_IS(WSPR(&t, "export", "alice", "-", state) == 0);
    security_idfile_print_private(&a, alice);
    TAP_IS(strncmp(tool_out(&t), (char *)buf_data(&a), a.len) == 0);
    tool_done(&t);
    TAP_IS(WSPR(&t, "export", "nobody", "-", state) == 6);
    tool_done(&t);
    security_buf_wipe(&a);
}

static void damaged(void)
{
    char path[4400], state[4300];
    struct tool t;
    FILE *f;

    snprintf(state, sizeof state, "--state-dir=%s", state_dir);
    snprintf(path, sizeof path, "%s/accounts/current/data", state_dir);
    f = fopen(path, "r+");
    TAP_IS(f != NULL && fseek(f, 900, SEEK_SET) == 0 && fputc('x', f) == 'x');
    if (f != NULL)
        fclose(f);
    TAP_IS(launch(NULL));
    TAP_IS(child_wait(&wsprd, RIG_TIMEOUT_MS));
    TAP_IS(WIFEXITED(wsprd.status) && WEXITSTATUS(wsprd.status) == 1);
    {
        char *out = child_output(&wsprd);

        TAP_OK(out != NULL &&
                   strstr(out, "/accounts cannot be used: signature verification failed") != NULL,
               "%s", out);
        free(out);
    }
    TAP_IS(WSPR(&t, "add", "alice", alice_file, "--yes", state) == 6);
    TAP_IS(strstr(tool_err(&t), "damaged files") != NULL);
    tool_done(&t);
    /* Nothing touched it. */
    f = fopen(path, "r");
    TAP_IS(f != NULL && fseek(f, 900, SEEK_SET) == 0 && fgetc(f) == 'x');
    if (f != NULL)
        fclose(f);
}

/* ---- secrets ---- */

static struct buf haystack;

static bool holds(struct span s, const void *needle, size_t len)
{
    return memmem(s.p, s.len, needle, len) != NULL;
}

/* Whether it has a piece of the key in any form that anybody would print it in. */
static bool holds_key(struct span s)
{
    struct span scalar = security_key_scalar(security_private_key(alice));
    struct buf hex = BUF_INIT(256), text = BUF_INIT(SECURITY_TEXT_MAX);
    bool found = holds(s, scalar.p, scalar.len);

    hex_encode(&hex, scalar.p, scalar.len);
    for (size_t i = 0; i + 16 <= hex.len; i += 8)
        found = found || holds(s, buf_data(&hex) + i, 16);
    security_idfile_print_private(&text, alice);
    /* The scalar stands at the end of the text. */
    found = found || holds(s, buf_data(&text) + text.len - 40, 24);
    buf_done(&hex);
    security_buf_wipe(&text);
    return found;
}

static void read_file(const char *path)
{
    FILE *f = fopen(path, "r");
    size_t n;
    uint8_t *p;

    buf_reset(&haystack);
    while (f != NULL && (p = buf_reserve(&haystack, 65536)) != NULL &&
           (n = fread(p, 1, 65536, f)) > 0)
        buf_commit(&haystack, n);
    if (f != NULL)
        fclose(f);
}

/* Files that others may read, and logs in any case, hold no key; *n counts what was looked at. */
static void search_folder(const char *folder, unsigned *n, unsigned *private)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[8192];
        struct stat st;

        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || lstat(path, &st) < 0)
            continue;
        if (S_ISDIR(st.st_mode)) {
            search_folder(path, n, private);
        } else if (S_ISREG(st.st_mode)) {
            bool open_to_others = (st.st_mode & 077) != 0 || strstr(path, ".log") != NULL;

            read_file(path);
            if (open_to_others)
                TAP_OK(!holds_key(buf_span(&haystack)), "%s holds a private key", path);
            else
                *private += holds_key(buf_span(&haystack));
            *n += open_to_others;
        }
    }
    if (dir != NULL)
        closedir(dir);
}

static void no_secrets_anywhere(void)
{
    unsigned n = 0, private = 0;
    char limits[64], state[4300];
    struct wspeer p;
    struct tool t;

    /* Failures of all kinds, with the key in them. */
    buf_init(&haystack, 64 * 1024 * 1024);
    child_file(state_dir, sizeof state_dir, "state-2"); /* the other one is damaged */
    TAP_IS(start(NULL));
    TAP_IS(open_page(&p, OTHER));
    TAP_IS(is_refused(associate(&p, alice, APP)));
    TAP_IS(strstr(associate(&p, alice, OTHER), "null") != NULL);
    wspeer_close(&p);
    TAP_IS(open_page(&p, NULL));
    TAP_IS(strstr(associate(&p, alice, ""), "BadArg") != NULL);
    TAP_IS(strstr(associate(&p, alice, APP), "null") != NULL);
    wspeer_close(&p);
    ADMITTED(APP);
    snprintf(limits, sizeof limits, "/proc/%d/limits", (int)wsprd.pid);
    read_file(limits);
    TAP_IS(holds(buf_span(&haystack), "Max core file size        1 ", 28) ||
           holds(buf_span(&haystack), "Max core file size        0 ", 28));
    stop();
    snprintf(state, sizeof state, "--state-dir=%s", state_dir);
    TAP_IS(WSPR(&t, "list", "--verbose", state) == 0);
    TAP_IS(!holds_key(span_str(tool_out(&t))) && !holds_key(span_str(tool_err(&t))));
    tool_done(&t);
    TAP_IS(seen.len > 1000 && !holds_key(buf_span(&seen)));
    search_folder(child_folder(), &n, &private);
    tap_note("%u logs and open files, %u private files with the key", n, private);
    TAP_IS(n >= 7 && private >= 3); /* the search finds what is there */
    buf_done(&haystack);
}

static const struct tap_case cases[] = {
    {"associated", associated},
    {"restarted", restarted},
    {"renewed", renewed},
    {"removed and added", removed},
    {"exported", exported},
    {"damaged", damaged},
    {"no secrets anywhere", no_secrets_anywhere},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("associate", cases)};
    int r;

    begin();
    r = tap_main(argc, argv, suites, 1);
    finish();
    return r;
}

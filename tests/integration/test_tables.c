/*
 * Mount tables and servers that mount themselves, as processes: options, the line that they print,
 * names that come and go with them, access files, signals, ends.
 */
#include "config.h"

#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"
#include "tap.h"
#include "tool.h"

#define TABLE_LINE  "Mount table service at: "
#define SERVER_LINE "Listening at: "

/* ---- programs ---- */

/* "-ttl=SECONDS" for names that live that long; longer where the kernel is slow (torture/run). */
static const char *ttl(int seconds)
{
    static char flag[32];

    snprintf(flag, sizeof flag, "-ttl=%d", getenv("WSPR_SLOWIO") != NULL ? 10 * seconds : seconds);
    return flag;
}

/* Starts a program under the identity of the test, or a fresh one, with a root or none. */
static bool start(struct tool *t, const char *program, const char *root, bool fresh,
                  const char *const *args)
{
    char roots[700], identity[4300], state[4300], folder[4200];
    const char *env[] = {roots, identity, state, "MOUNTTABLE_ROOT", NULL};

    snprintf(roots, sizeof roots, "NAMESPACE_ROOT%s%s", root != NULL ? "=" : "",
             root != NULL ? root : "");
    snprintf(identity, sizeof identity, "VEYRON_IDENTITY%s%s", fresh ? "" : "=",
             fresh ? "" : rig_identity());
    snprintf(state, sizeof state, "XDG_STATE_HOME=%s", child_file(folder, sizeof folder, "none"));
    return tool_start(t, program, args, env, 0);
}

#define START(t, program, root, ...)                                                               \
    TAP_OK(start(t, program, root, false, (const char *const[]){__VA_ARGS__, NULL}),               \
           "%s does not start", program)

/* What follows `mark` in the program's output up to the end of the line; waits for it. */
static void line_of(struct tool *t, const char *mark, char *text, size_t size)
{
    const char *at;

    text[0] = '\0';
    TAP_OK(tool_wait_out(t, mark) && tool_wait_out(t, "\n"), "no \"%s\": %s", mark, tool_err(t));
    at = strstr(tool_out(t), mark);
    if (at != NULL)
        snprintf(text, size, "%.*s", (int)strcspn(at + strlen(mark), "\n"), at + strlen(mark));
}

/* Starts a mount table on the loopback; its root, "/ENDPOINT". */
static void start_table(struct tool *t, const char *root, const char *name, char *text, size_t size)
{
    char name_flag[200], want[200];

    snprintf(name_flag, sizeof name_flag, "--name=%s", name);
    snprintf(want, sizeof want, TABLE_LINE "\"%s\" endpoint: ", name);
    START(t, "wspr-mounttabled", root, "--address", "127.0.0.1:0", name_flag, ttl(4));
    line_of(t, want, text, size);
    TAP_OK(strncmp(text, "/@2@tcp@127.0.0.1:", 18) == 0, "\"%s\"", text);
}

static void stop(struct tool *t, int signal)
{
    int status;

    tool_signal(t, signal);
    status = tool_wait(t);
    TAP_OK(status == (signal == SIGKILL ? TOOL_SIGNALS + SIGKILL : 0), "status %d: %s", status,
           tool_err(t));
    tool_done(t);
}

/* Runs `wspr` with a root; its status, and its output in ret_out. */
static int wspr(const char *root, char *ret_out, size_t size, const char *const *args)
{
    struct tool t;
    int status = -1;

    if (start(&t, "wspr", root, false, args))
        status = tool_end(&t);
    snprintf(ret_out, size, "%s%s", tool_out(&t), tool_err(&t));
    tool_done(&t);
    return status;
}

#define WSPR(root, out, ...)                                                                       \
    wspr(root, out, sizeof out, (const char *const[]){"--timeout=30s", __VA_ARGS__, NULL})

static void nap(void)
{
    poll(NULL, 0, 50);
}

/* Asks until the status is as wanted; false after a long time. */
static bool resolves_with(const char *root, const char *name, int status)
{
    long long end = child_now_ms() + 60000;
    char out[4096];

    while (WSPR(root, out, "resolve", name) != status) {
        if (child_now_ms() > end) {
            tap_note("%s", out);
            return false;
        }
        nap();
    }
    return true;
}

/* ---- cases ---- */

static void ends_by_itself(void)
{
    char no_root[4200], broken[4200];
    const struct {
        const char *name, *args[4], *root;
        int status;
        const char *text;
    } t[] = {
        {"unknown flag", {"-nonsense"}, NULL, 2, "-nonsense"},
        {"flag without a value", {"-acls"}, NULL, 2, "-acls"},
        {"stray argument", {"stray"}, NULL, 2, "unexpected argument \"stray\""},
        {"no number", {"-ttl=soon"}, NULL, 2, "-ttl"},
        {"no time", {"-ttl=0"}, NULL, 2, "-ttl"},
        {"neighborhood", {"-neighborhood_name=x"}, NULL, 2, "-neighborhood_name: there is no"},
        {"no address", {"-address=nonsense"}, NULL, 1, "nonsense"},
        {"address of another machine", {"-address=192.0.2.77:0"}, NULL, 1, "192.0.2.77"},
        {"a name without a root", {"-address=127.0.0.1:0", "-name=a"}, NULL, 1, "NAMESPACE_ROOT"},
        {"a root without a slash", {"-address=127.0.0.1:0"}, "h:1", 1, "[\"h:1\"]"},
        {"no file", {"-acls=/nonexistent/acls"}, NULL, 1, "open /nonexistent/acls: no such file"},
        {"a file without a root", {no_root}, NULL, 1, "No acl for / in "},
        {"a broken file", {broken}, NULL, 1, "unexpected EOF"},
    };
    static const char *const texts[] = {"{\"/a\": {\"*\": \"R\"}}", "{\"/\": "};
    char *const flags[] = {no_root, broken};

    for (int i = 0; i < 2; i++) {
        char path[4096];
        FILE *f = fopen(child_file(path, sizeof path, i == 0 ? "no-root" : "broken"), "w");

        TAP_IS(f != NULL && fputs(texts[i], f) >= 0 && fclose(f) == 0);
        snprintf(flags[i], sizeof no_root, "-acls=%s", path);
    }
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct tool p;
        int status = -1;

        if (start(&p, "wspr-mounttabled", t[i].root, false, t[i].args))
            status = tool_wait(&p);
        TAP_OK(status == t[i].status, "%s: status %d", t[i].name, status);
        TAP_OK(tool_out(&p)[0] == '\0', "%s: it printed \"%s\"", t[i].name, tool_out(&p));
        TAP_OK(strstr(tool_err(&p), t[i].text) != NULL, "%s: \"%s\"", t[i].name, tool_err(&p));
        tool_done(&p);
    }
}

static void help_and_version(void)
{
    static const char *const flags[] = {"-address", "-name", "-acls",   "-neighborhood_name",
                                        "-ttl",     "-help", "-version"};
    struct tool p;

    START(&p, "wspr-mounttabled", NULL, "--help");
    TAP_IS(tool_wait(&p) == 0);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        TAP_OK(strstr(tool_out(&p), flags[i]) != NULL, "%s is missing", flags[i]);
    tool_done(&p);
    START(&p, "wspr-mounttabled", NULL, "-version");
    TAP_IS(tool_wait(&p) == 0 && strstr(tool_out(&p), PACKAGE_VERSION) != NULL);
    tool_done(&p);
}

/* Names are there when the line is printed, and gone when the process has ended. */
static void names_come_and_go(void)
{
    struct tool top, below, server;
    char root[600], sub[600], endpoint[600], out[4096], want[1400];

    start_table(&top, NULL, "", root, sizeof root);
    start_table(&below, root, "sub", sub, sizeof sub);
    START(&server, "wspr-sampled", root, "-name=sub/deep/store", ttl(4));
    line_of(&server, SERVER_LINE, endpoint, sizeof endpoint);

    snprintf(want, sizeof want, "/%s//\n", endpoint);
    TAP_IS(WSPR(root, out, "resolve", "sub/deep/store") == 0);
    TAP_OK(strcmp(out, want) == 0, "\"%s\", not \"%s\"", out, want);
    snprintf(want, sizeof want, "%s//deep/store\n", sub);
    TAP_IS(WSPR(root, out, "resolve", "--mounttable", "sub/deep/store") == 0);
    TAP_OK(strcmp(out, want) == 0, "\"%s\", not \"%s\"", out, want);
    TAP_IS(WSPR(root, out, "call", "sub/deep/store", "Set", "\"k\"", "\"v\"") == 0);
    TAP_IS(WSPR(root, out, "call", "sub/deep/store/any", "Get", "\"k\"") == 0);
    TAP_OK(strstr(out, "v") != NULL, "\"%s\"", out);
    TAP_IS(WSPR(root, out, "glob", "...") == 0 && strstr(out, "sub/deep/store") != NULL);

    stop(&server, SIGTERM);
    TAP_OK(WSPR(root, out, "resolve", "sub/deep/store") == 3, "%s", out);
    stop(&below, SIGINT);
    TAP_OK(WSPR(root, out, "resolve", "sub") == 3, "%s", out);
    stop(&top, SIGTERM);
}

/* Several roots, one of them dead: the name is at each that lives. */
static void several_roots(void)
{
    struct tool a, b, server;
    char root_a[600], root_b[600], roots[1300], out[4096], endpoint[600];

    start_table(&a, NULL, "", root_a, sizeof root_a);
    start_table(&b, NULL, "", root_b, sizeof root_b);
    snprintf(roots, sizeof roots, "/127.0.0.1:1,%s, %s", root_a, root_b);
    START(&server, "wspr-sampled", roots, ttl(4));
    line_of(&server, SERVER_LINE, endpoint, sizeof endpoint);
    TAP_OK(WSPR(root_a, out, "resolve", "cache") == 0 && strstr(out, endpoint) != NULL, "%s", out);
    TAP_OK(WSPR(root_b, out, "resolve", "cache") == 0 && strstr(out, endpoint) != NULL, "%s", out);
    TAP_OK(WSPR(roots, out, "call", "cache", "Size") == 0, "%s", out);
    stop(&a, SIGTERM);
    TAP_OK(WSPR(roots, out, "call", "cache", "Size") == 0, "%s", out);
    stop(&server, SIGTERM);
    TAP_OK(WSPR(root_b, out, "resolve", "cache") == 3, "%s", out);
    stop(&b, SIGTERM);
}

/* No name is asked for, or there is nowhere to put it. */
static void unpublished(void)
{
    struct tool table, server;
    char root[600], out[4096], endpoint[600];

    start_table(&table, NULL, "", root, sizeof root);
    START(&server, "wspr-sampled", root, "-name=");
    line_of(&server, SERVER_LINE, endpoint, sizeof endpoint);
    TAP_OK(WSPR(root, out, "glob", "*") == 0 && out[0] == '\0', "%s", out);
    stop(&server, SIGTERM);
    /* One that is given in full needs no root. */
    snprintf(out, sizeof out, "-name=%s/rooted/name", root);
    START(&server, "wspr-sampled", NULL, out);
    line_of(&server, SERVER_LINE, endpoint, sizeof endpoint);
    TAP_OK(WSPR(root, out, "resolve", "rooted/name") == 0 && strstr(out, endpoint) != NULL, "%s",
           out);
    stop(&server, SIGTERM);
    TAP_OK(WSPR(root, out, "resolve", "rooted/name") == 3, "%s", out);
    stop(&table, SIGTERM);
}

/* A process that was killed is not found any more once its time to live is over. */
static void killed(void)
{
    struct tool table, server, other;
    char root[600], endpoint[600], out[4096];
    long long died;

    start_table(&table, NULL, "", root, sizeof root);
    START(&server, "wspr-sampled", root, "-name=mortal", ttl(2));
    line_of(&server, SERVER_LINE, endpoint, sizeof endpoint);
    START(&other, "wspr-sampled", root, "-name=alive", ttl(2));
    line_of(&other, SERVER_LINE, endpoint, sizeof endpoint);
    TAP_OK(WSPR(root, out, "resolve", "mortal") == 0, "%s", out);
    stop(&server, SIGKILL);
    died = child_now_ms();
    TAP_OK(resolves_with(root, "mortal", 3), "it is still there");
    tap_note("the name of a killed process, mounted with %s, was gone after %lld ms", ttl(2),
             child_now_ms() - died);
    TAP_OK(WSPR(root, out, "resolve", "alive") == 0, "%s", out);
    stop(&other, SIGTERM);
    stop(&table, SIGTERM);
}

/* A table that comes back empty at the same address gets its names again. */
static void table_comes_back(void)
{
    struct tool table, server;
    char first[600], address[600], root[700], endpoint[600], *end;

    start_table(&table, NULL, "", first, sizeof first);
    snprintf(address, sizeof address, "%s", first + strlen("/@2@tcp@"));
    end = strchr(address, '@');
    TAP_IS(end != NULL);
    *end = '\0';
    snprintf(root, sizeof root, "/%s", address);
    START(&server, "wspr-sampled", root, ttl(4));
    line_of(&server, SERVER_LINE, endpoint, sizeof endpoint);
    TAP_IS(resolves_with(root, "cache", 0));
    stop(&table, SIGKILL);
    START(&table, "wspr-mounttabled", NULL, "--address", address);
    line_of(&table, TABLE_LINE, endpoint, sizeof endpoint);
    TAP_OK(resolves_with(root, "cache", 0), "it is not mounted again");
    stop(&server, SIGTERM);
    stop(&table, SIGTERM);
}

static void write_acls(const char *path, const char *text)
{
    char fresh[4200];
    FILE *f;

    /* As careful programs do: a reader sees the old one or the new one. */
    snprintf(fresh, sizeof fresh, "%s.new", path);
    f = fopen(fresh, "w");
    TAP_IS(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0 && rename(fresh, path) == 0);
}

static bool mounts_with(const char *root, int status)
{
    long long end = child_now_ms() + 60000;
    char out[4096];

    while (WSPR(root, out, "mount", "some/name", "/127.0.0.1:1//") != status) {
        if (child_now_ms() > end) {
            tap_note("%s", out);
            return false;
        }
        nap();
    }
    return true;
}

/* Changes of the access file count without a restart; a broken one locks everybody out. */
static void access_file(void)
{
    char path[4096], flag[4200], root[600], out[4096];
    struct tool table;

    write_acls(child_file(path, sizeof path, "acls"), "{\"/\": {\"*\": \"R\"}}");
    snprintf(flag, sizeof flag, "-acls=%s", path);
    TAP_IS(start(&table, "wspr-mounttabled", NULL, true,
                 (const char *const[]){"-address=127.0.0.1:0", flag, NULL}));
    line_of(&table, "endpoint: ", root, sizeof root);
    TAP_OK(WSPR(root, out, "mount", "some/name", "/127.0.0.1:1//") == 1 &&
               strstr(out, "not authorized") != NULL,
           "%s", out);
    TAP_OK(WSPR(root, out, "resolve", "some/name") == 3, "%s", out);
    write_acls(path, "{\"/\": {\"*\": \"RW\"}}");
    TAP_OK(mounts_with(root, 0), "the change does not count");
    TAP_OK(WSPR(root, out, "resolve", "some/name") == 0, "%s", out);
    write_acls(path, "{\"/\": ");
    TAP_OK(mounts_with(root, 1), "a broken file lets somebody in");
    write_acls(path, "{\"/\": {\"*\": \"RW\"}}");
    TAP_OK(mounts_with(root, 0), "the file is in order again");
    write_acls(path, "{\"/\": {\"*\": \"RW\"}, \"/some\": {\"nobody\": \"W\"}}");
    TAP_OK(mounts_with(root, 1), "the list of a component does not count");
    stop(&table, SIGTERM);
}

static bool knows_localhost(void)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;

    if (getaddrinfo("localhost", NULL, &hints, &found) != 0)
        return false;
    freeaddrinfo(found);
    return true;
}

/* Behind another address: endpoints and mounts tell that one, and it is where callers come to. */
static void published_address(void)
{
    char root[600], sub[600], endpoint[600], out[4096];
    struct tool table, below, server;

    if (!knows_localhost()) {
        tap_skip("this machine does not know the name localhost");
        return;
    }
    START(&table, "wspr-mounttabled", NULL, "--address=:0", "--published_address=localhost:0");
    line_of(&table, "endpoint: ", root, sizeof root);
    TAP_OK(strncmp(root, "/@2@tcp@localhost:", 18) == 0 && strstr(root, ":0@") == NULL, "%s", root);
    START(&below, "wspr-mounttabled", root, "--address=:0", "--published_address=localhost:0",
          "--name=sub");
    line_of(&below, "endpoint: ", sub, sizeof sub);
    START(&server, "wspr-sampled", root, "-published_address=localhost:0", "-name=sub/a");
    line_of(&server, SERVER_LINE, endpoint, sizeof endpoint);
    TAP_OK(WSPR(root, out, "resolve", "sub/a") == 0 && strstr(out, "@localhost:") != NULL, "%s",
           out);
    TAP_OK(WSPR(root, out, "call", "sub/a", "Size") == 0, "%s", out);
    stop(&server, SIGTERM);
    stop(&below, SIGTERM);
    stop(&table, SIGTERM);
    START(&table, "wspr-mounttabled", NULL, "--address=:0", "--published_address=nonsense");
    TAP_IS(tool_wait(&table) == 1 && strstr(tool_err(&table), "nonsense") != NULL);
    tool_done(&table);
}

static void address_in_use(void)
{
    char root[600], flag[700], *end;
    struct tool a, b;

    start_table(&a, NULL, "", root, sizeof root);
    end = strchr(root + 8, '@');
    TAP_IS(end != NULL);
    *end = '\0';
    snprintf(flag, sizeof flag, "-address=%s", root + 8);
    START(&b, "wspr-mounttabled", NULL, flag);
    TAP_IS(tool_wait(&b) == 1);
    TAP_OK(strstr(tool_err(&b), "address already in use") != NULL, "%s", tool_err(&b));
    tool_done(&b);
    stop(&a, SIGINT);
}

int main(int argc, char **argv)
{
    static const struct tap_case cases[] = {
        {"ends by itself", ends_by_itself},
        {"help and version", help_and_version},
        {"names come and go", names_come_and_go},
        {"several roots", several_roots},
        {"unpublished", unpublished},
        {"killed", killed},
        {"a table comes back", table_comes_back},
        {"access file", access_file},
        {"an address in use", address_in_use},
        {"published address", published_address},
    };
    static const struct tap_suite suites[] = {TAP_SUITE("tables", cases)};

    return tap_main(argc, argv, suites, 1);
}

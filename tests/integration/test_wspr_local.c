/* A wsprd that nobody configured, and the command line beside it: neither needs to be told. */
#include "config.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli_rig.h"
#include "rig.h"
#include "tap.h"

static char state[4300];

/* Runs it with no variable but the place of its state. */
static int plain(struct tool *t, const char *const *args)
{
    const char *env[] = {state, "VEYRON_IDENTITY", "NAMESPACE_ROOT", "MOUNTTABLE_ROOT", NULL};

    return tool_start(t, "wspr", args, env, 0) ? tool_end(t) : -1;
}

static void expect(int status, const char *out, const char *err, const char *const *args)
{
    struct tool t;
    int got = plain(&t, args);

    TAP_OK(got == status, "status %d: %s", got, tool_err(&t));
    TAP_OK(strcmp(tool_out(&t), out) == 0, "%s", tool_out(&t));
    TAP_OK(strstr(tool_err(&t), err) != NULL, "%s", tool_err(&t));
    tool_done(&t);
}

static void nothing_configured(void)
{
    const char *build = getenv("abs_top_builddir");
    char folder[4200], plugins[4300], path[4400];
    const char *args[] = {"-port=0", plugins, NULL};
    const char *env[] = {state, "VEYRON_IDENTITY", "NAMESPACE_ROOT", "MOUNTTABLE_ROOT", NULL};
    struct tool daemon;

    child_file(folder, sizeof folder, "local");
    snprintf(state, sizeof state, "XDG_STATE_HOME=%s", folder);
    snprintf(plugins, sizeof plugins, "-plugin-dir=%s/plugins/.libs", build != NULL ? build : ".");
    snprintf(path, sizeof path, "%s/wspr/root", folder);
    expect(3, "", "No mount table available: set NAMESPACE_ROOT", CLI_ARGS("resolve", "cache"));
    TAP_IS(tool_start(&daemon, "wsprd", args, env, 0));
    TAP_IS(tool_wait_out(&daemon, "Listening at: "));
    TAP_IS(access(path, R_OK) == 0);
    expect(0, "cache\n", "", CLI_ARGS("glob", "c*"));
    expect(0, "", "", CLI_ARGS("call", "cache", "set", "greeting", "{\"hello\": [42]}"));
    expect(0, "{\"hello\": [42]}\n", "", CLI_ARGS("call", "cache", "get", "greeting"));
    /* Whoever names a root means it. */
    expect(0, "/127.0.0.1:1//cache\n", "", CLI_ARGS("resolve", "--root", "/127.0.0.1:1", "cache"));
    tool_signal(&daemon, SIGTERM);
    TAP_OK(tool_wait(&daemon) == 0, "%s", tool_err(&daemon));
    tool_done(&daemon);
    TAP_IS(access(path, F_OK) < 0);
    expect(3, "", "No mount table available", CLI_ARGS("resolve", "cache"));
}

/* One that was killed leaves its root behind: nobody is there, and that is said. */
static void root_that_is_left(void)
{
    char folder[4200], path[4400];
    FILE *f;

    child_file(folder, sizeof folder, "local");
    snprintf(path, sizeof path, "%s/wspr/root", folder);
    f = fopen(path, "w");
    TAP_IS(f != NULL && fputs("/127.0.0.1:1\n", f) >= 0 && fclose(f) == 0);
    expect(3, "", "connection refused", CLI_ARGS("call", "cache", "size"));
    f = fopen(path, "w");
    TAP_IS(f != NULL && fputs("nonsense\n", f) >= 0 && fclose(f) == 0);
    expect(3, "", "No mount table available", CLI_ARGS("call", "cache", "size"));
    unlink(path);
}

static const struct tap_case cases[] = {
    {"nothing configured", nothing_configured},
    {"root that is left", root_that_is_left},
};

const struct tap_suite cli_local_suite = TAP_SUITE("local", cases);

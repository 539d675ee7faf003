/* wspr resolve, unresolve, glob, mount, unmount, ping. */
#include "config.h"

#include <signal.h>

#include "cli_rig.h"
#include "rig.h"
#include "tap.h"

#define root   cli_rig.root
#define direct cli_rig.direct

static void mount_and_resolve(void)
{
    char text[2600];

    EXPECT(3, "", "wspr: cannot resolve house/lamp: Name doesn't exist [veyron2/verror.NotFound]\n",
           "", "resolve", "house/lamp");
    EXPECT(0, "", "", "", "mount", "--ttl", "1h", "house/lamp", "/127.0.0.1:1//");
    EXPECT(0, "/127.0.0.1:1//\n", "", "", "resolve", "house/lamp");
    EXPECT(0, "", "", "", "mount", "house/lamp", "/127.0.0.1:2//");
    EXPECT(0, "[\"/127.0.0.1:2//x\", \"/127.0.0.1:1//x\"]\n", "", "", "--json", "resolve",
           "house/lamp/x");
    snprintf(text, sizeof text, "%s//house/lamp\n", root);
    EXPECT(0, text, "", "", "resolve", "--mounttable", "house/lamp");
    EXPECT(0, "", "", "", "unmount", "house/lamp", "/127.0.0.1:2//");
    EXPECT(0, "/127.0.0.1:1//\n", "", "", "resolve", "house/lamp");
    EXPECT(0, "", "", "", "unmount", "house/lamp");
    EXPECT(3, "", "Name doesn't exist", "", "resolve", "house/lamp");
    EXPECT(0, "", "", "", "unmount", "house/lamp");
    EXPECT(1, "", "malformed address", "", "mount", "house/lamp", "nonsense");
    EXPECT(2, "", "invalid value \"x\" for --ttl", "", "mount", "--ttl", "x", "a", "/b:1");
    /* The root may be given by hand, also several times. */
    EXPECT(0, NULL, "", "", "--root", root, "resolve", "cache");
    snprintf(cli_rig.other, sizeof cli_rig.other, " ");
    EXPECT(3, "", "No mount table available: set NAMESPACE_ROOT, or give --root [", "", "resolve",
           "cache");
    EXPECT(0, NULL, "", "", "resolve", "cache", "--root", "/127.0.0.1:1", "--root", root);
    cli_rig.other[0] = '\0';
}

static void unresolve(void)
{
    struct tool t;

    TAP_IS(RUN(&t, "", "unresolve", direct) == 0);
    TAP_OK(tool_err(&t)[0] == '\0', "%s", tool_err(&t));
    tool_done(&t);
    EXPECT(3, "", "cannot unresolve nowhere: ", "", "unresolve", "nowhere");
}

static void globs(void)
{
    struct tool t;

    EXPECT(0, "", "", "", "mount", "--ttl", "24h", "g/a", "/127.0.0.1:1//");
    EXPECT(0, "", "", "", "mount", "--ttl", "24h", "g/b", "/127.0.0.1:1//");
    EXPECT(0, "g/a\n", "", "", "glob", "g/a*");
    TAP_IS(RUN(&t, "", "glob", "g/*") == 0);
    TAP_OK(strcmp(tool_out(&t), "g/a\ng/b\n") == 0 || strcmp(tool_out(&t), "g/b\ng/a\n") == 0, "%s",
           tool_out(&t));
    tool_done(&t);
    EXPECT(0, "", "", "", "glob", "nothing/*");
    TAP_IS(RUN(&t, "", "glob", "--servers", "g/a") == 0);
    TAP_OK(strcmp(tool_out(&t), "g/a\n    /127.0.0.1:1// (23 h 59 min)\n") == 0, "%s",
           tool_out(&t));
    tool_done(&t);
    TAP_IS(RUN(&t, "", "--json", "glob", "g/a") == 0);
    TAP_OK(strstr(tool_out(&t),
                  "{\"name\": \"g/a\", \"servers\": [{\"server\": \"/127.0.0.1:1//\", "
                  "\"ttl\": 86") == tool_out(&t),
           "%s", tool_out(&t));
    tool_done(&t);
    EXPECT(2, "", "syntax error in pattern", "", "glob", "a/[");
    snprintf(cli_rig.other, sizeof cli_rig.other, " ");
    EXPECT(3, "", "No mount table available", "", "glob", "*");
    cli_rig.other[0] = '\0';
    EXPECT(0, "", "", "", "unmount", "g/a");
    EXPECT(0, "", "", "", "unmount", "g/b");
}

/* A table that lets nobody in spoils only what lies below it. */
static void glob_that_fails_in_part(void)
{
    const char *acls = "{\"/\": {\"nobody\": \"R\"}}";
    char path[4200], option[4300], endpoint[600], name[700];
    const char *args[] = {"-address=127.0.0.1:0", option, NULL};
    const char *env[] = {"VEYRON_IDENTITY", "NAMESPACE_ROOT", "MOUNTTABLE_ROOT", NULL};
    FILE *f = fopen(child_file(path, sizeof path, "deny.acl"), "w");
    struct tool closed, t;
    char *end;

    TAP_IS(f != NULL && fputs(acls, f) >= 0 && fclose(f) == 0);
    snprintf(option, sizeof option, "-acls=%s", path);
    TAP_IS(tool_start(&closed, "wspr-mounttabled", args, env, 0));
    TAP_IS(tool_wait_out(&closed, "@@\n") || tool_wait_err(&closed, "@@\n"));
    snprintf(endpoint, sizeof endpoint, "%s",
             strstr(tool_out(&closed), "endpoint: /") != NULL ? strstr(tool_out(&closed), "/@")
                                                              : "");
    end = strstr(endpoint, "@@\n");
    TAP_IS(end != NULL);
    if (end != NULL)
        end[2] = '\0';
    EXPECT(0, "", "", "", "mount", "part/closed", endpoint);
    EXPECT(0, "", "", "", "mount", "part/open", direct);
    TAP_IS(RUN(&t, "", "glob", "part/...") == 5);
    TAP_OK(strstr(tool_out(&t), "part/open\n") != NULL, "%s", tool_out(&t));
    TAP_OK(strstr(tool_err(&t), "wspr: cannot list part/closed: ") == tool_err(&t), "%s",
           tool_err(&t));
    TAP_OK(strstr(tool_err(&t), "[veyron2/verror.NotAuthorized]\n") != NULL, "%s", tool_err(&t));
    tool_done(&t);
    snprintf(name, sizeof name, "%s//", endpoint);
    EXPECT(1, "", "[veyron2/verror.NotAuthorized]", "", "signature", name);
    EXPECT(0, "", "", "", "unmount", "part/closed");
    EXPECT(0, "", "", "", "unmount", "part/open");
    tool_signal(&closed, SIGTERM);
    TAP_IS(tool_end(&closed) == 0);
    tool_done(&closed);
}

/* ---- ping ---- */

static void pings(void)
{
    struct tool t;

    TAP_IS(RUN(&t, "", "ping", "-c", "3", "-i", "1ms", direct) == 0);
    TAP_OK(strstr(tool_out(&t), "\nset-up: time=") != NULL, "%s", tool_out(&t));
    TAP_OK(strstr(tool_out(&t), "\nanswer 3: time=") != NULL, "%s", tool_out(&t));
    TAP_OK(strstr(tool_out(&t), "\n4 calls, 4 answers, set-up ") != NULL, "%s", tool_out(&t));
    TAP_OK(strstr(tool_out(&t), "\nround trip min/avg/max = ") != NULL, "%s", tool_out(&t));
    tool_done(&t);
    TAP_IS(RUN(&t, "", "--json", "ping", "--count=1", "--interval=0", "cache") == 0);
    TAP_OK(strstr(tool_out(&t), "\"first\": true}\n") != NULL, "%s", tool_out(&t));
    TAP_OK(strstr(tool_out(&t), "\"first\": false}\n") != NULL, "%s", tool_out(&t));
    TAP_OK(strstr(tool_out(&t), "{\"sent\": 2, \"answered\": 2, \"first_us\": ") != NULL, "%s",
           tool_out(&t));
    tool_done(&t);
    EXPECT(3, NULL, "connection refused", "", "ping", "-c", "1", "-i", "1ms", "/127.0.0.1:1//");
    /* Ctrl-C is how it ends as a rule. */
    TAP_IS(cli_start(&t, CLI_ARGS("ping", "-i", "1ms", direct), 0));
    TAP_IS(tool_wait_out(&t, "answer 2: "));
    tool_signal(&t, SIGINT);
    TAP_OK(tool_wait(&t) == 0, "%d", t.status);
    TAP_OK(strstr(tool_out(&t), "round trip min/avg/max = ") != NULL, "%s", tool_out(&t));
    TAP_OK(tool_err(&t)[0] == '\0', "%s", tool_err(&t));
    tool_done(&t);
}

static const struct tap_case cases[] = {
    {"mount and resolve", mount_and_resolve},
    {"unresolve", unresolve},
    {"glob", globs},
    {"glob that fails in part", glob_that_fails_in_part},
    {"ping", pings},
};

const struct tap_suite cli_names_suite = TAP_SUITE("names", cases);

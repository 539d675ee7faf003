/* The command line against a mount table and the sample service, as processes. */
#include "config.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli_rig.h"
#include "tap.h"

#define direct cli_rig.direct

/* ---- the command line itself ---- */

static void command_lines(void)
{
    EXPECT(2, "", "wspr: a command is missing\nTry 'wspr --help'.\n", "", "--json=false");
    EXPECT(2, "", "wspr: there is no command \"cal\"; did you mean call?\nTry 'wspr --help'.\n", "",
           "cal");
    EXPECT(2, "", "there is no command \"frobnicate\"\n", "", "frobnicate");
    EXPECT(2, "", "unknown option --sream\nTry 'wspr call --help'.", "", "call", "a", "b",
           "--sream");
    EXPECT(2, "", "--root needs a value: NAME", "", "call", "a", "b", "--root");
    EXPECT(2, "", "invalid value \"soon\" for --timeout: want a time", "", "--timeout", "soon",
           "resolve", "x");
    EXPECT(2, "", "an argument is missing: the usage is wspr call NAME METHOD", "", "call", "a");
    EXPECT(2, "", "too many arguments: the usage is wspr resolve NAME", "", "resolve", "a", "b");
    EXPECT(2, "", "not a rooted name", "", "--root", "nonsense", "resolve", "a");
    EXPECT(2, "",
           "{\"error\": {\"id\": \"\", \"message\": \"there is no command \\\"cal\\\"; did you "
           "mean call?\", \"status\": 2}}\n",
           "", "--json", "cal");
    EXPECT(0, "wspr " PACKAGE_VERSION "\n", "", "", "--version");
    EXPECT(0, "wspr " PACKAGE_VERSION "\n", "", "", "ping", "--version");
    EXPECT(0, "wspr " PACKAGE_VERSION "\n", "", "", "identity", "generate", "x", "--version");
    EXPECT(6, "", "/nonexistent/identity", "", "--identity", "/nonexistent/identity", "resolve",
           "a");
}

static void helps(void)
{
    static const char *const names[] = {"call",      "signature", "ping",  "resolve",
                                        "unresolve", "glob",      "mount", "unmount"};
    struct tool t;

    TAP_IS(RUN(&t, "", "--help") == 0);
    TAP_OK(strstr(tool_out(&t), "Exit status:") != NULL, "%s", tool_out(&t));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct tool h;
        char usage[64];

        snprintf(usage, sizeof usage, "\n  %s ", names[i]);
        TAP_OK(strstr(tool_out(&t), usage) != NULL, "%s is not listed", names[i]);
        TAP_OK(RUN(&h, "", names[i], "--help") == 0, "%s", names[i]);
        snprintf(usage, sizeof usage, "Usage: wspr %s ", names[i]);
        TAP_OK(strncmp(tool_out(&h), usage, strlen(usage)) == 0, "%s", tool_out(&h));
        TAP_OK(strstr(tool_out(&h), "\nExample") != NULL, "%s", tool_out(&h));
        tool_done(&h);
    }
    tool_done(&t);
}

/* ---- calls ---- */

static void calls(void)
{
    EXPECT(0, "", "", "", "call", direct, "set", "greeting", "{\"hello\":[\"world\",42]}");
    EXPECT(0, "{\"hello\": [\"world\", 42]}\n", "", "", "call", direct, "Get", "greeting");
    EXPECT(0, "{\"hello\": [\"world\", 42]}\n", "", "", "call", "cache", "get", "\"greeting\"");
    EXPECT(0, "[{\"hello\": [\"world\", 42]}]\n", "", "", "--json", "call", direct, "get",
           "greeting");
    EXPECT(0, "[]\n", "", "", "call", "--json", direct, "set", "minus", "-5");
    EXPECT(0, "-5\n", "", "", "call", direct, "getAsFloat64", "minus");
    EXPECT(1, "", "wspr: key not found: nobody [veyron2/verror.NotFound]\n", "", "call", direct,
           "get", "nobody");
    EXPECT(1, "",
           "{\"error\": {\"id\": \"veyron2/verror.NotFound\", \"message\": \"key not found: "
           "nobody\", \"status\": 1}}\n",
           "", "--json", "call", direct, "get", "nobody");
    EXPECT(1, "", "wspr: CustomStandard! [MyCustomError]\n", "", "call", "cache/errorThrower",
           "throwCustomStandardError");
    EXPECT(1, "", "wspr: GoError!\n", "", "call", "cache/errorThrower", "throwGoError");
}

static void long_results_are_broken(void)
{
    struct tool t;

    EXPECT(0, NULL, "", "", "call", direct, "set", "long",
           "{\"list\":[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"],"
           "\"z\":[],\"none\":{}}");
    EXPECT(0, NULL, "", "", "--json", "call", direct, "get", "long");
    EXPECT(0,
           "{\n"
           "  \"list\": [\"aaaaaaaaaaaaaaaaaaaaaaaaaaaa\", \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"],\n"
           "  \"z\": [],\n"
           "  \"none\": {}\n"
           "}\n",
           "", "", "call", direct, "get", "long");
    EXPECT(0, "", "", "", "call", direct, "set", "short", "1");
    TAP_IS(RUN(&t, "", "call", direct, "mostRecentSet") == 0);
    TAP_OK(strstr(tool_out(&t), "value: {\"key\": \"short\", \"value\": 1}\ntime: ") ==
               tool_out(&t),
           "%s", tool_out(&t));
    tool_done(&t);
}

static void bad_arguments(void)
{
    EXPECT(2, "", "wspr: argument 1 (index int64): not a whole number: 1.5\n", "", "call", direct,
           "keyPage", "1.5");
    EXPECT(2, "", "argument 1 (index int64): the number is out of range: 99999999999999999999", "",
           "call", direct, "keyPage", "99999999999999999999");
    EXPECT(2, "", "argument 1 (index int64): an object does not fit: {}", "", "call", direct,
           "keyPage", "{}");
    EXPECT(2, "", "argument 2 (value any): this is not JSON: ", "", "call", direct, "set", "k",
           "hello");
    EXPECT(
        2, "",
        "argument 2 (value any): this is not JSON: something follows the value at character 3: 1 2",
        "", "call", direct, "set", "k", "1 2");
    EXPECT(2, "", "argument 2 (value any): null cannot be sent: null", "", "call", direct, "set",
           "k", "null");
    EXPECT(2, "", "wspr: Set(key string, value any) takes 2 arguments, 1 is given\n", "", "call",
           direct, "set", "k");
    EXPECT(2, "", "has no method sett; did you mean Set?\n", "", "call", direct, "sett");
    EXPECT(2, "", "has no method frobnicate; there are: AsMap, Get, ", "", "call", direct,
           "frobnicate");
    EXPECT(2, "", "--stream: Size has no streams", "", "call", direct, "size", "--stream");
}

static void unreachable(void)
{
    EXPECT(3, "", "Name doesn't exist [veyron2/verror.NotFound]\n", "", "call", "nowhere", "get");
    EXPECT(3, "", "connection refused", "", "call", "/127.0.0.1:1//", "get");
    EXPECT(3, "", "connection refused", "", "signature", "/127.0.0.1:1//");
}

/* ---- streams ---- */

static void streams(void)
{
    struct tool t;

    EXPECT(0, "", "", "", "call", direct, "set", "a", "1");
    EXPECT(0, "", "", "", "call", direct, "set", "b", "\"two\"");
    EXPECT(0, "1\n\"two\"\n1\n", "", "\"a\"\n\n \"b\" \n\"a\"", "call", direct, "multiGet",
           "--stream");
    EXPECT(0, "{\"item\": 1}\n{\"results\": []}\n", "", "\"a\"\n", "--json", "call", direct,
           "multiGet", "--stream");
    EXPECT(0, "", "", "\"a\"\n", "call", direct, "multiGet");
    EXPECT(1, "1\n", "wspr: key not found: c\n", "\"a\"\n\"c\"\n", "call", direct, "multiGet",
           "--stream");
    EXPECT(2, NULL, "wspr: line 3 of the input: a number does not fit: 5\n", "\"a\"\n\n5\n", "call",
           direct, "multiGet", "--stream");
    /* Each answer comes before the next line goes out. */
    TAP_IS(cli_start(&t, CLI_ARGS("call", direct, "multiGet", "--stream"), 0));
    tool_write(&t, "\"a\"\n");
    TAP_IS(tool_wait_out(&t, "1\n"));
    tool_write(&t, "\"b\"\n");
    TAP_IS(tool_wait_out(&t, "\"two\"\n"));
    TAP_IS(tool_end(&t) == 0);
    tool_done(&t);
}

static void interrupted(void)
{
    struct tool t;

    TAP_IS(cli_start(&t, CLI_ARGS("call", direct, "multiGet", "--stream"), 0));
    tool_write(&t, "\"a\"\n");
    TAP_IS(tool_wait_out(&t, "1\n"));
    tool_signal(&t, SIGINT);
    TAP_IS(tool_wait(&t) == 130);
    TAP_OK(strcmp(tool_err(&t), "wspr: interrupted\n") == 0, "%s", tool_err(&t));
    tool_done(&t);
}

/* Somebody closes the pipe that it prints into. */
static void nobody_reads(void)
{
    struct tool t;

    TAP_IS(cli_start(&t, CLI_ARGS("call", direct, "multiGet", "--stream"), 0));
    tool_write(&t, "\"a\"\n");
    TAP_IS(tool_wait_out(&t, "1\n"));
    close(t.out);
    t.out = -1;
    tool_write(&t, "\"a\"\n");
    TAP_OK(tool_end(&t) == 141, "%d", t.status);
    TAP_OK(tool_err(&t)[0] == '\0', "%s", tool_err(&t));
    tool_done(&t);
}

/* ---- signatures ---- */

static void signatures(void)
{
    struct tool t;

    TAP_IS(RUN(&t, "", "signature", direct) == 0);
    TAP_OK(strstr(tool_out(&t), "\nGet(key string) (any, error)\n") != NULL, "%s", tool_out(&t));
    TAP_OK(strstr(tool_out(&t), "\nMultiGet() stream<string, any> error\n") != NULL, "%s",
           tool_out(&t));
    TAP_OK(strstr(tool_out(&t), "\ntype wspr_sample.KeyValuePair struct {\n"
                                "    Key string\n    Value any\n}\n") != NULL,
           "%s", tool_out(&t));
    tool_done(&t);
    TAP_IS(RUN(&t, "", "--json", "signature", cli_rig.root) == 0);
    TAP_OK(strstr(tool_out(&t),
                  "{\"name\": \"Unmount\", \"args\": [{\"name\": \"Server\", \"type\": "
                  "\"string\"}], \"results\": [{\"name\": \"\", \"type\": \"error\"}], "
                  "\"inStream\": null, \"outStream\": null, \"tags\": [\"Write\"]}") != NULL,
           "%s", tool_out(&t));
    tool_done(&t);
    TAP_IS(RUN(&t, "", "signature", cli_rig.root) == 0);
    TAP_OK(strstr(tool_out(&t), "Glob(pattern string) stream<_, mounttable.MountEntry> error "
                                "{Read}\n") != NULL,
           "%s", tool_out(&t));
    tool_done(&t);
}

static void servers_end_well(void)
{
    TAP_IS(cli_rig_stop());
}

int main(int argc, char **argv)
{
    static const struct tap_case cases[] = {
        {"command lines", command_lines},
        {"helps", helps},
        {"calls", calls},
        {"long results are broken", long_results_are_broken},
        {"bad arguments", bad_arguments},
        {"unreachable", unreachable},
        {"streams", streams},
        {"interrupted", interrupted},
        {"nobody reads", nobody_reads},
        {"signatures", signatures},
    };
    static const struct tap_case end[] = {{"the servers end well", servers_end_well}};
    const struct tap_suite suites[] = {
        TAP_SUITE("wspr", cases), cli_names_suite, cli_identity_suite,
        cli_terminal_suite,       cli_serve_suite, cli_complete_suite,
        cli_page_suite,           cli_local_suite, TAP_SUITE("end", end),
    };

    if (!cli_rig_start()) {
        printf("Bail out! no servers\n");
        return 99;
    }
    return tap_main(argc, argv, suites, sizeof suites / sizeof suites[0]);
}

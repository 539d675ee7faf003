/* wspr serve: objects that a command line serves, called by another one. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "cli_rig.h"
#include "rig.h"
#include "tap.h"

/* Starts one and waits until it is mounted; `at` is its rooted name. */
static bool serve(struct tool *t, const char *const *args, char *at, size_t size)
{
    const char *text;

    if (!cli_start(t, args, 0) || !tool_wait_out(t, "@@//\n"))
        return false;
    text = strstr(tool_out(t), "/@");
    snprintf(at, size, "%.*s", text != NULL ? (int)strcspn(text, "\n") : 0,
             text != NULL ? text : "");
    return at[0] != '\0';
}

#define SERVE(t, at, ...) serve(t, CLI_ARGS("serve", __VA_ARGS__), at, sizeof at)

/* It ends well, and its name goes with it. */
static void stop(struct tool *t, const char *name)
{
    tool_signal(t, SIGTERM);
    TAP_OK(tool_wait(t) == 0, "status %d", t->status);
    TAP_OK(tool_err(t)[0] == '\0', "it said %s", tool_err(t));
    tool_done(t);
    if (name != NULL)
        EXPECT(3, "", "Name doesn't exist", "", "resolve", name);
}

static void echoes(void)
{
    struct tool s;
    char at[700];

    TAP_IS(SERVE(&s, at, "serve/echo", "--echo"));
    TAP_OK(strncmp(tool_out(&s), "Serving serve/echo at /@2@tcp@127.0.0.1:", 40) == 0, "%s",
           tool_out(&s));
    EXPECT(0, "{\"a\": [1, \"x\", null]}\n", "", "", "call", "serve/echo", "echo",
           "{\"a\":[1,\"x\",null]}");
    EXPECT(0, "\"direct\"\n", "", "", "call", at, "echo", "\"direct\"");
    EXPECT(0, "1\n\"two\"\n{\"3\": 3}\n", "", "1\n\"two\"\n{\"3\": 3}\n", "call", "serve/echo/x",
           "stream", "--stream");
    EXPECT(0, "Echo(input any) (any, error)\nStream() stream<any, any> error\n", "", "",
           "signature", "serve/echo");
    stop(&s, "serve/echo");
}

static void json_announcement(void)
{
    struct tool s;
    char at[700], want[900];

    TAP_IS(cli_start(&s, CLI_ARGS("serve", "--json", "", "--echo"), 0));
    TAP_IS(tool_wait_out(&s, "\n"));
    snprintf(at, sizeof at, "%s",
             strstr(tool_out(&s), "/@") != NULL ? strstr(tool_out(&s), "/@") : "");
    at[strcspn(at, "\"")] = '\0';
    snprintf(want, sizeof want, "{\"name\": \"\", \"server\": \"%s\"}\n", at);
    TAP_OK(strcmp(tool_out(&s), want) == 0, "%s", tool_out(&s));
    EXPECT(0, "5\n", "", "", "call", at, "echo", "5");
    stop(&s, NULL);
}

static void commands(void)
{
    static const char script[] = "read l; case $l in"
                                 " 1) echo '{\"n\": [1, 2]}';;"
                                 " 2) echo some; echo text;;"
                                 " 3) ;;"
                                 " 4) echo 'it is no good' >&2; exit 3;;"
                                 " 5) exit 4;;"
                                 " 6) kill -9 $$;;"
                                 " 7) echo \"$WSPR_METHOD,$WSPR_SUFFIX,$WSPR_CALLER\";;"
                                 " *) printf %s \"$l\";;"
                                 " esac";
    struct tool s;
    char at[700];

    TAP_IS(SERVE(&s, at, "serve/run", "--exec", script));
    EXPECT(0, "{\"n\": [1, 2]}\n", "", "", "call", at, "run", "1");
    EXPECT(0, "\"some\\ntext\"\n", "", "", "call", at, "run", "2");
    EXPECT(0, "null\n", "", "", "call", at, "run", "3");
    EXPECT(1, "", "wspr: it is no good\n", "", "call", at, "run", "4");
    EXPECT(1, "", "wspr: the command ended with status 4\n", "", "call", at, "run", "5");
    EXPECT(1, "", "wspr: the command was ended by signal 9\n", "", "call", at, "run", "6");
    EXPECT(0, "\"Run,a/b,root\"\n", "", "", "call", "serve/run/a/b", "run", "7");
    EXPECT(0, "{\"k\": \"v\"}\n", "", "", "call", at, "run", "{\"k\":\"v\"}");
    stop(&s, "serve/run");
}

static void command_streams(void)
{
    struct tool s, t;
    char at[700];

    TAP_IS(
        SERVE(&s, at, "serve/stream", "--exec",
              "while read l; do echo \"[$l]\"; done; printf end; echo no >&2; exit $WSPR_SUFFIX"));
    EXPECT(0, "[1]\n[\"x\"]\n\"end\"\n", "", "1\n\"x\"\n", "call", "serve/stream/0", "stream",
           "--stream");
    EXPECT(1, "\"end\"\n", "wspr: no\n", "", "call", "serve/stream/7", "stream", "--stream");
    TAP_IS(cli_start(&t, CLI_ARGS("call", "serve/stream/0", "stream", "--stream"), 0));
    tool_write(&t, "1\n");
    TAP_IS(tool_wait_out(&t, "[1]\n"));
    tool_write(&t, "2\n");
    TAP_IS(tool_wait_out(&t, "[2]\n"));
    TAP_IS(tool_end(&t) == 0);
    tool_done(&t);
    stop(&s, "serve/stream");
}

/* Many items through a command and back: nothing is lost or mixed. */
static void many_items(void)
{
    enum { N = 20000 };
    struct tool s, t;
    char at[700], line[32];
    struct buf in = BUF_INIT(1 << 20);

    TAP_IS(SERVE(&s, at, "", "--exec", "cat"));
    for (int i = 0; i < N; i++) {
        snprintf(line, sizeof line, "%d\n", i);
        buf_append_str(&in, line);
    }
    /* It reads its input while it prints, and so must whoever feeds it. */
    TAP_IS(cli_start(&t, CLI_ARGS("call", at, "stream", "--stream"), 0));
    for (size_t n = 0; n < in.len; n += 4096) {
        char piece[4097];

        snprintf(piece, sizeof piece, "%.*s", (int)(in.len - n < 4096 ? in.len - n : 4096),
                 (const char *)buf_data(&in) + n);
        tool_write(&t, piece);
        if (n > 65536)
            TAP_IS(tool_wait_out(&t, "\n1\n"));
    }
    TAP_OK(tool_end(&t) == 0, "%s", tool_err(&t));
    TAP_IS(span_equal(buf_span(&in), buf_span(&t.out_text)));
    tool_done(&t);
    buf_done(&in);
    stop(&s, NULL);
}

static bool is_gone(const char *pid_file)
{
    FILE *f = fopen(pid_file, "r");
    long long until = child_now_ms() + RIG_TIMEOUT_MS;
    char text[32] = "";
    long pid;

    if (f == NULL || fgets(text, sizeof text, f) == NULL)
        return false;
    fclose(f);
    pid = strtol(text, NULL, 10);
    while (kill((pid_t)pid, 0) == 0 && child_now_ms() < until)
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    return errno == ESRCH;
}

/* A caller that goes away, or a deadline, takes the command with it; so does the end of all. */
static void commands_end_with_their_calls(void)
{
    struct tool s, t;
    char at[700], path[4200], script[4300];

    child_file(path, sizeof path, "pid");
    snprintf(script, sizeof script, "echo $$ > %s; echo 1; sleep 1000", path);
    TAP_IS(SERVE(&s, at, "", "--exec", script));
    TAP_IS(cli_start(&t, CLI_ARGS("call", at, "stream", "--stream"), 0));
    TAP_IS(tool_wait_out(&t, "1\n"));
    tool_signal(&t, SIGINT);
    TAP_IS(tool_wait(&t) == 130);
    tool_done(&t);
    TAP_IS(is_gone(path));
    TAP_IS(cli_start(&t, CLI_ARGS("call", at, "stream", "--stream"), 0));
    TAP_IS(tool_wait_out(&t, "1\n"));
    tool_signal(&s, SIGTERM);
    TAP_IS(tool_wait(&s) == 0);
    TAP_IS(is_gone(path));
    TAP_OK(tool_end(&t) == 1, "status %d", t.status);
    tool_done(&s);
    tool_done(&t);
}

static void strangers(void)
{
    struct tool s;
    char at[700], id[4200];

    child_file(id, sizeof id, "stranger.id");
    EXPECT(0, "", "", "", "identity", "generate", "-o", id, "stranger");
    TAP_IS(SERVE(&s, at, "", "--echo"));
    EXPECT(1, "", "[veyron2/verror.NotAuthorized]\n", "", "--identity", id, "call", at, "echo",
           "1");
    stop(&s, NULL);
    TAP_IS(SERVE(&s, at, "", "--echo", "--open"));
    EXPECT(0, "1\n", "", "", "--identity", id, "call", at, "echo", "1");
    stop(&s, NULL);
}

static void through_a_relay(void)
{
    const char *const args[] = {"-address=127.0.0.1:0", "-name=", NULL};
    const char *const env[] = {"NAMESPACE_ROOT", "MOUNTTABLE_ROOT", NULL};
    struct tool relay, s;
    char endpoint[700], at[700];
    const char *text;

    TAP_IS(tool_start(&relay, "wspr-proxyd", args, env, 0));
    TAP_IS(tool_wait_out(&relay, "@@"));
    text = strstr(tool_out(&relay), "@2@tcp@");
    snprintf(endpoint, sizeof endpoint, "/%.*s", text != NULL ? (int)strcspn(text, " \n") : 0,
             text != NULL ? text : "");
    TAP_IS(SERVE(&s, at, "serve/relayed", "--echo", "--vproxy", endpoint));
    EXPECT(0, "\"far\"\n", "", "", "call", "serve/relayed", "echo", "\"far\"");
    stop(&s, "serve/relayed");
    tool_signal(&relay, SIGTERM);
    TAP_OK(tool_wait(&relay) == 0, "%s", tool_err(&relay));
    tool_done(&relay);
    EXPECT(3, "", "wspr: cannot listen: ", "", "serve", "x", "--echo", "--vproxy", endpoint);
}

static void wrong_command_lines(void)
{
    EXPECT(2, "", "either --exec or --echo must be given", "", "serve", "x");
    EXPECT(2, "", "either --exec or --echo must be given", "", "serve", "x", "--echo", "--exec",
           "y");
    EXPECT(2, "", "cannot listen: ", "", "serve", "x", "--echo", "--listen", "nonsense");
    EXPECT(2, "", "for --max-calls: want 1 to 65536", "", "serve", "x", "--echo", "--max-calls=0");
    snprintf(cli_rig.other, sizeof cli_rig.other, " ");
    EXPECT(3, "", "No mount table available", "", "serve", "x", "--echo");
    cli_rig.other[0] = '\0';
}

static const struct tap_case cases[] = {
    {"echo", echoes},
    {"announcement for programs", json_announcement},
    {"commands", commands},
    {"streams of commands", command_streams},
    {"many items", many_items},
    {"commands end with their calls", commands_end_with_their_calls},
    {"strangers", strangers},
    {"through a relay", through_a_relay},
    {"wrong command lines", wrong_command_lines},
};

const struct tap_suite cli_serve_suite = TAP_SUITE("serve", cases);

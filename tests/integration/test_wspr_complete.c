/* Completion of words in a shell. */
#include "config.h"

#include <unistd.h>

#include "cli_rig.h"
#include "rig.h"
#include "tap.h"

/* The candidates for the last word, without their descriptions, each with a blank behind. */
static void completes(int line, const char *want, const char *const *words)
{
    const char *args[TOOL_ARGS + 1] = {"__complete"};
    struct buf got = BUF_INIT(65536);
    struct tool t;
    const char *p;
    int status;

    for (size_t i = 0; words[i] != NULL; i++)
        args[i + 1] = words[i];
    status = cli_run(&t, "", args);
    for (p = tool_out(&t); *p != '\0'; p += strcspn(p, "\n") + 1) {
        buf_append(&got, p, strcspn(p, "\t\n"));
        buf_u8(&got, ' ');
    }
    tap_check(status == 0, __FILE__, line, "status %d: %s", status, tool_err(&t));
    p = buf_cstr(&got);
    tap_check(p != NULL && strcmp(p, want) == 0, __FILE__, line, "\"%s\", not \"%s\"", p, want);
    buf_done(&got);
    tool_done(&t);
}

#define COMPLETES(want, ...) completes(__LINE__, want, CLI_ARGS(__VA_ARGS__))

static void words_of_the_tables(void)
{
    COMPLETES("call ", "ca");
    COMPLETES("mount ", "--json", "--root", "x", "mo");
    COMPLETES("", "nonsense", "");
    COMPLETES("generate print bless verify ", "identity", "");
    COMPLETES("print ", "identity", "p");
    COMPLETES("--stream ", "call", "--st");
    COMPLETES("--identity ", "--id");
    COMPLETES("--mounttable ", "resolve", "--json", "--m");
    COMPLETES(":file ", "identity", "print", "");
    COMPLETES(":file ", "identity", "bless", "--with", "");
    COMPLETES(":file ", "call", "--identity", "");
    COMPLETES("", "call", "--timeout", "");
    /* Behind "--" there are no options, in groups no names of the network. */
    COMPLETES("", "call", "--", "--st");
    COMPLETES("", "identity", "generate", "");
}

static void words_of_the_network(void)
{
    EXPECT(0, "", "", "", "mount", "complete/a", "/127.0.0.1:1//");
    EXPECT(0, "", "", "", "mount", "complete/b b", "/127.0.0.1:1//");
    EXPECT(0, "", "", "", "mount", "complete/c\xc2\x9b", "/127.0.0.1:1//");
    EXPECT(0, "", "", "", "mount", "complete/d\xff", "/127.0.0.1:1//");
    COMPLETES("cache ", "call", "cac");
    COMPLETES(":nospace complete/ ", "glob", "comp");
    COMPLETES("complete/a ", "resolve", "complete/");
    COMPLETES("complete/a ", "--root=/127.0.0.1:1", "--root", cli_rig.root, "resolve", "complete/");
    COMPLETES("Get GetAsBool GetAsByte GetAsError GetAsFloat32 GetAsFloat64 GetAsInt32 GetAsInt64 "
              "GetAsString GetAsUint32 GetAsUint64 ",
              "call", "cache", "Get");
    COMPLETES("mostRecentSet multiGet ", "call", "--json", cli_rig.direct, "m");
    COMPLETES("", "call", "cache", "get", "");
    COMPLETES("", "resolve", "no'such");
    EXPECT(0, "", "", "", "unmount", "complete/a");
    EXPECT(0, "", "", "", "unmount", "complete/b b");
    EXPECT(0, "", "", "", "unmount", "complete/c\xc2\x9b");
    EXPECT(0, "", "", "", "unmount", "complete/d\xff");
}

/* What bash makes of it: it cuts words at colons and the like. */
static void in_bash(void)
{
    static const struct {
        const char *line, *want;
    } cases[] = {
        {"wspr si", "signature\n"},
        {"wspr call cache multi", "multiGet\n"},
        {"wspr --identity=x identity ver", "verify\n"},
        {"wspr resolve bash:x/", "x/y@1:2\n"},
        {"wspr resolve bash:x/y@1:", "2\n"},
    };
    char program[4200], script[5200];
    char *slash;

    if (access("/bin/bash", X_OK) != 0) {
        tap_skip("no bash");
        return;
    }
    TAP_IS(rig_program(program, sizeof program, "wspr"));
    slash = strrchr(program, '/');
    *slash = '\0';
    EXPECT(0, "", "", "", "mount", "bash:x/y@1:2", "/127.0.0.1:1//");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const args[] = {"-c", script, NULL};
        char identity[4300], root[700];
        const char *env[] = {identity, root, NULL};
        struct tool t;

        snprintf(identity, sizeof identity, "VEYRON_IDENTITY=%s", rig_identity());
        snprintf(root, sizeof root, "NAMESPACE_ROOT=%s", cli_rig.root);
        snprintf(script, sizeof script,
                 "PATH='%s':$PATH; . '%s'; COMP_WORDBREAKS=' =:@'; COMP_LINE='%s'; "
                 "COMP_POINT=${#COMP_LINE}; _wspr; printf '%%s\\n' \"${COMPREPLY[@]}\"",
                 program, tap_path("../tools/completion/wspr"), cases[i].line);
        TAP_IS(tool_start_path(&t, "/bin/bash", args, env, 0));
        TAP_IS(tool_end(&t) == 0);
        TAP_OK(strcmp(tool_out(&t), cases[i].want) == 0, "%s: %s%s", cases[i].line, tool_out(&t),
               tool_err(&t));
        tool_done(&t);
    }
    EXPECT(0, "", "", "", "unmount", "bash:x/y@1:2");
}

static const struct tap_case cases[] = {
    {"words of the tables", words_of_the_tables},
    {"words of the network", words_of_the_network},
    {"in bash", in_bash},
};

const struct tap_suite cli_complete_suite = TAP_SUITE("complete", cases);

/* `wspr plugin`: the standard plugins keep to the rules, those that break one are found. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "folder.h"
#include "integration/tool.h"
#include "tap.h"

/* Checks a plugin of this build; the exit status. */
static int check(struct tool *t, const char *built, const char *name, const char *message)
{
    const char *folder = folder_make();
    char path[4400];
    const char *args[] = {"plugin", "check", path, message != NULL ? "--message" : NULL,
                          message,  NULL};

    if (folder == NULL || !folder_put(folder, built, name))
        return -1;
    snprintf(path, sizeof path, "%s/%s.so", folder, name);
    return tool_start(t, "wspr", args, NULL, 0) ? tool_end(t) : -1;
}

struct good {
    const char *built, *name, *message;
};

static void keep_to_the_rules(const struct good *plugins, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct tool t;
        int r = check(&t, plugins[i].built, plugins[i].name, plugins[i].message);

        TAP_OK(r == 0, "%s: status %d: %s%s", plugins[i].name, r, tool_out(&t), tool_err(&t));
        TAP_IS(strstr(tool_out(&t), "keeps to the rules") != NULL);
        TAP_IS(strstr(tool_out(&t), "cannot be made to fail") == NULL);
        tool_done(&t);
    }
}

static void standard_plugins(void)
{
    static const struct good plugins[] = {
        {"plugins/request", "request",
         "0:{\"name\":\"a\",\"method\":\"m\",\"inArgs\":[1],\"numOutArgs\":1}"},
        {"plugins/request", "request",
         "0:{\"name\":\"a\",\"method\":\"m\",\"inArgs\":[],\"numOutArgs\":1,"
         "\"isStreaming\":true}"},
        {"plugins/stream", "stream", "3:\"1\""},
        {"plugins/signature", "signature", "5:{\"name\":\"a\"}"},
        {"plugins/serve", "serve",
         "1:{\"name\":\"a\",\"serverId\":1,\"service\":{\"echo\":{\"inArgs\":[\"a\"],"
         "\"numOutArgs\":1,\"isStreaming\":false}}}"},
        {"plugins/stop-server", "stop-server", "6:1"},
        {"plugins/assoc-identity", "assoc-identity",
         "7:{\"account\":\"a\",\"identity\":\"b\",\"origin\":\"c\"}"},
    };

    keep_to_the_rules(plugins, sizeof plugins / sizeof plugins[0]);
}

/* The examples that need no library of others, and the plugin that uses each host function. */
static void other_plugins(void)
{
    static const struct good plugins[] = {
        {"tests/abi/frozen_hello", "hello", "100:{\"name\":\"x\",\"delay\":5}"},
        {"tests/abi/frozen_time_feed", "time-feed", "110:{\"every\":1000}"},
        {"tests/abi/frozen_all", "all", "700:{\"do\":\"serve\",\"args\":[{}]}"},
        {"tests/abi/frozen_all", "all", "700:{\"do\":\"call\",\"args\":[]}"},
        {"tests/abi/frozen_all", "all", "700:{\"do\":\"call\",\"flag\":true,\"args\":[]}"},
        {"tests/abi/frozen_all", "all", "700:{\"do\":\"signature\"}"},
        {"tests/abi/frozen_all", "all", "700:{\"do\":\"work\"}"},
        {"tests/abi/frozen_all", "all", "700:{\"do\":\"time\"}"},
        {"tests/abi/frozen_all", "all", "700:{\"do\":\"wait\"}"},
        {"tests/abi/frozen_all", "all", "700:{\"do\":\"open\"}"},
        {"tests/abi/frozen_all", "all", "700:{\"do\":\"bye\"}"},
        {"tests/abi/frozen_all", "all", "700:{\"do\":\"associate\",\"name\":\"x\"}"},
    };

    keep_to_the_rules(plugins, sizeof plugins / sizeof plugins[0]);
}

static void broken_rules(void)
{
    static const struct {
        const char *name, *want;
    } plugins[] = {
        {"wrong_twice", "type 200: finishes a flow that is finished already"},
        {"wrong_cancel", "type 200: a flow is never finished after the page went away"},
        {"wrong_timer", "unload leaves "},
        {"wrong_crash", "it crashes with signal 6"},
        {"wrong_json", "type 200: sends text that is not JSON: \"one\""},
        {"wrong_late", "type 200: finishes a flow that is finished already"},
        {"wrong_release", "releases a message that it does not keep"},
        {"wrong_option", "asks for the option \"speed\", which it does not have"},
        {"wrong_result", "type 200: the handler returns 42"},
        {"wrong_malloc", "it crashes with signal 6, when its own allocation number 1 failed"},
        {"wrong_load", "it crashes with signal 6, when its own allocation number 1 failed"},
        {"wrong_barrier", "type 200: holds up the connection, and is not finished"},
        {"wrong_size", "gives a struct wspr_call_ops whose size is 0"},
        {"wrong_kept", "messages behind that were kept"},
        {"wrong_signature", "signatures behind that were kept"},
        {"wrong_gone", "asks for the number of a connection after its conn_close"},
        {"wrong_invocation", "fails an invocation that is over"},
        {"wrong_full", "type 200: goes on sending although the page does not read"},
        {"wrong_lent", "type 200: sends text that is not JSON: \"?"},
        {"wrong_close", "closes a connection with 1006, which no peer may send"},
    };

    for (size_t i = 0; i < sizeof plugins / sizeof plugins[0]; i++) {
        char built[128];
        struct tool t;
        int r;

        snprintf(built, sizeof built, "tests/plugins/%s", plugins[i].name);
        r = check(&t, built, plugins[i].name, NULL);
        TAP_OK(r == 1, "%s: status %d: %s", plugins[i].name, r, tool_err(&t));
        TAP_OK(strstr(tool_out(&t), plugins[i].want) != NULL, "%s: %s", plugins[i].name,
               tool_out(&t));
        TAP_IS(strstr(tool_err(&t), "broke the rules") != NULL);
        tool_done(&t);
    }
}

static void what_is_no_plugin(void)
{
    struct tool t;

    TAP_IS(check(&t, "tests/plugins/odd_major", "odd_major", NULL) == 1);
    TAP_OK(strstr(tool_err(&t), "is built for plugin ABI 7.") != NULL, "%s", tool_err(&t));
    tool_done(&t);
    TAP_IS(check(&t, "tests/plugins/odd_good", "odd_good", "200") == 2);
    tool_done(&t);
}

static void a_new_project(void)
{
    static const char *const bad[] = {"Big", "a/b", "-a", "a-", ""};
    const char *args[] = {"plugin", "new", NULL, NULL};
    struct tool t;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        args[2] = bad[i];
        TAP_IS(tool_start(&t, "wspr", args, NULL, 0));
        TAP_OK(tool_end(&t) == 2, "\"%s\" is taken", bad[i]);
        tool_done(&t);
    }
}

static const struct tap_case check_cases[] = {
    {"standard plugins", standard_plugins},   {"other plugins", other_plugins},
    {"broken rules", broken_rules},           {"what is no plugin", what_is_no_plugin},
    {"names of new projects", a_new_project},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("plugin check", check_cases)};

    return tap_main(argc, argv, suites, 1);
}

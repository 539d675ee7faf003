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

static void standard_plugins(void)
{
    static const struct {
        const char *name, *message;
    } plugins[] = {
        {"request", "0:{\"name\":\"a\",\"method\":\"m\",\"inArgs\":[1],\"numOutArgs\":1}"},
        {"request", "0:{\"name\":\"a\",\"method\":\"m\",\"inArgs\":[],\"numOutArgs\":1,"
                    "\"isStreaming\":true}"},
        {"stream", "3:\"1\""},
        {"signature", "5:{\"name\":\"a\"}"},
        {"serve", "1:{\"name\":\"a\",\"serverId\":1,\"service\":{\"echo\":{\"inArgs\":[\"a\"],"
                  "\"numOutArgs\":1,\"isStreaming\":false}}}"},
        {"stop-server", "6:1"},
        {"assoc-identity", "7:{\"account\":\"a\",\"identity\":\"b\",\"origin\":\"c\"}"},
    };

    for (size_t i = 0; i < sizeof plugins / sizeof plugins[0]; i++) {
        char built[128];
        struct tool t;
        int r;

        snprintf(built, sizeof built, "plugins/%s", plugins[i].name);
        r = check(&t, built, plugins[i].name, plugins[i].message);
        TAP_OK(r == 0, "%s: status %d: %s%s", plugins[i].name, r, tool_out(&t), tool_err(&t));
        TAP_IS(strstr(tool_out(&t), "keeps to the rules") != NULL);
        tool_done(&t);
    }
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
    {"standard plugins", standard_plugins},
    {"broken rules", broken_rules},
    {"what is no plugin", what_is_no_plugin},
    {"names of new projects", a_new_project},
};

int main(int argc, char **argv)
{
    const struct tap_suite suites[] = {TAP_SUITE("plugin check", check_cases)};

    return tap_main(argc, argv, suites, 1);
}

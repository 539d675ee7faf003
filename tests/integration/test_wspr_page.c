/* The command line calls the object of a page: by its mounted name, and by its endpoint. */
#include "config.h"

#include <signal.h>

#include "cli_rig.h"
#include "rig.h"
#include "tap.h"
#include "wspeer.h"

static struct rig_wsprd gateway;
static struct wspeer page;
static char at[700];

/* The next frame that is not the end of a stream; "" if none came in time. */
static const char *next(void)
{
    struct wspeer_frame frame;

    do {
        if (wspeer_recv_message(&page, &frame, 3 * RIG_TIMEOUT_MS) != WSPEER_FRAME)
            return "";
    } while (strstr((const char *)frame.data, "{\\\"type\\\": 4") != NULL);
    return (const char *)frame.data;
}

static void expect(const char *text)
{
    const char *got = next();

    TAP_OK(strstr(got, text) != NULL, "%s instead of %s", got, text);
}

static void reply(int flow, int type, const char *data)
{
    char text[1024];

    snprintf(text, sizeof text, "{\"id\":%d,\"type\":%d,\"data\":\"%s\"}", flow, type, data);
    wspeer_send_text(&page, text);
}

/*
 * Serves an object with the methods pick(row) and flow(), both of one result, as "page/shelf". A
 * terminal would obey the parameter's name.
 */
static bool open_page(void)
{
    const char *got, *text;

    if (!rig_wsprd_start(&gateway, cli_rig.root, NULL) ||
        wspeer_connect(&page, gateway.port, "/ws", NULL, RIG_TIMEOUT_MS) < 0)
        return false;
    next();
    wspeer_send_text(
        &page, "{\"id\":1,\"type\":1,\"data\":\"{\\\"name\\\":\\\"page/shelf\\\","
               "\\\"serverId\\\":1,\\\"service\\\":{\\\"pick\\\":{\\\"InArgs\\\":"
               "[\\\"r\\\\u001bow\\\"],\\\"NumOutArgs\\\":2},\\\"flow\\\":{\\\"NumOutArgs\\\":"
               "2,\\\"IsStreaming\\\":true}}}\"}");
    got = next();
    text = strstr(got, "\\\"@2@");
    snprintf(at, sizeof at, "/%.*s//", text != NULL ? (int)strcspn(text + 2, "\\") : 0,
             text != NULL ? text + 2 : "");
    return text != NULL;
}

/* One call of pick that the page answers. */
static void pick(int flow, const char *name, const char *suffix)
{
    struct tool t;
    char want[200];

    TAP_IS(cli_start(&t, CLI_ARGS("call", name, "pick", "[1, \"x\"]"), 0));
    snprintf(want, sizeof want, "\\\"suffix\\\": \\\"%s\\\"", suffix);
    expect(want);
    reply(flow, 2, "{\\\"results\\\":[{\\\"book\\\":[2]}]}");
    TAP_OK(tool_end(&t) == 0 && strcmp(tool_out(&t), "{\"book\": [2]}\n") == 0, "%s%s",
           tool_out(&t), tool_err(&t));
    tool_done(&t);
}

static void object_of_a_page(void)
{
    struct tool t;
    char name[800];

    if (!open_page()) {
        TAP_OK(false, "the page does not serve");
        return;
    }
    /* The reply to the page comes before the name is there. */
    for (int i = 0; i < 600; i++) {
        int status = RUN(&t, "", "resolve", "page/shelf");

        tool_done(&t);
        if (status == 0)
            break;
    }
    EXPECT(0, "Flow() stream<any, any> (any, err any)\nPick(r\\x1bow any) (any, err any)\n", "", "",
           "signature", "page/shelf");
    EXPECT(0, "pick\tr\\x1bow any\n", "", "", "__complete", "call", "page/shelf", "pi");
    pick(0, "page/shelf", "");
    pick(2, "page/shelf/a/b", "a/b");
    snprintf(name, sizeof name, "%sc", at);
    pick(4, name, "c");
    /* An error, with an id of the page's own. */
    TAP_IS(cli_start(&t, CLI_ARGS("call", "page/shelf", "pick", "1"), 0));
    expect("\\\"method\\\": \\\"pick\\\"");
    reply(6, 2, "{\\\"err\\\":{\\\"iD\\\":\\\"Empty\\\",\\\"msg\\\":\\\"no book\\\"}}");
    TAP_IS(tool_end(&t) == 1);
    TAP_OK(strcmp(tool_err(&t), "wspr: no book [Empty]\n") == 0, "%s", tool_err(&t));
    tool_done(&t);
}

static void streams_with_a_page(void)
{
    struct tool t;

    TAP_IS(cli_start(&t, CLI_ARGS("call", at, "flow", "--stream"), 0));
    expect("\\\"method\\\": \\\"flow\\\"");
    tool_write(&t, "{\"a\": 1}\n");
    expect("\\\"message\\\": {\\\"a\\\": 1}");
    reply(8, 3, "\\\"one\\\"");
    TAP_IS(tool_wait_out(&t, "\"one\"\n"));
    reply(8, 2, "{\\\"results\\\":[42]}");
    TAP_OK(tool_wait(&t) == 0 && strcmp(tool_out(&t), "\"one\"\n42\n") == 0, "%s%s", tool_out(&t),
           tool_err(&t));
    tool_done(&t);
}

/* A page that goes away takes its calls and its name with it. */
static void page_goes_away(void)
{
    struct tool t;

    TAP_IS(cli_start(&t, CLI_ARGS("call", "page/shelf", "pick", "1"), 0));
    expect("\\\"method\\\": \\\"pick\\\"");
    wspeer_close(&page);
    TAP_OK(tool_end(&t) == 1, "status %d", t.status);
    TAP_OK(strstr(tool_err(&t), " [veyron2/verror.Aborted]\n") != NULL, "%s", tool_err(&t));
    tool_done(&t);
    TAP_IS(rig_wsprd_stop(&gateway));
    EXPECT(3, "", "Name doesn't exist", "", "resolve", "page/shelf");
}

static const struct tap_case cases[] = {
    {"object of a page", object_of_a_page},
    {"streams with a page", streams_with_a_page},
    {"page goes away", page_goes_away},
};

const struct tap_suite cli_page_suite = TAP_SUITE("page", cases);

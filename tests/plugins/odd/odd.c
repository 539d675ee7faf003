/*
 * One source for the plugins that the loader is tested with: ODD says what is wrong with it. What
 * is right is in all of them: type 200 answers with the option "word" and the version.
 *
 * The loader writes nothing of its own here: `load` and `unload` count in the environment variable
 * of the plugin's name, which the test can read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wspr/plugin.h>

#define ODD_GOOD    1
#define ODD_SYMBOL  2  /* needs a host function that there is not */
#define ODD_MAJOR   3  /* of another major */
#define ODD_MINOR   4  /* of a minor that is not there yet, with larger tables */
#define ODD_FAILS   5  /* load returns an error, with work under way */
#define ODD_TWICE   6  /* claims a type twice */
#define ODD_NAME    7  /* calls itself something else */
#define ODD_ENTRY   8  /* has no entry */
#define ODD_OLD     9  /* its table ends before flow_writable, and its rows are longer */
#define ODD_NULL    10 /* its entry returns nothing */
#define ODD_DEFAULT 11 /* an option whose default is out of its range */
#define ODD_CLAIM   12 /* a claim without a handler */
#define ODD_FORMER  13 /* of the major before */

#ifndef VERSION
#define VERSION "1"
#endif

void wspr_no_such_function(void);

static void note(const char *name, const char *what)
{
    const char *old = getenv(name);
    char text[512];

    snprintf(text, sizeof text, "%s%s ", old != NULL ? old : "", what);
    setenv(name, text, 1);
}

static int answer(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    char text[256];
    size_t len;

    if (strncmp(wspr_msg_data(msg, &len), "\"wait\"", 6) == 0) {
        wspr_flow_set_state(flow, ctx);
        return WSPR_PENDING;
    }
    len =
        (size_t)snprintf(text, sizeof text, "\"%s %s\"", wspr_option_string(ctx, "word"), VERSION);
    return wspr_flow_finish(flow, text, len);
}

/* Ends the flow that waits: with the version of the instance that began it. */
static int go_on(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    wspr_flow_finish(flow, "\"" VERSION " ends\"", sizeof VERSION + 7);
    return WSPR_DONE;
}

static void cancel(void *ctx, struct wspr_flow *flow)
{
    wspr_flow_end(flow);
}

static void work(void *arg)
{
}

static void done(void *arg)
{
    note("ODD_CAME_BACK", arg);
}

static int load(struct wspr_host *host, void **ret_ctx)
{
    *ret_ctx = host;
    note("ODD_LOADED", ODD_FILE);
#if ODD == ODD_SYMBOL
    wspr_no_such_function();
#endif
    if (ODD == ODD_FAILS) {
        if (wspr_offload(host, work, done, (void *)(uintptr_t) "work") < 0 ||
            wspr_post(host, done, (void *)(uintptr_t) "post") < 0)
            note("ODD_CAME_BACK", "never");
        wspr_timer_start(wspr_timer_new(host, done, (void *)(uintptr_t) "timer"), 0);
        return WSPR_ESYS;
    }
    return 0;
}

static void late(void *arg)
{
    note("ODD_CAME_BACK", "too late");
}

static void unload(void *ctx)
{
    note("ODD_LOADED", "-" ODD_FILE);
    if (wspr_post(ctx, late, NULL) != WSPR_ECLOSED ||
        wspr_offload(ctx, work, late, NULL) != WSPR_ECLOSED)
        note("ODD_LOADED", "not closed");
}

struct long_claim {
    struct wspr_claim claim;
    void *more;
};
struct long_option {
    struct wspr_option option;
    void *more;
};

static const struct long_claim claims[] = {
    {{ODD_TYPE, WSPR_OPENS, "odd", ODD == ODD_CLAIM ? NULL : answer}, NULL},
    {{ODD == ODD_TWICE ? ODD_TYPE : ODD_TYPE + 1, WSPR_USES | WSPR_OWN, "go on", go_on}, NULL},
};
static const struct long_option options[] = {
    {{"word", "what it says", "hello", WSPR_OPT_STRING, 0, 0}, NULL},
    {{"number", "from 1 to 9", ODD == ODD_DEFAULT ? "10" : "5", WSPR_OPT_INT, 1, 9}, NULL},
    {{"flag", "on or off", "off", WSPR_OPT_BOOL, 0, 0}, NULL},
};

static const struct wspr_plugin plugin = {
    .abi = {sizeof(struct wspr_abi),
            ODD == ODD_MAJOR    ? 7
            : ODD == ODD_FORMER ? WSPR_ABI_MAJOR - 1
                                : WSPR_ABI_MAJOR,
            WSPR_ABI_MINOR + (ODD == ODD_MINOR ? 1 : 0),
            ODD == ODD_OLD     ? offsetof(struct wspr_plugin, flow_writable)
            : ODD == ODD_MINOR ? sizeof(struct wspr_plugin) + 64
                               : sizeof(struct wspr_plugin),
            sizeof(struct long_claim), sizeof(struct long_option)},
    .name = ODD == ODD_NAME ? "somebody" : ODD_FILE,
    .version = VERSION,
    .claims = &claims[0].claim,
    .n_claims = 2,
    .options = &options[0].option,
    .n_options = 3,
    .load = load,
    .unload = unload,
    .flow_cancel = cancel,
};

#if ODD == ODD_NULL
WSPR_API const struct wspr_plugin *wspr_plugin_entry(void);
const struct wspr_plugin *wspr_plugin_entry(void)
{
    return plugin.abi.major == 1000 ? &plugin : NULL;
}
#elif ODD != ODD_ENTRY
WSPR_PLUGIN_EXPORT(plugin)
#else
WSPR_API const struct wspr_plugin *odd_other_entry(void);
const struct wspr_plugin *odd_other_entry(void)
{
    return &plugin;
}
#endif

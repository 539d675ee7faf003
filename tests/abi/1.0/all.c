/*
 * A plugin that uses every function of ABI 1.0, built against the headers of 1.0 as they were. It
 * stays as it is: whatever wsprd becomes, it loads this and does for it what it did.
 *
 * Type 700 opens a flow: {"do": WORD, "name": …, "method": …}. Type 701 uses one of this plugin's
 * flows, 702 is a one-shot that holds the input, and secret.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wspr/account.h>
#include <wspr/json.h>
#include <wspr/plugin.h>
#include <wspr/reader.h>
#include <wspr/rpc.h>
#include <wspr/server.h>

#define TYPE_DO   700
#define TYPE_MORE 701
#define TYPE_HOLD 702

int json_object_put(struct json_object *tree); /* of json-c */

/* The plugin on one worker. */
struct all {
    struct wspr_host *host;
    struct wspr_timer *timer;
    struct wspr_flow *timed;
    uint64_t conns;
};

/* What is under way for one flow. */
struct task {
    struct all *all;
    struct wspr_flow *flow;
    struct wspr_call *call;
    const struct wspr_msg *msg;
    const struct wspr_signature *signature;
    int number;
};

struct payload {
    struct wspr_span what, name, method;
    struct wspr_spans args, words;
    double level;
    int64_t n64;
    int32_t n32;
    uint64_t u64;
    int flag;
};

static const struct wspr_field fields[] = {
    {"do", WSPR_FIELD_STRING, offsetof(struct payload, what), "string"},
    {"name", WSPR_FIELD_STRING, offsetof(struct payload, name), "string"},
    {"method", WSPR_FIELD_STRING, offsetof(struct payload, method), "string"},
    {"args", WSPR_FIELD_RAWS, offsetof(struct payload, args), "list"},
    {"words", WSPR_FIELD_STRINGS, offsetof(struct payload, words), "[]string"},
    {"level", WSPR_FIELD_DOUBLE, offsetof(struct payload, level), "float64"},
    {"n64", WSPR_FIELD_INT64, offsetof(struct payload, n64), "int64"},
    {"n32", WSPR_FIELD_INT32, offsetof(struct payload, n32), "int32"},
    {"u64", WSPR_FIELD_UINT64, offsetof(struct payload, u64), "uint64"},
    {"flag", WSPR_FIELD_BOOL, offsetof(struct payload, flag), "bool"},
};

static int say(struct wspr_flow *flow, const char *text, size_t len)
{
    char json[2048];

    if (wspr_json_quote(json, sizeof json, text, len) >= sizeof json)
        return wspr_flow_fail(flow, WSPR_ELIMIT, NULL);
    return wspr_flow_finish(flow, json, strlen(json));
}

static int say_text(struct wspr_flow *flow, const char *text)
{
    return say(flow, text, strlen(text));
}

/* ---- work, posts, timers ---- */

static void work(void *arg)
{
    ((struct task *)arg)->number += 21;
}

static void worked(void *arg)
{
    struct task *t = arg;
    char text[32];

    snprintf(text, sizeof text, "worked %d", t->number);
    say_text(t->flow, text);
    free(t);
}

static void posted(void *arg)
{
    struct task *t = arg;

    if (wspr_offload(t->all->host, work, worked, t) < 0) {
        wspr_flow_fail(t->flow, WSPR_EINTERNAL, "posted");
        free(t);
    }
}

static int do_work(struct task *t)
{
    return wspr_post(t->all->host, posted, t);
}

static void rang(void *arg)
{
    struct all *a = arg;
    struct wspr_flow *flow = a->timed;

    a->timed = NULL;
    say_text(flow, wspr_flow_is_cancelled(flow) ? "too late" : "ring");
}

static int do_time(struct all *a, struct wspr_flow *flow)
{
    if (a->timed != NULL)
        return WSPR_EEXISTS;
    a->timed = flow;
    wspr_timer_start(a->timer, 3600000);
    wspr_timer_stop(a->timer);
    wspr_timer_start(a->timer, 1);
    return WSPR_PENDING;
}

/* ---- connections, options, errors, flows of the host ---- */

static int do_conn(struct all *a, struct wspr_flow *flow)
{
    struct wspr_conn *c = wspr_flow_conn(flow);
    const uint64_t *number = wspr_conn_state(a->host, c);
    char text[1024], quoted[64];

    snprintf(text, sizeof text, "%d%d%d|%s|%s|%.10s|%s|%d|%d|%d|%s|%s",
             number != NULL && *number == wspr_conn_number(c), wspr_conn_has_extra(c, "cancel"),
             wspr_conn_is_closing(c), wspr_conn_origin(c), wspr_conn_acts_as(c),
             wspr_conn_remote(c), wspr_option_string(a->host, "word"),
             (int)wspr_option_int(a->host, "number"), wspr_option_bool(a->host, "flag"),
             wspr_conn_close(c, 1005, NULL) == WSPR_EINVAL, wspr_error_text(WSPR_ENOMEM),
             wspr_log_quote(quoted, sizeof quoted, "\n", 1));
    return say_text(flow, text);
}

static int do_open(struct all *a, struct wspr_flow *flow)
{
    const struct wspr_span parts[] = {{"[1,", 3}, {"2]", 2}};
    struct wspr_flow *own;
    int r = wspr_flow_open(a->host, wspr_flow_conn(flow), NULL, &own);

    if (r < 0)
        return r;
    if (wspr_flow_id(own) % 2 != 0)
        return WSPR_EINTERNAL;
    wspr_flow_send(own, WSPR_RESPONSE_STREAM, "0", 1);
    wspr_flow_send_parts(own, WSPR_RESPONSE_STREAM_CLOSE, parts, 2);
    wspr_flow_end(own);
    return wspr_flow_failf(flow, WSPR_ENOTFOUND, "%s %d", "no", 7);
}

static int do_tree(struct wspr_flow *flow, const struct wspr_span *json)
{
    struct json_object *tree = NULL;
    struct wspr_span word = {"", 0};
    struct wspr_field field = {NULL, WSPR_FIELD_STRING, 0, "string"};
    struct wspr_reading *reading = NULL;
    char error[100];

    if (wspr_json_parse(json->p, json->len, &tree, error, sizeof error) < 0 ||
        wspr_read_value("\"w\\u0031\"", 9, &field, &word, &reading, error, sizeof error) < 0)
        return wspr_flow_fail(flow, WSPR_EBADARG, error);
    say(flow, word.p, word.len);
    wspr_reading_free(reading);
    json_object_put(tree);
    return WSPR_DONE;
}

/* ---- calls ---- */

static void call_started(void *arg, struct wspr_call *call)
{
    struct task *t = arg;

    t->number++;
    wspr_call_close_send(call);
}

static int call_item(void *arg, struct wspr_call *call, const char *json, size_t len)
{
    struct task *t = arg;

    t->number++;
    wspr_call_resume(call);
    return 0;
}

static void call_end(void *arg, struct wspr_call *call)
{
    struct task *t = arg;

    t->number++;
}

static void call_done(void *arg, struct wspr_call *call, const struct wspr_fault *fault,
                      const char *json, size_t len)
{
    struct task *t = arg;

    if (fault != NULL && fault->stage == WSPR_STAGE_CALL)
        wspr_flow_fail_id(t->flow, fault->id, fault->text);
    else if (fault != NULL)
        wspr_flow_fail(t->flow, fault->code, fault->text);
    else
        wspr_flow_finish(t->flow, json, len);
    free(t);
}

static const struct wspr_call_ops call_ops = {
    sizeof(struct wspr_call_ops), call_started, call_item, call_end, call_done, NULL};

static int do_call(struct task *t, const struct payload *p)
{
    const struct wspr_call_options options = {sizeof options, p->n32, p->flag, 30000};
    struct wspr_call *dropped;
    int r = wspr_call_start(t->all->host, wspr_flow_conn(t->flow), &p->name, &p->method, &p->args,
                            &options, &call_ops, t, &dropped);

    if (r < 0)
        return r;
    wspr_call_cancel(dropped);
    r = wspr_call_start(t->all->host, wspr_flow_conn(t->flow), &p->name, &p->method, &p->args,
                        &options, &call_ops, t, &t->call);
    if (r == 0 && p->flag) {
        r = wspr_call_pipe(t->call, t->flow);
        if (r == 0 && wspr_call_send(t->call, "1", 1) != WSPR_EAGAIN)
            r = WSPR_EINTERNAL;
        if (r < 0)
            wspr_call_cancel(t->call);
    }
    return r;
}

static void signature_said(void *arg)
{
    struct task *t = arg;
    size_t len;
    const char *json = wspr_signature_json(t->signature, &len);

    wspr_flow_finish(t->flow, json, len);
    wspr_signature_unref(t->signature);
    free(t);
}

static void signature_got(void *arg, const struct wspr_signature *signature,
                          const struct wspr_fault *fault)
{
    struct task *t = arg;

    if (fault != NULL) {
        wspr_flow_fail(t->flow, fault->code, fault->text);
        free(t);
        return;
    }
    t->signature = wspr_signature_ref(signature);
    if (wspr_post(t->all->host, signature_said, t) < 0)
        signature_said(t);
}

/* ---- serving: the plugin itself is the service ---- */

/* The caller's items would go to a page; here they only show that they could. */
static int invoke_piped(struct all *a, struct wspr_invocation *inv,
                        const struct wspr_spans *results)
{
    struct wspr_flow *own;
    int r = wspr_flow_open(a->host, wspr_invocation_conn(inv), inv, &own);

    if (r < 0)
        return r;
    wspr_flow_set_state(own, own);
    r = wspr_invocation_pipe(inv, own);
    if (r == 0)
        wspr_invocation_reply(inv, results, NULL);
    wspr_flow_end(own);
    return r;
}

static int invoke(void *arg, struct wspr_invocation *inv, const struct wspr_invocation_info *info)
{
    struct all *a = arg;
    struct wspr_span results[1] = {{info->args.p + 1, info->args.len - 2}};
    struct wspr_spans list = {results, 1};

    wspr_invocation_set_state(inv, a);
    if (info->size < sizeof *info || wspr_invocation_state(inv) != a || info->server_id != 9)
        return WSPR_EINTERNAL;
    if (info->streaming && memcmp(info->method.p, "\"pipe", 5) == 0)
        return invoke_piped(a, inv, &list);
    if (info->streaming)
        return 0; /* inv_end replies */
    if (memcmp(info->method.p, "\"fail", 5) == 0)
        wspr_invocation_fail(inv, WSPR_ENOTAUTH, NULL);
    else
        wspr_invocation_reply(inv, &list, NULL);
    return 0;
}

static int inv_item(void *arg, struct wspr_invocation *inv, const char *json, size_t len)
{
    wspr_invocation_resume(inv);
    return wspr_invocation_send(inv, json, len) == WSPR_FULL ? WSPR_FULL : 0;
}

static void inv_end(void *arg, struct wspr_invocation *inv)
{
    static const struct wspr_app_error error = {{"all.Over", 8}, {"that was all", 12}};
    struct wspr_spans none = {NULL, 0};

    wspr_invocation_reply(inv, &none, &error);
}

static void inv_gone(void *arg, struct wspr_invocation *inv, int why)
{
}

static const struct wspr_server_ops server_ops = {
    sizeof(struct wspr_server_ops), invoke, inv_item, inv_end, inv_gone, NULL};

static void served(void *arg, const struct wspr_fault *fault, const char *endpoint)
{
    if (fault != NULL)
        wspr_flow_fail(arg, fault->code, fault->text);
    else
        say_text(arg, endpoint);
}

static int do_serve(struct all *a, struct wspr_flow *flow, const struct payload *p)
{
    struct wspr_server *server;
    char error[256] = "";
    int r = wspr_server_get(a->host, wspr_flow_conn(flow), 9, &server_ops, a, &server);

    if (r < 0)
        return r;
    if (wspr_server_state(server) != a || wspr_server_find(wspr_flow_conn(flow), 9) != server)
        return WSPR_EINTERNAL;
    r = wspr_server_serve(server, &p->name, &p->args.items[0], served, flow, error, sizeof error);
    return r < 0 ? wspr_flow_fail(flow, r, error) : WSPR_PENDING;
}

static void stopped(void *arg)
{
    say_text(arg, "stopped");
}

static int do_stop(struct wspr_flow *flow)
{
    struct wspr_server *server = wspr_server_find(wspr_flow_conn(flow), 9);
    int r = server != NULL ? wspr_server_stop(server, stopped, flow) : WSPR_ENOTFOUND;

    return r < 0 ? r : WSPR_PENDING;
}

static void associated(void *arg, const struct wspr_fault *fault)
{
    if (fault != NULL)
        wspr_flow_fail(arg, fault->code, fault->text);
    else
        wspr_flow_finish(arg, "null", 4);
}

static int do_associate(struct all *a, struct wspr_flow *flow, const struct payload *p)
{
    const struct wspr_association as = {sizeof as, p->name, {"none", 4}, {"http://x", 8}};
    int r = wspr_account_associate(a->host, wspr_flow_conn(flow), &as, associated, flow);

    return r < 0 ? r : WSPR_PENDING;
}

/* ---- messages ---- */

static int is(const struct payload *p, const char *word)
{
    return p->what.len == strlen(word) && memcmp(p->what.p, word, p->what.len) == 0;
}

static int start(struct all *a, struct wspr_flow *flow, const struct payload *p)
{
    struct task *t = calloc(1, sizeof *t);
    int r = WSPR_EBADARG;

    if (t == NULL)
        return WSPR_ENOMEM;
    t->all = a;
    t->flow = flow;
    if (is(p, "work"))
        r = do_work(t);
    else if (is(p, "call"))
        r = do_call(t, p);
    else if (is(p, "signature"))
        r = wspr_signature_get(a->host, wspr_flow_conn(flow), &p->name, signature_got, t);
    if (r >= 0)
        return WSPR_PENDING;
    free(t);
    return r;
}

static int begin(struct all *a, struct wspr_flow *flow, const struct payload *p)
{
    char text[100];

    if (is(p, "conn"))
        return do_conn(a, flow);
    if (is(p, "open"))
        return do_open(a, flow);
    if (is(p, "tree"))
        return do_tree(flow, &p->args.items[0]);
    if (is(p, "wait"))
        return WSPR_PENDING;
    wspr_flow_set_state(flow, flow);
    if (is(p, "bye"))
        return wspr_conn_close(wspr_flow_conn(flow), 4000, "bye") == 0 ? WSPR_DONE : WSPR_EINTERNAL;
    if (is(p, "time"))
        return do_time(a, flow);
    if (is(p, "serve"))
        return do_serve(a, flow, p);
    if (is(p, "stop"))
        return do_stop(flow);
    if (is(p, "associate"))
        return do_associate(a, flow, p);
    if (!is(p, "fields"))
        return start(a, flow, p);
    snprintf(text, sizeof text, "%g %d %d %d %d %d", p->level, (int)p->n64, (int)p->n32,
             (int)p->u64, p->flag, (int)p->words.n);
    return say_text(flow, text);
}

static int handle_do(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct payload p;
    struct wspr_reading *reading = NULL;
    char error[256];
    size_t len;
    const char *data = wspr_msg_data(msg, &len);
    int r;

    memset(&p, 0, sizeof p);
    r = wspr_read_object(data, len, fields, sizeof fields / sizeof fields[0], "all", &p, &reading,
                         error, sizeof error);
    if (r < 0)
        return wspr_flow_fail(flow, r, error);
    if ((is(&p, "tree") || is(&p, "serve")) && p.args.n != 1)
        r = WSPR_EBADARG;
    if (r == 0)
        r = begin(ctx, flow, &p);
    wspr_reading_free(reading);
    return r;
}

/*
 * The state of a flow: NULL while it waits for its first message, the context while that one was
 * told to come again, `resumed` from then on; the flow itself if something else will finish it.
 */
static char resumed;

static int handle_more(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    return wspr_flow_deliver(flow, msg);
}

static void again(void *arg)
{
    struct wspr_flow *flow = arg;

    wspr_flow_set_state(flow, &resumed);
    if (wspr_flow_is_cancelled(flow))
        wspr_flow_end(flow);
    else
        wspr_flow_resume(flow);
}

static int flow_data(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct all *a = ctx;
    const struct wspr_msg *kept;
    const char *data;
    size_t len;

    if (wspr_flow_state(flow) == NULL) {
        wspr_flow_set_state(flow, a);
        return wspr_post(a->host, again, flow) < 0 ? WSPR_ENOMEM : WSPR_AGAIN;
    }
    if (wspr_flow_state(flow) != &resumed)
        return WSPR_DONE;
    kept = wspr_msg_keep(msg);
    if (kept == NULL)
        return WSPR_ENOMEM;
    data = wspr_msg_data(kept, &len);
    if (wspr_msg_type(kept) != TYPE_MORE || wspr_msg_id(kept) != wspr_flow_id(flow))
        wspr_flow_fail(flow, WSPR_EINTERNAL, NULL);
    else
        say(flow, data, len);
    wspr_msg_release(kept);
    return WSPR_DONE;
}

static void held(void *arg)
{
    wspr_flow_finish(arg, "\"held\"", 6);
}

static int handle_hold(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
{
    struct all *a = ctx;

    wspr_flow_set_state(flow, flow);
    return wspr_post(a->host, held, flow) < 0 ? WSPR_ENOMEM : WSPR_PENDING;
}

/* ---- life ---- */

static int conn_open(void *ctx, struct wspr_conn *conn, void **ret_state)
{
    struct all *a = ctx;
    uint64_t *number = malloc(sizeof *number);

    if (number == NULL)
        return WSPR_ENOMEM;
    *number = wspr_conn_number(conn);
    a->conns++;
    *ret_state = number;
    return 0;
}

static void conn_close(void *ctx, struct wspr_conn *conn, void *state)
{
    struct all *a = ctx;

    a->conns--;
    free(state);
}

/* What is under way comes to its end by itself; a flow that only waits has nothing else. */
static void flow_cancel(void *ctx, struct wspr_flow *flow)
{
    if (wspr_flow_state(flow) == NULL || wspr_flow_state(flow) == &resumed)
        wspr_flow_end(flow);
}

static void flow_writable(void *ctx, struct wspr_flow *flow)
{
}

static int load(struct wspr_host *host, void **ret_ctx)
{
    struct all *a = calloc(1, sizeof *a);

    if (a == NULL)
        return WSPR_ENOMEM;
    a->host = host;
    a->timer = wspr_timer_new(host, rang, a);
    if (a->timer == NULL) {
        free(a);
        return WSPR_ENOMEM;
    }
    wspr_log(host, WSPR_LOG_INFO, "built for %d.%d", WSPR_ABI_MAJOR, WSPR_ABI_MINOR);
    *ret_ctx = a;
    return 0;
}

static void unload(void *ctx)
{
    struct all *a = ctx;

    wspr_log(a->host, WSPR_LOG_INFO, "%d connections left", (int)a->conns);
    wspr_timer_free(a->timer);
    free(a);
}

static const struct wspr_claim claims[] = {
    {TYPE_DO, WSPR_OPENS, "do", handle_do},
    {TYPE_MORE, WSPR_USES | WSPR_OWN, "more", handle_more},
    {TYPE_HOLD, WSPR_ONE_SHOT | WSPR_BARRIER | WSPR_SECRET, "hold", handle_hold},
};
static const struct wspr_option options[] = {
    {"word", "any", "default", WSPR_OPT_STRING, 0, 0},
    {"number", "from 1 to 9", "5", WSPR_OPT_INT, 1, 9},
    {"flag", "on or off", "off", WSPR_OPT_BOOL, 0, 0},
};
static const struct wspr_plugin plugin = {
    WSPR_ABI_BLOCK, "all",  "1.0",     claims,     3,         options,     3,
    load,           unload, conn_open, conn_close, flow_data, flow_cancel, flow_writable,
};
WSPR_PLUGIN_EXPORT(plugin)

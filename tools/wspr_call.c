/*
 * wspr call: one call, from the words of a command line to lines of JSON.
 *
 *     signature -> method -> arguments -> call -+-> items, as they come
 *                                               +<- items, a line of the standard input each
 *                                               +-> results
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "json/reader.h"
#include "json/writer.h"
#include "rpc/client.h"
#include "rpc/header.h"
#include "rpc/signature.h"
#include "vom/json_in.h"
#include "vom/json_out.h"
#include "wspr.h"
#include "wspr_input.h"
#include "wspr_types.h"

#define CALL_TIMEOUT (60 * CLOCK_S)
#define ARENA_MAX    (256 * 1024 * 1024)
#define TEXT_MAX     (256 * 1024 * 1024)
#define SHOWN_MAX    200 /* of a value, in an error */

struct call_opts {
    bool stream;
};

struct call {
    struct cli *cli;
    const char *name;
    const struct rpc_sig_method *method;
    struct rpc_call *rpc;
    struct cli_input *input; /* NULL: nothing is sent */
    struct arena scratch;
    struct buf text;    /* of one item or result */
    struct buf results; /* the list, in JSON */
    struct err err;     /* of the call, or the last result */
    struct buf bad;     /* what is wrong with the input */
    bool reached, done;
};

/* ---- arguments ---- */

/* The whole text must be one JSON value. */
static int check_json(struct span text, struct err *e)
{
    struct span value;
    const uint8_t *end;
    int r = json_scan(text, 0, 0, &value, e);

    if (r < 0)
        return r;
    for (end = value.p + value.len; end < text.p + text.len; end++) {
        if (strchr(" \t\r\n", *end) == NULL)
            return err_set(e, WSPR_EINVAL, "something follows the value at character %zu",
                           (size_t)(end - text.p) + 1);
    }
    return 0;
}

/* Whether JSON of this kind can be a value of the type, looking at the outside only. */
static bool kind_fits(enum json_kind kind, const struct vom_type *t)
{
    switch (t->kind) {
    case VOM_KIND_SLICE:
    case VOM_KIND_ARRAY:
    case VOM_KIND_BYTES:
        return kind == JSON_ARRAY;
    case VOM_KIND_MAP:
    case VOM_KIND_STRUCT:
        return kind == JSON_OBJECT;
    case VOM_KIND_ANY:
    case VOM_KIND_PTR:
        return true;
    default:
        return kind < JSON_ARRAY;
    }
}

/* The converter's sentence, without its own steps before and the value that it repeats behind. */
static struct span middle(const struct err *e)
{
    static const char *const fronts[] = {"error transcoding json to object: ",
                                         "error decoding transcoded json: "};
    struct span s = span_str(err_text(e));
    const char *again = strstr(err_text(e), " (JSON was ");

    if (again != NULL)
        s.len = (size_t)(again - (const char *)s.p);
    for (size_t i = 0; i < sizeof fronts / sizeof fronts[0]; i++) {
        size_t n = strlen(fronts[i]);

        if (s.len > n && memcmp(s.p, fronts[i], n) == 0)
            s = span_of(s.p + n, s.len - n);
    }
    return s;
}

/* Appends what is wrong with a value that the converter refused with *e, and the value. */
static void append_reason(struct buf *out, const struct err *e, const struct vom_type *t,
                          struct span text)
{
    static const char *const kinds[] = {
        [JSON_NULL] = "null",       [JSON_BOOL] = "a bool",  [JSON_NUMBER] = "a number",
        [JSON_STRING] = "a string", [JSON_ARRAY] = "a list", [JSON_OBJECT] = "an object"};
    const char *said = err_text(e);
    struct json_reader r;

    if (t == NULL || check_json(text, NULL) < 0 || json_reader_init(&r, text, 0, 0, NULL) < 0)
        buf_append_span(out, middle(e));
    else if (!kind_fits(json_reader_peek(&r), t))
        buf_printf(out, "%s does not fit", kinds[json_reader_peek(&r)]);
    else if (strstr(said, "value out of range") != NULL)
        buf_append_str(out, "the number is out of range");
    else if (strstr(said, "invalid syntax") != NULL)
        buf_append_str(out, vom_kind_is_float(t->kind) ? "not a number" : "not a whole number");
    else if (strstr(said, "cannot decode value of kind") != NULL)
        buf_printf(out, "%s%s does not fit",
                   json_reader_peek(&r) >= JSON_ARRAY ? "something in " : "",
                   kinds[json_reader_peek(&r)]);
    else
        buf_append_span(out, middle(e));
    buf_append_str(out, ": ");
    buf_append(out, text.p, text.len < SHOWN_MAX ? text.len : SHOWN_MAX);
}

/* Encodes one value by its type; a string may stand as it is, without quotes. */
static int put_value(struct call *c, const struct vom_type *t, struct span text, bool bare,
                     struct err *e)
{
    struct buf quoted = BUF_INIT(TEXT_MAX);
    int r = 0;

    if (t == NULL)
        return err_set(e, WSPR_ETYPE, "the signature does not define its type");
    if (bare && t->kind == VOM_KIND_STRING && (text.len == 0 || text.p[0] != '"')) {
        json_quote(&quoted, text);
        text = buf_span(&quoted);
    } else {
        r = check_json(text, e);
        if (r < 0 && bare)
            err_prefix(e, 0, "this is not JSON: ");
    }
    arena_reset(&c->scratch);
    if (r == 0)
        r = vom_json_encode(rpc_call_enc(c->rpc), rpc_call_buf(c->rpc), t, text, &c->scratch, e);
    if (r == VOM_JSON_NIL)
        r = err_set(e, WSPR_ETYPE, "null cannot be sent");
    buf_done(&quoted);
    return r;
}

/* "argument 2 (value any): ..." */
static int bad_argument(struct call *c, size_t i, const char *text, const struct err *e)
{
    const struct rpc_sig_arg *a = &c->method->in[i];
    struct buf type = BUF_INIT(65536), why = BUF_INIT(65536);
    int status;

    cli_type_text(&type, a->type, false);
    append_reason(&why, e, a->type, span_str(text));
    status =
        cli_fail(c->cli, CLI_USAGE, "argument %zu (%.*s%s%.*s): %.*s", i + 1, SPAN_ARG(a->name),
                 a->name.len > 0 ? " " : "", SPAN_ARG(buf_span(&type)), SPAN_ARG(buf_span(&why)));
    buf_done(&why);
    buf_done(&type);
    return status;
}

static void append_declaration(struct buf *out, const struct rpc_sig_method *m)
{
    buf_append_span(out, m->name);
    buf_u8(out, '(');
    for (size_t i = 0; i < m->n_in; i++) {
        buf_append_str(out, i > 0 ? ", " : "");
        buf_append_span(out, m->in[i].name);
        buf_append_str(out, m->in[i].name.len > 0 ? " " : "");
        cli_type_text(out, m->in[i].type, false);
    }
    buf_u8(out, ')');
}

static int wrong_count(struct call *c, size_t n)
{
    struct buf text = BUF_INIT(65536);
    int status;

    append_declaration(&text, c->method);
    status = cli_fail(c->cli, CLI_USAGE, "%.*s takes %zu argument%s, %zu %s given",
                      SPAN_ARG(buf_span(&text)), c->method->n_in, c->method->n_in == 1 ? "" : "s",
                      n, n == 1 ? "is" : "are");
    buf_done(&text);
    return status;
}

static int unknown_method(struct call *c, const struct rpc_signature *sig, const char *method)
{
    struct buf near = BUF_INIT(65536), all = BUF_INIT(65536);
    int status;

    for (size_t i = 0; i < sig->n_methods; i++) {
        struct span name = sig->methods[i].name;

        if (cli_is_near(span_str(method), name)) {
            buf_append_str(&near, near.len > 0 ? ", " : "; did you mean ");
            buf_append_span(&near, name);
        }
        buf_append_str(&all, i > 0 ? ", " : "");
        buf_append_span(&all, name);
    }
    if (near.len > 0)
        status = cli_fail(c->cli, CLI_USAGE, "%s has no method %s%.*s?", c->name, method,
                          SPAN_ARG(buf_span(&near)));
    else
        status = cli_fail(c->cli, CLI_USAGE, "%s has no method %s; there %s%.*s", c->name, method,
                          sig->n_methods == 0 ? "are none" : "are: ", SPAN_ARG(buf_span(&all)));
    buf_done(&near);
    buf_done(&all);
    return status;
}

/* ---- what comes back ---- */

static int value_text(struct call *c, const struct rpc_value *v, struct err *err)
{
    int r;

    buf_reset(&c->text);
    r = vom_json_write_msg(&c->text, v->dec, v->msg, 0, err);
    if (r < 0)
        return err_prefix(err, 0, "this cannot be shown as JSON: ");
    return buf_error(&c->text) == 0 ? 0 : err_set(err, buf_error(&c->text), "a value is too long");
}

static int on_item(void *arg, struct rpc_call *rpc, const struct rpc_value *v, struct err *err)
{
    struct call *c = arg;
    int r = value_text(c, v, err);

    if (r < 0)
        return r;
    cli_clear_progress(c->cli);
    if (c->cli->opts.json)
        cli_put(c->cli, span_str("{\"item\": "));
    cli_put_json(c->cli, buf_span(&c->text), 0);
    cli_put(c->cli, span_str(c->cli->opts.json ? "}\n" : "\n"));
    if (c->cli->out_error == 0 && fflush(stdout) != 0)
        c->cli->out_error = errno;
    return 0;
}

/* The last result decides between success and error. */
static int on_last_result(struct call *c, const struct rpc_value *v, struct err *err)
{
    struct vom_value value;
    int r;

    arena_reset(&c->scratch);
    r = vom_dec_value(v->dec, v->msg, &c->scratch, &value, err);
    if (r == 0 && rpc_error_of_value(&value, &c->err) == WSPR_ETYPE)
        r = 1; /* it is a result like the others */
    return r < 0 ? r : r == 1;
}

/* Results are kept until the last one told whether the call was a success. */
static int on_result(void *arg, struct rpc_call *rpc, uint32_t i, uint32_t n,
                     const struct rpc_value *v, struct err *err)
{
    struct call *c = arg;
    int r = i + 1 == n ? on_last_result(c, v, err) : 1;

    if (r <= 0)
        return r;
    r = value_text(c, v, err);
    if (r < 0)
        return r;
    buf_append_str(&c->results, c->results.len > 0 ? ", " : "[");
    buf_append_span(&c->results, buf_span(&c->text));
    return buf_error(&c->results);
}

static void on_done(void *arg, struct rpc_call *rpc, const struct err *err)
{
    struct call *c = arg;

    if (err != NULL)
        err_copy(&c->err, err);
    c->rpc = NULL;
    c->done = true;
}

static int print_results(struct call *c)
{
    struct cli *cli = c->cli;
    struct json_reader r;

    buf_append_str(&c->results, c->results.len > 0 ? "]" : "[]");
    if (buf_error(&c->results) < 0)
        return cli_fail(cli, CLI_LOCAL, "cannot keep the results: %s",
                        err_code_text(buf_error(&c->results)));
    if (cli->opts.json) {
        bool items = c->method->streaming;

        cli_put(cli, span_str(items ? "{\"results\": " : ""));
        cli_put(cli, buf_span(&c->results));
        cli_put(cli, span_str(items ? "}\n" : "\n"));
    } else {
        json_reader_at(&r, buf_span(&c->results));
        json_reader_enter_array(&r);
        for (size_t i = 0; json_reader_element(&r) > 0; i++) {
            struct span name = i < c->method->n_out ? c->method->out[i].name : span_str("");

            if (name.len > 0 && c->method->n_out > 2) {
                cli_put(cli, span_str(cli_color_on(cli, CLI_DIM)));
                cli_put_text(cli, name);
                cli_put(cli, span_str(": "));
                cli_put(cli, span_str(cli_color_off(cli)));
            }
            cli_put_json(cli, json_reader_raw(&r), 0);
            cli_put(cli, span_str("\n"));
        }
    }
    return cli_flush(cli);
}

/* ---- what goes out ---- */

static void input_failed(struct call *c)
{
    cli_input_stop(c->input);
    c->done = true;
}

static bool is_blank(struct span line)
{
    size_t i = 0;

    while (i < line.len && (line.p[i] == ' ' || line.p[i] == '\t'))
        i++;
    return i == line.len;
}

static bool on_line(void *arg, struct span line, size_t number)
{
    struct call *c = arg;
    struct err e = ERR_INIT;
    int r;

    if (is_blank(line) || c->rpc == NULL)
        return true;
    r = rpc_call_begin_item(c->rpc);
    if (r == 0) {
        r = put_value(c, c->method->in_stream, line, false, &e);
        if (rpc_call_end_item(c->rpc, r == 0) == RPC_FULL && r == 0)
            r = RPC_FULL;
    }
    if (r < 0 && r != WSPR_ECLOSED) {
        buf_printf(&c->bad, "line %zu of the input: ", number);
        append_reason(&c->bad, &e, c->method->in_stream, line);
        input_failed(c);
    }
    err_done(&e);
    return r != RPC_FULL;
}

static void on_input_end(void *arg, int error)
{
    struct call *c = arg;

    if (error != 0) {
        buf_printf(&c->bad, "cannot read the input: %s", strerror(error));
        c->done = true;
    } else if (c->rpc != NULL) {
        rpc_call_close_send(c->rpc);
        cli_doing(c->cli, "waiting for the end of %.*s", SPAN_ARG(c->method->name));
    }
}

static void on_writable(void *arg, struct rpc_call *rpc)
{
    struct call *c = arg;

    if (c->input != NULL)
        cli_input_resume(c->input);
}

static void on_started(void *arg, struct rpc_call *rpc)
{
    struct call *c = arg;

    c->reached = true;
    cli_doing(c->cli, "waiting for the answer of %.*s", SPAN_ARG(c->method->name));
    if (c->input != NULL && cli_input_start(c->input) < 0)
        on_input_end(c, errno);
}

static int make_input(struct call *c)
{
    struct cli_input *in = calloc(1, sizeof *in);

    if (in == NULL)
        return cli_fail(c->cli, CLI_LOCAL, "out of memory");
    in->fd = STDIN_FILENO;
    in->pool = c->cli->offload;
    in->w = c->cli->worker;
    in->line = on_line;
    in->end = on_input_end;
    in->arg = c;
    in->wake[0] = in->wake[1] = -1;
    c->input = in;
    return CLI_OK;
}

/* ---- the call ---- */

static int prepare(struct call *c, const struct rpc_signature *sig, const struct cli_args *args)
{
    static const struct rpc_call_ops ops = {
        .started = on_started,
        .item = on_item,
        .result = on_result,
        .done = on_done,
        .writable = on_writable,
    };
    const struct call_opts *opts = args->opts;
    size_t n = (size_t)args->n - 2;
    struct rpc_call_opts rpc = {.timeout = cli_time_left(c->cli), .n_results = RPC_ANY_RESULTS};
    struct err e = ERR_INIT;
    int status = CLI_OK;

    c->method = rpc_signature_method(sig, span_str(args->v[1]));
    if (c->method == NULL)
        return unknown_method(c, sig, args->v[1]);
    if (c->method->n_in != n)
        return wrong_count(c, n);
    if (opts->stream && !c->method->streaming)
        return cli_fail(c->cli, CLI_USAGE, "--stream: %.*s has no streams",
                        SPAN_ARG(c->method->name));
    rpc.streaming = c->method->streaming;
    if (opts->stream && c->method->in_stream != NULL)
        status = make_input(c);
    if (status != CLI_OK)
        return status;
    c->rpc = rpc_call_new(c->cli->client, span_str(c->name), c->method->name, &rpc, &ops, c);
    if (c->rpc == NULL)
        return cli_refused(c->cli, c->name, c->method->name);
    for (size_t i = 0; i < n && status == CLI_OK; i++) {
        if (put_value(c, c->method->in[i].type, span_str(args->v[i + 2]), true, &e) < 0)
            status = bad_argument(c, i, args->v[i + 2], &e);
    }
    err_done(&e);
    return status;
}

static int finish(struct call *c)
{
    if (c->bad.len > 0)
        return cli_fail(c->cli, CLI_USAGE, "%.*s", SPAN_ARG(buf_span(&c->bad)));
    if (c->err.code != 0)
        return cli_fail_err(c->cli, cli_status_of(&c->err, c->reached), &c->err, NULL);
    return print_results(c);
}

static int run_call(struct cli *cli, const struct cli_args *args)
{
    const struct call_opts *opts = args->opts;
    struct call c = {
        .cli = cli,
        .name = args->v[0],
        .scratch = ARENA_INIT(ARENA_MAX),
        .text = BUF_INIT(TEXT_MAX),
        .results = BUF_INIT(TEXT_MAX),
        .bad = BUF_INIT(65536),
    };
    struct rpc_signature sig;
    int status = cli_connect(cli, opts->stream ? 0 : CALL_TIMEOUT);

    if (status != CLI_OK)
        return status;
    rpc_signature_init(&sig);
    status = cli_fetch_signature(cli, c.name, &sig);
    if (status == CLI_OK)
        status = prepare(&c, &sig, args);
    if (status == CLI_OK) {
        cli_doing(cli, "calling %s of %s", args->v[1], c.name);
        rpc_call_start(c.rpc, (uint32_t)c.method->n_in);
        if (c.method->streaming && c.input == NULL)
            rpc_call_close_send(c.rpc);
        status = cli_wait(cli, &c.done);
        if (status == CLI_OK)
            status = finish(&c);
    }
    rpc_call_cancel(c.rpc);
    if (c.input != NULL) {
        cli_input_stop(c.input);
        cli_input_wait(c.input);
        free(c.input);
    }
    buf_done(&c.text);
    buf_done(&c.results);
    buf_done(&c.bad);
    err_done(&c.err);
    arena_done(&c.scratch);
    rpc_signature_done(&sig);
    return status;
}

static const struct config_option call_rows[] = {
    {"stream", CONFIG_BOOL, offsetof(struct call_opts, stream), "false", NULL,
     "send the lines of the standard input as items, one JSON\nvalue each", 0, 0},
};

static const struct config_table call_table = CLI_TABLE(call_rows);

const struct cli_command cli_call = {
    .name = "call",
    .operands = "NAME METHOD [JSON-ARG]...",
    .summary = "call a method of an object",
    .about =
        "Calls a method of an object and prints its results as JSON. Each argument is a JSON\n"
        "value that fits the type of the parameter (see 'wspr signature'); for a parameter of\n"
        "type string it may also be the mere text. The first letter of METHOD may be small.\n\n"
        "Items that the method sends are printed as they come, a value per line. With --stream\n"
        "the lines of the standard input go out as they come, and its end ends the stream;\n"
        "without it the stream is closed at once. Ctrl-C cancels the call.\n\n"
        "With --json the results are one list on one line; if the method has streams, the lines\n"
        "are {\"item\": VALUE} and last {\"results\": LIST}. A call without --stream takes 60 s "
        "at\n"
        "most, unless --timeout says something else.\n\n"
        "Examples:\n"
        "  wspr call cache Set greeting '{\"hello\": [\"world\", 42]}'\n"
        "  wspr call cache Get greeting\n"
        "  printf '\"greeting\"\\n' | wspr call cache MultiGet --stream\n",
    .options = &call_table,
    .opts_size = sizeof(struct call_opts),
    .min = 2,
    .max = -1,
    .run = run_call,
};

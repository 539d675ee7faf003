/* wspr signature: what an object offers, as declarations. */
#include "config.h"

#include <stdlib.h>

#include "base/clock.h"
#include "json/writer.h"
#include "rpc/client.h"
#include "rpc/signature.h"
#include "vom/json_out.h"
#include "wspr.h"
#include "wspr_types.h"

#define LOOKUP_TIMEOUT (10 * CLOCK_S)
#define TAGS_MAX       256 /* methods that are asked for their tags */
#define TEXT_MAX       (4 * 1024 * 1024)

/* ---- fetching ---- */

struct fetch {
    struct rpc_signature *sig;
    struct rpc_call *call;
    struct err err;
    bool reached, done;
};

static void fetch_started(void *arg, struct rpc_call *call)
{
    ((struct fetch *)arg)->reached = true;
}

static int fetch_result(void *arg, struct rpc_call *call, uint32_t i, uint32_t n,
                        const struct rpc_value *v, struct err *err)
{
    struct fetch *f = arg;

    return rpc_signature_result(f->sig, i, v, &f->err, err);
}

static void fetch_done(void *arg, struct rpc_call *call, const struct err *err)
{
    struct fetch *f = arg;

    if (err != NULL)
        err_copy(&f->err, err);
    f->call = NULL;
    f->done = true;
}

int cli_fetch_signature(struct cli *cli, const char *name, struct rpc_signature *sig)
{
    static const struct rpc_call_ops ops = {
        .started = fetch_started,
        .result = fetch_result,
        .done = fetch_done,
    };
    struct rpc_call_opts opts = {.timeout = cli_time_left(cli), .n_results = 2};
    struct fetch f = {.sig = sig};
    int status;

    if (opts.timeout > LOOKUP_TIMEOUT && cli->opts.timeout < 0)
        opts.timeout = LOOKUP_TIMEOUT;
    cli_doing(cli, "asking %s what it offers", name);
    f.call = rpc_call_new(cli->client, span_str(name), span_str("Signature"), &opts, &ops, &f);
    if (f.call == NULL)
        return cli_refused(cli, name, span_str("Signature"));
    rpc_call_start(f.call, 0);
    status = cli_wait(cli, &f.done);
    rpc_call_cancel(f.call);
    if (status == CLI_OK && f.err.code != 0)
        status = cli_fail_err(cli, cli_status_of(&f.err, f.reached), &f.err,
                              "cannot get the signature of %s", name);
    err_done(&f.err);
    return status;
}

/* ---- tags ---- */

/* The tags of one method, as text for people and as JSON. */
struct tags {
    struct rpc_call *call;
    struct buf text, json;
    size_t *waiting;
    bool *all_done;
};

/* Labels are bits; everything else is shown as it is. */
static void add_tag(struct tags *t, const struct vom_value *tag)
{
    static const char *const labels[] = {"Read", "Write", "Admin", "Debug", "Monitoring"};
    struct vom_value v = vom_value_deref(*tag);
    const char *name = NULL;

    if (v.type != NULL && span_equal_str(v.type->name, "veyron2/security.Label")) {
        for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
            if (v.u == 1U << i)
                name = labels[i];
        }
    }
    buf_append_str(&t->json, t->json.len > 0 ? ", " : "");
    buf_append_str(&t->text, t->text.len > 0 ? ", " : "");
    if (name != NULL) {
        buf_append_str(&t->text, name);
        json_quote(&t->json, span_str(name));
        return;
    }
    if (vom_json_write_value(&t->json, tag, 0, NULL) < 0)
        buf_append_str(&t->json, "null");
    if (vom_json_write_value(&t->text, tag, 0, NULL) < 0)
        buf_append_str(&t->text, "?");
}

static int tags_result(void *arg, struct rpc_call *call, uint32_t i, uint32_t n,
                       const struct rpc_value *v, struct err *err)
{
    struct tags *t = arg;
    struct arena scratch = ARENA_INIT(RPC_SIGNATURE_MAX);
    struct vom_value list;

    if (i == 0 && vom_dec_value(v->dec, v->msg, &scratch, &list, NULL) == 0 &&
        list.type->kind == VOM_KIND_SLICE) {
        for (size_t k = 0; k < vom_value_len(&list); k++) {
            struct vom_value tag = vom_value_at(&list, k);

            add_tag(t, &tag);
        }
    }
    arena_done(&scratch);
    return 0;
}

/* An object that does not tell its tags has none. */
static void tags_done(void *arg, struct rpc_call *call, const struct err *err)
{
    struct tags *t = arg;

    t->call = NULL;
    *t->all_done = --*t->waiting == 0;
}

static struct tags *fetch_tags(struct cli *cli, const char *name, const struct rpc_signature *sig,
                               int *status)
{
    static const struct rpc_call_ops ops = {.result = tags_result, .done = tags_done};
    struct rpc_call_opts opts = {.timeout = LOOKUP_TIMEOUT, .n_results = 2};
    struct tags *tags = calloc(sig->n_methods + 1, sizeof *tags);
    size_t waiting = 0, n = sig->n_methods <= TAGS_MAX ? sig->n_methods : 0;
    bool done = true;

    for (size_t i = 0; tags != NULL && i < sig->n_methods; i++) {
        buf_init(&tags[i].text, TEXT_MAX);
        buf_init(&tags[i].json, TEXT_MAX);
    }
    for (size_t i = 0; tags != NULL && i < n; i++) {
        struct tags *t = &tags[i];
        struct vom_value method = vom_value_span(&vom_type_string, sig->methods[i].name);

        t->waiting = &waiting;
        t->all_done = &done;
        t->call =
            rpc_call_new(cli->client, span_str(name), span_str("GetMethodTags"), &opts, &ops, t);
        if (t->call == NULL)
            break;
        vom_enc_value(rpc_call_enc(t->call), rpc_call_buf(t->call), &method, NULL);
        rpc_call_start(t->call, 1);
        waiting++;
        done = false;
    }
    cli_doing(cli, "asking %s for the tags of its methods", name);
    *status = tags != NULL ? cli_wait(cli, &done) : cli_fail(cli, CLI_LOCAL, "out of memory");
    for (size_t i = 0; tags != NULL && i < n; i++)
        rpc_call_cancel(tags[i].call);
    return tags;
}

static void free_tags(struct tags *tags, size_t n)
{
    for (size_t i = 0; tags != NULL && i < n; i++) {
        buf_done(&tags[i].text);
        buf_done(&tags[i].json);
    }
    free(tags);
}

/* ---- for people ---- */

static void put_colored(struct cli *cli, enum cli_color c, struct span s)
{
    cli_put(cli, span_str(cli_color_on(cli, c)));
    cli_put_text(cli, s);
    cli_put(cli, span_str(cli_color_off(cli)));
}

static void put_type(struct cli *cli, const struct vom_type *t)
{
    struct buf text = BUF_INIT(TEXT_MAX);

    cli_type_text(&text, t, false);
    put_colored(cli, CLI_TYPE, buf_span(&text));
    buf_done(&text);
}

static void put_args(struct cli *cli, const struct rpc_sig_arg *args, size_t n)
{
    cli_put(cli, span_str("("));
    for (size_t i = 0; i < n; i++) {
        cli_put(cli, span_str(i > 0 ? ", " : ""));
        cli_put_text(cli, args[i].name);
        cli_put(cli, span_str(args[i].name.len > 0 ? " " : ""));
        put_type(cli, args[i].type);
    }
    cli_put(cli, span_str(")"));
}

static void put_method(struct cli *cli, const struct rpc_sig_method *m, struct span tags)
{
    put_colored(cli, CLI_NAME, m->name);
    put_args(cli, m->in, m->n_in);
    if (m->in_stream != NULL || m->out_stream != NULL) {
        cli_put(cli, span_str(" stream<"));
        if (m->in_stream != NULL)
            put_type(cli, m->in_stream);
        else
            cli_put(cli, span_str("_"));
        if (m->out_stream != NULL) {
            cli_put(cli, span_str(", "));
            put_type(cli, m->out_stream);
        }
        cli_put(cli, span_str(">"));
    }
    if (m->n_out > 0)
        cli_put(cli, span_str(" "));
    if (m->n_out == 1 && m->out[0].name.len == 0)
        put_type(cli, m->out[0].type);
    else if (m->n_out > 0)
        put_args(cli, m->out, m->n_out);
    if (tags.len > 0) {
        cli_put(cli, span_str(" {"));
        put_colored(cli, CLI_WORD, tags);
        cli_put(cli, span_str("}"));
    }
    cli_put(cli, span_str("\n"));
}

static void put_definition(struct cli *cli, const struct vom_type *t)
{
    cli_put(cli, span_str("\ntype "));
    put_type(cli, t);
    if (t->kind != VOM_KIND_STRUCT) {
        struct buf text = BUF_INIT(TEXT_MAX);

        cli_type_definition(&text, t, false);
        cli_put(cli, span_str(" "));
        put_colored(cli, CLI_TYPE, buf_span(&text));
        cli_put(cli, span_str("\n"));
        buf_done(&text);
        return;
    }
    cli_put(cli, span_str(" struct {\n"));
    for (uint32_t i = 0; i < t->n_fields; i++) {
        cli_put(cli, span_str("    "));
        cli_put_text(cli, t->fields[i].name);
        cli_put(cli, span_str(" "));
        put_type(cli, t->fields[i].type);
        cli_put(cli, span_str("\n"));
    }
    cli_put(cli, span_str("}\n"));
}

static void put_signature(struct cli *cli, const struct rpc_signature *sig,
                          const struct cli_types *types, const struct tags *tags)
{
    for (size_t i = 0; i < sig->n_methods; i++)
        put_method(cli, &sig->methods[i], buf_span(&tags[i].text));
    for (size_t i = 0; i < types->n; i++)
        put_definition(cli, types->items[i]);
}

/* ---- for programs ---- */

static void write_type(struct json_writer *w, const struct vom_type *t)
{
    struct buf text = BUF_INIT(TEXT_MAX);

    cli_type_text(&text, t, true);
    json_write_string(w, buf_span(&text));
    buf_done(&text);
}

static void write_args(struct json_writer *w, const struct rpc_sig_arg *args, size_t n)
{
    json_write_array(w);
    for (size_t i = 0; i < n; i++) {
        json_write_object(w);
        json_write_name_str(w, "name");
        json_write_string(w, args[i].name);
        json_write_name_str(w, "type");
        write_type(w, args[i].type);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void write_stream(struct json_writer *w, const char *name, const struct vom_type *t)
{
    json_write_name_str(w, name);
    if (t != NULL)
        write_type(w, t);
    else
        json_write_null(w);
}

static void write_method(struct json_writer *w, const struct rpc_sig_method *m, struct span tags)
{
    json_write_object(w);
    json_write_name_str(w, "name");
    json_write_string(w, m->name);
    json_write_name_str(w, "args");
    write_args(w, m->in, m->n_in);
    json_write_name_str(w, "results");
    write_args(w, m->out, m->n_out);
    write_stream(w, "inStream", m->in_stream);
    write_stream(w, "outStream", m->out_stream);
    json_write_name_str(w, "tags");
    json_write_array(w);
    if (tags.len > 0)
        json_write_raw(w, tags);
    json_write_array_end(w);
    json_write_object_end(w);
}

static void write_signature(struct cli *cli, const struct rpc_signature *sig,
                            const struct cli_types *types, const struct tags *tags)
{
    struct buf out = BUF_INIT(16 * TEXT_MAX);
    struct json_writer w;

    json_writer_init(&w, &out);
    json_write_object(&w);
    json_write_name_str(&w, "methods");
    json_write_array(&w);
    for (size_t i = 0; i < sig->n_methods; i++)
        write_method(&w, &sig->methods[i], buf_span(&tags[i].json));
    json_write_array_end(&w);
    json_write_name_str(&w, "types");
    json_write_object(&w);
    for (size_t i = 0; i < types->n; i++) {
        struct buf text = BUF_INIT(TEXT_MAX);

        json_write_name(&w, types->items[i]->name);
        cli_type_definition(&text, types->items[i], true);
        json_write_string(&w, buf_span(&text));
        buf_done(&text);
    }
    json_write_object_end(&w);
    json_write_object_end(&w);
    buf_u8(&out, '\n');
    cli_put(cli, buf_span(&out));
    buf_done(&out);
}

/* ---- the command ---- */

static int run_signature(struct cli *cli, const struct cli_args *args)
{
    struct rpc_signature sig;
    struct cli_types types = {0};
    struct tags *tags = NULL;
    int status = cli_connect(cli, LOOKUP_TIMEOUT);

    if (status != CLI_OK)
        return status;
    rpc_signature_init(&sig);
    status = cli_fetch_signature(cli, args->v[0], &sig);
    if (status == CLI_OK)
        tags = fetch_tags(cli, args->v[0], &sig, &status);
    if (status == CLI_OK) {
        cli_types_of(&types, &sig);
        if (cli->opts.json)
            write_signature(cli, &sig, &types, tags);
        else
            put_signature(cli, &sig, &types, tags);
        status = cli_flush(cli);
    }
    free_tags(tags, sig.n_methods);
    rpc_signature_done(&sig);
    return status;
}

const struct cli_command cli_signature = {
    .name = "signature",
    .operands = "NAME",
    .summary = "show the methods of an object",
    .about =
        "Shows the methods of an object as declarations: parameters, streams of items that go\n"
        "in and come out, results, tags, and the types that have names.\n\n"
        "With --json an object: methods (a list of name, args, results, inStream, outStream,\n"
        "tags) and types (from name to definition).\n\n"
        "Examples:\n"
        "  wspr signature cache\n"
        "  wspr --json signature /127.0.0.1:8101//\n",
    .min = 1,
    .max = 1,
    .run = run_signature,
};

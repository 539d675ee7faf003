/*
 * An object whose methods are carried out by a command, one process for each call:
 *
 *     Run(input any) (any, error)      input -> its standard input; what it printed -> the result
 *     Stream() stream<any, any> error  items -> lines of its input; lines that it prints -> items
 *
 * Each value is JSON on one line. What it prints that is not JSON is a string.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "json/reader.h"
#include "json/writer.h"
#include "security/identity.h"
#include "vom/json_in.h"
#include "vom/json_out.h"
#include "vom/wiretypes.h"
#include "wspr_exec.h"
#include "wspr_serve.h"

#define ARENA_MAX  (256 * 1024 * 1024)
#define QUEUE_HIGH (4 * CLI_EXEC_OUT_LOW)

struct served {
    struct list node;
    struct rpc_scall *call; /* NULL: it is over, the command is being ended */
    struct cli_exec exec;
    bool streaming;
    struct buf printed; /* all of it, or what is not sent yet */
    struct buf line;    /* to the command */
    struct arena scratch;
};

/* ---- values ---- */

/* Encodes what was printed: JSON, or else a string; nothing at all is nil. */
static int put_printed(struct served *s, struct span text, struct err *err)
{
    struct vom_enc *enc = rpc_scall_enc(s->call);
    struct buf *out = rpc_scall_buf(s->call), quoted = BUF_INIT(8 * CLI_SERVE_VALUE_MAX);
    struct vom_value nil = vom_value_zero(&vom_type_verror_e);
    struct span value;
    const uint8_t *end;
    int r;

    while (text.len > 0 && (text.p[text.len - 1] == '\n' || text.p[text.len - 1] == '\r'))
        text.len--;
    if (text.len == 0)
        return vom_enc_value(enc, out, &nil, err);
    r = json_scan(text, 0, 0, &value, NULL);
    end = r == 0 ? value.p + value.len : NULL;
    while (r == 0 && end < text.p + text.len && strchr(" \t\r\n", *end) != NULL)
        end++;
    if (r < 0 || end < text.p + text.len) {
        json_quote(&quoted, text);
        text = buf_span(&quoted);
    }
    arena_reset(&s->scratch);
    r = vom_json_encode(enc, out, &vom_type_any, text, &s->scratch, err);
    if (r == VOM_JSON_NIL)
        r = vom_enc_value(enc, out, &nil, err);
    buf_done(&quoted);
    return r;
}

/* Writes a value to the command, on a line of its own. */
static int write_value(struct served *s, const struct vom_value *v, struct err *err)
{
    int r;

    buf_reset(&s->line);
    r = vom_json_write_value(&s->line, v, 0, err);
    buf_u8(&s->line, '\n');
    if (r == 0 && buf_error(&s->line) != 0)
        r = err_set(err, buf_error(&s->line), "the value is too long");
    if (r == 0)
        cli_exec_write(&s->exec, buf_data(&s->line), s->line.len);
    return r;
}

/* ---- the end ---- */

static void served_free(struct served *s)
{
    list_remove(&s->node);
    cli_exec_done(&s->exec);
    buf_done(&s->printed);
    buf_done(&s->line);
    arena_done(&s->scratch);
    free(s);
}

/* The call ends without its command, which is ended too. */
static void give_up(struct served *s, const char *why)
{
    struct rpc_scall *call = s->call;
    struct err e = ERR_INIT;

    s->call = NULL;
    cli_exec_kill(&s->exec);
    err_set(&e, WSPR_EABORTED, "%s", why);
    rpc_scall_finish(call, NULL, 0, &e);
    err_done(&e);
}

static void on_expired(void *arg, struct rpc_scall *call)
{
    give_up(arg, "deadline exceeded");
}

static void on_gone(void *arg, struct rpc_scall *call)
{
    give_up(arg, "the caller is gone");
}

/* How the command ended, as the error of the method; code 0: well. */
static void error_of_end(struct served *s, int status, const struct err *why, struct err *e)
{
    struct span said = cli_exec_said(&s->exec);

    if (why != NULL)
        err_copy(e, why);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    else if (said.len > 0)
        err_set_text(e, WSPR_EUNKNOWN, (const char *)said.p, said.len);
    else if (WIFEXITED(status))
        err_set(e, WSPR_EUNKNOWN, "the command ended with status %d", WEXITSTATUS(status));
    else
        err_set(e, WSPR_EUNKNOWN, "the command was ended by signal %d", WTERMSIG(status));
}

/* ---- what the command prints ---- */

/* Sends the lines that are complete, at the end also the rest; false while the caller is slow. */
static bool send_lines(struct served *s, bool all)
{
    bool full = false;

    while (s->call != NULL && s->printed.len > 0 && (!full || all)) {
        struct span text = buf_span(&s->printed);
        const uint8_t *end = memchr(text.p, '\n', text.len);
        struct err e = ERR_INIT;
        int r;

        if (end == NULL && !all)
            break;
        text.len = end != NULL ? (size_t)(end - text.p) : text.len;
        r = rpc_scall_begin_item(s->call);
        if (r == 0) {
            r = put_printed(s, text, &e);
            full = rpc_scall_end_item(s->call, r == 0) == RPC_FULL;
        }
        err_done(&e);
        buf_consume(&s->printed, text.len + (end != NULL ? 1 : 0));
    }
    return !full;
}

static size_t on_data(void *arg, const uint8_t *p, size_t len)
{
    struct served *s = arg;

    if (s->call == NULL)
        return len;
    buf_append(&s->printed, p, len);
    if (buf_error(&s->printed) != 0)
        give_up(s, "the command prints too much");
    else if (s->streaming && !send_lines(s, false))
        cli_exec_pause(&s->exec);
    return len;
}

static void on_writable(void *arg, struct rpc_scall *call)
{
    struct served *s = arg;

    if (send_lines(s, false))
        cli_exec_resume(&s->exec);
}

static void on_ended(void *arg, int status, const struct err *why)
{
    struct served *s = arg;
    struct err e = ERR_INIT, bad = ERR_INIT;
    int r = 0;

    if (s->call == NULL) {
        served_free(s);
        return;
    }
    error_of_end(s, status, why, &e);
    if (s->streaming) {
        send_lines(s, true);
        rpc_scall_finish(s->call, NULL, 0, &e);
    } else if (rpc_scall_begin_results(s->call, 1) < 0) {
        rpc_scall_finish(s->call, NULL, 0, NULL);
    } else {
        r = put_printed(s, e.code == 0 ? buf_span(&s->printed) : span_str(""), &bad);
        rpc_scall_end_results(s->call, &e, r, &bad);
    }
    s->call = NULL;
    err_done(&e);
    err_done(&bad);
    served_free(s);
}

/* ---- what the caller sends ---- */

static int on_item(void *arg, struct rpc_scall *call, const struct rpc_value *v)
{
    struct served *s = arg;
    const struct vom_value *item;
    struct err e = ERR_INIT;
    int r = rpc_scall_item_value(call, v, &item, &e);

    if (r == 0)
        r = write_value(s, item, &e);
    if (r < 0)
        give_up(s, err_text(&e));
    err_done(&e);
    return r == 0 && cli_exec_queued(&s->exec) > QUEUE_HIGH ? RPC_HOLD : 0;
}

static void on_end(void *arg, struct rpc_scall *call)
{
    cli_exec_close_input(&((struct served *)arg)->exec);
}

static void on_drained(void *arg)
{
    struct served *s = arg;

    if (s->call != NULL && s->streaming)
        rpc_scall_resume(s->call);
}

/* ---- the beginning ---- */

/* "NAME=value", without what no variable can hold. */
static char *variable(struct arena *a, const char *name, struct span value)
{
    struct buf text = BUF_INIT(CLI_SERVE_VALUE_MAX);
    char *copy = NULL;

    buf_append_str(&text, name);
    buf_u8(&text, '=');
    if (value.len == 0 || memchr(value.p, '\0', value.len) == NULL)
        buf_append_span(&text, value);
    if (buf_error(&text) == 0)
        copy = arena_strndup(a, (const char *)buf_data(&text), text.len);
    buf_done(&text);
    return copy;
}

static int start_command(struct served *s, const struct cli_exec_object *object, struct err *err)
{
    static const struct cli_exec_ops ops = {
        .data = on_data,
        .drained = on_drained,
        .ended = on_ended,
    };
    const struct security_identity *remote = rpc_scall_remote(s->call);
    struct buf caller = BUF_INIT(65536);
    const char *env[4] = {NULL};
    int r;

    if (remote != NULL)
        security_identity_print(&caller, remote, object->trust);
    env[0] = variable(&s->scratch, "WSPR_METHOD", rpc_scall_method(s->call));
    env[1] = variable(&s->scratch, "WSPR_SUFFIX", rpc_scall_suffix(s->call));
    env[2] = variable(&s->scratch, "WSPR_CALLER", buf_span(&caller));
    buf_done(&caller);
    if (env[0] == NULL || env[1] == NULL || env[2] == NULL)
        return err_set(err, WSPR_ENOMEM, "out of memory");
    r = cli_exec_start(&s->exec, object->w, object->command, env, &ops, s, err);
    return r;
}

static struct served *serve(struct cli_exec_object *object, struct rpc_scall *call)
{
    static const struct rpc_scall_ops ops = {
        .item = on_item,
        .end = on_end,
        .expired = on_expired,
        .gone = on_gone,
        .writable = on_writable,
    };
    struct served *s = calloc(1, sizeof *s);
    struct err e = ERR_INIT;
    int r = s != NULL ? 0 : err_set(&e, WSPR_ENOMEM, "out of memory");

    if (s != NULL) {
        s->call = call;
        buf_init(&s->printed, CLI_SERVE_VALUE_MAX);
        buf_init(&s->line, CLI_SERVE_VALUE_MAX);
        arena_init(&s->scratch, ARENA_MAX);
        list_push_back(&object->running, &s->node);
        r = start_command(s, object, &e);
    }
    if (r == 0) {
        rpc_scall_set_ops(call, &ops, s);
        return s;
    }
    if (s != NULL)
        served_free(s);
    rpc_scall_finish(call, NULL, 0, &e);
    err_done(&e);
    return NULL;
}

static void run(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct served *s = serve(object, call);
    struct err e = ERR_INIT;

    if (s == NULL)
        return;
    if (write_value(s, args[0], &e) < 0)
        give_up(s, err_text(&e));
    else
        cli_exec_close_input(&s->exec);
    err_done(&e);
}

static void stream(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    struct served *s = serve(object, call);

    if (s != NULL)
        s->streaming = true;
}

void cli_exec_object_end(struct cli_exec_object *object)
{
    while (!list_empty(&object->running))
        served_free(LIST_OBJECT(object->running.next, struct served, node));
}

/* ---- the signature ---- */

static const struct vom_type t_any = VOM_TYPE_NAMED(VOM_KIND_ANY, "anydata");
static const struct vom_type t_error = VOM_TYPE_NAMED(VOM_KIND_ANY, "error");
static const struct vom_type *const types[] = {&t_any, &t_error};
static const struct rpc_param in_any[] = {{"input", &t_any}};
static const struct rpc_param out_any[] = {{"", &t_any}, {"", &t_error}};
static const struct rpc_param out_error[] = {{"", &t_error}};

static const struct rpc_method methods[] = {
    {
        .name = "Run",
        .in = in_any,
        .n_in = 1,
        .out = out_any,
        .n_out = 2,
        .invoke = run,
    },
    {
        .name = "Stream",
        .out = out_error,
        .n_out = 1,
        .in_stream = &t_any,
        .out_stream = &t_any,
        .invoke = stream,
    },
};

const struct rpc_interface cli_exec_interface = {
    .name = "wspr.Exec",
    .methods = methods,
    .n_methods = sizeof methods / sizeof methods[0],
    .type_defs = types,
    .n_type_defs = sizeof types / sizeof types[0],
};

/* ---- the other object: what comes goes back ---- */

static int echo_item(void *arg, struct rpc_scall *call, const struct rpc_value *v)
{
    const struct vom_value *item;
    struct err e = ERR_INIT;
    int r = rpc_scall_item_value(call, v, &item, &e);

    if (r == 0)
        r = rpc_scall_send(call, item);
    if (r < 0)
        rpc_scall_finish(call, NULL, 0, e.code != 0 ? &e : NULL);
    err_done(&e);
    return r == RPC_FULL ? RPC_HOLD : 0;
}

static void echo_end(void *arg, struct rpc_scall *call)
{
    rpc_scall_finish(call, NULL, 0, rpc_scall_stream_error(call));
}

static void echo_expired(void *arg, struct rpc_scall *call)
{
    struct err e = ERR_INIT;

    err_set(&e, WSPR_EABORTED, "deadline exceeded");
    rpc_scall_finish(call, NULL, 0, &e);
    err_done(&e);
}

static void echo_gone(void *arg, struct rpc_scall *call)
{
    rpc_scall_finish(call, NULL, 0, NULL);
}

static void echo_writable(void *arg, struct rpc_scall *call)
{
    rpc_scall_resume(call);
}

static void echo_stream(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    static const struct rpc_scall_ops ops = {
        .item = echo_item,
        .end = echo_end,
        .expired = echo_expired,
        .gone = echo_gone,
        .writable = echo_writable,
    };

    rpc_scall_set_ops(call, &ops, NULL);
}

static void echo(void *object, struct rpc_scall *call, const struct vom_value *const *args)
{
    rpc_scall_finish(call, args, 1, NULL);
}

static const struct rpc_method echo_methods[] = {
    {
        .name = "Echo",
        .in = in_any,
        .n_in = 1,
        .out = out_any,
        .n_out = 2,
        .invoke = echo,
    },
    {
        .name = "Stream",
        .out = out_error,
        .n_out = 1,
        .in_stream = &t_any,
        .out_stream = &t_any,
        .invoke = echo_stream,
    },
};

const struct rpc_interface cli_echo_interface = {
    .name = "wspr.Echo",
    .methods = echo_methods,
    .n_methods = sizeof echo_methods / sizeof echo_methods[0],
    .type_defs = types,
    .n_type_defs = sizeof types / sizeof types[0],
};

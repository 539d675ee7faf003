#include "config.h"
#include "tcall.h"

#include "tap.h"

static int keep(struct tcall *t, const struct rpc_value *v, struct vom_value *ret, struct err *err)
{
    struct vom_value value;
    int r = vom_dec_value(v->dec, v->msg, &t->arena, &value, err);

    return r < 0 ? r : vom_value_copy(&t->arena, &value, ret, err);
}

static void on_started(void *arg, struct rpc_call *call)
{
    struct tcall *t = arg;

    t->n_started++;
}

static int on_item(void *arg, struct rpc_call *call, const struct rpc_value *v, struct err *err)
{
    struct tcall *t = arg;
    int r = 0;

    t->n_items++;
    t->item_bytes += v->msg->body.len;
    if (!t->light)
        r = keep(t, v, &t->item, err);
    if (r < 0)
        return r;
    if (t->at_item != NULL)
        t->at_item(t->at_arg);
    return t->hold ? RPC_HOLD : 0;
}

static void on_end(void *arg, struct rpc_call *call)
{
    struct tcall *t = arg;

    t->n_ended++;
}

static int on_result(void *arg, struct rpc_call *call, uint32_t i, uint32_t n,
                     const struct rpc_value *v, struct err *err)
{
    struct tcall *t = arg;

    TAP_OK(i < n && (i == t->n_results || (i > t->n_results && t->n_results == TCALL_RESULTS)),
           "result %u of %u after %u", i, n, t->n_results);
    if (t->n_results == TCALL_RESULTS)
        return 0;
    return keep(t, v, &t->results[t->n_results++], err);
}

static void on_done(void *arg, struct rpc_call *call, const struct err *err)
{
    struct tcall *t = arg;

    t->n_done++;
    t->call = NULL;
    if (err != NULL)
        err_copy(&t->err, err);
    if (t->at_done != NULL)
        t->at_done(t->at_arg);
}

static void on_writable(void *arg, struct rpc_call *call)
{
    struct tcall *t = arg;

    t->n_writable++;
}

#define OPS                                                                                        \
    .started = on_started, .end = on_end, .result = on_result, .done = on_done,                    \
    .writable = on_writable

static const struct rpc_call_ops ops = {OPS, .item = on_item};
static const struct rpc_call_ops ops_no_items = {OPS};

void tcall_init(struct tcall *t)
{
    *t = (struct tcall){.err = ERR_INIT};
    arena_init(&t->arena, 512 << 20);
}

void tcall_done(struct tcall *t)
{
    rpc_call_cancel(t->call);
    arena_done(&t->arena);
    err_done(&t->err);
    tcall_init(t);
}

bool tcall_start(struct tcall *t, struct rpc_client *client, const struct tcall_how *how)
{
    struct err e = ERR_INIT;

    t->call = rpc_call_new(client, span_str(how->name), span_str(how->method), &how->opts,
                           how->no_items ? &ops_no_items : &ops, t);
    if (t->call == NULL)
        return false;
    for (size_t i = 0; i < how->n_args; i++) {
        if (vom_enc_value(rpc_call_enc(t->call), rpc_call_buf(t->call), &how->args[i], &e) < 0)
            tap_note("argument %zu: %s", i, err_text(&e));
        err_done(&e);
    }
    rpc_call_start(t->call, (uint32_t)how->n_args);
    return true;
}

int tcall_send(struct tcall *t, const struct vom_value *v)
{
    int r = t->call != NULL ? rpc_call_begin_item(t->call) : WSPR_ECLOSED;

    if (r < 0)
        return r;
    r = vom_enc_value(rpc_call_enc(t->call), rpc_call_buf(t->call), v, NULL);
    return r < 0 ? r : rpc_call_end_item(t->call, true);
}

bool tcall_is_done(void *tcall)
{
    struct tcall *t = tcall;

    return t->n_done > 0;
}

const char *tcall_error(const struct tcall *t)
{
    return t->err.code != 0 ? err_text(&t->err) : "";
}

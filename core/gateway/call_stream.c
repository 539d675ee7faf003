/* Streams of calls: what the plugin sends, and the flow that a call is piped into. */
#include "config.h"

#include "gateway/call_private.h"
#include "vom/json_in.h"

/* ---- to the page ---- */

void gateway_call_page_writable(struct wspr_flow *f)
{
    LIST_FOREACH (node, &f->pipes)
        wspr_call_resume(LIST_OBJECT(node, struct wspr_call, pipe_node));
}

void gateway_call_cut_pipes(struct wspr_flow *f)
{
    struct list *node;

    while ((node = list_pop(&f->pipes)) != NULL) {
        struct wspr_call *call = LIST_OBJECT(node, struct wspr_call, pipe_node);

        call->pipe = NULL;
        wspr_call_resume(call);
    }
}

/* ---- to the service ---- */

/* What could not be sent leaves a gap, and perhaps types that the server does not know. */
static int item_failed(struct wspr_call *call, int code)
{
    err_set(&call->fault, code, "ipc: streaming arg encoding failed: %s", err_code_text(code));
    loop_worker_later(call->conn->gw->worker, &call->task);
    return WSPR_ECLOSED;
}

int wspr_call_send(struct wspr_call *call, const char *json, size_t len)
{
    struct arena *scratch = &call->conn->gw->convert;
    struct err e = ERR_INIT;
    int r, n;

    if (call->dead || call->fault.code != 0 || !call->options.streaming)
        return WSPR_ECLOSED;
    if (!call->started || call->send_full) {
        call->send_full = true;
        return WSPR_EAGAIN;
    }
    if (call->sig_method->in_stream == NULL)
        return WSPR_ECLOSED;
    r = rpc_call_begin_item(call->rpc);
    if (r < 0) {
        call->send_full = r == WSPR_EAGAIN;
        return r;
    }
    arena_reset(scratch);
    n = vom_json_encode(rpc_call_enc(call->rpc), rpc_call_buf(call->rpc),
                        call->sig_method->in_stream, span_of(json, len), scratch, &e);
    err_done(&e);
    r = rpc_call_end_item(call->rpc, n == VOM_JSON_DONE);
    if (r == WSPR_ECLOSED)
        return r; /* the server has answered already */
    if (r < 0 || n == WSPR_ENOMEM)
        return item_failed(call, r < 0 ? r : n);
    call->send_full = r == RPC_FULL;
    if (n != VOM_JSON_DONE)
        return WSPR_ETYPE;
    return r == RPC_FULL ? WSPR_FULL : 0;
}

int wspr_call_close_send(struct wspr_call *call)
{
    if (call->dead)
        return WSPR_ECLOSED;
    if (!call->options.streaming)
        return 0;
    if (!call->started) {
        call->send_full = true;
        return WSPR_EAGAIN;
    }
    rpc_call_close_send(call->rpc);
    return 0;
}

void wspr_call_resume(struct wspr_call *call)
{
    if (call->rpc != NULL)
        rpc_call_resume(call->rpc);
}

int wspr_call_pipe(struct wspr_call *call, struct wspr_flow *flow)
{
    if (call->dead || flow->finished || flow->cancelled)
        return WSPR_ECLOSED;
    call->piped = true;
    call->pipe = flow;
    list_remove(&call->pipe_node);
    list_push_back(&flow->pipes, &call->pipe_node);
    return 0;
}

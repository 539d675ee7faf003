/* Many calls, slow readers, large values: what shares a circuit does not stop each other. */
#include "config.h"

#include <stdlib.h>

#include "base/clock.h"
#include "raw.h"
#include "rpc/call_private.h"
#include "rpc_tests.h"
#include "twin.h"

static const struct twin_opts plain;

struct many {
    struct tcall *calls;
    unsigned n, done;
};

static struct many many_new(unsigned n)
{
    struct many m = {calloc(n, sizeof(struct tcall)), n, 0};

    TAP_IS(m.calls != NULL);
    for (unsigned i = 0; i < n; i++)
        tcall_init(&m.calls[i]);
    return m;
}

static bool all_done(void *arg)
{
    struct many *m = arg;

    while (m->done < m->n && m->calls[m->done].n_done > 0)
        m->done++;
    return m->done == m->n;
}

static void many_wait(struct twin *t, struct many *m)
{
    unsigned bad = 0;

    TAP_OK(raw_until(t->c.w, all_done, m, 30000), "%u of %u calls have ended", m->done, m->n);
    for (unsigned i = 0; i < m->n; i++) {
        bad += m->calls[i].err.code != 0;
        if (m->calls[i].err.code != 0 && bad == 1)
            tap_note("call %u: %s", i, tcall_error(&m->calls[i]));
    }
    TAP_OK(bad == 0, "%u calls failed", bad);
}

static void many_free(struct many *m)
{
    for (unsigned i = 0; i < m->n; i++)
        tcall_done(&m->calls[i]);
    free(m->calls);
}

static void one_handshake(void)
{
    struct vom_value arg = vom_value_str("z");
    struct many m = many_new(300);
    struct twin t;

    twin_init(&t, &plain);
    for (unsigned i = 0; i < m.n; i++)
        twin_start(&t, &m.calls[i], "Echo", &arg, 1, false);
    many_wait(&t, &m);
    TAP_IS(twin_stats(&t)->handshakes == 1 && twin_stats(&t)->dials == 1);
    TAP_IS(twin_stats(&t)->vcs == 1 && twin_stats(&t)->links == 1);
    TAP_IS(rpc_runtime_stats(t.s.rt)->handshakes == 1);
    TAP_IS(rpc_runtime_stats(t.s.rt)->served == m.n);
    many_free(&m);
    twin_done(&t);
}

/* The handshake runs on other threads meanwhile. */
static void thousand_beside_one(void)
{
    struct twin_opts opts = {.offload = true, .client = {.flows_per_vc = 2000}};
    struct vom_value arg = vom_value_str("z");
    struct many m = many_new(1000);
    struct tcall never;
    struct twin t;

    opts.server = opts.client;
    twin_init(&t, &opts);
    twin_start(&t, &never, "Slow", NULL, 1, false);
    for (unsigned i = 0; i < m.n; i++)
        twin_start(&t, &m.calls[i], "Echo", &arg, 1, false);
    many_wait(&t, &m);
    TAP_IS(never.n_done == 0);
    TAP_IS(twin_stats(&t)->handshakes == 1);
    many_free(&m);
    tcall_done(&never);
    twin_done(&t);
}

/* 300 streams whose items nobody takes: they stop each by itself. */
static void unread_streams(void)
{
    struct vom_value size = vom_value_int(&vom_type_int32, 60000), arg = vom_value_str("z");
    struct many m = many_new(300);
    struct twin t;
    uint64_t bytes = 0;
    struct tcall c;

    twin_init(&t, &plain);
    for (unsigned i = 0; i < m.n; i++) {
        twin_start(&t, &m.calls[i], "Flood", &size, 1, false);
        m.calls[i].hold = m.calls[i].light = true;
    }
    for (unsigned i = 0; i < m.n; i++)
        TAP_IS(twin_until(&t, &m.calls[i].n_items, 1));
    for (unsigned i = 0; i < 50; i++) {
        twin_call(&t, &c, "Echo", &arg, 1);
        TWIN_OK(&c);
        tcall_done(&c);
    }
    /* They come to rest when the windows are full. */
    for (int i = 0; i < 100; i++) {
        bytes = loop_worker_stats(t.c.w)->bytes_in;
        raw_run(t.c.w, 200);
        if (loop_worker_stats(t.c.w)->bytes_in == bytes)
            break;
    }
    TAP_OK(loop_worker_stats(t.c.w)->bytes_in == bytes, "bytes still come");
    TAP_IS(twin_stats(&t)->handshakes == 1);
    /* One of them goes on. */
    m.calls[7].hold = false;
    rpc_call_resume(m.calls[7].call);
    TAP_IS(twin_until(&t, &m.calls[7].n_items, 100));
    TAP_IS(m.calls[8].n_items == 1);
    many_free(&m);
    TAP_IS(twin_until(&t, &t.object.gone, 300));
    twin_done(&t);
}

/* A method that does not read: the client's queue fills, and only that call waits. */
static void unread_input(void)
{
    static char bytes[60000];
    struct vom_value item = vom_value_span(&vom_type_string, span_of(bytes, sizeof bytes));
    struct vom_value arg = vom_value_str("z");
    unsigned sent = 0;
    struct tcall c, d;
    struct twin t;
    int r = 0;

    memset(bytes, 'q', sizeof bytes);
    twin_init(&t, &plain);
    twin_start(&t, &c, "Slow", NULL, 1, true);
    TAP_IS(twin_until(&t, &t.object.n_waiting, 1));
    while (r == 0 && sent < 10000) {
        r = tcall_send(&c, &item);
        sent++;
        raw_run(t.c.w, 0);
    }
    TAP_OK(r == RPC_FULL, "%d after %u items", r, sent);
    raw_run(t.c.w, 50);
    for (unsigned i = 0; i < 20; i++) {
        twin_call(&t, &d, "Echo", &arg, 1);
        TWIN_OK(&d);
        tcall_done(&d);
    }
    /* Without regard to what it is told the writer meets the end of the queue. */
    for (sent = 0; r >= 0 && sent < 10000; sent++)
        r = tcall_send(&c, &item);
    TAP_OK(r == WSPR_EAGAIN, "%d after %u more", r, sent);
    rpc_call_cancel(c.call);
    c.call = NULL;
    TAP_IS(twin_until(&t, &t.object.gone, 1));
    tcall_done(&c);
    twin_done(&t);
}

/* The end of a stream that no longer fits into the queue fails the call. */
static void no_room_for_the_end(void)
{
    enum { QUEUE = 2 * 1024 * 1024, REQUEST = 4 };
    static const struct twin_opts small = {.client = {.queue_max = QUEUE}};
    static char bytes[QUEUE];
    struct vom_value item = vom_value_span(&vom_type_string, span_of(bytes, QUEUE - REQUEST));
    struct tcall c;
    struct twin t;

    memset(bytes, 'q', sizeof bytes);
    twin_init(&t, &small);
    twin_start(&t, &c, "Slow", NULL, 1, true);
    TAP_IS(twin_until(&t, &t.object.n_waiting, 1));
    /* What a string takes besides itself is found out with one that is taken back. */
    TAP_IS(rpc_call_begin_item(c.call) == 0);
    TAP_IS(vom_enc_value(rpc_call_enc(c.call), rpc_call_buf(c.call), &item, NULL) >= 0);
    item.s.len -= rpc_call_buf(c.call)->len - item.s.len;
    buf_reset(rpc_call_buf(c.call));
    /* From here on the loop does not turn, so that the queue stays full. */
    TAP_IS(tcall_send(&c, &item) == RPC_FULL);
    TAP_OK(vc_flow_queued(c.call->flow) == QUEUE, "%zu", vc_flow_queued(c.call->flow));
    rpc_call_close_send(c.call);
    TAP_IS(c.n_done == 0);
    twin_wait(&t, &c);
    TAP_OK(strncmp(tcall_error(&c), "ipc: the end of the stream cannot be sent: ", 43) == 0, "%s",
           tcall_error(&c));
    TAP_IS(twin_until(&t, &t.object.gone, 1));
    tcall_done(&c);
    twin_done(&t);
}

/* Items in both directions as fast as they go, far more than the windows hold. */
static void long_stream(void)
{
    static char bytes[20000];
    struct vom_value item = vom_value_span(&vom_type_string, span_of(bytes, sizeof bytes));
    struct vom_value arg = vom_value_str("z");
    unsigned sent = 0, full = 0;
    struct tcall c;
    struct twin t;

    memset(bytes, 'q', sizeof bytes);
    twin_init(&t, &plain);
    twin_start(&t, &c, "Stream", &arg, 2, true);
    c.light = true;
    TAP_IS(twin_until(&t, &c.n_started, 1));
    while (sent < 200) {
        int r = tcall_send(&c, &item);
        unsigned before = c.n_writable;

        TAP_OK(r >= 0, "item %u: %d", sent, r);
        if (r < 0)
            break;
        sent++;
        if (r == RPC_FULL) {
            full++;
            TAP_IS(twin_until(&t, &c.n_writable, before + 1));
        }
    }
    rpc_call_close_send(c.call);
    twin_wait(&t, &c);
    TWIN_OK(&c);
    TAP_OK(c.n_items == 200 && full > 0, "%u items, %u times full", c.n_items, full);
    TAP_IS(c.item_bytes >= 200 * sizeof bytes && t.object.received == 200 * sizeof bytes);
    tcall_done(&c);
    twin_done(&t);
}

static void large_values(void)
{
    const size_t size = 5 << 20;
    uint8_t *bytes = calloc(size, 1);
    struct vom_value v = vom_value_span(&vom_type_bytes, span_of(bytes, size));
    struct vom_value n = vom_value_int(&vom_type_int32, 12 << 20);
    struct twin t;
    struct tcall c;

    TAP_IS(bytes != NULL);
    twin_init(&t, &plain);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 1000);
    twin_call(&t, &c, "Identity", &v, 2);
    TWIN_OK(&c);
    TAP_OK(c.n_results == 2 && vom_value_equal(&c.results[0], &v) == 1, "other bytes");
    tcall_done(&c);
    twin_call(&t, &c, "Big", &n, 2);
    TWIN_OK(&c);
    TAP_IS(c.n_results == 2 && c.results[0].s.len == 12 << 20);
    tcall_done(&c);
    free(bytes);
    twin_done(&t);
}

/* Beyond the limit of one value: an error on either side, and the circuit lives. */
static void too_large_values(void)
{
    struct twin_opts opts = {.client = {.value_max = 100000}, .server = {.value_max = 100000}};
    static uint8_t bytes[300000];
    struct vom_value v = vom_value_span(&vom_type_bytes, span_of(bytes, sizeof bytes));
    struct vom_value n = vom_value_int(&vom_type_int32, 300000), arg = vom_value_str("z");
    struct twin t;
    struct tcall c;

    /* The client may send more than the server takes. */
    opts.client.value_max = 1000000;
    twin_init(&t, &opts);
    twin_call(&t, &c, "Identity", &v, 2);
    TAP_OK(strstr(tcall_error(&c), "ipc: arg 0 decoding failed: ") == tcall_error(&c), "\"%s\"",
           tcall_error(&c));
    tcall_done(&c);
    /* Results that are too long to be sent are told. */
    twin_call(&t, &c, "Big", &n, 2);
    TAP_OK(strstr(tcall_error(&c), "ipc: result #0 encoding failed: ") == tcall_error(&c), "\"%s\"",
           tcall_error(&c));
    TAP_IS(strcmp(err_id(&c.err), "veyron2/verror.Internal") == 0);
    tcall_done(&c);
    twin_call(&t, &c, "Echo", &arg, 1);
    TWIN_OK(&c);
    TAP_IS(twin_stats(&t)->handshakes == 1);
    tcall_done(&c);
    twin_done(&t);
}

static void more_flows_than_one_circuit(void)
{
    struct twin_opts opts = {.client = {.flows_per_vc = 4}};
    struct many m = many_new(10);
    struct vom_value arg = vom_value_str("z");
    struct twin t;
    struct tcall c;

    twin_init(&t, &opts);
    for (unsigned i = 0; i < m.n; i++)
        twin_start(&t, &m.calls[i], "Slow", NULL, 1, false);
    TAP_IS(twin_until(&t, &t.object.invoked, 10));
    TAP_OK(twin_stats(&t)->vcs == 3 && twin_stats(&t)->handshakes == 3, "%u circuits",
           (unsigned)twin_stats(&t)->vcs);
    TAP_IS(twin_stats(&t)->dials == 1);
    twin_call(&t, &c, "Echo", &arg, 1);
    TWIN_OK(&c);
    TAP_IS(twin_stats(&t)->vcs == 3);
    tcall_done(&c);
    many_free(&m);
    twin_done(&t);
}

/* Waits for calls of which some fail, since more came than may be kept of all. */
static void many_shed(struct twin *t, struct many *m, struct rpc_runtime *keeper)
{
    static const char why[] = "too much is kept of all calls together, and most of this one";
    const struct rpc_stats *stats = rpc_runtime_stats(keeper);
    unsigned failed = 0;

    TAP_OK(raw_until(t->c.w, all_done, m, 60000), "%u of %u calls have ended", m->done, m->n);
    for (unsigned i = 0; i < m->n; i++) {
        if (m->calls[i].err.code == 0)
            continue;
        failed++;
        TAP_OK(strstr(tcall_error(&m->calls[i]), why) != NULL, "%s", tcall_error(&m->calls[i]));
    }
    TAP_OK(failed > 0 && failed < m->n, "%u of %u calls failed", failed, m->n);
    TAP_OK(stats->err_input == failed && stats->in_bytes == 0, "%u failed, %u bytes",
           (unsigned)stats->err_input, (unsigned)stats->in_bytes);
}

static void too_much_of_requests(void)
{
    struct twin_opts opts = {.server = {.in_total = 4 << 20}};
    struct many m = many_new(4);
    size_t size = 2 << 20;
    char *text = malloc(size);
    struct vom_value arg;
    struct twin t;

    TAP_IS(text != NULL);
    memset(text, 'z', size);
    arg = vom_value_span(&vom_type_string, span_of(text, size));
    twin_init(&t, &opts);
    for (unsigned i = 0; i < m.n; i++)
        twin_start(&t, &m.calls[i], "Echo", &arg, 1, false);
    many_shed(&t, &m, t.s.rt);
    many_free(&m);
    twin_done(&t);
    free(text);
}

static void too_much_of_results(void)
{
    struct twin_opts opts = {.client = {.in_total = 4 << 20}};
    struct vom_value size = vom_value_int(&vom_type_int32, 2 << 20);
    struct many m = many_new(4);
    struct twin t;

    twin_init(&t, &opts);
    for (unsigned i = 0; i < m.n; i++)
        twin_start(&t, &m.calls[i], "Big", &size, 2, false);
    many_shed(&t, &m, t.c.rt);
    many_free(&m);
    twin_done(&t);
}

const struct tap_case rpc_load_cases[RPC_LOAD_CASES] = {
    {"300 calls and one handshake", one_handshake},
    {"1000 calls beside one that never ends", thousand_beside_one},
    {"300 streams that nobody reads", unread_streams},
    {"input that nobody reads", unread_input},
    {"no room for the end of a stream", no_room_for_the_end},
    {"a long stream both ways", long_stream},
    {"values larger than the window", large_values},
    {"values larger than the limit", too_large_values},
    {"more flows than a circuit takes", more_flows_than_one_circuit},
    {"too much of all requests together", too_much_of_requests},
    {"too much of all results together", too_much_of_results},
};

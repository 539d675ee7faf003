/*
 * A peer that does what the input says, from accept on: circuits, flows, requests, values and
 * credit as our own engine makes them, and between them messages and bytes that no engine makes.
 * The first byte chooses who is called: the object of a page, at the socket that servers share, or
 * the sample service.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/header.h"
#include "rpc/link.h"
#include "rpc/runtime_private.h"
#include "vom/wiretypes.h"
#include "vom/value.h"
#include "whole.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FLOWS 6

struct peer_flow {
    struct vc_flow *flow; /* NULL: none */
    struct vom_enc enc;
};

static struct peer {
    struct vc_pool *pool;
    int fd; /* -1: the connection has ended */
    struct vc_vif *vif;
    struct vc *vc;
    struct peer_flow flows[FLOWS];
    struct buf out;
    bool deaf; /* does not read */
    bool hold; /* gives no credit back */
    bool slow; /* what it sends goes in pieces */
    unsigned at;
    bool of_page;
} z = {.fd = -1};

/* ---- the engine ---- */

static void on_data(void *arg, struct vc_flow *flow, struct span bytes)
{
    if (!z.hold)
        vc_flow_consumed(flow, bytes.len);
}

static void on_eof(void *arg, struct vc_flow *flow, const struct err *why)
{
    struct peer_flow *f = arg;

    f->flow = NULL;
    vc_flow_close(flow);
}

static const struct vc_flow_ops flow_ops = {.data = on_data, .eof = on_eof};

static const struct vc_ops circuit_ops;
static const struct vc_vif_ops vif_ops;

static void hang_up(void)
{
    if (z.fd < 0)
        return;
    close(z.fd);
    z.fd = -1;
    for (unsigned i = 0; i < FLOWS; i++) {
        vc_flow_cancel(z.flows[i].flow);
        z.flows[i].flow = NULL;
        vom_enc_done(&z.flows[i].enc);
    }
    vc_close(z.vc);
    vc_vif_free(z.vif, NULL);
    buf_done(&z.out);
    z.deaf = z.hold = z.slow = false;
}

static void dial(void)
{
    struct vc_vif_opts opts = {.dialled = true, .now = loop_worker_now(whole.g.w)};
    const char *endpoint = z.of_page ? whole.pages[0].endpoint : whole.g.endpoint + 1;
    struct rpc_listener *listener = z.of_page ? whole.g.gateway->peers : NULL;
    struct vc_open how = {
        .dst = span_str(endpoint),
        .src = span_str("@2@tcp@b:2@0000000000000000000000000000cccc@1@2@@"),
        .security = VC_SECURE,
        .crypter = vc_crypter_null_new(),
        .identity = whole.g.ids.client,
        .ops = &circuit_ops,
    };
    struct loop_addr nowhere = {.len = 0};
    int fds[2], r;

    whole_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0,
                  "no socket pair");
    z.fd = fds[1];
    r = rpc_link_adopt(z.of_page ? whole.g.client.rt : whole.g.service.rt, fds[0], &nowhere,
                       z.of_page ? NULL : whole.g.server, listener, NULL);
    whole_require(r == 0, "a connection is not taken");
    buf_init(&z.out, 16 << 20);
    z.vif = vc_vif_new(z.pool, &opts, &vif_ops, NULL);
    whole_require(z.vif != NULL && vc_open(z.vif, &how, &z.vc, NULL) == 0, "no circuit");
    for (unsigned i = 0; i < FLOWS; i++)
        vom_enc_init(&z.flows[i].enc);
}

/* ---- the connection ---- */

static void send_output(void)
{
    while (z.fd >= 0 && z.out.len > 0) {
        size_t n = z.slow && z.out.len > 7 ? 7 : z.out.len;
        ssize_t r = send(z.fd, buf_data(&z.out), n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (r < 0 && errno != EAGAIN)
            hang_up();
        if (r < 0)
            break;
        buf_consume(&z.out, (size_t)r);
        if (z.slow)
            whole_turn(1);
    }
}

static void take_input(void)
{
    uint8_t in[16384];

    while (z.fd >= 0 && !z.deaf) {
        ssize_t n = recv(z.fd, in, sizeof in, MSG_DONTWAIT);

        if (n < 0 && errno == EAGAIN)
            break;
        if (n > 0)
            vc_vif_input(z.vif, span_of(in, (size_t)n), loop_worker_now(whole.g.w));
        else
            hang_up();
    }
}

static void turn(unsigned n)
{
    while (n-- > 0) {
        if (z.fd >= 0)
            vc_vif_output(z.vif, &z.out, 65536, loop_worker_now(whole.g.w));
        send_output();
        whole_turn(1);
        take_input();
    }
}

static void put_raw(struct span bytes)
{
    buf_append_span(&z.out, bytes);
    turn(1);
}

/* ---- requests and values ---- */

#define PICK(table, n) (table)[(n) % (sizeof(table) / sizeof(table)[0])]

static struct peer_flow *flow_at(unsigned n)
{
    struct peer_flow *f = &z.flows[n % FLOWS];

    if (f->flow == NULL && z.fd >= 0) {
        vom_enc_reset(&f->enc);
        if (vc_flow_open(z.vc, &flow_ops, f, &f->flow, NULL) < 0)
            f->flow = NULL;
    }
    return f;
}

static void write_flow(struct peer_flow *f, struct buf *bytes)
{
    if (f->flow != NULL)
        vc_flow_write(f->flow, buf_span(bytes), NULL);
    buf_done(bytes);
    turn(1);
}

static int put_value(struct vom_enc *enc, struct buf *out, unsigned which)
{
    static char big[3000];
    struct vom_value v;

    switch (which % 4) {
    case 0:
        v = vom_value_str("a");
        break;
    case 1:
        v = vom_value_int(&vom_type_int32, 500 + (int)which);
        break;
    case 2:
        memset(big, 'b', sizeof big);
        v = vom_value_span(&vom_type_string, span_of(big, sizeof big));
        break;
    default:
        v = vom_value_int(&vom_type_int32, 3000);
        break;
    }
    return vom_enc_value(enc, out, &v, NULL);
}

static void request(struct steps *s)
{
    static const char *const methods[] = {
        "Flow",  "Pick",  "Echo",  "Never",         "Deaf",          "Flood",
        "Split", "Burst", "Stats", "Collect",       "Whoami",        "Signature",
        "Ack",   "flow",  "Glob",  "GetMethodTags", "UnresolveStep", ""};
    static const char *const suffixes[] = {"", "x", "only/client", "a/b/c"};
    struct peer_flow *f = flow_at(steps_byte(s));
    unsigned method = steps_byte(s), how = steps_byte(s), n = how % 4;
    struct rpc_request rq = {
        .method = span_str(PICK(methods, method)),
        .suffix = span_str(PICK(suffixes, how / 4)),
        .n_args = n,
        .end_stream = how & 16,
        .timeout = how & 32 ? 1000 : 0,
        .has_blessing = method >= 128,
    };
    struct buf out = BUF_INIT(1 << 20);

    vom_enc_prime(&f->enc, &out, &vom_preset_request);
    if (rpc_request_put(&f->enc, &out, &rq) == 0) {
        while (n-- > 0)
            put_value(&f->enc, &out, how / 64);
    }
    write_flow(f, &out);
}

/* An item of the caller's stream, the end of it, or a value without its header. */
static void item(struct steps *s)
{
    struct peer_flow *f = flow_at(steps_byte(s));
    unsigned how = steps_byte(s);
    struct rpc_request rq = {.end_stream = how & 1};
    struct buf out = BUF_INIT(1 << 20);

    if (!(how & 2))
        rpc_request_put(&f->enc, &out, &rq);
    if (!rq.end_stream)
        put_value(&f->enc, &out, how / 4);
    write_flow(f, &out);
}

static void close_flow(unsigned how)
{
    struct peer_flow *f = &z.flows[how % FLOWS];

    if (how & 128)
        vc_flow_cancel(f->flow);
    else
        vc_flow_close(f->flow);
    f->flow = NULL;
    turn(1);
}

/* ---- messages ---- */

/* Numbers that are used, will be used, or are not. */
static uint32_t number(unsigned byte)
{
    return byte < 200 ? byte : byte == 255 ? UINT32_MAX : (byte - 199) * 4096;
}

static void message(struct steps *s)
{
    unsigned kind = steps_byte(s), vci = number(steps_byte(s)), flow = number(steps_byte(s)),
             n = steps_byte(s);
    const struct vc_counter counters[] = {{vci, flow, number(n)}, {vci, 0, number(n)}};
    const char *dst = kind & 16 ? whole.g.endpoint + 1 : whole.pages[0].endpoint;

    switch (kind % 6) {
    case 0:
        vc_msg_put_open_vc(&z.out, vci, span_str(kind & 32 ? "nowhere" : dst),
                           span_str("@2@tcp@b:2@0000000000000000000000000000dddd@1@2@@"), counters,
                           n % 3);
        break;
    case 1:
        vc_msg_put_close_vc(&z.out, vci, steps_bytes(s));
        break;
    case 2:
        vc_msg_put_credit(&z.out, counters, n % 3);
        break;
    case 3:
        vc_msg_put_open_flow(&z.out, vci, flow, number(n));
        break;
    default:
        vc_msg_put_data(&z.out, vci, flow, n < 250 ? n & 1 : n, steps_bytes(s));
        break;
    }
    turn(1);
}

/* ---- steps ---- */

static void other_step(unsigned what, struct steps *s)
{
    switch (what) {
    case 7:
        turn(steps_byte(s) % 32);
        break;
    case 8:
        whole_skip(steps_byte(s));
        if (z.fd >= 0)
            vc_vif_tick(z.vif, loop_worker_now(whole.g.w));
        break;
    case 9:
        what = steps_byte(s);
        z.deaf = what & 1;
        z.hold = what & 2;
        z.slow = what & 4;
        break;
    case 10:
        hang_up();
        break;
    default:
        whole_page_step(s);
        turn(1);
        break;
    }
}

static void peer_step(struct steps *s)
{
    unsigned what = steps_byte(s) % 14;
    struct buf bytes = BUF_INIT(1024);
    struct peer_flow *f;

    if (z.fd < 0 && what < 7) {
        if (z.of_page && whole.pages[0].endpoint[0] == '\0')
            return;
        dial();
    }
    switch (what) {
    case 0:
        put_raw(steps_bytes(s));
        break;
    case 1:
        f = flow_at(steps_byte(s));
        buf_append_span(&bytes, steps_bytes(s));
        write_flow(f, &bytes);
        break;
    case 2:
    case 3:
        request(s);
        break;
    case 4:
        item(s);
        break;
    case 5:
        close_flow(steps_byte(s));
        break;
    case 6:
        message(s);
        break;
    default:
        other_step(what, s);
        break;
    }
}

static bool links_are_gone(void)
{
    struct rpc_runtime *const rts[] = {whole.g.client.rt, whole.g.service.rt};

    for (unsigned i = 0; i < 2; i++) {
        LIST_FOREACH (node, &rts[i]->links) {
            if (LIST_OBJECT(node, struct rpc_link, node)->address[0] == '\0')
                return false;
        }
    }
    return true;
}

static bool page_serves(void)
{
    return whole.pages[0].endpoint[0] != '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct steps s = {data, size};
    const struct vc_stats *stats;
    struct vc_limits l;

    if (z.pool == NULL) {
        static const uint8_t key[16] = {7};

        whole_begin();
        vc_limits_default(&l);
        z.pool = vc_pool_new(&l, key);
    }
    z.of_page = steps_byte(&s) % 2 == 0;
    whole_page_open(&whole.pages[0], 1);
    whole_page_serve(&whole.pages[0], 1, 0, 0);
    whole_until(page_serves, false, "a page cannot serve");
    while (s.left > 0)
        peer_step(&s);
    turn(4);
    hang_up();
    whole_until(links_are_gone, true, "the connection of a peer that is gone stays");
    whole_end();
    stats = vc_pool_stats(z.pool);
    whole_require(stats->vifs + stats->vcs + stats->flows + stats->queued == 0,
                  "something is left in the peer's engine");
    return 0;
}

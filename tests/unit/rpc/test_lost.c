/* Connections that fail under a call: the caller and the log are told why. Callers that go. */
#include "config.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "blackhole.h"
#include "loop/internal.h"
#include "raw.h"
#include "rpc/header.h"
#include "rpc/server_private.h"
#include "rpc_tests.h"
#include "twin.h"
#include "vom/enc.h"
#include "vom/wiretypes.h"

#define READ_FAILED "ipc: response header decoding failed: "

/* A call that waits for its answer, and the peer that it waits for. */
struct lost {
    struct rig_ids ids;
    struct raw_peer peer;
    struct rig rig;
    struct tcall call;
    FILE *log;
};

static bool has_flow(void *peer)
{
    return ((struct raw_peer *)peer)->n_flows > 0;
}

static void lost_init(struct lost *l, bool streaming)
{
    char name[512];
    struct tcall_how how = {
        .name = name, .method = "M", .opts = {.n_results = 1, .streaming = streaming}};
    struct rig_opts opts = {.limits = {.peer_timeout = CLOCK_S}};

    rig_ids_init(&l->ids);
    opts.identity = l->ids.client;
    opts.trust = l->ids.trust;
    rig_init(&l->rig, &opts);
    l->log = tmpfile();
    TAP_IS(l->log != NULL);
    l->rig.log = (struct log){l->log != NULL ? fileno(l->log) : -1, LOG_LEVEL_INFO};
    raw_init(&l->peer, l->rig.w, l->ids.server);
    raw_listen(&l->peer);
    snprintf(name, sizeof name, "/%s//x", l->peer.endpoint);
    tcall_init(&l->call);
    TAP_IS(tcall_start(&l->call, rpc_runtime_client(l->rig.rt), &how));
    TAP_IS(raw_until(l->rig.w, has_flow, &l->peer, 30000));
}

static void lost_done(struct lost *l)
{
    tcall_done(&l->call);
    rig_done(&l->rig, false);
    raw_done(&l->peer);
    loop_worker_free(l->rig.w);
    rig_ids_done(&l->ids);
    if (l->log != NULL)
        fclose(l->log);
}

static struct loop_sock *lost_sock(struct lost *l)
{
    return LIST_OBJECT(l->peer.links.next, struct raw_link, node)->sock;
}

/* The call failed for this reason. */
static void lost_fails(struct lost *l, const char *reason)
{
    TAP_OK(raw_until(l->rig.w, tcall_is_done, &l->call, 60000), "the call does not end");
    TAP_OK(strncmp(tcall_error(&l->call), READ_FAILED, sizeof READ_FAILED - 1) == 0 &&
               strstr(tcall_error(&l->call), reason) != NULL,
           "error \"%s\"", tcall_error(&l->call));
    TAP_OK(strcmp(err_id(&l->call.err), "veyron2/verror.BadProtocol") == 0, "%s",
           err_id(&l->call.err));
}

/* The reason is in the log, too. */
static void lost_expect(struct lost *l, const char *reason)
{
    char log[4096] = "";

    lost_fails(l, reason);
    TAP_IS(pread(l->rig.log.fd, log, sizeof log - 1, 0) >= 0);
    TAP_OK(strstr(log, reason) != NULL, "log: %s", log);
}

static void peer_vanishes(void)
{
    struct lost l;

    lost_init(&l, false);
    if (blackhole(lost_sock(&l)->fd))
        lost_expect(&l, "connection timed out");
    else
        tap_skip("the system has no socket filters");
    lost_done(&l);
}

static void peer_breaks_the_protocol(void)
{
    struct lost l;

    lost_init(&l, false);
    loop_sock_write(lost_sock(&l), "\x02\0\0\0", 4);
    lost_expect(&l, "unrecognized");
    lost_done(&l);
}

/* The peer ends the circuit, and says why or nothing. */
static void peer_closes(void)
{
    static const char *const texts[][2] = {{"", "EOF"},
                                           {"no more", "remote end closed VC(no more)"}};

    for (size_t i = 0; i < 2; i++) {
        struct raw_circuit *c;
        struct lost l;

        lost_init(&l, false);
        c = raw_circuit_at(&l.peer, 0);
        vc_abort(c->vc, texts[i][0]);
        c->vc = NULL;
        lost_fails(&l, texts[i][1]);
        lost_done(&l);
    }
}

static void take_item(struct lost *l)
{
    struct vom_value v = vom_value_str("item");
    struct buf out = BUF_INIT(65536);
    struct vom_enc enc;

    vom_enc_init(&enc);
    vom_enc_prime(&enc, &out, &vom_preset_response);
    buf_append(&out, "\xff\x82\x01\0", 4); /* a zero response */
    TAP_IS(vom_enc_value(&enc, &out, &v, NULL) == 0);
    raw_write(raw_flow_at(&l->peer, 0), buf_span(&out));
    vom_enc_done(&enc);
    buf_done(&out);
}

static bool has_item(void *call)
{
    return ((struct tcall *)call)->n_items > 0;
}

static bool is_logged(void *lost)
{
    return lseek(((struct lost *)lost)->rig.log.fd, 0, SEEK_END) > 0;
}

/* The reason waits with what is held. */
static void reason_waits(void)
{
    struct lost l;

    lost_init(&l, true);
    l.call.hold = true;
    take_item(&l);
    TAP_IS(raw_until(l.rig.w, has_item, &l.call, 30000));
    loop_sock_write(lost_sock(&l), "\x02\0\0\0", 4);
    TAP_IS(raw_until(l.rig.w, is_logged, &l, 30000));
    raw_run(l.rig.w, 20);
    TAP_IS(l.call.n_done == 0);
    if (l.call.call != NULL)
        rpc_call_resume(l.call.call);
    lost_expect(&l, "unrecognized");
    lost_done(&l);
}

/* ---- callers ---- */

static bool has_part_of_an_item(void *arg)
{
    const struct rpc_server *s = arg;
    const struct rpc_scall *c;

    if (list_empty(&s->calls))
        return false;
    c = LIST_OBJECT(s->calls.next, struct rpc_scall, node);
    return c->running && c->in.len > 0 && !loop_task_queued(&c->task);
}

/* A caller that goes in the middle of an item leaves no stream open. */
static void gone_within_an_item(void)
{
    struct rpc_request rq = {.suffix = span_str("x"), .method = span_str("Collect")};
    struct rpc_request item = {0};
    struct vom_value v = vom_value_int(&vom_type_int32, 100000);
    struct buf out = BUF_INIT(4096);
    struct raw_circuit *circuit;
    struct raw_peer peer;
    struct raw_flow *flow;
    struct vom_enc enc;
    struct twin t;

    twin_init(&t, &(struct twin_opts){0});
    raw_init(&peer, t.s.w, t.ids.client);
    circuit = raw_connect(&peer, t.endpoint + 1);
    TAP_IS(circuit != NULL);
    vom_enc_init(&enc);
    vom_enc_prime(&enc, &out, &vom_preset_request);
    TAP_IS(rpc_request_put(&enc, &out, &rq) == 0);
    TAP_IS(rpc_request_put(&enc, &out, &item) == 0);
    TAP_IS(vom_enc_value(&enc, &out, &v, NULL) == 0);
    flow = raw_open(circuit);
    raw_write(flow, span_of(buf_data(&out), out.len - 1));
    TAP_IS(raw_until(t.s.w, has_part_of_an_item, t.server, 30000));
    raw_close(flow);
    TAP_IS(twin_until(&t, &t.object.ended, 1));
    TAP_IS(t.object.gone == 0 && t.object.received == 0);
    vom_enc_done(&enc);
    buf_done(&out);
    raw_done(&peer);
    twin_done(&t);
}

const struct tap_case rpc_lost_cases[RPC_LOST_CASES] = {
    {"a peer that vanishes", peer_vanishes},
    {"a peer that breaks the protocol", peer_breaks_the_protocol},
    {"a peer that closes the circuit", peer_closes},
    {"the reason waits with what is held", reason_waits},
    {"a caller that goes within an item", gone_within_an_item},
};

/* Requests that come byte by byte, and requests that end at any byte. */
#include "config.h"

#include "object.h"
#include "raw.h"
#include "recorded_tests.h"
#include "recording.h"
#include "rig.h"
#include "rpc/server_private.h"
#include "tap.h"

/* What the object of the tests is asked in these does not wait for anything but the request. */
static const char *const asked[] = {
    "add",      "anynil",   "closure",       "noerr-result",   "stream-bidi", "stream-noclose",
    "disp-nil", "disp-err", "stream-server", "stream-badtype", "discharge",   "blessing-unbound",
};

#define N_ASKED (sizeof asked / sizeof asked[0])

struct pieces {
    struct rig_ids ids;
    struct rig rig;
    struct object object;
    struct rpc_server *server;
    char endpoint[256];
    struct raw_peer peer;
    struct raw_circuit *circuit;
};

static void pieces_begin(struct pieces *p)
{
    struct rig_opts opts = {0};

    rig_ids_init(&p->ids);
    opts.identity = p->ids.server;
    opts.trust = p->ids.trust;
    rig_init(&p->rig, &opts);
    object_init(&p->object, p->ids.trust);
    p->server = rig_serve(&p->rig, &p->object.dispatcher, p->endpoint);
    raw_init(&p->peer, p->rig.w, p->ids.client);
    p->circuit = raw_connect(&p->peer, p->endpoint + 1);
    TAP_IS(p->circuit != NULL);
}

static void pieces_end(struct pieces *p)
{
    raw_done(&p->peer);
    rig_stop(&p->rig, p->server, 0);
    rig_done(&p->rig, true);
    object_done(&p->object);
    rig_ids_done(&p->ids);
}

static bool has_ended(void *arg)
{
    struct raw_flow *f = arg;

    return f->eof;
}

void pieces_byte_by_byte(void)
{
    struct pieces p;

    pieces_begin(&p);
    for (size_t i = 0; i < N_ASKED; i++) {
        struct json_object *flow = recording_flow(recording_named(asked[i]), 0);
        struct buf c2s = recording_bytes(flow, true), s2c = recording_bytes(flow, false);
        struct raw_flow *f = raw_open(p.circuit);

        for (size_t k = 0; k < c2s.len && !f->eof; k++) {
            raw_write(f, span_of(buf_data(&c2s) + k, 1));
            /* To the other side, and into the engine there. */
            for (int turn = 0; turn < 3; turn++)
                loop_worker_turn(p.rig.w, 0);
        }
        TAP_OK(raw_until(p.rig.w, has_ended, f, 5000), "%s: no answer", asked[i]);
        TAP_OK(span_equal(buf_span(&f->in), buf_span(&s2c)), "%s: another answer", asked[i]);
        raw_flow_free(f);
        buf_done(&c2s);
        buf_done(&s2c);
    }
    pieces_end(&p);
}

static bool is_quiet(void *arg)
{
    struct pieces *p = arg;

    return p->server->n_calls == 0;
}

void pieces_cut(void)
{
    struct pieces p;
    unsigned cuts = 0;

    pieces_begin(&p);
    for (size_t i = 0; i < N_ASKED; i++) {
        struct json_object *flow = recording_flow(recording_named(asked[i]), 0);
        struct buf c2s = recording_bytes(flow, true);

        for (size_t k = 0; k < c2s.len; k++) {
            struct raw_flow *f = raw_open(p.circuit);

            raw_write(f, span_of(buf_data(&c2s), k));
            raw_close(f);
            raw_flow_free(f);
            if (++cuts % 50 == 0)
                TAP_OK(raw_until(p.rig.w, is_quiet, &p, 5000), "%s: %u calls are left at byte %zu",
                       asked[i], p.server->n_calls, k);
        }
        buf_done(&c2s);
    }
    TAP_OK(raw_until(p.rig.w, is_quiet, &p, 5000), "%u calls are left", p.server->n_calls);
    TAP_IS(!p.circuit->closed);
    tap_note("%u requests were cut", cuts);
    pieces_end(&p);
}

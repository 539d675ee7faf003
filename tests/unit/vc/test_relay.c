#include "config.h"

/*
 * What a relay needs of the engine: it sees each message, forwards with another VCI, refuses, and
 * takes numbers for circuits of its own. Client and server are a pair; between them, in place of
 * the wire, stands a relay with two connections.
 */

#include "pair.h"
#include "session.h"
#include "vc_tests.h"
#include "vectors.h"
#include "wspr/error.h"

static struct pair p;

struct relay {
    struct vc_pool *pool;
    struct vc_vif *vif[2]; /* to the client, to the server */
    uint32_t vci[2];       /* of the one circuit that is relayed, on each */
    bool full;
};

struct relay_end {
    struct relay *r;
    int side;
};

static struct relay relay;
static struct relay_end relay_ends[2] = {{&relay, 0}, {&relay, 1}};

static int forward_credit(struct relay *r, int side, const struct vc_msg *m)
{
    struct vc_counters c = m->counters;
    struct vc_counter one;

    while (vc_counters_next(&c, &one)) {
        uint8_t wire[VC_COUNTER_MAX];
        struct vc_msg out = {.kind = VC_MSG_CREDIT};

        if (one.vci != r->vci[side])
            continue;
        one.vci = r->vci[1 - side];
        out.counters.n = 1;
        out.counters.wire = span_of(wire, vc_counter_write(wire, &one));
        if (vc_vif_forward(r->vif[1 - side], &out) < 0)
            r->full = true;
    }
    return 0; /* the engine takes what is for itself */
}

static int on_message(void *arg, const struct vc_msg *m, struct err *e)
{
    struct relay_end *end = arg;
    struct relay *r = end->r;
    uint8_t wire[VC_COUNTER_MAX];
    struct vc_msg out = *m;

    (void)e;
    if (m->kind == VC_MSG_CREDIT)
        return forward_credit(r, end->side, m);
    if (m->kind == VC_MSG_OPEN_VC && m->dst.len > 3 && m->dst.p[m->dst.len - 3] == '7')
        return vc_vif_refuse(r->vif[end->side], m->vci, "no such server is being proxied") < 0 ? -1
                                                                                               : 1;
    if (m->kind == VC_MSG_OPEN_VC) {
        struct vc_counter c = {0, 0, 1048576};

        r->vci[end->side] = m->vci;
        r->vci[1 - end->side] = vc_vif_take_vci(r->vif[1 - end->side], 11);
        c.vci = r->vci[1 - end->side];
        out.counters.n = 1;
        out.counters.wire = span_of(wire, vc_counter_write(wire, &c));
    } else if (m->vci != r->vci[end->side]) {
        return 0;
    }
    out.vci = r->vci[1 - end->side];
    if (vc_vif_forward(r->vif[1 - end->side], &out) < 0)
        r->full = true;
    return 1;
}

static const struct vc_vif_ops relay_ops = {.message = on_message};

static bool relay_move(int side)
{
    struct end *e = &p.end[side];
    struct buf out = BUF_INIT(SIZE_MAX);
    bool moved;

    pair_collect(e);
    moved = e->wire.len > 0;
    TAP_IS(vc_vif_input(relay.vif[side], buf_span(&e->wire), p.now) == 0);
    buf_reset(&e->wire);
    while (vc_vif_output(relay.vif[side], &out, 65536, p.now) > 0)
        ;
    moved = moved || out.len > 0;
    if (out.len > 0)
        pair_inject(e, buf_span(&out));
    buf_done(&out);
    return moved;
}

static void relay_run(void)
{
    for (int i = 0; i < 10000; i++) {
        bool a = relay_move(0), b = relay_move(1);

        if (!a && !b)
            return;
    }
    TAP_IS(!"quiet at last");
}

static void relay_init(enum pair_kind kind, const struct vc_limits *limits)
{
    static const uint8_t key[16] = {3};
    struct vc_vif_opts o = {0};
    struct vc_limits l;

    vc_limits_default(&l);
    pair_init(&p, kind, NULL);
    memset(&relay, 0, sizeof relay);
    relay.pool = vc_pool_new(limits != NULL ? limits : &l, key);
    for (int i = 0; i < 2; i++)
        relay.vif[i] = vc_vif_new(relay.pool, &o, &relay_ops, &relay_ends[i]);
}

static void relay_done(void)
{
    vc_vif_free(relay.vif[0], NULL);
    vc_vif_free(relay.vif[1], NULL);
    TAP_IS(vc_pool_stats(relay.pool)->vifs == 0);
    vc_pool_free(relay.pool);
    pair_done(&p);
}

static void a_circuit_passes_through(void)
{
    for (int kind = PAIR_INSECURE; kind <= PAIR_RECORDED; kind++) {
        struct tvc *v;
        struct tflow *f;

        relay_init((enum pair_kind)kind, NULL);
        p.end[1].echo = true;
        v = pair_open_vc(&p, 0, NULL);
        f = pair_open_flow(v, NULL);
        pair_write_pattern(f, 300000, 2);
        relay_run();
        TAP_OK(v->readies == 1 && f->got.len == 300000 && pair_is_pattern(buf_span(&f->got), 0, 2),
               "kind %d: %s", kind, v->why);
        TAP_IS(vc_id(v->vc) == 10 && vc_id(p.end[1].vcs[0].vc) == 11);
        pair_close_flow(f);
        relay_run();
        TAP_IS(p.end[1].flows[0].eofs == 1);
        vc_abort(v->vc, "enough");
        v->vc = NULL;
        relay_run();
        TAP_IS(p.end[1].vcs[0].closeds == 1 &&
               strcmp(p.end[1].vcs[0].why, "remote end closed VC(enough)") == 0);
        relay_done();
    }
}

static void a_circuit_is_refused(void)
{
    struct tvc *v;

    relay_init(PAIR_RECORDED, NULL);
    p.versions = 7; /* what this relay does not like to see */
    v = pair_open_vc(&p, 0, NULL);
    relay_run();
    TAP_IS(v->closeds == 1 && strcmp(v->why, "VC handshake failed: remote end closed VC(no such "
                                             "server is being proxied)") == 0);
    relay_done();
}

static void the_queue_of_a_relay_is_bounded(void)
{
    struct vc_limits l;
    struct vc_msg m = {
        .kind = VC_MSG_DATA, .vci = 11, .flow = 14, .payload = span_str("0123456789")};
    unsigned n = 0;
    int r;

    vc_limits_default(&l);
    l.relay_queue = 1000;
    relay_init(PAIR_INSECURE, &l);
    while ((r = vc_vif_forward(relay.vif[1], &m)) == 0)
        n++;
    TAP_IS(r == WSPR_ELIMIT && n == 1000 / 23 && vc_pool_stats(relay.pool)->err_relay == 1);
    relay_run();
    TAP_IS(vc_vif_forward(relay.vif[1], &m) == 0); /* it goes on */
    relay_done();
}

static void numbers_of_circuits(void)
{
    relay_init(PAIR_INSECURE, NULL);
    TAP_IS(vc_vif_take_vci(relay.vif[0], 0) == 11);
    TAP_IS(vc_vif_take_vci(relay.vif[0], 0) == 13);
    TAP_IS(vc_vif_take_vci(relay.vif[0], 21) == 21);
    TAP_IS(vc_vif_take_vci(relay.vif[0], 7) == 23);
    TAP_IS(vc_vif_take_vci(relay.vif[0], UINT32_MAX) == UINT32_MAX);
    TAP_IS(vc_vif_take_vci(relay.vif[0], 0) == 0);
    relay_done();
}

static const struct tap_case cases[] = {
    {"a circuit passes through", a_circuit_passes_through},
    {"a circuit is refused", a_circuit_is_refused},
    {"the queue of a relay is bounded", the_queue_of_a_relay_is_bounded},
    {"numbers of circuits", numbers_of_circuits},
};

const struct tap_suite vc_relay_suite = TAP_SUITE("relay", cases);

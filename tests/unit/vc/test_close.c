#include "config.h"

/* Every way in which flows, circuits and connections end. */

#include "pair.h"
#include "vc_tests.h"
#include "wspr/error.h"

static struct pair p;

static struct span wire(int side)
{
    return buf_span(&p.end[side].wire);
}

/* ---- flows ---- */

static void cancel_drops_what_is_queued(void)
{
    struct tvc *v;
    struct tflow *f, *g;
    struct tally t;
    uint32_t id;

    pair_init(&p, PAIR_RECORDED, NULL);
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    pair_write(f, "x");
    pair_run(&p);
    g = pair_accepted(&p.end[1], 0);
    id = vc_flow_id(f->flow);
    pair_write_pattern(f, 500000, 0);
    p.max = 1;
    pair_collect(&p.end[0]); /* one chunk is out */
    pair_cancel_flow(f);
    TAP_IS(vc_vif_queued(p.end[0].vif) == 0);
    p.max = SIZE_MAX;
    pair_collect(&p.end[0]);
    t = pair_tally(wire(0), VC_MSG_DATA, id);
    TAP_IS(t.n == 2 && t.closes == 1);
    pair_run(&p);
    TAP_IS(g->received == 1 + VC_PLAIN_MAX && g->eofs == 1 && g->eof_code == 0);
    /* One that said nothing yet. */
    f = pair_open_flow(v, NULL);
    pair_write_pattern(f, 500000, 0);
    pair_cancel_flow(f);
    pair_run(&p);
    g = pair_accepted(&p.end[1], 1);
    TAP_IS(g->received == 0 && g->eofs == 1);
    pair_done(&p);
}

static void close_sends_what_is_queued(void)
{
    struct tvc *v;
    struct tflow *f, *g;

    pair_init(&p, PAIR_RECORDED, NULL);
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    pair_write_pattern(f, 3000000, 5);
    pair_close_flow(f);
    TAP_IS(vc_flows(v->vc) == 1);
    pair_run(&p);
    g = pair_accepted(&p.end[1], 0);
    TAP_IS(g->got.len == 3000000 && pair_is_pattern(buf_span(&g->got), 0, 5) && g->eofs == 1);
    TAP_IS(vc_flows(v->vc) == 0);
    pair_done(&p);
}

/* Nothing is half closed: what the closed side had queued is gone, and it can write no more. */
static void a_close_ends_both_directions(void)
{
    struct tvc *v;
    struct tflow *f, *g;
    struct err e = ERR_INIT;

    pair_init(&p, PAIR_NULL, NULL);
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    pair_write(f, "x");
    pair_run(&p);
    g = pair_accepted(&p.end[1], 0);
    pair_write_pattern(g, 400000, 0);
    pair_close_flow(f);
    pair_collect(&p.end[0]);
    pair_deliver(&p.end[0]);
    TAP_IS(g->eofs == 1 && vc_flow_is_closed(g->flow) && vc_flow_queued(g->flow) == 0);
    TAP_IS(vc_flow_write(g->flow, span_str("late"), &e) == WSPR_ECLOSED);
    TAP_IS(strcmp(err_text(&e), "attempt to call Write on Flow that has been Closed") == 0);
    err_done(&e);
    pair_run(&p);
    TAP_IS(p.end[0].fails == 0 && p.end[1].fails == 0 && v->closeds == 0);
    pair_done(&p);
}

static void closes_that_cross(void)
{
    struct tvc *v;
    struct tflow *f, *g;

    pair_init(&p, PAIR_RECORDED, NULL);
    p.end[1].echo = true;
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    pair_write(f, "x");
    pair_run(&p);
    g = pair_accepted(&p.end[1], 0);
    pair_write(f, "data for a flow that has ended: the cipher must stay in step");
    pair_close_flow(f);
    pair_write(g, "the same the other way");
    pair_close_flow(g);
    pair_collect(&p.end[0]);
    pair_collect(&p.end[1]);
    pair_deliver(&p.end[0]);
    pair_deliver(&p.end[1]);
    pair_run(&p);
    f = pair_open_flow(v, NULL);
    pair_write(f, "in step");
    pair_run(&p);
    TAP_IS(span_equal_str(buf_span(&f->got), "in step"));
    TAP_IS(vc_pool_stats(p.end[0].pool)->ignored > 0 && v->closeds == 0);
    pair_done(&p);
}

static void answering_closes_is_an_option(void)
{
    static struct vc_limits l;

    vc_limits_default(&l);
    for (int answer = 0; answer < 2; answer++) {
        struct tvc *v;
        struct tflow *f;

        l.answer_close = answer;
        pair_init(&p, PAIR_INSECURE, &l);
        v = pair_ready(&p);
        f = pair_open_flow(v, NULL);
        pair_write(f, "x");
        pair_run(&p);
        pair_close_flow(f);
        pair_run(&p);
        pair_close_flow(pair_accepted(&p.end[1], 0));
        pair_collect(&p.end[1]);
        TAP_IS(pair_tally(wire(1), VC_MSG_DATA, PAIR_ANY).closes == (unsigned)answer);
        pair_run(&p);
        pair_done(&p);
    }
}

static void refused_flows_end(void)
{
    struct tvc *v;
    struct tflow *f;

    pair_init(&p, PAIR_RECORDED, NULL);
    p.end[1].refuse_flows = true;
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    pair_write(f, "hello?");
    pair_run(&p);
    TAP_IS(f->eofs == 1 && f->eof_code == 0 && p.end[1].n_flows == 0);
    TAP_IS(vc_pool_stats(p.end[1].pool)->flows_rejected == 1);
    p.end[1].refuse_flows = false;
    p.end[1].echo = true;
    f = pair_open_flow(v, NULL);
    pair_write(f, "hello!");
    pair_run(&p);
    TAP_IS(span_equal_str(buf_span(&f->got), "hello!"));
    pair_done(&p);
}

static void duplicate_flows_are_refused(void)
{
    struct tvc *v;
    struct tflow *f;
    struct vc_msg m = {.kind = VC_MSG_OPEN_FLOW, .vci = 10, .bytes = 1000};

    pair_init(&p, PAIR_RECORDED, NULL);
    p.end[1].echo = true;
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    pair_write(f, "one");
    pair_run(&p);
    m.flow = vc_flow_id(f->flow);
    pair_say(&p.end[1], &m);
    pair_collect(&p.end[1]);
    TAP_IS(pair_tally(wire(1), VC_MSG_DATA, m.flow).closes == 1);
    buf_reset(&p.end[1].wire); /* the existing flow survives at the side that was asked */
    pair_write(f, "two");
    pair_run(&p);
    TAP_IS(span_equal_str(buf_span(&f->got), "onetwo") && p.end[1].n_flows == 1);
    /* An id whose flow has ended may come again. */
    pair_close_flow(f);
    pair_run(&p);
    pair_say(&p.end[1], &m);
    TAP_IS(p.end[1].n_flows == 2 && p.end[1].flows[1].flow != NULL);
    pair_done(&p);
}

static void unknown_numbers_are_ignored(void)
{
    static const enum vc_msg_kind kinds[] = {VC_MSG_CLOSE_VC, VC_MSG_OPEN_FLOW, VC_MSG_DATA};
    struct tvc *v;
    uint64_t before;

    pair_init(&p, PAIR_RECORDED, NULL);
    v = pair_ready(&p);
    before = vc_pool_stats(p.end[1].pool)->ignored;
    for (size_t i = 0; i < 3; i++) {
        struct vc_msg m = {.kind = kinds[i], .vci = 4711, .flow = 14, .payload = span_str("junk")};

        TAP_IS(pair_say(&p.end[1], &m) == 0);
    }
    pair_say_credit(&p.end[1], 4711, 14, 1);
    pair_say_credit(&p.end[1], 10, 4711, 1);
    pair_say_credit(&p.end[1], 4711, 0, 1);
    TAP_IS(vc_pool_stats(p.end[1].pool)->ignored == before + 6);
    pair_run(&p);
    TAP_IS(v->closeds == 0 && p.end[1].fails == 0);
    /* A bare close for an unknown flow of a circuit. */
    pair_say(&p.end[1], &(struct vc_msg){.kind = VC_MSG_DATA, .vci = 10, .flow = 4711, .flags = 1});
    TAP_IS(p.end[1].vcs[0].closeds == 0);
    pair_done(&p);
}

/* ---- circuits ---- */

static void a_closed_circuit_says_why(void)
{
    struct tvc *v, *w;
    struct tflow *f, *g;
    struct err e = ERR_INIT;

    pair_init(&p, PAIR_RECORDED, NULL);
    v = pair_ready(&p);
    w = &p.end[1].vcs[0];
    f = pair_open_flow(v, NULL);
    pair_write(f, "x");
    pair_run(&p);
    pair_write_pattern(f, 100000, 0);
    pair_abort_vc(w, "had \"enough\"");
    pair_run(&p);
    g = pair_accepted(&p.end[1], 0);
    TAP_IS(g->eofs == 1 && g->eof_code == WSPR_ECLOSED && strcmp(g->why, "had \"enough\"") == 0);
    TAP_IS(f->eofs == 1 && f->eof_code == WSPR_EABORTED &&
           strcmp(f->why, "remote end closed VC(had \"enough\")") == 0);
    TAP_IS(v->closeds == 1 && strcmp(v->why, f->why) == 0 && v->code == WSPR_EABORTED);
    TAP_IS(pair_open_flow(v, &e) == NULL && e.code == WSPR_ECLOSED);
    TAP_OK(strcmp(err_text(&e),
                  "Connect on closed VC(\"remote end closed VC(had \\\"enough\\\")\")") == 0,
           "%s", err_text(&e));
    TAP_IS(vc_can_open(v->vc) == WSPR_ECLOSED && vc_vif_queued(p.end[0].vif) == 0);
    err_done(&e);
    pair_done(&p);
}

static void close_waits_for_the_flows(void)
{
    struct tvc *v;
    struct tflow *f;
    struct vc *vc;

    pair_init(&p, PAIR_RECORDED, NULL);
    p.keep_log = true;
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    pair_write_pattern(f, 2000000, 9);
    vc = v->vc;
    pair_close_vc(v);
    TAP_IS(vc_can_open(vc) == WSPR_ECLOSED); /* a flow keeps it alive */
    pair_write(f, "tail");
    pair_run(&p);
    TAP_IS(p.end[1].vcs[0].closeds == 0);
    pair_close_flow(f);
    pair_run(&p);
    TAP_IS(p.end[1].vcs[0].closeds == 1 && v->closeds == 0);
    TAP_IS(p.end[1].flows[0].received == 2000004 && p.end[1].flows[0].eof_code == 0);
    TAP_IS(pair_tally(buf_span(&p.end[0].log), VC_MSG_CLOSE_VC, PAIR_ANY).n == 1);
    pair_done(&p);
}

static void nobody_waits_for_ever(void)
{
    static struct vc_limits l;
    struct tvc *v;
    struct tflow *f;

    vc_limits_default(&l);
    l.handshake_timeout = 1000;
    l.linger_timeout = 500;
    l.vif_idle_timeout = 5000;
    pair_init(&p, PAIR_RECORDED, &l);
    TAP_IS(vc_vif_deadline(p.end[0].vif) == p.now + 5000);
    v = pair_open_vc(&p, 0, NULL);
    f = pair_open_flow(v, NULL);
    pair_collect(&p.end[0]);
    TAP_IS(vc_vif_deadline(p.end[0].vif) == p.now + 1000);
    vc_vif_tick(p.end[0].vif, p.now + 999);
    TAP_IS(v->closeds == 0);
    vc_vif_tick(p.end[0].vif, p.now + 1000);
    TAP_IS(v->closeds == 1 && v->code == WSPR_ETIMEOUT && f->eofs == 1);
    TAP_IS(strcmp(v->why, "VC handshake failed: deadline exceeded") == 0);
    buf_reset(&p.end[0].wire);
    pair_collect(&p.end[0]);
    TAP_IS(pair_tally(wire(0), VC_MSG_CLOSE_VC, PAIR_ANY).n == 1);
    TAP_IS(vc_vif_deadline(p.end[0].vif) == p.now + 1000 + 5000);
    vc_vif_tick(p.end[0].vif, p.now + 6000);
    TAP_IS(p.end[0].fails == 1 && p.end[0].fail_code == WSPR_ETIMEOUT);
    TAP_IS(vc_vif_deadline(p.end[0].vif) == INT64_MAX);
    pair_done(&p);
    /* A closed flow whose queue nobody takes. */
    pair_init(&p, PAIR_INSECURE, &l);
    p.end[1].consume = false;
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    pair_write_pattern(f, 3000000, 0);
    pair_close_flow(f);
    pair_run(&p);
    TAP_IS(p.end[1].flows[0].eofs == 0 && vc_vif_deadline(p.end[0].vif) == p.now + 500);
    vc_vif_tick(p.end[0].vif, p.now + 500);
    pair_run(&p);
    TAP_IS(p.end[1].flows[0].eofs == 1 && p.end[1].flows[0].received < 2000000);
    TAP_IS(vc_pool_stats(p.end[0].pool)->err_linger == 1 && vc_flows(v->vc) == 0);
    pair_done(&p);
}

static void short_times(struct vc_limits *ret)
{
    vc_limits_default(ret);
    ret->handshake_timeout = 1000;
    ret->linger_timeout = 500;
    ret->vif_idle_timeout = 5000;
}

/* Whoever acts first after a silence, what begins then begins then. */
static void a_silence_counts_for_nobody(void)
{
    static struct vc_limits l;
    struct tvc *v, *w;
    struct tflow *f, *g;

    short_times(&l);
    pair_init(&p, PAIR_INSECURE, &l);
    p.end[1].consume = false;
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    g = pair_open_flow(v, NULL);
    pair_write(g, "g");
    pair_run(&p);
    pair_cancel_flow(pair_accepted(&p.end[1], 0));
    pair_run(&p);
    TAP_IS(g->eofs + f->eofs == 1);
    p.now += 1000000;
    /* The user ends a flow that has much to say. */
    pair_write_pattern(f->eofs == 0 ? f : g, 3000000, 0);
    pair_close_flow(f);
    pair_close_flow(g);
    TAP_IS(p.end[0].woken && vc_vif_deadline(p.end[0].vif) == INT64_MAX);
    pair_run(&p);
    TAP_IS(vc_vif_deadline(p.end[0].vif) == p.now + 500 && vc_idle_since(v->vc) == INT64_MAX);
    vc_vif_tick(p.end[0].vif, p.now + 499);
    TAP_IS(vc_pool_stats(p.end[0].pool)->err_linger == 0);
    p.now += 500;
    vc_vif_tick(p.end[0].vif, p.now);
    TAP_IS(vc_pool_stats(p.end[0].pool)->err_linger == 1);
    pair_run(&p);
    TAP_IS(vc_flows(v->vc) == 0 && vc_idle_since(v->vc) == p.now);
    /* The user lets go of a flow that is over, then of the circuit, then opens another. */
    p.end[1].consume = true;
    f = pair_open_flow(v, NULL);
    pair_write(f, "f");
    pair_run(&p);
    pair_cancel_flow(pair_accepted(&p.end[1], 2));
    pair_run(&p);
    TAP_IS(f->eofs == 1 && vc_idle_since(v->vc) == INT64_MAX);
    p.now += 1000000;
    pair_close_flow(f);
    TAP_IS(p.end[0].woken);
    pair_run(&p);
    TAP_IS(vc_idle_since(v->vc) == p.now);
    p.now += 1000000;
    pair_close_vc(v);
    pair_run(&p);
    TAP_IS(vc_vif_idle_since(p.end[0].vif) == p.now && vc_vif_idle_since(p.end[1].vif) == p.now);
    p.now += 4000;
    w = pair_open_vc(&p, 0, NULL);
    pair_collect(&p.end[0]);
    vc_vif_tick(p.end[0].vif, p.now + 4000);
    TAP_IS(w->closeds == 0 && p.end[0].fails == 0);
    pair_done(&p);
}

static void a_handshake_has_all_its_time(void)
{
    static struct vc_limits l;
    struct tvc *w;

    short_times(&l);
    pair_init(&p, PAIR_RECORDED, &l);
    p.now += 4000;
    w = pair_open_vc(&p, 0, NULL);
    pair_collect(&p.end[0]);
    TAP_IS(vc_vif_deadline(p.end[0].vif) == p.now + 1000);
    vc_vif_tick(p.end[0].vif, p.now + 999);
    TAP_IS(w->closeds == 0);
    vc_vif_tick(p.end[0].vif, p.now + 1000);
    TAP_IS(w->closeds == 1);
    pair_done(&p);
}

/* ---- connections ---- */

static void shutdown_sends_what_it_can(void)
{
    struct tvc *v, *early;
    struct tflow *f, *g;
    struct err e = ERR_INIT;

    pair_init(&p, PAIR_RECORDED, NULL);
    p.keep_log = true;
    p.end[1].consume = false;
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    pair_write_pattern(f, 100000, 0);
    g = pair_open_flow(v, NULL);
    pair_write_pattern(g, 3000000, 1); /* more than there is credit for */
    pair_run(&p);
    pair_write(f, "the last words");
    early = pair_open_vc(&p, 0, NULL);
    vc_vif_shutdown(p.end[0].vif);
    TAP_IS(!vc_vif_drained(p.end[0].vif));
    TAP_IS(pair_open_vc(&p, 0, &e) == NULL && e.code == WSPR_ECLOSED);
    TAP_IS(strcmp(err_text(&e),
                  "underlying network connection((tcp, b) <-> (tcp, a)) shutting down") == 0);
    err_done(&e);
    pair_run(&p);
    TAP_IS(vc_vif_drained(p.end[0].vif));
    TAP_IS(v->closeds == 1 && strcmp(v->why, "VIF is being closed") == 0);
    TAP_IS(early->closeds == 1 && f->eofs == 1 && g->eofs == 1 && f->eof_code == WSPR_ECLOSED);
    TAP_IS(p.end[1].flows[0].received == 100014 && p.end[1].flows[0].eofs == 1);
    TAP_IS(p.end[1].flows[1].received < 2000000 && p.end[1].flows[1].eofs == 1);
    TAP_IS(p.end[1].vcs[0].closeds == 0);
    TAP_IS(pair_tally(buf_span(&p.end[0].log), VC_MSG_CLOSE_VC, PAIR_ANY).n == 0);
    pair_free_vif(&p.end[0], NULL);
    pair_free_vif(&p.end[1], "connection reset by peer");
    TAP_IS(p.end[1].vcs[0].closeds == 1 &&
           strcmp(p.end[1].vcs[0].why, "connection reset by peer") == 0);
    pair_done(&p);
}

static const struct tap_case cases[] = {
    {"cancel drops what is queued", cancel_drops_what_is_queued},
    {"close sends what is queued", close_sends_what_is_queued},
    {"a close ends both directions", a_close_ends_both_directions},
    {"closes that cross", closes_that_cross},
    {"answering closes is an option", answering_closes_is_an_option},
    {"refused flows end", refused_flows_end},
    {"duplicate flows are refused", duplicate_flows_are_refused},
    {"unknown numbers are ignored", unknown_numbers_are_ignored},
    {"a closed circuit says why", a_closed_circuit_says_why},
    {"close waits for the flows", close_waits_for_the_flows},
    {"nobody waits for ever", nobody_waits_for_ever},
    {"a silence counts for nobody", a_silence_counts_for_nobody},
    {"a handshake has all its time", a_handshake_has_all_its_time},
    {"shutdown sends what it can", shutdown_sends_what_it_can},
};

const struct tap_suite vc_close_suite = TAP_SUITE("close", cases);

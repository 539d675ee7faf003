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

static void close_vc(struct tvc *v)
{
    struct vc *vc = v->vc;

    v->vc = NULL;
    vc_close(vc);
}

static void abort_vc(struct tvc *v, const char *text)
{
    struct vc *vc = v->vc;

    v->vc = NULL;
    vc_abort(vc, text);
}

static void free_vif(struct end *e, const char *why)
{
    struct vc_vif *vif = e->vif;

    e->vif = NULL;
    vc_vif_free(vif, why);
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
    abort_vc(w, "had \"enough\"");
    pair_run(&p);
    g = pair_accepted(&p.end[1], 0);
    TAP_IS(g->eofs == 1 && g->eof_code == WSPR_ECLOSED && strcmp(g->why, "had \"enough\"") == 0);
    TAP_IS(f->eofs == 1 && f->eof_code == WSPR_ECLOSED &&
           strcmp(f->why, "remote end closed VC(had \"enough\")") == 0);
    TAP_IS(v->closeds == 1 && strcmp(v->why, f->why) == 0 && v->code == WSPR_ECLOSED);
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
    close_vc(v);
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

/* ---- ends at every point of a handshake ---- */

static unsigned enders; /* which of the ways below */

static const char *const ender_names[] = {
    "CloseVC of the peer",
    "vc_close",
    "vc_abort",
    "vc_vif_free",
    "vc_vif_shutdown",
    "flow cancelled",
    "bare close of each flow",
    "handshake time-out",
};

static void end_here(int side)
{
    struct end *e = &p.end[side];
    struct tvc *v = e->n_vcs > 0 && e->vcs[0].vc != NULL ? &e->vcs[0] : NULL;

    switch (enders) {
    case 0:
        pair_say(e, &(struct vc_msg){.kind = VC_MSG_CLOSE_VC, .vci = 10, .text = span_str("boom")});
        break;
    case 1:
        if (v != NULL)
            close_vc(v);
        break;
    case 2:
        if (v != NULL)
            abort_vc(v, "boom");
        break;
    case 3:
        free_vif(e, "boom");
        break;
    case 4:
        vc_vif_shutdown(e->vif);
        break;
    case 5:
        if (p.end[0].flows[0].flow != NULL)
            pair_cancel_flow(&p.end[0].flows[0]);
        break;
    case 6:
        for (uint32_t flow = 10; flow <= 14 && e->vif != NULL; flow += 2)
            pair_say(e, &(struct vc_msg){.kind = VC_MSG_DATA, .vci = 10, .flow = flow, .flags = 1});
        break;
    default:
        vc_vif_tick(e->vif, p.now + INT64_C(60000000000));
        break;
    }
}

/* Lets `steps` messages pass, ends something at one side, lets the rest pass. False: it was over.
 */
static bool end_at(enum pair_kind kind, enum pair_jobs jobs, unsigned steps, int side)
{
    struct tvc *v;
    struct tflow *f;
    bool more = true;

    p.jobs = jobs;
    pair_init(&p, kind, NULL);
    p.max = 1;
    p.end[1].echo = true;
    v = pair_open_vc(&p, 0, NULL);
    f = pair_open_flow(v, NULL);
    pair_write(f, "hello");
    for (unsigned i = 0; i < steps && more; i++) {
        more = pair_step(&p);
        /* Every third time a job is left lying about when the end comes. */
        if (!more && !(i + 1 >= steps && steps % 3 == 0))
            more = pair_finish_jobs(&p, true) > 0;
    }
    end_here(side);
    pair_run(&p);
    do
        pair_run(&p);
    while (pair_finish_jobs(&p, steps % 2 == 0) > 0);
    TAP_IS(v->closeds <= 1 && v->readies <= 1);
    if (enders == 0 && side == 0 && v->vc != NULL)
        TAP_OK(v->closeds == 1 && strstr(v->why, "remote end closed VC(boom)") != NULL, "%s",
               v->why);
    pair_done(&p);
    p.jobs = PAIR_JOBS_INLINE;
    return more;
}

static void ends_at_every_point(void)
{
    static const enum pair_kind kinds[] = {PAIR_INSECURE, PAIR_NULL, PAIR_RECORDED};
    unsigned runs = 0;

    for (enders = 0; enders < sizeof ender_names / sizeof ender_names[0]; enders++) {
        for (unsigned i = 0; i < 3; i++) {
            for (int side = 0; side < 2; side++) {
                for (int jobs = 0; jobs < 3; jobs++) {
                    unsigned steps = 0;

                    while (end_at(kinds[i], (enum pair_jobs)jobs, steps, side) && steps < 200)
                        steps++;
                    TAP_OK(steps < 200 && steps > 1, "%s: %u steps", ender_names[enders], steps);
                    runs += steps;
                }
            }
        }
    }
    tap_note("%zu ways to end, at %u points", sizeof ender_names / sizeof ender_names[0], runs);
}

/* ---- handshakes that fail ---- */

static void crypters_that_do_not_fit(void)
{
    struct tvc *v;

    pair_init(&p, PAIR_RECORDED, NULL);
    v = pair_open_vc(&p, 0, NULL);
    p.kind = PAIR_NULL; /* the acceptor makes another one */
    pair_run(&p);
    TAP_IS(v->closeds == 1 && v->readies == 0 && p.end[1].vcs[0].closeds == 1);
    TAP_OK(
        strncmp(v->why,
                "VC handshake failed: remote end closed VC(failed to setup TLS: a circuit without",
                50) == 0,
        "%s", v->why);
    TAP_OK(strncmp(p.end[1].vcs[0].why, "failed to setup TLS: a circuit without", 38) == 0, "%s",
           p.end[1].vcs[0].why);
    TAP_IS(vc_pool_stats(p.end[1].pool)->err_handshake == 1);
    pair_done(&p);
}

/* Somebody in the middle of the identity messages: every bit of them counts. */
static unsigned flip_at;
static int flip_side;

static int flip(struct end *e, const struct vc_msg *m)
{
    if (e->side == flip_side && m->kind == VC_MSG_DATA && m->flow == 12 && m->payload.len > 0) {
        uint8_t *byte = (uint8_t *)(uintptr_t)m->payload.p + flip_at % m->payload.len;

        *byte ^= 1;
    }
    return 0;
}

static void identities_that_do_not_fit(void)
{
    unsigned n = 0, texts = 0;

    for (flip_side = 0; flip_side < 2; flip_side++) {
        for (flip_at = 0; flip_at < 1037; flip_at += 13) {
            struct tvc *v, *w = &p.end[1].vcs[0];
            const char *expect;

            pair_init(&p, PAIR_RECORDED, NULL);
            p.end[0].on_message = flip;
            p.end[1].on_message = flip;
            v = pair_open_vc(&p, 0, NULL);
            pair_run(&p);
            if (v->closeds == 0) {
                /* A length that grew waits for more, a name of the VOM framing does not matter. */
                TAP_OK(v->readies == 0 || flip_at < 116 + 116,
                       "byte %u of the message to side %d does not matter", flip_at, flip_side);
                pair_done(&p);
                continue;
            }
            TAP_IS(v->closeds == 1 && w->closeds == 1);
            expect = flip_side == 0 ? "VC handshake failed: authentication failed: "
                                    : "Authentication failed: ";
            TAP_OK(strncmp(flip_side == 0 ? v->why : w->why, expect, strlen(expect)) == 0,
                   "byte %u: %s", flip_at, flip_side == 0 ? v->why : w->why);
            texts += strstr(v->why, "failed to decrypt") != NULL;
            n++;
            pair_done(&p);
        }
    }
    TAP_IS(n > 60 && texts > 60);
    tap_note("%u damaged identity messages", n);
}

static void versions_that_do_not_fit(void)
{
    struct tvc *v;

    /* The opener speaks version 1, the acceptor computed 2. */
    pair_init(&p, PAIR_RECORDED, NULL);
    p.end[1].on_message = NULL;
    p.versions = 1;
    v = pair_open_vc(&p, 0, NULL);
    TAP_IS(vc_version(v->vc) == 1);
    pair_run(&p);
    TAP_IS(v->readies == 1); /* both compute from the same endpoints */
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
    free_vif(&p.end[0], NULL);
    free_vif(&p.end[1], "connection reset by peer");
    TAP_IS(p.end[1].vcs[0].closeds == 1 &&
           strcmp(p.end[1].vcs[0].why, "connection reset by peer") == 0);
    pair_done(&p);
}

/* ---- callbacks that do everything ---- */

static void data_closes(struct tflow *f, struct span bytes)
{
    (void)bytes;
    if (f->flow != NULL)
        pair_close_flow(f);
}

static void data_cancels(struct tflow *f, struct span bytes)
{
    (void)bytes;
    vc_flow_write(f->flow, span_str("never sent"), NULL);
    pair_cancel_flow(f);
}

static void data_aborts(struct tflow *f, struct span bytes)
{
    struct tvc *v = &f->end->vcs[0];

    (void)bytes;
    if (v->vc != NULL)
        abort_vc(v, "in data");
}

static void data_frees(struct tflow *f, struct span bytes)
{
    uint8_t sum = 0;

    if (f->end->vif != NULL)
        free_vif(f->end, NULL);
    for (size_t i = 0; i < bytes.len; i++) /* still there */
        sum = (uint8_t)(sum + bytes.p[i]);
    TAP_IS(bytes.len == 0 || sum != 1);
}

static void data_opens(struct tflow *f, struct span bytes)
{
    struct tvc *v = &f->end->vcs[0];
    struct tflow *g;

    (void)bytes;
    if (f->end->n_flows > 40 || v->vc == NULL)
        return;
    g = pair_open_flow(v, NULL);
    if (g != NULL)
        pair_write(g, "one more");
}

static void accept_closes(struct tflow *f)
{
    pair_close_flow(f);
}

static void accept_aborts(struct tflow *f)
{
    if (f->end->vcs[0].vc != NULL)
        abort_vc(&f->end->vcs[0], "in accept");
}

static void accept_frees(struct tflow *f)
{
    free_vif(f->end, NULL);
}

static void ready_frees(struct tvc *v)
{
    free_vif(v->end, NULL);
}

static void ready_closes(struct tvc *v)
{
    close_vc(v);
}

static void eof_frees(struct tflow *f)
{
    if (f->end->vif != NULL)
        free_vif(f->end, NULL);
    pair_close_flow(f);
}

static void closed_closes(struct tvc *v)
{
    close_vc(v);
}

static void failed_frees(struct end *e)
{
    free_vif(e, NULL);
}

static void run_reentrant(enum pair_kind kind, int side, size_t piece, void (*hook)(struct end *))
{
    struct tvc *v;
    struct tflow *f;

    pair_init(&p, kind, NULL);
    p.piece = piece;
    hook(&p.end[side]);
    if (side == 0)
        p.end[1].echo = true;
    v = pair_open_vc(&p, 0, NULL);
    for (int i = 0; i < 4; i++) {
        f = pair_open_flow(v, NULL);
        if (f != NULL) {
            pair_write_pattern(f, 70000, 0);
            if (i == 1)
                pair_close_flow(f);
        }
    }
    pair_run(&p);
    if (p.end[1].vif != NULL) /* undecodable */
        pair_inject(&p.end[1], span_of("\x02\x00\x00\x00", 4));
    pair_run(&p);
    if (p.end[0].vif != NULL)
        pair_inject(&p.end[0], span_of("\x02\x00\x00\x00", 4));
    pair_run(&p);
    pair_done(&p);
}

#define HOOK(name, member, function)                                                               \
    static void name(struct end *e)                                                                \
    {                                                                                              \
        e->member = function;                                                                      \
    }

HOOK(hook_data_closes, on_data, data_closes)
HOOK(hook_data_cancels, on_data, data_cancels)
HOOK(hook_data_aborts, on_data, data_aborts)
HOOK(hook_data_frees, on_data, data_frees)
HOOK(hook_data_opens, on_data, data_opens)
HOOK(hook_accept_closes, on_accept, accept_closes)
HOOK(hook_accept_aborts, on_accept, accept_aborts)
HOOK(hook_accept_frees, on_accept, accept_frees)
HOOK(hook_ready_frees, on_ready, ready_frees)
HOOK(hook_ready_closes, on_ready, ready_closes)
HOOK(hook_eof_frees, on_eof, eof_frees)
HOOK(hook_closed_closes, on_closed, closed_closes)
HOOK(hook_failed_frees, on_failed, failed_frees)

static void callbacks_may_do_anything(void)
{
    static void (*const hooks[])(struct end *) = {
        hook_data_closes,  hook_data_cancels,  hook_data_aborts,   hook_data_frees,
        hook_data_opens,   hook_accept_closes, hook_accept_aborts, hook_accept_frees,
        hook_ready_frees,  hook_ready_closes,  hook_eof_frees,     hook_closed_closes,
        hook_failed_frees,
    };
    static const size_t pieces[] = {0, 1, 100};

    for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++) {
        for (int kind = PAIR_INSECURE; kind <= PAIR_NULL; kind++) {
            for (int side = 0; side < 2; side++) {
                for (size_t k = 0; k < 3; k++)
                    run_reentrant((enum pair_kind)kind, side, pieces[k], hooks[i]);
            }
        }
    }
    tap_note("%zu callbacks that end or begin something", sizeof hooks / sizeof hooks[0]);
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
    {"ends at every point", ends_at_every_point},
    {"crypters that do not fit", crypters_that_do_not_fit},
    {"identities that do not fit", identities_that_do_not_fit},
    {"versions that do not fit", versions_that_do_not_fit},
    {"nobody waits for ever", nobody_waits_for_ever},
    {"shutdown sends what it can", shutdown_sends_what_it_can},
    {"callbacks may do anything", callbacks_may_do_anything},
};

const struct tap_suite vc_close_suite = TAP_SUITE("close", cases);

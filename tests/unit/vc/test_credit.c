#include "config.h"

/* Flow control and the order of output (spec: stream 5.4, 6.4). */

#include "pair.h"
#include "vc_tests.h"
#include "wspr/error.h"

#define WINDOW 1048576u
#define SMALL  131072u

static struct pair p;

/* A circuit without security whose other end is the test itself. */
static struct tvc *alone(const struct vc_limits *l)
{
    struct tvc *v;

    pair_init(&p, PAIR_INSECURE, l);
    v = pair_open_vc(&p, 0, NULL);
    pair_collect(&p.end[0]);
    buf_reset(&p.end[0].wire);
    return v;
}

static struct span wire(int side)
{
    return buf_span(&p.end[side].wire);
}

static struct tally data_of(int side, const struct tflow *f)
{
    return pair_tally(wire(side), VC_MSG_DATA, vc_flow_id(f->flow));
}

/* ---- messages ---- */

static void writes_of_a_turn_are_one_message(void)
{
    struct tvc *v;
    struct tflow *f;
    struct tally t;
    uint32_t id;

    pair_init(&p, PAIR_RECORDED, NULL);
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    id = vc_flow_id(f->flow);
    pair_write(f, "header");
    pair_write(f, "arguments");
    pair_write(f, "end");
    pair_collect(&p.end[0]);
    t = pair_tally(wire(0), VC_MSG_DATA, id);
    TAP_IS(t.n == 1 && t.closes == 0 && t.payload == 18 + 25);
    pair_run(&p);
    pair_write(f, "the ");
    pair_write(f, "last");
    pair_close_flow(f);
    pair_collect(&p.end[0]);
    t = pair_tally(wire(0), VC_MSG_DATA, id);
    TAP_IS(t.n == 1 && t.closes == 1 && t.payload == 8 + 25);
    pair_run(&p);
    TAP_IS(span_equal_str(buf_span(&p.end[1].flows[0].got), "headerargumentsendthe last"));
    TAP_IS(p.end[1].flows[0].eofs == 1);
    pair_done(&p);
}

/* Largest chunk 65536; flows take turns; a small one does not wait for the large ones. */
static void flows_take_turns(void)
{
    struct tvc *v;
    struct tflow *f[3];
    struct vc_msg m;
    struct span in;
    unsigned seen[3] = {0}, last = 99;

    pair_init(&p, PAIR_INSECURE, NULL);
    v = pair_ready(&p);
    for (int i = 0; i < 3; i++) {
        f[i] = pair_open_flow(v, NULL);
        pair_write(f[i], "x");
    }
    pair_run(&p);
    pair_write_pattern(f[0], 500000, 0);
    pair_write_pattern(f[1], 500000, 1);
    pair_write(f[2], "small");
    p.max = SIZE_MAX;
    pair_collect(&p.end[0]);
    for (in = wire(0); vc_msg_next(&in, VC_MSG_BODY_MAX, &m, NULL, NULL) == 1;) {
        unsigned i = (m.flow - vc_flow_id(f[0]->flow)) / 2;

        TAP_IS(m.kind == VC_MSG_DATA && i < 3 && m.payload.len <= VC_PLAIN_MAX);
        if (m.kind != VC_MSG_DATA || i >= 3)
            break;
        TAP_OK(i != last, "flow %u twice in a row", i);
        TAP_IS(i != 2 || seen[0] + seen[1] == 2);
        seen[i]++;
        last = i;
    }
    TAP_IS(seen[0] == 8 && seen[1] == 8 && seen[2] == 1);
    pair_run(&p);
    TAP_IS(p.end[1].flows[1].got.len == 500001);
    pair_done(&p);
}

static void control_goes_first_then_credit_then_data(void)
{
    static const enum vc_msg_kind expect[] = {VC_MSG_OPEN_FLOW, VC_MSG_CREDIT, VC_MSG_DATA};
    struct tvc *v;
    struct tflow *f;
    struct vc_msg m;
    struct span in;
    size_t n = 0;

    pair_init(&p, PAIR_INSECURE, NULL);
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    pair_write(f, "x");
    pair_run(&p);
    pair_write_pattern(p.end[1].flows[0].flow != NULL ? &p.end[1].flows[0] : f, 10, 0);
    pair_collect(&p.end[1]);
    pair_deliver(&p.end[1]); /* the reply earns credit */
    pair_write(f, "data");
    pair_open_flow(v, NULL);
    pair_collect(&p.end[0]);
    for (in = wire(0); vc_msg_next(&in, VC_MSG_BODY_MAX, &m, NULL, NULL) == 1; n++)
        TAP_IS(n < 3 && m.kind == expect[n]);
    TAP_IS(n == 3);
    pair_done(&p);
}

static void output_stops_at_its_measure(void)
{
    struct tvc *v;
    struct tflow *f;

    pair_init(&p, PAIR_INSECURE, NULL);
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    pair_write(f, "x");
    pair_run(&p);
    pair_write_pattern(f, 300000, 0);
    p.max = 1;
    for (int i = 0; i < 5; i++) {
        pair_collect(&p.end[0]);
        TAP_IS(pair_tally(wire(0), VC_MSG_DATA, PAIR_ANY).n == (unsigned)i + 1);
        TAP_IS(p.end[0].more);
    }
    pair_collect(&p.end[0]);
    TAP_IS(!p.end[0].more && vc_flow_queued(f->flow) == 0);
    pair_done(&p);
}

/* ---- credit of the receiver ---- */

static void what_is_not_consumed_is_not_credited(void)
{
    struct tvc *v;
    struct tflow *f, *g;

    pair_init(&p, PAIR_NULL, NULL);
    p.end[1].consume = false;
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    TAP_IS(pair_write_pattern(f, 3 * WINDOW, 7) == VC_FULL);
    pair_run(&p);
    g = pair_accepted(&p.end[1], 0);
    /* Credit for the first 4096 bytes came back at once. */
    TAP_OK(g->received == WINDOW + VC_LOAN_MAX, "%zu bytes came", g->received);
    TAP_IS(vc_flow_queued(f->flow) == 2 * WINDOW - VC_LOAN_MAX && f->writables == 0);
    vc_flow_consumed(g->flow, VC_LOAN_MAX); /* of these nothing is left to credit */
    pair_run(&p);
    TAP_IS(g->received == WINDOW + VC_LOAN_MAX);
    vc_flow_consumed(g->flow, WINDOW / 2);
    pair_run(&p);
    TAP_OK(g->received == WINDOW + WINDOW / 2 + VC_LOAN_MAX, "%zu bytes came", g->received);
    vc_flow_consumed(g->flow, SIZE_MAX); /* more than came counts as all */
    g->consume = true;
    pair_run(&p);
    TAP_IS(g->received == 3 * WINDOW && pair_is_pattern(buf_span(&g->got), 0, 7));
    TAP_IS(f->writables == 1);
    pair_done(&p);
}

/* Up to the window, and more if the credit for the first bytes has left already. */
static bool stalled(const struct tflow *f)
{
    return f->received >= SMALL && f->received <= SMALL + VC_LOAN_MAX;
}

static void unread_flows_do_not_stop_others(void)
{
    static struct vc_limits l;
    struct tvc *v;
    struct tflow *f;

    vc_limits_default(&l);
    l.window = SMALL;
    for (int kind = PAIR_INSECURE; kind <= PAIR_NULL; kind++) {
        pair_init(&p, (enum pair_kind)kind, &l);
        p.end[1].consume = false;
        p.end[1].forget = true;
        v = pair_ready(&p);
        for (int i = 0; i < 300; i++) {
            f = pair_open_flow(v, NULL);
            f->consume = false;
            f->forget = true;
            pair_write_pattern(f, 200000, 0);
        }
        pair_run(&p);
        TAP_IS(p.end[1].n_flows == 300);
        for (int i = 0; i < 300; i++) {
            TAP_OK(stalled(&p.end[1].flows[i]), "%zu bytes", p.end[1].flows[i].received);
            pair_write_pattern(&p.end[1].flows[i], 200000, 0);
        }
        pair_run(&p);
        for (int i = 0; i < 300; i++)
            TAP_OK(stalled(&p.end[0].flows[i]), "%zu bytes", p.end[0].flows[i].received);
        /* And now somebody who reads, in both directions. */
        p.end[1].echo = true;
        p.end[1].consume = true;
        f = pair_open_flow(v, NULL);
        pair_write_pattern(f, 500000, 3);
        pair_run(&p);
        TAP_OK(f->received == 500000 && pair_is_pattern(buf_span(&f->got), 0, 3), "%zu bytes came",
               f->received);
        pair_done(&p);
    }
}

static void large_values_pass_a_small_window(void)
{
    static struct vc_limits l;
    struct tvc *v;
    struct tflow *f[3];

    vc_limits_default(&l);
    l.window = SMALL;
    for (int kind = PAIR_INSECURE; kind <= PAIR_TLS; kind++) {
        size_t n = kind == PAIR_INSECURE ? 8 * WINDOW : WINDOW;

        pair_init(&p, (enum pair_kind)kind, &l);
        p.end[1].echo = true;
        p.end[1].forget = true;
        v = pair_ready(&p);
        for (unsigned i = 0; i < 3; i++) {
            f[i] = pair_open_flow(v, NULL);
            pair_write_pattern(f[i], n, i);
        }
        pair_run(&p);
        for (unsigned i = 0; i < 3; i++)
            TAP_OK(f[i]->got.len == n && pair_is_pattern(buf_span(&f[i]->got), 0, i),
                   "kind %d, flow %u: %zu bytes", kind, i, f[i]->got.len);
        pair_done(&p);
    }
}

static void credits_merge(void)
{
    struct tvc *v;
    struct tally t;

    pair_init(&p, PAIR_INSECURE, NULL);
    v = pair_ready(&p);
    for (int i = 0; i < 50; i++)
        pair_write(pair_open_flow(v, NULL), "hello");
    pair_collect(&p.end[0]);
    pair_deliver(&p.end[0]);
    pair_collect(&p.end[1]);
    t = pair_tally(wire(1), VC_MSG_CREDIT, PAIR_ANY);
    TAP_IS(t.n == 1 && t.granted == 50 * (WINDOW + 5));
    pair_done(&p);
}

static void small_credits_wait_for_company(void)
{
    struct tvc *v;
    struct tflow *f, *g;
    size_t sent = 0;

    pair_init(&p, PAIR_INSECURE, NULL);
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    pair_write(f, "first");
    pair_run(&p);
    g = pair_accepted(&p.end[1], 0);
    p.end[1].wakes = 0;
    while (p.end[1].wakes == 0 && sent < WINDOW) {
        pair_write_pattern(f, 10000, 0);
        sent += 10000;
        pair_collect(&p.end[0]);
        pair_deliver(&p.end[0]);
    }
    TAP_OK(sent == 70000, "asked for output after %zu bytes", sent);
    pair_collect(&p.end[1]);
    TAP_IS(pair_tally(wire(1), VC_MSG_CREDIT, vc_flow_id(g->flow)).granted == sent);
    buf_reset(&p.end[1].wire);
    /* What waits leaves with the next message; nothing is left to send for a flow that has ended.
     */
    pair_write(f, "again");
    pair_collect(&p.end[0]);
    pair_deliver(&p.end[0]);
    pair_collect(&p.end[1]);
    TAP_IS(wire(1).len == 0);
    pair_write(g, "answer");
    pair_collect(&p.end[1]);
    TAP_IS(pair_tally(wire(1), VC_MSG_CREDIT, vc_flow_id(g->flow)).granted == 5);
    TAP_IS(data_of(1, g).n == 1);
    pair_deliver(&p.end[1]);
    pair_close_flow(f);
    pair_collect(&p.end[0]);
    TAP_IS(pair_tally(wire(0), VC_MSG_CREDIT, PAIR_ANY).n == 0);
    TAP_IS(pair_tally(wire(0), VC_MSG_DATA, PAIR_ANY).closes == 1);
    pair_done(&p);
}

/* Small calls of a peer that borrows cost no credit; whoever sends more gets it in time. */
static void credit_for_who_borrows(void)
{
    struct tvc *v;
    struct tflow *f, *g;

    pair_borrows = true;
    pair_init(&p, PAIR_INSECURE, NULL);
    pair_borrows = false;
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    pair_write_pattern(f, VC_LOAN_MAX / 2, 1);
    pair_collect(&p.end[0]);
    pair_deliver(&p.end[0]);
    pair_collect(&p.end[1]);
    TAP_IS(wire(1).len == 0);
    g = pair_accepted(&p.end[1], 0);
    pair_write(g, "answer");
    pair_close_flow(g);
    pair_collect(&p.end[1]);
    TAP_IS(pair_tally(wire(1), VC_MSG_CREDIT, PAIR_ANY).n == 0 && data_of(1, f).closes == 1);
    pair_deliver(&p.end[1]);
    pair_close_flow(f);
    /* One byte more than that is enough. */
    f = pair_open_flow(v, NULL);
    pair_write_pattern(f, VC_LOAN_MAX / 2 + 1, 1);
    pair_collect(&p.end[0]);
    pair_deliver(&p.end[0]);
    pair_collect(&p.end[1]);
    TAP_IS(pair_tally(wire(1), VC_MSG_CREDIT, vc_flow_id(f->flow)).granted ==
           WINDOW + VC_LOAN_MAX / 2 + 1);
    pair_deliver(&p.end[1]);
    pair_write_pattern(f, 3 * WINDOW, 2);
    pair_run(&p);
    TAP_IS(p.end[1].flows[1].received == 3 * WINDOW + VC_LOAN_MAX / 2 + 1);
    pair_close_flow(f);
    pair_run(&p);
    pair_done(&p);
}

/* More flows than the shared pool has loans for, none of which sends enough to get its window. */
static void many_who_borrow(void)
{
    enum { FLOWS = 300, BYTES = 2000 };
    static struct vc_limits l;
    struct tvc *v;
    size_t came = 0;

    vc_limits_default(&l);
    l.shared = 2 * l.credit_delay;
    pair_borrows = true;
    pair_init(&p, PAIR_INSECURE, &l);
    pair_borrows = false;
    p.end[1].consume = false;
    p.end[1].forget = true;
    v = pair_ready(&p);
    for (int i = 0; i < FLOWS; i++)
        pair_write_pattern(pair_open_flow(v, NULL), BYTES, 0);
    pair_run(&p);
    for (int i = 0; i < FLOWS; i++)
        came += p.end[1].flows[i].received;
    TAP_OK(came == FLOWS * BYTES, "%zu bytes came", came);
    pair_done(&p);
}

/* ---- credit of the sender ---- */

static void first_bytes_are_borrowed(void)
{
    struct tvc *v = alone(NULL);
    struct end *e = &p.end[0];
    struct tflow *a, *b, *c;

    a = pair_open_flow(v, NULL);
    b = pair_open_flow(v, NULL);
    c = pair_open_flow(v, NULL);
    pair_write_pattern(a, 5000, 0);
    pair_write_pattern(b, 5000, 1);
    pair_write_pattern(c, 5000, 2);
    pair_collect(e);
    TAP_IS(pair_tally(wire(0), VC_MSG_OPEN_FLOW, PAIR_ANY).n == 3);
    TAP_IS(pair_tally(wire(0), VC_MSG_DATA, PAIR_ANY).n == 0);
    pair_say_credit(e, 10, 0, 6000);
    pair_collect(e);
    TAP_IS(data_of(0, a).payload == 4096 && data_of(0, b).payload == 1904);
    TAP_IS(data_of(0, c).n == 0);
    /* What a flow is given pays its loan first, and so helps the others. */
    pair_say_credit(e, 10, vc_flow_id(a->flow), 100);
    pair_collect(e);
    TAP_IS(data_of(0, a).payload == 4096);
    TAP_OK(data_of(0, b).payload + data_of(0, c).payload == 2004, "%zu and %zu",
           data_of(0, b).payload, data_of(0, c).payload);
    pair_say_credit(e, 10, vc_flow_id(a->flow), 5000);
    pair_collect(e);
    TAP_IS(data_of(0, a).payload == 5000);
    TAP_IS(data_of(0, b).payload + data_of(0, c).payload == 6000);
    pair_say_credit(e, 10, vc_flow_id(b->flow), WINDOW);
    pair_collect(e);
    TAP_IS(data_of(0, b).payload == 5000);
    TAP_IS(data_of(0, c).payload == 4096);
    /* A flow that ends gives back what it still owes. */
    pair_cancel_flow(c);
    c = pair_open_flow(v, NULL);
    pair_write_pattern(c, 5000, 2);
    pair_collect(e);
    TAP_IS(data_of(0, c).payload == 4096);
    pair_done(&p);
}

/* With credit of its own a flow borrows nothing; chunks may be as large as the credit. */
static void own_credit_is_used_first(void)
{
    struct tvc *v = alone(NULL);
    struct end *e = &p.end[0];
    struct tflow *f = pair_open_flow(v, NULL);

    pair_collect(e);
    buf_reset(&e->wire);
    pair_say_credit(e, 10, vc_flow_id(f->flow), 70000);
    pair_write_pattern(f, 80000, 0);
    pair_collect(e);
    TAP_IS(data_of(0, f).n == 1 && data_of(0, f).payload == VC_PLAIN_MAX);
    pair_collect(e);
    TAP_IS(data_of(0, f).n == 2 && data_of(0, f).payload == 70000);
    /* Sums are modulo 2^32. */
    pair_say_credit(e, 10, vc_flow_id(f->flow), UINT32_MAX);
    pair_say_credit(e, 10, vc_flow_id(f->flow), 11);
    pair_collect(e);
    pair_collect(e);
    TAP_IS(data_of(0, f).payload == 70010);
    pair_done(&p);
}

/* An OpenVC without counters leaves the acceptor mute until there is credit. */
static void openvc_without_credit(void)
{
    struct buf b = BUF_INIT(SIZE_MAX);
    struct tflow *f;

    pair_init(&p, PAIR_INSECURE, NULL);
    vc_msg_put_open_vc(&b, 10, span_str("@2@tcp@a:1@@1@2@@"), span_str("b:2"), NULL, 0);
    vc_msg_put_open_flow(&b, 10, 10, 0);
    pair_inject(&p.end[1], buf_span(&b));
    buf_done(&b);
    f = pair_accepted(&p.end[1], 0);
    pair_write(f, "mute");
    pair_collect(&p.end[1]);
    TAP_IS(pair_tally(wire(1), VC_MSG_CREDIT, PAIR_ANY).granted == 2 * WINDOW);
    TAP_IS(data_of(1, f).n == 0);
    pair_say_credit(&p.end[1], 10, 10, 2);
    pair_collect(&p.end[1]);
    TAP_IS(data_of(1, f).payload == 2);
    pair_say_credit(&p.end[1], 10, 0, 2);
    pair_collect(&p.end[1]);
    TAP_IS(data_of(1, f).payload == 4);
    pair_done(&p);
}

static void full_and_writable(void)
{
    static struct vc_limits l;
    struct tvc *v;
    struct tflow *f;

    vc_limits_default(&l);
    l.queue_soft = 10000;
    pair_init(&p, PAIR_INSECURE, &l);
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    TAP_IS(pair_write_pattern(f, 10000, 0) == 0);
    TAP_IS(pair_write(f, "x") == VC_FULL);
    TAP_IS(pair_write(f, "y") == VC_FULL && vc_flow_queued(f->flow) == 10002);
    TAP_IS(vc_vif_queued(p.end[0].vif) == 10002);
    pair_run(&p);
    TAP_IS(f->writables == 1 && vc_flow_queued(f->flow) == 0 && vc_vif_queued(p.end[0].vif) == 0);
    TAP_IS(pair_write(f, "z") == 0);
    pair_run(&p);
    TAP_IS(f->writables == 1);
    pair_done(&p);
}

static const struct tap_case cases[] = {
    {"writes of a turn are one message", writes_of_a_turn_are_one_message},
    {"flows take turns", flows_take_turns},
    {"control goes first, then credit, then data", control_goes_first_then_credit_then_data},
    {"output stops at its measure", output_stops_at_its_measure},
    {"what is not consumed is not credited", what_is_not_consumed_is_not_credited},
    {"unread flows do not stop others", unread_flows_do_not_stop_others},
    {"large values pass a small window", large_values_pass_a_small_window},
    {"credits merge", credits_merge},
    {"small credits wait for company", small_credits_wait_for_company},
    {"credit for who borrows", credit_for_who_borrows},
    {"many who borrow", many_who_borrow},
    {"first bytes are borrowed", first_bytes_are_borrowed},
    {"own credit is used first", own_credit_is_used_first},
    {"OpenVC without credit", openvc_without_credit},
    {"full and writable", full_and_writable},
};

const struct tap_suite vc_credit_suite = TAP_SUITE("credit", cases);

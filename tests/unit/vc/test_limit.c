#include "config.h"

/* What a peer may not do: each limit has an error, a text and a counter. */

#include "pair.h"
#include "vc_tests.h"
#include "wspr/error.h"

static struct pair p;
static struct vc_limits l;

static const struct vc_stats *stats(int side)
{
    return vc_pool_stats(p.end[side].pool);
}

static struct span wire(int side)
{
    return buf_span(&p.end[side].wire);
}

/* The first CloseVC that a side says. */
static bool says_close(int side, const char *text)
{
    struct span in;
    struct vc_msg m;

    if (p.end[side].vif != NULL)
        pair_collect(&p.end[side]);
    for (in = wire(side); vc_msg_next(&in, VC_MSG_BODY_MAX, &m, NULL, NULL) == 1;) {
        if (m.kind != VC_MSG_CLOSE_VC)
            continue;
        if (!span_equal_str(m.text, text))
            tap_note("CloseVC \"%.*s\"", SPAN_ARG(m.text));
        return span_equal_str(m.text, text);
    }
    return false;
}

static int say_open(const char *dst, const char *src, uint32_t vci)
{
    struct buf b = BUF_INIT(SIZE_MAX);
    int r;

    vc_msg_put_open_vc(&b, vci, span_str(dst), span_str(src), NULL, 0);
    r = pair_inject(&p.end[1], buf_span(&b));
    buf_done(&b);
    return r;
}

#define DST "@2@tcp@a:1@00000000000000000000000000005555@1@2@@"
#define SRC "@2@tcp@b:2@0000000000000000000000000000cccc@1@2@@"

/* ---- messages that end the connection ---- */

static void run_broken(const char *bytes, size_t len, int code, const char *what)
{
    for (size_t piece = 0; piece < 2; piece++) {
        struct tvc *v;

        pair_init(&p, PAIR_INSECURE, &l);
        v = pair_ready(&p);
        p.piece = piece;
        TAP_OK(pair_inject(&p.end[1], span_of(bytes, len)) == WSPR_ECLOSED, "%s", what);
        TAP_OK(p.end[1].fails == 1 && p.end[1].fail_code == code, "%s: %s", what,
               p.end[1].fail_text);
        TAP_IS(stats(1)->err_protocol + stats(1)->err_message_size == 1);
        TAP_IS(p.end[1].vcs[0].closeds == 1 && p.end[1].vcs[0].code == code &&
               strcmp(p.end[1].vcs[0].why, p.end[1].fail_text) == 0);
        TAP_IS(vc_vif_input(p.end[1].vif, span_of("more", 4), p.now) == WSPR_ECLOSED);
        TAP_IS(p.end[1].fails == 1 && v->closeds == 0);
        pair_done(&p);
    }
}

static void broken_messages_end_the_connection(void)
{
    vc_limits_default(&l);
    run_broken("\x02\0\0\0", 4, WSPR_EPROTO, "unknown type");
    run_broken("\0\0\0\0", 4, WSPR_EPROTO, "no command");
    run_broken("\0\0\0\1\x09", 5, WSPR_EPROTO, "unknown command");
    run_broken("\1\0\0\x08\0\0\0\x0a\0\0\0\x0a", 12, WSPR_EPROTO, "short data");
    run_broken("\0\0\0\x0b\2\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 15, WSPR_EPROTO,
               "absurd number of counters");
    run_broken("\1\xff\xff\xff", 4, WSPR_ELIMIT, "longest data");
    run_broken("\0\x10\0\0", 4, WSPR_ELIMIT, "long control message");
    run_broken("\0\0\0\x11\0\0\0\0\x0c\0\0\0\1x\0\0\0\1y\0", 21, WSPR_EPROTO, "no endpoints");
}

/* What the framing permits is taken if the limits do not forbid it. */
static void the_longest_message(void)
{
    struct buf b = BUF_INIT(SIZE_MAX);

    vc_limits_default(&l);
    l.message = VC_MSG_BODY_MAX;
    l.window = 1u << 25;
    pair_init(&p, PAIR_INSECURE, &l);
    TAP_IS(pair_ready(&p) != NULL);
    pair_say(&p.end[1], &(struct vc_msg){.kind = VC_MSG_OPEN_FLOW, .vci = 10, .flow = 10});
    vc_msg_begin_data(&b, 10, 10);
    memset(buf_reserve(&b, VC_DATA_MAX), 'x', VC_DATA_MAX);
    buf_commit(&b, VC_DATA_MAX);
    TAP_IS(vc_msg_end_data(&b, 0, 0) == 0);
    p.piece = 1000000;
    TAP_IS(pair_inject(&p.end[1], buf_span(&b)) == 0);
    TAP_IS(pair_accepted(&p.end[1], 0)->received == VC_DATA_MAX);
    buf_done(&b);
    pair_done(&p);
}

/* ---- circuits that are refused ---- */

static void run_refused(const char *dst, const char *src, const char *text)
{
    TAP_IS(say_open(dst, src, 77) == 0);
    TAP_OK(says_close(1, text), "%s", text);
    TAP_IS(stats(1)->vcs_refused == 1 && stats(1)->vcs_accepted == 0 && p.end[1].fails == 0);
    pair_done(&p);
}

static void circuits_that_are_refused(void)
{
    vc_limits_default(&l);
    pair_init(&p, PAIR_INSECURE, &l);
    vc_vif_set_accepting(p.end[1].vif, false);
    run_refused(DST, SRC, "VCs not accepted");
    pair_init(&p, PAIR_INSECURE, &l);
    run_refused("@2@tcp@a:1@@3@4@@", SRC, "No compatible IPC version available");
    pair_init(&p, PAIR_INSECURE, &l);
    run_refused("a:1", "b:2", "There was not enough information to determine a version.");
    pair_init(&p, PAIR_INSECURE, &l);
    p.end[1].refuse_vcs = WSPR_ENOTFOUND;
    run_refused(DST, SRC, "refused by the test");
    l.vcs = 0;
    pair_init(&p, PAIR_INSECURE, &l);
    run_refused(DST, SRC, "too many VCs on the connection");
}

static void our_own_circuits_have_limits(void)
{
    struct err e = ERR_INIT;

    vc_limits_default(&l);
    l.vcs = 1;
    pair_init(&p, PAIR_INSECURE, &l);
    TAP_IS(pair_open_vc(&p, 0, NULL) != NULL);
    TAP_IS(pair_open_vc(&p, 0, &e) == NULL && e.code == WSPR_ELIMIT);
    err_done(&e);
    pair_done(&p);
    pair_init(&p, PAIR_RECORDED, NULL);
    p.versions = 7; /* 1..7 offered: the highest common one is ours */
    TAP_IS(vc_version(pair_open_vc(&p, 0, NULL)->vc) == 2);
    vc_vif_free(p.end[0].vif, NULL);
    p.end[0].vif = NULL;
    pair_done(&p);
}

/* The peer has forgotten the circuit; so do we, and say so. */
static void duplicate_circuits(void)
{
    struct tflow *f;

    vc_limits_default(&l);
    pair_init(&p, PAIR_INSECURE, &l);
    f = pair_open_flow(pair_ready(&p), NULL);
    pair_write(f, "x");
    pair_run(&p);
    TAP_IS(say_open(DST, SRC, 10) == 0);
    TAP_IS(says_close(1, "underlying network connection((tcp, b) <-> (tcp, a)) shutting down"));
    TAP_IS(p.end[1].vcs[0].closeds == 1 && p.end[1].flows[0].eofs == 1 && p.end[1].n_vcs == 1);
    /* Now the number is free. Any number may be used, whoever dialled. */
    for (uint32_t vci = 0; vci < 3; vci++)
        TAP_IS(say_open(DST, SRC, vci) == 0);
    TAP_IS(say_open(DST, SRC, UINT32_MAX) == 0 && say_open(DST, SRC, 10) == 0);
    TAP_IS(p.end[1].n_vcs == 6 && vc_vif_vcs(p.end[1].vif) == 5);
    pair_done(&p);
}

/* ---- handshakes ---- */

static int say_data(uint32_t flow, size_t n)
{
    uint8_t *bytes = calloc(1, n > 0 ? n : 1);
    int r = pair_say(
        &p.end[1], &(struct vc_msg){
                       .kind = VC_MSG_DATA, .vci = 10, .flow = flow, .payload = span_of(bytes, n)});

    free(bytes);
    return r;
}

static int say_flow(uint32_t flow)
{
    return pair_say(
        &p.end[1], &(struct vc_msg){.kind = VC_MSG_OPEN_FLOW, .vci = 10, .flow = flow, .bytes = 9});
}

static void handshakes_are_bounded(void)
{
    vc_limits_default(&l);
    p.jobs = PAIR_JOBS_LATER;
    pair_init(&p, PAIR_RECORDED, &l);
    say_open(DST, SRC, 10);
    say_flow(10);
    for (int i = 0; i < 10; i++)
        say_data(10, 20000);
    TAP_IS(says_close(1, "too many bytes in the handshake"));
    TAP_IS(p.end[1].vcs[0].closeds == 1 && stats(1)->err_handshake_bytes == 1);
    pair_finish_jobs(&p, true);
    pair_done(&p);
    p.jobs = PAIR_JOBS_INLINE;
    /* The identity message, and a flow that was opened too early for it. */
    pair_init(&p, PAIR_NULL, &l);
    say_open(DST, SRC, 10);
    say_flow(10);
    say_flow(12);
    for (int i = 0; i < 10; i++)
        say_data(12, 20000);
    TAP_IS(says_close(1, "too many bytes in the handshake"));
    pair_done(&p);
}

/* A dialler ends the flow of its key exchange, or of its identity, with nothing said. */
static void handshakes_that_say_nothing(void)
{
    for (uint32_t last = 10; last <= 12; last += 2) {
        struct tvc *v = &p.end[1].vcs[0];

        vc_limits_default(&l);
        pair_init(&p, PAIR_NULL, &l);
        say_open(DST, SRC, 10);
        say_flow(10);
        if (last == 12) {
            say_data(10, 1);
            say_flow(12);
        }
        TAP_IS(v->closeds == 0);
        pair_say(&p.end[1],
                 &(struct vc_msg){.kind = VC_MSG_DATA, .vci = 10, .flow = last, .flags = 1});
        TAP_IS(v->closeds == 1 && v->readies == 0);
        TAP_OK(strstr(v->why, "EOF") != NULL, "flow %u: %s", (unsigned)last, v->why);
        pair_done(&p);
    }
}

static void early_data_is_bounded(void)
{
    vc_limits_default(&l);
    pair_init(&p, PAIR_RECORDED, &l);
    say_open(DST, SRC, 10);
    say_flow(10);
    say_flow(12);
    say_flow(14);
    for (int i = 0; i < 16; i++)
        say_data(14, 65636);
    TAP_IS(p.end[1].vcs[0].closeds == 0);
    /* What is held has no credit yet: the peer could have borrowed no more. */
    pair_collect(&p.end[1]);
    TAP_IS(pair_tally(wire(1), VC_MSG_CREDIT, 14).granted == 0);
    for (int i = 0; i < 20; i++)
        say_data(14, 65636);
    TAP_IS(says_close(1, "too many bytes before authentication"));
    TAP_IS(p.end[1].vcs[0].closeds == 1 && stats(1)->err_held == 1 && p.end[1].n_flows == 0);
    pair_done(&p);
}

/* A little of many circuits, of which none gets ready. */
static unsigned fill_early(unsigned n)
{
    uint8_t bytes[4000] = {0};

    for (uint32_t vci = 10; vci < 10 + 2 * n; vci += 2) {
        say_open(DST, SRC, vci);
        for (uint32_t flow = 10; flow <= 14; flow += 2)
            pair_say(
                &p.end[1],
                &(struct vc_msg){.kind = VC_MSG_OPEN_FLOW, .vci = vci, .flow = flow, .bytes = 9});
        pair_say(&p.end[1], &(struct vc_msg){.kind = VC_MSG_DATA,
                                             .vci = vci,
                                             .flow = 14,
                                             .payload = span_of(bytes, sizeof bytes)});
    }
    return (unsigned)vc_vif_vcs(p.end[1].vif);
}

static void early_data_of_all_is_bounded(void)
{
    for (int i = 0; i < 2; i++) {
        unsigned open;

        vc_limits_default(&l);
        *(i == 0 ? &l.held_vif : &l.held_total) = 64 * 1024;
        pair_init(&p, PAIR_RECORDED, &l);
        open = fill_early(40);
        TAP_OK(open >= 7 && open <= 16, "%u circuits", open);
        TAP_IS(stats(1)->err_held == 40 - open && stats(1)->held <= 64 * 1024);
        TAP_IS(says_close(1, "too many bytes before authentication"));
        /* When these have gone there is room again. */
        vc_vif_tick(p.end[1].vif, p.now + l.handshake_timeout);
        TAP_IS(stats(1)->held == 0 && vc_vif_vcs(p.end[1].vif) == 0);
        TAP_IS(fill_early(5) == 5 && stats(1)->held > 5 * 4000);
        pair_done(&p);
    }
}

static void circuits_of_all_are_bounded(void)
{
    vc_limits_default(&l);
    l.vcs_total = 7;
    pair_init(&p, PAIR_RECORDED, &l);
    TAP_IS(fill_early(20) == 7 && stats(1)->vcs_refused == 13 && says_close(1, "too many VCs"));
    TAP_IS(stats(1)->vcs_unready == 7);
    pair_done(&p);
    /* Those that are ready do not count, nor those that we opened. */
    vc_limits_default(&l);
    l.vcs_unready = 3;
    pair_init(&p, PAIR_INSECURE, &l);
    TAP_IS(fill_early(20) == 20 && stats(1)->vcs_unready == 0);
    pair_done(&p);
    pair_init(&p, PAIR_RECORDED, &l);
    TAP_IS(fill_early(20) == 3 && stats(1)->vcs_unready == 3 && stats(1)->vcs_refused == 17);
    vc_vif_tick(p.end[1].vif, p.now + l.handshake_timeout);
    TAP_IS(stats(1)->vcs_unready == 0);
    TAP_IS(fill_early(20) == 3);
    for (unsigned i = 0; i < 5; i++)
        TAP_IS(pair_open_vc(&p, 0, NULL) != NULL);
    TAP_IS(stats(0)->vcs_unready == 0);
    pair_done(&p);
}

/* ---- beginnings of messages ---- */

static struct err begun_ended[4];

static void begun_failed(void *arg, const struct err *why)
{
    err_copy(arg, why);
}

/* What is here of a message of 100,000 bytes, or a little more of it. */
static int say_part(struct vc_vif *vif, bool first, size_t n)
{
    uint8_t bytes[40004] = {1, 100000 >> 16, 100000 >> 8 & 255, 100000 & 255};

    return vc_vif_input(vif, span_of(first ? bytes : bytes + 4, n), 0);
}

static void beginnings_are_bounded(void)
{
    static const struct vc_vif_ops ops = {.failed = begun_failed};
    static const uint8_t key[16] = {3};
    const struct vc_vif_opts o = {0};
    const struct vc_stats *s;
    struct vc_vif *vif[4];
    struct vc_pool *pool;

    vc_limits_default(&l);
    l.in_total = 140000;
    pool = vc_pool_new(&l, key);
    s = vc_pool_stats(pool);
    for (unsigned i = 0; i < 4; i++)
        vif[i] = vc_vif_new(pool, &o, &ops, &begun_ended[i]);
    TAP_IS(say_part(vif[0], true, 1000) == 0 && s->in_bytes >= 1000);
    TAP_IS(say_part(vif[1], true, 40000) == 0 && s->in_bytes >= 41000);
    TAP_IS(say_part(vif[2], true, 20000) == 0 && s->err_input == 0);
    /* This passes the total, and the second has more than it. */
    TAP_IS(say_part(vif[3], true, 30000) == 0 && say_part(vif[3], false, 5000) == 0);
    TAP_IS(s->err_input == 1 && s->in_bytes >= 56000 && s->in_bytes <= l.in_total);
    TAP_IS(say_part(vif[1], false, 10) == WSPR_ECLOSED && begun_ended[1].code == WSPR_ELIMIT);
    TAP_OK(strcmp(err_text(&begun_ended[1]),
                  "too much is kept of incomplete messages of all connections") == 0,
           "%s", err_text(&begun_ended[1]));
    /* And now it has most itself. */
    TAP_IS(say_part(vif[3], false, 40000) < 0 || say_part(vif[3], false, 10) == WSPR_ECLOSED);
    TAP_IS(s->err_input == 2 && begun_ended[3].code == WSPR_ELIMIT);
    TAP_IS(say_part(vif[0], false, 1000) == 0 && say_part(vif[2], false, 1000) == 0);
    for (unsigned i = 0; i < 4; i++) {
        vc_vif_free(vif[i], NULL);
        err_done(&begun_ended[i]);
    }
    TAP_IS(s->in_bytes == 0 && s->vifs == 0);
    vc_pool_free(pool);
}

/* ---- flows ---- */

static void a_peer_that_ignores_credit(void)
{
    struct tvc *v;
    size_t n = 0;

    vc_limits_default(&l);
    pair_init(&p, PAIR_INSECURE, &l);
    v = pair_ready(&p);
    TAP_IS(v != NULL);
    p.end[1].consume = false;
    p.end[1].forget = true;
    say_flow(10);
    while (p.end[1].vcs[0].closeds == 0 && n < 100) {
        say_data(10, 65536);
        n++;
    }
    TAP_OK(n == 33, "%zu messages", n);
    TAP_IS(p.end[1].flows[0].received == 32 * 65536 && stats(1)->err_credit == 1);
    TAP_IS(says_close(1, "flow control was ignored"));
    pair_done(&p);
}

static void flows_are_capped(void)
{
    struct tvc *v;
    struct err e = ERR_INIT;

    vc_limits_default(&l);
    l.flows = 100;
    pair_init(&p, PAIR_INSECURE, &l);
    v = pair_ready(&p);
    for (int i = 0; i < 100; i++)
        TAP_IS(pair_open_flow(v, NULL) != NULL);
    TAP_IS(pair_open_flow(v, &e) == NULL && e.code == WSPR_ELIMIT);
    TAP_IS(strcmp(err_text(&e), "too many flows on the circuit") == 0 && !vc_is_worn(v->vc));
    err_done(&e);
    pair_run(&p);
    TAP_IS(p.end[1].n_flows == 100);
    say_flow(5000);
    TAP_IS(p.end[1].n_flows == 100 && stats(1)->flows_rejected == 1);
    /* Flows that ended but are still held count as well. */
    for (unsigned i = 0; i < 100; i++)
        pair_close_flow(&p.end[0].flows[i]);
    pair_run(&p);
    TAP_IS(vc_flows(v->vc) == 0 && vc_flows(p.end[1].vcs[0].vc) == 100);
    say_flow(5000);
    TAP_IS(stats(1)->flows_rejected == 2);
    pair_close_flow(&p.end[1].flows[7]);
    say_flow(5000);
    TAP_IS(stats(1)->flows_rejected == 2 && p.end[1].n_flows == 101);
    pair_done(&p);
}

static void circuits_wear_out(void)
{
    struct tvc *v;
    struct err e = ERR_INIT;

    vc_limits_default(&l);
    l.flow_ids = 5;
    pair_init(&p, PAIR_INSECURE, &l);
    v = pair_ready(&p);
    for (int i = 0; i < 5; i++) {
        TAP_IS(!vc_is_worn(v->vc));
        pair_close_flow(pair_open_flow(v, NULL));
    }
    TAP_IS(vc_is_worn(v->vc) && vc_can_open(v->vc) == WSPR_ELIMIT);
    TAP_IS(pair_open_flow(v, &e) == NULL && strcmp(err_text(&e), "no flow ids left") == 0);
    err_done(&e);
    pair_done(&p);
}

static void all_queues_are_bounded_together(void)
{
    struct tflow *f, *g;
    struct tvc *v;

    vc_limits_default(&l);
    l.queue_total = 150000;
    pair_init(&p, PAIR_INSECURE, &l);
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    g = pair_open_flow(v, NULL);
    TAP_IS(pair_write_pattern(f, 100000, 0) == 0);
    TAP_IS(pair_write_pattern(g, 50001, 0) == WSPR_ELIMIT);
    TAP_IS(pair_write_pattern(g, 50000, 0) == 0 && stats(0)->err_queue == 1);
    pair_run(&p);
    TAP_IS(pair_write(g, "x") == 0);
    pair_run(&p);
    TAP_IS(p.end[1].flows[0].received == 100000 && p.end[1].flows[1].received == 50001);
    pair_done(&p);
}

static void queues_are_bounded(void)
{
    struct tvc *v;
    struct tflow *f, *g;
    struct err e = ERR_INIT;

    vc_limits_default(&l);
    l.queue_hard = 100000;
    l.queue_vif = 150000;
    pair_init(&p, PAIR_INSECURE, &l);
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    g = pair_open_flow(v, NULL);
    TAP_IS(pair_write_pattern(f, 100000, 0) == 0);
    TAP_IS(vc_flow_write(f->flow, span_str("x"), &e) == WSPR_ELIMIT);
    TAP_IS(strcmp(err_text(&e), "too many bytes wait to be sent") == 0);
    TAP_IS(pair_write_pattern(g, 50001, 0) == WSPR_ELIMIT && vc_flow_queued(g->flow) == 0);
    TAP_IS(pair_write_pattern(g, 50000, 0) == 0 && pair_write(g, "x") == WSPR_ELIMIT);
    TAP_IS(stats(0)->err_queue == 3);
    pair_run(&p);
    TAP_IS(pair_write(g, "x") == 0); /* nothing was lost, and it goes on */
    pair_run(&p);
    TAP_IS(p.end[1].flows[0].received == 100000 && p.end[1].flows[1].received == 50001);
    err_done(&e);
    pair_done(&p);
}

/* Answers that the peer does not take. */
static void floods_end_the_connection(void)
{
    unsigned n = 0;

    vc_limits_default(&l);
    pair_init(&p, PAIR_INSECURE, &l);
    TAP_IS(pair_ready(&p) != NULL);
    p.end[1].refuse_flows = true;
    while (p.end[1].fails == 0 && n < 1000000) {
        say_flow(n);
        n++;
    }
    TAP_OK(p.end[1].fails == 1 && n > 10000 && n < 100000, "%u answers", n);
    TAP_IS(p.end[1].fail_code == WSPR_ELIMIT && stats(1)->err_control_queue == 1);
    pair_done(&p);
}

static void payloads_that_do_not_open(void)
{
    struct tvc *v;
    struct tflow *f, *g;
    uint8_t *byte;

    vc_limits_default(&l);
    pair_init(&p, PAIR_RECORDED, &l);
    v = pair_ready(&p);
    f = pair_open_flow(v, NULL);
    g = pair_open_flow(v, NULL);
    pair_write(f, "x");
    pair_write(g, "y");
    pair_run(&p);
    pair_write(f, "damaged");
    pair_collect(&p.end[0]);
    byte = buf_data(&p.end[0].wire) + wire(0).len - 1;
    *byte ^= 1;
    pair_deliver(&p.end[0]);
    TAP_IS(p.end[1].vcs[0].closeds == 1 && stats(1)->err_open == 1);
    TAP_IS(strcmp(p.end[1].vcs[0].why, "failed to decrypt payload: tls: bad record MAC") == 0);
    TAP_IS(p.end[1].flows[0].received == 1 && p.end[1].flows[1].eofs == 1);
    TAP_IS(says_close(1, "failed to decrypt payload"));
    pair_run(&p);
    TAP_IS(v->closeds == 1 && f->eofs == 1 && g->eofs == 1 && p.end[0].fails == 0);
    pair_done(&p);
}

static const struct tap_case cases[] = {
    {"broken messages end the connection", broken_messages_end_the_connection},
    {"the longest message", the_longest_message},
    {"circuits that are refused", circuits_that_are_refused},
    {"our own circuits have limits", our_own_circuits_have_limits},
    {"duplicate circuits", duplicate_circuits},
    {"handshakes are bounded", handshakes_are_bounded},
    {"handshakes that say nothing", handshakes_that_say_nothing},
    {"early data is bounded", early_data_is_bounded},
    {"early data of all is bounded", early_data_of_all_is_bounded},
    {"circuits of all are bounded", circuits_of_all_are_bounded},
    {"beginnings are bounded", beginnings_are_bounded},
    {"a peer that ignores credit", a_peer_that_ignores_credit},
    {"flows are capped", flows_are_capped},
    {"circuits wear out", circuits_wear_out},
    {"queues are bounded", queues_are_bounded},
    {"all queues are bounded together", all_queues_are_bounded_together},
    {"floods end the connection", floods_end_the_connection},
    {"payloads that do not open", payloads_that_do_not_open},
};

const struct tap_suite vc_limit_suite = TAP_SUITE("limit", cases);

#include "config.h"

#include <pthread.h>

#include "failmalloc.h"
#include "pair.h"
#include "security/identity.h"
#include "vc_tests.h"
#include "wspr/error.h"

static struct pair p;

static const enum pair_kind kinds[] = {PAIR_INSECURE, PAIR_NULL, PAIR_RECORDED, PAIR_TLS};

static bool said(const struct tflow *f, const char *text)
{
    return span_equal_str(buf_span(&f->got), text);
}

static void echo_once(enum pair_kind kind)
{
    struct tvc *v;
    struct tflow *f, *g;

    pair_init(&p, kind, NULL);
    p.end[1].echo = true;
    v = pair_ready(&p);
    if (v == NULL) {
        TAP_OK(0, "circuit of kind %d is not ready: %s", kind, p.end[0].vcs[0].why);
        pair_done(&p);
        return;
    }
    TAP_IS(v->readies == 1 && p.end[1].n_vcs == 1 && p.end[1].vcs[0].readies == 1);
    f = pair_open_flow(v, NULL);
    TAP_IS(pair_write(f, "hello, ") == 0 && pair_write(f, "veyron") == 0);
    pair_run(&p);
    g = pair_accepted(&p.end[1], 0);
    TAP_IS(said(g, "hello, veyron") && said(f, "hello, veyron"));
    TAP_IS(vc_flow_id(f->flow) == (kind == PAIR_INSECURE ? 10 : 14));
    TAP_IS(vc_flow_id(g->flow) == vc_flow_id(f->flow));
    pair_close_flow(f);
    pair_run(&p);
    TAP_IS(g->eofs == 1 && g->eof_code == 0 && g->flow == NULL);
    TAP_IS(vc_flows(v->vc) == 0 && vc_idle_since(v->vc) == p.now);
    vc_close(v->vc);
    v->vc = NULL;
    pair_run(&p);
    TAP_IS(v->closeds == 0 && p.end[1].vcs[0].closeds == 1);
    TAP_IS(strcmp(p.end[1].vcs[0].why, "remote end closed VC()") == 0);
    TAP_IS(vc_vif_vcs(p.end[0].vif) == 0 && vc_vif_vcs(p.end[1].vif) == 0);
    TAP_IS(vc_vif_drained(p.end[0].vif) && p.end[0].fails == 0 && p.end[1].fails == 0);
    pair_done(&p);
}

static void echoes(void)
{
    for (int jobs = PAIR_JOBS_INLINE; jobs <= PAIR_JOBS_IN_WORK; jobs++) {
        p.jobs = (enum pair_jobs)jobs;
        for (size_t i = 0; i < 4; i++)
            echo_once(kinds[i]);
    }
    p.jobs = PAIR_JOBS_INLINE;
}

static void both_ends_know_each_other(void)
{
    for (uint32_t version = 1; version <= 2; version++) {
        struct tvc *v;
        struct vc *a, *b;

        pair_init(&p, PAIR_RECORDED, NULL);
        p.versions = version;
        v = pair_ready(&p);
        TAP_IS(v != NULL);
        if (v == NULL) {
            pair_done(&p);
            continue;
        }
        a = v->vc;
        b = p.end[1].vcs[0].vc;
        TAP_IS(vc_version(a) == version && vc_version(b) == version);
        TAP_IS(security_identity_equal(vc_peer(a), security_private_public(pair_identity(1))));
        TAP_IS(security_identity_equal(vc_peer(b), security_private_public(pair_identity(0))));
        TAP_IS(vc_identity(a) == pair_identity(0) && vc_is_opener(a) && !vc_is_opener(b));
        TAP_IS(span_equal(vc_local_endpoint(a), vc_remote_endpoint(b)) &&
               span_equal(vc_remote_endpoint(a), vc_local_endpoint(b)));
        TAP_IS(vc_local_endpoint(a).len > 0 &&
               !span_equal(vc_local_endpoint(a), vc_local_endpoint(b)));
        TAP_IS(vc_id(a) == 10 && vc_id(b) == 10 && vc_is_legacy(a));
        TAP_IS(strcmp(vc_describe(a), "recorded RC4") == 0);
        TAP_IS(vc_pool_stats(p.end[1].pool)->vcs_legacy == 1);
        pair_done(&p);
    }
}

static void flows_may_be_written_before_it_is_ready(void)
{
    struct tvc *v;
    struct tflow *f, *g, *h;

    pair_init(&p, PAIR_RECORDED, NULL);
    p.keep_log = true;
    v = pair_open_vc(&p, 0, NULL);
    f = pair_open_flow(v, NULL);
    pair_write(f, "early");
    g = pair_open_flow(v, NULL);
    pair_write(g, "closed");
    pair_close_flow(g);
    h = pair_open_flow(v, NULL);
    pair_write(h, "never heard of");
    pair_cancel_flow(h);
    TAP_IS(vc_flow_id(f->flow) == 14);
    pair_run(&p);
    TAP_IS(said(pair_accepted(&p.end[1], 0), "early"));
    TAP_IS(said(pair_accepted(&p.end[1], 1), "closed") && p.end[1].flows[1].eofs == 1);
    TAP_IS(p.end[1].n_flows == 2);
    pair_done(&p);
}

static void fill(struct buf *b, size_t n)
{
    memset(buf_reserve(b, n), 'x', n);
    buf_commit(b, n);
}

/* Many bytes go into the queue with their memory, behind the few that are there. */
static void many_bytes_are_taken_over(void)
{
    const size_t n = 131072;
    struct buf b = BUF_INIT(n);
    struct tflow *f;
    struct span got;

    pair_init(&p, PAIR_RECORDED, NULL);
    p.end[1].consume = true;
    f = pair_open_flow(pair_ready(&p), NULL);
    pair_write(f, "head");
    fill(&b, n);
    failmalloc_at(0);
    TAP_IS(vc_flow_take(f->flow, &b, NULL) == 0 && failmalloc_count() <= 1);
    TAP_IS(b.len == 0 && b.base == NULL && b.max == n && vc_flow_queued(f->flow) == n + 4);
    pair_write(f, "tail");
    buf_append_str(&b, "few");
    TAP_IS(vc_flow_take(f->flow, &b, NULL) == 0 && b.len == 0 && b.base != NULL);
    pair_run(&p);
    got = buf_span(&pair_accepted(&p.end[1], 0)->got);
    TAP_IS(got.len == n + 11 && memcmp(got.p, "headx", 5) == 0);
    TAP_IS(got.len == n + 11 && memcmp(got.p + n + 3, "xtailfew", 8) == 0);
    /* Without room for the front nothing is taken. */
    buf_done(&b);
    pair_write(f, "head");
    fill(&b, n);
    failmalloc_at(1);
    TAP_IS(vc_flow_take(f->flow, &b, NULL) == WSPR_ENOMEM);
    failmalloc_at(0);
    TAP_IS(b.len == 0 && vc_flow_queued(f->flow) == 4);
    buf_done(&b);
    pair_done(&p);
}

static void too_many_bytes_are_not_taken_over(void)
{
    struct vc_limits limits;
    struct buf b = BUF_INIT(SIZE_MAX);
    struct tflow *f;

    vc_limits_default(&limits);
    limits.queue_hard = 100000;
    pair_init(&p, PAIR_NULL, &limits);
    f = pair_open_flow(pair_ready(&p), NULL);
    pair_write(f, "head");
    fill(&b, 100000);
    TAP_IS(vc_flow_take(f->flow, &b, NULL) == WSPR_ELIMIT);
    TAP_IS(b.len == 0 && vc_flow_queued(f->flow) == 4);
    fill(&b, 99996);
    TAP_IS(vc_flow_take(f->flow, &b, NULL) == 0 && vc_flow_queued(f->flow) == 100000);
    TAP_IS(pair_write(f, "x") == WSPR_ELIMIT); /* the limit is the queue's, not the buffer's */
    pair_done(&p);
}

/* The acceptor's user may speak first, and open flows of its own. */
static void the_acceptor_opens_flows_too(void)
{
    struct tvc *v;
    struct tflow *f;

    pair_init(&p, PAIR_NULL, NULL);
    v = pair_ready(&p);
    TAP_IS(v != NULL);
    f = pair_open_flow(&p.end[1].vcs[0], NULL);
    TAP_IS(vc_flow_id(f->flow) == 11);
    pair_write(f, "from below");
    pair_run(&p);
    TAP_IS(p.end[0].n_accepted == 1 && said(&p.end[0].flows[0], "from below"));
    pair_done(&p);
}

static void several_circuits_on_a_connection(void)
{
    struct tvc *v[8], *w;
    struct tflow *f;

    pair_init(&p, PAIR_RECORDED, NULL);
    for (unsigned i = 0; i < 8; i++)
        v[i] = pair_open_vc(&p, 0, NULL);
    pair_run(&p);
    for (unsigned i = 0; i < 8; i++) {
        TAP_IS(v[i]->readies == 1 && vc_id(v[i]->vc) == 10 + 2 * i);
        f = pair_open_flow(v[i], NULL);
        pair_write_pattern(f, 1000 + i, i);
    }
    pair_run(&p);
    TAP_IS(p.end[1].n_flows == 8);
    for (unsigned i = 0; i < 8; i++) {
        f = pair_accepted(&p.end[1], i);
        TAP_IS(f->got.len == 1000 + i && pair_is_pattern(buf_span(&f->got), 0, i));
    }
    /* The other side may open circuits as well, if it is welcome. */
    w = pair_open_vc(&p, 1, NULL);
    pair_run(&p);
    TAP_IS(w->closeds == 1 &&
           strcmp(w->why, "VC handshake failed: remote end closed VC(VCs not accepted)") == 0);
    vc_vif_set_accepting(p.end[0].vif, true);
    w = pair_open_vc(&p, 1, NULL);
    pair_run(&p);
    TAP_IS(w->readies == 1 && vc_id(w->vc) == 13);
    pair_done(&p);
}

/* ---- input in pieces ---- */

static struct buf whole_logs[2];

static void conversation(size_t piece, struct buf logs[2])
{
    struct tvc *v;
    struct tflow *f[5];

    pair_init(&p, PAIR_NULL, NULL);
    p.piece = piece;
    p.keep_log = true;
    p.end[1].echo = true;
    v = pair_ready(&p);
    for (unsigned i = 0; i < 5; i++) {
        f[i] = pair_open_flow(v, NULL);
        pair_write_pattern(f[i], 3000 * i, i);
        pair_run(&p);
    }
    for (unsigned i = 0; i < 5; i++) {
        TAP_IS(f[i]->got.len == 3000 * i && pair_is_pattern(buf_span(&f[i]->got), 0, i));
        pair_close_flow(f[i]);
    }
    pair_run(&p);
    for (int i = 0; i < 2; i++) {
        logs[i] = p.end[i].log;
        p.end[i].log = BUF_INIT(SIZE_MAX);
    }
    pair_done(&p);
}

/* Signatures are made with random numbers and differ from run to run; their lengths may, too, so
 * only the order of messages is compared. */
static size_t kinds_of(const struct buf *log, uint8_t *out, size_t max)
{
    struct span in = buf_span(log);
    struct vc_msg m;
    size_t n = 0;

    while (n < max && vc_msg_next(&in, VC_MSG_BODY_MAX, &m, NULL, NULL) == 1)
        out[n++] = (uint8_t)(m.kind * 16 + m.flow % 16);
    TAP_IS(in.len == 0);
    return n;
}

static void input_in_pieces_is_the_same(void)
{
    static const size_t pieces[] = {1, 2, 3, 5, 13, 1000};
    static uint8_t a[1000], b[1000];

    conversation(0, whole_logs);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct buf logs[2];

        conversation(pieces[i], logs);
        for (int side = 0; side < 2; side++) {
            size_t n = kinds_of(&whole_logs[side], a, sizeof a);

            /* Credits may merge differently when the input comes in several calls: what they add up
             * to is checked by the conversation itself. */
            TAP_OK(kinds_of(&logs[side], b, sizeof b) == n && memcmp(a, b, n) == 0,
                   "pieces of %zu, side %d", pieces[i], side);
            buf_done(&logs[side]);
        }
    }
    buf_done(&whole_logs[0]);
    buf_done(&whole_logs[1]);
}

/* ---- jobs ---- */

static void jobs_take_their_time(void)
{
    struct tvc *v;
    struct tflow *f;
    unsigned jobs = 0, n;

    p.jobs = PAIR_JOBS_LATER;
    pair_init(&p, PAIR_RECORDED, NULL);
    v = pair_open_vc(&p, 0, NULL);
    f = pair_open_flow(v, NULL);
    pair_write(f, "patience");
    do {
        pair_run(&p);
        n = pair_finish_jobs(&p, true);
        jobs += n;
    } while (n > 0);
    TAP_IS(v->readies == 1 && said(pair_accepted(&p.end[1], 0), "patience"));
    /* Opener: hello, flight, Finished, identities. Acceptor: hello, Finished, send, check. */
    TAP_OK(jobs == 8, "%u jobs", jobs);
    TAP_IS(vc_pool_stats(p.end[0].pool)->jobs + vc_pool_stats(p.end[1].pool)->jobs == jobs);
    pair_done(&p);
    p.jobs = PAIR_JOBS_INLINE;
}

/* One slow handshake delays nobody else on the connection. */
static void jobs_delay_nobody_else(void)
{
    struct tvc *v, *slow;
    struct tflow *f;

    p.jobs = PAIR_JOBS_LATER;
    pair_init(&p, PAIR_NULL, NULL);
    p.end[1].echo = true;
    v = pair_open_vc(&p, 0, NULL);
    do
        pair_run(&p);
    while (pair_finish_jobs(&p, true) > 0);
    TAP_IS(v->readies == 1);
    slow = pair_open_vc(&p, 0, NULL);
    pair_run(&p);
    TAP_IS(p.end[0].n_jobs + p.end[1].n_jobs == 1 && slow->readies == 0);
    f = pair_open_flow(v, NULL);
    pair_write(f, "not delayed");
    pair_run(&p);
    TAP_IS(said(f, "not delayed") && slow->readies == 0);
    pair_done(&p);
    p.jobs = PAIR_JOBS_INLINE;
}

static void *run_job(void *arg)
{
    vc_job_run(arg);
    return NULL;
}

/* Handshakes on threads while other circuits are at work and further input comes: for the thread
 * sanitizer. */
static void jobs_run_on_threads(void)
{
    struct tvc *v[4];
    unsigned rounds = 0, n;

    p.jobs = PAIR_JOBS_LATER;
    pair_init(&p, PAIR_RECORDED, NULL);
    p.end[1].echo = true;
    for (int i = 0; i < 4; i++)
        v[i] = pair_open_vc(&p, 0, NULL);
    do {
        struct vc_job *jobs[2 * PAIR_JOBS];
        pthread_t threads[2 * PAIR_JOBS];

        n = 0;
        for (int side = 0; side < 2; side++) {
            while (p.end[side].n_jobs > 0)
                jobs[n++] = p.end[side].jobs[--p.end[side].n_jobs];
        }
        for (unsigned i = 0; i < n; i++)
            TAP_IS(pthread_create(&threads[i], NULL, run_job, jobs[i]) == 0);
        if (rounds++ == 2)
            vc_abort(v[3]->vc, "while its job is out");
        v[3]->vc = rounds > 2 ? NULL : v[3]->vc;
        pair_write(pair_open_flow(v[0], NULL), "meanwhile");
        pair_step(&p);
        for (unsigned i = 0; i < n; i++) {
            pthread_join(threads[i], NULL);
            vc_job_done(jobs[i]);
        }
        pair_run(&p);
    } while (p.end[0].n_jobs + p.end[1].n_jobs > 0 && rounds < 100);
    for (int i = 0; i < 3; i++)
        TAP_IS(v[i]->readies == 1);
    TAP_IS(v[3]->readies == 0 && said(&p.end[0].flows[0], "meanwhile"));
    pair_done(&p);
    p.jobs = PAIR_JOBS_INLINE;
}

/* ---- memory ---- */

static void steady_state_of(enum pair_kind kind)
{
    struct tvc *v;
    unsigned long before;
    struct tflow *f;
    struct buf out[2] = {BUF_INIT(SIZE_MAX), BUF_INIT(SIZE_MAX)};

    pair_init(&p, kind, NULL);
    p.end[1].echo = true;
    p.end[1].forget = true;
    v = pair_ready(&p);
    before = 0;
    /* Calls without the harness's own copies: outputs are fed in directly. */
    for (unsigned i = 0; i < 40; i++) {
        if (i == 20) {
            failmalloc_at(0);
            before = failmalloc_count();
        }
        p.end[0].n_flows = 0;
        p.end[1].n_flows = 0;
        f = pair_open_flow(v, NULL);
        f->forget = true;
        pair_write(f, "a request");
        for (unsigned turn = 0; turn < 4; turn++) {
            for (unsigned side = 0; side < 2; side++) {
                buf_reset(&out[side]);
                vc_vif_output(p.end[side].vif, &out[side], 65536, p.now);
                vc_vif_input(p.end[1 - side].vif, buf_span(&out[side]), p.now);
            }
            if (turn == 1) {
                TAP_IS(f->received == 9);
                pair_close_flow(f);
            }
        }
        TAP_IS(p.end[1].flows[0].flow == NULL);
    }
    TAP_OK(failmalloc_count() == before, "%lu allocations in 20 calls",
           failmalloc_count() - before);
    p.end[0].n_flows = 0;
    p.end[1].n_flows = 0;
    buf_done(&out[0]);
    buf_done(&out[1]);
    pair_done(&p);
}

static void steady_state_does_not_allocate(void)
{
    for (size_t i = 0; i < 4; i++)
        steady_state_of(kinds[i]);
}

static enum pair_kind scenario_kind;

static void scenario(void *arg)
{
    struct tvc *v;
    struct tflow *f, *g;

    (void)arg;
    if (pair_init(&p, scenario_kind, NULL)) {
        p.end[1].echo = true;
        v = pair_open_vc(&p, 0, NULL);
        f = v != NULL ? pair_open_flow(v, NULL) : NULL;
        if (f != NULL)
            pair_write(f, "with little memory");
        pair_run(&p);
        g = v != NULL && v->vc != NULL ? pair_open_flow(v, NULL) : NULL;
        if (g != NULL)
            pair_write_pattern(g, 30000, 1);
        for (int i = 0; g != NULL && i < 12; i++) /* the table of flows grows */
            pair_open_flow(v, NULL);
        pair_run(&p);
        if (f != NULL)
            pair_close_flow(f);
        if (g != NULL)
            pair_cancel_flow(g);
        pair_run(&p);
        if (v != NULL && v->closeds == 0) {
            vc_close(v->vc);
            v->vc = NULL;
        }
        pair_run(&p);
    }
    pair_done(&p);
}

static void survives_lack_of_memory(void)
{
    for (size_t i = 0; i < 4; i++) {
        unsigned long runs;

        scenario_kind = kinds[i];
        runs = failmalloc_each(scenario, NULL, 5000);
        TAP_OK(runs > 10, "%lu runs", runs);
        tap_note("kind %d: %lu allocations failed in turn", (int)kinds[i], runs);
    }
}

static const struct tap_case cases[] = {
    {"echoes", echoes},
    {"both ends know each other", both_ends_know_each_other},
    {"flows may be written before it is ready", flows_may_be_written_before_it_is_ready},
    {"many bytes are taken over", many_bytes_are_taken_over},
    {"too many bytes are not taken over", too_many_bytes_are_not_taken_over},
    {"the acceptor opens flows too", the_acceptor_opens_flows_too},
    {"several circuits on a connection", several_circuits_on_a_connection},
    {"input in pieces is the same", input_in_pieces_is_the_same},
    {"jobs take their time", jobs_take_their_time},
    {"jobs delay nobody else", jobs_delay_nobody_else},
    {"jobs run on threads", jobs_run_on_threads},
    {"the steady state does not allocate", steady_state_does_not_allocate},
    {"survives lack of memory", survives_lack_of_memory},
};

const struct tap_suite vc_basic_suite = TAP_SUITE("basic", cases);

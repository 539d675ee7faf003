#include "config.h"
#include "pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "security/identity.h"
#include "tap.h"
#include "vc/tls.h"
#include "vectors.h"
#include "wspr/error.h"

static struct security_private *identities[2];
static struct rec_script script;
static struct vc_tls *tls;

/* The bytes of one flow of the first recorded session, in one direction. */
static struct buf recorded_stream(struct json_object *session, const char *dir, uint32_t flow)
{
    struct json_object *list = vec_get(session, "messages");
    struct buf out = BUF_INIT(SIZE_MAX);

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        struct vc_msg m;
        struct buf hex;
        struct span in;

        if (vec_str(o, "hex") == NULL || strcmp(vec_str(o, "dir"), dir) != 0)
            continue;
        hex = vec_hex(vec_str(o, "hex"));
        in = buf_span(&hex);
        if (vc_msg_next(&in, VC_MSG_BODY_MAX, &m, NULL, NULL) == 1 && m.kind == VC_MSG_DATA &&
            m.flow == flow)
            buf_append_span(&out, m.payload);
        buf_done(&hex);
    }
    return out;
}

void pair_setup(void)
{
    struct json_object *all = vectors_load("handshake_v2.json");
    struct json_object *s = json_object_array_get_idx(vec_get(all, "sessions"), 0);
    struct buf client = recorded_stream(s, "c2s", 10), server = recorded_stream(s, "s2c", 10);

    rec_script_load(&script, json_object_array_get_idx(vec_get(s, "tls"), 0), buf_span(&client),
                    buf_span(&server));
    buf_done(&client);
    buf_done(&server);
    json_object_put(all);
    if (security_private_new(span_str("alice"), &identities[0], NULL) < 0 ||
        security_private_new(span_str("bob"), &identities[1], NULL) < 0 ||
        vc_tls_new(false, &tls, NULL) < 0)
        exit(99);
}

void pair_teardown(void)
{
    rec_script_done(&script);
    vc_tls_free(tls);
    security_private_unref(identities[0]);
    security_private_unref(identities[1]);
}

struct security_private *pair_identity(int side)
{
    return identities[side];
}

const struct rec_script *pair_script(void)
{
    return &script;
}

/* ---- flows ---- */

static struct tflow *add_flow(struct end *e, struct vc_flow *flow)
{
    struct tflow *f = &e->flows[e->n_flows++];

    memset(f, 0, sizeof *f);
    f->end = e;
    f->flow = flow;
    f->consume = true;
    buf_init(&f->got, SIZE_MAX);
    return f;
}

static void on_data(void *arg, struct vc_flow *flow, struct span bytes)
{
    struct tflow *f = arg;

    TAP_IS(f->flow == flow && f->eofs == 0);
    f->datas++;
    f->received += bytes.len;
    if (!f->forget)
        buf_append_span(&f->got, bytes);
    if (f->consume)
        vc_flow_consumed(flow, bytes.len);
    if (f->echo)
        vc_flow_write(flow, bytes, NULL);
    if (f->end->on_data != NULL)
        f->end->on_data(f, bytes);
}

static void on_eof(void *arg, struct vc_flow *flow, const struct err *why)
{
    struct tflow *f = arg;

    TAP_IS(f->flow == flow && f->eofs == 0);
    f->eofs++;
    f->eof_code = why->code;
    snprintf(f->why, sizeof f->why, "%s", why->code != 0 ? err_text(why) : "");
    if (f->end->on_eof != NULL)
        f->end->on_eof(f);
    else if (f->echo)
        pair_close_flow(f);
}

static void on_writable(void *arg, struct vc_flow *flow)
{
    struct tflow *f = arg;

    TAP_IS(f->flow == flow);
    f->writables++;
    if (f->end->on_writable != NULL)
        f->end->on_writable(f);
}

static const struct vc_flow_ops flow_ops = {on_data, on_eof, on_writable};

/* ---- circuits ---- */

static void on_ready(void *arg, struct vc *vc)
{
    struct tvc *v = arg;

    TAP_IS(v->vc == vc && v->closeds == 0 && vc_state(vc) == VC_READY);
    v->readies++;
    if (v->end->on_ready != NULL)
        v->end->on_ready(v);
}

static void on_closed(void *arg, struct vc *vc, const struct err *why)
{
    struct tvc *v = arg;

    TAP_IS(v->vc == vc && v->closeds == 0 && vc_state(vc) == VC_CLOSED);
    v->closeds++;
    v->code = why->code;
    snprintf(v->why, sizeof v->why, "%s", err_text(why));
    if (v->end->on_closed != NULL)
        v->end->on_closed(v);
}

static int on_accept(void *arg, struct vc *vc, struct vc_flow *flow)
{
    struct tvc *v = arg;
    struct end *e = v->end;
    struct tflow *f;

    TAP_IS(v->vc == vc && vc_flow_vc(flow) == vc);
    if (e->refuse_flows || e->n_flows == PAIR_FLOWS)
        return WSPR_ELIMIT;
    f = add_flow(e, flow);
    e->n_accepted++;
    f->echo = e->echo;
    f->consume = e->consume;
    f->forget = e->forget;
    vc_flow_set_ops(flow, &flow_ops, f);
    if (e->on_accept != NULL)
        e->on_accept(f);
    return 0;
}

static const struct vc_ops vc_ops = {on_ready, on_closed, on_accept};

static struct vc_crypter *new_crypter(struct pair *p, bool opener)
{
    struct vc_crypter *c = NULL;

    switch (p->kind) {
    case PAIR_INSECURE:
        break;
    case PAIR_NULL:
        return vc_crypter_null_new();
    case PAIR_RECORDED:
        return rec_crypter_new(&script, opener);
    case PAIR_TLS:
        if (opener)
            vc_tls_opener(tls, &c, NULL);
        else
            vc_tls_acceptor(tls, &c, NULL);
        break;
    }
    return c;
}

static struct tvc *add_vc(struct end *e)
{
    struct tvc *v = &e->vcs[e->n_vcs++];

    memset(v, 0, sizeof *v);
    v->end = e;
    return v;
}

/* ---- connections ---- */

static void on_wake(void *arg)
{
    struct end *e = arg;

    e->woken = true;
    e->wakes++;
}

static void on_work(void *arg, struct vc_job *job)
{
    struct end *e = arg;

    if (e->pair->jobs == PAIR_JOBS_LATER && e->n_jobs < PAIR_JOBS) {
        e->jobs[e->n_jobs++] = job;
        return;
    }
    vc_job_run(job);
    vc_job_done(job);
}

static int on_accept_vc(void *arg, struct vc *vc, struct span dst, struct span src,
                        struct vc_accept *ret_how, struct err *err)
{
    struct end *e = arg;
    struct tvc *v;

    TAP_IS(dst.len > 0 && src.len > 0 && vc_state(vc) == VC_NEW && !vc_is_opener(vc));
    if (e->refuse_vcs < 0)
        return err_set(err, e->refuse_vcs, "refused by the test");
    if (e->n_vcs == PAIR_VCS)
        return WSPR_ELIMIT;
    v = add_vc(e);
    v->vc = vc;
    ret_how->security = e->pair->kind == PAIR_INSECURE ? VC_INSECURE : VC_SECURE;
    ret_how->crypter = new_crypter(e->pair, false);
    ret_how->identity = identities[e->side];
    ret_how->ops = &vc_ops;
    ret_how->arg = v;
    return 0;
}

static void on_failed(void *arg, const struct err *why)
{
    struct end *e = arg;

    TAP_IS(e->fails == 0 && why->code < 0);
    e->fails++;
    e->fail_code = why->code;
    snprintf(e->fail_text, sizeof e->fail_text, "%s", err_text(why));
    if (e->on_failed != NULL)
        e->on_failed(e);
}

static int on_message(void *arg, const struct vc_msg *m, struct err *err)
{
    struct end *e = arg;
    int r = e->on_message != NULL ? e->on_message(e, m) : 0;

    return r < 0 ? err_set(err, r, "the test does not like it") : r;
}

static const struct vc_vif_ops ops_inline = {on_wake, NULL, on_accept_vc, on_failed, on_message};
static const struct vc_vif_ops ops_jobs = {on_wake, on_work, on_accept_vc, on_failed, on_message};

bool pair_borrows;

bool pair_init(struct pair *p, enum pair_kind kind, const struct vc_limits *limits)
{
    static const uint8_t key[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    enum pair_jobs jobs = p->jobs;
    struct vc_limits l;

    memset(p, 0, sizeof *p);
    p->jobs = jobs;
    p->kind = kind;
    p->versions = 2;
    p->max = 65536;
    p->now = 1000;
    vc_limits_default(&l);
    if (limits != NULL)
        l = *limits;
    for (int i = 0; i < 2; i++) {
        struct end *e = &p->end[i];
        struct vc_vif_opts o = {.dialled = i == 0,
                                .accepting = i == 1,
                                .peer_borrows = pair_borrows,
                                .name = "(tcp, b) <-> (tcp, a)",
                                .now = p->now};

        e->pair = p;
        e->side = i;
        e->consume = true;
        buf_init(&e->wire, SIZE_MAX);
        buf_init(&e->log, SIZE_MAX);
        e->pool = vc_pool_new(&l, key);
        if (e->pool != NULL)
            e->vif = vc_vif_new(e->pool, &o, jobs == PAIR_JOBS_INLINE ? &ops_inline : &ops_jobs, e);
    }
    return p->end[0].vif != NULL && p->end[1].vif != NULL;
}

static void end_done(struct end *e)
{
    const struct vc_stats *s;

    e->on_data = NULL;
    e->on_eof = NULL;
    e->on_closed = NULL;
    e->on_failed = NULL;
    vc_vif_free(e->vif, NULL);
    for (unsigned i = 0; i < e->n_flows; i++) {
        if (e->flows[i].flow != NULL)
            vc_flow_close(e->flows[i].flow);
        buf_done(&e->flows[i].got);
    }
    for (unsigned i = 0; i < e->n_vcs; i++) {
        if (e->vcs[i].vc != NULL)
            vc_close(e->vcs[i].vc);
    }
    for (unsigned i = 0; i < e->n_jobs; i++) {
        vc_job_cancel(e->jobs[i]);
        vc_job_done(e->jobs[i]);
    }
    buf_done(&e->wire);
    buf_done(&e->log);
    if (e->pool == NULL)
        return;
    s = vc_pool_stats(e->pool);
    TAP_OK(s->vifs == 0 && s->vcs == 0 && s->flows == 0 && s->queued == 0 && s->held == 0 &&
               s->vcs_unready == 0,
           "side %d leaves %d vifs, %d circuits, %d flows, %d bytes", e->side, (int)s->vifs,
           (int)s->vcs, (int)s->flows, (int)s->queued);
    vc_pool_free(e->pool);
}

void pair_done(struct pair *p)
{
    end_done(&p->end[0]);
    end_done(&p->end[1]);
}

/* ---- moving bytes ---- */

void pair_collect(struct end *e)
{
    size_t before = e->wire.len;
    int r;

    if (e->vif == NULL)
        return;
    e->woken = false;
    r = vc_vif_output(e->vif, &e->wire, e->pair->max, e->pair->now);
    if (e->vif == NULL)
        return;
    TAP_IS(r >= 0 || r == WSPR_ENOMEM);
    e->more = r != 0;
    if (e->pair->keep_log && e->wire.len > before)
        buf_append(&e->log, buf_data(&e->wire) + before, e->wire.len - before);
}

int pair_inject(struct end *to, struct span bytes)
{
    int r = 0;

    while (bytes.len > 0 && to->vif != NULL) {
        size_t n = to->pair->piece > 0 && to->pair->piece < bytes.len ? to->pair->piece : bytes.len;
        uint8_t *copy = malloc(n); /* of exact size, and gone afterwards: for the sanitizer */

        if (copy == NULL)
            return WSPR_ENOMEM;
        memcpy(copy, bytes.p, n);
        r = vc_vif_input(to->vif, span_of(copy, n), to->pair->now);
        free(copy);
        bytes = span_of(bytes.p + n, bytes.len - n);
    }
    return r;
}

void pair_deliver(struct end *from)
{
    struct end *to = &from->pair->end[1 - from->side];
    struct buf bytes = from->wire;

    from->wire = BUF_INIT(SIZE_MAX);
    if (bytes.len > 0)
        pair_inject(to, buf_span(&bytes));
    buf_done(&bytes);
}

unsigned pair_finish_jobs(struct pair *p, bool run)
{
    unsigned n = 0;

    for (int i = 0; i < 2; i++) {
        struct end *e = &p->end[i];

        while (e->n_jobs > 0) {
            struct vc_job *job = e->jobs[--e->n_jobs];

            if (run)
                vc_job_run(job);
            else
                vc_job_cancel(job);
            vc_job_done(job);
            n++;
        }
    }
    return n;
}

bool pair_step(struct pair *p)
{
    bool moved = false;

    for (int i = 0; i < 2; i++) {
        struct end *e = &p->end[i];

        if (e->vif != NULL && (e->woken || e->more)) {
            pair_collect(e);
            moved = true;
        }
        moved = moved || e->wire.len > 0;
        pair_deliver(e);
    }
    return moved;
}

void pair_run(struct pair *p)
{
    unsigned rounds = 0;

    while (pair_step(p) && ++rounds < 100000)
        ;
    TAP_IS(rounds < 100000);
}

/* ---- the user's side ---- */

struct tvc *pair_open_vc(struct pair *p, int side, struct err *err)
{
    struct end *e = &p->end[side];
    char dst[80], src[80];
    struct vc_open how = {
        .security = p->kind == PAIR_INSECURE ? VC_INSECURE : VC_SECURE,
        .crypter = new_crypter(p, true),
        .identity = identities[side],
        .version = side == 0 ? p->force_version : 0,
        .ops = &vc_ops,
    };
    struct tvc *v = add_vc(e);

    snprintf(dst, sizeof dst, "@2@tcp@127.0.0.1:%d@0000000000000000000000000000555%d@1@%u@@",
             1000 + side, 1 - side, (unsigned)p->versions);
    snprintf(src, sizeof src, "@2@tcp@127.0.0.1:%d@0000000000000000000000000000555%d@1@2@@",
             2000 + side, side);
    how.dst = span_str(dst);
    how.src = span_str(src);
    how.arg = v;
    if (vc_open(e->vif, &how, &v->vc, err) < 0) {
        e->n_vcs--;
        return NULL;
    }
    return v;
}

struct tvc *pair_ready(struct pair *p)
{
    struct tvc *v = pair_open_vc(p, 0, NULL);

    pair_run(p);
    return v != NULL && v->vc != NULL && vc_state(v->vc) == VC_READY && p->end[1].n_vcs > 0 ? v
                                                                                            : NULL;
}

struct tflow *pair_open_flow(struct tvc *v, struct err *err)
{
    struct tflow *f;

    if (v->end->n_flows == PAIR_FLOWS)
        return NULL;
    f = add_flow(v->end, NULL);
    if (vc_flow_open(v->vc, &flow_ops, f, &f->flow, err) < 0) {
        v->end->n_flows--;
        return NULL;
    }
    return f;
}

int pair_write(struct tflow *f, const char *text)
{
    return vc_flow_write(f->flow, span_str(text), NULL);
}

static uint8_t pattern(size_t at, unsigned seed)
{
    return (uint8_t)((at * 2654435761u >> 7) + seed * 31);
}

int pair_write_pattern(struct tflow *f, size_t n, unsigned seed)
{
    uint8_t *p = malloc(n > 0 ? n : 1);
    int r = WSPR_ENOMEM;

    if (p == NULL)
        return r;
    for (size_t i = 0; i < n; i++)
        p[i] = pattern(i, seed);
    r = vc_flow_write(f->flow, span_of(p, n), NULL);
    free(p);
    return r;
}

bool pair_is_pattern(struct span s, size_t at, unsigned seed)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] != pattern(at + i, seed))
            return false;
    }
    return true;
}

struct tflow *pair_accepted(struct end *e, unsigned i)
{
    TAP_OK(i < e->n_flows, "flow %u of %u", i, e->n_flows);
    return &e->flows[i];
}

struct tally pair_tally(struct span said, enum vc_msg_kind kind, uint32_t flow)
{
    struct tally t = {0};
    struct vc_msg m;

    while (vc_msg_next(&said, VC_MSG_BODY_MAX, &m, NULL, NULL) == 1) {
        struct vc_counter c;
        bool any = flow == PAIR_ANY || m.flow == flow;

        while (m.kind == VC_MSG_CREDIT && vc_counters_next(&m.counters, &c)) {
            if (flow == PAIR_ANY || c.flow == flow)
                t.granted += c.bytes;
        }
        if (m.kind != kind || (!any && m.kind != VC_MSG_CREDIT))
            continue;
        t.n++;
        t.closes += m.kind == VC_MSG_DATA && (m.flags & VC_FLAG_CLOSE) != 0;
        t.payload += m.payload.len;
    }
    TAP_IS(said.len == 0);
    return t;
}

int pair_say(struct end *to, const struct vc_msg *m)
{
    struct buf b = BUF_INIT(SIZE_MAX);
    int r;

    vc_msg_put(&b, m);
    r = pair_inject(to, buf_span(&b));
    buf_done(&b);
    return r;
}

int pair_say_credit(struct end *to, uint32_t vci, uint32_t flow, uint32_t bytes)
{
    struct vc_counter c = {vci, flow, bytes};
    struct buf b = BUF_INIT(SIZE_MAX);
    int r;

    vc_msg_put_credit(&b, &c, 1);
    r = pair_inject(to, buf_span(&b));
    buf_done(&b);
    return r;
}

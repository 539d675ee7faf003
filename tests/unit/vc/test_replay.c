#include "config.h"

/*
 * The recordings, played: the engine takes the place of one end of a recorded connection, with the
 * recorded random numbers and keys. It is fed what the other end said, its user does what the
 * recorded user did, and what it says is compared: key exchange byte by byte, the rest by its
 * meaning.
 */

#include <stdio.h>
#include <stdlib.h>

#include "failmalloc.h"
#include "security/channel.h"
#include "session.h"
#include "vc/vif.h"
#include "vc_tests.h"
#include "vectors.h"
#include "wspr/error.h"

#define PLAY_FLOWS 32

struct play_flow {
    uint32_t vci, id;
    struct vc_flow *flow;
    struct buf got;
};

struct play {
    struct session *s;
    const char *conn;
    int dir; /* in which our bytes go */
    struct vc_pool *pool;
    struct vc_vif *vif;
    struct vc *vcs[SESSION_VCS];
    size_t n_vcs;
    struct play_flow flows[PLAY_FLOWS];
    size_t n_flows;
    struct buf log;
    unsigned readies, closeds;
    char why[256]; /* of the last circuit that ended */
};

static const uint8_t hash_key[16] = {7};

/* Circuits that only pass through: a relay handles them, see test_relay.c. */
static bool passes_through(const struct play *p, uint32_t vci)
{
    return strcmp(p->conn, "server-proxy") == 0 && p->dir == S2C && vci == 11;
}

/* ---- the user ---- */

static void on_data(void *arg, struct vc_flow *flow, struct span bytes)
{
    struct play_flow *f = arg;

    buf_append_span(&f->got, bytes);
    vc_flow_consumed(flow, bytes.len);
}

static const struct vc_flow_ops flow_ops = {.data = on_data};

static struct play_flow *find_flow(struct play *p, uint32_t vci, uint32_t id)
{
    for (size_t i = 0; i < p->n_flows; i++) {
        if (p->flows[i].vci == vci && p->flows[i].id == id)
            return &p->flows[i];
    }
    return NULL;
}

static struct play_flow *add_flow(struct play *p, uint32_t vci, uint32_t id)
{
    struct play_flow *f = &p->flows[p->n_flows++];

    f->vci = vci;
    f->id = id;
    buf_init(&f->got, SIZE_MAX);
    return f;
}

static int on_accept(void *arg, struct vc *vc, struct vc_flow *flow)
{
    struct play *p = arg;
    struct play_flow *f = add_flow(p, vc_id(vc), vc_flow_id(flow));

    f->flow = flow;
    vc_flow_set_ops(flow, &flow_ops, f);
    return 0;
}

static void on_ready(void *arg, struct vc *vc)
{
    struct play *p = arg;
    struct session_vc *v = session_vc(p->s, p->conn, vc_id(vc));

    p->readies++;
    TAP_IS((vc_peer(vc) != NULL) == (v != NULL));
}

static void on_closed(void *arg, struct vc *vc, const struct err *why)
{
    struct play *p = arg;

    (void)vc;
    p->closeds++;
    snprintf(p->why, sizeof p->why, "%s", err_text(why));
}

static const struct vc_ops vc_ops = {on_ready, on_closed, on_accept};

/* The identity that our end presented, from our identity message of the recording. */
static struct security_private *our_identity(struct play *p, uint32_t vci)
{
    for (size_t i = 0; i < p->s->n_msgs; i++) {
        const struct session_msg *m = &p->s->msgs[i];
        struct json_object *im = m->end ? NULL : vec_get(m->decoded, "identity_message");
        struct security_private *id;
        struct buf vom;

        if (im == NULL || m->dir != p->dir || m->m.vci != vci || strcmp(m->conn, p->conn) != 0)
            continue;
        vom = vec_hex(vec_str(vec_get(im, "fields_plain"), "ID"));
        id = session_private(p->s, buf_span(&vom));
        buf_done(&vom);
        return id;
    }
    return NULL;
}

static int on_accept_vc(void *arg, struct vc *vc, struct span dst, struct span src,
                        struct vc_accept *ret_how, struct err *e)
{
    struct play *p = arg;
    struct session_vc *v = session_vc(p->s, p->conn, vc_id(vc));

    (void)dst, (void)src, (void)e;
    p->vcs[p->n_vcs++] = vc;
    ret_how->security = v != NULL ? VC_SECURE : VC_INSECURE;
    ret_how->crypter = v != NULL ? rec_crypter_new(&v->script, false) : NULL;
    ret_how->identity = v != NULL ? our_identity(p, vc_id(vc)) : NULL;
    ret_how->ops = &vc_ops;
    ret_how->arg = p;
    return 0;
}

/* The engine took a reference of its own. */
static void drop_identity(struct vc *vc)
{
    security_private_unref(vc_identity(vc));
}

static const struct vc_vif_ops vif_ops = {.accept_vc = on_accept_vc};

static struct vc *find_vc(struct play *p, uint32_t vci)
{
    for (size_t i = 0; i < p->n_vcs; i++) {
        if (p->vcs[i] != NULL && vc_id(p->vcs[i]) == vci)
            return p->vcs[i];
    }
    return NULL;
}

static void play_open_vc(struct play *p, const struct vc_msg *m)
{
    struct session_vc *v = session_vc(p->s, p->conn, m->vci);
    /* A circuit that was refused has no secrets on record; any will do. */
    struct session_vc *any = v != NULL ? v : p->s->n_vcs > 0 ? &p->s->vcs[0] : NULL;
    struct security_private *id = v != NULL ? our_identity(p, m->vci) : NULL;
    struct vc_open how = {.dst = m->dst, .src = m->src, .ops = &vc_ops, .arg = p};
    struct err e = ERR_INIT;

    how.security = any != NULL ? VC_SECURE : VC_INSECURE;
    if (any != NULL) {
        how.crypter = rec_crypter_new(&any->script, true);
        if (id == NULL)
            security_private_new(span_str("nobody"), &id, NULL);
        how.identity = id;
    }
    TAP_OK(vc_open(p->vif, &how, &p->vcs[p->n_vcs], &e) == 0, "%s", err_text(&e));
    err_done(&e);
    p->n_vcs++;
    if (any != NULL)
        security_private_ref(id); /* as for the accepted ones */
    security_private_unref(id);
}

static void play_data(struct play *p, const struct session_msg *m)
{
    struct play_flow *f = find_flow(p, m->m.vci, m->m.flow);
    struct buf plain = BUF_INIT(SIZE_MAX);

    TAP_OK(f != NULL, "%s %s: no flow %u", p->s->name, p->conn, (unsigned)m->m.flow);
    if (f == NULL)
        return;
    if (m->m.payload.len > 0) {
        session_plaintext(m, &plain);
        TAP_IS(vc_flow_write(f->flow, buf_span(&plain), NULL) >= 0);
    }
    if ((m->m.flags & VC_FLAG_CLOSE) &&
        f->flow != NULL) { /* the reference says it twice at times */
        vc_flow_close(f->flow);
        f->flow = NULL;
    }
    buf_done(&plain);
}

/* What the recorded user did. */
static void play_ours(struct play *p, const struct session_msg *m)
{
    struct session_vc *v = session_vc(p->s, p->conn, m->m.vci);
    bool raw = v != NULL && (m->m.flow == v->kx_flow || m->m.flow == v->auth_flow);
    struct vc *vc = find_vc(p, m->m.vci);
    struct play_flow *f;

    switch (m->m.kind) {
    case VC_MSG_OPEN_VC:
        play_open_vc(p, &m->m);
        break;
    case VC_MSG_CLOSE_VC:
        for (size_t i = 0; i < p->n_vcs; i++) {
            if (p->vcs[i] == vc)
                p->vcs[i] = NULL;
        }
        drop_identity(vc);
        vc_abort(vc, "");
        break;
    case VC_MSG_CREDIT:
        break;
    case VC_MSG_OPEN_FLOW:
        /* The circuit that was refused had no time for more than its first. */
        if (raw || (v == NULL && p->s->n_vcs > 0))
            break;
        f = add_flow(p, m->m.vci, m->m.flow);
        TAP_IS(vc_flow_open(vc, &flow_ops, f, &f->flow, NULL) == 0);
        TAP_IS(f->flow != NULL && vc_flow_id(f->flow) == m->m.flow);
        break;
    case VC_MSG_DATA:
        if (!raw)
            play_data(p, m);
        break;
    }
}

/* ---- comparing ---- */

static bool ours(const struct play *p, const struct session_msg *m)
{
    return !m->end && m->dir == p->dir && strcmp(m->conn, p->conn) == 0 &&
           !passes_through(p, m->m.vci);
}

/* All of our Data on one flow, joined; from the recording or from the log. */
static struct buf joined(const struct play *p, bool recorded, uint32_t vci, uint32_t flow,
                         bool *ret_closed)
{
    struct buf out = BUF_INIT(SIZE_MAX);
    struct span in = buf_span(&p->log);
    struct vc_msg m;
    size_t i = 0;

    *ret_closed = false;
    for (;;) {
        if (recorded) {
            while (i < p->s->n_msgs && !ours(p, &p->s->msgs[i]))
                i++;
            if (i == p->s->n_msgs)
                return out;
            m = p->s->msgs[i++].m;
        } else if (vc_msg_next(&in, VC_MSG_BODY_MAX, &m, NULL, NULL) != 1) {
            TAP_IS(in.len == 0);
            return out;
        }
        if (m.kind != VC_MSG_DATA || m.vci != vci || m.flow != flow)
            continue;
        buf_append_span(&out, m.payload);
        *ret_closed |= (m.flags & VC_FLAG_CLOSE) != 0;
    }
}

/* Messages that must be the same, in the same order for each circuit. */
static size_t control_of(const struct play *p, bool recorded, struct vc_msg *out, size_t max)
{
    struct span in = buf_span(&p->log);
    struct vc_msg m;
    size_t n = 0;

    if (!recorded) {
        while (n < max && vc_msg_next(&in, VC_MSG_BODY_MAX, &m, NULL, NULL) == 1) {
            if (m.kind != VC_MSG_DATA && m.kind != VC_MSG_CREDIT)
                out[n++] = m;
        }
        return n;
    }
    for (size_t i = 0; i < p->s->n_msgs && n < max; i++) {
        m = p->s->msgs[i].m;
        if (ours(p, &p->s->msgs[i]) && m.kind != VC_MSG_DATA && m.kind != VC_MSG_CREDIT)
            out[n++] = m;
    }
    return n;
}

static int by_circuit(const void *a, const void *b)
{
    const struct vc_msg *x = a, *y = b;

    if (x->vci != y->vci)
        return x->vci < y->vci ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->flow < y->flow ? -1 : x->flow > y->flow;
}

static void compare_control(const struct play *p)
{
    struct vc_msg a[64], b[64];
    size_t n = control_of(p, true, a, 64), k = control_of(p, false, b, 64);

    qsort(a, n, sizeof a[0], by_circuit);
    qsort(b, k, sizeof b[0], by_circuit);
    TAP_OK(n == k, "%s %s: %zu control messages, %zu recorded", p->s->name, p->conn, k, n);
    for (size_t i = 0; i < n && i < k; i++) {
        struct buf x = BUF_INIT(SIZE_MAX), y = BUF_INIT(SIZE_MAX);

        vc_msg_put(&x, &a[i]);
        vc_msg_put(&y, &b[i]);
        TAP_OK(span_equal(buf_span(&x), buf_span(&y)), "%s %s: control message %zu", p->s->name,
               p->conn, i);
        buf_done(&x);
        buf_done(&y);
    }
}

/* The sum of what was granted on one flow. */
static uint64_t granted(const struct play *p, bool recorded, uint32_t vci, uint32_t flow)
{
    struct span in = buf_span(&p->log);
    struct vc_counter c;
    uint64_t sum = 0;
    struct vc_msg m;
    size_t i = 0;

    for (;;) {
        if (recorded) {
            while (i < p->s->n_msgs && !ours(p, &p->s->msgs[i]))
                i++;
            if (i == p->s->n_msgs)
                return sum;
            m = p->s->msgs[i++].m;
        } else if (vc_msg_next(&in, VC_MSG_BODY_MAX, &m, NULL, NULL) != 1) {
            return sum;
        }
        while (m.kind == VC_MSG_CREDIT && vc_counters_next(&m.counters, &c))
            sum += c.vci == vci && c.flow == flow ? c.bytes : 0;
    }
}

/* We do not give credit to a flow that has ended, the reference does if it happens to read late. */
static void compare_credit(const struct play *p, uint32_t vci, uint32_t flow, bool exact)
{
    uint64_t a = granted(p, true, vci, flow), b = granted(p, false, vci, flow);

    TAP_OK(exact ? a == b : b <= a && (a < 1048576 || b >= 1048576),
           "%s %s: credit of %u on flow %u of %u, recorded %u", p->s->name, p->conn, (unsigned)b,
           (unsigned)flow, (unsigned)vci, (unsigned)a);
}

static void open_field(struct rec_half *h, struct span sealed, struct json_object *plains,
                       const char *key)
{
    struct buf plain = BUF_INIT(SIZE_MAX);
    bool same = rec_half_open_all(h, sealed, &plain) == 0;

    if (same && plains != NULL) {
        struct buf expect = vec_hex(vec_str(plains, key));

        same = span_equal(buf_span(&plain), buf_span(&expect));
        buf_done(&expect);
    }
    TAP_OK(same, "field %s", key);
    buf_done(&plain);
}

/* Our identity message; advances the cipher to where payloads begin. */
static void compare_identity(const struct play *p, struct session_vc *v, struct rec_half *h,
                             struct span message)
{
    struct security_channel_message m;
    struct json_object *plains = NULL;
    size_t used;

    for (size_t i = 0; i < p->s->n_msgs; i++) {
        const struct session_msg *sm = &p->s->msgs[i];

        if (ours(p, sm) && sm->m.vci == v->vci && vec_get(sm->decoded, "identity_message") != NULL)
            plains = vec_get(vec_get(sm->decoded, "identity_message"), "fields_plain");
    }
    TAP_IS(plains != NULL && security_channel_decode(message, &m, &used, NULL) == 0 &&
           used == message.len);
    if (plains == NULL)
        return;
    open_field(h, m.channel_id, plains, "ChannelID");
    open_field(h, m.id, plains, "ID");
    /* Signatures differ each time. That they verify is checked engine against engine. */
    TAP_IS((m.signature.len > 0) == (vec_str(plains, "Signature") != NULL));
    open_field(h, m.sign_r, NULL, "SignR");
    open_field(h, m.sign_s, NULL, "SignS");
    open_field(h, m.signature, NULL, "Signature");
}

/* The payloads of all our application flows, opened in the order of the wire, then compared flow by
 * flow. */
static void compare_payloads(const struct play *p, struct session_vc *v, struct rec_half *h)
{
    struct span in = buf_span(&p->log);
    struct buf said[PLAY_FLOWS];
    struct vc_msg m;

    for (size_t i = 0; i < PLAY_FLOWS; i++)
        buf_init(&said[i], SIZE_MAX);
    while (vc_msg_next(&in, VC_MSG_BODY_MAX, &m, NULL, NULL) == 1) {
        size_t i = m.flow / 2 % PLAY_FLOWS;

        if (m.kind != VC_MSG_DATA || m.vci != v->vci || m.flow == v->kx_flow ||
            m.flow == v->auth_flow)
            continue;
        TAP_IS(rec_half_open_all(h, m.payload, &said[i]) == 0);
    }
    for (size_t k = 0; k < p->s->n_msgs; k++) {
        const struct session_msg *sm = &p->s->msgs[k];
        struct buf plain = BUF_INIT(SIZE_MAX), *b = &said[sm->m.flow / 2 % PLAY_FLOWS];

        if (!ours(p, sm) || sm->m.kind != VC_MSG_DATA || sm->m.vci != v->vci ||
            sm->m.payload.len == 0 || sm->m.flow == v->kx_flow || sm->m.flow == v->auth_flow)
            continue;
        session_plaintext(sm, &plain);
        TAP_OK(b->len >= plain.len && memcmp(buf_data(b), buf_data(&plain), plain.len) == 0,
               "%s %s: payload of message %zu", p->s->name, p->conn, k);
        buf_consume(b, plain.len);
        buf_done(&plain);
    }
    for (size_t i = 0; i < PLAY_FLOWS; i++) {
        TAP_IS(said[i].len == 0);
        buf_done(&said[i]);
    }
}

static void compare_vc(const struct play *p, struct session_vc *v)
{
    bool end_a, end_b, opener = v->opener == p->dir;
    struct rec_half h;
    const uint8_t *k = v->script.keys;
    struct buf a = joined(p, true, v->vci, v->kx_flow, &end_a);
    struct buf b = joined(p, false, v->vci, v->kx_flow, &end_b), fin = BUF_INIT(100);
    struct span last;

    TAP_OK(span_equal(buf_span(&a), buf_span(&b)) && end_a == end_b,
           "%s %s %u: key exchange differs", p->s->name, p->conn, (unsigned)v->vci);
    /* Finished is the last record. */
    rec_half_init(&h, opener ? k : k + 20, opener ? k + 40 : k + 56);
    last = span_of(buf_data(&b) + b.len - 41, 41);
    TAP_IS(rec_half_open(&h, &last, &fin) == 22);
    buf_done(&a);
    buf_done(&b);
    buf_done(&fin);
    b = joined(p, true, v->vci, v->auth_flow, &end_a);
    buf_done(&b);
    b = joined(p, false, v->vci, v->auth_flow, &end_b);
    TAP_IS(end_a == end_b);
    compare_identity(p, v, &h, buf_span(&b));
    buf_done(&b);
    compare_payloads(p, v, &h);
    compare_credit(p, v->vci, 0, true);
    compare_credit(p, v->vci, v->kx_flow, false);
    compare_credit(p, v->vci, v->auth_flow, false);
}

/* What the recorded user got, and whether its flows were closed alike. */
static void compare_flow(const struct play *p, const struct play_flow *f)
{
    struct buf expect = BUF_INIT(SIZE_MAX), a, b;
    bool end_a, end_b;

    for (size_t i = 0; i < p->s->n_msgs; i++) {
        const struct session_msg *m = &p->s->msgs[i];
        struct buf plain = BUF_INIT(SIZE_MAX);

        if (m->end || m->dir == p->dir || strcmp(m->conn, p->conn) != 0 ||
            m->m.kind != VC_MSG_DATA || m->m.vci != f->vci || m->m.flow != f->id ||
            m->m.payload.len == 0)
            continue;
        session_plaintext(m, &plain);
        buf_append_span(&expect, buf_span(&plain));
        buf_done(&plain);
    }
    TAP_OK(span_equal(buf_span(&expect), buf_span(&f->got)), "%s %s: flow %u got %zu of %zu",
           p->s->name, p->conn, (unsigned)f->id, f->got.len, expect.len);
    a = joined(p, true, f->vci, f->id, &end_a);
    b = joined(p, false, f->vci, f->id, &end_b);
    TAP_OK(end_a == end_b, "%s %s: flow %u is closed: %d, recorded %d", p->s->name, p->conn,
           (unsigned)f->id, end_b, end_a);
    compare_credit(p, f->vci, f->id, false);
    buf_done(&a);
    buf_done(&b);
    buf_done(&expect);
}

/* ---- playing ---- */

static void play_done(struct play *p)
{
    vc_vif_free(p->vif, NULL);
    for (size_t i = 0; i < p->n_flows; i++) {
        vc_flow_close(p->flows[i].flow);
        buf_done(&p->flows[i].got);
    }
    for (size_t i = 0; i < p->n_vcs; i++) {
        if (p->vcs[i] != NULL)
            drop_identity(p->vcs[i]);
        vc_close(p->vcs[i]);
    }
    TAP_IS(vc_pool_stats(p->pool)->vifs == 0);
    vc_pool_free(p->pool);
    buf_done(&p->log);
}

/* One end of one connection. Returns how many circuits it compared. */
static unsigned play_end(struct session *s, const char *conn, int dir, size_t piece)
{
    struct vc_vif_opts o = {.dialled = dir == C2S, .accepting = true};
    struct play p = {.s = s, .conn = conn, .dir = dir};
    struct vc_limits l;
    unsigned n = 0;

    vc_limits_default(&l);
    l.credit_delay = 0;
    l.answer_close = true;
    p.pool = vc_pool_new(&l, hash_key);
    p.vif = vc_vif_new(p.pool, &o, &vif_ops, &p);
    buf_init(&p.log, SIZE_MAX);
    for (size_t i = 0; i < s->n_msgs; i++) {
        const struct session_msg *m = &s->msgs[i];
        struct span in = buf_span(&m->hex);

        if (strcmp(m->conn, conn) != 0 || (!m->end && passes_through(&p, m->m.vci)))
            continue;
        if (m->end)
            break;
        if (m->dir == dir)
            play_ours(&p, m);
        while (m->dir != dir && in.len > 0) {
            size_t k = piece > 0 && piece < in.len ? piece : in.len;

            TAP_IS(vc_vif_input(p.vif, span_of(in.p, k), 0) == 0);
            in = span_of(in.p + k, in.len - k);
        }
        while (vc_vif_output(p.vif, &p.log, 65536) > 0)
            ;
    }
    compare_control(&p);
    for (size_t i = 0; i < s->n_vcs; i++) {
        if (strcmp(s->vcs[i].conn, conn) != 0 || passes_through(&p, s->vcs[i].vci))
            continue;
        compare_vc(&p, &s->vcs[i]);
        n++;
    }
    for (size_t i = 0; i < p.n_flows; i++)
        compare_flow(&p, &p.flows[i]);
    TAP_OK(p.readies == n + (s->n_vcs == 0), "%s %s: %u ready", s->name, conn, p.readies);
    if (strcmp(conn, "client-proxy#2") == 0)
        TAP_OK(strncmp(p.why,
                       "VC handshake failed: remote end closed VC(no server with routing id "
                       "00000000000000000000000000007777 is being proxied)",
                       sizeof p.why) == 0,
               "%s", p.why);
    play_done(&p);
    return n;
}

static void play_sessions(int dir, size_t piece)
{
    struct json_object *all = vectors_load("handshake_v2.json"), *list = vec_get(all, "sessions");
    unsigned ends = 0, vcs = 0, relays = 0;

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        const char *done[8];
        size_t n_done = 0;
        struct session s;

        session_load(&s, json_object_array_get_idx(list, i));
        for (size_t k = 0; k < s.n_msgs; k++) {
            const char *conn = s.msgs[k].conn;
            bool seen = false;

            for (size_t j = 0; j < n_done; j++)
                seen |= strcmp(done[j], conn) == 0;
            if (seen || n_done == 8)
                continue;
            done[n_done++] = conn;
            if (dir == S2C && strncmp(conn, "client-proxy", 12) == 0) {
                relays++; /* nothing ends here: test_relay.c */
                continue;
            }
            vcs += play_end(&s, conn, dir, piece);
            ends++;
        }
        session_done(&s);
    }
    TAP_IS(ends + relays == 11 && relays == (dir == S2C ? 2 : 0));
    tap_note(
        "handshake_v2.json, as %s of the connections: %u ends, %u secured circuits, %u ends of "
        "relays left to the relay's tests",
        dir == C2S ? "opener" : "acceptor", ends, vcs, relays);
    json_object_put(all);
}

static void as_the_opener(void)
{
    play_sessions(C2S, 0);
}

static void as_the_acceptor(void)
{
    play_sessions(S2C, 0);
}

static void in_pieces(void)
{
    play_sessions(C2S, 1);
    play_sessions(S2C, 7);
}

static const struct tap_case cases[] = {
    {"as the opener", as_the_opener},
    {"as the acceptor", as_the_acceptor},
    {"in pieces", in_pieces},
};

const struct tap_suite vc_replay_suite = TAP_SUITE("replay", cases);

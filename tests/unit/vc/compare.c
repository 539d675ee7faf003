#include "config.h"

/* Compares what the engine said with what the recording has in its place. */

#include <stdlib.h>

#include "play.h"
#include "security/channel.h"
#include "vc_tests.h"
#include "vectors.h"

bool play_passes_through(const struct play *p, uint32_t vci)
{
    return strcmp(p->conn, "server-proxy") == 0 && p->dir == S2C && vci == 11;
}

static bool ours(const struct play *p, const struct session_msg *m)
{
    return !m->end && m->dir == p->dir && strcmp(m->conn, p->conn) == 0 &&
           !play_passes_through(p, m->m.vci);
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

unsigned play_compare(const struct play *p)
{
    unsigned n = 0;

    compare_control(p);
    for (size_t i = 0; i < p->s->n_vcs; i++) {
        struct session_vc *v = &p->s->vcs[i];

        if (strcmp(v->conn, p->conn) != 0 || play_passes_through(p, v->vci))
            continue;
        compare_vc(p, v);
        n++;
    }
    for (size_t i = 0; i < p->n_flows; i++)
        compare_flow(p, &p->flows[i]);
    return n;
}

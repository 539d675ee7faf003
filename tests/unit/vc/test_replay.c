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
#include "play.h"
#include "vc_tests.h"
#include "vectors.h"
#include "wspr/error.h"

static const uint8_t hash_key[16] = {7};

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

        if (strcmp(m->conn, conn) != 0 || (!m->end && play_passes_through(&p, m->m.vci)))
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
        while (vc_vif_output(p.vif, &p.log, 65536, 0) > 0)
            ;
    }
    n = play_compare(&p);
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

#include "config.h"

/*
 * The recordings, read along: every message is decoded and compared with what the recording says
 * about it, everything sealed is opened with the recorded secrets, every identity is verified.
 */

#include <nettle/sha2.h>

#include "naming/endpoint.h"
#include "security/channel.h"
#include "session.h"
#include "vc_tests.h"
#include "vectors.h"
#include "wspr/error.h"

static struct {
    unsigned messages, records, identities, payloads;
} ran;

static bool hex_is(struct json_object *o, const char *key, struct span s)
{
    const char *hex = vec_str(o, key);
    struct buf b;
    bool same;

    if (hex == NULL)
        return s.len == 0;
    b = vec_hex(hex);
    same = span_equal(buf_span(&b), s);
    buf_done(&b);
    return same;
}

/* ---- records of the test crypter ---- */

static struct buf plain_of(struct json_object *v)
{
    struct buf b = BUF_INIT(SIZE_MAX);

    if (vec_str(v, "plaintext") != NULL)
        return vec_hex(vec_str(v, "plaintext"));
    for (int64_t i = 0; i < vec_int(v, "plaintext_len"); i++)
        buf_u8(&b, (uint8_t)(i % 251));
    return b;
}

static bool sealed_is(struct json_object *v, const struct buf *sealed)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx h;

    if (sealed->len != (size_t)vec_int(v, "ciphertext_len"))
        return false;
    if (vec_str(v, "ciphertext") != NULL)
        return hex_is(v, "ciphertext", buf_span(sealed));
    sha256_init(&h);
    sha256_update(&h, sealed->len, buf_data(sealed));
    sha256_digest(&h, sizeof digest, digest);
    return hex_is(v, "ciphertext_sha256", span_of(digest, sizeof digest));
}

static void run_payload(struct json_object *v, struct rec_half *seal, struct rec_half *open)
{
    struct buf plain = plain_of(v), sealed = BUF_INIT(SIZE_MAX), again = BUF_INIT(SIZE_MAX);
    int id = (int)vec_int(v, "id");

    rec_half_seal_all(seal, buf_span(&plain), &sealed);
    TAP_OK(sealed_is(v, &sealed), "payload %d", id);
    TAP_OK(rec_half_open_all(open, buf_span(&sealed), &again) == 0 &&
               span_equal(buf_span(&plain), buf_span(&again)),
           "payload %d opens", id);
    buf_done(&plain);
    buf_done(&sealed);
    buf_done(&again);
}

/* As after the handshake: Finished was record 0, with 36 bytes of key stream. */
static void half_after_handshake(struct rec_half *h, struct json_object *keys, const char *mac,
                                 const char *key)
{
    struct buf m = vec_hex(vec_str(keys, mac)), k = vec_hex(vec_str(keys, key));
    uint8_t skip[36] = {0};

    rec_half_init(h, buf_data(&m), buf_data(&k));
    arcfour_crypt(&h->rc4, sizeof skip, skip, skip);
    h->seq = 1;
    buf_done(&m);
    buf_done(&k);
}

static void records_are_those_of_the_reference(void)
{
    struct json_object *all = vectors_load("stream.json"), *list = vec_get(all, "vectors");
    struct rec_half half[2][2];
    unsigned n = 0, keys = 0;

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *v = json_object_array_get_idx(list, i);

        if (strcmp(vec_str(v, "kind"), "tls_keys") == 0) {
            for (int use = 0; use < 2; use++) {
                half_after_handshake(&half[use][C2S], v, "client_mac_key", "client_rc4_key");
                half_after_handshake(&half[use][S2C], v, "server_mac_key", "server_rc4_key");
            }
            keys++;
        } else if (strcmp(vec_str(v, "kind"), "tls_payload") == 0) {
            int d = strcmp(vec_str(v, "dir"), "c2s") == 0 ? C2S : S2C;

            run_payload(v, &half[0][d], &half[1][d]);
            n++;
        }
    }
    TAP_IS(keys == 1 && n == 14);
    tap_note("stream.json tls_keys: %u, tls_payload: %u", keys, n);
    json_object_put(all);
}

/* ---- messages ---- */

static bool endpoint_is(struct json_object *o, const char *key, struct span raw)
{
    struct naming_endpoint ep;
    char text[NAMING_ENDPOINT_TEXT_MAX];

    return naming_endpoint_parse(raw, &ep, NULL) == 0 &&
           span_equal_str(span_of(text, naming_endpoint_text(&ep, text)), vec_str(o, key));
}

/* Every counter of the recording is in the message, and their number is the same. */
static bool counters_are(struct json_object *list, const struct vc_counters *counters)
{
    size_t n = list != NULL ? json_object_array_length(list) : 0;

    for (size_t i = 0; i < n; i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        struct vc_counters c = *counters;
        struct vc_counter one;
        bool found = false;

        while (vc_counters_next(&c, &one))
            found |= one.vci == vec_int(o, "vci") && one.flow == vec_int(o, "flow") &&
                     one.bytes == vec_int(o, "bytes");
        if (!found)
            return false;
    }
    return n == counters->n;
}

static bool message_is(const struct session_msg *sm)
{
    static const char *const names[] = {"OpenVC", "CloseVC", "AddReceiveBuffers", "OpenFlow",
                                        "Data"};
    const struct vc_msg *m = &sm->m;
    struct json_object *d = sm->decoded;

    if (strcmp(names[m->kind], vec_str(d, "msg")) != 0 || m->vci != vec_int(d, "vci") ||
        m->flow != vec_int(d, "flow") || m->bytes != vec_int(d, "initial_counters") ||
        m->flags != vec_int(d, "flags") || !counters_are(vec_get(d, "counters"), &m->counters))
        return false;
    if (m->kind == VC_MSG_OPEN_VC)
        return endpoint_is(d, "dst", m->dst) && endpoint_is(d, "src", m->src);
    if (m->kind == VC_MSG_CLOSE_VC)
        return span_equal_str(m->text, vec_str(d, "error"));
    return m->kind != VC_MSG_DATA || m->payload.len == (size_t)vec_int(d, "payload_len");
}

/* ---- records ---- */

static void check_record(struct session_vc *v, int dir, struct json_object *o, struct span *wire)
{
    struct buf plain = BUF_INIT(SIZE_MAX);
    struct json_object *msgs = vec_get(o, "messages");
    struct span rest;
    int type;

    TAP_IS(wire->len >= 5);
    if (wire->len < 5)
        return;
    type = wire->p[0];
    TAP_IS(v->kx_sealed[dir] == (bool)vec_bool(o, "encrypted") || type == 20);
    if (v->kx_sealed[dir]) {
        TAP_IS(rec_half_open(&v->half[dir], wire, &plain) == 22);
        TAP_IS(hex_is(o, "plaintext_hex", buf_span(&plain)));
    } else {
        size_t n = (size_t)wire->p[3] << 8 | wire->p[4];

        buf_append(&plain, wire->p + 5, n);
        *wire = span_of(wire->p + 5 + n, wire->len - 5 - n);
        v->kx_sealed[dir] = type == 20;
    }
    rest = buf_span(&plain);
    for (size_t i = 0; msgs != NULL && i < json_object_array_length(msgs); i++) {
        struct json_object *h = json_object_array_get_idx(msgs, i);
        size_t n = 4 + (size_t)vec_int(h, "length");

        TAP_IS(n <= rest.len);
        if (n > rest.len)
            break;
        if (vec_str(h, "hex") != NULL)
            TAP_IS(hex_is(h, "hex", span_of(rest.p, n)));
        rest = span_of(rest.p + n, rest.len - n);
    }
    TAP_IS(type == 20 || rest.len == 0);
    ran.records++;
    buf_done(&plain);
}

static void check_kx(struct session_vc *v, const struct session_msg *m)
{
    struct json_object *list = vec_get(m->decoded, "tls_records");
    struct span wire = m->m.payload;

    for (size_t i = 0; list != NULL && i < json_object_array_length(list); i++)
        check_record(v, m->dir, json_object_array_get_idx(list, i), &wire);
    TAP_IS(wire.len == 0);
}

/* ---- identities ---- */

static bool open_field(struct session_vc *v, int dir, struct span sealed,
                       struct json_object *plains, const char *key, struct buf *out)
{
    buf_reset(out);
    return rec_half_open_all(&v->half[dir], sealed, out) == 0 && hex_is(plains, key, buf_span(out));
}

static void check_identity(struct session *s, struct session_vc *v, const struct session_msg *sm)
{
    struct json_object *im = vec_get(sm->decoded, "identity_message"),
                       *f = vec_get(im, "fields_plain");
    struct buf a = BUF_INIT(SIZE_MAX), b = BUF_INIT(SIZE_MAX);
    struct security_channel_message m;
    struct security_identity *id = NULL;
    struct security_private *priv;
    struct err e = ERR_INIT;
    size_t used = 0;
    int dir = sm->dir;

    TAP_IS(security_channel_decode(buf_span(&v->auth[dir]), &m, &used, &e) == 0 &&
           used == v->auth[dir].len);
    TAP_IS(open_field(v, dir, m.channel_id, f, "ChannelID", &a));
    TAP_IS(security_channel_check_label(buf_span(&a), dir != v->opener, &e) == 0);
    TAP_IS(open_field(v, dir, m.id, f, "ID", &a));
    TAP_OK(security_channel_identity(buf_span(&a), 0, &id, &e) == 0, "%s: %s", s->name,
           err_text(&e));
    if (id == NULL)
        goto out;
    priv = session_private(s, buf_span(&a));
    TAP_OK(priv != NULL, "%s: no private key for an identity", s->name);
    security_private_unref(priv);
    if (m.signature.len > 0) {
        TAP_IS(open_field(v, dir, m.signature, f, "Signature", &a));
        TAP_IS(security_channel_verify_vom(id, m.channel_id, buf_span(&a), &e) == 0);
    } else {
        TAP_IS(open_field(v, dir, m.sign_r, f, "SignR", &a));
        TAP_IS(open_field(v, dir, m.sign_s, f, "SignS", &b));
        TAP_IS(security_channel_verify(id, m.channel_id, buf_span(&a), buf_span(&b), &e) == 0);
    }
    ran.identities++;
out:
    security_identity_unref(id);
    err_done(&e);
    buf_done(&a);
    buf_done(&b);
}

/* ---- sessions ---- */

static void check_payload(struct session_vc *v, const struct session_msg *m)
{
    struct buf expect = BUF_INIT(SIZE_MAX), plain = BUF_INIT(SIZE_MAX);

    if (m->m.payload.len == 0)
        return;
    session_plaintext(m, &expect);
    if (v == NULL)
        buf_append_str(&plain, m->dir == C2S ? "hello, veyron" : "re:hello, veyron");
    else
        TAP_IS(rec_half_open_all(&v->half[m->dir], m->m.payload, &plain) == 0);
    TAP_IS(span_equal(buf_span(&plain), buf_span(&expect)));
    ran.payloads++;
    buf_done(&expect);
    buf_done(&plain);
}

static void check_session(struct session *s)
{
    for (size_t i = 0; i < s->n_msgs; i++) {
        const struct session_msg *m = &s->msgs[i];
        struct session_vc *v;

        if (m->end)
            continue;
        TAP_OK(message_is(m), "%s: message %zu", s->name, i);
        ran.messages++;
        if (m->m.kind != VC_MSG_DATA)
            continue;
        v = session_vc(s, m->conn, m->m.vci);
        if (v != NULL && m->m.flow == v->kx_flow)
            check_kx(v, m);
        else if (v != NULL && m->m.flow == v->auth_flow) {
            if (vec_get(m->decoded, "identity_message") != NULL)
                check_identity(s, v, m);
        } else {
            check_payload(v, m);
        }
    }
}

static void sessions_are_understood(void)
{
    struct json_object *all = vectors_load("handshake_v2.json"), *list = vec_get(all, "sessions");

    TAP_IS(json_object_array_length(list) == SESSIONS);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct session s;

        session_load(&s, json_object_array_get_idx(list, i));
        check_session(&s);
        session_done(&s);
    }
    TAP_IS(ran.identities == 22 && ran.messages == 429);
    tap_note("handshake_v2.json: %zu sessions; %u messages, %u records, %u identity messages, "
             "%u payloads",
             json_object_array_length(list), ran.messages, ran.records, ran.identities,
             ran.payloads);
    json_object_put(all);
}

static const struct tap_case cases[] = {
    {"records are those of the reference", records_are_those_of_the_reference},
    {"sessions are understood", sessions_are_understood},
};

const struct tap_suite vc_passive_suite = TAP_SUITE("passive", cases);

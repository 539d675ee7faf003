#include "config.h"
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "security/identity.h"
#include "vectors.h"

static void broken(const struct session *s, const char *what)
{
    fprintf(stderr, "session %s: %s\n", s->name, what);
    exit(99);
}

static void load_msg(struct session *s, struct session_msg *m, struct json_object *o)
{
    const char *conn = vec_str(o, "conn");
    struct span in;

    m->conn = conn != NULL ? conn : "vif";
    m->dir = strcmp(vec_str(o, "dir"), "c2s") == 0 ? C2S : S2C;
    m->decoded = vec_get(o, "decoded");
    m->end = vec_str(o, "event") != NULL;
    if (m->end)
        return;
    m->hex = vec_hex(vec_str(o, "hex"));
    in = buf_span(&m->hex);
    if (vc_msg_next(&in, VC_MSG_BODY_MAX, &m->m, NULL, NULL) != 1 || in.len != 0)
        broken(s, "a message does not decode");
}

struct session_vc *session_vc(struct session *s, const char *conn, uint32_t vci)
{
    for (size_t i = 0; i < s->n_vcs; i++) {
        if (strcmp(s->vcs[i].conn, conn) == 0 && s->vcs[i].vci == vci)
            return &s->vcs[i];
    }
    return NULL;
}

static void load_vc(struct session *s, struct session_vc *v, struct json_object *tls)
{
    const uint8_t *k;

    v->tls = tls;
    v->conn = vec_str(tls, "conn");
    v->vci = (uint32_t)vec_int(tls, "vci");
    v->kx_flow = (uint32_t)vec_int(tls, "handshake_flow");
    v->auth_flow = (uint32_t)vec_int(tls, "auth_flow");
    v->opener = strcmp(vec_str(tls, "tls_client_sends"), "c2s") == 0 ? C2S : S2C;
    for (int d = 0; d < 2; d++) {
        buf_init(&v->kx[d], SIZE_MAX);
        buf_init(&v->auth[d], SIZE_MAX);
    }
    for (size_t i = 0; i < s->n_msgs; i++) {
        const struct session_msg *m = &s->msgs[i];

        if (m->end || m->m.kind != VC_MSG_DATA || m->m.vci != v->vci ||
            strcmp(m->conn, v->conn) != 0)
            continue;
        if (m->m.flow == v->kx_flow)
            buf_append_span(&v->kx[m->dir], m->m.payload);
        if (m->m.flow == v->auth_flow)
            buf_append_span(&v->auth[m->dir], m->m.payload);
    }
    rec_script_load(&v->script, tls, buf_span(&v->kx[v->opener]), buf_span(&v->kx[1 - v->opener]));
    k = v->script.keys;
    rec_half_init(&v->half[v->opener], k, k + 40);
    rec_half_init(&v->half[1 - v->opener], k + 20, k + 56);
}

void session_load(struct session *s, struct json_object *json)
{
    struct json_object *msgs = vec_get(json, "messages"), *tls = vec_get(json, "tls");

    memset(s, 0, sizeof *s);
    s->json = json;
    s->name = vec_str(json, "name");
    s->n_msgs = json_object_array_length(msgs);
    s->msgs = calloc(s->n_msgs, sizeof *s->msgs);
    if (s->msgs == NULL)
        broken(s, "out of memory");
    for (size_t i = 0; i < s->n_msgs; i++)
        load_msg(s, &s->msgs[i], json_object_array_get_idx(msgs, i));
    s->n_vcs = tls != NULL ? json_object_array_length(tls) : 0;
    if (s->n_vcs > SESSION_VCS)
        broken(s, "too many circuits");
    for (size_t i = 0; i < s->n_vcs; i++)
        load_vc(s, &s->vcs[i], json_object_array_get_idx(tls, i));
}

void session_done(struct session *s)
{
    for (size_t i = 0; i < s->n_msgs; i++)
        buf_done(&s->msgs[i].hex);
    free(s->msgs);
    for (size_t i = 0; i < s->n_vcs; i++) {
        rec_script_done(&s->vcs[i].script);
        for (int d = 0; d < 2; d++) {
            buf_done(&s->vcs[i].kx[d]);
            buf_done(&s->vcs[i].auth[d]);
        }
    }
}

/* The identity with this key and these certificates. */
static struct security_private *make_private(struct security_key *key, struct security_identity *id)
{
    struct security_private *own = NULL, *with = NULL;

    if (security_pubkey_equal(security_key_public(key), security_identity_key(id)) &&
        security_private_new_with_key(span_str("x"), key, &own, NULL) == 0)
        security_private_derive(own, id, &with, NULL);
    security_private_unref(own);
    return with;
}

struct security_private *session_private(struct session *s, struct span public_vom)
{
    struct security_identity *id = NULL;
    struct security_private *found = NULL;

    if (security_identity_decode(public_vom, 0, &id, NULL) < 0)
        return NULL;
    json_object_object_foreach(vec_get(s->json, "identities"), name, o)
    {
        struct buf d = vec_hex(vec_str(o, "private_scalar"));
        struct security_key *key = NULL;

        (void)name;
        if (found == NULL && security_key_from_scalar(buf_span(&d), &key, NULL) == 0)
            found = make_private(key, id);
        security_key_unref(key);
        buf_done(&d);
    }
    security_identity_unref(id);
    return found;
}

void session_plaintext(const struct session_msg *m, struct buf *out)
{
    if (vec_str(m->decoded, "plaintext") != NULL) {
        buf_done(out);
        *out = vec_hex(vec_str(m->decoded, "plaintext"));
        return;
    }
    buf_reset(out);
    if (vec_get(m->decoded, "plaintext_len") == NULL) { /* an insecure circuit */
        buf_append_span(out, m->m.payload);
        return;
    }
    for (int64_t i = 0; i < vec_int(m->decoded, "plaintext_len"); i++)
        buf_u8(out, (uint8_t)vec_int(m->decoded, "plaintext_fill_byte"));
}

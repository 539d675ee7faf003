#include "config.h"
#include "recorded.h"

#include <nettle/ecc-curve.h>
#include <nettle/ecc.h>
#include <nettle/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "vectors.h"
#include "wspr/error.h"

enum { REC_CCS = 20, REC_HANDSHAKE = 22, REC_DATA = 23 };
enum {
    HS_CLIENT_HELLO = 1,
    HS_SERVER_HELLO = 2,
    HS_TICKET = 4,
    HS_CERTIFICATE = 11,
    HS_KEY_EXCHANGE = 12,
    HS_HELLO_DONE = 14,
    HS_CLIENT_KEY = 16,
    HS_FINISHED = 20,
};
#define REC_FRAGMENT 16384u
#define HS_MAX       65536u

/* ---- records ---- */

void rec_half_init(struct rec_half *h, const uint8_t *mac, const uint8_t *key)
{
    memcpy(h->mac, mac, REC_MAC_LEN);
    arcfour_set_key(&h->rc4, REC_KEY_LEN, key);
    h->seq = 0;
}

static void rec_mac(struct rec_half *h, uint8_t type, struct span plain, uint8_t *out)
{
    struct hmac_sha1_ctx ctx;
    uint8_t head[13];

    for (int i = 0; i < 8; i++)
        head[i] = (uint8_t)(h->seq >> (56 - 8 * i));
    head[8] = type;
    head[9] = 3;
    head[10] = 3;
    head[11] = (uint8_t)(plain.len >> 8);
    head[12] = (uint8_t)plain.len;
    hmac_sha1_set_key(&ctx, REC_MAC_LEN, h->mac);
    hmac_sha1_update(&ctx, sizeof head, head);
    hmac_sha1_update(&ctx, plain.len, plain.p);
    hmac_sha1_digest(&ctx, REC_MAC_LEN, out);
    h->seq++;
}

static void rec_head(struct buf *out, uint8_t type, uint16_t version, size_t len)
{
    buf_u8(out, type);
    buf_u16(out, version);
    buf_u16(out, (uint16_t)len);
}

void rec_half_seal(struct rec_half *h, uint8_t type, struct span plain, struct buf *out)
{
    uint8_t *p = buf_reserve(out, 5 + plain.len + REC_MAC_LEN);

    if (p == NULL)
        return;
    rec_head(out, type, 0x0303, plain.len + REC_MAC_LEN);
    rec_mac(h, type, plain, p + 5 + plain.len);
    memcpy(p + 5, plain.p, plain.len);
    arcfour_crypt(&h->rc4, plain.len + REC_MAC_LEN, p + 5, p + 5);
    buf_commit(out, plain.len + REC_MAC_LEN);
}

void rec_half_seal_all(struct rec_half *h, struct span plain, struct buf *out)
{
    while (plain.len > 0) {
        size_t n = plain.len < REC_FRAGMENT ? plain.len : REC_FRAGMENT;

        rec_half_seal(h, REC_DATA, span_of(plain.p, n), out);
        plain = span_of(plain.p + n, plain.len - n);
    }
}

int rec_half_open(struct rec_half *h, struct span *in, struct buf *out)
{
    struct cursor c = cursor_of(in->p, in->len);
    uint8_t type = cursor_u8(&c), mac[REC_MAC_LEN], *p;
    struct span version = cursor_bytes(&c, 2), length = cursor_bytes(&c, 2), body;
    size_t n;

    if (c.failed || version.p[0] != 3)
        return WSPR_EPROTO;
    body = cursor_bytes(&c, (size_t)length.p[0] << 8 | length.p[1]);
    if (c.failed || body.len < REC_MAC_LEN)
        return WSPR_EPROTO;
    p = buf_reserve(out, body.len);
    if (p == NULL)
        return buf_error(out);
    n = body.len - REC_MAC_LEN;
    arcfour_crypt(&h->rc4, body.len, p, body.p);
    rec_mac(h, type, span_of(p, n), mac);
    if (memcmp(mac, p + n, REC_MAC_LEN) != 0)
        return WSPR_ECRYPTO;
    buf_commit(out, n);
    *in = span_of(c.p, cursor_left(&c));
    return type;
}

int rec_half_open_all(struct rec_half *h, struct span in, struct buf *out)
{
    while (in.len > 0) {
        int type = rec_half_open(h, &in, out);

        if (type != REC_DATA)
            return type < 0 ? type : WSPR_EPROTO;
    }
    return 0;
}

/* ---- keys ---- */

/* P_hash with SHA-256 of RFC 5246. */
static void rec_prf(struct span secret, const char *label, struct span seed, uint8_t *out,
                    size_t len)
{
    struct hmac_sha256_ctx ctx;
    uint8_t a[32];

    hmac_sha256_set_key(&ctx, secret.len, secret.p);
    hmac_sha256_update(&ctx, strlen(label), (const uint8_t *)label);
    hmac_sha256_update(&ctx, seed.len, seed.p);
    hmac_sha256_digest(&ctx, sizeof a, a);
    while (len > 0) {
        size_t n = len < 32 ? len : 32;

        hmac_sha256_update(&ctx, sizeof a, a);
        hmac_sha256_update(&ctx, strlen(label), (const uint8_t *)label);
        hmac_sha256_update(&ctx, seed.len, seed.p);
        hmac_sha256_digest(&ctx, n, out);
        hmac_sha256_update(&ctx, sizeof a, a);
        hmac_sha256_digest(&ctx, sizeof a, a);
        out += n;
        len -= n;
    }
}

static void rec_number(mpz_t z, const uint8_t *p, size_t n)
{
    mpz_init(z);
    mpz_import(z, n, 1, 1, 0, 0, p);
}

static void rec_bytes(uint8_t *out, const mpz_t z)
{
    size_t n = (mpz_sizeinbase(z, 2) + 7) / 8;

    memset(out, 0, 32);
    mpz_export(out + 32 - n, NULL, 1, 1, 0, 0, z);
}

/* peer NULL: the point that belongs to the scalar; else the shared one. False: not on the curve. */
static bool rec_multiply(const uint8_t scalar[32], const uint8_t *peer, uint8_t out[64])
{
    const struct ecc_curve *curve = nettle_get_secp_256r1();
    struct ecc_scalar s;
    struct ecc_point p, q;
    mpz_t d, x, y;
    bool ok = true;

    rec_number(d, scalar, 32);
    ecc_scalar_init(&s, curve);
    ecc_point_init(&p, curve);
    ecc_point_init(&q, curve);
    ok = ecc_scalar_set(&s, d) != 0;
    mpz_init(x);
    mpz_init(y);
    if (ok && peer != NULL) {
        mpz_import(x, 32, 1, 1, 0, 0, peer);
        mpz_import(y, 32, 1, 1, 0, 0, peer + 32);
        ok = ecc_point_set(&q, x, y) != 0;
        if (ok)
            ecc_point_mul(&p, &s, &q);
    } else if (ok) {
        ecc_point_mul_g(&p, &s);
    }
    if (ok) {
        ecc_point_get(&p, x, y);
        rec_bytes(out, x);
        rec_bytes(out + 32, y);
    }
    mpz_clears(d, x, y, NULL);
    ecc_scalar_clear(&s);
    ecc_point_clear(&p);
    ecc_point_clear(&q);
    return ok;
}

/* ---- the handshake ---- */

struct rec_crypter {
    struct vc_crypter base;
    const struct rec_script *script;
    bool opener, begun, sealed_in, have_keys, done;
    struct rec_half out, in;
    uint8_t master[48];
    struct buf transcript; /* all handshake messages */
    struct buf pending;    /* bytes of handshake messages that are not complete */
    const char *fault;
};

/* Adds a handshake message to the transcript and to the wire. */
static void rec_say(struct rec_crypter *r, struct span msg, uint16_t version, struct buf *out)
{
    buf_append_span(&r->transcript, msg);
    rec_head(out, REC_HANDSHAKE, version, msg.len);
    buf_append_span(out, msg);
}

static void rec_derive(struct rec_crypter *r, const uint8_t *peer)
{
    const struct rec_script *s = r->script;
    uint8_t shared[64], seed[64], keys[72];

    if (!rec_multiply(r->opener ? s->client_scalar : s->server_scalar, peer, shared)) {
        r->fault = "point is not on the curve";
        return;
    }
    memcpy(seed, s->client_random, 32);
    memcpy(seed + 32, s->server_random, 32);
    rec_prf(span_of(shared, 32), "master secret", span_of(seed, 64), r->master, 48);
    memcpy(seed, s->server_random, 32);
    memcpy(seed + 32, s->client_random, 32);
    rec_prf(span_of(r->master, 48), "key expansion", span_of(seed, 64), keys, sizeof keys);
    rec_half_init(r->opener ? &r->out : &r->in, keys, keys + 40);
    rec_half_init(r->opener ? &r->in : &r->out, keys + 20, keys + 56);
    r->have_keys = true;
    if (memcmp(shared, s->premaster, 32) != 0 || memcmp(r->master, s->master, 48) != 0 ||
        memcmp(keys, s->keys, 72) != 0)
        r->fault = "keys differ from the recorded ones";
}

static void rec_finished(const struct rec_crypter *r, bool client, uint8_t out[16])
{
    struct sha256_ctx h;
    uint8_t digest[32];

    sha256_init(&h);
    sha256_update(&h, r->transcript.len, buf_data(&r->transcript));
    sha256_digest(&h, sizeof digest, digest);
    memcpy(out, "\x14\x00\x00\x0c", 4);
    rec_prf(span_of(r->master, 48), client ? "client finished" : "server finished",
            span_of(digest, 32), out + 4, 12);
}

/* ChangeCipherSpec and Finished. */
static void rec_say_finished(struct rec_crypter *r, struct buf *out)
{
    uint8_t fin[16];

    rec_head(out, REC_CCS, 0x0303, 1);
    buf_u8(out, 1);
    rec_finished(r, r->opener, fin);
    buf_append(&r->transcript, fin, sizeof fin);
    rec_half_seal(&r->out, REC_HANDSHAKE, span_of(fin, sizeof fin), out);
}

static void rec_say_client_key(struct rec_crypter *r, struct buf *out)
{
    uint8_t msg[70] = {HS_CLIENT_KEY, 0, 0, 66, 65, 4};

    rec_multiply(r->script->client_scalar, NULL, msg + 6);
    rec_say(r, span_of(msg, sizeof msg), 0x0303, out);
}

static void rec_say_server_flight(struct rec_crypter *r, struct buf *out)
{
    static const uint8_t done[] = {HS_HELLO_DONE, 0, 0, 0};
    const struct rec_script *s = r->script;

    rec_say(r, buf_span(&s->server_hello), 0x0303, out);
    rec_say(r, buf_span(&s->certificate), 0x0303, out);
    rec_say(r, buf_span(&s->key_exchange), 0x0303, out);
    rec_say(r, span_of(done, sizeof done), 0x0303, out);
}

static void rec_check_finished(struct rec_crypter *r, struct span msg, struct buf *out)
{
    uint8_t fin[16];

    if (!r->sealed_in) {
        r->fault = "Finished in clear";
        return;
    }
    rec_finished(r, !r->opener, fin);
    if (!span_equal(msg, span_of(fin, sizeof fin))) {
        r->fault = "Finished does not fit";
        return;
    }
    buf_append_span(&r->transcript, msg);
    if (!r->opener) {
        if (r->script->ticket.len > 0)
            rec_say(r, buf_span(&r->script->ticket), 0x0303, out);
        rec_say_finished(r, out);
    }
    r->done = true;
}

/* One handshake message of the peer. */
static void rec_hear(struct rec_crypter *r, struct span msg, struct buf *out)
{
    uint8_t type = msg.p[0];

    if (type == HS_FINISHED) {
        rec_check_finished(r, msg, out);
        return;
    }
    buf_append_span(&r->transcript, msg);
    if (!r->opener && type == HS_CLIENT_HELLO && msg.len >= 38) {
        if (memcmp(msg.p + 6, r->script->client_random, 32) != 0)
            r->fault = "another client random";
        rec_say_server_flight(r, out);
    } else if (!r->opener && type == HS_CLIENT_KEY && msg.len == 70) {
        rec_derive(r, msg.p + 6);
    } else if (r->opener && type == HS_SERVER_HELLO && msg.len >= 38) {
        if (memcmp(msg.p + 6, r->script->server_random, 32) != 0)
            r->fault = "another server random";
    } else if (r->opener && type == HS_KEY_EXCHANGE && msg.len >= 73) {
        rec_derive(r, msg.p + 9);
    } else if (r->opener && type == HS_HELLO_DONE && r->have_keys) {
        rec_say_client_key(r, out);
        rec_say_finished(r, out);
    } else if (!(r->opener && (type == HS_CERTIFICATE || type == HS_TICKET))) {
        r->fault = "unexpected handshake message";
    }
}

/* Takes one record; false if it is not complete. */
static bool rec_record(struct rec_crypter *r, struct buf *in)
{
    struct span all = buf_span(in), one;
    size_t len;
    int type;

    if (all.len < 5)
        return false;
    len = 5 + ((size_t)all.p[3] << 8 | all.p[4]);
    if (all.len < len)
        return false;
    one = span_of(all.p, len);
    type = all.p[0];
    if (type == REC_CCS) {
        r->sealed_in = true;
        if (!r->have_keys)
            r->fault = "ChangeCipherSpec before the keys";
    } else if (r->sealed_in) {
        type = rec_half_open(&r->in, &one, &r->pending);
    } else {
        buf_append(&r->pending, all.p + 5, len - 5);
    }
    if (type != REC_CCS && type != REC_HANDSHAKE)
        r->fault = "unexpected record";
    buf_consume(in, len);
    return true;
}

static int rec_handshake(struct vc_crypter *c, struct buf *in, struct buf *out, struct err *e)
{
    struct rec_crypter *r = (struct rec_crypter *)c;

    if (r->opener && !r->begun)
        rec_say(r, buf_span(&r->script->client_hello), 0x0301, out);
    r->begun = true;
    while (!r->done && r->fault == NULL && rec_record(r, in)) {
        struct span p;

        while (p = buf_span(&r->pending), !r->done && r->fault == NULL && p.len >= 4) {
            size_t len = 4 + ((size_t)p.p[1] << 16 | (size_t)p.p[2] << 8 | p.p[3]);

            if (p.len < len)
                break;
            rec_hear(r, span_of(p.p, len), out);
            buf_consume(&r->pending, len);
        }
    }
    if (r->fault == NULL && (buf_error(&r->transcript) != 0 || buf_error(&r->pending) != 0))
        r->fault = "out of memory";
    if (r->fault != NULL)
        return err_set(e, WSPR_ECRYPTO, "tls: %s", r->fault);
    return r->done ? VC_CRYPTER_DONE : VC_CRYPTER_MORE;
}

static int rec_seal(struct vc_crypter *c, struct span plain, struct buf *out, struct err *e)
{
    rec_half_seal_all(&((struct rec_crypter *)c)->out, plain, out);
    return buf_error(out) != 0 ? err_set(e, buf_error(out), "no room") : 0;
}

static int rec_open(struct vc_crypter *c, struct span sealed, struct buf *out, struct err *e)
{
    int r = rec_half_open_all(&((struct rec_crypter *)c)->in, sealed, out);

    return r < 0 ? err_set(e, r, "tls: bad record MAC") : 0;
}

static size_t rec_sealed_max(const struct vc_crypter *c, size_t n)
{
    (void)c;
    return n + (n / REC_FRAGMENT + 1) * (5 + REC_MAC_LEN);
}

static const char *rec_describe(const struct vc_crypter *c)
{
    (void)c;
    return "recorded RC4";
}

static bool rec_is_legacy(const struct vc_crypter *c)
{
    (void)c;
    return true;
}

static void rec_free(struct vc_crypter *c)
{
    struct rec_crypter *r = (struct rec_crypter *)c;

    buf_done(&r->transcript);
    buf_done(&r->pending);
    free(r);
}

static const struct vc_crypter_ops rec_ops = {
    .handshake = rec_handshake,
    .seal = rec_seal,
    .open = rec_open,
    .sealed_max = rec_sealed_max,
    .describe = rec_describe,
    .is_legacy = rec_is_legacy,
    .free = rec_free,
};

struct vc_crypter *rec_crypter_new(const struct rec_script *s, bool opener)
{
    struct rec_crypter *r = calloc(1, sizeof *r);

    if (r == NULL)
        return NULL;
    r->base.ops = &rec_ops;
    r->script = s;
    r->opener = opener;
    buf_init(&r->transcript, 4 * HS_MAX);
    buf_init(&r->pending, HS_MAX);
    return &r->base;
}

/* ---- scripts ---- */

static void load_bytes(struct json_object *o, const char *key, uint8_t *out, size_t n)
{
    struct buf b = vec_hex(vec_str(o, key));

    if (b.len != n) {
        fprintf(stderr, "%s has %zu bytes\n", key, b.len);
        exit(99);
    }
    memcpy(out, buf_data(&b), n);
    buf_done(&b);
}

/* Collects the handshake messages of one direction up to ChangeCipherSpec. */
static void load_flight(struct rec_script *s, struct span wire)
{
    struct buf plain = BUF_INIT(SIZE_MAX);
    struct span p;

    while (wire.len >= 5 && wire.p[0] == REC_HANDSHAKE) {
        size_t n = (size_t)wire.p[3] << 8 | wire.p[4];

        buf_append(&plain, wire.p + 5, n);
        wire = span_of(wire.p + 5 + n, wire.len - 5 - n);
    }
    for (p = buf_span(&plain); p.len >= 4;) {
        size_t n = 4 + ((size_t)p.p[1] << 16 | (size_t)p.p[2] << 8 | p.p[3]);
        struct buf *to = p.p[0] == HS_CLIENT_HELLO   ? &s->client_hello
                         : p.p[0] == HS_SERVER_HELLO ? &s->server_hello
                         : p.p[0] == HS_CERTIFICATE  ? &s->certificate
                         : p.p[0] == HS_KEY_EXCHANGE ? &s->key_exchange
                         : p.p[0] == HS_TICKET       ? &s->ticket
                                                     : NULL;

        if (to != NULL)
            buf_append(to, p.p, n);
        p = span_of(p.p + n, p.len - n);
    }
    buf_done(&plain);
}

void rec_script_load(struct rec_script *s, struct json_object *tls, struct span client,
                     struct span server)
{
    memset(s, 0, sizeof *s);
    load_bytes(tls, "client_random", s->client_random, 32);
    load_bytes(tls, "server_random", s->server_random, 32);
    load_bytes(tls, "client_ecdhe_private", s->client_scalar, 32);
    load_bytes(tls, "server_ecdhe_private", s->server_scalar, 32);
    load_bytes(tls, "pre_master_secret", s->premaster, 32);
    load_bytes(tls, "master_secret", s->master, 48);
    load_bytes(tls, "key_block", s->keys, 72);
    buf_init(&s->client_hello, HS_MAX);
    buf_init(&s->server_hello, HS_MAX);
    buf_init(&s->certificate, HS_MAX);
    buf_init(&s->key_exchange, HS_MAX);
    buf_init(&s->ticket, HS_MAX);
    load_flight(s, client);
    load_flight(s, server);
    if (s->client_hello.len == 0 || s->server_hello.len == 0 || s->key_exchange.len == 0) {
        fprintf(stderr, "no handshake in the recording\n");
        exit(99);
    }
}

void rec_script_done(struct rec_script *s)
{
    buf_done(&s->client_hello);
    buf_done(&s->server_hello);
    buf_done(&s->certificate);
    buf_done(&s->key_exchange);
    buf_done(&s->ticket);
}

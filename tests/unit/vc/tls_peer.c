#include "config.h"
#include "tls_peer.h"

#include <errno.h>

#include <gnutls/x509.h>

#include "tap.h"
#include "vectors.h"

#define PEER_MAX (16u << 20)

static ssize_t peer_pull(gnutls_transport_ptr_t ptr, void *to, size_t n)
{
    struct tls_peer *p = ptr;

    if (p->in.len == 0) {
        gnutls_transport_set_errno(p->session, EAGAIN);
        return -1;
    }
    if (n > p->in.len)
        n = p->in.len;
    memcpy(to, buf_data(&p->in), n);
    buf_consume(&p->in, n);
    return (ssize_t)n;
}

static ssize_t peer_push(gnutls_transport_ptr_t ptr, const void *from, size_t n)
{
    struct tls_peer *p = ptr;

    buf_append(&p->out, from, n);
    return (ssize_t)n;
}

static gnutls_datum_t peer_datum(struct buf *b)
{
    return (gnutls_datum_t){buf_data(b), (unsigned)b->len};
}

static void peer_certificate(gnutls_certificate_credentials_t credentials)
{
    struct json_object *all = vectors_load("handshake_v2.json"),
                       *o = vec_get(all, "tls_server_certificate");
    struct buf der = vec_hex(vec_str(o, "der")), k = vec_hex(vec_str(o, "private_scalar")),
               x = vec_hex(vec_str(o, "public_x")), y = vec_hex(vec_str(o, "public_y"));
    gnutls_datum_t d = peer_datum(&der), dk = peer_datum(&k), dx = peer_datum(&x),
                   dy = peer_datum(&y);
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;

    gnutls_x509_privkey_init(&key);
    gnutls_x509_crt_init(&crt);
    TAP_IS(gnutls_x509_privkey_import_ecc_raw(key, GNUTLS_ECC_CURVE_SECP256R1, &dx, &dy, &dk) == 0);
    TAP_IS(gnutls_x509_crt_import(crt, &d, GNUTLS_X509_FMT_DER) == 0);
    TAP_IS(gnutls_certificate_set_x509_key(credentials, &crt, 1, key) == 0);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
    buf_done(&der);
    buf_done(&k);
    buf_done(&x);
    buf_done(&y);
    json_object_put(all);
}

void tls_peer_init(struct tls_peer *p, bool server, const char *priority)
{
    memset(p, 0, sizeof *p);
    buf_init(&p->in, PEER_MAX);
    buf_init(&p->out, PEER_MAX);
    TAP_IS(gnutls_init(&p->session, server ? GNUTLS_SERVER | GNUTLS_NONBLOCK
                                           : GNUTLS_CLIENT | GNUTLS_NONBLOCK) == 0);
    TAP_IS(gnutls_certificate_allocate_credentials(&p->credentials) == 0);
    if (server)
        peer_certificate(p->credentials);
    TAP_OK(gnutls_priority_set_direct(p->session, priority, NULL) == 0, "%s", priority);
    gnutls_credentials_set(p->session, GNUTLS_CRD_CERTIFICATE, p->credentials);
    gnutls_transport_set_ptr(p->session, p);
    gnutls_transport_set_pull_function(p->session, peer_pull);
    gnutls_transport_set_push_function(p->session, peer_push);
    p->last = GNUTLS_E_AGAIN;
}

void tls_peer_done(struct tls_peer *p)
{
    gnutls_deinit(p->session);
    gnutls_certificate_free_credentials(p->credentials);
    buf_done(&p->in);
    buf_done(&p->out);
}

int tls_peer_handshake(struct tls_peer *p, struct vc_crypter *c, struct err *e)
{
    struct buf in = BUF_INIT(PEER_MAX);
    int r = VC_CRYPTER_MORE;

    for (int round = 0; round < 20 && (r == VC_CRYPTER_MORE || !p->done); round++) {
        r = c->ops->handshake(c, &in, &p->in, e);
        if (r < 0)
            break;
        if (p->last == GNUTLS_E_AGAIN)
            p->last = gnutls_handshake(p->session);
        p->done = p->last == 0;
        buf_append_span(&in, buf_span(&p->out));
        buf_reset(&p->out);
    }
    buf_done(&in);
    return r < 0 ? r : (r == VC_CRYPTER_DONE && p->done ? 0 : WSPR_EINTERNAL);
}

/* One side's step: moves a piece from `from` to the side's input and runs it. */
static int pair_step(struct vc_crypter *c, struct buf *from, struct buf *in, struct buf *out,
                     size_t piece, struct err *e)
{
    size_t n = from->len < piece ? from->len : piece;

    buf_append(in, buf_data(from), n);
    buf_consume(from, n);
    return c->ops->handshake(c, in, out, e);
}

int tls_pair_handshake(struct vc_crypter *opener, struct vc_crypter *acceptor, size_t piece,
                       struct err *e)
{
    struct buf to_acceptor = BUF_INIT(PEER_MAX), to_opener = BUF_INIT(PEER_MAX),
               opener_in = BUF_INIT(PEER_MAX), acceptor_in = BUF_INIT(PEER_MAX);
    int ro = 0, ra = 0;

    for (int round = 0; round < 10000 && (ro == 0 || ra == 0); round++) {
        if (ro == VC_CRYPTER_MORE)
            ro = pair_step(opener, &to_opener, &opener_in, &to_acceptor, piece, e);
        if (ro >= 0 && ra == VC_CRYPTER_MORE)
            ra = pair_step(acceptor, &to_acceptor, &acceptor_in, &to_opener, piece, e);
        if (ro < 0 || ra < 0)
            break;
    }
    buf_done(&to_acceptor);
    buf_done(&to_opener);
    buf_done(&opener_in);
    buf_done(&acceptor_in);
    if (ro < 0 || ra < 0)
        return ro < 0 ? ro : ra;
    return ro == VC_CRYPTER_DONE && ra == VC_CRYPTER_DONE ? 0 : WSPR_EINTERNAL;
}

/*
 * The handshake is GnuTLS's, over two memory buffers:
 *
 *     *in -> tls_pull -> gnutls_handshake -> tls_push -> *out
 *
 * When it is over the record keys are taken out of the session and the session is freed: records on
 * a circuit are payloads, not a stream, and two vc_records do them in a fraction of the time and
 * memory. What is left to TLS would be renegotiation, tickets and alerts, and a circuit has none of
 * these.
 */
#include "config.h"
#include "vc/tls.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "vc/record.h"

/* The AEAD suites, then what only peers of 2014 need; the acceptor's order counts. None of them has
 * a use for Encrypt-then-MAC. */
#define TLS_PRIORITY_HEAD                                                                          \
    "NONE:+VERS-TLS1.2:+ECDHE-ECDSA:+AES-128-GCM:+AES-256-GCM:+AEAD:+SIGN-ECDSA-SHA256:"           \
    "+GROUP-SECP256R1:+CTYPE-X509:+COMP-NULL:%SERVER_PRECEDENCE:%NO_ETM"
#define TLS_PRIORITY_LEGACY ":+ARCFOUR-128:+SHA1"

#define TLS_MESSAGE_MAX 16384 /* bytes of one handshake message; a certificate of ours has 400 */
#define TLS_RC4_SPENT   36    /* keystream of Finished: 16 bytes and the MAC */
/* Validity is checked by nobody; fixed times keep the clock out. 2014-01-01 to 2049-12-31. */
#define TLS_CERT_FROM 1388534400
#define TLS_CERT_TO   2524607999

struct vc_tls {
    gnutls_priority_t priority;
    gnutls_certificate_credentials_t opener; /* empty */
    /* Holds key and certificate; NULL until somebody accepts. */
    _Atomic(gnutls_certificate_credentials_t) acceptor;
    bool legacy;
};

struct tls_crypter {
    struct vc_crypter base;
    gnutls_session_t session; /* NULL once the handshake is over */
    struct vc_tls *accepts;   /* whose certificate the session still lacks; else NULL */
    bool failed;
    bool legacy;
    const char *name;
    struct buf *in, *out; /* of the step that runs */
    struct vc_record sealer, opener;
};

static int tls_error(int r, struct err *e)
{
    if (r == GNUTLS_E_MEMORY_ERROR)
        return err_set(e, WSPR_ENOMEM, "tls: out of memory");
    return err_set(e, WSPR_ECRYPTO, "tls: %s", gnutls_strerror(r));
}

/* Key and certificate. */

static int tls_fill_certificate(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
    static const char name[] = "wspr";
    unsigned char serial[16];
    int r = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);

    serial[0] = (serial[0] & 0x3f) | 0x40; /* positive, without a leading zero */
    if (r >= 0)
        r = gnutls_x509_crt_set_version(crt, 3);
    if (r >= 0)
        r = gnutls_x509_crt_set_serial(crt, serial, sizeof serial);
    if (r >= 0)
        r = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                          sizeof name - 1);
    if (r >= 0)
        r = gnutls_x509_crt_set_activation_time(crt, TLS_CERT_FROM);
    if (r >= 0)
        r = gnutls_x509_crt_set_expiration_time(crt, TLS_CERT_TO);
    if (r >= 0)
        r = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
    if (r >= 0)
        r = gnutls_x509_crt_set_key(crt, key);
    if (r >= 0)
        r = gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
    return r;
}

static int tls_make_certificate(gnutls_certificate_credentials_t credentials)
{
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crt_t crt = NULL;
    int r = gnutls_x509_privkey_init(&key);

    if (r >= 0)
        r = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                         GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    if (r >= 0)
        r = gnutls_x509_crt_init(&crt);
    if (r >= 0)
        r = tls_fill_certificate(crt, key);
    if (r >= 0) {
        /* They do: proving it takes as long as making them. */
        gnutls_certificate_set_flags(credentials, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
        r = gnutls_certificate_set_x509_key(credentials, &crt, 1, key);
    }
    if (crt != NULL)
        gnutls_x509_crt_deinit(crt);
    if (key != NULL)
        gnutls_x509_privkey_deinit(key);
    return r;
}

/*
 * Gives the session key and certificate, which the first handshake makes: a process that accepts
 * nothing, or nothing yet, does without. Of several that are the first one wins.
 */
static int tls_certify(struct vc_tls *t, gnutls_session_t session)
{
    gnutls_certificate_credentials_t made = NULL, known = atomic_load(&t->acceptor);
    int r = 0;

    if (known == NULL) {
        r = gnutls_certificate_allocate_credentials(&made);
        if (r >= 0)
            r = tls_make_certificate(made);
        if (r >= 0 && atomic_compare_exchange_strong(&t->acceptor, &known, made)) {
            known = made;
            made = NULL;
        }
    }
    if (r >= 0)
        r = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, known);
    if (made != NULL)
        gnutls_certificate_free_credentials(made);
    return r;
}

/* Whether the policy of the system left the suite in. */
static bool tls_has_suite(gnutls_priority_t priority, uint8_t high, uint8_t low)
{
    unsigned index, i = 0;
    unsigned char id[2];
    int r;

    while ((r = gnutls_priority_get_cipher_suite_index(priority, i++, &index)) !=
           GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
        if (r == 0 && gnutls_cipher_suite_info(index, id, NULL, NULL, NULL, NULL) != NULL &&
            id[0] == high && id[1] == low)
            return true;
    }
    return false;
}

static int tls_set_priority(struct vc_tls *t, struct err *e)
{
    const char *text = t->legacy ? TLS_PRIORITY_HEAD TLS_PRIORITY_LEGACY : TLS_PRIORITY_HEAD;
    int r = gnutls_priority_init(&t->priority, text, NULL);

    if (r == GNUTLS_E_MEMORY_ERROR)
        return tls_error(r, e);
    if (r >= 0 && !tls_has_suite(t->priority, 0xc0, 0x2b))
        return err_set(e, WSPR_ECRYPTO,
                       "tls: the GnuTLS policy of this system forbids ECDHE-ECDSA-AES128-GCM");
    if (t->legacy && (r < 0 || !tls_has_suite(t->priority, 0xc0, 0x07)))
        return err_set(e, WSPR_ECRYPTO,
                       "tls: the GnuTLS policy of this system forbids RC4 (ARCFOUR-128), which "
                       "legacy peers need: allow it or switch legacy peers off");
    return r < 0 ? tls_error(r, e) : 0;
}

int vc_tls_new(bool legacy, struct vc_tls **ret_tls, struct err *e)
{
    struct vc_tls *t;
    int r;

#ifndef WSPR_LEGACY_PEERS
    if (legacy)
        return err_set(e, WSPR_EINVAL, "tls: built without support for legacy peers");
#endif
    t = calloc(1, sizeof *t);
    if (t == NULL)
        return err_set(e, WSPR_ENOMEM, "tls: out of memory");
    t->legacy = legacy;
    r = tls_set_priority(t, e);
    if (r == 0) {
        r = gnutls_certificate_allocate_credentials(&t->opener);
        if (r < 0)
            r = tls_error(r, e);
    }
    if (r < 0) {
        vc_tls_free(t);
        return r;
    }
    *ret_tls = t;
    return 0;
}

void vc_tls_free(struct vc_tls *t)
{
    if (t == NULL)
        return;
    if (t->priority != NULL)
        gnutls_priority_deinit(t->priority);
    if (t->opener != NULL)
        gnutls_certificate_free_credentials(t->opener);
    if (atomic_load(&t->acceptor) != NULL)
        gnutls_certificate_free_credentials(atomic_load(&t->acceptor));
    free(t);
}

bool vc_tls_legacy(const struct vc_tls *t)
{
    return t->legacy;
}

/* The handshake. */

static ssize_t tls_pull(gnutls_transport_ptr_t ptr, void *p, size_t n)
{
    struct tls_crypter *c = ptr;

    if (c->in->len == 0) {
        gnutls_transport_set_errno(c->session, EAGAIN);
        return -1;
    }
    if (n > c->in->len)
        n = c->in->len;
    memcpy(p, buf_data(c->in), n);
    buf_consume(c->in, n);
    return (ssize_t)n;
}

static ssize_t tls_push(gnutls_transport_ptr_t ptr, const void *p, size_t n)
{
    struct tls_crypter *c = ptr;

    buf_append(c->out, p, n);
    if (buf_error(c->out) != 0) {
        gnutls_transport_set_errno(c->session, EIO);
        return -1;
    }
    return (ssize_t)n;
}

struct tls_suite {
    gnutls_cipher_algorithm_t cipher;
    const char *name;
    bool legacy;
};

static const struct tls_suite *tls_suite_of(gnutls_session_t session)
{
    static const struct tls_suite suites[] = {
        {GNUTLS_CIPHER_AES_128_GCM, "TLS1.2 ECDHE-ECDSA AES-128-GCM", false},
        {GNUTLS_CIPHER_AES_256_GCM, "TLS1.2 ECDHE-ECDSA AES-256-GCM", false},
        {GNUTLS_CIPHER_ARCFOUR_128, "TLS1.2 ECDHE-ECDSA RC4-128 SHA1", true},
    };
    gnutls_cipher_algorithm_t cipher = gnutls_cipher_get(session);

    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        if (suites[i].cipher == cipher)
            return &suites[i];
    }
    return NULL;
}

static struct span tls_span(gnutls_datum_t d)
{
    return span_of(d.data, d.size);
}

/* Takes the keys of one direction over. Each has carried one record, Finished. */
static int tls_take_keys(struct tls_crypter *c, bool read, struct vc_record *r, struct err *e)
{
    gnutls_datum_t mac_key, iv, key;
    unsigned char seq[8];
    uint64_t n = 0;
    int got = gnutls_record_get_state(c->session, read, &mac_key, &iv, &key, seq);

    if (got < 0)
        return tls_error(got, e);
    for (int i = 0; i < 8; i++)
        n = n << 8 | seq[i];
    if (n != 1)
        return err_set(e, WSPR_ECRYPTO, "tls: unexpected records after the handshake");
    if (c->legacy)
        return vc_record_init_rc4(r, tls_span(key), tls_span(mac_key), n, TLS_RC4_SPENT, e);
    return vc_record_init_gcm(r, tls_span(key), tls_span(iv), n, e);
}

static int tls_finish(struct tls_crypter *c, struct err *e)
{
    const struct tls_suite *suite = tls_suite_of(c->session);
    int r;

    if (suite == NULL || gnutls_protocol_get_version(c->session) != GNUTLS_TLS1_2)
        return err_set(e, WSPR_ECRYPTO, "tls: unexpected cipher suite");
    if (gnutls_record_get_max_size(c->session) < VC_RECORD_MAX)
        return err_set(e, WSPR_ECRYPTO, "tls: the peer limits the size of records");
    c->name = suite->name;
    c->legacy = suite->legacy;
    r = tls_take_keys(c, false, &c->sealer, e);
    if (r == 0)
        r = tls_take_keys(c, true, &c->opener, e);
    if (r < 0)
        return r;
    gnutls_deinit(c->session);
    c->session = NULL;
    return VC_CRYPTER_DONE;
}

/* In the words of the reference where it has some. */
static int tls_handshake_error(struct tls_crypter *c, int r, struct err *e)
{
    const char *alert;

    if (buf_error(c->out) != 0)
        return err_set(e, buf_error(c->out), "tls: no room for the handshake");
    if (r == GNUTLS_E_FATAL_ALERT_RECEIVED) {
        alert = gnutls_alert_get_name(gnutls_alert_get(c->session));
        return err_set(e, WSPR_ECRYPTO, "remote error: %s", alert != NULL ? alert : "alert");
    }
    return tls_error(r, e);
}

/* Goes on until GnuTLS needs input or is done: a GnuTLS code. */
static int tls_go_on(struct tls_crypter *c)
{
    int r = c->accepts != NULL ? tls_certify(c->accepts, c->session) : 0;

    if (r < 0)
        return r;
    c->accepts = NULL;
    do
        r = gnutls_handshake(c->session);
    while (r < 0 && r != GNUTLS_E_AGAIN && r != GNUTLS_E_INTERRUPTED &&
           gnutls_error_is_fatal(r) == 0);
    return r;
}

static int tls_handshake(struct vc_crypter *base, struct buf *in, struct buf *out, struct err *e)
{
    struct tls_crypter *c = (struct tls_crypter *)base;
    int r;

    if (c->failed)
        return err_set(e, WSPR_ECRYPTO, "tls: the handshake has failed");
    if (c->session == NULL)
        return VC_CRYPTER_DONE;
    c->in = in;
    c->out = out;
    r = tls_go_on(c);
    if (r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED)
        r = VC_CRYPTER_MORE;
    else if (r < 0)
        r = tls_handshake_error(c, r, e);
    else
        r = tls_finish(c, e);
    c->in = NULL;
    c->out = NULL;
    c->failed = r < 0;
    return r;
}

/* The rest of the interface. */

static int tls_seal(struct vc_crypter *base, struct span plain, struct buf *out, struct err *e)
{
    return vc_record_seal(&((struct tls_crypter *)base)->sealer, plain, out, e);
}

static int tls_open(struct vc_crypter *base, struct span sealed, struct buf *out, struct err *e)
{
    return vc_record_open(&((struct tls_crypter *)base)->opener, sealed, out, e);
}

static size_t tls_sealed_max(const struct vc_crypter *base, size_t n)
{
    return vc_record_sealed_max(&((const struct tls_crypter *)base)->sealer, n);
}

static const char *tls_describe(const struct vc_crypter *base)
{
    return ((const struct tls_crypter *)base)->name;
}

static bool tls_is_legacy(const struct vc_crypter *base)
{
    return ((const struct tls_crypter *)base)->legacy;
}

static void tls_free(struct vc_crypter *base)
{
    struct tls_crypter *c = (struct tls_crypter *)base;

    if (c->session != NULL)
        gnutls_deinit(c->session);
    vc_record_done(&c->sealer);
    vc_record_done(&c->opener);
    free(c);
}

static const struct vc_crypter_ops tls_ops = {
    .handshake = tls_handshake,
    .seal = tls_seal,
    .open = tls_open,
    .sealed_max = tls_sealed_max,
    .describe = tls_describe,
    .is_legacy = tls_is_legacy,
    .free = tls_free,
};

static int tls_crypter_new(const struct vc_tls *t, unsigned role, struct tls_crypter **ret_crypter,
                           struct err *e)
{
    struct tls_crypter *c = calloc(1, sizeof *c);
    int r;

    if (c == NULL)
        return err_set(e, WSPR_ENOMEM, "tls: out of memory");
    c->base.ops = &tls_ops;
    c->name = "TLS1.2 handshake";
    r = gnutls_init(&c->session, role | GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS);
    if (r >= 0)
        r = gnutls_priority_set(c->session, t->priority);
    if (r >= 0 && role == GNUTLS_CLIENT)
        r = gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, t->opener);
    if (r < 0) {
        tls_free(&c->base);
        return tls_error(r, e);
    }
    gnutls_handshake_set_max_packet_length(c->session, TLS_MESSAGE_MAX);
    gnutls_transport_set_ptr(c->session, c);
    gnutls_transport_set_pull_function(c->session, tls_pull);
    gnutls_transport_set_push_function(c->session, tls_push);
    *ret_crypter = c;
    return 0;
}

int vc_tls_opener(const struct vc_tls *t, struct vc_crypter **ret_crypter, struct err *e)
{
    struct tls_crypter *c;
    int r = tls_crypter_new(t, GNUTLS_CLIENT, &c, e);

    if (r == 0)
        *ret_crypter = &c->base;
    return r;
}

int vc_tls_acceptor(struct vc_tls *t, struct vc_crypter **ret_crypter, struct err *e)
{
    struct tls_crypter *c;
    int r = tls_crypter_new(t, GNUTLS_SERVER, &c, e);

    if (r == 0) {
        c->accepts = t;
        *ret_crypter = &c->base;
    }
    return r;
}

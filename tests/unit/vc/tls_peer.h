/* A plain GnuTLS session in memory: the part of a peer that is not ours. */
#ifndef TESTS_UNIT_VC_TLS_PEER_H
#define TESTS_UNIT_VC_TLS_PEER_H

#include <gnutls/gnutls.h>

#include "base/buf.h"
#include "vc/crypter.h"

struct tls_peer {
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
    struct buf in;  /* for the session */
    struct buf out; /* from the session */
    int last;       /* what gnutls_handshake said last */
    bool done;
};

/* `server` presents the certificate that the reference acceptor uses (of handshake_v2.json). */
void tls_peer_init(struct tls_peer *p, bool server, const char *priority);
void tls_peer_done(struct tls_peer *p);
/* Runs both handshakes to their end. 0, or the error of the crypter. */
int tls_peer_handshake(struct tls_peer *p, struct vc_crypter *c, struct err *e);
/* Two crypters with each other, handing over at most `piece` bytes at a time. */
int tls_pair_handshake(struct vc_crypter *opener, struct vc_crypter *acceptor, size_t piece,
                       struct err *e);

#endif

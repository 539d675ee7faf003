/*
 * The TLS form of the circuit's crypter (spec: stream 7.4, 7.5): a TLS 1.2 handshake by GnuTLS,
 * then records that are made and read here. Suites: ECDHE-ECDSA with AES-GCM, and RC4-SHA after
 * them where peers of 2014 are admitted (they accept nothing else). The certificate proves nothing
 * and is not checked: who the peer is comes from the authentication that follows in the circuit.
 */
#ifndef VC_TLS_H
#define VC_TLS_H

#include <stdbool.h>
#include "base/error.h"
#include "vc/crypter.h"

/*
 * Suites, key and self-signed certificate: one per process, shared by all threads. Key (P-256) and
 * certificate take about a millisecond and are made by the first handshake of an acceptor.
 */
struct vc_tls;

/*
 * `legacy` admits RC4-SHA. WSPR_EINVAL when it is asked for but left out of this build,
 * WSPR_ECRYPTO when the GnuTLS policy of the system forbids it or anything else fails; the text
 * says which. WSPR_ENOMEM.
 */
int vc_tls_new(bool legacy, struct vc_tls **ret_tls, struct err *e);
/* No crypter that was made from it may be left. NULL is accepted. */
void vc_tls_free(struct vc_tls *t);
bool vc_tls_legacy(const struct vc_tls *t);

/*
 * A crypter for the side that opened the circuit, and for the one that accepts it.
 * vc_crypter_free() ends it. WSPR_ENOMEM or WSPR_ECRYPTO. Any thread.
 */
int vc_tls_opener(const struct vc_tls *t, struct vc_crypter **ret_crypter, struct err *e);
int vc_tls_acceptor(struct vc_tls *t, struct vc_crypter **ret_crypter, struct err *e);

#endif

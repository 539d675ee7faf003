/*
 * TLS for connections that are accepted: 1.3, and 1.2 with AEAD suites and ephemeral keys; nothing
 * less. What a socket needs is given to it in its options; its owner sees no difference. Worker's
 * thread only.
 */
#ifndef LOOP_TLS_H
#define LOOP_TLS_H

#include <stdbool.h>

#include "base/error.h"

struct loop_tls;

/*
 * Reads a certificate, followed by those of its issuers, and its private key, both in PEM.
 * WSPR_EINVAL names the files and says what is wrong; WSPR_ENOTAUTH: others may read the key;
 * WSPR_ESYS, WSPR_ENOMEM.
 */
int loop_tls_new(const char *cert_file, const char *key_file, struct loop_tls **ret_tls,
                 struct err *e);
/* Sockets hold references of their own. NULL is accepted. */
struct loop_tls *loop_tls_ref(struct loop_tls *t);
void loop_tls_unref(struct loop_tls *t);
/* Whether the certificate is for this host: a name, or an address as text (without brackets). */
bool loop_tls_is_for(const struct loop_tls *t, const char *host);

#endif

/*
 * The other end of TLS for tests: a certificate of one's own, and a bridge that lets a plain client
 * talk to a server with TLS.
 */
#ifndef TESTS_TLS_CLIENT_H
#define TESTS_TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Writes a self-signed certificate for the host and its key (mode 0600), in PEM. */
bool tls_make_files(const char *host, const char *cert_file, const char *key_file);

struct tls_bridge {
    pid_t pid;
    int port; /* where plain clients connect, on 127.0.0.1 */
};

struct tls_bridge_opts {
    int to;                 /* the port of the server, on 127.0.0.1 */
    const char *priorities; /* of GnuTLS; NULL: its own */
    const char *cert_file;  /* the server must show this one; NULL: whatever it shows */
    bool trickle;           /* the handshake goes out byte by byte */
};

/* In a process of its own; each connection is one to the server. */
bool tls_bridge_start(struct tls_bridge *b, const struct tls_bridge_opts *opts);
void tls_bridge_stop(struct tls_bridge *b);

/* One handshake: 0 and what was agreed on ("TLS1.3 AES-128-GCM"), or the error of GnuTLS. */
int tls_try(const struct tls_bridge_opts *opts, char *ret_agreed, size_t size);
/* The first n bytes of a handshake, then the end. */
void tls_cut(const struct tls_bridge_opts *opts, size_t n);

#endif

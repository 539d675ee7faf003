#include "config.h"
#include "tls_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#define CONNECTIONS 64

/* ---- certificate ---- */

static bool write_file(const char *path, const gnutls_datum_t *d)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, d->data, d->size) == (ssize_t)d->size;

    if (fd >= 0)
        close(fd);
    return ok;
}

static bool sign(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const char *host)
{
    static const unsigned char serial[] = {1};
    time_t now = time(NULL);

    return gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                        GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) == 0 &&
           gnutls_x509_crt_set_version(crt, 3) == 0 &&
           gnutls_x509_crt_set_serial(crt, serial, sizeof serial) == 0 &&
           gnutls_x509_crt_set_activation_time(crt, now - 3600) == 0 &&
           gnutls_x509_crt_set_expiration_time(crt, now + 86400) == 0 &&
           gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, host,
                                         (unsigned)strlen(host)) == 0 &&
           gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, host,
                                                (unsigned)strlen(host), GNUTLS_FSAN_SET) == 0 &&
           gnutls_x509_crt_set_key(crt, key) == 0 &&
           gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0) == 0;
}

bool tls_make_files(const char *host, const char *cert_file, const char *key_file)
{
    gnutls_datum_t cert = {NULL, 0}, secret = {NULL, 0};
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
    bool ok;

    if (gnutls_x509_privkey_init(&key) < 0 || gnutls_x509_crt_init(&crt) < 0)
        return false;
    ok = sign(crt, key, host) && gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &cert) == 0 &&
         gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &secret) == 0 &&
         write_file(cert_file, &cert) && write_file(key_file, &secret);
    gnutls_free(cert.data);
    gnutls_free(secret.data);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
    return ok;
}

/* ---- one session ---- */

struct end {
    int plain, fd;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
    bool trickle, up;
    size_t left; /* bytes that may still be sent */
};

static int connect_to(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static ssize_t end_push(gnutls_transport_ptr_t arg, const void *p, size_t len)
{
    struct end *e = arg;
    size_t n = e->trickle && !e->up ? 1 : len;
    ssize_t r;

    n = n < e->left ? n : e->left;
    if (n == 0) {
        errno = EPIPE;
        return -1;
    }
    r = send(e->fd, p, n, MSG_NOSIGNAL);
    if (r > 0)
        e->left -= (size_t)r;
    return r;
}

static ssize_t end_pull(gnutls_transport_ptr_t arg, void *p, size_t len)
{
    return recv(((struct end *)arg)->fd, p, len, 0);
}

static int end_pull_timeout(gnutls_transport_ptr_t arg, unsigned ms)
{
    struct pollfd p = {.fd = ((struct end *)arg)->fd, .events = POLLIN};

    return poll(&p, 1, (int)ms);
}

static void end_close(struct end *e)
{
    if (e->session != NULL)
        gnutls_deinit(e->session);
    if (e->credentials != NULL)
        gnutls_certificate_free_credentials(e->credentials);
    if (e->fd >= 0)
        close(e->fd);
    if (e->plain >= 0)
        close(e->plain);
    *e = (struct end){.plain = -1, .fd = -1};
}

/* The handshake, up to the limit of bytes. */
static int end_open(struct end *e, const struct tls_bridge_opts *opts, size_t limit)
{
    int on = 1, r;

    *e = (struct end){.plain = -1, .fd = connect_to(opts->to), .trickle = opts->trickle};
    e->left = limit;
    if (e->fd < 0 || gnutls_certificate_allocate_credentials(&e->credentials) < 0 ||
        gnutls_init(&e->session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL) < 0)
        return GNUTLS_E_INTERNAL_ERROR;
    setsockopt(e->fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
    r = gnutls_priority_set_direct(e->session,
                                   opts->priorities != NULL ? opts->priorities : "NORMAL", NULL);
    if (opts->cert_file != NULL) {
        gnutls_certificate_set_x509_trust_file(e->credentials, opts->cert_file,
                                               GNUTLS_X509_FMT_PEM);
        gnutls_session_set_verify_cert(e->session, NULL, 0);
    }
    gnutls_credentials_set(e->session, GNUTLS_CRD_CERTIFICATE, e->credentials);
    gnutls_transport_set_ptr(e->session, e);
    gnutls_transport_set_push_function(e->session, end_push);
    gnutls_transport_set_pull_function(e->session, end_pull);
    gnutls_transport_set_pull_timeout_function(e->session, end_pull_timeout);
    gnutls_handshake_set_timeout(e->session, 30000);
    while (r == 0 && (r = gnutls_handshake(e->session)) < 0 && !gnutls_error_is_fatal(r))
        r = 0;
    e->up = r == 0;
    return r;
}

int tls_try(const struct tls_bridge_opts *opts, char *ret_agreed, size_t size)
{
    struct end e;
    int r = end_open(&e, opts, SIZE_MAX);

    snprintf(ret_agreed, size, "%s", r < 0 ? gnutls_strerror(r) : "");
    if (r == 0)
        snprintf(ret_agreed, size, "%s %s",
                 gnutls_protocol_get_name(gnutls_protocol_get_version(e.session)),
                 gnutls_cipher_get_name(gnutls_cipher_get(e.session)));
    end_close(&e);
    return r;
}

void tls_cut(const struct tls_bridge_opts *opts, size_t n)
{
    struct end e;

    end_open(&e, opts, n);
    end_close(&e);
}

/* ---- the bridge ---- */

static bool send_all(int fd, const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

/* Plain bytes that came go through TLS. False: the end. */
static bool pump_out(struct end *e)
{
    char buf[16384];
    ssize_t n = recv(e->plain, buf, sizeof buf, 0), sent = 0;

    while (sent < n) {
        ssize_t r = gnutls_record_send(e->session, buf + sent, (size_t)(n - sent));

        if (r < 0 && gnutls_error_is_fatal((int)r))
            return false;
        sent += r > 0 ? r : 0;
    }
    return n > 0;
}

static bool pump_in(struct end *e)
{
    char buf[16384];

    do {
        ssize_t n = gnutls_record_recv(e->session, buf, sizeof buf);

        if (n == 0 || (n < 0 && gnutls_error_is_fatal((int)n)) ||
            (n > 0 && !send_all(e->plain, buf, (size_t)n)))
            return false;
    } while (gnutls_record_check_pending(e->session) > 0);
    return true;
}

static void bridge_accept(struct end *ends, int door, const struct tls_bridge_opts *opts)
{
    int plain = accept(door, NULL, NULL);

    for (int i = 0; i < CONNECTIONS; i++) {
        if (ends[i].plain >= 0)
            continue;
        if (end_open(&ends[i], opts, SIZE_MAX) < 0) {
            close(plain);
            end_close(&ends[i]);
        } else {
            ends[i].plain = plain;
        }
        return;
    }
    close(plain);
}

static void bridge_run(int door, const struct tls_bridge_opts *opts)
{
    static struct end ends[CONNECTIONS];
    struct pollfd fds[1 + 2 * CONNECTIONS];

    for (int i = 0; i < CONNECTIONS; i++)
        ends[i] = (struct end){.plain = -1, .fd = -1};
    for (;;) {
        fds[0] = (struct pollfd){.fd = door, .events = POLLIN};
        for (int i = 0; i < CONNECTIONS; i++) {
            fds[1 + 2 * i] = (struct pollfd){.fd = ends[i].plain, .events = POLLIN};
            fds[2 + 2 * i] = (struct pollfd){.fd = ends[i].fd, .events = POLLIN};
        }
        if (poll(fds, 1 + 2 * CONNECTIONS, -1) < 0)
            continue;
        for (int i = 0; i < CONNECTIONS; i++) {
            if ((fds[1 + 2 * i].revents != 0 && !pump_out(&ends[i])) ||
                (fds[2 + 2 * i].revents != 0 && !pump_in(&ends[i])))
                end_close(&ends[i]);
        }
        if (fds[0].revents != 0)
            bridge_accept(ends, door, opts);
    }
}

bool tls_bridge_start(struct tls_bridge *b, const struct tls_bridge_opts *opts)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t len = sizeof a;
    int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (door < 0 || bind(door, (struct sockaddr *)&a, sizeof a) < 0 || listen(door, 16) < 0 ||
        getsockname(door, (struct sockaddr *)&a, &len) < 0)
        return false;
    b->port = ntohs(a.sin_port);
    fflush(stdout);
    b->pid = fork();
    if (b->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        bridge_run(door, opts);
        _exit(0);
    }
    close(door);
    return b->pid > 0;
}

void tls_bridge_stop(struct tls_bridge *b)
{
    if (b->pid > 0) {
        kill(b->pid, SIGKILL);
        waitpid(b->pid, NULL, 0);
    }
    b->pid = 0;
}

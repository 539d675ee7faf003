/*
 * The TLS of a socket. While it is made (ECDSA or RSA take their time) a job of the pool owns the
 * session, and reads and writes memory only:
 *
 *     bytes come -> `in`, reading stops -> job: gnutls_handshake() -> `out` is sent, reading again
 *
 * After that the session reads and writes the descriptor on the loop. A socket that is closed while
 * the job runs leaves all of this to the job.
 */
#include "config.h"
#include "loop/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "loop/internal.h"

#define TLS_RECORD        16384
#define TLS_HANDSHAKE_MAX 65536 /* bytes of the handshake that wait, in each direction */

static const char priorities[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:"
    "+CHACHA20-POLY1305:-MAC-ALL:+AEAD:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:%SERVER_PRECEDENCE";

struct loop_tls {
    unsigned refs;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
    gnutls_x509_crt_t cert;
};

struct sock_tls {
    struct loop_sock *s; /* NULL: it is gone, but the job is not */
    struct loop_tls *config;
    struct loop_offload *pool;
    gnutls_session_t session;
    struct loop_job job;
    bool working;       /* the job owns session, in and out */
    bool up;            /* the handshake is over */
    bool ended;         /* the input is */
    bool half_sent;     /* a record is with the session that the system did not take whole */
    int result;         /* of the handshake so far */
    struct buf in, out; /* of the handshake */
};

/* ---- certificates ---- */

static int check_key_file(const char *path, struct err *e)
{
    struct stat st;
    char text[128];

    if (stat(path, &st) < 0)
        return err_set(e, WSPR_ESYS, "%s: %s", path, loop_errno_text(errno, text, sizeof text));
    if ((st.st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) != 0)
        return err_set(e, WSPR_ENOTAUTH, "%s is refused because others may read it (mode %03o)",
                       path, (unsigned)st.st_mode & 0777);
    return 0;
}

static int fail_gnutls(struct err *e, int r)
{
    return err_set(e, r == GNUTLS_E_MEMORY_ERROR ? WSPR_ENOMEM : WSPR_EINVAL, "%s",
                   gnutls_strerror(r));
}

/* The first certificate, to ask it for names. */
static int take_cert(struct loop_tls *t)
{
    gnutls_x509_crt_t *certs;
    unsigned n;
    int r = gnutls_certificate_get_x509_crt(t->credentials, 0, &certs, &n);

    if (r < 0)
        return r;
    for (unsigned i = 1; i < n; i++)
        gnutls_x509_crt_deinit(certs[i]);
    if (n > 0)
        t->cert = certs[0];
    gnutls_free(certs);
    return n > 0 ? 0 : GNUTLS_E_NO_CERTIFICATE_FOUND;
}

int loop_tls_new(const char *cert_file, const char *key_file, struct loop_tls **ret_tls,
                 struct err *e)
{
    struct loop_tls *t;
    int r = check_key_file(key_file, e);

    if (r < 0)
        return r;
    t = calloc(1, sizeof *t);
    if (t == NULL)
        return err_set(e, WSPR_ENOMEM, "out of memory");
    t->refs = 1;
    r = gnutls_priority_init(&t->priority, priorities, NULL);
    if (r >= 0)
        r = gnutls_certificate_allocate_credentials(&t->credentials);
    if (r >= 0)
        r = gnutls_certificate_set_x509_key_file2(t->credentials, cert_file, key_file,
                                                  GNUTLS_X509_FMT_PEM, NULL, 0);
    if (r >= 0)
        r = take_cert(t);
    if (r < 0) {
        loop_tls_unref(t);
        r = fail_gnutls(e, r);
        err_prefix(e, 0, "certificate %s with key %s: ", cert_file, key_file);
        return r;
    }
    *ret_tls = t;
    return 0;
}

struct loop_tls *loop_tls_ref(struct loop_tls *t)
{
    t->refs++;
    return t;
}

void loop_tls_unref(struct loop_tls *t)
{
    if (t == NULL || --t->refs > 0)
        return;
    if (t->cert != NULL)
        gnutls_x509_crt_deinit(t->cert);
    if (t->credentials != NULL)
        gnutls_certificate_free_credentials(t->credentials);
    if (t->priority != NULL)
        gnutls_priority_deinit(t->priority);
    free(t);
}

bool loop_tls_is_for(const struct loop_tls *t, const char *host)
{
    return gnutls_x509_crt_check_hostname(t->cert, host) != 0;
}

/* ---- what the session reads and writes ---- */

static ssize_t tls_pull(gnutls_transport_ptr_t arg, void *p, size_t len)
{
    struct sock_tls *t = arg;
    ssize_t n = -1;

    errno = EAGAIN;
    if (t->in.len > 0) {
        n = (ssize_t)(t->in.len < len ? t->in.len : len);
        memcpy(p, buf_data(&t->in), (size_t)n);
        buf_consume(&t->in, (size_t)n);
    } else if (t->up) {
        n = recv(t->s->fd, p, len, 0);
    }
    if (n < 0)
        gnutls_transport_set_errno(t->session, errno);
    return n;
}

static int tls_pull_timeout(gnutls_transport_ptr_t arg, unsigned ms)
{
    const struct sock_tls *t = arg;

    return t->up || t->in.len > 0;
}

/* What the handshake left goes first. -1 with errno, or 0. */
static int tls_send_rest(struct sock_tls *t)
{
    while (t->out.len > 0) {
        ssize_t n = send(t->s->fd, buf_data(&t->out), t->out.len, MSG_NOSIGNAL);

        if (n < 0)
            return -1;
        buf_consume(&t->out, (size_t)n);
    }
    buf_release(&t->out);
    return 0;
}

static ssize_t tls_push(gnutls_transport_ptr_t arg, const void *p, size_t len)
{
    struct sock_tls *t = arg;
    ssize_t n = -1;

    if (!t->up) {
        buf_append(&t->out, p, len);
        n = buf_error(&t->out) == 0 ? (ssize_t)len : -1;
        errno = ENOMEM;
    } else if (tls_send_rest(t) == 0) {
        n = send(t->s->fd, p, len, MSG_NOSIGNAL);
    }
    if (n < 0)
        gnutls_transport_set_errno(t->session, errno);
    return n;
}

/* ---- the handshake ---- */

static void tls_free(struct sock_tls *t)
{
    if (t->session != NULL)
        gnutls_deinit(t->session);
    loop_tls_unref(t->config);
    buf_done(&t->in);
    buf_done(&t->out);
    free(t);
}

static void tls_fail(struct sock_tls *t, int code, const char *text)
{
    char addr[LOOP_ADDR_TEXT];
    struct err e = ERR_INIT;

    loop_addr_text(&t->s->remote, addr);
    err_set(&e, code, "tls %s: %s", addr, text);
    loop_sock_fail(t->s, &e);
}

static void tls_work(void *arg)
{
    struct sock_tls *t = arg;

    do
        t->result = gnutls_handshake(t->session);
    while (t->result < 0 && t->result != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(t->result));
}

static void tls_worked(void *arg, int status)
{
    struct sock_tls *t = arg;
    struct loop_sock *s = t->s;
    bool blocked, reads;

    t->working = false;
    if (s == NULL) {
        tls_free(t);
        return;
    }
    blocked = tls_send_rest(t) < 0;
    if (status < 0 || buf_error(&t->out) != 0 || (blocked && errno != EAGAIN && errno != EINTR)) {
        tls_fail(t, WSPR_ECLOSED, "the handshake was interrupted");
        return;
    }
    if (t->result < 0 && t->result != GNUTLS_E_AGAIN) {
        tls_fail(t, WSPR_EPROTO, gnutls_strerror(t->result));
        return;
    }
    t->up = t->result == 0;
    reads = s->state == SOCK_OPEN && !s->paused && !s->in_eof;
    if ((blocked && loop_sock_await_write(s) < 0) || (reads && loop_sock_await_read(s) < 0)) {
        tls_fail(t, WSPR_ESYS, "no event");
        return;
    }
    if (t->up) {
        loop_tls_wake(s); /* what came behind the handshake */
        loop_sock_mark(s);
    }
}

int loop_tls_begin(struct loop_sock *s, struct loop_tls *config, struct loop_offload *pool,
                   struct err *e)
{
    struct sock_tls *t = calloc(1, sizeof *t);
    int r;

    if (t == NULL)
        return err_set(e, WSPR_ENOMEM, "out of memory");
    t->s = s;
    t->config = loop_tls_ref(config);
    t->pool = pool;
    buf_init(&t->in, TLS_HANDSHAKE_MAX);
    buf_init(&t->out, TLS_HANDSHAKE_MAX);
    loop_job_init(&t->job, tls_work, tls_worked, t);
    r = gnutls_init(&t->session,
                    GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS);
    if (r >= 0)
        r = gnutls_priority_set(t->session, config->priority);
    if (r >= 0)
        r = gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, config->credentials);
    if (r < 0) {
        tls_free(t);
        return fail_gnutls(e, r);
    }
    gnutls_transport_set_ptr(t->session, t);
    gnutls_transport_set_pull_function(t->session, tls_pull);
    gnutls_transport_set_pull_timeout_function(t->session, tls_pull_timeout);
    gnutls_transport_set_push_function(t->session, tls_push);
    s->tls = t;
    return 0;
}

void loop_tls_drop(struct loop_sock *s)
{
    struct sock_tls *t = s->tls;

    s->tls = NULL;
    if (t == NULL)
        return;
    t->s = NULL;
    if (t->working)
        loop_job_cancel(&t->job);
    else
        tls_free(t);
}

/* Bytes of the handshake go to a job. */
static ssize_t tls_recv_handshake(struct sock_tls *t)
{
    struct loop_sock *s = t->s;
    ssize_t n = 0;

    if (!t->working) {
        n = recv(s->fd, s->w->read_buf, TLS_RECORD, 0);
        if (n <= 0)
            return n;
        buf_append(&t->in, s->w->read_buf, (size_t)n);
        if (buf_error(&t->in) != 0 ||
            loop_offload_submit(t->pool, s->w, LOOP_LANE_CPU, &t->job) < 0) {
            errno = ENOBUFS;
            return -1;
        }
        t->working = true;
    }
    loop_sock_stop_reading(s);
    errno = EAGAIN;
    return -1;
}

/* ---- afterwards ---- */

bool loop_tls_is_up(const struct loop_sock *s)
{
    return s->tls->up;
}

void loop_tls_wake(struct loop_sock *s)
{
    if (s->reading)
        event_active(&s->read_ev, EV_READ, 1);
}

ssize_t loop_tls_recv(struct loop_sock *s, uint8_t *p, size_t len)
{
    struct sock_tls *t = s->tls;
    size_t got = 0;

    if (!t->up)
        return tls_recv_handshake(t);
    /* Whole records only, so that the session keeps nothing of which the system does not know. */
    while (!t->ended && len - got >= TLS_RECORD) {
        ssize_t n = gnutls_record_recv(t->session, p + got, len - got);

        if (n > 0) {
            got += (size_t)n;
        } else if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED) {
            break;
        } else if (n == 0 || n == GNUTLS_E_PREMATURE_TERMINATION) {
            t->ended = true;
        } else if (n == GNUTLS_E_REHANDSHAKE || gnutls_error_is_fatal((int)n)) {
            errno = EPROTO;
            return -1;
        }
    }
    if (got > 0 && (t->ended || t->in.len > 0))
        loop_tls_wake(s);
    if (got == 0 && !t->ended) {
        errno = EAGAIN;
        return -1;
    }
    return (ssize_t)got;
}

ssize_t loop_tls_send(struct loop_sock *s, const void *p, size_t len)
{
    struct sock_tls *t = s->tls;
    size_t sent = 0;

    while (sent < len) {
        size_t want = len - sent < TLS_RECORD ? len - sent : TLS_RECORD;
        ssize_t n = t->half_sent ? gnutls_record_send(t->session, NULL, 0)
                                 : gnutls_record_send(t->session, (const uint8_t *)p + sent, want);

        t->half_sent = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED;
        if (n > 0) {
            sent += (size_t)n;
        } else {
            errno = t->half_sent ? EAGAIN : EPROTO;
            break;
        }
    }
    return sent > 0 ? (ssize_t)sent : -1;
}

int loop_tls_flush(struct loop_sock *s)
{
    return s->tls->working ? 0 : tls_send_rest(s->tls);
}

void loop_tls_bye(struct loop_sock *s)
{
    if (s->tls->up)
        gnutls_bye(s->tls->session, GNUTLS_SHUT_WR); /* as far as the system takes it */
}

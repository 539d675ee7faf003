/*
 * Dialling: text -> addresses (at once, or by a job that looks the name up) -> one attempt after
 * another -> OPEN, or the error of the last attempt.
 *
 *     the deadline is for all of it; an attempt gets its share of the time that is left
 *
 * The look-up is an object of its own: a socket that is closed meanwhile lets go of it, and it is
 * freed when the job comes back.
 */
#include "config.h"
#include "loop/sock.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/internal.h"

#define DIAL_ADDRS_MAX 8
#define DIAL_TIMEOUT   (30 * CLOCK_S)
#define DIAL_HOST_MAX  255

/* A name being looked up. The job reads host and writes found, n_found, failed and saved. */
struct dial_lookup {
    struct loop_job job;
    struct loop_sock *sock; /* NULL once it is gone */
    struct loop_addr found[DIAL_ADDRS_MAX];
    size_t n_found;
    int failed; /* EAI_... */
    int saved;  /* errno with EAI_SYSTEM */
    uint16_t port;
    char host[DIAL_HOST_MAX + 1];
};

struct sock_dial {
    struct dial_lookup *lookup;
    struct loop_addr addrs[DIAL_ADDRS_MAX];
    size_t n_addrs;
    size_t next; /* the attempt after the current one */
    int64_t deadline;
};

static const struct loop_addr *dial_current(const struct sock_dial *d)
{
    return &d->addrs[d->next - 1];
}

static void dial_error(const struct loop_sock *s, int code, const char *text, struct err *e)
{
    char addr[LOOP_ADDR_TEXT] = "";

    if (s->dial->next > 0)
        loop_addr_text(dial_current(s->dial), addr);
    err_set(e, code, "dial tcp%s%s: %s", addr[0] != '\0' ? " " : "", addr, text);
}

static void dial_errno(const struct loop_sock *s, int err, struct err *e)
{
    char text[128];

    dial_error(s, WSPR_ESYS, loop_errno_text(err, text, sizeof text), e);
}

static void dial_fail(struct loop_sock *s, struct err *e)
{
    s->w->stats.dial_errors++;
    loop_sock_fail_later(s, e);
}

/* A connection to a free local port can meet itself; nobody listens there then. */
static bool dial_met_itself(const struct loop_sock *s)
{
    struct loop_addr here, there;

    here.len = sizeof here.u;
    there.len = sizeof there.u;
    return getsockname(s->fd, &here.u.sa, &here.len) == 0 &&
           getpeername(s->fd, &there.u.sa, &there.len) == 0 && loop_addr_equal(&here, &there);
}

static void dial_connected(struct loop_sock *s)
{
    struct err e = ERR_INIT;

    loop_timer_stop(&s->timer);
    free(s->dial);
    s->dial = NULL;
    if (loop_sock_open(s, &e) < 0) {
        err_prefix(&e, 0, "dial tcp: ");
        dial_fail(s, &e);
        return;
    }
    if (s->ops->connected != NULL)
        s->ops->connected(s->arg);
}

/* Begins one attempt. 0 if it is under way, else an errno. */
static int dial_attempt(struct loop_sock *s, const struct loop_addr *a)
{
    s->fd = socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return errno;
    if (connect(s->fd, &a->u.sa, a->len) < 0 && errno != EINPROGRESS && errno != EINTR)
        return errno;
    /* Also when it succeeded at once: the owner hears of it from the loop. */
    return loop_sock_await_write(s) < 0 ? ENOMEM : 0;
}

static void dial_drop_attempt(struct loop_sock *s)
{
    loop_sock_no_events(s);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

/* Begins the next attempt that can be begun; with none left the dial fails as the last one did. */
static void dial_next(struct loop_sock *s, struct err *last)
{
    struct sock_dial *d = s->dial;

    while (d->next < d->n_addrs) {
        int64_t left = d->deadline - loop_worker_now(s->w);
        int err = dial_attempt(s, &d->addrs[d->next++]);

        if (err == 0) {
            loop_timer_start(&s->timer, left / (int64_t)(d->n_addrs - d->next + 1));
            err_done(last);
            return;
        }
        dial_drop_attempt(s);
        dial_errno(s, err, last);
    }
    dial_fail(s, last);
}

void loop_dial_writable(struct loop_sock *s)
{
    socklen_t len = sizeof(int);
    struct err e = ERR_INIT;
    int err = 0;

    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        err = errno;
    if (err == 0 && dial_met_itself(s))
        err = ECONNREFUSED;
    if (err == 0) {
        dial_connected(s);
        return;
    }
    dial_drop_attempt(s);
    dial_errno(s, err, &e);
    dial_next(s, &e);
}

void loop_dial_timeout(struct loop_sock *s)
{
    struct err e = ERR_INIT;

    dial_error(s, WSPR_ETIMEOUT, "i/o timeout", &e);
    dial_drop_attempt(s);
    if (s->dial->lookup != NULL)
        dial_fail(s, &e);
    else
        dial_next(s, &e);
}

void loop_dial_drop(struct loop_sock *s)
{
    if (s->dial == NULL)
        return;
    if (s->dial->lookup != NULL) {
        s->dial->lookup->sock = NULL;
        loop_job_cancel(&s->dial->lookup->job);
    }
    free(s->dial);
    s->dial = NULL;
}

/* Any thread. */
static void lookup_work(void *arg)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *found = NULL;
    struct dial_lookup *l = arg;

    l->failed = getaddrinfo(l->host, NULL, &hints, &found);
    l->saved = errno;
    if (l->failed != 0)
        return;
    for (struct addrinfo *i = found; i != NULL && l->n_found < DIAL_ADDRS_MAX; i = i->ai_next) {
        struct loop_addr *a = &l->found[l->n_found];

        if (i->ai_addrlen > sizeof a->u)
            continue;
        memset(a, 0, sizeof *a);
        memcpy(&a->u, i->ai_addr, i->ai_addrlen);
        a->len = i->ai_addrlen;
        if (a->u.sa.sa_family == AF_INET)
            a->u.in.sin_port = htons(l->port);
        else if (a->u.sa.sa_family == AF_INET6)
            a->u.in6.sin6_port = htons(l->port);
        else
            continue;
        l->n_found++;
    }
    freeaddrinfo(found);
}

static void lookup_error(const struct dial_lookup *l, int status, struct err *e)
{
    const char *why = "no such host";
    char text[128];

    if (status < 0)
        why = err_code_text(status);
    else if (l->failed == EAI_SYSTEM)
        why = loop_errno_text(l->saved, text, sizeof text);
    else if (l->failed != 0 && l->failed != EAI_NONAME && l->failed != EAI_NODATA)
        why = gai_strerror(l->failed);
    err_set(e, status < 0 ? status : WSPR_ESYS, "dial tcp: lookup %s: %s", l->host, why);
}

static void lookup_done(void *arg, int status)
{
    struct dial_lookup *l = arg;
    struct loop_sock *s = l->sock;
    struct err e = ERR_INIT;

    if (s != NULL) {
        s->dial->lookup = NULL;
        if (status == 0 && l->n_found > 0) {
            memcpy(s->dial->addrs, l->found, sizeof l->found);
            s->dial->n_addrs = l->n_found;
            dial_next(s, &e);
        } else {
            lookup_error(l, status, &e);
            dial_fail(s, &e);
        }
    }
    free(l);
}

/* Begins the look-up of a name. On failure e tells why, in the words for the owner. */
static int dial_lookup(struct loop_sock *s, struct loop_offload *pool, const char *host, size_t len,
                       uint16_t port, struct err *e)
{
    struct dial_lookup *l;
    int r;

    if (len > DIAL_HOST_MAX || pool == NULL)
        return err_set(e, WSPR_ESYS, "dial tcp: lookup %.*s: no such host", (int)len, host);
    l = calloc(1, sizeof *l);
    if (l == NULL)
        return err_set(e, WSPR_ENOMEM, "dial tcp: out of memory");
    memcpy(l->host, host, len);
    l->port = port;
    l->sock = s;
    loop_job_init(&l->job, lookup_work, lookup_done, l);
    r = loop_offload_submit(pool, s->w, LOOP_LANE_WAIT, &l->job);
    if (r < 0) {
        lookup_error(l, r, e);
        free(l);
        return r;
    }
    s->dial->lookup = l;
    loop_timer_start_at(&s->timer, s->dial->deadline);
    return 0;
}

static int dial_begin(struct loop_sock *s, struct loop_offload *pool, const char *address,
                      struct err *e)
{
    const char *host, *port_text;
    uint16_t port;
    size_t len;
    int r = loop_addr_split(address, &host, &len, &port_text, e);

    if (r == 0)
        r = loop_addr_port(port_text, &port, e);
    if (r < 0) {
        err_prefix(e, 0, "dial tcp: ");
        return r;
    }
    if (!loop_addr_literal(&s->dial->addrs[0], host, len, port, false))
        return dial_lookup(s, pool, host, len, port, e);
    s->dial->n_addrs = 1;
    dial_next(s, e);
    return 0;
}

int loop_sock_dial(struct loop_worker *w, struct loop_offload *pool, const char *address,
                   int64_t timeout, const struct loop_sock_opts *opts, struct loop_sock **ret_sock,
                   struct err *e)
{
    struct sock_dial *d = calloc(1, sizeof *d);
    struct loop_sock *s = d != NULL ? loop_sock_make(w, opts) : NULL;
    struct err why = ERR_INIT;

    if (s == NULL) {
        free(d);
        return err_set(e, WSPR_ENOMEM, "dial tcp: out of memory");
    }
    w->stats.dials++;
    d->deadline = loop_worker_now(w) + (timeout > 0 ? timeout : DIAL_TIMEOUT);
    s->dial = d;
    if (dial_begin(s, pool, address, &why) < 0)
        dial_fail(s, &why);
    *ret_sock = s;
    return 0;
}

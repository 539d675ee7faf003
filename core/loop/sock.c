/*
 * Beginning and end of a socket:
 *
 *     DIALLING -> OPEN -> FLUSHING (until `out` is empty) -> DRAINING (until the peer ends) ->
 * freed
 *
 * Each state may also go to DEAD (the owner is told) or be freed at once. FLUSHING and DRAINING are
 * what loop_sock_close() leaves behind, bounded by a timer. The end of the write side before
 * close(2), and reading on until the peer has ended too, is what gets the last bytes across: to
 * close with unread input makes the system send a reset, which overtakes them.
 */
#include "config.h"
#include "loop/sock.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop/internal.h"

#define SOCK_IN_MAX      (1u << 20)
#define SOCK_OUT_MAX     (16u << 20)
#define SOCK_LINGER      (5 * CLOCK_S)
#define SOCK_FREE_STEP   (4u << 20)
#define SOCK_KEEPALIVE_S 30 /* spec: stream 5.1 */

static bool sock_lingers(const struct loop_sock *s)
{
    return s->state == SOCK_FLUSHING || s->state == SOCK_DRAINING;
}

/* Gives the descriptor back; the object stays. */
static void sock_shut(struct loop_sock *s)
{
    s->w->lingering -= sock_lingers(s);
    s->state = SOCK_DEAD;
    loop_sock_no_events(s);
    loop_timer_stop(&s->timer);
    loop_task_cancel(&s->later);
    list_remove(&s->flush_node);
    loop_dial_drop(s);
    if (s->memory)
        loop_pipe_cut(s);
    loop_tls_drop(s);
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

/* What a peer did not read may be much, and the system takes a while for it: some in each turn. */
static void sock_free(void *arg)
{
    struct loop_sock *s = arg;

    buf_reset(&s->out);
    if (buf_lessen(&s->out, SOCK_FREE_STEP)) {
        loop_worker_reap(s->w, &s->reap);
        return;
    }
    s->w->stats.socks--;
    err_done(&s->why);
    buf_done(&s->in);
    loop_block_give(s->w, &s->out);
    buf_done(&s->out);
    buf_done(&s->pipe);
    free(s);
}

void loop_sock_destroy(struct loop_sock *s)
{
    s->ops = NULL;
    sock_shut(s);
    list_remove(&s->node);
    loop_worker_reap(s->w, &s->reap);
}

void loop_sock_fail(struct loop_sock *s, struct err *why)
{
    if (s->ops == NULL) {
        err_done(why);
        loop_sock_destroy(s);
        return;
    }
    sock_shut(s);
    s->ops->closed(s->arg, why);
    err_done(why);
}

void loop_sock_fail_later(struct loop_sock *s, struct err *why)
{
    sock_shut(s);
    err_move(&s->why, why);
    loop_worker_later(s->w, &s->later);
}

static void sock_on_timer(void *arg)
{
    struct loop_sock *s = arg;

    if (s->state == SOCK_DIALLING)
        loop_dial_timeout(s);
    else if (sock_lingers(s))
        loop_sock_destroy(s);
}

/* Input again after a pause, or to another owner; or the notice of an early end. */
static void sock_on_later(void *arg)
{
    struct loop_sock *s = arg;

    if (s->state == SOCK_DEAD) {
        loop_sock_fail(s, &s->why);
        return;
    }
    if (s->state == SOCK_OPEN && !s->paused && s->in.len > 0)
        loop_sock_deliver_kept(s);
    if (s->in_eof)
        loop_sock_tell_eof(s);
}

struct loop_sock *loop_sock_make(struct loop_worker *w, const struct loop_sock_opts *opts)
{
    struct loop_sock *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    assert(loop_worker_here(w));
    s->w = w;
    s->fd = -1;
    s->state = SOCK_DIALLING;
    s->ops = opts->ops;
    s->arg = opts->arg;
    s->in_max = opts->in_max > 0 ? opts->in_max : SOCK_IN_MAX;
    s->out_low = opts->out_low;
    s->linger = opts->linger > 0 ? opts->linger : SOCK_LINGER;
    s->keepalive = opts->keepalive;
    s->code_only = opts->code_only;
    s->patience = opts->patience;
    /* A paused socket may keep one more reading than the owner may leave. */
    buf_init(&s->in, s->in_max + LOOP_SOCK_READ_MAX);
    buf_init(&s->out, opts->out_max > 0 ? opts->out_max : SOCK_OUT_MAX);
    list_init(&s->node);
    list_init(&s->flush_node);
    list_init(&s->pipe_node);
    buf_init(&s->pipe, LOOP_PIPE_MAX);
    loop_timer_init(&s->timer, w, sock_on_timer, s);
    loop_task_init(&s->later, sock_on_later, s);
    loop_task_init(&s->reap, sock_free, s);
    list_push_back(&w->socks, &s->node);
    w->stats.socks++;
    return s;
}

static void sock_tune(struct loop_sock *s)
{
    int on = 1, seconds = SOCK_KEEPALIVE_S;
    int64_t most = s->patience / (2 * CLOCK_S);
    unsigned ms = s->patience < UINT_MAX * CLOCK_MS ? (unsigned)(s->patience / CLOCK_MS) : UINT_MAX;

    /* All of this fails harmlessly on a socket pair. */
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (ms > 0)
        setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
    if (!s->keepalive)
        return;
    if (ms > 0 && most < seconds)
        seconds = most > 0 ? (int)most : 1;
    setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(s->fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    setsockopt(s->fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
}

static void sock_name(int (*get)(int, struct sockaddr *, socklen_t *), int fd, struct loop_addr *a)
{
    a->len = sizeof a->u;
    if (get(fd, &a->u.sa, &a->len) < 0 ||
        (a->u.sa.sa_family != AF_INET && a->u.sa.sa_family != AF_INET6))
        a->len = 0;
}

int loop_sock_open(struct loop_sock *s, struct err *e)
{
    sock_tune(s);
    if (s->remote.len == 0)
        sock_name(getpeername, s->fd, &s->remote);
    s->state = SOCK_OPEN;
    if (!s->paused && loop_sock_await_read(s) < 0)
        return err_set(e, WSPR_ESYS, "no event for the descriptor");
    if (s->out.len > 0 || s->out.error != 0 || s->fill_wanted || s->shutdown_wanted)
        loop_sock_mark(s);
    return 0;
}

int loop_sock_adopt(struct loop_worker *w, int fd, const struct loop_sock_opts *opts,
                    struct loop_sock **ret_sock, struct err *e)
{
    struct loop_sock *s = loop_sock_make(w, opts);
    int flags, r;

    if (s == NULL) {
        close(fd);
        return err_set(e, WSPR_ENOMEM, "socket: out of memory");
    }
    if (opts->peer != NULL) {
        s->remote = *opts->peer; /* of a listener, which makes descriptors that do not block */
    } else {
        flags = fcntl(fd, F_GETFL);
        if (flags >= 0 && (flags & O_NONBLOCK) == 0)
            fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    }
    s->fd = fd;
    r = opts->tls != NULL ? loop_tls_begin(s, opts->tls, opts->pool, e) : 0;
    if (r == 0)
        r = loop_sock_open(s, e);
    if (r < 0) {
        loop_sock_destroy(s);
        return r;
    }
    *ret_sock = s;
    return 0;
}

void loop_sock_close(struct loop_sock *s)
{
    assert(loop_worker_here(s->w) && s->ops != NULL);
    if (s->state != SOCK_OPEN || buf_error(&s->out) != 0) {
        loop_sock_destroy(s);
        return;
    }
    s->ops = NULL;
    s->fill_wanted = false;
    s->state = SOCK_FLUSHING;
    s->w->lingering++;
    loop_sock_stop_reading(s);
    loop_task_cancel(&s->later);
    loop_timer_start(&s->timer, s->linger);
    loop_sock_mark(s);
}

void loop_sock_abort(struct loop_sock *s)
{
    assert(loop_worker_here(s->w) && s->ops != NULL);
    loop_sock_destroy(s);
}

size_t loop_sock_lingering(const struct loop_worker *w)
{
    size_t sum = 0;

    if (w->lingering == 0)
        return 0;
    LIST_FOREACH (n, &w->socks) {
        const struct loop_sock *s = LOOP_SOCK_OF_NODE(n);

        if (sock_lingers(s))
            sum += s->out.len;
    }
    return sum;
}

void loop_sock_set_owner(struct loop_sock *s, const struct loop_sock_ops *ops, void *arg)
{
    s->ops = ops;
    s->arg = arg;
    if (s->state == SOCK_OPEN)
        loop_worker_later(s->w, &s->later);
}

struct loop_worker *loop_sock_worker(const struct loop_sock *s)
{
    return s->w;
}

/* Few ask. */
const struct loop_addr *loop_sock_local(struct loop_sock *s)
{
    if (s->local.len == 0 && s->fd >= 0)
        sock_name(getsockname, s->fd, &s->local);
    return &s->local;
}

const struct loop_addr *loop_sock_remote(const struct loop_sock *s)
{
    return &s->remote;
}

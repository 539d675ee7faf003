/*
 * Input:   recv -> [bytes kept] + worker's read buffer -> data() -> what is left is kept
 * Output:  owner appends to `out` -> flush list -> end of turn: fill(), send(), write event if full
 *
 * Where a socket has no descriptor pipe.c moves the bytes.
 *
 * Owners are called from three places only (read event, later task, flush), each of which looks
 * afterwards whether the socket still belongs to somebody. Its memory stays until the reap phase.
 */
#include "config.h"
#include "loop/sock.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "loop/internal.h"

#define SOCK_FILL_BELOW 65536
#define SOCK_DRAIN_MAX  (256u << 10)
#define SOCK_DRAIN_TIME CLOCK_S

/* The two places that move bytes of a descriptor. What nobody wants any more is not decrypted. */

/* Reads behind what is kept, into the rest of its block and then into the worker's buffer. */
static ssize_t sock_recv(struct loop_sock *s, size_t *ret_direct)
{
    struct buf *in = &s->in;
    size_t spare = in->base != NULL ? in->cap - in->off - in->len : 0;
    struct iovec iov[2];
    int n = 0;

    if (s->tls != NULL && s->state == SOCK_OPEN) {
        *ret_direct = 0;
        return loop_tls_recv(s, s->w->read_buf, LOOP_SOCK_READ_MAX);
    }
    if (in->len > 0 && spare > 0) {
        iov[n].iov_base = in->base + in->off + in->len;
        iov[n++].iov_len = spare;
    } else {
        spare = 0;
    }
    if (spare < LOOP_SOCK_READ_MAX) {
        iov[n].iov_base = s->w->read_buf;
        iov[n++].iov_len = LOOP_SOCK_READ_MAX - spare;
    } else {
        iov[0].iov_len = LOOP_SOCK_READ_MAX;
    }
    *ret_direct = spare;
    return readv(s->fd, iov, n);
}

/* Sends up to len bytes of the output. */
static ssize_t sock_send(struct loop_sock *s, size_t len)
{
    ssize_t n;

    if (s->memory)
        return loop_pipe_send(s, len);
    n = s->tls != NULL ? loop_tls_send(s, buf_data(&s->out), len)
                       : send(s->fd, buf_data(&s->out), len, MSG_NOSIGNAL);
    if (n > 0) {
        s->w->stats.writes++;
        s->w->stats.bytes_out += (uint64_t)n;
        buf_consume(&s->out, (size_t)n);
    }
    return n;
}

/*
 * Blocks of output buffers are shared by the sockets of a worker, so that a socket that has nothing
 * to send holds none and one that sends something need not allocate. One that sends much takes the
 * largest and everybody else the smallest: or they would all grow to what the largest needs, as
 * each comes to it in turn.
 */

static void sock_out_take(struct loop_sock *s)
{
    struct loop_worker *w = s->w;
    struct loop_block *best = w->spares;

    if (s->out.base != NULL || w->n_spares == 0)
        return;
    for (struct loop_block *b = best + 1; b < w->spares + w->n_spares; b++) {
        if (s->wide ? b->cap > best->cap : b->cap < best->cap)
            best = b;
    }
    s->out.base = best->base;
    s->out.cap = best->cap;
    s->wide = false;
    *best = w->spares[--w->n_spares];
}

static bool sock_keeps(const struct loop_worker *w, size_t cap)
{
    unsigned large = 0;

    for (unsigned i = 0; i < w->n_spares; i++)
        large += w->spares[i].cap > LOOP_SPARE_SMALL;
    return w->n_spares < LOOP_SPARES && cap <= LOOP_SPARE_MAX &&
           (cap <= LOOP_SPARE_SMALL || large < LOOP_SPARES_LARGE);
}

void loop_block_give(struct loop_worker *w, struct buf *b)
{
    if (b->base == NULL || b->len > 0)
        return;
    if (sock_keeps(w, b->cap)) {
        w->spares[w->n_spares++] = (struct loop_block){b->base, b->cap};
        b->base = NULL;
        b->cap = 0;
        b->off = 0;
    } else {
        buf_release(b);
    }
}

/* Events. */

static void sock_on_readable(evutil_socket_t fd, short what, void *arg);

static void sock_on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct loop_sock *s = arg;

    s->writing = false;
    if (s->state == SOCK_DIALLING)
        loop_dial_writable(s);
    else
        loop_sock_flush(s);
}

void loop_sock_no_events(struct loop_sock *s)
{
    loop_sock_stop_reading(s);
    if (s->writing && !s->memory)
        event_del(&s->write_ev);
    s->writing = false;
}

int loop_sock_await_write(struct loop_sock *s)
{
    if (s->writing)
        return 0;
    if (!s->memory &&
        (event_assign(&s->write_ev, s->w->base, s->fd, EV_WRITE, sock_on_writable, s) < 0 ||
         event_add(&s->write_ev, NULL) < 0))
        return WSPR_ESYS;
    s->writing = true;
    return 0;
}

int loop_sock_await_read(struct loop_sock *s)
{
    if (s->reading)
        return 0;
    if (s->memory) {
        loop_pipe_await_read(s);
        return 0;
    }
    if (event_assign(&s->read_ev, s->w->base, s->fd, EV_READ | EV_PERSIST, sock_on_readable, s) <
            0 ||
        event_add(&s->read_ev, NULL) < 0)
        return WSPR_ESYS;
    s->reading = true;
    return 0;
}

void loop_sock_stop_reading(struct loop_sock *s)
{
    if (s->memory)
        loop_pipe_stop_reading(s);
    else if (s->reading)
        event_del(&s->read_ev);
    s->reading = false;
}

/* Failures. */

static void sock_fail_code(struct loop_sock *s, int code, const char *text)
{
    struct err e = ERR_INIT;

    err_set(&e, code, "%s", text);
    loop_sock_fail(s, &e);
}

static void sock_fail_errno(struct loop_sock *s, const char *op, int err)
{
    char addr[LOOP_ADDR_TEXT], text[128];
    struct err e = {.code = WSPR_ESYS};

    if (!s->code_only) {
        loop_addr_text(&s->remote, addr);
        err_set(&e, WSPR_ESYS, "%s tcp%s%s: %s", op, addr[0] != '\0' ? " " : "", addr,
                loop_errno_text(err, text, sizeof text));
    }
    loop_sock_fail(s, &e);
}

/* Input. */

/* Hands len bytes to the owner, all that there are. Returns how many were used, or -1 if the socket
 * is not the owner's any more. */
static ssize_t sock_deliver(struct loop_sock *s, uint8_t *p, size_t len)
{
    size_t used = s->ops->data(s->arg, p, len);

    if (s->ops == NULL || s->state != SOCK_OPEN)
        return -1;
    assert(used <= len);
    return (ssize_t)used;
}

static void sock_check_kept(struct loop_sock *s)
{
    if (buf_error(&s->in) != 0)
        sock_fail_code(s, buf_error(&s->in), "read tcp: no room for input");
    else if (!s->paused && s->in.len > s->in_max)
        sock_fail_code(s, WSPR_ELIMIT, "read tcp: input limit reached");
}

void loop_sock_deliver_kept(struct loop_sock *s)
{
    ssize_t used = sock_deliver(s, buf_data(&s->in), s->in.len);

    if (used < 0)
        return;
    buf_consume(&s->in, (size_t)used);
    buf_release(&s->in);
    sock_check_kept(s);
}

static void sock_deliver_fresh(struct loop_sock *s, uint8_t *p, size_t len)
{
    ssize_t used = sock_deliver(s, p, len);

    if (used < 0)
        return;
    buf_append(&s->in, p + used, len - (size_t)used);
    sock_check_kept(s);
}

/* Tells the owner of the end of the input, once it has seen everything before it. */
void loop_sock_tell_eof(struct loop_sock *s)
{
    if (s->state != SOCK_OPEN || s->ops == NULL || s->paused || s->eof_told)
        return;
    s->eof_told = true;
    if (s->ops->eof != NULL) {
        buf_reset(&s->in);
        buf_release(&s->in);
        s->ops->eof(s->arg);
    } else {
        sock_fail_code(s, WSPR_ECLOSED, "EOF");
    }
}

void loop_sock_end_of_input(struct loop_sock *s)
{
    loop_sock_stop_reading(s);
    s->in_eof = true;
    if (s->state == SOCK_DRAINING)
        loop_sock_destroy(s);
    else if (!loop_task_queued(&s->later))
        loop_sock_tell_eof(s); /* else the task does, after the bytes that it brings */
}

static void sock_drop_input(struct loop_sock *s, size_t n)
{
    s->drained += n;
    if (s->drained > SOCK_DRAIN_MAX)
        loop_sock_destroy(s);
}

void loop_sock_take_input(struct loop_sock *s, uint8_t *p, size_t n)
{
    if (s->state == SOCK_DRAINING) {
        sock_drop_input(s, n);
    } else if (s->in.len == 0) {
        sock_deliver_fresh(s, p, n);
    } else {
        buf_append(&s->in, p, n);
        if (buf_error(&s->in) != 0)
            sock_check_kept(s);
        else
            loop_sock_deliver_kept(s);
    }
}

static void sock_on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct loop_sock *s = arg;
    size_t direct;
    ssize_t n = sock_recv(s, &direct);

    if (n < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            sock_fail_errno(s, "read", errno);
        return;
    }
    if (n == 0) {
        loop_sock_end_of_input(s);
        return;
    }
    s->w->stats.reads++;
    s->w->stats.bytes_in += (uint64_t)n;
    if (s->state != SOCK_DRAINING && s->in.len > 0) {
        size_t first = (size_t)n < direct ? (size_t)n : direct;

        buf_commit(&s->in, first);
        n -= (ssize_t)first;
    }
    loop_sock_take_input(s, s->w->read_buf, (size_t)n);
}

void loop_sock_pause(struct loop_sock *s)
{
    s->paused = true;
    loop_sock_stop_reading(s);
}

void loop_sock_resume(struct loop_sock *s)
{
    struct err e = ERR_INIT;

    if (!s->paused)
        return;
    s->paused = false;
    if (s->state != SOCK_OPEN)
        return;
    if (!s->in_eof && loop_sock_await_read(s) < 0) {
        err_set(&e, WSPR_ESYS, "read tcp: no event");
        loop_sock_fail_later(s, &e);
        return;
    }
    if (s->tls != NULL)
        loop_tls_wake(s);
    if (s->in.len > 0 || s->in_eof)
        loop_worker_later(s->w, &s->later);
}

bool loop_sock_paused(const struct loop_sock *s)
{
    return s->paused;
}

/* Output. */

void loop_sock_mark(struct loop_sock *s)
{
    if (list_empty(&s->flush_node) && s->state != SOCK_DEAD && s->state != SOCK_DIALLING)
        list_push_back(&s->w->flush, &s->flush_node);
}

struct buf *loop_sock_out(struct loop_sock *s)
{
    assert(loop_worker_here(s->w));
    sock_out_take(s);
    loop_sock_mark(s);
    return &s->out;
}

void loop_sock_write(struct loop_sock *s, const void *p, size_t len)
{
    buf_append(loop_sock_out(s), p, len);
}

void loop_sock_want_write(struct loop_sock *s)
{
    s->fill_wanted = true;
    loop_sock_mark(s);
}

size_t loop_sock_queued(const struct loop_sock *s)
{
    return s->out.len;
}

void loop_sock_shutdown(struct loop_sock *s)
{
    s->shutdown_wanted = true;
    loop_sock_mark(s);
}

/* Asks the owner for more as long as it has some. False: the socket is gone. */
static bool sock_fill(struct loop_sock *s)
{
    size_t before = s->out.len;

    if (!s->fill_wanted || s->ops == NULL || s->ops->fill == NULL || before >= SOCK_FILL_BELOW)
        return true;
    sock_out_take(s);
    s->fill_wanted = false; /* the owner may ask again from within */
    s->ops->fill(s->arg, &s->out);
    if (s->ops != NULL && s->out.len > before)
        s->fill_wanted = true;
    return s->state != SOCK_DEAD;
}

/* What TLS has to say first. 1: output may go; 0: not yet; negative: the socket is gone. */
static int sock_send_handshake(struct loop_sock *s)
{
    if (s->tls == NULL)
        return 1;
    if (loop_tls_flush(s) == 0)
        return loop_tls_is_up(s);
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        sock_fail_errno(s, "write", errno);
        return -1;
    }
    if (loop_sock_await_write(s) == 0)
        return 0;
    sock_fail_code(s, WSPR_ESYS, "write tcp: no event");
    return -1;
}

/* Sends as much as the system takes, up to the limit of a turn. False: the socket is gone. */
static bool sock_send_queued(struct loop_sock *s)
{
    size_t budget = LOOP_SOCK_WRITE_MAX;

    for (;;) {
        size_t want;
        ssize_t n;
        int r;

        if (!sock_fill(s))
            return false;
        if (buf_error(&s->out) != 0) {
            sock_fail_code(s, buf_error(&s->out), "write tcp: output limit reached");
            return false;
        }
        s->above_low |= s->out.len > s->out_low;
        s->wide |= s->out.len > LOOP_SPARE_SMALL;
        r = sock_send_handshake(s);
        if (r <= 0 || s->out.len == 0)
            return r >= 0;
        if (budget == 0) {
            loop_sock_mark(s); /* goes on in the next turn */
            return true;
        }
        want = s->out.len < budget ? s->out.len : budget;
        n = sock_send(s, want);
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            sock_fail_errno(s, "write", errno);
            return false;
        }
        if (n > 0)
            budget -= (size_t)n;
        if (n < (ssize_t)want) {
            if (loop_sock_await_write(s) == 0)
                return true;
            sock_fail_code(s, WSPR_ESYS, "write tcp: no event");
            return false;
        }
    }
}

/* All output went: the write side ends if that was asked for. False: the socket is gone. */
static bool sock_output_done(struct loop_sock *s)
{
    struct err e = ERR_INIT;

    loop_block_give(s->w, &s->out);
    if ((s->shutdown_wanted || s->state == SOCK_FLUSHING) && !s->shutdown_done) {
        if (s->tls != NULL)
            loop_tls_bye(s);
        if (s->memory)
            loop_pipe_end(s);
        else
            shutdown(s->fd, SHUT_WR);
        s->shutdown_done = true;
    }
    if (s->state != SOCK_FLUSHING)
        return true;
    if (s->in_eof) {
        loop_sock_destroy(s);
        return false;
    }
    s->state = SOCK_DRAINING;
    loop_timer_start(&s->timer, s->linger < SOCK_DRAIN_TIME ? s->linger : SOCK_DRAIN_TIME);
    if (loop_sock_await_read(s) < 0)
        loop_sock_fail(s, &e);
    return false;
}

void loop_sock_flush(struct loop_sock *s)
{
    if (s->state != SOCK_OPEN && s->state != SOCK_FLUSHING)
        return;
    if (s->writing) {
        /* The system takes no more for now; only an overflow must be told at once. */
        if (buf_error(&s->out) != 0)
            sock_fail_code(s, buf_error(&s->out), "write tcp: output limit reached");
        return;
    }
    if (!sock_send_queued(s))
        return;
    if (s->out.len == 0 && !s->fill_wanted && !sock_output_done(s))
        return;
    if (s->above_low && s->out.len <= s->out_low) {
        s->above_low = false;
        if (s->ops != NULL && s->ops->drained != NULL)
            s->ops->drained(s->arg);
    }
}

/*
 * The other transport of a socket: memory. Two sockets of one worker are each other's peer; each
 * has a pipe, the bytes that are under way to it, where a TCP connection has two buffers of the
 * system. All else (states, callbacks, limits, lingering) is that of sock.c and sock_io.c.
 *
 *     owner -> out --flush--> pipe of the peer --loop_pipes_run()--> data() of the peer
 *
 * A pipe has a limit; who fills it waits until it is empty again, as for a writable descriptor.
 * Bytes are delivered by the worker only, never below a call of the other end, so that two ends
 * that answer each other at once take turns instead of nesting.
 */
#include "config.h"
#include "loop/sock.h"

#include <assert.h>
#include <errno.h>

#include "loop/internal.h"

/* Enters the socket among those that have something to be told, if it listens. */
static void pipe_ready(struct loop_sock *s)
{
    if (s->reading && (s->pipe.len > 0 || s->pipe_ended) && list_empty(&s->pipe_node))
        list_push_back(&s->w->pipes, &s->pipe_node);
}

void loop_pipe_await_read(struct loop_sock *s)
{
    s->reading = true;
    pipe_ready(s);
}

void loop_pipe_stop_reading(struct loop_sock *s)
{
    s->reading = false;
    list_remove(&s->pipe_node);
}

void loop_pipe_end(struct loop_sock *s)
{
    if (s->peer == NULL)
        return;
    s->peer->pipe_ended = true;
    pipe_ready(s->peer);
}

/* There is room again, or nobody to wait for. */
static void pipe_writable(struct loop_sock *s)
{
    if (!s->writing)
        return;
    s->writing = false;
    loop_sock_mark(s);
}

void loop_pipe_cut(struct loop_sock *s)
{
    struct loop_sock *peer = s->peer;

    list_remove(&s->pipe_node);
    if (peer == NULL)
        return;
    loop_pipe_end(s);
    s->peer = NULL;
    peer->peer = NULL;
    pipe_writable(peer);
}

ssize_t loop_pipe_send(struct loop_sock *s, size_t len)
{
    struct loop_sock *peer = s->peer;
    struct buf *pipe;
    size_t room;

    if (peer == NULL || peer->pipe_ended) {
        errno = EPIPE;
        return -1;
    }
    pipe = &peer->pipe;
    room = LOOP_PIPE_MAX - pipe->len;
    if (room == 0) {
        errno = EAGAIN;
        return -1;
    }
    if (pipe->base == NULL && s->out.len <= room && s->out.len == len) {
        /* All of it: the block itself goes over. */
        pipe->base = s->out.base;
        pipe->cap = s->out.cap;
        pipe->off = s->out.off;
        pipe->len = len;
        s->out.base = NULL;
        s->out.cap = s->out.off = s->out.len = 0;
    } else {
        len = len < room ? len : room;
        buf_append(pipe, buf_data(&s->out), len);
        if (buf_error(pipe) != 0) {
            pipe->error = 0;
            errno = ENOMEM;
            return -1;
        }
        buf_consume(&s->out, len);
    }
    pipe_ready(peer);
    return (ssize_t)len;
}

/* One reading of the socket. */
static void pipe_deliver(struct loop_sock *s)
{
    struct buf *pipe = &s->pipe;
    size_t n = pipe->len < LOOP_SOCK_READ_MAX ? pipe->len : LOOP_SOCK_READ_MAX;

    if (n == 0) {
        loop_sock_end_of_input(s);
        return;
    }
    s->w->stats.moves++;
    s->w->stats.bytes_moved += n;
    loop_sock_take_input(s, buf_data(pipe), n);
    buf_consume(pipe, n);
    if (pipe->len == 0) {
        loop_block_give(s->w, pipe);
        if (s->peer != NULL)
            pipe_writable(s->peer);
    }
    pipe_ready(s);
}

void loop_pipes_run(struct loop_worker *w)
{
    struct list now = LIST_INIT(now), *node;

    loop_list_take(&w->pipes, &now);
    while ((node = list_pop(&now)) != NULL)
        pipe_deliver(LIST_OBJECT(node, struct loop_sock, pipe_node));
}

int loop_sock_pair(struct loop_worker *w, const struct loop_sock_opts *opts_a,
                   const struct loop_sock_opts *opts_b, struct loop_sock **ret_a,
                   struct loop_sock **ret_b, struct err *e)
{
    struct loop_sock *a = loop_sock_make(w, opts_a);
    struct loop_sock *b = a != NULL ? loop_sock_make(w, opts_b) : NULL;
    struct loop_sock *both[] = {a, b};

    if (b == NULL) {
        if (a != NULL)
            loop_sock_destroy(a);
        return err_set(e, WSPR_ENOMEM, "socket: out of memory");
    }
    a->peer = b;
    b->peer = a;
    for (size_t i = 0; i < 2; i++) {
        both[i]->memory = true;
        both[i]->state = SOCK_OPEN;
        loop_pipe_await_read(both[i]);
    }
    *ret_a = a;
    *ret_b = b;
    return 0;
}

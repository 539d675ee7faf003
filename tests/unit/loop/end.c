#include "config.h"
#include "end.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

void end_init(struct end *e)
{
    memset(e, 0, sizeof *e);
    buf_init(&e->got, 64u << 20);
    e->end_in = -1;
    e->keep_got = true;
}

void end_close(struct end *e)
{
    struct loop_sock *s = e->sock;

    e->sock = NULL;
    if (s != NULL && e->abort)
        loop_sock_abort(s);
    else if (s != NULL)
        loop_sock_close(s);
}

void end_done(struct end *e)
{
    end_close(e);
    buf_done(&e->got);
}

/* Counts a callback and ends the socket if it is time. */
static void end_event(struct end *e, enum end_event event)
{
    e->late += e->sock == NULL;
    e->calls[event]++;
    if (e->end_in == (int)event && e->sock != NULL) {
        loop_sock_write(e->sock, "last", 4);
        end_close(e);
    }
}

static size_t end_data(void *arg, uint8_t *p, size_t len)
{
    struct end *e = arg;
    size_t n = e->take != 0 && len > e->take ? e->take : len;

    if (e->unit > 0)
        n -= n % e->unit;
    if (e->keep_got)
        buf_append(&e->got, p, n);
    e->n_got += n;
    memset(p, 0, n); /* it is writable */
    if (e->pause_in_data)
        loop_sock_pause(e->sock);
    end_event(e, END_DATA);
    return n;
}

static void end_eof(void *arg)
{
    end_event(arg, END_EOF);
}

static void end_closed(void *arg, const struct err *why)
{
    struct end *e = arg;

    e->code = why->code;
    snprintf(e->why, sizeof e->why, "%s", err_text(why));
    end_event(e, END_CLOSED);
}

static void end_connected(void *arg)
{
    end_event(arg, END_CONNECTED);
}

static void end_fill(void *arg, struct buf *out)
{
    struct end *e = arg;
    size_t n = e->to_fill < e->fill_unit ? e->to_fill : e->fill_unit;
    uint8_t *room = n > 0 ? buf_reserve(out, n) : NULL;

    for (size_t i = 0; room != NULL && i < n; i++)
        room[i] = e->filled++;
    if (room != NULL)
        buf_commit(out, n);
    e->to_fill -= n;
    end_event(e, END_FILL);
}

static void end_drained(void *arg)
{
    end_event(arg, END_DRAINED);
}

const struct loop_sock_ops end_ops = {
    .data = end_data,
    .closed = end_closed,
    .connected = end_connected,
    .eof = end_eof,
    .fill = end_fill,
    .drained = end_drained,
};

const struct loop_sock_ops end_ops_no_eof = {
    .data = end_data,
    .closed = end_closed,
};

void end_adopt(struct end *e, struct loop_worker *w, int fd, const struct loop_sock_opts *opts)
{
    struct loop_sock_opts o = {0};

    if (opts != NULL)
        o = *opts;
    if (o.ops == NULL)
        o.ops = &end_ops;
    o.arg = e;
    TAP_IS(loop_sock_adopt(w, fd, &o, &e->sock, NULL) == 0);
}

int end_pair(struct end *e, struct loop_worker *w, const struct loop_sock_opts *opts)
{
    int fds[2];

    end_init(e);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
        abort();
    end_adopt(e, w, fds[0], opts);
    return fds[1];
}

void end_pattern(struct buf *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_u8(b, (uint8_t)i);
}

bool end_is_pattern(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] != (uint8_t)i)
            return false;
    }
    return true;
}

void end_send_raw(int fd, const void *p, size_t len)
{
    TAP_IS(send(fd, p, len, MSG_NOSIGNAL) == (ssize_t)len);
}

int end_read_raw(int fd, struct buf *to)
{
    for (;;) {
        uint8_t *room = buf_reserve(to, 65536);
        ssize_t n = room != NULL ? read(fd, room, 65536) : -1;

        if (n > 0)
            buf_commit(to, (size_t)n);
        else if (n == 0)
            return 1;
        else
            return errno == EAGAIN ? 0 : -1;
    }
}

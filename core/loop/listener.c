#include "config.h"
#include "loop/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/internal.h"
#include "loop/timer.h"

#define LISTENER_BACKLOG  1024
#define LISTENER_BATCH    32 /* connections accepted per turn */
#define LISTENER_WAIT_MIN (50 * CLOCK_MS)
#define LISTENER_WAIT_MAX CLOCK_S

struct loop_listener {
    struct loop_worker *w;
    int fd;
    int spare_fd; /* let go of when descriptors run out; -1: could not be had */
    const struct loop_listener_ops *ops;
    void *arg;
    struct event ev;
    bool listening; /* the event is registered */
    bool paused;    /* by the owner */
    int64_t wait;   /* of the last pause after trouble; 0: none */
    struct loop_timer timer;
    struct loop_task reap;
    struct loop_addr addr;
};

static int listener_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void listener_off(struct loop_listener *l)
{
    if (l->listening)
        event_del(&l->ev);
    l->listening = false;
}

static int listener_on(struct loop_listener *l)
{
    if (!l->listening && event_add(&l->ev, NULL) < 0)
        return WSPR_ESYS;
    l->listening = true;
    return 0;
}

/* Accepts with the spare descriptor and drops the connection, so that its client is not left
 * waiting. */
static void listener_shed(struct loop_listener *l)
{
    int fd;

    if (l->spare_fd >= 0) {
        close(l->spare_fd);
        fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            close(fd);
    }
    l->spare_fd = listener_spare();
}

static void listener_trouble(struct loop_listener *l, int err)
{
    struct err e = ERR_INIT;
    char addr[LOOP_ADDR_TEXT], text[128];

    l->w->stats.accept_errors++;
    if (err == EMFILE || err == ENFILE)
        listener_shed(l);
    l->wait = l->wait == 0 ? LISTENER_WAIT_MIN : l->wait * 2;
    if (l->wait > LISTENER_WAIT_MAX)
        l->wait = LISTENER_WAIT_MAX;
    listener_off(l);
    loop_timer_start(&l->timer, l->wait);
    if (l->ops->trouble != NULL) {
        err_set(&e, WSPR_ESYS, "accept tcp %s: %s", loop_addr_text(&l->addr, addr),
                loop_errno_text(err, text, sizeof text));
        l->ops->trouble(l->arg, &e);
        err_done(&e);
    }
}

/* What concerns the one connection only, or nothing at all. */
static bool listener_passing(int err)
{
    return err == ECONNABORTED || err == EINTR || err == EPROTO || err == EPERM ||
           err == ENETDOWN || err == ENETUNREACH || err == EHOSTDOWN || err == EHOSTUNREACH ||
           err == ENOPROTOOPT || err == ENONET || err == EOPNOTSUPP;
}

static void listener_on_readable(evutil_socket_t unused, short what, void *arg)
{
    struct loop_listener *l = arg;

    for (int i = 0; i < LISTENER_BATCH && l->listening; i++) {
        struct loop_addr peer;
        int fd;

        peer.len = sizeof peer.u;
        fd = accept4(l->fd, &peer.u.sa, &peer.len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK)
                return;
            if (listener_passing(errno))
                continue;
            listener_trouble(l, errno);
            return;
        }
        l->wait = 0;
        l->w->stats.accepts++;
        l->ops->accepted(l->arg, fd, &peer);
    }
}

static void listener_on_timer(void *arg)
{
    struct loop_listener *l = arg;

    if (l->spare_fd < 0)
        l->spare_fd = listener_spare();
    if (!l->paused && listener_on(l) < 0)
        loop_timer_start(&l->timer, LISTENER_WAIT_MAX);
}

static void listener_destroy(void *arg)
{
    free(arg);
}

static bool listener_listens(int fd)
{
    socklen_t len = sizeof(int);
    int v = 0;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &v, &len) == 0 && v != 0;
}

int loop_listener_adopt(struct loop_worker *w, int fd, const struct loop_listener_ops *ops,
                        void *arg, struct loop_listener **ret_listener, struct err *e)
{
    struct loop_listener *l = calloc(1, sizeof *l);
    int flags = fcntl(fd, F_GETFL);

    if (l == NULL) {
        close(fd);
        return err_set(e, WSPR_ENOMEM, "listen tcp: out of memory");
    }
    l->w = w;
    l->fd = fd;
    l->spare_fd = listener_spare();
    l->ops = ops;
    l->arg = arg;
    loop_timer_init(&l->timer, w, listener_on_timer, l);
    loop_task_init(&l->reap, listener_destroy, l);
    l->addr.len = sizeof l->addr.u;
    if (getsockname(fd, &l->addr.u.sa, &l->addr.len) < 0)
        l->addr.len = 0;
    if (!listener_listens(fd) || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        event_assign(&l->ev, w->base, fd, EV_READ | EV_PERSIST, listener_on_readable, l) < 0 ||
        listener_on(l) < 0) {
        loop_listener_free(l);
        return err_set(e, WSPR_ESYS, "listen tcp: the descriptor cannot be used");
    }
    *ret_listener = l;
    return 0;
}

/* Makes the descriptor, or tells which call failed. */
static int listener_socket(const struct loop_addr *a, const char **ret_call)
{
    int fd = socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1,
        saved;

    *ret_call = "socket";
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    *ret_call = "bind";
    if (bind(fd, &a->u.sa, a->len) == 0) {
        *ret_call = "listen";
        if (listen(fd, LISTENER_BACKLOG) == 0)
            return fd;
    }
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

int loop_listener_new(struct loop_worker *w, const char *address,
                      const struct loop_listener_ops *ops, void *arg,
                      struct loop_listener **ret_listener, struct err *e)
{
    const char *host, *port_text, *call;
    char text[128], shown[LOOP_ADDR_TEXT];
    struct loop_addr a;
    uint16_t port;
    size_t len;
    int fd, r = loop_addr_split(address, &host, &len, &port_text, e);

    if (r == 0)
        r = loop_addr_port(port_text, &port, e);
    if (r == 0 && !loop_addr_literal(&a, host, len, port, true))
        r = err_set(e, WSPR_EINVAL, "not an IP address: %s", address);
    if (r < 0) {
        err_prefix(e, 0, "listen tcp: ");
        return r;
    }
    fd = listener_socket(&a, &call);
    if (fd < 0)
        return err_set(e, WSPR_ESYS, "listen tcp %s: %s: %s", loop_addr_text(&a, shown), call,
                       loop_errno_text(errno, text, sizeof text));
    return loop_listener_adopt(w, fd, ops, arg, ret_listener, e);
}

void loop_listener_free(struct loop_listener *l)
{
    if (l == NULL)
        return;
    listener_off(l);
    loop_timer_stop(&l->timer);
    close(l->fd);
    if (l->spare_fd >= 0)
        close(l->spare_fd);
    loop_worker_reap(l->w, &l->reap);
}

void loop_listener_drop(int fd)
{
    close(fd);
}

const struct loop_addr *loop_listener_addr(const struct loop_listener *l)
{
    return &l->addr;
}

void loop_listener_pause(struct loop_listener *l)
{
    l->paused = true;
    listener_off(l);
}

void loop_listener_resume(struct loop_listener *l)
{
    if (!l->paused)
        return;
    l->paused = false;
    /* After trouble the timer goes on by itself. */
    if (!loop_timer_running(&l->timer) && listener_on(l) < 0)
        loop_timer_start(&l->timer, LISTENER_WAIT_MAX);
}

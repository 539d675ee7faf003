/*
 * Makes the kernel stingy towards a program that it is preloaded into (LD_PRELOAD). WSPR_SLOWIO is
 * a list of what happens:
 *
 *     short   sockets give and take one byte at a time, after 4 KiB on one a few hundred; regular
 *             files give and take 7 bytes at a time
 *     again   three of four calls on a socket that does not block find it not ready after all
 *     intr    every third call is interrupted by a signal, epoll_wait too
 *     accept  accepting finds a connection that has been aborted, a lack of buffers, a signal
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define VISIBLE     __attribute__((visibility("default")))
#define DESCRIPTORS 4096
#define PATIENCE    4096 /* bytes that go one by one */

enum { SHORT = 1, AGAIN = 2, INTR = 4, ACCEPT = 8 };

static unsigned modes;
/* What happened on a descriptor: calls, and bytes that went. Threads may race: nothing depends on
 * the exact numbers. */
static _Atomic unsigned calls[DESCRIPTORS], bytes[DESCRIPTORS], accepts, waits;

__attribute__((constructor)) static void read_modes(void)
{
    static const char *const names[] = {"short", "again", "intr", "accept"};
    const char *list = getenv("WSPR_SLOWIO");

    for (unsigned i = 0; list != NULL && i < 4; i++)
        modes |= strstr(list, names[i]) != NULL ? 1u << i : 0;
}

#define REAL(name)                                                                                 \
    static __typeof__(&name) real;                                                                 \
    if (real == NULL)                                                                              \
    *(void **)&real = dlsym(RTLD_NEXT, #name)

/* 1: a stream socket, 2: a regular file, 0: something else, which is left alone. */
static int kind(int fd)
{
    struct stat st;
    int type;
    socklen_t len = sizeof type;

    if (fd <= 2 || fd >= DESCRIPTORS || fstat(fd, &st) < 0)
        return 0;
    if (S_ISREG(st.st_mode))
        return 2;
    return S_ISSOCK(st.st_mode) && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
           type == SOCK_STREAM;
}

static size_t allowance(int fd, int what, size_t n)
{
    size_t most = what == 2 ? 7 : atomic_load(&bytes[fd]) < PATIENCE ? 1 : 300;

    return (modes & SHORT) && n > most ? most : n;
}

/* True if the call fails, with errno. */
static int refused(int fd, int flags)
{
    unsigned n = atomic_fetch_add(&calls[fd], 1);

    if (!(flags & MSG_DONTWAIT) && !(fcntl(fd, F_GETFL) & O_NONBLOCK))
        return 0; /* who waits is not told that nothing is there */
    if ((modes & INTR) && n % 3 == 1)
        errno = EINTR;
    else if ((modes & AGAIN) && n % 4 != 3)
        errno = EAGAIN;
    else
        return 0;
    return 1;
}

static ssize_t went(int fd, ssize_t r)
{
    if (r > 0)
        atomic_fetch_add(&bytes[fd], (unsigned)r);
    return r;
}

/* One call of any of these: what it is on, whether it fails, how much it may move. */
#define MOVE(fd, flags, n, call)                                                                   \
    do {                                                                                           \
        int what = modes != 0 ? kind(fd) : 0;                                                      \
                                                                                                   \
        if (what == 0)                                                                             \
            return call;                                                                           \
        if (what == 1 && refused(fd, flags))                                                       \
            return -1;                                                                             \
        (n) = allowance(fd, what, n);                                                              \
        return went(fd, call);                                                                     \
    } while (0)

VISIBLE ssize_t read(int fd, void *p, size_t n)
{
    REAL(read);
    MOVE(fd, 0, n, real(fd, p, n));
}

VISIBLE ssize_t write(int fd, const void *p, size_t n)
{
    REAL(write);
    MOVE(fd, 0, n, real(fd, p, n));
}

VISIBLE ssize_t recv(int fd, void *p, size_t n, int flags)
{
    REAL(recv);
    MOVE(fd, flags, n, real(fd, p, n, flags));
}

VISIBLE ssize_t send(int fd, const void *p, size_t n, int flags)
{
    REAL(send);
    MOVE(fd, flags, n, real(fd, p, n, flags));
}

/* As much of a vector as is allowed: of its first part that holds something. */
static struct iovec first_of(const struct iovec *iov, int count)
{
    while (count > 1 && iov->iov_len == 0) {
        iov++;
        count--;
    }
    return count > 0 ? *iov : (struct iovec){NULL, 0};
}

VISIBLE ssize_t readv(int fd, const struct iovec *iov, int count)
{
    struct iovec one = first_of(iov, count);

    REAL(readv);
    if (!(modes & SHORT))
        MOVE(fd, 0, one.iov_len, real(fd, iov, count));
    MOVE(fd, 0, one.iov_len, real(fd, &one, 1));
}

VISIBLE ssize_t writev(int fd, const struct iovec *iov, int count)
{
    struct iovec one = first_of(iov, count);

    REAL(writev);
    if (!(modes & SHORT))
        MOVE(fd, 0, one.iov_len, real(fd, iov, count));
    MOVE(fd, 0, one.iov_len, real(fd, &one, 1));
}

/* A new socket begins anew. */
static int opened(int fd)
{
    if (fd >= 0 && fd < DESCRIPTORS) {
        atomic_store(&calls[fd], 0);
        atomic_store(&bytes[fd], 0);
    }
    return fd;
}

VISIBLE int socket(int domain, int type, int protocol)
{
    REAL(socket);
    return opened(real(domain, type, protocol));
}

VISIBLE int accept4(int fd, struct sockaddr *a, socklen_t *len, int flags)
{
    static const int reasons[] = {ECONNABORTED, EINTR, EAGAIN, 0, ENOBUFS, EPROTO, 0, 0};
    unsigned n = atomic_fetch_add(&accepts, 1);

    REAL(accept4);
    if ((modes & ACCEPT) && reasons[n % 8] != 0) {
        errno = reasons[n % 8];
        return -1;
    }
    return opened(real(fd, a, len, flags));
}

VISIBLE int epoll_wait(int fd, struct epoll_event *events, int most, int timeout)
{
    REAL(epoll_wait);
    if ((modes & INTR) && atomic_fetch_add(&waits, 1) % 5 == 4) {
        errno = EINTR;
        return -1;
    }
    return real(fd, events, most, timeout);
}

#include "config.h"
#include "patience.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "blackhole.h"

#define TUNNEL_PAIRS 8

struct tunnel {
    int listener, port, to_port;
    pthread_t thread;
    pthread_mutex_t lock; /* of the rest */
    bool stop, vanished;
    int fds[TUNNEL_PAIRS][2]; /* accepted, connected; -1 */
    unsigned n;
};

static void tunnel_accept(struct tunnel *t)
{
    int in = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC);
    int out = in >= 0 && t->n < TUNNEL_PAIRS ? wspeer_tcp(t->to_port) : -1;

    if (out < 0) {
        if (in >= 0)
            close(in);
        return;
    }
    t->fds[t->n][0] = in;
    t->fds[t->n++][1] = out;
}

/* Moves what is there; at the end of one side both are closed. */
static void tunnel_move(int pair[2], int from)
{
    char bytes[16384];
    ssize_t n = recv(pair[from], bytes, sizeof bytes, 0), done = 0, w = 1;

    while (w > 0 && done < n) {
        w = send(pair[!from], bytes + done, (size_t)(n - done), MSG_NOSIGNAL);
        done += w > 0 ? w : 0;
    }
    if (n > 0 && w > 0)
        return;
    close(pair[0]);
    close(pair[1]);
    pair[0] = pair[1] = -1;
}

static void tunnel_turn(struct tunnel *t)
{
    struct pollfd p[1 + 2 * TUNNEL_PAIRS] = {{t->listener, POLLIN, 0}};
    unsigned n = t->n;

    for (unsigned i = 0; i < n; i++) {
        for (int side = 0; side < 2; side++)
            p[1 + 2 * i + (unsigned)side] = (struct pollfd){t->fds[i][side], POLLIN, 0};
    }
    if (t->vanished || poll(p, 1 + 2 * n, 0) <= 0)
        return;
    for (unsigned i = 0; i < 2 * n; i++) {
        if (p[1 + i].revents != 0 && t->fds[i / 2][i % 2] >= 0)
            tunnel_move(t->fds[i / 2], (int)(i % 2));
    }
    if (p[0].revents != 0)
        tunnel_accept(t);
}

static void *tunnel_run(void *arg)
{
    struct tunnel *t = arg;

    for (;;) {
        bool stop;

        pthread_mutex_lock(&t->lock);
        stop = t->stop;
        if (!stop)
            tunnel_turn(t);
        pthread_mutex_unlock(&t->lock);
        if (stop)
            return NULL;
        poll(NULL, 0, 1);
    }
}

struct tunnel *tunnel_new(int to_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct tunnel *t = calloc(1, sizeof *t);
    socklen_t len = sizeof a;

    if (t == NULL)
        return NULL;
    t->to_port = to_port;
    t->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(t->listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(t->listener, 8) < 0 ||
        getsockname(t->listener, (struct sockaddr *)&a, &len) < 0)
        goto failed;
    t->port = ntohs(a.sin_port);
    pthread_mutex_init(&t->lock, NULL);
    if (pthread_create(&t->thread, NULL, tunnel_run, t) == 0)
        return t;
failed:
    close(t->listener);
    free(t);
    return NULL;
}

int tunnel_port(const struct tunnel *t)
{
    return t->port;
}

bool tunnel_vanish(struct tunnel *t)
{
    bool done = true;

    pthread_mutex_lock(&t->lock);
    t->vanished = true;
    for (unsigned i = 0; i < 2 * t->n; i++) {
        int fd = t->fds[i / 2][i % 2];

        done = done && (fd < 0 || blackhole(fd));
    }
    close(t->listener); /* who tries again is told at once: to wait for that is not the subject */
    t->listener = -1;
    pthread_mutex_unlock(&t->lock);
    return done;
}

void tunnel_free(struct tunnel *t)
{
    if (t == NULL)
        return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    for (unsigned i = 0; i < 2 * t->n; i++) {
        if (t->fds[i / 2][i % 2] >= 0)
            close(t->fds[i / 2][i % 2]);
    }
    if (t->listener >= 0)
        close(t->listener);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

void tunnel_endpoint(const struct tunnel *t, const char *endpoint, char out[PATIENCE_ENDPOINT])
{
    const char *at = strstr(endpoint, "@127.0.0.1:"), *rest;

    if (at == NULL) {
        out[0] = '\0';
        return;
    }
    at += strlen("@127.0.0.1:");
    rest = at + strspn(at, "0123456789");
    snprintf(out, PATIENCE_ENDPOINT, "%.*s%d%s", (int)(at - endpoint), endpoint, t->port, rest);
}

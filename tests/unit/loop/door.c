#include "config.h"
#include "door.h"

#include <unistd.h>

static void door_accepted(void *arg, int fd, const struct loop_addr *peer)
{
    struct door *d = arg;

    if (d->n < DOOR_MAX)
        d->fds[d->n++] = fd;
    d->last_peer = *peer;
    if (d->close_when_accepted) {
        loop_listener_free(d->listener);
        d->listener = NULL;
    }
}

static void door_trouble(void *arg, const struct err *why)
{
    struct door *d = arg;

    d->troubles++;
    snprintf(d->why, sizeof d->why, "%s", err_text(why));
}

const struct loop_listener_ops door_ops = {door_accepted, door_trouble};

void door_open(struct door *d, struct loop_worker *w)
{
    memset(d, 0, sizeof *d);
    d->w = w;
    TAP_IS(loop_listener_new(w, "127.0.0.1:0", &door_ops, d, &d->listener, NULL) == 0);
    loop_addr_text(loop_listener_addr(d->listener), d->address);
}

void door_close(struct door *d)
{
    loop_listener_free(d->listener);
    d->listener = NULL;
    while (d->n > 0)
        close(d->fds[--d->n]);
}

void end_dial(struct end *e, struct loop_worker *w, struct loop_offload *pool, const char *address,
              int64_t timeout)
{
    struct loop_sock_opts opts = {.ops = &end_ops, .arg = e, .keepalive = true};

    end_init(e);
    TAP_IS(loop_sock_dial(w, pool, address, timeout, &opts, &e->sock, NULL) == 0);
    TAP_OK(e->calls[END_CONNECTED] + e->calls[END_CLOSED] == 0, "no callback from inside");
}

bool end_dialled(const struct end *e)
{
    return e->calls[END_CONNECTED] + e->calls[END_CLOSED] > 0;
}

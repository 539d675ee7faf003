/*
 * A listening TCP socket on a worker. Worker's thread only.
 *
 * When descriptors run out it lets go of a spare one to accept and drop the waiting connection (its
 * client sees the end instead of a silence), reports the trouble, and pauses for a while.
 */
#ifndef LOOP_LISTENER_H
#define LOOP_LISTENER_H

#include "loop/addr.h"
#include "loop/worker.h"

struct loop_listener;

struct loop_listener_ops {
    /*
     * A connection came; the descriptor is the callee's: pass it to loop_sock_adopt(), here or on
     * another worker. May close the listener.
     */
    void (*accepted)(void *arg, int fd, const struct loop_addr *peer);
    /* Accepting failed and pauses: the text says why, for the log. May be NULL. */
    void (*trouble)(void *arg, const struct err *why);
};

/*
 * Listens on "host:port", a literal or empty host. WSPR_ESYS with the text of the reference:
 * "listen tcp 127.0.0.1:80: bind: permission denied".
 */
int loop_listener_new(struct loop_worker *w, const char *address,
                      const struct loop_listener_ops *ops, void *arg,
                      struct loop_listener **ret_listener, struct err *e);
/* The same for a descriptor that listens already. It is closed if this fails. */
int loop_listener_adopt(struct loop_worker *w, int fd, const struct loop_listener_ops *ops,
                        void *arg, struct loop_listener **ret_listener, struct err *e);
/* Closes the descriptor; no callback comes afterwards. NULL is accepted. */
void loop_listener_free(struct loop_listener *l);

/* Closes a descriptor that `accepted` brought and that nobody can take. */
void loop_listener_drop(int fd);

/* The address it is bound to, with the port that the system chose. */
const struct loop_addr *loop_listener_addr(const struct loop_listener *l);
/* Leaves new connections in the queue of the system until resumed. */
void loop_listener_pause(struct loop_listener *l);
void loop_listener_resume(struct loop_listener *l);

#endif

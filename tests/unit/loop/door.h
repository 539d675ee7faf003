/* A listener on the loopback interface that keeps what it accepts. */
#ifndef TESTS_UNIT_LOOP_DOOR_H
#define TESTS_UNIT_LOOP_DOOR_H

#include "end.h"
#include "loop/listener.h"

#define DOOR_MAX 300

struct door {
    struct loop_worker *w;
    struct loop_listener *listener;
    int fds[DOOR_MAX];
    size_t n;
    struct loop_addr last_peer;
    char address[LOOP_ADDR_TEXT];
    unsigned troubles;
    char why[200];
    bool close_when_accepted;
};

extern const struct loop_listener_ops door_ops;

void door_open(struct door *d, struct loop_worker *w);
void door_close(struct door *d);

/* Dials with keep-alive; e is made ready. */
void end_dial(struct end *e, struct loop_worker *w, struct loop_offload *pool, const char *address,
              int64_t timeout);
bool end_dialled(const struct end *e);

#endif

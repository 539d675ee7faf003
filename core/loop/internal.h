/* What the files of this folder share. Nobody else includes it, or libevent. */
#ifndef LOOP_INTERNAL_H
#define LOOP_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/buf.h"
#include "loop/offload.h"
#include "loop/sock.h"
#include "loop/timer.h"
#include "loop/tls.h"
#include "loop/wheel.h"
#include "loop/worker.h"

#define LOOP_SPARES       16    /* output blocks kept for reuse per worker */
#define LOOP_SPARES_LARGE 4     /* of those so many are larger than this: */
#define LOOP_SPARE_SMALL  16384 /* bytes */
#define LOOP_SPARE_MAX    65536 /* larger ones are freed */

#define LOOP_PIPE_MAX 262144 /* bytes under way to one end of a pair of sockets in memory */

struct loop_block {
    uint8_t *base;
    size_t cap;
};

struct loop_worker {
    struct event_base *base;
    unsigned id;
    struct loop_stats stats;
    _Atomic pthread_t thread; /* valid when bound */
    atomic_bool bound;
    atomic_bool stop;
    bool spawned;
    pthread_t spawned_thread;

    int64_t skipped; /* how far our time is ahead of the system's (tests) */
    int64_t now;     /* valid for the rest of the turn when now_known */
    bool now_known;

    struct list later; /* struct loop_task */
    struct list flush; /* struct loop_sock by flush_node */
    struct list reap;  /* struct loop_task */
    struct list pipes; /* struct loop_sock by pipe_node */

    struct wheel wheel;
    int timer_fd;
    struct event timer_ev;
    int64_t timer_armed; /* nanoseconds at which timer_fd fires; INT64_MAX: it does not */
    bool timer_fired;

    struct list socks; /* every socket, by node */
    unsigned lingering;
    uint8_t *read_buf;
    struct loop_block spares[LOOP_SPARES];
    unsigned n_spares;

    int wake_fd;
    struct event wake_ev;
    pthread_mutex_t lock; /* for the rest */
    struct list posted;   /* struct loop_task */
    size_t calls_waiting; /* those of loop_worker_post() among them */
    size_t post_max;
    uint64_t refused;
    bool woken; /* wake_fd was written since the queue was last taken */
    bool ended;
};

/* Moves all nodes of one list to the end of an empty one. */
static inline void loop_list_take(struct list *from, struct list *to)
{
    if (list_empty(from))
        return;
    list_insert(from, to);
    list_remove(from);
}

/* Starts a thread in which signals are blocked. 0 or an errno. */
int loop_thread_start(pthread_t *ret_thread, void *(*run)(void *), void *arg);

/* Fires the timers that are due (timer.c). */
void loop_timers_run(struct loop_worker *w);

#define LOOP_SOCK_OF_NODE(n) LIST_OBJECT(n, struct loop_sock, node)

enum loop_sock_state {
    SOCK_DIALLING,
    SOCK_OPEN,
    SOCK_FLUSHING, /* closed by its owner: output goes, then the write side ends */
    SOCK_DRAINING, /* closed by its owner: input is dropped until the peer closes */
    SOCK_DEAD,     /* no descriptor any more */
};

struct sock_dial;
struct sock_tls;

struct loop_sock {
    struct loop_worker *w;
    struct list node;
    struct list flush_node;
    const struct loop_sock_ops *ops; /* NULL once the owner is gone */
    void *arg;
    int fd;
    enum loop_sock_state state;
    bool reading, writing; /* the events are registered */
    bool paused;
    bool in_eof, eof_told;
    bool fill_wanted;
    bool above_low;
    bool wide; /* the block that it had last was filled beyond LOOP_SPARE_SMALL */
    bool shutdown_wanted, shutdown_done;
    bool memory;            /* no descriptor: pipe.c */
    bool pipe_ended;        /* nothing comes after what is in the pipe */
    struct loop_sock *peer; /* NULL: a descriptor, or gone */
    struct list pipe_node;
    struct buf pipe; /* under way to this end */
    struct event read_ev, write_ev;
    struct buf in;
    struct buf out;
    size_t in_max;
    size_t out_low;
    size_t drained; /* bytes dropped while DRAINING */
    int64_t linger;
    bool keepalive, code_only;
    int64_t patience;
    struct loop_timer timer; /* dial: of the attempt; closing: linger */
    struct loop_task later;  /* input again, or the notice of an early end */
    struct loop_task reap;
    struct loop_addr local, remote;
    struct err why; /* of an end that is still to be told */
    struct sock_dial *dial;
    struct sock_tls *tls; /* NULL: none */
};

/* sock.c */

/* NULL if memory is short. */
struct loop_sock *loop_sock_make(struct loop_worker *w, const struct loop_sock_opts *opts);
/* Goes on with the connected descriptor s->fd. 0 or WSPR_ESYS. */
int loop_sock_open(struct loop_sock *s, struct err *e);
/* Ends the socket and tells the owner. Only from the loop, never below an owner's call. */
void loop_sock_fail(struct loop_sock *s, struct err *why);
/* The same from anywhere: the owner is told in the next turn. Takes the contents of why. */
void loop_sock_fail_later(struct loop_sock *s, struct err *why);
/* Closes the descriptor and frees the socket at the end of the turn; no callback. */
void loop_sock_destroy(struct loop_sock *s);

/* sock_io.c */

int loop_sock_await_read(struct loop_sock *s);
int loop_sock_await_write(struct loop_sock *s);
void loop_sock_stop_reading(struct loop_sock *s);
void loop_sock_no_events(struct loop_sock *s);
void loop_sock_tell_eof(struct loop_sock *s);
/* Hands the owner the bytes that it left. */
void loop_sock_deliver_kept(struct loop_sock *s);
/* Enters the socket for the flush at the end of the turn, if it can send. */
void loop_sock_mark(struct loop_sock *s);
void loop_sock_flush(struct loop_sock *s);
/* Gives the block of an empty buffer back to the worker. */
void loop_block_give(struct loop_worker *w, struct buf *b);
/* Bytes that were read into p, or the end. */
void loop_sock_take_input(struct loop_sock *s, uint8_t *p, size_t n);
void loop_sock_end_of_input(struct loop_sock *s);

/* pipe.c: what the system does for a descriptor */

void loop_pipe_await_read(struct loop_sock *s);
void loop_pipe_stop_reading(struct loop_sock *s);
/* Moves up to len bytes of the output; how many, or -1 with errno as send(). */
ssize_t loop_pipe_send(struct loop_sock *s, size_t len);
/* The peer gets no more after what is under way. */
void loop_pipe_end(struct loop_sock *s);
/* The same as this end is given up. */
void loop_pipe_cut(struct loop_sock *s);
/* Delivers what is under way to every end that reads, once. */
void loop_pipes_run(struct loop_worker *w);

/* tls.c: only for sockets with s->tls, but for the first and the last */

int loop_tls_begin(struct loop_sock *s, struct loop_tls *config, struct loop_offload *pool,
                   struct err *e);
bool loop_tls_is_up(const struct loop_sock *s);
/* As recv(2) and send(2). `len` is LOOP_SOCK_READ_MAX for the former. */
ssize_t loop_tls_recv(struct loop_sock *s, uint8_t *p, size_t len);
ssize_t loop_tls_send(struct loop_sock *s, const void *p, size_t len);
/* Sends what a handshake left; -1 with errno, or 0. */
int loop_tls_flush(struct loop_sock *s);
/* Makes the socket read although nothing came: the session may have something. */
void loop_tls_wake(struct loop_sock *s);
/* Says that no more output comes. */
void loop_tls_bye(struct loop_sock *s);
void loop_tls_drop(struct loop_sock *s);

/* dial.c */

void loop_dial_writable(struct loop_sock *s);
void loop_dial_timeout(struct loop_sock *s);
void loop_dial_drop(struct loop_sock *s);

#endif

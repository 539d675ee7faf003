/*
 * A connection on a worker, never blocking: TCP, or memory between two objects of the worker.
 * Worker's thread only.
 *
 * Its owner makes it (dial, or adopt for an accepted descriptor), gets callbacks, and ends with
 * exactly one loop_sock_close() or loop_sock_abort(), also after `closed` was called. Either may be
 * called from any callback; once it returns no callback comes and the pointer is dead. No callback
 * comes from inside a function that the owner calls.
 *
 * Input is read into one buffer per worker; only bytes that the owner leaves are kept by the
 * socket. Output is appended to the socket's buffer and written once, at the end of the turn. An
 * idle connection therefore holds no buffers.
 */
#ifndef LOOP_SOCK_H
#define LOOP_SOCK_H

#include "base/buf.h"
#include "base/clock.h"
#include "loop/addr.h"
#include "loop/offload.h"
#include "loop/tls.h"
#include "loop/worker.h"

#define LOOP_SOCK_READ_MAX  65536  /* most bytes read from one socket per turn */
#define LOOP_SOCK_WRITE_MAX 262144 /* most bytes written to one socket per turn */

struct loop_sock;

struct loop_sock_ops {
    /*
     * Bytes came: those left last time and new ones, writable in place, valid for the call. Returns
     * how many were used; the rest is kept and comes again together with what follows it. To leave
     * more than in_max bytes ends the connection with WSPR_ELIMIT.
     */
    size_t (*data)(void *arg, uint8_t *p, size_t len);
    /*
     * The connection is over: an error, the end of the input (WSPR_ECLOSED, "EOF") if `eof` is
     * NULL, a dial that failed or took too long (WSPR_ETIMEOUT). The last callback.
     */
    void (*closed)(void *arg, const struct err *why);
    /* A dialled connection is up. NULL: no notice. */
    void (*connected)(void *arg);
    /* The peer sends no more; bytes left by `data` are dropped. Output still goes. May be NULL. */
    void (*eof)(void *arg);
    /*
     * Asks for output: appends to `out` as much as is at hand, about 64 KiB at most, or nothing. It
     * is called after loop_sock_want_write() and as long as it appends something. May be NULL.
     */
    void (*fill)(void *arg, struct buf *out);
    /* Queued output fell to out_low bytes or less after it had been above. May be NULL. */
    void (*drained)(void *arg);
};

struct loop_sock_opts {
    const struct loop_sock_ops *ops;
    void *arg;
    size_t in_max;  /* 0: 1 MiB */
    size_t out_max; /* bytes that may be queued; 0: 16 MiB. Above: closed with WSPR_ELIMIT */
    size_t out_low; /* for `drained` */
    int64_t linger; /* nanoseconds that queued output may take after close; 0: 5 s */
    bool keepalive; /* TCP keep-alive, 30 s idle and interval (circuits) */
    bool code_only; /* of what the system says `closed` reads the code: no sentence is made */
    /*
     * Nanoseconds after which a peer is gone whose system acknowledges nothing, or which takes
     * nothing of what waits for it; keep-alive is made more frequent if need be. 0: as the system.
     */
    int64_t patience;
    /* TLS, of which the pool makes the handshakes; for accepted descriptors only. NULL: none. */
    struct loop_tls *tls;
    struct loop_offload *pool;
    /* What a listener told with the descriptor; borrowed for the call. NULL: asks the system. */
    const struct loop_addr *peer;
};

/*
 * Connects to "host:port". A name is looked up by a job of the pool (NULL: literals only). The
 * outcome is reported by `connected` or `closed`, whose text begins with "dial tcp". Fails at once
 * only with WSPR_ENOMEM. timeout (nanoseconds, 0: 30 s) bounds look-up and all attempts together.
 */
int loop_sock_dial(struct loop_worker *w, struct loop_offload *pool, const char *address,
                   int64_t timeout, const struct loop_sock_opts *opts, struct loop_sock **ret_sock,
                   struct err *e);
/*
 * Takes a connected stream descriptor (from a listener of any worker, or of a socket pair) and
 * makes it non-blocking. On error (WSPR_ENOMEM, WSPR_ESYS) the descriptor is closed.
 */
int loop_sock_adopt(struct loop_worker *w, int fd, const struct loop_sock_opts *opts,
                    struct loop_sock **ret_sock, struct err *e);

/*
 * Two sockets that are connected with each other in memory, both up. Each behaves as one end of a
 * TCP connection does towards its owner: order, limits, back-pressure (at most 256 KiB are under
 * way, then output stays queued), half-close, the peer's end. Nothing is delivered from inside a
 * call of the other end. They have no addresses. WSPR_ENOMEM.
 */
int loop_sock_pair(struct loop_worker *w, const struct loop_sock_opts *opts_a,
                   const struct loop_sock_opts *opts_b, struct loop_sock **ret_a,
                   struct loop_sock **ret_b, struct err *e);

/* Sends what is queued (within the linger time), then closes the descriptor. */
void loop_sock_close(struct loop_sock *s);
/* Closes the descriptor at once; queued output is lost. */
void loop_sock_abort(struct loop_sock *s);
/* Bytes that wait in sockets which were closed. Looks at each socket. */
size_t loop_sock_lingering(const struct loop_worker *w);

/*
 * Hands the callbacks to another owner, for example after an upgrade (from inside `data` too).
 * Bytes that the old owner left come to the new one in the next turn.
 */
void loop_sock_set_owner(struct loop_sock *s, const struct loop_sock_ops *ops, void *arg);

/* The output, to append to; what is in it is written at the end of the turn. Never NULL. */
struct buf *loop_sock_out(struct loop_sock *s);
void loop_sock_write(struct loop_sock *s, const void *p, size_t len);
/* Makes the loop call `fill` at the end of the turn. */
void loop_sock_want_write(struct loop_sock *s);
/* Bytes that the kernel has not taken yet. */
size_t loop_sock_queued(const struct loop_sock *s);
/* Ends the output after what is queued; input goes on. */
void loop_sock_shutdown(struct loop_sock *s);

/* While paused nothing is read and `data` is not called. */
void loop_sock_pause(struct loop_sock *s);
/* Goes on reading; bytes left by `data` come again in the next turn even if nothing follows. */
void loop_sock_resume(struct loop_sock *s);
bool loop_sock_paused(const struct loop_sock *s);

struct loop_worker *loop_sock_worker(const struct loop_sock *s);
/* Addresses of a connected socket; len is 0 while it is not. */
const struct loop_addr *loop_sock_local(struct loop_sock *s);
const struct loop_addr *loop_sock_remote(const struct loop_sock *s);

#endif

/*
 * The stream layer as an engine without I/O (spec: stream 5 to 10).
 *
 *     pool   what the VIFs of one worker share: limits, counters, spare memory
 *     vif    one connection, whatever carries its bytes
 *     vc     one circuit on a vif, secured by a crypter, proved by identities
 *     flow   one byte stream on a vc: one call
 *
 * Everything here belongs to one worker and is called on its thread, jobs excepted. Times are in
 * nanoseconds of a clock that never goes back (base/clock.h), passed in by the embedder. What the
 * user's functions begin is dated by the next call that brings the time: they ring the doorbell for
 * that, too.
 *
 * Two parties use the engine:
 *
 * - the *embedder* moves bytes: vc_vif_new, _input, _output, _tick, _free, and vc_job_done. Only
 * these five entry points call back anything but `wake`. They may not be called from inside a
 * callback, with two exceptions: vc_vif_free from any, vc_job_done from `work`.
 * - the *user* opens, accepts, writes, closes: vc_* and vc_flow_*. These may be called from
 * anywhere on the worker's thread, inside callbacks included, and call nothing back but `wake`:
 * notices that they cause are queued and delivered by the next entry point.
 *
 * `wake` is the doorbell: "call vc_vif_output() soon". It is rung once until vc_vif_output() has
 * run, may come from any call, and must do nothing but schedule.
 *
 * Ownership. A vc is held by whoever opened or accepted it, until its one call of vc_close() or
 * vc_abort(). A flow is held by whoever opened or accepted it, until its one call of
 * vc_flow_close() or vc_flow_cancel(). Handles stay valid until then, whatever happens to the vc,
 * the vif or the connection: they only learn that it is over. Closing is not followed by any
 * callback of that object, and no field of an object is touched after a callback unless it is still
 * marked alive: memory is given back when no engine call is on the stack.
 *
 * Flow control (spec: stream 6.4). Credit for the first 4096 bytes of a flow is given back when
 * they arrive, since they may be borrowed from the pool that all flows of the circuit share; credit
 * for later bytes is given back by vc_flow_consumed(). Small credits wait for company: they leave
 * with the next output, or when they have become many.
 */
#ifndef VC_VIF_H
#define VC_VIF_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/error.h"
#include "base/span.h"
#include "vc/crypter.h"
#include "vc/msg.h"

struct vc_pool;
struct vc_vif;
struct vc;
struct vc_flow;
struct vc_job;

/* Of security/identity.h. */
struct security_identity;
struct security_private;

#define VC_FULL     1    /* vc_flow_write: taken, but wait for `writable` before writing more */
#define VC_LOAN_MAX 4096 /* what one flow may borrow from the shared pool */

/* ---- pool ---- */

/* Start from vc_limits_default(). Zero means zero unless it says "no limit". */
struct vc_limits {
    uint32_t window;         /* bytes a peer may have under way on a flow; 131072 to 2^30; 1 MiB */
    uint32_t shared;         /* size of the pool for first chunks that we grant; 1 MiB */
    size_t message;          /* longest body taken; 2 MiB + 256 KiB */
    size_t control;          /* longest control body taken; 256 KiB */
    size_t queue_soft;       /* bytes queued on a flow from which writes answer VC_FULL; 256 KiB */
    size_t queue_hard;       /* bytes queued on a flow that are never exceeded; 64 MiB */
    size_t queue_vif;        /* the same for all flows of a vif together; 256 MiB */
    size_t queue_total;      /* the same for all vifs of the pool; 512 MiB */
    size_t control_queue;    /* bytes of control answers waiting for output; 1 MiB */
    size_t relay_queue;      /* bytes waiting in vc_vif_forward(); 8 MiB */
    size_t in_total;         /* incomplete messages of all vifs: the one with most ends; 256 MiB */
    size_t held;             /* bytes held on a circuit until authentication is done; 1.25 MiB */
    size_t held_vif;         /* bytes kept of all circuits of a vif that are not ready; 32 MiB */
    size_t held_total;       /* the same for all vifs of the pool; 256 MiB */
    size_t handshake_bytes;  /* bytes of key exchange or of an identity message; 160 KiB */
    unsigned identity_flags; /* for security_channel_identity(); 0 */
    unsigned vcs;            /* circuits on a vif; 1024 */
    unsigned vcs_total;      /* circuits of the pool from which others are refused; 65536 */
    unsigned vcs_unready;    /* the same of those that others opened and that are not ready; 4096 */
    unsigned flows;          /* flows on a circuit, each direction; 1000 */
    unsigned flow_ids; /* application flows that we open on a circuit before it is worn out; 2^30 */
    size_t
        credit_delay;  /* bytes of credit of a circuit that may wait for company; 64 KiB, 0: none */
    bool answer_close; /* answer a peer's close of a flow by a bare close, as the reference does
                          although nobody needs it; false */
    int64_t handshake_timeout; /* from OpenVC to ready; 1 min; 0: no limit */
    int64_t linger_timeout;    /* for the queue of a closed flow to leave; 1 min; 0: no limit */
    int64_t vif_idle_timeout;  /* for a vif without circuits; 0: no limit */
};

void vc_limits_default(struct vc_limits *ret_limits);

/* Counters only grow; the gauges say what is there now. */
struct vc_stats {
    uint64_t bytes_in, bytes_out, msgs_in, msgs_out, plain_in, plain_out;
    uint64_t vcs_opened, vcs_accepted, vcs_ready, vcs_legacy;
    uint64_t vcs_refused; /* OpenVC answered by CloseVC */
    uint64_t vcs_failed;  /* ended before they were ready */
    uint64_t flows_opened, flows_accepted;
    uint64_t flows_rejected; /* OpenFlow answered by a bare close */
    uint64_t jobs;
    uint64_t err_protocol;        /* connections ended: undecodable message */
    uint64_t err_message_size;    /* connections ended: limits.message, limits.control */
    uint64_t err_input;           /* connections ended: limits.in_total */
    uint64_t err_control_queue;   /* connections ended: limits.control_queue */
    uint64_t err_handshake_bytes; /* circuits ended: limits.handshake_bytes */
    uint64_t err_held;            /* circuits ended: held, held_vif, held_total */
    uint64_t err_credit;          /* circuits ended: peer ignored flow control */
    uint64_t err_open;            /* circuits ended: payload did not open */
    uint64_t err_handshake;       /* circuits ended: key exchange or authentication failed */
    uint64_t err_timeout;         /* circuits ended: handshake_timeout */
    uint64_t err_linger;          /* flows cut: linger_timeout */
    uint64_t err_queue;           /* writes refused: queue_hard, queue_vif, queue_total */
    uint64_t err_relay;           /* forwards refused: relay_queue */
    uint64_t err_memory;          /* allocations that failed */
    uint64_t ignored;             /* messages for circuits or flows that are not there */
    uint64_t vifs, vcs, flows;    /* gauges */
    uint64_t vcs_unready;         /* gauge: opened by others, and not ready */
    uint64_t in_bytes;            /* gauge: kept of incomplete messages */
    uint64_t queued, held;        /* gauges, in bytes */
};

/*
 * The limits are copied. hash_key is 16 random bytes that peers do not learn. The pool must outlive
 * every vif made from it. NULL if memory is short.
 */
struct vc_pool *vc_pool_new(const struct vc_limits *limits, const uint8_t hash_key[16]);
void vc_pool_free(struct vc_pool *pool);
/* Gives spare memory back; call it now and then. */
void vc_pool_trim(struct vc_pool *pool);
const struct vc_stats *vc_pool_stats(const struct vc_pool *pool);

/* ---- callbacks ---- */

enum vc_security {
    VC_SECURE,   /* key exchange, authentication, sealed payloads */
    VC_INSECURE, /* none of these; both ends must agree beforehand (spec: stream 9) */
};

/* The user's end of a flow. Members may be NULL. */
struct vc_flow_ops {
    /* Bytes in order. Borrowed for the call; report them by vc_flow_consumed() when they are dealt
     * with, now or later. */
    void (*data)(void *arg, struct vc_flow *flow, struct span bytes);
    /* No more data will come and nothing more can be sent: the peer closed (why->code is 0), or the
     * circuit ended: WSPR_ECLOSED if one of its ends just wanted that, else what went wrong, or
     * WSPR_EABORTED with what the peer said of it. Comes at most once. */
    void (*eof)(void *arg, struct vc_flow *flow, const struct err *why);
    /* After a write that answered VC_FULL: the queue is below half the soft limit. */
    void (*writable)(void *arg, struct vc_flow *flow);
};

/* The user's end of a circuit. Members may be NULL. */
struct vc_ops {
    /* Authentication is done. */
    void (*ready)(void *arg, struct vc *vc);
    /* The circuit is over, or never came to be ("VC handshake failed: …"). At most once, after the
     * eof of all its flows. The handle still wants its vc_close(). */
    void (*closed)(void *arg, struct vc *vc, const struct err *why);
    /* The peer opened a flow; only once the circuit is ready. Call vc_flow_set_ops() and answer 0
     * to hold it; a negative answer (or NULL here) closes it and the handle is void. */
    int (*accept)(void *arg, struct vc *vc, struct vc_flow *flow);
};

/* How an accepted circuit shall be; filled by `accept_vc`. */
struct vc_accept {
    enum vc_security security;
    struct vc_crypter *crypter;        /* taken, also if the circuit fails; VC_SECURE only */
    struct security_private *identity; /* presented and referenced; VC_SECURE only */
    const struct vc_ops *ops;
    void *arg;
};

struct vc_vif_ops {
    /* Call vc_vif_output() soon. */
    void (*wake)(void *arg);
    /* Run the job (see vc_job_run). NULL: jobs are run on the spot. */
    void (*work)(void *arg, struct vc_job *job);
    /*
     * OpenVC arrived and its versions fit (if they matter). The endpoints are borrowed for the
     * call; dst is the local end. Fill *ret_how and answer 0: from then on the circuit is held by
     * the callee (vc is already valid as a handle). A negative answer refuses it with the text of
     * *e. NULL: nothing is accepted.
     */
    int (*accept_vc)(void *arg, struct vc *vc, struct span dst, struct span src,
                     struct vc_accept *ret_how, struct err *e);
    /* The connection cannot go on; nothing more is read from it. Close it once vc_vif_drained(),
     * then vc_vif_free() (which is allowed right here). At most once, and not after vc_vif_free().
     */
    void (*failed)(void *arg, const struct err *why);
    /*
     * For relays: sees each message before the engine does; its spans are borrowed. Answer 0 to let
     * the engine handle it (messages for unknown circuits are then ignored), 1 if it is dealt with,
     * or negative to end the connection with the text of *e.
     */
    int (*message)(void *arg, const struct vc_msg *msg, struct err *e);
};

/* ---- vif: for the embedder ---- */

struct vc_vif_opts {
    bool dialled;   /* we made the connection: our circuits have even numbers */
    bool accepting; /* OpenVC of the peer is welcome, see vc_vif_set_accepting() */
    /*
     * The peer is this engine: it borrows all of the first 4096 bytes of a flow, so its credit for
     * one that it opens is sent when half of them came, and not for every small call. (The
     * reference borrows for its first write only.)
     */
    bool peer_borrows;
    uint32_t version; /* of the circuits that are accepted; 0: computed from their endpoints */
    const char *name; /* "(tcp, <remote>) <-> (tcp, <local>)" for messages; copied; may be NULL */
    int64_t now;
};

/* NULL if memory is short. */
struct vc_vif *vc_vif_new(struct vc_pool *pool, const struct vc_vif_opts *opts,
                          const struct vc_vif_ops *ops, void *arg);
/*
 * Bytes that arrived, any number; all are taken. Negative if the connection is over: `failed` has
 * been called, or vc_vif_shutdown().
 */
int vc_vif_input(struct vc_vif *vif, struct span bytes, int64_t now);
/*
 * Appends what is ready to be sent to out: about `max` bytes at most, passing it by at most one
 * message (a Data message is below 80 KiB, control messages leave together). Payloads are sealed
 * here, so what is appended must be sent, in this order. Returns 1 if more is ready, 0 if not: then
 * `wake` tells when something is again. WSPR_ENOMEM or WSPR_ELIMIT if out cannot grow: nothing is
 * lost and out has no error; `wake` does not come, call again later.
 */
int vc_vif_output(struct vc_vif *vif, struct buf *out, size_t max, int64_t now);
/* Ends what has waited for too long. Call it at or after vc_vif_deadline(). */
void vc_vif_tick(struct vc_vif *vif, int64_t now);
/* When to call vc_vif_tick() next; INT64_MAX for never. May change with every call of the engine
 * that brings the time: look after each. */
int64_t vc_vif_deadline(const struct vc_vif *vif);
/* From now on the peer's OpenVC are welcome, or refused with "VCs not accepted". */
void vc_vif_set_accepting(struct vc_vif *vif, bool accepting);
/*
 * Orderly end (spec: stream 5.6): no new circuits or flows; every flow is closed behind what can
 * still be sent with the credit that is there. Call vc_vif_output() until vc_vif_drained(), then
 * close the connection and vc_vif_free().
 */
void vc_vif_shutdown(struct vc_vif *vif);
bool vc_vif_drained(const struct vc_vif *vif);
/*
 * The connection is gone: every circuit ends for this reason (NULL: "VIF is being closed"),
 * flows and circuits get their last notices, and nothing is called back through `ops` any more. The
 * memory goes when the last handle is closed and the last job is done. NULL is allowed.
 */
void vc_vif_free(struct vc_vif *vif, const struct err *why);

unsigned vc_vif_vcs(const struct vc_vif *vif);
int64_t vc_vif_idle_since(const struct vc_vif *vif); /* INT64_MAX while there are circuits */
/* Bytes waiting in the queues of all flows. */
size_t vc_vif_queued(const struct vc_vif *vif);

/* For relays: sends a message in order with others of this function, behind control messages and
 * credit. WSPR_ELIMIT when limits.relay_queue is full. */
int vc_vif_forward(struct vc_vif *vif, const struct vc_msg *msg);
/* Sends CloseVC for a circuit that is not ours (relays). */
int vc_vif_refuse(struct vc_vif *vif, uint32_t vci, const char *text);
/* Takes a number for a circuit that a relay opens on this connection; 0 if none is left. at_least
 * raises the next number first (spec: stream 12), 0 for nothing. */
uint32_t vc_vif_take_vci(struct vc_vif *vif, uint32_t at_least);

/* ---- jobs: for the embedder ---- */

/*
 * Slow steps of a handshake. `work` gets a job; run it on any thread, then report it on the
 * worker's thread by vc_job_done(), always, even if the vif has been freed meanwhile. While a job
 * is out, what arrives for its circuit is queued and its end is deferred. vc_job_cancel() instead
 * of vc_job_run() is for shutdown: the circuit fails.
 */
void vc_job_run(struct vc_job *job);
void vc_job_cancel(struct vc_job *job);
void vc_job_done(struct vc_job *job);

/* ---- circuits: for the user ---- */

enum vc_state {
    VC_NEW,       /* accepted or opened, nothing done yet */
    VC_WAIT_KX,   /* acceptor: for the flow of the key exchange */
    VC_KX,        /* key exchange */
    VC_WAIT_AUTH, /* acceptor: for the flow of the identity messages */
    VC_AUTH_SEND, /* our identity message is being made */
    VC_AUTH_RECV, /* for the peer's identity message, or while it is checked */
    VC_READY,     /* flows; also after vc_close(), until the last one has ended */
    VC_CLOSED,    /* over */
};

struct vc_open {
    struct span dst; /* endpoint to dial, any form */
    struct span src; /* our endpoint */
    enum vc_security security;
    uint32_t version;                  /* 0: computed from the endpoints; set it to override */
    struct vc_crypter *crypter;        /* taken, also on failure; VC_SECURE only */
    struct security_private *identity; /* presented and referenced; VC_SECURE only */
    const struct vc_ops *ops;
    void *arg;
};

/*
 * Opens a circuit; flows may be opened on it at once. WSPR_ECLOSED if the vif is over ("… shutting
 * down"), WSPR_ELIMIT at limits.vcs, WSPR_EINVAL for a bad endpoint, WSPR_EUNKNOWN with the version
 * texts of the spec.
 */
int vc_open(struct vc_vif *vif, const struct vc_open *how, struct vc **ret_vc, struct err *e);
/*
 * Gives the handle back: no new flows; flows that are still held go on until they are closed; when
 * the last queue is empty, CloseVC goes out. A circuit that is not ready yet and has no flows ends
 * at once. NULL is allowed.
 */
void vc_close(struct vc *vc);
/* The same at once: flows end, their queues are dropped, CloseVC carries the text ("" for none). */
void vc_abort(struct vc *vc, const char *text);

enum vc_state vc_state(const struct vc *vc);
bool vc_is_opener(const struct vc *vc);
uint32_t vc_id(const struct vc *vc);
uint32_t vc_version(const struct vc *vc);
/* Endpoint texts; valid as long as the handle. */
struct span vc_local_endpoint(const struct vc *vc);
struct span vc_remote_endpoint(const struct vc *vc);
/* What the peer proved; NULL before VC_READY and on insecure circuits. Valid as long as the handle.
 */
struct security_identity *vc_peer(const struct vc *vc);
struct security_private *vc_identity(const struct vc *vc);
/* The crypter's words for itself ("" before the key exchange is done); is_legacy as in crypter.h.
 */
const char *vc_describe(const struct vc *vc);
bool vc_is_legacy(const struct vc *vc);
/* Whether a flow can be opened now; WSPR_ECLOSED, or WSPR_ELIMIT if limits.flows is reached
 * (another circuit may serve) or the flow ids are used up (it is worn out: open another and close
 * this). */
int vc_can_open(const struct vc *vc);
bool vc_is_worn(const struct vc *vc);
/* Application flows now; since when there is none (INT64_MAX while there are, and until a call
 * brought the time). */
unsigned vc_flows(const struct vc *vc);
int64_t vc_idle_since(const struct vc *vc);

/* ---- flows: for the user ---- */

/*
 * Opens a flow. Data may be written at once and is queued until the circuit is ready. Fails as
 * vc_can_open() does; on a closed circuit the text is `Connect on closed VC("<reason>")`.
 */
int vc_flow_open(struct vc *vc, const struct vc_flow_ops *ops, void *arg, struct vc_flow **ret_flow,
                 struct err *e);
void vc_flow_set_ops(struct vc_flow *flow, const struct vc_flow_ops *ops, void *arg);
/*
 * Appends to the queue; all or nothing. Writes of one turn travel in as few messages as possible.
 * 0, or VC_FULL (taken all the same), or WSPR_ELIMIT at queue_hard or queue_vif (nothing taken),
 * WSPR_ENOMEM, WSPR_ECLOSED after eof ("attempt to call Write on Flow that has been Closed").
 */
int vc_flow_write(struct vc_flow *flow, struct span bytes, struct err *e);
/*
 * The same for what is in a buffer, which is empty afterwards, also on error. Many bytes are not
 * copied: the queue takes over their memory.
 */
int vc_flow_take(struct vc_flow *flow, struct buf *bytes, struct err *e);
/* So many more of the bytes given to `data` are dealt with. Never more than were given. */
void vc_flow_consumed(struct vc_flow *flow, size_t n);
/* Gives the handle back; what is queued is still sent, then the close. NULL is allowed. */
void vc_flow_close(struct vc_flow *flow);
/* Gives the handle back; what is queued is dropped. NULL is allowed. */
void vc_flow_cancel(struct vc_flow *flow);

struct vc *vc_flow_vc(const struct vc_flow *flow);
uint32_t vc_flow_id(const struct vc_flow *flow);
size_t vc_flow_queued(const struct vc_flow *flow);
bool vc_flow_is_closed(const struct vc_flow *flow); /* eof has come or is on its way */
/* What `eof` was told, or would be; code 0 before the end. Lives as long as the handle. */
const struct err *vc_flow_why(const struct vc_flow *flow);

#endif

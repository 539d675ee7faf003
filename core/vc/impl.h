/*
 * The insides of the stream layer, for the files of core/vc only.
 *
 *     vif.c        input, time, end of a connection, notices, memory
 *     out.c        composing output
 *     vc.c         circuits: open, close, what the user asks
 *     accept.c     circuits that the peer opens
 *     handshake.c  from OpenVC to ready, jobs
 *     auth.c       identity messages
 *     flow.c       flows and flow control
 *     pool.c       limits, spare memory
 *
 * Life of memory. Whatever ends is taken out of its lists at once and put on the vif's grave list;
 * graves are emptied when the last engine call has left (vif_leave). So a pointer taken before a
 * callback may be used after it, but the object may be over: look at its state.
 */
#ifndef VC_IMPL_H
#define VC_IMPL_H

#include "base/list.h"
#include "vc/map.h"
#include "vc/vif.h"
#include "wspr/error.h"

#define VIF_FIRST_DIALLED  10u /* first VCI of who made the connection (spec: stream 1.2) */
#define VIF_FIRST_ACCEPTED 11u
#define VC_FIRST_OPENER    10u /* first flow of who sent OpenVC (spec: stream 1.3) */
#define VC_FIRST_ACCEPTOR  11u

#define POOL_SPARES    16u
#define POOL_SPARE_MAX (256u * 1024)
#define POOL_FLOWS     256u
#define POOL_BLOCK     2048u /* what most queues need; smaller pieces are not worth keeping */
#define POOL_BLOCKS    256u  /* spare pieces of just that size, beside the others */

struct naming_endpoint;

struct vc_pool {
    struct vc_limits limits;
    struct vc_stats stats;
    uint64_t secret;
    struct list vifs;
    struct list flows; /* free flow objects */
    unsigned n_flows;
    struct buf spare[POOL_SPARES]; /* memory for queues; empty ones at the end */
    unsigned n_spare;
    struct pool_block *blocks; /* spare pieces of POOL_BLOCK bytes */
    unsigned n_blocks;
};

/* Gives an empty buffer without memory some that is spare, if a piece of at least `need` is. */
void pool_take(struct vc_pool *p, struct buf *b, size_t need);
/* Takes the memory of a buffer whose content is no longer needed. */
void pool_give(struct vc_pool *p, struct buf *b);
struct vc_flow *pool_flow_new(struct vc_pool *p);
void pool_flow_free(struct vc_pool *p, struct vc_flow *f);

/* Something a user is to be told, in the order in which it happened. */
enum { NOTE_READY = 1, NOTE_CLOSED = 2, NOTE_EOF = 4, NOTE_WRITABLE = 8 };

struct note {
    struct list link;
    uint8_t bits;
    bool is_flow;
};

/*
 * When something began. The functions of the user know no time, and that of what came last may be
 * long ago: what they begin waits in vif->undated for the next call that brings one.
 */
struct moment {
    struct list wait;
    int64_t at; /* INT64_MAX: not yet, or not known yet */
};

enum flow_state {
    FLOW_OPEN,
    FLOW_CLOSING, /* closed by us: the queue leaves, then the close */
    FLOW_GONE,    /* no longer on the wire; lives only while the user holds it */
};

struct vc_flow {
    struct vc_map_node node; /* in vc->map while not GONE; the key is the id */
    struct list all;         /* in vc->flows while not GONE; free list, grave */
    struct list active;      /* in vif->active: has something that may be sent now */
    struct list starved;     /* in vc->starved: waits for the shared pool */
    struct list credits;     /* in vc->credits: `pending` is not 0 */
    struct list linger;      /* in vif->lingering while CLOSING, oldest first */
    struct note note;
    struct vc *vc;
    const struct vc_flow_ops *ops;
    void *arg;
    struct buf tx;
    struct moment closed;
    uint32_t id;
    uint32_t credit;    /* bytes that the peer is ready to receive */
    uint32_t loan;      /* of these, owed to the shared pool */
    uint32_t pending;   /* credit for the peer that was not sent yet */
    uint32_t ungranted; /* the window that it will get */
    uint64_t sent;
    uint64_t received, consumed, returned; /* bytes of plaintext; returned includes pending */
    enum flow_state state;
    bool raw;       /* key exchange or authentication: not sealed */
    bool mine;      /* opened by this end */
    bool announced; /* OpenFlow is out, or came in */
    bool held;      /* the user has the handle */
    bool counted;   /* in vc->n_app */
    bool vc_died;   /* eof comes from the circuit, not from the peer */
    bool full;      /* a write answered VC_FULL */
    bool answer;    /* the peer closed: its user's close may be answered */
};

enum job_kind { JOB_KX, JOB_AUTH_SEND, JOB_AUTH_RECEIVE, JOB_AUTH_BOTH };

struct vc_job {
    struct list link; /* in vif->jobs or vif->done */
    struct vc *vc;
    /* What the job may touch, from here on. */
    enum job_kind kind;
    int result; /* of the crypter's step, or 0, or negative with err */
    bool opener;
    uint32_t version;
    unsigned identity_flags;
    struct vc_crypter *crypter;
    struct security_private *identity;
    struct security_identity *peer; /* result */
    struct buf in, out;
    struct err err;
};

/* What a circuit needs only until it is ready. */
struct vc_hs {
    struct vc_job job;
    struct list link; /* in vif->handshakes, oldest first */
    struct moment begun;
    struct vc_flow *kx, *auth; /* NULL before they are opened and after they are gone */
    struct buf in;             /* key exchange, came while a job was out */
    struct buf auth_in;        /* the peer's identity message */
    uint32_t auth_id;
    bool job_out;
    bool kx_seen, kx_eof;
    bool auth_seen, auth_eof;
};

struct vc {
    struct vc_map_node node; /* in vif->map while not CLOSED; the key is the VCI */
    struct list all;         /* in vif->vcs as long as it lives */
    struct list credits;     /* in vif->credits */
    struct note note;
    struct vc_vif *vif;
    const struct vc_ops *ops;
    void *arg;
    enum vc_state state;
    uint32_t vci;
    uint32_t version;
    enum vc_security security;
    struct vc_crypter *crypter;
    struct security_private *identity;
    struct security_identity *peer;
    struct vc_hs *hs;     /* until ready, or until its job is back */
    struct buf early;     /* messages of application flows, handled when it is ready */
    size_t early_counted; /* memory of that and of the handshake, as it was counted last */
    char *endpoints;      /* both texts */
    struct span local, remote;
    struct vc_map map;
    struct list flows;   /* all that are not GONE */
    struct list starved; /* flows that wait for `shared` */
    struct list credit_flows;
    uint32_t shared;         /* what our flows may borrow */
    uint32_t pending_shared; /* grant for the peer's flows that was not sent yet */
    size_t pending;          /* credit of all flows that waits */
    uint64_t next_flow;
    unsigned n_app;     /* flows that are not GONE, or held */
    unsigned n_objects; /* flow objects that point here */
    struct moment idle;
    struct err why;
    bool opener;
    bool held;    /* the user has the handle */
    bool closing; /* vc_close() was called */
    bool flush;   /* CLOSED for its user; the vif still sends the rest of its flows */
    bool buried;
};

struct vc_vif {
    struct vc_pool *pool;
    struct list node; /* in pool->vifs */
    const struct vc_vif_ops *ops;
    void *arg;
    char *name;
    int64_t now;         /* of the call that brought a time last */
    bool timely;         /* that call is under way */
    struct list undated; /* struct moment */
    struct moment idle;  /* no circuit is left */
    struct vc_map map;   /* circuits by VCI */
    struct list vcs;     /* every vc that lives */
    unsigned n_open;     /* circuits that are not CLOSED */
    uint64_t next_vci;
    struct list active;  /* flows, in round robin */
    struct list credits; /* circuits with credit to give */
    size_t n_credits;    /* counters that wait */
    struct list handshakes, lingering;
    struct list notes, jobs, done;
    struct list graves; /* flows and circuits, see struct note */
    struct buf in;      /* an incomplete message */
    struct buf ctl;     /* control messages for output */
    struct buf relay;
    struct err why;
    size_t queued;
    size_t in_counted; /* memory of `in`, as it was counted last */
    size_t held;       /* memory for what came of circuits before they are ready */
    unsigned depth;
    uint32_t version; /* of accepted circuits, 0: computed */
    bool accepting;
    bool peer_borrows;
    bool urgent; /* credit must leave without waiting for company */
    bool woken;
    bool relay_turn;
    bool over;   /* no more input: failed, shut down or freed */
    bool failed; /* `failed` is to be, or has been, called */
    bool told;   /* `failed` has been called */
    bool shutdown;
    bool freed; /* vc_vif_free() was called */
};

/* vif.c */
void vif_enter(struct vc_vif *vif);
/* The same for a call that brings the time. */
void vif_enter_at(struct vc_vif *vif, int64_t now);
void vif_leave(struct vc_vif *vif);
/* For user calls, which deliver no notices: empties the graves if no engine call is under way. */
void vif_reap(struct vc_vif *vif);
void vif_dispatch(struct vc_vif *vif);
void vif_wake(struct vc_vif *vif);
void vif_note(struct vc_vif *vif, struct note *note, uint8_t bits);
void vif_bury(struct vc_vif *vif, struct note *note);
void moment_init(struct moment *m);
/* It is now, whatever the time may be. */
void moment_come(struct vc_vif *vif, struct moment *m);
/* It has not come (any more). */
void moment_clear(struct moment *m);
/* Ends the connection because of the peer or for want of memory. */
void vif_fail(struct vc_vif *vif, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* vc.c */
struct vc *vc_find(struct vc_vif *vif, uint32_t vci);
/* In the table of the vif, not held yet. NULL if memory is short. */
struct vc *vc_new(struct vc_vif *vif, uint32_t vci, bool opener,
                  const struct naming_endpoint *local, const struct naming_endpoint *remote);
void vc_set_state(struct vc *vc, enum vc_state state);
/*
 * Ends a circuit. why (code and text) is taken; close_text, unless NULL, goes to the peer in
 * CloseVC. Does nothing if it is over already.
 */
void vc_end(struct vc *vc, struct err *why, const char *close_text);
void vc_end_text(struct vc *vc, int code, const char *text);
/* The same, telling the peer the same text. */
void vc_end_close(struct vc *vc, int code, const char *text);
void vc_on_close(struct vc_vif *vif, const struct vc_msg *m);
/* Becomes ready: flows that were opened early are announced. */
void vc_become_ready(struct vc *vc);
void vc_deliver(struct vc *vc, uint8_t bits);
/* Orderly end of the connection: over for its user, but its flows still send what they can. */
void vc_retire(struct vc *vc, const char *why);
void vc_on_flow_message(struct vc_vif *vif, const struct vc_msg *m);
/* Looks whether it is used up: closing and no flow left, or over and not held. */
void vc_check(struct vc *vc);
void vc_destroy(struct vc *vc);

/* accept.c */
void vc_on_open(struct vc_vif *vif, const struct vc_msg *m);

/* handshake.c */
int hs_new(struct vc *vc);
void hs_free(struct vc *vc);
int hs_begin_opener(struct vc *vc);
/* Brings the sums up to date of what is kept of circuits before they are ready. */
void hs_count(struct vc *vc);
/* OpenFlow or Data for a circuit that is not ready yet. */
void hs_on_message(struct vc *vc, const struct vc_msg *m);
/* A job was run or cancelled. It may be gone afterwards. */
void hs_job_back(struct vc_vif *vif, struct vc_job *job);

/* auth.c: both run inside a job. */
int auth_send(struct vc_job *job);
int auth_receive(struct vc_job *job);

/* flow.c */
struct vc_flow *flow_new(struct vc *vc, uint32_t id, bool raw, bool mine);
struct vc_flow *flow_find(struct vc *vc, uint32_t id);
void flow_on_open(struct vc *vc, const struct vc_msg *m);
void flow_on_data(struct vc *vc, const struct vc_msg *m);
void flow_on_credit(struct vc_vif *vif, const struct vc_counters *counters);
/* Puts it on, or takes it off, the list of flows that have something to send. */
void flow_kick(struct vc_flow *f);
/* Bytes that may be sent now, in one message. */
size_t flow_sendable(const struct vc_flow *f);
void flow_spend(struct vc_flow *f, size_t n);
/* Bytes came in: counts them and gives back credit; false if the peer ignores flow control. */
bool flow_received(struct vc_flow *f, size_t n);
int flow_append(struct vc_flow *f, struct span bytes);
void flow_begin_close(struct vc_flow *f);
void flow_drop_queue(struct vc_flow *f);
/* What the flows of a circuit wait for has grown. */
void flow_shared_more(struct vc *vc, uint32_t n);
/* Off the wire: the object remains while it is held. */
void flow_gone(struct vc_flow *f);
/* The circuit is over. */
void flow_vc_died(struct vc_flow *f);
void flow_deliver(struct vc_flow *f, uint8_t bits);
void flow_destroy(struct vc_flow *f);
/* After output took bytes from the queue. */
void flow_drained(struct vc_flow *f);

/* out.c */
void credit_add_flow(struct vc_flow *f, uint32_t n, bool urgent);
void credit_add_shared(struct vc *vc, uint32_t n);
void credit_drop_flow(struct vc_flow *f);
void credit_drop_vc(struct vc *vc);
/* Queue a control message, unless the connection is over; it fails if that is impossible. */
void ctl_open_vc(struct vc *vc);
void ctl_close_vc(struct vc_vif *vif, uint32_t vci, struct span text);
void ctl_open_flow(struct vc_flow *f);
void ctl_bare_close(struct vc_vif *vif, uint32_t vci, uint32_t flow);

#endif

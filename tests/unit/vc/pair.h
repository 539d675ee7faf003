/*
 * Two engines that talk to each other in memory: side 0 dialled, side 1 accepted. Everything that
 * comes back is recorded; a test may hook in.
 */
#ifndef TESTS_UNIT_VC_PAIR_H
#define TESTS_UNIT_VC_PAIR_H

#include "base/buf.h"
#include "recorded.h"
#include "vc/vif.h"

#define PAIR_FLOWS 2100
#define PAIR_VCS   64
#define PAIR_JOBS  64

struct pair;
struct end;

/* What a test knows of a flow. */
struct tflow {
    struct end *end;
    struct vc_flow *flow; /* NULL once it is closed */
    struct buf got;
    size_t received; /* also counts what is not kept */
    unsigned datas, eofs, writables;
    int eof_code;
    char why[256];
    bool echo;    /* what comes is sent back */
    bool consume; /* what comes is consumed at once */
    bool forget;  /* what comes is not kept */
};

struct tvc {
    struct end *end;
    struct vc *vc; /* NULL once it is closed */
    unsigned readies, closeds;
    int code;
    char why[512];
};

enum pair_jobs { PAIR_JOBS_INLINE, PAIR_JOBS_IN_WORK, PAIR_JOBS_LATER };

struct end {
    struct pair *pair;
    int side;
    struct vc_pool *pool;
    struct vc_vif *vif; /* NULL once it is freed */
    bool woken, more;
    unsigned wakes, fails;
    int fail_code;
    char fail_text[256];
    struct buf wire; /* what it said, not delivered yet */
    struct buf log;  /* all that it ever said, if pair->keep_log */
    struct tflow flows[PAIR_FLOWS];
    unsigned n_flows, n_accepted; /* accepted ones are in the same table */
    struct tvc vcs[PAIR_VCS];
    unsigned n_vcs;
    struct vc_job *jobs[PAIR_JOBS];
    unsigned n_jobs;
    /* Policy; may be changed at any time. */
    int refuse_vcs; /* negative code with which OpenVC is refused */
    bool refuse_flows;
    bool echo, consume, forget; /* for flows that are accepted */
    void (*on_accept)(struct tflow *f);
    void (*on_data)(struct tflow *f, struct span bytes);
    void (*on_eof)(struct tflow *f);
    void (*on_writable)(struct tflow *f);
    void (*on_ready)(struct tvc *v);
    void (*on_closed)(struct tvc *v);
    void (*on_failed)(struct end *e);
    int (*on_message)(struct end *e, const struct vc_msg *m);
};

enum pair_kind { PAIR_INSECURE, PAIR_NULL, PAIR_RECORDED, PAIR_TLS };

struct pair {
    enum pair_kind kind;
    enum pair_jobs jobs;
    uint32_t versions;      /* the highest that the endpoints offer; 2 */
    uint32_t force_version; /* what side 0 uses instead of what it computes; 0 */
    size_t piece;           /* bytes given to input at a time; 0: all */
    size_t max;             /* bytes asked of output at a time */
    bool keep_log;
    int64_t now;
    struct security_private *id[2];
    struct end end[2];
};

/* Identities and the recorded script are made once per program. */
void pair_setup(void);
void pair_teardown(void);
struct security_private *pair_identity(int side);
const struct rec_script *pair_script(void);

/* Sets peer_borrows of both vifs in what pair_init makes from now on. */
extern bool pair_borrows;
/* limits may be NULL. False if memory is short (nothing is left then but pair_done is fine). */
bool pair_init(struct pair *p, enum pair_kind kind, const struct vc_limits *limits);
/* Frees all that is left, handles included, and checks that nothing remains in the pools. */
void pair_done(struct pair *p);

/* Moves bytes and runs jobs (unless PAIR_JOBS_LATER) until nothing more happens. */
void pair_run(struct pair *p);
/* One round: each side once. True if something happened. */
bool pair_step(struct pair *p);
/* Reports the jobs that wait (PAIR_JOBS_LATER); returns how many. */
unsigned pair_finish_jobs(struct pair *p, bool run);
/* Takes what a side has to say into its wire, without delivering. */
void pair_collect(struct end *e);
void pair_deliver(struct end *from);
/* Gives bytes to a side as if the other had said them. */
int pair_inject(struct end *to, struct span bytes);

/* NULL if it failed; *e (may be NULL) says why. */
struct tvc *pair_open_vc(struct pair *p, int side, struct err *e);
/* A circuit of side 0 that is ready, and side 1's end of it is vcs[0]. NULL if it does not become
 * so. */
struct tvc *pair_ready(struct pair *p);
struct tflow *pair_open_flow(struct tvc *v, struct err *e);
int pair_write(struct tflow *f, const char *text);
/* n bytes of a pattern that depends on the position and the seed. */
int pair_write_pattern(struct tflow *f, size_t n, unsigned seed);
bool pair_is_pattern(struct span s, size_t at, unsigned seed);
/* Ends of things (pair_end.c). */
void pair_close_flow(struct tflow *f);
void pair_cancel_flow(struct tflow *f);
void pair_close_vc(struct tvc *v);
void pair_abort_vc(struct tvc *v, const char *text);
void pair_free_vif(struct end *e, const char *why);
/* Messages of one kind in bytes that were said, of one flow unless flow is PAIR_ANY. */
#define PAIR_ANY UINT32_MAX
struct tally {
    unsigned n;
    unsigned closes;  /* of these, Data with the close flag */
    size_t payload;   /* bytes of Data */
    uint64_t granted; /* bytes of credit */
};
struct tally pair_tally(struct span said, enum vc_msg_kind kind, uint32_t flow);
/* Says one message to a side. */
int pair_say(struct end *to, const struct vc_msg *m);
/* The same for credit: one counter. */
int pair_say_credit(struct end *to, uint32_t vci, uint32_t flow, uint32_t bytes);
/* The other end of the i-th accepted flow. */
struct tflow *pair_accepted(struct end *e, unsigned i);

#endif

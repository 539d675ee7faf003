/*
 * What the fuzzers of whole connections share: a gateway with all its plugins, a service behind it,
 * and pages over socket pairs, in one process and on one thread. An input is a list of steps: a
 * byte says which, others its particulars; what is left of an input is the end of it.
 *
 * Circuits are not encrypted (null_tls.c), nothing outside of the process can be dialled, and time
 * passes when a step says so.
 */
#ifndef TESTS_FUZZ_WHOLE_H
#define TESTS_FUZZ_WHOLE_H

#include "base/buf.h"
#include "unit/gateway/gwrig.h"

#define WHOLE_PAGES   3
#define WHOLE_WAITING 16

struct steps {
    const uint8_t *p;
    size_t left;
};

/* 0 at the end. */
unsigned steps_byte(struct steps *s);
/* As many bytes as the next byte says, if there are as many. */
struct span steps_bytes(struct steps *s);

struct whole_page {
    struct wspeer peer;               /* fd -1: not connected */
    bool deaf;                        /* does not read */
    bool slow;                        /* what it sends goes in pieces, with turns between them */
    char endpoint[512];               /* that it serves at; "": none */
    long long waiting[WHOLE_WAITING]; /* invocations that it has not answered */
    unsigned n_waiting;
    bool refused;    /* it got an error */
    char error[512]; /* the last one */
};

struct whole {
    struct gw g;
    struct rpc_dispatcher guard; /* what is served: the slow service without its method Die */
    struct whole_page pages[WHOLE_PAGES];
    unsigned at; /* the page that acts */
    uint64_t runs;
};

extern struct whole whole;

/* Once. */
void whole_begin(void);
/* Turns of the loop; pages read what came unless they are deaf. */
void whole_turn(unsigned n);
/*
 * Turns the loop until done(), 20 s at most; aborts the program with the text if it is not. helped:
 * time passes faster, for what waits for a time and not for somebody.
 */
void whole_until(bool (*done)(void), bool helped, const char *what);
/* Lets a time pass for everybody: one of a few that matter. */
void whole_skip(unsigned which);
/* The pages go. Everything that was begun must come to its end, and a new page be served. */
void whole_end(void);
/* Aborts with the text unless ok. */
void whole_require(bool ok, const char *what);

/* whole_page.c */

/* The page that acts, connected if it is not. */
struct whole_page *whole_page(void);
/* Connects with an extra, an origin, or neither. */
void whole_page_open(struct whole_page *p, unsigned how);
void whole_page_drop(struct whole_page *p);
/* Reads and judges what came. */
void whole_page_read(struct whole_page *p);
/* One thing that a page can do. */
void whole_page_step(struct steps *s);
void whole_page_serve(struct whole_page *p, unsigned server, unsigned name, unsigned service);
/* Answers the oldest call, or a number that there is none of. */
void whole_page_answer(struct whole_page *p, unsigned id, unsigned which);

#endif

/* One end of a connection under test: counts its callbacks, keeps what came, and may end itself in
 * any of them. */
#ifndef TESTS_UNIT_LOOP_END_H
#define TESTS_UNIT_LOOP_END_H

#include "base/buf.h"
#include "loop/sock.h"
#include "rig.h"

enum end_event { END_DATA, END_EOF, END_CLOSED, END_CONNECTED, END_FILL, END_DRAINED, END_EVENTS };

struct end {
    struct loop_sock *sock; /* NULL once it closed it */
    struct buf got;
    unsigned calls[END_EVENTS];
    unsigned late; /* callbacks after it closed */
    int code;      /* of `closed` */
    char why[256];
    size_t take;    /* most bytes used per callback; 0: all */
    size_t unit;    /* uses whole units of so many bytes only */
    size_t to_fill; /* bytes to append when asked to fill */
    size_t fill_unit;
    uint8_t filled; /* the last byte that was appended */
    bool pause_in_data;
    bool keep_got; /* false: count only */
    size_t n_got;
    int end_in; /* enum end_event in which to end; -1: none */
    bool abort; /* with abort instead of close */
};

extern const struct loop_sock_ops end_ops;
extern const struct loop_sock_ops end_ops_no_eof;

void end_init(struct end *e);
/* Ends what is still open. */
void end_done(struct end *e);
void end_close(struct end *e);
/* Takes the descriptor; opts may be NULL. */
void end_adopt(struct end *e, struct loop_worker *w, int fd, const struct loop_sock_opts *opts);
/* A socket pair: the first end is e's, the second is returned (not blocking). */
int end_pair(struct end *e, struct loop_worker *w, const struct loop_sock_opts *opts);
/* n bytes of which each tells its place, as `fill` makes them too. */
void end_pattern(struct buf *b, size_t n);
bool end_is_pattern(struct span s);
/* Sends all of it, or fails the test. */
void end_send_raw(int fd, const void *p, size_t len);
/* Reads what there is from a descriptor that does not block. Returns 1 at its end, -1 on error. */
int end_read_raw(int fd, struct buf *to);

/* Turns the loop until the condition holds, five seconds at most; then fails the test. */
#define END_UNTIL(w, cond)                                                                         \
    do {                                                                                           \
        int64_t end_until_ = clock_mono() + 5 * CLOCK_S;                                           \
        while (!(cond) && clock_mono() < end_until_)                                               \
            loop_worker_turn(w, 5 * CLOCK_MS);                                                     \
        TAP_IS(cond);                                                                              \
    } while (0)

#endif

/*
 * Peers that are slow or gone, each kind in a thread that goes on until it is told to stop, in a
 * world of real daemons with well-behaved pages whose calls are measured all the time.
 *
 *     neighbours (measured) --+                  +-- sample service -- wsprd "other" -- neighbours
 *     page that ...           +-- wsprd "near" --+-- slow service
 *     caller of ...         --+       |          +-- mount table
 *                                   relay -- wsprd "far"
 *
 * Everything that is judged is wsprd "near": its memory, descriptors, flows and names, and what
 * those get who lose something. Neighbours of the other wsprd feel what all of it does to the
 * machine, and nothing else.
 */
#ifndef TESTS_PATIENCE_H
#define TESTS_PATIENCE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bench/measure.h"
#include "rig.h"
#include "wspeer.h"

#define PATIENCE_WAIT_MS  180000 /* for what must come: no loser waits longer than that */
#define PATIENCE_ENDPOINT 512
#define PATIENCE_PAGES    16
#define PATIENCE_WAYS     12 /* in which losers of one kind end, that are told apart */
#define PATIENCE_MIB      64 /* of -max-output and of -max-input of the near wsprd */
/* Beyond what it held before: both of these, and half as much for growing buffers and the rest. */
#define PATIENCE_MARK_KIB (UINT64_C(1024) * 5 / 2 * PATIENCE_MIB)

/* How those end who lose something. */
enum patience_end {
    PATIENCE_TYPED,   /* an error with an id */
    PATIENCE_UNTYPED, /* an error without one */
    PATIENCE_NOTHING, /* nothing at all */
    PATIENCE_CUT,     /* the end of the connection; right for those who do not read */
};

struct patience_way {
    enum patience_end end;
    char text[160]; /* who, the id, what was said */
    unsigned long long n;
};

struct world;

/* What one kind does, and what came of it. */
struct patience {
    const struct patience_kind *kind;
    struct world *world;
    pthread_t thread;
    atomic_bool stop;     /* let everything go and return */
    atomic_bool leave;    /* end the thread */
    atomic_bool running;  /* kind->run is under way */
    atomic_bool hanging;  /* just now its peers hang on the daemon */
    atomic_ulong cycles;  /* that were completed */
    atomic_bool shutdown; /* the daemon ends: what is lost now is not counted */
    pthread_mutex_t lock; /* of the rest */
    pthread_cond_t turn;
    bool started;
    struct wspeer *pages[PATIENCE_PAGES]; /* of the thread: they say now and then that they live */
    long long beat;
    struct patience_way ways[PATIENCE_WAYS];
    unsigned n_ways;
    char trouble[256]; /* what went wrong otherwise; "" */
};

enum { PATIENCE_NEEDS_SLOW = 1, PATIENCE_NEEDS_FAR = 2, PATIENCE_NEEDS_OTHER = 4 };

struct patience_kind {
    const char *name;
    unsigned needs;
    void (*run)(struct patience *p); /* cycles until patience_over() */
};

extern const struct patience_kind patience_kinds[];
extern const unsigned patience_n_kinds;

/* What the near wsprd holds. */
struct patience_held {
    uint64_t kib;
    long long used, idle; /* bytes, of the allocator */
    unsigned descriptors;
    long long conns, flows, vc_flows, calls, serving, pending, names, servers, links, vcs;
};

/* How long calls took. */
struct times {
    struct measure plain, served;
};

/* Well-behaved pages of one wsprd, in a thread. */
struct neighbours {
    const struct rig_wsprd *wsprd;
    const char *sampled_at;
    pthread_t thread;
    bool started;
    atomic_bool stop;
    pthread_mutex_t lock;
    struct times *times;  /* where their calls are counted now */
    atomic_bool troubled; /* the text below is there, for good */
    char trouble[256];
};

struct world {
    bool brief; /* times to live are seconds, not a minute */
    unsigned needs;
    struct child table, relay, sampled, slow;
    int table_port, relay_port;
    char root[64], sampled_at[PATIENCE_ENDPOINT], slow_at[PATIENCE_ENDPOINT];
    struct rig_wsprd near, far, other;
    pthread_mutex_t children; /* starting and stopping */
    struct neighbours here, elsewhere;
};

/* ---- patience_world.c ---- */

/* Starts the daemons and the neighbours; false with commentary. */
bool world_start(struct world *w, bool brief, unsigned needs);
/* Ends the neighbours. */
void world_quiet(struct world *w);
/* Stops the near wsprd, which must end well; how long that took. -1 if it did not. */
long long world_stop_near(struct world *w);
/* Ends the rest. False if one of them did not end well. */
bool world_end(struct world *w);
void world_look(struct world *w, struct patience_held *ret_held);
uint64_t world_memory(const struct world *w);
/* Whether nothing is left that was not there before. */
bool world_is_back(const struct patience_held *before, const struct patience_held *now);
/* Waits for that. */
bool world_settles(struct world *w, const struct patience_held *before,
                   struct patience_held *ret_now, int timeout_ms);
void world_print_held(const char *when, const struct patience_held *held);

/* ---- patience_neighbours.c ---- */

/* Starts them. False if there is no thread for them. */
bool neighbours_start(struct neighbours *all, const struct rig_wsprd *wsprd, const char *sampled_at,
                      struct times *times);
/* Where their calls are counted from now on. */
void neighbours_measure(struct neighbours *all, struct times *times);
/* How many calls of a page that serves were counted there. */
uint64_t neighbours_served(struct neighbours *all);
void neighbours_stop(struct neighbours *all);

/* ---- patience_kinds.c and patience_gone.c: the kinds; here what they share ---- */

void patience_init(struct patience *p, const struct patience_kind *kind, struct world *w);
void patience_start(struct patience *p);
/* Asks it to stop; patience_wait waits until it has. */
void patience_stop(struct patience *p);
void patience_wait(struct patience *p);
void patience_done(struct patience *p);
/* Whether everybody who lost something learned why, and nothing else went wrong. Prints the ways.
 */
bool patience_judge(struct patience *p);

bool patience_over(const struct patience *p);
/* One more loser: who it was, how it ended, the error frame (or text) it got. */
void patience_lost(struct patience *p, const char *who, enum patience_end end, const char *what);
void patience_trouble(struct patience *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Sleeps, at most until it is over. */
void patience_rest(struct patience *p, int ms);

void patience_page_deaf(struct patience *p);
void patience_page_mute(struct patience *p);
void patience_service_deaf(struct patience *p);
void patience_service_mute(struct patience *p);
void patience_relay_gone(struct patience *p);
void patience_table_gone(struct patience *p);
void patience_half_open(struct patience *p);

/* ---- patience_page.c: pages ---- */

/* Connects to a port and takes the first frame. False with the trouble noted, unless it is over. */
bool page_open(struct patience *p, struct wspeer *page, int port);
void page_close(struct patience *p, struct wspeer *page);
/* From now on it does not even say that it lives, as one that does not look at pings. */
void page_falls_silent(struct patience *p, struct wspeer *page);
/* Lets the other pages say that they live; for those who wait. */
void page_beat(struct patience *p);
/* A call; data in args is escaped once already. */
void page_call(struct wspeer *page, long id, const char *name, const char *method, const char *args,
               int results, bool streaming);
/* The same with one string of so many bytes. */
void page_call_big(struct wspeer *page, long id, const char *name, const char *method, size_t size,
                   int results);
void page_value(struct wspeer *page, long id, const char *json);
/* Serves an object with the methods echo(s) and flow(s), which has streams; where it is. */
bool page_serve(struct patience *p, struct wspeer *page, const char *name,
                char endpoint[PATIENCE_ENDPOINT]);
/* Whether something small can be sent without waiting. */
bool page_takes(struct wspeer *page, int timeout_ms);
/* The next message, for as long as it is not over; NULL: none in time, or the connection ended
 * (*ret_ended). */
const char *page_next(struct patience *p, struct wspeer *page, int timeout_ms, bool *ret_ended);
/* Takes what is there without answering anything but pings; how many messages. */
unsigned page_drain(struct wspeer *page);
/*
 * Waits until n calls of the page are over and notes how each ended; with `expected`, an end in
 * another way is trouble. Results are no loss.
 */
void page_losses(struct patience *p, struct wspeer *page, const char *who, unsigned n);
/* "/endpoint//suffix". */
const char *name_of(char *name, size_t size, const char *endpoint, const char *suffix);

/* ---- patience_tunnel.c: connections that vanish ---- */

struct tunnel;

/* Passes on what comes to a port of its own to another one. */
struct tunnel *tunnel_new(int to_port);
int tunnel_port(const struct tunnel *t);
/* From now on nothing gets through, and nothing that arrives is acknowledged. */
bool tunnel_vanish(struct tunnel *t);
void tunnel_free(struct tunnel *t);
/* An endpoint, by way of the tunnel. */
void tunnel_endpoint(const struct tunnel *t, const char *endpoint, char out[PATIENCE_ENDPOINT]);

#endif

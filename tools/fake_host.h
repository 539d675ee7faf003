/*
 * A host for one plugin without sockets, threads and time: for driving it through all that can
 * happen. It implements all of <wspr/...> and watches that the plugin keeps to the rules; what it
 * breaks is told to fake_violation(). Handles stay valid after their end, so that their use then
 * is seen and not fatal.
 *
 *     fake_host_load -> fake_conn_new -> fake_conn_message, fake_host_turn ... -> fake_conn_close
 *                    -> fake_host_unload
 */
#ifndef TOOLS_FAKE_HOST_H
#define TOOLS_FAKE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "gateway/plugin_file.h"
#include "wspr/plugin.h"

struct wspr_host {
    const struct wspr_plugin *plugin;
    struct plugin_values values;
    void *ctx;
    struct list events; /* struct fake_event: posts, work, ends of calls */
    struct list timers; /* struct wspr_timer that were not freed */
    struct list conns;  /* struct wspr_conn, the closed ones too */
    struct list memory; /* struct fake_block: handles, until the host is gone */
    unsigned n_timers, calls_open;
    unsigned msgs_kept, sigs_kept;
    unsigned long asked;   /* functions that may fail, so far */
    unsigned long fail_at; /* the one that fails; 0: none */
    bool full;             /* pages take no more: sends return WSPR_FULL */
    bool answers;          /* calls and look-ups succeed */
    bool unloaded;
    unsigned sent; /* frames */
};

struct wspr_conn {
    struct list node;
    struct wspr_host *host;
    struct list flows; /* struct wspr_flow, the ended ones too */
    struct list servers;
    struct list input;         /* struct wspr_msg behind a barrier */
    struct wspr_flow *barrier; /* input waits for this one */
    void *state;
    uint64_t number;
    int64_t next_id;
    bool opened, closing, over, closed; /* over: everybody was told */
};

struct wspr_flow {
    struct list node;
    struct wspr_conn *conn;
    void *state;
    int64_t id;
    uint32_t type; /* of the message that opened it; 0: the host did */
    bool one_shot; /* no message finds it by its id */
    bool by_host, finished, cancelled, full, again;
    unsigned after_full; /* frames that were sent although the page did not read */
    struct list kept;
};

struct wspr_timer {
    struct list node;
    struct wspr_host *host;
    void (*fn)(void *arg);
    void *arg;
    bool armed, freed;
};

struct wspr_msg {
    struct list node;
    struct wspr_host *host;
    uint32_t type;
    int64_t id;
    unsigned refs;
    size_t len;
    char text[];
};

/* Says in plain words what the plugin did wrong; from fake_host.c, and defined by its user. */
void fake_violation(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * 0 or what load returned (nothing is to be unloaded then). values are taken. fail_at: see struct
 * wspr_host.
 */
int fake_host_load(struct wspr_host *h, const struct wspr_plugin *plugin,
                   struct plugin_values *values, unsigned long fail_at);
/* Calls unload and says what was left behind. */
void fake_host_unload(struct wspr_host *h);
/* Runs what is queued, and due timers if there is nothing; false if nothing happened. */
bool fake_host_turn(struct wspr_host *h);
/* The same until nothing happens any more, or for `most` turns. */
void fake_host_settle(struct wspr_host *h, unsigned most);
/* The page reads again: flow_writable for everybody who was told WSPR_FULL. */
void fake_host_drain(struct wspr_host *h);

struct wspr_conn *fake_conn_new(struct wspr_host *h);
/* One message of the page, by the rules of the dispatch. */
void fake_conn_message(struct wspr_conn *c, uint32_t type, int64_t id, const char *text);
/* The page goes away: cancels, and says which flows are not finished then. */
void fake_conn_close(struct wspr_conn *c);
/* Flows that are not finished. */
unsigned fake_conn_pending(const struct wspr_conn *c);
/* Says so if input waits for a barrier now that nothing happens any more. */
void fake_conn_check_barrier(const struct wspr_conn *c);

/* The allocations of the plugin itself, since it was loaded. */
extern struct fake_memory {
    unsigned long asked;
    unsigned long fail_at; /* the one that fails; 0: none */
} fake_memory;
/* Watches those of a file that dlopen() loaded; false if that is not possible here. */
bool fake_memory_watch(void *handle);

/* ---- between the parts of the fake host ---- */

/* fake_rpc.c and fake_host.c: whether this call of a function that may fail does. */
bool fake_fails(struct wspr_host *h);
/* Memory that lives as long as the host. Ends the program if there is none. */
void *fake_alloc(struct wspr_host *h, size_t size);
/* Says so if the plugin may not use the connection any more. */
bool fake_conn_is_gone(const struct wspr_conn *c, const char *what);
/* Input goes on behind a barrier. */
void fake_conn_input(void *conn);
struct wspr_flow *fake_flow_new(struct wspr_conn *c, int64_t id, uint32_t type);
/* Gives the kept messages to the flow's owner, until it wants them again later. */
void fake_flow_deliver(void *flow);
struct wspr_msg *fake_msg_new(struct wspr_host *h, uint32_t type, int64_t id, const char *text);
/* The callback that was given the message has returned. */
void fake_msg_leave(struct wspr_msg *m);
/* Structs that say how large they are: whether this can be. */
bool fake_size_is_wrong(const char *what, size_t stated, size_t most);
/* fake_rpc.c: the page of the servers is gone. */
void fake_servers_abort(struct wspr_conn *c);
/* Queues fn(arg); with work(arg) before it. */
void fake_queue_work(struct wspr_host *h, void (*work)(void *arg), void (*fn)(void *arg),
                     void *arg);
void fake_queue(struct wspr_host *h, void (*fn)(void *arg), void *arg);

#endif

/*
 * What the processes that serve one service have in common: options, identity, loop, runtime, one
 * server, and the way it all ends.
 *
 *     signal -> server stops (running calls get a moment) -> runtime stops -> the loop ends
 *
 * A second signal ends the loop at once.
 */
#ifndef TOOLS_DAEMON_H
#define TOOLS_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "config/option.h"
#include "loop/timer.h"
#include "rpc/server.h"

struct loop_offload;
struct rpc_publisher;
struct loop_signals;
struct loop_worker;
struct security_private;
struct security_trust;

#define DAEMON_PATIENCE (2 * INT64_C(1000000000))

/* The options of all of them; a member `common` of the struct that a program's table fills. */
struct daemon_opts {
    bool no_legacy_peers, help, version;
    int64_t verbosity, ttl;
};

/* The rows of a program's table for them; those that the network's other daemons know come last. */
#define DAEMON_OPTIONS(target)                                                                     \
    {.name = "ttl",                                                                                \
     .type = CONFIG_INT,                                                                           \
     .offset = offsetof(target, common.ttl),                                                       \
     .def = "80",                                                                                  \
     .arg = "SECONDS",                                                                             \
     .help = "how long the name outlives a process that died",                                     \
     .min = 1,                                                                                     \
     .max = 86400},                                                                                \
        {.name = "no-legacy-peers",                                                                \
         .type = CONFIG_BOOL,                                                                      \
         .offset = offsetof(target, common.no_legacy_peers),                                       \
         .help = "refuse peers that offer nothing better than RC4"},                               \
        {.name = "v",                                                                              \
         .type = CONFIG_INT,                                                                       \
         .offset = offsetof(target, common.verbosity),                                             \
         .def = "0",                                                                               \
         .arg = "LEVEL",                                                                           \
         .help = "0: log warnings; 1: what happens; 2: everything",                                \
         .min = 0,                                                                                 \
         .max = 99},                                                                               \
        {.name = "help",                                                                           \
         .type = CONFIG_ACTION,                                                                    \
         .offset = offsetof(target, common.help),                                                  \
         .help = "print this and exit"},                                                           \
        {.name = "h",                                                                              \
         .type = CONFIG_ACTION,                                                                    \
         .offset = offsetof(target, common.help),                                                  \
         .help = "the same"},                                                                      \
        {.name = "version",                                                                        \
         .type = CONFIG_ACTION,                                                                    \
         .offset = offsetof(target, common.version),                                               \
         .help = "print the version and exit"},                                                    \
        {.name = "log_dir", .type = CONFIG_INERT},                                                 \
        {.name = "logtostderr", .type = CONFIG_INERT_SWITCH},                                      \
        {.name = "alsologtostderr", .type = CONFIG_INERT_SWITCH},                                  \
        {.name = "vmodule", .type = CONFIG_INERT},                                                 \
        {.name = "stderrthreshold", .type = CONFIG_INERT},                                         \
        {.name = "max_stack_buf_size", .type = CONFIG_INERT},                                      \
        {.name = "vv", .type = CONFIG_INERT},                                                      \
    {                                                                                              \
        .name = "log_backtrace_at", .type = CONFIG_INERT                                           \
    }

/* The row for that, of a program that listens with daemon_listen. */
#define DAEMON_PUBLISHED_ADDRESS(target, member)                                                   \
    {                                                                                              \
        .name = "published_address", .type = CONFIG_STRING, .offset = offsetof(target, member),    \
        .def = "", .arg = "HOST:PORT",                                                             \
        .help = "address that others are told, behind NAT or for a\nmachine of several; port 0: "  \
                "that of the socket"                                                               \
    }

struct daemon {
    const char *program; /* "wspr-sampled" */
    struct log log;
    struct loop_worker *worker;
    struct loop_offload *offload;
    struct loop_signals *signals;
    struct security_private *identity;
    struct security_trust *trust;
    struct rpc_runtime *rt;
    struct rpc_server *server;       /* made by the program, or NULL and */
    struct rpc_listener *listener;   /* of the server, if it is known by another address */
    struct rpc_publisher *publisher; /* what mounts it; NULL if it has no name */
    /* Ends what the program made besides a server, and leads to daemon_stopped; NULL: nothing. */
    void (*stop)(struct daemon *d);
    size_t n_roots;
    uint32_t ttl; /* of mounts, seconds */
    char *line;   /* what is announced when the name is mounted */
    struct loop_timer patience;
    bool stopping, announced;
    int status; /* of the program */
};

/*
 * Reads the command line into opts. True if the program is to go on; else *ret_status is how it
 * ends: help or version was printed, or a mistake reported.
 */
bool daemon_parse(const char *program, const char *about, const struct config_table *table,
                  int argc, char **argv, void *opts, const struct daemon_opts *common,
                  int *ret_status);
/* Reports a mistake in the command line; the status to end with. */
int daemon_usage(const char *program, const char *text);
/* Identity, loop, runtime, roots of names. d->program is set; daemon_end in any case. */
int daemon_begin(struct daemon *d, const struct daemon_opts *common, struct err *err);
/*
 * Runs the loop until a signal comes. If r < 0 it reports the error of the start instead and takes
 * down what was built. The status of the program.
 */
int daemon_run(struct daemon *d, int r, const struct err *e);
/* Reports an error that came later, and ends the program with it. */
void daemon_fail(struct daemon *d, const struct err *e);
/* The service has stopped: the rest follows. */
void daemon_stopped(void *daemon);
/* Whether peers of 2014 are taken. */
bool daemon_legacy_peers(const struct daemon_opts *common);
/* Whatever begin made, in any state; the server is gone by then. */
void daemon_end(struct daemon *d);
/*
 * Listens. published is the "host:port" that others are told ("": that of the socket; port 0: its
 * port).
 */
int daemon_listen(struct daemon *d, const char *address, const char *published,
                  const char **ret_endpoint, struct err *err);
/*
 * Publishes the server under a name; none if it is empty. A relative name needs a root:
 * WSPR_EINVAL without one if it was asked for, else it is only logged.
 */
int daemon_publish(struct daemon *d, const char *name, bool asked_for, struct err *err);
/*
 * Prints the one line that others wait for. Whoever reads it may rely on the name: it comes when
 * that is mounted or has failed to be, at the latest after DAEMON_PATIENCE.
 */
int daemon_announce(struct daemon *d, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif

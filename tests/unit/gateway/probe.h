/*
 * A plugin that does what a test tells it to do, and writes down what the gateway does to it.
 *
 * Types: 100 opens a flow, 101 is one-shot, 102 uses a flow and delivers to it, 103 uses one and
 * takes the message itself, 104 is a one-shot that is a barrier, 105 belongs to a second plugin and
 * uses flows of any.
 *
 * Data of a message: "pend" leaves the flow open, "done" finishes it with true, "fail" fails it
 * with an error of its own, "code" returns WSPR_ENOTFOUND, "mute" returns WSPR_DONE without a
 * reply.
 */
#ifndef TESTS_UNIT_GATEWAY_PROBE_H
#define TESTS_UNIT_GATEWAY_PROBE_H

#include <stdbool.h>

#include "wspr/plugin.h"

#define PROBE_OPEN    100
#define PROBE_SHOT    101
#define PROBE_DELIVER 102
#define PROBE_TAKE    103
#define PROBE_BARRIER 104
#define PROBE_OTHER   105

extern const struct wspr_plugin probe_plugin, other_plugin;

struct probe {
    struct wspr_host *host, *other_host;
    struct wspr_conn *conn;       /* of the last message */
    struct wspr_flow *flows[512]; /* that were left open, in order; never taken out */
    unsigned n_flows;
    int data_result;  /* of flow_data */
    int conn_result;  /* of conn_open */
    int other_result; /* of PROBE_OTHER's handler, unless it is PROBE_OTHER_DELIVER */
    bool finish_on_cancel;
    bool finish_on_data; /* then reads the message once more */
    void (*on_writable)(struct wspr_flow *flow);
    void (*on_close)(struct wspr_conn *conn);
    char text[16384]; /* what happened, see probe_log */
};

#define PROBE_OTHER_DELIVER 77

extern struct probe probe;

void probe_reset(void);
/* What happened since the last call, words separated by blanks, and forgets it. */
const char *probe_log(void);
/* That this is what happened, and nothing else. */
void probe_expect(const char *text);
/* Adds to it. */
void probe_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif

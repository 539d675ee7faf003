/*
 * Flows: what one message id means on a connection.
 *
 * A handler is given the flow of its message. If it answers later (WSPR_PENDING), it finishes the
 * flow exactly once; the handle is dead once finish or fail has returned. If the page goes away
 * first, flow_cancel says so, finishing is still due, and sends nothing.
 *
 * Payloads are JSON text; the host puts it into the envelope and does not look at it, so it must be
 * valid. All functions on the connection's loop. Spec: websocket 5 to 7.
 */
#ifndef WSPR_FLOW_H
#define WSPR_FLOW_H

#include <stddef.h>
#include <stdint.h>
#include "wspr/reader.h"
#include "wspr/version.h"

#ifdef __cplusplus
extern "C" {
#endif

struct wspr_host;
struct wspr_conn;
struct wspr_flow;
struct wspr_msg;

/* Response types of the protocol, the member `type` of a frame's data. */
enum wspr_response {
    WSPR_RESPONSE_FINAL = 0,
    WSPR_RESPONSE_STREAM = 1,
    WSPR_RESPONSE_ERROR = 2,
    WSPR_RESPONSE_INVOKE = 3,
    WSPR_RESPONSE_STREAM_CLOSE = 4,
    WSPR_RESPONSE_CANCEL = 5, /* an invocation is over; only for pages that asked for "cancel" */
};

WSPR_API int64_t wspr_flow_id(const struct wspr_flow *flow);
WSPR_API struct wspr_conn *wspr_flow_conn(const struct wspr_flow *flow);
/* The plugin's pointer for this flow; NULL at first. */
WSPR_API void *wspr_flow_state(const struct wspr_flow *flow);
WSPR_API void wspr_flow_set_state(struct wspr_flow *flow, void *state);
/* True after flow_cancel. */
WSPR_API int wspr_flow_is_cancelled(const struct wspr_flow *flow);

/*
 * Sends one frame and keeps the flow. Always takes the data: 0, WSPR_FULL (wait for flow_writable
 * before sending more), or an error if the connection is gone or past its hard limit (which ends
 * it).
 */
WSPR_API int wspr_flow_send(struct wspr_flow *flow, enum wspr_response type, const char *json,
                            size_t len);
/* The same with the text in n parts, which are joined. */
WSPR_API int wspr_flow_send_parts(struct wspr_flow *flow, enum wspr_response type,
                                  const struct wspr_span *parts, size_t n);
/* Sends the final frame and ends the flow. Returns WSPR_DONE, so that a handler may return it. */
WSPR_API int wspr_flow_finish(struct wspr_flow *flow, const char *json, size_t len);
/* Ends the flow without sending anything. Returns WSPR_DONE. */
WSPR_API int wspr_flow_end(struct wspr_flow *flow);
/* Sends an error frame whose id is the code's, and ends the flow. Returns WSPR_DONE. */
WSPR_API int wspr_flow_fail(struct wspr_flow *flow, int code, const char *text);
/* The same with a text that is formatted like printf's (and cut if it is very long). */
WSPR_API int wspr_flow_failf(struct wspr_flow *flow, int code, const char *fmt, ...)
    WSPR_PRINTF(3, 4);
/* The same with any id, for errors that an application defines. */
WSPR_API int wspr_flow_fail_id(struct wspr_flow *flow, const char *id, const char *text);

/* Hands a message to the plugin that owns the flow (its flow_data), in order. For USES claims. */
WSPR_API int wspr_flow_deliver(struct wspr_flow *flow, const struct wspr_msg *msg);
/* Takes up delivery after flow_data returned WSPR_AGAIN; the kept messages come first. */
WSPR_API void wspr_flow_resume(struct wspr_flow *flow);
/* Starts a flow of the host's side; its id is even. NULL if memory is short or the limit is
 * reached. */
WSPR_API struct wspr_flow *wspr_flow_open(struct wspr_conn *conn, struct wspr_host *host,
                                          void *state);

#ifdef __cplusplus
}
#endif

#endif

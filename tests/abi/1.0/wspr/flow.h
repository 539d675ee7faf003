/*
 * Flows: what one message id means on a connection.
 *
 * A handler is given the flow of its message. If it answers later (WSPR_PENDING), it finishes the
 * flow exactly once: with wspr_flow_finish, _fail, _failf, _fail_id or _end. The handle is dead
 * once one of these has returned. If the page goes away first, flow_cancel says so, finishing is
 * still due, and sends nothing.
 *
 * Payloads are JSON text; the host puts it into the envelope and does not look at it, so it must be
 * valid. Texts are borrowed for the call. All functions on the connection's loop. Spec: websocket 5
 * to 7.
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

/* The id of its messages; of a flow that the host's side opened an even one. */
WSPR_API int64_t wspr_flow_id(const struct wspr_flow *flow);
/* Its connection, which is there as long as the flow. */
WSPR_API struct wspr_conn *wspr_flow_conn(const struct wspr_flow *flow);
/* The plugin's pointer for this flow; NULL at first. */
WSPR_API void *wspr_flow_state(const struct wspr_flow *flow);
/* Sets that pointer, which stays the plugin's: the host does nothing with it. */
WSPR_API void wspr_flow_set_state(struct wspr_flow *flow, void *state);
/* True from flow_cancel on. */
WSPR_API int wspr_flow_is_cancelled(const struct wspr_flow *flow);

/*
 * Sends one frame and keeps the flow. Always takes the data: 0, WSPR_FULL (wait for flow_writable
 * before sending more), or a code if the frame is lost: WSPR_ECLOSED (the flow is cancelled or the
 * connection closing), WSPR_ELIMIT or WSPR_ENOMEM (which end the connection).
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
/*
 * Sends an error frame whose id is the code's, and ends the flow. text is for people, in UTF-8;
 * NULL is the code's sentence. Returns WSPR_DONE.
 */
WSPR_API int wspr_flow_fail(struct wspr_flow *flow, int code, const char *text);
/* The same with a text that is formatted like printf's (and cut if it is very long). */
WSPR_API int wspr_flow_failf(struct wspr_flow *flow, int code, const char *fmt, ...)
    WSPR_PRINTF(3, 4);
/* The same with any id, for errors that an application defines ("myapp.NoSuchRoom"). */
WSPR_API int wspr_flow_fail_id(struct wspr_flow *flow, const char *id, const char *text);

/*
 * Hands a message to the plugin that owns the flow (its flow_data), in order, once the handler has
 * returned. For handlers of USES claims: what they do not want to judge themselves, and what must
 * keep its place behind messages that wait (WSPR_AGAIN). 0, WSPR_ECLOSED (the flow is finished or
 * cancelled), WSPR_ENOMEM.
 */
WSPR_API int wspr_flow_deliver(struct wspr_flow *flow, const struct wspr_msg *msg);
/*
 * Takes up delivery after flow_data returned WSPR_AGAIN, later; the kept messages come first. While
 * too much is kept the connection's input waits, for a configured time at most: then the flow
 * fails.
 */
WSPR_API void wspr_flow_resume(struct wspr_flow *flow);
/*
 * Starts a flow of the host's side with this state; its id is even, and the page learns it from the
 * first frame. It belongs to the plugin, which finishes it as any other. WSPR_ECLOSED (the
 * connection is closing), WSPR_ELIMIT (too many flows there), WSPR_ENOMEM.
 */
WSPR_API int wspr_flow_open(struct wspr_host *host, struct wspr_conn *conn, void *state,
                            struct wspr_flow **ret_flow) WSPR_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif

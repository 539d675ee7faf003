/*
 * Calling remote objects. VOM never crosses this interface: arguments, items and results are JSON
 * text, which the host converts by the signature of the method. All functions on the loop of the
 * connection. Spec: websocket 7, 8, 12.
 */
#ifndef WSPR_RPC_H
#define WSPR_RPC_H

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
struct wspr_call;
struct wspr_signature;

/* How far a call had come when it failed. */
enum wspr_stage {
    WSPR_STAGE_PREPARE = 1, /* signature, method, arguments: nothing was sent */
    WSPR_STAGE_START = 2,   /* no server could be reached, or none that is acceptable */
    WSPR_STAGE_CALL = 3,    /* the call itself, or what the method answered */
};

/* An error as callbacks get it; borrowed for the call. */
struct wspr_fault {
    int code;         /* of <wspr/error.h> */
    const char *id;   /* wire id, any string, "" if unknown */
    const char *text; /* for people */
    int stage;        /* enum wspr_stage */
};

/* How a call is made. */
struct wspr_call_options {
    uint32_t size;       /* sizeof(struct wspr_call_options) */
    int32_t n_results;   /* how many the caller expects, the final error included */
    int streaming;       /* keep the input stream open until wspr_call_close_send */
    uint64_t timeout_ms; /* milliseconds; 0: none */
};

/*
 * What happens to a call. item and done get JSON text. done is called exactly once, last, unless
 * the call was dropped by wspr_call_cancel; the handle is dead after it. With fault == NULL, json
 * is the list of the results without the final error.
 */
struct wspr_call_ops {
    uint32_t size; /* sizeof(struct wspr_call_ops); all but done may be NULL */
    /* The request is on its way to a server; items can be sent. */
    void (*started)(void *arg, struct wspr_call *call);
    /* One item of the result stream. Return WSPR_FULL to hold further items until _resume. */
    int (*item)(void *arg, struct wspr_call *call, const char *json, size_t len);
    /* The result stream ended; only for streaming calls. */
    void (*end)(void *arg, struct wspr_call *call);
    /* The call is over. */
    void (*done)(void *arg, struct wspr_call *call, const struct wspr_fault *fault,
                 const char *json, size_t len);
    /* wspr_call_send said WSPR_FULL and there is room again. */
    void (*writable)(void *arg, struct wspr_call *call);
};

/*
 * Starts a call of method (first letter in any case) on the object `name` under the connection's
 * identity. The host fetches the signature, checks the count of the arguments, converts them and
 * starts; what goes wrong then is told to done, later. name, method, args (the JSON text of each),
 * options and ops are copied. The call is the plugin's until done, also while the connection ends.
 * WSPR_ECLOSED (the connection is closing), WSPR_ELIMIT (its calls take too much), WSPR_ENOMEM.
 */
WSPR_API int wspr_call_start(struct wspr_host *host, struct wspr_conn *conn,
                             const struct wspr_span *name, const struct wspr_span *method,
                             const struct wspr_spans *args, const struct wspr_call_options *options,
                             const struct wspr_call_ops *ops, void *arg,
                             struct wspr_call **ret_call) WSPR_MUST_CHECK;
/*
 * Sends one item (JSON text). 0, WSPR_FULL (taken; wait for writable), WSPR_EAGAIN (not taken: the
 * call is not up yet or its queue is full; writable will tell), WSPR_ETYPE (does not fit, dropped),
 * WSPR_ECLOSED (neither call nor method has an input stream, or the stream was closed).
 */
WSPR_API int wspr_call_send(struct wspr_call *call, const char *json, size_t len);
/*
 * Ends the input stream, after what was sent. 0, also the second time; WSPR_EAGAIN if the call is
 * not up yet (writable will tell).
 */
WSPR_API int wspr_call_close_send(struct wspr_call *call);
/* Takes up items again after item returned WSPR_FULL. */
WSPR_API void wspr_call_resume(struct wspr_call *call);
/* Drops the call; done will not be called, the handle is dead. NULL is accepted. */
WSPR_API void wspr_call_cancel(struct wspr_call *call);
/*
 * Moves stream items between a call and the flow of the page that made it: items become stream
 * frames, the end one stream-close frame, with order and credit on both sides kept by the host;
 * ops->item and ops->end are then not called. The plugin still passes the page's values with
 * wspr_call_send from flow_data, and ends the flow in done. WSPR_ECLOSED if one of them is over.
 */
WSPR_API int wspr_call_pipe(struct wspr_call *call, struct wspr_flow *flow) WSPR_MUST_CHECK;

/*
 * The signature of an object, from the connection's cache or fetched. done is called exactly once,
 * later, also if the connection ends; the signature is borrowed (see _ref). The name is copied.
 * WSPR_ENOMEM, WSPR_ECLOSED: done will not be called.
 */
WSPR_API int wspr_signature_get(struct wspr_host *host, struct wspr_conn *conn,
                                const struct wspr_span *name,
                                void (*done)(void *arg, const struct wspr_signature *signature,
                                             const struct wspr_fault *fault),
                                void *arg) WSPR_MUST_CHECK;
/* Keeps a signature past the callback; to be given up by _unref. Returns it. */
WSPR_API const struct wspr_signature *wspr_signature_ref(const struct wspr_signature *signature);
/* Gives up what _ref kept. NULL is accepted. */
WSPR_API void wspr_signature_unref(const struct wspr_signature *signature);
/* The JSON object of spec websocket 8, *ret_len bytes; valid as long as the signature. */
WSPR_API const char *wspr_signature_json(const struct wspr_signature *signature, size_t *ret_len);

#ifdef __cplusplus
}
#endif

#endif

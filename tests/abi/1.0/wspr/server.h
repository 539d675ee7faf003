/*
 * Serving objects of a page. A server belongs to one connection and has a number there that the
 * page chose; it listens on an endpoint of its own, under as many names as it likes. VOM never
 * crosses this interface: arguments, items and results are JSON text, which the host converts
 * generically (objects are maps, numbers are float64). The method Signature, unknown methods and
 * wrong counts of arguments are answered by the host. All functions on the connection's loop.
 * Spec: websocket 9 to 12.
 *
 *     wspr_server_get -> wspr_server_serve -> done(endpoint)
 *                                 |
 *                                 +-> invoke -> item* end -> reply            one invocation
 *                                                     `----> gone (it is over without a reply)
 */
#ifndef WSPR_SERVER_H
#define WSPR_SERVER_H

#include <stddef.h>
#include <stdint.h>
#include "wspr/reader.h"
#include "wspr/rpc.h"
#include "wspr/version.h"

#ifdef __cplusplus
extern "C" {
#endif

struct wspr_host;
struct wspr_conn;
struct wspr_flow;
struct wspr_server;
struct wspr_invocation; /* one call of a remote caller that a page answers */

/* An error of the application. */
struct wspr_app_error {
    struct wspr_span id; /* any, "" for none */
    struct wspr_span text;
};

/* What the caller wants; borrowed for the callback. */
struct wspr_invocation_info {
    uint32_t size; /* sizeof(struct wspr_invocation_info) of the host */
    uint64_t server_id;
    struct wspr_span method; /* a JSON string, first letter in lower case */
    struct wspr_span args;   /* a JSON list */
    struct wspr_span suffix; /* a JSON string, without leading slashes */
    size_t n_results;        /* how many the service declared, without the error */
    int streaming;           /* the service declared the method as streaming */
};

/*
 * What happens to the invocations of a server. An invocation lives until it is replied to or until
 * gone was called for it, whichever comes first; its handle is dead after that. No callback comes
 * from inside a function of this header.
 */
struct wspr_server_ops {
    uint32_t size; /* sizeof(struct wspr_server_ops); all but invoke and gone may be NULL */
    /* A call came. A negative result fails it at once (the handle is then dead). */
    int (*invoke)(void *arg, struct wspr_invocation *inv, const struct wspr_invocation_info *info);
    /* One item of the caller's stream. Return WSPR_FULL to hold further items until _resume. */
    int (*item)(void *arg, struct wspr_invocation *inv, const char *json, size_t len);
    /* The caller's stream ended, for whatever reason; at most once. */
    void (*end)(void *arg, struct wspr_invocation *inv);
    /*
     * The invocation is over without a reply: WSPR_ECANCELED if its caller went away,
     * WSPR_EABORTED if the server is stopped or the page went away (the caller was told).
     */
    void (*gone)(void *arg, struct wspr_invocation *inv, int why);
    /* wspr_invocation_send said WSPR_FULL or WSPR_EAGAIN and there is room again. */
    void (*writable)(void *arg, struct wspr_invocation *inv);
};

/*
 * The connection's server of that number; it is made if there is none, and then belongs to this
 * plugin: ops are copied, arg is given to each of them. WSPR_ENOMEM, WSPR_ELIMIT (too many servers
 * on this connection), WSPR_ECLOSED. A handle may be used until the callback in which it was got
 * returns; a server that was never asked to serve is forgotten then.
 */
WSPR_API int wspr_server_get(struct wspr_host *host, struct wspr_conn *conn, uint64_t id,
                             const struct wspr_server_ops *ops, void *arg,
                             struct wspr_server **ret_server) WSPR_MUST_CHECK;
/* The connection's server of that number; NULL if there is none. */
WSPR_API struct wspr_server *wspr_server_find(struct wspr_conn *conn, uint64_t id);
/* What wspr_server_get was given as arg when the server was made. */
WSPR_API void *wspr_server_state(const struct wspr_server *server);

/*
 * Serves under a name (empty: only listens). service is the JSON object that says which methods
 * there are (spec: websocket 9); it counts the first time and is only checked later. Operations of
 * one server run in order. done is called exactly once, later: with the endpoint (no leading slash,
 * ends in NUL) once the server listens - mounting goes on by itself - or with a fault. Returns an
 * error only if done will not be called, with a sentence in error: WSPR_EBADARG for what cannot be
 * served, WSPR_ENOMEM, WSPR_ELIMIT, or another if the description cannot be read.
 */
WSPR_API int wspr_server_serve(struct wspr_server *server, const struct wspr_span *name,
                               const struct wspr_span *service,
                               void (*done)(void *arg, const struct wspr_fault *fault,
                                            const char *endpoint),
                               void *arg, char *error, size_t error_size) WSPR_MUST_CHECK;
/*
 * Stops it: callers that wait get Aborted, names are unmounted, listening ends. done is called
 * exactly once, later, when all that is done (or the connection ended). WSPR_ENOMEM, WSPR_ELIMIT:
 * done will not be called.
 */
WSPR_API int wspr_server_stop(struct wspr_server *server, void (*done)(void *arg),
                              void *arg) WSPR_MUST_CHECK;

/* The connection whose page answers. */
WSPR_API struct wspr_conn *wspr_invocation_conn(const struct wspr_invocation *inv);
/* The plugin's pointer for an invocation; NULL at first. */
WSPR_API void *wspr_invocation_state(const struct wspr_invocation *inv);
/* Sets that pointer, which stays the plugin's. */
WSPR_API void wspr_invocation_set_state(struct wspr_invocation *inv, void *state);
/*
 * Moves the caller's items to a flow of the page: items become stream frames, the end exactly one
 * stream-close frame (at the latest before the reply, or before gone is called), with order and
 * credit kept by the host; ops->item and ops->end are then not called. From inside invoke.
 * WSPR_ECLOSED if one of them is over or the flow has an invocation already.
 */
WSPR_API int wspr_invocation_pipe(struct wspr_invocation *inv,
                                  struct wspr_flow *flow) WSPR_MUST_CHECK;
/*
 * Sends one item (JSON text) to the caller. 0, WSPR_FULL (taken; wait for writable), WSPR_EAGAIN
 * (not taken: wait for writable), WSPR_ETYPE (no JSON, or null; dropped), WSPR_ECLOSED.
 */
WSPR_API int wspr_invocation_send(struct wspr_invocation *inv, const char *json, size_t len);
/* Takes up items again after item returned WSPR_FULL. */
WSPR_API void wspr_invocation_resume(struct wspr_invocation *inv);
/*
 * Replies, after everything that was sent, and ends the invocation. results are JSON texts; a null
 * among them arrives as an empty list. With an error the list is cut or filled up to what the
 * service declared; without one the caller sees a wrong count itself.
 */
WSPR_API void wspr_invocation_reply(struct wspr_invocation *inv, const struct wspr_spans *results,
                                    const struct wspr_app_error *error);
/* The same with an error of the table and no results. text: NULL is the code's sentence. */
WSPR_API void wspr_invocation_fail(struct wspr_invocation *inv, int code, const char *text);

#ifdef __cplusplus
}
#endif

#endif

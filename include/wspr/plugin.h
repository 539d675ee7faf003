/*
 * A handler plugin: one shared object that claims message types of the WebSocket protocol.
 *
 *     static int hello(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg)
 *     {
 *         return wspr_flow_finish(flow, "\"hello\"", 7);
 *     }
 *     static const struct wspr_claim claims[] = {{100, WSPR_ONE_SHOT, "hello", hello}};
 *     static const struct wspr_plugin plugin = {
 *         WSPR_PLUGIN_HEAD("hello", "1.0"), .claims = claims, .n_claims = 1};
 *     WSPR_PLUGIN_EXPORT(plugin)
 *
 * Thread: every callback runs on the loop of the worker that owns the connection, in order of
 * arrival, and must not block. Elsewhere only those functions may be called that say "any thread".
 *
 * Ownership: what a callback is given is borrowed for that call, unless the function says
 * otherwise. No host function calls back into the plugin before it returns; notices are queued.
 */
#ifndef WSPR_PLUGIN_H
#define WSPR_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include "wspr/error.h"
#include "wspr/version.h"

#ifdef __cplusplus
extern "C" {
#endif

struct wspr_host; /* this plugin on one worker */
struct wspr_conn; /* one WebSocket */
struct wspr_flow; /* one message id on it */
struct wspr_msg;  /* one message of a page */

/*
 * The first three members are frozen for ever: the host reads nothing else before it has accepted
 * the version. The sizes let a host step through tables that were compiled against older headers.
 */
struct wspr_abi {
    uint32_t abi_size;
    uint16_t major;
    uint16_t minor;
    uint32_t plugin_size;
    uint32_t claim_size;
    uint32_t option_size;
};

/* How a claimed message type uses its id. */
enum wspr_claim_flags {
    WSPR_OPENS = 1,    /* starts a flow: the id must not be in use by a flow of the page */
    WSPR_USES = 2,     /* belongs to a flow; a message without one is dropped and counted */
    WSPR_ONE_SHOT = 3, /* the id is only echoed; several at once may carry the same one */
    WSPR_BARRIER = 16, /* holds the connection's later input until this one is finished */
    WSPR_OWN = 32,     /* with USES: other plugins' flows do not count */
    WSPR_SECRET = 64,  /* the host wipes the payload when the handler has returned */
};

/* What a handler returns; a negative number is a code of <wspr/error.h>: the host replies with it.
 */
enum wspr_handled {
    WSPR_DONE = 0,    /* finished already */
    WSPR_PENDING = 1, /* will be finished later, exactly once, by wspr_flow_finish or _fail */
    WSPR_AGAIN = 2,   /* flow_data only: not now; kept, in order, until wspr_flow_resume */
    WSPR_FULL = 3,    /* sends only: taken, but wait for flow_writable before sending more */
};

struct wspr_claim {
    uint32_t type;  /* wire message type */
    uint32_t flags; /* one of OPENS, USES, ONE_SHOT, and BARRIER if needed */
    const char *name;
    /*
     * Takes one message of this type. For USES the flow is the one that the id names, and the
     * handler may be another plugin's than the flow's owner (see wspr_flow_deliver). After a
     * negative result, or after finish or fail, the flow is dead to the plugin.
     */
    int (*handle)(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg);
};

enum wspr_option_type { WSPR_OPT_BOOL = 1, WSPR_OPT_INT = 2, WSPR_OPT_STRING = 3 };

/* One setting of the plugin's section in the configuration, validated before load. */
struct wspr_option {
    const char *name;
    const char *help;
    const char *def; /* default, as text */
    int type;
    int64_t min, max; /* for WSPR_OPT_INT */
};

struct wspr_plugin {
    struct wspr_abi abi;
    const char *name; /* equals the file name without ".so" */
    const char *version;
    const struct wspr_claim *claims;
    size_t n_claims;
    const struct wspr_option *options;
    size_t n_options;
    /* Called once per worker; may not block, may fail. *ret_ctx is handed to all other callbacks.
     */
    int (*load)(struct wspr_host *host, void **ret_ctx);
    void (*unload)(void *ctx);
    /* Called at the first message for this plugin on a connection. */
    int (*conn_open)(void *ctx, struct wspr_conn *conn, void **ret_state);
    /* Called once, after every flow of this plugin on the connection has ended. */
    void (*conn_close)(void *ctx, struct wspr_conn *conn, void *state);
    /* A message that was delivered to a flow of this plugin: DONE, AGAIN or an error (flow fails).
     */
    int (*flow_data)(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg);
    /* The page went away or the host shuts down: finish soon. Finishing sends nothing then. */
    void (*flow_cancel)(void *ctx, struct wspr_flow *flow);
    /* There is room again after WSPR_FULL. */
    void (*flow_writable)(void *ctx, struct wspr_flow *flow);
};

#define WSPR_ABI_BLOCK                                                                             \
    {                                                                                              \
        (uint32_t)sizeof(struct wspr_abi), WSPR_ABI_MAJOR, WSPR_ABI_MINOR,                         \
            (uint32_t)sizeof(struct wspr_plugin), (uint32_t)sizeof(struct wspr_claim),             \
            (uint32_t)sizeof(struct wspr_option)                                                   \
    }
#define WSPR_PLUGIN_HEAD(plugin_name, plugin_version)                                              \
    .abi = WSPR_ABI_BLOCK, .name = plugin_name, .version = plugin_version

/* Exports the plugin: defines the one symbol that the host looks up. No semicolon after it. */
#define WSPR_PLUGIN_EXPORT(variable)                                                               \
    WSPR_API const struct wspr_plugin *wspr_plugin_entry(void);                                    \
    const struct wspr_plugin *wspr_plugin_entry(void)                                              \
    {                                                                                              \
        return &variable;                                                                          \
    }

typedef const struct wspr_plugin *wspr_plugin_entry_fn(void);

/* ---- the host ---- */

enum wspr_log_level { WSPR_LOG_ERROR, WSPR_LOG_WARN, WSPR_LOG_INFO, WSPR_LOG_DEBUG };

/* Logs one line under the plugin's name. Any thread. Text from peers: see wspr_quote. */
WSPR_API void wspr_log(struct wspr_host *host, enum wspr_log_level level, const char *fmt, ...)
    WSPR_PRINTF(3, 4);
/* Writes text escaped and in quotes into out, cut if it does not fit; returns out. Any thread. */
WSPR_API const char *wspr_quote(char *out, size_t size, const char *text, size_t len);

/*
 * The validated value of an option of this plugin; the default if the configuration has none. Of a
 * name that is not in its table: 0, or "". A string lives as long as the plugin. Loop.
 */
WSPR_API int64_t wspr_option_int(struct wspr_host *host, const char *name);
WSPR_API int wspr_option_bool(struct wspr_host *host, const char *name);
WSPR_API const char *wspr_option_string(struct wspr_host *host, const char *name);

/*
 * Runs fn(arg) on the host's loop, after the present callback. Any thread. Posts of one thread keep
 * their order. Once this returned 0 fn does run, before unload, and also if load fails.
 * WSPR_ENOMEM, WSPR_ELIMIT if too many wait, or WSPR_ECLOSED when the plugin is about
 * to be unloaded: fn will then not run. A plugin's own threads must have ended when its unload
 * returns.
 */
WSPR_API int wspr_post(struct wspr_host *host, void (*fn)(void *arg), void *arg) WSPR_MUST_CHECK;
/*
 * Runs work(arg) on a helper thread, then done(arg) on the host's loop. `work` may touch nothing
 * but arg. Once this returned 0 done is called in every case, before unload, and also if load
 * fails. WSPR_ENOMEM, WSPR_ELIMIT if too much work waits, WSPR_ECLOSED when the plugin is about to
 * be unloaded. Loop.
 */
WSPR_API int wspr_offload(struct wspr_host *host, void (*work)(void *arg), void (*done)(void *arg),
                          void *arg) WSPR_MUST_CHECK;

struct wspr_timer;
/*
 * A timer that is not armed; fn is called on the loop. NULL if memory is short. The plugin frees
 * it, at the latest in unload. Loop, as the rest of timers.
 */
WSPR_API struct wspr_timer *wspr_timer_new(struct wspr_host *host, void (*fn)(void *arg),
                                           void *arg);
/* Calls fn once, `ms` milliseconds from now; arming again replaces the earlier time. */
WSPR_API void wspr_timer_start(struct wspr_timer *timer, uint64_t ms);
WSPR_API void wspr_timer_stop(struct wspr_timer *timer);
/* Also from inside its fn. NULL is accepted. */
WSPR_API void wspr_timer_free(struct wspr_timer *timer);

/* ---- messages ---- */

/* Type, id and payload (the text of the member `data`); valid as long as the message. */
WSPR_API uint32_t wspr_msg_type(const struct wspr_msg *msg);
WSPR_API int64_t wspr_msg_id(const struct wspr_msg *msg);
WSPR_API const char *wspr_msg_data(const struct wspr_msg *msg, size_t *ret_len);
/* Keeps the message past the callback: returns a message to release, or NULL if memory is short. */
WSPR_API const struct wspr_msg *wspr_msg_keep(const struct wspr_msg *msg);
WSPR_API void wspr_msg_release(const struct wspr_msg *msg);

#ifdef __cplusplus
}
#endif

#include "wspr/conn.h"
#include "wspr/flow.h"

#endif

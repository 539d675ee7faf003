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
 * Ownership: what a callback is given is borrowed for that call, and what a host function is given
 * is borrowed until it returns, unless the function says otherwise. No host function calls back
 * into the plugin before it returns; notices are queued. In the comments "Loop" stands for
 * functions that belong on the host's loop.
 *
 * Errors: 0 or a positive number is success, a negative one is a code of <wspr/error.h>; output
 * parameters (ret_...) are written on success only. Times are in milliseconds, lengths in bytes.
 *
 * C++: WSPR_PLUGIN_HEAD needs designated initializers (C++20); before that list the members in
 * their order, WSPR_ABI_BLOCK first.
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
    uint32_t abi_size; /* sizeof(struct wspr_abi) */
    uint16_t major;    /* WSPR_ABI_MAJOR */
    uint16_t minor;
    uint32_t plugin_size; /* of the structs that follow, in bytes */
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
    WSPR_PENDING = 1, /* will be finished later, exactly once; see <wspr/flow.h> */
    WSPR_AGAIN = 2,   /* flow_data only: not now; kept, in order, until wspr_flow_resume */
    WSPR_FULL = 3,    /* sends only: taken, but wait for flow_writable before sending more */
};

/* One message type that the plugin handles. */
struct wspr_claim {
    uint32_t type;    /* wire message type, below 1024; 0 to 7 are those of the standard plugins */
    uint32_t flags;   /* one of OPENS, USES, ONE_SHOT, and others of enum wspr_claim_flags */
    const char *name; /* for people */
    /*
     * Takes one message of this type: an enum wspr_handled or a code. For USES the flow is the one
     * that the id names, and the handler may be another plugin's than the flow's owner (see
     * wspr_flow_deliver). After a negative result, or after finish or fail, the flow is dead to the
     * plugin.
     */
    int (*handle)(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg);
};

/* What the value of an option is: on or off, a whole number, any text. */
enum wspr_option_type { WSPR_OPT_BOOL = 1, WSPR_OPT_INT = 2, WSPR_OPT_STRING = 3 };

/* One setting of the plugin's section in the configuration, validated before load. */
struct wspr_option {
    const char *name;
    const char *help; /* for people */
    const char *def;  /* default, as text; NULL is "" */
    int type;         /* enum wspr_option_type */
    int64_t min, max; /* for WSPR_OPT_INT, both included */
};

/* What the entry returns: constant, and there as long as the code. NULL callbacks do nothing. */
struct wspr_plugin {
    struct wspr_abi abi;
    const char *name;    /* equals the file name without ".so" */
    const char *version; /* of the plugin, for people */
    const struct wspr_claim *claims;
    size_t n_claims;
    const struct wspr_option *options;
    size_t n_options;
    /*
     * Called once per worker; may not block. *ret_ctx is handed to all other callbacks. A code
     * refuses to be loaded; nothing else is called then but what came of posts and work.
     */
    int (*load)(struct wspr_host *host, void **ret_ctx);
    /* Called last, when no flow, call, post or work of the plugin is left. */
    void (*unload)(void *ctx);
    /* Called before the first message for this plugin on a connection; a code refuses that one. */
    int (*conn_open)(void *ctx, struct wspr_conn *conn, void **ret_state);
    /* Called once, after every flow of this plugin on the connection has ended. */
    void (*conn_close)(void *ctx, struct wspr_conn *conn, void *state);
    /* A message that was delivered to a flow of this plugin: DONE, AGAIN or a code (flow fails). */
    int (*flow_data)(void *ctx, struct wspr_flow *flow, const struct wspr_msg *msg);
    /*
     * The page went away, the host shuts down, or it gave the flow up: finish soon. Finishing sends
     * nothing then. A flow that is not finished in time is reported as the plugin's fault.
     */
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

/* The one symbol that the host looks up: returns the plugin's table. */
WSPR_API const struct wspr_plugin *wspr_plugin_entry(void);
typedef const struct wspr_plugin *wspr_plugin_entry_fn(void);

/* Exports the plugin: defines its entry. No semicolon after it. */
#define WSPR_PLUGIN_EXPORT(variable)                                                               \
    const struct wspr_plugin *wspr_plugin_entry(void)                                              \
    {                                                                                              \
        return &variable;                                                                          \
    }

/* ---- log ---- */

enum wspr_log_level { WSPR_LOG_ERROR, WSPR_LOG_WARN, WSPR_LOG_INFO, WSPR_LOG_DEBUG };

/*
 * Logs one line under the plugin's name. Any thread. Texts of pages and peers go through
 * wspr_log_quote first.
 */
WSPR_API void wspr_log(struct wspr_host *host, enum wspr_log_level level, const char *fmt, ...)
    WSPR_PRINTF(3, 4);
/*
 * Writes text escaped and in quotes into out, ended by NUL and cut if it does not fit; returns out.
 * Any thread.
 */
WSPR_API const char *wspr_log_quote(char *out, size_t size, const char *text, size_t len);

/* ---- options ---- */

/*
 * The validated value of an INT option of this plugin; the default if the configuration has none. 0
 * for a name that is not in its table. Loop, also in load.
 */
WSPR_API int64_t wspr_option_int(struct wspr_host *host, const char *name);
/* The same of a BOOL option: 0 or 1. */
WSPR_API int wspr_option_bool(struct wspr_host *host, const char *name);
/* The same of any option as text, which lives until unload has returned; "" for no option. */
WSPR_API const char *wspr_option_string(struct wspr_host *host, const char *name);

/* ---- posts and work ---- */

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

/* ---- timers ---- */

struct wspr_timer; /* the plugin's, of one host */

/*
 * A timer that is not armed; fn is called on the loop. NULL if memory is short. The plugin frees
 * it, at the latest in unload. Loop.
 */
WSPR_API struct wspr_timer *wspr_timer_new(struct wspr_host *host, void (*fn)(void *arg),
                                           void *arg);
/* Calls fn once, `ms` milliseconds from now; arming again replaces the earlier time. Loop. */
WSPR_API void wspr_timer_start(struct wspr_timer *timer, uint64_t ms);
/* Disarms it; it may be started again. Loop. */
WSPR_API void wspr_timer_stop(struct wspr_timer *timer);
/* Stops and frees it, also from inside its fn. NULL is accepted. Loop. */
WSPR_API void wspr_timer_free(struct wspr_timer *timer);

/* ---- messages ---- */

/* The wire type of a message. */
WSPR_API uint32_t wspr_msg_type(const struct wspr_msg *msg);
/* Its id, which the page chose. */
WSPR_API int64_t wspr_msg_id(const struct wspr_msg *msg);
/*
 * The payload: the text of the member `data` of the envelope, not ended by NUL, of *ret_len bytes;
 * "" if the message has none. UTF-8, and mostly JSON, but nobody has looked. Valid as long as the
 * message.
 */
WSPR_API const char *wspr_msg_data(const struct wspr_msg *msg, size_t *ret_len);
/* Keeps the message past the callback: returns a message to release, or NULL if memory is short. */
WSPR_API const struct wspr_msg *wspr_msg_keep(const struct wspr_msg *msg);
/* Gives up a message that wspr_msg_keep returned. NULL is accepted. Loop. */
WSPR_API void wspr_msg_release(const struct wspr_msg *msg);

#ifdef __cplusplus
}
#endif

#include "wspr/conn.h"
#include "wspr/flow.h"

#endif

/*
 * A gateway in this process, with plugins that are linked in, a service to call and pages that
 * connect to it over loopback. One thread: whatever waits here turns the loop.
 */
#ifndef TESTS_UNIT_GATEWAY_GWRIG_H
#define TESTS_UNIT_GATEWAY_GWRIG_H

#include <stdbool.h>

#include "unit/rpc/rig.h"
#include "gateway/private.h"
#include "slow.h"
#include "wspeer.h"

/* What must come comes within milliseconds; a loaded machine under a sanitizer may need this. */
#define GW_TIMEOUT_MS 20000

/* The plugins of this build, linked in under names of their own. */
const struct wspr_plugin *request_plugin_entry(void);
const struct wspr_plugin *stream_plugin_entry(void);
const struct wspr_plugin *signature_plugin_entry(void);
const struct wspr_plugin *assoc_identity_plugin_entry(void);
const struct wspr_plugin *serve_plugin_entry(void);
const struct wspr_plugin *stop_server_plugin_entry(void);

struct gw_opts {
    struct gateway_limits limits;
    struct rpc_limits rpc; /* of the gateway's own runtime */
    const char *roots, *proxy;
    bool strict_utf8;
    bool service; /* with a runtime and a service to call */
    bool offload;
    bool log_to_text; /* see gw_log */
    bool accounts;    /* with a store of these properties, signed by the gateway's identity */
    struct accounts_opts store;
    const char *associate_from, *allowed_origins;
    const struct wspr_plugin *plugins[8];
};

struct gw {
    struct log log;
    struct loop_worker *w;
    struct loop_offload *offload;
    struct rig_ids ids;
    struct rig client, service; /* one worker, two runtimes */
    struct rpc_server *server;
    struct slow slow;
    char endpoint[256]; /* of the service, with the leading slash */
    bool with_service;
    struct accounts *accounts;
    struct gateway *gateway;
    bool stopped;
    char *log_text;
};

/* Ends the program if it cannot be made. */
void gw_init(struct gw *g, const struct gw_opts *opts);
/* Stops everything, in order; each part must come to its end, and nothing may be left over. */
void gw_done(struct gw *g);
/* Stops the gateway only. False if it does not end in time. */
bool gw_stop(struct gw *g, int timeout_ms);
/* Turns the loop until the condition holds; false after the time. */
bool gw_until(struct gw *g, bool (*done)(void *arg), void *arg, int timeout_ms);
/* Turns the loop for so long. */
void gw_run(struct gw *g, int ms);
/* What was logged so far (log_to_text); valid until the next call. */
const char *gw_log(struct gw *g);
/* How many connections the gateway has. */
bool gw_wait_conns(struct gw *g, unsigned n);

/* A server that takes connections and never says a word; its endpoint, with the leading slash. */
int gw_mute_server(char endpoint[256]);

/* ---- pages ---- */

struct page {
    struct gw *g;
    struct wspeer peer;
    char head[2048]; /* of the answer to the handshake */
};

/* Connects and upgrades; the first frame has been taken if `first`. */
bool page_open(struct page *p, struct gw *g, const char *headers, bool first);
/* The same with a path of its own, which may have a query. */
bool page_open_at(struct page *p, struct gw *g, const char *path, const char *headers, bool first);
/* Connects without saying anything. */
bool page_connect(struct page *p, struct gw *g);
/* Drops the connection. */
void page_drop(struct page *p);
/* Sends one message, as text. */
void page_send(struct page *p, const char *text);
/* Sends {"id": id, "type": type, "data": data as a string}. */
void page_message(struct page *p, long long id, long long type, const char *data);
/* The next message, or NULL: none in time. Pings are answered if `pong`. */
const char *page_recv_for(struct page *p, int timeout_ms);
const char *page_recv(struct page *p);
/* The next message must be this one. */
void page_expect(struct page *p, const char *text);
/* The next message must be {"id": id, … data: {"type": type, "message": message}}. */
void page_expect_reply(struct page *p, long long id, int type, const char *message);
/* The next message must be an error frame with these members. */
void page_expect_error(struct page *p, long long id, const char *error_id, const char *text);
/* Nothing comes for a while. */
void page_expect_silence(struct page *p);
/* A close frame with that code (0: empty), then the end of TCP. */
void page_expect_close(struct page *p, unsigned code);
/* The end of TCP, whatever comes before it. */
bool page_wait_eof(struct page *p);
/* Reads what there is and forgets it; the number of bytes. */
size_t page_swallow(struct page *p);
/* As JSON needs a string, quotes included; valid until the next call but three. */
const char *page_quoted(const char *text);

#endif

/*
 * Connections: one WebSocket each.
 *
 * A plugin sees a connection from its first message there (conn_open) until conn_close returns;
 * every handle of it is borrowed for that time. All functions on the connection's loop.
 */
#ifndef WSPR_CONN_H
#define WSPR_CONN_H

#include <stddef.h>
#include <stdint.h>
#include "wspr/version.h"

#ifdef __cplusplus
extern "C" {
#endif

struct wspr_host;
struct wspr_conn;

/* A number that no other connection of this process has, for logs. */
WSPR_API uint64_t wspr_conn_number(const struct wspr_conn *conn);
/*
 * The Origin header of the handshake, "" if there was none. The host has checked it against its
 * list; programs that are no browser may write there what they like. Valid as long as the
 * connection.
 */
WSPR_API const char *wspr_conn_origin(const struct wspr_conn *conn);
/*
 * The serialized origin under whose account calls and servers of the connection run from now on; ""
 * if that is the gateway's own identity. Valid until the callback returns.
 */
WSPR_API const char *wspr_conn_acts_as(const struct wspr_conn *conn);
/* Address of the peer as host:port. Valid as long as the connection. */
WSPR_API const char *wspr_conn_remote(const struct wspr_conn *conn);
/*
 * Whether the page asked, in the query of its request ("/ws?extras=cancel"), for something that old
 * pages do not know; the first frame told it which of these it gets. 0 for names that the host does
 * not know.
 */
WSPR_API int wspr_conn_has_extra(const struct wspr_conn *conn, const char *name);
/* What conn_open of this plugin stored; NULL before. It is the plugin's. */
WSPR_API void *wspr_conn_state(struct wspr_host *host, struct wspr_conn *conn);
/*
 * Begins to end the connection: a close frame goes out behind what was sent before, nothing after
 * it, and no further message comes in. Flows that are not finished get their flow_cancel later.
 * code is one that RFC 6455 lets an application send: 1000 to 1011 but for 1004 to 1006, or 3000 to
 * 4999. reason is UTF-8, cut to 123 bytes; NULL is "". WSPR_EINVAL for another code; 0 also if it
 * is closing already.
 */
WSPR_API int wspr_conn_close(struct wspr_conn *conn, uint16_t code, const char *reason);
/* True once the connection is going away: nothing more can be sent. */
WSPR_API int wspr_conn_is_closing(const struct wspr_conn *conn);

#ifdef __cplusplus
}
#endif

#endif

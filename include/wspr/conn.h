/* Connections: one WebSocket each. All functions on the connection's loop. */
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
/* The Origin header of the handshake, "" if there was none. Valid as long as the connection. */
WSPR_API const char *wspr_conn_origin(const struct wspr_conn *conn);
/* Address of the peer as host:port. Valid as long as the connection. */
WSPR_API const char *wspr_conn_remote(const struct wspr_conn *conn);
/*
 * Whether the page asked, in the query of its request ("/ws?extras=cancel"), for something that old
 * pages do not know; the first frame told it which of these it gets.
 */
WSPR_API int wspr_conn_has_extra(const struct wspr_conn *conn, const char *name);
/* What conn_open of this plugin stored; NULL before. */
WSPR_API void *wspr_conn_state(struct wspr_host *host, struct wspr_conn *conn);
/* True once the connection is going away: nothing more can be sent. */
WSPR_API int wspr_conn_is_closing(const struct wspr_conn *conn);

#ifdef __cplusplus
}
#endif

#endif
